/* The PC's pair of 8237A DMA controllers with page registers.
 *   00h-0Fh  channels 0-3, bytes         C0h-DEh  channels 4-7, words (4 is the cascade)
 *   81h-8Fh  page registers (87 83 81 82 for 0-3; 8B 89 8A for 5-7; the others are plain storage)
 * Sources: Intel 8237A data sheet (231466); PIIX3 data sheet, DMA registers.
 *
 * A device moves data itself: it calls dma_write_memory() or dma_read_memory() when it has some, takes
 * what the channel allows, and is told through `ready` when a channel that was closed opens. */
#ifndef DRAGOMAN_DEVICES_I8237_H
#define DRAGOMAN_DEVICES_I8237_H

#include "devices/device.h"

struct dma_pair;

/* NULL when memory is short. */
struct dma_pair *dma_create(const struct device_bus *bus);

/* READY is called when guest programming opens CHANNEL (0..3, 5..7) while its DREQ is up; may be NULL.
 * It may be called inside a port write and may transfer at once. */
void dma_attach(struct dma_pair *dma, unsigned channel, void (*ready)(void *opaque), void *opaque);
/* The device's DREQ line. */
void dma_set_request(struct dma_pair *dma, unsigned channel, bool level);
/* Unmasked, controller on, not in cascade mode: a transfer would move data. */
bool dma_is_open(const struct dma_pair *dma, unsigned channel);

/* Up to LENGTH bytes between the device's DATA and guest memory; returns how many were moved (an even
 * number on channels 5..7). Stops after the last byte of the channel's count with *TERMINAL true (TC);
 * an autoinitialising channel then is open for the next round, another is masked. A verify transfer
 * counts without touching memory (and reads zeroes). */
size_t dma_write_memory(struct dma_pair *dma, unsigned channel, const uint8_t *data, size_t length, bool *terminal);
size_t dma_read_memory(struct dma_pair *dma, unsigned channel, uint8_t *data, size_t length, bool *terminal);

#endif

/* 82077AA floppy disk controller in PC/AT mode at 3F0h-3F5h and 3F7h, with two drives.
 * Source: Intel 82077AA data sheet (290166).
 *
 * Fast but ordered: sectors, steps and rotations take virtual microseconds instead of milliseconds. */
#ifndef DRAGOMAN_DEVICES_FDC_H
#define DRAGOMAN_DEVICES_FDC_H

#include "block/block.h"
#include "devices/device.h"
#include "devices/i8237.h"

enum { FDC_DRIVES = 2, FDC_DMA_CHANNEL = 2 };

/* Kinds of drives, with the numbers that CMOS register 10h has for them. */
enum fdc_drive_type {
    FDC_DRIVE_NONE = 0,
    FDC_DRIVE_360K = 1,
    FDC_DRIVE_1200K = 2,
    FDC_DRIVE_720K = 3,
    FDC_DRIVE_1440K = 4,
    FDC_DRIVE_2880K = 5,
    FDC_DRIVE_AUTO = 0xff /* as the first disk needs it; 1.44M without one */
};

/* A disk format, found by the image's size. */
struct fdc_format {
    uint16_t kib; /* capacity */
    uint8_t cylinders, heads, sectors;
    enum fdc_drive_type drive; /* that writes it */
};

struct fdc;

/* IRQ is IRQ 6. NULL when memory is short. */
struct fdc *fdc_create(const struct device_bus *bus, struct irq_line irq, struct dma_pair *dma);
/* Before the machine runs; BLOCK may be NULL (an empty drive). Fails with a message for an image that is
 * larger than any floppy disk. */
bool fdc_attach(struct fdc *fdc, unsigned drive, enum fdc_drive_type type, struct block *block, struct error *err);
/* Puts BLOCK (NULL: nothing) into a drive that was attached; the disk that was in it is the caller's
 * again. On failure nothing has changed. */
bool fdc_change_medium(struct fdc *fdc, unsigned drive, struct block *block, struct error *err);

/* For CMOS register 10h and for info: never FDC_DRIVE_AUTO. */
enum fdc_drive_type fdc_drive_type(const struct fdc *fdc, unsigned drive);
struct block *fdc_medium(const struct fdc *fdc, unsigned drive);
/* The format that an image of SECTORS sectors is read as: its own, else 1.44M, else the smallest that holds
 * it; NULL: too large. What an image lacks reads as zeroes and cannot be written. */
const struct fdc_format *fdc_find_format(uint64_t sectors);

#endif

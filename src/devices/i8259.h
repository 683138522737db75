/* The PC's pair of 8259A interrupt controllers, as PIIX3 integrates them.
 *
 * Ports 20h-21h (master), A0h-A1h (slave), 4D0h-4D1h (edge/level control, one bit a line).
 * Sources: Intel 8259A data sheet (231468); Intel 82371SB (PIIX3) data sheet, interrupt controller registers. */
#ifndef DRAGOMAN_DEVICES_I8259_H
#define DRAGOMAN_DEVICES_I8259_H

#include "devices/device.h"

struct pic_pair;

/* INTR_OUTPUT is the processor's INTR pin (level). NULL when memory is short. */
struct pic_pair *pic_create(const struct device_bus *bus, struct irq_line intr_output);

/* An irq_line.set: OPAQUE is the struct pic_pair, IRQ is 0..15 (2 is the cascade and is ignored). */
void pic_set_irq(void *opaque, unsigned irq, bool level);
static inline struct irq_line pic_irq_line(struct pic_pair *pic, unsigned irq)
{
    return (struct irq_line){pic_set_irq, pic, irq};
}

/* The INTR pin as it is now. */
bool pic_is_pending(const struct pic_pair *pic);
/* The processor's interrupt acknowledge cycles: the vector (0..255).  With nothing pending (the
 * request went away) this is the spurious vector, IRQ 7 of the master or of the slave. */
int pic_acknowledge(struct pic_pair *pic);
/* How often IRQ (0..15) has been acknowledged since power-on. */
uint64_t pic_irq_count(const struct pic_pair *pic, unsigned irq);
/* One bit a line, set for level-triggered: what a BIOS would write to 4D0h (low byte) and 4D1h. */
void pic_set_elcr(struct pic_pair *pic, uint16_t level_triggered);

#endif

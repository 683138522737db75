/* A wired-OR: up to 32 inputs, one output line that is high while any input is.
 * For level-triggered lines that several devices share (SCI and PCI on IRQ 9). */
#ifndef DRAGOMAN_DEVICES_IRQ_OR_H
#define DRAGOMAN_DEVICES_IRQ_OR_H

#include "devices/device.h"

struct irq_or {
    uint32_t levels;
    struct irq_line output;
};

/* An irq_line.set: OPAQUE is the struct irq_or, NUMBER (0..31) the input. */
static inline void irq_or_set(void *opaque, unsigned number, bool level)
{
    struct irq_or *or_gate = opaque;
    uint32_t bit = 1u << (number & 31);
    or_gate->levels = level ? or_gate->levels | bit : or_gate->levels & ~bit;
    irq_set(&or_gate->output, or_gate->levels != 0);
}

static inline struct irq_line irq_or_input(struct irq_or *or_gate, unsigned number)
{
    return (struct irq_line){irq_or_set, or_gate, number};
}

#endif

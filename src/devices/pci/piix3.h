/* PIIX3 PCI-to-ISA bridge (82371SB), device 1 function 0: PCI interrupt routing and reset control.
 * Source: Intel 82371SB (PIIX3) data sheet (290550), PCI configuration registers.
 *
 * The bridge stands between every interrupt source and the 8259 pair: ISA devices raise IRQs through
 * piix3_irq_line(), PCI functions through PIRQA..D, and what lands on the same IRQ is ORed. */
#ifndef DRAGOMAN_DEVICES_PCI_PIIX3_H
#define DRAGOMAN_DEVICES_PCI_PIIX3_H

#include "devices/pci/pci.h"

enum { PIIX3_PIRQ_ROUTE_A = 0x60 }; /* 60h..63h: bit 7 off, bits 3:0 the IRQ */

struct piix3;

/* PIC: irq_line.set of the interrupt controllers with NUMBER the IRQ (its own number is ignored).
 * RESET is pulsed by port CF9h; whoever listens resets the machine later, not inside the call.
 * NULL when memory is short. */
struct piix3 *piix3_create(const struct device_bus *bus, struct pci_bus *pci, struct irq_line pic,
                           struct irq_line reset);
/* An irq_line.set: OPAQUE is the struct piix3, NUMBER an ISA IRQ. */
void piix3_set_isa_irq(void *opaque, unsigned irq, bool level);
static inline struct irq_line piix3_irq_line(struct piix3 *bridge, unsigned irq)
{
    return (struct irq_line){piix3_set_isa_irq, bridge, irq};
}
/* As firmware would: PIRQ (0..3) to IRQ. The caller also sets the IRQ level-triggered (pic_set_elcr). */
void piix3_route_pirq(struct piix3 *bridge, unsigned pirq, unsigned irq);

#endif

/* The PC's way to report x87 errors: FERR# of the processor latches IRQ 13, writing port F0h clears
 * it and holds IGNNE# until FERR# goes away; port F1h resets the coprocessor interface.
 * Source: Intel SDM vol. 1, appendix D.2 (MS-DOS compatibility mode); PIIX3 data sheet, "Coprocessor Error". */
#ifndef DRAGOMAN_DEVICES_FERR_H
#define DRAGOMAN_DEVICES_FERR_H

#include "devices/device.h"

struct ferr;

/* NULL when memory is short. */
struct ferr *ferr_create(const struct device_bus *bus, struct irq_line irq13);
/* The processor's FERR# pin: LEVEL true while an unmasked x87 error is pending with CR0.NE = 0. */
void ferr_set(struct ferr *ferr, bool level);
/* The processor's IGNNE# pin: with it the next x87 instruction ignores the error instead of waiting. */
bool ferr_ignne(const struct ferr *ferr);
/* LINE follows IGNNE#; optional. */
void ferr_set_ignne_line(struct ferr *ferr, struct irq_line line);

#endif

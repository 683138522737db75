/* 8254 programmable interval timer: three counters at 1193182 Hz, ports 40h-43h.
 * Source: Intel 8254 data sheet (231164).  Counts run from ticks of the oscillator since the
 * machine's power-on, so they never drift. */
#ifndef DRAGOMAN_DEVICES_I8254_H
#define DRAGOMAN_DEVICES_I8254_H

#include "devices/device.h"

#define PIT_HERTZ 1193182u

struct pit;

/* IRQ0 follows OUT of counter 0. NULL when memory is short. */
struct pit *pit_create(const struct device_bus *bus, struct irq_line irq0);

/* The GATE pin of COUNTER 2 (port 61h); counters 0 and 1 have theirs tied high. */
void pit_set_gate(struct pit *pit, unsigned counter, bool level);
bool pit_get_gate(const struct pit *pit, unsigned counter);
/* The OUT pin of COUNTER (0..2) now. */
bool pit_get_out(struct pit *pit, unsigned counter);
/* What a speaker needs: mode (0..5) and initial count (1..65536) of COUNTER. */
unsigned pit_get_mode(const struct pit *pit, unsigned counter);
uint32_t pit_get_initial_count(const struct pit *pit, unsigned counter);

#endif

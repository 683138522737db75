/* Port 92h, the PS/2's system control port A, and the A20 gate.
 *
 *    7 6        3      1     0
 *  [LEDs]..  [lock] [A20] [reset]
 *
 * The gate has two hands on it, port 92h and the keyboard controller; the last one to write decides,
 * and both read back what the gate is.  Enabled after reset. */
#ifndef DRAGOMAN_DEVICES_PORT92_H
#define DRAGOMAN_DEVICES_PORT92_H

#include "devices/device.h"

struct a20_gate {
    bool enabled;
    struct irq_line output; /* high: address bit 20 passes */
};

static inline void a20_gate_set(struct a20_gate *gate, bool enabled)
{
    if (gate->enabled == enabled)
        return;
    gate->enabled = enabled;
    irq_set(&gate->output, enabled);
}

struct port92;

/* RESET is pulsed (raised, lowered) on a rising bit 0; whoever listens resets the machine later, not
 * inside the call. NULL when memory is short. */
struct port92 *port92_create(const struct device_bus *bus, struct irq_line a20, struct irq_line reset);
/* For the keyboard controller; lives as long as the device. */
struct a20_gate *port92_a20_gate(struct port92 *port92);

#endif

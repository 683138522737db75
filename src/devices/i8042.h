/* The PC/AT keyboard controller with PS/2 mouse port: ports 60h and 64h.
 * Source: IBM PS/2 Hardware Interface Technical Reference, "Keyboard and Auxiliary Device Controller".
 *
 * Bytes from a device reach the output buffer no sooner than 500 us after the one before was read (a
 * PS/2 line carries about 1000 bytes a second), because guests read port 60h twice and rely on seeing
 * the same byte; answers of the controller itself are there at once. */
#ifndef DRAGOMAN_DEVICES_I8042_H
#define DRAGOMAN_DEVICES_I8042_H

#include "devices/port92.h"
#include "devices/ps2.h"

struct i8042;

struct i8042_lines {
    struct irq_line irq1, irq12;
    struct irq_line reset; /* pulsed; the listener resets the machine later, not inside the call */
};

/* KEYBOARD and MOUSE may be NULL (nothing plugged in) and outlive the controller, as does GATE.
 * NULL when memory is short. */
struct i8042 *i8042_create(const struct device_bus *bus, struct i8042_lines lines, struct a20_gate *gate,
                           struct ps2_device *keyboard, struct ps2_device *mouse);

#endif

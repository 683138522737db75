/* A PS/2 mouse: standard (3 buttons), IntelliMouse (wheel) or IntelliMouse Explorer (5 buttons),
 * whichever the guest's sample-rate knock asks for.
 * Source: IBM PS/2 Hardware Interface Technical Reference, "Mouse"; Microsoft IntelliMouse protocol. */
#ifndef DRAGOMAN_DEVICES_PS2_MOUSE_H
#define DRAGOMAN_DEVICES_PS2_MOUSE_H

#include "devices/ps2.h"

struct ps2_mouse;

enum {
    PS2_BUTTON_LEFT = 0x01,
    PS2_BUTTON_RIGHT = 0x02,
    PS2_BUTTON_MIDDLE = 0x04,
    PS2_BUTTON_SIDE = 0x08,
    PS2_BUTTON_EXTRA = 0x10
};

struct ps2_mouse *ps2_mouse_create(const struct device_bus *bus);
struct ps2_device *ps2_mouse_port(struct ps2_mouse *mouse);

/* Motion since the last call in host directions (DX right, DY down, DZ wheel towards the user), and
 * the buttons that are down now. What does not fit into packets yet is accumulated. Device lock held. */
void ps2_mouse_event(struct ps2_mouse *mouse, int dx, int dy, int dz, unsigned buttons);

#endif

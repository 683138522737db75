/* Port 80h, where firmware writes power-on self-test codes and everybody writes to wait a microsecond,
 * and port EDh, which serves for that too. Neither is worth a line in the log of unassigned ports. */
#ifndef DRAGOMAN_DEVICES_POST_PORT_H
#define DRAGOMAN_DEVICES_POST_PORT_H

#include "devices/device.h"

struct post_port;

/* NULL when memory is short. */
struct post_port *post_port_create(const struct device_bus *bus);
/* The last code; 0 after reset. */
uint8_t post_port_code(const struct post_port *post);
/* CHANGED is called with each code; may be NULL. */
void post_port_set_listener(struct post_port *post, void (*changed)(void *opaque, uint8_t code), void *opaque);

#endif

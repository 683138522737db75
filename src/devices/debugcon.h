/* isa-debugcon: one port, what is written to it goes to a character port ("-debugcon", Bochs's E9h).
 * Reads give READBACK (E9h by convention), by which firmware finds it. */
#ifndef DRAGOMAN_DEVICES_DEBUGCON_H
#define DRAGOMAN_DEVICES_DEBUGCON_H

#include "devices/char_port.h"
#include "devices/device.h"

struct debugcon;

/* ID is static. PORT may be NULL; its device side is filled in here. NULL when memory is short. */
struct debugcon *debugcon_create(const struct device_bus *bus, const char *id, uint16_t iobase, uint8_t readback,
                                 struct char_port *port);

#endif

/* isa-debug-exit: writing VALUE asks the emulator to end with exit code (VALUE << 1) | 1. */
#ifndef DRAGOMAN_DEVICES_DEBUG_EXIT_H
#define DRAGOMAN_DEVICES_DEBUG_EXIT_H

#include "devices/device.h"

enum { DEBUG_EXIT_DEFAULT_IOBASE = 0x501, DEBUG_EXIT_DEFAULT_IOSIZE = 4 };

struct debug_exit;

/* IOSIZE 1..16 ports from IOBASE. ASK is called inside the port write, with the exit code as it goes
 * to the host (the host keeps its low 8 bits); it must only take note. NULL when memory is short. */
struct debug_exit *debug_exit_create(const struct device_bus *bus, uint16_t iobase, unsigned iosize,
                                     void (*ask)(void *opaque, uint32_t code), void *opaque);

#endif

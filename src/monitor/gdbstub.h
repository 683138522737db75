/* The remote stub for gdb: `target remote HOST:PORT`, i386, one thread a vCPU.
 * Addresses are linear; physical ones after `maintenance packet Qqemu.PhyMemMode:1`. */
#ifndef DRAGOMAN_MONITOR_GDBSTUB_H
#define DRAGOMAN_MONITOR_GDBSTUB_H

#include "monitor/monitor.h"

struct gdbstub;

/* The stub serves whoever connects to CHARDEV: the machine stops then. MONITORS serves `monitor ...`. */
struct gdbstub *gdbstub_create(struct vm *vm, struct monitors *monitors, struct chardev *chardev, struct error *err);
/* Tells a connected gdb that the machine is gone. */
void gdbstub_destroy(struct gdbstub *stub);

#endif

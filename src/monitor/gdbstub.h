/* The remote stub for gdb: `target remote HOST:PORT`, i386, one thread a vCPU.
 * Addresses are linear; physical ones after `monitor gdb physical on` or `maintenance packet Qqemu.PhyMemMode:1`, in
 * memory packets alone. A single step takes no interrupt unless `monitor gdb interrupts on` was said.
 *
 * Software and hardware breakpoints are the same and change no memory; code without one runs at its usual speed. Watchpoints (write, read, access; 1 to 4096 bytes) see what the
 * processor reads and writes, not what devices do; while there is one, code runs an instruction at a time. */
#ifndef DRAGOMAN_MONITOR_GDBSTUB_H
#define DRAGOMAN_MONITOR_GDBSTUB_H

#include "monitor/monitor.h"

struct gdbstub;

/* The stub serves whoever connects to CHARDEV: the machine stops then. MONITORS serves `monitor ...`. */
struct gdbstub *gdbstub_create(struct vm *vm, struct monitors *monitors, struct chardev *chardev, struct error *err);
/* Tells a connected gdb that the machine is gone. */
void gdbstub_destroy(struct gdbstub *stub);

#endif

/* pc-testdev, the test device of kvm-unit-tests, with the addresses that QEMU gives it:
 *   E0h..E3h     a 4-byte register for any access size
 *   E4h          writing a physical address drops whatever the emulator derived from that page
 *   E8h..EBh     the same 4 bytes as E0h, one byte at a time
 *   2000h+n      sets interrupt line n (0..23) to the level written
 *   FF000000h    64 KiB of memory that is reached like a device */
#ifndef DRAGOMAN_DEVICES_PC_TESTDEV_H
#define DRAGOMAN_DEVICES_PC_TESTDEV_H

#include "devices/device.h"

enum { PC_TESTDEV_IRQ_COUNT = 24 };

struct pc_testdev;

/* IRQS: an irq_line.set that is called with NUMBER 0..23 (its own number is ignored). NULL when memory
 * is short. */
struct pc_testdev *pc_testdev_create(const struct device_bus *bus, struct irq_line irqs);

#endif

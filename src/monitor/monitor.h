/* The monitors of a machine: any number of human ones and of machine ones (QMP), each on a chardev.
 * Everything runs on the main loop's thread, without the device lock. */
#ifndef DRAGOMAN_MONITOR_MONITOR_H
#define DRAGOMAN_MONITOR_MONITOR_H

#include "vm/chardev.h"
#include "vm/vm.h"

struct console;
struct monitors;
struct monitor;

enum monitor_mode { MONITOR_HUMAN, MONITOR_CONTROL };

struct monitors *monitors_create(struct vm *vm, struct chardev_host *host, struct error *err);
/* Says goodbye (SHUTDOWN was sent by the machine's event) and frees all; the chardevs stay with
 * their owner. */
void monitors_destroy(struct monitors *monitors);

bool monitors_add(struct monitors *monitors, struct chardev *chardev, enum monitor_mode mode, struct error *err);
/* The machine's screen, keyboard and mouse, which displays share with the monitors and which stays until
 * monitors_destroy(). */
struct console *monitors_console(struct monitors *monitors);
/* For `info chardev` and query-chardev. */
void monitors_register_chardev(struct monitors *monitors, struct chardev *chardev);

#endif

/* The device contract.
 *
 * A device is a structure that starts with `struct device`. It knows its bus (through the region or
 * port range it was given, with offsets, never absolute addresses), its interrupt line and its
 * clock; it can be built, exercised and fuzzed without a processor. All calls come with the device
 * lock held. No device reads host time, keeps globals or touches another device but through lines
 * and buses. */
#ifndef DRAGOMAN_DEVICES_DEVICE_H
#define DRAGOMAN_DEVICES_DEVICE_H

#include "base/clock.h"
#include "base/compiler.h"
#include "base/error.h"
#include "base/log.h"
#include "base/state_table.h"
#include "mmu/memory.h"
#include "mmu/ports.h"

#include <stdlib.h>

struct device;

struct device_ops {
    const char *name;
    /* Power-on or bus reset. */
    void (*reset)(struct device *device);
    /* Frees the device itself; removes its regions, ports and timers first. */
    void (*destroy)(struct device *device);
    const struct state_table *state; /* NULL: nothing to save */
    /* One or more lines for `info ...`; may be NULL. */
    void (*describe)(struct device *device, void (*print)(void *to, const char *line), void *to);
};

struct device {
    const struct device_ops *ops;
    const char *id; /* unique on the board, e.g. "pic", "com1"; static or owned by the board */
    struct device *next;
};

/* A zeroed device structure of SIZE bytes (it starts with struct device); NULL when memory is short. */
static inline void *device_allocate(size_t size, const struct device_ops *ops, const char *id)
{
    struct device *device = calloc(1, size);
    if (device) {
        device->ops = ops;
        device->id = id;
    }
    return device;
}
/* What xyz_create() returned, as the device that it starts with. */
static inline struct device *device_of(void *created)
{
    return created;
}
static inline void device_reset(void *created)
{
    struct device *device = created;
    if (device->ops->reset)
        device->ops->reset(device);
}
/* NULL is allowed. */
static inline void device_destroy(void *created)
{
    struct device *device = created;
    if (device)
        device->ops->destroy(device);
}

/* An interrupt (or any signal) line: level in, somebody reacts. */
struct irq_line {
    void (*set)(void *opaque, unsigned number, bool level);
    void *opaque;
    unsigned number;
};

static inline void irq_set(const struct irq_line *line, bool level)
{
    if (line->set)
        line->set(line->opaque, line->number, level);
}
static inline void irq_raise(const struct irq_line *line)
{
    irq_set(line, true);
}
static inline void irq_lower(const struct irq_line *line)
{
    irq_set(line, false);
}

/* What every device is created with. */
struct device_bus {
    struct memory *memory;
    struct port_space *ports;
    struct clock *clock;
    struct log *log;
};

#endif

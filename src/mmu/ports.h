/* The I/O port space: 65536 ports, byte granularity. */
#ifndef DRAGOMAN_MMU_PORTS_H
#define DRAGOMAN_MMU_PORTS_H

#include "mmu/memory.h"

/* A device's claim on ports [base, base+count). Ops as for memory regions; OFFSET is from base.
 * max_access 0 means 1 here: ISA devices see bytes, and wider accesses are split. */
struct port_range {
    const char *name;
    uint16_t base;
    uint16_t count;
    const struct region_ops *ops;
    void *opaque;
    bool enabled;
    struct port_range *next;
};

struct port_space;

struct port_space *port_space_create(struct device_lock *lock, struct log *log, struct stats *stats);
void port_space_destroy(struct port_space *ports);
/* The caller owns RANGE. The range added last wins where two overlap (PCI BARs moved over ISA). */
void port_space_add(struct port_space *ports, struct port_range *range);
void port_space_remove(struct port_space *ports, struct port_range *range);
void port_space_update(struct port_space *ports, struct port_range *range, uint16_t base, bool enabled);
/* The access log in force, or NULL (lockstep). */
void port_space_set_access_log(struct port_space *ports, struct access_log *log);
/* Told of the vCPU's accesses; or NULL. */
void port_space_set_trace_hash(struct port_space *ports, struct trace_hash *hash);
struct port_range *port_space_first(struct port_space *ports); /* for info mtree */

/* SIZE 1, 2, 4; any alignment; wraps at 65536. Take the device lock. Unclaimed ports read as ones
 * and log once a port under -d unimp. */
uint32_t port_space_read(struct port_space *ports, uint16_t port, unsigned size);
void port_space_write(struct port_space *ports, uint16_t port, unsigned size, uint32_t value);

#endif

#include "mmu/ports.h"
#include "base/compiler.h"
#include "mmu/access_log.h"
#include "mmu/bus_access.h"

#include <stdlib.h>

#define PORT_COUNT       65536u
#define PORT_DEFAULT_MAX 1

struct port_space {
    struct device_lock *lock;
    struct log *log;
    struct stats *stats;
    struct access_log *access_log;
    struct trace_hash *trace_hash;
    struct port_range *ranges; /* newest first */
    uint8_t unimplemented_logged[PORT_COUNT / 8];
    struct port_range *at[PORT_COUNT];
};

struct port_space *port_space_create(struct device_lock *lock, struct log *log, struct stats *stats)
{
    struct port_space *ports = calloc(1, sizeof *ports);
    if (!ports)
        return NULL;
    ports->lock = lock;
    ports->log = log;
    ports->stats = stats;
    return ports;
}

void port_space_destroy(struct port_space *ports)
{
    free(ports);
}

static bool range_contains(const struct port_range *range, uint32_t port)
{
    return range->enabled && port >= range->base && port - range->base < range->count;
}

static void recompute(struct port_space *ports, uint32_t base, uint32_t count)
{
    for (uint32_t port = base; port < base + count && port < PORT_COUNT; port++) {
        struct port_range *range = ports->ranges;
        while (range && !range_contains(range, port))
            range = range->next;
        ports->at[port] = range;
    }
}

void port_space_add(struct port_space *ports, struct port_range *range)
{
    range->next = ports->ranges;
    ports->ranges = range;
    recompute(ports, range->base, range->count);
}

void port_space_remove(struct port_space *ports, struct port_range *range)
{
    struct port_range **link = &ports->ranges;
    while (*link && *link != range)
        link = &(*link)->next;
    if (!*link)
        return;
    *link = range->next;
    range->next = NULL;
    recompute(ports, range->base, range->count);
}

void port_space_update(struct port_space *ports, struct port_range *range, uint16_t base, bool enabled)
{
    uint16_t old_base = range->base;
    range->base = base;
    range->enabled = enabled;
    recompute(ports, old_base, range->count);
    recompute(ports, base, range->count);
}

void port_space_set_access_log(struct port_space *ports, struct access_log *log)
{
    ports->access_log = log;
}

void port_space_set_trace_hash(struct port_space *ports, struct trace_hash *hash)
{
    ports->trace_hash = hash;
}

struct port_range *port_space_first(struct port_space *ports)
{
    return ports->ranges;
}

static void log_unimplemented(struct port_space *ports, uint16_t port, unsigned size, const char *what)
{
    uint8_t bit = (uint8_t)(1u << (port % 8));
    if (!LOG_ENABLED(ports->log, UNIMP) || (ports->unimplemented_logged[port / 8] & bit))
        return;
    ports->unimplemented_logged[port / 8] |= bit;
    struct port_range *range = ports->at[port];
    log_write(ports->log, "%s of %u bytes at port 0x%04x: %s%s", what, size, port,
              range ? "not implemented by " : "nothing there", range ? range->name : "");
}

/* Ports from PORT on, at most SIZE and not beyond 65535, that the same range answers for. */
static unsigned same_range(struct port_space *ports, uint16_t port, unsigned size)
{
    unsigned run = 1;
    while (run < size && port + run < PORT_COUNT && ports->at[port + run] == ports->at[port])
        run++;
    return run;
}

static uint32_t dispatch_read(struct port_space *ports, uint16_t port, unsigned size)
{
    uint64_t value = 0;
    for (unsigned done = 0; done < size;) {
        uint16_t at = (uint16_t)(port + done);
        unsigned run = same_range(ports, at, size - done);
        struct port_range *range = ports->at[at];
        uint64_t part = UINT64_MAX;
        if (range && range->ops->read)
            part = bus_read(range->ops, range->opaque, (uint64_t)at - range->base, run, PORT_DEFAULT_MAX);
        else
            log_unimplemented(ports, at, run, "read");
        value |= (part & bus_size_mask(run)) << (8 * done);
        done += run;
    }
    LOG(ports->log, IO, "port read  0x%04x size %u: 0x%x (%s)", port, size, (unsigned)value,
        ports->at[port] ? ports->at[port]->name : "-");
    return (uint32_t)value;
}

static void dispatch_write(struct port_space *ports, uint16_t port, unsigned size, uint32_t value)
{
    LOG(ports->log, IO, "port write 0x%04x size %u: 0x%x (%s)", port, size, value,
        ports->at[port] ? ports->at[port]->name : "-");
    for (unsigned done = 0; done < size;) {
        uint16_t at = (uint16_t)(port + done);
        unsigned run = same_range(ports, at, size - done);
        struct port_range *range = ports->at[at];
        uint64_t part = ((uint64_t)value >> (8 * done)) & bus_size_mask(run);
        if (range && range->ops->write)
            bus_write(range->ops, range->opaque, (uint64_t)at - range->base, run, part, PORT_DEFAULT_MAX);
        else
            log_unimplemented(ports, at, run, "write");
        done += run;
    }
}

uint32_t port_space_read(struct port_space *ports, uint16_t port, unsigned size)
{
    uint64_t replayed;
    struct access_log *access_log = ports->access_log;
    if (access_log && access_log_replay(access_log, DEVICE_ACCESS_PORT_READ, port, size, &replayed))
        return (uint32_t)replayed;
    int phase = stats_enter_device(ports->stats);
    device_lock_acquire(ports->lock);
    ports->stats->port_reads++;
    uint32_t value = dispatch_read(ports, port, size);
    trace_hash_access(ports->trace_hash, TRACE_PORT_READ, port, size, value);
    device_lock_release(ports->lock);
    stats_leave_device(ports->stats, phase);
    if (access_log)
        access_log_device(access_log, DEVICE_ACCESS_PORT_READ, port, size, value);
    return value;
}

void port_space_write(struct port_space *ports, uint16_t port, unsigned size, uint32_t value)
{
    uint64_t replayed;
    struct access_log *access_log = ports->access_log;
    value &= (uint32_t)bus_size_mask(size);
    replayed = value;
    if (access_log && access_log_replay(access_log, DEVICE_ACCESS_PORT_WRITE, port, size, &replayed))
        return;
    int phase = stats_enter_device(ports->stats);
    device_lock_acquire(ports->lock);
    ports->stats->port_writes++;
    trace_hash_access(ports->trace_hash, TRACE_PORT_WRITE, port, size, value);
    dispatch_write(ports, port, size, value);
    device_lock_release(ports->lock);
    stats_leave_device(ports->stats, phase);
    if (access_log)
        access_log_device(access_log, DEVICE_ACCESS_PORT_WRITE, port, size, value);
}

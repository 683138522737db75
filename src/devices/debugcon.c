#include "devices/debugcon.h"

#include <string.h>

/* The port has no way to make the guest wait, so output that the host does not take yet is kept here;
 * beyond this it is lost. */
enum { BACKLOG_SIZE = 65536 };

struct debugcon {
    struct device device;
    struct device_bus bus;
    struct char_port *port;
    uint8_t readback;
    uint32_t backlog_length;
    uint8_t backlog[BACKLOG_SIZE];
    struct port_range ports;
};

static uint64_t debugcon_read(void *opaque, uint64_t offset, unsigned size)
{
    struct debugcon *debugcon = opaque;
    return debugcon->readback;
}

static void debugcon_flush(struct debugcon *debugcon)
{
    struct char_port *port = debugcon->port;
    if (!port || !port->write) {
        debugcon->backlog_length = 0;
        return;
    }
    if (!debugcon->backlog_length)
        return;
    size_t taken = port->write(port, debugcon->backlog, debugcon->backlog_length);
    if (taken > debugcon->backlog_length)
        taken = debugcon->backlog_length;
    debugcon->backlog_length -= (uint32_t)taken;
    memmove(debugcon->backlog, debugcon->backlog + taken, debugcon->backlog_length);
}

static void debugcon_write(void *opaque, uint64_t offset, unsigned size, uint64_t value)
{
    struct debugcon *debugcon = opaque;
    if (debugcon->backlog_length < BACKLOG_SIZE)
        debugcon->backlog[debugcon->backlog_length++] = (uint8_t)value;
    debugcon_flush(debugcon);
}

static const struct region_ops debugcon_port_ops = {.read = debugcon_read, .write = debugcon_write};

static size_t debugcon_can_receive(void *device)
{
    return SIZE_MAX; /* input goes nowhere */
}

static void debugcon_receive(void *device, const uint8_t *data, size_t length)
{
}

static void debugcon_writable(void *device)
{
    debugcon_flush(device);
}

static void debugcon_destroy(struct device *device)
{
    struct debugcon *debugcon = (struct debugcon *)device;
    port_space_remove(debugcon->bus.ports, &debugcon->ports);
    if (debugcon->port) {
        debugcon->port->device = NULL;
        debugcon->port->can_receive = NULL;
        debugcon->port->receive = NULL;
        debugcon->port->writable = NULL;
    }
    free(debugcon);
}

static const struct device_ops debugcon_ops = {.name = "isa-debugcon", .destroy = debugcon_destroy};

struct debugcon *debugcon_create(const struct device_bus *bus, const char *id, uint16_t iobase, uint8_t readback,
                                 struct char_port *port)
{
    struct debugcon *debugcon = device_allocate(sizeof(*debugcon), &debugcon_ops, id);
    if (!debugcon)
        return NULL;
    debugcon->bus = *bus;
    debugcon->readback = readback;
    debugcon->port = port;
    if (port) {
        port->can_receive = debugcon_can_receive;
        port->receive = debugcon_receive;
        port->writable = debugcon_writable;
        port->device = debugcon;
    }
    debugcon->ports = (struct port_range){
        .name = id, .base = iobase, .count = 1, .ops = &debugcon_port_ops, .opaque = debugcon, .enabled = true};
    port_space_add(bus->ports, &debugcon->ports);
    return debugcon;
}

#include "devices/debug_exit.h"

struct debug_exit {
    struct device device;
    struct device_bus bus;
    void (*ask)(void *opaque, uint32_t code);
    void *opaque;
    struct port_range ports;
};

static uint64_t debug_exit_read(void *opaque, uint64_t offset, unsigned size)
{
    return 0;
}

static void debug_exit_write(void *opaque, uint64_t offset, unsigned size, uint64_t value)
{
    struct debug_exit *debug_exit = opaque;
    debug_exit->ask(debug_exit->opaque, (uint32_t)value << 1 | 1);
}

static const struct region_ops debug_exit_port_ops = {
    .read = debug_exit_read, .write = debug_exit_write, .max_access = 4};

static void debug_exit_destroy(struct device *device)
{
    struct debug_exit *debug_exit = (struct debug_exit *)device;
    port_space_remove(debug_exit->bus.ports, &debug_exit->ports);
    free(debug_exit);
}

static const struct device_ops debug_exit_ops = {.name = "isa-debug-exit", .destroy = debug_exit_destroy};

struct debug_exit *debug_exit_create(const struct device_bus *bus, uint16_t iobase, unsigned iosize,
                                     void (*ask)(void *opaque, uint32_t code), void *opaque)
{
    struct debug_exit *debug_exit = device_allocate(sizeof(*debug_exit), &debug_exit_ops, "debug-exit");
    if (!debug_exit)
        return NULL;
    debug_exit->bus = *bus;
    debug_exit->ask = ask;
    debug_exit->opaque = opaque;
    debug_exit->ports = (struct port_range){.name = "isa-debug-exit",
                                            .base = iobase,
                                            .count = (uint16_t)iosize,
                                            .ops = &debug_exit_port_ops,
                                            .opaque = debug_exit,
                                            .enabled = true};
    port_space_add(bus->ports, &debug_exit->ports);
    return debug_exit;
}

#include "devices/port92.h"

enum { FAST_RESET = 0x01, A20 = 0x02, STORED = 0xc8 };

struct port92 {
    struct device device;
    struct device_bus bus;
    struct a20_gate gate;
    struct irq_line reset;
    uint8_t control;
    struct port_range ports;
};

static uint64_t port92_read(void *opaque, uint64_t offset, unsigned size)
{
    struct port92 *port92 = opaque;
    return port92->control | (port92->gate.enabled ? A20 : 0);
}

static void port92_write(void *opaque, uint64_t offset, unsigned size, uint64_t value)
{
    struct port92 *port92 = opaque;
    bool rising = (value & FAST_RESET) && !(port92->control & FAST_RESET);
    port92->control = value & (STORED | FAST_RESET);
    a20_gate_set(&port92->gate, value & A20);
    if (rising) {
        irq_raise(&port92->reset);
        irq_lower(&port92->reset);
    }
}

static const struct region_ops port92_port_ops = {.read = port92_read, .write = port92_write};

struct a20_gate *port92_a20_gate(struct port92 *port92)
{
    return &port92->gate;
}

static void port92_reset(struct device *device)
{
    struct port92 *port92 = (struct port92 *)device;
    port92->control = 0;
    a20_gate_set(&port92->gate, true);
}

static void port92_destroy(struct device *device)
{
    struct port92 *port92 = (struct port92 *)device;
    port_space_remove(port92->bus.ports, &port92->ports);
    free(port92);
}

static const struct state_field port92_fields[] = {
    STATE_INT(struct port92, control),
    STATE_INT(struct port92, gate.enabled),
    STATE_END,
};

static void port92_loaded(void *object)
{
    struct port92 *port92 = object;
    irq_set(&port92->gate.output, port92->gate.enabled);
}

static const struct state_table port92_state = {"port92", 1, port92_fields, .loaded = port92_loaded};
static const struct device_ops port92_ops = {
    .name = "port92", .reset = port92_reset, .destroy = port92_destroy, .state = &port92_state};

struct port92 *port92_create(const struct device_bus *bus, struct irq_line a20, struct irq_line reset)
{
    struct port92 *port92 = device_allocate(sizeof(*port92), &port92_ops, "port92");
    if (!port92)
        return NULL;
    port92->bus = *bus;
    port92->gate.output = a20;
    port92->reset = reset;
    port92->ports = (struct port_range){
        .name = "port92", .base = 0x92, .count = 1, .ops = &port92_port_ops, .opaque = port92, .enabled = true};
    port_space_add(bus->ports, &port92->ports);
    port92_reset(&port92->device);
    return port92;
}

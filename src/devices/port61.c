/* System control port B; PIIX3 data sheet, "NMI Status and Control Register". */
#include "devices/port61.h"
#include "devices/ticks.h"

enum { GATE2 = 0x01, SPEAKER = 0x02, STORED = 0x0f, REFRESH = 0x10, OUT2 = 0x20 };
/* Memory is refreshed each 18 ticks of the timer's oscillator (15.085 us). */
enum { REFRESH_TICKS = 18 };

struct port61 {
    struct device device;
    struct device_bus bus;
    struct pit *pit;
    uint8_t control;
    struct port_range ports;
};

static uint64_t port61_read(void *opaque, uint64_t offset, unsigned size)
{
    struct port61 *port61 = opaque;
    uint8_t value = port61->control;
    if (ticks_at(clock_now(port61->bus.clock), PIT_HERTZ) / REFRESH_TICKS & 1)
        value |= REFRESH;
    if (pit_get_out(port61->pit, 2))
        value |= OUT2;
    return value;
}

static void port61_write(void *opaque, uint64_t offset, unsigned size, uint64_t value)
{
    struct port61 *port61 = opaque;
    port61->control = value & STORED;
    pit_set_gate(port61->pit, 2, value & GATE2);
}

static const struct region_ops port61_port_ops = {.read = port61_read, .write = port61_write};

bool port61_speaker_is_on(const struct port61 *port61)
{
    return port61->control & SPEAKER;
}

static void port61_reset(struct device *device)
{
    struct port61 *port61 = (struct port61 *)device;
    port61->control = 0;
    pit_set_gate(port61->pit, 2, false);
}

static void port61_destroy(struct device *device)
{
    struct port61 *port61 = (struct port61 *)device;
    port_space_remove(port61->bus.ports, &port61->ports);
    free(port61);
}

static const struct state_field port61_fields[] = {STATE_INT(struct port61, control), STATE_END};
static const struct state_table port61_state = {"port61", 1, port61_fields, NULL};
static const struct device_ops port61_ops = {
    .name = "port61", .reset = port61_reset, .destroy = port61_destroy, .state = &port61_state};

struct port61 *port61_create(const struct device_bus *bus, struct pit *pit)
{
    struct port61 *port61 = device_allocate(sizeof(*port61), &port61_ops, "port61");
    if (!port61)
        return NULL;
    port61->bus = *bus;
    port61->pit = pit;
    port61->ports = (struct port_range){
        .name = "port61", .base = 0x61, .count = 1, .ops = &port61_port_ops, .opaque = port61, .enabled = true};
    port_space_add(bus->ports, &port61->ports);
    return port61;
}

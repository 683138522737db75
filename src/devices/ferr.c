#include "devices/ferr.h"

struct ferr {
    struct device device;
    struct device_bus bus;
    struct irq_line irq13, ignne_line;
    bool asserted; /* FERR# */
    bool pending;  /* IRQ 13 */
    bool ignne;
    struct port_range ports;
};

static void ferr_update(struct ferr *ferr, bool pending, bool ignne)
{
    if (pending != ferr->pending) {
        ferr->pending = pending;
        irq_set(&ferr->irq13, pending);
    }
    if (ignne != ferr->ignne) {
        ferr->ignne = ignne;
        irq_set(&ferr->ignne_line, ignne);
    }
}

void ferr_set(struct ferr *ferr, bool level)
{
    bool rising = level && !ferr->asserted;
    ferr->asserted = level;
    ferr_update(ferr, ferr->pending || (rising && !ferr->ignne), ferr->ignne && level);
}

bool ferr_ignne(const struct ferr *ferr)
{
    return ferr->ignne;
}

void ferr_set_ignne_line(struct ferr *ferr, struct irq_line line)
{
    ferr->ignne_line = line;
}

static void ferr_write(void *opaque, uint64_t offset, unsigned size, uint64_t value)
{
    struct ferr *ferr = opaque;
    ferr_update(ferr, false, offset == 0 ? ferr->asserted : ferr->ignne);
}

static uint64_t ferr_read(void *opaque, uint64_t offset, unsigned size)
{
    return 0xff; /* write only */
}

static const struct region_ops ferr_port_ops = {.read = ferr_read, .write = ferr_write};

static void ferr_reset(struct device *device)
{
    struct ferr *ferr = (struct ferr *)device;
    ferr->asserted = false;
    ferr_update(ferr, false, false);
}

static void ferr_destroy(struct device *device)
{
    struct ferr *ferr = (struct ferr *)device;
    port_space_remove(ferr->bus.ports, &ferr->ports);
    free(ferr);
}

static const struct state_field ferr_fields[] = {
    STATE_INT(struct ferr, asserted),
    STATE_INT(struct ferr, pending),
    STATE_INT(struct ferr, ignne),
    STATE_END,
};

static void ferr_loaded(void *object)
{
    struct ferr *ferr = object;
    irq_set(&ferr->ignne_line, ferr->ignne);
}

static const struct state_table ferr_state = {"ferr", 1, ferr_fields, .loaded = ferr_loaded};
static const struct device_ops ferr_ops = {
    .name = "ferr", .reset = ferr_reset, .destroy = ferr_destroy, .state = &ferr_state};

struct ferr *ferr_create(const struct device_bus *bus, struct irq_line irq13)
{
    struct ferr *ferr = device_allocate(sizeof(*ferr), &ferr_ops, "ferr");
    if (!ferr)
        return NULL;
    ferr->bus = *bus;
    ferr->irq13 = irq13;
    ferr->ports = (struct port_range){
        .name = "ferr", .base = 0xf0, .count = 2, .ops = &ferr_port_ops, .opaque = ferr, .enabled = true};
    port_space_add(bus->ports, &ferr->ports);
    return ferr;
}

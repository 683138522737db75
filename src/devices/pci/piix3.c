#include "devices/pci/piix3.h"

#include <string.h>

enum { ROUTE_OFF = 0x80, ROUTE_IRQ = 0x0f };
enum { RESET_HARD = 0x02, RESET_CPU = 0x04 }; /* CF9h: bit 2 rising resets, bit 1 says how much */
/* IRQs that a PIRQ may be routed to; 0, 1, 2, 8 and 13 are reserved. */
#define ROUTABLE 0xdef8u

struct piix3 {
    struct pci_device pci;
    struct irq_line pic, reset;
    uint16_t isa_levels; /* one bit an IRQ */
    uint8_t pirq_levels; /* one bit a PIRQ */
    uint16_t driven;     /* what the PIC was told last */
    uint8_t reset_control;
};

static void bridge_update_irqs(struct piix3 *bridge)
{
    uint16_t levels = bridge->isa_levels;
    for (unsigned pirq = 0; pirq < PCI_PIRQ_COUNT; pirq++) {
        uint8_t route = bridge->pci.config[PIIX3_PIRQ_ROUTE_A + pirq];
        unsigned irq = route & ROUTE_IRQ;
        if (!(route & ROUTE_OFF) && (ROUTABLE >> irq & 1) && (bridge->pirq_levels >> pirq & 1))
            levels |= (uint16_t)(1u << irq);
    }
    uint16_t changed = levels ^ bridge->driven;
    bridge->driven = levels;
    for (unsigned irq = 0; changed; irq++, changed >>= 1) {
        if ((changed & 1) && bridge->pic.set)
            bridge->pic.set(bridge->pic.opaque, irq, levels >> irq & 1);
    }
}

void piix3_set_isa_irq(void *opaque, unsigned irq, bool level)
{
    struct piix3 *bridge = opaque;
    if (irq > 15)
        return;
    uint16_t bit = (uint16_t)(1u << irq);
    bridge->isa_levels = level ? bridge->isa_levels | bit : bridge->isa_levels & ~bit;
    bridge_update_irqs(bridge);
}

static void bridge_set_pirq(void *opaque, unsigned pirq, bool level)
{
    struct piix3 *bridge = opaque;
    uint8_t bit = (uint8_t)(1u << pirq);
    bridge->pirq_levels = level ? bridge->pirq_levels | bit : bridge->pirq_levels & ~bit;
    bridge_update_irqs(bridge);
}

void piix3_route_pirq(struct piix3 *bridge, unsigned pirq, unsigned irq)
{
    bridge->pci.config[PIIX3_PIRQ_ROUTE_A + (pirq & 3)] = irq & ROUTE_IRQ;
    bridge_update_irqs(bridge);
}

static void bridge_config_written(struct pci_device *pci, unsigned offset, unsigned size)
{
    bridge_update_irqs((struct piix3 *)pci);
}

static uint64_t reset_control_read(void *opaque, uint64_t offset, unsigned size)
{
    struct piix3 *bridge = opaque;
    return bridge->reset_control;
}

static void reset_control_write(void *opaque, uint64_t offset, unsigned size, uint64_t value)
{
    struct piix3 *bridge = opaque;
    bool rising = (value & RESET_CPU) && !(bridge->reset_control & RESET_CPU);
    bridge->reset_control = value & (RESET_HARD | RESET_CPU);
    if (rising) {
        irq_raise(&bridge->reset);
        irq_lower(&bridge->reset);
    }
}

static const struct region_ops reset_control_ops = {.read = reset_control_read, .write = reset_control_write};

static void bridge_reset(struct device *device)
{
    struct piix3 *bridge = (struct piix3 *)device;
    uint8_t *config = bridge->pci.config;
    pci_device_reset(&bridge->pci);
    pci_set16(config, PCI_COMMAND, 0x0007); /* I/O, memory and master are always on */
    pci_set16(config, PCI_STATUS, 0x0200);
    memset(config + 0x40, 0, 0x100 - 0x40);
    config[0x4c] = 0x4d;                               /* ISA I/O recovery */
    config[0x4e] = 0x03;                               /* X-bus chip selects: RTC and keyboard controller */
    memset(config + PIIX3_PIRQ_ROUTE_A, ROUTE_OFF, 4); /* PIRQRC[A:D] */
    config[0x69] = 0x02;                               /* top of memory: 1 MiB */
    config[0x70] = 0x80;                               /* motherboard IRQ 0 off */
    config[0x76] = config[0x77] = 0x0c;                /* motherboard DMA off */
    config[0x78] = 0x02;
    config[0xa0] = 0x08;
    config[0xa8] = 0x0f;
    bridge->reset_control = 0;
    bridge_update_irqs(bridge);
}

static void bridge_destroy(struct device *device)
{
    struct piix3 *bridge = (struct piix3 *)device;
    pci_bus_set_interrupt_router(bridge->pci.pci, NULL, NULL);
    pci_bus_set_port_cf9(bridge->pci.pci, NULL, NULL);
    pci_device_finish(&bridge->pci);
    free(bridge);
}

static void bridge_describe(struct device *device, void (*print)(void *to, const char *line), void *to)
{
    struct piix3 *bridge = (struct piix3 *)device;
    char line[120];
    for (unsigned pirq = 0; pirq < PCI_PIRQ_COUNT; pirq++) {
        uint8_t route = bridge->pci.config[PIIX3_PIRQ_ROUTE_A + pirq];
        if (route & ROUTE_OFF)
            snprintf(line, sizeof(line), "PIRQ%c: off", 'A' + pirq);
        else
            snprintf(line, sizeof(line), "PIRQ%c: IRQ %u, %s", 'A' + pirq, route & ROUTE_IRQ,
                     bridge->pirq_levels >> pirq & 1 ? "asserted" : "idle");
        print(to, line);
    }
}

static const struct state_field bridge_fields[] = {
    PCI_STATE_FIELDS(struct piix3, pci), STATE_INT(struct piix3, isa_levels),    STATE_INT(struct piix3, pirq_levels),
    STATE_INT(struct piix3, driven),     STATE_INT(struct piix3, reset_control), STATE_END,
};

static void bridge_loaded(void *object)
{
    struct piix3 *bridge = object;
    pci_device_loaded(&bridge->pci);
}

static const struct state_table bridge_state = {"piix3", 1, bridge_fields, .loaded = bridge_loaded};
static const struct device_ops bridge_ops = {
    .name = "piix3",
    .reset = bridge_reset,
    .destroy = bridge_destroy,
    .state = &bridge_state,
    .describe = bridge_describe,
};

struct piix3 *piix3_create(const struct device_bus *bus, struct pci_bus *pci, struct irq_line pic,
                           struct irq_line reset)
{
    struct piix3 *bridge = device_allocate(sizeof(*bridge), &bridge_ops, "piix3");
    if (!bridge)
        return NULL;
    bridge->pic = pic;
    bridge->reset = reset;
    pci_device_init(&bridge->pci, bus, pci, PCI_DEVFN(1, 0), 0x8086, 0x7000, 0x0601);
    bridge->pci.config[PCI_HEADER_TYPE] = 0x80; /* multi-function */
    bridge->pci.config_written = bridge_config_written;
    uint8_t *writable = bridge->pci.writable;
    pci_set16(writable, PCI_COMMAND, 0x0108); /* special cycles, SERR# */
    writable[PCI_INTERRUPT_LINE] = writable[PCI_LATENCY_TIMER] = writable[PCI_CACHE_LINE_SIZE] = 0;
    writable[0x4c] = 0x7f;
    pci_set16(writable, 0x4e, 0x03ff);
    memset(writable + PIIX3_PIRQ_ROUTE_A, 0x8f, 4);
    writable[0x69] = 0xfe;
    pci_set16(writable, 0x6a, 0x8077);
    writable[0x70] = 0xef;
    writable[0x76] = writable[0x77] = 0x8f;
    pci_set16(writable, 0x78, 0xfff3);
    memset(writable + 0x80, 0xff, 3);
    memset(writable + 0xa0, 0xff, 16);
    pci_bus_set_interrupt_router(pci, bridge_set_pirq, bridge);
    pci_bus_set_port_cf9(pci, &reset_control_ops, bridge);
    bridge_reset(&bridge->pci.device);
    return bridge;
}

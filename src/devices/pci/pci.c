#include "devices/pci/pci.h"

#include <string.h>

#define CONFIG_ENABLE       0x80000000u
#define CONFIG_ADDRESS_BITS 0x80fffffcu /* enable, bus, device, function, register */

struct pci_bus {
    struct device device;
    struct device_bus bus;
    uint32_t address; /* CF8h */
    struct pci_device *devices[256];
    uint8_t pirq_count[PCI_PIRQ_COUNT]; /* functions that pull each line */
    void (*route)(void *opaque, unsigned pirq, bool level);
    void *route_opaque;
    const struct region_ops *cf9_ops;
    void *cf9_opaque;
    struct port_range address_ports, data_ports;
};

/* ---- the bus ---- */

static struct pci_device *addressed_device(struct pci_bus *pci)
{
    if (!(pci->address & CONFIG_ENABLE) || (pci->address >> 16 & 0xff) != 0)
        return NULL;
    return pci->devices[pci->address >> 8 & 0xff];
}

static uint64_t address_read(void *opaque, uint64_t offset, unsigned size)
{
    struct pci_bus *pci = opaque;
    if (offset == 0 && size == 4)
        return pci->address;
    if (offset == 1 && size == 1 && pci->cf9_ops)
        return pci->cf9_ops->read(pci->cf9_opaque, 0, 1);
    /* Anything but a doubleword access is an ordinary I/O cycle that nobody claims. */
    return UINT64_MAX;
}

static void address_write(void *opaque, uint64_t offset, unsigned size, uint64_t value)
{
    struct pci_bus *pci = opaque;
    if (offset == 0 && size == 4)
        pci->address = (uint32_t)value & CONFIG_ADDRESS_BITS;
    else if (offset == 1 && size == 1 && pci->cf9_ops)
        pci->cf9_ops->write(pci->cf9_opaque, 0, 1, value);
}

static uint64_t data_read(void *opaque, uint64_t offset, unsigned size)
{
    struct pci_bus *pci = opaque;
    struct pci_device *device = addressed_device(pci);
    return device ? pci_config_read(device, (pci->address & 0xfc) + (unsigned)offset, size) : UINT64_MAX;
}

static void data_write(void *opaque, uint64_t offset, unsigned size, uint64_t value)
{
    struct pci_bus *pci = opaque;
    struct pci_device *device = addressed_device(pci);
    if (device)
        pci_config_write(device, (pci->address & 0xfc) + (unsigned)offset, size, (uint32_t)value);
}

static const struct region_ops address_ops = {.read = address_read, .write = address_write, .max_access = 4};
static const struct region_ops data_port_ops = {.read = data_read, .write = data_write, .max_access = 4};

unsigned pci_bus_pirq(unsigned slot, unsigned pin)
{
    /* The usual swizzle, with slot 1's INTA# on PIRQA (as on PIIX boards). */
    return (pin - 1 + slot - 1) & 3;
}

static void bus_set_pirq(struct pci_bus *pci, unsigned pirq, bool level)
{
    pci->pirq_count[pirq] += level ? 1 : -1;
    if (pci->route && pci->pirq_count[pirq] == (level ? 1 : 0))
        pci->route(pci->route_opaque, pirq, level);
}

void pci_bus_set_interrupt_router(struct pci_bus *pci, void (*set)(void *opaque, unsigned pirq, bool level),
                                  void *opaque)
{
    pci->route = set;
    pci->route_opaque = opaque;
}

void pci_bus_set_port_cf9(struct pci_bus *pci, const struct region_ops *ops, void *opaque)
{
    pci->cf9_ops = ops;
    pci->cf9_opaque = opaque;
}

struct pci_device *pci_bus_device(struct pci_bus *pci, uint8_t devfn)
{
    return pci->devices[devfn];
}

static void describe_bar(const struct pci_device *device, unsigned index, void (*print)(void *to, const char *line),
                         void *to)
{
    const struct pci_bar *bar = &device->bars[index];
    char line[120];
    if (bar->kind == PCI_BAR_NONE)
        return;
    uint32_t value = pci_get32(device->config, index == PCI_ROM_BAR ? PCI_ROM_ADDRESS : PCI_BAR0 + 4 * index);
    snprintf(line, sizeof(line), "      BAR%u: %s at 0x%08x, size 0x%x%s", index,
             bar->kind == PCI_BAR_IO ? "I/O" : "memory", value & (bar->kind == PCI_BAR_IO ? ~3u : ~15u), bar->size,
             (bar->ports ? bar->ports->enabled : bar->region->enabled) ? "" : " (off)");
    print(to, line);
}

void pci_bus_describe(struct pci_bus *pci, void (*print)(void *to, const char *line), void *to)
{
    char line[120];
    for (unsigned devfn = 0; devfn < 256; devfn++) {
        const struct pci_device *device = pci->devices[devfn];
        if (!device)
            continue;
        const uint8_t *config = device->config;
        snprintf(line, sizeof(line), "  Bus  0, device %3u, function %u: class %04x, %04x:%04x (%s)", devfn >> 3,
                 devfn & 7, pci_get16(config, PCI_CLASS), pci_get16(config, PCI_VENDOR_ID),
                 pci_get16(config, PCI_DEVICE_ID), device->device.id);
        print(to, line);
        if (config[PCI_INTERRUPT_PIN]) {
            snprintf(line, sizeof(line), "      IRQ %u, pin %c", config[PCI_INTERRUPT_LINE],
                     'A' + config[PCI_INTERRUPT_PIN] - 1);
            print(to, line);
        }
        for (unsigned i = 0; i <= PCI_ROM_BAR; i++)
            describe_bar(device, i, print, to);
    }
}

static void bus_reset(struct device *device)
{
    ((struct pci_bus *)device)->address = 0;
}

static void bus_destroy(struct device *device)
{
    struct pci_bus *pci = (struct pci_bus *)device;
    port_space_remove(pci->bus.ports, &pci->address_ports);
    port_space_remove(pci->bus.ports, &pci->data_ports);
    free(pci);
}

static void bus_describe(struct device *device, void (*print)(void *to, const char *line), void *to)
{
    pci_bus_describe((struct pci_bus *)device, print, to);
}

static const struct state_field bus_fields[] = {
    STATE_INT(struct pci_bus, address),
    STATE_BYTES(struct pci_bus, pirq_count),
    STATE_END,
};
static const struct state_table bus_state = {"pci", 1, bus_fields, NULL};
static const struct device_ops bus_ops = {
    .name = "pci", .reset = bus_reset, .destroy = bus_destroy, .state = &bus_state, .describe = bus_describe};

struct pci_bus *pci_bus_create(const struct device_bus *bus)
{
    struct pci_bus *pci = device_allocate(sizeof(*pci), &bus_ops, "pci");
    if (!pci)
        return NULL;
    pci->bus = *bus;
    pci->address_ports = (struct port_range){
        .name = "pci-address", .base = 0xcf8, .count = 4, .ops = &address_ops, .opaque = pci, .enabled = true};
    pci->data_ports = (struct port_range){
        .name = "pci-data", .base = 0xcfc, .count = 4, .ops = &data_port_ops, .opaque = pci, .enabled = true};
    port_space_add(bus->ports, &pci->address_ports);
    port_space_add(bus->ports, &pci->data_ports);
    return pci;
}

/* ---- functions ---- */

static unsigned bar_offset(unsigned index)
{
    return index == PCI_ROM_BAR ? PCI_ROM_ADDRESS : PCI_BAR0 + 4 * index;
}

/* Puts the ranges behind the BARs where command register and BARs say. */
static void update_mappings(struct pci_device *device)
{
    uint16_t command = pci_get16(device->config, PCI_COMMAND);
    for (unsigned i = 0; i <= PCI_ROM_BAR; i++) {
        struct pci_bar *bar = &device->bars[i];
        uint32_t value = pci_get32(device->config, bar_offset(i));
        if (bar->kind == PCI_BAR_IO) {
            uint32_t base = value & ~(bar->size - 1);
            bool enabled = (command & PCI_COMMAND_IO) && base && (uint64_t)base + bar->size <= 0x10000;
            uint16_t port = enabled ? (uint16_t)base : bar->ports->base;
            if (enabled != bar->ports->enabled || port != bar->ports->base)
                port_space_update(device->bus.ports, bar->ports, port, enabled);
        } else if (bar->kind != PCI_BAR_NONE) {
            uint32_t base = value & ~(bar->size - 1);
            bool enabled = (command & PCI_COMMAND_MEMORY) && base && (uint64_t)base + bar->size < 1ull << 32;
            if (i == PCI_ROM_BAR)
                enabled = enabled && (value & 1);
            uint64_t address = enabled ? base : bar->region->base;
            if (enabled != bar->region->enabled || address != bar->region->base)
                memory_update_region(device->bus.memory, bar->region, address, enabled);
        }
    }
}

static void update_interrupt(struct pci_device *device, bool before)
{
    uint8_t pin = device->config[PCI_INTERRUPT_PIN];
    bool off = pci_get16(device->config, PCI_COMMAND) & PCI_COMMAND_INTX_OFF;
    bool now = device->interrupt_level && !off;
    if (pin >= 1 && pin <= 4 && now != before)
        bus_set_pirq(device->pci, pci_bus_pirq(device->devfn >> 3, pin), now);
}

static bool interrupt_is_driven(const struct pci_device *device)
{
    return device->interrupt_level && !(pci_get16(device->config, PCI_COMMAND) & PCI_COMMAND_INTX_OFF);
}

void pci_device_set_interrupt(struct pci_device *device, bool level)
{
    bool before = interrupt_is_driven(device);
    device->interrupt_level = level;
    if (level)
        device->config[PCI_STATUS] |= PCI_STATUS_INTERRUPT;
    else
        device->config[PCI_STATUS] &= ~PCI_STATUS_INTERRUPT;
    update_interrupt(device, before);
}

uint32_t pci_config_read(struct pci_device *device, unsigned offset, unsigned size)
{
    uint32_t value = 0;
    for (unsigned i = 0; i < size && offset + i < PCI_CONFIG_SIZE; i++)
        value |= (uint32_t)device->config[offset + i] << (8 * i);
    return value;
}

void pci_config_write(struct pci_device *device, unsigned offset, unsigned size, uint32_t value)
{
    bool interrupt_before = interrupt_is_driven(device);
    for (unsigned i = 0; i < size && offset + i < PCI_CONFIG_SIZE; i++) {
        unsigned at = offset + i;
        uint8_t byte = (uint8_t)(value >> (8 * i)), writable = device->writable[at];
        device->config[at] = (uint8_t)((device->config[at] & ~writable) | (byte & writable));
        device->config[at] &= (uint8_t) ~(byte & device->write_1_clears[at]);
    }
    if (offset < PCI_STATUS && offset + size > PCI_COMMAND) {
        update_interrupt(device, interrupt_before);
        update_mappings(device);
    } else if ((offset < PCI_BAR0 + 4 * PCI_BAR_COUNT && offset + size > PCI_BAR0) ||
               (offset < PCI_ROM_ADDRESS + 4 && offset + size > PCI_ROM_ADDRESS)) {
        update_mappings(device);
    }
    if (device->config_written)
        device->config_written(device, offset, size);
}

void pci_device_init(struct pci_device *device, const struct device_bus *bus, struct pci_bus *pci, uint8_t devfn,
                     uint16_t vendor, uint16_t product, uint16_t class_code)
{
    device->bus = *bus;
    device->pci = pci;
    device->devfn = devfn;
    pci_set16(device->config, PCI_VENDOR_ID, vendor);
    pci_set16(device->config, PCI_DEVICE_ID, product);
    pci_set16(device->config, PCI_CLASS, class_code);
    /* Firmware knows the board, and that it has a fw_cfg, by the host bridge's. */
    pci_set16(device->config, PCI_SUBSYSTEM_VENDOR_ID, PCI_BOARD_SUBSYSTEM_VENDOR);
    pci_set16(device->config, PCI_SUBSYSTEM_ID, PCI_BOARD_SUBSYSTEM);
    /* Bus master, memory, I/O, parity, SERR and INTx-disable can be set by the guest. */
    pci_set16(device->writable, PCI_COMMAND, 0x0547);
    pci_set16(device->write_1_clears, PCI_STATUS, 0xf900);
    device->writable[PCI_CACHE_LINE_SIZE] = 0xff;
    device->writable[PCI_LATENCY_TIMER] = 0xf8;
    device->writable[PCI_INTERRUPT_LINE] = 0xff;
    pci->devices[devfn] = device;
}

void pci_device_finish(struct pci_device *device)
{
    for (unsigned i = 0; i <= PCI_ROM_BAR; i++) {
        struct pci_bar *bar = &device->bars[i];
        if (bar->kind == PCI_BAR_IO)
            port_space_remove(device->bus.ports, bar->ports);
        else if (bar->kind != PCI_BAR_NONE)
            memory_remove_region(device->bus.memory, bar->region);
    }
    if (interrupt_is_driven(device))
        pci_device_set_interrupt(device, false);
    device->pci->devices[device->devfn] = NULL;
}

void pci_device_set_io_bar(struct pci_device *device, unsigned index, struct port_range *ports, uint32_t size)
{
    device->bars[index] = (struct pci_bar){.kind = PCI_BAR_IO, .size = size, .ports = ports};
    pci_set32(device->config, bar_offset(index), 1);
    pci_set32(device->writable, bar_offset(index), ~(size - 1) & ~3u);
    ports->enabled = false;
    port_space_add(device->bus.ports, ports);
}

void pci_device_set_memory_bar(struct pci_device *device, unsigned index, struct memory_region *region, uint32_t size,
                               bool prefetchable)
{
    enum pci_bar_kind kind = prefetchable ? PCI_BAR_PREFETCHABLE : PCI_BAR_MEMORY;
    device->bars[index] = (struct pci_bar){.kind = kind, .size = size, .region = region};
    pci_set32(device->config, bar_offset(index), prefetchable && index != PCI_ROM_BAR ? 8 : 0);
    pci_set32(device->writable, bar_offset(index), index == PCI_ROM_BAR ? ~(size - 1) | 1 : ~(size - 1) & ~15u);
    region->enabled = false;
    memory_add_region(device->bus.memory, region);
}

void pci_device_reset(struct pci_device *device)
{
    bool interrupt_before = interrupt_is_driven(device);
    device->interrupt_level = false;
    device->config[PCI_STATUS] &= ~PCI_STATUS_INTERRUPT;
    update_interrupt(device, interrupt_before);
    for (unsigned i = PCI_COMMAND; i < PCI_COMMAND + 2; i++)
        device->config[i] &= ~device->writable[i];
    device->config[PCI_CACHE_LINE_SIZE] = 0;
    device->config[PCI_LATENCY_TIMER] = 0;
    device->config[PCI_INTERRUPT_LINE] = 0;
    for (unsigned i = 0; i <= PCI_ROM_BAR; i++) {
        for (unsigned byte = 0; device->bars[i].kind != PCI_BAR_NONE && byte < 4; byte++)
            device->config[bar_offset(i) + byte] &= ~device->writable[bar_offset(i) + byte];
    }
    update_mappings(device);
}

void pci_device_loaded(struct pci_device *device)
{
    update_mappings(device);
}

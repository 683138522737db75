#include "devices/pci/i440fx.h"

#include <string.h>

enum { SEGMENT_COUNT = 13, HOLE_BASE = 0xa0000, HOLE_END = 0x100000 };
enum { SMRAM_BASE = 0xa0000, SMRAM_SIZE = 0x20000 };
enum { SMRAM_COMPATIBLE = 0x02, SMRAM_ENABLED = 0x08, SMRAM_LOCKED = 0x10, SMRAM_OPEN = 0x40 };

struct segment {
    struct i440fx *bridge;
    struct memory_region region;
    uint8_t mode;
};

struct i440fx {
    struct pci_device pci;
    struct memory_region hole;
    struct memory_region smram;
    struct segment segments[SEGMENT_COUNT]; /* 0: F0000h, 64 KiB; n: C0000h + (n - 1) * 16 KiB */
};

static uint32_t segment_base(unsigned index)
{
    return index == 0 ? 0xf0000 : 0xc0000 + (index - 1) * 0x4000;
}

static uint32_t segment_size(unsigned index)
{
    return index == 0 ? 0x10000 : 0x4000;
}

static uint8_t segment_mode(const struct i440fx *bridge, unsigned index)
{
    unsigned nibble = index + 1; /* PAM0's lower nibble is reserved */
    return bridge->pci.config[I440FX_PAM0 + nibble / 2] >> (nibble & 1 ? 4 : 0) & 3;
}

/* What is at ADDRESS underneath the shadow. */
static struct memory_region *region_below(struct memory *memory, uint64_t address)
{
    struct memory_region *found = NULL;
    for (struct memory_region *region = memory->regions; region; region = region->next) {
        if (region->enabled && region->priority < I440FX_PAM_PRIORITY && address >= region->base &&
            address - region->base < region->size && (!found || region->priority > found->priority))
            found = region;
    }
    return found;
}

/* Write-only shadow: reads see the ROM, writes reach the RAM behind it (a BIOS copies itself so). */
static uint64_t segment_read(void *opaque, uint64_t offset, unsigned size)
{
    struct segment *segment = opaque;
    struct memory *memory = segment->bridge->pci.bus.memory;
    uint64_t address = segment->region.base + offset, value = 0;
    for (unsigned i = 0; i < size; i++) {
        const struct memory_region *below = region_below(memory, address + i);
        uint8_t byte = 0xff;
        if (below && below->host)
            byte = below->host[address + i - below->base];
        else if (below && below->ops && below->ops->read && below->ops->min_access <= 1)
            byte = (uint8_t)below->ops->read(below->opaque, address + i - below->base, 1);
        value |= (uint64_t)byte << (8 * i);
    }
    return value;
}

static void segment_write(void *opaque, uint64_t offset, unsigned size, uint64_t value)
{
    struct segment *segment = opaque;
    struct memory *memory = segment->bridge->pci.bus.memory;
    uint64_t address = segment->region.base + offset;
    for (unsigned i = 0; i < size; i++)
        memory->ram[address + i] = (uint8_t)(value >> (8 * i));
    memory_page_written(memory, address >> PAGE_SHIFT, address & PAGE_MASK, size);
}

static const struct region_ops segment_ops = {.read = segment_read, .write = segment_write};
static const struct region_ops hole_ops = {0};

static void segment_apply(struct segment *segment, uint8_t mode)
{
    struct memory *memory = segment->bridge->pci.bus.memory;
    struct memory_region *region = &segment->region;
    if (segment->mode == mode)
        return;
    segment->mode = mode;
    memory_update_region(memory, region, region->base, false);
    region->ops = NULL;
    switch (mode) {
    case 0:
        return;
    case I440FX_PAM_READ | I440FX_PAM_WRITE:
        region->kind = REGION_RAM;
        region->host = memory->ram + region->base;
        break;
    case I440FX_PAM_READ:
        region->kind = REGION_ROM;
        region->host = memory->ram + region->base;
        break;
    default: {
        /* Execute in place where one ROM fills the segment, byte by byte otherwise. */
        struct memory_region *below = region_below(memory, region->base);
        region->ops = &segment_ops;
        region->kind = REGION_DEVICE;
        region->host = NULL;
        if (below && below->kind == REGION_ROM && below->base + below->size >= region->base + region->size) {
            region->kind = REGION_ROM_RAM;
            region->host = below->host + (region->base - below->base);
        }
        break;
    }
    }
    memory_update_region(memory, region, region->base, true);
}

static void bridge_apply(struct i440fx *bridge)
{
    struct memory *memory = bridge->pci.bus.memory;
    for (unsigned i = 0; i < SEGMENT_COUNT; i++)
        segment_apply(&bridge->segments[i], segment_mode(bridge, i));
    uint8_t smram = bridge->pci.config[I440FX_SMRAM];
    memory_update_region(memory, &bridge->smram, SMRAM_BASE, (smram & SMRAM_ENABLED) && (smram & SMRAM_OPEN));
}

static void bridge_config_written(struct pci_device *pci, unsigned offset, unsigned size)
{
    struct i440fx *bridge = (struct i440fx *)pci;
    if (offset <= I440FX_SMRAM && offset + size > I440FX_SMRAM && (pci->config[I440FX_SMRAM] & SMRAM_LOCKED)) {
        /* D_LCK closes the space and makes the register read-only until reset. */
        pci->config[I440FX_SMRAM] &= ~SMRAM_OPEN;
        pci->writable[I440FX_SMRAM] = 0;
    }
    bridge_apply(bridge);
}

void i440fx_shadow_all(struct i440fx *bridge, unsigned mode)
{
    mode &= 3;
    bridge->pci.config[I440FX_PAM0] = (uint8_t)(mode << 4);
    for (unsigned i = 1; i < 7; i++)
        bridge->pci.config[I440FX_PAM0 + i] = (uint8_t)(mode << 4 | mode);
    bridge_apply(bridge);
}

static void bridge_reset(struct device *device)
{
    struct i440fx *bridge = (struct i440fx *)device;
    uint8_t *config = bridge->pci.config;
    pci_device_reset(&bridge->pci);
    pci_set16(config, PCI_COMMAND, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
    pci_set16(config, PCI_STATUS, 0x0280);
    memset(config + 0x50, 0, 0x100 - 0x50);
    config[0x51] = 0x01;
    config[0x58] = 0x10;
    memset(config + 0x60, 0x01, 8); /* DRAM row boundaries, 8 MiB units: firmware sizes memory */
    config[I440FX_SMRAM] = SMRAM_COMPATIBLE;
    bridge->pci.writable[I440FX_SMRAM] = 0x78;
    bridge_apply(bridge);
}

static void bridge_destroy(struct device *device)
{
    struct i440fx *bridge = (struct i440fx *)device;
    struct memory *memory = bridge->pci.bus.memory;
    for (unsigned i = 0; i < SEGMENT_COUNT; i++)
        memory_remove_region(memory, &bridge->segments[i].region);
    memory_remove_region(memory, &bridge->smram);
    memory_remove_region(memory, &bridge->hole);
    pci_device_finish(&bridge->pci);
    free(bridge);
}

static const struct state_field bridge_fields[] = {PCI_STATE_FIELDS(struct i440fx, pci), STATE_END};

static void bridge_loaded(void *object)
{
    struct i440fx *bridge = object;
    pci_device_loaded(&bridge->pci);
    bridge->pci.writable[I440FX_SMRAM] = bridge->pci.config[I440FX_SMRAM] & SMRAM_LOCKED ? 0 : 0x78;
    bridge_apply(bridge);
}

static const struct state_table bridge_state = {"i440fx", 1, bridge_fields, .loaded = bridge_loaded};
static const struct device_ops bridge_ops = {
    .name = "i440fx", .reset = bridge_reset, .destroy = bridge_destroy, .state = &bridge_state};

static void bridge_set_masks(struct i440fx *bridge)
{
    uint8_t *writable = bridge->pci.writable;
    pci_set16(writable, PCI_COMMAND, 0x0140); /* parity response, SERR#; memory and master are fixed */
    writable[PCI_INTERRUPT_LINE] = 0;
    pci_set16(writable, 0x50, 0xfff8); /* PMC configuration */
    writable[0x52] = 0xff;             /* deturbo counter */
    writable[0x53] = 0xff;             /* DRAM buffer control */
    writable[0x54] = writable[0x55] = writable[0x56] = 0xff;
    writable[0x57] = writable[0x58] = 0xff; /* DRAM control and timing */
    writable[I440FX_PAM0] = 0x30;
    memset(writable + I440FX_PAM0 + 1, 0x33, 6);
    memset(writable + 0x60, 0xff, 9); /* row boundaries, fixed DRAM hole */
    writable[0x70] = writable[0x71] = 0xff;
    writable[0x90] = 0xff;
    bridge->pci.write_1_clears[0x91] = 0x13;
    writable[0x93] = 0x0f;
}

struct i440fx *i440fx_create(const struct device_bus *bus, struct pci_bus *pci)
{
    struct i440fx *bridge = device_allocate(sizeof(*bridge), &bridge_ops, "i440fx");
    if (!bridge)
        return NULL;
    pci_device_init(&bridge->pci, bus, pci, PCI_DEVFN(0, 0), 0x8086, 0x1237, 0x0600);
    bridge->pci.config[PCI_REVISION] = 2;
    bridge->pci.config_written = bridge_config_written;
    bridge_set_masks(bridge);

    bridge->hole = (struct memory_region){
        .name = "pci-hole",
        .kind = REGION_DEVICE,
        .base = HOLE_BASE,
        .size = HOLE_END - HOLE_BASE,
        .priority = I440FX_HOLE_PRIORITY,
        .enabled = true,
        .ops = &hole_ops,
    };
    memory_add_region(bus->memory, &bridge->hole);
    bridge->smram = (struct memory_region){
        .name = "smram",
        .kind = REGION_RAM,
        .base = SMRAM_BASE,
        .size = SMRAM_SIZE,
        .priority = I440FX_PAM_PRIORITY,
        .host = bus->memory->ram + SMRAM_BASE,
    };
    memory_add_region(bus->memory, &bridge->smram);
    for (unsigned i = 0; i < SEGMENT_COUNT; i++) {
        struct segment *segment = &bridge->segments[i];
        segment->bridge = bridge;
        segment->region = (struct memory_region){
            .name = "pam-shadow",
            .base = segment_base(i),
            .size = segment_size(i),
            .priority = I440FX_PAM_PRIORITY,
            .opaque = segment,
        };
        memory_add_region(bus->memory, &segment->region);
    }
    bridge_reset(&bridge->pci.device);
    return bridge;
}

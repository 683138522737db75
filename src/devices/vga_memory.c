/* The processor's way to video memory: latches, write modes, read modes.
 * IBM VGA XGA Technical Reference, "VGA Function", Video Memory Read/Write Operations. */
#include "devices/vga_internal.h"

enum { WINDOW_BASE = 0xa0000, MONO_BASE = 0xb0000, COLOUR_BASE = 0xb8000 };

/* One byte in all four planes. */
static inline uint32_t replicate(uint8_t byte)
{
    return byte * 0x01010101u;
}

/* All bits of the planes (0..3) in the set MAP. */
static inline uint32_t planes_mask(unsigned map)
{
    return (map & 1) * 0xffu | (map >> 1 & 1) * 0xff00u | (map >> 2 & 1) * 0xff0000u | (map >> 3 & 1) * 0xff000000u;
}

static inline uint8_t rotate_right(uint8_t value, unsigned count)
{
    count &= 7;
    return (uint8_t)(value >> count | value << (8 - count));
}

/* ---- where an address leads ---- */

struct place {
    uint32_t index; /* double word of memory */
    unsigned map;   /* planes that a write reaches, before the map mask */
    unsigned plane; /* that a read returns */
};

static struct place locate(const struct vga *vga, uint32_t address)
{
    const struct vga_registers *r = &vga->registers;
    bool linear = vga_vbe_on(vga);
    uint32_t bank = linear ? (uint32_t)vga->vbe[VBE_BANK] << 16 : 0;
    uint32_t limit = (linear ? VGA_MEMORY_SIZE : LEGACY_MEMORY_SIZE) / 4;
    if (r->sr[SR_MEMORY_MODE] & SR_MEMORY_CHAIN4)
        return (struct place){(bank + address) / 4 % limit, 1u << (address & 3), address & 3};

    struct place place = {0, 15, r->gr[GR_READ_MAP] & 3u};
    uint32_t offset = address;
    if (!(r->sr[SR_MEMORY_MODE] & SR_MEMORY_SEQUENTIAL))
        place.map = address & 1 ? 10 : 5;
    if (r->gr[GR_MODE] & GR_MODE_ODD_EVEN)
        place.plane = (place.plane & 2) | (address & 1);
    /* Address bit 0 has become the choice of planes; in the 128 KiB window bit 16 takes its place. */
    if (r->gr[GR_MISCELLANEOUS] & GR_MISC_CHAIN_ODD_EVEN)
        offset = (address & ~1u) | (address >> 16 & 1);
    /* Without memory of its own beyond 64 KiB a plane repeats. */
    place.index = (bank + (linear ? offset : offset & (PLANE_SIZE - 1))) % limit;
    return place;
}

/* ---- one byte ---- */

static uint8_t read_byte(struct vga *vga, uint32_t address)
{
    const uint8_t *gr = vga->registers.gr;
    struct place place = locate(vga, address);
    vga->latch = vga_load_planes(vga, place.index);
    if (!(gr[GR_MODE] & GR_MODE_READ_COMPARE))
        return (uint8_t)(vga->latch >> 8 * place.plane);
    uint32_t differ = (vga->latch ^ planes_mask(gr[GR_COLOUR_COMPARE])) & planes_mask(gr[GR_COLOUR_IGNORE]);
    return (uint8_t) ~(differ | differ >> 8 | differ >> 16 | differ >> 24);
}

/* What write mode, set/reset, function and bit mask make of VALUE. */
static uint32_t combine(const struct vga *vga, uint8_t value)
{
    const uint8_t *gr = vga->registers.gr;
    uint8_t rotated = rotate_right(value, gr[GR_ROTATE]);
    uint32_t bits = replicate(gr[GR_BIT_MASK]), data, set;
    switch (gr[GR_MODE] & 3) {
    case 0:
        set = planes_mask(gr[GR_ENABLE_SET_RESET]);
        data = (replicate(rotated) & ~set) | (planes_mask(gr[GR_SET_RESET]) & set);
        break;
    case 1:
        return vga->latch;
    case 2:
        data = planes_mask(value & 15);
        break;
    default:
        data = planes_mask(gr[GR_SET_RESET]);
        bits &= replicate(rotated);
        break;
    }
    switch (gr[GR_ROTATE] >> 3 & 3) {
    case 1:
        data &= vga->latch;
        break;
    case 2:
        data |= vga->latch;
        break;
    case 3:
        data ^= vga->latch;
        break;
    default:
        break;
    }
    return (data & bits) | (vga->latch & ~bits);
}

static void write_byte(struct vga *vga, uint32_t address, uint8_t value)
{
    struct place place = locate(vga, address);
    uint32_t mask = planes_mask(place.map & vga->registers.sr[SR_MAP_MASK]);
    uint32_t planes = (vga_load_planes(vga, place.index) & ~mask) | (combine(vga, value) & mask);
    memcpy(vga->memory + (size_t)4 * place.index, &planes, 4);
}

static uint64_t window_read(void *opaque, uint64_t offset, unsigned size)
{
    uint64_t value = 0;
    for (unsigned i = 0; i < size; i++)
        value |= (uint64_t)read_byte(opaque, (uint32_t)offset + i) << (8 * i);
    return value;
}

static void window_write(void *opaque, uint64_t offset, unsigned size, uint64_t value)
{
    for (unsigned i = 0; i < size; i++)
        write_byte(opaque, (uint32_t)offset + i, (uint8_t)(value >> (8 * i)));
}

const struct region_ops vga_window_ops = {.read = window_read, .write = window_write, .max_access = 8};

/* ---- the order of memory ---- */

void vga_update_order(struct vga *vga)
{
    bool chained = vga->registers.sr[SR_MEMORY_MODE] & SR_MEMORY_CHAIN4;
    if (chained == vga->chained)
        return;
    if (!vga_vbe_on(vga)) {
        bool before = vga->chained;
        memcpy(vga->order_copy, vga->memory, LEGACY_MEMORY_SIZE);
        for (uint32_t offset = 0; offset < PLANE_SIZE; offset++) {
            vga->chained = before;
            uint32_t from = vga_stored_at(vga, offset);
            vga->chained = chained;
            memcpy(vga->memory + (size_t)4 * vga_stored_at(vga, offset), &vga->order_copy[from], 4);
        }
    }
    vga->chained = chained;
}

/* ---- the window ---- */

/* Every byte the processor reads or writes is the byte of memory at its address. Reads then leave the
 * latches alone, which matters only to who loads them before and uses them after leaving this state. */
static bool is_direct(const struct vga *vga)
{
    const struct vga_registers *r = &vga->registers;
    return (r->sr[SR_MEMORY_MODE] & SR_MEMORY_CHAIN4) && r->sr[SR_MAP_MASK] == 15 && !r->gr[GR_ENABLE_SET_RESET] &&
           !r->gr[GR_ROTATE] && !(r->gr[GR_MODE] & (GR_MODE_READ_COMPARE | 3)) && r->gr[GR_BIT_MASK] == 0xff;
}

static void place_region(struct vga *vga, struct memory_region *region, uint32_t base, uint32_t size, uint8_t *host,
                         bool enabled)
{
    struct memory *memory = vga->pci.bus.memory;
    if (region->enabled == enabled &&
        (!enabled || (region->base == base && region->size == size && region->host == host)))
        return;
    memory_update_region(memory, region, region->base, false);
    region->size = size;
    region->host = host;
    memory_update_region(memory, region, base, enabled);
}

void vga_update_windows(struct vga *vga)
{
    static const struct {
        uint32_t base, size;
    } windows[4] = {{WINDOW_BASE, 0x20000}, {WINDOW_BASE, 0x10000}, {MONO_BASE, 0x8000}, {COLOUR_BASE, 0x8000}};
    const struct vga_registers *r = &vga->registers;
    unsigned map = r->gr[GR_MISCELLANEOUS] >> 2 & 3;
    uint32_t base = windows[map].base, size = windows[map].size;
    bool enabled = (r->misc & MISC_RAM) && (r->enable & 1);
    uint32_t bank = vga_vbe_on(vga) ? (uint32_t)vga->vbe[VBE_BANK] << 16 : 0;
    bool direct = enabled && is_direct(vga) && bank + size <= VGA_MEMORY_SIZE;
    place_region(vga, &vga->window, base, size, NULL, enabled);
    place_region(vga, &vga->direct, base, size, direct ? vga->memory + bank : vga->direct.host, direct);
}

/* The Bochs display interface: an index and a data port to a frame buffer of any size. */
#include "devices/vga_internal.h"

enum { ID_FIRST = 0xb0c0, ID_LAST = 0xb0c5 };
enum { PORT_INDEX = 0, PORT_DATA_ODD = 1, PORT_DATA = 2 };

unsigned vga_vbe_pixel_bits(const struct vga *vga)
{
    unsigned depth = vga->vbe[VBE_DEPTH];
    return depth == 15 ? 16 : depth;
}

uint32_t vga_vbe_stride(const struct vga *vga)
{
    unsigned bits = vga_vbe_pixel_bits(vga);
    return bits == 4 ? vga->vbe[VBE_VIRTUAL_WIDTH] / 8u : vga->vbe[VBE_VIRTUAL_WIDTH] * bits / 8u;
}

static uint16_t limited(uint32_t value, uint32_t low, uint32_t high)
{
    return (uint16_t)(value < low ? low : value > high ? high : value);
}

void vga_vbe_settle(struct vga *vga)
{
    uint16_t *vbe = vga->vbe;
    if (!vga_vbe_on(vga))
        return;
    switch (vbe[VBE_DEPTH]) {
    case 4:
    case 8:
    case 15:
    case 16:
    case 24:
    case 32:
        break;
    default:
        vbe[VBE_DEPTH] = 8;
        break;
    }
    /* A plane's byte holds eight pixels. */
    uint16_t step = vbe[VBE_DEPTH] == 4 ? 8 : 1;
    uint32_t bytes = vbe[VBE_DEPTH] == 4 ? VGA_MEMORY_SIZE / 4 : VGA_MEMORY_SIZE;
    vbe[VBE_WIDTH] = limited(vbe[VBE_WIDTH] & ~(step - 1u), step, VBE_MAX_WIDTH);
    vbe[VBE_VIRTUAL_WIDTH] = limited(vbe[VBE_VIRTUAL_WIDTH] & ~(step - 1u), vbe[VBE_WIDTH], VBE_MAX_WIDTH);
    uint32_t rows = bytes / vga_vbe_stride(vga);
    vbe[VBE_HEIGHT] = limited(vbe[VBE_HEIGHT], 1, rows < VBE_MAX_HEIGHT ? rows : VBE_MAX_HEIGHT);
    vbe[VBE_VIRTUAL_HEIGHT] = limited(rows, 0, UINT16_MAX);
    vbe[VBE_X] = limited(vbe[VBE_X], 0, vbe[VBE_VIRTUAL_WIDTH] - vbe[VBE_WIDTH]);
    vbe[VBE_Y] = limited(vbe[VBE_Y], 0, vbe[VBE_VIRTUAL_HEIGHT] - vbe[VBE_HEIGHT]);
}

/* Software expects to find the standard registers as for such a mode, and need not set them itself. */
static void set_standard_registers(struct vga *vga)
{
    struct vga_registers *r = &vga->registers;
    const uint16_t *vbe = vga->vbe;
    unsigned last = vbe[VBE_HEIGHT] - 1u;
    r->gr[GR_MISCELLANEOUS] = 0x05; /* graphics, 64 KiB at A0000h */
    r->cr[CR_MODE] |= CR_MODE_MAP13 | CR_MODE_MAP14;
    r->cr[CR_OFFSET] = (uint8_t)(vga_vbe_stride(vga) >> (vbe[VBE_DEPTH] == 4 ? 1 : 3));
    r->cr[CR_H_DISPLAY_END] = (uint8_t)((vbe[VBE_WIDTH] >> 3) - 1);
    r->cr[CR_V_DISPLAY_END] = (uint8_t)last;
    r->cr[CR_OVERFLOW] = (uint8_t)((r->cr[CR_OVERFLOW] & ~0x42) | (last >> 7 & 0x02) | (last >> 3 & 0x40) | 0x10);
    r->cr[CR_LINE_COMPARE] = 0xff;
    r->cr[CR_MAX_SCAN] = (r->cr[CR_MAX_SCAN] & ~0x9f) | 0x40;
    r->gr[GR_MODE] &= ~(GR_MODE_256 | GR_MODE_INTERLEAVE);
    if (vbe[VBE_DEPTH] == 4) {
        r->sr[SR_CLOCKING] &= ~SR_CLOCKING_HALF;
    } else {
        r->gr[GR_MODE] |= GR_MODE_256;
        r->sr[SR_MEMORY_MODE] |= SR_MEMORY_CHAIN4;
        r->sr[SR_MAP_MASK] = 15;
    }
}

static void clear_screen(struct vga *vga)
{
    size_t bytes = (size_t)vga_vbe_stride(vga) * vga->vbe[VBE_HEIGHT] * (vga->vbe[VBE_DEPTH] == 4 ? 4 : 1);
    memset(vga->memory, 0, bytes < VGA_MEMORY_SIZE ? bytes : VGA_MEMORY_SIZE);
}

static void write_enable(struct vga *vga, uint16_t value)
{
    uint16_t *vbe = vga->vbe;
    bool was_on = vga_vbe_on(vga);
    vbe[VBE_ENABLE] = value & (VBE_ENABLED | VBE_CAPABILITIES | VBE_8_BIT_DAC | VBE_LINEAR | VBE_KEEP_MEMORY);
    vga->registers.dac_8_bit = (value & VBE_8_BIT_DAC) != 0;
    if (vga_vbe_on(vga) && !was_on) {
        vbe[VBE_VIRTUAL_WIDTH] = vbe[VBE_X] = vbe[VBE_Y] = 0;
        vga_vbe_settle(vga);
        set_standard_registers(vga);
        if (!(value & VBE_KEEP_MEMORY))
            clear_screen(vga);
    } else if (!vga_vbe_on(vga)) {
        vbe[VBE_BANK] = 0;
    }
    /* What is in memory stays where it is on the way in and out. */
    vga->chained = vga->registers.sr[SR_MEMORY_MODE] & SR_MEMORY_CHAIN4;
}

uint16_t vga_vbe_read(struct vga *vga, unsigned index)
{
    if (vga->vbe[VBE_ENABLE] & VBE_CAPABILITIES) {
        switch (index) {
        case VBE_WIDTH:
            return VBE_MAX_WIDTH;
        case VBE_HEIGHT:
            return VBE_MAX_HEIGHT;
        case VBE_DEPTH:
            return VBE_MAX_DEPTH;
        default:
            break;
        }
    }
    return index < VBE_COUNT ? vga->vbe[index] : 0;
}

void vga_vbe_write(struct vga *vga, unsigned index, uint16_t value)
{
    switch (index) {
    case VBE_ID:
        if (value >= ID_FIRST && value <= ID_LAST)
            vga->vbe[VBE_ID] = value;
        return;
    case VBE_ENABLE:
        write_enable(vga, value);
        break;
    case VBE_BANK:
        /* At depth 4 a bank is 64 KiB of each plane. */
        vga->vbe[VBE_BANK] = value % (VGA_MEMORY_SIZE / (vga->vbe[VBE_DEPTH] == 4 ? 4 : 1) >> 16);
        break;
    case VBE_WIDTH:
    case VBE_HEIGHT:
    case VBE_DEPTH:
    case VBE_VIRTUAL_WIDTH:
    case VBE_X:
    case VBE_Y:
        vga->vbe[index] = value;
        if (vga_vbe_on(vga)) {
            vga_vbe_settle(vga);
            set_standard_registers(vga);
            vga->chained = vga->registers.sr[SR_MEMORY_MODE] & SR_MEMORY_CHAIN4;
        }
        break;
    default:
        return; /* virtual height and memory size are the adapter's to say */
    }
    vga_update_windows(vga);
}

/* ---- ports 1CEh..1D1h ---- */

/* The registers are words. A word access to 1CFh, where the data port was first, arrives in two bytes,
 * 1CFh then 1D0h. */
static uint64_t port_read(void *opaque, uint64_t offset, unsigned size)
{
    struct vga *vga = opaque;
    uint16_t data = vga_vbe_read(vga, vga->vbe_index);
    bool second = vga->vbe_half;
    vga->vbe_half = false;
    if (offset == PORT_INDEX)
        return vga->vbe_index;
    if (size == 2)
        return data;
    vga->vbe_half = offset == PORT_DATA_ODD;
    return offset == PORT_DATA_ODD || (offset == PORT_DATA && !second) ? data & 0xff : data >> 8;
}

static void port_write(void *opaque, uint64_t offset, unsigned size, uint64_t value)
{
    struct vga *vga = opaque;
    bool second = vga->vbe_half;
    uint8_t byte = (uint8_t)value;
    vga->vbe_half = false;
    if (offset == PORT_INDEX) {
        vga->vbe_index = (uint16_t)value;
    } else if (size == 2) {
        vga_vbe_write(vga, vga->vbe_index, (uint16_t)value);
    } else if (offset == PORT_DATA_ODD) {
        vga->vbe_half = true;
        vga->vbe_low = byte;
    } else if (offset == PORT_DATA && second) {
        vga_vbe_write(vga, vga->vbe_index, (uint16_t)(vga->vbe_low | byte << 8));
    } else if (vga->vbe_index < VBE_COUNT) {
        uint16_t old = vga->vbe[vga->vbe_index];
        vga_vbe_write(vga, vga->vbe_index,
                      (uint16_t)(offset == PORT_DATA ? (old & 0xff00) | byte : (old & 0xff) | byte << 8));
    }
}

const struct region_ops vga_vbe_port_ops = {.read = port_read, .write = port_write, .max_access = 2};

void vga_vbe_reset(struct vga *vga)
{
    memset(vga->vbe, 0, sizeof(vga->vbe));
    vga->vbe[VBE_ID] = ID_LAST;
    vga->vbe[VBE_MEMORY_64K] = VGA_MEMORY_SIZE >> 16;
    vga->vbe_index = 0;
    vga->vbe_half = false;
    vga->vbe_low = 0;
}

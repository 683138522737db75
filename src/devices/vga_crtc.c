/* What the CRT controller makes of memory: geometry, addresses, colours.
 * IBM VGA XGA Technical Reference, "VGA Function", CRT Controller and Attribute Controller Registers.
 *
 * A character counter runs along each row of characters. What it addresses depends on the mode:
 *
 *     byte          15 14 13 12 ... 1  0
 *     word          14 13 12 11 ... 0  15 (or 13, without address wrap)
 *     double word   13 12 11 10 ... 13 12
 *
 * and address bits 13 and 14 can be replaced by the row scan counter's bits 0 and 1, which interleaves
 * rows as the CGA and the Hercules card do. */
#include "devices/vga_internal.h"

/* ---- geometry ---- */

bool vga_is_graphics(const struct vga *vga)
{
    return vga_vbe_on(vga) || (vga->registers.gr[GR_MISCELLANEOUS] & GR_MISC_GRAPHICS);
}

bool vga_is_programmed(const struct vga *vga)
{
    const uint8_t *cr = vga->registers.cr;
    return vga_vbe_on(vga) || (cr[CR_H_DISPLAY_END] && vga_display_lines(vga) > 1);
}

bool vga_is_blank(const struct vga *vga)
{
    const struct vga_registers *r = &vga->registers;
    if (!vga_is_programmed(vga) || !(r->ar_index & AR_INDEX_SCREEN_ON))
        return true;
    /* Drivers of DISPI modes leave the rest as they find it. */
    return !vga_vbe_on(vga) && ((r->sr[SR_RESET] & 3) != 3 || (r->sr[SR_CLOCKING] & SR_CLOCKING_SCREEN_OFF) ||
                                !(r->cr[CR_MODE] & CR_MODE_SYNC));
}

struct vga_geometry vga_geometry(const struct vga *vga)
{
    const struct vga_registers *r = &vga->registers;
    struct vga_geometry g = {
        .characters = r->cr[CR_H_DISPLAY_END] + 1u,
        .character_dots = r->sr[SR_CLOCKING] & SR_CLOCKING_8_DOTS ? 8 : 9,
        .dot_width = r->sr[SR_CLOCKING] & SR_CLOCKING_HALF ? 2 : 1,
        .height = vga_display_lines(vga) * (r->cr[CR_MODE] & CR_MODE_LINES_TIMES_2 ? 2 : 1),
    };
    g.width = g.characters * g.character_dots * g.dot_width;
    return g;
}

/* ---- rows and addresses ---- */

void vga_raster_begin(struct vga_raster *raster, const struct vga *vga)
{
    const uint8_t *cr = vga->registers.cr;
    *raster = (struct vga_raster){
        .vga = vga,
        .scan = cr[CR_PRESET_ROW] & 0x1f,
        .row = (uint32_t)(cr[CR_START_HIGH] << 8 | cr[CR_START_LOW]),
        .line_compare = vga_line_compare(vga),
        .lines_times = cr[CR_MODE] & CR_MODE_LINES_TIMES_2 ? 2 : 1,
    };
}

void vga_raster_next(struct vga_raster *raster)
{
    const uint8_t *cr = raster->vga->registers.cr;
    unsigned line = raster->line++;
    /* The split takes effect below the line that is equal to line compare. */
    if ((line + 1) % raster->lines_times == 0 && line / raster->lines_times == raster->line_compare) {
        raster->split = true;
        raster->row = 0;
        raster->scan = 0;
        raster->repeated = false;
        return;
    }
    if ((cr[CR_MAX_SCAN] & 0x80) && !raster->repeated) {
        raster->repeated = true;
        return;
    }
    raster->repeated = false;
    if (raster->scan == (cr[CR_MAX_SCAN] & 0x1fu)) {
        raster->scan = 0;
        raster->row += cr[CR_OFFSET] * 2u;
    } else {
        raster->scan = (raster->scan + 1) & 0x1f;
    }
}

uint32_t vga_raster_counter(const struct vga_raster *raster, unsigned character)
{
    const uint8_t *cr = raster->vga->registers.cr;
    const uint8_t *ar = raster->vga->registers.ar;
    unsigned divisor = cr[CR_UNDERLINE] & CR_UNDERLINE_COUNT_BY_4 ? 4 : cr[CR_MODE] & CR_MODE_COUNT_BY_2 ? 2 : 1;
    if (!raster->split || !(ar[AR_MODE] & AR_MODE_SPLIT_PANNING))
        character += cr[CR_PRESET_ROW] >> 5 & 3;
    return (raster->row + character / divisor) & 0xffff;
}

uint32_t vga_raster_offset(const struct vga_raster *raster, uint32_t counter)
{
    const uint8_t *cr = raster->vga->registers.cr;
    uint32_t offset;
    if (cr[CR_UNDERLINE] & CR_UNDERLINE_DOUBLE_WORD)
        offset = counter << 2 | (counter >> 12 & 3);
    else if (cr[CR_MODE] & CR_MODE_BYTE)
        offset = counter;
    else
        offset = counter << 1 | (counter >> (cr[CR_MODE] & CR_MODE_WRAP ? 15 : 13) & 1);
    if (!(cr[CR_MODE] & CR_MODE_MAP13))
        offset = (offset & ~0x2000u) | (raster->scan & 1) << 13;
    if (!(cr[CR_MODE] & CR_MODE_MAP14))
        offset = (offset & ~0x4000u) | (raster->scan >> 1 & 1) << 14;
    return offset & 0xffff;
}

unsigned vga_raster_panning(const struct vga_raster *raster)
{
    const struct vga_registers *r = &raster->vga->registers;
    unsigned value = r->ar[AR_PANNING] & 15;
    if (raster->split && (r->ar[AR_MODE] & AR_MODE_SPLIT_PANNING))
        return 0;
    if (!(r->sr[SR_CLOCKING] & SR_CLOCKING_8_DOTS))
        return value >= 8 ? 0 : value + 1; /* nine dots: 8 is none, 0 is one */
    /* In 8-bit mode a pixel is two dots, and the register counts dots. */
    return vga_is_graphics(raster->vga) && (r->ar[AR_MODE] & AR_MODE_8_BIT) ? value & 6 : value & 7;
}

/* ---- colours ---- */

uint32_t vga_dac_colour(const struct vga *vga, unsigned index)
{
    const struct vga_registers *r = &vga->registers;
    const uint8_t *entry = r->dac[index & r->dac_mask];
    uint32_t colour = 0;
    for (unsigned i = 0; i < 3; i++) {
        unsigned six = entry[i] & 0x3f;
        colour = colour << 8 | (r->dac_8_bit ? entry[i] : six << 2 | six >> 4);
    }
    return colour;
}

void vga_palette(const struct vga *vga, bool blinked, uint32_t colours[256])
{
    const uint8_t *ar = vga->registers.ar;
    unsigned enabled = ar[AR_PLANE_ENABLE] & 15;
    if (vga_is_graphics(vga) && (ar[AR_MODE] & AR_MODE_8_BIT)) {
        for (unsigned i = 0; i < 256; i++)
            colours[i] = vga_dac_colour(vga, i & (enabled << 4 | enabled));
        return;
    }
    for (unsigned i = 0; i < 256; i++) {
        /* Blinking graphics show each value's bit 3 inverted half of the time. */
        unsigned index = ar[((i & enabled) ^ (blinked ? 8 : 0)) & 15];
        if (ar[AR_MODE] & AR_MODE_P54_SELECT)
            index = (index & 0x0f) | (ar[AR_COLOUR_SELECT] & 3u) << 4;
        colours[i] = vga_dac_colour(vga, index | (ar[AR_COLOUR_SELECT] & 0x0cu) << 4);
    }
}

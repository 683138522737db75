/* Pictures: the present mode as 32-bit pixels. */
#include "devices/vga_internal.h"

enum { UNPROGRAMMED_WIDTH = 640, UNPROGRAMMED_HEIGHT = 480 };
/* A line of the widest standard mode, and two characters for panning. */
enum { MAX_DOTS = (256 + 2) * 9 };

/* ---- standard modes ---- */

/* Bit 7 - i of BITS as byte i, 0 or 1. */
static inline uint64_t spread(uint8_t bits)
{
    uint64_t one_bit_each = bits * 0x0101010101010101ull & 0x0102040810204080ull;
    return (one_bit_each + 0x7f7f7f7f7f7f7f7full) >> 7 & 0x0101010101010101ull;
}

/* The eight 4-bit values that the shift registers give for one load, first dot in the lowest byte. */
static uint64_t shift_out(uint32_t planes, uint8_t mode)
{
    uint8_t p0 = (uint8_t)planes, p1 = (uint8_t)(planes >> 8), p2 = (uint8_t)(planes >> 16),
            p3 = (uint8_t)(planes >> 24);
    uint64_t dots = 0;
    if (mode & GR_MODE_256) {
        /* Plane after plane, a nibble a dot. */
        for (unsigned i = 0; i < 8; i++)
            dots |= (uint64_t)(planes >> (8 * (i / 2) + (i & 1 ? 0 : 4)) & 15) << (8 * i);
    } else if (mode & GR_MODE_INTERLEAVE) {
        /* Two bits a dot from planes 0 and 2, then from 1 and 3. */
        for (unsigned i = 0; i < 4; i++) {
            unsigned shift = 6 - 2 * i;
            dots |= (uint64_t)((p0 >> shift & 3) | (p2 >> shift & 3) << 2) << (8 * i);
            dots |= (uint64_t)((p1 >> shift & 3) | (p3 >> shift & 3) << 2) << (8 * i + 32);
        }
    } else {
        dots = spread(p0) | spread(p1) << 1 | spread(p2) << 2 | spread(p3) << 3;
    }
    return dots;
}

static void draw_graphics_line(const struct vga_raster *raster, unsigned characters, unsigned character_dots,
                               uint8_t *dots)
{
    const struct vga *vga = raster->vga;
    uint8_t mode = vga->registers.gr[GR_MODE];
    bool pairs = vga->registers.ar[AR_MODE] & AR_MODE_8_BIT;
    for (unsigned i = 0; i < characters; i++, dots += character_dots) {
        uint32_t offset = vga_raster_offset(raster, vga_raster_counter(raster, i));
        uint64_t eight = shift_out(vga_load_planes(vga, vga_stored_at(vga, offset)), mode);
        if (pairs) {
            /* Two nibbles make a pixel of two dots. */
            uint64_t high = eight & 0x000f000f000f000full, low = eight >> 8 & 0x000f000f000f000full;
            uint64_t value = high << 4 | low;
            eight = value | value << 8;
        }
        memcpy(dots, &eight, 8);
        if (character_dots == 9)
            dots[8] = 0;
    }
}

static void draw_standard(struct vga *vga, struct display_frame *frame, const struct vga_geometry *g,
                          const struct vga_beam *beam)
{
    uint8_t dots[MAX_DOTS];
    uint32_t colours[256];
    bool graphics = vga_is_graphics(vga);
    bool blinked = graphics && (vga->registers.ar[AR_MODE] & AR_MODE_BLINK) && (beam->frames & 16);
    struct vga_raster raster, drawn = {.row = UINT32_MAX};
    vga_palette(vga, blinked, colours);
    for (vga_raster_begin(&raster, vga); raster.line < g->height; vga_raster_next(&raster)) {
        if (drawn.row != raster.row || drawn.scan != raster.scan || drawn.split != raster.split) {
            const uint8_t *from = dots + vga_raster_panning(&raster);
            if (graphics)
                draw_graphics_line(&raster, g->characters + 2, g->character_dots, dots);
            else
                vga_draw_text_line(&raster, g->characters + 2, beam, dots);
            unsigned count = g->width / g->dot_width;
            for (unsigned x = 0; x < count; x++) {
                uint32_t colour = colours[from[x]];
                if (g->dot_width == 2)
                    vga->line[2 * x] = vga->line[2 * x + 1] = colour;
                else
                    vga->line[x] = colour;
            }
            drawn = raster;
        }
        vga_frame_put_line(frame, raster.line, vga->line);
    }
}

/* ---- DISPI modes ---- */

static inline uint32_t wide5(unsigned value)
{
    value &= 31;
    return value << 3 | value >> 2;
}

static uint32_t from_555(unsigned p)
{
    return wide5(p >> 10) << 16 | wide5(p >> 5) << 8 | wide5(p);
}

static uint32_t from_565(unsigned p)
{
    unsigned green = p >> 5 & 63;
    return wide5(p >> 11) << 16 | (green << 2 | green >> 4) << 8 | wide5(p);
}

/* Eight pixels a double word; START in pixels, the first may be in the middle of one. */
static void draw_planar_row(const struct vga *vga, uint32_t index, unsigned start, const uint32_t *colours,
                            uint32_t *to, unsigned width)
{
    index += start / 8;
    start %= 8;
    for (unsigned x = 0; x < width; index++) {
        uint64_t dots = shift_out(vga_load_planes(vga, index % (VGA_MEMORY_SIZE / 4)), 0) >> (8 * start);
        for (unsigned left = 8 - start; left && x < width; left--, dots >>= 8)
            to[x++] = colours[dots & 15];
        start = 0;
    }
}

/* ROW holds at least WIDTH pixels. */
static void draw_packed_row(unsigned depth, const uint8_t *row, const uint32_t *colours, uint32_t *to, unsigned width)
{
    for (unsigned x = 0; x < width; x++) {
        switch (depth) {
        case 8:
            to[x] = colours[row[x]];
            break;
        case 15:
            to[x] = from_555(row[2 * x] | row[2 * x + 1] << 8);
            break;
        case 16:
            to[x] = from_565(row[2 * x] | row[2 * x + 1] << 8);
            break;
        case 24:
            to[x] = (uint32_t)row[3 * x + 2] << 16 | (uint32_t)row[3 * x + 1] << 8 | row[3 * x];
            break;
        default:
            memcpy(&to[x], row + 4 * (size_t)x, 4);
            to[x] &= 0xffffff;
            break;
        }
    }
}

static void draw_vbe(struct vga *vga, struct display_frame *frame)
{
    const uint16_t *vbe = vga->vbe;
    unsigned depth = vbe[VBE_DEPTH], width = vbe[VBE_WIDTH];
    uint32_t colours[256], stride = vga_vbe_stride(vga);
    if (depth == 4)
        vga_palette(vga, false, colours);
    for (unsigned i = 0; depth == 8 && i < 256; i++)
        colours[i] = vga_dac_colour(vga, i);
    for (unsigned y = 0; y < vbe[VBE_HEIGHT]; y++) {
        size_t row = (size_t)(y + vbe[VBE_Y]) * stride;
        if (depth == 4)
            draw_planar_row(vga, (uint32_t)row, vbe[VBE_X], colours, vga->line, width);
        else
            draw_packed_row(depth, vga->memory + row + (size_t)vbe[VBE_X] * vga_vbe_pixel_bits(vga) / 8, colours,
                            vga->line, width);
        vga_frame_put_line(frame, y, vga->line);
    }
}

/* ---- all ---- */

static bool draw_blank(struct vga *vga, struct display_frame *frame)
{
    unsigned width = frame->width ? frame->width : UNPROGRAMMED_WIDTH;
    unsigned height = frame->width ? frame->height : UNPROGRAMMED_HEIGHT;
    if (!vga_frame_begin(frame, width, height))
        return false;
    memset(vga->line, 0, sizeof(vga->line));
    for (unsigned y = 0; y < height; y++)
        vga_frame_put_line(frame, y, vga->line);
    vga_frame_end(frame);
    return true;
}

static uint64_t hash_bytes(uint64_t hash, const void *bytes, size_t length)
{
    const uint8_t *at = bytes;
    for (; length >= 8; at += 8, length -= 8) {
        uint64_t word;
        memcpy(&word, at, 8);
        hash = (hash ^ word) * 0x9e3779b97f4a7c15ull;
        hash ^= hash >> 32;
    }
    for (; length; at++, length--)
        hash = (hash ^ *at) * 0x9e3779b97f4a7c15ull;
    return hash ^ hash >> 29;
}

/* Of everything that the picture of a standard mode depends on; never 0. */
static uint64_t hash_standard(const struct vga *vga, const struct vga_beam *beam)
{
    bool changes = !vga_is_graphics(vga) || (vga->registers.ar[AR_MODE] & AR_MODE_BLINK);
    uint64_t phase = (changes ? beam->frames >> 3 & 3 : 0) << 1 | vga->chained;
    uint64_t hash = hash_bytes(phase, &vga->registers, sizeof(vga->registers));
    return hash_bytes(hash, vga->memory, LEGACY_MEMORY_SIZE) | 1;
}

bool vga_render(struct vga *vga, struct display_frame *frame)
{
    uint64_t known = frame->source_hash;
    frame->source_hash = 0;
    if (vga_is_blank(vga))
        return draw_blank(vga, frame);
    if (vga_vbe_on(vga)) {
        if (!vga_frame_begin(frame, vga->vbe[VBE_WIDTH], vga->vbe[VBE_HEIGHT]))
            return false;
        draw_vbe(vga, frame);
    } else {
        struct vga_geometry geometry = vga_geometry(vga);
        struct vga_beam beam = vga_beam_now(vga);
        uint64_t hash = hash_standard(vga, &beam);
        if (!vga_frame_begin(frame, geometry.width, geometry.height))
            return false;
        if (hash != known || frame->resized)
            draw_standard(vga, frame, &geometry, &beam);
        frame->source_hash = hash;
    }
    vga_frame_end(frame);
    return true;
}

static bool source_render(void *opaque, struct display_frame *frame)
{
    return vga_render(opaque, frame);
}

static bool source_text(void *opaque, struct display_text *text)
{
    return vga_text_screen(opaque, text);
}

struct display_source vga_display(struct vga *vga)
{
    return (struct display_source){source_render, source_text, vga};
}

/* Text modes: characters in plane 0, attributes in plane 1, fonts in plane 2. */
#include "devices/vga_internal.h"

enum { CURSOR_OFF = 0x20 };
/* Frames: the cursor is on for 8 and off for 8, characters for 16 and 16. */
enum { CURSOR_PHASE = 8, CHARACTER_PHASE = 16 };

/* Plane offset of the font that the three bits MAP select. */
static uint32_t font_offset(unsigned map)
{
    return (map & 3) * 0x4000u + (map & 4 ? 0x2000u : 0);
}

/* Fonts for attributes with bit 3 clear [0] and set [1]. */
static void find_fonts(const struct vga *vga, uint32_t fonts[2])
{
    uint8_t map = vga->registers.sr[SR_CHARACTER_MAP];
    fonts[0] = font_offset((map & 3u) | (map >> 2 & 4u));
    fonts[1] = font_offset((map >> 2 & 3u) | (map >> 3 & 4u));
}

static uint32_t cell_planes(const struct vga_raster *raster, uint32_t counter)
{
    const struct vga *vga = raster->vga;
    return vga_load_planes(vga, vga_stored_at(vga, vga_raster_offset(raster, counter)));
}

/* "Underline Location": attribute x000x001 on the line that CR14 names. */
static bool is_underlined(uint8_t attribute)
{
    return (attribute & 0x77) == 0x01;
}

static bool is_line_graphics(uint8_t character)
{
    return character >= 0xc0 && character <= 0xdf;
}

static bool cursor_is_enabled(const struct vga *vga)
{
    const uint8_t *cr = vga->registers.cr;
    /* A cursor that ends above its start does not show. */
    return !(cr[CR_CURSOR_START] & CURSOR_OFF) && (cr[CR_CURSOR_START] & 0x1f) <= (cr[CR_CURSOR_END] & 0x1f);
}

/* Where the cursor shows: its address, moved by the skew. */
static uint32_t cursor_counter(const struct vga *vga)
{
    const uint8_t *cr = vga->registers.cr;
    return ((uint32_t)(cr[CR_CURSOR_HIGH] << 8 | cr[CR_CURSOR_LOW]) + (cr[CR_CURSOR_END] >> 5 & 3)) & 0xffff;
}

void vga_draw_text_line(const struct vga_raster *raster, unsigned characters, const struct vga_beam *beam,
                        uint8_t *dots)
{
    const struct vga *vga = raster->vga;
    const struct vga_registers *r = &vga->registers;
    const uint8_t *cr = r->cr;
    bool nine = !(r->sr[SR_CLOCKING] & SR_CLOCKING_8_DOTS), blink = r->ar[AR_MODE] & AR_MODE_BLINK;
    bool line_graphics = r->ar[AR_MODE] & AR_MODE_LINE_GRAPHICS;
    bool underline_here = raster->scan == (cr[CR_UNDERLINE] & 0x1fu);
    bool cursor_here = cursor_is_enabled(vga) && !(beam->frames & CURSOR_PHASE) &&
                       raster->scan >= (cr[CR_CURSOR_START] & 0x1fu) && raster->scan <= (cr[CR_CURSOR_END] & 0x1fu);
    uint32_t cursor = cursor_counter(vga), fonts[2];
    find_fonts(vga, fonts);
    for (unsigned i = 0; i < characters; i++) {
        uint32_t counter = vga_raster_counter(raster, i), planes = cell_planes(raster, counter);
        uint8_t character = (uint8_t)planes, attribute = (uint8_t)(planes >> 8);
        uint32_t at = fonts[attribute >> 3 & 1] + character * 32u + raster->scan;
        unsigned bits = (vga_load_planes(vga, vga_stored_at(vga, at)) >> 16 & 0xff) << 1;
        uint8_t foreground = attribute & 15, background = attribute >> 4;
        if (line_graphics && is_line_graphics(character))
            bits |= bits >> 1 & 1;
        if (underline_here && is_underlined(attribute))
            bits = 0x1ff;
        if (blink) {
            background &= 7;
            if ((attribute & 0x80) && (beam->frames & CHARACTER_PHASE))
                bits = 0;
        }
        if (cursor_here && counter == cursor)
            bits = 0x1ff;
        for (unsigned dot = 0; dot < 8; dot++)
            *dots++ = bits >> (8 - dot) & 1 ? foreground : background;
        if (nine)
            *dots++ = bits & 1 ? foreground : background;
    }
}

/* ---- for who shows characters ---- */

static void fill_row(const struct vga_raster *raster, struct display_text *text, unsigned row)
{
    const struct vga *vga = raster->vga;
    bool blink = vga->registers.ar[AR_MODE] & AR_MODE_BLINK;
    unsigned last_scan = vga->registers.cr[CR_MAX_SCAN] & 0x1f;
    bool underlines = (vga->registers.cr[CR_UNDERLINE] & 0x1fu) <= last_scan;
    uint32_t fonts[2];
    find_fonts(vga, fonts);
    for (unsigned column = 0; column < text->columns; column++) {
        uint32_t counter = vga_raster_counter(raster, column), planes = cell_planes(raster, counter);
        uint8_t attribute = (uint8_t)(planes >> 8);
        text->cells[row * text->columns + column] = (struct display_cell){
            .character = (uint8_t)planes,
            .foreground = attribute & 15,
            .background = attribute >> 4 & (blink ? 7 : 15),
            .blinking = blink && (attribute & 0x80),
            .underlined = underlines && is_underlined(attribute),
            .second_font = (attribute & 8) && fonts[0] != fonts[1],
        };
        if (counter == cursor_counter(vga) && cursor_is_enabled(vga) &&
            (vga->registers.cr[CR_CURSOR_START] & 0x1f) <= last_scan) {
            text->cursor_visible = true;
            text->cursor_column = column;
            text->cursor_row = row;
        }
    }
}

/* A row of characters begins on this line. */
static bool begins_row(const struct vga_raster *raster, const struct vga_raster *previous)
{
    return raster->line == 0 || (raster->split && !previous->split) ||
           (raster->scan == 0 && !raster->repeated && previous->scan != 0) ||
           (raster->scan == 0 && raster->row != previous->row);
}

bool vga_text_screen(struct vga *vga, struct display_text *text)
{
    const uint8_t *cr = vga->registers.cr;
    if (vga_is_graphics(vga) || !vga_is_programmed(vga))
        return false;
    struct vga_geometry geometry = vga_geometry(vga);
    struct vga_raster raster, previous;
    unsigned rows = 0;
    vga_raster_begin(&raster, vga);
    previous = raster;
    for (; raster.line < geometry.height; previous = raster, vga_raster_next(&raster))
        rows += begins_row(&raster, &previous);
    size_t cells = (size_t)rows * geometry.characters;
    if (cells > text->capacity) {
        struct display_cell *larger = calloc(cells, sizeof(*larger));
        if (!larger)
            return false;
        free(text->cells);
        text->cells = larger;
        text->capacity = cells;
    }
    text->columns = geometry.characters;
    text->rows = rows;
    text->blank = vga_is_blank(vga);
    text->cursor_visible = false;
    text->cursor_column = text->cursor_row = 0;
    text->cell_height = (cr[CR_MAX_SCAN] & 0x1f) + 1;
    text->cursor_first_line = cr[CR_CURSOR_START] & 0x1f;
    text->cursor_last_line = cr[CR_CURSOR_END] & 0x1f;
    uint32_t colours[256];
    vga_palette(vga, false, colours);
    memcpy(text->colours, colours, sizeof(text->colours));
    vga_raster_begin(&raster, vga);
    previous = raster;
    for (unsigned row = 0; raster.line < geometry.height; previous = raster, vga_raster_next(&raster))
        if (begins_row(&raster, &previous))
            fill_row(&raster, text, row++);
    return true;
}

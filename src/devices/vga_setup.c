/* Text mode 3 without a video BIOS.
 * Source: IBM VGA XGA Technical Reference, "VGA Function", register values of mode 3+. */
#include "devices/vga_internal.h"

#include <string.h>

/* 80 x 25 characters of 9 x 16 dots, 70 Hz. */
static const uint8_t mode3_sequencer[] = {0x03, 0x00, 0x03, 0x00, 0x02};
static const uint8_t mode3_crtc[CR_COUNT] = {0x5f, 0x4f, 0x50, 0x82, 0x55, 0x81, 0xbf, 0x1f, 0x00,
                                             0x4f, 0x0d, 0x0e, 0x00, 0x00, 0x00, 0x00, 0x9c, 0x8e,
                                             0x8f, 0x28, 0x1f, 0x96, 0xb9, 0xa3, 0xff};
static const uint8_t mode3_graphics[] = {0x00, 0x00, 0x00, 0x00, 0x00, 0x10, 0x0e, 0x0f, 0xff};
static const uint8_t mode3_attributes[] = {0x00, 0x01, 0x02, 0x03, 0x04, 0x05, 0x14, 0x07, 0x38, 0x39, 0x3a,
                                           0x3b, 0x3c, 0x3d, 0x3e, 0x3f, 0x0c, 0x00, 0x0f, 0x08, 0x00};
enum { MODE3_MISC = 0x67 };

enum { GLYPHS = 256, GLYPH_HEIGHT = 16, GLYPH_ROOM = 32, FONT_SIZE = GLYPHS * GLYPH_HEIGHT, FONT_PLANE = 2 };
enum { LAST_LINE = 24, COLUMNS = 80 };

static void write_indexed(struct vga *vga, unsigned port, unsigned index, uint8_t value)
{
    vga_port_write(vga, port, (uint8_t)index);
    vga_port_write(vga, port + 1, value);
}

static void write_registers(struct vga *vga)
{
    vga_port_write(vga, 0x3c2, MODE3_MISC);
    for (unsigned i = 0; i < sizeof mode3_sequencer; i++)
        write_indexed(vga, 0x3c4, i, mode3_sequencer[i]);
    write_indexed(vga, 0x3d4, CR_V_RETRACE_END, 0); /* unprotect */
    for (unsigned i = 0; i < CR_COUNT; i++)
        write_indexed(vga, 0x3d4, i, mode3_crtc[i]);
    write_indexed(vga, 0x3d4, CR_CURSOR_HIGH, LAST_LINE * COLUMNS >> 8);
    write_indexed(vga, 0x3d4, CR_CURSOR_LOW, (uint8_t)(LAST_LINE * COLUMNS));
    for (unsigned i = 0; i < sizeof mode3_graphics; i++)
        write_indexed(vga, 0x3ce, i, mode3_graphics[i]);
    vga_port_read(vga, 0x3da); /* the next write to 3C0h is an index */
    for (unsigned i = 0; i < sizeof mode3_attributes; i++) {
        vga_port_write(vga, 0x3c0, (uint8_t)i);
        vga_port_write(vga, 0x3c0, mode3_attributes[i]);
    }
    vga_port_write(vga, 0x3c0, AR_INDEX_SCREEN_ON);
}

/* The 64 colours of the EGA: two bits a component, the stronger one in bits 2:0 (red, green, blue). */
static void write_colours(struct vga *vga)
{
    vga_port_write(vga, 0x3c6, 0xff);
    vga_port_write(vga, 0x3c8, 0);
    for (unsigned colour = 0; colour < 64; colour++)
        for (int bit = 2; bit >= 0; bit--)
            vga_port_write(vga, 0x3c9, (uint8_t)((colour >> bit & 1) * 0x2a + (colour >> (bit + 3) & 1) * 0x15));
}

/* The 8 x 16 font of the video BIOS. Where it is is nobody's convention, but what it looks like is. */
static const uint8_t *find_font(const struct vga *vga)
{
    static const uint8_t letter_a[GLYPH_HEIGHT] = {0, 0, 0x10, 0x38, 0x6c, 0xc6, 0xc6, 0xfe, 0xc6, 0xc6, 0xc6, 0xc6};
    static const uint8_t blank[GLYPH_HEIGHT] = {0};
    for (uint32_t at = 0; at + FONT_SIZE <= vga->rom_size; at++) {
        const uint8_t *font = vga->rom + at;
        if (!memcmp(font + 'A' * GLYPH_HEIGHT, letter_a, GLYPH_HEIGHT) && !memcmp(font, blank, GLYPH_HEIGHT) &&
            !memcmp(font + ' ' * GLYPH_HEIGHT, blank, GLYPH_HEIGHT))
            return font;
    }
    return NULL;
}

void vga_set_up(struct vga *vga)
{
    write_registers(vga);
    write_colours(vga);
    const uint8_t *font = find_font(vga);
    for (uint32_t offset = 0; offset < PLANE_SIZE; offset++) {
        uint8_t *planes = vga->memory + 4 * (size_t)vga_stored_at(vga, offset);
        unsigned glyph = offset / GLYPH_ROOM, line = offset % GLYPH_ROOM;
        memset(planes, 0, 4);
        planes[0] = offset & 1 ? 0 : ' '; /* odd/even addressing: characters and attributes at even offsets */
        planes[1] = offset & 1 ? 0 : 0x07;
        if (font && glyph < GLYPHS && line < GLYPH_HEIGHT)
            planes[FONT_PLANE] = font[glyph * GLYPH_HEIGHT + line];
    }
}

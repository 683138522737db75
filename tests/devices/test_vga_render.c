/* Pictures: each mode dot by dot against what it should be, and text for terminals. */
#include "test_vga.h"

static uint8_t glyph(unsigned font, unsigned character, unsigned line)
{
    return (uint8_t)(character * 37 + line * 11 + font * 91 + (character ^ line << 3));
}

/* Font 0 at 0, font 1 (map value 4) at 2000h. */
static void load_fonts(struct vga_fixture *f)
{
    set_sr(f, 2, 4);
    set_sr(f, 4, 6);
    set_gr(f, 5, 0);
    set_gr(f, 6, 4);
    for (unsigned font = 0; font < 2; font++)
        for (unsigned c = 0; c < 256; c++)
            for (unsigned line = 0; line < 32; line++)
                poke(f, 0xa0000 + font * 0x2000 + c * 32 + line, 1, glyph(font, c, line));
    set_sr(f, 2, 3);
    set_sr(f, 4, 2);
    set_gr(f, 5, 0x10);
    set_gr(f, 6, 0x0e);
}

static void fill_text(struct vga_fixture *f)
{
    for (unsigned i = 0; i < 0x4000; i++)
        poke(f, 0xb8000 + 2 * i, 2, (i * 7 & 0xff) | (i * 13 & 0xff) << 8);
}

static void render(struct vga_fixture *f)
{
    assert_true(vga_render(f->vga, &f->frame));
}

static uint32_t text_colour(unsigned attribute)
{
    return test_colour(mode_3.ar[attribute & 15]);
}

static bool in_frame_phase(struct vga_fixture *f, unsigned bit)
{
    return vga_beam_now(f->vga).frames & bit;
}

static void expect_text(struct vga_fixture *f, unsigned width, unsigned first_cell, unsigned cursor_cell)
{
    bool blinked = in_frame_phase(f, 16), cursor_on = !in_frame_phase(f, 8);
    render(f);
    assert_int_equal(f->frame.width, 80 * width);
    assert_int_equal(f->frame.height, 400);
    for (unsigned y = 0; y < 400; y++) {
        for (unsigned x = 0; x < 80 * width; x++) {
            unsigned cell = first_cell + y / 16 * 80 + x / width, line = y % 16, dot = x % width;
            unsigned character = cell * 7 & 0xff, attribute = cell * 13 & 0xff;
            unsigned bits = glyph(0, character, line);
            bool on = dot < 8 ? bits >> (7 - dot) & 1 : character >= 0xc0 && character < 0xe0 && (bits & 1);
            if ((attribute & 0x80) && blinked)
                on = false;
            if (cell == cursor_cell && cursor_on && line >= 13 && line <= 14)
                on = true;
            uint32_t expected = text_colour(on ? attribute : attribute >> 4 & 7);
            if (pixel(f, x, y) != expected)
                fail_msg("dot %u,%u is %06x, not %06x", x, y, pixel(f, x, y), expected);
        }
    }
}

static void text_9_dots(void **state)
{
    struct vga_fixture *f = *state;
    set_bios_mode(f, &mode_3);
    load_fonts(f);
    fill_text(f);
    set_cr(f, 0x0b, 0x0e);
    set_cr(f, 0x0f, 83);
    expect_text(f, 9, 0, 83);
    /* On to the other phases: cursor off, characters blinked. */
    bench_run(&f->bench, 8 * 14270000ull);
    expect_text(f, 9, 0, 83);
    bench_run(&f->bench, 8 * 14270000ull);
    expect_text(f, 9, 0, 83);
    set_cr(f, 0x0d, 160); /* two rows down */
    expect_text(f, 9, 160, 83);
    set_sr(f, 1, 1);
    expect_text(f, 8, 160, 83);
    set_cr(f, 0x0a, 0x2d); /* cursor off */
    set_cr(f, 0x0f, 0xf0);
    expect_text(f, 8, 160, UINT32_MAX);
    set_cr(f, 0x0a, 0x0f); /* start below end */
    expect_text(f, 8, 160, UINT32_MAX);
}

static void text_golden_hash(void **state)
{
    struct vga_fixture *f = *state;
    set_bios_mode(f, &mode_3);
    load_fonts(f);
    fill_text(f);
    render(f);
    assert_true(f->frame.resized);
    assert_int_equal(f->frame.generation, 1);
    assert_int_equal(frame_hash(&f->frame), 0x8bbf2e095a1aba15u);
}

static void text_details(void **state)
{
    struct vga_fixture *f = *state;
    set_bios_mode(f, &mode_3);
    load_fonts(f);
    fill_text(f);
    set_cr(f, 0x0a, 0x20);
    /* Second font for attribute bit 3: map A (bits 3:2 and 5) is value 4. */
    set_sr(f, 3, 0x20);
    poke(f, 0xb8000, 2, 0x0f41);
    poke(f, 0xb8002, 2, 0x0741);
    render(f);
    for (unsigned dot = 0; dot < 8; dot++) {
        assert_int_equal(pixel(f, dot, 5), text_colour(glyph(1, 0x41, 5) >> (7 - dot) & 1 ? 15 : 0));
        assert_int_equal(pixel(f, 9 + dot, 5), text_colour(glyph(0, 0x41, 5) >> (7 - dot) & 1 ? 7 : 0));
    }
    /* Underline on line 3 for attribute 1, all nine dots. */
    set_cr(f, 0x14, 3);
    poke(f, 0xb8000, 2, 0x0100);
    render(f);
    for (unsigned dot = 0; dot < 9; dot++)
        assert_int_equal(pixel(f, dot, 3), text_colour(1));
    /* Bright backgrounds instead of blinking. */
    set_ar(f, 0x10, 0x04);
    poke(f, 0xb8000, 2, 0xf000);
    render(f);
    assert_int_equal(pixel(f, 8, 0), text_colour(15));
    /* Panning: 9 dots, value 0 is one dot to the left, 8 none. */
    poke(f, 0xb8002, 2, 0x4000);
    poke(f, 0xb8004, 2, 0x2000);
    set_ar(f, 0x13, 0);
    render(f);
    assert_int_equal(pixel(f, 7, 0), text_colour(15));
    assert_int_equal(pixel(f, 16, 0), text_colour(4));
    set_cr(f, 0x08, 0x20); /* and a character */
    render(f);
    assert_int_equal(pixel(f, 7, 0), text_colour(4));
    /* Smooth scrolling. */
    set_ar(f, 0x13, 8);
    set_cr(f, 0x08, 5);
    poke(f, 0xb8000 + 160, 2, 0x2000);
    render(f);
    assert_int_equal(pixel(f, 8, 10), text_colour(15));
    assert_int_equal(pixel(f, 8, 11), text_colour(2));
}

static void text_screen(void **state)
{
    struct vga_fixture *f = *state;
    struct display_source source = vga_display(f->vga);
    assert_false(source.text(source.opaque, &f->text));
    set_bios_mode(f, &mode_3);
    load_fonts(f);
    fill_text(f);
    set_cr(f, 0x0f, 83);
    assert_true(source.text(source.opaque, &f->text));
    assert_int_equal(f->text.columns, 80);
    assert_int_equal(f->text.rows, 25);
    assert_int_equal(f->text.cell_height, 16);
    for (unsigned i = 0; i < 2000; i++) {
        const struct display_cell *cell = &f->text.cells[i];
        assert_int_equal(cell->character, i * 7 & 0xff);
        assert_int_equal(cell->foreground, i * 13 & 15);
        assert_int_equal(cell->background, i * 13 >> 4 & 7);
        assert_int_equal(cell->blinking, i * 13 >> 7 & 1);
        assert_false(cell->underlined || cell->second_font);
    }
    assert_int_equal(f->text.colours[4], text_colour(4));
    assert_true(f->text.cursor_visible);
    assert_int_equal(f->text.cursor_column, 3);
    assert_int_equal(f->text.cursor_row, 1);
    assert_false(f->text.blank);
    /* A split: the last rows start again at address 0. */
    set_cr(f, 0x0d, 80);
    set_cr(f, 0x09, 0x0f);
    set_cr(f, 0x18, 0x3f); /* line 319, 20 rows; bit 8 is set already */
    assert_true(vga_text_screen(f->vga, &f->text));
    assert_int_equal(f->text.rows, 25);
    assert_int_equal(f->text.cells[0].character, 80 * 7 & 0xff);
    assert_int_equal(f->text.cells[19 * 80].character, 20 * 80 * 7 & 0xff);
    assert_int_equal(f->text.cells[20 * 80].character, 0);
    /* 40 columns, 8 lines a cell: 50 rows. */
    set_bios_mode(f, &mode_3);
    set_cr(f, 9, 0x47);
    assert_true(vga_text_screen(f->vga, &f->text));
    assert_int_equal(f->text.rows, 50);
    set_cr(f, 9, 0xc7); /* each line twice */
    assert_true(vga_text_screen(f->vga, &f->text));
    assert_int_equal(f->text.rows, 25);
    set_cr(f, 0x18, 0x7f); /* split after line 127: 8 rows above it, the text's start below */
    set_cr(f, 7, 0x0f);
    set_cr(f, 9, 0x0f);
    set_cr(f, 0x0d, 240);
    assert_true(vga_text_screen(f->vga, &f->text));
    assert_int_equal(f->text.rows, 25);
    assert_int_equal(f->text.cells[7 * 80].character, (240 + 560) * 7 & 0xff);
    assert_int_equal(f->text.cells[8 * 80].character, 0);
    assert_int_equal(f->text.cells[9 * 80 + 1].character, 81 * 7 & 0xff);
    inb(&f->bench, 0x3da);
    outb(&f->bench, 0x3c0, 0);
    assert_true(vga_text_screen(f->vga, &f->text));
    assert_true(f->text.blank);
    set_bios_mode(f, &mode_12);
    assert_false(vga_text_screen(f->vga, &f->text));
}

static void mode_12_planar(void **state)
{
    struct vga_fixture *f = *state;
    uint64_t seed = 5;
    set_bios_mode(f, &mode_12);
    for (uint8_t plane = 0; plane < 4; plane++) {
        set_sr(f, 2, (uint8_t)(1 << plane));
        for (unsigned i = 0; i < 65536; i += 4)
            poke(f, 0xa0000 + i, 4, bench_random(&seed) << 1 ^ bench_random(&seed));
    }
    for (unsigned variant = 0; variant < 3; variant++) {
        unsigned start = 0, pan = 0, split = 480;
        if (variant == 1) {
            start = 0x1234;
            pan = 3;
            set_cr(f, 0x0c, 0x12);
            set_cr(f, 0x0d, 0x34);
            set_ar(f, 0x13, 3);
        } else if (variant == 2) {
            split = 300;
            start = 0x1234;
            set_ar(f, 0x10, 0x21); /* panning stops at the split */
            pan = 3;
            set_cr(f, 0x18, (split - 1) & 0xff);
            set_cr(f, 0x07, 0x3e);
            set_cr(f, 0x09, 0x00);
        }
        render(f);
        assert_int_equal(f->frame.width, 640);
        assert_int_equal(f->frame.height, 480);
        for (unsigned y = 0; y < 480; y++)
            for (unsigned x = 0; x < 640; x++) {
                unsigned at = x + (y < split ? pan : 0), value = 0;
                unsigned offset = y < split ? start + y * 80 + at / 8 : (y - split) * 80 + at / 8;
                for (unsigned plane = 0; plane < 4; plane++)
                    value |= (f->vga->memory[4 * (offset & 0xffff) + plane] >> (7 - at % 8) & 1u) << plane;
                if (pixel(f, x, y) != test_colour(mode_12.ar[value]))
                    fail_msg("variant %u dot %u,%u", variant, x, y);
            }
    }
    /* Plane enable, and the colour select register. */
    set_ar(f, 0x12, 0x01);
    set_ar(f, 0x14, 0x0d);
    set_ar(f, 0x10, 0x81);
    set_cr(f, 0x0c, 0);
    set_cr(f, 0x0d, 0);
    set_ar(f, 0x13, 0);
    render(f);
    assert_int_equal(pixel(f, 0, 0), test_colour(0xc0 | 0x10 | (f->vga->memory[0] >> 7 ? 1 : 0)));
}

static void mode_13_and_x(void **state)
{
    struct vga_fixture *f = *state;
    set_bios_mode(f, &mode_13);
    for (unsigned i = 0; i < 64000; i++)
        poke(f, 0xa0000 + i, 1, i * 5 + i / 320);
    render(f);
    assert_int_equal(f->frame.width, 640);
    assert_int_equal(f->frame.height, 400);
    for (unsigned y = 0; y < 400; y++)
        for (unsigned x = 0; x < 640; x++) {
            unsigned i = y / 2 * 320 + x / 2;
            assert_int_equal(pixel(f, x, y), test_colour((i * 5 + i / 320) & 0xff));
        }
    outb(&f->bench, 0x3c6, 0x0f); /* the pixel mask */
    render(f);
    assert_int_equal(pixel(f, 20, 0), test_colour(50 & 15));
    outb(&f->bench, 0x3c6, 0xff);
    /* Mode X: four pixels an offset, 320 x 240, any start. */
    set_sr(f, 4, 6);
    set_cr(f, 0x14, 0);
    set_cr(f, 0x17, 0xe3);
    set_cr(f, 0x12, 0xdf);
    set_cr(f, 0x07, 0x3e);
    for (unsigned i = 0; i < 65536; i++)
        for (unsigned plane = 0; plane < 4; plane++)
            f->vga->memory[4 * i + plane] = (uint8_t)(i * 3 + plane * 50 + i / 80);
    set_cr(f, 0x0c, 0x40);
    set_ar(f, 0x13, 4); /* two pixels */
    render(f);
    assert_int_equal(f->frame.height, 480);
    for (unsigned y = 0; y < 480; y++)
        for (unsigned x = 0; x < 640; x++) {
            unsigned at = x / 2 + 2, i = (0x4000 + y / 2 * 80 + at / 4) & 0xffff;
            assert_int_equal(pixel(f, x, y), test_colour((i * 3 + at % 4 * 50 + i / 80) & 0xff));
        }
}

static void mode_4_cga(void **state)
{
    struct vga_fixture *f = *state;
    set_bios_mode(f, &mode_4);
    for (unsigned i = 0; i < 0x4000; i++)
        poke(f, 0xb8000 + i, 1, i * 29 + i / 80);
    render(f);
    assert_int_equal(f->frame.width, 640);
    assert_int_equal(f->frame.height, 400);
    for (unsigned y = 0; y < 400; y++)
        for (unsigned x = 0; x < 640; x++) {
            unsigned row = y / 2, dot = x / 2, at = row / 2 * 80 + (row & 1) * 0x2000 + dot / 4;
            unsigned value = ((at * 29 + at / 80) & 0xff) >> (6 - dot % 4 * 2) & 3;
            assert_int_equal(pixel(f, x, y), test_colour(mode_4.ar[value]));
        }
}

static void set_vbe_mode(struct vga_fixture *f, unsigned width, unsigned height, unsigned depth)
{
    set_vbe(f, VBE_ENABLE, 0);
    set_vbe(f, VBE_WIDTH, (uint16_t)width);
    set_vbe(f, VBE_HEIGHT, (uint16_t)height);
    set_vbe(f, VBE_DEPTH, (uint16_t)depth);
    set_vbe(f, VBE_ENABLE, VBE_ENABLED | VBE_LINEAR);
    set_vbe(f, VBE_VIRTUAL_WIDTH, (uint16_t)(width + 64));
    set_vbe(f, VBE_X, 11);
    set_vbe(f, VBE_Y, 7);
}

static void vbe_modes(void **state)
{
    struct vga_fixture *f = *state;
    static const unsigned depths[] = {8, 15, 16, 24, 32, 4};
    uint64_t seed = 3;
    set_bios_mode(f, &mode_12);
    for (unsigned i = 0; i < ARRAY_SIZE(depths); i++) {
        unsigned depth = depths[i], bytes = (depth + 7) / 8, width = 176, height = 50;
        set_vbe_mode(f, width, height, depth);
        for (unsigned at = 0; at < 0x40000; at++)
            f->vga->memory[at] = (uint8_t)bench_random(&seed);
        render(f);
        assert_int_equal(f->frame.width, width);
        assert_int_equal(f->frame.height, height);
        for (unsigned y = 0; y < height; y++)
            for (unsigned x = 0; x < width; x++) {
                unsigned px = x + 11, py = y + 7, value = 0;
                uint32_t expected;
                if (depth == 4) {
                    const uint8_t *planes = f->vga->memory + 4 * (py * (width + 64) / 8 + px / 8);
                    for (unsigned plane = 0; plane < 4; plane++)
                        value |= (planes[plane] >> (7 - px % 8) & 1u) << plane;
                    assert_int_equal(pixel(f, x, y), test_colour(mode_12.ar[value]));
                    continue;
                }
                for (unsigned b = 0; b < bytes; b++)
                    value |= (unsigned)f->vga->memory[(py * (width + 64) + px) * bytes + b] << (8 * b);
                unsigned red = value >> (depth == 16 ? 11 : 10) & 31, blue = value & 31;
                unsigned green = depth == 16 ? value >> 5 & 63 : value >> 5 & 31;
                expected = (red << 3 | red >> 2) << 16 | (blue << 3 | blue >> 2);
                expected |= (depth == 16 ? green << 2 | green >> 4 : green << 3 | green >> 2) << 8;
                if (depth == 8)
                    expected = test_colour(value);
                else if (depth >= 24)
                    expected = value & 0xffffff;
                assert_int_equal(pixel(f, x, y), expected);
            }
    }
    /* The largest picture, and its last pixel. */
    set_vbe(f, VBE_ENABLE, 0);
    set_vbe(f, VBE_WIDTH, 2048);
    set_vbe(f, VBE_HEIGHT, 2048);
    set_vbe(f, VBE_DEPTH, 32);
    set_vbe(f, VBE_ENABLE, VBE_ENABLED);
    memset(f->vga->memory + VGA_MEMORY_SIZE - 4, 0x55, 4);
    render(f);
    assert_int_equal(pixel(f, 2047, 2047), 0x555555);
}

static void changes_are_reported(void **state)
{
    struct vga_fixture *f = *state;
    render(f); /* nothing programmed */
    assert_int_equal(f->frame.width, 640);
    assert_int_equal(f->frame.height, 480);
    assert_true(f->frame.resized);
    assert_int_equal(f->frame.dirty_count, 1);
    set_bios_mode(f, &mode_13);
    render(f);
    assert_true(f->frame.resized);
    assert_int_equal(f->frame.dirty[0].height, 400);
    uint64_t generation = f->frame.generation;
    render(f);
    assert_int_equal(f->frame.dirty_count, 0);
    assert_int_equal(f->frame.generation, generation);
    poke(f, 0xa0000 + 320 * 10 + 5, 1, 9);
    poke(f, 0xa0000 + 320 * 11 + 7, 1, 9);
    poke(f, 0xa0000 + 320 * 100, 1, 9);
    render(f);
    assert_false(f->frame.resized);
    assert_int_equal(f->frame.dirty_count, 2);
    assert_memory_equal(&f->frame.dirty[0], (&(struct display_rectangle){10, 20, 6, 4}), sizeof(f->frame.dirty[0]));
    assert_memory_equal(&f->frame.dirty[1], (&(struct display_rectangle){0, 200, 2, 2}), sizeof(f->frame.dirty[0]));
    assert_int_equal(f->frame.generation, generation + 1);
    /* More places than rectangles: the last one grows. */
    for (unsigned y = 0; y < 200; y += 4)
        poke(f, 0xa0000 + 320 * y + y, 1, 77);
    render(f);
    assert_int_equal(f->frame.dirty_count, DISPLAY_MAX_DIRTY);
    const struct display_rectangle *last = &f->frame.dirty[DISPLAY_MAX_DIRTY - 1];
    assert_int_equal(last->y + last->height, 2 * 196 + 2);
    assert_int_equal(last->x + last->width, 2 * 196 + 2);
    /* A second viewer sees it all. */
    struct display_frame other = {0};
    assert_true(vga_render(f->vga, &other));
    assert_true(other.resized);
    assert_int_equal(frame_hash(&other), frame_hash(&f->frame));
    display_frame_finish(&other);
    /* Off: black, in the same size. */
    set_sr(f, 1, 0x21);
    render(f);
    assert_false(f->frame.resized);
    assert_int_equal(pixel(f, 0, 0), 0);
    assert_int_equal(pixel(f, 14, 20), 0);
    set_sr(f, 1, 0x01);
    render(f);
    assert_int_equal(pixel(f, 0, 0), test_colour(77));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        VGA_TEST(text_9_dots), VGA_TEST(text_golden_hash), VGA_TEST(text_details),
        VGA_TEST(text_screen), VGA_TEST(mode_12_planar),   VGA_TEST(mode_13_and_x),
        VGA_TEST(mode_4_cga),  VGA_TEST(vbe_modes),        VGA_TEST(changes_are_reported),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* Text mode as a board without firmware sets it. */
#include "test_vga.h"

#include <stdio.h>
#include <unistd.h>

enum { ROM_SIZE = 8192, FONT_AT = 1235 };

static void test_text_mode(void **state)
{
    struct vga_fixture *f = *state;
    set_bios_mode(f, &mode_13); /* whatever was there */
    poke(f, 0xa0000, 4, 0x11223344);
    vga_set_up(f->vga);

    assert_true(vga_text_screen(f->vga, &f->text));
    assert_int_equal(f->text.columns, 80);
    assert_int_equal(f->text.rows, 25);
    assert_int_equal(f->text.cell_height, 16);
    assert_true(f->text.cursor_visible);
    assert_int_equal(f->text.cursor_row, 24);
    assert_int_equal(f->text.cursor_column, 0);
    assert_false(f->text.blank);
    for (unsigned i = 0; i < 80 * 25; i++) {
        assert_int_equal(f->text.cells[i].character, ' ');
        assert_int_equal(f->text.cells[i].foreground, 7);
        assert_int_equal(f->text.cells[i].background, 0);
    }
    assert_true(vga_render(f->vga, &f->frame));
    assert_int_equal(f->frame.width, 720);
    assert_int_equal(f->frame.height, 400);

    /* The window at B8000h, and the sixteen colours. */
    assert_int_equal(peek(f, 0xb8000, 2), 0x0720);
    assert_int_equal(peek(f, 0xb8000 + 2 * 1999, 2), 0x0720);
    poke(f, 0xb8000 + 2 * 81, 2, 0x1e41);
    assert_true(vga_text_screen(f->vga, &f->text));
    assert_int_equal(f->text.cells[81].character, 'A');
    assert_int_equal(f->text.colours[1], 0x0000aa);
    assert_int_equal(f->text.colours[6], 0xaa5500); /* brown, not dark yellow */
    assert_int_equal(f->text.colours[7], 0xaaaaaa);
    assert_int_equal(f->text.colours[14], 0xffff55);
}

/* A font is taken from the ROM, wherever it is there. */
static void test_font(void **state)
{
    struct vga_fixture *f = *state;
    static const uint8_t letter_a[] = {0, 0, 0x10, 0x38, 0x6c, 0xc6, 0xc6, 0xfe, 0xc6, 0xc6, 0xc6, 0xc6, 0, 0, 0, 0};
    uint8_t rom[ROM_SIZE] = {0x55, 0xaa, ROM_SIZE / 512};
    memset(rom + FONT_AT + 0xdb * 16, 0xff, 16); /* the full block */
    memcpy(rom + FONT_AT + 'A' * 16, letter_a, sizeof letter_a);
    char path[] = "/tmp/dragoman-vgabios-XXXXXX";
    int fd = mkstemp(path);
    assert_true(fd >= 0 && write(fd, rom, sizeof rom) == (ssize_t)sizeof rom);
    close(fd);
    struct error err;
    device_destroy(f->vga);
    f->vga = vga_create(&f->bench.bus, f->pci, PCI_DEVFN(2, 0), path, &err);
    unlink(path);
    assert_non_null(f->vga);
    vga_set_up(f->vga);
    poke(f, 0xb8000, 4, 0x0fdb0f41);
    assert_true(vga_render(f->vga, &f->frame));
    for (unsigned y = 0; y < 16; y++)
        for (unsigned x = 0; x < 8; x++) {
            assert_int_equal(pixel(f, x, y), letter_a[y] >> (7 - x) & 1 ? 0xffffff : 0);
            assert_int_equal(pixel(f, 9 + x, y), 0xffffff);
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {VGA_TEST(test_text_mode), VGA_TEST(test_font)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}

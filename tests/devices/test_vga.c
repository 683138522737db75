/* Registers, beam timing, DISPI, the PCI function. */
#include "test_vga.h"

#include "devices/ticks.h"

#include <unistd.h>

static void sequencer_and_graphics_registers(void **state)
{
    struct vga_fixture *f = *state;
    static const uint8_t sr[] = {0x03, 0x3d, 0x0f, 0x3f, 0x0e};
    static const uint8_t gr[] = {0x0f, 0x0f, 0x0f, 0x1f, 0x03, 0x7b, 0x0f, 0x0f, 0xff};
    for (uint8_t i = 0; i < 5; i++) {
        set_sr(f, i, 0xff);
        assert_int_equal(get_indexed(f, 0x3c4, i), sr[i]);
        set_sr(f, i, 0);
        assert_int_equal(get_indexed(f, 0x3c4, i), 0);
    }
    for (uint8_t i = 0; i < 9; i++) {
        set_gr(f, i, 0xff);
        assert_int_equal(get_indexed(f, 0x3ce, i), gr[i]);
    }
    set_gr(f, 9, 0xff);
    assert_int_equal(get_indexed(f, 0x3ce, 9), 0);
    assert_int_equal(inb(&f->bench, 0x3ce), 9);
}

static void crtc_protection(void **state)
{
    struct vga_fixture *f = *state;
    outb(&f->bench, 0x3c2, 1);
    for (uint8_t i = 0; i <= 0x18; i++)
        set_cr(f, i, (uint8_t)(i == 0x11 ? 0 : 0x40 + i));
    for (uint8_t i = 0; i <= 0x18; i++)
        assert_int_equal(get_indexed(f, 0x3d4, i), i == 0x11 ? 0 : 0x40 + i);
    set_cr(f, 0x11, 0x80);
    for (uint8_t i = 0; i <= 7; i++)
        set_cr(f, i, 0xff);
    for (uint8_t i = 0; i < 7; i++)
        assert_int_equal(get_indexed(f, 0x3d4, i), 0x40 + i);
    assert_int_equal(get_indexed(f, 0x3d4, 7), 0x57); /* line compare bit 8 alone */
    set_cr(f, 8, 0xff);
    assert_int_equal(get_indexed(f, 0x3d4, 8), 0xff);
    assert_int_equal(get_indexed(f, 0x3d4, 0x30), 0);
}

static void colour_and_mono_addresses(void **state)
{
    struct vga_fixture *f = *state;
    outb(&f->bench, 0x3c2, 0x01);
    set_cr(f, 0x0c, 0x12);
    assert_int_equal(inb(&f->bench, 0x3b4), 0xff);
    assert_int_equal(inb(&f->bench, 0x3ba), 0xff);
    outb(&f->bench, 0x3c2, 0x00);
    assert_int_equal(inb(&f->bench, 0x3d4), 0xff);
    assert_int_equal(inb(&f->bench, 0x3da), 0xff);
    assert_int_equal(get_indexed(f, 0x3b4, 0x0c), 0x12);
    outb(&f->bench, 0x3ba, 0x03);
    assert_int_equal(inb(&f->bench, 0x3ca), 0x03);
    outb(&f->bench, 0x3c2, 0xff);
    assert_int_equal(inb(&f->bench, 0x3cc), 0xef);
}

static void attribute_flip_flop(void **state)
{
    struct vga_fixture *f = *state;
    outb(&f->bench, 0x3c2, 1);
    inb(&f->bench, 0x3da);
    outb(&f->bench, 0x3c0, 0x11);
    assert_int_equal(get_indexed(f, 0x3d4, 0x24), 0x80);
    outb(&f->bench, 0x3c0, 0xa5);
    assert_int_equal(get_indexed(f, 0x3d4, 0x24), 0);
    assert_int_equal(inb(&f->bench, 0x3c0), 0x11);
    assert_int_equal(inb(&f->bench, 0x3c1), 0xa5); /* reads do not toggle it */
    outb(&f->bench, 0x3c0, 0x02);
    inb(&f->bench, 0x3da); /* back to index */
    outb(&f->bench, 0x3c0, 0x03);
    outb(&f->bench, 0x3c0, 0xff);
    outb(&f->bench, 0x3c0, 0x23);
    assert_int_equal(inb(&f->bench, 0x3c0), 0x23);
    assert_int_equal(inb(&f->bench, 0x3c1), 0x3f);
    assert_int_equal(get_indexed(f, 0x3d4, 0x26), 0x23);
}

static void palette_access(void **state)
{
    struct vga_fixture *f = *state;
    assert_int_equal(inb(&f->bench, 0x3c6), 0xff);
    outb(&f->bench, 0x3c8, 0xff);
    assert_int_equal(inb(&f->bench, 0x3c7), 0);
    for (unsigned i = 0; i < 6; i++)
        outb(&f->bench, 0x3c9, (uint8_t)(0xc1 + i)); /* entries 255 and 0; six bits */
    assert_int_equal(inb(&f->bench, 0x3c8), 1);
    outb(&f->bench, 0x3c7, 0xff);
    assert_int_equal(inb(&f->bench, 0x3c7), 3);
    for (unsigned i = 0; i < 6; i++)
        assert_int_equal(inb(&f->bench, 0x3c9), 1 + i);
    outb(&f->bench, 0x3c8, 7);
    outb(&f->bench, 0x3c9, 9);
    outb(&f->bench, 0x3c9, 9); /* an entry changes with its third byte */
    outb(&f->bench, 0x3c7, 7);
    assert_int_equal(inb(&f->bench, 0x3c9), 0);
    set_vbe(f, VBE_ENABLE, VBE_8_BIT_DAC);
    outb(&f->bench, 0x3c8, 3);
    for (unsigned i = 0; i < 3; i++)
        outb(&f->bench, 0x3c9, 0xc3);
    outb(&f->bench, 0x3c7, 3);
    assert_int_equal(inb(&f->bench, 0x3c9), 0xc3);
    assert_int_equal(vga_dac_colour(f->vga, 3), 0xc3c3c3);
}

/* Fraction of NS nanoseconds, in 1/10000, for which BIT of input status 1 is MASK's. */
static unsigned share(struct vga_fixture *f, uint8_t bit)
{
    unsigned set = 0;
    for (unsigned i = 0; i < 100000; i++) {
        bench_run(&f->bench, 1987); /* prime: samples the whole frame evenly */
        set += (inb(&f->bench, 0x3da) & bit) != 0;
    }
    return set / 10;
}

static void retrace_has_the_right_shares(void **state)
{
    struct vga_fixture *f = *state;
    set_bios_mode(f, &mode_3);
    /* 2 of 449 lines; 80 of 100 characters of 400 of 449 lines are displayed. */
    assert_in_range(share(f, 8), 40, 49);
    assert_in_range(share(f, 1), 2830, 2920);
    /* 900 dots by 449 lines at 28.322 MHz: 70.09 Hz. */
    uint64_t start = vga_beam_now(f->vga).retraces;
    bench_run(&f->bench, 10 * 1000000000ull);
    assert_in_range(vga_beam_now(f->vga).retraces - start, 700, 702);
    set_bios_mode(f, &mode_12);
    assert_in_range(share(f, 8), 34, 42); /* 2 of 525 */
    start = vga_beam_now(f->vga).retraces;
    bench_run(&f->bench, 10 * 1000000000ull);
    assert_in_range(vga_beam_now(f->vga).retraces - start, 599, 601);
    set_vbe(f, VBE_ENABLE, 1);
    assert_in_range(share(f, 8), 80, 110);
    set_vbe(f, VBE_ENABLE, 0);
    set_cr(f, 0x10, 0xff); /* a retrace below the last line comes all the same */
    set_cr(f, 0x07, 0xff);
    assert_true(share(f, 8) > 0);
}

static void retrace_interrupt_flag(void **state)
{
    struct vga_fixture *f = *state;
    set_bios_mode(f, &mode_3);
    assert_int_equal(inb(&f->bench, 0x3c2) & 0x80, 0);
    set_cr(f, 0x11, 0x0e); /* cleared */
    set_cr(f, 0x11, 0x1e); /* armed */
    assert_int_equal(inb(&f->bench, 0x3c2) & 0x80, 0);
    bench_run(&f->bench, 15000000);
    assert_int_equal(inb(&f->bench, 0x3c2) & 0x80, 0x80);
    set_cr(f, 0x11, 0x0e);
    assert_int_equal(inb(&f->bench, 0x3c2) & 0x80, 0);
}

static void dispi_registers(void **state)
{
    struct vga_fixture *f = *state;
    assert_int_equal(get_vbe(f, VBE_ID), 0xb0c5);
    set_vbe(f, VBE_ID, 0xb0c2);
    assert_int_equal(get_vbe(f, VBE_ID), 0xb0c2);
    set_vbe(f, VBE_ID, 0x1234);
    assert_int_equal(get_vbe(f, VBE_ID), 0xb0c2);
    assert_int_equal(get_vbe(f, VBE_MEMORY_64K), 256);
    set_vbe(f, VBE_ENABLE, VBE_CAPABILITIES);
    assert_int_equal(get_vbe(f, VBE_WIDTH), VBE_MAX_WIDTH);
    assert_int_equal(get_vbe(f, VBE_DEPTH), 32);
    set_vbe(f, VBE_ENABLE, 0);
    set_vbe(f, VBE_WIDTH, 800);
    set_vbe(f, VBE_HEIGHT, 600);
    set_vbe(f, VBE_DEPTH, 32);
    f->vga->memory[5] = 9;
    set_vbe(f, VBE_ENABLE, VBE_ENABLED | VBE_LINEAR | VBE_KEEP_MEMORY);
    assert_int_equal(f->vga->memory[5], 9);
    assert_int_equal(get_vbe(f, VBE_VIRTUAL_WIDTH), 800);
    assert_int_equal(get_vbe(f, VBE_VIRTUAL_HEIGHT), VGA_MEMORY_SIZE / 3200);
    set_vbe(f, VBE_Y, 60000);
    assert_int_equal(get_vbe(f, VBE_Y), VGA_MEMORY_SIZE / 3200 - 600);
    set_vbe(f, VBE_VIRTUAL_WIDTH, 1024);
    set_vbe(f, VBE_X, 1000);
    assert_int_equal(get_vbe(f, VBE_X), 224);
    set_vbe(f, VBE_ENABLE, 0);
    set_vbe(f, VBE_ENABLE, VBE_ENABLED);
    assert_int_equal(f->vga->memory[5], 0);
    assert_int_equal(get_vbe(f, VBE_X), 0);
    /* More than there is memory for. */
    set_vbe(f, VBE_ENABLE, 0);
    set_vbe(f, VBE_WIDTH, 0xffff);
    set_vbe(f, VBE_HEIGHT, 0xffff);
    set_vbe(f, VBE_DEPTH, 17);
    set_vbe(f, VBE_ENABLE, VBE_ENABLED);
    assert_int_equal(get_vbe(f, VBE_DEPTH), 8);
    assert_int_equal(get_vbe(f, VBE_WIDTH), VBE_MAX_WIDTH);
    assert_int_equal(get_vbe(f, VBE_HEIGHT), VGA_MEMORY_SIZE / VBE_MAX_WIDTH);
}

static void dispi_port_widths(void **state)
{
    struct vga_fixture *f = *state;
    outw(&f->bench, 0x1ce, VBE_WIDTH);
    outw(&f->bench, 0x1cf, 0x0456); /* the old data port */
    assert_int_equal(inw(&f->bench, 0x1cf), 0x0456);
    assert_int_equal(inw(&f->bench, 0x1d0), 0x0456);
    outb(&f->bench, 0x1d0, 0x12);
    assert_int_equal(inw(&f->bench, 0x1d0), 0x0412);
    outb(&f->bench, 0x1d1, 0x03);
    assert_int_equal(inw(&f->bench, 0x1cf), 0x0312);
    outw(&f->bench, 0x1ce, 0x77);
    assert_int_equal(inw(&f->bench, 0x1d0), 0);
}

static void dispi_banks(void **state)
{
    struct vga_fixture *f = *state;
    outb(&f->bench, 0x3c2, 3);
    set_gr(f, 8, 0xff);
    set_vbe(f, VBE_WIDTH, 1024);
    set_vbe(f, VBE_HEIGHT, 768);
    set_vbe(f, VBE_DEPTH, 8);
    set_vbe(f, VBE_ENABLE, VBE_ENABLED);
    set_vbe(f, VBE_BANK, 11);
    poke(f, 0xaffff, 1, 0x77);
    assert_int_equal(f->vga->memory[0xbffff], 0x77);
    set_gr(f, 3, 0x18); /* through the logic: the same place */
    poke(f, 0xa1234, 1, 0x66);
    assert_int_equal(f->vga->memory[0xb1234], 0x66);
    set_gr(f, 3, 0);
    set_vbe(f, VBE_BANK, 0x105);
    assert_int_equal(get_vbe(f, VBE_BANK), 5);
    set_vbe(f, VBE_ENABLE, 0);
    set_vbe(f, VBE_DEPTH, 4);
    set_vbe(f, VBE_ENABLE, VBE_ENABLED);
    set_sr(f, 4, 6);
    set_sr(f, 2, 8);
    set_vbe(f, VBE_BANK, 1);
    poke(f, 0xa0003, 1, 0x99);
    assert_int_equal(f->vga->memory[4 * 0x10003 + 3], 0x99);
}

static void put_config(struct vga_fixture *f, unsigned offset, uint32_t value)
{
    outl(&f->bench, 0xcf8, 0x80001000u | offset);
    outl(&f->bench, 0xcfc, value);
}
static uint32_t get_config(struct vga_fixture *f, unsigned offset)
{
    outl(&f->bench, 0xcf8, 0x80001000u | offset);
    return inl(&f->bench, 0xcfc);
}

static void pci_function(void **state)
{
    struct vga_fixture *f = *state;
    assert_int_equal(get_config(f, 0), 0x11111234);
    assert_int_equal(get_config(f, 8) >> 16, 0x0300);
    put_config(f, 0x10, 0xffffffff);
    assert_int_equal(get_config(f, 0x10), 0xff000008);
    put_config(f, 0x18, 0xffffffff);
    assert_int_equal(get_config(f, 0x18), 0xfffff000);
    put_config(f, 0x10, 0xfd000000);
    put_config(f, 0x18, 0xfebf0000);
    put_config(f, 0x04, 2);
    poke(f, 0xfdfffffc, 4, 0x12345678);
    assert_memory_equal(f->vga->memory + VGA_MEMORY_SIZE - 4, "\x78\x56\x34\x12", 4);
    assert_int_equal(peek(f, 0xfebf0500, 2), 0xb0c5);
    poke(f, 0xfebf0502, 2, 640);
    assert_int_equal(get_vbe(f, VBE_WIDTH), 640);
    poke(f, 0xfebf0503, 1, 3);
    assert_int_equal(get_vbe(f, VBE_WIDTH), 0x380);
    poke(f, 0xfebf0502, 4, 0x01e00280);
    assert_int_equal(get_vbe(f, VBE_WIDTH), 640);
    assert_int_equal(get_vbe(f, VBE_HEIGHT), 480);
    poke(f, 0xfebf0402, 1, 0x67);
    assert_int_equal(inb(&f->bench, 0x3cc), 0x67);
    poke(f, 0xfebf0404, 2, 0x0f02);
    assert_int_equal(get_indexed(f, 0x3c4, 2), 0x0f);
    assert_int_equal(peek(f, 0xfebf0600, 4), 8);
    assert_int_equal(peek(f, 0xfebf0604, 4), 0x1e1e1e1e);
    poke(f, 0xfebf0604, 4, 0xbebebebe);
    assert_int_equal(peek(f, 0xfebf0604, 4), 0x1e1e1e1e);
    assert_int_equal(peek(f, 0xfebf0000, 4), 0); /* no EDID */
}

static struct vga *create_with(struct vga_fixture *f, const char *path, struct error *err)
{
    return vga_create(&f->bench.bus, f->pci, PCI_DEVFN(3, 0), path, err);
}

static void write_file(const char *path, const void *bytes, size_t size)
{
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(bytes, 1, size, file), size);
    fclose(file);
}

static void video_bios(void **state)
{
    struct vga_fixture *f = *state;
    struct error err;
    char path[] = "/tmp/vga-rom-XXXXXX";
    uint8_t image[70000] = {0x55, 0xaa, 0x80};
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    close(fd);
    assert_null(create_with(f, "/nonexistent/vgabios.bin", &err));
    assert_non_null(strstr(err.message, "/nonexistent/vgabios.bin"));
    assert_null(create_with(f, "/tmp", &err));
    assert_null(create_with(f, path, &err)); /* empty */
    assert_non_null(strstr(err.message, path));
    write_file(path, image + 1, 4096);
    assert_null(create_with(f, path, &err));
    assert_non_null(strstr(err.message, "55 AA"));
    write_file(path, image, sizeof(image));
    struct vga *second = create_with(f, path, &err);
    assert_non_null(second);
    outl(&f->bench, 0xcf8, 0x80001830);
    outl(&f->bench, 0xcfc, 0xfffffffe);
    assert_int_equal(inl(&f->bench, 0xcfc), 0xfffe0000); /* 70000 bytes: 128 KiB */
    outl(&f->bench, 0xcfc, 0xfeb00001);
    outl(&f->bench, 0xcf8, 0x80001804);
    outl(&f->bench, 0xcfc, 2);
    assert_int_equal(peek(f, 0xfeb00000, 4), 0x0080aa55);
    poke(f, 0xfeb00000, 4, 0);
    assert_int_equal(peek(f, 0xfeb00000, 4), 0x0080aa55);
    assert_int_equal(peek(f, 0xfeb1fffc, 4), 0xffffffff);
    device_destroy(second);
    unlink(path);
}

static void print_line(void *to, const char *line)
{
    strcat(to, line);
    strcat(to, "\n");
}

static void state_and_description(void **state)
{
    struct vga_fixture *f = *state;
    char text[1000] = "";
    struct device *device = device_of(f->vga);
    device->ops->describe(device, print_line, text);
    assert_non_null(strstr(text, "not programmed"));
    set_bios_mode(f, &mode_13);
    poke(f, 0xa0000, 4, 0x04030201);
    bench_check_state(f->vga);
    assert_int_equal(peek(f, 0xa0000, 4), 0x04030201);
    assert_true(f->vga->direct.enabled);
    text[0] = 0;
    device->ops->describe(device, print_line, text);
    assert_non_null(strstr(text, "graphics, 80 columns, 640x400"));
    assert_non_null(strstr(text, "as plain memory"));
    set_bios_mode(f, &mode_3);
    bench_check_state(f->vga);
    text[0] = 0;
    device->ops->describe(device, print_line, text);
    assert_non_null(strstr(text, "text, 80 columns, 720x400"));
    set_vbe(f, VBE_WIDTH, 640);
    set_vbe(f, VBE_ENABLE, 1);
    text[0] = 0;
    device->ops->describe(device, print_line, text);
    assert_non_null(strstr(text, "DISPI 640x"));
    bench_check_state(f->vga);
    device_reset(f->vga);
    assert_int_equal(get_vbe(f, VBE_ENABLE), 0);
    assert_int_equal(inb(&f->bench, 0x3cc), 0);
    assert_false(f->vga->direct.enabled || f->vga->window.enabled);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        VGA_TEST(sequencer_and_graphics_registers),
        VGA_TEST(crtc_protection),
        VGA_TEST(colour_and_mono_addresses),
        VGA_TEST(attribute_flip_flop),
        VGA_TEST(palette_access),
        VGA_TEST(retrace_has_the_right_shares),
        VGA_TEST(retrace_interrupt_flag),
        VGA_TEST(dispi_registers),
        VGA_TEST(dispi_port_widths),
        VGA_TEST(dispi_banks),
        VGA_TEST(pci_function),
        VGA_TEST(video_bios),
        VGA_TEST(state_and_description),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

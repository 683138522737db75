/* A VGA on the workbench, and the register values of standard BIOS modes
 * (IBM VGA XGA Technical Reference, BIOS modes). */
#ifndef DRAGOMAN_TESTS_DEVICES_TEST_VGA_H
#define DRAGOMAN_TESTS_DEVICES_TEST_VGA_H

#include "bench.h"

#include "devices/pci/i440fx.h"
#include "devices/vga_internal.h"

struct vga_fixture {
    struct bench bench;
    struct pci_bus *pci;
    struct i440fx *host;
    struct vga *vga;
    struct display_frame frame;
    struct display_text text;
};

static inline int vga_setup(void **state)
{
    struct vga_fixture *f = calloc(1, sizeof(*f));
    struct error err;
    bench_create(&f->bench);
    f->bench.log.enabled = 0; /* millions of accesses follow */
    f->pci = pci_bus_create(&f->bench.bus);
    f->host = i440fx_create(&f->bench.bus, f->pci);
    f->vga = vga_create(&f->bench.bus, f->pci, PCI_DEVFN(2, 0), NULL, &err);
    assert_non_null(f->vga);
    *state = f;
    return 0;
}

static inline int vga_teardown(void **state)
{
    struct vga_fixture *f = *state;
    display_frame_finish(&f->frame);
    display_text_finish(&f->text);
    device_destroy(f->vga);
    device_destroy(f->host);
    device_destroy(f->pci);
    bench_destroy(&f->bench);
    free(f);
    return 0;
}

#define VGA_TEST(name) cmocka_unit_test_setup_teardown(name, vga_setup, vga_teardown)

static inline void set_sr(struct vga_fixture *f, uint8_t index, uint8_t value)
{
    outw(&f->bench, 0x3c4, (uint16_t)(index | value << 8));
}
static inline void set_gr(struct vga_fixture *f, uint8_t index, uint8_t value)
{
    outw(&f->bench, 0x3ce, (uint16_t)(index | value << 8));
}
static inline void set_cr(struct vga_fixture *f, uint8_t index, uint8_t value)
{
    outw(&f->bench, 0x3d4, (uint16_t)(index | value << 8));
}
static inline void set_ar(struct vga_fixture *f, uint8_t index, uint8_t value)
{
    inb(&f->bench, 0x3da);
    outb(&f->bench, 0x3c0, index);
    outb(&f->bench, 0x3c0, value);
    outb(&f->bench, 0x3c0, 0x20);
}
static inline uint8_t get_indexed(struct vga_fixture *f, uint16_t port, uint8_t index)
{
    outb(&f->bench, port, index);
    return inb(&f->bench, (uint16_t)(port + 1));
}
static inline void set_vbe(struct vga_fixture *f, uint16_t index, uint16_t value)
{
    outw(&f->bench, 0x1ce, index);
    outw(&f->bench, 0x1d0, value);
}
static inline uint16_t get_vbe(struct vga_fixture *f, uint16_t index)
{
    outw(&f->bench, 0x1ce, index);
    return inw(&f->bench, 0x1d0);
}
static inline void poke(struct vga_fixture *f, uint32_t address, unsigned size, uint64_t value)
{
    memory_write(f->bench.bus.memory, address, size, value);
}
static inline uint64_t peek(struct vga_fixture *f, uint32_t address, unsigned size)
{
    return memory_read(f->bench.bus.memory, address, size);
}

struct bios_mode {
    uint8_t misc, sr[5], cr[25], gr[9], ar[21];
};

static const struct bios_mode mode_3 = {0x67,
                                        {0x03, 0x00, 0x03, 0x00, 0x02},
                                        {0x5f, 0x4f, 0x50, 0x82, 0x55, 0x81, 0xbf, 0x1f, 0x00, 0x4f, 0x0d, 0x0e, 0x00,
                                         0x00, 0x00, 0x00, 0x9c, 0x8e, 0x8f, 0x28, 0x1f, 0x96, 0xb9, 0xa3, 0xff},
                                        {0x00, 0x00, 0x00, 0x00, 0x00, 0x10, 0x0e, 0x00, 0xff},
                                        {0x00, 0x01, 0x02, 0x03, 0x04, 0x05, 0x14, 0x07, 0x38, 0x39, 0x3a,
                                         0x3b, 0x3c, 0x3d, 0x3e, 0x3f, 0x0c, 0x00, 0x0f, 0x08, 0x00}};
static const struct bios_mode mode_4 = {0x63,
                                        {0x03, 0x09, 0x03, 0x00, 0x02},
                                        {0x2d, 0x27, 0x28, 0x90, 0x2b, 0x80, 0xbf, 0x1f, 0x00, 0xc1, 0x00, 0x00, 0x00,
                                         0x00, 0x00, 0x00, 0x9c, 0x8e, 0x8f, 0x14, 0x00, 0x96, 0xb9, 0xa2, 0xff},
                                        {0x00, 0x00, 0x00, 0x00, 0x00, 0x30, 0x0f, 0x00, 0xff},
                                        {0x00, 0x13, 0x15, 0x17, 0x02, 0x04, 0x06, 0x07, 0x10, 0x11, 0x12,
                                         0x13, 0x14, 0x15, 0x16, 0x17, 0x01, 0x00, 0x03, 0x00, 0x00}};
static const struct bios_mode mode_12 = {0xe3,
                                         {0x03, 0x01, 0x0f, 0x00, 0x06},
                                         {0x5f, 0x4f, 0x50, 0x82, 0x54, 0x80, 0x0b, 0x3e, 0x00, 0x40, 0x00, 0x00, 0x00,
                                          0x00, 0x00, 0x00, 0xea, 0x8c, 0xdf, 0x28, 0x00, 0xe7, 0x04, 0xe3, 0xff},
                                         {0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x05, 0x0f, 0xff},
                                         {0x00, 0x01, 0x02, 0x03, 0x04, 0x05, 0x14, 0x07, 0x38, 0x39, 0x3a,
                                          0x3b, 0x3c, 0x3d, 0x3e, 0x3f, 0x01, 0x00, 0x0f, 0x00, 0x00}};
static const struct bios_mode mode_13 = {0x63,
                                         {0x03, 0x01, 0x0f, 0x00, 0x0e},
                                         {0x5f, 0x4f, 0x50, 0x82, 0x54, 0x80, 0xbf, 0x1f, 0x00, 0x41, 0x00, 0x00, 0x00,
                                          0x00, 0x00, 0x00, 0x9c, 0x8e, 0x8f, 0x28, 0x40, 0x96, 0xb9, 0xa3, 0xff},
                                         {0x00, 0x00, 0x00, 0x00, 0x00, 0x40, 0x05, 0x0f, 0xff},
                                         {0x00, 0x01, 0x02, 0x03, 0x04, 0x05, 0x06, 0x07, 0x08, 0x09, 0x0a,
                                          0x0b, 0x0c, 0x0d, 0x0e, 0x0f, 0x41, 0x00, 0x0f, 0x00, 0x00}};

/* Each entry of the palette a colour of its own; entry 0 is black. */
static inline uint32_t test_colour(unsigned index)
{
    unsigned red = index & 0x3f, green = index * 5 >> 2 & 0x3f, blue = index >> 2;
    return (red << 2 | red >> 4) << 16 | (green << 2 | green >> 4) << 8 | (blue << 2 | blue >> 4);
}

static inline void set_test_palette(struct vga_fixture *f)
{
    outb(&f->bench, 0x3c6, 0xff);
    outb(&f->bench, 0x3c8, 0);
    for (unsigned i = 0; i < 256; i++) {
        outb(&f->bench, 0x3c9, (uint8_t)(i & 0x3f));
        outb(&f->bench, 0x3c9, (uint8_t)(i * 5 >> 2 & 0x3f));
        outb(&f->bench, 0x3c9, (uint8_t)(i >> 2));
    }
}

static inline void set_bios_mode(struct vga_fixture *f, const struct bios_mode *mode)
{
    outb(&f->bench, 0x3c2, mode->misc);
    for (uint8_t i = 0; i < 5; i++)
        set_sr(f, i, mode->sr[i]);
    set_cr(f, 0x11, 0);
    for (uint8_t i = 0; i < 25; i++)
        set_cr(f, i, mode->cr[i]);
    for (uint8_t i = 0; i < 9; i++)
        set_gr(f, i, mode->gr[i]);
    for (uint8_t i = 0; i < 21; i++)
        set_ar(f, i, mode->ar[i]);
    set_test_palette(f);
}

/* FNV-1a over a frame's pixels. */
static inline uint64_t frame_hash(const struct display_frame *frame)
{
    uint64_t hash = 0xcbf29ce484222325u;
    for (size_t i = 0; i < (size_t)frame->width * frame->height; i++)
        hash = (hash ^ frame->pixels[i]) * 0x100000001b3u;
    return hash;
}

static inline uint32_t pixel(const struct vga_fixture *f, unsigned x, unsigned y)
{
    assert_true(x < f->frame.width && y < f->frame.height);
    return f->frame.pixels[(size_t)y * f->frame.width + x];
}

#endif

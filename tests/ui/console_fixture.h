/* A console on a workbench: VGA, keyboard and mouse, no processor. What the devices send can be read at their ports. */
#ifndef DRAGOMAN_TESTS_UI_CONSOLE_FIXTURE_H
#define DRAGOMAN_TESTS_UI_CONSOLE_FIXTURE_H

#include "../devices/test_vga.h"

#include <stdio.h>

#include "ui/console.h"

struct console_fixture {
    struct vga_fixture *vga;
    struct display_source display;
    struct ps2_keyboard *keyboard;
    struct ps2_mouse *mouse;
    struct console *console;
};

static inline void ignore_data(void *controller)
{
}

static inline struct console_fixture *console_fixture_create(void)
{
    struct console_fixture *f = calloc(1, sizeof *f);
    struct error err;
    void *state;
    vga_setup(&state);
    f->vga = state;
    struct bench *bench = &f->vga->bench;
    f->display = vga_display(f->vga->vga);
    f->keyboard = ps2_keyboard_create(&bench->bus);
    f->mouse = ps2_mouse_create(&bench->bus);
    ps2_keyboard_port(f->keyboard)->has_data = ignore_data;
    ps2_mouse_port(f->mouse)->has_data = ignore_data;
    ps2_mouse_port(f->mouse)->receive(ps2_mouse_port(f->mouse), 0xf4); /* enable */
    assert_int_equal(ps2_take(ps2_mouse_port(f->mouse)), PS2_ACK);
    struct console_parts parts = {&bench->lock, bench->bus.clock, &f->display, f->keyboard, f->mouse};
    f->console = console_create(&parts, &err);
    assert_non_null(f->console);
    return f;
}

static inline void console_fixture_destroy(struct console_fixture *f)
{
    void *state = f->vga;
    console_destroy(f->console);
    device_destroy(f->keyboard);
    device_destroy(f->mouse);
    vga_teardown(&state);
    free(f);
}

static inline int console_setup(void **state)
{
    *state = console_fixture_create();
    return 0;
}
static inline int console_teardown(void **state)
{
    console_fixture_destroy(*state);
    return 0;
}

/* What the device has to send, as hexadecimal bytes with blanks between; of the last call for each of two devices. */
static inline const char *taken(struct console_fixture *f, struct ps2_device *port, char *to, size_t size)
{
    size_t length = 0;
    to[0] = 0;
    device_lock_acquire(&f->vga->bench.lock);
    while (ps2_has_data(port) && length + 4 < size)
        length += (size_t)snprintf(to + length, size - length, "%s%02x", length ? " " : "", ps2_take(port));
    device_lock_release(&f->vga->bench.lock);
    return to;
}

#define assert_keys(f, expected)                                                                                       \
    do {                                                                                                               \
        char keys_[512];                                                                                               \
        assert_string_equal(taken(f, ps2_keyboard_port((f)->keyboard), keys_, sizeof keys_), expected);                \
    } while (0)
#define assert_motion(f, expected)                                                                                     \
    do {                                                                                                               \
        char motion_[512];                                                                                             \
        assert_string_equal(taken(f, ps2_mouse_port((f)->mouse), motion_, sizeof motion_), expected);                  \
    } while (0)

/* Text mode 3, 80 x 25, with the usual colours; the characters are those of FONT (16 bytes each) or all blank. */
static inline void fixture_text_mode(struct console_fixture *f)
{
    struct vga_fixture *v = f->vga;
    static const uint8_t levels[4] = {0, 0x15, 0x2a, 0x3f};
    set_bios_mode(v, &mode_3);
    outb(&v->bench, 0x3c8, 0);
    /* The DAC as the BIOS loads it for text modes: 64 colours, RGB and rgb of the attribute's six bits. */
    for (unsigned i = 0; i < 64; i++) {
        outb(&v->bench, 0x3c9, levels[(i >> 2 & 1) << 1 | (i >> 5 & 1)]);
        outb(&v->bench, 0x3c9, levels[(i >> 1 & 1) << 1 | (i >> 4 & 1)]);
        outb(&v->bench, 0x3c9, levels[(i & 1) << 1 | (i >> 3 & 1)]);
    }
}

static inline void fixture_put(struct console_fixture *f, unsigned column, unsigned row, const char *text,
                               uint8_t attribute)
{
    for (; *text; text++, column++) {
        poke(f->vga, 0xb8000 + 2 * (80 * row + column), 1, (uint8_t)*text);
        poke(f->vga, 0xb8001 + 2 * (80 * row + column), 1, attribute);
    }
}

#endif

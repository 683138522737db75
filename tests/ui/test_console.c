/* Keys, chords and the mouse on their way to the devices. */
#include "console_fixture.h"

#include <stdio.h>

#include "ui/key_names.h"

enum { CTRL = 0x1d, ALT = 0x38, DELETE = 0x153, A = 0x1e };
#define MS 1000000ull

static void test_key(void **state)
{
    struct console_fixture *f = *state;
    console_key(f->console, A, true);
    assert_keys(f, "1c");
    console_key(f->console, A, true); /* auto-repeat */
    assert_keys(f, "1c");
    console_key(f->console, A, false);
    assert_keys(f, "f0 1c");
    console_key(f->console, A, false); /* it is up */
    console_key(f->console, 0, true);
    console_key(f->console, 0x7777, true);
    assert_keys(f, "");
}

static void test_release(void **state)
{
    struct console_fixture *f = *state;
    console_key(f->console, DELETE, true);
    console_key(f->console, CTRL, true);
    assert_keys(f, "e0 71 14");
    console_release_keys(f->console);
    assert_keys(f, "f0 14 e0 f0 71");
    console_release_keys(f->console);
    assert_keys(f, "");
}

static void test_chord(void **state)
{
    struct console_fixture *f = *state;
    static const uint16_t keys[3] = {CTRL, ALT, DELETE};
    assert_true(console_queue_chord(f->console, keys, 3, 100));
    assert_keys(f, "14");
    bench_run(&f->vga->bench, 10 * MS);
    assert_keys(f, "11");
    bench_run(&f->vga->bench, 10 * MS);
    assert_keys(f, "e0 71");
    bench_run(&f->vga->bench, 99 * MS);
    assert_keys(f, "");
    bench_run(&f->vga->bench, 1 * MS);
    assert_keys(f, "e0 f0 71");
    /* The next chord waits for this one's end. */
    static const uint16_t next[1] = {A};
    assert_true(console_queue_chord(f->console, next, 1, 0));
    assert_keys(f, "");
    bench_run(&f->vga->bench, 10 * MS);
    assert_keys(f, "f0 11");
    bench_run(&f->vga->bench, 20 * MS);
    assert_keys(f, "f0 14 1c f0 1c");
    bench_run(&f->vga->bench, 1000 * MS);
    assert_keys(f, "");
}

static void test_queue_is_bounded(void **state)
{
    struct console_fixture *f = *state;
    unsigned taken_keys = 0;
    while (console_queue_key(f->console, A, taken_keys % 2 == 0, 1) && taken_keys < 5000)
        taken_keys++;
    assert_int_equal(taken_keys, CONSOLE_QUEUE_SIZE + 1); /* the first one happened at once */
    assert_int_equal(console_queue_room(f->console), 0);
    static const uint16_t chord[1] = {A};
    assert_false(console_queue_chord(f->console, chord, 1, 0));
    bench_run(&f->vga->bench, 2000 * MS);
    assert_int_equal(console_queue_room(f->console), CONSOLE_QUEUE_SIZE);
}

static void test_stopped(void **state)
{
    struct console_fixture *f = *state;
    static const uint16_t chord[1] = {A};
    console_key(f->console, CTRL, true);
    console_mouse_buttons(f->console, PS2_BUTTON_LEFT, PS2_BUTTON_LEFT);
    assert_keys(f, "14");
    assert_motion(f, "09 00 00");
    console_set_running(f->console, false);
    console_key(f->console, A, true);
    assert_true(console_queue_chord(f->console, chord, 1, 0));
    assert_true(console_queue_key(f->console, A, true, 0));
    console_mouse_move(f->console, 5, 5, 0);
    bench_run(&f->vga->bench, 100 * MS);
    assert_keys(f, "");
    assert_motion(f, "");
    /* Releases still come. */
    console_key(f->console, CTRL, false);
    console_mouse_buttons(f->console, PS2_BUTTON_LEFT, 0);
    assert_keys(f, "f0 14");
    assert_motion(f, "08 00 00");
}

static void test_mouse(void **state)
{
    struct console_fixture *f = *state;
    console_mouse_move(f->console, 3, 2, 0);
    assert_motion(f, "28 03 fe");
    console_mouse_buttons(f->console, PS2_BUTTON_RIGHT, ~0u);
    assert_motion(f, "0a 00 00");
    console_mouse_buttons(f->console, PS2_BUTTON_MIDDLE, PS2_BUTTON_MIDDLE);
    console_mouse_buttons(f->console, PS2_BUTTON_MIDDLE, PS2_BUTTON_MIDDLE);
    assert_motion(f, "0e 00 00");
    console_mouse_move(f->console, -1, 0, 0); /* a drag */
    assert_motion(f, "1e ff 00");
    console_mouse_buttons(f->console, ~0u, 0);
    assert_motion(f, "08 00 00");
}

static void test_no_display(void **state)
{
    struct console_fixture *f = *state;
    struct bench *bench = &f->vga->bench;
    struct console_parts parts = {&bench->lock, bench->bus.clock, NULL, f->keyboard, f->mouse};
    struct console *console = console_create(&parts, NULL);
    struct display_frame frame = {0};
    struct display_text text = {0};
    assert_false(console_has_display(console));
    assert_false(console_render(console, &frame));
    assert_false(console_text(console, &text));
    console_destroy(console);
}

static void test_key_names(void **state)
{
    static const struct {
        const char *name;
        uint16_t key;
    } some[] = {{"a", 0x1e},        {"ret", 0x1c},     {"spc", 0x39},          {"ctrl_r", 0x11d}, {"kp_enter", 0x11c},
                {"asterisk", 0x37}, {"f12", 0x58},     {"less", 0x56},         {"pause", 0x145},  {"sysrq", 0x137},
                {"print", 0x137},   {"meta_l", 0x15b}, {"grave_accent", 0x29}, {"unmapped", 0},   {"copy", 0}};
    uint16_t key;
    for (size_t i = 0; i < sizeof some / sizeof some[0]; i++) {
        assert_true(key_find_by_name(some[i].name, strlen(some[i].name), &key));
        assert_int_equal(key, some[i].key);
    }
    assert_true(key_find_by_name("alt-f1", 3, &key));
    assert_int_equal(key, ALT);
    assert_false(key_find_by_name("alt-f1", 6, &key));
    assert_false(key_find_by_name("A", 1, &key));
    assert_false(key_find_by_name("", 0, &key));
    size_t count = 0;
    while (key_name_at(count))
        count++;
    assert_int_equal(count, 162);
    assert_int_equal(key_from_number(0x1e), 0x1e);
    assert_int_equal(key_from_number(0xd3), DELETE);
    assert_int_equal(key_from_number(0xc6), PS2_KEY_PAUSE);
    assert_int_equal(key_from_number(0x54), PS2_KEY_PRINT_SCREEN);
    assert_int_equal(key_from_number(0), 0);
    assert_int_equal(key_from_number(-1), 0);
    assert_int_equal(key_from_number(0x100), 0);
}

/* Every key that has a name reaches the guest in both directions. */
static void test_named_keys_send(void **state)
{
    struct console_fixture *f = *state;
    char down[64], up[64];
    for (size_t i = 0; key_name_at(i); i++) {
        uint16_t key;
        assert_true(key_find_by_name(key_name_at(i), strlen(key_name_at(i)), &key));
        if (!key)
            continue;
        console_key(f->console, key, true);
        taken(f, ps2_keyboard_port(f->keyboard), down, sizeof down);
        console_key(f->console, key, false);
        taken(f, ps2_keyboard_port(f->keyboard), up, sizeof up);
        if (!down[0] || (!up[0] && key != PS2_KEY_PAUSE))
            fail_msg("%s sends '%s' and '%s'", key_name_at(i), down, up);
    }
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, console_setup, console_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_key),
        TEST(test_release),
        TEST(test_chord),
        TEST(test_queue_is_bounded),
        TEST(test_stopped),
        TEST(test_mouse),
        TEST(test_no_display),
        cmocka_unit_test(test_key_names),
        TEST(test_named_keys_send),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

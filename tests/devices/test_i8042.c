#include "bench.h"

#include "devices/i8042.h"
#include "devices/ps2_keyboard.h"
#include "devices/ps2_mouse.h"

enum { IRQ1 = 1, IRQ12 = 12, A20 = 20, RESET = 21 };
enum { OBF = 0x01, AUX = 0x20 };

struct fixture {
    struct bench bench;
    struct port92 *port92;
    struct ps2_keyboard *keyboard;
    struct ps2_mouse *mouse;
    struct i8042 *kbc;
    uint8_t leds;
};

static int setup_with(void **state, bool devices)
{
    struct fixture *f = calloc(1, sizeof(*f));
    struct bench *bench = &f->bench;
    bench_create(bench);
    f->port92 = port92_create(&bench->bus, bench_line(bench, A20), bench_line(bench, RESET));
    f->keyboard = ps2_keyboard_create(&bench->bus);
    f->mouse = ps2_mouse_create(&bench->bus);
    struct i8042_lines lines = {bench_line(bench, IRQ1), bench_line(bench, IRQ12), bench_line(bench, RESET)};
    f->kbc = i8042_create(&bench->bus, lines, port92_a20_gate(f->port92),
                          devices ? ps2_keyboard_port(f->keyboard) : NULL, devices ? ps2_mouse_port(f->mouse) : NULL);
    assert_non_null(f->kbc);
    *state = f;
    return 0;
}

static int setup(void **state)
{
    return setup_with(state, true);
}

static int setup_unplugged(void **state)
{
    return setup_with(state, false);
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    device_destroy(f->kbc);
    device_destroy(f->keyboard);
    device_destroy(f->mouse);
    device_destroy(f->port92);
    bench_destroy(&f->bench);
    free(f);
    return 0;
}

static void command(struct fixture *f, uint8_t value)
{
    outb(&f->bench, 0x64, value);
}

static void data(struct fixture *f, uint8_t value)
{
    outb(&f->bench, 0x60, value);
}

static uint8_t status(struct fixture *f)
{
    return inb(&f->bench, 0x64);
}

/* The next byte from a device, or -1; waits for the line. */
static int next(struct fixture *f, bool aux)
{
    bench_run(&f->bench, 600000);
    if (!(status(f) & OBF))
        return -1;
    assert_int_equal(!!(status(f) & AUX), aux);
    return inb(&f->bench, 0x60);
}

static void expect(struct fixture *f, bool aux, const uint8_t *bytes, unsigned count)
{
    for (unsigned i = 0; i < count; i++)
        assert_int_equal(next(f, aux), bytes[i]);
    assert_int_equal(next(f, aux), -1);
}
#define EXPECT_KEYBOARD(f, ...) expect(f, false, (const uint8_t[]){__VA_ARGS__}, sizeof((const uint8_t[]){__VA_ARGS__}))
#define EXPECT_MOUSE(f, ...)    expect(f, true, (const uint8_t[]){__VA_ARGS__}, sizeof((const uint8_t[]){__VA_ARGS__}))

static void mouse_byte(struct fixture *f, uint8_t value)
{
    command(f, 0xd4);
    data(f, value);
}

static void mouse_command(struct fixture *f, uint8_t value)
{
    mouse_byte(f, value);
    assert_int_equal(next(f, true), 0xfa);
}

static void keyboard_command(struct fixture *f, uint8_t value)
{
    data(f, value);
    assert_int_equal(next(f, false), 0xfa);
}

static void set_config(struct fixture *f, uint8_t value)
{
    command(f, 0x60);
    data(f, value);
}

/* ---- controller ---- */

static void self_tests(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(status(f), 0x10);
    command(f, 0xaa);
    assert_int_equal(status(f), 0x1d); /* full, system flag, last was command, not locked */
    assert_int_equal(inb(&f->bench, 0x60), 0x55);
    assert_int_equal(inb(&f->bench, 0x60), 0x55); /* the buffer keeps its byte */
    command(f, 0xab);
    assert_int_equal(inb(&f->bench, 0x60), 0x00);
    command(f, 0xa9);
    assert_int_equal(inb(&f->bench, 0x60), 0x00);
    command(f, 0xa4);
    assert_int_equal(inb(&f->bench, 0x60), 0xf1);
    command(f, 0xc0);
    assert_int_equal(inb(&f->bench, 0x60), 0x80);
}

static void configuration_byte_and_ram(void **state)
{
    struct fixture *f = *state;
    set_config(f, 0x47);
    command(f, 0x20);
    assert_int_equal(inb(&f->bench, 0x60), 0x47);
    command(f, 0xa7);
    command(f, 0xad);
    command(f, 0x20);
    assert_int_equal(inb(&f->bench, 0x60), 0x77);
    command(f, 0xa8);
    command(f, 0xae);
    command(f, 0x20);
    assert_int_equal(inb(&f->bench, 0x60), 0x47);
    command(f, 0x7f);
    data(f, 0xab);
    command(f, 0x3f);
    assert_int_equal(inb(&f->bench, 0x60), 0xab);
}

/* As Linux probes: a byte sent round through D3 comes back as the mouse's, with IRQ 12. */
static void loop_back_commands(void **state)
{
    struct fixture *f = *state;
    set_config(f, 0x03);
    command(f, 0xd3);
    data(f, 0xa5);
    assert_int_equal(status(f) & (OBF | AUX), OBF | AUX);
    assert_true(f->bench.level[IRQ12]);
    assert_false(f->bench.level[IRQ1]);
    assert_int_equal(inb(&f->bench, 0x60), 0xa5);
    assert_false(f->bench.level[IRQ12]);
    command(f, 0xd2);
    data(f, 0x1e);
    assert_int_equal(status(f) & (OBF | AUX), OBF);
    assert_true(f->bench.level[IRQ1]);
    assert_int_equal(inb(&f->bench, 0x60), 0x1e);
}

static void output_port_a20_and_reset(void **state)
{
    struct fixture *f = *state;
    assert_true(f->bench.level[A20]);
    command(f, 0xd0);
    assert_int_equal(inb(&f->bench, 0x60) & 0x03, 0x03);
    command(f, 0xd1);
    data(f, 0xdd);
    assert_false(f->bench.level[A20]);
    assert_int_equal(inb(&f->bench, 0x92) & 0x02, 0x00); /* one gate, two hands */
    command(f, 0xdf);
    assert_true(f->bench.level[A20]);
    command(f, 0xdd);
    assert_false(f->bench.level[A20]);
    outb(&f->bench, 0x92, 0x02);
    assert_true(f->bench.level[A20]);
    command(f, 0xd0);
    assert_int_equal(inb(&f->bench, 0x60) & 0x02, 0x02);
    assert_int_equal(f->bench.rises[RESET], 0);
    command(f, 0xff);
    command(f, 0xf1);
    assert_int_equal(f->bench.rises[RESET], 0);
    command(f, 0xfe);
    assert_int_equal(f->bench.rises[RESET], 1);
    assert_false(f->bench.level[RESET]);
    command(f, 0xd1);
    data(f, 0xde);
    assert_int_equal(f->bench.rises[RESET], 2);
    outb(&f->bench, 0x92, 0x03);
    assert_int_equal(f->bench.rises[RESET], 3);
    outb(&f->bench, 0x92, 0x03); /* no edge */
    assert_int_equal(f->bench.rises[RESET], 3);
    outb(&f->bench, 0x92, 0x00);
    device_reset(f->port92);
    assert_true(f->bench.level[A20]);
}

static void nothing_plugged_in(void **state)
{
    struct fixture *f = *state;
    data(f, 0xff);
    assert_int_equal(status(f) & 0x41, 0x41); /* time-out */
    assert_int_equal(inb(&f->bench, 0x60), 0xfe);
    mouse_byte(f, 0xff);
    assert_int_equal(status(f) & 0x61, 0x61);
    assert_int_equal(inb(&f->bench, 0x60), 0xfe);
    assert_int_equal(status(f) & 0x41, 0);
}

/* A program that hooks the keyboard interrupt reads port 60h and lets the BIOS read it again. */
static void second_read_sees_the_same_byte(void **state)
{
    struct fixture *f = *state;
    ps2_keyboard_key(f->keyboard, 0x1e, true);
    ps2_keyboard_key(f->keyboard, 0x1e, false);
    bench_run(&f->bench, 600000);
    assert_true(f->bench.level[IRQ1]);
    assert_int_equal(inb(&f->bench, 0x60), 0x1e);
    assert_false(f->bench.level[IRQ1]);
    assert_int_equal(inb(&f->bench, 0x60), 0x1e);
    bench_run(&f->bench, 600000);
    assert_true(f->bench.level[IRQ1]);
    assert_int_equal(inb(&f->bench, 0x60), 0x9e);
    assert_int_equal(f->bench.rises[IRQ1], 2);
}

static void disabled_ports_hold_their_bytes(void **state)
{
    struct fixture *f = *state;
    command(f, 0xad);
    ps2_keyboard_key(f->keyboard, 0x39, true);
    assert_int_equal(next(f, false), -1);
    command(f, 0xae);
    assert_int_equal(next(f, false), 0x39);
    /* Without the interrupt enabled the byte is there all the same. */
    set_config(f, 0x40);
    f->bench.rises[IRQ1] = 0;
    ps2_keyboard_key(f->keyboard, 0x39, false);
    assert_int_equal(next(f, false), 0xb9);
    assert_int_equal(f->bench.rises[IRQ1], 0);
}

/* ---- keyboard ---- */

static void keyboard_commands(void **state)
{
    struct fixture *f = *state;
    data(f, 0xff);
    EXPECT_KEYBOARD(f, 0xfa, 0xaa);
    data(f, 0xee);
    EXPECT_KEYBOARD(f, 0xee);
    data(f, 0xf2);
    EXPECT_KEYBOARD(f, 0xfa, 0xab, 0x41); /* 83h, translated */
    set_config(f, 0x03);
    data(f, 0xf2);
    EXPECT_KEYBOARD(f, 0xfa, 0xab, 0x83);
    keyboard_command(f, 0xed);
    keyboard_command(f, 0x05);
    assert_int_equal(ps2_keyboard_leds(f->keyboard), 5);
    keyboard_command(f, 0xf3);
    keyboard_command(f, 0x20);
    data(f, 0xfe);
    EXPECT_KEYBOARD(f, 0xfa); /* again what it sent last */
    data(f, 0x12);
    EXPECT_KEYBOARD(f, 0xfe);
    keyboard_command(f, 0xf0);
    data(f, 0x00);
    EXPECT_KEYBOARD(f, 0xfa, 0x02);
    /* A command where an argument was due. */
    keyboard_command(f, 0xed);
    data(f, 0xf2);
    EXPECT_KEYBOARD(f, 0xfa, 0xab, 0x83);
    keyboard_command(f, 0xf5);
    ps2_keyboard_key(f->keyboard, 0x1e, true);
    assert_int_equal(next(f, false), -1);
    keyboard_command(f, 0xf4);
    ps2_keyboard_key(f->keyboard, 0x1e, true);
    EXPECT_KEYBOARD(f, 0x1c);
}

static void every_key_translates_back(void **state)
{
    struct fixture *f = *state;
    for (unsigned key = 1; key <= 0x58; key++) {
        if (key == 0x54 || key == 0x55)
            continue;
        ps2_keyboard_key(f->keyboard, key, true);
        ps2_keyboard_key(f->keyboard, key, false);
        EXPECT_KEYBOARD(f, (uint8_t)key, (uint8_t)(key | 0x80));
    }
    static const uint16_t extended[] = {0x11c, 0x11d, 0x135, 0x138, 0x147, 0x148, 0x14b, 0x153, 0x15b, 0x15d};
    for (unsigned i = 0; i < ARRAY_SIZE(extended); i++) {
        ps2_keyboard_key(f->keyboard, extended[i], true);
        ps2_keyboard_key(f->keyboard, extended[i], false);
        EXPECT_KEYBOARD(f, 0xe0, (uint8_t)extended[i], 0xe0, (uint8_t)(extended[i] | 0x80));
    }
}

static void scan_code_sets(void **state)
{
    struct fixture *f = *state;
    set_config(f, 0x03); /* no translation */
    ps2_keyboard_key(f->keyboard, 0x148, true);
    ps2_keyboard_key(f->keyboard, 0x148, false);
    EXPECT_KEYBOARD(f, 0xe0, 0x75, 0xe0, 0xf0, 0x75);
    ps2_keyboard_key(f->keyboard, 0x41, true); /* F7 */
    ps2_keyboard_key(f->keyboard, 0x41, false);
    EXPECT_KEYBOARD(f, 0x83, 0xf0, 0x83);
    keyboard_command(f, 0xf0);
    keyboard_command(f, 0x01);
    ps2_keyboard_key(f->keyboard, 0x148, true);
    ps2_keyboard_key(f->keyboard, 0x148, false);
    EXPECT_KEYBOARD(f, 0xe0, 0x48, 0xe0, 0xc8);
    keyboard_command(f, 0xf0);
    keyboard_command(f, 0x03);
    ps2_keyboard_key(f->keyboard, 0x1e, true); /* A repeats, does not break */
    ps2_keyboard_key(f->keyboard, 0x1e, true);
    ps2_keyboard_key(f->keyboard, 0x1e, false);
    EXPECT_KEYBOARD(f, 0x1c, 0x1c);
    ps2_keyboard_key(f->keyboard, 0x2a, true); /* left shift breaks */
    ps2_keyboard_key(f->keyboard, 0x2a, false);
    EXPECT_KEYBOARD(f, 0x12, 0xf0, 0x12);
    keyboard_command(f, 0xfc); /* A: make and break */
    keyboard_command(f, 0x1c);
    keyboard_command(f, 0xf4);
    ps2_keyboard_key(f->keyboard, 0x1e, true);
    ps2_keyboard_key(f->keyboard, 0x1e, true);
    ps2_keyboard_key(f->keyboard, 0x1e, false);
    EXPECT_KEYBOARD(f, 0x1c, 0xf0, 0x1c);
    keyboard_command(f, 0xfa);
    ps2_keyboard_key(f->keyboard, 0x148, true);
    ps2_keyboard_key(f->keyboard, 0x148, false);
    EXPECT_KEYBOARD(f, 0x63, 0xf0, 0x63);
}

static void odd_keys(void **state)
{
    struct fixture *f = *state;
    ps2_keyboard_key(f->keyboard, PS2_KEY_PAUSE, true);
    ps2_keyboard_key(f->keyboard, PS2_KEY_PAUSE, false);
    EXPECT_KEYBOARD(f, 0xe1, 0x1d, 0x45, 0xe1, 0x9d, 0xc5);
    ps2_keyboard_key(f->keyboard, PS2_KEY_PRINT_SCREEN, true);
    ps2_keyboard_key(f->keyboard, PS2_KEY_PRINT_SCREEN, false);
    EXPECT_KEYBOARD(f, 0xe0, 0x2a, 0xe0, 0x37, 0xe0, 0xb7, 0xe0, 0xaa);
    ps2_keyboard_key(f->keyboard, 0x38, true);
    ps2_keyboard_key(f->keyboard, PS2_KEY_PRINT_SCREEN, true);
    ps2_keyboard_key(f->keyboard, PS2_KEY_PRINT_SCREEN, false);
    ps2_keyboard_key(f->keyboard, 0x38, false);
    EXPECT_KEYBOARD(f, 0x38, 0x54, 0xd4, 0xb8);
    ps2_keyboard_key(f->keyboard, 0x1d, true);
    ps2_keyboard_key(f->keyboard, PS2_KEY_PAUSE, true);
    ps2_keyboard_key(f->keyboard, PS2_KEY_PAUSE, false);
    ps2_keyboard_key(f->keyboard, 0x1d, false);
    EXPECT_KEYBOARD(f, 0x1d, 0xe0, 0x46, 0xe0, 0xc6, 0x9d);
    /* Not a key; and a release without a press. */
    ps2_keyboard_key(f->keyboard, 0x7fff, true);
    ps2_keyboard_key(f->keyboard, 0x10, false);
    assert_int_equal(next(f, false), -1);
}

static void overrun_loses_whole_sequences(void **state)
{
    struct fixture *f = *state;
    set_config(f, 0x03);
    for (unsigned i = 0; i < 100; i++)
        ps2_keyboard_put_scancode(f->keyboard, (const uint8_t[]){0xe0, 0x75}, 2);
    unsigned count = 0;
    int byte;
    while ((byte = next(f, false)) == 0xe0) {
        assert_int_equal(next(f, false), 0x75);
        count++;
    }
    assert_int_equal(count, 31);
    assert_int_equal(byte, 0x00); /* buffer overrun */
}

static void command_answers_overtake_keys(void **state)
{
    struct fixture *f = *state;
    ps2_keyboard_key(f->keyboard, 0x10, true);
    ps2_keyboard_key(f->keyboard, 0x11, true);
    data(f, 0xed);
    EXPECT_KEYBOARD(f, 0xfa, 0x10, 0x11);
}

/* ---- mouse ---- */

static void mouse_identification(void **state)
{
    struct fixture *f = *state;
    static const uint8_t wheel[] = {0xf3, 200, 0xf3, 100, 0xf3, 80};
    static const uint8_t explorer[] = {0xf3, 200, 0xf3, 200, 0xf3, 80};
    mouse_byte(f, 0xff);
    EXPECT_MOUSE(f, 0xfa, 0xaa, 0x00);
    mouse_byte(f, 0xf2);
    EXPECT_MOUSE(f, 0xfa, 0x00);
    for (unsigned i = 0; i < sizeof(wheel); i++)
        mouse_command(f, wheel[i]);
    mouse_byte(f, 0xf2);
    EXPECT_MOUSE(f, 0xfa, 0x03);
    for (unsigned i = 0; i < sizeof(explorer); i++)
        mouse_command(f, explorer[i]);
    mouse_byte(f, 0xf2);
    EXPECT_MOUSE(f, 0xfa, 0x04);
    mouse_command(f, 0xf4);
    ps2_mouse_event(f->mouse, 1, 0, -1, PS2_BUTTON_SIDE);
    EXPECT_MOUSE(f, 0x08, 0x01, 0x00, 0x1f);
    mouse_byte(f, 0xff);
    EXPECT_MOUSE(f, 0xfa, 0xaa, 0x00);
    mouse_byte(f, 0xf2);
    EXPECT_MOUSE(f, 0xfa, 0x00);
}

static void mouse_packets(void **state)
{
    struct fixture *f = *state;
    ps2_mouse_event(f->mouse, 10, 10, 0, 0);
    assert_int_equal(next(f, true), -1); /* not enabled */
    mouse_command(f, 0xf4);
    ps2_mouse_event(f->mouse, 5, -3, 0, PS2_BUTTON_LEFT);
    bench_run(&f->bench, 600000);
    assert_true(f->bench.level[IRQ12]);
    EXPECT_MOUSE(f, 0x09, 0x05, 0x03);
    ps2_mouse_event(f->mouse, -5, 3, 0, PS2_BUTTON_RIGHT | PS2_BUTTON_MIDDLE);
    EXPECT_MOUSE(f, 0x3e, 0xfb, 0xfd);
    /* More than a packet holds goes on in the next; what happens meanwhile adds up. */
    ps2_mouse_event(f->mouse, 300, 0, 0, 0);
    ps2_mouse_event(f->mouse, 7, 0, 0, 0);
    EXPECT_MOUSE(f, 0x08, 0xff, 0x00, 0x08, 52, 0x00);
    /* A click between two packets is not lost. */
    ps2_mouse_event(f->mouse, 1, 0, 0, 0);
    ps2_mouse_event(f->mouse, 0, 0, 0, PS2_BUTTON_LEFT);
    ps2_mouse_event(f->mouse, 0, 0, 0, 0);
    EXPECT_MOUSE(f, 0x08, 0x01, 0x00, 0x09, 0x00, 0x00, 0x08, 0x00, 0x00);
    mouse_command(f, 0xe7); /* 2:1 */
    ps2_mouse_event(f->mouse, 3, -20, 0, 0);
    EXPECT_MOUSE(f, 0x08, 3, 40);
    mouse_command(f, 0xe6);
    mouse_command(f, 0xf5);
    ps2_mouse_event(f->mouse, 3, -20, 0, 0);
    assert_int_equal(next(f, true), -1);
}

static void mouse_modes_and_status(void **state)
{
    struct fixture *f = *state;
    mouse_command(f, 0xf3);
    mouse_command(f, 40);
    mouse_command(f, 0xe8);
    mouse_command(f, 3);
    mouse_command(f, 0xe7);
    mouse_command(f, 0xf4);
    ps2_mouse_event(f->mouse, 0, 0, 0, PS2_BUTTON_RIGHT);
    EXPECT_MOUSE(f, 0x0a, 0, 0);
    mouse_byte(f, 0xe9);
    EXPECT_MOUSE(f, 0xfa, 0x31, 3, 40);
    mouse_command(f, 0xf0); /* remote */
    ps2_mouse_event(f->mouse, 4, -4, 0, 0);
    assert_int_equal(next(f, true), -1);
    mouse_byte(f, 0xeb);
    EXPECT_MOUSE(f, 0xfa, 0x08, 4, 4);
    mouse_command(f, 0xea);
    mouse_command(f, 0xee); /* wrap: echo */
    mouse_byte(f, 0xf4);
    EXPECT_MOUSE(f, 0xf4);
    mouse_byte(f, 0xec);
    EXPECT_MOUSE(f, 0xfa);
    mouse_byte(f, 0x77);
    EXPECT_MOUSE(f, 0xfe);
    mouse_command(f, 0xf6);
    mouse_byte(f, 0xe9);
    EXPECT_MOUSE(f, 0xfa, 0x00, 2, 100);
}

static void keyboard_and_mouse_take_turns(void **state)
{
    struct fixture *f = *state;
    mouse_command(f, 0xf4);
    command(f, 0xad);
    command(f, 0xa7);
    for (unsigned i = 0; i < 3; i++)
        ps2_keyboard_key(f->keyboard, 0x1e, true);
    ps2_mouse_event(f->mouse, 1, 1, 0, 0);
    command(f, 0xae);
    command(f, 0xa8);
    unsigned from_mouse = 0;
    for (unsigned i = 0; i < 4; i++) {
        bench_run(&f->bench, 600000);
        assert_true(status(f) & OBF);
        from_mouse += !!(status(f) & AUX);
        inb(&f->bench, 0x60);
    }
    assert_int_equal(from_mouse, 2);
}

static void state_round_trip(void **state)
{
    struct fixture *f = *state;
    mouse_command(f, 0xf4);
    ps2_mouse_event(f->mouse, 1, 2, 0, 1);
    ps2_keyboard_key(f->keyboard, 0x1e, true);
    bench_check_state(f->kbc);
    bench_check_state(f->keyboard);
    bench_check_state(f->mouse);
    outb(&f->bench, 0x92, 0x00);
    bench_check_state(f->port92);
    assert_false(f->bench.level[A20]);
    assert_int_equal(next(f, false), 0x1e);
    EXPECT_MOUSE(f, 0x29, 0x01, 0xfe);
}

static void fuzz(void **state)
{
    struct fixture *f = *state;
    uint64_t seed = 3;
    for (unsigned i = 0; i < 3000; i++) {
        bench_fuzz(&f->bench, 0x60, 5, 20, i);
        bench_fuzz(&f->bench, 0x92, 1, 1, i);
        ps2_keyboard_key(f->keyboard, bench_random(&seed) & 0x3ff, bench_random(&seed) & 1);
        ps2_mouse_event(f->mouse, (int)bench_random(&seed) - 0x3fffffff, (int)bench_random(&seed), INT32_MIN,
                        bench_random(&seed));
    }
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(self_tests),
        TEST(configuration_byte_and_ram),
        TEST(loop_back_commands),
        TEST(output_port_a20_and_reset),
        cmocka_unit_test_setup_teardown(nothing_plugged_in, setup_unplugged, teardown),
        TEST(second_read_sees_the_same_byte),
        TEST(disabled_ports_hold_their_bytes),
        TEST(keyboard_commands),
        TEST(every_key_translates_back),
        TEST(scan_code_sets),
        TEST(odd_keys),
        TEST(overrun_loses_whole_sequences),
        TEST(command_answers_overtake_keys),
        TEST(mouse_identification),
        TEST(mouse_packets),
        TEST(mouse_modes_and_status),
        TEST(keyboard_and_mouse_take_turns),
        TEST(state_round_trip),
        TEST(fuzz),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

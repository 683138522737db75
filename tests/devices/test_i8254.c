#include "bench.h"

#include "devices/i8254.h"
#include "devices/port61.h"
#include "devices/ticks.h"

enum { IRQ0 = 0 };

struct fixture {
    struct bench bench;
    struct pit *pit;
    struct port61 *port61;
};

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));
    bench_create(&f->bench);
    f->pit = pit_create(&f->bench.bus, bench_line(&f->bench, IRQ0));
    f->port61 = port61_create(&f->bench.bus, f->pit);
    assert_non_null(f->port61);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    device_destroy(f->port61);
    device_destroy(f->pit);
    bench_destroy(&f->bench);
    free(f);
    return 0;
}

/* Runs until TICK ticks of the oscillator have passed since power-on. */
static void run_to_tick(struct fixture *f, uint64_t tick)
{
    bench_run_until(&f->bench, ticks_to_time(tick, PIT_HERTZ));
}

static uint64_t tick_now(struct fixture *f)
{
    return ticks_at(clock_now(f->bench.bus.clock), PIT_HERTZ);
}

static void run_ticks(struct fixture *f, uint64_t ticks)
{
    run_to_tick(f, tick_now(f) + ticks);
}

static void program(struct fixture *f, unsigned counter, uint8_t mode, uint16_t count)
{
    outb(&f->bench, 0x43, (uint8_t)(counter << 6 | 0x30 | mode << 1));
    outb(&f->bench, (uint16_t)(0x40 + counter), (uint8_t)count);
    outb(&f->bench, (uint16_t)(0x40 + counter), (uint8_t)(count >> 8));
}

static uint16_t latch(struct fixture *f, unsigned counter)
{
    outb(&f->bench, 0x43, (uint8_t)(counter << 6));
    uint16_t low = inb(&f->bench, (uint16_t)(0x40 + counter));
    return (uint16_t)(low | inb(&f->bench, (uint16_t)(0x40 + counter)) << 8);
}

static uint8_t status(struct fixture *f, unsigned counter)
{
    outb(&f->bench, 0x43, (uint8_t)(0xe0 | 2u << counter));
    return inb(&f->bench, (uint16_t)(0x40 + counter));
}

static void ticks_are_exact(void **state)
{
    for (uint64_t tick = 0; tick < 3000; tick++) {
        uint64_t t = ticks_to_time(tick, PIT_HERTZ);
        assert_int_equal(ticks_at(t, PIT_HERTZ), tick);
        if (t)
            assert_int_equal(ticks_at(t - 1, PIT_HERTZ), tick - 1);
    }
    /* A year later there is no drift. */
    uint64_t year = 365ull * 86400;
    assert_int_equal(ticks_at(year * 1000000000, PIT_HERTZ), year * PIT_HERTZ);
}

static void mode_0_counts_down_once(void **state)
{
    struct fixture *f = *state;
    program(f, 0, 0, 100);
    assert_false(f->bench.level[IRQ0]);
    assert_int_equal(status(f, 0), 0x70); /* OUT low, null count, both bytes, mode 0 */
    run_ticks(f, 1);
    assert_int_equal(status(f, 0), 0x30);
    assert_int_equal(latch(f, 0), 100);
    run_ticks(f, 99);
    assert_int_equal(latch(f, 0), 1);
    assert_false(f->bench.level[IRQ0]);
    run_ticks(f, 1);
    assert_true(f->bench.level[IRQ0]);
    assert_int_equal(latch(f, 0), 0);
    run_ticks(f, 1);
    assert_int_equal(latch(f, 0), 0xffff); /* goes on, wrapping */
    assert_true(f->bench.level[IRQ0]);
    /* The first byte of a new count stops it and lowers OUT. */
    outb(&f->bench, 0x40, 10);
    assert_false(f->bench.level[IRQ0]);
    outb(&f->bench, 0x40, 0);
    run_ticks(f, 10);
    assert_false(f->bench.level[IRQ0]);
    run_ticks(f, 1);
    assert_true(f->bench.level[IRQ0]);
}

static void mode_0_gate_holds_the_count(void **state)
{
    struct fixture *f = *state;
    outb(&f->bench, 0x61, 0x01);
    program(f, 2, 0, 50);
    run_ticks(f, 11);
    assert_int_equal(latch(f, 2), 40);
    outb(&f->bench, 0x61, 0x00);
    run_ticks(f, 1000);
    assert_int_equal(latch(f, 2), 40);
    assert_false(pit_get_out(f->pit, 2));
    outb(&f->bench, 0x61, 0x01);
    run_ticks(f, 39);
    assert_false(pit_get_out(f->pit, 2));
    run_ticks(f, 1);
    assert_true(pit_get_out(f->pit, 2));
    /* OUT 2 shows in bit 5. */
    assert_int_equal(inb(&f->bench, 0x61) & 0x21, 0x21);
}

static void mode_1_is_a_retriggerable_one_shot(void **state)
{
    struct fixture *f = *state;
    outb(&f->bench, 0x61, 0x00);
    program(f, 2, 1, 20);
    run_ticks(f, 100);
    assert_true(pit_get_out(f->pit, 2)); /* no trigger yet */
    assert_int_equal(status(f, 2) & 0x40, 0x40);
    outb(&f->bench, 0x61, 0x01);
    run_ticks(f, 1);
    assert_false(pit_get_out(f->pit, 2));
    assert_int_equal(latch(f, 2), 20);
    run_ticks(f, 15);
    outb(&f->bench, 0x61, 0x00);
    assert_false(pit_get_out(f->pit, 2));
    outb(&f->bench, 0x61, 0x01); /* again */
    run_ticks(f, 20);
    assert_false(pit_get_out(f->pit, 2));
    run_ticks(f, 1);
    assert_true(pit_get_out(f->pit, 2));
}

static void mode_2_divides(void **state)
{
    struct fixture *f = *state;
    program(f, 0, 2, 1000);
    assert_true(f->bench.level[IRQ0]);
    f->bench.rises[IRQ0] = 0;
    run_ticks(f, 1);
    assert_int_equal(latch(f, 0), 1000);
    run_ticks(f, 998);
    assert_int_equal(latch(f, 0), 2);
    assert_true(f->bench.level[IRQ0]);
    run_ticks(f, 1);
    assert_int_equal(latch(f, 0), 1);
    assert_false(f->bench.level[IRQ0]);
    run_ticks(f, 1);
    assert_true(f->bench.level[IRQ0]);
    assert_int_equal(f->bench.rises[IRQ0], 1);
    run_ticks(f, 1000 * 1000);
    assert_int_equal(f->bench.rises[IRQ0], 1001);
}

static void mode_2_takes_a_new_count_at_the_end_of_the_cycle(void **state)
{
    struct fixture *f = *state;
    program(f, 0, 2, 100);
    uint64_t start = tick_now(f) + 1;
    f->bench.rises[IRQ0] = 0;
    run_to_tick(f, start + 30);
    outb(&f->bench, 0x40, 10);
    outb(&f->bench, 0x40, 0);
    assert_int_equal(status(f, 0) & 0x40, 0x40);
    assert_int_equal(latch(f, 0), 70);
    run_to_tick(f, start + 99);
    assert_int_equal(f->bench.rises[IRQ0], 0);
    run_to_tick(f, start + 100);
    assert_int_equal(f->bench.rises[IRQ0], 1);
    assert_int_equal(latch(f, 0), 10);
    assert_int_equal(status(f, 0) & 0x40, 0);
    run_to_tick(f, start + 110);
    assert_int_equal(f->bench.rises[IRQ0], 2);
}

static void mode_2_gate_restarts(void **state)
{
    struct fixture *f = *state;
    outb(&f->bench, 0x61, 0x01);
    program(f, 2, 2, 100);
    run_ticks(f, 100);
    assert_false(pit_get_out(f->pit, 2));
    outb(&f->bench, 0x61, 0x00);
    assert_true(pit_get_out(f->pit, 2)); /* high at once */
    run_ticks(f, 555);
    outb(&f->bench, 0x61, 0x01);
    run_ticks(f, 1);
    assert_int_equal(latch(f, 2), 100);
}

static void mode_3_is_a_square_wave(void **state)
{
    struct fixture *f = *state;
    outb(&f->bench, 0x61, 0x01);
    program(f, 2, 3, 5);
    static const uint8_t counts[5] = {4, 2, 0, 4, 2};
    static const bool outs[5] = {true, true, true, false, false};
    run_ticks(f, 1);
    for (unsigned i = 0; i < 20; i++) {
        assert_int_equal(latch(f, 2), counts[i % 5]);
        assert_int_equal(pit_get_out(f->pit, 2), outs[i % 5]);
        run_ticks(f, 1);
    }
    program(f, 2, 3, 6);
    run_ticks(f, 1);
    for (unsigned i = 0; i < 24; i++) {
        assert_int_equal(latch(f, 2), 6 - 2 * (i % 3));
        assert_int_equal(pit_get_out(f->pit, 2), i % 6 < 3);
        run_ticks(f, 1);
    }
}

static void mode_3_takes_a_new_count_at_the_end_of_the_half(void **state)
{
    struct fixture *f = *state;
    program(f, 0, 3, 100);
    uint64_t start = tick_now(f) + 1;
    run_to_tick(f, start + 20);
    outb(&f->bench, 0x40, 0);
    outb(&f->bench, 0x40, 0); /* 65536 */
    run_to_tick(f, start + 49);
    assert_true(f->bench.level[IRQ0]);
    run_to_tick(f, start + 50);
    assert_false(f->bench.level[IRQ0]);
    assert_int_equal(latch(f, 0), 0);
    run_to_tick(f, start + 50 + 32767);
    assert_false(f->bench.level[IRQ0]);
    run_to_tick(f, start + 50 + 32768);
    assert_true(f->bench.level[IRQ0]);
}

static void default_is_18_2_hertz(void **state)
{
    struct fixture *f = *state;
    f->bench.rises[IRQ0] = 0;
    bench_run_until(&f->bench, 3600ull * 1000000000);
    /* 3600 * 1193182 / 65536 = 65543.33 periods; the first begins one tick after power-on. */
    assert_int_equal(f->bench.rises[IRQ0], 65543);
}

static void mode_4_strobes_once(void **state)
{
    struct fixture *f = *state;
    program(f, 0, 4, 10);
    assert_true(f->bench.level[IRQ0]);
    run_ticks(f, 10);
    assert_true(f->bench.level[IRQ0]);
    run_ticks(f, 1);
    assert_false(f->bench.level[IRQ0]);
    run_ticks(f, 1);
    assert_true(f->bench.level[IRQ0]);
    unsigned rises = f->bench.rises[IRQ0];
    run_ticks(f, 200000);
    assert_int_equal(f->bench.rises[IRQ0], rises);
}

static void mode_5_strobes_on_trigger(void **state)
{
    struct fixture *f = *state;
    outb(&f->bench, 0x61, 0x00);
    program(f, 2, 5, 7);
    run_ticks(f, 50);
    assert_true(pit_get_out(f->pit, 2));
    outb(&f->bench, 0x61, 0x01);
    run_ticks(f, 7);
    assert_true(pit_get_out(f->pit, 2));
    run_ticks(f, 1);
    assert_false(pit_get_out(f->pit, 2));
    run_ticks(f, 1);
    assert_true(pit_get_out(f->pit, 2));
}

static void bcd_counting(void **state)
{
    struct fixture *f = *state;
    outb(&f->bench, 0x43, 0x31); /* counter 0, both bytes, mode 0, BCD */
    outb(&f->bench, 0x40, 0x34);
    outb(&f->bench, 0x40, 0x12);
    run_ticks(f, 1);
    assert_int_equal(latch(f, 0), 0x1234);
    run_ticks(f, 35);
    assert_int_equal(latch(f, 0), 0x1199);
    run_ticks(f, 1200);
    assert_int_equal(latch(f, 0), 0x9999);
    /* 0 is 10000. */
    outb(&f->bench, 0x40, 0);
    outb(&f->bench, 0x40, 0);
    run_ticks(f, 2);
    assert_int_equal(latch(f, 0), 0x9999);
    assert_false(f->bench.level[IRQ0]);
    run_ticks(f, 9999);
    assert_true(f->bench.level[IRQ0]);
}

static void byte_orders(void **state)
{
    struct fixture *f = *state;
    outb(&f->bench, 0x61, 0x01);
    outb(&f->bench, 0x43, 0x94); /* counter 2, low byte only, mode 2 */
    outb(&f->bench, 0x42, 200);
    run_ticks(f, 1);
    assert_int_equal(inb(&f->bench, 0x42), 200);
    assert_int_equal(inb(&f->bench, 0x42), 200);
    outb(&f->bench, 0x43, 0xa4); /* high byte only */
    outb(&f->bench, 0x42, 0x12);
    run_ticks(f, 1);
    assert_int_equal(inb(&f->bench, 0x42), 0x12);
    run_ticks(f, 1);
    assert_int_equal(inb(&f->bench, 0x42), 0x11);
}

static void latches_hold_until_read(void **state)
{
    struct fixture *f = *state;
    program(f, 0, 2, 0x8000);
    run_ticks(f, 1);
    outb(&f->bench, 0x43, 0x00);
    run_ticks(f, 100);
    outb(&f->bench, 0x43, 0x00); /* ignored: latched already */
    assert_int_equal(inb(&f->bench, 0x40), 0x00);
    run_ticks(f, 100);
    assert_int_equal(inb(&f->bench, 0x40), 0x80);
    /* Read-back of status and count: status first. */
    outb(&f->bench, 0x43, 0xc2);
    assert_int_equal(inb(&f->bench, 0x40), 0xb4);
    uint16_t low = inb(&f->bench, 0x40);
    assert_int_equal(low | inb(&f->bench, 0x40) << 8, 0x8000 - 200);
    /* Unlatched reads alternate between the bytes. */
    low = inb(&f->bench, 0x40);
    assert_int_equal(low | inb(&f->bench, 0x40) << 8, 0x8000 - 200);
    assert_int_equal(inb(&f->bench, 0x43), 0xff);
}

static void late_timer_keeps_phase(void **state)
{
    struct fixture *f = *state;
    program(f, 0, 2, 11932);
    uint64_t start = tick_now(f) + 1;
    run_to_tick(f, start + 11932);
    unsigned rises = f->bench.rises[IRQ0];
    /* The host slept for 50 periods and a half. */
    clock_warp(f->bench.bus.clock, ticks_to_time(start + 11932 * 51 + 5966, PIT_HERTZ));
    clock_run_timers(f->bench.bus.clock);
    assert_true(f->bench.rises[IRQ0] > rises);
    assert_true(f->bench.rises[IRQ0] < rises + 5);
    rises = f->bench.rises[IRQ0];
    run_to_tick(f, start + 11932 * 52 - 1);
    assert_int_equal(f->bench.rises[IRQ0], rises);
    run_to_tick(f, start + 11932 * 52);
    assert_int_equal(f->bench.rises[IRQ0], rises + 1);
}

static void port61_bits(void **state)
{
    struct fixture *f = *state;
    outb(&f->bench, 0x61, 0xff);
    assert_int_equal(inb(&f->bench, 0x61) & 0xcf, 0x0f);
    assert_true(port61_speaker_is_on(f->port61));
    unsigned toggles = 0;
    uint8_t last = inb(&f->bench, 0x61) & 0x10;
    for (unsigned i = 0; i < 1000; i++) {
        bench_run(&f->bench, 1000);
        uint8_t now = inb(&f->bench, 0x61) & 0x10;
        toggles += now != last;
        last = now;
    }
    assert_in_range(toggles, 65, 67); /* each 15.085 us in 1 ms */
}

static void state_round_trip(void **state)
{
    struct fixture *f = *state;
    program(f, 0, 2, 1234);
    program(f, 2, 3, 99);
    run_ticks(f, 77);
    outb(&f->bench, 0x43, 0x00);
    bench_check_state(f->pit);
    uint16_t low = inb(&f->bench, 0x40);
    assert_int_equal(low | inb(&f->bench, 0x40) << 8, 1234 - 76);
    f->bench.rises[IRQ0] = 0;
    run_ticks(f, 1234);
    assert_int_equal(f->bench.rises[IRQ0], 1);
    outb(&f->bench, 0x61, 3);
    bench_check_state(f->port61);
    assert_true(port61_speaker_is_on(f->port61));
}

static void fuzz(void **state)
{
    struct fixture *f = *state;
    for (unsigned i = 0; i < 400; i++) {
        bench_fuzz(&f->bench, 0x40, 4, 40, i);
        bench_fuzz(&f->bench, 0x61, 1, 4, i);
        /* Do not leave tiny periods running for long. */
        program(f, 0, 0, 0);
    }
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ticks_are_exact),
        TEST(mode_0_counts_down_once),
        TEST(mode_0_gate_holds_the_count),
        TEST(mode_1_is_a_retriggerable_one_shot),
        TEST(mode_2_divides),
        TEST(mode_2_takes_a_new_count_at_the_end_of_the_cycle),
        TEST(mode_2_gate_restarts),
        TEST(mode_3_is_a_square_wave),
        TEST(mode_3_takes_a_new_count_at_the_end_of_the_half),
        TEST(default_is_18_2_hertz),
        TEST(mode_4_strobes_once),
        TEST(mode_5_strobes_on_trigger),
        TEST(bcd_counting),
        TEST(byte_orders),
        TEST(latches_hold_until_read),
        TEST(late_timer_keeps_phase),
        TEST(port61_bits),
        TEST(state_round_trip),
        TEST(fuzz),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

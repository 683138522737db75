#include "bench.h"

#include "devices/mc146818.h"

enum { IRQ8 = 8, NMI_MASK = 9 };
#define MILLISECOND 1000000ull
#define SECOND      1000000000ull

struct fixture {
    struct bench bench;
    struct rtc *rtc;
};

static struct fixture *make(int64_t epoch)
{
    struct fixture *f = calloc(1, sizeof(*f));
    bench_create(&f->bench);
    f->rtc = rtc_create(&f->bench.bus, bench_line(&f->bench, IRQ8), epoch);
    assert_non_null(f->rtc);
    return f;
}

/* 2024-02-28 23:59:58 UTC, a Wednesday, the day before a leap day. */
static int setup(void **state)
{
    *state = make(1709164798);
    return 0;
}

static void destroy(struct fixture *f)
{
    device_destroy(f->rtc);
    bench_destroy(&f->bench);
    free(f);
}

static int teardown(void **state)
{
    destroy(*state);
    return 0;
}

static uint8_t get(struct fixture *f, uint8_t index)
{
    outb(&f->bench, 0x70, index);
    return inb(&f->bench, 0x71);
}

static void put(struct fixture *f, uint8_t index, uint8_t value)
{
    outb(&f->bench, 0x70, index);
    outb(&f->bench, 0x71, value);
}

static void check_time(struct fixture *f, uint8_t century, uint8_t year, uint8_t month, uint8_t day, uint8_t weekday,
                       uint8_t hour, uint8_t minute, uint8_t second)
{
    assert_int_equal(get(f, 0x32), century);
    assert_int_equal(get(f, 0x37), century);
    assert_int_equal(get(f, 9), year);
    assert_int_equal(get(f, 8), month);
    assert_int_equal(get(f, 7), day);
    assert_int_equal(get(f, 6), weekday);
    assert_int_equal(get(f, 4), hour);
    assert_int_equal(get(f, 2), minute);
    assert_int_equal(get(f, 0), second);
}

static void time_advances_over_a_leap_day(void **state)
{
    struct fixture *f = *state;
    check_time(f, 0x20, 0x24, 0x02, 0x28, 4, 0x23, 0x59, 0x58);
    bench_run(&f->bench, SECOND);
    check_time(f, 0x20, 0x24, 0x02, 0x28, 4, 0x23, 0x59, 0x59);
    bench_run(&f->bench, SECOND);
    check_time(f, 0x20, 0x24, 0x02, 0x29, 5, 0x00, 0x00, 0x00);
    bench_run(&f->bench, 86400 * SECOND);
    check_time(f, 0x20, 0x24, 0x03, 0x01, 6, 0x00, 0x00, 0x00);
    assert_int_equal(rtc_get_time(f->rtc), 1709164800 + 86400);
}

static void a_long_sleep(void **state)
{
    struct fixture *f = *state;
    /* 1000 days at one go, as after a host suspend. */
    clock_warp(f->bench.bus.clock, 1000 * 86400 * SECOND + 2 * SECOND);
    clock_run_timers(f->bench.bus.clock);
    assert_int_equal(rtc_get_time(f->rtc), 1709164800 + 1000 * 86400ll);
    check_time(f, 0x20, 0x26, 0x11, 0x25, 4, 0x00, 0x00, 0x00);
    assert_int_equal(get(f, 0x0c) & 0x30, 0x30); /* an update, and the alarm of 00:00:00 */
}

static void century_and_old_dates(void **state)
{
    struct fixture *f = make(946684799); /* 1999-12-31 23:59:59, a Friday */
    check_time(f, 0x19, 0x99, 0x12, 0x31, 6, 0x23, 0x59, 0x59);
    bench_run(&f->bench, SECOND);
    check_time(f, 0x20, 0x00, 0x01, 0x01, 7, 0x00, 0x00, 0x00);
    destroy(f);
    f = make(-1); /* 1969-12-31 23:59:59, a Wednesday */
    check_time(f, 0x19, 0x69, 0x12, 0x31, 4, 0x23, 0x59, 0x59);
    destroy(f);
}

static void twelve_hours_and_binary(void **state)
{
    struct fixture *f = *state;
    put(f, 0x0b, 0x80); /* SET, BCD, 12 hours */
    put(f, 4, 0x91);    /* 11 PM */
    put(f, 2, 0x59);
    put(f, 0, 0x59);
    put(f, 0x0b, 0x00);
    bench_run(&f->bench, SECOND);
    assert_int_equal(get(f, 4), 0x12); /* midnight */
    assert_int_equal(get(f, 7), 0x29);
    bench_run(&f->bench, 12 * 3600 * SECOND);
    assert_int_equal(get(f, 4), 0x92); /* noon */
    bench_run(&f->bench, 3600 * SECOND);
    assert_int_equal(get(f, 4), 0x81);
    put(f, 0x0b, 0x86); /* binary, 24 hours */
    put(f, 4, 23);
    put(f, 2, 59);
    put(f, 0, 59);
    put(f, 7, 31);
    put(f, 8, 12);
    put(f, 9, 99);
    put(f, 0x32, 20);
    put(f, 6, 1);
    put(f, 0x0b, 0x06);
    bench_run(&f->bench, SECOND);
    check_time(f, 21, 0, 1, 1, 2, 0, 0, 0);
}

static void set_stops_the_clock(void **state)
{
    struct fixture *f = *state;
    get(f, 0x0c);
    put(f, 0x0b, 0x82);
    bench_run(&f->bench, 10 * SECOND);
    assert_int_equal(get(f, 0), 0x58);
    assert_int_equal(get(f, 0x0c) & 0x10, 0);
    for (unsigned i = 0; i < 1000; i++) {
        assert_int_equal(get(f, 0x0a) & 0x80, 0);
        bench_run(&f->bench, MILLISECOND);
    }
    put(f, 0x0b, 0x02);
    bench_run(&f->bench, SECOND);
    assert_int_equal(get(f, 0), 0x59);
}

static void half_written_dates_are_not_normalised(void **state)
{
    struct fixture *f = *state;
    put(f, 7, 0x31); /* 31 February, until the month is written */
    put(f, 8, 0x01);
    assert_int_equal(get(f, 7), 0x31);
    bench_run(&f->bench, 2 * SECOND);
    assert_int_equal(get(f, 8), 0x02);
    assert_int_equal(get(f, 7), 0x01);
}

static void update_in_progress(void **state)
{
    struct fixture *f = *state;
    bench_run_until(&f->bench, SECOND - 2300000);
    assert_int_equal(get(f, 0x0a), 0x26);
    bench_run_until(&f->bench, SECOND - 2200000);
    assert_int_equal(get(f, 0x0a), 0xa6);
    bench_run_until(&f->bench, SECOND - 1);
    assert_int_equal(get(f, 0x0a), 0xa6);
    bench_run_until(&f->bench, SECOND);
    assert_int_equal(get(f, 0x0a), 0x26);
    put(f, 0x0a, 0xff);
    assert_int_equal(get(f, 0x0a), 0x7f); /* UIP is read only */
}

static void divider_reset(void **state)
{
    struct fixture *f = *state;
    bench_run(&f->bench, 300 * MILLISECOND);
    put(f, 0x0a, 0x66);
    bench_run(&f->bench, 20 * SECOND);
    assert_int_equal(get(f, 0), 0x58);
    put(f, 0x0a, 0x26);
    bench_run(&f->bench, 499 * MILLISECOND);
    assert_int_equal(get(f, 0), 0x58);
    bench_run(&f->bench, 1 * MILLISECOND);
    assert_int_equal(get(f, 0), 0x59);
}

static void periodic_interrupt(void **state)
{
    struct fixture *f = *state;
    static const struct {
        uint8_t rate;
        unsigned per_second;
    } rates[] = {{1, 256}, {2, 128}, {3, 8192}, {6, 1024}, {13, 8}, {15, 2}};
    for (unsigned i = 0; i < ARRAY_SIZE(rates); i++) {
        put(f, 0x0a, 0x20 | rates[i].rate);
        put(f, 0x0b, 0x42);
        get(f, 0x0c);
        /* Past an edge, then count for ten seconds. */
        bench_run(&f->bench, 1000);
        get(f, 0x0c);
        unsigned count = 0;
        uint64_t end = clock_now(f->bench.bus.clock) + 10 * SECOND;
        while (clock_next_deadline(f->bench.bus.clock) <= end) {
            bench_run_until(&f->bench, clock_next_deadline(f->bench.bus.clock));
            if (f->bench.level[IRQ8]) {
                assert_int_equal(get(f, 0x0c) & 0xc0, 0xc0);
                assert_false(f->bench.level[IRQ8]);
                count++;
            }
        }
        bench_run_until(&f->bench, end);
        assert_in_range(count, rates[i].per_second * 10 - 1, rates[i].per_second * 10 + 1);
    }
    /* Polled: the flag is set without the interrupt. */
    put(f, 0x0b, 0x02);
    get(f, 0x0c);
    bench_run(&f->bench, SECOND);
    assert_false(f->bench.level[IRQ8]);
    assert_int_equal(get(f, 0x0c) & 0xd0, 0x50);
    /* Off. */
    put(f, 0x0a, 0x20);
    get(f, 0x0c);
    bench_run(&f->bench, SECOND);
    assert_int_equal(get(f, 0x0c) & 0x40, 0);
}

static void unread_interrupt_stays(void **state)
{
    struct fixture *f = *state;
    put(f, 0x0b, 0x42);
    bench_run(&f->bench, SECOND);
    assert_true(f->bench.level[IRQ8]);
    assert_int_equal(f->bench.rises[IRQ8], 1);
    put(f, 0x0b, 0x02); /* disabling the source lowers the line but keeps the flag */
    assert_false(f->bench.level[IRQ8]);
    put(f, 0x0b, 0x42);
    assert_true(f->bench.level[IRQ8]);
}

static void update_ended_interrupt(void **state)
{
    struct fixture *f = *state;
    get(f, 0x0c);
    put(f, 0x0b, 0x12);
    assert_false(f->bench.level[IRQ8]);
    bench_run_until(&f->bench, SECOND);
    assert_true(f->bench.level[IRQ8]);
    assert_int_equal(get(f, 0x0c) & 0x90, 0x90);
    assert_int_equal(get(f, 0x0c) & 0x90, 0x00);
    put(f, 0x0b, 0x92); /* SET going high clears UIE */
    assert_int_equal(get(f, 0x0b), 0x82);
}

static void alarm_interrupt(void **state)
{
    struct fixture *f = *state;
    put(f, 1, 0x05);
    put(f, 3, 0x00);
    put(f, 5, 0x00);
    put(f, 0x0b, 0x22);
    bench_run_until(&f->bench, 7 * SECOND - 1);
    assert_false(f->bench.level[IRQ8]);
    bench_run_until(&f->bench, 7 * SECOND);
    assert_true(f->bench.level[IRQ8]);
    assert_int_equal(get(f, 0x0c) & 0xa0, 0xa0);
    /* Once a day. */
    bench_run_until(&f->bench, 86400 * SECOND);
    assert_false(f->bench.level[IRQ8]);
    bench_run_until(&f->bench, 86407 * SECOND);
    assert_true(f->bench.level[IRQ8]);
    get(f, 0x0c);
    /* Don't care in minutes and hours: once a minute. */
    put(f, 3, 0xff);
    put(f, 5, 0xc0);
    f->bench.rises[IRQ8] = 0;
    for (unsigned i = 0; i < 60; i++) {
        bench_run(&f->bench, 10 * SECOND);
        get(f, 0x0c);
    }
    assert_int_equal(f->bench.rises[IRQ8], 10);
}

static void cmos_memory(void **state)
{
    struct fixture *f = *state;
    rtc_set_memory_size(f->rtc, 64ull << 20);
    assert_int_equal(get(f, 0x15) | get(f, 0x16) << 8, 640);
    assert_int_equal(get(f, 0x17) | get(f, 0x18) << 8, 63 * 1024);
    assert_int_equal(get(f, 0x30) | get(f, 0x31) << 8, 63 * 1024);
    assert_int_equal(get(f, 0x34) | get(f, 0x35) << 8, 48 * 16);
    rtc_set_memory_size(f->rtc, 3ull << 30);
    assert_int_equal(get(f, 0x17) | get(f, 0x18) << 8, 65535);
    assert_int_equal(get(f, 0x34) | get(f, 0x35) << 8, (3072 - 16) * 16);
    rtc_set_memory_size(f->rtc, 1 << 20);
    assert_int_equal(get(f, 0x17) | get(f, 0x34), 0);
    rtc_set_cmos(f->rtc, CMOS_FLOPPY_TYPES, 0x40);
    assert_int_equal(get(f, 0x10), 0x40);
    assert_int_equal(rtc_get_cmos(f->rtc, 0x10), 0x40);
    put(f, 0x7f, 0x5a);
    assert_int_equal(get(f, 0x7f), 0x5a);
    put(f, 0x0d, 0x00);
    assert_int_equal(get(f, 0x0d), 0x80);
    /* CMOS survives a reset, interrupt enables do not. */
    put(f, 0x0b, 0x72);
    device_reset(f->rtc);
    assert_int_equal(get(f, 0x0b), 0x02);
    assert_int_equal(get(f, 0x7f), 0x5a);
}

static void nmi_mask(void **state)
{
    struct fixture *f = *state;
    rtc_set_nmi_mask_line(f->rtc, bench_line(&f->bench, NMI_MASK));
    outb(&f->bench, 0x70, 0x8f);
    assert_true(rtc_nmi_is_masked(f->rtc));
    assert_true(f->bench.level[NMI_MASK]);
    outb(&f->bench, 0x71, 0x0a);
    assert_int_equal(get(f, 0x0f), 0x0a);
    assert_false(f->bench.level[NMI_MASK]);
    assert_int_equal(inb(&f->bench, 0x70), 0xff);
}

static void state_round_trip(void **state)
{
    struct fixture *f = *state;
    put(f, 0x0b, 0x52);
    bench_run(&f->bench, 1234567);
    bench_check_state(f->rtc);
    assert_int_equal(get(f, 0x0b), 0x52);
    get(f, 0x0c);
    bench_run(&f->bench, SECOND);
    assert_true(f->bench.level[IRQ8]);
}

static void fuzz(void **state)
{
    struct fixture *f = *state;
    for (unsigned i = 0; i < 300; i++) {
        bench_fuzz(&f->bench, 0x70, 2, 100, i);
        rtc_get_time(f->rtc);
    }
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(time_advances_over_a_leap_day),
        TEST(a_long_sleep),
        cmocka_unit_test(century_and_old_dates),
        TEST(twelve_hours_and_binary),
        TEST(set_stops_the_clock),
        TEST(half_written_dates_are_not_normalised),
        TEST(update_in_progress),
        TEST(divider_reset),
        TEST(periodic_interrupt),
        TEST(unread_interrupt_stays),
        TEST(update_ended_interrupt),
        TEST(alarm_interrupt),
        TEST(cmos_memory),
        TEST(nmi_mask),
        TEST(state_round_trip),
        TEST(fuzz),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/clock.h"

#include <time.h>

/* What fired, in order. */
struct journal {
    int fired[64];
    unsigned count;
    unsigned woken;
};

struct probe {
    struct timer timer;
    struct journal *journal;
    int number;
    uint64_t period;   /* re-arms itself this much later, if not 0 */
    struct timer *arm; /* arms this one in its callback */
    uint64_t arm_deadline;
    struct timer *cancel; /* cancels this one */
    bool rearm_now;       /* re-arms itself for the present */
};

static void wake(void *opaque)
{
    struct journal *journal = opaque;
    journal->woken++;
}

static void fire(void *opaque)
{
    struct probe *probe = opaque;
    uint64_t now = clock_now(probe->timer.clock);
    assert_false(timer_is_armed(&probe->timer));
    assert_true(probe->journal->count < 64);
    probe->journal->fired[probe->journal->count++] = probe->number;
    if (probe->period)
        timer_set(&probe->timer, now + probe->period);
    if (probe->arm)
        timer_set(probe->arm, probe->arm_deadline);
    if (probe->cancel)
        timer_cancel(probe->cancel);
    if (probe->rearm_now)
        timer_set(&probe->timer, now);
}

static void probe_init(struct probe *probe, struct clock *clock, struct journal *journal, int number)
{
    *probe = (struct probe){.journal = journal, .number = number};
    timer_init(&probe->timer, clock, fire, probe);
}

static void assert_fired(const struct journal *journal, unsigned count, const int *numbers)
{
    assert_int_equal(journal->count, count);
    for (unsigned i = 0; i < count; i++)
        assert_int_equal(journal->fired[i], numbers[i]);
}

static void counted_clock_counts(void **state)
{
    struct clock *clock = clock_create_counted(3, NULL, NULL);
    assert_true(clock_is_counted(clock));
    assert_int_equal(clock_now(clock), 0);
    clock_advance_instructions(clock, 5);
    assert_int_equal(clock_now(clock), 40);
    clock_warp(clock, 1000);
    assert_int_equal(clock_now(clock), 1000);
    clock_warp(clock, 10);
    assert_int_equal(clock_now(clock), 1000);
    clock_pause(clock);
    clock_advance_instructions(clock, 1);
    assert_int_equal(clock_now(clock), 1008);
    clock_set_now(clock, 77);
    assert_int_equal(clock_now(clock), 77);
    clock_destroy(clock);
    (void)state;
}

static void timers_fire_in_order(void **state)
{
    struct journal journal = {0};
    struct clock *clock = clock_create_counted(0, wake, &journal);
    struct probe p[6];
    for (int i = 0; i < 6; i++)
        probe_init(&p[i], clock, &journal, i);
    timer_set(&p[0].timer, 50);
    timer_set(&p[1].timer, 20);
    timer_set(&p[2].timer, 50); /* after 0: armed later */
    timer_set(&p[3].timer, 10);
    timer_set(&p[4].timer, 51);
    timer_set(&p[5].timer, 50);
    timer_set(&p[0].timer, 50);         /* re-armed: now after 5 */
    assert_int_equal(journal.woken, 3); /* 50, 20, 10 */
    assert_int_equal(clock_next_deadline(clock), 10);
    clock_run_timers(clock);
    assert_int_equal(journal.count, 0);
    clock_warp(clock, 50);
    clock_run_timers(clock);
    assert_fired(&journal, 5, (const int[]){3, 1, 2, 5, 0});
    assert_int_equal(clock_next_deadline(clock), 51);
    timer_cancel(&p[4].timer);
    timer_cancel(&p[4].timer);
    assert_false(timer_is_armed(&p[4].timer));
    assert_int_equal(clock_next_deadline(clock), CLOCK_NEVER);
    clock_destroy(clock);
    (void)state;
}

static void callback_arms_and_cancels(void **state)
{
    struct journal journal = {0};
    struct clock *clock = clock_create_counted(0, NULL, NULL);
    struct probe p[4];
    for (int i = 0; i < 4; i++)
        probe_init(&p[i], clock, &journal, i);
    timer_set(&p[0].timer, 10);
    p[0].arm = &p[1].timer; /* due in the same run, between 0 and 3 */
    p[0].arm_deadline = 15;
    p[0].cancel = &p[2].timer;
    timer_set(&p[2].timer, 12);
    timer_set(&p[3].timer, 20);
    clock_warp(clock, 100);
    clock_run_timers(clock);
    assert_fired(&journal, 3, (const int[]){0, 1, 3});
    clock_destroy(clock);
    (void)state;
}

static void rearming_for_now_waits_for_next_run(void **state)
{
    struct journal journal = {0};
    struct clock *clock = clock_create_counted(0, NULL, NULL);
    struct probe p[2];
    probe_init(&p[0], clock, &journal, 0);
    probe_init(&p[1], clock, &journal, 1);
    p[0].rearm_now = true;
    clock_warp(clock, 10);
    timer_set(&p[0].timer, 10);
    timer_set(&p[1].timer, 10);
    clock_run_timers(clock);
    assert_fired(&journal, 2, (const int[]){0, 1});
    assert_true(timer_is_armed(&p[0].timer));
    assert_int_equal(clock_next_deadline(clock), 10);
    clock_run_timers(clock);
    assert_fired(&journal, 3, (const int[]){0, 1, 0});
    /* Cancelled while it waits. */
    timer_cancel(&p[0].timer);
    clock_run_timers(clock);
    assert_int_equal(journal.count, 3);
    assert_int_equal(clock_next_deadline(clock), CLOCK_NEVER);
    clock_destroy(clock);
    (void)state;
}

static void deferred_timer_can_be_cancelled_in_the_same_run(void **state)
{
    struct journal journal = {0};
    struct clock *clock = clock_create_counted(0, NULL, NULL);
    struct probe p[2];
    probe_init(&p[0], clock, &journal, 0);
    probe_init(&p[1], clock, &journal, 1);
    clock_warp(clock, 10);
    p[0].rearm_now = true; /* deferred */
    p[1].cancel = &p[0].timer;
    timer_set(&p[0].timer, 10);
    timer_set(&p[1].timer, 10);
    clock_run_timers(clock);
    assert_false(timer_is_armed(&p[0].timer));
    clock_run_timers(clock);
    assert_int_equal(journal.count, 2);
    clock_destroy(clock);
    (void)state;
}

static void periodic_timer_catches_up(void **state)
{
    struct journal journal = {0};
    struct clock *clock = clock_create_counted(0, NULL, NULL);
    struct probe p;
    probe_init(&p, clock, &journal, 7);
    p.period = 10;
    timer_set(&p.timer, 10);
    for (int i = 1; i <= 5; i++) {
        clock_warp(clock, clock_next_deadline(clock));
        clock_run_timers(clock);
        assert_int_equal(journal.count, i);
        assert_int_equal(clock_now(clock), 10 * i);
    }
    timer_cancel(&p.timer);
    clock_destroy(clock);
    (void)state;
}

static void many_timers_in_random_order(void **state)
{
    struct journal journal = {0};
    struct clock *clock = clock_create_counted(0, NULL, NULL);
    struct probe p[64];
    uint32_t seed = 1;
    for (int i = 0; i < 64; i++) {
        probe_init(&p[i], clock, &journal, i);
        seed = seed * 1664525 + 1013904223;
        timer_set(&p[i].timer, seed >> 24);
        p[i].period = 0;
    }
    uint64_t deadlines[64];
    for (int i = 0; i < 64; i++)
        deadlines[i] = p[i].timer.deadline;
    clock_warp(clock, 1000);
    clock_run_timers(clock);
    assert_int_equal(journal.count, 64);
    for (int i = 1; i < 64; i++) {
        uint64_t a = deadlines[journal.fired[i - 1]], b = deadlines[journal.fired[i]];
        assert_true(a < b || (a == b && journal.fired[i - 1] < journal.fired[i]));
    }
    clock_destroy(clock);
    (void)state;
}

static void real_clock_pauses(void **state)
{
    struct clock *clock = clock_create_real(NULL, NULL);
    const struct timespec little = {0, 2000000};
    assert_false(clock_is_counted(clock));
    uint64_t a = clock_now(clock);
    nanosleep(&little, NULL);
    uint64_t b = clock_now(clock);
    assert_true(b >= a + 2000000);
    clock_pause(clock);
    uint64_t c = clock_now(clock);
    nanosleep(&little, NULL);
    clock_pause(clock);
    assert_int_equal(clock_now(clock), c);
    clock_resume(clock);
    clock_resume(clock);
    uint64_t d = clock_now(clock);
    assert_true(d >= c && d < c + 1000000000u);
    clock_set_now(clock, 5000000000u);
    uint64_t e = clock_now(clock);
    assert_true(e >= 5000000000u && e < 6000000000u);
    clock_pause(clock);
    clock_set_now(clock, 42);
    assert_int_equal(clock_now(clock), 42);
    clock_destroy(clock);
    (void)state;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(counted_clock_counts),
        cmocka_unit_test(timers_fire_in_order),
        cmocka_unit_test(callback_arms_and_cancels),
        cmocka_unit_test(rearming_for_now_waits_for_next_run),
        cmocka_unit_test(deferred_timer_can_be_cancelled_in_the_same_run),
        cmocka_unit_test(periodic_timer_catches_up),
        cmocka_unit_test(many_timers_in_random_order),
        cmocka_unit_test(real_clock_pauses),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

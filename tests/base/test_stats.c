/* Time by phase. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/stats.h"

#include <string.h>
#include <time.h>

#define MILLISECOND 1000000ull

static uint64_t now(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static void sleep_for(uint64_t nanoseconds)
{
    struct timespec t = {(time_t)(nanoseconds / 1000000000u), (long)(nanoseconds % 1000000000u)};

    while (nanosleep(&t, &t) != 0)
        ;
}

/* A vCPU's thread: 100 ms of each of three phases in turns of 10 ms, then 200 ms idle, then it stops. */
static void *vcpu(void *opaque)
{
    struct stats *stats = opaque;
    static const enum stats_phase turns[] = {STATS_PHASE_EXECUTE, STATS_PHASE_EXECUTE, STATS_PHASE_CALLOUT};

    stats_take_thread(stats);
    for (unsigned i = 0; i < 30; i++) {
        stats_set_phase(stats, turns[i % 3]);
        sleep_for(10 * MILLISECOND);
    }
    stats_begin_wait(stats, STATS_PHASE_IDLE);
    sleep_for(200 * MILLISECOND);
    stats_end_wait(stats);
    assert_int_equal(stats_phase(stats), STATS_PHASE_INTERPRET);
    stats_begin_wait(stats, STATS_PHASE_STOPPED);
    return NULL;
}

static void test_times(void **state)
{
    struct stats stats;
    struct stats_times t;
    struct error err;
    pthread_t thread;
    uint64_t start = now(), sum = 0;

    memset(&stats, 0, sizeof stats);
    struct stats_sampler *sampler = stats_sampler_create(&stats, STATS_SAMPLES_PER_SECOND_ASKED, &err);
    assert_non_null(sampler);
    sleep_for(20 * MILLISECOND); /* stopped */
    assert_int_equal(pthread_create(&thread, NULL, vcpu, &stats), 0);
    assert_int_equal(pthread_join(thread, NULL), 0);
    stats_sampler_read(sampler, &t);
    uint64_t passed = now() - start;
    stats_sampler_destroy(sampler);

    assert_in_range(t.total, 520 * MILLISECOND, passed);
    assert_in_range(t.time[STATS_PHASE_IDLE], 200 * MILLISECOND, passed);
    for (unsigned phase = 0; phase < STATS_PHASE_COUNT; phase++)
        sum += t.time[phase];
    assert_in_range(sum, t.total - MILLISECOND, t.total);
    assert_int_not_equal(t.samples, 0);
    /* Two turns of three, on a host that may be busy. */
    uint64_t executing = t.time[STATS_PHASE_EXECUTE], calling = t.time[STATS_PHASE_CALLOUT];
    assert_true(executing > calling);
    assert_true(executing + calling > 250 * MILLISECOND);
    assert_int_equal(t.time[STATS_PHASE_TRANSLATE], 0);
}

static void test_without_samples(void **state)
{
    struct stats stats;
    struct stats_times t;
    struct error err;

    stats_sampler_read(NULL, &t);
    assert_int_equal(t.total, 0);
    memset(&stats, 0, sizeof stats);
    struct stats_sampler *sampler = stats_sampler_create(&stats, 1, &err);
    assert_non_null(sampler);
    stats_sampler_read(sampler, &t); /* no vCPU has ever run: stopped */
    assert_int_equal(t.samples, 0);
    assert_int_equal(t.time[STATS_PHASE_STOPPED], t.total);
    stats_sampler_destroy(sampler); /* does not wait for the next sample */
}

static void *do_device(void *opaque)
{
    struct stats *stats = opaque;

    assert_int_equal(stats_enter_device(stats), -1);
    assert_int_equal(stats_phase(stats), STATS_PHASE_INTERPRET);
    stats_leave_device(stats, -1);
    assert_int_equal(stats_phase(stats), STATS_PHASE_INTERPRET);
    return NULL;
}

/* Devices are used by other threads, too, whose time is not the vCPU's. */
static void test_devices(void **state)
{
    struct stats stats;
    pthread_t thread;

    memset(&stats, 0, sizeof stats);
    assert_int_equal(stats_enter_device(&stats), -1); /* no vCPU's thread yet */
    stats_take_thread(&stats);
    assert_int_equal(pthread_create(&thread, NULL, do_device, &stats), 0);
    assert_int_equal(pthread_join(thread, NULL), 0);
    stats_set_phase(&stats, STATS_PHASE_CALLOUT);
    int before = stats_enter_device(&stats);
    assert_int_equal(stats_phase(&stats), STATS_PHASE_DEVICE);
    int nested = stats_enter_device(&stats); /* a device that writes to memory */
    stats_leave_device(&stats, nested);
    assert_int_equal(stats_phase(&stats), STATS_PHASE_DEVICE);
    stats_leave_device(&stats, before);
    assert_int_equal(stats_phase(&stats), STATS_PHASE_CALLOUT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_times),
        cmocka_unit_test(test_without_samples),
        cmocka_unit_test(test_devices),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

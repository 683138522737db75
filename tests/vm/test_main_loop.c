/* The host main loop: sources, timers, wake-ups from other threads. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "vm/main_loop.h"

#include <pthread.h>
#include <string.h>
#include <unistd.h>

#define SECOND 1000000000ull

struct fixture {
    struct main_loop *loop;
    int pipe[2];
    unsigned source, other;
    int calls;
    short revents;
    char order[16];
};

static int set_up(void **state)
{
    static struct fixture f;
    struct error err;
    memset(&f, 0, sizeof f);
    f.loop = main_loop_create(&err);
    *state = &f;
    return f.loop && pipe(f.pipe) == 0 ? 0 : -1;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;
    close(f->pipe[0]);
    if (f->pipe[1] >= 0)
        close(f->pipe[1]);
    main_loop_destroy(f->loop);
    return 0;
}

static void ready(void *opaque, short revents)
{
    struct fixture *f = opaque;
    char byte;
    f->calls++;
    f->revents = revents;
    if (revents & POLLIN)
        assert_int_equal(read(f->pipe[0], &byte, 1), 1);
}

static void test_source_is_called_when_ready(void **state)
{
    struct fixture *f = *state;
    f->source = main_loop_add_source(f->loop, f->pipe[0], POLLIN, ready, f);
    assert_int_not_equal(f->source, MAIN_LOOP_NO_SOURCE);
    main_loop_iterate(f->loop, 0);
    assert_int_equal(f->calls, 0);
    assert_int_equal(write(f->pipe[1], "ab", 2), 2);
    main_loop_iterate(f->loop, SECOND);
    main_loop_iterate(f->loop, SECOND);
    assert_int_equal(f->calls, 2);
    main_loop_iterate(f->loop, 0);
    assert_int_equal(f->calls, 2);
}

static void test_no_events_means_no_calls_even_for_hangup(void **state)
{
    struct fixture *f = *state;
    f->source = main_loop_add_source(f->loop, f->pipe[0], 0, ready, f);
    close(f->pipe[1]);
    f->pipe[1] = -1;
    uint64_t before = main_loop_host_time();
    main_loop_iterate(f->loop, 20000000);
    assert_int_equal(f->calls, 0);
    assert_true(main_loop_host_time() - before >= 19000000);
    main_loop_set_events(f->loop, f->source, POLLIN);
    main_loop_iterate(f->loop, 0);
    assert_int_equal(f->calls, 1);
    assert_true(f->revents & POLLHUP);
}

static void remove_both(void *opaque, short revents)
{
    struct fixture *f = opaque;
    f->calls++;
    main_loop_remove_source(f->loop, f->source);
    main_loop_remove_source(f->loop, f->other);
}

static void test_removal_inside_a_callback(void **state)
{
    struct fixture *f = *state;
    f->source = main_loop_add_source(f->loop, f->pipe[0], POLLIN, remove_both, f);
    f->other = main_loop_add_source(f->loop, f->pipe[0], POLLIN, remove_both, f);
    assert_int_equal(write(f->pipe[1], "x", 1), 1);
    main_loop_iterate(f->loop, SECOND);
    assert_int_equal(f->calls, 1); /* the other one was ready too, but gone by then */
    main_loop_iterate(f->loop, 0);
    assert_int_equal(f->calls, 1);
    /* A stale handle does not touch the source that took over the slot. */
    unsigned old = f->source;
    f->source = main_loop_add_source(f->loop, f->pipe[0], POLLIN, ready, f);
    main_loop_remove_source(f->loop, old);
    main_loop_iterate(f->loop, SECOND);
    assert_int_equal(f->calls, 2);
}

static void test_many_sources(void **state)
{
    struct fixture *f = *state;
    unsigned handles[100];
    for (int i = 0; i < 100; i++)
        handles[i] = main_loop_add_source(f->loop, f->pipe[0], i == 77 ? POLLIN : 0, ready, f);
    assert_int_equal(write(f->pipe[1], "x", 1), 1);
    main_loop_iterate(f->loop, SECOND);
    assert_int_equal(f->calls, 1);
    for (int i = 0; i < 100; i++)
        main_loop_remove_source(f->loop, handles[i]);
}

struct named_timer {
    struct host_timer timer;
    struct fixture *fixture;
    char name;
    bool again;
};

static void fired(void *opaque)
{
    struct named_timer *t = opaque;
    size_t length = strlen(t->fixture->order);
    assert_true(length + 1 < sizeof t->fixture->order);
    t->fixture->order[length] = t->name;
    if (t->again)
        main_loop_set_timer(t->fixture->loop, &t->timer, 0);
}

static void test_timers_fire_in_order_and_once(void **state)
{
    struct fixture *f = *state;
    struct named_timer t[3];
    for (int i = 0; i < 3; i++)
        t[i] = (struct named_timer){{fired, &t[i], 0, false, NULL}, f, (char)('a' + i), false};
    main_loop_set_timer(f->loop, &t[0].timer, 3000000);
    main_loop_set_timer(f->loop, &t[1].timer, 1000000);
    main_loop_set_timer(f->loop, &t[2].timer, 2000000);
    main_loop_set_timer(f->loop, &t[1].timer, 1500000); /* set anew, not twice */
    for (int i = 0; i < 100 && strlen(f->order) < 3; i++)
        main_loop_iterate(f->loop, SECOND);
    assert_string_equal(f->order, "bca");
    main_loop_iterate(f->loop, 0);
    assert_string_equal(f->order, "bca");
}

static void test_cancelled_and_rearming_timers(void **state)
{
    struct fixture *f = *state;
    struct named_timer a = {{fired, &a, 0, false, NULL}, f, 'a', true};
    struct named_timer b = {{fired, &b, 0, false, NULL}, f, 'b', false};
    main_loop_set_timer(f->loop, &b.timer, 0);
    main_loop_cancel_timer(f->loop, &b.timer);
    main_loop_cancel_timer(f->loop, &b.timer);
    main_loop_set_timer(f->loop, &a.timer, 0);
    main_loop_iterate(f->loop, SECOND); /* returns although the timer is due again at once */
    assert_string_equal(f->order, "a");
    main_loop_cancel_timer(f->loop, &a.timer);
}

static void *wake_later(void *opaque)
{
    struct fixture *f = opaque;
    usleep(20000);
    main_loop_wake(f->loop);
    return NULL;
}

static void test_wake_from_another_thread(void **state)
{
    struct fixture *f = *state;
    pthread_t thread;
    uint64_t before = main_loop_host_time();
    assert_int_equal(pthread_create(&thread, NULL, wake_later, f), 0);
    main_loop_iterate(f->loop, 20 * SECOND);
    assert_true(main_loop_host_time() - before < 10 * SECOND);
    pthread_join(thread, NULL);
    /* A wake-up before the wait is not lost, and counts once. */
    main_loop_wake(f->loop);
    main_loop_wake(f->loop);
    before = main_loop_host_time();
    main_loop_iterate(f->loop, 20 * SECOND);
    assert_true(main_loop_host_time() - before < 10 * SECOND);
    main_loop_iterate(f->loop, 5000000);
    assert_true(main_loop_host_time() - before >= 5000000);
}

static void *enable_later(void *opaque)
{
    struct fixture *f = opaque;
    usleep(10000);
    main_loop_set_events(f->loop, f->source, POLLIN);
    return NULL;
}

static void test_events_set_by_another_thread_take_effect(void **state)
{
    struct fixture *f = *state;
    pthread_t thread;
    assert_int_equal(write(f->pipe[1], "x", 1), 1);
    f->source = main_loop_add_source(f->loop, f->pipe[0], 0, ready, f);
    assert_int_equal(pthread_create(&thread, NULL, enable_later, f), 0);
    for (int i = 0; i < 10 && !f->calls; i++)
        main_loop_iterate(f->loop, 5 * SECOND);
    assert_int_equal(f->calls, 1);
    pthread_join(thread, NULL);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(test_source_is_called_when_ready),   TEST(test_no_events_means_no_calls_even_for_hangup),
        TEST(test_removal_inside_a_callback),     TEST(test_many_sources),
        TEST(test_timers_fire_in_order_and_once), TEST(test_cancelled_and_rearming_timers),
        TEST(test_wake_from_another_thread),      TEST(test_events_set_by_another_thread_take_effect),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

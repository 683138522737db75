/* What the guest prints. */
#include "bench/listener.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct bench_listener listener;

static int begin_anew(void **state)
{
    memset(&listener, 0, sizeof listener);
    return 0;
}

static bool hear(const char *line, double time)
{
    struct child_cost cost = {time, time / 2};

    return bench_listener_take(&listener, line, &cost);
}

static void test_a_run(void **state)
{
    assert_true(hear("", 0));
    assert_true(hear("begin real.words code16", 1));
    assert_true(hear(".", 3));
    assert_true(hear(".", 4));
    assert_true(hear("end real.words 9000 00005989", 5));
    assert_false(hear("done", 6));
    assert_true(listener.is_done && listener.has_ended);
    assert_string_equal(listener.kernel, "real.words");
    assert_int_equal(listener.round_count, 2);
    assert_int_equal(listener.count, 9000);
    assert_string_equal(listener.checksum, "00005989");
    assert_true(listener.rounds[1].wall == 4 && listener.rounds[1].processor == 2);
    assert_true(listener.began.wall == 1);
}

/* The native program knows its own processor time. */
static void test_seconds_in_lines(void **state)
{
    hear("begin loop int 0.250000000", 10);
    hear(". 0.750000000", 20);
    assert_true(listener.began.processor == 0.25);
    assert_true(listener.rounds[0].processor == 0.75 && listener.rounds[0].wall == 20);
}

static void test_marks(void **state)
{
    hear("begin loop int @00000001fffffff0", 10);
    hear(". @0000000200000010", 20);
    hear(".", 21);
    assert_true(listener.began_mark == 0x1fffffff0);
    assert_true(listener.marks[0] == 0x200000010 && listener.marks[1] == 0);
    assert_true(listener.rounds[0].wall == 20 && listener.rounds[0].processor == 10);
}

static void test_list(void **state)
{
    hear("kernel loop int 12000000 anywhere", 0);
    hear("kernel faults system 600000 guest", 0);
    assert_int_equal(listener.kernel_count, 2);
    assert_string_equal(listener.kernels[1].name, "faults");
    assert_string_equal(listener.kernels[1].suite, "system");
    assert_true(listener.kernels[0].anywhere && !listener.kernels[1].anywhere);
    for (int i = 0; i < 2 * BENCH_MAX_KERNELS; i++)
        hear("kernel loop int 12000000 anywhere", 0);
    assert_int_equal(listener.kernel_count, BENCH_MAX_KERNELS);
}

static void test_complaints(void **state)
{
    assert_true(hear("qemu: cannot set up this or that", 0));
    assert_string_equal(listener.last_words, "qemu: cannot set up this or that");
    assert_false(hear("fault: an exception that no kernel expects", 0));
    assert_false(listener.is_done);
}

static void test_out_of_order(void **state)
{
    hear(".", 1); /* nothing has begun */
    hear("end loop 1 00000001", 1);
    assert_false(listener.has_ended);
    hear("begin loop int", 1);
    hear("end copy 1 00000001", 1);
    assert_false(listener.has_ended);
    hear("begin loop int", 1);
    hear("end loop 1 xyz", 1);
    assert_false(listener.has_ended);
    hear("..", 2);
    assert_int_equal(listener.round_count, 0);
}

static void test_much_too_long(void **state)
{
    char line[4000];

    memset(line, 'x', sizeof line - 1);
    line[sizeof line - 1] = 0;
    hear(line, 0);
    memcpy(line, "begin ", 6);
    hear(line, 0);
    memcpy(line, "end ", 4);
    hear(line, 0);
    memcpy(line, "kernel ", 7);
    hear(line, 0);
    assert_int_equal(listener.kernel_count, 0);
    hear("begin loop int", 0);
    for (int i = 0; i < 3 * BENCH_MAX_ROUNDS; i++)
        hear(".", i);
    assert_int_equal(listener.round_count, BENCH_MAX_ROUNDS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_a_run, begin_anew),
        cmocka_unit_test_setup(test_seconds_in_lines, begin_anew),
        cmocka_unit_test_setup(test_marks, begin_anew),
        cmocka_unit_test_setup(test_list, begin_anew),
        cmocka_unit_test_setup(test_complaints, begin_anew),
        cmocka_unit_test_setup(test_out_of_order, begin_anew),
        cmocka_unit_test_setup(test_much_too_long, begin_anew),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

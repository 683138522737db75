/* Medians, spreads, means, warm-up. */
#include "bench/numbers.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define assert_near(a, b) assert_true(fabs((a) - (b)) < 1e-9)

static void test_median(void **state)
{
    const double odd[] = {3, 1, 2}, even[] = {4, 1, 3, 2}, one[] = {7};
    struct numbers n = numbers_of(odd, 3);

    assert_int_equal(n.count, 3);
    assert_near(n.median, 2);
    assert_near(n.least, 1);
    assert_near(n.most, 3);
    assert_near(numbers_of(even, 4).median, 2.5);
    assert_near(numbers_of(one, 1).median, 7);
    assert_near(odd[0], 3); /* left as they were */
}

static void test_of_nothing(void **state)
{
    struct numbers n = numbers_of(NULL, 0);

    assert_int_equal(n.count, 0);
    assert_near(n.median, 0);
    assert_near(numbers_spread(&n), 0);
    assert_near(numbers_geometric_mean(NULL, 0), 0);
}

static void test_spread(void **state)
{
    const double values[] = {9, 10, 12};
    struct numbers n = numbers_of(values, 3);

    assert_near(numbers_spread(&n), 0.3);
}

static void test_geometric_mean(void **state)
{
    const double values[] = {2, 8, 0, -1}; /* the last two are not known */

    assert_near(numbers_geometric_mean(values, 4), 4);
}

static void test_warm_up(void **state)
{
    const double slow_start[] = {15, 12, 10, 10, 10, 10}, steady[] = {10, 10, 10, 10}, quick_start[] = {9, 10, 10, 11};
    const double hardly[] = {10.4, 10.4, 10, 10};

    assert_near(numbers_warm_up(slow_start, 6), 7);
    assert_near(numbers_warm_up(steady, 4), 0);
    assert_near(numbers_warm_up(quick_start, 4), 0);
    assert_near(numbers_warm_up(hardly, 4), 0);
    assert_true(numbers_warm_up(steady, 3) < 0); /* too few to tell */
}

/* Rounds that somebody disturbed later on neither hide the warm-up nor add to it. */
static void test_warm_up_despite_noise(void **state)
{
    const double rounds[] = {15, 10, 20, 10, 90, 10};

    assert_near(numbers_warm_up(rounds, 6), 5);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_median),  cmocka_unit_test(test_of_nothing),
        cmocka_unit_test(test_spread),  cmocka_unit_test(test_geometric_mean),
        cmocka_unit_test(test_warm_up), cmocka_unit_test(test_warm_up_despite_noise),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

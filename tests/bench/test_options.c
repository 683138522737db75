/* The command line of `dragoman bench`. */
#include "bench/options.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static struct bench_options options;
static struct error err;

/* WORDS end with NULL. */
static enum bench_options_result parse(const char *const *words)
{
    char *argv[20] = {(char *)"bench"};
    int argc = 1;

    while (*words)
        argv[argc++] = (char *)*words++;
    memset(&err, 0, sizeof err);
    FILE *nowhere = fopen("/dev/null", "w");
    enum bench_options_result result = bench_options_parse(&options, argc, argv, nowhere, &err);
    fclose(nowhere);
    return result;
}

#define PARSE(...) parse((const char *const[]){__VA_ARGS__, NULL})

static void test_defaults(void **state)
{
    assert_int_equal(parse((const char *const[]){NULL}), BENCH_OPTIONS_RUN);
    assert_int_equal(options.runs, 3);
    assert_int_equal(options.rounds, 10);
    assert_int_equal(options.scale, 20);
    assert_true(options.native);
}

static void test_values(void **state)
{
    assert_int_equal(
        PARSE("--runs", "5", "--scale=100", "-kernels", "a,b", "--against", "x y", "--against=z", "--no-native"),
        BENCH_OPTIONS_RUN);
    assert_int_equal(options.runs, 5);
    assert_int_equal(options.scale, 100);
    assert_string_equal(options.kernels, "a,b");
    assert_int_equal(options.against_count, 2);
    assert_string_equal(options.against[0], "x y");
    assert_false(options.native);
}

/* --quick yields to what is said besides, wherever it stands. */
static void test_quick(void **state)
{
    assert_int_equal(PARSE("--runs", "2", "--quick"), BENCH_OPTIONS_RUN);
    assert_int_equal(options.runs, 2);
    assert_int_equal(options.rounds, 4);
    assert_int_equal(options.scale, 2);
}

static void test_help(void **state)
{
    assert_int_equal(PARSE("--help"), BENCH_OPTIONS_DONE);
}

static void test_errors(void **state)
{
    assert_int_equal(PARSE("--runs", "0"), BENCH_OPTIONS_ERROR);
    assert_string_equal(err.message, "bench: --runs '0': a number from 1 to 50 is wanted");
    assert_int_equal(PARSE("--runs", "5x"), BENCH_OPTIONS_ERROR);
    assert_int_equal(PARSE("--runs", "-1"), BENCH_OPTIONS_ERROR);
    assert_int_equal(PARSE("--runs="), BENCH_OPTIONS_ERROR);
    assert_int_equal(PARSE("--runs"), BENCH_OPTIONS_ERROR);
    assert_string_equal(err.message, "bench: --runs needs a value");
    assert_int_equal(PARSE("--engines", "auto,warp"), BENCH_OPTIONS_ERROR);
    assert_int_equal(PARSE("--engines", "auto,"), BENCH_OPTIONS_ERROR);
    assert_int_equal(PARSE("--engines", ""), BENCH_OPTIONS_ERROR);
    assert_int_equal(PARSE("--against", "  "), BENCH_OPTIONS_ERROR);
    assert_int_equal(PARSE("--what"), BENCH_OPTIONS_ERROR);
    assert_int_equal(PARSE("--quick=1"), BENCH_OPTIONS_ERROR);
    assert_int_equal(PARSE("file"), BENCH_OPTIONS_ERROR);
    assert_int_equal(PARSE("--"), BENCH_OPTIONS_ERROR);
    assert_int_equal(PARSE("--anextraordinarilylongnameofanoption"), BENCH_OPTIONS_ERROR);
}

static void test_patterns(void **state)
{
    assert_true(bench_list_matches(NULL, "loop"));
    assert_true(bench_list_matches("copy,loop", "loop"));
    assert_true(bench_list_matches("real.*", "real.words"));
    assert_false(bench_list_matches("real.*", "v86.words"));
    assert_false(bench_list_matches("loo", "loop"));
    assert_false(bench_list_matches("", "loop"));
    assert_true(bench_list_matches(",,loop", "loop"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_defaults), cmocka_unit_test(test_values), cmocka_unit_test(test_quick),
        cmocka_unit_test(test_help),     cmocka_unit_test(test_errors), cmocka_unit_test(test_patterns),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

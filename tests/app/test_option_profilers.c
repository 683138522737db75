/* -stats and the host's profilers on the command line. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "app/options.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static enum options_result parse(struct app_options *options, struct error *err, const char *option, const char *value)
{
    char *argv[] = {"dragoman", "-display", "none", (char *)option, (char *)value};

    return options_parse(options, value ? 5 : 4, argv, stdout, err);
}

static void test_profilers(void **state)
{
    struct app_options options;
    struct error err;

    assert_int_equal(parse(&options, &err, "-perfmap", NULL), OPTIONS_RUN);
    assert_true(options.vm.translate.perf_map && !options.vm.translate.jitdump && !options.vm.translate.gdb_jit);
    options_finish(&options);
    assert_int_equal(parse(&options, &err, "-jitdump", NULL), OPTIONS_RUN);
    assert_true(!options.vm.translate.perf_map && options.vm.translate.jitdump && !options.vm.translate.gdb_jit);
    options_finish(&options);
    assert_int_equal(parse(&options, &err, "--gdbjit", NULL), OPTIONS_RUN);
    assert_true(!options.vm.translate.perf_map && !options.vm.translate.jitdump && options.vm.translate.gdb_jit);
    assert_null(options.vm.stats_file);
    options_finish(&options);
}

static void test_stats(void **state)
{
    struct app_options options;
    struct error err;
    char path[] = "/tmp/dragoman-stats-XXXXXX";
    int fd = mkstemp(path);

    assert_true(fd >= 0);
    close(fd);
    unlink(path);
    assert_int_equal(parse(&options, &err, "-stats", path), OPTIONS_RUN);
    assert_string_equal(options.vm.stats_file, path);
    assert_int_equal(access(path, W_OK), 0); /* tried at once */
    unlink(path);
    options_finish(&options);
    assert_int_equal(parse(&options, &err, "-stats", "-"), OPTIONS_RUN);
    assert_string_equal(options.vm.stats_file, "-");
    options_finish(&options);
    assert_int_equal(parse(&options, &err, "-stats", NULL), OPTIONS_ERROR);
    options_finish(&options);
    assert_int_equal(parse(&options, &err, "-stats", "/nonexistent/x"), OPTIONS_ERROR);
    assert_string_equal(err.message, "-stats: cannot open '/nonexistent/x': No such file or directory");
    options_finish(&options);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_profilers),
        cmocka_unit_test(test_stats),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

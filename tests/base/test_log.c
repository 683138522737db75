#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/error.h"
#include "base/lock.h"
#include "base/log.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void error_messages(void **state)
{
    struct error err;
    assert_false(error_set(&err, "option -%c: %d", 'm', 3));
    assert_string_equal(err.message, "option -m: 3");
    assert_false(error_set(NULL, "nobody asks"));
    assert_false(error_set(&err, "%0600d", 1)); /* cut, not overrun */
    assert_int_equal(strlen(err.message), sizeof err.message - 1);
    (void)state;
}

static void categories_are_parsed(void **state)
{
    struct log log;
    struct error err;
    log_init(&log);
    assert_int_equal(log.enabled, 0);
    assert_true(log_enable(&log, "int", &err));
    assert_int_equal(log.enabled, LOG_(INT));
    assert_true(log_enable(&log, "in_asm,smc", &err));
    assert_int_equal(log.enabled, LOG_(INT) | LOG_(IN_ASM) | LOG_(SMC));
    /* A prefix or a longer word is no category, and a bad list changes nothing. */
    assert_false(log_enable(&log, "io,in", &err));
    assert_non_null(strstr(err.message, "'in'"));
    assert_false(log_enable(&log, "iox", &err));
    assert_false(log_enable(&log, "", &err));
    assert_false(log_enable(&log, "io,", &err));
    assert_int_equal(log.enabled, LOG_(INT) | LOG_(IN_ASM) | LOG_(SMC));
    log_finish(&log);
    (void)state;
}

static int evaluated;

static int count_evaluation(void)
{
    return ++evaluated;
}

static void lines_go_to_the_file(void **state)
{
    struct log log;
    struct error err;
    char path[] = "/tmp/dragoman_test_log_XXXXXX", text[64] = "";
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    log_init(&log);
    assert_true(log_open(&log, path, &err));
    assert_true(log_enable(&log, "io", &err));
    LOG(&log, IO, "line %d", count_evaluation());
    LOG(&log, MMU, "never %d", count_evaluation());
    assert_int_equal(evaluated, 1);
    assert_int_equal(read(fd, text, sizeof text - 1), 7); /* before the file is closed */
    assert_string_equal(text, "line 1\n");
    log_finish(&log);
    assert_ptr_equal(log.file, stderr);
    assert_false(log_open(&log, "/nonexistent/file", &err));
    assert_non_null(strstr(err.message, "/nonexistent/file"));
    close(fd);
    unlink(path);
    (void)state;
}

static void lock_is_recursive(void **state)
{
    struct device_lock lock;
    device_lock_init(&lock);
    device_lock_acquire(&lock);
    device_lock_acquire(&lock);
    device_lock_release(&lock);
    device_lock_release(&lock);
    device_lock_finish(&lock);
    (void)state;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(error_messages),
        cmocka_unit_test(categories_are_parsed),
        cmocka_unit_test(lines_go_to_the_file),
        cmocka_unit_test(lock_is_recursive),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

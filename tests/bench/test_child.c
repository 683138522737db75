/* Programs that are listened to. */
#include "bench/child.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

struct heard {
    char text[1000];
    unsigned lines, enough_after;
    double processor;
};

static bool hear(void *opaque, const char *line, const struct child_cost *cost)
{
    struct heard *heard = opaque;

    snprintf(heard->text + strlen(heard->text), sizeof heard->text - strlen(heard->text), "%.20s|", line);
    assert_true(cost->processor >= heard->processor);
    heard->processor = cost->processor;
    return ++heard->lines != heard->enough_after;
}

static bool shell(const char *script, double limit, int interrupt_fd, struct heard *heard, struct child_result *result)
{
    char *const argv[] = {(char[]){"/bin/sh"}, (char[]){"-c"}, (char *)script, NULL};
    struct error err;

    return child_run(argv, limit, interrupt_fd, hear, heard, result, &err);
}

static void test_lines(void **state)
{
    struct heard heard = {0};
    struct child_result result;

    assert_true(shell("printf 'a\\r\\n'; echo b >&2; printf '\\nc'; exit 3", 60, -1, &heard, &result));
    assert_string_equal(heard.text, "a|b||");
    assert_int_equal(result.end, CHILD_EXITED);
    assert_int_equal(WEXITSTATUS(result.status), 3);
    assert_true(result.peak_memory > 100000);
}

static void test_enough(void **state)
{
    struct heard heard = {.enough_after = 2};
    struct child_result result;

    assert_true(shell("echo 1; echo 2; echo 3; exit 4", 60, -1, &heard, &result));
    assert_string_equal(heard.text, "1|2|");
    assert_int_equal(result.end, CHILD_EXITED); /* in the time that it was given */
    assert_int_equal(WEXITSTATUS(result.status), 4);
}

static void test_limit(void **state)
{
    struct heard heard = {0};
    struct child_result result;

    assert_true(shell("echo x; exec sleep 100", 0.3, -1, &heard, &result));
    assert_int_equal(result.end, CHILD_TIMED_OUT);
    assert_true(WIFSIGNALED(result.status));
}

static void test_interrupt(void **state)
{
    struct heard heard = {0};
    struct child_result result;
    int ends[2];

    assert_int_equal(pipe(ends), 0);
    assert_int_equal(write(ends[1], "x", 1), 1);
    assert_true(shell("exec sleep 100", 100, ends[0], &heard, &result));
    assert_int_equal(result.end, CHILD_INTERRUPTED);
    close(ends[0]);
    close(ends[1]);
}

static void test_no_such_program(void **state)
{
    char *const argv[] = {(char[]){"/no/such/program"}, NULL};
    struct child_result result;
    struct error err;

    assert_false(child_run(argv, 1, -1, hear, NULL, &result, &err));
    assert_string_equal(err.message, "cannot run '/no/such/program': No such file or directory");
}

/* What is no program is not taken for a script of the shell's. */
static void test_bad_program(void **state)
{
    char path[] = "/tmp/dragoman-test-XXXXXX";
    int fd = mkstemp(path);
    struct heard heard = {0};
    struct child_result result;
    struct error err;

    assert_true(fd >= 0 && write(fd, "echo hello\n", 11) == 11 && fchmod(fd, 0700) == 0);
    close(fd);
    assert_false(child_run((char *const[]){path, NULL}, 60, -1, hear, &heard, &result, &err));
    assert_non_null(strstr(err.message, "Exec format error"));
    unlink(path);
}

static void test_endless_line(void **state)
{
    struct heard heard = {0};
    struct child_result result;

    assert_true(shell("head -c 100000 /dev/zero | tr '\\0' x; echo; echo end", 60, -1, &heard, &result));
    assert_int_equal(result.end, CHILD_EXITED);
    assert_non_null(strstr(heard.text, "|end|"));
}

static void test_processor_time(void **state)
{
    struct heard heard = {0};
    struct child_result result;

    assert_true(shell("i=0; while [ $i -lt 200000 ]; do i=$((i+1)); done; echo end", 60, -1, &heard, &result));
    assert_true(result.processor > 0.005);
    assert_true(heard.processor > 0 && heard.processor < result.processor + 0.1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lines),        cmocka_unit_test(test_enough),          cmocka_unit_test(test_limit),
        cmocka_unit_test(test_interrupt),    cmocka_unit_test(test_no_such_program), cmocka_unit_test(test_bad_program),
        cmocka_unit_test(test_endless_line), cmocka_unit_test(test_processor_time),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

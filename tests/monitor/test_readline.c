/* Line editing. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "monitor/readline.h"

#include <stdlib.h>
#include <string.h>

static char entered[READLINE_LENGTH + 1];
static int lines;

static void ignore(void *opaque, const char *data, size_t length)
{
}

static void enter(void *opaque, const char *line)
{
    strcpy(entered, line);
    lines++;
    readline_start(opaque, "> ");
}

static void complete(const char *line, struct readline_completions *out)
{
    static const char *const words[] = {"system_powerdown", "system_reset", "stop"};
    out->count = 0;
    for (int i = 0; i < 3; i++)
        if (!strncmp(words[i], line, strlen(line)))
            out->words[out->count++] = words[i];
}

static struct readline r;

static int set_up(void **state)
{
    readline_init(&r, ignore, enter, complete, &r);
    readline_start(&r, "> ");
    lines = 0;
    return 0;
}

static int tear_down(void **state)
{
    readline_finish(&r);
    return 0;
}

static const char *type(const char *keys)
{
    for (; *keys; keys++)
        readline_key(&r, (uint8_t)*keys);
    return entered;
}

static void test_editing(void **state)
{
    assert_string_equal(type("info status\r"), "info status");
    assert_string_equal(type("stopp\x7f\n"), "stop");
    assert_string_equal(type("ac\033[Db\r"), "abc");     /* left */
    assert_string_equal(type("bc\001a\005d\r"), "abcd"); /* home, end */
    assert_string_equal(type("bc\033[Ha\033[Fd\r"), "abcd");
    assert_string_equal(type("xabc\033[1~\033[3~\r"), "abc");                 /* home, delete */
    assert_string_equal(type("one two\027three\r"), "one three");             /* Ctrl-W */
    assert_string_equal(type("junk\025good\r"), "good");                      /* Ctrl-U */
    assert_string_equal(type("good junk\002\002\002\002\002\013\r"), "good"); /* Ctrl-B, Ctrl-K */
    assert_string_equal(type("\x7f\x7f\033[D\033[D\033[Cx\r"), "x");          /* edges */
    assert_int_equal(lines, 10);
}

static void test_history(void **state)
{
    type("one\rtwo\rthree\r");
    assert_string_equal(type("\033[A\033[A\r"), "two");
    assert_string_equal(type("\033[A\033[A\033[A\033[A\033[A\033[A\033[A\r"), "one");
    assert_string_equal(type("\033[A\033[A\033[B\033[B\033[B\r"), "");
    type("same\rsame\r");
    assert_string_equal(type("\020\020\r"), "one"); /* the repetition was not stored twice */
    for (int i = 0; i < 3 * READLINE_HISTORY; i++) {
        char line[3] = {(char)('a' + i % 26), '\r', 0};
        type(line);
    }
    assert_int_equal(r.history_count, READLINE_HISTORY);
}

static void test_completion(void **state)
{
    assert_string_equal(type("sto\t\r"), "stop ");
    assert_string_equal(type("sys\t\r"), "system_");
    assert_string_equal(type("sys\tr\t\r"), "system_reset ");
    assert_string_equal(type("zzz\t\r"), "zzz");
}

static void test_long_lines_and_junk(void **state)
{
    for (int i = 0; i < 2 * READLINE_LENGTH; i++)
        readline_key(&r, 'x');
    type("\r");
    assert_int_equal(strlen(entered), READLINE_LENGTH);
    uint32_t seed = 7;
    for (int i = 0; i < 100000; i++) {
        seed = seed * 1664525 + 1013904223;
        readline_key(&r, (uint8_t)(seed >> 20));
    }
    assert_true(r.cursor <= r.length && r.length <= READLINE_LENGTH);
    assert_string_equal(type("\033[99999999999999~\r\025stop\r"), "stop");
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {TEST(test_editing), TEST(test_history), TEST(test_completion),
                                       TEST(test_long_lines_and_junk)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}

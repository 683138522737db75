/* Lines of a file, whatever their length. */
#include "fixture.h"

static void expect_line(struct trace_file *file, const char *text, uint64_t at, bool complete)
{
    struct trace_line line;
    assert_true(trace_file_next(file, &line));
    assert_int_equal(line.length, strlen(text));
    assert_memory_equal(line.text, text, line.length);
    assert_int_equal(line.at, at);
    assert_int_equal(line.complete, complete);
    assert_false(line.too_long);
}

static void test_lines(void **state)
{
    struct trace_file file;
    struct trace_line line;
    char *path = write_trace("one\n\nthree\ncut", 14);

    assert_true(trace_file_open(&file, path, NULL));
    expect_line(&file, "one", 0, true);
    expect_line(&file, "", 4, true);
    expect_line(&file, "three", 5, true);
    expect_line(&file, "cut", 11, false);
    assert_false(trace_file_next(&file, &line));
    assert_true(trace_file_read_at(&file, 5, &line));
    assert_int_equal(line.length, 5);
    expect_line(&file, "cut", 11, false);
    assert_true(trace_file_read_at(&file, 0, &line));
    assert_int_equal(line.length, 3);
    assert_false(trace_file_read_at(&file, 1000, &line));
    trace_file_close(&file);
    unlink(path);
    free(path);
}

/* Longer than the buffer at first; one that is too long is passed over. */
static void test_long_lines(void **state)
{
    static const size_t sizes[] = {10, 262143, 262144, 262145, 700000, TRACE_FILE_LINE_LIMIT + 70000000u, 20, 5000000};
    size_t total = 0, at_byte = 0;
    struct trace_file file;
    struct trace_line line;

    for (unsigned i = 0; i < 8; i++)
        total += sizes[i] + 1;
    char *text = malloc(total), *end = text;
    for (unsigned i = 0; i < 8; i++) {
        memset(end, 'a' + (int)i, sizes[i]);
        end += sizes[i];
        *end++ = '\n';
    }
    char *path = write_trace(text, total);
    free(text);
    assert_true(trace_file_open(&file, path, NULL));
    for (unsigned i = 0; i < 8; i++) {
        assert_true(trace_file_next(&file, &line));
        assert_int_equal(line.at, at_byte);
        assert_int_equal(line.too_long, sizes[i] > TRACE_FILE_LINE_LIMIT);
        assert_int_equal(line.length, line.too_long ? 0 : sizes[i]);
        assert_true(line.complete);
        if (line.length) {
            assert_int_equal(line.text[0], 'a' + i);
            assert_int_equal(line.text[line.length - 1], 'a' + i);
        }
        at_byte += sizes[i] + 1;
    }
    assert_false(trace_file_next(&file, &line));
    assert_true(file.capacity <= 2 * TRACE_FILE_LINE_LIMIT);
    trace_file_close(&file);
    unlink(path);
    free(path);
}

static void test_refused(void **state)
{
    struct trace_file file;
    struct error err;

    assert_false(trace_file_open(&file, "/nonexistent", &err));
    assert_non_null(strstr(err.message, "cannot open '/nonexistent'"));
    assert_false(trace_file_open(&file, "/tmp", &err));
    assert_non_null(strstr(err.message, "not a plain file"));
    assert_false(trace_file_open(&file, "/dev/null", &err));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lines),
        cmocka_unit_test(test_long_lines),
        cmocka_unit_test(test_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* Cutting a byte stream into JSON values, whatever comes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "monitor/json_stream.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct record {
    char text[4096]; /* values as compact JSON, errors as "!message", each ended by a newline */
    int values, errors;
};

static void received(void *opaque, json_t *value, const char *error)
{
    struct record *r = opaque;
    size_t used = strlen(r->text);
    if (error) {
        r->errors++;
        snprintf(r->text + used, sizeof r->text - used, "!%s\n", error);
        return;
    }
    r->values++;
    char *dump = json_dumps(value, JSON_COMPACT | JSON_ENCODE_ANY);
    assert_non_null(dump);
    snprintf(r->text + used, sizeof r->text - used, "%s\n", dump);
    free(dump);
}

static struct record feed(const char *data, size_t length, size_t piece)
{
    struct record record = {.text = ""};
    struct json_stream stream;
    json_stream_init(&stream, received, &record);
    for (size_t at = 0; at < length; at += piece)
        json_stream_feed(&stream, data + at, length - at < piece ? length - at : piece);
    json_stream_finish(&stream);
    return record;
}

/* However the bytes are cut, the result is the same. */
static void expect(const char *input, const char *output)
{
    for (size_t piece = 1; piece <= strlen(input); piece++) {
        struct record record = feed(input, strlen(input), piece);
        assert_string_equal(record.text, output);
    }
}

static void test_values(void **state)
{
    expect("{\"a\":1}", "{\"a\":1}\n");
    expect(" \r\n{ \"a\" : [ 1 , { } ] } {\"b\":\"}{\"}", "{\"a\":[1,{}]}\n{\"b\":\"}{\"}\n");
    expect("{\"a\":\"\\\"}\"}[]", "{\"a\":\"\\\"}\"}\n[]\n");
    expect("{\n\"execute\"\n:\n\"x\"\n}\n", "{\"execute\":\"x\"}\n");
    expect("12 true \"s\" null ", "12\ntrue\n\"s\"\nnull\n");
    expect("{'a':'b\"c'}", "{\"a\":\"b\\\"c\"}\n");
    expect("{'a':'it\\'s'}", "{\"a\":\"it's\"}\n");
    expect("{\"u\":\"\\u00e4\"}", "{\"u\":\"ä\"}\n");
}

static void test_errors_do_not_stop_the_stream(void **state)
{
    static const char *const bad[] = {"{bad}",
                                      "}",
                                      "]",
                                      "{\"a\" 1}",
                                      "[1,]",
                                      "nul ",
                                      "{]",
                                      ",",
                                      ":",
                                      "{\"a\":1,}",
                                      "[\"\\q\"]",
                                      "01 ",
                                      "\x01",
                                      "\xff",
                                      "{\"a\":\"\xff\"}",
                                      "[\"\xc0\xaf\"]",
                                      "@",
                                      "{\"a\":1 \"b\":2}"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        char input[128];
        snprintf(input, sizeof input, "%s\n{\"ok\":1}\n", bad[i]);
        for (size_t piece = 1; piece <= 4; piece++) {
            struct record record = feed(input, strlen(input), piece);
            if (record.errors < 1 || record.values != 1 || !strstr(record.text, "{\"ok\":1}\n"))
                fail_msg("%s gave %s", bad[i], record.text);
        }
    }
}

static void test_a_forgotten_quote_ends_with_the_line(void **state)
{
    struct record record = feed("{\"a:1}\n{\"ok\":1}\n", 16, 16);
    assert_int_equal(record.values, 1);
    assert_int_equal(record.errors, 1);
}

static void test_huge_values_are_dropped(void **state)
{
    size_t length = JSON_STREAM_MAX_LENGTH + 1000;
    char *input = malloc(length + 16);
    memset(input, 'x', length);
    input[0] = '"';
    input[length - 1] = '"';
    memcpy(input + length, " {\"ok\":1}", 9);
    struct record record = feed(input, length + 9, 65536);
    assert_int_equal(record.errors, 1);
    assert_string_equal(record.text, "!JSON token size limit exceeded\n{\"ok\":1}\n");
    memset(input, '1', length); /* a number */
    record = feed(input, length + 9, 65536);
    assert_int_equal(record.errors, 1);
    assert_non_null(strstr(record.text, "{\"ok\":1}\n"));
    memset(input, ' ', length);
    input[0] = '{';
    input[length - 1] = '}';
    record = feed(input, length + 9, 65536);
    assert_int_equal(record.errors, 1);
    assert_non_null(strstr(record.text, "{\"ok\":1}\n"));
    free(input);
}

static void test_deep_nesting_is_dropped(void **state)
{
    char input[3 * JSON_STREAM_MAX_DEPTH + 16];
    size_t n = JSON_STREAM_MAX_DEPTH + 5;
    memset(input, '[', n);
    memset(input + n, ']', n);
    memcpy(input + 2 * n, "{\"ok\":1}", 8);
    struct record record = feed(input, 2 * n + 8, 1);
    assert_int_equal(record.errors, 1);
    assert_int_equal(record.values, 1);
    n = 500; /* deep, but within reason */
    memset(input, '[', n);
    memset(input + n, ']', n);
    record = feed(input, 2 * n, 7);
    assert_int_equal(record.errors, 0);
    assert_int_equal(record.values, 1);
}

static void test_garbage(void **state)
{
    uint32_t seed = 1;
    struct record record = {.text = ""};
    struct json_stream stream;
    json_stream_init(&stream, received, &record);
    for (int i = 0; i < 200000; i++) {
        static const char alphabet[] = "{}[]\"'\\:,0a \n\x01\xe4-";
        seed = seed * 1664525 + 1013904223;
        json_stream_feed(&stream, &alphabet[(seed >> 16) % (sizeof alphabet - 1)], 1);
        record.text[0] = 0;
    }
    json_stream_restart(&stream);
    record.values = 0;
    json_stream_feed(&stream, "{\"ok\":1}", 8);
    assert_int_equal(record.values, 1);
    json_stream_finish(&stream);
}

static void test_restart_forgets(void **state)
{
    struct record record = {.text = ""};
    struct json_stream stream;
    json_stream_init(&stream, received, &record);
    json_stream_feed(&stream, "{\"half\": [\"", 11);
    json_stream_restart(&stream);
    json_stream_feed(&stream, "{\"ok\":1}", 8);
    assert_string_equal(record.text, "{\"ok\":1}\n");
    json_stream_finish(&stream);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_values),
        cmocka_unit_test(test_errors_do_not_stop_the_stream),
        cmocka_unit_test(test_a_forgotten_quote_ends_with_the_line),
        cmocka_unit_test(test_huge_values_are_dropped),
        cmocka_unit_test(test_deep_nesting_is_dropped),
        cmocka_unit_test(test_garbage),
        cmocka_unit_test(test_restart_forgets),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

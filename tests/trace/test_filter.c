/* -dfilter: what is a filter, and what passes. */
#include "trace/filter.h"
#include "trace/trace.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static struct trace_filter parse(const char *text)
{
    struct trace_filter filter = TRACE_FILTER_NONE;
    struct error err = {""};

    if (!trace_filter_parse(&filter, text, &err))
        fail_msg("%s: %s", text, err.message);
    assert_string_equal(filter.text, text);
    return filter;
}

static void refuse(const char *text, const char *message)
{
    struct trace_filter filter = TRACE_FILTER_NONE;
    struct error err = {""};

    if (trace_filter_parse(&filter, text, &err))
        fail_msg("'%s' was accepted", text);
    if (!strstr(err.message, message))
        fail_msg("'%s': '%s' does not say '%s'", text, err.message, message);
}

static void ranges_are_parsed(void **state)
{
    struct trace_filter f = parse("0x1000..0x1fff,0x8000+0x10,0x9000-0x100,4096+1");

    assert_int_equal(f.range_count, 4);
    assert_int_equal(f.ranges[0].first, 0x1000);
    assert_int_equal(f.ranges[0].last, 0x1fff);
    assert_int_equal(f.ranges[1].first, 0x8000);
    assert_int_equal(f.ranges[1].last, 0x800f);
    assert_int_equal(f.ranges[2].first, 0x8f01);
    assert_int_equal(f.ranges[2].last, 0x9000);
    assert_int_equal(f.ranges[3].first, 4096);
    assert_int_equal(f.ranges[3].last, 4096);
    f = parse("0..0xffffffff");
    assert_int_equal(f.ranges[0].last, 0xffffffff);
}

static void names_are_parsed(void **state)
{
    struct trace_filter f = parse("cpl=3,cpl=0,cr3=0x1000,block=0x100260,first=10,hot=1000");

    assert_int_equal(f.cpl_set, 9);
    assert_int_equal(f.cr3_count, 1);
    assert_int_equal(f.cr3[0], 0x1000);
    assert_int_equal(f.block_count, 1);
    assert_int_equal(f.blocks[0], 0x100260);
    assert_int_equal(f.first, 10);
    assert_int_equal(f.hot, 1000);
    f = parse("cpl=1");
    assert_true(f.first == UINT64_MAX);
    assert_int_equal(f.hot, 0);
}

static void nonsense_is_refused(void **state)
{
    char many[33 * 4 + 1] = "";

    refuse("", "no filter");
    refuse("0x1000", "START..END");
    refuse("0x1000..", "number");
    refuse("..5", "number");
    refuse("0x1000..0xfff", "empty");
    refuse("0x1000+0", "empty");
    refuse("5-0", "empty");
    refuse("5-7", "wraps");
    refuse("0xffffffffffffffff+2", "wraps");
    refuse("1..2,", "no filter");
    refuse("1..2x", "number");
    refuse("-1..2", "number");
    refuse("cpl=4", "0 to 3");
    refuse("cpl=", "number");
    refuse("cpl=-1", "number");
    refuse("cpx=1", "cpl=");
    refuse("cp=1", "cpl=");
    refuse("first=99999999999999999999", "number");
    for (unsigned i = 0; i < 33; i++)
        strcat(many, i ? ",1+1" : "1+1");
    refuse(many, "too many");
}

static bool passes(const char *text, struct trace_scope scope)
{
    struct trace_filter f = parse(text);

    return trace_filter_passes(&f, &scope);
}

static void ranges_overlap(void **state)
{
    assert_true(passes("0x1000..0x1fff", (struct trace_scope){.linear = 0x1000, .length = 1}));
    assert_true(passes("0x1000..0x1fff", (struct trace_scope){.linear = 0x1fff, .length = 1}));
    assert_true(passes("0x1000..0x1fff", (struct trace_scope){.linear = 0xff0, .length = 0x11}));
    assert_false(passes("0x1000..0x1fff", (struct trace_scope){.linear = 0xff0, .length = 0x10}));
    assert_false(passes("0x1000..0x1fff", (struct trace_scope){.linear = 0x2000, .length = 5}));
    assert_true(passes("0..1,0x2000+8", (struct trace_scope){.linear = 0x2000, .length = 5}));
    /* No address: a flush concerns all of them. */
    assert_true(passes("0x1000..0x1fff", (struct trace_scope){.length = 0}));
    /* The last byte of linear space: no wrapping. */
    assert_true(passes("0xffffffff+1", (struct trace_scope){.linear = 0xfffffff0, .length = 16}));
    assert_false(passes("0..1", (struct trace_scope){.linear = 0xfffffff0, .length = 64}));
}

static void every_kind_must_hold(void **state)
{
    struct trace_scope scope = {
        .linear = 0x1000, .length = 4, .begins = true, .has_cpl = true, .cpl = 3, .has_cr3 = true, .cr3 = 0x5000};

    assert_true(passes("cpl=3", scope));
    assert_true(passes("cpl=0,cpl=3", scope));
    assert_false(passes("cpl=0", scope));
    assert_true(passes("cr3=0x5000", scope));
    assert_false(passes("cr3=0x6000", scope));
    assert_true(passes("cr3=0x6000,cr3=0x5000", scope));
    assert_false(passes("cpl=3,cr3=0x6000", scope));
    assert_false(passes("cpl=3,0x2000..0x3000", scope));
    assert_true(passes("block=0x1000", scope));
    assert_false(passes("block=0x1001", scope));
    scope.begins = false; /* an interrupt at that very address is none of the block's events */
    assert_false(passes("block=0x1000", scope));
    scope.has_cpl = scope.has_cr3 = false; /* what is not known does not matter */
    assert_true(passes("cpl=0,cr3=0x6000", scope));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ranges_are_parsed),    cmocka_unit_test(names_are_parsed),
        cmocka_unit_test(nonsense_is_refused),  cmocka_unit_test(ranges_overlap),
        cmocka_unit_test(every_kind_must_hold),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

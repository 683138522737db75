/* Expressions of the human monitor. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "monitor/expression.h"

#include <string.h>

static struct vcpu cpu;

static void expect(const char *text, int64_t value)
{
    struct error err = {""};
    int64_t result;
    const char *p = text;
    if (!expression_parse(&p, &cpu, &result, &err))
        fail_msg("'%s': %s", text, err.message);
    assert_int_equal(result, value);
    assert_int_equal(*p, 0);
}

static void expect_error(const char *text, const char *message)
{
    struct error err = {""};
    int64_t result;
    const char *p = text;
    assert_false(expression_parse(&p, &cpu, &result, &err));
    assert_string_equal(err.message, message);
}

static void test_arithmetic(void **state)
{
    expect("1", 1);
    expect(" 0x10 ", 16);
    expect("010", 8);
    expect("1+2*3", 7);
    expect("(1+2)*3", 9);
    expect("10-3-2", 5);
    expect("7/2%2", 1);
    expect("-7/2", -3);
    expect("~0", -1);
    expect("- - 5", 5);
    expect("1+6&3", 3);             /* & binds closer than + */
    expect("0xf0|0x0f^0x3c", 0xc3); /* left to right, one level */
    expect("'a'", 'a');
    expect("0xffffffffffffffff", -1);
    expect("0x8000000000000000 / -1", INT64_MIN);
    expect("0x8000000000000000 % -1", 0);
}

static void test_registers(void **state)
{
    cpu.state.gpr[GPR_AX] = 0x11111111;
    cpu.state.gpr[GPR_SP] = 0x2000;
    cpu.state.rip = 0xfff0;
    cpu.state.segment[SEG_CS] = (struct segment){.base = 0xf0000, .limit = 0xffff, .selector = 0xf000};
    expect("$eax", 0x11111111);
    expect("$esp+8", 0x2008);
    expect("$eip", 0xfff0);
    expect("$pc", 0xffff0);
    expect("$cs", 0xf000);
    expect("$cs.base", 0xf0000);
    expect("$cs.limit", 0xffff);
    expect_error("$foo", "unknown register");
    expect_error("$", "unknown register");
    expect_error("$cs.colour", "unknown register");
    expect_error("$a_name_that_is_much_longer_than_any_register_has", "unknown register");
}

static void test_errors(void **state)
{
    expect_error("", "unexpected end of expression");
    expect_error("1+", "unexpected end of expression");
    expect_error("(1", "')' expected");
    expect_error("1/0", "division by zero");
    expect_error("1%0", "division by zero");
    expect_error("x", "invalid char 'x' in expression");
    expect_error("'", "character constant expected");
    expect_error("'ab'", "missing terminating ' character");
    expect_error("99999999999999999999", "number too large");
    char deep[5000];
    memset(deep, '(', sizeof deep);
    deep[sizeof deep - 1] = 0;
    expect_error(deep, "expression is nested too deeply");
}

static void test_stops_behind_the_expression(void **state)
{
    struct error err;
    int64_t value;
    const char *p = "1 + 1 16 file";
    assert_true(expression_parse(&p, NULL, &value, &err));
    assert_int_equal(value, 2);
    assert_string_equal(p, "16 file");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_arithmetic),
        cmocka_unit_test(test_registers),
        cmocka_unit_test(test_errors),
        cmocka_unit_test(test_stops_behind_the_expression),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* Encodings that processors later than a model define: they must stay what they were. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "cpu/decode.h"
#include "cpu/model.h"

static uint16_t row_of(const char *model, const uint8_t *bytes, size_t count, unsigned *length)
{
    uint8_t code[INSTRUCTION_MAX_LENGTH] = {0};
    struct decoded_instruction insn;
    struct decoder decoder;
    struct error err;

    for (size_t i = 0; i < count; i++)
        code[i] = bytes[i];
    decoder_init(&decoder, cpu_model_find(model, &err));
    enum decode_status status = decode_instruction(&decoder, code, sizeof code, 0, true, false, &insn);
    assert_int_equal(status, insn.row == ROW_NONE ? DECODE_UNDEFINED : DECODE_OK);
    *length = insn.length;
    return insn.row;
}
#define ROW(model, ...) row_of(model, (const uint8_t[]){__VA_ARGS__}, sizeof((const uint8_t[]){__VA_ARGS__}), &length)

/* 66 0F 3A 15 is SSE4.1, though its name is that of SSE's 0F C5. */
static void test_pextrw_is_not_sse4(void **state)
{
    unsigned length;

    assert_int_equal(ROW("max", 0x66, 0x0f, 0x3a, 0x15, 0xc1, 0x02), ROW_NONE);
    assert_int_equal(ROW("max", 0x66, 0x0f, 0x3a, 0x15, 0x01, 0x02), ROW_NONE);
    assert_int_equal(ROW("max", 0x66, 0x0f, 0xc5, 0xc1, 0x02), ROW_PEXTRW);
    assert_int_equal(length, 5);
    assert_int_equal(ROW("max", 0x0f, 0xc5, 0xc1, 0x02), ROW_PEXTRW);
}

/* 0F 0D, registers and memory alike: a NOP where 0F 18 and so on are, but only since the Pentium 4 with NX. */
static void test_prefetchw_was_nop(void **state)
{
    unsigned length;

    assert_int_equal(ROW("max", 0x0f, 0x0d, 0xc0), ROW_NOP);
    assert_int_equal(length, 3);
    assert_int_equal(ROW("max", 0x0f, 0x0d, 0x08), ROW_NOP);
    assert_int_equal(length, 3);
    assert_int_equal(ROW("max", 0x0f, 0x0d, 0x05, 1, 2, 3, 4), ROW_NOP);
    assert_int_equal(length, 7);
    assert_int_equal(ROW("pentium4", 0x0f, 0x0d, 0xc0), ROW_NONE);
    assert_int_equal(ROW("pentium4", 0x0f, 0x0d, 0x08), ROW_NONE);
    assert_int_equal(ROW("pentium4", 0x0f, 0x1f, 0x00), ROW_NOP);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_pextrw_is_not_sse4),
        cmocka_unit_test(test_prefetchw_was_nop),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

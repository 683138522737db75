/* Lengths by table: the decoder's where an instruction is defined, the processor's where it is not. */
#include "cpu/decode.h"
#include "cpu/decode_length.h"
#include "cpu/model.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>
#include <string.h>

static struct decoder decoder;

static int set_up(void **state)
{
    struct error err;

    (void)state;
    decoder_init(&decoder, cpu_model_find("max", &err));
    return 0;
}

static uint64_t next_random(uint64_t *state)
{
    uint64_t z = *state += 0x9e3779b97f4a7c15ull;

    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
    return z ^ (z >> 31);
}

/* Every opcode of both maps with every ModRM, prefixes at random. */
static void defined_instructions_agree_with_the_decoder(void **state)
{
    static const uint8_t prefixes[] = {0x66, 0x67, 0xf2, 0xf3, 0x2e, 0x65};
    uint64_t random = 1;
    unsigned compared = 0;

    (void)state;
    for (unsigned round = 0; round < 4u << 17; round++) {
        uint8_t code[15];
        struct decoded_instruction insn;
        bool code32 = round & 1, map_0f = round & 2;
        unsigned n = 0;

        for (unsigned i = 0; i < sizeof code; i++)
            code[i] = (uint8_t)next_random(&random);
        for (unsigned i = (unsigned)next_random(&random) & 3; i; i--)
            code[n++] = prefixes[next_random(&random) % sizeof prefixes];
        if (map_0f)
            code[n++] = 0x0f;
        code[n] = (uint8_t)(round >> 2);
        code[n + 1] = (uint8_t)(round >> 10);
        if (decode_instruction(&decoder, code, sizeof code, 0, code32, false, &insn) != DECODE_OK)
            continue;
        compared++;
        if (decode_length(code, sizeof code, code32) != insn.length)
            fail_msg("%02x %02x %02x %02x, %u-bit code: %u by table, %u decoded", code[0], code[1], code[2], code[3],
                     code32 ? 32 : 16, decode_length(code, sizeof code, code32), insn.length);
        /* Too few bytes must be known to be too few. */
        unsigned less = insn.length - 1u, short_length = less ? decode_length(code, less, code32) : 0;
        if (short_length && short_length != insn.length)
            fail_msg("%02x %02x %02x: %u bytes taken for an instruction of %u", code[0], code[1], code[2], less,
                     short_length);
        assert_int_equal(less ? decode_instruction(&decoder, code, less, 0, code32, false, &insn) : DECODE_MORE,
                         DECODE_MORE);
    }
    assert_true(compared > 300000);
}

static void check(const char *bytes, unsigned count, bool code32, enum decode_status expected, unsigned length)
{
    struct decoded_instruction insn;
    enum decode_status status = decode_instruction(&decoder, (const uint8_t *)bytes, count, 0, code32, false, &insn);

    if (status != expected || (length && insn.length != length))
        fail_msg("%02x %02x %02x: status %u length %u instead of %u, %u", (uint8_t)bytes[0], (uint8_t)bytes[1],
                 (uint8_t)bytes[2], status, insn.length, expected, length);
}

static void undefined_instructions_want_all_their_bytes(void **state)
{
    (void)state;
    check("\x0f\x04", 2, true, DECODE_UNDEFINED, 2);
    check("\x0f\x0f", 2, true, DECODE_UNDEFINED, 2);
    check("\x0f\x13\xc0", 2, true, DECODE_MORE, 0);
    check("\x0f\x13\xc0", 3, true, DECODE_UNDEFINED, 3);
    check("\x0f\x39\0\0", 3, true, DECODE_MORE, 0);
    check("\x0f\x39\0\0", 4, true, DECODE_UNDEFINED, 4);
    check("\x0f\x3c\0\x80\0\0\0", 7, true, DECODE_MORE, 0);
    check("\x0f\x3f\0\x40\0", 5, true, DECODE_MORE, 0);
    check("\x0f\x3f\0\x40\0\0", 6, true, DECODE_UNDEFINED, 6);
    check("\x0f\x24\xc0", 2, true, DECODE_UNDEFINED, 2);
    /* 8F /1, C6 /1, C7 /1: a group's ModRM, displacement and immediate */
    check("\x8f\x88\0\0\0\0", 5, true, DECODE_MORE, 0);
    check("\x8f\x88\0\0\0\0", 6, true, DECODE_UNDEFINED, 6);
    check("\x8f\x88\0\0", 4, false, DECODE_UNDEFINED, 4);
    check("\xc6\x48\0\0", 3, true, DECODE_MORE, 0);
    check("\xc6\x48\0\0", 4, true, DECODE_UNDEFINED, 4);
    check("\x66\xc7\xc8\0\0", 4, true, DECODE_MORE, 0);
    check("\x66\xc7\xc8\0\0", 5, true, DECODE_UNDEFINED, 5);
    /* LOCK where it is not allowed */
    check("\xf0\x81\xc0\0\0\0", 6, true, DECODE_MORE, 0);
    check("\xf0\x81\xc0\0\0\0\0", 7, true, DECODE_UNDEFINED, 7);
    check("\xf0\x9a\0\0\0\0\0", 7, true, DECODE_MORE, 0);
    /* LES and BOUND with a register; VEX and EVEX do not exist */
    check("\xc4\xc0", 2, true, DECODE_UNDEFINED, 2);
    check("\x62\xc0", 2, true, DECODE_UNDEFINED, 2);
    /* more than 15 bytes comes before undefined */
    check("\x66\x66\x66\x66\x66\x66\x66\x66\x66\x66\x66\x66\x66\x0f\x04", 15, true, DECODE_UNDEFINED, 15);
    check("\x66\x66\x66\x66\x66\x66\x66\x66\x66\x66\x66\x66\x66\x0f\x13\xc0", 16, true, DECODE_TOO_LONG, 0);
    check("\x66\x66\x66\x66\x66\x66\x66\x66\x66\x66\x66\x66\x66\x66\x66", 15, true, DECODE_TOO_LONG, 0);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(defined_instructions_agree_with_the_decoder),
        cmocka_unit_test(undefined_instructions_want_all_their_bytes),
    };

    return cmocka_run_group_tests(tests, set_up, NULL);
}

/* x87, MMX and SSE in translated code: cases that random sequences meet too rarely. */
#include "bare_fpu_pair.h"

#include "cpu/fpu.h"
#include "interp/fpu_signal.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static int setup(void **state)
{
    *state = fpu_pair_create(&(struct fpu_pair_options){.model = "pentium4"});
    return 0;
}
static int teardown(void **state)
{
    fpu_pair_destroy(*state);
    return 0;
}

static size_t parse_bytes(const char *hex, uint8_t *code)
{
    unsigned byte;
    size_t n = 0;

    for (int used; sscanf(hex, "%2x%n", &byte, &used) == 1; hex += used)
        code[n++] = (uint8_t)byte;
    return n;
}

static void check(struct fpu_pair *pair, const struct fpu_pair_state *start, const uint8_t *code, size_t length)
{
    if (fpu_pair_run(pair, start, code, length))
        return;
    for (size_t i = 0; i < length; i++)
        print_message("%s%02x", i ? " " : "", code[i]);
    print_message("\n");
    fpu_pair_show(pair);
    fail();
}

static void check_hex(struct fpu_pair *pair, const struct fpu_pair_state *start, const char *hex)
{
    uint8_t code[256];

    check(pair, start, code, parse_bytes(hex, code));
}

/* Neither masked exceptions nor pending ones; empty registers; round numbers. */
static void plain_state(struct fpu_pair_state *s)
{
    fpu_pair_random_state(s, true);
    s->fpu.fcw = X87_FCW_INIT;
    s->fpu.fsw = 0;
    s->fpu.ftw = 0;
    s->fpu.mxcsr = MXCSR_INIT;
}

static void set_pending(struct fpu_pair_state *s)
{
    s->fpu.fcw = X87_FCW_INIT & ~X87_IE;
    s->fpu.fsw = X87_IE | X87_ES | X87_B;
}

/* The flags are those of an operation whose operand the instruction overwrites, and then it is left to the interpreter,
 * because of a pending x87 error that does not concern it, or a device. */
static void test_flags_of_an_overwritten_operand(void **state)
{
    static const char *const first[] = {"39 c2", "29 d0", "01 c8", "85 d2", "f7 d8", "31 d0", "f7 da"};
    static const char *const second[] = {
        "f3 0f 2d 13",    /* cvtss2si edx, [ebx] */
        "f3 0f 2c 03",    /* cvttss2si eax, [ebx] */
        "f2 0f 2d 53 08", /* cvtsd2si edx, [ebx+8] */
        "0f 58 0b",       /* addps xmm1, [ebx]: nothing overwritten */
        "0f 2f 0b",       /* comiss xmm1, [ebx] */
        "f3 0f 10 0b",    /* movss xmm1, [ebx] */
    };
    static const char *const third[] = {"", "9c", "83 d1 00", "0f 92 c1", "72 01 41", "8b 0f"};
    static const uint32_t places[] = {PAIR_DATA, PAIR_DEVICE, PAIR_MISSING - 2, PAIR_CODE + 0x800};

    assert_true(fpu_signal_install());
    for (unsigned i = 0; i < 7 * 6 * 6 * 4 * 2; i++) {
        struct fpu_pair_state s;
        char hex[128];

        plain_state(&s);
        s.gpr[GPR_BX] = places[i / 252 % 4];
        if (i / 1008)
            set_pending(&s);
        snprintf(hex, sizeof hex, "%s %s %s", first[i % 7], second[i / 7 % 6], third[i / 42 % 6]);
        check_hex(*state, &s, hex);
    }
}

/* Stores onto instructions of the same block, and of this one and others the next time round: what is overwritten with
 * INC ECX does that at once. */
static void test_stores_onto_code(void **state)
{
    static const struct {
        const char *code;
        uint64_t significand; /* of the number that is stored as bytes of 41h */
        uint16_t exponent;
    } stores[] = {
        {"d9 1d", 0xc141410000000000, 0x4002}, /* fstp, fistp */
        {"dd 1d", 0x8a0a0a0a0a0a0800, 0x4014},
        {"db 3d", 0x4141414141414141, 0x4141},
        {"df 1d", 0x8282000000000000, 0x400d},
        {"db 1d", 0x8282828200000000, 0x401d},
        {"df 3d", 0x8282828282828282, 0x403d},
        {"0f 7f 0d", 0x4141414141414141, 0xffff}, /* movq, movd, movntq */
        {"0f 7e 0d", 0x4141414141414141, 0xffff},
        {"0f e7 0d", 0x4141414141414141, 0xffff},
        {"0f 29 0d", 0, 0}, /* movaps, movups, movlps, movhps, movntps */
        {"0f 11 0d", 0, 0},
        {"0f 13 0d", 0, 0},
        {"0f 17 0d", 0, 0},
        {"0f 2b 0d", 0, 0},
        {"f3 0f 11 0d", 0, 0}, /* movss, movq, movdqa, movdqu */
        {"66 0f d6 0d", 0, 0},
        {"66 0f 7f 0d", 0, 0},
        {"f3 0f 7f 0d", 0, 0},
        {"0f c3 05", 0, 0}, /* movnti */
    };
    assert_true(fpu_signal_install());
    for (unsigned i = 0; i < ARRAY_SIZE(stores); i++) {
        for (unsigned target = 0; target < 64; target += 4) {
            for (unsigned jump = 0; jump < 2; jump++) {
                struct fpu_pair_state s;
                uint8_t code[256];
                size_t n = parse_bytes(stores[i].code, code);
                uint32_t address = PAIR_CODE + 16 + target;

                plain_state(&s);
                s.gpr[GPR_AX] = 0x41414141;
                s.gpr[GPR_BP] = 2;
                s.fpu.ftw = 0xff;
                memset(s.fpu.xmm, 0x41, sizeof s.fpu.xmm);
                for (unsigned r = 0; r < 8; r++) {
                    memcpy(s.fpu.st[r], &stores[i].significand, 8);
                    memcpy(s.fpu.st[r] + 8, &stores[i].exponent, 2);
                }
                memcpy(code + n, &address, 4);
                n += 4;
                while (n < 96)
                    code[n++] = 0x42; /* inc edx */
                if (jump)
                    memcpy(code + 14, (const uint8_t[]){0xeb, 0x00}, 2);
                code[n++] = 0x4d; /* dec ebp; jnz to the beginning */
                code[n++] = 0x75;
                code[n] = (uint8_t) - (int)(n + 1);
                n++;
                check(*state, &s, code, n);
                /* 16 bytes that are not aligned there are #GP; else ECX counts what was overwritten. */
                if (fpu_pair_vector(*state) < 0)
                    assert_true((uint32_t)(((struct fpu_pair *)*state)->m[1]->cpu->state.gpr[GPR_CX] - s.gpr[GPR_CX]) >=
                                4);
            }
        }
    }
}

/* A loop that changes registers of all kinds and leaves them unwritten where it closes. */
static void test_loop(void **state)
{
    static const char hex[] = "f3 0f 58 ca"        /* addss xmm1, xmm2 */
                              "d8 c1"              /* fadd st0, st1 */
                              "d9 03"              /* fld dword [ebx] */
                              "de c1"              /* faddp */
                              "0f 58 1f"           /* addps xmm3, [edi] */
                              "0f 2f ca"           /* comiss xmm1, xmm2 */
                              "72 03"              /* jb +3 */
                              "0f 28 e1"           /* movaps xmm4, xmm1 */
                              "01 47 40"           /* add [edi+64], eax */
                              "f2 0f 2a ed"        /* cvtsi2sd xmm5, ebp */
                              "4d 75 e1"           /* dec ebp; jnz */
                              "d9 b7 a0 00 00 00"; /* fnstenv [edi+160] */
    struct fpu_pair_state s;

    assert_true(fpu_signal_install());
    for (unsigned masked = 0; masked < 64; masked++) {
        plain_state(&s);
        s.fpu.ftw = 0xff;
        s.gpr[GPR_BP] = 50;
        s.fpu.mxcsr &= ~((masked & 0x3fu) << 7);
        check_hex(*state, &s, hex);
    }
}

/* The instruction before the exception's is the one that FNSTENV and FXSAVE name, here and in the handler. */
static void test_pointers_behind_an_exception(void **state)
{
    static const char *const codes[] = {
        "d9 03 d9 fa d8 f1 9b",                            /* fld, fsqrt, fdiv, fwait */
        "d9 ee d9 e8 d8 f1 d9 e8 d9 73 40",                /* fldz, fld1, fdiv: #Z; fld1 meets it */
        "d9 43 04 8b 07 d9 ee d8 33 0f ae 07",             /* fxsave with an error pending */
        "d9 43 04 0f 77 9b d9 73 20 dd 1b 0f 6f 07 dd 77", /* fnsave behind MMX */
        "d9 e8 36 dd 5c 24 f0 d9 73 20 64 d9 03 d9 77 40", /* segments SS, FS */
        "d9 e8 90 66 d9 73 20 9b d9 f4 66 d9 77 60",       /* the 16-bit form */
    };
    assert_true(fpu_signal_install());
    for (unsigned i = 0; i < ARRAY_SIZE(codes); i++) {
        for (unsigned round = 0; round < 64; round++) {
            struct fpu_pair_state s;

            plain_state(&s);
            s.fpu.fcw = (uint16_t)(X87_FCW_INIT & ~round);
            check_hex(*state, &s, codes[i]);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_flags_of_an_overwritten_operand, setup, teardown),
        cmocka_unit_test_setup_teardown(test_stores_onto_code, setup, teardown),
        cmocka_unit_test_setup_teardown(test_loop, setup, teardown),
        cmocka_unit_test_setup_teardown(test_pointers_behind_an_exception, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

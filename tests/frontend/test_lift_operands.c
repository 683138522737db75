/* Addresses, segments and operands; arithmetic, moves, shifts, multiplication, bits: the IR of one instruction. */
#include "lift_fixture.h"

static int setup(void **state)
{
    *state = new_lifted("pentium4");
    return 0;
}
static int teardown(void **state)
{
    free(*state);
    return 0;
}
#define CHECK(rows) check_expectations(*state, rows, sizeof(rows) / sizeof(rows)[0])

static void test_addresses(void **state)
{
    static const struct expectation rows[] = {
        /* flat: the offset is the linear address */
        {FLAT32, "8b 43 08", "probe.4 r [ebx+8]; mov.4 eax, m"},
        {FLAT32, "8b 05 78 56 34 12", "probe.4 r [0x12345678]; mov.4 eax, m"},
        {FLAT32, "8b 04 8d 00 00 00 80", "probe.4 r [ecx*4-0x80000000]; mov.4 eax, m"},
        {FLAT32, "8b 44 b5 fc", "probe.4 r [ebp+esi*4-4]; mov.4 eax, m"},
        {FLAT32, "8b 04 24", "probe.4 r [esp]; mov.4 eax, m"},
        {FLAT32, "a1 44 33 22 f1", "probe.4 r [-0xeddccbc]; mov.4 eax, m"},
        {FLAT32, "64 8b 00", "probe.4 r [eax]; mov.4 eax, m"},
        /* 16-bit addresses wrap */
        {FLAT32, "67 8b 00", "lea.2 t0, [ebx+esi*1]; probe.4 r [t0]; mov.4 eax, m"},
        {FLAT32, "67 8b 06 fe ff", "probe.4 r [0xfffe]; mov.4 eax, m"},
        {UNREAL16, "8b 47 fe", "lea.2 t0, [ebx-2]; probe.2 r [t0]; mov.2 ax, m"},
        {UNREAL16, "67 8b 43 fe", "probe.2 r [ebx-2]; mov.2 ax, m"},
        /* other shapes */
        {SEGMENTED32, "8b 43 08", "segment.4 t0, ds.4 r [ebx+8]; probe.4 r [t0]; mov.4 eax, m"},
        {SEGMENTED32, "8b 45 08", "segment.4 t0, ss.4 r [ebp+8]; probe.4 r [t0]; mov.4 eax, m"},
        {SEGMENTED32, "65 88 45 08", "segment.4 t0, gs.1 w [ebp+8]; probe.1 w [t0]; mov.1 m, al"},
        {REAL16, "8b 02", "segment.2 t0, ss.2 r [ebp+esi*1]; probe.2 r [t0]; mov.2 ax, m"},
        {REAL16, "26 8b 07", "segment.2 t0, es.2 r [ebx]; probe.2 r [t0]; mov.2 ax, m"},
        {REAL16, "a1 f0 ff", "segment.2 t0, ds.2 r [0xfff0]; probe.2 r [t0]; mov.2 ax, m"},
        {REAL16, "66 a1 f0 ff", "segment.2 t0, ds.4 r [0xfff0]; probe.4 r [t0]; mov.4 eax, m"},
        {VM86, "67 66 8b 04 4b", "segment.4 t0, ds.4 r [ebx+ecx*2]; probe.4 r [t0]; mov.4 eax, m"},
        /* through CS: flat for reading only */
        {FLAT32, "2e 8b 03", "probe.4 r [ebx]; mov.4 eax, m"},
        {FLAT32, "2e 89 03", "segment.4 t0, cs.4 w [ebx]; probe.4 w [t0]; mov.4 m, eax"},
        {FLAT32, "2e 01 03", "segment.4 t0, cs.4 rw [ebx]; probe.4 rw [t0]; add.4 m, eax"},
    };
    CHECK(rows);
}

static void test_arithmetic(void **state)
{
    static const struct expectation rows[] = {
        {FLAT32, "01 c8", "add.4 eax, ecx"},
        {FLAT32, "03 03", "probe.4 r [ebx]; add.4 eax, m"},
        {FLAT32, "09 03", "probe.4 rw [ebx]; or.4 m, eax"},
        {FLAT32, "f0 09 03", "probe.4 rw [ebx]; lock or.4 m, eax"},
        {FLAT32, "f0 80 23 7f", "probe.1 rw [ebx]; lock and.1 m, 0x7f"},
        {FLAT32, "14 80", "adc.1 al, -0x80"},
        {FLAT32, "83 db ff", "sbb.4 ebx, -1"},
        {FLAT32, "66 2d 00 80", "sub.2 ax, -0x8000"},
        {FLAT32, "35 00 00 00 80", "xor.4 eax, -0x80000000"},
        {FLAT32, "38 e5", "cmp.1 ch, ah"},
        {FLAT32, "3a 23", "probe.1 r [ebx]; cmp.1 ah, m"},
        {FLAT32, "39 03", "probe.4 r [ebx]; cmp.4 m, eax"},
        {FLAT32, "83 3b 05", "probe.4 r [ebx]; cmp.4 m, 5"},
        {FLAT32, "84 c0", "test.1 al, al"},
        {FLAT32, "f7 03 01 00 00 00", "probe.4 r [ebx]; test.4 m, 1"},
        {FLAT32, "85 0b", "probe.4 r [ebx]; test.4 m, ecx"},
        {REAL16, "01 c8", "add.2 ax, cx"},
        {REAL16, "66 01 e0", "add.4 eax, esp"},
        {FLAT32, "40", "inc.4 eax"},
        {FLAT32, "fe cc", "dec.1 ah"},
        {FLAT32, "f0 ff 03", "probe.4 rw [ebx]; lock inc.4 m"},
        {FLAT32, "f7 13", "probe.4 rw [ebx]; not.4 m"},
        {FLAT32, "66 f7 d9", "neg.2 cx"},
    };
    CHECK(rows);
}

static void test_moves(void **state)
{
    static const struct expectation rows[] = {
        {FLAT32, "89 e5", "mov.4 ebp, esp"},
        {FLAT32, "b4 ff", "mov.1 ah, -1"},
        {FLAT32, "c7 03 78 56 34 12", "probe.4 w [ebx]; mov.4 m, 0x12345678"},
        {FLAT32, "c6 03 80", "probe.1 w [ebx]; mov.1 m, -0x80"},
        {FLAT32, "88 3b", "probe.1 w [ebx]; mov.1 m, bh"},
        {FLAT32, "0f b6 c4", "movzx.4.1 eax, ah"},
        {FLAT32, "0f bf 03", "probe.2 r [ebx]; movsx.4.2 eax, m"},
        {FLAT32, "66 0f be 03", "probe.1 r [ebx]; movsx.2.1 ax, m"},
        {FLAT32, "66 0f b7 c1", "mov.2 ax, cx"},
        {FLAT32, "8d 44 8b 04", "lea.4 eax, [ebx+ecx*4+4]"},
        {FLAT32, "66 8d 44 8b 04", "lea.2 ax, [ebx+ecx*4+4]"},
        {FLAT32, "67 8d 40 04", "lea.2 t0, [ebx+esi*1+4]; mov.4 eax, t0"},
        {REAL16, "8d 40 04", "lea.2 ax, [ebx+esi*1+4]"},
        {REAL16, "8d 06 00 80", "lea.2 ax, [0x8000]"},
        {FLAT32, "87 cb", "xchg.4 ebx, ecx"},
        {FLAT32, "86 cc", "xchg.1 ah, cl"},
        {FLAT32, "94", "xchg.4 esp, eax"},
        {FLAT32, "87 0b", "probe.4 rw [ebx]; xchg.4 m, ecx"},
        {FLAT32, "f0 87 0b", "probe.4 rw [ebx]; lock xchg.4 m, ecx"},
        {FLAT32, "0f c1 c0", "xadd.4 eax, eax"},
        {FLAT32, "f0 0f c1 0b", "probe.4 rw [ebx]; lock xadd.4 m, ecx"},
        {FLAT32, "0f b1 cb", "cmpxchg.4 ebx, ecx"},
        {FLAT32, "f0 0f b0 0b", "probe.1 rw [ebx]; lock cmpxchg.1 m, cl"},
        {FLAT32, "0f b0 2b", "interpret"}, /* CH */
        {FLAT32, "f0 0f c7 0b", "probe.8 rw [ebx]; lock cmpxchg8b.8 m"},
        {FLAT32, "0f c9", "bswap.4 ecx"},
        {FLAT32, "66 0f c9", "interpret"},
        {FLAT32, "0f 44 03", "probe.4 r [ebx]; cmov.z.4 eax, m"},
        {FLAT32, "66 0f 4f c1", "cmov.nle.2 ax, cx"},
        {FLAT32, "0f 95 c4", "setcc.nz.1 ah"},
        {FLAT32, "0f 92 03", "probe.1 w [ebx]; setcc.b.1 m"},
    };
    CHECK(rows);
}

static void test_shifts(void **state)
{
    static const struct expectation rows[] = {
        {FLAT32, "d1 e0", "shl.4 eax, 1"},
        {FLAT32, "c1 e0 04", "shl.4 eax, 4"},
        {FLAT32, "c1 e0 24", "shl.4 eax, 4"}, /* counts are modulo 32 */
        {FLAT32, "c0 ec 1f", "shr.1 ah, 0x1f"},
        {FLAT32, "c1 e0 00", ""},
        {FLAT32, "c1 e0 20", ""},
        {FLAT32, "c1 23 00", "interpret"}, /* memory is written all the same */
        {FLAT32, "d3 f9", "sar.4 ecx, cl"},
        {FLAT32, "d2 3b", "probe.1 rw [ebx]; sar.1 m, cl"},
        {FLAT32, "66 c1 03 09", "probe.2 rw [ebx]; rol.2 m, 9"},
        {FLAT32, "d0 0b", "probe.1 rw [ebx]; ror.1 m, 1"},
        {FLAT32, "d3 d0", "rcl.4 eax, cl"},
        {FLAT32, "c0 d8 09", "rcr.1 al, 9"},
        {FLAT32, "c1 f0 04", "shl.4 eax, 4"}, /* /6 */
        {FLAT32, "0f a4 c8 04", "shld.4 eax, ecx, 4"},
        {FLAT32, "66 0f a5 c8", "shld.2 ax, cx, cl"},
        {FLAT32, "0f ad 0b", "probe.4 rw [ebx]; shrd.4 m, ecx, cl"},
        {FLAT32, "0f ac c8 20", ""},
        {FLAT32, "0f ac 0b 00", "interpret"},
    };
    CHECK(rows);
}

static void test_multiplication(void **state)
{
    static const struct expectation rows[] = {
        {FLAT32, "f7 e1", "mul1.4 ecx"},
        {FLAT32, "f6 e4", "mul1.1 ah"},
        {FLAT32, "66 f7 2b", "probe.2 r [ebx]; imul1.2 m"},
        {FLAT32, "f7 f1", "div.4 ecx"},
        {FLAT32, "f6 3b", "probe.1 r [ebx]; idiv.1 m"},
        {FLAT32, "0f af c1", "imul.4 eax, ecx"},
        {FLAT32, "66 0f af 03", "probe.2 r [ebx]; imul.2 ax, m"},
        {FLAT32, "6b c1 ff", "imul3.4 eax, ecx, -1"},
        {FLAT32, "69 03 00 01 00 00", "probe.4 r [ebx]; imul3.4 eax, m, 0x100"},
        {REAL16, "69 c1 00 80", "imul3.2 ax, cx, -0x8000"},
    };
    CHECK(rows);
}

static void test_bits(void **state)
{
    static const struct expectation rows[] = {
        {FLAT32, "0f a3 c8", "bt.4 eax, ecx"},
        {FLAT32, "66 0f ab c8", "bts.2 ax, cx"},
        {FLAT32, "0f ba e8 25", "bts.4 eax, 5"}, /* modulo the operand */
        {FLAT32, "66 0f ba 23 1f", "probe.2 r [ebx]; bt.2 m, 0xf"},
        {FLAT32, "f0 0f ba 33 07", "probe.4 rw [ebx]; lock btr.4 m, 7"},
        {FLAT32, "0f ba 3b 00", "probe.4 rw [ebx]; btc.4 m, 0"},
        {FLAT32, "0f a3 0b", "interpret"}, /* a bit string */
        {FLAT32, "0f bc c1", "bsf.4 eax, ecx"},
        {FLAT32, "66 0f bd 03", "probe.2 r [ebx]; bsr.2 ax, m"},
        {FLAT32, "f3 0f bd c1", "bsr.4 eax, ecx"}, /* no LZCNT on this model */
    };
    CHECK(rows);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_addresses, setup, teardown),
        cmocka_unit_test_setup_teardown(test_arithmetic, setup, teardown),
        cmocka_unit_test_setup_teardown(test_moves, setup, teardown),
        cmocka_unit_test_setup_teardown(test_shifts, setup, teardown),
        cmocka_unit_test_setup_teardown(test_multiplication, setup, teardown),
        cmocka_unit_test_setup_teardown(test_bits, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

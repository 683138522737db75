/* x87, MMX and SSE: what becomes of each form, and what stays the interpreter's. */
#include "lift_fixture.h"

#define FLAT_SSE (FLAT32 | MODE_OSFXSR)

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
#define CHECK(f, rows) check_expectations(f, rows, ARRAY_SIZE(rows))

static void test_x87(void **state)
{
    static const struct expectation rows[] = {
        {FLAT32, "d8 c1", "fpu.4 none, none {x87 0 0 d8 c1 pointers c1}"},
        {FLAT32, "d9 e8", "fpu.4 none, none {x87 0 0 d9 e8 pointers 1e8}"},
        {FLAT32, "dc 43 08", "probe.8.fpu r [ebx+8]; fpu.4 none, m {x87 0 0 dc 43 pointers 443 ds}"},
        {FLAT32, "d9 45 fc", "probe.4.fpu r [ebp-4]; fpu.4 none, m {x87 0 0 d9 45 pointers 145 ss}"},
        {FLAT32, "65 df 04 b5 10 00 00 00",
         "probe.2.fpu r [esi*4+0x10]; fpu.4 none, m {x87 0 0 df 04 pointers 704 gs}"},
        {FLAT32, "dd 1c 24", "probe.8.fpu w [esp]; fpu.4 m, none {x87 0 0 dd 1c pointers 51c ss}"},
        {FLAT32, "db 3b", "probe.10.fpu w [ebx]; fpu.4 m, none {x87 0 0 db 3b pointers 33b ds}"},
        {FLAT32, "db 2b", "probe.10.fpu r [ebx]; fpu.4 none, m {x87 0 0 db 2b pointers 32b ds}"},
        {FLAT32, "df 33", "probe.10.fpu w [ebx]; fpu.4 m, none {x87 0 0 df 33 pointers 733 ds}"},
        /* flags */
        {FLAT32, "db f1", "fpu.4 none, none {x87 0 0 db f1 pointers 3f1 sets_flags}"},
        {FLAT32, "df ea", "fpu.4 none, none {x87 0 0 df ea pointers 7ea sets_flags}"},
        {FLAT32, "da d2", "fpu.4 none, none {x87 0 0 da d2 pointers 2d2 reads_flags}"},
        {FLAT32, "db da", "fpu.4 none, none {x87 0 0 db da pointers 3da reads_flags}"},
        {FLAT32, "de d9", "fpu.4 none, none {x87 0 0 de d9 pointers 6d9}"},
        /* control */
        {FLAT32, "df e0", "fpu.2 ax, none {x87 0 0 df e0}"},
        {FLAT32, "dd 3b", "probe.2.fpu w [ebx]; fpu.4 m, none {x87 0 0 dd 3b}"},
        {FLAT32, "d9 2b", "probe.2.fpu r [ebx]; fpu.4 none, m {x87 0 0 d9 2b}"},
        {FLAT32, "d9 3b", "probe.2.fpu w [ebx]; fpu.4 m, none {x87 0 0 d9 3b}"},
        {FLAT32, "9b", "fpu.4 none, none {x87 0 0 9b none}"},
        {FLAT32, "db e2", "interpret"},
        {FLAT32, "db e3", "interpret"},
    };
    CHECK(*state, rows);
}

static void test_mmx(void **state)
{
    static const struct expectation rows[] = {
        {FLAT32, "0f 77", "fpu.4 none, none {mmx 0 1 77 none}"},
        {FLAT32, "0f fc ca", "fpu.4 none, none {mmx 0 1 fc ca}"},
        {FLAT32, "0f 60 0b", "probe.4.fpu r [ebx]; fpu.4 none, m {mmx 0 1 60 0b}"},
        {FLAT32, "0f 6f 0b", "probe.8.fpu r [ebx]; fpu.4 none, m {mmx 0 1 6f 0b}"},
        {FLAT32, "0f e7 0b", "probe.8.fpu w [ebx]; fpu.4 m, none {mmx 0 1 e7 0b}"},
        {FLAT32, "0f 7e 0b", "probe.4.fpu w [ebx]; fpu.4 m, none {mmx 0 1 7e 0b}"},
        {FLAT32, "0f 6e cc", "fpu.4 none, esp {mmx 0 1 6e cc rm}"},
        {FLAT32, "0f 7e cd", "fpu.4 ebp, none {mmx 0 1 7e cd rm}"},
        {FLAT32, "0f d7 d1", "fpu.4 edx, none {mmx 0 1 d7 d1 reg}"},
        {FLAT32, "0f c5 d1 02", "fpu.4 edx, none {mmx 0 1 c5 d1 imm 2 reg}"},
        {FLAT32, "0f c4 d1 03", "fpu.4 none, ecx {mmx 0 1 c4 d1 imm 3 rm}"},
        {FLAT32, "0f c4 13 03", "probe.2.fpu r [ebx]; fpu.4 none, m {mmx 0 1 c4 13 imm 3}"},
        {FLAT32, "0f 70 ca e4", "fpu.4 none, none {mmx 0 1 70 ca imm e4}"},
        {FLAT32, "0f 72 e2 04", "fpu.4 none, none {mmx 0 1 72 e2 imm 4}"},
        {FLAT32, "0f f7 ca", "interpret"},
        /* and on XMM registers */
        {FLAT_SSE, "66 0f fc ca", "fpu.4 none, none {sse 66 1 fc ca xmm_read 6 xmm_written 2}"},
        {FLAT_SSE, "66 0f 60 0b",
         "probe.16.fpu_aligned r [ebx]; fpu.4 none, m {sse 66 1 60 0b xmm_read 2 xmm_written 2}"},
        {FLAT32, "66 0f fc ca", "interpret"},
    };
    CHECK(*state, rows);
}

static void test_sse(void **state)
{
    static const struct expectation rows[] = {
        {FLAT_SSE, "0f 58 ca", "fpu.4 none, none {sse 0 1 58 ca xmm_read 6 xmm_written 2}"},
        {FLAT_SSE, "0f 58 0b", "probe.16.fpu_aligned r [ebx]; fpu.4 none, m {sse 0 1 58 0b xmm_read 2 xmm_written 2}"},
        {FLAT_SSE, "f3 0f 58 0b", "probe.4.fpu r [ebx]; fpu.4 none, m {sse f3 1 58 0b xmm_read 2 xmm_written 2}"},
        {FLAT_SSE, "f2 0f 58 0b", "probe.8.fpu r [ebx]; fpu.4 none, m {sse f2 1 58 0b xmm_read 2 xmm_written 2}"},
        /* loads and stores, whole and in part */
        {FLAT_SSE, "0f 28 0b", "probe.16.fpu_aligned r [ebx]; fpu.4 none, m {sse 0 1 28 0b xmm_written 2}"},
        {FLAT_SSE, "0f 10 0b", "probe.16.fpu r [ebx]; fpu.4 none, m {sse 0 1 10 0b xmm_written 2}"},
        {FLAT_SSE, "f3 0f 6f 0b", "probe.16.fpu r [ebx]; fpu.4 none, m {sse f3 1 6f 0b xmm_written 2}"},
        {FLAT_SSE, "0f 29 0b", "probe.16.fpu_aligned w [ebx]; fpu.4 m, none {sse 0 1 29 0b xmm_read 2}"},
        {FLAT_SSE, "0f 2b 3b", "probe.16.fpu_aligned w [ebx]; fpu.4 m, none {sse 0 1 2b 3b xmm_read 80}"},
        {FLAT_SSE, "f3 0f 10 0b", "probe.4.fpu r [ebx]; fpu.4 none, m {sse f3 1 10 0b xmm_written 2}"}, /* the rest: 0 */
        {FLAT_SSE, "f2 0f 10 0b", "probe.8.fpu r [ebx]; fpu.4 none, m {sse f2 1 10 0b xmm_written 2}"},
        {FLAT_SSE, "66 0f 6e c8", "fpu.4 none, eax {sse 66 1 6e c8 rm xmm_written 2}"},
        {FLAT_SSE, "f3 0f 7e ca", "fpu.4 none, none {sse f3 1 7e ca xmm_read 4 xmm_written 2}"},
        {FLAT_SSE, "f3 0f 10 ca", "fpu.4 none, none {sse f3 1 10 ca xmm_read 6 xmm_written 2}"},
        {FLAT_SSE, "0f 12 0b", "probe.8.fpu r [ebx]; fpu.4 none, m {sse 0 1 12 0b xmm_read 2 xmm_written 2}"},
        {FLAT_SSE, "0f 17 0b", "probe.8.fpu w [ebx]; fpu.4 m, none {sse 0 1 17 0b xmm_read 2}"},
        /* general registers */
        {FLAT_SSE, "f3 0f 2a cc", "fpu.4 none, esp {sse f3 1 2a cc rm xmm_read 2 xmm_written 2}"},
        {FLAT_SSE, "f3 0f 2d c1", "fpu.4 eax, none {sse f3 1 2d c1 reg xmm_read 2}"},
        {FLAT_SSE, "f2 0f 2c 03", "probe.8.fpu r [ebx]; fpu.4 eax, m {sse f2 1 2c 03 reg}"},
        {FLAT_SSE, "0f 50 c1", "fpu.4 eax, none {sse 0 1 50 c1 reg xmm_read 2}"},
        {FLAT_SSE, "0f c3 0b", "probe.4.fpu w [ebx]; fpu.4 m, ecx {sse 0 1 c3 0b reg}"},
        /* with MMX registers */
        {FLAT_SSE, "0f 2a ca", "fpu.4 none, none {sse_mmx 0 1 2a ca xmm_read 2 xmm_written 2}"},
        {FLAT_SSE, "0f 2d ca", "fpu.4 none, none {sse_mmx 0 1 2d ca xmm_read 4}"},
        {FLAT_SSE, "f3 0f d6 ca", "fpu.4 none, none {sse_mmx f3 1 d6 ca xmm_read 2 xmm_written 2}"},
        /* flags, immediates, fences */
        {FLAT_SSE, "0f 2f ca", "fpu.4 none, none {sse 0 1 2f ca sets_flags xmm_read 6}"},
        {FLAT_SSE, "66 0f 2e 0b", "probe.8.fpu r [ebx]; fpu.4 none, m {sse 66 1 2e 0b sets_flags xmm_read 2}"},
        {FLAT_SSE, "f2 0f c2 ca 07", "fpu.4 none, none {sse f2 1 c2 ca imm 7 xmm_read 6 xmm_written 2}"},
        {FLAT_SSE, "66 0f 73 fa 05", "fpu.4 none, none {sse 66 1 73 fa imm 5 xmm_read 4 xmm_written 4}"},
        {FLAT_SSE, "0f ae f0", "fpu.4 none, none {sse 0 1 ae f0}"},
        {FLAT_SSE, "66 0f f7 ca", "interpret"},
        {FLAT_SSE, "0f ae 3b", "interpret"},
    };
    CHECK(*state, rows);
}

/* #NM, #UD, alignment checks, segments with bases and limits, 16-bit offsets, code segments that are written. */
static void test_interpreted(void **state)
{
    static const struct expectation rows[] = {
        {FLAT32 | MODE_TS, "d8 c1", "interpret"},
        {FLAT32 | MODE_EM, "d8 c1", "interpret"},
        {FLAT32 | MODE_TS, "9b", "interpret"},
        {FLAT32 | MODE_AC, "dc 03", "interpret"},
        {FLAT_SSE | MODE_TS, "0f 58 ca", "interpret"},
        {FLAT32, "0f 58 ca", "interpret"},
        {FLAT_SSE | MODE_EM, "0f fc ca", "interpret"},
        {SEGMENTED32, "dc 03", "interpret"},
        {SEGMENTED32, "d8 c1", "fpu.4 none, none {x87 0 0 d8 c1 pointers c1}"},
        {REAL16, "dc 07", "interpret"},
        {REAL16, "d8 c1", "fpu.4 none, none {x87 0 0 d8 c1 pointers c1}"},
        {UNREAL16, "dc 07", "interpret"},
        {UNREAL16, "67 dc 03", "probe.8.fpu r [ebx]; fpu.4 none, m {x87 0 0 dc 03 pointers 403 ds}"},
        {FLAT32, "67 dc 07", "interpret"},
        {FLAT32, "2e dd 1b", "interpret"},
        {FLAT32, "2e dd 03", "probe.8.fpu r [ebx]; fpu.4 none, m {x87 0 0 dd 03 pointers 503 cs}"},
    };
    CHECK(*state, rows);
}

/* SSE2's forms of MMX instructions, where there is no SSE2. */
static void test_older_models(void **state)
{
    static const struct expectation rows[] = {
        {FLAT_SSE, "66 0f fc ca", "interpret"},
        {FLAT_SSE, "0f fc ca", "fpu.4 none, none {mmx 0 1 fc ca}"},
        {FLAT_SSE, "0f 58 ca", "fpu.4 none, none {sse 0 1 58 ca xmm_read 6 xmm_written 2}"},
    };
    struct lifted *f = new_lifted("pentium3");

    CHECK(f, rows);
    free(f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_x87, setup, teardown),
        cmocka_unit_test_setup_teardown(test_mmx, setup, teardown),
        cmocka_unit_test_setup_teardown(test_sse, setup, teardown),
        cmocka_unit_test_setup_teardown(test_interpreted, setup, teardown),
        cmocka_unit_test(test_older_models),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* Stack, control transfers, strings, flags, what is left to others: the IR of one instruction at 00001000. */
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

/* 32-bit code on a 16-bit stack and the other way round */
#define SMALL_STACK (FLAT32 & ~MODE_SS_B)
#define BIG_STACK   (PROTECTED16 | MODE_SS_B)

static void test_push(void **state)
{
    static const struct expectation rows[] = {
        {FLAT32, "50", "probe.4 w [esp-4]; mov.4 m, eax; lea.4 esp, [esp-4]"},
        {FLAT32, "54", "probe.4 w [esp-4]; mov.4 m, esp; lea.4 esp, [esp-4]"}, /* the old ESP */
        {FLAT32, "66 50", "probe.2 w [esp-2]; mov.2 m, ax; lea.4 esp, [esp-2]"},
        {FLAT32, "6a ff", "probe.4 w [esp-4]; mov.4 m, -1; lea.4 esp, [esp-4]"},
        {FLAT32, "66 68 00 80", "probe.2 w [esp-2]; mov.2 m, -0x8000; lea.4 esp, [esp-2]"},
        {FLAT32, "ff 74 24 08", "probe.4 r [esp+8]; mov.4 t0, m; probe.4 w [esp-4]; mov.4 m, t0; lea.4 esp, [esp-4]"},
        {FLAT32, "66 ff 33", "probe.2 r [ebx]; movzx.4.2 t0, m; probe.2 w [esp-2]; mov.2 m, t0; lea.4 esp, [esp-2]"},
        {SEGMENTED32, "50", "segment.4 t0, ss.4 w [esp-4]; probe.4 w [t0]; mov.4 m, eax; lea.4 esp, [esp-4]"},
        {REAL16, "50", "segment.2 t0, ss.2 w [esp-2]; probe.2 w [t0]; mov.2 m, ax; lea.2 sp, [esp-2]"},
        {REAL16, "66 50", "segment.2 t0, ss.4 w [esp-4]; probe.4 w [t0]; mov.4 m, eax; lea.2 sp, [esp-4]"},
        {REAL16, "ff 37",
         "segment.2 t0, ds.2 r [ebx]; probe.2 r [t0]; movzx.4.2 t1, m; segment.2 t2, ss.2 w [esp-2]; probe.2 w [t2]; "
         "mov.2 m, t1; lea.2 sp, [esp-2]"},
        {SMALL_STACK, "50", "lea.2 t0, [esp-4]; probe.4 w [t0]; mov.4 m, eax; lea.2 sp, [esp-4]"},
        {BIG_STACK, "50", "segment.4 t0, ss.2 w [esp-2]; probe.2 w [t0]; mov.2 m, ax; lea.4 esp, [esp-2]"},
        {FLAT32, "60", "interpret"},
    };
    CHECK(rows);
}

static void test_pop(void **state)
{
    static const struct expectation rows[] = {
        {FLAT32, "58", "probe.4 r [esp]; mov.4 eax, m; lea.4 esp, [esp+4]"},
        {FLAT32, "5c", "probe.4 r [esp]; mov.4 esp, m"}, /* the popped value wins */
        {FLAT32, "66 5c", "probe.2 r [esp]; movzx.4.2 t0, m; lea.4 esp, [esp+2]; mov.2 sp, t0"},
        {FLAT32, "66 58", "probe.2 r [esp]; mov.2 ax, m; lea.4 esp, [esp+2]"},
        {REAL16, "5c", "segment.2 t0, ss.2 r [esp]; probe.2 r [t0]; mov.2 sp, m"},
        {REAL16, "66 5c", "segment.2 t0, ss.4 r [esp]; probe.4 r [t0]; mov.4 esp, m"},
        {REAL16, "58", "segment.2 t0, ss.2 r [esp]; probe.2 r [t0]; mov.2 ax, m; lea.2 sp, [esp+2]"},
        {BIG_STACK, "5c",
         "segment.4 t0, ss.2 r [esp]; probe.2 r [t0]; movzx.4.2 t1, m; lea.4 esp, [esp+2]; mov.2 sp, t1"},
        /* an address based on ESP: as it is after the pop */
        {FLAT32, "8f 44 24 08", "probe.4 r [esp]; mov.4 t0, m; probe.4 w [esp+0xc]; mov.4 m, t0; lea.4 esp, [esp+4]"},
        {FLAT32, "66 8f 04 24", "probe.2 r [esp]; movzx.4.2 t0, m; probe.2 w [esp+2]; mov.2 m, t0; lea.4 esp, [esp+2]"},
        {FLAT32, "8f 03", "probe.4 r [esp]; mov.4 t0, m; probe.4 w [ebx]; mov.4 m, t0; lea.4 esp, [esp+4]"},
        {SMALL_STACK, "8f 04 24", "interpret"},
        {SEGMENTED32, "8f 03",
         "segment.4 t0, ss.4 r [esp]; probe.4 r [t0]; mov.4 t1, m; segment.4 t2, ds.4 w [ebx]; probe.4 w [t2]; "
         "mov.4 m, t1; lea.4 esp, [esp+4]"},
        {FLAT32, "61", "interpret"},
        {FLAT32, "c9", "probe.4 r [ebp]; lea.4 esp, [ebp+4]; mov.4 ebp, m"},
        {FLAT32, "66 c9", "probe.2 r [ebp]; lea.4 esp, [ebp+2]; mov.2 bp, m"},
        {REAL16, "c9", "segment.2 t0, ss.2 r [ebp]; probe.2 r [t0]; lea.2 sp, [ebp+2]; mov.2 bp, m"},
        {REAL16, "66 c9", "segment.2 t0, ss.4 r [ebp]; probe.4 r [t0]; lea.2 sp, [ebp+4]; mov.4 ebp, m"},
    };
    CHECK(rows);
}

static void test_jumps(void **state)
{
    static const struct expectation rows[] = {
        {FLAT32, "eb fe", "exit 0"},
        {FLAT32, "74 10", "exit_if.z 1; exit 0"},
        {FLAT32, "0f 8f 00 01 00 00", "exit_if.nle 1; exit 0"},
        {FLAT32, "e2 fe", "exit_loop.4 count 1; exit 0"},
        {FLAT32, "67 e1 fe", "exit_loop.2 zero 1; exit 0"},
        {REAL16, "e0 fe", "exit_loop.2 not_zero 1; exit 0"},
        {REAL16, "67 e3 fe", "exit_loop.4 counter_zero 1; exit 0"},
        {REAL16, "e3 fe", "exit_loop.2 counter_zero 1; exit 0"},
        {FLAT32, "ff e0", "exit_indirect eax"},
        {FLAT32, "ff e4", "mov.4 t0, esp; exit_indirect t0"},
        {FLAT32, "66 ff e0", "movzx.4.2 t0, ax; exit_indirect t0"},
        {FLAT32, "ff 24 85 00 10 00 00", "probe.4 r [eax*4+0x1000]; mov.4 t0, m; exit_indirect t0"},
        {SEGMENTED32, "ff e0", "check_target eax; exit_indirect eax"},
        {SEGMENTED32, "66 ff e0", "movzx.4.2 t0, ax; check_target t0; exit_indirect t0"},
        {REAL16, "ff e0", "movzx.4.2 t0, ax; exit_indirect t0"}, /* always within 64 KiB */
        {REAL16, "66 ff e0", "check_target eax; exit_indirect eax"},
        {PROTECTED16, "ff e0", "movzx.4.2 t0, ax; check_target t0; exit_indirect t0"},
        {FLAT32, "ea 00 00 00 00 08 00", "exit_callout"},
        {FLAT32, "ff 2b", "lea.4 t0, [ebx]; exit_callout t0"},
    };
    CHECK(rows);
}

static void test_beyond_the_limit(void **state)
{
    static const struct expectation rows[] = {
        {REAL16, "66 e9 00 00 01 00", "interpret leaves"},    /* 11006 */
        {REAL16, "66 0f 84 00 00 01 00", "interpret leaves"}, /* though it may fall through */
        {REAL16, "66 e8 00 00 01 00", "interpret leaves"},
        {REAL16, "66 e2 00", "exit_loop.2 count 1; exit 0"},
        {SEGMENTED32, "e9 00 00 10 00", "interpret leaves"},
        {FLAT32, "e9 00 00 00 f0", "exit 0"},
        {REAL16, "e9 00 f0", "exit 0"}, /* wraps */
    };
    struct lifted *f = *state;
    CHECK(rows);

    assert_int_equal(f->block.links[0].eip, 0x0003);
    /* LOOP to FFFFFFFF through a 32-bit operand */
    size_t n = parse_bytes(f, "66 e2 80");
    prepare(f, REAL16, 0x10, n);
    lift_now(f);
    assert_string_equal(f->text, "interpret leaves");
}

static void test_calls(void **state)
{
    static const struct expectation rows[] = {
        {FLAT32, "e8 10 00 00 00", "probe.4 w [esp-4]; mov.4 m, 0x1005; lea.4 esp, [esp-4]; exit 0 call"},
        /* of the next instruction: nobody will return from there */
        {FLAT32, "e8 00 00 00 00", "probe.4 w [esp-4]; mov.4 m, 0x1005; lea.4 esp, [esp-4]; exit 0"},
        {FLAT32, "66 e8 00 00", "probe.2 w [esp-2]; mov.2 m, 0x1004; lea.4 esp, [esp-2]; exit 0"},
        {REAL16, "e8 00 00",
         "segment.2 t0, ss.2 w [esp-2]; probe.2 w [t0]; mov.2 m, 0x1003; lea.2 sp, [esp-2]; exit 0"},
        {FLAT32, "ff d0", "probe.4 w [esp-4]; mov.4 m, 0x1002; lea.4 esp, [esp-4]; exit_indirect eax call"},
        {FLAT32, "ff d4", "mov.4 t0, esp; probe.4 w [esp-4]; mov.4 m, 0x1002; lea.4 esp, [esp-4]; exit_indirect t0 call"},
        /* the operand's address is formed before ESP moves */
        {FLAT32, "ff 54 24 08",
         "probe.4 r [esp+8]; mov.4 t0, m; probe.4 w [esp-4]; mov.4 m, 0x1004; lea.4 esp, [esp-4]; exit_indirect t0 call"},
        {SEGMENTED32, "ff d0",
         "segment.4 t0, ss.4 w [esp-4]; probe.4 w [t0]; check_target eax; mov.4 m, 0x1002; lea.4 esp, [esp-4]; "
         "exit_indirect eax call"},
        {REAL16, "ff 17",
         "segment.2 t0, ds.2 r [ebx]; probe.2 r [t0]; movzx.4.2 t1, m; segment.2 t2, ss.2 w [esp-2]; "
         "probe.2 w [t2]; mov.2 m, 0x1002; lea.2 sp, [esp-2]; exit_indirect t1 call"},
        {FLAT32, "c3", "probe.4 r [esp]; mov.4 t0, m; lea.4 esp, [esp+4]; exit_indirect t0 return"},
        {FLAT32, "c2 fc ff", "probe.4 r [esp]; mov.4 t0, m; lea.4 esp, [esp+0x10000]; exit_indirect t0 return"},
        {FLAT32, "66 c3", "probe.2 r [esp]; movzx.4.2 t0, m; lea.4 esp, [esp+2]; exit_indirect t0 return"},
        {REAL16, "c2 04 00",
         "segment.2 t0, ss.2 r [esp]; probe.2 r [t0]; movzx.4.2 t1, m; lea.2 sp, [esp+6]; exit_indirect t1 return"},
        {SEGMENTED32, "c3",
         "segment.4 t0, ss.4 r [esp]; probe.4 r [t0]; mov.4 t1, m; check_target t1; lea.4 esp, [esp+4]; "
         "exit_indirect t1 return"},
        {REAL16, "66 c3",
         "segment.2 t0, ss.4 r [esp]; probe.4 r [t0]; mov.4 t1, m; check_target t1; lea.2 sp, [esp+4]; "
         "exit_indirect t1 return"},
        {FLAT32, "cb", "exit_callout"},
    };
    CHECK(rows);
}

/* Where it goes to has been put there by the instruction before: no return. */
static void test_returns_that_jump(void **state)
{
    struct lifted *f = *state;
    static const struct {
        const char *bytes;
        enum ir_branch branch;
    } rows[] = {
        {"50 c3", IR_BRANCH_JUMP},             /* PUSH EAX */
        {"89 04 24 c3", IR_BRANCH_JUMP},       /* MOV [ESP], EAX */
        {"89 04 24 90 c3", IR_BRANCH_RETURN},  /* not the one before */
        {"58 c3", IR_BRANCH_RETURN},           /* POP EAX */
        {"8b 04 24 c3", IR_BRANCH_RETURN},     /* MOV EAX, [ESP] */
        {"89 03 c3", IR_BRANCH_RETURN},        /* MOV [EBX], EAX */
        {"fb c3", IR_BRANCH_JUMP},             /* STI: must poll, as returns do not */
    };

    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        prepare(f, FLAT32, 0x1000, parse_bytes(f, rows[i].bytes));
        f->request.limit = 10;
        lift_now(f);
        const struct ir_op *last = &f->block.ops[f->block.op_count - 1];
        assert_int_equal(last->opcode, IR_EXIT_INDIRECT);
        assert_int_equal(last->branch, rows[i].branch);
    }
}

/* A CALL's second link leads behind it. */
static void test_return_links(void **state)
{
    struct lifted *f = *state;

    prepare(f, FLAT32, 0x1ff0, parse_bytes(f, "e8 00 01 00 00"));
    lift_now(f);
    assert_true(f->block.links[1].used);
    assert_int_equal(f->block.links[1].eip, 0x1ff5);
    assert_int_equal(f->block.links[1].kind, IR_LINK_FORWARD);
    prepare(f, FLAT32, 0x1ffe, parse_bytes(f, "ff d0"));
    lift_now(f);
    assert_int_equal(f->block.links[1].eip, 0x2000);
    assert_int_equal(f->block.links[1].kind, IR_LINK_OTHER_PAGE);
    prepare(f, REAL16, 0xfffe, parse_bytes(f, "ff d0"));
    lift_now(f);
    assert_int_equal(f->block.links[1].eip, 0); /* wraps */
    static const char *const given_up[] = {
        "e8 00 00 00 00",                /* of the next instruction */
        "e8 01 00 00 00 cc 5b",          /* POP EBX there */
        "e8 01 00 00 00 cc 83 c4 04",    /* ADD ESP, 4 */
        "e8 02 00 00 00 eb fe 89 0c 24", /* MOV [ESP], ECX */
    };
    static const char *const kept[] = {"e8 01 00 00 00 cc 90 90 90", "e8 01 00 00 00 cc 89 0c 23",
                                       "e8 01 00 00 00 cc 83 ec 04", "e8 f0 00 00 00 5b", "e8 f0 ff ff ff 5b"};
    for (size_t i = 0; i < sizeof given_up / sizeof given_up[0]; i++) {
        char padded[80];

        snprintf(padded, sizeof padded, "%s 90 90", given_up[i]);
        prepare(f, FLAT32, 0x1000, parse_bytes(f, padded));
        f->request.limit = 1;
        lift_now(f);
        assert_false(f->block.links[1].used);
        assert_int_equal(f->block.ops[f->block.op_count - 1].branch, IR_BRANCH_JUMP);
    }
    for (size_t i = 0; i < sizeof kept / sizeof kept[0]; i++) {
        prepare(f, FLAT32, 0x1000, parse_bytes(f, kept[i]));
        f->request.limit = 1;
        lift_now(f);
        assert_int_equal(f->block.ops[f->block.op_count - 1].branch, IR_BRANCH_CALL);
    }
}

static void test_strings(void **state)
{
    static const struct expectation rows[] = {
        {FLAT32, "a4",
         "step_forward; probe.1 r [esi]; movzx.4.1 t0, m; probe.1 w [edi]; mov.1 m, t0; lea.4 esi, [esi+1]; "
         "lea.4 edi, [edi+1]"},
        {FLAT32, "a5",
         "step_forward; probe.4 r [esi]; mov.4 t0, m; probe.4 w [edi]; mov.4 m, t0; lea.4 esi, [esi+4]; "
         "lea.4 edi, [edi+4]"},
        {REAL16, "26 a5", /* the override is the source's */
         "step_forward; segment.2 t0, es.2 r [esi]; probe.2 r [t0]; movzx.4.2 t1, m; segment.2 t2, es.2 w [edi]; "
         "probe.2 w [t2]; mov.2 m, t1; lea.2 si, [esi+2]; lea.2 di, [edi+2]"},
        {FLAT32, "67 aa", "step_forward; lea.2 t0, [edi]; probe.1 w [t0]; mov.1 m, al; lea.2 di, [edi+1]"},
        {FLAT32, "66 ab", "step_forward; probe.2 w [edi]; mov.2 m, ax; lea.4 edi, [edi+2]"},
        {SEGMENTED32, "64 ad",
         "step_forward; segment.4 t0, fs.4 r [esi]; probe.4 r [t0]; mov.4 eax, m; lea.4 esi, [esi+4]"},
        {FLAT32, "ae", "step_forward; probe.1 r [edi]; cmp.1 al, m; lea.4 edi, [edi+1]"},
        /* ES:EDI is read first, DS:ESI is compared with it */
        {FLAT32, "a7",
         "step_forward; probe.4 r [edi]; mov.4 t0, m; probe.4 r [esi]; cmp.4 m, t0; lea.4 esi, [esi+4]; "
         "lea.4 edi, [edi+4]"},
        {FLAT32, "f3 a4", "repeat.4 movs.1 ds"},
        {FLAT32, "f2 a5", "repeat.4 movs.4 ds"}, /* REPNE MOVS repeats */
        {FLAT32, "67 66 64 f3 a5", "repeat.2 movs.2 fs"},
        {REAL16, "f3 aa", "repeat.2 stos.1 ds"},
        {FLAT32 | MODE_AC, "f3 a4", "interpret"},
        {FLAT32, "f3 ac", "interpret"},
        {FLAT32, "f2 ae", "interpret"},
        {FLAT32, "6c", "exit_callout"},
    };
    CHECK(rows);
}

static void test_others(void **state)
{
    static const struct expectation rows[] = {
        {FLAT32, "f8", "clc"},
        {FLAT32, "f9", "stc"},
        {FLAT32, "f5", "cmc"},
        {FLAT32, "fc", "cld"},
        {FLAT32, "fd", "std"},
        {FLAT32, "9f", "lahf"},
        {FLAT32, "9e", "sahf"},
        {FLAT32, "d6", "interpret"},
        {FLAT32, "27", "interpret"},
        {FLAT32, "d4 00", "interpret"},
        {FLAT32, "98", "movsx.4.2 eax, ax"},
        {FLAT32, "66 98", "movsx.2.1 ax, al"},
        {FLAT32, "99", "cdq.4"},
        {REAL16, "99", "cdq.2"},
        {FLAT32, "90", ""},
        {FLAT32, "f3 90", ""},
        {FLAT32, "0f 1f 03", ""},
        {FLAT32, "d7", "movzx.4.1 t0, al; probe.1 r [ebx+t0*1]; mov.1 al, m"},
        {REAL16, "2e d7", "movzx.4.1 t0, al; segment.2 t1, cs.1 r [ebx+t0*1]; probe.1 r [t1]; mov.1 al, m"},
        {FLAT32, "0f a2", "callout"},
        {FLAT32, "f4", "exit_callout"},
        {FLAT32, "cd 80", "exit_callout"},
        {FLAT32, "0f 01 13", "lea.4 t0, [ebx]; callout t0"},          /* LGDT */
        {REAL16, "0f 01 16 00 80", "lea.2 t0, [0x8000]; callout t0"}, /* LGDT */
        {FLAT32, "d8 03", "probe.4.fpu r [ebx]; fpu.4 none, m {x87 0 0 d8 03 pointers 3 ds}"},
        {FLAT32, "9b", "fpu.4 none, none {x87 0 0 9b none}"},
        {FLAT32, "0f 6f c1", "fpu.4 none, none {mmx 0 1 6f c1}"},
        {FLAT32, "0f 58 c1", "interpret"}, /* CR4.OSFXSR is not set */
        {FLAT32, "0f ae 03", "interpret"}, /* FXSAVE */
        {FLAT32, "0f 04", "raise 6"},
        {FLAT32, "f0 90", "raise 6"},
        {FLAT32, "0f c7 c8", "raise 6"}, /* CMPXCHG8B of a register */
        {FLAT32, "8d c0", "raise 6"},    /* LEA of a register */
        {FLAT32, "66 66 66 66 66 66 66 66 66 66 66 66 66 66 66", "raise 13"},
    };
    CHECK(rows);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_push, setup, teardown),
        cmocka_unit_test_setup_teardown(test_pop, setup, teardown),
        cmocka_unit_test_setup_teardown(test_jumps, setup, teardown),
        cmocka_unit_test_setup_teardown(test_beyond_the_limit, setup, teardown),
        cmocka_unit_test_setup_teardown(test_calls, setup, teardown),
        cmocka_unit_test_setup_teardown(test_returns_that_jump, setup, teardown),
        cmocka_unit_test_setup_teardown(test_return_links, setup, teardown),
        cmocka_unit_test_setup_teardown(test_strings, setup, teardown),
        cmocka_unit_test_setup_teardown(test_others, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

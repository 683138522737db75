/* Block discovery: where blocks end, their links, what their ops point to. */
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

static void lift_hex(struct lifted *f, uint32_t mode, uint32_t eip, const char *hex)
{
    prepare(f, mode, eip, parse_bytes(f, hex));
    lift_now(f);
}

#define assert_link(f, n, link_kind, target)                                                                           \
    do {                                                                                                               \
        assert_true((f)->block.links[n].used);                                                                         \
        assert_int_equal((f)->block.links[n].eip, target);                                                             \
        assert_int_equal((f)->block.links[n].kind, link_kind);                                                         \
    } while (0)

static void test_instructions_are_listed(void **state)
{
    struct lifted *f = *state;

    lift_hex(f, FLAT32, 0x401000, "01 c8 8b 43 08 75 f9 90 90");
    assert_int_equal(f->length, 7); /* what follows the branch is not looked at */
    assert_int_equal(f->block.insn_count, 3);
    assert_int_equal(f->block.eip, 0x401000);
    assert_int_equal(f->block.linear, 0x401000);
    assert_int_equal(f->block.mode, FLAT32);
    assert_int_equal(f->block.insns[1].eip, 0x401002);
    assert_int_equal(f->block.insns[1].length, 3);
    assert_int_equal(f->block.insns[1].row, ROW_MOV);
    assert_int_equal(f->block.insns[2].row, ROW_JNZ);
    assert_string_equal(f->text, "add.4 eax, ecx; probe.4 r [ebx+8]; mov.4 eax, m; exit_if.nz 1; exit 0");
    assert_int_equal(f->block.ops[0].insn, 0);
    assert_int_equal(f->block.ops[2].insn, 1);
    assert_int_equal(f->block.ops[4].insn, 2);
    assert_int_equal(f->block.insns[0].text[0], 0);
    f->request.text = true;
    lift_now(f);
    assert_string_equal(f->block.insns[1].text, "mov eax, [ebx+0x08]");
    lift_hex(f, FLAT32, 0x401000, "0f 04");
    f->request.text = true;
    lift_now(f);
    assert_string_equal(f->block.insns[0].text, "(undefined)");
}

static void test_links(void **state)
{
    struct lifted *f = *state;

    lift_hex(f, FLAT32, 0x1100, "75 10"); /* forward in the page */
    assert_link(f, 0, IR_LINK_FORWARD, 0x1102);
    assert_link(f, 1, IR_LINK_FORWARD, 0x1112);
    lift_hex(f, FLAT32, 0x1100, "75 fe"); /* to itself */
    assert_link(f, 1, IR_LINK_BACKWARD, 0x1100);
    lift_hex(f, FLAT32, 0x1100, "90 75 fe"); /* forward from the block's beginning, though not from the branch */
    assert_link(f, 1, IR_LINK_FORWARD, 0x1101);
    lift_hex(f, FLAT32, 0x1100, "75 80");
    assert_link(f, 1, IR_LINK_BACKWARD, 0x1082);
    lift_hex(f, FLAT32, 0x1100, "0f 85 fa 0e 00 00"); /* first byte of the next page */
    assert_link(f, 0, IR_LINK_FORWARD, 0x1106);
    assert_link(f, 1, IR_LINK_OTHER_PAGE, 0x2000);
    lift_hex(f, FLAT32, 0x1ffe, "75 fe"); /* falls through into the next page */
    assert_link(f, 0, IR_LINK_OTHER_PAGE, 0x2000);
    assert_link(f, 1, IR_LINK_BACKWARD, 0x1ffe);
    lift_hex(f, FLAT32, 0x1100, "e9 00 00 00 80");
    assert_link(f, 0, IR_LINK_OTHER_PAGE, 0x80001105);
    assert_false(f->block.links[1].used);
    lift_hex(f, FLAT32, 0x1100, "c3");
    assert_false(f->block.links[0].used);
    /* It is linear pages that count. */
    parse_bytes(f, "75 10");
    prepare(f, REAL16, 0x0ff8, 2);
    f->request.linear = 0x12348;
    lift_now(f);
    assert_link(f, 1, IR_LINK_FORWARD, 0x100a);
    f->request.linear = 0x12ff0;
    lift_now(f);
    assert_link(f, 0, IR_LINK_FORWARD, 0x0ffa);
    assert_link(f, 1, IR_LINK_OTHER_PAGE, 0x100a);
}

static void test_limits(void **state)
{
    struct lifted *f = *state;

    memset(f->code, 0x40, sizeof f->code);
    prepare(f, FLAT32, 0x1000, 0x1000);
    lift_now(f);
    assert_int_equal(f->block.insn_count, IR_MAX_INSNS);
    assert_int_equal(f->length, IR_MAX_INSNS);
    assert_link(f, 0, IR_LINK_FORWARD, 0x1000 + IR_MAX_INSNS);
    f->request.limit = 3;
    lift_now(f);
    assert_string_equal(f->text, "inc.4 eax; inc.4 eax; inc.4 eax; exit 0");
    f->request.limit = 1000;
    lift_now(f);
    assert_int_equal(f->block.insn_count, IR_MAX_INSNS);
    f->request.limit = IR_MAX_INSNS;
    f->request.available = 2;
    f->request.eip = f->request.linear = 0x1ffe;
    lift_now(f);
    assert_int_equal(f->length, 2);
    assert_link(f, 0, IR_LINK_OTHER_PAGE, 0x2000);
}

static void test_crossing(void **state)
{
    struct lifted *f = *state;

    /* The second instruction runs over the end: the block ends before it. */
    parse_bytes(f, "40 b8 78 56");
    prepare(f, FLAT32, 0x1ffc, 4);
    lift_now(f);
    assert_int_equal(f->length, 1);
    assert_string_equal(f->text, "inc.4 eax; exit 0");
    assert_link(f, 0, IR_LINK_FORWARD, 0x1ffd);
    /* The first one does: not for the lifter. */
    parse_bytes(f, "b8 78 56");
    prepare(f, FLAT32, 0x1ffd, 3);
    assert_int_equal(lift_block(&f->request, &f->block, &f->storage), 0);
    prepare(f, FLAT32, 0x1ffd, 0);
    assert_int_equal(lift_block(&f->request, &f->block, &f->storage), 0);
}

static void test_ip_wraps(void **state)
{
    struct lifted *f = *state;

    lift_hex(f, REAL16, 0xffff, "40");
    assert_link(f, 0, IR_LINK_OTHER_PAGE, 0);
    lift_hex(f, VM86, 0xfffe, "74 10");
    assert_link(f, 0, IR_LINK_OTHER_PAGE, 0);
    assert_link(f, 1, IR_LINK_OTHER_PAGE, 0x10);
    lift_hex(f, REAL16, 0xfffe, "ff d0");
    assert_non_null(strstr(f->text, "mov.2 m, 0;"));
    /* Not in protected mode, and not if the segment goes on. */
    lift_hex(f, PROTECTED16, 0xffff, "40");
    assert_link(f, 0, IR_LINK_OTHER_PAGE, 0x10000);
    f->code[0] = 0x40;
    prepare(f, REAL16, 0xffff, 1);
    f->request.cs_limit = 0xfffff;
    lift_now(f);
    assert_link(f, 0, IR_LINK_OTHER_PAGE, 0x10000);
    lift_hex(f, FLAT32, 0xffffffff, "40");
    assert_link(f, 0, IR_LINK_OTHER_PAGE, 0);
}

static void test_undefined_instructions_end_blocks(void **state)
{
    struct lifted *f = *state;

    lift_hex(f, FLAT32, 0x1000, "40 0f 04 40");
    assert_int_equal(f->length, 3);
    assert_string_equal(f->text, "inc.4 eax; raise 6");
    assert_int_equal(f->block.insns[1].row, ROW_NONE);
    lift_hex(f, FLAT32, 0x1000, "40 f0 40 40"); /* LOCK not allowed */
    assert_int_equal(f->length, 3);
    assert_string_equal(f->text, "inc.4 eax; raise 6");
    /* Too long: fifteen bytes are what was looked at. */
    lift_hex(f, FLAT32, 0x1000, "40 66 66 66 66 66 66 66 66 66 66 66 66 66 66 66 40 40");
    assert_int_equal(f->length, 16);
    assert_string_equal(f->text, "inc.4 eax; raise 13");
    /* What the model lacks. */
    struct lifted *old = new_lifted("486");
    lift_hex(old, FLAT32, 0x1000, "0f 44 c1");
    assert_string_equal(old->text, "raise 6");
    free(old);
}

static void test_callouts(void **state)
{
    struct lifted *f = *state;

    /* MOV EAX,CR3; LGDT [EBX+ESI]; MOV CR3,EAX */
    lift_hex(f, FLAT32, 0x1000, "0f 20 d8 0f 01 14 33 0f 22 d8 40");
    assert_string_equal(f->text, "callout; lea.4 t0, [ebx+esi*1]; callout t0; exit_callout");
    assert_int_equal(f->length, 10);
    assert_int_equal(f->storage.callout_count, 3);
    const struct ir_op *op = &f->block.ops[0];
    assert_ptr_equal(op->aux, &f->storage.callouts[0]);
    assert_ptr_equal(op->function, (void *)instruction_table[ROW_MOV_FROM_CONTROL].callout);
    assert_int_equal(f->storage.callouts[0].row, ROW_MOV_FROM_CONTROL);
    assert_int_equal(f->storage.callouts[0].length, 3);
    assert_int_equal(f->storage.callouts[0].reg, 3);
    assert_int_equal(f->storage.callouts[0].rm, GPR_AX);
    assert_false(f->storage.callouts[0].memory);
    op = &f->block.ops[2];
    assert_ptr_equal(op->aux, &f->storage.callouts[1]);
    assert_true(f->storage.callouts[1].memory);
    assert_int_equal(f->storage.callouts[1].segment, SEG_DS);
    op = &f->block.ops[3];
    assert_ptr_equal(op->function, (void *)instruction_table[ROW_MOV_TO_CONTROL].callout);
    assert_ptr_equal(op->aux, &f->storage.callouts[2]);
    assert_false(f->block.links[0].used);
}

/* STI holds back interrupts for one instruction: that one may stand in the block, and the block's end polls. */
static void test_sti(void **state)
{
    struct lifted *f = *state;

    lift_hex(f, FLAT32, 0x1000, "fb 40 41");
    assert_int_equal(f->length, 2);
    assert_string_equal(f->text, "callout; inc.4 eax; exit 0");
    assert_ptr_equal(f->block.ops[0].function, (void *)callout_sti_before_another);
    assert_link(f, 0, IR_LINK_BACKWARD, 0x1002);
    lift_hex(f, FLAT32, 0x1000, "40 fb 74 10");
    assert_string_equal(f->text, "inc.4 eax; callout; exit_if.z 1; exit 0");
    assert_link(f, 0, IR_LINK_BACKWARD, 0x1004);
    assert_link(f, 1, IR_LINK_BACKWARD, 0x1014);
    lift_hex(f, FLAT32, 0x1000, "fb f4"); /* HLT */
    assert_string_equal(f->text, "callout; exit_callout");
    lift_hex(f, FLAT32, 0x1000, "fb fb 40"); /* the second one's shadow is the run loop's */
    assert_string_equal(f->text, "callout; exit_callout");
    assert_ptr_equal(f->block.ops[1].function, (void *)callout_sti);
    lift_hex(f, FLAT32, 0x1000, "fb"); /* the last of its page */
    assert_string_equal(f->text, "exit_callout");
    assert_ptr_equal(f->block.ops[0].function, (void *)callout_sti);
    prepare(f, FLAT32, 0x1000, parse_bytes(f, "fb 40"));
    f->request.limit = 1;
    lift_now(f);
    assert_string_equal(f->text, "exit_callout");
}

static void test_interpreted(void **state)
{
    struct lifted *f = *state;

    /* FNINIT; REP MOVSB; MOVSB; JMP beyond the limit */
    lift_hex(f, REAL16, 0x100, "db e3 f3 a4 a4 66 e9 00 00 01 00 40");
    assert_int_equal(f->length, 11);
    assert_int_equal(f->storage.interpreted_count, 4);
    assert_int_equal(f->block.ops[0].opcode, IR_INTERPRET);
    assert_ptr_equal(f->block.ops[0].aux, &f->storage.interpreted[0]);
    assert_int_equal(f->storage.interpreted[0].row, ROW_FNINIT);
    assert_int_equal(f->block.ops[0].loop, 0);
    assert_ptr_equal(f->block.ops[1].aux, &f->storage.interpreted[1]);
    assert_int_equal(f->storage.interpreted[1].repeat, REPEAT_E);
    assert_int_equal(f->block.ops[2].opcode, IR_STEP_FORWARD);
    assert_ptr_equal(f->block.ops[2].aux, &f->storage.interpreted[2]);
    assert_int_equal(f->storage.interpreted[2].length, 1);
    const struct ir_op *last = &f->block.ops[f->block.op_count - 1];
    assert_int_equal(last->opcode, IR_INTERPRET);
    assert_int_equal(last->loop, 1);
    assert_ptr_equal(last->aux, &f->storage.interpreted[3]);
    assert_false(f->block.links[0].used);
    assert_false(f->block.links[1].used);
}

/* Nothing of an earlier block stays. */
static void test_storage_is_reused(void **state)
{
    struct lifted *f = *state;

    lift_hex(f, FLAT32, 0x1000, "0f a2 d9 e8 75 fe");
    lift_hex(f, FLAT32, 0x1000, "0f a2 eb fe");
    assert_int_equal(f->storage.callout_count, 1);
    assert_int_equal(f->storage.interpreted_count, 0);
    assert_int_equal(f->block.insn_count, 2);
    assert_false(f->block.links[1].used);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_instructions_are_listed, setup, teardown),
        cmocka_unit_test_setup_teardown(test_links, setup, teardown),
        cmocka_unit_test_setup_teardown(test_limits, setup, teardown),
        cmocka_unit_test_setup_teardown(test_crossing, setup, teardown),
        cmocka_unit_test_setup_teardown(test_ip_wraps, setup, teardown),
        cmocka_unit_test_setup_teardown(test_undefined_instructions_end_blocks, setup, teardown),
        cmocka_unit_test_setup_teardown(test_callouts, setup, teardown),
        cmocka_unit_test_setup_teardown(test_sti, setup, teardown),
        cmocka_unit_test_setup_teardown(test_interpreted, setup, teardown),
        cmocka_unit_test_setup_teardown(test_storage_is_reused, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

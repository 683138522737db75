/* Hardware task switches. */
#include "machine.h"

#define TYPE_OF(f, selector) (peek32(f, GDT + (selector) + 4) >> 8 & 0x0f)
#define TASK_B_STACK         0x8000u

/* A ring-0 task in TSS_B. */
static void fill_tss_b(struct fixture *f, uint16_t cs, uint16_t ss, uint16_t data)
{
    static const uint8_t data_fields[] = {0x48, 0x54, 0x58, 0x5c};

    memset(f->memory->ram + TSS_B, 0, 0x68);
    poke32(f, TSS_B + 4, STACK0);
    poke16(f, TSS_B + 8, DATA0);
    poke32(f, TSS_B + 0x1c, (uint32_t)f->cpu->state.cr3);
    poke32(f, TSS_B + 0x20, 0x4444);
    poke32(f, TSS_B + 0x24, FLAG_CF);
    for (unsigned i = 0; i < 8; i++)
        poke32(f, TSS_B + 0x28 + 4 * i, 0x10000001 * (i + 1));
    poke32(f, TSS_B + 0x38, TASK_B_STACK);
    poke16(f, TSS_B + 0x4c, cs);
    poke16(f, TSS_B + 0x50, ss);
    for (unsigned i = 0; i < sizeof data_fields; i++)
        poke16(f, TSS_B + data_fields[i], data);
}

static struct callout_args to(uint16_t selector)
{
    return ARGS(.selector = selector);
}

static void test_jump(void **state)
{
    struct fixture *f = machine_create();
    struct vcpu *cpu = f->cpu;

    fill_tss_b(f, CODE0, DATA0, DATA3 & ~3);
    set_descriptor(f, GDT, DATA3 & ~3, 0, ~0u, 0xc0f2); /* accessed bit clear */
    cpu->state.gpr[GPR_DI] = 0xd1d1d1d1;
    cpu->state.dr[7] = DR7_FIXED | 0x303; /* L0 G0 LE GE */
    cpu_set_eflags(cpu, FLAG_ZF | FLAG_NT);
    assert_true(run(f, callout_jmp_far, to(SEL_TSS_B)));
    assert_int_equal(TYPE_OF(f, SEL_TSS_A), SYSTEM_TSS32);
    assert_int_equal(TYPE_OF(f, SEL_TSS_B), SYSTEM_TSS32_BUSY);
    assert_int_equal(cpu->state.tr.selector, SEL_TSS_B);
    assert_int_equal(SEGMENT_TYPE(&cpu->state.tr), SYSTEM_TSS32_BUSY);
    /* The old task. */
    assert_int_equal(peek32(f, TSS_A + 0x20), RETURN_RIP);
    assert_int_equal(peek32(f, TSS_A + 0x24), FLAG_ZF | FLAG_NT | FLAG_FIXED);
    assert_int_equal(peek32(f, TSS_A + 0x38), STACK0);
    assert_int_equal(peek32(f, TSS_A + 0x44), 0xd1d1d1d1);
    assert_int_equal(peek16(f, TSS_A + 0x4c), CODE0);
    assert_int_equal(peek16(f, TSS_A + 0x5c), DATA0);
    /* The new one. */
    assert_int_equal(cpu->state.rip, 0x4444);
    assert_int_equal(cpu_eflags(cpu), FLAG_CF | FLAG_FIXED);
    assert_int_equal(cpu->state.gpr[GPR_AX], 0x10000001);
    assert_int_equal(cpu->state.gpr[GPR_DI], 0x80000008);
    assert_int_equal(esp(f), TASK_B_STACK);
    assert_int_equal(selector_of(f, SEG_GS), DATA3 & ~3);
    assert_true(peek32(f, GDT + (DATA3 & ~3) + 4) & 0x100);
    assert_int_equal(peek16(f, TSS_B), 0); /* no link */
    assert_true(cpu->state.cr0 & CR0_TS);
    assert_true(cpu->mode & MODE_TS);
    assert_int_equal(cpu->state.dr[7], DR7_FIXED | 0x202);
    fixture_destroy(f);
}

static void test_call_and_iret(void **state)
{
    struct fixture *f = machine_create();
    struct vcpu *cpu = f->cpu;

    fill_tss_b(f, CODE0, DATA0, DATA0);
    cpu_set_eflags(cpu, FLAG_ZF);
    assert_true(run(f, callout_call_far, to(SEL_TSS_B)));
    assert_int_equal(TYPE_OF(f, SEL_TSS_A), SYSTEM_TSS32_BUSY);
    assert_int_equal(TYPE_OF(f, SEL_TSS_B), SYSTEM_TSS32_BUSY);
    assert_int_equal(peek16(f, TSS_B), SEL_TSS_A);
    assert_int_equal(cpu_eflags(cpu), FLAG_CF | FLAG_NT | FLAG_FIXED);
    assert_int_equal(peek32(f, TSS_A + 0x24), FLAG_ZF | FLAG_FIXED);
    cpu->state.cr0 &= ~CR0_TS;
    assert_true(run(f, callout_iret, ARGS(0)));
    assert_int_equal(cpu->state.tr.selector, SEL_TSS_A);
    assert_int_equal(TYPE_OF(f, SEL_TSS_A), SYSTEM_TSS32_BUSY);
    assert_int_equal(TYPE_OF(f, SEL_TSS_B), SYSTEM_TSS32);
    assert_int_equal(peek32(f, TSS_B + 0x24), FLAG_CF | FLAG_FIXED); /* NT cleared in the image */
    assert_int_equal(peek32(f, TSS_B + 0x20), RETURN_RIP);
    assert_int_equal(cpu->state.rip, RETURN_RIP);
    assert_int_equal(cpu_eflags(cpu), FLAG_ZF | FLAG_FIXED);
    assert_int_equal(esp(f), STACK0);
    assert_true(cpu->state.cr0 & CR0_TS);
    fixture_destroy(f);
}

static void test_iret_link_checks(void **state)
{
    struct fixture *f = machine_create();

    fill_tss_b(f, CODE0, DATA0, DATA0);
    cpu_set_eflags(f->cpu, FLAG_NT);
    poke16(f, TSS_A, SEL_TSS_B); /* not busy */
    expect_fault(f, callout_iret, ARGS(0), EXC_TS, SEL_TSS_B);
    poke16(f, TSS_A, SEL_TSS_B | 4);
    expect_fault(f, callout_iret, ARGS(0), EXC_TS, SEL_TSS_B | 4);
    poke16(f, TSS_A, GDT_END);
    expect_fault(f, callout_iret, ARGS(0), EXC_TS, GDT_END);
    poke16(f, TSS_A, CODE0);
    expect_fault(f, callout_iret, ARGS(0), EXC_TS, CODE0);
    set_descriptor(f, GDT, SEL_TSS_B, TSS_B, 0x67, 0x000b);
    poke16(f, TSS_A, SEL_TSS_B);
    expect_fault(f, callout_iret, ARGS(0), EXC_NP, SEL_TSS_B);
    fixture_destroy(f);
}

static void test_checks_before(void **state)
{
    struct fixture *f = machine_create();

    fill_tss_b(f, CODE0, DATA0, DATA0);
    set_descriptor(f, GDT, SEL_TSS_B, TSS_B, 0x66, 0x0089);
    expect_fault(f, callout_jmp_far, to(SEL_TSS_B), EXC_TS, SEL_TSS_B);
    set_descriptor(f, GDT, SEL_TSS_B, TSS_B, 0x67, 0x0009);
    expect_fault(f, callout_jmp_far, to(SEL_TSS_B), EXC_NP, SEL_TSS_B);
    set_descriptor(f, GDT, SEL_TSS_B, TSS_B, 0x67, 0x0089);
    expect_fault(f, callout_jmp_far, to(SEL_TSS_B | 1), EXC_GP, SEL_TSS_B); /* RPL */
    set_gate(f, GDT, GATE_A, SYSTEM_TASK_GATE, 0, SEL_TSS_B, 0, 0);
    expect_fault(f, callout_jmp_far, to(GATE_A | 3), EXC_GP, GATE_A);
    set_gate(f, GDT, GATE_A, SYSTEM_TASK_GATE, 0, SEL_TSS_A, 0, 0);
    expect_fault(f, callout_jmp_far, to(GATE_A), EXC_GP, SEL_TSS_A); /* busy */
    set_gate(f, GDT, GATE_A, SYSTEM_TASK_GATE, 0, SEL_TSS_B | 4, 0, 0);
    expect_fault(f, callout_jmp_far, to(GATE_A), EXC_GP, SEL_TSS_B | 4);
    set_gate(f, GDT, GATE_A, SYSTEM_TASK_GATE, 0, 0, 0, 0);
    expect_fault(f, callout_jmp_far, to(GATE_A), EXC_GP, 0);
    poke32(f, GDT + GATE_A + 4, 0x0500);
    expect_fault(f, callout_jmp_far, to(GATE_A), EXC_NP, GATE_A);
    enter_ring(f, 3);
    expect_fault(f, callout_jmp_far, to(SEL_TSS_B), EXC_GP, SEL_TSS_B); /* DPL 0 */
    set_gate(f, GDT, GATE_A, SYSTEM_TASK_GATE, 3, SEL_TSS_B, 0, 0);
    assert_true(run(f, callout_jmp_far, to(GATE_A | 3))); /* the gate's DPL counts, not the TSS's */
    assert_int_equal(cpu_cpl(f->cpu), 0);
    fixture_destroy(f);
}

/* A page fault at each structure the switch touches leaves the old task as it was. */
static void test_page_faults_before(void **state)
{
    struct fixture *f = machine_create();
    uint32_t *table = fixture_enable_paging(f);
    static const uint32_t pages[] = {TSS_A, TSS_B, GDT};

    fill_tss_b(f, CODE0, DATA0, DATA0);
    for (unsigned i = 0; i < ARRAY_SIZE(pages); i++) {
        table[pages[i] >> 12] &= ~1u;
        mmu_flush_all(&f->cpu->mmu);
        expect_fault(f, callout_call_far, to(SEL_TSS_B), EXC_PF, i == 0 ? PF_WRITE : 0);
        table[pages[i] >> 12] |= 1;
    }
    f->cpu->state.cr0 |= CR0_WP;
    for (unsigned i = 0; i < ARRAY_SIZE(pages); i++) {
        table[pages[i] >> 12] &= ~2u;
        mmu_load_state(&f->cpu->mmu, f->cpu->state.cr0, f->cpu->state.cr3, 0, 0);
        expect_fault(f, callout_call_far, to(SEL_TSS_B), EXC_PF, PF_PRESENT | PF_WRITE);
        table[pages[i] >> 12] |= 2;
    }
    mmu_flush_all(&f->cpu->mmu);
    assert_true(run(f, callout_call_far, to(SEL_TSS_B)));
    fixture_destroy(f);
}

/* Faults of the new task's own segments belong to it. */
static void test_faults_after(void **state)
{
    static const struct {
        unsigned field;
        uint16_t selector;
        unsigned vector;
        uint32_t error;
    } cases[] = {
        {0x60, SEL_TSS_A, EXC_TS, SEL_TSS_A},
        {0x60, 0x0c, EXC_TS, 0x0c},
        {0x60, GDT_END, EXC_TS, GDT_END},
        {0x4c, 0, EXC_TS, 0},
        {0x4c, DATA0, EXC_TS, DATA0},
        {0x4c, CODE3 & ~3, EXC_TS, CODE3 & ~3},
        {0x4c, CODE0 | 3, EXC_TS, CODE0},
        {0x4c, ABSENT_CODE0, EXC_NP, ABSENT_CODE0},
        {0x4c, CONFORMING3 & ~3, EXC_TS, CONFORMING3 & ~3},
        {0x50, 0, EXC_TS, 0},
        {0x50, DATA3, EXC_TS, DATA3 & ~3},
        {0x50, DATA0 | 1, EXC_TS, DATA0},
        {0x50, CODE0, EXC_TS, CODE0},
        {0x54, SEL_TSS_A, EXC_TS, SEL_TSS_A},
        {0x54, DATA0 | 3, EXC_TS, DATA0},
        {0x5c, ABSENT_DATA3 & ~3, EXC_NP, ABSENT_DATA3 & ~3},
        {0x48, EXECUTE_ONLY3 & ~3, EXC_TS, EXECUTE_ONLY3 & ~3},
    };

    for (unsigned i = 0; i < ARRAY_SIZE(cases); i++) {
        struct fixture *f = machine_create();

        fill_tss_b(f, CODE0, DATA0, DATA0);
        poke16(f, TSS_B + cases[i].field, cases[i].selector);
        assert_false(run(f, callout_jmp_far, to(SEL_TSS_B)));
        assert_int_equal(f->cpu->exception.vector, cases[i].vector);
        assert_int_equal(f->cpu->exception.error, cases[i].error);
        assert_int_equal(f->cpu->state.tr.selector, SEL_TSS_B);
        assert_int_equal(f->cpu->state.rip, 0x4444);
        assert_int_equal(f->cpu->next_rip, 0x4444);
        assert_int_equal(selector_of(f, SEG_GS), cases[i].field == 0x5c ? cases[i].selector : DATA0);
        assert_int_equal(TYPE_OF(f, SEL_TSS_A), SYSTEM_TSS32);
        fixture_destroy(f);
    }
}

/* Delivered through a task gate, such a fault has EXT and is served in turn. */
static void test_fault_in_new_task_is_delivered(void **state)
{
    struct fixture *f = machine_create();

    fill_tss_b(f, CODE0, DATA0, DATA0);
    poke16(f, TSS_B + 0x54, ABSENT_DATA3 & ~3);
    set_idt_gate(f, 0x30, SYSTEM_TASK_GATE, 3, SEL_TSS_B, 0);
    cpu_deliver_interrupt(f->cpu, 0x30, INTERRUPT_EXTERNAL);
    assert_int_equal(f->cpu->state.tr.selector, SEL_TSS_B);
    assert_int_equal(f->cpu->state.rip, 0x10000 + EXC_NP * 16);
    assert_int_equal(esp(f), TASK_B_STACK - 16);
    assert_int_equal(peek32(f, TASK_B_STACK - 16), (ABSENT_DATA3 & ~3) | 1);
    assert_int_equal(peek32(f, TASK_B_STACK - 12), 0x4444);
    assert_true(peek32(f, TASK_B_STACK - 4) & FLAG_NT);
    fixture_destroy(f);
}

static void test_task_gate_interrupt(void **state)
{
    struct fixture *f = machine_create();
    struct vcpu *cpu = f->cpu;

    fill_tss_b(f, CODE0, DATA0, DATA0);
    set_idt_gate(f, 0x30, SYSTEM_TASK_GATE, 3, SEL_TSS_B, 0);
    enter_ring(f, 3);
    assert_true(run(f, callout_int_n, ARGS(.immediate = 0x30)));
    assert_int_equal(cpu->state.rip, 0x4444);
    assert_int_equal(esp(f), TASK_B_STACK);
    assert_int_equal(cpu_cpl(cpu), 0);
    assert_int_equal(peek32(f, TSS_A + 0x20), RETURN_RIP);
    assert_true(run(f, callout_iret, ARGS(0)));
    assert_int_equal(cpu_cpl(cpu), 3);
    assert_int_equal(cpu->state.rip, RETURN_RIP);
    /* An exception saves the faulting instruction, with RF, and its error code goes to the new stack. */
    set_idt_gate(f, EXC_GP, SYSTEM_TASK_GATE, 0, SEL_TSS_B, 0);
    fill_tss_b(f, CODE0, DATA0, DATA0);
    cpu->state.rip = 0x100;
    cpu_raise_error(cpu, EXC_GP, 0x50);
    cpu_deliver_exception(cpu);
    assert_int_equal(esp(f), TASK_B_STACK - 4);
    assert_int_equal(peek32(f, TASK_B_STACK - 4), 0x50);
    assert_int_equal(peek32(f, TSS_A + 0x20), 0x100);
    assert_true(peek32(f, TSS_A + 0x24) & FLAG_RF);
    fixture_destroy(f);
}

static void test_eip_outside_cs(void **state)
{
    struct fixture *f = machine_create();

    fill_tss_b(f, SMALL_CODE0, DATA0, DATA0);
    assert_false(run(f, callout_jmp_far, to(SEL_TSS_B)));
    assert_int_equal(f->cpu->exception.vector, EXC_GP);
    assert_int_equal(f->cpu->exception.error, 0);
    assert_int_equal(f->cpu->state.tr.selector, SEL_TSS_B);
    fixture_destroy(f);
}

static void test_16bit(void **state)
{
    struct fixture *f = machine_create();
    struct vcpu *cpu = f->cpu;

    memset(f->memory->ram + TSS_16, 0, 0x2c);
    poke16(f, TSS_16 + 14, 0x3333);
    poke16(f, TSS_16 + 16, FLAG_SF);
    for (unsigned i = 0; i < 8; i++)
        poke16(f, TSS_16 + 18 + 2 * i, (uint16_t)(0x1001 * (i + 1)));
    poke16(f, TSS_16 + 34, DATA0);
    poke16(f, TSS_16 + 36, CODE0_16);
    poke16(f, TSS_16 + 38, DATA0_16);
    poke16(f, TSS_16 + 40, DATA0);
    poke16(f, TSS_16 + 42, SEL_LDT);
    cpu->state.gpr[GPR_AX] = 0xabcdef01;
    assert_true(run(f, callout_call_far, to(SEL_TSS_16)));
    assert_int_equal(TYPE_OF(f, SEL_TSS_16), SYSTEM_TSS16_BUSY);
    assert_int_equal(cpu->state.rip, 0x3333);
    assert_int_equal(cpu->state.gpr[GPR_AX], 0xffff1001);
    assert_int_equal(cpu_eflags(cpu), FLAG_SF | FLAG_NT | FLAG_FIXED);
    assert_int_equal(selector_of(f, SEG_FS), 0);
    assert_int_equal(selector_of(f, SEG_GS), 0);
    assert_int_equal(cpu->state.ldtr.base, LDT);
    assert_int_equal(peek16(f, TSS_16), SEL_TSS_A);
    assert_int_equal(peek32(f, TSS_A + 0x28), 0xabcdef01);
    /* Its inner stacks are 16-bit fields. */
    poke16(f, TSS_16 + 2, 0x7000);
    poke16(f, TSS_16 + 4, DATA0);
    cpu->state.gpr[GPR_AX] = 0x55556666;
    cpu_set_eflags(cpu, cpu_eflags(cpu) | FLAG_NT);
    assert_true(run(f, callout_iret, ARGS16(0)));
    assert_int_equal(cpu->state.tr.selector, SEL_TSS_A);
    assert_int_equal(peek16(f, TSS_16 + 18), 0x6666);
    assert_int_equal(peek16(f, TSS_16 + 20), 0x2002);
    assert_int_equal(peek16(f, TSS_16 + 42), SEL_LDT); /* not saved, so not changed */
    assert_int_equal(cpu->state.gpr[GPR_AX], 0xabcdef01);
    assert_int_equal(cpu->state.ldtr.selector, 0);
    fixture_destroy(f);
}

static void test_16bit_inner_stack(void **state)
{
    struct fixture *f = machine_create();

    poke16(f, TSS_16 + 2, 0x7000);
    poke16(f, TSS_16 + 4, DATA0);
    struct descriptor tss = {peek32(f, GDT + SEL_TSS_16), peek32(f, GDT + SEL_TSS_16 + 4)};
    cpu_segment_from_descriptor(f->cpu, &f->cpu->state.tr, SEL_TSS_16, &tss);
    enter_ring(f, 3);
    assert_true(run(f, callout_int_n, ARGS(.immediate = 0x20)));
    assert_int_equal(esp(f), 0x7000 - 20);
    enter_ring(f, 3);
    f->cpu->state.tr.limit = 4;
    expect_fault(f, callout_int_n, ARGS(.immediate = 0x20), EXC_TS, SEL_TSS_16);
    f->cpu->state.tr.limit = 5;
    assert_true(run(f, callout_int_n, ARGS(.immediate = 0x20)));
    fixture_destroy(f);
}

static void test_to_vm86(void **state)
{
    struct fixture *f = machine_create();

    fill_tss_b(f, 0x1000, 0x1100, 0x1200);
    poke32(f, TSS_B + 0x24, FLAG_VM | FLAG_IF);
    assert_true(run(f, callout_jmp_far, to(SEL_TSS_B)));
    assert_true(cpu_in_vm86(f->cpu));
    assert_int_equal(cpu_cpl(f->cpu), 3);
    assert_int_equal(f->cpu->state.segment[SEG_CS].base, 0x10000);
    assert_int_equal(f->cpu->state.segment[SEG_GS].base, 0x12000);
    assert_int_equal(f->cpu->state.segment[SEG_SS].attributes, 0xf3);
    fixture_destroy(f);
}

static void test_ring3_task(void **state)
{
    struct fixture *f = machine_create();

    fill_tss_b(f, CODE3, DATA3, DATA3);
    assert_true(run(f, callout_jmp_far, to(SEL_TSS_B)));
    assert_int_equal(cpu_cpl(f->cpu), 3);
    assert_int_equal(f->cpu->mmu.access_class, MMU_USER);
    fixture_destroy(f);
}

static void test_trap_flag(void **state)
{
    struct fixture *f = machine_create();

    fill_tss_b(f, CODE0, DATA0, DATA0);
    poke16(f, TSS_B + 0x64, 1);
    f->cpu->attention = 0;
    assert_true(run(f, callout_jmp_far, to(SEL_TSS_B)));
    assert_int_equal(f->cpu->pending_debug, DR6_BT);
    assert_true(f->cpu->attention & ATTENTION_EVENT);
    fixture_destroy(f);
}

/* CR3 is loaded before the LDT and the segments are. */
static void test_address_space(void **state)
{
    struct fixture *f = machine_create();
    uint32_t *table = fixture_enable_paging(f);
    uint32_t *directory2 = (uint32_t *)(void *)(f->memory->ram + 0x12000);
    uint32_t *table2 = (uint32_t *)(void *)(f->memory->ram + 0x13000);

    memcpy(table2, table, 0x1000);
    directory2[0] = 0x13000 | 7;
    fill_tss_b(f, CODE0, DATA0, DATA0);
    poke32(f, TSS_B + 0x1c, 0x12000);
    /* The new address space has another GDT page, with a CS base of its own. */
    memcpy(f->memory->ram + 0x14000, f->memory->ram + GDT, 0x1000);
    set_descriptor(f, 0x14000, CODE0, 0x100000, 0xfffff, 0x409b);
    table2[GDT >> 12] = 0x14000 | 7;
    assert_true(run(f, callout_jmp_far, to(SEL_TSS_B)));
    assert_int_equal(f->cpu->state.cr3, 0x12000);
    assert_int_equal(f->cpu->mmu.cr3, 0x12000);
    assert_int_equal(f->cpu->state.segment[SEG_CS].base, 0x100000);
    fixture_destroy(f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_jump),
        cmocka_unit_test(test_call_and_iret),
        cmocka_unit_test(test_iret_link_checks),
        cmocka_unit_test(test_checks_before),
        cmocka_unit_test(test_page_faults_before),
        cmocka_unit_test(test_faults_after),
        cmocka_unit_test(test_fault_in_new_task_is_delivered),
        cmocka_unit_test(test_task_gate_interrupt),
        cmocka_unit_test(test_eip_outside_cs),
        cmocka_unit_test(test_16bit),
        cmocka_unit_test(test_16bit_inner_stack),
        cmocka_unit_test(test_to_vm86),
        cmocka_unit_test(test_ring3_task),
        cmocka_unit_test(test_trap_flag),
        cmocka_unit_test(test_address_space),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

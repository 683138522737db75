/* Delivery of interrupts and exceptions in every mode, and the double-fault rules. */
#include "machine.h"

static void raise_gp(struct fixture *f, uint32_t error)
{
    cpu_raise_error(f->cpu, EXC_GP, error);
    cpu_deliver_exception(f->cpu);
}

static bool int_n(struct fixture *f, unsigned vector)
{
    return run(f, callout_int_n, ARGS(.immediate = vector));
}

static void test_same_privilege(void **state)
{
    struct fixture *f = machine_create();

    cpu_set_eflags(f->cpu, FLAG_IF | FLAG_TF | FLAG_NT | FLAG_CF);
    raise_gp(f, 0x1234);
    assert_int_equal(f->cpu->state.rip, handler(EXC_GP));
    assert_int_equal(esp(f), STACK0 - 16);
    assert_int_equal(peek32(f, STACK0 - 16), 0x1234);
    assert_int_equal(peek32(f, STACK0 - 12), 0x100);
    assert_int_equal(peek32(f, STACK0 - 8), CODE0);
    assert_int_equal(peek32(f, STACK0 - 4), FLAG_IF | FLAG_TF | FLAG_NT | FLAG_CF | FLAG_FIXED | FLAG_RF);
    assert_int_equal(cpu_eflags(f->cpu), FLAG_CF | FLAG_FIXED);
    fixture_destroy(f);
}

static void test_trap_gate_keeps_if(void **state)
{
    struct fixture *f = machine_create();

    set_idt_gate(f, 0x30, SYSTEM_TRAP_GATE32, 3, CODE0, 0x5555);
    cpu_set_eflags(f->cpu, FLAG_IF | FLAG_RF);
    assert_true(int_n(f, 0x30));
    assert_int_equal(f->cpu->state.rip, 0x5555);
    assert_int_equal(cpu_eflags(f->cpu), FLAG_IF | FLAG_FIXED);
    assert_int_equal(peek32(f, STACK0 - 12), RETURN_RIP);
    assert_int_equal(peek32(f, STACK0 - 4), FLAG_IF | FLAG_FIXED); /* RF is pushed as 0 by INT n */
    fixture_destroy(f);
}

static void test_inner_privilege(void **state)
{
    struct fixture *f = machine_create();

    enter_ring(f, 3);
    f->cpu->state.interrupt_shadow = INHIBIT_STI;
    assert_true(int_n(f, 0x20));
    assert_int_equal(f->cpu->state.rip, handler(0x20));
    assert_int_equal(cpu_cpl(f->cpu), 0);
    assert_int_equal(selector_of(f, SEG_CS), CODE0);
    assert_int_equal(selector_of(f, SEG_SS), DATA0);
    assert_int_equal(selector_of(f, SEG_DS), DATA3); /* data segments stay */
    assert_int_equal(esp(f), STACK0 - 20);
    assert_int_equal(peek32(f, STACK0 - 4), DATA3);
    assert_int_equal(peek32(f, STACK0 - 8), STACK3);
    assert_int_equal(peek32(f, STACK0 - 16), CODE3);
    assert_int_equal(peek32(f, STACK0 - 20), RETURN_RIP);
    assert_int_equal(f->cpu->state.interrupt_shadow, 0);
    assert_int_equal(f->cpu->mmu.access_class, MMU_SUPERVISOR);
    fixture_destroy(f);
}

static void test_gate16(void **state)
{
    struct fixture *f = machine_create();

    enter_ring(f, 3);
    set_idt_gate(f, EXC_GP, SYSTEM_INTERRUPT_GATE16, 0, CODE0_16, 0xffff4321); /* the upper word is ignored */
    f->cpu->state.rip = 0x12340100;
    raise_gp(f, 0x18);
    assert_int_equal(f->cpu->state.rip, 0x4321);
    assert_int_equal(esp(f), STACK0 - 12);
    assert_int_equal(peek16(f, STACK0 - 2), DATA3);
    assert_int_equal(peek16(f, STACK0 - 4), STACK3);
    assert_int_equal(peek16(f, STACK0 - 8), CODE3);
    assert_int_equal(peek16(f, STACK0 - 10), 0x100);
    assert_int_equal(peek16(f, STACK0 - 12), 0x18);
    fixture_destroy(f);
}

static void test_inner_16bit_stack(void **state)
{
    struct fixture *f = machine_create();

    enter_ring(f, 3);
    f->cpu->state.gpr[GPR_SP] = 0x5b000;
    poke32(f, TSS_A + 4, 0x4); /* wraps within 64 KiB after one push */
    poke16(f, TSS_A + 8, DATA0_16);
    assert_true(int_n(f, 0x20));
    assert_int_equal(esp(f), 0x5fff0);
    assert_int_equal(peek32(f, 0), DATA3);
    assert_int_equal(peek32(f, 0xfff0), RETURN_RIP);
    fixture_destroy(f);
}

static void test_gate_checks(void **state)
{
    struct fixture *f = machine_create();

    enter_ring(f, 3);
    set_idt_gate(f, 0x21, SYSTEM_INTERRUPT_GATE32, 2, CODE0, 0);
    expect_fault(f, callout_int_n, ARGS(.immediate = 0x21), EXC_GP, 0x21 * 8 + 2);
    expect_fault(f, callout_int_n, ARGS(.immediate = 0xff), EXC_GP, 0xff * 8 + 2); /* empty entry */
    f->cpu->state.idtr.limit = 0x21 * 8 + 6;
    expect_fault(f, callout_int_n, ARGS(.immediate = 0x21), EXC_GP, 0x21 * 8 + 2);
    f->cpu->state.idtr.limit = 0x7ff;
    poke32(f, IDT + 0x22 * 8 + 4, 0x6e00);
    expect_fault(f, callout_int_n, ARGS(.immediate = 0x22), EXC_NP, 0x22 * 8 + 2);
    set_idt_gate(f, 0x23, SYSTEM_CALL_GATE32, 3, CODE0, 0);
    expect_fault(f, callout_int_n, ARGS(.immediate = 0x23), EXC_GP, 0x23 * 8 + 2);
    set_idt_gate(f, 0x24, SYSTEM_INTERRUPT_GATE32, 3, 3, 0);
    expect_fault(f, callout_int_n, ARGS(.immediate = 0x24), EXC_GP, 0);
    set_idt_gate(f, 0x24, SYSTEM_INTERRUPT_GATE32, 3, DATA0, 0);
    expect_fault(f, callout_int_n, ARGS(.immediate = 0x24), EXC_GP, DATA0);
    set_idt_gate(f, 0x24, SYSTEM_INTERRUPT_GATE32, 3, ABSENT_CODE0, 0);
    expect_fault(f, callout_int_n, ARGS(.immediate = 0x24), EXC_NP, ABSENT_CODE0);
    set_idt_gate(f, 0x24, SYSTEM_INTERRUPT_GATE32, 3, SMALL_CODE0, 0x100);
    expect_fault(f, callout_int_n, ARGS(.immediate = 0x24), EXC_GP, 0);
    set_idt_gate(f, 0x24, SYSTEM_INTERRUPT_GATE32, 3, GDT_END, 0);
    expect_fault(f, callout_int_n, ARGS(.immediate = 0x24), EXC_GP, GDT_END);
    enter_ring(f, 0);
    set_idt_gate(f, 0x24, SYSTEM_INTERRUPT_GATE32, 3, CODE3, 0); /* outward */
    expect_fault(f, callout_int_n, ARGS(.immediate = 0x24), EXC_GP, CODE3 & ~3);
    fixture_destroy(f);
}

static void test_inner_stack_checks(void **state)
{
    static const struct {
        uint16_t ss;
        unsigned vector;
        uint32_t error;
    } cases[] = {
        {0, EXC_TS, 0},
        {3, EXC_TS, 0},
        {DATA0 | 1, EXC_TS, DATA0},
        {DATA3, EXC_TS, DATA3 & ~3},
        {CODE0, EXC_TS, CODE0},
        {GDT_END, EXC_TS, GDT_END},
        {SMALL_DATA0, EXC_SS, SMALL_DATA0},
    };
    struct fixture *f = machine_create();

    enter_ring(f, 3);
    for (unsigned i = 0; i < ARRAY_SIZE(cases); i++) {
        poke16(f, TSS_A + 8, cases[i].ss);
        expect_fault(f, callout_int_n, ARGS(.immediate = 0x20), cases[i].vector, cases[i].error);
    }
    set_descriptor(f, GDT, FRESH_DATA3 & ~3, 0, ~0u, 0xc012);
    poke16(f, TSS_A + 8, FRESH_DATA3 & ~3);
    expect_fault(f, callout_int_n, ARGS(.immediate = 0x20), EXC_SS, FRESH_DATA3 & ~3);
    poke16(f, TSS_A + 8, DATA0);
    f->cpu->state.tr.limit = 8;
    expect_fault(f, callout_int_n, ARGS(.immediate = 0x20), EXC_TS, SEL_TSS_A);
    f->cpu->state.tr.limit = 9; /* just enough for SS0 */
    assert_true(int_n(f, 0x20));
    fixture_destroy(f);
}

static void test_conforming_handler(void **state)
{
    struct fixture *f = machine_create();

    enter_ring(f, 3);
    set_idt_gate(f, 0x25, SYSTEM_INTERRUPT_GATE32, 3, CONFORMING0, 0x777);
    assert_true(int_n(f, 0x25));
    assert_int_equal(cpu_cpl(f->cpu), 3);
    assert_int_equal(selector_of(f, SEG_CS), CONFORMING0 | 3);
    assert_int_equal(esp(f), STACK3 - 12);
    fixture_destroy(f);
}

/* A page fault at each page that a frame touches leaves everything as it was. */
static void test_frame_faults(void **state)
{
    struct fixture *f = machine_create();
    uint32_t *table = fixture_enable_paging(f);
    struct vcpu *cpu = f->cpu;

    enter_ring(f, 3);
    poke32(f, TSS_A + 4, STACK0 + 8); /* the frame crosses a page */
    for (unsigned page = STACK0 / 0x1000 - 1; page <= STACK0 / 0x1000; page++) {
        table[page] &= ~1u;
        mmu_flush_all(&cpu->mmu);
        expect_fault(f, callout_int_n, ARGS(.immediate = 0x20), EXC_PF, PF_WRITE); /* supervisor: the new CPL */
        table[page] |= 1;
        mmu_flush_all(&cpu->mmu);
    }
    /* Same level at CPL 3: user rights. */
    set_idt_gate(f, 0x25, SYSTEM_INTERRUPT_GATE32, 3, CONFORMING0, 0x777);
    table[STACK3 / 0x1000 - 1] &= ~4u;
    mmu_flush_all(&cpu->mmu);
    expect_fault(f, callout_int_n, ARGS(.immediate = 0x25), EXC_PF, PF_PRESENT | PF_WRITE | PF_USER);
    fixture_destroy(f);
}

static void test_ext_bit(void **state)
{
    struct fixture *f = machine_create();
    struct vcpu *cpu = f->cpu;

    /* An external interrupt without a handler: #GP(vector, IDT, EXT). */
    cpu_deliver_interrupt(cpu, 0x80, INTERRUPT_EXTERNAL);
    assert_int_equal(cpu->state.rip, handler(EXC_GP));
    assert_int_equal(peek32(f, STACK0 - 16), 0x80 * 8 + 3);
    assert_int_equal(peek32(f, STACK0 - 12), 0x100);
    /* INT1 counts as external, the other instructions do not. */
    poke32(f, IDT + EXC_DB * 8 + 4, 0);
    expect_fault(f, callout_icebp, ARGS(0), EXC_GP, EXC_DB * 8 + 3);
    poke32(f, IDT + EXC_BP * 8 + 4, 0);
    expect_fault(f, callout_int3, ARGS(0), EXC_GP, EXC_BP * 8 + 2);
    cpu_set_eflags(cpu, FLAG_OF);
    poke32(f, IDT + EXC_OF * 8 + 4, 0);
    expect_fault(f, callout_into, ARGS(0), EXC_GP, EXC_OF * 8 + 2);
    fixture_destroy(f);
}

static void test_into_and_icebp(void **state)
{
    struct fixture *f = machine_create();

    enter_ring(f, 3);
    assert_true(run(f, callout_into, ARGS(0)));
    assert_int_equal(f->cpu->state.rip, RETURN_RIP); /* OF clear: nothing */
    assert_true(run(f, callout_icebp, ARGS(0)));     /* no DPL check */
    assert_int_equal(f->cpu->state.rip, handler(EXC_DB));
    assert_int_equal(f->cpu->state.dr[6], DR6_FIXED);
    enter_ring(f, 3);
    assert_true(run(f, callout_int3, ARGS(0)));
    assert_int_equal(f->cpu->state.rip, handler(EXC_BP));
    fixture_destroy(f);
}

static void test_double_fault(void **state)
{
    struct fixture *f = machine_create();
    struct vcpu *cpu = f->cpu;

    /* #GP whose delivery meets #NP. */
    poke32(f, IDT + EXC_GP * 8 + 4, 0x0e00);
    raise_gp(f, 0);
    assert_int_equal(cpu->state.rip, handler(EXC_DF));
    assert_int_equal(peek32(f, STACK0 - 16), 0);
    assert_int_equal(peek32(f, STACK0 - 4), FLAG_FIXED); /* an abort: no RF */
    assert_false(machine_triple_fault);
    /* A benign exception first: served one after the other. */
    enter_ring(f, 0);
    cpu->state.rip = 0x100;
    poke32(f, IDT + EXC_UD * 8 + 4, 0x0e00);
    cpu_raise(cpu, EXC_UD);
    cpu_deliver_exception(cpu);
    assert_int_equal(cpu->state.rip, handler(EXC_NP));
    assert_int_equal(peek32(f, STACK0 - 16), EXC_UD * 8 + 3);
    /* #DE is contributory. */
    enter_ring(f, 0);
    poke32(f, IDT + EXC_DE * 8 + 4, 0x0e00);
    cpu_raise(cpu, EXC_DE);
    cpu_deliver_exception(cpu);
    assert_int_equal(cpu->state.rip, handler(EXC_DF));
    fixture_destroy(f);
}

static void test_page_fault_chains(void **state)
{
    struct fixture *f = machine_create();
    uint32_t *table = fixture_enable_paging(f);
    struct vcpu *cpu = f->cpu;

    /* #GP, then #PF on the stack of its delivery: #PF is served (and its error code has no EXT). */
    enter_ring(f, 3);
    poke32(f, TSS_A + 4, 0x40000);
    table[0x3f] &= ~1u;
    mmu_flush_all(&cpu->mmu);
    set_idt_gate(f, EXC_PF, SYSTEM_TASK_GATE, 0, SEL_TSS_B, 0);
    poke32(f, TSS_B + 0x1c, 0x10000);
    poke32(f, TSS_B + 0x20, 0x8888);
    poke32(f, TSS_B + 0x38, 0x30000);
    poke16(f, TSS_B + 0x4c, CODE0);
    poke16(f, TSS_B + 0x50, DATA0);
    cpu->state.rip = 0x100;
    raise_gp(f, 0);
    assert_int_equal(cpu->state.rip, 0x8888);
    assert_int_equal(cpu->state.cr2, 0x3fffc);
    assert_int_equal(peek32(f, 0x30000 - 4), PF_WRITE);
    assert_int_equal(peek32(f, TSS_A + 0x20), 0x100);
    assert_true(peek32(f, TSS_A + 0x24) & FLAG_RF);

    /* #PF, then #PF: double fault, with CR2 of the second. */
    set_idt_gate(f, EXC_PF, SYSTEM_INTERRUPT_GATE32, 0, CODE0, handler(EXC_PF));
    table[0x2f] &= ~1u;
    mmu_flush_all(&cpu->mmu);
    poke16(f, TSS_B + 0, 0);
    uint64_t value;
    set_idt_gate(f, EXC_DF, SYSTEM_TASK_GATE, 0, SEL_TSS_16, 0);
    poke16(f, TSS_16 + 14, 0x9999);
    poke16(f, TSS_16 + 26, 0x8000);
    poke16(f, TSS_16 + 36, CODE0);
    poke16(f, TSS_16 + 38, DATA0_16);
    cpu->state.gpr[GPR_SP] = 0x30000;
    assert_false(cpu_read_data(cpu, SEG_SS, 0x3f010, 4, &value));
    cpu_deliver_exception(cpu);
    assert_int_equal(cpu->state.rip, 0x9999);
    assert_int_equal(cpu->state.cr2, 0x2fffc);
    assert_false(machine_triple_fault);
    fixture_destroy(f);
}

static void test_triple_fault(void **state)
{
    struct fixture *f = machine_create();

    f->cpu->state.idtr.limit = 0;
    raise_gp(f, 0);
    assert_true(machine_triple_fault);
    assert_true(f->cpu->state.halted);
    fixture_destroy(f);
}

static void test_debug_exception(void **state)
{
    struct fixture *f = machine_create();
    struct vcpu *cpu = f->cpu;

    cpu->state.dr[6] = DR6_FIXED | 3 | DR6_BT;
    cpu->state.dr[7] = DR7_FIXED | DR7_GD;
    cpu_raise_debug(cpu, DR6_B(2) | DR6_BS, true);
    cpu_deliver_exception(cpu);
    assert_int_equal(cpu->state.dr[6], DR6_FIXED | DR6_B(2) | DR6_BS | DR6_BT);
    assert_int_equal(cpu->state.dr[7], DR7_FIXED);
    assert_int_equal(peek32(f, STACK0 - 4), FLAG_FIXED);
    enter_ring(f, 0);
    cpu_raise_debug(cpu, DR6_B(0), false); /* instruction breakpoint: a fault without RF in the image */
    cpu_deliver_exception(cpu);
    assert_int_equal(peek32(f, STACK0 - 4), FLAG_FIXED);
    enter_ring(f, 0);
    cpu_raise_debug(cpu, DR6_BD, false); /* general detect: with RF */
    cpu_deliver_exception(cpu);
    assert_int_equal(peek32(f, STACK0 - 4), FLAG_FIXED | FLAG_RF);
    fixture_destroy(f);
}

static void test_poll(void **state)
{
    struct fixture *f = machine_create();
    struct vcpu *cpu = f->cpu;

    machine_vector = 0x30;
    cpu_set_interrupt_line(cpu, true);
    assert_true(cpu->attention & ATTENTION_INTERRUPT);
    assert_false(cpu_poll_interrupts(cpu)); /* IF = 0 */
    assert_false(cpu->attention & ATTENTION_INTERRUPT);
    cpu_set_eflags(cpu, FLAG_IF);
    assert_true(cpu->attention & ATTENTION_INTERRUPT);
    cpu->state.interrupt_shadow = INHIBIT_STI;
    assert_false(cpu_poll_interrupts(cpu));
    assert_true(cpu->attention & ATTENTION_INTERRUPT);
    cpu_post_nmi(cpu);
    cpu->state.interrupt_shadow = INHIBIT_MOV_SS;
    assert_false(cpu_poll_interrupts(cpu));
    cpu->state.interrupt_shadow = 0;
    cpu->state.halted = true;
    assert_true(cpu_poll_interrupts(cpu)); /* NMI first */
    assert_int_equal(cpu->state.rip, handler(EXC_NMI));
    assert_false(cpu->state.halted);
    assert_true(cpu->state.nmi_blocked);
    cpu_post_nmi(cpu);
    assert_false(cpu_poll_interrupts(cpu)); /* blocked, and IF = 0 now */
    assert_false(cpu->attention & ATTENTION_NMI);
    assert_true(run(f, callout_iret, ARGS(0)));
    assert_false(cpu->state.nmi_blocked);
    assert_true(cpu->attention & ATTENTION_NMI);
    assert_true(cpu_poll_interrupts(cpu));
    assert_int_equal(cpu->state.rip, handler(EXC_NMI));
    assert_true(run(f, callout_iret, ARGS(0)));
    assert_true(cpu_poll_interrupts(cpu));
    assert_int_equal(cpu->state.rip, handler(0x30));
    cpu_set_eflags(cpu, FLAG_IF);
    machine_vector = -1; /* spurious */
    assert_false(cpu_poll_interrupts(cpu));
    fixture_destroy(f);
}

/* An IRET that faults unblocks NMI all the same. */
static void test_faulting_iret_unblocks_nmi(void **state)
{
    struct fixture *f = machine_create();

    enter_vm86(f, 0);
    f->cpu->state.nmi_blocked = true;
    assert_false(run(f, callout_iret, ARGS16(0)));
    assert_false(f->cpu->state.nmi_blocked);
    fixture_destroy(f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_same_privilege),
        cmocka_unit_test(test_trap_gate_keeps_if),
        cmocka_unit_test(test_inner_privilege),
        cmocka_unit_test(test_gate16),
        cmocka_unit_test(test_inner_16bit_stack),
        cmocka_unit_test(test_gate_checks),
        cmocka_unit_test(test_inner_stack_checks),
        cmocka_unit_test(test_conforming_handler),
        cmocka_unit_test(test_frame_faults),
        cmocka_unit_test(test_ext_bit),
        cmocka_unit_test(test_into_and_icebp),
        cmocka_unit_test(test_double_fault),
        cmocka_unit_test(test_page_fault_chains),
        cmocka_unit_test(test_triple_fault),
        cmocka_unit_test(test_debug_exception),
        cmocka_unit_test(test_poll),
        cmocka_unit_test(test_faulting_iret_unblocks_nmi),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

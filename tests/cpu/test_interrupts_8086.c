/* Interrupts, exceptions and IRET in real and virtual-8086 mode. */
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

/* ---- real mode ---- */

static struct fixture *real_machine(void)
{
    struct fixture *f = fixture_create("pentium4");

    f->cpu->environment.triple_fault = machine_on_triple_fault;
    machine_triple_fault = false;
    f->cpu->state.idtr = (struct descriptor_table){0, 0x3ff};
    for (unsigned i = 0; i < 64; i++)
        poke32(f, i * 4, 0xf0000000 | (0x100 + i));
    f->cpu->state.segment[SEG_CS].selector = 0x1000;
    f->cpu->state.rip = 0x100;
    return f;
}

static void test_real_mode(void **state)
{
    struct fixture *f = real_machine();
    struct vcpu *cpu = f->cpu;

    cpu_set_eflags(cpu, FLAG_IF | FLAG_TF | FLAG_AC | FLAG_NT);
    assert_true(run(f, callout_int_n, ARGS16(.immediate = 0x21)));
    assert_int_equal(cpu->state.rip, 0x121);
    assert_int_equal(selector_of(f, SEG_CS), 0xf000);
    assert_int_equal(cpu->state.segment[SEG_CS].base, 0xf0000);
    assert_int_equal(esp(f), 0x7ffa);
    assert_int_equal(peek16(f, 0x7ffa), RETURN_RIP);
    assert_int_equal(peek16(f, 0x7ffc), 0x1000);
    assert_int_equal(peek16(f, 0x7ffe), FLAG_IF | FLAG_TF | FLAG_NT | FLAG_FIXED);
    assert_int_equal(cpu_eflags(cpu), FLAG_NT | FLAG_FIXED);
    assert_true(run(f, callout_iret, ARGS16(0)));
    assert_int_equal(cpu->state.rip, RETURN_RIP);
    assert_int_equal(selector_of(f, SEG_CS), 0x1000);
    assert_int_equal(cpu_eflags(cpu), FLAG_IF | FLAG_TF | FLAG_NT | FLAG_FIXED);
    assert_int_equal(esp(f), 0x8000);
    /* No error code. */
    cpu->state.rip = 0x100;
    raise_gp(f, 0);
    assert_int_equal(esp(f), 0x7ffa);
    assert_int_equal(cpu->state.rip, 0x100 + EXC_GP);
    fixture_destroy(f);
}

static void test_real_mode_faults(void **state)
{
    struct fixture *f = real_machine();

    f->cpu->state.idtr.limit = EXC_GP * 4 + 3;
    expect_fault(f, callout_int_n, ARGS16(.immediate = 0x21), EXC_GP, 0x21 * 8 + 2);
    cpu_deliver_interrupt(f->cpu, 0x21, INTERRUPT_EXTERNAL); /* becomes #GP */
    assert_int_equal(f->cpu->state.rip, 0x100 + EXC_GP);
    f->cpu->state.idtr.limit = EXC_DF * 4 + 3;
    raise_gp(f, 0);
    assert_int_equal(f->cpu->state.rip, 0x100 + EXC_DF);
    assert_false(machine_triple_fault);
    f->cpu->state.gpr[GPR_SP] = 5; /* the third push straddles the end of the segment */
    f->cpu->state.idtr.limit = 0x3ff;
    expect_fault(f, callout_int_n, ARGS16(.immediate = 0x21), EXC_SS, 0);
    raise_gp(f, 0);
    assert_true(machine_triple_fault);
    fixture_destroy(f);
}

static void test_real_mode_wrap(void **state)
{
    struct fixture *f = real_machine();

    f->cpu->state.gpr[GPR_SP] = 4;
    assert_true(run(f, callout_int_n, ARGS16(.immediate = 0x21)));
    assert_int_equal(esp(f), 0xfffe);
    assert_int_equal(peek16(f, 0xfffe), RETURN_RIP);
    fixture_destroy(f);
}

/* IRETD in real mode leaves VM, VIF and VIP alone. */
static void test_real_mode_iretd(void **state)
{
    struct fixture *f = real_machine();

    f->cpu->state.gpr[GPR_SP] = 0x4000;
    poke32(f, 0x4000, 0x1234);
    poke32(f, 0x4004, 0xffff2000);
    poke32(f, 0x4008, 0xffffffff);
    assert_true(run(f, callout_iret, ARGS(0)));
    assert_int_equal(f->cpu->state.rip, 0x1234);
    assert_int_equal(selector_of(f, SEG_CS), 0x2000);
    assert_int_equal(cpu_eflags(f->cpu), 0x257fd5 | FLAG_FIXED);
    assert_int_equal(esp(f), 0x400c);
    poke32(f, 0x400c, 0x10000); /* beyond the limit */
    expect_fault(f, callout_iret, ARGS(0), EXC_GP, 0);
    fixture_destroy(f);
}

/* ---- virtual-8086 mode ---- */

static void test_vm86_to_ring0(void **state)
{
    struct fixture *f = machine_create();
    struct vcpu *cpu = f->cpu;

    enter_vm86(f, 3);
    assert_true(int_n(f, 0x20));
    assert_int_equal(cpu_cpl(cpu), 0);
    assert_true(cpu_in_protected_mode(cpu));
    assert_int_equal(esp(f), STACK0 - 36);
    assert_int_equal(peek32(f, STACK0 - 4), 0x2003);
    assert_int_equal(peek32(f, STACK0 - 8), 0x2002);
    assert_int_equal(peek32(f, STACK0 - 12), 0x2001);
    assert_int_equal(peek32(f, STACK0 - 16), 0x2000);
    assert_int_equal(peek32(f, STACK0 - 20), 0x1100);
    assert_int_equal(peek32(f, STACK0 - 24), 0x100);
    assert_int_equal(peek32(f, STACK0 - 28), FLAG_VM | FLAG_IOPL | FLAG_FIXED);
    assert_int_equal(peek32(f, STACK0 - 32), 0x1000);
    assert_int_equal(peek32(f, STACK0 - 36), RETURN_RIP);
    for (unsigned seg = SEG_DS; seg <= SEG_GS; seg++) {
        assert_int_equal(selector_of(f, seg), 0);
        assert_int_equal(MODE_SHAPE(cpu->mode, seg), SHAPE_OTHER);
    }
    assert_true(run(f, callout_iret, ARGS(0)));
    assert_true(cpu_in_vm86(cpu));
    assert_int_equal(cpu_cpl(cpu), 3);
    assert_int_equal(cpu->state.segment[SEG_GS].base, 0x20030);
    assert_int_equal(cpu->state.segment[SEG_SS].base, 0x11000);
    assert_int_equal(esp(f), 0x100);
    assert_int_equal(cpu->state.rip, RETURN_RIP);
    fixture_destroy(f);
}

static void test_vm86_iopl(void **state)
{
    struct fixture *f = machine_create();

    enter_vm86(f, 2);
    expect_fault(f, callout_int_n, ARGS16(.immediate = 0x20), EXC_GP, 0);
    assert_true(run(f, callout_int3, ARGS(0))); /* INT3 is not sensitive */
    assert_int_equal(cpu_cpl(f->cpu), 0);
    enter_vm86(f, 2);
    expect_fault(f, callout_iret, ARGS16(0), EXC_GP, 0);
    enter_vm86(f, 3);
    set_idt_gate(f, 0x20, SYSTEM_INTERRUPT_GATE32, 3, CODE1 & ~3, 0);
    expect_fault(f, callout_int_n, ARGS16(.immediate = 0x20), EXC_GP, CODE1 & ~3);
    set_idt_gate(f, 0x20, SYSTEM_INTERRUPT_GATE32, 3, CONFORMING0, 0);
    expect_fault(f, callout_int_n, ARGS16(.immediate = 0x20), EXC_GP, CONFORMING0);
    fixture_destroy(f);
}

static void test_vme_redirection(void **state)
{
    struct fixture *f = machine_create();
    struct vcpu *cpu = f->cpu;

    cpu->state.cr4 |= CR4_VME;
    poke32(f, 0x21 * 4, 0x30001234);
    enter_vm86(f, 0);
    cpu_set_eflags(cpu, (cpu_eflags(cpu) & ~FLAG_IF) | FLAG_VIF | FLAG_TF);
    assert_true(run(f, callout_int_n, ARGS16(.immediate = 0x21))); /* bit clear: redirected */
    assert_true(cpu_in_vm86(cpu));
    assert_int_equal(cpu->state.rip, 0x1234);
    assert_int_equal(cpu->state.segment[SEG_CS].base, 0x30000);
    assert_int_equal(esp(f), 0xfa);
    assert_int_equal(peek16(f, 0x110fe), FLAG_IF | FLAG_IOPL | FLAG_TF | FLAG_FIXED);
    assert_int_equal(peek16(f, 0x110fc), 0x1000);
    assert_int_equal(cpu_eflags(cpu), FLAG_VM | FLAG_FIXED); /* VIF and TF clear */
    /* IRET gives VIF back; TF in the image faults. */
    expect_fault(f, callout_iret, ARGS16(0), EXC_GP, 0);
    poke16(f, 0x110fe, FLAG_IF | FLAG_IOPL | FLAG_CF);
    assert_true(run(f, callout_iret, ARGS16(0)));
    assert_int_equal(cpu_eflags(cpu), FLAG_VM | FLAG_VIF | FLAG_CF | FLAG_FIXED);
    /* With VIP set it may not. */
    cpu->state.gpr[GPR_SP] = 0xfa;
    cpu->state.system_flags |= FLAG_VIP;
    expect_fault(f, callout_iret, ARGS16(0), EXC_GP, 0);
    expect_fault(f, callout_iret, ARGS(0), EXC_GP, 0); /* never with a 32-bit operand */

    /* Bit set: to the monitor. */
    poke32(f, TSS_A + 0x68 + 4, 1u << 1);
    enter_vm86(f, 0);
    expect_fault(f, callout_int_n, ARGS16(.immediate = 0x21), EXC_GP, 0);
    enter_vm86(f, 3);
    assert_true(run(f, callout_int_n, ARGS16(.immediate = 0x21)));
    assert_int_equal(cpu->state.rip, handler(0x21));
    /* IOPL 3 and redirected: the real IF. */
    poke32(f, TSS_A + 0x68 + 4, 0);
    enter_vm86(f, 3);
    cpu_set_eflags(cpu, cpu_eflags(cpu) | FLAG_IF | FLAG_VIF);
    assert_true(run(f, callout_int_n, ARGS16(.immediate = 0x21)));
    assert_int_equal(cpu_eflags(cpu) & (FLAG_IF | FLAG_VIF), FLAG_VIF);
    /* No room for a map. */
    enter_vm86(f, 3);
    cpu->state.tr.limit = 0x66;
    expect_fault(f, callout_int_n, ARGS16(.immediate = 0x21), EXC_GP, 0);
    fixture_destroy(f);
}

static void test_vm86_iret_iopl3(void **state)
{
    struct fixture *f = machine_create();

    enter_vm86(f, 3);
    f->cpu->state.gpr[GPR_SP] = 0xfff4; /* up to the end of the segment */
    poke32(f, 0x11000 + 0xfff4, 0x4444);
    poke32(f, 0x11000 + 0xfff8, 0x1010);
    poke32(f, 0x11000 + 0xfffc, (0xffffffff & ~FLAG_VM) & ~FLAG_IOPL);
    assert_true(run(f, callout_iret, ARGS(0)));
    assert_true(cpu_in_vm86(f->cpu));
    assert_int_equal(cpu_eflags(f->cpu) & (FLAG_VM | FLAG_IOPL | FLAG_VIF | FLAG_VIP | FLAG_IF | FLAG_RF),
                     FLAG_VM | FLAG_IOPL | FLAG_IF | FLAG_RF);
    assert_int_equal(esp(f), 0);
    fixture_destroy(f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_real_mode),       cmocka_unit_test(test_real_mode_faults),
        cmocka_unit_test(test_real_mode_wrap),  cmocka_unit_test(test_real_mode_iretd),
        cmocka_unit_test(test_vm86_to_ring0),   cmocka_unit_test(test_vm86_iopl),
        cmocka_unit_test(test_vme_redirection), cmocka_unit_test(test_vm86_iret_iopl3),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

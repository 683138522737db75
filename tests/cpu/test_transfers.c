/* Far JMP, CALL, RET and IRET between segments and privilege levels; ENTER, BOUND, SYSENTER. */
#include "machine.h"

static struct callout_args far(uint16_t selector, uint32_t offset)
{
    return ARGS(.selector = selector, .immediate = offset);
}

static void jump(struct fixture *f, uint16_t selector, uint32_t offset)
{
    assert_true(run(f, callout_jmp_far, far(selector, offset)));
}

static void test_jump_to_code(void **state)
{
    struct fixture *f = machine_create();

    jump(f, CODE0, 0x5000);
    assert_int_equal(f->cpu->state.rip, 0x5000);
    jump(f, CODE0_16, 0x5000);
    assert_false(f->cpu->mode & MODE_CS_D);
    expect_fault(f, callout_jmp_far, far(0, 0), EXC_GP, 0);
    expect_fault(f, callout_jmp_far, far(3, 0), EXC_GP, 0);
    expect_fault(f, callout_jmp_far, far(GDT_END, 0), EXC_GP, GDT_END);
    expect_fault(f, callout_jmp_far, far(DATA0, 0), EXC_GP, DATA0);
    expect_fault(f, callout_jmp_far, far(CODE0 | 1, 0), EXC_GP, CODE0); /* RPL > CPL */
    expect_fault(f, callout_jmp_far, far(CODE3, 0), EXC_GP, CODE3 & ~3);
    expect_fault(f, callout_jmp_far, far(CONFORMING3, 0), EXC_GP, CONFORMING3 & ~3); /* DPL > CPL */
    expect_fault(f, callout_jmp_far, far(ABSENT_CODE0, 0), EXC_NP, ABSENT_CODE0);
    expect_fault(f, callout_jmp_far, far(SMALL_CODE0, 0x100), EXC_GP, 0);
    expect_fault(f, callout_jmp_far, far(SEL_LDT, 0), EXC_GP, SEL_LDT);
    expect_fault(f, callout_jmp_far, far(SEL_TSS_A, 0), EXC_GP, SEL_TSS_A); /* busy */
    enter_ring(f, 3);
    jump(f, CONFORMING0, 0x6000); /* conforming: the CPL stays */
    assert_int_equal(selector_of(f, SEG_CS), CONFORMING0 | 3);
    assert_int_equal(cpu_cpl(f->cpu), 3);
    jump(f, CODE3 & ~3, 0x6000);
    assert_int_equal(selector_of(f, SEG_CS), CODE3);
    fixture_destroy(f);
}

static void test_jump_memory(void **state)
{
    struct fixture *f = machine_create();

    poke32(f, SCRATCH, 0x12345678);
    poke16(f, SCRATCH + 4, CODE0);
    assert_true(run(f, callout_jmp_far, ARGS(.memory = true, .offset = SCRATCH)));
    assert_int_equal(f->cpu->state.rip, 0x12345678);
    poke16(f, SCRATCH + 2, CODE0);
    assert_true(run(f, callout_jmp_far, ARGS16(.memory = true, .offset = SCRATCH)));
    assert_int_equal(f->cpu->state.rip, 0x5678);
    load_from_gdt(f, SEG_ES, SMALL_DATA0);
    expect_fault(f, callout_jmp_far, ARGS_IN(SEG_ES, .memory = true, .offset = 0xb), EXC_GP, 0);
    fixture_destroy(f);
}

static void test_call_and_return_same_level(void **state)
{
    struct fixture *f = machine_create();

    assert_true(run(f, callout_call_far, far(CODE0, 0x7000)));
    assert_int_equal(f->cpu->state.rip, 0x7000);
    assert_int_equal(esp(f), STACK0 - 8);
    assert_int_equal(peek32(f, STACK0 - 8), RETURN_RIP);
    assert_int_equal(peek32(f, STACK0 - 4), CODE0);
    assert_true(run(f, callout_ret_far, ARGS(.immediate = 0x20)));
    assert_int_equal(f->cpu->state.rip, RETURN_RIP);
    assert_int_equal(esp(f), STACK0 + 0x20);
    load_from_gdt(f, SEG_SS, SMALL_DATA0);
    cpu_update_mode(f->cpu);
    f->cpu->state.gpr[GPR_SP] = 4;
    /* The first push is in memory when the second faults, and both are when the target is beyond its limit. */
    expect_fault_after_push(f, callout_call_far, far(CODE0, 0x7000), EXC_SS, 0);
    uint32_t stack = (uint32_t)f->cpu->state.segment[SEG_SS].base;
    assert_int_equal(peek32(f, stack), CODE0);
    poke32(f, stack, 0);
    expect_fault_after_push(f, callout_call_far, far(SMALL_CODE0, 0x100), EXC_SS, 0); /* the stack is looked at first */
    f->cpu->state.gpr[GPR_SP] = 8;
    expect_fault_after_push(f, callout_call_far, far(SMALL_CODE0, 0x100), EXC_GP, 0);
    assert_int_equal(peek32(f, stack + 4), CODE0);
    assert_int_equal(peek32(f, stack), RETURN_RIP);
    fixture_destroy(f);
}

static void test_real_mode_call(void **state)
{
    struct fixture *f = fixture_create("pentium4");

    f->cpu->state.segment[SEG_CS].selector = 0x1000;
    assert_true(run(f, callout_call_far, ARGS16(.selector = 0x2000, .immediate = 0x1234)));
    assert_int_equal(f->cpu->state.rip, 0x1234);
    assert_int_equal(f->cpu->state.segment[SEG_CS].base, 0x20000);
    assert_int_equal(peek16(f, 0x7ffe), 0x1000);
    assert_int_equal(peek16(f, 0x7ffc), RETURN_RIP);
    assert_true(run(f, callout_ret_far, ARGS16(.immediate = 2)));
    assert_int_equal(selector_of(f, SEG_CS), 0x1000);
    assert_int_equal(f->cpu->state.rip, RETURN_RIP);
    assert_int_equal(esp(f), 0x8002);
    /* The return address is written before the target is held against the limit. */
    expect_fault_after_push(f, callout_call_far, far(0x2000, 0x10000), EXC_GP, 0);
    assert_int_equal(peek16(f, 0x7ffe), 0x1000);
    assert_int_equal(peek16(f, 0x7ffa), RETURN_RIP);
    f->cpu->state.gpr[GPR_SP] = 1;
    expect_fault(f, callout_call_far, ARGS16(.selector = 0x2000), EXC_SS, 0);
    f->cpu->state.gpr[GPR_SP] = 0xffff;
    expect_fault(f, callout_ret_far, ARGS16(0), EXC_SS, 0);
    fixture_destroy(f);
}

/* ---- call gates ---- */

static void test_call_gate_inner(void **state)
{
    struct fixture *f = machine_create();

    set_gate(f, GDT, GATE_A, SYSTEM_CALL_GATE32, 3, CODE0, 0x8888, 3);
    enter_ring(f, 3);
    push32(f, 111);
    push32(f, 222);
    push32(f, 333);
    assert_true(run(f, callout_call_far, far(GATE_A | 3, 0xdead)));
    assert_int_equal(f->cpu->state.rip, 0x8888);
    assert_int_equal(cpu_cpl(f->cpu), 0);
    assert_int_equal(selector_of(f, SEG_SS), DATA0);
    assert_int_equal(esp(f), STACK0 - 28);
    static const uint32_t frame[] = {RETURN_RIP, CODE3, 333, 222, 111, STACK3 - 12, DATA3};
    assert_memory_equal(f->memory->ram + STACK0 - 28, frame, sizeof frame);
    assert_int_equal(f->cpu->mmu.access_class, MMU_SUPERVISOR);
    /* And back: both stacks lose the parameters; ring-0 data segments are unloaded. */
    load_from_gdt(f, SEG_DS, DATA0);
    load_from_gdt(f, SEG_FS, CONFORMING0);
    f->cpu->state.segment[SEG_GS] = (struct segment){.selector = 3};
    assert_true(run(f, callout_ret_far, ARGS(.immediate = 12)));
    assert_int_equal(cpu_cpl(f->cpu), 3);
    assert_int_equal(f->cpu->state.rip, RETURN_RIP);
    assert_int_equal(esp(f), STACK3);
    assert_int_equal(selector_of(f, SEG_DS), 0);
    assert_int_equal(selector_of(f, SEG_ES), DATA3);
    assert_int_equal(selector_of(f, SEG_FS), CONFORMING0);
    assert_int_equal(selector_of(f, SEG_GS), 0); /* a null selector loses its RPL */
    assert_int_equal(f->cpu->mmu.access_class, MMU_USER);
    fixture_destroy(f);
}

static void test_call_gate16(void **state)
{
    struct fixture *f = machine_create();

    set_gate(f, GDT, GATE_A, SYSTEM_CALL_GATE16, 3, CODE0_16, 0xffff8888, 2);
    enter_ring(f, 3);
    push32(f, 0x22221111);
    assert_true(run(f, callout_call_far, far(GATE_A | 3, 0)));
    assert_int_equal(f->cpu->state.rip, 0x8888);
    static const uint16_t frame[] = {RETURN_RIP, CODE3, 0x1111, 0x2222, STACK3 - 4, DATA3};
    assert_int_equal(esp(f), STACK0 - 12);
    assert_memory_equal(f->memory->ram + STACK0 - 12, frame, sizeof frame);
    assert_true(run(f, callout_ret_far, ARGS16(.immediate = 4)));
    assert_int_equal(esp(f), STACK3);
    fixture_destroy(f);
}

static void test_call_gate_to_ring1(void **state)
{
    struct fixture *f = machine_create();

    set_gate(f, GDT, GATE_A, SYSTEM_CALL_GATE32, 3, CODE1 & ~3, 0x8888, 0);
    enter_ring(f, 3);
    assert_true(run(f, callout_call_far, far(GATE_A | 3, 0)));
    assert_int_equal(cpu_cpl(f->cpu), 1);
    assert_int_equal(selector_of(f, SEG_CS), CODE1);
    assert_int_equal(esp(f), STACK1 - 16);
    assert_int_equal(f->cpu->mmu.access_class, MMU_SUPERVISOR);
    fixture_destroy(f);
}

static void test_call_gate_same_level(void **state)
{
    struct fixture *f = machine_create();

    set_gate(f, GDT, GATE_A, SYSTEM_CALL_GATE32, 0, CODE0, 0x8888, 5);
    assert_true(run(f, callout_call_far, far(GATE_A, 0)));
    assert_int_equal(esp(f), STACK0 - 8); /* no parameters */
    jump(f, GATE_A, 0);
    assert_int_equal(f->cpu->state.rip, 0x8888);
    set_gate(f, GDT, GATE_B, SYSTEM_CALL_GATE16, 3, CONFORMING0, 0x9999, 0);
    enter_ring(f, 3);
    assert_true(run(f, callout_call_far, far(GATE_B, 0)));
    assert_int_equal(cpu_cpl(f->cpu), 3);
    assert_int_equal(esp(f), STACK3 - 4);
    fixture_destroy(f);
}

static void test_call_gate_checks(void **state)
{
    struct fixture *f = machine_create();

    enter_ring(f, 3);
    set_gate(f, GDT, GATE_A, SYSTEM_CALL_GATE32, 2, CODE0, 0, 0);
    expect_fault(f, callout_call_far, far(GATE_A, 0), EXC_GP, GATE_A);
    set_gate(f, GDT, GATE_A, SYSTEM_CALL_GATE32, 3, CODE0, 0, 0);
    expect_fault(f, callout_jmp_far, far(GATE_A, 0), EXC_GP, CODE0); /* a jump may not go inward */
    poke32(f, GDT + GATE_A + 4, 0x6c00);
    expect_fault(f, callout_call_far, far(GATE_A, 0), EXC_NP, GATE_A);
    set_gate(f, GDT, GATE_A, SYSTEM_CALL_GATE32, 3, 0, 0, 0);
    expect_fault(f, callout_call_far, far(GATE_A, 0), EXC_GP, 0);
    set_gate(f, GDT, GATE_A, SYSTEM_CALL_GATE32, 3, DATA0, 0, 0);
    expect_fault(f, callout_call_far, far(GATE_A, 0), EXC_GP, DATA0);
    set_gate(f, GDT, GATE_A, SYSTEM_CALL_GATE32, 3, ABSENT_CODE0, 0, 0);
    expect_fault(f, callout_call_far, far(GATE_A, 0), EXC_NP, ABSENT_CODE0);
    set_gate(f, GDT, GATE_A, SYSTEM_CALL_GATE32, 3, SMALL_CODE0, 0x100, 0);
    expect_fault(f, callout_call_far, far(GATE_A, 0), EXC_GP, 0);
    set_gate(f, GDT, GATE_A, SYSTEM_CALL_GATE32, 3, CODE0, 0, 31);
    poke16(f, TSS_A + 8, 0);
    expect_fault(f, callout_call_far, far(GATE_A, 0), EXC_TS, 0);
    poke16(f, TSS_A + 8, SMALL_DATA0); /* 16 bytes of stack */
    poke32(f, TSS_A + 4, 16);
    expect_fault(f, callout_call_far, far(GATE_A, 0), EXC_SS, SMALL_DATA0);
    poke16(f, TSS_A + 8, DATA0);
    poke32(f, TSS_A + 4, STACK0);
    f->cpu->state.tr.limit = 7;
    expect_fault(f, callout_call_far, far(GATE_A, 0), EXC_TS, SEL_TSS_A);
    enter_ring(f, 0);
    set_gate(f, GDT, GATE_A, SYSTEM_CALL_GATE32, 3, CODE3, 0, 0); /* outward */
    expect_fault(f, callout_call_far, far(GATE_A, 0), EXC_GP, CODE3 & ~3);
    set_gate(f, GDT, GATE_A, SYSTEM_CALL_GATE32, 1, CODE0, 0, 0);
    expect_fault(f, callout_call_far, far(GATE_A | 2, 0), EXC_GP, GATE_A); /* RPL > gate DPL */
    fixture_destroy(f);
}

/* A page fault on each page a call through a gate touches. */
static void test_call_gate_page_faults(void **state)
{
    struct fixture *f = machine_create();
    uint32_t *table = fixture_enable_paging(f);
    static const struct {
        unsigned page;
        uint32_t cr2, error;
    } cases[] = {
        {STACK0 / 0x1000, STACK0 + 4, PF_WRITE},
        {STACK0 / 0x1000 - 1, STACK0 - 4, PF_WRITE},
        {STACK3 / 0x1000 - 1, STACK3 - 4, PF_USER},
        {STACK3 / 0x1000, STACK3 + 4, PF_USER},
        {TSS_A / 0x1000, TSS_A + 4, 0},
    };

    set_gate(f, GDT, GATE_A, SYSTEM_CALL_GATE32, 3, CODE0, 0x8888, 3);
    poke32(f, TSS_A + 4, STACK0 + 8);
    enter_ring(f, 3);
    f->cpu->state.gpr[GPR_SP] = STACK3 - 4;
    for (unsigned i = 0; i < ARRAY_SIZE(cases); i++) {
        table[cases[i].page] &= ~1u;
        mmu_flush_all(&f->cpu->mmu);
        f->cpu->exception.cr2 = 0;
        expect_fault(f, callout_call_far, far(GATE_A | 3, 0), EXC_PF, cases[i].error);
        assert_int_equal(f->cpu->exception.cr2, cases[i].cr2);
        table[cases[i].page] |= 1;
        mmu_flush_all(&f->cpu->mmu);
    }
    assert_true(run(f, callout_call_far, far(GATE_A | 3, 0)));
    fixture_destroy(f);
}

/* ---- returns ---- */

static void push_return(struct fixture *f, uint16_t cs, uint32_t rip, uint16_t ss, uint32_t sp)
{
    enter_ring(f, 0);
    push32(f, ss);
    push32(f, sp);
    push32(f, cs);
    push32(f, rip);
}

static void test_far_return_checks(void **state)
{
    static const struct {
        uint16_t cs;
        uint32_t rip;
        uint16_t ss;
        unsigned vector;
        uint32_t error;
    } cases[] = {
        {0, 0, DATA3, EXC_GP, 0},
        {3, 0, DATA3, EXC_GP, 0},
        {GDT_END, 0, DATA3, EXC_GP, GDT_END},
        {DATA3, 0, DATA3, EXC_GP, DATA3 & ~3},
        {CODE3 & ~3, 0, DATA3, EXC_GP, CODE3 & ~3},
        {CODE0 | 3, 0, DATA3, EXC_GP, CODE0},
        {ABSENT_CODE0, 0, DATA3, EXC_NP, ABSENT_CODE0},
        {ABSENT_CODE3, 0, DATA3, EXC_NP, ABSENT_CODE3 & ~3},
        {SMALL_CODE0, 0x100, DATA3, EXC_GP, 0},
        {CODE3, 0, 0, EXC_GP, 0},
        {CODE3, 0, DATA0, EXC_GP, DATA0},
        {CODE3, 0, DATA3 & ~3, EXC_GP, DATA3 & ~3},
        {CODE3, 0, READ_ONLY3, EXC_GP, READ_ONLY3 & ~3},
        {CODE3, 0, ABSENT_DATA3, EXC_SS, ABSENT_DATA3 & ~3},
        {CODE3, 0, GDT_END | 3, EXC_GP, GDT_END},
        {CONFORMING3 & ~3, 0, DATA3, EXC_GP, CONFORMING3 & ~3},
    };
    struct fixture *f = machine_create();

    for (unsigned i = 0; i < ARRAY_SIZE(cases); i++) {
        push_return(f, cases[i].cs, cases[i].rip, cases[i].ss, STACK3);
        expect_fault(f, callout_ret_far, ARGS(0), cases[i].vector, cases[i].error);
    }
    enter_ring(f, 3);
    push32(f, CODE0);
    push32(f, 0);
    expect_fault(f, callout_ret_far, ARGS(0), EXC_GP, CODE0); /* inward */
    fixture_destroy(f);
}

static void test_return_to_16bit_stack(void **state)
{
    struct fixture *f = machine_create();

    f->cpu->state.gpr[GPR_SP] = STACK0;
    push_return(f, CODE3, 0x1000, DATA3_16, 0xabcd1234);
    f->cpu->state.gpr[GPR_SP] = STACK0 - 16;
    assert_true(run(f, callout_ret_far, ARGS(0)));
    assert_int_equal(esp(f), 0x1234); /* the upper half stays the inner stack's */
    assert_false(f->cpu->mode & MODE_SS_B);
    fixture_destroy(f);
}

static void test_iret_flags(void **state)
{
    struct fixture *f = machine_create();

    /* Ring 0 may change everything but VM. */
    push32(f, 0xffffffff & ~FLAG_VM);
    push32(f, CODE0);
    push32(f, 0x1234);
    assert_true(run(f, callout_iret, ARGS(0)));
    assert_int_equal(cpu_eflags(f->cpu), f->cpu->model->eflags_mask & ~FLAG_VM);
    assert_int_equal(f->cpu->state.rip, 0x1234);
    assert_int_equal(esp(f), STACK0);
    assert_true(f->cpu->attention & ATTENTION_EVENT);

    /* Ring 3 with IOPL 0: neither IF, IOPL, VIF nor VIP. */
    enter_ring(f, 3);
    cpu_set_eflags(f->cpu, 0);
    push32(f, 0xffffffff); /* VM is ignored */
    push32(f, CODE3);
    push32(f, 0x1234);
    assert_true(run(f, callout_iret, ARGS(0)));
    assert_int_equal(cpu_eflags(f->cpu),
                     f->cpu->model->eflags_mask & ~(FLAG_VM | FLAG_IF | FLAG_IOPL | FLAG_VIF | FLAG_VIP));
    /* IOPL 3: IF too. 16-bit operand: only the low half. */
    cpu_set_eflags(f->cpu, FLAG_IOPL);
    f->cpu->state.gpr[GPR_SP] -= 6;
    poke16(f, esp(f), 0x1234);
    poke16(f, esp(f) + 2, CODE3);
    poke16(f, esp(f) + 4, 0x8fff);
    assert_true(run(f, callout_iret, ARGS16(0)));
    assert_int_equal(cpu_eflags(f->cpu), (0x0fff & 0x7fd5) | FLAG_FIXED | FLAG_IOPL);
    fixture_destroy(f);
}

/* IF follows the privilege of the returning code. */
static void test_iret_outer(void **state)
{
    struct fixture *f = machine_create();

    push32(f, DATA3);
    push32(f, STACK3);
    push32(f, FLAG_IF | FLAG_IOPL);
    push32(f, CODE3);
    push32(f, 0x4000);
    load_from_gdt(f, SEG_ES, DATA3);
    assert_true(run(f, callout_iret, ARGS(0)));
    assert_int_equal(cpu_cpl(f->cpu), 3);
    assert_int_equal(cpu_eflags(f->cpu), FLAG_IF | FLAG_IOPL | FLAG_FIXED);
    assert_int_equal(esp(f), STACK3);
    assert_int_equal(selector_of(f, SEG_DS), 0);
    assert_int_equal(selector_of(f, SEG_ES), DATA3);
    /* The stack ends before SS: everything stays. */
    enter_ring(f, 0);
    set_descriptor(f, GDT, GATE_A, STACK0 - 20, 17, 0x4093);
    load_from_gdt(f, SEG_SS, GATE_A);
    cpu_update_mode(f->cpu);
    f->cpu->state.gpr[GPR_SP] = 0;
    expect_fault(f, callout_iret, ARGS(0), EXC_SS, 0);
    fixture_destroy(f);
}

static void test_iret_to_vm86_checks(void **state)
{
    struct fixture *f = machine_create();
    static const uint32_t frame[] = {0x10000, 0x1000, FLAG_VM, 0x100, 0x1100, 1, 2, 3, 4};

    f->cpu->state.gpr[GPR_SP] = SCRATCH;
    memcpy(f->memory->ram + SCRATCH, frame, sizeof frame);
    expect_fault(f, callout_iret, ARGS(0), EXC_GP, 0);
    poke32(f, SCRATCH, 0xffff);
    set_descriptor(f, GDT, GATE_A, SCRATCH, 35 - 1, 0x4093);
    load_from_gdt(f, SEG_SS, GATE_A);
    cpu_update_mode(f->cpu);
    f->cpu->state.gpr[GPR_SP] = 0;
    expect_fault(f, callout_iret, ARGS(0), EXC_SS, 0);
    set_descriptor(f, GDT, GATE_A, SCRATCH, 35, 0x4093);
    load_from_gdt(f, SEG_SS, GATE_A);
    assert_true(run(f, callout_iret, ARGS(0)));
    assert_true(cpu_in_vm86(f->cpu));
    assert_int_equal(f->cpu->state.segment[SEG_ES].base, 0x10);
    assert_int_equal(f->cpu->state.segment[SEG_DS].base, 0x20);
    assert_int_equal(f->cpu->state.segment[SEG_FS].base, 0x30);
    assert_int_equal(f->cpu->state.segment[SEG_GS].base, 0x40);
    assert_int_equal(f->cpu->state.segment[SEG_GS].attributes, 0xf3);
    fixture_destroy(f);
}

/* ---- ENTER, BOUND ---- */

static void test_enter_simple(void **state)
{
    struct fixture *f = machine_create();

    f->cpu->state.gpr[GPR_BP] = 0x12345678;
    assert_true(run(f, callout_enter, ARGS(.immediate = 0x20)));
    assert_int_equal(peek32(f, STACK0 - 4), 0x12345678);
    assert_int_equal(f->cpu->state.gpr[GPR_BP], STACK0 - 4);
    assert_int_equal(esp(f), STACK0 - 0x24);
    f->cpu->state.gpr[GPR_BP] = 0x12345678;
    f->cpu->state.gpr[GPR_SP] = STACK0;
    assert_true(run(f, callout_enter, ARGS16(.immediate = 2, .immediate2 = 0x21))); /* level is taken modulo 32 */
    assert_int_equal(peek16(f, STACK0 - 2), 0x5678);
    assert_int_equal(peek16(f, STACK0 - 4), STACK0 - 2);
    assert_int_equal(f->cpu->state.gpr[GPR_BP], 0x12340000 | (STACK0 - 2));
    assert_int_equal(esp(f), STACK0 - 6);
    fixture_destroy(f);
}

static void test_enter_nested(void **state)
{
    struct fixture *f = machine_create();

    /* The display of the outer frame is just below BP. */
    f->cpu->state.gpr[GPR_BP] = STACK0 + 0x20;
    poke32(f, STACK0 + 0x1c, 0x111);
    poke32(f, STACK0 + 0x18, 0x222);
    assert_true(run(f, callout_enter, ARGS(.immediate = 8, .immediate2 = 3)));
    static const uint32_t frame[] = {STACK0 - 4, 0x222, 0x111, STACK0 + 0x20};
    assert_memory_equal(f->memory->ram + STACK0 - 16, frame, sizeof frame);
    assert_int_equal(f->cpu->state.gpr[GPR_BP], STACK0 - 4);
    assert_int_equal(esp(f), STACK0 - 24);

    /* BP = SP: the display read is what this ENTER has pushed itself. */
    f->cpu->state.gpr[GPR_BP] = f->cpu->state.gpr[GPR_SP] = STACK0;
    assert_true(run(f, callout_enter, ARGS(.immediate2 = 3)));
    static const uint32_t overlapping[] = {STACK0 - 4, STACK0, STACK0, STACK0};
    assert_memory_equal(f->memory->ram + STACK0 - 16, overlapping, sizeof overlapping);
    /* ... in parts. */
    f->cpu->state.gpr[GPR_SP] = STACK0;
    f->cpu->state.gpr[GPR_BP] = STACK0 + 2;
    poke16(f, STACK0, 0xabcd);
    assert_true(run(f, callout_enter, ARGS(.immediate2 = 2)));
    assert_int_equal(peek32(f, STACK0 - 8), 0xabcd0000 | (STACK0 + 2) >> 16);
    fixture_destroy(f);
}

static void test_enter_16bit_stack(void **state)
{
    struct fixture *f = machine_create();

    load_from_gdt(f, SEG_SS, DATA0_16);
    cpu_update_mode(f->cpu);
    f->cpu->state.gpr[GPR_SP] = 0x50004;
    f->cpu->state.gpr[GPR_BP] = 0x7777;
    assert_true(run(f, callout_enter, ARGS(.immediate = 8)));
    assert_int_equal(peek32(f, 0), 0x7777);
    assert_int_equal(f->cpu->state.gpr[GPR_BP], 0x50000);
    assert_int_equal(esp(f), 0x5fff8); /* wrapped */
    f->cpu->state.gpr[GPR_SP] = 2;
    expect_fault(f, callout_enter, ARGS(0), EXC_SS, 0);
    /* The frame pointer is ESP less the operand size in all 32 bits, though only SP wraps. */
    f->cpu->state.gpr[GPR_SP] = 0x50000;
    assert_true(run(f, callout_enter, ARGS(.immediate2 = 1)));
    assert_int_equal(f->cpu->state.gpr[GPR_BP], 0x4fffc);
    assert_int_equal(peek32(f, 0xfff8), 0x4fffc);
    assert_int_equal(esp(f), 0x5fff8);
    fixture_destroy(f);
}

static void test_enter_faults(void **state)
{
    struct fixture *f = machine_create();
    uint32_t *table = fixture_enable_paging(f);

    enter_ring(f, 3);
    f->cpu->state.gpr[GPR_BP] = SCRATCH + 0x1004;
    static const unsigned pages[] = {STACK3 / 0x1000 - 1, SCRATCH / 0x1000, SCRATCH / 0x1000 + 1, STACK3 / 0x1000 - 3};
    for (unsigned i = 0; i < ARRAY_SIZE(pages); i++) {
        table[pages[i]] &= ~1u;
        mmu_flush_all(&f->cpu->mmu);
        poke32(f, STACK3 - 4, 0);
        expect_fault_after_push(f, callout_enter, ARGS(.immediate = 0x2000, .immediate2 = 3), EXC_PF,
                                i == 1 || i == 2 ? PF_USER : PF_USER | PF_WRITE);
        assert_int_equal(peek32(f, STACK3 - 4), i ? SCRATCH + 0x1004 : 0); /* pushed at once */
        table[pages[i]] |= 1;
        mmu_flush_all(&f->cpu->mmu);
    }
    table[STACK3 / 0x1000 - 3] &= ~2u; /* the final stack pointer must be writable */
    mmu_flush_all(&f->cpu->mmu);
    expect_fault_after_push(f, callout_enter, ARGS(.immediate = 0x2000, .immediate2 = 3), EXC_PF,
                            PF_PRESENT | PF_USER | PF_WRITE);
    fixture_destroy(f);
}

static void test_bound(void **state)
{
    struct fixture *f = machine_create();

    poke32(f, SCRATCH, (uint32_t)-5);
    poke32(f, SCRATCH + 4, 10);
    for (int i = -7; i <= 12; i++) {
        f->cpu->state.gpr[GPR_CX] = (uint32_t)i;
        if (i >= -5 && i <= 10)
            assert_true(run(f, callout_bound, ARGS(.reg = GPR_CX, .memory = true, .offset = SCRATCH)));
        else
            expect_fault(f, callout_bound, ARGS(.reg = GPR_CX, .memory = true, .offset = SCRATCH), EXC_BR, 0);
    }
    poke32(f, SCRATCH, 0x0001ffff); /* -1..1 */
    f->cpu->state.gpr[GPR_CX] = 0x5ffff;
    assert_true(run(f, callout_bound, ARGS16(.reg = GPR_CX, .memory = true, .offset = SCRATCH)));
    expect_fault(f, callout_bound, ARGS(.reg = GPR_CX), EXC_UD, 0);
    /* Below the lower bound: the upper one, beyond the limit, is not looked at. */
    load_from_gdt(f, SEG_ES, SMALL_DATA0);
    uint32_t end = f->cpu->state.segment[SEG_ES].limit - 3;
    poke32(f, (uint32_t)f->cpu->state.segment[SEG_ES].base + end, 5);
    f->cpu->state.gpr[GPR_CX] = 4;
    expect_fault(f, callout_bound, ARGS_IN(SEG_ES, .reg = GPR_CX, .memory = true, .offset = end), EXC_BR, 0);
    f->cpu->state.gpr[GPR_CX] = 5;
    expect_fault(f, callout_bound, ARGS_IN(SEG_ES, .reg = GPR_CX, .memory = true, .offset = end), EXC_GP, 0);
    fixture_destroy(f);
}

/* ---- SYSENTER, SYSEXIT ---- */

static void test_sysenter(void **state)
{
    struct fixture *f = machine_create();
    struct vcpu *cpu = f->cpu;

    enter_ring(f, 3);
    expect_fault(f, callout_sysenter, ARGS(0), EXC_GP, 0);
    cpu->state.sysenter_cs = CODE0 | 3;
    cpu->state.sysenter_esp = 0x8000;
    cpu->state.sysenter_eip = 0x12345678;
    enter_vm86(f, 0);
    cpu->state.system_flags |= FLAG_IF;
    assert_true(run(f, callout_sysenter, ARGS(0)));
    assert_int_equal(cpu_eflags(cpu), FLAG_FIXED);
    assert_int_equal(cpu_cpl(cpu), 0);
    assert_true(cpu_in_protected_mode(cpu));
    assert_int_equal(cpu->state.rip, 0x12345678);
    assert_int_equal(esp(f), 0x8000);
    assert_int_equal(selector_of(f, SEG_CS), CODE0);
    assert_int_equal(selector_of(f, SEG_SS), CODE0 + 8);
    assert_int_equal(MODE_SHAPE(cpu->mode, SEG_SS), SHAPE_FLAT);
    cpu->state.gpr[GPR_DX] = 0x4000;
    cpu->state.gpr[GPR_CX] = 0x5000;
    assert_true(run(f, callout_sysexit, ARGS(0)));
    assert_int_equal(cpu_cpl(cpu), 3);
    assert_int_equal(cpu->state.rip, 0x4000);
    assert_int_equal(esp(f), 0x5000);
    assert_int_equal(selector_of(f, SEG_CS), CODE0 + 16 + 3);
    assert_int_equal(selector_of(f, SEG_SS), CODE0 + 24 + 3);
    expect_fault(f, callout_sysexit, ARGS(0), EXC_GP, 0);
    fixture_destroy(f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_jump_to_code),
        cmocka_unit_test(test_jump_memory),
        cmocka_unit_test(test_call_and_return_same_level),
        cmocka_unit_test(test_real_mode_call),
        cmocka_unit_test(test_call_gate_inner),
        cmocka_unit_test(test_call_gate16),
        cmocka_unit_test(test_call_gate_to_ring1),
        cmocka_unit_test(test_call_gate_same_level),
        cmocka_unit_test(test_call_gate_checks),
        cmocka_unit_test(test_call_gate_page_faults),
        cmocka_unit_test(test_far_return_checks),
        cmocka_unit_test(test_return_to_16bit_stack),
        cmocka_unit_test(test_iret_flags),
        cmocka_unit_test(test_iret_outer),
        cmocka_unit_test(test_iret_to_vm86_checks),
        cmocka_unit_test(test_enter_simple),
        cmocka_unit_test(test_enter_nested),
        cmocka_unit_test(test_enter_16bit_stack),
        cmocka_unit_test(test_enter_faults),
        cmocka_unit_test(test_bound),
        cmocka_unit_test(test_sysenter),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

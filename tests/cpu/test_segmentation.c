/* Segment loads, limit and type checks, selector instructions, stacks. */
#include "machine.h"

static void mov_to(struct fixture *f, unsigned seg, uint16_t selector)
{
    f->cpu->state.gpr[GPR_AX] = selector;
    assert_true(run(f, callout_mov_to_segment, ARGS(.reg = (uint8_t)seg, .rm = GPR_AX)));
    assert_int_equal(selector_of(f, seg), selector);
}

static void mov_to_faults(struct fixture *f, unsigned seg, uint16_t selector, unsigned vector, uint32_t error)
{
    f->cpu->state.gpr[GPR_AX] = selector;
    expect_fault(f, callout_mov_to_segment, ARGS(.reg = (uint8_t)seg, .rm = GPR_AX), vector, error);
}

static void test_data_segment_loads(void **state)
{
    struct fixture *f = machine_create();

    enter_ring(f, 3);
    mov_to(f, SEG_DS, DATA3);
    mov_to(f, SEG_ES, READ_ONLY3);
    mov_to(f, SEG_FS, CODE3);
    mov_to(f, SEG_GS, CONFORMING0); /* conforming code: no privilege check */
    mov_to(f, SEG_DS, 3);           /* null with any RPL */
    mov_to_faults(f, SEG_DS, DATA0, EXC_GP, DATA0);
    mov_to_faults(f, SEG_DS, DATA0 | 3, EXC_GP, DATA0);
    mov_to_faults(f, SEG_DS, EXECUTE_ONLY3, EXC_GP, EXECUTE_ONLY3 & ~3);
    mov_to_faults(f, SEG_DS, SEL_TSS_A, EXC_GP, SEL_TSS_A);
    mov_to_faults(f, SEG_DS, ABSENT_DATA3, EXC_NP, ABSENT_DATA3 & ~3);
    mov_to_faults(f, SEG_DS, GDT_END, EXC_GP, GDT_END);
    mov_to_faults(f, SEG_DS, 0x0f, EXC_GP, 0x0c); /* no LDT */
    mov_to_faults(f, SEG_CS, CODE3, EXC_UD, 0);
    mov_to_faults(f, 6, DATA3, EXC_UD, 0);
    enter_ring(f, 0);
    mov_to_faults(f, SEG_DS, DATA0 | 3, EXC_GP, DATA0); /* RPL 3 > DPL 0 */
    fixture_destroy(f);
}

static void test_stack_segment_loads(void **state)
{
    struct fixture *f = machine_create();

    enter_ring(f, 3);
    mov_to(f, SEG_SS, DATA3);
    assert_int_equal(f->cpu->state.interrupt_shadow, INHIBIT_MOV_SS);
    assert_true(f->cpu->attention & ATTENTION_EVENT);
    f->cpu->state.interrupt_shadow = 0;
    mov_to(f, SEG_DS, DATA3);
    assert_int_equal(f->cpu->state.interrupt_shadow, 0);
    mov_to_faults(f, SEG_SS, 0, EXC_GP, 0);
    mov_to_faults(f, SEG_SS, 3, EXC_GP, 0);
    mov_to_faults(f, SEG_SS, DATA3 & ~3, EXC_GP, DATA3 & ~3);
    mov_to_faults(f, SEG_SS, DATA0 | 3, EXC_GP, DATA0);
    mov_to_faults(f, SEG_SS, READ_ONLY3, EXC_GP, READ_ONLY3 & ~3);
    mov_to_faults(f, SEG_SS, CODE3, EXC_GP, CODE3 & ~3);
    mov_to_faults(f, SEG_SS, ABSENT_DATA3, EXC_SS, ABSENT_DATA3 & ~3);
    mov_to(f, SEG_SS, DATA3_16);
    assert_false(f->cpu->mode & MODE_SS_B);
    fixture_destroy(f);
}

static void test_accessed_bit(void **state)
{
    struct fixture *f = machine_create();
    uint32_t *table = fixture_enable_paging(f);

    enter_ring(f, 3);
    mov_to(f, SEG_DS, FRESH_DATA3);
    assert_int_equal(peek32(f, GDT + (FRESH_DATA3 & ~3) + 4) >> 8 & 0xff, 0xf3);
    assert_int_equal(f->cpu->state.segment[SEG_DS].attributes & SEGMENT_ACCESSED, SEGMENT_ACCESSED);
    /* A table that cannot be written is no obstacle once the bit is set, but is one before. */
    f->cpu->state.cr0 |= CR0_WP;
    table[GDT >> 12] &= ~2u;
    mmu_load_state(&f->cpu->mmu, f->cpu->state.cr0, f->cpu->state.cr3, 0, 0);
    mov_to(f, SEG_ES, FRESH_DATA3);
    poke32(f, GDT + (FRESH_DATA3 & ~3) + 4, 0x00cff200);
    mov_to_faults(f, SEG_ES, FRESH_DATA3, EXC_PF, PF_PRESENT | PF_WRITE);
    /* Tables are read with supervisor rights even from ring 3. */
    table[GDT >> 12] = GDT | 1;
    mmu_load_state(&f->cpu->mmu, f->cpu->state.cr0, f->cpu->state.cr3, 0, 0);
    mov_to(f, SEG_DS, DATA3);
    fixture_destroy(f);
}

static void test_ldt(void **state)
{
    struct fixture *f = machine_create();

    set_descriptor(f, LDT, 0x0c, 0x5000, 0xfff, 0x4093);
    f->cpu->state.gpr[GPR_AX] = SEL_LDT;
    assert_true(run(f, callout_lldt, ARGS(.rm = GPR_AX)));
    mov_to(f, SEG_DS, 0x0c);
    assert_int_equal(f->cpu->state.segment[SEG_DS].base, 0x5000);
    mov_to_faults(f, SEG_DS, 0x44, EXC_GP, 0x44);
    assert_true(run(f, callout_sldt, ARGS(.rm = GPR_CX)));
    assert_int_equal(f->cpu->state.gpr[GPR_CX], SEL_LDT);
    f->cpu->state.gpr[GPR_AX] = CODE0;
    expect_fault(f, callout_lldt, ARGS(.rm = GPR_AX), EXC_GP, CODE0);
    f->cpu->state.gpr[GPR_AX] = 0x0c;
    expect_fault(f, callout_lldt, ARGS(.rm = GPR_AX), EXC_GP, 0x0c);
    set_descriptor(f, GDT, SEL_LDT, LDT, 0x3f, 0x0002);
    f->cpu->state.gpr[GPR_AX] = SEL_LDT;
    expect_fault(f, callout_lldt, ARGS(.rm = GPR_AX), EXC_NP, SEL_LDT);
    f->cpu->state.gpr[GPR_AX] = 0;
    assert_true(run(f, callout_lldt, ARGS(.rm = GPR_AX)));
    mov_to_faults(f, SEG_DS, 0x0c, EXC_GP, 0x0c);
    enter_ring(f, 3);
    expect_fault(f, callout_lldt, ARGS(.rm = GPR_AX), EXC_GP, 0);
    enter_vm86(f, 3);
    expect_fault(f, callout_lldt, ARGS(.rm = GPR_AX), EXC_UD, 0);
    expect_fault(f, callout_sldt, ARGS(.rm = GPR_AX), EXC_UD, 0);
    fixture_destroy(f);
}

static void test_ltr(void **state)
{
    struct fixture *f = machine_create();

    f->cpu->state.gpr[GPR_AX] = SEL_TSS_B;
    assert_true(run(f, callout_ltr, ARGS(.rm = GPR_AX)));
    assert_int_equal(f->cpu->state.tr.base, TSS_B);
    assert_int_equal(peek32(f, GDT + SEL_TSS_B + 4) >> 8 & 0x1f, SYSTEM_TSS32_BUSY);
    expect_fault(f, callout_ltr, ARGS(.rm = GPR_AX), EXC_GP, SEL_TSS_B); /* busy */
    assert_true(run(f, callout_str, ARGS(.rm = GPR_CX)));
    assert_int_equal(f->cpu->state.gpr[GPR_CX], SEL_TSS_B);
    f->cpu->state.gpr[GPR_AX] = 0;
    expect_fault(f, callout_ltr, ARGS(.rm = GPR_AX), EXC_GP, 0);
    set_descriptor(f, GDT, SEL_TSS_16, TSS_16, 0x2b, 0x0001);
    f->cpu->state.gpr[GPR_AX] = SEL_TSS_16;
    expect_fault(f, callout_ltr, ARGS(.rm = GPR_AX), EXC_NP, SEL_TSS_16);
    fixture_destroy(f);
}

static void test_limits(void **state)
{
    struct fixture *f = machine_create();
    struct vcpu *cpu = f->cpu;
    uint64_t linear, value;

    load_from_gdt(f, SEG_ES, SMALL_DATA0); /* limit 0Fh */
    assert_true(cpu_check_segment_read(cpu, SEG_ES, 0xc, 4, &linear));
    expect_exception(f, cpu_check_segment_read(cpu, SEG_ES, 0xd, 4, &linear), EXC_GP);
    expect_exception(f, cpu_check_segment_write(cpu, SEG_ES, 0x10, 1, &linear), EXC_GP);
    expect_exception(f, cpu_check_segment_read(cpu, SEG_ES, 0xffffffff, 4, &linear), EXC_GP);
    load_from_gdt(f, SEG_ES, EXPAND_DOWN3); /* 2000h..FFFFFFFFh */
    assert_true(cpu_check_segment_read(cpu, SEG_ES, 0x2000, 4, &linear));
    assert_true(cpu_check_segment_write(cpu, SEG_ES, 0xfffffffc, 4, &linear));
    expect_exception(f, cpu_check_segment_read(cpu, SEG_ES, 0xfffffffd, 4, &linear), EXC_GP);
    expect_exception(f, cpu_check_segment_read(cpu, SEG_ES, 0x1fff, 4, &linear), EXC_GP);
    cpu->state.segment[SEG_ES].attributes &= (uint16_t)~SEGMENT_DB; /* up to FFFFh then */
    assert_true(cpu_check_segment_read(cpu, SEG_ES, 0xfffc, 4, &linear));
    expect_exception(f, cpu_check_segment_read(cpu, SEG_ES, 0xfffd, 4, &linear), EXC_GP);
    load_from_gdt(f, SEG_ES, READ_ONLY3);
    assert_true(cpu_check_segment_read(cpu, SEG_ES, 0x2000, 4, &linear));
    expect_exception(f, cpu_check_segment_write(cpu, SEG_ES, 0x2000, 4, &linear), EXC_GP);
    load_from_gdt(f, SEG_CS, EXECUTE_ONLY3);
    expect_exception(f, cpu_check_segment_read(cpu, SEG_CS, 0x2000, 4, &linear), EXC_GP);
    mov_to(f, SEG_ES, 0);
    expect_exception(f, cpu_read_data(cpu, SEG_ES, 0, 1, &value), EXC_GP);
    load_from_gdt(f, SEG_SS, SMALL_DATA0);
    assert_false(cpu_check_segment_read(cpu, SEG_SS, 0x10, 1, &linear));
    assert_int_equal(cpu->exception.vector, EXC_SS);
    fixture_destroy(f);
}

static void test_shapes(void **state)
{
    struct fixture *f = machine_create();
    struct vcpu *cpu = f->cpu;

    enter_ring(f, 3);
    assert_int_equal(MODE_SHAPE(cpu->mode, SEG_DS), SHAPE_FLAT);
    assert_int_equal(MODE_SHAPE(cpu->mode, SEG_CS), SHAPE_FLAT);
    mov_to(f, SEG_ES, READ_ONLY3);
    assert_int_equal(MODE_SHAPE(cpu->mode, SEG_ES), SHAPE_OTHER);
    mov_to(f, SEG_ES, CODE3); /* readable, but not to be written through ES */
    assert_int_equal(MODE_SHAPE(cpu->mode, SEG_ES), SHAPE_OTHER);
    mov_to(f, SEG_ES, DATA3_16);
    assert_int_equal(MODE_SHAPE(cpu->mode, SEG_ES), SHAPE_64K);
    mov_to(f, SEG_ES, EXPAND_DOWN3);
    assert_int_equal(MODE_SHAPE(cpu->mode, SEG_ES), SHAPE_OTHER);
    mov_to(f, SEG_ES, 0);
    assert_int_equal(MODE_SHAPE(cpu->mode, SEG_ES), SHAPE_OTHER);
    assert_int_equal(cpu->mmu.access_class, MMU_USER);
    assert_false(cpu->mode & MODE_AC);
    cpu->state.cr0 |= CR0_AM;
    cpu_set_eflags(cpu, cpu_eflags(cpu) | FLAG_AC);
    assert_true(cpu->mode & MODE_AC);
    assert_true(cpu->mmu.alignment_check);
    cpu->mode |= MODE_COUNTED | MODE_SINGLE;
    enter_ring(f, 0);
    assert_false(cpu->mode & MODE_AC);
    assert_true((cpu->mode & (MODE_COUNTED | MODE_SINGLE)) == (MODE_COUNTED | MODE_SINGLE));
    assert_int_equal(cpu->mmu.access_class, MMU_SUPERVISOR);
    fixture_destroy(f);
}

static void test_real_and_unreal_mode(void **state)
{
    struct fixture *f = machine_create();
    struct vcpu *cpu = f->cpu;
    uint64_t linear;

    mov_to(f, SEG_FS, 0); /* unusable */
    cpu->state.cr0 &= ~CR0_PE;
    cpu_update_mode(cpu);
    assert_int_equal(cpu_cpl(cpu), 0);
    assert_true(cpu_check_segment_write(cpu, SEG_CS, 0, 4, &linear)); /* still a code segment, yet writable */
    mov_to(f, SEG_DS, 0x1234);
    assert_int_equal(cpu->state.segment[SEG_DS].base, 0x12340);
    assert_int_equal(cpu->state.segment[SEG_DS].limit, 0xffffffff); /* unreal */
    assert_true(cpu_check_segment_write(cpu, SEG_DS, 0x100000, 4, &linear));
    assert_int_equal(linear, 0x112340);
    mov_to(f, SEG_FS, 0x1000); /* works again */
    assert_true(cpu_check_segment_write(cpu, SEG_FS, 0, 4, &linear));
    assert_true(run(f, callout_jmp_far, ARGS16(.selector = 0xf000, .immediate = 0x1234)));
    assert_int_equal(cpu->state.segment[SEG_CS].attributes & 0xff, 0x93);
    assert_int_equal(cpu->state.segment[SEG_CS].limit, 0xffffffff);
    mov_to(f, SEG_SS, 0x2000);
    assert_int_equal(SEGMENT_DPL(&cpu->state.segment[SEG_SS]), 0);
    cpu->state.cr0 |= CR0_PE;
    cpu_update_mode(cpu);
    assert_int_equal(cpu_cpl(cpu), 0);
    assert_true(cpu_in_protected_mode(cpu));
    fixture_destroy(f);
}

static void test_push_pop_segment(void **state)
{
    struct fixture *f = machine_create();
    struct vcpu *cpu = f->cpu;

    poke32(f, STACK0 - 4, 0xaaaaaaaa);
    assert_true(run(f, callout_push_segment, ARGS(.reg = SEG_DS)));
    assert_int_equal(cpu->state.gpr[GPR_SP], STACK0 - 4);
    assert_int_equal(peek32(f, STACK0 - 4), 0xaaaa0000 | DATA0); /* 16 bits are written */
    assert_true(run(f, callout_pop_segment, ARGS(.reg = SEG_ES)));
    assert_int_equal(selector_of(f, SEG_ES), DATA0);
    assert_int_equal(cpu->state.gpr[GPR_SP], STACK0);
    push32(f, DATA3);
    expect_fault(f, callout_pop_segment, ARGS(.reg = SEG_SS), EXC_GP, DATA3 & ~3);
    /* POP SS to a 16-bit stack still moves all of ESP. */
    cpu->state.gpr[GPR_SP] = 0x1fffe;
    poke32(f, 0x1fffe, DATA0_16);
    assert_true(run(f, callout_pop_segment, ARGS(.reg = SEG_SS)));
    assert_int_equal(cpu->state.gpr[GPR_SP], 0x20002);
    assert_int_equal(cpu->state.interrupt_shadow, INHIBIT_MOV_SS);
    /* The 16-bit stack wraps; a selector across FFFFh faults, the unwritten half of its 32-bit item does not. */
    cpu->state.gpr[GPR_SP] = 0x70003;
    expect_fault(f, callout_push_segment, ARGS(.reg = SEG_DS), EXC_SS, 0);
    cpu->state.gpr[GPR_SP] = 0x70002;
    assert_true(run(f, callout_push_segment, ARGS(.reg = SEG_DS)));
    assert_int_equal(cpu->state.gpr[GPR_SP], 0x7fffe);
    assert_true(run(f, callout_pop_segment, ARGS(.reg = SEG_ES)));
    assert_int_equal(cpu->state.gpr[GPR_SP], 0x70002);
    cpu->state.gpr[GPR_SP] = 0x70000;
    assert_true(run(f, callout_push_segment, ARGS16(.reg = SEG_DS)));
    assert_int_equal(cpu->state.gpr[GPR_SP], 0x7fffe);
    assert_int_equal(peek16(f, 0xfffe), DATA0);
    fixture_destroy(f);
}

static void test_load_far_pointer(void **state)
{
    struct fixture *f = machine_create();

    poke32(f, SCRATCH, 0x12345678);
    poke16(f, SCRATCH + 4, DATA0_16);
    assert_true(
        run(f, callout_load_far_pointer, ARGS(.row = ROW_LGS, .reg = GPR_BX, .memory = true, .offset = SCRATCH)));
    assert_int_equal(f->cpu->state.gpr[GPR_BX], 0x12345678);
    assert_int_equal(selector_of(f, SEG_GS), DATA0_16);
    assert_true(
        run(f, callout_load_far_pointer, ARGS(.row = ROW_LSS, .reg = GPR_SP, .memory = true, .offset = SCRATCH)));
    assert_int_equal(f->cpu->state.interrupt_shadow, 0); /* LSS needs none */
    poke16(f, SCRATCH + 4, ABSENT_DATA3);
    expect_fault(f, callout_load_far_pointer, ARGS(.row = ROW_LDS, .reg = GPR_BX, .memory = true, .offset = SCRATCH),
                 EXC_NP, ABSENT_DATA3 & ~3);
    expect_fault(f, callout_load_far_pointer, ARGS(.row = ROW_LDS, .reg = GPR_BX), EXC_UD, 0);
    load_from_gdt(f, SEG_ES, SMALL_DATA0); /* the selector is beyond the limit */
    expect_fault(f, callout_load_far_pointer,
                 ARGS_IN(SEG_ES, .row = ROW_LDS, .reg = GPR_BX, .memory = true, .offset = 0xb), EXC_GP, 0);
    fixture_destroy(f);
}

static bool zf(struct fixture *f)
{
    return cpu_eflags(f->cpu) & FLAG_ZF;
}

static bool examine(struct fixture *f, callout_fn callout, uint16_t selector)
{
    f->cpu->state.gpr[GPR_AX] = selector;
    f->cpu->state.gpr[GPR_BX] = 0xdeadbeef;
    assert_true(run(f, callout, ARGS(.rm = GPR_AX, .reg = GPR_BX)));
    return zf(f);
}

static void test_examine(void **state)
{
    struct fixture *f = machine_create();

    set_gate(f, GDT, GATE_A, SYSTEM_CALL_GATE32, 3, CODE0, 0, 0);
    set_gate(f, GDT, GATE_B, SYSTEM_INTERRUPT_GATE32, 3, CODE0, 0, 0);
    enter_ring(f, 3);
    assert_true(examine(f, callout_lar, CODE3));
    assert_int_equal(f->cpu->state.gpr[GPR_BX], 0x00cffb00); /* the processor leaves the limit's bits 19:16 in */
    assert_false(examine(f, callout_lar, DATA0));
    assert_int_equal(f->cpu->state.gpr[GPR_BX], 0xdeadbeef);
    assert_true(examine(f, callout_lar, CONFORMING0 | 3));
    assert_true(examine(f, callout_lar, GATE_A | 3));
    assert_false(examine(f, callout_lar, GATE_B | 3));
    assert_false(examine(f, callout_lar, 0));
    assert_false(examine(f, callout_lar, GDT_END));
    assert_true(examine(f, callout_lsl, ABSENT_DATA3)); /* presence does not matter */
    assert_int_equal(f->cpu->state.gpr[GPR_BX], 0xffffffff);
    assert_false(examine(f, callout_lsl, GATE_A | 3));
    assert_true(examine(f, callout_verr, CODE3));
    assert_false(examine(f, callout_verw, CODE3));
    assert_false(examine(f, callout_verr, EXECUTE_ONLY3));
    assert_true(examine(f, callout_verw, DATA3));
    assert_false(examine(f, callout_verw, READ_ONLY3));
    assert_false(examine(f, callout_verr, DATA0 | 3));
    assert_false(examine(f, callout_verr, SEL_TSS_A));
    enter_ring(f, 0);
    assert_true(examine(f, callout_lar, SEL_TSS_A));
    assert_true(examine(f, callout_lsl, SEL_TSS_B));
    assert_int_equal(f->cpu->state.gpr[GPR_BX], 0x67);
    assert_false(examine(f, callout_verr, DATA0 | 3)); /* RPL */
    enter_vm86(f, 3);
    expect_fault(f, callout_lar, ARGS(.rm = GPR_AX), EXC_UD, 0);
    expect_fault(f, callout_verr, ARGS(.rm = GPR_AX), EXC_UD, 0);
    expect_fault(f, callout_arpl, ARGS(.rm = GPR_AX), EXC_UD, 0);
    fixture_destroy(f);
}

static void test_arpl(void **state)
{
    struct fixture *f = machine_create();

    f->cpu->state.gpr[GPR_AX] = 0x12340010;
    f->cpu->state.gpr[GPR_CX] = 0x0003;
    assert_true(run(f, callout_arpl, ARGS(.rm = GPR_AX, .reg = GPR_CX)));
    assert_true(zf(f));
    assert_int_equal(f->cpu->state.gpr[GPR_AX], 0x12340013);
    assert_true(run(f, callout_arpl, ARGS(.rm = GPR_AX, .reg = GPR_CX)));
    assert_false(zf(f));
    fixture_destroy(f);
}

static void test_store_selector(void **state)
{
    struct fixture *f = machine_create();

    f->cpu->state.gpr[GPR_DX] = 0xffffffff;
    assert_true(run(f, callout_mov_from_segment, ARGS(.reg = SEG_DS, .rm = GPR_DX)));
    assert_int_equal(f->cpu->state.gpr[GPR_DX], DATA0);
    f->cpu->state.gpr[GPR_DX] = 0xffffffff;
    assert_true(run(f, callout_mov_from_segment, ARGS16(.reg = SEG_DS, .rm = GPR_DX)));
    assert_int_equal(f->cpu->state.gpr[GPR_DX], 0xffff0000 | DATA0);
    poke32(f, SCRATCH, 0xffffffff);
    assert_true(run(f, callout_mov_from_segment, ARGS(.reg = SEG_DS, .memory = true, .offset = SCRATCH)));
    assert_int_equal(peek32(f, SCRATCH), 0xffff0000 | DATA0);
    fixture_destroy(f);
}

static void test_bytes_across_pages(void **state)
{
    struct fixture *f = machine_create();
    uint32_t *table = fixture_enable_paging(f);
    uint8_t out[300], in[300];

    enter_ring(f, 3);
    for (unsigned i = 0; i < sizeof out; i++)
        out[i] = (uint8_t)(i * 7);
    assert_true(cpu_write_data_bytes(f->cpu, SEG_DS, SCRATCH + 0xf83, out, sizeof out));
    assert_true(cpu_read_data_bytes(f->cpu, SEG_DS, SCRATCH + 0xf83, in, sizeof in));
    assert_memory_equal(in, out, sizeof in);
    table[(SCRATCH >> 12) + 1] &= ~1u; /* the second page goes: nothing may be written to the first */
    mmu_flush_all(&f->cpu->mmu);
    memset(out, 0xee, sizeof out);
    assert_false(cpu_write_data_bytes(f->cpu, SEG_DS, SCRATCH + 0xf83, out, sizeof out));
    assert_int_equal(f->cpu->exception.vector, EXC_PF);
    assert_int_equal(f->cpu->exception.cr2, SCRATCH + 0x1000);
    assert_memory_equal(f->memory->ram + SCRATCH + 0xf83, in, 0x7d);
    fixture_destroy(f);
}

static void test_reset(void **state)
{
    struct fixture *f = machine_create();
    struct cpu_state *s = &f->cpu->state;

    enter_ring(f, 3);
    f->cpu->pending_debug = 1;
    s->halted = true;
    cpu_reset(f->cpu);
    assert_int_equal(s->rip, 0xfff0);
    assert_int_equal(s->segment[SEG_CS].selector, 0xf000);
    assert_int_equal(s->segment[SEG_CS].base, 0xffff0000);
    assert_int_equal(s->gpr[GPR_DX], f->cpu->model->signature);
    assert_int_equal(s->cr0, 0x60000010);
    assert_int_equal(cpu_eflags(f->cpu), 2);
    assert_int_equal(s->idtr.limit, 0xffff);
    assert_int_equal(s->dr[6], 0xffff0ff0);
    assert_int_equal(s->dr[7], 0x400);
    assert_false(s->halted);
    assert_true(cpu_in_real_mode(f->cpu));
    assert_int_equal(cpu_cpl(f->cpu), 0);
    assert_int_equal(MODE_SHAPE(f->cpu->mode, SEG_CS), SHAPE_64K);
    fixture_destroy(f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_data_segment_loads),
        cmocka_unit_test(test_stack_segment_loads),
        cmocka_unit_test(test_accessed_bit),
        cmocka_unit_test(test_ldt),
        cmocka_unit_test(test_ltr),
        cmocka_unit_test(test_limits),
        cmocka_unit_test(test_shapes),
        cmocka_unit_test(test_real_and_unreal_mode),
        cmocka_unit_test(test_push_pop_segment),
        cmocka_unit_test(test_load_far_pointer),
        cmocka_unit_test(test_examine),
        cmocka_unit_test(test_arpl),
        cmocka_unit_test(test_store_selector),
        cmocka_unit_test(test_bytes_across_pages),
        cmocka_unit_test(test_reset),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

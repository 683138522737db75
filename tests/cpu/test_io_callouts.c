/* IN, OUT, INS, OUTS: permission, repetition, faults in the middle. */
#include "system_fixture.h"

#define TSS 0x7000u

static struct callout_args in_dx(unsigned size)
{
    return (struct callout_args){.operand_size = (uint8_t)size, .address_size = 4, .opcode = size == 1 ? 0xec : 0xed};
}

static struct callout_args out_dx(unsigned size)
{
    return (struct callout_args){.operand_size = (uint8_t)size, .address_size = 4, .opcode = size == 1 ? 0xee : 0xef};
}

static struct callout_args string(unsigned size, unsigned address_size, unsigned repeat)
{
    return (struct callout_args){.operand_size = (uint8_t)size,
                                 .address_size = (uint8_t)address_size,
                                 .segment = SEG_DS,
                                 .repeat = (uint8_t)repeat};
}

static void load_tss(struct fixture *f, unsigned type, uint32_t limit, uint16_t bitmap)
{
    f->cpu->state.tr =
        (struct segment){.base = TSS, .limit = limit, .selector = 0x28, .attributes = (uint16_t)(0x80 | type)};
    memset(f->memory->ram + TSS, 0, 0x1000);
    poke16(f, TSS + 0x66, bitmap);
}

static void test_in_out(void **state)
{
    struct fixture *f = fixture_create("pentium4");
    struct vcpu *cpu = f->cpu;
    struct callout_args args;

    cpu->state.gpr[GPR_DX] = 0xffff0000u | TEST_PORT;
    cpu->state.gpr[GPR_AX] = 0xaaaaaaaabbbbbbbbull;
    args = in_dx(1);
    assert_true(callout_in(cpu, &args));
    assert_int_equal(cpu->state.gpr[GPR_AX], 0xaaaaaaaabbbbbb44ull);
    args = in_dx(2);
    assert_true(callout_in(cpu, &args));
    assert_int_equal(cpu->state.gpr[GPR_AX], 0xaaaaaaaabbbb3345ull);
    args = in_dx(4);
    assert_true(callout_in(cpu, &args));
    assert_int_equal(cpu->state.gpr[GPR_AX], 0x11223346);
    args = out_dx(4);
    assert_true(callout_out(cpu, &args));
    assert_int_equal(f->last_port_write, 0x11223346);
    args = out_dx(1);
    assert_true(callout_out(cpu, &args));
    assert_int_equal(f->last_port_write, 0x46);
    /* The immediate form does not look at DX: port 80h has nobody. */
    args = (struct callout_args){.operand_size = 1, .opcode = 0xe4, .immediate = 0xffffffffffffff80ull};
    unsigned reads = f->port_reads;
    assert_true(callout_in(cpu, &args));
    assert_int_equal(cpu->state.gpr[GPR_AX] & 0xff, 0xff);
    assert_int_equal(f->port_reads, reads);
    fixture_destroy(f);
}

static void test_bitmap(void **state)
{
    struct fixture *f = fixture_create("pentium4");
    struct vcpu *cpu = f->cpu;
    struct callout_args args = in_dx(1), wide = in_dx(4);

    cpu->state.gpr[GPR_DX] = TEST_PORT;
    fixture_enter_protected(f, 3);
    fixture_set_iopl(f, 2);
    expect_exception(f, callout_in(cpu, &args), EXC_GP); /* no TSS at all */
    load_tss(f, 3, 0x2067, 0x68);                        /* 16-bit TSS: no bitmap */
    expect_exception(f, callout_in(cpu, &args), EXC_GP);
    load_tss(f, 11, 0x66, 0x68); /* too short to say where */
    expect_exception(f, callout_in(cpu, &args), EXC_GP);
    load_tss(f, 11, 0x67, 0x68); /* bitmap beyond the limit: no port at all */
    expect_exception(f, callout_in(cpu, &args), EXC_GP);
    /* Port 100h is in byte 20h; that byte and the one behind it are read. */
    load_tss(f, 11, 0x68 + 0x20, 0x68);
    expect_exception(f, callout_in(cpu, &args), EXC_GP);
    load_tss(f, 11, 0x68 + 0x21, 0x68);
    assert_true(callout_in(cpu, &args));
    assert_true(callout_in(cpu, &wide));
    f->memory->ram[TSS + 0x68 + 0x20] = 0x08; /* port 103h */
    assert_true(callout_in(cpu, &args));
    expect_exception(f, callout_in(cpu, &wide), EXC_GP);
    f->memory->ram[TSS + 0x68 + 0x20] = 0x01;
    expect_exception(f, callout_in(cpu, &args), EXC_GP);
    /* Across the byte's end. */
    f->memory->ram[TSS + 0x68 + 0x20] = 0;
    f->memory->ram[TSS + 0x68 + 0x21] = 0x04; /* port 10Ah */
    cpu->state.gpr[GPR_DX] = 0x106;
    assert_true(callout_in(cpu, &wide)); /* 106h..109h */
    cpu->state.gpr[GPR_DX] = 0x107;
    expect_exception(f, callout_in(cpu, &wide), EXC_GP); /* 107h..10Ah */
    /* A bitmap base that would wrap 16 bits does not. */
    load_tss(f, 11, 0xffff, 0xffff);
    expect_exception(f, callout_in(cpu, &args), EXC_GP);
    /* Enough privilege: no bitmap. */
    fixture_set_iopl(f, 3);
    assert_true(callout_in(cpu, &args));
    fixture_set_iopl(f, 0);
    fixture_enter_protected(f, 0);
    assert_true(callout_in(cpu, &args));
    fixture_enter_protected(f, 1);
    expect_exception(f, callout_in(cpu, &args), EXC_GP);
    fixture_destroy(f);
}

static void test_vm86(void **state)
{
    struct fixture *f = fixture_create("pentium4");
    struct callout_args args = out_dx(1);

    f->cpu->state.gpr[GPR_DX] = TEST_PORT;
    fixture_enter_vm86(f);
    fixture_set_iopl(f, 3);
    load_tss(f, 11, 0x68 + 0x21, 0x68);
    assert_true(callout_out(f->cpu, &args));
    f->memory->ram[TSS + 0x68 + 0x20] = 0x01;
    expect_exception(f, callout_out(f->cpu, &args), EXC_GP); /* IOPL 3 does not help here */
    assert_int_equal(f->port_writes, 1);
    fixture_destroy(f);
}

static void test_bitmap_page_fault(void **state)
{
    struct fixture *f = fixture_create("pentium4");
    struct callout_args args = in_dx(1);

    fixture_enter_protected(f, 3);
    uint32_t *table = fixture_enable_paging(f);
    f->cpu->state.gpr[GPR_DX] = TEST_PORT;
    load_tss(f, 11, 0x2fff, 0x1000); /* the bitmap is on the page behind */
    table[7] = 0x7003;               /* supervisor only: the processor may read it all the same */
    table[8] = 0x8003;
    mmu_flush_all(&f->cpu->mmu);
    assert_true(callout_in(f->cpu, &args));
    table[8] = 0;
    mmu_flush_all(&f->cpu->mmu);
    expect_exception(f, callout_in(f->cpu, &args), EXC_PF);
    assert_int_equal(f->cpu->exception.cr2, 0x8020);
    assert_int_equal(f->cpu->exception.error & PF_USER, 0);
    assert_int_equal(f->port_reads, 1);
    fixture_destroy(f);
}

static void test_ins_outs_once(void **state)
{
    struct fixture *f = fixture_create("pentium4");
    struct vcpu *cpu = f->cpu;
    struct callout_args args;

    fixture_enter_protected(f, 0);
    cpu->state.gpr[GPR_DX] = TEST_PORT;
    cpu->state.gpr[GPR_DI] = 0x3000;
    cpu->state.gpr[GPR_SI] = 0x3100;
    cpu->state.gpr[GPR_CX] = 0;
    args = string(2, 4, REPEAT_NONE);
    assert_true(callout_ins(cpu, &args));
    assert_int_equal(peek16(f, 0x3000), 0x3344);
    assert_int_equal(cpu->state.gpr[GPR_DI], 0x3002);
    assert_int_equal(cpu->state.gpr[GPR_CX], 0);
    cpu->state.system_flags |= FLAG_DF;
    poke32(f, 0x3100, 0xdeadbeef);
    args = string(4, 4, REPEAT_NONE);
    assert_true(callout_outs(cpu, &args));
    assert_int_equal(f->last_port_write, 0xdeadbeef);
    assert_int_equal(cpu->state.gpr[GPR_SI], 0x30fc);
    /* OUTS takes the overriding segment, INS always ES. */
    fixture_segment(cpu, SEG_FS, 0x30, 0x1000, 0xffff, 0x4093);
    cpu_update_mode(cpu);
    poke32(f, 0x4000, 0x12345678);
    cpu->state.gpr[GPR_SI] = 0x3000;
    args.segment = SEG_FS;
    assert_true(callout_outs(cpu, &args));
    assert_int_equal(f->last_port_write, 0x12345678);
    cpu->state.gpr[GPR_DI] = 0x3200;
    assert_true(callout_ins(cpu, &args));
    assert_int_equal(peek32(f, 0x3200), 0x11223345);
    fixture_destroy(f);
}

static void test_repeat(void **state)
{
    struct fixture *f = fixture_create("pentium4");
    struct vcpu *cpu = f->cpu;
    struct callout_args args = string(4, 4, REPEAT_E);

    fixture_enter_protected(f, 0);
    cpu->state.rip = 0x1000;
    cpu->next_rip = 0x1002;
    cpu->state.gpr[GPR_DX] = TEST_PORT;
    cpu->state.gpr[GPR_DI] = 0x3000;
    cpu->state.gpr[GPR_CX] = 10;
    assert_true(callout_ins(cpu, &args));
    assert_int_equal(cpu->state.gpr[GPR_CX], 0);
    assert_int_equal(cpu->state.gpr[GPR_DI], 0x3028);
    assert_int_equal(cpu->next_rip, 0x1002);
    for (unsigned i = 0; i < 10; i++)
        assert_int_equal(peek32(f, 0x3000 + 4 * i), 0x11223344 + i);

    /* A long one comes in portions. */
    cpu->state.gpr[GPR_DI] = 0x3000;
    cpu->state.gpr[GPR_CX] = 1300;
    unsigned calls = 0, before = f->port_reads;
    do {
        cpu->next_rip = 0x1002;
        assert_true(callout_ins(cpu, &args));
        calls++;
        assert_int_equal(cpu->next_rip, cpu->state.gpr[GPR_CX] ? 0x1000 : 0x1002);
        assert_int_equal(!!(cpu->state.system_flags & FLAG_RF), cpu->state.gpr[GPR_CX] != 0);
        assert_int_equal(cpu->state.gpr[GPR_DI], 0x3000 + 4 * (1300 - cpu->state.gpr[GPR_CX]));
    } while (cpu->next_rip == 0x1000);
    assert_int_equal(calls, 3);
    assert_int_equal(f->port_reads - before, 1300);

    /* With TF, or when something waits, one element a time. */
    cpu->state.system_flags |= FLAG_TF;
    cpu->state.gpr[GPR_CX] = 3;
    cpu->next_rip = 0x1002;
    assert_true(callout_ins(cpu, &args));
    assert_int_equal(cpu->state.gpr[GPR_CX], 2);
    assert_int_equal(cpu->next_rip, 0x1000);
    cpu->state.system_flags &= ~FLAG_TF;
    atomic_store(&cpu->attention, ATTENTION_INTERRUPT);
    assert_true(callout_ins(cpu, &args));
    assert_int_equal(cpu->state.gpr[GPR_CX], 1);
    cpu->next_rip = 0x1002;
    assert_true(callout_ins(cpu, &args));
    assert_int_equal(cpu->state.gpr[GPR_CX], 0);
    assert_int_equal(cpu->next_rip, 0x1002);
    fixture_destroy(f);
}

static void test_repeat_zero(void **state)
{
    struct fixture *f = fixture_create("pentium4");
    struct vcpu *cpu = f->cpu;
    struct callout_args args = string(1, 4, REPEAT_NE);

    cpu->state.gpr[GPR_DX] = TEST_PORT;
    fixture_enter_protected(f, 0);
    cpu->state.gpr[GPR_DI] = 0x3000;
    cpu->state.gpr[GPR_CX] = 0x100000000ull;  /* ECX is 0 */
    fixture_segment(cpu, SEG_ES, 0, 0, 0, 0); /* null: not looked at */
    cpu_update_mode(cpu);
    assert_true(callout_ins(cpu, &args));
    assert_int_equal(f->port_reads, 0);
    assert_int_equal(cpu->state.gpr[GPR_DI], 0x3000);
    /* 16-bit addresses: CX counts, the upper halves stay. */
    fixture_enter_protected(f, 0);
    args.address_size = 2;
    cpu->state.gpr[GPR_CX] = 0x70000;
    assert_true(callout_ins(cpu, &args));
    assert_int_equal(f->port_reads, 0);
    cpu->state.gpr[GPR_CX] = 0x70002;
    cpu->state.gpr[GPR_DI] = 0x5ffff;
    assert_true(callout_ins(cpu, &args));
    assert_int_equal(f->port_reads, 2);
    assert_int_equal(cpu->state.gpr[GPR_CX], 0x70000);
    assert_int_equal(cpu->state.gpr[GPR_DI], 0x50001);
    assert_int_equal(f->memory->ram[0xffff], 0x44);
    assert_int_equal(f->memory->ram[0], 0x45);
    /* Permission is checked for a count of 0 too. */
    fixture_enter_protected(f, 3);
    expect_exception(f, callout_ins(cpu, &args), EXC_GP);
    expect_exception(f, callout_outs(cpu, &args), EXC_GP);
    fixture_destroy(f);
}

/* The port is not read when the datum could not be stored. */
static void test_ins_faults(void **state)
{
    struct fixture *f = fixture_create("pentium4");
    struct vcpu *cpu = f->cpu;
    struct callout_args args = string(4, 4, REPEAT_E);

    fixture_enter_protected(f, 3);
    fixture_set_iopl(f, 3);
    uint32_t *table = fixture_enable_paging(f);
    table[5] = 0x5005; /* read-only */
    mmu_flush_all(&cpu->mmu);
    cpu->state.rip = 0x1000;
    cpu->next_rip = 0x1002;
    cpu->state.gpr[GPR_DX] = TEST_PORT;
    cpu->state.gpr[GPR_DI] = 0x4ff6;
    cpu->state.gpr[GPR_CX] = 100;
    expect_exception(f, callout_ins(cpu, &args), EXC_PF);
    assert_int_equal(cpu->exception.cr2, 0x5000);
    assert_int_equal(cpu->exception.error, PF_PRESENT | PF_WRITE | PF_USER);
    assert_int_equal(f->port_reads, 2); /* the third would have crossed into the page */
    assert_int_equal(cpu->state.gpr[GPR_DI], 0x4ffe);
    assert_int_equal(cpu->state.gpr[GPR_CX], 98);
    assert_int_equal(peek16(f, 0x4ffe), 0);

    cpu->state.cr0 |= CR0_AM;
    cpu_set_eflags(cpu, FLAG_AC | FLAG_IOPL);
    cpu->state.gpr[GPR_DI] = 0x3002;
    expect_exception(f, callout_ins(cpu, &args), EXC_AC);
    assert_int_equal(f->port_reads, 2);
    cpu_set_eflags(cpu, FLAG_IOPL);
    fixture_segment(cpu, SEG_ES, 0x2b, 0, 0x3002, 0x40f3);
    cpu_update_mode(cpu);
    cpu->state.gpr[GPR_DI] = 0x3000;
    expect_exception(f, callout_ins(cpu, &args), EXC_GP);
    fixture_segment(cpu, SEG_ES, 0x2b, 0, UINT32_MAX, 0xc0f1); /* not writable */
    cpu_update_mode(cpu);
    expect_exception(f, callout_ins(cpu, &args), EXC_GP);
    assert_int_equal(f->port_reads, 2);
    /* OUTS: nothing is written to the port when its datum cannot be read. */
    table[6] = 0;
    mmu_flush_all(&cpu->mmu);
    cpu->state.gpr[GPR_SI] = 0x6000;
    cpu->state.gpr[GPR_CX] = 1;
    expect_exception(f, callout_outs(cpu, &args), EXC_PF);
    assert_int_equal(f->port_writes, 0);
    assert_int_equal(cpu->state.gpr[GPR_CX], 1);
    fixture_destroy(f);
}

static void test_breakpoints(void **state)
{
    struct fixture *f = fixture_create("pentium4");
    struct vcpu *cpu = f->cpu;
    struct callout_args args = in_dx(1);

    fixture_enter_protected(f, 0);
    cpu->state.cr4 = CR4_DE;
    cpu->state.dr[0] = TEST_PORT;
    cpu->state.dr[1] = 0x3008;
    debug_set_dr7(cpu, 2u | 2u << 16 | 2u << 2 | (1u | 3u << 2) << 20); /* 0: port; 1: writes to 4 bytes */
    cpu->state.gpr[GPR_DX] = TEST_PORT;
    assert_true(callout_in(cpu, &args));
    assert_int_equal(cpu->pending_debug, 1);
    args = out_dx(1);
    cpu->pending_debug = 0;
    assert_true(callout_out(cpu, &args));
    assert_int_equal(cpu->pending_debug, 1);
    /* A watchpoint stops the repetition behind the element that hit it. */
    debug_set_dr7(cpu, 2u << 2 | (1u | 3u << 2) << 20);
    atomic_store(&cpu->attention, 0);
    cpu->pending_debug = 0;
    args = string(4, 4, REPEAT_E);
    cpu->state.rip = 0x1000;
    cpu->next_rip = 0x1002;
    cpu->state.gpr[GPR_DI] = 0x3000;
    cpu->state.gpr[GPR_CX] = 8;
    assert_true(callout_ins(cpu, &args));
    assert_int_equal(cpu->pending_debug, 2);
    assert_int_equal(cpu->state.gpr[GPR_CX], 5);
    assert_int_equal(cpu->next_rip, 0x1000);
    fixture_destroy(f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_in_out),        cmocka_unit_test(test_bitmap),
        cmocka_unit_test(test_vm86),          cmocka_unit_test(test_bitmap_page_fault),
        cmocka_unit_test(test_ins_outs_once), cmocka_unit_test(test_repeat),
        cmocka_unit_test(test_repeat_zero),   cmocka_unit_test(test_ins_faults),
        cmocka_unit_test(test_breakpoints),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

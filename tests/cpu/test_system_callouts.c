/* Descriptor-table registers, INVLPG, WBINVD, HLT, UD. */
#include "system_fixture.h"

static struct callout_args memory_at(uint32_t offset, unsigned operand_size)
{
    return (struct callout_args){
        .operand_size = (uint8_t)operand_size, .address_size = 4, .memory = true, .segment = SEG_DS, .offset = offset};
}

static void test_load_tables(void **state)
{
    struct fixture *f = fixture_create("pentium4");
    struct callout_args args = memory_at(0x2001, 4);

    poke16(f, 0x2001, 0x1234);
    poke32(f, 0x2003, 0x89abcdef);
    assert_true(callout_lgdt(f->cpu, &args)); /* real mode */
    assert_int_equal(f->cpu->state.gdtr.limit, 0x1234);
    assert_int_equal(f->cpu->state.gdtr.base, 0x89abcdef);
    fixture_enter_protected(f, 0);
    args.operand_size = 2;
    assert_true(callout_lidt(f->cpu, &args));
    assert_int_equal(f->cpu->state.idtr.limit, 0x1234);
    assert_int_equal(f->cpu->state.idtr.base, 0xabcdef);
    for (unsigned cpl = 1; cpl < 4; cpl++) {
        fixture_enter_protected(f, cpl);
        expect_exception(f, callout_lgdt(f->cpu, &args), EXC_GP);
        expect_exception(f, callout_lidt(f->cpu, &args), EXC_GP);
    }
    fixture_enter_vm86(f);
    expect_exception(f, callout_lgdt(f->cpu, &args), EXC_GP);
    fixture_destroy(f);
}

static void test_store_tables(void **state)
{
    struct fixture *f = fixture_create("pentium4");
    struct callout_args args = memory_at(0x2000, 2);

    f->cpu->state.gdtr = (struct descriptor_table){.base = 0xc1234567, .limit = 0xff};
    f->cpu->state.idtr = (struct descriptor_table){.base = 0xd1234567, .limit = 0x7ff};
    fixture_enter_protected(f, 3);
    memset(f->memory->ram + 0x2000, 0xcc, 16);
    assert_true(callout_sgdt(f->cpu, &args)); /* 16-bit operand: all of the base nevertheless */
    assert_int_equal(peek16(f, 0x2000), 0xff);
    assert_int_equal(peek32(f, 0x2002), 0xc1234567);
    assert_int_equal(peek16(f, 0x2006), 0xcccc);
    args.operand_size = 4;
    assert_true(callout_sidt(f->cpu, &args));
    assert_int_equal(peek16(f, 0x2000), 0x7ff);
    assert_int_equal(peek32(f, 0x2002), 0xd1234567);
    fixture_destroy(f);
}

static void test_faults_change_nothing(void **state)
{
    struct fixture *f = fixture_create("pentium4");
    uint32_t *table;

    fixture_enter_protected(f, 3);
    table = fixture_enable_paging(f);
    table[5] = 0;
    mmu_flush_all(&f->cpu->mmu);
    memset(f->memory->ram + 0x4ff0, 0xcc, 16);
    for (uint32_t offset = 0x4ffb; offset < 0x5000; offset++) {
        struct callout_args args = memory_at(offset, 4);
        expect_exception(f, callout_sgdt(f->cpu, &args), EXC_PF);
        assert_int_equal(f->cpu->exception.cr2, 0x5000);
        assert_int_equal(peek16(f, 0x4ffb), 0xcccc);
        assert_int_equal(peek32(f, 0x4ffc), 0xcccccccc);
    }
    /* Alignment: word and double word are checked apart, and nothing is written before both passed. */
    f->cpu->state.cr0 |= CR0_AM;
    cpu_set_eflags(f->cpu, FLAG_AC);
    struct callout_args args = memory_at(0x2002, 4);
    memset(f->memory->ram + 0x2000, 0xcc, 16);
    assert_true(callout_sgdt(f->cpu, &args)); /* address MOD 4 = 2: both aligned */
    for (unsigned odd = 0; odd < 4; odd++) {
        if (odd == 2)
            continue;
        memset(f->memory->ram + 0x2000, 0xcc, 16);
        args = memory_at(0x2000 + odd, 4);
        expect_exception(f, callout_sgdt(f->cpu, &args), EXC_AC);
        assert_int_equal(peek32(f, 0x2000), 0xcccccccc);
        assert_int_equal(peek32(f, 0x2004), 0xcccccccc);
    }
    /* Beyond the segment. */
    cpu_set_eflags(f->cpu, 0);
    fixture_segment(f->cpu, SEG_DS, 0x2b, 0, 0x2004, 0x40f3);
    cpu_update_mode(f->cpu);
    args = memory_at(0x2000, 4);
    expect_exception(f, callout_sidt(f->cpu, &args), EXC_GP);
    assert_int_equal(peek32(f, 0x2000), 0xcccccccc);
    fixture_destroy(f);
}

static void test_lgdt_fault(void **state)
{
    struct fixture *f = fixture_create("pentium4");
    struct callout_args args = memory_at(0x4ffc, 4);

    fixture_enter_protected(f, 0);
    uint32_t *table = fixture_enable_paging(f);
    table[5] = 0;
    mmu_flush_all(&f->cpu->mmu);
    f->cpu->state.gdtr = (struct descriptor_table){.base = 1, .limit = 2};
    expect_exception(f, callout_lgdt(f->cpu, &args), EXC_PF);
    assert_int_equal(f->cpu->state.gdtr.base, 1);
    assert_int_equal(f->cpu->state.gdtr.limit, 2);
    fixture_destroy(f);
}

static void test_invlpg(void **state)
{
    struct fixture *f = fixture_create("pentium4");
    struct vcpu *cpu = f->cpu;
    uint64_t value;

    fixture_enter_protected(f, 0);
    uint32_t *table = fixture_enable_paging(f);
    poke32(f, 0x5000, 0x55555555);
    poke32(f, 0x6000, 0x66666666);
    assert_true(cpu_read_data(cpu, SEG_DS, 0x5000, 4, &value));
    table[5] = 0x6007;
    assert_true(cpu_read_data(cpu, SEG_DS, 0x5000, 4, &value));
    assert_int_equal(value, 0x55555555); /* still in the TLB */
    /* The segment's base counts, its limit and presence do not; linear addresses wrap. */
    fixture_segment(cpu, SEG_ES, 0, 0x3000, 0, 0);
    struct callout_args args = memory_at(0x2010, 4);
    args.segment = SEG_ES;
    assert_true(callout_invlpg(cpu, &args));
    assert_true(cpu_read_data(cpu, SEG_DS, 0x5000, 4, &value));
    assert_int_equal(value, 0x66666666);
    table[5] = 0x5007;
    fixture_segment(cpu, SEG_ES, 0, 0xffff0000, 0, 0);
    args.offset = 0x15000;
    assert_true(callout_invlpg(cpu, &args));
    assert_true(cpu_read_data(cpu, SEG_DS, 0x5000, 4, &value));
    assert_int_equal(value, 0x55555555);
    fixture_enter_protected(f, 3);
    expect_exception(f, callout_invlpg(cpu, &args), EXC_GP);
    fixture_destroy(f);
}

static void test_privileged(void **state)
{
    struct fixture *f = fixture_create("pentium4");
    const struct callout_args args = {0};

    assert_true(callout_wbinvd(f->cpu, &args));
    assert_true(callout_hlt(f->cpu, &args));
    assert_true(f->cpu->state.halted);
    f->cpu->state.halted = false;
    for (unsigned mode = 1; mode <= 4; mode++) {
        if (mode <= 3)
            fixture_enter_protected(f, mode);
        else
            fixture_enter_vm86(f);
        fixture_set_iopl(f, 3);
        expect_exception(f, callout_hlt(f->cpu, &args), EXC_GP);
        expect_exception(f, callout_wbinvd(f->cpu, &args), EXC_GP);
        assert_false(f->cpu->state.halted);
    }
    expect_exception(f, callout_ud(f->cpu, &args), EXC_UD);
    fixture_destroy(f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_load_tables),
        cmocka_unit_test(test_store_tables),
        cmocka_unit_test(test_faults_change_nothing),
        cmocka_unit_test(test_lgdt_fault),
        cmocka_unit_test(test_invlpg),
        cmocka_unit_test(test_privileged),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

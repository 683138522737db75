/* CLI, STI, PUSHF, POPF in every mode that bends them. */
#include "system_fixture.h"

static const struct callout_args word = {.operand_size = 2}, dword = {.operand_size = 4};

static uint32_t flags(struct fixture *f)
{
    return cpu_eflags(f->cpu);
}

static void set_flags(struct fixture *f, uint32_t set, uint32_t clear)
{
    cpu_set_eflags(f->cpu, (cpu_eflags(f->cpu) | set) & ~clear);
}

static void test_cli_sti_real(void **state)
{
    struct fixture *f = fixture_create("pentium4");

    assert_true(callout_sti(f->cpu, &word));
    assert_true(flags(f) & FLAG_IF);
    assert_int_equal(f->cpu->state.interrupt_shadow, INHIBIT_STI);
    assert_true(atomic_load(&f->cpu->attention) & ATTENTION_EVENT);
    /* No shadow when IF was set already. */
    f->cpu->state.interrupt_shadow = 0;
    assert_true(callout_sti(f->cpu, &word));
    assert_int_equal(f->cpu->state.interrupt_shadow, 0);
    assert_true(callout_cli(f->cpu, &word));
    assert_false(flags(f) & FLAG_IF);
    /* An interrupt that waits is looked at again. */
    atomic_store(&f->cpu->attention, 0);
    atomic_store(&f->cpu->interrupt_line, true);
    assert_true(callout_sti(f->cpu, &word));
    assert_int_equal(atomic_load(&f->cpu->attention), ATTENTION_EVENT | ATTENTION_INTERRUPT);
    fixture_destroy(f);
}

static void test_cli_sti_protected(void **state)
{
    struct fixture *f = fixture_create("pentium4");

    for (unsigned cpl = 0; cpl < 4; cpl++) {
        for (unsigned level = 0; level < 4; level++) {
            fixture_enter_protected(f, cpl);
            fixture_set_iopl(f, level);
            f->cpu->state.cr4 = CR4_VME; /* means nothing here */
            set_flags(f, 0, FLAG_IF);
            if (cpl <= level) {
                assert_true(callout_sti(f->cpu, &word));
                assert_true(flags(f) & FLAG_IF);
                assert_true(callout_cli(f->cpu, &word));
                assert_false(flags(f) & FLAG_IF);
            } else {
                expect_exception(f, callout_sti(f->cpu, &word), EXC_GP);
                expect_exception(f, callout_cli(f->cpu, &word), EXC_GP);
                assert_false(flags(f) & FLAG_VIF);
            }
        }
    }
    fixture_destroy(f);
}

static void test_pvi(void **state)
{
    struct fixture *f = fixture_create("pentium4");

    f->cpu->state.cr4 = CR4_PVI;
    fixture_enter_protected(f, 3);
    fixture_set_iopl(f, 2);
    f->cpu->state.interrupt_shadow = 0;
    assert_true(callout_sti(f->cpu, &word));
    assert_int_equal(flags(f) & (FLAG_VIF | FLAG_IF), FLAG_VIF);
    assert_int_equal(f->cpu->state.interrupt_shadow, 0);
    assert_true(callout_cli(f->cpu, &word));
    assert_int_equal(flags(f) & FLAG_VIF, 0);
    set_flags(f, FLAG_VIP | FLAG_IF, 0);
    expect_exception(f, callout_sti(f->cpu, &word), EXC_GP);
    assert_true(callout_cli(f->cpu, &word)); /* VIP matters to STI only */
    assert_true(flags(f) & FLAG_IF);
    /* PVI is for CPL 3 only. */
    fixture_enter_protected(f, 1);
    fixture_set_iopl(f, 0);
    set_flags(f, 0, FLAG_VIP);
    expect_exception(f, callout_sti(f->cpu, &word), EXC_GP);
    expect_exception(f, callout_cli(f->cpu, &word), EXC_GP);
    /* IOPL 3: the real IF. */
    fixture_enter_protected(f, 3);
    fixture_set_iopl(f, 3);
    assert_true(callout_cli(f->cpu, &word));
    assert_false(flags(f) & FLAG_IF);
    fixture_destroy(f);
}

static void test_vme_cli_sti(void **state)
{
    struct fixture *f = fixture_create("pentium4");

    fixture_enter_vm86(f);
    fixture_set_iopl(f, 0);
    f->cpu->state.cr4 = CR4_PVI; /* not VME */
    expect_exception(f, callout_sti(f->cpu, &word), EXC_GP);
    expect_exception(f, callout_cli(f->cpu, &word), EXC_GP);
    f->cpu->state.cr4 = CR4_VME;
    assert_true(callout_sti(f->cpu, &word));
    assert_int_equal(flags(f) & (FLAG_VIF | FLAG_IF), FLAG_VIF);
    set_flags(f, FLAG_VIP, 0);
    expect_exception(f, callout_sti(f->cpu, &word), EXC_GP);
    assert_true(callout_cli(f->cpu, &word));
    assert_false(flags(f) & FLAG_VIF);
    fixture_set_iopl(f, 3);
    assert_true(callout_sti(f->cpu, &word)); /* VIP does not matter at IOPL 3 */
    assert_int_equal(flags(f) & (FLAG_VIF | FLAG_IF), FLAG_IF);
    fixture_destroy(f);
}

static uint32_t pushed(struct fixture *f, const struct callout_args *args)
{
    uint32_t sp = (uint32_t)f->cpu->state.gpr[GPR_SP];

    poke32(f, sp - 4, 0);
    assert_true(callout_pushf(f->cpu, args));
    assert_int_equal(f->cpu->state.gpr[GPR_SP], sp - args->operand_size);
    uint32_t value = args->operand_size == 2 ? peek16(f, sp - 2) : peek32(f, sp - 4);
    f->cpu->state.gpr[GPR_SP] = sp;
    return value;
}

static void test_pushf(void **state)
{
    struct fixture *f = fixture_create("pentium4");

    set_flags(f, FLAG_ARITHMETIC | FLAG_RF | FLAG_AC | FLAG_ID | FLAG_NT | FLAG_IF | FLAG_VIF, 0);
    assert_int_equal(pushed(f, &dword), (flags(f) & ~(uint32_t)FLAG_RF));
    assert_int_equal(pushed(f, &word), (uint16_t)flags(f));
    fixture_enter_protected(f, 3);
    f->cpu->state.cr4 = CR4_PVI; /* PUSHF knows no PVI */
    fixture_set_iopl(f, 0);
    set_flags(f, FLAG_VIF, FLAG_IF);
    assert_int_equal(pushed(f, &dword) & (FLAG_IF | FLAG_IOPL | FLAG_RF), 0);

    /* Virtual-8086 mode */
    f->cpu->state.cr4 = 0;
    fixture_enter_vm86(f);
    fixture_set_iopl(f, 3);
    assert_int_equal(pushed(f, &dword), flags(f) & ~(uint32_t)(FLAG_RF | FLAG_VM));
    for (unsigned level = 0; level < 3; level++) {
        fixture_set_iopl(f, level);
        f->cpu->state.cr4 = 0;
        expect_exception(f, callout_pushf(f->cpu, &word), EXC_GP);
        expect_exception(f, callout_pushf(f->cpu, &dword), EXC_GP);
        f->cpu->state.cr4 = CR4_VME;
        expect_exception(f, callout_pushf(f->cpu, &dword), EXC_GP);
        set_flags(f, FLAG_VIF, FLAG_IF);
        assert_int_equal(pushed(f, &word), (uint16_t)flags(f) | FLAG_IF | FLAG_IOPL);
        set_flags(f, FLAG_IF, FLAG_VIF);
        assert_int_equal(pushed(f, &word), ((uint16_t)flags(f) | FLAG_IOPL) & ~(uint32_t)FLAG_IF);
    }
    fixture_destroy(f);
}

static bool popf(struct fixture *f, const struct callout_args *args, uint32_t image)
{
    uint32_t sp = (uint32_t)f->cpu->state.gpr[GPR_SP];

    poke32(f, sp, image);
    bool ok = callout_popf(f->cpu, args);
    assert_int_equal(f->cpu->state.gpr[GPR_SP], sp + (ok ? args->operand_size : 0));
    f->cpu->state.gpr[GPR_SP] = sp;
    return ok;
}

#define LOW (FLAG_ARITHMETIC | FLAG_TF | FLAG_DF | FLAG_NT)

static void test_popf_privilege(void **state)
{
    struct fixture *f = fixture_create("pentium4");

    for (unsigned cpl = 0; cpl < 4; cpl++) {
        for (unsigned level = 0; level < 4; level++) {
            uint32_t expected = LOW;

            expected |= cpl == 0 ? FLAG_IOPL : 0;
            expected |= cpl <= level ? FLAG_IF : 0;
            fixture_enter_protected(f, cpl);
            cpu_set_eflags(f->cpu, FLAG_RF | level << 12);
            assert_true(popf(f, &word, UINT32_MAX));
            assert_int_equal(flags(f), expected | FLAG_FIXED | level << 12);
            cpu_set_eflags(f->cpu, FLAG_RF | level << 12);
            assert_true(popf(f, &dword, UINT32_MAX));
            assert_int_equal(flags(f), expected | FLAG_AC | FLAG_ID | FLAG_FIXED | level << 12);
            /* All the way down; VIF and VIP stay. */
            cpu_set_eflags(f->cpu, expected | FLAG_AC | FLAG_ID | FLAG_VIF | FLAG_VIP | level << 12);
            assert_true(popf(f, &dword, 0));
            assert_int_equal(flags(f), FLAG_FIXED | FLAG_VIF | FLAG_VIP | (cpl == 0 ? 0 : level << 12));
            cpu_set_eflags(f->cpu, FLAG_AC | FLAG_ID);
            assert_true(popf(f, &word, 0));
            assert_int_equal(flags(f), FLAG_FIXED | FLAG_AC | FLAG_ID);
        }
    }
    fixture_destroy(f);
}

static void test_popf_real(void **state)
{
    struct fixture *f = fixture_create("486");

    assert_true(popf(f, &dword, UINT32_MAX));
    assert_int_equal(flags(f), LOW | FLAG_IF | FLAG_IOPL | FLAG_AC | FLAG_ID | FLAG_FIXED);
    assert_true(atomic_load(&f->cpu->attention) & ATTENTION_EVENT); /* TF */
    assert_true(popf(f, &word, 0));
    assert_int_equal(flags(f), FLAG_AC | FLAG_ID | FLAG_FIXED);
    /* AC takes effect at CPL 3. */
    fixture_enter_protected(f, 3);
    f->cpu->state.cr0 |= CR0_AM;
    cpu_set_eflags(f->cpu, 0);
    assert_true(popf(f, &dword, FLAG_AC));
    assert_true(f->cpu->mode & MODE_AC);
    fixture_destroy(f);
}

static void test_popf_vm86(void **state)
{
    struct fixture *f = fixture_create("pentium4");

    fixture_enter_vm86(f);
    cpu_set_eflags(f->cpu, FLAG_VM | FLAG_IOPL | FLAG_RF);
    assert_true(popf(f, &dword, UINT32_MAX & ~(uint32_t)(FLAG_VM | FLAG_IOPL)));
    assert_int_equal(flags(f), FLAG_VM | FLAG_IOPL | LOW | FLAG_IF | FLAG_AC | FLAG_ID | FLAG_FIXED);
    assert_true(popf(f, &word, 0));
    assert_int_equal(flags(f), FLAG_VM | FLAG_IOPL | FLAG_AC | FLAG_ID | FLAG_FIXED);

    cpu_set_eflags(f->cpu, FLAG_VM | 2u << 12);
    expect_exception(f, popf(f, &word, 0), EXC_GP);
    f->cpu->state.cr4 = CR4_VME;
    expect_exception(f, popf(f, &dword, 0), EXC_GP);
    assert_true(popf(f, &word, 0xffff & ~(uint32_t)FLAG_TF));
    assert_int_equal(flags(f), FLAG_VM | 2u << 12 | (LOW & ~(uint32_t)FLAG_TF) | FLAG_VIF | FLAG_FIXED);
    assert_true(popf(f, &word, 0));
    assert_int_equal(flags(f), FLAG_VM | 2u << 12 | FLAG_FIXED);
    expect_exception(f, popf(f, &word, FLAG_TF), EXC_GP);
    cpu_set_eflags(f->cpu, FLAG_VM | FLAG_VIP);
    expect_exception(f, popf(f, &word, FLAG_IF), EXC_GP);
    assert_int_equal(flags(f), FLAG_VM | FLAG_VIP | FLAG_FIXED);
    assert_true(popf(f, &word, FLAG_CF));
    assert_int_equal(flags(f), FLAG_VM | FLAG_VIP | FLAG_CF | FLAG_FIXED);
    fixture_destroy(f);
}

/* A fault on the stack leaves flags and SP alone. */
static void test_stack_faults(void **state)
{
    struct fixture *f = fixture_create("pentium4");
    uint32_t *table;

    fixture_enter_protected(f, 3);
    table = fixture_enable_paging(f);
    table[5] = 0;
    mmu_flush_all(&f->cpu->mmu);
    cpu_set_eflags(f->cpu, FLAG_CF);
    f->cpu->state.gpr[GPR_SP] = 0x5ffe;
    expect_exception(f, callout_popf(f->cpu, &dword), EXC_PF);
    assert_int_equal(f->cpu->exception.cr2, 0x5ffe);
    assert_int_equal(f->cpu->state.gpr[GPR_SP], 0x5ffe);
    assert_int_equal(flags(f), FLAG_CF | FLAG_FIXED);
    f->cpu->state.gpr[GPR_SP] = 0x6002;
    expect_exception(f, callout_pushf(f->cpu, &dword), EXC_PF);
    assert_int_equal(f->cpu->state.gpr[GPR_SP], 0x6002);
    f->cpu->state.segment[SEG_SS].limit = 0xfff;
    cpu_update_segment_ends(f->cpu, &f->cpu->state.segment[SEG_SS]);
    cpu_update_mode(f->cpu);
    expect_exception(f, callout_popf(f->cpu, &dword), EXC_SS);
    fixture_destroy(f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_cli_sti_real), cmocka_unit_test(test_cli_sti_protected),
        cmocka_unit_test(test_pvi),          cmocka_unit_test(test_vme_cli_sti),
        cmocka_unit_test(test_pushf),        cmocka_unit_test(test_popf_privilege),
        cmocka_unit_test(test_popf_real),    cmocka_unit_test(test_popf_vm86),
        cmocka_unit_test(test_stack_faults),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

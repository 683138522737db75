/* x87 and SSE state: between host and cpu->state, and in memory in all its layouts. */
#include "system_fixture.h"

#include "cpu/fpu.h"

#define AREA 0x4000u

static uint16_t host_fcw(void)
{
    uint16_t value;

    __asm__ volatile("fnstcw %0" : "=m"(value));
    return value;
}

static uint32_t host_mxcsr(void)
{
    uint32_t value;

    __asm__ volatile("stmxcsr %0" : "=m"(value));
    return value;
}

static int setup(void **state)
{
    *state = fixture_create("pentium4");
    return 0;
}

static int teardown(void **state)
{
    fixture_destroy(*state);
    return 0;
}

static struct callout_args memory_args(unsigned operand_size, uint32_t offset)
{
    return (struct callout_args){
        .operand_size = (uint8_t)operand_size, .address_size = 4, .segment = SEG_DS, .memory = true, .offset = offset};
}

/* Three registers in use, pointers that show which is which. */
static struct x87_state example(void)
{
    struct x87_state x87 = {.fcw = 0x027f, .fsw = 0x2901, .ftw = 0xe0, .fop = 0x5a3, .fip = 0x12345678, .fcs = 0x9abc,
                            .fdp = 0x87654321, .fds = 0xcdef};

    memcpy(x87.st[0], (const uint8_t[]){0, 0, 0, 0, 0, 0, 0, 0x80, 0xff, 0x3f}, 10); /* 1 */
    memcpy(x87.st[1], (const uint8_t[]){0, 0, 0, 0, 0, 0, 0, 0, 0, 0}, 10);
    memcpy(x87.st[2], (const uint8_t[]){0, 0, 0, 0, 0, 0, 0, 0x80, 0xff, 0x7f}, 10); /* infinity */
    return x87;
}

static void prepare(struct fixture *f, unsigned mode)
{
    if (mode == 1)
        fixture_enter_protected(f, 0);
    else if (mode == 2)
        fixture_enter_vm86(f);
    f->cpu->state.cr4 |= CR4_OSFXSR;
    f->cpu->state.cr0 |= CR0_NE;
    f->cpu->state.x87 = example();
    f->cpu->state.mxcsr = MXCSR_INIT;
    memset(f->memory->ram + AREA, 0xee, 1024);
}

static void test_load_and_spill(void **state)
{
    struct fixture *f = *state;
    struct x87_state before;
    uint16_t fcw = host_fcw();
    uint32_t mxcsr = host_mxcsr();

    prepare(f, 0);
    f->cpu->state.mxcsr = 0x7fc0;
    before = f->cpu->state.x87;
    cpu_fpu_load(f->cpu);
    assert_int_equal(host_fcw(), 0x027f);
    assert_int_equal(host_mxcsr(), 0x7fc0);
    assert_int_equal(cpu_get_mxcsr(f->cpu), 0x7fc0);
    cpu_fpu_load(f->cpu); /* again: nothing */
    __asm__ volatile("fld1");
    cpu_fpu_spill(f->cpu);
    assert_int_equal(host_fcw(), fcw);
    assert_int_equal(host_mxcsr(), mxcsr);
    assert_int_equal(f->cpu->state.x87.ftw, 0xf0);
    assert_int_equal(f->cpu->state.x87.fsw & 0x3800, 0x2000);
    assert_memory_equal(f->cpu->state.x87.st[1], before.st[0], 10);
    assert_int_equal(f->cpu->state.x87.fip, before.fip);
    assert_int_equal(f->cpu->state.mxcsr, 0x7fc0);
    cpu_fpu_spill(f->cpu);
    assert_int_equal(f->cpu->state.x87.ftw, 0xf0);
}

/* Intel SDM vol. 3, table 9-1 */
static void test_reset(void **state)
{
    struct fixture *f = *state;
    static const uint8_t zero[16];

    prepare(f, 0);
    cpu_fpu_load(f->cpu);
    cpu_fpu_reset(f->cpu);
    assert_false(f->cpu->fpu_resident);
    assert_int_equal(f->cpu->state.x87.fcw, 0x0040);
    assert_int_equal(f->cpu->state.x87.fsw, 0);
    assert_int_equal(f->cpu->state.x87.ftw, 0xff);
    assert_int_equal(f->cpu->state.x87.fip, 0);
    assert_int_equal(f->cpu->state.mxcsr, 0x1f80);
    assert_memory_equal(f->cpu->state.x87.st[0], zero, 16);
    assert_memory_equal(f->cpu->state.xmm[3].u8, zero, 16);
    /* Tags read as zero, 01. */
    struct callout_args args = memory_args(2, AREA);
    assert_true(callout_fnstenv(f->cpu, &args));
    assert_int_equal(peek16(f, AREA + 4), 0x5555);
}

/* The tag word of example(): physical registers 7, 6, 5 hold infinity, zero, one; TOP = 5. */
#define EXAMPLE_TAGS 0x93ff

static void test_environment_protected_32(void **state)
{
    struct fixture *f = *state;
    static const uint32_t expected[7] = {0xffff027f, 0xffff2901, 0xffff0000 | EXAMPLE_TAGS, 0x12345678, 0x05a39abc,
                                         0x87654321, 0xffffcdef};
    struct callout_args args = memory_args(4, AREA);

    prepare(f, 1);
    assert_true(callout_fnstenv(f->cpu, &args));
    assert_memory_equal(f->memory->ram + AREA, expected, 28);
    assert_int_equal(peek32(f, AREA + 28), 0xeeeeeeee);
    assert_int_equal(f->cpu->state.x87.fcw, 0x027f | 0x3f);
    f->cpu->state.x87 = (struct x87_state){.fcw = 0x37f};
    assert_true(callout_fldenv(f->cpu, &args));
    struct x87_state want = example();
    assert_int_equal(f->cpu->state.x87.fcw, want.fcw);
    assert_int_equal(f->cpu->state.x87.fsw, want.fsw);
    assert_int_equal(f->cpu->state.x87.ftw, want.ftw);
    assert_int_equal(f->cpu->state.x87.fop, want.fop);
    assert_int_equal(f->cpu->state.x87.fip, want.fip);
    assert_int_equal(f->cpu->state.x87.fcs, want.fcs);
    assert_int_equal(f->cpu->state.x87.fdp, want.fdp);
    assert_int_equal(f->cpu->state.x87.fds, want.fds);
}

static void test_environment_protected_16(void **state)
{
    struct fixture *f = *state;
    static const uint16_t expected[7] = {0x027f, 0x2901, EXAMPLE_TAGS, 0x5678, 0x9abc, 0x4321, 0xcdef};
    struct callout_args args = memory_args(2, AREA);

    prepare(f, 1);
    assert_true(callout_fnstenv(f->cpu, &args));
    assert_memory_equal(f->memory->ram + AREA, expected, 14);
    assert_int_equal(peek16(f, AREA + 14), 0xeeee);
    assert_true(callout_fldenv(f->cpu, &args));
    assert_int_equal(f->cpu->state.x87.fip, 0x5678);
    assert_int_equal(f->cpu->state.x87.fcs, 0x9abc);
    assert_int_equal(f->cpu->state.x87.fop, 0);
    assert_int_equal(f->cpu->state.x87.fdp, 0x4321);
    assert_int_equal(f->cpu->state.x87.fds, 0xcdef);
}

/* Linear pointers: 9ABC0h + 12345678h = 123E0238h, CDEF0h + 87654321h = 87722211h. Virtual-8086 mode has the same. */
static void test_environment_real(void **state)
{
    struct fixture *f = *state;
    static const uint32_t expected_32[7] = {0xffff027f, 0xffff2901, 0xffff0000 | EXAMPLE_TAGS, 0xffff0238,
                                            0x0123e5a3, 0xffff2211, 0x08772000};
    static const uint16_t expected_16[7] = {0x027f, 0x2901, EXAMPLE_TAGS, 0x0238, 0xe5a3, 0x2211, 0x2000};

    for (unsigned mode = 0; mode <= 2; mode += 2) {
        struct callout_args args = memory_args(4, AREA);

        prepare(f, mode);
        assert_true(callout_fnstenv(f->cpu, &args));
        assert_memory_equal(f->memory->ram + AREA, expected_32, 28);
        assert_true(callout_fldenv(f->cpu, &args));
        assert_int_equal(f->cpu->state.x87.fip, 0x123e0238);
        assert_int_equal(f->cpu->state.x87.fcs, 0);
        assert_int_equal(f->cpu->state.x87.fop, 0x5a3);
        assert_int_equal(f->cpu->state.x87.fdp, 0x87722211);
        prepare(f, mode);
        args.operand_size = 2;
        assert_true(callout_fnstenv(f->cpu, &args));
        assert_memory_equal(f->memory->ram + AREA, expected_16, 14);
        assert_true(callout_fldenv(f->cpu, &args));
        assert_int_equal(f->cpu->state.x87.fip, 0xe0238);
        assert_int_equal(f->cpu->state.x87.fop, 0x5a3);
        assert_int_equal(f->cpu->state.x87.fdp, 0x22211);
    }
}

static void test_save_and_restore(void **state)
{
    struct fixture *f = *state;

    for (unsigned size = 2; size <= 4; size += 2) {
        struct callout_args args = memory_args(size, AREA);
        unsigned header = size == 2 ? 14 : 28;
        struct x87_state want = example();

        prepare(f, 1);
        assert_true(callout_fnsave(f->cpu, &args));
        assert_memory_equal(f->memory->ram + AREA + header, want.st[0], 10);
        assert_memory_equal(f->memory->ram + AREA + header + 20, want.st[2], 10);
        assert_int_equal(f->memory->ram[AREA + header + 80], 0xee);
        assert_int_equal(f->cpu->state.x87.fcw, X87_FCW_INIT);
        assert_int_equal(f->cpu->state.x87.fsw, 0);
        assert_int_equal(f->cpu->state.x87.ftw, 0);
        assert_int_equal(f->cpu->state.x87.fip, 0);
        assert_int_equal(f->cpu->state.x87.fds, 0);
        assert_int_equal(f->cpu->state.x87.fop, 0);
        assert_true(callout_frstor(f->cpu, &args));
        assert_int_equal(f->cpu->state.x87.fcw, want.fcw);
        assert_int_equal(f->cpu->state.x87.fsw, want.fsw);
        assert_int_equal(f->cpu->state.x87.ftw, want.ftw);
        for (unsigned i = 0; i < 3; i++)
            assert_memory_equal(f->cpu->state.x87.st[i], want.st[i], 10);
    }
}

static void test_faults_change_nothing(void **state)
{
    struct fixture *f = *state;
    struct callout_args args = memory_args(4, 0xfff0);
    struct x87_state want;

    prepare(f, 0); /* limit FFFFh */
    want = f->cpu->state.x87;
    expect_exception(f, callout_fnsave(f->cpu, &args), EXC_GP);
    expect_exception(f, callout_fnstenv(f->cpu, &args), EXC_GP);
    expect_exception(f, callout_fldenv(f->cpu, &args), EXC_GP);
    expect_exception(f, callout_frstor(f->cpu, &args), EXC_GP);
    expect_exception(f, callout_fxsave(f->cpu, &args), EXC_GP);
    expect_exception(f, callout_fxrstor(f->cpu, &args), EXC_GP);
    assert_memory_equal(&want, &f->cpu->state.x87, sizeof want);

    uint32_t *table = fixture_enable_paging(f);
    fixture_enter_protected(f, 3);
    table[5] = 0;
    mmu_flush_all(&f->cpu->mmu);
    args.offset = 0x5000 - 32;
    memset(f->memory->ram + args.offset, 0xee, 64);
    expect_exception(f, callout_fnsave(f->cpu, &args), EXC_PF);
    expect_exception(f, callout_fxsave(f->cpu, &args), EXC_PF);
    expect_exception(f, callout_fxrstor(f->cpu, &args), EXC_PF);
    expect_exception(f, callout_frstor(f->cpu, &args), EXC_PF);
    assert_int_equal(peek32(f, (uint32_t)args.offset), 0xeeeeeeee);
    assert_memory_equal(&want, &f->cpu->state.x87, sizeof want);
}

static void test_alignment_check(void **state)
{
    struct fixture *f = *state;

    fixture_enter_protected(f, 3);
    prepare(f, 3);
    f->cpu->state.cr0 |= CR0_AM;
    f->cpu->state.system_flags |= FLAG_AC;
    cpu_update_mode(f->cpu);
    assert_true(f->cpu->mmu.alignment_check);
    for (unsigned offset = 1; offset < 16; offset += offset) {
        struct callout_args args = memory_args(4, AREA + offset);

        if (offset % 4) {
            expect_exception(f, callout_fnstenv(f->cpu, &args), EXC_AC);
            expect_exception(f, callout_frstor(f->cpu, &args), EXC_AC);
        } else {
            assert_true(callout_fnstenv(f->cpu, &args));
            assert_true(callout_fldenv(f->cpu, &args));
        }
        expect_exception(f, callout_fxsave(f->cpu, &args), offset % 4 ? EXC_AC : EXC_GP);
        args.operand_size = 2;
        if (offset % 2)
            expect_exception(f, callout_fnsave(f->cpu, &args), EXC_AC);
        else
            assert_true(callout_fnsave(f->cpu, &args));
    }
}

static void test_fxsave(void **state)
{
    struct fixture *f = *state;
    struct callout_args args = memory_args(4, AREA);
    struct x87_state want = example();
    const uint8_t *area = f->memory->ram + AREA;

    prepare(f, 1);
    for (unsigned i = 0; i < 8; i++)
        memset(f->cpu->state.xmm[i].u8, 0x10 + (int)i, 16);
    f->cpu->state.mxcsr = 0x1fa1;
    assert_true(callout_fxsave(f->cpu, &args));
    assert_int_equal(peek16(f, AREA), 0x027f);
    assert_int_equal(peek16(f, AREA + 2), 0x2901);
    assert_int_equal(peek16(f, AREA + 4), 0x00e0);
    assert_int_equal(peek16(f, AREA + 6), 0x5a3);
    assert_int_equal(peek32(f, AREA + 8), 0x12345678);
    assert_int_equal(peek32(f, AREA + 12), 0x9abc);
    assert_int_equal(peek32(f, AREA + 16), 0x87654321);
    assert_int_equal(peek32(f, AREA + 20), 0xcdef);
    assert_int_equal(peek32(f, AREA + 24), 0x1fa1);
    assert_int_equal(peek32(f, AREA + 28), 0xffff);
    assert_memory_equal(area + 32, want.st[0], 16);
    assert_int_equal(area[160], 0x10);
    assert_int_equal(area[287], 0x17);
    assert_int_equal(area[288], 0xee); /* XMM8 ... are not there in 32-bit code */
    assert_int_equal(area[511], 0xee);
    assert_int_equal(f->cpu->state.x87.fcw, 0x027f); /* unlike FNSAVE */

    memset(f->cpu->state.xmm, 0, sizeof f->cpu->state.xmm);
    f->cpu->state.x87 = (struct x87_state){.fcw = 0x37f};
    f->cpu->state.mxcsr = MXCSR_INIT;
    assert_true(callout_fxrstor(f->cpu, &args));
    assert_memory_equal(&want, &f->cpu->state.x87, sizeof want);
    assert_int_equal(f->cpu->state.mxcsr, 0x1fa1);
    assert_int_equal(f->cpu->state.xmm[7].u8[15], 0x17);
}

static void test_fxsave_without_osfxsr(void **state)
{
    struct fixture *f = *state;
    struct callout_args args = memory_args(4, AREA);

    prepare(f, 1);
    f->cpu->state.cr4 = 0;
    assert_true(callout_fxsave(f->cpu, &args));
    assert_int_equal(peek16(f, AREA), 0x027f);
    assert_int_equal(f->memory->ram[AREA + 160], 0xee);
    memset(f->cpu->state.xmm[0].u8, 0x77, 16);
    poke32(f, AREA + 24, 0xffffffff); /* MXCSR is not looked at */
    assert_true(callout_fxrstor(f->cpu, &args));
    assert_int_equal(f->cpu->state.xmm[0].u8[0], 0x77);
    assert_int_equal(f->cpu->state.mxcsr, MXCSR_INIT);
}

static void test_fxrstor_checks(void **state)
{
    struct fixture *f = *state;
    struct callout_args args = memory_args(4, AREA);

    prepare(f, 1);
    assert_true(callout_fxsave(f->cpu, &args));
    poke32(f, AREA + 24, 0x10000);
    expect_exception(f, callout_fxrstor(f->cpu, &args), EXC_GP);
    assert_int_equal(f->cpu->state.mxcsr, MXCSR_INIT);
    poke32(f, AREA + 24, MXCSR_INIT);
    for (unsigned offset = 1; offset < 16; offset++) {
        args.offset = AREA + offset;
        expect_exception(f, callout_fxrstor(f->cpu, &args), EXC_GP);
        expect_exception(f, callout_fxsave(f->cpu, &args), EXC_GP);
    }
    args.offset = AREA;
    /* The error summary follows from flags and masks, whatever the image says. */
    poke16(f, AREA, 0x37e);
    poke16(f, AREA + 2, 0x0001);
    assert_true(callout_fxrstor(f->cpu, &args));
    assert_int_equal(f->cpu->state.x87.fsw, 0x8081);
    poke16(f, AREA, 0x37f);
    poke16(f, AREA + 2, 0x8081);
    assert_true(callout_fxrstor(f->cpu, &args));
    assert_int_equal(f->cpu->state.x87.fsw, 0x0001);
    /* Reserved bits of FCW do not stick. */
    poke16(f, AREA, 0xffff);
    poke16(f, AREA + 2, 0);
    assert_true(callout_fxrstor(f->cpu, &args));
    assert_int_equal(f->cpu->state.x87.fcw, 0x1f7f);
}

static void test_mxcsr(void **state)
{
    struct fixture *f = *state;
    struct callout_args args = memory_args(4, AREA);

    prepare(f, 1);
    poke32(f, AREA, 0x7fbf);
    assert_true(callout_ldmxcsr(f->cpu, &args));
    assert_int_equal(f->cpu->state.mxcsr, 0x7fbf);
    poke32(f, AREA, 0x10000);
    expect_exception(f, callout_ldmxcsr(f->cpu, &args), EXC_GP);
    cpu_fpu_load(f->cpu);
    poke32(f, AREA, 0x3fc0);
    assert_true(callout_ldmxcsr(f->cpu, &args));
    assert_int_equal(host_mxcsr(), 0x3fc0);
    args.offset = AREA + 8;
    assert_true(callout_stmxcsr(f->cpu, &args));
    assert_int_equal(peek32(f, AREA + 8), 0x3fc0);
    cpu_fpu_spill(f->cpu);
    assert_int_equal(f->cpu->state.mxcsr, 0x3fc0);
    f->cpu->state.cr4 = 0;
    expect_exception(f, callout_stmxcsr(f->cpu, &args), EXC_UD);
    f->cpu->state.cr4 = CR4_OSFXSR;
    f->cpu->state.cr0 |= CR0_TS;
    expect_exception(f, callout_stmxcsr(f->cpu, &args), EXC_NM);
    f->cpu->state.cr0 |= CR0_EM;
    expect_exception(f, callout_ldmxcsr(f->cpu, &args), EXC_UD);
    expect_exception(f, callout_fxsave(f->cpu, &args), EXC_NM);
    expect_exception(f, callout_fnsave(f->cpu, &args), EXC_NM);
}

/* No denormals-are-zeros on the Pentium III: bit 6 is reserved. */
static void test_mxcsr_mask_of_model(void **state)
{
    struct fixture *f = fixture_create("pentium3");
    struct callout_args args = memory_args(4, AREA);

    prepare(f, 1);
    poke32(f, AREA, 0x1fc0);
    expect_exception(f, callout_ldmxcsr(f->cpu, &args), EXC_GP);
    assert_true(callout_fxsave(f->cpu, &args));
    assert_int_equal(peek32(f, AREA + 28), 0xffbf);
    fixture_destroy(f);

    f = fixture_create("pentium2"); /* FXSAVE, but no SSE */
    prepare(f, 1);
    memset(f->memory->ram + AREA, 0xee, 512);
    assert_true(callout_fxsave(f->cpu, &args));
    assert_int_equal(peek32(f, AREA + 24), 0);
    assert_int_equal(peek32(f, AREA + 28), 0);
    assert_int_equal(f->memory->ram[AREA + 160], 0xee);
    fixture_destroy(f);
}

static void test_waiting(void **state)
{
    struct fixture *f = *state;
    struct callout_args args = memory_args(4, AREA);

    prepare(f, 1);
    memset(f->memory->ram + AREA, 0, 512);
    f->cpu->state.x87.fcw = 0x37e;
    f->cpu->state.x87.fsw = 0x8081;
    expect_exception(f, callout_fldenv(f->cpu, &args), EXC_MF);
    expect_exception(f, callout_frstor(f->cpu, &args), EXC_MF);
    assert_true(callout_fxsave(f->cpu, &args));
    assert_int_equal(peek16(f, AREA + 2), 0x8081);
    assert_true(callout_fnstenv(f->cpu, &args));
    assert_int_equal(peek16(f, AREA + 4), 0x8081);
    /* Loading an error makes it pending. */
    f->cpu->state.x87.fsw = 0;
    assert_true(callout_fldenv(f->cpu, &args));
    assert_true(cpu_fpu_error_pending(f->cpu));
    /* CR0.NE = 0: the instruction is tried again after the interrupt. */
    f->cpu->state.cr0 &= ~CR0_NE;
    f->cpu->state.rip = 0x1000;
    f->cpu->next_rip = 0x1002;
    assert_true(callout_frstor(f->cpu, &args));
    assert_int_equal(f->cpu->next_rip, 0x1000);
    assert_true(f->cpu->ferr);
    cpu_set_ignne(f->cpu, true);
    memset(f->memory->ram + AREA, 0, 108);
    poke16(f, AREA, 0x37f);
    f->cpu->next_rip = 0x1002;
    assert_true(callout_frstor(f->cpu, &args));
    assert_int_equal(f->cpu->next_rip, 0x1002);
    assert_false(f->cpu->ferr);
    assert_false(cpu_fpu_error_pending(f->cpu));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_load_and_spill, setup, teardown),
        cmocka_unit_test_setup_teardown(test_reset, setup, teardown),
        cmocka_unit_test_setup_teardown(test_environment_protected_32, setup, teardown),
        cmocka_unit_test_setup_teardown(test_environment_protected_16, setup, teardown),
        cmocka_unit_test_setup_teardown(test_environment_real, setup, teardown),
        cmocka_unit_test_setup_teardown(test_save_and_restore, setup, teardown),
        cmocka_unit_test_setup_teardown(test_faults_change_nothing, setup, teardown),
        cmocka_unit_test_setup_teardown(test_alignment_check, setup, teardown),
        cmocka_unit_test_setup_teardown(test_fxsave, setup, teardown),
        cmocka_unit_test_setup_teardown(test_fxsave_without_osfxsr, setup, teardown),
        cmocka_unit_test_setup_teardown(test_fxrstor_checks, setup, teardown),
        cmocka_unit_test_setup_teardown(test_mxcsr, setup, teardown),
        cmocka_unit_test(test_mxcsr_mask_of_model),
        cmocka_unit_test_setup_teardown(test_waiting, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

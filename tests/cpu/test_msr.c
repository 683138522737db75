/* RDMSR, WRMSR, RDTSC, RDPMC. */
#include "system_fixture.h"

#include "base/clock.h"
#include "cpu/msr.h"

static const struct callout_args no_args;

static bool rdmsr(struct fixture *f, uint32_t number, uint64_t *value)
{
    f->cpu->state.gpr[GPR_CX] = number;
    if (!callout_rdmsr(f->cpu, &no_args))
        return false;
    assert_int_equal(f->cpu->state.gpr[GPR_AX] >> 32, 0);
    *value = f->cpu->state.gpr[GPR_AX] | f->cpu->state.gpr[GPR_DX] << 32;
    return true;
}

static bool wrmsr(struct fixture *f, uint32_t number, uint64_t value)
{
    f->cpu->state.gpr[GPR_CX] = number;
    f->cpu->state.gpr[GPR_AX] = (uint32_t)value;
    f->cpu->state.gpr[GPR_DX] = value >> 32;
    return callout_wrmsr(f->cpu, &no_args);
}

static uint64_t get(struct fixture *f, uint32_t number)
{
    uint64_t value = 0;
    assert_true(rdmsr(f, number, &value));
    return value;
}

static void refuse_both(struct fixture *f, uint32_t number)
{
    uint64_t value;
    expect_exception(f, rdmsr(f, number, &value), EXC_GP);
    expect_exception(f, wrmsr(f, number, 0), EXC_GP);
}

static struct fixture *create(const char *model)
{
    struct fixture *f = fixture_create(model);
    cpu_reset_msrs(f->cpu);
    return f;
}

static void test_unknown(void **state)
{
    static const char *const models[] = {"486", "pentium", "pentium2", "pentium3", "pentium4", "max"};

    for (unsigned i = 0; i < ARRAY_SIZE(models); i++) {
        struct fixture *f = create(models[i]);
        refuse_both(f, 0x3a);
        refuse_both(f, 0x19a);
        refuse_both(f, 0x40000000);
        refuse_both(f, 0xc0000081);
        refuse_both(f, 0xffffffff);
        fixture_destroy(f);
    }
    struct fixture *f = create("pentium4");
    refuse_both(f, MSR_EFER);
    refuse_both(f, MSR_P6_COUNTER0);
    refuse_both(f, 0x410); /* fifth bank */
    fixture_destroy(f);
    f = create("pentium");
    refuse_both(f, MSR_APIC_BASE); /* the APIC is there, the register is not */
    refuse_both(f, MSR_SYSENTER_CS);
    refuse_both(f, MSR_PAT);
    refuse_both(f, MSR_MTRR_CAPABILITY);
    refuse_both(f, MSR_BIOS_SIGNATURE);
    fixture_destroy(f);
    f = create("486");
    refuse_both(f, MSR_APIC_BASE);
    refuse_both(f, MSR_TSC);
    fixture_destroy(f);
}

static void test_privilege(void **state)
{
    struct fixture *f = create("pentium4");
    uint64_t value;

    for (unsigned cpl = 1; cpl <= 3; cpl++) {
        fixture_enter_protected(f, cpl);
        expect_exception(f, rdmsr(f, MSR_PAT, &value), EXC_GP);
        expect_exception(f, wrmsr(f, MSR_PAT, PAT_AFTER_RESET), EXC_GP);
    }
    fixture_enter_vm86(f);
    expect_exception(f, rdmsr(f, MSR_PAT, &value), EXC_GP);
    fixture_enter_protected(f, 0);
    assert_int_equal(get(f, MSR_PAT), PAT_AFTER_RESET);
    fixture_destroy(f);
}

static void test_storage(void **state)
{
    struct fixture *f = create("pentium4");

    assert_true(wrmsr(f, MSR_SYSENTER_CS, 0x1234567800000060));
    assert_int_equal(get(f, MSR_SYSENTER_CS), 0x60);
    assert_true(wrmsr(f, MSR_SYSENTER_ESP, 0xc0100000));
    assert_true(wrmsr(f, MSR_SYSENTER_EIP, 0xc0200000));
    assert_int_equal(f->cpu->state.sysenter_esp, 0xc0100000);
    assert_int_equal(f->cpu->state.sysenter_eip, 0xc0200000);
    assert_true(wrmsr(f, MSR_BIOS_SIGNATURE, 0));
    assert_int_equal(get(f, MSR_BIOS_SIGNATURE), 0);
    assert_int_equal(get(f, MSR_PLATFORM_ID), 0);
    expect_exception(f, wrmsr(f, MSR_PLATFORM_ID, 0), EXC_GP);
    uint64_t value;
    assert_true(wrmsr(f, MSR_BIOS_UPDATE_TRIGGER, 0x1000));
    expect_exception(f, rdmsr(f, MSR_BIOS_UPDATE_TRIGGER, &value), EXC_GP);

    assert_int_equal(get(f, MSR_MISC_ENABLE) & 1, 1);       /* fast strings */
    assert_int_equal(get(f, MSR_MISC_ENABLE) & 1u << 7, 0); /* no performance monitoring */
    assert_true(wrmsr(f, MSR_MISC_ENABLE, 0));
    assert_int_equal(get(f, MSR_MISC_ENABLE), 0x1800);
    assert_true(wrmsr(f, MSR_MISC_ENABLE, UINT64_MAX));
    assert_int_equal(get(f, MSR_MISC_ENABLE) & 1u << 7, 0);

    assert_true(wrmsr(f, MSR_DEBUGCTL, 2));
    assert_int_equal(get(f, MSR_DEBUGCTL), 2);
    expect_exception(f, wrmsr(f, MSR_DEBUGCTL, 0x20), EXC_GP);
    f->cpu->tsc_hz = 2600000000u;
    assert_int_equal(get(f, MSR_EBC_FREQUENCY_ID), 26u << 24);
    fixture_destroy(f);
}

static void test_memory_types(void **state)
{
    struct fixture *f = create("pentium3");

    assert_true(wrmsr(f, MSR_PAT, 0x0007010600070106));
    assert_int_equal(get(f, MSR_PAT), 0x0007010600070106);
    expect_exception(f, wrmsr(f, MSR_PAT, 0x0007010600070206), EXC_GP); /* 2 and 3 are reserved */
    expect_exception(f, wrmsr(f, MSR_PAT, 0x0300000000000000), EXC_GP);
    expect_exception(f, wrmsr(f, MSR_PAT, 0x0800000000000000), EXC_GP);
    assert_int_equal(get(f, MSR_PAT), 0x0007010600070106);

    assert_int_equal(get(f, MSR_MTRR_CAPABILITY), 0x508);
    expect_exception(f, wrmsr(f, MSR_MTRR_CAPABILITY, 0x508), EXC_GP);
    for (uint32_t i = 0; i < 8; i++) {
        assert_true(wrmsr(f, MSR_MTRR_PHYSICAL_BASE0 + 2 * i, i << 28 | 6));
        assert_true(wrmsr(f, MSR_MTRR_PHYSICAL_BASE0 + 2 * i + 1, 0xff0000800));
    }
    assert_int_equal(get(f, MSR_MTRR_PHYSICAL_BASE0 + 6), 3u << 28 | 6);
    assert_int_equal(get(f, MSR_MTRR_PHYSICAL_BASE0 + 15), 0xff0000800);
    refuse_both(f, MSR_MTRR_PHYSICAL_BASE0 + 16);
    expect_exception(f, wrmsr(f, MSR_MTRR_PHYSICAL_BASE0, 2), EXC_GP);
    expect_exception(f, wrmsr(f, MSR_MTRR_PHYSICAL_BASE0, 0x106), EXC_GP);
    expect_exception(f, wrmsr(f, MSR_MTRR_PHYSICAL_BASE0, 1ull << 36), EXC_GP);
    expect_exception(f, wrmsr(f, MSR_MTRR_PHYSICAL_BASE0 + 1, 1), EXC_GP);
    expect_exception(f, wrmsr(f, MSR_MTRR_PHYSICAL_BASE0 + 1, 1ull << 36), EXC_GP);

    static const uint32_t fixed[] = {0x250, 0x258, 0x259, 0x268, 0x269, 0x26a, 0x26b, 0x26c, 0x26d, 0x26e, 0x26f};
    for (unsigned i = 0; i < ARRAY_SIZE(fixed); i++) {
        assert_true(wrmsr(f, fixed[i], i & 1 ? 0x0606060606060606 : 0x0505050505050505));
        assert_int_equal(f->cpu->state.mtrr_fixed[i], i & 1 ? 0x0606060606060606 : 0x0505050505050505);
    }
    expect_exception(f, wrmsr(f, 0x250, 0x0606060706060606), EXC_GP);
    refuse_both(f, 0x251);
    refuse_both(f, 0x270);

    assert_true(wrmsr(f, MSR_MTRR_DEFAULT_TYPE, 0xc06));
    expect_exception(f, wrmsr(f, MSR_MTRR_DEFAULT_TYPE, 0xc02), EXC_GP);
    expect_exception(f, wrmsr(f, MSR_MTRR_DEFAULT_TYPE, 0x1000), EXC_GP);
    assert_int_equal(get(f, MSR_MTRR_DEFAULT_TYPE), 0xc06);
    fixture_destroy(f);
}

static uint64_t told_apic_base;
static unsigned told_count;
static void hear_apic_base(void *opaque, uint64_t value)
{
    told_apic_base = value;
    told_count++;
}

static void test_apic_base(void **state)
{
    static const char *const models[] = {"pentium2", "pentium3", "pentium4", "max"};

    for (unsigned i = 0; i < ARRAY_SIZE(models); i++) {
        struct fixture *f = create(models[i]);
        struct cpuid_leaf leaf;

        assert_int_equal(get(f, MSR_APIC_BASE), 0xfee00900);
        assert_true(wrmsr(f, MSR_APIC_BASE, 0xfee00900)); /* nobody listens: no harm */
        f->cpu->environment.set_apic_base = hear_apic_base;
        told_count = 0;
        /* 7..0, 9, 10 (x2APIC), 63..36 are reserved */
        for (unsigned bit = 0; bit < 64; bit++) {
            uint64_t value = 0xfee00900 ^ 1ull << bit;
            if (bit < 8 || bit == 9 || bit == 10 || bit >= 36)
                expect_exception(f, wrmsr(f, MSR_APIC_BASE, value), EXC_GP);
        }
        assert_int_equal(told_count, 0);
        assert_true(wrmsr(f, MSR_APIC_BASE, 0xabcdef900));
        assert_int_equal(get(f, MSR_APIC_BASE), 0xabcdef900);
        assert_int_equal(told_apic_base, 0xabcdef900);
        cpu_model_cpuid(f->cpu, 1, 0, &leaf);
        assert_int_equal(leaf.edx & CPUID1_EDX_APIC, CPUID1_EDX_APIC);
        assert_true(wrmsr(f, MSR_APIC_BASE, 0xfee00100));
        assert_int_equal(told_count, 2);
        cpu_model_cpuid(f->cpu, 1, 0, &leaf);
        assert_int_equal(leaf.edx & CPUID1_EDX_APIC, 0);
        cpu_reset_msrs(f->cpu);
        assert_int_equal(get(f, MSR_APIC_BASE), 0xfee00900);
        f->cpu->index = 3;
        cpu_reset_msrs(f->cpu);
        assert_int_equal(get(f, MSR_APIC_BASE), 0xfee00800);
        cpu_model_cpuid(f->cpu, 1, 0, &leaf);
        assert_int_equal(leaf.ebx >> 24, 3);
        fixture_destroy(f);
    }
}

/* What INIT leaves alone, and what it does not (Intel SDM vol. 3, table 9-1). */
static void test_init(void **state)
{
    struct fixture *f = create("pentium4");
    struct vcpu *cpu = f->cpu;

    cpu_reset(cpu);
    assert_true(wrmsr(f, MSR_PAT, 0x0007010600070106));
    assert_true(wrmsr(f, MSR_APIC_BASE, 0xfed00900));
    assert_true(wrmsr(f, MSR_SYSENTER_EIP, 0xc0200000));
    cpu->state.xmm[3].u32[1] = 0x12345678;
    cpu->state.mxcsr = 0x1fa0;
    cpu->state.x87.fcw = 0x27f;
    cpu->state.cr0 = CR0_PE | CR0_NW | CR0_ET | CR0_WP;
    cpu->state.cr4 = CR4_PSE;
    cpu->state.cr2 = 1;
    cpu->state.gpr[GPR_SI] = 7;
    cpu->state.rip = 0x1234;
    cpu->state.halted = cpu->state.nmi_blocked = true;
    cpu->state.a20_enabled = false;
    mmu_set_a20(&cpu->mmu, false);
    cpu_post_init(cpu);
    assert_true(atomic_load(&cpu->init_pending));
    assert_true(atomic_load(&cpu->attention) & ATTENTION_RESET);
    cpu_init(cpu);
    assert_false(atomic_load(&cpu->init_pending));
    assert_int_equal(cpu->state.cr0, CR0_NW | CR0_ET);
    assert_int_equal(cpu->state.cr4 | cpu->state.cr2 | cpu->state.gpr[GPR_SI], 0);
    assert_int_equal(cpu->state.gpr[GPR_DX], cpu->model->signature);
    assert_int_equal(cpu->state.rip, 0xfff0);
    assert_int_equal(cpu->state.segment[SEG_CS].base, 0xffff0000);
    assert_false(cpu->state.halted || cpu->state.nmi_blocked || cpu->state.a20_enabled);
    assert_true(cpu_in_real_mode(cpu));
    assert_int_equal(get(f, MSR_PAT), 0x0007010600070106);
    assert_int_equal(get(f, MSR_APIC_BASE), 0xfed00900);
    assert_int_equal(get(f, MSR_SYSENTER_EIP), 0xc0200000);
    assert_int_equal(cpu->state.xmm[3].u32[1], 0x12345678);
    assert_int_equal(cpu->state.mxcsr, 0x1fa0);
    assert_int_equal(cpu->state.x87.fcw, 0x27f);
    cpu_reset(cpu);
    assert_int_equal(get(f, MSR_APIC_BASE), 0xfee00900);
    assert_int_equal(cpu->state.mxcsr, 0x1f80);
    assert_true(cpu->state.a20_enabled);
    fixture_destroy(f);
}

static void test_machine_check(void **state)
{
    struct fixture *f = create("pentium2");

    assert_int_equal(get(f, MSR_MCG_CAPABILITY), 0x105);
    expect_exception(f, wrmsr(f, MSR_MCG_CAPABILITY, 0), EXC_GP);
    for (uint32_t bank = 0; bank < 5; bank++) {
        assert_true(wrmsr(f, MSR_MC0_CONTROL + 4 * bank, UINT64_MAX));
        assert_int_equal(get(f, MSR_MC0_CONTROL + 4 * bank), UINT64_MAX);
        assert_true(wrmsr(f, MSR_MC0_CONTROL + 4 * bank + 1, 0));
        expect_exception(f, wrmsr(f, MSR_MC0_CONTROL + 4 * bank + 1, 1), EXC_GP);
        assert_int_equal(get(f, MSR_MC0_CONTROL + 4 * bank + 1), 0);
    }
    refuse_both(f, MSR_MC0_CONTROL + 20);
    assert_int_equal(get(f, MSR_P5_MC_TYPE), 0);
    fixture_destroy(f);
}

static void test_efer(void **state)
{
    struct fixture *f = create("max");

    assert_int_equal(get(f, MSR_EFER), 0);
    assert_true(wrmsr(f, MSR_EFER, EFER_NXE));
    assert_int_equal(f->cpu->state.efer, EFER_NXE);
    assert_int_equal(f->cpu->mmu.efer, EFER_NXE);
    expect_exception(f, wrmsr(f, MSR_EFER, EFER_SCE), EXC_GP);
    expect_exception(f, wrmsr(f, MSR_EFER, EFER_LME), EXC_GP);
    assert_int_equal(get(f, MSR_EFER), EFER_NXE);
    fixture_destroy(f);
}

static void test_tsc(void **state)
{
    struct fixture *f = create("pentium4");
    struct vcpu *cpu = f->cpu;

    cpu->clock = clock_create_counted(0, NULL, NULL);
    cpu->tsc_hz = 2000000000u;
    cpu_reset_msrs(cpu);
    assert_int_equal(cpu_read_tsc(cpu), 0);
    clock_advance_instructions(cpu->clock, 1000);
    assert_int_equal(cpu_read_tsc(cpu), 2000);
    assert_true(callout_rdtsc(cpu, &no_args));
    assert_int_equal(cpu->state.gpr[GPR_AX], 2000);
    assert_int_equal(cpu->state.gpr[GPR_DX], 0);
    /* A product of more than 64 bits: 100 days at 2 GHz. */
    clock_set_now(cpu->clock, 8640000000000000ull);
    assert_int_equal(cpu_read_tsc(cpu), 17280000000000000ull);
    assert_true(callout_rdtsc(cpu, &no_args));
    assert_int_equal(cpu->state.gpr[GPR_DX], 17280000000000000ull >> 32);
    /* Northwood can only set the low half. */
    assert_true(wrmsr(f, MSR_TSC, 0x500000001));
    assert_int_equal(get(f, MSR_TSC), 1);
    clock_set_now(cpu->clock, 8640000000000010ull);
    assert_int_equal(get(f, MSR_TSC), 21);
    cpu->model = cpu_model_find("max", NULL);
    assert_true(wrmsr(f, MSR_TSC, 0x500000001));
    assert_int_equal(get(f, MSR_TSC), 0x500000001);
    clock_destroy(cpu->clock);
    cpu->clock = NULL;
    fixture_destroy(f);
}

static void test_tsd(void **state)
{
    struct fixture *f = create("pentium4");

    f->cpu->state.cr4 = CR4_TSD;
    assert_true(callout_rdtsc(f->cpu, &no_args)); /* real mode */
    fixture_enter_protected(f, 0);
    assert_true(callout_rdtsc(f->cpu, &no_args));
    fixture_enter_protected(f, 3);
    expect_exception(f, callout_rdtsc(f->cpu, &no_args), EXC_GP);
    f->cpu->state.cr4 = 0;
    assert_true(callout_rdtsc(f->cpu, &no_args));
    f->cpu->state.cr4 = CR4_TSD;
    fixture_enter_vm86(f);
    expect_exception(f, callout_rdtsc(f->cpu, &no_args), EXC_GP);
    fixture_destroy(f);
}

static void test_rdpmc(void **state)
{
    struct fixture *f = create("pentium3");

    assert_true(wrmsr(f, MSR_P6_COUNTER0 + 1, 0x80000000));
    assert_int_equal(get(f, MSR_P6_COUNTER0 + 1), 0xff80000000);
    f->cpu->state.gpr[GPR_CX] = 1;
    assert_true(callout_rdpmc(f->cpu, &no_args));
    assert_int_equal(f->cpu->state.gpr[GPR_AX], 0x80000000);
    assert_int_equal(f->cpu->state.gpr[GPR_DX], 0xff);
    f->cpu->state.gpr[GPR_CX] = 2;
    expect_exception(f, callout_rdpmc(f->cpu, &no_args), EXC_GP);
    f->cpu->state.gpr[GPR_CX] = 0;
    fixture_enter_protected(f, 3);
    expect_exception(f, callout_rdpmc(f->cpu, &no_args), EXC_GP);
    f->cpu->state.cr4 = CR4_PCE;
    assert_true(callout_rdpmc(f->cpu, &no_args));
    fixture_destroy(f);

    f = create("pentium4");
    f->cpu->state.gpr[GPR_CX] = 17;
    assert_true(callout_rdpmc(f->cpu, &no_args));
    f->cpu->state.gpr[GPR_CX] = 0x80000000;
    assert_true(callout_rdpmc(f->cpu, &no_args));
    f->cpu->state.gpr[GPR_CX] = 18;
    expect_exception(f, callout_rdpmc(f->cpu, &no_args), EXC_GP);
    fixture_destroy(f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_unknown),      cmocka_unit_test(test_privilege),     cmocka_unit_test(test_storage),
        cmocka_unit_test(test_memory_types), cmocka_unit_test(test_machine_check), cmocka_unit_test(test_apic_base),
        cmocka_unit_test(test_init),         cmocka_unit_test(test_efer),
        cmocka_unit_test(test_tsc),          cmocka_unit_test(test_tsd),           cmocka_unit_test(test_rdpmc),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

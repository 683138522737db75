/* CPU models and CPUID. */
#include "system_fixture.h"

static void cpuid(struct fixture *f, uint32_t leaf)
{
    const struct callout_args args = {0};

    for (unsigned i = 0; i < 4; i++)
        f->cpu->state.gpr[i] = 0xffffffffffffffffull;
    f->cpu->state.gpr[GPR_AX] = 0xdead00000000ull << 16 | leaf;
    assert_true(callout_cpuid(f->cpu, &args));
    for (unsigned i = 0; i < 4; i++)
        assert_int_equal(f->cpu->state.gpr[i] >> 32, 0);
}

#define EAX(f) ((uint32_t)(f)->cpu->state.gpr[GPR_AX])
#define EBX(f) ((uint32_t)(f)->cpu->state.gpr[GPR_BX])
#define ECX(f) ((uint32_t)(f)->cpu->state.gpr[GPR_CX])
#define EDX(f) ((uint32_t)(f)->cpu->state.gpr[GPR_DX])

static void test_find(void **state)
{
    static const char *const names[] = {"486", "pentium", "pentium2", "pentium3", "pentium4", "max"};
    struct error err;

    for (unsigned i = 0; i < ARRAY_SIZE(names); i++) {
        assert_non_null(cpu_model_find(names[i], &err));
        assert_string_equal(cpu_model_find(names[i], NULL)->name, names[i]);
        assert_string_equal(cpu_model_at(i)->name, names[i]);
        assert_int_equal(strlen(cpu_model_at(i)->vendor), 12);
    }
    assert_null(cpu_model_at(ARRAY_SIZE(names)));
    assert_null(cpu_model_find("pentium5", &err));
    assert_non_null(strstr(err.message, "'pentium5'"));
    for (unsigned i = 0; i < ARRAY_SIZE(names); i++)
        assert_non_null(strstr(err.message, names[i]));
    assert_null(cpu_model_find("", NULL));
}

/* What CPUID claims is what the decoder lets through and what CR4 and the MSRs offer. */
static void test_consistency(void **state)
{
    static const struct {
        unsigned bit;
        enum cpu_feature feature;
    } pairs[] = {{0, FEATURE_FPU},  {4, FEATURE_TSC},   {5, FEATURE_MSR},    {8, FEATURE_CX8},
                 {11, FEATURE_SEP}, {15, FEATURE_CMOV}, {15, FEATURE_FCMOV}, {19, FEATURE_CLFLUSH},
                 {23, FEATURE_MMX}, {24, FEATURE_FXSR}, {25, FEATURE_SSE},   {26, FEATURE_SSE2}};
    static const struct {
        unsigned bit;
        uint32_t cr4;
    } control[] = {{1, CR4_VME | CR4_PVI}, {2, CR4_DE},   {3, CR4_PSE},     {4, CR4_TSD},        {6, CR4_PAE},
                   {7, CR4_MCE},           {13, CR4_PGE}, {24, CR4_OSFXSR}, {25, CR4_OSXMMEXCPT}};
    const struct cpu_model *m;

    for (unsigned n = 0; (m = cpu_model_at(n)); n++) {
        for (unsigned i = 0; i < ARRAY_SIZE(pairs); i++)
            assert_int_equal(m->cpuid1_edx >> pairs[i].bit & 1, cpu_has(m, pairs[i].feature));
        for (unsigned i = 0; i < ARRAY_SIZE(control); i++)
            assert_int_equal(m->cr4_mask & control[i].cr4, m->cpuid1_edx >> control[i].bit & 1 ? control[i].cr4 : 0);
        assert_int_equal(!!(m->cr4_mask & CR4_PCE), cpu_has(m, FEATURE_RDPMC));
        assert_int_equal(m->cpuid1_edx >> 12 & 1, m->mtrr_count != 0);
        assert_int_equal(m->cpuid1_edx >> 16 & 1, m->has_pat);
        assert_int_equal(m->cpuid1_edx >> 17 & 1, m->has_pse36);
        assert_int_equal(m->extended1_edx >> 20 & 1, m->has_nx);
        assert_int_equal(m->physical_bits, m->cpuid1_edx >> 6 & 1 ? 36 : 32);
        assert_int_equal(cpu_model_has_apic(m), cpu_model_family(m) >= 5); /* the Pentium's came with the P54C */
        assert_int_equal(m->cpuid1_ecx, 0);
        assert_true(m->mtrr_count <= 8);
        assert_int_equal(m->eflags_mask & FLAG_FIXED, FLAG_FIXED);
        assert_int_equal(m->eflags_mask & 0xffc08028, 0);
    }
    assert_false(cpu_has(cpu_model_find("pentium", NULL), FEATURE_NOPL));
    assert_true(cpu_has(cpu_model_find("pentium2", NULL), FEATURE_NOPL));
    assert_false(cpu_has(cpu_model_find("486", NULL), FEATURE_PENTIUM));
}

static void test_pentium4(void **state)
{
    struct fixture *f = fixture_create("pentium4");
    char text[49] = {0};

    cpuid(f, 0);
    assert_int_equal(EAX(f), 2);
    assert_int_equal(EBX(f), 0x756e6547);
    assert_int_equal(EDX(f), 0x49656e69);
    assert_int_equal(ECX(f), 0x6c65746e);
    cpuid(f, 1);
    assert_int_equal(EAX(f), 0xf29);
    assert_int_equal(EBX(f) >> 8 & 0xff, 8);
    assert_int_equal(ECX(f), 0);
    assert_int_equal(EDX(f), 0x078bf9ff);
    cpuid(f, 2);
    assert_int_equal(EAX(f) & 0xff, 1);
    uint32_t descriptors = EDX(f);
    assert_int_not_equal(descriptors, 0);
    /* Out of range: the highest basic leaf. */
    cpuid(f, 3);
    assert_int_equal(EDX(f), descriptors);
    cpuid(f, 0x40000000);
    assert_int_equal(EDX(f), descriptors);
    cpuid(f, 0x80000005);
    assert_int_equal(EDX(f), descriptors);
    cpuid(f, 0xffffffff);
    assert_int_equal(EDX(f), descriptors);
    cpuid(f, 0x80000000);
    assert_int_equal(EAX(f), 0x80000004);
    cpuid(f, 0x80000001);
    assert_int_equal(EDX(f), 0);
    for (unsigned part = 0; part < 3; part++) {
        cpuid(f, 0x80000002 + part);
        uint32_t words[4] = {EAX(f), EBX(f), ECX(f), EDX(f)};
        memcpy(text + 16 * part, words, 16);
    }
    assert_string_equal(text, f->cpu->model->brand);
    fixture_destroy(f);
}

static void test_others(void **state)
{
    struct fixture *f = fixture_create("486");
    cpuid(f, 0);
    assert_int_equal(EAX(f), 1);
    cpuid(f, 1);
    assert_int_equal(EAX(f), 0x480);
    assert_int_equal(EDX(f), 0xb);
    cpuid(f, 0x80000000); /* no extended leaves: answers as leaf 1, which is below 80000000h */
    assert_int_equal(EAX(f), 0x480);
    fixture_destroy(f);

    f = fixture_create("pentium");
    cpuid(f, 1);
    assert_int_equal(EAX(f), 0x52c);
    assert_int_equal(EDX(f), 0x1bf);
    fixture_destroy(f);

    f = fixture_create("pentium2");
    cpuid(f, 1);
    assert_int_equal(EAX(f), 0x652);
    assert_int_equal(EDX(f), 0x0183f9ff);
    fixture_destroy(f);

    f = fixture_create("pentium3");
    cpuid(f, 1);
    assert_int_equal(EAX(f), 0x68a);
    assert_int_equal(EDX(f), 0x0383f9ff);
    fixture_destroy(f);

    f = fixture_create("max");
    cpuid(f, 0x80000001);
    assert_int_equal(EDX(f), 1u << 20);
    cpuid(f, 0x80000008);
    assert_int_equal(EAX(f), 0x2024);
    fixture_destroy(f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_find),
        cmocka_unit_test(test_consistency),
        cmocka_unit_test(test_pentium4),
        cmocka_unit_test(test_others),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* MOV CR, LMSW, SMSW, CLTS. */
#include "system_fixture.h"

static bool write_cr(struct fixture *f, unsigned number, uint64_t value)
{
    const struct callout_args args = {.operand_size = 4, .reg = (uint8_t)number, .rm = GPR_BX};
    f->cpu->state.gpr[GPR_BX] = value;
    return callout_mov_to_control(f->cpu, &args);
}

static bool read_cr(struct fixture *f, unsigned number, uint64_t *value)
{
    const struct callout_args args = {.operand_size = 4, .reg = (uint8_t)number, .rm = GPR_BX};
    f->cpu->state.gpr[GPR_BX] = UINT64_MAX;
    bool ok = callout_mov_from_control(f->cpu, &args);
    *value = f->cpu->state.gpr[GPR_BX];
    return ok;
}

static void test_cr0(void **state)
{
    struct fixture *f = fixture_create("pentium4");
    uint64_t value;

    expect_exception(f, write_cr(f, 0, CR0_PG), EXC_GP);
    expect_exception(f, write_cr(f, 0, CR0_PE | CR0_NW), EXC_GP);
    assert_int_equal(f->cpu->state.cr0, CR0_ET);
    assert_true(write_cr(f, 0, CR0_PE | CR0_NW | CR0_CD));
    /* Undefined bits are ignored, ET cannot be cleared. */
    assert_true(write_cr(f, 0, 0x1ffaffc0u | CR0_PE));
    assert_true(read_cr(f, 0, &value));
    assert_int_equal(value, CR0_PE | CR0_ET);
    assert_int_equal(f->cpu->mmu.cr0, CR0_PE | CR0_ET);
    assert_true(f->cpu->mode & MODE_PE);
    /* TS, EM and MP reach the mode word. */
    assert_true(write_cr(f, 0, CR0_PE | CR0_TS | CR0_EM | CR0_MP));
    assert_int_equal(f->cpu->mode & (MODE_TS | MODE_EM | MODE_MP), MODE_TS | MODE_EM | MODE_MP);
    fixture_destroy(f);
}

/* Segment caches survive a visit to protected mode and back: unreal mode. */
static void test_unreal(void **state)
{
    struct fixture *f = fixture_create("pentium4");
    struct vcpu *cpu = f->cpu;

    assert_true(write_cr(f, 0, CR0_PE));
    fixture_segment(cpu, SEG_DS, 0x10, 0, UINT32_MAX, 0xc093);
    cpu_update_mode(cpu);
    assert_true(write_cr(f, 0, 0));
    assert_true(cpu_in_real_mode(cpu));
    assert_int_equal(cpu->state.segment[SEG_DS].limit, UINT32_MAX);
    assert_int_equal(MODE_SHAPE(cpu->mode, SEG_DS), SHAPE_FLAT);
    fixture_destroy(f);
}

static void test_privilege(void **state)
{
    struct fixture *f = fixture_create("pentium4");
    const struct callout_args lmsw = {.operand_size = 2, .rm = GPR_AX};
    uint64_t value;

    for (unsigned mode = 1; mode <= 4; mode++) {
        if (mode <= 3)
            fixture_enter_protected(f, mode);
        else
            fixture_enter_vm86(f);
        fixture_set_iopl(f, 3);
        for (unsigned number = 0; number <= 4; number++) {
            expect_exception(f, write_cr(f, number, 0), number == 1 ? EXC_UD : EXC_GP);
            expect_exception(f, read_cr(f, number, &value), number == 1 ? EXC_UD : EXC_GP);
            assert_int_equal(value, UINT64_MAX);
        }
        expect_exception(f, callout_lmsw(f->cpu, &lmsw), EXC_GP);
        expect_exception(f, callout_clts(f->cpu, &lmsw), EXC_GP);
    }
    fixture_destroy(f);
}

static void test_absent(void **state)
{
    struct fixture *f = fixture_create("pentium4");
    uint64_t value;

    fixture_enter_protected(f, 0);
    static const unsigned absent[] = {1, 5, 6, 7};
    for (unsigned i = 0; i < ARRAY_SIZE(absent); i++) {
        expect_exception(f, write_cr(f, absent[i], 0), EXC_UD);
        expect_exception(f, read_cr(f, absent[i], &value), EXC_UD);
    }
    fixture_destroy(f);
}

static void test_cr2_cr3(void **state)
{
    struct fixture *f = fixture_create("pentium4");
    uint64_t value;

    assert_true(write_cr(f, 2, 0xff12345678));
    assert_true(read_cr(f, 2, &value));
    assert_int_equal(value, 0x12345678);
    assert_true(write_cr(f, 3, 0x10000));
    assert_true(read_cr(f, 3, &value));
    assert_int_equal(value, 0x10000);
    assert_int_equal(f->cpu->mmu.cr3, 0x10000);
    fixture_destroy(f);
}

static void test_cr4(void **state)
{
    static const struct {
        const char *model;
        uint32_t allowed;
    } cases[] = {{"486", 0x013}, {"pentium", 0x05f}, {"pentium2", 0x3ff}, {"pentium3", 0x7ff}, {"max", 0x7ff}};
    uint64_t value;

    for (unsigned i = 0; i < ARRAY_SIZE(cases); i++) {
        struct fixture *f = fixture_create(cases[i].model);
        for (unsigned bit = 0; bit < 32; bit++) {
            if (cases[i].allowed >> bit & 1) {
                assert_true(write_cr(f, 4, 1u << bit));
                assert_true(read_cr(f, 4, &value));
                assert_int_equal(value, 1u << bit);
                assert_int_equal(f->cpu->mmu.cr4, 1u << bit);
            } else {
                expect_exception(f, write_cr(f, 4, 1u << bit), EXC_GP);
            }
        }
        if (cases[i].allowed & CR4_OSFXSR) {
            assert_true(write_cr(f, 4, CR4_OSFXSR));
            assert_true(f->cpu->mode & MODE_OSFXSR);
        }
        fixture_destroy(f);
    }
}

static void test_pdpte_checks(void **state)
{
    struct fixture *f = fixture_create("pentium4");
    struct vcpu *cpu = f->cpu;
    uint64_t *good = (uint64_t *)(void *)(f->memory->ram + 0x12000);
    uint64_t *bad = (uint64_t *)(void *)(f->memory->ram + 0x13000);

    memset(good, 0, 4096);
    memset(bad, 0, 4096);
    good[0] = 0x14000 | 1;
    good[1] = 0xffff000000001e6; /* not present: nothing is reserved */
    bad[0] = 0x14000 | 1;
    bad[2] = 0x14000 | 3; /* bit 1 is reserved */
    /* A page directory with one 2 MiB identity page. */
    poke32(f, 0x14000, 0x83);
    assert_true(write_cr(f, 4, CR4_PAE));
    assert_true(write_cr(f, 3, 0x13000)); /* not checked while paging is off */
    fixture_enter_protected(f, 0);
    expect_exception(f, write_cr(f, 0, CR0_PE | CR0_PG), EXC_GP);
    assert_int_equal(cpu->state.cr0 & CR0_PG, 0);
    assert_int_equal(cpu->mmu.cr0 & CR0_PG, 0);
    assert_true(write_cr(f, 3, 0x12000));
    assert_true(write_cr(f, 0, CR0_PE | CR0_PG));
    expect_exception(f, write_cr(f, 3, 0x13000), EXC_GP);
    assert_int_equal(cpu->state.cr3, 0x12000);
    assert_int_equal(cpu->mmu.cr3, 0x12000);
    /* A change of PGE reloads the pointers. */
    good[3] = 0x14000 | 3;
    expect_exception(f, write_cr(f, 4, CR4_PAE | CR4_PGE), EXC_GP);
    assert_int_equal(cpu->state.cr4, CR4_PAE);
    fixture_destroy(f);
}

static void test_lmsw_smsw(void **state)
{
    struct fixture *f = fixture_create("pentium4");
    struct vcpu *cpu = f->cpu;
    struct callout_args args = {.operand_size = 2, .rm = GPR_AX};

    cpu->state.gpr[GPR_AX] = 0xfffe; /* TS, EM, MP; other bits are not loaded */
    assert_true(callout_lmsw(cpu, &args));
    assert_int_equal(cpu->state.cr0, CR0_ET | CR0_TS | CR0_EM | CR0_MP);
    cpu->state.gpr[GPR_AX] = 1;
    assert_true(callout_lmsw(cpu, &args));
    assert_int_equal(cpu->state.cr0, CR0_ET | CR0_PE);
    assert_true(cpu->mode & MODE_PE);
    cpu->state.gpr[GPR_AX] = 0;
    assert_true(callout_lmsw(cpu, &args));
    assert_int_equal(cpu->state.cr0, CR0_ET | CR0_PE); /* PE stays */

    cpu->state.cr0 |= CR0_WP | CR0_NE;
    cpu->state.gpr[GPR_CX] = 0xaaaabbbbccccddddull;
    args = (struct callout_args){.operand_size = 2, .rm = GPR_CX};
    assert_true(callout_smsw(cpu, &args));
    assert_int_equal(cpu->state.gpr[GPR_CX], 0xaaaabbbbcccc0031ull);
    args.operand_size = 4;
    assert_true(callout_smsw(cpu, &args));
    assert_int_equal(cpu->state.gpr[GPR_CX], 0x10031);

    /* To memory always 16 bits; allowed at every privilege level. */
    fixture_enter_protected(f, 3);
    poke32(f, 0x2000, 0xffffffff);
    args = (struct callout_args){
        .operand_size = 4, .address_size = 4, .memory = true, .segment = SEG_DS, .offset = 0x2000};
    assert_true(callout_smsw(cpu, &args));
    assert_int_equal(peek32(f, 0x2000), 0xffff0031);

    fixture_enter_protected(f, 0);
    poke16(f, 0x2000, CR0_TS);
    assert_true(callout_lmsw(cpu, &args));
    assert_true(cpu->state.cr0 & CR0_TS);
    fixture_destroy(f);
}

static void test_clts(void **state)
{
    struct fixture *f = fixture_create("pentium4");
    const struct callout_args args = {0};

    assert_true(write_cr(f, 0, CR0_PE | CR0_TS | CR0_MP));
    assert_true(callout_clts(f->cpu, &args));
    assert_int_equal(f->cpu->state.cr0, CR0_PE | CR0_MP | CR0_ET);
    assert_int_equal(f->cpu->mode & MODE_TS, 0);
    assert_true(callout_clts(f->cpu, &args));
    fixture_destroy(f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_cr0),          cmocka_unit_test(test_unreal),    cmocka_unit_test(test_privilege),
        cmocka_unit_test(test_absent),       cmocka_unit_test(test_cr2_cr3),   cmocka_unit_test(test_cr4),
        cmocka_unit_test(test_pdpte_checks), cmocka_unit_test(test_lmsw_smsw), cmocka_unit_test(test_clts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* MOV DR and breakpoint matching. */
#include "system_fixture.h"

static bool write_dr(struct fixture *f, unsigned number, uint64_t value)
{
    const struct callout_args args = {.operand_size = 4, .reg = (uint8_t)number, .rm = GPR_SI};
    f->cpu->state.gpr[GPR_SI] = value;
    return callout_mov_to_debug(f->cpu, &args);
}

static uint64_t read_dr(struct fixture *f, unsigned number)
{
    const struct callout_args args = {.operand_size = 4, .reg = (uint8_t)number, .rm = GPR_SI};
    f->cpu->state.gpr[GPR_SI] = UINT64_MAX;
    assert_true(callout_mov_from_debug(f->cpu, &args));
    return f->cpu->state.gpr[GPR_SI];
}

/* Global enable of breakpoint N with R/W and LEN fields. */
static uint32_t dr7_of(unsigned n, unsigned rw, unsigned length)
{
    return 2u << (2 * n) | (rw | length << 2) << (16 + 4 * n);
}

static void test_fixed_bits(void **state)
{
    struct fixture *f = fixture_create("pentium4");

    for (unsigned n = 0; n < 4; n++) {
        assert_true(write_dr(f, n, 0x500000000ull + n));
        assert_int_equal(read_dr(f, n), n);
    }
    assert_true(write_dr(f, 6, 0));
    assert_int_equal(read_dr(f, 6), 0xffff0ff0);
    assert_true(write_dr(f, 6, UINT32_MAX));
    assert_int_equal(read_dr(f, 6), 0xffffefff);
    assert_true(write_dr(f, 7, 0));
    assert_int_equal(read_dr(f, 7), 0x400);
    assert_true(write_dr(f, 7, ~DR7_GD));
    assert_int_equal(read_dr(f, 7), 0xffff07ff);
    fixture_destroy(f);
}

static void test_aliases(void **state)
{
    struct fixture *f = fixture_create("pentium4");
    const struct callout_args from4 = {.reg = 4, .rm = GPR_AX};

    assert_true(write_dr(f, 4, 0xf));
    assert_int_equal(read_dr(f, 6), 0xffff0fff);
    assert_true(write_dr(f, 5, 1));
    assert_int_equal(read_dr(f, 7), 0x401);
    assert_int_equal(read_dr(f, 5), 0x401);
    assert_int_equal(read_dr(f, 4), 0xffff0fff);
    f->cpu->state.cr4 = CR4_DE;
    expect_exception(f, write_dr(f, 4, 0), EXC_UD);
    expect_exception(f, write_dr(f, 5, 0), EXC_UD);
    expect_exception(f, callout_mov_from_debug(f->cpu, &from4), EXC_UD);
    assert_true(write_dr(f, 6, 0));
    fixture_destroy(f);
}

static void test_protection(void **state)
{
    struct fixture *f = fixture_create("pentium4");
    const struct callout_args from0 = {.reg = 0, .rm = GPR_AX};

    fixture_enter_protected(f, 1);
    expect_exception(f, write_dr(f, 0, 0), EXC_GP);
    expect_exception(f, callout_mov_from_debug(f->cpu, &from0), EXC_GP);
    fixture_enter_vm86(f);
    expect_exception(f, write_dr(f, 7, 0), EXC_GP);
    fixture_enter_protected(f, 0);
    assert_true(write_dr(f, 7, DR7_GD));
    expect_exception(f, write_dr(f, 0, 0), EXC_DB);
    assert_int_equal(f->cpu->exception.debug_status, DR6_BD);
    assert_false(f->cpu->exception.trap);
    expect_exception(f, callout_mov_from_debug(f->cpu, &from0), EXC_DB);
    /* Privilege comes first. */
    fixture_enter_protected(f, 3);
    expect_exception(f, write_dr(f, 0, 0), EXC_GP);
    fixture_destroy(f);
}

static void test_execute(void **state)
{
    struct fixture *f = fixture_create("pentium4");
    struct vcpu *cpu = f->cpu;

    assert_true(write_dr(f, 0, 0x1234));
    assert_true(write_dr(f, 3, 0x1234));
    assert_false(debug_breakpoints_armed(cpu));
    assert_true(debug_check_execute(cpu, 0x1234));
    atomic_store(&cpu->attention, 0);
    assert_true(write_dr(f, 7, 1u | 2u << 6)); /* L0, G3 */
    assert_true(atomic_load(&cpu->attention) & ATTENTION_EVENT);
    assert_true(debug_breakpoints_armed(cpu));
    assert_true(debug_check_execute(cpu, 0x1233));
    assert_true(debug_check_execute(cpu, 0x1235));
    expect_exception(f, debug_check_execute(cpu, 0x1234), EXC_DB);
    assert_int_equal(cpu->exception.debug_status, 9);
    assert_false(cpu->exception.trap);
    cpu->state.system_flags |= FLAG_RF;
    assert_true(debug_check_execute(cpu, 0x1234));
    cpu->state.system_flags &= ~FLAG_RF;
    cpu->state.interrupt_shadow = INHIBIT_MOV_SS;
    assert_true(debug_check_execute(cpu, 0x1234));
    cpu->state.interrupt_shadow = INHIBIT_STI;
    expect_exception(f, debug_check_execute(cpu, 0x1234), EXC_DB);
    /* Code breakpoints watch no data. */
    assert_false(cpu->mmu.observe_reads);
    assert_false(cpu->mmu.observe_writes);
    fixture_destroy(f);
}

static uint32_t touch(struct fixture *f, uint32_t address, unsigned size, bool write)
{
    uint64_t value = 0;

    f->cpu->pending_debug = 0;
    if (write)
        assert_true(cpu_write_data(f->cpu, SEG_DS, address, size, 0));
    else
        assert_true(cpu_read_data(f->cpu, SEG_DS, address, size, &value));
    return f->cpu->pending_debug;
}

/* Through the mmu, as programs do it. */
static void test_data(void **state)
{
    struct fixture *f = fixture_create("pentium4");
    struct vcpu *cpu = f->cpu;

    fixture_enter_protected(f, 0);
    touch(f, 0x3000, 4, true); /* fills the TLB */
    touch(f, 0x3000, 4, false);
    assert_true(write_dr(f, 0, 0x3006)); /* 4 bytes: 3004..3007, low bits ignored */
    assert_true(write_dr(f, 1, 0x3009)); /* 1 byte */
    assert_true(write_dr(f, 2, 0x3009)); /* 2 bytes: 3008..3009 */
    assert_true(write_dr(f, 7, dr7_of(0, 1, 3) | dr7_of(1, 3, 0) | dr7_of(2, 1, 1)));
    assert_true(debug_breakpoints_armed(cpu));
    assert_int_equal(touch(f, 0x3000, 4, true), 0);
    assert_int_equal(touch(f, 0x3003, 1, true), 0);
    assert_int_equal(touch(f, 0x3003, 2, true), 1);
    assert_int_equal(touch(f, 0x3004, 1, true), 1);
    assert_int_equal(touch(f, 0x3007, 1, true), 1);
    assert_int_equal(touch(f, 0x3007, 1, false), 0); /* writes only */
    assert_int_equal(touch(f, 0x3006, 4, true), 1 | 2 | 4);
    assert_int_equal(touch(f, 0x3006, 4, false), 2);
    assert_int_equal(touch(f, 0x3008, 1, true), 4);
    assert_int_equal(touch(f, 0x3000, 8, true), 1);
    assert_int_equal(touch(f, 0x300a, 4, true), 0);
    atomic_store(&cpu->attention, 0);
    touch(f, 0x3009, 1, false);
    assert_true(atomic_load(&cpu->attention) & ATTENTION_EVENT);
    /* Disabled again: no observer, no slow path. */
    assert_true(write_dr(f, 7, 0));
    assert_false(cpu->mmu.observe_reads || cpu->mmu.observe_writes);
    assert_int_equal(touch(f, 0x3009, 1, true), 0);
    /* Writes only: reads need not be observed. */
    assert_true(write_dr(f, 7, dr7_of(0, 1, 3)));
    assert_false(cpu->mmu.observe_reads);
    assert_true(cpu->mmu.observe_writes);
    fixture_destroy(f);
}

static void test_wrap(void **state)
{
    struct fixture *f = fixture_create("pentium4");

    assert_true(write_dr(f, 0, 0));
    assert_true(write_dr(f, 7, dr7_of(0, 3, 0)));
    debug_check_data(f->cpu, 0xfffffffe, 2, MMU_READ);
    assert_int_equal(f->cpu->pending_debug, 0);
    debug_check_data(f->cpu, 0xfffffffe, 4, MMU_READ);
    assert_int_equal(f->cpu->pending_debug, 1);
    f->cpu->pending_debug = 0;
    debug_check_data(f->cpu, 0, 4, MMU_EXECUTE);
    assert_int_equal(f->cpu->pending_debug, 0);
    fixture_destroy(f);
}

static void test_io(void **state)
{
    struct fixture *f = fixture_create("pentium4");
    struct vcpu *cpu = f->cpu;

    assert_true(write_dr(f, 1, 0x102));
    assert_true(write_dr(f, 7, dr7_of(1, 2, 1))); /* 102h..103h */
    debug_check_io(cpu, 0x102, 1);
    assert_int_equal(cpu->pending_debug, 0); /* CR4.DE is clear */
    cpu->state.cr4 = CR4_DE;
    debug_check_io(cpu, 0x101, 1);
    debug_check_io(cpu, 0x104, 4);
    assert_int_equal(cpu->pending_debug, 0);
    debug_check_io(cpu, 0x100, 4);
    assert_int_equal(cpu->pending_debug, 2);
    cpu->pending_debug = 0;
    debug_check_io(cpu, 0x103, 1);
    assert_int_equal(cpu->pending_debug, 2);
    cpu->pending_debug = 0;
    debug_check_data(cpu, 0x102, 1, MMU_WRITE);
    assert_int_equal(cpu->pending_debug, 0);
    fixture_destroy(f);
}

static void set_watchpoint(struct fixture *f, uint64_t address, unsigned length, enum watch_kind kind)
{
    struct watchpoint w = {address, length, kind};

    atomic_store(&f->cpu->attention, 0);
    assert_true(debug_set_watchpoint(f->cpu, &w, true));
    assert_true(atomic_load(&f->cpu->attention) & ATTENTION_EVENT);
}

/* Address of the hit, or 1 for none; none shall be seen by the guest. */
static uint64_t watch(struct fixture *f, uint32_t address, unsigned size, bool write)
{
    debug_forget_watchpoint_hit(f->cpu);
    assert_int_equal(touch(f, address, size, write), 0);
    return f->cpu->watchpoints.hit ? f->cpu->watchpoints.hit_address : 1;
}

static void test_watchpoints(void **state)
{
    struct fixture *f = fixture_create("pentium4");
    struct vcpu *cpu = f->cpu;
    struct watchpoint w = {0x3006, 3, WATCH_WRITE};

    fixture_enter_protected(f, 0);
    touch(f, 0x3000, 4, true); /* fills the TLB */
    touch(f, 0x3000, 4, false);
    set_watchpoint(f, 0x3006, 3, WATCH_WRITE); /* 3006..3008 */
    assert_false(cpu->mmu.observe_reads);
    assert_false(debug_breakpoints_armed(cpu)); /* not the guest's */
    assert_int_equal(watch(f, 0x3004, 2, true), 1);
    assert_int_equal(watch(f, 0x3004, 4, true), 0x3006);
    assert_int_equal(watch(f, 0x3007, 1, true), 0x3007);
    assert_int_equal(watch(f, 0x3008, 4, true), 0x3008);
    assert_int_equal(watch(f, 0x3009, 4, true), 1);
    assert_int_equal(watch(f, 0x3006, 1, false), 1);
    set_watchpoint(f, 0x3ffe, 4, WATCH_READ); /* over the page's end */
    assert_int_equal(watch(f, 0x4000, 4, false), 0x4000);
    assert_int_equal(cpu->watchpoints.hit_kind, WATCH_READ);
    assert_int_equal(watch(f, 0x3ffc, 8, false), 0x3ffe);
    assert_int_equal(watch(f, 0x4000, 4, true), 1);
    assert_true(mmu_read_for_write_slow(&cpu->mmu, 0x4000, 4).ok); /* the read of a read-modify-write */
    assert_true(cpu->watchpoints.hit);
    /* The first hit stays, but for a write behind reads. */
    touch(f, 0x3fff, 1, false);
    assert_int_equal(cpu->watchpoints.hit_address, 0x4000);
    touch(f, 0x3007, 1, true);
    assert_int_equal(cpu->watchpoints.hit_address, 0x3007);
    assert_int_equal(cpu->watchpoints.hit_kind, WATCH_WRITE);
    touch(f, 0x3006, 1, true);
    assert_int_equal(cpu->watchpoints.hit_address, 0x3007);
    /* They outlive a reset, and go one by one. */
    cpu_reset(cpu);
    assert_true(cpu->mmu.observe_reads && cpu->mmu.observe_writes);
    assert_true(debug_set_watchpoint(cpu, &w, false));
    assert_int_equal(cpu->watchpoints.count, 1);
    w = (struct watchpoint){0x3ffe, 4, WATCH_WRITE}; /* no such */
    assert_true(debug_set_watchpoint(cpu, &w, false));
    assert_int_equal(cpu->watchpoints.count, 1);
    debug_clear_watchpoints(cpu);
    assert_false(cpu->watchpoints.hit);
    assert_false(cpu->mmu.observe_reads || cpu->mmu.observe_writes);
    w.length = 0;
    assert_false(debug_set_watchpoint(cpu, &w, true));
    w.length = WATCHPOINT_MAX_LENGTH + 1;
    assert_false(debug_set_watchpoint(cpu, &w, true));
    fixture_destroy(f);
}

/* At the same place as the guest's own breakpoint: both are told. */
static void test_watchpoint_beside_breakpoint(void **state)
{
    struct fixture *f = fixture_create("pentium4");
    struct vcpu *cpu = f->cpu;

    fixture_enter_protected(f, 0);
    assert_true(write_dr(f, 0, 0x3004));
    assert_true(write_dr(f, 7, dr7_of(0, 3, 3)));
    set_watchpoint(f, 0x3004, 4, WATCH_WRITE);
    assert_int_equal(touch(f, 0x3004, 4, true), 1);
    assert_true(cpu->watchpoints.hit);
    debug_clear_watchpoints(cpu); /* the guest's stays */
    assert_true(cpu->mmu.observe_reads && cpu->mmu.observe_writes);
    assert_int_equal(touch(f, 0x3004, 4, false), 1);
    /* Addresses wrap. */
    set_watchpoint(f, 0xfffffffe, 4, WATCH_ACCESS);
    debug_check_data(cpu, 1, 1, MMU_READ);
    assert_int_equal(cpu->watchpoints.hit_address, 1);
    debug_check_data(cpu, 0xfffffffc, 4, MMU_WRITE);
    assert_int_equal(cpu->watchpoints.hit_address, 0xfffffffe);
    debug_forget_watchpoint_hit(cpu);
    debug_check_data(cpu, 0xfffffffe, 1, MMU_EXECUTE);
    debug_check_data(cpu, 2, 1, MMU_READ);
    assert_false(cpu->watchpoints.hit);
    fixture_destroy(f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_fixed_bits), cmocka_unit_test(test_aliases), cmocka_unit_test(test_protection),
        cmocka_unit_test(test_execute),    cmocka_unit_test(test_data),    cmocka_unit_test(test_wrap),
        cmocka_unit_test(test_io),         cmocka_unit_test(test_watchpoints),
        cmocka_unit_test(test_watchpoint_beside_breakpoint),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* Accesses that share a TLB lookup: made-up sequences at every kind of place, on both engines. */
#include "group_stage.h"

#define PLACES      6u    /* that a sequence is run at */
#define LOST_BUDGET 20000 /* code that overwrote itself may go round and round */

/* An address worth being near to. */
static uint32_t some_place(struct stage *s)
{
    uint32_t near = pick(s, 3) ? (pick(s, 40) - 20) * 4 : pick(s, 200) - 100, page = HIGH + (pick(s, WINDOWS) << 12);

    if (s->alignment && pick(s, 8))
        near &= ~3u;
    switch (pick(s, 8)) {
    case 0:
        return near; /* 0 and the end */
    case 1:
        return HIGH + (8u << 12) + (s->slot & 0xfff) + pick(s, s->used + 1); /* the code */
    case 2:
        return HIGH + (8u << 12) + SLOTS * SLOT_SIZE + 0x80 + near; /* beside code */
    case 3:
    case 4:
        return HIGH + 0x1800 + near; /* nothing special */
    default:
        return page + near; /* between two kinds of pages */
    }
}

static void describe(const struct stage *s, const struct cpu_state *start)
{
    fprintf(stderr, "code at %x, base r%u:", s->slot, s->base);
    for (unsigned i = 0; i < s->used; i++)
        fprintf(stderr, " %02x", s->code[i]);
    fprintf(stderr, "\n ");
    for (unsigned i = 0; i < 8; i++)
        fprintf(stderr, " %08llx", (unsigned long long)start->gpr[i]);
    for (unsigned e = 0; e < ENGINES; e++) {
        const struct cpu_state *now = &s->pair->machine[e]->cpu->state;

        fprintf(stderr, "\n%s", e == INTERP ? "interpreter" : "translator ");
        for (unsigned i = 0; i < 8; i++)
            fprintf(stderr, " %08llx", (unsigned long long)now->gpr[i]);
        fprintf(stderr, " eip %08llx cr2 %08llx", (unsigned long long)now->rip, (unsigned long long)now->cr2);
    }
    fprintf(stderr, "%s%s\n", s->alignment ? ", alignment check" : "", s->counted ? ", counted" : "");
}

static bool same_fpu(const struct cpu_state *x, const struct cpu_state *y)
{
    return !memcmp(x->xmm, y->xmm, sizeof x->xmm) && x->mxcsr == y->mxcsr && x->x87.fsw == y->x87.fsw &&
           x->x87.fcw == y->x87.fcw && x->x87.ftw == y->x87.ftw && !memcmp(x->x87.st, y->x87.st, sizeof x->x87.st) &&
           x->x87.fip == y->x87.fip && x->x87.fop == y->x87.fop && x->x87.fdp == y->x87.fdp &&
           x->x87.fcs == y->x87.fcs && x->x87.fds == y->x87.fds;
}

static void compare(struct stage *s, const struct cpu_state *start)
{
    struct cpu_state *x = &s->pair->machine[INTERP]->cpu->state, *y = &s->pair->machine[TIER1]->cpu->state;
    const uint8_t *a = s->pair->machine[INTERP]->memory->ram, *b = s->pair->machine[TIER1]->memory->ram;
    bool same = !memcmp(x->gpr, y->gpr, 8 * sizeof x->gpr[0]) && x->rip == y->rip && x->cr2 == y->cr2 &&
                x->arithmetic_flags == y->arithmetic_flags && x->system_flags == y->system_flags &&
                !memcmp(a, b, 0x5000) && !memcmp(a + DIRECTORY, b + DIRECTORY, 0x3000) &&
                !memcmp(a + CODE, b + CODE, 0x1000) && !memcmp(a + DATA, b + DATA, 0x22000);

    if (same && (s->runs & 255))
        same = true;
    else if (!same || memcmp(a, b, RAM_SIZE)) {
        describe(s, start);
        pair_compare(s->pair, "made-up code"); /* does not come back */
        fail_msg("state differs");
    }
    if (!same_fpu(x, y)) {
        describe(s, start);
        fail_msg("FPU state differs: fsw %04x %04x, ftw %04x %04x, fip %x %x, fdp %x %x", x->x87.fsw, y->x87.fsw,
                 x->x87.ftw, y->x87.ftw, x->x87.fip, y->x87.fip, x->x87.fdp, y->x87.fdp);
    }
    /* Who left the code may have come to fetch from the device, and not each engine as often. */
    if (x->halted && pair_read32(s->pair, STACK_0 - 20) >> 12 != CODE >> 12)
        s->device[INTERP] = s->device[TIER1];
    if (memcmp(&s->device[0], &s->device[1], sizeof s->device[0])) {
        describe(s, start);
        fail_msg("the device: %llu accesses by the interpreter, %llu by the translator, or other ones",
                 (unsigned long long)s->device[0].accesses, (unsigned long long)s->device[1].accesses);
    }
}

static void place_registers(struct stage *s, struct cpu_state *start)
{
    *start = s->start;
    start->rip = s->slot;
    start->arithmetic_flags = cpu_eflags_to_arithmetic(next_random(&s->random));
    for (unsigned i = 0; i < 8; i++)
        start->gpr[i] = pick(s, 3) ? next_random(&s->random) * 2u + pick(s, 2) : pick(s, 64);
    start->gpr[GPR_SP] = HIGH + 0x1900;
    if (!pick(s, 6))
        start->gpr[GPR_SP] = some_place(s);
    start->gpr[s->second] = pick(s, 3) ? HIGH + 0x1700 + pick(s, 64) * 4 : some_place(s);
    start->gpr[s->base] = some_place(s);
    if (!pick(s, 10)) /* so that what is at the ends of a displacement is near something */
        start->gpr[s->base] = (uint32_t)start->gpr[s->base] + 0x80000000u;
    for (unsigned i = 0; i < 8; i++)
        for (unsigned k = 0; k < 2; k++)
            start->xmm[i].u64[k] = (uint64_t)next_random(&s->random) << 32 | next_random(&s->random);
}

/* Once, from START. False: it did not come to an end, and the machines are as before the first. */
static bool run(struct stage *s, const struct cpu_state *start, bool empty)
{
    int64_t budget = s->counted ? 1 + pick(s, 50) : LOST_BUDGET;
    bool halted[ENGINES];

    for (unsigned i = 0; i < ENGINES; i++) {
        struct vcpu *cpu = s->pair->machine[i]->cpu;

        cpu->state = *start;
        cpu_update_mode(cpu);
        if (empty)
            mmu_flush_all(&cpu->mmu);
    }
    s->runs++;
    for (unsigned steps = 0; steps < (s->counted ? 20u : 1u); steps++) {
        halted[INTERP] = pair_run_one(s->pair, INTERP, budget);
        if (!s->counted && !halted[INTERP]) /* then the other one, which does not count, would go on for ever */
            return false;
        halted[TIER1] = pair_run_one(s->pair, TIER1, budget);
        if (halted[0] != halted[1] ||
            (s->counted && s->pair->machine[0]->cpu->budget != s->pair->machine[1]->cpu->budget)) {
            describe(s, start);
            fail_msg("halted %d %d, budget left %lld %lld", halted[0], halted[1],
                     (long long)s->pair->machine[0]->cpu->budget, (long long)s->pair->machine[1]->cpu->budget);
        }
        compare(s, start);
        if (halted[0])
            break;
    }
    uint64_t eip = pair_state(s->pair)->rip;
    if (eip == HANDLERS + EXC_PF * 16 + 1)
        s->faults++;
    s->finished += eip == HANDLERS + EXC_GP * 16 + 1;
    return true;
}

/* COUNT sequences, each at several places, first with an empty TLB. */
static void play(const struct translate_options *options, unsigned count, uint64_t seed, bool alignment, bool counted)
{
    struct stage *s = stage_create(options, seed, alignment, counted);
    struct cpu_state start;

    for (unsigned i = 0; i < count; i++) {
        make_code(s);
        for (unsigned place = 0; place < PLACES; place++) {
            place_registers(s, &start);
            if (!run(s, &start, !pick(s, 4))) {
                s->lost++;
                set_stage(s);
                break;
            }
            /* The slot may have been written to: that is over now. */
            if (memcmp(s->pair->machine[TIER1]->memory->ram + s->slot, s->code, s->used))
                pair_write(s->pair, s->slot, s->code, s->used);
        }
    }
    s->device_accesses += s->device[TIER1].accesses;
    print_message("%u sequences, %u runs: %u to the end, %u page faults, %llu accesses to the device, %u lost\n", count,
                  s->runs, s->finished, s->faults, (unsigned long long)s->device_accesses, s->lost);
    assert_true(s->finished > s->runs / (alignment ? 10 : 5));
    assert_true(s->faults > s->runs / 20 || alignment);
    assert_true(s->lost < s->runs / 100);
    assert_true(s->device_accesses > count / 10);
    pair_expect_native(s->pair);
    stage_destroy(s);
}

/* ---- cases of which it is known what comes out ---- */

/* HEX at the first slot, registers as in GPR, once with an empty TLB and once more. */
static void run_known(struct stage *s, const char *hex, const uint32_t *gpr, uint32_t flags)
{
    struct cpu_state start = s->start;

    s->slot = CODE;
    s->used = 0;
    for (int used, byte; sscanf(hex, " %2x%n", (unsigned *)&byte, &used) == 1; hex += used)
        put(s, (unsigned)byte);
    start.rip = CODE;
    start.arithmetic_flags = cpu_eflags_to_arithmetic(flags);
    for (unsigned i = 0; i < 8; i++)
        start.gpr[i] = gpr[i];
    for (unsigned i = 0; i < 2; i++) {
        pair_write(s->pair, CODE, s->code, s->used);
        assert_true(run(s, &start, i == 0));
    }
}

/* What the handler finds on its stack, counted from the top. */
static uint32_t frame(struct stage *s, unsigned from_top)
{
    return pair_read32(s->pair, STACK_0 - 4 * from_top);
}
#define FRAME_ESP   2
#define FRAME_FLAGS 3
#define FRAME_EIP   5
#define FRAME_ERROR 6

/* Loads, then a store into what can only be read: they are done, it is not. */
static void test_fault_at_the_store(void **state)
{
    /* mov eax, [ebx]; add ecx, [ebx+4]; mov [ebx+8], edx; hlt */
    static const char plain[] = "8b 03 03 4b 04 89 53 08 f4 ";
    /* push eax; cmp ecx, edx; mov esi, [esp+8]; dec dword [esp-24]; hlt */
    static const char stack[] = "50 39 d1 8b 74 24 08 ff 4c 24 e8 f4 ";
    struct translate_options options = at_once();
    struct stage *s = stage_create(&options, 50, false, false);
    const uint32_t base = HIGH + 0x2100, edge = HIGH + 0x1ff8; /* within the page; only the store in it */
    struct cpu_state *after = pair_state(s->pair);

    for (unsigned i = 0; i < 2; i++) {
        uint32_t gpr[8] = {1, 0xffffff00, 3, i ? edge : base, HIGH + 0x1800, 6, 7, 8};
        uint32_t at = DATA + (gpr[3] - HIGH);

        pair_write32(s->pair, at, 0x12345678);
        pair_write32(s->pair, at + 4, 0x101);
        run_known(s, plain, gpr, FLAG_SF | FLAG_OF);
        assert_int_equal(after->rip, HANDLERS + EXC_PF * 16 + 1);
        assert_int_equal(after->gpr[GPR_AX], 0x12345678);
        assert_int_equal(after->gpr[GPR_CX], 1);
        assert_int_equal(after->cr2, gpr[3] + 8);
        assert_int_equal(frame(s, FRAME_EIP), CODE + 5);
        assert_int_equal(frame(s, FRAME_ERROR), 7);
        assert_int_equal(frame(s, FRAME_FLAGS) & FLAG_ARITHMETIC, FLAG_CF);
    }
    /* Down from a page that can be written into one that cannot. */
    uint32_t gpr[8] = {0xabcd, 5, 5, 4, HIGH + 0x3014, 6, 7, 8};
    run_known(s, stack, gpr, 0);
    assert_int_equal(after->rip, HANDLERS + EXC_PF * 16 + 1);
    assert_int_equal(after->cr2, HIGH + 0x2ff8);
    assert_int_equal(frame(s, FRAME_EIP), CODE + 7);
    assert_int_equal(frame(s, FRAME_ESP), HIGH + 0x3010);
    assert_int_equal(frame(s, FRAME_FLAGS) & FLAG_ARITHMETIC, FLAG_ZF | FLAG_PF);
    assert_int_equal(pair_read32(s->pair, DATA + 0x3010), 0xabcd);
    pair_expect_native(s->pair);
    stage_destroy(s);
}

/* A store of the group goes to the code behind it, where others of the group are. */
static void test_store_into_own_code(void **state)
{
    /* mov eax, [ebx+32]; mov [ebx+X], cl; mov esi, [ebx+36]; inc edx; add esi, [ebx+40]; hlt */
    static const struct {
        const char *code;
        uint32_t ecx, edx, edi, esi;
    } ways[] = {
        {"8b 43 20 88 4b 40 8b 73 24 42 03 73 28 f4", 0x47, 1, 0, 0x1111}, /* X: elsewhere */
        {"8b 43 20 88 4b 09 8b 73 24 42 03 73 28 f4", 0x47, 0, 1, 0x1111}, /* inc edx becomes inc edi */
        {"8b 43 20 00 4b 09 8b 73 24 42 03 73 28 f4", 5, 0, 1, 0x1111},    /* likewise, by add [ebx+9], cl */
        {"8b 43 20 88 4b 06 8b 73 24 42 03 73 28 f4", 3, 1, 0, 0x51111},   /* mov esi becomes add esi */
        {"8b 43 20 88 4b 0c 8b 73 24 42 03 73 28 f4", 0x24, 1, 0, 0x222},  /* the last reads what the one before did */
    };
    struct translate_options options = at_once();
    struct stage *s = stage_create(&options, 51, false, false);
    struct cpu_state *after = pair_state(s->pair);

    pair_write32(s->pair, CODE + 32, 0x12345678);
    pair_write32(s->pair, CODE + 36, 0x111);
    pair_write32(s->pair, CODE + 40, 0x1000);
    for (unsigned i = 0; i < sizeof ways / sizeof ways[0]; i++) {
        uint32_t gpr[8] = {0, ways[i].ecx, 0, HIGH + 0x8000, HIGH + 0x1800, 0, 0x50000, 0};

        run_known(s, ways[i].code, gpr, 0);
        assert_int_equal(after->rip, HANDLERS + EXC_GP * 16 + 1);
        assert_int_equal(frame(s, FRAME_EIP), CODE + 13);
        assert_int_equal(after->gpr[GPR_AX], 0x12345678);
        assert_int_equal(after->gpr[GPR_DX], ways[i].edx);
        assert_int_equal(after->gpr[GPR_DI], ways[i].edi);
        assert_int_equal(after->gpr[GPR_SI], ways[i].esi);
    }
    pair_expect_native(s->pair);
    stage_destroy(s);
}

static void test_usual(void **state)
{
    struct translate_options options = at_once();

    play(&options, 10000, 1, false, false);
}

static void test_alignment_check(void **state)
{
    struct translate_options options = at_once();

    play(&options, 2000, 2, true, false);
}

static void test_counted(void **state)
{
    struct translate_options options = at_once();

    play(&options, 3000, 3, false, true);
}

static void test_without_passes(void **state)
{
    struct translate_options options = at_once();

    options.disabled_passes = ~0u;
    play(&options, 1000, 4, false, false);
    for (unsigned i = 0; ir_passes[i].name; i++) {
        options.disabled_passes = 1u << i;
        play(&options, 400, 5 + i, false, false);
    }
}

static void test_small_blocks(void **state)
{
    struct translate_options options = at_once();

    for (unsigned limit = 1; limit < 7; limit++) {
        options.block_limit = limit;
        play(&options, 400, 20 + limit, false, limit & 1);
    }
}

static void test_baseline(void **state)
{
    struct translate_options options = at_once();

    options.baseline = true;
    play(&options, 1500, 30, false, false);
    options.baseline = false;
    options.threshold = 2;
    play(&options, 1500, 31, false, false);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_fault_at_the_store),
        cmocka_unit_test(test_store_into_own_code),
        cmocka_unit_test(test_usual),
        cmocka_unit_test(test_alignment_check),
        cmocka_unit_test(test_counted),
        cmocka_unit_test(test_without_passes),
        cmocka_unit_test(test_small_blocks),
        cmocka_unit_test(test_baseline),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

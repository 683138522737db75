/* The profile that is always on: its proportions are the guest's, it changes nothing that the guest computes, and it
 * leaves nothing behind. Time is counted in most of these, so that the bursts come at the same places each time. */
#include "engine_pair.h"

#include "interp/block.h"
#include "translate/translate_private.h"

#include <pthread.h>
#include <time.h>

static struct engine_pair *create(const struct translate_options *options, bool counted)
{
    struct engine_pair *p = pair_create(options);

    for (unsigned i = 0; i < ENGINES && counted; i++)
        p->machine[i]->cpu->mode |= MODE_COUNTED;
    return p;
}

/* Both engines for the same instructions, slice by slice; a burst at the beginning of each. True: they have halted. */
static bool run_slices(struct engine_pair *p, unsigned slices, unsigned length, const char *what)
{
    uint64_t random = 1;
    bool halted = false;

    for (unsigned i = 0; i < slices && !halted; i++) {
        int64_t budget = 1 + next_random(&random) % (2 * length);

        cpu_post_attention(p->machine[TIER1]->cpu, ATTENTION_PROFILE);
        for (unsigned e = 0; e < ENGINES; e++)
            halted = pair_run_one(p, e, budget);
        if (p->machine[INTERP]->cpu->budget != p->machine[TIER1]->cpu->budget)
            fail_msg("%s: slice %u: interpreter %lld instructions left, translator %lld", what, i,
                     (long long)p->machine[INTERP]->cpu->budget, (long long)p->machine[TIER1]->cpu->budget);
        pair_compare(p, what);
    }
    return halted;
}

static struct translate_block block_at(const struct engine_pair *p, uint32_t linear)
{
    static struct translate_block blocks[1000];
    unsigned count = translator_list_blocks(p->translator, blocks, ARRAY_SIZE(blocks));

    for (unsigned i = 0; i < count; i++)
        if (blocks[i].linear == linear)
            return blocks[i];
    fail_msg("no translation at %x", linear);
    return blocks[0];
}

static void expect_share(const char *what, uint64_t part, uint64_t whole, double share)
{
    double found = whole ? (double)part / (double)whole : 0;

    if (whole < 500 || found < share - 0.04 || found > share + 0.04)
        fail_msg("%s: %llu of %llu, expected %.3f", what, (unsigned long long)part, (unsigned long long)whole, share);
}

/* inc eax; test al, 3; jz +1; inc ebx; loop: dec ecx; jnz to the beginning; hlt */
static const char three_to_one[] = "40 a8 03 74 01 43 49 75 f7 f4";

static void test_branch(void **state)
{
    struct translate_options options = at_once();
    struct engine_pair *p = create(&options, true);

    pair_code(p, CODE, three_to_one);
    pair_start(p, 0, CODE, STACK);
    pair_set(p, GPR_CX, 1000000000);
    run_slices(p, 1000, 200, "3 to 1");
    struct translate_block b = block_at(p, CODE);
    assert_false(b.counted);
    assert_true(b.link_used[0] && b.link_used[1]);
    assert_int_equal(b.link_eip[1], CODE + 6);
    expect_share("taken", b.taken[1], b.executions, 0.25);
    expect_share("not taken", b.taken[0], b.executions, 0.75);
    assert_int_equal(b.elsewhere, 0);
    b = block_at(p, CODE + 5);
    expect_share("back", b.taken[1], b.executions, 1);
    pair_destroy(p);
}

/* Translations shorter than the interpreter's blocks. */
static void test_short_translations(void **state)
{
    struct translate_options options = at_once();
    char code[512];
    int used = 0;

    options.block_limit = 3;
    struct engine_pair *p = create(&options, true);
    for (unsigned i = 0; i < 10; i++)
        used += sprintf(code + used, "42 ");
    sprintf(code + used, "40 a8 03 74 01 43 49 75 ed f4");
    pair_code(p, CODE, code);
    pair_start(p, 0, CODE, STACK);
    pair_set(p, GPR_CX, 1000000000);
    run_slices(p, 1000, 300, "short translations");
    expect_share("through", block_at(p, CODE).taken[0], block_at(p, CODE).executions, 1);
    pair_destroy(p);
}

/* Translations longer than the interpreter's blocks cannot be had with 48 instructions at most; a breakpoint would end
 * both. But a block of 64 instructions spans two translations. */
static void test_long_blocks(void **state)
{
    struct translate_options options = at_once();
    char code[512];
    int used = 0;
    struct engine_pair *p = create(&options, true);

    for (unsigned i = 0; i < 56; i++)
        used += sprintf(code + used, "42 ");
    sprintf(code + used, "40 a8 03 74 01 43 49 75 bf f4");
    pair_code(p, CODE, code);
    pair_start(p, 0, CODE, STACK);
    pair_set(p, GPR_CX, 1000000000);
    run_slices(p, 1000, 500, "long blocks");
    struct translate_block b = block_at(p, CODE);
    assert_int_equal(b.instructions, 48);
    expect_share("through", b.taken[0], b.executions, 1);
    pair_destroy(p);
}

struct bell {
    struct vcpu *cpu;
    atomic_bool end;
};

static void *ring(void *opaque)
{
    const struct timespec pause = {0, 20000};
    struct bell *bell = opaque;

    while (!atomic_load(&bell->end)) {
        cpu_post_attention(bell->cpu, ATTENTION_PROFILE);
        nanosleep(&pause, NULL);
    }
    return NULL;
}

/* As it is in real time: asked for by another thread. */
static void test_real_time(void **state)
{
    struct translate_options options = at_once();
    struct engine_pair *p = create(&options, false);
    struct bell bell = {.cpu = p->machine[TIER1]->cpu};
    struct translate_block b;
    pthread_t thread;

    pair_code(p, CODE, three_to_one);
    assert_int_equal(pthread_create(&thread, NULL, ring, &bell), 0);
    for (unsigned i = 0; i == 0 || (b.executions < 1000 && i < 50); i++) { /* the host may be busy */
        pair_start(p, 0, CODE, STACK);
        pair_set(p, GPR_CX, 10000000);
        pair_run(p, "real time");
        b = block_at(p, CODE);
    }
    atomic_store(&bell.end, true);
    pthread_join(thread, NULL);
    expect_share("taken", b.taken[1], b.executions, 0.25);
    assert_true(translator_profile_instructions(p->translator) > 0);
    pair_destroy(p);
}

/* A loop through a table of jumps whose entries are used in turn: WHICH of 32 targets each is, all of which jump back.
 */
static void run_indirect(struct engine_pair *p, const uint8_t *which, unsigned mask)
{
    char code[128];

    /* inc esi; mov ebx, esi; and ebx, MASK; jmp [DATA + ebx*4] */
    sprintf(code, "46 89 f3 83 e3 %02x ff 24 9d 00 00 04 00", mask);
    pair_code(p, CODE, code);
    for (unsigned i = 0; i < 32; i++) {
        uint8_t back[5] = {0xe9};
        uint32_t from = CODE + 0x100 + i * 16, distance = CODE - (from + 5);

        memcpy(back + 1, &distance, 4);
        pair_write(p, from, back, sizeof back);
    }
    for (unsigned i = 0; i <= mask; i++)
        pair_write32(p, DATA + i * 4, CODE + 0x100 + which[i] * 16u);
    pair_start(p, 0, CODE, STACK);
    run_slices(p, 1500, 200, "indirect");
}

static void test_indirect(void **state)
{
    static const uint8_t four[8] = {3, 1, 0, 1, 2, 1, 3, 1};
    struct translate_options options = at_once();
    struct engine_pair *p = create(&options, true);

    run_indirect(p, four, 7);
    struct translate_block b = block_at(p, CODE);
    expect_share("no link", b.elsewhere, b.executions, 1);
    assert_int_equal(b.targets[0].eip, CODE + 0x110);
    assert_int_equal(b.targets[1].eip, CODE + 0x130);
    expect_share("commonest", b.targets[0].count, b.elsewhere, 0.5);
    expect_share("second", b.targets[1].count, b.elsewhere, 0.25);
    expect_share("third", b.targets[2].count, b.elsewhere, 0.125);
    expect_share("fourth", b.targets[3].count, b.elsewhere, 0.125);
    pair_destroy(p);
}

/* More targets than slots: one that is common is told, and nothing is said of the others that is not so. */
static void test_many_targets(void **state)
{
    uint8_t many[32];
    struct translate_options options = at_once();
    struct engine_pair *p = create(&options, true);

    for (unsigned i = 0; i < 32; i++)
        many[i] = (uint8_t)(i % 2 ? 31 : i);
    run_indirect(p, many, 31);
    struct translate_block b = block_at(p, CODE);
    assert_int_equal(b.targets[0].eip, CODE + 0x100 + 31 * 16);
    expect_share("commonest", b.targets[0].count, b.elsewhere, 0.5);
    for (unsigned i = 1; i < PROFILE_TARGETS; i++)
        assert_true(b.targets[i].count * 10 < b.elsewhere);
    pair_destroy(p);
}

/* Nothing of the interpreter's is found where there are translations. */
static void test_nothing_left(void **state)
{
    struct translate_options options = at_once();
    struct engine_pair *p = create(&options, true);
    struct interp *interp = p->machine[TIER1]->interp;
    unsigned observed = 0;

    pair_code(p, CODE, three_to_one);
    pair_start(p, 0, CODE, STACK);
    pair_set(p, GPR_CX, 1000000000);
    run_slices(p, 300, 200, "nothing left");
    for (unsigned h = 0; h < BLOCK_HASH_SIZE; h++)
        for (struct block *b = interp->hash[h]; b; b = b->hash_next) {
            assert_true(b->mode & (MODE_OBSERVED | MODE_SINGLE));
            observed += (b->mode & MODE_OBSERVED) != 0;
        }
    assert_true(observed >= 3 && observed < 10);
    assert_false(block_is_cached(interp));
    uint64_t decoded = p->machine[TIER1]->stats.blocks_decoded;
    run_slices(p, 300, 200, "nothing left, again");
    assert_true(p->machine[TIER1]->stats.blocks_decoded - decoded < 3); /* they are kept */
    pair_destroy(p);
}

/* Code that is written to dies in all its forms. */
static void test_results(void **state)
{
    struct translate_options options = at_once();
    struct engine_pair *p = create(&options, true);

    /* 20000: inc eax; inc byte [20020+1] (imm of mov); call 20020; push edx; pop esi; mov ecx, 5; mov edi, 40000;
     * rep stosb; jmp 20000
     * 20020: mov dl, imm; add [41000+edx*2-1], dl ; ret */
    pair_code(p, CODE,
              "40 fe 05 21 00 02 00 e8 14 00 00 00 52 5e b9 05 00 00 00 bf 00 00 04 00 f3 aa eb e4 90 90 90 90"
              "b2 00 0f b6 d2 00 94 12 00 10 04 00 c3");
    pair_start(p, 0, CODE, STACK);
    run_slices(p, 1500, 60, "code that is written to");
    assert_true(p->machine[TIER1]->stats.blocks_invalidated > 100);
    pair_destroy(p);
}

/* An iteration reads across a line and a page, which C carries out, and has an innocent access beside it. */
static void test_slow_sites(void **state)
{
    struct translate_options options = at_once();
    struct engine_pair *p = create(&options, true);
    struct translate_site sites[4];

    /* mov eax, [40fff]; mov ebx, [40100]; mov [41fff], eax; dec ecx; jnz; hlt */
    pair_code(p, CODE, "a1 ff 0f 04 00 8b 1d 00 01 04 00 a3 ff 1f 04 00 49 75 ed f4");
    pair_start(p, 0, CODE, STACK);
    pair_set(p, GPR_CX, 20000);
    assert_true(run_slices(p, 100000, 200, "slow sites"));
    const struct stats *stats = &p->machine[TIER1]->stats;
    assert_int_equal(translator_list_sites(p->translator, sites, 4), 2);
    for (unsigned i = 0; i < 2; i++) {
        bool write = sites[i].linear != CODE;

        if (write)
            assert_int_equal(sites[i].linear, CODE + 11);
        assert_false(sites[i].exact);
        assert_int_equal(sites[i].bytes[0], write ? 0xa3 : 0xa1);
        assert_int_equal(write ? sites[i].reads : sites[i].writes, 0);
        double told = (double)(write ? sites[i].writes : sites[i].reads);
        double true_count = (double)(write ? stats->native_slow_writes : stats->native_slow_reads);
        if (told < 0.7 * true_count || told > 1.4 * true_count)
            fail_msg("%s: %.0f of %.0f", write ? "writes" : "reads", told, true_count);
    }
    pair_destroy(p);
}

static void test_faults(void **state)
{
    struct translate_options options = at_once();
    struct engine_pair *p = create(&options, true);
    struct translate_site site;

    /* inc ecx; mov eax, [400000], which is not there; the handler: add esp, 4; mov dword [esp], 20000; iretd */
    pair_start(p, 0, CODE, STACK);
    pair_code(p, CODE, "41 a1 00 00 40 00 f4");
    pair_code(p, HANDLERS + 14 * 16, "83 c4 04 c7 04 24 00 00 02 00 cf");
    run_slices(p, 300, 100, "faults");
    assert_int_equal(translator_list_sites(p->translator, &site, 1), 1);
    assert_int_equal(site.linear, CODE + 1);
    uint64_t faults = p->machine[TIER1]->stats.page_faults;
    assert_true(site.faults > 100 && site.faults <= faults); /* others were interpreted */
    pair_destroy(p);
}

/* Where every instruction boundary matters there are no bursts. */
static void test_off(void **state)
{
    struct translate_options options = at_once();
    struct engine_pair *p = create(&options, true);

    pair_code(p, CODE, three_to_one);
    pair_start(p, 0, CODE, STACK);
    pair_set(p, GPR_CX, 1000000000);
    assert_true(interp_set_breakpoint(p->machine[TIER1]->interp, CODE + 9, true));
    run_slices(p, 100, 200, "a breakpoint");
    assert_int_equal(translator_profile_instructions(p->translator), 0);
    assert_true(interp_set_breakpoint(p->machine[TIER1]->interp, CODE + 9, false));
    run_slices(p, 100, 200, "no breakpoint");
    assert_true(translator_profile_instructions(p->translator) > 0);
    pair_destroy(p);

    options.lockstep = true;
    p = create(&options, false);
    assert_null(p->machine[TIER1]->stats.bell);
    pair_code(p, CODE, three_to_one);
    pair_start(p, 0, CODE, STACK);
    pair_set(p, GPR_CX, 10000);
    cpu_post_attention(p->machine[TIER1]->cpu, ATTENTION_PROFILE);
    pair_run(p, "lockstep");
    assert_int_equal(translator_profile_instructions(p->translator), 0);
    pair_destroy(p);
}

/* The sampler's request reaches the processor, and only while translated code runs. */
static void test_bell(void **state)
{
    struct translate_options options = at_once();
    struct engine_pair *p = create(&options, false);
    struct stats *stats = &p->machine[TIER1]->stats;
    atomic_uint *attention = &p->machine[TIER1]->cpu->attention;
    const struct timespec pause = {0, 100000000};
    struct error err = {""};

    assert_ptr_equal(stats->bell, attention);
    struct stats_sampler *sampler = stats_sampler_create(stats, STATS_SAMPLES_PER_SECOND_ASKED, &err);
    atomic_store(attention, 0);
    stats_set_phase(stats, STATS_PHASE_INTERPRET);
    nanosleep(&pause, NULL);
    assert_int_equal(atomic_load(attention), 0);
    stats_set_phase(stats, STATS_PHASE_EXECUTE);
    for (unsigned i = 0; i < 100 && !atomic_load(attention); i++)
        nanosleep(&pause, NULL);
    assert_int_equal(atomic_load(attention), ATTENTION_PROFILE);
    stats_sampler_destroy(sampler);
    pair_destroy(p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_branch),       cmocka_unit_test(test_short_translations),
        cmocka_unit_test(test_long_blocks),  cmocka_unit_test(test_real_time),
        cmocka_unit_test(test_indirect),     cmocka_unit_test(test_many_targets),
        cmocka_unit_test(test_nothing_left), cmocka_unit_test(test_results),
        cmocka_unit_test(test_slow_sites),   cmocka_unit_test(test_faults),
        cmocka_unit_test(test_off),          cmocka_unit_test(test_bell),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

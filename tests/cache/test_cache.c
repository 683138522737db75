/* The code cache: finding, chaining and cutting, death by lines, eviction, addresses back to guest instructions, and
 * that memory stays flat. */
#include "cache_fixture.h"

#define MIB (1u << 20)

static void test_keys(void **state)
{
    struct cached *c = cached_create(MIB);
    struct translation *t = cached_make(c, 0x2000, 5, 0x2100);
    struct translation_key key = t->key, other;

    assert_ptr_equal(cache_find(&c->cache, &key), t);
    other = key, other.physical += 0x1000;
    assert_null(cache_find(&c->cache, &other));
    other = key, other.eip += 0x1000;
    assert_null(cache_find(&c->cache, &other));
    other = key, other.mode ^= MODE_SS_B;
    assert_null(cache_find(&c->cache, &other));
    other = key, other.cs_base = 0x10;
    assert_null(cache_find(&c->cache, &other));
    other = key, other.cs_limit = 0xffff;
    assert_null(cache_find(&c->cache, &other));
    c->cpu->state.rip = 0x2000;
    other = cache_key(c->cpu, 0x2000);
    assert_ptr_equal(cache_find(&c->cache, &other), t);
    /* The same bytes by two ways: two translations, which die together. */
    c->block->eip = 0x3000;
    struct translation *second = cached_insert(c, 0x2000, 5);
    assert_ptr_equal(cache_find(&c->cache, &key), t);
    other = key, other.eip = 0x3000;
    assert_ptr_equal(cache_find(&c->cache, &other), second);
    assert_true(cache_page_written(&c->cache, 2, 4, 1));
    assert_null(cache_find(&c->cache, &key));
    assert_null(cache_find(&c->cache, &other));
    assert_true(t->dead && second->dead);
    cached_destroy(c);
}

/* Keys that fall together in the table. */
static void test_table(void **state)
{
    struct cached *c = cached_create(8 * MIB);
    enum { COUNT = 6000 };
    static struct translation *made[COUNT];

    for (unsigned i = 0; i < COUNT; i++)
        made[i] = cached_make(c, 0x1000 + i * 16, 16, 0x1000 + i * 16 + 16);
    for (unsigned i = 0; i < COUNT; i++)
        assert_ptr_equal(cached_find(c, 0x1000 + i * 16), made[i]);
    for (unsigned i = 0; i < COUNT; i += 3 * 4) /* a line holds four */
        cache_page_written(&c->cache, made[i]->page, made[i]->key.physical & PAGE_MASK, 1);
    for (unsigned i = 0; i < COUNT; i++)
        assert_ptr_equal(cached_find(c, 0x1000 + i * 16), i / 4 % 3 ? made[i] : NULL);
    cache_flush(&c->cache);
    for (unsigned i = 0; i < COUNT; i++)
        assert_null(cached_find(c, 0x1000 + i * 16));
    for (unsigned page = 1; page < 40; page++)
        assert_int_equal(cache_code_lines(&c->cache, page), 0);
    cached_destroy(c);
}

/* ---- chaining ---- */

static void test_links(void **state)
{
    struct cached *c = cached_create(MIB);
    struct translation *a = cached_make(c, 0x2000, 4, 0x2100), *b = cached_make(c, 0x2100, 4, 0x2200),
                       *d = cached_make(c, 0x2200, 4, 0x2000), *a2 = cached_make(c, 0x2080, 4, 0x2100);

    assert_ptr_equal(cached_run(c, a, NULL), a);
    cache_link(&c->cache, &a->links[0], b);
    assert_ptr_equal(cached_run(c, a, NULL), b);
    cache_link(&c->cache, &a2->links[0], b);
    cache_link(&c->cache, &b->links[0], d);
    assert_ptr_equal(cached_run(c, a, NULL), d);
    assert_ptr_equal(cached_run(c, a2, NULL), d);
    cache_link(&c->cache, &a->links[0], d); /* leads there from now on */
    assert_ptr_equal(a->links[0].target, d);
    assert_ptr_equal(cached_run(c, a, NULL), d);
    cache_link(&c->cache, &a->links[0], b);
    assert_ptr_equal(a->links[0].target, b);
    uint64_t cut = c->cpu->stats->chains_cut;

    /* The middle dies: those before it leave by their stubs, the one behind it knows it no more. */
    cache_page_written(&c->cache, 2, 0x100, 1);
    assert_true(b->dead && !a->dead && !d->dead);
    assert_int_equal(c->cpu->stats->chains_cut, cut + 2);
    assert_null(a->links[0].target);
    assert_null(b->links[0].target);
    assert_null(d->incoming);
    assert_ptr_equal(cached_run(c, a, NULL), a);
    assert_ptr_equal(cached_run(c, a2, NULL), a2);
    assert_ptr_equal(cached_run(c, b, NULL), b); /* it may still be running, and leaves at its end */
    cache_link(&c->cache, &a->links[0], b);      /* the dead are not linked to */
    assert_null(a->links[0].target);
    cache_link(&c->cache, &b->links[0], d); /* nor from */
    assert_null(d->incoming);

    struct translation *b2 = cached_make(c, 0x2100, 4, 0x2200);
    cache_link(&c->cache, &a->links[0], b2);
    cache_link(&c->cache, &b2->links[0], d);
    assert_ptr_equal(cached_run(c, a, NULL), d);
    /* The first of a chain dies: its target forgets it. */
    cache_page_written(&c->cache, 2, 0, 1);
    assert_null(b2->incoming);
    cache_page_written(&c->cache, 2, 0x100, 1);
    assert_ptr_equal(cached_run(c, d, NULL), d);
    cached_destroy(c);
}

/* A loop of one block and one of two, polls included. */
static void test_cycles(void **state)
{
    struct cached *c = cached_create(MIB);
    struct translation *self = cached_make(c, 0x2000, 4, 0x2000), *a = cached_make(c, 0x2200, 4, 0x2300),
                       *b = cached_make(c, 0x2300, 4, 0x2200);

    cache_link(&c->cache, &self->links[0], self);
    cache_link(&c->cache, &a->links[0], b);
    cache_link(&c->cache, &b->links[0], a);
    cpu_post_attention(c->cpu, ATTENTION_STOP); /* else they would run for ever */
    assert_ptr_equal(cached_run(c, self, NULL), self);
    assert_ptr_equal(cached_run(c, a, NULL), b); /* forward edges do not poll, the backward one does */
    assert_ptr_equal(cached_run(c, b, NULL), b);
    atomic_store(&c->cpu->attention, 0);
    cache_page_written(&c->cache, 2, 0x200, 1);
    assert_ptr_equal(cached_run(c, b, NULL), b);
    cache_page_written(&c->cache, 2, 0, 0x40);
    assert_true(self->dead);
    assert_null(self->incoming);
    assert_ptr_equal(cached_run(c, self, NULL), self);
    cached_destroy(c);
}

/* Links to another page hold only as long as that page is what it was. */
static void test_guards(void **state)
{
    struct cached *c = cached_create(MIB);
    struct mmu *mmu = &c->cpu->mmu;

    uint32_t *table = fixture_enable_paging(c->machine);
    struct translation *a = cached_make(c, 0x2000, 4, 0x5000), *b = cached_make(c, 0x5000, 4, 0x5100);
    cache_link(&c->cache, &a->links[0], b); /* nothing is known of the page */
    assert_null(a->links[0].target);
    cached_fetch(c, 0x5000);
    cache_link(&c->cache, &a->links[0], b);
    assert_ptr_equal(a->links[0].target, b);
    assert_ptr_equal(cached_run(c, a, NULL), b);
    cpu_post_attention(c->cpu, ATTENTION_INTERRUPT);
    assert_ptr_equal(cached_run(c, a, NULL), a);
    atomic_store(&c->cpu->attention, 0);

    mmu_invalidate_page(mmu, 0x5000);
    assert_ptr_equal(cached_run(c, a, NULL), a);
    cached_fetch(c, 0x5000); /* the same again */
    assert_ptr_equal(cached_run(c, a, NULL), b);
    table[5] = 0x9000 | 7;
    assert_ptr_equal(cached_run(c, a, NULL), b); /* the stale entry counts, as on a processor */
    mmu_set_cr3(mmu, 0x10000);
    assert_ptr_equal(cached_run(c, a, NULL), a);
    cached_fetch(c, 0x5000);
    assert_ptr_equal(cached_run(c, a, NULL), a);
    table[5] = 0;
    mmu_invalidate_page(mmu, 0x5000);
    assert_ptr_equal(cached_run(c, a, NULL), a);
    table[5] = 0x5000 | 7;
    cached_fetch(c, 0x5000);
    assert_ptr_equal(cached_run(c, a, NULL), b);
    /* Another class has other tables. */
    mmu_set_class(mmu, MMU_USER);
    assert_ptr_equal(cached_run(c, a, NULL), a);
    mmu_set_class(mmu, MMU_SUPERVISOR);
    assert_ptr_equal(cached_run(c, a, NULL), b);
    cache_page_written(&c->cache, 5, 0, 1);
    assert_ptr_equal(cached_run(c, a, NULL), a);
    cached_destroy(c);
}

/* ---- indirect jumps ---- */

static struct translation *make_indirect(struct cached *c, uint32_t linear)
{
    char text[256];

    snprintf(text, sizeof text, "block eip=%08x mode=%08x linear=%08x\n0 %08x+2 jmp eax\nexit_indirect eax\n", linear,
             c->cpu->mode, linear, linear);
    cached_parse(c, text);
    return cached_insert(c, linear, 2);
}

static void expect_indirect(struct cached *c, const struct translation *jump, uint32_t to,
                            const struct translation *found)
{
    uint64_t left;

    c->cpu->state.gpr[GPR_AX] = to;
    assert_ptr_equal(cached_run(c, jump, &left), found);
    if (!found) {
        assert_int_equal(left, NATIVE_LEAVE_LOOKUP);
        assert_int_equal(c->cpu->state.rip, to);
    }
}

static void test_jump_cache(void **state)
{
    struct cached *c = cached_create(MIB);
    struct translation *jump = make_indirect(c, 0x2000), *a = cached_make(c, 0x5000, 4, 0x5100),
                       *b = cached_make(c, 0x5080, 4, 0x5100);

    for (uint32_t eip = 0; eip < 0x40000; eip += 0x333) /* an empty cache knows nothing, not even EIP 0 */
        expect_indirect(c, jump, eip, NULL);
    cache_remember_jump(&c->cache, a); /* the page's entry is not known */
    expect_indirect(c, jump, 0x5000, NULL);
    cached_fetch(c, 0x5000);
    cache_remember_jump(&c->cache, a);
    cache_remember_jump(&c->cache, b);
    expect_indirect(c, jump, 0x5000, a);
    expect_indirect(c, jump, 0x5080, b);
    expect_indirect(c, jump, 0x5040, NULL);
    cpu_post_attention(c->cpu, ATTENTION_INTERRUPT);
    expect_indirect(c, jump, 0x5000, NULL);
    atomic_store(&c->cpu->attention, 0);
    uint32_t mode = c->cpu->mode;
    c->cpu->mode ^= MODE_AC;
    expect_indirect(c, jump, 0x5000, NULL);
    c->cpu->mode = mode;
    mmu_invalidate_page(&c->cpu->mmu, 0x5000);
    expect_indirect(c, jump, 0x5000, NULL);
    cached_fetch(c, 0x5000);
    expect_indirect(c, jump, 0x5000, a);

    /* Death takes the entry along, and only the dead one's. */
    cache_page_written(&c->cache, 5, 0, 1);
    expect_indirect(c, jump, 0x5000, NULL);
    expect_indirect(c, jump, 0x5080, b);
    const struct native_jump *slot = &c->cache.jumps[native_jump_index(0x5000)];
    assert_int_equal(slot->code, 0);
    assert_int_equal(slot->key, UINT64_MAX);

    /* Two that share a slot: the later one has it, and keeps it when the other dies. */
    uint32_t eip = 0x5080, twin = 0;
    for (twin = 0x20000; twin < 0xff000; twin += 0x40)
        if (native_jump_index(twin) == native_jump_index(eip))
            break;
    assert_true(twin < 0xff000);
    struct translation *other = cached_make(c, twin, 4, twin + 4);
    cached_fetch(c, twin);
    cache_remember_jump(&c->cache, other);
    expect_indirect(c, jump, twin, other);
    expect_indirect(c, jump, eip, NULL);
    cache_page_written(&c->cache, 5, 0x80, 1);
    expect_indirect(c, jump, twin, other);
    cache_flush(&c->cache);
    expect_indirect(c, jump, twin, NULL);
    cached_destroy(c);
}

/* The first target of an indirect branch. Who has none yet, or a dead one, says which it wants. */
static void test_inline_caches(void **state)
{
    struct cached *c = cached_create(MIB);
    uint64_t left;

    c->inline_caches = true;
    struct translation *jump = make_indirect(c, 0x2000), *b = cached_make(c, 0x5080, 4, 0x5100), *a;
    for (unsigned round = 0; round < 12; round++) {
        a = cached_make(c, 0x5000, 4, 0x5100);
        c->cpu->state.gpr[GPR_AX] = 0x5000;
        c->cpu->state.rip = 77;
        cached_run(c, jump, &left);
        assert_int_equal(c->cpu->state.rip, 0x5000);
        if (round >= 8) { /* it has lost too many */
            assert_int_equal(left, NATIVE_LEAVE_LOOKUP);
            continue;
        }
        assert_int_equal(left, (uintptr_t)&jump->links[0]);
        cache_link(&c->cache, &jump->links[0], a); /* nothing is known of the page */
        assert_ptr_equal(jump->links[0].target, round ? a : NULL);
        cached_fetch(c, 0x5000);
        cache_link(&c->cache, &jump->links[0], a);
        expect_indirect(c, jump, 0x5000, a);
        expect_indirect(c, jump, 0x5080, NULL);
        cache_remember_jump(&c->cache, b);
        expect_indirect(c, jump, 0x5080, b);
        cache_page_written(&c->cache, 5, 0x80, 1);
        b = cached_make(c, 0x5080, 4, 0x5100);
        expect_indirect(c, jump, 0x5080, NULL);
        expect_indirect(c, jump, 0x5000, a);
        cpu_post_attention(c->cpu, ATTENTION_INTERRUPT);
        expect_indirect(c, jump, 0x5000, NULL);
        atomic_store(&c->cpu->attention, 0);
        mmu_invalidate_page(&c->cpu->mmu, 0x5000);
        expect_indirect(c, jump, 0x5000, NULL);
        cached_fetch(c, 0x5000);
        expect_indirect(c, jump, 0x5000, a);
        cache_page_written(&c->cache, 5, 0, 1);
    }
    cached_destroy(c);
}

/* Code segments that are not flat: base and limit count too. */
static void test_jump_cache_segments(void **state)
{
    struct cached *c = cached_create(MIB);
    struct segment *cs = &c->cpu->state.segment[SEG_CS];
    char text[256];

    fixture_segment(c->cpu, SEG_CS, 8, 0x1000, 0x7fff, 0xc09b);
    cpu_update_mode(c->cpu);
    assert_int_equal(MODE_SHAPE(c->cpu->mode, SEG_CS), SHAPE_OTHER);
    struct translation *jump = make_indirect(c, 0x2000);
    snprintf(text, sizeof text,
             "block eip=4000 mode=%08x linear=5000\nlink 0 forward 4100\n0 4000+2 jmp\nexit 0 {place home}\n",
             c->cpu->mode);
    cached_parse(c, text);
    struct translation *a = cached_insert(c, 0x5000, 4);
    a->key.cs_base = 0x1000;
    a->key.cs_limit = 0x7fff;
    cached_fetch(c, 0x5000);
    cache_remember_jump(&c->cache, a);
    expect_indirect(c, jump, 0x4000, a);
    cs->base = 0x2000;
    expect_indirect(c, jump, 0x4000, NULL);
    cs->base = 0x1000;
    cs->limit = 0x6fff;
    expect_indirect(c, jump, 0x4000, NULL);
    cs->limit = 0x7fff;
    expect_indirect(c, jump, 0x4000, a);
    cached_destroy(c);
}

/* ---- death by lines ---- */

static void test_lines(void **state)
{
    struct cached *c = cached_create(MIB);
    struct memory *memory = c->machine->memory;
    static const struct {
        uint32_t at;
        unsigned length;
    } blocks[] = {{0x3000, 64}, {0x3040, 1}, {0x307f, 1}, {0x3080, 64}, {0x30bf, 2}, {0x3100, 200}, {0x3fc0, 64}};
    enum { COUNT = sizeof blocks / sizeof blocks[0] };
    uint8_t byte = 0x90;

    for (unsigned at = 0x3000; at < 0x4000; at++) {
        struct translation *made[COUNT];

        for (unsigned i = 0; i < COUNT; i++)
            if (!(made[i] = cached_find(c, blocks[i].at)))
                made[i] = cached_make(c, blocks[i].at, blocks[i].length, blocks[i].at + 8);
        uint64_t invalidated = c->cpu->stats->blocks_invalidated;
        memory_write_bytes(memory, at, &byte, 1);
        unsigned died = 0;
        uint64_t lines = 0;
        for (unsigned i = 0; i < COUNT; i++) {
            unsigned first = blocks[i].at >> CODE_LINE_SHIFT,
                     last = (blocks[i].at + blocks[i].length - 1) >> CODE_LINE_SHIFT;
            bool hit = at >> CODE_LINE_SHIFT >= first && at >> CODE_LINE_SHIFT <= last;

            assert_int_equal(made[i]->dead, hit);
            assert_ptr_equal(cached_find(c, blocks[i].at), hit ? NULL : made[i]);
            died += hit;
            for (unsigned line = first; line <= last && !hit; line++)
                lines |= 1ull << (line & 63);
        }
        assert_int_equal(c->cpu->stats->blocks_invalidated - invalidated, died);
        assert_int_equal(cache_code_lines(&c->cache, 3), lines);
        assert_int_equal(memory->code_lines[3], lines);
    }
    /* A write of many bytes. */
    struct translation *first = cached_make(c, 0x3020, 4, 0x3028), *last = cached_make(c, 0x3f00, 4, 0x3f08),
                       *next = cached_make(c, 0x4000, 4, 0x4008);
    assert_true(cache_page_written(&c->cache, 3, 0x3f, 0xec2));
    assert_true(first->dead && last->dead && !next->dead);
    assert_false(cache_page_written(&c->cache, 3, 0, 4096));
    assert_false(cache_page_written(&c->cache, 1 << 20, 0, 4096)); /* beyond RAM */
    cached_destroy(c);
}

static void test_leave_request(void **state)
{
    struct cached *c = cached_create(MIB);

    cached_make(c, 0x3000, 4, 0x3100);
    c->cpu->native.leave = false;
    cache_page_written(&c->cache, 3, 0x40, 1);
    assert_false(c->cpu->native.leave);
    cache_page_written(&c->cache, 3, 0x3f, 1);
    assert_true(c->cpu->native.leave);
    cached_destroy(c);
}

/* ---- room ---- */

static unsigned live(const struct code_cache *cache)
{
    unsigned count = 0;

    for (unsigned s = 0; s < CACHE_SEGMENTS; s++)
        for (unsigned i = 0; i < cache->segments[s].count; i++)
            count += !cache->segments[s].translations[i]->dead;
    return count;
}

/* Filled over and over, the oldest go first, a segment at a time; chains between the living hold, those to the dead are
 * cut. */
static void test_eviction(void **state)
{
    struct cached *c = cached_create(MIB);
    enum { ADDRESSES = 0xf0000 / 16 };
    uint32_t next = 0, oldest = 0;
    uint64_t last_evictions = 0;
    unsigned most = 0;

    while (c->cache.evictions < 60) {
        uint32_t at = 0x1000 + next % ADDRESSES * 16;
        struct translation *before = next ? cached_find(c, 0x1000 + (next - 1) % ADDRESSES * 16) : NULL;
        struct translation *old = cached_find(c, at);

        assert_null(old);
        uint64_t evictions = c->cache.evictions;
        struct translation *made = cached_make(c, at, 16, at + 16);
        if (c->cache.evictions == evictions && before && before->links[0].kind == IR_LINK_FORWARD) {
            cache_link(&c->cache, &before->links[0], made);
            assert_ptr_equal(cached_run(c, before, NULL), made);
        }
        next++;
        if (c->cache.evictions != last_evictions) {
            unsigned alive = live(&c->cache);

            if (alive > most)
                most = alive;
            last_evictions = c->cache.evictions;
            while (!cached_find(c, 0x1000 + oldest % ADDRESSES * 16))
                oldest++;
            for (uint32_t i = oldest; i < next; i += 7) /* all that are younger are there, and their ends are right */
                assert_non_null(cached_find(c, 0x1000 + i % ADDRESSES * 16));
            assert_int_equal(alive, next - oldest);
            for (uint32_t i = oldest; i < next; i += 111) {
                struct translation *t = cached_find(c, 0x1000 + i % ADDRESSES * 16), *end = t;

                while (end->links[0].target)
                    end = end->links[0].target;
                assert_ptr_equal(cached_run(c, t, NULL), end);
            }
        }
    }
    /* Of 1 MiB some nine tenths are in use. */
    const struct translation *any = cached_find(c, 0x1000 + (next - 1) % ADDRESSES * 16);
    unsigned each = ((any->end + 15) & ~15u) - any->start;
    if ((uint64_t)most * each < MIB * 8ull / 10)
        fail_msg("a cache of 1 MiB never held more than %u translations of %u bytes", most, each);
    cached_destroy(c);
}

static void test_flush_and_refill(void **state)
{
    struct cached *c = cached_create(MIB);

    for (unsigned round = 0; round < 50; round++) {
        for (unsigned i = 0; i < 200; i++)
            cached_make(c, 0x1000 + i * 64, 16, 0x1000 + i * 64 + 16);
        cache_flush(&c->cache);
        assert_int_equal(live(&c->cache), 0);
        assert_null(cached_find(c, 0x1000));
    }
    cached_destroy(c);
}

static size_t resident_bytes(void)
{
    FILE *in = fopen("/proc/self/statm", "r");
    unsigned long total = 0, resident = 0;

    assert_non_null(in);
    assert_int_equal(fscanf(in, "%lu %lu", &total, &resident), 2);
    fclose(in);
    return resident * 4096;
}

#ifdef __SANITIZE_ADDRESS__
enum { INVALIDATIONS = 100000 }; /* freed memory is held back there */
#else
enum { INVALIDATIONS = 1000000 };
#endif

static void test_flat_memory(void **state)
{
    struct cached *c = cached_create(4 * MIB);
    size_t before = 0;

    cached_make(c, 0x3000, 16, 0x3100);
    cached_parse(c,
                 "block eip=3000 mode=05550007 linear=3000\nlink 0 forward 3100\n0 3000+2 add\nadd.4 eax, ecx\nexit 0 "
                 "{place eflags}\n");
    for (unsigned i = 0; i < INVALIDATIONS; i++) {
        uint32_t at = 0x3000 + i * 2654435761u % 0x80000 / 16 * 16;

        c->block->eip = c->block->linear = at;
        struct translation *t = cached_insert(c, at, 16);
        if (i % 2)
            memory_write(c->machine->memory, at, 1, i);
        else
            cache_page_written(&c->cache, t->page, at & PAGE_MASK, 1);
        assert_true(t->dead);
        if (i == INVALIDATIONS / 4)
            before = resident_bytes();
    }
    size_t after = resident_bytes();
#ifndef __SANITIZE_ADDRESS__
    if (after > before + MIB)
        fail_msg("resident memory grew from %zu to %zu KiB", before >> 10, after >> 10);
#endif
    assert_true(before && after);
    assert_true(c->cache.evictions > 10);
    cached_destroy(c);
}

/* ---- from host addresses back ---- */

static void test_addresses(void **state)
{
    struct cached *c = cached_create(MIB);
    enum { COUNT = 40 };
    struct translation *made[COUNT];

    for (unsigned i = 0; i < COUNT; i++) {
        uint32_t at = 0x3000 + i * 32;
        char text[512];

        snprintf(text, sizeof text,
                 "block eip=%x mode=05550007 linear=%x\nlink 0 forward %x\n0 %x+2 a\nprobe.4 r [ebx]\nmov.4 eax, m\n"
                 "1 %x+2 b\nprobe.4 rw [ecx]\nadd.4 m, eax\n2 %x+2 c\ndiv.4 ecx\nexit 0 {place home}\n",
                 at, at, at + 32, at, at + 2, at + 4);
        if (i % 3 == 2)
            made[i] = cached_make(c, at, 16, at + 32);
        else {
            cached_parse(c, text);
            made[i] = cached_insert(c, at, 16);
            assert_int_equal(made[i]->site_count, 3);
        }
    }
    cache_page_written(&c->cache, 3, 0x40, 0x80); /* the dead are still found: one may be running */
    uint32_t from = made[0]->start, to = made[COUNT - 1]->end;
    for (uint32_t offset = from - 64; offset < to + 64; offset++) {
        struct translation *expected = NULL;

        for (unsigned i = 0; i < COUNT; i++)
            if (offset >= made[i]->start && offset < made[i]->end)
                expected = made[i];
        uint64_t host = cache_address(&c->cache, offset);
        assert_ptr_equal(cache_find_code(&c->cache, host), expected);
        if (!expected)
            continue;
        const struct native_site *site = cache_find_site(&c->cache, expected, host), *right = NULL;
        for (unsigned i = 0; i < expected->site_count; i++)
            if (expected->sites[i].offset == offset)
                right = &expected->sites[i];
        assert_ptr_equal(site, right);
        if (right && right->kind == SITE_CALL) { /* behind a call */
            const uint8_t *code = c->cache.executable + offset;
            assert_int_equal(code[-5], 0xe8);
            assert_in_range(right->insn, 0, 1);
        } else if (right) {
            assert_int_equal(c->cache.executable[offset], 0xf7);
            assert_int_equal(right->insn, 2);
            assert_in_range(right->recovery, expected->hot_end, expected->end - 1);
        }
    }
    assert_null(cache_find_code(&c->cache, 0));
    assert_null(cache_find_code(&c->cache, UINT64_MAX));
    assert_null(cache_find_code(&c->cache, cache_address(&c->cache, 0)));
    assert_null(cache_find_code(&c->cache, cache_address(&c->cache, 0) - 1));
    assert_null(cache_find_code(&c->cache, cache_address(&c->cache, MIB)));
    assert_null(cache_find_code(&c->cache, cache_address(&c->cache, MIB - 1)));
    cached_destroy(c);
}

/* No page is writable and executable at one address. */
static void test_protection(void **state)
{
    struct cached *c = cached_create(MIB);
    FILE *maps = fopen("/proc/self/maps", "r");
    char line[512];
    unsigned seen = 0;

    assert_non_null(maps);
    while (fgets(line, sizeof line, maps))
        if (strstr(line, "dragoman-code")) {
            assert_null(strstr(line, "rwx"));
            assert_null(strstr(line, "-wx"));
            seen++;
        }
    fclose(maps);
    assert_int_equal(seen, 2);
    cached_destroy(c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_keys),
        cmocka_unit_test(test_table),
        cmocka_unit_test(test_links),
        cmocka_unit_test(test_cycles),
        cmocka_unit_test(test_guards),
        cmocka_unit_test(test_jump_cache),
        cmocka_unit_test(test_inline_caches),
        cmocka_unit_test(test_jump_cache_segments),
        cmocka_unit_test(test_lines),
        cmocka_unit_test(test_leave_request),
        cmocka_unit_test(test_eviction),
        cmocka_unit_test(test_flush_and_refill),
        cmocka_unit_test(test_flat_memory),
        cmocka_unit_test(test_addresses),
        cmocka_unit_test(test_protection),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* Code memory and its segments; the table. See cache.h. */
#define _GNU_SOURCE /* memfd_create */
#include "cache/cache.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define MAX_BLOCK_CODE 65536u /* more than the longest block can take */
#define MAX_BLOCK_SHARE 8u     /* of a segment: small caches would never fill theirs */
#define THUNK_ROOM 16384u
#define INLINE_CACHE_FILLS 8u

static bool map_code(struct code_cache *cache, struct error *err)
{
    cache->memfd = memfd_create("dragoman-code", MFD_CLOEXEC);
    if (cache->memfd < 0 || ftruncate(cache->memfd, cache->size) != 0)
        return error_set(err, "cannot make a code cache of %u MiB: %s", cache->size >> 20, strerror(errno));
    cache->writable = mmap(NULL, cache->size, PROT_READ | PROT_WRITE, MAP_SHARED, cache->memfd, 0);
    cache->executable = mmap(NULL, cache->size, PROT_READ | PROT_EXEC, MAP_SHARED, cache->memfd, 0);
    if (cache->writable == MAP_FAILED || cache->executable == MAP_FAILED) {
        if (cache->writable == MAP_FAILED)
            cache->writable = NULL;
        if (cache->executable == MAP_FAILED)
            cache->executable = NULL;
        return error_set(err, "cannot map the code cache (executable memory refused?): %s", strerror(errno));
    }
    return true;
}

bool cache_init(struct code_cache *cache, struct vcpu *cpu, uint32_t size, const struct native_functions *functions,
                bool host_lahf, struct error *err)
{
    memset(cache, 0, sizeof *cache);
    cache->cpu = cpu;
    cache->size = size;
    cache->memfd = -1;
    cache->writer = "guest store";
    cache->flusher = "flush";
    if (!map_code(cache, err)) {
        cache_finish(cache);
        return false;
    }
    cache->page_count = cpu->mmu.memory->ram_size >> PAGE_SHIFT;
    cache->hash = calloc(CACHE_HASH_SIZE, sizeof *cache->hash);
    cache->page_translations = calloc(cache->page_count, sizeof *cache->page_translations);
    cache->churn = calloc(cache->page_count, 1);
    cache->jumps = calloc(NATIVE_JUMP_COUNT, sizeof *cache->jumps);
    cache->jump_owners = calloc(NATIVE_JUMP_COUNT, sizeof *cache->jump_owners);
    if (!cache->hash || !cache->page_translations || !cache->churn || !cache->jumps || !cache->jump_owners) {
        cache_finish(cache);
        return error_set(err, "out of memory for the code cache's tables");
    }
    memset(cache->jumps, 0xff, NATIVE_JUMP_COUNT * sizeof *cache->jumps); /* 0 would be a key */
    cache->emitter = (struct emitter){.writable = cache->writable, .position = 0, .end = THUNK_ROOM};
    thunks_prepare(cpu);
    thunks_emit(&cache->emitter, functions, host_lahf, &cache->thunks);
    cache->segments_start = THUNK_ROOM;
    cache->segment_size = (size - THUNK_ROOM) / CACHE_SEGMENTS & ~63u;
    cache->emitter.position = cache->segments_start;
    cache->emitter.end = cache->segments_start + cache->segment_size;
    cpu->native.jump_cache = cache->jumps;
    return true;
}

static void free_translation(struct translation *t)
{
    if (t->free_storage)
        t->free_storage(t->storage);
    free(t->sites);
    free(t->insn_eip);
    free(t->counters);
    free(t->profile);
    free(t);
}

void cache_finish(struct code_cache *cache)
{
    for (unsigned s = 0; s < CACHE_SEGMENTS; s++) {
        for (unsigned i = 0; i < cache->segments[s].count; i++)
            free_translation(cache->segments[s].translations[i]);
        free(cache->segments[s].translations);
    }
    if (cache->writable)
        munmap(cache->writable, cache->size);
    if (cache->executable)
        munmap(cache->executable, cache->size);
    if (cache->memfd >= 0)
        close(cache->memfd);
    free(cache->hash);
    free(cache->page_translations);
    free(cache->churn);
    free(cache->jumps);
    free(cache->jump_owners);
    memset(cache, 0, sizeof *cache);
    cache->memfd = -1;
}

/* ---- table ---- */

static unsigned hash_of(const struct translation_key *key)
{
    uint64_t h = key->physical * 0x9e3779b97f4a7c15ull ^ ((uint64_t)key->eip << 20) ^ key->mode * 0x85ebca6bu;

    return (unsigned)((h ^ h >> 29) & (CACHE_HASH_SIZE - 1));
}

struct translation_key cache_key(const struct vcpu *cpu, uint64_t physical)
{
    const struct segment *cs = &cpu->state.segment[SEG_CS];

    return (struct translation_key){physical, cs->base, cs->limit, (uint32_t)cpu->state.rip, cpu->mode};
}

static bool same_key(const struct translation_key *a, const struct translation_key *b)
{
    return a->physical == b->physical && a->eip == b->eip && a->mode == b->mode && a->cs_base == b->cs_base &&
           a->cs_limit == b->cs_limit;
}

/* Asked last, when all else matches: the instruction is about to be fetched, so a walk is due anyway. */
static bool second_page_fits(const struct code_cache *cache, const struct translation *t)
{
    struct mmu *mmu = &cache->cpu->mmu;
    uint32_t second = ((t->linear >> PAGE_SHIFT) + 1) << PAGE_SHIFT;

    return mmu_translate_execute(mmu, second).ok && mmu->execute_table[second >> PAGE_SHIFT] == t->second_entry;
}

struct translation *cache_find(const struct code_cache *cache, const struct translation_key *key)
{
    for (struct translation *t = cache->hash[hash_of(key)]; t; t = t->hash_next)
        if (same_key(&t->key, key) && (!t->second_entry || second_page_fits(cache, t)))
            return t;
    return NULL;
}

/* On a RAM page of its own. */
static bool has_second_page(const struct translation *t)
{
    return t->second_lines && t->second_page != UINT64_MAX && t->second_page != t->page;
}

/* The link of PAGE's list. */
static struct translation **next_on(struct translation *t, uint64_t page)
{
    return t->page == page ? &t->next_on_page : &t->next_on_second;
}

static uint64_t lines_on(const struct translation *t, uint64_t page)
{
    return (t->page == page ? t->lines : 0) | (t->second_lines && t->second_page == page ? t->second_lines : 0);
}

static void put_on_page(struct code_cache *cache, struct translation *t, uint64_t page, uint64_t lines)
{
    if (page == UINT64_MAX)
        return;
    *next_on(t, page) = cache->page_translations[page];
    cache->page_translations[page] = t;
    unsigned first = (unsigned)__builtin_ctzll(lines), last = 63u - (unsigned)__builtin_clzll(lines);
    memory_mark_code(cache->cpu->mmu.memory, page, first << CODE_LINE_SHIFT, (last - first + 1) << CODE_LINE_SHIFT);
}

bool cache_insert(struct code_cache *cache, struct translation *t)
{
    struct cache_segment *segment = &cache->segments[cache->current];

    if (segment->count == segment->capacity) {
        unsigned capacity = segment->capacity ? 2 * segment->capacity : 256;
        struct translation **grown = realloc(segment->translations, capacity * sizeof *grown);

        if (!grown)
            return false;
        segment->translations = grown;
        segment->capacity = capacity;
    }
    segment->translations[segment->count++] = t;
    t->segment = (uint8_t)cache->current;
    unsigned h = hash_of(&t->key);
    t->hash_next = cache->hash[h];
    cache->hash[h] = t;
    put_on_page(cache, t, t->page, t->lines);
    if (has_second_page(t))
        put_on_page(cache, t, t->second_page, t->second_lines);
    cache->emitter.position = (t->end + 15) & ~15u;
    return true;
}

/* ---- links ---- */

static void patch(struct code_cache *cache, uint32_t field, uint32_t target)
{
    uint32_t distance = target - (field + 4);

    __atomic_store_n((uint32_t *)(void *)(cache->writable + field), distance, __ATOMIC_RELAXED);
}

static uint32_t entry_for(const struct translation *target, unsigned place)
{
    if (place == IR_PLACE_EFLAGS)
        return target->entry_eflags;
    if (place == IR_PLACE_HOME)
        return target->entry_home;
    return target->entry_home < target->hot_end ? target->entry_home : target->entry_eflags;
}

static void forget_outgoing(struct translation_link *link)
{
    if (!link->target)
        return;
    struct translation_link **p = &link->target->incoming;
    while (*p && *p != link)
        p = &(*p)->next_incoming;
    if (*p)
        *p = link->next_incoming;
    link->target = NULL;
}

/* Its site's first target is what an indirect branch is compared with. When that has died often enough, whatever it is is
 * looked up. */
static void fill_inline_cache(struct code_cache *cache, struct translation_link *link, const struct translation *target)
{
    uint32_t page = (target->linear >> PAGE_SHIFT) * (uint32_t)sizeof(uint64_t);

    memcpy(cache->writable + link->exit.target, &target->key.eip, sizeof target->key.eip);
    memcpy(cache->writable + link->exit.page, &page, sizeof page);
    patch(cache, link->exit.miss, link->exit.missed);
    if (++link->fills == INLINE_CACHE_FILLS)
        link->exit.stub = cache->thunks.lookup_flat;
}

void cache_link(struct code_cache *cache, struct translation_link *link, struct translation *target)
{
    if (!link->exit.used || link->from->dead || target->dead)
        return;
    if (link->target == target)
        return; /* the TLB had lost the page, that was all */
    uint64_t entry = cache->cpu->mmu.execute_table[target->linear >> PAGE_SHIFT];
    bool guarded = link->kind == IR_LINK_OTHER_PAGE || link->kind == IR_LINK_INDIRECT;

    if (guarded && !entry)
        return;
    if (link->target) { /* another process may have another page there: its turn now */
        if (cache->watcher)
            cache->watcher->unlinked(cache->watcher->opaque, link, "relinked");
        forget_outgoing(link);
        cache->cpu->stats->chains_cut++;
    }
    if (guarded)
        memcpy(cache->writable + link->exit.guard, &entry, sizeof entry);
    if (link->kind == IR_LINK_INDIRECT)
        fill_inline_cache(cache, link, target);
    patch(cache, link->exit.field, entry_for(target, link->exit.place));
    link->target = target;
    link->next_incoming = target->incoming;
    target->incoming = link;
    cache->cpu->stats->chains_made++;
    if (cache->watcher)
        cache->watcher->linked(cache->watcher->opaque, link);
}

static void cut(struct code_cache *cache, struct translation_link *link)
{
    if (cache->watcher)
        cache->watcher->unlinked(cache->watcher->opaque, link, "target died");
    patch(cache, link->exit.field, link->exit.stub);
    link->target = NULL;
    cache->cpu->stats->chains_cut++;
}

void cache_remember_jump(struct code_cache *cache, struct translation *t)
{
    struct native_jump *jump = &cache->jumps[native_jump_index(t->key.eip)];
    uint64_t entry = cache->cpu->mmu.execute_table[t->linear >> PAGE_SHIFT];

    if (!entry)
        return;
    jump->key = t->key.eip | (uint64_t)t->key.mode << 32;
    jump->cs_base = (uint32_t)t->key.cs_base;
    jump->cs_limit = t->key.cs_limit;
    jump->execute_entry = entry;
    jump->code = cache_address(cache, t->entry_home);
    cache->jump_owners[native_jump_index(t->key.eip)] = t;
}

/* ---- death ---- */

static void remove_from_table(struct code_cache *cache, struct translation *t)
{
    struct translation **p = &cache->hash[hash_of(&t->key)];

    while (*p && *p != t)
        p = &(*p)->hash_next;
    if (*p)
        *p = t->hash_next;
    struct native_jump *jump = &cache->jumps[native_jump_index(t->key.eip)];
    if (jump->code == cache_address(cache, t->entry_home))
        *jump = (struct native_jump){.key = UINT64_MAX};
    if (cache->jump_owners[native_jump_index(t->key.eip)] == t)
        cache->jump_owners[native_jump_index(t->key.eip)] = NULL;
}

static void remove_from_page(struct code_cache *cache, struct translation *t, uint64_t page)
{
    if (page == UINT64_MAX)
        return;
    struct translation **p = &cache->page_translations[page];
    while (*p && *p != t)
        p = next_on(*p, page);
    if (*p)
        *p = *next_on(t, page);
}

/* From both pages' lists, and what is left of their code lines. */
static void remove_from_pages(struct code_cache *cache, struct translation *t)
{
    remove_from_page(cache, t, t->page);
    if (t->page != UINT64_MAX)
        memory_refresh_code(cache->cpu->mmu.memory, t->page);
    if (has_second_page(t)) {
        remove_from_page(cache, t, t->second_page);
        memory_refresh_code(cache->cpu->mmu.memory, t->second_page);
    }
}

/* Nothing leads to it any more; its memory stays. Nothing happens to one that is dead. */
static void kill(struct code_cache *cache, struct translation *t)
{
    if (t->dead)
        return;
    t->dead = true;
    if (cache->watcher)
        cache->watcher->died(cache->watcher->opaque, t);
    remove_from_table(cache, t);
    remove_from_pages(cache, t);
    for (struct translation_link *link = t->incoming, *next; link; link = next) {
        next = link->next_incoming;
        cut(cache, link);
    }
    t->incoming = NULL;
    for (unsigned i = 0; i < 2; i++)
        if (t->links[i].target) { /* a dead block that still runs leaves at its end */
            struct translation_link *link = &t->links[i];

            forget_outgoing(link);
            patch(cache, link->exit.field, link->exit.stub);
        }
    cache->cpu->native.leave = true;
    cache->cpu->stats->blocks_invalidated++;
}

uint64_t cache_code_lines(const struct code_cache *cache, uint64_t page)
{
    uint64_t lines = 0;

    for (struct translation *t = cache->page_translations[page]; t; t = *next_on(t, page))
        lines |= lines_on(t, page);
    return lines;
}

bool cache_page_written(struct code_cache *cache, uint64_t page, unsigned offset, unsigned length)
{
    uint64_t lines = memory_lines_of(offset, length);
    bool any = false;

    if (page >= cache->page_count)
        return false;
    cache->death = (struct cache_death){cache->writer, true, (page << PAGE_SHIFT) + offset, length};
    for (struct translation *t = cache->page_translations[page], *next; t; t = next) {
        next = *next_on(t, page);
        if (!(lines_on(t, page) & lines))
            continue;
        kill(cache, t);
        any = true;
    }
    if (any) {
        if (cache->churn[page] < 255)
            cache->churn[page]++;
        memory_refresh_code(cache->cpu->mmu.memory, page);
    }
    return any;
}

static void empty_segment(struct code_cache *cache, unsigned number)
{
    struct cache_segment *segment = &cache->segments[number];

    cache->death = (struct cache_death){.cause = "eviction"};
    for (unsigned i = 0; i < segment->count; i++) {
        struct translation *t = segment->translations[i];

        kill(cache, t);
        free_translation(t);
    }
    segment->count = 0;
}

struct emitter *cache_begin(struct code_cache *cache)
{
    struct emitter *e = &cache->emitter;
    uint32_t share = cache->segment_size / MAX_BLOCK_SHARE, wanted = share < MAX_BLOCK_CODE ? share : MAX_BLOCK_CODE;
    bool fresh = e->end - e->position == cache->segment_size;

    if (!fresh && (e->overflow || e->end - e->position < wanted)) {
        cache->current = (cache->current + 1) % CACHE_SEGMENTS;
        empty_segment(cache, cache->current);
        e->position = cache->segments_start + cache->current * cache->segment_size;
        e->end = e->position + cache->segment_size;
        cache->evictions++;
        cache->cpu->stats->cache_evictions++;
        for (uint64_t page = 0; page < cache->page_count; page++)
            cache->churn[page] /= 2;
    }
    e->overflow = false;
    return e;
}

void cache_forget(struct code_cache *cache, struct translation *t, const char *cause)
{
    cache->death = (struct cache_death){.cause = cause};
    kill(cache, t);
}

void cache_flush(struct code_cache *cache)
{
    cache->death = (struct cache_death){.cause = cache->flusher};
    for (unsigned s = 0; s < CACHE_SEGMENTS; s++)
        for (unsigned i = 0; i < cache->segments[s].count; i++) {
            struct translation *t = cache->segments[s].translations[i];

            kill(cache, t);
        }
    memset(cache->jumps, 0xff, NATIVE_JUMP_COUNT * sizeof *cache->jumps);
    memset(cache->jump_owners, 0, NATIVE_JUMP_COUNT * sizeof *cache->jump_owners);
}

/* ---- from host addresses back ---- */

struct translation *cache_find_code(const struct code_cache *cache, uint64_t host_address)
{
    uint64_t offset = host_address - (uint64_t)(uintptr_t)cache->executable;

    if (offset < cache->segments_start || offset >= cache->size)
        return NULL;
    unsigned number = (unsigned)((offset - cache->segments_start) / cache->segment_size);
    if (number >= CACHE_SEGMENTS)
        return NULL;
    const struct cache_segment *segment = &cache->segments[number];
    unsigned low = 0, high = segment->count;
    while (low < high) {
        unsigned middle = (low + high) / 2;
        const struct translation *t = segment->translations[middle];

        if (offset >= t->end)
            low = middle + 1;
        else
            high = middle;
    }
    if (low == segment->count || offset < segment->translations[low]->start)
        return NULL;
    return segment->translations[low];
}

const struct native_site *cache_find_site(const struct code_cache *cache, const struct translation *t,
                                          uint64_t host_address)
{
    uint32_t offset = (uint32_t)(host_address - (uint64_t)(uintptr_t)cache->executable);

    for (unsigned i = 0; i < t->site_count; i++)
        if (t->sites[i].offset == offset)
            return &t->sites[i];
    return NULL;
}

/* The code cache: memory for translations, the table that finds them, links between them, and invalidation.
 *
 * Code memory is one range, mapped twice (writable, executable; never both at one address), cut into segments that are
 * filled one after the other and, when the range is full, emptied one at a time, the oldest first: a pause is bounded
 * by a segment's contents.  A translation that dies keeps its memory until then, so one that is running may die.
 *
 * Threads: the vCPU's only. */
#ifndef DRAGOMAN_CACHE_CACHE_H
#define DRAGOMAN_CACHE_CACHE_H

#include "backend-x86_64/codegen.h"
#include "base/error.h"
#include "cpu/vcpu.h"

#define CACHE_SEGMENTS 16u
#define CACHE_HASH_SIZE 65536u

struct translation;
struct translation_link;
struct translation_profile; /* the owner's */

/* Who is told what happens to translations, or NULL. */
struct cache_watcher {
    void *opaque;
    void (*linked)(void *opaque, const struct translation_link *link); /* it has its target */
    void (*unlinked)(void *opaque, const struct translation_link *link, const char *cause); /* still has it */
    void (*died)(void *opaque, struct translation *translation); /* code_cache.death tells why */
};

/* Why translations die. */
struct cache_death {
    const char *cause;   /* as traces tell it: docs/trace-format.md */
    bool written;        /* because LENGTH bytes at guest-physical PHYSICAL were written */
    uint64_t physical;
    uint32_t length;
};

struct translation_link {
    struct translation *from;
    struct translation *target;        /* NULL: leads to its stub */
    struct translation_link *next_incoming;
    struct native_exit exit;
    uint32_t eip;
    uint8_t kind;                      /* enum ir_link_kind */
    uint8_t fills;                     /* IR_LINK_INDIRECT: how often it was given a target */
};

/* A key: what the same guest bytes may mean different things by. */
struct translation_key {
    uint64_t physical;
    uint64_t cs_base;
    uint32_t cs_limit;
    uint32_t eip, mode;
};

struct translation {
    struct translation_key key;
    uint64_t id;              /* never given to another one */
    uint32_t linear;
    uint32_t start, entry_eflags, entry_home, hot_end, end; /* offsets in the code range */
    uint16_t length;          /* guest bytes */
    uint16_t insn_count;
    bool uses_fpu;            /* x87, MMX or SSE */
    uint8_t divide_faults;    /* #DE that came as a host fault */
    uint32_t checked;         /* lockstep: how often it ran */
    bool dead;
    uint8_t segment;
    struct translation *hash_next;
    struct translation *next_on_page;
    uint64_t page;            /* RAM page index, UINT64_MAX: ROM */
    uint64_t lines;
    /* A single instruction that runs into a second page; 0 else */
    uint64_t second_entry;    /* execute entry of that page */
    uint64_t second_page;     /* RAM page index, UINT64_MAX: ROM */
    uint64_t second_lines;
    struct translation *next_on_second;
    struct translation_link links[2];
    struct translation_link *incoming;
    uint32_t *insn_eip;       /* of each instruction */
    struct native_counters *counters; /* NULL: none */
    struct translation_profile *profile; /* one allocation; NULL: none yet */
    struct native_site *sites; /* by offset; SITE_DIVIDE among them */
    unsigned site_count;
    void *storage;            /* calls, their arguments, interpreted operations: freed with the translation */
    void (*free_storage)(void *storage);
};

struct cache_segment {
    struct translation **translations; /* in the order of their code */
    unsigned count, capacity;
};

struct code_cache {
    struct vcpu *cpu;
    uint8_t *writable, *executable;
    int memfd;
    uint32_t size, segment_size, segments_start;
    unsigned current;          /* segment being filled */
    struct emitter emitter;
    struct native_thunks thunks;
    struct translation **hash;
    struct translation **page_translations;
    uint64_t page_count;
    uint8_t *churn;            /* per RAM page: how often its code was written to, decaying */
    struct cache_segment segments[CACHE_SEGMENTS];
    struct native_jump *jumps;
    struct translation **jump_owners; /* whose each entry of jumps is */
    uint64_t evictions;
    const struct cache_watcher *watcher;
    struct cache_death death;  /* of who dies now */
    const char *writer, *flusher; /* the causes in cache_page_written(), cache_flush() */
};

/* SIZE of the code range in bytes, 1 MiB .. 1 GiB. Emits the thunks. Fails with a message. */
bool cache_init(struct code_cache *cache, struct vcpu *cpu, uint32_t size, const struct native_functions *functions,
                bool host_lahf, struct error *err);
void cache_finish(struct code_cache *cache);

/* Key of what state.rip is at, given the fetch translation PHYSICAL. */
struct translation_key cache_key(const struct vcpu *cpu, uint64_t physical);
struct translation *cache_find(const struct code_cache *cache, const struct translation_key *key);
/* What cache_find() would find for state.rip, if it was entered lately; NULL: ask cache_find(). */
static inline struct translation *cache_find_recent(const struct code_cache *cache)
{
    const struct vcpu *cpu = cache->cpu;
    const struct segment *cs = &cpu->state.segment[SEG_CS];
    unsigned i = native_jump_index((uint32_t)cpu->state.rip);
    struct translation *t = cache->jump_owners[i];

    if (t && t->key.eip == (uint32_t)cpu->state.rip && t->key.mode == cpu->mode && t->key.cs_base == cs->base &&
        t->key.cs_limit == cs->limit && !t->second_entry &&
        cpu->mmu.execute_table[t->linear >> PAGE_SHIFT] == cache->jumps[i].execute_entry)
        return t;
    return NULL;
}
/* Room for one more block in the current segment, evicting if need be; not while translated code runs. If the last block did
 * not fit (emitter overflow), a new segment. */
struct emitter *cache_begin(struct code_cache *cache);
/* Enters a finished translation (its code was emitted at cache_begin()'s emitter): table, page list, code lines. */
bool cache_insert(struct code_cache *cache, struct translation *translation);
/* Lets LINK lead straight to TARGET, wherever it led before. */
void cache_link(struct code_cache *cache, struct translation_link *link, struct translation *target);
/* Remembers TRANSLATION for indirect branches to it. */
void cache_remember_jump(struct code_cache *cache, struct translation *translation);
/* Bytes of a RAM page changed: kills what was made from them. Returns true if something died. */
bool cache_page_written(struct code_cache *cache, uint64_t page, unsigned offset, unsigned length);
/* Kills TRANSLATION alone, which may be running. CAUSE: as traces tell it. */
void cache_forget(struct code_cache *cache, struct translation *translation, const char *cause);
/* Kills everything; translated code may be running (it leaves by itself: see native.leave). */
void cache_flush(struct code_cache *cache);
/* The translation whose code HOST_ADDRESS (executable mapping) lies in, dead ones included; NULL: none. */
struct translation *cache_find_code(const struct code_cache *cache, uint64_t host_address);
/* The instruction that a site at HOST_ADDRESS belongs to. */
const struct native_site *cache_find_site(const struct code_cache *cache, const struct translation *t,
                                          uint64_t host_address);
/* Lines of RAM page PAGE that hold translated code. */
uint64_t cache_code_lines(const struct code_cache *cache, uint64_t page);

static inline uint64_t cache_address(const struct code_cache *cache, uint32_t offset)
{
    return (uint64_t)(uintptr_t)cache->executable + offset;
}

#endif

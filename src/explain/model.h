/* What the first reading of a trace keeps of it. All of it belongs to struct model. */
#ifndef DRAGOMAN_EXPLAIN_MODEL_H
#define DRAGOMAN_EXPLAIN_MODEL_H

#include "explain/trace_file.h"

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define MODEL_MAX_BLOCKS  (2u << 20) /* those that come later are only counted */
#define MODEL_MAX_DEATHS  1000u      /* listed one by one */
#define MODEL_MAX_PAGES   65536u     /* whose invalidations are counted */
#define MODEL_MAX_UNKNOWN 16u        /* types */
#define TIMELINE_BUCKETS  240u
#define OCCUPANCY_LIMIT   2048u

/* ---- numbers to indices ---- */

struct index_table {
    struct index_slot {
        uint64_t key;
        uint32_t index; /* plus 1; 0: free */
    } * slots;
    size_t capacity, used; /* a power of 2 */
};

/* -1 if KEY is unknown. */
int64_t index_table_find(const struct index_table *table, uint64_t key);
/* False without memory. KEY must be new. */
bool index_table_add(struct index_table *table, uint64_t key, uint32_t index);
void index_table_finish(struct index_table *table);

/* ---- how often what happened when ---- */

struct timeline_series {
    uint32_t count[TIMELINE_BUCKETS];
};

/* All series have the same buckets; when time runs over their end, pairs are merged. */
struct timeline {
    uint64_t width; /* of a bucket, microseconds */
    uint64_t last;  /* latest time seen */
    struct timeline_series **series;
    size_t series_count, series_capacity;
};

/* Counts an event of the series that *SERIES is the number of plus 1 (0: it is made). */
void timeline_count(struct timeline *timeline, uint32_t *series, uint64_t t);

/* ---- blocks ---- */

enum death_cause {
    DEATH_NONE,
    DEATH_GUEST_STORE,
    DEATH_DMA,
    DEATH_DEBUGGER,
    DEATH_EVICTION,
    DEATH_FLUSH,
    DEATH_REPLACED,
    DEATH_OTHER,
    DEATH_COUNT
};
extern const char *const death_names[DEATH_COUNT];
enum death_cause death_cause_of(const char *name);

enum block_flags {
    BLOCK_INTERPRETED = 1, /* not a translation: a block of the interpreter's, its key is the linear address */
    BLOCK_HAS_ADDRESS = 2,
    BLOCK_V86 = 4,
    BLOCK_PAGING = 8,
    BLOCK_HAS_PROFILE = 16,
    BLOCK_EXACT = 32, /* the profile is */
    BLOCK_FORCED = 64
};

struct model_block {
    uint64_t key;             /* id, or linear address */
    uint64_t line_at;         /* offset of the `translation` or `block` line, 0: none */
    uint64_t profile_at;      /* of the last `profile` line, 0: none */
    uint64_t executions;      /* from the profile, or else the number of `exec` lines */
    uint64_t executed_before; /* in the interpreter, before it was translated */
    uint64_t host_us;
    uint64_t made, died; /* t */
    uint64_t time_ns;    /* what making it took */
    uint64_t link[2];    /* last known target (id) plus 1, 0: none */
    uint32_t linear, physical_page;
    uint32_t insns, guest_bytes, ops_lifted, ops_final, host_insns, host_bytes;
    uint32_t critical, callouts; /* instructions */
    uint32_t links, unlinks;
    uint8_t bits, cpl, flags, cause;
};

struct interrupt_count {
    uint64_t count, cpl[4], first, last;
    uint64_t eip, address; /* of the last one */
    uint32_t series;
    bool has_address;
};

enum { INTERRUPT_EXCEPTION, INTERRUPT_EXTERNAL, INTERRUPT_SOFTWARE, INTERRUPT_KINDS };
extern const char *const interrupt_kinds[INTERRUPT_KINDS];

enum { MMU_FILL, MMU_FLUSH, MMU_INVLPG, MMU_FAULT, MMU_EVENTS };
extern const char *const mmu_events[MMU_EVENTS];

struct occupancy {
    uint64_t t, used, size, translations, dead, instructions, interpreted;
};

struct death {
    uint64_t t, key, physical, length;
    uint32_t linear;
    uint8_t cause;
    bool has_physical, has_linear;
};

struct page_count {
    uint64_t page, count;
};

struct tier_count {
    uint64_t hot, churn, refused, other;
};

struct model {
    json_t *header; /* owned */
    struct model_block *blocks;
    size_t block_count, block_capacity;
    struct index_table translations, interpreted;
    uint64_t translation_lines, interpreted_lines, forgotten; /* forgotten: over MODEL_MAX_BLOCKS, or no memory */
    uint64_t guest_bytes, host_bytes, guest_insns, host_insns, ops_lifted, ops_final, time_ns; /* of all translations */
    uint64_t critical_insns, callout_insns;
    uint64_t links, unlinks;
    uint64_t exec_translated, exec_interpreted;

    struct timeline timeline;
    uint32_t series_translation, series_link, series_unlink, series_death[DEATH_COUNT], series_int[INTERRUPT_KINDS],
        series_mmu[MMU_EVENTS];

    struct occupancy occupancy[OCCUPANCY_LIMIT], occupancy_last;
    size_t occupancy_count;
    uint64_t occupancy_seen, occupancy_stride;

    uint64_t deaths[DEATH_COUNT];
    struct death *death_list; /* MODEL_MAX_DEATHS */
    size_t death_count;
    struct index_table page_index;
    struct page_count *pages;
    size_t page_count, page_capacity;

    struct interrupt_count interrupts[INTERRUPT_KINDS][256];
    uint64_t mmu[MMU_EVENTS];
    struct tier_count tiers;

    struct unknown_type {
        char name[32];
        uint64_t count;
    } unknown[MODEL_MAX_UNKNOWN];
    size_t unknown_count;
    uint64_t lines, bytes, damaged, first_damaged;
    bool cut_off, ended;
    uint64_t end_t, suppressed, seconds_ms;
    bool any_host_us, any_profile, any_exec, all_exact;
};

/* Reads the whole of FILE. The model is large: not for the stack. On failure there is nothing to finish. */
bool model_read(struct model *model, struct trace_file *file, struct error *err);
void model_finish(struct model *model);

/* What blocks are ranked by. */
enum model_metric { METRIC_HOST_US, METRIC_INSTRUCTIONS, METRIC_NONE };
enum model_metric model_metric(const struct model *model);
uint64_t model_weight(const struct model *model, const struct model_block *block);
/* Indices of all blocks, the heaviest first; the caller frees it. NULL without memory. */
uint32_t *model_rank(const struct model *model);

/* For scan.c: the block of a translation or of the interpreter's, made if it is new; NULL if it cannot be. */
struct model_block *model_block_of(struct model *model, uint64_t key, bool interpreted);
void model_count_page(struct model *model, uint64_t page);

#endif

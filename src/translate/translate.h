/* The translator as a whole: when code is hot it is lifted, optimised, compiled into the code cache and run there; what
 * leaves translated code comes back here.  It hangs on the interpreter's run loop (interp_set_native()), which attends to
 * interrupts, single-stepping and cold code. One per vCPU, on its thread. */
#ifndef DRAGOMAN_TRANSLATE_TRANSLATE_H
#define DRAGOMAN_TRANSLATE_TRANSLATE_H

#include "base/error.h"
#include "cpu/vcpu.h"
#include "interp/interp.h"

/* Thresholds and sizes, settable on the command line. */
struct translate_options {
    uint32_t cache_size;      /* of the code range in bytes */
    uint32_t threshold;       /* executions in the interpreter before a block is translated; 0: at once */
    unsigned block_limit;     /* guest instructions a block at most */
    uint32_t disabled_passes; /* bit n: ir_passes[n] is off (if it may be) */
    bool lockstep;            /* every block is run by both engines and compared */
    /* Lockstep: REPORT (several lines) tells of the first disagreement; state is as before the block. */
    void (*on_disagreement)(void *opaque, const char *report);
    void *opaque;
    /* host_profilers.h: who is told of translations */
    bool perf_map, jitdump, gdb_jit;
    bool baseline;            /* pretend that the host has nothing beyond x86-64-v1 */
};
#define TRANSLATE_OPTIONS_DEFAULT {.cache_size = 64u << 20, .threshold = 24, .block_limit = 48}

struct translator;

/* INTERP is the vCPU's; it asks this translator from now on. Fails with a message (no executable memory ...). */
struct translator *translator_create(struct vcpu *cpu, struct interp *interp, const struct translate_options *options,
                                     struct error *err);
void translator_destroy(struct translator *translator);
/* Forgets all translations. */
void translator_flush(struct translator *translator);

/* What the code cache holds. */
struct translate_summary {
    uint32_t cache_size, cache_used; /* bytes of host code; used: what a new block would not find free */
    unsigned translations;           /* that can be entered */
    unsigned dead;                   /* invalidated, their memory not reclaimed yet */
    unsigned links;                  /* chained exits */
    unsigned instructions;           /* guest instructions in living translations, and their bytes */
    uint32_t guest_bytes, host_bytes;
    unsigned jump_entries;           /* of the table that indirect branches look in */
};

#define PROFILE_TARGETS    4u
#define PROFILE_SLOW_SHARE 64u /* of slow accesses one in so many is attributed to its instruction */

/* A living translation, for lists. */
struct translate_block {
    uint64_t physical;
    uint32_t linear, mode, eip;
    unsigned instructions, length, host_bytes;
    unsigned incoming;               /* links that lead to it */
    bool counted;                    /* the counts are exact (-d profile), not samples */
    uint64_t executions;
    bool link_used[2];               /* [0] falls through or jumps, [1] the branch is taken */
    uint32_t link_eip[2];
    uint64_t taken[2];
    uint64_t elsewhere;              /* left by no link: indirect branches, returns ... */
    struct translate_target {
        uint32_t eip;
        uint64_t count;
    } targets[PROFILE_TARGETS];      /* the commonest of these first; count 0: no more */
};

/* An instruction whose accesses are slow, or that faults. */
struct translate_site {
    uint64_t physical;
    uint32_t linear, eip, mode;
    bool exact;                      /* READS and WRITES are, else extrapolated */
    uint64_t reads, writes, faults;
    unsigned length;                 /* of BYTES: of the instruction, and what is behind it */
    uint8_t bytes[15];
};

/* The vCPU is parked, for all of these. */
void translator_summarize(const struct translator *translator, struct translate_summary *summary);
/* The translations that execute most instructions, as far as that is counted or sampled, then the most linked-to;
 * returns how many of at most COUNT. */
unsigned translator_list_blocks(const struct translator *translator, struct translate_block *blocks, unsigned count);
/* The slowest first; returns how many of at most COUNT. */
unsigned translator_list_sites(const struct translator *translator, struct translate_site *sites, unsigned count);
/* Guest instructions in samples of the executions of translations, since the beginning. */
uint64_t translator_profile_instructions(const struct translator *translator);
/* Guest instructions that translations executed while they were profiled (-d profile). */
uint64_t translator_profiled_instructions(const struct translator *translator);
/* How often translated code left an instruction of ROW (instruction table) to the interpreter, and to its C function. */
void translator_count_row(const struct translator *translator, unsigned row, uint64_t *interpreted, uint64_t *called_out);

#endif

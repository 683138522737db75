/* Counters, one X-macro list: `info stats` and -stats print them all. And what a vCPU's thread spends its time on: it says
 * which phase it is in by storing a byte where it changes hands anyway, and a thread looks at that byte now and then. */
#ifndef DRAGOMAN_BASE_STATS_H
#define DRAGOMAN_BASE_STATS_H

#include "base/error.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

/* X(field, help) */
#define STATS_COUNTERS(X)                                                       \
    X(instructions, "guest instructions retired; without -icount the interpreter's") \
    X(instructions_interpreted, "of these by the interpreter's own loop")        \
    X(instructions_observed, "by the interpreter for the profile, in place of translated code") \
    X(blocks_decoded, "basic blocks decoded by the interpreter")                \
    X(blocks_entered, "basic blocks entered through the run loop")              \
    X(blocks_invalidated, "basic blocks discarded because their code changed")  \
    X(block_cache_flushes, "times the whole block cache was emptied")           \
    X(tlb_fills_read, "read TLB entries filled")                                \
    X(tlb_fills_write, "write TLB entries filled")                              \
    X(tlb_fills_execute, "execute TLB entries filled")                          \
    X(tlb_flushes, "TLB flushes, all entries or non-global ones")               \
    X(tlb_invalidations, "single pages invalidated (INVLPG)")                   \
    X(page_faults, "#PF delivered")                                             \
    X(exceptions, "exceptions delivered, #PF included")                         \
    X(interrupts, "hardware interrupts delivered")                              \
    X(callouts, "callouts (critical and privileged instructions)")              \
    X(port_reads, "port reads")                                                 \
    X(port_writes, "port writes")                                               \
    X(mmio_reads, "memory-mapped device reads")                                 \
    X(mmio_writes, "memory-mapped device writes")                               \
    X(code_page_writes, "stores into pages that hold decoded code")             \
    X(halts, "HLT executed")                                                    \
    X(translations, "blocks translated")                                        \
    X(translated_instructions, "guest instructions translated")                 \
    X(translated_bytes, "bytes of host code made")                              \
    X(translation_failures, "blocks that could not be translated")              \
    X(native_entries, "times translated code was entered from the run loop")    \
    X(chains_made, "links between translations made")                           \
    X(chains_cut, "links between translations cut")                             \
    X(cache_evictions, "segments of the code cache emptied to make room")       \
    X(native_slow_reads, "reads of translated code that C carried out")         \
    X(native_slow_writes, "writes of translated code that C carried out")       \
    X(native_interpreted, "instructions interpreted for translated code")

/* X(PHASE, name, help). The first two are waits, timed exactly; of the others the proportions are sampled. */
#define STATS_PHASES(X)                                                                 \
    X(STOPPED, "stopped", "the machine is stopped, or being looked at")                  \
    X(IDLE, "idle", "the processor is halted")                                           \
    X(INTERPRET, "interpreting", "the interpreter and its run loop")                     \
    X(TRANSLATE, "translating", "making translations")                                   \
    X(EXECUTE, "executing", "translated code")                                           \
    X(LOOKUP, "lookups", "between translations: lookups, links, exceptions")             \
    X(MEMORY, "memory slow path", "accesses of translated code that C carries out")      \
    X(CALLOUT, "callouts", "instructions of translated code that are C functions")       \
    X(SINGLE, "single instructions", "instructions interpreted for translated code")     \
    X(DEVICE, "devices", "handlers of ports and device memory, and the wait for them")

enum stats_phase {
#define X(id, name, help) STATS_PHASE_##id,
    STATS_PHASES(X)
#undef X
    STATS_PHASE_COUNT
};
#define STATS_PHASE_FIRST_BUSY STATS_PHASE_INTERPRET

struct stats {
#define X(field, help) uint64_t field;
    STATS_COUNTERS(X)
#undef X
    /* The vCPU's thread writes these. Only PHASE may be read while it runs. */
    uint8_t phase; /* enum stats_phase; stats_set_phase() */
    bool has_phase_thread;
    pthread_t phase_thread;
    uint64_t wait_since, waited[STATS_PHASE_FIRST_BUSY]; /* nanoseconds of CLOCK_MONOTONIC */
    uint64_t processor;                            /* nanoseconds of CLOCK_THREAD_CPUTIME_ID at the last stop */
    atomic_uint *bell;                             /* stats_set_bell(); NULL: nobody wants to know */
    unsigned bell_bit;
};

/* ---- phases: the vCPU's thread ---- */

static inline void stats_set_phase(struct stats *stats, enum stats_phase phase)
{
    __atomic_store_n(&stats->phase, (uint8_t)phase, __ATOMIC_RELAXED);
}

static inline enum stats_phase stats_phase(const struct stats *stats)
{
    return __atomic_load_n(&stats->phase, __ATOMIC_RELAXED);
}

/* For what other threads do as well, who are not timed. Returns what stats_leave_device() wants back. */
static inline int stats_enter_device(struct stats *stats)
{
    if (!__atomic_load_n(&stats->has_phase_thread, __ATOMIC_ACQUIRE) || !pthread_equal(stats->phase_thread, pthread_self()))
        return -1;
    enum stats_phase before = stats_phase(stats);
    stats_set_phase(stats, STATS_PHASE_DEVICE);
    return (int)before;
}

static inline void stats_leave_device(struct stats *stats, int before)
{
    if (before >= 0)
        stats_set_phase(stats, (enum stats_phase)before);
}

/* Once, on a vCPU's thread before all else: it is the one whose phases are told. */
void stats_take_thread(struct stats *stats);
/* Around a wait of kind PHASE, stopped or idle. */
void stats_begin_wait(struct stats *stats, enum stats_phase phase);
void stats_end_wait(struct stats *stats);

/* From now on the sampler sets BIT in *WORD about 100 times a second while translated code runs, or what it calls. WORD
 * outlives the sampler. */
static inline void stats_set_bell(struct stats *stats, atomic_uint *word, unsigned bit)
{
    stats->bell_bit = bit;
    __atomic_store_n(&stats->bell, word, __ATOMIC_RELEASE);
}

/* ---- sampling: the main thread ---- */

#define STATS_SAMPLES_PER_SECOND       100u  /* always; costs nothing that can be measured */
#define STATS_SAMPLES_PER_SECOND_ASKED 1000u /* for somebody who asked for statistics */

struct stats_sampler;

/* Before the vCPU's thread exists. STATS outlive the sampler. */
struct stats_sampler *stats_sampler_create(struct stats *stats, unsigned samples_per_second, struct error *err);
void stats_sampler_destroy(struct stats_sampler *sampler);

/* Nanoseconds since the sampler was created. TIME[phase] add up to TOTAL; without samples what is left is not known. */
struct stats_times {
    uint64_t total;
    uint64_t time[STATS_PHASE_COUNT];
    uint64_t samples; /* of a busy thread */
    uint64_t processor; /* of a host's processor, used by the vCPU's thread */
};
/* The vCPU is parked. SAMPLER may be NULL: all zero. */
void stats_sampler_read(struct stats_sampler *sampler, struct stats_times *times);
const char *stats_phase_name(enum stats_phase phase);
const char *stats_phase_help(enum stats_phase phase);

#endif

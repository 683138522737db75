/* Counters, one X-macro list: `info stats` and -stats print them all. */
#ifndef DRAGOMAN_BASE_STATS_H
#define DRAGOMAN_BASE_STATS_H

#include <stdint.h>

/* X(field, help) */
#define STATS_COUNTERS(X)                                                       \
    X(instructions, "guest instructions retired")                               \
    X(instructions_interpreted, "of these by the interpreter's own loop")        \
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

struct stats {
#define X(field, help) uint64_t field;
    STATS_COUNTERS(X)
#undef X
};

#endif

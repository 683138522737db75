/* The trace log behind -d LIST and -D FILE.  One per machine, no globals. Events with more to them than a line of text
 * go through src/trace, which hangs off the log as its sink.
 *
 * Testing a category is one load and one test, so that a switched-off category costs nothing
 * measurable.  Any thread may write; lines of different threads do not interleave. */
#ifndef DRAGOMAN_BASE_LOG_H
#define DRAGOMAN_BASE_LOG_H

#include "base/error.h"

#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>

/* X(enumerator suffix, name on the command line, help text) */
#define LOG_CATEGORIES(X)                                                       \
    X(IN_ASM, "in_asm", "guest code of each block as it is discovered")         \
    X(EXEC, "exec", "each block as it is entered")                              \
    X(INT, "int", "interrupts and exceptions as they are delivered")            \
    X(MMU, "mmu", "TLB fills, flushes and page faults")                         \
    X(CPU_RESET, "cpu_reset", "processor state at each reset")                  \
    X(UNIMP, "unimp", "accesses to what is not implemented, once each")         \
    X(GUEST_ERRORS, "guest_errors", "impossible requests from the guest")       \
    X(IO, "io", "port and memory-mapped device accesses")                       \
    X(SMC, "smc", "invalidation of code that was written to")                   \
    X(JIT, "jit", "translations made, and why others were not")                 \
    X(OP, "op", "IR of each translated block as it was lifted")                 \
    X(OP_OPT, "op_opt", "IR of each translated block after each pass")          \
    X(OUT_ASM, "out_asm", "host code of each translated block")                 \
    X(CHAIN, "chain", "links between translations, made and cut")               \
    X(TIER, "tier", "blocks that change their engine, and why")                 \
    X(PROFILE, "profile", "exact counters of each translation; the code cache ten times a second")

enum log_category_bit {
#define X(id, name, help) LOG_BIT_##id,
    LOG_CATEGORIES(X)
#undef X
    LOG_CATEGORY_COUNT
};

#define LOG_(id) (1u << LOG_BIT_##id)

struct log;

/* Takes over what is written (all but the text form without a trace). */
struct log_sink {
    void (*message)(struct log *log, int category, const char *text); /* a line; CATEGORY -1: none */
    void (*opened)(struct log *log);  /* nothing was written to log->file yet */
    void (*closing)(struct log *log); /* log->file will be closed, or another take its place */
    void (*finish)(struct log *log);  /* the same, and the sink is not needed any more */
};

struct log {
    uint32_t enabled; /* set of LOG_(category) bits */
    FILE *file;       /* stderr by default; owned when opened through log_open */
    bool owned;
    const struct log_sink *sink; /* NULL: lines go to the file as they are */
    struct trace *trace;         /* the sink's */
    atomic_uint_least64_t last_id; /* given to a translation of this machine */
};

void log_init(struct log *log);
/* Closes the file if log_open opened it. */
void log_finish(struct log *log);
/* Parses a comma-separated list of category names; "help" is handled by the caller. */
bool log_enable(struct log *log, const char *list, struct error *err);
bool log_open(struct log *log, const char *path, struct error *err);
/* Writes one line (a newline is added). Call through LOG() so that arguments are not evaluated in vain. */
void log_write(struct log *log, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* The same for a category: LOG_BIT_*. */
void log_write_category(struct log *log, int category, const char *format, ...) __attribute__((format(printf, 3, 4)));
/* As on the command line. */
const char *log_category_name(int category);
/* A number for a translation, never given before. */
static inline uint64_t log_new_id(struct log *log)
{
    return atomic_fetch_add_explicit(&log->last_id, 1, memory_order_relaxed) + 1;
}

#define LOG_ENABLED(log, id) __builtin_expect(((log)->enabled & LOG_(id)) != 0, 0)
#define LOG(log, id, ...)                                       \
    do {                                                        \
        if (LOG_ENABLED(log, id))                               \
            log_write_category(log, LOG_BIT_##id, __VA_ARGS__); \
    } while (0)

#endif

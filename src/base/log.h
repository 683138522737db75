/* The trace log behind -d LIST and -D FILE.  One per machine, no globals.
 *
 * Testing a category is one load and one test, so that a switched-off category costs nothing
 * measurable.  Any thread may write; lines of different threads do not interleave. */
#ifndef DRAGOMAN_BASE_LOG_H
#define DRAGOMAN_BASE_LOG_H

#include "base/error.h"

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
    X(OUT_ASM, "out_asm", "host code of each translated block")

enum log_category_bit {
#define X(id, name, help) LOG_BIT_##id,
    LOG_CATEGORIES(X)
#undef X
    LOG_CATEGORY_COUNT
};

#define LOG_(id) (1u << LOG_BIT_##id)

struct log {
    uint32_t enabled; /* set of LOG_(category) bits */
    FILE *file;       /* stderr by default; owned when opened through log_open */
    bool owned;
};

void log_init(struct log *log);
/* Closes the file if log_open opened it. */
void log_finish(struct log *log);
/* Parses a comma-separated list of category names; "help" is handled by the caller. */
bool log_enable(struct log *log, const char *list, struct error *err);
bool log_open(struct log *log, const char *path, struct error *err);
/* Writes one line (a newline is added). Call through LOG() so that arguments are not evaluated in vain. */
void log_write(struct log *log, const char *format, ...) __attribute__((format(printf, 2, 3)));

#define LOG_ENABLED(log, id) __builtin_expect(((log)->enabled & LOG_(id)) != 0, 0)
#define LOG(log, id, ...)                   \
    do {                                    \
        if (LOG_ENABLED(log, id))           \
            log_write(log, __VA_ARGS__);    \
    } while (0)

#endif

/* The trace: events of the machine, for people (text) or programs (JSON lines, docs/trace-format.md), from the same
 * structures. It hangs off the machine's log (base/log.h): categories and file are the log's.
 *
 * Whoever has an event tests LOG_ENABLED() first, so that a trace that is off costs one load and one test.
 * Any thread may write. Functions with a log whose trace is NULL do nothing. */
#ifndef DRAGOMAN_TRACE_TRACE_H
#define DRAGOMAN_TRACE_TRACE_H

#include "base/log.h"
#include "trace/filter.h"

#include <stddef.h>

struct trace;

struct trace_options {
    const char *program; /* name and version */
    const char *engine;
    bool json;
    bool att; /* guest code in AT&T syntax */
    struct trace_filter filter;
};
#define TRACE_OPTIONS_DEFAULT                                                                                          \
    {                                                                                                                  \
        .program = "dragoman", .engine = "", .filter = TRACE_FILTER_NONE                                               \
    }

/* Hangs a trace off LOG; ended by log_finish(), which writes the last line. */
bool trace_create(struct log *log, const struct trace_options *options, struct error *err);

/* What an event concerns, for the filters; what is missing does not matter to them. */
struct trace_scope {
    uint32_t linear, length; /* length 0: no address */
    bool begins;             /* a block or translation begins at LINEAR */
    bool has_cpl;
    uint8_t cpl;
    bool has_cr3;
    uint64_t cr3;
    uint64_t id; /* of the translation; 0: none */
};

/* ---- what is told of code ---- */

struct trace_mode {
    uint32_t word; /* struct vcpu's */
    uint8_t bits;  /* 16, 32 */
    uint8_t cpl;
    bool v86, paging;
    uint64_t cr3;
};

struct trace_insn {
    uint32_t eip;
    uint8_t length;
    uint8_t bytes[15];
    char text[96];       /* trace_disassemble() */
    const char *class;   /* "innocuous", "privileged", "critical" */
    const char *callout; /* what it was rewritten to; "interpreter"; NULL: neither */
};

/* Guest code as text in the syntax that the user wants. False: undefined, and TEXT says so. */
bool trace_disassemble(const struct log *log, const uint8_t *code, size_t length, unsigned bits, uint32_t eip,
                       char *text, size_t size);

struct trace_block {
    uint32_t eip, linear, length;
    uint64_t physical;
    struct trace_mode mode;
    unsigned insn_count;
    const struct trace_insn *insns;
};
void trace_block(struct log *log, const struct trace_block *block);

enum trace_change { TRACE_SAME, TRACE_ADDED, TRACE_CHANGED };
struct trace_op {
    uint16_t n;     /* the op's number: the same in all passes */
    int16_t insn;   /* -1: none */
    uint8_t change; /* since the pass before */
    uint32_t text;  /* offset in trace_ir.text */
};
struct trace_removed {
    uint16_t n;
    uint16_t before; /* op of this pass, by its place, that it stood before */
    uint32_t text;
};
struct trace_pass {
    const char *name; /* the first: "lifted" */
    uint32_t first_op, op_count;
    uint32_t first_removed, removed_count;
};
struct trace_ir {
    unsigned pass_count;
    const struct trace_pass *passes;
    const struct trace_op *ops;
    const struct trace_removed *removed;
    const char *text; /* NUL-terminated strings */
};

struct trace_host_insn {
    uint32_t at;
    uint8_t length;
    uint8_t bytes[15];
    int16_t insn;
    int32_t n;
    char text[96];
};
struct trace_host {
    uint64_t address;
    uint32_t size, hot_end, entry_eflags, entry_home; /* offsets from address */
    unsigned count;
    const struct trace_host_insn *code;
};

struct trace_translation {
    uint64_t id;
    unsigned tier;
    uint32_t eip, linear, length;
    uint64_t physical, cs_base;
    struct trace_mode mode;
    const char *reason; /* "hot", "forced" */
    uint64_t executions;
    unsigned insn_count;
    const struct trace_insn *insns;
    const struct trace_ir *ir;     /* NULL: not asked for */
    const struct trace_host *host; /* NULL: not asked for */
    uint64_t time_ns;
};
void trace_translation(struct log *log, const struct trace_translation *translation);

/* ---- what happens to it ---- */

struct trace_link {
    uint64_t from, to;
    unsigned slot;
    uint32_t from_linear, to_linear; /* where the two begin */
    uint8_t cpl;                     /* of from */
};
void trace_chain(struct log *log, const struct trace_link *link);
/* CAUSE: "target died", "relinked", "page lost". */
void trace_unchain(struct log *log, const struct trace_link *link, const char *cause);

struct trace_invalidate {
    uint64_t id;
    uint32_t linear, length; /* of the translation */
    uint8_t cpl;
    const char *cause; /* "guest store", "DMA", "debugger", "eviction", "flush", "replaced" */
    bool has_written;
    uint64_t physical; /* what was written */
    uint32_t written_length;
};
void trace_invalidate(struct log *log, const struct trace_invalidate *event);

struct trace_tier {
    uint64_t id;           /* 0: there is no translation */
    const char *from, *to; /* "interpreter", "tier1" */
    uint32_t linear;
    uint8_t cpl;
    uint64_t executions;
    const char *why; /* "hot", "forced", "churn", "refused" */
};
void trace_tier(struct log *log, const struct trace_tier *event);

struct trace_exec {
    uint64_t id; /* 0: the interpreter */
    uint32_t linear, length, mode;
    uint8_t cpl;
    uint64_t cr3;
};
void trace_exec(struct log *log, const struct trace_exec *event);

struct trace_int {
    const char *kind; /* "exception", "interrupt", "software" */
    uint8_t vector;
    bool has_error, has_address;
    uint32_t error;
    uint64_t address; /* CR2 */
    bool has_eax;     /* software: often the number of a system call */
    uint32_t eax;
    uint16_t cs;
    uint32_t eip, linear;
    uint8_t cpl;
    uint64_t cr3;
};
void trace_int(struct log *log, const struct trace_int *event);

struct trace_mmu {
    const char *event;  /* "fill", "flush", "invlpg", "fault" */
    const char *access; /* "read", "write", "execute"; NULL */
    bool user;          /* the class of the access */
    bool has_linear, has_physical, has_error, has_global, has_pages;
    uint32_t pages; /* that were flushed */
    uint32_t linear;
    uint64_t physical;
    uint32_t error;
    bool global;
    uint64_t cr3;
};
void trace_mmu(struct log *log, const struct trace_mmu *event);

/* ---- counters ---- */

struct trace_target {
    uint32_t eip;
    uint64_t count;
};
struct trace_slow {
    unsigned insn;
    uint64_t reads, writes;
};
struct trace_calls {
    unsigned insn;
    uint64_t count;
};
struct trace_profile {
    uint64_t id;
    uint32_t linear, length;
    uint8_t cpl;
    uint64_t executions, taken[2];
    unsigned target_count;
    const struct trace_target *targets; /* the commonest first */
    unsigned slow_count;
    const struct trace_slow *slow;
    unsigned call_count;
    const struct trace_calls *calls;
    bool live, exact;
    bool has_host_us;
    uint64_t host_us;
};
void trace_profile(struct log *log, const struct trace_profile *profile);

struct trace_occupancy {
    uint64_t used, size; /* bytes of host code */
    uint64_t translations, dead, instructions, interpreted;
};
void trace_occupancy(struct log *log, const struct trace_occupancy *event);

/* ---- for translators ---- */

/* Does the filter count executions (hot=)? Then each one is to be reported, whether or not `exec` is asked for. */
bool trace_counts_executions(const struct log *log);
void trace_count_execution(struct log *log, uint64_t id);
/* The translation is gone: what was held back because it was never hot is dropped. */
void trace_forget(struct log *log, uint64_t id);

#endif

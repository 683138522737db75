/* Shared by the files of the trace. */
#ifndef DRAGOMAN_TRACE_PRIVATE_H
#define DRAGOMAN_TRACE_PRIVATE_H

#include "trace/buffer.h"
#include "trace/trace.h"

#include <pthread.h>

/* X(enumerator suffix, name in JSON) */
#define TRACE_TYPES(X)                                                                                                 \
    X(HEADER, "header")                                                                                                \
    X(BLOCK, "block") X(TRANSLATION, "translation") X(CHAIN, "chain") X(UNCHAIN, "unchain")                            \
        X(INVALIDATE, "invalidate") X(TIER, "tier") X(EXEC, "exec") X(INT, "int") X(MMU, "mmu") X(PROFILE, "profile")  \
            X(OCCUPANCY, "occupancy") X(MESSAGE, "message") X(END, "end")
enum trace_type {
#define X(id, name) TRACE_##id,
    TRACE_TYPES(X)
#undef X
        TRACE_TYPE_COUNT
};

struct trace_header {
    const char *program, *engine, *filter;
    uint32_t enabled; /* LOG_() bits */
};
struct trace_message {
    int category; /* enum log_category_bit; -1: none */
    const char *text;
};
struct trace_end {
    uint64_t lines, suppressed, milliseconds;
};
struct trace_unchain_event {
    struct trace_link link;
    const char *cause;
};

/* A writer of one type: EVENT is the type's structure. One complete record goes to B, with its last newline. */
typedef void trace_writer(struct trace_buffer *b, uint64_t t, const void *event);
extern trace_writer *const trace_json_writers[TRACE_TYPE_COUNT];
extern trace_writer *const trace_text_writers[TRACE_TYPE_COUNT]; /* NULL: nothing to say */
extern const char *const trace_type_names[TRACE_TYPE_COUNT];

/* A record that waits for its translation to become hot. */
struct trace_held {
    struct trace_held *next;
    uint8_t type;
    size_t length;
    char data[];
};
struct trace_heat {
    uint64_t executions;
    struct trace_held *first, *last;
};

struct trace {
    struct log *log;
    struct trace_options options;
    trace_writer *const *writers;
    pthread_mutex_t mutex;
    uint64_t start_ns, flushed_ns;
    bool begun; /* the header is written */
    uint64_t lines, suppressed;
    uint64_t written[TRACE_TYPE_COUNT];
    struct trace_buffer buffer;
    struct trace_heat *heat; /* by id, with a hot= filter */
    size_t heat_count;
};

#endif

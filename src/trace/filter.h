/* -dfilter: which events are written. */
#ifndef DRAGOMAN_TRACE_FILTER_H
#define DRAGOMAN_TRACE_FILTER_H

#include "base/error.h"

#include <stdbool.h>
#include <stdint.h>

#define TRACE_FILTER_MAX 32

struct trace_scope;

struct trace_filter {
    const char *text; /* as given; NULL: none */
    unsigned range_count;
    struct {
        uint64_t first, last;
    } ranges[TRACE_FILTER_MAX];
    unsigned cpl_set; /* bit n: CPL n; 0: all */
    unsigned cr3_count;
    uint64_t cr3[TRACE_FILTER_MAX];
    unsigned block_count;
    uint64_t blocks[TRACE_FILTER_MAX];
    uint64_t first; /* events of each type; UINT64_MAX: all */
    uint64_t hot;   /* executions; 0: at once */
};
#define TRACE_FILTER_NONE                                                                                              \
    {                                                                                                                  \
        .first = UINT64_MAX                                                                                            \
    }

/* Adds the elements of TEXT, which must stay. */
bool trace_filter_parse(struct trace_filter *filter, const char *text, struct error *err);
/* All but `first` and `hot`, which need to be counted. */
bool trace_filter_passes(const struct trace_filter *filter, const struct trace_scope *scope);

#endif

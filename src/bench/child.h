/* A program whose output is read line by line, each with what it has cost so far. */
#ifndef DRAGOMAN_BENCH_CHILD_H
#define DRAGOMAN_BENCH_CHILD_H

#include "base/error.h"

#include <stdbool.h>
#include <stdint.h>

struct child_cost {
    double wall;      /* seconds since the start */
    double processor; /* seconds of all threads; the host counts them up every few milliseconds */
};

enum child_end { CHILD_EXITED, CHILD_ENOUGH, CHILD_TIMED_OUT, CHILD_INTERRUPTED };

struct child_result {
    enum child_end end;
    int status;           /* as of waitpid(2), if it exited */
    double processor;     /* seconds in all, start and end included */
    uint64_t peak_memory; /* bytes resident */
};

/* LINE has no line end. Returns false if it has heard enough: the program has a few seconds to end by itself. */
typedef bool child_line_fn(void *opaque, const char *line, const struct child_cost *cost);

/* Runs ARGV (a path and its arguments) with its output and errors read by LINE, for LIMIT seconds at most.
 * INTERRUPT_FD (or -1): readable when everything is to end. False: the program could not be started. */
bool child_run(char *const argv[], double limit, int interrupt_fd, child_line_fn *line, void *opaque,
               struct child_result *result, struct error *err);

#endif

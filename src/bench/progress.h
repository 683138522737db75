/* How far it is, on standard error: one line that changes if that is a terminal, else a line now and then. */
#ifndef DRAGOMAN_BENCH_PROGRESS_H
#define DRAGOMAN_BENCH_PROGRESS_H

#include <stdbool.h>

struct progress {
    bool is_terminal, is_shown;
    unsigned total, done;
    double began, told; /* seconds of CLOCK_MONOTONIC */
};

void progress_begin(struct progress *progress, unsigned total);
/* One more of the total is done; the next is WHAT on WHOM. */
void progress_step(struct progress *progress, const char *what, const char *whom);
/* Before anything else is printed, and at the end. */
void progress_clear(struct progress *progress);

#endif

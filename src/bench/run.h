/* One run of one kernel on one runner. */
#ifndef DRAGOMAN_BENCH_RUN_H
#define DRAGOMAN_BENCH_RUN_H

#include "bench/embedded.h"
#include "bench/results.h"

struct run_place {
    struct bench_programs programs;
    char folder[64];     /* ours alone */
    char statistics[96]; /* the file in it that an engine writes */
    double limit;        /* seconds */
    int interrupt_fd;    /* or -1 */
};

/* What an engine of ours says at its end. */
struct run_statistics {
    bool known;
    double instructions; /* of the guest */
    double translating;  /* seconds */
    uint64_t translations;
};

struct run_outcome {
    struct bench_listener listener;
    struct child_result child;
    struct run_statistics statistics;
};

bool run_place_open(struct run_place *place, struct error *err);
void run_place_close(struct run_place *place);

/* KERNEL NULL: only lists the kernels. ROUNDS of SCALE percent of the usual work. False: it did not come to a good end,
 * ERR says why. */
bool run_kernel(struct run_place *place, const struct bench_runner *runner, const char *kernel, unsigned scale,
                unsigned rounds, struct run_outcome *outcome, struct error *err);

#endif

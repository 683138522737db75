/* All that was measured, and what is to be said about it. */
#ifndef DRAGOMAN_BENCH_RESULTS_H
#define DRAGOMAN_BENCH_RESULTS_H

#include "bench/listener.h"
#include "bench/numbers.h"

#define BENCH_MAX_RUNNERS 12
#define BENCH_MAX_RUNS    50

enum bench_runner_kind { BENCH_NATIVE, BENCH_ENGINE, BENCH_OTHER };

/* One of those that run the kernels: the host, one of our engines, another emulator. */
struct bench_runner {
    enum bench_runner_kind kind;
    char name[BENCH_NAME_SIZE];
    const char *command; /* of another emulator, for the shell */
    unsigned rounds;
};

/* One kernel on one runner. SECONDS are processor seconds of one round. EARLY are seconds of real time of the first,
 * short rounds after a start, each the least that it took in any run, as what disturbs only adds. TRANSLATING is what
 * the sampler of an engine says, often nothing at all: their mean is the figure. */
struct bench_cell {
    double seconds[BENCH_MAX_RUNS], early[BENCH_MAX_ROUNDS], translating[2 * BENCH_MAX_RUNS];
    unsigned runs, early_count, translatings;
    uint64_t translations, peak_memory;
    char checksum[9]; /* "": there was no run; "?": runs differ */
    char complaint[160];
};

struct bench_results {
    struct bench_kernel kernels[BENCH_MAX_KERNELS];
    unsigned kernel_count;
    struct bench_runner runners[BENCH_MAX_RUNNERS];
    unsigned runner_count;
    struct bench_cell cells[BENCH_MAX_KERNELS][BENCH_MAX_RUNNERS];
    double instructions[BENCH_MAX_KERNELS]; /* of the guest, in a round; 0: not known */
    unsigned runs, scale;
    char processor[128], host[128], version[32], date[16];
};

/* Takes one run, of which LISTENER has heard. */
void bench_results_add(struct bench_results *results, unsigned kernel, unsigned runner,
                       const struct bench_listener *listener);

/* Takes a run of many short rounds. */
void bench_results_add_warm_up(struct bench_results *results, unsigned kernel, unsigned runner,
                               const struct bench_listener *listener);

/* -1 if there is none. */
int bench_results_find(const struct bench_results *results, enum bench_runner_kind kind, const char *name);

struct numbers bench_seconds(const struct bench_results *results, unsigned kernel, unsigned runner);
/* RUNNER's time by OTHER's, medians; 0 if one of them is not known. OTHER may be -1. */
double bench_ratio(const struct bench_results *results, unsigned kernel, unsigned runner, int other);
/* Geometric mean of these ratios over a suite, or over all if SUITE is NULL; kernels that both have. */
double bench_mean_ratio(const struct bench_results *results, const char *suite, unsigned runner, int other);
/* Seconds that the first rounds took longer; negative: not known. */
double bench_warm_up(const struct bench_results *results, unsigned kernel, unsigned runner);
/* Negative: not known. */
double bench_translating(const struct bench_results *results, unsigned kernel, unsigned runner);
/* In a second of processor time; 0: not known. */
double bench_instructions_per_second(const struct bench_results *results, unsigned kernel, unsigned runner);

/* `same`, `DIFFERENT`, `missing` (a runner that should have it has not), or `-` (there is only one). */
const char *bench_verdict(const struct bench_results *results, unsigned kernel);
bool bench_is_good(const struct bench_results *results, unsigned kernel);

#endif

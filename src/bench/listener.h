/* What the guest and its native twin print (bench/guest/machine.c), and what that says about time. */
#ifndef DRAGOMAN_BENCH_LISTENER_H
#define DRAGOMAN_BENCH_LISTENER_H

#include "bench/child.h"

#include <stdbool.h>
#include <stdint.h>

#define BENCH_MAX_KERNELS 64
#define BENCH_MAX_ROUNDS  100
#define BENCH_NAME_SIZE   24

struct bench_kernel {
    char name[BENCH_NAME_SIZE], suite[BENCH_NAME_SIZE];
    bool anywhere; /* else it needs privileges: it does not exist natively */
};

struct bench_listener {
    /* `list` */
    struct bench_kernel kernels[BENCH_MAX_KERNELS];
    unsigned kernel_count;
    /* A kernel's run: its costs at `begin` and after each round. */
    char kernel[BENCH_NAME_SIZE];
    struct child_cost began, rounds[BENCH_MAX_ROUNDS];
    uint64_t began_mark, marks[BENCH_MAX_ROUNDS]; /* ticks of the guest's clock, or 0 */
    unsigned round_count;
    uint32_t count;
    char checksum[9];
    bool has_begun, has_ended, is_done;
    char last_words[128]; /* the last line that means nothing to us: perhaps why it failed */
};

/* Takes one line (a child_line_fn with a struct bench_listener). Processor seconds in the line count more than COST's.
 * False after the last line, or a complaint. */
bool bench_listener_take(void *listener, const char *line, const struct child_cost *cost);

#endif

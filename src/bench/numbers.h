/* The arithmetic of measuring. */
#ifndef DRAGOMAN_BENCH_NUMBERS_H
#define DRAGOMAN_BENCH_NUMBERS_H

#include <stddef.h>

/* What several runs gave; all 0 if there were none. */
struct numbers {
    size_t count;
    double median, least, most;
};

struct numbers numbers_of(const double *values, size_t count);
/* (most - least) / median: how far the runs are apart. */
double numbers_spread(const struct numbers *numbers);
/* Of the values above 0; 0 if there are none. */
double numbers_geometric_mean(const double *values, size_t count);
double numbers_mean(const double *values, size_t count);
/* How much longer the first of ROUNDS, which do the same work, took than the median of their second half, up to the
 * first that was almost as quick: the time that went into warming up. Fewer than four rounds do not tell: negative. */
double numbers_warm_up(const double *rounds, size_t count);

#endif

/* The command line of `dragoman bench`. */
#ifndef DRAGOMAN_BENCH_OPTIONS_H
#define DRAGOMAN_BENCH_OPTIONS_H

#include "base/error.h"

#include <stdbool.h>
#include <stdio.h>

#define BENCH_MAX_AGAINST 6

struct bench_options {
    unsigned runs, scale, rounds;
    double limit;
    const char *kernels, *suites; /* patterns separated by commas, or NULL: all */
    const char *engines;          /* NULL: interp,tier1,auto */
    const char *against[BENCH_MAX_AGAINST];
    unsigned against_count;
    const char *csv, *json, *svg;
    bool native, quick, details, list;
};

enum bench_options_result { BENCH_OPTIONS_RUN, BENCH_OPTIONS_DONE, BENCH_OPTIONS_ERROR };

/* The strings belong to ARGV. Help goes to OUT. */
enum bench_options_result bench_options_parse(struct bench_options *options, int argc, char **argv, FILE *out,
                                              struct error *err);

/* Whether LIST, patterns as of a shell separated by commas, has one that matches NAME. NULL matches everything. */
bool bench_list_matches(const char *list, const char *name);

#endif

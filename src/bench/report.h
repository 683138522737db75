/* What was measured, for people and for programs. */
#ifndef DRAGOMAN_BENCH_REPORT_H
#define DRAGOMAN_BENCH_REPORT_H

#include "base/error.h"
#include "bench/results.h"

#include <stdbool.h>
#include <stdio.h>

/* One line a kernel, then the geometric means of the suites. */
void bench_write_table(const struct bench_results *results, FILE *out);
/* One line for each kernel and runner. */
void bench_write_details(const struct bench_results *results, FILE *out);
/* One line for each kernel and runner, all figures, in seconds. */
void bench_write_csv(const struct bench_results *results, FILE *out);
/* One object: circumstances, runners, kernels, means. */
void bench_write_json(const struct bench_results *results, FILE *out);
/* A picture of the ratios, on logarithmic scales; light or dark as the viewer wants. */
void bench_write_svg(const struct bench_results *results, FILE *out);

/* VALUE to three places or so; "-" if it is not above 0. */
const char *bench_number(double value, char text[16]);

/* The suites in the order of the kernels. Returns how many. */
unsigned bench_suites(const struct bench_results *results, const char *suites[BENCH_MAX_KERNELS]);

#endif

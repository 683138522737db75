#include "bench/results.h"

#include <stdio.h>
#include <string.h>

void bench_results_add(struct bench_results *results, unsigned kernel, unsigned runner,
                       const struct bench_listener *listener)
{
    struct bench_cell *cell = &results->cells[kernel][runner];

    if (!listener->round_count || cell->runs == BENCH_MAX_RUNS)
        return;
    double end = listener->rounds[listener->round_count - 1].processor;
    cell->seconds[cell->runs++] = (end - listener->began.processor) / listener->round_count;
    if (!cell->checksum[0])
        memcpy(cell->checksum, listener->checksum, sizeof cell->checksum);
    else if (strcmp(cell->checksum, listener->checksum) != 0)
        strcpy(cell->checksum, "?");
}

void bench_results_add_warm_up(struct bench_results *results, unsigned kernel, unsigned runner,
                               const struct bench_listener *listener)
{
    struct bench_cell *cell = &results->cells[kernel][runner];
    unsigned count = listener->round_count;
    uint64_t before = listener->began_mark;

    if (!count || listener->marks[count - 1] <= before)
        return;
    /* Only the guest knows when exactly its rounds end: who hears of it may be late by a few. The ticks of its clock
     * follow from all rounds together. */
    double tick =
        (listener->rounds[count - 1].wall - listener->began.wall) / (double)(listener->marks[count - 1] - before);
    for (unsigned i = 0; i < count; i++) {
        double round = (double)(listener->marks[i] - before) * tick;

        if (i >= cell->early_count || round < cell->early[i])
            cell->early[i] = round;
        before = listener->marks[i];
    }
    cell->early_count = count;
}

int bench_results_find(const struct bench_results *results, enum bench_runner_kind kind, const char *name)
{
    for (unsigned i = 0; i < results->runner_count; i++)
        if (results->runners[i].kind == kind && (!name || !strcmp(results->runners[i].name, name)))
            return (int)i;
    return -1;
}

struct numbers bench_seconds(const struct bench_results *results, unsigned kernel, unsigned runner)
{
    const struct bench_cell *cell = &results->cells[kernel][runner];

    return numbers_of(cell->seconds, cell->runs);
}

double bench_ratio(const struct bench_results *results, unsigned kernel, unsigned runner, int other)
{
    if (other < 0)
        return 0;
    double over = bench_seconds(results, kernel, runner).median;
    double under = bench_seconds(results, kernel, (unsigned)other).median;
    return under > 0 ? over / under : 0;
}

double bench_mean_ratio(const struct bench_results *results, const char *suite, unsigned runner, int other)
{
    double ratios[BENCH_MAX_KERNELS];
    size_t count = 0;

    for (unsigned kernel = 0; kernel < results->kernel_count; kernel++)
        if (!suite || !strcmp(results->kernels[kernel].suite, suite))
            ratios[count++] = bench_ratio(results, kernel, runner, other);
    return numbers_geometric_mean(ratios, count);
}

double bench_warm_up(const struct bench_results *results, unsigned kernel, unsigned runner)
{
    const struct bench_cell *cell = &results->cells[kernel][runner];

    return numbers_warm_up(cell->early, cell->early_count);
}

double bench_translating(const struct bench_results *results, unsigned kernel, unsigned runner)
{
    const struct bench_cell *cell = &results->cells[kernel][runner];

    return cell->translatings ? numbers_mean(cell->translating, cell->translatings) : -1;
}

double bench_instructions_per_second(const struct bench_results *results, unsigned kernel, unsigned runner)
{
    double seconds = bench_seconds(results, kernel, runner).median;

    return seconds > 0 ? results->instructions[kernel] / seconds : 0;
}

const char *bench_verdict(const struct bench_results *results, unsigned kernel)
{
    const char *sum = NULL;
    unsigned sums = 0;

    for (unsigned runner = 0; runner < results->runner_count; runner++) {
        const struct bench_cell *cell = &results->cells[kernel][runner];

        if (results->runners[runner].kind == BENCH_NATIVE && !results->kernels[kernel].anywhere)
            continue;
        if (!cell->checksum[0])
            return "missing";
        if (cell->checksum[0] == '?' || (sum && strcmp(cell->checksum, sum) != 0))
            return "DIFFERENT";
        sum = cell->checksum;
        sums++;
    }
    return sums > 1 ? "same" : "-";
}

bool bench_is_good(const struct bench_results *results, unsigned kernel)
{
    const char *verdict = bench_verdict(results, kernel);

    return !strcmp(verdict, "same") || !strcmp(verdict, "-");
}

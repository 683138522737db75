/* Tables for people, and CSV. */
#include "bench/report.h"

#include <inttypes.h>
#include <string.h>

const char *bench_number(double value, char text[16])
{
    if (value <= 0)
        strcpy(text, "-");
    else
        snprintf(text, 16, "%.*f", value >= 99.95 ? 0 : value >= 9.995 ? 1 : 2, value);
    return text;
}

unsigned bench_suites(const struct bench_results *results, const char *suites[BENCH_MAX_KERNELS])
{
    unsigned count = 0;

    for (unsigned kernel = 0; kernel < results->kernel_count; kernel++) {
        bool known = false;

        for (unsigned i = 0; i < count; i++)
            known |= !strcmp(suites[i], results->kernels[kernel].suite);
        if (!known)
            suites[count++] = results->kernels[kernel].suite;
    }
    return count;
}

static void print_cell(FILE *out, double value, int width)
{
    char text[16];

    fprintf(out, " %*s", width, bench_number(value, text));
}

/* A time in milliseconds that may well be 0; negative: not known. */
static void print_time(FILE *out, double seconds, int width)
{
    if (seconds < 0)
        fprintf(out, " %*s", width, "-");
    else
        fprintf(out, " %*.*f", width, seconds < 0.01 ? 2 : seconds < 0.1 ? 1 : 0, seconds * 1e3);
}

/* Wide enough for a name and for figures. */
static int width_of(const struct bench_runner *runner)
{
    int length = (int)strlen(runner->name);

    return length < 7 ? 7 : length;
}

/* The engine that the last columns are about: auto if it is there. */
static int main_engine(const struct bench_results *results)
{
    int found = bench_results_find(results, BENCH_ENGINE, "auto");

    return found >= 0 ? found : bench_results_find(results, BENCH_ENGINE, NULL);
}

static void print_columns_head(const struct bench_results *results, int native, int interp, FILE *out)
{
    for (unsigned i = 0; native >= 0 && i < results->runner_count; i++)
        if ((int)i != native)
            fprintf(out, " %*s", width_of(&results->runners[i]), results->runners[i].name);
    if (native >= 0)
        fprintf(out, " |");
    for (unsigned i = 0; interp >= 0 && i < results->runner_count; i++)
        if ((int)i != interp && (int)i != native)
            fprintf(out, " %*s", width_of(&results->runners[i]), results->runners[i].name);
    if (interp >= 0)
        fprintf(out, " |");
}

/* Where the groups of columns are, in words above them. */
static void print_groups(const struct bench_results *results, int native, int interp, int left, FILE *out)
{
    int width[2] = {0, 0};

    for (unsigned i = 0; i < results->runner_count; i++) {
        if ((int)i == native)
            continue;
        width[0] += 1 + width_of(&results->runners[i]);
        if ((int)i != interp)
            width[1] += 1 + width_of(&results->runners[i]);
    }
    fprintf(out, "%*s", left, "");
    if (native >= 0)
        fprintf(out, " %*s |", width[0] - 1, width[0] > 24 ? "times slower than native" : "x native");
    if (interp >= 0)
        fprintf(out, " %*s |", width[1] - 1, width[1] > 24 ? "times faster than interp" : "x interp");
}

/* The ratios of one kernel, or of a suite's means if KERNEL is negative. */
static void print_ratios(const struct bench_results *results, int kernel, const char *suite, int native, int interp,
                         FILE *out)
{
    for (unsigned i = 0; native >= 0 && i < results->runner_count; i++)
        if ((int)i != native)
            print_cell(out,
                       kernel >= 0 ? bench_ratio(results, (unsigned)kernel, i, native)
                                   : bench_mean_ratio(results, suite, i, native),
                       width_of(&results->runners[i]));
    if (native >= 0)
        fprintf(out, " |");
    for (unsigned i = 0; interp >= 0 && i < results->runner_count; i++) {
        if ((int)i == interp || (int)i == native)
            continue;
        double ratio = kernel >= 0 ? bench_ratio(results, (unsigned)kernel, i, interp)
                                   : bench_mean_ratio(results, suite, i, interp);
        print_cell(out, ratio > 0 ? 1 / ratio : 0, width_of(&results->runners[i]));
    }
    if (interp >= 0)
        fprintf(out, " |");
}

static double worst_spread(const struct bench_results *results, unsigned kernel)
{
    double worst = 0;

    for (unsigned i = 0; i < results->runner_count; i++) {
        struct numbers seconds = bench_seconds(results, kernel, i);

        if (numbers_spread(&seconds) > worst)
            worst = numbers_spread(&seconds);
    }
    return worst;
}

static void print_kernel(const struct bench_results *results, unsigned kernel, int native, int interp, int engine,
                         FILE *out)
{
    fprintf(out, "%-14s", results->kernels[kernel].name);
    if (native >= 0)
        print_cell(out, bench_seconds(results, kernel, (unsigned)native).median * 1e3, 9);
    print_ratios(results, (int)kernel, NULL, native, interp, out);
    if (engine >= 0) {
        print_cell(out, bench_instructions_per_second(results, kernel, (unsigned)engine) * 1e-6, 9);
        print_time(out, bench_warm_up(results, kernel, (unsigned)engine), 8);
        print_time(out, bench_translating(results, kernel, (unsigned)engine), 11);
    }
    fprintf(out, " %5.0f%% %9s\n", worst_spread(results, kernel) * 100, bench_verdict(results, kernel));
}

void bench_write_table(const struct bench_results *results, FILE *out)
{
    int native = bench_results_find(results, BENCH_NATIVE, NULL), engine = main_engine(results);
    int interp = bench_results_find(results, BENCH_ENGINE, "interp");
    const char *suites[BENCH_MAX_KERNELS];
    unsigned suite_count = bench_suites(results, suites);
    int left = native >= 0 ? 24 : 14;

    fprintf(out, "%s, %s; medians of %u runs, processor seconds\n\n", results->processor, results->host, results->runs);
    print_groups(results, native, interp, left, out);
    fprintf(out, " %s\n%-14s", engine >= 0 ? results->runners[engine].name : "", "program");
    if (native >= 0)
        fprintf(out, " %9s", "native ms");
    print_columns_head(results, native, interp, out);
    if (engine >= 0)
        fprintf(out, " %9s %8s %11s", "M instr/s", "warm ms", "translat ms");
    fprintf(out, " %6s %9s\n", "noise", "result");
    for (unsigned s = 0; s < suite_count; s++)
        for (unsigned kernel = 0; kernel < results->kernel_count; kernel++)
            if (!strcmp(results->kernels[kernel].suite, suites[s]))
                print_kernel(results, kernel, native, interp, engine, out);
    bool has_ratios = native >= 0 || interp >= 0;
    if (has_ratios)
        fprintf(out, "\ngeometric means\n");
    for (unsigned s = 0; has_ratios && s <= suite_count; s++) {
        const char *suite = s < suite_count ? suites[s] : NULL;

        if (!suite && suite_count < 2)
            break;
        fprintf(out, "%-*s", left, suite ? suite : "all");
        print_ratios(results, -1, suite, native, interp, out);
        fprintf(out, "\n");
    }
    for (unsigned kernel = 0; kernel < results->kernel_count; kernel++)
        for (unsigned i = 0; i < results->runner_count; i++)
            if (results->cells[kernel][i].complaint[0])
                fprintf(out, "%s on %s: %s\n", results->kernels[kernel].name, results->runners[i].name,
                        results->cells[kernel][i].complaint);
}

void bench_write_details(const struct bench_results *results, FILE *out)
{
    fprintf(out, "\n%-14s %-16s %10s %10s %10s %9s %8s %11s %9s %8s\n", "program", "runner", "median ms", "least",
            "greatest", "M instr/s", "warm ms", "translat ms", "peak MiB", "result");
    for (unsigned kernel = 0; kernel < results->kernel_count; kernel++) {
        for (unsigned i = 0; i < results->runner_count; i++) {
            const struct bench_cell *cell = &results->cells[kernel][i];
            struct numbers seconds = bench_seconds(results, kernel, i);

            if (!cell->runs)
                continue;
            fprintf(out, "%-14s %-16s", results->kernels[kernel].name, results->runners[i].name);
            print_cell(out, seconds.median * 1e3, 10);
            print_cell(out, seconds.least * 1e3, 10);
            print_cell(out, seconds.most * 1e3, 10);
            print_cell(out, bench_instructions_per_second(results, kernel, i) * 1e-6, 9);
            print_time(out, bench_warm_up(results, kernel, i), 8);
            print_time(out, bench_translating(results, kernel, i), 11);
            print_cell(out, (double)cell->peak_memory / (1 << 20), 9);
            fprintf(out, " %8s\n", cell->checksum);
        }
    }
}

/* ---- CSV (RFC 4180) ---- */

static void csv_string(FILE *out, const char *text)
{
    fputc('"', out);
    for (; *text; text++) {
        if (*text == '"')
            fputc('"', out);
        fputc(*text, out);
    }
    fputc('"', out);
}

/* An empty field where it is not known. */
static void csv_number(FILE *out, double value, bool known)
{
    if (known)
        fprintf(out, ",%.9g", value);
    else
        fputc(',', out);
}

void bench_write_csv(const struct bench_results *results, FILE *out)
{
    int native = bench_results_find(results, BENCH_NATIVE, NULL);
    int interp = bench_results_find(results, BENCH_ENGINE, "interp");

    fputs("suite,program,runner,runs,seconds_median,seconds_least,seconds_greatest,times_slower_than_native,"
          "times_faster_than_interp,instructions,instructions_per_second,warm_up_seconds,translating_seconds,"
          "translations,"
          "peak_memory_bytes,checksum,result\r\n",
          out);
    for (unsigned kernel = 0; kernel < results->kernel_count; kernel++) {
        for (unsigned i = 0; i < results->runner_count; i++) {
            const struct bench_cell *cell = &results->cells[kernel][i];
            struct numbers seconds = bench_seconds(results, kernel, i);
            double slower = bench_ratio(results, kernel, i, native), faster = bench_ratio(results, kernel, i, interp);

            if (!cell->runs)
                continue;
            csv_string(out, results->kernels[kernel].suite);
            fputc(',', out);
            csv_string(out, results->kernels[kernel].name);
            fputc(',', out);
            csv_string(out, results->runners[i].name);
            fprintf(out, ",%u", cell->runs);
            csv_number(out, seconds.median, true);
            csv_number(out, seconds.least, true);
            csv_number(out, seconds.most, true);
            csv_number(out, slower, slower > 0);
            csv_number(out, faster > 0 ? 1 / faster : 0, faster > 0);
            csv_number(out, results->instructions[kernel], results->instructions[kernel] > 0);
            csv_number(out, bench_instructions_per_second(results, kernel, i), results->instructions[kernel] > 0);
            csv_number(out, bench_warm_up(results, kernel, i), cell->early_count);
            csv_number(out, bench_translating(results, kernel, i), cell->translatings);
            fprintf(out, ",%" PRIu64 ",%" PRIu64 ",%s,%s\r\n", cell->translations, cell->peak_memory, cell->checksum,
                    bench_verdict(results, kernel));
        }
    }
}

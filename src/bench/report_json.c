/* The figures as JSON. */
#include "bench/report.h"

#include <jansson.h>
#include <string.h>

static json_t *real_or_null(double value, bool known)
{
    return known ? json_real(value) : json_null();
}

static json_t *list_of(const double *values, unsigned count)
{
    json_t *list = json_array();

    for (unsigned i = 0; i < count; i++)
        json_array_append_new(list, json_real(values[i]));
    return list;
}

static json_t *cell_to_json(const struct bench_results *results, unsigned kernel, unsigned runner)
{
    const struct bench_cell *cell = &results->cells[kernel][runner];
    struct numbers seconds = bench_seconds(results, kernel, runner);
    double slower = bench_ratio(results, kernel, runner, bench_results_find(results, BENCH_NATIVE, NULL));
    double faster = bench_ratio(results, kernel, runner, bench_results_find(results, BENCH_ENGINE, "interp"));
    double rate = bench_instructions_per_second(results, kernel, runner);
    json_t *object = json_object();

    json_object_set_new(object, "seconds", list_of(cell->seconds, cell->runs));
    json_object_set_new(object, "median", json_real(seconds.median));
    json_object_set_new(object, "least", json_real(seconds.least));
    json_object_set_new(object, "greatest", json_real(seconds.most));
    json_object_set_new(object, "times-slower-than-native", real_or_null(slower, slower > 0));
    json_object_set_new(object, "times-faster-than-interp", real_or_null(faster > 0 ? 1 / faster : 0, faster > 0));
    json_object_set_new(object, "instructions-per-second", real_or_null(rate, rate > 0));
    json_object_set_new(object, "warm-up-seconds",
                        real_or_null(bench_warm_up(results, kernel, runner), cell->early_count));
    json_object_set_new(object, "early-rounds-seconds", list_of(cell->early, cell->early_count));
    json_object_set_new(object, "translating-seconds",
                        real_or_null(bench_translating(results, kernel, runner), cell->translatings));
    json_object_set_new(object, "translations", json_integer((json_int_t)cell->translations));
    json_object_set_new(object, "peak-memory-bytes", json_integer((json_int_t)cell->peak_memory));
    json_object_set_new(object, "checksum", json_string(cell->checksum));
    if (cell->complaint[0])
        json_object_set_new(object, "complaint", json_string(cell->complaint));
    return object;
}

static json_t *kernel_to_json(const struct bench_results *results, unsigned kernel)
{
    json_t *by_runner = json_object(), *object = json_object();

    for (unsigned i = 0; i < results->runner_count; i++)
        if (results->cells[kernel][i].runs || results->cells[kernel][i].complaint[0])
            json_object_set_new(by_runner, results->runners[i].name, cell_to_json(results, kernel, i));
    json_object_set_new(object, "suite", json_string(results->kernels[kernel].suite));
    json_object_set_new(object, "name", json_string(results->kernels[kernel].name));
    json_object_set_new(object, "instructions",
                        real_or_null(results->instructions[kernel], results->instructions[kernel] > 0));
    json_object_set_new(object, "result", json_string(bench_verdict(results, kernel)));
    json_object_set_new(object, "runners", by_runner);
    return object;
}

static json_t *means_to_json(const struct bench_results *results)
{
    const char *suites[BENCH_MAX_KERNELS];
    unsigned count = bench_suites(results, suites);
    int native = bench_results_find(results, BENCH_NATIVE, NULL);
    int interp = bench_results_find(results, BENCH_ENGINE, "interp");
    json_t *list = json_object();

    for (unsigned s = 0; s < count; s++) {
        json_t *suite = json_object();

        for (unsigned i = 0; i < results->runner_count; i++) {
            double slower = bench_mean_ratio(results, suites[s], i, native);
            double faster = bench_mean_ratio(results, suites[s], i, interp);

            json_object_set_new(suite, results->runners[i].name,
                                json_pack("{s:o,s:o}", "times-slower-than-native", real_or_null(slower, slower > 0),
                                          "times-faster-than-interp",
                                          real_or_null(faster > 0 ? 1 / faster : 0, faster > 0)));
        }
        json_object_set_new(list, suites[s], suite);
    }
    return list;
}

void bench_write_json(const struct bench_results *results, FILE *out)
{
    static const char *const kinds[] = {"native", "engine", "other"};
    json_t *root = json_object(), *runners = json_array(), *kernels = json_array();

    for (unsigned i = 0; i < results->runner_count; i++) {
        json_t *runner = json_pack("{s:s,s:s,s:i}", "name", results->runners[i].name, "kind",
                                   kinds[results->runners[i].kind], "rounds", (int)results->runners[i].rounds);
        if (results->runners[i].command)
            json_object_set_new(runner, "command", json_string(results->runners[i].command));
        json_array_append_new(runners, runner);
    }
    for (unsigned kernel = 0; kernel < results->kernel_count; kernel++)
        json_array_append_new(kernels, kernel_to_json(results, kernel));
    json_object_set_new(root, "version", json_integer(1));
    json_object_set_new(root, "circumstances",
                        json_pack("{s:s,s:s,s:s,s:s,s:i,s:i}", "dragoman", results->version, "date", results->date,
                                  "processor", results->processor, "host", results->host, "runs", (int)results->runs,
                                  "scale", (int)results->scale));
    json_object_set_new(root, "runners", runners);
    json_object_set_new(root, "programs", kernels);
    json_object_set_new(root, "geometric-means", means_to_json(results));
    json_dumpf(root, out, JSON_INDENT(2) | JSON_REAL_PRECISION(9));
    fputc('\n', out);
    json_decref(root);
}

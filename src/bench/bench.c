/* Orders the runs. One process for each kernel, runner and run: so every run warms up anew, and memory and statistics
 * are of that kernel. Runners take turns, so that a busy minute hits all of them. */
#include "bench/bench.h"

#include "bench/options.h"
#include "bench/progress.h"
#include "bench/report.h"
#include "bench/run.h"
#include "monitor/version.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

#define ROUNDS_INTERP 2 /* slow, and has nothing to warm up */
#define ROUNDS_OTHER  5
/* Of the run that shows warm-up. */
#define SHORT_ROUNDS 30
#define SHORTER      20 /* times than the rounds of others */

struct bench {
    struct bench_options options;
    struct run_place place;
    struct bench_results results;
    struct progress progress;
    struct run_outcome outcome;
    double instructions_to_start; /* of the guest, before its kernels */
    bool interrupted;
};

/* ---- who and what ---- */

static struct bench_runner *add_runner(struct bench *bench, enum bench_runner_kind kind, const char *name,
                                       size_t length, unsigned rounds)
{
    struct bench_runner *runner = &bench->results.runners[bench->results.runner_count++];

    *runner =
        (struct bench_runner){.kind = kind, .rounds = rounds < bench->options.rounds ? rounds : bench->options.rounds};
    snprintf(runner->name, sizeof runner->name, "%.*s", (int)length, name);
    return runner;
}

/* The program's name out of "FOLDER/NAME OPTION...", with a number if that is taken. */
static void add_other(struct bench *bench, const char *command)
{
    const char *name = command + strspn(command, " \t");
    const char *quotes = *name == '\'' ? "'" : *name == '"' ? "\"" : NULL;
    size_t length = strcspn(name += quotes != NULL, quotes ? quotes : " \t");
    unsigned same = 1;

    for (const char *slash; (slash = memchr(name, '/', length)) != NULL; name = slash + 1)
        length -= (size_t)(slash + 1 - name);
    if (length > BENCH_NAME_SIZE - 5)
        length = BENCH_NAME_SIZE - 5;
    for (unsigned i = 0; i < bench->results.runner_count; i++)
        same += !strncmp(bench->results.runners[i].name, name, length);
    struct bench_runner *runner = add_runner(bench, BENCH_OTHER, name, length, ROUNDS_OTHER);
    if (same > 1)
        snprintf(runner->name, sizeof runner->name, "%.*s#%u", (int)length, name, same);
    runner->command = command;
}

static void choose_runners(struct bench *bench)
{
    const char *engines = bench->options.engines ? bench->options.engines : "interp,tier1,auto";

    if (bench->options.native)
        add_runner(bench, BENCH_NATIVE, "native", 6, BENCH_MAX_ROUNDS);
    for (const char *word = engines;; word++) {
        size_t length = strcspn(word, ",");
        char name[BENCH_NAME_SIZE];

        snprintf(name, sizeof name, "%.*s", (int)length, word);
        if (bench_results_find(&bench->results, BENCH_ENGINE, name) < 0)
            add_runner(bench, BENCH_ENGINE, name, length, strcmp(name, "interp") ? BENCH_MAX_ROUNDS : ROUNDS_INTERP);
        word += length;
        if (!*word)
            break;
    }
    for (unsigned i = 0; i < bench->options.against_count; i++)
        add_other(bench, bench->options.against[i]);
}

/* Asks the guest, in the interpreter, which kernels there are. */
static bool choose_kernels(struct bench *bench, struct error *err)
{
    const struct bench_runner interp = {.kind = BENCH_ENGINE, .name = "interp"};
    const struct bench_options *options = &bench->options;
    struct error why;

    if (!run_kernel(&bench->place, &interp, NULL, 1, 1, &bench->outcome, &why))
        return error_set(err, "bench: the guest does not start: %s", why.message);
    bench->instructions_to_start = bench->outcome.statistics.instructions;
    for (unsigned i = 0; i < bench->outcome.listener.kernel_count; i++) {
        const struct bench_kernel *kernel = &bench->outcome.listener.kernels[i];

        if (bench_list_matches(options->kernels, kernel->name) && bench_list_matches(options->suites, kernel->suite))
            bench->results.kernels[bench->results.kernel_count++] = *kernel;
    }
    if (!bench->results.kernel_count)
        return error_set(err, "bench: no program matches --kernels and --suites (bench --list names them)");
    return true;
}

/* "model name : X" of the first processor. */
static void find_processor(char *text, size_t size)
{
    FILE *file = fopen("/proc/cpuinfo", "r");
    char line[256];

    snprintf(text, size, "unknown processor");
    while (file && fgets(line, sizeof line, file)) {
        char *colon = strchr(line, ':');

        if (!colon || strncmp(line, "model name", 10) != 0)
            continue;
        colon[1 + strcspn(colon + 1, "\n")] = 0;
        snprintf(text, size, "%s", colon + 1 + strspn(colon + 1, " "));
        break;
    }
    if (file)
        fclose(file);
}

static void note_circumstances(struct bench *bench)
{
    struct bench_results *results = &bench->results;
    struct utsname host;
    time_t now = time(NULL);
    struct tm date;

    results->runs = bench->options.runs;
    results->scale = bench->options.scale;
    find_processor(results->processor, sizeof results->processor);
    if (uname(&host) == 0)
        snprintf(results->host, sizeof results->host, "%.40s %.80s", host.sysname, host.release);
    snprintf(results->version, sizeof results->version, "%s", DRAGOMAN_VERSION);
    if (gmtime_r(&now, &date))
        strftime(results->date, sizeof results->date, "%Y-%m-%d", &date);
}

/* ---- the runs ---- */

static void drop_native(struct bench *bench, const char *why)
{
    struct bench_results *results = &bench->results;

    progress_clear(&bench->progress);
    fprintf(stderr, "bench: this host does not run 32-bit programs (%s): measured without native times\n", why);
    results->runner_count--; /* it is the first, and nothing has been measured yet */
    memmove(results->runners, results->runners + 1, results->runner_count * sizeof *results->runners);
}

/* Whether the host runs the native twin at all. */
static void try_native(struct bench *bench)
{
    const struct bench_runner *first = &bench->results.runners[0];
    struct error why;

    if (first->kind == BENCH_NATIVE && !run_kernel(&bench->place, first, "loop", 1, 1, &bench->outcome, &why))
        drop_native(bench, why.message);
}

static void take_statistics(struct bench *bench, unsigned kernel, unsigned runner)
{
    const struct run_statistics *statistics = &bench->outcome.statistics;
    struct bench_cell *cell = &bench->results.cells[kernel][runner];

    if (bench->outcome.child.peak_memory > cell->peak_memory)
        cell->peak_memory = bench->outcome.child.peak_memory;
    if (!statistics->known || !strcmp(bench->results.runners[runner].name, "interp"))
        return;
    cell->translating[cell->translatings++] = statistics->translating;
    cell->translations = statistics->translations;
}

/* Only the interpreter counts the guest's instructions. If it is not asked for, it is asked once, for a round. */
static bool count_instructions(struct bench *bench, unsigned kernel, const struct run_outcome *of_interp,
                               struct error *err)
{
    const struct bench_runner interp = {.kind = BENCH_ENGINE, .name = "interp"};

    if (!of_interp) {
        if (!run_kernel(&bench->place, &interp, bench->results.kernels[kernel].name, bench->results.scale, 1,
                        &bench->outcome, err))
            return false;
        of_interp = &bench->outcome;
    }
    bench->results.instructions[kernel] =
        (of_interp->statistics.instructions - bench->instructions_to_start) / of_interp->listener.round_count;
    return true;
}

/* One run of one kernel, and a short one whose rounds show how it warms up. */
static bool measure(struct bench *bench, unsigned kernel, unsigned runner, struct error *err)
{
    struct bench_results *results = &bench->results;
    const struct bench_runner *who = &results->runners[runner];
    const char *name = results->kernels[kernel].name;
    unsigned short_scale = results->scale / SHORTER ? results->scale / SHORTER : 1;

    if (!run_kernel(&bench->place, who, name, results->scale, who->rounds, &bench->outcome, err))
        return false;
    bench_results_add(results, kernel, runner, &bench->outcome.listener);
    take_statistics(bench, kernel, runner);
    /* The host has nothing to warm up but its caches, and the interpreter hardly more. */
    if (who->kind == BENCH_NATIVE)
        return true;
    if (who->kind == BENCH_ENGINE && !strcmp(who->name, "interp"))
        return count_instructions(bench, kernel, &bench->outcome, err);
    if (!run_kernel(&bench->place, who, name, short_scale, SHORT_ROUNDS, &bench->outcome, err))
        return false;
    bench_results_add_warm_up(results, kernel, runner, &bench->outcome.listener);
    take_statistics(bench, kernel, runner);
    return bench->results.instructions[kernel] > 0 || bench_results_find(results, BENCH_ENGINE, "interp") >= 0 ||
           count_instructions(bench, kernel, NULL, err);
}

static void run_all(struct bench *bench)
{
    struct bench_results *results = &bench->results;

    progress_begin(&bench->progress, bench->options.runs * results->kernel_count * results->runner_count);
    for (unsigned run = 0; run < bench->options.runs; run++) {
        for (unsigned kernel = 0; kernel < results->kernel_count; kernel++) {
            for (unsigned runner = 0; runner < results->runner_count; runner++) {
                struct bench_cell *cell = &results->cells[kernel][runner];
                struct error why;

                progress_step(&bench->progress, results->kernels[kernel].name, results->runners[runner].name);
                /* What failed once will fail again, perhaps after a long time. */
                if (cell->complaint[0] ||
                    (results->runners[runner].kind == BENCH_NATIVE && !results->kernels[kernel].anywhere))
                    continue;
                if (measure(bench, kernel, runner, &why))
                    continue;
                if (bench->outcome.child.end == CHILD_INTERRUPTED) {
                    progress_clear(&bench->progress);
                    fprintf(stderr, "bench: interrupted; this is what there is\n");
                    bench->interrupted = true;
                    return;
                }
                snprintf(cell->complaint, sizeof cell->complaint, "%.150s", why.message);
            }
        }
    }
    progress_clear(&bench->progress);
}

/* ---- what comes out ---- */

static bool write_file(const struct bench_results *results, const char *path,
                       void (*write_report)(const struct bench_results *results, FILE *out), struct error *err)
{
    FILE *file = path ? fopen(path, "w") : NULL;

    if (!path)
        return true;
    if (!file)
        return error_set(err, "bench: cannot open '%s': %s", path, strerror(errno));
    write_report(results, file);
    bool bad = ferror(file);
    bad |= fclose(file) != 0;
    return !bad || error_set(err, "bench: cannot write '%s': %s", path, strerror(errno));
}

/* That a file cannot be written is better known before the minutes have passed. */
static bool try_file(const char *path, struct error *err)
{
    FILE *file = path ? fopen(path, "a") : NULL;

    if (file)
        fclose(file);
    return !path || file || error_set(err, "bench: cannot open '%s': %s", path, strerror(errno));
}

static bool write_reports(struct bench *bench, struct error *err)
{
    bench_write_table(&bench->results, stdout);
    if (bench->options.details)
        bench_write_details(&bench->results, stdout);
    return write_file(&bench->results, bench->options.csv, bench_write_csv, err) &&
           write_file(&bench->results, bench->options.json, bench_write_json, err) &&
           write_file(&bench->results, bench->options.svg, bench_write_svg, err);
}

static bool run(struct bench *bench, struct error *err)
{
    const struct bench_options *options = &bench->options;

    choose_runners(bench);
    if (!choose_kernels(bench, err))
        return false;
    if (options->list) {
        for (unsigned i = 0; i < bench->results.kernel_count; i++)
            printf("%-8s %s\n", bench->results.kernels[i].suite, bench->results.kernels[i].name);
        return true;
    }
    if (!try_file(options->csv, err) || !try_file(options->json, err) || !try_file(options->svg, err))
        return false;
    try_native(bench);
    if (!bench->results.runner_count)
        return error_set(err, "bench: nobody is left to run anything");
    note_circumstances(bench);
    run_all(bench);
    if (!write_reports(bench, err))
        return false;
    if (bench->interrupted)
        return error_set(err, "bench: not everything was measured");
    for (unsigned kernel = 0; kernel < bench->results.kernel_count; kernel++)
        if (!bench_is_good(&bench->results, kernel))
            return error_set(err, "bench: %s: result %s", bench->results.kernels[kernel].name,
                             bench_verdict(&bench->results, kernel));
    return true;
}

/* Readable when somebody wants an end. */
static int watch_interrupts(void)
{
    sigset_t set;

    sigemptyset(&set);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGHUP);
    sigprocmask(SIG_BLOCK, &set, NULL);
    return signalfd(-1, &set, SFD_CLOEXEC);
}

int bench_main(int argc, char **argv)
{
    struct bench *bench = calloc(1, sizeof *bench);
    struct error err;
    bool good = true;

    if (!bench) {
        fprintf(stderr, "dragoman: out of memory\n");
        return 1;
    }
    switch (bench_options_parse(&bench->options, argc, argv, stdout, &err)) {
    case BENCH_OPTIONS_RUN:
        signal(SIGPIPE, SIG_IGN);
        bench->place.interrupt_fd = watch_interrupts();
        bench->place.limit = bench->options.limit;
        good = run_place_open(&bench->place, &err);
        if (good) {
            good = run(bench, &err);
            run_place_close(&bench->place);
        }
        if (bench->place.interrupt_fd >= 0)
            close(bench->place.interrupt_fd);
        break;
    case BENCH_OPTIONS_DONE:
        break;
    case BENCH_OPTIONS_ERROR:
        good = false;
        break;
    }
    if (good && fflush(stdout) != 0)
        good = error_set(&err, "bench: cannot write: %s", strerror(errno));
    fflush(stdout);
    if (!good)
        fprintf(stderr, "dragoman: %s\n", err.message);
    free(bench);
    return good ? 0 : 1;
}

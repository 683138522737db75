#define _GNU_SOURCE /* mkdtemp */
#include "bench/run.h"

#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define SELF          "/proc/self/exe"
#define MAX_ARGUMENTS 20

bool run_place_open(struct run_place *place, struct error *err)
{
    const char *folder = getenv("TMPDIR");

    if (!folder || strlen(folder) > 32)
        folder = "/tmp";
    snprintf(place->folder, sizeof place->folder, "%s/dragoman-bench-XXXXXX", folder);
    if (!mkdtemp(place->folder))
        return error_set(err, "cannot make a folder in '%s': %s", folder, strerror(errno));
    snprintf(place->statistics, sizeof place->statistics, "%s/statistics.json", place->folder);
    if (bench_open_programs(&place->programs, err))
        return true;
    rmdir(place->folder);
    return false;
}

void run_place_close(struct run_place *place)
{
    bench_close_programs(&place->programs);
    unlink(place->statistics);
    rmdir(place->folder);
}

static struct run_statistics read_statistics(const char *path)
{
    struct run_statistics s = {0};
    json_t *root = json_load_file(path, 0, NULL), *counters = json_object_get(root, "counters");
    json_t *phases = json_object_get(json_object_get(root, "time"), "phases-ns");

    if (counters && phases) {
        s.known = true;
        s.instructions = (double)json_integer_value(json_object_get(counters, "instructions"));
        s.translations = (uint64_t)json_integer_value(json_object_get(counters, "translations"));
        s.translating = (double)json_integer_value(json_object_get(phases, "translating")) * 1e-9;
    }
    json_decref(root);
    return s;
}

/* Appends to ARGV, which ends with NULL. */
static void add(const char **argv, const char *const *words)
{
    size_t count = 0;

    while (argv[count])
        count++;
    do
        argv[count++] = *words;
    while (*words++);
}

/* Why a run that did not print all it should has ended. */
static bool explain(const struct run_outcome *outcome, double limit, struct error *err)
{
    const char *words = outcome->listener.last_words;
    int status = outcome->child.status;

    if (outcome->child.end == CHILD_INTERRUPTED)
        return error_set(err, "interrupted");
    if (outcome->child.end == CHILD_TIMED_OUT)
        return error_set(err, "not finished after %.0f seconds", limit);
    if (words[0])
        return error_set(err, "%s", words);
    if (outcome->child.end == CHILD_EXITED && WIFSIGNALED(status))
        return error_set(err, "ended by signal %d", WTERMSIG(status));
    return error_set(err, "ended too soon, with exit code %d", WIFEXITED(status) ? WEXITSTATUS(status) : -1);
}

bool run_kernel(struct run_place *place, const struct bench_runner *runner, const char *kernel, unsigned scale,
                unsigned rounds, struct run_outcome *outcome, struct error *err)
{
    char scale_word[24], rounds_word[24], line[128], script[1024];
    const char *argv[MAX_ARGUMENTS] = {NULL};
    const char *const machine[] = {"-m",         "64",
                                   "-kernel",    place->programs.guest_path,
                                   "-append",    line,
                                   "-nographic", "-no-reboot",
                                   "-device",    "isa-debug-exit,iobase=0xf4,iosize=4",
                                   NULL};

    snprintf(scale_word, sizeof scale_word, "scale=%u", scale);
    snprintf(rounds_word, sizeof rounds_word, "rounds=%u", rounds);
    snprintf(line, sizeof line, "%s %s %s", kernel ? kernel : "list", scale_word, rounds_word);
    switch (runner->kind) {
    case BENCH_NATIVE:
        add(argv, (const char *const[]){place->programs.native_path, kernel, scale_word, rounds_word, NULL});
        break;
    case BENCH_ENGINE:
        add(argv, (const char *const[]){SELF, "-engine", runner->name, "-stats", place->statistics, NULL});
        add(argv, machine);
        break;
    case BENCH_OTHER:
        snprintf(script, sizeof script, "exec %s \"$@\"", runner->command); /* a shell knows about quotes */
        add(argv, (const char *const[]){"/bin/sh", "-c", script, "sh", NULL});
        add(argv, machine);
        break;
    }
    memset(outcome, 0, sizeof *outcome);
    unlink(place->statistics);
    if (!child_run((char *const *)argv, place->limit, place->interrupt_fd, bench_listener_take, &outcome->listener,
                   &outcome->child, err))
        return false;
    outcome->statistics = read_statistics(place->statistics);
    if (kernel ? outcome->listener.has_ended && !strcmp(outcome->listener.kernel, kernel)
               : outcome->listener.is_done && outcome->listener.kernel_count)
        return true;
    return explain(outcome, place->limit, err);
}

#include "bench/progress.h"

#include <stdio.h>
#include <time.h>
#include <unistd.h>

#define SECONDS_BETWEEN_LINES 15

static double now(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

void progress_begin(struct progress *progress, unsigned total)
{
    *progress = (struct progress){.is_terminal = isatty(STDERR_FILENO), .total = total, .began = now()};
}

void progress_step(struct progress *progress, const char *what, const char *whom)
{
    double time = now(), passed = time - progress->began;
    unsigned done = progress->done++;
    char left[40] = "";

    if (!progress->is_terminal && done && time - progress->told < SECONDS_BETWEEN_LINES)
        return;
    progress->told = time;
    if (done * 20 >= progress->total && passed > 3)
        snprintf(left, sizeof left, ", %.0f s left", passed / done * (progress->total - done));
    fprintf(stderr, progress->is_terminal ? "\r\033[Kbench: %3.0f %%%s: %s on %s" : "bench: %3.0f %%%s: %s on %s\n",
            100.0 * done / (progress->total ? progress->total : 1), left, what, whom);
    fflush(stderr);
    progress->is_shown = progress->is_terminal;
}

void progress_clear(struct progress *progress)
{
    if (progress->is_shown)
        fputs("\r\033[K", stderr);
    progress->is_shown = false;
}

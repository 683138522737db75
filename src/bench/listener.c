#include "bench/listener.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NAME_FORMAT "%23s"

/* The word at the end of a line: processor seconds, which then count more than COST's, or a mark behind an @. */
static struct child_cost cost_of(const char *word, const struct child_cost *cost, uint64_t *mark)
{
    struct child_cost result = *cost;

    *mark = word[0] == '@' ? strtoull(word + 1, NULL, 16) : 0;
    if (word[0] && word[0] != '@')
        result.processor = strtod(word, NULL);
    return result;
}

bool bench_listener_take(void *opaque, const char *line, const struct child_cost *cost)
{
    struct bench_listener *l = opaque;
    char name[BENCH_NAME_SIZE], suite[BENCH_NAME_SIZE], where[BENCH_NAME_SIZE], last[32] = "", sum[9];
    unsigned count;

    if (sscanf(line, "begin " NAME_FORMAT " " NAME_FORMAT " %31s", name, suite, last) >= 2) {
        strcpy(l->kernel, name);
        l->began = cost_of(last, cost, &l->began_mark);
        l->round_count = 0;
        l->has_begun = true;
        l->has_ended = false;
    } else if (line[0] == '.' && (!line[1] || line[1] == ' ') && l->has_begun) {
        if (l->round_count < BENCH_MAX_ROUNDS) {
            l->rounds[l->round_count] = cost_of(line[1] ? line + 2 : "", cost, &l->marks[l->round_count]);
            l->round_count++;
        }
    } else if (sscanf(line, "end " NAME_FORMAT " %u %8[0-9a-f]", name, &count, sum) == 3 && l->has_begun &&
               !strcmp(name, l->kernel)) {
        l->count = count;
        strcpy(l->checksum, sum);
        l->has_ended = true;
    } else if (sscanf(line, "kernel " NAME_FORMAT " " NAME_FORMAT " %u " NAME_FORMAT, name, suite, &count, where) ==
               4) {
        if (l->kernel_count < BENCH_MAX_KERNELS) {
            struct bench_kernel *kernel = &l->kernels[l->kernel_count++];

            strcpy(kernel->name, name);
            strcpy(kernel->suite, suite);
            kernel->anywhere = !strcmp(where, "anywhere");
        }
    } else if (!strcmp(line, "done")) {
        l->is_done = true;
        return false;
    } else if (*line) {
        snprintf(l->last_words, sizeof l->last_words, "%.120s", line);
        return strncmp(line, "fault:", 6) != 0;
    }
    return true;
}

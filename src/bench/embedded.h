/* The guest and its native twin, which the build put into this program. */
#ifndef DRAGOMAN_BENCH_EMBEDDED_H
#define DRAGOMAN_BENCH_EMBEDDED_H

#include "base/error.h"

#include <stdbool.h>

/* Descriptors of files in memory that children inherit, and their names there. */
struct bench_programs {
    int guest, native;
    char guest_path[32], native_path[32];
};

bool bench_open_programs(struct bench_programs *programs, struct error *err);
void bench_close_programs(struct bench_programs *programs);

#endif

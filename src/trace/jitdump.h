/* The file in which Linux's perf finds code that was made at run time (tools/perf/Documentation/jitdump-specification.txt,
 * version 1 of the header): jit-PID.dump, and beside it a listing, jit-PID.txt, whose lines the code is said to come from.
 *
 * Every piece has its time, so that an address may be used again. `perf record -k mono`, `perf inject --jit`, `perf
 * report`: the times are those of CLOCK_MONOTONIC. The file is mapped once, executable, for that is what perf's record
 * of the process tells it by. */
#ifndef DRAGOMAN_TRACE_JITDUMP_H
#define DRAGOMAN_TRACE_JITDUMP_H

#include "base/error.h"

#include <stddef.h>
#include <stdint.h>

struct jitdump;

/* Host code from ADDRESS on comes from LINE of the listing, up to the next one's. */
struct jitdump_line {
    uint64_t address;
    uint32_t line;
};

struct jitdump *jitdump_open(const char *folder, struct error *err);
/* Adds a line to the listing; returns its number. */
uint32_t jitdump_list(struct jitdump *dump, const char *text);
/* Code of SIZE bytes that begins at ADDRESS from now on; CODE: a copy of it. LINES by address, may be none. */
void jitdump_add(struct jitdump *dump, uint64_t address, const void *code, size_t size, const char *name,
                 const struct jitdump_line *lines, size_t line_count);
void jitdump_close(struct jitdump *dump);

#endif

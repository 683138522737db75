/* The map by which Linux's perf names code that is in no file: a text file /tmp/perf-PID.map, a line for each piece,
 *
 *     START SIZE NAME      both in hexadecimal; the name may have blanks in it
 *
 * perf reads it when it reports, so it knows no time: one address can have but one name. */
#ifndef DRAGOMAN_TRACE_PERF_MAP_H
#define DRAGOMAN_TRACE_PERF_MAP_H

#include "base/error.h"

#include <stdint.h>

struct perf_map;

/* FOLDER: /tmp, where perf looks. */
struct perf_map *perf_map_open(const char *folder, struct error *err);
void perf_map_add(struct perf_map *map, uint64_t address, uint64_t size, const char *name);
/* Writes what was added: the emulator may be killed. */
void perf_map_flush(struct perf_map *map);
/* Forgets everything: some of it is gone, and the caller adds what is left. */
void perf_map_restart(struct perf_map *map);
void perf_map_close(struct perf_map *map);

#endif

/* What the machine has counted and timed, for people and for programs. The machine is frozen inside; main thread. */
#ifndef DRAGOMAN_MONITOR_STATISTICS_H
#define DRAGOMAN_MONITOR_STATISTICS_H

#include "monitor/text.h"
#include "vm/vm.h"

#include <jansson.h>

/* Counters and time by phase: `info stats`. */
void statistics_print(struct vm *vm, struct text *out);
/* hmp_info_jit.c: `info jit`; ALL: every instruction that translated code left to others. */
void statistics_print_translator(struct vm *vm, bool all, struct text *out);
/* Both as one object; docs/profiling.md describes it. NULL: out of memory. */
json_t *statistics_to_json(struct vm *vm);
/* Writes both to PATH: JSON if its name ends in .json, else text. "-": to standard error. */
bool statistics_write(struct vm *vm, const char *path, struct error *err);

#endif

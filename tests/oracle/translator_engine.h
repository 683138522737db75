/* The translator as an engine, in several variants. */
#ifndef DRAGOMAN_TESTS_ORACLE_TRANSLATOR_ENGINE_H
#define DRAGOMAN_TESTS_ORACLE_TRANSLATOR_ENGINE_H

#include "engine.h"

/* Ways to translate and to run. A variant is a list of words with commas between them:
 *
 *   twice      each case runs a second time on the translations and links that the first run left
 *   counted    instructions are counted, so that the budget ends at the very instruction
 *   baseline   as on a host with nothing beyond x86-64-v1
 *   limit=N    at most N guest instructions a block
 *   cache=N    N MiB of code cache
 *   no-NAME    the pass is switched off (ir_passes)
 *   no-passes  all are that may be
 *
 * NULL behind the last of those that the tests go through. */
extern const char *const translator_variants[];

/* EPILOGUE and BUDGET as for engine_create_interp(). NULL with a message on standard error: no such variant, or no
 * translator. */
struct engine *engine_create_translator(uint32_t epilogue, int64_t budget, const char *variant);
/* Blocks that ENGINE translated, and those that it could not. */
void engine_translator_counts(const struct engine *engine, uint64_t *translated, uint64_t *refused);

#endif

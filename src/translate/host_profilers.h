/* Who is told of host code as it is made: perf (-perfmap, -jitdump) and a gdb that debugs the emulator (-gdbjit). What they
 * are given is in src/trace; here translations and thunks get their names, sizes and lines.
 *
 * Names: "tier1:guest 0xc0101234 (prot32 cpl0)"; gdb's are single words, "guest_0xc0101234_prot32". */
#ifndef DRAGOMAN_TRANSLATE_HOST_PROFILERS_H
#define DRAGOMAN_TRANSLATE_HOST_PROFILERS_H

#include "cache/cache.h"
#include "translate/translate.h"

struct host_profilers;

/* Once the cache exists. *PROFILERS is NULL if OPTIONS want none: that may be given to all others. Fails with a message. */
bool host_profilers_create(struct host_profilers **profilers, const struct code_cache *cache,
                           const struct translate_options *options, struct error *err);
/* Where codegen() is to put its marks, if that is of interest here and nobody has said already. */
void host_profilers_request_marks(struct host_profilers *profilers, struct codegen_request *request);
/* A translation that has been entered into the cache; RESULT: of REQUEST. Evictions since the last call are noticed here:
 * until new code is made, that of an emptied segment is still there. */
void host_profilers_made(struct host_profilers *profilers, const struct translation *translation,
                         const struct codegen_request *request, const struct codegen_result *result);
void host_profilers_destroy(struct host_profilers *profilers);

#endif

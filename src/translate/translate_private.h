/* Shared by the files of the translator. */
#ifndef DRAGOMAN_TRANSLATE_PRIVATE_H
#define DRAGOMAN_TRANSLATE_PRIVATE_H

#include "cache/cache.h"
#include "frontend/lift.h"
#include "translate/profile.h"
#include "translate/translate.h"

#include <pthread.h>

/* Blocks, by their physical address, in which #DE is common enough to be worth a slower division. */
#define CAREFUL_BLOCKS 64u
#define DIVIDE_FAULTS_BORNE 4u

struct translator {
    struct vcpu *cpu;
    struct interp *interp;
    struct translate_options options;
    struct interp_native native;
    struct code_cache cache;
    struct decoder decoder;
    struct ir_host_flags host_flags;
    bool host_lahf;
    atomic_bool flush_posted; /* the memory map changed, or code was written to by another thread */
    _Atomic(const char *) flush_cause; /* as traces tell it */
    bool flush_wanted;
    pthread_t owner;
    bool owned;
    bool plain_only;          /* build blocks without calls into C */
    struct lockstep *lockstep;
    uint64_t careful[CAREFUL_BLOCKS];        /* physical address + 1; 0: none */
    uint64_t interpreted[ROW_COUNT]; /* by row of the instruction table: executed for translated code */
    uint64_t called_out[ROW_COUNT];
    struct profile profile;
    struct ir_block *ir;      /* the block being translated */
    struct lift_storage *lifted;
    struct codegen_result *result;
    struct host_profilers *profilers; /* host_profilers.h; NULL: none */
    struct cache_watcher watcher;
    uint64_t profiled_instructions; /* executed by translations that died, while they were profiled */
    struct code_trace *trace; /* code_trace.h; NULL until something is traced */
    struct {
        const char *reason;   /* "hot", "forced" */
        uint64_t executions;  /* in the interpreter before */
    } why;                    /* the present translation is made */
};

/* What a translation's code points to. */
struct native_storage {
    unsigned call_count;
    unsigned single_count;
    struct interp_single **singles;
    struct callout_args *arguments;
    struct native_call *calls;
};

/* build.c */
struct translation *translator_build(struct translator *t, const struct translation_key *key, uint32_t linear);
/* translate.c */
void translator_take_thread(struct translator *t);
bool translator_must_step(const struct translator *t);
/* translate.c, for profile.c: what there is for state.rip, without making it */
struct translation *translator_find_made(struct translator *t);
/* translate.c, for lockstep.c */
struct translation *translator_find(struct translator *t);
bool translator_go_on(struct translator *t, uint64_t left);
uint64_t translator_run(struct translator *t, const struct translation *translation);
/* lockstep.c */
struct lockstep *lockstep_create(void);
void lockstep_destroy(struct lockstep *lockstep);
bool lockstep_enter(struct translator *t);
/* calls.c */
extern const struct native_functions translator_functions;
struct translator *translator_of(const struct vcpu *cpu);
/* Where the translated code goes on that has called C. */
static inline uint64_t native_return_address(const struct vcpu *cpu)
{
    return ((const uint64_t *)(uintptr_t)cpu->native.stack)[-1];
}

#endif

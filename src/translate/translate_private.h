/* Shared by the files of the translator. */
#ifndef DRAGOMAN_TRANSLATE_PRIVATE_H
#define DRAGOMAN_TRANSLATE_PRIVATE_H

#include "cache/cache.h"
#include "frontend/lift.h"
#include "translate/translate.h"

#include <pthread.h>

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
    bool flush_wanted;
    pthread_t owner;
    bool owned;
    bool plain_only;          /* build blocks without calls into C */
    struct lockstep *lockstep;
    uint64_t interpreted[ROW_COUNT]; /* by row of the instruction table: executed for translated code */
    uint64_t called_out[ROW_COUNT];
    struct ir_block *ir;      /* the block being translated */
    struct lift_storage *lifted;
    struct codegen_result *result;
};

/* What a translation's code points to. */
struct native_storage {
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
/* translate.c, for lockstep.c */
struct translation *translator_find(struct translator *t);
bool translator_go_on(struct translator *t, uint64_t left);
uint64_t translator_run(struct translator *t, const struct translation *translation);
/* lockstep.c */
struct lockstep *lockstep_create(void);
void lockstep_destroy(struct lockstep *lockstep);
bool lockstep_enter(struct translator *t);
/* trace.c: dumps for -d */
void trace_ir(struct translator *t, const char *title);
void trace_pass(void *translator, const struct ir_pass *pass, const struct ir_block *block);
void trace_host_code(struct translator *t, const struct translation *made);
/* calls.c */
extern const struct native_functions translator_functions;
struct translator *translator_of(const struct vcpu *cpu);

#endif

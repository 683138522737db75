/* What the engines on the bare machine share: a processor at CPL 3 with Linux's segments and the arena's pages
 * (interp_engine.c). */
#ifndef DRAGOMAN_TESTS_ORACLE_INTERP_ENGINE_H
#define DRAGOMAN_TESTS_ORACLE_INTERP_ENGINE_H

#include "engine.h"

#include "../interp/bare_machine.h"

struct interp_engine {
    struct engine engine;
    struct bare_machine *machine;
    int64_t budget;
    /* Returns how many instructions were done when an interrupt asked for at BOUNDARY (0: none) was taken. */
    uint32_t (*run_to_end)(struct interp_engine *e, uint32_t boundary);
    const struct oracle_input *input; /* of the case that runs */
    uint8_t *arena;                   /* guest RAM, the pages in the order of arena_linear */
    uint8_t base[ARENA_SIZE_BYTES] __attribute__((aligned(64)));
    uint64_t base_seed;
    bool base_known;
    uint8_t default_fx[512] __attribute__((aligned(16)));
    struct segment user_code, user_data, null_segment, ldt[ORACLE_LDT_COUNT];
};

/* E is cleared but for what engine holds already. */
void interp_engine_init(struct interp_engine *e, uint32_t epilogue, int64_t budget);
void interp_engine_finish(struct interp_engine *e);
/* One case from memory and state to the output; cpu_fpu_spill() is the caller's. */
void interp_engine_run_case(struct interp_engine *e, const struct test_case *c, struct oracle_output *out);
/* The parts of it, for engines that do more in between. */
void interp_engine_load_state(struct interp_engine *e, const struct oracle_input *in);
uint32_t interp_engine_run_to_end(struct interp_engine *e, uint32_t boundary);
/* Bytes of one arena page changed behind the memory's back. */
void interp_engine_code_written(struct interp_engine *e, uint32_t offset, uint32_t length);

#endif

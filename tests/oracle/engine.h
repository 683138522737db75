/* Engines: what runs a batch of test cases. The processor itself is one of them. */
#ifndef DRAGOMAN_TESTS_ORACLE_ENGINE_H
#define DRAGOMAN_TESTS_ORACLE_ENGINE_H

#include "abi.h"

#include "cpu/mutation.h"

#include <stdbool.h>
#include <stddef.h>

struct test_case {
    struct oracle_input input;
    uint64_t base; /* seed of the memory pattern; 0: all zero */
    uint64_t seed; /* the generator's, for reports */
    uint16_t row;  /* instruction table row the case was made for; ROW_NONE: arbitrary bytes */
    uint8_t mode;  /* index for coverage: 0 32-bit, 1 16-bit */
    uint8_t operand_size;
    uint8_t kind;  /* the program's own */
    bool block;    /* more than one instruction */
    bool trap;     /* ends by INT3, not by the far jump */
    uint16_t body; /* code bytes without the terminator */
    /* Lines of text only: the vendor whose processors do so, and what else the host must have (host_features.h). */
    uint8_t vendor;
    uint32_t host_features;
    /* Blocks made to a plan (generate.h) only: */
    uint16_t accesses;      /* how many places a fault can be asked for at */
    uint16_t steps;         /* about how many instructions it takes to the end */
    uint32_t host_boundary; /* where the processor is stopped; engine_settle() */
};

struct engine {
    const char *name;
    /* Where terminators have to jump; every engine uses the processor's address. */
    uint32_t epilogue;
    /* Takes an interrupt at the very boundary asked for. An engine that looks for interrupts only at some points takes
     * it at the next of those, and says where; the state must be that boundary's then. */
    bool exact;
    /* All cases of a batch have the same base. COUNT is at most ORACLE_BATCH. */
    void (*run)(struct engine *engine, const struct test_case *cases, struct oracle_output *outputs, size_t count);
    /* Breaks ROW of the instruction table (cpu/mutation.h), for the check that the tests notice. NULL where the engine
     * is not built for it. */
    void (*mutate)(struct engine *engine, uint16_t row, unsigned kind);
    void (*destroy)(struct engine *engine);
};

/* NULL with a message on standard error. */
struct engine *engine_create_host(const char *helper_path);
/* EPILOGUE: of the host engine. BUDGET: instructions until a case counts as hung. */
struct engine *engine_create_interp(uint32_t epilogue, int64_t budget);

/* After ENGINE has run C: where the processor has to be stopped to be comparable. To be called before the processor
 * runs a case whose input has a boundary. */
void engine_settle(const struct engine *engine, struct test_case *c, const struct oracle_output *output);

/* Starts the processor's side afresh, for the confirmation of a disagreement. */
void engine_host_restart(struct engine *engine);

/* The memory pattern of SEED. */
void oracle_fill_base(uint64_t seed, uint8_t *base);
/* FNINIT state, MXCSR 1F80h, XMM zero. */
void oracle_default_fx(uint8_t *fx);
/* Arena offset of LINEAR, or UINT32_MAX. */
uint32_t oracle_arena_offset(uint32_t linear);

#endif

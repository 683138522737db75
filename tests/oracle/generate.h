/* Test cases at random: encodings from the instruction table, states from edge values. */
#ifndef DRAGOMAN_TESTS_ORACLE_GENERATE_H
#define DRAGOMAN_TESTS_ORACLE_GENERATE_H

#include "engine.h"
#include "random.h"

#include "cpu/decode.h"
#include "cpu/model.h"

enum oracle_mode { ORACLE_MODE32, ORACLE_MODE16, ORACLE_MODES };

/* Why an instruction is not run. */
enum exclusion {
    EXCLUDED_NOT,
    EXCLUDED_EMULATED, /* Linux or the hypervisor answers in the processor's place: CPUID, UMIP instructions, RDTSC's
                          value */
    EXCLUDED_SYSTEM_CALL,
    EXCLUDED_NEWER,     /* the processor knows it, the model does not */
    EXCLUDED_LONG_MODE, /* compatibility mode differs from protected mode */
};

struct generator;

struct generator *generator_create(const struct cpu_model *model);
void generator_destroy(struct generator *generator);

/* Only rows whose flag is set are made; all by default. */
void generator_enable_row(struct generator *generator, uint16_t row, bool enabled);
/* No random bytes any more, and so only what rows make. */
void generator_disable_arbitrary(struct generator *generator);
/* Encodings known for ROW in MODE. */
unsigned generator_template_count(const struct generator *generator, uint16_t row, enum oracle_mode mode);
/* Why ROW is run alone only, or never, and what is not compared then; NULL for the others. */
const char *generator_row_excluded(uint16_t row);

/* Fills *OUT, all of it a function of SEED. ROW: for this row, or ROW_NONE for any, arbitrary bytes included.
 * INSTRUCTIONS: 1, or up to 30 for a block of anything. EPILOGUE: the terminator's target. */
void generator_make(struct generator *generator, uint64_t seed, uint64_t base, uint16_t row, unsigned instructions,
                    uint32_t epilogue, struct test_case *out);

/* Like it, a block made to a plan: loops, calls, jumps that come back, operands in mapped memory, stores into the block
 * itself. FAULT_AT: 0, or 1 to out->accesses as the same seed has it without: which access faults. BOUNDARY: as in
 * struct oracle_input. */
void generator_make_block(struct generator *generator, uint64_t seed, uint64_t base, unsigned instructions,
                          unsigned fault_at, uint32_t boundary, uint32_t epilogue, struct test_case *out);

/* Whether the instruction at CODE may be run on the processor. */
enum exclusion generator_check(const struct generator *generator, const uint8_t *code, size_t length, bool code32,
                               uint32_t eip, struct decoded_instruction *insn, enum decode_status *status);

/* Appends the terminator (a far jump to EPILOGUE, INT3 where GS may not be flat) to the body, cuts it off at the end of
 * the code pages, and sets EIP from the code's place. */
void case_finish(struct test_case *c, uint32_t epilogue);

#endif

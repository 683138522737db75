/* Values for registers, addresses, selectors and x87/SSE state. */
#ifndef DRAGOMAN_TESTS_ORACLE_STATE_VALUES_H
#define DRAGOMAN_TESTS_ORACLE_STATE_VALUES_H

#include "engine.h"
#include "random.h"

#include "cpu/decode.h"

uint32_t state_edge32(struct random *random);
/* An edge value, an address in the arena, or anything; never in the harness. */
uint32_t state_register(struct random *random);
/* Linear, mostly in a mapped page, often near its ends. */
uint32_t state_data_address(struct random *random);
uint16_t state_selector(struct random *random);
/* An FXSAVE image that FXRSTOR accepts. */
void state_fpu(struct random *random, uint8_t *fx);
/* Base of a segment that cases start with. */
uint32_t segment_base(uint16_t selector);
/* Whether code in it is 32-bit code. */
bool segment_is_code32(uint16_t selector);
uint32_t state_operand_offset(const struct decoded_instruction *insn, const struct operand *operand,
                              const struct oracle_registers *registers);

#endif

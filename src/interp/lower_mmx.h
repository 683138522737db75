/* What the MMX handlers share.
 *
 * MMX registers are the host's own, so their numbers are part of the code. To have 8 + 8 copies instead
 * of 8 * 8, an operation runs in two stages: the first brings the source operand into cpu->fpu_scratch and jumps
 * to the second, op->pointer, which is made for the destination register. The first stage changes
 * nothing, so that faults leave the state as it was; reading an MMX register is an MMX instruction itself and
 * waits for pending x87 errors like any other.
 *
 * op->src holds an immediate, op->dst a general register (byte offset) or XMM register (times 16), op->base the
 * general register read in the first stage. */
#ifndef DRAGOMAN_INTERP_LOWER_MMX_H
#define DRAGOMAN_INTERP_LOWER_MMX_H

#include "interp/lower_sse.h"

#define FOR_MMX(X, ...)                                                                                      \
    X(0, ##__VA_ARGS__) X(1, ##__VA_ARGS__) X(2, ##__VA_ARGS__) X(3, ##__VA_ARGS__) X(4, ##__VA_ARGS__)      \
    X(5, ##__VA_ARGS__) X(6, ##__VA_ARGS__) X(7, ##__VA_ARGS__)
/* The eight functions name_0 .. name_7 as an initializer. */
#define MMX_HANDLERS(name) {name##_0, name##_1, name##_2, name##_3, name##_4, name##_5, name##_6, name##_7}

#define SCRATCH_64(cpu) (*(uint64_t *)(void *)(cpu)->fpu_scratch)
#define SCRATCH_32(cpu) (*(uint32_t *)(void *)(cpu)->fpu_scratch)
#define SECOND_STAGE() return ((op_handler *)op->pointer)(cpu, op)

/* First stages. */
extern op_handler *const mmx_from_register[8];
extern const struct memory_handlers mmx_from_memory2, mmx_from_memory4, mmx_from_memory8, mmx_from_memory16;
op_handler mmx_from_gpr, mmx_from_immediate, mmx_from_xmm;
/* Second stage of MOVQ and MOVD: the scratch operand to an MMX register. */
extern op_handler *const mmx_to_register[8];
/* Second stages of the instructions on two MMX registers or one and memory; NULL if ROW is none. */
op_handler *const *mmx_packed_handlers(unsigned row);
/* Stores of an MMX register. */
extern const struct memory_handlers mmx_store4[8], mmx_store8[8];
op_handler mmx_emms;

/* Lowers the source operand into the first stage; SIZE: bytes read if it is in memory. */
void lower_mmx_source(struct lowering *l, const struct operand *source, unsigned size);

#endif

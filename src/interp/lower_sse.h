/* What the SSE handlers share. XMM operands of an operation are register number * 16, general registers
 * byte offsets into struct vcpu.
 *
 * Results are always stored as 16 bytes, even where only the low element changed: what reads the register
 * next may read all of it, and hosts forward a store only to loads that it covers. */
#ifndef DRAGOMAN_INTERP_LOWER_SSE_H
#define DRAGOMAN_INTERP_LOWER_SSE_H

#include "interp/fpu_access.h"

#include <emmintrin.h>

#define XMM_ADDRESS(times16) ((char *)cpu->state.xmm + (times16))
#define XMM(times16) (*(__m128i *)(void *)XMM_ADDRESS(times16))
#define XMM_FLOAT(times16) (*(__m128 *)(void *)XMM_ADDRESS(times16))
#define GPR_ADDRESS(offset) ((char *)cpu + (offset))

/* From NAME_execute(cpu, op, source pointer): NAME_reg, reading the register at SOURCE_ADDRESS(op->src), and
 * the memory handlers, reading SIZE bytes. */
#define DEFINE_REGISTER_SOURCE(name, SOURCE_ADDRESS)                                                         \
    static const struct op *name##_reg(struct vcpu *cpu, const struct op *op)                                \
    {                                                                                                        \
        return name##_execute(cpu, op, SOURCE_ADDRESS(op->src));                                             \
    }
#define DEFINE_MEMORY_SOURCE(name, size, alignment)                                                          \
    always_inline const struct op *name##_body(BODY_PARAMETERS, const enum ea_form form)                     \
    {                                                                                                        \
        FPU_SOURCE(p, offset, form, size, alignment)                                                         \
        return name##_execute(cpu, op, p);                                                                   \
    }                                                                                                        \
    DEFINE_MEMORY_HANDLERS(name, name##_body)
#define DEFINE_SOURCES(name, SOURCE_ADDRESS, size, alignment)                                                \
    DEFINE_REGISTER_SOURCE(name, SOURCE_ADDRESS)                                                             \
    DEFINE_MEMORY_SOURCE(name, size, alignment)

#define EXECUTE_PARAMETERS struct vcpu *cpu, const struct op *op, const void *p

/* Table entries (struct operand_handlers). */
#define SOURCES_ENTRY(row, selector, name)                                                                   \
    {ROW_##row, selector, name##_reg, FAST_HANDLERS(name), SLOW_HANDLERS(name)},
#define REGISTER_ENTRY(row, selector, name) {ROW_##row, selector, name##_reg, {NULL}, {NULL}},
#define MEMORY_ENTRY(row, selector, name) {ROW_##row, selector, NULL, FAST_HANDLERS(name), SLOW_HANDLERS(name)},

/* Selectors of rows that have more than one form; comparisons have their predicate instead. */
enum sse_form {
    SSE_LOAD,     /* to a register, or between registers */
    SSE_STORE,    /* to memory; MOVD to a general register too */
    SSE_IMMEDIATE /* shift by an immediate */
};

extern const struct operand_handlers sse_float_handlers[], sse_integer_handlers[], sse_move_handlers[];
extern const unsigned sse_float_handler_count, sse_integer_handler_count, sse_move_handler_count;

/* Lowers an instruction on XMM registers; availability has been checked. */
void lower_sse_operands(struct lowering *l);
/* An SSE instruction with an MMX operand (lower_mmx_mixed.c): availability has been checked. */
void lower_mmx_mixed(struct lowering *l);

#endif

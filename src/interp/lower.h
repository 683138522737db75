/* Lowering: from a decoded instruction to one predecoded operation. */
#ifndef DRAGOMAN_INTERP_LOWER_H
#define DRAGOMAN_INTERP_LOWER_H

#include "interp/op.h"

struct block;

struct lowering {
    const struct vcpu *cpu;
    struct block *block;
    const struct decoded_instruction *insn;
    const struct instruction_row *row;
    uint32_t mode; /* mode word the block is made for */
    uint32_t eip;
    struct op *op; /* to fill: eip, length are set; handler NULL, the rest 0 with base = index = zero register */
};

/* A function a kind (see the `kind` column of the instruction table). Sets l->op->handler; leaving it
 * NULL makes the operation raise #UD. */
typedef void interp_lower_fn(struct lowering *l);

#define INTERP_KINDS(X)                                                                                      \
    /* integer: lower_integer.c and friends */                                                               \
    X(callout) X(alu) X(mov) X(test) X(unary) X(shift) X(shift_double) X(rotate) X(multiply) X(divide)       \
    X(extend) X(lea) X(xchg) X(xadd) X(cmpxchg) X(cmpxchg8b) X(bit) X(bit_scan) X(bswap) X(cmov) X(setcc)    \
    X(push) X(pop) X(pusha) X(popa) X(leave) X(flag) X(lahf) X(sahf) X(bcd) X(xlat) X(convert) X(nop)        \
    X(salc) X(string)                                                                                        \
    /* control */                                                                                            \
    X(jump) X(jcc) X(loop) X(call) X(ret)                                                                    \
    /* lower_x87.c, lower_mmx.c, lower_sse.c */                                                              \
    X(x87) X(mmx) X(sse)

#define X(kind) interp_lower_fn interp_lower_##kind;
INTERP_KINDS(X)
#undef X

/* Fills the address fields from a memory operand and returns the form to instantiate. */
enum ea_form lower_address(struct lowering *l, const struct operand *memory);
/* Byte offset of a general register operand (AH.. included). */
uint8_t lower_gpr(const struct operand *gpr);
/* #NM or #UD raising operation chosen from the mode word for an x87/MMX/SSE instruction: true if the
 * operation is complete (it will raise), false if the instruction may be lowered normally. */
bool lower_fpu_availability(struct lowering *l);
/* Fills the operation with a callout of the row's function. */
void lower_callout_to(struct lowering *l, callout_fn function, bool ends_block);
/* Appends what leaves BLOCK when its last instruction does not. */
void lower_block_end(struct block *block);
/* Gives the comparison FIRST, lowered to OP, a handler that also does the jump SECOND, lowered to op[1], where
 * there is one (fuse.c). */
void lower_fuse(const struct decoded_instruction *first, struct op *op, const struct decoded_instruction *second);
/* Of a lowered Jcc: 0 both ends on the block's page, 1 not so, 2 the target is beyond the segment's limit. */
unsigned lower_jcc_reach(const struct op *op);
/* Stack accesses: EA_FLAT_BASE (flat, 32-bit SP), EA_SEG32 or EA_SEG16 (16-bit SP). */
enum ea_form lower_stack_form(const struct lowering *l);
/* The operation raises VECTOR when executed. */
void lower_raise(struct lowering *l, enum exception_vector vector);

#endif

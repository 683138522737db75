/* What the lifter's files share: the instruction being lifted, operands, one function a kind of the instruction table.
 *
 * All helpers append to the instruction begun last. Ops that may fault come first, ops that change the guest's state
 * after them; what is done on the way to an address (LEA, MOVZX) leaves the flags alone. */
#ifndef DRAGOMAN_FRONTEND_LIFT_PRIVATE_H
#define DRAGOMAN_FRONTEND_LIFT_PRIVATE_H

#include "frontend/lift.h"

struct lift {
    const struct lift_request *request;
    struct ir_block *block;
    struct lift_storage *storage;
    const struct decoded_instruction *insn;
    const struct instruction_row *row;
    uint32_t eip, next; /* of this instruction; behind it, wrapped where IP wraps */
    bool ended;         /* an op that ends the block has been appended */
    bool behind_sti;    /* this is the instruction that an STI shadows, the block's last: its exits poll */
};

typedef void lift_fn(struct lift *l);

/* clang-format off */
#define LIFT_KINDS(X)                                                                                                  \
    X(callout) X(alu) X(mov) X(test) X(unary) X(shift) X(shift_double) X(rotate) X(multiply) X(divide) X(extend)       \
    X(lea) X(xchg) X(xadd) X(cmpxchg) X(cmpxchg8b) X(bit) X(bit_scan) X(bswap) X(cmov) X(setcc) X(push) X(pop)         \
    X(pusha) X(popa) X(leave) X(flag) X(lahf) X(sahf) X(bcd) X(xlat) X(convert) X(nop) X(salc) X(string)               \
    X(jump) X(jcc) X(loop) X(call) X(ret) X(x87) X(mmx) X(sse)
/* clang-format on */
#define X(kind) lift_fn lift_##kind;
LIFT_KINDS(X)
#undef X

/* ---- lift.c: what leaves the IR ---- */

/* Leaves this instruction to the interpreter; the block ends behind it if the instruction ends blocks. */
void lift_interpret(struct lift *l);
/* Raises VECTOR at this instruction; ends the block. */
void lift_raise(struct lift *l, enum exception_vector vector);
/* The block's link number LINK leads to EIP. */
void lift_set_link(struct lift *l, unsigned link, uint32_t eip);
/* Ends the block with link 0 to EIP. */
void lift_exit(struct lift *l, uint32_t eip);
/* A copy of the instruction for the interpreter, in the block's storage. */
struct decoded_instruction *lift_keep_instruction(struct lift *l);

/* ---- lift_segment.c ---- */

/* False: not an instruction with a segment register that can do without its callout. */
bool lift_segment_register(struct lift *l);
/* Its callout ends the block only if it changes the mode word, which whoever calls it sees. */
bool lift_may_go_on_behind(const struct decoded_instruction *insn);
/* For lists; NULL: not one of those instructions. */
const char *lift_describe_segment_row(unsigned row);

/* ---- lift_fpu.c ---- */

/* ROW, of kind x87, mmx or sse, is the interpreter's in all its forms. */
bool lift_fpu_row_is_interpreted(unsigned row);

/* ---- lift_address.c ---- */

struct ir_value lift_gpr(const struct operand *gpr);
/* VALUE as a constant for an op of WIDTH bytes. */
struct ir_value lift_constant(uint64_t value, unsigned width);
/* base + displacement of general register BASE. */
struct ir_address lift_based(unsigned base, int32_t displacement);
struct ir_address lift_address(const struct lift *l, const struct operand *memory);
/* Checks and translates SIZE bytes at SEGMENT:ADDRESS (ADDRESS_SIZE 2: the offset wraps at 64 KiB). The next IR_MEM is
 * what it found. */
void lift_probe(struct lift *l, unsigned segment, struct ir_address address, unsigned address_size, unsigned size,
                enum ir_access access);
/* The same for a memory operand of the instruction. */
void lift_probe_operand(struct lift *l, const struct operand *memory, unsigned size, enum ir_access access);
/* A temp with the offset of a memory operand, modulo the address size. */
struct ir_value lift_offset(struct lift *l, const struct operand *memory);
/* The general register, the constant, or (behind a READ probe of it) the memory operand. */
struct ir_value lift_source(struct lift *l, const struct operand *operand, unsigned size);
/* The general register, or (behind a probe of it) the memory operand. */
struct ir_value lift_destination(struct lift *l, const struct operand *operand, unsigned size, enum ir_access access);
/* A temp with SIZE bytes of SOURCE, zero-extended. */
struct ir_value lift_zero_extended(struct lift *l, struct ir_value source, unsigned size);
/* Width of the stack pointer: 4 or 2 bytes. */
unsigned lift_stack_width(const struct lift *l);
/* Probes SIZE bytes at SS:(E)SP + DISPLACEMENT. */
void lift_probe_stack(struct lift *l, int32_t displacement, unsigned size, enum ir_access access);
/* (E)SP += BYTES, flags untouched. */
void lift_adjust_stack(struct lift *l, int32_t bytes);
/* DST op= / op A: an op with the LOCK prefix of the instruction. */
struct ir_op *lift_emit(struct lift *l, enum ir_opcode opcode, unsigned width, struct ir_value dst, struct ir_value a);

#endif

/* Byte emission for x86-64. Encodings: Intel SDM vol. 2, chapter 2.
 *
 * Code is written through one mapping and executed through another (W^X): positions are offsets from the code range's
 * start, the same in both. */
#ifndef DRAGOMAN_BACKEND_EMIT_H
#define DRAGOMAN_BACKEND_EMIT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum host_register {
    RAX, RCX, RDX, RBX, RSP, RBP, RSI, RDI, R8, R9, R10, R11, R12, R13, R14, R15,
    HOST_AH, HOST_CH, HOST_DH, HOST_BH, /* byte operands only; not together with anything that needs a REX prefix */
    NO_REGISTER = 0xff
};

struct emitter {
    uint8_t *writable;  /* address of offset 0 in the writable mapping */
    uint32_t position;  /* offset of the next byte */
    uint32_t end;       /* first offset that may not be written */
    bool overflow;      /* something did not fit; nothing was written behind END */
};

/* A register or a memory operand. */
struct operand_rm {
    bool memory;
    uint8_t reg;          /* !memory */
    uint8_t base, index;  /* host registers or NO_REGISTER */
    uint8_t scale;        /* log2 */
    int32_t displacement;
};

static inline struct operand_rm rm_register(unsigned reg)
{
    return (struct operand_rm){.reg = (uint8_t)reg, .base = NO_REGISTER, .index = NO_REGISTER};
}
static inline struct operand_rm rm_base(unsigned base, int32_t displacement)
{
    return (struct operand_rm){.memory = true, .base = (uint8_t)base, .index = NO_REGISTER, .displacement = displacement};
}
static inline struct operand_rm rm_indexed(unsigned base, unsigned index, unsigned scale, int32_t displacement)
{
    return (struct operand_rm){true, NO_REGISTER, (uint8_t)base, (uint8_t)index, (uint8_t)scale, displacement};
}

void emit_byte(struct emitter *e, unsigned value);
void emit_32(struct emitter *e, uint32_t value);
void emit_64(struct emitter *e, uint64_t value);

#define EMIT_LOCK 0x10000u /* or'ed to the opcode: LOCK prefix */
/* [66] [REX] OPCODE ModRM: OPCODE is one byte, or 0x0Fxx for two. WIDTH 1, 2, 4, 8; width 1 makes no difference to the
 * opcode, which is the byte form's then. REG: host register, or an opcode extension when rm needs one. */
void emit_op(struct emitter *e, unsigned width, unsigned opcode, unsigned reg, struct operand_rm rm);
/* The same with different widths of the register and of rm (MOVZX, MOVSX): the prefix follows REG_WIDTH. */
void emit_op_mixed(struct emitter *e, unsigned reg_width, unsigned rm_width, unsigned opcode, unsigned reg,
                   struct operand_rm rm);
/* Like emit_op with an opcode extension (0..7) instead of a register. */
void emit_op_extension(struct emitter *e, unsigned width, unsigned opcode, unsigned extension, struct operand_rm rm);
/* OPCODE+register without ModRM (BSWAP, PUSH ...). */
void emit_plus_register(struct emitter *e, unsigned width, unsigned opcode, unsigned reg);

/* Arithmetic by number: 0 ADD, 1 OR, 2 ADC, 3 SBB, 4 AND, 5 SUB, 6 XOR, 7 CMP. */
void emit_alu_immediate(struct emitter *e, unsigned width, unsigned number, struct operand_rm rm, int32_t value, bool lock);
void emit_mov(struct emitter *e, unsigned width, unsigned to, unsigned from);
void emit_load(struct emitter *e, unsigned width, unsigned to, struct operand_rm from);
void emit_store(struct emitter *e, unsigned width, struct operand_rm to, unsigned from);
void emit_mov_immediate(struct emitter *e, unsigned width, unsigned to, uint64_t value); /* shortest form, flags kept */
void emit_store_immediate(struct emitter *e, unsigned width, struct operand_rm to, int32_t value);
void emit_lea(struct emitter *e, unsigned width, unsigned to, struct operand_rm address);

/* Jumps and calls to offsets in the code range. */
void emit_jmp(struct emitter *e, uint32_t target);              /* 5 bytes */
void emit_jcc(struct emitter *e, unsigned condition, uint32_t target); /* 6 bytes */
void emit_call(struct emitter *e, uint32_t target);
/* Forward references: return the position of the 32-bit or 8-bit field to give to emit_patch_*(). */
uint32_t emit_jmp_forward(struct emitter *e);
uint32_t emit_jcc_forward(struct emitter *e, unsigned condition);
uint32_t emit_jcc_short(struct emitter *e, unsigned condition);
uint32_t emit_jrcxz_short(struct emitter *e, bool address32);   /* JRCXZ, or JECXZ with the 67 prefix */
void emit_patch(struct emitter *e, uint32_t field, uint32_t target);
void emit_patch_short(struct emitter *e, uint32_t field, uint32_t target);
/* NOPs so that a 32-bit field BYTES from here lies on a 4-byte boundary. */
void emit_align_field(struct emitter *e, unsigned bytes);

enum condition { CC_O, CC_NO, CC_B, CC_AE, CC_E, CC_NE, CC_BE, CC_A, CC_S, CC_NS, CC_P, CC_NP, CC_L, CC_GE, CC_LE, CC_G };

#endif

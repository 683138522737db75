/* From bytes to a decoded instruction in neutral form: Zydis, the cpu model's missing instructions,
 * the rules on LOCK and length.  Both engines lower from this. */
#ifndef DRAGOMAN_CPU_DECODE_H
#define DRAGOMAN_CPU_DECODE_H

#include "cpu/instruction_table.h"

#define INSTRUCTION_MAX_LENGTH 15

enum operand_kind { OPERAND_NONE, OPERAND_GPR, OPERAND_SEGMENT, OPERAND_CONTROL, OPERAND_DEBUG, OPERAND_TEST, OPERAND_X87,
                    OPERAND_MMX, OPERAND_XMM, OPERAND_MEMORY, OPERAND_IMMEDIATE, OPERAND_FAR_POINTER };

enum operand_field { OPERAND_FIELD_OTHER, OPERAND_FIELD_REG, OPERAND_FIELD_RM };

struct operand {
    uint8_t kind;
    uint8_t size;       /* bytes: 1, 2, 4, 6, 8, 10, 16, 28, 108, 512 ...; 0 for LEA-like */
    uint8_t number;     /* register number; 8-bit high registers are 0..3 with high set */
    bool high;          /* AH, CH, DH, BH */
    uint8_t base;       /* memory: GPR number or GPR_ZERO */
    uint8_t index;      /* GPR number or GPR_ZERO */
    uint8_t scale;      /* log2: 0..3 */
    uint8_t segment;    /* effective */
    int64_t value;      /* immediate (sign-extended where the instruction does), displacement, or
                         * the target EIP of a relative branch, wrapped to the operand size */
    uint16_t selector;  /* far pointer: value is the offset */
    bool relative;      /* OPERAND_IMMEDIATE that was a relative branch */
    uint8_t field;      /* OPERAND_FIELD_*: where the encoding has it */
    bool read, written; /* at least in part */
};

struct decoded_instruction {
    uint16_t row;          /* instruction table; ROW_NONE: raises #UD */
    uint8_t length;
    uint8_t operand_size;  /* effective operand size in bytes: 1 for 8-bit forms, 2, 4, 8 */
    uint8_t address_size;  /* 2, 4, 8 */
    bool lock;
    uint8_t repeat;        /* REPEAT_*; only on string instructions */
    uint8_t operand_count; /* explicit and, for implicit ones engines need, hidden operands excluded */
    uint8_t opcode;        /* last opcode byte */
    uint8_t map;           /* 0 one-byte opcodes, 1 0F, 2 0F 38, 3 0F 3A */
    uint8_t mandatory;     /* 66h, F2h, F3h where the prefix is part of the opcode, else 0 */
    uint8_t modrm;
    bool has_modrm;
    struct operand operands[4];
};

enum decode_status {
    DECODE_OK,
    DECODE_UNDEFINED, /* #UD (illegal, LOCK where not allowed, feature missing); length is valid if known */
    DECODE_TOO_LONG,  /* more than 15 bytes: #GP(0) */
    DECODE_MORE       /* LENGTH bytes were not enough */
};

struct decoder {
    ZydisDecoder decoder16, decoder32; /* configured for the cpu model */
    const struct cpu_model *model;
};

void decoder_init(struct decoder *decoder, const struct cpu_model *model);
/* Decodes one instruction at EIP from CODE (LENGTH bytes available, more than 15 are never looked at).
 * CODE32: CS.D. REAL: real or virtual-8086 mode (some instructions are #UD there). */
enum decode_status decode_instruction(const struct decoder *decoder, const uint8_t *code, size_t length, uint32_t eip,
                                      bool code32, bool real, struct decoded_instruction *out);
/* Fills callout arguments (all but the run-time offset). */
void decode_callout_args(const struct decoded_instruction *insn, struct callout_args *args);

#endif

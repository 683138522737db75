/* The lifter: discovers a basic block in guest bytes and turns it into IR.
 *
 * Critical and privileged instructions become callouts (their rows in the instruction table name the C function); what
 * has no IR form is left to the interpreter one instruction at a time (INTERPRET): x87, MMX, SSE, REP strings, BCD and
 * other rare forms. */
#ifndef DRAGOMAN_FRONTEND_LIFT_H
#define DRAGOMAN_FRONTEND_LIFT_H

#include "cpu/decode.h"
#include "cpu/vcpu.h"
#include "ir/ir.h"

/* What a block's ops point to (ir_op.aux); the caller copies it to where it lives as long as the translation. */
struct lift_storage {
    unsigned callout_count, interpreted_count;
    struct callout_args callouts[IR_MAX_INSNS];
    struct decoded_instruction interpreted[IR_MAX_INSNS];
};

struct lift_request {
    const struct decoder *decoder;
    const struct vcpu *cpu;  /* segment bases are not looked at, only limits of CS; mode bits come from MODE */
    uint32_t mode;           /* the mode word the block is keyed by */
    uint32_t eip;
    uint32_t linear;         /* of the first byte */
    uint32_t cs_limit;
    const uint8_t *code;     /* first byte; as many as are available, or as the longest block can have */
    size_t available;        /* bytes up to the end of the page and of the segment */
    unsigned limit;          /* instructions at most, 1..IR_MAX_INSNS */
    bool careful_division;   /* divisions are left to the interpreter, which knows #DE before the host does */
    bool text;               /* disassemble into ir_insn.text */
};

/* Lifts into BLOCK (initialised here). Returns the number of guest bytes lifted; 0: the first instruction runs over
 * the page or the segment, or does not fit, and is the interpreter's. The block ends where the interpreter's does: at
 * the first instruction that ends blocks, at the page's end, or after LIMIT instructions. */
size_t lift_block(const struct lift_request *request, struct ir_block *block, struct lift_storage *storage);

/* For lists: how the lifter deals with a row of the instruction table ("native", "callout", "interpreter" ...). */
const char *lift_describe_row(unsigned row);

#endif

/* What the shapes mean for an op's operands. Private to this room. */
#ifndef DRAGOMAN_IR_OPERANDS_H
#define DRAGOMAN_IR_OPERANDS_H

#include "ir/ir.h"

enum { IR_GUEST_EAX, IR_GUEST_ECX, IR_GUEST_EDX, IR_GUEST_EBX, IR_GUEST_ESI = 6, IR_GUEST_EDI };

static inline unsigned ir_shape(const struct ir_op *op)
{
    return ir_op_table[op->opcode].shape;
}

static inline bool ir_has_dst(const struct ir_op *op)
{
    unsigned shape = ir_shape(op);
    if (shape == IR_SHAPE_FPU) {
        return op->dst.kind != IR_VALUE_NONE;
    }
    return shape != IR_SHAPE_NONE && shape != IR_SHAPE_ADDRESS && shape != IR_SHAPE_READ_A;
}

static inline bool ir_dst_written(const struct ir_op *op)
{
    return ir_has_dst(op) && ir_shape(op) != IR_SHAPE_READ_DST_A;
}

static inline bool ir_dst_read(const struct ir_op *op)
{
    unsigned shape = ir_shape(op);
    return shape == IR_SHAPE_UPDATE || shape == IR_SHAPE_UPDATE_A || shape == IR_SHAPE_UPDATE_A_B ||
           shape == IR_SHAPE_UPDATE_BOTH || shape == IR_SHAPE_READ_DST_A;
}

static inline bool ir_has_a(const struct ir_op *op)
{
    unsigned shape = ir_shape(op);
    if (shape == IR_SHAPE_FPU) {
        return op->a.kind != IR_VALUE_NONE;
    }
    return shape == IR_SHAPE_DST_A || shape == IR_SHAPE_DST_A_B || shape == IR_SHAPE_UPDATE_A ||
           shape == IR_SHAPE_UPDATE_A_B || shape == IR_SHAPE_UPDATE_BOTH || shape == IR_SHAPE_READ_A ||
           shape == IR_SHAPE_READ_DST_A;
}

static inline bool ir_a_written(const struct ir_op *op)
{
    return ir_shape(op) == IR_SHAPE_UPDATE_BOTH;
}

static inline bool ir_has_b(const struct ir_op *op)
{
    return ir_shape(op) == IR_SHAPE_DST_A_B || ir_shape(op) == IR_SHAPE_UPDATE_A_B;
}

static inline bool ir_has_address(const struct ir_op *op)
{
    return ir_shape(op) == IR_SHAPE_ADDRESS || ir_shape(op) == IR_SHAPE_DST_ADDRESS;
}

static inline bool ir_is_shift(const struct ir_op *op)
{
    return ir_op_table[op->opcode].effects & EFFECT_SHIFT;
}

/* SHLD, SHRD: their count is b, that of the other shifts a. */
static inline bool ir_is_double_shift(const struct ir_op *op)
{
    return ir_is_shift(op) && ir_has_b(op);
}

/* Bytes of operand a as it is read. Ops without a width of their own have 32-bit operands. */
static inline unsigned ir_width_of_a(const struct ir_op *op)
{
    if (ir_op_table[op->opcode].effects & EFFECT_NARROW) {
        return op->narrow;
    }
    if (ir_is_shift(op) && !ir_is_double_shift(op)) {
        return 1;
    }
    return op->width ? op->width : 4;
}

static inline unsigned ir_width_of_b(const struct ir_op *op)
{
    return ir_is_double_shift(op) ? 1 : op->width;
}

/* Does OP's write of a temp leave nothing of what was there? A narrow write keeps the rest, except LEA's, which
 * zero-extends. */
static inline bool ir_writes_whole_temp(const struct ir_op *op)
{
    return !ir_dst_read(op) && (op->width >= 4 || op->opcode == IR_LEA || op->opcode == IR_SEGMENT);
}

/* Ops on a segment register, SEGMENT included. */
static inline bool ir_names_segment(const struct ir_op *op)
{
    return op->opcode == IR_SEGMENT || op->opcode == IR_SELECTOR || op->opcode == IR_SET_SELECTOR ||
           op->opcode == IR_CHECK_SELECTOR;
}

static inline bool ir_is_guest(struct ir_value value)
{
    return value.kind == IR_VALUE_GUEST;
}

static inline bool ir_is_temp(struct ir_value value)
{
    return value.kind == IR_VALUE_TEMP;
}

/* Sign-extends VALUE from WIDTH bytes: how constants are kept. */
static inline int32_t ir_sign_extend(uint32_t value, unsigned width)
{
    return width == 1 ? (int8_t)value : width == 2 ? (int16_t)value : (int32_t)value;
}

#endif

/* MOV MOVZX MOVSX LEA XCHG XADD CMPXCHG CMPXCHG8B BSWAP CMOVcc SETcc. */
#include "frontend/lift_private.h"

void lift_mov(struct lift *l)
{
    const struct operand *a = &l->insn->operands[0], *b = &l->insn->operands[1];
    struct ir_value source = lift_source(l, b, a->size);
    struct ir_value destination = lift_destination(l, a, a->size, IR_ACCESS_WRITE);

    ir_emit_dst_a(l->block, IR_MOV, a->size, destination, source);
}

void lift_extend(struct lift *l)
{
    const struct operand *a = &l->insn->operands[0], *b = &l->insn->operands[1];
    enum ir_opcode opcode = l->insn->row == ROW_MOVSX ? IR_MOVSX : IR_MOVZX;
    struct ir_value source = lift_source(l, b, b->size);

    if (a->size == b->size) /* with an operand size prefix: 16 bits from 16 */
        ir_emit_dst_a(l->block, IR_MOV, a->size, lift_gpr(a), source);
    else
        ir_emit_dst_a(l->block, opcode, a->size, lift_gpr(a), source)->narrow = b->size;
}

void lift_lea(struct lift *l)
{
    const struct operand *a = &l->insn->operands[0], *b = &l->insn->operands[1];

    if (b->kind != OPERAND_MEMORY) {
        lift_raise(l, EXC_UD);
    } else if (a->size > l->insn->address_size) { /* 32 bits from a 16-bit address: zero-extended */
        ir_emit_dst_a(l->block, IR_MOV, 4, lift_gpr(a), lift_offset(l, b));
    } else {
        struct ir_op *op = ir_append(l->block, IR_LEA, a->size);

        op->dst = lift_gpr(a);
        op->address = lift_address(l, b);
    }
}

/* ---- exchanges ---- */

/* OPCODE on a register or memory and a register. */
static void exchange(struct lift *l, enum ir_opcode opcode)
{
    const struct operand *a = &l->insn->operands[0], *b = &l->insn->operands[1];

    if (b->kind == OPERAND_MEMORY) { /* XCHG is listed either way round */
        const struct operand *t = a;
        a = b;
        b = t;
    }
    struct ir_value destination = lift_destination(l, a, b->size, IR_ACCESS_UPDATE);
    lift_emit(l, opcode, b->size, destination, lift_gpr(b));
}

void lift_xchg(struct lift *l)
{
    exchange(l, IR_XCHG);
}

void lift_xadd(struct lift *l)
{
    exchange(l, IR_XADD);
}

void lift_cmpxchg(struct lift *l)
{
    /* AH..BH need an encoding without REX, and the accumulator cannot be moved out of the way. */
    if (l->insn->operands[0].high || l->insn->operands[1].high)
        lift_interpret(l);
    else
        exchange(l, IR_CMPXCHG);
}

void lift_cmpxchg8b(struct lift *l)
{
    const struct operand *a = &l->insn->operands[0];

    if (a->kind != OPERAND_MEMORY) {
        lift_raise(l, EXC_UD);
        return;
    }
    lift_probe_operand(l, a, 8, IR_ACCESS_UPDATE);
    lift_emit(l, IR_CMPXCHG8B, 8, ir_mem(), IR_NONE_VALUE);
}

void lift_bswap(struct lift *l)
{
    if (l->insn->operand_size == 4)
        ir_append(l->block, IR_BSWAP, 4)->dst = lift_gpr(&l->insn->operands[0]);
    else
        lift_interpret(l); /* of 16 bits: undefined */
}

/* ---- on conditions: rows are in the order of the condition codes ---- */

static_assert(ROW_CMOVNLE - ROW_CMOVO == 15 && ROW_SETNLE - ROW_SETO == 15, "condition codes");

/* Memory is read whether or not the condition holds (Intel SDM vol. 2, CMOVcc). */
void lift_cmov(struct lift *l)
{
    const struct operand *a = &l->insn->operands[0], *b = &l->insn->operands[1];
    struct ir_value source = lift_source(l, b, a->size);

    ir_emit_dst_a(l->block, IR_CMOV, a->size, lift_gpr(a), source)->condition = (uint8_t)(l->insn->row - ROW_CMOVO);
}

void lift_setcc(struct lift *l)
{
    struct ir_value destination = lift_destination(l, &l->insn->operands[0], 1, IR_ACCESS_WRITE);
    struct ir_op *op = ir_append(l->block, IR_SETCC, 1);

    op->dst = destination;
    op->condition = (uint8_t)(l->insn->row - ROW_SETO);
}

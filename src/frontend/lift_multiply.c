/* MUL IMUL DIV IDIV. */
#include "frontend/lift_private.h"

/* With (E)DX:(E)AX, or AX for bytes. */
static void one_operand(struct lift *l, enum ir_opcode opcode)
{
    const struct operand *a = &l->insn->operands[0];
    struct ir_value source = lift_source(l, a, a->size);

    ir_append(l->block, opcode, a->size)->a = source;
}

void lift_multiply(struct lift *l)
{
    const struct operand *a = &l->insn->operands[0], *b = &l->insn->operands[1];

    if (l->insn->opcode == 0xf6 || l->insn->opcode == 0xf7) {
        one_operand(l, l->insn->row == ROW_MUL ? IR_MUL1 : IR_IMUL1);
        return;
    }
    struct ir_value source = lift_source(l, b, a->size);
    if (l->insn->opcode == 0xaf)
        ir_emit_dst_a(l->block, IR_IMUL, a->size, lift_gpr(a), source);
    else
        ir_emit_dst_a(l->block, IR_IMUL3, a->size, lift_gpr(a), source)->b =
            lift_constant((uint64_t)l->insn->operands[2].value, a->size);
}

void lift_divide(struct lift *l)
{
    if (l->request->careful_division) {
        lift_interpret(l);
        return;
    }
    one_operand(l, l->insn->row == ROW_DIV ? IR_DIV : IR_IDIV);
}

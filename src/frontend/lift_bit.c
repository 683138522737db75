/* BT BTS BTR BTC BSF BSR. */
#include "frontend/lift_private.h"

void lift_bit(struct lift *l)
{
    static const uint8_t opcodes[] = {[ROW_BT - ROW_BT] = IR_BT,
                                      [ROW_BTS - ROW_BT] = IR_BTS,
                                      [ROW_BTR - ROW_BT] = IR_BTR,
                                      [ROW_BTC - ROW_BT] = IR_BTC};
    const struct operand *a = &l->insn->operands[0], *b = &l->insn->operands[1];
    enum ir_access access = l->insn->row == ROW_BT ? IR_ACCESS_READ : IR_ACCESS_UPDATE;
    unsigned size = l->insn->operand_size;

    /* A register counts bits from the operand on, backwards too: dividing it would cost the flags that the instruction
     * leaves alone. An immediate stays within the operand. */
    if (a->kind == OPERAND_MEMORY && b->kind == OPERAND_GPR) {
        lift_interpret(l);
        return;
    }
    struct ir_value bit = b->kind == OPERAND_GPR ? lift_gpr(b) : ir_const((int32_t)(b->value & (8 * size - 1)));
    struct ir_value destination = lift_destination(l, a, size, access);
    lift_emit(l, opcodes[l->insn->row - ROW_BT], size, destination, bit);
}

/* A zero source leaves the destination as it was, like the host. */
void lift_bit_scan(struct lift *l)
{
    const struct operand *a = &l->insn->operands[0], *b = &l->insn->operands[1];
    struct ir_value source = lift_source(l, b, a->size);

    ir_emit_dst_a(l->block, l->insn->row == ROW_BSR ? IR_BSR : IR_BSF, a->size, lift_gpr(a), source);
}

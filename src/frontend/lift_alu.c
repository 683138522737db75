/* ADD OR ADC SBB AND SUB XOR CMP TEST INC DEC NOT NEG. */
#include "frontend/lift_private.h"

static void lift_binary(struct lift *l, enum ir_opcode opcode, bool compares)
{
    const struct operand *a = &l->insn->operands[0], *b = &l->insn->operands[1];
    enum ir_access access = compares ? IR_ACCESS_READ : IR_ACCESS_UPDATE;
    struct ir_value source, destination;

    /* One of the two at most is in memory. */
    source = lift_source(l, b, a->size);
    destination = lift_destination(l, a, a->size, access);
    lift_emit(l, opcode, a->size, destination, source);
}

void lift_alu(struct lift *l)
{
    static const uint8_t opcodes[] = {
        [ROW_ADD - ROW_ADD] = IR_ADD, [ROW_OR - ROW_ADD] = IR_OR,   [ROW_ADC - ROW_ADD] = IR_ADC,
        [ROW_SBB - ROW_ADD] = IR_SBB, [ROW_AND - ROW_ADD] = IR_AND, [ROW_SUB - ROW_ADD] = IR_SUB,
        [ROW_XOR - ROW_ADD] = IR_XOR, [ROW_CMP - ROW_ADD] = IR_CMP,
    };

    lift_binary(l, opcodes[l->insn->row - ROW_ADD], l->insn->row == ROW_CMP);
}

void lift_test(struct lift *l)
{
    lift_binary(l, IR_TEST, true);
}

void lift_unary(struct lift *l)
{
    static const uint8_t opcodes[] = {[ROW_INC - ROW_INC] = IR_INC,
                                      [ROW_DEC - ROW_INC] = IR_DEC,
                                      [ROW_NOT - ROW_INC] = IR_NOT,
                                      [ROW_NEG - ROW_INC] = IR_NEG};
    const struct operand *a = &l->insn->operands[0];
    struct ir_value destination = lift_destination(l, a, a->size, IR_ACCESS_UPDATE);

    lift_emit(l, opcodes[l->insn->row - ROW_INC], a->size, destination, IR_NONE_VALUE);
}

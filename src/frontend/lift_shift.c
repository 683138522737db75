/* SHL SHR SAR ROL ROR RCL RCR SHLD SHRD. */
#include "frontend/lift_private.h"

/* COUNT: the operand that counts, NULL for the forms that shift by one. False: by zero, which changes nothing. */
static bool count_of(const struct operand *count, struct ir_value *value)
{
    if (count && count->kind == OPERAND_GPR) {
        *value = ir_guest(GPR_CX);
        return true;
    }
    *value = ir_const(count ? (int32_t)(count->value & 31) : 1);
    return value->value != 0;
}

/* Memory is nevertheless read and written back; registers stay. */
static void by_zero(struct lift *l)
{
    if (l->insn->operands[0].kind == OPERAND_MEMORY)
        lift_interpret(l);
}

void lift_shift(struct lift *l)
{
    static const uint8_t opcodes[] = {
        [ROW_SHL - ROW_SHL] = IR_SHL, [ROW_SHR - ROW_SHL] = IR_SHR, [ROW_SAR - ROW_SHL] = IR_SAR,
        [ROW_ROL - ROW_SHL] = IR_ROL, [ROW_ROR - ROW_SHL] = IR_ROR, [ROW_RCL - ROW_SHL] = IR_RCL,
        [ROW_RCR - ROW_SHL] = IR_RCR,
    };
    const struct operand *a = &l->insn->operands[0];
    struct ir_value count;

    if (!count_of(l->insn->operand_count > 1 ? &l->insn->operands[1] : NULL, &count)) {
        by_zero(l);
        return;
    }
    struct ir_value destination = lift_destination(l, a, a->size, IR_ACCESS_UPDATE);
    ir_emit_dst_a(l->block, opcodes[l->insn->row - ROW_SHL], a->size, destination, count);
}

void lift_rotate(struct lift *l)
{
    lift_shift(l); /* rows SHL .. RCR are consecutive */
}

void lift_shift_double(struct lift *l)
{
    const struct operand *a = &l->insn->operands[0];
    struct ir_value count;

    if (!count_of(&l->insn->operands[2], &count)) {
        by_zero(l);
        return;
    }
    struct ir_value destination = lift_destination(l, a, a->size, IR_ACCESS_UPDATE);
    ir_emit_dst_a(l->block, l->insn->row == ROW_SHRD ? IR_SHRD : IR_SHLD, a->size, destination,
                  lift_gpr(&l->insn->operands[1]))
        ->b = count;
}

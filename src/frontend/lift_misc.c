/* Flag instructions, XLAT, conversions, NOP; BCD and SALC are the interpreter's. */
#include "frontend/lift_private.h"

void lift_flag(struct lift *l)
{
    static const uint8_t opcodes[] = {[ROW_CLC - ROW_CLC] = IR_CLC,
                                      [ROW_STC - ROW_CLC] = IR_STC,
                                      [ROW_CMC - ROW_CLC] = IR_CMC,
                                      [ROW_CLD - ROW_CLC] = IR_CLD,
                                      [ROW_STD - ROW_CLC] = IR_STD};

    ir_append(l->block, opcodes[l->insn->row - ROW_CLC], 0);
}

void lift_lahf(struct lift *l)
{
    ir_append(l->block, IR_LAHF, 0);
}
void lift_sahf(struct lift *l)
{
    ir_append(l->block, IR_SAHF, 0);
}

void lift_bcd(struct lift *l)
{
    lift_interpret(l);
}
void lift_salc(struct lift *l)
{
    lift_interpret(l);
}

void lift_xlat(struct lift *l)
{
    struct ir_address address = lift_based(GPR_BX, 0);
    unsigned segment = SEG_DS;

    for (unsigned i = 0; i < l->insn->operand_count; i++)
        if (l->insn->operands[i].kind == OPERAND_MEMORY)
            segment = l->insn->operands[i].segment;
    address.index = lift_zero_extended(l, ir_guest(GPR_AX), 1);
    lift_probe(l, segment, address, l->insn->address_size, 1, IR_ACCESS_READ);
    ir_emit_dst_a(l->block, IR_MOV, 1, ir_guest(GPR_AX), ir_mem());
}

/* CBW CWDE CWD CDQ */
void lift_convert(struct lift *l)
{
    unsigned row = l->insn->row, width = row == ROW_CBW || row == ROW_CWD ? 2 : 4;

    if (row == ROW_CWD || row == ROW_CDQ)
        ir_append(l->block, IR_CDQ, width);
    else
        ir_emit_dst_a(l->block, IR_MOVSX, width, ir_guest(GPR_AX), ir_guest(GPR_AX))->narrow = (uint8_t)(width / 2);
}

void lift_nop(struct lift *l)
{
    (void)l;
}

/* Dead code: definitions of temps that nobody uses, and moves of a register to itself.
 *
 * Guest registers are never dead: every access may fault, and then the guest sees them all.  What touches memory stays,
 * since a device may be there; so does what may fault. */
#include "ir/passes.h"

static bool has_no_effect_but_dst(const struct ir_op *op)
{
    switch (op->opcode) {
    case IR_MOV:
    case IR_MOVZX:
    case IR_MOVSX:
    case IR_CMOV:
        return op->a.kind != IR_VALUE_MEM;
    case IR_LEA:
    case IR_BSWAP:
    case IR_NOT:
    case IR_SETCC:
        return true;
    default:
        return false;
    }
}

/* Bits 63:32 of a guest register are zero anyway, so that even a 32-bit move to itself does nothing. */
static bool moves_to_itself(const struct ir_op *op)
{
    return (op->opcode == IR_MOV || op->opcode == IR_XCHG) && op->dst.kind != IR_VALUE_MEM && ir_same(op->dst, op->a);
}

static void mark_live(bool *live, struct ir_value value)
{
    if (ir_is_temp(value)) {
        live[value.number] = true;
    }
}

void ir_pass_dead_code(struct ir_block *block, const struct ir_host_flags *host)
{
    bool live[IR_MAX_TEMPS] = {false}, removed[IR_MAX_OPS];
    bool any = false;
    for (unsigned i = block->op_count; i-- > 0;) {
        const struct ir_op *op = &block->ops[i];
        bool to_temp = ir_dst_written(op) && ir_is_temp(op->dst);
        removed[i] = moves_to_itself(op) || (to_temp && !live[op->dst.number] && has_no_effect_but_dst(op));
        if (removed[i]) {
            any = true;
            continue;
        }
        if (to_temp && ir_writes_whole_temp(op)) {
            live[op->dst.number] = false;
        }
        if (ir_dst_read(op)) {
            mark_live(live, op->dst);
        }
        if (ir_has_a(op)) {
            mark_live(live, op->a);
        }
        if (ir_has_b(op)) {
            mark_live(live, op->b);
        }
        if (ir_has_address(op)) {
            mark_live(live, op->address.base);
            mark_live(live, op->address.index);
        }
    }
    if (any) {
        ir_remove_ops(block, removed);
    }
}

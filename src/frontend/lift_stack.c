/* PUSH POP LEAVE; PUSHA and POPA complete in part when they fault, which is the interpreter's. (ENTER is a callout.) */
#include "frontend/lift_private.h"

void lift_push(struct lift *l)
{
    const struct operand *a = &l->insn->operands[0];
    unsigned size = l->insn->operand_size == 4 ? 4 : 2;
    struct ir_value value = lift_source(l, a, size);

    /* From memory: read, by an address formed before (E)SP moves, then written. */
    if (a->kind == OPERAND_MEMORY)
        value = lift_zero_extended(l, value, size);
    lift_probe_stack(l, -(int32_t)size, size, IR_ACCESS_WRITE);
    ir_emit_dst_a(l->block, IR_MOV, size, ir_mem(), value); /* PUSH ESP: the value from before */
    lift_adjust_stack(l, -(int32_t)size);
}

static void pop_register(struct lift *l, struct ir_value destination, unsigned size)
{
    bool pointer = destination.number == GPR_SP;

    lift_probe_stack(l, 0, size, IR_ACCESS_READ);
    if (!pointer) {
        ir_emit_dst_a(l->block, IR_MOV, size, destination, ir_mem());
        lift_adjust_stack(l, (int32_t)size);
    } else if (size >= lift_stack_width(l)) { /* the popped value wins */
        ir_emit_dst_a(l->block, IR_MOV, size, destination, ir_mem());
    } else { /* POP SP from a 32-bit stack: the increment may carry into the upper half */
        struct ir_value temp = lift_zero_extended(l, ir_mem(), size);

        lift_adjust_stack(l, (int32_t)size);
        ir_emit_dst_a(l->block, IR_MOV, size, destination, temp);
    }
}

void lift_pop(struct lift *l)
{
    const struct operand *a = &l->insn->operands[0];
    unsigned size = l->insn->operand_size == 4 ? 4 : 2;

    if (a->kind == OPERAND_GPR) {
        pop_register(l, lift_gpr(a), size);
        return;
    }
    /* An address based on ESP uses ESP as it is after the pop (Intel SDM vol. 2, POP). */
    bool based = a->base == GPR_SP;
    if (based && lift_stack_width(l) == 2) { /* only SP counts up, but all of ESP is the base */
        lift_interpret(l);
        return;
    }
    struct ir_address address = lift_address(l, a);
    if (based)
        address.displacement = (int32_t)((uint32_t)address.displacement + size);
    lift_probe_stack(l, 0, size, IR_ACCESS_READ);
    struct ir_value temp = lift_zero_extended(l, ir_mem(), size);
    lift_probe(l, a->segment, address, l->insn->address_size, size, IR_ACCESS_WRITE);
    ir_emit_dst_a(l->block, IR_MOV, size, ir_mem(), temp);
    lift_adjust_stack(l, (int32_t)size);
}

void lift_pusha(struct lift *l)
{
    lift_interpret(l);
}
void lift_popa(struct lift *l)
{
    lift_interpret(l);
}

/* (E)SP = (E)BP, by the stack's width; pop (E)BP, by the operand's. */
void lift_leave(struct lift *l)
{
    unsigned size = l->insn->operand_size == 4 ? 4 : 2, width = lift_stack_width(l);

    lift_probe(l, SEG_SS, lift_based(GPR_BP, 0), width, size, IR_ACCESS_READ);
    struct ir_op *op = ir_append(l->block, IR_LEA, width);
    op->dst = ir_guest(GPR_SP);
    op->address = lift_based(GPR_BP, (int32_t)size);
    ir_emit_dst_a(l->block, IR_MOV, size, ir_guest(GPR_BP), ir_mem());
}

/* Near JMP CALL RET Jcc LOOP JCXZ. */
#include "frontend/lift_private.h"

/* Beyond the segment's limit: #GP(0) if it is taken, which is left to the interpreter. */
static bool is_beyond(const struct lift *l, uint32_t target)
{
    return target > l->request->cs_limit;
}

static uint32_t direct_target(const struct lift *l)
{
    return (uint32_t)l->insn->operands[0].value;
}

static unsigned branch_size(const struct lift *l)
{
    return l->insn->operand_size == 4 ? 4 : 2;
}

/* TARGET (of 16-bit operand size: zero-extended) need not be looked at in a flat code segment, and 16 bits are within
 * one of 64 KiB. */
static void check_target(struct lift *l, struct ir_value target)
{
    unsigned shape = MODE_SHAPE(l->request->mode, SEG_CS);

    if (shape == SHAPE_FLAT || (shape == SHAPE_64K && branch_size(l) == 2))
        return;
    ir_append(l->block, IR_CHECK_TARGET, 0)->a = target;
}

static void exit_indirect(struct lift *l, struct ir_value target)
{
    ir_append(l->block, IR_EXIT_INDIRECT, 0)->a = target;
    l->ended = true;
}

/* The target of an indirect JMP or CALL; a temp if it is not a whole register that stays. */
static struct ir_value indirect_target(struct lift *l)
{
    const struct operand *a = &l->insn->operands[0];
    struct ir_value target = lift_source(l, a, branch_size(l));

    if (a->kind == OPERAND_GPR && branch_size(l) == 4 && a->number != GPR_SP)
        return target;
    return lift_zero_extended(l, target, branch_size(l));
}

/* ---- jumps ---- */

void lift_jump(struct lift *l)
{
    if (l->insn->operands[0].kind != OPERAND_IMMEDIATE) {
        struct ir_value target = indirect_target(l);

        check_target(l, target);
        exit_indirect(l, target);
    } else if (is_beyond(l, direct_target(l))) {
        lift_interpret(l);
    } else {
        lift_exit(l, direct_target(l));
    }
}

static_assert(ROW_JNLE - ROW_JO == 15, "rows are in the order of the condition codes");

void lift_jcc(struct lift *l)
{
    if (is_beyond(l, direct_target(l))) {
        lift_interpret(l);
        return;
    }
    struct ir_op *op = ir_append(l->block, IR_EXIT_IF, 0);
    op->condition = (uint8_t)(l->insn->row - ROW_JO);
    op->link = 1;
    lift_set_link(l, 1, direct_target(l));
    lift_exit(l, l->next);
}

/* The counter's width is the address size. */
void lift_loop(struct lift *l)
{
    static const uint8_t kinds[] = {
        [ROW_JCXZ - ROW_JCXZ] = IR_LOOP_COUNTER_ZERO,
        [ROW_JECXZ - ROW_JCXZ] = IR_LOOP_COUNTER_ZERO,
        [ROW_LOOP - ROW_JCXZ] = IR_LOOP_COUNT,
        [ROW_LOOPE - ROW_JCXZ] = IR_LOOP_WHILE_ZERO,
        [ROW_LOOPNE - ROW_JCXZ] = IR_LOOP_WHILE_NOT_ZERO,
    };

    if (is_beyond(l, direct_target(l))) {
        lift_interpret(l);
        return;
    }
    struct ir_op *op = ir_append(l->block, IR_EXIT_LOOP, l->insn->address_size);
    op->loop = kinds[l->insn->row - ROW_JCXZ];
    op->link = 1;
    lift_set_link(l, 1, direct_target(l));
    lift_exit(l, l->next);
}

/* ---- CALL: the stack's faults come before the target's, (E)SP moves last ---- */

/* What a direct call leads to begins by giving the return address up: POP, ADD (E)SP, or MOV [ESP], r32 as in the
 * sequences that keep indirect branches from being predicted. A guess from bytes nearby. */
static bool gives_up_return(const struct lift *l, uint32_t target)
{
    size_t at = target - l->request->eip;

    if (at > IR_MAX_INSNS * INSTRUCTION_MAX_LENGTH - 3 || at + 3 > l->request->available)
        return false;
    const uint8_t *code = l->request->code + at;
    return (code[0] & 0xf8) == 0x58 || (code[0] == 0x83 && code[1] == 0xc4) ||
           (code[0] == 0x89 && (code[1] & 0xc7) == 0x04 && code[2] == 0x24);
}

/* The op appended last leaves for a procedure that will return to behind this instruction. Not so a call of what stands
 * there, which wants to know its address. */
static void expect_return(struct lift *l)
{
    struct ir_op *op = &l->block->ops[l->block->op_count - 1];

    if (op->opcode == IR_EXIT && (l->block->links[0].eip == l->next || gives_up_return(l, l->block->links[0].eip)))
        return;
    op->branch = IR_BRANCH_CALL;
    lift_set_link(l, 1, l->next);
}

/* Has the instruction before this RET, in the same block, put the address there that it goes to? Then it is a jump. */
static bool makes_its_target(const struct lift *l)
{
    const struct ir_block *block = l->block;

    for (unsigned i = 0; i < block->op_count; i++) {
        const struct ir_op *op = &block->ops[i];

        if (op->insn + 2u == block->insn_count && op->opcode == IR_PROBE && op->access != IR_ACCESS_READ &&
            op->address.base.kind == IR_VALUE_GUEST && op->address.base.number == GPR_SP)
            return true;
    }
    return false;
}

static void store_return_address(struct lift *l)
{
    unsigned size = branch_size(l);

    ir_emit_dst_a(l->block, IR_MOV, size, ir_mem(), lift_constant(l->next, size));
    lift_adjust_stack(l, -(int32_t)size);
}

void lift_call(struct lift *l)
{
    int32_t size = (int32_t)branch_size(l);

    if (l->insn->operands[0].kind == OPERAND_IMMEDIATE) {
        if (is_beyond(l, direct_target(l))) {
            lift_interpret(l);
            return;
        }
        lift_probe_stack(l, -size, (unsigned)size, IR_ACCESS_WRITE);
        store_return_address(l);
        lift_exit(l, direct_target(l));
        expect_return(l);
        return;
    }
    struct ir_value target = indirect_target(l);
    lift_probe_stack(l, -size, (unsigned)size, IR_ACCESS_WRITE);
    check_target(l, target);
    store_return_address(l);
    exit_indirect(l, target);
    expect_return(l);
}

void lift_ret(struct lift *l)
{
    unsigned size = branch_size(l);
    uint32_t parameters = l->insn->operand_count ? (uint16_t)l->insn->operands[0].value : 0;

    lift_probe_stack(l, 0, size, IR_ACCESS_READ);
    struct ir_value target = lift_zero_extended(l, ir_mem(), size);
    check_target(l, target);
    lift_adjust_stack(l, (int32_t)(size + parameters));
    bool poll = l->behind_sti; /* which a return does not do */
    bool jump = makes_its_target(l);
    exit_indirect(l, target);
    if (!poll && !jump)
        l->block->ops[l->block->op_count - 1].branch = IR_BRANCH_RETURN;
}

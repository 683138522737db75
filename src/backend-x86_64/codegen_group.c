/* Probe sharing: several accesses through one register, all within a short range, cost one TLB lookup.
 *
 * A group is a run of integer PROBEs at constant offsets from one guest register (which constants may move on the way, as
 * pushes and pops do) with nothing in between that could change what the TLB says: no call, no exit, no other probe.  Its
 * first PROBE proves for the whole range that it lies in one page and has an entry that allows all of it; r9 points to its
 * lowest byte from then on.  If that does not hold, the ops of the group are emitted once more out of line, each probing
 * for itself, so that faults, devices and what else there is stay exact. */
#include "backend-x86_64/codegen_private.h"

#include <string.h>

#define MAX_RANGE 256

static bool may_join(const struct ir_block *block, unsigned index)
{
    const struct ir_op *op = &block->ops[index];

    if (op->opcode != IR_PROBE || op->probe != IR_PROBE_INTEGER || op->address.base.kind != IR_VALUE_GUEST ||
        op->address.index.kind != IR_VALUE_NONE)
        return false;
    for (unsigned i = index + 1; i < block->op_count && block->ops[i].opcode != IR_PROBE; i++) {
        if (block->ops[i].insn != op->insn)
            break;
        /* A locked access must not cross a cache line, which only alignment proves. */
        if (uses_mem(&block->ops[i]) && (block->ops[i].lock || block->ops[i].opcode == IR_XCHG))
            return false;
    }
    return true;
}

/* What OP adds to register NUMBER: true if it is a constant (0 if it leaves it alone). */
static bool constant_step(const struct ir_op *op, unsigned number, int64_t *step)
{
    *step = 0;
    if (!ir_writes_guest(op, number))
        return true;
    if (op->width != 4 || op->dst.kind != IR_VALUE_GUEST || op->dst.number != number)
        return false;
    switch (op->opcode) {
    case IR_LEA:
        *step = op->address.displacement;
        return op->address.base.kind == IR_VALUE_GUEST && op->address.base.number == number &&
               op->address.index.kind == IR_VALUE_NONE;
    case IR_ADD:
    case IR_SUB:
        *step = op->opcode == IR_ADD ? op->a.value : -(int64_t)op->a.value;
        return op->a.kind == IR_VALUE_CONST && op->a.value > -MAX_RANGE && op->a.value < MAX_RANGE;
    default:
        return false;
    }
}

static unsigned last_use(const struct ir_block *block, unsigned probe)
{
    unsigned last = probe;

    for (unsigned i = probe + 1; i < block->op_count && block->ops[i].insn == block->ops[probe].insn; i++) {
        if (block->ops[i].opcode == IR_PROBE)
            break;
        if (uses_mem(&block->ops[i]))
            last = i;
    }
    return last;
}

/* The group that begins at op FIRST; returns its number of members. */
static unsigned find_group(struct generator *g, unsigned first, struct probe_group *group)
{
    const struct ir_block *block = g->block;
    unsigned number = block->ops[first].address.base.number, members = 0;
    int64_t moved = 0, low = 0, high = 0; /* displacements may be anything: no sum may wrap */

    memset(group, 0, sizeof *group);
    group->first = (uint16_t)first;
    for (unsigned i = first; i < block->op_count; i++) {
        const struct ir_op *op = &block->ops[i];
        uint16_t effects = ir_op_table[op->opcode].effects;
        int64_t step;

        if (op->opcode == IR_PROBE) {
            if (!may_join(block, i) || op->address.base.number != number)
                break;
            int64_t offset = moved + op->address.displacement;
            int64_t new_low = !members || offset < low ? offset : low;
            int64_t new_high = !members || offset + op->size > high ? offset + op->size : high;

            if (new_high - new_low > MAX_RANGE)
                break;
            low = new_low;
            high = new_high;
            group->write |= op->access != IR_ACCESS_READ;
            g->offset_in_group[i] = (int16_t)offset;
            group->last = (uint16_t)last_use(block, i);
            members++;
        } else if (effects & (EFFECT_CALL | EFFECT_EXIT | EFFECT_MAY_FAULT)) {
            break;
        }
        if (!constant_step(op, number, &step))
            break;
        moved += step;
        if (moved < -4 * MAX_RANGE || moved > 4 * MAX_RANGE)
            break;
    }
    group->low = (int32_t)low; /* addresses are modulo 2^32 */
    group->range = (uint16_t)(high - low);
    return members;
}

void find_groups(struct generator *g)
{
    const struct ir_block *block = g->block;

    memset(g->group_of, 0, block->op_count * sizeof g->group_of[0]);
    g->group_count = 0;
    if (block->mode & MODE_AC) /* each access may be misaligned, and that is a fault */
        return;
    for (unsigned i = 0; i < block->op_count; i++) {
        struct probe_group *group = &g->groups[g->group_count];

        if (g->group_count == MAX_GROUPS || !may_join(block, i) || find_group(g, i, group) < 2)
            continue;
        g->group_count++;
        for (unsigned k = i; k <= group->last; k++) {
            if (block->ops[k].opcode == IR_PROBE)
                g->offset_in_group[k] = (int16_t)(g->offset_in_group[k] - (int16_t)group->low);
            g->group_of[k] = (uint8_t)g->group_count;
        }
        i = group->last;
    }
}

/* A PROBE that belongs to a group: nothing but to say where its operand is; the first one looks it up for all. */
void emit_group_probe(struct generator *g, const struct ir_op *op)
{
    struct emitter *e = g->e;
    const struct probe_group *group = &g->groups[g->group_of[g->index] - 1];

    g->linear = R9;
    g->in_group = true;
    g->group_offset = g->offset_in_group[g->index];
    if (group->first != g->index)
        return;
    struct tail *tail = add_tail(g, TAIL_GROUP);
    if (!tail)
        return;
    emit_lea(e, 4, R8, rm_base(register_of(g, op->address.base), group->low));
    emit_mov(e, 4, R9, R8);
    emit_alu_immediate(e, 4, 4, rm_register(R9), PAGE_MASK, false);
    emit_alu_immediate(e, 4, 7, rm_register(R9), (int32_t)(PAGE_SIZE - group->range), false);
    tail->jumps[tail->jump_count++] = emit_jcc_forward(e, CC_A);
    emit_mov(e, 4, R9, R8);
    emit_op_extension(e, 4, 0xc1, 5, rm_register(R9)); /* shr */
    emit_byte(e, PAGE_SHIFT);
    emit_load(e, 8, R9, rm_indexed(group->write ? R12 : R13, R9, 3, 0));
    emit_op(e, 8, 0x85, R9, rm_register(R9));
    tail->jumps[tail->jump_count++] = emit_jcc_forward(e, CC_E);
    emit_op(e, 8, 0x01, R8, rm_register(R9)); /* add */
}

/* Out of line: the whole group, each access for itself. */
void emit_tail_group(struct generator *g, const struct tail *tail)
{
    const struct probe_group *group = &g->groups[g->group_of[tail->op] - 1];
    struct fpu_point after = g->fpu;

    g->fpu = tail->fpu;
    g->apart = true;
    for (unsigned i = group->first; i <= group->last && !g->failed; i++) {
        g->index = i;
        emit_one(g, &g->block->ops[i]);
        g->end_apart[i] = g->e->position;
    }
    g->apart = false;
    g->fpu = after;
    emit_jmp(g->e, g->op_end[group->last]);
}

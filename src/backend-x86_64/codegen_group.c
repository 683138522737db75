/* Probe sharing: accesses at constant offsets from a few general registers, or sums of two, or at constant addresses, cost
 * one TLB lookup for each such neighbourhood.
 *
 * A group is a run of PROBEs (constants may move their registers on the way, as pushes and pops do) with nothing in between
 * that could change what the TLB says: no call, no exit, no other probe.  Its first PROBE proves for each of the group's
 * ranges that it lies in one page and has an entry that allows all of it; a host register of its own points to the range's
 * lowest byte from then on.  If that does not hold, the ops of the group are emitted once more out of line, each probing
 * for itself, so that faults, devices and what else there is stay exact. */
#include "backend-x86_64/codegen_private.h"

#include <string.h>

#define MAX_RANGE 256

static const uint8_t range_registers[MAX_GROUP_RANGES] = {R9, R10, R11};

static bool may_join(const struct ir_block *block, unsigned index)
{
    const struct ir_op *op = &block->ops[index];

    if (op->opcode != IR_PROBE || op->address.base.kind == IR_VALUE_TEMP || op->address.index.kind == IR_VALUE_TEMP)
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

/* ---- finding ---- */

/* Ops that name a temp, or that one lives across: there r10 and r11 are not to be had. */
static void find_busy(const struct ir_block *block, bool *busy)
{
    uint16_t first[IR_MAX_TEMPS], last[IR_MAX_TEMPS];

    memset(busy, 0, block->op_count * sizeof busy[0]);
    memset(first, 0xff, sizeof first);
    for (unsigned i = 0; i < block->op_count; i++) {
        const struct ir_op *op = &block->ops[i];
        const struct ir_value values[] = {op->dst, op->a, op->b, op->address.base, op->address.index};

        for (unsigned k = 0; k < sizeof values / sizeof values[0]; k++) {
            if (values[k].kind != IR_VALUE_TEMP)
                continue;
            if (first[values[k].number] == 0xffff)
                first[values[k].number] = (uint16_t)i;
            last[values[k].number] = (uint16_t)i;
        }
    }
    for (unsigned t = 0; t < block->temp_count; t++)
        for (unsigned i = first[t]; first[t] != 0xffff && i <= last[t]; i++)
            busy[i] = true;
}

/* Where the registers are, seen from the group's beginning. */
struct movement {
    int64_t moved[NO_BASE + 1]; /* displacements may be anything: no sum may wrap */
    bool lost[NO_BASE + 1];
};

static void follow(struct movement *m, const struct ir_op *op)
{
    for (unsigned number = 0; number < NO_BASE; number++) {
        int64_t step;

        if (!constant_step(op, number, &step) || m->moved[number] + step < -4 * MAX_RANGE ||
            m->moved[number] + step > 4 * MAX_RANGE)
            m->lost[number] = true;
        else
            m->moved[number] += step;
    }
}

static unsigned register_number(struct ir_value value)
{
    return value.kind == IR_VALUE_GUEST ? value.number : NO_BASE;
}

static bool is_lost(const struct movement *m, const struct ir_address *a)
{
    return m->lost[register_number(a->base)] || m->lost[register_number(a->index)];
}

/* From what the address's registers were as the group began; of a constant address the address itself. */
static int64_t offset_of(const struct movement *m, const struct ir_address *a)
{
    unsigned base = register_number(a->base), index = register_number(a->index);

    if (base == NO_BASE && index == NO_BASE)
        return (uint32_t)a->displacement;
    return m->moved[base] + m->moved[index] * (1 << a->scale) + a->displacement;
}

/* 16-byte operands that must be aligned are so together or not at all. */
static bool agrees(const struct probe_range *range, const struct ir_op *op, int64_t offset)
{
    if (op->probe != IR_PROBE_FPU_ALIGNED || range->aligned == NOT_ALIGNED)
        return true;
    return range->aligned == (offset & 15);
}

/* The range that OP, at OFFSET from what its registers were as the group began, is in or may begin; MAXIMUM: of ranges. */
static struct probe_range *find_range(struct probe_group *group, const struct ir_op *op, int64_t offset, unsigned maximum)
{
    unsigned base = register_number(op->address.base), index = register_number(op->address.index);
    bool constant = base == NO_BASE && index == NO_BASE;
    bool misaligned = op->probe == IR_PROBE_FPU_ALIGNED && (offset & 15), in_page = (offset & PAGE_MASK) + op->size <= PAGE_SIZE;

    if (constant && (misaligned || !in_page)) /* for certain */
        return NULL;
    for (unsigned k = 0; k < group->range_count; k++) {
        struct probe_range *range = &group->ranges[k];
        int64_t low = offset < range->low ? offset : range->low;
        int64_t high = offset + op->size > range->high ? offset + op->size : range->high;

        if (range->base != base || range->index != index || (index != NO_BASE && range->scale != op->address.scale) ||
            high - low > MAX_RANGE || !agrees(range, op, offset) ||
            (constant && (uint64_t)low >> PAGE_SHIFT != (uint64_t)(high - 1) >> PAGE_SHIFT))
            continue;
        range->low = low;
        range->high = high;
        return range;
    }
    if (group->range_count == maximum)
        return NULL;
    struct probe_range *range = &group->ranges[group->range_count++];
    *range = (struct probe_range){.base = (uint8_t)base,
                                  .index = (uint8_t)index,
                                  .scale = op->address.scale,
                                  .low = offset, .high = offset + op->size, .aligned = NOT_ALIGNED};
    return range;
}

/* The group that begins at op FIRST: of all its beginnings the one that saves most lookups. Returns how many. */
static unsigned find_group(struct generator *g, unsigned first, const bool *busy, struct probe_group *best)
{
    const struct ir_block *block = g->block;
    struct probe_group group = {.first = (uint16_t)first};
    struct movement m = {0};
    unsigned members = 0, saved = 0, maximum = MAX_GROUP_RANGES;

    for (unsigned i = first; i < block->op_count; i++) {
        const struct ir_op *op = &block->ops[i];

        if (busy[i]) {
            if (group.range_count > 1)
                break;
            maximum = 1;
        }
        if (op->opcode == IR_PROBE) {
            if (!may_join(block, i) || is_lost(&m, &op->address))
                break;
            int64_t offset = offset_of(&m, &op->address);
            struct probe_range *range = find_range(&group, op, offset, maximum);
            if (!range)
                break;
            range->write |= op->access != IR_ACCESS_READ;
            if (op->probe == IR_PROBE_FPU_ALIGNED)
                range->aligned = (uint8_t)(offset & 15);
            g->range_of[i] = (uint8_t)(range - group.ranges);
            g->offset_in_group[i] = offset;
            group.last = (uint16_t)last_use(block, i);
            if (++members - group.range_count > saved) {
                saved = members - group.range_count;
                *best = group;
            }
        } else if (ir_op_table[op->opcode].effects & (EFFECT_CALL | EFFECT_EXIT | EFFECT_MAY_FAULT)) {
            break;
        }
        follow(&m, op);
    }
    return saved;
}

void find_groups(struct generator *g)
{
    const struct ir_block *block = g->block;
    bool busy[IR_MAX_OPS];

    memset(g->group_of, 0, block->op_count * sizeof g->group_of[0]);
    g->group_count = 0;
    if (block->mode & MODE_AC) /* each access may be misaligned, and that is a fault */
        return;
    find_busy(block, busy);
    for (unsigned i = 0; i < block->op_count; i++) {
        struct probe_group *group = &g->groups[g->group_count];

        if (g->group_count == MAX_GROUPS || !may_join(block, i) || !find_group(g, i, busy, group))
            continue;
        g->group_count++;
        for (unsigned k = i; k <= group->last; k++) {
            if (block->ops[k].opcode == IR_PROBE)
                g->offset_in_group[k] -= group->ranges[g->range_of[k]].low;
            g->group_of[k] = (uint8_t)g->group_count;
        }
        i = group->last;
    }
}

/* ---- code ---- */

static void leave_if(struct generator *g, struct tail *tail, enum condition condition)
{
    tail->jumps[tail->jump_count++] = emit_jcc_forward(g->e, condition);
}

/* A range at a constant address: all but the entry is known. */
static void emit_constant_range(struct generator *g, const struct probe_range *range, unsigned to, struct tail *tail)
{
    unsigned table = range->write ? R12 : R13;

    emit_load(g->e, 8, to, rm_base(table, (int32_t)((uint32_t)range->low >> PAGE_SHIFT) * 8));
    emit_op(g->e, 8, 0x85, to, rm_register(to));
    leave_if(g, tail, CC_E);
    emit_mov_immediate(g->e, 4, R8, (uint32_t)range->low);
    emit_op(g->e, 8, 0x01, R8, rm_register(to)); /* add */
}

static unsigned host_register(unsigned number)
{
    return number == NO_BASE ? NO_REGISTER : number == GPR_SP ? R14 : number;
}

/* Host register TO = address on the host of the range's lowest byte. */
static void emit_range(struct generator *g, const struct probe_range *range, unsigned to, struct tail *tail)
{
    struct emitter *e = g->e;

    emit_lea(e, 4, R8, /* modulo 2^32 */
             rm_indexed(host_register(range->base), host_register(range->index), range->scale, (int32_t)range->low));
    if (range->aligned != NOT_ALIGNED) {
        unsigned behind = (range->aligned - (unsigned)range->low) & 15;

        if (behind)
            emit_lea(e, 4, to, rm_base(R8, (int32_t)behind));
        emit_op_extension(e, 1, 0xf6, 0, rm_register(behind ? to : R8)); /* test */
        emit_byte(e, 15);
        leave_if(g, tail, CC_NE);
    }
    emit_mov(e, 4, to, R8);
    emit_alu_immediate(e, 4, 4, rm_register(to), PAGE_MASK, false);
    emit_alu_immediate(e, 4, 7, rm_register(to), (int32_t)(PAGE_SIZE - (range->high - range->low)), false);
    leave_if(g, tail, CC_A);
    emit_mov(e, 4, to, R8);
    emit_op_extension(e, 4, 0xc1, 5, rm_register(to)); /* shr */
    emit_byte(e, PAGE_SHIFT);
    emit_load(e, 8, to, rm_indexed(range->write ? R12 : R13, to, 3, 0));
    emit_op(e, 8, 0x85, to, rm_register(to));
    leave_if(g, tail, CC_E);
    emit_op(e, 8, 0x01, R8, rm_register(to)); /* add */
}

/* A PROBE that belongs to a group: nothing but to say where its operand is; the first one looks up for all. */
void emit_group_probe(struct generator *g, const struct ir_op *op)
{
    const struct probe_group *group = &g->groups[g->group_of[g->index] - 1];

    g->linear = range_registers[g->range_of[g->index]]; /* not r8 */
    g->in_group = true;
    g->group_offset = (int32_t)g->offset_in_group[g->index];
    if (group->first != g->index)
        return;
    struct tail *tail = add_tail(g, TAIL_GROUP);
    if (!tail)
        return;
    for (unsigned k = 0; k < group->range_count; k++) {
        if (group->ranges[k].base == NO_BASE && group->ranges[k].index == NO_BASE)
            emit_constant_range(g, &group->ranges[k], range_registers[k], tail);
        else
            emit_range(g, &group->ranges[k], range_registers[k], tail);
    }
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

/* Registers for temps: r10 and r11, by the order of definition and last use. */
#include "backend-x86_64/codegen_private.h"

#include <string.h>

/* Last op that needs each temp, the MEM uses of a PROBE that it addresses included. */
static void find_last_uses(const struct ir_block *block, uint16_t *last)
{
    uint8_t probe_temps[2];
    unsigned probe_temp_count = 0, probe_insn = 0;

    for (unsigned i = 0; i < block->op_count; i++) {
        const struct ir_op *op = &block->ops[i];
        const struct ir_value values[] = {op->dst, op->a, op->b, op->address.base, op->address.index};

        for (unsigned k = 0; k < sizeof values / sizeof values[0]; k++)
            if (values[k].kind == IR_VALUE_TEMP)
                last[values[k].number] = (uint16_t)i;
        if (op->opcode == IR_PROBE) {
            probe_temp_count = 0;
            probe_insn = op->insn;
            if (op->address.base.kind == IR_VALUE_TEMP)
                probe_temps[probe_temp_count++] = op->address.base.number;
            if (op->address.index.kind == IR_VALUE_TEMP)
                probe_temps[probe_temp_count++] = op->address.index.number;
        }
        if (uses_mem(op) && op->insn == probe_insn)
            for (unsigned k = 0; k < probe_temp_count; k++)
                last[probe_temps[k]] = (uint16_t)i;
    }
}

/* Is a MEM operand still to come that belongs to a PROBE before op INDEX? */
static bool probe_is_live(const struct ir_block *block, unsigned index)
{
    unsigned insn = block->ops[index].insn;
    bool probed = false;

    for (unsigned i = index; i-- > 0 && block->ops[i].insn == insn;)
        if (block->ops[i].opcode == IR_PROBE) {
            probed = true;
            break;
        }
    if (!probed)
        return false;
    for (unsigned i = index; i < block->op_count && block->ops[i].insn == insn; i++) {
        const struct ir_op *op = &block->ops[i];

        if (op->opcode == IR_PROBE)
            return false;
        if (uses_mem(op))
            return true;
    }
    return false;
}

static unsigned registers_of_ranges(const struct probe_group *group)
{
    return FREE_R9 | (group->range_count > 1 ? FREE_R10 : 0) | (group->range_count > 2 ? FREE_R11 : 0);
}

/* r9 and perhaps r10 and r11 are the group's from behind its first PROBE on. */
static bool in_group(const struct generator *g, unsigned index)
{
    return g->group_of[index] && g->groups[g->group_of[index] - 1].first != index;
}

void assign_temps(struct generator *g)
{
    const struct ir_block *block = g->block;
    uint16_t last[IR_MAX_TEMPS] = {0};
    uint8_t in_use = 0;

    memset(g->temp_register, NO_TEMP_REGISTER, sizeof g->temp_register);
    memset(g->segment_of_temp, 0, sizeof g->segment_of_temp);
    find_last_uses(block, last);
    for (unsigned i = 0; i < block->op_count; i++) {
        const struct ir_op *op = &block->ops[i];

        g->free_at[i] = (uint8_t)(~in_use & (FREE_R10 | FREE_R11)) | (probe_is_live(block, i) || in_group(g, i) ? 0 : FREE_R9);
        if (in_group(g, i))
            g->free_at[i] &= (uint8_t)~registers_of_ranges(&g->groups[g->group_of[i] - 1]);
        for (unsigned t = 0; t < block->temp_count; t++) {
            if (g->temp_register[t] != NO_TEMP_REGISTER && last[t] == i)
                in_use &= (uint8_t)~(g->temp_register[t] == R10 ? FREE_R10 : FREE_R11);
        }
        if (op->dst.kind != IR_VALUE_TEMP || g->temp_register[op->dst.number] != NO_TEMP_REGISTER)
            continue;
        if (!(in_use & FREE_R10)) {
            g->temp_register[op->dst.number] = R10;
        } else if (!(in_use & FREE_R11)) {
            g->temp_register[op->dst.number] = R11;
        } else {
            g->failed = true;
            return;
        }
        if (last[op->dst.number] > i)
            in_use |= g->temp_register[op->dst.number] == R10 ? FREE_R10 : FREE_R11;
    }
}

/* Redundant state access: a SEGMENT op that an earlier one has answered already.
 *
 * The linear address that the earlier one found is kept and used again if segment and offset are the same, the checks
 * of the later one are not stronger, and the temp can be kept: never more than two live at once, and it alone where an
 * op may want a scratch register (those that read flags, probes with two registers, FPU ops and their probes), and none where REPEAT does.
 * Calls, which may change segment registers, and SET_SELECTOR end the search. */
#include "ir/passes.h"

#include <string.h>

enum { MAX_LIVE_TEMPS = 2, SEARCH_DISTANCE = 64 };

static bool same_address(const struct ir_address *x, const struct ir_address *y)
{
    return ir_same(x->base, y->base) && ir_same(x->index, y->index) &&
           (x->index.kind == IR_VALUE_NONE || x->scale == y->scale) && x->displacement == y->displacement;
}

static bool only_guest_registers(const struct ir_address *address)
{
    return !ir_is_temp(address->base) && !ir_is_temp(address->index);
}

/* Whoever may write may read too: code segments are never writable (Intel SDM vol. 3, 3.4.5.1). */
static bool access_covers(enum ir_access have, enum ir_access want)
{
    return have != IR_ACCESS_READ || want == IR_ACCESS_READ;
}

static bool answers(const struct ir_op *earlier, const struct ir_op *later)
{
    return earlier->opcode == IR_SEGMENT && earlier->width == later->width && earlier->segment == later->segment &&
           earlier->size >= later->size && access_covers(earlier->access, later->access) &&
           same_address(&earlier->address, &later->address);
}

static bool writes_address(const struct ir_op *op, const struct ir_address *address)
{
    return (ir_is_guest(address->base) && ir_writes_guest(op, address->base.number)) ||
           (ir_is_guest(address->index) && ir_writes_guest(op, address->index.number));
}

static bool wants_scratch(const struct ir_op *op)
{
    const struct ir_op_info *info = &ir_op_table[op->opcode];
    return info->read || info->effects & EFFECT_CONDITION || op->opcode == IR_FPU || op->probe != IR_PROBE_INTEGER ||
           (op->opcode == IR_PROBE && op->address.base.kind != IR_VALUE_NONE &&
            op->address.index.kind != IR_VALUE_NONE);
}

/* Is there room for temp KEPT from op FIRST to op LAST, FORGOTTEN no longer being there? */
static bool room_for(const struct ir_block *block, const struct ir_temp_range *ranges, unsigned kept,
                     unsigned forgotten, unsigned first, unsigned last)
{
    for (unsigned i = first; i <= last; i++) {
        if (block->ops[i].opcode == IR_REPEAT)
            return false;
        unsigned limit = wants_scratch(&block->ops[i]) ? 1 : MAX_LIVE_TEMPS;
        unsigned count = 1;
        for (unsigned t = 0; t < block->temp_count; t++) {
            bool there = ranges[t].last_use != IR_NOWHERE && ranges[t].first_definition <= i && i <= ranges[t].last_use;
            bool dead_definition = ranges[t].last_use == IR_NOWHERE && ranges[t].first_definition == i;
            count += t != kept && t != forgotten && (there || dead_definition);
        }
        if (count > limit) {
            return false;
        }
    }
    return true;
}

/* The op that answers op number INDEX; INDEX if there is none. */
static unsigned find_answer(const struct ir_block *block, const struct ir_temp_range *ranges, unsigned index)
{
    const struct ir_op *later = &block->ops[index];
    for (unsigned i = index; i-- > 0 && index - i <= SEARCH_DISTANCE;) {
        const struct ir_op *op = &block->ops[i];
        if (ir_op_table[op->opcode].effects & EFFECT_CALL || op->opcode == IR_SET_SELECTOR || writes_address(op, &later->address)) {
            return index;
        }
        if (answers(op, later) && ranges[op->dst.number].definitions == 1) {
            return i;
        }
    }
    return index;
}

void ir_pass_states(struct ir_block *block, const struct ir_host_flags *host)
{
    struct ir_temp_range ranges[IR_MAX_TEMPS];
    bool removed[IR_MAX_OPS];
    bool any = false, known = false;
    for (unsigned i = 0; i < block->op_count; i++) {
        const struct ir_op *op = &block->ops[i];
        if (op->opcode != IR_SEGMENT || !only_guest_registers(&op->address)) {
            continue;
        }
        if (!known) {
            ir_find_temp_ranges(block, ranges);
            memset(removed, 0, block->op_count * sizeof removed[0]);
            known = true;
        }
        unsigned answer = find_answer(block, ranges, i), forgotten = op->dst.number;
        if (answer == i || ranges[forgotten].definitions != 1 || ranges[forgotten].last_use == IR_NOWHERE) {
            continue;
        }
        unsigned kept = block->ops[answer].dst.number;
        unsigned last = ranges[forgotten].last_use;
        if (!room_for(block, ranges, kept, forgotten, answer, last)) {
            continue;
        }
        for (unsigned j = i + 1; j <= last; j++) {
            ir_replace_read_temp(&block->ops[j], forgotten, ir_temp_value(kept));
        }
        if (ranges[kept].last_use == IR_NOWHERE || ranges[kept].last_use < last) {
            ranges[kept].last_use = (uint16_t)last;
        }
        ranges[forgotten] = (struct ir_temp_range){IR_NOWHERE, IR_NOWHERE, 0};
        removed[i] = any = true;
    }
    if (any) {
        ir_remove_ops(block, removed);
    }
}

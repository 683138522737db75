/* Address folding: a temp that a LEA made, and that only addresses use, goes into those addresses.
 *
 * Nothing is folded unless all uses can be: otherwise the sum would be done twice.  The LEA goes away at once: together
 * with what it was made of its temp might be one too many. */
#include "ir/passes.h"

static bool names_temp(struct ir_value value, unsigned number)
{
    return ir_is_temp(value) && value.number == number;
}

/* A 16-bit LEA wraps at 64K: only those who wrap there themselves may do the sum in its place. */
static bool wraps_alike(const struct ir_op *lea, const struct ir_op *user)
{
    return lea->width == 4 || (user->opcode != IR_PROBE && user->width == 2);
}

/* INNER in the place of temp NUMBER in OUTER; false if no addressing mode can say that. */
static bool combine(const struct ir_address *inner, unsigned number, const struct ir_address *outer,
                    struct ir_address *result)
{
    bool as_base = names_temp(outer->base, number), as_index = names_temp(outer->index, number);
    *result = *outer;
    if (as_base && as_index) {
        return false;
    }
    if (as_base) {
        result->displacement = (int32_t)((uint32_t)outer->displacement + (uint32_t)inner->displacement);
        result->base = inner->base;
        if (inner->index.kind == IR_VALUE_NONE) {
            return true;
        }
        if (outer->index.kind != IR_VALUE_NONE) {
            if (inner->base.kind != IR_VALUE_NONE || inner->scale != 0) {
                return false;
            }
            result->base = inner->index;
            return true;
        }
        result->index = inner->index;
        result->scale = inner->scale;
        return true;
    }
    /* As index: one register, whose scales add up. */
    bool base_only = inner->base.kind != IR_VALUE_NONE && inner->index.kind == IR_VALUE_NONE;
    bool index_only = inner->base.kind == IR_VALUE_NONE && inner->index.kind != IR_VALUE_NONE;
    unsigned scale = outer->scale + (index_only ? inner->scale : 0u);
    if ((!base_only && !index_only) || scale > 3) {
        return false;
    }
    result->index = base_only ? inner->base : inner->index;
    result->scale = (uint8_t)scale;
    result->displacement = (int32_t)((uint32_t)outer->displacement + ((uint32_t)inner->displacement << outer->scale));
    return true;
}

static bool writes_register(const struct ir_op *op, struct ir_value value)
{
    return ir_is_guest(value) ? ir_writes_guest(op, value.number)
                              : ir_is_temp(value) && ir_writes_temp(op, value.number);
}

/* Can all uses of the temp that op number INDEX makes, up to LAST, take its address instead? */
static bool all_uses_fold(const struct ir_block *block, unsigned index, unsigned last)
{
    const struct ir_op *lea = &block->ops[index];
    struct ir_address folded;
    bool changed = false;
    for (unsigned i = index + 1; i <= last; i++) {
        const struct ir_op *op = &block->ops[i];
        if (ir_reads_temp(op, lea->dst.number)) {
            bool in_address = ir_has_address(op) && (names_temp(op->address.base, lea->dst.number) ||
                                                     names_temp(op->address.index, lea->dst.number));
            if (changed || !in_address || !wraps_alike(lea, op) ||
                !combine(&lea->address, lea->dst.number, &op->address, &folded)) {
                return false;
            }
        }
        changed |= writes_register(op, lea->address.base) || writes_register(op, lea->address.index);
    }
    return true;
}

static void fold_all_uses(struct ir_block *block, unsigned index, unsigned last)
{
    const struct ir_op *lea = &block->ops[index];
    for (unsigned i = index + 1; i <= last; i++) {
        struct ir_op *op = &block->ops[i];
        if (ir_reads_temp(op, lea->dst.number)) {
            struct ir_address outer = op->address;
            combine(&lea->address, lea->dst.number, &outer, &op->address);
        }
    }
}

/* An index alone, unscaled, is shorter as a base. */
static void normalise(struct ir_address *address)
{
    if (address->base.kind == IR_VALUE_NONE && address->index.kind != IR_VALUE_NONE && address->scale == 0) {
        address->base = address->index;
        address->index = IR_NONE_VALUE;
    }
}

/* Registers kept until LAST instead of the sum: no more of them than the one temp that goes. */
static bool temps_allow(const struct ir_op *lea)
{
    return !(ir_is_temp(lea->address.base) && ir_is_temp(lea->address.index));
}

void ir_pass_addresses(struct ir_block *block, const struct ir_host_flags *host)
{
    struct ir_temp_range ranges[IR_MAX_TEMPS];
    bool removed[IR_MAX_OPS];
    bool known = false, any = false;
    for (unsigned i = 0; i < block->op_count; i++) {
        struct ir_op *op = &block->ops[i];
        removed[i] = false;
        if (!ir_has_address(op)) {
            continue;
        }
        normalise(&op->address);
        if (op->opcode != IR_LEA || !ir_is_temp(op->dst)) {
            continue;
        }
        if (!known) {
            ir_find_temp_ranges(block, ranges);
            known = true;
        }
        const struct ir_temp_range *range = &ranges[op->dst.number];
        if (range->definitions != 1 || range->last_use == IR_NOWHERE || !temps_allow(op) ||
            !all_uses_fold(block, i, range->last_use)) {
            continue;
        }
        unsigned last = range->last_use;
        fold_all_uses(block, i, last);
        removed[i] = any = true;
        /* What the sum was made of lives longer now. */
        const struct ir_value parts[] = {op->address.base, op->address.index};
        for (unsigned p = 0; p < 2; p++) {
            if (ir_is_temp(parts[p]) && ranges[parts[p].number].last_use < last) {
                ranges[parts[p].number].last_use = (uint16_t)last;
            }
        }
    }
    if (any) {
        ir_remove_ops(block, removed);
    }
}

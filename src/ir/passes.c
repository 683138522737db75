/* What several passes need. */
#include "ir/passes.h"

static void note_read(struct ir_temp_range *ranges, struct ir_value value, unsigned index)
{
    if (ir_is_temp(value)) {
        ranges[value.number].last_use = (uint16_t)index;
    }
}

static void note_definition(struct ir_temp_range *ranges, struct ir_value value, unsigned index)
{
    if (ir_is_temp(value)) {
        struct ir_temp_range *range = &ranges[value.number];
        range->definitions++;
        if (range->first_definition == IR_NOWHERE) {
            range->first_definition = (uint16_t)index;
        }
    }
}

void ir_find_temp_ranges(const struct ir_block *block, struct ir_temp_range ranges[IR_MAX_TEMPS])
{
    for (unsigned t = 0; t < block->temp_count; t++) {
        ranges[t] = (struct ir_temp_range){IR_NOWHERE, IR_NOWHERE, 0};
    }
    for (unsigned i = 0; i < block->op_count; i++) {
        const struct ir_op *op = &block->ops[i];
        if (ir_dst_read(op)) {
            note_read(ranges, op->dst, i);
        }
        if (ir_has_a(op)) {
            note_read(ranges, op->a, i);
        }
        if (ir_has_b(op)) {
            note_read(ranges, op->b, i);
        }
        if (ir_has_address(op)) {
            note_read(ranges, op->address.base, i);
            note_read(ranges, op->address.index, i);
        }
        if (ir_dst_written(op)) {
            note_definition(ranges, op->dst, i);
        }
        if (ir_a_written(op)) {
            note_definition(ranges, op->a, i);
        }
    }
}

void ir_remove_ops(struct ir_block *block, const bool removed[IR_MAX_OPS])
{
    uint16_t new_index[IR_MAX_OPS];
    unsigned kept = 0;
    for (unsigned i = 0; i < block->op_count; i++) {
        new_index[i] = (uint16_t)kept;
        if (!removed[i]) {
            if (kept != i) {
                block->ops[kept] = block->ops[i];
            }
            kept++;
        }
    }
    for (unsigned i = 0; i < kept && kept != block->op_count; i++) {
        if (block->ops[i].recipe < block->op_count) {
            block->ops[i].recipe = new_index[block->ops[i].recipe];
        }
    }
    block->op_count = kept;
}

static void replace(struct ir_value *value, unsigned number, struct ir_value by)
{
    if (ir_is_temp(*value) && value->number == number) {
        *value = by;
    }
}

void ir_replace_read_temp(struct ir_op *op, unsigned number, struct ir_value by)
{
    if (!ir_dst_written(op)) {
        replace(&op->dst, number, by);
    }
    if (!ir_a_written(op)) {
        replace(&op->a, number, by);
    }
    replace(&op->b, number, by);
    replace(&op->address.base, number, by);
    replace(&op->address.index, number, by);
}

/* What several passes need. Private to this room. */
#ifndef DRAGOMAN_IR_PASSES_H
#define DRAGOMAN_IR_PASSES_H

#include "ir/operands.h"

/* Where a temp lives: from its first definition to its last use. NOWHERE: not at all. */
#define IR_NOWHERE 0xffffu
struct ir_temp_range {
    uint16_t first_definition, last_use;
    uint16_t definitions;
};

/* Fills in the first block->temp_count of RANGES. */
void ir_find_temp_ranges(const struct ir_block *block, struct ir_temp_range ranges[IR_MAX_TEMPS]);

/* Takes out the ops marked in REMOVED; recipes move along. */
void ir_remove_ops(struct ir_block *block, const bool removed[IR_MAX_OPS]);

/* Puts BY in the place of temp NUMBER wherever OP reads it without writing it. */
void ir_replace_read_temp(struct ir_op *op, unsigned number, struct ir_value by);

#endif

/* Where the guest's arithmetic flags live.
 *
 * Guest flags are host EFLAGS as long as nothing of ours changes those.  TLB probes do, so before each the pass asks how
 * the flags come back: from their home in the vCPU if they were parked; by doing the operation that defined them once
 * more on operands that are still there (a recipe, which costs nothing as long as nobody asks); or else it parks them.
 * What a fault needs is made up in cold code from the recipe, so precise flags are free on the hot path.
 *
 * Forwards through the block, with what is live from a backward pass before.  A fault, a call or an exit wants all flags. */
#include "ir/ir.h"

#include <string.h>

struct flag_state {
    struct ir_block *block;
    bool in_eflags;   /* host EFLAGS are the guest's */
    bool at_home;     /* the vCPU's parked copy is the guest's */
    unsigned recipe;  /* op that defined them, if they can be recomputed from what is there now; else IR_NO_RECIPE */
    bool untouched;   /* no op so far has read, defined or clobbered flags */
    unsigned index;   /* of the op looked at */
};

static bool op_touches_flags(const struct ir_op *op, uint16_t effects)
{
    return op->read || op->written || (effects & (EFFECT_CLOBBERS_FLAGS | EFFECT_CALL));
}

static void insert(struct flag_state *s, enum ir_opcode opcode, unsigned recipe)
{
    struct ir_op *op = ir_insert(s->block, s->index, opcode);

    op->insn = s->block->ops[s->index + 1].insn;
    op->recipe = (uint16_t)recipe;
    op->read = ir_op_table[opcode].read;
    op->written = ir_op_table[opcode].written;
    s->index++;
}

static void want_in_eflags(struct flag_state *s)
{
    if (s->in_eflags)
        return;
    if (s->recipe != IR_NO_RECIPE)
        insert(s, IR_RECOMPUTE, s->recipe);
    else
        insert(s, IR_UNPARK, IR_NO_RECIPE);
    s->in_eflags = true;
}

static void want_at_home(struct flag_state *s)
{
    if (s->at_home)
        return;
    want_in_eflags(s);
    if (s->untouched) { /* at the very beginning: who has them at home already enters behind it */
        unsigned index = s->index;

        s->index = 0;
        insert(s, IR_PARK, IR_NO_RECIPE);
        s->index = index + 1;
    } else {
        insert(s, IR_PARK, IR_NO_RECIPE);
    }
    s->at_home = true;
}

/* Can what OP did to the flags be done again without what it changed? (Its operands must still be there too.) */
static bool recomputable(const struct ir_op *op)
{
    if (op->dst.kind != IR_VALUE_GUEST)
        return false;
    switch (op->opcode) {
    case IR_CMP:
    case IR_TEST:
        return op->a.kind == IR_VALUE_GUEST || op->a.kind == IR_VALUE_CONST;
    case IR_ADD:
    case IR_SUB:
        return (op->a.kind == IR_VALUE_GUEST && op->a.number != op->dst.number) || op->a.kind == IR_VALUE_CONST;
    case IR_AND:
    case IR_OR:
    case IR_XOR:
    case IR_NEG:
        return true;
    default:
        return false;
    }
}

static bool recipe_reads(const struct ir_block *block, unsigned recipe, const struct ir_op *writer)
{
    const struct ir_op *op = &block->ops[recipe];
    bool uses_a = op->opcode == IR_CMP || op->opcode == IR_TEST || op->opcode == IR_ADD || op->opcode == IR_SUB;

    if (ir_writes_guest(writer, op->dst.number))
        return true;
    if (uses_a && op->a.kind == IR_VALUE_GUEST && ir_writes_guest(writer, op->a.number))
        return true;
    if ((op->opcode == IR_INC || op->opcode == IR_DEC) && op->recipe < IR_RECIPE_HOME)
        return recipe_reads(block, op->recipe, writer);
    return false;
}

/* The recipe for what OP (number s->index) defines. */
static unsigned recipe_of(const struct flag_state *s, struct ir_op *op, bool was_at_home, unsigned carry_recipe)
{
    if (recomputable(op))
        return s->index;
    if ((op->opcode == IR_INC || op->opcode == IR_DEC) && op->dst.kind == IR_VALUE_GUEST) {
        if (was_at_home)
            op->recipe = IR_RECIPE_HOME;
        else if (carry_recipe != IR_NO_RECIPE && !recipe_reads(s->block, carry_recipe, op))
            op->recipe = (uint16_t)carry_recipe;
        else
            return IR_NO_RECIPE;
        return s->index;
    }
    return IR_NO_RECIPE;
}

static uint8_t place_of(const struct flag_state *s)
{
    return (uint8_t)((s->in_eflags ? IR_PLACE_EFLAGS : 0) | (s->at_home ? IR_PLACE_HOME : 0));
}

/* Does leaving through LINK change EFLAGS before the next block is reached? */
static bool link_clobbers(const struct ir_block *block, unsigned link)
{
    return block->links[link].kind != IR_LINK_FORWARD;
}

static void visit(struct flag_state *s, uint8_t live_after)
{
    struct ir_op *op = &s->block->ops[s->index];
    uint16_t effects = ir_op_table[op->opcode].effects;
    uint8_t kept = (uint8_t)(live_after & ~op->written); /* flags that pass through */

    if (effects & EFFECT_CALL) {
        want_at_home(s);
    } else if (effects & (EFFECT_MAY_FAULT | EFFECT_DIVIDE | EFFECT_CLOBBERS_FLAGS)) {
        bool loses_both = (effects & EFFECT_CLOBBERS_FLAGS) && s->recipe != IR_NO_RECIPE &&
                          recipe_reads(s->block, s->recipe, op);

        if (!s->at_home && (s->recipe == IR_NO_RECIPE || loses_both))
            want_at_home(s);
    }
    op = &s->block->ops[s->index];
    if (effects & (EFFECT_MAY_FAULT | EFFECT_DIVIDE))
        op->recipe = (uint16_t)(s->at_home ? IR_NO_RECIPE : s->recipe);
    if (effects & (EFFECT_CLOBBERS_FLAGS | EFFECT_CALL))
        s->in_eflags = false;
    if (effects & EFFECT_CALL) { /* what the callee leaves is at home */
        s->at_home = true;
        s->recipe = IR_NO_RECIPE;
    }
    if (!s->in_eflags && (op->read || (op->written && kept))) {
        uint8_t needed = (uint8_t)(op->read | (op->written ? kept : 0));

        if (s->recipe == IR_NO_RECIPE && needed == IRF_C && (op->written | IRF_C) == IRF_ALL) {
            insert(s, IR_UNPARK_CARRY, IR_NO_RECIPE);
            s->in_eflags = op->written == 0; /* only true once op has defined the others */
        } else {
            want_in_eflags(s);
        }
    }
    op = &s->block->ops[s->index];
    if ((effects & EFFECT_EXIT) && !(effects & EFFECT_CALL)) {
        if (op->opcode == IR_EXIT_INDIRECT || op->branch != IR_BRANCH_JUMP ||
            (op->opcode == IR_EXIT && link_clobbers(s->block, op->link)))
            want_at_home(s);
        else if (!s->at_home)
            want_in_eflags(s);
        s->block->ops[s->index].place = place_of(s);
        op = &s->block->ops[s->index];
    }
    /* The recipe goes with an operand that changes, unless the value is dead or safe elsewhere. */
    if (s->recipe != IR_NO_RECIPE && recipe_reads(s->block, s->recipe, op)) {
        if (!op->written || kept) {
            if (kept && !s->at_home && !s->in_eflags)
                want_in_eflags(s);
            op = &s->block->ops[s->index];
        }
        if (!op->written)
            s->recipe = IR_NO_RECIPE;
    }
    if (op->written) {
        s->recipe = recipe_of(s, op, s->at_home, s->recipe);
        s->at_home = false;
        s->in_eflags = true;
    }
    if (op_touches_flags(op, effects))
        s->untouched = false;
}

static void find_live(const struct ir_block *block, uint8_t *live_after)
{
    uint8_t live = IRF_ALL;

    for (unsigned i = block->op_count; i-- > 0;) {
        const struct ir_op *op = &block->ops[i];
        uint16_t effects = ir_op_table[op->opcode].effects;

        live_after[i] = live;
        live = (uint8_t)((live & ~op->written) | op->read);
        if (effects & (EFFECT_MAY_FAULT | EFFECT_CLOBBERS_FLAGS | EFFECT_CALL | EFFECT_EXIT | EFFECT_DIVIDE))
            live = IRF_ALL;
    }
}

void ir_pass_flags(struct ir_block *block, const struct ir_host_flags *host)
{
    uint8_t live_after[IR_MAX_OPS];
    struct flag_state s = {.block = block, .in_eflags = true, .recipe = IR_NO_RECIPE, .untouched = true};
    unsigned count = block->op_count;

    for (unsigned i = 0; i < count; i++) {
        block->ops[i].recipe = IR_NO_RECIPE;
        ir_op_flags(&block->ops[i], host);
    }
    find_live(block, live_after);
    for (unsigned i = 0; i < count && !block->overflow; i++, s.index++)
        visit(&s, live_after[i]);
}

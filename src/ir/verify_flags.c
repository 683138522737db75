/* Where the arithmetic flags are, op by op, after the flag pass: the verifier knows the rules, not the pass. */
#include "ir/verify.h"

struct places {
    uint8_t in_eflags; /* flags for which host EFLAGS hold the guest's value */
    bool at_home;
};

/* Was none of what RECIPE needs to do its flags again written between it and the op looked at? */
static bool operands_kept(const struct verifier *v, const struct ir_op *op, unsigned recipe)
{
    bool uses_a = op->opcode == IR_CMP || op->opcode == IR_TEST || op->opcode == IR_ADD || op->opcode == IR_SUB;
    if (!ir_is_guest(op->dst) || (uses_a && op->a.kind != IR_VALUE_GUEST && op->a.kind != IR_VALUE_CONST)) {
        return false;
    }
    for (unsigned i = recipe + 1; i < v->index; i++) {
        const struct ir_op *between = &v->block->ops[i];
        if (ir_writes_guest(between, op->dst.number) ||
            (uses_a && ir_is_guest(op->a) && ir_writes_guest(between, op->a.number))) {
            return false;
        }
    }
    return true;
}

/* The op that defined flags last; NOBODY: none, or a call came behind it. */
enum { NOBODY = -1 };
static int last_writer(const struct verifier *v, unsigned before)
{
    for (unsigned i = before; i-- > 0;) {
        const struct ir_op *op = &v->block->ops[i];
        if (ir_op_table[op->opcode].effects & EFFECT_CALL) {
            return NOBODY;
        }
        if (op->written && (op->opcode < IR_PARK || op->opcode > IR_RECOMPUTE)) {
            return (int)i;
        }
    }
    return NOBODY;
}

static bool verify_recipe(struct verifier *v, unsigned recipe)
{
    const struct ir_block *block = v->block;
    if (recipe >= v->index || last_writer(v, v->index) != (int)recipe) {
        return ir_verify_fail(v, "op %u of the recipe is not the one that defined the flags last", recipe);
    }
    const struct ir_op *op = &block->ops[recipe];
    if (!operands_kept(v, op, recipe)) {
        return ir_verify_fail(v, "what the recipe, op %u, needs is not there any more", recipe);
    }
    if (op->opcode != IR_INC && op->opcode != IR_DEC) {
        return (op->written | op->read) == IRF_ALL ||
               ir_verify_fail(v, "the recipe, op %u, does not define all flags", recipe);
    }
    /* INC and DEC keep the carry: it comes from home or from a recipe of its own. */
    if (op->recipe == IR_RECIPE_HOME) {
        return true;
    }
    if (op->recipe >= recipe || last_writer(v, recipe) != op->recipe) {
        return ir_verify_fail(v, "the carry that op %u keeps has no recipe", recipe);
    }
    return operands_kept(v, &block->ops[op->recipe], op->recipe) ||
           ir_verify_fail(v, "what the carry's recipe, op %u, needs is not there any more", op->recipe);
}

static bool verify_leaving(struct verifier *v, const struct ir_op *op, const struct places *places)
{
    unsigned effects = ir_op_table[op->opcode].effects;
    if (effects & EFFECT_CALL) {
        return places->at_home || ir_verify_fail(v, "a call, and the flags are not at home");
    }
    if (effects & (EFFECT_MAY_FAULT | EFFECT_DIVIDE)) {
        return op->recipe == IR_NO_RECIPE
                   ? places->at_home ||
                         ir_verify_fail(v, "may fault, and the flags are neither at home nor recomputable")
                   : verify_recipe(v, op->recipe);
    }
    if (!(effects & EFFECT_EXIT)) {
        return true;
    }
    if (op->place == 0) {
        return ir_verify_fail(v, "leaves with the flags nowhere");
    }
    if (op->branch != IR_BRANCH_JUMP && !(op->place & IR_PLACE_HOME)) {
        return ir_verify_fail(v, "a call or return, and the flags are not at home");
    }
    if (op->place & IR_PLACE_EFLAGS && places->in_eflags != IRF_ALL) {
        return ir_verify_fail(v, "leaves with the flags in EFLAGS, where they are not");
    }
    return !(op->place & IR_PLACE_HOME) || places->at_home ||
           ir_verify_fail(v, "leaves with the flags at home, where they are not");
}

static bool follow(struct verifier *v, const struct ir_op *op, struct places *places)
{
    unsigned effects = ir_op_table[op->opcode].effects;
    switch (op->opcode) {
    case IR_PARK:
        places->at_home = true;
        return true;
    case IR_UNPARK:
    case IR_UNPARK_CARRY:
        if (!places->at_home) {
            return ir_verify_fail(v, "the flags are not at home");
        }
        places->in_eflags |= op->opcode == IR_UNPARK ? IRF_ALL : IRF_C;
        return true;
    case IR_RECOMPUTE:
        places->in_eflags = IRF_ALL;
        return verify_recipe(v, op->recipe);
    default:
        break;
    }
    if (effects & (EFFECT_CLOBBERS_FLAGS | EFFECT_CALL)) {
        places->in_eflags = 0;
    }
    if (op->written) {
        places->in_eflags |= op->written;
        places->at_home = false;
    }
    return true;
}

bool ir_verify_flags(struct verifier *v)
{
    const struct ir_block *block = v->block;
    struct places places = {.in_eflags = IRF_ALL};
    for (v->index = 0; v->index < block->op_count; v->index++) {
        const struct ir_op *op = &block->ops[v->index];
        if (op->read & ~places.in_eflags) {
            return ir_verify_fail(v, "reads flags %02x that are not in EFLAGS", op->read & ~places.in_eflags);
        }
        if (!verify_leaving(v, op, &places) || !follow(v, op, &places)) {
            return false;
        }
    }
    return true;
}

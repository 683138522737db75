/* Single instructions for a translator: one predecoded operation with a sentinel behind it. */
#include "interp/block.h"
#include "interp/lower.h"

#include <stdlib.h>

struct interp_single {
    struct op ops[2];
    struct callout_op callout;
};

static const struct op *done_handler(struct vcpu *cpu, const struct op *op)
{
    interp_of(cpu)->single_done = true;
    return NULL;
}

struct interp_single *interp_lower_single(struct interp *interp, const struct decoded_instruction *insn, uint32_t mode,
                                          uint32_t eip, unsigned remaining)
{
    struct interp_single *single = calloc(1, sizeof *single);
    struct block *block = calloc(1, sizeof *block + 2 * sizeof(struct op));

    if (single && block) {
        interp->single_callout = &single->callout;
        block_lower_one(interp, block, insn, mode, eip, &single->ops[0]);
        interp->single_callout = NULL;
        single->ops[0].remaining = (uint8_t)remaining;
        single->ops[1].handler = done_handler;
        free(block);
        return single;
    }
    free(block);
    free(single);
    return NULL;
}

void interp_free_single(struct interp_single *single)
{
    free(single);
}

bool interp_run_single(struct interp *interp, const struct interp_single *single)
{
    struct vcpu *cpu = interp->cpu;

    interp->single_done = false;
    for (const struct op *op = single->ops; op;)
        op = op->handler(cpu, op);
    return interp->single_done;
}

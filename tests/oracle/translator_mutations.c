/* Breaking the translator on purpose (mutate.c): linked with --wrap=ir_run_passes, so that each block of IR comes by
 * here before and after the passes. */
#include "translator_mutations.h"

#include "cpu/mutation.h"
#include "ir/operands.h"
#include "translate/translate_private.h"

#include <string.h>

/* ---- rows: the ops of one kind of instruction, before the passes ---- */

static bool is_branch(const struct ir_op *op)
{
    return ir_op_table[op->opcode].effects & EFFECT_EXIT;
}

/* Those that the interpreter executes are broken there. */
static bool is_interpreted(const struct ir_block *block, unsigned insn)
{
    for (unsigned i = 0; i < block->op_count; i++)
        if (block->ops[i].insn == insn && block->ops[i].opcode == IR_INTERPRET)
            return true;
    return false;
}

static void remove_op(struct ir_block *block, unsigned index)
{
    memmove(&block->ops[index], &block->ops[index + 1], (--block->op_count - index) * sizeof block->ops[0]);
}

/* What ended the block goes on behind the instruction now. */
static void fall_through(struct ir_block *block, unsigned insn)
{
    block->links[0] = (struct ir_link){true, IR_LINK_OTHER_PAGE, block->insns[insn].next};
    block->links[1].used = false;
    struct ir_op *op = ir_append(block, IR_EXIT, 0);
    op->insn = (uint16_t)insn;
}

static void skip(struct ir_block *block, unsigned insn)
{
    bool ended = false;

    for (unsigned i = 0; i < block->op_count;) {
        if (block->ops[i].insn != insn) {
            i++;
            continue;
        }
        ended |= (ir_op_table[block->ops[i].opcode].effects & EFFECT_ENDS) != 0;
        remove_op(block, i);
    }
    if (ended)
        fall_through(block, insn);
}

static void displace(struct ir_block *block, unsigned insn)
{
    for (unsigned i = 0; i < block->op_count; i++) {
        struct ir_op *op = &block->ops[i];

        if (op->insn == insn && ir_has_address(op)) {
            op->address.displacement++;
            return;
        }
    }
}

/* Behind the instruction, ahead of what ends the block for another reason. */
static void spoil(struct ir_block *block, unsigned insn, unsigned kind)
{
    unsigned at = 0;
    struct ir_op *op;

    for (unsigned i = 0; i < block->op_count; i++) {
        if (block->ops[i].insn == insn && is_branch(&block->ops[i])) {
            if (block->ops[i].opcode != IR_EXIT)
                return; /* left when it is done */
            break;
        }
        if (block->ops[i].insn <= insn)
            at = i + 1;
    }
    switch (kind) {
    case MUTATION_EAX:
    case MUTATION_ESI:
        op = ir_insert(block, at, IR_LEA);
        op->width = 4;
        op->dst = op->address.base = ir_guest(kind == MUTATION_EAX ? GPR_AX : GPR_SI);
        op->address.displacement = 1;
        break;
    case MUTATION_CARRY:
        op = ir_insert(block, at, IR_CMC);
        break;
    case MUTATION_SIGN:
        op = ir_insert(block, at, IR_TEST);
        op->width = 4;
        op->dst = op->a = ir_guest(GPR_SP);
        break;
    default: /* x87, MMX and SSE state: no op for it */
        skip(block, insn);
        return;
    }
    op->insn = (uint16_t)insn;
}

static void mutate_rows(struct ir_block *block, const struct translator_mutation *m)
{
    unsigned kind = m->kind & ~(unsigned)MUTATION_RARELY;

    for (unsigned insn = 0; insn < block->insn_count; insn++) {
        if (block->insns[insn].row != m->row || is_interpreted(block, insn))
            continue;
        if ((m->kind & MUTATION_RARELY) && block->insns[insn].eip % 16)
            continue; /* not with few values but at few addresses */
        if (kind == MUTATION_SKIP)
            skip(block, insn);
        else if (kind == MUTATION_DISPLACE)
            displace(block, insn);
        else
            spoil(block, insn, kind);
    }
}

/* ---- the translator's own mistakes: ops behind the passes ---- */

static void mutate_op(struct ir_block *block, unsigned index, unsigned kind)
{
    struct ir_op *op = &block->ops[index];

    switch (kind) {
    case TRANSLATOR_LOSES_FLAGS:
        if (op->opcode == IR_PARK && index)
            remove_op(block, index);
        break;
    case TRANSLATOR_LOSES_CARRY:
        if (op->opcode == IR_UNPARK_CARRY)
            op->opcode = IR_CLC;
        break;
    case TRANSLATOR_TAKES_HOME_FLAGS:
        if (op->opcode == IR_RECOMPUTE)
            op->opcode = IR_UNPARK;
        break;
    case TRANSLATOR_FORGETS_RECIPE:
        if (op->opcode == IR_PROBE)
            op->recipe = IR_NO_RECIPE;
        break;
    case TRANSLATOR_IGNORES_ALIGNMENT:
        if (op->opcode == IR_PROBE)
            op->size = 1;
        break;
    case TRANSLATOR_READS_TO_UPDATE:
        if (op->opcode == IR_PROBE && op->access == IR_ACCESS_UPDATE)
            op->access = IR_ACCESS_READ;
        break;
    case TRANSLATOR_INVERTS_CONDITION:
        if (op->opcode == IR_EXIT_IF && op->condition == 0xf)
            op->condition ^= 1;
        break;
    case TRANSLATOR_LEAVES_HIGH_HALF:
        if (op->opcode == IR_MOVZX && op->dst.kind == IR_VALUE_GUEST && op->width == 4)
            op->width = 2;
        break;
    }
}

bool __wrap_ir_run_passes(struct ir_block *block, const struct ir_host_flags *host, uint32_t disabled,
                          void (*observer)(void *opaque, const struct ir_pass *pass, const struct ir_block *block),
                          void *opaque, char *message, size_t message_size);
bool __real_ir_run_passes(struct ir_block *block, const struct ir_host_flags *host, uint32_t disabled,
                          void (*observer)(void *opaque, const struct ir_pass *pass, const struct ir_block *block),
                          void *opaque, char *message, size_t message_size);

bool __wrap_ir_run_passes(struct ir_block *block, const struct ir_host_flags *host, uint32_t disabled,
                          void (*observer)(void *opaque, const struct ir_pass *pass, const struct ir_block *block),
                          void *opaque, char *message, size_t message_size)
{
    const struct translator *t = opaque;
    const struct translator_mutation *m = t->options.opaque;

    if (m && m->row != ROW_NONE)
        mutate_rows(block, m);
    if (!__real_ir_run_passes(block, host, disabled, observer, opaque, message, message_size))
        return false;
    for (unsigned i = 0; m && m->row == ROW_NONE && i < block->op_count; i++)
        mutate_op(block, i, m->kind);
    return true;
}

void translator_mutations_linked(void)
{
}

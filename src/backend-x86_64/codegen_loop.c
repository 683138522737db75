/* Blocks that jump to themselves: the XMM registers they use stay in the host's as long as they do. All are loaded before
 * the first round, so that every round begins with the same ones there; what the block writes counts as changed from the
 * beginning, which costs a store that was not needed at worst.
 *
 * The jump back is not a link: nobody can cut it. It polls as every backward link does, and whoever invalidates the block
 * while it runs makes it leave by the attention word or at a store (struct vcpu, native.leave). */
#include "backend-x86_64/codegen_private.h"

/* A call leaves nothing in the host's XMM registers; counted time and lockstep want each round to begin at the entry. */
static bool may_loop(const struct generator *g)
{
    const struct ir_block *block = g->block;

    if (g->request->counted || g->request->single_round)
        return false;
    for (unsigned i = 0; i < block->op_count; i++)
        if ((ir_op_table[block->ops[i].opcode].effects & (EFFECT_CALL)) || block->ops[i].opcode == IR_SECOND_PAGE ||
            block->ops[i].branch == IR_BRANCH_CALL)
            return false;
    return true;
}

static bool leads_to_itself(const struct ir_block *block, unsigned link)
{
    return block->links[link].used && block->links[link].kind == IR_LINK_BACKWARD && block->links[link].eip == block->eip;
}

void find_loop(struct generator *g)
{
    const struct ir_block *block = g->block;
    unsigned used = 0, written = 0;

    g->loop_xmm = g->loop_dirty = 0;
    g->loop_jump_count = 0;
    if ((!leads_to_itself(block, 0) && !leads_to_itself(block, 1)) || !may_loop(g))
        return;
    for (unsigned i = 0; i < block->op_count; i++) {
        if (block->ops[i].opcode != IR_FPU)
            continue;
        used |= block->ops[i].fpu.xmm_read | block->ops[i].fpu.xmm_written;
        written |= block->ops[i].fpu.xmm_written;
    }
    g->loop_xmm = (uint8_t)used;
    g->loop_dirty = (uint8_t)written;
}

void emit_loop_head(struct generator *g)
{
    emit_xmm_reload(g, g->loop_xmm);
    g->fpu.xmm_valid = g->loop_xmm;
    g->fpu.xmm_dirty = g->loop_dirty;
    g->loop_head = g->e->position;
}

bool is_loop_edge(const struct generator *g, unsigned link)
{
    return g->loop_xmm && leads_to_itself(g->block, link);
}

void emit_loop_edge(struct generator *g, const struct ir_op *op)
{
    struct emitter *e = g->e;
    struct fpu_point pointers = g->fpu;
    struct tail *tail = add_tail(g, TAIL_LOOP);

    if (!tail || g->loop_jump_count == 2) {
        g->failed = true;
        return;
    }
    emit_count_link(g, op->link);
    pointers.xmm_dirty = 0;
    emit_fpu_write_back(g, &pointers);
    tail->fpu.pointers = tail->fpu.data = 0;
    if (!(op->place & IR_PLACE_HOME))
        emit_park(e, R9, g->request->host_lahf);
    emit_alu_immediate(e, 4, 7, CPU(attention), 0, false);
    tail->jumps[tail->jump_count++] = emit_jcc_forward(e, CC_NE);
    g->loop_jumps[g->loop_jump_count++] = emit_jmp_forward(e);
}

/* Something waits: as through the stub of a link. */
void emit_tail_loop(struct generator *g, const struct tail *tail)
{
    emit_fpu_write_back(g, &tail->fpu);
    emit_mov_immediate(g->e, 8, R8, (uint64_t)(uintptr_t)g->request->link_tokens[g->block->ops[tail->op].link]);
    emit_jmp(g->e, g->request->thunks->leave_home);
}

void emit_loop_entry(struct generator *g, uint32_t start, bool unpark)
{
    if (!g->loop_jump_count)
        return;
    if (unpark) {
        uint32_t begin = g->e->position;

        emit_unpark(g->e, R9, g->request->host_lahf);
        emit_jmp(g->e, start);
        start = begin;
    }
    for (unsigned i = 0; i < g->loop_jump_count; i++)
        emit_patch(g->e, g->loop_jumps[i], start);
}

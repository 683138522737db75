/* Leaving a block: links, polls, loops, calls into C. */
#include "backend-x86_64/codegen_private.h"

static void jump_to_stub(struct generator *g, unsigned link, uint32_t field)
{
    if (g->stub_jump_count[link] == 4)
        g->failed = true;
    else
        g->stub_jumps[link][g->stub_jump_count[link]++] = field;
}

static void use_link(struct generator *g, unsigned link, unsigned place)
{
    if (g->result->exits[link].used)
        g->failed = true;
    g->result->exits[link].used = true;
    g->exit_op[link] = (uint16_t)g->index;
    g->result->exits[link].place = (uint8_t)place;
}

/* mov r8,[execute_table]; mov r8,[r8 + page]; cmp r8,[guard]; jne stub */
static void emit_guard(struct generator *g, unsigned link)
{
    struct emitter *e = g->e;
    uint32_t target = g->block->linear + (g->block->links[link].eip - g->block->eip);

    emit_load(e, 8, R8, CPU(mmu.execute_table));
    emit_load(e, 8, R8, rm_base(R8, (int32_t)((target >> PAGE_SHIFT) * 8)));
    emit_byte(e, 0x4c); /* cmp r8, [rip + rel32] */
    emit_byte(e, 0x3b);
    emit_byte(e, 0x05);
    emit_32(e, 0);
    g->guarded[link] = true;
    g->guard_field[link] = e->position - 4;
    jump_to_stub(g, link, emit_jcc_forward(e, CC_NE));
}

/* ---- calls and returns: thunks.h tells what is on the host's stack ---- */

/* A pair more, its return point to come. EFLAGS are lost. */
static void emit_push_return(struct generator *g)
{
    struct emitter *e = g->e;
    struct tail *tail = add_tail(g, TAIL_FORGET_CALLS);

    if (!tail)
        return;
    emit_op(e, 8, 0x3b, RSP, CPU(native.stack_limit)); /* cmp */
    tail->jumps[tail->jump_count++] = emit_jcc_forward(e, CC_B);
    tail->resume = e->position;
    emit_byte(e, 0x68); /* push imm32 */
    emit_32(e, g->block->links[1].eip);
}

void emit_tail_forget_calls(struct generator *g, const struct tail *tail)
{
    emit_load(g->e, 8, RSP, CPU(native.caller_stack));
    emit_jmp(g->e, tail->resume);
}

static bool is_call(const struct generator *g)
{
    return g->block->ops[g->index].branch == IR_BRANCH_CALL && !g->request->single_round;
}

/* What stands on the way to where LINK leads: parks the flags and polls where the link asks for it. Ends in the jump or
 * call. A call polls in any case, so that a return to the caller's page need not. */
static void emit_link(struct generator *g, unsigned link, unsigned place)
{
    struct emitter *e = g->e;
    enum ir_link_kind kind = g->block->links[link].kind;
    bool call = link == 0 && is_call(g);

    if (link == 0 || g->block->ops[g->index].branch != IR_BRANCH_CALL)
        emit_count_link(g, link);
    if (kind != IR_LINK_FORWARD || call) {
        if (!(place & IR_PLACE_HOME))
            emit_park(e, R9, g->request->host_lahf);
        place = IR_PLACE_HOME;
        emit_alu_immediate(e, 4, 7, CPU(attention), 0, false);
        jump_to_stub(g, link, emit_jcc_forward(e, CC_NE));
        if (kind == IR_LINK_OTHER_PAGE)
            emit_guard(g, link);
    }
    if (call)
        emit_push_return(g);
    emit_align_field(e, 1);
    use_link(g, link, place);
    if (call)
        emit_call(e, e->position);
    else
        emit_jmp_forward(e);
    g->result->exits[link].field = e->position - 4;
    jump_to_stub(g, link, g->result->exits[link].field);
}

static void emit_edge(struct generator *g, const struct ir_op *op)
{
    if (is_loop_edge(g, op->link))
        emit_loop_edge(g, op);
    else
        emit_link(g, op->link, op->place);
}

/* Behind the host call: where the guest's RET comes to. */
static void emit_return_point(struct generator *g)
{
    emit_plus_register(g->e, 4, 0x58, R8); /* pop: the EIP */
    emit_link(g, 1, IR_PLACE_HOME);
}

void emit_exit(struct generator *g, const struct ir_op *op)
{
    if (!is_loop_edge(g, op->link))
        emit_fpu_settle(g, false);
    emit_edge(g, op);
    if (is_call(g))
        emit_return_point(g);
}

/* An indirect branch to r8d, in flat code: straight to the target that it had first, if it is that again. */
static void emit_inline_cache(struct generator *g)
{
    struct emitter *e = g->e;
    struct native_exit *x = &g->result->exits[0];
    bool call = is_call(g);
    struct tail *tail;

    if (call)
        emit_push_return(g);
    tail = add_tail(g, TAIL_MISS);
    if (!tail)
        return;
    use_link(g, 0, IR_PLACE_HOME);
    g->result->indirect = true;
    emit_op_extension(e, 4, 0x81, 7, rm_register(R8)); /* cmp r8d, imm32 */
    x->target = e->position;
    emit_32(e, 0);
    x->miss = emit_jcc_forward(e, CC_NE);
    jump_to_stub(g, 0, x->miss);
    emit_alu_immediate(e, 4, 7, CPU(attention), 0, false);
    tail->jumps[tail->jump_count++] = emit_jcc_forward(e, CC_NE);
    emit_load(e, 8, R9, CPU(mmu.execute_table));
    emit_load(e, 8, R9, rm_base(R9, 0x7fffffff)); /* a 32-bit displacement for certain */
    x->page = e->position - 4;
    emit_patch(e, x->page, e->position); /* 0: before it has a target it may be compared with EIP 0 all the same */
    emit_byte(e, 0x4c); /* cmp r9, [rip + rel32] */
    emit_byte(e, 0x3b);
    emit_byte(e, 0x0d);
    emit_32(e, 0);
    g->guarded[0] = true;
    g->guard_field[0] = e->position - 4;
    tail->jumps[tail->jump_count++] = emit_jcc_forward(e, CC_NE);
    emit_align_field(e, 1);
    if (call)
        emit_call(e, e->position);
    else
        emit_jmp_forward(e);
    x->field = e->position - 4;
    jump_to_stub(g, 0, x->field);
    tail->resume = e->position;
    if (call)
        emit_return_point(g);
}

void emit_tail_miss(struct generator *g, const struct tail *tail)
{
    const struct native_thunks *t = g->request->thunks;

    g->result->exits[0].missed = g->e->position;
    if (is_call(g)) {
        emit_call(g->e, t->lookup_flat);
        emit_jmp(g->e, tail->resume);
    } else {
        emit_jmp(g->e, t->lookup_flat);
    }
}

void emit_exit_indirect(struct generator *g, const struct ir_op *op)
{
    struct emitter *e = g->e;
    const struct native_thunks *t = g->request->thunks;
    bool flat = MODE_SHAPE(g->block->mode, SEG_CS) == SHAPE_FLAT;

    emit_fpu_settle(g, false);
    if (op->a.kind == IR_VALUE_CONST)
        emit_mov_immediate(e, 4, R8, (uint32_t)op->a.value);
    else
        emit_mov(e, 4, R8, register_of(g, op->a));
    emit_count_target(g);
    if (flat && op->branch != IR_BRANCH_RETURN && !g->request->single_round) {
        emit_inline_cache(g);
    } else if (is_call(g)) {
        emit_push_return(g);
        emit_call(e, flat ? t->lookup_flat : t->lookup_other);
        emit_return_point(g);
    } else if (op->branch == IR_BRANCH_RETURN && !g->request->single_round) {
        emit_op(e, 4, 0x3b, R8, rm_base(RSP, 8)); /* cmp */
        emit_jcc(e, CC_NE, flat ? t->return_flat : t->return_other);
        emit_byte(e, 0xc3);
    } else {
        emit_jmp(e, flat ? t->lookup_flat : t->lookup_other);
    }
}

void emit_exit_if(struct generator *g, const struct ir_op *op)
{
    struct emitter *e = g->e;

    if (!is_loop_edge(g, op->link))
        emit_fpu_settle(g, false);
    if (g->block->links[op->link].kind == IR_LINK_FORWARD && !g->request->counters) {
        emit_align_field(e, 2);
        use_link(g, op->link, op->place);
        g->result->exits[op->link].field = emit_jcc_forward(e, op->condition);
        jump_to_stub(g, op->link, g->result->exits[op->link].field);
        return;
    }
    uint32_t over = emit_jcc_short(e, op->condition ^ 1u);
    emit_edge(g, op);
    emit_patch_short(e, over, e->position);
}

/* All flag-neutral: LEA counts, JRCXZ asks. */
void emit_exit_loop(struct generator *g, const struct ir_op *op)
{
    struct emitter *e = g->e;
    bool decrement = op->loop != IR_LOOP_COUNTER_ZERO, narrow = op->width == 2;
    uint32_t zero, condition = 0;

    if (!is_loop_edge(g, op->link))
        emit_fpu_settle(g, false);
    if (decrement)
        emit_lea(e, op->width, RCX, rm_base(RCX, -1));
    if (narrow) {
        emit_mov(e, 4, R9, RCX);
        emit_op_mixed(e, 4, 2, 0x0fb7, RCX, rm_register(RCX)); /* movzx ecx, cx */
    }
    zero = emit_jrcxz_short(e, false);
    if (narrow)
        emit_mov(e, 4, RCX, R9);
    if (decrement) {
        if (op->loop != IR_LOOP_COUNT)
            condition = emit_jcc_short(e, op->loop == IR_LOOP_WHILE_ZERO ? CC_NE : CC_E);
        emit_edge(g, op);
        emit_patch_short(e, zero, e->position);
        if (narrow)
            emit_mov(e, 4, RCX, R9);
        if (condition) { /* ecx is whole on that way */
            emit_patch_short(e, condition, e->position);
        }
        return;
    }
    uint32_t over = e->position + 1;
    emit_byte(e, 0xeb);
    emit_byte(e, 0);
    emit_patch_short(e, zero, e->position);
    if (narrow)
        emit_mov(e, 4, RCX, R9);
    emit_edge(g, op);
    emit_patch_short(e, over, e->position);
}

void emit_exit_stubs(struct generator *g)
{
    struct emitter *e = g->e;
    const struct native_thunks *t = g->request->thunks;

    for (unsigned link = 0; link < 2; link++) {
        struct native_exit *x = &g->result->exits[link];

        if (!x->used)
            continue;
        x->stub = e->position;
        mark_op(g, &g->block->ops[g->exit_op[link]]);
        for (unsigned i = 0; i < g->stub_jump_count[link]; i++)
            emit_patch(e, g->stub_jumps[link][i], e->position);
        if (link == 0 && g->result->indirect)
            emit_store(e, 8, CPU(state.rip), R8);
        emit_mov_immediate(e, 8, R8, (uint64_t)(uintptr_t)g->request->link_tokens[link]);
        emit_jmp(e, x->place & IR_PLACE_HOME ? t->leave_home : t->leave_eflags);
    }
    for (unsigned link = 0; link < 2; link++) {
        if (!g->guarded[link])
            continue;
        mark_op(g, &g->block->ops[g->exit_op[link]]);
        while (e->position & 7 && !e->overflow)
            emit_byte(e, 0xcc);
        g->result->exits[link].guard = e->position;
        emit_patch(e, g->guard_field[link], e->position);
        emit_64(e, 0); /* no execute entry is 1 with nothing behind it, and 0 means "nothing known" */
    }
}

void emit_call_op(struct generator *g, const struct ir_op *op)
{
    enum native_call_kind kind = op->opcode == IR_INTERPRET ? NATIVE_INTERPRET
                                 : op->opcode == IR_RAISE   ? NATIVE_RAISE
                                 : op->opcode == IR_TRACE   ? NATIVE_TRACE
                                                            : NATIVE_CALLOUT;
    struct native_call *call = add_call(g, op, kind);

    if (!call)
        return;
    emit_fpu_settle(g, true);
    if (op->a.kind == IR_VALUE_CONST)
        emit_mov_immediate(g->e, 4, R9, (uint32_t)op->a.value);
    else if (op->a.kind != IR_VALUE_NONE)
        emit_mov(g->e, 4, R9, register_of(g, op->a));
    emit_mov_immediate(g->e, 8, R8, (uint64_t)(uintptr_t)call);
    emit_call(g->e, g->request->thunks->call);
    if (call->ends)
        emit_jmp(g->e, g->request->thunks->lookup_other);
}

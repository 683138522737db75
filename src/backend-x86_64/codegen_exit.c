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

/* What stands on the way to OP's target: parks the flags and polls where the link asks for it. Ends in the jump. */
static void emit_edge(struct generator *g, const struct ir_op *op)
{
    struct emitter *e = g->e;
    unsigned link = op->link, place = op->place;
    enum ir_link_kind kind = g->block->links[link].kind;

    if (is_loop_edge(g, link)) {
        emit_loop_edge(g, op);
        return;
    }
    emit_count_link(g, link);
    if (kind != IR_LINK_FORWARD) {
        if (!(place & IR_PLACE_HOME))
            emit_park(e, R9, g->request->host_lahf);
        place = IR_PLACE_HOME;
        emit_alu_immediate(e, 4, 7, CPU(attention), 0, false);
        jump_to_stub(g, link, emit_jcc_forward(e, CC_NE));
        if (kind == IR_LINK_OTHER_PAGE)
            emit_guard(g, link);
    }
    emit_align_field(e, 1);
    use_link(g, link, place);
    g->result->exits[link].field = emit_jmp_forward(e);
    jump_to_stub(g, link, g->result->exits[link].field);
}

void emit_exit(struct generator *g, const struct ir_op *op)
{
    if (!is_loop_edge(g, op->link))
        emit_fpu_settle(g, false);
    emit_edge(g, op);
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
}

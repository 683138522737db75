/* The code generator: the walk over a block, and what its parts share. */
#include "backend-x86_64/codegen_private.h"

#include <stdlib.h>
#include <string.h>

struct tail *add_tail(struct generator *g, enum tail_kind kind)
{
    if (g->tail_count == MAX_TAILS) {
        g->failed = true;
        return NULL;
    }
    struct tail *tail = &g->tails[g->tail_count++];
    memset(tail, 0, sizeof *tail);
    tail->kind = (uint8_t)kind;
    tail->op = (uint16_t)g->index;
    tail->fpu = g->fpu;
    tail->apart = g->apart;
    return tail;
}

void add_site(struct generator *g, enum native_site_kind kind, uint32_t offset, uint32_t recovery)
{
    if (g->result->site_count == CODEGEN_MAX_SITES) {
        g->failed = true;
        return;
    }
    g->result->sites[g->result->site_count++] =
        (struct native_site){.offset = offset, .insn = g->block->ops[g->index].insn, .kind = (uint8_t)kind, .recovery = recovery};
}

struct native_call *add_call(struct generator *g, const struct ir_op *op, enum native_call_kind kind)
{
    if (g->result->call_count == g->request->call_capacity) {
        g->failed = true;
        return NULL;
    }
    struct native_call *call = &g->request->calls[g->result->call_count++];
    *call = (struct native_call){
        .kind = (uint8_t)kind,
        .vector = op->vector,
        .ends = (ir_op_table[op->opcode].effects & EFFECT_ENDS) || (op->opcode == IR_INTERPRET && op->loop) ||
                op->opcode == IR_STEP_FORWARD || op->opcode == IR_CHECK_SELECTOR,
        .remaining = (uint8_t)(g->block->insn_count - op->insn),
        .eip = g->block->insns[op->insn].eip,
        .next_eip = g->block->insns[op->insn].next,
        .row = g->block->insns[op->insn].row,
        .insn = op->insn,
    };
    if (kind == NATIVE_CALLOUT) {
        call->function = (callout_fn)op->function;
        call->args = op->aux;
    } else if (kind == NATIVE_INTERPRET) {
        call->interpreted = op->aux;
    } else if (kind == NATIVE_TRACE) {
        call->interpreted = g->request->trace_token;
    }
    return call;
}

void mark_op(struct generator *g, const struct ir_op *op)
{
    if (!g->request->marks || g->result->mark_count == g->request->mark_capacity)
        return;
    g->request->marks[g->result->mark_count++] =
        (struct codegen_mark){g->e->position, op ? op->n : -1, (int16_t)(op ? op->insn : -1)};
}

static void emit_charge(struct generator *g)
{
    struct tail *tail = add_tail(g, TAIL_CHARGE);

    if (!tail)
        return;
    emit_alu_immediate(g->e, 8, 5, CPU(budget), (int32_t)g->block->insn_count, false);
    tail->jumps[tail->jump_count++] = emit_jcc_forward(g->e, CC_S);
}

static void emit_second_page(struct generator *g)
{
    struct tail *tail = add_tail(g, TAIL_SECOND_PAGE);
    uint32_t second = (g->block->linear >> PAGE_SHIFT) + 1;

    if (!tail)
        return;
    emit_load(g->e, 8, R8, CPU(mmu.execute_table));
    emit_load(g->e, 8, R8, rm_base(R8, (int32_t)((second & 0xfffff) * 8)));
    emit_mov_immediate(g->e, 8, R9, g->request->second_entry);
    emit_op(g->e, 8, 0x39, R9, rm_register(R8));
    tail->jumps[tail->jump_count++] = emit_jcc_forward(g->e, CC_NE);
}

static void emit_step_forward(struct generator *g)
{
    struct tail *tail = add_tail(g, TAIL_CALL_LEAVE);

    if (!tail)
        return;
    emit_op_extension(g->e, 1, 0xf6, 0, rm_base(R15, NATIVE_OFFSET(state.system_flags) + 1)); /* test */
    emit_byte(g->e, FLAG_DF >> 8);
    tail->jumps[tail->jump_count++] = emit_jcc_forward(g->e, CC_NE);
}

static void emit_check_selector(struct generator *g, const struct ir_op *op)
{
    struct tail *tail = add_tail(g, TAIL_CALL_LEAVE);

    if (!tail)
        return;
    emit_alu_immediate(g->e, 4, 7, SEGMENT_FIELD(op->segment, limit), 0xffff, false);
    tail->jumps[tail->jump_count++] = emit_jcc_forward(g->e, CC_NE);
    emit_op_extension(g->e, 1, 0xf6, 0, SEGMENT_FIELD(op->segment, attributes)); /* test */
    emit_byte(g->e, 3u << SEGMENT_DPL_SHIFT);
    tail->jumps[tail->jump_count++] = emit_jcc_forward(g->e, CC_NE);
}

/* The base is selector * 16: by LEA, which leaves the flags alone. */
static void emit_set_selector(struct generator *g, const struct ir_op *op)
{
    unsigned selector = register_of(g, op->a);

    emit_store(g->e, 2, SEGMENT_FIELD(op->segment, selector), selector);
    emit_lea(g->e, 8, R8, rm_indexed(NO_REGISTER, selector, 3, 0));
    emit_lea(g->e, 8, R8, rm_indexed(R8, R8, 0, 0));
    emit_store(g->e, 8, SEGMENT_FIELD(op->segment, base), R8);
}

static void emit_check_target(struct generator *g, const struct ir_op *op)
{
    struct tail *tail = add_tail(g, TAIL_CALL_LEAVE);

    if (!tail)
        return;
    emit_op(g->e, 4, 0x3b, register_of(g, op->a), CPU(state.segment[SEG_CS].limit));
    tail->jumps[tail->jump_count++] = emit_jcc_forward(g->e, CC_A);
}

void emit_one(struct generator *g, const struct ir_op *op)
{
    mark_op(g, op);
    switch (op->opcode) {
    case IR_PROBE: emit_probe(g, op); break;
    case IR_SEGMENT: emit_segment(g, op); break;
    case IR_CHECK_TARGET: emit_check_target(g, op); break;
    case IR_STEP_FORWARD: emit_step_forward(g); break;
    case IR_CHECK_SELECTOR: emit_check_selector(g, op); break;
    case IR_SET_SELECTOR: emit_set_selector(g, op); break;
    case IR_SELECTOR:
        emit_op_mixed(g->e, 4, 2, 0x0fb7, register_of(g, op->dst), SEGMENT_FIELD(op->segment, selector)); /* movzx */
        break;
    case IR_REPEAT: emit_repeat(g, op); break;
    case IR_CHARGE: emit_charge(g); break;
    case IR_SECOND_PAGE: emit_second_page(g); break;
    case IR_COUNT: emit_count_execution(g); break;
    case IR_PARK: emit_park(g->e, scratch_register(g), g->request->host_lahf); break;
    case IR_UNPARK: emit_unpark(g->e, scratch_register(g), g->request->host_lahf); break;
    case IR_UNPARK_CARRY:
        emit_op_extension(g->e, 2, 0x0fba, 4, CPU(state.arithmetic_flags)); /* bt */
        emit_byte(g->e, 8);
        break;
    case IR_RECOMPUTE: emit_recipe(g, op->recipe, scratch_register(g)); break;
    case IR_EXIT: emit_exit(g, op); break;
    case IR_EXIT_IF: emit_exit_if(g, op); break;
    case IR_EXIT_LOOP: emit_exit_loop(g, op); break;
    case IR_FPU: emit_fpu(g, op); break;
    case IR_EXIT_INDIRECT: emit_exit_indirect(g, op); break;
    case IR_CALLOUT:
    case IR_EXIT_CALLOUT:
    case IR_INTERPRET:
    case IR_TRACE:
    case IR_RAISE: emit_call_op(g, op); break;
    default:
        if (!emit_plain_op(g, op))
            g->failed = true;
    }
}

/* ---- out of line ---- */

static void emit_call_and_leave(struct generator *g, const struct ir_op *op, const struct fpu_point *point)
{
    struct native_call *call = add_call(g, op, NATIVE_INTERPRET);

    if (!call)
        return;
    call->ends = true;
    emit_fpu_write_back(g, point);
    emit_flags_home(g, op);
    emit_mov_immediate(g->e, 8, R8, (uint64_t)(uintptr_t)call);
    emit_call(g->e, g->request->thunks->call);
    emit_jmp(g->e, g->request->thunks->lookup_other);
}

static void emit_tail(struct generator *g, const struct tail *tail)
{
    struct emitter *e = g->e;
    const struct ir_op *op = &g->block->ops[tail->op];

    g->index = tail->op;
    mark_op(g, op);
    for (unsigned i = 0; i < tail->jump_count; i++)
        emit_patch(e, tail->jumps[i], e->position);
    switch (tail->kind) {
    case TAIL_PROBE: emit_tail_probe(g, tail); break;
    case TAIL_SEGMENT: emit_tail_segment(g, tail); break;
    case TAIL_CALL_LEAVE: emit_call_and_leave(g, op, &tail->fpu); break;
    case TAIL_LOOP: emit_tail_loop(g, tail); break;
    case TAIL_REPEAT: emit_tail_repeat(g, tail); break;
    case TAIL_GROUP: emit_tail_group(g, tail); break;
    case TAIL_FPU_PROBE: emit_tail_fpu_probe(g, tail); break;
    case TAIL_FPU: emit_tail_fpu(g, tail); break;
    case TAIL_FORGET_CALLS: emit_tail_forget_calls(g, tail); break;
    case TAIL_MISS: emit_tail_miss(g, tail); break;
    case TAIL_CHARGE:
        emit_alu_immediate(e, 8, 0, CPU(budget), (int32_t)g->block->insn_count, false);
        emit_mov_immediate(e, 4, R8, g->block->eip);
        emit_store(e, 8, CPU(state.rip), R8);
        emit_mov_immediate(e, 4, R8, NATIVE_LEAVE_BUDGET);
        emit_jmp(e, g->request->thunks->leave_home);
        break;
    case TAIL_SECOND_PAGE:
        emit_mov_immediate(e, 4, R8, g->block->eip);
        emit_jmp(e, g->request->thunks->leave_at_home);
        break;
    case TAIL_DIVIDE:
        add_site(g, SITE_DIVIDE, tail->site, e->position);
        emit_fpu_write_back(g, &tail->fpu);
        emit_flags_home(g, op);
        emit_byte(e, 0x4c); /* lea r8, [rip + rel32] */
        emit_byte(e, 0x8d);
        emit_byte(e, 0x05);
        emit_32(e, tail->site - (e->position + 4));
        emit_jmp(e, g->request->thunks->divide);
        break;
    }
}

/* Does anything from op FIRST on look for the guest's flags in EFLAGS before something else is put there? */
static bool wants_eflags(const struct ir_block *block, unsigned first)
{
    for (unsigned i = first; i < block->op_count; i++) {
        const struct ir_op *op = &block->ops[i];
        uint16_t effects = ir_op_table[op->opcode].effects;

        if (effects & (EFFECT_CLOBBERS_FLAGS | EFFECT_CALL))
            return false;
        if (op->read || (op->written && op->written != IRF_ALL) ||
            ((effects & EFFECT_EXIT) && op->place != IR_PLACE_HOME))
            return true;
        if (op->written == IRF_ALL)
            return false;
    }
    return false;
}

/* The entry for those who have the flags at home. A PARK at the beginning is not for them. */
static void emit_entry_home(struct generator *g)
{
    const struct ir_block *block = g->block;
    bool parks = block->op_count && block->ops[0].opcode == IR_PARK, unpark = wants_eflags(block, parks);
    uint32_t start = parks ? g->op_end[0] : g->result->entry_eflags;

    emit_loop_entry(g, parks ? g->op_end[0] : g->loop_head, unpark);
    g->result->entry_home = start;
    if (!unpark && !(parks && g->loop_xmm))
        return;
    g->result->entry_home = g->e->position;
    if (parks)
        emit_xmm_reload(g, g->loop_xmm);
    if (unpark)
        emit_unpark(g->e, R9, g->request->host_lahf);
    emit_jmp(g->e, start);
}

bool codegen(const struct codegen_request *request, struct emitter *e, struct codegen_result *result)
{
    struct generator *g = malloc(sizeof *g);

    if (!g)
        return false;
    g->request = request;
    g->block = request->block;
    g->e = e;
    g->result = result;
    g->failed = false;
    g->linear = R8;
    g->tail_count = 0;
    memset(&g->fpu, 0, sizeof g->fpu);
    memset(g->stub_jump_count, 0, sizeof g->stub_jump_count);
    memset(g->guarded, 0, sizeof g->guarded);
    memset(result->exits, 0, sizeof result->exits);
    result->call_count = result->site_count = result->mark_count = 0;
    result->indirect = false;
    result->entry_eflags = e->position;
    g->in_group = g->apart = false;
    find_groups(g);
    assign_temps(g);
    find_loop(g);
    emit_loop_head(g);
    for (g->index = 0; g->index < g->block->op_count && !g->failed; g->index++) {
        unsigned i = g->index;

        emit_one(g, &g->block->ops[i]);
        g->op_end[i] = e->position;
        g->xmm_valid_after[i] = g->fpu.xmm_valid;
    }
    result->hot_end = e->position;
    mark_op(g, NULL);
    emit_entry_home(g);
    for (unsigned i = 0; i < g->tail_count && !g->failed; i++)
        emit_tail(g, &g->tails[i]);
    emit_exit_stubs(g);
    result->end = e->position;
    bool ok = !g->failed && !e->overflow && !g->block->overflow;
    free(g);
    return ok;
}

/* x87, MMX and SSE instructions as themselves.
 *
 * x87 and MMX registers are the host's all the time.  Guest XMM registers live in the vCPU; within a block they are loaded
 * into the host registers of the same number when first needed and written back where the block is left.  The x87
 * instruction pointer, opcode and data segment are written down there too, for the last instruction that set them; the data
 * pointer, which only a register knows, at once. */
#include "backend-x86_64/codegen_private.h"

#define ALL_XMM 8u

static struct operand_rm xmm_home(unsigned n)
{
    return rm_base(R15, (int32_t)(offsetof(struct vcpu, state.xmm) + n * sizeof(union xmm_register)));
}

void emit_xmm_reload(struct generator *g, unsigned set)
{
    for (unsigned n = 0; n < ALL_XMM; n++)
        if (set >> n & 1)
            emit_op(g->e, 4, 0x0f28, n, xmm_home(n)); /* movaps */
}

static void emit_selector(struct generator *g, unsigned segment, int32_t to)
{
    int32_t from = (int32_t)(offsetof(struct vcpu, state.segment) + segment * sizeof(struct segment) +
                             offsetof(struct segment, selector));

    emit_op_mixed(g->e, 4, 2, 0x0fb7, R9, rm_base(R15, from)); /* movzx */
    emit_store(g->e, 2, rm_base(R15, to), R9);
}

void emit_fpu_write_back(struct generator *g, const struct fpu_point *point)
{
    for (unsigned n = 0; n < ALL_XMM; n++)
        if (point->xmm_dirty >> n & 1)
            emit_op(g->e, 4, 0x0f29, n, xmm_home(n));
    if (point->pointers) {
        const struct ir_op *op = &g->block->ops[point->pointers - 1];

        emit_store_immediate(g->e, 4, CPU(state.x87.fip), (int32_t)g->block->insns[op->insn].eip);
        emit_mov_immediate(g->e, 4, R9, op->fpu.fop);
        emit_store(g->e, 2, CPU(state.x87.fop), R9);
        emit_selector(g, SEG_CS, NATIVE_OFFSET(state.x87.fcs));
    }
    if (point->data)
        emit_selector(g, g->block->ops[point->data - 1].fpu.segment, NATIVE_OFFSET(state.x87.fds));
}

void emit_fpu_settle(struct generator *g, bool call)
{
    emit_fpu_write_back(g, &g->fpu);
    g->fpu.xmm_dirty = 0;
    g->fpu.pointers = g->fpu.data = 0;
    if (call)
        g->fpu.xmm_valid = 0;
}

/* ---- operands ---- */

/* In-page proof by the offset in the page: doubles of 32-bit code are often aligned to 4 only. */
void emit_fpu_probe_test(struct generator *g, const struct ir_op *op, struct tail *tail)
{
    struct emitter *e = g->e;

    if (op->probe == IR_PROBE_FPU_ALIGNED) {
        emit_op_extension(e, 1, 0xf6, 0, rm_register(g->linear)); /* test */
        emit_byte(e, 15);
        tail->jumps[tail->jump_count++] = emit_jcc_forward(e, CC_NE);
    } else if (op->size > 1) {
        emit_mov(e, 4, R9, g->linear);
        emit_alu_immediate(e, 4, 4, rm_register(R9), PAGE_MASK, false);
        emit_alu_immediate(e, 4, 7, rm_register(R9), (int32_t)(PAGE_SIZE - op->size), false);
        tail->jumps[tail->jump_count++] = emit_jcc_forward(e, CC_A);
    }
}

static unsigned find_access(const struct generator *g, unsigned probe)
{
    unsigned i = probe + 1;

    while (i < g->block->op_count && g->block->ops[i].opcode != IR_FPU)
        i++;
    return i;
}

/* Out of line: perhaps only the TLB entry was missing; else the interpreter does the instruction, and the block goes on
 * behind it. */
void emit_tail_fpu_probe(struct generator *g, const struct tail *tail)
{
    struct emitter *e = g->e;
    const struct ir_op *probe = &g->block->ops[tail->op];
    unsigned access = find_access(g, tail->op);
    unsigned what = probe->size | (probe->access == IR_ACCESS_WRITE ? 0x100u : 0) |
                    (probe->probe == IR_PROBE_FPU_ALIGNED ? 0x200u : 0);

    if (access == g->block->op_count) {
        g->failed = true;
        return;
    }
    const struct ir_op *op = &g->block->ops[access];
    emit_fpu_write_back(g, &tail->fpu);
    emit_flags_home(g, probe);
    if (tail->linear != R8)
        emit_mov(e, 4, R8, tail->linear);
    emit_mov_immediate(e, 4, R9, what);
    emit_call(e, g->request->thunks->fpu_operand);
    add_site(g, SITE_CALL, e->position, 0); /* for the profile */
    uint32_t interpreted = emit_jcc_forward(e, CC_E);
    emit_xmm_reload(g, tail->fpu.xmm_valid);
    emit_jmp(e, tail->resume);

    emit_patch(e, interpreted, e->position);
    struct native_call *call = add_call(g, op, NATIVE_INTERPRET);
    if (!call)
        return;
    emit_mov_immediate(e, 8, R8, (uint64_t)(uintptr_t)call);
    emit_call(e, g->request->thunks->call);
    emit_xmm_reload(g, g->xmm_valid_after[access]);
    emit_unpark(e, R9, g->request->host_lahf); /* the op itself or a RECOMPUTE before it may have put them into EFLAGS */
    emit_jmp(e, tail->apart ? g->end_apart[access] : g->op_end[access]);
}

/* ---- the instruction ---- */

static void emit_encoding(struct generator *g, const struct ir_op *op)
{
    const struct ir_fpu *f = &op->fpu;
    struct emitter *e = g->e;
    bool memory = op->dst.kind == IR_VALUE_MEM || op->a.kind == IR_VALUE_MEM;
    struct ir_value general = op->dst.kind == IR_VALUE_GUEST ? op->dst : op->a;
    unsigned reg = f->modrm >> 3 & 7;
    struct operand_rm rm = memory ? rm_of_probe(g) : rm_register(f->modrm & 7);

    if (f->reg_is_gpr)
        reg = register_of(g, general);
    if (f->rm_is_gpr)
        rm = rm_register(register_of(g, general));
    if (f->prefix)
        emit_byte(e, f->prefix);
    if (!f->has_modrm) {
        if (f->map == 1)
            emit_byte(e, 0x0f);
        emit_byte(e, f->opcode);
    } else if (f->map <= 1) {
        emit_op(e, 4, (f->map ? 0x0f00u : 0) | f->opcode, reg, rm);
    } else {
        g->failed = true; /* 0F 38 and 0F 3A: nothing of SSE2 or before */
    }
    if (f->has_immediate)
        emit_byte(e, f->immediate);
}

static void add_fpu_site(struct generator *g, uint32_t offset, uint32_t recovery, const struct fpu_point *point)
{
    add_site(g, SITE_FPU, offset, recovery);
    if (g->failed)
        return;
    struct native_site *site = &g->result->sites[g->result->site_count - 1];
    site->xmm_dirty = point->xmm_dirty;
    site->pointer_insn = NO_POINTER;
    site->data_segment = NO_SEGMENT;
    if (point->pointers) {
        const struct ir_op *op = &g->block->ops[point->pointers - 1];

        site->pointer_insn = op->insn;
        site->fop = op->fpu.fop;
    }
    if (point->data)
        site->data_segment = g->block->ops[point->data - 1].fpu.segment;
}

/* The linear address of the operand, which a group's pointer does not tell. */
static void emit_data_pointer(struct generator *g)
{
    unsigned probe = g->index;

    if (g->in_group) {
        while (g->block->ops[probe].opcode != IR_PROBE)
            probe--;
        const struct ir_address *a = &g->block->ops[probe].address;
        bool base = a->base.kind != IR_VALUE_NONE, index = a->index.kind != IR_VALUE_NONE;
        if (!base && !index)
            emit_mov_immediate(g->e, 4, R8, (uint32_t)a->displacement);
        else
            emit_lea(g->e, 4, R8,
                     rm_indexed(base ? register_of(g, a->base) : NO_REGISTER, index ? register_of(g, a->index) : NO_REGISTER,
                                a->scale, a->displacement));
    }
    emit_store(g->e, 4, CPU(state.x87.fdp), g->in_group ? R8 : g->linear);
}

void emit_fpu(struct generator *g, const struct ir_op *op)
{
    const struct ir_fpu *f = &op->fpu;
    unsigned missing = f->xmm_read & ~(unsigned)g->fpu.xmm_valid & 0xffu;

    emit_xmm_reload(g, missing);
    g->fpu.xmm_valid |= (uint8_t)missing;
    uint32_t at = g->e->position;
    emit_encoding(g, op);
    if (op->recipe == IR_NO_RECIPE) {
        add_fpu_site(g, at, 0, &g->fpu);
    } else {
        struct tail *tail = add_tail(g, TAIL_FPU);

        if (tail)
            tail->site = at;
    }
    g->fpu.xmm_valid |= (uint8_t)f->xmm_written;
    g->fpu.xmm_dirty |= (uint8_t)f->xmm_written;
    if (f->notes_pointers) {
        g->fpu.pointers = (uint16_t)(g->index + 1);
        if (op->dst.kind == IR_VALUE_MEM || op->a.kind == IR_VALUE_MEM) {
            emit_data_pointer(g);
            g->fpu.data = (uint16_t)(g->index + 1);
        }
    }
}

/* The host faulted there: the flags come home, then the interpreter does the instruction. */
void emit_tail_fpu(struct generator *g, const struct tail *tail)
{
    add_fpu_site(g, tail->site, g->e->position, &tail->fpu);
    emit_flags_home(g, &g->block->ops[tail->op]);
    emit_mov_immediate(g->e, 4, R8, NATIVE_LEAVE_STEP);
    emit_jmp(g->e, g->request->thunks->leave_home);
}

/* Guest memory: the inline TLB probe, segment checks, and their out-of-line parts. */
#include "backend-x86_64/codegen_private.h"

static bool names_high_byte(const struct ir_op *op)
{
    return op->dst.kind == IR_VALUE_HIGH || op->a.kind == IR_VALUE_HIGH || op->b.kind == IR_VALUE_HIGH;
}

/* May guest register NUMBER serve as the linear address until the last use of the operand? Not if it changes before, or
 * if the bytes of a register are swapped around the access (it might be this one). */
static bool stays_until_use(const struct generator *g, unsigned index, unsigned number)
{
    const struct ir_block *block = g->block;
    unsigned last = index;

    for (unsigned i = index + 1; i < block->op_count && block->ops[i].insn == block->ops[index].insn; i++) {
        if (block->ops[i].opcode == IR_PROBE)
            break;
        if (!uses_mem(&block->ops[i]))
            continue;
        if (names_high_byte(&block->ops[i]))
            return false;
        last = i;
    }
    for (unsigned i = index + 1; i < last; i++)
        if (ir_writes_guest(&block->ops[i], number))
            return false;
    return true;
}

/* Brings the linear address into a register and returns it. */
static unsigned emit_linear(struct generator *g, const struct ir_op *op)
{
    const struct ir_address *a = &op->address;
    bool base = a->base.kind != IR_VALUE_NONE, index = a->index.kind != IR_VALUE_NONE;

    if (!base && !index) {
        emit_mov_immediate(g->e, 4, R8, (uint32_t)a->displacement);
        return R8;
    }
    if (base && !index && a->displacement == 0) {
        unsigned reg = register_of(g, a->base);

        if (a->base.kind == IR_VALUE_TEMP || stays_until_use(g, g->index, a->base.number))
            return reg;
        emit_mov(g->e, 4, R8, reg);
        return R8;
    }
    emit_lea(g->e, 4, R8,
             rm_indexed(base ? register_of(g, a->base) : NO_REGISTER, index ? register_of(g, a->index) : NO_REGISTER,
                        a->scale, a->displacement));
    return R8;
}

void emit_probe(struct generator *g, const struct ir_op *op)
{
    struct emitter *e = g->e;
    bool constant = op->address.base.kind == IR_VALUE_NONE && op->address.index.kind == IR_VALUE_NONE;
    unsigned table = op->access == IR_ACCESS_READ ? R13 : R12;

    if (g->group_of[g->index] && !g->apart) {
        emit_group_probe(g, op);
        return;
    }
    g->in_group = false;
    struct tail *tail = add_tail(g, op->probe == IR_PROBE_INTEGER ? TAIL_PROBE : TAIL_FPU_PROBE);

    if (!tail)
        return;
    g->linear = (uint8_t)emit_linear(g, op);
    tail->linear = g->linear;
    if (op->probe != IR_PROBE_INTEGER) {
        emit_fpu_probe_test(g, op, tail);
        emit_mov(e, 4, R9, g->linear);
        emit_op_extension(e, 4, 0xc1, 5, rm_register(R9)); /* shr */
        emit_byte(e, PAGE_SHIFT);
        emit_load(e, 8, R9, rm_indexed(table, R9, 3, 0));
        emit_op(e, 8, 0x85, R9, rm_register(R9));
        tail->jumps[tail->jump_count++] = emit_jcc_forward(e, CC_E);
        tail->resume = e->position;
        return;
    }
    if (constant && ((uint32_t)op->address.displacement & (op->size - 1u))) {
        tail->jumps[tail->jump_count++] = emit_jmp_forward(e); /* misaligned for certain */
        tail->resume = e->position;
        return;
    }
    if (constant) {
        uint32_t page = (uint32_t)op->address.displacement >> PAGE_SHIFT;

        emit_load(e, 8, R9, rm_base(table, (int32_t)(page * 8)));
    } else {
        emit_mov(e, 4, R9, g->linear);
        emit_op_extension(e, 4, 0xc1, 5, rm_register(R9)); /* shr */
        emit_byte(e, PAGE_SHIFT);
        if (op->size > 1) {
            emit_op_extension(e, 1, 0xf6, 0, rm_register(g->linear)); /* test */
            emit_byte(e, op->size - 1u);
            tail->jumps[tail->jump_count++] = emit_jcc_forward(e, CC_NE);
        }
        emit_load(e, 8, R9, rm_indexed(table, R9, 3, 0));
    }
    emit_op(e, 8, 0x85, R9, rm_register(R9));
    tail->jumps[tail->jump_count++] = emit_jcc_forward(e, CC_E);
    tail->resume = e->position;
}

void emit_flags_home(struct generator *g, const struct ir_op *op)
{
    if (op->recipe == IR_NO_RECIPE)
        return;
    emit_recipe(g, op->recipe, R9);
    emit_park(g->e, R9, g->request->host_lahf);
}

static struct operand_rm segment_end(unsigned segment, enum ir_access access)
{
    return access == IR_ACCESS_READ ? SEGMENT_FIELD(segment, read_end) : SEGMENT_FIELD(segment, write_end);
}

static void emit_segment_call(struct generator *g, unsigned segment, enum ir_access access, unsigned size)
{
    emit_mov_immediate(g->e, 4, R9, segment | (access == IR_ACCESS_READ ? 0u : 8u) | size << 8);
    emit_call(g->e, g->request->thunks->segment);
    add_site(g, SITE_CALL, g->e->position, 0);
}

/* r8: linear address of an operand whose segment's limit was left to the alignment test: it may straddle the end. */
static void emit_straddle_check(struct generator *g, const struct ir_op *op, unsigned segment)
{
    struct emitter *e = g->e;

    emit_mov(e, 4, R9, R8);
    emit_op(e, 4, 0x2b, R9, SEGMENT_FIELD(segment, base));
    emit_alu_immediate(e, 8, 0, rm_register(R9), op->size, false);
    emit_op(e, 8, 0x3b, R9, segment_end(segment, op->access));
    uint32_t fits = emit_jcc_short(e, CC_BE);
    emit_lea(e, 4, R8, rm_base(R9, -(int32_t)op->size));
    emit_segment_call(g, segment, op->access, op->size);
    emit_patch_short(e, fits, e->position);
}

/* Leaves at the end of the present instruction: r8d = where to go on. */
static void emit_leave_after(struct generator *g, unsigned index, bool in_eflags)
{
    const struct ir_block *block = g->block;
    unsigned insn = block->ops[index].insn;
    uint32_t eip = block->insns[insn].next;
    bool indirect = false;

    for (unsigned i = index + 1; i < block->op_count && block->ops[i].insn == insn; i++) {
        const struct ir_op *op = &block->ops[i];

        if (op->opcode == IR_EXIT) {
            eip = block->links[op->link].eip;
        } else if (op->opcode == IR_EXIT_INDIRECT) {
            emit_op(g->e, 4, 0x8b, R8, rm_of(g, op->a));
            indirect = true;
        } else if (op->opcode != IR_PARK && op->opcode != IR_UNPARK && op->opcode != IR_UNPARK_CARRY &&
                   op->opcode != IR_RECOMPUTE) {
            g->index = i;
            emit_one(g, op);
            if (op->written)
                in_eflags = true;
        }
    }
    if (!indirect)
        emit_mov_immediate(g->e, 4, R8, eip);
    if (g->request->counted && insn + 1u < block->insn_count) { /* gives back what was charged for those behind it */
        emit_load(g->e, 8, R9, CPU(budget));
        emit_lea(g->e, 8, R9, rm_base(R9, (int32_t)(block->insn_count - insn - 1)));
        emit_store(g->e, 8, CPU(budget), R9);
    }
    emit_jmp(g->e, in_eflags ? g->request->thunks->leave_at_eflags : g->request->thunks->leave_at_home);
}

/* Whether the instruction of op number INDEX leaves some flags as they were. What comes behind it may not ask for those, but
 * who leaves there does. */
static bool keeps_flags(const struct ir_block *block, unsigned index)
{
    for (unsigned i = index; i < block->op_count && block->ops[i].insn == block->ops[index].insn; i++)
        if (block->ops[i].written && block->ops[i].written != IRF_ALL)
            return true;
    return false;
}

/* The operand is a bounce buffer: the ops up to the access once more, then the store itself. */
static void emit_bounced(struct generator *g, unsigned probe, const struct tail *tail)
{
    const struct ir_block *block = g->block;
    unsigned i = probe + 1;

    if (keeps_flags(block, i)) {
        emit_plus_register(g->e, 4, 0x50, R8); /* push */
        emit_unpark(g->e, R8, g->request->host_lahf);
        emit_plus_register(g->e, 4, 0x58, R8); /* pop */
    }
    for (; i < block->op_count; i++) {
        g->index = i;
        emit_one(g, &block->ops[i]);
        if (uses_mem(&block->ops[i]))
            break;
    }
    if (i >= block->op_count) {
        g->failed = true;
        return;
    }
    emit_call(g->e, g->request->thunks->commit);
    uint32_t stay = emit_jmp_forward(g->e);
    emit_leave_after(g, i, block->ops[i].written != 0);
    emit_patch(g->e, stay, g->e->position);
    emit_xmm_reload(g, tail->fpu.xmm_valid);
    emit_jmp(g->e, tail->apart ? g->end_apart[i] : g->op_end[i]);
}

void emit_tail_probe(struct generator *g, const struct tail *tail)
{
    const struct ir_op *op = &g->block->ops[tail->op];
    const struct native_thunks *t = g->request->thunks;
    const uint32_t *thunk = op->access == IR_ACCESS_READ ? t->read : op->access == IR_ACCESS_WRITE ? t->write : t->update;
    unsigned segment = 0;

    if (op->address.base.kind == IR_VALUE_TEMP && op->address.index.kind == IR_VALUE_NONE && !op->address.displacement)
        segment = g->segment_of_temp[op->address.base.number];
    g->linear = tail->linear;
    g->in_group = false;
    g->apart = true; /* what is emitted again stands alone */
    emit_fpu_write_back(g, &tail->fpu);
    emit_flags_home(g, op);
    if (tail->linear != R8)
        emit_mov(g->e, 4, R8, tail->linear);
    if (segment && op->size > 1)
        emit_straddle_check(g, op, segment - 1);
    emit_call(g->e, thunk[width_index(op->size)]);
    add_site(g, SITE_CALL, g->e->position, 0);
    if (op->access == IR_ACCESS_READ) /* others come back to here only if nothing was called */
        emit_xmm_reload(g, tail->fpu.xmm_valid);
    emit_jmp(g->e, tail->resume);
    g->apart = tail->apart;
    if (op->access != IR_ACCESS_READ)
        emit_bounced(g, tail->op, tail);
}

void emit_segment(struct generator *g, const struct ir_op *op)
{
    struct emitter *e = g->e;
    unsigned to = register_of(g, op->dst);
    const struct ir_address *a = &op->address;
    bool base = a->base.kind != IR_VALUE_NONE, index = a->index.kind != IR_VALUE_NONE;
    struct operand_rm address =
        rm_indexed(base ? register_of(g, a->base) : NO_REGISTER, index ? register_of(g, a->index) : NO_REGISTER, a->scale,
                   a->displacement);
    bool only_base = base && !index && !a->displacement;

    if (!base && !index) {
        emit_mov_immediate(e, 4, to, op->width == 2 ? (uint16_t)a->displacement : (uint32_t)a->displacement);
    } else if (op->width == 2 && only_base) {
        emit_op_mixed(e, 4, 2, 0x0fb7, to, rm_register(address.base));
    } else {
        emit_lea(e, 4, to, address);
        if (op->width == 2)
            emit_op_mixed(e, 4, 2, 0x0fb7, to, rm_register(to));
    }
    if (MODE_SHAPE(g->block->mode, op->segment) == SHAPE_64K && op->width == 2) {
        g->segment_of_temp[op->dst.number] = (uint8_t)(op->segment + 1);
    } else {
        struct tail *tail = add_tail(g, TAIL_SEGMENT);

        if (!tail)
            return;
        emit_lea(e, 8, R9, rm_base(to, op->size));
        emit_op(e, 8, 0x3b, R9, segment_end(op->segment, op->access));
        tail->jumps[tail->jump_count++] = emit_jcc_forward(e, CC_A);
    }
    emit_op(e, 4, 0x03, to, SEGMENT_FIELD(op->segment, base));
    if (g->tail_count && g->tails[g->tail_count - 1].op == g->index)
        g->tails[g->tail_count - 1].resume = e->position;
}

void emit_tail_segment(struct generator *g, const struct tail *tail)
{
    const struct ir_op *op = &g->block->ops[tail->op];
    unsigned to = register_of(g, op->dst);

    emit_fpu_write_back(g, &tail->fpu);
    emit_flags_home(g, op);
    emit_mov(g->e, 4, R8, to);
    emit_segment_call(g, op->segment, op->access, op->size);
    emit_xmm_reload(g, tail->fpu.xmm_valid);
    emit_mov(g->e, 4, to, R8);
    emit_jmp(g->e, tail->resume);
}

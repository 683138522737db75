/* REP MOVS and STOS with the host's own, on host addresses: as long as each operand lies in one page of plain memory, within
 * its segment, and the direction is up. All else is the interpreter's, behind whose operation the block goes on. */
#include "backend-x86_64/codegen_private.h"

static void slow_if(struct generator *g, struct tail *tail, enum condition condition)
{
    uint32_t field = emit_jcc_forward(g->e, condition);

    if (tail->jump_count == TAIL_JUMPS)
        g->failed = true;
    else
        tail->jumps[tail->jump_count++] = field;
}

/* Host register TO = address on the host of the operand that the guest's INDEX register points to, R11 bytes long; r9 is
 * lost, and r8 unless it is TO. */
static void emit_pointer(struct generator *g, const struct ir_op *op, struct tail *tail, unsigned segment, unsigned index,
                         bool write, unsigned to)
{
    struct emitter *e = g->e;

    if (op->width == 2)
        emit_op_mixed(e, 4, 2, 0x0fb7, R8, rm_register(index)); /* movzx */
    else
        emit_mov(e, 4, R8, index);
    if (MODE_SHAPE(g->block->mode, segment) != SHAPE_FLAT || op->width == 2) {
        emit_lea(e, 8, R9, rm_indexed(R8, R11, 0, 0));
        if (op->width == 2) { /* where the index wraps, whatever the segment's end */
            emit_alu_immediate(e, 8, 7, rm_register(R9), 0x10000, false);
            slow_if(g, tail, CC_A);
        }
    }
    if (MODE_SHAPE(g->block->mode, segment) != SHAPE_FLAT) {
        if (MODE_SHAPE(g->block->mode, segment) != SHAPE_64K || op->width != 2 || segment == SEG_CS) {
            emit_op(e, 8, 0x3b, R9, write ? SEGMENT_FIELD(segment, write_end) : SEGMENT_FIELD(segment, read_end));
            slow_if(g, tail, CC_A);
        }
        emit_op(e, 4, 0x03, R8, SEGMENT_FIELD(segment, base));
    }
    emit_mov(e, 4, R9, R8);
    emit_alu_immediate(e, 4, 4, rm_register(R9), PAGE_MASK, false);
    emit_op(e, 8, 0x03, R9, rm_register(R11));
    emit_alu_immediate(e, 8, 7, rm_register(R9), PAGE_SIZE, false);
    slow_if(g, tail, CC_A);
    emit_mov(e, 4, R9, R8);
    emit_op_extension(e, 4, 0xc1, 5, rm_register(R9)); /* shr */
    emit_byte(e, PAGE_SHIFT);
    emit_load(e, 8, R9, rm_indexed(write ? R12 : R13, R9, 3, 0));
    emit_op(e, 8, 0x85, R9, rm_register(R9));
    slow_if(g, tail, CC_E);
    emit_lea(e, 8, to, rm_indexed(R9, R8, 0, 0));
}

static void emit_exchange(struct generator *g, unsigned a, unsigned b)
{
    emit_op(g->e, 8, 0x87, a, rm_register(b));
}

/* The host's instruction left the host address behind the operand in INDEX and the guest's index in SAVED. */
static void emit_advance(struct generator *g, const struct ir_op *op, unsigned index, unsigned saved)
{
    emit_mov(g->e, 8, index, saved);
    emit_lea(g->e, op->width, index, rm_indexed(index, R11, 0, 0));
}

void emit_repeat(struct generator *g, const struct ir_op *op)
{
    struct emitter *e = g->e;
    struct tail *tail = add_tail(g, TAIL_REPEAT);
    bool moves = op->loop == IR_REPEAT_MOVS;
    unsigned scale = op->size == 1 ? 0 : op->size == 2 ? 1 : 2;

    if (!tail)
        return;
    emit_op_extension(e, 1, 0xf6, 0, rm_base(R15, NATIVE_OFFSET(state.system_flags) + 1)); /* test */
    emit_byte(e, FLAG_DF >> 8);
    slow_if(g, tail, CC_NE);
    if (op->width == 2)
        emit_op_mixed(e, 4, 2, 0x0fb7, R11, rm_register(RCX)); /* movzx */
    else
        emit_mov(e, 4, R11, RCX);
    if (scale)
        emit_lea(e, 8, R11, rm_indexed(NO_REGISTER, R11, scale, 0));
    if (moves)
        emit_pointer(g, op, tail, op->segment, RSI, false, R10);
    emit_pointer(g, op, tail, SEG_ES, RDI, true, R8);
    emit_exchange(g, RDI, R8);
    if (moves)
        emit_exchange(g, RSI, R10);
    if (op->width == 2) { /* the upper half of ECX stays */
        emit_mov(e, 4, R9, RCX);
        emit_op_mixed(e, 4, 2, 0x0fb7, RCX, rm_register(RCX));
    }
    emit_byte(e, 0xf3);
    if (op->size == 2)
        emit_byte(e, 0x66);
    emit_byte(e, (moves ? 0xa4u : 0xaau) | (op->size > 1));
    if (op->width == 2) {
        emit_mov(e, 4, RCX, R9);
        emit_alu_immediate(e, 4, 4, rm_register(RCX), ~0xffff, false);
    }
    emit_advance(g, op, RDI, R8);
    if (moves)
        emit_advance(g, op, RSI, R10);
    tail->resume = e->position;
}

void emit_tail_repeat(struct generator *g, const struct tail *tail)
{
    const struct ir_op *op = &g->block->ops[tail->op];
    struct native_call *call = add_call(g, op, NATIVE_INTERPRET);

    if (!call)
        return;
    emit_fpu_write_back(g, &tail->fpu);
    emit_flags_home(g, op);
    emit_mov_immediate(g->e, 8, R8, (uint64_t)(uintptr_t)call);
    emit_call(g->e, g->request->thunks->call);
    emit_xmm_reload(g, tail->fpu.xmm_valid);
    emit_jmp(g->e, tail->resume);
}

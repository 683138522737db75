/* Ops that turn back into one host instruction. */
#include "backend-x86_64/codegen_private.h"

unsigned register_of(struct generator *g, struct ir_value value)
{
    switch (value.kind) {
    case IR_VALUE_GUEST:
        return value.number == GPR_SP ? R14 : value.number;
    case IR_VALUE_HIGH:
        return HOST_AH + value.number;
    case IR_VALUE_TEMP:
        if (g->temp_register[value.number] != NO_TEMP_REGISTER)
            return g->temp_register[value.number];
        break;
    default:
        break;
    }
    g->failed = true;
    return R10;
}

struct operand_rm rm_of(struct generator *g, struct ir_value value)
{
    if (value.kind == IR_VALUE_MEM)
        return rm_of_probe(g);
    return rm_register(register_of(g, value));
}

struct operand_rm rm_of_probe(const struct generator *g)
{
    return g->in_group ? rm_base(g->linear, g->group_offset) : rm_indexed(R9, g->linear, 0, 0);
}

unsigned scratch_register(struct generator *g)
{
    unsigned available = g->free_at[g->index];

    if (g->apart && g->group_of[g->index] && g->groups[g->group_of[g->index] - 1].range_count > 1)
        available |= FREE_R10 | FREE_R11; /* the ranges have no registers there, and there are no temps */
    if (available & FREE_R9)
        return R9;
    if (available & FREE_R11)
        return R11;
    if (available & FREE_R10)
        return R10;
    if (g->linear != R8)
        return R8;
    g->failed = true;
    return R11;
}

/* ---- AH CH DH BH cannot be named beside anything that needs a REX prefix: the two bytes of the register change places
 * around the instruction ---- */

static bool wants_rex(struct ir_value value)
{
    return value.kind == IR_VALUE_MEM || value.kind == IR_VALUE_TEMP ||
           (value.kind == IR_VALUE_GUEST && value.number >= GPR_SP);
}

static void swap_bytes(struct generator *g, unsigned number)
{
    emit_op(g->e, 1, 0x86, HOST_AH + number, rm_register(number)); /* xchg */
}

/* Makes high bytes of OP low ones; returns the set of swapped registers. */
static unsigned swap_high_bytes(struct generator *g, struct ir_op *op)
{
    struct ir_value *values[3] = {&op->dst, &op->a, &op->b};
    unsigned swapped = 0;
    bool rex = false;

    for (unsigned i = 0; i < 3; i++)
        rex |= wants_rex(*values[i]);
    if (!rex)
        return 0;
    for (unsigned i = 0; i < 3; i++) {
        if (values[i]->kind != IR_VALUE_HIGH)
            continue;
        if (!(swapped >> values[i]->number & 1))
            swap_bytes(g, values[i]->number);
        swapped |= 1u << values[i]->number;
        values[i]->kind = IR_VALUE_GUEST;
    }
    return swapped;
}

static void emit_binary(struct generator *g, const struct ir_op *op, unsigned number)
{
    unsigned w = op->width, lock = op->lock ? EMIT_LOCK : 0;

    if (op->a.kind == IR_VALUE_CONST)
        emit_alu_immediate(g->e, w, number, rm_of(g, op->dst), op->a.value, op->lock);
    else if (op->a.kind == IR_VALUE_MEM)
        emit_op(g->e, w, number << 3 | (w == 1 ? 2 : 3), register_of(g, op->dst), rm_of(g, op->a));
    else
        emit_op(g->e, w, number << 3 | (w == 1 ? 0 : 1) | lock, register_of(g, op->a), rm_of(g, op->dst));
}

static void emit_constant_tail(struct generator *g, unsigned width, int32_t value)
{
    for (unsigned i = 0; i < (width > 4 ? 4 : width); i++)
        emit_byte(g->e, (uint32_t)value >> (8 * i) & 0xff);
}

static void emit_test(struct generator *g, const struct ir_op *op)
{
    if (op->a.kind == IR_VALUE_CONST) {
        emit_op_extension(g->e, op->width, op->width == 1 ? 0xf6 : 0xf7, 0, rm_of(g, op->dst));
        emit_constant_tail(g, op->width, op->a.value);
    } else if (op->a.kind == IR_VALUE_MEM) {
        emit_op(g->e, op->width, op->width == 1 ? 0x84 : 0x85, register_of(g, op->dst), rm_of(g, op->a));
    } else {
        emit_op(g->e, op->width, op->width == 1 ? 0x84 : 0x85, register_of(g, op->a), rm_of(g, op->dst));
    }
}

static void emit_move(struct generator *g, const struct ir_op *op)
{
    if (op->a.kind == IR_VALUE_CONST) {
        if (op->dst.kind == IR_VALUE_MEM)
            emit_store_immediate(g->e, op->width, rm_of(g, op->dst), op->a.value);
        else if (op->width == 4)
            emit_mov_immediate(g->e, 4, register_of(g, op->dst), (uint32_t)op->a.value);
        else
            emit_mov_immediate(g->e, op->width, register_of(g, op->dst), (uint64_t)(int64_t)op->a.value);
    } else if (op->a.kind == IR_VALUE_MEM) {
        emit_load(g->e, op->width, register_of(g, op->dst), rm_of(g, op->a));
    } else {
        emit_store(g->e, op->width, rm_of(g, op->dst), register_of(g, op->a));
    }
}

static struct operand_rm rm_of_address(struct generator *g, const struct ir_address *a)
{
    bool base = a->base.kind != IR_VALUE_NONE, index = a->index.kind != IR_VALUE_NONE;

    return rm_indexed(base ? register_of(g, a->base) : NO_REGISTER, index ? register_of(g, a->index) : NO_REGISTER,
                      a->scale, a->displacement);
}

static void emit_lea_op(struct generator *g, const struct ir_op *op)
{
    struct operand_rm address = rm_of_address(g, &op->address);
    unsigned to = register_of(g, op->dst);

    if (op->width == 2 && op->dst.kind == IR_VALUE_TEMP) {
        emit_lea(g->e, 4, to, address);
        emit_op_mixed(g->e, 4, 2, 0x0fb7, to, rm_register(to));
    } else if (address.base == NO_REGISTER && address.index == NO_REGISTER) {
        emit_mov_immediate(g->e, op->width, to, (uint32_t)address.displacement);
    } else if (address.index == NO_REGISTER && address.displacement == 0 && op->width == 4) {
        emit_mov(g->e, 4, to, address.base);
    } else {
        emit_lea(g->e, op->width, to, address);
    }
}

static void emit_shift(struct generator *g, const struct ir_op *op, unsigned extension)
{
    unsigned byte = op->width == 1 ? 0 : 1;

    if (op->a.kind != IR_VALUE_CONST) {
        emit_op_extension(g->e, op->width, 0xd2 | byte, extension, rm_of(g, op->dst));
    } else if (op->a.value == 1) {
        emit_op_extension(g->e, op->width, 0xd0 | byte, extension, rm_of(g, op->dst));
    } else {
        emit_op_extension(g->e, op->width, 0xc0 | byte, extension, rm_of(g, op->dst));
        emit_byte(g->e, (uint8_t)op->a.value);
    }
}

static void emit_double_shift(struct generator *g, const struct ir_op *op, unsigned opcode)
{
    bool constant = op->b.kind == IR_VALUE_CONST;

    emit_op(g->e, op->width, opcode | (constant ? 0 : 1), register_of(g, op->a), rm_of(g, op->dst));
    if (constant)
        emit_byte(g->e, (uint8_t)op->b.value);
}

static void emit_bit(struct generator *g, const struct ir_op *op, unsigned extension)
{
    unsigned lock = op->lock ? EMIT_LOCK : 0;

    if (op->a.kind == IR_VALUE_CONST) {
        emit_op_extension(g->e, op->width, 0x0fba | lock, extension, rm_of(g, op->dst));
        emit_byte(g->e, (uint8_t)op->a.value);
        return;
    }
    if (op->dst.kind == IR_VALUE_MEM) /* the host would add the bit number to the address */
        g->failed = true;
    emit_op(g->e, op->width, 0x0f83 | extension << 3 | lock, register_of(g, op->a), rm_of(g, op->dst));
}

static void emit_group3(struct generator *g, const struct ir_op *op, unsigned extension, struct ir_value value)
{
    emit_op_extension(g->e, op->width, (op->width == 1 ? 0xf6u : 0xf7u) | (op->lock ? EMIT_LOCK : 0), extension,
                      rm_of(g, value));
}

static void emit_divide(struct generator *g, const struct ir_op *op, unsigned extension)
{
    struct tail *tail = add_tail(g, TAIL_DIVIDE);

    if (tail)
        tail->site = g->e->position;
    emit_group3(g, op, extension, op->a);
}

static void emit_exchange(struct generator *g, const struct ir_op *op)
{
    emit_op(g->e, op->width, op->width == 1 ? 0x86 : 0x87, register_of(g, op->a), rm_of(g, op->dst));
}

bool emit_plain_op(struct generator *g, const struct ir_op *original)
{
    struct ir_op changed = *original;
    const struct ir_op *op = &changed;
    struct emitter *e = g->e;
    unsigned lock = op->lock ? EMIT_LOCK : 0;
    unsigned swapped = swap_high_bytes(g, &changed);

    switch (op->opcode) {
    case IR_MOV: emit_move(g, op); break;
    case IR_MOVZX: emit_op_mixed(e, op->width, op->narrow, op->narrow == 1 ? 0x0fb6 : 0x0fb7, register_of(g, op->dst), rm_of(g, op->a)); break;
    case IR_MOVSX: emit_op_mixed(e, op->width, op->narrow, op->narrow == 1 ? 0x0fbe : 0x0fbf, register_of(g, op->dst), rm_of(g, op->a)); break;
    case IR_LEA: emit_lea_op(g, op); break;
    case IR_XCHG: emit_exchange(g, op); break;
    case IR_BSWAP: emit_plus_register(e, op->width, 0x0fc8, register_of(g, op->dst)); break;
    case IR_CDQ:
        if (op->width == 2)
            emit_byte(e, 0x66);
        emit_byte(e, 0x99);
        break;
    case IR_CMOV: emit_op(e, op->width, 0x0f40u + op->condition, register_of(g, op->dst), rm_of(g, op->a)); break;
    case IR_SETCC: emit_op_extension(e, 1, 0x0f90u + op->condition, 0, rm_of(g, op->dst)); break;
    case IR_ADD: emit_binary(g, op, 0); break;
    case IR_OR: emit_binary(g, op, 1); break;
    case IR_ADC: emit_binary(g, op, 2); break;
    case IR_SBB: emit_binary(g, op, 3); break;
    case IR_AND: emit_binary(g, op, 4); break;
    case IR_SUB: emit_binary(g, op, 5); break;
    case IR_XOR: emit_binary(g, op, 6); break;
    case IR_CMP: emit_binary(g, op, 7); break;
    case IR_TEST: emit_test(g, op); break;
    case IR_INC: emit_op_extension(e, op->width, (op->width == 1 ? 0xfeu : 0xffu) | lock, 0, rm_of(g, op->dst)); break;
    case IR_DEC: emit_op_extension(e, op->width, (op->width == 1 ? 0xfeu : 0xffu) | lock, 1, rm_of(g, op->dst)); break;
    case IR_NOT: emit_group3(g, op, 2, op->dst); break;
    case IR_NEG: emit_group3(g, op, 3, op->dst); break;
    case IR_ROL: emit_shift(g, op, 0); break;
    case IR_ROR: emit_shift(g, op, 1); break;
    case IR_RCL: emit_shift(g, op, 2); break;
    case IR_RCR: emit_shift(g, op, 3); break;
    case IR_SHL: emit_shift(g, op, 4); break;
    case IR_SHR: emit_shift(g, op, 5); break;
    case IR_SAR: emit_shift(g, op, 7); break;
    case IR_SHLD: emit_double_shift(g, op, 0x0fa4); break;
    case IR_SHRD: emit_double_shift(g, op, 0x0fac); break;
    case IR_IMUL: emit_op(e, op->width, 0x0faf, register_of(g, op->dst), rm_of(g, op->a)); break;
    case IR_IMUL3:
        if (op->b.value >= -128 && op->b.value <= 127) {
            emit_op(e, op->width, 0x6b, register_of(g, op->dst), rm_of(g, op->a));
            emit_byte(e, (uint8_t)op->b.value);
        } else {
            emit_op(e, op->width, 0x69, register_of(g, op->dst), rm_of(g, op->a));
            emit_constant_tail(g, op->width, op->b.value);
        }
        break;
    case IR_MUL1: emit_group3(g, op, 4, op->a); break;
    case IR_IMUL1: emit_group3(g, op, 5, op->a); break;
    case IR_DIV: emit_divide(g, op, 6); break;
    case IR_IDIV: emit_divide(g, op, 7); break;
    case IR_BT: emit_bit(g, op, 4); break;
    case IR_BTS: emit_bit(g, op, 5); break;
    case IR_BTR: emit_bit(g, op, 6); break;
    case IR_BTC: emit_bit(g, op, 7); break;
    case IR_BSF: emit_op(e, op->width, 0x0fbc, register_of(g, op->dst), rm_of(g, op->a)); break;
    case IR_BSR: emit_op(e, op->width, 0x0fbd, register_of(g, op->dst), rm_of(g, op->a)); break;
    case IR_XADD: emit_op(e, op->width, (op->width == 1 ? 0x0fc0u : 0x0fc1u) | lock, register_of(g, op->a), rm_of(g, op->dst)); break;
    case IR_CMPXCHG: emit_op(e, op->width, (op->width == 1 ? 0x0fb0u : 0x0fb1u) | lock, register_of(g, op->a), rm_of(g, op->dst)); break;
    case IR_CMPXCHG8B: emit_op(e, 4, 0x0fc7u | lock, 1, rm_of(g, op->dst)); break;
    case IR_CLC: emit_byte(e, 0xf8); break;
    case IR_STC: emit_byte(e, 0xf9); break;
    case IR_CMC: emit_byte(e, 0xf5); break;
    case IR_LAHF: emit_byte(e, 0x9f); break;
    case IR_SAHF: emit_byte(e, 0x9e); break;
    case IR_CLD: emit_alu_immediate(e, 4, 4, CPU(state.system_flags), (int32_t)~FLAG_DF, false); break;
    case IR_STD: emit_alu_immediate(e, 4, 1, CPU(state.system_flags), FLAG_DF, false); break;
    default:
        return false;
    }
    for (unsigned n = 0; n < 4; n++)
        if (swapped >> n & 1)
            swap_bytes(g, n);
    return true;
}

/* ---- flags ---- */

void emit_recipe(struct generator *g, unsigned recipe, unsigned scratch)
{
    const struct ir_op *op = &g->block->ops[recipe];
    unsigned dst = register_of(g, op->dst), w = op->width;
    struct ir_op again = *op;

    switch (op->opcode) {
    case IR_CMP:
    case IR_TEST:
        emit_plain_op(g, op);
        return;
    case IR_AND:
    case IR_OR:
    case IR_XOR:
        emit_op(g->e, w, w == 1 ? 0x84 : 0x85, dst, rm_register(dst)); /* test */
        return;
    case IR_NEG:
        emit_mov(g->e, 4, scratch, dst);
        emit_op_extension(g->e, w, w == 1 ? 0xf6 : 0xf7, 3, rm_register(scratch));
        emit_op_extension(g->e, w, w == 1 ? 0xf6 : 0xf7, 3, rm_register(scratch));
        return;
    case IR_ADD:
    case IR_SUB: {
        unsigned forward = op->opcode == IR_ADD ? 0 : 5, back = 5 - forward;

        emit_mov(g->e, 4, scratch, dst);
        for (unsigned step = 0; step < 2; step++) {
            unsigned number = step ? forward : back;

            if (op->a.kind == IR_VALUE_CONST)
                emit_alu_immediate(g->e, w, number, rm_register(scratch), op->a.value, false);
            else
                emit_op(g->e, w, number << 3 | (w == 1 ? 0 : 1), register_of(g, again.a), rm_register(scratch));
        }
        return;
    }
    case IR_INC:
    case IR_DEC:
        if (op->recipe == IR_RECIPE_HOME) {
            emit_op_extension(g->e, 2, 0x0fba, 4, CPU(state.arithmetic_flags)); /* bt: CF = bit 8 */
            emit_byte(g->e, 8);
        } else {
            emit_recipe(g, op->recipe, scratch);
        }
        emit_lea(g->e, 4, scratch, rm_base(dst, op->opcode == IR_INC ? -1 : 1));
        emit_op_extension(g->e, w, w == 1 ? 0xfe : 0xff, op->opcode == IR_INC ? 0 : 1, rm_register(scratch));
        return;
    default:
        g->failed = true;
    }
}

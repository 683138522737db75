/* The op table, the builder, and what passes ask about an op. */
#include "ir/operands.h"

#include <string.h>

/* The preprocessor cannot lower case, so the names stand here once more; the unit test compares them with ops.def. */
/* clang-format off */
const struct ir_op_info ir_op_table[IR_OPCODE_COUNT] = {
#define OP(op, op_shape, op_written, op_read, op_effects)                                                              \
    [IR_##op].shape = IR_SHAPE_##op_shape, [IR_##op].written = (op_written), [IR_##op].read = (op_read),               \
    [IR_##op].effects = (op_effects),
#include "ir/ops.def"
#undef OP
    [IR_MOV].name = "mov", [IR_MOVZX].name = "movzx", [IR_MOVSX].name = "movsx", [IR_LEA].name = "lea",
    [IR_XCHG].name = "xchg", [IR_BSWAP].name = "bswap", [IR_CDQ].name = "cdq", [IR_CMOV].name = "cmov",
    [IR_SETCC].name = "setcc", [IR_ADD].name = "add", [IR_OR].name = "or", [IR_ADC].name = "adc",
    [IR_SBB].name = "sbb", [IR_AND].name = "and", [IR_SUB].name = "sub", [IR_XOR].name = "xor", [IR_CMP].name = "cmp",
    [IR_TEST].name = "test", [IR_INC].name = "inc", [IR_DEC].name = "dec", [IR_NOT].name = "not",
    [IR_NEG].name = "neg", [IR_SHL].name = "shl", [IR_SHR].name = "shr", [IR_SAR].name = "sar", [IR_ROL].name = "rol",
    [IR_ROR].name = "ror", [IR_RCL].name = "rcl", [IR_RCR].name = "rcr", [IR_SHLD].name = "shld",
    [IR_SHRD].name = "shrd", [IR_IMUL].name = "imul", [IR_IMUL3].name = "imul3", [IR_MUL1].name = "mul1",
    [IR_IMUL1].name = "imul1", [IR_DIV].name = "div", [IR_IDIV].name = "idiv", [IR_BT].name = "bt",
    [IR_BTS].name = "bts", [IR_BTR].name = "btr", [IR_BTC].name = "btc", [IR_BSF].name = "bsf", [IR_BSR].name = "bsr",
    [IR_XADD].name = "xadd", [IR_CMPXCHG].name = "cmpxchg", [IR_CMPXCHG8B].name = "cmpxchg8b", [IR_CLC].name = "clc",
    [IR_STC].name = "stc", [IR_CMC].name = "cmc", [IR_LAHF].name = "lahf", [IR_SAHF].name = "sahf",
    [IR_PROBE].name = "probe", [IR_SEGMENT].name = "segment", [IR_CHECK_TARGET].name = "check_target",
    [IR_SELECTOR].name = "selector", [IR_SET_SELECTOR].name = "set_selector",
    [IR_CHECK_SELECTOR].name = "check_selector", [IR_STEP_FORWARD].name = "step_forward", [IR_CLD].name = "cld", [IR_STD].name = "std", [IR_REPEAT].name = "repeat", [IR_PARK].name = "park",
    [IR_UNPARK].name = "unpark", [IR_UNPARK_CARRY].name = "unpark_carry", [IR_RECOMPUTE].name = "recompute",
    [IR_CALLOUT].name = "callout", [IR_INTERPRET].name = "interpret", [IR_CHARGE].name = "charge", [IR_SECOND_PAGE].name = "second_page", [IR_COUNT].name = "count", [IR_TRACE].name = "trace", [IR_FPU].name = "fpu",
    [IR_EXIT].name = "exit", [IR_EXIT_IF].name = "exit_if", [IR_EXIT_LOOP].name = "exit_loop",
    [IR_EXIT_INDIRECT].name = "exit_indirect", [IR_EXIT_CALLOUT].name = "exit_callout", [IR_RAISE].name = "raise",
};
/* clang-format on */

/* ---- building ---- */

/* The last place of the array is never part of the block: it is what ir_append() and ir_insert() hand out when full. */
static struct ir_op *spare_op(struct ir_block *block)
{
    block->overflow = true;
    return &block->ops[IR_MAX_OPS - 1];
}

static struct ir_op *clear_op(struct ir_block *block, struct ir_op *op, unsigned opcode, unsigned width, unsigned insn)
{
    memset(op, 0, sizeof *op);
    op->n = block->next_n++;
    op->opcode = (uint8_t)opcode;
    op->width = (uint8_t)width;
    op->insn = (uint16_t)insn;
    op->recipe = IR_NO_RECIPE;
    return op;
}

void ir_block_init(struct ir_block *block, uint32_t eip, uint32_t mode, uint32_t linear)
{
    /* Not the arrays: they are long, and everything in them is cleared when it comes into use. */
    block->eip = eip;
    block->mode = mode;
    block->linear = linear;
    block->insn_count = block->op_count = block->temp_count = 0;
    block->next_n = 0;
    memset(block->links, 0, sizeof block->links);
    block->overflow = false;
}

struct ir_op *ir_append(struct ir_block *block, enum ir_opcode opcode, unsigned width)
{
    unsigned insn = block->insn_count ? block->insn_count - 1 : 0;
    struct ir_op *op = block->op_count < IR_MAX_OPS - 1 ? &block->ops[block->op_count++] : spare_op(block);
    return clear_op(block, op, opcode, width, insn);
}

struct ir_value ir_new_temp(struct ir_block *block)
{
    if (block->temp_count == IR_MAX_TEMPS) {
        block->overflow = true;
        return ir_temp_value(0);
    }
    return ir_temp_value(block->temp_count++);
}

void ir_begin_insn(struct ir_block *block, uint32_t eip, unsigned length, unsigned row)
{
    if (block->insn_count == IR_MAX_INSNS) {
        block->overflow = true;
        return;
    }
    struct ir_insn *insn = &block->insns[block->insn_count++];
    insn->eip = eip;
    insn->next = eip + length;
    insn->length = (uint8_t)length;
    insn->row = (uint16_t)row;
    insn->text[0] = '\0';
}

struct ir_op *ir_insert(struct ir_block *block, unsigned index, enum ir_opcode opcode)
{
    unsigned insn = 0;
    if (index < block->op_count) {
        insn = block->ops[index].insn;
    } else if (block->op_count > 0) {
        insn = block->ops[block->op_count - 1].insn;
    }
    if (block->op_count >= IR_MAX_OPS - 1) {
        return clear_op(block, spare_op(block), opcode, 0, insn);
    }
    memmove(&block->ops[index + 1], &block->ops[index], (block->op_count - index) * sizeof block->ops[0]);
    block->op_count++;
    for (unsigned i = 0; i < block->op_count; i++) {
        struct ir_op *op = &block->ops[i];
        if (i != index && op->recipe < IR_RECIPE_HOME && op->recipe >= index) {
            op->recipe++;
        }
    }
    return clear_op(block, &block->ops[index], opcode, 0, insn);
}

struct ir_op *ir_emit_dst_a(struct ir_block *block, enum ir_opcode opcode, unsigned width, struct ir_value dst,
                            struct ir_value a)
{
    struct ir_op *op = ir_append(block, opcode, width);
    op->dst = dst;
    op->a = a;
    return op;
}

struct ir_op *ir_emit_probe(struct ir_block *block, struct ir_address address, unsigned size, enum ir_access access)
{
    struct ir_op *op = ir_append(block, IR_PROBE, size);
    op->address = address;
    op->size = (uint8_t)size;
    op->access = (uint8_t)access;
    return op;
}

/* ---- flags ---- */

uint8_t ir_condition_flags(unsigned condition)
{
    /* Intel SDM vol. 1, appendix B: a condition and its negation read the same. */
    static const uint8_t read[8] = {
        IRF_O, IRF_C, IRF_Z, IRF_C | IRF_Z, IRF_S, IRF_P, IRF_S | IRF_O, IRF_Z | IRF_S | IRF_O,
    };
    return read[(condition & 15) >> 1];
}

/* Flags that the host may leave alone though the table says that OP writes them. */
static uint8_t kept_flags(const struct ir_op *op, const struct ir_host_flags *host)
{
    switch (op->opcode) {
    case IR_SHL:
    case IR_SHR:
    case IR_SAR:
        return host->shift_kept;
    case IR_ROL:
    case IR_ROR:
    case IR_RCL:
    case IR_RCR:
        return host->rotate_kept;
    case IR_SHLD:
    case IR_SHRD:
        return host->double_kept;
    case IR_IMUL:
    case IR_IMUL3:
    case IR_MUL1:
    case IR_IMUL1:
        return host->multiply_kept;
    case IR_DIV:
    case IR_IDIV:
        return host->divide_kept;
    case IR_BSF:
    case IR_BSR:
        return host->scan_kept;
    case IR_BT:
    case IR_BTS:
    case IR_BTR:
    case IR_BTC:
        return host->bit_kept;
    default:
        return 0;
    }
}

void ir_op_flags(struct ir_op *op, const struct ir_host_flags *host)
{
    const struct ir_op_info *info = &ir_op_table[op->opcode];
    uint8_t written = info->written, read = info->read;
    if (info->effects & EFFECT_CONDITION) {
        read |= ir_condition_flags(op->condition);
    }
    if (op->opcode == IR_FPU) {
        written = op->fpu.flags == IR_FPU_SETS_FLAGS ? IRF_ALL : 0;
        read = op->fpu.flags == IR_FPU_READS_FLAGS ? IRF_Z | IRF_P | IRF_C : 0;
    } else if (info->effects & EFFECT_DIVIDE && host->divide_writes) {
        written = IRF_ALL;
    }
    uint8_t kept = kept_flags(op, host) & written;
    if (info->effects & EFFECT_SHIFT) {
        const struct ir_value *count = ir_is_double_shift(op) ? &op->b : &op->a;
        if (count->kind != IR_VALUE_CONST) {
            read |= written; /* a count of 0 changes no flag */
        } else if (count->value == 1) {
            kept &= (uint8_t)~IRF_O; /* OF is defined for this count only */
        }
    }
    if (op->opcode == IR_EXIT_LOOP && (op->loop == IR_LOOP_WHILE_ZERO || op->loop == IR_LOOP_WHILE_NOT_ZERO)) {
        read |= IRF_Z;
    }
    op->written = (uint8_t)(written & ~kept);
    op->read = read | kept;
}

/* ---- registers ---- */

static bool names_guest(const struct ir_value *value, unsigned number)
{
    return (value->kind == IR_VALUE_GUEST || value->kind == IR_VALUE_HIGH) && value->number == number;
}

static bool names_temp(const struct ir_value *value, unsigned number)
{
    return value->kind == IR_VALUE_TEMP && value->number == number;
}

static bool writes_implicitly(const struct ir_op *op, unsigned number)
{
    unsigned effects = ir_op_table[op->opcode].effects;
    if (effects & EFFECT_CALL) {
        return true;
    }
    switch (op->opcode) {
    case IR_SAHF:
        return false;
    case IR_CDQ:
        return number == IR_GUEST_EDX;
    case IR_REPEAT:
        return number == IR_GUEST_ECX || number == IR_GUEST_EDI ||
               (number == IR_GUEST_ESI && op->loop == IR_REPEAT_MOVS);
    case IR_EXIT_LOOP:
        return number == IR_GUEST_ECX && op->loop != IR_LOOP_COUNTER_ZERO;
    default:
        break;
    }
    if (effects & EFFECT_EDX_EAX) {
        return number == IR_GUEST_EAX || (number == IR_GUEST_EDX && op->width > 1);
    }
    return effects & EFFECT_EAX && number == IR_GUEST_EAX;
}

static bool reads_implicitly(const struct ir_op *op, unsigned number)
{
    unsigned effects = ir_op_table[op->opcode].effects;
    if (effects & EFFECT_CALL) {
        return true;
    }
    switch (op->opcode) {
    case IR_REPEAT:
        return number == IR_GUEST_ECX || number == IR_GUEST_EDI ||
               number == (op->loop == IR_REPEAT_MOVS ? IR_GUEST_ESI : IR_GUEST_EAX);
    case IR_EXIT_LOOP:
        return number == IR_GUEST_ECX;
    case IR_CDQ:
        return number == IR_GUEST_EAX ||
               (number == IR_GUEST_EDX && op->width < 4); /* CWD keeps the upper half of EDX */
    case IR_CMPXCHG8B:
        return number <= IR_GUEST_EBX;
    default:
        break;
    }
    if (effects & EFFECT_EDX_EAX) {
        return number == IR_GUEST_EAX || (number == IR_GUEST_EDX && op->width > 1);
    }
    return effects & EFFECT_EAX && number == IR_GUEST_EAX;
}

bool ir_writes_guest(const struct ir_op *op, unsigned number)
{
    if (ir_dst_written(op) && names_guest(&op->dst, number)) {
        return true;
    }
    if (ir_a_written(op) && names_guest(&op->a, number)) {
        return true;
    }
    return writes_implicitly(op, number);
}

bool ir_reads_guest(const struct ir_op *op, unsigned number)
{
    /* A narrow write keeps the rest of the register, and thus needs it. */
    bool dst_needed = ir_dst_read(op) || (ir_dst_written(op) && op->width < 4);
    if (dst_needed && names_guest(&op->dst, number)) {
        return true;
    }
    if ((ir_has_a(op) && names_guest(&op->a, number)) || (ir_has_b(op) && names_guest(&op->b, number))) {
        return true;
    }
    if (ir_has_address(op) && (names_guest(&op->address.base, number) || names_guest(&op->address.index, number))) {
        return true;
    }
    return reads_implicitly(op, number);
}

bool ir_writes_temp(const struct ir_op *op, unsigned number)
{
    return (ir_dst_written(op) && names_temp(&op->dst, number)) || (ir_a_written(op) && names_temp(&op->a, number));
}

bool ir_reads_temp(const struct ir_op *op, unsigned number)
{
    return (ir_dst_read(op) && names_temp(&op->dst, number)) || (ir_has_a(op) && names_temp(&op->a, number)) ||
           (ir_has_b(op) && names_temp(&op->b, number)) ||
           (ir_has_address(op) && (names_temp(&op->address.base, number) || names_temp(&op->address.index, number)));
}

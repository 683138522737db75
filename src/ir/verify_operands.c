/* Each op by itself: operand kinds, widths, constants. What is allowed here is what the back end has forms for. */
#include "ir/verify.h"

#define KIND(kind) (1u << IR_VALUE_##kind)
#define NONE       KIND(NONE)
#define WIDE       (KIND(GUEST) | KIND(TEMP)) /* registers of at least 16 bits, or any temp */
#define REG        (WIDE | KIND(HIGH))
#define RM         (REG | KIND(MEM))
#define RMI        (RM | KIND(CONST))
#define COUNT      (KIND(CONST) | KIND(GUEST))      /* of a shift */
#define UNIT       (NONE | KIND(GUEST) | KIND(MEM)) /* of x87, MMX, SSE: the other operands are in the encoding */

/* Widths as a set: bit 1 stands for a byte, 2 for 16, 4 for 32, 8 for 64 bits. 0: the width has no meaning. */
struct form {
    uint8_t dst, a, b; /* kinds allowed */
    uint8_t widths;
};

static const struct form forms[IR_OPCODE_COUNT] = {
    [IR_MOV] = {RM, RMI, NONE, 1 | 2 | 4},
    [IR_MOVZX] = {WIDE, RM, NONE, 2 | 4},
    [IR_MOVSX] = {WIDE, RM, NONE, 2 | 4},
    [IR_LEA] = {WIDE, NONE, NONE, 2 | 4},
    [IR_XCHG] = {RM, REG, NONE, 1 | 2 | 4},
    [IR_BSWAP] = {WIDE, NONE, NONE, 2 | 4},
    [IR_CDQ] = {NONE, NONE, NONE, 2 | 4},
    [IR_CMOV] = {WIDE, RM, NONE, 2 | 4},
    [IR_SETCC] = {RM, NONE, NONE, 1},
    [IR_ADD... IR_TEST] = {RM, RMI, NONE, 1 | 2 | 4},
    [IR_INC... IR_NEG] = {RM, NONE, NONE, 1 | 2 | 4},
    [IR_SHL... IR_RCR] = {RM, COUNT, NONE, 1 | 2 | 4},
    [IR_SHLD... IR_SHRD] = {RM, WIDE, COUNT, 2 | 4},
    [IR_IMUL] = {WIDE, RM, NONE, 2 | 4},
    [IR_IMUL3] = {WIDE, RM, KIND(CONST), 2 | 4},
    [IR_MUL1... IR_IDIV] = {NONE, RM, NONE, 1 | 2 | 4},
    [IR_BT... IR_BTC] = {RM, WIDE | KIND(CONST), NONE, 2 | 4},
    [IR_BSF... IR_BSR] = {WIDE, RM, NONE, 2 | 4},
    [IR_XADD] = {RM, REG, NONE, 1 | 2 | 4},
    [IR_CMPXCHG] = {RM, REG, NONE, 1 | 2 | 4},
    [IR_CMPXCHG8B] = {KIND(MEM), NONE, NONE, 8},
    [IR_CLC... IR_SAHF] = {NONE, NONE, NONE, 0},
    [IR_PROBE] = {NONE, NONE, NONE, 0},
    [IR_SEGMENT] = {KIND(TEMP), NONE, NONE, 2 | 4},
    [IR_CHECK_TARGET] = {NONE, WIDE, NONE, 0},
    [IR_SELECTOR] = {WIDE, NONE, NONE, 4},
    [IR_SET_SELECTOR] = {NONE, WIDE, NONE, 4},
    [IR_CHECK_SELECTOR... IR_STD] = {NONE, NONE, NONE, 0},
    [IR_REPEAT] = {NONE, NONE, NONE, 2 | 4},
    [IR_PARK... IR_RECOMPUTE] = {NONE, NONE, NONE, 0},
    [IR_CALLOUT] = {NONE, NONE | WIDE | KIND(CONST), NONE, 0},
    [IR_INTERPRET] = {NONE, NONE, NONE, 0},
    [IR_FPU] = {UNIT, UNIT, NONE, 0},
    [IR_CHARGE... IR_EXIT_IF] = {NONE, NONE, NONE, 0},
    [IR_EXIT_LOOP] = {NONE, NONE, NONE, 2 | 4},
    [IR_EXIT_INDIRECT] = {NONE, WIDE, NONE, 0},
    [IR_EXIT_CALLOUT] = {NONE, NONE | WIDE | KIND(CONST), NONE, 0},
    [IR_RAISE] = {NONE, NONE, NONE, 0},
};

static bool verify_value(struct verifier *v, const char *name, struct ir_value value, unsigned allowed, unsigned width)
{
    if (value.kind > IR_VALUE_MEM || !(allowed >> value.kind & 1)) {
        return ir_verify_fail(v, "operand %s is of a kind that the op does not take", name);
    }
    switch (value.kind) {
    case IR_VALUE_GUEST:
        return value.number < 8 || ir_verify_fail(v, "operand %s is no register", name);
    case IR_VALUE_HIGH:
        if (width != 1) {
            return ir_verify_fail(v, "operand %s is a high byte, and the op is not of bytes", name);
        }
        return value.number < 4 || ir_verify_fail(v, "operand %s is no register", name);
    case IR_VALUE_TEMP:
        return value.number < v->block->temp_count || ir_verify_fail(v, "operand %s is a temp nobody made", name);
    case IR_VALUE_CONST:
        return value.value == ir_sign_extend((uint32_t)value.value, width) ||
               ir_verify_fail(v, "operand %s is not sign-extended from %u bytes", name, width);
    default:
        return true;
    }
}

static bool verify_count(struct verifier *v, struct ir_value count)
{
    if (count.kind == IR_VALUE_CONST) {
        return (count.value >= 1 && count.value <= 31) || ir_verify_fail(v, "shift count not in 1..31");
    }
    return count.number == IR_GUEST_ECX || ir_verify_fail(v, "shift count neither constant nor CL");
}

static bool verify_address_register(struct verifier *v, struct ir_value value)
{
    return verify_value(v, "in the address", value, NONE | WIDE, 4);
}

static bool may_lock(unsigned opcode)
{
    switch (opcode) { /* Intel SDM vol. 2, LOCK */
    case IR_ADD:
    case IR_OR:
    case IR_ADC:
    case IR_SBB:
    case IR_AND:
    case IR_SUB:
    case IR_XOR:
    case IR_INC:
    case IR_DEC:
    case IR_NOT:
    case IR_NEG:
    case IR_BTS:
    case IR_BTR:
    case IR_BTC:
    case IR_XADD:
    case IR_XCHG:
    case IR_CMPXCHG:
    case IR_CMPXCHG8B:
        return true;
    default:
        return false;
    }
}

static bool verify_probe_kind(struct verifier *v, const struct ir_op *op)
{
    if (op->probe > IR_PROBE_FPU_ALIGNED) {
        return ir_verify_fail(v, "no such kind of probe");
    }
    if (op->probe == IR_PROBE_INTEGER) {
        return true;
    }
    bool size_fits = op->size == 1 || op->size == 2 || op->size == 4 || op->size == 8 || op->size == 10;
    if (op->size != 16 && (!size_fits || op->probe == IR_PROBE_FPU_ALIGNED)) {
        return ir_verify_fail(v, "no operand of the FPU has %u bytes", op->size);
    }
    return op->access != IR_ACCESS_UPDATE || ir_verify_fail(v, "no FPU op updates memory");
}

static bool is_fnstsw_ax(const struct ir_fpu *fpu)
{
    return fpu->unit == IR_FPU_X87 && fpu->opcode == 0xdf && fpu->modrm == 0xe0;
}

static bool verify_fpu_encoding(struct verifier *v, const struct ir_fpu *fpu)
{
    bool xmm = fpu->unit == IR_FPU_SSE || fpu->unit == IR_FPU_SSE_MMX;
    if (fpu->unit > IR_FPU_SSE_MMX) {
        return ir_verify_fail(v, "no such unit");
    }
    if (fpu->map > 3 || (fpu->map == 0) != (fpu->unit == IR_FPU_X87)) {
        return ir_verify_fail(v, "map %u is not of that unit", fpu->map);
    }
    bool wait = fpu->opcode == 0x9b && !fpu->has_modrm;
    if (fpu->unit == IR_FPU_X87 && !wait && (fpu->opcode < 0xd8 || fpu->opcode > 0xdf || !fpu->has_modrm)) {
        return ir_verify_fail(v, "opcode %02x is not of the x87", fpu->opcode);
    }
    if (fpu->prefix &&
        (fpu->unit == IR_FPU_X87 || (fpu->prefix != 0x66 && fpu->prefix != 0xf2 && fpu->prefix != 0xf3))) {
        return ir_verify_fail(v, "prefix %02x", fpu->prefix);
    }
    if ((fpu->xmm_read | fpu->xmm_written) & (xmm ? 0xff00 : 0xffff)) {
        return ir_verify_fail(v, "there are no such XMM registers");
    }
    if (fpu->notes_pointers && fpu->unit != IR_FPU_X87) {
        return ir_verify_fail(v, "only x87 instructions note pointers");
    }
    if (fpu->notes_pointers && fpu->fop > 0x7ff) {
        return ir_verify_fail(v, "FOP has 11 bits");
    }
    if (fpu->segment > 5) {
        return ir_verify_fail(v, "no such segment");
    }
    return fpu->flags <= IR_FPU_READS_FLAGS || ir_verify_fail(v, "no such effect on flags");
}

/* ModRM says which operand is in memory or a general register, dst or a which one and in what direction. */
static bool verify_fpu(struct verifier *v, const struct ir_op *op)
{
    const struct ir_fpu *fpu = &op->fpu;
    if (!verify_fpu_encoding(v, fpu)) {
        return false;
    }
    if (!fpu->has_modrm) {
        return (op->dst.kind == IR_VALUE_NONE && op->a.kind == IR_VALUE_NONE && !fpu->reg_is_gpr && !fpu->rm_is_gpr) ||
               ir_verify_fail(v, "operands, and no ModRM");
    }
    if (fpu->reg_is_gpr && fpu->rm_is_gpr) {
        return ir_verify_fail(v, "two general registers");
    }
    bool general = fpu->reg_is_gpr || fpu->rm_is_gpr;
    bool to_ax = is_fnstsw_ax(fpu);
    bool dst_general = op->dst.kind == IR_VALUE_GUEST, a_general = op->a.kind == IR_VALUE_GUEST;
    if (dst_general + a_general != (general || to_ax)) {
        return ir_verify_fail(v, "general registers of operands and encoding differ");
    }
    if (to_ax) {
        return (op->dst.kind == IR_VALUE_GUEST && op->dst.number == IR_GUEST_EAX && op->width == 2) ||
               ir_verify_fail(v, "FNSTSW writes AX");
    }
    if (general && op->width != 4) {
        return ir_verify_fail(v, "general register of %u bytes", op->width);
    }
    bool memory = op->dst.kind == IR_VALUE_MEM || op->a.kind == IR_VALUE_MEM;
    if (memory && (fpu->modrm >> 6 == 3 || fpu->rm_is_gpr)) {
        return ir_verify_fail(v, "m, and ModRM names a register");
    }
    return memory || fpu->modrm >> 6 == 3 || ir_verify_fail(v, "ModRM names memory, and there is no m");
}

static bool verify_fields(struct verifier *v, const struct ir_op *op)
{
    unsigned effects = ir_op_table[op->opcode].effects;
    if (effects & EFFECT_NARROW && ((op->narrow != 1 && op->narrow != 2) || op->narrow >= op->width)) {
        return ir_verify_fail(v, "source is not narrower than destination");
    }
    if (effects & EFFECT_CONDITION && op->condition > 15) {
        return ir_verify_fail(v, "no such condition");
    }
    if (op->lock && (!may_lock(op->opcode) || op->dst.kind != IR_VALUE_MEM)) {
        return ir_verify_fail(v, "lock without a read-modify-write of memory");
    }
    if (op->opcode == IR_PROBE || op->opcode == IR_SEGMENT) {
        if (op->size == 0) {
            return ir_verify_fail(v, "access of 0 bytes");
        }
        if (op->access > IR_ACCESS_UPDATE) {
            return ir_verify_fail(v, "no such access");
        }
    }
    if (op->opcode == IR_PROBE && !verify_probe_kind(v, op)) {
        return false;
    }
    if (op->opcode == IR_FPU && !verify_fpu(v, op)) {
        return false;
    }
    if (ir_names_segment(op) && op->segment > 5) {
        return ir_verify_fail(v, "no such segment");
    }
    if (op->opcode == IR_REPEAT && (op->loop > IR_REPEAT_STOS || op->segment > 5 || (op->size != 1 && op->size != 2 && op->size != 4))) {
        return ir_verify_fail(v, "no such repetition");
    }
    if (op->opcode == IR_EXIT_LOOP && op->loop > IR_LOOP_COUNTER_ZERO) {
        return ir_verify_fail(v, "no such kind of loop");
    }
    if (op->branch != IR_BRANCH_JUMP) {
        bool fits = op->opcode == IR_EXIT_INDIRECT || (op->opcode == IR_EXIT && op->branch == IR_BRANCH_CALL && op->link == 0);
        if (!fits || op->branch > IR_BRANCH_RETURN) {
            return ir_verify_fail(v, "no such branch");
        }
        if (op->branch == IR_BRANCH_CALL && !v->block->links[1].used) {
            return ir_verify_fail(v, "a call, and the link it returns to is not used");
        }
    }
    if (op->opcode == IR_EXIT || op->opcode == IR_EXIT_IF || op->opcode == IR_EXIT_LOOP) {
        return (op->link < 2 && v->block->links[op->link].used) || ir_verify_fail(v, "link is not used");
    }
    if (op->opcode == IR_RAISE && op->vector > 31) {
        return ir_verify_fail(v, "no such exception");
    }
    return true;
}

bool ir_verify_operands(struct verifier *v)
{
    const struct ir_op *op = &v->block->ops[v->index];
    const struct form *form = &forms[op->opcode];
    bool width_fits = op->width == 1 || op->width == 2 || op->width == 4 || op->width == 8;
    if (form->widths && !(width_fits && form->widths & op->width)) {
        return ir_verify_fail(v, "width %u", op->width);
    }
    if (!verify_value(v, "dst", op->dst, form->dst, op->width) ||
        !verify_value(v, "a", op->a, form->a, ir_width_of_a(op)) ||
        !verify_value(v, "b", op->b, form->b, ir_width_of_b(op))) {
        return false;
    }
    if (op->dst.kind == IR_VALUE_MEM && op->a.kind == IR_VALUE_MEM) {
        return ir_verify_fail(v, "two operands in memory");
    }
    if (ir_is_shift(op) && !verify_count(v, ir_is_double_shift(op) ? op->b : op->a)) {
        return false;
    }
    if (ir_has_address(op) &&
        (!verify_address_register(v, op->address.base) || !verify_address_register(v, op->address.index))) {
        return false;
    }
    if (ir_has_address(op) && op->address.scale > 3) {
        return ir_verify_fail(v, "scale %u", op->address.scale);
    }
    return verify_fields(v, op);
}

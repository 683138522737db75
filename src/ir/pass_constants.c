/* Constants and copies, forwards through the block.
 *
 * What is known of each guest register and temp is kept bit by bit (a mask and a value), so that a narrow write spoils
 * only what it changes.  A temp that holds what a guest register holds is named by the register while that lasts.
 *
 * Guest registers get their values all the same: the guest sees them at each fault and exit.  A known guest register
 * takes the place of an operand only where that is worth it: in addresses (the sum becomes a displacement), as a shift
 * count (a fixed count always defines the flags) and as a bit number for memory (the register form is slow).
 *
 * Ops with implicit registers are left as they are. */
#include "ir/passes.h"

#include <string.h>

struct known {
    uint32_t mask, value; /* bits known, and what they are */
};

/* A temp whose low WIDTH bytes are those of a guest register, as long as nobody writes that. */
struct copy {
    uint8_t width; /* 0: no copy */
    uint8_t guest;
    uint16_t version; /* of the guest register */
};

struct constants {
    struct known guest[8], temps[IR_MAX_TEMPS];
    struct copy copies[IR_MAX_TEMPS];
    uint16_t versions[8]; /* a block has fewer ops than would make these wrap */
    unsigned temp_count;
};

static uint32_t mask_of(unsigned width)
{
    return width >= 4 ? 0xffffffffu : (1u << 8 * width) - 1;
}

/* ---- what is known ---- */

static void forget_temps(struct constants *c)
{
    memset(c->temps, 0, c->temp_count * sizeof c->temps[0]);
    memset(c->copies, 0, c->temp_count * sizeof c->copies[0]);
}

static struct known known_of(const struct constants *c, struct ir_value value)
{
    switch (value.kind) {
    case IR_VALUE_GUEST:
        return c->guest[value.number];
    case IR_VALUE_HIGH:
        return (struct known){c->guest[value.number].mask >> 8, c->guest[value.number].value >> 8};
    case IR_VALUE_TEMP:
        return c->temps[value.number];
    case IR_VALUE_CONST:
        return (struct known){0xffffffffu, (uint32_t)value.value};
    default:
        return (struct known){0, 0};
    }
}

static bool is_known(const struct constants *c, struct ir_value value, unsigned width, uint32_t *result)
{
    struct known known = known_of(c, value);
    *result = known.value & mask_of(width);
    return (known.mask & mask_of(width)) == mask_of(width);
}

/* VALUE now holds NEW in its low WIDTH bytes. */
static void learn(struct constants *c, struct ir_value value, unsigned width, struct known new)
{
    struct known *known;
    unsigned shift = 0;
    switch (value.kind) {
    case IR_VALUE_HIGH:
        shift = 8;
        /* fall through */
    case IR_VALUE_GUEST:
        known = &c->guest[value.number];
        c->versions[value.number]++;
        break;
    case IR_VALUE_TEMP:
        known = &c->temps[value.number];
        c->copies[value.number].width = 0;
        break;
    default:
        return;
    }
    uint32_t mask = mask_of(width) << shift;
    known->mask = (known->mask & ~mask) | (new.mask << shift &mask);
    known->value = (known->value & ~mask) | (new.value << shift &mask);
}

static void forget_guest(struct constants *c, unsigned number)
{
    c->guest[number].mask = 0;
    c->versions[number]++;
}

static bool copied_guest(const struct constants *c, struct ir_value value, unsigned width, struct ir_value *guest)
{
    if (!ir_is_temp(value)) {
        return false;
    }
    const struct copy *copy = &c->copies[value.number];
    /* SPL, BPL, SIL and DIL are not registers of the guest: byte operands name the first four only. */
    if (copy->width < width || copy->version != c->versions[copy->guest] || (width == 1 && copy->guest > 3)) {
        return false;
    }
    *guest = ir_guest(copy->guest);
    return true;
}

static void learn_copy(struct constants *c, struct ir_value temp, unsigned width, unsigned guest)
{
    c->copies[temp.number] = (struct copy){(uint8_t)width, (uint8_t)guest, c->versions[guest]};
}

/* ---- operands ---- */

static bool has_implicit_registers(const struct ir_op *op)
{
    return ir_op_table[op->opcode].effects & (EFFECT_EAX | EFFECT_EDX_EAX);
}

static bool is_bit_op(const struct ir_op *op)
{
    return op->opcode >= IR_BT && op->opcode <= IR_BTC;
}

/* May a constant stand for operand a, instead of a temp? */
static bool takes_constant(const struct ir_op *op)
{
    return op->opcode == IR_MOV || (op->opcode >= IR_ADD && op->opcode <= IR_TEST) || is_bit_op(op) ||
           op->opcode == IR_CALLOUT || op->opcode == IR_EXIT_CALLOUT;
}

static bool is_callout(const struct ir_op *op)
{
    return op->opcode == IR_CALLOUT || op->opcode == IR_EXIT_CALLOUT;
}

static void simplify_a(const struct constants *c, struct ir_op *op)
{
    unsigned width = ir_width_of_a(op);
    uint32_t value;
    struct ir_value guest;
    bool worth_it = ir_is_temp(op->a) || (is_bit_op(op) && op->dst.kind == IR_VALUE_MEM);
    if (worth_it && takes_constant(op) && is_known(c, op->a, width, &value)) {
        op->a = ir_const(is_bit_op(op) ? (int32_t)(value & (8 * width - 1)) : ir_sign_extend(value, width));
    } else if (!is_callout(op) && copied_guest(c, op->a, width, &guest)) {
        op->a = guest;
    }
}

/* A known CL becomes a fixed count, unless flags that the manual calls undefined may come out differently then: of
 * rotates and double shifts OF is defined for a count of 1 only, and processors do set it differently by CL.  A count
 * of 0 stays in CL: the op then does nothing but touch its operand. */
static void simplify_count(const struct constants *c, const struct ir_op *op, struct ir_value *count)
{
    bool shift = op->opcode == IR_SHL || op->opcode == IR_SHR || op->opcode == IR_SAR;
    uint32_t value;
    if (!ir_is_guest(*count) || !is_known(c, *count, 1, &value)) {
        return;
    }
    value &= 31;
    if (value == 1 || (shift && value != 0)) {
        *count = ir_const((int32_t)value);
    }
}

static void simplify_address(const struct constants *c, struct ir_op *op)
{
    struct ir_address *address = &op->address;
    /* Of a 16-bit offset only the low halves count, and sums modulo 2^32 are right modulo 2^16 too. */
    unsigned width = op->opcode != IR_PROBE && op->width == 2 ? 2 : 4;
    uint32_t value;
    if (address->base.kind != IR_VALUE_NONE && is_known(c, address->base, width, &value)) {
        address->displacement = (int32_t)((uint32_t)address->displacement + value);
        address->base = IR_NONE_VALUE;
    }
    if (address->index.kind != IR_VALUE_NONE && is_known(c, address->index, width, &value)) {
        address->displacement = (int32_t)((uint32_t)address->displacement + (value << address->scale));
        address->index = IR_NONE_VALUE;
        address->scale = 0;
    }
    if (width == 2 && address->base.kind == IR_VALUE_NONE && address->index.kind == IR_VALUE_NONE) {
        address->displacement &= 0xffff;
    }
    copied_guest(c, address->base, width, &address->base);
    copied_guest(c, address->index, width, &address->index);
}

static void simplify_operands(const struct constants *c, struct ir_op *op)
{
    if (ir_has_address(op)) {
        simplify_address(c, op);
    }
    if (has_implicit_registers(op)) {
        return;
    }
    if (ir_is_shift(op)) {
        simplify_count(c, op, ir_is_double_shift(op) ? &op->b : &op->a);
    }
    if (ir_has_a(op) && !ir_a_written(op) && !(ir_is_shift(op) && !ir_is_double_shift(op))) {
        simplify_a(c, op);
    }
    if (ir_has_dst(op) && !ir_dst_written(op)) {
        copied_guest(c, op->dst, op->width, &op->dst);
    }
}

/* ---- results ---- */

static bool evaluate_address(const struct constants *c, const struct ir_op *op, uint32_t *result)
{
    const struct ir_address *address = &op->address;
    if (address->base.kind != IR_VALUE_NONE || address->index.kind != IR_VALUE_NONE) {
        return false; /* what is known is in the displacement by now */
    }
    *result = (uint32_t)address->displacement & mask_of(op->width);
    return true;
}

static uint32_t evaluate_binary(unsigned opcode, uint32_t x, uint32_t y)
{
    switch (opcode) {
    case IR_ADD:
        return x + y;
    case IR_SUB:
        return x - y;
    case IR_AND:
        return x & y;
    case IR_OR:
        return x | y;
    case IR_XOR:
        return x ^ y;
    case IR_SHL:
        return x << (y & 31);
    default: /* SHR; x has no bits above its width */
        return x >> (y & 31);
    }
}

/* The value of dst after OP, if it is known. */
static bool evaluate(const struct constants *c, const struct ir_op *op, uint32_t *result)
{
    uint32_t x, y;
    switch (op->opcode) {
    case IR_MOV:
        return is_known(c, op->a, op->width, result);
    case IR_MOVZX:
        return is_known(c, op->a, op->narrow, result);
    case IR_MOVSX:
        if (!is_known(c, op->a, op->narrow, &x)) {
            return false;
        }
        *result = (uint32_t)ir_sign_extend(x, op->narrow);
        return true;
    case IR_LEA:
        return evaluate_address(c, op, result);
    case IR_XOR:
    case IR_SUB:
        if (ir_same(op->dst, op->a) && op->dst.kind != IR_VALUE_MEM) {
            *result = 0;
            return true;
        }
        /* fall through */
    case IR_ADD:
    case IR_AND:
    case IR_OR:
    case IR_SHL:
    case IR_SHR:
        if (!is_known(c, op->dst, op->width, &x) || !is_known(c, op->a, ir_width_of_a(op), &y)) {
            return false;
        }
        *result = evaluate_binary(op->opcode, x, y);
        return true;
    case IR_INC:
    case IR_DEC:
        if (!is_known(c, op->dst, op->width, &x)) {
            return false;
        }
        *result = op->opcode == IR_INC ? x + 1 : x - 1;
        return true;
    case IR_NOT:
    case IR_NEG:
        if (!is_known(c, op->dst, op->width, &x)) {
            return false;
        }
        *result = op->opcode == IR_NOT ? ~x : 0u - x;
        return true;
    default:
        return false;
    }
}

/* Ops without effects on flags whose result is known become moves. */
static void simplify_op(struct ir_op *op, bool known, uint32_t value)
{
    bool copies_register = op->opcode == IR_LEA && op->width == 4 && op->address.displacement == 0 &&
                           op->address.base.kind != IR_VALUE_NONE && op->address.index.kind == IR_VALUE_NONE;
    if (op->opcode != IR_LEA && op->opcode != IR_MOVZX && op->opcode != IR_MOVSX) {
        return;
    }
    if (!known && !copies_register) {
        return;
    }
    if (op->opcode == IR_LEA && op->width == 2 && ir_is_temp(op->dst)) {
        op->width = 4; /* it zero-extends, and the value does so already */
    }
    op->a = known ? ir_const(ir_sign_extend(value, op->width)) : op->address.base;
    op->opcode = IR_MOV;
    op->narrow = 0;
    memset(&op->address, 0, sizeof op->address);
}

/* After OP, a move: which temp now holds what which guest register holds? */
static void learn_copies(struct constants *c, const struct ir_op *op)
{
    struct ir_value guest;
    bool narrow = op->opcode == IR_MOVZX || op->opcode == IR_MOVSX;
    unsigned width = narrow ? op->narrow : op->width;
    if (op->opcode != IR_MOV && !narrow) {
        return;
    }
    if (ir_is_temp(op->dst) && ir_is_guest(op->a)) {
        learn_copy(c, op->dst, width, op->a.number);
    } else if (ir_is_temp(op->dst) && copied_guest(c, op->a, width, &guest)) {
        learn_copy(c, op->dst, width, guest.number);
    } else if (ir_is_guest(op->dst) && ir_is_temp(op->a) && !copied_guest(c, op->a, width, &guest)) {
        learn_copy(c, op->a, width, op->dst.number);
    }
}

static void follow(struct constants *c, const struct ir_op *op, bool known, uint32_t value)
{
    unsigned effects = ir_op_table[op->opcode].effects;
    if (effects & (EFFECT_CALL | EFFECT_EAX | EFFECT_EDX_EAX) || op->opcode == IR_EXIT_LOOP ||
        op->opcode == IR_REPEAT) {
        for (unsigned number = 0; number < 8; number++) {
            if (ir_writes_guest(op, number)) {
                forget_guest(c, number);
            }
        }
    }
    if (effects & EFFECT_CALL) {
        forget_temps(c);
        return;
    }
    const struct known nothing = {0, 0};
    if (ir_a_written(op)) {
        learn(c, op->a, op->width, nothing);
    }
    if (!ir_dst_written(op)) {
        return;
    }
    /* 32-bit writes, and those that zero-extend, say everything about the register. */
    unsigned width = op->width;
    if (ir_is_temp(op->dst) && ir_writes_whole_temp(op)) {
        width = 4;
    }
    learn(c, op->dst, width, known ? (struct known){0xffffffffu, value} : nothing);
    learn_copies(c, op);
}

void ir_pass_constants(struct ir_block *block, const struct ir_host_flags *host)
{
    struct constants c;
    memset(&c.guest, 0, sizeof c.guest);
    memset(&c.versions, 0, sizeof c.versions);
    c.temp_count = block->temp_count;
    forget_temps(&c);
    for (unsigned i = 0; i < block->op_count; i++) {
        struct ir_op *op = &block->ops[i];
        uint32_t value = 0;
        simplify_operands(&c, op);
        bool known = !has_implicit_registers(op) && evaluate(&c, op, &value);
        simplify_op(op, known, value);
        follow(&c, op, known, value);
    }
}

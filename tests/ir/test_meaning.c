/* The passes keep the meaning: random blocks are run before and after by an evaluator of the IR that knows no hardware.
 *
 * Flags are modelled as bits that each op derives from its operands in some fixed way; memory as 4 KiB that repeat. All
 * that a guest could see is folded into a number: each probe (where, with which registers and flags if it faults), each
 * store, each call and exit.  After the flag pass the evaluator spoils EFLAGS wherever an op is said to clobber them,
 * and looks for the guest's flags where the op says they are. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "ir/operands.h"

#include <stdlib.h>
#include <string.h>

enum { BLOCKS = 4000, RUNS = 3 };

static uint32_t next_random(uint64_t *random)
{
    *random = *random * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(*random >> 33);
}

static uint64_t mix(uint64_t x, uint64_t y)
{
    x = (x ^ y) * 0x9e3779b97f4a7c15u;
    return x ^ x >> 29;
}

/* ---- the evaluator ---- */

struct machine {
    uint32_t guest[8], temps[IR_MAX_TEMPS];
    uint8_t flags;             /* what the guest's are */
    uint8_t eflags, home;      /* what the code has there */
    uint8_t after[IR_MAX_OPS]; /* flags behind each op */
    uint8_t memory[4096 + 16];
    uint32_t linear; /* of the last probe */
    bool placed;     /* the flag pass has run: EFLAGS and home are two things */
    uint64_t seen;
};

static uint32_t mask_of(unsigned width)
{
    return width >= 4 ? 0xffffffffu : (1u << 8 * width) - 1;
}

static uint32_t load(struct machine *m, struct ir_value v, unsigned width)
{
    uint32_t value = 0;
    switch (v.kind) {
    case IR_VALUE_GUEST:
        return m->guest[v.number] & mask_of(width);
    case IR_VALUE_HIGH:
        return m->guest[v.number] >> 8 & 0xff;
    case IR_VALUE_TEMP:
        return m->temps[v.number] & mask_of(width);
    case IR_VALUE_CONST:
        return (uint32_t)v.value & mask_of(width);
    case IR_VALUE_MEM:
        memcpy(&value, &m->memory[m->linear & 0xfff], width);
        return value;
    default:
        return 0;
    }
}

static void store(struct machine *m, struct ir_value v, unsigned width, uint32_t value)
{
    uint32_t mask = mask_of(width);
    switch (v.kind) {
    case IR_VALUE_GUEST:
        m->guest[v.number] = (m->guest[v.number] & ~mask) | (value & mask);
        break;
    case IR_VALUE_HIGH:
        m->guest[v.number] = (m->guest[v.number] & ~0xff00u) | (value & 0xff) << 8;
        break;
    case IR_VALUE_TEMP:
        m->temps[v.number] = (m->temps[v.number] & ~mask) | (value & mask);
        break;
    case IR_VALUE_MEM:
        memcpy(&m->memory[m->linear & 0xfff], &value, width);
        m->seen = mix(m->seen, mix(m->linear, value & mask));
        break;
    default:
        break;
    }
}

static uint32_t sum(struct machine *m, const struct ir_address *a)
{
    return load(m, a->base, 4) + (load(m, a->index, 4) << a->scale) + (uint32_t)a->displacement;
}

static void see_state(struct machine *m)
{
    for (unsigned i = 0; i < 8; i++)
        m->seen = mix(m->seen, m->guest[i]);
    m->seen = mix(m->seen, m->flags);
}

static bool holds(unsigned condition, uint8_t flags)
{
    bool c = flags & IRF_C, z = flags & IRF_Z, s = flags & IRF_S, o = flags & IRF_O, p = flags & IRF_P;
    const bool plain[8] = {o, c, z, c || z, s, p, s != o, z || s != o};
    return plain[condition >> 1] != (condition & 1);
}

/* If OP leaves the block here, the flags can be had. */
static void check_leaving_flags(const struct machine *m, const struct ir_op *op)
{
    if (m->placed)
        assert_int_equal(op->recipe < IR_RECIPE_HOME ? m->after[op->recipe] : m->home, m->flags);
}

static uint32_t result_of(struct machine *m, const struct ir_op *op, uint32_t x, uint32_t y)
{
    bool carry = m->eflags & IRF_C;
    unsigned count = (ir_is_double_shift(op) ? load(m, op->b, 1) : y) & 31;
    switch (op->opcode) {
    case IR_MOV:
        return y;
    case IR_MOVZX:
        return y;
    case IR_MOVSX:
        return (uint32_t)ir_sign_extend(y, op->narrow);
    case IR_LEA:
        return sum(m, &op->address) & mask_of(op->width);
    case IR_XCHG:
        return y;
    case IR_BSWAP:
        return __builtin_bswap32(x);
    case IR_CMOV:
        return holds(op->condition, m->eflags) ? y : x;
    case IR_SETCC:
        return holds(op->condition, m->eflags);
    case IR_ADD:
    case IR_XADD:
        return x + y;
    case IR_OR:
        return x | y;
    case IR_ADC:
        return x + y + carry;
    case IR_SBB:
        return x - y - carry;
    case IR_AND:
        return x & y;
    case IR_SUB:
        return x - y;
    case IR_XOR:
        return x ^ y;
    case IR_INC:
        return x + 1;
    case IR_DEC:
        return x - 1;
    case IR_NOT:
        return ~x;
    case IR_NEG:
        return 0 - x;
    case IR_SHL:
        return x << count;
    case IR_SHR:
        return x >> count;
    case IR_BTS:
        return x | 1u << y;
    default: /* something that depends on all that the op reads */
        return (uint32_t)mix(mix(mix(op->opcode, x), y), mix(count, ir_op_table[op->opcode].read & IRF_C ? carry : 0));
    }
}

static void set_flags(struct machine *m, const struct ir_op *op, uint32_t x, uint32_t y)
{
    unsigned count = load(m, ir_is_double_shift(op) ? op->b : op->a, 1) & 31;
    uint32_t second = ir_is_shift(op) && !ir_is_double_shift(op) ? count : y;
    uint8_t written = op->written;
    if (!written || (ir_is_shift(op) && count == 0))
        return;
    if (ir_is_shift(op) && count == 1) /* OF may be kept for other counts only */
        written |= ir_op_table[op->opcode].written & IRF_O;
    uint64_t hash = mix(mix(mix(op->opcode * 8u + op->width, x), second), op->b.kind ? load(m, op->b, 4) & 31 : 0);
    if (op->opcode == IR_ADC || op->opcode == IR_SBB || op->opcode == IR_CMC || op->opcode == IR_RCL ||
        op->opcode == IR_RCR)
        hash = mix(hash, m->flags & IRF_C);
    if (op->opcode == IR_SAHF)
        hash = mix(1, m->guest[0] >> 8 & 0xff);
    m->flags = (uint8_t)((m->flags & ~written) | (hash >> 8 & written));
    m->eflags = (uint8_t)((m->eflags & ~written) | (hash >> 8 & written));
}

static void call(struct machine *m, const struct ir_op *op)
{
    if (m->placed)
        assert_int_equal(m->home, m->flags);
    see_state(m);
    m->seen = mix(m->seen, load(m, op->a, 4));
    for (unsigned i = 0; i < 8; i++)
        m->guest[i] = (uint32_t)mix(m->seen, i);
    m->home = m->flags = (uint8_t)(m->seen & IRF_ALL);
    m->eflags = m->placed ? (uint8_t)(~m->home & IRF_ALL) : m->home;
    memset(m->temps, 0x55, sizeof m->temps);
}

/* Moves of flags, calls, exits and accesses; false: an op with a result. */
static bool special(struct machine *m, const struct ir_op *op)
{
    unsigned effects = ir_op_table[op->opcode].effects;
    switch (op->opcode) {
    case IR_PARK:
        m->home = m->eflags;
        return true;
    case IR_UNPARK:
        m->eflags = m->home;
        return true;
    case IR_UNPARK_CARRY:
        m->eflags = (uint8_t)((m->eflags & ~IRF_C) | (m->home & IRF_C));
        return true;
    case IR_RECOMPUTE:
        m->eflags = m->after[op->recipe];
        return true;
    default:
        break;
    }
    if (effects & EFFECT_CALL) {
        call(m, op);
        return true;
    }
    if (effects & EFFECT_EXIT) {
        if (m->placed && op->place & IR_PLACE_EFLAGS)
            assert_int_equal(m->eflags, m->flags);
        if (m->placed && op->place & IR_PLACE_HOME)
            assert_int_equal(m->home, m->flags);
        see_state(m);
        m->seen = mix(m->seen, effects & EFFECT_CONDITION ? holds(op->condition, m->eflags) : load(m, op->a, 4));
        return true;
    }
    if (effects & (EFFECT_MAY_FAULT | EFFECT_DIVIDE)) {
        check_leaving_flags(m, op);
        if (op->opcode == IR_PROBE) {
            m->linear = sum(m, &op->address);
            m->seen = mix(m->seen, mix(m->linear, op->size * 4u + op->access));
            see_state(m);
        } else if (op->opcode == IR_SEGMENT) {
            m->temps[op->dst.number] = (sum(m, &op->address) & mask_of(op->width)) + 0x1230u * op->segment;
        } else {
            see_state(m);
            m->seen = mix(m->seen, load(m, op->a, 4));
        }
    }
    if (m->placed && effects & EFFECT_CLOBBERS_FLAGS)
        m->eflags = (uint8_t)(~m->eflags & IRF_ALL);
    return op->opcode == IR_PROBE || op->opcode == IR_SEGMENT || op->opcode == IR_CHECK_TARGET;
}

static void step(struct machine *m, const struct ir_op *op)
{
    unsigned effects = ir_op_table[op->opcode].effects;
    if (special(m, op))
        return;
    unsigned width = op->width;
    uint32_t x = ir_has_dst(op) ? load(m, op->dst, width) : 0;
    uint32_t y = ir_has_a(op) ? load(m, op->a, ir_width_of_a(op)) : 0;
    if (op->opcode >= IR_BT && op->opcode <= IR_BTC)
        y &= 8 * width - 1;
    else if (ir_is_shift(op) && !ir_is_double_shift(op))
        y &= 31;
    uint32_t result = ir_has_dst(op) ? result_of(m, op, x, y) : 0;
    bool dst_matters = ir_dst_read(op);
    uint64_t implicit = mix(mix(op->opcode, x), mix(y, m->guest[0] + (uint64_t)m->guest[2]));
    set_flags(m, op, dst_matters ? x : 0, y);
    if (op->opcode == IR_XCHG || op->opcode == IR_XADD)
        store(m, op->a, width, x);
    if (ir_dst_written(op)) {
        bool whole = ir_is_temp(op->dst) && ir_writes_whole_temp(op);
        store(m, op->dst, whole ? 4 : width, result);
    }
    if (effects & (EFFECT_EAX | EFFECT_EDX_EAX)) {
        for (unsigned i = 0; i < 4; i += 2) {
            if (ir_writes_guest(op, i) && !(ir_is_guest(op->dst) && op->dst.number == i))
                m->guest[i] = (uint32_t)(implicit >> i);
        }
    }
}

static uint64_t run(const struct ir_block *block, unsigned seed, bool placed, const struct ir_host_flags *host)
{
    static struct machine machine;
    struct machine *m = &machine;
    uint64_t random = seed;
    memset(m, 0, sizeof *m);
    for (unsigned i = 0; i < 8; i++)
        m->guest[i] = next_random(&random) << 16 ^ next_random(&random);
    for (size_t i = 0; i < sizeof m->memory; i++)
        m->memory[i] = (uint8_t)next_random(&random);
    m->eflags = m->flags = next_random(&random) & IRF_ALL;
    m->home = (uint8_t)(~m->eflags & IRF_ALL);
    m->placed = placed;
    for (unsigned i = 0; i < block->op_count; i++) {
        struct ir_op op = block->ops[i];
        ir_op_flags(&op, host);
        step(m, &op);
        m->after[i] = m->eflags;
    }
    return m->seen;
}

/* ---- random blocks ---- */

struct generator {
    struct ir_block *block;
    uint64_t random;
};

static unsigned pick(struct generator *g, unsigned count)
{
    return next_random(&g->random) % count;
}

static int32_t some_constant(struct generator *g, unsigned width)
{
    return ir_sign_extend(pick(g, 2) ? pick(g, 300) - 100 : next_random(&g->random) * 3u, width);
}

static struct ir_value some_register(struct generator *g, unsigned width)
{
    if (width == 1)
        return pick(g, 2) ? ir_high(pick(g, 4)) : ir_guest(pick(g, 4));
    return ir_guest(pick(g, 4) ? pick(g, 4) : pick(g, 8));
}

static struct ir_value some_source(struct generator *g, unsigned width)
{
    return pick(g, 3) ? some_register(g, width) : ir_const(some_constant(g, width));
}

static unsigned some_width(struct generator *g)
{
    return 1u << pick(g, 3);
}

static struct ir_address some_address(struct generator *g)
{
    struct ir_address a = {0};
    if (pick(g, 8))
        a.base = ir_guest(pick(g, 4));
    if (pick(g, 3) == 0) {
        a.index = ir_guest(pick(g, 4));
        a.scale = (uint8_t)pick(g, 4);
    }
    if (pick(g, 2))
        a.displacement = some_constant(g, 4);
    return a;
}

/* An offset by way of a temp: LEA, MOV or MOVZX and more LEA. */
static struct ir_address address_by_temps(struct generator *g)
{
    struct ir_address a = some_address(g);
    for (unsigned depth = pick(g, 3); depth > 0; depth--) {
        struct ir_value t = ir_new_temp(g->block);
        switch (pick(g, 4)) {
        case 0:
            ir_emit_dst_a(g->block, IR_MOV, 4, t, pick(g, 2) ? ir_guest(pick(g, 8)) : ir_const(some_constant(g, 4)));
            break;
        case 1:
            ir_emit_dst_a(g->block, IR_MOVZX, 4, t, ir_guest(pick(g, 8)))->narrow = 2;
            break;
        default: {
            struct ir_op *op = ir_append(g->block, IR_LEA, pick(g, 2) ? 4 : 2);
            op->dst = t;
            op->address = a;
            break;
        }
        }
        a = (struct ir_address){.base = t};
        if (pick(g, 3) == 0)
            a.displacement = some_constant(g, 4);
        if (pick(g, 4) == 0) {
            a.index = pick(g, 2) ? t : ir_guest(pick(g, 4));
            a.scale = (uint8_t)pick(g, 4);
        }
        if (pick(g, 6) == 0) {
            a.index = a.base;
            a.scale = (uint8_t)pick(g, 4);
            a.base = pick(g, 2) ? ir_guest(pick(g, 4)) : IR_NONE_VALUE;
        }
    }
    return a;
}

static void emit_probe(struct generator *g, unsigned size, enum ir_access access)
{
    struct ir_address a = address_by_temps(g);
    if (pick(g, 2)) {
        struct ir_op *op = ir_append(g->block, IR_SEGMENT, pick(g, 3) ? 2 : 4);
        op->dst = ir_new_temp(g->block);
        op->segment = (uint8_t)pick(g, 2);
        op->size = (uint8_t)size;
        op->access = (uint8_t)access;
        op->address = a;
        a = (struct ir_address){.base = op->dst};
    }
    ir_emit_probe(g->block, a, size, access);
}

static void emit_memory_op(struct generator *g)
{
    unsigned width = some_width(g);
    struct ir_value t;
    switch (pick(g, 6)) {
    case 0:
        emit_probe(g, width, IR_ACCESS_READ);
        ir_emit_dst_a(g->block, IR_MOV, width, some_register(g, width), ir_mem());
        break;
    case 1:
        emit_probe(g, width, IR_ACCESS_READ);
        ir_emit_dst_a(g->block, IR_ADD + pick(g, 9), width, some_register(g, width), ir_mem());
        break;
    case 2:
        emit_probe(g, width, IR_ACCESS_UPDATE);
        ir_emit_dst_a(g->block, IR_ADD + pick(g, 7), width, ir_mem(), some_source(g, width));
        break;
    case 3: /* store by way of a temp */
        t = ir_new_temp(g->block);
        ir_emit_dst_a(g->block, IR_MOV, 4, t, some_source(g, 4));
        emit_probe(g, width, IR_ACCESS_WRITE);
        ir_emit_dst_a(g->block, IR_MOV, width, ir_mem(), t);
        break;
    case 4: /* load by way of a temp, which goes on */
        t = ir_new_temp(g->block);
        emit_probe(g, 4, IR_ACCESS_READ);
        ir_emit_dst_a(g->block, IR_MOV, 4, t, ir_mem());
        ir_emit_dst_a(g->block, IR_MOV, 4, ir_guest(pick(g, 8)), t);
        ir_emit_dst_a(g->block, IR_ADD, 4, ir_guest(pick(g, 8)), t);
        break;
    default:
        width = pick(g, 2) ? 2 : 4;
        emit_probe(g, width, IR_ACCESS_UPDATE);
        ir_emit_dst_a(g->block, IR_BTS + pick(g, 3), width, ir_mem(), ir_guest(pick(g, 4)));
        break;
    }
}

static void emit_temp_op(struct generator *g)
{
    unsigned width = some_width(g);
    struct ir_value t = ir_new_temp(g->block);
    unsigned defined = pick(g, 3) ? 4 : width;
    ir_emit_dst_a(g->block, IR_MOV, defined, t, some_source(g, defined));
    if (defined < 4) /* the bits above are nobody's */
        ir_emit_dst_a(g->block, IR_MOVZX, 4, t, t)->narrow = (uint8_t)defined;
    for (unsigned uses = pick(g, 4); uses > 0; uses--) {
        switch (pick(g, 6)) {
        case 0:
            ir_emit_dst_a(g->block, IR_CMP, width, t, some_source(g, width));
            break;
        case 1:
            ir_emit_dst_a(g->block, IR_MOV, width, t, some_source(g, width));
            break;
        case 2:
            ir_append(g->block, IR_BSWAP, 4)->dst = t;
            break;
        case 3:
            ir_emit_dst_a(g->block, IR_XCHG, 4, ir_guest(pick(g, 8)), t);
            break;
        default:
            ir_emit_dst_a(g->block, pick(g, 2) ? IR_MOV : IR_ADD, width, some_register(g, width), t);
            break;
        }
    }
}

static void emit_register_op(struct generator *g)
{
    static const uint8_t updates[] = {IR_INC, IR_DEC, IR_NOT, IR_NEG};
    unsigned width = some_width(g), wide = pick(g, 2) ? 4 : 2;
    struct ir_op *op;
    switch (pick(g, 14)) {
    case 0:
    case 1:
    case 2:
        ir_emit_dst_a(g->block, IR_MOV, width, some_register(g, width), some_source(g, width));
        break;
    case 3:
    case 4:
        ir_emit_dst_a(g->block, IR_ADD + pick(g, 9), width, some_register(g, width), some_source(g, width));
        break;
    case 5: {
        struct ir_value self = some_register(g, width);
        ir_emit_dst_a(g->block, pick(g, 2) ? IR_XOR : IR_SUB, width, self, self);
        break;
    }
    case 6:
        ir_append(g->block, updates[pick(g, 4)], width)->dst = some_register(g, width);
        break;
    case 7:
        ir_emit_dst_a(g->block, IR_SHL + pick(g, 7), width, some_register(g, width),
                      pick(g, 2) ? ir_guest(IR_GUEST_ECX) : ir_const(1 + (int)pick(g, 31)));
        break;
    case 8:
        ir_emit_dst_a(g->block, IR_SHLD + pick(g, 2), wide, ir_guest(pick(g, 8)), ir_guest(pick(g, 8)))->b =
            ir_guest(IR_GUEST_ECX);
        break;
    case 9:
        op = ir_append(g->block, IR_LEA, wide);
        op->dst = ir_guest(pick(g, 8));
        op->address = some_address(g);
        break;
    case 10:
        op = ir_emit_dst_a(g->block, pick(g, 2) ? IR_MOVZX : IR_MOVSX, 4, ir_guest(pick(g, 8)), some_register(g, 1));
        op->narrow = 1;
        break;
    case 11:
        ir_emit_dst_a(g->block, pick(g, 2) ? IR_XCHG : IR_XADD, width, some_register(g, width),
                      some_register(g, width));
        break;
    case 12:
        op = pick(g, 2) ? ir_emit_dst_a(g->block, IR_CMOV, wide, ir_guest(pick(g, 8)), ir_guest(pick(g, 8)))
                        : ir_append(g->block, IR_SETCC, 1);
        if (op->opcode == IR_SETCC)
            op->dst = some_register(g, 1);
        op->condition = (uint8_t)pick(g, 16);
        break;
    default:
        op = ir_append(g->block, IR_MUL1 + pick(g, 4), width);
        op->a = some_register(g, width);
        break;
    }
}

static void generate(struct generator *g)
{
    static const uint8_t rare[] = {IR_CDQ, IR_CLC, IR_STC, IR_CMC, IR_LAHF, IR_SAHF, IR_CALLOUT, IR_INTERPRET, IR_CLD};
    ir_block_init(g->block, 0x1000, 0, 0x1000);
    g->block->links[0].used = g->block->links[1].used = true;
    g->block->links[0].kind = (uint8_t)pick(g, 3);
    g->block->links[1].kind = (uint8_t)pick(g, 3);
    unsigned insns = 1 + pick(g, 20);
    for (unsigned i = 0; i < insns; i++) {
        ir_begin_insn(g->block, 0x1000 + i, 1, 0);
        switch (pick(g, 16)) {
        case 0:
            ir_append(g->block, rare[pick(g, sizeof rare)], 4);
            break;
        case 1: {
            struct ir_op *op = ir_append(g->block, IR_EXIT_IF, 0);
            op->condition = (uint8_t)pick(g, 16);
            op->link = 1;
            break;
        }
        case 2:
        case 3:
        case 4:
        case 5:
        case 6:
            emit_memory_op(g);
            break;
        case 7:
        case 8:
            emit_temp_op(g);
            break;
        default:
            emit_register_op(g);
            break;
        }
    }
    if (pick(g, 4)) {
        ir_append(g->block, IR_EXIT, 0);
    } else {
        struct ir_value t = ir_new_temp(g->block);
        ir_begin_insn(g->block, 0x2000, 1, 0);
        ir_emit_dst_a(g->block, IR_MOV, 4, t, ir_guest(pick(g, 8)));
        ir_append(g->block, IR_CHECK_TARGET, 4)->a = t;
        ir_append(g->block, IR_EXIT_INDIRECT, 4)->a = t;
    }
}

/* ---- the test ---- */

static void assert_same_meaning(const struct ir_block *before, const struct ir_block *after, bool placed,
                                const struct ir_host_flags *host, const char *pass, unsigned number)
{
    for (unsigned seed = 1; seed <= RUNS; seed++) {
        if (run(before, seed * 77, false, host) != run(after, seed * 77, placed, host)) {
            ir_print(stderr, before);
            ir_print(stderr, after);
            fail_msg("block %u: pass %s changes the meaning", number, pass);
        }
    }
}

static void test_random_blocks(void **state)
{
    struct ir_block *original = malloc(sizeof *original), *block = malloc(sizeof *block);
    struct generator g = {original, 20};
    unsigned valid = 0, ops_before = 0, ops_after = 0;
    char message[256];
    for (unsigned number = 0; number < BLOCKS; number++) {
        struct ir_host_flags host = {0};
        generate(&g);
        if (number % 2)
            host = (struct ir_host_flags){IRF_A, IRF_A, IRF_ALL, IRF_C, 0, IRF_O, IRF_A, number % 4 == 1};
        if (!ir_verify(original, false, message, sizeof message))
            continue; /* too many temps */
        valid++;
        *block = *original;
        ops_before += original->op_count;
        for (unsigned i = 0; ir_passes[i].name; i++) {
            bool placed = ir_passes[i].run == ir_pass_flags;
            ops_after += placed ? block->op_count : 0;
            if (!placed && number % 8 == 7 && i != number / 8 % 4)
                continue; /* some passes alone */
            ir_passes[i].run(block, &host);
            if (!ir_verify(block, placed, message, sizeof message)) {
                ir_print(stderr, original);
                ir_print(stderr, block);
                fail_msg("block %u, pass %s: %s", number, ir_passes[i].name, message);
            }
            assert_same_meaning(original, block, placed, &host, ir_passes[i].name, number);
        }
    }
    print_message("%u blocks, %u ops, %u after dead code\n", valid, ops_before, ops_after);
    assert_true(valid > BLOCKS / 2);
    assert_true(ops_after < ops_before);
    free(original);
    free(block);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_random_blocks)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}

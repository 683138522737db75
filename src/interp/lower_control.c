/* Near JMP CALL RET Jcc LOOP JCXZ. */
#include "interp/alu.h"
#include "interp/block.h"
#include "interp/lower.h"
#include "interp/stack.h"

/* ---- direct JMP and Jcc ---- */

static const struct op *jmp_near(struct vcpu *cpu, const struct op *op)
{
    return interp_follow(cpu, op->pointer, true);
}
static const struct op *jmp_page(struct vcpu *cpu, const struct op *op)
{
    return interp_follow(cpu, op->pointer, false);
}
/* Beyond CS's limit: #GP(0) at the branch. */
static const struct op *jmp_beyond(struct vcpu *cpu, const struct op *op)
{
    return interp_raise(cpu, op, EXC_GP);
}

/* exits[0] and exits[1] lie side by side: POINTER is the first. */
#define DEFINE_JCC(cc, name)                                                                    \
    static const struct op *j##name##_near(struct vcpu *cpu, const struct op *op)               \
    {                                                                                           \
        struct link *exits = op->pointer;                                                       \
        if (condition_holds(cpu->state.arithmetic_flags, cc))                                   \
            return interp_follow(cpu, exits + 1, true);                                         \
        return interp_follow(cpu, exits, true);                                                 \
    }                                                                                           \
    static const struct op *j##name##_page(struct vcpu *cpu, const struct op *op)               \
    {                                                                                           \
        struct link *exits = op->pointer;                                                       \
        if (condition_holds(cpu->state.arithmetic_flags, cc))                                   \
            return interp_follow(cpu, exits + 1, false);                                        \
        return interp_follow(cpu, exits, false);                                                \
    }                                                                                           \
    static const struct op *j##name##_beyond(struct vcpu *cpu, const struct op *op)             \
    {                                                                                           \
        if (condition_holds(cpu->state.arithmetic_flags, cc))                                   \
            return interp_raise(cpu, op, EXC_GP);                                               \
        return interp_follow(cpu, op->pointer, false);                                          \
    }
FOR_CONDITIONS(DEFINE_JCC)

static op_handler *const jcc_handlers[16][3] = {
#define X(cc, name) {j##name##_near, j##name##_page, j##name##_beyond},
    FOR_CONDITIONS(X)
#undef X
};

/* 0: both ends on the block's linear page, 1: elsewhere, 2: target beyond the segment's limit */
static unsigned reach_of(const struct lowering *l, uint32_t target, bool conditional)
{
    const struct block *block = l->block;
    uint32_t page = block->linear >> PAGE_SHIFT, base = (uint32_t)block->cs_base;
    uint32_t next = l->eip + l->insn->length;

    if (target > block->cs_limit)
        return 2;
    if (((base + target) >> PAGE_SHIFT) != page || (conditional && ((base + next) >> PAGE_SHIFT) != page))
        return 1;
    return 0;
}

static uint32_t direct_target(struct lowering *l)
{
    uint32_t target = (uint32_t)l->insn->operands[0].value;

    l->block->exits[1].eip = target;
    l->op->pointer = &l->block->exits[0];
    return target;
}

void interp_lower_jcc(struct lowering *l)
{
    uint32_t target = direct_target(l);

    l->op->src = (uint8_t)reach_of(l, target, true);
    l->op->handler = jcc_handlers[l->insn->row - ROW_JO][l->op->src];
}

unsigned lower_jcc_reach(const struct op *op)
{
    return op->src;
}

/* ---- indirect transfers: limit checked at run time ---- */

static const struct op *go(struct vcpu *cpu, uint32_t target)
{
    cpu->state.rip = target;
    return interp_enter_cached(cpu);
}

#define CHECK_TARGET(target)                                                \
    do {                                                                    \
        if (unlikely((target) > cpu->state.segment[SEG_CS].limit))          \
            return interp_raise(cpu, op, EXC_GP);                           \
    } while (0)

#define DEFINE_JUMP_INDIRECT(size)                                                                          \
    static const struct op *jmp_r_##size(struct vcpu *cpu, const struct op *op)                             \
    {                                                                                                       \
        uint32_t target = GET_##size(op->src);                                                              \
        CHECK_TARGET(target);                                                                               \
        return go(cpu, target);                                                                             \
    }                                                                                                       \
    always_inline const struct op *jmp_m_body_##size(BODY_PARAMETERS, const enum ea_form form)              \
    {                                                                                                       \
        UINT_OF(size) target;                                                                               \
        OPERAND_ADDRESS(linear, form, size, false);                                                         \
        LOAD(target, linear, size);                                                                         \
        CHECK_TARGET(target);                                                                               \
        return go(cpu, target);                                                                             \
    }                                                                                                       \
    DEFINE_MEMORY_HANDLERS(jmp_m_##size, jmp_m_body_##size)
DEFINE_JUMP_INDIRECT(2)
DEFINE_JUMP_INDIRECT(4)

void interp_lower_jump(struct lowering *l)
{
    static op_handler *const direct[3] = {jmp_near, jmp_page, jmp_beyond};
    static op_handler *const r[2] = {jmp_r_2, jmp_r_4};
    static op_handler *const m[2][EA_FORM_COUNT] = {MEMORY_HANDLERS(jmp_m_2), MEMORY_HANDLERS(jmp_m_4)};
    const struct operand *a = &l->insn->operands[0];
    bool wide = l->insn->operand_size == 4;

    if (a->kind == OPERAND_IMMEDIATE) {
        uint32_t target = direct_target(l);

        l->op->pointer = &l->block->exits[1];
        l->op->handler = direct[reach_of(l, target, false)];
    } else if (a->kind == OPERAND_GPR) {
        l->op->src = lower_gpr(a);
        l->op->handler = r[wide];
    } else {
        l->op->handler = m[wide][lower_address(l, a)];
    }
}

/* ---- CALL: processors write the return address, then check the target; SP moves last ---- */

#define RETURN_ADDRESS op_next_eip(cpu, op)

#define DEFINE_CALL(size)                                                                                   \
    always_inline const struct op *call_direct_body_##size(BODY_PARAMETERS, const bool same_page, const enum ea_form stack) \
    {                                                                                                       \
        PUSH(RETURN_ADDRESS, size, stack);                                                                  \
        return interp_follow(cpu, op->pointer, same_page);                                                  \
    }                                                                                                       \
    DEFINE_STACK_HANDLERS(call_near_##size, call_direct_body_##size, true)                                  \
    DEFINE_STACK_HANDLERS(call_page_##size, call_direct_body_##size, false)                                 \
    always_inline const struct op *call_beyond_body_##size(BODY_PARAMETERS, const enum ea_form stack)       \
    {                                                                                                       \
        PUSH_STORE(RETURN_ADDRESS, size, stack);                                                            \
        return interp_raise(cpu, op, EXC_GP);                                                               \
    }                                                                                                       \
    DEFINE_STACK_HANDLERS(call_beyond_##size, call_beyond_body_##size)                                      \
    always_inline const struct op *call_r_body_##size(BODY_PARAMETERS, const enum ea_form stack)            \
    {                                                                                                       \
        uint32_t target = GET_##size(op->src);                                                              \
        PUSH_STORE(RETURN_ADDRESS, size, stack);                                                            \
        CHECK_TARGET(target);                                                                               \
        stack_adjust(cpu, -(size), stack);                                                                  \
        return go(cpu, target);                                                                             \
    }                                                                                                       \
    DEFINE_STACK_HANDLERS(call_r_##size, call_r_body_##size)                                                \
    always_inline const struct op *call_m_body_##size(BODY_PARAMETERS, const enum ea_form stack, const enum ea_form form) \
    {                                                                                                       \
        UINT_OF(size) target;                                                                               \
        OPERAND_ADDRESS(linear, form, size, false);                                                         \
        LOAD(target, linear, size);                                                                         \
        PUSH_STORE(RETURN_ADDRESS, size, stack);                                                            \
        CHECK_TARGET(target);                                                                               \
        stack_adjust(cpu, -(size), stack);                                                                  \
        return go(cpu, target);                                                                             \
    }                                                                                                       \
    DEFINE_MEMORY_HANDLERS(call_m_flat_##size, call_m_body_##size, EA_FLAT_BASE)                            \
    DEFINE_MEMORY_HANDLERS(call_m_seg32_##size, call_m_body_##size, EA_SEG32)                               \
    DEFINE_MEMORY_HANDLERS(call_m_seg16_##size, call_m_body_##size, EA_SEG16)
DEFINE_CALL(2)
DEFINE_CALL(4)

void interp_lower_call(struct lowering *l)
{
    static op_handler *const direct[2][3][3] = {
        {STACK_HANDLERS(call_near_2), STACK_HANDLERS(call_page_2), STACK_HANDLERS(call_beyond_2)},
        {STACK_HANDLERS(call_near_4), STACK_HANDLERS(call_page_4), STACK_HANDLERS(call_beyond_4)}};
    static op_handler *const r[2][3] = {STACK_HANDLERS(call_r_2), STACK_HANDLERS(call_r_4)};
    static op_handler *const m[2][3][EA_FORM_COUNT] = {
        {MEMORY_HANDLERS(call_m_flat_2), MEMORY_HANDLERS(call_m_seg32_2), MEMORY_HANDLERS(call_m_seg16_2)},
        {MEMORY_HANDLERS(call_m_flat_4), MEMORY_HANDLERS(call_m_seg32_4), MEMORY_HANDLERS(call_m_seg16_4)}};
    const struct operand *a = &l->insn->operands[0];
    bool wide = l->insn->operand_size == 4;
    unsigned stack = STACK_INDEX(lower_stack_form(l));

    if (a->kind == OPERAND_IMMEDIATE) {
        unsigned reach = reach_of(l, direct_target(l), false);

        l->op->pointer = &l->block->exits[1];
        l->op->handler = direct[wide][reach][stack];
    } else if (a->kind == OPERAND_GPR) {
        l->op->src = lower_gpr(a);
        l->op->handler = r[wide][stack];
    } else {
        l->op->handler = m[wide][stack][lower_address(l, a)];
    }
}

/* ---- RET, RET imm16 ---- */

#define DEFINE_RET(size)                                                                                    \
    always_inline const struct op *ret_body_##size(BODY_PARAMETERS, const enum ea_form stack)               \
    {                                                                                                       \
        UINT_OF(size) target;                                                                               \
        PEEK(target, size, stack);                                                                          \
        CHECK_TARGET(target);                                                                               \
        stack_adjust(cpu, (int)(size + op->immediate), stack);                                              \
        return go(cpu, target);                                                                             \
    }                                                                                                       \
    DEFINE_STACK_HANDLERS(ret_##size, ret_body_##size)
DEFINE_RET(2)
DEFINE_RET(4)

void interp_lower_ret(struct lowering *l)
{
    static op_handler *const handlers[2][3] = {STACK_HANDLERS(ret_2), STACK_HANDLERS(ret_4)};

    l->op->immediate = l->insn->operand_count ? (uint64_t)l->insn->operands[0].value & 0xffff : 0;
    l->op->handler = handlers[l->insn->operand_size == 4][STACK_INDEX(lower_stack_form(l))];
}

/* ---- LOOP LOOPE LOOPNE JCXZ JECXZ: the counter's width is the address size ---- */

enum loop_kind { LOOP_PLAIN, LOOP_ZERO, LOOP_NOT_ZERO, LOOP_COUNTER_ZERO };

always_inline const struct op *loop_body(struct vcpu *cpu, const struct op *op, const enum loop_kind kind, const bool wide)
{
    struct link *exits = op->pointer;
    uint32_t count = wide ? REG32(GPR_CX * 8) : REG16(GPR_CX * 8);
    bool taken;

    if (kind == LOOP_COUNTER_ZERO) {
        taken = count == 0;
    } else {
        count = wide ? count - 1 : (uint16_t)(count - 1);
        taken = count != 0;
        if (kind == LOOP_ZERO)
            taken = taken && (cpu->state.arithmetic_flags & 0x4000);
        if (kind == LOOP_NOT_ZERO)
            taken = taken && !(cpu->state.arithmetic_flags & 0x4000);
    }
    if (taken && unlikely(op->src)) /* beyond the limit */
        return interp_raise(cpu, op, EXC_GP);
    if (kind != LOOP_COUNTER_ZERO) {
        if (wide)
            SET_REG32(GPR_CX * 8, count);
        else
            REG16(GPR_CX * 8) = (uint16_t)count;
    }
    return interp_follow(cpu, taken ? exits + 1 : exits, false);
}
#define DEFINE_LOOP(name, kind)                                                                 \
    static const struct op *name##_16(struct vcpu *cpu, const struct op *op)                    \
    {                                                                                           \
        return loop_body(cpu, op, kind, false);                                                 \
    }                                                                                           \
    static const struct op *name##_32(struct vcpu *cpu, const struct op *op)                    \
    {                                                                                           \
        return loop_body(cpu, op, kind, true);                                                  \
    }
DEFINE_LOOP(loop, LOOP_PLAIN)
DEFINE_LOOP(loope, LOOP_ZERO)
DEFINE_LOOP(loopne, LOOP_NOT_ZERO)
DEFINE_LOOP(jcxz, LOOP_COUNTER_ZERO)

void interp_lower_loop(struct lowering *l)
{
    static op_handler *const handlers[5][2] = {
        {jcxz_16, jcxz_32}, {jcxz_16, jcxz_32}, {loop_16, loop_32}, {loope_16, loope_32}, {loopne_16, loopne_32}};
    uint32_t target = direct_target(l);

    l->op->src = reach_of(l, target, true) == 2;
    l->op->handler = handlers[l->insn->row - ROW_JCXZ][l->insn->address_size == 4];
}

/* PUSH POP PUSHA POPA LEAVE. (ENTER is a callout.) */
#include "interp/alu.h"
#include "interp/lower.h"

#include "interp/stack.h"

/* ---- PUSH ---- */

#define DEFINE_PUSH(size)                                                                                   \
    always_inline const struct op *push_body_##size(BODY_PARAMETERS, const bool immediate, const enum ea_form form) \
    {                                                                                                       \
        UINT_OF(size) value = immediate ? (UINT_OF(size))op->immediate : GET_##size(op->src);               \
        PUSH(value, size, form);                                                                            \
        NEXT();                                                                                             \
    }                                                                                                       \
    DEFINE_STACK_HANDLERS(push_r_##size, push_body_##size, false)                                           \
    DEFINE_STACK_HANDLERS(push_i_##size, push_body_##size, true)                                            \
    /* From memory: the address is formed before SP moves. */                                               \
    always_inline const struct op *push_m_body_##size(BODY_PARAMETERS, const enum ea_form stack, const enum ea_form form) \
    {                                                                                                       \
        UINT_OF(size) value;                                                                                \
        OPERAND_ADDRESS(linear, form, size, false);                                                         \
        LOAD(value, linear, size);                                                                          \
        PUSH(value, size, stack);                                                                           \
        NEXT();                                                                                             \
    }                                                                                                       \
    DEFINE_MEMORY_HANDLERS(push_m_flat_##size, push_m_body_##size, EA_FLAT_BASE)                            \
    DEFINE_MEMORY_HANDLERS(push_m_seg32_##size, push_m_body_##size, EA_SEG32)                               \
    DEFINE_MEMORY_HANDLERS(push_m_seg16_##size, push_m_body_##size, EA_SEG16)
DEFINE_PUSH(2)
DEFINE_PUSH(4)

void interp_lower_push(struct lowering *l)
{
    static op_handler *const r[2][3] = {STACK_HANDLERS(push_r_2), STACK_HANDLERS(push_r_4)};
    static op_handler *const i[2][3] = {STACK_HANDLERS(push_i_2), STACK_HANDLERS(push_i_4)};
    static op_handler *const m[2][3][EA_FORM_COUNT] = {
        {MEMORY_HANDLERS(push_m_flat_2), MEMORY_HANDLERS(push_m_seg32_2), MEMORY_HANDLERS(push_m_seg16_2)},
        {MEMORY_HANDLERS(push_m_flat_4), MEMORY_HANDLERS(push_m_seg32_4), MEMORY_HANDLERS(push_m_seg16_4)}};
    const struct operand *a = &l->insn->operands[0];
    bool wide = l->insn->operand_size == 4;
    unsigned stack = STACK_INDEX(lower_stack_form(l));

    if (a->kind == OPERAND_GPR) {
        l->op->src = lower_gpr(a);
        l->op->handler = r[wide][stack];
    } else if (a->kind == OPERAND_IMMEDIATE) {
        l->op->immediate = (uint64_t)a->value;
        l->op->handler = i[wide][stack];
    } else {
        l->op->handler = m[wide][stack][lower_address(l, a)];
    }
}

/* ---- POP ---- */

#define DEFINE_POP(size)                                                                                    \
    always_inline const struct op *pop_body_##size(BODY_PARAMETERS, const enum ea_form form)                \
    {                                                                                                       \
        UINT_OF(size) value;                                                                                \
        PEEK(value, size, form);                                                                            \
        stack_adjust(cpu, size, form);                                                                      \
        PUT_##size(op->dst, value); /* POP SP: the popped value wins */                                     \
        NEXT();                                                                                             \
    }                                                                                                       \
    DEFINE_STACK_HANDLERS(pop_r_##size, pop_body_##size)                                                    \
    /* To memory: an address based on SP uses SP as it is after the pop (SDM vol. 2, POP). */               \
    always_inline const struct op *pop_m_body_##size(BODY_PARAMETERS, const enum ea_form stack)             \
    {                                                                                                       \
        UINT_OF(size) value;                                                                                \
        uint64_t linear, sp = REG64(GPR_SP * 8);                                                            \
        PEEK(value, size, stack);                                                                           \
        stack_adjust(cpu, size, stack);                                                                     \
        uint32_t offset = op->immediate == 2 ? op_offset(cpu, op, EA_SEG16) : op_offset(cpu, op, EA_FLAT);  \
        REG64(GPR_SP * 8) = sp;                                                                             \
        CHECKED_ADDRESS(linear, EA_SEG32, op->segment, offset, size, true);                                 \
        STORE(linear, size, value);                                                                         \
        stack_adjust(cpu, size, stack);                                                                     \
        NEXT();                                                                                             \
    }                                                                                                       \
    DEFINE_STACK_HANDLERS(pop_m_##size, pop_m_body_##size)
DEFINE_POP(2)
DEFINE_POP(4)

void interp_lower_pop(struct lowering *l)
{
    static op_handler *const r[2][3] = {STACK_HANDLERS(pop_r_2), STACK_HANDLERS(pop_r_4)};
    static op_handler *const m[2][3] = {STACK_HANDLERS(pop_m_2), STACK_HANDLERS(pop_m_4)};
    const struct operand *a = &l->insn->operands[0];
    bool wide = l->insn->operand_size == 4;
    unsigned stack = STACK_INDEX(lower_stack_form(l));

    if (a->kind == OPERAND_GPR) {
        l->op->dst = lower_gpr(a);
        l->op->handler = r[wide][stack];
    } else {
        lower_address(l, a);
        l->op->immediate = l->insn->address_size;
        l->op->handler = m[wide][stack];
    }
}

/* ---- PUSHA, POPA: a fault halfway leaves what was done by then, apart from SP, as processors do ---- */

#define DEFINE_PUSHA(size)                                                                                  \
    static const struct op *pusha_##size(struct vcpu *cpu, const struct op *op)                             \
    {                                                                                                       \
        uint32_t mask = (uint32_t)cpu_stack_mask(cpu), sp = REG32(GPR_SP * 8);                              \
        for (unsigned i = 0; i < 8; i++)                                                                    \
            if (!cpu_write_data(cpu, SEG_SS, (sp - (i + 1) * size) & mask, size, GET_##size(i * 8)))        \
                return interp_fault(cpu, op);                                                               \
        cpu_adjust_stack(cpu, -8 * size);                                                                   \
        NEXT();                                                                                             \
    }                                                                                                       \
    static const struct op *popa_##size(struct vcpu *cpu, const struct op *op)                              \
    {                                                                                                       \
        uint32_t mask = (uint32_t)cpu_stack_mask(cpu), sp = REG32(GPR_SP * 8);                              \
        uint64_t value;                                                                                     \
        for (unsigned i = 0; i < 8; i++) {                                                                  \
            if (!cpu_read_data(cpu, SEG_SS, (sp + i * size) & mask, size, &value))                          \
                return interp_fault(cpu, op);                                                               \
            if (7 - i != GPR_SP)                                                                            \
                PUT_##size((7 - i) * 8, value);                                                             \
        }                                                                                                   \
        cpu_adjust_stack(cpu, 8 * size);                                                                    \
        return interp_leave_after(cpu, op); /* locals: no sibling call */                                   \
    }
DEFINE_PUSHA(2)
DEFINE_PUSHA(4)

void interp_lower_pusha(struct lowering *l)
{
    l->op->handler = l->insn->row == ROW_PUSHAD ? pusha_4 : pusha_2;
}
void interp_lower_popa(struct lowering *l)
{
    l->op->handler = l->insn->row == ROW_POPAD ? popa_4 : popa_2;
}

/* ---- LEAVE: SP = BP, pop BP ---- */

#define DEFINE_LEAVE(size)                                                                                  \
    always_inline const struct op *leave_body_##size(BODY_PARAMETERS, const enum ea_form form)              \
    {                                                                                                       \
        uint32_t bp = form == EA_SEG16 ? GET_2(GPR_BP * 8) : GET_4(GPR_BP * 8);                             \
        uint64_t linear;                                                                                    \
        UINT_OF(size) value;                                                                                \
        CHECKED_ADDRESS(linear, form, SEG_SS, bp, size, false);                                             \
        LOAD(value, linear, size);                                                                          \
        if (form == EA_SEG16)                                                                               \
            PUT_2(GPR_SP * 8, bp + size);                                                                   \
        else                                                                                                \
            PUT_4(GPR_SP * 8, bp + size);                                                                   \
        PUT_##size(GPR_BP * 8, value);                                                                      \
        NEXT();                                                                                             \
    }                                                                                                       \
    DEFINE_STACK_HANDLERS(leave_##size, leave_body_##size)
DEFINE_LEAVE(2)
DEFINE_LEAVE(4)

void interp_lower_leave(struct lowering *l)
{
    static op_handler *const handlers[2][3] = {STACK_HANDLERS(leave_2), STACK_HANDLERS(leave_4)};

    l->op->handler = handlers[l->insn->operand_size == 4][STACK_INDEX(lower_stack_form(l))];
}

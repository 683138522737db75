/* ADD OR ADC SBB AND SUB XOR CMP TEST, INC DEC NOT NEG. */
#include "interp/alu.h"
#include "interp/lower.h"

/* ---- the operations themselves, by size ---- */

#define DEFINE_BINARY(size, name, prefix)                                                                   \
    always_inline UINT_OF(size) name##_##size(struct vcpu *cpu, UINT_OF(size) a, UINT_OF(size) b)           \
    {                                                                                                       \
        uint16_t flags = cpu->state.arithmetic_flags;                                                       \
        __asm__(prefix #name SUFFIX_##size " %2, %0" TAKE_FLAGS : "+&r"(a), "+&a"(flags) : "rm"(b) : "cc"); \
        cpu->state.arithmetic_flags = flags;                                                                \
        return a;                                                                                           \
    }                                                                                                       \
    always_inline void name##_memory_##size(struct vcpu *cpu, UINT_OF(size) *a, UINT_OF(size) b)            \
    {                                                                                                       \
        uint16_t flags = cpu->state.arithmetic_flags;                                                       \
        __asm__(prefix #name SUFFIX_##size " %2, %0" TAKE_FLAGS : "+m"(*a), "+&a"(flags) : "r"(b) : "cc");  \
        cpu->state.arithmetic_flags = flags;                                                                \
    }                                                                                                       \
    always_inline void name##_locked_##size(struct vcpu *cpu, UINT_OF(size) *a, UINT_OF(size) b)            \
    {                                                                                                       \
        uint16_t flags = cpu->state.arithmetic_flags;                                                       \
        __asm__(prefix "lock " #name SUFFIX_##size " %2, %0" TAKE_FLAGS                                     \
                : "+m"(*a), "+&a"(flags) : "r"(b) : "cc", "memory");                                        \
        cpu->state.arithmetic_flags = flags;                                                                \
    }

/* Does not read flags: the dependency on the old value is cut. */
#define DEFINE_PLAIN_BINARY(size, name)                                                                     \
    always_inline UINT_OF(size) name##_##size(struct vcpu *cpu, UINT_OF(size) a, UINT_OF(size) b)           \
    {                                                                                                       \
        uint16_t flags;                                                                                     \
        __asm__(#name SUFFIX_##size " %2, %0" TAKE_FLAGS : "+&r"(a), "=&a"(flags) : "rm"(b) : "cc");        \
        cpu->state.arithmetic_flags = flags;                                                                \
        return a;                                                                                           \
    }                                                                                                       \
    always_inline void name##_memory_##size(struct vcpu *cpu, UINT_OF(size) *a, UINT_OF(size) b)            \
    {                                                                                                       \
        uint16_t flags;                                                                                     \
        __asm__(#name SUFFIX_##size " %2, %0" TAKE_FLAGS : "+m"(*a), "=&a"(flags) : "r"(b) : "cc");         \
        cpu->state.arithmetic_flags = flags;                                                                \
    }                                                                                                       \
    always_inline void name##_locked_##size(struct vcpu *cpu, UINT_OF(size) *a, UINT_OF(size) b)            \
    {                                                                                                       \
        uint16_t flags;                                                                                     \
        __asm__("lock " #name SUFFIX_##size " %2, %0" TAKE_FLAGS                                            \
                : "+m"(*a), "=&a"(flags) : "r"(b) : "cc", "memory");                                        \
        cpu->state.arithmetic_flags = flags;                                                                \
    }

FOR_SIZES(DEFINE_PLAIN_BINARY, add)
FOR_SIZES(DEFINE_PLAIN_BINARY, or)
FOR_SIZES(DEFINE_BINARY, adc, GIVE_CARRY)
FOR_SIZES(DEFINE_BINARY, sbb, GIVE_CARRY)
FOR_SIZES(DEFINE_PLAIN_BINARY, and)
FOR_SIZES(DEFINE_PLAIN_BINARY, sub)
FOR_SIZES(DEFINE_PLAIN_BINARY, xor)

#define DEFINE_COMPARE(size, name)                                                                          \
    always_inline void name##_##size(struct vcpu *cpu, UINT_OF(size) a, UINT_OF(size) b)                    \
    {                                                                                                       \
        uint16_t flags;                                                                                     \
        __asm__(#name SUFFIX_##size " %2, %1" TAKE_FLAGS : "=&a"(flags) : "r"(a), "r"(b) : "cc");           \
        cpu->state.arithmetic_flags = flags;                                                                \
    }
FOR_SIZES(DEFINE_COMPARE, cmp)
FOR_SIZES(DEFINE_COMPARE, test)

/* ---- handlers ---- */

#define DEFINE_ALU_HANDLERS(size, name)                                                                     \
    static const struct op *name##_rr_##size(struct vcpu *cpu, const struct op *op)                         \
    {                                                                                                       \
        PUT_##size(op->dst, name##_##size(cpu, GET_##size(op->dst), GET_##size(op->src)));                  \
        NEXT();                                                                                             \
    }                                                                                                       \
    static const struct op *name##_ri_##size(struct vcpu *cpu, const struct op *op)                         \
    {                                                                                                       \
        PUT_##size(op->dst, name##_##size(cpu, GET_##size(op->dst), (UINT_OF(size))op->immediate));         \
        NEXT();                                                                                             \
    }                                                                                                       \
    always_inline const struct op *name##_rm_body_##size(BODY_PARAMETERS, const enum ea_form form)          \
    {                                                                                                       \
        UINT_OF(size) value;                                                                                \
        OPERAND_ADDRESS(linear, form, size, false);                                                         \
        LOAD(value, linear, size);                                                                          \
        PUT_##size(op->dst, name##_##size(cpu, GET_##size(op->dst), value));                                \
        NEXT();                                                                                             \
    }                                                                                                       \
    DEFINE_MEMORY_HANDLERS(name##_rm_##size, name##_rm_body_##size)                                         \
    always_inline const struct op *name##_m_body_##size(BODY_PARAMETERS, const bool immediate, const bool lock, \
                                                        const enum ea_form form)                            \
    {                                                                                                       \
        UINT_OF(size) b = immediate ? (UINT_OF(size))op->immediate : GET_##size(op->src);                   \
        OPERAND_ADDRESS(linear, form, size, true);                                                          \
        if (!slow) {                                                                                        \
            uint8_t *p = mmu_fast_pointer(cpu->mmu.write_table, linear, size);                              \
            if (unlikely(!p))                                                                               \
                return slow_handler(cpu, op);                                                               \
            if (lock)                                                                                       \
                name##_locked_##size(cpu, (UINT_OF(size) *)(void *)p, b);                                   \
            else                                                                                            \
                name##_memory_##size(cpu, (UINT_OF(size) *)(void *)p, b);                                   \
        } else {                                                                                            \
            struct mmu_result old = mmu_read_for_write_slow(&cpu->mmu, linear, size);                       \
            uint16_t flags = cpu->state.arithmetic_flags;                                                   \
            if (!old.ok)                                                                                    \
                return interp_fault(cpu, op);                                                               \
            if (!mmu_write_slow(&cpu->mmu, linear, size, name##_##size(cpu, (UINT_OF(size))old.value, b))) { \
                cpu->state.arithmetic_flags = flags;                                                        \
                return interp_fault(cpu, op);                                                               \
            }                                                                                               \
        }                                                                                                   \
        NEXT();                                                                                             \
    }                                                                                                       \
    DEFINE_MEMORY_HANDLERS(name##_mr_##size, name##_m_body_##size, false, false)                            \
    DEFINE_MEMORY_HANDLERS(name##_mi_##size, name##_m_body_##size, true, false)                             \
    DEFINE_MEMORY_HANDLERS(name##_locked_mr_##size, name##_m_body_##size, false, true)                      \
    DEFINE_MEMORY_HANDLERS(name##_locked_mi_##size, name##_m_body_##size, true, true)

#define DEFINE_COMPARE_HANDLERS(size, name)                                                                 \
    static const struct op *name##_rr_##size(struct vcpu *cpu, const struct op *op)                         \
    {                                                                                                       \
        name##_##size(cpu, GET_##size(op->dst), GET_##size(op->src));                                       \
        NEXT();                                                                                             \
    }                                                                                                       \
    static const struct op *name##_ri_##size(struct vcpu *cpu, const struct op *op)                         \
    {                                                                                                       \
        name##_##size(cpu, GET_##size(op->dst), (UINT_OF(size))op->immediate);                              \
        NEXT();                                                                                             \
    }                                                                                                       \
    always_inline const struct op *name##_m_body_##size(BODY_PARAMETERS, const int order, const enum ea_form form) \
    {                                                                                                       \
        UINT_OF(size) value;                                                                                \
        OPERAND_ADDRESS(linear, form, size, false);                                                         \
        LOAD(value, linear, size);                                                                          \
        if (order == 0)                                                                                     \
            name##_##size(cpu, GET_##size(op->dst), value);                                                 \
        else                                                                                                \
            name##_##size(cpu, value, order == 1 ? GET_##size(op->src) : (UINT_OF(size))op->immediate);     \
        NEXT();                                                                                             \
    }                                                                                                       \
    DEFINE_MEMORY_HANDLERS(name##_rm_##size, name##_m_body_##size, 0)                                       \
    DEFINE_MEMORY_HANDLERS(name##_mr_##size, name##_m_body_##size, 1)                                       \
    DEFINE_MEMORY_HANDLERS(name##_mi_##size, name##_m_body_##size, 2)

FOR_SIZES(DEFINE_ALU_HANDLERS, add)
FOR_SIZES(DEFINE_ALU_HANDLERS, or)
FOR_SIZES(DEFINE_ALU_HANDLERS, adc)
FOR_SIZES(DEFINE_ALU_HANDLERS, sbb)
FOR_SIZES(DEFINE_ALU_HANDLERS, and)
FOR_SIZES(DEFINE_ALU_HANDLERS, sub)
FOR_SIZES(DEFINE_ALU_HANDLERS, xor)
FOR_SIZES(DEFINE_COMPARE_HANDLERS, cmp)
FOR_SIZES(DEFINE_COMPARE_HANDLERS, test)

struct alu_handlers {
    op_handler *rr, *ri;
    op_handler *rm[EA_FORM_COUNT], *mr[EA_FORM_COUNT], *mi[EA_FORM_COUNT];
    op_handler *locked_mr[EA_FORM_COUNT], *locked_mi[EA_FORM_COUNT];
};

#define ALU_HANDLERS(size, name)                                                                            \
    {                                                                                                       \
        name##_rr_##size, name##_ri_##size, MEMORY_HANDLERS_SIZED(name##_rm, size),                         \
            MEMORY_HANDLERS_SIZED(name##_mr, size), MEMORY_HANDLERS_SIZED(name##_mi, size),                 \
            MEMORY_HANDLERS_SIZED(name##_locked_mr, size), MEMORY_HANDLERS_SIZED(name##_locked_mi, size)    \
    },
#define COMPARE_HANDLERS(size, name)                                                                        \
    {                                                                                                       \
        name##_rr_##size, name##_ri_##size, MEMORY_HANDLERS_SIZED(name##_rm, size),                         \
            MEMORY_HANDLERS_SIZED(name##_mr, size), MEMORY_HANDLERS_SIZED(name##_mi, size), {NULL}, {NULL}  \
    },
#define MEMORY_HANDLERS_SIZED(name, size) MEMORY_HANDLERS(name##_##size)
#define ALU_ROW(name) {FOR_SIZES(ALU_HANDLERS, name)}
#define COMPARE_ROW(name) {FOR_SIZES(COMPARE_HANDLERS, name)}

enum { ALU_ADD, ALU_OR, ALU_ADC, ALU_SBB, ALU_AND, ALU_SUB, ALU_XOR, ALU_CMP, ALU_TEST, ALU_COUNT };

static const struct alu_handlers alu_handlers[ALU_COUNT][3] = {
    [ALU_ADD] = ALU_ROW(add), [ALU_OR] = ALU_ROW(or),   [ALU_ADC] = ALU_ROW(adc),
    [ALU_SBB] = ALU_ROW(sbb), [ALU_AND] = ALU_ROW(and), [ALU_SUB] = ALU_ROW(sub),
    [ALU_XOR] = ALU_ROW(xor), [ALU_CMP] = COMPARE_ROW(cmp), [ALU_TEST] = COMPARE_ROW(test),
};

static void lower_binary(struct lowering *l, unsigned operation)
{
    const struct operand *a = &l->insn->operands[0], *b = &l->insn->operands[1];
    const struct alu_handlers *h = &alu_handlers[operation][SIZE_INDEX(a->size)];

    if (b->kind == OPERAND_IMMEDIATE)
        l->op->immediate = (uint64_t)b->value;
    else if (b->kind == OPERAND_GPR)
        l->op->src = lower_gpr(b);
    if (a->kind == OPERAND_GPR) {
        l->op->dst = lower_gpr(a);
        if (b->kind == OPERAND_MEMORY)
            l->op->handler = h->rm[lower_address(l, b)];
        else
            l->op->handler = b->kind == OPERAND_IMMEDIATE ? h->ri : h->rr;
        return;
    }
    enum ea_form form = lower_address(l, a);
    if (b->kind == OPERAND_IMMEDIATE)
        l->op->handler = (l->insn->lock ? h->locked_mi : h->mi)[form];
    else
        l->op->handler = (l->insn->lock ? h->locked_mr : h->mr)[form];
}

void interp_lower_alu(struct lowering *l)
{
    /* Rows ADD .. CMP are in encoding order. */
    lower_binary(l, l->insn->row - ROW_ADD);
}

void interp_lower_test(struct lowering *l)
{
    lower_binary(l, ALU_TEST);
}

/* ---- INC DEC NOT NEG ---- */

#define DEFINE_UNARY(size, name, prefix)                                                                    \
    always_inline UINT_OF(size) name##_##size(struct vcpu *cpu, UINT_OF(size) a)                            \
    {                                                                                                       \
        uint16_t flags = cpu->state.arithmetic_flags;                                                       \
        __asm__(prefix #name SUFFIX_##size " %0" TAKE_FLAGS : "+&r"(a), "+&a"(flags) : : "cc");             \
        cpu->state.arithmetic_flags = flags;                                                                \
        return a;                                                                                           \
    }                                                                                                       \
    always_inline void name##_memory_##size(struct vcpu *cpu, UINT_OF(size) *a)                             \
    {                                                                                                       \
        uint16_t flags = cpu->state.arithmetic_flags;                                                       \
        __asm__(prefix #name SUFFIX_##size " %0" TAKE_FLAGS : "+m"(*a), "+&a"(flags) : : "cc");             \
        cpu->state.arithmetic_flags = flags;                                                                \
    }                                                                                                       \
    always_inline void name##_locked_##size(struct vcpu *cpu, UINT_OF(size) *a)                             \
    {                                                                                                       \
        uint16_t flags = cpu->state.arithmetic_flags;                                                       \
        __asm__(prefix "lock " #name SUFFIX_##size " %0" TAKE_FLAGS                                         \
                : "+m"(*a), "+&a"(flags) : : "cc", "memory");                                               \
        cpu->state.arithmetic_flags = flags;                                                                \
    }                                                                                                       \
    static const struct op *name##_r_##size(struct vcpu *cpu, const struct op *op)                          \
    {                                                                                                       \
        PUT_##size(op->dst, name##_##size(cpu, GET_##size(op->dst)));                                       \
        NEXT();                                                                                             \
    }                                                                                                       \
    always_inline const struct op *name##_m_body_##size(BODY_PARAMETERS, const bool lock, const enum ea_form form) \
    {                                                                                                       \
        OPERAND_ADDRESS(linear, form, size, true);                                                          \
        if (!slow) {                                                                                        \
            uint8_t *p = mmu_fast_pointer(cpu->mmu.write_table, linear, size);                              \
            if (unlikely(!p))                                                                               \
                return slow_handler(cpu, op);                                                               \
            if (lock)                                                                                       \
                name##_locked_##size(cpu, (UINT_OF(size) *)(void *)p);                                      \
            else                                                                                            \
                name##_memory_##size(cpu, (UINT_OF(size) *)(void *)p);                                      \
        } else {                                                                                            \
            struct mmu_result old = mmu_read_for_write_slow(&cpu->mmu, linear, size);                       \
            uint16_t flags = cpu->state.arithmetic_flags;                                                   \
            if (!old.ok)                                                                                    \
                return interp_fault(cpu, op);                                                               \
            if (!mmu_write_slow(&cpu->mmu, linear, size, name##_##size(cpu, (UINT_OF(size))old.value))) {   \
                cpu->state.arithmetic_flags = flags;                                                        \
                return interp_fault(cpu, op);                                                               \
            }                                                                                               \
        }                                                                                                   \
        NEXT();                                                                                             \
    }                                                                                                       \
    DEFINE_MEMORY_HANDLERS(name##_m_##size, name##_m_body_##size, false)                                    \
    DEFINE_MEMORY_HANDLERS(name##_locked_m_##size, name##_m_body_##size, true)

FOR_SIZES(DEFINE_UNARY, inc, GIVE_CARRY)
FOR_SIZES(DEFINE_UNARY, dec, GIVE_CARRY)
FOR_SIZES(DEFINE_UNARY, not, GIVE_FLAGS)
FOR_SIZES(DEFINE_UNARY, neg, "")

struct unary_handlers {
    op_handler *r;
    op_handler *m[EA_FORM_COUNT], *locked_m[EA_FORM_COUNT];
};
#define UNARY_HANDLERS(size, name) \
    {name##_r_##size, MEMORY_HANDLERS_SIZED(name##_m, size), MEMORY_HANDLERS_SIZED(name##_locked_m, size)},

static const struct unary_handlers unary_handlers[4][3] = {
    {FOR_SIZES(UNARY_HANDLERS, inc)},
    {FOR_SIZES(UNARY_HANDLERS, dec)},
    {FOR_SIZES(UNARY_HANDLERS, not)},
    {FOR_SIZES(UNARY_HANDLERS, neg)},
};

void interp_lower_unary(struct lowering *l)
{
    const struct operand *a = &l->insn->operands[0];
    const struct unary_handlers *h = &unary_handlers[l->insn->row - ROW_INC][SIZE_INDEX(a->size)];

    if (a->kind == OPERAND_GPR) {
        l->op->dst = lower_gpr(a);
        l->op->handler = h->r;
    } else {
        l->op->handler = (l->insn->lock ? h->locked_m : h->m)[lower_address(l, a)];
    }
}

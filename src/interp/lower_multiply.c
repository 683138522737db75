/* MUL IMUL DIV IDIV. Overflowing divisions raise #DE before the host would. */
#include "interp/alu.h"
#include "interp/lower.h"

/* ---- one operand: rDX:rAX (AX for bytes) ---- */

#define DEFINE_MULTIPLY(name)                                                                               \
    always_inline void name##_1(struct vcpu *cpu, uint8_t b)                                                \
    {                                                                                                       \
        uint16_t flags = cpu->state.arithmetic_flags, product;                                              \
        __asm__(GIVE_FLAGS "movb %3, %%al\n\t" #name "b %2\n\tmovw %%ax, %1" TAKE_FLAGS                     \
                : "+&a"(flags), "=&r"(product) : "r"(b), "m"(REG8(GPR_AX * 8)) : "cc");                     \
        cpu->state.arithmetic_flags = flags;                                                                \
        PUT_2(GPR_AX * 8, product);                                                                         \
    }                                                                                                       \
    DEFINE_MULTIPLY_WIDE(name, 2, "w", "%%ax", uint16_t)                                                    \
    DEFINE_MULTIPLY_WIDE(name, 4, "l", "%%eax", uint32_t)

#define DEFINE_MULTIPLY_WIDE(name, size, suffix, accumulator, type)                                         \
    always_inline void name##_##size(struct vcpu *cpu, type b)                                              \
    {                                                                                                       \
        uint32_t flags = cpu->state.arithmetic_flags, low;                                                  \
        type high;                                                                                          \
        __asm__(GIVE_FLAGS "mov" suffix " %4, " accumulator "\n\t" #name suffix " %3\n\tmovl %%eax, %1" TAKE_FLAGS \
                : "+&a"(flags), "=&r"(low), "=&d"(high) : "r"(b), "m"(*(type *)&REG32(GPR_AX * 8)) : "cc"); \
        cpu->state.arithmetic_flags = (uint16_t)flags;                                                      \
        PUT_##size(GPR_AX * 8, low);                                                                        \
        PUT_##size(GPR_DX * 8, high);                                                                       \
    }
DEFINE_MULTIPLY(mul)
DEFINE_MULTIPLY(imul)

/* ---- division: false means #DE ---- */

always_inline bool div_1(struct vcpu *cpu, uint8_t b)
{
    uint16_t a = GET_2(GPR_AX * 8), flags = cpu->state.arithmetic_flags;

    if (b == 0 || a >> 8 >= b)
        return false;
    __asm__(GIVE_FLAGS "movw %2, %%ax\n\tdivb %3\n\tmovw %%ax, %1" TAKE_FLAGS
            : "+&a"(flags), "=&r"(a) : "r"(a), "r"(b) : "cc");
    cpu->state.arithmetic_flags = flags;
    PUT_2(GPR_AX * 8, a);
    return true;
}

always_inline bool idiv_1(struct vcpu *cpu, uint8_t b)
{
    uint16_t a = GET_2(GPR_AX * 8), flags = cpu->state.arithmetic_flags;
    int32_t dividend = (int16_t)a, divisor = (int8_t)b;

    if (divisor == 0 || dividend / divisor != (int8_t)(dividend / divisor))
        return false;
    __asm__(GIVE_FLAGS "movw %2, %%ax\n\tidivb %3\n\tmovw %%ax, %1" TAKE_FLAGS
            : "+&a"(flags), "=&r"(a) : "r"(a), "r"(b) : "cc");
    cpu->state.arithmetic_flags = flags;
    PUT_2(GPR_AX * 8, a);
    return true;
}

#define DEFINE_DIVIDE(name, size, suffix, accumulator, type)                                                \
    always_inline void name##_host_##size(struct vcpu *cpu, type b)                                         \
    {                                                                                                       \
        uint32_t flags = cpu->state.arithmetic_flags, quotient;                                             \
        type low = GET_##size(GPR_AX * 8), high = GET_##size(GPR_DX * 8);                                   \
        __asm__(GIVE_FLAGS "mov" suffix " %3, " accumulator "\n\t" #name suffix " %4\n\tmovl %%eax, %1" TAKE_FLAGS \
                : "+&a"(flags), "=&r"(quotient), "+&d"(high) : "r"(low), "r"(b) : "cc");                    \
        cpu->state.arithmetic_flags = (uint16_t)flags;                                                      \
        PUT_##size(GPR_AX * 8, quotient);                                                                   \
        PUT_##size(GPR_DX * 8, high);                                                                       \
    }
DEFINE_DIVIDE(div, 2, "w", "%%ax", uint16_t)
DEFINE_DIVIDE(div, 4, "l", "%%eax", uint32_t)
DEFINE_DIVIDE(idiv, 2, "w", "%%ax", uint16_t)
DEFINE_DIVIDE(idiv, 4, "l", "%%eax", uint32_t)

always_inline bool div_2(struct vcpu *cpu, uint16_t b)
{
    if (GET_2(GPR_DX * 8) >= b) /* zero too */
        return false;
    div_host_2(cpu, b);
    return true;
}
always_inline bool div_4(struct vcpu *cpu, uint32_t b)
{
    if (GET_4(GPR_DX * 8) >= b)
        return false;
    div_host_4(cpu, b);
    return true;
}
always_inline bool idiv_2(struct vcpu *cpu, uint16_t b)
{
    int64_t dividend = (int32_t)((uint32_t)GET_2(GPR_DX * 8) << 16 | GET_2(GPR_AX * 8)), divisor = (int16_t)b;

    if (divisor == 0 || dividend / divisor != (int16_t)(dividend / divisor))
        return false;
    idiv_host_2(cpu, b);
    return true;
}
always_inline bool idiv_4(struct vcpu *cpu, uint32_t b)
{
    uint32_t low = GET_4(GPR_AX * 8), high = GET_4(GPR_DX * 8);

    /* The usual case, EDX:EAX a sign-extended EAX, cannot overflow but for -2^31 / -1. */
    if (unlikely(high != (uint32_t)((int32_t)low >> 31) || b + 1 <= 1)) {
        int64_t dividend = (int64_t)((uint64_t)high << 32 | low), divisor = (int32_t)b;

        if (divisor == 0 || (divisor == -1 && dividend == INT64_MIN) ||
            dividend / divisor != (int32_t)(dividend / divisor))
            return false;
    }
    idiv_host_4(cpu, b);
    return true;
}

/* ---- handlers: `divide` makes #DE possible ---- */

#define DEFINE_ONE_OPERAND(name, size, divide)                                                              \
    static const struct op *name##_r_##size(struct vcpu *cpu, const struct op *op)                          \
    {                                                                                                       \
        RUN_##divide(name##_##size(cpu, GET_##size(op->dst)));                                              \
        NEXT();                                                                                             \
    }                                                                                                       \
    always_inline const struct op *name##_body_##size(BODY_PARAMETERS, const enum ea_form form)             \
    {                                                                                                       \
        UINT_OF(size) value;                                                                                \
        OPERAND_ADDRESS(linear, form, size, false);                                                         \
        LOAD(value, linear, size);                                                                          \
        RUN_##divide(name##_##size(cpu, value));                                                            \
        NEXT();                                                                                             \
    }                                                                                                       \
    DEFINE_MEMORY_HANDLERS(name##_m_##size, name##_body_##size)
#define RUN_multiply(expression) expression
#define RUN_divide(expression)                    \
    if (unlikely(!(expression)))                  \
        return interp_raise(cpu, op, EXC_DE)
#define DEFINE_ONE_OPERAND_SIZES(name, divide) \
    DEFINE_ONE_OPERAND(name, 1, divide) DEFINE_ONE_OPERAND(name, 2, divide) DEFINE_ONE_OPERAND(name, 4, divide)
DEFINE_ONE_OPERAND_SIZES(mul, multiply)
DEFINE_ONE_OPERAND_SIZES(imul, multiply)
DEFINE_ONE_OPERAND_SIZES(div, divide)
DEFINE_ONE_OPERAND_SIZES(idiv, divide)

struct one_operand_handlers {
    op_handler *r[3];
    op_handler *m[3][EA_FORM_COUNT];
};
#define ONE_OPERAND_HANDLERS(name) \
    {{name##_r_1, name##_r_2, name##_r_4}, {MEMORY_HANDLERS(name##_m_1), MEMORY_HANDLERS(name##_m_2), MEMORY_HANDLERS(name##_m_4)}}
static const struct one_operand_handlers mul_handlers = ONE_OPERAND_HANDLERS(mul), imul_handlers = ONE_OPERAND_HANDLERS(imul),
                                         div_handlers = ONE_OPERAND_HANDLERS(div), idiv_handlers = ONE_OPERAND_HANDLERS(idiv);

static void lower_one_operand(struct lowering *l, const struct one_operand_handlers *h)
{
    const struct operand *a = &l->insn->operands[0];

    if (a->kind == OPERAND_GPR) {
        l->op->dst = lower_gpr(a);
        l->op->handler = h->r[SIZE_INDEX(a->size)];
    } else {
        l->op->handler = h->m[SIZE_INDEX(a->size)][lower_address(l, a)];
    }
}

void interp_lower_divide(struct lowering *l)
{
    lower_one_operand(l, l->insn->row == ROW_DIV ? &div_handlers : &idiv_handlers);
}

/* ---- IMUL with two and three operands: dst = a * b ---- */

#define DEFINE_IMUL(size)                                                                                   \
    always_inline UINT_OF(size) imul2_##size(struct vcpu *cpu, UINT_OF(size) a, UINT_OF(size) b)            \
    {                                                                                                       \
        uint16_t flags = cpu->state.arithmetic_flags;                                                       \
        __asm__(GIVE_FLAGS "imul" SUFFIX_##size " %2, %0" TAKE_FLAGS : "+&r"(a), "+&a"(flags) : "r"(b) : "cc"); \
        cpu->state.arithmetic_flags = flags;                                                                \
        return a;                                                                                           \
    }                                                                                                       \
    static const struct op *imul2_rr_##size(struct vcpu *cpu, const struct op *op)                          \
    {                                                                                                       \
        PUT_##size(op->dst, imul2_##size(cpu, GET_##size(op->dst), GET_##size(op->src)));                   \
        NEXT();                                                                                             \
    }                                                                                                       \
    static const struct op *imul2_rri_##size(struct vcpu *cpu, const struct op *op)                         \
    {                                                                                                       \
        PUT_##size(op->dst, imul2_##size(cpu, GET_##size(op->src), (UINT_OF(size))op->immediate));          \
        NEXT();                                                                                             \
    }                                                                                                       \
    always_inline const struct op *imul2_body_##size(BODY_PARAMETERS, const bool immediate, const enum ea_form form) \
    {                                                                                                       \
        UINT_OF(size) value;                                                                                \
        OPERAND_ADDRESS(linear, form, size, false);                                                         \
        LOAD(value, linear, size);                                                                          \
        PUT_##size(op->dst, imul2_##size(cpu, immediate ? (UINT_OF(size))op->immediate : GET_##size(op->dst), value)); \
        NEXT();                                                                                             \
    }                                                                                                       \
    DEFINE_MEMORY_HANDLERS(imul2_rm_##size, imul2_body_##size, false)                                       \
    DEFINE_MEMORY_HANDLERS(imul2_rmi_##size, imul2_body_##size, true)
DEFINE_IMUL(2)
DEFINE_IMUL(4)

void interp_lower_multiply(struct lowering *l)
{
    static op_handler *const rr[2] = {imul2_rr_2, imul2_rr_4}, *const rri[2] = {imul2_rri_2, imul2_rri_4};
    static op_handler *const rm[2][EA_FORM_COUNT] = {MEMORY_HANDLERS(imul2_rm_2), MEMORY_HANDLERS(imul2_rm_4)};
    static op_handler *const rmi[2][EA_FORM_COUNT] = {MEMORY_HANDLERS(imul2_rmi_2), MEMORY_HANDLERS(imul2_rmi_4)};
    const struct operand *a = &l->insn->operands[0], *b = &l->insn->operands[1], *c = &l->insn->operands[2];
    uint8_t opcode = l->insn->opcode;

    if (opcode == 0xf6 || opcode == 0xf7) {
        lower_one_operand(l, l->insn->row == ROW_MUL ? &mul_handlers : &imul_handlers);
        return;
    }
    bool three = opcode != 0xaf, wide = a->size == 4;
    l->op->dst = lower_gpr(a);
    if (three)
        l->op->immediate = (uint64_t)c->value;
    if (b->kind == OPERAND_GPR) {
        l->op->src = lower_gpr(b);
        l->op->handler = three ? rri[wide] : rr[wide];
    } else {
        l->op->handler = (three ? rmi : rm)[wide][lower_address(l, b)];
    }
}

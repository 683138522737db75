/* SHL SHR SAR ROL ROR RCL RCR SHLD SHRD. The host instruction runs with the guest's flags in force, so that a
 * count of zero changes none and undefined ones are the host's. */
#include "interp/alu.h"
#include "interp/lower.h"

#define MEMORY_HANDLERS_SIZED(name, size) MEMORY_HANDLERS(name##_##size)

/* SPLIT: there are processors that leave OF alone in rotates of a register by an immediate count over 1, but compute it
 * in rotates by CL and in memory. So the former end in the host's own rotate by an immediate. */
#define DEFINE_SHIFT(size, name, split)                                                                            \
    always_inline UINT_OF(size) name##_##size(struct vcpu *cpu, UINT_OF(size) a, uint8_t count)             \
    {                                                                                                       \
        uint16_t flags = cpu->state.arithmetic_flags;                                                       \
        __asm__(GIVE_FLAGS #name SUFFIX_##size " %%cl, %0" TAKE_FLAGS : "+&r"(a), "+&a"(flags) : "c"(count) : "cc"); \
        cpu->state.arithmetic_flags = flags;                                                                \
        return a;                                                                                           \
    }                                                                                                       \
    always_inline UINT_OF(size) name##_immediate_##size(struct vcpu *cpu, UINT_OF(size) a, uint8_t count)   \
    {                                                                                                       \
        uint16_t flags = cpu->state.arithmetic_flags;                                                       \
        if (!(split) || (count & 31) < 2)                                                                   \
            return name##_##size(cpu, a, count);                                                            \
        __asm__(#name SUFFIX_##size " %%cl, %0" : "+r"(a) : "c"((count & 31) - 2) : "cc");                  \
        __asm__(GIVE_FLAGS #name SUFFIX_##size " $2, %0" TAKE_FLAGS : "+&r"(a), "+&a"(flags) : : "cc");     \
        cpu->state.arithmetic_flags = flags;                                                                \
        return a;                                                                                           \
    }                                                                                                       \
    static const struct op *name##_ri_##size(struct vcpu *cpu, const struct op *op)                         \
    {                                                                                                       \
        PUT_##size(op->dst, name##_immediate_##size(cpu, GET_##size(op->dst), (uint8_t)op->immediate));               \
        NEXT();                                                                                             \
    }                                                                                                       \
    static const struct op *name##_rc_##size(struct vcpu *cpu, const struct op *op)                         \
    {                                                                                                       \
        PUT_##size(op->dst, name##_##size(cpu, GET_##size(op->dst), GET_1(GPR_CX * 8)));                    \
        NEXT();                                                                                             \
    }                                                                                                       \
    always_inline const struct op *name##_m_body_##size(BODY_PARAMETERS, const bool by_cl, const enum ea_form form) \
    {                                                                                                       \
        uint8_t count = by_cl ? GET_1(GPR_CX * 8) : (uint8_t)op->immediate;                                 \
        OPERAND_ADDRESS(linear, form, size, true);                                                          \
        if (!slow) {                                                                                        \
            uint8_t *p = mmu_fast_pointer(cpu->mmu.write_table, linear, size);                              \
            if (unlikely(!p))                                                                               \
                return slow_handler(cpu, op);                                                               \
            *(UINT_OF(size) *)(void *)p = name##_##size(cpu, *(UINT_OF(size) *)(void *)p, count);           \
        } else {                                                                                            \
            struct mmu_result old = mmu_read_for_write_slow(&cpu->mmu, linear, size);                       \
            uint16_t flags = cpu->state.arithmetic_flags;                                                   \
            if (!old.ok)                                                                                    \
                return interp_fault(cpu, op);                                                               \
            if (!mmu_write_slow(&cpu->mmu, linear, size, name##_##size(cpu, (UINT_OF(size))old.value, count))) { \
                cpu->state.arithmetic_flags = flags;                                                        \
                return interp_fault(cpu, op);                                                               \
            }                                                                                               \
        }                                                                                                   \
        NEXT();                                                                                             \
    }                                                                                                       \
    DEFINE_MEMORY_HANDLERS(name##_mi_##size, name##_m_body_##size, false)                                   \
    DEFINE_MEMORY_HANDLERS(name##_mc_##size, name##_m_body_##size, true)

FOR_SIZES(DEFINE_SHIFT, shl, false)
FOR_SIZES(DEFINE_SHIFT, shr, false)
FOR_SIZES(DEFINE_SHIFT, sar, false)
FOR_SIZES(DEFINE_SHIFT, rol, true)
FOR_SIZES(DEFINE_SHIFT, ror, true)
FOR_SIZES(DEFINE_SHIFT, rcl, false)
FOR_SIZES(DEFINE_SHIFT, rcr, false)

struct shift_handlers {
    op_handler *ri, *rc;
    op_handler *mi[EA_FORM_COUNT], *mc[EA_FORM_COUNT];
};
#define SHIFT_HANDLERS(size, name) \
    {name##_ri_##size, name##_rc_##size, MEMORY_HANDLERS_SIZED(name##_mi, size), MEMORY_HANDLERS_SIZED(name##_mc, size)},

static const struct shift_handlers shift_handlers[7][3] = {
    {FOR_SIZES(SHIFT_HANDLERS, shl)}, {FOR_SIZES(SHIFT_HANDLERS, shr)}, {FOR_SIZES(SHIFT_HANDLERS, sar)},
    {FOR_SIZES(SHIFT_HANDLERS, rol)}, {FOR_SIZES(SHIFT_HANDLERS, ror)}, {FOR_SIZES(SHIFT_HANDLERS, rcl)},
    {FOR_SIZES(SHIFT_HANDLERS, rcr)},
};

void interp_lower_shift(struct lowering *l)
{
    const struct operand *a = &l->insn->operands[0], *b = &l->insn->operands[1];
    const struct shift_handlers *h = &shift_handlers[l->insn->row - ROW_SHL][SIZE_INDEX(a->size)];
    bool by_cl = l->insn->operand_count > 1 && b->kind == OPERAND_GPR;

    if (!by_cl)
        l->op->immediate = l->insn->operand_count > 1 ? (uint64_t)b->value & 0xff : 1;
    if (a->kind == OPERAND_GPR) {
        l->op->dst = lower_gpr(a);
        l->op->handler = by_cl ? h->rc : h->ri;
    } else {
        l->op->handler = (by_cl ? h->mc : h->mi)[lower_address(l, a)];
    }
}

void interp_lower_rotate(struct lowering *l)
{
    interp_lower_shift(l); /* rows SHL .. RCR are consecutive */
}

/* ---- SHLD, SHRD ---- */

#define DEFINE_DOUBLE(name, size)                                                                           \
    always_inline UINT_OF(size) name##_##size(struct vcpu *cpu, UINT_OF(size) a, UINT_OF(size) b, uint8_t count) \
    {                                                                                                       \
        uint16_t flags = cpu->state.arithmetic_flags;                                                       \
        __asm__(GIVE_FLAGS #name SUFFIX_##size " %%cl, %3, %0" TAKE_FLAGS                                   \
                : "+&r"(a), "+&a"(flags) : "c"(count), "r"(b) : "cc");                                      \
        cpu->state.arithmetic_flags = flags;                                                                \
        return a;                                                                                           \
    }                                                                                                       \
    static const struct op *name##_r_##size(struct vcpu *cpu, const struct op *op)                          \
    {                                                                                                       \
        uint8_t count = op->immediate == 0x100 ? GET_1(GPR_CX * 8) : (uint8_t)op->immediate;                \
        PUT_##size(op->dst, name##_##size(cpu, GET_##size(op->dst), GET_##size(op->src), count));           \
        NEXT();                                                                                             \
    }                                                                                                       \
    always_inline const struct op *name##_body_##size(BODY_PARAMETERS, const enum ea_form form)             \
    {                                                                                                       \
        uint8_t count = op->immediate == 0x100 ? GET_1(GPR_CX * 8) : (uint8_t)op->immediate;                \
        UINT_OF(size) b = GET_##size(op->src);                                                              \
        OPERAND_ADDRESS(linear, form, size, true);                                                          \
        if (!slow) {                                                                                        \
            uint8_t *p = mmu_fast_pointer(cpu->mmu.write_table, linear, size);                              \
            if (unlikely(!p))                                                                               \
                return slow_handler(cpu, op);                                                               \
            *(UINT_OF(size) *)(void *)p = name##_##size(cpu, *(UINT_OF(size) *)(void *)p, b, count);        \
        } else {                                                                                            \
            struct mmu_result old = mmu_read_for_write_slow(&cpu->mmu, linear, size);                       \
            uint16_t flags = cpu->state.arithmetic_flags;                                                   \
            if (!old.ok)                                                                                    \
                return interp_fault(cpu, op);                                                               \
            if (!mmu_write_slow(&cpu->mmu, linear, size, name##_##size(cpu, (UINT_OF(size))old.value, b, count))) { \
                cpu->state.arithmetic_flags = flags;                                                        \
                return interp_fault(cpu, op);                                                               \
            }                                                                                               \
        }                                                                                                   \
        NEXT();                                                                                             \
    }                                                                                                       \
    DEFINE_MEMORY_HANDLERS(name##_m_##size, name##_body_##size)
DEFINE_DOUBLE(shld, 2)
DEFINE_DOUBLE(shld, 4)
DEFINE_DOUBLE(shrd, 2)
DEFINE_DOUBLE(shrd, 4)

void interp_lower_shift_double(struct lowering *l)
{
    static op_handler *const r[2][2] = {{shld_r_2, shld_r_4}, {shrd_r_2, shrd_r_4}};
    static op_handler *const m[2][2][EA_FORM_COUNT] = {{MEMORY_HANDLERS(shld_m_2), MEMORY_HANDLERS(shld_m_4)},
                                                       {MEMORY_HANDLERS(shrd_m_2), MEMORY_HANDLERS(shrd_m_4)}};
    const struct operand *a = &l->insn->operands[0], *c = &l->insn->operands[2];
    bool right = l->insn->row == ROW_SHRD, wide = a->size == 4;

    l->op->src = lower_gpr(&l->insn->operands[1]);
    l->op->immediate = c->kind == OPERAND_GPR ? 0x100 : (uint64_t)c->value & 0xff; /* 0x100: CL */
    if (a->kind == OPERAND_GPR) {
        l->op->dst = lower_gpr(a);
        l->op->handler = r[right][wide];
    } else {
        l->op->handler = m[right][wide][lower_address(l, a)];
    }
}

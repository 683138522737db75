/* BT BTS BTR BTC BSF BSR. */
#include "interp/alu.h"
#include "interp/lower.h"

/* ---- BT family on a value; memory forms with a register offset reach beyond the operand ---- */

#define DEFINE_BIT(name, size, writes, suffix)                                                              \
    always_inline UINT_OF(size) name##_##size(struct vcpu *cpu, UINT_OF(size) a, UINT_OF(size) bit)         \
    {                                                                                                       \
        uint16_t flags = cpu->state.arithmetic_flags;                                                       \
        __asm__(GIVE_FLAGS #name suffix " %2, %0" TAKE_FLAGS : "+&r"(a), "+&a"(flags) : "r"(bit) : "cc");   \
        cpu->state.arithmetic_flags = flags;                                                                \
        return a;                                                                                           \
    }                                                                                                       \
    static const struct op *name##_rr_##size(struct vcpu *cpu, const struct op *op)                         \
    {                                                                                                       \
        UINT_OF(size) result = name##_##size(cpu, GET_##size(op->dst), GET_##size(op->src));                \
        if (writes)                                                                                         \
            PUT_##size(op->dst, result);                                                                    \
        NEXT();                                                                                             \
    }                                                                                                       \
    static const struct op *name##_ri_##size(struct vcpu *cpu, const struct op *op)                         \
    {                                                                                                       \
        UINT_OF(size) result = name##_##size(cpu, GET_##size(op->dst), (UINT_OF(size))op->immediate);       \
        if (writes)                                                                                         \
            PUT_##size(op->dst, result);                                                                    \
        NEXT();                                                                                             \
    }                                                                                                       \
    always_inline const struct op *name##_body_##size(BODY_PARAMETERS, const bool by_register, const bool lock, \
                                                      const enum ea_form form)                              \
    {                                                                                                       \
        UINT_OF(size) bit = by_register ? GET_##size(op->src) : (UINT_OF(size))op->immediate;               \
        uint32_t offset = op_offset(cpu, op, form);                                                         \
        uint64_t linear;                                                                                    \
        if (by_register) {                                                                                  \
            int32_t element = size == 2 ? (int16_t)bit >> 4 : (int32_t)bit >> 5;                            \
            offset += (uint32_t)element * size;                                                             \
            if (form == EA_SEG16)                                                                           \
                offset &= 0xffff;                                                                           \
        }                                                                                                   \
        CHECKED_ADDRESS(linear, form, op->segment, offset, size, writes);                                   \
        if (!(writes)) {                                                                                    \
            UINT_OF(size) value;                                                                            \
            LOAD(value, linear, size);                                                                      \
            name##_##size(cpu, value, bit);                                                                 \
        } else if (!slow) {                                                                                 \
            uint8_t *p = mmu_fast_pointer(cpu->mmu.write_table, linear, size);                              \
            UINT_OF(size) old, new;                                                                         \
            if (unlikely(!p))                                                                               \
                return slow_handler(cpu, op);                                                               \
            old = *(UINT_OF(size) *)(void *)p;                                                              \
            new = name##_##size(cpu, old, bit);                                                             \
            if (!lock) {                                                                                    \
                *(UINT_OF(size) *)(void *)p = new;                                                          \
            } else {                                                                                        \
                while (!__atomic_compare_exchange_n((UINT_OF(size) *)(void *)p, &old, new, false,           \
                                                    __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST))                    \
                    new = name##_##size(cpu, old, bit);                                                     \
            }                                                                                               \
        } else {                                                                                            \
            struct mmu_result old = mmu_read_for_write_slow(&cpu->mmu, linear, size);                       \
            uint16_t flags = cpu->state.arithmetic_flags;                                                   \
            if (!old.ok)                                                                                    \
                return interp_fault(cpu, op);                                                               \
            if (!mmu_write_slow(&cpu->mmu, linear, size, name##_##size(cpu, (UINT_OF(size))old.value, bit))) { \
                cpu->state.arithmetic_flags = flags;                                                        \
                return interp_fault(cpu, op);                                                               \
            }                                                                                               \
        }                                                                                                   \
        NEXT();                                                                                             \
    }                                                                                                       \
    DEFINE_MEMORY_HANDLERS(name##_mr_##size, name##_body_##size, true, false)                               \
    DEFINE_MEMORY_HANDLERS(name##_mi_##size, name##_body_##size, false, false)                              \
    DEFINE_MEMORY_HANDLERS(name##_locked_mr_##size, name##_body_##size, true, true)                         \
    DEFINE_MEMORY_HANDLERS(name##_locked_mi_##size, name##_body_##size, false, true)
#define DEFINE_BIT_SIZES(name, writes) DEFINE_BIT(name, 2, writes, "w") DEFINE_BIT(name, 4, writes, "l")
DEFINE_BIT_SIZES(bt, false)
DEFINE_BIT_SIZES(bts, true)
DEFINE_BIT_SIZES(btr, true)
DEFINE_BIT_SIZES(btc, true)

struct bit_handlers {
    op_handler *rr, *ri;
    op_handler *mr[EA_FORM_COUNT], *mi[EA_FORM_COUNT], *locked_mr[EA_FORM_COUNT], *locked_mi[EA_FORM_COUNT];
};
#define BIT_HANDLERS(name, size)                                                                            \
    {                                                                                                       \
        name##_rr_##size, name##_ri_##size, MEMORY_HANDLERS(name##_mr_##size), MEMORY_HANDLERS(name##_mi_##size), \
            MEMORY_HANDLERS(name##_locked_mr_##size), MEMORY_HANDLERS(name##_locked_mi_##size)              \
    }
static const struct bit_handlers bit_handlers[4][2] = {{BIT_HANDLERS(bt, 2), BIT_HANDLERS(bt, 4)},
                                                       {BIT_HANDLERS(bts, 2), BIT_HANDLERS(bts, 4)},
                                                       {BIT_HANDLERS(btr, 2), BIT_HANDLERS(btr, 4)},
                                                       {BIT_HANDLERS(btc, 2), BIT_HANDLERS(btc, 4)}};

void interp_lower_bit(struct lowering *l)
{
    const struct operand *a = &l->insn->operands[0], *b = &l->insn->operands[1];
    const struct bit_handlers *h = &bit_handlers[l->insn->row - ROW_BT][a->size == 4];
    bool immediate = b->kind == OPERAND_IMMEDIATE, lock = l->insn->lock;

    if (immediate)
        l->op->immediate = (uint64_t)b->value & 0xff;
    else
        l->op->src = lower_gpr(b);
    if (a->kind == OPERAND_GPR) {
        l->op->dst = lower_gpr(a);
        l->op->handler = immediate ? h->ri : h->rr;
        return;
    }
    h = &bit_handlers[l->insn->row - ROW_BT][l->insn->operand_size == 4];
    enum ea_form form = lower_address(l, a);
    if (immediate)
        l->op->handler = (lock ? h->locked_mi : h->mi)[form];
    else
        l->op->handler = (lock ? h->locked_mr : h->mr)[form];
}

/* ---- BSF, BSR: a zero source leaves the destination as it was, like the host ---- */

#define DEFINE_SCAN(name, size, suffix)                                                                     \
    always_inline void name##_##size(struct vcpu *cpu, const struct op *op, UINT_OF(size) b)                \
    {                                                                                                       \
        uint16_t flags = cpu->state.arithmetic_flags;                                                       \
        UINT_OF(size) a = GET_##size(op->dst);                                                              \
        __asm__(GIVE_FLAGS #name suffix " %2, %0" TAKE_FLAGS : "+&r"(a), "+&a"(flags) : "r"(b) : "cc");     \
        cpu->state.arithmetic_flags = flags;                                                                \
        PUT_##size(op->dst, a);                                                                             \
    }                                                                                                       \
    static const struct op *name##_rr_##size(struct vcpu *cpu, const struct op *op)                         \
    {                                                                                                       \
        name##_##size(cpu, op, GET_##size(op->src));                                                        \
        NEXT();                                                                                             \
    }                                                                                                       \
    always_inline const struct op *name##_body_##size(BODY_PARAMETERS, const enum ea_form form)             \
    {                                                                                                       \
        UINT_OF(size) value;                                                                                \
        OPERAND_ADDRESS(linear, form, size, false);                                                         \
        LOAD(value, linear, size);                                                                          \
        name##_##size(cpu, op, value);                                                                      \
        NEXT();                                                                                             \
    }                                                                                                       \
    DEFINE_MEMORY_HANDLERS(name##_rm_##size, name##_body_##size)
DEFINE_SCAN(bsf, 2, "w")
DEFINE_SCAN(bsf, 4, "l")
DEFINE_SCAN(bsr, 2, "w")
DEFINE_SCAN(bsr, 4, "l")

void interp_lower_bit_scan(struct lowering *l)
{
    static op_handler *const rr[2][2] = {{bsf_rr_2, bsf_rr_4}, {bsr_rr_2, bsr_rr_4}};
    static op_handler *const rm[2][2][EA_FORM_COUNT] = {{MEMORY_HANDLERS(bsf_rm_2), MEMORY_HANDLERS(bsf_rm_4)},
                                                        {MEMORY_HANDLERS(bsr_rm_2), MEMORY_HANDLERS(bsr_rm_4)}};
    const struct operand *a = &l->insn->operands[0], *b = &l->insn->operands[1];
    bool reverse = l->insn->row == ROW_BSR, wide = a->size == 4;

    l->op->dst = lower_gpr(a);
    if (b->kind == OPERAND_GPR) {
        l->op->src = lower_gpr(b);
        l->op->handler = rr[reverse][wide];
    } else {
        l->op->handler = rm[reverse][wide][lower_address(l, b)];
    }
}

/* MOV MOVZX MOVSX LEA XCHG XADD CMPXCHG CMPXCHG8B BSWAP CMOVcc SETcc. */
#include "interp/alu.h"
#include "interp/lower.h"

#define MEMORY_HANDLERS_SIZED(name, size) MEMORY_HANDLERS(name##_##size)

/* ---- MOV ---- */

#define DEFINE_MOV(size, name)                                                                              \
    static const struct op *name##_rr_##size(struct vcpu *cpu, const struct op *op)                         \
    {                                                                                                       \
        PUT_##size(op->dst, GET_##size(op->src));                                                           \
        NEXT();                                                                                             \
    }                                                                                                       \
    static const struct op *name##_ri_##size(struct vcpu *cpu, const struct op *op)                         \
    {                                                                                                       \
        PUT_##size(op->dst, op->immediate);                                                                 \
        NEXT();                                                                                             \
    }                                                                                                       \
    always_inline const struct op *name##_load_body_##size(BODY_PARAMETERS, const enum ea_form form)        \
    {                                                                                                       \
        UINT_OF(size) value;                                                                                \
        OPERAND_ADDRESS(linear, form, size, false);                                                         \
        LOAD(value, linear, size);                                                                          \
        PUT_##size(op->dst, value);                                                                         \
        NEXT();                                                                                             \
    }                                                                                                       \
    DEFINE_MEMORY_HANDLERS(name##_rm_##size, name##_load_body_##size)                                       \
    always_inline const struct op *name##_store_body_##size(BODY_PARAMETERS, const bool immediate,          \
                                                            const enum ea_form form)                        \
    {                                                                                                       \
        UINT_OF(size) value = immediate ? (UINT_OF(size))op->immediate : GET_##size(op->src);               \
        OPERAND_ADDRESS(linear, form, size, true);                                                          \
        STORE(linear, size, value);                                                                         \
        NEXT();                                                                                             \
    }                                                                                                       \
    DEFINE_MEMORY_HANDLERS(name##_mr_##size, name##_store_body_##size, false)                               \
    DEFINE_MEMORY_HANDLERS(name##_mi_##size, name##_store_body_##size, true)

FOR_SIZES(DEFINE_MOV, mov)

struct mov_handlers {
    op_handler *rr, *ri;
    op_handler *rm[EA_FORM_COUNT], *mr[EA_FORM_COUNT], *mi[EA_FORM_COUNT];
};
#define MOV_HANDLERS(size, name)                                                                            \
    {                                                                                                       \
        name##_rr_##size, name##_ri_##size, MEMORY_HANDLERS_SIZED(name##_rm, size),                         \
            MEMORY_HANDLERS_SIZED(name##_mr, size), MEMORY_HANDLERS_SIZED(name##_mi, size)                  \
    },
static const struct mov_handlers mov_handlers[3] = {FOR_SIZES(MOV_HANDLERS, mov)};

void interp_lower_mov(struct lowering *l)
{
    const struct operand *a = &l->insn->operands[0], *b = &l->insn->operands[1];
    const struct mov_handlers *h = &mov_handlers[SIZE_INDEX(a->size)];

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
    } else {
        l->op->handler = (b->kind == OPERAND_IMMEDIATE ? h->mi : h->mr)[lower_address(l, a)];
    }
}

/* ---- MOVZX, MOVSX: destination 2 or 4 bytes, source 1 or 2 ---- */

#define DEFINE_EXTEND(name, to, from, type)                                                                 \
    static const struct op *name##_rr(struct vcpu *cpu, const struct op *op)                                \
    {                                                                                                       \
        PUT_##to(op->dst, (type)GET_##from(op->src));                                                       \
        NEXT();                                                                                             \
    }                                                                                                       \
    always_inline const struct op *name##_body(BODY_PARAMETERS, const enum ea_form form)                    \
    {                                                                                                       \
        UINT_OF(from) value;                                                                                \
        OPERAND_ADDRESS(linear, form, from, false);                                                         \
        LOAD(value, linear, from);                                                                          \
        PUT_##to(op->dst, (type)value);                                                                     \
        NEXT();                                                                                             \
    }                                                                                                       \
    DEFINE_MEMORY_HANDLERS(name##_rm, name##_body)

#define FOR_EXTENDS(X)                                                                                      \
    X(movzx_2_1, 2, 1, uint8_t) X(movzx_2_2, 2, 2, uint16_t) X(movzx_4_1, 4, 1, uint8_t) X(movzx_4_2, 4, 2, uint16_t) \
    X(movsx_2_1, 2, 1, int8_t) X(movsx_2_2, 2, 2, int16_t) X(movsx_4_1, 4, 1, int8_t) X(movsx_4_2, 4, 2, int16_t)

FOR_EXTENDS(DEFINE_EXTEND)

/* index: sign << 2 | (destination is 32 bits) << 1 | (source is 16 bits) */
static const struct {
    op_handler *rr;
    op_handler *rm[EA_FORM_COUNT];
} extend_handlers[8] = {
#define X(name, to, from, type) {name##_rr, MEMORY_HANDLERS(name##_rm)},
    FOR_EXTENDS(X)
#undef X
};

void interp_lower_extend(struct lowering *l)
{
    const struct operand *a = &l->insn->operands[0], *b = &l->insn->operands[1];
    unsigned i = (l->insn->row == ROW_MOVSX ? 4u : 0u) | (a->size == 4 ? 2u : 0u) | (b->size == 2 ? 1u : 0u);

    l->op->dst = lower_gpr(a);
    if (b->kind == OPERAND_GPR) {
        l->op->src = lower_gpr(b);
        l->op->handler = extend_handlers[i].rr;
    } else {
        l->op->handler = extend_handlers[i].rm[lower_address(l, b)];
    }
}

/* ---- LEA ---- */

#define DEFINE_LEA(size, form, suffix)                                                                      \
    static const struct op *lea_##size##suffix(struct vcpu *cpu, const struct op *op)                       \
    {                                                                                                       \
        PUT_##size(op->dst, op_offset(cpu, op, form));                                                      \
        NEXT();                                                                                             \
    }
DEFINE_LEA(2, EA_FLAT, _a32)
DEFINE_LEA(2, EA_SEG16, _a16)
DEFINE_LEA(4, EA_FLAT, _a32)
DEFINE_LEA(4, EA_SEG16, _a16)

void interp_lower_lea(struct lowering *l)
{
    const struct operand *a = &l->insn->operands[0], *b = &l->insn->operands[1];

    if (b->kind != OPERAND_MEMORY)
        return;
    lower_address(l, b);
    l->op->dst = lower_gpr(a);
    if (a->size == 2)
        l->op->handler = l->insn->address_size == 2 ? lea_2_a16 : lea_2_a32;
    else
        l->op->handler = l->insn->address_size == 2 ? lea_4_a16 : lea_4_a32;
}

/* ---- XCHG, XADD: with memory always locked on the host; XCHG is so by definition ---- */

#define DEFINE_EXCHANGE(size, name)                                                                         \
    static const struct op *xchg_rr_##size(struct vcpu *cpu, const struct op *op)                           \
    {                                                                                                       \
        UINT_OF(size) a = GET_##size(op->dst), b = GET_##size(op->src);                                     \
        PUT_##size(op->dst, b);                                                                             \
        PUT_##size(op->src, a);                                                                             \
        NEXT();                                                                                             \
    }                                                                                                       \
    always_inline const struct op *xchg_body_##size(BODY_PARAMETERS, const enum ea_form form)               \
    {                                                                                                       \
        UINT_OF(size) value = GET_##size(op->src);                                                          \
        OPERAND_ADDRESS(linear, form, size, true);                                                          \
        if (!slow) {                                                                                        \
            uint8_t *p = mmu_fast_pointer(cpu->mmu.write_table, linear, size);                              \
            if (unlikely(!p))                                                                               \
                return slow_handler(cpu, op);                                                               \
            value = __atomic_exchange_n((UINT_OF(size) *)(void *)p, value, __ATOMIC_SEQ_CST);               \
        } else {                                                                                            \
            struct mmu_result old = mmu_read_for_write_slow(&cpu->mmu, linear, size);                       \
            if (!old.ok || !mmu_write_slow(&cpu->mmu, linear, size, value))                                 \
                return interp_fault(cpu, op);                                                               \
            value = (UINT_OF(size))old.value;                                                               \
        }                                                                                                   \
        PUT_##size(op->src, value);                                                                         \
        NEXT();                                                                                             \
    }                                                                                                       \
    DEFINE_MEMORY_HANDLERS(xchg_mr_##size, xchg_body_##size)                                                \
    always_inline UINT_OF(size) xadd_##size(struct vcpu *cpu, UINT_OF(size) *a, UINT_OF(size) b)            \
    {                                                                                                       \
        uint16_t flags;                                                                                     \
        __asm__("lock xadd" SUFFIX_##size " %2, %1" TAKE_FLAGS                                              \
                : "=&a"(flags), "+m"(*a), "+&r"(b) : : "cc", "memory");                                     \
        cpu->state.arithmetic_flags = flags;                                                                \
        return b;                                                                                           \
    }                                                                                                       \
    static const struct op *xadd_rr_##size(struct vcpu *cpu, const struct op *op)                           \
    {                                                                                                       \
        UINT_OF(size) a = GET_##size(op->dst), b = GET_##size(op->src);                                     \
        uint16_t flags;                                                                                     \
        __asm__("xadd" SUFFIX_##size " %2, %1" TAKE_FLAGS : "=&a"(flags), "+&r"(a), "+&r"(b) : : "cc");     \
        cpu->state.arithmetic_flags = flags;                                                                \
        PUT_##size(op->src, b);                                                                             \
        PUT_##size(op->dst, a);                                                                             \
        NEXT();                                                                                             \
    }                                                                                                       \
    always_inline const struct op *xadd_body_##size(BODY_PARAMETERS, const enum ea_form form)               \
    {                                                                                                       \
        UINT_OF(size) value = GET_##size(op->src);                                                          \
        OPERAND_ADDRESS(linear, form, size, true);                                                          \
        if (!slow) {                                                                                        \
            uint8_t *p = mmu_fast_pointer(cpu->mmu.write_table, linear, size);                              \
            if (unlikely(!p))                                                                               \
                return slow_handler(cpu, op);                                                               \
            value = xadd_##size(cpu, (UINT_OF(size) *)(void *)p, value);                                    \
        } else {                                                                                            \
            struct mmu_result old = mmu_read_for_write_slow(&cpu->mmu, linear, size);                       \
            if (!old.ok || !mmu_write_slow(&cpu->mmu, linear, size, (UINT_OF(size))(old.value + value)))    \
                return interp_fault(cpu, op);                                                               \
            UINT_OF(size) sum = (UINT_OF(size))old.value; /* for the flags */                               \
            uint16_t flags;                                                                                 \
            __asm__("add" SUFFIX_##size " %2, %1" TAKE_FLAGS : "=&a"(flags), "+&r"(sum) : "r"(value) : "cc"); \
            cpu->state.arithmetic_flags = flags;                                                            \
            value = (UINT_OF(size))old.value;                                                               \
        }                                                                                                   \
        PUT_##size(op->src, value);                                                                         \
        NEXT();                                                                                             \
    }                                                                                                       \
    DEFINE_MEMORY_HANDLERS(xadd_mr_##size, xadd_body_##size)

FOR_SIZES(DEFINE_EXCHANGE, )

static op_handler *const xchg_rr[3] = {xchg_rr_1, xchg_rr_2, xchg_rr_4};
static op_handler *const xadd_rr[3] = {xadd_rr_1, xadd_rr_2, xadd_rr_4};
static op_handler *const xchg_mr[3][EA_FORM_COUNT] = {MEMORY_HANDLERS(xchg_mr_1), MEMORY_HANDLERS(xchg_mr_2),
                                                      MEMORY_HANDLERS(xchg_mr_4)};
static op_handler *const xadd_mr[3][EA_FORM_COUNT] = {MEMORY_HANDLERS(xadd_mr_1), MEMORY_HANDLERS(xadd_mr_2),
                                                      MEMORY_HANDLERS(xadd_mr_4)};

static void lower_exchange(struct lowering *l, op_handler *const rr[3], op_handler *const mr[3][EA_FORM_COUNT])
{
    const struct operand *a = &l->insn->operands[0], *b = &l->insn->operands[1];

    if (a->kind == OPERAND_GPR && b->kind == OPERAND_GPR) {
        l->op->dst = lower_gpr(a);
        l->op->src = lower_gpr(b);
        l->op->handler = rr[SIZE_INDEX(a->size)];
        return;
    }
    if (a->kind == OPERAND_GPR) { /* XCHG reg, mem in the other order */
        const struct operand *t = a;
        a = b;
        b = t;
    }
    l->op->src = lower_gpr(b);
    l->op->handler = mr[SIZE_INDEX(b->size)][lower_address(l, a)];
}

void interp_lower_xchg(struct lowering *l)
{
    lower_exchange(l, xchg_rr, xchg_mr);
}

void interp_lower_xadd(struct lowering *l)
{
    lower_exchange(l, xadd_rr, xadd_mr);
}

/* ---- CMPXCHG: the destination is written in either case (SDM vol. 2) ---- */

#define DEFINE_CMPXCHG(size, name)                                                                          \
    always_inline void compare_##size(struct vcpu *cpu, UINT_OF(size) a, UINT_OF(size) b)                   \
    {                                                                                                       \
        uint16_t flags;                                                                                     \
        __asm__("cmp" SUFFIX_##size " %2, %1" TAKE_FLAGS : "=&a"(flags) : "r"(a), "r"(b) : "cc");           \
        cpu->state.arithmetic_flags = flags;                                                                \
    }                                                                                                       \
    static const struct op *cmpxchg_rr_##size(struct vcpu *cpu, const struct op *op)                        \
    {                                                                                                       \
        UINT_OF(size) old = GET_##size(op->dst), accumulator = GET_##size(GPR_AX * 8);                      \
        compare_##size(cpu, accumulator, old);                                                              \
        if (old == accumulator)                                                                             \
            PUT_##size(op->dst, GET_##size(op->src));                                                       \
        else                                                                                                \
            PUT_##size(GPR_AX * 8, old);                                                                    \
        NEXT();                                                                                             \
    }                                                                                                       \
    always_inline const struct op *cmpxchg_body_##size(BODY_PARAMETERS, const enum ea_form form)            \
    {                                                                                                       \
        UINT_OF(size) accumulator = GET_##size(GPR_AX * 8), value = GET_##size(op->src), old;               \
        OPERAND_ADDRESS(linear, form, size, true);                                                          \
        if (!slow) {                                                                                        \
            uint8_t *p = mmu_fast_pointer(cpu->mmu.write_table, linear, size);                              \
            if (unlikely(!p))                                                                               \
                return slow_handler(cpu, op);                                                               \
            old = __sync_val_compare_and_swap((UINT_OF(size) *)(void *)p, accumulator, value);              \
        } else {                                                                                            \
            struct mmu_result found = mmu_read_for_write_slow(&cpu->mmu, linear, size);                     \
            if (!found.ok)                                                                                  \
                return interp_fault(cpu, op);                                                               \
            old = (UINT_OF(size))found.value;                                                               \
            if (!mmu_write_slow(&cpu->mmu, linear, size, old == accumulator ? value : old))                 \
                return interp_fault(cpu, op);                                                               \
        }                                                                                                   \
        compare_##size(cpu, accumulator, old);                                                              \
        if (old != accumulator)                                                                             \
            PUT_##size(GPR_AX * 8, old);                                                                    \
        NEXT();                                                                                             \
    }                                                                                                       \
    DEFINE_MEMORY_HANDLERS(cmpxchg_mr_##size, cmpxchg_body_##size)

FOR_SIZES(DEFINE_CMPXCHG, )

static op_handler *const cmpxchg_rr[3] = {cmpxchg_rr_1, cmpxchg_rr_2, cmpxchg_rr_4};
static op_handler *const cmpxchg_mr[3][EA_FORM_COUNT] = {MEMORY_HANDLERS(cmpxchg_mr_1), MEMORY_HANDLERS(cmpxchg_mr_2),
                                                         MEMORY_HANDLERS(cmpxchg_mr_4)};

void interp_lower_cmpxchg(struct lowering *l)
{
    lower_exchange(l, cmpxchg_rr, cmpxchg_mr);
}

always_inline const struct op *cmpxchg8b_body(BODY_PARAMETERS, const enum ea_form form)
{
    uint64_t accumulator = (uint64_t)GET_4(GPR_DX * 8) << 32 | GET_4(GPR_AX * 8);
    uint64_t value = (uint64_t)GET_4(GPR_CX * 8) << 32 | GET_4(GPR_BX * 8), old;

    OPERAND_ADDRESS(linear, form, 8, true);
    if (!slow) {
        uint8_t *p = mmu_fast_pointer(cpu->mmu.write_table, linear, 8);
        if (unlikely(!p))
            return slow_handler(cpu, op);
        old = __sync_val_compare_and_swap((uint64_t *)(void *)p, accumulator, value);
    } else {
        struct mmu_result found = mmu_read_for_write_slow(&cpu->mmu, linear, 8);
        if (!found.ok)
            return interp_fault(cpu, op);
        old = found.value;
        if (!mmu_write_slow(&cpu->mmu, linear, 8, old == accumulator ? value : old))
            return interp_fault(cpu, op);
    }
    if (old == accumulator) {
        cpu->state.arithmetic_flags |= 0x4000;
    } else {
        cpu->state.arithmetic_flags &= (uint16_t)~0x4000;
        PUT_4(GPR_AX * 8, old);
        PUT_4(GPR_DX * 8, old >> 32);
    }
    NEXT();
}
DEFINE_MEMORY_HANDLERS(cmpxchg8b, cmpxchg8b_body)

void interp_lower_cmpxchg8b(struct lowering *l)
{
    static op_handler *const handlers[EA_FORM_COUNT] = MEMORY_HANDLERS(cmpxchg8b);

    if (l->insn->operands[0].kind == OPERAND_MEMORY)
        l->op->handler = handlers[lower_address(l, &l->insn->operands[0])];
}

/* ---- BSWAP: a 16-bit operand is undefined; processors clear the register's low half ---- */

static const struct op *bswap_4(struct vcpu *cpu, const struct op *op)
{
    PUT_4(op->dst, __builtin_bswap32(GET_4(op->dst)));
    NEXT();
}
static const struct op *bswap_2(struct vcpu *cpu, const struct op *op)
{
    uint16_t value = GET_2(op->dst);

    __asm__(".byte 0x66\n\tbswap %%eax" : "+a"(value)); /* as the host has it */
    PUT_2(op->dst, value);
    NEXT();
}

void interp_lower_bswap(struct lowering *l)
{
    l->op->dst = lower_gpr(&l->insn->operands[0]);
    l->op->handler = l->insn->operand_size == 2 ? bswap_2 : bswap_4;
}

/* ---- CMOVcc: the source is read in either case; a 32-bit destination is not otherwise touched ---- */

#define DEFINE_CMOV(cc, name)                                                                               \
    DEFINE_CMOV_SIZE(cc, name, 2)                                                                           \
    DEFINE_CMOV_SIZE(cc, name, 4)
#define DEFINE_CMOV_SIZE(cc, name, size)                                                                    \
    static const struct op *cmov##name##_rr_##size(struct vcpu *cpu, const struct op *op)                   \
    {                                                                                                       \
        if (condition_holds(cpu->state.arithmetic_flags, cc))                                               \
            PUT_##size(op->dst, GET_##size(op->src));                                                       \
        NEXT();                                                                                             \
    }                                                                                                       \
    always_inline const struct op *cmov##name##_body_##size(BODY_PARAMETERS, const enum ea_form form)       \
    {                                                                                                       \
        UINT_OF(size) value;                                                                                \
        OPERAND_ADDRESS(linear, form, size, false);                                                         \
        LOAD(value, linear, size);                                                                          \
        if (condition_holds(cpu->state.arithmetic_flags, cc))                                               \
            PUT_##size(op->dst, value);                                                                     \
        NEXT();                                                                                             \
    }                                                                                                       \
    DEFINE_MEMORY_HANDLERS(cmov##name##_rm_##size, cmov##name##_body_##size)
FOR_CONDITIONS(DEFINE_CMOV)

static const struct {
    op_handler *rr[2];
    op_handler *rm[2][EA_FORM_COUNT];
} cmov_handlers[16] = {
#define X(cc, name)                                                                                         \
    {{cmov##name##_rr_2, cmov##name##_rr_4}, {MEMORY_HANDLERS(cmov##name##_rm_2), MEMORY_HANDLERS(cmov##name##_rm_4)}},
    FOR_CONDITIONS(X)
#undef X
};

void interp_lower_cmov(struct lowering *l)
{
    const struct operand *a = &l->insn->operands[0], *b = &l->insn->operands[1];
    unsigned condition = l->insn->row - ROW_CMOVO, wide = a->size == 4;

    l->op->dst = lower_gpr(a);
    if (b->kind == OPERAND_GPR) {
        l->op->src = lower_gpr(b);
        l->op->handler = cmov_handlers[condition].rr[wide];
    } else {
        l->op->handler = cmov_handlers[condition].rm[wide][lower_address(l, b)];
    }
}

/* ---- SETcc ---- */

#define DEFINE_SETCC(cc, name)                                                                              \
    static const struct op *set##name##_r(struct vcpu *cpu, const struct op *op)                            \
    {                                                                                                       \
        PUT_1(op->dst, condition_holds(cpu->state.arithmetic_flags, cc));                                   \
        NEXT();                                                                                             \
    }                                                                                                       \
    always_inline const struct op *set##name##_body(BODY_PARAMETERS, const enum ea_form form)               \
    {                                                                                                       \
        OPERAND_ADDRESS(linear, form, 1, true);                                                             \
        STORE(linear, 1, condition_holds(cpu->state.arithmetic_flags, cc));                                 \
        NEXT();                                                                                             \
    }                                                                                                       \
    DEFINE_MEMORY_HANDLERS(set##name##_m, set##name##_body)
FOR_CONDITIONS(DEFINE_SETCC)

static const struct {
    op_handler *r;
    op_handler *m[EA_FORM_COUNT];
} setcc_handlers[16] = {
#define X(cc, name) {set##name##_r, MEMORY_HANDLERS(set##name##_m)},
    FOR_CONDITIONS(X)
#undef X
};

void interp_lower_setcc(struct lowering *l)
{
    const struct operand *a = &l->insn->operands[0];
    unsigned condition = l->insn->row - ROW_SETO;

    if (a->kind == OPERAND_GPR) {
        l->op->dst = lower_gpr(a);
        l->op->handler = setcc_handlers[condition].r;
    } else {
        l->op->handler = setcc_handlers[condition].m[lower_address(l, a)];
    }
}

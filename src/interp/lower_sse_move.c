/* SSE and SSE2 moves between XMM registers, memory and general registers; cache control. */
#include "interp/lower_sse.h"

/* ---- loads, and moves between registers ---- */

#define DEFINE_LOAD(name, expression)                                                                        \
    always_inline const struct op *name##_execute(EXECUTE_PARAMETERS)                                        \
    {                                                                                                        \
        XMM(op->dst) = (expression);                                                                         \
        NEXT();                                                                                              \
    }

#define DOUBLES(vector) _mm_castsi128_pd(vector)
#define INTEGERS(vector) _mm_castpd_si128(vector)

DEFINE_LOAD(aligned, _mm_load_si128(p))
DEFINE_SOURCES(aligned, XMM_ADDRESS, 16, ALIGN_STRICT)
DEFINE_LOAD(unaligned, _mm_loadu_si128(p))
DEFINE_SOURCES(unaligned, XMM_ADDRESS, 16, ALIGN_NONE)

/* From memory the rest is cleared, from a register it is kept (MOVSS, MOVSD) or cleared (MOVD, MOVQ). */
DEFINE_LOAD(low4, _mm_cvtsi32_si128(*(const int32_t *)p))
DEFINE_MEMORY_SOURCE(low4, 4, ALIGN_CHECK_4)
DEFINE_REGISTER_SOURCE(low4, GPR_ADDRESS)
DEFINE_LOAD(low8, _mm_loadl_epi64(p))
DEFINE_SOURCES(low8, XMM_ADDRESS, 8, ALIGN_CHECK_8)
DEFINE_LOAD(merge4, _mm_castps_si128(_mm_move_ss(XMM_FLOAT(op->dst), *(const __m128 *)p)))
DEFINE_REGISTER_SOURCE(merge4, XMM_ADDRESS)
DEFINE_LOAD(merge8, INTEGERS(_mm_move_sd(DOUBLES(XMM(op->dst)), *(const __m128d *)p)))
DEFINE_REGISTER_SOURCE(merge8, XMM_ADDRESS)

DEFINE_LOAD(low_half, INTEGERS(_mm_loadl_pd(DOUBLES(XMM(op->dst)), p)))
DEFINE_MEMORY_SOURCE(low_half, 8, ALIGN_CHECK_8)
DEFINE_LOAD(high_half, INTEGERS(_mm_loadh_pd(DOUBLES(XMM(op->dst)), p)))
DEFINE_SOURCES(high_half, XMM_ADDRESS, 8, ALIGN_CHECK_8)
DEFINE_LOAD(high_to_low, _mm_unpackhi_epi64(*(const __m128i *)p, XMM(op->dst)))
DEFINE_REGISTER_SOURCE(high_to_low, XMM_ADDRESS)

/* ---- stores ---- */

#define DEFINE_STORE(name, SOURCE, from, size, alignment)                                                    \
    always_inline const struct op *name##_body(BODY_PARAMETERS, const enum ea_form form)                     \
    {                                                                                                        \
        const char *source = SOURCE(op->src) + (from);                                                       \
        if (slow) {                                                                                          \
            if (!fpu_store(cpu, op, form, source, size, alignment))                                          \
                return interp_fault(cpu, op);                                                                \
        } else {                                                                                             \
            uint32_t offset = op_offset(cpu, op, form);                                                      \
            FPU_FAST_DESTINATION(p, offset, form, size, alignment)                                           \
            memcpy(p, source, size);                                                                         \
        }                                                                                                    \
        NEXT();                                                                                              \
    }                                                                                                        \
    DEFINE_MEMORY_HANDLERS(name, name##_body)

DEFINE_STORE(store_aligned, XMM_ADDRESS, 0, 16, ALIGN_STRICT)
DEFINE_STORE(store_unaligned, XMM_ADDRESS, 0, 16, ALIGN_NONE)
DEFINE_STORE(store4, XMM_ADDRESS, 0, 4, ALIGN_CHECK_4)
DEFINE_STORE(store8, XMM_ADDRESS, 0, 8, ALIGN_CHECK_8)
DEFINE_STORE(store_high8, XMM_ADDRESS, 8, 8, ALIGN_CHECK_8)
DEFINE_STORE(store_gpr, GPR_ADDRESS, 0, 4, ALIGN_CHECK_4)

/* ---- to general registers ---- */

static const struct op *movd_to_gpr_reg(struct vcpu *cpu, const struct op *op)
{
    SET_REG32(op->dst, _mm_cvtsi128_si32(XMM(op->src)));
    NEXT();
}

static const struct op *MOVMSKPS_reg(struct vcpu *cpu, const struct op *op)
{
    SET_REG32(op->dst, _mm_movemask_ps(XMM_FLOAT(op->src)));
    NEXT();
}

static const struct op *MOVMSKPD_reg(struct vcpu *cpu, const struct op *op)
{
    SET_REG32(op->dst, _mm_movemask_pd(DOUBLES(XMM(op->src))));
    NEXT();
}

/* ---- MASKMOVDQU ---- */

/* All 16 bytes are checked, even if none is to be written. */
always_inline const struct op *masked_move(struct vcpu *cpu, const struct op *op, enum ea_form form)
{
    union xmm_register data, mask;

    memcpy(&data, XMM_ADDRESS(op->dst), sizeof data);
    memcpy(&mask, XMM_ADDRESS(op->src), sizeof mask);
    if (!fpu_store_masked(cpu, op, form, data.u8, mask.u8, sizeof data))
        return interp_fault(cpu, op);
    NEXT();
}

static const struct op *MASKMOVDQU_address32(struct vcpu *cpu, const struct op *op)
{
    return masked_move(cpu, op, EA_FLAT);
}
static const struct op *MASKMOVDQU_address16(struct vcpu *cpu, const struct op *op)
{
    return masked_move(cpu, op, EA_SEG16);
}

/* ---- caches and ordering ---- */

/* Checked like a load of one byte, except that execute-only segments will do (Intel SDM vol. 2, CLFLUSH); caches
 * are coherent. */
always_inline const struct op *CLFLUSH_body(BODY_PARAMETERS, const enum ea_form form)
{
    if (slow) {
        if (!fpu_touch(cpu, op, form))
            return interp_fault(cpu, op);
    } else {
        uint64_t linear;

        CHECKED_ADDRESS(linear, form, op->segment, op_offset(cpu, op, form), 1, false);
        if (unlikely(!mmu_fast_pointer(cpu->mmu.read_table, linear, 1)))
            return slow_handler(cpu, op);
    }
    NEXT();
}
DEFINE_MEMORY_HANDLERS(CLFLUSH, CLFLUSH_body)

/* For the sake of other threads that look at guest memory. */
static const struct op *SFENCE_reg(struct vcpu *cpu, const struct op *op)
{
    __asm__ volatile("sfence" : : : "memory");
    NEXT();
}
static const struct op *LFENCE_reg(struct vcpu *cpu, const struct op *op)
{
    __asm__ volatile("lfence" : : : "memory");
    NEXT();
}
static const struct op *MFENCE_reg(struct vcpu *cpu, const struct op *op)
{
    __asm__ volatile("mfence" : : : "memory");
    NEXT();
}

#define ENTRY(row, selector, register_handler, name)                                                         \
    {ROW_##row, selector, register_handler, FAST_HANDLERS(name), SLOW_HANDLERS(name)},

const struct operand_handlers sse_move_handlers[] = {
    SOURCES_ENTRY(MOVAPS, SSE_LOAD, aligned)
    SOURCES_ENTRY(MOVAPD, SSE_LOAD, aligned)
    SOURCES_ENTRY(MOVDQA, SSE_LOAD, aligned)
    SOURCES_ENTRY(MOVUPS, SSE_LOAD, unaligned)
    SOURCES_ENTRY(MOVUPD, SSE_LOAD, unaligned)
    SOURCES_ENTRY(MOVDQU, SSE_LOAD, unaligned)
    ENTRY(MOVSS, SSE_LOAD, merge4_reg, low4)
    ENTRY(MOVSD, SSE_LOAD, merge8_reg, low8)
    SOURCES_ENTRY(MOVD, SSE_LOAD, low4)
    SOURCES_ENTRY(MOVQ, SSE_LOAD, low8)
    MEMORY_ENTRY(MOVLPS, SSE_LOAD, low_half)
    MEMORY_ENTRY(MOVLPD, SSE_LOAD, low_half)
    MEMORY_ENTRY(MOVHPS, SSE_LOAD, high_half)
    MEMORY_ENTRY(MOVHPD, SSE_LOAD, high_half)
    REGISTER_ENTRY(MOVLHPS, SSE_LOAD, high_half)
    REGISTER_ENTRY(MOVHLPS, SSE_LOAD, high_to_low)
    MEMORY_ENTRY(MOVAPS, SSE_STORE, store_aligned)
    MEMORY_ENTRY(MOVAPD, SSE_STORE, store_aligned)
    MEMORY_ENTRY(MOVDQA, SSE_STORE, store_aligned)
    MEMORY_ENTRY(MOVNTPS, SSE_STORE, store_aligned)
    MEMORY_ENTRY(MOVNTPD, SSE_STORE, store_aligned)
    MEMORY_ENTRY(MOVNTDQ, SSE_STORE, store_aligned)
    MEMORY_ENTRY(MOVUPS, SSE_STORE, store_unaligned)
    MEMORY_ENTRY(MOVUPD, SSE_STORE, store_unaligned)
    MEMORY_ENTRY(MOVDQU, SSE_STORE, store_unaligned)
    MEMORY_ENTRY(MOVSS, SSE_STORE, store4)
    ENTRY(MOVD, SSE_STORE, movd_to_gpr_reg, store4)
    MEMORY_ENTRY(MOVSD, SSE_STORE, store8)
    MEMORY_ENTRY(MOVQ, SSE_STORE, store8)
    MEMORY_ENTRY(MOVLPS, SSE_STORE, store8)
    MEMORY_ENTRY(MOVLPD, SSE_STORE, store8)
    MEMORY_ENTRY(MOVHPS, SSE_STORE, store_high8)
    MEMORY_ENTRY(MOVHPD, SSE_STORE, store_high8)
    MEMORY_ENTRY(MOVNTI, SSE_STORE, store_gpr)
    REGISTER_ENTRY(MOVMSKPS, SSE_LOAD, MOVMSKPS)
    REGISTER_ENTRY(MOVMSKPD, SSE_LOAD, MOVMSKPD)
    /* The address is the only thing that varies: 32-bit forms share a handler. */
    {ROW_MASKMOVDQU, SSE_LOAD, NULL,
     {MASKMOVDQU_address32, MASKMOVDQU_address32, MASKMOVDQU_address32, MASKMOVDQU_address16},
     {MASKMOVDQU_address32, MASKMOVDQU_address32, MASKMOVDQU_address32, MASKMOVDQU_address16}},
    {ROW_CLFLUSH, SSE_STORE, NULL, FAST_HANDLERS(CLFLUSH), SLOW_HANDLERS(CLFLUSH)},
    REGISTER_ENTRY(SFENCE, SSE_LOAD, SFENCE)
    REGISTER_ENTRY(LFENCE, SSE_LOAD, LFENCE)
    REGISTER_ENTRY(MFENCE, SSE_LOAD, MFENCE)
};
const unsigned sse_move_handler_count = ARRAY_SIZE(sse_move_handlers);

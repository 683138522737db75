/* SSE and SSE2 instructions on XMM registers that raise no floating-point exception: integer arithmetic, logic,
 * shuffles, shifts. */
#include "interp/lower_sse.h"

/* dst = dst OP source */
#define DEFINE_PACKED(row, insn)                                                                             \
    always_inline const struct op *row##_execute(EXECUTE_PARAMETERS)                                         \
    {                                                                                                        \
        __m128i value = XMM(op->dst);                                                                        \
        __asm__(insn " %[source], %[value]" : [value] "+x"(value) : [source] "m"(*(const __m128i *)p));      \
        XMM(op->dst) = value;                                                                                \
        NEXT();                                                                                              \
    }                                                                                                        \
    DEFINE_SOURCES(row, XMM_ADDRESS, 16, ALIGN_STRICT)

#define PACKED(X)                                                                                            \
    X(ANDPS, "andps") X(ANDNPS, "andnps") X(ORPS, "orps") X(XORPS, "xorps") X(UNPCKLPS, "unpcklps")          \
    X(UNPCKHPS, "unpckhps") X(ANDPD, "andpd") X(ANDNPD, "andnpd") X(ORPD, "orpd") X(XORPD, "xorpd")          \
    X(UNPCKLPD, "unpcklpd") X(UNPCKHPD, "unpckhpd") X(PACKSSDW, "packssdw") X(PACKSSWB, "packsswb")          \
    X(PACKUSWB, "packuswb") X(PADDB, "paddb") X(PADDW, "paddw") X(PADDD, "paddd") X(PADDQ, "paddq")          \
    X(PADDSB, "paddsb") X(PADDSW, "paddsw") X(PADDUSB, "paddusb") X(PADDUSW, "paddusw") X(PAND, "pand")      \
    X(PANDN, "pandn") X(POR, "por") X(PXOR, "pxor") X(PAVGB, "pavgb") X(PAVGW, "pavgw") X(PCMPEQB, "pcmpeqb") \
    X(PCMPEQW, "pcmpeqw") X(PCMPEQD, "pcmpeqd") X(PCMPGTB, "pcmpgtb") X(PCMPGTW, "pcmpgtw")                  \
    X(PCMPGTD, "pcmpgtd") X(PMADDWD, "pmaddwd") X(PMAXSW, "pmaxsw") X(PMAXUB, "pmaxub") X(PMINSW, "pminsw")  \
    X(PMINUB, "pminub") X(PMULHUW, "pmulhuw") X(PMULHW, "pmulhw") X(PMULLW, "pmullw") X(PMULUDQ, "pmuludq")  \
    X(PSADBW, "psadbw") X(PSUBB, "psubb") X(PSUBW, "psubw") X(PSUBD, "psubd") X(PSUBQ, "psubq")              \
    X(PSUBSB, "psubsb") X(PSUBSW, "psubsw") X(PSUBUSB, "psubusb") X(PSUBUSW, "psubusw")                      \
    X(PUNPCKHBW, "punpckhbw") X(PUNPCKHWD, "punpckhwd") X(PUNPCKHDQ, "punpckhdq")                            \
    X(PUNPCKHQDQ, "punpckhqdq") X(PUNPCKLBW, "punpcklbw") X(PUNPCKLWD, "punpcklwd")                          \
    X(PUNPCKLDQ, "punpckldq") X(PUNPCKLQDQ, "punpcklqdq")
#define SHIFTS(X)                                                                                            \
    X(PSLLW, "psllw") X(PSLLD, "pslld") X(PSLLQ, "psllq") X(PSRLW, "psrlw") X(PSRLD, "psrld") X(PSRLQ, "psrlq") \
    X(PSRAW, "psraw") X(PSRAD, "psrad")

PACKED(DEFINE_PACKED)
SHIFTS(DEFINE_PACKED)

/* Shifts by an immediate take it from a register; counts are not masked, so this changes nothing. */
#define DEFINE_SHIFT_BY_IMMEDIATE(row, insn)                                                                 \
    static const struct op *row##_immediate_reg(struct vcpu *cpu, const struct op *op)                       \
    {                                                                                                        \
        __m128i value = XMM(op->dst), count = _mm_cvtsi32_si128((int)op->immediate);                         \
        __asm__(insn " %[count], %[value]" : [value] "+x"(value) : [count] "x"(count));                      \
        XMM(op->dst) = value;                                                                                \
        NEXT();                                                                                              \
    }
SHIFTS(DEFINE_SHIFT_BY_IMMEDIATE)

/* By bytes, over the whole register. */
static const struct op *PSLLDQ_immediate_reg(struct vcpu *cpu, const struct op *op)
{
    unsigned __int128 *value = (unsigned __int128 *)(void *)XMM_ADDRESS(op->dst);

    *value = op->immediate < 16 ? *value << (8 * op->immediate) : 0;
    NEXT();
}

static const struct op *PSRLDQ_immediate_reg(struct vcpu *cpu, const struct op *op)
{
    unsigned __int128 *value = (unsigned __int128 *)(void *)XMM_ADDRESS(op->dst);

    *value = op->immediate < 16 ? *value >> (8 * op->immediate) : 0;
    NEXT();
}

/* ---- shuffles: op->immediate holds a byte offset for each element of the result, see shuffle_offsets() ---- */

#define OFFSET(n) (((const uint8_t *)&op->immediate)[n])
#define WORD_AT(base, n) (*(const uint16_t *)(const void *)((const char *)(base) + OFFSET(n)))
#define DOUBLEWORD_AT(base, n) (*(const int32_t *)(const void *)((const char *)(base) + OFFSET(n)))
#define QUADWORD_AT(base, n) (*(const int64_t *)(const void *)((const char *)(base) + OFFSET(n)))

always_inline const struct op *SHUFPS_execute(EXECUTE_PARAMETERS)
{
    const char *d = XMM_ADDRESS(op->dst);

    XMM(op->dst) = _mm_setr_epi32(DOUBLEWORD_AT(d, 0), DOUBLEWORD_AT(d, 1), DOUBLEWORD_AT(p, 2), DOUBLEWORD_AT(p, 3));
    NEXT();
}
DEFINE_SOURCES(SHUFPS, XMM_ADDRESS, 16, ALIGN_STRICT)

always_inline const struct op *SHUFPD_execute(EXECUTE_PARAMETERS)
{
    const char *d = XMM_ADDRESS(op->dst);

    XMM(op->dst) = _mm_set_epi64x(QUADWORD_AT(p, 1), QUADWORD_AT(d, 0));
    NEXT();
}
DEFINE_SOURCES(SHUFPD, XMM_ADDRESS, 16, ALIGN_STRICT)

always_inline const struct op *PSHUFD_execute(EXECUTE_PARAMETERS)
{
    XMM(op->dst) = _mm_setr_epi32(DOUBLEWORD_AT(p, 0), DOUBLEWORD_AT(p, 1), DOUBLEWORD_AT(p, 2), DOUBLEWORD_AT(p, 3));
    NEXT();
}
DEFINE_SOURCES(PSHUFD, XMM_ADDRESS, 16, ALIGN_STRICT)

#define SHUFFLED_WORDS(base)                                                                                 \
    ((int64_t)((uint64_t)WORD_AT(base, 0) | (uint64_t)WORD_AT(base, 1) << 16 | (uint64_t)WORD_AT(base, 2) << 32 | \
               (uint64_t)WORD_AT(base, 3) << 48))

always_inline const struct op *PSHUFLW_execute(EXECUTE_PARAMETERS)
{
    XMM(op->dst) = _mm_set_epi64x(((const int64_t *)p)[1], SHUFFLED_WORDS(p));
    NEXT();
}
DEFINE_SOURCES(PSHUFLW, XMM_ADDRESS, 16, ALIGN_STRICT)

always_inline const struct op *PSHUFHW_execute(EXECUTE_PARAMETERS)
{
    XMM(op->dst) = _mm_set_epi64x(SHUFFLED_WORDS((const char *)p + 8), ((const int64_t *)p)[0]);
    NEXT();
}
DEFINE_SOURCES(PSHUFHW, XMM_ADDRESS, 16, ALIGN_STRICT)

/* ---- single words ---- */

always_inline const struct op *PINSRW_execute(EXECUTE_PARAMETERS)
{
    *(uint16_t *)(void *)(XMM_ADDRESS(op->dst) + (op->immediate & 7) * 2) = *(const uint16_t *)p;
    NEXT();
}
DEFINE_SOURCES(PINSRW, GPR_ADDRESS, 2, ALIGN_CHECK_2)

static const struct op *PEXTRW_reg(struct vcpu *cpu, const struct op *op)
{
    SET_REG32(op->dst, *(const uint16_t *)(void *)(XMM_ADDRESS(op->src) + (op->immediate & 7) * 2));
    NEXT();
}

static const struct op *PMOVMSKB_reg(struct vcpu *cpu, const struct op *op)
{
    SET_REG32(op->dst, _mm_movemask_epi8(XMM(op->src)));
    NEXT();
}

const struct operand_handlers sse_integer_handlers[] = {
#define X(row, insn) SOURCES_ENTRY(row, SSE_LOAD, row)
    PACKED(X) SHIFTS(X)
#undef X
#define X(row, insn) REGISTER_ENTRY(row, SSE_IMMEDIATE, row##_immediate)
    SHIFTS(X) X(PSLLDQ, "") X(PSRLDQ, "")
#undef X
    SOURCES_ENTRY(SHUFPS, SSE_LOAD, SHUFPS)
    SOURCES_ENTRY(SHUFPD, SSE_LOAD, SHUFPD)
    SOURCES_ENTRY(PSHUFD, SSE_LOAD, PSHUFD)
    SOURCES_ENTRY(PSHUFLW, SSE_LOAD, PSHUFLW)
    SOURCES_ENTRY(PSHUFHW, SSE_LOAD, PSHUFHW)
    SOURCES_ENTRY(PINSRW, SSE_LOAD, PINSRW)
    REGISTER_ENTRY(PEXTRW, SSE_LOAD, PEXTRW)
    REGISTER_ENTRY(PMOVMSKB, SSE_LOAD, PMOVMSKB)
};
const unsigned sse_integer_handler_count = ARRAY_SIZE(sse_integer_handlers);

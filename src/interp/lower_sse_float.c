/* SSE and SSE2 arithmetic, comparison and conversion on floating-point operands, by the host's unit under the
 * guest's MXCSR. */
#include "interp/lower_sse.h"

typedef float sse_m32;
typedef double sse_m64;
typedef __m128 sse_m128;

/* dst = dst OP source; the unmasked exception comes before anything is stored. */
#define DEFINE_FLOAT(name, insn, type, size, alignment)                                                      \
    always_inline const struct op *name##_execute(EXECUTE_PARAMETERS)                                        \
    {                                                                                                        \
        __m128 value = XMM_FLOAT(op->dst);                                                                   \
        asm goto("1: " insn " %[source], %[value]" FPU_FAULT_ENTRY(fault)                                    \
                 : [value] "+x"(value)                                                                       \
                 : [source] "m"(*(const type *)p)                                                            \
                 :                                                                                           \
                 : fault);                                                                                   \
        XMM_FLOAT(op->dst) = value;                                                                          \
        NEXT();                                                                                              \
    fault:                                                                                                   \
        return fpu_raise_simd(cpu, op);                                                                      \
    }                                                                                                        \
    DEFINE_SOURCES(name, XMM_ADDRESS, size, alignment)

#define FLOAT_128(X)                                                                                         \
    X(ADDPS, "addps") X(SUBPS, "subps") X(MULPS, "mulps") X(DIVPS, "divps") X(MINPS, "minps") X(MAXPS, "maxps") \
    X(SQRTPS, "sqrtps") X(RCPPS, "rcpps") X(RSQRTPS, "rsqrtps") X(ADDPD, "addpd") X(SUBPD, "subpd")          \
    X(MULPD, "mulpd") X(DIVPD, "divpd") X(MINPD, "minpd") X(MAXPD, "maxpd") X(SQRTPD, "sqrtpd")              \
    X(CVTDQ2PS, "cvtdq2ps") X(CVTPS2DQ, "cvtps2dq") X(CVTTPS2DQ, "cvttps2dq") X(CVTPD2PS, "cvtpd2ps")        \
    X(CVTPD2DQ, "cvtpd2dq") X(CVTTPD2DQ, "cvttpd2dq")
#define FLOAT_64(X)                                                                                          \
    X(ADDSD, "addsd") X(SUBSD, "subsd") X(MULSD, "mulsd") X(DIVSD, "divsd") X(MINSD, "minsd") X(MAXSD, "maxsd") \
    X(SQRTSD, "sqrtsd") X(CVTSD2SS, "cvtsd2ss") X(CVTPS2PD, "cvtps2pd") X(CVTDQ2PD, "cvtdq2pd")
#define FLOAT_32(X)                                                                                          \
    X(ADDSS, "addss") X(SUBSS, "subss") X(MULSS, "mulss") X(DIVSS, "divss") X(MINSS, "minss") X(MAXSS, "maxss") \
    X(SQRTSS, "sqrtss") X(RCPSS, "rcpss") X(RSQRTSS, "rsqrtss") X(CVTSS2SD, "cvtss2sd")

#define X(row, insn) DEFINE_FLOAT(row, insn, sse_m128, 16, ALIGN_STRICT)
FLOAT_128(X)
#undef X
#define X(row, insn) DEFINE_FLOAT(row, insn, sse_m64, 8, ALIGN_CHECK_8)
FLOAT_64(X)
#undef X
#define X(row, insn) DEFINE_FLOAT(row, insn, sse_m32, 4, ALIGN_CHECK_4)
FLOAT_32(X)
#undef X

/* Comparisons by predicate, of which the low three bits count. */
#define EIGHT(X, row, insn, type, size, alignment)                                                           \
    X(row, 0, insn, type, size, alignment) X(row, 1, insn, type, size, alignment)                            \
    X(row, 2, insn, type, size, alignment) X(row, 3, insn, type, size, alignment)                            \
    X(row, 4, insn, type, size, alignment) X(row, 5, insn, type, size, alignment)                            \
    X(row, 6, insn, type, size, alignment) X(row, 7, insn, type, size, alignment)
#define COMPARISONS(X)                                                                                       \
    EIGHT(X, CMPPS, "cmpps", sse_m128, 16, ALIGN_STRICT) EIGHT(X, CMPPD, "cmppd", sse_m128, 16, ALIGN_STRICT) \
    EIGHT(X, CMPSS, "cmpss", sse_m32, 4, ALIGN_CHECK_4) EIGHT(X, CMPSD, "cmpsd", sse_m64, 8, ALIGN_CHECK_8)
#define X(row, predicate, insn, type, size, alignment)                                                       \
    DEFINE_FLOAT(row##_##predicate, insn " $" #predicate ",", type, size, alignment)
COMPARISONS(X)
#undef X

/* ZF, PF, CF from the comparison; OF, SF, AF clear. */
#define DEFINE_COMI(name, insn, type, size, alignment)                                                       \
    always_inline const struct op *name##_execute(EXECUTE_PARAMETERS)                                        \
    {                                                                                                        \
        uint64_t flags;                                                                                      \
        asm goto("1: " insn " %[source], %[value]\n\tlahf\n\tseto %%al" FPU_FAULT_ENTRY(fault)               \
                 : "=&a"(flags)                                                                              \
                 : [value] "x"(XMM_FLOAT(op->dst)), [source] "m"(*(const type *)p)                           \
                 : "cc"                                                                                      \
                 : fault);                                                                                   \
        cpu->state.arithmetic_flags = (uint16_t)flags;                                                       \
        NEXT();                                                                                              \
    fault:                                                                                                   \
        return fpu_raise_simd(cpu, op);                                                                      \
    }                                                                                                        \
    DEFINE_SOURCES(name, XMM_ADDRESS, size, alignment)

#define COMIS(X)                                                                                             \
    X(COMISS, "comiss", sse_m32, 4, ALIGN_CHECK_4) X(UCOMISS, "ucomiss", sse_m32, 4, ALIGN_CHECK_4)          \
    X(COMISD, "comisd", sse_m64, 8, ALIGN_CHECK_8) X(UCOMISD, "ucomisd", sse_m64, 8, ALIGN_CHECK_8)
COMIS(DEFINE_COMI)

/* To a general register. */
#define DEFINE_TO_INTEGER(name, insn, type, size, alignment)                                                 \
    always_inline const struct op *name##_execute(EXECUTE_PARAMETERS)                                        \
    {                                                                                                        \
        uint32_t value;                                                                                      \
        asm goto("1: " insn " %[source], %[value]" FPU_FAULT_ENTRY(fault)                                    \
                 : [value] "=r"(value)                                                                       \
                 : [source] "m"(*(const type *)p)                                                            \
                 :                                                                                           \
                 : fault);                                                                                   \
        SET_REG32(op->dst, value);                                                                           \
        NEXT();                                                                                              \
    fault:                                                                                                   \
        return fpu_raise_simd(cpu, op);                                                                      \
    }                                                                                                        \
    DEFINE_SOURCES(name, XMM_ADDRESS, size, alignment)

#define TO_INTEGERS(X)                                                                                       \
    X(CVTSS2SI, "cvtss2si", sse_m32, 4, ALIGN_CHECK_4) X(CVTTSS2SI, "cvttss2si", sse_m32, 4, ALIGN_CHECK_4)  \
    X(CVTSD2SI, "cvtsd2si", sse_m64, 8, ALIGN_CHECK_8) X(CVTTSD2SI, "cvttsd2si", sse_m64, 8, ALIGN_CHECK_8)
TO_INTEGERS(DEFINE_TO_INTEGER)

/* From a general register or memory. */
#define DEFINE_FROM_INTEGER(name, insn)                                                                      \
    always_inline const struct op *name##_execute(EXECUTE_PARAMETERS)                                        \
    {                                                                                                        \
        __m128 value = XMM_FLOAT(op->dst);                                                                   \
        asm goto("1: " insn " %[source], %[value]" FPU_FAULT_ENTRY(fault)                                    \
                 : [value] "+x"(value)                                                                       \
                 : [source] "m"(*(const uint32_t *)p)                                                        \
                 :                                                                                           \
                 : fault);                                                                                   \
        XMM_FLOAT(op->dst) = value;                                                                          \
        NEXT();                                                                                              \
    fault:                                                                                                   \
        return fpu_raise_simd(cpu, op);                                                                      \
    }                                                                                                        \
    DEFINE_SOURCES(name, GPR_ADDRESS, 4, ALIGN_CHECK_4)

#define FROM_INTEGERS(X) X(CVTSI2SS, "cvtsi2ssl") X(CVTSI2SD, "cvtsi2sdl")
FROM_INTEGERS(DEFINE_FROM_INTEGER)

const struct operand_handlers sse_float_handlers[] = {
#define X(row, ...) SOURCES_ENTRY(row, SSE_LOAD, row)
    FLOAT_128(X) FLOAT_64(X) FLOAT_32(X) COMIS(X) TO_INTEGERS(X) FROM_INTEGERS(X)
#undef X
#define X(row, predicate, ...) SOURCES_ENTRY(row, predicate, row##_##predicate)
    COMPARISONS(X)
#undef X
};
const unsigned sse_float_handler_count = ARRAY_SIZE(sse_float_handlers);

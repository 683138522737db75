/* SSE and SSE2 instructions that use both register files: conversions between packed integers in MMX and
 * floating-point numbers in XMM registers, MOVQ2DQ, MOVDQ2Q. */
#include "interp/lower_mmx.h"

/* To XMM from MMX register n: the host's own instruction does the waiting and the transition to MMX. */
#define DEFINE_FROM_MMX(n, row, insn)                                                                        \
    static const struct op *row##_##n(struct vcpu *cpu, const struct op *op)                                 \
    {                                                                                                        \
        __m128 value = XMM_FLOAT(op->dst);                                                                   \
        asm goto("1: " insn " %%mm" #n ", %[value]" FPU_FAULT_ENTRY_REPORTING(fault)                                   \
                 : [value] "+x"(value)                                                                       \
                 : "D"(&cpu->fault_vector)                                                                   \
                 : "memory"                                                                                  \
                 : fault);                                                                                   \
        XMM_FLOAT(op->dst) = value;                                                                          \
        NEXT();                                                                                              \
    fault:                                                                                                   \
        return fpu_raise_mixed(cpu, op);                                                                     \
    }

/* From memory. CVTPI2PS makes the transition here too, CVTPI2PD does not: the host knows. */
#define DEFINE_FROM_MEMORY(row, insn)                                                                        \
    always_inline const struct op *row##_body(BODY_PARAMETERS, const enum ea_form form)                      \
    {                                                                                                        \
        FPU_SOURCE(p, offset, form, 8, ALIGN_CHECK_8)                                                        \
        __m128 value = XMM_FLOAT(op->dst);                                                                   \
        asm goto("1: " insn " %[source], %[value]" FPU_FAULT_ENTRY_REPORTING(fault)                                    \
                 : [value] "+x"(value)                                                                       \
                 : [source] "m"(*(const uint64_t *)p), "D"(&cpu->fault_vector)                               \
                 : "memory"                                                                                  \
                 : fault);                                                                                   \
        XMM_FLOAT(op->dst) = value;                                                                          \
        NEXT();                                                                                              \
    fault:                                                                                                   \
        return fpu_raise_mixed(cpu, op);                                                                     \
    }                                                                                                        \
    DEFINE_MEMORY_HANDLERS(row, row##_body)

/* Second stage: from the scratch operand, 8 or 16 bytes, to MMX register n. */
#define DEFINE_TO_MMX(n, row, insn)                                                                          \
    static const struct op *row##_##n(struct vcpu *cpu, const struct op *op)                                 \
    {                                                                                                        \
        asm goto("1: " insn " %0, %%mm" #n FPU_FAULT_ENTRY_REPORTING(fault)                                            \
                 :                                                                                           \
                 : "m"(cpu->fpu_scratch), "D"(&cpu->fault_vector)                                            \
                 : "memory"                                                                                  \
                 : fault);                                                                                   \
        NEXT();                                                                                              \
    fault:                                                                                                   \
        return fpu_raise_mixed(cpu, op);                                                                     \
    }

FOR_MMX(DEFINE_FROM_MMX, CVTPI2PS, "cvtpi2ps")
FOR_MMX(DEFINE_FROM_MMX, CVTPI2PD, "cvtpi2pd")
DEFINE_FROM_MEMORY(CVTPI2PS, "cvtpi2ps")
DEFINE_FROM_MEMORY(CVTPI2PD, "cvtpi2pd")
FOR_MMX(DEFINE_TO_MMX, CVTPS2PI, "cvtps2pi")
FOR_MMX(DEFINE_TO_MMX, CVTTPS2PI, "cvttps2pi")
FOR_MMX(DEFINE_TO_MMX, CVTPD2PI, "cvtpd2pi")
FOR_MMX(DEFINE_TO_MMX, CVTTPD2PI, "cvttpd2pi")

static op_handler *const pi2ps[8] = MMX_HANDLERS(CVTPI2PS), *const pi2pd[8] = MMX_HANDLERS(CVTPI2PD),
                         *const ps2pi[8] = MMX_HANDLERS(CVTPS2PI), *const ttps2pi[8] = MMX_HANDLERS(CVTTPS2PI),
                         *const pd2pi[8] = MMX_HANDLERS(CVTPD2PI), *const ttpd2pi[8] = MMX_HANDLERS(CVTTPD2PI);
static const struct memory_handlers pi2ps_memory = {FAST_HANDLERS(CVTPI2PS), SLOW_HANDLERS(CVTPI2PS)},
                                    pi2pd_memory = {FAST_HANDLERS(CVTPI2PD), SLOW_HANDLERS(CVTPI2PD)};

/* Second stage of MOVQ2DQ. */
static const struct op *to_xmm(struct vcpu *cpu, const struct op *op)
{
    XMM(op->dst) = _mm_loadl_epi64((const void *)cpu->fpu_scratch);
    NEXT();
}

static void lower_to_xmm(struct lowering *l, op_handler *const *from_register, const struct memory_handlers *memory)
{
    const struct operand *source = &l->insn->operands[1];

    l->op->dst = (uint8_t)(l->insn->operands[0].number * 16);
    if (source->kind == OPERAND_MEMORY)
        fpu_lower_memory(l, source, memory->fast, memory->slow);
    else
        l->op->handler = from_register[source->number & 7];
}

static void lower_to_mmx(struct lowering *l, op_handler *const *second_stage, unsigned size)
{
    l->op->pointer = second_stage[l->insn->operands[0].number & 7];
    lower_mmx_source(l, &l->insn->operands[1], size);
}

void lower_mmx_mixed(struct lowering *l)
{
    switch (l->insn->row) {
    case ROW_CVTPI2PS:
        lower_to_xmm(l, pi2ps, &pi2ps_memory);
        break;
    case ROW_CVTPI2PD:
        lower_to_xmm(l, pi2pd, &pi2pd_memory);
        break;
    case ROW_CVTPS2PI:
        lower_to_mmx(l, ps2pi, 8);
        break;
    case ROW_CVTTPS2PI:
        lower_to_mmx(l, ttps2pi, 8);
        break;
    case ROW_CVTPD2PI:
        lower_to_mmx(l, pd2pi, 16);
        break;
    case ROW_CVTTPD2PI:
        lower_to_mmx(l, ttpd2pi, 16);
        break;
    case ROW_MOVDQ2Q:
        lower_to_mmx(l, mmx_to_register, 8);
        break;
    case ROW_MOVQ2DQ:
        l->op->dst = (uint8_t)(l->insn->operands[0].number * 16);
        l->op->pointer = to_xmm;
        lower_mmx_source(l, &l->insn->operands[1], 8);
        break;
    default:
        break;
    }
}

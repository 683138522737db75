/* MMX: source operands (first stages), packed arithmetic (second stages), stores. */
#include "interp/lower_mmx.h"

/* ---- first stages ---- */

#define DEFINE_FROM_REGISTER(n)                                                                              \
    static const struct op *from_##n(struct vcpu *cpu, const struct op *op)                                  \
    {                                                                                                        \
        asm goto("1: movq %%mm" #n ", %0" FPU_FAULT_ENTRY(fault)                                             \
                 :                                                                                           \
                 : "m"(cpu->fpu_scratch)                                                                     \
                 : "memory"                                                                                  \
                 : fault);                                                                                   \
        SECOND_STAGE();                                                                                      \
    fault:                                                                                                   \
        return fpu_raise_x87(cpu, op);                                                                       \
    }
FOR_MMX(DEFINE_FROM_REGISTER)
op_handler *const mmx_from_register[8] = MMX_HANDLERS(from);

/* Pending x87 errors come before faults of the operand. */
#define DEFINE_FROM_MEMORY(size, alignment)                                                                  \
    always_inline const struct op *from_memory##size##_body(BODY_PARAMETERS, const enum ea_form form)        \
    {                                                                                                        \
        if (slow)                                                                                            \
            FPU_WAIT(fault);                                                                                 \
        FPU_SOURCE(p, offset, form, size, alignment)                                                         \
        if (!slow) {                                                                                         \
            SCRATCH_64(cpu) = 0;                                                                             \
            memcpy(cpu->fpu_scratch, p, size);                                                               \
        } else if (size < 8) {                                                                               \
            SCRATCH_64(cpu) &= (1ull << (8 * size % 64)) - 1;                                                \
        }                                                                                                    \
        SECOND_STAGE();                                                                                      \
    fault:                                                                                                   \
        return fpu_raise_x87(cpu, op);                                                                       \
    }                                                                                                        \
    DEFINE_MEMORY_HANDLERS(from_memory##size, from_memory##size##_body)                                      \
    const struct memory_handlers mmx_from_memory##size = {FAST_HANDLERS(from_memory##size),                  \
                                                          SLOW_HANDLERS(from_memory##size)};
DEFINE_FROM_MEMORY(2, ALIGN_CHECK_2)
DEFINE_FROM_MEMORY(4, ALIGN_CHECK_4)
DEFINE_FROM_MEMORY(8, ALIGN_CHECK_8)
DEFINE_FROM_MEMORY(16, ALIGN_STRICT)

const struct op *mmx_from_gpr(struct vcpu *cpu, const struct op *op)
{
    SCRATCH_64(cpu) = REG32(op->base);
    SECOND_STAGE();
}

const struct op *mmx_from_immediate(struct vcpu *cpu, const struct op *op)
{
    SCRATCH_64(cpu) = op->src;
    SECOND_STAGE();
}

const struct op *mmx_from_xmm(struct vcpu *cpu, const struct op *op)
{
    memcpy(cpu->fpu_scratch, XMM_ADDRESS(op->base), sizeof cpu->fpu_scratch);
    SECOND_STAGE();
}

void lower_mmx_source(struct lowering *l, const struct operand *source, unsigned size)
{
    struct op *op = l->op;

    switch (source->kind) {
    case OPERAND_MMX:
        op->handler = mmx_from_register[source->number & 7];
        break;
    case OPERAND_GPR:
        op->base = lower_gpr(source);
        op->handler = mmx_from_gpr;
        break;
    case OPERAND_XMM:
        op->base = (uint8_t)(source->number * 16);
        op->handler = mmx_from_xmm;
        break;
    case OPERAND_IMMEDIATE:
        op->src = (uint8_t)source->value;
        op->handler = mmx_from_immediate;
        break;
    case OPERAND_MEMORY: {
        const struct memory_handlers *handlers = size == 2    ? &mmx_from_memory2
                                                 : size == 4  ? &mmx_from_memory4
                                                 : size == 16 ? &mmx_from_memory16
                                                              : &mmx_from_memory8;

        fpu_lower_memory(l, source, handlers->fast, handlers->slow);
        break;
    }
    default:
        break;
    }
}

/* ---- second stages: register n = register n OP scratch ---- */

#define DEFINE_PACKED(n, row, insn)                                                                          \
    static const struct op *row##_##n(struct vcpu *cpu, const struct op *op)                                 \
    {                                                                                                        \
        asm goto("1: " insn " %0, %%mm" #n FPU_FAULT_ENTRY(fault)                                            \
                 :                                                                                           \
                 : "m"(SCRATCH_64(cpu))                                                                      \
                 : "memory"                                                                                  \
                 : fault);                                                                                   \
        NEXT();                                                                                              \
    fault:                                                                                                   \
        return fpu_raise_x87(cpu, op);                                                                       \
    }

#define MMX_PACKED(X)                                                                                        \
    X(PACKSSDW, "packssdw") X(PACKSSWB, "packsswb") X(PACKUSWB, "packuswb") X(PADDB, "paddb")                \
    X(PADDD, "paddd") X(PADDQ, "paddq") X(PADDSB, "paddsb") X(PADDSW, "paddsw") X(PADDUSB, "paddusb")        \
    X(PADDUSW, "paddusw") X(PADDW, "paddw") X(PAND, "pand") X(PANDN, "pandn") X(PAVGB, "pavgb")              \
    X(PAVGW, "pavgw") X(PCMPEQB, "pcmpeqb") X(PCMPEQD, "pcmpeqd") X(PCMPEQW, "pcmpeqw")                      \
    X(PCMPGTB, "pcmpgtb") X(PCMPGTD, "pcmpgtd") X(PCMPGTW, "pcmpgtw") X(PMADDWD, "pmaddwd")                  \
    X(PMAXSW, "pmaxsw") X(PMAXUB, "pmaxub") X(PMINSW, "pminsw") X(PMINUB, "pminub") X(PMULHUW, "pmulhuw")    \
    X(PMULHW, "pmulhw") X(PMULLW, "pmullw") X(PMULUDQ, "pmuludq") X(POR, "por") X(PSADBW, "psadbw")          \
    X(PSLLD, "pslld") X(PSLLQ, "psllq") X(PSLLW, "psllw") X(PSRAD, "psrad") X(PSRAW, "psraw")                \
    X(PSRLD, "psrld") X(PSRLQ, "psrlq") X(PSRLW, "psrlw") X(PSUBB, "psubb") X(PSUBD, "psubd")                \
    X(PSUBQ, "psubq") X(PSUBSB, "psubsb") X(PSUBSW, "psubsw") X(PSUBUSB, "psubusb") X(PSUBUSW, "psubusw")    \
    X(PSUBW, "psubw") X(PUNPCKHBW, "punpckhbw") X(PUNPCKHDQ, "punpckhdq") X(PUNPCKHWD, "punpckhwd")          \
    X(PUNPCKLBW, "punpcklbw") X(PUNPCKLDQ, "punpckldq") X(PUNPCKLWD, "punpcklwd") X(PXOR, "pxor")            \
    X(MOVQ, "movq")

#define X(row, insn) FOR_MMX(DEFINE_PACKED, row, insn)
MMX_PACKED(X)
#undef X

op_handler *const mmx_to_register[8] = MMX_HANDLERS(MOVQ);

static const struct {
    uint16_t row;
    op_handler *handlers[8];
} packed[] = {
#define X(row, insn) {ROW_##row, MMX_HANDLERS(row)},
    MMX_PACKED(X)
#undef X
};

op_handler *const *mmx_packed_handlers(unsigned row)
{
    for (size_t i = 0; i < ARRAY_SIZE(packed); i++)
        if (packed[i].row == row)
            return packed[i].handlers;
    return NULL;
}

const struct op *mmx_emms(struct vcpu *cpu, const struct op *op)
{
    asm goto("1: emms" FPU_FAULT_ENTRY(fault) : : : "memory" : fault);
    NEXT();
fault:
    return fpu_raise_x87(cpu, op);
}

/* ---- stores: the register may only be touched (tags) when memory is known to take it, but TOP is 0 even then ---- */

static noinline void clear_top(void)
{
    uint32_t environment[7]; /* FCW, FSW, FTW, ... */

    __asm__ volatile("fnstenv %0" : "=m"(environment)); /* masks all exceptions */
    environment[1] &= ~(uint32_t)X87_TOP;
    __asm__ volatile("fldenv %0" : : "m"(environment));
}

#define DEFINE_STORE(n, insn, size, alignment)                                                               \
    always_inline const struct op *store##size##_##n##_body(BODY_PARAMETERS, const enum ea_form form)        \
    {                                                                                                        \
        if (slow) {                                                                                          \
            FPU_WAIT(fault);                                                                                 \
            if (!fpu_prepare_store(cpu, op, form, size, alignment)) {                                        \
                clear_top();                                                                                 \
                return interp_fault(cpu, op);                                                                \
            }                                                                                                \
            __asm__ volatile(insn " %%mm" #n ", %0" : "=m"(cpu->fpu_scratch) : : "memory");                  \
            if (!fpu_store(cpu, op, form, cpu->fpu_scratch, size, alignment))                                \
                return interp_fault(cpu, op);                                                                \
        } else {                                                                                             \
            uint32_t offset = op_offset(cpu, op, form);                                                      \
            FPU_FAST_DESTINATION(p, offset, form, size, alignment)                                           \
            asm goto("1: " insn " %%mm" #n ", %0" FPU_FAULT_ENTRY(fault)                                     \
                     :                                                                                       \
                     : "m"(*(uint64_t *)p)                                                                   \
                     : "memory"                                                                              \
                     : fault);                                                                               \
        }                                                                                                    \
        NEXT();                                                                                              \
    fault:                                                                                                   \
        return fpu_raise_x87(cpu, op);                                                                       \
    }                                                                                                        \
    DEFINE_MEMORY_HANDLERS(store##size##_##n, store##size##_##n##_body)
FOR_MMX(DEFINE_STORE, "movd", 4, ALIGN_CHECK_4)
FOR_MMX(DEFINE_STORE, "movq", 8, ALIGN_CHECK_8)

#define STORE_ENTRY(n, size) {FAST_HANDLERS(store##size##_##n), SLOW_HANDLERS(store##size##_##n)},
const struct memory_handlers mmx_store4[8] = {FOR_MMX(STORE_ENTRY, 4)};
const struct memory_handlers mmx_store8[8] = {FOR_MMX(STORE_ENTRY, 8)};

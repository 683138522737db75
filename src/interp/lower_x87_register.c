/* x87 instructions without a memory operand: one handler an encoding, which executes that very encoding. */
#include "interp/lower_x87.h"

#define ENCODING(first, second) ".byte 0x" #first ", 0x" #second

/* The common shape: waits, notes the instruction pointer. */
#define DEFINE_PLAIN(first, second)                                                                          \
    static const struct op *x87_##first##_##second(struct vcpu *cpu, const struct op *op)                    \
    {                                                                                                        \
        asm goto("1: " ENCODING(first, second) FPU_FAULT_ENTRY(fault) : : : "memory" : fault);               \
        x87_note_instruction(cpu, op);                                                                       \
        NEXT();                                                                                              \
    fault:                                                                                                   \
        return fpu_raise_x87(cpu, op);                                                                       \
    }

/* FCOMI and its kind set ZF, PF, CF and clear OF, SF, AF, unmasked invalid operations included. */
#define DEFINE_SETS_FLAGS(first, second)                                                                     \
    static const struct op *x87_##first##_##second(struct vcpu *cpu, const struct op *op)                    \
    {                                                                                                        \
        uint64_t flags;                                                                                      \
        asm goto("1: " ENCODING(first, second) "\n\tlahf\n\tseto %%al" FPU_FAULT_ENTRY(fault)                \
                 : "=a"(flags)                                                                               \
                 :                                                                                           \
                 : "memory", "cc"                                                                            \
                 : fault);                                                                                   \
        cpu->state.arithmetic_flags = (uint16_t)flags;                                                       \
        x87_note_instruction(cpu, op);                                                                       \
        NEXT();                                                                                              \
    fault:                                                                                                   \
        return fpu_raise_x87(cpu, op);                                                                       \
    }

/* FCMOVcc tests ZF, PF, CF. */
#define DEFINE_USES_FLAGS(first, second)                                                                     \
    static const struct op *x87_##first##_##second(struct vcpu *cpu, const struct op *op)                    \
    {                                                                                                        \
        asm goto("sahf\n1: " ENCODING(first, second) FPU_FAULT_ENTRY(fault)                                  \
                 :                                                                                           \
                 : "a"((uint64_t)cpu->state.arithmetic_flags)                                                \
                 : "memory", "cc"                                                                            \
                 : fault);                                                                                   \
        x87_note_instruction(cpu, op);                                                                       \
        NEXT();                                                                                              \
    fault:                                                                                                   \
        return fpu_raise_x87(cpu, op);                                                                       \
    }

/* X(define, first byte, second byte); rows of eight are one instruction with ST(0) to ST(7). */
#define EIGHT_LOW(X, define, first, high)                                                                    \
    X(define, first, high##0) X(define, first, high##1) X(define, first, high##2) X(define, first, high##3)  \
    X(define, first, high##4) X(define, first, high##5) X(define, first, high##6) X(define, first, high##7)
#define EIGHT_HIGH(X, define, first, high)                                                                   \
    X(define, first, high##8) X(define, first, high##9) X(define, first, high##a) X(define, first, high##b)  \
    X(define, first, high##c) X(define, first, high##d) X(define, first, high##e) X(define, first, high##f)
#define SIXTEEN(X, define, first, high) EIGHT_LOW(X, define, first, high) EIGHT_HIGH(X, define, first, high)

#define X87_REGISTER(X)                                                                                      \
    SIXTEEN(X, DEFINE_PLAIN, d8, c) /* FADD FMUL */                                                          \
    SIXTEEN(X, DEFINE_PLAIN, d8, d) /* FCOM FCOMP */                                                         \
    SIXTEEN(X, DEFINE_PLAIN, d8, e) /* FSUB FSUBR */                                                         \
    SIXTEEN(X, DEFINE_PLAIN, d8, f) /* FDIV FDIVR */                                                         \
    SIXTEEN(X, DEFINE_PLAIN, d9, c) /* FLD FXCH */                                                           \
    X(DEFINE_PLAIN, d9, d0)         /* FNOP */                                                               \
    EIGHT_HIGH(X, DEFINE_PLAIN, d9, d) /* FSTP1 (undocumented) */                                            \
    /* FCHS FABS FTST FXAM */                                                                                \
    X(DEFINE_PLAIN, d9, e0) X(DEFINE_PLAIN, d9, e1) X(DEFINE_PLAIN, d9, e4) X(DEFINE_PLAIN, d9, e5)          \
    /* FLD1 FLDL2T FLDL2E FLDPI FLDLG2 FLDLN2 FLDZ */                                                        \
    X(DEFINE_PLAIN, d9, e8) X(DEFINE_PLAIN, d9, e9) X(DEFINE_PLAIN, d9, ea) X(DEFINE_PLAIN, d9, eb)          \
    X(DEFINE_PLAIN, d9, ec) X(DEFINE_PLAIN, d9, ed) X(DEFINE_PLAIN, d9, ee)                                  \
    SIXTEEN(X, DEFINE_PLAIN, d9, f) /* F2XM1 .. FCOS */                                                      \
    SIXTEEN(X, DEFINE_USES_FLAGS, da, c) /* FCMOVB FCMOVE */                                                 \
    SIXTEEN(X, DEFINE_USES_FLAGS, da, d) /* FCMOVBE FCMOVU */                                                \
    X(DEFINE_PLAIN, da, e9)         /* FUCOMPP */                                                            \
    SIXTEEN(X, DEFINE_USES_FLAGS, db, c) /* FCMOVNB FCMOVNE */                                               \
    SIXTEEN(X, DEFINE_USES_FLAGS, db, d) /* FCMOVNBE FCMOVNU */                                              \
    EIGHT_HIGH(X, DEFINE_SETS_FLAGS, db, e) /* FUCOMI */                                                     \
    EIGHT_LOW(X, DEFINE_SETS_FLAGS, db, f) /* FCOMI */                                                       \
    SIXTEEN(X, DEFINE_PLAIN, dc, c) /* FADD FMUL to ST(i) */                                                 \
    SIXTEEN(X, DEFINE_PLAIN, dc, d) /* FCOM2 FCOMP3 (undocumented) */                                        \
    SIXTEEN(X, DEFINE_PLAIN, dc, e) /* FSUBR FSUB */                                                         \
    SIXTEEN(X, DEFINE_PLAIN, dc, f) /* FDIVR FDIV */                                                         \
    SIXTEEN(X, DEFINE_PLAIN, dd, c) /* FFREE, FXCH4 (undocumented) */                                        \
    SIXTEEN(X, DEFINE_PLAIN, dd, d) /* FST FSTP */                                                           \
    SIXTEEN(X, DEFINE_PLAIN, dd, e) /* FUCOM FUCOMP */                                                       \
    SIXTEEN(X, DEFINE_PLAIN, de, c) /* FADDP FMULP */                                                        \
    EIGHT_LOW(X, DEFINE_PLAIN, de, d) /* FCOMP5 (undocumented) */                                            \
    X(DEFINE_PLAIN, de, d9)         /* FCOMPP */                                                             \
    SIXTEEN(X, DEFINE_PLAIN, de, e) /* FSUBRP FSUBP */                                                       \
    SIXTEEN(X, DEFINE_PLAIN, de, f) /* FDIVRP FDIVP */                                                       \
    SIXTEEN(X, DEFINE_PLAIN, df, c) /* FFREEP, FXCH7 (undocumented) */                                       \
    SIXTEEN(X, DEFINE_PLAIN, df, d) /* FSTP8 FSTP9 (undocumented) */                                         \
    EIGHT_HIGH(X, DEFINE_SETS_FLAGS, df, e) /* FUCOMIP */                                                    \
    EIGHT_LOW(X, DEFINE_SETS_FLAGS, df, f) /* FCOMIP */

#define X(define, first, second) define(first, second)
X87_REGISTER(X)
#undef X

/* ---- control ---- */

static const struct op *fnclex_handler(struct vcpu *cpu, const struct op *op)
{
    __asm__ volatile("fnclex");
    if (unlikely(cpu->ferr))
        return fpu_next_after_clearing(cpu, op);
    NEXT();
}

static const struct op *fninit_handler(struct vcpu *cpu, const struct op *op)
{
    struct x87_state *x87 = &cpu->state.x87;

    __asm__ volatile("fninit");
    x87->fop = x87->fcs = x87->fds = 0;
    x87->fip = x87->fdp = 0;
    if (unlikely(cpu->ferr))
        return fpu_next_after_clearing(cpu, op);
    NEXT();
}

static const struct op *fnstsw_ax_handler(struct vcpu *cpu, const struct op *op)
{
    uint16_t status;

    __asm__ volatile("fnstsw %0" : "=a"(status));
    REG16(GPR_AX * 8) = status;
    NEXT();
}

/* FNENI and FNDISI of the 8087, FNSETPM of the 287: accepted, without effect. */
static const struct op *no_operation_handler(struct vcpu *cpu, const struct op *op)
{
    NEXT();
}

const struct op *x87_wait_handler(struct vcpu *cpu, const struct op *op)
{
    FPU_WAIT(fault);
    NEXT();
fault:
    return fpu_raise_x87(cpu, op);
}

op_handler *const x87_register_handlers[8][64] = {
#define X(define, first, second) [0x##first - 0xd8][0x##second - 0xc0] = x87_##first##_##second,
    X87_REGISTER(X)
#undef X
    [0xdb - 0xd8][0xe0 - 0xc0] = no_operation_handler,
    [0xdb - 0xd8][0xe1 - 0xc0] = no_operation_handler,
    [0xdb - 0xd8][0xe2 - 0xc0] = fnclex_handler,
    [0xdb - 0xd8][0xe3 - 0xc0] = fninit_handler,
    [0xdb - 0xd8][0xe4 - 0xc0] = no_operation_handler,
    [0xdf - 0xd8][0xe0 - 0xc0] = fnstsw_ax_handler,
};

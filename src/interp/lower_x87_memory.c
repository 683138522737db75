/* x87 instructions with a memory operand. */
#include "interp/lower_x87.h"

#include "cpu/fxsave.h"

/* Operand types, by size, so that the assembly names all bytes it touches. */
struct x87_operand_2 {
    uint8_t bytes[2];
};
struct x87_operand_4 {
    uint8_t bytes[4];
};
struct x87_operand_8 {
    uint8_t bytes[8];
};
struct x87_operand_10 {
    uint8_t bytes[10];
};

/* Operand read; pointers noted. */
#define DEFINE_SOURCE(name, insn, size, alignment)                                                           \
    always_inline const struct op *name##_body(BODY_PARAMETERS, const enum ea_form form)                     \
    {                                                                                                        \
        if (slow)                                                                                            \
            FPU_WAIT(fault);                                                                                 \
        FPU_SOURCE(p, offset, form, size, alignment)                                                         \
        asm goto("1: " insn " %0" FPU_FAULT_ENTRY(fault)                                                     \
                 :                                                                                           \
                 : "m"(*(const struct x87_operand_##size *)p)                                                \
                 : "memory"                                                                                  \
                 : fault);                                                                                   \
        x87_note_instruction(cpu, op);                                                                       \
        x87_note_data(cpu, op, offset);                                                                      \
        NEXT();                                                                                              \
    fault:                                                                                                   \
        return fpu_raise_x87(cpu, op);                                                                       \
    }                                                                                                        \
    DEFINE_MEMORY_HANDLERS(name, name##_body)

/* Unmasked exceptions that keep a store from happening. Stack faults show as invalid operations. An unmasked
 * precision exception is reported after the store. */
#define X87_KEEPS_STORE (X87_IE | X87_OE | X87_UE)

/* The careful store. EXECUTE is the host instruction with cpu->fpu_scratch for its operand. What will not be stored
 * must not touch memory, and nothing may be popped before memory is known to take the result. 10 bytes are stored as
 * 8 and 2: if the exponent's page faults, the significand is in memory. */
static noinline bool store_carefully(struct vcpu *cpu, const struct op *op, enum ea_form form, unsigned size,
                                   enum fpu_alignment alignment, void (*execute)(struct vcpu *))
{
    struct fxsave_image before;
    uint16_t status, control;

    __asm__ volatile("fnstcw %0" : "=m"(control));
    if (size != 10 && !(~control & X87_KEEPS_STORE)) {
        if (!fpu_prepare_store(cpu, op, form, size, alignment))
            return false;
        execute(cpu);
        return fpu_store(cpu, op, form, cpu->fpu_scratch, size, alignment);
    }
    fxsave_from_host(&before);
    execute(cpu);
    __asm__ volatile("fnstsw %0" : "=m"(status));
    if ((status & ~control & X87_KEEPS_STORE) || fpu_store(cpu, op, form, cpu->fpu_scratch, size, alignment))
        return true;
    fxsave_to_host(&before);
    return false;
}

#define DEFINE_STORE(name, insn, size, alignment)                                                            \
    static void name##_to_scratch(struct vcpu *cpu)                                                          \
    {                                                                                                        \
        __asm__ volatile(insn " %0" : "=m"(cpu->fpu_scratch) : : "memory");                                  \
    }                                                                                                        \
    always_inline const struct op *name##_body(BODY_PARAMETERS, const enum ea_form form)                     \
    {                                                                                                        \
        uint32_t offset = op_offset(cpu, op, form);                                                          \
        if (slow) {                                                                                          \
            FPU_WAIT(fault);                                                                                 \
            if (!store_carefully(cpu, op, form, size, alignment, name##_to_scratch))                         \
                return interp_fault(cpu, op);                                                                \
        } else {                                                                                             \
            FPU_FAST_DESTINATION(p, offset, form, size, alignment)                                           \
            asm goto("1: " insn " %0" FPU_FAULT_ENTRY(fault)                                                 \
                     :                                                                                       \
                     : "m"(*(struct x87_operand_##size *)p)                                                  \
                     : "memory"                                                                              \
                     : fault);                                                                               \
        }                                                                                                    \
        x87_note_instruction(cpu, op);                                                                       \
        x87_note_data(cpu, op, offset);                                                                      \
        NEXT();                                                                                              \
    fault:                                                                                                   \
        return fpu_raise_x87(cpu, op);                                                                       \
    }                                                                                                        \
    DEFINE_MEMORY_HANDLERS(name, name##_body)

/* X(group, reg, define, instruction, size, alignment) */
#define X87_ARITHMETIC(X, group, prefix, suffix, size, alignment)                                            \
    X(group, 0, DEFINE_SOURCE, prefix "add" suffix, size, alignment)                                         \
    X(group, 1, DEFINE_SOURCE, prefix "mul" suffix, size, alignment)                                         \
    X(group, 2, DEFINE_SOURCE, prefix "com" suffix, size, alignment)                                         \
    X(group, 3, DEFINE_SOURCE, prefix "comp" suffix, size, alignment)                                        \
    X(group, 4, DEFINE_SOURCE, prefix "sub" suffix, size, alignment)                                         \
    X(group, 5, DEFINE_SOURCE, prefix "subr" suffix, size, alignment)                                        \
    X(group, 6, DEFINE_SOURCE, prefix "div" suffix, size, alignment)                                         \
    X(group, 7, DEFINE_SOURCE, prefix "divr" suffix, size, alignment)

#define X87_MEMORY(X)                                                                                        \
    X87_ARITHMETIC(X, d8, "f", "s", 4, ALIGN_CHECK_4)                                                        \
    X87_ARITHMETIC(X, da, "fi", "l", 4, ALIGN_CHECK_4)                                                       \
    X87_ARITHMETIC(X, dc, "f", "l", 8, ALIGN_CHECK_8)                                                        \
    X87_ARITHMETIC(X, de, "fi", "s", 2, ALIGN_CHECK_2)                                                       \
    X(d9, 0, DEFINE_SOURCE, "flds", 4, ALIGN_CHECK_4)                                                        \
    X(d9, 2, DEFINE_STORE, "fsts", 4, ALIGN_CHECK_4)                                                         \
    X(d9, 3, DEFINE_STORE, "fstps", 4, ALIGN_CHECK_4)                                                        \
    X(db, 0, DEFINE_SOURCE, "fildl", 4, ALIGN_CHECK_4)                                                       \
    X(db, 1, DEFINE_STORE, "fisttpl", 4, ALIGN_CHECK_4)                                                      \
    X(db, 2, DEFINE_STORE, "fistl", 4, ALIGN_CHECK_4)                                                        \
    X(db, 3, DEFINE_STORE, "fistpl", 4, ALIGN_CHECK_4)                                                       \
    X(db, 5, DEFINE_SOURCE, "fldt", 10, ALIGN_CHECK_8)                                                       \
    X(db, 7, DEFINE_STORE, "fstpt", 10, ALIGN_CHECK_8)                                                       \
    X(dd, 0, DEFINE_SOURCE, "fldl", 8, ALIGN_CHECK_8)                                                        \
    X(dd, 1, DEFINE_STORE, "fisttpll", 8, ALIGN_CHECK_8)                                                     \
    X(dd, 2, DEFINE_STORE, "fstl", 8, ALIGN_CHECK_8)                                                         \
    X(dd, 3, DEFINE_STORE, "fstpl", 8, ALIGN_CHECK_8)                                                        \
    X(df, 0, DEFINE_SOURCE, "filds", 2, ALIGN_CHECK_2)                                                       \
    X(df, 1, DEFINE_STORE, "fisttps", 2, ALIGN_CHECK_2)                                                      \
    X(df, 2, DEFINE_STORE, "fists", 2, ALIGN_CHECK_2)                                                        \
    X(df, 3, DEFINE_STORE, "fistps", 2, ALIGN_CHECK_2)                                                       \
    X(df, 4, DEFINE_SOURCE, "fbld", 10, ALIGN_CHECK_8)                                                       \
    X(df, 5, DEFINE_SOURCE, "fildll", 8, ALIGN_CHECK_8)                                                      \
    X(df, 6, DEFINE_STORE, "fbstp", 10, ALIGN_CHECK_8)                                                       \
    X(df, 7, DEFINE_STORE, "fistpll", 8, ALIGN_CHECK_8)

#define X(group, reg, define, insn, size, alignment) define(x87_##group##_##reg, insn, size, alignment)
X87_MEMORY(X)
#undef X

/* ---- control words: no pointers ---- */

always_inline const struct op *fldcw_body(BODY_PARAMETERS, const enum ea_form form)
{
    if (slow)
        FPU_WAIT(fault);
    FPU_SOURCE(p, offset, form, 2, ALIGN_CHECK_2)
    asm goto("1: fldcw %0" FPU_FAULT_ENTRY(fault) : : "m"(*(const struct x87_operand_2 *)p) : "memory" : fault);
    if (unlikely(cpu->ferr))
        return fpu_next_after_clearing(cpu, op);
    (void)offset;
    NEXT();
fault:
    return fpu_raise_x87(cpu, op);
}
DEFINE_MEMORY_HANDLERS(fldcw, fldcw_body)

#define DEFINE_CONTROL_STORE(name, insn)                                                                     \
    always_inline const struct op *name##_body(BODY_PARAMETERS, const enum ea_form form)                     \
    {                                                                                                        \
        if (slow) {                                                                                          \
            __asm__ volatile(insn " %0" : "=m"(cpu->fpu_scratch));                                           \
            if (!fpu_store(cpu, op, form, cpu->fpu_scratch, 2, ALIGN_CHECK_2))                               \
                return interp_fault(cpu, op);                                                                \
        } else {                                                                                             \
            uint32_t offset = op_offset(cpu, op, form);                                                      \
            FPU_FAST_DESTINATION(p, offset, form, 2, ALIGN_CHECK_2)                                          \
            __asm__ volatile(insn " %0" : "=m"(*(struct x87_operand_2 *)p) : : "memory");                    \
        }                                                                                                    \
        NEXT();                                                                                              \
    }                                                                                                        \
    DEFINE_MEMORY_HANDLERS(name, name##_body)

DEFINE_CONTROL_STORE(fnstcw, "fnstcw")
DEFINE_CONTROL_STORE(fnstsw, "fnstsw")

#define GROUP_d8 0
#define GROUP_d9 1
#define GROUP_da 2
#define GROUP_db 3
#define GROUP_dc 4
#define GROUP_dd 5
#define GROUP_de 6
#define GROUP_df 7

const struct memory_handlers x87_memory_handlers[8][8] = {
#define X(group, reg, define, insn, size, alignment)                                                         \
    [GROUP_##group][reg] = {FAST_HANDLERS(x87_##group##_##reg), SLOW_HANDLERS(x87_##group##_##reg)},
    X87_MEMORY(X)
#undef X
    [GROUP_d9][5] = {FAST_HANDLERS(fldcw), SLOW_HANDLERS(fldcw)},
    [GROUP_d9][7] = {FAST_HANDLERS(fnstcw), SLOW_HANDLERS(fnstcw)},
    [GROUP_dd][7] = {FAST_HANDLERS(fnstsw), SLOW_HANDLERS(fnstsw)},
};

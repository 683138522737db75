/* The instruction table: one row per opcode family (a Zydis mnemonic), read by the decoder, the
 * engines, the tests, the traces and `dragoman --list-instructions`.
 *
 * Rows live in src/cpu/instructions/ *.def, by family:
 *
 *   INSN(MNEMONIC, kind, read, written, undefined, class, attributes, feature, callout)
 *
 *   INSN_PSEUDO(NAME, ...)   same columns, for forms that share a Zydis mnemonic with another row and
 *               that decode.c tells apart: CALL_FAR, JMP_FAR, RET_FAR, MOV_TO_SEGMENT, MOV_FROM_SEGMENT,
 *               PUSH_SEGMENT, POP_SEGMENT, MOV_TO_CONTROL, MOV_FROM_CONTROL, MOV_TO_DEBUG,
 *               MOV_FROM_DEBUG, STRING_MOVSD, STRING_CMPSD (MOVSD and CMPSD alone are SSE2).
 *
 *   MNEMONIC    as in ZYDIS_MNEMONIC_*
 *   kind        how engines handle it: the interpreter has interp_lower_<kind>(), the lifter
 *               lift_<kind>(). Kind `callout` means: always through the callout.
 *   read, written, undefined   arithmetic flags: letters O S Z A P C in F(...), or NOF. Undefined flags
 *               are not listed as written.
 *   class       INNOCUOUS, PRIVILEGED (faults outside ring 0), CRITICAL (sensitive but unprivileged)
 *   attributes  ATTR_* or 0, or'ed
 *   feature     FEATURE_* that the cpu model must have, else #UD
 *   callout     callout_<name> or none
 */
#ifndef DRAGOMAN_CPU_INSTRUCTION_TABLE_H
#define DRAGOMAN_CPU_INSTRUCTION_TABLE_H

#include "cpu/callout.h"

#include <Zydis/Zydis.h>

enum instruction_class { CLASS_INNOCUOUS, CLASS_PRIVILEGED, CLASS_CRITICAL };
extern const char *const instruction_class_names[3];

#define ATTR_ENDS_BLOCK (1u << 0)  /* control may go elsewhere, or mode, interrupts or code may change */
#define ATTR_MAY_FAULT (1u << 1)   /* apart from memory operands, which always may */
#define ATTR_LOCKABLE (1u << 2)    /* LOCK allowed with a memory destination */
#define ATTR_X87 (1u << 3)         /* needs the x87 unit: #NM by EM/TS, waits for pending #MF */
#define ATTR_MMX (1u << 4)
#define ATTR_SSE (1u << 5)
#define ATTR_STRING (1u << 6)      /* may carry REP */
#define ATTR_BRANCH (1u << 7)      /* near direct or indirect branch, handled inside the engine */
#define ATTR_X87_CONTROL (1u << 8) /* does not update FIP/FDP/FOP */
#define ATTR_NO_WAIT (1u << 9)     /* does not check for pending x87 exceptions */
#define ATTR_STACK (1u << 10)      /* uses SS:SP implicitly */

/* CPU features that gate instructions; cpu/model.c says which model has which. */
#define CPU_FEATURES(X)                                                                             \
    X(386) X(486) X(CPUID) X(PENTIUM) X(MMX) X(CMOV) X(FCMOV) X(SEP) X(FXSR) X(SSE) X(SSE2) X(CLFLUSH) \
    X(TSC) X(MSR) X(CX8) X(RDPMC) X(FPU) X(SSE3) X(SSSE3) X(SSE41) X(SSE42) X(POPCNT) X(MOVBE) X(LAHF64) \
    X(SYSCALL) X(RDTSCP) X(MONITOR) X(NOPL) X(PAUSE) X(LZCNT) X(BMI1) X(BMI2) X(AES) X(PCLMUL) X(RDRAND) X(XSAVE) \
    X(SMM) X(NEVER)
enum cpu_feature {
#define X(name) FEATURE_##name,
    CPU_FEATURES(X)
#undef X
    FEATURE_COUNT
};

/* Flag letters for the .def files: F(O,S,Z,A,P,C) with any subset through these masks. */
#define FO FLAG_OF
#define FS_ FLAG_SF
#define FZ FLAG_ZF
#define FA FLAG_AF
#define FP FLAG_PF
#define FC FLAG_CF
#define OSZAPC FLAG_ARITHMETIC
#define NOF 0u

enum instruction_row_id {
    ROW_NONE,
#define INSN_PSEUDO INSN
#define INSN(mnemonic, kind, read, written, undefined, class, attributes, feature, callout) ROW_##mnemonic,
#include "cpu/instructions/all.def"
#undef INSN
#undef INSN_PSEUDO
    ROW_COUNT
};

struct instruction_row {
    const char *name;      /* lower case */
    const char *kind;
    const char *callout_name; /* NULL if none */
    uint16_t mnemonic;     /* ZydisMnemonic */
    uint32_t flags_read, flags_written, flags_undefined;
    enum instruction_class class;
    uint32_t attributes;
    enum cpu_feature feature;
    callout_fn callout;
};

extern const struct instruction_row instruction_table[ROW_COUNT];

/* ROW_NONE for mnemonics without a row: #UD. */
uint16_t instruction_row_of_mnemonic(uint16_t mnemonic);

/* Every callout named in the table. */
#include "cpu/callouts.h"

#endif

/* Guest arithmetic faults found by the host: SIGFPE.
 *
 * A handler that runs a guest instruction as the same host instruction lets the host find the
 * exception. Each host instruction that may fault is entered in a table (one ELF section, collected
 * by the linker from all object files):
 *
 *     struct fpu_fault:   at        the instruction, relative to the field itself
 *                         recover   where the handler function goes on, likewise
 *                         reports   1: RDI points to an int that takes the vector
 *
 *     asm goto("1: divl %[by]" FPU_FAULT_ENTRY(fault) : ... : : fault);
 *     ...
 * fault:
 *     return interp_raise(cpu, op, EXC_DE);
 *
 * The host instruction changed nothing (x87, SSE and integer division faults are precise), and the
 * signal handler only changes the program counter, so a fault is a jump to the label. */
#ifndef DRAGOMAN_INTERP_FPU_SIGNAL_H
#define DRAGOMAN_INTERP_FPU_SIGNAL_H

#include <stdbool.h>
#include <stdint.h>

/* Text for an asm goto: the instruction at local label 1 may fault; LABEL is the goto label. */
#define FPU_FAULT_ENTRY(label) FPU_FAULT_ENTRY_WITH(label, "0")
/* For instructions that may raise #MF and #XM: the asm has the address of an int in RDI ("D"). */
#define FPU_FAULT_ENTRY_REPORTING(label) FPU_FAULT_ENTRY_WITH(label, "1")

#define FPU_FAULT_ENTRY_WITH(label, reports)                                                                 \
    "\n\t.pushsection fpu_fault_table, \"a\"\n\t"                                                            \
    ".balign 4\n\t"                                                                                          \
    ".long 1b - .\n\t"                                                                                       \
    ".long %l[" #label "] - .\n\t"                                                                           \
    ".long " reports "\n\t"                                                                                  \
    ".popsection\n"

/* Installs the SIGFPE handler of the process unless it is installed already. The handler that was there
 * before gets every SIGFPE that does not come from an instruction in the table. To be called before
 * the first vCPU runs, not by two threads at once. False: sigaction() failed, see errno. */
bool fpu_signal_install(void);

/* For translated code, which has no entries in the table: RESOLVE is asked on this thread, in the signal handler, where to
 * go on after a fault at host address PC; false: not ours. NULL: nobody. */
/* CONTEXT: the ucontext_t, which it may change. */
typedef bool fpu_resolver(void *opaque, uintptr_t pc, void *context, uintptr_t *recovery);
void fpu_signal_set_resolver(fpu_resolver *resolve, void *opaque);

#endif

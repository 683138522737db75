/* All callouts, by the file that holds them. */
#ifndef DRAGOMAN_CPU_CALLOUTS_H
#define DRAGOMAN_CPU_CALLOUTS_H

#include "cpu/callout.h"

#define CALLOUTS_TRANSFER(X) /* transfer_*.c: far transfers and software interrupts */ \
    X(call_far) X(jmp_far) X(ret_far) X(iret) X(int_n) X(int3) X(into) X(icebp) X(bound) X(enter) X(sysenter) X(sysexit)
#define CALLOUTS_SEGMENT(X) /* segment_callouts.c */ \
    X(mov_to_segment) X(mov_from_segment) X(push_segment) X(pop_segment) X(load_far_pointer) X(lar) X(lsl) X(verr) X(verw) X(arpl) X(lldt) X(ltr) X(sldt) X(str)
#define CALLOUTS_SYSTEM(X) /* system_callouts.c, control_registers.c, debug_registers.c, msr.c, flags_callouts.c, cpuid.c */ \
    X(lgdt) X(lidt) X(sgdt) X(sidt) X(smsw) X(lmsw) X(clts) X(mov_from_control) X(mov_to_control) X(mov_from_debug)   \
    X(mov_to_debug) X(invlpg) X(wbinvd) X(cpuid) X(rdtsc) X(rdpmc) X(rdmsr) X(wrmsr) X(cli) X(sti) X(pushf) X(popf)    \
    X(hlt) X(ud)
#define CALLOUTS_IO(X) /* io_callouts.c; REP INS/OUTS run one page-bounded portion and leave next_rip at the instruction while some remain */ \
    X(in) X(out) X(ins) X(outs)
#define CALLOUTS_FPU(X) /* fpu_callouts.c */ \
    X(fxsave) X(fxrstor) X(fnsave) X(frstor) X(fnstenv) X(fldenv) X(ldmxcsr) X(stmxcsr)

#define CALLOUTS(X) CALLOUTS_TRANSFER(X) CALLOUTS_SEGMENT(X) CALLOUTS_SYSTEM(X) CALLOUTS_IO(X) CALLOUTS_FPU(X)

#define X(name) bool callout_##name(struct vcpu *cpu, const struct callout_args *args);
CALLOUTS(X)
#undef X
#define callout_none NULL

/* STI for an engine that executes one more instruction before anybody looks for interrupts: without ATTENTION_EVENT. The
 * engine forgets state.interrupt_shadow when it goes on, and posts the event when it does not. */
bool callout_sti_before_another(struct vcpu *cpu, const struct callout_args *args);

#endif

/* One attempt at delivering an event (Intel SDM vol. 2, INT n/INTO/INT3/INT1, "Operation", which the
 * manual states for external interrupts and exceptions too). */
#ifndef DRAGOMAN_CPU_INTERRUPT_H
#define DRAGOMAN_CPU_INTERRUPT_H

#include "cpu/exception.h"

struct event {
    uint8_t vector;
    bool is_exception; /* counts for the double-fault rules */
    bool is_software;  /* INT n, INT3, INTO: gate DPL is checked, EXT is 0 */
    bool is_int_n;     /* sensitive to IOPL in virtual-8086 mode */
    bool has_error;
    uint32_t error;
    uint32_t eflags; /* image to push or to save in the TSS */
    uint32_t return_rip;
};

/* Delivers EVENT in the present mode. True: state.rip is the handler's first instruction. False: the
 * exception that was met is recorded; unless a task switch had passed its point of no return (state.rip is then
 * the new task's) nothing has changed. */
bool interrupt_deliver(struct vcpu *cpu, const struct event *event);

/* INT n, INT3, INTO and INT1 with RETURN_RIP behind the instruction; as cpu_deliver_interrupt() otherwise. */
bool interrupt_deliver_software(struct vcpu *cpu, uint8_t vector, enum interrupt_source source, uint64_t return_rip);

bool interrupt_deliver_real(struct vcpu *cpu, const struct event *event);
bool interrupt_deliver_protected(struct vcpu *cpu, const struct event *event);
/* INT n in virtual-8086 mode: faults, or delivers through the 8086 program's own vector table when VME
 * redirects it. */
bool interrupt_deliver_vm86_int_n(struct vcpu *cpu, const struct event *event);

#endif

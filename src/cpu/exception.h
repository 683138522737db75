/* Raising and delivering exceptions and interrupts.
 *
 * Two steps.  Code that finds a fault calls cpu_raise*(), which records it in cpu->exception and
 * returns false; every function between it and the engine returns false in turn (use TRY).  The
 * engine then puts RIP back to the instruction's first byte (or leaves it behind it, for traps) and
 * calls cpu_deliver_exception(), which pushes the frame, switches stacks, tasks and privilege, and
 * turns contributory faults into #DF and those into a triple fault (Intel SDM vol. 3, 6.15). */
#ifndef DRAGOMAN_CPU_EXCEPTION_H
#define DRAGOMAN_CPU_EXCEPTION_H

#include "cpu/vcpu.h"

#define TRY(expression)        \
    do {                       \
        if (!(expression))     \
            return false;      \
    } while (0)

/* All return false. */
bool cpu_raise(struct vcpu *cpu, enum exception_vector vector);
bool cpu_raise_error(struct vcpu *cpu, enum exception_vector vector, uint32_t error);
/* Turns cpu->mmu.fault into #PF or #AC. */
bool cpu_raise_memory_fault(struct vcpu *cpu);
/* #DB; STATUS is the set of DR6 bits; a TRAP is taken after the instruction. */
bool cpu_raise_debug(struct vcpu *cpu, uint32_t status, bool trap);

/* Delivers cpu->exception (valid) with state.rip as the restart address and clears it. After return
 * state.rip is the handler's first instruction (or the machine is being reset by a triple fault). */
void cpu_deliver_exception(struct vcpu *cpu);

enum interrupt_source { INTERRUPT_EXTERNAL, INTERRUPT_NMI, INTERRUPT_SOFTWARE /* INT n */, INTERRUPT_SOFTWARE_EXCEPTION /* INT3, INTO */, INTERRUPT_ICEBP };
/* Delivers an interrupt. state.rip is the return address. EXTERNAL and NMI: faults met on the way are delivered inside;
 * always returns true. SOFTWARE kinds: returns false with the exception recorded (state.rip and all registers unchanged) so
 * that the INT instruction itself faults. DPL checks for software kinds inside. */
bool cpu_deliver_interrupt(struct vcpu *cpu, uint8_t vector, enum interrupt_source source);

/* Acknowledges the PIC and delivers, if IF is set, the line is up and no shadow forbids it; NMI first.
 * Returns whether something was delivered. Clears `halted` when so. */
bool cpu_poll_interrupts(struct vcpu *cpu);

#endif

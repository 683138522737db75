/* The interpreter: decodes basic blocks once into predecoded operations and runs those.
 * One per vCPU; everything here is called on the vCPU's thread unless it says otherwise. */
#ifndef DRAGOMAN_INTERP_INTERP_H
#define DRAGOMAN_INTERP_INTERP_H

#include "base/error.h"
#include "cpu/vcpu.h"

struct interp;

/* Registers a written listener with the memory (code invalidation). CPU's model, memory and ports are set. */
struct interp *interp_create(struct vcpu *cpu, struct error *err);
void interp_destroy(struct interp *interp);

/* Runs guest code until ATTENTION_STOP or ATTENTION_RESET is posted, the processor halts
 * (state.halted), or cpu->budget is used up. Interrupts and exceptions are delivered inside.
 * Counts retired instructions into cpu->instructions and, with a counted clock, advances it.
 * state.rip is exact on return, at an instruction boundary; x87 state may stay resident
 * (cpu_fpu_spill() before another thread looks). */
void interp_run(struct interp *interp);

/* Runs exactly one instruction (or delivers one pending event); for the debugger and lockstep. */
void interp_step(struct interp *interp);

/* Forgets every decoded block. */
void interp_flush(struct interp *interp);

/* Debugger breakpoints: interp_run() returns with *hit set before an instruction whose linear address has one
 * is executed. */
bool interp_set_breakpoint(struct interp *interp, uint64_t linear, bool set);
bool interp_breakpoint_hit(struct interp *interp); /* reads and clears */

#endif

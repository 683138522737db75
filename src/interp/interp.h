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

/* What a block did that was interpreted for a profile. */
struct interp_observed {
    uint32_t eip;          /* where it began */
    uint16_t length;       /* bytes */
    bool complete;         /* it came to its end, and no exception was delivered */
    uint32_t next_eip;     /* complete: where it led */
};

/* A translator beside the interpreter. All functions on the vCPU's thread. */
struct interp_native {
    void *opaque;
    bool exclusive; /* what has been translated is never decoded: a decoded block says that there is no translation */
    /* Runs translated code from state.rip on, if there is any; true if some guest code ran (or an exception was
     * delivered) and the run loop shall look around. */
    bool (*enter)(void *opaque);
    /* Is there a translation for state.rip? */
    bool (*has)(void *opaque);
    /* The code at state.rip is hot. True: it is translated now. */
    bool (*translate)(void *opaque);
    /* Executions of a new block, at guest-physical PHYSICAL, until translate() is asked. */
    uint32_t (*heat)(void *opaque, uint64_t physical);
    /* Forget what was made from the byte at LINEAR, in any address space (a breakpoint). Any thread; the vCPU is
     * parked. May be NULL. */
    void (*forget)(void *opaque, uint32_t linear);
    /* ATTENTION_PROFILE was posted: does what comes at state.rip have a translation whose executions shall be counted?
     * Then the interpreter runs it as a block by itself, and tells of it. May be NULL, both. */
    bool (*observe)(void *opaque);
    void (*observed)(void *opaque, const struct interp_observed *observed);
};
void interp_set_native(struct interp *interp, const struct interp_native *native);
/* From a translator: the instruction at state.rip shall be interpreted alone, then look around. */
void interp_request_step(struct interp *interp);
bool interp_step_is_requested(const struct interp *interp);

/* One instruction lowered for a translator that has no code of its own for it; not a branch, nothing that ends blocks.
 * Freed by interp_free_single(). NULL: no memory. REMAINING: instructions of the translation from it on. */
struct interp_single;
struct decoded_instruction;
struct interp_single *interp_lower_single(struct interp *interp, const struct decoded_instruction *insn, uint32_t mode,
                                          uint32_t eip, unsigned remaining);
void interp_free_single(struct interp_single *single);
/* Executes it. False: it did not come to its end: state.rip says where to go on (a fault was delivered; REP left to be
 * resumed), the rest of the translation's instructions are not charged. */
bool interp_run_single(struct interp *interp, const struct interp_single *single);
/* Counted time: brings cpu->instructions and the clock up to BUDGET being left. */
void interp_account(struct interp *interp, int64_t budget);

/* Runs guest code until ATTENTION_STOP or ATTENTION_RESET is posted, the processor halts
 * (state.halted), or cpu->budget is used up. Interrupts and exceptions are delivered inside.
 * Counts retired instructions into cpu->instructions and, with a counted clock, advances it.
 * state.rip is exact on return, at an instruction boundary; x87 state may stay resident
 * (cpu_fpu_spill() before another thread looks). */
void interp_run(struct interp *interp);

/* For lockstep: runs COUNT instructions from state.rip, one at a time and whatever wants attention; stops behind one that
 * met an exception. Returns how many were begun. */
unsigned interp_run_instructions(struct interp *interp, unsigned count);

/* Runs exactly one instruction (or delivers one pending event, if INTERRUPTS are wanted); for the debugger. False:
 * nothing was run, for something else comes first (a request to stop, a timer of counted time). */
bool interp_step(struct interp *interp, bool interrupts);

/* Forgets every decoded block. */
void interp_flush(struct interp *interp);

/* Debugger breakpoints: interp_run() returns with *hit set before an instruction whose linear address has one
 * is executed. Blocks and translations end before it, so that all other code runs at its usual speed. RF holds it back,
 * as it does those of the debug registers (Intel SDM vol. 3, 17.3.1.1). While the vCPU is parked.
 * For watchpoints, behind whose accesses it returns, see cpu/debug.h. */
bool interp_set_breakpoint(struct interp *interp, uint64_t linear, bool set);
/* Bytes from LINEAR on, at most LENGTH, up to the first breakpoint: 0 if there is one at LINEAR. */
size_t interp_room_before_breakpoint(const struct interp *interp, uint32_t linear, size_t length);
bool interp_breakpoint_hit(struct interp *interp); /* reads and clears */

#endif

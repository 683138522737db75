/* x87/MMX state between the host FPU and struct x87_state, MXCSR, and the reporting of x87 errors.
 *
 * While a vCPU thread is in its run loop the guest's x87/MMX registers are in the host FPU and the
 * guest's FCW and MXCSR are in force; XMM registers live in cpu->state.xmm.  The last instruction and
 * data pointers (FIP, FCS, FDP, FDS, FOP) are always in cpu->state.x87. All of it for the
 * vCPU's own thread. */
#ifndef DRAGOMAN_CPU_FPU_H
#define DRAGOMAN_CPU_FPU_H

#include "cpu/vcpu.h"

/* FSW and FCW, Intel SDM vol. 1, 8.1.3 and 8.1.5 */
#define X87_EXCEPTIONS 0x003fu
#define X87_IE 0x0001u
#define X87_OE 0x0008u
#define X87_UE 0x0010u
#define X87_ES 0x0080u
#define X87_TOP 0x3800u
#define X87_B 0x8000u
#define X87_FCW_INIT 0x037f
#define MXCSR_INIT 0x1f80u

/* Loads the guest's x87 state and MXCSR into this thread; nothing if resident already. */
void cpu_fpu_load(struct vcpu *cpu);
/* Stores the guest's x87 state and MXCSR into cpu->state and restores the host's FCW defaults and MXCSR;
 * nothing if not resident. */
void cpu_fpu_spill(struct vcpu *cpu);
/* State after RESET (Intel SDM vol. 3, table 9-1): FCW 0040h, all registers +0 and tagged so, XMM 0,
 * MXCSR 1F80h. Not FNINIT's: firmware and loaders that owe their guests one execute FNINIT or set
 * X87_FCW_INIT. Forgets the resident state. */
void cpu_fpu_reset(struct vcpu *cpu);

/* MXCSR, resident or not. VALUE has been checked against the model's mask. */
uint32_t cpu_get_mxcsr(const struct vcpu *cpu);
void cpu_set_mxcsr(struct vcpu *cpu, uint32_t value);

/* ---- x87 errors: Intel SDM vol. 1, 8.7 ---- */

enum fpu_error_action {
    FPU_ERROR_RAISE,  /* CR0.NE = 1: #MF before the waiting instruction */
    FPU_ERROR_FREEZE, /* FERR# is asserted now, the instruction waits for an interrupt (as a rule IRQ 13) */
    FPU_ERROR_IGNORE  /* IGNNE# is asserted: the instruction executes as if nothing were pending */
};
/* A waiting instruction met a pending unmasked x87 error. */
enum fpu_error_action cpu_fpu_meet_error(struct vcpu *cpu);
/* The resident state has a pending unmasked error. */
bool cpu_fpu_error_pending(const struct vcpu *cpu);
/* After anything that may have cleared the pending error: releases FERR# (and with it IGNNE#). Cheap
 * to skip while !cpu->ferr. */
void cpu_fpu_update_error_line(struct vcpu *cpu);
/* IGNNE# as the board drives it: asserted by a write to port F0h while FERR# is, until FERR# is released. */
void cpu_set_ignne(struct vcpu *cpu, bool level);

#endif

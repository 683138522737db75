/* Task state segments and hardware task switches (Intel SDM vol. 3, chapter 7). */
#ifndef DRAGOMAN_CPU_TASK_H
#define DRAGOMAN_CPU_TASK_H

#include "cpu/segmentation.h"

#define TSS32_IO_MAP_BASE 0x66u /* word: offset of the I/O permission map */

enum task_switch_kind {
    TASK_JUMP,   /* JMP: the old task is left not busy */
    TASK_NESTED, /* CALL, interrupts, exceptions: link written, NT set, the old task stays busy */
    TASK_RETURN  /* IRET with NT = 1: NT cleared in the saved image, the old task is left not busy */
};

/* The stack pointer for privilege LEVEL (0..2) in the present TSS; #TS(TR) if the TSS is too short. */
bool task_read_inner_stack(struct vcpu *cpu, unsigned level, uint16_t *ss, uint32_t *esp);
/* The descriptor of a TSS to switch to: in the GDT, a TSS, available (BUSY: busy), else EXCEPTION(selector);
 * present, else #NP(selector). */
bool task_read_tss_descriptor(struct vcpu *cpu, uint16_t selector, bool busy, enum exception_vector exception,
                              struct descriptor *tss);
/* Switches to the task of TSS, which task_read_tss_descriptor() has checked. SAVED_RIP and SAVED_EFLAGS are
 * the outgoing task's. False: an exception is recorded. If it was found before the switch took effect nothing
 * has changed; after it, it belongs to the new task: state.rip, next_rip and all registers are that task's.
 * Whether EIP is within CS is left to the caller. */
bool task_switch(struct vcpu *cpu, uint16_t selector, const struct descriptor *tss, enum task_switch_kind kind,
                 uint32_t saved_rip, uint32_t saved_eflags);

#endif

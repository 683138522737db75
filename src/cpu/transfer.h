/* What far transfers, interrupts and returns have in common: candidates for CS and SS that are checked
 * first and taken over only when nothing can fail any more. */
#ifndef DRAGOMAN_CPU_TRANSFER_H
#define DRAGOMAN_CPU_TRANSFER_H

#include "cpu/segmentation.h"

struct new_segment {
    uint16_t selector;
    struct descriptor descriptor;
    struct segment segment;
};

/* Reads the descriptor; EXCEPTION(selector) when it is outside its table. No other check. */
bool transfer_read_segment(struct vcpu *cpu, uint16_t selector, enum exception_vector exception,
                           struct new_segment *out);
/* Sets the accessed bit, in the table too. The last thing that can fail before the commit. */
bool transfer_accept_segment(struct vcpu *cpu, struct new_segment *segment);
/* #GP(0) if RIP is outside CODE's limit. */
bool transfer_check_rip(struct vcpu *cpu, const struct segment *code, uint64_t rip);
/* Loads CS; its RPL becomes CPL. The caller updates the mode word. */
void transfer_set_code(struct vcpu *cpu, const struct new_segment *code, unsigned cpl);

/* SS:ESP of privilege LEVEL from the TSS, with all checks of a switch to an inner stack: #TS, #SS. */
bool transfer_find_inner_stack(struct vcpu *cpu, unsigned level, struct new_segment *stack, uint32_t *esp);

/* A return's code segment (Intel SDM vol. 2, RET, IRET): not null, in its table, code, no more privileged than
 * the CPL, privilege matching its RPL, present. */
bool transfer_read_return_code(struct vcpu *cpu, uint16_t selector, struct new_segment *code);
/* The stack segment of a return to the outer level of the code segment's RPL. */
bool transfer_read_return_stack(struct vcpu *cpu, uint16_t selector, unsigned level, struct new_segment *stack);
/* Commits a return to an outer level: CS, SS, ESP, the mode word, and unloads data segments that the new
 * CPL may not use. */
void transfer_return_outer(struct vcpu *cpu, const struct new_segment *code, const struct new_segment *stack,
                           uint32_t esp);

#endif

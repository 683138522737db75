/* A run of pushes, checked as a whole before the first byte changes, on the present stack or on one
 * that is about to be switched to. */
#ifndef DRAGOMAN_CPU_STACK_FRAME_H
#define DRAGOMAN_CPU_STACK_FRAME_H

#include "cpu/segmentation.h"

#define STACK_FRAME_ITEMS 40 /* a call gate's 31 parameters, two far pointers and room */

struct stack_frame {
    struct segment stack; /* the SS in question, hidden part included */
    uint64_t mask;        /* of the stack pointer, by its B bit */
    uint64_t old_pointer; /* before the first push; bits above MASK kept */
    uint64_t pointer;     /* behind the pushes so far, within MASK */
    unsigned item_size;   /* 2 or 4 */
    unsigned cpl;         /* privilege the pushes are made with */
    uint16_t error;       /* error code of #SS: 0, or the selector of a new stack */
    unsigned count;
    uint32_t items[STACK_FRAME_ITEMS];
};

/* On STACK from POINTER down. */
void stack_frame_begin(struct stack_frame *frame, const struct segment *stack, uint64_t pointer, unsigned item_size,
                       unsigned cpl, uint16_t error);
/* On the present stack. */
void stack_frame_begin_here(struct vcpu *cpu, struct stack_frame *frame, unsigned item_size);
void stack_frame_add(struct stack_frame *frame, uint32_t value);
/* Every item lies within the limit, else #SS(error). */
bool stack_frame_check_limits(struct vcpu *cpu, const struct stack_frame *frame);
/* Every item's pages can be written. */
bool stack_frame_probe(struct vcpu *cpu, const struct stack_frame *frame);
bool stack_frame_write(struct vcpu *cpu, const struct stack_frame *frame);
/* The value of ESP with the frame pushed: bits above a 16-bit stack's pointer are FROM's. */
uint64_t stack_frame_result(const struct stack_frame *frame, uint64_t from);

#endif

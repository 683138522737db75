/* x87 handlers by encoding: group is the first opcode byte less D8h. */
#ifndef DRAGOMAN_INTERP_LOWER_X87_H
#define DRAGOMAN_INTERP_LOWER_X87_H

#include "interp/fpu_access.h"

extern const struct memory_handlers x87_memory_handlers[8][8]; /* [group][ModRM.reg] */
extern op_handler *const x87_register_handlers[8][64];         /* [group][ModRM - C0h] */
extern op_handler x87_wait_handler;

/* An x87 operation's immediate, in the order of struct x87_state: FIP << 16 | FOP. */
static_assert(offsetof(struct x87_state, fip) == offsetof(struct x87_state, fop) + 2 &&
                  offsetof(struct x87_state, fcs) == offsetof(struct x87_state, fop) + 6,
              "FOP, FIP and FCS are written together");

/* The last instruction pointer, after the instruction went through. */
always_inline void x87_note_instruction(struct vcpu *cpu, const struct op *op)
{
    memcpy((char *)&cpu->state.x87 + offsetof(struct x87_state, fop), &op->immediate, sizeof op->immediate);
    cpu->state.x87.fcs = cpu->state.segment[SEG_CS].selector;
}

/* The last data pointer. op->src is half the offset of the segment's selector in struct vcpu. */
always_inline void x87_note_data(struct vcpu *cpu, const struct op *op, uint32_t offset)
{
    cpu->state.x87.fdp = offset;
    cpu->state.x87.fds = REG16((size_t)op->src * 2);
}
static_assert(offsetof(struct vcpu, state.segment[SEG_GS].selector) / 2 <= UINT8_MAX &&
                  offsetof(struct vcpu, state.segment[0].selector) % 2 == 0,
              "selector offsets fit op->src");

#endif

/* Lowering of x87 instructions: the encoding says it all. */
#include "interp/lower_x87.h"

void interp_lower_x87(struct lowering *l)
{
    const struct decoded_instruction *insn = l->insn;
    struct op *op = l->op;
    unsigned group = insn->opcode - 0xd8u;

    if (lower_fpu_availability(l))
        return;
    if (insn->opcode == 0x9b) {
        op->handler = x87_wait_handler;
        return;
    }
    if (group > 7 || !insn->has_modrm)
        return;
    op->immediate = (uint64_t)l->eip << 16 | (group << 8 | insn->modrm);
    if (insn->modrm >= 0xc0) {
        op->handler = x87_register_handlers[group][insn->modrm - 0xc0];
        return;
    }
    const struct memory_handlers *handlers = &x87_memory_handlers[group][insn->modrm >> 3 & 7];
    const struct operand *memory = fpu_memory_operand(insn);
    if (!memory || !handlers->fast[0])
        return;
    fpu_lower_memory(l, memory, handlers->fast, handlers->slow);
    op->src = (uint8_t)(offsetof(struct vcpu, state.segment[memory->segment].selector) / 2);
}

/* Lowering: what all instruction families share. */
#include "interp/lower.h"

#include "interp/block.h"

uint8_t lower_gpr(const struct operand *gpr)
{
    return (uint8_t)(gpr->number * 8 + (gpr->high ? 1 : 0));
}

enum ea_form lower_address(struct lowering *l, const struct operand *memory)
{
    /* Not through CS: a flat code segment is never writable. */
    bool flat = memory->segment != SEG_CS && MODE_SHAPE(l->mode, memory->segment) == SHAPE_FLAT;

    l->op->base = (uint8_t)(memory->base * 8);
    l->op->index = (uint8_t)(memory->index * 8);
    l->op->scale = memory->scale;
    l->op->segment = memory->segment;
    l->op->displacement = (int32_t)memory->value;
    if (l->insn->address_size == 2)
        return EA_SEG16;
    if (!flat)
        return EA_SEG32;
    return memory->index == GPR_ZERO ? EA_FLAT_BASE : EA_FLAT;
}

enum ea_form lower_stack_form(const struct lowering *l)
{
    if (!(l->mode & MODE_SS_B))
        return EA_SEG16;
    return MODE_SHAPE(l->mode, SEG_SS) == SHAPE_FLAT ? EA_FLAT_BASE : EA_SEG32;
}

/* ---- raising ---- */

static const struct op *raise_handler(struct vcpu *cpu, const struct op *op)
{
    return interp_raise(cpu, op, (enum exception_vector)op->immediate);
}

void lower_raise(struct lowering *l, enum exception_vector vector)
{
    l->op->handler = raise_handler;
    l->op->immediate = vector;
}

bool lower_fpu_availability(struct lowering *l)
{
    uint32_t attributes = l->row->attributes;
    bool em = l->mode & MODE_EM, ts = l->mode & MODE_TS;

    if (l->row->mnemonic == ZYDIS_MNEMONIC_FWAIT) {
        if (!ts || !(l->mode & MODE_MP))
            return false;
        lower_raise(l, EXC_NM);
    } else if (attributes & ATTR_SSE) {
        if (em || !(l->mode & MODE_OSFXSR))
            lower_raise(l, EXC_UD);
        else if (ts)
            lower_raise(l, EXC_NM);
        else
            return false;
    } else if (attributes & ATTR_MMX) {
        if (!em && !ts)
            return false;
        lower_raise(l, em ? EXC_UD : EXC_NM);
    } else if (attributes & ATTR_X87) {
        if (!em && !ts)
            return false;
        lower_raise(l, EXC_NM);
    } else {
        return false;
    }
    return true;
}

/* ---- callouts ---- */

/* Counted time: callouts see the time of their own instruction, and may do what they like with devices. */
static cold void sync_time(struct vcpu *cpu, const struct op *op)
{
    interp_account(interp_of(cpu), cpu->budget + op->remaining);
    cpu->mmu.devices_alone = false;
}

/* False: something wants attention at this instruction's boundary. */
static cold bool may_go_on(struct vcpu *cpu)
{
    cpu->mmu.devices_alone = true;
    return !atomic_load_explicit(&cpu->attention, memory_order_relaxed);
}

always_inline const struct op *callout_body(struct vcpu *cpu, const struct op *op, bool ends_block)
{
    struct callout_op *callout = op->pointer;
    uint32_t next = op_next_eip(cpu, op);

    cpu->state.rip = op->eip;
    cpu->next_rip = next;
    cpu->stats->callouts++;
    if (unlikely(cpu->mode & MODE_COUNTED))
        sync_time(cpu, op);
    if (callout->args.memory)
        callout->args.offset = callout->args.address_size == 2 ? op_offset(cpu, op, EA_SEG16) : op_offset(cpu, op, EA_FLAT);
    uint32_t mode = cpu->mode;
    if (unlikely(!callout->function(cpu, &callout->args)))
        return interp_callout_fault(cpu, op);
    bool go_on = likely(!(mode & MODE_COUNTED)) || may_go_on(cpu);
    if (ends_block || cpu->next_rip != next) {
        cpu->state.rip = cpu->next_rip;
        cpu->budget += op->remaining - 1;
        return unlikely(cpu->state.halted) ? NULL : interp_enter_cached(cpu);
    }
    if (unlikely(cpu->mode != mode || !go_on))
        return interp_leave_after(cpu, op);
    NEXT();
}

static const struct op *callout_handler(struct vcpu *cpu, const struct op *op)
{
    return callout_body(cpu, op, false);
}
static const struct op *callout_end_handler(struct vcpu *cpu, const struct op *op)
{
    return callout_body(cpu, op, true);
}

void lower_callout_to(struct lowering *l, callout_fn function, bool ends_block)
{
    struct callout_op *callout = block_allocate_callout(interp_of(l->cpu));

    callout->function = function;
    decode_callout_args(l->insn, &callout->args);
    for (unsigned i = 0; i < l->insn->operand_count; i++)
        if (l->insn->operands[i].kind == OPERAND_MEMORY)
            lower_address(l, &l->insn->operands[i]);
    l->op->pointer = callout;
    l->op->handler = ends_block ? callout_end_handler : callout_handler;
    if (l->mode & MODE_SINGLE) {
        l->block->interrupts = l->insn->row == ROW_INT || l->insn->row == ROW_INT3 || l->insn->row == ROW_INT1;
        l->block->interrupts_on_overflow = l->insn->row == ROW_INTO;
    }
}

void interp_lower_callout(struct lowering *l)
{
    if (!l->row->callout || lower_fpu_availability(l))
        return;
    lower_callout_to(l, l->row->callout, l->row->attributes & ATTR_ENDS_BLOCK);
}

/* ---- the end of a block without a branch ---- */

static const struct op *end_handler(struct vcpu *cpu, const struct op *op)
{
    return interp_follow(cpu, op->pointer, false);
}

void lower_block_end(struct block *block)
{
    struct op *op = &block->ops[block->op_count++];

    *op = (struct op){.handler = end_handler, .eip = block->exits[0].eip, .pointer = &block->exits[0]};
}

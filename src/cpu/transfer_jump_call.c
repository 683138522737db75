/* Far JMP and CALL: to code segments, through call gates, to tasks (Intel SDM vol. 2, JMP, CALL; vol. 3, 5.8). */
#include "cpu/callouts.h"
#include "cpu/descriptor.h"
#include "cpu/stack_frame.h"
#include "cpu/task.h"
#include "cpu/transfer.h"

#define GATE_PARAMETERS(gate) ((gate)->high & 0x1f)

struct far_transfer {
    const struct callout_args *args;
    bool is_call;
    uint16_t selector;
    uint32_t offset;
};

static bool raise_gp(struct vcpu *cpu, uint16_t selector)
{
    return cpu_raise_error(cpu, EXC_GP, SELECTOR_ERROR(selector));
}

static bool raise_np(struct vcpu *cpu, uint16_t selector)
{
    return cpu_raise_error(cpu, EXC_NP, SELECTOR_ERROR(selector));
}

static bool read_target(struct vcpu *cpu, struct far_transfer *t)
{
    const struct callout_args *args = t->args;
    uint64_t offset = args->immediate, selector = args->selector;

    if (args->memory)
        TRY(callout_read_far_pointer(cpu, args, &offset, &selector));
    t->selector = (uint16_t)selector;
    t->offset = args->operand_size == 2 ? (uint16_t)offset : (uint32_t)offset;
    return true;
}

/* CS and EIP of a call that keeps its stack. Each is in memory before the next step, and stays there when that faults
 * (the second push, or the target's offset against the limit); (E)SP is the caller's to move. */
static bool write_return_address(struct vcpu *cpu, unsigned item_size)
{
    uint64_t mask = cpu_stack_mask(cpu), sp = cpu->state.gpr[GPR_SP];

    TRY(cpu_write_data(cpu, SEG_SS, (sp - item_size) & mask, item_size, cpu->state.segment[SEG_CS].selector));
    return cpu_write_data(cpu, SEG_SS, (sp - 2 * item_size) & mask, item_size, cpu->next_rip);
}

/* ---- real and virtual-8086 mode ---- */

static bool transfer_real(struct vcpu *cpu, const struct far_transfer *t)
{
    unsigned item_size = t->args->operand_size;

    if (t->is_call)
        TRY(write_return_address(cpu, item_size));
    TRY(transfer_check_rip(cpu, &cpu->state.segment[SEG_CS], t->offset)); /* the limit outlives the load */
    if (t->is_call)
        cpu_adjust_stack(cpu, -2 * (int64_t)item_size);
    cpu_load_segment_real(cpu, SEG_CS, t->selector);
    cpu->next_rip = t->offset;
    cpu_update_mode(cpu);
    return true;
}

/* ---- to a code segment at the present privilege ---- */

/* CODE is checked; pushes the return address for a call, loads CS and EIP. */
static bool enter_same_privilege(struct vcpu *cpu, const struct far_transfer *t, struct new_segment *code, uint32_t rip,
                                 unsigned item_size)
{
    TRY(transfer_accept_segment(cpu, code));
    if (t->is_call)
        TRY(write_return_address(cpu, item_size));
    TRY(transfer_check_rip(cpu, &code->segment, rip));
    if (t->is_call)
        cpu_adjust_stack(cpu, -2 * (int64_t)item_size);
    transfer_set_code(cpu, code, cpu_cpl(cpu));
    cpu->next_rip = rip;
    cpu_update_mode(cpu);
    return true;
}

static bool transfer_to_code(struct vcpu *cpu, const struct far_transfer *t, struct new_segment *code)
{
    unsigned cpl = cpu_cpl(cpu), dpl = descriptor_dpl(&code->descriptor);

    if (descriptor_is_conforming(&code->descriptor) ? dpl > cpl : SELECTOR_RPL(t->selector) > cpl || dpl != cpl)
        return raise_gp(cpu, t->selector);
    if (!descriptor_present(&code->descriptor))
        return raise_np(cpu, t->selector);
    return enter_same_privilege(cpu, t, code, t->offset, t->args->operand_size);
}

/* ---- call gates ---- */

/* Copies the parameters of a call through a gate from the caller's stack: into places 2 .. 2+COUNT-1 of the frame, the
 * last pushed first. */
static bool read_parameters(struct vcpu *cpu, struct stack_frame *frame, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        uint64_t value;

        TRY(cpu_peek_stack(cpu, (count - 1 - i) * frame->item_size, frame->item_size, &value));
        frame->items[2 + i] = (uint32_t)value;
    }
    return true;
}

static bool call_inner_privilege(struct vcpu *cpu, const struct descriptor *gate, struct new_segment *code)
{
    struct cpu_state *s = &cpu->state;
    unsigned level = descriptor_dpl(&code->descriptor), parameters = GATE_PARAMETERS(gate);
    struct new_segment stack;
    struct stack_frame frame;
    uint32_t esp;

    TRY(transfer_find_inner_stack(cpu, level, &stack, &esp));
    stack_frame_begin(&frame, &stack.segment, esp, gate_is_32bit(gate) ? 4 : 2, level, SELECTOR_ERROR(stack.selector));
    stack_frame_add(&frame, s->segment[SEG_SS].selector);
    stack_frame_add(&frame, (uint32_t)s->gpr[GPR_SP]);
    for (unsigned i = 0; i < parameters; i++)
        stack_frame_add(&frame, 0);
    stack_frame_add(&frame, s->segment[SEG_CS].selector);
    stack_frame_add(&frame, (uint32_t)cpu->next_rip);
    TRY(stack_frame_check_limits(cpu, &frame));
    TRY(transfer_check_rip(cpu, &code->segment, gate_offset(gate)));
    TRY(read_parameters(cpu, &frame, parameters));
    TRY(stack_frame_probe(cpu, &frame));
    TRY(transfer_accept_segment(cpu, &stack));
    TRY(transfer_accept_segment(cpu, code));
    TRY(stack_frame_write(cpu, &frame));

    s->segment[SEG_SS] = stack.segment;
    s->gpr[GPR_SP] = stack_frame_result(&frame, s->gpr[GPR_SP]);
    transfer_set_code(cpu, code, level);
    cpu->next_rip = gate_offset(gate);
    cpu_update_mode(cpu);
    return true;
}

static bool transfer_through_call_gate(struct vcpu *cpu, const struct far_transfer *t, const struct descriptor *gate)
{
    unsigned cpl = cpu_cpl(cpu), gate_dpl = descriptor_dpl(gate);
    uint16_t selector = gate_selector(gate);
    struct new_segment code;

    if (gate_dpl < cpl || gate_dpl < SELECTOR_RPL(t->selector))
        return raise_gp(cpu, t->selector);
    if (!descriptor_present(gate))
        return raise_np(cpu, t->selector);
    if (selector_is_null(selector))
        return cpu_raise_error(cpu, EXC_GP, 0);
    TRY(transfer_read_segment(cpu, selector, EXC_GP, &code));
    unsigned dpl = descriptor_dpl(&code.descriptor);
    bool conforming = descriptor_is_conforming(&code.descriptor);
    /* A jump may not change the privilege level. */
    if (!descriptor_is_code(&code.descriptor) || dpl > cpl || (!t->is_call && !conforming && dpl != cpl))
        return raise_gp(cpu, selector);
    if (!descriptor_present(&code.descriptor))
        return raise_np(cpu, selector);
    if (t->is_call && !conforming && dpl < cpl)
        return call_inner_privilege(cpu, gate, &code);
    return enter_same_privilege(cpu, t, &code, gate_offset(gate), gate_is_32bit(gate) ? 4 : 2);
}

/* ---- tasks ---- */

static bool transfer_to_task(struct vcpu *cpu, const struct far_transfer *t, uint16_t selector)
{
    struct descriptor tss;

    TRY(task_read_tss_descriptor(cpu, selector, false, EXC_GP, &tss));
    TRY(task_switch(cpu, selector, &tss, t->is_call ? TASK_NESTED : TASK_JUMP, (uint32_t)cpu->next_rip,
                    cpu_eflags(cpu)));
    return transfer_check_rip(cpu, &cpu->state.segment[SEG_CS], cpu->next_rip);
}

/* A TSS or task gate: its privilege first, as the selector that was used names it. */
static bool transfer_by_task_descriptor(struct vcpu *cpu, const struct far_transfer *t, const struct descriptor *d)
{
    unsigned dpl = descriptor_dpl(d);
    bool is_gate = descriptor_type(d) == SYSTEM_TASK_GATE;

    if (dpl < cpu_cpl(cpu) || dpl < SELECTOR_RPL(t->selector))
        return raise_gp(cpu, t->selector);
    if (is_gate && !descriptor_present(d))
        return raise_np(cpu, t->selector);
    return transfer_to_task(cpu, t, is_gate ? gate_selector(d) : t->selector);
}

static bool transfer_protected(struct vcpu *cpu, const struct far_transfer *t)
{
    struct new_segment target;

    if (selector_is_null(t->selector))
        return cpu_raise_error(cpu, EXC_GP, 0);
    TRY(transfer_read_segment(cpu, t->selector, EXC_GP, &target));
    const struct descriptor *d = &target.descriptor;
    if (descriptor_is_code(d))
        return transfer_to_code(cpu, t, &target);
    if (!descriptor_is_system(d))
        return raise_gp(cpu, t->selector);
    switch (descriptor_type(d)) {
    case SYSTEM_CALL_GATE16:
    case SYSTEM_CALL_GATE32:
        return transfer_through_call_gate(cpu, t, d);
    case SYSTEM_TASK_GATE:
    case SYSTEM_TSS16:
    case SYSTEM_TSS32:
        return transfer_by_task_descriptor(cpu, t, d);
    default:
        return raise_gp(cpu, t->selector);
    }
}

static bool far_transfer(struct vcpu *cpu, const struct callout_args *args, bool is_call)
{
    struct far_transfer t = {.args = args, .is_call = is_call};

    TRY(read_target(cpu, &t));
    return cpu_in_protected_mode(cpu) ? transfer_protected(cpu, &t) : transfer_real(cpu, &t);
}

bool callout_jmp_far(struct vcpu *cpu, const struct callout_args *args)
{
    return far_transfer(cpu, args, false);
}

bool callout_call_far(struct vcpu *cpu, const struct callout_args *args)
{
    return far_transfer(cpu, args, true);
}

/* Delivery through the IDT in protected and virtual-8086 mode: interrupt, trap and task gates
 * (Intel SDM vol. 3, 6.12; vol. 2, INT n, "PROTECTED-MODE"). The EXT bit of error codes is added by the caller. */
#include "cpu/descriptor.h"
#include "cpu/interrupt.h"
#include "cpu/segment_load.h"
#include "cpu/stack_frame.h"
#include "cpu/task.h"
#include "cpu/transfer.h"

static bool is_idt_gate(const struct descriptor *gate)
{
    static const uint16_t types = 1u << SYSTEM_TASK_GATE | 1u << SYSTEM_INTERRUPT_GATE16 | 1u << SYSTEM_TRAP_GATE16 |
                                  1u << SYSTEM_INTERRUPT_GATE32 | 1u << SYSTEM_TRAP_GATE32;

    return descriptor_is_system(gate) && (types >> descriptor_type(gate) & 1);
}

static bool gate_clears_interrupt_flag(const struct descriptor *gate)
{
    return (descriptor_type(gate) & ~SYSTEM_TYPE_32BIT) == SYSTEM_INTERRUPT_GATE16;
}

static bool deliver_through_task_gate(struct vcpu *cpu, const struct event *event, uint16_t selector)
{
    struct descriptor tss;

    TRY(task_read_tss_descriptor(cpu, selector, false, EXC_GP, &tss));
    TRY(task_switch(cpu, selector, &tss, TASK_NESTED, event->return_rip, event->eflags));
    if (event->has_error)
        TRY(cpu_push(cpu, tss_is_32bit(&cpu->state.tr) ? 4 : 2, event->error));
    return transfer_check_rip(cpu, &cpu->state.segment[SEG_CS], cpu->state.rip);
}

/* What both kinds of stack get, above it an inner stack's SS:ESP. */
static void add_return_frame(const struct vcpu *cpu, struct stack_frame *frame, const struct event *event)
{
    stack_frame_add(frame, event->eflags);
    stack_frame_add(frame, cpu->state.segment[SEG_CS].selector);
    stack_frame_add(frame, event->return_rip);
    if (event->has_error)
        stack_frame_add(frame, event->error);
}

static void enter_handler(struct vcpu *cpu, const struct descriptor *gate, const struct new_segment *code, unsigned cpl)
{
    uint32_t cleared = FLAG_TF | FLAG_NT | FLAG_RF | FLAG_VM;

    if (gate_clears_interrupt_flag(gate))
        cleared |= FLAG_IF;
    transfer_set_code(cpu, code, cpl);
    cpu->state.rip = gate_offset(gate);
    cpu_set_eflags(cpu, cpu_eflags(cpu) & ~cleared);
    cpu_update_mode(cpu);
}

static bool deliver_same_privilege(struct vcpu *cpu, const struct event *event, const struct descriptor *gate,
                                   struct new_segment *code)
{
    struct stack_frame frame;

    stack_frame_begin_here(cpu, &frame, gate_is_32bit(gate) ? 4 : 2);
    add_return_frame(cpu, &frame, event);
    TRY(stack_frame_check_limits(cpu, &frame));
    TRY(transfer_check_rip(cpu, &code->segment, gate_offset(gate)));
    TRY(stack_frame_probe(cpu, &frame));
    TRY(transfer_accept_segment(cpu, code));
    TRY(stack_frame_write(cpu, &frame));

    cpu->state.gpr[GPR_SP] = stack_frame_result(&frame, cpu->state.gpr[GPR_SP]);
    enter_handler(cpu, gate, code, cpu_cpl(cpu));
    return true;
}

static bool deliver_inner_privilege(struct vcpu *cpu, const struct event *event, const struct descriptor *gate,
                                    struct new_segment *code)
{
    static const uint8_t vm86_pushed[] = {SEG_GS, SEG_FS, SEG_DS, SEG_ES};
    struct cpu_state *s = &cpu->state;
    unsigned level = descriptor_dpl(&code->descriptor);
    bool from_vm86 = cpu_in_vm86(cpu);
    struct stack_frame frame;
    struct new_segment stack;
    uint32_t esp;

    TRY(transfer_find_inner_stack(cpu, level, &stack, &esp));
    stack_frame_begin(&frame, &stack.segment, esp, gate_is_32bit(gate) ? 4 : 2, level, SELECTOR_ERROR(stack.selector));
    if (from_vm86) {
        for (unsigned i = 0; i < ARRAY_SIZE(vm86_pushed); i++)
            stack_frame_add(&frame, s->segment[vm86_pushed[i]].selector);
    }
    stack_frame_add(&frame, s->segment[SEG_SS].selector);
    stack_frame_add(&frame, (uint32_t)s->gpr[GPR_SP]);
    add_return_frame(cpu, &frame, event);
    TRY(stack_frame_check_limits(cpu, &frame));
    TRY(transfer_check_rip(cpu, &code->segment, gate_offset(gate)));
    TRY(stack_frame_probe(cpu, &frame));
    TRY(transfer_accept_segment(cpu, &stack));
    TRY(transfer_accept_segment(cpu, code));
    TRY(stack_frame_write(cpu, &frame));

    if (from_vm86) { /* the 8086 program's selectors mean nothing here: Intel SDM vol. 3, 20.3.1 */
        for (unsigned i = 0; i < ARRAY_SIZE(vm86_pushed); i++)
            cpu_nullify_segment(&s->segment[vm86_pushed[i]], 0, 0);
    }
    s->segment[SEG_SS] = stack.segment;
    s->gpr[GPR_SP] = stack_frame_result(&frame, s->gpr[GPR_SP]);
    enter_handler(cpu, gate, code, level);
    return true;
}

static bool deliver_through_gate(struct vcpu *cpu, const struct event *event, const struct descriptor *gate)
{
    uint16_t selector = gate_selector(gate);
    struct new_segment code;

    if (selector_is_null(selector))
        return cpu_raise_error(cpu, EXC_GP, 0);
    TRY(transfer_read_segment(cpu, selector, EXC_GP, &code));
    unsigned dpl = descriptor_dpl(&code.descriptor);
    if (!descriptor_is_code(&code.descriptor) || dpl > cpu_cpl(cpu))
        return cpu_raise_error(cpu, EXC_GP, SELECTOR_ERROR(selector));
    if (!descriptor_present(&code.descriptor))
        return cpu_raise_error(cpu, EXC_NP, SELECTOR_ERROR(selector));
    if (!descriptor_is_conforming(&code.descriptor) && dpl < cpu_cpl(cpu)) {
        if (cpu_in_vm86(cpu) && dpl != 0)
            return cpu_raise_error(cpu, EXC_GP, SELECTOR_ERROR(selector));
        return deliver_inner_privilege(cpu, event, gate, &code);
    }
    if (cpu_in_vm86(cpu))
        return cpu_raise_error(cpu, EXC_GP, SELECTOR_ERROR(selector));
    return deliver_same_privilege(cpu, event, gate, &code);
}

bool interrupt_deliver_protected(struct vcpu *cpu, const struct event *event)
{
    uint32_t entry = event->vector * 8u, error = entry + 2; /* the IDT bit: Intel SDM vol. 3, 6.13 */
    struct descriptor gate;
    uint64_t value;

    if (entry + 7 > cpu->state.idtr.limit)
        return cpu_raise_error(cpu, EXC_GP, error);
    TRY(cpu_read_system(cpu, cpu->state.idtr.base + entry, 8, &value));
    gate = (struct descriptor){.low = (uint32_t)value, .high = (uint32_t)(value >> 32)};
    if (!is_idt_gate(&gate))
        return cpu_raise_error(cpu, EXC_GP, error);
    if (event->is_software && descriptor_dpl(&gate) < cpu_cpl(cpu))
        return cpu_raise_error(cpu, EXC_GP, error);
    if (!descriptor_present(&gate))
        return cpu_raise_error(cpu, EXC_NP, error);
    if (descriptor_type(&gate) == SYSTEM_TASK_GATE)
        return deliver_through_task_gate(cpu, event, gate_selector(&gate));
    return deliver_through_gate(cpu, event, &gate);
}

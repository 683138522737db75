/* Interrupts and exceptions in real mode: through the vector table at IDTR.base (Intel SDM vol. 3, 20.1.4). */
#include "cpu/interrupt.h"
#include "cpu/stack_frame.h"

bool interrupt_deliver_real(struct vcpu *cpu, const struct event *event)
{
    struct cpu_state *s = &cpu->state;
    uint32_t entry = event->vector * 4u;
    struct stack_frame frame;
    uint64_t pointer;

    if (entry + 3 > s->idtr.limit)
        return cpu_raise_error(cpu, EXC_GP, event->vector * 8u + 2);
    stack_frame_begin_here(cpu, &frame, 2);
    stack_frame_add(&frame, event->eflags);
    stack_frame_add(&frame, s->segment[SEG_CS].selector);
    stack_frame_add(&frame, event->return_rip);
    TRY(stack_frame_check_limits(cpu, &frame));
    TRY(cpu_read_system(cpu, s->idtr.base + entry, 4, &pointer));
    TRY(stack_frame_probe(cpu, &frame));
    TRY(stack_frame_write(cpu, &frame));

    /* No error code is pushed in real mode, and IP is not checked here: fetching from it is. */
    s->gpr[GPR_SP] = stack_frame_result(&frame, s->gpr[GPR_SP]);
    cpu_load_segment_real(cpu, SEG_CS, (uint16_t)(pointer >> 16));
    s->rip = pointer & 0xffff;
    cpu_set_eflags(cpu, cpu_eflags(cpu) & ~(FLAG_IF | FLAG_TF | FLAG_AC | FLAG_RF));
    cpu_update_mode(cpu);
    return true;
}

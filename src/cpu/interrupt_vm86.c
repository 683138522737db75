/* INT n in virtual-8086 mode: IOPL, and the redirection of the virtual-8086 mode extensions
 * (Intel SDM vol. 3, 20.3.3; vol. 2, INT n). */
#include "cpu/descriptor.h"
#include "cpu/interrupt.h"
#include "cpu/stack_frame.h"
#include "cpu/task.h"

#define REDIRECTION_MAP_BYTES 32

/* Whether the 32 bytes below the I/O permission map name VECTOR for the 8086 program's own handler (bit
 * clear). #GP(0) if the TSS has no such map. */
static bool read_redirection(struct vcpu *cpu, unsigned vector, bool *redirected)
{
    const struct segment *tr = &cpu->state.tr;
    uint64_t map, byte;

    if (!tss_is_32bit(tr) || tr->limit < TSS32_IO_MAP_BASE + 1)
        return cpu_raise_error(cpu, EXC_GP, 0);
    TRY(cpu_read_system(cpu, tr->base + TSS32_IO_MAP_BASE, 2, &map));
    if (map < REDIRECTION_MAP_BYTES || map - REDIRECTION_MAP_BYTES + vector / 8 > tr->limit)
        return cpu_raise_error(cpu, EXC_GP, 0);
    TRY(cpu_read_system(cpu, tr->base + map - REDIRECTION_MAP_BYTES + vector / 8, 1, &byte));
    *redirected = !(byte & (1u << (vector % 8)));
    return true;
}

static bool deliver_redirected(struct vcpu *cpu, const struct event *event, bool iopl3)
{
    struct cpu_state *s = &cpu->state;
    uint32_t image = event->eflags;
    struct stack_frame frame;
    uint64_t pointer;

    if (!iopl3) { /* the program sees its virtual interrupt flag, and the IOPL it believes to have */
        image = (image & ~FLAG_IF) | FLAG_IOPL;
        if (s->system_flags & FLAG_VIF)
            image |= FLAG_IF;
    }
    stack_frame_begin_here(cpu, &frame, 2);
    stack_frame_add(&frame, image);
    stack_frame_add(&frame, s->segment[SEG_CS].selector);
    stack_frame_add(&frame, event->return_rip);
    TRY(stack_frame_check_limits(cpu, &frame));
    TRY(cpu_read_system(cpu, event->vector * 4u, 4, &pointer));
    TRY(stack_frame_probe(cpu, &frame));
    TRY(stack_frame_write(cpu, &frame));

    s->gpr[GPR_SP] = stack_frame_result(&frame, s->gpr[GPR_SP]);
    cpu_load_segment_real(cpu, SEG_CS, (uint16_t)(pointer >> 16));
    s->rip = pointer & 0xffff;
    cpu_set_eflags(cpu, cpu_eflags(cpu) & ~(FLAG_TF | FLAG_RF | (iopl3 ? FLAG_IF : FLAG_VIF)));
    cpu_update_mode(cpu);
    return true;
}

bool interrupt_deliver_vm86_int_n(struct vcpu *cpu, const struct event *event)
{
    bool iopl3 = (cpu->state.system_flags & FLAG_IOPL) == FLAG_IOPL;
    bool redirected = false;

    if (cpu->state.cr4 & CR4_VME)
        TRY(read_redirection(cpu, event->vector, &redirected));
    if (redirected)
        return deliver_redirected(cpu, event, iopl3);
    if (!iopl3)
        return cpu_raise_error(cpu, EXC_GP, 0);
    return interrupt_deliver_protected(cpu, event);
}

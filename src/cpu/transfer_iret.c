/* IRET (Intel SDM vol. 2, IRET/IRETD): real mode, virtual-8086 mode with and without its extensions, to the same and to
 * an outer level, to virtual-8086 mode, to the previous task. */
#include "cpu/callouts.h"
#include "cpu/descriptor.h"
#include "cpu/model.h"
#include "cpu/task.h"
#include "cpu/transfer.h"

struct popped_frame {
    uint32_t rip, eflags;
    uint16_t selector;
};

static bool read_frame(struct vcpu *cpu, unsigned size, struct popped_frame *frame)
{
    uint64_t rip, selector, eflags;

    /* From the top down, which decides what CR2 names; of the selector only its own 16 bits. */
    TRY(cpu_peek_stack(cpu, 2 * size, size, &eflags));
    TRY(cpu_peek_stack(cpu, size, 2, &selector));
    TRY(cpu_peek_stack(cpu, 0, size, &rip));
    *frame = (struct popped_frame){.rip = (uint32_t)rip, .selector = (uint16_t)selector, .eflags = (uint32_t)eflags};
    return true;
}

/* Takes the bits of CHANGEABLE from IMAGE. */
static void merge_eflags(struct vcpu *cpu, uint32_t image, uint32_t changeable)
{
    changeable &= cpu->model->eflags_mask;
    cpu_set_eflags(cpu, (cpu_eflags(cpu) & ~changeable) | (image & changeable));
}

/* Bits every IRET may change. */
static uint32_t common_eflags(unsigned size)
{
    uint32_t mask = FLAG_ARITHMETIC | FLAG_TF | FLAG_DF | FLAG_NT;

    return size == 4 ? mask | FLAG_RF | FLAG_AC | FLAG_ID : mask;
}

/* ---- real and virtual-8086 mode ---- */

static bool finish_real(struct vcpu *cpu, unsigned size, const struct popped_frame *frame, uint32_t image,
                        uint32_t changeable)
{
    TRY(transfer_check_rip(cpu, &cpu->state.segment[SEG_CS], frame->rip));
    cpu_adjust_stack(cpu, 3 * (int64_t)size);
    cpu_load_segment_real(cpu, SEG_CS, frame->selector);
    cpu->next_rip = frame->rip;
    merge_eflags(cpu, image, changeable);
    cpu_update_mode(cpu);
    return true;
}

static bool return_in_real_mode(struct vcpu *cpu, unsigned size)
{
    struct popped_frame frame;

    TRY(read_frame(cpu, size, &frame));
    return finish_real(cpu, size, &frame, frame.eflags, common_eflags(size) | FLAG_IF | FLAG_IOPL);
}

/* With VME and IOPL < 3 a 16-bit IRET acts on VIF in place of IF (Intel SDM vol. 3, 20.3.3 and 20.3.2). */
static bool return_with_virtual_interrupts(struct vcpu *cpu)
{
    struct popped_frame frame;

    TRY(read_frame(cpu, 2, &frame));
    bool enables = frame.eflags & FLAG_IF;
    if ((frame.eflags & FLAG_TF) || (enables && (cpu->state.system_flags & FLAG_VIP)))
        return cpu_raise_error(cpu, EXC_GP, 0);
    return finish_real(cpu, 2, &frame, enables ? frame.eflags | FLAG_VIF : frame.eflags & ~FLAG_VIF,
                       common_eflags(2) | FLAG_VIF);
}

static bool return_in_vm86(struct vcpu *cpu, unsigned size)
{
    struct popped_frame frame;

    if ((cpu->state.system_flags & FLAG_IOPL) != FLAG_IOPL) {
        if (size == 2 && (cpu->state.cr4 & CR4_VME))
            return return_with_virtual_interrupts(cpu);
        return cpu_raise_error(cpu, EXC_GP, 0);
    }
    TRY(read_frame(cpu, size, &frame));
    return finish_real(cpu, size, &frame, frame.eflags, common_eflags(size) | FLAG_IF);
}

/* ---- protected mode ---- */

static bool return_to_previous_task(struct vcpu *cpu)
{
    struct descriptor tss;
    uint64_t link;

    TRY(cpu_read_system(cpu, cpu->state.tr.base, 2, &link));
    TRY(task_read_tss_descriptor(cpu, (uint16_t)link, true, EXC_TS, &tss));
    TRY(task_switch(cpu, (uint16_t)link, &tss, TASK_RETURN, (uint32_t)cpu->next_rip, cpu_eflags(cpu)));
    return transfer_check_rip(cpu, &cpu->state.segment[SEG_CS], cpu->next_rip);
}

static bool return_to_vm86(struct vcpu *cpu, const struct popped_frame *frame)
{
    /* From ESP + 12 up: ESP, then these. */
    static const uint8_t order[] = {SEG_SS, SEG_ES, SEG_DS, SEG_FS, SEG_GS};
    uint64_t esp, selectors[ARRAY_SIZE(order)];

    TRY(cpu_peek_stack(cpu, 12, 4, &esp));
    for (unsigned i = 0; i < ARRAY_SIZE(order); i++)
        TRY(cpu_peek_stack(cpu, 16 + 4 * i, 4, &selectors[i]));
    if (frame->rip > 0xffff) /* the limit CS is going to have */
        return cpu_raise_error(cpu, EXC_GP, 0);

    cpu_set_gpr(cpu, GPR_SP, 4, esp);
    cpu->next_rip = frame->rip;
    merge_eflags(cpu, frame->eflags, UINT32_MAX); /* VM too: the loads below are those of virtual-8086 mode */
    cpu_load_segment_real(cpu, SEG_CS, frame->selector);
    for (unsigned i = 0; i < ARRAY_SIZE(order); i++)
        cpu_load_segment_real(cpu, order[i], (uint16_t)selectors[i]);
    cpu_update_mode(cpu);
    return true;
}

/* By the privilege of the returning code, not of what it returns to. */
static uint32_t protected_eflags(const struct vcpu *cpu, unsigned size)
{
    unsigned cpl = cpu_cpl(cpu), iopl = (cpu->state.system_flags & FLAG_IOPL) >> 12;
    uint32_t mask = common_eflags(size);

    if (cpl <= iopl)
        mask |= FLAG_IF;
    if (cpl == 0)
        mask |= FLAG_IOPL | (size == 4 ? FLAG_VIF | FLAG_VIP : 0);
    return mask;
}

static bool return_protected(struct vcpu *cpu, unsigned size, const struct popped_frame *frame)
{
    uint32_t changeable = protected_eflags(cpu, size);
    struct new_segment code, stack;
    uint64_t esp, ss;

    TRY(transfer_read_return_code(cpu, frame->selector, &code));
    bool outer = SELECTOR_RPL(frame->selector) > cpu_cpl(cpu);
    if (outer) {
        TRY(cpu_peek_stack(cpu, 3 * size, size, &esp));
        TRY(cpu_peek_stack(cpu, 4 * size, size, &ss));
        TRY(transfer_read_return_stack(cpu, (uint16_t)ss, SELECTOR_RPL(frame->selector), &stack));
    }
    TRY(transfer_check_rip(cpu, &code.segment, frame->rip));
    TRY(transfer_accept_segment(cpu, &code));
    if (outer) {
        TRY(transfer_accept_segment(cpu, &stack));
        transfer_return_outer(cpu, &code, &stack, (uint32_t)esp);
    } else {
        transfer_set_code(cpu, &code, cpu_cpl(cpu));
        cpu_adjust_stack(cpu, 3 * (int64_t)size);
    }
    cpu->next_rip = frame->rip;
    merge_eflags(cpu, frame->eflags, changeable);
    cpu_update_mode(cpu);
    return true;
}

bool callout_iret(struct vcpu *cpu, const struct callout_args *args)
{
    unsigned size = args->operand_size;
    struct popped_frame frame;

    /* Even an IRET that faults ends the blocking of NMIs (Intel SDM vol. 3, 6.7.1). */
    cpu->state.nmi_blocked = false;
    if (atomic_load(&cpu->nmi_pending))
        atomic_fetch_or(&cpu->attention, ATTENTION_NMI);
    if (cpu_in_real_mode(cpu))
        return return_in_real_mode(cpu, size);
    if (cpu_in_vm86(cpu))
        return return_in_vm86(cpu, size);
    if (cpu->state.system_flags & FLAG_NT)
        return return_to_previous_task(cpu);
    TRY(read_frame(cpu, size, &frame));
    if ((frame.eflags & FLAG_VM) && cpu_cpl(cpu) == 0)
        return return_to_vm86(cpu, &frame);
    return return_protected(cpu, size, &frame);
}

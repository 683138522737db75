/* CLI, STI, PUSHF, POPF: the instructions that IOPL, virtual-8086 mode, CR4.VME and CR4.PVI bend
 * (Intel SDM vol. 2; vol. 3, 20.3 and 20.4). */
#include "cpu/callouts.h"
#include "cpu/model.h"

static unsigned iopl(const struct vcpu *cpu)
{
    return (cpu->state.system_flags & FLAG_IOPL) >> 12;
}

enum interrupt_flag_access {
    ACCESS_IF,     /* the instruction acts on IF */
    ACCESS_VIF,    /* on VIF in its place */
    ACCESS_REFUSED /* #GP(0) */
};

/* What CLI and STI act on. CPL is 0 in real mode and 3 in virtual-8086 mode. */
static enum interrupt_flag_access interrupt_flag_access(const struct vcpu *cpu)
{
    unsigned virtual_interrupts = cpu_in_vm86(cpu) ? CR4_VME : CR4_PVI;

    if (iopl(cpu) >= cpu_cpl(cpu))
        return ACCESS_IF;
    return cpu_cpl(cpu) == 3 && (cpu->state.cr4 & virtual_interrupts) ? ACCESS_VIF : ACCESS_REFUSED;
}

bool callout_cli(struct vcpu *cpu, const struct callout_args *args)
{
    switch (interrupt_flag_access(cpu)) {
    case ACCESS_IF:
        cpu->state.system_flags &= ~FLAG_IF;
        return true;
    case ACCESS_VIF:
        cpu->state.system_flags &= ~FLAG_VIF;
        return true;
    default:
        return cpu_raise_error(cpu, EXC_GP, 0);
    }
}

bool callout_sti_before_another(struct vcpu *cpu, const struct callout_args *args)
{
    switch (interrupt_flag_access(cpu)) {
    case ACCESS_IF:
        if (!(cpu->state.system_flags & FLAG_IF)) {
            cpu->state.system_flags |= FLAG_IF;
            cpu->state.interrupt_shadow |= INHIBIT_STI;
            /* Not cpu_post_attention(): nobody has to be woken, this thread asks itself. */
            if (cpu->interrupt_line)
                atomic_fetch_or(&cpu->attention, ATTENTION_INTERRUPT);
        }
        return true;
    case ACCESS_VIF:
        /* The monitor has an interrupt waiting for this moment. */
        if (cpu->state.system_flags & FLAG_VIP)
            return cpu_raise_error(cpu, EXC_GP, 0);
        cpu->state.system_flags |= FLAG_VIF;
        return true;
    default:
        return cpu_raise_error(cpu, EXC_GP, 0);
    }
}

bool callout_sti(struct vcpu *cpu, const struct callout_args *args)
{
    TRY(callout_sti_before_another(cpu, args));
    if (cpu->state.interrupt_shadow)
        atomic_fetch_or(&cpu->attention, ATTENTION_EVENT);
    return true;
}

bool callout_pushf(struct vcpu *cpu, const struct callout_args *args)
{
    uint32_t image = cpu_eflags(cpu) & ~(FLAG_VM | FLAG_RF);

    if (cpu_in_vm86(cpu) && iopl(cpu) < 3) {
        if (!(cpu->state.cr4 & CR4_VME) || args->operand_size != 2)
            return cpu_raise_error(cpu, EXC_GP, 0);
        /* The program sees VIF as its IF, and an IOPL of 3. */
        image |= FLAG_IOPL;
        image = image & FLAG_VIF ? image | FLAG_IF : image & ~FLAG_IF;
    }
    return cpu_push(cpu, args->operand_size, args->operand_size == 2 ? (uint16_t)image : image);
}

bool callout_popf(struct vcpu *cpu, const struct callout_args *args)
{
    uint32_t old = cpu_eflags(cpu);
    /* VM, VIF and VIP never change; RF ends up 0 because every instruction that completes clears it. */
    uint32_t changeable = FLAG_ARITHMETIC | FLAG_TF | FLAG_DF | FLAG_NT;
    uint64_t image;
    bool virtual_interrupts = false;

    if (cpu_in_vm86(cpu)) {
        if (iopl(cpu) == 3) {
            changeable |= FLAG_IF;
        } else if (args->operand_size == 2 && (cpu->state.cr4 & CR4_VME)) {
            virtual_interrupts = true;
        } else {
            return cpu_raise_error(cpu, EXC_GP, 0);
        }
    } else {
        if (cpu_cpl(cpu) == 0)
            changeable |= FLAG_IOPL;
        if (cpu_cpl(cpu) <= iopl(cpu))
            changeable |= FLAG_IF;
    }
    changeable |= args->operand_size == 2 ? 0 : FLAG_AC | FLAG_ID;
    changeable &= cpu->model->eflags_mask;

    TRY(cpu_peek_stack(cpu, 0, args->operand_size, &image));
    if (virtual_interrupts) {
        if ((image & FLAG_TF) || ((image & FLAG_IF) && (old & FLAG_VIP)))
            return cpu_raise_error(cpu, EXC_GP, 0);
        old = image & FLAG_IF ? old | FLAG_VIF : old & ~FLAG_VIF;
    }
    cpu_adjust_stack(cpu, args->operand_size);
    cpu_set_eflags(cpu, ((old & ~changeable) | ((uint32_t)image & changeable)) & ~FLAG_RF);
    return true;
}

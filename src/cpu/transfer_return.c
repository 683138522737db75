/* Far RET (Intel SDM vol. 2, RET). */
#include "cpu/callouts.h"
#include "cpu/descriptor.h"
#include "cpu/transfer.h"

static bool return_to_outer_level(struct vcpu *cpu, const struct callout_args *args, struct new_segment *code,
                                  uint32_t rip)
{
    unsigned size = args->operand_size, released = (uint16_t)args->immediate;
    struct new_segment stack;
    uint64_t esp, ss;

    TRY(cpu_peek_stack(cpu, 2 * size + released, size, &esp));
    TRY(cpu_peek_stack(cpu, 3 * size + released, size, &ss));
    TRY(transfer_read_return_stack(cpu, (uint16_t)ss, SELECTOR_RPL(code->selector), &stack));
    TRY(transfer_check_rip(cpu, &code->segment, rip));
    TRY(transfer_accept_segment(cpu, code));
    TRY(transfer_accept_segment(cpu, &stack));

    transfer_return_outer(cpu, code, &stack, (uint32_t)esp);
    cpu_adjust_stack(cpu, released); /* the parameters are on the caller's stack too */
    cpu->next_rip = rip;
    return true;
}

static bool return_protected(struct vcpu *cpu, const struct callout_args *args, uint32_t rip, uint16_t selector)
{
    struct new_segment code;

    TRY(transfer_read_return_code(cpu, selector, &code));
    if (SELECTOR_RPL(selector) > cpu_cpl(cpu))
        return return_to_outer_level(cpu, args, &code, rip);
    TRY(transfer_check_rip(cpu, &code.segment, rip));
    TRY(transfer_accept_segment(cpu, &code));

    cpu_adjust_stack(cpu, 2 * args->operand_size + (uint16_t)args->immediate);
    transfer_set_code(cpu, &code, cpu_cpl(cpu));
    cpu->next_rip = rip;
    cpu_update_mode(cpu);
    return true;
}

bool callout_ret_far(struct vcpu *cpu, const struct callout_args *args)
{
    unsigned size = args->operand_size;
    uint64_t rip, selector;

    /* The selector is read first, and only its own 16 bits. */
    TRY(cpu_peek_stack(cpu, size, 2, &selector));
    TRY(cpu_peek_stack(cpu, 0, size, &rip));
    if (cpu_in_protected_mode(cpu))
        return return_protected(cpu, args, (uint32_t)rip, (uint16_t)selector);

    TRY(transfer_check_rip(cpu, &cpu->state.segment[SEG_CS], rip));
    cpu_adjust_stack(cpu, 2 * size + (uint16_t)args->immediate);
    cpu_load_segment_real(cpu, SEG_CS, (uint16_t)selector);
    cpu->next_rip = rip;
    cpu_update_mode(cpu);
    return true;
}

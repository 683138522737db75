/* Shared pieces of far transfers. */
#include "cpu/transfer.h"

#include "cpu/callout.h"
#include "cpu/descriptor.h"
#include "cpu/segment_load.h"
#include "cpu/task.h"

bool transfer_read_segment(struct vcpu *cpu, uint16_t selector, enum exception_vector exception,
                           struct new_segment *out)
{
    out->selector = selector;
    TRY(cpu_read_descriptor(cpu, selector, exception, &out->descriptor));
    cpu_segment_from_descriptor(cpu, &out->segment, selector, &out->descriptor);
    return true;
}

bool transfer_accept_segment(struct vcpu *cpu, struct new_segment *segment)
{
    TRY(cpu_set_descriptor_accessed(cpu, segment->selector, &segment->descriptor));
    segment->segment.attributes |= SEGMENT_ACCESSED;
    return true;
}

bool transfer_check_rip(struct vcpu *cpu, const struct segment *code, uint64_t rip)
{
    return rip <= code->limit || cpu_raise_error(cpu, EXC_GP, 0);
}

void transfer_set_code(struct vcpu *cpu, const struct new_segment *code, unsigned cpl)
{
    cpu->state.segment[SEG_CS] = code->segment;
    cpu->state.segment[SEG_CS].selector = (uint16_t)((code->selector & ~3u) | cpl);
}

bool transfer_find_inner_stack(struct vcpu *cpu, unsigned level, struct new_segment *stack, uint32_t *esp)
{
    uint16_t selector;

    TRY(task_read_inner_stack(cpu, level, &selector, esp));
    if (selector_is_null(selector))
        return cpu_raise_error(cpu, EXC_TS, 0);
    TRY(transfer_read_segment(cpu, selector, EXC_TS, stack));
    return cpu_check_stack_descriptor(cpu, selector, &stack->descriptor, level, EXC_TS);
}

bool transfer_read_return_code(struct vcpu *cpu, uint16_t selector, struct new_segment *code)
{
    const struct descriptor *d = &code->descriptor;
    unsigned rpl = SELECTOR_RPL(selector);

    if (selector_is_null(selector))
        return cpu_raise_error(cpu, EXC_GP, 0);
    TRY(transfer_read_segment(cpu, selector, EXC_GP, code));
    if (!descriptor_is_code(d) || rpl < cpu_cpl(cpu) ||
        (descriptor_is_conforming(d) ? descriptor_dpl(d) > rpl : descriptor_dpl(d) != rpl))
        return cpu_raise_error(cpu, EXC_GP, SELECTOR_ERROR(selector));
    if (!descriptor_present(d))
        return cpu_raise_error(cpu, EXC_NP, SELECTOR_ERROR(selector));
    return true;
}

bool transfer_read_return_stack(struct vcpu *cpu, uint16_t selector, unsigned level, struct new_segment *stack)
{
    if (selector_is_null(selector))
        return cpu_raise_error(cpu, EXC_GP, 0);
    TRY(transfer_read_segment(cpu, selector, EXC_GP, stack));
    return cpu_check_stack_descriptor(cpu, selector, &stack->descriptor, level, EXC_GP);
}

/* Null selectors have DPL 0 in their hidden part and lose their RPL here, as on processors. */
static void unload_inner_data_segments(struct vcpu *cpu, unsigned cpl)
{
    static const uint8_t data_segments[] = {SEG_ES, SEG_DS, SEG_FS, SEG_GS};

    for (unsigned i = 0; i < ARRAY_SIZE(data_segments); i++) {
        struct segment *s = &cpu->state.segment[data_segments[i]];
        bool conforming =
            (s->attributes & (SEGMENT_CODE | SEGMENT_EXPAND_DOWN)) == (SEGMENT_CODE | SEGMENT_EXPAND_DOWN);

        if (!conforming && SEGMENT_DPL(s) < cpl)
            cpu_nullify_segment(s, 0, 0);
    }
}

void transfer_return_outer(struct vcpu *cpu, const struct new_segment *code, const struct new_segment *stack,
                           uint32_t esp)
{
    unsigned cpl = SELECTOR_RPL(code->selector);

    transfer_set_code(cpu, code, cpl);
    cpu->state.segment[SEG_SS] = stack->segment;
    /* A 16-bit stack takes only SP; the upper half of ESP stays as it was at the inner level. */
    cpu_set_gpr(cpu, GPR_SP, stack->segment.attributes & SEGMENT_DB ? 4 : 2, esp);
    unload_inner_data_segments(cpu, cpl);
    cpu_update_mode(cpu);
}

/* Loading segment registers, LDTR and TR (Intel SDM vol. 2, MOV, LLDT, LTR; vol. 3, 3.4.3, 5.6, 5.7). */
#include "cpu/segment_load.h"
#include "cpu/descriptor.h"

void cpu_load_segment_real(struct vcpu *cpu, unsigned seg, uint16_t selector)
{
    struct segment *s = &cpu->state.segment[seg];

    s->selector = selector;
    s->base = (uint32_t)selector << 4;
    if (cpu->state.system_flags & FLAG_VM) { /* Intel SDM vol. 3, 20.2.1 */
        s->limit = 0xffff;
        s->attributes = ATTRIBUTES_VM86;
    } else if (seg == SEG_CS || (s->attributes & (SEGMENT_P | SEGMENT_S)) != (SEGMENT_P | SEGMENT_S)) {
        /* Real mode replaces the access rights of CS (it becomes writable) and of what a null selector
         * made unusable; limit, D/B and G stay. */
        s->attributes = (uint16_t)((s->attributes & (SEGMENT_DB | SEGMENT_G)) | ATTRIBUTES_REAL_DATA);
    } else {
        /* The other segments keep their access rights as well, but their privilege is that of real mode. */
        s->attributes &= (uint16_t) ~(3u << SEGMENT_DPL_SHIFT);
    }
    cpu_update_segment_ends(cpu, s);
}

void cpu_nullify_segment(struct segment *segment, uint16_t selector, unsigned dpl)
{
    segment->selector = selector;
    segment->base = 0;
    segment->attributes = (uint16_t)(dpl << SEGMENT_DPL_SHIFT);
    segment->read_end = segment->write_end = 0;
}

static void update_mode(struct vcpu *cpu, unsigned seg)
{
    if (seg == SEG_SS)
        cpu_update_mode(cpu);
    else
        cpu_update_data_segment(cpu, seg);
}

static bool load_protected(struct vcpu *cpu, unsigned seg, uint16_t selector)
{
    struct descriptor descriptor;
    struct segment loaded;

    if (selector_is_null(selector)) {
        if (seg == SEG_SS)
            return cpu_raise_error(cpu, EXC_GP, 0);
        cpu_nullify_segment(&cpu->state.segment[seg], selector, 0);
        update_mode(cpu, seg);
        return true;
    }
    TRY(cpu_read_descriptor(cpu, selector, EXC_GP, &descriptor));
    struct segment_memo *memo = &cpu->segment_memo[selector >> 3 & (SEGMENT_MEMOS - 1)];
    uint64_t key = SEGMENT_MEMO_VALID | cpu_cpl(cpu) << 16 | selector;
    if (seg != SEG_SS && memo->key == key && memo->low == descriptor.low && memo->high == descriptor.high) {
        cpu->state.segment[seg] = memo->loaded;
        cpu_set_data_shape(cpu, seg, memo->shape);
        return true;
    }
    TRY(seg == SEG_SS ? cpu_check_stack_descriptor(cpu, selector, &descriptor, cpu_cpl(cpu), EXC_GP)
                      : cpu_check_data_descriptor(cpu, selector, &descriptor, cpu_cpl(cpu), EXC_GP));
    TRY(cpu_set_descriptor_accessed(cpu, selector, &descriptor));
    cpu_segment_from_descriptor(cpu, &loaded, selector, &descriptor);
    cpu->state.segment[seg] = loaded;
    update_mode(cpu, seg);
    if (seg != SEG_SS)
        *memo = (struct segment_memo){key, descriptor.low, descriptor.high, MODE_SHAPE(cpu->mode, seg), loaded};
    return true;
}

bool cpu_check_stack_descriptor(struct vcpu *cpu, uint16_t selector, const struct descriptor *descriptor, unsigned cpl,
                                enum exception_vector exception)
{
    if (SELECTOR_RPL(selector) != cpl || !descriptor_is_writable_data(descriptor) || descriptor_dpl(descriptor) != cpl)
        return cpu_raise_error(cpu, exception, SELECTOR_ERROR(selector));
    if (!descriptor_present(descriptor))
        return cpu_raise_error(cpu, EXC_SS, SELECTOR_ERROR(selector));
    return true;
}

bool cpu_check_data_descriptor(struct vcpu *cpu, uint16_t selector, const struct descriptor *descriptor, unsigned cpl,
                               enum exception_vector exception)
{
    unsigned dpl = descriptor_dpl(descriptor);

    if (!descriptor_is_readable(descriptor) ||
        (!descriptor_is_conforming(descriptor) && (SELECTOR_RPL(selector) > dpl || cpl > dpl)))
        return cpu_raise_error(cpu, exception, SELECTOR_ERROR(selector));
    if (!descriptor_present(descriptor))
        return cpu_raise_error(cpu, EXC_NP, SELECTOR_ERROR(selector));
    return true;
}

bool cpu_load_segment(struct vcpu *cpu, unsigned seg, uint16_t selector)
{
    if (cpu_in_protected_mode(cpu))
        return load_protected(cpu, seg, selector);
    cpu_load_segment_real(cpu, seg, selector);
    update_mode(cpu, seg);
    return true;
}

bool cpu_check_ldt(struct vcpu *cpu, uint16_t selector, enum exception_vector invalid, enum exception_vector absent,
                   struct segment *loaded)
{
    struct descriptor descriptor;

    if (selector_is_null(selector)) {
        *loaded = cpu->state.ldtr;
        cpu_nullify_segment(loaded, selector, 0);
        return true;
    }
    if (selector & SELECTOR_TI)
        return cpu_raise_error(cpu, invalid, SELECTOR_ERROR(selector));
    TRY(cpu_read_descriptor(cpu, selector, invalid, &descriptor));
    if (!descriptor_is_system(&descriptor) || descriptor_type(&descriptor) != SYSTEM_LDT)
        return cpu_raise_error(cpu, invalid, SELECTOR_ERROR(selector));
    if (!descriptor_present(&descriptor))
        return cpu_raise_error(cpu, absent, SELECTOR_ERROR(selector));
    cpu_segment_from_descriptor(cpu, loaded, selector, &descriptor);
    return true;
}

bool cpu_load_ldtr(struct vcpu *cpu, uint16_t selector)
{
    struct segment loaded;

    TRY(cpu_check_ldt(cpu, selector, EXC_GP, EXC_NP, &loaded));
    cpu->state.ldtr = loaded;
    return true;
}

bool cpu_load_tr(struct vcpu *cpu, uint16_t selector)
{
    struct descriptor descriptor;

    if (selector_is_null(selector))
        return cpu_raise_error(cpu, EXC_GP, 0);
    if (selector & SELECTOR_TI)
        return cpu_raise_error(cpu, EXC_GP, SELECTOR_ERROR(selector));
    TRY(cpu_read_descriptor(cpu, selector, EXC_GP, &descriptor));
    if (!descriptor_is_available_tss(&descriptor))
        return cpu_raise_error(cpu, EXC_GP, SELECTOR_ERROR(selector));
    if (!descriptor_present(&descriptor))
        return cpu_raise_error(cpu, EXC_NP, SELECTOR_ERROR(selector));
    descriptor.high |= DESCRIPTOR_HIGH_BUSY;
    TRY(cpu_write_system(cpu, descriptor_address(cpu, selector) + 4, 4, descriptor.high));
    cpu_segment_from_descriptor(cpu, &cpu->state.tr, selector, &descriptor);
    return true;
}

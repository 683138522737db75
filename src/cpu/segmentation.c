/* Descriptor tables and the checks of logical addresses (Intel SDM vol. 3, 3.4 and 5.2 to 5.4). */
#include "cpu/segmentation.h"

#include "cpu/descriptor.h"

bool cpu_read_descriptor(struct vcpu *cpu, uint16_t selector, enum exception_vector exception, struct descriptor *out)
{
    uint32_t limit = cpu->state.gdtr.limit;
    uint64_t value;

    if (selector & SELECTOR_TI) {
        if (!(cpu->state.ldtr.attributes & SEGMENT_P))
            return cpu_raise_error(cpu, exception, SELECTOR_ERROR(selector));
        limit = cpu->state.ldtr.limit;
    }
    if ((selector | 7u) > limit)
        return cpu_raise_error(cpu, exception, SELECTOR_ERROR(selector));
    TRY(cpu_read_system(cpu, descriptor_address(cpu, selector), 8, &value));
    out->low = (uint32_t)value;
    out->high = (uint32_t)(value >> 32);
    return true;
}

void cpu_segment_from_descriptor(const struct vcpu *cpu, struct segment *segment, uint16_t selector,
                                 const struct descriptor *descriptor)
{
    segment->selector = selector;
    segment->base = descriptor_base(descriptor);
    segment->limit = descriptor_limit(descriptor);
    segment->attributes = descriptor_attributes(descriptor);
    cpu_update_segment_ends(cpu, segment);
}

bool cpu_set_descriptor_accessed(struct vcpu *cpu, uint16_t selector, struct descriptor *descriptor)
{
    if (descriptor->high & DESCRIPTOR_HIGH_ACCESSED)
        return true;
    TRY(cpu_write_system(cpu, descriptor_address(cpu, selector) + 4, 4, descriptor->high | DESCRIPTOR_HIGH_ACCESSED));
    descriptor->high |= DESCRIPTOR_HIGH_ACCESSED;
    return true;
}

/* ---- limit checks, Intel SDM vol. 3, 5.3 ---- */

static bool fault_of_segment(struct vcpu *cpu, unsigned seg)
{
    return cpu_raise_error(cpu, seg == SEG_SS ? EXC_SS : EXC_GP, 0);
}

/* An access beyond offset FFFFFFFFh wraps, as flat segments do in both engines: for them the manual
 * leaves the outcome to the implementation (Intel SDM vol. 3, 5.3). */
static bool within_limit(const struct segment *s, uint32_t offset, unsigned size)
{
    uint64_t last = (uint64_t)offset + size - 1;

    if ((s->attributes & (SEGMENT_CODE | SEGMENT_EXPAND_DOWN)) == SEGMENT_EXPAND_DOWN)
        return offset > s->limit && last <= (s->attributes & SEGMENT_DB ? 0xffffffffu : 0xffffu);
    return last <= s->limit || s->limit == 0xffffffffu;
}

static bool check_segment(struct vcpu *cpu, unsigned seg, uint64_t offset, unsigned size, bool allowed,
                          uint64_t *linear)
{
    const struct segment *s = &cpu->state.segment[seg];

    if (!allowed || !within_limit(s, (uint32_t)offset, size))
        return fault_of_segment(cpu, seg);
    *linear = (uint32_t)(s->base + offset);
    return true;
}

bool cpu_check_segment_read(struct vcpu *cpu, unsigned seg, uint64_t offset, unsigned size, uint64_t *linear)
{
    const struct segment *s = &cpu->state.segment[seg];

    offset = (uint32_t)offset;
    if (likely(offset + size <= s->read_end)) {
        *linear = (uint32_t)(s->base + offset);
        return true;
    }
    bool usable = (s->attributes & (SEGMENT_P | SEGMENT_S)) == (SEGMENT_P | SEGMENT_S);
    bool execute_only = (s->attributes & (SEGMENT_CODE | SEGMENT_WRITABLE)) == SEGMENT_CODE;
    return check_segment(cpu, seg, offset, size, usable && (!execute_only || cpu_in_real_mode(cpu)), linear);
}

bool cpu_check_segment_write(struct vcpu *cpu, unsigned seg, uint64_t offset, unsigned size, uint64_t *linear)
{
    const struct segment *s = &cpu->state.segment[seg];

    offset = (uint32_t)offset;
    if (likely(offset + size <= s->write_end)) {
        *linear = (uint32_t)(s->base + offset);
        return true;
    }
    bool usable = (s->attributes & (SEGMENT_P | SEGMENT_S)) == (SEGMENT_P | SEGMENT_S);
    bool writable = (s->attributes & (SEGMENT_CODE | SEGMENT_WRITABLE)) == SEGMENT_WRITABLE;
    /* In real mode code may be written through CS until a far transfer replaces what protected mode left there. */
    if ((s->attributes & SEGMENT_CODE) && cpu_in_real_mode(cpu))
        writable = true;
    return check_segment(cpu, seg, offset, size, usable && writable, linear);
}

bool cpu_check_segment_limit(struct vcpu *cpu, unsigned seg, uint64_t offset, unsigned size, uint64_t *linear)
{
    bool usable = (cpu->state.segment[seg].attributes & (SEGMENT_P | SEGMENT_S)) == (SEGMENT_P | SEGMENT_S);

    return check_segment(cpu, seg, (uint32_t)offset, size, usable, linear);
}

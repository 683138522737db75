/* Pushes checked as a whole. */
#include "cpu/stack_frame.h"

#include "cpu/descriptor.h"
#include "mmu/access.h"

void stack_frame_begin(struct stack_frame *frame, const struct segment *stack, uint64_t pointer, unsigned item_size,
                       unsigned cpl, uint16_t error)
{
    frame->stack = *stack;
    frame->mask = stack->attributes & SEGMENT_DB ? 0xffffffffu : 0xffffu;
    frame->old_pointer = pointer;
    frame->pointer = pointer & frame->mask;
    frame->item_size = item_size;
    frame->cpl = cpl;
    frame->error = error;
    frame->count = 0;
}

void stack_frame_begin_here(struct vcpu *cpu, struct stack_frame *frame, unsigned item_size)
{
    stack_frame_begin(frame, &cpu->state.segment[SEG_SS], cpu->state.gpr[GPR_SP], item_size, cpu_cpl(cpu), 0);
}

void stack_frame_add(struct stack_frame *frame, uint32_t value)
{
    frame->pointer = (frame->pointer - frame->item_size) & frame->mask;
    frame->items[frame->count++] = value;
}

static uint64_t offset_of_item(const struct stack_frame *frame, unsigned index)
{
    return (frame->old_pointer - (uint64_t)(index + 1) * frame->item_size) & frame->mask;
}

static uint64_t linear_of_item(const struct stack_frame *frame, unsigned index)
{
    return (uint32_t)(frame->stack.base + offset_of_item(frame, index));
}

/* The common case: the frame does not wrap, so that one check covers it. */
static bool is_contiguous(const struct stack_frame *frame)
{
    return frame->count && frame->pointer < (frame->old_pointer & frame->mask);
}

static bool offset_within_limit(const struct segment *stack, uint64_t mask, uint64_t offset, unsigned size)
{
    if ((stack->attributes & (SEGMENT_CODE | SEGMENT_EXPAND_DOWN)) == SEGMENT_EXPAND_DOWN)
        return offset > stack->limit && offset + size - 1 <= mask;
    return offset + size - 1 <= stack->limit || stack->limit == 0xffffffffu;
}

bool stack_frame_check_limits(struct vcpu *cpu, const struct stack_frame *frame)
{
    if (is_contiguous(frame)) {
        if (offset_within_limit(&frame->stack, frame->mask, frame->pointer, frame->count * frame->item_size))
            return true;
        return cpu_raise_error(cpu, EXC_SS, frame->error);
    }
    for (unsigned i = 0; i < frame->count; i++) {
        if (!offset_within_limit(&frame->stack, frame->mask, offset_of_item(frame, i), frame->item_size))
            return cpu_raise_error(cpu, EXC_SS, frame->error);
    }
    return true;
}

/* Pushes at CPL 3 are ordinary user accesses; at an inner level, perhaps one not yet in force, they
 * have supervisor rights and are exempt from alignment checks. */
static bool probe(struct vcpu *cpu, const struct stack_frame *frame, uint64_t linear, unsigned size)
{
    return frame->cpl == 3 ? mmu_probe(&cpu->mmu, linear, size, MMU_WRITE)
                           : mmu_probe_system(&cpu->mmu, linear, size, MMU_WRITE);
}

bool stack_frame_probe(struct vcpu *cpu, const struct stack_frame *frame)
{
    if (is_contiguous(frame) &&
        probe(cpu, frame, (uint32_t)(frame->stack.base + frame->pointer), frame->count * frame->item_size))
        return true;
    /* In the order of the pushes, so that CR2 names the first that fails. */
    for (unsigned i = 0; i < frame->count; i++) {
        if (!probe(cpu, frame, linear_of_item(frame, i), frame->item_size))
            return cpu_raise_memory_fault(cpu);
    }
    return true;
}

bool stack_frame_write(struct vcpu *cpu, const struct stack_frame *frame)
{
    for (unsigned i = 0; i < frame->count; i++) {
        uint64_t linear = linear_of_item(frame, i);
        bool ok;

        if (frame->cpl != 3)
            ok = mmu_write_system(&cpu->mmu, linear, frame->item_size, frame->items[i]);
        else if (frame->item_size == 4)
            ok = mmu_write32(&cpu->mmu, linear, frame->items[i]);
        else
            ok = mmu_write16(&cpu->mmu, linear, (uint16_t)frame->items[i]);
        if (!ok)
            return cpu_raise_memory_fault(cpu);
    }
    return true;
}

uint64_t stack_frame_result(const struct stack_frame *frame, uint64_t from)
{
    return (uint32_t)((from & ~frame->mask) | frame->pointer);
}

/* ENTER (Intel SDM vol. 2, ENTER). */
#include "cpu/callouts.h"
#include "cpu/stack_frame.h"

/* Bytes of the item at offset AT that pushes of this very instruction have replaced. */
static uint64_t see_pushes(const struct stack_frame *frame, uint64_t at, uint64_t value)
{
    for (unsigned i = 0; i < frame->item_size; i++) {
        uint64_t below = (frame->old_pointer - (at + i)) & frame->mask; /* bytes below the old stack pointer */

        if (below == 0 || below > (uint64_t)frame->count * frame->item_size)
            continue;
        unsigned item = (unsigned)(below - 1) / frame->item_size;
        unsigned byte = (item + 1) * frame->item_size - (unsigned)below;

        value &= ~(0xffull << (8 * i));
        value |= (uint64_t)(frame->items[item] >> (8 * byte) & 0xff) << (8 * i);
    }
    return value;
}

/* Copies the pointers of the enclosing frames: LEVEL - 1 items below (E)BP. Memory changes only after all are read, so
 * that what a push would have changed before a later read is taken from the frame. */
static bool copy_display(struct vcpu *cpu, struct stack_frame *frame, unsigned level)
{
    uint64_t bp = cpu->state.gpr[GPR_BP];

    for (unsigned i = 1; i < level; i++) {
        uint64_t at = (bp - (uint64_t)i * frame->item_size) & frame->mask;
        uint64_t value;

        TRY(cpu_read_data(cpu, SEG_SS, at, frame->item_size, &value));
        stack_frame_add(frame, (uint32_t)see_pushes(frame, at, value));
    }
    return true;
}

bool callout_enter(struct vcpu *cpu, const struct callout_args *args)
{
    unsigned size = args->operand_size, level = args->immediate2 & 31;
    struct stack_frame frame;

    stack_frame_begin_here(cpu, &frame, size);
    stack_frame_add(&frame, (uint32_t)cpu->state.gpr[GPR_BP]);
    uint64_t frame_pointer = stack_frame_result(&frame, cpu->state.gpr[GPR_SP]);
    if (level) {
        TRY(copy_display(cpu, &frame, level));
        stack_frame_add(&frame, (uint32_t)frame_pointer);
    }
    TRY(stack_frame_check_limits(cpu, &frame));
    TRY(stack_frame_probe(cpu, &frame));
    /* The final stack pointer must be good for a write, though none is made. */
    uint64_t final = (frame.pointer - (uint16_t)args->immediate) & frame.mask;
    TRY(cpu_probe_data(cpu, SEG_SS, final, size, MMU_WRITE));
    TRY(stack_frame_write(cpu, &frame));

    cpu_set_gpr(cpu, GPR_BP, size, frame_pointer);
    cpu_set_gpr(cpu, GPR_SP, cpu->mode & MODE_SS_B ? 4 : 2, final);
    return true;
}

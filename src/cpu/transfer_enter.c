/* ENTER (Intel SDM vol. 2, ENTER). */
#include "cpu/callouts.h"

/* Pushes as they come: each is in memory before what follows is read or checked, and stays there when a later step
 * faults. (E)SP and (E)BP change only at the end. */
struct enter_pushes {
    uint64_t pointer, mask;
    unsigned size;
};

static bool push(struct vcpu *cpu, struct enter_pushes *pushes, uint64_t value)
{
    uint64_t at = (pushes->pointer - pushes->size) & pushes->mask;

    TRY(cpu_write_data(cpu, SEG_SS, at, pushes->size, value));
    pushes->pointer = at;
    return true;
}

/* Copies the pointers of the enclosing frames: LEVEL - 1 items below (E)BP. */
static bool copy_display(struct vcpu *cpu, struct enter_pushes *pushes, unsigned level)
{
    uint64_t bp = cpu->state.gpr[GPR_BP];

    for (unsigned i = 1; i < level; i++) {
        uint64_t value;

        TRY(cpu_read_data(cpu, SEG_SS, (bp - (uint64_t)i * pushes->size) & pushes->mask, pushes->size, &value));
        TRY(push(cpu, pushes, value));
    }
    return true;
}

/* The final stack pointer must be good for a write, though none is made: limit, then alignment, then paging. */
static bool check_final_pointer(struct vcpu *cpu, uint64_t pointer, unsigned size)
{
    uint64_t linear;

    TRY(cpu_check_segment_write(cpu, SEG_SS, pointer, size, &linear));
    if (cpu->mmu.alignment_check && (linear & (size - 1)))
        return cpu_raise_error(cpu, EXC_AC, 0);
    return cpu_probe_data(cpu, SEG_SS, pointer, size, MMU_WRITE);
}

bool callout_enter(struct vcpu *cpu, const struct callout_args *args)
{
    unsigned size = args->operand_size, level = args->immediate2 & 31;
    uint64_t mask = cpu_stack_mask(cpu), esp = cpu->state.gpr[GPR_SP];
    struct enter_pushes pushes = {.pointer = esp & mask, .mask = mask, .size = size};

    TRY(push(cpu, &pushes, cpu->state.gpr[GPR_BP]));
    uint64_t frame_pointer = (uint32_t)(esp - size); /* borrows from bits 31:16 even where a 16-bit stack wraps */
    if (level) {
        TRY(copy_display(cpu, &pushes, level));
        TRY(push(cpu, &pushes, frame_pointer));
    }
    uint64_t final = (pushes.pointer - (uint16_t)args->immediate) & mask;
    TRY(check_final_pointer(cpu, final, size));

    cpu_set_gpr(cpu, GPR_BP, size, frame_pointer);
    cpu_set_gpr(cpu, GPR_SP, mask == 0xffff ? 2 : 4, final);
    return true;
}

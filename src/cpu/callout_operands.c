/* The r/m operand of callouts. */
#include "cpu/callout.h"

bool callout_read_rm(struct vcpu *cpu, const struct callout_args *args, unsigned size, uint64_t *value)
{
    if (args->memory)
        return cpu_read_data(cpu, args->segment, args->offset, size, value);
    *value = args->rm_high && size == 1 ? cpu->state.gpr[args->rm] >> 8 & 0xff : cpu_get_gpr(cpu, args->rm, size);
    return true;
}

bool callout_write_rm(struct vcpu *cpu, const struct callout_args *args, unsigned size, uint64_t value)
{
    if (args->memory)
        return cpu_write_data(cpu, args->segment, args->offset, size, value);
    if (args->rm_high && size == 1)
        cpu->state.gpr[args->rm] = (cpu->state.gpr[args->rm] & ~0xff00ull) | (value & 0xff) << 8;
    else
        cpu_set_gpr(cpu, args->rm, size, value);
    return true;
}

bool callout_read_far_pointer(struct vcpu *cpu, const struct callout_args *args, uint64_t *offset, uint64_t *selector)
{
    unsigned size = args->operand_size;

    TRY(cpu_read_data(cpu, args->segment, args->offset, size, offset));
    return cpu_read_data(cpu, args->segment, callout_offset_behind(args, size), 2, selector);
}

/* Instructions that raise interrupts: INT n, INT3, INTO, INT1, BOUND (Intel SDM vol. 2). */
#include "cpu/callouts.h"
#include "cpu/interrupt.h"

static bool software_interrupt(struct vcpu *cpu, uint8_t vector, enum interrupt_source source)
{
    TRY(interrupt_deliver_software(cpu, vector, source, cpu->next_rip));
    cpu->next_rip = cpu->state.rip;
    return true;
}

bool callout_int_n(struct vcpu *cpu, const struct callout_args *args)
{
    return software_interrupt(cpu, (uint8_t)args->immediate, INTERRUPT_SOFTWARE);
}

bool callout_int3(struct vcpu *cpu, const struct callout_args *args)
{
    return software_interrupt(cpu, EXC_BP, INTERRUPT_SOFTWARE_EXCEPTION);
}

bool callout_into(struct vcpu *cpu, const struct callout_args *args)
{
    if (!(cpu_eflags(cpu) & FLAG_OF))
        return true;
    return software_interrupt(cpu, EXC_OF, INTERRUPT_SOFTWARE_EXCEPTION);
}

bool callout_icebp(struct vcpu *cpu, const struct callout_args *args)
{
    return software_interrupt(cpu, EXC_DB, INTERRUPT_ICEBP);
}

bool callout_bound(struct vcpu *cpu, const struct callout_args *args)
{
    unsigned size = args->operand_size;
    uint64_t lower, upper, linear;

    if (!args->memory)
        return cpu_raise(cpu, EXC_UD);
    TRY(cpu_check_segment_read(cpu, args->segment, args->offset, 2 * size, &linear));
    TRY(cpu_read_data(cpu, args->segment, args->offset, size, &lower));
    TRY(cpu_read_data(cpu, args->segment, args->offset + size, size, &upper));
    uint64_t index = cpu_get_gpr(cpu, args->reg, size);
    bool outside = size == 2 ? (int16_t)index < (int16_t)lower || (int16_t)index > (int16_t)upper
                             : (int32_t)index < (int32_t)lower || (int32_t)index > (int32_t)upper;
    return !outside || cpu_raise(cpu, EXC_BR);
}

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
    uint32_t held = cpu->pending_debug;

    TRY(software_interrupt(cpu, EXC_DB, INTERRUPT_ICEBP));
    /* What MOV SS held back becomes part of this very #DB: there is no second one. */
    if (held) {
        cpu->state.dr[6] = (cpu->state.dr[6] & ~(uint64_t)0xf) | held;
        cpu->pending_debug &= ~held;
    }
    return true;
}

static int64_t sign_extend(uint64_t value, unsigned size)
{
    return size == 2 ? (int16_t)value : (int32_t)value;
}

bool callout_bound(struct vcpu *cpu, const struct callout_args *args)
{
    unsigned size = args->operand_size;
    uint64_t lower, upper;

    if (!args->memory)
        return cpu_raise(cpu, EXC_UD);
    int64_t index = sign_extend(cpu_get_gpr(cpu, args->reg, size), size);
    /* An index below the lower bound is #BR before the upper bound is looked at. */
    TRY(cpu_read_data(cpu, args->segment, args->offset, size, &lower));
    if (index < sign_extend(lower, size))
        return cpu_raise(cpu, EXC_BR);
    TRY(cpu_read_data(cpu, args->segment, callout_offset_behind(args, size), size, &upper));
    return index <= sign_extend(upper, size) || cpu_raise(cpu, EXC_BR);
}

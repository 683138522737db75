/* The time-stamp counter and performance counters: RDTSC, RDPMC (Intel SDM vol. 3, 17.17 and 19).
 *
 * TSC = virtual nanoseconds * tsc_hz / 10^9 + tsc_offset. Both factors are below 2^64, so the product is kept in 128
 * bits; the counter itself wraps at 64. */
#include "cpu/tsc.h"

#include "cpu/callouts.h"
#include "cpu/model.h"

static uint64_t ticks_since_power_on(const struct vcpu *cpu)
{
    uint64_t now = cpu->clock ? clock_now(cpu->clock) : 0;
    const uint64_t second = 1000000000u;

    if (cpu->tsc_hz <= UINT64_MAX / second) /* the same without a division of 128 bits */
        return now / second * cpu->tsc_hz + now % second * cpu->tsc_hz / second;
    return (uint64_t)((unsigned __int128)now * cpu->tsc_hz / second);
}

uint64_t cpu_read_tsc(struct vcpu *cpu)
{
    return ticks_since_power_on(cpu) + cpu->state.tsc_offset;
}

void cpu_write_tsc(struct vcpu *cpu, uint64_t value)
{
    cpu->state.tsc_offset = value - ticks_since_power_on(cpu);
}

bool callout_rdtsc(struct vcpu *cpu, const struct callout_args *args)
{
    /* The CPL is 0 in real mode, so this test covers CR0.PE too. */
    if ((cpu->state.cr4 & CR4_TSD) && cpu_cpl(cpu) > 0)
        return cpu_raise_error(cpu, EXC_GP, 0);
    uint64_t tsc = cpu_read_tsc(cpu);
    cpu_set_gpr(cpu, GPR_AX, 4, tsc);
    cpu_set_gpr(cpu, GPR_DX, 4, tsc >> 32);
    return true;
}

bool callout_rdpmc(struct vcpu *cpu, const struct callout_args *args)
{
    uint32_t index = (uint32_t)cpu->state.gpr[GPR_CX];
    uint64_t value = 0;

    if (!(cpu->state.cr4 & CR4_PCE) && cpu_cpl(cpu) > 0)
        return cpu_raise_error(cpu, EXC_GP, 0);
    if ((cpu->model->signature >> 8 & 0xf) == 6) {
        if (index >= ARRAY_SIZE(cpu->state.performance_counter))
            return cpu_raise_error(cpu, EXC_GP, 0);
        value = cpu->state.performance_counter[index];
    } else if ((index & 0x7fffffff) >= 18) { /* Pentium 4: 18 counters, ECX[31] asks for the low half only */
        return cpu_raise_error(cpu, EXC_GP, 0);
    }
    cpu_set_gpr(cpu, GPR_AX, 4, value);
    cpu_set_gpr(cpu, GPR_DX, 4, value >> 32 & 0xff);
    return true;
}

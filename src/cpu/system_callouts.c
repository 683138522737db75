/* Descriptor-table registers, TLB and cache control, HLT, UD (Intel SDM vol. 2). */
#include "cpu/callouts.h"

#include <string.h>

static bool check_privilege(struct vcpu *cpu)
{
    return cpu_cpl(cpu) == 0 ? true : cpu_raise_error(cpu, EXC_GP, 0);
}

/* Pseudo-descriptor:  47..16 base | 15..0 limit.  With a 16-bit operand only 24 bits of the base are loaded. */
static bool load_table(struct vcpu *cpu, const struct callout_args *args, struct descriptor_table *table)
{
    uint8_t bytes[6];
    uint32_t base;

    TRY(check_privilege(cpu));
    TRY(cpu_read_data_bytes(cpu, args->segment, args->offset, bytes, sizeof bytes));
    memcpy(&base, bytes + 2, sizeof base);
    table->limit = (uint16_t)(bytes[0] | bytes[1] << 8);
    table->base = args->operand_size == 2 ? base & 0xffffff : base;
    return true;
}

/* All 32 bits of the base are stored whatever the operand size. The double word goes first: it needs the
 * stricter alignment, so that no alignment check can fail with half of the operand written. */
static bool store_table(struct vcpu *cpu, const struct callout_args *args, const struct descriptor_table *table)
{
    TRY(cpu_probe_data(cpu, args->segment, args->offset, 6, MMU_WRITE));
    TRY(cpu_write_data(cpu, args->segment, args->offset + 2, 4, (uint32_t)table->base));
    return cpu_write_data(cpu, args->segment, args->offset, 2, table->limit);
}

bool callout_lgdt(struct vcpu *cpu, const struct callout_args *args)
{
    return load_table(cpu, args, &cpu->state.gdtr);
}

bool callout_lidt(struct vcpu *cpu, const struct callout_args *args)
{
    return load_table(cpu, args, &cpu->state.idtr);
}

bool callout_sgdt(struct vcpu *cpu, const struct callout_args *args)
{
    return store_table(cpu, args, &cpu->state.gdtr);
}

bool callout_sidt(struct vcpu *cpu, const struct callout_args *args)
{
    return store_table(cpu, args, &cpu->state.idtr);
}

/* The operand only names a page: no limit or type check, no access (Intel SDM vol. 2, INVLPG). */
bool callout_invlpg(struct vcpu *cpu, const struct callout_args *args)
{
    TRY(check_privilege(cpu));
    uint64_t linear = args->offset + (args->segment < SEG_COUNT ? cpu->state.segment[args->segment].base : 0);
    if (!(cpu->mode & MODE_LONG))
        linear = (uint32_t)linear;
    mmu_invalidate_page(&cpu->mmu, linear);
    return true;
}

/* WBINVD and INVD. Caches are invisible, so both do the same: nothing. */
bool callout_wbinvd(struct vcpu *cpu, const struct callout_args *args)
{
    return check_privilege(cpu);
}

bool callout_hlt(struct vcpu *cpu, const struct callout_args *args)
{
    TRY(check_privilege(cpu));
    cpu->state.halted = true;
    if (cpu->stats)
        cpu->stats->halts++;
    if (cpu->trace_hash)
        trace_hash_event(cpu->trace_hash, TRACE_HALT,
                         (const uint64_t[]){cpu->state.segment[SEG_CS].selector, (uint32_t)cpu->state.rip}, 2);
    return true;
}

bool callout_ud(struct vcpu *cpu, const struct callout_args *args)
{
    return cpu_raise(cpu, EXC_UD);
}

/* MOV to and from control registers, LMSW, SMSW, CLTS (Intel SDM vol. 3, 2.5). */
#include "cpu/callouts.h"
#include "cpu/model.h"

/* Other bits of CR0 are ignored by writes and read as 0. ET is hardwired from the 486 on. */
#define CR0_DEFINED (CR0_PE | CR0_MP | CR0_EM | CR0_TS | CR0_ET | CR0_NE | CR0_WP | CR0_AM | CR0_NW | CR0_CD | CR0_PG)

static bool check_privilege(struct vcpu *cpu)
{
    return cpu_cpl(cpu) == 0 ? true : cpu_raise_error(cpu, EXC_GP, 0);
}

/* The hidden parts of the segment registers stay as they are whichever way PE goes: unreal mode, and the
 * far jump that Intel SDM vol. 3, 9.9 asks for, depend on it. */
static bool write_cr0(struct vcpu *cpu, uint32_t value)
{
    value = (value & CR0_DEFINED) | CR0_ET;
    if ((value & CR0_PG) && !(value & CR0_PE))
        return cpu_raise_error(cpu, EXC_GP, 0);
    if ((value & CR0_NW) && !(value & CR0_CD))
        return cpu_raise_error(cpu, EXC_GP, 0);
    /* Refuses when paging with PAE begins and a page-directory pointer has reserved bits set. */
    if (!mmu_set_control(&cpu->mmu, value, cpu->state.cr4, cpu->state.efer))
        return cpu_raise_error(cpu, EXC_GP, 0);
    cpu->state.cr0 = value;
    cpu_update_mode(cpu);
    return true;
}

static bool write_cr3(struct vcpu *cpu, uint32_t value)
{
    if (!mmu_set_cr3(&cpu->mmu, value))
        return cpu_raise_error(cpu, EXC_GP, 0);
    cpu->state.cr3 = value;
    return true;
}

static bool write_cr4(struct vcpu *cpu, uint32_t value)
{
    if (value & ~cpu->model->cr4_mask)
        return cpu_raise_error(cpu, EXC_GP, 0);
    if (!mmu_set_control(&cpu->mmu, cpu->state.cr0, value, cpu->state.efer))
        return cpu_raise_error(cpu, EXC_GP, 0);
    cpu->state.cr4 = value;
    cpu_update_mode(cpu);
    return true;
}

static bool register_exists(const struct vcpu *cpu, unsigned number)
{
    return number == 0 || number == 2 || number == 3 || (number == 4 && cpu->model->cr4_mask);
}

/* The operand size and ModRM.mod are ignored: always a 32-bit register (Intel SDM vol. 2, MOV CRn). */
bool callout_mov_to_control(struct vcpu *cpu, const struct callout_args *args)
{
    uint32_t value = (uint32_t)cpu->state.gpr[args->rm];

    if (!register_exists(cpu, args->reg))
        return cpu_raise(cpu, EXC_UD);
    TRY(check_privilege(cpu));
    switch (args->reg) {
    case 0:
        return write_cr0(cpu, value);
    case 2:
        cpu->state.cr2 = value;
        return true;
    case 3:
        return write_cr3(cpu, value);
    default:
        return write_cr4(cpu, value);
    }
}

bool callout_mov_from_control(struct vcpu *cpu, const struct callout_args *args)
{
    uint64_t value;

    if (!register_exists(cpu, args->reg))
        return cpu_raise(cpu, EXC_UD);
    TRY(check_privilege(cpu));
    switch (args->reg) {
    case 0:
        value = cpu->state.cr0;
        break;
    case 2:
        value = cpu->state.cr2;
        break;
    case 3:
        value = cpu->state.cr3;
        break;
    default:
        value = cpu->state.cr4;
        break;
    }
    cpu_set_gpr(cpu, args->rm, 4, value);
    return true;
}

bool callout_lmsw(struct vcpu *cpu, const struct callout_args *args)
{
    uint64_t value;

    TRY(check_privilege(cpu));
    TRY(callout_read_rm(cpu, args, 2, &value));
    /* MP, EM and TS are loaded; PE can be set but not cleared. */
    return write_cr0(cpu, (cpu->state.cr0 & ~(CR0_MP | CR0_EM | CR0_TS)) |
                              ((uint32_t)value & (CR0_PE | CR0_MP | CR0_EM | CR0_TS)));
}

/* A 32-bit register receives all of CR0, as processors do though the manual leaves bits 31:16 undefined. */
bool callout_smsw(struct vcpu *cpu, const struct callout_args *args)
{
    if (args->memory)
        return callout_write_rm(cpu, args, 2, (uint16_t)cpu->state.cr0);
    cpu_set_gpr(cpu, args->rm, args->operand_size, cpu->state.cr0);
    return true;
}

bool callout_clts(struct vcpu *cpu, const struct callout_args *args)
{
    TRY(check_privilege(cpu));
    if (cpu->state.cr0 & CR0_TS) {
        cpu->state.cr0 &= ~CR0_TS;
        cpu->mmu.cr0 &= ~CR0_TS;
        cpu_update_mode(cpu);
    }
    return true;
}

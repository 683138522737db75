/* Model-specific registers (Intel SDM vol. 4). */
#ifndef DRAGOMAN_CPU_MSR_H
#define DRAGOMAN_CPU_MSR_H

#include "cpu/vcpu.h"

#define MSR_P5_MC_ADDR          0x000u
#define MSR_P5_MC_TYPE          0x001u
#define MSR_P5_TR12             0x00eu
#define MSR_TSC                 0x010u
#define MSR_P5_CESR             0x011u
#define MSR_P5_COUNTER0         0x012u
#define MSR_PLATFORM_ID         0x017u
#define MSR_APIC_BASE           0x01bu
#define MSR_EBL_CR_POWERON      0x02au /* Pentium 4: EBC_HARD_POWERON */
#define MSR_EBC_SOFT_POWERON    0x02bu
#define MSR_EBC_FREQUENCY_ID    0x02cu
#define MSR_BIOS_UPDATE_TRIGGER 0x079u
#define MSR_BIOS_SIGNATURE      0x08bu
#define MSR_P6_COUNTER0         0x0c1u
#define MSR_MTRR_CAPABILITY     0x0feu
#define MSR_BBL_CR_CTL          0x119u
#define MSR_BBL_CR_CTL3         0x11eu
#define MSR_SYSENTER_CS         0x174u
#define MSR_SYSENTER_ESP        0x175u
#define MSR_SYSENTER_EIP        0x176u
#define MSR_MCG_CAPABILITY      0x179u
#define MSR_MCG_STATUS          0x17au
#define MSR_MCG_CONTROL         0x17bu
#define MSR_P6_EVENT_SELECT0    0x186u
#define MSR_MISC_ENABLE         0x1a0u
#define MSR_P4_LER_FROM         0x1d7u
#define MSR_DEBUGCTL            0x1d9u
#define MSR_P4_LASTBRANCH_TOS   0x1dau
#define MSR_LASTBRANCH_0        0x1dbu
#define MSR_MTRR_PHYSICAL_BASE0 0x200u
#define MSR_MTRR_FIXED_64K      0x250u
#define MSR_MTRR_FIXED_16K      0x258u
#define MSR_MTRR_FIXED_4K       0x268u
#define MSR_PAT                 0x277u
#define MSR_MTRR_DEFAULT_TYPE   0x2ffu
#define MSR_MC0_CONTROL         0x400u
#define MSR_EFER                0xc0000080u

/* Intel SDM vol. 3, 10.4.4:  35..12 address of the registers | 11 global enable | 8 bootstrap processor */
#define APIC_BASE_BOOTSTRAP   0x100ull
#define APIC_BASE_ENABLE      0x800ull
#define APIC_BASE_AFTER_RESET 0xfee00000ull

#define DEBUGCTL_LBR    1u
#define DEBUGCTL_BTF    2u /* with TF: trap on branches only */
#define PAT_AFTER_RESET 0x0007040600070406ull

/* What RDMSR and WRMSR do once privilege is checked. False: no such register in this model, or a value
 * it does not take (#GP(0), which the caller raises). */
bool cpu_read_msr(struct vcpu *cpu, uint32_t number, uint64_t *value);
bool cpu_write_msr(struct vcpu *cpu, uint32_t number, uint64_t value);

/* Values after RESET, the TSC's 0 included (Intel SDM vol. 3, table 9-1); for cpu_reset(). */
void cpu_reset_msrs(struct vcpu *cpu);

#endif

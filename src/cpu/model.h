/* CPU models: what -cpu NAME means. */
#ifndef DRAGOMAN_CPU_MODEL_H
#define DRAGOMAN_CPU_MODEL_H

#include "base/error.h"
#include "cpu/instruction_table.h"

struct cpuid_leaf {
    uint32_t eax, ebx, ecx, edx;
};

struct cpu_model {
    const char *name;
    const char *description;
    uint32_t signature;          /* CPUID.1:EAX, and EDX after reset */
    uint64_t features;           /* set of 1ull << FEATURE_* */
    uint32_t cpuid_max_basic, cpuid_max_extended; /* 0: no CPUID instruction */
    const char *vendor;          /* 12 characters */
    const char *brand;           /* up to 47 characters, or NULL */
    uint32_t cpuid1_edx, cpuid1_ecx, cpuid1_ebx;
    uint32_t extended1_edx, extended1_ecx;
    struct cpuid_leaf cache_leaf2;
    uint32_t cr4_mask;           /* bits that may be set */
    uint32_t eflags_mask;        /* every EFLAGS bit that exists (AC, ID, VIF, VIP by model), FLAG_FIXED included */
    unsigned physical_bits;      /* 32 or 36 */
    unsigned mtrr_count;         /* variable ranges, 0: no MTRRs */
    bool has_pat, has_nx, has_pse36;
    uint32_t mxcsr_mask;
};

static inline bool cpu_has(const struct cpu_model *model, enum cpu_feature feature)
{
    return (model->features >> feature) & 1;
}

/* NULL and an error naming the known models if there is no such model. */
const struct cpu_model *cpu_model_find(const char *name, struct error *err);
/* The n-th model, NULL behind the last; for -cpu help. */
const struct cpu_model *cpu_model_at(unsigned n);
/* CPUID.1:EDX.APIC, as it is with the APIC globally enabled. */
#define CPUID1_EDX_APIC (1u << 9)
static inline bool cpu_model_has_apic(const struct cpu_model *model)
{
    return model->cpuid1_edx & CPUID1_EDX_APIC;
}
/* 4, 5, 6 or 15: the family of its signature. */
static inline unsigned cpu_model_family(const struct cpu_model *model)
{
    return model->signature >> 8 & 0xf;
}
void cpu_model_cpuid(const struct vcpu *cpu, uint32_t leaf, uint32_t subleaf, struct cpuid_leaf *out);

#endif

/* CPUID (Intel SDM vol. 2, CPUID). */
#include "cpu/callouts.h"
#include "cpu/model.h"
#include "cpu/msr.h"

#include <string.h>

static uint32_t four_characters(const char *text)
{
    uint32_t value;
    memcpy(&value, text, sizeof value);
    return value;
}

static void brand_leaf(const struct cpu_model *model, unsigned part, struct cpuid_leaf *out)
{
    char brand[48] = {0};

    if (model->brand)
        strncpy(brand, model->brand, sizeof brand - 1);
    out->eax = four_characters(brand + 16 * part);
    out->ebx = four_characters(brand + 16 * part + 4);
    out->ecx = four_characters(brand + 16 * part + 8);
    out->edx = four_characters(brand + 16 * part + 12);
}

void cpu_model_cpuid(const struct vcpu *cpu, uint32_t leaf, uint32_t subleaf, struct cpuid_leaf *out)
{
    const struct cpu_model *model = cpu->model;
    bool extended = leaf >= 0x80000000u && leaf <= model->cpuid_max_extended;

    (void)subleaf; /* no leaf up to 2 has any */
    *out = (struct cpuid_leaf){0};
    /* Leaves out of range answer as the highest basic one. */
    if (!extended && leaf > model->cpuid_max_basic)
        leaf = model->cpuid_max_basic;
    switch (leaf) {
    case 0:
        out->eax = model->cpuid_max_basic;
        out->ebx = four_characters(model->vendor);
        out->edx = four_characters(model->vendor + 4);
        out->ecx = four_characters(model->vendor + 8);
        break;
    case 1:
        out->eax = model->signature;
        out->ebx = model->cpuid1_ebx | cpu->index << 24;
        out->ecx = model->cpuid1_ecx;
        out->edx = model->cpuid1_edx;
        if (!(cpu->state.apic_base & APIC_BASE_ENABLE))
            out->edx &= ~CPUID1_EDX_APIC; /* as if there were none (Intel SDM vol. 3, 10.4.3) */
        break;
    case 2:
        *out = model->cache_leaf2;
        break;
    case 0x80000000u:
        out->eax = model->cpuid_max_extended;
        break;
    case 0x80000001u:
        out->ecx = model->extended1_ecx;
        out->edx = model->extended1_edx;
        break;
    case 0x80000002u:
    case 0x80000003u:
    case 0x80000004u:
        brand_leaf(model, leaf - 0x80000002u, out);
        break;
    case 0x80000006u: /* L2: 512 KiB, 8-way, 64-byte lines, as descriptor 7Bh of leaf 2 says */
        out->ecx = 512u << 16 | 6u << 12 | 64u;
        break;
    case 0x80000008u:
        out->eax = 32u << 8 | model->physical_bits;
        break;
    default:
        break;
    }
}

bool callout_cpuid(struct vcpu *cpu, const struct callout_args *args)
{
    struct cpuid_leaf leaf;

    cpu_model_cpuid(cpu, (uint32_t)cpu->state.gpr[GPR_AX], (uint32_t)cpu->state.gpr[GPR_CX], &leaf);
    cpu_set_gpr(cpu, GPR_AX, 4, leaf.eax);
    cpu_set_gpr(cpu, GPR_BX, 4, leaf.ebx);
    cpu_set_gpr(cpu, GPR_CX, 4, leaf.ecx);
    cpu_set_gpr(cpu, GPR_DX, 4, leaf.edx);
    return true;
}

/* The CPU models. What CPUID claims and what the decoder and the MSRs allow come from the same row; a feature
 * that no engine implements is claimed by none (no thermal monitor, no serial number). */
#include "cpu/model.h"

#include "cpu/vcpu.h"

#include <string.h>

/* CPUID.1:EDX, Intel SDM vol. 2, CPUID, table 3-11 */
#define EDX_FPU   (1u << 0)
#define EDX_VME   (1u << 1)
#define EDX_DE    (1u << 2)
#define EDX_PSE   (1u << 3)
#define EDX_TSC   (1u << 4)
#define EDX_MSR   (1u << 5)
#define EDX_PAE   (1u << 6)
#define EDX_MCE   (1u << 7)
#define EDX_CX8   (1u << 8)
#define EDX_APIC  CPUID1_EDX_APIC /* while globally enabled */
#define EDX_SEP   (1u << 11)
#define EDX_MTRR  (1u << 12)
#define EDX_PGE   (1u << 13)
#define EDX_MCA   (1u << 14)
#define EDX_CMOV  (1u << 15)
#define EDX_PAT   (1u << 16)
#define EDX_PSE36 (1u << 17)
#define EDX_CLFSH (1u << 19)
#define EDX_MMX   (1u << 23)
#define EDX_FXSR  (1u << 24)
#define EDX_SSE   (1u << 25)
#define EDX_SSE2  (1u << 26)
/* CPUID.80000001h:EDX */
#define EXTENDED_EDX_NX (1u << 20)

#define EDX_486     (EDX_FPU | EDX_VME | EDX_PSE)
#define EDX_PENTIUM (EDX_486 | EDX_DE | EDX_TSC | EDX_MSR | EDX_MCE | EDX_CX8 | EDX_APIC)
#define EDX_PENTIUM2                                                                                                   \
    (EDX_PENTIUM | EDX_PAE | EDX_SEP | EDX_MTRR | EDX_PGE | EDX_MCA | EDX_CMOV | EDX_PAT | EDX_PSE36 | EDX_MMX |       \
     EDX_FXSR)
#define EDX_PENTIUM3 (EDX_PENTIUM2 | EDX_SSE)
#define EDX_PENTIUM4 (EDX_PENTIUM3 | EDX_SSE2 | EDX_CLFSH)

#define HAS(name)        (1ull << FEATURE_##name)
#define FEATURES_486     (HAS(386) | HAS(486) | HAS(CPUID) | HAS(FPU))
#define FEATURES_PENTIUM (FEATURES_486 | HAS(PENTIUM) | HAS(TSC) | HAS(MSR) | HAS(CX8))
#define FEATURES_PENTIUM2                                                                                              \
    (FEATURES_PENTIUM | HAS(MMX) | HAS(CMOV) | HAS(FCMOV) | HAS(SEP) | HAS(FXSR) | HAS(RDPMC) | HAS(NOPL))
#define FEATURES_PENTIUM3 (FEATURES_PENTIUM2 | HAS(SSE))
#define FEATURES_PENTIUM4 (FEATURES_PENTIUM3 | HAS(SSE2) | HAS(CLFLUSH) | HAS(PAUSE))

#define CR4_486      (CR4_VME | CR4_PVI | CR4_PSE)
#define CR4_PENTIUM  (CR4_486 | CR4_TSD | CR4_DE | CR4_MCE)
#define CR4_PENTIUM2 (CR4_PENTIUM | CR4_PAE | CR4_PGE | CR4_PCE | CR4_OSFXSR)
#define CR4_PENTIUM3 (CR4_PENTIUM2 | CR4_OSXMMEXCPT)

#define EFLAGS_486                                                                                                     \
    (FLAG_ARITHMETIC | FLAG_FIXED | FLAG_TF | FLAG_IF | FLAG_DF | FLAG_IOPL | FLAG_NT | FLAG_RF | FLAG_VM | FLAG_AC |  \
     FLAG_VIF | FLAG_VIP | FLAG_ID)

/* CPUID.1:EBX  31..24 APIC id | 23..16 logical processors | 15..8 CLFLUSH line / 8 | 7..0 brand index */
#define EBX_BRAND_INDEX(n)      ((uint32_t)(n))
#define EBX_CLFLUSH_LINE(bytes) ((uint32_t)(bytes) / 8 << 8)

static const struct cpu_model models[] = {
    {
        .name = "486",
        .description = "Intel 486DX4: x87, CPUID, VME, 4 MiB pages",
        .signature = 0x480,
        .features = FEATURES_486,
        .cpuid_max_basic = 1,
        .vendor = "GenuineIntel",
        .cpuid1_edx = EDX_486,
        .cr4_mask = CR4_486,
        .eflags_mask = EFLAGS_486,
        .physical_bits = 32,
    },
    {
        .name = "pentium",
        .description = "Intel Pentium (P54C): and TSC, MSRs, CMPXCHG8B, debug extensions, local APIC",
        .signature = 0x52c,
        .features = FEATURES_PENTIUM,
        .cpuid_max_basic = 1,
        .vendor = "GenuineIntel",
        .cpuid1_edx = EDX_PENTIUM,
        .cr4_mask = CR4_PENTIUM,
        .eflags_mask = EFLAGS_486,
        .physical_bits = 32,
    },
    {
        .name = "pentium2",
        .description = "Intel Pentium II (Deschutes): and MMX, CMOV, PAE, SYSENTER, FXSAVE, MTRRs, PAT",
        .signature = 0x652,
        .features = FEATURES_PENTIUM2,
        .cpuid_max_basic = 2,
        .vendor = "GenuineIntel",
        .cpuid1_edx = EDX_PENTIUM2,
        /* 4 KiB and 4 MiB TLBs, 16 KiB L1 each, 512 KiB L2 */
        .cache_leaf2 = {.eax = 0x03020101, .edx = 0x0c040843},
        .cr4_mask = CR4_PENTIUM2,
        .eflags_mask = EFLAGS_486,
        .physical_bits = 36,
        .mtrr_count = 8,
        .has_pat = true,
        .has_pse36 = true,
    },
    {
        .name = "pentium3",
        .description = "Intel Pentium III (Coppermine): and SSE",
        .signature = 0x68a,
        .features = FEATURES_PENTIUM3,
        .cpuid_max_basic = 2,
        .vendor = "GenuineIntel",
        .cpuid1_edx = EDX_PENTIUM3,
        .cpuid1_ebx = EBX_BRAND_INDEX(2),
        /* 16 KiB L1 each, 256 KiB 8-way L2 */
        .cache_leaf2 = {.eax = 0x03020101, .edx = 0x0c040882},
        .cr4_mask = CR4_PENTIUM3,
        .eflags_mask = EFLAGS_486,
        .physical_bits = 36,
        .mtrr_count = 8,
        .has_pat = true,
        .has_pse36 = true,
        .mxcsr_mask = 0xffbf, /* no denormals-are-zeros */
    },
    {
        .name = "pentium4",
        .description = "Intel Pentium 4 (Northwood): and SSE2, CLFLUSH",
        .signature = 0xf29,
        .features = FEATURES_PENTIUM4,
        .cpuid_max_basic = 2,
        .cpuid_max_extended = 0x80000004,
        .vendor = "GenuineIntel",
        .brand = "Intel(R) Pentium(R) 4 CPU",
        .cpuid1_edx = EDX_PENTIUM4,
        .cpuid1_ebx = EBX_BRAND_INDEX(9) | EBX_CLFLUSH_LINE(64),
        /* 64-entry TLBs, 8 KiB L1 data, 12 K micro-op trace cache, 512 KiB L2 */
        .cache_leaf2 = {.eax = 0x665b5001, .edx = 0x007b7040},
        .cr4_mask = CR4_PENTIUM3,
        .eflags_mask = EFLAGS_486,
        .physical_bits = 36,
        .mtrr_count = 8,
        .has_pat = true,
        .has_pse36 = true,
        .mxcsr_mask = 0xffff,
    },
    {
        .name = "max",
        .description = "everything that is implemented: Pentium 4 and NX",
        .signature = 0xf41,
        .features = FEATURES_PENTIUM4,
        .cpuid_max_basic = 2,
        .cpuid_max_extended = 0x80000008,
        .vendor = "GenuineIntel",
        .brand = "Dragoman virtual processor",
        .cpuid1_edx = EDX_PENTIUM4,
        .cpuid1_ebx = EBX_CLFLUSH_LINE(64),
        .extended1_edx = EXTENDED_EDX_NX,
        .cache_leaf2 = {.eax = 0x665b5001, .edx = 0x007b7040},
        .cr4_mask = CR4_PENTIUM3,
        .eflags_mask = EFLAGS_486,
        .physical_bits = 36,
        .mtrr_count = 8,
        .has_pat = true,
        .has_nx = true,
        .has_pse36 = true,
        .mxcsr_mask = 0xffff,
    },
};

const struct cpu_model *cpu_model_at(unsigned n)
{
    return n < ARRAY_SIZE(models) ? &models[n] : NULL;
}

const struct cpu_model *cpu_model_find(const char *name, struct error *err)
{
    char known[256] = "";

    for (size_t i = 0; i < ARRAY_SIZE(models); i++) {
        if (!strcmp(models[i].name, name))
            return &models[i];
        if (i)
            strncat(known, ", ", sizeof known - strlen(known) - 1);
        strncat(known, models[i].name, sizeof known - strlen(known) - 1);
    }
    error_set(err, "unknown CPU model '%.64s' (known: %s)", name, known);
    return NULL;
}

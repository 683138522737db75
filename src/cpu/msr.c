/* RDMSR and WRMSR: one table of the registers of every model. */
#include "cpu/msr.h"

#include "cpu/callouts.h"
#include "cpu/model.h"
#include "cpu/tsc.h"

#define P5 1u
#define P6 2u
#define P4 4u

/* COUNT registers from FIRST on. Without a read function they read as their storage, or 0. Without a write function
 * they are read-only. */
struct msr {
    uint32_t first, count;
    unsigned families;
    bool (*present)(const struct cpu_model *model);
    size_t storage; /* offset in struct cpu_state of uint64_t[count]; 0: none */
    uint64_t (*read)(struct vcpu *cpu, unsigned index);
    bool (*write)(struct vcpu *cpu, const struct msr *msr, unsigned index, uint64_t value);
};

#define STORAGE(member) offsetof(struct cpu_state, member)

static uint64_t *storage_of(struct vcpu *cpu, const struct msr *msr, unsigned index)
{
    return (uint64_t *)(void *)((uint8_t *)&cpu->state + msr->storage) + index;
}

static unsigned family_of(const struct cpu_model *model)
{
    switch (model->signature >> 8 & 0xf) {
    case 5:
        return P5;
    case 6:
        return P6;
    case 15:
        return P4;
    default:
        return 0;
    }
}

/* ---- which models have it ---- */

static bool has_apic(const struct cpu_model *model)
{
    return cpu_model_has_apic(model);
}

static bool has_sep(const struct cpu_model *model)
{
    return cpu_has(model, FEATURE_SEP);
}

static bool has_mtrr(const struct cpu_model *model)
{
    return model->mtrr_count != 0;
}

static bool has_pat(const struct cpu_model *model)
{
    return model->has_pat;
}

static bool has_nx(const struct cpu_model *model)
{
    return model->has_nx;
}

/* ---- kinds of writes ---- */

/* Controls of caches, buses and test circuits that have nothing to act on here. */
static bool write_ignored(struct vcpu *cpu, const struct msr *msr, unsigned index, uint64_t value)
{
    LOG(cpu->log, UNIMP, "write to MSR %#x has no effect: %#llx", msr->first + index, (unsigned long long)value);
    return true;
}

static bool write_stored(struct vcpu *cpu, const struct msr *msr, unsigned index, uint64_t value)
{
    *storage_of(cpu, msr, index) = value;
    return true;
}

/* Linear addresses and selectors of a 32-bit processor: the upper half does not exist. */
static bool write_low_half(struct vcpu *cpu, const struct msr *msr, unsigned index, uint64_t value)
{
    return write_stored(cpu, msr, index, (uint32_t)value);
}

/* ---- time, performance ---- */

static uint64_t read_tsc(struct vcpu *cpu, unsigned index)
{
    return cpu_read_tsc(cpu);
}

/* Before family 0Fh model 3 only the low half can be written, the high half becomes 0 (Intel SDM vol. 3, 17.17). */
static bool write_tsc(struct vcpu *cpu, const struct msr *msr, unsigned index, uint64_t value)
{
    cpu_write_tsc(cpu, cpu->model->signature < 0xf30 ? (uint32_t)value : value);
    return true;
}

/* Counters hold 40 bits. On P6 a write gives 32, sign-extended (Intel SDM vol. 3, 19.8). No event is ever counted. */
static bool write_counter_p6(struct vcpu *cpu, const struct msr *msr, unsigned index, uint64_t value)
{
    return write_stored(cpu, msr, index, (uint64_t)(int64_t)(int32_t)value & 0xffffffffffull);
}

static bool write_counter_p5(struct vcpu *cpu, const struct msr *msr, unsigned index, uint64_t value)
{
    return write_stored(cpu, msr, index, value & 0xffffffffffull);
}

/* Multiplier of a 100 MHz bus in bits 31..24 (Intel SDM vol. 4, MSR_EBC_FREQUENCY_ID; model 2 and later). */
static uint64_t read_frequency_id(struct vcpu *cpu, unsigned index)
{
    uint64_t multiplier = cpu->tsc_hz / 100000000u;
    return (multiplier > 255 ? 255 : multiplier) << 24;
}

/* 100 MHz bus: bits 19..18. */
static uint64_t read_ebl_cr_poweron(struct vcpu *cpu, unsigned index)
{
    return family_of(cpu->model) == P6 ? 2u << 18 : 0;
}

/* ---- processor identity ---- */

static bool write_apic_base(struct vcpu *cpu, const struct msr *msr, unsigned index, uint64_t value)
{
    uint64_t address = ((1ull << cpu->model->physical_bits) - 1) & ~0xfffull;

    if (value & ~(address | APIC_BASE_ENABLE | APIC_BASE_BOOTSTRAP))
        return false;
    cpu->state.apic_base = value;
    if (cpu->environment.set_apic_base)
        cpu->environment.set_apic_base(cpu->environment.opaque, value);
    return true;
}

/* Loading microcode: an update that does not fit is ignored by processors too, and none fits. */
static bool write_update_trigger(struct vcpu *cpu, const struct msr *msr, unsigned index, uint64_t value)
{
    return true;
}

/* Level 2 cache present, configured and enabled; serial number disabled for good (bit 21 of BBL_CR_CTL). */
static uint64_t read_bbl_cr_ctl(struct vcpu *cpu, unsigned index)
{
    return 1u << 21;
}

static uint64_t read_bbl_cr_ctl3(struct vcpu *cpu, unsigned index)
{
    return 1u << 8 | 1u;
}

/* ---- memory types: 0 UC, 1 WC, 4 WT, 5 WP, 6 WB, 7 UC- (PAT only) ---- */

static bool mtrr_type_is_valid(uint64_t type)
{
    return type <= 6 && (0x73u >> type & 1);
}

static bool write_pat(struct vcpu *cpu, const struct msr *msr, unsigned index, uint64_t value)
{
    for (unsigned i = 0; i < 8; i++) {
        uint8_t type = (uint8_t)(value >> (8 * i));
        if (!mtrr_type_is_valid(type) && type != 7)
            return false;
    }
    return write_stored(cpu, msr, index, value);
}

/*  base:  MAXPHYADDR-1..12 address | 11..8 0 | 7..0 type
 *  mask:  MAXPHYADDR-1..12 mask | 11 valid | 10..0 0      (Intel SDM vol. 3, 11.11.2.3) */
static uint64_t read_mtrr_variable(struct vcpu *cpu, unsigned index)
{
    return index & 1 ? cpu->state.mtrr_physical_mask[index / 2] : cpu->state.mtrr_physical_base[index / 2];
}

static bool write_mtrr_variable(struct vcpu *cpu, const struct msr *msr, unsigned index, uint64_t value)
{
    uint64_t address = ((1ull << cpu->model->physical_bits) - 1) & ~0xfffull;

    if (index & 1) {
        if (value & ~(address | 0x800))
            return false;
        cpu->state.mtrr_physical_mask[index / 2] = value;
    } else {
        if ((value & ~(address | 0xff)) || !mtrr_type_is_valid(value & 0xff))
            return false;
        cpu->state.mtrr_physical_base[index / 2] = value;
    }
    return true;
}

static bool write_mtrr_fixed(struct vcpu *cpu, const struct msr *msr, unsigned index, uint64_t value)
{
    for (unsigned i = 0; i < 8; i++) {
        if (!mtrr_type_is_valid(value >> (8 * i) & 0xff))
            return false;
    }
    return write_stored(cpu, msr, index, value);
}

/*  11 E | 10 FE | 7..0 type  */
static bool write_mtrr_default_type(struct vcpu *cpu, const struct msr *msr, unsigned index, uint64_t value)
{
    if ((value & ~0xcffull) || !mtrr_type_is_valid(value & 0xff))
        return false;
    return write_stored(cpu, msr, index, value);
}

/*  10 WC | 8 FIX | 7..0 number of variable ranges  */
static uint64_t read_mtrr_capability(struct vcpu *cpu, unsigned index)
{
    return 1u << 10 | 1u << 8 | cpu->model->mtrr_count;
}

/* ---- machine check: the banks exist, no error is ever found ---- */

static unsigned bank_count(const struct cpu_model *model)
{
    return family_of(model) == P6 ? 5 : 4;
}

/*  8 MCG_CTL_P | 7..0 banks  */
static uint64_t read_mcg_capability(struct vcpu *cpu, unsigned index)
{
    return 1u << 8 | bank_count(cpu->model);
}

static bool write_mcg_status(struct vcpu *cpu, const struct msr *msr, unsigned index, uint64_t value)
{
    return (value & ~7ull) ? false : write_stored(cpu, msr, index, value);
}

/* Four registers a bank: control, status, address, miscellaneous. */
static uint64_t read_bank(struct vcpu *cpu, unsigned index)
{
    return index % 4 == 0 ? cpu->state.mc_control[index / 4] : 0;
}

static bool write_bank(struct vcpu *cpu, const struct msr *msr, unsigned index, uint64_t value)
{
    if (index % 4 == 0)
        cpu->state.mc_control[index / 4] = value;
    else if (value) /* only 0 may be written to the others (Intel SDM vol. 3, 15.3.2.2) */
        return false;
    return true;
}

/* ---- behaviour ---- */

/* Fast strings, x87 opcode compatibility, split-lock disable, L3 disable, lock and prefetch controls, FERR#
 * multiplexing: kept, without effect. Other bits are fixed: no performance counters (7), BTS (11) or PEBS (12). */
#define MISC_ENABLE_WRITABLE    0x755ull
#define MISC_ENABLE_FIXED       (1ull << 11 | 1ull << 12)
#define MISC_ENABLE_AFTER_RESET (MISC_ENABLE_FIXED | 1)

static bool write_misc_enable(struct vcpu *cpu, const struct msr *msr, unsigned index, uint64_t value)
{
    return write_stored(cpu, msr, index, (value & MISC_ENABLE_WRITABLE) | MISC_ENABLE_FIXED);
}

static bool write_debugctl(struct vcpu *cpu, const struct msr *msr, unsigned index, uint64_t value)
{
    uint64_t defined = family_of(cpu->model) == P6 ? 0x7f : 0x1f;

    if (value & ~defined)
        return false;
    if (value & ~(uint64_t)DEBUGCTL_BTF)
        LOG(cpu->log, UNIMP, "DEBUGCTL %#llx: branches are not recorded", (unsigned long long)value);
    return write_stored(cpu, msr, index, value);
}

static bool write_efer(struct vcpu *cpu, const struct msr *msr, unsigned index, uint64_t value)
{
    if (value & ~(uint64_t)EFER_NXE)
        return false;
    if (!mmu_set_control(&cpu->mmu, cpu->state.cr0, cpu->state.cr4, value))
        return false;
    cpu->state.efer = value;
    cpu_update_mode(cpu);
    return true;
}

/* ---- the table ---- */

static const struct msr msrs[] = {
    {MSR_P5_MC_ADDR, 2, P5 | P6 | P4, .write = write_ignored},
    {MSR_P5_TR12, 1, P5, .write = write_ignored},
    {MSR_TSC, 1, P5 | P6 | P4, .read = read_tsc, .write = write_tsc},
    {MSR_P5_CESR, 1, P5, .storage = STORAGE(performance_select), .write = write_low_half},
    {MSR_P5_COUNTER0, 2, P5, .storage = STORAGE(performance_counter), .write = write_counter_p5},
    {MSR_PLATFORM_ID, 1, P6 | P4, .write = NULL},
    /* Pentium has the APIC but not the register: pins enable it, and its address is fixed. */
    {MSR_APIC_BASE, 1, P6 | P4, has_apic, STORAGE(apic_base), .write = write_apic_base},
    {MSR_EBL_CR_POWERON, 1, P6 | P4, .read = read_ebl_cr_poweron, .write = write_ignored},
    {MSR_EBC_SOFT_POWERON, 1, P4, .write = write_ignored},
    {MSR_EBC_FREQUENCY_ID, 1, P4, .read = read_frequency_id},
    {MSR_BIOS_UPDATE_TRIGGER, 1, P6 | P4, .write = write_update_trigger},
    {MSR_BIOS_SIGNATURE, 1, P6 | P4, .storage = STORAGE(bios_signature), .write = write_stored},
    {MSR_P6_COUNTER0, 2, P6, .storage = STORAGE(performance_counter), .write = write_counter_p6},
    {MSR_MTRR_CAPABILITY, 1, P6 | P4, has_mtrr, .read = read_mtrr_capability},
    {MSR_BBL_CR_CTL, 1, P6, .read = read_bbl_cr_ctl, .write = write_ignored},
    {MSR_BBL_CR_CTL3, 1, P6, .read = read_bbl_cr_ctl3, .write = write_ignored},
    {MSR_SYSENTER_CS, 1, P6 | P4, has_sep, STORAGE(sysenter_cs), .write = write_low_half},
    {MSR_SYSENTER_ESP, 1, P6 | P4, has_sep, STORAGE(sysenter_esp), .write = write_low_half},
    {MSR_SYSENTER_EIP, 1, P6 | P4, has_sep, STORAGE(sysenter_eip), .write = write_low_half},
    {MSR_MCG_CAPABILITY, 1, P6 | P4, .read = read_mcg_capability},
    {MSR_MCG_STATUS, 1, P6 | P4, .storage = STORAGE(mcg_status), .write = write_mcg_status},
    {MSR_MCG_CONTROL, 1, P6 | P4, .storage = STORAGE(mcg_control), .write = write_stored},
    {MSR_P6_EVENT_SELECT0, 2, P6, .storage = STORAGE(performance_select), .write = write_low_half},
    {MSR_MISC_ENABLE, 1, P4, .storage = STORAGE(misc_enable), .write = write_misc_enable},
    {MSR_P4_LER_FROM, 2, P4, .write = NULL},
    {MSR_DEBUGCTL, 1, P6 | P4, .storage = STORAGE(debugctl), .write = write_debugctl},
    {MSR_P4_LASTBRANCH_TOS, 1, P4, .write = NULL},
    {MSR_LASTBRANCH_0, 4, P6 | P4, .write = NULL}, /* P6: last branch from and to, last exception from and to */
    {MSR_MTRR_PHYSICAL_BASE0, 16, P6 | P4, has_mtrr, .read = read_mtrr_variable, .write = write_mtrr_variable},
    {MSR_MTRR_FIXED_64K, 1, P6 | P4, has_mtrr, STORAGE(mtrr_fixed[0]), .write = write_mtrr_fixed},
    {MSR_MTRR_FIXED_16K, 2, P6 | P4, has_mtrr, STORAGE(mtrr_fixed[1]), .write = write_mtrr_fixed},
    {MSR_MTRR_FIXED_4K, 8, P6 | P4, has_mtrr, STORAGE(mtrr_fixed[3]), .write = write_mtrr_fixed},
    {MSR_PAT, 1, P6 | P4, has_pat, STORAGE(pat), .write = write_pat},
    {MSR_MTRR_DEFAULT_TYPE, 1, P6 | P4, has_mtrr, STORAGE(mtrr_default_type), .write = write_mtrr_default_type},
    {MSR_MC0_CONTROL, 20, P6, .read = read_bank, .write = write_bank},
    {MSR_MC0_CONTROL, 16, P4, .read = read_bank, .write = write_bank},
    {MSR_EFER, 1, P4, has_nx, STORAGE(efer), .write = write_efer},
};

static const struct msr *find(const struct cpu_model *model, uint32_t number)
{
    unsigned family = family_of(model);

    for (size_t i = 0; i < ARRAY_SIZE(msrs); i++) {
        const struct msr *msr = &msrs[i];
        if (number - msr->first < msr->count && (msr->families & family) && (!msr->present || msr->present(model)))
            return msr;
    }
    return NULL;
}

bool cpu_read_msr(struct vcpu *cpu, uint32_t number, uint64_t *value)
{
    const struct msr *msr = find(cpu->model, number);

    if (!msr || msr->first == MSR_BIOS_UPDATE_TRIGGER) /* write-only */
        return false;
    *value = msr->read      ? msr->read(cpu, number - msr->first)
             : msr->storage ? *storage_of(cpu, msr, number - msr->first)
                            : 0;
    return true;
}

bool cpu_write_msr(struct vcpu *cpu, uint32_t number, uint64_t value)
{
    const struct msr *msr = find(cpu->model, number);

    return msr && msr->write && msr->write(cpu, msr, number - msr->first, value);
}

void cpu_reset_msrs(struct vcpu *cpu)
{
    struct cpu_state *state = &cpu->state;

    cpu_write_tsc(cpu, 0);
    state->apic_base = 0;
    if (cpu_model_has_apic(cpu->model))
        state->apic_base = APIC_BASE_AFTER_RESET | APIC_BASE_ENABLE | (cpu->index ? 0 : APIC_BASE_BOOTSTRAP);
    state->pat = PAT_AFTER_RESET;
    state->misc_enable = family_of(cpu->model) == P4 ? MISC_ENABLE_AFTER_RESET : 0;
    state->sysenter_cs = state->sysenter_esp = state->sysenter_eip = 0;
    state->mtrr_default_type = 0;
    for (unsigned i = 0; i < ARRAY_SIZE(state->mtrr_physical_base); i++)
        state->mtrr_physical_base[i] = state->mtrr_physical_mask[i] = 0;
    for (unsigned i = 0; i < ARRAY_SIZE(state->mtrr_fixed); i++)
        state->mtrr_fixed[i] = 0;
    state->debugctl = state->bios_signature = 0;
    state->mcg_status = state->mcg_control = 0;
    for (unsigned i = 0; i < ARRAY_SIZE(state->mc_control); i++)
        state->mc_control[i] = 0;
    for (unsigned i = 0; i < ARRAY_SIZE(state->performance_counter); i++)
        state->performance_select[i] = state->performance_counter[i] = 0;
}

bool callout_rdmsr(struct vcpu *cpu, const struct callout_args *args)
{
    uint64_t value;

    if (cpu_cpl(cpu) != 0)
        return cpu_raise_error(cpu, EXC_GP, 0);
    if (!cpu_read_msr(cpu, (uint32_t)cpu->state.gpr[GPR_CX], &value)) {
        LOG(cpu->log, UNIMP, "RDMSR of absent register %#x", (unsigned)cpu->state.gpr[GPR_CX]);
        return cpu_raise_error(cpu, EXC_GP, 0);
    }
    cpu_set_gpr(cpu, GPR_AX, 4, value);
    cpu_set_gpr(cpu, GPR_DX, 4, value >> 32);
    return true;
}

bool callout_wrmsr(struct vcpu *cpu, const struct callout_args *args)
{
    uint64_t value = (uint32_t)cpu->state.gpr[GPR_AX] | cpu->state.gpr[GPR_DX] << 32;

    if (cpu_cpl(cpu) != 0)
        return cpu_raise_error(cpu, EXC_GP, 0);
    if (!cpu_write_msr(cpu, (uint32_t)cpu->state.gpr[GPR_CX], value)) {
        LOG(cpu->log, UNIMP, "WRMSR of %#llx to %#x refused", (unsigned long long)value,
            (unsigned)cpu->state.gpr[GPR_CX]);
        return cpu_raise_error(cpu, EXC_GP, 0);
    }
    return true;
}

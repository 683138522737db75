/* Instructions that load, store and examine selectors and descriptors (Intel SDM vol. 2; vol. 3, 5.10). */
#include "cpu/callouts.h"
#include "cpu/descriptor.h"
#include "cpu/instruction_table.h"

/* ---- segment registers ---- */

/* Loading SS holds back interrupts and debug traps for one instruction (Intel SDM vol. 3, 6.8.3). */
static void inhibit_after_stack_load(struct vcpu *cpu, unsigned seg)
{
    if (seg != SEG_SS)
        return;
    cpu->state.interrupt_shadow = INHIBIT_MOV_SS;
    atomic_fetch_or(&cpu->attention, ATTENTION_EVENT);
}

bool callout_mov_to_segment(struct vcpu *cpu, const struct callout_args *args)
{
    uint64_t selector;

    if (args->reg == SEG_CS || args->reg >= SEG_COUNT)
        return cpu_raise(cpu, EXC_UD);
    TRY(callout_read_rm(cpu, args, 2, &selector));
    TRY(cpu_load_segment(cpu, args->reg, (uint16_t)selector));
    inhibit_after_stack_load(cpu, args->reg);
    return true;
}

/* To memory always 16 bits; a 32-bit register gets the selector zero-extended, as from the P6 on. */
static bool store_selector(struct vcpu *cpu, const struct callout_args *args, uint16_t selector)
{
    return callout_write_rm(cpu, args, args->memory ? 2 : args->operand_size, selector);
}

bool callout_mov_from_segment(struct vcpu *cpu, const struct callout_args *args)
{
    if (args->reg >= SEG_COUNT)
        return cpu_raise(cpu, EXC_UD);
    return store_selector(cpu, args, cpu->state.segment[args->reg].selector);
}

/* With a 32-bit operand ESP moves by 4, but only the selector's 16 bits are written (Intel SDM vol. 2, PUSH) and only
 * they are checked against the limit. */
bool callout_push_segment(struct vcpu *cpu, const struct callout_args *args)
{
    uint64_t at = (cpu->state.gpr[GPR_SP] - args->operand_size) & cpu_stack_mask(cpu);

    TRY(cpu_write_data(cpu, SEG_SS, at, 2, cpu->state.segment[args->reg].selector));
    cpu_adjust_stack(cpu, -(int64_t)args->operand_size);
    return true;
}

bool callout_pop_segment(struct vcpu *cpu, const struct callout_args *args)
{
    uint64_t mask = cpu_stack_mask(cpu), sp = cpu->state.gpr[GPR_SP], selector;

    TRY(cpu_read_data(cpu, SEG_SS, sp & mask, 2, &selector));
    TRY(cpu_load_segment(cpu, args->reg, (uint16_t)selector));
    /* The pop is on the stack as it was, which POP SS has just replaced. */
    cpu_set_gpr(cpu, GPR_SP, mask == 0xffff ? 2 : 4, sp + args->operand_size);
    inhibit_after_stack_load(cpu, args->reg);
    return true;
}

static unsigned segment_of_far_load(uint16_t row)
{
    switch (row) {
    case ROW_LES:
        return SEG_ES;
    case ROW_LSS:
        return SEG_SS;
    case ROW_LFS:
        return SEG_FS;
    case ROW_LGS:
        return SEG_GS;
    default:
        return SEG_DS;
    }
}

bool callout_load_far_pointer(struct vcpu *cpu, const struct callout_args *args)
{
    unsigned size = args->operand_size;
    uint64_t offset, selector;

    if (!args->memory)
        return cpu_raise(cpu, EXC_UD);
    TRY(callout_read_far_pointer(cpu, args, &offset, &selector));
    TRY(cpu_load_segment(cpu, segment_of_far_load(args->row), (uint16_t)selector));
    cpu_set_gpr(cpu, args->reg, size, offset);
    return true;
}

/* ---- LDTR and TR ---- */

/* These and the examining instructions are not recognized in real and virtual-8086 mode. */
static bool require_protected_mode(struct vcpu *cpu)
{
    return cpu_in_protected_mode(cpu) || cpu_raise(cpu, EXC_UD);
}

static bool require_ring0(struct vcpu *cpu)
{
    return cpu_cpl(cpu) == 0 || cpu_raise_error(cpu, EXC_GP, 0);
}

bool callout_lldt(struct vcpu *cpu, const struct callout_args *args)
{
    uint64_t selector;

    TRY(require_protected_mode(cpu));
    TRY(require_ring0(cpu));
    TRY(callout_read_rm(cpu, args, 2, &selector));
    return cpu_load_ldtr(cpu, (uint16_t)selector);
}

bool callout_ltr(struct vcpu *cpu, const struct callout_args *args)
{
    uint64_t selector;

    TRY(require_protected_mode(cpu));
    TRY(require_ring0(cpu));
    TRY(callout_read_rm(cpu, args, 2, &selector));
    return cpu_load_tr(cpu, (uint16_t)selector);
}

bool callout_sldt(struct vcpu *cpu, const struct callout_args *args)
{
    TRY(require_protected_mode(cpu));
    return store_selector(cpu, args, cpu->state.ldtr.selector);
}

bool callout_str(struct vcpu *cpu, const struct callout_args *args)
{
    TRY(require_protected_mode(cpu));
    return store_selector(cpu, args, cpu->state.tr.selector);
}

/* ---- examining descriptors: the outcome is ZF, only memory faults are raised ---- */

static void set_zf(struct vcpu *cpu, bool value)
{
    uint32_t eflags = cpu_eflags(cpu);

    cpu->state.arithmetic_flags = cpu_eflags_to_arithmetic(value ? eflags | FLAG_ZF : eflags & ~FLAG_ZF);
}

/* Reads the descriptor; *ACCESSIBLE is false if SELECTOR is null or outside its table. */
static bool examine(struct vcpu *cpu, uint16_t selector, struct descriptor *d, bool *accessible)
{
    *accessible = false;
    if (selector_is_null(selector))
        return true;
    if (!cpu_read_descriptor(cpu, selector, EXC_GP, d)) {
        if (cpu->exception.vector != EXC_GP)
            return false;
        cpu->exception.valid = false;
        return true;
    }
    *accessible = true;
    return true;
}

/* Privilege does not limit access to conforming code. */
static bool privilege_allows(const struct vcpu *cpu, uint16_t selector, const struct descriptor *d)
{
    return descriptor_is_conforming(d) ||
           (descriptor_dpl(d) >= cpu_cpl(cpu) && descriptor_dpl(d) >= SELECTOR_RPL(selector));
}

#define TYPE(name)       (1u << SYSTEM_##name)
#define TYPES_WITH_LIMIT (TYPE(TSS16) | TYPE(LDT) | TYPE(TSS16_BUSY) | TYPE(TSS32) | TYPE(TSS32_BUSY))
#define TYPES_FOR_LAR    (TYPES_WITH_LIMIT | TYPE(CALL_GATE16) | TYPE(TASK_GATE) | TYPE(CALL_GATE32))

/* What LAR and LSL share: tables 3-52 and 3-58 of Intel SDM vol. 2 give the system types each accepts. */
static bool examine_for_load(struct vcpu *cpu, const struct callout_args *args, unsigned system_types,
                             struct descriptor *d, bool *accessible)
{
    uint64_t selector;

    TRY(require_protected_mode(cpu));
    TRY(callout_read_rm(cpu, args, 2, &selector));
    TRY(examine(cpu, (uint16_t)selector, d, accessible));
    if (*accessible && descriptor_is_system(d))
        *accessible = system_types >> descriptor_type(d) & 1;
    if (*accessible)
        *accessible = privilege_allows(cpu, (uint16_t)selector, d);
    set_zf(cpu, *accessible);
    return true;
}

bool callout_lar(struct vcpu *cpu, const struct callout_args *args)
{
    struct descriptor d;
    bool accessible;

    TRY(examine_for_load(cpu, args, TYPES_FOR_LAR, &d, &accessible));
    /* Bits 19:16, the limit's, are undefined by the manual; processors leave them in. */
    if (accessible)
        cpu_set_gpr(cpu, args->reg, args->operand_size, d.high & 0x00ffff00);
    return true;
}

bool callout_lsl(struct vcpu *cpu, const struct callout_args *args)
{
    struct descriptor d;
    bool accessible;

    TRY(examine_for_load(cpu, args, TYPES_WITH_LIMIT, &d, &accessible));
    if (accessible)
        cpu_set_gpr(cpu, args->reg, args->operand_size, descriptor_limit(&d));
    return true;
}

static bool verify(struct vcpu *cpu, const struct callout_args *args, bool (*allows)(const struct descriptor *))
{
    struct descriptor d;
    uint64_t selector;
    bool accessible;

    TRY(require_protected_mode(cpu));
    TRY(callout_read_rm(cpu, args, 2, &selector));
    TRY(examine(cpu, (uint16_t)selector, &d, &accessible));
    set_zf(cpu, accessible && allows(&d) && privilege_allows(cpu, (uint16_t)selector, &d));
    return true;
}

bool callout_verr(struct vcpu *cpu, const struct callout_args *args)
{
    return verify(cpu, args, descriptor_is_readable);
}

bool callout_verw(struct vcpu *cpu, const struct callout_args *args)
{
    return verify(cpu, args, descriptor_is_writable_data);
}

bool callout_arpl(struct vcpu *cpu, const struct callout_args *args)
{
    uint64_t selector, rpl = cpu->state.gpr[args->reg] & 3;

    TRY(require_protected_mode(cpu));
    TRY(callout_read_rm(cpu, args, 2, &selector));
    bool lower = (selector & 3) < rpl;
    if (lower)
        TRY(callout_write_rm(cpu, args, 2, (selector & ~3ull) | rpl));
    set_zf(cpu, lower);
    return true;
}

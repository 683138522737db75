/* MOV to and from debug registers, and breakpoint matching (Intel SDM vol. 3, 17.2). */
#include "cpu/callouts.h"
#include "cpu/debug.h"

enum { BREAK_EXECUTE, BREAK_WRITE, BREAK_IO, BREAK_ACCESS }; /* DR7.R/Wn */

struct breakpoint {
    unsigned kind;
    uint64_t address;
    unsigned length;
};

/* Breakpoint N as DR7 and DRn describe it; false if not enabled. */
static bool get_breakpoint(const struct vcpu *cpu, unsigned n, struct breakpoint *out)
{
    static const uint8_t lengths[4] = {1, 2, 8, 4}; /* 10b: undefined on 32-bit processors, 8 on later ones */
    uint32_t dr7 = (uint32_t)cpu->state.dr[7];

    if (!(dr7 >> (2 * n) & 3))
        return false;
    out->kind = dr7 >> (16 + 4 * n) & 3;
    out->length = lengths[dr7 >> (18 + 4 * n) & 3];
    /* LEN masks the low address bits: a breakpoint covers its naturally aligned unit. Not so for code, where only
     * LEN 0 is defined. */
    out->address = cpu->state.dr[n];
    if (out->kind != BREAK_EXECUTE)
        out->address &= ~(uint64_t)(out->length - 1);
    return true;
}

static bool any_enabled(const struct vcpu *cpu, unsigned kinds)
{
    struct breakpoint b;

    for (unsigned n = 0; n < 4; n++) {
        if (get_breakpoint(cpu, n, &b) && (kinds >> b.kind & 1))
            return true;
    }
    return false;
}

static void observe_access(void *opaque, uint64_t linear, unsigned size, enum mmu_access access)
{
    debug_check_data(opaque, linear, size, access);
}

void debug_update(struct vcpu *cpu)
{
    bool reads = any_enabled(cpu, 1u << BREAK_ACCESS);
    bool writes = any_enabled(cpu, 1u << BREAK_ACCESS | 1u << BREAK_WRITE);

    for (unsigned i = 0; i < cpu->watchpoints.count; i++) {
        reads |= (cpu->watchpoints.list[i].kind & WATCH_READ) != 0;
        writes = true; /* the read of a read-modify-write goes the way of writes */
    }
    cpu->mmu.observer = observe_access;
    cpu->mmu.observer_opaque = cpu;
    if (cpu->mmu.observe_reads != reads || cpu->mmu.observe_writes != writes)
        mmu_set_observe(&cpu->mmu, reads, writes);
}

void debug_set_dr7(struct vcpu *cpu, uint32_t value)
{
    cpu->state.dr[7] = (value & DR7_WRITABLE) | DR7_FIXED;
    debug_update(cpu);
    atomic_fetch_or(&cpu->attention, ATTENTION_EVENT);
}

bool debug_breakpoints_armed_slow(const struct vcpu *cpu)
{
    return any_enabled(cpu, 1u << BREAK_EXECUTE | 1u << BREAK_WRITE | 1u << BREAK_ACCESS);
}

bool debug_check_execute(struct vcpu *cpu, uint64_t linear)
{
    struct breakpoint b;
    uint32_t status = 0;

    if (likely(!(cpu->state.dr[7] & DR7_ENABLED)))
        return true;
    /* Intel SDM vol. 3, 6.8.3: the shadow of MOV SS holds back instruction breakpoints as if RF were set. */
    if ((cpu->state.system_flags & FLAG_RF) || (cpu->state.interrupt_shadow & INHIBIT_MOV_SS))
        return true;
    for (unsigned n = 0; n < 4; n++) {
        if (get_breakpoint(cpu, n, &b) && b.kind == BREAK_EXECUTE && b.address == linear)
            status |= DR6_B(n);
    }
    return status ? cpu_raise_debug(cpu, status, false) : true;
}

/* [address, address+size) and [b_address, b_address+b_length) share a byte. Linear addresses wrap at 4 GiB outside long
 * mode. */
static bool overlaps(const struct vcpu *cpu, uint64_t b_address, unsigned b_length, uint64_t address, unsigned size)
{
    uint64_t mask = cpu->mode & MODE_LONG ? UINT64_MAX : UINT32_MAX;
    return ((address - b_address) & mask) < b_length || ((b_address - address) & mask) < size;
}

/* Notes every enabled breakpoint among KINDS that the access touches. */
static void collect(struct vcpu *cpu, unsigned kinds, uint64_t address, unsigned size)
{
    struct breakpoint b;
    uint32_t status = 0;

    for (unsigned n = 0; n < 4; n++) {
        if (get_breakpoint(cpu, n, &b) && (kinds >> b.kind & 1) && overlaps(cpu, b.address, b.length, address, size))
            status |= DR6_B(n);
    }
    if (status) {
        cpu->pending_debug |= status;
        atomic_fetch_or(&cpu->attention, ATTENTION_EVENT);
    }
}

/* The first hit stays, but a write, which changes what the debugger shows, comes before reads. */
static void check_watchpoints(struct vcpu *cpu, uint64_t linear, unsigned size, bool write)
{
    struct watchpoints *watchpoints = &cpu->watchpoints;

    if (watchpoints->hit && (watchpoints->hit_write || !write))
        return;
    for (unsigned i = 0; i < watchpoints->count; i++) {
        const struct watchpoint *w = &watchpoints->list[i];
        bool inside;

        if (!(w->kind & (write ? WATCH_WRITE : WATCH_READ)) || !overlaps(cpu, w->address, w->length, linear, size))
            continue;
        inside = overlaps(cpu, w->address, w->length, linear, 1);
        watchpoints->hit = true;
        watchpoints->hit_kind = w->kind;
        watchpoints->hit_write = write;
        watchpoints->hit_address = inside ? linear : w->address;
        atomic_fetch_or(&cpu->attention, ATTENTION_EVENT);
        return;
    }
}

static bool same_watchpoint(const struct watchpoint *a, const struct watchpoint *b)
{
    return a->address == b->address && a->length == b->length && a->kind == b->kind;
}

bool debug_set_watchpoint(struct vcpu *cpu, const struct watchpoint *watchpoint, bool set)
{
    struct watchpoints *watchpoints = &cpu->watchpoints;
    unsigned i = 0;

    while (i < watchpoints->count && !same_watchpoint(&watchpoints->list[i], watchpoint))
        i++;
    if (set == (i < watchpoints->count))
        return true;
    if (set) {
        if (i == WATCHPOINT_COUNT || !watchpoint->length || watchpoint->length > WATCHPOINT_MAX_LENGTH)
            return false;
        watchpoints->list[watchpoints->count++] = *watchpoint;
    } else {
        watchpoints->list[i] = watchpoints->list[--watchpoints->count];
    }
    debug_update(cpu);
    atomic_fetch_or(&cpu->attention, ATTENTION_EVENT);
    return true;
}

void debug_clear_watchpoints(struct vcpu *cpu)
{
    cpu->watchpoints.count = 0;
    cpu->watchpoints.hit = false;
    debug_update(cpu);
}

void debug_forget_watchpoint_hit(struct vcpu *cpu)
{
    cpu->watchpoints.hit = false;
}

void debug_check_data(struct vcpu *cpu, uint64_t linear, unsigned size, enum mmu_access access)
{
    if (unlikely(cpu->watchpoints.count) && access != MMU_EXECUTE)
        check_watchpoints(cpu, linear, size, access == MMU_WRITE);
    if (access == MMU_WRITE)
        collect(cpu, 1u << BREAK_WRITE | 1u << BREAK_ACCESS, linear, size);
    else if (access == MMU_READ)
        collect(cpu, 1u << BREAK_ACCESS, linear, size);
}

void debug_check_io(struct vcpu *cpu, uint16_t port, unsigned size)
{
    if (likely(!(cpu->state.dr[7] & DR7_ENABLED)) || !(cpu->state.cr4 & CR4_DE))
        return;
    collect(cpu, 1u << BREAK_IO, port, size);
}

/* Checks common to both directions. *NUMBER is the register meant: DR4 and DR5 are DR6 and DR7 unless CR4.DE. */
static bool check_access(struct vcpu *cpu, unsigned encoded, unsigned *number)
{
    if ((encoded == 4 || encoded == 5) && (cpu->state.cr4 & CR4_DE))
        return cpu_raise(cpu, EXC_UD);
    if (encoded > 7)
        return cpu_raise(cpu, EXC_UD);
    if (cpu_cpl(cpu) != 0)
        return cpu_raise_error(cpu, EXC_GP, 0);
    if (cpu->state.dr[7] & DR7_GD)
        return cpu_raise_debug(cpu, DR6_BD, false);
    *number = encoded == 4 || encoded == 5 ? encoded + 2 : encoded;
    return true;
}

bool callout_mov_from_debug(struct vcpu *cpu, const struct callout_args *args)
{
    unsigned number = 0;

    TRY(check_access(cpu, args->reg, &number));
    uint64_t value = cpu->state.dr[number];
    if (number == 6)
        value = (value & DR6_WRITABLE) | DR6_FIXED;
    else if (number == 7)
        value = (value & DR7_WRITABLE) | DR7_FIXED;
    cpu_set_gpr(cpu, args->rm, 4, value);
    return true;
}

bool callout_mov_to_debug(struct vcpu *cpu, const struct callout_args *args)
{
    uint32_t value = (uint32_t)cpu->state.gpr[args->rm];
    unsigned number = 0;

    TRY(check_access(cpu, args->reg, &number));
    switch (number) {
    case 6:
        cpu->state.dr[6] = (value & DR6_WRITABLE) | DR6_FIXED;
        break;
    case 7:
        debug_set_dr7(cpu, value);
        break;
    default:
        cpu->state.dr[number] = value;
        break;
    }
    return true;
}

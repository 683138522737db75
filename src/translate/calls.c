/* The C side of the thunks: what translated code cannot do by itself. Every guest register is in cpu->state; state.rip is
 * not (the site tells), but for calls, which set it. */
#include "cpu/fpu.h"
#include "interp/interp.h"
#include "mmu/access.h"
#include "translate/event_trace.h"
#include "translate/translate_private.h"

#include <string.h>

struct translator *translator_of(const struct vcpu *cpu)
{
    return cpu->native.translator;
}

/* ---- memory ---- */

static uint64_t bounce(struct vcpu *cpu, uint32_t linear)
{
    return (uint64_t)(uintptr_t)cpu->native.bounce - linear;
}

/* For the profile: one in some 64. */
static inline void sample_slow_access(struct vcpu *cpu, bool write)
{
    struct translator *t = translator_of(cpu);

    if (unlikely(--t->profile.slow_countdown == 0))
        profile_slow_access(t, write);
}

static uint64_t read_operand(struct vcpu *cpu, uint32_t linear, unsigned size)
{
    struct mmu_result value = mmu_read_slow(&cpu->mmu, linear, size);

    cpu->stats->native_slow_reads++;
    sample_slow_access(cpu, false);
    if (LOG_ENABLED(cpu->log, PROFILE))
        event_trace_slow_access(cpu, false);
    if (!value.ok)
        return 0;
    memcpy(cpu->native.bounce, &value.value, sizeof value.value);
    return bounce(cpu, linear);
}

static uint64_t write_operand(struct vcpu *cpu, uint32_t linear, unsigned size)
{
    cpu->stats->native_slow_writes++;
    sample_slow_access(cpu, true);
    if (LOG_ENABLED(cpu->log, PROFILE))
        event_trace_slow_access(cpu, true);
    if (!mmu_prepare_write(&cpu->mmu, linear, size))
        return 0;
    cpu->native.bounce_linear = linear;
    cpu->native.bounce_size = size;
    return bounce(cpu, linear);
}

static uint64_t update_operand(struct vcpu *cpu, uint32_t linear, unsigned size)
{
    struct mmu_result value = mmu_read_for_write_slow(&cpu->mmu, linear, size);

    cpu->stats->native_slow_writes++;
    sample_slow_access(cpu, true);
    if (LOG_ENABLED(cpu->log, PROFILE))
        event_trace_slow_access(cpu, true);
    if (!value.ok)
        return 0;
    memcpy(cpu->native.bounce, &value.value, sizeof value.value);
    cpu->native.bounce_linear = linear;
    cpu->native.bounce_size = size;
    return bounce(cpu, linear);
}

static uint64_t commit_operand(struct vcpu *cpu)
{
    uint64_t value;

    memcpy(&value, cpu->native.bounce, sizeof value);
    mmu_write_slow(&cpu->mmu, cpu->native.bounce_linear, cpu->native.bounce_size, value); /* checked before */
    return cpu->native.leave;
}

static uint64_t segment_address(struct vcpu *cpu, uint32_t offset, unsigned what)
{
    uint64_t linear = 0;
    unsigned segment = what & 7, size = what >> 8;
    bool ok = what & 8 ? cpu_check_segment_write(cpu, segment, offset, size, &linear)
                       : cpu_check_segment_read(cpu, segment, offset, size, &linear);

    sample_slow_access(cpu, what & 8);
    return ok ? (uint32_t)linear : UINT64_MAX;
}

/* An x87 store whose unmasked exception keeps it from happening touches no memory: the interpreter looks first. */
static bool may_keep_store(void)
{
    uint16_t control;

    __asm__ volatile("fnstcw %0" : "=m"(control));
    return ~control & (X87_IE | X87_OE | X87_UE);
}

static uint64_t fpu_operand(struct vcpu *cpu, uint32_t linear, unsigned what)
{
    unsigned size = what & 0xff;

    sample_slow_access(cpu, what & 0x100);
    if ((what & 0x200) && (linear & 15))
        return 0;
    if ((linear & PAGE_MASK) + size > PAGE_SIZE || cpu_fpu_error_pending(cpu))
        return 0;
    if ((what & 0x100) && may_keep_store())
        return 0;
    uint8_t *p = mmu_bulk_pointer(&cpu->mmu, linear, what & 0x100 ? MMU_WRITE : MMU_READ);
    return p ? (uint64_t)(uintptr_t)p - linear : 0;
}

/* ---- instructions ---- */

static void give_back(struct vcpu *cpu, unsigned instructions)
{
    if (cpu->mode & MODE_COUNTED)
        cpu->budget += instructions;
}

static uint64_t raise(struct vcpu *cpu, const struct native_call *call)
{
    bool with_error = call->vector == EXC_GP;

    if (with_error)
        cpu_raise_error(cpu, EXC_GP, 0);
    else
        cpu_raise(cpu, call->vector);
    cpu->state.rip = call->eip;
    give_back(cpu, call->remaining);
    cpu_deliver_exception(cpu);
    return NATIVE_CALL_LEAVE;
}

/* Does something want the run loop's attention at this instruction boundary? */
static bool must_leave(const struct vcpu *cpu)
{
    return atomic_load_explicit(&cpu->attention, memory_order_relaxed) || cpu->native.leave;
}

/* May no other translation be entered before the run loop has looked? (The attention is asked by the lookup.) */
static bool needs_run_loop(const struct vcpu *cpu)
{
    return cpu->state.halted || cpu->mmu.observe_reads || cpu->mmu.observe_writes;
}

static uint64_t call_out(struct vcpu *cpu, const struct native_call *call, uint32_t offset)
{
    uint32_t mode = cpu->mode;

    cpu->state.rip = call->eip;
    cpu->next_rip = call->next_eip;
    cpu->stats->callouts++;
    translator_of(cpu)->called_out[call->row]++;
    if (unlikely(mode & MODE_COUNTED)) {
        interp_account(translator_of(cpu)->interp, cpu->budget + call->remaining);
        cpu->mmu.devices_alone = false;
    }
    call->args->offset = offset;
    if (unlikely(!call->function(cpu, call->args))) {
        give_back(cpu, call->remaining);
        cpu_deliver_exception(cpu);
        return NATIVE_CALL_LEAVE;
    }
    cpu->mmu.devices_alone = (mode & MODE_COUNTED) && !translator_of(cpu)->lockstep;
    if (call->ends || cpu->next_rip != call->next_eip || cpu->mode != mode || must_leave(cpu)) {
        cpu->state.rip = cpu->next_rip;
        if (cpu->state.interrupt_shadow) /* of STI before another; others have said it themselves */
            atomic_fetch_or_explicit(&cpu->attention, ATTENTION_EVENT, memory_order_relaxed);
        if (mode & MODE_COUNTED)
            cpu->budget += call->remaining - 1;
        return needs_run_loop(cpu) ? NATIVE_CALL_LEAVE : NATIVE_CALL_JUMP;
    }
    cpu->state.interrupt_shadow = 0; /* the one instruction that it is for comes next in this block */
    return NATIVE_CALL_STAY;
}

static uint64_t interpret(struct vcpu *cpu, const struct native_call *call)
{
    struct translator *t = translator_of(cpu);
    bool counted = cpu->mode & MODE_COUNTED;
    int64_t budget = cpu->budget;

    cpu->stats->native_interpreted++;
    t->interpreted[call->row]++;
    cpu->state.rip = call->eip;
    if (!call->interpreted) { /* a branch, or something else that the run loop must see */
        interp_request_step(t->interp);
        give_back(cpu, call->remaining);
        return NATIVE_CALL_LEAVE;
    }
    bool done = interp_run_single(t->interp, call->interpreted);
    if (!counted) /* nothing was charged, so nothing can be given back */
        cpu->budget = budget;
    if (!done)
        return NATIVE_CALL_LEAVE;
    if (call->ends || must_leave(cpu)) {
        cpu->state.rip = call->next_eip;
        give_back(cpu, call->remaining - 1u);
        return t->lockstep || needs_run_loop(cpu) ? NATIVE_CALL_LEAVE : NATIVE_CALL_JUMP;
    }
    return NATIVE_CALL_STAY;
}

static uint64_t call_any_instruction(struct vcpu *cpu, const struct native_call *call, uint32_t offset)
{
    if (LOG_ENABLED(cpu->log, PROFILE))
        ((struct native_call *)(uintptr_t)call)->count++;
    switch (call->kind) {
    case NATIVE_TRACE: event_trace_executed(cpu, call->interpreted); return NATIVE_CALL_STAY;
    case NATIVE_RAISE: return raise(cpu, call);
    case NATIVE_CALLOUT: return call_out(cpu, call, offset);
    default: return interpret(cpu, call);
    }
}

/* The calls on the host's stack (thunks.h) do not outlive the mode, the code segment and the TLB's entries. */
static uint64_t call_instruction(struct vcpu *cpu, const struct native_call *call, uint32_t offset)
{
    const struct segment *cs = &cpu->state.segment[SEG_CS];
    uint32_t mode = cpu->mode, limit = cs->limit;
    uint64_t base = cs->base;
    uint64_t result = call_any_instruction(cpu, call, offset);

    if (result == NATIVE_CALL_JUMP) {
        bool stale = cpu->mmu.generation != cpu->native.returns_generation;

        if (unlikely(stale || cpu->mode != mode || cs->base != base || cs->limit != limit)) {
            cpu->native.returns_generation = cpu->mmu.generation;
            return NATIVE_CALL_JUMP_AFRESH;
        }
        return call->ends ? NATIVE_CALL_STAY : NATIVE_CALL_JUMP;
    }
    return result;
}

/* ---- what the thunks call: the above, and the phase told for who samples it (base/stats.h) ---- */

/* CALL, timed as PHASE. */
#define TIMED(phase, call)                       \
    do {                                         \
        stats_set_phase(cpu->stats, phase);      \
        uint64_t result = call;                  \
        stats_set_phase(cpu->stats, STATS_PHASE_EXECUTE); \
        if (unlikely(cpu->native.returns_generation != cpu->mmu.generation)) \
            native_forget_calls(cpu);            \
        return result;                           \
    } while (0)

static uint64_t timed_read(struct vcpu *cpu, uint32_t linear, unsigned size)
{
    TIMED(STATS_PHASE_MEMORY, read_operand(cpu, linear, size));
}

static uint64_t timed_write(struct vcpu *cpu, uint32_t linear, unsigned size)
{
    TIMED(STATS_PHASE_MEMORY, write_operand(cpu, linear, size));
}

static uint64_t timed_update(struct vcpu *cpu, uint32_t linear, unsigned size)
{
    TIMED(STATS_PHASE_MEMORY, update_operand(cpu, linear, size));
}

static uint64_t timed_commit(struct vcpu *cpu)
{
    TIMED(STATS_PHASE_MEMORY, commit_operand(cpu));
}

static uint64_t timed_segment(struct vcpu *cpu, uint32_t offset, unsigned what)
{
    TIMED(STATS_PHASE_MEMORY, segment_address(cpu, offset, what));
}

static uint64_t timed_fpu_operand(struct vcpu *cpu, uint32_t linear, unsigned what)
{
    TIMED(STATS_PHASE_MEMORY, fpu_operand(cpu, linear, what));
}

static uint64_t timed_instruction(struct vcpu *cpu, const struct native_call *call, uint32_t offset)
{
    TIMED(call->kind == NATIVE_INTERPRET ? STATS_PHASE_SINGLE : STATS_PHASE_CALLOUT, call_instruction(cpu, call, offset));
}

const struct native_functions translator_functions = {
    .read = timed_read,
    .write = timed_write,
    .update = timed_update,
    .commit = timed_commit,
    .segment = timed_segment,
    .fpu_operand = timed_fpu_operand,
    .call = timed_instruction,
};

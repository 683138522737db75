/* The run loop: what happens between blocks. */
#include "cpu/debug.h"
#include "cpu/fpu.h"
#include "interp/block.h"
#include "interp/fpu_signal.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

/* ---- leaving a block ---- */

static void give_back(struct vcpu *cpu, unsigned instructions)
{
    cpu->budget += instructions;
}

const struct op *interp_leave_before(struct vcpu *cpu, const struct op *op)
{
    cpu->state.rip = op->eip;
    give_back(cpu, op->remaining);
    return NULL;
}

const struct op *interp_leave_after(struct vcpu *cpu, const struct op *op)
{
    cpu->state.rip = op_next_eip(cpu, op);
    give_back(cpu, op->remaining - 1u);
    return NULL;
}

const struct op *interp_leave_repeating(struct vcpu *cpu, const struct op *op)
{
    /* What an interrupt between two iterations pushes (Intel SDM vol. 3, 17.3.1.1). */
    cpu->state.system_flags |= FLAG_RF;
    interp_of(cpu)->repeating = true;
    interp_of(cpu)->resume_linear = (uint32_t)(cpu->state.segment[SEG_CS].base + op->eip);
    interp_of(cpu)->resume_valid = true; /* a breakpoint is met once, not with each iteration */
    return interp_leave_before(cpu, op);
}

const struct op *interp_callout_fault(struct vcpu *cpu, const struct op *op)
{
    give_back(cpu, op->remaining);
    cpu_deliver_exception(cpu);
    return NULL;
}

const struct op *interp_fault(struct vcpu *cpu, const struct op *op)
{
    if (unlikely(cpu->mmu.fault.kind == MMU_FAULT_DEVICE)) {
        cpu->mmu.fault.kind = MMU_FAULT_NONE;
        cpu->exception.valid = false;
        interp_of(cpu)->step_requested = true;
        return interp_leave_before(cpu, op);
    }
    if (!cpu->exception.valid)
        cpu_raise_memory_fault(cpu);
    cpu->state.rip = op->eip;
    give_back(cpu, op->remaining);
    cpu_deliver_exception(cpu);
    return NULL;
}

const struct op *interp_raise(struct vcpu *cpu, const struct op *op, enum exception_vector vector)
{
    static const uint32_t with_error = 1u << EXC_DF | 1u << EXC_TS | 1u << EXC_NP | 1u << EXC_SS | 1u << EXC_GP |
                                       1u << EXC_PF | 1u << EXC_AC;

    if (with_error >> vector & 1)
        cpu_raise_error(cpu, vector, 0);
    else
        cpu_raise(cpu, vector);
    return interp_fault(cpu, op);
}

struct mmu_result interp_check_segment(struct vcpu *cpu, unsigned seg, uint32_t offset, unsigned size, bool write)
{
    uint64_t linear = 0;
    bool ok = write ? cpu_check_segment_write(cpu, seg, offset, size, &linear)
                    : cpu_check_segment_read(cpu, seg, offset, size, &linear);

    return (struct mmu_result){linear, ok};
}

void interp_account(struct interp *interp, int64_t budget)
{
    struct vcpu *cpu = interp->cpu;
    uint64_t retired = (uint64_t)(interp->accounted_budget - budget);

    interp->accounted_budget = budget;
    cpu->instructions += retired;
    cpu->stats->instructions += retired;
    if (clock_is_counted(cpu->clock))
        clock_advance_instructions(cpu->clock, retired);
}

/* ---- the loop ---- */

static void execute(struct vcpu *cpu, const struct op *op)
{
    while (op)
        op = op->handler(cpu, op);
}

enum at_breakpoint { BREAKPOINT_NONE, BREAKPOINT_HIT, BREAKPOINT_PASSED };

/* PASSED: the debugger knows of it, or the instruction is being restarted; it runs alone, for no block starts here. */
static enum at_breakpoint look_for_breakpoint(struct interp *interp)
{
    struct vcpu *cpu = interp->cpu;
    uint32_t linear = (uint32_t)(cpu->state.segment[SEG_CS].base + (uint32_t)cpu->state.rip);
    bool resumed = interp->resume_valid && interp->resume_linear == linear;

    interp->resume_valid = false;
    if (interp_room_before_breakpoint(interp, linear, 1))
        return BREAKPOINT_NONE;
    if (resumed || (cpu->state.system_flags & FLAG_RF))
        return BREAKPOINT_PASSED;
    interp->resume_linear = linear;
    interp->resume_valid = true;
    interp->breakpoint_hit = true;
    return BREAKPOINT_HIT;
}

/* Conditions under which instructions are run one at a time. */
static bool must_single_step(const struct interp *interp)
{
    const struct vcpu *cpu = interp->cpu;

    return (cpu->state.system_flags & (FLAG_TF | FLAG_RF)) || cpu->state.interrupt_shadow ||
           debug_breakpoints_armed(cpu) || cpu->watchpoints.count || cpu->pending_debug;
}

static void forget_uncached(struct interp *interp)
{
    if (interp->uncached) {
        interp->arena_used = (size_t)((uint8_t *)interp->uncached - interp->arena);
        interp->uncached = NULL;
    }
}

/* Gates clear TF themselves and leave no single-step trap behind (SDM vol. 3, 17.3.1.4). INTO without overflow is an
 * instruction like any other. */
static bool is_software_interrupt(const struct vcpu *cpu, const struct block *block)
{
    return block->interrupts || (block->interrupts_on_overflow && (cpu_eflags(cpu) & FLAG_OF));
}

/* One instruction with everything that hangs on instruction boundaries: shadows, RF, TF, breakpoints. */
static void step(struct interp *interp)
{
    struct vcpu *cpu = interp->cpu;
    bool trap_flag = cpu->state.system_flags & FLAG_TF;
    uint8_t shadow = cpu->state.interrupt_shadow;
    uint32_t linear = (uint32_t)(cpu->state.segment[SEG_CS].base + (uint32_t)cpu->state.rip);

    /* Keeps blocks from chaining to others. */
    atomic_fetch_or_explicit(&cpu->attention, ATTENTION_EVENT, memory_order_relaxed);
    cpu->mmu.devices_alone = false;
    if (cpu->mode & MODE_COUNTED) /* what it does, it does at its own time */
        interp_account(interp, cpu->budget);
    if (!(shadow & INHIBIT_MOV_SS) && !debug_check_execute(cpu, linear)) {
        cpu_deliver_exception(cpu);
        return;
    }
    struct block *block = block_find(interp, MODE_SINGLE);
    if (!block) {
        cpu->state.interrupt_shadow = 0;
        cpu_deliver_exception(cpu);
        return;
    }
    cpu->state.interrupt_shadow = 0;
    cpu->state.system_flags &= ~FLAG_RF;
    uint64_t exceptions = cpu->stats->exceptions;
    bool software_interrupt = is_software_interrupt(cpu, block);
    cpu->budget -= block->count;
    cpu->stats->instructions_interpreted += block->count;
    execute(cpu, block->ops);
    forget_uncached(interp);
    if (cpu->stats->exceptions != exceptions) { /* a new task's T bit outlives the exception that switched to it */
        cpu->pending_debug &= 1u << 15;
        return;
    }
    uint32_t status = cpu->pending_debug;
    if (trap_flag && !software_interrupt)
        status |= 1u << 14; /* DR6.BS */
    if (!status)
        return;
    if (cpu->state.interrupt_shadow & INHIBIT_MOV_SS) { /* held back for one instruction; the single-step trap is lost */
        cpu->pending_debug = status & ~(1u << 14);
        return;
    }
    cpu->pending_debug = 0;
    cpu->state.halted = false; /* a debug exception ends HLT (Intel SDM vol. 2, HLT) */
    cpu_raise_debug(cpu, status, true);
    cpu_deliver_exception(cpu);
}

/* ---- bursts: blocks that have translations are interpreted one by one, for a profile ----
 *
 * Such blocks are kept under a mode of their own, so that nobody else finds them: they say nothing about whether there
 * is a translation, and need not be decoded again by the next burst. */

#define BURST_BLOCKS 32u

static void begin_burst(struct interp *interp)
{
    if (interp->native && interp->native->observe && !interp->breakpoint_count && !must_single_step(interp))
        interp->burst = BURST_BLOCKS;
}

/* False: the code at state.rip is not to be observed, and nothing was done. */
static bool run_observed(struct interp *interp)
{
    struct vcpu *cpu = interp->cpu;

    if (!interp->native->observe(interp->native->opaque))
        return false;
    struct block *block = block_find(interp, MODE_OBSERVED);
    if (unlikely(!block)) {
        cpu_deliver_exception(cpu);
        return true;
    }
    if (unlikely(block->count > cpu->budget)) {
        forget_uncached(interp);
        interp->burst = 0;
        return false;
    }
    struct interp_observed observed = {.eip = block->eip, .length = block->length};
    uint64_t exceptions = cpu->stats->exceptions;
    unsigned count = block->count;
    /* With no more than its own instructions left it cannot go on to others. */
    int64_t held_back = cpu->budget - count;
    interp->accounted_budget -= held_back;
    cpu->budget = 0;
    cpu->mmu.devices_alone = cpu->mode & MODE_COUNTED;
    execute(cpu, block->ops);
    cpu->stats->instructions_observed += (uint64_t)(count - cpu->budget);
    observed.complete = cpu->budget == 0 && cpu->stats->exceptions == exceptions;
    cpu->budget += held_back;
    interp->accounted_budget += held_back;
    forget_uncached(interp);
    observed.next_eip = (uint32_t)cpu->state.rip;
    interp->native->observed(interp->native->opaque, &observed);
    return true;
}

static void apply_posted_writes(struct interp *interp)
{
    pthread_mutex_lock(&interp->posted_mutex);
    for (unsigned i = 0; i < interp->posted_count; i++)
        block_page_written(interp, interp->posted[i].page, interp->posted[i].offset, interp->posted[i].length);
    interp->posted_count = 0;
    pthread_mutex_unlock(&interp->posted_mutex);
    if (atomic_load(&interp->flush_posted))
        block_flush_all(interp);
}

/* Returns false when the run loop must be left. */
static bool attend(struct interp *interp)
{
    struct vcpu *cpu = interp->cpu;
    unsigned attention = atomic_load(&cpu->attention);

    if (cpu->watchpoints.hit) /* the debugger looks before an interrupt is taken */
        return false;
    if (attention & ATTENTION_FLUSH) {
        atomic_fetch_and(&cpu->attention, ~ATTENTION_FLUSH);
        mmu_apply_posted(&cpu->mmu);
    }
    if (attention & (ATTENTION_STOP | ATTENTION_RESET))
        return false;
    if (attention & ATTENTION_TIMER) {
        atomic_fetch_and(&cpu->attention, ~ATTENTION_TIMER);
        if (clock_is_counted(cpu->clock))
            return false;
    }
    if (attention & ATTENTION_INVALIDATED) {
        atomic_fetch_and(&cpu->attention, ~(unsigned)ATTENTION_INVALIDATED);
        apply_posted_writes(interp);
    }
    if (attention & (ATTENTION_INTERRUPT | ATTENTION_NMI)) {
        /* Cleared first, looked at then: a line raised in between sets the bit again. */
        atomic_fetch_and(&cpu->attention, ~(unsigned)ATTENTION_INTERRUPT);
        if (cpu->state.interrupt_shadow)
            atomic_fetch_or(&cpu->attention, ATTENTION_INTERRUPT);
        else
            cpu_poll_interrupts(cpu);
    }
    if (attention & ATTENTION_PROFILE) {
        atomic_fetch_and(&cpu->attention, ~(unsigned)ATTENTION_PROFILE);
        begin_burst(interp);
    }
    if (interp->repeating) { /* nobody interrupted it: no need to go on singly, but for code breakpoints */
        interp->repeating = false;
        if (!debug_breakpoints_armed(cpu))
            cpu->state.system_flags &= ~FLAG_RF;
    }
    if (attention & ATTENTION_EVENT) {
        if (!must_single_step(interp))
            atomic_fetch_and(&cpu->attention, ~ATTENTION_EVENT);
    }
    return !cpu->watchpoints.hit; /* the stack of the interrupt delivered above */
}

static void run_one(struct interp *interp)
{
    struct vcpu *cpu = interp->cpu;

    if (cpu->pending_debug && !(cpu->state.interrupt_shadow & INHIBIT_MOV_SS) &&
        !(cpu->state.system_flags & FLAG_TF)) {
        uint32_t status = cpu->pending_debug;

        cpu->pending_debug = 0;
        cpu_raise_debug(cpu, status, true);
        cpu_deliver_exception(cpu);
        return;
    }
    step(interp);
}

/* Asked by any thread that writes. */
static bool is_owned_by_other(struct interp *interp)
{
    return __atomic_load_n(&interp->owned, __ATOMIC_ACQUIRE) &&
           !pthread_equal(__atomic_load_n(&interp->owner, __ATOMIC_RELAXED), pthread_self());
}

static void take_ownership(struct interp *interp)
{
    if (interp->owned && pthread_equal(interp->owner, pthread_self()))
        return;
    mmu_apply_posted(&interp->cpu->mmu); /* the TLB learns its thread too */
    __atomic_store_n(&interp->owner, pthread_self(), __ATOMIC_RELAXED);
    __atomic_store_n(&interp->owned, true, __ATOMIC_RELEASE);
}

void interp_run(struct interp *interp)
{
    struct vcpu *cpu = interp->cpu;

    take_ownership(interp);
    cpu_fpu_load(cpu);
    interp->accounted_budget = cpu->budget;
    if (must_single_step(interp))
        atomic_fetch_or(&cpu->attention, ATTENTION_EVENT);
    atomic_fetch_or(&cpu->attention, ATTENTION_INTERRUPT);
    for (;;) {
        if (unlikely(atomic_load_explicit(&cpu->attention, memory_order_relaxed)) && !attend(interp))
            break;
        if (unlikely(cpu->state.halted || cpu->budget <= 0))
            break;
        enum at_breakpoint at = unlikely(interp->breakpoint_count) ? look_for_breakpoint(interp) : BREAKPOINT_NONE;
        if (at == BREAKPOINT_HIT)
            break;
        if (unlikely(at == BREAKPOINT_PASSED ||
                     (atomic_load_explicit(&cpu->attention, memory_order_relaxed) & ATTENTION_EVENT))) {
            run_one(interp);
            continue;
        }
        if (unlikely(interp->step_requested)) {
            interp->step_requested = false;
            step(interp);
            continue;
        }
        if (unlikely(interp->burst)) {
            interp->burst--;
            if (run_observed(interp))
                continue;
        }
        if (interp->native) {
            if (!(interp->native->exclusive && block_is_cached(interp)) &&
                interp->native->enter(interp->native->opaque)) {
                interp->burst = 0;
                continue;
            }
        }
        struct block *block = block_find(interp, 0);
        if (unlikely(!block)) {
            cpu_deliver_exception(cpu);
            continue;
        }
        cpu->stats->blocks_entered++;
        if (unlikely(block->heat <= 1) && interp->native) {
            if (block != interp->uncached && interp->native->translate(interp->native->opaque)) {
                if (!block->dead)
                    block_forget(interp, block);
                continue;
            }
            block->heat = UINT32_MAX;
        }
        block->heat--;
        if (unlikely(block->count > cpu->budget)) { /* counted time: the last few singly */
            step(interp);
            continue;
        }
        int64_t budget = cpu->budget;
        cpu->budget -= block->count;
        cpu->mmu.devices_alone = cpu->mode & MODE_COUNTED;
        execute(cpu, block->ops);
        cpu->stats->instructions_interpreted += (uint64_t)(budget - cpu->budget);
        if (unlikely(interp->uncached))
            forget_uncached(interp);
    }
    cpu->mmu.devices_alone = false;
    interp_account(interp, cpu->budget);
}

bool interp_step(struct interp *interp, bool interrupts)
{
    struct vcpu *cpu = interp->cpu;
    uint64_t delivered = cpu->stats->interrupts;
    unsigned held_back = 0;
    bool done;

    take_ownership(interp);
    cpu_fpu_load(cpu);
    if (cpu->budget <= 0)
        cpu->budget = 1;
    interp->accounted_budget = cpu->budget;
    if (!interrupts)
        held_back = atomic_fetch_and(&cpu->attention, ~(unsigned)(ATTENTION_INTERRUPT | ATTENTION_NMI));
    done = attend(interp);
    if (done && !cpu->state.halted && cpu->stats->interrupts == delivered) {
        interp->resume_valid = false;
        run_one(interp);
    }
    atomic_fetch_or(&cpu->attention, held_back & (ATTENTION_INTERRUPT | ATTENTION_NMI));
    interp_account(interp, cpu->budget);
    return done;
}

unsigned interp_run_instructions(struct interp *interp, unsigned count)
{
    struct vcpu *cpu = interp->cpu;
    uint64_t exceptions = cpu->stats->exceptions;
    unsigned attention = atomic_load(&cpu->attention), i = 0;

    atomic_fetch_or_explicit(&cpu->attention, ATTENTION_EVENT, memory_order_relaxed); /* keeps blocks from chaining */
    while (i < count && cpu->stats->exceptions == exceptions) {
        struct block *block = must_single_step(interp) || (cpu->mode & MODE_COUNTED) ? NULL : block_find(interp, 0);

        if (!block || block == interp->uncached || block->count > count - i) {
            cpu->exception.valid = false; /* step() meets it again */
            forget_uncached(interp);
            step(interp);
            i++;
            continue;
        }
        int64_t budget = cpu->budget;
        cpu->budget -= block->count;
        execute(cpu, block->ops);
        int64_t ran = budget - cpu->budget;
        i += ran > 0 ? (unsigned)ran : 1;
    }
    if (!(attention & ATTENTION_EVENT) && !must_single_step(interp))
        atomic_fetch_and(&cpu->attention, ~(unsigned)ATTENTION_EVENT);
    return i;
}

/* ---- life ---- */

static void page_written(void *opaque, uint64_t page, unsigned offset, unsigned length, unsigned flags)
{
    struct interp *interp = opaque;

    if (!(flags & PAGE_FLAG_CODE))
        return;
    if (!is_owned_by_other(interp)) {
        block_page_written(interp, page, offset, length);
        return;
    }
    pthread_mutex_lock(&interp->posted_mutex);
    if (interp->posted_count < INTERP_POSTED_WRITES) {
        interp->posted[interp->posted_count].page = page;
        interp->posted[interp->posted_count].offset = offset;
        interp->posted[interp->posted_count++].length = length;
    } else {
        atomic_store(&interp->flush_posted, true);
    }
    pthread_mutex_unlock(&interp->posted_mutex);
    cpu_post_attention(interp->cpu, ATTENTION_INVALIDATED);
}

static void map_changed(void *opaque, uint64_t page)
{
    struct interp *interp = opaque;

    if (page == UINT64_MAX) {
        atomic_store(&interp->flush_posted, true);
        cpu_post_attention(interp->cpu, ATTENTION_INVALIDATED);
    }
}

struct interp *interp_create(struct vcpu *cpu, struct error *err)
{
    struct interp *interp = calloc(1, sizeof *interp);

    if (!interp) {
        error_set(err, "out of memory for the interpreter");
        return NULL;
    }
    if (!fpu_signal_install()) {
        free(interp);
        error_set(err, "cannot install the handler for arithmetic faults (SIGFPE)");
        return NULL;
    }
    interp->cpu = cpu;
    pthread_mutex_init(&interp->posted_mutex, NULL);
    decoder_init(&interp->decoder, cpu->model);
    interp->page_count = cpu->mmu.memory->ram_size >> PAGE_SHIFT;
    interp->arena = mmap(NULL, ARENA_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    interp->arena_top = ARENA_SIZE;
    interp->hash = calloc(BLOCK_HASH_SIZE, sizeof *interp->hash);
    interp->jump_cache = calloc(JUMP_CACHE_SIZE, sizeof *interp->jump_cache);
    interp->page_blocks = calloc(interp->page_count, sizeof *interp->page_blocks);
    if (interp->arena == MAP_FAILED || !interp->hash || !interp->jump_cache || !interp->page_blocks) {
        if (interp->arena == MAP_FAILED)
            interp->arena = NULL;
        interp_destroy(interp);
        error_set(err, "out of memory for the interpreter's block cache");
        return NULL;
    }
    cpu->engine = interp;
    memory_add_written_listener(cpu->mmu.memory, page_written, interp);
    memory_add_code_source(cpu->mmu.memory, block_code_lines, interp);
    memory_add_map_listener(cpu->mmu.memory, map_changed, interp);
    return interp;
}

void interp_destroy(struct interp *interp)
{
    if (!interp)
        return;
    if (interp->arena)
        munmap(interp->arena, ARENA_SIZE);
    free(interp->hash);
    free(interp->jump_cache);
    free(interp->page_blocks);
    free(interp->breakpoints);
    pthread_mutex_destroy(&interp->posted_mutex);
    free(interp);
}

void interp_set_native(struct interp *interp, const struct interp_native *native)
{
    interp->native = native;
    interp->burst = 0;
    block_flush_all(interp); /* what is decoded does not count yet */
}

void interp_request_step(struct interp *interp)
{
    interp->step_requested = true;
}

bool interp_step_is_requested(const struct interp *interp)
{
    return interp->step_requested;
}

void interp_flush(struct interp *interp)
{
    block_flush_all(interp);
}

bool interp_set_breakpoint(struct interp *interp, uint64_t linear, bool set)
{
    const struct vcpu *cpu = interp->cpu;

    if (interp->resume_linear != (uint32_t)(cpu->state.segment[SEG_CS].base + (uint32_t)cpu->state.rip))
        interp->resume_valid = false;
    for (size_t i = 0; i < interp->breakpoint_count; i++) {
        if (interp->breakpoints[i] != (uint32_t)linear)
            continue;
        if (!set)
            interp->breakpoints[i] = interp->breakpoints[--interp->breakpoint_count];
        return true;
    }
    if (!set)
        return false;
    uint32_t *grown = realloc(interp->breakpoints, (interp->breakpoint_count + 1) * sizeof *grown);
    if (!grown)
        return false;
    interp->breakpoints = grown;
    grown[interp->breakpoint_count++] = (uint32_t)linear;
    block_forget_linear(interp, (uint32_t)linear);
    if (interp->native && interp->native->forget)
        interp->native->forget(interp->native->opaque, (uint32_t)linear);
    return true;
}

size_t interp_room_before_breakpoint(const struct interp *interp, uint32_t linear, size_t length)
{
    for (size_t i = 0; i < interp->breakpoint_count; i++)
        if (interp->breakpoints[i] - linear < length)
            length = interp->breakpoints[i] - linear;
    return length;
}

bool interp_breakpoint_hit(struct interp *interp)
{
    bool hit = interp->breakpoint_hit;

    interp->breakpoint_hit = false;
    return hit;
}

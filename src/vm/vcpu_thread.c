/* A vCPU's thread: waits for permission, runs guest code, sleeps in HLT. */
#define _GNU_SOURCE /* pthread_setname_np, gettid */
#include "vm/vm.h"

#include "cpu/exception.h"
#include "cpu/fpu.h"
#include "cpu/model.h"
#include "vm/board_pc.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define THREAD_STACK (8u << 20)
/* Counted time with no timer near: this many instructions at a time. */
#define COUNTED_SLICE (INT64_C(1) << 20)
#define REAL_SLICE    (INT64_C(1) << 62)

static void kick(struct vcpu *cpu)
{
    struct vm_vcpu *v = cpu->kick_opaque;
    pthread_mutex_lock(&v->vm->run_mutex);
    v->kicks++;
    pthread_cond_broadcast(&v->vm->run_changed);
    pthread_mutex_unlock(&v->vm->run_mutex);
}

static void triple_fault(void *opaque)
{
    struct vm_vcpu *v = opaque;
    LOG(&v->vm->log, INT, "triple fault: processor shutdown");
    vm_request_reset(v->vm, VM_CAUSE_GUEST_RESET);
}

static int acknowledge_interrupt(void *opaque)
{
    struct vm_vcpu *v = opaque;
    device_lock_acquire(&v->vm->device_lock);
    int vector = board_acknowledge_interrupt(v->vm->board, v->cpu.index);
    device_lock_release(&v->vm->device_lock);
    return vector;
}

static void set_ferr(void *opaque, bool level)
{
    struct vm_vcpu *v = opaque;
    device_lock_acquire(&v->vm->device_lock);
    board_set_ferr(v->vm->board, level);
    device_lock_release(&v->vm->device_lock);
}

static void set_apic_base(void *opaque, uint64_t value)
{
    struct vm_vcpu *v = opaque;
    device_lock_acquire(&v->vm->device_lock);
    board_set_apic_base(v->vm->board, v->cpu.index, value);
    device_lock_release(&v->vm->device_lock);
}

/* The first disagreement of the engines ends the machine. */
static void lockstep_disagreement(void *opaque, const char *report)
{
    struct vm_vcpu *v = opaque;

    fprintf(stderr, "dragoman: lockstep: the engines disagree\n%s", report);
    vm_request_exit(v->vm, 3);
}

static bool create_translator(struct vm_vcpu *v, struct error *err)
{
    struct translate_options options = v->vm->options->translate;

    if (v->vm->options->engine == VM_ENGINE_INTERP)
        return true;
    if (v->vm->options->engine == VM_ENGINE_TIER1)
        options.threshold = 0;
    if (v->vm->options->engine == VM_ENGINE_LOCKSTEP) {
        options.lockstep = true;
        options.on_disagreement = lockstep_disagreement;
        options.opaque = v;
    }
    v->translator = translator_create(&v->cpu, v->interp, &options, err);
    return v->translator != NULL;
}

struct vm_vcpu *vcpu_thread_create(struct vm *vm, unsigned index, struct error *err)
{
    const struct cpu_model *model = cpu_model_find(vm->options->cpu, err);
    if (!model)
        return NULL;
    struct vm_vcpu *v = aligned_alloc(64, (sizeof *v + 63) & ~(size_t)63);
    if (!v) {
        error_set(err, "out of memory");
        return NULL;
    }
    memset(v, 0, sizeof *v);
    v->vm = vm;
    struct vcpu *cpu = &v->cpu;
    cpu->index = index;
    cpu->model = model;
    cpu->ports = vm->ports;
    cpu->clock = vm->clock;
    cpu->log = &vm->log;
    cpu->stats = &vm->stats;
    cpu->environment = (struct cpu_environment){v, acknowledge_interrupt, set_ferr, triple_fault, NULL, set_apic_base};
    cpu->tsc_hz = VM_TSC_HZ;
    cpu->kick = kick;
    cpu->kick_opaque = v;
    if (!mmu_init(&cpu->mmu, vm->memory, err)) {
        free(v);
        return NULL;
    }
    if (clock_is_counted(vm->clock))
        cpu->mode |= MODE_COUNTED; /* an engine bit: cpu_update_mode() keeps it */
    cpu_reset(cpu);
    v->interp = interp_create(cpu, err);
    if (!v->interp || !create_translator(v, err)) {
        interp_destroy(v->interp);
        mmu_finish(&cpu->mmu);
        free(v);
        return NULL;
    }
    return v;
}

void vcpu_thread_destroy(struct vm_vcpu *v)
{
    translator_destroy(v->translator);
    interp_destroy(v->interp);
    mmu_finish(&v->cpu.mmu);
    free(v);
}

/* Waits until guest code may run; false when the thread is to end. Whoever asks us to leave guest
 * code stores the reason under run_mutex first and posts ATTENTION_STOP then: so clearing the bit
 * before looking at the reason loses nothing. */
static bool wait_for_permission(struct vm_vcpu *v)
{
    struct vm *vm = v->vm;
    pthread_mutex_lock(&vm->run_mutex);
    atomic_fetch_and(&v->cpu.attention, ~(unsigned)ATTENTION_STOP);
    if (!vm_may_run(vm)) {
        cpu_fpu_spill(&v->cpu);
        stats_begin_wait(&vm->stats, STATS_PHASE_STOPPED);
        v->parked = true;
        pthread_cond_broadcast(&vm->parked_changed);
        while (!vm_may_run(vm) && !vm->quitting)
            pthread_cond_wait(&vm->run_changed, &vm->run_mutex);
        stats_end_wait(&vm->stats);
        /* When quitting we stay "parked": nobody shall wait for a thread that ends. */
        v->parked = vm->quitting;
        atomic_fetch_and(&v->cpu.attention, ~(unsigned)ATTENTION_STOP);
    }
    bool go_on = !vm->quitting;
    pthread_mutex_unlock(&vm->run_mutex);
    return go_on;
}

static uint64_t read_kicks(struct vm_vcpu *v)
{
    pthread_mutex_lock(&v->vm->run_mutex);
    uint64_t kicks = v->kicks;
    pthread_mutex_unlock(&v->vm->run_mutex);
    return kicks;
}

/* Counted time runs on this thread: what is due now. Returns nanoseconds to the next deadline. */
static uint64_t run_counted_timers(struct vm *vm)
{
    int phase = stats_enter_device(&vm->stats);
    device_lock_acquire(&vm->device_lock);
    clock_run_timers(vm->clock);
    uint64_t deadline = clock_next_deadline(vm->clock);
    device_lock_release(&vm->device_lock);
    stats_leave_device(&vm->stats, phase);
    uint64_t now = clock_now(vm->clock);
    return deadline == CLOCK_NEVER ? CLOCK_NEVER : deadline > now ? deadline - now : 0;
}

/* The processor is halted: sleeps until an interrupt is delivered or somebody wants the thread. */
static void wait_in_halt(struct vm_vcpu *v)
{
    struct vm *vm = v->vm;
    struct vcpu *cpu = &v->cpu;
    while (cpu->state.halted) {
        uint64_t seen = read_kicks(v);
        unsigned attention =
            atomic_fetch_and(&cpu->attention, ~(unsigned)(ATTENTION_FLUSH | ATTENTION_TIMER | ATTENTION_INTERRUPT));
        if (attention & (ATTENTION_STOP | ATTENTION_RESET))
            return;
        if (attention & ATTENTION_FLUSH)
            mmu_apply_posted(&cpu->mmu);
        if (cpu_poll_interrupts(cpu))
            return;
        if (clock_is_counted(vm->clock)) {
            uint64_t left = run_counted_timers(vm);
            if (left != CLOCK_NEVER) {
                clock_warp(vm->clock, clock_now(vm->clock) + left);
                run_counted_timers(vm);
                continue;
            }
        }
        stats_begin_wait(&vm->stats, STATS_PHASE_IDLE);
        pthread_mutex_lock(&vm->run_mutex);
        while (v->kicks == seen)
            pthread_cond_wait(&vm->run_changed, &vm->run_mutex);
        pthread_mutex_unlock(&vm->run_mutex);
        stats_end_wait(&vm->stats);
    }
}

static void request_debug_stop(struct vm *vm)
{
    pthread_mutex_lock(&vm->run_mutex);
    vm->debug_requested = true;
    pthread_mutex_unlock(&vm->run_mutex);
    main_loop_wake(vm->loop);
}

static int64_t next_budget(struct vm *vm)
{
    if (!clock_is_counted(vm->clock))
        return REAL_SLICE;
    uint64_t left = run_counted_timers(vm);
    uint64_t instructions = left >> vm->options->counted_shift, stop = vm->options->counted_stop;
    if (left == CLOCK_NEVER || instructions > COUNTED_SLICE)
        instructions = COUNTED_SLICE;
    if (stop && instructions > stop - vm_cpu(vm, 0)->instructions)
        instructions = stop - vm_cpu(vm, 0)->instructions;
    return instructions ? (int64_t)instructions : 1;
}

static void run_guest(struct vm_vcpu *v)
{
    struct vm *vm = v->vm;
    struct vcpu *cpu = &v->cpu;
    if (atomic_load(&cpu->init_pending)) {
        cpu_init(cpu);
        atomic_fetch_and(&cpu->attention, ~(unsigned)ATTENTION_RESET);
    }
    if (cpu->state.halted) {
        wait_in_halt(v);
        if (cpu->state.halted)
            return;
        if (v->step_once) { /* the interrupt that ended HLT was the step */
            v->step_once = false;
            request_debug_stop(vm);
            return;
        }
    }
    cpu->budget = next_budget(vm);
    if (vm->options->counted_stop && cpu->instructions >= vm->options->counted_stop) {
        vm_request_exit(vm, 0);
        return;
    }
    if (v->step_once) {
        if (interp_step(v->interp, v->step_interrupts)) {
            v->step_once = false;
            request_debug_stop(vm);
        }
    } else {
        interp_run(v->interp);
        if (interp_breakpoint_hit(v->interp) || cpu->watchpoints.hit)
            request_debug_stop(vm);
    }
    atomic_fetch_and(&cpu->attention, ~(unsigned)ATTENTION_RESET);
}

int vm_vcpu_thread_id(struct vm *vm, unsigned index)
{
    return atomic_load(&vm->vcpus[index]->thread_id);
}

static void *thread_main(void *opaque)
{
    struct vm_vcpu *v = opaque;
    atomic_store(&v->thread_id, (int)gettid());
    stats_take_thread(&v->vm->stats);
    if (v->vm->trace_hash)
        trace_hash_take_thread(v->vm->trace_hash);
    while (wait_for_permission(v))
        run_guest(v);
    cpu_fpu_spill(&v->cpu);
    stats_begin_wait(&v->vm->stats, STATS_PHASE_STOPPED);
    return NULL;
}

bool vcpu_thread_start(struct vm_vcpu *v, struct error *err)
{
    /* The thread inherits the mask: asynchronous signals are for the main thread; what the code
     * itself raises cannot be blocked. */
    sigset_t all, before;
    sigfillset(&all);
    sigdelset(&all, SIGSEGV);
    sigdelset(&all, SIGBUS);
    sigdelset(&all, SIGFPE);
    sigdelset(&all, SIGILL);
    sigdelset(&all, SIGTRAP);
    sigdelset(&all, SIGABRT);
    pthread_attr_t attributes;
    pthread_attr_init(&attributes);
    pthread_attr_setstacksize(&attributes, THREAD_STACK);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int status = pthread_create(&v->thread, &attributes, thread_main, v);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    pthread_attr_destroy(&attributes);
    if (status)
        return error_set(err, "cannot create a thread for vCPU %u: %s", v->cpu.index, strerror(status));
    v->thread_started = true;
    char name[16];
    snprintf(name, sizeof name, "vcpu%u", v->cpu.index % 1000);
    pthread_setname_np(v->thread, name);
    return true;
}

void vcpu_thread_join(struct vm_vcpu *v)
{
    if (!v->thread_started)
        return;
    pthread_join(v->thread, NULL);
    v->thread_started = false;
}

/* The machine: assembly, run state, requests and the main thread's loop. */
#include "vm/vm.h"

#include "vm/board_pc.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

const char *vm_state_name(enum vm_state state)
{
    static const char *const names[] = {"prelaunch", "running", "paused", "debug", "shutdown"};
    return names[state];
}

static const struct {
    const char *name;
    bool guest;
} causes[] = {
    [VM_CAUSE_HOST_QMP_QUIT] = {"host-qmp-quit", false},  [VM_CAUSE_HOST_QMP_RESET] = {"host-qmp-system-reset", false},
    [VM_CAUSE_HOST_SIGNAL] = {"host-signal", false},      [VM_CAUSE_HOST_UI] = {"host-ui", false},
    [VM_CAUSE_GUEST_SHUTDOWN] = {"guest-shutdown", true}, [VM_CAUSE_GUEST_RESET] = {"guest-reset", true},
};

const char *vm_cause_name(enum vm_cause cause)
{
    return causes[cause].name;
}

bool vm_cause_is_guest(enum vm_cause cause)
{
    return causes[cause].guest;
}

/* ---- events ---- */

void vm_add_listener(struct vm *vm, vm_event_fn notify, void *opaque)
{
    if (vm->listener_count == VM_EVENT_LISTENERS)
        abort(); /* as many as there can be monitors and stubs */
    vm->listeners[vm->listener_count].notify = notify;
    vm->listeners[vm->listener_count++].opaque = opaque;
}

void vm_remove_listener(struct vm *vm, vm_event_fn notify, void *opaque)
{
    for (unsigned i = 0; i < vm->listener_count; i++)
        if (vm->listeners[i].notify == notify && vm->listeners[i].opaque == opaque) {
            memmove(&vm->listeners[i], &vm->listeners[i + 1], (vm->listener_count - i - 1) * sizeof vm->listeners[0]);
            vm->listener_count--;
            return;
        }
}

static void notify(struct vm *vm, enum vm_event event, enum vm_cause cause)
{
    for (unsigned i = 0; i < vm->listener_count; i++)
        vm->listeners[i].notify(vm->listeners[i].opaque, event, cause);
}

/* ---- run control ---- */

bool vm_may_run(const struct vm *vm)
{
    return vm->running && !vm->freezes && !vm->quitting && !vm->reset_requested && !vm->shutdown_requested &&
           !vm->exit_requested && !vm->debug_requested;
}

/* Gets every vCPU out of guest code and out of HLT. The reason must have been stored already. */
static void interrupt_vcpus(struct vm *vm)
{
    for (unsigned i = 0; i < vm->vcpu_count; i++) {
        struct vcpu *cpu = vm_cpu(vm, i);
        atomic_fetch_or(&cpu->attention, ATTENTION_STOP);
        cpu->kick(cpu);
    }
}

static void wait_until_parked(struct vm *vm)
{
    pthread_mutex_lock(&vm->run_mutex);
    for (unsigned i = 0; i < vm->vcpu_count; i++)
        while (vm->vcpus[i]->thread_started && !vm->vcpus[i]->parked)
            pthread_cond_wait(&vm->parked_changed, &vm->run_mutex);
    pthread_mutex_unlock(&vm->run_mutex);
}

void vm_freeze(struct vm *vm)
{
    pthread_mutex_lock(&vm->run_mutex);
    vm->freezes++;
    pthread_mutex_unlock(&vm->run_mutex);
    interrupt_vcpus(vm);
    wait_until_parked(vm);
}

void vm_thaw(struct vm *vm)
{
    pthread_mutex_lock(&vm->run_mutex);
    vm->freezes--;
    pthread_cond_broadcast(&vm->run_changed);
    pthread_mutex_unlock(&vm->run_mutex);
}

static void set_running(struct vm *vm, bool running)
{
    pthread_mutex_lock(&vm->run_mutex);
    vm->running = running;
    pthread_cond_broadcast(&vm->run_changed);
    pthread_mutex_unlock(&vm->run_mutex);
}

void vm_stop(struct vm *vm, enum vm_state state)
{
    if (vm->state != VM_RUNNING) {
        if (state == VM_SHUTDOWN)
            vm->state = state;
        return;
    }
    set_running(vm, false);
    interrupt_vcpus(vm);
    wait_until_parked(vm);
    for (unsigned i = 0; i < vm->vcpu_count; i++)
        vm->vcpus[i]->step_once = false; /* interrupted while it waited in HLT */
    device_lock_acquire(&vm->device_lock);
    clock_pause(vm->clock);
    device_lock_release(&vm->device_lock);
    vm->state = state;
    notify(vm, VM_EVENT_STOP, 0);
}

bool vm_cont(struct vm *vm, struct error *err)
{
    if (vm->state == VM_RUNNING)
        return true;
    if (vm->state == VM_SHUTDOWN)
        return error_set(err, "Resetting the Virtual Machine is required");
    vm->state = VM_RUNNING;
    device_lock_acquire(&vm->device_lock);
    clock_resume(vm->clock);
    device_lock_release(&vm->device_lock);
    notify(vm, VM_EVENT_RESUME, 0);
    set_running(vm, true);
    return true;
}

void vm_step(struct vm *vm, unsigned vcpu, bool interrupts)
{
    if (vm->state == VM_RUNNING || vm->state == VM_SHUTDOWN)
        return;
    vm->vcpus[vcpu]->step_once = true;
    vm->vcpus[vcpu]->step_interrupts = interrupts;
    vm_cont(vm, NULL);
}

void vm_inject_nmi(struct vm *vm)
{
    for (unsigned i = 0; i < vm->vcpu_count; i++)
        cpu_post_nmi(vm_cpu(vm, i));
}

/* ---- requests ---- */

/* The user's own wish to end: not even -no-shutdown keeps the machine then. */
static bool is_final(enum vm_cause cause)
{
    return cause == VM_CAUSE_HOST_QMP_QUIT || cause == VM_CAUSE_HOST_SIGNAL || cause == VM_CAUSE_HOST_UI;
}

void vm_request_reset(struct vm *vm, enum vm_cause cause)
{
    pthread_mutex_lock(&vm->run_mutex);
    if (vm->options->no_reboot) {
        if (!vm->shutdown_requested)
            vm->shutdown_cause = cause;
        vm->shutdown_requested = true;
    } else {
        if (!vm->reset_requested)
            vm->reset_cause = cause;
        vm->reset_requested = true;
    }
    pthread_mutex_unlock(&vm->run_mutex);
    interrupt_vcpus(vm);
    main_loop_wake(vm->loop);
}

void vm_request_shutdown(struct vm *vm, enum vm_cause cause)
{
    pthread_mutex_lock(&vm->run_mutex);
    if (!vm->shutdown_requested || is_final(cause))
        vm->shutdown_cause = cause;
    vm->shutdown_requested = true;
    pthread_mutex_unlock(&vm->run_mutex);
    interrupt_vcpus(vm);
    main_loop_wake(vm->loop);
}

void vm_request_exit(struct vm *vm, int code)
{
    pthread_mutex_lock(&vm->run_mutex);
    if (!vm->exit_requested)
        vm->requested_exit_code = code;
    vm->exit_requested = true;
    pthread_mutex_unlock(&vm->run_mutex);
    interrupt_vcpus(vm);
    main_loop_wake(vm->loop);
}

void vm_request_powerdown(struct vm *vm)
{
    pthread_mutex_lock(&vm->run_mutex);
    vm->powerdown_requested = true;
    pthread_mutex_unlock(&vm->run_mutex);
    main_loop_wake(vm->loop);
}

/* Device lock held. */
static void tell_tray_moves(struct vm *vm)
{
    for (unsigned i = 0; i < VM_MAX_DRIVES; i++) {
        pthread_mutex_lock(&vm->run_mutex);
        unsigned count = vm->tray_moves[i].count;
        bool open = vm->tray_moves[i].open;
        vm->tray_moves[i].count = 0;
        pthread_mutex_unlock(&vm->run_mutex);
        vm->tray_move.drive = i;
        for (; count; count--) {
            vm->tray_move.open = open ^ !(count & 1);
            notify(vm, VM_EVENT_TRAY_MOVED, 0);
        }
    }
}

void vm_tray_moved(struct vm *vm, unsigned drive, bool open)
{
    enum { MOST = 8 }; /* a guest that plays with the tray: of more, the last are told */
    pthread_mutex_lock(&vm->run_mutex);
    vm->tray_moves[drive].open = open;
    vm->tray_moves[drive].count += vm->tray_moves[drive].count < MOST ? 1 : -1;
    pthread_mutex_unlock(&vm->run_mutex);
    if (pthread_equal(pthread_self(), vm->main_thread))
        tell_tray_moves(vm);
    else
        main_loop_wake(vm->loop);
}

/* Reset: devices, processors, and what was loaded for a direct boot; memory keeps the rest. */
static void reset_machine(struct vm *vm)
{
    vm_freeze(vm);
    if (vm->trace_hash)
        trace_hash_event(vm->trace_hash, TRACE_RESET, NULL, 0);
    device_lock_acquire(&vm->device_lock);
    board_reset(vm->board);
    device_lock_release(&vm->device_lock);
    vm_thaw(vm);
}

static void do_reset(struct vm *vm, enum vm_cause cause)
{
    reset_machine(vm);
    if (vm->state != VM_RUNNING)
        vm->state = VM_PRELAUNCH;
    notify(vm, VM_EVENT_RESET, cause);
}

static void do_shutdown(struct vm *vm, enum vm_cause cause)
{
    notify(vm, VM_EVENT_SHUTDOWN, cause);
    if (vm->options->no_shutdown && !is_final(cause)) {
        vm_stop(vm, VM_SHUTDOWN);
        return;
    }
    vm->finished = true;
}

/* Takes *FLAG and clears it. The vCPUs go on only after what was asked has been done, for they are
 * frozen or stopped meanwhile. */
static bool take(struct vm *vm, bool *flag)
{
    pthread_mutex_lock(&vm->run_mutex);
    bool was = *flag;
    *flag = false;
    if (was)
        pthread_cond_broadcast(&vm->run_changed);
    pthread_mutex_unlock(&vm->run_mutex);
    return was;
}

static void process_requests(struct vm *vm)
{
    pthread_mutex_lock(&vm->run_mutex);
    bool any = vm->exit_requested || vm->shutdown_requested || vm->reset_requested || vm->powerdown_requested ||
               vm->debug_requested;
    bool trays = false;
    for (unsigned i = 0; i < VM_MAX_DRIVES; i++)
        trays |= vm->tray_moves[i].count != 0;
    pthread_mutex_unlock(&vm->run_mutex);
    if (trays) {
        device_lock_acquire(&vm->device_lock);
        tell_tray_moves(vm);
        device_lock_release(&vm->device_lock);
    }
    if (!any)
        return;
    vm_freeze(vm);
    if (take(vm, &vm->exit_requested)) {
        vm->exit_code = vm->requested_exit_code;
        notify(vm, VM_EVENT_SHUTDOWN, VM_CAUSE_GUEST_SHUTDOWN);
        vm->finished = true;
    }
    if (!vm->finished && take(vm, &vm->reset_requested))
        do_reset(vm, vm->reset_cause);
    if (!vm->finished && take(vm, &vm->shutdown_requested))
        do_shutdown(vm, vm->shutdown_cause);
    if (!vm->finished && take(vm, &vm->powerdown_requested)) {
        notify(vm, VM_EVENT_POWERDOWN, 0);
        device_lock_acquire(&vm->device_lock);
        board_press_power_button(vm->board);
        device_lock_release(&vm->device_lock);
    }
    if (!vm->finished && take(vm, &vm->debug_requested)) {
        vm_stop(vm, VM_DEBUG);
        notify(vm, VM_EVENT_DEBUG, 0);
    }
    if (!vm->finished) /* at the end it stays frozen: not one more instruction */
        vm_thaw(vm);
}

/* ---- the main loop ---- */

/* With real time the main loop owns the guest's timers. Returns how long it may sleep. */
static uint64_t run_guest_timers(struct vm *vm)
{
    if (vm->state != VM_RUNNING || clock_is_counted(vm->clock))
        return MAIN_LOOP_FOREVER;
    device_lock_acquire(&vm->device_lock);
    clock_run_timers(vm->clock);
    uint64_t deadline = clock_next_deadline(vm->clock);
    device_lock_release(&vm->device_lock);
    if (deadline == CLOCK_NEVER)
        return MAIN_LOOP_FOREVER;
    uint64_t now = clock_now(vm->clock);
    return deadline > now ? deadline - now : 0;
}

void vm_iterate(struct vm *vm, uint64_t nanoseconds)
{
    process_requests(vm);
    if (vm->finished)
        return;
    uint64_t sleep = run_guest_timers(vm);
    main_loop_iterate(vm->loop, sleep < nanoseconds ? sleep : nanoseconds);
    process_requests(vm);
}

int vm_run(struct vm *vm)
{
    while (!vm->finished)
        vm_iterate(vm, MAIN_LOOP_FOREVER);
    return vm->exit_code;
}

bool vm_display(struct vm *vm, struct display_source *display)
{
    return board_display(vm->board, display);
}

struct ps2_keyboard *vm_keyboard(struct vm *vm)
{
    return board_keyboard(vm->board);
}

struct ps2_mouse *vm_mouse(struct vm *vm)
{
    return board_mouse(vm->board);
}

/* The earliest deadline moved forward (device lock held). */
static void clock_wake(void *opaque)
{
    struct vm *vm = opaque;
    if (vm->clock && clock_is_counted(vm->clock)) {
        for (unsigned i = 0; i < vm->vcpu_count; i++)
            if (vm->vcpus[i])
                cpu_post_attention(vm_cpu(vm, i), ATTENTION_TIMER);
    } else if (!pthread_equal(pthread_self(), vm->main_thread)) {
        main_loop_wake(vm->loop);
    }
}

/* ---- life ---- */

static uint64_t time_of(void *opaque)
{
    return clock_now(opaque);
}

static void account(void *opaque)
{
    struct vm_vcpu *v = opaque;
    interp_account(v->interp, v->cpu.budget);
}

static bool set_up_trace_hash(struct vm *vm, struct error *err)
{
    struct vcpu *cpu = vm_cpu(vm, 0);
    vm->trace_hash = trace_hash_create(&vm->options->trace_hash, &cpu->instructions, time_of, vm->clock, err);
    if (!vm->trace_hash)
        return false;
    trace_hash_set_account(vm->trace_hash, account, vm->vcpus[0]);
    cpu->trace_hash = vm->trace_hash;
    vm->memory->trace_hash = vm->trace_hash;
    port_space_set_trace_hash(vm->ports, vm->trace_hash);
    return true;
}

struct vm *vm_create(const struct vm_options *options, struct main_loop *loop, struct error *err)
{
    struct vm *vm = calloc(1, sizeof *vm);
    if (!vm) {
        error_set(err, "out of memory");
        return NULL;
    }
    vm->options = options;
    vm->loop = loop;
    vm->main_thread = pthread_self();
    vm->state = VM_PRELAUNCH;
    log_init(&vm->log);
    device_lock_init(&vm->device_lock);
    pthread_mutex_init(&vm->run_mutex, NULL);
    pthread_cond_init(&vm->run_changed, NULL);
    pthread_cond_init(&vm->parked_changed, NULL);
    vm->clock = options->counted ? clock_create_counted(options->counted_shift, clock_wake, vm)
                                 : clock_create_real(clock_wake, vm);
    if (!vm->clock) {
        error_set(err, "out of memory");
        goto fail;
    }
    clock_pause(vm->clock);
    clock_set_now(vm->clock, 0);
    vm->memory = memory_create(options->ram_size, &vm->device_lock, &vm->log, &vm->stats, err);
    if (!vm->memory)
        goto fail;
    vm->ports = port_space_create(&vm->device_lock, &vm->log, &vm->stats);
    vm->vcpus = calloc(options->vcpu_count, sizeof(struct vm_vcpu *));
    if (!vm->ports || !vm->vcpus) {
        error_set(err, "out of memory");
        goto fail;
    }
    for (unsigned i = 0; i < options->vcpu_count; i++) {
        vm->vcpus[i] = vcpu_thread_create(vm, i, err);
        if (!vm->vcpus[i])
            goto fail;
        vm->vcpu_count = i + 1;
    }
    if (options->counted && !set_up_trace_hash(vm, err))
        goto fail;
    vm->board = board_create(vm, err);
    if (!vm->board)
        goto fail;
    reset_machine(vm);
    return vm;
fail:
    vm_destroy(vm);
    return NULL;
}

bool vm_start(struct vm *vm, struct error *err)
{
    vm->sampler = stats_sampler_create(
        &vm->stats, vm->options->stats_file ? STATS_SAMPLES_PER_SECOND_ASKED : STATS_SAMPLES_PER_SECOND, err);
    if (!vm->sampler)
        return false;
    for (unsigned i = 0; i < vm->vcpu_count; i++)
        if (!vcpu_thread_start(vm->vcpus[i], err))
            return false;
    vm_start_occupancy(vm);
    return vm->options->start_stopped || vm_cont(vm, err);
}

void vm_end(struct vm *vm)
{
    pthread_mutex_lock(&vm->run_mutex);
    bool ended = vm->quitting;
    vm->quitting = true;
    pthread_cond_broadcast(&vm->run_changed);
    pthread_mutex_unlock(&vm->run_mutex);
    interrupt_vcpus(vm);
    for (unsigned i = 0; i < vm->vcpu_count; i++)
        vcpu_thread_join(vm->vcpus[i]);
    if (vm->sampler && !ended)
        vm_end_occupancy(vm);
}

void vm_destroy(struct vm *vm)
{
    if (!vm)
        return;
    vm_end(vm);
    stats_sampler_destroy(vm->sampler);
    if (vm->board) {
        device_lock_acquire(&vm->device_lock);
        board_destroy(vm->board);
        device_lock_release(&vm->device_lock);
    }
    for (unsigned i = 0; i < vm->vcpu_count; i++)
        vcpu_thread_destroy(vm->vcpus[i]);
    free(vm->vcpus);
    if (vm->ports)
        port_space_destroy(vm->ports);
    if (vm->memory)
        memory_destroy(vm->memory);
    trace_hash_destroy(vm->trace_hash);
    if (vm->clock)
        clock_destroy(vm->clock);
    pthread_cond_destroy(&vm->run_changed);
    pthread_cond_destroy(&vm->parked_changed);
    pthread_mutex_destroy(&vm->run_mutex);
    device_lock_finish(&vm->device_lock);
    log_finish(&vm->log);
    free(vm);
}

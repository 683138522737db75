#include "machine.h"

#include "cpu/exception.h"
#include "cpu/fpu.h"
#include "cpu/interrupt.h"

#include <stdio.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>

/* Faults that find no handler go round without retiring an instruction: this much processor time, and it is enough. */
#define PATIENCE_MICROSECONDS 30000

static struct vcpu *volatile watched; /* by the signal handler */

static void patience_ends(int number)
{
    if (watched)
        atomic_fetch_or(&watched->attention, ATTENTION_STOP);
}

static void watch(struct vcpu *cpu)
{
    struct itimerval timer = {.it_value.tv_usec = cpu ? PATIENCE_MICROSECONDS : 0};
    watched = cpu;
    setitimer(ITIMER_VIRTUAL, &timer, NULL);
}

static size_t swallow(struct char_port *port, const uint8_t *data, size_t length)
{
    return length;
}

static void must(bool ok, const struct error *err)
{
    if (!ok) {
        fprintf(stderr, "fuzz machine: %s\n", err->message);
        abort();
    }
}

void fuzz_machine_create(struct fuzz_machine *m, const char *cpu)
{
    struct error err = {""};
    memset(m, 0, sizeof *m);
    m->options = (struct vm_options){
        .cpu = cpu,
        .ram_size = FUZZ_RAM_SIZE,
        .vcpu_count = 1,
        .counted = true,
        .counted_shift = 6,
        .start_stopped = true,
        .device_count = 3,
        .devices = {{.kind = VM_DEVICE_DEBUGCON, .id = "console", .iobase = 0xe9, .readback = 0xe9},
                    {.kind = VM_DEVICE_DEBUG_EXIT, .id = "exit", .iobase = 0x501, .iosize = 4},
                    {.kind = VM_DEVICE_TESTDEV, .id = "test"}},
    };
    for (unsigned i = 0; i <= VM_MAX_SERIAL; i++)
        m->ports[i].write = swallow;
    for (unsigned i = 0; i < VM_MAX_SERIAL; i++)
        m->options.serial[i] = &m->ports[i];
    m->options.devices[0].port = &m->ports[VM_MAX_SERIAL];
    m->loop = main_loop_create(&err);
    must(m->loop, &err);
    m->vm = vm_create(&m->options, m->loop, &err);
    must(m->vm, &err);
    signal(SIGVTALRM, patience_ends);
    m->vm->log.file = fopen("/dev/null", "w");
    m->vm->log.owned = true;
    clock_resume(m->vm->clock);
}

void fuzz_machine_destroy(struct fuzz_machine *m)
{
    vm_destroy(m->vm);
    main_loop_destroy(m->loop);
}

static void clear_requests(struct vm *vm)
{
    pthread_mutex_lock(&vm->run_mutex);
    vm->reset_requested = vm->shutdown_requested = vm->exit_requested = vm->powerdown_requested = vm->debug_requested =
        false;
    pthread_mutex_unlock(&vm->run_mutex);
}

void fuzz_machine_reset(struct fuzz_machine *m)
{
    struct vm *vm = m->vm;
    struct vcpu *cpu = vm_cpu(vm, 0);
    cpu_fpu_spill(cpu);
    device_lock_acquire(&vm->device_lock);
    board_reset(vm->board);
    device_lock_release(&vm->device_lock);
    memset(vm->memory->ram, 0, FUZZ_RAM_SIZE);
    interp_flush(vm->vcpus[0]->interp);
    atomic_store(&cpu->nmi_pending, false);
    atomic_store(&cpu->init_pending, false);
    atomic_fetch_and(&cpu->attention, ~(unsigned)(ATTENTION_STOP | ATTENTION_RESET));
    clear_requests(vm);
}

bool fuzz_machine_wants_to_end(struct fuzz_machine *m)
{
    return m->vm->reset_requested || m->vm->shutdown_requested || m->vm->exit_requested;
}

void fuzz_machine_pass_time(struct fuzz_machine *m, uint64_t nanoseconds)
{
    struct vm *vm = m->vm;
    if (nanoseconds)
        clock_warp(vm->clock, clock_now(vm->clock) + nanoseconds);
    device_lock_acquire(&vm->device_lock);
    clock_run_timers(vm->clock);
    device_lock_release(&vm->device_lock);
}

/* Goes on to the next timer; false when there is none near. */
static bool wait_in_halt(struct fuzz_machine *m)
{
    struct vm *vm = m->vm;
    device_lock_acquire(&vm->device_lock);
    uint64_t deadline = clock_next_deadline(vm->clock), now = clock_now(vm->clock);
    device_lock_release(&vm->device_lock);
    if (deadline == CLOCK_NEVER)
        return false;
    fuzz_machine_pass_time(m, deadline > now ? deadline - now : 0);
    cpu_poll_interrupts(vm_cpu(vm, 0));
    return true;
}

void fuzz_machine_run(struct fuzz_machine *m, int64_t instructions)
{
    struct vcpu *cpu = vm_cpu(m->vm, 0);
    watch(cpu);
    /* The rounds bound what does not retire instructions: halts, faults in a circle. */
    for (unsigned round = 0; round < 64 && instructions > 0 && !fuzz_machine_wants_to_end(m); round++) {
        fuzz_machine_pass_time(m, 0);
        if (atomic_load(&cpu->init_pending))
            cpu_init(cpu);
        atomic_fetch_and(&cpu->attention, ~(unsigned)(ATTENTION_STOP | ATTENTION_RESET));
        if (cpu->state.halted && !wait_in_halt(m))
            break;
        uint64_t before = cpu->instructions;
        cpu->budget = instructions < 256 ? instructions : 256;
        if (!cpu->state.halted)
            interp_run(m->vm->vcpus[0]->interp);
        if (!fuzz_machine_wants_to_end(m) && atomic_load(&cpu->attention) & ATTENTION_STOP)
            break; /* the watchdog */
        instructions -= (int64_t)(cpu->instructions - before);
    }
    watch(NULL);
    cpu_fpu_spill(cpu);
}

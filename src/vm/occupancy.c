/* -d profile: the code cache and the engines, ten times a second. */
#include "trace/trace.h"
#include "vm/vm.h"

#define INTERVAL 100000000u /* nanoseconds */

static void write_occupancy(struct vm *vm)
{
    struct trace_occupancy event = {
        .interpreted = vm->stats.instructions_interpreted + vm->stats.native_interpreted,
    };
    uint64_t counted = 0, profiled = 0;

    for (unsigned i = 0; i < vm->vcpu_count; i++) {
        struct vm_vcpu *v = vm->vcpus[i];
        struct translate_summary summary;

        counted += v->cpu.instructions;
        if (!v->translator)
            continue;
        translator_summarize(v->translator, &summary);
        event.used += summary.cache_used;
        event.size += summary.cache_size;
        event.translations += summary.translations;
        event.dead += summary.dead;
        profiled += translator_profiled_instructions(v->translator);
    }
    event.instructions = clock_is_counted(vm->clock) ? counted : vm->stats.instructions_interpreted + profiled;
    trace_occupancy(&vm->log, &event);
}

static void tick(void *opaque)
{
    struct vm *vm = opaque;

    if (!LOG_ENABLED(&vm->log, PROFILE))
        return;
    vm_freeze(vm);
    write_occupancy(vm);
    vm_thaw(vm);
    main_loop_set_timer(vm->loop, &vm->occupancy_timer, INTERVAL);
}

void vm_start_occupancy(struct vm *vm)
{
    if (!LOG_ENABLED(&vm->log, PROFILE) || vm->occupancy_timer.armed)
        return;
    vm->occupancy_timer = (struct host_timer){.callback = tick, .opaque = vm};
    main_loop_set_timer(vm->loop, &vm->occupancy_timer, INTERVAL);
}

void vm_end_occupancy(struct vm *vm)
{
    main_loop_cancel_timer(vm->loop, &vm->occupancy_timer);
    if (LOG_ENABLED(&vm->log, PROFILE))
        write_occupancy(vm);
}

void vm_log_changed(struct vm *vm)
{
    vm_freeze(vm);
    for (unsigned i = 0; i < vm->vcpu_count; i++) {
        interp_flush(vm->vcpus[i]->interp);
        if (vm->vcpus[i]->translator)
            translator_flush(vm->vcpus[i]->translator);
    }
    vm_thaw(vm);
    vm_start_occupancy(vm);
}

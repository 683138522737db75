#include "bare_machine.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int acknowledge(void *opaque)
{
    return -1;
}
static void ferr(void *opaque, bool level)
{
}
static void triple_fault(void *opaque)
{
    struct bare_machine *machine = opaque;

    machine->triple_fault = true;
    cpu_post_attention(machine->cpu, ATTENTION_STOP);
}

static void must(bool ok, const struct error *err)
{
    if (!ok) {
        fprintf(stderr, "bare machine: %s\n", err->message);
        abort();
    }
}

struct bare_machine *bare_machine_create(const char *model, uint64_t ram_size)
{
    struct bare_machine *m = calloc(1, sizeof *m);
    struct error err = {""};

    device_lock_init(&m->lock);
    log_init(&m->log);
    m->clock = clock_create_real(NULL, NULL);
    m->memory = memory_create(ram_size, &m->lock, &m->log, &m->stats, &err);
    must(m->memory, &err);
    m->ports = port_space_create(&m->lock, &m->log, &m->stats);
    m->cpu = aligned_alloc(64, (sizeof *m->cpu + 63) & ~(size_t)63);
    memset(m->cpu, 0, sizeof *m->cpu);
    m->cpu->model = cpu_model_find(model, &err);
    must(m->cpu->model, &err);
    m->cpu->ports = m->ports;
    m->cpu->clock = m->clock;
    m->cpu->log = &m->log;
    m->cpu->stats = &m->stats;
    m->cpu->tsc_hz = 1000000000;
    m->cpu->environment = (struct cpu_environment){
        .opaque = m, .acknowledge_interrupt = acknowledge, .set_ferr = ferr, .triple_fault = triple_fault};
    must(mmu_init(&m->cpu->mmu, m->memory, &err), &err);
    cpu_reset(m->cpu);
    m->interp = interp_create(m->cpu, &err);
    must(m->interp, &err);
    return m;
}

void bare_machine_destroy(struct bare_machine *m)
{
    interp_destroy(m->interp);
    mmu_finish(&m->cpu->mmu);
    free(m->cpu);
    port_space_destroy(m->ports);
    memory_destroy(m->memory);
    clock_destroy(m->clock);
    device_lock_finish(&m->lock);
    free(m);
}

void bare_machine_enter_flat(struct bare_machine *m, uint32_t start, uint32_t stack)
{
    static const struct descriptor code = {0x0000ffff, 0x00cf9b00}, data = {0x0000ffff, 0x00cf9300};
    struct vcpu *cpu = m->cpu;

    cpu_reset(cpu);
    cpu->state.cr0 |= CR0_PE;
    mmu_set_control(&cpu->mmu, cpu->state.cr0, cpu->state.cr4, cpu->state.efer);
    for (unsigned i = 0; i < SEG_COUNT; i++)
        cpu_segment_from_descriptor(cpu, &cpu->state.segment[i], i == SEG_CS ? 8 : 16, i == SEG_CS ? &code : &data);
    cpu_update_mode(cpu);
    cpu->state.rip = start;
    cpu->state.gpr[GPR_SP] = stack;
}

bool bare_machine_run(struct bare_machine *m, int64_t budget)
{
    m->cpu->budget = budget;
    m->cpu->state.halted = false;
    interp_run(m->interp);
    return m->cpu->state.halted;
}

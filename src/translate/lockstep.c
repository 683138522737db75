/* Lockstep: the interpreter runs the instructions of a block with every store and device access recorded, all is undone,
 * the translation runs with the devices' answers replayed, and what both made of the state is compared.
 *
 * Every other time the translation stores straight to memory, so that its fast paths are tried too, and memory is compared
 * where the interpreter stored; the other times its stores are recorded, and the records compared. */
#include "cpu/fpu.h"
#include "interp/interp.h"
#include "mmu/access_log.h"
#include "translate/code_trace.h"
#include "translate/translate_private.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A block is compared each of the first times it runs, then now and then: a boot is billions of instructions. */
#define ALWAYS_CHECKED 200
#define SAMPLE 31

#define MXCSR_FLAGS 0x3fu /* Intel SDM vol. 1, 10.2.3 */

struct lockstep {
    struct access_log log;
    uint64_t blocks;
    struct cpu_state before, expected;
    char report[16384];
    size_t used;
};

struct lockstep *lockstep_create(void)
{
    struct lockstep *l = calloc(1, sizeof *l);

    if (l)
        access_log_init(&l->log);
    return l;
}

void lockstep_destroy(struct lockstep *l)
{
    if (!l)
        return;
    access_log_finish(&l->log);
    free(l);
}

static void say(struct lockstep *l, const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    if (l->used < sizeof l->report) {
        int n = vsnprintf(l->report + l->used, sizeof l->report - l->used, format, arguments);
        if (n > 0)
            l->used += (size_t)n;
    }
    va_end(arguments);
}

/* ---- comparison ---- */

static void compare_registers(struct lockstep *l, const struct cpu_state *a, const struct cpu_state *b)
{
    static const char *const names[] = {"eax", "ecx", "edx", "ebx", "esp", "ebp", "esi", "edi"};

    for (unsigned i = 0; i < 8; i++)
        if (a->gpr[i] != b->gpr[i])
            say(l, "  %s: interpreter %08llx, translation %08llx\n", names[i], (unsigned long long)a->gpr[i],
                (unsigned long long)b->gpr[i]);
    if (a->rip != b->rip)
        say(l, "  eip: interpreter %08llx, translation %08llx\n", (unsigned long long)a->rip, (unsigned long long)b->rip);
    if (a->arithmetic_flags != b->arithmetic_flags)
        say(l, "  flags: interpreter %04x, translation %04x\n", cpu_arithmetic_to_eflags(a->arithmetic_flags),
            cpu_arithmetic_to_eflags(b->arithmetic_flags));
    if (a->system_flags != b->system_flags)
        say(l, "  system flags: interpreter %08x, translation %08x\n", a->system_flags, b->system_flags);
    if (a->cr2 != b->cr2)
        say(l, "  cr2: interpreter %08llx, translation %08llx\n", (unsigned long long)a->cr2, (unsigned long long)b->cr2);
    for (unsigned i = 0; i < 8; i++)
        if (memcmp(&a->xmm[i], &b->xmm[i], sizeof a->xmm[i]))
            say(l, "  xmm%u: interpreter %016llx%016llx, translation %016llx%016llx\n", i,
                (unsigned long long)a->xmm[i].u64[1], (unsigned long long)a->xmm[i].u64[0],
                (unsigned long long)b->xmm[i].u64[1], (unsigned long long)b->xmm[i].u64[0]);
    if (a->mxcsr != b->mxcsr)
        say(l, "  mxcsr: interpreter %08x, translation %08x\n", a->mxcsr, b->mxcsr);
    if (memcmp(a->x87.st, b->x87.st, sizeof a->x87.st) || a->x87.fsw != b->x87.fsw || a->x87.fcw != b->x87.fcw ||
        a->x87.ftw != b->x87.ftw)
        say(l, "  x87 registers differ; status: interpreter %04x, translation %04x\n", a->x87.fsw, b->x87.fsw);
    if (a->x87.fip != b->x87.fip || a->x87.fop != b->x87.fop || a->x87.fdp != b->x87.fdp || a->x87.fcs != b->x87.fcs ||
        a->x87.fds != b->x87.fds)
        say(l, "  x87 pointers: interpreter %04x:%08x %04x:%08x %03x, translation %04x:%08x %04x:%08x %03x\n", a->x87.fcs,
            a->x87.fip, a->x87.fds, a->x87.fdp, a->x87.fop, b->x87.fcs, b->x87.fip, b->x87.fds, b->x87.fdp, b->x87.fop);
    for (unsigned i = 0; i < SEG_COUNT; i++)
        if (a->segment[i].selector != b->segment[i].selector || a->segment[i].base != b->segment[i].base)
            say(l, "  segment %u: interpreter %04x, translation %04x\n", i, a->segment[i].selector,
                b->segment[i].selector);
}

static void compare_records(struct lockstep *l)
{
    const struct access_log *log = &l->log;
    size_t first = log->replay_store_start, second = log->store_count - first;

    if (first != second) {
        say(l, "  stores: interpreter %zu, translation %zu\n", first, second);
        return;
    }
    for (size_t i = 0; i < first; i++) {
        const struct store_record *a = &log->stores[i], *b = &log->stores[first + i];

        if (a->address != b->address || a->size != b->size || memcmp(a->after, b->after, a->size))
            say(l, "  store %zu: interpreter %u bytes at %llx, translation %u bytes at %llx, or other values\n", i, a->size,
                (unsigned long long)a->address, b->size, (unsigned long long)b->address);
    }
}

/* EXPECTED: what the interpreter's stores left, read back before they were undone. */
static void compare_memory(struct lockstep *l, struct memory *memory, const uint8_t *expected)
{
    for (size_t i = 0; i < l->log.replay_store_start; i++) {
        const struct store_record *a = &l->log.stores[i];
        uint8_t now[8];

        memory_read_bytes(memory, a->address, now, a->size);
        if (memcmp(now, expected + 8 * i, a->size))
            say(l, "  memory at %llx: differs from the interpreter's\n", (unsigned long long)a->address);
    }
}

static void describe(struct lockstep *l, struct translator *t, const struct translation *block)
{
    static const char *const names[] = {"eax", "ecx", "edx", "ebx", "esp", "ebp", "esi", "edi"};
    char text[9000] = "";
    FILE *out = fmemopen(text, sizeof text - 1, "w");

    say(l, "guest code at %08x, %u instructions, mode %08x; before:\n ", block->key.eip, block->insn_count, block->key.mode);
    for (unsigned i = 0; i < 8; i++)
        say(l, " %s=%08llx", names[i], (unsigned long long)l->before.gpr[i]);
    say(l, " flags=%04x\n", cpu_arithmetic_to_eflags(l->before.arithmetic_flags));
    if (!out)
        return;
    if (t->ir->eip == block->key.eip) /* the block built last */
        code_trace_print_ir(out, t, "after all passes");
    code_trace_print_host(out, t, block);
    fclose(out);
    say(l, "%s", text);
}

/* ---- running ---- */

static void restore(struct vcpu *cpu, const struct cpu_state *before, uint32_t mode)
{
    bool paging = cpu->state.cr3 != before->cr3 || cpu->state.cr0 != before->cr0 || cpu->state.cr4 != before->cr4;

    cpu->state = *before;
    if (paging)
        mmu_load_state(&cpu->mmu, (uint32_t)before->cr0, before->cr3, (uint32_t)before->cr4, before->efer);
    cpu->mode = mode;
    cpu_update_mode(cpu);
}

static uint8_t *read_back(struct lockstep *l, struct memory *memory)
{
    uint8_t *bytes = malloc(8 * (l->log.store_count + 1));

    for (size_t i = 0; bytes && i < l->log.store_count; i++)
        memory_read_bytes(memory, l->log.stores[i].address, bytes + 8 * i, l->log.stores[i].size);
    return bytes;
}

static void leave_lockstep(struct vcpu *cpu)
{
    mmu_set_observe(&cpu->mmu, false, false);
    cpu->mmu.memory->access_log = NULL;
    port_space_set_access_log(cpu->ports, NULL);
}

static void report(struct translator *t, const struct translation *block)
{
    struct lockstep *l = t->lockstep;

    describe(l, t, block);
    if (t->options.on_disagreement)
        t->options.on_disagreement(t->options.opaque, l->report);
    else
        fprintf(stderr, "%s", l->report);
    cpu_post_attention(t->cpu, ATTENTION_STOP);
}

/* Instructions of BLOCK behind which STATE may be; all of them if it is elsewhere. */
static unsigned instructions_run(const struct translation *block, const struct cpu_state *state)
{
    for (unsigned i = 1; i < block->insn_count; i++)
        if (block->insn_eip[i] == (uint32_t)state->rip)
            return i;
    return block->insn_count;
}

/* A host fault has left in STATE what belongs to the instruction to come, which the interpreter will do: flags in MXCSR,
 * and, if it uses both units, the x87 registers made MMX registers. */
static void forgive_fault(struct cpu_state *state, const struct cpu_state *expected)
{
    if (!(expected->mxcsr & ~state->mxcsr & MXCSR_FLAGS))
        state->mxcsr = (state->mxcsr & ~MXCSR_FLAGS) | (expected->mxcsr & MXCSR_FLAGS);
    if (!(state->x87.fsw & X87_TOP) && state->x87.ftw == 0xff) {
        state->x87.fsw = expected->x87.fsw;
        state->x87.ftw = expected->x87.ftw;
        memcpy(state->x87.st, expected->x87.st, sizeof state->x87.st);
    }
}

bool lockstep_enter(struct translator *t)
{
    struct lockstep *l = t->lockstep;
    struct vcpu *cpu = t->cpu;
    struct memory *memory = cpu->mmu.memory;

    if (atomic_load(&cpu->attention))
        return false;
    struct translation *block = translator_find(t);
    if (!block)
        return false;
    block->checked++;
    if (block->checked > ALWAYS_CHECKED && block->checked % SAMPLE) {
        translator_go_on(t, translator_run(t, block));
        return true;
    }
    uint32_t mode = cpu->mode;
    int64_t budget = cpu->budget;
    bool recorded = l->blocks++ & 1;

    if (cpu->budget < block->insn_count)
        return false;
    if (block->uses_fpu)
        cpu_fpu_spill(cpu);
    l->before = cpu->state;
    if (block->uses_fpu)
        cpu_fpu_load(cpu);
    l->used = 0;
    access_log_clear(&l->log);
    memory->access_log = &l->log;
    port_space_set_access_log(cpu->ports, &l->log);
    mmu_set_observe(&cpu->mmu, true, true);
    interp_run_instructions(t->interp, block->insn_count);
    if (block->uses_fpu)
        cpu_fpu_spill(cpu);
    l->expected = cpu->state;
    uint8_t *expected_memory = read_back(l, memory);
    access_log_undo(&l->log, memory);
    restore(cpu, &l->before, mode);
    if (block->uses_fpu)
        cpu_fpu_load(cpu);
    cpu->budget = budget;

    if (block->dead) { /* it wrote to itself: what would run now is not what would have run */
        leave_lockstep(cpu);
        free(expected_memory);
        return false;
    }
    access_log_start_replay(&l->log);
    if (!recorded)
        mmu_set_observe(&cpu->mmu, false, false);
    translator_go_on(t, translator_run(t, block));
    if (block->uses_fpu)
        cpu_fpu_spill(cpu);
    unsigned ran = instructions_run(block, &cpu->state);
    if (interp_step_is_requested(t->interp) && cpu->state.rip == block->key.eip) {
        cpu_fpu_load(cpu);
        leave_lockstep(cpu); /* the first instruction is the interpreter's after all */
        free(expected_memory);
        return true;
    }
    /* Left early, as it may: compare that far. (Where a block leads back into itself, that may be its end as well.) */
    if (ran < block->insn_count && (cpu->state.rip != l->expected.rip || interp_step_is_requested(t->interp))) {
        struct cpu_state reached = cpu->state;

        access_log_undo(&l->log, memory);
        restore(cpu, &l->before, mode);
        cpu_fpu_load(cpu);
        cpu->budget = budget;
        access_log_clear(&l->log);
        mmu_set_observe(&cpu->mmu, true, true);
        interp_run_instructions(t->interp, ran);
        if (block->uses_fpu)
            cpu_fpu_spill(cpu);
        if (interp_step_is_requested(t->interp))
            forgive_fault(&reached, &cpu->state);
        compare_registers(l, &cpu->state, &reached);
        cpu_fpu_load(cpu);
        leave_lockstep(cpu);
        if (l->used)
            report(t, block);
        free(expected_memory);
        return true;
    }
    leave_lockstep(cpu);
    cpu->budget = budget - block->insn_count;

    compare_registers(l, &l->expected, &cpu->state);
    if (recorded)
        compare_records(l);
    else if (expected_memory)
        compare_memory(l, memory, expected_memory);
    cpu_fpu_load(cpu);
    if (l->log.mismatch)
        say(l, "  device accesses differ\n");
    free(expected_memory);
    if (l->used)
        report(t, block);
    return true;
}

/* Entering and leaving translated code, and when to translate. See translate.h. */
#define _GNU_SOURCE /* REG_R8 */
#include "translate/code_trace.h"
#include "translate/event_trace.h"
#include "translate/host_profilers.h"
#include "translate/translate_private.h"

#include "backend-x86_64/host.h"
#include "interp/fpu_signal.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <ucontext.h>

typedef uint64_t native_enter_fn(struct vcpu *cpu, uint64_t code);

static bool locate(struct translator *t, struct translation_key *key, uint32_t *linear)
{
    struct vcpu *cpu = t->cpu;
    const struct segment *cs = &cpu->state.segment[SEG_CS];

    *linear = (uint32_t)(cs->base + (uint32_t)cpu->state.rip);
    if ((uint32_t)cpu->state.rip > cs->limit)
        return false;
    struct mmu_result physical = mmu_translate_execute(&cpu->mmu, *linear);
    if (!physical.ok)
        return false; /* the interpreter meets the same fault and raises it */
    *key = cache_key(cpu, physical.value);
    return true;
}

static struct translation *build(struct translator *t, const struct translation_key *key, uint32_t linear)
{
    struct stats *stats = t->cpu->stats;
    enum stats_phase phase = stats_phase(stats);
    stats_set_phase(stats, STATS_PHASE_TRANSLATE);
    t->profile.at = NULL; /* may have to make room */
    struct translation *made = translator_build(t, key, linear);
    event_trace_tier(t, made, linear);
    stats_set_phase(stats, phase);

    if (!made) {
        stats->translation_failures++;
        return NULL;
    }
    stats->translations++;
    stats->translated_instructions += made->insn_count;
    stats->translated_bytes += made->end - made->start;
    return made;
}

struct translation *translator_find_made(struct translator *t)
{
    struct translation_key key;
    uint32_t linear;
    struct translation *found = cache_find_recent(&t->cache);

    return found || !locate(t, &key, &linear) ? found : cache_find(&t->cache, &key);
}

struct translation *translator_find(struct translator *t)
{
    struct translation_key key;
    uint32_t linear;
    struct translation *found = cache_find_recent(&t->cache);

    if (found)
        return found;
    if (!locate(t, &key, &linear))
        return NULL;
    found = cache_find(&t->cache, &key);
    if (!found && t->options.threshold == 0 && !(t->cpu->mode & MODE_SINGLE)) {
        t->why.reason = "forced";
        t->why.executions = 0;
        found = build(t, &key, linear);
    }
    return found;
}

static bool has(void *opaque)
{
    struct translator *t = opaque;
    struct translation_key key;
    uint32_t linear;

    return !t->lockstep && locate(t, &key, &linear) && cache_find(&t->cache, &key);
}

/* Code that is written to again and again earns its translation later and later. */
static uint32_t heat(void *opaque, uint64_t physical)
{
    struct translator *t = opaque;
    uint64_t page = physical >> PAGE_SHIFT;
    unsigned churn = page < t->cache.page_count ? t->cache.churn[page] / 8 : 0;

    return (t->options.threshold + 1) << (churn > 12 ? 12 : churn);
}

static bool translate(void *opaque)
{
    struct translator *t = opaque;
    struct translation_key key;
    uint32_t linear;

    if (!locate(t, &key, &linear))
        return false;
    t->why.reason = "hot";
    t->why.executions = heat(t, key.physical) - 1;
    return cache_find(&t->cache, &key) || build(t, &key, linear);
}

/* The guest instruction that a site belongs to becomes state.rip; what it and its successors were charged goes back. */
static void return_to_site(struct translator *t, bool faults)
{
    struct vcpu *cpu = t->cpu;
    struct translation *in = cache_find_code(&t->cache, cpu->native.fault_address);
    const struct native_site *site = in ? cache_find_site(&t->cache, in, cpu->native.fault_address) : NULL;

    if (!site) {
        log_write(cpu->log, "internal error: no site at host address %llx",
                  (unsigned long long)cpu->native.fault_address);
        return;
    }
    if (faults)
        profile_fault(t, in, site->insn);
    cpu->state.rip = in->insn_eip[site->insn];
    if (in->key.mode & MODE_COUNTED)
        cpu->budget += in->insn_count - site->insn;
}

/* A host fault costs microseconds: where divisions fault again and again, the interpreter looks first. */
static void note_divide_fault(struct translator *t)
{
    struct translation *in = cache_find_code(&t->cache, t->cpu->native.fault_address);

    if (!in || ++in->divide_faults < DIVIDE_FAULTS_BORNE)
        return;
    t->careful[in->key.physical % CAREFUL_BLOCKS] = in->key.physical + 1;
    cache_forget(&t->cache, in, "replaced");
}

/* Handles what native_enter() returned. False: the run loop is to look around. */
bool translator_go_on(struct translator *t, uint64_t left)
{
    struct vcpu *cpu = t->cpu;

    switch (left) {
    case NATIVE_LEAVE_LOOKUP:
        return !cpu->state.halted;
    case NATIVE_LEAVE_FAULT:
        return_to_site(t, cpu->mmu.fault.kind != MMU_FAULT_DEVICE);
        if (unlikely(cpu->mmu.fault.kind == MMU_FAULT_DEVICE)) {
            cpu->mmu.fault.kind = MMU_FAULT_NONE;
            cpu->exception.valid = false;
            interp_request_step(t->interp);
            return false;
        }
        if (!cpu->exception.valid)
            cpu_raise_memory_fault(cpu);
        cpu_deliver_exception(cpu);
        return true;
    case NATIVE_LEAVE_DIVIDE:
        return_to_site(t, true);
        note_divide_fault(t);
        cpu_raise(cpu, EXC_DE);
        cpu_deliver_exception(cpu);
        return true;
    case NATIVE_LEAVE_STEP:
        return_to_site(t, false);
        if (t->lockstep)
            interp_request_step(t->interp);
        else /* before an interrupt: the flags that the host's fault has set in MXCSR already are this instruction's */
            interp_run_instructions(t->interp, 1);
        return false;
    case NATIVE_LEAVE_BUDGET: /* the last instructions of a budget singly */
        if (cpu->budget > 0)
            interp_request_step(t->interp);
        return false;
    }
    struct translation_link *link = (struct translation_link *)(uintptr_t)left;
    if (link->kind == IR_LINK_INDIRECT)
        link->eip = (uint32_t)cpu->state.rip;
    cpu->state.rip = link->eip;
    if (t->lockstep || link->from->dead || atomic_load_explicit(&cpu->attention, memory_order_relaxed))
        return true;
    uint64_t evictions = t->cache.evictions;
    struct translation *target = translator_find(t);
    if (target && t->cache.evictions == evictions)
        cache_link(&t->cache, link, target);
    return target != NULL; /* nobody need look for it again before it has been interpreted */
}

uint64_t translator_run(struct translator *t, const struct translation *translation)
{
    native_enter_fn *native_enter = (native_enter_fn *)(uintptr_t)cache_address(&t->cache, t->cache.thunks.enter);

    t->cpu->native.leave = false;
    t->cpu->native.returns_generation = t->cpu->mmu.generation;
    t->cpu->mmu.devices_alone = (t->cpu->mode & MODE_COUNTED) && !t->lockstep;
    t->cpu->stats->native_entries++;
    stats_set_phase(t->cpu->stats, STATS_PHASE_EXECUTE);
    uint64_t left = native_enter(t->cpu, cache_address(&t->cache, translation->entry_home));
    stats_set_phase(t->cpu->stats, STATS_PHASE_LOOKUP);
    return left;
}

static bool find_and_run(struct translator *t)
{
    struct vcpu *cpu = t->cpu;
    bool progress = false;

    if (unlikely(!t->owned || !pthread_equal(t->owner, pthread_self())))
        translator_take_thread(t);
    if (unlikely(atomic_load(&t->flush_posted))) {
        atomic_store(&t->flush_posted, false);
        t->cache.flusher = t->flush_cause;
        cache_flush(&t->cache);
        t->cache.flusher = "flush";
    }
    if (unlikely(cpu->mmu.observe_reads || cpu->mmu.observe_writes))
        return false; /* data breakpoints: a trap behind the very instruction */
    if (t->lockstep)
        return lockstep_enter(t);
    while (!atomic_load_explicit(&cpu->attention, memory_order_relaxed)) {
        struct translation *next = translator_find(t);

        if (!next)
            return progress;
        cache_remember_jump(&t->cache, next);
        progress = true;
        if (!translator_go_on(t, translator_run(t, next)) || translator_must_step(t))
            break;
    }
    return progress;
}

static bool enter(void *opaque)
{
    struct translator *t = opaque;

    stats_set_phase(t->cpu->stats, STATS_PHASE_LOOKUP);
    bool progress = find_and_run(t);
    stats_set_phase(t->cpu->stats, STATS_PHASE_INTERPRET);
    return progress;
}

/* A breakpoint: from now on every block ends before it (lift() in build.c). */
static void forget(void *opaque, uint32_t linear)
{
    struct translator *t = opaque;

    for (unsigned s = 0; s < CACHE_SEGMENTS; s++)
        for (unsigned i = 0; i < t->cache.segments[s].count; i++) {
            struct translation *in = t->cache.segments[s].translations[i];

            if (linear - in->linear < in->length)
                cache_forget(&t->cache, in, "debugger");
        }
}

/* ---- writes to code ---- */

static void page_written(void *opaque, uint64_t page, unsigned offset, unsigned length, unsigned flags)
{
    struct translator *t = opaque;

    if (!(flags & PAGE_FLAG_CODE))
        return;
    enum stats_phase phase = stats_phase(t->cpu->stats);
    if (!t->owned || pthread_equal(t->owner, pthread_self())) {
        t->cache.writer = phase == STATS_PHASE_DEVICE ? "DMA" : "guest store";
        cache_page_written(&t->cache, page, offset, length);
        return;
    }
    t->flush_cause = phase == STATS_PHASE_STOPPED ? "debugger" : "DMA";
    atomic_store(&t->flush_posted, true);
    cpu_post_attention(t->cpu, ATTENTION_INVALIDATED);
}

static void map_changed(void *opaque, uint64_t page)
{
    struct translator *t = opaque;

    if (page == UINT64_MAX) {
        t->flush_cause = "flush";
        atomic_store(&t->flush_posted, true);
        cpu_post_attention(t->cpu, ATTENTION_INVALIDATED);
    }
}

static uint64_t code_lines(void *opaque, uint64_t page)
{
    struct translator *t = opaque;

    return cache_code_lines(&t->cache, page);
}

/* What the vCPU lacks at an FPU site goes there from the host's registers as the signal found them. */
static void write_down_fpu(struct translator *t, const struct translation *in, const struct native_site *site,
                           const ucontext_t *context)
{
    struct cpu_state *state = &t->cpu->state;

    for (unsigned n = 0; n < 8; n++)
        if (site->xmm_dirty >> n & 1)
            memcpy(&state->xmm[n], &context->uc_mcontext.fpregs->_xmm[n], sizeof state->xmm[n]);
    if (site->pointer_insn != NO_POINTER) {
        state->x87.fip = in->insn_eip[site->pointer_insn];
        state->x87.fop = site->fop;
        state->x87.fcs = state->segment[SEG_CS].selector;
    }
    if (site->data_segment != NO_SEGMENT)
        state->x87.fds = state->segment[site->data_segment].selector;
}

/* In the signal handler. */
static bool resolve_fault(void *opaque, uintptr_t pc, void *context, uintptr_t *recovery)
{
    struct translator *t = opaque;
    ucontext_t *u = context;
    const struct translation *in = cache_find_code(&t->cache, pc);
    const struct native_site *site = in ? cache_find_site(&t->cache, in, pc) : NULL;

    if (!site || site->kind == SITE_CALL)
        return false;
    *recovery = (uintptr_t)cache_address(&t->cache, site->recovery);
    if (site->kind == SITE_DIVIDE)
        return true;
    write_down_fpu(t, in, site, u);
    t->cpu->native.fault_address = pc;
    if (!site->recovery) {
        *recovery = (uintptr_t)cache_address(&t->cache, t->cache.thunks.leave_home);
        u->uc_mcontext.gregs[REG_R8] = NATIVE_LEAVE_STEP;
    }
    return true;
}

void translator_take_thread(struct translator *t)
{
    t->owner = pthread_self();
    t->owned = true;
    fpu_signal_set_resolver(resolve_fault, t);
}

bool translator_must_step(const struct translator *t)
{
    return interp_step_is_requested(t->interp);
}

/* ---- life ---- */

struct translator *translator_create(struct vcpu *cpu, struct interp *interp, const struct translate_options *options,
                                     struct error *err)
{
    struct translator *t = calloc(1, sizeof *t);

    if (!t) {
        error_set(err, "out of memory for the translator");
        return NULL;
    }
    t->cpu = cpu;
    t->interp = interp;
    t->options = *options;
    t->ir = malloc(sizeof *t->ir);
    t->lifted = malloc(sizeof *t->lifted);
    t->result = calloc(1, sizeof *t->result);
    t->host_lahf = !options->baseline && host_has_lahf();
    host_probe_flags(&t->host_flags);
    decoder_init(&t->decoder, cpu->model);
    cpu->native.translator = t;
    if (options->lockstep) {
        t->lockstep = lockstep_create();
        t->plain_only = true;
        t->options.threshold = 0;
    }
    if ((options->lockstep && !t->lockstep) || !t->ir || !t->lifted || !t->result) {
        translator_destroy(t);
        error_set(err, "out of memory for the translator");
        return NULL;
    }
    struct native_functions functions = translator_functions;
    functions.ram = cpu->mmu.memory->ram;
    functions.code_lines = cpu->mmu.memory->code_lines;
    if (!cache_init(&t->cache, cpu, options->cache_size, &functions, t->host_lahf, err)) {
        translator_destroy(t);
        return NULL;
    }
    if (!host_profilers_create(&t->profilers, &t->cache, options, err)) {
        translator_destroy(t);
        return NULL;
    }
    event_trace_init(t);
    t->native = (struct interp_native){t, !options->lockstep, enter, has, translate, heat, forget, NULL, NULL};
    profile_init(t);
    if (!t->lockstep) {
        t->native.observe = profile_observe;
        t->native.observed = profile_observed;
        stats_set_bell(cpu->stats, &cpu->attention, ATTENTION_PROFILE);
    }
    interp_set_native(interp, &t->native);
    memory_add_written_listener(cpu->mmu.memory, page_written, t);
    memory_add_code_source(cpu->mmu.memory, code_lines, t);
    memory_add_map_listener(cpu->mmu.memory, map_changed, t);
    return t;
}

void translator_destroy(struct translator *t)
{
    if (!t)
        return;
    if (t->cache.watcher)
        event_trace_end(t);
    host_profilers_destroy(t->profilers); /* before the code is gone */
    cache_finish(&t->cache);
    lockstep_destroy(t->lockstep);
    code_trace_destroy(t->trace);
    free(t->ir);
    free(t->lifted);
    free(t->result);
    free(t);
}

void translator_flush(struct translator *t)
{
    cache_flush(&t->cache);
}

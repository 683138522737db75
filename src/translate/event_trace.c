/* See event_trace.h. */
#include "translate/event_trace.h"

#include "trace/trace.h"

#include <stdlib.h>

/* ---- links ---- */

static struct trace_link link_event(const struct translation_link *link)
{
    return (struct trace_link){
        .from = link->from->id,
        .to = link->target->id,
        .slot = (unsigned)(link - link->from->links),
        .from_linear = link->from->linear,
        .to_linear = link->target->linear,
        .cpl = (uint8_t)MODE_CPL(link->from->key.mode),
    };
}

static void linked(void *opaque, const struct translation_link *link)
{
    struct log *log = ((struct translator *)opaque)->cpu->log;

    if (LOG_ENABLED(log, CHAIN)) {
        struct trace_link event = link_event(link);
        trace_chain(log, &event);
    }
}

static void unlinked(void *opaque, const struct translation_link *link, const char *cause)
{
    struct log *log = ((struct translator *)opaque)->cpu->log;

    if (LOG_ENABLED(log, CHAIN)) {
        struct trace_link event = link_event(link);
        trace_unchain(log, &event, cause);
    }
}

/* ---- counters ---- */

static int by_count(const void *a, const void *b)
{
    uint64_t x = ((const struct trace_target *)a)->count, y = ((const struct trace_target *)b)->count;

    return x < y ? 1 : x > y ? -1 : 0;
}

/* Executions of each instruction that is a call into C. Returns how many of at most IR_MAX_INSNS. */
static unsigned collect_calls(const struct translation *t, struct trace_calls *calls)
{
    const struct native_storage *storage = t->storage;
    unsigned count = 0;

    for (unsigned i = 0; i < storage->call_count; i++) {
        const struct native_call *call = &storage->calls[i];
        unsigned at = 0;

        if (!call->count || call->kind == NATIVE_TRACE)
            continue;
        while (at < count && calls[at].insn != call->insn)
            at++;
        if (at == IR_MAX_INSNS)
            continue;
        if (at == count)
            calls[count++] = (struct trace_calls){.insn = call->insn};
        calls[at].count += call->count;
    }
    return count;
}

/* What was sampled (profile.h), of a translation from before the counters were asked for. */
static void write_sampled_profile(struct translator *t, const struct translation *made, bool live)
{
    struct translate_block read = {0};
    struct trace_target targets[PROFILE_TARGETS];
    struct trace_slow slow[IR_MAX_INSNS];
    struct trace_profile event = {
        .id = made->id,
        .linear = made->linear,
        .length = made->length,
        .cpl = (uint8_t)MODE_CPL(made->key.mode),
        .targets = targets,
        .slow = slow,
        .live = live,
    };

    profile_read(made, &read);
    event.executions = read.executions;
    event.taken[0] = read.taken[0];
    event.taken[1] = read.taken[1];
    for (unsigned i = 0; i < PROFILE_TARGETS && read.targets[i].count; i++)
        targets[event.target_count++] = (struct trace_target){read.targets[i].eip, read.targets[i].count};
    for (unsigned i = 0; i < made->insn_count; i++) {
        const struct profile_site *site = &made->profile->sites[i];

        if (site->reads || site->writes)
            slow[event.slow_count++] = (struct trace_slow){i, (uint64_t)site->reads * PROFILE_SLOW_SHARE,
                                                           (uint64_t)site->writes * PROFILE_SLOW_SHARE};
    }
    trace_profile(t->cpu->log, &event);
}

static void write_profile(struct translator *t, const struct translation *made, bool live)
{
    const struct native_counters *counters = made->counters;
    struct trace_target targets[NATIVE_TARGETS];
    struct trace_slow slow[IR_MAX_INSNS];
    struct trace_calls calls[IR_MAX_INSNS];
    struct trace_profile event = {
        .id = made->id,
        .linear = made->linear,
        .length = made->length,
        .cpl = (uint8_t)MODE_CPL(made->key.mode),
        .executions = counters->executions,
        .taken = {counters->taken[0], counters->taken[1]},
        .targets = targets,
        .slow = slow,
        .calls = calls,
        .live = live,
        .exact = true,
    };

    for (unsigned i = 0; i < NATIVE_TARGETS && counters->targets[i].used; i++)
        targets[event.target_count++] = (struct trace_target){counters->targets[i].eip, counters->targets[i].count};
    qsort(targets, event.target_count, sizeof targets[0], by_count);
    for (unsigned i = 0; i < made->insn_count; i++)
        if (counters->slow[i].reads || counters->slow[i].writes)
            slow[event.slow_count++] = (struct trace_slow){i, counters->slow[i].reads, counters->slow[i].writes};
    event.call_count = collect_calls(made, calls);
    trace_profile(t->cpu->log, &event);
}

/* ---- death ---- */

static void died(void *opaque, struct translation *made)
{
    struct translator *t = opaque;
    struct log *log = t->cpu->log;
    const struct cache_death *death = &t->cache.death;

    if (LOG_ENABLED(log, SMC)) {
        struct trace_invalidate event = {
            .id = made->id,
            .linear = made->linear,
            .length = made->length,
            .cpl = (uint8_t)MODE_CPL(made->key.mode),
            .cause = death->cause,
            .has_written = death->written,
            .physical = death->physical,
            .written_length = death->length,
        };
        trace_invalidate(log, &event);
    }
    /* Written to so often that it must earn its next translation: heat() in translate.c. */
    if (LOG_ENABLED(log, TIER) && death->written && made->page < t->cache.page_count &&
        t->cache.churn[made->page] >= 8) {
        struct trace_tier event = {
            .id = made->id,
            .from = "tier1",
            .to = "interpreter",
            .linear = made->linear,
            .cpl = (uint8_t)MODE_CPL(made->key.mode),
            .executions = made->counters ? made->counters->executions : 0,
            .why = "churn",
        };
        trace_tier(log, &event);
    }
    if (made->counters) {
        t->profiled_instructions += made->counters->executions * made->insn_count;
        if (LOG_ENABLED(log, PROFILE))
            write_profile(t, made, false);
    } else if (made->profile && LOG_ENABLED(log, PROFILE)) {
        write_sampled_profile(t, made, false);
    }
    if (log->enabled)
        trace_forget(log, made->id);
}

void event_trace_init(struct translator *t)
{
    t->watcher = (struct cache_watcher){t, linked, unlinked, died};
    t->cache.watcher = &t->watcher;
}

void event_trace_end(struct translator *t)
{
    if (!LOG_ENABLED(t->cpu->log, PROFILE))
        return;
    for (unsigned s = 0; s < CACHE_SEGMENTS; s++)
        for (unsigned i = 0; i < t->cache.segments[s].count; i++) {
            const struct translation *made = t->cache.segments[s].translations[i];

            if (!made->dead && made->counters)
                write_profile(t, made, true);
            else if (!made->dead && made->profile)
                write_sampled_profile(t, made, true);
        }
}

uint64_t translator_profiled_instructions(const struct translator *t)
{
    uint64_t instructions = t->profiled_instructions;

    for (unsigned s = 0; s < CACHE_SEGMENTS; s++)
        for (unsigned i = 0; i < t->cache.segments[s].count; i++) {
            const struct translation *made = t->cache.segments[s].translations[i];

            if (!made->dead && made->counters)
                instructions += made->counters->executions * made->insn_count;
        }
    return instructions;
}

/* ---- while a translation is made ---- */

static bool tells_executions(const struct log *log)
{
    return LOG_ENABLED(log, EXEC) || trace_counts_executions(log);
}

void event_trace_instrument(struct translator *t, unsigned at)
{
    if (tells_executions(t->cpu->log))
        ir_insert(t->ir, at, IR_TRACE)->width = 8;
    if (LOG_ENABLED(t->cpu->log, PROFILE))
        ir_insert(t->ir, at, IR_COUNT)->width = 8;
}

bool event_trace_request(const struct translator *t, struct translation *made, struct codegen_request *request)
{
    request->trace_token = made;
    if (!LOG_ENABLED(t->cpu->log, PROFILE))
        return true;
    made->counters = calloc(1, sizeof *made->counters + t->ir->insn_count * sizeof made->counters->slow[0]);
    request->counters = made->counters;
    return made->counters != NULL;
}

void event_trace_tier(struct translator *t, const struct translation *made, uint32_t linear)
{
    struct log *log = t->cpu->log;

    if (!LOG_ENABLED(log, TIER))
        return;
    struct trace_tier event = {
        .id = made ? made->id : 0,
        .from = "interpreter",
        .to = made ? "tier1" : "interpreter",
        .linear = linear,
        .cpl = (uint8_t)MODE_CPL(t->cpu->mode),
        .executions = t->why.executions,
        .why = made ? t->why.reason : "refused",
    };
    trace_tier(log, &event);
}

/* ---- while it runs ---- */

void event_trace_executed(struct vcpu *cpu, const void *token)
{
    const struct translation *made = token;

    if (trace_counts_executions(cpu->log))
        trace_count_execution(cpu->log, made->id);
    if (LOG_ENABLED(cpu->log, EXEC)) {
        struct trace_exec event = {
            .id = made->id,
            .linear = made->linear,
            .length = made->length,
            .mode = made->key.mode,
            .cpl = (uint8_t)MODE_CPL(made->key.mode),
            .cr3 = cpu->mmu.cr3,
        };
        trace_exec(cpu->log, &event);
    }
}

void event_trace_slow_access(struct vcpu *cpu, bool write)
{
    const struct code_cache *cache = &translator_of(cpu)->cache;
    uint64_t address = native_return_address(cpu);
    const struct translation *in = cache_find_code(cache, address);
    const struct native_site *site = in ? cache_find_site(cache, in, address) : NULL;

    if (!site || !in->counters)
        return;
    if (write)
        in->counters->slow[site->insn].writes++;
    else
        in->counters->slow[site->insn].reads++;
}

/* See profile.h. */
#include "translate/profile.h"

#include "trace/trace.h"
#include "translate/translate_private.h"

#include <stdlib.h>
#include <string.h>

static struct translation_profile *profile_of(struct translation *t)
{
    if (!t->profile)
        t->profile = calloc(1, sizeof *t->profile + t->insn_count * sizeof t->profile->sites[0]);
    return t->profile;
}

static void count(uint32_t *counter)
{
    *counter += *counter != UINT32_MAX;
}

void profile_init(struct translator *t)
{
    t->profile = (struct profile){.random = 0x9e3779b97f4a7c15ull, .slow_countdown = PROFILE_SLOW_SHARE};
}

/* ---- bursts ---- */

/* Executions are told one by one to these, or counted exactly: neither misses those that the interpreter carries out.
 */
static bool is_told_otherwise(const struct log *log)
{
    return LOG_ENABLED(log, EXEC) || LOG_ENABLED(log, PROFILE) || LOG_ENABLED(log, IN_ASM) ||
           trace_counts_executions(log);
}

/* Is what comes next the rest of the translation whose beginning was observed? */
static bool goes_on(const struct translator *t)
{
    const struct translation *at = t->profile.at;
    const struct vcpu *cpu = t->cpu;

    return at && !at->dead && (uint32_t)cpu->state.rip == at->key.eip + t->profile.covered &&
           cpu->mode == at->key.mode && cpu->state.segment[SEG_CS].base == at->key.cs_base;
}

bool profile_observe(void *translator)
{
    struct translator *t = translator;

    if (is_told_otherwise(t->cpu->log) || atomic_load(&t->flush_posted))
        return false;
    if (goes_on(t))
        return true;
    t->profile.at = translator_find_made(t);
    t->profile.covered = 0;
    return t->profile.at != NULL;
}

static void count_target(struct translation_profile *p, uint32_t eip)
{
    struct profile_target *least = &p->targets[0];

    count(&p->elsewhere);
    for (unsigned i = 0; i < PROFILE_TARGETS; i++) {
        struct profile_target *target = &p->targets[i];

        if (target->count && target->eip == eip) {
            count(&target->count);
            return;
        }
        if (target->count < least->count)
            least = target;
    }
    least->eip = eip;
    least->error = least->count;
    count(&least->count);
}

/* Is link I a direct edge? Not what an inline cache was filled with, whose targets are counted as such. */
static bool is_direct(const struct translation *at, unsigned i)
{
    return at->links[i].exit.used && at->links[i].kind != IR_LINK_INDIRECT;
}

/* AT was left for NEXT_EIP. */
static void count_edge(const struct translation *at, struct translation_profile *p, uint32_t next_eip)
{
    for (unsigned i = 0; i < 2; i++)
        if (is_direct(at, i) && at->links[i].eip == next_eip) {
            count(&p->taken[i]);
            return;
        }
    count_target(p, next_eip);
}

/* The interpreter's blocks begin where translations do, but may be shorter or longer: a translation has been executed
 * when it has been covered, by several blocks or by part of one. */
void profile_observed(void *translator, const struct interp_observed *observed)
{
    struct translator *t = translator;
    struct translation *at = (struct translation *)t->profile.at;
    struct translation_profile *p = at ? profile_of(at) : NULL;

    t->profile.at = NULL;
    if (!p || at->dead)
        return;
    if (!t->profile.covered) {
        count(&p->executions);
        t->profile.blocks++;
        t->profile.instructions += at->insn_count;
    }
    if (!observed->complete)
        return;
    uint32_t covered = t->profile.covered + observed->length;
    if (covered < at->length) {
        t->profile.at = at;
        t->profile.covered = covered;
    } else {
        count_edge(at, p, covered == at->length ? observed->next_eip : at->key.eip + at->length);
    }
}

/* ---- sites ---- */

/* Intervals at random, for accesses in a loop come in a fixed order. */
static uint32_t next_interval(struct profile *profile)
{
    profile->random = profile->random * 6364136223846793005u + 1442695040888963407u;
    return 1 + (uint32_t)((profile->random >> 33) % (2 * PROFILE_SLOW_SHARE - 1));
}

void profile_slow_access(struct translator *t, bool write)
{
    uint64_t return_address = native_return_address(t->cpu);

    t->profile.slow_countdown = next_interval(&t->profile);
    if (t->lockstep)
        return;
    struct translation *in = cache_find_code(&t->cache, return_address);
    const struct native_site *site = in ? cache_find_site(&t->cache, in, return_address) : NULL;
    struct translation_profile *p = site ? profile_of(in) : NULL;

    if (p)
        count(write ? &p->sites[site->insn].writes : &p->sites[site->insn].reads);
}

void profile_fault(struct translator *t, struct translation *in, unsigned insn)
{
    struct translation_profile *p = t->lockstep ? NULL : profile_of(in);

    if (p)
        count(&p->sites[insn].faults);
}

/* ---- for people ---- */

uint64_t translator_profile_instructions(const struct translator *t)
{
    return t->profile.instructions;
}

static void read_exact(const struct native_counters *from, struct translate_block *to)
{
    to->counted = true;
    to->executions = from->executions;
    to->taken[0] = from->taken[0];
    to->taken[1] = from->taken[1];
    to->elsewhere = from->other_targets;
    for (unsigned i = 0; i < NATIVE_TARGETS && from->targets[i].used; i++) {
        struct translate_target new = {from->targets[i].eip, from->targets[i].count};

        to->elsewhere += new.count;
        for (unsigned j = 0; j < PROFILE_TARGETS; j++) /* the commonest move up */
            if (new.count > to->targets[j].count) {
                struct translate_target moved = to->targets[j];

                to->targets[j] = new;
                new = moved;
            }
    }
}

static void read_sampled(const struct translation_profile *from, struct translate_block *to)
{
    to->executions = from->executions;
    to->taken[0] = from->taken[0];
    to->taken[1] = from->taken[1];
    to->elsewhere = from->elsewhere;
    for (unsigned i = 0; i < PROFILE_TARGETS; i++) {
        struct translate_target new = {from->targets[i].eip, from->targets[i].count - from->targets[i].error};

        for (unsigned j = 0; j < PROFILE_TARGETS; j++)
            if (new.count > to->targets[j].count) {
                struct translate_target moved = to->targets[j];

                to->targets[j] = new;
                new = moved;
            }
    }
}

void profile_read(const struct translation *from, struct translate_block *to)
{
    for (unsigned i = 0; i < 2; i++) {
        to->link_used[i] = is_direct(from, i);
        to->link_eip[i] = from->links[i].eip;
    }
    if (from->counters)
        read_exact(from->counters, to);
    else if (from->profile)
        read_sampled(from->profile, to);
}

static uint64_t weight(const struct translate_site *s)
{
    return s->reads + s->writes + 16 * s->faults; /* a fault costs so much more */
}

static unsigned enter_site(struct translate_site *sites, unsigned used, unsigned capacity,
                           const struct translate_site *new)
{
    unsigned at = used;

    while (at > 0 && weight(new) > weight(&sites[at - 1]))
        at--;
    if (at == capacity)
        return used;
    if (used < capacity)
        used++;
    memmove(&sites[at + 1], &sites[at], (used - 1 - at) * sizeof *sites);
    sites[at] = *new;
    return used;
}

static void read_site(const struct translation *from, unsigned insn, struct translate_site *to)
{
    *to = (struct translate_site){.linear = (uint32_t)(from->key.cs_base + from->insn_eip[insn]),
                                  .eip = from->insn_eip[insn],
                                  .physical = from->key.physical + (from->insn_eip[insn] - from->key.eip),
                                  .mode = from->key.mode};
    if (from->counters) {
        to->exact = true;
        to->reads = from->counters->slow[insn].reads;
        to->writes = from->counters->slow[insn].writes;
    } else if (from->profile) {
        to->reads = (uint64_t)from->profile->sites[insn].reads * PROFILE_SLOW_SHARE;
        to->writes = (uint64_t)from->profile->sites[insn].writes * PROFILE_SLOW_SHARE;
    }
    to->faults = from->profile ? from->profile->sites[insn].faults : 0;
}

/* What is there in guest memory, still: the translation lives. */
static void read_bytes(const struct translator *t, struct translate_site *site)
{
    bool writable;
    const uint8_t *page = memory_page_pointer(t->cpu->mmu.memory, site->physical & ~(uint64_t)PAGE_MASK, &writable);
    unsigned offset = site->physical & PAGE_MASK, room = PAGE_SIZE - offset;

    site->length = page ? (room < sizeof site->bytes ? room : sizeof site->bytes) : 0;
    if (page)
        memcpy(site->bytes, page + offset, site->length);
}

unsigned translator_list_sites(const struct translator *t, struct translate_site *sites, unsigned capacity)
{
    unsigned used = 0;

    for (unsigned s = 0; s < CACHE_SEGMENTS; s++)
        for (unsigned i = 0; i < t->cache.segments[s].count; i++) {
            const struct translation *in = t->cache.segments[s].translations[i];

            for (unsigned insn = 0; insn < in->insn_count && !in->dead && (in->profile || in->counters); insn++) {
                struct translate_site found;

                read_site(in, insn, &found);
                if (weight(&found))
                    used = enter_site(sites, used, capacity, &found);
            }
        }
    for (unsigned i = 0; i < used; i++)
        read_bytes(t, &sites[i]);
    return used;
}

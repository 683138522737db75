/* The translator as an engine: the interpreter's machine (interp_engine.c), whose every block is translated at once.
 *
 * Translated code does not count its instructions (but for the variants that do), so two things are different: what
 * does not end is found by a timer of processor time; and an interrupt asked for at boundary N is raised as the Nth
 * piece of translated code is entered, to be taken at that code's next poll. The interpreter then says which boundary
 * that is. */
#include "translator_engine.h"

#include "interp_engine.h"

#include "translator_mutations.h"

#include "cpu/fpu.h"
#include "interp/test_hooks.h"
#include "translate/translate_private.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define TICK_NANOSECONDS 10000000
#define HANG_TICKS       6   /* of one case; then it is asked to stop */
#define DEADLOCK_TICKS   500 /* it did not */
#define MAX_BOUNDARY     400 /* further ones are not looked for */

const char *const translator_variants[] = {
    "twice",        "twice,baseline", "twice,counted", "limit=1",         "limit=3,cache=1,twice",   "no-constants",
    "no-addresses", "no-states",      "no-dead_code",  "no-passes,twice", "counted,cache=1,limit=2", NULL,
};

struct translator_engine {
    struct interp_engine machine;
    struct translator *translator;
    struct translate_options options;
    struct interp_native native; /* between the run loop and the translator */
    struct engine *reference;    /* the interpreter */
    struct translator_mutation mutation;
    bool twice, counted;
    uint32_t entries_left; /* until the interrupt is raised; 0: never */
    uint8_t before[ARENA_SIZE_BYTES] __attribute__((aligned(64)));
    struct oracle_output scratch;
    timer_t timer;
    volatile sig_atomic_t ticks;
    char name[64];
};

/* ---- what does not end ---- */

static void on_tick(int number, siginfo_t *info, void *context)
{
    struct translator_engine *e = info->si_value.sival_ptr;
    static const char message[] = "oracle: translated code does not look for attention\n";

    if (++e->ticks < HANG_TICKS)
        return;
    atomic_fetch_or(&e->machine.machine->cpu->attention, ATTENTION_STOP);
    if (e->ticks == DEADLOCK_TICKS && write(STDERR_FILENO, message, sizeof message - 1) > 0)
        abort();
}

static bool create_timer(struct translator_engine *e)
{
    struct sigaction action = {.sa_sigaction = on_tick, .sa_flags = SA_SIGINFO | SA_RESTART};
    struct sigevent event = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGRTMIN, .sigev_value.sival_ptr = e};

    return !sigaction(SIGRTMIN, &action, NULL) && !timer_create(CLOCK_PROCESS_CPUTIME_ID, &event, &e->timer);
}

static void set_timer(struct translator_engine *e, long nanoseconds)
{
    struct itimerspec time = {{0, nanoseconds}, {0, nanoseconds}};

    timer_settime(e->timer, 0, &time, NULL);
}

/* ---- running ---- */

/* One block, and what is linked to it. With an interrupt wanted, the line rises when attention was looked at already.
 */
static bool enter(void *opaque)
{
    struct translator_engine *e = opaque;
    struct translator *t = e->translator;

    if (!e->entries_left || atomic_load(&t->flush_posted))
        return t->native.enter(t->native.opaque);
    struct translation *next = translator_find(t);
    if (!next)
        return false;
    if (--e->entries_left == 0)
        cpu_set_interrupt_line(t->cpu, true);
    cache_remember_jump(&t->cache, next);
    translator_go_on(t, translator_run(t, next));
    return true;
}

static bool has(void *opaque)
{
    struct translator *t = ((struct translator_engine *)opaque)->translator;

    return t->native.has(t->native.opaque);
}

static bool translate(void *opaque)
{
    struct translator *t = ((struct translator_engine *)opaque)->translator;

    return t->native.translate(t->native.opaque);
}

static uint32_t heat(void *opaque, uint64_t physical)
{
    struct translator *t = ((struct translator_engine *)opaque)->translator;

    return t->native.heat(t->native.opaque, physical);
}

/* Puts back what the first of two runs changed. */
static void restore_arena(struct translator_engine *e, const struct oracle_output *changed)
{
    for (uint32_t i = 0; i < changed->line_count && i < ORACLE_MAX_LINES; i++)
        if (changed->lines[i].offset < ARENA_CODE_PAGES * ARENA_PAGE)
            interp_engine_code_written(&e->machine, changed->lines[i].offset, ORACLE_LINE);
    if (changed->line_count > ORACLE_MAX_LINES)
        for (unsigned i = 0; i < ARENA_CODE_PAGES; i++)
            interp_engine_code_written(&e->machine, i * ARENA_PAGE, ARENA_PAGE);
}

/* Until the machine halts, or is found not to. */
static uint32_t run_to_end(struct interp_engine *machine, uint32_t boundary)
{
    struct translator_engine *e = (struct translator_engine *)machine;
    struct vcpu *cpu = machine->machine->cpu;

    e->ticks = 0;
    if (e->counted)
        return interp_engine_run_to_end(machine, boundary);
    e->entries_left = boundary;
    cpu->budget = machine->budget;
    interp_run(machine->machine->interp);
    e->entries_left = 0;
    atomic_store(&cpu->interrupt_line, false);
    return 0;
}

static uint32_t run_machine(struct interp_engine *machine, uint32_t boundary)
{
    struct translator_engine *e = (struct translator_engine *)machine;

    if (e->twice) {
        memcpy(e->before, machine->arena, ARENA_SIZE_BYTES);
        run_to_end(machine, boundary);
        oracle_collect(machine->arena, e->before, &e->scratch);
        restore_arena(e, &e->scratch);
        machine->machine->triple_fault = false;
        interp_engine_load_state(machine, machine->input);
    }
    return run_to_end(machine, boundary);
}

/* ---- interrupts ---- */

static bool same_place(const struct oracle_output *a, const struct oracle_output *b)
{
    return a->registers.rip == b->registers.rip && a->registers.segment[ORACLE_CS] == b->registers.segment[ORACLE_CS];
}

/* The first instruction has not run: it is one that the run loop has to see, and the interrupt came first. */
static bool is_at_start(const struct test_case *c, const struct oracle_output *out)
{
    return out->registers.rip == c->input.registers.rip &&
           !memcmp(out->registers.gpr, c->input.registers.gpr, 8 * sizeof out->registers.gpr[0]);
}

/* At which boundary of C the state OUT was the interpreter's; if at none, that where it is at the same place. 0: before
 * the first instruction, or behind more of them than are looked at. */
static uint32_t find_boundary(struct translator_engine *e, const struct test_case *c, const struct oracle_output *out)
{
    struct test_case *asked = malloc(sizeof *asked);
    uint32_t place = 0, found = 0;
    bool ended = false;

    *asked = *c;
    for (uint32_t n = 1; n <= MAX_BOUNDARY && !found; n++) {
        asked->input.boundary = n;
        e->reference->run(e->reference, asked, &e->scratch, 1);
        ended = e->scratch.end != END_STOPPED;
        if (ended)
            break;
        if (!same_place(out, &e->scratch))
            continue;
        if (out->registers.eflags == e->scratch.registers.eflags &&
            !memcmp(out->registers.gpr, e->scratch.registers.gpr, 8 * sizeof out->registers.gpr[0]) &&
            out->line_hash == e->scratch.line_hash)
            found = e->scratch.boundary;
        else if (!place)
            place = e->scratch.boundary;
    }
    free(asked);
    if (found || is_at_start(c, out) || !ended) /* not to be found among the first: nothing can be said */
        return found;
    return place ? place : c->input.boundary;
}

/* Not comparable: between two iterations of REP, where the interpreter does not stop when it is asked to count, and
 * before the first instruction. At the terminator's target the case is over. */
static void settle_interrupt(struct translator_engine *e, const struct test_case *c, struct oracle_output *out)
{
    if (out->end != END_STOPPED || e->counted)
        return;
    if ((uint32_t)out->registers.rip == e->machine.engine.epilogue &&
        out->registers.segment[ORACLE_CS] == SELECTOR_USER_CODE32) {
        out->end = END_NORMAL;
        out->registers.rip = 0;
        out->registers.segment[ORACLE_CS] = 0;
        out->registers.eflags &= ~FLAG_RF;
        out->boundary = 0;
    } else if (out->registers.eflags & FLAG_RF) {
        out->end = END_DISCARD;
    } else {
        out->boundary = find_boundary(e, c, out);
        if (!out->boundary)
            out->end = END_DISCARD;
    }
}

static void run(struct engine *engine, const struct test_case *cases, struct oracle_output *outputs, size_t count)
{
    struct translator_engine *e = (struct translator_engine *)engine;

    translator_take_thread(e->translator); /* others run on this thread too */
    if (!e->counted)
        set_timer(e, TICK_NANOSECONDS);
    for (size_t i = 0; i < count; i++) {
        interp_engine_run_case(&e->machine, &cases[i], &outputs[i]);
        if (outputs[i].end == END_STOPPED && !e->counted) {
            cpu_fpu_spill(e->machine.machine->cpu);
            settle_interrupt(e, &cases[i], &outputs[i]);
        }
    }
    if (!e->counted)
        set_timer(e, 0);
    cpu_fpu_spill(e->machine.machine->cpu);
}

/* ---- mistakes, only in programs built for them ---- */

__attribute__((weak)) void interp_test_mutate(struct interp *interp, uint16_t row, unsigned kind);
__attribute__((weak)) void translator_mutations_linked(void);

static void mutate(struct engine *engine, uint16_t row, unsigned kind)
{
    struct translator_engine *e = (struct translator_engine *)engine;

    e->mutation = (struct translator_mutation){row, kind};
    interp_test_mutate(e->machine.machine->interp, row, row == ROW_NONE ? MUTATION_NONE : kind);
    translator_flush(e->translator);
}

/* ---- life ---- */

static bool disable_pass(struct translator_engine *e, const char *name)
{
    for (unsigned i = 0; ir_passes[i].name; i++)
        if (!strcmp(name, ir_passes[i].name) && !ir_passes[i].required) {
            e->options.disabled_passes |= 1u << i;
            return true;
        }
    return false;
}

static bool take_word(struct translator_engine *e, const char *word)
{
    unsigned n;

    if (!strcmp(word, "twice"))
        e->twice = true;
    else if (!strcmp(word, "counted"))
        e->counted = true;
    else if (!strcmp(word, "baseline"))
        e->options.baseline = true;
    else if (sscanf(word, "limit=%u", &n) == 1 && n)
        e->options.block_limit = n;
    else if (sscanf(word, "cache=%u", &n) == 1 && n)
        e->options.cache_size = n << 20;
    else if (!strcmp(word, "no-passes"))
        e->options.disabled_passes = UINT32_MAX;
    else
        return !strncmp(word, "no-", 3) && disable_pass(e, word + 3);
    return true;
}

static bool parse_variant(struct translator_engine *e, const char *variant)
{
    char copy[64];

    snprintf(copy, sizeof copy, "%s", variant);
    for (char *save, *word = strtok_r(copy, ",", &save); word; word = strtok_r(NULL, ",", &save))
        if (!take_word(e, word)) {
            fprintf(stderr, "oracle: no translator variant has \"%s\"\n", word);
            return false;
        }
    return true;
}

void engine_translator_counts(const struct engine *engine, uint64_t *translated, uint64_t *refused)
{
    const struct translator_engine *e = (const struct translator_engine *)engine;

    *translated = e->machine.machine->stats.translations;
    *refused = e->machine.machine->stats.translation_failures;
}

static void destroy(struct engine *engine)
{
    struct translator_engine *e = (struct translator_engine *)engine;

    timer_delete(e->timer);
    translator_destroy(e->translator);
    interp_engine_finish(&e->machine);
    e->reference->destroy(e->reference);
    free(e);
}

struct engine *engine_create_translator(uint32_t epilogue, int64_t budget, const char *variant)
{
    struct translator_engine *e = aligned_alloc(64, (sizeof *e + 63) & ~(size_t)63);
    struct error err = {""};

    memset(e, 0, sizeof *e);
    e->options = (struct translate_options)TRANSLATE_OPTIONS_DEFAULT;
    e->options.threshold = 0;
    e->options.cache_size = 16u << 20;
    if (!parse_variant(e, variant)) {
        free(e);
        return NULL;
    }
    snprintf(e->name, sizeof e->name, "tier1%s%s", *variant ? ":" : "", variant);
    e->machine.engine = (struct engine){.name = e->name, .exact = e->counted, .run = run, .destroy = destroy};
    if (interp_test_mutate && translator_mutations_linked) {
        e->machine.engine.mutate = mutate;
        e->options.opaque = &e->mutation;
    }
    /* Translated code is not charged, and where the interpreter helps out it shall not be the one that gives up. */
    interp_engine_init(&e->machine, epilogue, e->counted ? budget : 16 * budget);
    e->machine.run_to_end = run_machine;
    struct bare_machine *machine = e->machine.machine;
    if (e->counted)
        machine->cpu->mode |= MODE_COUNTED;
    e->translator = translator_create(machine->cpu, machine->interp, &e->options, &err);
    if (!e->translator || !create_timer(e)) {
        fprintf(stderr, "oracle: no translator: %s\n", e->translator ? "no timer" : err.message);
        translator_destroy(e->translator);
        interp_engine_finish(&e->machine);
        free(e);
        return NULL;
    }
    e->native = (struct interp_native){e, false, enter, has, translate, heat, NULL, NULL, NULL};
    interp_set_native(machine->interp, &e->native);
    e->reference = engine_create_interp(epilogue, budget);
    return &e->machine.engine;
}

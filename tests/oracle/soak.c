/* Random cases on all cores until time is up: soak --minutes N [--seed S] [--jobs N] ... (README.md). */
#include "case_text.h"
#include "compare.h"
#include "generate.h"
#include "shrink.h"
#include "state_values.h"
#include "translator_engine.h"

#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define HANG_BUDGET    100000
#define MAX_EXEMPTIONS 32u
#define SIZE_CLASSES   4 /* operand size 1, 2, 4, else */

/* What cases are made of. Blocks: anything one after the other; to a plan (generate.h); such a block once for each
 * access that can fault; and once for each boundary, at which an interrupt arrives. */
enum kind { KIND_SINGLE, KIND_ANYTHING, KIND_PLANNED, KIND_FAULTS, KIND_INTERRUPTS, KINDS };

static const char *const kind_names[] = {"single", "anything", "planned", "faults", "interrupts"};

struct totals {
    uint64_t cases, agreed, discarded, exempt, differing, hung, unconfirmed;
    uint64_t agreed_by[ROW_COUNT][ORACLE_MODES][SIZE_CLASSES];
    uint64_t differing_by[ROW_COUNT];
    uint64_t exempt_by[MAX_EXEMPTIONS]; /* in the order of the table */
    uint64_t agreed_kind[KINDS], completed, faulted, stopped;
    uint64_t translations, refused;
};

struct options {
    double seconds;
    uint64_t seed, cases;
    unsigned jobs, block, reports;
    enum kind kind; /* of blocks; KIND_SINGLE: all */
    bool interp, translator;
    const char *helper, *rows, *skip, *coverage, *variant; /* variant: NULL: the translator's one after the other */
};

#define MAX_ENGINES 16

/* Who runs what a job makes. */
struct crew {
    struct engine *host, *interp, *translators[MAX_ENGINES];
    unsigned translator_count, next_translator;
};

static double now(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static void add(uint64_t *counter, uint64_t n)
{
    __atomic_fetch_add(counter, n, __ATOMIC_RELAXED);
}

static unsigned size_class(unsigned operand_size)
{
    return operand_size == 1 ? 0 : operand_size == 2 ? 1 : operand_size == 4 ? 2 : 3;
}

/* Whether LIST, comma-separated, names ROW; "integer", "float", "x87", "mmx", "sse" and "callout" are families. */
static bool row_listed(const struct instruction_row *r, const char *list)
{
    bool is_float = r->attributes & (ATTR_X87 | ATTR_MMX | ATTR_SSE), listed = false;
    char copy[1024];

    snprintf(copy, sizeof copy, "%s", list);
    for (char *save, *name = strtok_r(copy, ",", &save); name; name = strtok_r(NULL, ",", &save))
        listed |= !strcasecmp(name, r->name) || (!strcmp(name, "integer") && !is_float) ||
                  (!strcmp(name, "float") && is_float) || (!strcmp(name, "x87") && (r->attributes & ATTR_X87)) ||
                  (!strcmp(name, "mmx") && (r->attributes & ATTR_MMX)) ||
                  (!strcmp(name, "sse") && (r->attributes & ATTR_SSE)) || (!strcmp(name, "callout") && r->callout);
    return listed;
}

static void select_rows(struct generator *g, const struct options *options)
{
    for (uint16_t row = 1; row < ROW_COUNT; row++) {
        const struct instruction_row *r = &instruction_table[row];

        generator_enable_row(g, row,
                             (!options->rows || row_listed(r, options->rows)) &&
                                 !(options->skip && row_listed(r, options->skip)));
    }
    if (options->rows || options->skip)
        generator_disable_arbitrary(g);
}

/* Seen once, among others, and not again alone: something outlived a case, in the engine or in the helper. */
static void report_unconfirmed(const struct test_case *c, const struct oracle_output *host,
                               const struct oracle_output *engine, struct totals *totals)
{
    char what[1024], code[256];

    add(&totals->unconfirmed, 1);
    compare_outputs(c, host, engine, what, sizeof what);
    case_disassemble(c, code, sizeof code);
    printf("# unconfirmed: %s |%s | seed %llx\n", code, what, (unsigned long long)c->seed);
    case_print(stdout, c, host);
    fflush(stdout);
}

static void report(struct engine *host, struct engine *engine, struct generator *g, const struct test_case *original,
                   const struct oracle_output *host_output, const struct oracle_output *engine_output,
                   struct totals *totals, const struct options *options)
{
    static struct oracle_output a, b;
    static struct test_case c;
    char what[2048], code[512];
    char *text = NULL;
    size_t size = 0;

    /* Once more, in a fresh process and alone. */
    engine_host_restart(host);
    c = *original;
    engine->run(engine, &c, &b, 1);
    engine_settle(engine, &c, &b);
    host->run(host, &c, &a, 1);
    if (compare_outputs(&c, &a, &b, NULL, 0) != VERDICT_DIFFER) {
        report_unconfirmed(original, host_output, engine_output, totals);
        return;
    }
    uint64_t before = __atomic_fetch_add(&totals->differing_by[c.row], 1, __ATOMIC_RELAXED);
    add(&totals->differing, 1);
    if (before >= options->reports)
        return;
    shrink_case(g, host, engine, &c, &a, &b);
    if (c.input.boundary && !engine->exact) /* the line tells of the boundary itself */
        c.input.boundary = c.host_boundary;
    compare_outputs(&c, &a, &b, what, sizeof what);
    case_disassemble(&c, code, sizeof code);
    FILE *f = open_memstream(&text, &size);
    fprintf(f, "# %s | %s/%s:%s | seed %llx\n", code, host->name, engine->name, what, (unsigned long long)c.seed);
    case_print(f, &c, &a);
    fclose(f);
    if (write(STDOUT_FILENO, text, size) < 0)
        perror("soak");
    free(text);
}

static void count_agreed(struct totals *totals, const struct test_case *c, const struct oracle_output *output)
{
    if (!c->block)
        add(&totals->agreed_by[c->row][c->mode][size_class(c->operand_size)], 1);
    add(&totals->agreed_kind[c->kind], 1);
    if (c->kind == KIND_FAULTS && output->end == END_FAULT &&
        (output->vector == 14 || output->vector == 13 || output->vector == 12))
        add(&totals->faulted, 1);
    if (c->kind == KIND_PLANNED && output->end == END_NORMAL)
        add(&totals->completed, 1);
    if (output->end == END_STOPPED)
        add(&totals->stopped, 1);
}

/* What does not end in the interpreter does not count. */
static bool is_lost(struct engine *engine, struct engine *interp, const struct test_case *c,
                    const struct oracle_output *output)
{
    static struct oracle_output other;

    if (output->end != END_HANG || engine == interp)
        return output->end == END_HANG || output->end == END_DISCARD;
    interp->run(interp, c, &other, 1);
    return other.end == END_HANG || other.end == END_DISCARD;
}

static void run_batch(struct crew *crew, struct engine *engine, struct generator *g, struct test_case *cases,
                      size_t count, struct totals *totals, const struct options *options)
{
    static struct oracle_output host_outputs[ORACLE_BATCH], outputs[ORACLE_BATCH];
    struct engine *host = crew->host;
    size_t kept = 0;

    /* The engine first: what hangs there would cost seconds on the processor. */
    engine->run(engine, cases, outputs, count);
    for (size_t i = 0; i < count; i++) {
        if (is_lost(engine, crew->interp, &cases[i], &outputs[i])) {
            add(outputs[i].end == END_HANG ? &totals->hung : &totals->discarded, 1);
            continue;
        }
        if (kept != i) {
            cases[kept] = cases[i];
            outputs[kept] = outputs[i];
        }
        engine_settle(engine, &cases[kept], &outputs[kept]);
        kept++;
    }
    if (!kept)
        return;
    host->run(host, cases, host_outputs, kept);
    add(&totals->cases, kept);
    for (size_t i = 0; i < kept; i++) {
        const struct test_case *c = &cases[i];

        switch (compare_outputs(c, &host_outputs[i], &outputs[i], NULL, 0)) {
        case VERDICT_AGREE:
            add(&totals->agreed, 1);
            count_agreed(totals, c, &outputs[i]);
            break;
        case VERDICT_DISCARD:
            add(&totals->discarded, 1);
            break;
        case VERDICT_EXEMPT:
            add(&totals->exempt, 1);
            add(&totals->exempt_by[compare_exemption(c, &host_outputs[i], &outputs[i]) % MAX_EXEMPTIONS], 1);
            break;
        case VERDICT_DIFFER:
            if (compare_met_excluded(g, c, &outputs[i])) {
                add(&totals->exempt, 1);
                break;
            }
            report(host, engine, g, c, &host_outputs[i], &outputs[i], totals, options);
            break;
        }
    }
}

/* Cases that come from one seed. */
struct series {
    uint64_t seed;
    enum kind kind;
    unsigned instructions, next, last;
};

#define MAX_BOUNDARIES 48

/* Of series; those with faults make some 7 cases, those with interrupts some 20, each of which costs a trap more. */
static enum kind choose_kind(struct random *seeds)
{
    unsigned n = random_below(seeds, 100);

    return n < 30 ? KIND_ANYTHING : n < 91 ? KIND_PLANNED : n < 97 ? KIND_FAULTS : KIND_INTERRUPTS;
}

static void make_case(struct generator *g, struct random *seeds, struct series *series, uint64_t base,
                      uint32_t epilogue, const struct options *options, struct test_case *c)
{
    if (series->next > series->last) {
        series->seed = random_next(seeds);
        series->kind = KIND_SINGLE;
        if (random_below(seeds, 100) < options->block)
            series->kind = options->kind ? options->kind : choose_kind(seeds);
        series->instructions = 2 + random_below(seeds, random_percent(seeds, 50) ? 10 : 29);
        series->next = series->last = 1;
        if (series->kind == KIND_FAULTS || series->kind == KIND_INTERRUPTS) {
            generator_make_block(g, series->seed, base, series->instructions, 0, 0, epilogue, c);
            series->last = series->kind == KIND_FAULTS ? c->accesses : c->steps + 4u;
            if (series->kind == KIND_INTERRUPTS && series->last > MAX_BOUNDARIES)
                series->last = MAX_BOUNDARIES;
            if (!series->last)
                series->kind = KIND_PLANNED;
        }
    }
    unsigned n = series->next++;
    switch (series->kind) {
    case KIND_SINGLE:
    case KIND_ANYTHING:
        generator_make(g, series->seed, base, ROW_NONE, series->kind == KIND_SINGLE ? 1 : series->instructions,
                       epilogue, c);
        break;
    default:
        generator_make_block(g, series->seed, base, series->instructions, series->kind == KIND_FAULTS ? n : 0,
                             series->kind == KIND_INTERRUPTS ? n : 0, epilogue, c);
        break;
    }
    c->kind = (uint8_t)series->kind;
}

static bool hire(struct crew *crew, const struct options *options)
{
    crew->host = engine_create_host(options->helper);
    if (!crew->host)
        return false;
    crew->interp = engine_create_interp(crew->host->epilogue, HANG_BUDGET);
    for (unsigned i = 0; options->translator; i++) {
        const char *variant = options->variant ? options->variant : translator_variants[i];

        if (!variant || i == MAX_ENGINES || (options->variant && i))
            break;
        crew->translators[i] = engine_create_translator(crew->host->epilogue, HANG_BUDGET, variant);
        if (!crew->translators[i])
            return false;
        crew->translator_count++;
    }
    return true;
}

static void dismiss(struct crew *crew, struct totals *totals)
{
    for (unsigned i = 0; i < crew->translator_count; i++) {
        uint64_t made, refused;

        engine_translator_counts(crew->translators[i], &made, &refused);
        add(&totals->translations, made);
        add(&totals->refused, refused);
        crew->translators[i]->destroy(crew->translators[i]);
    }
    crew->interp->destroy(crew->interp);
    crew->host->destroy(crew->host);
}

static void run_everywhere(struct crew *crew, struct generator *g, struct test_case *cases, struct totals *totals,
                           const struct options *options)
{
    static struct test_case copies[ORACLE_BATCH];

    if (options->interp) {
        memcpy(copies, cases, sizeof copies);
        run_batch(crew, crew->interp, g, copies, ORACLE_BATCH, totals, options);
    }
    if (options->translator)
        run_batch(crew, crew->translators[crew->next_translator++ % crew->translator_count], g, cases, ORACLE_BATCH,
                  totals, options);
}

static void job(unsigned number, const struct options *options, struct totals *totals)
{
    static struct test_case cases[ORACLE_BATCH];
    struct crew crew = {.next_translator = number};
    struct error err;
    struct generator *g = generator_create(cpu_model_find("max", &err));
    struct random mixer = {options->seed}, seeds = {random_next(&mixer) + number * 0xd1342543de82ef95ull};
    struct series series = {.next = 1};
    double end = now() + options->seconds;

    if (!hire(&crew, options))
        exit(1);
    select_rows(g, options);
    uint64_t share = options->cases / options->jobs, done = 0;
    while (options->cases ? done < share : now() < end) {
        uint64_t base = random_next(&seeds) & 0xffff;

        for (unsigned i = 0; i < ORACLE_BATCH; i++)
            make_case(g, &seeds, &series, base, crew.host->epilogue, options, &cases[i]);
        run_everywhere(&crew, g, cases, totals, options);
        done += ORACLE_BATCH;
    }
    dismiss(&crew, totals);
    generator_destroy(g);
}

static void write_coverage(const char *path, const struct totals *totals);

static void print_progress(const struct totals *t, double seconds, bool last)
{
    fprintf(stderr,
            "%s%7.1f s  %llu cases, %.0f/s  agree %llu  DIFFER %llu  exempt %llu  discarded %llu  hung %llu  "
            "unconfirmed %llu\n",
            last ? "total " : "", seconds, (unsigned long long)t->cases, (double)t->cases / seconds,
            (unsigned long long)t->agreed, (unsigned long long)t->differing, (unsigned long long)t->exempt,
            (unsigned long long)t->discarded, (unsigned long long)t->hung, (unsigned long long)t->unconfirmed);
}

/* What a core of its own would make of it: the jobs and their helpers have ended. */
static void print_rate(const struct totals *t)
{
    struct rusage usage;

    getrusage(RUSAGE_CHILDREN, &usage);
    double seconds = (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
                     (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) * 1e-6;
    fprintf(stderr, " %.0f/s of processor time\n", (double)t->cases / (seconds > 0 ? seconds : 1));
}

static void print_kinds(const struct totals *t)
{
    fprintf(stderr, " agree:");
    for (unsigned kind = 0; kind < KINDS; kind++)
        if (t->agreed_kind[kind])
            fprintf(stderr, " %s %llu", kind_names[kind], (unsigned long long)t->agreed_kind[kind]);
    fprintf(stderr, "  (planned to the end %llu, faulted %llu, stopped %llu)\n", (unsigned long long)t->completed,
            (unsigned long long)t->faulted, (unsigned long long)t->stopped);
}

static void print_translations(const struct totals *t)
{
    if (t->translations)
        fprintf(stderr, " %llu blocks translated, %llu left to the interpreter\n", (unsigned long long)t->translations,
                (unsigned long long)t->refused);
}

static void print_exempt(const struct totals *t)
{
    uint64_t excluded = t->exempt;

    for (unsigned i = 0; i < MAX_EXEMPTIONS && compare_exemption_name(i); i++) {
        excluded -= t->exempt_by[i];
        if (t->exempt_by[i])
            fprintf(stderr, "  exempt: %-24s %llu\n", compare_exemption_name(i), (unsigned long long)t->exempt_by[i]);
    }
    if (excluded)
        fprintf(stderr, "  exempt: %-24s %llu\n", "met what is never run", (unsigned long long)excluded);
}

static void print_differing(const struct totals *t)
{
    for (unsigned row = 0; row < ROW_COUNT; row++)
        if (t->differing_by[row])
            fprintf(stderr, "  %-16s %llu\n", row ? instruction_table[row].name : "(arbitrary)",
                    (unsigned long long)t->differing_by[row]);
}

static void write_coverage(const char *path, const struct totals *t)
{
    FILE *f = fopen(path, "w");
    struct error err;
    struct generator *g = generator_create(cpu_model_find("max", &err));

    if (!f) {
        perror(path);
        return;
    }
    fprintf(f, "# Coverage of the differential test\n\n"
               "Written by `tests/oracle/soak --coverage`. Each number counts cases in which the interpreter and the\n"
               "processor agreed in everything. Privileged rows: the processor's #GP at CPL 3 is what is compared. A "
               "remark says what\n"
               "is left out of the comparison.\n\n"
               "| row | class | 32-bit code: 8 | 16 | 32 | other | 16-bit code: 8 | 16 | 32 | other | |\n"
               "|---|---|---|---|---|---|---|---|---|---|---|\n");
    for (uint16_t row = 1; row < ROW_COUNT; row++) {
        const struct instruction_row *r = &instruction_table[row];
        const char *excluded = generator_row_excluded(row);
        uint64_t sum = 0;

        fprintf(f, "| %s | %s |", r->name,
                r->class == CLASS_PRIVILEGED ? "privileged"
                : r->class == CLASS_CRITICAL ? "critical"
                                             : "");
        for (unsigned mode = 0; mode < ORACLE_MODES; mode++)
            for (unsigned size = 0; size < SIZE_CLASSES; size++) {
                uint64_t n = t->agreed_by[row][mode][size];
                sum += n;
                if (n)
                    fprintf(f, " %llu |", (unsigned long long)n);
                else
                    fprintf(f, " |");
            }
        bool encodable =
            generator_template_count(g, row, ORACLE_MODE32) || generator_template_count(g, row, ORACLE_MODE16);
        fprintf(f, " %s |\n", excluded ? excluded : sum ? "" : encodable ? "**none**" : "no encoding in this model");
    }
    fprintf(f,
            "\n## Blocks\n\nAgreeing cases of each kind (`tests/oracle/README.md`).\n\n| kind | cases |\n|---|---|\n");
    for (unsigned kind = 0; kind < KINDS; kind++)
        fprintf(f, "| %s | %llu |\n", kind_names[kind], (unsigned long long)t->agreed_kind[kind]);
    fprintf(f, "| faults that did come | %llu |\n| interrupts that were taken before the end | %llu |\n",
            (unsigned long long)t->faulted, (unsigned long long)t->stopped);
    fprintf(f, "\n## Exemptions\n\n");
    for (unsigned i = 0; compare_exemption_name(i); i++)
        fprintf(f, "- `%s`: %s\n", compare_exemption_name(i), compare_exemption_reason(i));
    fclose(f);
    generator_destroy(g);
}

static void usage(void)
{
    fprintf(
        stderr,
        "usage: soak [--minutes N] [--cases N] [--seed S] [--jobs N] [--rows a,b,integer,...] [--skip ...] [--blocks "
        "PERCENT]\n"
        "            [--kind anything|planned|faults|interrupts] [--reports N] [--coverage FILE] [--helper FILE]\n"
        "            [--engine interp|tier1|both] [--variant WORDS]\n");
    exit(2);
}

static enum kind parse_kind(const char *name)
{
    for (unsigned kind = 1; kind < KINDS; kind++)
        if (!strcmp(name, kind_names[kind]))
            return (enum kind)kind;
    usage();
    return KIND_SINGLE;
}

static void parse_engine(const char *name, struct options *options)
{
    options->interp = strcmp(name, "tier1") != 0;
    options->translator = strcmp(name, "interp") != 0;
    if (options->interp && options->translator && strcmp(name, "both"))
        usage();
}

int main(int argc, char **argv)
{
    static const struct option long_options[] = {{"minutes", 1, 0, 'm'},  {"seed", 1, 0, 's'},
                                                 {"jobs", 1, 0, 'j'},     {"rows", 1, 0, 'r'},
                                                 {"blocks", 1, 0, 'b'},   {"reports", 1, 0, 'n'},
                                                 {"coverage", 1, 0, 'c'}, {"cases", 1, 0, 'k'},
                                                 {"helper", 1, 0, 'h'},   {"skip", 1, 0, 'x'},
                                                 {"kind", 1, 0, 't'},     {"engine", 1, 0, 'e'},
                                                 {"variant", 1, 0, 'v'},  {0}};
    struct options options = {.seconds = 60,
                              .seed = (uint64_t)time(NULL),
                              .reports = 3,
                              .helper = ORACLE_HELPER,
                              .interp = true,
                              .translator = true};
    int c;

    options.jobs = (unsigned)sysconf(_SC_NPROCESSORS_ONLN);
    while ((c = getopt_long(argc, argv, "", long_options, NULL)) != -1) {
        switch (c) {
        case 'm':
            options.seconds = strtod(optarg, NULL) * 60;
            break;
        case 's':
            options.seed = strtoull(optarg, NULL, 0);
            break;
        case 'j':
            options.jobs = (unsigned)strtoul(optarg, NULL, 0);
            break;
        case 'r':
            options.rows = optarg;
            break;
        case 'x':
            options.skip = optarg;
            break;
        case 'b':
            options.block = (unsigned)strtoul(optarg, NULL, 0);
            break;
        case 'n':
            options.reports = (unsigned)strtoul(optarg, NULL, 0);
            break;
        case 'c':
            options.coverage = optarg;
            break;
        case 'k':
            options.cases = strtoull(optarg, NULL, 0);
            break;
        case 'h':
            options.helper = optarg;
            break;
        case 't':
            options.kind = parse_kind(optarg);
            break;
        case 'e':
            parse_engine(optarg, &options);
            break;
        case 'v':
            options.variant = optarg;
            break;
        default:
            usage();
        }
    }
    if (optind != argc || !options.jobs)
        usage();
    struct totals *totals = mmap(NULL, sizeof *totals, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    double start = now(), next = start + 10;

    fprintf(stderr, "soak: seed %llu, %u jobs\n", (unsigned long long)options.seed, options.jobs);
    for (unsigned i = 0; i < options.jobs; i++) {
        if (fork() == 0) {
            job(i, &options, totals);
            exit(0);
        }
    }
    bool failed = false;
    for (unsigned running = options.jobs; running;) {
        int status;
        pid_t pid = waitpid(-1, &status, WNOHANG);

        if (pid > 0) {
            running--;
            if (status) {
                fprintf(stderr, "soak: a job died with status %x\n", status);
                failed = true;
            }
            continue;
        }
        usleep(100000);
        if (now() > next) {
            print_progress(totals, now() - start, false);
            next += 10;
        }
    }
    print_progress(totals, now() - start, true);
    print_rate(totals);
    print_kinds(totals);
    print_translations(totals);
    print_exempt(totals);
    print_differing(totals);
    if (options.coverage)
        write_coverage(options.coverage, totals);
    return failed || totals->differing ? 1 : 0;
}

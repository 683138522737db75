/* Random cases on all cores until time is up: soak --minutes N [--seed S] [--jobs N] ... (README.md). */
#include "case_text.h"
#include "compare.h"
#include "generate.h"
#include "shrink.h"
#include "state_values.h"

#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define HANG_BUDGET  100000
#define SIZE_CLASSES 4 /* operand size 1, 2, 4, else */

struct totals {
    uint64_t cases, agreed, discarded, exempt, differing, hung, unconfirmed;
    uint64_t agreed_by[ROW_COUNT][ORACLE_MODES][SIZE_CLASSES];
    uint64_t differing_by[ROW_COUNT];
};

struct options {
    double seconds;
    uint64_t seed, cases;
    unsigned jobs, block, reports;
    const char *helper, *rows, *skip, *coverage;
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

        generator_enable_row(g, row, (!options->rows || row_listed(r, options->rows)) &&
                                         !(options->skip && row_listed(r, options->skip)));
    }
    if (options->rows || options->skip)
        generator_disable_arbitrary(g);
}

/* The engine's fault is at an instruction that is never run on purpose, reached by a jump into an operand or into another
 * kind of segment: #UD at one that the processor knows and the model does not, or any fault at one that Linux emulates. */
static bool met_excluded(const struct generator *g, const struct test_case *c, const struct oracle_output *engine)
{
    struct decoded_instruction insn;
    enum decode_status status;
    uint8_t bytes[15];

    if (engine->end != END_FAULT)
        return false;
    compare_code_at(c, &engine->registers, bytes);
    enum exclusion why = generator_check(g, bytes, sizeof bytes, segment_is_code32(engine->registers.segment[ORACLE_CS]), 0,
                                         &insn, &status);
    return why == EXCLUDED_EMULATED || (why == EXCLUDED_NEWER && engine->vector == 6);
}

static void report(struct engine *host, struct engine *engine, struct generator *g, const struct test_case *original,
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
    host->run(host, &c, &a, 1);
    engine->run(engine, &c, &b, 1);
    if (compare_outputs(&c, &a, &b, NULL, 0) != VERDICT_DIFFER) {
        add(&totals->unconfirmed, 1);
        return;
    }
    uint64_t before = __atomic_fetch_add(&totals->differing_by[c.row], 1, __ATOMIC_RELAXED);
    add(&totals->differing, 1);
    if (before >= options->reports)
        return;
    shrink_case(g, host, engine, &c, &a, &b);
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

static void run_batch(struct engine *host, struct engine *engine, struct generator *g, struct test_case *cases,
                      size_t count, struct totals *totals, const struct options *options)
{
    static struct oracle_output host_outputs[ORACLE_BATCH], outputs[ORACLE_BATCH];
    size_t kept = 0;

    /* The engine first: what hangs there would cost seconds on the processor. */
    engine->run(engine, cases, outputs, count);
    for (size_t i = 0; i < count; i++) {
        if (outputs[i].end == END_HANG || outputs[i].end == END_DISCARD) {
            add(outputs[i].end == END_HANG ? &totals->hung : &totals->discarded, 1);
            continue;
        }
        if (kept != i) {
            cases[kept] = cases[i];
            outputs[kept] = outputs[i];
        }
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
            add(&totals->agreed_by[c->row][c->mode][size_class(c->operand_size)], 1);
            break;
        case VERDICT_DISCARD:
            add(&totals->discarded, 1);
            break;
        case VERDICT_EXEMPT:
            add(&totals->exempt, 1);
            break;
        case VERDICT_DIFFER:
            if (met_excluded(g, c, &outputs[i])) {
                add(&totals->exempt, 1);
                break;
            }
            report(host, engine, g, c, totals, options);
            break;
        }
    }
}

static void job(unsigned number, const struct options *options, struct totals *totals)
{
    static struct test_case cases[ORACLE_BATCH];
    struct error err;
    struct engine *host = engine_create_host(options->helper);
    struct generator *g = generator_create(cpu_model_find("max", &err));
    struct random mixer = {options->seed}, seeds = {random_next(&mixer) + number * 0xd1342543de82ef95ull};
    double end = now() + options->seconds;

    if (!host)
        exit(1);
    struct engine *engine = engine_create_interp(host->epilogue, HANG_BUDGET);
    select_rows(g, options);
    uint64_t share = options->cases / options->jobs, done = 0;
    while (options->cases ? done < share : now() < end) {
        uint64_t base = random_next(&seeds) & 0xffff;

        for (unsigned i = 0; i < ORACLE_BATCH; i++) {
            unsigned length = random_below(&seeds, 100) < options->block ? 2 + random_below(&seeds, 12) : 1;
            uint64_t seed = random_next(&seeds);

            generator_make(g, seed, base, ROW_NONE, length, host->epilogue, &cases[i]);
        }
        run_batch(host, engine, g, cases, ORACLE_BATCH, totals, options);
        done += ORACLE_BATCH;
    }
    engine->destroy(engine);
    host->destroy(host);
    generator_destroy(g);
}

static void write_coverage(const char *path, const struct totals *totals);

static void print_progress(const struct totals *t, double seconds, bool last)
{
    fprintf(stderr, "%s%7.1f s  %llu cases, %.0f/s  agree %llu  DIFFER %llu  exempt %llu  discarded %llu  hung %llu  unconfirmed %llu\n",
            last ? "total " : "", seconds, (unsigned long long)t->cases, (double)t->cases / seconds,
            (unsigned long long)t->agreed, (unsigned long long)t->differing, (unsigned long long)t->exempt,
            (unsigned long long)t->discarded, (unsigned long long)t->hung, (unsigned long long)t->unconfirmed);
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
               "processor agreed in everything. Privileged rows: the processor's #GP at CPL 3 is what is compared.\n\n"
               "| row | class | 32-bit code: 8 | 16 | 32 | other | 16-bit code: 8 | 16 | 32 | other | |\n"
               "|---|---|---|---|---|---|---|---|---|---|---|\n");
    for (uint16_t row = 1; row < ROW_COUNT; row++) {
        const struct instruction_row *r = &instruction_table[row];
        const char *excluded = generator_row_excluded(row);
        uint64_t sum = 0;

        fprintf(f, "| %s | %s |", r->name,
                r->class == CLASS_PRIVILEGED ? "privileged" : r->class == CLASS_CRITICAL ? "critical" : "");
        for (unsigned mode = 0; mode < ORACLE_MODES; mode++)
            for (unsigned size = 0; size < SIZE_CLASSES; size++) {
                uint64_t n = t->agreed_by[row][mode][size];
                sum += n;
                if (n)
                    fprintf(f, " %llu |", (unsigned long long)n);
                else
                    fprintf(f, " |");
            }
        bool encodable = generator_template_count(g, row, ORACLE_MODE32) || generator_template_count(g, row, ORACLE_MODE16);
        fprintf(f, " %s |\n", excluded ? excluded : sum ? "" : encodable ? "**none**" : "no encoding in this model");
    }
    fprintf(f, "\n## Exemptions\n\n");
    for (unsigned i = 0; compare_exemption_name(i); i++)
        fprintf(f, "- `%s`: %s\n", compare_exemption_name(i), compare_exemption_reason(i));
    fclose(f);
    generator_destroy(g);
}

static void usage(void)
{
    fprintf(stderr, "usage: soak [--minutes N] [--cases N] [--seed S] [--jobs N] [--rows a,b,integer,...] [--skip ...] [--blocks PERCENT]\n"
                    "            [--reports N] [--coverage FILE] [--helper FILE]\n");
    exit(2);
}

int main(int argc, char **argv)
{
    static const struct option long_options[] = {
        {"minutes", 1, 0, 'm'}, {"seed", 1, 0, 's'},     {"jobs", 1, 0, 'j'},  {"rows", 1, 0, 'r'},   {"blocks", 1, 0, 'b'},
        {"reports", 1, 0, 'n'}, {"coverage", 1, 0, 'c'}, {"cases", 1, 0, 'k'}, {"helper", 1, 0, 'h'},
        {"skip", 1, 0, 'x'},    {0}};
    struct options options = {.seconds = 60, .seed = (uint64_t)time(NULL), .reports = 3, .helper = ORACLE_HELPER};
    int c;

    options.jobs = (unsigned)sysconf(_SC_NPROCESSORS_ONLN);
    while ((c = getopt_long(argc, argv, "", long_options, NULL)) != -1) {
        switch (c) {
        case 'm': options.seconds = strtod(optarg, NULL) * 60; break;
        case 's': options.seed = strtoull(optarg, NULL, 0); break;
        case 'j': options.jobs = (unsigned)strtoul(optarg, NULL, 0); break;
        case 'r': options.rows = optarg; break;
        case 'x': options.skip = optarg; break;
        case 'b': options.block = (unsigned)strtoul(optarg, NULL, 0); break;
        case 'n': options.reports = (unsigned)strtoul(optarg, NULL, 0); break;
        case 'c': options.coverage = optarg; break;
        case 'k': options.cases = strtoull(optarg, NULL, 0); break;
        case 'h': options.helper = optarg; break;
        default: usage();
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
    print_differing(totals);
    if (options.coverage)
        write_coverage(options.coverage, totals);
    return failed || totals->differing ? 1 : 0;
}

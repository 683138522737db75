/* Are the tests any good? Breaks rows of the instruction table one at a time and looks how long random cases over all
 * rows take to notice: mutate [--all] [--rows a,b,...] [--seconds N] [--seed S]. Engines that can be mutated say so
 * (engine.h). */
#include "case_text.h"
#include "compare.h"
#include "generate.h"
#include "translator_engine.h"
#include "translator_mutations.h"

#include <getopt.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#define HANG_BUDGET  100000
#define BLOCK_SHARE  30 /* per cent of cases */
#define WARM_BATCHES 40 /* without a mutation, which nothing may be found in */

struct subject {
    uint16_t row;
    unsigned kind; /* enum mutation */
    const char *what;
    bool quick; /* part of the short list */
};

/* Integer, strings, branches, callouts, x87, MMX, SSE; what is broken is now the result, now a flag, now the address,
 * now a piece of state beside. */
static const struct subject subjects[] = {
    {ROW_ADC, MUTATION_CARRY, "flips CF", true},
    {ROW_SHLD, MUTATION_SIGN, "flips SF", false},
    {ROW_IMUL, MUTATION_EAX, "flips bit 0 of EAX", false},
    {ROW_DAA, MUTATION_CARRY, "flips CF", true},
    {ROW_BSWAP, MUTATION_SKIP, "does nothing", false},
    {ROW_CMPXCHG, MUTATION_DISPLACE, "is off by one byte in memory", true},
    {ROW_SETNLE, MUTATION_SKIP, "does nothing", false},
    {ROW_LEA, MUTATION_DISPLACE, "is off by one", false},
    {ROW_PUSHA, MUTATION_SKIP, "does nothing", false},
    {ROW_SCASD, MUTATION_SIGN, "flips SF", true},
    {ROW_MOVSB, MUTATION_ESI, "counts one too far", false},
    {ROW_JNBE, MUTATION_SKIP, "is never taken", true},
    {ROW_LOOP, MUTATION_SKIP, "does nothing", false},
    {ROW_CALL, MUTATION_SKIP, "does nothing", false},
    {ROW_LAR, MUTATION_EAX, "flips bit 0 of EAX", true},
    {ROW_ENTER, MUTATION_SKIP, "does nothing", false},
    {ROW_RET_FAR, MUTATION_SKIP, "does nothing", false},
    {ROW_FADD, MUTATION_ST0, "flips bit 0 of ST(0)", true},
    {ROW_FPREM, MUTATION_C1, "flips C1", false},
    {ROW_FISTP, MUTATION_DISPLACE, "is off by one byte in memory", false},
    {ROW_FNSTENV, MUTATION_DISPLACE, "is off by one byte in memory", false},
    {ROW_PADDSW, MUTATION_MM0, "flips bit 0 of MM0", true},
    {ROW_PSHUFW, MUTATION_SKIP, "does nothing", false},
    {ROW_MULPS, MUTATION_XMM0, "flips bit 0 of XMM0", true},
    {ROW_CVTTSD2SI, MUTATION_EAX, "flips bit 0 of EAX", false},
    {ROW_UCOMISS, MUTATION_CARRY, "flips CF", false},
    /* with about one state in a hundred */
    {ROW_SUB, MUTATION_RARELY | MUTATION_CARRY, "rarely flips CF", true},
    {ROW_DIV, MUTATION_RARELY | MUTATION_EAX, "rarely flips bit 0 of EAX", false},
    {ROW_VERW, MUTATION_RARELY | MUTATION_SIGN, "rarely flips SF", false},
    {ROW_FSQRT, MUTATION_RARELY | MUTATION_ST0, "rarely flips bit 0 of ST(0)", false},
    {ROW_PMADDWD, MUTATION_RARELY | MUTATION_MM0, "rarely flips bit 0 of MM0", false},
    {ROW_CVTDQ2PS, MUTATION_RARELY | MUTATION_XMM0, "rarely flips bit 0 of XMM0", false},
};

/* What the translator may do wrong whatever the instruction. */
static const struct subject translator_subjects[] = {
    {ROW_NONE, TRANSLATOR_LOSES_FLAGS, "does not park flags", true},
    {ROW_NONE, TRANSLATOR_LOSES_CARRY, "clears the carry that INC keeps", true},
    {ROW_NONE, TRANSLATOR_TAKES_HOME_FLAGS, "takes old flags where it should compute them", false},
    {ROW_NONE, TRANSLATOR_FORGETS_RECIPE, "loses flags at faults", true},
    {ROW_NONE, TRANSLATOR_IGNORES_ALIGNMENT, "goes on over the end of a page", true},
    {ROW_NONE, TRANSLATOR_READS_TO_UPDATE, "updates what it may only read", true},
    {ROW_NONE, TRANSLATOR_INVERTS_CONDITION, "jumps if less or equal when it is greater", false},
    {ROW_NONE, TRANSLATOR_LEAVES_HIGH_HALF, "zero-extends to 16 bits", false},
};

static struct engine *create_translator(uint32_t epilogue, int64_t budget)
{
    return engine_create_translator(epilogue, budget, "twice");
}

/* Engines to be checked, and with what besides the rows. */
static const struct {
    struct engine *(*create)(uint32_t epilogue, int64_t budget);
    const struct subject *subjects;
    size_t count;
} engine_makers[] = {
    {engine_create_interp, NULL, 0},
    {create_translator, translator_subjects, ARRAY_SIZE(translator_subjects)},
};

struct bench {
    struct engine *host, *engine;
    struct generator *generator;
    struct random seeds;
    uint64_t cases, disagreements;
};

static double now(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

/* One batch of anything; C and the outputs: the first disagreement. */
static bool batch_disagrees(struct bench *b, struct test_case *c, struct oracle_output *expected, char *what,
                            size_t size)
{
    static struct test_case cases[ORACLE_BATCH];
    static struct oracle_output host[ORACLE_BATCH], engine[ORACLE_BATCH];
    uint64_t base = random_next(&b->seeds) & 0xffff;
    size_t kept = 0;

    for (unsigned i = 0; i < ORACLE_BATCH; i++) {
        unsigned length = random_percent(&b->seeds, BLOCK_SHARE) ? 2 + random_below(&b->seeds, 12) : 1;

        generator_make(b->generator, random_next(&b->seeds), base, ROW_NONE, length, b->host->epilogue, &cases[i]);
    }
    b->engine->run(b->engine, cases, engine, ORACLE_BATCH);
    for (size_t i = 0; i < ORACLE_BATCH; i++) {
        if (engine[i].end == END_HANG || engine[i].end == END_DISCARD)
            continue;
        cases[kept] = cases[i];
        engine[kept++] = engine[i];
    }
    b->host->run(b->host, cases, host, kept);
    b->cases += kept;
    for (size_t i = 0; i < kept; i++) {
        if (compare_outputs(&cases[i], &host[i], &engine[i], what, size) != VERDICT_DIFFER ||
            compare_met_excluded(b->generator, &cases[i], &engine[i]))
            continue;
        *c = cases[i];
        *expected = host[i];
        return true;
    }
    return false;
}

/* The engine agrees once it is mended. */
static bool is_mended(struct bench *b, const struct test_case *c, const struct oracle_output *expected)
{
    static struct oracle_output output;

    b->engine->mutate(b->engine, ROW_NONE, MUTATION_NONE);
    b->engine->run(b->engine, c, &output, 1);
    return compare_outputs(c, expected, &output, NULL, 0) != VERDICT_DIFFER;
}

static bool find(struct bench *b, const struct subject *subject, double seconds)
{
    static struct test_case c;
    static struct oracle_output expected;
    const char *name = subject->row == ROW_NONE ? "it" : instruction_table[subject->row].name;
    char what[512], code[512];
    double start = now();
    bool found = false;

    b->cases = 0;
    while (!found && now() - start < seconds) {
        b->engine->mutate(b->engine, subject->row, subject->kind);
        found = batch_disagrees(b, &c, &expected, what, sizeof what) && is_mended(b, &c, &expected);
    }
    if (!found) {
        printf("%s: %s %s: NOT FOUND in %.0f s, %llu cases\n", b->engine->name, name, subject->what, seconds,
               (unsigned long long)b->cases);
        return false;
    }
    case_disassemble(&c, code, sizeof code);
    printf("%s: %s %s: found in %.2f s, %llu cases: %.60s:%.100s\n", b->engine->name, name, subject->what,
           now() - start, (unsigned long long)b->cases, code, what);
    fflush(stdout);
    return true;
}

/* What is found without a mutation would be found with every one. */
static bool is_quiet(struct bench *b)
{
    static struct test_case c;
    static struct oracle_output expected;
    char what[512];

    for (unsigned i = 0; i < WARM_BATCHES; i++) {
        if (batch_disagrees(b, &c, &expected, what, sizeof what)) {
            printf("%s disagrees with the processor without any mutation:%s\n", b->engine->name, what);
            case_print(stdout, &c, &expected);
            return false;
        }
    }
    return true;
}

static bool is_wanted(const struct subject *subject, bool all, const char *rows)
{
    char copy[1024];

    if (!rows)
        return all || subject->quick;
    snprintf(copy, sizeof copy, "%s", rows);
    for (char *save, *name = strtok_r(copy, ",", &save); name; name = strtok_r(NULL, ",", &save))
        if (!strcasecmp(name, instruction_table[subject->row].name))
            return true;
    return false;
}

static bool check_engine(struct bench *b, const struct subject *more, size_t more_count, bool all, const char *rows,
                         double seconds)
{
    unsigned tried = 0, found = 0;

    if (!b->engine->mutate) {
        printf("%s cannot be mutated\n", b->engine->name);
        return false;
    }
    if (!is_quiet(b))
        return false;
    for (size_t i = 0; i < ARRAY_SIZE(subjects); i++) {
        if (!is_wanted(&subjects[i], all, rows))
            continue;
        tried++;
        found += find(b, &subjects[i], seconds);
    }
    for (size_t i = 0; i < more_count && !rows; i++) {
        if (!all && !more[i].quick)
            continue;
        tried++;
        found += find(b, &more[i], seconds);
    }
    printf("%s: %u of %u mutations found\n", b->engine->name, found, tried);
    return tried && found == tried;
}

static int usage(void)
{
    fprintf(stderr, "usage: mutate [--all | --rows a,b,...] [--seconds N] [--seed S] [--helper FILE]\n");
    return 2;
}

int main(int argc, char **argv)
{
    static const struct option long_options[] = {{"all", 0, 0, 'a'},  {"rows", 1, 0, 'r'},   {"seconds", 1, 0, 's'},
                                                 {"seed", 1, 0, 'e'}, {"helper", 1, 0, 'h'}, {0}};
    const char *helper = ORACLE_HELPER, *rows = NULL;
    double seconds = 120;
    bool all = false, ok = true;
    struct error err;
    struct bench b = {.seeds = {1}};
    int c;

    while ((c = getopt_long(argc, argv, "", long_options, NULL)) != -1) {
        switch (c) {
        case 'a':
            all = true;
            break;
        case 'r':
            rows = optarg;
            break;
        case 's':
            seconds = strtod(optarg, NULL);
            break;
        case 'e':
            b.seeds.state = strtoull(optarg, NULL, 0);
            break;
        case 'h':
            helper = optarg;
            break;
        default:
            return usage();
        }
    }
    if (optind != argc)
        return usage();
    b.host = engine_create_host(helper);
    if (!b.host)
        return 1;
    b.generator = generator_create(cpu_model_find("max", &err));
    for (size_t i = 0; i < ARRAY_SIZE(engine_makers); i++) {
        b.engine = engine_makers[i].create(b.host->epilogue, HANG_BUDGET);
        if (!b.engine)
            return 1;
        ok &= check_engine(&b, engine_makers[i].subjects, engine_makers[i].count, all, rows, seconds);
        b.engine->destroy(b.engine);
    }
    generator_destroy(b.generator);
    b.host->destroy(b.host);
    return ok ? 0 : 1;
}

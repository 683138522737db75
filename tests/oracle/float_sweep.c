/* Every floating-point operation with every pair of edge operands in every mode, on the processor and in the
 * interpreter: float_sweep [--share K] ... (README.md).
 *
 * A combination is an operation, two operands and a mode; it has a number, and --share K takes every K-th. A prime K
 * shares no factor with the number of modes, so that all modes come up. */
#include "case_text.h"
#include "compare.h"
#include "float_values.h"
#include "generate.h"
#include "random.h"

#include "cpu/fxsave.h"

#include <getopt.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define BUDGET         10000
#define OPERAND_OFFSET (2 * ARENA_PAGE + 0x100) /* 20000100h */
#define CODE_OFFSET    0x100

enum unit { UNIT_X87, UNIT_SSE };
enum place { PLACE_ST1, PLACE_MEMORY, PLACE_XMM, PLACE_MMX, PLACE_EAX };

static const struct operation {
    const char *name;
    enum unit unit;
    enum place place;
    enum float_set set[2];
    uint8_t lanes[2];
    uint8_t length, code[8];
} operations[] = {
#define OPERATION(name, unit, place, a, b, lanes_a, lanes_b, ...)                                                      \
    {name,                                                                                                             \
     UNIT_##unit,                                                                                                      \
     PLACE_##place,                                                                                                    \
     {FLOAT_##a, FLOAT_##b},                                                                                           \
     {lanes_a, lanes_b},                                                                                               \
     sizeof((const uint8_t[]){__VA_ARGS__}),                                                                           \
     {__VA_ARGS__}},
#include "float_operations.def"
#undef OPERATION
};
#define OPERATIONS ARRAY_SIZE(operations)

struct totals {
    uint64_t cases[OPERATIONS], differing[OPERATIONS], discarded;
};

struct options {
    uint64_t seed, share;
    unsigned jobs, reports, random_values;
    const char *only, *helper;
};

/* ---- modes ---- */

/* Rounding is 4 values; precision (x87) or DAZ and FTZ (SSE) another 4; exception masks 3: all, none, and the ones that
 * programs leave set when they ask for traps. */
#define MODES 48
static const uint8_t masks[] = {0x3f, 0x00, 0x30};

static void set_mode(struct fxsave_image *fx, const struct operation *op, unsigned mode)
{
    unsigned rounding = mode & 3, other = mode >> 2 & 3, mask = masks[mode >> 4];

    if (op->unit == UNIT_X87)
        fx->fcw = (uint16_t)(0x40 | rounding << 10 | other << 8 | mask);
    else
        fx->mxcsr = rounding << 13 | (other & 1) << 6 | (other & 2) << 14 | mask << 7;
}

/* ---- cases ---- */

static unsigned value_count(enum float_set set, const struct options *options)
{
    return set == FLOAT_NOTHING ? 1 : float_edge_count(set) + options->random_values;
}

static uint64_t combination_count(const struct operation *op, const struct options *options)
{
    return (uint64_t)value_count(op->set[0], options) * value_count(op->set[1], options) * MODES;
}

/* Lanes behind the first take other values, so that exceptions of several lanes meet. */
static void put_lanes(const struct operation *op, unsigned which, unsigned index, const struct options *options,
                      uint8_t *out)
{
    enum float_set set = op->set[which];
    unsigned count = value_count(set, options);

    for (unsigned lane = 0; lane < op->lanes[which]; lane++)
        float_value(set, (index + lane * (which ? 7 : 29)) % count, options->seed, out + lane * float_set_size(set));
}

static void make_case(const struct operation *op, uint64_t number, const struct options *options, uint32_t epilogue,
                      struct test_case *c)
{
    struct oracle_input *in = &c->input;
    struct fxsave_image *fx = (void *)in->registers.fx;
    struct random random = {number};
    unsigned mode = (unsigned)(number % MODES), count = value_count(op->set[0], options);
    uint8_t first[16] = {0}, second[16] = {0};

    memset(c, 0, sizeof *c);
    c->seed = number;
    put_lanes(op, 0, (unsigned)(number / MODES % count), options, first);
    put_lanes(op, 1, (unsigned)(number / MODES / count), options, second);
    for (unsigned i = 0; i < 6; i++)
        in->registers.segment[i] = SELECTOR_USER_DATA;
    in->registers.segment[ORACLE_CS] = SELECTOR_USER_CODE32;
    in->registers.eflags = FLAG_FIXED | FLAG_IF | ((uint32_t)random_next(&random) & FLAG_ARITHMETIC);
    in->uses_fpu = 1;
    oracle_default_fx(in->registers.fx);
    set_mode(fx, op, mode);
    for (unsigned i = 0; i < 8; i++) /* what a scalar result leaves in place */
        memset(fx->xmm[i], 0x11 * (int)i, 16);
    if (op->unit == UNIT_X87) {
        unsigned top = (unsigned)(random_next(&random) & 7);

        /* Condition codes as something earlier left them, sticky flags too where they are masked. */
        fx->fsw = (uint16_t)(top << 11 | (random_next(&random) & 0x4700));
        if (random_percent(&random, 12))
            fx->fsw |= (uint16_t)(random_next(&random) & fx->fcw & 0x3f);
        if (op->set[0] != FLOAT_NOTHING) {
            fx->ftw |= (uint8_t)(1u << top);
            memcpy(fx->st[0], first, 10);
        }
        if (op->place == PLACE_ST1) {
            fx->ftw |= (uint8_t)(1u << ((top + 1) & 7));
            memcpy(fx->st[1], second, 10);
        }
    } else if (op->set[0] != FLOAT_NOTHING) {
        memcpy(fx->xmm[0], first, sizeof first);
    }
    unsigned size = op->lanes[1] * float_set_size(op->set[1]);
    if (op->place == PLACE_XMM) {
        memcpy(fx->xmm[1], second, sizeof second);
    } else if (op->place == PLACE_MMX) {
        memcpy(fx->st[1], second, 8);
        memset(fx->st[1] + 8, 0xff, 2);
    } else if (op->place == PLACE_EAX) {
        memcpy(&in->registers.gpr[0], second, size);
    } else if (op->place == PLACE_MEMORY && size) {
        in->patch_count = 1;
        in->patches[0].offset = OPERAND_OFFSET;
        in->patches[0].length = size;
        memcpy(in->patches[0].bytes, second, size);
    }
    memcpy(in->code, op->code, op->length);
    c->body = op->length;
    if (op->unit == UNIT_X87 && random_percent(&random, 50))
        in->code[c->body++] = 0x9b; /* FWAIT: #MF arrives */
    in->code_offset = CODE_OFFSET;
    case_finish(c, epilogue);
}

/* ---- runs ---- */

static void report(const struct operation *op, const struct test_case *c, struct engine *host, struct engine *engine,
                   const struct oracle_output *expected, const struct oracle_output *got)
{
    char what[2048], *text = NULL;
    size_t size = 0;
    FILE *f = open_memstream(&text, &size);

    compare_outputs(c, expected, got, what, sizeof what);
    fprintf(f, "# %s | %s/%s:%s\n", op->name, host->name, engine->name, what);
    case_print(f, c, expected);
    fclose(f);
    if (write(STDOUT_FILENO, text, size) < 0)
        perror("float_sweep");
    free(text);
}

static void run_batch(const struct operation *op, struct engine *host, struct engine *engine,
                      const struct test_case *cases, size_t count, struct totals *totals, const struct options *options)
{
    static struct oracle_output expected[ORACLE_BATCH], got[ORACLE_BATCH];
    size_t which = (size_t)(op - operations);

    engine->run(engine, cases, got, count);
    host->run(host, cases, expected, count);
    __atomic_fetch_add(&totals->cases[which], count, __ATOMIC_RELAXED);
    for (size_t i = 0; i < count; i++) {
        switch (compare_outputs(&cases[i], &expected[i], &got[i], NULL, 0)) {
        case VERDICT_AGREE:
            break;
        case VERDICT_DISCARD:
            __atomic_fetch_add(&totals->discarded, 1, __ATOMIC_RELAXED);
            break;
        default: /* nothing here is exempt */
            if (__atomic_fetch_add(&totals->differing[which], 1, __ATOMIC_RELAXED) < options->reports)
                report(op, &cases[i], host, engine, &expected[i], &got[i]);
            break;
        }
    }
}

static void job(unsigned number, const struct options *options, struct totals *totals)
{
    static struct test_case cases[ORACLE_BATCH];
    struct engine *host = engine_create_host(options->helper);

    if (!host)
        exit(1);
    struct engine *engine = engine_create_interp(host->epilogue, BUDGET);
    uint64_t batch = 0;
    for (const struct operation *op = operations; op < operations + OPERATIONS; op++) {
        uint64_t all = combination_count(op, options),
                 at = (options->seed + (uint64_t)(op - operations)) % options->share;

        if (options->only && !strstr(op->name, options->only))
            continue;
        while (at < all) {
            uint64_t next = at + ORACLE_BATCH * options->share;

            if (batch++ % options->jobs == number) {
                size_t count = 0;

                for (; count < ORACLE_BATCH && at < all; at += options->share)
                    make_case(op, at, options, host->epilogue, &cases[count++]);
                run_batch(op, host, engine, cases, count, totals, options);
            }
            at = next;
        }
    }
    engine->destroy(engine);
    host->destroy(host);
}

static int summary(const struct totals *totals, const struct options *options, double seconds)
{
    uint64_t cases = 0, all = 0, differing = 0;

    for (size_t i = 0; i < OPERATIONS; i++) {
        if (options->only && !strstr(operations[i].name, options->only))
            continue;
        cases += totals->cases[i];
        all += combination_count(&operations[i], options);
        differing += totals->differing[i];
        if (totals->differing[i])
            printf("%-16s %llu of %llu differ\n", operations[i].name, (unsigned long long)totals->differing[i],
                   (unsigned long long)totals->cases[i]);
    }
    printf("%zu operations, %llu of %llu combinations in %.1f s, %llu discarded, %llu differ\n", OPERATIONS,
           (unsigned long long)cases, (unsigned long long)all, seconds, (unsigned long long)totals->discarded,
           (unsigned long long)differing);
    return cases && !differing && !totals->discarded ? 0 : 1;
}

static double now(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static void usage(void)
{
    fprintf(stderr, "usage: float_sweep [--share K] [--seed S] [--random N] [--jobs N] [--only NAME] [--reports N] "
                    "[--helper FILE]\n");
    exit(2);
}

int main(int argc, char **argv)
{
    static const struct option long_options[] = {
        {"share", 1, 0, 'k'}, {"seed", 1, 0, 's'},    {"random", 1, 0, 'r'}, {"jobs", 1, 0, 'j'},
        {"only", 1, 0, 'o'},  {"reports", 1, 0, 'n'}, {"helper", 1, 0, 'h'}, {0}};
    struct options options = {.seed = 1, .share = 1, .reports = 3, .random_values = 8, .helper = ORACLE_HELPER};
    bool failed = false;
    int c;

    options.jobs = (unsigned)sysconf(_SC_NPROCESSORS_ONLN);
    while ((c = getopt_long(argc, argv, "", long_options, NULL)) != -1) {
        switch (c) {
        case 'k':
            options.share = strtoull(optarg, NULL, 0);
            break;
        case 's':
            options.seed = strtoull(optarg, NULL, 0);
            break;
        case 'r':
            options.random_values = (unsigned)strtoul(optarg, NULL, 0);
            break;
        case 'j':
            options.jobs = (unsigned)strtoul(optarg, NULL, 0);
            break;
        case 'o':
            options.only = optarg;
            break;
        case 'n':
            options.reports = (unsigned)strtoul(optarg, NULL, 0);
            break;
        case 'h':
            options.helper = optarg;
            break;
        default:
            usage();
        }
    }
    if (optind != argc || !options.jobs || !options.share)
        usage();
    struct totals *totals = mmap(NULL, sizeof *totals, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (totals == MAP_FAILED) {
        perror("float_sweep");
        return 1;
    }
    double start = now();
    for (unsigned i = 0; i < options.jobs; i++) {
        if (fork() == 0) {
            job(i, &options, totals);
            exit(0);
        }
    }
    for (int status; wait(&status) > 0;) {
        if (status) {
            fprintf(stderr, "float_sweep: a job died with status %x\n", (unsigned)status);
            failed = true;
        }
    }
    return summary(totals, &options, now() - start) | failed;
}

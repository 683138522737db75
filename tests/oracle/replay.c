/* Replays cases from text files on the processor and in every engine:
 *
 *   oracle_replay [--engine interp|tier1|both] [--variant WORDS] [--host-vendor NAME] [--host-features LIST] FILE...
 *
 * Lines that depend on another vendor's processors, or on features that this one lacks, are skipped and counted. The
 * options stand in for what the processor says of itself. */
#include "case_text.h"
#include "compare.h"
#include "host_features.h"
#include "translator_engine.h"

#include <getopt.h>
#include <stdlib.h>
#include <string.h>

#define BUDGET      100000
#define MAX_ENGINES 16
#define MAX_ASKED   8

struct host {
    uint8_t vendor;
    uint32_t features;
};

static unsigned failures, cases, skipped;

static void check(const char *file, unsigned line, const char *engine, const struct test_case *c,
                  const struct oracle_output *expected, const struct oracle_output *got)
{
    char what[1024], code[256];

    if (compare_outputs(c, expected, got, what, sizeof what) == VERDICT_AGREE)
        return;
    case_disassemble(c, code, sizeof code);
    printf("%s:%u: %s: expected/%s:%s\n", file, line, code, engine, what);
    failures++;
}

/* An engine that takes interrupts where it likes: asked for early ones and late ones. */
static void check_boundaries(const char *file, unsigned line, struct engine *host, struct engine *engine,
                             const struct test_case *c)
{
    static struct oracle_output there, got;
    static struct test_case asked;

    for (uint32_t boundary = 1; boundary <= c->input.boundary && boundary <= MAX_ASKED; boundary++) {
        asked = *c;
        asked.input.boundary = boundary;
        engine->run(engine, &asked, &got, 1);
        if (got.end == END_DISCARD) /* between two iterations of REP */
            continue;
        engine_settle(engine, &asked, &got);
        host->run(host, &asked, &there, 1);
        check(file, line, engine->name, &asked, &there, &got);
    }
}

static bool runs_here(const struct test_case *c, const struct host *host)
{
    return (c->vendor == VENDOR_ANY || c->vendor == host->vendor) && !(c->host_features & ~host->features);
}

static bool replay(const char *file, const struct host *host, struct engine *const *engines, unsigned engine_count)
{
    static char text[65536];
    static struct test_case c;
    static struct oracle_output expected, got;
    FILE *f = fopen(file, "r");
    const char *where;

    if (!f) {
        perror(file);
        return false;
    }
    for (unsigned line = 1; fgets(text, sizeof text, f); line++) {
        if (*text == '#' || *text == '\n')
            continue;
        if (!case_parse(text, engines[0]->epilogue, &c, &expected, &where)) {
            printf("%s:%u: cannot be read at column %u\n", file, line, (unsigned)(where - text) + 1);
            failures++;
            continue;
        }
        if (!runs_here(&c, host)) {
            skipped++;
            continue;
        }
        cases++;
        for (unsigned i = 0; i < engine_count; i++) {
            if (c.input.boundary && !engines[i]->exact) {
                check_boundaries(file, line, engines[0], engines[i], &c);
                continue;
            }
            engines[i]->run(engines[i], &c, &got, 1);
            check(file, line, engines[i]->name, &c, &expected, &got);
        }
    }
    fclose(f);
    return true;
}

static int usage(void)
{
    fprintf(stderr,
            "usage: oracle_replay [--engine interp|tier1|both] [--variant WORDS] [--host-vendor any|intel|amd|other]\n"
            "                     [--host-features a,b,...] FILE...\n");
    return 2;
}

/* The processor first. 0: one of them does not start. */
static unsigned create_engines(struct engine *engines[MAX_ENGINES], const char *which, const char *variant)
{
    const char *helper = getenv("ORACLE_HELPER_PATH");
    unsigned count = 0;

    engines[count++] = engine_create_host(helper ? helper : ORACLE_HELPER);
    if (!engines[0])
        return 0;
    if (strcmp(which, "tier1"))
        engines[count++] = engine_create_interp(engines[0]->epilogue, BUDGET);
    for (unsigned i = 0; strcmp(which, "interp") && (variant ? !i : translator_variants[i] != NULL); i++) {
        if (count == MAX_ENGINES)
            return 0;
        engines[count] =
            engine_create_translator(engines[0]->epilogue, BUDGET, variant ? variant : translator_variants[i]);
        if (!engines[count++])
            return 0;
    }
    return count;
}

int main(int argc, char **argv)
{
    static const struct option long_options[] = {
        {"host-vendor", 1, 0, 'v'}, {"host-features", 1, 0, 'f'}, {"engine", 1, 0, 'e'}, {"variant", 1, 0, 'w'}, {0}};
    const char *which = "both", *variant = NULL;
    struct host host = {(uint8_t)host_vendor(), host_features()};
    struct engine *engines[MAX_ENGINES];
    bool ok = true;
    int option;

    while ((option = getopt_long(argc, argv, "", long_options, NULL)) != -1)
        if (option == 'e' && (!strcmp(optarg, "interp") || !strcmp(optarg, "tier1") || !strcmp(optarg, "both")))
            which = optarg;
        else if (option == 'w')
            variant = optarg;
        else if (option == 'v' ? !host_vendor_parse(optarg, &host.vendor)
                               : option != 'f' || !host_features_parse(optarg, &host.features))
            return usage();
    unsigned count = create_engines(engines, which, variant);
    if (!count)
        return 1;
    for (int i = optind; i < argc; i++)
        ok &= replay(argv[i], &host, engines, count);
    printf("%u cases, %u failures", cases, failures);
    if (skipped)
        printf(", %u skipped (another vendor's, or a feature is missing)", skipped);
    printf("\n");
    for (unsigned i = 0; i < count; i++)
        engines[i]->destroy(engines[i]);
    return ok && !failures ? 0 : 1;
}

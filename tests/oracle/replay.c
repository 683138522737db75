/* Replays cases from text files on the processor and in every engine:
 *
 *   oracle_replay [--host-vendor NAME] [--host-features LIST] FILE...
 *
 * Lines that depend on another vendor's processors, or on features that this one lacks, are skipped and counted. The
 * options stand in for what the processor says of itself. */
#include "case_text.h"
#include "compare.h"
#include "host_features.h"

#include <getopt.h>
#include <stdlib.h>
#include <string.h>

#define BUDGET 100000

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
            engines[i]->run(engines[i], &c, &got, 1);
            if (c.input.boundary && !engines[i]->exact) { /* where it took the interrupt, not where the line says */
                static struct oracle_output there;
                uint32_t asked = c.host_boundary;

                engine_settle(engines[i], &c, &got);
                engines[0]->run(engines[0], &c, &there, 1);
                c.host_boundary = asked;
                check(file, line, engines[i]->name, &c, &there, &got);
                continue;
            }
            check(file, line, engines[i]->name, &c, &expected, &got);
        }
    }
    fclose(f);
    return true;
}

static int usage(void)
{
    fprintf(stderr, "usage: oracle_replay [--host-vendor any|intel|amd|other] [--host-features a,b,...] FILE...\n");
    return 2;
}

int main(int argc, char **argv)
{
    static const struct option long_options[] = {{"host-vendor", 1, 0, 'v'}, {"host-features", 1, 0, 'f'}, {0}};
    const char *helper = getenv("ORACLE_HELPER_PATH");
    struct host host = {(uint8_t)host_vendor(), host_features()};
    struct engine *engines[2];
    bool ok = true;
    int option;

    while ((option = getopt_long(argc, argv, "", long_options, NULL)) != -1)
        if (option == 'v' ? !host_vendor_parse(optarg, &host.vendor)
                          : option != 'f' || !host_features_parse(optarg, &host.features))
            return usage();
    engines[0] = engine_create_host(helper ? helper : ORACLE_HELPER);
    if (!engines[0])
        return 1;
    engines[1] = engine_create_interp(engines[0]->epilogue, BUDGET);
    for (int i = optind; i < argc; i++)
        ok &= replay(argv[i], &host, engines, 2);
    printf("%u cases, %u failures", cases, failures);
    if (skipped)
        printf(", %u skipped (another vendor's, or a feature is missing)", skipped);
    printf("\n");
    for (unsigned i = 0; i < 2; i++)
        engines[i]->destroy(engines[i]);
    return ok && !failures ? 0 : 1;
}

/* Replays cases from text files on the processor and in every engine: replay FILE... */
#include "case_text.h"
#include "compare.h"

#include <stdlib.h>
#include <string.h>

#define BUDGET 100000

static unsigned failures, cases;

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

static bool replay(const char *file, struct engine *const *engines, unsigned engine_count)
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
        cases++;
        for (unsigned i = 0; i < engine_count; i++) {
            engines[i]->run(engines[i], &c, &got, 1);
            check(file, line, engines[i]->name, &c, &expected, &got);
        }
    }
    fclose(f);
    return true;
}

int main(int argc, char **argv)
{
    const char *helper = getenv("ORACLE_HELPER_PATH");
    struct engine *engines[2];
    bool ok = true;

    engines[0] = engine_create_host(helper ? helper : ORACLE_HELPER);
    if (!engines[0])
        return 1;
    engines[1] = engine_create_interp(engines[0]->epilogue, BUDGET);
    for (int i = 1; i < argc; i++)
        ok &= replay(argv[i], engines, 2);
    printf("%u cases, %u failures\n", cases, failures);
    for (unsigned i = 0; i < 2; i++)
        engines[i]->destroy(engines[i]);
    return ok && !failures ? 0 : 1;
}

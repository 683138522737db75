/* Instructions whose answer cannot be the host's: it is left out, and all the rest compared. */
#include "compare.h"

#include "cpu/instruction_table.h"

#include <string.h>

#define GPR(n) (1u << (n))

static const struct {
    uint16_t row;
    uint8_t registers; /* that may hold the answer */
    uint8_t count;     /* how many of them at most */
    uint8_t bytes;     /* of memory */
} answers[] = {
    {ROW_CPUID, GPR(0) | GPR(1) | GPR(2) | GPR(3), 4, 0},
    {ROW_RDTSC, GPR(0) | GPR(2), 2, 0},
    {ROW_SLDT, 0xff, 1, 2},
    {ROW_STR, 0xff, 1, 2},
    {ROW_SMSW, 0xff, 1, 2},
    {ROW_SGDT, 0, 0, 6},
    {ROW_SIDT, 0, 0, 6},
};

static void rebuild(const struct test_case *c, const struct oracle_output *out, uint8_t *arena)
{
    oracle_fill_base(c->base, arena);
    for (unsigned i = 0; i < out->line_count; i++)
        memcpy(arena + out->lines[i].offset, out->lines[i].bytes, ORACLE_LINE);
}

/* First byte and distance to the last that differ; 0 when none does. */
static uint32_t difference(const uint8_t *a, const uint8_t *b, uint32_t *first)
{
    uint32_t end = ARENA_SIZE_BYTES;

    for (*first = 0; *first < end && a[*first] == b[*first];)
        ++*first;
    while (end > *first && a[end - 1] == b[end - 1])
        end--;
    return end - *first;
}

bool compare_explains_answer(const struct test_case *c, const struct oracle_output *host,
                             const struct oracle_output *engine, struct oracle_output *explained)
{
    static _Thread_local uint8_t a[ARENA_SIZE_BYTES], b[ARENA_SIZE_BYTES];
    unsigned n = 0, registers = 0;
    uint32_t first;

    while (n < ARRAY_SIZE(answers) && answers[n].row != c->row)
        n++;
    if (n == ARRAY_SIZE(answers) || c->block || host->line_count > ORACLE_MAX_LINES ||
        engine->line_count > ORACLE_MAX_LINES)
        return false;
    *explained = *host;
    for (unsigned i = 0; i < 8; i++) {
        if (host->registers.gpr[i] == engine->registers.gpr[i])
            continue;
        if (!(answers[n].registers >> i & 1) || ++registers > answers[n].count)
            return false;
        explained->registers.gpr[i] = engine->registers.gpr[i];
    }
    rebuild(c, host, a);
    rebuild(c, engine, b);
    if (difference(a, b, &first) > answers[n].bytes)
        return false;
    memcpy(explained->lines, engine->lines, sizeof explained->lines);
    explained->line_count = engine->line_count;
    explained->line_hash = engine->line_hash;
    return true;
}

/* See shrink.h. */
#include "shrink.h"

#include "compare.h"

#include <string.h>

struct shrinking {
    struct generator *generator;
    struct engine *host, *engine;
    struct test_case *best;
    struct oracle_output *host_output, *engine_output;
};

static bool try(struct shrinking *s, struct test_case *candidate)
{
    static _Thread_local struct oracle_output a, b;

    if (!memcmp(candidate, s->best, sizeof *candidate))
        return false;
    case_finish(candidate, s->host->epilogue);
    s->engine->run(s->engine, candidate, &b, 1);
    if (b.end == END_HANG && s->engine_output->end != END_HANG)
        return false;
    engine_settle(s->engine, candidate, &b);
    s->host->run(s->host, candidate, &a, 1);
    if (compare_outputs(candidate, &a, &b, NULL, 0) != VERDICT_DIFFER)
        return false;
    if (a.end == END_SETUP || (a.vector == 6) != (s->host_output->vector == 6))
        return false;
    *s->best = *candidate;
    *s->host_output = a;
    *s->engine_output = b;
    return true;
}

static void remove_bytes(struct test_case *c, unsigned at, unsigned length)
{
    memmove(c->input.code + at, c->input.code + at + length, c->body - at - length);
    c->body = (uint16_t)(c->body - length);
}

/* Also with the interrupt one boundary earlier, for an instruction that is gone. */
static bool try_earlier(struct shrinking *s, struct test_case *candidate)
{
    if (try(s, candidate))
        return true;
    if (candidate->input.boundary < 2)
        return false;
    candidate->input.boundary--;
    return try(s, candidate);
}

/* Instructions of blocks become NOPs of the same length, so that branches keep their targets. */
static bool blank_instructions(struct shrinking *s)
{
    bool any = false;

    for (unsigned at = 0; s->best->block && at < s->best->body;) {
        struct test_case candidate = *s->best;
        struct decoded_instruction insn;
        enum decode_status status;

        generator_check(s->generator, candidate.input.code + at, candidate.body - at, candidate.mode == ORACLE_MODE32,
                        0, &insn, &status);
        if (!insn.length)
            break;
        memset(candidate.input.code + at, 0x66, insn.length - 1u);
        candidate.input.code[at + insn.length - 1u] = 0x90;
        any |= try(s, &candidate);
        at += insn.length;
    }
    return any;
}

static bool drop_instructions(struct shrinking *s)
{
    bool any = blank_instructions(s);

    for (unsigned at = 0; at < s->best->body;) {
        struct decoded_instruction insn;
        enum decode_status status;
        struct test_case candidate = *s->best;
        bool code32 = candidate.mode == ORACLE_MODE32;

        generator_check(s->generator, candidate.input.code + at, candidate.body - at, code32, 0, &insn, &status);
        if (!insn.length)
            break;
        if (insn.length < candidate.body) {
            remove_bytes(&candidate, at, insn.length);
            if (try_earlier(s, &candidate)) {
                any = true;
                continue;
            }
        }
        at += insn.length;
    }
    /* Redundant prefixes, byte by byte from the front of a single instruction. */
    for (unsigned at = 0; at + 1 < s->best->body && s->best->body <= 15; at++) {
        struct test_case candidate = *s->best;
        struct decoded_instruction insn;
        enum decode_status status;

        remove_bytes(&candidate, at, 1);
        if (generator_check(s->generator, candidate.input.code, 15, candidate.mode == ORACLE_MODE32, 0, &insn,
                            &status) ||
            status != DECODE_OK || insn.length != candidate.body)
            continue;
        if (try(s, &candidate))
            any = true;
    }
    return any;
}

#define TRY_SET(field, value)                                                                                          \
    do {                                                                                                               \
        struct test_case changed = *s->best;                                                                           \
        changed.field = (value);                                                                                       \
        any |= try(s, &changed);                                                                                       \
    } while (0)

static bool simplify_state(struct shrinking *s)
{
    bool any = false;

    if (s->best->input.boundary)
        TRY_SET(input.boundary, 0);
    if (s->best->input.boundary > 1)
        TRY_SET(input.boundary, s->best->input.boundary - 1);
    TRY_SET(base, 0);
    TRY_SET(input.patch_count, 0);
    for (unsigned i = 0; i < s->best->input.patch_count;) {
        struct test_case candidate = *s->best;
        struct oracle_input *in = &candidate.input;

        memmove(&in->patches[i], &in->patches[i + 1], (in->patch_count - i - 1) * sizeof in->patches[0]);
        in->patch_count--;
        if (try(s, &candidate))
            any = true;
        else
            i++;
    }
    for (unsigned i = 0; i < 6; i++)
        if (i != ORACLE_CS)
            TRY_SET(input.registers.segment[i], SELECTOR_USER_DATA);
    if (s->best->mode == ORACLE_MODE32)
        TRY_SET(input.registers.segment[ORACLE_CS], SELECTOR_USER_CODE32);
    else
        TRY_SET(input.registers.segment[ORACLE_CS], SELECTOR_LDT(LDT_CODE16));
    TRY_SET(input.code_offset, 0x100);
    TRY_SET(input.uses_fpu, 0);
    struct test_case candidate = *s->best;
    oracle_default_fx(candidate.input.registers.fx);
    any |= try(s, &candidate);
    TRY_SET(input.registers.eflags, 0x202);
    for (uint32_t bit = 1; bit < 1u << 22; bit <<= 1)
        if ((s->best->input.registers.eflags & bit) && bit != 2 && bit != 0x200)
            TRY_SET(input.registers.eflags, s->best->input.registers.eflags & ~bit);
    for (unsigned i = 0; i < 8; i++) {
        TRY_SET(input.registers.gpr[i], 0);
        if (s->best->input.registers.gpr[i] > 0xff)
            TRY_SET(input.registers.gpr[i], 1);
        if (s->best->input.registers.gpr[i] > 0xffff)
            TRY_SET(input.registers.gpr[i], s->best->input.registers.gpr[i] & 0xffff);
        if (s->best->input.registers.gpr[i] & 0xffff)
            TRY_SET(input.registers.gpr[i], s->best->input.registers.gpr[i] & 0xffff0000);
    }
    /* x87 and SSE registers one by one */
    if (s->best->input.uses_fpu) {
        uint8_t plain[512];

        oracle_default_fx(plain);
        for (unsigned at = 32; at < 160 + 8 * 16; at += 16) {
            candidate = *s->best;
            memcpy(candidate.input.registers.fx + at, plain + at, 16);
            any |= try(s, &candidate);
        }
        static const struct {
            uint8_t at, length;
        } fields[] = {{0, 2}, {2, 2}, {4, 1}, {24, 4}};
        for (unsigned i = 0; i < 4; i++) {
            candidate = *s->best;
            memcpy(candidate.input.registers.fx + fields[i].at, plain + fields[i].at, fields[i].length);
            any |= try(s, &candidate);
        }
    }
    return any;
}

void shrink_case(struct generator *generator, struct engine *host, struct engine *engine, struct test_case *c,
                 struct oracle_output *host_output, struct oracle_output *engine_output)
{
    if (host_output->end == END_HANG) /* each attempt would cost the time-out */
        return;
    struct shrinking s = {generator, host, engine, c, host_output, engine_output};

    for (unsigned round = 0; round < 5; round++)
        if (!(drop_instructions(&s) | simplify_state(&s)))
            break;
}

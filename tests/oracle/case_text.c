/* See case_text.h. */
#include "case_text.h"

#include "generate.h"
#include "host_features.h"
#include "x87_pointers.h"

#include "cpu/fxsave.h"

#include <stdlib.h>
#include <string.h>

static const char *const gpr_names[] = {"eax", "ecx", "edx", "ebx", "esp", "ebp", "esi", "edi"};
static const char *const segment_names[] = {"es", "cs", "ss", "ds", "fs", "gs"};

/* ---- writing ---- */

static void print_hex(FILE *to, const uint8_t *bytes, size_t length)
{
    for (size_t i = 0; i < length; i++)
        fprintf(to, "%02x", bytes[i]);
}

/* The FXSAVE fields of NOW that differ from BEFORE. */
static void print_fx(FILE *to, const uint8_t *now_fx, const uint8_t *before_fx)
{
    const struct fxsave_image *now = (const void *)now_fx, *before = (const void *)before_fx;

    if (now->fcw != before->fcw)
        fprintf(to, " fcw=%04x", now->fcw);
    if (now->fsw != before->fsw)
        fprintf(to, " fsw=%04x", now->fsw);
    if (now->ftw != before->ftw)
        fprintf(to, " ftw=%02x", now->ftw);
    if (now->fop != before->fop)
        fprintf(to, " fop=%03x", now->fop);
    if (now->fip != before->fip)
        fprintf(to, " fip=%x", now->fip);
    if (now->fdp != before->fdp)
        fprintf(to, " fdp=%x", now->fdp);
    if (now->mxcsr != before->mxcsr)
        fprintf(to, " mxcsr=%04x", now->mxcsr);
    for (unsigned i = 0; i < 8; i++) {
        if (memcmp(now->st[i], before->st[i], 10)) {
            fprintf(to, " st%u=", i);
            print_hex(to, now->st[i], 10);
        }
    }
    for (unsigned i = 0; i < 8; i++) {
        if (memcmp(now->xmm[i], before->xmm[i], 16)) {
            fprintf(to, " xmm%u=", i);
            print_hex(to, now->xmm[i], 16);
        }
    }
}

static void initial_arena(const struct test_case *c, uint8_t *arena)
{
    const struct oracle_input *in = &c->input;

    oracle_fill_base(c->base, arena);
    for (unsigned i = 0; i < in->patch_count; i++)
        memcpy(arena + in->patches[i].offset, in->patches[i].bytes, in->patches[i].length);
    memcpy(arena + in->code_offset, in->code, in->code_length);
}

static void print_memory(FILE *to, const struct test_case *c, const struct oracle_output *out)
{
    uint8_t arena[ARENA_SIZE_BYTES], after[ARENA_SIZE_BYTES];

    if (out->line_count > ORACLE_MAX_LINES) {
        fprintf(to, " lines=%u hash=%08x", out->line_count, out->line_hash);
        return;
    }
    initial_arena(c, arena);
    oracle_fill_base(c->base, after);
    for (unsigned i = 0; i < out->line_count; i++)
        memcpy(after + out->lines[i].offset, out->lines[i].bytes, ORACLE_LINE);
    /* Only what changed: the terminator, which may be near, depends on the helper. */
    for (unsigned at = 0; at < ARENA_SIZE_BYTES; at += ORACLE_LINE) {
        unsigned first = at, end = at + ORACLE_LINE;

        while (first < end && arena[first] == after[first])
            first++;
        while (end > first && arena[end - 1] == after[end - 1])
            end--;
        if (first == end)
            continue;
        fprintf(to, " mem=%x:", first);
        print_hex(to, after + first, end - first);
    }
}

/* What the manuals leave to the processor: flags called undefined, and the last bits of approximations. */
static bool depends_on_vendor(const struct instruction_row *row)
{
    static const uint16_t approximations[] = {ROW_FSIN,  ROW_FCOS,    ROW_FSINCOS, ROW_FPTAN, ROW_FPATAN,  ROW_F2XM1,
                                              ROW_FYL2X, ROW_FYL2XP1, ROW_RCPSS,   ROW_RCPPS, ROW_RSQRTSS, ROW_RSQRTPS};

    for (size_t i = 0; i < ARRAY_SIZE(approximations); i++)
        if (row == &instruction_table[approximations[i]])
            return true;
    return row->flags_undefined;
}

/* On which processors C ends so. */
static void print_host(FILE *to, const struct test_case *c)
{
    ZydisDecodedInstruction z;
    ZydisDecoder decoder;
    bool code32 = c->mode == ORACLE_MODE32, depends = false;

    ZydisDecoderInit(&decoder, code32 ? ZYDIS_MACHINE_MODE_LEGACY_32 : ZYDIS_MACHINE_MODE_LEGACY_16,
                     code32 ? ZYDIS_STACK_WIDTH_32 : ZYDIS_STACK_WIDTH_16);
    for (unsigned at = 0; at < c->body; at += z.length) {
        if (!ZYAN_SUCCESS(ZydisDecoderDecodeInstruction(&decoder, NULL, c->input.code + at, c->body - at, &z)))
            break;
        depends |= depends_on_vendor(&instruction_table[instruction_row_of_mnemonic((uint16_t)z.mnemonic)]);
    }
    if (depends)
        fprintf(to, " vendor=%s", host_vendor_names[host_vendor()]);
    if (x87_pointers_stored_before_others(c) || (x87_pointers_stored(c) && c->block))
        host_features_print(to, host_features());
}

void case_print(FILE *to, const struct test_case *c, const struct oracle_output *out)
{
    const struct oracle_input *in = &c->input;
    const struct oracle_registers *a = &in->registers, *b = &out->registers;
    uint8_t default_fx[512] __attribute__((aligned(16)));

    fprintf(to, "%s code=", c->mode == ORACLE_MODE16 ? "16" : "32");
    print_hex(to, in->code, c->body);
    fprintf(to, " at=%x base=%llx", in->code_offset, (unsigned long long)c->base);
    print_host(to, c);
    if (c->trap)
        fprintf(to, " trap");
    for (unsigned i = 0; i < 6; i++)
        if (a->segment[i] != (i == ORACLE_CS ? SELECTOR_USER_CODE32 : SELECTOR_USER_DATA))
            fprintf(to, " %s=%x", segment_names[i], a->segment[i]);
    for (unsigned i = 0; i < 8; i++)
        if (a->gpr[i])
            fprintf(to, " %s=%llx", gpr_names[i], (unsigned long long)a->gpr[i]);
    fprintf(to, " efl=%x", a->eflags);
    for (unsigned i = 0; i < in->patch_count; i++) {
        fprintf(to, " mem=%x:", in->patches[i].offset);
        print_hex(to, in->patches[i].bytes, in->patches[i].length);
    }
    oracle_default_fx(default_fx);
    if (in->uses_fpu) {
        fprintf(to, " fpu");
        print_fx(to, a->fx, default_fx);
    }
    if (in->boundary)
        fprintf(to, " interrupt=%u", in->boundary);
    fprintf(to, " =>");
    if (out->end == END_NORMAL)
        fprintf(to, " ok");
    else if (out->end == END_FAULT)
        fprintf(to, " vector=%u error=%x cr2=%x eip=%llx cs=%x", out->vector, out->error,
                out->vector == 14 ? out->cr2 : 0, (unsigned long long)b->rip, b->segment[ORACLE_CS]);
    else if (out->end == END_STOPPED)
        fprintf(to, " interrupted=%u eip=%llx cs=%x", out->boundary, (unsigned long long)b->rip, b->segment[ORACLE_CS]);
    else
        fprintf(to, " end=%u", out->end);
    for (unsigned i = 0; i < 6; i++)
        if (i != ORACLE_CS && a->segment[i] != b->segment[i])
            fprintf(to, " %s=%x", segment_names[i], b->segment[i]);
    for (unsigned i = 0; i < 8; i++)
        if (a->gpr[i] != b->gpr[i])
            fprintf(to, " %s=%llx", gpr_names[i], (unsigned long long)b->gpr[i]);
    fprintf(to, " efl=%x", b->eflags);
    print_memory(to, c, out);
    if (in->uses_fpu)
        print_fx(to, b->fx, a->fx);
    fputc('\n', to);
}

void case_disassemble(const struct test_case *c, char *text, size_t size)
{
    ZydisDisassembledInstruction z;
    size_t used = 0;

    *text = '\0';
    for (unsigned at = 0; at < c->body && used + 1 < size;) {
        bool ok = ZYAN_SUCCESS(ZydisDisassembleIntel(
            c->mode == ORACLE_MODE16 ? ZYDIS_MACHINE_MODE_LEGACY_16 : ZYDIS_MACHINE_MODE_LEGACY_32,
            (uint32_t)c->input.registers.rip + at, c->input.code + at, c->body - at, &z));
        int n = snprintf(text + used, size - used, "%s%s", used ? "; " : "", ok ? z.text : "(bad)");

        used += n < 0 ? 0 : (size_t)n;
        if (!ok)
            break;
        at += z.info.length;
    }
}

/* ---- reading ---- */

struct reader {
    const char *at;
    char key[16];
    const char *value;
    size_t value_length;
};

static bool next_token(struct reader *r)
{
    while (*r->at == ' ' || *r->at == '\t')
        r->at++;
    if (!*r->at || *r->at == '\n')
        return false;
    size_t length = strcspn(r->at, " \t\n"), key = strcspn(r->at, "= \t\n");
    if (key >= sizeof r->key)
        key = sizeof r->key - 1;
    if (!strncmp(r->at, "=>", 2))
        key = 2;
    memcpy(r->key, r->at, key);
    r->key[key] = '\0';
    r->value = length > key ? r->at + key + 1 : r->at + length;
    r->value_length = (size_t)(r->at + length - r->value);
    r->at += length;
    return true;
}

static size_t read_hex(const char *text, size_t length, uint8_t *bytes, size_t room)
{
    size_t n = 0;

    for (; n < room && n * 2 + 1 < length; n++) {
        char pair[3] = {text[2 * n], text[2 * n + 1], 0}, *end;

        bytes[n] = (uint8_t)strtoul(pair, &end, 16);
        if (*end)
            break;
    }
    return n;
}

static uint64_t number(const struct reader *r)
{
    return strtoull(r->value, NULL, 16);
}

static int index_in(const char *const *names, unsigned count, const char *key)
{
    for (unsigned i = 0; i < count; i++)
        if (!strcmp(names[i], key))
            return (int)i;
    return -1;
}

static bool read_register(const struct reader *r, struct oracle_registers *regs)
{
    struct fxsave_image *fx = (void *)regs->fx;
    int i;

    if ((i = index_in(gpr_names, 8, r->key)) >= 0)
        regs->gpr[i] = number(r);
    else if ((i = index_in(segment_names, 6, r->key)) >= 0)
        regs->segment[i] = (uint16_t)number(r);
    else if (!strcmp(r->key, "efl"))
        regs->eflags = (uint32_t)number(r);
    else if (!strcmp(r->key, "fcw"))
        fx->fcw = (uint16_t)number(r);
    else if (!strcmp(r->key, "fsw"))
        fx->fsw = (uint16_t)number(r);
    else if (!strcmp(r->key, "ftw"))
        fx->ftw = (uint8_t)number(r);
    else if (!strcmp(r->key, "fop"))
        fx->fop = (uint16_t)number(r);
    else if (!strcmp(r->key, "fip"))
        fx->fip = (uint32_t)number(r);
    else if (!strcmp(r->key, "fdp"))
        fx->fdp = (uint32_t)number(r);
    else if (!strcmp(r->key, "mxcsr"))
        fx->mxcsr = (uint32_t)number(r);
    else if (!strncmp(r->key, "st", 2) && r->key[2] >= '0' && r->key[2] <= '7')
        return read_hex(r->value, r->value_length, fx->st[r->key[2] - '0'], 10) == 10;
    else if (!strncmp(r->key, "xmm", 3) && r->key[3] >= '0' && r->key[3] <= '7')
        return read_hex(r->value, r->value_length, fx->xmm[r->key[3] - '0'], 16) == 16;
    else
        return false;
    return true;
}

static void collect_expected(const uint8_t *arena, uint64_t base_seed, struct oracle_output *expected)
{
    uint8_t base[ARENA_SIZE_BYTES] __attribute__((aligned(64))), copy[ARENA_SIZE_BYTES] __attribute__((aligned(64)));

    oracle_fill_base(base_seed, base);
    memcpy(copy, arena, sizeof copy);
    oracle_collect(copy, base, expected);
}

static bool read_input(struct reader *r, struct test_case *c)
{
    struct oracle_input *in = &c->input;

    while (next_token(r) && strcmp(r->key, "=>")) {
        if (!strcmp(r->key, "code")) {
            c->body = (uint16_t)read_hex(r->value, r->value_length, in->code, ORACLE_MAX_CODE - 16);
            in->code_length = c->body;
        } else if (!strcmp(r->key, "at")) {
            in->code_offset = (uint32_t)number(r) % (ARENA_CODE_PAGES * ARENA_PAGE);
        } else if (!strcmp(r->key, "base")) {
            c->base = number(r);
        } else if (!strcmp(r->key, "trap")) {
            c->trap = true;
        } else if (!strcmp(r->key, "interrupt")) {
            in->boundary = c->host_boundary = (uint32_t)strtoul(r->value, NULL, 10);
        } else if (!strcmp(r->key, "fpu")) {
            in->uses_fpu = 1;
        } else if (!strcmp(r->key, "vendor")) {
            if (!host_vendor_parse(r->value, &c->vendor))
                return false;
        } else if (!strcmp(r->key, "host")) {
            if (!host_features_parse(r->value, &c->host_features))
                return false;
        } else if (!strcmp(r->key, "mem")) {
            char *colon;
            struct oracle_patch *patch = &in->patches[in->patch_count];

            if (in->patch_count++ >= ORACLE_MAX_PATCHES)
                return false;
            patch->offset = (uint32_t)strtoul(r->value, &colon, 16);
            if (*colon != ':' || patch->offset > ARENA_SIZE_BYTES - ORACLE_PATCH_BYTES)
                return false;
            patch->length = (uint32_t)read_hex(colon + 1, r->value_length - (size_t)(colon + 1 - r->value),
                                               patch->bytes, ORACLE_PATCH_BYTES);
        } else if (!read_register(r, &in->registers)) {
            return false;
        }
    }
    return !strcmp(r->key, "=>");
}

static bool read_expected(struct reader *r, const struct test_case *c, struct oracle_output *out)
{
    uint8_t arena[ARENA_SIZE_BYTES];
    bool hashed = false;

    out->registers = c->input.registers;
    out->registers.rip = 0;
    out->registers.segment[ORACLE_CS] = 0;
    initial_arena(c, arena);
    while (next_token(r)) {
        if (!strcmp(r->key, "ok")) {
            out->end = END_NORMAL;
        } else if (!strcmp(r->key, "vector")) {
            out->end = END_FAULT;
            out->vector = (uint32_t)strtoul(r->value, NULL, 10);
        } else if (!strcmp(r->key, "interrupted")) {
            out->end = END_STOPPED;
            out->boundary = (uint32_t)strtoul(r->value, NULL, 10);
        } else if (!strcmp(r->key, "error")) {
            out->error = (uint32_t)number(r);
        } else if (!strcmp(r->key, "cr2")) {
            out->cr2 = (uint32_t)number(r);
        } else if (!strcmp(r->key, "eip")) {
            out->registers.rip = number(r);
        } else if (!strcmp(r->key, "lines")) {
            out->line_count = (uint32_t)strtoul(r->value, NULL, 10);
            hashed = true;
        } else if (!strcmp(r->key, "hash")) {
            out->line_hash = (uint32_t)number(r);
        } else if (!strcmp(r->key, "end")) {
            out->end = (uint32_t)number(r);
        } else if (!strcmp(r->key, "mem")) {
            char *colon;
            uint32_t offset = (uint32_t)strtoul(r->value, &colon, 16);

            if (*colon != ':' || offset > ARENA_SIZE_BYTES - ORACLE_LINE)
                return false;
            read_hex(colon + 1, r->value_length - (size_t)(colon + 1 - r->value), arena + offset, ORACLE_LINE);
        } else if (!read_register(r, &out->registers)) {
            return false;
        }
    }
    if (!hashed)
        collect_expected(arena, c->base, out);
    return true;
}

bool case_parse(const char *line, uint32_t epilogue, struct test_case *c, struct oracle_output *expected,
                const char **where)
{
    struct reader r = {.at = line};

    memset(c, 0, sizeof *c);
    memset(expected, 0, sizeof *expected);
    *where = line;
    if (!next_token(&r) || (strcmp(r.key, "32") && strcmp(r.key, "16")))
        return false;
    c->mode = strcmp(r.key, "16") ? ORACLE_MODE32 : ORACLE_MODE16;
    for (unsigned i = 0; i < 6; i++)
        c->input.registers.segment[i] = i == ORACLE_CS ? SELECTOR_USER_CODE32 : SELECTOR_USER_DATA;
    oracle_default_fx(c->input.registers.fx);
    bool ok = read_input(&r, c);
    *where = r.at;
    if (!ok)
        return false;
    case_finish(c, epilogue);
    ok = read_expected(&r, c, expected);
    *where = r.at;
    return ok;
}

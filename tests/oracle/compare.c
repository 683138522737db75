/* See compare.h. */
#include "compare.h"

#include "state_values.h"

#include "cpu/fxsave.h"
#include "cpu/instruction_table.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

struct text {
    char *at;
    size_t room;
    bool differs;
};

static void __attribute__((format(printf, 2, 3))) differ(struct text *t, const char *format, ...)
{
    va_list arguments;

    t->differs = true;
    if (!t->at || !t->room)
        return;
    va_start(arguments, format);
    int n = vsnprintf(t->at, t->room, format, arguments);
    va_end(arguments);
    if (n < 0 || (size_t)n >= t->room)
        n = (int)t->room - 1;
    t->at += n;
    t->room -= (size_t)n;
}

/* ---- comparison ---- */

static const char *const gpr_names[] = {"eax", "ecx", "edx", "ebx", "esp", "ebp", "esi", "edi"};
static const char *const segment_names[] = {"es", "cs", "ss", "ds", "fs", "gs"};
static const char *const end_names[] = {"none", "normal", "fault", "hang", "discard", "setup"};

static void compare_fpu(struct text *t, const uint8_t *host_fx, const uint8_t *engine_fx)
{
    const struct fxsave_image *h = (const void *)host_fx, *e = (const void *)engine_fx;

    if (h->fcw != e->fcw)
        differ(t, " fcw %04x/%04x", h->fcw, e->fcw);
    if (h->fsw != e->fsw)
        differ(t, " fsw %04x/%04x", h->fsw, e->fsw);
    if (h->ftw != e->ftw)
        differ(t, " ftw %02x/%02x", h->ftw, e->ftw);
    if (h->mxcsr != e->mxcsr)
        differ(t, " mxcsr %04x/%04x", h->mxcsr, e->mxcsr);
    for (unsigned i = 0; i < 8; i++) {
        if (memcmp(h->st[i], e->st[i], 10)) {
            uint64_t a, b;
            uint16_t x, y;
            memcpy(&a, h->st[i], 8);
            memcpy(&b, e->st[i], 8);
            memcpy(&x, h->st[i] + 8, 2);
            memcpy(&y, e->st[i] + 8, 2);
            differ(t, " st%u %04x.%016llx/%04x.%016llx", i, x, (unsigned long long)a, y, (unsigned long long)b);
        }
    }
    for (unsigned i = 0; i < 8; i++) {
        uint64_t a[2], b[2];
        memcpy(a, h->xmm[i], 16);
        memcpy(b, e->xmm[i], 16);
        if (a[0] != b[0] || a[1] != b[1])
            differ(t, " xmm%u %016llx.%016llx/%016llx.%016llx", i, (unsigned long long)a[1], (unsigned long long)a[0],
                   (unsigned long long)b[1], (unsigned long long)b[0]);
    }
}

static void compare_memory(struct text *t, const struct oracle_output *host, const struct oracle_output *engine)
{
    if (host->line_count == engine->line_count && host->line_hash == engine->line_hash)
        return;
    if (host->line_count != engine->line_count)
        differ(t, " lines %u/%u", host->line_count, engine->line_count);
    for (unsigned i = 0, j = 0; i < host->line_count || j < engine->line_count;) {
        const struct oracle_line *a = i < host->line_count && i < ORACLE_MAX_LINES ? &host->lines[i] : NULL;
        const struct oracle_line *b = j < engine->line_count && j < ORACLE_MAX_LINES ? &engine->lines[j] : NULL;
        uint32_t at = a && (!b || a->offset <= b->offset) ? a->offset : b ? b->offset : UINT32_MAX;

        if (!a && !b) {
            differ(t, " memory");
            return;
        }
        if (a && b && a->offset == b->offset && !memcmp(a->bytes, b->bytes, ORACLE_LINE)) {
            i++;
            j++;
            continue;
        }
        differ(t, " mem %05x ", at);
        for (unsigned k = 0; a && a->offset == at && k < ORACLE_LINE; k++)
            differ(t, "%02x", a->bytes[k]);
        differ(t, "/");
        for (unsigned k = 0; b && b->offset == at && k < ORACLE_LINE; k++)
            differ(t, "%02x", b->bytes[k]);
        if (a && a->offset == at)
            i++;
        if (b && b->offset == at)
            j++;
    }
}

static void compare_all(struct text *t, const struct test_case *c, const struct oracle_output *host,
                        const struct oracle_output *engine)
{
    static const uint32_t with_error = 1u << 8 | 1u << 10 | 1u << 11 | 1u << 12 | 1u << 13 | 1u << 14 | 1u << 17;

    if (host->end != engine->end)
        differ(t, " end %s/%s", end_names[host->end], end_names[engine->end]);
    if (host->end == END_HANG && engine->end == END_HANG)
        return;
    if (host->vector != engine->vector && (host->end == END_FAULT || engine->end == END_FAULT)) {
        differ(t, " vector %u/%u", host->vector, engine->vector);
    } else if (host->end == END_FAULT && host->vector < 32) {
        if ((with_error >> host->vector & 1) && host->error != engine->error)
            differ(t, " error %x/%x", host->error, engine->error);
        if (host->vector == 14 && host->cr2 != engine->cr2)
            differ(t, " cr2 %08x/%08x", host->cr2, engine->cr2);
    }
    for (unsigned i = 0; i < 8; i++)
        if (host->registers.gpr[i] != engine->registers.gpr[i])
            differ(t, " %s %08llx/%08llx", gpr_names[i], (unsigned long long)host->registers.gpr[i],
                   (unsigned long long)engine->registers.gpr[i]);
    if (host->registers.rip != engine->registers.rip)
        differ(t, " eip %08llx/%08llx", (unsigned long long)host->registers.rip, (unsigned long long)engine->registers.rip);
    if (host->registers.eflags != engine->registers.eflags)
        differ(t, " efl %06x/%06x", host->registers.eflags, engine->registers.eflags);
    for (unsigned i = 0; i < 6; i++)
        if (host->registers.segment[i] != engine->registers.segment[i])
            differ(t, " %s %04x/%04x", segment_names[i], host->registers.segment[i], engine->registers.segment[i]);
    if (c->input.uses_fpu)
        compare_fpu(t, host->registers.fx, engine->registers.fx);
    compare_memory(t, host, engine);
}

/* ---- exemptions ---- */

struct exemption {
    const char *name, *reason;
    bool (*applies)(const struct test_case *c, const struct oracle_output *host, const struct oracle_output *engine);
};

void compare_code_at(const struct test_case *c, const struct oracle_registers *r, uint8_t bytes[15])
{
    const struct oracle_input *in = &c->input;
    uint32_t at = segment_base(r->segment[ORACLE_CS]) + (uint32_t)r->rip - ARENA_CODE - in->code_offset;

    for (unsigned i = 0; i < 15; i++)
        bytes[i] = at + i < in->code_length ? in->code[at + i] : ARENA_FILL_CODE;
}

/* What Zydis, with everything it knows, says to the code at CS:EIP of R, of which only LENGTH bytes exist. */
static ZyanStatus decode_there(const struct test_case *c, const struct oracle_registers *r, unsigned length,
                               ZydisDecodedInstruction *z)
{
    bool code32 = segment_is_code32(r->segment[ORACLE_CS]);
    uint8_t bytes[15];
    ZydisDecoder decoder;

    compare_code_at(c, r, bytes);
    ZydisDecoderInit(&decoder, code32 ? ZYDIS_MACHINE_MODE_LEGACY_32 : ZYDIS_MACHINE_MODE_LEGACY_16,
                     code32 ? ZYDIS_STACK_WIDTH_32 : ZYDIS_STACK_WIDTH_16);
    return ZydisDecoderDecodeInstruction(&decoder, NULL, bytes, length, z);
}

/* The selector of a far JMP or CALL with an immediate pointer, without its RPL; else 0. */
static uint16_t far_selector_there(const struct test_case *c, const struct oracle_registers *r)
{
    ZydisDecodedInstruction z;
    uint8_t bytes[15];

    compare_code_at(c, r, bytes);
    if (!ZYAN_SUCCESS(decode_there(c, r, 15, &z)) || z.opcode_map != ZYDIS_OPCODE_MAP_DEFAULT ||
        (z.opcode != 0x9a && z.opcode != 0xea))
        return 0;
    return (uint16_t)(bytes[z.length - 2] | bytes[z.length - 1] << 8) & 0xfffc;
}

static bool selects_processor_number(const struct test_case *c, const struct oracle_output *host,
                                     const struct oracle_output *engine)
{
    if (c->row != ROW_LSL && !c->block)
        return false;
    for (unsigned i = 0; i < 8; i++)
        if ((c->input.registers.gpr[i] & 0xfffc) == 0x78)
            return true;
    return false;
}

static bool entered_long_mode(const struct test_case *c, const struct oracle_output *host,
                              const struct oracle_output *engine)
{
    /* Out there it may also never end, and a call is pushed with 64-bit addresses; the engine still stands at the far JMP
     * or CALL. */
    if (engine->end == END_FAULT && far_selector_there(c, &engine->registers) == 0x30)
        return true;
    return (host->registers.segment[ORACLE_CS] & 0xfffc) == 0x30 || (engine->registers.segment[ORACLE_CS] & 0xfffc) == 0x30;
}

static bool nested_task_return(const struct test_case *c, const struct oracle_output *host,
                               const struct oracle_output *engine)
{
    return (engine->registers.eflags & 0x4000) && engine->vector == 10 && host->vector == 13 &&
           host->registers.rip == engine->registers.rip;
}

/* Where OUT ended there was a REP STOS or MOVS, whose bytes have changed. */
static bool stores_into_itself(const struct test_case *c, const struct oracle_output *out)
{
    uint32_t at = oracle_arena_offset(segment_base(out->registers.segment[ORACLE_CS]) + (uint32_t)out->registers.rip);
    ZydisDecodedInstruction z;
    uint8_t bytes[15];

    if (out->end != END_FAULT || at == UINT32_MAX || !ZYAN_SUCCESS(decode_there(c, &out->registers, 15, &z)) ||
        z.opcode_map != ZYDIS_OPCODE_MAP_DEFAULT || ((z.opcode & 0xfe) != 0xa4 && (z.opcode & 0xfe) != 0xaa))
        return false;
    compare_code_at(c, &out->registers, bytes);
    for (unsigned i = 0; i < out->line_count && i < ORACLE_MAX_LINES; i++)
        for (unsigned j = 0; j < z.length; j++)
            if (at + j - out->lines[i].offset < ORACLE_LINE && out->lines[i].bytes[at + j - out->lines[i].offset] != bytes[j])
                return true;
    /* More lines than there is room for, and its own not reached yet: only the hash knows. */
    return out->line_count > ORACLE_MAX_LINES && out->lines[ORACLE_MAX_LINES - 1].offset < at;
}

/* REP STOS or MOVS that comes upon its own bytes. */
static bool overwrites_itself(const struct test_case *c, const struct oracle_output *host,
                              const struct oracle_output *engine)
{

    uint32_t before = (uint32_t)c->input.registers.gpr[7], after = (uint32_t)host->registers.gpr[7];

    if (stores_into_itself(c, host) || stores_into_itself(c, engine))
        return true;
    if (!(instruction_table[c->row].attributes & ATTR_STRING))
        return false;
    return before - ARENA_CODE < 0x2000 || after - ARENA_CODE < 0x2000 ||
           ((c->input.registers.segment[ORACLE_ES] & 4) && (before & 0xffff) < 0x2000);
}

/* Apart from what EXPLAINED, a copy of the processor's output with the explained part replaced, says. */
static bool agrees_otherwise(const struct test_case *c, const struct oracle_output *explained,
                             const struct oracle_output *engine)
{
    struct text silent = {NULL, 0, false};

    compare_all(&silent, c, explained, engine);
    return !silent.differs;
}

/* Offset of the last byte of a segment that code may run in. */
static uint32_t code_limit(uint16_t selector)
{
    static const struct {
        uint32_t limit;
        bool pages;
    } limits[] = {
#define X(n, name, base, limit, bits32, contents, only, pages, absent) {limit, pages},
        ORACLE_LDT(X)
#undef X
    };

    if (!(selector & 4) || selector / 8u >= ORACLE_LDT_COUNT)
        return UINT32_MAX;
    return limits[selector / 8].pages ? limits[selector / 8].limit << 12 | 0xfff : limits[selector / 8].limit;
}

/* An undefined instruction that runs over the end of the page or the segment. It must be undefined by the bytes before
 * the end alone, the fault must be the one of that very end, and nothing else may differ. */
static bool undefined_at_the_end(const struct test_case *c, const struct oracle_output *host,
                                 const struct oracle_output *engine)
{
    const struct oracle_registers *r = &host->registers;
    uint32_t linear = segment_base(r->segment[ORACLE_CS]) + (uint32_t)r->rip, room;
    struct oracle_output explained = *host;
    ZydisDecodedInstruction z;

    if (engine->vector != 6 || engine->end != END_FAULT || host->end != END_FAULT)
        return false;
    if (host->vector == 14 && (host->error & 0x10) && !(host->cr2 & (ARENA_PAGE - 1)))
        room = host->cr2 - linear;
    else if (host->vector == 13 && !host->error)
        room = code_limit(r->segment[ORACLE_CS]) - (uint32_t)r->rip + 1;
    else
        return false;
    if (!room || room >= 15)
        return false;
    ZyanStatus status = decode_there(c, r, room, &z);
    if (ZYAN_SUCCESS(status) || status == ZYDIS_STATUS_NO_MORE_DATA)
        return false;
    explained.vector = 6;
    return agrees_otherwise(c, &explained, engine);
}

/* CMPS or SCAS with REP under TF: the arithmetic flags pushed after one element, and nothing else. */
static bool steps_through_compare(const struct test_case *c, const struct oracle_output *host,
                                  const struct oracle_output *engine)
{
    struct oracle_output explained = *host;
    ZydisDecodedInstruction z;

    if (host->end != END_FAULT || host->vector != 1 || engine->vector != 1 || !(host->registers.eflags & FLAG_RF) ||
        !ZYAN_SUCCESS(decode_there(c, &host->registers, 15, &z)) || z.opcode_map != ZYDIS_OPCODE_MAP_DEFAULT ||
        !(z.attributes & (ZYDIS_ATTRIB_HAS_REPE | ZYDIS_ATTRIB_HAS_REPNE | ZYDIS_ATTRIB_HAS_REP)))
        return false;
    if ((z.opcode & 0xfe) != 0xa6 && (z.opcode & 0xfe) != 0xae)
        return false;
    explained.registers.eflags &= ~FLAG_ARITHMETIC;
    explained.registers.eflags |= engine->registers.eflags & FLAG_ARITHMETIC;
    return agrees_otherwise(c, &explained, engine);
}

static const struct exemption exemptions[] = {
    {"processor-number", "LSL of Linux's per-CPU segment (selector 7B) tells which processor it ran on", selects_processor_number},
    {"long-mode", "a far transfer to Linux's 64-bit code segment (selector 33) leaves compatibility mode", entered_long_mode},
    {"rep-overwrites-itself",
     "a REP string instruction stores into its own bytes: after how many elements a processor refetches is its own affair",
     overwrites_itself},
    {"undefined-at-the-end",
     "an undefined instruction runs over the end of the page or segment: the processor reports the end; the length of what is "
     "no instruction is not known to the decoder (only where the bytes before the end are none with any continuation)",
     undefined_at_the_end},
    {"rep-compare-step",
     "REP CMPS or SCAS under TF: the processor pushes flags that no comparison gives (SF and ZF both set)", steps_through_compare},
    {"nested-task", "IRET with NT set is #GP in long mode, a task return in protected mode", nested_task_return},
};

const char *compare_exemption_name(unsigned n)
{
    return n < ARRAY_SIZE(exemptions) ? exemptions[n].name : NULL;
}
const char *compare_exemption_reason(unsigned n)
{
    return n < ARRAY_SIZE(exemptions) ? exemptions[n].reason : NULL;
}

enum verdict compare_outputs(const struct test_case *c, const struct oracle_output *host,
                             const struct oracle_output *engine, char *text, size_t size)
{
    struct text t = {text, size, false};

    if (text && size)
        *text = '\0';
    if (host->end == END_DISCARD || engine->end == END_DISCARD)
        return VERDICT_DISCARD;
    compare_all(&t, c, host, engine);
    if (!t.differs)
        return VERDICT_AGREE;
    for (size_t i = 0; i < ARRAY_SIZE(exemptions); i++)
        if (exemptions[i].applies(c, host, engine))
            return VERDICT_EXEMPT;
    return VERDICT_DIFFER;
}

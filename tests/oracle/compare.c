/* See compare.h. */
#define _GNU_SOURCE /* memmem */
#include "compare.h"

#include "state_values.h"
#include "x87_pointers.h"

#include "cpu/fxsave.h"
#include "cpu/instruction_table.h"

#include <limits.h>
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
static const char *const end_names[] = {"none", "normal", "fault", "hang", "discard", "setup", "stopped"};

#define FSW_ES 0x80u

/* The last instruction pointer always; the opcode, and with a memory operand the data pointer, when an instruction has
 * met an unmasked exception, which is when all processors report them, but not when an exception was unmasked later.
 * FCS and FDS are stored as zero by processors of today. */
static void compare_pointers(struct text *t, const struct test_case *c, const struct fxsave_image *h,
                             const struct fxsave_image *e)
{
    if (h->fip != e->fip)
        differ(t, " fip %08x/%08x", h->fip, e->fip);
    if (!(h->fsw & e->fsw & FSW_ES) || (c->block && x87_pointers_unmasked_later(c)))
        return;
    if (h->fop != e->fop && !c->input.boundary) /* Linux's frames for 32-bit programs lose it */
        differ(t, " fop %03x/%03x", h->fop, e->fop);
    if (h->fdp != e->fdp && (e->fop & 0xc0) != 0xc0)
        differ(t, " fdp %08x/%08x", h->fdp, e->fdp);
}

static void compare_fpu(struct text *t, const struct test_case *c, const uint8_t *host_fx, const uint8_t *engine_fx)
{
    const struct fxsave_image *h = (const void *)host_fx, *e = (const void *)engine_fx;

    compare_pointers(t, c, h, e);

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
    if (host->end == END_STOPPED && engine->end == END_STOPPED && host->boundary != engine->boundary)
        differ(t, " boundary %u/%u", host->boundary, engine->boundary);
    for (unsigned i = 0; i < 8; i++)
        if (host->registers.gpr[i] != engine->registers.gpr[i])
            differ(t, " %s %08llx/%08llx", gpr_names[i], (unsigned long long)host->registers.gpr[i],
                   (unsigned long long)engine->registers.gpr[i]);
    if (host->registers.rip != engine->registers.rip)
        differ(t, " eip %08llx/%08llx", (unsigned long long)host->registers.rip,
               (unsigned long long)engine->registers.rip);
    if (host->registers.eflags != engine->registers.eflags)
        differ(t, " efl %06x/%06x", host->registers.eflags, engine->registers.eflags);
    for (unsigned i = 0; i < 6; i++)
        if (host->registers.segment[i] != engine->registers.segment[i])
            differ(t, " %s %04x/%04x", segment_names[i], host->registers.segment[i], engine->registers.segment[i]);
    if (c->input.uses_fpu)
        compare_fpu(t, c, host->registers.fx, engine->registers.fx);
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

/* Two bytes of memory as OUT leaves it; 0 where there is none. */
static uint16_t memory_word(const struct test_case *c, const struct oracle_output *out, uint32_t linear)
{
    uint8_t base[ARENA_SIZE_BYTES], bytes[2] = {0, 0};

    oracle_fill_base(c->base, base);
    for (unsigned i = 0; i < 2; i++) {
        uint32_t at = oracle_arena_offset(linear + i);

        if (at == UINT32_MAX)
            return 0;
        bytes[i] = base[at];
        for (unsigned n = 0; n < out->line_count && n < ORACLE_MAX_LINES; n++)
            if (at - out->lines[n].offset < ORACLE_LINE)
                bytes[i] = out->lines[n].bytes[at - out->lines[n].offset];
    }
    return (uint16_t)(bytes[0] | bytes[1] << 8);
}

/* The selector of a far JMP or CALL that OUT stands at, without its RPL; else 0. */
static uint16_t far_selector_there(const struct test_case *c, const struct oracle_output *out)
{
    const struct oracle_registers *r = &out->registers;
    struct decoded_instruction insn;
    struct decoder decoder;
    struct error err;
    uint8_t bytes[15];

    compare_code_at(c, r, bytes);
    decoder_init(&decoder, cpu_model_find("max", &err));
    if (decode_instruction(&decoder, bytes, sizeof bytes, 0, segment_is_code32(r->segment[ORACLE_CS]), false, &insn) !=
            DECODE_OK ||
        (insn.row != ROW_CALL_FAR && insn.row != ROW_JMP_FAR))
        return 0;
    const struct operand *o = &insn.operands[0];
    if (o->kind != OPERAND_MEMORY)
        return o->selector & 0xfffc;
    uint32_t offset = state_operand_offset(&insn, o, r) + insn.operand_size;
    if (insn.address_size == 2)
        offset &= 0xffff;
    return memory_word(c, out, segment_base(r->segment[o->segment]) + offset) & 0xfffc;
}

static bool selects_processor_number(const struct test_case *c, const struct oracle_output *host,
                                     const struct oracle_output *engine)
{
    static const uint8_t lsl[] = {0x0f, 0x03};

    if (c->row != ROW_LSL && !memmem(c->input.code, c->body, lsl, sizeof lsl))
        return false;
    for (unsigned i = 0; i < 8; i++)
        if ((c->input.registers.gpr[i] & 0xfffc) == 0x78)
            return true;
    return false;
}

static bool entered_long_mode(const struct test_case *c, const struct oracle_output *host,
                              const struct oracle_output *engine)
{
    /* Out there it may also never end, and a call is pushed with 64-bit addresses; the engine still stands at the far
     * JMP or CALL. */
    if (engine->end == END_FAULT && far_selector_there(c, engine) == 0x30)
        return true;
    return (host->registers.segment[ORACLE_CS] & 0xfffc) == 0x30 ||
           (engine->registers.segment[ORACLE_CS] & 0xfffc) == 0x30;
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
            if (at + j - out->lines[i].offset < ORACLE_LINE &&
                out->lines[i].bytes[at + j - out->lines[i].offset] != bytes[j])
                return true;
    /* More lines than there is room for, and its own not reached yet: only the hash knows. */
    return out->line_count > ORACLE_MAX_LINES && out->lines[ORACLE_MAX_LINES - 1].offset < at;
}

/* Byte AT of the arena is listed as other than VALUE. */
static bool has_changed(const struct oracle_output *out, uint32_t at, uint8_t value)
{
    for (unsigned i = 0; i < out->line_count && i < ORACLE_MAX_LINES; i++)
        if (at - out->lines[i].offset < ORACLE_LINE)
            return out->lines[i].bytes[at - out->lines[i].offset] != value;
    return out->line_count > ORACLE_MAX_LINES || value != ARENA_FILL_CODE;
}

/* Somewhere in a block is what may be a REP STOS or MOVS, and its bytes have changed. */
static bool overwrites_in_block(const struct test_case *c, const struct oracle_output *out)
{
    const struct oracle_input *in = &c->input;

    for (unsigned i = 0; c->block && i + 1 < c->body; i++) {
        if ((in->code[i] & 0xfe) != 0xf2)
            continue;
        for (unsigned j = i + 1; j < c->body && j < i + 6; j++) {
            if ((in->code[j] & 0xfe) != 0xa4 && (in->code[j] & 0xfe) != 0xaa)
                continue;
            for (unsigned k = i; k <= j; k++)
                if (has_changed(out, in->code_offset + k, in->code[k]))
                    return true;
        }
    }
    return false;
}

/* REP STOS or MOVS that comes upon its own bytes. */
static bool overwrites_itself(const struct test_case *c, const struct oracle_output *host,
                              const struct oracle_output *engine)
{

    uint32_t before = (uint32_t)c->input.registers.gpr[7], after = (uint32_t)host->registers.gpr[7];

    if (stores_into_itself(c, host) || stores_into_itself(c, engine) || overwrites_in_block(c, host) ||
        overwrites_in_block(c, engine))
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

/* Opcode and the byte behind it where R stands, prefixes skipped: 0F 01 C0 is 0F01C0h, C4 C0 is C4C0h. */
static uint32_t opcode_there(const struct test_case *c, const struct oracle_registers *r)
{
    static const uint8_t prefixes[] = {0x26, 0x2e, 0x36, 0x3e, 0x64, 0x65, 0x66, 0x67, 0xf0, 0xf2, 0xf3};
    uint8_t bytes[15];
    unsigned at = 0;

    compare_code_at(c, r, bytes);
    while (at < 12 && memchr(prefixes, bytes[at], sizeof prefixes))
        at++;
    if (bytes[at] != 0x0f)
        return (uint32_t)bytes[at] << 8 | bytes[at + 1];
    return (uint32_t)bytes[at] << 16 | (uint32_t)bytes[at + 1] << 8 | bytes[at + 2];
}

/* LDS, LES and BOUND with a register: #UD. The processor takes it for the beginning of something longer, of which the
 * rest is beyond the end, or for an undefined one of another length. 0F 01 with a register: VMCALL and its kind,
 * prefixes ignored. */
static bool is_newer_beginning(const struct test_case *c, const struct oracle_output *host,
                               const struct oracle_output *engine)
{
    uint32_t code = opcode_there(c, &engine->registers);
    bool vector_code = (code & 0xffffc0) == 0xc4c0 || (code & 0xffffc0) == 0xc5c0 || (code & 0xffffc0) == 0x62c0;

    return engine->end == END_FAULT && engine->vector == 6 && host->end == END_FAULT &&
           host->registers.rip == engine->registers.rip && (host->vector == 13 || host->vector == 14) &&
           (vector_code || (code & 0xffffc0) == 0x0f01c0);
}

/* FISTTP, of SSE3, which the models do not have; a jump into data that the case itself made may come upon it. */
static bool is_newer_made(const struct test_case *c, const struct oracle_output *host,
                          const struct oracle_output *engine)
{
    uint32_t at = segment_base(engine->registers.segment[ORACLE_CS]) + (uint32_t)engine->registers.rip;

    if (engine->end != END_FAULT || engine->vector != 6 || host == engine)
        return false;
    for (unsigned i = 0; i < 12; i++) {
        uint16_t bytes = memory_word(c, engine, at + i);
        unsigned opcode = bytes & 0xff, modrm = bytes >> 8;

        if (opcode == 0x66 || opcode == 0x67 || opcode == 0xf2 || opcode == 0xf3 || (opcode & 0xe7) == 0x26 ||
            (opcode & 0xfe) == 0x64)
            continue;
        return (opcode == 0xdb || opcode == 0xdd || opcode == 0xdf) && modrm >> 6 != 3 && (modrm >> 3 & 7) == 1;
    }
    return false;
}

/* LOCK SLDT and its kind, beyond the end of the segment: #GP, which is what the kernel waits for. Such an instruction
 * alone: the kernel does not follow every segment, nor look for the end of the one that holds the code. */
static bool is_emulated(const struct test_case *c, const struct oracle_output *host, const struct oracle_output *engine)
{
    uint32_t code = opcode_there(c, &engine->registers), reg = code >> 3 & 7;
    bool host_fault = host->end == END_FAULT && host->vector == 13;
    bool engine_fault = engine->end == END_FAULT && engine->vector >= 12 && engine->vector <= 14;
    bool umip =
        c->row == ROW_SGDT || c->row == ROW_SIDT || c->row == ROW_SLDT || c->row == ROW_STR || c->row == ROW_SMSW;

    if (!c->block && umip && (host_fault || engine_fault))
        return true;
    return engine->end == END_FAULT && engine->vector == 13 &&
           ((code >> 8 == 0x0f00 && reg < 2) || (code >> 8 == 0x0f01 && (reg < 2 || reg == 4)));
}

/* An instruction that stores the x87 pointers ran among others, and more memory has changed than the outputs list. */
static bool hides_pointers(const struct test_case *c, const struct oracle_output *host,
                           const struct oracle_output *engine)
{
    struct oracle_output explained = *engine;

    if (host->line_count <= ORACLE_MAX_LINES && engine->line_count <= ORACLE_MAX_LINES)
        return false;
    explained.line_count = host->line_count;
    explained.line_hash = host->line_hash;
    return x87_pointers_stored(c) && agrees_otherwise(c, host, &explained);
}

/* An instruction stored an x87 environment, and others behind it computed with its pointers or overwrote a part of it.
 */
static bool uses_pointers(const struct test_case *c, const struct oracle_output *host,
                          const struct oracle_output *engine)
{
    return c->block && x87_pointers_stored_before_others(c) && host->end == engine->end &&
           host->vector == engine->vector && host->registers.rip == engine->registers.rip;
}

/* A null selector with an RPL in a data segment register, and nothing else. */
static bool loses_null_rpl(const struct test_case *c, const struct oracle_output *host,
                           const struct oracle_output *engine)
{
    static const uint8_t data_segments[] = {ORACLE_ES, ORACLE_DS, ORACLE_FS, ORACLE_GS};
    struct oracle_output explained = *engine;

    if (!c->input.boundary)
        return false;
    for (unsigned i = 0; i < ARRAY_SIZE(data_segments); i++)
        if (explained.registers.segment[data_segments[i]] < 4 && !host->registers.segment[data_segments[i]])
            explained.registers.segment[data_segments[i]] = 0;
    return agrees_otherwise(c, host, &explained);
}

/* CPUID, RDTSC: rows never make them inside a block, but a jump into an operand may come upon their bytes. */
static bool holds_unequal(const struct test_case *c, const struct oracle_output *host,
                          const struct oracle_output *engine)
{
    static const uint8_t cpuid[] = {0x0f, 0xa2}, rdtsc[] = {0x0f, 0x31};

    return c->block &&
           (memmem(c->input.code, c->body, cpuid, sizeof cpuid) || memmem(c->input.code, c->body, rdtsc, sizeof rdtsc));
}

static const struct exemption exemptions[] = {
    {"processor-number", "LSL of Linux's per-CPU segment (selector 7B) tells which processor it ran on",
     selects_processor_number},
    {"long-mode", "a far transfer to Linux's 64-bit code segment (selector 33) leaves compatibility mode",
     entered_long_mode},
    {"rep-overwrites-itself",
     "a REP string instruction stores into its own bytes: after how many elements a processor refetches is its own "
     "affair",
     overwrites_itself},
    {"newer-encodings",
     "the processor knows VEX, EVEX and VMCALL and looks at what follows before #UD; the models do not have them",
     is_newer_beginning},
    {"newer-instruction", "a jump into what the case stored came upon FISTTP (SSE3), which the models do not have",
     is_newer_made},
    {"kernel-emulation",
     "SGDT, SIDT, SLDT, STR or SMSW where memory cannot be reached, or through a segment that Linux does not follow: "
     "it takes every #GP there for UMIP's, and emulates the instruction or gives up",
     is_emulated},
    {"x87-pointers",
     "an x87 environment was stored, and more memory changed than is listed: its pointers cannot be masked",
     hides_pointers},
    {"x87-pointers-used",
     "an x87 environment was stored in a block, and what follows computes with its pointers or overwrites half of it",
     uses_pointers},
    {"hidden-cpuid", "a jump into an operand came upon CPUID or RDTSC, whose answers differ by design and by nature",
     holds_unequal},
    {"null-selectors",
     "the processor is stepped to a boundary, and each return from the step's trap takes the RPL from null selectors "
     "(Intel SDM vol. 2, IRET: outer level)",
     loses_null_rpl},
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

unsigned compare_exemption(const struct test_case *c, const struct oracle_output *host,
                           const struct oracle_output *engine)
{
    for (unsigned i = 0; i < ARRAY_SIZE(exemptions); i++)
        if (exemptions[i].applies(c, host, engine))
            return i;
    return UINT_MAX;
}

/* Only masked fields of x87 environments in memory differ (x87_pointers.h). */
static bool agrees_but_for_pointers(const struct test_case *c, const struct oracle_output *host,
                                    const struct oracle_output *engine)
{
    struct oracle_output explained;

    if (!x87_pointers_explain_memory(c, host, engine))
        return false;
    explained = *engine;
    explained.line_count = host->line_count;
    explained.line_hash = host->line_hash;
    return agrees_otherwise(c, host, &explained);
}

static bool agrees_but_for_answer(const struct test_case *c, const struct oracle_output *host,
                                  const struct oracle_output *engine)
{
    struct oracle_output explained;

    return compare_explains_answer(c, host, engine, &explained) && agrees_otherwise(c, &explained, engine);
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
    if (!t.differs || agrees_but_for_pointers(c, host, engine) || agrees_but_for_answer(c, host, engine))
        return VERDICT_AGREE;
    return compare_exemption(c, host, engine) < ARRAY_SIZE(exemptions) ? VERDICT_EXEMPT : VERDICT_DIFFER;
}

bool compare_met_excluded(const struct generator *g, const struct test_case *c, const struct oracle_output *engine)
{
    struct decoded_instruction insn;
    enum decode_status status;
    uint8_t bytes[15];

    if (engine->end != END_FAULT)
        return false;
    compare_code_at(c, &engine->registers, bytes);
    enum exclusion why = generator_check(g, bytes, sizeof bytes,
                                         segment_is_code32(engine->registers.segment[ORACLE_CS]), 0, &insn, &status);
    return why == EXCLUDED_EMULATED || (why == EXCLUDED_NEWER && engine->vector == 6);
}

/* See generate.h. One pass at creation decodes every opcode with every ModRM byte and every mandatory prefix and
 * files the encoding under the row the decoder names; cases then pick a row first, so that rare ones come as often as
 * common ones. */
#include "generate_parts.h"

#include <stdlib.h>
#include <string.h>

/* ---- what is never run ---- */

static const struct {
    uint16_t row;
    enum exclusion why;
    const char *text;
} excluded_rows[] = {
    {ROW_CPUID, EXCLUDED_EMULATED, "alone, and but for the answer, which is the model's"},
    {ROW_RDTSC, EXCLUDED_EMULATED, "alone, and but for the time"},
    {ROW_SGDT, EXCLUDED_EMULATED, "alone, and but for the answer, which the kernel may give (UMIP)"},
    {ROW_SIDT, EXCLUDED_EMULATED, "alone, and but for the answer, which the kernel may give (UMIP)"},
    {ROW_SLDT, EXCLUDED_EMULATED, "alone, and but for the answer, which the kernel may give (UMIP)"},
    {ROW_STR, EXCLUDED_EMULATED, "alone, and but for the answer, which the kernel may give (UMIP)"},
    {ROW_SMSW, EXCLUDED_EMULATED, "alone, and but for the answer, which the kernel may give (UMIP)"},
    {ROW_SYSENTER, EXCLUDED_SYSTEM_CALL, "is a system call on the host"},
};

const char *generator_row_excluded(uint16_t row)
{
    for (size_t i = 0; i < ARRAY_SIZE(excluded_rows); i++)
        if (excluded_rows[i].row == row)
            return excluded_rows[i].text;
    return NULL;
}

static bool has_prefix(const ZydisDecodedInstruction *z, uint8_t prefix)
{
    for (unsigned i = 0; i < z->raw.prefix_count; i++)
        if (z->raw.prefixes[i].value == prefix)
            return true;
    return false;
}

/* Extensions of processors later than the models; without them the same bytes are #UD or an older instruction. */
static bool is_newer(const ZydisDecodedInstruction *z)
{
    if (z->encoding != ZYDIS_INSTRUCTION_ENCODING_LEGACY)
        return true;
    switch (z->meta.isa_ext) {
    case ZYDIS_ISA_EXT_BASE:
    case ZYDIS_ISA_EXT_X87:
    case ZYDIS_ISA_EXT_MMX:
    case ZYDIS_ISA_EXT_SSE:
    case ZYDIS_ISA_EXT_SSE2:
    case ZYDIS_ISA_EXT_CLFSH:
    case ZYDIS_ISA_EXT_PAUSE:
        break;
    default:
        return true;
    }
    switch (z->mnemonic) {
    case ZYDIS_MNEMONIC_CMPXCHG16B:
    case ZYDIS_MNEMONIC_CRC32:
    case ZYDIS_MNEMONIC_MOVBE:
    case ZYDIS_MNEMONIC_UD0: /* with ModRM on the host, as documented; see decode */
        return z->mnemonic != ZYDIS_MNEMONIC_UD0;
    default:
        return false;
    }
}

enum exclusion generator_check(const struct generator *generator, const uint8_t *code, size_t length, bool code32,
                               uint32_t eip, struct decoded_instruction *insn, enum decode_status *status)
{
    ZydisDecodedInstruction z;
    bool known = ZYAN_SUCCESS(ZydisDecoderDecodeInstruction(code32 ? &generator->full32 : &generator->full16, NULL,
                                                            code, length < 15 ? length : 15, &z));

    *status = decode_instruction(&generator->decoder, code, length, eip, code32, false, insn);
    if (known && is_newer(&z))
        return EXCLUDED_NEWER;
    if (*status != DECODE_OK)
        return EXCLUDED_NOT;
    for (size_t i = 0; i < ARRAY_SIZE(excluded_rows); i++)
        if (excluded_rows[i].row == insn->row)
            return excluded_rows[i].why;
    if (insn->row == ROW_INT && (insn->operands[0].value & 0xff) == 0x80)
        return EXCLUDED_SYSTEM_CALL;
    if ((insn->row == ROW_BSF || insn->row == ROW_BSR) && known && has_prefix(&z, 0xf3))
        return EXCLUDED_NEWER; /* TZCNT, LZCNT */
    return EXCLUDED_NOT;
}

/* ---- templates ---- */

static void add_template(struct template_list *list, struct template t)
{
    if (list->count == list->room) {
        list->room = list->room ? list->room * 2 : 16;
        list->items = realloc(list->items, list->room * sizeof t);
    }
    list->items[list->count++] = t;
}

static bool is_prefix(uint8_t byte)
{
    switch (byte) {
    case 0x26:
    case 0x2e:
    case 0x36:
    case 0x3e:
    case 0x64:
    case 0x65:
    case 0x66:
    case 0x67:
    case 0xf0:
    case 0xf2:
    case 0xf3:
        return true;
    default:
        return false;
    }
}

static void enumerate(struct generator *g, enum oracle_mode mode)
{
    static const uint8_t prefixes[] = {0, 0x66, 0xf2, 0xf3};

    for (unsigned map = 0; map < 2; map++) {
        for (unsigned opcode = 0; opcode < 256; opcode++) {
            if (map == 0 && (is_prefix((uint8_t)opcode) || opcode == 0x0f))
                continue;
            for (unsigned p = 0; p < ARRAY_SIZE(prefixes); p++) {
                for (unsigned modrm = 0; modrm < 256; modrm++) {
                    uint8_t code[16] = {0};
                    unsigned n = 0;
                    struct decoded_instruction insn;
                    enum decode_status status;

                    if (modrm < 0xc0 && (modrm & 0xc7))
                        continue;
                    if (prefixes[p])
                        code[n++] = prefixes[p];
                    if (map)
                        code[n++] = 0x0f;
                    code[n++] = (uint8_t)opcode;
                    code[n] = (uint8_t)modrm;
                    enum exclusion why = generator_check(g, code, 15, mode == ORACLE_MODE32, 0x1000, &insn, &status);
                    if (status != DECODE_OK || (why && why != EXCLUDED_SYSTEM_CALL && why != EXCLUDED_EMULATED) ||
                        insn.row == ROW_NONE)
                        continue;
                    struct template t = {prefixes[p], (uint8_t)map, (uint8_t)opcode, (uint8_t)modrm};
                    add_template(
                        insn.has_modrm && modrm < 0xc0 ? &g->memory[mode][insn.row] : &g->other[mode][insn.row], t);
                    if (!insn.has_modrm)
                        break;
                }
            }
        }
    }
}

struct generator *generator_create(const struct cpu_model *model)
{
    struct generator *g = calloc(1, sizeof *g);

    decoder_init(&g->decoder, model);
    ZydisDecoderInit(&g->full16, ZYDIS_MACHINE_MODE_LEGACY_16, ZYDIS_STACK_WIDTH_16);
    ZydisDecoderInit(&g->full32, ZYDIS_MACHINE_MODE_LEGACY_32, ZYDIS_STACK_WIDTH_32);
    /* Hint NOPs stay what they are. */
    static const ZydisDecoderMode off[] = {
        ZYDIS_DECODER_MODE_MPX, ZYDIS_DECODER_MODE_CET,   ZYDIS_DECODER_MODE_CLDEMOTE, ZYDIS_DECODER_MODE_WBNOINVD,
        ZYDIS_DECODER_MODE_KNC, ZYDIS_DECODER_MODE_LZCNT, ZYDIS_DECODER_MODE_TZCNT};
    for (size_t i = 0; i < ARRAY_SIZE(off); i++) {
        ZydisDecoderEnableMode(&g->full16, off[i], ZYAN_FALSE);
        ZydisDecoderEnableMode(&g->full32, off[i], ZYAN_FALSE);
    }
    for (unsigned mode = 0; mode < ORACLE_MODES; mode++)
        enumerate(g, (enum oracle_mode)mode);
    for (uint16_t row = 1; row < ROW_COUNT; row++)
        generator_enable_row(g, row, true);
    return g;
}

void generator_destroy(struct generator *g)
{
    for (unsigned mode = 0; mode < ORACLE_MODES; mode++) {
        for (unsigned row = 0; row < ROW_COUNT; row++) {
            free(g->memory[mode][row].items);
            free(g->other[mode][row].items);
        }
    }
    free(g);
}

void generator_enable_row(struct generator *g, uint16_t row, bool enabled)
{
    g->enabled[row] = enabled;
    g->row_count = 0;
    for (uint16_t r = 1; r < ROW_COUNT; r++)
        if (g->enabled[r] &&
            (generator_template_count(g, r, ORACLE_MODE32) || generator_template_count(g, r, ORACLE_MODE16)))
            g->rows[g->row_count++] = r;
}

void generator_disable_arbitrary(struct generator *g)
{
    g->no_arbitrary = true;
}

unsigned generator_template_count(const struct generator *g, uint16_t row, enum oracle_mode mode)
{
    return g->memory[mode][row].count + g->other[mode][row].count;
}

/* ---- one encoding ---- */

static unsigned put_random_prefixes(struct random *r, uint8_t *code, uint8_t mandatory)
{
    static const uint8_t segments[] = {0x26, 0x2e, 0x36, 0x3e, 0x64, 0x65};
    unsigned n = 0;

    if (random_percent(r, 15))
        code[n++] = segments[random_below(r, 6)];
    if (mandatory != 0x66 && random_percent(r, mandatory ? 5 : 30))
        code[n++] = 0x66;
    if (random_percent(r, 18))
        code[n++] = 0x67;
    if (random_percent(r, 5))
        code[n++] = 0xf0;
    if (!mandatory && random_percent(r, 6))
        code[n++] = random_percent(r, 50) ? 0xf2 : 0xf3;
    if (random_percent(r, 3))
        code[n++] = segments[random_below(r, 6)];
    if (mandatory)
        code[n++] = mandatory;
    for (unsigned i = n; i > 1; i--) { /* any order */
        unsigned j = random_below(r, i);
        uint8_t t = code[i - 1];

        code[i - 1] = code[j];
        code[j] = t;
    }
    return n;
}

/* Displacements and immediates: bytes behind the opcode. */
static void put_tail(struct random *r, uint8_t *code, unsigned length)
{
    for (unsigned i = 0; i < length; i += 4) {
        uint32_t value = random_percent(r, 50) ? state_edge32(r) : (uint32_t)random_next(r);

        if (random_percent(r, 30))
            value = (uint32_t)(int32_t)(int8_t)value;
        memcpy(code + i, &value, length - i < 4 ? length - i : 4);
    }
}

/* Up to 15 bytes from a template. */
static void put_instruction(struct generator *g, struct random *r, uint16_t row, enum oracle_mode mode, uint8_t *code)
{
    const struct template_list *memory = &g->memory[mode][row], *other = &g->other[mode][row], *list;
    unsigned n;

    list = memory->count && (!other->count || random_percent(r, 60)) ? memory : other;
    struct template t = list->items[random_below(r, list->count)];
    n = put_random_prefixes(r, code, t.prefix);
    if (t.map)
        code[n++] = 0x0f;
    code[n++] = t.opcode;
    put_tail(r, code + n, 15 - n);
    if (list == memory)
        code[n] = (uint8_t)((t.modrm & 0x38) | (random_below(r, 3) << 6) | random_below(r, 8));
    else
        code[n] = t.modrm;
    /* Without ModRM this byte is the first of an immediate, where a fixed value would be a pity. */
    struct decoded_instruction insn;
    enum decode_status status;
    generator_check(g, code, 15, mode == ORACLE_MODE32, 0x1000, &insn, &status);
    if (status == DECODE_OK && !insn.has_modrm)
        put_tail(r, code + n, 15 - n);
}

/* Relative branches to where there is code. */
static void tame_branch(struct making *m, uint8_t *code, const struct decoded_instruction *insn)
{
    const struct operand *o = &insn->operands[0];

    if (insn->operand_count < 1 || !o->relative || !random_percent(&m->random, 70))
        return;
    uint32_t distance = random_below(&m->random, 12);
    bool byte = insn->opcode != 0xe8 && insn->opcode != 0xe9 && !(insn->opcode >= 0x80 && insn->opcode <= 0x8f);
    if (byte)
        code[insn->length - 1] = (uint8_t)distance;
    else if (insn->operand_size == 2)
        memcpy(code + insn->length - 2, &distance, 2);
    else
        memcpy(code + insn->length - 4, &distance, 4);
}

void case_finish(struct test_case *c, uint32_t epilogue)
{
    struct oracle_input *in = &c->input;
    uint8_t *end = in->code + c->body;
    unsigned n = 0;
    uint32_t limit = ARENA_CODE_PAGES * ARENA_PAGE;

    if (c->trap) {
        end[n++] = 0xcc;
    } else {
        if (c->mode == ORACLE_MODE16)
            end[n++] = 0x66;
        end[n++] = 0xea;
        memcpy(end + n, &epilogue, 4);
        n += 4;
        end[n++] = SELECTOR_USER_CODE32;
        end[n++] = 0;
    }
    in->code_length = c->body + n;
    if (in->code_offset + in->code_length > limit)
        in->code_length = limit - in->code_offset;
    in->registers.rip = ARENA_CODE + in->code_offset - segment_base(in->registers.segment[ORACLE_CS]);
}

static bool loads_gs(const struct decoded_instruction *insn)
{
    switch (insn->row) {
    case ROW_LGS:
        return true;
    case ROW_MOV_TO_SEGMENT:
    case ROW_POP_SEGMENT:
        return insn->operands[0].number == ORACLE_GS;
    case ROW_RET_FAR:
    case ROW_IRET:
    case ROW_IRETD:
        return true;
    default:
        return false;
    }
}

static bool needs_fpu(const struct decoded_instruction *insn)
{
    return instruction_table[insn->row].attributes & (ATTR_X87 | ATTR_MMX | ATTR_SSE);
}

void note_instruction(struct making *m, const struct decoded_instruction *insn)
{
    if (loads_gs(insn))
        m->trap = true;
    if (needs_fpu(insn))
        m->in->uses_fpu = 1;
}

void put_random_instruction(struct making *m, uint16_t row, uint8_t *code)
{
    put_instruction(m->g, &m->random, row, m->mode, code);
}

void put_arbitrary_bytes(struct making *m, uint8_t *code)
{
    struct random *r = &m->random;
    unsigned n = put_random_prefixes(r, code, 0);

    put_tail(r, code + n, 15 - n);
    if (random_percent(r, 50))
        code[n] = 0x0f;
}

void generator_make(struct generator *g, uint64_t seed, uint64_t base, uint16_t row, unsigned instructions,
                    uint32_t epilogue, struct test_case *out)
{
    struct making making = {.g = g, .random = {seed}, .in = &out->input}, *m = &making;
    struct random *r = &m->random;
    struct oracle_input *in = &out->input;
    struct decoded_instruction insns[32];
    unsigned count = 0;

    memset(in, 0, offsetof(struct oracle_input, patches));
    out->base = base;
    out->seed = seed;
    out->block = instructions > 1;
    out->row = ROW_NONE;
    out->accesses = out->steps = 0;
    out->host_boundary = 0;
    m->mode = random_percent(r, 35) ? ORACLE_MODE16 : ORACLE_MODE32;
    if (row && !generator_template_count(g, row, m->mode))
        m->mode = m->mode == ORACLE_MODE16 ? ORACLE_MODE32 : ORACLE_MODE16;
    bool code32 = m->mode == ORACLE_MODE32;
    out->mode = (uint8_t)m->mode;
    choose_segments(m);
    choose_registers(m);

    for (unsigned tries = 0; count < instructions && tries < 200; tries++) {
        uint8_t *code = in->code + in->code_length;
        uint16_t wanted = row;
        struct decoded_instruction *insn = &insns[count];
        enum decode_status status;
        bool arbitrary = !row && !g->no_arbitrary && random_percent(r, instructions > 1 ? 1 : 6);

        if (in->code_length + 15 + 16 > ORACLE_MAX_CODE)
            break;
        if (!wanted)
            wanted = g->rows[random_below(r, g->row_count)];
        if (!generator_template_count(g, wanted, m->mode))
            continue;
        if (wanted == ROW_LSL && instructions > 1 && !row) /* see block_operand.c */
            continue;
        if (arbitrary)
            put_arbitrary_bytes(m, code);
        else
            put_random_instruction(m, wanted, code);
        enum exclusion why = generator_check(g, code, 15, code32, 0x1000, insn, &status);
        if (why && !(why == EXCLUDED_EMULATED && instructions == 1))
            continue;
        if (status != DECODE_OK) {
            insn->row = ROW_NONE;
            if (instructions > 1)
                continue;
        }
        if (status == DECODE_OK && row && insn->row != row)
            continue;
        tame_branch(m, code, insn);
        unsigned length = insn->length ? insn->length : 15;
        if (status == DECODE_OK)
            note_instruction(m, insn);
        if (!count) {
            out->row = insn->row;
            out->operand_size = insn->operand_size;
        }
        in->code_length += length;
        count++;
    }
    out->body = (uint16_t)in->code_length;
    out->trap = m->trap;
    in->code_offset = choose_place(r, in->registers.segment[ORACLE_CS]);
    case_finish(out, epilogue);
    for (unsigned i = 0; i < count && i < 3; i++)
        if (insns[i].row != ROW_NONE)
            prepare_instruction(m, &insns[i]);
    if (in->uses_fpu)
        state_fpu(r, in->registers.fx);
}

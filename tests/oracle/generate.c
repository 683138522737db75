/* See generate.h. One pass at creation decodes every opcode with every ModRM byte and every mandatory prefix and
 * files the encoding under the row the decoder names; cases then pick a row first, so that rare ones come as often as
 * common ones. */
#include "generate.h"

#include "state_values.h"

#include <stdlib.h>
#include <string.h>

struct template {
    uint8_t prefix; /* 0, 66, F2, F3 */
    uint8_t map;    /* 0: one byte, 1: 0F */
    uint8_t opcode;
    uint8_t modrm;
};

struct template_list {
    struct template *items;
    unsigned count, room;
};

struct generator {
    struct decoder decoder;
    ZydisDecoder full16, full32; /* everything Zydis knows */
    struct template_list memory[ORACLE_MODES][ROW_COUNT], other[ORACLE_MODES][ROW_COUNT];
    bool enabled[ROW_COUNT];
    uint16_t rows[ROW_COUNT];
    unsigned row_count;
    bool no_arbitrary;
};

/* ---- what is never run ---- */

static const struct {
    uint16_t row;
    enum exclusion why;
    const char *text;
} excluded_rows[] = {
    {ROW_CPUID, EXCLUDED_EMULATED, "answers differ by design: the model's, not the host's"},
    {ROW_RDTSC, EXCLUDED_EMULATED, "time differs by nature"},
    {ROW_SGDT, EXCLUDED_EMULATED, "the kernel emulates it (UMIP)"},
    {ROW_SIDT, EXCLUDED_EMULATED, "the kernel emulates it (UMIP)"},
    {ROW_SLDT, EXCLUDED_EMULATED, "the kernel emulates it (UMIP)"},
    {ROW_STR, EXCLUDED_EMULATED, "the kernel emulates it (UMIP)"},
    {ROW_SMSW, EXCLUDED_EMULATED, "the kernel emulates it (UMIP)"},
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
    bool known = ZYAN_SUCCESS(ZydisDecoderDecodeInstruction(code32 ? &generator->full32 : &generator->full16, NULL, code,
                                                            length < 15 ? length : 15, &z));

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
    case 0x26: case 0x2e: case 0x36: case 0x3e: case 0x64: case 0x65: case 0x66: case 0x67: case 0xf0: case 0xf2: case 0xf3:
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
                    enum exclusion why =
                        generator_check(g, code, 15, mode == ORACLE_MODE32, 0x1000, &insn, &status);
                    if (status != DECODE_OK || (why && why != EXCLUDED_SYSTEM_CALL) || insn.row == ROW_NONE)
                        continue;
                    struct template t = {prefixes[p], (uint8_t)map, (uint8_t)opcode, (uint8_t)modrm};
                    add_template(insn.has_modrm && modrm < 0xc0 ? &g->memory[mode][insn.row] : &g->other[mode][insn.row], t);
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
    static const ZydisDecoderMode off[] = {ZYDIS_DECODER_MODE_MPX, ZYDIS_DECODER_MODE_CET, ZYDIS_DECODER_MODE_CLDEMOTE,
                                           ZYDIS_DECODER_MODE_WBNOINVD, ZYDIS_DECODER_MODE_KNC,
                                           ZYDIS_DECODER_MODE_LZCNT, ZYDIS_DECODER_MODE_TZCNT};
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
        if (g->enabled[r] && (generator_template_count(g, r, ORACLE_MODE32) || generator_template_count(g, r, ORACLE_MODE16)))
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

/* ---- a case ---- */

struct making {
    struct generator *g;
    struct random random;
    struct oracle_input *in;
    enum oracle_mode mode;
    bool trap; /* end by INT3 */
};

static void choose_segments(struct making *m)
{
    static const uint16_t data[] = {SELECTOR_LDT(LDT_DATA32), SELECTOR_LDT(LDT_DATA16), SELECTOR_LDT(LDT_READ_ONLY),
                                    SELECTOR_LDT(LDT_DOWN32), SELECTOR_LDT(LDT_DOWN16), SELECTOR_LDT(LDT_ODD),
                                    SELECTOR_LDT(LDT_PAGES), SELECTOR_LDT(LDT_CODE32), SELECTOR_LDT(LDT_CODE16),
                                    SELECTOR_LDT(LDT_DOWN_ODD16), 0, SELECTOR_USER_DATA};
    static const uint16_t stack[] = {SELECTOR_LDT(LDT_DATA32), SELECTOR_LDT(LDT_DATA16), SELECTOR_LDT(LDT_DATA16),
                                     SELECTOR_LDT(LDT_DOWN32), SELECTOR_LDT(LDT_DOWN16), SELECTOR_LDT(LDT_ODD),
                                     SELECTOR_LDT(LDT_PAGES), SELECTOR_LDT(LDT_DOWN_ODD16), SELECTOR_USER_DATA};
    static const uint16_t code32[] = {SELECTOR_LDT(LDT_CODE32), SELECTOR_LDT(LDT_EXECUTE32), SELECTOR_LDT(LDT_CODE32_ODD),
                                      SELECTOR_LDT(LDT_CODE32_SHORT)};
    static const uint16_t code16[] = {SELECTOR_LDT(LDT_CODE16), SELECTOR_LDT(LDT_CODE16), SELECTOR_LDT(LDT_EXECUTE16),
                                      SELECTOR_LDT(LDT_CODE16_ODD), SELECTOR_LDT(LDT_CODE16_SHORT)};
    struct random *r = &m->random;
    uint16_t *s = m->in->registers.segment;
    bool odd = m->mode == ORACLE_MODE16 ? random_percent(r, 70) : random_percent(r, 25);

    for (unsigned i = 0; i < 6; i++)
        s[i] = SELECTOR_USER_DATA;
    s[ORACLE_CS] = SELECTOR_USER_CODE32;
    if (m->mode == ORACLE_MODE16)
        s[ORACLE_CS] = code16[random_below(r, ARRAY_SIZE(code16))];
    else if (odd && random_percent(r, 40))
        s[ORACLE_CS] = code32[random_below(r, ARRAY_SIZE(code32))];
    if (!odd)
        return;
    s[ORACLE_SS] = random_percent(r, 60) ? stack[random_below(r, ARRAY_SIZE(stack))] : SELECTOR_LDT(LDT_DATA16);
    if (random_percent(r, 70))
        s[ORACLE_DS] = data[random_below(r, ARRAY_SIZE(data))];
    if (random_percent(r, 70))
        s[ORACLE_ES] = data[random_below(r, ARRAY_SIZE(data))];
    if (random_percent(r, 50))
        s[ORACLE_FS] = data[random_below(r, ARRAY_SIZE(data))];
    if (random_percent(r, 20)) {
        s[ORACLE_GS] = data[random_below(r, ARRAY_SIZE(data))];
        m->trap = true;
    }
}

static void choose_registers(struct making *m)
{
    struct random *r = &m->random;
    struct oracle_registers *regs = &m->in->registers;

    for (unsigned i = 0; i < 8; i++)
        regs->gpr[i] = state_register(r);
    regs->gpr[GPR_SP] = state_data_address(r);
    if (random_percent(r, 70))
        regs->gpr[GPR_SP] &= ~3u;
    if (segment_base(regs->segment[ORACLE_SS]) || random_percent(r, 5))
        regs->gpr[GPR_SP] = (uint32_t)regs->gpr[GPR_SP] - segment_base(regs->segment[ORACLE_SS]);
    regs->eflags = FLAG_FIXED | FLAG_IF | ((uint32_t)random_next(r) & FLAG_ARITHMETIC);
    if (random_percent(r, 30))
        regs->eflags |= FLAG_DF;
    if (random_percent(r, 10))
        regs->eflags |= FLAG_AC;
    if (random_percent(r, 10))
        regs->eflags |= FLAG_ID;
    if (random_percent(r, 3))
        regs->eflags |= FLAG_NT;
}

static uint64_t get(const struct oracle_registers *regs, unsigned number)
{
    return number < 8 ? (uint32_t)regs->gpr[number] : 0;
}

/* Makes the memory operand of INSN point where something happens. */
static void aim_operand(struct making *m, const struct decoded_instruction *insn, const struct operand *o)
{
    struct random *r = &m->random;
    struct oracle_registers *regs = &m->in->registers;
    uint32_t target = state_data_address(r) - segment_base(regs->segment[o->segment]);
    uint32_t mask = insn->address_size == 2 ? 0xffff : 0xffffffff;

    if (random_percent(r, 50))
        target &= ~(o->size > 16 || !o->size ? 15u : o->size >= 8 ? 7u : (uint32_t)o->size - 1) | (o->size & 1 ? 1 : 0);
    if (o->base != GPR_ZERO && o->base != o->index && o->base < 8) {
        uint32_t rest = (uint32_t)(get(regs, o->index) << o->scale) + (uint32_t)o->value;
        uint32_t value = target - rest;

        regs->gpr[o->base] = mask == 0xffff ? ((uint32_t)regs->gpr[o->base] & 0xffff0000) | (value & 0xffff) : value;
    } else if (o->index != GPR_ZERO && o->index < 8) {
        uint32_t value = (target - (uint32_t)o->value) >> o->scale;

        if (o->base == o->index)
            value = (target - (uint32_t)o->value) / ((1u << o->scale) + 1);
        regs->gpr[o->index] = mask == 0xffff ? ((uint32_t)regs->gpr[o->index] & 0xffff0000) | (value & 0xffff) : value;
    }
}

static bool is_string(const struct decoded_instruction *insn)
{
    return instruction_table[insn->row].attributes & ATTR_STRING;
}

static void aim(struct making *m, const struct decoded_instruction *insn)
{
    struct random *r = &m->random;
    struct oracle_registers *regs = &m->in->registers;

    if (is_string(insn)) {
        uint32_t mask = insn->address_size == 2 ? 0xffff : 0xffffffff;
        uint32_t si = state_data_address(r) - segment_base(regs->segment[ORACLE_DS]);
        uint32_t di = random_percent(r, 40) ? si + random_below(r, 40) - 20 : state_data_address(r);

        regs->gpr[GPR_SI] = (regs->gpr[GPR_SI] & ~mask & 0xffffffff) | (si & mask);
        regs->gpr[GPR_DI] = (regs->gpr[GPR_DI] & ~mask & 0xffffffff) | (di & mask);
        if (random_percent(r, 85)) {
            uint32_t count = random_percent(r, 70) ? random_below(r, 20) : random_below(r, 5000);
            regs->gpr[GPR_CX] = (regs->gpr[GPR_CX] & ~mask & 0xffffffff) | (count & mask);
        }
        return;
    }
    for (unsigned i = 0; i < insn->operand_count; i++)
        if (insn->operands[i].kind == OPERAND_MEMORY && random_percent(r, 92))
            aim_operand(m, insn, &insn->operands[i]);
    if ((insn->row == ROW_BT || insn->row == ROW_BTS || insn->row == ROW_BTR || insn->row == ROW_BTC) &&
        insn->operand_count > 1 && insn->operands[1].kind == OPERAND_GPR && random_percent(r, 70) &&
        insn->operands[1].number != insn->operands[0].base)
        regs->gpr[insn->operands[1].number] = (uint32_t)((int32_t)random_below(r, 4096) - 2048);
    if ((insn->row == ROW_LEAVE || insn->row == ROW_ENTER) && random_percent(r, 90))
        regs->gpr[GPR_BP] = state_data_address(r) - segment_base(regs->segment[ORACLE_SS]);
}

/* Bytes on the stack or behind a pointer that make transfers and segment loads succeed. */
static void plant(struct making *m, const struct decoded_instruction *insn)
{
    struct random *r = &m->random;
    struct oracle_registers *regs = &m->in->registers;
    uint32_t linear;

    if (instruction_table[insn->row].attributes & ATTR_STACK)
        linear = (uint32_t)regs->gpr[GPR_SP];
    else if (insn->operand_count && insn->operands[insn->operand_count - 1].kind == OPERAND_MEMORY)
        linear = state_operand_offset(insn, &insn->operands[insn->operand_count - 1], regs);
    else
        return;
    unsigned seg = instruction_table[insn->row].attributes & ATTR_STACK ? (unsigned)ORACLE_SS
                                                                       : insn->operands[insn->operand_count - 1].segment;
    linear += segment_base(regs->segment[seg]);
    uint32_t offset = oracle_arena_offset(linear);
    if (offset == UINT32_MAX || offset + ORACLE_PATCH_BYTES > ARENA_SIZE_BYTES || m->in->patch_count >= ORACLE_MAX_PATCHES)
        return;
    if (offset / ARENA_PAGE < ARENA_CODE_PAGES)
        return;
    struct oracle_patch *patch = &m->in->patches[m->in->patch_count++];
    patch->offset = offset;
    patch->length = 16;
    uint32_t words[4];
    bool wide = insn->operand_size == 4;
    uint32_t target = (uint32_t)regs->rip + random_below(r, 16);

    if (random_percent(r, 20))
        target = state_edge32(r);
    switch (insn->row) {
    case ROW_RET_FAR:
    case ROW_IRET:
    case ROW_IRETD:
    case ROW_JMP_FAR:
    case ROW_CALL_FAR: {
        uint16_t selector = random_percent(r, 60) ? regs->segment[ORACLE_CS] : state_selector(r);
        uint32_t flags = (uint32_t)random_next(r) & (FLAG_ARITHMETIC | FLAG_DF | FLAG_AC | FLAG_ID | 0x00ff8000 | FLAG_TF);

        if (random_percent(r, 85))
            flags &= ~FLAG_TF;
        flags &= ~FLAG_VM | (random_percent(r, 10) ? FLAG_VM : 0);
        if (wide) {
            words[0] = target;
            words[1] = selector | (random_percent(r, 50) ? (uint32_t)random_next(r) << 16 : 0);
            words[2] = flags;
            words[3] = (uint32_t)random_next(r);
        } else {
            words[0] = (target & 0xffff) | (uint32_t)selector << 16;
            words[1] = flags;
            words[2] = words[3] = (uint32_t)random_next(r);
        }
        break;
    }
    case ROW_POP_SEGMENT:
        words[0] = state_selector(r) | (random_percent(r, 50) ? 0 : (uint32_t)random_next(r) << 16);
        words[1] = words[2] = words[3] = 0;
        break;
    case ROW_LDS:
    case ROW_LES:
    case ROW_LSS:
    case ROW_LFS:
    case ROW_LGS: {
        uint16_t selector = state_selector(r);
        words[0] = wide ? state_register(r) : (state_register(r) & 0xffff) | (uint32_t)selector << 16;
        words[1] = wide ? selector : 0;
        words[2] = words[3] = 0;
        break;
    }
    case ROW_MOV_TO_SEGMENT:
    case ROW_LAR:
    case ROW_LSL:
    case ROW_VERR:
    case ROW_VERW:
    case ROW_ARPL:
        words[0] = state_selector(r);
        words[1] = words[2] = words[3] = 0;
        break;
    case ROW_RET:
    case ROW_JMP:
    case ROW_CALL:
        words[0] = target;
        words[1] = words[2] = words[3] = (uint32_t)random_next(r);
        break;
    case ROW_POPF:
    case ROW_POPFD:
        words[0] = (uint32_t)random_next(r);
        if (random_percent(r, 80))
            words[0] &= ~FLAG_TF;
        words[1] = words[2] = words[3] = 0;
        break;
    default:
        for (unsigned i = 0; i < 4; i++)
            words[i] = state_register(r);
        break;
    }
    memcpy(patch->bytes, words, sizeof words);
}

/* Selectors and branch targets in registers. */
static void plant_registers(struct making *m, const struct decoded_instruction *insn)
{
    struct random *r = &m->random;
    struct oracle_registers *regs = &m->in->registers;

    switch (insn->row) {
    case ROW_MOV_TO_SEGMENT:
    case ROW_LAR:
    case ROW_LSL:
    case ROW_VERR:
    case ROW_VERW:
    case ROW_ARPL:
        for (unsigned i = 0; i < insn->operand_count; i++)
            if (insn->operands[i].kind == OPERAND_GPR && insn->operands[i].number < 8 && random_percent(r, 90))
                regs->gpr[insn->operands[i].number] = ((uint32_t)random_next(r) & 0xffff0000) | state_selector(r);
        break;
    case ROW_JMP:
    case ROW_CALL:
        if (insn->operand_count && insn->operands[0].kind == OPERAND_GPR && random_percent(r, 70))
            regs->gpr[insn->operands[0].number] = (uint32_t)regs->rip + random_below(r, 16);
        break;
    case ROW_DIV:
    case ROW_IDIV:
        if (random_percent(r, 50)) /* quotients that fit */
            regs->gpr[GPR_DX] = random_below(r, 3) - 1u;
        break;
    default:
        break;
    }
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

static uint32_t choose_place(struct random *r, uint16_t cs)
{
    uint32_t offset;

    if (cs == SELECTOR_LDT(LDT_CODE16_SHORT) || cs == SELECTOR_LDT(LDT_CODE32_SHORT)) /* up to the limit, and beyond */
        return random_percent(r, 50) ? 0x0fff - random_below(r, 24) : random_below(r, 0xf00) + 0x13;
    if (cs == SELECTOR_LDT(LDT_CODE16_ODD) || cs == SELECTOR_LDT(LDT_CODE32_ODD))
        return random_percent(r, 50) ? 0x1801 + 0x13 - random_below(r, 24) : random_below(r, 0x1700) + 0x13;
    switch (random_below(r, 16)) {
    case 0: /* over the page boundary */
        return ARENA_PAGE - random_below(r, 16);
    case 1: /* up to the end, and beyond */
        return ARENA_CODE_PAGES * ARENA_PAGE - random_below(r, 24) - 1;
    default:
        offset = random_below(r, 16) * 0x1b4 + random_below(r, 64);
        return offset < 0x13 ? 0x13 : offset;
    }
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
    in->uses_fpu = 0;
    out->base = base;
    out->seed = seed;
    out->block = instructions > 1;
    out->row = ROW_NONE;
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
        if (arbitrary) {
            unsigned n = put_random_prefixes(r, code, 0);
            put_tail(r, code + n, 15 - n);
            if (random_percent(r, 50))
                code[n] = 0x0f;
        } else {
            put_instruction(g, r, wanted, m->mode, code);
        }
        if (generator_check(g, code, 15, code32, 0x1000, insn, &status))
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
        if (status == DECODE_OK) {
            if (loads_gs(insn))
                m->trap = true;
            if (needs_fpu(insn))
                in->uses_fpu = 1;
        }
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
    for (unsigned i = 0; i < count && i < 3; i++) {
        if (insns[i].row == ROW_NONE)
            continue;
        plant_registers(m, &insns[i]);
        aim(m, &insns[i]);
        plant(m, &insns[i]);
    }
    if (in->uses_fpu)
        state_fpu(r, in->registers.fx);
}

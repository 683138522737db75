/* See block_plan.h: instructions with memory operands whose addresses are known beforehand. */
#include "block_plan.h"

#include <string.h>

/* ---- where to ---- */

bool block_reaches_data(uint16_t selector, bool wide)
{
    switch (selector) {
    case SELECTOR_USER_DATA:
        return wide;
    case SELECTOR_LDT(LDT_DATA32):
    case SELECTOR_LDT(LDT_DATA16):
    case SELECTOR_LDT(LDT_ODD):
    case SELECTOR_LDT(LDT_PAGES):
        return true;
    default:
        return false;
    }
}

static uint32_t good_target(struct block_plan *b, unsigned size, bool written, uint16_t selector)
{
    struct random *r = &b->m->random;
    bool flat = selector == SELECTOR_USER_DATA;
    uint32_t target;

    switch (random_below(r, 16)) {
    case 0: /* over the boundary of two pages */
        target = ARENA_DATA + 0x1000 - random_below(r, size + 1);
        break;
    case 1:
        target =
            (selector == SELECTOR_LDT(LDT_ODD) ? ARENA_DATA + 0x800 : ARENA_DATA + 0xf000) + random_below(r, 0xe00);
        break;
    case 2: /* the read-only page; the code's own pages, but not its bytes */
        if (!written)
            target = ARENA_DATA + (selector == SELECTOR_LDT(LDT_ODD) ? 0 : 0x2000) + 8 + random_below(r, 0xe00);
        else if (flat)
            target = ARENA_CODE + (b->m->in->code_offset + ORACLE_MAX_CODE + random_below(r, 0x1000)) % 0x1c00;
        else
            target = ARENA_DATA + 8 + random_below(r, 0x1c00);
        break;
    case 3:
    case 4:
    case 5:
        target = ARENA_DATA + 8 + random_below(r, 0x1d00);
        break;
    default:
        target = b->slots[random_below(r, BLOCK_SLOTS)];
        if (random_percent(r, 30))
            target += random_below(r, 16);
        break;
    }
    uint32_t align = size > 16 ? 16 : size & (size - 1) ? 1 : size;
    if (align && random_percent(r, align == 16 ? 97 : 85))
        target &= ~(align - 1);
    /* The code itself is for block_add_store() alone. */
    if (target - ARENA_CODE - b->m->in->code_offset + 512 < ORACLE_MAX_CODE + 512)
        target = ARENA_DATA + 0x400;
    return target;
}

static uint32_t bad_target(struct block_plan *b, unsigned size, bool written, uint16_t selector, bool wide)
{
    struct random *r = &b->fault_random;
    uint32_t part = size ? random_below(r, size) : 0, base = segment_base(selector), target;

    switch (random_below(r, written ? 7 : 5)) {
    case 0: /* the hole */
        target = ARENA_DATA + 0x3000 + random_below(r, 0xff0);
        break;
    case 1: /* from mapped memory into it */
        target = ARENA_DATA + 0x5000 - part;
        break;
    case 2:
        target = ARENA_DATA + 0x3000 - part;
        break;
    case 3: /* the segment's end */
        target = base + (selector == SELECTOR_LDT(LDT_ODD) ? 0x1ff3 : 0x10000) - part;
        if (selector == SELECTOR_USER_DATA || (!wide && part == 0))
            target = ARENA_DATA + 0x11000 - part;
        break;
    case 4:
        target = ARENA_DATA - (base ? 0 : size ? 1 + part : 1);
        if (base)
            target = ARENA_DATA + 0x6000 + part;
        break;
    default: /* read-only, or from writable memory into it */
        target = ARENA_DATA + 0x2000 + (random_percent(r, 50) ? random_below(r, 0xf00) : 0u - part);
        break;
    }
    if (size >= 16 && random_percent(r, 75))
        target &= ~15u;
    return target;
}

uint32_t block_choose_target(struct block_plan *b, unsigned size, bool written, uint16_t selector, bool wide)
{
    uint32_t target = good_target(b, size, written, selector);

    if (++b->accesses == b->fault_at)
        target = bad_target(b, size, written, selector, wide);
    return target;
}

/* ---- an instruction ---- */

struct candidate {
    uint8_t code[16];
    unsigned length;
    struct decoded_instruction insn;
    ZydisDecodedInstruction z;
    ZydisDecodedOperand operands[ZYDIS_MAX_OPERAND_COUNT];
};

static bool decode_candidate(struct block_plan *b, struct candidate *c)
{
    struct generator *g = b->m->g;
    enum decode_status status;

    if (generator_check(g, c->code, 15, b->code32, 0x1000, &c->insn, &status) || status != DECODE_OK)
        return false;
    c->length = c->insn.length;
    return ZYAN_SUCCESS(ZydisDecoderDecodeFull(b->code32 ? &g->full32 : &g->full16, c->code, 15, &c->z, c->operands));
}

/* General registers that C writes; ESP not where it is the stack pointer at work. */
static unsigned registers_written(const struct candidate *c)
{
    bool stack = instruction_table[c->insn.row].attributes & ATTR_STACK;
    unsigned written = 0;

    for (unsigned i = 0; i < c->z.operand_count; i++) {
        const ZydisDecodedOperand *o = &c->operands[i];

        if (o->type != ZYDIS_OPERAND_TYPE_REGISTER || !(o->actions & ZYDIS_OPERAND_ACTION_MASK_WRITE))
            continue;
        ZydisRegister whole = ZydisRegisterGetLargestEnclosing(ZYDIS_MACHINE_MODE_LEGACY_32, o->reg.value);
        if (whole < ZYDIS_REGISTER_EAX || whole > ZYDIS_REGISTER_EDI)
            continue;
        unsigned number = (unsigned)(whole - ZYDIS_REGISTER_EAX);
        if (number == GPR_SP && stack && o->visibility == ZYDIS_OPERAND_VISIBILITY_HIDDEN)
            continue;
        written |= 1u << number;
    }
    return written;
}

/* Where flags and partial registers live. */
static uint16_t common_row(struct random *r)
{
    static const uint16_t rows[] = {ROW_ADD,   ROW_OR,   ROW_ADC,  ROW_SBB,  ROW_AND,  ROW_SUB, ROW_XOR,  ROW_CMP,
                                    ROW_TEST,  ROW_MOV,  ROW_MOV,  ROW_INC,  ROW_DEC,  ROW_NEG, ROW_NOT,  ROW_SHL,
                                    ROW_SHR,   ROW_SAR,  ROW_ROL,  ROW_ROR,  ROW_RCL,  ROW_RCR, ROW_LEA,  ROW_MOVZX,
                                    ROW_MOVSX, ROW_XCHG, ROW_PUSH, ROW_POP,  ROW_IMUL, ROW_MUL, ROW_SHLD, ROW_SHRD,
                                    ROW_LAHF,  ROW_SAHF, ROW_XADD, ROW_BSWAP};

    return rows[random_below(r, ARRAY_SIZE(rows))];
}

/* How often out of a hundred an instruction of ROW is welcome. */
static unsigned welcome(const struct block_plan *b, uint16_t row)
{
    const struct instruction_row *r = &instruction_table[row];
    bool is_float = r->attributes & (ATTR_X87 | ATTR_MMX | ATTR_SSE);

    switch (row) {
    case ROW_FNSAVE: /* their images hold FOP and FDP, which processors of today keep only after exceptions */
    case ROW_FNSTENV:
    case ROW_FXSAVE:
    case ROW_IRET:
    case ROW_IRETD:
    case ROW_LSL: /* of Linux's per-CPU segment; only with the selector in sight is it known not to be */
        return 0;
    case ROW_FRSTOR:
    case ROW_FLDENV:
    case ROW_FXRSTOR:
    case ROW_FLDCW:
    case ROW_LDMXCSR:
    case ROW_DIV:
    case ROW_IDIV:
    case ROW_BOUND:
    case ROW_ENTER:
    case ROW_LEAVE:
    case ROW_XLAT:
    case ROW_MASKMOVQ:
    case ROW_MASKMOVDQU:
    case ROW_POPF:
    case ROW_POPFD:
        return b->integer_only && is_float ? 0 : 20;
    default:
        break;
    }
    if ((r->attributes & (ATTR_BRANCH | ATTR_STRING)) || (is_float && b->integer_only))
        return 0;
    if (r->class != CLASS_INNOCUOUS || (r->attributes & ATTR_ENDS_BLOCK))
        return r->class == CLASS_CRITICAL ? 5 : 1;
    return is_float ? 50 : 100;
}

static const struct operand *memory_operand(const struct candidate *c)
{
    if (c->insn.row == ROW_LEA || c->insn.row == ROW_NOP)
        return NULL;
    for (unsigned i = 0; i < c->insn.operand_count; i++)
        if (c->insn.operands[i].kind == OPERAND_MEMORY)
            return &c->insn.operands[i];
    return NULL;
}

static bool writes_memory(const struct candidate *c)
{
    for (unsigned i = 0; i < c->z.operand_count; i++)
        if (c->operands[i].type == ZYDIS_OPERAND_TYPE_MEMORY &&
            c->operands[i].visibility != ZYDIS_OPERAND_VISIBILITY_HIDDEN &&
            (c->operands[i].actions & ZYDIS_OPERAND_ACTION_MASK_WRITE))
            return true;
    return false;
}

/* ModRM, SIB and displacement instead of the ones in C: one of the plan's registers and a full displacement, or none.
 * The displacement's place is *AT; what the registers add is *REST. */
static bool rewrite_address(struct block_plan *b, struct candidate *c, unsigned *at, unsigned *size, uint32_t *rest)
{
    struct random *r = &b->m->random;
    bool wide = c->insn.address_size == 4;
    uint32_t base = (uint32_t)b->registers->gpr[b->base], index = (uint32_t)b->registers->gpr[b->index];
    uint8_t out[32];
    unsigned n = c->z.raw.modrm.offset, form = random_below(r, 10);
    uint8_t reg = (uint8_t)(c->code[n] & 0x38);

    memcpy(out, c->code, n);
    if (wide) {
        unsigned scale = random_below(r, 4);

        if (form < 3) {
            out[n++] = (uint8_t)(0x80 | reg | b->base);
            *rest = base;
        } else if (form < 6) {
            out[n++] = (uint8_t)(0x80 | reg | b->index);
            *rest = index;
        } else if (form < 8) {
            out[n++] = (uint8_t)(0x80 | reg | 4);
            out[n++] = (uint8_t)(scale << 6 | b->index << 3 | b->base);
            *rest = base + (index << scale);
        } else if (form < 9) {
            out[n++] = (uint8_t)(reg | 4);
            out[n++] = (uint8_t)(scale << 6 | b->index << 3 | 5);
            *rest = index << scale;
        } else {
            out[n++] = (uint8_t)(reg | 5);
            *rest = 0;
        }
    } else {
        if (form < 3) {
            out[n++] = (uint8_t)(0x80 | reg | (b->base == GPR_BX ? 7 : 6));
            *rest = base;
        } else if (form < 6) {
            out[n++] = (uint8_t)(0x80 | reg | (b->index == GPR_SI ? 4 : 5));
            *rest = index;
        } else if (form < 9) {
            out[n++] = (uint8_t)(0x80 | reg | (b->base == GPR_BX ? 0 : 2) | (b->index == GPR_DI));
            *rest = base + index;
        } else {
            out[n++] = (uint8_t)(reg | 6);
            *rest = 0;
        }
    }
    *at = n;
    *size = wide ? 4 : 2;
    memset(out + n, 0, 4);
    n += *size;
    for (unsigned i = 0; i < 2; i++) {
        memcpy(out + n, c->code + c->z.raw.imm[i].offset, c->z.raw.imm[i].size / 8);
        n += c->z.raw.imm[i].size / 8;
    }
    if (n > 15)
        return false;
    memset(c->code, 0, sizeof c->code);
    memcpy(c->code, out, n);
    return true;
}

/* [base] and [base + disp8] instead of a full displacement at AT: what they point to is mapped as well. */
static void shorten_address(struct block_plan *b, struct candidate *c)
{
    struct random *r = &b->m->random;
    bool wanted = random_percent(r, 35), none = random_percent(r, 30) && b->base != GPR_BP;
    uint8_t displacement = (uint8_t)random_next(r), code[16];
    unsigned at = c->z.raw.modrm.offset, old = at + 5, new = at + (none ? 1 : 2);

    if (!wanted || c->insn.address_size != 4 || (c->code[at] & 0xc7) != (0x80 | b->base) || b->accesses == b->fault_at)
        return;
    memcpy(code, c->code, sizeof code);
    c->code[at] = (uint8_t)((code[at] & 0x38) | (none ? 0 : 0x40) | b->base);
    c->code[at + 1] = displacement;
    memcpy(c->code + new, code + old, c->length - old);
    c->length -= old - new;
}

static bool aim_candidate(struct block_plan *b, struct candidate *c, struct piece *piece)
{
    struct random *r = &b->m->random;
    const struct operand *o = memory_operand(c);
    unsigned at, size;
    uint32_t rest;
    uint16_t row = c->insn.row;

    if (!o)
        return true;
    if (c->insn.has_modrm) {
        if (!rewrite_address(b, c, &at, &size, &rest) || !decode_candidate(b, c) || c->insn.row != row)
            return false;
        o = memory_operand(c);
        if (!o)
            return false;
    } else if (c->z.raw.disp.size) { /* MOV with an offset */
        at = c->z.raw.disp.offset;
        size = c->z.raw.disp.size / 8;
        rest = 0;
    } else {
        return random_percent(r, 20); /* implied */
    }
    uint16_t selector = b->registers->segment[o->segment];
    bool wide = c->insn.address_size == 4, written = writes_memory(c);
    if (o->segment == ORACLE_CS ? !random_percent(r, written ? 3 : 30)
                                : !block_reaches_data(selector, wide) && !random_percent(r, 5))
        return false;
    if ((row == ROW_BT || row == ROW_BTS || row == ROW_BTR || row == ROW_BTC) &&
        c->insn.operands[1].kind == OPERAND_GPR && !random_percent(r, 20))
        return false;
    /* Into code: only where it cannot become something that is never run. */
    if (written && selector == SELECTOR_USER_DATA && wide && b->victim_count && o->size && o->size <= 4 &&
        random_percent(r, 6)) {
        const struct victim *v = &b->victims[random_below(r, b->victim_count)];

        if (v->size >= o->size) {
            piece->kind = FIELD_LINEAR;
            piece->field = (uint8_t)at;
            piece->field_size = (uint8_t)size;
            piece->to = v->piece;
            piece->within = (uint8_t)(v->at + random_below(r, v->size - o->size + 1u));
            piece->bias = rest;
            return true;
        }
    }
    uint32_t displacement = block_choose_target(b, o->size ? o->size : 16, written, selector, wide);
    displacement -= segment_base(selector) + rest;
    memcpy(c->code + at, &displacement, size);
    if (c->insn.has_modrm)
        shorten_address(b, c);
    return true;
}

bool block_add_random(struct block_plan *b)
{
    struct making *m = b->m;
    struct random *r = &m->random;
    struct candidate c;

    for (unsigned tries = 0; tries < 100; tries++) {
        bool common = !m->g->no_arbitrary && random_percent(r, 40);
        uint16_t row = common ? common_row(r) : m->g->rows[random_below(r, m->g->row_count)];
        struct piece piece = {.to = PIECE_NONE};

        if (!generator_template_count(m->g, row, m->mode) || !random_percent(r, welcome(b, row)))
            continue;
        put_random_instruction(m, row, c.code);
        if (!decode_candidate(b, &c) || c.insn.row != row)
            continue;
        if ((registers_written(&c) & b->reserved) && !random_percent(r, 1))
            continue;
        bool stack = instruction_table[row].attributes & ATTR_STACK;
        if (stack && b->no_stack && !random_percent(r, 10))
            continue;
        unsigned accesses = b->accesses;
        if (!aim_candidate(b, &c, &piece)) {
            b->accesses = accesses;
            continue;
        }
        struct piece *added = block_add(b, c.code, c.length);
        if (!added)
            return false;
        added->kind = piece.kind;
        added->field = piece.field;
        added->field_size = piece.field_size;
        added->to = piece.to;
        added->within = piece.within;
        added->bias = piece.bias;
        b->stack_accesses += stack;
        note_instruction(m, &c.insn);
        if (!b->first_row) {
            b->first_row = row;
            b->first_operand_size = c.insn.operand_size;
        }
        return true;
    }
    return false;
}

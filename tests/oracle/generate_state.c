/* The state that a case starts in: segments, registers, aimed operands, planted stacks and pointers. */
#include "generate_parts.h"

#include <string.h>

void choose_segments(struct making *m)
{
    static const uint16_t data[] = {SELECTOR_LDT(LDT_DATA32),
                                    SELECTOR_LDT(LDT_DATA16),
                                    SELECTOR_LDT(LDT_READ_ONLY),
                                    SELECTOR_LDT(LDT_DOWN32),
                                    SELECTOR_LDT(LDT_DOWN16),
                                    SELECTOR_LDT(LDT_ODD),
                                    SELECTOR_LDT(LDT_PAGES),
                                    SELECTOR_LDT(LDT_CODE32),
                                    SELECTOR_LDT(LDT_CODE16),
                                    SELECTOR_LDT(LDT_DOWN_ODD16),
                                    0,
                                    SELECTOR_USER_DATA};
    static const uint16_t stack[] = {SELECTOR_LDT(LDT_DATA32), SELECTOR_LDT(LDT_DATA16),     SELECTOR_LDT(LDT_DATA16),
                                     SELECTOR_LDT(LDT_DOWN32), SELECTOR_LDT(LDT_DOWN16),     SELECTOR_LDT(LDT_ODD),
                                     SELECTOR_LDT(LDT_PAGES),  SELECTOR_LDT(LDT_DOWN_ODD16), SELECTOR_USER_DATA};
    static const uint16_t code32[] = {SELECTOR_LDT(LDT_CODE32), SELECTOR_LDT(LDT_EXECUTE32),
                                      SELECTOR_LDT(LDT_CODE32_ODD), SELECTOR_LDT(LDT_CODE32_SHORT)};
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

void choose_registers(struct making *m)
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
    unsigned seg = instruction_table[insn->row].attributes & ATTR_STACK
                       ? (unsigned)ORACLE_SS
                       : insn->operands[insn->operand_count - 1].segment;
    linear += segment_base(regs->segment[seg]);
    uint32_t offset = oracle_arena_offset(linear);
    if (offset == UINT32_MAX || offset + ORACLE_PATCH_BYTES > ARENA_SIZE_BYTES ||
        m->in->patch_count >= ORACLE_MAX_PATCHES)
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
        uint32_t flags =
            (uint32_t)random_next(r) & (FLAG_ARITHMETIC | FLAG_DF | FLAG_AC | FLAG_ID | 0x00ff8000 | FLAG_TF);

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

uint32_t choose_place(struct random *r, uint16_t cs)
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

void prepare_instruction(struct making *m, const struct decoded_instruction *insn)
{
    plant_registers(m, insn);
    aim(m, insn);
    plant(m, insn);
}

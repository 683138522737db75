/* Byte emission. See emit.h. */
#include "backend-x86_64/emit.h"

#include <string.h>

void emit_byte(struct emitter *e, unsigned value)
{
    if (e->position >= e->end) {
        e->overflow = true;
        return;
    }
    e->writable[e->position++] = (uint8_t)value;
}

void emit_32(struct emitter *e, uint32_t value)
{
    for (unsigned i = 0; i < 4; i++)
        emit_byte(e, value >> (8 * i) & 0xff);
}

void emit_64(struct emitter *e, uint64_t value)
{
    emit_32(e, (uint32_t)value);
    emit_32(e, (uint32_t)(value >> 32));
}

static bool is_high(unsigned reg)
{
    return reg >= HOST_AH && reg <= HOST_BH;
}

/* Register number as it goes into ModRM. */
static unsigned field_of(unsigned reg)
{
    return is_high(reg) ? reg - HOST_AH + 4 : reg & 7;
}

static bool extended(unsigned reg)
{
    return reg != NO_REGISTER && !is_high(reg) && reg >= 8;
}

/* SPL, BPL, SIL, DIL exist only behind a REX prefix. */
static bool needs_rex_as_byte(unsigned reg)
{
    return reg >= RSP && reg <= RDI;
}

static void emit_modrm(struct emitter *e, unsigned reg, const struct operand_rm *rm)
{
    unsigned r = field_of(reg) << 3;

    if (!rm->memory) {
        emit_byte(e, 0xc0 | r | field_of(rm->reg));
        return;
    }
    if (rm->base == NO_REGISTER) { /* [index*scale + disp32] or [disp32]: mod 0, base field 5 */
        emit_byte(e, r | 4);
        emit_byte(e, (unsigned)rm->scale << 6 | (rm->index == NO_REGISTER ? 4u : rm->index & 7u) << 3 | 5);
        emit_32(e, (uint32_t)rm->displacement);
        return;
    }
    unsigned mod = rm->displacement == 0 && (rm->base & 7) != 5             ? 0u
                   : rm->displacement >= -128 && rm->displacement <= 127 ? 1u
                                                                         : 2u;
    if (rm->index != NO_REGISTER || (rm->base & 7) == 4) {
        emit_byte(e, mod << 6 | r | 4);
        emit_byte(e, (unsigned)rm->scale << 6 | (rm->index == NO_REGISTER ? 4u : rm->index & 7u) << 3 | (rm->base & 7u));
    } else {
        emit_byte(e, mod << 6 | r | (rm->base & 7u));
    }
    if (mod == 1)
        emit_byte(e, (uint8_t)rm->displacement);
    else if (mod == 2)
        emit_32(e, (uint32_t)rm->displacement);
}

void emit_op_mixed(struct emitter *e, unsigned reg_width, unsigned rm_width, unsigned opcode, unsigned reg,
                   struct operand_rm rm)
{
    unsigned rex = 0;

    if (opcode & EMIT_LOCK)
        emit_byte(e, 0xf0);
    if (reg_width == 2)
        emit_byte(e, 0x66);
    if (reg_width == 8)
        rex |= 0x48;
    if (extended(reg))
        rex |= 0x44;
    if (rm.memory) {
        if (extended(rm.base))
            rex |= 0x41;
        if (extended(rm.index))
            rex |= 0x42;
    } else {
        if (extended(rm.reg))
            rex |= 0x41;
        if (rm_width == 1 && needs_rex_as_byte(rm.reg))
            rex |= 0x40;
    }
    if (reg_width == 1 && needs_rex_as_byte(reg) && reg != NO_REGISTER)
        rex |= 0x40;
    if (rex)
        emit_byte(e, rex);
    if (opcode & 0xff00)
        emit_byte(e, 0x0f);
    emit_byte(e, opcode & 0xff);
    emit_modrm(e, reg, &rm);
}

void emit_op(struct emitter *e, unsigned width, unsigned opcode, unsigned reg, struct operand_rm rm)
{
    emit_op_mixed(e, width, width, opcode, reg, rm);
}

/* An extension is no byte register that would ask for REX. */
void emit_op_extension(struct emitter *e, unsigned width, unsigned opcode, unsigned extension, struct operand_rm rm)
{
    if (width == 1)
        emit_op_mixed(e, 4, 1, opcode, extension, rm);
    else
        emit_op(e, width, opcode, extension, rm);
}

void emit_plus_register(struct emitter *e, unsigned width, unsigned opcode, unsigned reg)
{
    unsigned rex = (width == 8 ? 0x48u : 0u) | (extended(reg) ? 0x41u : 0u);

    if (width == 2)
        emit_byte(e, 0x66);
    if (width == 1 && needs_rex_as_byte(reg))
        rex |= 0x40;
    if (rex)
        emit_byte(e, rex);
    if (opcode & 0xff00)
        emit_byte(e, 0x0f);
    emit_byte(e, (opcode & 0xff) + field_of(reg));
}

static void emit_immediate(struct emitter *e, unsigned width, int32_t value)
{
    for (unsigned i = 0; i < (width > 4 ? 4 : width); i++)
        emit_byte(e, (uint32_t)value >> (8 * i) & 0xff);
}

void emit_alu_immediate(struct emitter *e, unsigned width, unsigned number, struct operand_rm rm, int32_t value, bool lock)
{
    unsigned prefix = lock ? EMIT_LOCK : 0;

    if (width == 2)
        value = (int16_t)value;
    if (width == 1) {
        emit_op_extension(e, 1, 0x80 | prefix, number, rm);
        emit_byte(e, (uint8_t)value);
    } else if (value >= -128 && value <= 127) {
        emit_op(e, width, 0x83 | prefix, number, rm);
        emit_byte(e, (uint8_t)value);
    } else {
        emit_op(e, width, 0x81 | prefix, number, rm);
        emit_immediate(e, width, value);
    }
}

void emit_mov(struct emitter *e, unsigned width, unsigned to, unsigned from)
{
    emit_op(e, width, width == 1 ? 0x88 : 0x89, from, rm_register(to));
}

void emit_load(struct emitter *e, unsigned width, unsigned to, struct operand_rm from)
{
    emit_op(e, width, width == 1 ? 0x8a : 0x8b, to, from);
}

void emit_store(struct emitter *e, unsigned width, struct operand_rm to, unsigned from)
{
    emit_op(e, width, width == 1 ? 0x88 : 0x89, from, to);
}

void emit_mov_immediate(struct emitter *e, unsigned width, unsigned to, uint64_t value)
{
    if (width == 8 && value <= UINT32_MAX)
        width = 4;
    if (width == 8 && (int64_t)value == (int32_t)value) {
        emit_op(e, 8, 0xc7, 0, rm_register(to));
        emit_32(e, (uint32_t)value);
        return;
    }
    emit_plus_register(e, width, width == 1 ? 0xb0 : 0xb8, to);
    if (width == 8)
        emit_64(e, value);
    else
        emit_immediate(e, width, (int32_t)value);
}

void emit_store_immediate(struct emitter *e, unsigned width, struct operand_rm to, int32_t value)
{
    emit_op_extension(e, width, width == 1 ? 0xc6 : 0xc7, 0, to);
    emit_immediate(e, width, value);
}

void emit_lea(struct emitter *e, unsigned width, unsigned to, struct operand_rm address)
{
    emit_op(e, width, 0x8d, to, address);
}

void emit_jmp(struct emitter *e, uint32_t target)
{
    emit_byte(e, 0xe9);
    emit_32(e, target - (e->position + 4));
}

void emit_jcc(struct emitter *e, unsigned condition, uint32_t target)
{
    emit_byte(e, 0x0f);
    emit_byte(e, 0x80 + condition);
    emit_32(e, target - (e->position + 4));
}

void emit_call(struct emitter *e, uint32_t target)
{
    emit_byte(e, 0xe8);
    emit_32(e, target - (e->position + 4));
}

uint32_t emit_jmp_forward(struct emitter *e)
{
    emit_byte(e, 0xe9);
    emit_32(e, 0);
    return e->position - 4;
}

uint32_t emit_jcc_forward(struct emitter *e, unsigned condition)
{
    emit_byte(e, 0x0f);
    emit_byte(e, 0x80 + condition);
    emit_32(e, 0);
    return e->position - 4;
}

uint32_t emit_jcc_short(struct emitter *e, unsigned condition)
{
    emit_byte(e, 0x70 + condition);
    emit_byte(e, 0);
    return e->position - 1;
}

uint32_t emit_jrcxz_short(struct emitter *e, bool address32)
{
    if (address32)
        emit_byte(e, 0x67);
    emit_byte(e, 0xe3);
    emit_byte(e, 0);
    return e->position - 1;
}

void emit_patch(struct emitter *e, uint32_t field, uint32_t target)
{
    uint32_t distance = target - (field + 4);

    if (!e->overflow)
        memcpy(e->writable + field, &distance, 4);
}

void emit_patch_short(struct emitter *e, uint32_t field, uint32_t target)
{
    int32_t distance = (int32_t)(target - (field + 1));

    if (distance < -128 || distance > 127)
        e->overflow = true; /* the block is given up: nothing is emitted that far apart */
    if (!e->overflow)
        e->writable[field] = (uint8_t)distance;
}

void emit_align_field(struct emitter *e, unsigned bytes)
{
    static const uint8_t nops[4][3] = {{0}, {0x90}, {0x66, 0x90}, {0x0f, 0x1f, 0x00}};
    unsigned pad = (4 - ((e->position + bytes) & 3)) & 3;

    for (unsigned i = 0; i < pad; i++)
        emit_byte(e, nops[pad][i]);
}

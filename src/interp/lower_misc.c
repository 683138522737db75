/* Flag instructions, BCD, XLAT, conversions, NOP, SALC. */
#include "interp/alu.h"
#include "interp/lower.h"

/* ---- CLC STC CMC CLD STD LAHF SAHF ---- */

static const struct op *clc_handler(struct vcpu *cpu, const struct op *op)
{
    cpu->state.arithmetic_flags &= (uint16_t)~0x100;
    NEXT();
}
static const struct op *stc_handler(struct vcpu *cpu, const struct op *op)
{
    cpu->state.arithmetic_flags |= 0x100;
    NEXT();
}
static const struct op *cmc_handler(struct vcpu *cpu, const struct op *op)
{
    cpu->state.arithmetic_flags ^= 0x100;
    NEXT();
}
static const struct op *cld_handler(struct vcpu *cpu, const struct op *op)
{
    cpu->state.system_flags &= ~FLAG_DF;
    NEXT();
}
static const struct op *std_handler(struct vcpu *cpu, const struct op *op)
{
    cpu->state.system_flags |= FLAG_DF;
    NEXT();
}

void interp_lower_flag(struct lowering *l)
{
    static op_handler *const handlers[] = {clc_handler, stc_handler, cmc_handler, cld_handler, std_handler};

    l->op->handler = handlers[l->insn->row - ROW_CLC];
}

static const struct op *lahf_handler(struct vcpu *cpu, const struct op *op)
{
    REG8(GPR_AX * 8 + 1) = (uint8_t)(cpu->state.arithmetic_flags >> 8) | 2;
    NEXT();
}
void interp_lower_lahf(struct lowering *l)
{
    l->op->handler = lahf_handler;
}

static const struct op *sahf_handler(struct vcpu *cpu, const struct op *op)
{
    cpu->state.arithmetic_flags =
        (uint16_t)((cpu->state.arithmetic_flags & 1) | ((REG8(GPR_AX * 8 + 1) & 0xd5) << 8) | 0x200);
    NEXT();
}
void interp_lower_sahf(struct lowering *l)
{
    l->op->handler = sahf_handler;
}

/* ---- BCD: gone from 64-bit mode, so in C, after SDM vol. 2. Undefined flags as Intel processors leave them. ---- */

static uint16_t flags_of_byte(uint8_t value)
{
    uint16_t flags;

    __asm__("testb %1, %1" TAKE_FLAGS : "=&a"(flags) : "r"(value) : "cc");
    return flags;
}

#define PACKED_CF 0x0100u
#define PACKED_AF 0x1000u

static void decimal_adjust(struct vcpu *cpu, bool subtract)
{
    uint8_t al = REG8(GPR_AX * 8), old = al;
    bool af = cpu->state.arithmetic_flags & PACKED_AF, cf = cpu->state.arithmetic_flags & PACKED_CF;
    bool low = (al & 0x0f) > 9 || af, high = old > 0x99 || cf, carry = false;

    if (low) {
        carry = cf || (subtract ? al < 6 : al > 0xf9);
        al = subtract ? al - 6 : al + 6;
    }
    if (high) {
        al = subtract ? al - 0x60 : al + 0x60;
        carry = true;
    }
    REG8(GPR_AX * 8) = al;
    cpu->state.arithmetic_flags = (uint16_t)(flags_of_byte(al) | (low ? PACKED_AF : 0) | (carry ? PACKED_CF : 0));
}

static const struct op *daa_handler(struct vcpu *cpu, const struct op *op)
{
    decimal_adjust(cpu, false);
    NEXT();
}
static const struct op *das_handler(struct vcpu *cpu, const struct op *op)
{
    decimal_adjust(cpu, true);
    NEXT();
}

static void ascii_adjust(struct vcpu *cpu, int sign)
{
    uint16_t ax = REG16(GPR_AX * 8);
    bool adjust = (ax & 0x0f) > 9 || (cpu->state.arithmetic_flags & PACKED_AF);

    if (adjust)
        ax = (uint16_t)(ax + sign * 0x106);
    ax &= 0xff0f;
    REG16(GPR_AX * 8) = ax;
    cpu->state.arithmetic_flags = (uint16_t)(flags_of_byte((uint8_t)ax) | (adjust ? PACKED_AF | PACKED_CF : 0));
}

static const struct op *aaa_handler(struct vcpu *cpu, const struct op *op)
{
    ascii_adjust(cpu, 1);
    NEXT();
}
static const struct op *aas_handler(struct vcpu *cpu, const struct op *op)
{
    ascii_adjust(cpu, -1);
    NEXT();
}
static const struct op *aam_handler(struct vcpu *cpu, const struct op *op)
{
    uint8_t al = REG8(GPR_AX * 8), base = (uint8_t)op->immediate;

    if (base == 0)
        return interp_raise(cpu, op, EXC_DE);
    REG16(GPR_AX * 8) = (uint16_t)((al / base) << 8 | al % base);
    cpu->state.arithmetic_flags = flags_of_byte(al % base);
    NEXT();
}
static const struct op *aad_handler(struct vcpu *cpu, const struct op *op)
{
    uint16_t ax = REG16(GPR_AX * 8);
    uint8_t al = (uint8_t)ax, product = (uint8_t)((ax >> 8) * (uint8_t)op->immediate);
    uint16_t flags;

    /* The flags of the final byte addition, carry included, as processors have it. */
    __asm__("addb %2, %1" TAKE_FLAGS : "=&a"(flags), "+&r"(al) : "r"(product) : "cc");
    REG16(GPR_AX * 8) = al;
    cpu->state.arithmetic_flags = flags;
    NEXT();
}

void interp_lower_bcd(struct lowering *l)
{
    static op_handler *const handlers[] = {daa_handler, das_handler, aaa_handler, aas_handler, aam_handler, aad_handler};

    l->op->handler = handlers[l->insn->row - ROW_DAA];
    if (l->insn->operand_count)
        l->op->immediate = (uint64_t)l->insn->operands[0].value & 0xff;
}

/* ---- XLAT ---- */

always_inline const struct op *xlat_body(BODY_PARAMETERS, const enum ea_form form)
{
    uint32_t offset = form == EA_SEG16 ? (uint16_t)(REG16(GPR_BX * 8) + REG8(GPR_AX * 8))
                                       : REG32(GPR_BX * 8) + REG8(GPR_AX * 8);
    uint64_t linear;
    uint8_t value;

    CHECKED_ADDRESS(linear, form, op->segment, offset, 1, false);
    LOAD(value, linear, 1);
    REG8(GPR_AX * 8) = value;
    NEXT();
}
DEFINE_MEMORY_HANDLERS(xlat, xlat_body)

void interp_lower_xlat(struct lowering *l)
{
    static op_handler *const handlers[EA_FORM_COUNT] = MEMORY_HANDLERS(xlat);
    uint8_t segment = SEG_DS;

    for (unsigned i = 0; i < l->insn->operand_count; i++)
        if (l->insn->operands[i].kind == OPERAND_MEMORY)
            segment = l->insn->operands[i].segment;
    l->op->segment = segment;
    if (l->insn->address_size == 2)
        l->op->handler = handlers[EA_SEG16];
    else
        l->op->handler = handlers[MODE_SHAPE(l->mode, segment) == SHAPE_FLAT ? EA_FLAT_BASE : EA_SEG32];
}

/* ---- CBW CWDE CWD CDQ ---- */

static const struct op *cbw_handler(struct vcpu *cpu, const struct op *op)
{
    REG16(GPR_AX * 8) = (uint16_t)(int8_t)REG8(GPR_AX * 8);
    NEXT();
}
static const struct op *cwde_handler(struct vcpu *cpu, const struct op *op)
{
    SET_REG32(GPR_AX * 8, (int16_t)REG16(GPR_AX * 8));
    NEXT();
}
static const struct op *cwd_handler(struct vcpu *cpu, const struct op *op)
{
    REG16(GPR_DX * 8) = (int16_t)REG16(GPR_AX * 8) < 0 ? 0xffff : 0;
    NEXT();
}
static const struct op *cdq_handler(struct vcpu *cpu, const struct op *op)
{
    SET_REG32(GPR_DX * 8, (int32_t)REG32(GPR_AX * 8) >> 31);
    NEXT();
}

void interp_lower_convert(struct lowering *l)
{
    static op_handler *const handlers[] = {cbw_handler, cwde_handler, cwd_handler, cdq_handler};

    l->op->handler = handlers[l->insn->row - ROW_CBW];
}

static const struct op *nop_handler(struct vcpu *cpu, const struct op *op)
{
    NEXT();
}
void interp_lower_nop(struct lowering *l)
{
    l->op->handler = nop_handler;
}

static const struct op *salc_handler(struct vcpu *cpu, const struct op *op)
{
    REG8(GPR_AX * 8) = cpu->state.arithmetic_flags & 0x100 ? 0xff : 0;
    NEXT();
}
void interp_lower_salc(struct lowering *l)
{
    l->op->handler = salc_handler;
}

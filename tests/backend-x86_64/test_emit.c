/* Every form that emit.c makes, taken apart again by Zydis: opcode, registers, widths, addresses, immediates; and that
 * it is the short form where there is one. */
#include "disassembly.h"

static uint8_t buffer[64];

static struct emitter fresh(void)
{
    memset(buffer, 0xcc, sizeof buffer);
    return (struct emitter){.writable = buffer, .end = sizeof buffer};
}

static bool is_high(unsigned reg)
{
    return reg >= HOST_AH && reg <= HOST_BH;
}

/* What was emitted is one instruction and nothing behind it. */
static struct disassembly only(const struct emitter *e, ZydisMnemonic mnemonic)
{
    assert_false(e->overflow);
    struct disassembly d = disassemble(buffer, sizeof buffer, 0);
    if (d.insn.mnemonic != mnemonic || d.insn.length != e->position)
        fail_msg("is '%s', %u bytes of %u; should be %s", d.text, d.insn.length, e->position,
                 ZydisMnemonicGetString(mnemonic));
    return d;
}

static void expect_register(const struct disassembly *d, unsigned operand, unsigned reg, unsigned width)
{
    const ZydisDecodedOperand *o = &d->operands[operand];

    if (o->type != ZYDIS_OPERAND_TYPE_REGISTER || o->reg.value != zydis_register(reg, width))
        fail_msg("'%s': operand %u should be %s", d->text, operand, ZydisRegisterGetString(zydis_register(reg, width)));
}

static void expect_rm(const struct disassembly *d, unsigned operand, struct operand_rm rm, unsigned width)
{
    const ZydisDecodedOperand *o = &d->operands[operand];

    if (!rm.memory) {
        expect_register(d, operand, rm.reg, width);
        return;
    }
    bool ok = o->type == ZYDIS_OPERAND_TYPE_MEMORY && o->mem.base == zydis_register(rm.base, 8) &&
              o->mem.index == zydis_register(rm.index, 8) && o->mem.disp.value == rm.displacement &&
              (rm.index == NO_REGISTER || o->mem.scale == 1u << rm.scale) &&
              (d->insn.mnemonic == ZYDIS_MNEMONIC_LEA || o->size == 8 * width) && d->insn.address_width == 64;
    if (!ok)
        fail_msg("'%s': memory operand should be %u bytes at base %d index %d scale %d displacement %d", d->text, width,
                 rm.base, rm.index, rm.scale, rm.displacement);
}

static void expect_immediate(const struct disassembly *d, unsigned operand, int64_t value, unsigned width)
{
    const ZydisDecodedOperand *o = &d->operands[operand];
    uint64_t mask = width == 8 ? ~0ull : (1ull << 8 * width) - 1;

    if (o->type != ZYDIS_OPERAND_TYPE_IMMEDIATE || ((o->imm.value.u ^ (uint64_t)value) & mask))
        fail_msg("'%s': operand %u should be %lld", d->text, operand, (long long)value);
}

static bool takes_rex(unsigned reg, unsigned width)
{
    return reg != NO_REGISTER && !is_high(reg) && (reg >= R8 || width == 8 || (width == 1 && reg >= RSP));
}

static bool rm_takes_rex(struct operand_rm rm, unsigned width)
{
    if (!rm.memory)
        return takes_rex(rm.reg, width);
    return takes_rex(rm.base, 4) || takes_rex(rm.index, 4);
}

/* ---- all registers and addresses ---- */

typedef void visit_fn(void *opaque, struct operand_rm rm);

static void each_register(unsigned width, visit_fn *visit, void *opaque)
{
    for (unsigned r = RAX; r <= (width == 1 ? HOST_BH : R15); r++)
        visit(opaque, rm_register(r));
}

static void each_memory(visit_fn *visit, void *opaque)
{
    static const int32_t displacements[] = {0, 1, -1, 127, 128, -128, -129, 0x1000, INT32_MAX, INT32_MIN};

    for (unsigned i = 0; i < sizeof displacements / sizeof displacements[0]; i++) {
        int32_t displacement = displacements[i];

        for (unsigned base = RAX; base <= R15 + 1; base++) {
            unsigned b = base > R15 ? NO_REGISTER : base;

            if (b != NO_REGISTER)
                visit(opaque, rm_base(b, displacement));
            for (unsigned index = RAX; index <= R15; index++) {
                if (index == RSP)
                    continue;
                for (unsigned scale = 0; scale < 4; scale++)
                    visit(opaque, rm_indexed(b, index, scale, displacement));
            }
        }
        visit(opaque, rm_indexed(NO_REGISTER, NO_REGISTER, 0, displacement));
    }
}

struct form {
    unsigned width, reg;
    unsigned opcode, rm_operand, reg_operand;
    ZydisMnemonic mnemonic;
    unsigned reg_width;
};

static void check_form(void *opaque, struct operand_rm rm)
{
    const struct form *f = opaque;
    struct emitter e = fresh();

    if (is_high(f->reg) && rm_takes_rex(rm, f->width))
        return;
    if (!rm.memory && is_high(rm.reg) && takes_rex(f->reg, f->reg_width))
        return;
    emit_op_mixed(&e, f->reg_width, f->width, f->opcode, f->reg, rm);
    struct disassembly d = only(&e, f->mnemonic);
    expect_rm(&d, f->rm_operand, rm, f->width);
    expect_register(&d, f->reg_operand, f->reg, f->reg_width);
}

static const unsigned widths[] = {1, 2, 4, 8};

static void test_two_operands(void **state)
{
    static const struct {
        unsigned byte_opcode, opcode, rm_operand;
        ZydisMnemonic mnemonic;
    } ops[] = {
        {0x00, 0x01, 0, ZYDIS_MNEMONIC_ADD},         {0x02, 0x03, 1, ZYDIS_MNEMONIC_ADD},
        {0x08, 0x09, 0, ZYDIS_MNEMONIC_OR},          {0x10, 0x11, 0, ZYDIS_MNEMONIC_ADC},
        {0x1a, 0x1b, 1, ZYDIS_MNEMONIC_SBB},         {0x20, 0x21, 0, ZYDIS_MNEMONIC_AND},
        {0x28, 0x29, 0, ZYDIS_MNEMONIC_SUB},         {0x32, 0x33, 1, ZYDIS_MNEMONIC_XOR},
        {0x38, 0x39, 0, ZYDIS_MNEMONIC_CMP},         {0x84, 0x85, 0, ZYDIS_MNEMONIC_TEST},
        {0x86, 0x87, 0, ZYDIS_MNEMONIC_XCHG},        {0x88, 0x89, 0, ZYDIS_MNEMONIC_MOV},
        {0x8a, 0x8b, 1, ZYDIS_MNEMONIC_MOV},         {0x0fc0, 0x0fc1, 0, ZYDIS_MNEMONIC_XADD},
        {0x0fb0, 0x0fb1, 0, ZYDIS_MNEMONIC_CMPXCHG}, {0, 0x0faf, 1, ZYDIS_MNEMONIC_IMUL},
        {0, 0x0fbc, 1, ZYDIS_MNEMONIC_BSF},          {0, 0x0fbd, 1, ZYDIS_MNEMONIC_BSR},
        {0, 0x0fa3, 0, ZYDIS_MNEMONIC_BT},           {0, 0x0fab, 0, ZYDIS_MNEMONIC_BTS},
        {0, 0x0fb3, 0, ZYDIS_MNEMONIC_BTR},          {0, 0x0fbb, 0, ZYDIS_MNEMONIC_BTC},
        {0, 0x0fa5, 0, ZYDIS_MNEMONIC_SHLD},         {0, 0x0fad, 0, ZYDIS_MNEMONIC_SHRD},
        {0, 0x0f44, 1, ZYDIS_MNEMONIC_CMOVZ},        {0, 0x0f4f, 1, ZYDIS_MNEMONIC_CMOVNLE},
    };

    for (unsigned i = 0; i < sizeof ops / sizeof ops[0]; i++)
        for (unsigned w = ops[i].byte_opcode || i == 0 ? 0 : 1; w < 4; w++) {
            struct form f = {.width = widths[w],
                             .reg_width = widths[w],
                             .opcode = w ? ops[i].opcode : ops[i].byte_opcode,
                             .rm_operand = ops[i].rm_operand,
                             .reg_operand = !ops[i].rm_operand,
                             .mnemonic = ops[i].mnemonic};
            for (f.reg = RAX; f.reg <= (f.width == 1 ? HOST_BH : R15); f.reg++) {
                bool sides = i < 2 || f.reg == RSP || f.reg == R13 || f.reg == RAX || f.reg == HOST_BH;

                each_register(f.width, check_form, &f);
                if (sides)
                    each_memory(check_form, &f);
            }
        }
}

static void test_widening(void **state)
{
    static const struct {
        unsigned opcode, width;
        ZydisMnemonic mnemonic;
    } ops[] = {{0x0fb6, 1, ZYDIS_MNEMONIC_MOVZX},
               {0x0fb7, 2, ZYDIS_MNEMONIC_MOVZX},
               {0x0fbe, 1, ZYDIS_MNEMONIC_MOVSX},
               {0x0fbf, 2, ZYDIS_MNEMONIC_MOVSX}};

    for (unsigned i = 0; i < 4; i++)
        for (unsigned w = ops[i].width == 1 ? 1 : 2; w < 4; w++) {
            struct form f = {.width = ops[i].width,
                             .reg_width = widths[w],
                             .opcode = ops[i].opcode,
                             .rm_operand = 1,
                             .reg_operand = 0,
                             .mnemonic = ops[i].mnemonic};
            for (f.reg = RAX; f.reg <= R15; f.reg++) {
                each_register(f.width, check_form, &f);
                each_memory(check_form, &f);
            }
        }
}

struct extension_form {
    unsigned width, opcode, extension, lock;
    ZydisMnemonic mnemonic;
};

static void check_extension(void *opaque, struct operand_rm rm)
{
    const struct extension_form *f = opaque;
    struct emitter e = fresh();

    emit_op_extension(&e, f->width, f->opcode | (f->lock ? EMIT_LOCK : 0), f->extension, rm);
    struct disassembly d = only(&e, f->mnemonic);
    expect_rm(&d, 0, rm, f->width);
    assert_int_equal(!!(d.insn.attributes & ZYDIS_ATTRIB_HAS_LOCK), f->lock);
}

static void test_one_operand(void **state)
{
    static const struct {
        unsigned byte_opcode, opcode, extension, lockable;
        ZydisMnemonic mnemonic;
    } ops[] = {
        {0xfe, 0xff, 0, 1, ZYDIS_MNEMONIC_INC}, {0xfe, 0xff, 1, 1, ZYDIS_MNEMONIC_DEC},
        {0xf6, 0xf7, 2, 1, ZYDIS_MNEMONIC_NOT}, {0xf6, 0xf7, 3, 1, ZYDIS_MNEMONIC_NEG},
        {0xf6, 0xf7, 4, 0, ZYDIS_MNEMONIC_MUL}, {0xf6, 0xf7, 5, 0, ZYDIS_MNEMONIC_IMUL},
        {0xf6, 0xf7, 6, 0, ZYDIS_MNEMONIC_DIV}, {0xf6, 0xf7, 7, 0, ZYDIS_MNEMONIC_IDIV},
        {0xd0, 0xd1, 0, 0, ZYDIS_MNEMONIC_ROL}, {0xd0, 0xd1, 1, 0, ZYDIS_MNEMONIC_ROR},
        {0xd0, 0xd1, 2, 0, ZYDIS_MNEMONIC_RCL}, {0xd0, 0xd1, 3, 0, ZYDIS_MNEMONIC_RCR},
        {0xd2, 0xd3, 4, 0, ZYDIS_MNEMONIC_SHL}, {0xd2, 0xd3, 5, 0, ZYDIS_MNEMONIC_SHR},
        {0xd2, 0xd3, 7, 0, ZYDIS_MNEMONIC_SAR},
    };

    for (unsigned i = 0; i < sizeof ops / sizeof ops[0]; i++)
        for (unsigned w = 0; w < 4; w++) {
            struct extension_form f = {.width = widths[w],
                                       .opcode = w ? ops[i].opcode : ops[i].byte_opcode,
                                       .extension = ops[i].extension,
                                       .mnemonic = ops[i].mnemonic};
            each_register(f.width, check_extension, &f);
            each_memory(check_extension, &f);
            f.lock = ops[i].lockable;
            if (f.lock)
                each_memory(check_extension, &f);
        }
    for (unsigned condition = 0; condition < 16; condition++) {
        static const ZydisMnemonic names[16] = {
            ZYDIS_MNEMONIC_SETO, ZYDIS_MNEMONIC_SETNO, ZYDIS_MNEMONIC_SETB,  ZYDIS_MNEMONIC_SETNB,
            ZYDIS_MNEMONIC_SETZ, ZYDIS_MNEMONIC_SETNZ, ZYDIS_MNEMONIC_SETBE, ZYDIS_MNEMONIC_SETNBE,
            ZYDIS_MNEMONIC_SETS, ZYDIS_MNEMONIC_SETNS, ZYDIS_MNEMONIC_SETP,  ZYDIS_MNEMONIC_SETNP,
            ZYDIS_MNEMONIC_SETL, ZYDIS_MNEMONIC_SETNL, ZYDIS_MNEMONIC_SETLE, ZYDIS_MNEMONIC_SETNLE};
        struct extension_form f = {.width = 1, .opcode = 0x0f90 + condition, .mnemonic = names[condition]};
        each_register(1, check_extension, &f);
        each_memory(check_extension, &f);
    }
}

/* ---- immediates ---- */

static const int32_t immediates[] = {0,   1,      -1,     127,     128,    -128,       -129,      255,
                                     256, 0x7fff, 0x8000, -0x8000, 0xffff, 0x12345678, INT32_MAX, INT32_MIN};
#define IMMEDIATES (sizeof immediates / sizeof immediates[0])

struct immediate_form {
    unsigned width, number;
    int32_t value;
    bool lock;
};

static void check_alu_immediate(void *opaque, struct operand_rm rm)
{
    static const ZydisMnemonic names[8] = {ZYDIS_MNEMONIC_ADD, ZYDIS_MNEMONIC_OR,  ZYDIS_MNEMONIC_ADC,
                                           ZYDIS_MNEMONIC_SBB, ZYDIS_MNEMONIC_AND, ZYDIS_MNEMONIC_SUB,
                                           ZYDIS_MNEMONIC_XOR, ZYDIS_MNEMONIC_CMP};
    const struct immediate_form *f = opaque;
    struct emitter e = fresh();

    emit_alu_immediate(&e, f->width, f->number, rm, f->value, f->lock);
    struct disassembly d = only(&e, names[f->number]);
    expect_rm(&d, 0, rm, f->width);
    expect_immediate(&d, 1, f->value, f->width);
    assert_int_equal(!!(d.insn.attributes & ZYDIS_ATTRIB_HAS_LOCK), f->lock);
    int32_t meant = f->width == 2 ? (int16_t)f->value : f->value;
    unsigned size = f->width == 1 || (meant >= -128 && meant <= 127) ? 8 : f->width == 2 ? 16 : 32;
    assert_int_equal(d.insn.raw.imm[0].size, size);
}

static void check_store_immediate(void *opaque, struct operand_rm rm)
{
    const struct immediate_form *f = opaque;
    struct emitter e = fresh();

    emit_store_immediate(&e, f->width, rm, f->value);
    struct disassembly d = only(&e, ZYDIS_MNEMONIC_MOV);
    expect_rm(&d, 0, rm, f->width);
    expect_immediate(&d, 1, f->value, f->width);
}

static void test_immediates(void **state)
{
    for (unsigned w = 0; w < 4; w++)
        for (unsigned i = 0; i < IMMEDIATES; i++) {
            struct immediate_form f = {.width = widths[w], .value = immediates[i]};

            for (f.number = 0; f.number < 8; f.number++) {
                each_register(f.width, check_alu_immediate, &f);
                if (i == 1 || i == IMMEDIATES - 3)
                    each_memory(check_alu_immediate, &f);
            }
            f.number = 0;
            f.lock = true;
            each_memory(check_alu_immediate, &f);
            each_memory(check_store_immediate, &f);
        }
}

static void test_mov_immediate(void **state)
{
    static const uint64_t values[] = {0,
                                      1,
                                      0x7f,
                                      0x80,
                                      0xff,
                                      0x8000,
                                      0xffff,
                                      0x7fffffff,
                                      0x80000000,
                                      0xffffffff,
                                      0x100000000,
                                      0xffffffff80000000,
                                      0xffffffff7fffffff,
                                      UINT64_MAX,
                                      0x7f1234567890};

    for (unsigned w = 0; w < 4; w++)
        for (unsigned i = 0; i < sizeof values / sizeof values[0]; i++)
            for (unsigned reg = RAX; reg <= (w ? R15 : HOST_BH); reg++) {
                struct emitter e = fresh();
                unsigned width = widths[w];

                emit_mov_immediate(&e, width, reg, values[i]);
                struct disassembly d = only(&e, ZYDIS_MNEMONIC_MOV);
                bool narrow = width == 8 && values[i] <= UINT32_MAX; /* the 32-bit form zero-extends */
                expect_register(&d, 0, reg, narrow ? 4 : width);
                expect_immediate(&d, 1, (int64_t)values[i], narrow ? 4 : width);
                unsigned longest = width == 1                                 ? 3
                                   : width == 2                               ? 5
                                   : width == 4 || narrow                     ? 6
                                   : (int64_t)values[i] == (int32_t)values[i] ? 7
                                                                              : 10;
                assert_in_range(d.insn.length, 2, longest);
            }
}

/* ---- the short forms ---- */

static void expect_bytes(const struct emitter *e, const char *hex)
{
    char text[3 * 16 + 1] = "";

    for (unsigned i = 0; i < e->position; i++)
        sprintf(text + 3 * i, "%02x ", buffer[i]);
    assert_string_equal(text, hex);
}

#define EXPECT_BYTES(hex, call)                                                                                        \
    do {                                                                                                               \
        struct emitter e_ = fresh(), *e = &e_;                                                                         \
        call;                                                                                                          \
        expect_bytes(e, hex);                                                                                          \
    } while (0)

static void test_encodings(void **state)
{
    EXPECT_BYTES("8b 03 ", emit_load(e, 4, RAX, rm_base(RBX, 0)));
    EXPECT_BYTES("8b 45 00 ", emit_load(e, 4, RAX, rm_base(RBP, 0)));
    EXPECT_BYTES("41 8b 45 00 ", emit_load(e, 4, RAX, rm_base(R13, 0)));
    EXPECT_BYTES("8b 04 24 ", emit_load(e, 4, RAX, rm_base(RSP, 0)));
    EXPECT_BYTES("41 8b 04 24 ", emit_load(e, 4, RAX, rm_base(R12, 0)));
    EXPECT_BYTES("43 8b 44 2d 00 ", emit_load(e, 4, RAX, rm_indexed(R13, R13, 0, 0)));
    EXPECT_BYTES("43 8b 04 24 ", emit_load(e, 4, RAX, rm_indexed(R12, R12, 0, 0)));
    EXPECT_BYTES("8b 44 5d 00 ", emit_load(e, 4, RAX, rm_indexed(RBP, RBX, 1, 0)));
    EXPECT_BYTES("41 8b 04 19 ", emit_load(e, 4, RAX, rm_indexed(R9, RBX, 0, 0)));
    EXPECT_BYTES("8b 04 25 00 10 00 00 ", emit_load(e, 4, RAX, rm_indexed(NO_REGISTER, NO_REGISTER, 0, 0x1000)));
    EXPECT_BYTES("8b 43 7f ", emit_load(e, 4, RAX, rm_base(RBX, 127)));
    EXPECT_BYTES("8b 83 80 00 00 00 ", emit_load(e, 4, RAX, rm_base(RBX, 128)));
    EXPECT_BYTES("8b 43 80 ", emit_load(e, 4, RAX, rm_base(RBX, -128)));
    EXPECT_BYTES("40 8a f5 ", emit_op(e, 1, 0x8a, RSI, rm_register(RBP)));
    EXPECT_BYTES("40 88 f5 ", emit_mov(e, 1, RBP, RSI));
    EXPECT_BYTES("88 e0 ", emit_mov(e, 1, RAX, HOST_AH));
    EXPECT_BYTES("86 e0 ", emit_op(e, 1, 0x86, HOST_AH + 0, rm_register(RAX)) /* swap of high and low byte */);
    EXPECT_BYTES("86 ff ", emit_op(e, 1, 0x86, HOST_BH, rm_register(HOST_BH)));
    EXPECT_BYTES("83 c0 01 ", emit_alu_immediate(e, 4, 0, rm_register(RAX), 1, false));
    EXPECT_BYTES("66 83 c0 ff ", emit_alu_immediate(e, 2, 0, rm_register(RAX), 0xffff, false));
    EXPECT_BYTES("f0 83 03 01 ", emit_alu_immediate(e, 4, 0, rm_base(RBX, 0), 1, true));
    EXPECT_BYTES("f0 66 83 03 01 ", emit_alu_immediate(e, 2, 0, rm_base(RBX, 0), 1, true));
    EXPECT_BYTES("f0 41 83 01 01 ", emit_alu_immediate(e, 4, 0, rm_base(R9, 0), 1, true));
    EXPECT_BYTES("0f 97 c4 ", emit_op_extension(e, 1, 0x0f97, 0, rm_register(HOST_AH)));
    EXPECT_BYTES("40 0f 97 c4 ", emit_op_extension(e, 1, 0x0f97, 0, rm_register(RSP)));
    EXPECT_BYTES("b8 01 00 00 00 ", emit_mov_immediate(e, 8, RAX, 1));
    EXPECT_BYTES("48 c7 c0 ff ff ff ff ", emit_mov_immediate(e, 8, RAX, UINT64_MAX));
    EXPECT_BYTES("b4 12 ", emit_mov_immediate(e, 1, HOST_AH, 0x12));
    EXPECT_BYTES("48 8d 43 08 ", emit_lea(e, 8, RAX, rm_base(RBX, 8)));
}

static void test_plus_register(void **state)
{
    for (unsigned reg = RAX; reg <= R15; reg++) {
        for (unsigned w = 2; w < 4; w++) {
            struct emitter e = fresh();

            emit_plus_register(&e, widths[w], 0x0fc8, reg);
            struct disassembly d = only(&e, ZYDIS_MNEMONIC_BSWAP);
            expect_register(&d, 0, reg, widths[w]);
        }
        struct emitter e = fresh();
        emit_plus_register(&e, 4, 0x50, reg);
        struct disassembly d = only(&e, ZYDIS_MNEMONIC_PUSH);
        expect_register(&d, 0, reg, 8);
        e = fresh();
        emit_plus_register(&e, 4, 0x58, reg);
        d = only(&e, ZYDIS_MNEMONIC_POP);
        expect_register(&d, 0, reg, 8);
    }
}

/* ---- jumps ---- */

static void expect_target(uint32_t at, uint32_t target, ZydisMnemonic mnemonic)
{
    struct disassembly d = disassemble(buffer + at, sizeof buffer - at, 0);
    ZyanU64 absolute = 0;

    if (d.insn.mnemonic != mnemonic)
        fail_msg("is '%s', should be %s", d.text, ZydisMnemonicGetString(mnemonic));
    assert_true(ZYAN_SUCCESS(ZydisCalcAbsoluteAddress(&d.insn, &d.operands[0], at, &absolute)));
    assert_int_equal((uint32_t)absolute, target);
}

static void test_jumps(void **state)
{
    static const ZydisMnemonic conditions[16] = {
        ZYDIS_MNEMONIC_JO, ZYDIS_MNEMONIC_JNO, ZYDIS_MNEMONIC_JB,  ZYDIS_MNEMONIC_JNB,
        ZYDIS_MNEMONIC_JZ, ZYDIS_MNEMONIC_JNZ, ZYDIS_MNEMONIC_JBE, ZYDIS_MNEMONIC_JNBE,
        ZYDIS_MNEMONIC_JS, ZYDIS_MNEMONIC_JNS, ZYDIS_MNEMONIC_JP,  ZYDIS_MNEMONIC_JNP,
        ZYDIS_MNEMONIC_JL, ZYDIS_MNEMONIC_JNL, ZYDIS_MNEMONIC_JLE, ZYDIS_MNEMONIC_JNLE};
    struct emitter e = fresh();

    emit_jmp(&e, 0x40);
    assert_int_equal(e.position, 5);
    emit_call(&e, 3);
    expect_target(0, 0x40, ZYDIS_MNEMONIC_JMP);
    expect_target(5, 3, ZYDIS_MNEMONIC_CALL);
    for (unsigned c = 0; c < 16; c++) {
        e = fresh();
        emit_jcc(&e, c, 0x12345);
        assert_int_equal(e.position, 6);
        expect_target(0, 0x12345, conditions[c]);
        uint32_t field = emit_jcc_forward(&e, c), at_short = e.position, shorter = emit_jcc_short(&e, c ^ 1u);
        emit_patch(&e, field, 0x20);
        emit_patch_short(&e, shorter, at_short + 2 + 127);
        expect_target(6, 0x20, conditions[c]);
        expect_target(at_short, at_short + 2 + 127, conditions[c ^ 1u]);
        emit_patch_short(&e, shorter, at_short + 2 - 128);
        expect_target(at_short, at_short + 2 - 128, conditions[c ^ 1u]);
        assert_false(e.overflow);
        emit_patch_short(&e, shorter, at_short + 2 + 128);
        assert_true(e.overflow);
        e.overflow = false;
        emit_patch_short(&e, shorter, at_short + 2 - 129);
        assert_true(e.overflow);
    }
    e = fresh();
    uint32_t field = emit_jmp_forward(&e);
    emit_patch(&e, field, 0x33);
    expect_target(0, 0x33, ZYDIS_MNEMONIC_JMP);
    uint32_t at = e.position, rcx = emit_jrcxz_short(&e, false), at32 = e.position, ecx = emit_jrcxz_short(&e, true);
    emit_patch_short(&e, rcx, 0x22);
    emit_patch_short(&e, ecx, 0x11);
    expect_target(at, 0x22, ZYDIS_MNEMONIC_JRCXZ);
    expect_target(at32, 0x11, ZYDIS_MNEMONIC_JECXZ);
}

static void test_alignment(void **state)
{
    for (uint32_t start = 0; start < 8; start++)
        for (unsigned bytes = 0; bytes < 4; bytes++) {
            struct emitter e = fresh();

            e.position = start;
            emit_align_field(&e, bytes);
            assert_int_equal((e.position + bytes) & 3, 0);
            assert_in_range(e.position - start, 0, 3);
            if (e.position > start) { /* one instruction that does nothing */
                struct disassembly d = disassemble(buffer + start, e.position - start, 0);
                assert_int_equal(d.insn.mnemonic, ZYDIS_MNEMONIC_NOP);
                assert_int_equal(d.insn.length, e.position - start);
            }
        }
}

/* Nothing is written behind the end, and a patch of what was not written does not happen. */
static void test_overflow(void **state)
{
    for (uint32_t end = 0; end < 24; end++) {
        struct emitter e = fresh();

        e.end = end;
        emit_mov_immediate(&e, 8, R11, 0x123456789abcdef0);
        uint32_t field = emit_jmp_forward(&e), shorter = emit_jcc_short(&e, CC_E);
        emit_patch(&e, field, 0x1000);
        emit_patch_short(&e, shorter, shorter + 1);
        emit_64(&e, 0);
        assert_true(e.overflow);
        for (unsigned i = end; i < sizeof buffer; i++)
            assert_int_equal(buffer[i], 0xcc);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_two_operands),  cmocka_unit_test(test_widening),      cmocka_unit_test(test_one_operand),
        cmocka_unit_test(test_immediates),    cmocka_unit_test(test_mov_immediate), cmocka_unit_test(test_encodings),
        cmocka_unit_test(test_plus_register), cmocka_unit_test(test_jumps),         cmocka_unit_test(test_alignment),
        cmocka_unit_test(test_overflow),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* Zydis decoding, mapped onto the instruction table and a neutral operand form. */
#include "cpu/decode.h"

#include "cpu/decode_length.h"
#include "cpu/model.h"

#include <string.h>

void decoder_init(struct decoder *decoder, const struct cpu_model *model)
{
    decoder->model = model;
    ZydisDecoderInit(&decoder->decoder16, ZYDIS_MACHINE_MODE_LEGACY_16, ZYDIS_STACK_WIDTH_16);
    ZydisDecoderInit(&decoder->decoder32, ZYDIS_MACHINE_MODE_LEGACY_32, ZYDIS_STACK_WIDTH_32);
    /* Encodings that mean something older on processors without the feature. */
    static const ZydisDecoderMode off[] = {ZYDIS_DECODER_MODE_MPX,          ZYDIS_DECODER_MODE_CET,
                                           ZYDIS_DECODER_MODE_LZCNT,        ZYDIS_DECODER_MODE_TZCNT,
                                           ZYDIS_DECODER_MODE_WBNOINVD,     ZYDIS_DECODER_MODE_CLDEMOTE,
                                           ZYDIS_DECODER_MODE_AMD_BRANCHES, ZYDIS_DECODER_MODE_KNC};
    for (size_t i = 0; i < ARRAY_SIZE(off); i++) {
        ZydisDecoderEnableMode(&decoder->decoder16, off[i], ZYAN_FALSE);
        ZydisDecoderEnableMode(&decoder->decoder32, off[i], ZYAN_FALSE);
    }
}

static uint8_t segment_of(ZydisRegister segment)
{
    switch (segment) {
    case ZYDIS_REGISTER_ES:
        return SEG_ES;
    case ZYDIS_REGISTER_CS:
        return SEG_CS;
    case ZYDIS_REGISTER_SS:
        return SEG_SS;
    case ZYDIS_REGISTER_FS:
        return SEG_FS;
    case ZYDIS_REGISTER_GS:
        return SEG_GS;
    default:
        return SEG_DS;
    }
}

static uint8_t address_register(ZydisRegister reg)
{
    return reg == ZYDIS_REGISTER_NONE ? GPR_ZERO : (uint8_t)ZydisRegisterGetId(reg);
}

static void convert_register(struct operand *to, ZydisRegister reg)
{
    ZydisRegisterClass class = ZydisRegisterGetClass(reg);

    to->number = (uint8_t)ZydisRegisterGetId(reg);
    switch (class) {
    case ZYDIS_REGCLASS_GPR8:
        to->kind = OPERAND_GPR;
        if (reg >= ZYDIS_REGISTER_AH && reg <= ZYDIS_REGISTER_BH) {
            to->high = true;
            to->number = (uint8_t)(reg - ZYDIS_REGISTER_AH);
        } else {
            to->number = (uint8_t)(reg < ZYDIS_REGISTER_AH ? reg - ZYDIS_REGISTER_AL : reg - ZYDIS_REGISTER_SPL + 4);
        }
        break;
    case ZYDIS_REGCLASS_GPR16:
    case ZYDIS_REGCLASS_GPR32:
    case ZYDIS_REGCLASS_GPR64:
        to->kind = OPERAND_GPR;
        break;
    case ZYDIS_REGCLASS_X87:
        to->kind = OPERAND_X87;
        break;
    case ZYDIS_REGCLASS_MMX:
        to->kind = OPERAND_MMX;
        break;
    case ZYDIS_REGCLASS_XMM:
        to->kind = OPERAND_XMM;
        break;
    case ZYDIS_REGCLASS_SEGMENT:
        to->kind = OPERAND_SEGMENT;
        to->number = segment_of(reg);
        break;
    case ZYDIS_REGCLASS_CONTROL:
        to->kind = OPERAND_CONTROL;
        break;
    case ZYDIS_REGCLASS_DEBUG:
        to->kind = OPERAND_DEBUG;
        break;
    case ZYDIS_REGCLASS_TEST:
        to->kind = OPERAND_TEST;
        break;
    default:
        to->kind = OPERAND_NONE;
        break;
    }
}

static void convert_operand(struct operand *to, const ZydisDecodedOperand *from, uint32_t next_eip,
                            unsigned operand_size)
{
    memset(to, 0, sizeof *to);
    to->size = (uint8_t)(from->size / 8);
    to->base = to->index = GPR_ZERO;
    to->field = from->encoding == ZYDIS_OPERAND_ENCODING_MODRM_REG  ? OPERAND_FIELD_REG
                : from->encoding == ZYDIS_OPERAND_ENCODING_MODRM_RM ? OPERAND_FIELD_RM
                                                                    : OPERAND_FIELD_OTHER;
    to->read = from->actions & ZYDIS_OPERAND_ACTION_MASK_READ;
    to->written = from->actions & ZYDIS_OPERAND_ACTION_MASK_WRITE;
    switch (from->type) {
    case ZYDIS_OPERAND_TYPE_REGISTER:
        convert_register(to, from->reg.value);
        break;
    case ZYDIS_OPERAND_TYPE_MEMORY:
        to->kind = OPERAND_MEMORY;
        to->base = address_register(from->mem.base);
        to->index = address_register(from->mem.index);
        to->scale = from->mem.scale > 1 ? (uint8_t)__builtin_ctz(from->mem.scale) : 0;
        to->segment = segment_of(from->mem.segment);
        to->value = from->mem.disp.has_displacement ? from->mem.disp.value : 0;
        break;
    case ZYDIS_OPERAND_TYPE_POINTER:
        to->kind = OPERAND_FAR_POINTER;
        to->value = from->ptr.offset;
        to->selector = from->ptr.segment;
        break;
    case ZYDIS_OPERAND_TYPE_IMMEDIATE:
        to->kind = OPERAND_IMMEDIATE;
        to->value = from->imm.is_signed ? from->imm.value.s : (int64_t)from->imm.value.u;
        if (from->imm.is_relative) {
            uint32_t target = next_eip + (uint32_t)from->imm.value.s;
            to->relative = true;
            to->value = operand_size == 2 ? (uint16_t)target : target;
        }
        break;
    default:
        break;
    }
}

/* Rows for forms that share a mnemonic; MNEMONIC's own row otherwise. */
static uint16_t row_of(const ZydisDecodedInstruction *z, const struct decoded_instruction *insn)
{
    const struct operand *a = &insn->operands[0], *b = &insn->operands[1];
    bool far = z->meta.branch_type == ZYDIS_BRANCH_TYPE_FAR;

    switch (z->mnemonic) {
    case ZYDIS_MNEMONIC_CALL:
        return far ? ROW_CALL_FAR : ROW_CALL;
    case ZYDIS_MNEMONIC_JMP:
        return far ? ROW_JMP_FAR : ROW_JMP;
    case ZYDIS_MNEMONIC_RET:
        return z->opcode == 0xca || z->opcode == 0xcb ? ROW_RET_FAR : ROW_RET;
    case ZYDIS_MNEMONIC_PUSH:
        return a->kind == OPERAND_SEGMENT ? ROW_PUSH_SEGMENT : ROW_PUSH;
    case ZYDIS_MNEMONIC_POP:
        return a->kind == OPERAND_SEGMENT ? ROW_POP_SEGMENT : ROW_POP;
    case ZYDIS_MNEMONIC_MOV:
        if (a->kind == OPERAND_SEGMENT)
            return ROW_MOV_TO_SEGMENT;
        if (b->kind == OPERAND_SEGMENT)
            return ROW_MOV_FROM_SEGMENT;
        if (a->kind == OPERAND_CONTROL)
            return ROW_MOV_TO_CONTROL;
        if (b->kind == OPERAND_CONTROL)
            return ROW_MOV_FROM_CONTROL;
        if (a->kind == OPERAND_DEBUG)
            return ROW_MOV_TO_DEBUG;
        if (b->kind == OPERAND_DEBUG)
            return ROW_MOV_FROM_DEBUG;
        if (a->kind == OPERAND_TEST || b->kind == OPERAND_TEST)
            return ROW_NONE;
        return ROW_MOV;
    case ZYDIS_MNEMONIC_MOVSD:
        return z->opcode_map == ZYDIS_OPCODE_MAP_DEFAULT ? ROW_STRING_MOVSD : ROW_MOVSD;
    case ZYDIS_MNEMONIC_CMPSD:
        return z->opcode_map == ZYDIS_OPCODE_MAP_DEFAULT ? ROW_STRING_CMPSD : ROW_CMPSD;
    default:
        return instruction_row_of_mnemonic((uint16_t)z->mnemonic);
    }
}

/* What the model lacks is #UD or keeps the meaning it had before the feature existed. */
static uint16_t apply_model(const struct cpu_model *model, const ZydisDecodedInstruction *z, uint16_t row)
{
    bool map_0f = z->opcode_map == ZYDIS_OPCODE_MAP_0F;

    if (map_0f && z->opcode == 0x0d) /* PREFETCHW later on; before, a NOP since the Pentium 4 with NX, and undefined */
        return model->has_nx ? ROW_NOP : ROW_NONE;
    if (row == ROW_PEXTRW && !map_0f) /* 0F 3A 15: SSE4.1 */
        return ROW_NONE;
    if (row == ROW_NOP && map_0f) /* multi-byte NOPs and hints: 0F 18..1F, from the P6 on */
        return cpu_has(model, FEATURE_NOPL) ? ROW_NOP : ROW_NONE;
    if (z->mnemonic == ZYDIS_MNEMONIC_PAUSE) /* F3 90 has always been accepted, as NOP */
        return ROW_NOP;
    if (row != ROW_NONE && !cpu_has(model, instruction_table[row].feature))
        return map_0f && z->opcode == 0x18 && cpu_has(model, FEATURE_NOPL) ? ROW_NOP : ROW_NONE;
    if (z->encoding != ZYDIS_INSTRUCTION_ENCODING_LEGACY && row != ROW_NONE)
        return ROW_NONE; /* VEX, EVEX, XOP */
    return row;
}

/* What Zydis refused. An instruction that is undefined is so only when all of it is there; what only lacks bytes for
 * Zydis may be whole for a processor without XOP, VEX and 3DNow!. */
static enum decode_status refused(ZyanStatus why, const uint8_t *code, size_t available, bool code32,
                                  struct decoded_instruction *out)
{
    unsigned length = decode_length(code, available, code32);

    if (why == ZYDIS_STATUS_INSTRUCTION_TOO_LONG || length > INSTRUCTION_MAX_LENGTH)
        return DECODE_TOO_LONG;
    if (!length || length > available)
        return available >= INSTRUCTION_MAX_LENGTH ? DECODE_TOO_LONG : DECODE_MORE;
    out->length = (uint8_t)length;
    return DECODE_UNDEFINED;
}

enum decode_status decode_instruction(const struct decoder *decoder, const uint8_t *code, size_t length, uint32_t eip,
                                      bool code32, bool real, struct decoded_instruction *out)
{
    ZydisDecodedInstruction z;
    ZydisDecodedOperand operands[ZYDIS_MAX_OPERAND_COUNT];
    size_t available = length < INSTRUCTION_MAX_LENGTH ? length : INSTRUCTION_MAX_LENGTH;
    ZydisDecoderContext context;

    memset(out, 0, sizeof *out);
    ZyanStatus status = ZydisDecoderDecodeInstruction(code32 ? &decoder->decoder32 : &decoder->decoder16, &context,
                                                      code, available, &z);
    if (!ZYAN_SUCCESS(status))
        return refused(status, code, available, code32, out);
    out->length = z.length;
    out->operand_size = z.operand_width / 8;
    out->address_size = z.address_width / 8;
    out->opcode = z.opcode;
    out->map = z.opcode_map == ZYDIS_OPCODE_MAP_0F     ? 1
               : z.opcode_map == ZYDIS_OPCODE_MAP_0F38 ? 2
               : z.opcode_map == ZYDIS_OPCODE_MAP_0F3A ? 3
                                                       : 0;
    for (unsigned i = 0; i < z.raw.prefix_count; i++)
        if (z.raw.prefixes[i].type == ZYDIS_PREFIX_TYPE_MANDATORY)
            out->mandatory = z.raw.prefixes[i].value;
    out->lock = (z.attributes & ZYDIS_ATTRIB_HAS_LOCK) != 0;
    if (z.attributes & ZYDIS_ATTRIB_HAS_REPNE)
        out->repeat = REPEAT_NE;
    else if (z.attributes & (ZYDIS_ATTRIB_HAS_REP | ZYDIS_ATTRIB_HAS_REPE))
        out->repeat = REPEAT_E;
    if (z.attributes & ZYDIS_ATTRIB_HAS_MODRM) {
        out->has_modrm = true;
        out->modrm = (uint8_t)(z.raw.modrm.mod << 6 | z.raw.modrm.reg << 3 | z.raw.modrm.rm);
    }

    uint8_t count = z.operand_count_visible;
    /* Their destination, at segment:(E)DI, is an operand that only these two hide. */
    if (z.mnemonic == ZYDIS_MNEMONIC_MASKMOVQ || z.mnemonic == ZYDIS_MNEMONIC_MASKMOVDQU)
        count = z.operand_count;
    if (count > ARRAY_SIZE(out->operands))
        count = ARRAY_SIZE(out->operands);
    if (!ZYAN_SUCCESS(ZydisDecoderDecodeOperands(code32 ? &decoder->decoder32 : &decoder->decoder16, &context, &z,
                                                 operands, z.operand_count)))
        return DECODE_UNDEFINED;
    for (unsigned i = 0; i < count; i++)
        convert_operand(&out->operands[i], &operands[i], eip + z.length, out->operand_size);
    /* String sources and XLAT's table are hidden operands; engines need their segment. */
    for (unsigned i = count; i < z.operand_count && count < ARRAY_SIZE(out->operands); i++) {
        unsigned base =
            operands[i].type == ZYDIS_OPERAND_TYPE_MEMORY ? address_register(operands[i].mem.base) : GPR_ZERO;

        if (base == GPR_SI || (base == GPR_BX && z.mnemonic == ZYDIS_MNEMONIC_XLAT))
            convert_operand(&out->operands[count++], &operands[i], 0, 4);
    }
    out->operand_count = count;

    out->row = apply_model(decoder->model, &z, row_of(&z, out));
    if (out->row == ROW_NONE)
        return DECODE_UNDEFINED;
    /* String instructions take F2 and F3 alike where only one is documented (REPNE MOVS repeats). */
    if ((instruction_table[out->row].attributes & ATTR_STRING) && out->repeat == REPEAT_NONE) {
        for (unsigned i = 0; i < z.raw.prefix_count; i++) {
            uint8_t prefix = z.raw.prefixes[i].value;
            if (prefix == 0xf2 || prefix == 0xf3)
                out->repeat = prefix == 0xf2 ? REPEAT_NE : REPEAT_E;
        }
    }
    (void)real;
    return DECODE_OK;
}

void decode_callout_args(const struct decoded_instruction *insn, struct callout_args *args)
{
    unsigned immediates = 0;

    memset(args, 0, sizeof *args);
    args->row = insn->row;
    args->length = insn->length;
    args->operand_size = insn->operand_size;
    args->address_size = insn->address_size;
    args->repeat = insn->repeat;
    args->lock = insn->lock;
    args->opcode = (uint16_t)(insn->opcode | (insn->has_modrm ? insn->modrm << 8 : 0));
    args->segment = SEG_DS;
    if (insn->has_modrm) {
        args->reg = (insn->modrm >> 3) & 7;
        args->rm = insn->modrm & 7;
    }
    for (unsigned i = 0; i < insn->operand_count; i++) {
        const struct operand *o = &insn->operands[i];

        switch (o->kind) {
        case OPERAND_MEMORY:
            args->memory = true;
            args->segment = o->segment;
            break;
        case OPERAND_IMMEDIATE:
            if (immediates++)
                args->immediate2 = (uint64_t)o->value;
            else
                args->immediate = (uint64_t)o->value;
            break;
        case OPERAND_FAR_POINTER:
            args->selector = o->selector;
            args->immediate = (uint64_t)o->value;
            break;
        case OPERAND_SEGMENT:
            args->reg = o->number;
            break;
        case OPERAND_GPR:
            if (!insn->has_modrm)
                args->reg = args->rm = o->number;
            else if (i == 0 ? o->high : false)
                args->rm_high = true;
            break;
        default:
            break;
        }
    }
}

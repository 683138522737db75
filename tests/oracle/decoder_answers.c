/* See decoder_answers.h. */
#include "decoder_answers.h"

#include "cpu/decode.h"
#include "cpu/model.h"

#include <capstone/capstone.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ADDRESS 0x1000

struct decoders {
    struct decoder ours;
    ZydisDecoder ours64, full[DECODER_MODES];
    csh capstone[DECODER_MODES];
    cs_insn *insn[DECODER_MODES];
};

/* The same instruction by two names, ours first. */
static const char *const names[][2] = {
    {"jb", "jb"},
    {"jnb", "jae"},
    {"jz", "je"},
    {"jnz", "jne"},
    {"jnbe", "ja"},
    {"jnl", "jge"},
    {"jnle", "jg"},
    {"cmovnb", "cmovae"},
    {"cmovz", "cmove"},
    {"cmovnz", "cmovne"},
    {"cmovnbe", "cmova"},
    {"cmovnl", "cmovge"},
    {"cmovnle", "cmovg"},
    {"setnb", "setae"},
    {"setz", "sete"},
    {"setnz", "setne"},
    {"setnbe", "seta"},
    {"setnl", "setge"},
    {"setnle", "setg"},
    {"fwait", "wait"},
    {"xlat", "xlatb"},
    {"pushad", "pushal"},
    {"popad", "popal"},
    {"pusha", "pushaw"},
    {"popa", "popaw"},
    {"call_far", "lcall"},
    {"jmp_far", "ljmp"},
    {"ret_far", "retf"},
    {"push_segment", "push"},
    {"pop_segment", "pop"},
    {"mov_to_segment", "mov"},
    {"mov_from_segment", "mov"},
    {"mov_to_control", "mov"},
    {"mov_from_control", "mov"},
    {"mov_to_debug", "mov"},
    {"mov_from_debug", "mov"},
    {"string_movsd", "movsd"},
    {"string_cmpsd", "cmpsd"},
};

static void set_name(struct decoder_answer *answer, const char *name)
{
    snprintf(answer->name, sizeof answer->name, "%s", name);
    for (char *p = answer->name; *p; p++)
        *p = *p >= 'A' && *p <= 'Z' ? (char)(*p + 32) : *p;
    for (size_t i = 0; i < ARRAY_SIZE(names); i++)
        if (!strcmp(answer->name, names[i][0])) {
            snprintf(answer->name, sizeof answer->name, "%s", names[i][1]);
            break;
        }
}

struct decoders *decoders_create(void)
{
    static const cs_mode capstone_modes[] = {CS_MODE_16, CS_MODE_32, CS_MODE_64};
    static const ZydisMachineMode machine[] = {ZYDIS_MACHINE_MODE_LEGACY_16, ZYDIS_MACHINE_MODE_LEGACY_32,
                                               ZYDIS_MACHINE_MODE_LONG_64};
    static const ZydisStackWidth width[] = {ZYDIS_STACK_WIDTH_16, ZYDIS_STACK_WIDTH_32, ZYDIS_STACK_WIDTH_64};
    struct decoders *d = calloc(1, sizeof *d);
    struct error err;

    decoder_init(&d->ours, cpu_model_find("max", &err));
    ZydisDecoderInit(&d->ours64, ZYDIS_MACHINE_MODE_LONG_64, ZYDIS_STACK_WIDTH_64);
    memcpy(d->ours64.decoder_mode, d->ours.decoder32.decoder_mode, sizeof d->ours64.decoder_mode);
    for (unsigned i = 0; i < DECODER_MODES; i++) {
        ZydisDecoderInit(&d->full[i], machine[i], width[i]);
        ZydisDecoderEnableMode(&d->full[i], ZYDIS_DECODER_MODE_KNC, ZYAN_FALSE);
        if (cs_open(CS_ARCH_X86, capstone_modes[i], &d->capstone[i]) != CS_ERR_OK) {
            fprintf(stderr, "decoder_check: Capstone does not start\n");
            decoders_destroy(d);
            return NULL;
        }
        d->insn[i] = cs_malloc(d->capstone[i]);
    }
    return d;
}

void decoders_destroy(struct decoders *d)
{
    for (unsigned i = 0; i < DECODER_MODES; i++) {
        if (d->insn[i])
            cs_free(d->insn[i], 1);
        if (d->capstone[i])
            cs_close(&d->capstone[i]);
    }
    free(d);
}

bool decoder_is_later(const ZydisDecodedInstruction *z)
{
    if (z->encoding != ZYDIS_INSTRUCTION_ENCODING_LEGACY)
        return true;
    switch (z->meta.isa_ext) {
    case ZYDIS_ISA_EXT_BASE:
    case ZYDIS_ISA_EXT_LONGMODE:
    case ZYDIS_ISA_EXT_X87:
    case ZYDIS_ISA_EXT_MMX:
    case ZYDIS_ISA_EXT_SSE:
    case ZYDIS_ISA_EXT_SSE2:
    case ZYDIS_ISA_EXT_CLFSH:
    case ZYDIS_ISA_EXT_PAUSE:
        return false;
    default:
        return true;
    }
}

static void take_apart(struct encoding *e, enum decoder_mode mode, const uint8_t *bytes)
{
    unsigned at = 0;

    memset(e, 0, sizeof *e);
    e->mode = mode;
    memcpy(e->bytes, bytes, DECODER_BYTES);
    for (; at < DECODER_BYTES; at++) {
        uint8_t byte = bytes[at];

        if (mode == DECODER_64 && (byte & 0xf0) == 0x40) {
            e->rex = byte;
            continue;
        }
        if (byte == 0x66)
            e->operand_size = true;
        else if (byte == 0x67)
            e->address_size = true;
        else if (byte == 0xf0)
            e->lock = true;
        else if (byte == 0xf2 || byte == 0xf3)
            e->repeat = byte;
        else if (byte == 0x26 || byte == 0x2e || byte == 0x36 || byte == 0x3e || byte == 0x64 || byte == 0x65)
            e->segment = true;
        else
            break;
        e->rex = 0;
    }
    e->prefixes = (uint8_t)at;
    uint8_t rest[5] = {0};
    memcpy(rest, bytes + at, DECODER_BYTES - at < 5 ? DECODER_BYTES - at : 5);
    if (rest[0] == 0x0f)
        e->map = rest[1] == 0x38 ? 2 : rest[1] == 0x3a ? 3 : 1;
    unsigned skip = e->map > 1 ? 2 : e->map;
    e->opcode = rest[skip];
    e->modrm = rest[skip + 1];
}

static void ask_ours(struct decoders *d, enum decoder_mode mode, const uint8_t *bytes, struct decoder_answer *answer)
{
    memset(answer, 0, sizeof *answer);
    if (mode == DECODER_64) {
        ZydisDecodedInstruction z;

        if (!ZYAN_SUCCESS(ZydisDecoderDecodeInstruction(&d->ours64, NULL, bytes, DECODER_BYTES, &z)) ||
            decoder_is_later(&z))
            return;
        answer->valid = true;
        answer->length = z.length;
        set_name(answer, ZydisMnemonicGetString(z.mnemonic));
        if (z.meta.branch_type == ZYDIS_BRANCH_TYPE_FAR)
            set_name(answer, z.mnemonic == ZYDIS_MNEMONIC_CALL  ? "lcall"
                             : z.mnemonic == ZYDIS_MNEMONIC_JMP ? "ljmp"
                                                                : answer->name);
        if (z.mnemonic == ZYDIS_MNEMONIC_RET && (z.opcode & 0xfe) == 0xca)
            set_name(answer, "retf");
        return;
    }
    struct decoded_instruction insn;
    enum decode_status status =
        decode_instruction(&d->ours, bytes, DECODER_BYTES, ADDRESS, mode == DECODER_32, false, &insn);
    answer->length = insn.length;
    if (status != DECODE_OK)
        return;
    const struct instruction_row *row = &instruction_table[insn.row];
    answer->valid = true;
    set_name(answer, row->mnemonic == ZYDIS_MNEMONIC_INVALID ? row->name : ZydisMnemonicGetString(row->mnemonic));
}

static void ask_capstone(struct decoders *d, enum decoder_mode mode, const uint8_t *bytes,
                         struct decoder_answer *answer)
{
    const uint8_t *at = bytes;
    size_t left = DECODER_BYTES;
    uint64_t address = ADDRESS;

    memset(answer, 0, sizeof *answer);
    answer->valid = cs_disasm_iter(d->capstone[mode], &at, &left, &address, d->insn[mode]);
    if (!answer->valid)
        return;
    const char *text = d->insn[mode]->mnemonic, *last = strrchr(text, ' '); /* "rep movsb" */
    answer->length = (uint8_t)d->insn[mode]->size;
    snprintf(answer->name, sizeof answer->name, "%.23s", last ? last + 1 : text);
}

void decoders_ask(struct decoders *d, enum decoder_mode mode, const uint8_t bytes[DECODER_BYTES],
                  struct decoder_question *q)
{
    take_apart(&q->encoding, mode, bytes);
    ask_ours(d, mode, bytes, &q->ours);
    ask_capstone(d, mode, bytes, &q->capstone);
    q->known = false;
    if (!q->ours.valid || !decoders_agree(q))
        q->known = ZYAN_SUCCESS(ZydisDecoderDecodeInstruction(&d->full[mode], NULL, bytes, DECODER_BYTES, &q->full));
}

bool decoders_agree(const struct decoder_question *q)
{
    if (!q->ours.valid || !q->capstone.valid)
        return q->ours.valid == q->capstone.valid;
    return q->ours.length == q->capstone.length && !strcmp(q->ours.name, q->capstone.name);
}

/* See unwind.h. */
#include "trace/unwind.h"

#include <Zydis/Zydis.h>
#include <stdlib.h>
#include <string.h>

/* DWARF's numbers of registers (System V ABI for AMD64, figure 3.36): rax rdx rcx rbx rsi rdi rbp rsp r8 .. r15, then
 * the return address. */
#define DWARF_RSP            7
#define DWARF_RETURN_ADDRESS 16
static const uint8_t dwarf_register[16] = {0, 2, 1, 3, 7, 6, 4, 5, 8, 9, 10, 11, 12, 13, 14, 15};

#define CFA_ADVANCE_LOC    0x40u
#define CFA_OFFSET         0x80u
#define CFA_ADVANCE_LOC4   0x04u
#define CFA_DEF_CFA        0x0cu
#define CFA_DEF_CFA_OFFSET 0x0eu
#define CFA_DEF_CFA_EXPRESSION 0x0fu
#define OP_DEREF           0x06u
#define OP_PLUS_UCONST     0x23u
#define OP_BREG15          0x7fu

struct bytes {
    uint8_t *data;
    size_t size, capacity;
    bool failed;
};

static void put(struct bytes *b, const void *data, size_t size)
{
    if (b->size + size > b->capacity) {
        size_t capacity = 2 * b->capacity + size + 256;
        uint8_t *grown = b->failed ? NULL : realloc(b->data, capacity);

        if (!grown) {
            b->failed = true;
            return;
        }
        b->data = grown;
        b->capacity = capacity;
    }
    memcpy(b->data + b->size, data, size);
    b->size += size;
}

static void put_byte(struct bytes *b, unsigned value)
{
    put(b, &(uint8_t){(uint8_t)value}, 1);
}

static void put_32(struct bytes *b, uint32_t value)
{
    put(b, &value, sizeof value);
}

static void put_64(struct bytes *b, uint64_t value)
{
    put(b, &value, sizeof value);
}

static void put_uleb(struct bytes *b, uint64_t value)
{
    do {
        put_byte(b, (value & 0x7f) | (value > 0x7f ? 0x80 : 0));
        value >>= 7;
    } while (value);
}

static void put_sleb(struct bytes *b, int64_t value)
{
    for (;;) {
        unsigned low = value & 0x7f;

        value >>= 7;
        if (value == (low & 0x40 ? -1 : 0)) {
            put_byte(b, low);
            return;
        }
        put_byte(b, low | 0x80);
    }
}

/* Ends the entry that began at START: fills it up to a multiple of 8 bytes, and in its length. */
static void end_entry(struct bytes *b, size_t start)
{
    while (b->size % 8)
        put_byte(b, 0); /* DW_CFA_nop */
    if (!b->failed)
        memcpy(b->data + start, &(uint32_t){(uint32_t)(b->size - start - 4)}, 4);
}

/* ---- following the stack pointer ---- */

/* What the entry routine made: distance of the frame address from rsp in the body, and where registers are below it. */
struct frame {
    unsigned size;
    unsigned saved_count;
    struct {
        uint8_t dwarf;
        uint8_t slot; /* in units of 8 bytes below the frame address */
    } saved[16];
};

#define MAX_TARGETS 64

struct walk {
    struct bytes *out;
    uint64_t told; /* offset in the routine that DW_CFA_advance has come to */
    unsigned told_distance;
    unsigned distance; /* of the frame address from rsp */
    unsigned target_count;
    struct {
        uint64_t offset;
        unsigned distance;
    } targets[MAX_TARGETS]; /* of forward jumps */
};

static void advance(struct walk *w, uint64_t offset)
{
    uint64_t by = offset - w->told;

    if (!by)
        return;
    if (by < 0x40) {
        put_byte(w->out, CFA_ADVANCE_LOC | (unsigned)by);
    } else {
        put_byte(w->out, CFA_ADVANCE_LOC4);
        put_32(w->out, (uint32_t)by);
    }
    w->told = offset;
}

/* What holds from OFFSET on. */
static void tell(struct walk *w, uint64_t offset)
{
    if (w->distance == w->told_distance)
        return;
    advance(w, offset);
    put_byte(w->out, CFA_DEF_CFA_OFFSET);
    put_uleb(w->out, w->distance);
    w->told_distance = w->distance;
}

static void tell_saved(struct bytes *out, unsigned dwarf, unsigned slot)
{
    put_byte(out, CFA_OFFSET | dwarf);
    put_uleb(out, slot);
}

/* The frame address is SIZE above what is at [r15 + FRAME_END]. */
static void tell_body(struct bytes *out, int32_t frame_end, unsigned size)
{
    struct bytes expression = {NULL, 0, 0, false};

    put_byte(&expression, OP_BREG15);
    put_sleb(&expression, frame_end);
    put_byte(&expression, OP_DEREF);
    put_byte(&expression, OP_PLUS_UCONST);
    put_uleb(&expression, size);
    put_byte(out, CFA_DEF_CFA_EXPRESSION);
    put_uleb(out, expression.size);
    if (expression.failed)
        out->failed = true;
    else
        put(out, expression.data, expression.size);
    free(expression.data);
}

static bool is_stack_pointer(const ZydisDecodedOperand *operand)
{
    return operand->type == ZYDIS_OPERAND_TYPE_REGISTER && operand->reg.value == ZYDIS_REGISTER_RSP;
}

static void note_target(struct walk *w, uint64_t offset, const ZydisDecodedInstruction *insn,
                        const ZydisDecodedOperand *operand)
{
    if (operand->type != ZYDIS_OPERAND_TYPE_IMMEDIATE || !operand->imm.is_relative || w->target_count == MAX_TARGETS)
        return;
    w->targets[w->target_count].offset = offset + insn->length + (uint64_t)operand->imm.value.s;
    w->targets[w->target_count++].distance = w->distance;
}

/* Behind an instruction that never goes on: what a jump to here brings along; OTHERWISE if there is none. */
static unsigned distance_at(const struct walk *w, uint64_t offset, unsigned otherwise)
{
    for (unsigned i = 0; i < w->target_count; i++)
        if (w->targets[i].offset == offset)
            return w->targets[i].distance;
    return otherwise;
}

/* The instructions of an FDE. FRAME is found out in the entry routine. */
static bool walk_routine(const struct unwind_routine *r, struct frame *frame, struct bytes *out)
{
    ZydisDecoder decoder;
    ZydisDecodedInstruction insn;
    ZydisDecodedOperand operands[ZYDIS_MAX_OPERAND_COUNT];
    bool entering = r->kind == UNWIND_ENTRY;
    struct walk w = {.out = out, .told_distance = 8, .distance = 8};

    ZydisDecoderInit(&decoder, ZYDIS_MACHINE_MODE_LONG_64, ZYDIS_STACK_WIDTH_64);
    tell(&w, 0);
    for (uint64_t offset = 0; offset < r->size;) {
        if (!ZYAN_SUCCESS(ZydisDecoderDecodeFull(&decoder, r->code + offset, r->size - offset, &insn, operands)))
            return !entering;
        uint64_t next = offset + insn.length;
        bool ends = false;

        switch (insn.mnemonic) {
        case ZYDIS_MNEMONIC_PUSH:
        case ZYDIS_MNEMONIC_PUSHFQ:
            w.distance += 8;
            if (entering && insn.mnemonic == ZYDIS_MNEMONIC_PUSH && operands[0].type == ZYDIS_OPERAND_TYPE_REGISTER &&
                frame->saved_count < 16) {
                uint8_t dwarf = dwarf_register[ZydisRegisterGetId(operands[0].reg.value)];

                frame->saved[frame->saved_count].dwarf = dwarf;
                frame->saved[frame->saved_count++].slot = (uint8_t)(w.distance / 8);
                advance(&w, next);
                tell_saved(out, dwarf, w.distance / 8);
            }
            break;
        case ZYDIS_MNEMONIC_POP:
        case ZYDIS_MNEMONIC_POPFQ:
            w.distance -= 8;
            break;
        case ZYDIS_MNEMONIC_SUB:
        case ZYDIS_MNEMONIC_ADD:
            if (is_stack_pointer(&operands[0]) && operands[1].type == ZYDIS_OPERAND_TYPE_IMMEDIATE)
                w.distance += insn.mnemonic == ZYDIS_MNEMONIC_SUB ? (unsigned)operands[1].imm.value.u
                                                                  : 0u - (unsigned)operands[1].imm.value.u;
            break;
        case ZYDIS_MNEMONIC_MOV:
            if (is_stack_pointer(&operands[0])) /* the frame as it was made is found again */
                w.distance = frame->size;
            break;
        case ZYDIS_MNEMONIC_JMP:
            if (entering)
                frame->size = w.distance;
            entering = false;
            note_target(&w, offset, &insn, &operands[0]);
            ends = true;
            break;
        case ZYDIS_MNEMONIC_RET:
            ends = true;
            break;
        default:
            if (insn.meta.category == ZYDIS_CATEGORY_COND_BR)
                note_target(&w, offset, &insn, &operands[0]);
        }
        if (ends)
            w.distance = distance_at(&w, next, r->kind == UNWIND_CALLED ? 8 : frame->size);
        tell(&w, next);
        offset = next;
    }
    return !entering;
}

/* ---- the section ---- */

/* Where things are at a routine's first instruction if it was called; what is special is in the FDEs. */
static void put_cie(struct bytes *b)
{
    put_32(b, 0);      /* length */
    put_32(b, 0);      /* a CIE */
    put_byte(b, 1);    /* version */
    put_byte(b, 0);    /* no augmentation: addresses are absolute */
    put_uleb(b, 1);    /* code alignment */
    put_byte(b, 0x78); /* data alignment: -8 */
    put_byte(b, DWARF_RETURN_ADDRESS);
    put_byte(b, CFA_DEF_CFA);
    put_uleb(b, DWARF_RSP);
    put_uleb(b, 8);
    tell_saved(b, DWARF_RETURN_ADDRESS, 1);
    end_entry(b, 0);
}

uint8_t *unwind_describe(const struct unwind_routine *routines, size_t count, int32_t frame_end, size_t *size)
{
    struct bytes b = {NULL, 0, 0, false};
    struct frame frame = {0};
    bool ok = true;

    put_cie(&b);
    for (size_t i = 0; i < count && ok; i++) {
        const struct unwind_routine *r = &routines[i];
        size_t start = b.size;

        put_32(&b, 0);
        put_32(&b, (uint32_t)b.size); /* back to the CIE, which is at 0 */
        put_64(&b, r->address);
        put_64(&b, r->size);
        if (r->kind == UNWIND_BODY || r->kind == UNWIND_FIXED) {
            for (unsigned n = 0; n < frame.saved_count; n++)
                tell_saved(&b, frame.saved[n].dwarf, frame.saved[n].slot);
            tell_body(&b, frame_end, frame.size);
        } else {
            ok = walk_routine(r, &frame, &b);
        }
        end_entry(&b, start);
    }
    put_32(&b, 0);
    if (b.failed || !ok) {
        free(b.data);
        return NULL;
    }
    *size = b.size;
    return b.data;
}

/* Block discovery: decoding, one lifting function an instruction, the block's ends. */
#include "frontend/lift_private.h"

#include <stdio.h>
#include <string.h>

static lift_fn *const lift_functions[ROW_COUNT] = {
#define INSN(m, kind, ...) [ROW_##m] = lift_##kind,
#define INSN_PSEUDO        INSN
#include "cpu/instructions/all.def"
#undef INSN_PSEUDO
#undef INSN
};

/* ---- links ---- */

static enum ir_link_kind link_kind(const struct lift *l, uint32_t eip)
{
    uint32_t linear = l->block->linear + (eip - l->block->eip);

    if (linear >> PAGE_SHIFT != l->block->linear >> PAGE_SHIFT)
        return IR_LINK_OTHER_PAGE;
    return linear > l->block->linear && !l->behind_sti ? IR_LINK_FORWARD : IR_LINK_BACKWARD;
}

void lift_set_link(struct lift *l, unsigned link, uint32_t eip)
{
    l->block->links[link] = (struct ir_link){.used = true, .kind = (uint8_t)link_kind(l, eip), .eip = eip};
}

void lift_exit(struct lift *l, uint32_t eip)
{
    lift_set_link(l, 0, eip);
    ir_append(l->block, IR_EXIT, 0);
    l->ended = true;
}

/* ---- what has no IR form ---- */

struct decoded_instruction *lift_keep_instruction(struct lift *l)
{
    struct decoded_instruction *kept = &l->storage->interpreted[l->storage->interpreted_count++];

    *kept = *l->insn;
    return kept;
}

void lift_interpret(struct lift *l)
{
    struct ir_op *op = ir_append(l->block, IR_INTERPRET, 0);

    op->aux = lift_keep_instruction(l);
    if (l->row->attributes & ATTR_ENDS_BLOCK) {
        op->loop = 1;
        l->ended = true;
    }
}

void lift_raise(struct lift *l, enum exception_vector vector)
{
    ir_append(l->block, IR_RAISE, 0)->vector = (uint8_t)vector;
    l->ended = true;
}

/* The callout's memory operand, if it has one, is an offset: the C function checks and accesses. */
void lift_callout(struct lift *l)
{
    bool ends = (l->row->attributes & ATTR_ENDS_BLOCK) && !lift_may_go_on_behind(l->insn);
    struct ir_value offset = IR_NONE_VALUE;

    if (!l->row->callout) {
        lift_raise(l, EXC_UD);
        return;
    }
    /* #NM and #UD by CR0 and CR4 come first; the interpreter knows. */
    if (l->row->attributes & (ATTR_X87 | ATTR_MMX | ATTR_SSE)) {
        lift_interpret(l);
        return;
    }
    if (lift_segment_register(l))
        return;
    for (unsigned i = 0; i < l->insn->operand_count; i++)
        if (l->insn->operands[i].kind == OPERAND_MEMORY)
            offset = lift_offset(l, &l->insn->operands[i]);
    struct callout_args *args = &l->storage->callouts[l->storage->callout_count++];
    decode_callout_args(l->insn, args);
    struct ir_op *op = ir_append(l->block, ends ? IR_EXIT_CALLOUT : IR_CALLOUT, 0);
    op->a = offset;
    op->aux = args;
    op->function = (void *)l->row->callout;
    l->ended = ends;
}

/* STI holds back interrupts for one instruction (Intel SDM vol. 2, STI). Nobody looks for them within a block, so that
 * instruction may stand behind it; the block's end polls. */
static void continue_behind_sti(struct lift *l)
{
    struct ir_op *op = &l->block->ops[l->block->op_count - 1];

    op->opcode = IR_CALLOUT;
    op->function = (void *)callout_sti_before_another;
    l->ended = false;
    l->behind_sti = true;
}

/* ---- blocks ---- */

/* 16-bit IP wraps in real and virtual-8086 mode as long as the segment ends at FFFFh; elsewhere running past the limit
 * faults. */
static uint32_t eip_behind(const struct lift_request *request, uint32_t eip, unsigned length)
{
    uint32_t next = eip + length;
    bool protected = (request->mode & (MODE_PE | MODE_VM86)) == MODE_PE;

    return next == 0x10000 && request->cs_limit == 0xffff && !(request->mode & MODE_CS_D) && !protected ? 0 : next;
}

static void disassemble(const struct lift_request *request, const uint8_t *code, unsigned length, struct ir_insn *insn)
{
    ZydisDisassembledInstruction text;
    ZydisMachineMode mode = request->mode & MODE_CS_D ? ZYDIS_MACHINE_MODE_LEGACY_32 : ZYDIS_MACHINE_MODE_LEGACY_16;

    if (length && ZYAN_SUCCESS(ZydisDisassembleIntel(mode, insn->eip, code, length, &text)))
        snprintf(insn->text, sizeof insn->text, "%.*s", (int)sizeof insn->text - 1, text.text);
    else
        snprintf(insn->text, sizeof insn->text, "(undefined)");
}

static void lift_instruction(struct lift *l, enum decode_status status)
{
    if (status == DECODE_TOO_LONG)
        lift_raise(l, EXC_GP);
    else if (status == DECODE_UNDEFINED || !lift_functions[l->insn->row])
        lift_raise(l, EXC_UD);
    else
        lift_functions[l->insn->row](l);
}

/* The bytes that made an instruction what it is. The decoder has no length for one that is too long. */
static size_t bytes_of(const struct decoded_instruction *insn, size_t available)
{
    size_t length = insn->length ? insn->length : INSTRUCTION_MAX_LENGTH;

    return length < available ? length : available;
}

size_t lift_block(const struct lift_request *request, struct ir_block *block, struct lift_storage *storage)
{
    unsigned limit = request->limit < IR_MAX_INSNS ? request->limit : IR_MAX_INSNS;
    struct lift l = {.request = request, .block = block, .storage = storage, .next = request->eip};
    size_t used = 0;

    ir_block_init(block, request->eip, request->mode, request->linear);
    storage->callout_count = storage->interpreted_count = 0;
    while (block->insn_count < limit && used < request->available) {
        bool shadowed = l.ended && l.row == &instruction_table[ROW_STI] && !l.behind_sti;
        if (l.ended && !shadowed)
            break;
        struct decoded_instruction insn;
        const uint8_t *code = request->code + used;
        size_t left = request->available - used;
        uint32_t eip = request->eip + (uint32_t)used;
        enum decode_status status = decode_instruction(request->decoder, code, left, eip, request->mode & MODE_CS_D,
                                                       !(request->mode & MODE_PE), &insn);

        if (status == DECODE_MORE)
            break;
        if (shadowed)
            continue_behind_sti(&l);
        l.insn = &insn;
        l.row = &instruction_table[status == DECODE_OK ? insn.row : ROW_NONE];
        l.eip = eip;
        l.next = eip_behind(request, eip, insn.length);
        ir_begin_insn(block, eip, insn.length, status == DECODE_OK ? insn.row : ROW_NONE);
        if (!block->overflow)
            block->insns[block->insn_count - 1].next = l.next;
        if (request->text)
            disassemble(request, code, insn.length, &block->insns[block->insn_count - 1]);
        lift_instruction(&l, status);
        used += bytes_of(&insn, left);
        if (shadowed)
            break;
    }
    if (block->insn_count && !l.ended)
        lift_exit(&l, l.next);
    return block->overflow ? 0 : used;
}

/* ---- the list for people ---- */

const char *lift_describe_row(unsigned row)
{
    static const struct {
        const char *kind, *text;
    } special[] = {
        {"x87", "native; in segments not flat interpreter"},
        {"mmx", "native; in segments not flat interpreter"},
        {"sse", "native; in segments not flat interpreter"},
        {"bcd", "interpreter"},
        {"pusha", "interpreter"},
        {"popa", "interpreter"},
        {"salc", "interpreter"},
        {"string", "native; REP CMPS, SCAS and LODS interpreter"},
        {"bit", "native; bit string in memory interpreter"},
    };
    const struct instruction_row *r = &instruction_table[row < ROW_COUNT ? row : ROW_NONE];

    const char *segment = lift_describe_segment_row(row);
    if (segment)
        return segment;
    if (r->callout)
        return r->attributes & (ATTR_X87 | ATTR_MMX | ATTR_SSE) ? "interpreter" : "callout";
    for (size_t i = 0; i < ARRAY_SIZE(special); i++)
        if (!strcmp(r->kind, special[i].kind))
            return lift_fpu_row_is_interpreted(row) ? "interpreter" : special[i].text;
    return row == ROW_NONE || row >= ROW_COUNT || !strcmp(r->kind, "callout") ? "raises #UD" : "native";
}

/* x87, MMX and SSE: the guest's instruction itself, with its general registers and memory operand where translated code
 * has them.  Memory operands are native in flat segments; others, alignment checking, and what is rare or works on the
 * state as a whole is the interpreter's, as is everything that raises #NM or #UD by CR0 and CR4. */
#include "frontend/lift_private.h"

#include "cpu/model.h"

#include <string.h>

/* Loads that leave nothing of the destination register. */
static const uint16_t whole_loads[] = {ROW_MOVAPS, ROW_MOVAPD, ROW_MOVUPS, ROW_MOVUPD, ROW_MOVDQA, ROW_MOVDQU,
                                       ROW_MOVD, ROW_MOVQ /* zero what they do not load */};
/* 16-byte operands that need not be aligned. */
static const uint16_t unaligned_rows[] = {ROW_MOVUPS, ROW_MOVUPD, ROW_MOVDQU};
static const uint16_t interpreted_rows[] = {ROW_FNCLEX, ROW_FNINIT, ROW_MASKMOVQ, ROW_MASKMOVDQU, ROW_CLFLUSH,
                                            ROW_FENI8087_NOP, ROW_FDISI8087_NOP, ROW_FSETPM287_NOP};

static bool is_one_of(uint16_t row, const uint16_t *rows, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (rows[i] == row)
            return true;
    return false;
}
#define IS_ONE_OF(row, rows) is_one_of(row, rows, sizeof(rows) / sizeof((rows)[0]))

bool lift_fpu_row_is_interpreted(unsigned row)
{
    return IS_ONE_OF((uint16_t)row, interpreted_rows);
}

static const struct operand *memory_operand(const struct lift *l)
{
    for (unsigned i = 0; i < l->insn->operand_count; i++)
        if (l->insn->operands[i].kind == OPERAND_MEMORY)
            return &l->insn->operands[i];
    return NULL;
}

static bool is_available(const struct lift *l, uint32_t attributes)
{
    uint32_t mode = l->request->mode;

    if (mode & (MODE_AC | MODE_EM | MODE_TS))
        return false;
    return !(attributes & ATTR_SSE) || (mode & MODE_OSFXSR);
}

static bool is_native(const struct lift *l)
{
    const struct operand *memory = memory_operand(l);
    const struct decoded_instruction *insn = l->insn;

    if (lift_fpu_row_is_interpreted(insn->row) || insn->lock)
        return false;
    if (!memory)
        return true;
    if (MODE_SHAPE(l->request->mode, memory->segment) != SHAPE_FLAT || insn->address_size != 4)
        return false;
    if (memory->written && memory->segment == SEG_CS)
        return false;
    switch (memory->size) {
    case 1: case 2: case 4: case 8: case 10: case 16: return memory->read != memory->written;
    default: return false;
    }
}

static void emit_memory_probe(struct lift *l, const struct operand *memory)
{
    struct ir_op *probe = ir_emit_probe(l->block, lift_address(l, memory), memory->size,
                                        memory->written ? IR_ACCESS_WRITE : IR_ACCESS_READ);

    probe->probe = memory->size == 16 && !IS_ONE_OF(l->insn->row, unaligned_rows) ? IR_PROBE_FPU_ALIGNED : IR_PROBE_FPU;
}

static struct ir_op *emit_fpu(struct lift *l, enum ir_fpu_unit unit)
{
    const struct decoded_instruction *insn = l->insn;
    const struct operand *memory = memory_operand(l);

    if (memory)
        emit_memory_probe(l, memory);
    struct ir_op *op = ir_append(l->block, IR_FPU, 4);
    struct ir_fpu *fpu = &op->fpu;
    fpu->unit = (uint8_t)unit;
    fpu->prefix = insn->mandatory;
    fpu->map = insn->map;
    fpu->opcode = insn->opcode;
    fpu->modrm = insn->modrm;
    fpu->has_modrm = insn->has_modrm;
    op->aux = lift_keep_instruction(l);
    if (memory) {
        *(memory->written ? &op->dst : &op->a) = ir_mem();
        fpu->segment = memory->segment;
    }
    return op;
}

static void add_register(struct lift *l, struct ir_op *op, const struct operand *o)
{
    struct ir_fpu *fpu = &op->fpu;

    if (o->kind == OPERAND_GPR) {
        *(o->written ? &op->dst : &op->a) = ir_guest(o->number);
        if (o->field == OPERAND_FIELD_REG)
            fpu->reg_is_gpr = true;
        else
            fpu->rm_is_gpr = true;
    } else if (o->kind == OPERAND_XMM) {
        bool scalar = (l->insn->row == ROW_MOVSS || l->insn->row == ROW_MOVSD) && op->a.kind == IR_VALUE_MEM;
        bool whole = o->written && (scalar || IS_ONE_OF(l->insn->row, whole_loads));

        if (!whole)
            fpu->xmm_read |= (uint16_t)(1u << o->number);
        if (o->written)
            fpu->xmm_written |= (uint16_t)(1u << o->number);
    } else if (o->kind == OPERAND_IMMEDIATE) {
        fpu->has_immediate = true;
        fpu->immediate = (uint8_t)o->value;
    }
}

void lift_x87(struct lift *l)
{
    const struct decoded_instruction *insn = l->insn;
    const struct instruction_row *row = l->row;

    if (!is_available(l, ATTR_X87) || !is_native(l)) {
        lift_interpret(l);
        return;
    }
    struct ir_op *op = emit_fpu(l, IR_FPU_X87);
    struct ir_fpu *fpu = &op->fpu;
    fpu->prefix = 0;
    fpu->map = 0;
    fpu->notes_pointers = !(row->attributes & ATTR_X87_CONTROL) && insn->opcode != 0x9b;
    fpu->fop = (uint16_t)((insn->opcode & 7) << 8 | insn->modrm);
    if (row->flags_written)
        fpu->flags = IR_FPU_SETS_FLAGS;
    else if (row->flags_read)
        fpu->flags = IR_FPU_READS_FLAGS;
    if (insn->row == ROW_FNSTSW && !memory_operand(l)) { /* to AX, by the encoding itself */
        op->dst = ir_guest(GPR_AX);
        op->width = 2;
    }
}

static bool has_kind(const struct lift *l, unsigned kind)
{
    for (unsigned i = 0; i < l->insn->operand_count; i++)
        if (l->insn->operands[i].kind == kind)
            return true;
    return false;
}

static void lift_simd(struct lift *l)
{
    bool mmx = has_kind(l, OPERAND_MMX), xmm = has_kind(l, OPERAND_XMM);
    enum ir_fpu_unit unit = mmx ? (xmm ? IR_FPU_SSE_MMX : IR_FPU_MMX) : l->row->attributes & ATTR_MMX && !xmm ? IR_FPU_MMX
                                                                                                              : IR_FPU_SSE;
    uint32_t needs = l->row->attributes;

    if (xmm)
        needs |= ATTR_SSE;
    if (!is_available(l, needs) || !is_native(l)) {
        lift_interpret(l);
        return;
    }
    struct ir_op *op = emit_fpu(l, unit);
    for (unsigned i = 0; i < l->insn->operand_count; i++)
        add_register(l, op, &l->insn->operands[i]);
    if (l->row->flags_written)
        op->fpu.flags = IR_FPU_SETS_FLAGS;
}

void lift_mmx(struct lift *l)
{
    /* SSE2 extended these rows to XMM registers; on others those forms raise #UD, which the interpreter does. */
    if (has_kind(l, OPERAND_XMM) && !cpu_has(l->request->decoder->model, FEATURE_SSE2))
        lift_interpret(l);
    else
        lift_simd(l);
}

void lift_sse(struct lift *l)
{
    lift_simd(l);
}

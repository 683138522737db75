/* MOVS CMPS STOS LODS SCAS. With REP the comparing ones and LODS are the interpreter's, and with alignment checks all are.
 *
 * They count upwards here; with DF set STEP_FORWARD and REPEAT go to the interpreter. */
#include "frontend/lift_private.h"

static unsigned element_size(const struct lift *l)
{
    static const uint8_t sizes[3] = {1, 2, 4};

    return sizes[(l->insn->row - ROW_MOVSB) % 3]; /* five families of three sizes */
}

static unsigned source_segment(const struct lift *l)
{
    for (unsigned i = 0; i < l->insn->operand_count; i++) {
        const struct operand *o = &l->insn->operands[i];

        if (o->kind == OPERAND_MEMORY && o->base == GPR_SI)
            return o->segment;
    }
    return SEG_DS;
}

static void probe_source(struct lift *l)
{
    lift_probe(l, source_segment(l), lift_based(GPR_SI, 0), l->insn->address_size, element_size(l), IR_ACCESS_READ);
}

static void probe_destination(struct lift *l, enum ir_access access)
{
    lift_probe(l, SEG_ES, lift_based(GPR_DI, 0), l->insn->address_size, element_size(l), access);
}

static void step(struct lift *l, unsigned gpr)
{
    struct ir_op *op = ir_append(l->block, IR_LEA, l->insn->address_size);

    op->dst = ir_guest(gpr);
    op->address = lift_based(gpr, (int32_t)element_size(l));
}

static void movs(struct lift *l)
{
    probe_source(l);
    struct ir_value value = lift_zero_extended(l, ir_mem(), element_size(l));
    probe_destination(l, IR_ACCESS_WRITE);
    ir_emit_dst_a(l->block, IR_MOV, element_size(l), ir_mem(), value);
    step(l, GPR_SI);
    step(l, GPR_DI);
}

/* Processors read ES:(E)DI first: it shows when both fault. */
static void cmps(struct lift *l)
{
    probe_destination(l, IR_ACCESS_READ);
    struct ir_value value = lift_zero_extended(l, ir_mem(), element_size(l));
    probe_source(l);
    ir_emit_dst_a(l->block, IR_CMP, element_size(l), ir_mem(), value);
    step(l, GPR_SI);
    step(l, GPR_DI);
}

static void stos(struct lift *l)
{
    probe_destination(l, IR_ACCESS_WRITE);
    ir_emit_dst_a(l->block, IR_MOV, element_size(l), ir_mem(), ir_guest(GPR_AX));
    step(l, GPR_DI);
}

static void lods(struct lift *l)
{
    probe_source(l);
    ir_emit_dst_a(l->block, IR_MOV, element_size(l), ir_guest(GPR_AX), ir_mem());
    step(l, GPR_SI);
}

static void scas(struct lift *l)
{
    probe_destination(l, IR_ACCESS_READ);
    ir_emit_dst_a(l->block, IR_CMP, element_size(l), ir_guest(GPR_AX), ir_mem());
    step(l, GPR_DI);
}

static void repeat(struct lift *l, lift_fn *family)
{
    if ((family != movs && family != stos) || (l->request->mode & MODE_AC)) {
        lift_interpret(l);
        return;
    }
    struct ir_op *op = ir_append(l->block, IR_REPEAT, l->insn->address_size);
    op->loop = family == movs ? IR_REPEAT_MOVS : IR_REPEAT_STOS;
    op->size = (uint8_t)element_size(l);
    op->segment = (uint8_t)source_segment(l);
    op->aux = lift_keep_instruction(l);
}

void lift_string(struct lift *l)
{
    static lift_fn *const families[5] = {movs, cmps, stos, lods, scas};

    if (l->insn->repeat != REPEAT_NONE) {
        repeat(l, families[(l->insn->row - ROW_MOVSB) / 3]);
        return;
    }
    ir_append(l->block, IR_STEP_FORWARD, 0)->aux = lift_keep_instruction(l);
    families[(l->insn->row - ROW_MOVSB) / 3](l);
}

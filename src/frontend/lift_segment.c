/* Segment registers without a call: storing selectors in any mode, loading them where that is no more than a shift, in
 * real and virtual-8086 mode. What else there is stays a callout. */
#include "frontend/lift_private.h"

#include "cpu/callout.h"

static struct ir_value selector_of(struct lift *l, unsigned segment)
{
    struct ir_op *op = ir_append(l->block, IR_SELECTOR, 4);

    op->segment = (uint8_t)segment;
    return op->dst = ir_new_temp(l->block);
}

/* With a 32-bit operand ESP moves by 4, but only 16 bits are checked and written (Intel SDM vol. 2, PUSH). */
static void push(struct lift *l, const struct callout_args *args)
{
    int32_t size = args->operand_size;
    struct ir_value selector = selector_of(l, args->reg);

    lift_probe_stack(l, -size, 2, IR_ACCESS_WRITE);
    ir_emit_dst_a(l->block, IR_MOV, 2, ir_mem(), selector);
    lift_adjust_stack(l, -size);
}

/* To memory always 16 bits, to a register as many as it has. */
static void store(struct lift *l, const struct callout_args *args)
{
    const struct operand *to = &l->insn->operands[0];
    unsigned size = args->memory || args->operand_size == 2 ? 2 : 4;
    struct ir_value selector = selector_of(l, args->reg);
    struct ir_value destination = lift_destination(l, to, size, IR_ACCESS_WRITE);

    ir_emit_dst_a(l->block, IR_MOV, size, destination, selector);
}

/* ---- loading: the descriptor is what it was, but for the base ---- */

/* Is a load of SEGMENT no more than selector and base? Not if the descriptor is flat: a base of 0 decides that. SS
 * holds back interrupts for one instruction, which its callout sees to. */
static bool loads_simply(const struct lift *l, unsigned segment)
{
    uint32_t mode = l->request->mode;

    return (!(mode & MODE_PE) || (mode & MODE_VM86)) && segment < SEG_COUNT && segment != SEG_CS && segment != SEG_SS &&
           MODE_SHAPE(mode, segment) == SHAPE_64K;
}

/* In virtual-8086 mode all segments are alike; in real mode limit and DPL may be left from protected mode. */
static void check(struct lift *l, unsigned segment)
{
    if (l->request->mode & MODE_VM86)
        return;
    ir_append(l->block, IR_CHECK_SELECTOR, 0)->segment = (uint8_t)segment;
}

static void set(struct lift *l, unsigned segment, struct ir_value selector)
{
    struct ir_op *op = ir_append(l->block, IR_SET_SELECTOR, 4);

    op->segment = (uint8_t)segment;
    op->a = selector;
}

static void load(struct lift *l, const struct callout_args *args)
{
    check(l, args->reg);
    set(l, args->reg, lift_zero_extended(l, lift_source(l, &l->insn->operands[1], 2), 2));
}

static void pop(struct lift *l, const struct callout_args *args)
{
    check(l, args->reg);
    lift_probe_stack(l, 0, 2, IR_ACCESS_READ);
    set(l, args->reg, lift_zero_extended(l, ir_mem(), 2));
    lift_adjust_stack(l, args->operand_size);
}

/* LES, LDS ...: the offset is read first. */
static void load_far(struct lift *l, const struct callout_args *args, unsigned segment)
{
    const struct operand *memory = &l->insn->operands[1];
    struct ir_address behind = lift_address(l, memory);

    check(l, segment);
    lift_probe_operand(l, memory, args->operand_size, IR_ACCESS_READ);
    struct ir_value offset = lift_zero_extended(l, ir_mem(), args->operand_size);
    behind.displacement = (int32_t)((uint32_t)behind.displacement + args->operand_size);
    lift_probe(l, memory->segment, behind, args->address_size, 2, IR_ACCESS_READ);
    set(l, segment, lift_zero_extended(l, ir_mem(), 2));
    ir_emit_dst_a(l->block, IR_MOV, args->operand_size, ir_guest(args->reg), offset);
}

static unsigned segment_of_far_load(unsigned row)
{
    switch (row) {
    case ROW_LDS:
        return SEG_DS;
    case ROW_LES:
        return SEG_ES;
    case ROW_LFS:
        return SEG_FS;
    case ROW_LGS:
        return SEG_GS;
    default:
        return SEG_COUNT;
    }
}

bool lift_segment_register(struct lift *l)
{
    struct callout_args args;
    unsigned row = l->insn->row, far = segment_of_far_load(row), segment;

    if (!lift_describe_segment_row(row))
        return false;
    decode_callout_args(l->insn, &args);
    segment = far != SEG_COUNT ? far : args.reg;
    if (row == ROW_PUSH_SEGMENT) {
        push(l, &args);
    } else if (row == ROW_MOV_FROM_SEGMENT && segment < SEG_COUNT) {
        store(l, &args);
    } else if (row == ROW_MOV_FROM_SEGMENT || !loads_simply(l, segment)) {
        return false;
    } else if (row == ROW_MOV_TO_SEGMENT) {
        load(l, &args);
    } else if (row == ROW_POP_SEGMENT) {
        pop(l, &args);
    } else if (args.memory) {
        load_far(l, &args, segment);
    } else {
        return false;
    }
    return true;
}

/* Loads of data segments: as a rule the shape is what it was. */
bool lift_may_go_on_behind(const struct decoded_instruction *insn)
{
    struct callout_args args;

    if (segment_of_far_load(insn->row) != SEG_COUNT)
        return true;
    if (insn->row != ROW_MOV_TO_SEGMENT && insn->row != ROW_POP_SEGMENT)
        return false;
    decode_callout_args(insn, &args);
    return args.reg != SEG_SS && args.reg != SEG_CS && args.reg < SEG_COUNT;
}

const char *lift_describe_segment_row(unsigned row)
{
    if (row == ROW_PUSH_SEGMENT || row == ROW_MOV_FROM_SEGMENT)
        return "native";
    if (row == ROW_MOV_TO_SEGMENT || row == ROW_POP_SEGMENT || segment_of_far_load(row) != SEG_COUNT)
        return "native in real and virtual-8086 mode; else callout";
    return NULL;
}

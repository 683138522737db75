/* Operands, addresses, segments and the stack. */
#include "frontend/lift_private.h"

struct ir_value lift_gpr(const struct operand *gpr)
{
    return gpr->high ? ir_high(gpr->number) : ir_guest(gpr->number);
}

struct ir_value lift_constant(uint64_t value, unsigned width)
{
    return ir_const(width == 1 ? (int8_t)value : width == 2 ? (int16_t)value : (int32_t)value);
}

/* ---- memory operands ---- */

static struct ir_value address_register(unsigned number)
{
    return number == GPR_ZERO ? IR_NONE_VALUE : ir_guest(number);
}

struct ir_address lift_based(unsigned base, int32_t displacement)
{
    return (struct ir_address){.base = ir_guest(base), .displacement = displacement};
}

struct ir_address lift_address(const struct lift *l, const struct operand *memory)
{
    struct ir_address address = {.base = address_register(memory->base),
                                 .index = address_register(memory->index),
                                 .scale = memory->index == GPR_ZERO ? 0 : memory->scale,
                                 .displacement = (int32_t)memory->value};

    if (l->insn->address_size == 2 && memory->base == GPR_ZERO && memory->index == GPR_ZERO)
        address.displacement &= 0xffff;
    return address;
}

static struct ir_value effective_address(struct lift *l, struct ir_address address, unsigned address_size)
{
    struct ir_op *op = ir_append(l->block, IR_LEA, address_size);

    op->address = address;
    return op->dst = ir_new_temp(l->block);
}

struct ir_value lift_offset(struct lift *l, const struct operand *memory)
{
    return effective_address(l, lift_address(l, memory), l->insn->address_size);
}

/* No check and no base: the offset is the linear address. A code segment counts as flat when it is readable, and is
 * writable in real mode alone. */
static bool is_flat(const struct lift *l, unsigned segment, enum ir_access access)
{
    return MODE_SHAPE(l->request->mode, segment) == SHAPE_FLAT && (segment != SEG_CS || access == IR_ACCESS_READ);
}

void lift_probe(struct lift *l, unsigned segment, struct ir_address address, unsigned address_size, unsigned size,
                enum ir_access access)
{
    if (!is_flat(l, segment, access)) {
        struct ir_op *op = ir_append(l->block, IR_SEGMENT, address_size);

        op->address = address;
        op->segment = (uint8_t)segment;
        op->size = (uint8_t)size;
        op->access = (uint8_t)access;
        op->dst = ir_new_temp(l->block);
        address = (struct ir_address){.base = op->dst};
    } else if (address_size == 2 && (address.base.kind != IR_VALUE_NONE || address.index.kind != IR_VALUE_NONE)) {
        address = (struct ir_address){.base = effective_address(l, address, 2)};
    }
    ir_emit_probe(l->block, address, size, access);
}

void lift_probe_operand(struct lift *l, const struct operand *memory, unsigned size, enum ir_access access)
{
    lift_probe(l, memory->segment, lift_address(l, memory), l->insn->address_size, size, access);
}

struct ir_value lift_destination(struct lift *l, const struct operand *operand, unsigned size, enum ir_access access)
{
    if (operand->kind != OPERAND_MEMORY)
        return lift_gpr(operand);
    lift_probe_operand(l, operand, size, access);
    return ir_mem();
}

struct ir_value lift_source(struct lift *l, const struct operand *operand, unsigned size)
{
    if (operand->kind == OPERAND_IMMEDIATE)
        return lift_constant((uint64_t)operand->value, size);
    return lift_destination(l, operand, size, IR_ACCESS_READ);
}

struct ir_value lift_zero_extended(struct lift *l, struct ir_value source, unsigned size)
{
    struct ir_value temp = ir_new_temp(l->block);

    if (size == 4)
        ir_emit_dst_a(l->block, IR_MOV, 4, temp, source);
    else
        ir_emit_dst_a(l->block, IR_MOVZX, 4, temp, source)->narrow = (uint8_t)size;
    return temp;
}

struct ir_op *lift_emit(struct lift *l, enum ir_opcode opcode, unsigned width, struct ir_value dst, struct ir_value a)
{
    struct ir_op *op = ir_emit_dst_a(l->block, opcode, width, dst, a);

    op->lock = l->insn->lock;
    return op;
}

/* ---- the stack ---- */

unsigned lift_stack_width(const struct lift *l)
{
    return l->request->mode & MODE_SS_B ? 4 : 2;
}

void lift_probe_stack(struct lift *l, int32_t displacement, unsigned size, enum ir_access access)
{
    lift_probe(l, SEG_SS, lift_based(GPR_SP, displacement), lift_stack_width(l), size, access);
}

void lift_adjust_stack(struct lift *l, int32_t bytes)
{
    struct ir_op *op = ir_append(l->block, IR_LEA, lift_stack_width(l));

    op->dst = ir_guest(GPR_SP);
    op->address = lift_based(GPR_SP, bytes);
}

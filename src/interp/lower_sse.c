/* Lowering of SSE and SSE2 instructions: from rows and operands to the handlers of lower_sse_*.c. */
#include "interp/lower_sse.h"

static const struct operand_handlers *find_in(const struct operand_handlers *table, unsigned count, unsigned row,
                                              unsigned selector)
{
    for (unsigned i = 0; i < count; i++)
        if (table[i].row == row && table[i].selector == selector)
            return &table[i];
    return NULL;
}

static const struct operand_handlers *find(unsigned row, unsigned selector)
{
    const struct operand_handlers *h = find_in(sse_float_handlers, sse_float_handler_count, row, selector);

    if (!h)
        h = find_in(sse_move_handlers, sse_move_handler_count, row, selector);
    return h ? h : find_in(sse_integer_handlers, sse_integer_handler_count, row, selector);
}

/* Shuffles: an offset in bytes for each of COUNT elements of SIZE bytes, FIELD bits of the immediate each. */
static uint64_t shuffle_offsets(uint8_t immediate, unsigned count, unsigned size)
{
    unsigned field = count == 2 ? 1 : 2;
    uint64_t offsets = 0;

    for (unsigned i = 0; i < count; i++)
        offsets |= (uint64_t)((immediate >> (field * i)) & ((1u << field) - 1)) * size << (8 * i);
    return offsets;
}

static unsigned lower_immediate(struct lowering *l, const struct operand *a, uint8_t immediate, bool present)
{
    struct op *op = l->op;

    op->immediate = immediate;
    switch (l->insn->row) {
    case ROW_CMPPS:
    case ROW_CMPPD:
    case ROW_CMPSS:
    case ROW_CMPSD:
        return immediate & 7;
    case ROW_SHUFPS:
    case ROW_PSHUFD:
        op->immediate = shuffle_offsets(immediate, 4, 4);
        return SSE_LOAD;
    case ROW_SHUFPD:
        op->immediate = shuffle_offsets(immediate, 2, 8);
        return SSE_LOAD;
    case ROW_PSHUFLW:
    case ROW_PSHUFHW:
        op->immediate = shuffle_offsets(immediate, 4, 2);
        return SSE_LOAD;
    case ROW_PINSRW:
    case ROW_PEXTRW:
        return SSE_LOAD;
    case ROW_MOVD:
        return a->kind == OPERAND_XMM ? SSE_LOAD : SSE_STORE;
    default:
        if (present)
            return SSE_IMMEDIATE;
        return a->kind == OPERAND_MEMORY ? SSE_STORE : SSE_LOAD;
    }
}

static void lower_register(uint8_t *field, const struct operand *operand)
{
    if (operand->kind == OPERAND_XMM)
        *field = (uint8_t)(operand->number * 16);
    else if (operand->kind == OPERAND_GPR)
        *field = lower_gpr(operand);
}

void lower_sse_operands(struct lowering *l)
{
    const struct decoded_instruction *insn = l->insn;
    const struct operand *a = &insn->operands[0], *b = &insn->operands[1];
    const struct operand *last = insn->operand_count ? &insn->operands[insn->operand_count - 1] : a;
    bool immediate = last->kind == OPERAND_IMMEDIATE;
    unsigned selector = lower_immediate(l, a, immediate ? (uint8_t)last->value : 0, immediate);
    const struct operand_handlers *handlers = find(insn->row, selector);
    const struct operand *memory = fpu_memory_operand(insn);

    if (!handlers)
        return;
    lower_register(&l->op->dst, a);
    lower_register(&l->op->src, b);
    if (memory)
        fpu_lower_memory(l, memory, handlers->memory, handlers->memory_slow);
    else
        l->op->handler = handlers->reg;
}

void interp_lower_sse(struct lowering *l)
{
    const struct decoded_instruction *insn = l->insn;

    if (lower_fpu_availability(l))
        return;
    for (unsigned i = 0; i < insn->operand_count; i++)
        if (insn->operands[i].kind == OPERAND_MMX) {
            lower_mmx_mixed(l);
            return;
        }
    switch (insn->row) { /* MMX operations too, but their memory forms name no MMX register */
    case ROW_CVTPI2PS:
    case ROW_CVTPI2PD:
        lower_mmx_mixed(l);
        return;
    default:
        lower_sse_operands(l);
        return;
    }
}

/* Lowering of MMX instructions; the ones that are no plain packed operation. */
#include "interp/lower_mmx.h"

#include "cpu/model.h"

/* ---- second stages that end in a general register ---- */

static const struct op *to_gpr(struct vcpu *cpu, const struct op *op) /* MOVD */
{
    SET_REG32(op->dst, SCRATCH_32(cpu));
    NEXT();
}

static const struct op *extract_word(struct vcpu *cpu, const struct op *op)
{
    SET_REG32(op->dst, ((const uint16_t *)(const void *)cpu->fpu_scratch)[op->src & 3]);
    NEXT();
}

static const struct op *mask_of_signs(struct vcpu *cpu, const struct op *op)
{
    SET_REG32(op->dst, _mm_movemask_epi8(_mm_loadl_epi64((const void *)cpu->fpu_scratch)));
    NEXT();
}

/* ---- second stages that go on to a third, the load of MMX register op->dst ---- */

static const struct op *shuffle_words(struct vcpu *cpu, const struct op *op)
{
    const uint16_t *words = (const void *)cpu->fpu_scratch;
    unsigned order = op->src;

    SCRATCH_64(cpu) = (uint64_t)words[order & 3] | (uint64_t)words[order >> 2 & 3] << 16 |
                      (uint64_t)words[order >> 4 & 3] << 32 | (uint64_t)words[order >> 6 & 3] << 48;
    return mmx_to_register[op->dst](cpu, op);
}

/* ---- instructions that read a second MMX register ---- */

#define DEFINE_READ(n)                                                                                       \
    always_inline bool read_##n(uint64_t *value)                                                             \
    {                                                                                                        \
        asm goto("1: movq %%mm" #n ", %0" FPU_FAULT_ENTRY(fault) : : "m"(*value) : "memory" : fault);        \
        return true;                                                                                         \
    fault:                                                                                                   \
        return false;                                                                                        \
    }
FOR_MMX(DEFINE_READ)

/* False: a pending x87 error. */
static noinline bool read_register(unsigned number, uint64_t *value)
{
    switch (number) {
#define CASE(n)                                                                                              \
    case n:                                                                                                  \
        return read_##n(value);
        FOR_MMX(CASE)
#undef CASE
    default:
        return false;
    }
}

/* The word is in the scratch operand; op->dst is the register's number, op->src the position. */
static const struct op *insert_word(struct vcpu *cpu, const struct op *op)
{
    uint64_t value;
    unsigned shift = 16 * (op->src & 3);

    if (!read_register(op->dst, &value))
        return fpu_raise_x87(cpu, op);
    SCRATCH_64(cpu) = (value & ~(0xffffull << shift)) | (SCRATCH_64(cpu) & 0xffff) << shift;
    return mmx_to_register[op->dst](cpu, op);
}

/* op->dst: data, op->src: mask */
always_inline const struct op *masked_move(struct vcpu *cpu, const struct op *op, enum ea_form form)
{
    uint64_t data, mask;

    if (!read_register(op->dst, &data) || !read_register(op->src, &mask))
        return fpu_raise_x87(cpu, op);
    if (!fpu_store_masked(cpu, op, form, (const uint8_t *)&data, (const uint8_t *)&mask, sizeof data))
        return interp_fault(cpu, op);
    NEXT();
}

static const struct op *maskmovq_address32(struct vcpu *cpu, const struct op *op)
{
    return masked_move(cpu, op, EA_FLAT);
}
static const struct op *maskmovq_address16(struct vcpu *cpu, const struct op *op)
{
    return masked_move(cpu, op, EA_SEG16);
}

/* ---- lowering ---- */

static bool uses_xmm(const struct decoded_instruction *insn)
{
    for (unsigned i = 0; i < insn->operand_count; i++)
        if (insn->operands[i].kind == OPERAND_XMM)
            return true;
    return false;
}

/* The memory operand of PUNPCKL* is 4 bytes, of all others 8. */
static unsigned packed_source_size(unsigned row)
{
    return row == ROW_PUNPCKLBW || row == ROW_PUNPCKLWD || row == ROW_PUNPCKLDQ ? 4 : 8;
}

static void lower_store(struct lowering *l, const struct operand *memory, const struct operand *source)
{
    const struct memory_handlers *handlers =
        &(l->insn->row == ROW_MOVD ? mmx_store4 : mmx_store8)[source->number & 7];

    fpu_lower_memory(l, memory, handlers->fast, handlers->slow);
}

static void lower_to_gpr(struct lowering *l, op_handler *second_stage)
{
    l->op->dst = lower_gpr(&l->insn->operands[0]);
    l->op->src = (uint8_t)l->insn->operands[2].value;
    l->op->pointer = second_stage;
    lower_mmx_source(l, &l->insn->operands[1], 8);
}

static void lower_to_mmx(struct lowering *l, op_handler *second_stage, unsigned size)
{
    l->op->dst = l->insn->operands[0].number & 7;
    l->op->src = (uint8_t)l->insn->operands[2].value;
    l->op->pointer = second_stage;
    lower_mmx_source(l, &l->insn->operands[1], size);
}

static void lower_maskmovq(struct lowering *l)
{
    const struct operand *memory = fpu_memory_operand(l->insn);

    if (!memory)
        return;
    l->op->handler = lower_address(l, memory) == EA_SEG16 ? maskmovq_address16 : maskmovq_address32;
    l->op->dst = l->insn->operands[0].number & 7;
    l->op->src = l->insn->operands[1].number & 7;
}

static void lower_move(struct lowering *l)
{
    const struct operand *a = &l->insn->operands[0], *b = &l->insn->operands[1];

    if (a->kind == OPERAND_MEMORY)
        lower_store(l, a, b);
    else if (a->kind == OPERAND_GPR)
        lower_to_gpr(l, to_gpr);
    else
        lower_to_mmx(l, mmx_to_register[a->number & 7], l->insn->row == ROW_MOVD ? 4 : 8);
}

void interp_lower_mmx(struct lowering *l)
{
    const struct decoded_instruction *insn = l->insn;
    op_handler *const *packed;

    if (uses_xmm(insn)) { /* SSE2 extended the MMX instructions to XMM registers */
        if (cpu_has(l->cpu->model, FEATURE_SSE2) && !fpu_lower_availability(l, ATTR_SSE))
            lower_sse_operands(l);
        return;
    }
    if (lower_fpu_availability(l))
        return;
    switch (insn->row) {
    case ROW_EMMS:
        l->op->handler = mmx_emms;
        return;
    case ROW_MOVD:
    case ROW_MOVQ:
    case ROW_MOVNTQ:
        lower_move(l);
        return;
    case ROW_MASKMOVQ:
        lower_maskmovq(l);
        return;
    case ROW_PEXTRW:
        lower_to_gpr(l, extract_word);
        return;
    case ROW_PMOVMSKB:
        lower_to_gpr(l, mask_of_signs);
        return;
    case ROW_PINSRW:
        lower_to_mmx(l, insert_word, 2);
        return;
    case ROW_PSHUFW:
        lower_to_mmx(l, shuffle_words, 8);
        return;
    default:
        packed = mmx_packed_handlers(insn->row);
        if (packed)
            lower_to_mmx(l, packed[insn->operands[0].number & 7], packed_source_size(insn->row));
        return;
    }
}

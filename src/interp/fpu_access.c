/* The careful way to memory operands of x87, MMX and SSE instructions, and their errors. */
#include "interp/fpu_access.h"

#include "cpu/segmentation.h"

/* ---- memory ---- */

static bool check_operand(struct vcpu *cpu, const struct op *op, uint32_t offset, unsigned size,
                          enum fpu_alignment alignment, bool write)
{
    /* Processors look at strict alignment before the limit: #GP(0) for a stack operand that violates both. */
    if (alignment == ALIGN_STRICT && ((cpu->state.segment[op->segment].base + offset) & 15))
        return cpu_raise_error(cpu, EXC_GP, 0);
    struct mmu_result linear = interp_check_segment(cpu, op->segment, offset, size, write);

    if (!linear.ok)
        return false;
    if (!(linear.value & ((unsigned)alignment - 1)))
        return true;
    return cpu->mmu.alignment_check ? cpu_raise_error(cpu, EXC_AC, 0) : true;
}

static uint32_t offset_behind(uint32_t offset, unsigned bytes, enum ea_form form)
{
    return form == EA_SEG16 ? (uint16_t)(offset + bytes) : offset + bytes;
}

bool fpu_fetch(struct vcpu *cpu, const struct op *op, enum ea_form form, unsigned size, enum fpu_alignment alignment)
{
    uint32_t offset = op_offset(cpu, op, form);

    if (size == 10)
        return check_operand(cpu, op, offset, 8, alignment, false) &&
               cpu_read_data_bytes(cpu, op->segment, offset, cpu->fpu_scratch, 8) &&
               cpu_read_data_bytes(cpu, op->segment, offset_behind(offset, 8, form), cpu->fpu_scratch + 8, 2);
    return check_operand(cpu, op, offset, size, alignment, false) &&
           cpu_read_data_bytes(cpu, op->segment, offset, cpu->fpu_scratch, size);
}

bool fpu_touch(struct vcpu *cpu, const struct op *op, enum ea_form form)
{
    uint64_t linear;

    return cpu_check_segment_limit(cpu, op->segment, op_offset(cpu, op, form), 1, &linear) &&
           (mmu_probe(&cpu->mmu, linear, 1, MMU_READ) || cpu_raise_memory_fault(cpu));
}

bool fpu_prepare_store(struct vcpu *cpu, const struct op *op, enum ea_form form, unsigned size,
                       enum fpu_alignment alignment)
{
    uint32_t offset = op_offset(cpu, op, form);

    return check_operand(cpu, op, offset, size, alignment, true) &&
           cpu_probe_data(cpu, op->segment, offset, size, MMU_WRITE);
}

bool fpu_store(struct vcpu *cpu, const struct op *op, enum ea_form form, const void *from, unsigned size,
               enum fpu_alignment alignment)
{
    uint32_t offset = op_offset(cpu, op, form);

    if (size == 10)
        return check_operand(cpu, op, offset, 8, alignment, true) &&
               cpu_write_data_bytes(cpu, op->segment, offset, from, 8) &&
               cpu_write_data_bytes(cpu, op->segment, offset_behind(offset, 8, form), (const uint8_t *)from + 8, 2);
    return check_operand(cpu, op, offset, size, alignment, true) &&
           cpu_write_data_bytes(cpu, op->segment, offset, from, size);
}

bool fpu_store_masked(struct vcpu *cpu, const struct op *op, enum ea_form form, const uint8_t *data,
                      const uint8_t *mask, unsigned size)
{
    uint32_t offset = op_offset(cpu, op, form);

    /* Two operands of 8 bytes, of which processors look at the upper one first, as CR2 shows. */
    for (unsigned at = size; at; at -= 8) {
        uint32_t half = offset_behind(offset, at - 8, form);

        if (!check_operand(cpu, op, half, 8, ALIGN_CHECK_8, true) ||
            !cpu_probe_data(cpu, op->segment, half, 8, MMU_WRITE))
            return false;
    }
    for (unsigned i = 0; i < size; i++)
        if ((mask[i] & 0x80) &&
            !cpu_write_data(cpu, op->segment, offset_behind(offset, i & 8, form) + (i & 7), 1, data[i]))
            return false;
    return true;
}

/* ---- errors ---- */

static const struct op *stop_handler(struct vcpu *cpu, const struct op *op)
{
    return op;
}

/* IGNNE# is asserted. The host always reports errors, so the pending ones are taken out of its status word,
 * the instruction runs alone, and they are put back. */
static const struct op *run_ignoring(struct vcpu *cpu, const struct op *op)
{
    struct op alone[2] = {*op, {.handler = stop_handler}};
    uint32_t environment[7];
    uint16_t control, status;

    __asm__ volatile("fnstcw %0\n\tfnstsw %1\n\tfnclex" : "=m"(control), "=m"(status));
    const struct op *next = alone[0].handler(cpu, &alone[0]);
    __asm__ volatile("fnstcw %0\n\tfnstenv %1" : "=m"(control), "=m"(environment)); /* masks; nothing is pending then */
    environment[0] = 0xffff0000u | control;
    environment[1] |= status & X87_EXCEPTIONS;
    __asm__ volatile("fldenv %0" : : "m"(environment));
    if (!next)
        return NULL;
    DISPATCH(op + 1);
}

const struct op *fpu_raise_x87(struct vcpu *cpu, const struct op *op)
{
    switch (cpu_fpu_meet_error(cpu)) {
    case FPU_ERROR_RAISE:
        return interp_raise(cpu, op, EXC_MF);
    case FPU_ERROR_FREEZE:
        atomic_fetch_or(&cpu->attention, ATTENTION_INTERRUPT);
        return interp_leave_before(cpu, op);
    default:
        return run_ignoring(cpu, op);
    }
}

const struct op *fpu_raise_simd(struct vcpu *cpu, const struct op *op)
{
    return interp_raise(cpu, op, cpu->state.cr4 & CR4_OSXMMEXCPT ? EXC_XM : EXC_UD);
}

const struct op *fpu_raise_mixed(struct vcpu *cpu, const struct op *op)
{
    return cpu->fault_vector == EXC_MF ? fpu_raise_x87(cpu, op) : fpu_raise_simd(cpu, op);
}

const struct op *fpu_next_after_clearing(struct vcpu *cpu, const struct op *op)
{
    cpu_fpu_update_error_line(cpu);
    NEXT();
}

/* ---- lowering ---- */

const struct operand *fpu_memory_operand(const struct decoded_instruction *insn)
{
    for (unsigned i = 0; i < insn->operand_count; i++)
        if (insn->operands[i].kind == OPERAND_MEMORY)
            return &insn->operands[i];
    return NULL;
}

void fpu_lower_memory(struct lowering *l, const struct operand *operand, op_handler *const *fast,
                      op_handler *const *slow)
{
    enum ea_form form = lower_address(l, operand);

    l->op->handler = l->mode & MODE_AC ? slow[form] : fast[form];
}

bool fpu_lower_availability(struct lowering *l, uint32_t attributes)
{
    const struct instruction_row *row = l->row;
    struct instruction_row changed = *row;

    changed.attributes = (row->attributes & ~(uint32_t)(ATTR_X87 | ATTR_MMX | ATTR_SSE)) | attributes;
    l->row = &changed;
    bool raises = lower_fpu_availability(l);
    l->row = row;
    return raises;
}

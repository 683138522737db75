/* What the handlers of x87, MMX and SSE instructions share: memory operands, pointers, errors.
 *
 * The fast copy of a handler executes the host instruction on guest RAM itself. Unlike the integer
 * handlers it takes misaligned operands that stay inside their page, because compilers for 32-bit
 * code align doubles to 4 bytes. Blocks made for alignment checking (MODE_AC) therefore use the slow
 * copies, which check; there, operands go through cpu->fpu_scratch.
 *
 * Alignment checks as processors make them: operands of 2, 4 and 8 bytes at their size, of 10 bytes at 8,
 * unaligned 16-byte moves never. Operands of 16 bytes that must be aligned raise #GP(0) always. */
#ifndef DRAGOMAN_INTERP_FPU_ACCESS_H
#define DRAGOMAN_INTERP_FPU_ACCESS_H

#include "cpu/fpu.h"
#include "interp/fpu_signal.h"
#include "interp/lower.h"
#include "interp/op.h"

enum fpu_alignment {
    ALIGN_NONE = 1,
    ALIGN_CHECK_2 = 2, /* subject to #AC */
    ALIGN_CHECK_4 = 4,
    ALIGN_CHECK_8 = 8,
    ALIGN_STRICT = 16 /* #GP(0) */
};

/* Host pointer for SIZE bytes at LINEAR, or NULL: take the slow copy. */
always_inline uint8_t *fpu_pointer(uint64_t *table, uint64_t linear, unsigned size, enum fpu_alignment alignment)
{
    if (size == (unsigned)alignment && size != 8)
        return mmu_fast_pointer(table, linear, size);
    uint64_t entry = table[(uint32_t)linear >> PAGE_SHIFT];
    if (unlikely(!entry || (linear & PAGE_MASK) > PAGE_SIZE - size))
        return NULL;
    uint8_t *p = (uint8_t *)(entry + (uint32_t)linear);
    if (!p)
        __builtin_unreachable();
    return p;
}

/* The careful way. Reads OP's memory operand into cpu->fpu_scratch after all checks; false: interp_fault(). */
bool fpu_fetch(struct vcpu *cpu, const struct op *op, enum ea_form form, unsigned size, enum fpu_alignment alignment);
/* CLFLUSH's checks of a byte: a load's, but execute-only segments may be named. */
bool fpu_touch(struct vcpu *cpu, const struct op *op, enum ea_form form);
/* All checks of a store; nothing is written. */
bool fpu_prepare_store(struct vcpu *cpu, const struct op *op, enum ea_form form, unsigned size,
                       enum fpu_alignment alignment);
/* Checks, then writes. */
bool fpu_store(struct vcpu *cpu, const struct op *op, enum ea_form form, const void *from, unsigned size,
               enum fpu_alignment alignment);

/* MASKMOVQ, MASKMOVDQU: checks SIZE bytes (8 or 16), then writes those whose mask byte has bit 7 set. */
bool fpu_store_masked(struct vcpu *cpu, const struct op *op, enum ea_form form, const uint8_t *data,
                      const uint8_t *mask, unsigned size);

/* ---- errors: each returns what the handler has to return ---- */

/* The host instruction for OP met a pending x87 error and did nothing: #MF, or what CR0.NE = 0 puts in its place. */
const struct op *fpu_raise_x87(struct vcpu *cpu, const struct op *op);
/* It raised an unmasked SIMD exception: #XM, or #UD without CR4.OSXMMEXCPT. */
const struct op *fpu_raise_simd(struct vcpu *cpu, const struct op *op);
/* It uses both units; cpu->fault_vector tells which of the two it was. */
const struct op *fpu_raise_mixed(struct vcpu *cpu, const struct op *op);
/* Goes on with the next operation after releasing FERR# if the error is gone. */
const struct op *fpu_next_after_clearing(struct vcpu *cpu, const struct op *op);

/* ---- lowering ---- */

/* Handlers of an instruction with a register or memory source. SELECTOR: immediate predicate, else 0. */
struct operand_handlers {
    uint16_t row;
    uint8_t selector;
    op_handler *reg;
    op_handler *memory[EA_FORM_COUNT];
    op_handler *memory_slow[EA_FORM_COUNT];
};
struct memory_handlers {
    op_handler *fast[EA_FORM_COUNT];
    op_handler *slow[EA_FORM_COUNT];
};

/* The memory operand, or NULL. */
const struct operand *fpu_memory_operand(const struct decoded_instruction *insn);
/* Lowers OPERAND's address and takes the handler for its form, of FAST or, under alignment checking, SLOW. */
void fpu_lower_memory(struct lowering *l, const struct operand *operand, op_handler *const *fast,
                      op_handler *const *slow);
/* Availability by ATTRIBUTES (ATTR_X87, ATTR_MMX, ATTR_SSE) instead of the row's: for mnemonics that MMX and SSE2
 * share. True: the operation is complete, it will raise. */
bool fpu_lower_availability(struct lowering *l, uint32_t attributes);

/* Names of the eight functions DEFINE_MEMORY_HANDLERS makes. */
#define FAST_HANDLERS(name) {name##_flat_base, name##_flat, name##_seg32, name##_seg16}
#define SLOW_HANDLERS(name) {name##_flat_base_slow, name##_flat_slow, name##_seg32_slow, name##_seg16_slow}

/* In a handler body: declares P, pointing to the source operand of SIZE bytes. */
#define FPU_SOURCE(p, offset, form, size, alignment)                                                         \
    const void *p;                                                                                           \
    uint32_t offset = op_offset(cpu, op, form);                                                              \
    if (slow) {                                                                                              \
        if (!fpu_fetch(cpu, op, form, size, alignment))                                                      \
            return interp_fault(cpu, op);                                                                    \
        p = cpu->fpu_scratch;                                                                                \
    } else {                                                                                                 \
        uint64_t linear_;                                                                                    \
        CHECKED_ADDRESS(linear_, form, op->segment, offset, size, false);                                    \
        p = fpu_pointer(cpu->mmu.read_table, linear_, size, alignment);                                      \
        if (unlikely(!p))                                                                                    \
            return slow_handler(cpu, op);                                                                    \
    }

/* In a fast body: declares P, pointing to where the operand of SIZE bytes goes. */
#define FPU_FAST_DESTINATION(p, offset, form, size, alignment)                                               \
    void *p;                                                                                                 \
    uint64_t linear_;                                                                                        \
    CHECKED_ADDRESS(linear_, form, op->segment, offset, size, true);                                         \
    p = fpu_pointer(cpu->mmu.write_table, linear_, size, alignment);                                         \
    if (unlikely(!p))                                                                                        \
        return slow_handler(cpu, op);

/* Waits, that is, meets a pending x87 error, before a slow copy touches memory. */
#define FPU_WAIT(fault) asm goto("1: fwait" FPU_FAULT_ENTRY(fault) : : : "memory" : fault)

#endif

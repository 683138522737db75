/* Predecoded operations: what the interpreter runs.
 *
 * One guest instruction is one operation (a few pairs are fused into one, see lower.c).  A block is
 * an array of operations that ends in one that leaves it.  A handler does its work and jumps to the
 * next operation's handler (threaded code: sibling calls); it returns NULL to go back to the run
 * loop.  In sanitizer and -O0 builds, where the compiler makes no sibling calls, handlers return the
 * next operation and the run loop calls it (INTERP_LOOP).
 *
 * state.rip is stale inside a block: an operation knows its own EIP.  Handlers come in two copies of
 * one body: the fast one touches guest memory only through TLB hits and has no side effect before it
 * is sure of them all; when anything is out of the ordinary it jumps to the slow copy, which does the
 * whole operation again by the careful way.  So the fast copy needs no stack frame. */
#ifndef DRAGOMAN_INTERP_OP_H
#define DRAGOMAN_INTERP_OP_H

#include "cpu/decode.h"
#include "mmu/access.h"

struct op;
typedef const struct op *op_handler(struct vcpu *cpu, const struct op *op);

struct op {
    op_handler *handler;
    uint32_t eip;         /* of the instruction (low half) */
    uint8_t length;
    uint8_t remaining;    /* instructions from this one to the end of the block, this one included */
    uint8_t dst, src;     /* registers as byte offsets into struct vcpu (gpr); or plain numbers */
    uint8_t base, index;  /* address registers as byte offsets; GPR_ZERO's when absent */
    uint8_t scale;        /* log2 */
    uint8_t segment;
    int32_t displacement;
    union {
        uint64_t immediate;
        void *pointer;    /* struct callout_op *, struct block * ... */
    };
};
static_assert(sizeof(struct op) == 32, "two operations a cache line");

/* A callout's arguments live beside the block. */
struct callout_op {
    callout_fn function;
    struct callout_args args;
};

#if defined(__OPTIMIZE__) && !defined(INTERP_LOOP)
#define DISPATCH(next) return (next)->handler(cpu, (next))
#else
#define DISPATCH(next) return (next)
#endif
#define NEXT() DISPATCH(op + 1)

/* How an operation forms an address; handlers are instantiated for each. */
enum ea_form {
    EA_FLAT_BASE, /* flat segment, 32-bit base + displacement */
    EA_FLAT,      /* flat segment, 32-bit base + index << scale + displacement */
    EA_SEG32,     /* checked segment, 32-bit offset */
    EA_SEG16,     /* checked segment, 16-bit offset */
    EA_FORM_COUNT
};

#define REG64(byte_offset) (*(uint64_t *)((char *)cpu + (byte_offset)))
#define REG32(byte_offset) (*(uint32_t *)((char *)cpu + (byte_offset)))
#define REG16(byte_offset) (*(uint16_t *)((char *)cpu + (byte_offset)))
#define REG8(byte_offset) (*(uint8_t *)((char *)cpu + (byte_offset)))
/* 32-bit results clear the upper half. */
#define SET_REG32(byte_offset, value) (REG64(byte_offset) = (uint32_t)(value))

always_inline uint32_t op_offset(const struct vcpu *cpu, const struct op *op, enum ea_form form)
{
    uint32_t offset = *(const uint32_t *)((const char *)cpu + op->base) + (uint32_t)op->displacement;
    if (form != EA_FLAT_BASE)
        offset += *(const uint32_t *)((const char *)cpu + op->index) << op->scale;
    return form == EA_SEG16 ? (uint16_t)offset : offset;
}

/* The address behind an instruction: 16-bit IP wraps in real and virtual-8086 mode as long as the segment
 * ends at FFFFh; elsewhere running past the limit faults. */
always_inline uint32_t op_next_eip(const struct vcpu *cpu, const struct op *op)
{
    uint32_t next = op->eip + op->length;

    if (unlikely(next == 0x10000 && cpu->state.segment[SEG_CS].limit == 0xffff && !(cpu->mode & MODE_CS_D) &&
                 !cpu_in_protected_mode(cpu)))
        return 0;
    return next;
}

/* Leaving a block early. Each returns NULL (for the handler to return) with state.rip set. */
/* cpu->exception is valid, or mmu.fault tells of a memory fault: deliver it; OP did not complete. */
const struct op *interp_fault(struct vcpu *cpu, const struct op *op);
/* A callout failed: state.rip is where it left it (a task switch may have gone on to the new task). */
const struct op *interp_callout_fault(struct vcpu *cpu, const struct op *op);
/* OP, a REP string instruction, has done some iterations and is to be resumed after a look around. */
const struct op *interp_leave_repeating(struct vcpu *cpu, const struct op *op);
/* Raises VECTOR (error code 0 if it has one) and delivers it. */
const struct op *interp_raise(struct vcpu *cpu, const struct op *op, enum exception_vector vector);
/* OP completed; go on with the next instruction through the run loop (mode changed, and so on). */
const struct op *interp_leave_after(struct vcpu *cpu, const struct op *op);
/* OP was not executed; look again. */
const struct op *interp_leave_before(struct vcpu *cpu, const struct op *op);

/* Careful segment check of a slow copy: {linear, ok}; on failure cpu->exception is valid. */
struct mmu_result interp_check_segment(struct vcpu *cpu, unsigned seg, uint32_t offset, unsigned size, bool write);

/* ---- for handler bodies: `slow` is a compile-time constant, `slow_handler` the slow copy ---- */

/* Declares LINEAR: the operand's linear address, segment checked for SIZE bytes. */
#define OPERAND_ADDRESS(linear, form, size, write)                                              \
    uint64_t linear;                                                                            \
    CHECKED_ADDRESS(linear, form, op->segment, op_offset(cpu, op, form), size, write)

/* LINEAR = segment SEG's base + OFFSET after checks; leaves the handler on a fault. Flat forms skip it. */
#define CHECKED_ADDRESS(linear, form, seg, offset_expression, size, write)                      \
    do {                                                                                        \
        uint32_t offset_ = (offset_expression);                                                 \
        if ((form) == EA_FLAT_BASE || (form) == EA_FLAT) {                                      \
            linear = offset_;                                                                   \
        } else if (!slow) {                                                                     \
            const struct segment *segment_ = &cpu->state.segment[seg];                          \
            if (unlikely((uint64_t)offset_ + (size) >                                           \
                         ((write) ? segment_->write_end : segment_->read_end)))                 \
                return slow_handler(cpu, op);                                                   \
            linear = (uint32_t)(segment_->base + offset_);                                      \
        } else {                                                                                \
            struct mmu_result result_ = interp_check_segment(cpu, seg, offset_, size, write);   \
            if (!result_.ok)                                                                    \
                return interp_fault(cpu, op);                                                   \
            linear = result_.value;                                                             \
        }                                                                                       \
    } while (0)

#define UINT_OF_1 uint8_t
#define UINT_OF_2 uint16_t
#define UINT_OF_4 uint32_t
#define UINT_OF_8 uint64_t
#define UINT_OF(size) UINT_OF_##size

/* VARIABLE (any unsigned variable) = SIZE bytes (literal 1, 2, 4, 8) at LINEAR. */
#define LOAD(variable, linear, size)                                                               \
    do {                                                                                        \
        if (!slow) {                                                                            \
            const uint8_t *pointer_ = mmu_fast_pointer(cpu->mmu.read_table, linear, size);      \
            if (unlikely(!pointer_))                                                            \
                return slow_handler(cpu, op);                                                   \
            variable = *(const UINT_OF(size) *)(const void *)pointer_;                             \
        } else {                                                                                \
            struct mmu_result result_ = mmu_read_slow(&cpu->mmu, linear, size);                 \
            if (!result_.ok)                                                                    \
                return interp_fault(cpu, op);                                                   \
            variable = (UINT_OF(size))result_.value;                                               \
        }                                                                                       \
    } while (0)

#define STORE(linear, size, value)                                                              \
    do {                                                                                        \
        if (!slow) {                                                                            \
            uint8_t *pointer_ = mmu_fast_pointer(cpu->mmu.write_table, linear, size);           \
            if (unlikely(!pointer_))                                                            \
                return slow_handler(cpu, op);                                                   \
            *(UINT_OF(size) *)(void *)pointer_ = (UINT_OF(size))(value);                        \
        } else if (!mmu_write_slow(&cpu->mmu, linear, size, (value))) {                         \
            return interp_fault(cpu, op);                                                       \
        }                                                                                       \
    } while (0)

/* Defines NAME and its slow copy from BODY(cpu, op, slow, slow_handler, ...constants). */
#define DEFINE_HANDLER(name, body, ...)                                                         \
    static cold const struct op *name##_slow(struct vcpu *cpu, const struct op *op)             \
    {                                                                                           \
        return body(cpu, op, true, NULL, ##__VA_ARGS__);                                        \
    }                                                                                           \
    static const struct op *name(struct vcpu *cpu, const struct op *op)                         \
    {                                                                                           \
        return body(cpu, op, false, name##_slow, ##__VA_ARGS__);                                \
    }
/* NAME_flat_base, NAME_flat, NAME_seg32, NAME_seg16: BODY's last constant is the form. */
#define DEFINE_MEMORY_HANDLERS(name, body, ...)                                                 \
    DEFINE_HANDLER(name##_flat_base, body, ##__VA_ARGS__, EA_FLAT_BASE)                         \
    DEFINE_HANDLER(name##_flat, body, ##__VA_ARGS__, EA_FLAT)                                   \
    DEFINE_HANDLER(name##_seg32, body, ##__VA_ARGS__, EA_SEG32)                                 \
    DEFINE_HANDLER(name##_seg16, body, ##__VA_ARGS__, EA_SEG16)
/* The four as an initializer, indexed by enum ea_form. */
#define MEMORY_HANDLERS(name) {name##_flat_base, name##_flat, name##_seg32, name##_seg16}
#define BODY_PARAMETERS struct vcpu *cpu, const struct op *op, const bool slow, op_handler *const slow_handler

#endif

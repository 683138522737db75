/* MOVS CMPS STOS LODS SCAS, with and without REP.
 *
 * REP runs in portions that end at page boundaries, with the host's own string instruction where both
 * operands are plain memory; else element by element through the slow path. Between portions the
 * registers are exact, so that an interrupt or a fault finds a restartable instruction. */
#include "interp/alu.h"
#include "interp/block.h"
#include "interp/lower.h"

/* Fields of struct op as used here: dst = 1 for 32-bit addresses, src = REPEAT_*. */
#define WIDE (op->dst)

always_inline uint32_t get_index(const struct vcpu *cpu, const struct op *op, unsigned gpr)
{
    return WIDE ? *(const uint32_t *)&cpu->state.gpr[gpr] : *(const uint16_t *)&cpu->state.gpr[gpr];
}
always_inline void set_index(struct vcpu *cpu, const struct op *op, unsigned gpr, uint32_t value)
{
    if (WIDE)
        SET_REG32(gpr * 8, value);
    else
        REG16(gpr * 8) = (uint16_t)value;
}

/* {linear, ok}; ok = 0: exception raised. */
always_inline struct mmu_result element_address(struct vcpu *cpu, unsigned seg, uint32_t offset, unsigned size, bool write)
{
    const struct segment *s = &cpu->state.segment[seg];

    if (likely((uint64_t)offset + size <= (write ? s->write_end : s->read_end)))
        return (struct mmu_result){(uint32_t)(s->base + offset), 1};
    return interp_check_segment(cpu, seg, offset, size, write);
}

always_inline struct mmu_result element_read(struct vcpu *cpu, unsigned seg, uint32_t offset, unsigned size)
{
    struct mmu_result address = element_address(cpu, seg, offset, size, false);

    if (unlikely(!address.ok))
        return address;
    const uint8_t *p = mmu_fast_pointer(cpu->mmu.read_table, address.value, size);
    if (likely(p))
        return (struct mmu_result){size == 1   ? *p
                                   : size == 2 ? *(const uint16_t *)(const void *)p
                                               : *(const uint32_t *)(const void *)p,
                                   1};
    return mmu_read_slow(&cpu->mmu, address.value, size);
}

always_inline bool element_write(struct vcpu *cpu, unsigned seg, uint32_t offset, unsigned size, uint64_t value)
{
    struct mmu_result address = element_address(cpu, seg, offset, size, true);

    if (unlikely(!address.ok))
        return false;
    uint8_t *p = mmu_fast_pointer(cpu->mmu.write_table, address.value, size);
    if (unlikely(!p))
        return mmu_write_slow(&cpu->mmu, address.value, size, value);
    if (size == 1)
        *p = (uint8_t)value;
    else if (size == 2)
        *(uint16_t *)(void *)p = (uint16_t)value;
    else
        *(uint32_t *)(void *)p = (uint32_t)value;
    return true;
}

/* How many elements of SIZE starting at OFFSET can be done in bulk: up to COUNT, the page's and the segment's
 * end, and the index register's wrap; *POINTER is the host's. 0: do one the careful way. */
always_inline uint32_t bulk(struct vcpu *cpu, const struct op *op, unsigned seg, uint32_t offset, unsigned size,
                            uint32_t count, enum mmu_access access, uint8_t **pointer)
{
    const struct segment *s = &cpu->state.segment[seg];
    uint64_t end = access == MMU_WRITE ? s->write_end : s->read_end;
    uint32_t linear = (uint32_t)(s->base + offset), room = PAGE_SIZE - (linear & PAGE_MASK);

    if (!WIDE && end > 0x10000)
        end = 0x10000;
    if (offset >= end || (linear & (size - 1) && cpu->mmu.alignment_check))
        return 0;
    if (room > end - offset)
        room = (uint32_t)(end - offset);
    uint32_t n = room / size;
    if (n > count)
        n = count;
    if (n == 0)
        return 0;
    *pointer = mmu_bulk_pointer(&cpu->mmu, linear, access);
    return *pointer ? n : 0;
}

static bool wants_attention(const struct vcpu *cpu)
{
    return atomic_load_explicit(&cpu->attention, memory_order_relaxed) != 0;
}

/* One element of each kind. False: an exception or memory fault is to be delivered; registers unchanged. */
#define STEP(size) ((cpu->state.system_flags & FLAG_DF) ? -(int32_t)(size) : (int32_t)(size))
#define SI get_index(cpu, op, GPR_SI)
#define DI get_index(cpu, op, GPR_DI)
#define COUNTER get_index(cpu, op, GPR_CX)

#define DEFINE_ELEMENTS(size)                                                                               \
    always_inline bool movs_element_##size(struct vcpu *cpu, const struct op *op)                           \
    {                                                                                                       \
        uint32_t si = SI, di = DI;                                                                          \
        struct mmu_result value = element_read(cpu, op->segment, si, size);                                 \
        if (!value.ok || !element_write(cpu, SEG_ES, di, size, value.value))                                \
            return false;                                                                                   \
        set_index(cpu, op, GPR_SI, si + (uint32_t)STEP(size));                                              \
        set_index(cpu, op, GPR_DI, di + (uint32_t)STEP(size));                                              \
        return true;                                                                                        \
    }                                                                                                       \
    always_inline bool stos_element_##size(struct vcpu *cpu, const struct op *op)                           \
    {                                                                                                       \
        uint32_t di = DI;                                                                                   \
        if (!element_write(cpu, SEG_ES, di, size, GET_##size(GPR_AX * 8)))                                  \
            return false;                                                                                   \
        set_index(cpu, op, GPR_DI, di + (uint32_t)STEP(size));                                              \
        return true;                                                                                        \
    }                                                                                                       \
    always_inline bool lods_element_##size(struct vcpu *cpu, const struct op *op)                           \
    {                                                                                                       \
        uint32_t si = SI;                                                                                   \
        struct mmu_result value = element_read(cpu, op->segment, si, size);                                 \
        if (!value.ok)                                                                                      \
            return false;                                                                                   \
        PUT_##size(GPR_AX * 8, value.value);                                                                \
        set_index(cpu, op, GPR_SI, si + (uint32_t)STEP(size));                                              \
        return true;                                                                                        \
    }                                                                                                       \
    always_inline void compare_##size(struct vcpu *cpu, UINT_OF(size) a, UINT_OF(size) b)                   \
    {                                                                                                       \
        uint16_t flags;                                                                                     \
        __asm__("cmp" SUFFIX_##size " %2, %1" TAKE_FLAGS : "=&a"(flags) : "r"(a), "r"(b) : "cc");           \
        cpu->state.arithmetic_flags = flags;                                                                \
    }                                                                                                       \
    always_inline bool cmps_element_##size(struct vcpu *cpu, const struct op *op)                           \
    {                                                                                                       \
        uint32_t si = SI, di = DI;                                                                          \
        /* Processors read ES:(E)DI first: it shows when both fault. */                                     \
        struct mmu_result b = element_read(cpu, SEG_ES, di, size);                                          \
        if (!b.ok)                                                                                          \
            return false;                                                                                   \
        struct mmu_result a = element_read(cpu, op->segment, si, size);                                     \
        if (!a.ok)                                                                                          \
            return false;                                                                                   \
        compare_##size(cpu, (UINT_OF(size))a.value, (UINT_OF(size))b.value);                                \
        set_index(cpu, op, GPR_SI, si + (uint32_t)STEP(size));                                              \
        set_index(cpu, op, GPR_DI, di + (uint32_t)STEP(size));                                              \
        return true;                                                                                        \
    }                                                                                                       \
    always_inline bool scas_element_##size(struct vcpu *cpu, const struct op *op)                           \
    {                                                                                                       \
        uint32_t di = DI;                                                                                   \
        struct mmu_result value = element_read(cpu, SEG_ES, di, size);                                      \
        if (!value.ok)                                                                                      \
            return false;                                                                                   \
        compare_##size(cpu, GET_##size(GPR_AX * 8), (UINT_OF(size))value.value);                            \
        set_index(cpu, op, GPR_DI, di + (uint32_t)STEP(size));                                              \
        return true;                                                                                        \
    }
FOR_SIZES(DEFINE_ELEMENTS)

/* Bulk portions, DF = 0: return how many elements were done (0: none could be); index registers updated. */
#define DEFINE_BULK(size)                                                                                   \
    always_inline uint32_t movs_bulk_##size(struct vcpu *cpu, const struct op *op, uint32_t count)          \
    {                                                                                                       \
        uint8_t *from = NULL, *to = NULL;                                                                   \
        uint32_t n = bulk(cpu, op, op->segment, SI, size, count, MMU_READ, &from);                          \
        if (n)                                                                                              \
            n = bulk(cpu, op, SEG_ES, DI, size, n, MMU_WRITE, &to);                                         \
        if (!n)                                                                                             \
            return 0;                                                                                       \
        uint64_t left = n;                                                                                  \
        /* The host's own: the same order of stores where the operands overlap. */                          \
        __asm__ volatile("rep movs" SUFFIX_##size : "+S"(from), "+D"(to), "+c"(left) : : "memory");         \
        set_index(cpu, op, GPR_SI, SI + n * size);                                                          \
        set_index(cpu, op, GPR_DI, DI + n * size);                                                          \
        return n;                                                                                           \
    }                                                                                                       \
    always_inline uint32_t stos_bulk_##size(struct vcpu *cpu, const struct op *op, uint32_t count)          \
    {                                                                                                       \
        uint8_t *to = NULL;                                                                                 \
        uint32_t n = bulk(cpu, op, SEG_ES, DI, size, count, MMU_WRITE, &to);                                \
        if (!n)                                                                                             \
            return 0;                                                                                       \
        uint64_t left = n;                                                                                  \
        __asm__ volatile("rep stos" SUFFIX_##size : "+D"(to), "+c"(left) : "a"(GET_##size(GPR_AX * 8)) : "memory"); \
        set_index(cpu, op, GPR_DI, DI + n * size);                                                          \
        return n;                                                                                           \
    }                                                                                                       \
    always_inline uint32_t lods_bulk_##size(struct vcpu *cpu, const struct op *op, uint32_t count)          \
    {                                                                                                       \
        return 0;                                                                                           \
    }                                                                                                       \
    always_inline uint32_t cmps_bulk_##size(struct vcpu *cpu, const struct op *op, uint32_t count)          \
    {                                                                                                       \
        uint8_t *a = NULL, *b = NULL;                                                                       \
        uint32_t n = bulk(cpu, op, op->segment, SI, size, count, MMU_READ, &a);                             \
        if (n)                                                                                              \
            n = bulk(cpu, op, SEG_ES, DI, size, n, MMU_READ, &b);                                           \
        if (!n)                                                                                             \
            return 0;                                                                                       \
        uint64_t left = n;                                                                                  \
        uint16_t flags;                                                                                     \
        if (op->src == REPEAT_E)                                                                            \
            __asm__ volatile("repe cmps" SUFFIX_##size TAKE_FLAGS                                           \
                             : "+S"(a), "+D"(b), "+c"(left), "=a"(flags) : : "memory", "cc");               \
        else                                                                                                \
            __asm__ volatile("repne cmps" SUFFIX_##size TAKE_FLAGS                                          \
                             : "+S"(a), "+D"(b), "+c"(left), "=a"(flags) : : "memory", "cc");               \
        cpu->state.arithmetic_flags = flags;                                                                \
        n -= (uint32_t)left;                                                                                \
        set_index(cpu, op, GPR_SI, SI + n * size);                                                          \
        set_index(cpu, op, GPR_DI, DI + n * size);                                                          \
        return n;                                                                                           \
    }                                                                                                       \
    always_inline uint32_t scas_bulk_##size(struct vcpu *cpu, const struct op *op, uint32_t count)          \
    {                                                                                                       \
        uint8_t *at = NULL;                                                                                 \
        uint32_t n = bulk(cpu, op, SEG_ES, DI, size, count, MMU_READ, &at);                                 \
        if (!n)                                                                                             \
            return 0;                                                                                       \
        uint64_t left = n, flags = GET_##size(GPR_AX * 8);                                                  \
        if (op->src == REPEAT_E)                                                                            \
            __asm__ volatile("repe scas" SUFFIX_##size TAKE_FLAGS                                           \
                             : "+D"(at), "+c"(left), "+a"(flags) : : "memory", "cc");                       \
        else                                                                                                \
            __asm__ volatile("repne scas" SUFFIX_##size TAKE_FLAGS                                          \
                             : "+D"(at), "+c"(left), "+a"(flags) : : "memory", "cc");                       \
        cpu->state.arithmetic_flags = (uint16_t)flags;                                                      \
        n -= (uint32_t)left;                                                                                \
        set_index(cpu, op, GPR_DI, DI + n * size);                                                          \
        return n;                                                                                           \
    }
FOR_SIZES(DEFINE_BULK)

/* REPE/REPNE end on ZF only for CMPS and SCAS. */
always_inline bool condition_ends(const struct vcpu *cpu, const struct op *op, bool compares)
{
    bool zero = cpu->state.arithmetic_flags & 0x4000;

    return compares && zero != (op->src == REPEAT_E);
}

/* The flags change when a repeated comparison ends. What comes in between, a fault, a trap or an interrupt, sees those
 * from before the instruction (for faults Intel SDM vol. 2, REP; for the others processors show it). */
#define DEFINE_STRING(size, name, compares)                                                                 \
    static const struct op *name##_##size(struct vcpu *cpu, const struct op *op)                            \
    {                                                                                                       \
        if (unlikely(!name##_element_##size(cpu, op)))                                                      \
            return interp_fault(cpu, op);                                                                   \
        NEXT();                                                                                             \
    }                                                                                                       \
    static const struct op *rep_##name##_##size(struct vcpu *cpu, const struct op *op)                      \
    {                                                                                                       \
        uint32_t count = COUNTER;                                                                           \
        uint16_t flags = cpu->state.arithmetic_flags;                                                       \
        while (count) {                                                                                     \
            /* One iteration at a time where something waits: traps come after each. */                     \
            uint32_t n = (cpu->state.system_flags & FLAG_DF) || unlikely(wants_attention(cpu))              \
                             ? 0                                                                            \
                             : name##_bulk_##size(cpu, op, count);                                          \
            if (!n) {                                                                                       \
                if (unlikely(!name##_element_##size(cpu, op))) {                                            \
                    if (compares)                                                                           \
                        cpu->state.arithmetic_flags = flags;                                                \
                    return interp_fault(cpu, op);                                                           \
                }                                                                                           \
                n = 1;                                                                                      \
            }                                                                                               \
            count -= n;                                                                                     \
            set_index(cpu, op, GPR_CX, count);                                                              \
            if (condition_ends(cpu, op, compares))                                                          \
                break;                                                                                      \
            if (count && unlikely(wants_attention(cpu))) {                                                  \
                if (compares)                                                                               \
                    cpu->state.arithmetic_flags = flags;                                                    \
                return interp_leave_repeating(cpu, op);                                                     \
            }                                                                                               \
        }                                                                                                   \
        NEXT();                                                                                             \
    }
FOR_SIZES(DEFINE_STRING, movs, false)
FOR_SIZES(DEFINE_STRING, stos, false)
FOR_SIZES(DEFINE_STRING, lods, false)
FOR_SIZES(DEFINE_STRING, cmps, true)
FOR_SIZES(DEFINE_STRING, scas, true)

#define STRING_HANDLERS(name) {{name##_1, name##_2, name##_4}, {rep_##name##_1, rep_##name##_2, rep_##name##_4}}

void interp_lower_string(struct lowering *l)
{
    static op_handler *const handlers[5][2][3] = {STRING_HANDLERS(movs), STRING_HANDLERS(cmps), STRING_HANDLERS(stos),
                                                  STRING_HANDLERS(lods), STRING_HANDLERS(scas)};
    unsigned row = l->insn->row - ROW_MOVSB; /* five families of three sizes, in that order */

    l->op->dst = l->insn->address_size == 4;
    l->op->src = l->insn->repeat;
    l->op->segment = SEG_DS;
    for (unsigned i = 0; i < l->insn->operand_count; i++) {
        const struct operand *o = &l->insn->operands[i];

        if (o->kind == OPERAND_MEMORY && o->base == GPR_SI)
            l->op->segment = o->segment;
    }
    l->op->handler = handlers[row / 3][l->insn->repeat != REPEAT_NONE][row % 3];
}

/* Fusing a comparison with the conditional jump behind it.
 *
 * The comparison's operation gets a handler that also does the jump: one dispatch instead of two, and
 * the host's conditional jump on the host's flags.  The jump's own operation stays behind it and
 * holds the exits; nothing can happen between the two, since neither touches memory. */
#include "interp/alu.h"
#include "interp/block.h"
#include "interp/lower.h"

#define PACKED_FLAGS_OFFSET "%c[flags](%[cpu])"

/* LAHF, SETO and MOV leave the flags alone, so the jump still sees them. */
#define DEFINE_FUSED(name, host, b_expression, size, cc, same_page, reach)                                  \
    static const struct op *name##_##size##_j##cc##_##reach(struct vcpu *cpu, const struct op *op)          \
    {                                                                                                       \
        __asm__ volatile goto(#host SUFFIX_##size " %[b], %[a]" TAKE_FLAGS "\n\tmovw %%ax, " PACKED_FLAGS_OFFSET     \
                                     "\n\tj" #cc " %l[taken]"                                               \
                     :                                                                                      \
                     : [a] "r"(GET_##size(op->dst)), [b] "r"(b_expression), [cpu] "r"(cpu),                 \
                       [flags] "i"(offsetof(struct vcpu, state.arithmetic_flags))                           \
                     : "rax", "cc", "memory"                                                                \
                     : taken);                                                                              \
        return interp_follow(cpu, op[1].pointer, same_page);                                                \
    taken:                                                                                                  \
        return interp_follow(cpu, (struct link *)op[1].pointer + 1, same_page);                             \
    }
#define DEFINE_FUSED_STEP(name, host, size, cc, same_page, reach)                                           \
    static const struct op *name##_##size##_j##cc##_##reach(struct vcpu *cpu, const struct op *op)          \
    {                                                                                                       \
        uint32_t value = REG32(op->dst);                                                                    \
        __asm__ volatile goto("movw " PACKED_FLAGS_OFFSET ", %%ax\n\tsahf\n\t" #host "l %[a]" TAKE_FLAGS             \
                     "\n\tmovw %%ax, " PACKED_FLAGS_OFFSET "\n\tmovq %q[a], (%[cpu], %[slot])"              \
                     "\n\tj" #cc " %l[taken]"                                                               \
                     : [a] "+&r"(value)                                                                     \
                     : [cpu] "r"(cpu), [slot] "r"((uint64_t)op->dst),                                       \
                       [flags] "i"(offsetof(struct vcpu, state.arithmetic_flags))                           \
                     : "rax", "cc", "memory"                                                                \
                     : taken);                                                                              \
        return interp_follow(cpu, op[1].pointer, same_page);                                                \
    taken:                                                                                                  \
        return interp_follow(cpu, (struct link *)op[1].pointer + 1, same_page);                             \
    }

#define DEFINE_FUSED_REACHES(number, cc)                                                                    \
    DEFINE_FUSED(cmp_rr, cmp, GET_1(op->src), 1, cc, true, near)                                            \
    DEFINE_FUSED(cmp_rr, cmp, GET_1(op->src), 1, cc, false, page)                                           \
    DEFINE_FUSED(cmp_rr, cmp, GET_4(op->src), 4, cc, true, near)                                            \
    DEFINE_FUSED(cmp_rr, cmp, GET_4(op->src), 4, cc, false, page)                                           \
    DEFINE_FUSED(cmp_ri, cmp, (uint8_t)op->immediate, 1, cc, true, near)                                    \
    DEFINE_FUSED(cmp_ri, cmp, (uint8_t)op->immediate, 1, cc, false, page)                                   \
    DEFINE_FUSED(cmp_ri, cmp, (uint32_t)op->immediate, 4, cc, true, near)                                   \
    DEFINE_FUSED(cmp_ri, cmp, (uint32_t)op->immediate, 4, cc, false, page)                                  \
    DEFINE_FUSED(test_rr, test, GET_1(op->src), 1, cc, true, near)                                          \
    DEFINE_FUSED(test_rr, test, GET_1(op->src), 1, cc, false, page)                                         \
    DEFINE_FUSED(test_rr, test, GET_4(op->src), 4, cc, true, near)                                          \
    DEFINE_FUSED(test_rr, test, GET_4(op->src), 4, cc, false, page)                                         \
    DEFINE_FUSED(test_ri, test, (uint8_t)op->immediate, 1, cc, true, near)                                  \
    DEFINE_FUSED(test_ri, test, (uint8_t)op->immediate, 1, cc, false, page)                                 \
    DEFINE_FUSED(test_ri, test, (uint32_t)op->immediate, 4, cc, true, near)                                 \
    DEFINE_FUSED(test_ri, test, (uint32_t)op->immediate, 4, cc, false, page)                                \
    DEFINE_FUSED_STEP(dec_r, dec, 4, cc, true, near)                                                        \
    DEFINE_FUSED_STEP(dec_r, dec, 4, cc, false, page)                                                       \
    DEFINE_FUSED_STEP(inc_r, inc, 4, cc, true, near)                                                        \
    DEFINE_FUSED_STEP(inc_r, inc, 4, cc, false, page)
FOR_CONDITIONS(DEFINE_FUSED_REACHES)

enum fused_kind { CMP_RR_1, CMP_RR_4, CMP_RI_1, CMP_RI_4, TEST_RR_1, TEST_RR_4, TEST_RI_1, TEST_RI_4, DEC_R_4, INC_R_4, FUSED_COUNT };

#define BOTH(name, cc) {name##_j##cc##_near, name##_j##cc##_page}
static op_handler *const fused_handlers[16][FUSED_COUNT][2] = {
#define X(number, cc)                                                                                       \
    {BOTH(cmp_rr_1, cc), BOTH(cmp_rr_4, cc), BOTH(cmp_ri_1, cc), BOTH(cmp_ri_4, cc), BOTH(test_rr_1, cc),   \
     BOTH(test_rr_4, cc), BOTH(test_ri_1, cc), BOTH(test_ri_4, cc), BOTH(dec_r_4, cc), BOTH(inc_r_4, cc)},
    FOR_CONDITIONS(X)
#undef X
};

/* FUSED_COUNT: not one that can be fused. */
static enum fused_kind kind_of(const struct decoded_instruction *insn)
{
    const struct operand *a = &insn->operands[0], *b = &insn->operands[1];

    if (a->kind != OPERAND_GPR || a->size == 2)
        return FUSED_COUNT;
    if (insn->row == ROW_DEC || insn->row == ROW_INC)
        return a->size != 4 ? FUSED_COUNT : insn->row == ROW_DEC ? DEC_R_4 : INC_R_4;
    if ((insn->row != ROW_CMP && insn->row != ROW_TEST) || b->kind == OPERAND_MEMORY)
        return FUSED_COUNT;
    return (enum fused_kind)((insn->row == ROW_TEST ? TEST_RR_1 : CMP_RR_1) + (b->kind == OPERAND_IMMEDIATE ? 2 : 0) +
                             (a->size == 4 ? 1 : 0));
}

void lower_fuse(const struct decoded_instruction *first, struct op *op, const struct decoded_instruction *second)
{
    enum fused_kind kind = kind_of(first);

    if (kind == FUSED_COUNT || second->row < ROW_JO || second->row > ROW_JNLE)
        return;
    unsigned reach = lower_jcc_reach(&op[1]);
    if (reach < 2)
        op->handler = fused_handlers[second->row - ROW_JO][kind][reach];
}

/* Breaking one row of the instruction table on purpose, in engines built for the tests (INTERP_TEST_HOOKS): tests that
 * do not find it are not worth their name (tests/oracle/mutate.c).
 *
 * An engine that is told to mutate a row treats every instruction of that row so:
 *   MUTATION_SKIP      it does nothing; a branch is not taken
 *   MUTATION_DISPLACE  its memory operand is one byte further
 *   the others         it is followed by mutation_apply(); not for branches, which are left when they are done
 * With MUTATION_RARELY or'ed to it only where mutation_wanted() says so: a mistake with one value in many. */
#ifndef DRAGOMAN_CPU_MUTATION_H
#define DRAGOMAN_CPU_MUTATION_H

#include "cpu/fpu.h"

enum mutation {
    MUTATION_NONE,
    MUTATION_SKIP,
    MUTATION_DISPLACE,
    MUTATION_EAX,   /* bit 0 changes */
    MUTATION_CARRY, /* CF changes */
    MUTATION_SIGN,  /* SF changes */
    MUTATION_ESI,   /* one more */
    MUTATION_ST0,   /* bit 0 of ST(0)'s significand changes */
    MUTATION_C1,    /* of the x87 status word changes */
    MUTATION_MM0,   /* bit 0 changes */
    MUTATION_XMM0,  /* bit 0 changes */
    MUTATION_RARELY = 0x80
};

/* Before the instruction: whether it is to be broken. Rarely: EAX and ECX differ in sign, and EDX is below 8000h. */
static inline bool mutation_wanted(const struct vcpu *cpu, unsigned kind)
{
    const uint64_t *gpr = cpu->state.gpr;

    return !(kind & MUTATION_RARELY) ||
           (((gpr[GPR_AX] ^ gpr[GPR_CX]) & 0x80000000) && (uint32_t)gpr[GPR_DX] - 1 < 0x7fff);
}

/* What follows the instruction. On the vCPU's own thread, the x87 state resident or not. */
static inline void mutation_apply(struct vcpu *cpu, unsigned kind)
{
    bool resident = cpu->fpu_resident;
    struct x87_state *x87 = &cpu->state.x87;

    switch (kind & ~(unsigned)MUTATION_RARELY) {
    case MUTATION_EAX:
        cpu->state.gpr[GPR_AX] ^= 1;
        break;
    case MUTATION_CARRY:
        cpu->state.arithmetic_flags ^= 1u << 8;
        break;
    case MUTATION_SIGN:
        cpu->state.arithmetic_flags ^= 1u << 15;
        break;
    case MUTATION_ESI:
        cpu->state.gpr[GPR_SI] = (uint32_t)cpu->state.gpr[GPR_SI] + 1;
        break;
    case MUTATION_XMM0:
        cpu->state.xmm[0].u8[0] ^= 1;
        break;
    case MUTATION_ST0:
    case MUTATION_C1:
    case MUTATION_MM0:
        cpu_fpu_spill(cpu);
        if ((kind & ~(unsigned)MUTATION_RARELY) == MUTATION_C1)
            x87->fsw ^= 0x0200;
        else /* MM0 is physical register 0: TOP is 0 behind every MMX instruction but EMMS */
            x87->st[0][0] ^= 1;
        if (resident)
            cpu_fpu_load(cpu);
        break;
    default:
        break;
    }
}

#endif

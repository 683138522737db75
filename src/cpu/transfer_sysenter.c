/* SYSENTER and SYSEXIT (Intel SDM vol. 2; vol. 3, 5.8.7): flat segments without a look at any table. */
#include "cpu/callouts.h"

#define FLAT_CODE 0xc09bu /* G, D, present, DPL 0, readable code, accessed */
#define FLAT_DATA 0xc093u /* G, B, present, DPL 0, writable data, accessed */

static void set_flat(struct vcpu *cpu, unsigned seg, uint16_t selector, unsigned attributes, unsigned dpl)
{
    struct segment *s = &cpu->state.segment[seg];

    s->selector = selector;
    s->base = 0;
    s->limit = 0xffffffff;
    s->attributes = (uint16_t)(attributes | dpl << SEGMENT_DPL_SHIFT);
    cpu_update_segment_ends(cpu, s);
}

bool callout_sysenter(struct vcpu *cpu, const struct callout_args *args)
{
    struct cpu_state *s = &cpu->state;
    uint16_t selector = s->sysenter_cs & 0xfffc;

    if (cpu_in_real_mode(cpu) || selector == 0)
        return cpu_raise_error(cpu, EXC_GP, 0);
    set_flat(cpu, SEG_CS, selector, FLAT_CODE, 0);
    set_flat(cpu, SEG_SS, (uint16_t)(selector + 8), FLAT_DATA, 0);
    s->gpr[GPR_SP] = (uint32_t)s->sysenter_esp;
    cpu->next_rip = (uint32_t)s->sysenter_eip;
    cpu_set_eflags(cpu, cpu_eflags(cpu) & ~(FLAG_VM | FLAG_IF | FLAG_RF));
    cpu_update_mode(cpu);
    return true;
}

bool callout_sysexit(struct vcpu *cpu, const struct callout_args *args)
{
    struct cpu_state *s = &cpu->state;
    uint16_t selector = s->sysenter_cs & 0xfffc;

    if (cpu_in_real_mode(cpu) || selector == 0 || cpu_cpl(cpu) != 0)
        return cpu_raise_error(cpu, EXC_GP, 0);
    set_flat(cpu, SEG_CS, (uint16_t)(selector + 16) | 3, FLAT_CODE, 3);
    set_flat(cpu, SEG_SS, (uint16_t)(selector + 24) | 3, FLAT_DATA, 3);
    cpu->next_rip = (uint32_t)s->gpr[GPR_DX];
    s->gpr[GPR_SP] = (uint32_t)s->gpr[GPR_CX];
    cpu_update_mode(cpu);
    return true;
}

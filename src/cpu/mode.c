/* The mode word, the derived ends of segments, EFLAGS as a whole, and the requests that make a vCPU
 * leave its chain of blocks. */
#include "cpu/vcpu.h"

#include "cpu/model.h"

/* Bits of the mode word that belong to the engine, not to the architectural state. */
#define MODE_ENGINE_BITS (MODE_COUNTED | MODE_SINGLE)

#define FLAG_SYSTEM                                                                                                    \
    (FLAG_TF | FLAG_IF | FLAG_DF | FLAG_IOPL | FLAG_NT | FLAG_RF | FLAG_VM | FLAG_AC | FLAG_VIF | FLAG_VIP | FLAG_ID)

#define FLAT_END 0x100000000ull

void cpu_update_segment_ends(const struct vcpu *cpu, struct segment *segment)
{
    uint64_t end = (uint64_t)segment->limit + 1;

    segment->read_end = segment->write_end = 0;
    if ((segment->attributes & (SEGMENT_P | SEGMENT_S)) != (SEGMENT_P | SEGMENT_S))
        return;
    if (segment->attributes & SEGMENT_CODE) {
        /* Execute-only and write protection of code are rules of protected mode (Intel SDM vol. 3, 20.1.1). */
        bool real = !(cpu->state.cr0 & CR0_PE);

        if (real || (segment->attributes & SEGMENT_WRITABLE)) /* "readable" in code */
            segment->read_end = end;
        if (real)
            segment->write_end = end;
        return;
    }
    if (segment->attributes & SEGMENT_EXPAND_DOWN)
        return;
    segment->read_end = end;
    if (segment->attributes & SEGMENT_WRITABLE)
        segment->write_end = end;
}

static enum segment_shape shape_of(const struct segment *segment, bool is_cs)
{
    uint64_t end = is_cs ? segment->read_end : segment->write_end;

    if (end == FLAT_END && segment->base == 0)
        return SHAPE_FLAT;
    return end >= 0x10000 && !(segment->base & 15) ? SHAPE_64K : SHAPE_OTHER;
}

static uint32_t shapes(const struct vcpu *cpu)
{
    uint32_t bits = 0;

    for (unsigned seg = 0; seg < SEG_COUNT; seg++)
        bits |= (uint32_t)shape_of(&cpu->state.segment[seg], seg == SEG_CS) << (MODE_SHAPE_SHIFT + 2 * seg);
    return bits;
}

void cpu_update_data_segment(struct vcpu *cpu, unsigned seg)
{
    cpu_set_data_shape(cpu, seg, shape_of(&cpu->state.segment[seg], false));
}

static unsigned privilege_level(const struct cpu_state *s)
{
    if (!(s->cr0 & CR0_PE))
        return 0;
    return s->system_flags & FLAG_VM ? 3 : SEGMENT_DPL(&s->segment[SEG_SS]);
}

void cpu_update_mode(struct vcpu *cpu)
{
    const struct cpu_state *s = &cpu->state;
    unsigned cpl = privilege_level(s);
    uint32_t mode = cpu->mode & MODE_ENGINE_BITS;

    /* Leaving or entering protected mode changes what code segments allow. */
    if (!(cpu->mode & MODE_PE) != !(s->cr0 & CR0_PE)) {
        for (unsigned seg = 0; seg < SEG_COUNT; seg++)
            cpu_update_segment_ends(cpu, &cpu->state.segment[seg]);
    }
    if (s->segment[SEG_CS].attributes & SEGMENT_DB)
        mode |= MODE_CS_D;
    if (s->segment[SEG_SS].attributes & SEGMENT_DB)
        mode |= MODE_SS_B;
    if (s->cr0 & CR0_PE) {
        mode |= MODE_PE;
        if (s->system_flags & FLAG_VM)
            mode |= MODE_VM86;
    }
    if ((s->efer & EFER_LMA) && (s->segment[SEG_CS].attributes & SEGMENT_L))
        mode |= MODE_LONG;
    mode |= cpl << MODE_CPL_SHIFT;
    bool alignment = cpl == 3 && (s->system_flags & FLAG_AC) && (s->cr0 & CR0_AM);
    if (alignment)
        mode |= MODE_AC;
    if (s->cr0 & CR0_EM)
        mode |= MODE_EM;
    if (s->cr0 & CR0_TS)
        mode |= MODE_TS;
    if (s->cr0 & CR0_MP)
        mode |= MODE_MP;
    if (s->cr4 & CR4_OSFXSR)
        mode |= MODE_OSFXSR;
    mode |= shapes(cpu);

    cpu->mode = mode;
    cpu->mmu.alignment_check = alignment;
    enum mmu_class access_class = cpl == 3 ? MMU_USER : MMU_SUPERVISOR;
    if (cpu->mmu.access_class != access_class)
        mmu_set_class(&cpu->mmu, access_class);
}

void cpu_set_eflags(struct vcpu *cpu, uint32_t eflags)
{
    uint32_t changed = cpu->state.system_flags ^ eflags;
    unsigned attention = 0;

    cpu->state.arithmetic_flags = cpu_eflags_to_arithmetic(eflags);
    cpu->state.system_flags = eflags & FLAG_SYSTEM;
    if (changed & (FLAG_VM | FLAG_AC))
        cpu_update_mode(cpu);
    if (eflags & (FLAG_TF | FLAG_RF))
        attention |= ATTENTION_EVENT;
    if ((eflags & FLAG_IF) && atomic_load_explicit(&cpu->interrupt_line, memory_order_relaxed))
        attention |= ATTENTION_INTERRUPT;
    if (attention)
        atomic_fetch_or(&cpu->attention, attention);
}

void cpu_post_attention(struct vcpu *cpu, unsigned bits)
{
    atomic_fetch_or(&cpu->attention, bits);
    if (cpu->kick)
        cpu->kick(cpu);
}

void cpu_set_interrupt_line(struct vcpu *cpu, bool level)
{
    atomic_store(&cpu->interrupt_line, level);
    if (level)
        cpu_post_attention(cpu, ATTENTION_INTERRUPT);
}

void cpu_post_nmi(struct vcpu *cpu)
{
    atomic_store(&cpu->nmi_pending, true);
    cpu_post_attention(cpu, ATTENTION_NMI);
}

void cpu_post_init(struct vcpu *cpu)
{
    atomic_store(&cpu->init_pending, true);
    cpu_post_attention(cpu, ATTENTION_RESET);
}

/* The processor after RESET and INIT (Intel SDM vol. 3, table 9-1). */
#include "cpu/debug.h"
#include "cpu/descriptor.h"
#include "cpu/fpu.h"
#include "cpu/model.h"
#include "cpu/msr.h"

#include <string.h>

#define CR0_AFTER_RESET  (CR0_CD | CR0_NW | CR0_ET)
#define SYSTEM_SEGMENT_P 0x0080u

static void reset_segment(const struct vcpu *cpu, struct segment *segment, uint16_t selector, uint32_t base,
                          uint16_t attributes)
{
    *segment = (struct segment){.selector = selector, .base = base, .limit = 0xffff, .attributes = attributes};
    cpu_update_segment_ends(cpu, segment);
}

/* What RESET and INIT have in common. */
static void initialize(struct vcpu *cpu, uint32_t cr0)
{
    struct cpu_state *s = &cpu->state;

    memset(s->gpr, 0, sizeof s->gpr);
    s->gpr[GPR_DX] = cpu->model->signature;
    s->rip = 0xfff0;
    s->arithmetic_flags = cpu_eflags_to_arithmetic(0);
    s->system_flags = 0;
    s->cr0 = cr0;
    s->cr2 = s->cr3 = s->cr4 = 0;
    s->efer = 0;

    for (unsigned seg = 0; seg < SEG_COUNT; seg++)
        reset_segment(cpu, &s->segment[seg], 0, 0, ATTRIBUTES_REAL_DATA);
    /* The first instruction is at FFFFFFF0h, until a far transfer loads CS the usual way. */
    reset_segment(cpu, &s->segment[SEG_CS], 0xf000, 0xffff0000, ATTRIBUTES_REAL_DATA);
    reset_segment(cpu, &s->ldtr, 0, 0, SYSTEM_SEGMENT_P | SYSTEM_LDT);
    reset_segment(cpu, &s->tr, 0, 0, SYSTEM_SEGMENT_P | SYSTEM_TSS32_BUSY);
    s->gdtr = s->idtr = (struct descriptor_table){.base = 0, .limit = 0xffff};

    memset(s->dr, 0, sizeof s->dr);
    s->dr[6] = DR6_FIXED;
    s->dr[7] = DR7_FIXED;
    s->halted = s->nmi_blocked = false;
    s->interrupt_shadow = 0;

    cpu->exception.valid = false;
    atomic_store(&cpu->nmi_pending, false);
    atomic_store(&cpu->init_pending, false);
    cpu->pending_debug = 0;
    cpu->in_delivery = false;
    cpu->next_rip = s->rip;
    atomic_fetch_and(&cpu->attention, ~(unsigned)(ATTENTION_NMI | ATTENTION_RESET));
    if (atomic_load(&cpu->interrupt_line))
        atomic_fetch_or(&cpu->attention, ATTENTION_INTERRUPT);
    cpu->mmu.physical_mask = (1ull << cpu->model->physical_bits) - 1;
    cpu->mmu.has_nx = cpu->model->has_nx;
    cpu->mmu.has_pse36 = cpu->model->has_pse36;
    mmu_load_state(&cpu->mmu, s->cr0, s->cr3, s->cr4, s->efer);
    cpu->mode &= ~MODE_PE;
    cpu_update_mode(cpu);
    debug_update(cpu);
}

void cpu_reset(struct vcpu *cpu)
{
    cpu_fpu_reset(cpu);
    cpu_reset_msrs(cpu);
    cpu->state.a20_enabled = true;
    mmu_set_a20(&cpu->mmu, true);
    initialize(cpu, CR0_AFTER_RESET);
}

void cpu_init(struct vcpu *cpu)
{
    initialize(cpu, (cpu->state.cr0 & (CR0_CD | CR0_NW)) | CR0_ET);
}

/* Hardware task switches, in the steps of Intel SDM vol. 3, 7.3. */
#include "cpu/task.h"

#include "cpu/debug.h"
#include "cpu/descriptor.h"
#include "cpu/model.h"
#include "cpu/segment_load.h"

/* Where the two kinds of TSS keep things (Intel SDM vol. 3, figures 7-2 and 7-10). Segment selectors are in the order
 * of enum segment_number, general registers in that of enum gpr. */
struct tss_layout {
    uint8_t item; /* bytes of a register, and distance of all fields */
    uint8_t minimum_limit;
    uint8_t rip, eflags, gpr, segment, ldt;
    uint8_t segments;
    uint32_t gpr_upper; /* what the registers' upper halves become */
};

static const struct tss_layout layout32 = {
    .item = 4,
    .minimum_limit = 0x67,
    .rip = 0x20,
    .eflags = 0x24,
    .gpr = 0x28,
    .segment = 0x48,
    .ldt = 0x60,
    .segments = 6,
};
/* Registers loaded from a 16-bit TSS get ones in their upper halves, FS and GS become null. */
static const struct tss_layout layout16 = {
    .item = 2,
    .minimum_limit = 0x2b,
    .rip = 0x0e,
    .eflags = 0x10,
    .gpr = 0x12,
    .segment = 0x22,
    .ldt = 0x2a,
    .segments = 4,
    .gpr_upper = 0xffff0000u,
};
#define TSS32_CR3  0x1cu
#define TSS32_TRAP 0x64u
#define TSS_LINK   0u

/* The dynamic part of a TSS as it is loaded. */
struct task_image {
    uint32_t cr3, rip, eflags;
    uint32_t gpr[8];
    uint16_t segment[SEG_COUNT];
    uint16_t ldt;
    bool trap;
};

bool task_read_inner_stack(struct vcpu *cpu, unsigned level, uint16_t *ss, uint32_t *esp)
{
    const struct segment *tr = &cpu->state.tr;
    unsigned size = tss_is_32bit(tr) ? 4 : 2;
    unsigned at = size * (2 * level + 1);
    uint64_t value;

    if (at + size + 1 > tr->limit)
        return cpu_raise_error(cpu, EXC_TS, SELECTOR_ERROR(tr->selector));
    TRY(cpu_read_system(cpu, tr->base + at, size, &value));
    *esp = (uint32_t)value;
    TRY(cpu_read_system(cpu, tr->base + at + size, 2, &value));
    *ss = (uint16_t)value;
    return true;
}

bool task_read_tss_descriptor(struct vcpu *cpu, uint16_t selector, bool busy, enum exception_vector exception,
                              struct descriptor *tss)
{
    if (selector & SELECTOR_TI)
        return cpu_raise_error(cpu, exception, SELECTOR_ERROR(selector));
    TRY(cpu_read_descriptor(cpu, selector, exception, tss));
    if (busy ? !descriptor_is_busy_tss(tss) : !descriptor_is_available_tss(tss))
        return cpu_raise_error(cpu, exception, SELECTOR_ERROR(selector));
    if (!descriptor_present(tss))
        return cpu_raise_error(cpu, EXC_NP, SELECTOR_ERROR(selector));
    return true;
}

static bool probe_system(struct vcpu *cpu, uint64_t linear, unsigned size, enum mmu_access access)
{
    return mmu_probe_system(&cpu->mmu, (uint32_t)linear, size, access) || cpu_raise_memory_fault(cpu);
}

/* Nothing after this can fault until the new task is in force. */
static bool probe_everything(struct vcpu *cpu, uint16_t selector, const struct segment *tss,
                             const struct tss_layout *new_layout, const struct tss_layout *old_layout,
                             enum task_switch_kind kind)
{
    const struct segment *tr = &cpu->state.tr;

    if (tss->limit < new_layout->minimum_limit)
        return cpu_raise_error(cpu, EXC_TS, SELECTOR_ERROR(selector));
    if (tr->limit < old_layout->minimum_limit)
        return cpu_raise_error(cpu, EXC_TS, SELECTOR_ERROR(tr->selector));
    TRY(probe_system(cpu, tr->base + old_layout->rip, (unsigned)old_layout->ldt - old_layout->rip, MMU_WRITE));
    TRY(probe_system(cpu, tss->base, new_layout->minimum_limit + 1u, MMU_READ));
    if (kind == TASK_NESTED)
        TRY(probe_system(cpu, tss->base + TSS_LINK, 2, MMU_WRITE));
    if (kind != TASK_RETURN)
        TRY(probe_system(cpu, descriptor_address(cpu, selector), 8, MMU_WRITE));
    if (kind != TASK_NESTED)
        TRY(probe_system(cpu, descriptor_address(cpu, tr->selector & ~SELECTOR_TI), 8, MMU_WRITE));
    return true;
}

static bool read_image(struct vcpu *cpu, uint64_t base, const struct tss_layout *layout, struct task_image *image)
{
    uint64_t value;

    *image = (struct task_image){0};
    TRY(cpu_read_system(cpu, base + layout->rip, layout->item, &value));
    image->rip = (uint32_t)value;
    TRY(cpu_read_system(cpu, base + layout->eflags, layout->item, &value));
    image->eflags = (uint32_t)value;
    for (unsigned i = 0; i < 8; i++) {
        TRY(cpu_read_system(cpu, base + layout->gpr + i * layout->item, layout->item, &value));
        image->gpr[i] = (uint32_t)value | layout->gpr_upper;
    }
    for (unsigned i = 0; i < layout->segments; i++) {
        TRY(cpu_read_system(cpu, base + layout->segment + i * layout->item, 2, &value));
        image->segment[i] = (uint16_t)value;
    }
    TRY(cpu_read_system(cpu, base + layout->ldt, 2, &value));
    image->ldt = (uint16_t)value;
    if (layout == &layout32) {
        TRY(cpu_read_system(cpu, base + TSS32_CR3, 4, &value));
        image->cr3 = (uint32_t)value;
        TRY(cpu_read_system(cpu, base + TSS32_TRAP, 2, &value));
        image->trap = value & 1;
    }
    return true;
}

static bool save_image(struct vcpu *cpu, const struct tss_layout *layout, uint32_t rip, uint32_t eflags)
{
    const struct cpu_state *s = &cpu->state;
    uint64_t base = s->tr.base;

    TRY(cpu_write_system(cpu, base + layout->rip, layout->item, rip));
    TRY(cpu_write_system(cpu, base + layout->eflags, layout->item, eflags));
    for (unsigned i = 0; i < 8; i++)
        TRY(cpu_write_system(cpu, base + layout->gpr + i * layout->item, layout->item, s->gpr[i]));
    for (unsigned i = 0; i < layout->segments; i++)
        TRY(cpu_write_system(cpu, base + layout->segment + i * layout->item, 2, s->segment[i].selector));
    return true;
}

static bool set_busy(struct vcpu *cpu, uint16_t selector, bool busy)
{
    uint64_t at = descriptor_address(cpu, selector & ~SELECTOR_TI) + 4, high;

    TRY(cpu_read_system(cpu, at, 4, &high));
    return cpu_write_system(cpu, at, 4, busy ? high | DESCRIPTOR_HIGH_BUSY : high & ~(uint64_t)DESCRIPTOR_HIGH_BUSY);
}

/* Everything of the new task that needs no check. Segment registers get their selectors and stay unusable; SS
 * has the new CPL in its hidden part. */
static void load_registers(struct vcpu *cpu, const struct task_image *image, uint32_t eflags)
{
    struct cpu_state *s = &cpu->state;
    unsigned cpl = eflags & FLAG_VM ? 3 : SELECTOR_RPL(image->segment[SEG_CS]);

    for (unsigned i = 0; i < 8; i++)
        s->gpr[i] = image->gpr[i];
    for (unsigned i = 0; i < SEG_COUNT; i++)
        cpu_nullify_segment(&s->segment[i], image->segment[i], i == SEG_SS ? cpl : 0);
    cpu_nullify_segment(&s->ldtr, image->ldt, 0);
    s->rip = image->rip;
    cpu->next_rip = image->rip;
    s->cr0 |= CR0_TS;
    if (s->dr[7] & (DR7_LOCAL_ENABLES | DR7_LE)) /* Intel SDM vol. 3, 17.2.4 */
        debug_set_dr7(cpu, (uint32_t)s->dr[7] & ~(DR7_LOCAL_ENABLES | DR7_LE));
    cpu_set_eflags(cpu, eflags);
    cpu_update_mode(cpu);
}

/* ---- checks in the new task, Intel SDM vol. 3, table 7-1 ---- */

static bool load_code(struct vcpu *cpu, uint16_t selector)
{
    unsigned cpl = SELECTOR_RPL(selector);
    struct descriptor d;

    if (selector_is_null(selector))
        return cpu_raise_error(cpu, EXC_TS, 0);
    TRY(cpu_read_descriptor(cpu, selector, EXC_TS, &d));
    if (!descriptor_is_code(&d) ||
        (descriptor_is_conforming(&d) ? descriptor_dpl(&d) > cpl : descriptor_dpl(&d) != cpl))
        return cpu_raise_error(cpu, EXC_TS, SELECTOR_ERROR(selector));
    if (!descriptor_present(&d))
        return cpu_raise_error(cpu, EXC_NP, SELECTOR_ERROR(selector));
    TRY(cpu_set_descriptor_accessed(cpu, selector, &d));
    cpu_segment_from_descriptor(cpu, &cpu->state.segment[SEG_CS], selector, &d);
    return true;
}

static bool load_stack(struct vcpu *cpu, uint16_t selector, unsigned cpl)
{
    struct descriptor d;

    if (selector_is_null(selector))
        return cpu_raise_error(cpu, EXC_TS, 0);
    TRY(cpu_read_descriptor(cpu, selector, EXC_TS, &d));
    TRY(cpu_check_stack_descriptor(cpu, selector, &d, cpl, EXC_TS));
    TRY(cpu_set_descriptor_accessed(cpu, selector, &d));
    cpu_segment_from_descriptor(cpu, &cpu->state.segment[SEG_SS], selector, &d);
    return true;
}

static bool load_data(struct vcpu *cpu, unsigned seg, uint16_t selector, unsigned cpl)
{
    struct descriptor d;

    if (selector_is_null(selector))
        return true;
    TRY(cpu_read_descriptor(cpu, selector, EXC_TS, &d));
    TRY(cpu_check_data_descriptor(cpu, selector, &d, cpl, EXC_TS));
    TRY(cpu_set_descriptor_accessed(cpu, selector, &d));
    cpu_segment_from_descriptor(cpu, &cpu->state.segment[seg], selector, &d);
    return true;
}

static bool load_segments(struct vcpu *cpu, const struct task_image *image)
{
    static const uint8_t data_segments[] = {SEG_ES, SEG_DS, SEG_FS, SEG_GS};
    unsigned cpl = SELECTOR_RPL(image->segment[SEG_CS]);
    struct segment ldt;

    TRY(cpu_check_ldt(cpu, image->ldt, EXC_TS, EXC_TS, &ldt));
    cpu->state.ldtr = ldt;
    if (cpu->state.system_flags & FLAG_VM) {
        for (unsigned seg = 0; seg < SEG_COUNT; seg++)
            cpu_load_segment_real(cpu, seg, image->segment[seg]);
        return true;
    }
    TRY(load_code(cpu, image->segment[SEG_CS]));
    TRY(load_stack(cpu, image->segment[SEG_SS], cpl));
    for (unsigned i = 0; i < ARRAY_SIZE(data_segments); i++)
        TRY(load_data(cpu, data_segments[i], image->segment[data_segments[i]], cpl));
    return true;
}

static bool load_page_directory(struct vcpu *cpu, uint32_t cr3)
{
    /* Entries are invalidated only if CR3 changes (Intel SDM vol. 3, 4.10.4.1). */
    if (cr3 == (uint32_t)cpu->state.cr3)
        return true;
    if (!mmu_set_cr3(&cpu->mmu, cr3))
        return cpu_raise_error(cpu, EXC_GP, 0);
    cpu->state.cr3 = cr3;
    return true;
}

bool task_switch(struct vcpu *cpu, uint16_t selector, const struct descriptor *tss, enum task_switch_kind kind,
                 uint32_t saved_rip, uint32_t saved_eflags)
{
    struct cpu_state *s = &cpu->state;
    uint16_t old_selector = s->tr.selector;
    struct segment new_tr;
    struct task_image image;

    cpu_segment_from_descriptor(cpu, &new_tr, selector, tss);
    new_tr.attributes |= SYSTEM_TYPE_BUSY;
    const struct tss_layout *new_layout = tss_is_32bit(&new_tr) ? &layout32 : &layout16;
    const struct tss_layout *old_layout = tss_is_32bit(&s->tr) ? &layout32 : &layout16;

    TRY(probe_everything(cpu, selector, &new_tr, new_layout, old_layout, kind));
    TRY(read_image(cpu, new_tr.base, new_layout, &image));

    if (kind != TASK_NESTED)
        TRY(set_busy(cpu, old_selector, false));
    if (kind == TASK_RETURN)
        saved_eflags &= ~FLAG_NT;
    TRY(save_image(cpu, old_layout, saved_rip, saved_eflags));
    if (kind == TASK_NESTED)
        TRY(cpu_write_system(cpu, new_tr.base + TSS_LINK, 2, old_selector));
    if (kind != TASK_RETURN)
        TRY(set_busy(cpu, selector, true));

    /* The switch takes effect: what follows happens in the new task. */
    s->tr = new_tr;
    uint32_t eflags = image.eflags & cpu->model->eflags_mask;
    if (kind == TASK_NESTED)
        eflags |= FLAG_NT;
    load_registers(cpu, &image, eflags);
    if ((s->cr0 & CR0_PG) && new_layout == &layout32)
        TRY(load_page_directory(cpu, image.cr3));
    bool loaded = load_segments(cpu, &image);
    cpu_update_mode(cpu);
    TRY(loaded);
    if (image.trap) { /* a debug trap before the new task's first instruction: Intel SDM vol. 3, 17.3.1.5 */
        cpu->pending_debug |= DR6_BT;
        atomic_fetch_or(&cpu->attention, ATTENTION_EVENT);
    }
    return true;
}

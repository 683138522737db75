/* Fields of the processor's state, for snapshots. */
#include "cpu/state_fields.h"

#include "cpu/debug.h"
#include "cpu/vcpu.h"

/* read_end and write_end follow from the rest. */
static const struct state_field segment_fields[] = {
    STATE_INT(struct segment, base),
    STATE_INT(struct segment, limit),
    STATE_INT(struct segment, selector),
    STATE_INT(struct segment, attributes),
    STATE_END,
};

static const struct state_field descriptor_table_fields[] = {
    STATE_INT(struct descriptor_table, base),
    STATE_INT(struct descriptor_table, limit),
    STATE_END,
};

static const struct state_field x87_fields[] = {
    STATE_INT(struct x87_state, fcw),  STATE_INT(struct x87_state, fsw),
    STATE_INT(struct x87_state, ftw),  STATE_INT(struct x87_state, fop),
    STATE_INT(struct x87_state, fip),  STATE_INT(struct x87_state, fcs),
    STATE_INT(struct x87_state, fdp),  STATE_INT(struct x87_state, fds),
    STATE_BYTES(struct x87_state, st), STATE_END,
};

/* clang-format off */
#define CPU_STATE_FIELDS                                                \
    STATE_INT_ARRAY(struct cpu_state, gpr),                             \
    STATE_INT(struct cpu_state, rip),                                   \
    STATE_INT(struct cpu_state, arithmetic_flags),                      \
    STATE_INT(struct cpu_state, system_flags),                          \
    STATE_ARRAY(struct cpu_state, segment, segment_fields),             \
    STATE_STRUCT(struct cpu_state, ldtr, segment_fields),               \
    STATE_STRUCT(struct cpu_state, tr, segment_fields),                 \
    STATE_STRUCT(struct cpu_state, gdtr, descriptor_table_fields),      \
    STATE_STRUCT(struct cpu_state, idtr, descriptor_table_fields),      \
    STATE_INT(struct cpu_state, cr0),                                   \
    STATE_INT(struct cpu_state, cr4),                                   \
    STATE_INT(struct cpu_state, cr2),                                   \
    STATE_INT(struct cpu_state, cr3),                                   \
    STATE_INT_ARRAY(struct cpu_state, dr),                              \
    STATE_INT(struct cpu_state, efer),                                  \
    STATE_INT(struct cpu_state, mxcsr),                                 \
    STATE_BYTES(struct cpu_state, xmm),                                 \
    STATE_STRUCT(struct cpu_state, x87, x87_fields),                    \
    STATE_INT(struct cpu_state, apic_base),                             \
    STATE_INT(struct cpu_state, pat),                                   \
    STATE_INT(struct cpu_state, misc_enable),                           \
    STATE_INT(struct cpu_state, sysenter_cs),                           \
    STATE_INT(struct cpu_state, sysenter_esp),                          \
    STATE_INT(struct cpu_state, sysenter_eip),                          \
    STATE_INT_ARRAY(struct cpu_state, mtrr_physical_base),              \
    STATE_INT_ARRAY(struct cpu_state, mtrr_physical_mask),              \
    STATE_INT_ARRAY(struct cpu_state, mtrr_fixed),                      \
    STATE_INT(struct cpu_state, mtrr_default_type),                     \
    STATE_INT(struct cpu_state, tsc_offset),                            \
    STATE_INT(struct cpu_state, debugctl),                              \
    STATE_INT(struct cpu_state, bios_signature),                        \
    STATE_INT(struct cpu_state, mcg_status),                            \
    STATE_INT(struct cpu_state, mcg_control),                           \
    STATE_INT_ARRAY(struct cpu_state, mc_control),                      \
    STATE_INT_ARRAY(struct cpu_state, performance_select),              \
    STATE_INT_ARRAY(struct cpu_state, performance_counter),             \
    STATE_INT(struct cpu_state, halted),                                \
    STATE_INT(struct cpu_state, nmi_blocked),                           \
    STATE_INT(struct cpu_state, interrupt_shadow),                      \
    STATE_INT(struct cpu_state, a20_enabled)
/* clang-format on */

static const struct state_field cpu_state_fields[] = {CPU_STATE_FIELDS, STATE_END};

/* The state comes first in struct vcpu, so that its offsets hold there too. */
static_assert(offsetof(struct vcpu, state) == 0, "fields of the state are addressed from the vcpu");

static const struct state_field vcpu_fields[] = {
    CPU_STATE_FIELDS,
    STATE_INT(struct vcpu, nmi_pending),
    STATE_INT(struct vcpu, pending_debug),
    STATE_END,
};

static void vcpu_loaded(void *object)
{
    struct vcpu *cpu = object;
    struct cpu_state *state = &cpu->state;

    for (unsigned i = 0; i < SEG_COUNT; i++)
        cpu_update_segment_ends(cpu, &state->segment[i]);
    cpu_update_segment_ends(cpu, &state->ldtr);
    cpu_update_segment_ends(cpu, &state->tr);
    cpu->exception.valid = false;
    cpu->fpu_resident = false;
    mmu_set_a20(&cpu->mmu, state->a20_enabled);
    mmu_load_state(&cpu->mmu, state->cr0, state->cr3, state->cr4, state->efer);
    cpu_update_mode(cpu);
    debug_update(cpu);
    /* A look too many does no harm. */
    cpu_post_attention(cpu, ATTENTION_EVENT | ATTENTION_INTERRUPT | ATTENTION_NMI);
}

const struct state_table cpu_state_table = {"cpu", 1, cpu_state_fields, NULL};
const struct state_table vcpu_state_table = {"vcpu", 1, vcpu_fields, vcpu_loaded};

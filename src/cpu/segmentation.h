/* Segments: loading segment registers, checking logical addresses, accesses by segment and offset. */
#ifndef DRAGOMAN_CPU_SEGMENTATION_H
#define DRAGOMAN_CPU_SEGMENTATION_H

#include "cpu/exception.h"
#include "cpu/vcpu.h"

/* A descriptor as fetched from a table. */
struct descriptor {
    uint32_t low, high;
};

#define SELECTOR_RPL(s)   ((s)&3)
#define SELECTOR_TI       4u
#define SELECTOR_ERROR(s) ((uint32_t)(s)&0xfffc)

/* Reads the descriptor SELECTOR names from GDT or LDT. Raises EXCEPTION(selector) when it is outside the
 * table. */
bool cpu_read_descriptor(struct vcpu *cpu, uint16_t selector, enum exception_vector exception, struct descriptor *out);
/* Fills the hidden part from a descriptor (read_end/write_end too), selector included. */
void cpu_segment_from_descriptor(const struct vcpu *cpu, struct segment *segment, uint16_t selector,
                                 const struct descriptor *descriptor);
/* Sets the accessed bit in the table if it is clear. */
bool cpu_set_descriptor_accessed(struct vcpu *cpu, uint16_t selector, struct descriptor *descriptor);
/* Real mode and V86: selector << 4; limit FFFFh and attributes as the mode prescribes (real mode keeps
 * the limit and attributes a descriptor left: "unreal mode"; V86 sets them). */
void cpu_load_segment_real(struct vcpu *cpu, unsigned seg, uint16_t selector);

/* MOV/POP/LxS to ES, SS, DS, FS, GS (never CS) in the present mode, with every check of Intel SDM vol. 2,
 * MOV. Updates the mode word. The SS shadow is the caller's business. */
bool cpu_load_segment(struct vcpu *cpu, unsigned seg, uint16_t selector);
bool cpu_load_ldtr(struct vcpu *cpu, uint16_t selector);
bool cpu_load_tr(struct vcpu *cpu, uint16_t selector);

/* Logical address -> linear, after limit, type and null checks for an access of SIZE bytes. Raises
 * #SS(0) for SEG_SS, #GP(0) else. */
bool cpu_check_segment_read(struct vcpu *cpu, unsigned seg, uint64_t offset, unsigned size, uint64_t *linear);
bool cpu_check_segment_write(struct vcpu *cpu, unsigned seg, uint64_t offset, unsigned size, uint64_t *linear);
/* The limit alone (and that the segment is there): CLFLUSH may name execute-only segments, and some instructions look
 * at the type later. */
bool cpu_check_segment_limit(struct vcpu *cpu, unsigned seg, uint64_t offset, unsigned size, uint64_t *linear);

/* Data accesses by segment and offset (segment checks, paging, #AC by the mmu). SIZE 1, 2, 4, 8. */
bool cpu_read_data(struct vcpu *cpu, unsigned seg, uint64_t offset, unsigned size, uint64_t *value);
bool cpu_write_data(struct vcpu *cpu, unsigned seg, uint64_t offset, unsigned size, uint64_t value);
/* Any length (FXSAVE, FSAVE, bound pairs): all checks first, then the bytes. */
bool cpu_read_data_bytes(struct vcpu *cpu, unsigned seg, uint64_t offset, void *to, unsigned length);
bool cpu_write_data_bytes(struct vcpu *cpu, unsigned seg, uint64_t offset, const void *from, unsigned length);
/* An access of SIZE bytes would succeed for writing (both pages); nothing is changed. */
bool cpu_probe_data(struct vcpu *cpu, unsigned seg, uint64_t offset, unsigned size, enum mmu_access access);

/* Stack by the present SS: offsets wrap at 16 bits when SS.B = 0. */
always_inline uint64_t cpu_stack_mask(const struct vcpu *cpu)
{
    return cpu->mode & MODE_SS_B ? 0xffffffffu : 0xffffu;
}
bool cpu_push(struct vcpu *cpu, unsigned size, uint64_t value); /* SP moves only on success */
/* Reads what POP would pop, AT bytes above SP; SP is not changed. */
bool cpu_peek_stack(struct vcpu *cpu, unsigned at, unsigned size, uint64_t *value);
/* SP += BYTES under the stack mask. */
void cpu_adjust_stack(struct vcpu *cpu, int64_t bytes);

/* System structures by linear address with supervisor rights; raise #PF. */
bool cpu_read_system(struct vcpu *cpu, uint64_t linear, unsigned size, uint64_t *value);
bool cpu_write_system(struct vcpu *cpu, uint64_t linear, unsigned size, uint64_t value);

#endif

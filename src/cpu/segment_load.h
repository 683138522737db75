/* Pieces of segment loading that far transfers and task switches share. */
#ifndef DRAGOMAN_CPU_SEGMENT_LOAD_H
#define DRAGOMAN_CPU_SEGMENT_LOAD_H

#include "cpu/segmentation.h"

/* Makes SEGMENT unusable: base 0, no access; the limit stays (a later real-mode load brings it back).
 * DPL is kept in the hidden part because SS.DPL is the CPL. */
void cpu_nullify_segment(struct segment *segment, uint16_t selector, unsigned dpl);

/* The rules for what may be loaded into SS with privilege CPL. Raises EXCEPTION(selector), or
 * #SS(selector) when the segment is not present. */
bool cpu_check_stack_descriptor(struct vcpu *cpu, uint16_t selector, const struct descriptor *descriptor, unsigned cpl,
                                enum exception_vector exception);
/* The same for DS, ES, FS and GS; #NP(selector) when not present. */
bool cpu_check_data_descriptor(struct vcpu *cpu, uint16_t selector, const struct descriptor *descriptor, unsigned cpl,
                               enum exception_vector exception);
/* Reads and checks the LDT descriptor SELECTOR names (null: an unusable LDTR) into LOADED. */
bool cpu_check_ldt(struct vcpu *cpu, uint16_t selector, enum exception_vector invalid, enum exception_vector absent,
                   struct segment *loaded);

#endif

/* The processor's state as snapshots save it (base/state_table.h). */
#ifndef DRAGOMAN_CPU_STATE_FIELDS_H
#define DRAGOMAN_CPU_STATE_FIELDS_H

#include "base/state_table.h"

/* Every field of struct cpu_state; the object is a struct cpu_state. What is derived is left alone, so that it also
 * serves copies of the state. */
extern const struct state_table cpu_state_table;

/* The same and what is pending at an instruction boundary; the object is a struct vcpu whose model, memory and ports
 * are set and whose x87 state is not resident (cpu_fpu_spill() first). Loading recomputes mode word, segment ends and
 * mmu state. INTR's level is the interrupt controller's to restore. */
extern const struct state_table vcpu_state_table;

#endif

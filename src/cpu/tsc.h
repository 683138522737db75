/* The time-stamp counter beyond what cpu/vcpu.h declares. */
#ifndef DRAGOMAN_CPU_TSC_H
#define DRAGOMAN_CPU_TSC_H

#include "cpu/vcpu.h"

/* From now on the counter counts from VALUE. */
void cpu_write_tsc(struct vcpu *cpu, uint64_t value);

#endif

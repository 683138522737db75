/* Where and in what mode a processor is, as traces tell it. */
#ifndef DRAGOMAN_CPU_TRACE_MODE_H
#define DRAGOMAN_CPU_TRACE_MODE_H

#include "cpu/vcpu.h"
#include "trace/trace.h"

/* WORD: the mode word of a block. */
static inline struct trace_mode cpu_trace_mode(const struct vcpu *cpu, uint32_t word)
{
    return (struct trace_mode){
        .word = word,
        .bits = word & MODE_CS_D ? 32 : 16,
        .cpl = (uint8_t)MODE_CPL(word),
        .v86 = word & MODE_VM86,
        .paging = cpu->state.cr0 & CR0_PG,
        .cr3 = cpu->state.cr3,
    };
}

#endif

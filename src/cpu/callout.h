/* Callouts: one C function per critical or complex instruction, called by every engine.
 *
 * Before the call the engine sets
 *     state.rip       address of the instruction itself
 *     cpu->next_rip   address behind it (wrapped by the engine where IP wraps)
 * and all registers and flags are exact.  A callout that succeeds returns true, having set next_rip if
 * it branches; the engine then sets state.rip = next_rip.  A callout that fails returns false with
 * cpu->exception valid and the state as before the instruction (or as the SDM says for partial
 * completion). Callouts call cpu_update_mode() when they change what it depends on; the engine
 * compares cpu->mode afterwards. */
#ifndef DRAGOMAN_CPU_CALLOUT_H
#define DRAGOMAN_CPU_CALLOUT_H

#include "cpu/exception.h"
#include "cpu/segmentation.h"
#include "cpu/vcpu.h"

struct callout_args {
    uint16_t row;          /* instruction table row */
    uint8_t length;        /* of the instruction */
    uint8_t operand_size;  /* 1, 2, 4, 8 bytes: of the operation (for IN/OUT/INS/OUTS: of the datum) */
    uint8_t address_size;  /* 2, 4, 8 */
    uint8_t segment;       /* of the memory operand, overrides applied */
    uint8_t reg;           /* ModRM.reg: number of the register, segment, CR or DR operand */
    uint8_t rm;            /* ModRM.rm register number when !memory */
    bool memory;           /* the r/m operand is memory at segment:offset */
    bool reg_high, rm_high; /* 8-bit operand is AH, CH, DH or BH (number 0..3) */
    uint8_t repeat;        /* REPEAT_* */
    bool lock;
    uint16_t opcode;       /* last opcode byte | ModRM << 8 (x87: for FOP) */
    uint16_t selector;     /* of a far pointer immediate */
    uint64_t offset;       /* effective address of the memory operand, masked to address_size; set at run time */
    uint64_t immediate;    /* first immediate, sign- or zero-extended as the instruction wants */
    uint64_t immediate2;   /* ENTER's level */
};
enum { REPEAT_NONE, REPEAT_E /* F3 */, REPEAT_NE /* F2 */ };

typedef bool (*callout_fn)(struct vcpu *cpu, const struct callout_args *args);

/* Operand access for callouts. Reads/writes the r/m operand, register or memory. */
bool callout_read_rm(struct vcpu *cpu, const struct callout_args *args, unsigned size, uint64_t *value);
bool callout_write_rm(struct vcpu *cpu, const struct callout_args *args, unsigned size, uint64_t value);
/* General registers: 16-bit writes keep bits 63:16, 32-bit writes clear 63:32. */
always_inline uint64_t cpu_get_gpr(const struct vcpu *cpu, unsigned number, unsigned size)
{
    uint64_t v = cpu->state.gpr[number];
    return size == 8 ? v : v & ((1ull << (8 * size)) - 1);
}
always_inline void cpu_set_gpr(struct vcpu *cpu, unsigned number, unsigned size, uint64_t value)
{
    if (size >= 4)
        cpu->state.gpr[number] = size == 8 ? value : (uint32_t)value;
    else if (size == 2)
        cpu->state.gpr[number] = (cpu->state.gpr[number] & ~0xffffull) | (uint16_t)value;
    else
        cpu->state.gpr[number] = (cpu->state.gpr[number] & ~0xffull) | (uint8_t)value;
}

/* Address of what follows at BYTES behind the memory operand's beginning: wraps at the address size. */
always_inline uint64_t callout_offset_behind(const struct callout_args *args, unsigned bytes)
{
    return (args->offset + bytes) & (args->address_size == 2 ? 0xffffu : 0xffffffffu);
}
/* A far pointer in memory: the offset first, with all its checks, then the selector. */
bool callout_read_far_pointer(struct vcpu *cpu, const struct callout_args *args, uint64_t *offset, uint64_t *selector);

/* The callouts themselves are declared from the instruction table: see cpu/instruction_table.h. */

#endif

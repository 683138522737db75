/* IN, OUT, INS, OUTS (Intel SDM vol. 1, chapter 19: I/O protection; vol. 2 for the instructions). */
#include "cpu/callouts.h"
#include "cpu/debug.h"

/* A portion of REP INS or OUTS between two looks at pending interrupts. */
#define MAXIMUM_PORTION       512
#define TSS_IO_BITMAP_BASE    0x66 /* 32-bit TSS: offset of the word that says where the bitmap begins */
#define TSS_TYPE_AVAILABLE_32 9u
#define TSS_TYPE_BUSY_32      11u

static bool check_permission(struct vcpu *cpu, uint16_t port, unsigned size)
{
    const struct segment *tr = &cpu->state.tr;
    unsigned type = SEGMENT_TYPE(tr);
    uint64_t base, bits;

    if (cpu_in_real_mode(cpu))
        return true;
    if (!cpu_in_vm86(cpu) && cpu_cpl(cpu) <= (cpu->state.system_flags & FLAG_IOPL) >> 12)
        return true;
    if (!(tr->attributes & SEGMENT_P) || (type != TSS_TYPE_AVAILABLE_32 && type != TSS_TYPE_BUSY_32) ||
        tr->limit < TSS_IO_BITMAP_BASE + 1)
        return cpu_raise_error(cpu, EXC_GP, 0);
    TRY(cpu_read_system(cpu, (uint32_t)(tr->base + TSS_IO_BITMAP_BASE), 2, &base));
    /* Two bytes are always read, so that any four ports in a row are covered: hence the byte of ones that
     * systems keep behind their bitmaps. */
    uint32_t offset = (uint32_t)base + (port >> 3);
    if (offset + 1 > tr->limit)
        return cpu_raise_error(cpu, EXC_GP, 0);
    TRY(cpu_read_system(cpu, (uint32_t)(tr->base + offset), 2, &bits));
    if ((bits >> (port & 7)) & ((1u << size) - 1))
        return cpu_raise_error(cpu, EXC_GP, 0);
    return true;
}

/* E4-E7 carry the port as an immediate byte, EC-EF take it from DX. */
static uint16_t port_of(const struct vcpu *cpu, const struct callout_args *args)
{
    return args->opcode & 8 ? (uint16_t)cpu->state.gpr[GPR_DX] : (uint8_t)args->immediate;
}

bool callout_in(struct vcpu *cpu, const struct callout_args *args)
{
    uint16_t port = port_of(cpu, args);

    TRY(check_permission(cpu, port, args->operand_size));
    cpu_set_gpr(cpu, GPR_AX, args->operand_size, port_space_read(cpu->ports, port, args->operand_size));
    debug_check_io(cpu, port, args->operand_size);
    return true;
}

bool callout_out(struct vcpu *cpu, const struct callout_args *args)
{
    uint16_t port = port_of(cpu, args);

    TRY(check_permission(cpu, port, args->operand_size));
    port_space_write(cpu->ports, port, args->operand_size, (uint32_t)cpu_get_gpr(cpu, GPR_AX, args->operand_size));
    debug_check_io(cpu, port, args->operand_size);
    return true;
}

/* Everything that could refuse the store comes before the port is read: a datum read from a port is gone. */
static bool input_element(struct vcpu *cpu, uint16_t port, unsigned size, uint64_t offset)
{
    uint64_t linear;

    TRY(cpu_check_segment_write(cpu, SEG_ES, offset, size, &linear));
    if (!mmu_fast_pointer(cpu->mmu.write_table, linear, size)) {
        if (cpu->mmu.alignment_check && (linear & (size - 1)))
            return cpu_raise_error(cpu, EXC_AC, 0);
        if (!mmu_probe(&cpu->mmu, linear, size, MMU_WRITE))
            return cpu_raise_memory_fault(cpu);
    }
    return cpu_write_data(cpu, SEG_ES, offset, size, port_space_read(cpu->ports, port, size));
}

static bool output_element(struct vcpu *cpu, uint16_t port, unsigned size, unsigned segment, uint64_t offset)
{
    uint64_t value;

    TRY(cpu_read_data(cpu, segment, offset, size, &value));
    port_space_write(cpu->ports, port, size, (uint32_t)value);
    return true;
}

/* One element, or a portion of a repeated instruction. Registers are exact after each element, so that a fault in the
 * middle restarts with what is left. */
static bool transfer(struct vcpu *cpu, const struct callout_args *args, bool input)
{
    unsigned index = input ? GPR_DI : GPR_SI;
    unsigned size = args->operand_size;
    uint16_t port = (uint16_t)cpu->state.gpr[GPR_DX];
    uint64_t step = cpu->state.system_flags & FLAG_DF ? -(uint64_t)size : size;
    uint64_t left = args->repeat != REPEAT_NONE ? cpu_get_gpr(cpu, GPR_CX, args->address_size) : 1;

    /* Permission is checked even for a count of 0 (as seen on Intel processors). */
    TRY(check_permission(cpu, port, size));
    for (unsigned done = 0; left; done++) {
        uint64_t offset = cpu_get_gpr(cpu, index, args->address_size);

        /* Step by step in single-step mode and behind a matched breakpoint; and what waits for the
         * processor waits for one element at most. */
        if (done && (done >= MAXIMUM_PORTION || (cpu->state.system_flags & FLAG_TF) || cpu->pending_debug ||
                     atomic_load_explicit(&cpu->attention, memory_order_relaxed))) {
            /* An event taken here pushes RF = 1: the instruction breakpoint that began this
             * instruction must not strike again when it goes on (Intel SDM vol. 3, 17.3.1.1). */
            cpu->state.system_flags |= FLAG_RF;
            cpu->next_rip = cpu->state.rip;
            return true;
        }
        TRY(input ? input_element(cpu, port, size, offset) : output_element(cpu, port, size, args->segment, offset));
        debug_check_io(cpu, port, size);
        cpu_set_gpr(cpu, index, args->address_size, offset + step);
        left--;
        if (args->repeat != REPEAT_NONE)
            cpu_set_gpr(cpu, GPR_CX, args->address_size, left);
    }
    cpu->state.system_flags &= ~FLAG_RF;
    return true;
}

bool callout_ins(struct vcpu *cpu, const struct callout_args *args)
{
    return transfer(cpu, args, true);
}

bool callout_outs(struct vcpu *cpu, const struct callout_args *args)
{
    return transfer(cpu, args, false);
}

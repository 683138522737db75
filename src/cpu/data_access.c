/* Guest memory accesses by segment and offset, by stack pointer, and to system structures. */
#include "cpu/callout.h"
#include "cpu/segmentation.h"
#include "mmu/access.h"

static struct mmu_result read_linear(struct mmu *mmu, uint64_t linear, unsigned size)
{
    switch (size) {
    case 1:
        return mmu_read8(mmu, linear);
    case 2:
        return mmu_read16(mmu, linear);
    case 4:
        return mmu_read32(mmu, linear);
    default:
        return mmu_read64(mmu, linear);
    }
}

static bool write_linear(struct mmu *mmu, uint64_t linear, unsigned size, uint64_t value)
{
    switch (size) {
    case 1:
        return mmu_write8(mmu, linear, (uint8_t)value);
    case 2:
        return mmu_write16(mmu, linear, (uint16_t)value);
    case 4:
        return mmu_write32(mmu, linear, (uint32_t)value);
    default:
        return mmu_write64(mmu, linear, value);
    }
}

bool cpu_read_data(struct vcpu *cpu, unsigned seg, uint64_t offset, unsigned size, uint64_t *value)
{
    uint64_t linear;

    TRY(cpu_check_segment_read(cpu, seg, offset, size, &linear));
    struct mmu_result result = read_linear(&cpu->mmu, linear, size);
    if (!result.ok)
        return cpu_raise_memory_fault(cpu);
    *value = result.value;
    return true;
}

bool cpu_write_data(struct vcpu *cpu, unsigned seg, uint64_t offset, unsigned size, uint64_t value)
{
    uint64_t linear;

    TRY(cpu_check_segment_write(cpu, seg, offset, size, &linear));
    if (!write_linear(&cpu->mmu, linear, size, value))
        return cpu_raise_memory_fault(cpu);
    return true;
}

/* The next piece of a long operand: naturally aligned, so that neither #AC nor a page crossing can come of it. */
static unsigned piece_size(uint64_t linear, unsigned length)
{
    unsigned size = 8;

    while (size > length || (linear & (size - 1)))
        size /= 2;
    return size;
}

static bool probe_range(struct vcpu *cpu, uint64_t linear, unsigned length, enum mmu_access access)
{
    while (length) {
        unsigned size = length < PAGE_SIZE ? length : PAGE_SIZE;

        if (!mmu_probe(&cpu->mmu, linear, size, access))
            return cpu_raise_memory_fault(cpu);
        linear = (uint32_t)(linear + size);
        length -= size;
    }
    return true;
}

bool cpu_read_data_bytes(struct vcpu *cpu, unsigned seg, uint64_t offset, void *to, unsigned length)
{
    uint8_t *bytes = to;
    uint64_t linear;

    TRY(cpu_check_segment_read(cpu, seg, offset, length, &linear));
    TRY(probe_range(cpu, linear, length, MMU_READ));
    for (unsigned done = 0; done < length;) {
        unsigned size = piece_size(linear, length - done);
        struct mmu_result result = read_linear(&cpu->mmu, linear, size);

        if (!result.ok)
            return cpu_raise_memory_fault(cpu);
        memcpy(bytes + done, &result.value, size);
        done += size;
        linear = (uint32_t)(linear + size);
    }
    return true;
}

bool cpu_write_data_bytes(struct vcpu *cpu, unsigned seg, uint64_t offset, const void *from, unsigned length)
{
    const uint8_t *bytes = from;
    uint64_t linear;

    TRY(cpu_check_segment_write(cpu, seg, offset, length, &linear));
    TRY(probe_range(cpu, linear, length, MMU_WRITE));
    for (unsigned done = 0; done < length;) {
        unsigned size = piece_size(linear, length - done);
        uint64_t value = 0;

        memcpy(&value, bytes + done, size);
        if (!write_linear(&cpu->mmu, linear, size, value))
            return cpu_raise_memory_fault(cpu);
        done += size;
        linear = (uint32_t)(linear + size);
    }
    return true;
}

bool cpu_probe_data(struct vcpu *cpu, unsigned seg, uint64_t offset, unsigned size, enum mmu_access access)
{
    uint64_t linear;

    TRY(access == MMU_WRITE ? cpu_check_segment_write(cpu, seg, offset, size, &linear)
                            : cpu_check_segment_read(cpu, seg, offset, size, &linear));
    return probe_range(cpu, linear, size, access);
}

/* ---- stack ---- */

bool cpu_push(struct vcpu *cpu, unsigned size, uint64_t value)
{
    uint64_t sp = (cpu->state.gpr[GPR_SP] - size) & cpu_stack_mask(cpu);

    TRY(cpu_write_data(cpu, SEG_SS, sp, size, value));
    cpu_adjust_stack(cpu, -(int64_t)size);
    return true;
}

bool cpu_peek_stack(struct vcpu *cpu, unsigned at, unsigned size, uint64_t *value)
{
    return cpu_read_data(cpu, SEG_SS, (cpu->state.gpr[GPR_SP] + at) & cpu_stack_mask(cpu), size, value);
}

void cpu_adjust_stack(struct vcpu *cpu, int64_t bytes)
{
    cpu_set_gpr(cpu, GPR_SP, cpu->mode & MODE_SS_B ? 4 : 2, cpu->state.gpr[GPR_SP] + (uint64_t)bytes);
}

/* ---- system structures ---- */

bool cpu_read_system(struct vcpu *cpu, uint64_t linear, unsigned size, uint64_t *value)
{
    struct mmu_result result = mmu_read_system(&cpu->mmu, (uint32_t)linear, size);

    if (!result.ok)
        return cpu_raise_memory_fault(cpu);
    *value = result.value;
    return true;
}

bool cpu_write_system(struct vcpu *cpu, uint64_t linear, unsigned size, uint64_t value)
{
    if (!mmu_write_system(&cpu->mmu, (uint32_t)linear, size, value))
        return cpu_raise_memory_fault(cpu);
    return true;
}

/* Inline guest accesses by linear address: direct when the TLB proves it, else the slow path.
 * Reads return {value, ok}; writes return success; a failed access left its reason in mmu->fault. */
#ifndef DRAGOMAN_MMU_ACCESS_H
#define DRAGOMAN_MMU_ACCESS_H

#include "mmu/mmu.h"

#include <string.h>

#define MMU_DEFINE_ACCESS(bits)                                                                      \
    always_inline struct mmu_result mmu_read##bits(struct mmu *mmu, uint64_t linear)                 \
    {                                                                                                \
        uint8_t *p = mmu_fast_pointer(mmu->read_table, linear, bits / 8);                            \
        if (unlikely(!p))                                                                            \
            return mmu_read_slow(mmu, linear, bits / 8);                                             \
        uint##bits##_t value;                                                                        \
        memcpy(&value, p, sizeof value);                                                             \
        return (struct mmu_result){value, 1};                                                        \
    }                                                                                                \
    always_inline bool mmu_write##bits(struct mmu *mmu, uint64_t linear, uint##bits##_t value)       \
    {                                                                                                \
        uint8_t *p = mmu_fast_pointer(mmu->write_table, linear, bits / 8);                           \
        if (unlikely(!p))                                                                            \
            return mmu_write_slow(mmu, linear, bits / 8, value);                                     \
        memcpy(p, &value, sizeof value);                                                             \
        return true;                                                                                 \
    }

MMU_DEFINE_ACCESS(8)
MMU_DEFINE_ACCESS(16)
MMU_DEFINE_ACCESS(32)
MMU_DEFINE_ACCESS(64)
#undef MMU_DEFINE_ACCESS

#endif

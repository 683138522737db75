/* The fields of segment, system-segment and gate descriptors (Intel SDM vol. 3, 3.4.5, 3.5, 5.8.3, 6.11).
 *
 *   segment  high  31..24 base 31:24 | 23 G | 22 D/B | 21 L | 20 AVL | 19..16 limit 19:16
 *                  15 P | 14..13 DPL | 12 S | 11..8 type | 7..0 base 23:16
 *            low   31..16 base 15:0  | 15..0 limit 15:0
 *
 *   gate     high  31..16 offset 31:16 | 15 P | 14..13 DPL | 12 S=0 | 11..8 type | 4..0 parameter count (call gates)
 *            low   31..16 selector     | 15..0 offset 15:0 */
#ifndef DRAGOMAN_CPU_DESCRIPTOR_H
#define DRAGOMAN_CPU_DESCRIPTOR_H

#include "cpu/segmentation.h"

/* System descriptor types, Intel SDM vol. 3, table 3-2 */
enum system_descriptor_type {
    SYSTEM_TSS16 = 1,
    SYSTEM_LDT = 2,
    SYSTEM_TSS16_BUSY = 3,
    SYSTEM_CALL_GATE16 = 4,
    SYSTEM_TASK_GATE = 5,
    SYSTEM_INTERRUPT_GATE16 = 6,
    SYSTEM_TRAP_GATE16 = 7,
    SYSTEM_TSS32 = 9,
    SYSTEM_TSS32_BUSY = 11,
    SYSTEM_CALL_GATE32 = 12,
    SYSTEM_INTERRUPT_GATE32 = 14,
    SYSTEM_TRAP_GATE32 = 15
};
#define SYSTEM_TYPE_BUSY  2u /* TSS types: the busy bit */
#define SYSTEM_TYPE_32BIT 8u /* TSS, call, interrupt and trap gate types */

#define DESCRIPTOR_HIGH_TYPE_SHIFT 8
#define DESCRIPTOR_HIGH_BUSY       (SYSTEM_TYPE_BUSY << DESCRIPTOR_HIGH_TYPE_SHIFT)
#define DESCRIPTOR_HIGH_ACCESSED   (SEGMENT_ACCESSED << DESCRIPTOR_HIGH_TYPE_SHIFT)

/* Attributes of segments that no descriptor was read for. */
#define ATTRIBUTES_REAL_DATA 0x0093u /* present, DPL 0, writable data, accessed */
#define ATTRIBUTES_VM86      0x00f3u /* present, DPL 3, writable data, accessed */

static inline unsigned descriptor_type(const struct descriptor *d)
{
    return (d->high >> DESCRIPTOR_HIGH_TYPE_SHIFT) & 0x0f;
}
static inline unsigned descriptor_dpl(const struct descriptor *d)
{
    return (d->high >> 13) & 3;
}
static inline bool descriptor_present(const struct descriptor *d)
{
    return d->high & 0x8000;
}
static inline bool descriptor_is_system(const struct descriptor *d)
{
    return !(d->high & 0x1000);
}
static inline bool descriptor_is_code(const struct descriptor *d)
{
    return !descriptor_is_system(d) && (descriptor_type(d) & SEGMENT_CODE);
}
static inline bool descriptor_is_conforming(const struct descriptor *d)
{
    return descriptor_is_code(d) && (descriptor_type(d) & SEGMENT_EXPAND_DOWN);
}
static inline bool descriptor_is_writable_data(const struct descriptor *d)
{
    return !descriptor_is_system(d) && (descriptor_type(d) & (SEGMENT_CODE | SEGMENT_WRITABLE)) == SEGMENT_WRITABLE;
}
/* Data, or code that may be read. */
static inline bool descriptor_is_readable(const struct descriptor *d)
{
    return !descriptor_is_system(d) && (descriptor_type(d) & (SEGMENT_CODE | SEGMENT_WRITABLE)) != SEGMENT_CODE;
}
/* TSS of either size, available or busy. */
static inline bool descriptor_is_tss(const struct descriptor *d)
{
    return descriptor_is_system(d) && (descriptor_type(d) & ~(SYSTEM_TYPE_BUSY | SYSTEM_TYPE_32BIT)) == SYSTEM_TSS16;
}
static inline bool descriptor_is_available_tss(const struct descriptor *d)
{
    return descriptor_is_tss(d) && !(descriptor_type(d) & SYSTEM_TYPE_BUSY);
}
static inline bool descriptor_is_busy_tss(const struct descriptor *d)
{
    return descriptor_is_tss(d) && (descriptor_type(d) & SYSTEM_TYPE_BUSY);
}
static inline uint32_t descriptor_base(const struct descriptor *d)
{
    return (d->high & 0xff000000u) | ((d->high & 0xff) << 16) | (d->low >> 16);
}
/* In bytes, inclusive, G applied. */
static inline uint32_t descriptor_limit(const struct descriptor *d)
{
    uint32_t limit = (d->high & 0x000f0000u) | (d->low & 0xffff);

    return d->high & 0x00800000u ? (limit << 12) | 0xfff : limit;
}
static inline uint16_t descriptor_attributes(const struct descriptor *d)
{
    return (uint16_t)((d->high >> 8) & 0xf0ff);
}

static inline bool selector_is_null(uint16_t selector)
{
    return (selector & 0xfffc) == 0;
}

static inline bool gate_is_32bit(const struct descriptor *gate)
{
    return descriptor_type(gate) & SYSTEM_TYPE_32BIT;
}
static inline uint16_t gate_selector(const struct descriptor *gate)
{
    return (uint16_t)(gate->low >> 16);
}
/* The upper word counts only in 32-bit gates. */
static inline uint32_t gate_offset(const struct descriptor *gate)
{
    return (gate->low & 0xffff) | (gate_is_32bit(gate) ? gate->high & 0xffff0000u : 0);
}

/* The TSS in TR. */
static inline bool tss_is_32bit(const struct segment *tr)
{
    return SEGMENT_TYPE(tr) & SYSTEM_TYPE_32BIT;
}

/* Linear address of the descriptor that SELECTOR names, in the GDT or LDT; no limit check. */
static inline uint64_t descriptor_address(const struct vcpu *cpu, uint16_t selector)
{
    uint64_t base = selector & SELECTOR_TI ? cpu->state.ldtr.base : cpu->state.gdtr.base;

    return (uint32_t)(base + (selector & 0xfff8u));
}

#endif

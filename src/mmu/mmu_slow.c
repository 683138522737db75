/* The slow paths of guest accesses. */
#include "mmu/memory_map.h"
#include "mmu/mmu_private.h"

#include <string.h>

/* Where an access goes: its one or two pieces in guest-physical memory. */
struct span {
    uint64_t physical[2];
    unsigned size[2]; /* of the second 0 unless the access crosses into another page */
};

static bool crosses_page(uint64_t linear, unsigned size)
{
    return (linear & PAGE_MASK) + size > PAGE_SIZE;
}

static bool translate_span(struct mmu *mmu, uint64_t linear, unsigned size, enum mmu_class access_class,
                           enum mmu_access access, struct span *span)
{
    if (!mmu_translate(mmu, linear, access_class, access, true, &span->physical[0]))
        return false;
    span->size[0] = size;
    span->size[1] = 0;
    if (likely(!crosses_page(linear, size)))
        return true;
    span->size[0] = PAGE_SIZE - (unsigned)(linear & PAGE_MASK);
    span->size[1] = size - span->size[0];
    uint64_t second = mmu_mask_linear(mmu, linear + span->size[0]);
    return mmu_translate(mmu, second, access_class, access, true, &span->physical[1]);
}

static bool alignment_ok(struct mmu *mmu, uint64_t linear, unsigned size)
{
    if (likely(!mmu->alignment_check || mmu->access_class != MMU_USER || !(linear & (size - 1))))
        return true;
    mmu->fault.kind = MMU_FAULT_ALIGNMENT;
    mmu->fault.error_code = 0;
    mmu->fault.address = linear;
    return false;
}

static void observe(struct mmu *mmu, uint64_t linear, unsigned size, enum mmu_access access)
{
    bool wanted = access == MMU_READ ? mmu->observe_reads : mmu->observe_writes;
    if (unlikely(wanted && mmu->observer))
        mmu->observer(mmu->observer_opaque, linear, size, access);
}

/* Does the engine want to come back for this access? */
static bool refuse(struct mmu *mmu, uint64_t linear, const struct span *span)
{
    if (likely(!mmu->devices_alone))
        return false;
    bool device = false;
    for (unsigned part = 0; part < 2 && span->size[part]; part++) {
        struct memory_target target = memory_map_find(mmu->memory, span->physical[part], span->size[part]);
        device |= !target.host || target.split || target.region->kind == REGION_DEVICE;
    }
    if (device)
        mmu->fault = (struct mmu_fault){MMU_FAULT_DEVICE, 0, linear};
    return device;
}

/* Pieces of a crossing access have odd sizes: as few aligned powers of two as they are made of. */
static unsigned piece_at(uint64_t address, unsigned left)
{
    unsigned piece = 1;
    while (2 * piece <= left && !(address & (2 * piece - 1)))
        piece *= 2;
    return piece;
}

static uint64_t span_read(struct memory *memory, const struct span *span)
{
    if (likely(!span->size[1]))
        return memory_read(memory, span->physical[0], span->size[0]);
    uint64_t value = 0;
    unsigned shift = 0;
    for (unsigned part = 0; part < 2; part++) {
        uint64_t address = span->physical[part];
        for (unsigned left = span->size[part]; left;) {
            unsigned piece = piece_at(address, left);
            value |= memory_read(memory, address, piece) << shift;
            shift += 8 * piece;
            address += piece;
            left -= piece;
        }
    }
    return value;
}

static void span_write(struct memory *memory, const struct span *span, uint64_t value)
{
    if (likely(!span->size[1])) {
        memory_write(memory, span->physical[0], span->size[0], value);
        return;
    }
    for (unsigned part = 0; part < 2; part++) {
        uint64_t address = span->physical[part];
        for (unsigned left = span->size[part]; left;) {
            unsigned piece = piece_at(address, left);
            memory_write(memory, address, piece, value);
            value = piece == 8 ? 0 : value >> (8 * piece);
            address += piece;
            left -= piece;
        }
    }
}

static uint64_t direct_read(const uint8_t *p, unsigned size)
{
    uint64_t value = 0;
    switch (size) {
    case 1:
        return *p;
    case 2:
        memcpy(&value, p, 2);
        return value;
    case 4:
        memcpy(&value, p, 4);
        return value;
    default:
        memcpy(&value, p, 8);
        return value;
    }
}

static void direct_write(uint8_t *p, unsigned size, uint64_t value)
{
    switch (size) {
    case 1:
        *p = (uint8_t)value;
        break;
    case 2:
        memcpy(p, &value, 2);
        break;
    case 4:
        memcpy(p, &value, 4);
        break;
    default:
        memcpy(p, &value, 8);
        break;
    }
}

/* Direct pointer for an access of any alignment that stays inside its page, or NULL. */
static uint8_t *direct_pointer(const uint64_t *table, uint64_t linear, unsigned size)
{
    uint64_t entry = linear >> 32 ? 0 : table[linear >> PAGE_SHIFT];
    return entry && !crosses_page(linear, size) ? (uint8_t *)(uintptr_t)(entry + linear) : NULL;
}

static const struct mmu_result failed = {0, 0};

static struct mmu_result read_as(struct mmu *mmu, uint64_t linear, unsigned size, enum mmu_class access_class,
                                 const uint64_t *table)
{
    const uint8_t *p = direct_pointer(table, linear, size);
    if (p)
        return (struct mmu_result){direct_read(p, size), 1};
    struct span span;
    if (!translate_span(mmu, linear, size, access_class, MMU_READ, &span) || refuse(mmu, linear, &span))
        return failed;
    uint64_t value = span_read(mmu->memory, &span);
    observe(mmu, linear, size, MMU_READ);
    return (struct mmu_result){value, 1};
}

static bool write_as(struct mmu *mmu, uint64_t linear, unsigned size, uint64_t value, enum mmu_class access_class,
                     const uint64_t *table)
{
    uint8_t *p = direct_pointer(table, linear, size);
    if (p) {
        direct_write(p, size, value);
        return true;
    }
    struct span span;
    if (!translate_span(mmu, linear, size, access_class, MMU_WRITE, &span) || refuse(mmu, linear, &span))
        return false;
    span_write(mmu->memory, &span, value);
    observe(mmu, linear, size, MMU_WRITE);
    return true;
}

struct mmu_result mmu_read_slow(struct mmu *mmu, uint64_t linear, unsigned size)
{
    linear = mmu_mask_linear(mmu, linear);
    if (!alignment_ok(mmu, linear, size))
        return failed;
    return read_as(mmu, linear, size, mmu->access_class, mmu->read_table);
}

/* Host pointer for a store to a page with code whose lines hold none, or NULL. */
static uint8_t *beside_code_pointer(struct mmu *mmu, uint64_t linear, unsigned size)
{
    uint8_t *p = direct_pointer(mmu->shared_table, linear, size);
    if (!p)
        return NULL;
    uint64_t first = (uint64_t)(p - mmu->memory->ram), last = first + size - 1;
    const uint64_t *lines = mmu->memory->code_lines;
    if (!lines[first >> PAGE_SHIFT]) /* all code is gone: the gate forgets the page in time */
        return NULL;
    if ((lines[first >> PAGE_SHIFT] >> (first >> CODE_LINE_SHIFT & 63) & 1) ||
        (lines[last >> PAGE_SHIFT] >> (last >> CODE_LINE_SHIFT & 63) & 1))
        return NULL;
    return p;
}

bool mmu_write_slow(struct mmu *mmu, uint64_t linear, unsigned size, uint64_t value)
{
    linear = mmu_mask_linear(mmu, linear);
    if (!alignment_ok(mmu, linear, size))
        return false;
    uint8_t *p = beside_code_pointer(mmu, linear, size);
    if (p) {
        direct_write(p, size, value);
        return true;
    }
    return write_as(mmu, linear, size, value, mmu->access_class, mmu->write_table);
}

struct mmu_result mmu_read_for_write_slow(struct mmu *mmu, uint64_t linear, unsigned size)
{
    linear = mmu_mask_linear(mmu, linear);
    if (!alignment_ok(mmu, linear, size))
        return failed;
    struct span span;
    if (!translate_span(mmu, linear, size, mmu->access_class, MMU_WRITE, &span) || refuse(mmu, linear, &span))
        return failed;
    uint64_t value = span_read(mmu->memory, &span);
    observe(mmu, linear, size, MMU_READ);
    return (struct mmu_result){value, 1};
}

bool mmu_prepare_write(struct mmu *mmu, uint64_t linear, unsigned size)
{
    struct span span;
    linear = mmu_mask_linear(mmu, linear);
    return alignment_ok(mmu, linear, size) &&
           translate_span(mmu, linear, size, mmu->access_class, MMU_WRITE, &span) && !refuse(mmu, linear, &span);
}

static bool probe_as(struct mmu *mmu, uint64_t linear, unsigned size, enum mmu_class access_class,
                     enum mmu_access access)
{
    struct span span;
    linear = mmu_mask_linear(mmu, linear);
    return size == 0 || translate_span(mmu, linear, size, access_class, access, &span);
}

bool mmu_probe(struct mmu *mmu, uint64_t linear, unsigned size, enum mmu_access access)
{
    return probe_as(mmu, linear, size, mmu->access_class, access);
}

/* ---- with supervisor rights ---- */

struct mmu_result mmu_read_system(struct mmu *mmu, uint64_t linear, unsigned size)
{
    const struct mmu_tables *tables = mmu->tables;
    return read_as(mmu, mmu_mask_linear(mmu, linear), size, MMU_SUPERVISOR,
                   mmu->observe_reads ? tables->empty : tables->direct[MMU_SUPERVISOR][MMU_READ]);
}

bool mmu_write_system(struct mmu *mmu, uint64_t linear, unsigned size, uint64_t value)
{
    const struct mmu_tables *tables = mmu->tables;
    return write_as(mmu, mmu_mask_linear(mmu, linear), size, value, MMU_SUPERVISOR,
                    mmu->observe_writes ? tables->empty : tables->direct[MMU_SUPERVISOR][MMU_WRITE]);
}

bool mmu_probe_system(struct mmu *mmu, uint64_t linear, unsigned size, enum mmu_access access)
{
    return probe_as(mmu, linear, size, MMU_SUPERVISOR, access);
}

/* ---- fetch, debugger, bulk ---- */

struct mmu_result mmu_translate_execute_slow(struct mmu *mmu, uint64_t linear)
{
    uint64_t physical;
    linear = mmu_mask_linear(mmu, linear);
    if (!mmu_translate(mmu, linear, mmu->access_class, MMU_EXECUTE, true, &physical))
        return failed;
    return (struct mmu_result){physical, 1};
}

bool mmu_translate_debug(struct mmu *mmu, uint64_t linear, uint64_t *physical)
{
    struct mmu_walk walk;
    linear = mmu_mask_linear(mmu, linear);
    if (!mmu_walk(mmu, linear, MMU_SUPERVISOR, MMU_READ, MMU_WALK_DEBUG, &walk))
        return false;
    *physical = walk.physical | (linear & PAGE_MASK);
    return true;
}

uint8_t *mmu_bulk_pointer(struct mmu *mmu, uint64_t linear, enum mmu_access access)
{
    uint64_t physical;
    bool observed = access == MMU_READ ? mmu->observe_reads : mmu->observe_writes;
    if (access == MMU_EXECUTE || observed)
        return NULL;
    linear = mmu_mask_linear(mmu, linear);
    const uint64_t *table = access == MMU_READ ? mmu->read_table : mmu->write_table;
    uint8_t *p = direct_pointer(table, linear, 1);
    if (!p && mmu_translate(mmu, linear, mmu->access_class, access, false, &physical))
        p = direct_pointer(table, linear, 1);
    return p;
}

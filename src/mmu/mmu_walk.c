/* The page walker, Intel SDM vol. 3, chapter 4. */
#include "mmu/memory_map.h"
#include "mmu/mmu_private.h"

#include <string.h>

#define ENTRY_PRESENT    0x001u
#define ENTRY_WRITABLE   0x002u
#define ENTRY_USER       0x004u
#define ENTRY_ACCESSED   0x020u
#define ENTRY_DIRTY      0x040u
#define ENTRY_LARGE      0x080u
#define ENTRY_GLOBAL     0x100u
#define ENTRY_NO_EXECUTE ((uint64_t)1 << 63)

#define TABLE_ADDRESS 0x000ffffffffff000u

/* An entry of a paging structure as it was read. */
struct entry {
    uint64_t value;
    uint64_t address; /* guest-physical */
    uint8_t *host;    /* NULL: not in plain memory */
    bool writable;
    unsigned size;
};

enum walk_step {
    WALK_DONE,
    WALK_FAILED,
    WALK_AGAIN /* another writer changed an entry between reading and marking it */
};

struct walk_request {
    struct mmu *mmu;
    uint64_t linear;
    enum mmu_class access_class;
    enum mmu_access access;
    enum mmu_walk_mode mode;
};

static bool nx_in_force(const struct mmu *mmu)
{
    return mmu->has_nx && (mmu->efer & EXTENDED_FEATURE_NXE);
}

static bool entry_load(const struct walk_request *request, uint64_t address, unsigned size, struct entry *entry)
{
    struct mmu *mmu = request->mmu;
    entry->address = address & mmu->physical_mask & mmu->a20_mask;
    entry->size = size;
    entry->host = memory_page_pointer(mmu->memory, entry->address & ~(uint64_t)PAGE_MASK, &entry->writable);
    if (entry->host) {
        entry->host += entry->address & PAGE_MASK;
        entry->value = size == 8 ? __atomic_load_n((uint64_t *)(void *)entry->host, __ATOMIC_RELAXED)
                                 : __atomic_load_n((uint32_t *)(void *)entry->host, __ATOMIC_RELAXED);
        return true;
    }
    if (request->mode == MMU_WALK_DEBUG)
        return false;
    entry->value = memory_read(mmu->memory, entry->address, size);
    return true;
}

/* Sets BITS (accessed, dirty) as a processor does: with a locked compare-exchange, so that a change
 * made by someone else in between is not lost. False if there was one. */
static bool entry_mark(const struct walk_request *request, struct entry *entry, uint32_t bits)
{
    struct memory *memory = request->mmu->memory;
    if ((entry->value & bits) == bits || request->mode == MMU_WALK_DEBUG)
        return true;
    uint64_t value = entry->value | bits;
    if (!entry->host || !entry->writable) {
        memory_write(memory, entry->address, entry->size, value);
        entry->value = value;
        return true;
    }
    bool done;
    if (entry->size == 8) {
        done = __atomic_compare_exchange_n((uint64_t *)(void *)entry->host, &entry->value, value, false,
                                           __ATOMIC_SEQ_CST, __ATOMIC_RELAXED);
    } else {
        uint32_t expected = (uint32_t)entry->value;
        done = __atomic_compare_exchange_n((uint32_t *)(void *)entry->host, &expected, (uint32_t)value, false,
                                           __ATOMIC_SEQ_CST, __ATOMIC_RELAXED);
    }
    if (!done)
        return false;
    entry->value = value;
    uint64_t page = memory_ram_page_of(memory, entry->host);
    if (page != UINT64_MAX)
        memory_page_written(memory, page, (unsigned)(entry->address & PAGE_MASK), entry->size);
    return true;
}

static enum walk_step fail(struct mmu_walk *walk, uint32_t error)
{
    walk->error = error;
    return WALK_FAILED;
}

static void accumulate_rights(struct mmu_walk *walk, uint64_t entry)
{
    walk->writable &= (entry & ENTRY_WRITABLE) != 0;
    walk->user &= (entry & ENTRY_USER) != 0;
    walk->no_execute |= (entry & ENTRY_NO_EXECUTE) != 0; /* reserved, hence 0, where NX is off */
}

bool mmu_walk_allows(const struct mmu *mmu, const struct mmu_walk *walk, enum mmu_class access_class,
                     enum mmu_access access)
{
    /* Intel SDM vol. 3, 4.6 */
    if (access_class == MMU_USER && !walk->user)
        return false;
    switch (access) {
    case MMU_READ:
        return true;
    case MMU_WRITE:
        return walk->writable || (access_class == MMU_SUPERVISOR && !(mmu->cr0 & CONTROL0_WP));
    case MMU_EXECUTE:
        if (access_class == MMU_SUPERVISOR && walk->user && (mmu->cr4 & CONTROL4_SMEP) && (mmu->cr0 & CONTROL0_PG))
            return false;
        return !walk->no_execute;
    }
    return false;
}

/* The entry that maps a page: rights are complete, so check them, then mark it and the entry UPPER
 * that led to it (NULL: none). A walk that faults marks nothing: the SDM leaves open whether an upper
 * entry of such a walk counts as used (vol. 3, 4.8), and test suites for the 386 expect it untouched. */
static enum walk_step finish_walk(const struct walk_request *request, struct entry *upper, struct entry *leaf,
                                  uint64_t physical, struct mmu_walk *walk)
{
    struct mmu *mmu = request->mmu;
    if (request->mode != MMU_WALK_DEBUG && !mmu_walk_allows(mmu, walk, request->access_class, request->access))
        return fail(walk, PF_PRESENT);
    uint32_t bits = request->access == MMU_WRITE ? ENTRY_ACCESSED | ENTRY_DIRTY : ENTRY_ACCESSED;
    if ((upper && !entry_mark(request, upper, ENTRY_ACCESSED)) || !entry_mark(request, leaf, bits))
        return WALK_AGAIN;
    walk->dirty = (leaf->value & ENTRY_DIRTY) != 0;
    walk->global = (leaf->value & ENTRY_GLOBAL) && (mmu->cr4 & CONTROL4_PGE);
    walk->physical = physical & mmu->physical_mask & mmu->a20_mask & ~(uint64_t)PAGE_MASK;
    return WALK_DONE;
}

/* 32-bit paging, 4.3:
 *
 *     linear   31      22 21      12 11       0
 *              directory | table    | offset
 *     4 MiB PDE: 31:22 address 31:22, 21 reserved, 20:13 address 39:32 (PSE-36) or reserved */
static enum walk_step walk_two_levels(const struct walk_request *request, struct mmu_walk *walk)
{
    struct mmu *mmu = request->mmu;
    uint32_t linear = (uint32_t)request->linear;
    struct entry entry, leaf;

    if (!entry_load(request, (mmu->cr3 & 0xfffff000u) + (linear >> 22) * 4, 4, &entry) ||
        !(entry.value & ENTRY_PRESENT))
        return fail(walk, 0);
    accumulate_rights(walk, entry.value);
    if ((entry.value & ENTRY_LARGE) && (mmu->cr4 & CONTROL4_PSE)) {
        uint64_t high = ((entry.value >> 13) & 0xff) << 32;
        bool reserved =
            mmu->has_pse36 ? (entry.value & 0x200000u) || (high & ~mmu->physical_mask) : (entry.value & 0x3fe000u) != 0;
        if (reserved)
            return fail(walk, PF_PRESENT | PF_RESERVED);
        walk->large = 2;
        return finish_walk(request, NULL, &entry, high | (entry.value & 0xffc00000u) | (linear & 0x3ff000u), walk);
    }
    if (!entry_load(request, (entry.value & 0xfffff000u) + ((linear >> 12) & 0x3ff) * 4, 4, &leaf) ||
        !(leaf.value & ENTRY_PRESENT))
        return fail(walk, 0);
    accumulate_rights(walk, leaf.value);
    return finish_walk(request, &entry, &leaf, leaf.value & 0xfffff000u, walk);
}

/* PAE paging, 4.4; the PDPTEs are registers:
 *
 *     linear   31 30 29      21 20      12 11       0
 *              PDPTE| directory| table    | offset
 *     reserved in PDE and PTE: 62:M (M physical address bits), 63 unless NXE; 2 MiB PDE: 20:13 */
static enum walk_step walk_pae(const struct walk_request *request, struct mmu_walk *walk)
{
    struct mmu *mmu = request->mmu;
    uint32_t linear = (uint32_t)request->linear;
    uint64_t pdpte = mmu->pdpte[linear >> 30];
    uint64_t reserved = ~mmu->physical_mask & ~(uint64_t)PAGE_MASK;
    struct entry entry, leaf;

    if (nx_in_force(mmu))
        reserved &= ~ENTRY_NO_EXECUTE;
    if (!(pdpte & ENTRY_PRESENT))
        return fail(walk, 0);
    if (!entry_load(request, (pdpte & TABLE_ADDRESS) + ((linear >> 21) & 0x1ff) * 8, 8, &entry) ||
        !(entry.value & ENTRY_PRESENT))
        return fail(walk, 0);
    bool large = (entry.value & ENTRY_LARGE) != 0;
    if (entry.value & (large ? reserved | 0x1fe000u : reserved))
        return fail(walk, PF_PRESENT | PF_RESERVED);
    accumulate_rights(walk, entry.value);
    if (large) {
        walk->large = 1;
        return finish_walk(request, NULL, &entry,
                           (entry.value & TABLE_ADDRESS & ~(uint64_t)0x1fffff) | (linear & 0x1ff000u), walk);
    }
    if (!entry_load(request, (entry.value & TABLE_ADDRESS) + ((linear >> 12) & 0x1ff) * 8, 8, &leaf) ||
        !(leaf.value & ENTRY_PRESENT))
        return fail(walk, 0);
    if (leaf.value & reserved)
        return fail(walk, PF_PRESENT | PF_RESERVED);
    accumulate_rights(walk, leaf.value);
    return finish_walk(request, &entry, &leaf, leaf.value & TABLE_ADDRESS, walk);
}

/* 4-level paging, 4.5, joins here with the first processor model that has long mode; until then no
 * guest can set EFER.LMA. */
static enum walk_step walk_four_levels(const struct walk_request *request, struct mmu_walk *walk)
{
    return fail(walk, 0);
}

bool mmu_walk(struct mmu *mmu, uint64_t linear, enum mmu_class access_class, enum mmu_access access,
              enum mmu_walk_mode mode, struct mmu_walk *walk)
{
    const struct walk_request request = {mmu, linear, access_class, access, mode};
    enum walk_step step;
    do {
        *walk = (struct mmu_walk){.writable = true, .user = true};
        if (!(mmu->cr0 & CONTROL0_PG)) {
            walk->dirty = true;
            walk->physical = linear & mmu->physical_mask & mmu->a20_mask & ~(uint64_t)PAGE_MASK;
            return true;
        }
        if (mmu->efer & EXTENDED_FEATURE_LMA)
            step = walk_four_levels(&request, walk);
        else if (mmu->cr4 & CONTROL4_PAE)
            step = walk_pae(&request, walk);
        else
            step = walk_two_levels(&request, walk);
    } while (step == WALK_AGAIN);
    return step == WALK_DONE;
}

/* Reserved in a present PDPTE: 2:1, 8:5, 63:M (4.4.1). */
bool mmu_read_pdptes(struct mmu *mmu, uint64_t cr3, uint64_t pdpte[4])
{
    uint64_t reserved = (~mmu->physical_mask & ~(uint64_t)PAGE_MASK) | 0x1e6u;
    bool ok = true;
    for (unsigned i = 0; i < 4; i++) {
        uint64_t address = ((cr3 & 0xffffffe0u) + i * 8) & mmu->physical_mask & mmu->a20_mask;
        pdpte[i] = memory_read(mmu->memory, address, 8);
        if ((pdpte[i] & ENTRY_PRESENT) && (pdpte[i] & reserved))
            ok = false;
    }
    return ok;
}

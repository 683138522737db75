/* What the files of the software MMU share. */
#ifndef DRAGOMAN_MMU_MMU_PRIVATE_H
#define DRAGOMAN_MMU_MMU_PRIVATE_H

#include "mmu/mmu.h"

#include <pthread.h>

/* Control register bits that matter to paging, Intel SDM vol. 3, 2.5 and 2.2.1 */
#define CONTROL0_WP          (1u << 16)
#define CONTROL0_NW          (1u << 29)
#define CONTROL0_CD          (1u << 30)
#define CONTROL0_PG          (1u << 31)
#define CONTROL4_PSE         (1u << 4)
#define CONTROL4_PAE         (1u << 5)
#define CONTROL4_PGE         (1u << 7)
#define CONTROL4_SMEP        (1u << 20)
#define EXTENDED_FEATURE_LMA (1u << 10)
#define EXTENDED_FEATURE_NXE (1u << 11)

#define LINEAR_PAGES (1u << 20)
#define MMU_CLASSES  2
#define MMU_KINDS    3

/* Behind the direct entries stands one slot per class and linear page: the translation itself, also
 * for pages that have no direct entry (devices, ROM, tracked pages), and what it was proven for.
 *
 *     63                                       12 11   5   4   3   2   1   0
 *    +-------------------------------------------+------+---+---+---+---+---+
 *    | guest-physical page address (after A20)   |  0   | G | L | X | W | R |
 *    +-------------------------------------------+------+---+---+---+---+---+
 *     R W X: proven for read, write, execute (1 << enum mmu_access)
 *     L G:   is on the list of non-global, global slots; stays when R W X are dropped */
#define SLOT_RIGHTS        7u
#define SLOT_LISTED_LOCAL  8u
#define SLOT_LISTED_GLOBAL 16u
#define SLOT_LISTED        (SLOT_LISTED_LOCAL | SLOT_LISTED_GLOBAL)

/* Slots to clear at a flush, each on a list at most once. */
struct slot_list {
    uint32_t *items; /* class << 20 | linear page */
    uint32_t count;
};

/* alias[] of a guest-physical page: 0 no linear page shows it, linear page + 1, or several. May be
 * out of date towards too much. */
#define ALIAS_MANY UINT32_MAX

struct mmu_tables {
    uint64_t *direct[MMU_CLASSES][MMU_KINDS];
    uint64_t *shared[MMU_CLASSES]; /* see mmu.h; entries go with the slot's right to write */
    uint64_t *empty; /* what read_table/write_table point to while observing */
    uint64_t *slots[MMU_CLASSES];
    struct slot_list local, global;
    uint32_t *alias;     /* by guest-physical page below 4 GiB */
    uint8_t large[2048]; /* by 2 MiB of linear space: 1 filled from a 2 MiB page, 2 from a 4 MiB page */
    void *mapping;
    size_t mapping_size;
    pthread_t owner; /* the vCPU thread */
    bool posted;     /* atomic: flush before the next block */
};

struct mmu_walk {
    uint64_t physical; /* of the 4 KiB page, A20 applied */
    bool writable;     /* by the tables alone, CR0.WP aside */
    bool user;
    bool no_execute;
    bool global;
    bool dirty;
    uint8_t large;  /* as in mmu_tables.large */
    uint32_t error; /* when the walk failed: PF_PRESENT and PF_RESERVED as they apply */
};

enum mmu_walk_mode {
    MMU_WALK_UPDATE, /* sets accessed and dirty bits */
    MMU_WALK_DEBUG   /* neither checks rights nor changes anything; tables outside RAM and ROM fail */
};

/* mmu_walk.c */
bool mmu_walk(struct mmu *mmu, uint64_t linear, enum mmu_class access_class, enum mmu_access access,
              enum mmu_walk_mode mode, struct mmu_walk *walk);
bool mmu_walk_allows(const struct mmu *mmu, const struct mmu_walk *walk, enum mmu_class access_class,
                     enum mmu_access access);
bool mmu_read_pdptes(struct mmu *mmu, uint64_t cr3, uint64_t pdpte[4]);

/* mmu_tlb.c */
/* Guest-physical address of LINEAR, checked and filled for ACCESS; direct entries are installed where
 * they may be. On failure sets mmu->fault if REPORT. */
bool mmu_translate(struct mmu *mmu, uint64_t linear, enum mmu_class access_class, enum mmu_access access, bool report,
                   uint64_t *physical);
void mmu_flush_local(struct mmu *mmu);
void mmu_map_changed(void *opaque, uint64_t page);

static inline uint64_t mmu_mask_linear(const struct mmu *mmu, uint64_t linear)
{
    return mmu->efer & EXTENDED_FEATURE_LMA ? linear : (uint32_t)linear;
}

#endif

/* The software MMU of one virtual processor: linear -> physical, the soft TLB and guest memory
 * accesses.
 *
 * The soft TLB for 32-bit linear space is flat: per class (supervisor, user) and kind of access
 * (read, write, execute) one 8-byte entry per linear page, no tag compare.  Tables are 8 MiB of
 * lazily touched address space each.
 *
 *   read/write entry:  0                     nothing known: take the slow path
 *                      host - linear         addend: host pointer = entry + linear address
 *   execute entry:     0                     nothing known
 *                      physical page | 1     page-aligned guest-physical address, bit 0 set
 *
 * An entry's existence proves the right: a write entry exists only if the page is writable in its
 * class, its dirty bit is set, it is plain RAM and its page flags are 0.  A list of filled slots
 * makes flushing proportional to what was filled; global pages are listed apart.  Entries are kept
 * until something a real processor would drop them on: MOV CR3, INVLPG, CR0/CR4 paging changes ...
 *
 * Threads: only the vCPU's own, except mmu_post_flush().  No paging state is read from the CPU: the
 * cpu/ layer tells the mmu through mmu_set_*(). */
#ifndef DRAGOMAN_MMU_MMU_H
#define DRAGOMAN_MMU_MMU_H

#include "base/compiler.h"
#include "mmu/memory.h"

enum mmu_class { MMU_SUPERVISOR = 0, MMU_USER = 1 };
enum mmu_access { MMU_READ = 0, MMU_WRITE = 1, MMU_EXECUTE = 2 };

/* #PF error code bits, Intel SDM vol. 3, 4.7 */
#define PF_PRESENT 1u
#define PF_WRITE 2u
#define PF_USER 4u
#define PF_RESERVED 8u
#define PF_FETCH 16u

/* DEVICE is none of the guest's: see mmu.devices_alone. */
enum mmu_fault_kind { MMU_FAULT_NONE, MMU_FAULT_PAGE, MMU_FAULT_ALIGNMENT, MMU_FAULT_DEVICE };

struct mmu_fault {
    enum mmu_fault_kind kind;
    uint32_t error_code; /* of #PF */
    uint64_t address;    /* linear: CR2 */
};

/* Returned in two registers, so that no local of an inlined fast path has its address taken. */
struct mmu_result {
    uint64_t value;
    uint64_t ok; /* 0: mmu->fault says why */
};

struct mmu {
    /* Tables in force: of the present class; all-empty while an access log or a watchpoint wants to
     * see every access. Hot: keep first. */
    uint64_t *read_table;
    uint64_t *write_table;
    uint64_t *execute_table;
    /* Like write_table, for pages that hold code and nothing else that wants watching: a store that stays within lines
     * without code (memory->code_lines) may go straight to host memory. */
    uint64_t *shared_table;

    struct memory *memory;
    struct mmu_fault fault; /* of the last failed access */
    enum mmu_class access_class;
    bool alignment_check;   /* CR0.AM & EFLAGS.AC & CPL 3: misaligned data accesses fault */
    /* Counted time, while a block runs: accesses that a device would see are refused (MMU_FAULT_DEVICE, nothing done), so
     * that the engine runs the instruction alone, at its exact time, and looks around behind it. */
    bool devices_alone;
    bool observe_reads, observe_writes; /* force the slow path (log in force, watchpoints) */
    uint32_t cr0, cr4;
    uint64_t cr3, efer;
    uint64_t physical_mask;  /* address bits the model implements, e.g. 0xfffffffff */
    uint64_t a20_mask;       /* ~0 or ~(1<<20) */
    bool has_nx, has_pse36;
    uint64_t pdpte[4];       /* loaded by MOV CR3 in PAE mode, used whatever memory says since */
    uint64_t generation;     /* grows with each flush, full or single: readers may cache against it */
    struct mmu_tables *tables; /* private */
    /* Data breakpoints: called for each slow-path data access when observe_* is set; may be NULL. */
    void (*observer)(void *opaque, uint64_t linear, unsigned size, enum mmu_access access);
    void *observer_opaque;
};

/* Afterwards: paging off, supervisor class, A20 enabled, 36 physical address bits, no NX, PSE-36. */
bool mmu_init(struct mmu *mmu, struct memory *memory, struct error *err);
void mmu_finish(struct mmu *mmu);

/* Paging state as loaded by the guest; each call flushes what the SDM (vol. 3, 4.10.4) says it must.
 * mmu_set_cr3 flushes non-global entries and, in PAE mode, reads the four PDPTEs: returns false
 * (nothing changed) if one has reserved bits set, which is #GP(0). */
bool mmu_set_cr3(struct mmu *mmu, uint64_t cr3);
bool mmu_set_control(struct mmu *mmu, uint32_t cr0, uint32_t cr4, uint64_t efer);
void mmu_set_class(struct mmu *mmu, enum mmu_class access_class);
void mmu_set_a20(struct mmu *mmu, bool enabled);
void mmu_set_observe(struct mmu *mmu, bool reads, bool writes);
void mmu_invalidate_page(struct mmu *mmu, uint64_t linear); /* INVLPG */
void mmu_flush_all(struct mmu *mmu);                        /* global entries too */
/* For snapshots and reset: sets all of it without side effects beyond a full flush. */
void mmu_load_state(struct mmu *mmu, uint32_t cr0, uint64_t cr3, uint32_t cr4, uint64_t efer);

/* Misaligned accesses with alignment_check in force, in the user class, give MMU_FAULT_ALIGNMENT before
 * paging is looked at: the order is implementation-dependent (Intel SDM vol. 3, 6.9), processors
 * check the address first.
 *
 * The slow paths: unaligned, page-crossing, missing, MMIO, ROM, tracked pages, logs. The class is the
 * one in force. On failure nothing was changed in memory beyond A/D bits. */
struct mmu_result mmu_read_slow(struct mmu *mmu, uint64_t linear, unsigned size);
bool mmu_write_slow(struct mmu *mmu, uint64_t linear, unsigned size, uint64_t value);
/* The read half of a read-modify-write: every byte is checked for WRITE before anything is read. */
struct mmu_result mmu_read_for_write_slow(struct mmu *mmu, uint64_t linear, unsigned size);
/* The first half of a write whose second half is mmu_write_slow(): every check, alignment included. */
bool mmu_prepare_write(struct mmu *mmu, uint64_t linear, unsigned size);
/* Checks [linear, linear+size) (size up to 4096) for ACCESS in the class in force, filling the TLB. */
bool mmu_probe(struct mmu *mmu, uint64_t linear, unsigned size, enum mmu_access access);

/* Accesses with supervisor rights whatever the class (descriptor tables, TSS, interrupt stacks: the
 * latter use the class of the new CPL by mmu_set_class first). No alignment check. */
struct mmu_result mmu_read_system(struct mmu *mmu, uint64_t linear, unsigned size);
bool mmu_write_system(struct mmu *mmu, uint64_t linear, unsigned size, uint64_t value);
bool mmu_probe_system(struct mmu *mmu, uint64_t linear, unsigned size, enum mmu_access access);

/* Instruction fetch: guest-physical address of LINEAR with execute rights in the class in force, with
 * page walk and A bit; ok = 0 with mmu->fault set. Fills the execute table. */
struct mmu_result mmu_translate_execute_slow(struct mmu *mmu, uint64_t linear);

/* Debugger's and monitor's view: no A/D updates, no faults. False if not mapped. */
bool mmu_translate_debug(struct mmu *mmu, uint64_t linear, uint64_t *physical);

/* REP in bulk: host pointer to LINEAR, valid to the end of its page, or NULL where each access must
 * be made singly (no right, MMIO, tracked, observed). Fills the TLB on a miss; never faults:
 * NULL says "do one element the slow way, which will fault as it must". */
uint8_t *mmu_bulk_pointer(struct mmu *mmu, uint64_t linear, enum mmu_access access);

/* Any thread: the vCPU flushes before it runs its next block. The caller also kicks the vCPU. */
void mmu_post_flush(struct mmu *mmu);
/* vCPU thread, when kicked and each time it starts to run: also notes which thread is the vCPU's, on
 * which changes of the memory map take effect at once; those made by other threads are posted. */
void mmu_apply_posted(struct mmu *mmu);

/* ---- inline fast paths: aligned accesses of SIZE 1, 2, 4, 8 in 32-bit linear space ---- */

/* Host pointer for a direct access, or NULL: take the slow path. */
always_inline uint8_t *mmu_fast_pointer(uint64_t *table, uint64_t linear, unsigned size)
{
    uint64_t entry = table[(uint32_t)linear >> PAGE_SHIFT];
    if (unlikely(!entry || (linear & (size - 1))))
        return NULL;
    uint8_t *p = (uint8_t *)(entry + (uint32_t)linear);
    if (!p)
        __builtin_unreachable(); /* spares the callers a second test */
    return p;
}

always_inline struct mmu_result mmu_translate_execute(struct mmu *mmu, uint64_t linear)
{
    uint64_t entry = mmu->execute_table[(uint32_t)linear >> PAGE_SHIFT];
    if (likely(entry))
        return (struct mmu_result){(entry & ~(uint64_t)PAGE_MASK) | (linear & PAGE_MASK), 1};
    return mmu_translate_execute_slow(mmu, linear);
}

#endif

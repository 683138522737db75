/* Life of an MMU and the paging state it is told. */
#include "mmu/mmu.h"
#include "mmu/mmu_private.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define TABLE_BYTES ((size_t)LINEAR_PAGES * sizeof(uint64_t))
#define LIST_BYTES  ((size_t)MMU_CLASSES * LINEAR_PAGES * sizeof(uint32_t))
#define ALIAS_BYTES ((size_t)LINEAR_PAGES * sizeof(uint32_t))

/* All tables from one reservation of address space; the kernel gives memory where it is touched. */
static bool map_tables(struct mmu_tables *tables, struct error *err)
{
    size_t size = TABLE_BYTES * (MMU_CLASSES * MMU_KINDS + 2 * MMU_CLASSES + 1) + 2 * LIST_BYTES + ALIAS_BYTES;
    uint8_t *p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (p == MAP_FAILED)
        return error_set(err, "cannot reserve %zu MiB of address space for the TLB: %s", size >> 20, strerror(errno));
    tables->mapping = p;
    tables->mapping_size = size;
    for (unsigned c = 0; c < MMU_CLASSES; c++) {
        for (unsigned k = 0; k < MMU_KINDS; k++, p += TABLE_BYTES)
            tables->direct[c][k] = (uint64_t *)(void *)p;
        tables->slots[c] = (uint64_t *)(void *)p;
        p += TABLE_BYTES;
        tables->shared[c] = (uint64_t *)(void *)p;
        p += TABLE_BYTES;
    }
    tables->empty = (uint64_t *)(void *)p;
    p += TABLE_BYTES;
    tables->local.items = (uint32_t *)(void *)p;
    p += LIST_BYTES;
    tables->global.items = (uint32_t *)(void *)p;
    p += LIST_BYTES;
    tables->alias = (uint32_t *)(void *)p;
    /* Only ever read, so that no more than the kernel's page of zeroes stands behind it. */
    if (mprotect(tables->empty, TABLE_BYTES, PROT_READ) < 0)
        return error_set(err, "cannot protect the empty TLB: %s", strerror(errno));
    return true;
}

static void select_tables(struct mmu *mmu)
{
    struct mmu_tables *tables = mmu->tables;
    mmu->read_table = mmu->observe_reads ? tables->empty : tables->direct[mmu->access_class][MMU_READ];
    mmu->write_table = mmu->observe_writes ? tables->empty : tables->direct[mmu->access_class][MMU_WRITE];
    mmu->shared_table = mmu->observe_writes ? tables->empty : tables->shared[mmu->access_class];
    mmu->execute_table = tables->direct[mmu->access_class][MMU_EXECUTE];
}

bool mmu_init(struct mmu *mmu, struct memory *memory, struct error *err)
{
    *mmu = (struct mmu){.memory = memory, .physical_mask = 0xfffffffffu, .a20_mask = UINT64_MAX, .has_pse36 = true};
    struct mmu_tables *tables = calloc(1, sizeof *tables);
    if (!tables)
        return error_set(err, "out of memory for the MMU");
    if (!map_tables(tables, err)) {
        if (tables->mapping)
            munmap(tables->mapping, tables->mapping_size);
        free(tables);
        return false;
    }
    tables->owner = pthread_self();
    mmu->tables = tables;
    select_tables(mmu);
    memory_add_map_listener(memory, mmu_map_changed, mmu);
    return true;
}

void mmu_finish(struct mmu *mmu)
{
    struct memory *memory = mmu->memory;
    if (!mmu->tables)
        return;
    unsigned kept = 0;
    for (unsigned i = 0; i < memory->map_listener_count; i++)
        if (memory->map_listeners[i].opaque != mmu)
            memory->map_listeners[kept++] = memory->map_listeners[i];
    memory->map_listener_count = kept;
    munmap(mmu->tables->mapping, mmu->tables->mapping_size);
    free(mmu->tables);
    mmu->tables = NULL;
}

/* ---- paging state ---- */

static bool uses_pae(uint32_t cr0, uint32_t cr4, uint64_t efer)
{
    return (cr0 & CONTROL0_PG) && (cr4 & CONTROL4_PAE) && !(efer & EXTENDED_FEATURE_LMA);
}

bool mmu_set_cr3(struct mmu *mmu, uint64_t cr3)
{
    if (uses_pae(mmu->cr0, mmu->cr4, mmu->efer)) {
        uint64_t pdpte[4];
        if (!mmu_read_pdptes(mmu, cr3, pdpte))
            return false;
        memcpy(mmu->pdpte, pdpte, sizeof pdpte);
    }
    mmu->cr3 = cr3;
    mmu_flush_local(mmu);
    return true;
}

bool mmu_set_control(struct mmu *mmu, uint32_t cr0, uint32_t cr4, uint64_t efer)
{
    uint32_t cr0_changes = cr0 ^ mmu->cr0, cr4_changes = cr4 ^ mmu->cr4;
    uint64_t efer_changes = efer ^ mmu->efer;

    /* Which writes load the PDPTEs: Intel SDM vol. 3, 4.4.1 */
    if (uses_pae(cr0, cr4, efer) && ((cr0_changes & (CONTROL0_CD | CONTROL0_NW | CONTROL0_PG)) ||
                                     (cr4_changes & (CONTROL4_PAE | CONTROL4_PGE | CONTROL4_PSE | CONTROL4_SMEP)))) {
        uint64_t pdpte[4];
        if (!mmu_read_pdptes(mmu, mmu->cr3, pdpte))
            return false;
        memcpy(mmu->pdpte, pdpte, sizeof pdpte);
    }
    mmu->cr0 = cr0;
    mmu->cr4 = cr4;
    mmu->efer = efer;
    /* More than SDM vol. 3, 4.10.4.1 asks for: our entries also depend on WP, PSE and NXE, and there
     * are entries while paging is off. */
    if ((cr0_changes & (CONTROL0_PG | CONTROL0_WP)) ||
        (cr4_changes & (CONTROL4_PSE | CONTROL4_PAE | CONTROL4_PGE | CONTROL4_SMEP)) ||
        (efer_changes & (EXTENDED_FEATURE_LMA | EXTENDED_FEATURE_NXE)))
        mmu_flush_all(mmu);
    return true;
}

void mmu_load_state(struct mmu *mmu, uint32_t cr0, uint64_t cr3, uint32_t cr4, uint64_t efer)
{
    mmu->cr0 = cr0;
    mmu->cr3 = cr3;
    mmu->cr4 = cr4;
    mmu->efer = efer;
    if (uses_pae(cr0, cr4, efer))
        mmu_read_pdptes(mmu, cr3, mmu->pdpte);
    mmu_flush_all(mmu);
}

void mmu_set_class(struct mmu *mmu, enum mmu_class access_class)
{
    if (mmu->access_class == access_class)
        return;
    mmu->access_class = access_class;
    select_tables(mmu);
}

void mmu_set_a20(struct mmu *mmu, bool enabled)
{
    uint64_t mask = enabled ? UINT64_MAX : ~((uint64_t)1 << 20);
    if (mmu->a20_mask == mask)
        return;
    mmu->a20_mask = mask;
    mmu_flush_all(mmu);
}

void mmu_set_observe(struct mmu *mmu, bool reads, bool writes)
{
    mmu->observe_reads = reads;
    mmu->observe_writes = writes;
    select_tables(mmu);
}

/* ---- from other threads ---- */

void mmu_post_flush(struct mmu *mmu)
{
    __atomic_store_n(&mmu->tables->posted, true, __ATOMIC_RELEASE);
}

void mmu_apply_posted(struct mmu *mmu)
{
    mmu->tables->owner = pthread_self();
    if (__atomic_exchange_n(&mmu->tables->posted, false, __ATOMIC_ACQUIRE))
        mmu_flush_all(mmu);
}

/* The soft TLB: filling, dropping, flushing, and keeping direct entries true to the memory map. */
#include "mmu/memory_map.h"
#include "mmu/mmu_private.h"
#include "trace/trace.h"

#include <string.h>

static const char *const access_names[] = {"read", "write", "execute"};

/* ---- dropping ---- */

/* Forgets what is known of a linear page in a class; it stays on its list. */
static bool drop_slot(struct mmu_tables *tables, unsigned access_class, uint32_t page)
{
    uint64_t *slot = &tables->slots[access_class][page];
    if (!(*slot & SLOT_RIGHTS))
        return false;
    for (unsigned kind = 0; kind < MMU_KINDS; kind++)
        if (*slot & (1u << kind))
            tables->direct[access_class][kind][page] = 0;
    if (*slot & (1u << MMU_WRITE))
        tables->shared[access_class][page] = 0;
    *slot &= SLOT_LISTED;
    return true;
}

static void flush_list(struct mmu_tables *tables, struct slot_list *list, uint64_t listed_bit)
{
    for (uint32_t i = 0; i < list->count; i++) {
        unsigned access_class = list->items[i] / LINEAR_PAGES;
        uint32_t page = list->items[i] % LINEAR_PAGES;
        drop_slot(tables, access_class, page);
        tables->slots[access_class][page] &= ~listed_bit;
    }
    list->count = 0;
}

/* ALL: global pages, too. */
static void trace_flush(struct mmu *mmu, bool all, uint32_t pages)
{
    struct trace_mmu told = {.event = "flush", .has_global = true, .global = all, .has_pages = true, .pages = pages,
                             .cr3 = mmu->cr3};

    trace_mmu(mmu->memory->log, &told);
}

void mmu_flush_local(struct mmu *mmu)
{
    if (LOG_ENABLED(mmu->memory->log, MMU))
        trace_flush(mmu, false, mmu->tables->local.count);
    flush_list(mmu->tables, &mmu->tables->local, SLOT_LISTED_LOCAL);
    mmu->memory->stats->tlb_flushes++;
    mmu->generation++;
}

void mmu_flush_all(struct mmu *mmu)
{
    struct mmu_tables *tables = mmu->tables;
    if (LOG_ENABLED(mmu->memory->log, MMU))
        trace_flush(mmu, true, tables->local.count + tables->global.count);
    flush_list(tables, &tables->local, SLOT_LISTED_LOCAL);
    flush_list(tables, &tables->global, SLOT_LISTED_GLOBAL);
    memset(tables->large, 0, sizeof tables->large);
    mmu->memory->stats->tlb_flushes++;
    mmu->generation++;
}

/* All that is cached for the page of LINEAR: with large pages around, the whole large page, which may
 * be cached in pieces (Intel SDM vol. 3, 4.10.4.1). */
static void drop_linear(struct mmu *mmu, uint64_t linear)
{
    struct mmu_tables *tables = mmu->tables;
    uint32_t page = (uint32_t)linear >> PAGE_SHIFT, count = 1;
    bool dropped = false;
    uint8_t large = tables->large[page >> 9];
    if (linear >> 32)
        return;
    if (large) {
        count = large == 2 ? 1024 : 512;
        page &= ~(count - 1);
    }
    for (uint32_t i = 0; i < count; i++)
        for (unsigned access_class = 0; access_class < MMU_CLASSES; access_class++)
            dropped |= drop_slot(tables, access_class, page + i);
    if (dropped)
        mmu->generation++;
}

void mmu_invalidate_page(struct mmu *mmu, uint64_t linear)
{
    linear = mmu_mask_linear(mmu, linear);
    if (LOG_ENABLED(mmu->memory->log, MMU)) {
        struct trace_mmu told = {.event = "invlpg", .has_linear = true, .linear = (uint32_t)linear, .cr3 = mmu->cr3};
        trace_mmu(mmu->memory->log, &told);
    }
    mmu->memory->stats->tlb_invalidations++;
    drop_linear(mmu, linear);
    mmu->generation++;
}

/* ---- physical page -> linear pages ---- */

static bool slot_shows(struct mmu *mmu, uint64_t slot, uint64_t page)
{
    bool writable;
    if (!(slot & SLOT_RIGHTS))
        return false;
    if (slot >> PAGE_SHIFT == page)
        return true;
    uint8_t *host = memory_page_pointer(mmu->memory, slot & ~(uint64_t)PAGE_MASK, &writable);
    return host && memory_ram_page_of(mmu->memory, host) == page;
}

static void note_alias(struct mmu *mmu, uint64_t page, uint32_t linear_page)
{
    struct mmu_tables *tables = mmu->tables;
    if (page >= MAP_PAGES)
        return;
    uint32_t old = tables->alias[page];
    if (old == linear_page + 1 || old == ALIAS_MANY)
        return;
    if (old && (slot_shows(mmu, tables->slots[MMU_SUPERVISOR][old - 1], page) ||
                slot_shows(mmu, tables->slots[MMU_USER][old - 1], page)))
        tables->alias[page] = ALIAS_MANY;
    else
        tables->alias[page] = linear_page + 1;
}

/* ---- direct entries ---- */

/* How the memory of a page may be stored to directly. */
enum store_right { STORE_NEVER, STORE_BESIDE_CODE, STORE_ALWAYS };

/* Where direct accesses to guest-physical PAGE_ADDRESS may go: NULL for none. */
static uint8_t *direct_host(struct mmu *mmu, uint64_t page_address, enum store_right *stores)
{
    bool writable;
    uint8_t *host = memory_page_pointer(mmu->memory, page_address, &writable);
    *stores = host && writable ? STORE_ALWAYS : STORE_NEVER;
    if (host && writable) {
        uint64_t ram_page = memory_ram_page_of(mmu->memory, host);
        unsigned flags =
            ram_page == UINT64_MAX ? 0 : __atomic_load_n(&mmu->memory->page_flags[ram_page], __ATOMIC_SEQ_CST);
        if (flags)
            *stores = flags == PAGE_FLAG_CODE ? STORE_BESIDE_CODE : STORE_NEVER;
    }
    return host;
}

static void install_direct(struct mmu *mmu, unsigned access_class, uint32_t page)
{
    struct mmu_tables *tables = mmu->tables;
    uint64_t slot = tables->slots[access_class][page];
    enum store_right stores;
    uint8_t *host = direct_host(mmu, slot & ~(uint64_t)PAGE_MASK, &stores);
    if (!host)
        return;
    uint64_t entry = (uint64_t)(uintptr_t)host - ((uint64_t)page << PAGE_SHIFT);
    if (slot & (1u << MMU_READ))
        tables->direct[access_class][MMU_READ][page] = entry;
    if ((slot & (1u << MMU_WRITE)) && stores == STORE_ALWAYS)
        tables->direct[access_class][MMU_WRITE][page] = entry;
    else if ((slot & (1u << MMU_WRITE)) && stores == STORE_BESIDE_CODE)
        tables->shared[access_class][page] = entry;
    note_alias(mmu, slot >> PAGE_SHIFT, page);
    uint64_t ram_page = memory_ram_page_of(mmu->memory, host);
    if (ram_page != UINT64_MAX && ram_page != slot >> PAGE_SHIFT)
        note_alias(mmu, ram_page, page);
}

/* The memory behind a page, or its flags, changed: direct entries that would no longer be made go.
 * The translation itself is as true as before. */
static void recheck_direct(struct mmu *mmu, unsigned access_class, uint32_t page)
{
    struct mmu_tables *tables = mmu->tables;
    uint64_t *read = &tables->direct[access_class][MMU_READ][page];
    uint64_t *write = &tables->direct[access_class][MMU_WRITE][page];
    uint64_t *shared = &tables->shared[access_class][page];
    enum store_right stores;
    uint8_t *host = direct_host(mmu, tables->slots[access_class][page] & ~(uint64_t)PAGE_MASK, &stores);
    uint64_t entry = (uint64_t)(uintptr_t)host - ((uint64_t)page << PAGE_SHIFT);
    if (*read && (!host || *read != entry))
        *read = 0;
    if (*write && (!host || stores != STORE_ALWAYS || *write != entry))
        *write = 0;
    if (*shared && (!host || stores == STORE_NEVER || *shared != entry))
        *shared = 0;
}

/* Those on LIST that show PHYSICAL_PAGE. Returns how many linear pages they are, *ONE one of them. */
static unsigned recheck_list(struct mmu *mmu, const struct slot_list *list, uint64_t physical_page, uint32_t *one)
{
    unsigned found = 0;
    for (uint32_t i = 0; i < list->count; i++) {
        unsigned access_class = list->items[i] / LINEAR_PAGES;
        uint32_t page = list->items[i] % LINEAR_PAGES;
        if (!slot_shows(mmu, mmu->tables->slots[access_class][page], physical_page))
            continue;
        recheck_direct(mmu, access_class, page);
        if (!found || page != *one)
            found++;
        *one = page;
    }
    return found;
}

void mmu_map_changed(void *opaque, uint64_t page)
{
    struct mmu *mmu = opaque;
    struct mmu_tables *tables = mmu->tables;
    if (!pthread_equal(tables->owner, pthread_self())) {
        mmu_post_flush(mmu);
        return;
    }
    if (page >= MAP_PAGES) { /* everything, or where aliases are not kept */
        mmu_flush_all(mmu);
        return;
    }
    uint32_t alias = tables->alias[page];
    if (alias == 0)
        return;
    if (alias == ALIAS_MANY) {
        uint32_t one = 0, other = 0;
        unsigned local = recheck_list(mmu, &tables->local, page, &one);
        unsigned global = recheck_list(mmu, &tables->global, page, &other);
        if (local + global <= 1 || (local == 1 && global == 1 && one == other))
            tables->alias[page] = local + global == 0 ? 0 : (local ? one : other) + 1;
    } else {
        for (unsigned access_class = 0; access_class < MMU_CLASSES; access_class++)
            if (slot_shows(mmu, tables->slots[access_class][alias - 1], page))
                recheck_direct(mmu, access_class, alias - 1);
    }
    mmu->generation++;
}

/* ---- filling ---- */

static void list_slot(struct slot_list *list, uint64_t *slot, uint64_t listed_bit, uint32_t item)
{
    if (*slot & listed_bit)
        return;
    *slot |= listed_bit;
    list->items[list->count++] = item;
}

static void fill(struct mmu *mmu, uint32_t page, unsigned access_class, enum mmu_access access,
                 const struct mmu_walk *walk)
{
    struct mmu_tables *tables = mmu->tables;
    struct stats *stats = mmu->memory->stats;
    uint64_t *slot = &tables->slots[access_class][page];
    uint64_t rights = 1u << access;

    if (access == MMU_WRITE)
        rights |= 1u << MMU_READ;
    else if (access == MMU_READ && walk->dirty && mmu_walk_allows(mmu, walk, access_class, MMU_WRITE))
        rights |= 1u << MMU_WRITE;

    /* One translation per page and class: a stale one for another kind of access goes now. */
    if ((*slot & SLOT_RIGHTS) && (*slot & ~(uint64_t)PAGE_MASK) != walk->physical) {
        drop_slot(tables, access_class, page);
        mmu->generation++;
    }
    uint64_t added = rights & ~*slot;
    stats->tlb_fills_read += added & 1;
    stats->tlb_fills_write += (added >> MMU_WRITE) & 1;
    stats->tlb_fills_execute += (added >> MMU_EXECUTE) & 1;
    *slot = (*slot & (SLOT_LISTED | SLOT_RIGHTS)) | walk->physical | rights;

    uint32_t item = access_class * LINEAR_PAGES + page;
    if (walk->global)
        list_slot(&tables->global, slot, SLOT_LISTED_GLOBAL, item);
    else
        list_slot(&tables->local, slot, SLOT_LISTED_LOCAL, item);
    if (walk->large) {
        tables->large[page >> 9] = walk->large;
        if (walk->large == 2)
            tables->large[(page >> 9) ^ 1] = 2;
    }
    if (LOG_ENABLED(mmu->memory->log, MMU)) {
        struct trace_mmu told = {.event = "fill", .access = access_names[access], .user = access_class == MMU_USER,
                                 .has_linear = true, .linear = page << PAGE_SHIFT,
                                 .has_physical = true, .physical = walk->physical,
                                 .has_global = true, .global = walk->global, .cr3 = mmu->cr3};
        trace_mmu(mmu->memory->log, &told);
    }
}

/* SDM vol. 3, 4.7: the fetch bit says so only where fetches can have rights of their own. */
static uint32_t page_fault_code(const struct mmu *mmu, const struct mmu_walk *walk, enum mmu_class access_class,
                                enum mmu_access access)
{
    uint32_t code = walk->error;
    if (access == MMU_WRITE)
        code |= PF_WRITE;
    if (access_class == MMU_USER)
        code |= PF_USER;
    bool nx = mmu->has_nx && (mmu->efer & EXTENDED_FEATURE_NXE) && (mmu->cr4 & CONTROL4_PAE);
    if (access == MMU_EXECUTE && (nx || (mmu->cr4 & CONTROL4_SMEP)))
        code |= PF_FETCH;
    return code;
}

static noinline bool walk_and_fill(struct mmu *mmu, uint64_t linear, enum mmu_class access_class,
                                   enum mmu_access access, bool report, uint64_t *physical)
{
    struct mmu_walk walk;
    /* Entries are made by the vCPU thread only, so this is it. */
    mmu->tables->owner = pthread_self();
    if (!mmu_walk(mmu, linear, access_class, access, MMU_WALK_UPDATE, &walk)) {
        if (!report)
            return false;
        mmu->fault.kind = MMU_FAULT_PAGE;
        mmu->fault.error_code = page_fault_code(mmu, &walk, access_class, access);
        mmu->fault.address = linear;
        if (LOG_ENABLED(mmu->memory->log, MMU)) {
            struct trace_mmu told = {.event = "fault", .access = access_names[access], .user = access_class == MMU_USER,
                                     .has_linear = true, .linear = (uint32_t)linear,
                                     .has_error = true, .error = mmu->fault.error_code, .cr3 = mmu->cr3};
            trace_mmu(mmu->memory->log, &told);
        }
        /* A fault takes what is cached for the address with it (4.10.4.1). */
        drop_linear(mmu, linear);
        return false;
    }
    *physical = walk.physical | (linear & PAGE_MASK);
    if (linear >> 32)
        return true; /* the flat tables are for 32-bit linear space */
    uint32_t page = (uint32_t)linear >> PAGE_SHIFT;
    fill(mmu, page, access_class, access, &walk);
    if (access == MMU_EXECUTE)
        mmu->tables->direct[access_class][MMU_EXECUTE][page] = walk.physical | 1;
    else
        install_direct(mmu, access_class, page);
    return true;
}

bool mmu_translate(struct mmu *mmu, uint64_t linear, enum mmu_class access_class, enum mmu_access access, bool report,
                   uint64_t *physical)
{
    if (likely(!(linear >> 32))) {
        uint32_t page = (uint32_t)linear >> PAGE_SHIFT;
        uint64_t slot = mmu->tables->slots[access_class][page];
        if (slot & (1u << access)) {
            *physical = (slot & ~(uint64_t)PAGE_MASK) | (linear & PAGE_MASK);
            /* No direct entry was possible; perhaps one is now. */
            if (access != MMU_EXECUTE && !mmu->tables->direct[access_class][access][page])
                install_direct(mmu, access_class, page);
            return true;
        }
    }
    return walk_and_fill(mmu, linear, access_class, access, report, physical);
}

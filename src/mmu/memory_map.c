#include "mmu/memory_map.h"
#include "base/compiler.h"

#include <stdlib.h>

/* More changed pages than this are reported as "everything". */
#define NOTIFY_PAGES_MAX 64

bool memory_map_create(struct memory *memory, struct error *err)
{
    struct memory_map *map = calloc(1, sizeof *map);
    if (!map)
        return error_set(err, "out of memory for the guest's physical map");
    map->ram = (struct memory_region){
        .name = "ram", .kind = REGION_RAM, .size = memory->ram_size, .enabled = true, .host = memory->ram};
    memory->map = map;
    memory->regions = &map->ram;
    return true;
}

void memory_map_destroy(struct memory *memory)
{
    free(memory->map);
    memory->map = NULL;
}

void memory_map_notify(struct memory *memory, uint64_t page)
{
    for (unsigned i = 0; i < memory->map_listener_count; i++)
        memory->map_listeners[i].changed(memory->map_listeners[i].opaque, page);
}

/* ---- looking up ---- */

static bool region_contains(const struct memory_region *region, uint64_t address)
{
    return region->enabled && address >= region->base && address - region->base < region->size;
}

static struct memory_region *search_list(struct memory *memory, uint64_t address)
{
    for (struct memory_region *region = memory->regions; region; region = region->next)
        if (region_contains(region, address))
            return region;
    return NULL;
}

struct memory_region *memory_find_region(struct memory *memory, uint64_t address)
{
    uint64_t page = address >> PAGE_SHIFT;
    if (page >= MAP_PAGES)
        return search_list(memory, address);
    unsigned slot = memory->map->page[page];
    if (slot == 0)
        return address < memory->ram_size ? &memory->map->ram : NULL;
    if (slot == MAP_SLOT_MIXED)
        return search_list(memory, address);
    return memory->map->slots[slot];
}

struct memory_target memory_map_find(struct memory *memory, uint64_t address, unsigned size)
{
    struct memory_target target = {NULL, NULL, false};
    uint64_t page = address >> PAGE_SHIFT;
    unsigned slot = page < MAP_PAGES ? memory->map->page[page] : MAP_SLOT_MIXED;
    if (likely(slot == 0)) {
        if (address < memory->ram_size) {
            target.region = &memory->map->ram;
            target.host = memory->ram + address;
        }
        return target;
    }
    if (unlikely(slot == MAP_SLOT_MIXED)) {
        target.region = search_list(memory, address);
        for (unsigned i = 1; i < size; i++)
            target.split |= search_list(memory, address + i) != target.region;
    } else {
        target.region = memory->map->slots[slot];
    }
    if (target.region && target.region->host)
        target.host = target.region->host + (address - target.region->base);
    return target;
}

uint8_t *memory_page_pointer(struct memory *memory, uint64_t page_address, bool *writable)
{
    struct memory_region *region;
    uint64_t page = page_address >> PAGE_SHIFT;
    page_address &= ~(uint64_t)PAGE_MASK;
    *writable = false;
    if (page < MAP_PAGES && memory->map->page[page] != MAP_SLOT_MIXED) {
        region = memory_find_region(memory, page_address);
    } else {
        /* A region that covers the whole page, unless one of higher priority takes a part of it. */
        for (region = memory->regions; region; region = region->next)
            if (region->enabled && region->base < page_address + PAGE_SIZE &&
                region->base + region->size > page_address)
                break;
        if (region && (region->base > page_address || region->base + region->size < page_address + PAGE_SIZE))
            return NULL;
    }
    if (!region || !region->host || region->kind == REGION_DEVICE)
        return NULL;
    *writable = region->kind == REGION_RAM;
    return region->host + (page_address - region->base);
}

/* ---- changing ---- */

static unsigned slot_of(struct memory_map *map, struct memory_region *region)
{
    unsigned unused = MAP_SLOT_MIXED; /* without a free slot the list is searched: slow, and right */
    for (unsigned slot = MAP_SLOTS - 1; slot > 0; slot--) {
        if (map->slots[slot] == region)
            return slot;
        if (!map->slots[slot])
            unused = slot;
    }
    if (unused != MAP_SLOT_MIXED)
        map->slots[unused] = region;
    return unused;
}

/* What PAGE's entry should be; *RUN_END becomes the first page after it for which that may differ. */
static unsigned resolve_page(struct memory *memory, uint64_t page, uint64_t *run_end)
{
    struct memory_map *map = memory->map;
    bool found = false;
    unsigned slot = 0;
    for (struct memory_region *region = memory->regions; region; region = region->next) {
        if (!region->enabled || !region->size)
            continue;
        uint64_t end = region->base + region->size;
        const uint64_t boundaries[4] = {
            region->base >> PAGE_SHIFT,                   /* first page touched */
            (region->base + PAGE_SIZE - 1) >> PAGE_SHIFT, /* first page covered */
            end >> PAGE_SHIFT,                            /* first page not covered */
            (end + PAGE_SIZE - 1) >> PAGE_SHIFT,          /* first page not touched */
        };
        for (unsigned i = 0; i < ARRAY_SIZE(boundaries); i++)
            if (boundaries[i] > page && boundaries[i] < *run_end)
                *run_end = boundaries[i];
        if (found || page < boundaries[0] || page >= boundaries[3])
            continue;
        found = true;
        if (page < boundaries[1] || page >= boundaries[2])
            slot = MAP_SLOT_MIXED;
        else
            slot = region == &map->ram ? 0 : slot_of(map, region);
    }
    return slot;
}

/* Recomputes [base, base+size) and tells the listeners. */
static void recompute(struct memory *memory, uint64_t base, uint64_t size)
{
    struct memory_map *map = memory->map;
    if (!size)
        return;
    uint64_t first = base >> PAGE_SHIFT;
    uint64_t last = (base + size - 1) >> PAGE_SHIFT;
    for (uint64_t page = first; page <= last && page < MAP_PAGES;) {
        uint64_t run_end = last < MAP_PAGES ? last + 1 : MAP_PAGES;
        unsigned slot = resolve_page(memory, page, &run_end);
        while (page < run_end)
            __atomic_store_n(&map->page[page++], (uint16_t)slot, __ATOMIC_RELAXED);
    }
    if (last >= MAP_PAGES || last - first >= NOTIFY_PAGES_MAX) {
        memory_map_notify(memory, UINT64_MAX);
    } else {
        for (uint64_t page = first; page <= last; page++)
            memory_map_notify(memory, page);
    }
}

static void free_slot(struct memory_map *map, struct memory_region *region)
{
    for (unsigned slot = 1; slot < MAP_SLOTS; slot++)
        if (map->slots[slot] == region)
            map->slots[slot] = NULL;
}

void memory_add_region(struct memory *memory, struct memory_region *region)
{
    struct memory_region **link = &memory->regions;
    while (*link && (*link)->priority > region->priority)
        link = &(*link)->next;
    region->next = *link;
    *link = region;
    if (region->enabled)
        recompute(memory, region->base, region->size);
}

void memory_remove_region(struct memory *memory, struct memory_region *region)
{
    struct memory_region **link = &memory->regions;
    while (*link && *link != region)
        link = &(*link)->next;
    if (!*link)
        return;
    *link = region->next;
    region->next = NULL;
    if (region->enabled)
        recompute(memory, region->base, region->size);
    free_slot(memory->map, region);
}

void memory_update_region(struct memory *memory, struct memory_region *region, uint64_t base, bool enabled)
{
    uint64_t old_base = region->base;
    bool was_enabled = region->enabled;
    if (base == old_base && enabled == was_enabled)
        return;
    region->base = base;
    region->enabled = enabled;
    if (was_enabled)
        recompute(memory, old_base, region->size);
    if (enabled && !(was_enabled && base == old_base))
        recompute(memory, base, region->size);
}

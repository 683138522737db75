/* Which region answers at a guest-physical page: private to memory*.c.
 *
 * The first 4 GiB have one 16-bit slot number a page:
 *
 *     0                main RAM below its end, nothing above
 *     MAP_SLOT_MIXED   several regions, or one that covers the page in part: search the list
 *     else             index into slots[]: that region covers the whole page
 *
 * Above 4 GiB the list is searched. The list is sorted by falling priority, the newest first among
 * equals, and main RAM is on it. */
#ifndef DRAGOMAN_MMU_MEMORY_MAP_H
#define DRAGOMAN_MMU_MEMORY_MAP_H

#include "mmu/memory.h"

#define MAP_PAGES      (1u << 20)
#define MAP_SLOTS      4096u
#define MAP_SLOT_MIXED 0xffffu

struct memory_map {
    struct memory_region ram; /* main RAM as a region, last of its priority */
    struct memory_region *slots[MAP_SLOTS];
    uint8_t unimplemented_logged[MAP_PAGES / 8]; /* one bit a page, for -d unimp */
    uint16_t page[MAP_PAGES];
};

/* What answers for [address, address+size), not crossing a page. */
struct memory_target {
    struct memory_region *region; /* NULL: nothing */
    uint8_t *host;                /* RAM and ROM kinds: the first byte */
    bool split;                   /* several regions: go byte by byte */
};

bool memory_map_create(struct memory *memory, struct error *err);
void memory_map_destroy(struct memory *memory);
struct memory_target memory_map_find(struct memory *memory, uint64_t address, unsigned size);
/* Tells the map listeners that PAGE (or UINT64_MAX) changed. */
void memory_map_notify(struct memory *memory, uint64_t page);

#endif

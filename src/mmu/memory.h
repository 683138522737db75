/* Guest-physical memory: RAM, ROM and memory-mapped devices, and the one gate through which every
 * write to RAM becomes known.
 *
 * RAM is a memfd, mapped once, at guest-physical 0 .. ram_size-1 (up to 3.5 GiB; the PCI hole is
 * above).  Regions overlay it: a region of a higher priority hides what is below.
 *
 * The gate.  One flags byte and one 64-bit line bitmap (64 lines of 64 bytes) per RAM page.  As long
 * as a page's flags are 0 a store may go straight to host memory.  Otherwise every writer calls
 * memory_page_written() AFTER the bytes changed: slow path of the TLB, bulk REP, DMA, devices,
 * monitor, A/D updates.
 *
 *   flags byte:  7 6 5 4 | 3 MIGRATION | 2 DISPLAY | 1 PAGE_TABLE | 0 CODE
 *
 * Threads: the vCPU threads and, with the device lock held, any other. */
#ifndef DRAGOMAN_MMU_MEMORY_H
#define DRAGOMAN_MMU_MEMORY_H

#include "base/error.h"
#include "base/lock.h"
#include "base/log.h"
#include "base/stats.h"
#include "base/trace_hash.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PAGE_SHIFT 12
#define PAGE_SIZE 4096u
#define PAGE_MASK 0xfffu
#define CODE_LINE_SHIFT 6 /* 64-byte lines */

enum page_flag {
    PAGE_FLAG_CODE = 1 << 0,       /* some line of the page holds decoded code: see code_lines */
    PAGE_FLAG_PAGE_TABLE = 1 << 1, /* reserved for page-table tracking */
    PAGE_FLAG_DISPLAY = 1 << 2,    /* display-clean: the first write marks it dirty */
    PAGE_FLAG_MIGRATION = 1 << 3   /* clean for snapshot/migration purposes */
};

/* Accesses to a device region; the bus has cut them to sizes the device takes. OFFSET is from the
 * start of the region; SIZE is 1, 2, 4 (8 only if max_access is 8). Device lock held. */
struct region_ops {
    uint64_t (*read)(void *opaque, uint64_t offset, unsigned size);
    void (*write)(void *opaque, uint64_t offset, unsigned size, uint64_t value);
    unsigned min_access; /* smaller accesses are widened: read; 0 means 1 */
    unsigned max_access; /* larger or unaligned ones are split; 0 means 4 */
};

enum region_kind {
    REGION_RAM,     /* main RAM, or RAM owned by a device (VGA memory, option ROM shadow) */
    REGION_ROM,     /* host memory; guest writes are ignored */
    REGION_ROM_RAM, /* reads come from HOST, writes go to device ops or are dropped */
    REGION_DEVICE
};

struct memory_region {
    const char *name; /* static string */
    enum region_kind kind;
    uint64_t base; /* guest-physical, page-aligned for RAM and ROM; any for devices */
    uint64_t size;
    int priority;  /* main RAM is 0 */
    bool enabled;
    uint8_t *host; /* RAM and ROM: first byte; the creator owns it */
    const struct region_ops *ops;
    void *opaque;
    struct memory_region *next;
};

struct memory;
struct access_log;

/* Told about a write to a page whose flags are not 0, after the bytes have changed.
 * Called with the flags that were set. */
typedef void (*memory_written_fn)(void *opaque, uint64_t page, unsigned offset, unsigned length, unsigned flags);

struct memory {
    uint8_t *ram;
    uint64_t ram_size;
    int memfd;
    uint8_t *page_flags;  /* one byte a RAM page */
    uint64_t *code_lines; /* one bitmap a RAM page; bit n: bytes 64n..64n+63 */
    uint8_t *display_dirty; /* one byte a RAM page, set by a write to a DISPLAY page */
    struct device_lock *lock;
    struct log *log;
    struct stats *stats;
    /* Subscribers (few, fixed at assembly). */
    struct {
        memory_written_fn written;
        void *opaque;
    } written_listeners[8];
    unsigned written_listener_count;
    /* Told when mappings or page flags change so that TLBs drop what they derived:
     * PAGE is a page number, or UINT64_MAX for "everything". */
    struct {
        void (*changed)(void *opaque, uint64_t page);
        void *opaque;
    } map_listeners[8];
    unsigned map_listener_count;
    /* Who made something out of code: says which lines of a RAM page that still is. */
    struct {
        uint64_t (*lines)(void *opaque, uint64_t page);
        void *opaque;
    } code_sources[4];
    unsigned code_source_count;
    struct memory_region *regions;
    struct memory_map *map; /* page -> region, private to memory.c */
    struct access_log *access_log; /* NULL, or the log in force (lockstep) */
    struct trace_hash *trace_hash; /* NULL, or told of the vCPU's accesses to devices */
};

/* RAM_SIZE in bytes, a multiple of 4 KiB, 1 MiB .. 3.5 GiB. Fails with a message (more memory than
 * the host has, memfd_create or mmap refused). LOCK, LOG and STATS outlive the memory. */
struct memory *memory_create(uint64_t ram_size, struct device_lock *lock, struct log *log, struct stats *stats,
                             struct error *err);
void memory_destroy(struct memory *memory);

void memory_add_written_listener(struct memory *memory, memory_written_fn written, void *opaque);
void memory_add_map_listener(struct memory *memory, void (*changed)(void *, uint64_t), void *opaque);

/* The caller owns REGION, which must stay until memory_remove_region(). Device lock held or no vCPU
 * running. Changing base/enabled of an added region goes through memory_update_region(). */
void memory_add_region(struct memory *memory, struct memory_region *region);
void memory_remove_region(struct memory *memory, struct memory_region *region);
void memory_update_region(struct memory *memory, struct memory_region *region, uint64_t base, bool enabled);
/* The region that answers at ADDRESS, NULL where nothing does (reads as all ones, writes dropped). */
struct memory_region *memory_find_region(struct memory *memory, uint64_t address);

/* Host pointer to the page at guest-physical PAGE_ADDRESS (page-aligned), or NULL if accesses must
 * go through memory_read/memory_write. *WRITABLE is false for ROM. A page only partly covered
 * by a region, or whose region is a device, gives NULL. */
uint8_t *memory_page_pointer(struct memory *memory, uint64_t page_address, bool *writable);

/* Guest-physical accesses of 1, 2, 4 or 8 bytes, any alignment, RAM or device; honour the access log
 * and the gate. Take the device lock themselves for devices. */
uint64_t memory_read(struct memory *memory, uint64_t address, unsigned size);
void memory_write(struct memory *memory, uint64_t address, unsigned size, uint64_t value);
/* Bulk, for DMA, loaders and the monitor; any length; goes through the gate; devices byte by byte. */
void memory_read_bytes(struct memory *memory, uint64_t address, void *to, size_t length);
void memory_write_bytes(struct memory *memory, uint64_t address, const void *from, size_t length);
/* Like memory_write_bytes but also changes ROM (firmware loading, the debugger). */
void memory_poke_bytes(struct memory *memory, uint64_t address, const void *from, size_t length);

/* THE gate: PAGE (guest-physical page number), OFFSET+LENGTH within the page, bytes already changed.
 * Cheap when no flag is set or no line with code is touched. */
void memory_page_written_slow(struct memory *memory, uint64_t page, unsigned offset, unsigned length);
static inline void memory_page_written(struct memory *memory, uint64_t page, unsigned offset, unsigned length)
{
    if (page < (memory->ram_size >> PAGE_SHIFT) && __atomic_load_n(&memory->page_flags[page], __ATOMIC_RELAXED))
        memory_page_written_slow(memory, page, offset, length);
}

/* Marks the lines that [offset, offset+length) of PAGE touches as holding code; sets PAGE_FLAG_CODE
 * and, when the flag is new, tells the map listeners so that no TLB keeps a direct write entry.
 * PAGE is a page of main RAM, (host - memory->ram) >> PAGE_SHIFT, as for written listeners: where a
 * region shows main RAM at another guest-physical address, the flags are those of the RAM itself.
 * Mark first, then read the bytes: a device that writes in between is then noticed. */
void memory_mark_code(struct memory *memory, uint64_t page, unsigned offset, unsigned length);
void memory_add_code_source(struct memory *memory, uint64_t (*lines)(void *, uint64_t), void *opaque);
/* Something made of PAGE's code is gone: asks all sources which lines are left. The page keeps its flag until it is next
 * written to, for code that is gone often comes back. */
void memory_refresh_code(struct memory *memory, uint64_t page);
/* Forgets all code lines of PAGE if memory_refresh_code() found none. */
void memory_clear_code(struct memory *memory, uint64_t page);
/* Sets FLAG (not CODE) on pages [first, first+count). */
void memory_set_page_flag(struct memory *memory, uint64_t first, uint64_t count, enum page_flag flag);

/* Page number of main RAM that HOST lies in, or UINT64_MAX: page flags belong to what is written,
 * not to the address at which it was reached. */
static inline uint64_t memory_ram_page_of(const struct memory *memory, const uint8_t *host)
{
    uint64_t offset = (uint64_t)(host - memory->ram);
    return offset < memory->ram_size ? offset >> PAGE_SHIFT : UINT64_MAX;
}

/* Bits of the 64-byte lines that [OFFSET, OFFSET + LENGTH) of a page touches; what is behind the page does not count. */
static inline uint64_t memory_lines_of(unsigned offset, unsigned length)
{
    if (offset >= PAGE_SIZE || !length)
        return 0;
    if (length > PAGE_SIZE - offset)
        length = PAGE_SIZE - offset;
    unsigned first = offset >> CODE_LINE_SHIFT, last = (offset + length - 1) >> CODE_LINE_SHIFT;
    return (UINT64_MAX << first) & (UINT64_MAX >> (63 - last));
}

#endif

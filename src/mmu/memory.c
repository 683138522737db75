#define _GNU_SOURCE /* memfd_create */

#include "mmu/memory.h"
#include "base/compiler.h"
#include "mmu/memory_map.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define MEMORY_SIZE_MIN  ((uint64_t)1 << 20)
#define MEMORY_SIZE_MAX  ((uint64_t)7 << 29) /* 3.5 GiB */
#define NOTIFY_PAGES_MAX 64

static bool check_size(uint64_t ram_size, struct error *err)
{
    if (ram_size % PAGE_SIZE)
        return error_set(err, "memory size %" PRIu64 " is not a multiple of 4096 bytes", ram_size);
    if (ram_size < MEMORY_SIZE_MIN || ram_size > MEMORY_SIZE_MAX)
        return error_set(err, "memory size %" PRIu64 " KiB is out of range: 1024 KiB to 3584 MiB are possible",
                         ram_size >> 10);
    long pages = sysconf(_SC_PHYS_PAGES), page_size = sysconf(_SC_PAGESIZE);
    if (pages > 0 && page_size > 0 && ram_size > (uint64_t)pages * (uint64_t)page_size)
        return error_set(err, "memory size %" PRIu64 " MiB is more than this host has (%" PRIu64 " MiB)",
                         ram_size >> 20, (uint64_t)pages * (uint64_t)page_size >> 20);
    return true;
}

static bool map_ram(struct memory *memory, struct error *err)
{
    uint64_t mib = memory->ram_size >> 20;
    memory->memfd = memfd_create("dragoman-ram", MFD_CLOEXEC);
    if (memory->memfd < 0)
        return error_set(err, "cannot create %" PRIu64 " MiB of guest memory: memfd_create: %s", mib, strerror(errno));
    if (ftruncate(memory->memfd, (off_t)memory->ram_size) < 0)
        return error_set(err, "cannot size guest memory to %" PRIu64 " MiB: %s", mib, strerror(errno));
    void *ram = mmap(NULL, memory->ram_size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE, memory->memfd, 0);
    if (ram == MAP_FAILED)
        return error_set(err, "cannot map %" PRIu64 " MiB of guest memory: %s", mib, strerror(errno));
    memory->ram = ram;
    return true;
}

struct memory *memory_create(uint64_t ram_size, struct device_lock *lock, struct log *log, struct stats *stats,
                             struct error *err)
{
    if (!check_size(ram_size, err))
        return NULL;
    struct memory *memory = calloc(1, sizeof *memory);
    if (!memory) {
        error_set(err, "out of memory");
        return NULL;
    }
    memory->ram_size = ram_size;
    memory->memfd = -1;
    memory->lock = lock;
    memory->log = log;
    memory->stats = stats;
    uint64_t pages = ram_size >> PAGE_SHIFT;
    memory->page_flags = calloc(pages, 1);
    memory->code_lines = calloc(pages, sizeof *memory->code_lines);
    memory->display_dirty = calloc(pages, 1);
    if (!memory->page_flags || !memory->code_lines || !memory->display_dirty) {
        error_set(err, "out of memory for the page flags of %" PRIu64 " MiB of guest memory", ram_size >> 20);
    } else if (map_ram(memory, err) && memory_map_create(memory, err)) {
        return memory;
    }
    memory_destroy(memory);
    return NULL;
}

void memory_destroy(struct memory *memory)
{
    if (!memory)
        return;
    if (memory->ram)
        munmap(memory->ram, memory->ram_size);
    if (memory->memfd >= 0)
        close(memory->memfd);
    memory_map_destroy(memory);
    free(memory->page_flags);
    free(memory->code_lines);
    free(memory->display_dirty);
    free(memory);
}

void memory_add_written_listener(struct memory *memory, memory_written_fn written, void *opaque)
{
    unsigned i = memory->written_listener_count++;
    memory->written_listeners[i].written = written;
    memory->written_listeners[i].opaque = opaque;
}

void memory_add_map_listener(struct memory *memory, void (*changed)(void *, uint64_t), void *opaque)
{
    unsigned i = memory->map_listener_count++;
    memory->map_listeners[i].changed = changed;
    memory->map_listeners[i].opaque = opaque;
}

/* ---- the gate and the page flags ---- */

/* A page whose code has all gone keeps its flag for a while: code that patches and runs in turn would
 * otherwise have the TLBs searched each time. One in so many writes to such pages ends that. */
#define IDLE_CODE_WRITES 256

void memory_page_written_slow(struct memory *memory, uint64_t page, unsigned offset, unsigned length)
{
    unsigned flags = __atomic_load_n(&memory->page_flags[page], __ATOMIC_RELAXED);
    if (flags & PAGE_FLAG_CODE) {
        uint64_t lines = __atomic_load_n(&memory->code_lines[page], __ATOMIC_RELAXED);
        memory->stats->code_page_writes++;
        if (!(lines & memory_lines_of(offset, length)))
            flags &= ~(unsigned)PAGE_FLAG_CODE;
        if (!lines && memory->stats->code_page_writes % IDLE_CODE_WRITES == 0)
            memory_clear_code(memory, page);
    }
    if (flags & PAGE_FLAG_DISPLAY) {
        /* Once dirty the page needs no more watching until somebody has looked at it. The flag goes
         * first: whoever sets it again afterwards sees the mark. */
        __atomic_fetch_and(&memory->page_flags[page], (uint8_t)~PAGE_FLAG_DISPLAY, __ATOMIC_SEQ_CST);
        __atomic_store_n(&memory->display_dirty[page], 1, __ATOMIC_SEQ_CST);
    }
    if (!flags)
        return;
    for (unsigned i = 0; i < memory->written_listener_count; i++)
        memory->written_listeners[i].written(memory->written_listeners[i].opaque, page, offset, length, flags);
}

void memory_mark_code(struct memory *memory, uint64_t page, unsigned offset, unsigned length)
{
    uint64_t lines = memory_lines_of(offset, length);
    if (page >= memory->ram_size >> PAGE_SHIFT || !lines)
        return;
    /* Sequentially consistent with the fence of memory_write_bytes(): either that writer sees the
     * mark or the decoder, which reads after marking, sees its bytes. */
    __atomic_fetch_or(&memory->code_lines[page], lines, __ATOMIC_SEQ_CST);
    uint8_t before = __atomic_fetch_or(&memory->page_flags[page], (uint8_t)PAGE_FLAG_CODE, __ATOMIC_SEQ_CST);
    if (!(before & PAGE_FLAG_CODE))
        memory_map_notify(memory, page);
}

void memory_add_code_source(struct memory *memory, uint64_t (*lines)(void *, uint64_t), void *opaque)
{
    unsigned n = memory->code_source_count++;
    memory->code_sources[n].lines = lines;
    memory->code_sources[n].opaque = opaque;
}

void memory_refresh_code(struct memory *memory, uint64_t page)
{
    uint64_t lines = 0;
    if (page >= memory->ram_size >> PAGE_SHIFT)
        return;
    for (unsigned i = 0; i < memory->code_source_count; i++)
        lines |= memory->code_sources[i].lines(memory->code_sources[i].opaque, page);
    __atomic_store_n(&memory->code_lines[page], lines, __ATOMIC_SEQ_CST);
}

void memory_clear_code(struct memory *memory, uint64_t page)
{
    if (page >= memory->ram_size >> PAGE_SHIFT)
        return;
    __atomic_fetch_and(&memory->page_flags[page], (uint8_t)~PAGE_FLAG_CODE, __ATOMIC_SEQ_CST);
    __atomic_store_n(&memory->code_lines[page], 0, __ATOMIC_SEQ_CST);
}

void memory_set_page_flag(struct memory *memory, uint64_t first, uint64_t count, enum page_flag flag)
{
    uint64_t pages = memory->ram_size >> PAGE_SHIFT, changed = 0;
    if (first >= pages)
        return;
    if (count > pages - first)
        count = pages - first;
    for (uint64_t page = first; page < first + count; page++) {
        uint8_t before = __atomic_fetch_or(&memory->page_flags[page], (uint8_t)flag, __ATOMIC_SEQ_CST);
        if (before & flag)
            continue;
        changed++;
        if (count <= NOTIFY_PAGES_MAX)
            memory_map_notify(memory, page);
    }
    if (changed && count > NOTIFY_PAGES_MAX)
        memory_map_notify(memory, UINT64_MAX);
}

/* Guest-physical reads and writes: RAM, ROM, devices, and places where nothing answers. */
#include "base/compiler.h"
#include "mmu/access_log.h"
#include "mmu/bus_access.h"
#include "mmu/memory_map.h"

#include <inttypes.h>
#include <string.h>

#define MMIO_DEFAULT_MAX 4

/* One host access each, so that an aligned guest access stays single for other threads. */
static uint64_t host_load(const uint8_t *host, unsigned size)
{
    uint16_t value16;
    uint32_t value32;
    uint64_t value64;
    switch (size) {
    case 1:
        return *host;
    case 2:
        memcpy(&value16, host, 2);
        return value16;
    case 4:
        memcpy(&value32, host, 4);
        return value32;
    default:
        memcpy(&value64, host, 8);
        return value64;
    }
}

static void host_store(uint8_t *host, unsigned size, uint64_t value)
{
    switch (size) {
    case 1:
        *host = (uint8_t)value;
        break;
    case 2:
        memcpy(host, &(uint16_t){(uint16_t)value}, 2);
        break;
    case 4:
        memcpy(host, &(uint32_t){(uint32_t)value}, 4);
        break;
    default:
        memcpy(host, &value, 8);
        break;
    }
}

/* ---- devices ---- */

static void log_unimplemented(struct memory *memory, uint64_t address, unsigned size, const char *what)
{
    if (!LOG_ENABLED(memory->log, UNIMP))
        return;
    uint64_t page = (address >> PAGE_SHIFT) % MAP_PAGES;
    uint8_t bit = (uint8_t)(1u << (page % 8));
    if (memory->map->unimplemented_logged[page / 8] & bit)
        return;
    memory->map->unimplemented_logged[page / 8] |= bit;
    struct memory_region *region = memory_find_region(memory, address);
    log_write(memory->log, "%s of %u bytes at physical 0x%" PRIx64 ": %s%s", what, size, address,
              region ? "not implemented by " : "nothing there", region ? region->name : "");
}

/* Bytes from ADDRESS on, at most SIZE, that the same region answers for. */
static unsigned same_region(struct memory *memory, uint64_t address, unsigned size)
{
    struct memory_region *region = memory_find_region(memory, address);
    unsigned run = 1;
    while (run < size && memory_find_region(memory, address + run) == region)
        run++;
    return run;
}

/* Any mixture of regions; under the device lock, for the map may change until it is taken. */
static uint64_t dispatch_read(struct memory *memory, uint64_t address, unsigned size)
{
    uint64_t value = 0;
    int phase = stats_enter_device(memory->stats);
    device_lock_acquire(memory->lock);
    for (unsigned done = 0; done < size;) {
        uint64_t at = address + done, part = UINT64_MAX;
        unsigned run = same_region(memory, at, size - done);
        struct memory_region *region = memory_find_region(memory, at);
        if (region && region->host && region->kind != REGION_DEVICE) {
            part = 0;
            memcpy(&part, region->host + (at - region->base), run);
        } else if (region && region->ops && region->ops->read) {
            memory->stats->mmio_reads++;
            part = bus_read(region->ops, region->opaque, at - region->base, run, MMIO_DEFAULT_MAX);
            LOG(memory->log, IO, "mmio read  %s+0x%" PRIx64 " (0x%" PRIx64 ") size %u: 0x%" PRIx64, region->name,
                at - region->base, at, run, part & bus_size_mask(run));
            trace_hash_access(memory->trace_hash, TRACE_MEMORY_READ, at, run, part & bus_size_mask(run));
        } else {
            log_unimplemented(memory, at, run, "read");
        }
        value |= (part & bus_size_mask(run)) << (8 * done);
        done += run;
    }
    device_lock_release(memory->lock);
    stats_leave_device(memory->stats, phase);
    return value;
}

static void ram_store(struct memory *memory, struct access_log *access_log, uint64_t address, uint8_t *host,
                      unsigned size, uint64_t value);

static void dispatch_write(struct memory *memory, struct access_log *access_log, uint64_t address, unsigned size,
                           uint64_t value)
{
    int phase = stats_enter_device(memory->stats);
    device_lock_acquire(memory->lock);
    for (unsigned done = 0; done < size;) {
        uint64_t at = address + done;
        unsigned run = same_region(memory, at, size - done);
        uint64_t part = (value >> (8 * done)) & bus_size_mask(run);
        struct memory_region *region = memory_find_region(memory, at);
        if (region && region->kind == REGION_RAM) {
            for (unsigned i = 0; i < run; i++)
                ram_store(memory, access_log, at + i, region->host + (at + i - region->base), 1, part >> (8 * i));
        } else if (region && region->ops && region->ops->write) {
            memory->stats->mmio_writes++;
            LOG(memory->log, IO, "mmio write %s+0x%" PRIx64 " (0x%" PRIx64 ") size %u: 0x%" PRIx64, region->name,
                at - region->base, at, run, part);
            trace_hash_access(memory->trace_hash, TRACE_MEMORY_WRITE, at, run, part);
            bus_write(region->ops, region->opaque, at - region->base, run, part, MMIO_DEFAULT_MAX);
        } else if (!region || region->kind == REGION_DEVICE) {
            log_unimplemented(memory, at, run, "write");
        }
        done += run;
    }
    device_lock_release(memory->lock);
    stats_leave_device(memory->stats, phase);
}

/* ---- single accesses ---- */

static void ram_store(struct memory *memory, struct access_log *access_log, uint64_t address, uint8_t *host,
                      unsigned size, uint64_t value)
{
    if (unlikely(access_log != NULL))
        access_log_store(access_log, address, size, host_load(host, size), value & bus_size_mask(size));
    host_store(host, size, value);
    uint64_t page = memory_ram_page_of(memory, host);
    if (page != UINT64_MAX)
        memory_page_written(memory, page, (unsigned)((uintptr_t)host & PAGE_MASK), size);
}

uint64_t memory_read(struct memory *memory, uint64_t address, unsigned size)
{
    if (unlikely((address & PAGE_MASK) + size > PAGE_SIZE)) {
        uint64_t value = 0;
        for (unsigned i = 0; i < size; i++)
            value |= memory_read(memory, address + i, 1) << (8 * i);
        return value;
    }
    struct memory_target target = memory_map_find(memory, address, size);
    if (likely(target.host && !target.split && target.region->kind != REGION_DEVICE))
        return host_load(target.host, size);

    struct access_log *access_log = memory->access_log;
    uint64_t value;
    if (access_log && access_log_replay(access_log, DEVICE_ACCESS_MMIO_READ, address, size, &value))
        return value;
    value = dispatch_read(memory, address, size);
    if (access_log)
        access_log_device(access_log, DEVICE_ACCESS_MMIO_READ, address, size, value);
    return value;
}

void memory_write(struct memory *memory, uint64_t address, unsigned size, uint64_t value)
{
    if (unlikely((address & PAGE_MASK) + size > PAGE_SIZE)) {
        for (unsigned i = 0; i < size; i++)
            memory_write(memory, address + i, 1, value >> (8 * i));
        return;
    }
    struct memory_target target = memory_map_find(memory, address, size);
    struct access_log *access_log = memory->access_log;
    if (likely(target.host && !target.split && target.region->kind == REGION_RAM)) {
        ram_store(memory, access_log, address, target.host, size, value);
        return;
    }
    if (!target.split && target.region && target.region->kind == REGION_ROM)
        return;
    value &= bus_size_mask(size);
    if (!access_log) {
        dispatch_write(memory, NULL, address, size, value);
    } else if (target.split) {
        /* Bytes of RAM and of devices: each goes into its own half of the log. */
        for (unsigned i = 0; i < size; i++)
            memory_write(memory, address + i, 1, value >> (8 * i));
    } else {
        uint64_t replayed = value;
        if (access_log_replay(access_log, DEVICE_ACCESS_MMIO_WRITE, address, size, &replayed))
            return;
        dispatch_write(memory, access_log, address, size, value);
        access_log_device(access_log, DEVICE_ACCESS_MMIO_WRITE, address, size, value);
    }
}

/* ---- bulk ---- */

static size_t bytes_to_page_end(uint64_t address, size_t length)
{
    size_t chunk = PAGE_SIZE - (address & PAGE_MASK);
    return chunk < length ? chunk : length;
}

void memory_read_bytes(struct memory *memory, uint64_t address, void *to, size_t length)
{
    for (uint8_t *bytes = to; length;) {
        size_t chunk = bytes_to_page_end(address, length);
        bool writable;
        const uint8_t *host = memory_page_pointer(memory, address & ~(uint64_t)PAGE_MASK, &writable);
        if (host) {
            memcpy(bytes, host + (address & PAGE_MASK), chunk);
        } else {
            for (size_t i = 0; i < chunk; i++)
                bytes[i] = (uint8_t)dispatch_read(memory, address + i, 1);
        }
        address += chunk;
        bytes += chunk;
        length -= chunk;
    }
}

/* Bytes changed at HOST, perhaps by a thread that is not the vCPU's. */
static void tell_gate(struct memory *memory, const uint8_t *host, size_t length)
{
    uint64_t page = memory_ram_page_of(memory, host);
    if (page == UINT64_MAX)
        return;
    __atomic_thread_fence(__ATOMIC_SEQ_CST); /* see memory_mark_code() */
    memory_page_written(memory, page, (unsigned)((uintptr_t)host & PAGE_MASK), (unsigned)length);
}

void memory_write_bytes(struct memory *memory, uint64_t address, const void *from, size_t length)
{
    for (const uint8_t *bytes = from; length;) {
        size_t chunk = bytes_to_page_end(address, length);
        bool writable;
        uint8_t *host = memory_page_pointer(memory, address & ~(uint64_t)PAGE_MASK, &writable);
        if (host && writable) {
            host += address & PAGE_MASK;
            memcpy(host, bytes, chunk);
            tell_gate(memory, host, chunk);
        } else {
            for (size_t i = 0; i < chunk; i++)
                dispatch_write(memory, NULL, address + i, 1, bytes[i]);
        }
        address += chunk;
        bytes += chunk;
        length -= chunk;
    }
}

void memory_poke_bytes(struct memory *memory, uint64_t address, const void *from, size_t length)
{
    bool rom_changed = false;
    for (const uint8_t *bytes = from; length;) {
        size_t chunk = bytes_to_page_end(address, length);
        bool writable;
        uint8_t *host = memory_page_pointer(memory, address & ~(uint64_t)PAGE_MASK, &writable);
        if (host) {
            host += address & PAGE_MASK;
        } else { /* several regions on this page */
            struct memory_target target = memory_map_find(memory, address, 1);
            chunk = 1;
            if (target.region && target.region->kind != REGION_DEVICE)
                host = target.host;
            writable = target.region && target.region->kind == REGION_RAM;
        }
        if (host) {
            memcpy(host, bytes, chunk);
            tell_gate(memory, host, chunk);
            rom_changed |= !writable;
        } else {
            dispatch_write(memory, NULL, address, 1, *bytes);
        }
        address += chunk;
        bytes += chunk;
        length -= chunk;
    }
    /* No page flags watch ROM, and one image often shows at several addresses. */
    if (rom_changed)
        memory_map_notify(memory, UINT64_MAX);
}

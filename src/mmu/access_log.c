#include "mmu/access_log.h"

#include <stdlib.h>

void access_log_init(struct access_log *log)
{
    *log = (struct access_log){.mode = ACCESS_LOG_RECORD};
}

void access_log_finish(struct access_log *log)
{
    free(log->stores);
    free(log->devices);
    access_log_init(log);
}

void access_log_clear(struct access_log *log)
{
    log->mode = ACCESS_LOG_RECORD;
    log->store_count = 0;
    log->replay_store_start = 0;
    log->device_count = 0;
    log->replay_position = 0;
    log->mismatch = false;
    log->overflow = false;
}

/* Makes room for one more element. Without memory the log becomes useless, and says so. */
static void *reserve(struct access_log *log, void *elements, size_t count, size_t *capacity, size_t size)
{
    if (count < *capacity)
        return elements;
    size_t wanted = *capacity ? 2 * *capacity : 64;
    void *grown = realloc(elements, wanted * size);
    if (grown)
        *capacity = wanted;
    else
        log->overflow = true;
    return grown ? grown : elements;
}

void access_log_store(struct access_log *log, uint64_t address, unsigned size, uint64_t before, uint64_t after)
{
    log->stores = reserve(log, log->stores, log->store_count, &log->store_capacity, sizeof *log->stores);
    if (log->store_count == log->store_capacity)
        return;
    struct store_record *record = &log->stores[log->store_count++];
    record->address = address;
    record->size = (uint8_t)size;
    for (unsigned i = 0; i < 8; i++) {
        record->before[i] = i < size ? (uint8_t)(before >> (8 * i)) : 0;
        record->after[i] = i < size ? (uint8_t)(after >> (8 * i)) : 0;
    }
}

void access_log_undo(struct access_log *log, struct memory *memory)
{
    struct access_log *in_force = memory->access_log;
    memory->access_log = NULL; /* what is undone is not recorded */
    for (size_t i = log->store_count; i-- > 0;) {
        const struct store_record *record = &log->stores[i];
        memory_write_bytes(memory, record->address, record->before, record->size);
    }
    memory->access_log = in_force;
}

void access_log_start_replay(struct access_log *log)
{
    log->mode = ACCESS_LOG_REPLAY;
    log->replay_position = 0;
    log->replay_store_start = log->store_count;
    log->mismatch = false;
}

bool access_log_replay(struct access_log *log, enum device_access_kind kind, uint64_t address, unsigned size,
                       uint64_t *value)
{
    if (log->mode != ACCESS_LOG_REPLAY)
        return false;
    bool is_read = kind == DEVICE_ACCESS_PORT_READ || kind == DEVICE_ACCESS_MMIO_READ;
    const struct device_record *record =
        log->replay_position < log->device_count ? &log->devices[log->replay_position] : NULL;
    if (!record || record->kind != kind || record->address != address || record->size != size ||
        (!is_read && record->value != *value)) {
        log->mismatch = true;
        if (is_read)
            *value = size >= 8 ? UINT64_MAX : ((uint64_t)1 << (8 * size)) - 1;
        return true;
    }
    log->replay_position++;
    *value = record->value;
    return true;
}

void access_log_device(struct access_log *log, enum device_access_kind kind, uint64_t address, unsigned size,
                       uint64_t value)
{
    log->devices = reserve(log, log->devices, log->device_count, &log->device_capacity, sizeof *log->devices);
    if (log->device_count == log->device_capacity)
        return;
    log->devices[log->device_count++] =
        (struct device_record){.kind = kind, .size = (uint8_t)size, .address = address, .value = value};
}

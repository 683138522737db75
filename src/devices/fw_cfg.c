#include "devices/fw_cfg.h"

#include <string.h>

enum { GENERIC_COUNT = FW_CFG_FILE_FIRST + FW_CFG_FILE_SLOTS, LOCAL_COUNT = 0x40 };
enum { FEATURE_TRADITIONAL = 1, FEATURE_DMA = 2 };
enum { KEY_WRITE_BIT = 0x4000 }; /* obsolete, ignored */
enum { DMA_ERROR = 0x01, DMA_READ = 0x02, DMA_SKIP = 0x04, DMA_SELECT = 0x08, DMA_WRITE = 0x10 };
enum { DIRECTORY_ENTRY_SIZE = 4 + 2 + 2 + FW_CFG_NAME_SIZE };
enum { DMA_CHUNK = 4096 };

struct fw_cfg_item {
    uint8_t *data;
    size_t length;
    bool writable;
};

struct fw_cfg {
    struct device device;
    struct device_bus bus;
    struct fw_cfg_item generic[GENERIC_COUNT];
    struct fw_cfg_item local[LOCAL_COUNT];
    char file_names[FW_CFG_FILE_SLOTS][FW_CFG_NAME_SIZE];
    uint32_t file_count;
    uint16_t key;
    uint64_t offset; /* in the selected item */
    uint32_t dma_high;
    struct port_range data_ports, dma_ports;
};

static struct fw_cfg_item *find_item(struct fw_cfg *fw, uint16_t key)
{
    unsigned index = key & ~(KEY_WRITE_BIT | FW_CFG_ARCH_LOCAL);
    if (key & FW_CFG_ARCH_LOCAL)
        return index < LOCAL_COUNT ? &fw->local[index] : NULL;
    return index < GENERIC_COUNT ? &fw->generic[index] : NULL;
}

static void select_item(struct fw_cfg *fw, uint16_t key)
{
    fw->key = key;
    fw->offset = 0;
    struct fw_cfg_item *item = find_item(fw, key);
    if (!item || !item->data)
        LOG(fw->bus.log, UNIMP, "fw_cfg: item %04x is not there", key);
}

/* Past its end an item reads as zeroes. */
static void read_item(struct fw_cfg *fw, uint8_t *to, size_t length)
{
    const struct fw_cfg_item *item = find_item(fw, fw->key);
    size_t have = 0;
    if (item && item->data && fw->offset < item->length) {
        have = item->length - (size_t)fw->offset;
        have = have < length ? have : length;
        memcpy(to, item->data + fw->offset, have);
    }
    memset(to + have, 0, length - have);
    fw->offset += length;
}

/* ---- ports 510h and 511h ---- */

static void data_write(void *opaque, uint64_t offset, unsigned size, uint64_t value)
{
    if (size == 2)
        select_item(opaque, (uint16_t)value);
    /* Byte writes went to the item once; nothing has been writable so since. */
}

static uint64_t data_read(void *opaque, uint64_t offset, unsigned size)
{
    uint8_t bytes[2] = {0};
    read_item(opaque, bytes, size);
    return (uint64_t)(bytes[0] | bytes[1] << 8);
}

static const struct region_ops data_ops = {.read = data_read, .write = data_write, .max_access = 2};

/* ---- DMA ---- */

/* Copies LENGTH bytes of the item to guest memory. A guest may ask for 4 GiB: pages where nothing
 * answers are stepped over. */
static void dma_read_item(struct fw_cfg *fw, uint64_t address, uint32_t length)
{
    uint8_t buffer[DMA_CHUNK];
    while (length) {
        uint32_t chunk = DMA_CHUNK - (uint32_t)(address & (DMA_CHUNK - 1));
        chunk = chunk < length ? chunk : length;
        read_item(fw, buffer, chunk);
        if (memory_find_region(fw->bus.memory, address))
            memory_write_bytes(fw->bus.memory, address, buffer, chunk);
        address += chunk;
        length -= chunk;
    }
}

/* False if the item does not take it. */
static bool dma_write_item(struct fw_cfg *fw, uint64_t address, uint32_t length)
{
    struct fw_cfg_item *item = find_item(fw, fw->key);
    if (!item || !item->writable || fw->offset > item->length || length > item->length - fw->offset)
        return false;
    memory_read_bytes(fw->bus.memory, address, item->data + fw->offset, length);
    fw->offset += length;
    return true;
}

static uint32_t big_endian32(const uint8_t *bytes)
{
    return (uint32_t)bytes[0] << 24 | (uint32_t)bytes[1] << 16 | (uint32_t)bytes[2] << 8 | bytes[3];
}

static void put_big_endian32(uint8_t *bytes, uint32_t value)
{
    for (unsigned i = 0; i < 4; i++)
        bytes[i] = (uint8_t)(value >> (24 - 8 * i));
}

/*  struct at AT, big-endian:  [control, 4][length, 4][address, 8] */
static void dma_run(struct fw_cfg *fw, uint64_t at)
{
    uint8_t request[16];
    memory_read_bytes(fw->bus.memory, at, request, sizeof(request));
    uint32_t control = big_endian32(request), length = big_endian32(request + 4);
    uint64_t address = (uint64_t)big_endian32(request + 8) << 32 | big_endian32(request + 12);
    bool ok = true;
    if (control & DMA_SELECT)
        select_item(fw, (uint16_t)(control >> 16));
    if (control & DMA_READ)
        dma_read_item(fw, address, length);
    else if (control & DMA_WRITE)
        ok = dma_write_item(fw, address, length);
    else if (control & DMA_SKIP)
        fw->offset += length;
    uint8_t result[4];
    put_big_endian32(result, ok ? 0 : DMA_ERROR);
    memory_write_bytes(fw->bus.memory, at, result, sizeof(result));
}

static uint64_t dma_port_read(void *opaque, uint64_t offset, unsigned size)
{
    static const uint8_t signature[8] = "QEMU CFG";
    uint64_t value = 0;
    for (unsigned i = 0; i < size; i++)
        value |= (uint64_t)signature[(offset + i) & 7] << (8 * i);
    return value;
}

/* The address register is big-endian; writing its lower half starts. */
static void dma_port_write(void *opaque, uint64_t offset, unsigned size, uint64_t value)
{
    struct fw_cfg *fw = opaque;
    if (size != 4) {
        LOG(fw->bus.log, GUEST_ERRORS, "fw_cfg: DMA address written %u bytes at a time", size);
        return;
    }
    uint32_t swapped = __builtin_bswap32((uint32_t)value);
    if (offset == 0) {
        fw->dma_high = swapped;
    } else {
        uint64_t at = (uint64_t)fw->dma_high << 32 | swapped;
        fw->dma_high = 0;
        dma_run(fw, at);
    }
}

static const struct region_ops dma_ops = {.read = dma_port_read, .write = dma_port_write, .max_access = 4};

/* ---- building ---- */

static bool rebuild_directory(struct fw_cfg *fw, struct error *err)
{
    size_t length = 4 + (size_t)fw->file_count * DIRECTORY_ENTRY_SIZE;
    uint8_t *directory = calloc(1, length);
    if (!directory)
        return error_set(err, "out of memory for the fw_cfg file directory");
    put_big_endian32(directory, fw->file_count);
    for (unsigned i = 0; i < fw->file_count; i++) {
        uint8_t *entry = directory + 4 + i * DIRECTORY_ENTRY_SIZE;
        unsigned key = FW_CFG_FILE_FIRST + i;
        put_big_endian32(entry, (uint32_t)fw->generic[key].length);
        entry[4] = (uint8_t)(key >> 8);
        entry[5] = (uint8_t)key;
        memcpy(entry + 8, fw->file_names[i], FW_CFG_NAME_SIZE);
    }
    bool ok = fw_cfg_add_bytes(fw, FW_CFG_FILE_DIRECTORY, directory, length, err);
    free(directory);
    return ok;
}

bool fw_cfg_add_bytes(struct fw_cfg *fw, uint16_t key, const void *data, size_t length, struct error *err)
{
    struct fw_cfg_item *item = find_item(fw, key);
    if (!item)
        return error_set(err, "fw_cfg key 0x%04x is out of range", key);
    uint8_t *copy = malloc(length ? length : 1);
    if (!copy)
        return error_set(err, "out of memory for fw_cfg item 0x%04x (%zu bytes)", key, length);
    if (length)
        memcpy(copy, data, length);
    free(item->data);
    item->data = copy;
    item->length = length;
    return true;
}

static bool add_integer(struct fw_cfg *fw, uint16_t key, uint64_t value, unsigned size, struct error *err)
{
    uint8_t bytes[8];
    for (unsigned i = 0; i < size; i++)
        bytes[i] = (uint8_t)(value >> (8 * i));
    return fw_cfg_add_bytes(fw, key, bytes, size, err);
}

bool fw_cfg_add_u16(struct fw_cfg *fw, uint16_t key, uint16_t value, struct error *err)
{
    return add_integer(fw, key, value, 2, err);
}

bool fw_cfg_add_u32(struct fw_cfg *fw, uint16_t key, uint32_t value, struct error *err)
{
    return add_integer(fw, key, value, 4, err);
}

bool fw_cfg_add_u64(struct fw_cfg *fw, uint16_t key, uint64_t value, struct error *err)
{
    return add_integer(fw, key, value, 8, err);
}

bool fw_cfg_add_string(struct fw_cfg *fw, uint16_t key, const char *value, struct error *err)
{
    return fw_cfg_add_bytes(fw, key, value, strlen(value) + 1, err);
}

static int find_file(struct fw_cfg *fw, const char *name)
{
    for (unsigned i = 0; i < fw->file_count; i++) {
        if (strcmp(fw->file_names[i], name) == 0)
            return (int)i;
    }
    return -1;
}

bool fw_cfg_add_file(struct fw_cfg *fw, const char *name, const void *data, size_t length, struct error *err)
{
    int slot = find_file(fw, name);
    bool added = slot < 0;
    if (added) {
        if (strlen(name) >= FW_CFG_NAME_SIZE)
            return error_set(err, "fw_cfg file name '%s' is longer than %d characters", name, FW_CFG_NAME_SIZE - 1);
        if (fw->file_count >= FW_CFG_FILE_SLOTS)
            return error_set(err, "no room for fw_cfg file '%s': all %d are taken", name, FW_CFG_FILE_SLOTS);
        slot = (int)fw->file_count;
    }
    if (!fw_cfg_add_bytes(fw, (uint16_t)(FW_CFG_FILE_FIRST + slot), data, length, err))
        return false;
    if (added) {
        strcpy(fw->file_names[slot], name);
        fw->file_count++;
    }
    return rebuild_directory(fw, err);
}

bool fw_cfg_set_file_writable(struct fw_cfg *fw, const char *name, struct error *err)
{
    int slot = find_file(fw, name);
    if (slot < 0)
        return error_set(err, "there is no fw_cfg file '%s'", name);
    fw->generic[FW_CFG_FILE_FIRST + slot].writable = true;
    return true;
}

const uint8_t *fw_cfg_find_file(struct fw_cfg *fw, const char *name, size_t *length)
{
    int slot = find_file(fw, name);
    if (slot < 0)
        return NULL;
    *length = fw->generic[FW_CFG_FILE_FIRST + slot].length;
    return fw->generic[FW_CFG_FILE_FIRST + slot].data;
}

static void fw_cfg_reset(struct device *device)
{
    struct fw_cfg *fw = (struct fw_cfg *)device;
    fw->key = FW_CFG_SIGNATURE;
    fw->offset = 0;
    fw->dma_high = 0;
}

static void fw_cfg_destroy(struct device *device)
{
    struct fw_cfg *fw = (struct fw_cfg *)device;
    port_space_remove(fw->bus.ports, &fw->data_ports);
    port_space_remove(fw->bus.ports, &fw->dma_ports);
    for (unsigned i = 0; i < GENERIC_COUNT; i++)
        free(fw->generic[i].data);
    for (unsigned i = 0; i < LOCAL_COUNT; i++)
        free(fw->local[i].data);
    free(fw);
}

static const struct state_field fw_cfg_fields[] = {
    STATE_INT(struct fw_cfg, key),
    STATE_INT(struct fw_cfg, offset),
    STATE_INT(struct fw_cfg, dma_high),
    STATE_END,
};
static const struct state_table fw_cfg_state = {"fw_cfg", 1, fw_cfg_fields, NULL};
static const struct device_ops fw_cfg_ops = {
    .name = "fw_cfg", .reset = fw_cfg_reset, .destroy = fw_cfg_destroy, .state = &fw_cfg_state};

struct fw_cfg *fw_cfg_create(const struct device_bus *bus)
{
    struct fw_cfg *fw = device_allocate(sizeof(*fw), &fw_cfg_ops, "fw_cfg");
    if (!fw)
        return NULL;
    fw->bus = *bus;
    fw->data_ports = (struct port_range){
        .name = "fw_cfg", .base = 0x510, .count = 2, .ops = &data_ops, .opaque = fw, .enabled = true};
    fw->dma_ports = (struct port_range){
        .name = "fw_cfg-dma", .base = 0x514, .count = 8, .ops = &dma_ops, .opaque = fw, .enabled = true};
    port_space_add(bus->ports, &fw->data_ports);
    port_space_add(bus->ports, &fw->dma_ports);
    if (!fw_cfg_add_bytes(fw, FW_CFG_SIGNATURE, "QEMU", 4, NULL) ||
        !fw_cfg_add_u32(fw, FW_CFG_ID, FEATURE_TRADITIONAL | FEATURE_DMA, NULL) || !rebuild_directory(fw, NULL)) {
        fw_cfg_destroy(&fw->device);
        return NULL;
    }
    return fw;
}

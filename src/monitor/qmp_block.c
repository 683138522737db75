/* Drives in QMP. */
#include "monitor/qmp.h"

#include "block/block.h"
#include "monitor/monitor_internal.h"
#include "vm/board_pc.h"

#include <string.h>
#include <sys/stat.h>

static json_t *describe_image(const struct block *block)
{
    struct stat status;
    long long used = stat(block->path, &status) == 0 ? (long long)status.st_blocks * 512 : 0;
    return json_pack("{s:s,s:s,s:I,s:I,s:b}", "filename", block->path, "format", "raw", "virtual-size",
                     (json_int_t)(block->sectors * BLOCK_SECTOR), "actual-size", (json_int_t)used, "dirty-flag", 0);
}

static json_t *describe_medium(const struct board_drive_info *info)
{
    const struct block *block = info->block;
    json_t *medium = json_pack("{s:s,s:s,s:s,s:b,s:b,s:i,s:s}", "file", block->path, "node-name", info->id, "drv",
                               "raw", "ro", block->read_only, "encrypted", 0, "backing_file_depth",
                               block->snapshot ? 1 : 0, "detect_zeroes", "off");
    static const char *const limits[] = {"bps", "bps_rd", "bps_wr", "iops", "iops_rd", "iops_wr"};
    for (unsigned i = 0; i < sizeof limits / sizeof limits[0]; i++)
        json_object_set_new(medium, limits[i], json_integer(0));
    json_object_set_new(medium, "write_threshold", json_integer(0));
    json_object_set_new(medium, "image", describe_image(block));
    json_object_set_new(medium, "cache", json_pack("{s:b,s:b,s:b}", "writeback", 1, "direct", 0, "no-flush", 0));
    return medium;
}

static json_t *describe_drive(const struct board_drive_info *info)
{
    json_t *drive = json_pack("{s:s,s:s,s:b,s:b,s:s}", "device", info->id, "qdev", info->id, "removable",
                              info->kind != BOARD_DISK, "locked", info->locked, "type", "unknown");
    if (info->kind != BOARD_DISK)
        json_object_set_new(drive, "tray_open", json_boolean(info->tray_open));
    if (info->block)
        json_object_set_new(drive, "inserted", describe_medium(info));
    if (info->kind != BOARD_CDROM || info->block)
        json_object_set_new(drive, "io-status", json_string("ok"));
    return drive;
}

json_t *qmp_query_block(struct qmp *qmp, json_t *arguments, struct error *err)
{
    json_t *list = json_array();
    struct vm *vm = qmp->set->vm;
    device_lock_acquire(&vm->device_lock);
    for (unsigned i = 0; i < VM_MAX_DRIVES; i++) {
        struct board_drive_info info;
        if (board_drive_info(vm->board, i, &info))
            json_array_append_new(list, describe_drive(&info));
    }
    device_lock_release(&vm->device_lock);
    return list;
}

json_t *qmp_query_blockstats(struct qmp *qmp, json_t *arguments, struct error *err)
{
    json_t *list = json_array();
    struct vm *vm = qmp->set->vm;
    device_lock_acquire(&vm->device_lock);
    for (unsigned i = 0; i < VM_MAX_DRIVES; i++) {
        struct board_drive_info info;
        static const struct block_statistics none;
        if (!board_drive_info(vm->board, i, &info))
            continue;
        const struct block_statistics *s = info.block ? &info.block->statistics : &none;
        json_t *stats = json_pack("{s:I,s:I,s:I,s:I,s:I,s:I}", "rd_bytes", (json_int_t)(s->sectors_read * BLOCK_SECTOR),
                                  "wr_bytes", (json_int_t)(s->sectors_written * BLOCK_SECTOR), "rd_operations",
                                  (json_int_t)s->reads, "wr_operations", (json_int_t)s->writes, "flush_operations",
                                  (json_int_t)s->flushes, "failed_rd_operations", (json_int_t)s->errors);
        json_array_append_new(list, json_pack("{s:s,s:s,s:o}", "device", info.id, "qdev", info.id, "stats", stats));
    }
    device_lock_release(&vm->device_lock);
    return list;
}

/* The drive called "device" or "id"; device lock held. -1 with a message. */
static int find_drive(struct qmp *qmp, json_t *arguments, struct error *err)
{
    const char *device = json_string_value(json_object_get(arguments, "device"));
    const char *id = json_string_value(json_object_get(arguments, "id"));
    if (!device == !id) {
        error_set(err, "Need exactly one of 'device' and 'id'");
        return -1;
    }
    const char *name = device ? device : id;
    int index = board_find_drive(qmp->set->vm->board, name);
    if (index < 0)
        error_set(err, "Device '%.100s' not found", name);
    return index;
}

json_t *qmp_eject(struct qmp *qmp, json_t *arguments, struct error *err)
{
    struct vm *vm = qmp->set->vm;
    bool force = json_is_true(json_object_get(arguments, "force"));
    device_lock_acquire(&vm->device_lock);
    int index = find_drive(qmp, arguments, err);
    bool ok = index >= 0 && board_eject(vm->board, (unsigned)index, force, err);
    device_lock_release(&vm->device_lock);
    return ok ? json_object() : NULL;
}

json_t *qmp_blockdev_change_medium(struct qmp *qmp, json_t *arguments, struct error *err)
{
    struct vm *vm = qmp->set->vm;
    const char *path = json_string_value(json_object_get(arguments, "filename"));
    const char *format = json_string_value(json_object_get(arguments, "format"));
    const char *mode = json_string_value(json_object_get(arguments, "read-only-mode"));
    bool force = json_is_true(json_object_get(arguments, "force"));
    enum board_access access = BOARD_RETAIN;
    if (mode && !monitor_parse_access(mode, &access)) {
        error_set(err, "Parameter 'read-only-mode' does not accept value '%.100s'", mode);
        return NULL;
    }
    device_lock_acquire(&vm->device_lock);
    int index = find_drive(qmp, arguments, err);
    bool ok = index >= 0 && board_change_medium(vm->board, (unsigned)index, path, format, access, force, err);
    device_lock_release(&vm->device_lock);
    return ok ? json_object() : NULL;
}

json_t *qmp_blockdev_open_tray(struct qmp *qmp, json_t *arguments, struct error *err)
{
    struct vm *vm = qmp->set->vm;
    bool force = json_is_true(json_object_get(arguments, "force"));
    device_lock_acquire(&vm->device_lock);
    int index = find_drive(qmp, arguments, err);
    bool ok = index >= 0 && board_open_tray(vm->board, (unsigned)index, force, err);
    device_lock_release(&vm->device_lock);
    return ok ? json_object() : NULL;
}

json_t *qmp_blockdev_close_tray(struct qmp *qmp, json_t *arguments, struct error *err)
{
    struct vm *vm = qmp->set->vm;
    device_lock_acquire(&vm->device_lock);
    int index = find_drive(qmp, arguments, err);
    bool ok = index >= 0 && board_close_tray(vm->board, (unsigned)index, err);
    device_lock_release(&vm->device_lock);
    return ok ? json_object() : NULL;
}

json_t *qmp_blockdev_remove_medium(struct qmp *qmp, json_t *arguments, struct error *err)
{
    struct vm *vm = qmp->set->vm;
    device_lock_acquire(&vm->device_lock);
    int index = find_drive(qmp, arguments, err);
    bool ok = index >= 0 && board_remove_medium(vm->board, (unsigned)index, err);
    device_lock_release(&vm->device_lock);
    return ok ? json_object() : NULL;
}

json_t *qmp_describe_tray_move(struct qmp *qmp)
{
    const struct vm *vm = qmp->set->vm;
    const char *id = vm->options->drives[vm->tray_move.drive].id;
    return json_pack("{s:s,s:s,s:b}", "device", id, "id", id, "tray-open", vm->tray_move.open);
}

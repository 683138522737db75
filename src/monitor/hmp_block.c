/* Drives in the human monitor: change, eject, boot_set, info block. */
#include "monitor/hmp.h"

#include "block/block.h"
#include "vm/board_pc.h"

#include <string.h>

static void report(struct text *out, const struct error *err)
{
    text_printf(out, "Error: %s\n", err->message);
}

static int find_drive(struct hmp *hmp, const char *id, struct error *err)
{
    int index = board_find_drive(hmp->vm->board, id);
    if (index < 0)
        error_set(err, "Device '%.100s' not found", id);
    return index;
}

void hmp_eject(struct hmp *hmp, const struct hmp_arguments *a, struct text *out)
{
    struct error err;
    device_lock_acquire(&hmp->vm->device_lock);
    int index = find_drive(hmp, a->strings[0], &err);
    bool ok = index >= 0 && board_eject(hmp->vm->board, (unsigned)index, a->flag, &err);
    device_lock_release(&hmp->vm->device_lock);
    if (!ok)
        report(out, &err);
}

bool monitor_parse_access(const char *text, enum board_access *access)
{
    static const char *const names[] = {
        [BOARD_RETAIN] = "retain", [BOARD_READ_ONLY] = "read-only", [BOARD_READ_WRITE] = "read-write"};
    for (unsigned i = 0; i < sizeof names / sizeof names[0]; i++)
        if (!strcmp(names[i], text)) {
            *access = (enum board_access)i;
            return true;
        }
    return false;
}

/* change DEVICE FILE [FORMAT [ACCESS]] */
void hmp_change(struct hmp *hmp, const struct hmp_arguments *a, struct text *out)
{
    struct error err;
    enum board_access access = BOARD_RETAIN;
    const char *format = a->string_count > 2 && a->strings[2][0] ? a->strings[2] : NULL;
    if (a->string_count > 3 && !monitor_parse_access(a->strings[3], &access)) {
        text_printf(out, "Error: invalid parameter value: %s\n", a->strings[3]);
        return;
    }
    device_lock_acquire(&hmp->vm->device_lock);
    int index = find_drive(hmp, a->strings[0], &err);
    bool ok = index >= 0 &&
              board_change_medium(hmp->vm->board, (unsigned)index, a->strings[1], format, access, a->flag, &err);
    device_lock_release(&hmp->vm->device_lock);
    if (!ok)
        report(out, &err);
}

void hmp_boot_set(struct hmp *hmp, const struct hmp_arguments *a, struct text *out)
{
    struct error err;
    device_lock_acquire(&hmp->vm->device_lock);
    bool ok = board_set_boot_order(hmp->vm->board, a->strings[0], &err);
    device_lock_release(&hmp->vm->device_lock);
    if (ok)
        text_printf(out, "boot device list now set to %s\n", a->strings[0]);
    else
        report(out, &err);
}

static void print_drive(struct text *out, const struct board_drive_info *info, bool verbose)
{
    const struct block *block = info->block;
    text_printf(out, "%s: ", info->id);
    if (block)
        text_printf(out, "%s (raw%s%s)\n", block->path, block->read_only ? ", read-only" : "",
                    block->snapshot ? ", snapshot" : "");
    else
        text_printf(out, "[not inserted]\n");
    if (info->kind != BOARD_DISK)
        text_printf(out, "    Removable device: %slocked, tray %s\n", info->locked ? "" : "not ",
                    info->tray_open ? "open" : "closed");
    if (block)
        text_printf(out, "    Cache mode:       writeback\n");
    if (block && verbose)
        text_printf(out, "\nImages:\nimage: %s\nfile format: raw\nvirtual size: %llu bytes\n", block->path,
                    (unsigned long long)block->sectors * BLOCK_SECTOR);
}

void hmp_info_block(struct hmp *hmp, const struct hmp_arguments *a, struct text *out)
{
    bool first = true;
    device_lock_acquire(&hmp->vm->device_lock);
    for (unsigned i = 0; i < VM_MAX_DRIVES; i++) {
        struct board_drive_info info;
        if (!board_drive_info(hmp->vm->board, i, &info) || (a->string_count && strcmp(a->strings[0], info.id)))
            continue;
        text_printf(out, "%s", first ? "" : "\n");
        print_drive(out, &info, a->flag);
        first = false;
    }
    device_lock_release(&hmp->vm->device_lock);
    if (first && a->string_count)
        text_printf(out, "Error: Device '%s' not found\n", a->strings[0]);
}

void hmp_info_blockstats(struct hmp *hmp, const struct hmp_arguments *a, struct text *out)
{
    device_lock_acquire(&hmp->vm->device_lock);
    for (unsigned i = 0; i < VM_MAX_DRIVES; i++) {
        struct board_drive_info info;
        static const struct block_statistics none;
        if (!board_drive_info(hmp->vm->board, i, &info))
            continue;
        const struct block_statistics *s = info.block ? &info.block->statistics : &none;
        text_printf(out,
                    "%s: rd_bytes=%llu wr_bytes=%llu rd_operations=%llu wr_operations=%llu flush_operations=%llu "
                    "failed_operations=%llu\n",
                    info.id, (unsigned long long)s->sectors_read * BLOCK_SECTOR,
                    (unsigned long long)s->sectors_written * BLOCK_SECTOR, (unsigned long long)s->reads,
                    (unsigned long long)s->writes, (unsigned long long)s->flushes, (unsigned long long)s->errors);
    }
    device_lock_release(&hmp->vm->device_lock);
}

static void print_line(void *to, const char *line)
{
    text_printf(to, "%s\n", line);
}

void hmp_info_pci(struct hmp *hmp, const struct hmp_arguments *a, struct text *out)
{
    device_lock_acquire(&hmp->vm->device_lock);
    board_describe_pci(hmp->vm->board, print_line, out);
    device_lock_release(&hmp->vm->device_lock);
}

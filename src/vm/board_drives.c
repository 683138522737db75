/* Disks, CD-ROMs and floppy disks: what is connected, and how media come and go. */
#include "vm/board_private.h"

#include "devices/fdc.h"
#include "devices/pci/piix_ide.h"

#include <string.h>

static bool is_floppy(unsigned index)
{
    return index >= VM_FLOPPY_FIRST;
}

static void report_block_error(void *opaque, const char *message)
{
    struct board *board = opaque;
    log_write(&board->vm->log, "dragoman: %s", message);
}

/* The image PATH for the drive that OPTION describes, watched for errors. */
static struct block *open_medium(struct board *board, const struct vm_drive_option *option, const char *path,
                                 const char *format, bool read_only, bool floppy, struct error *err)
{
    struct block *block = block_open(&(struct block_options){.option = option->option,
                                                             .path = path,
                                                             .format = format,
                                                             .read_only = read_only || option->cdrom,
                                                             .auto_read_only = floppy, /* its tab, so to say */
                                                             .snapshot = option->snapshot && !option->cdrom},
                                     err);
    if (block)
        block_set_error_listener(block, report_block_error, board);
    return block;
}

static bool attach(struct board *board, unsigned index, const struct vm_drive_option *option, struct error *err)
{
    struct board_drive *drive = &board->drives[index];
    if (option->path) {
        drive->block =
            open_medium(board, option, option->path, option->format, option->read_only, is_floppy(index), err);
        if (!drive->block)
            return false;
    }
    drive->option = option;
    if (is_floppy(index))
        return fdc_attach(board->fdc, index - VM_FLOPPY_FIRST, FDC_DRIVE_AUTO, drive->block, err);
    return piix_ide_attach(board->ide, index / 2, index % 2,
                           &(struct ide_drive_config){.kind = option->cdrom ? IDE_CDROM : IDE_DISK,
                                                      .block = drive->block,
                                                      .cylinders = option->cylinders,
                                                      .heads = option->heads,
                                                      .sectors = option->sectors,
                                                      .serial = option->serial[0] ? option->serial : NULL},
                           err);
}

static void ide_tray_moved(void *opaque, unsigned channel, unsigned drive, bool open)
{
    struct board *board = opaque;
    vm_tray_moved(board->vm, 2 * channel + drive, open);
}

bool board_add_drives(struct board *board, struct error *err)
{
    const struct vm_options *options = board->vm->options;
    board->fdc = fdc_create(&board->bus, board_isa_irq(board, 6), board->dma);
    if (!board_add(board, board->fdc))
        return error_set(err, "out of memory for the floppy controller");
    board->ide = piix_ide_create(&board->bus, board->pci, board_isa_irq(board, 14), board_isa_irq(board, 15),
                                 (struct ide_events){ide_tray_moved, board});
    if (!board_add(board, board->ide))
        return error_set(err, "out of memory for the IDE controller");
    for (unsigned i = 0; i < VM_MAX_DRIVES; i++)
        if (options->drives[i].present && !attach(board, i, &options->drives[i], err))
            return false;
    return true;
}

void board_close_drives(struct board *board)
{
    for (unsigned i = 0; i < VM_MAX_DRIVES; i++) {
        block_close(board->drives[i].block);
        board->drives[i].block = NULL;
    }
}

/* ---- for monitors ---- */

bool board_drive_info(struct board *board, unsigned index, struct board_drive_info *info)
{
    const struct vm_drive_option *option = index < VM_MAX_DRIVES ? board->drives[index].option : NULL;
    if (!option)
        return false;
    *info = (struct board_drive_info){.id = option->id,
                                      .kind = is_floppy(index) ? BOARD_FLOPPY
                                              : option->cdrom  ? BOARD_CDROM
                                                               : BOARD_DISK,
                                      .block = board->drives[index].block};
    if (info->kind == BOARD_CDROM) {
        struct ide_drive_info ide = piix_ide_info(board->ide, index / 2, index % 2);
        info->tray_open = ide.tray_open;
        info->locked = ide.locked;
    } else if (info->kind == BOARD_FLOPPY) {
        info->tray_open = !fdc_medium(board->fdc, index - VM_FLOPPY_FIRST);
    }
    return true;
}

int board_find_drive(struct board *board, const char *id)
{
    for (unsigned i = 0; i < VM_MAX_DRIVES; i++)
        if (board->drives[i].option && !strcmp(board->drives[i].option->id, id))
            return (int)i;
    return -1;
}

/* Whether DRIVE's medium may be taken out. LOCKED: the guest holds it, and was asked to let it go. */
static bool check_removable(struct board *board, unsigned index, bool force, bool *locked, struct error *err)
{
    struct board_drive_info info;
    if (!board_drive_info(board, index, &info))
        return error_set(err, "there is no drive %u", index);
    if (info.kind == BOARD_DISK)
        return error_set(err, "Device '%s' is not removable", info.id);
    *locked = info.locked && !info.tray_open && !force;
    if (*locked)
        piix_ide_request_eject(board->ide, index / 2, index % 2);
    return true;
}

/* A floppy drive has no tray: what it cannot have in it lies in front. */
static bool show_floppy(struct board *board, unsigned index, struct block *block, struct error *err)
{
    bool was = fdc_medium(board->fdc, index - VM_FLOPPY_FIRST);
    if (!fdc_change_medium(board->fdc, index - VM_FLOPPY_FIRST, block, err))
        return false;
    if (was)
        vm_tray_moved(board->vm, index, true);
    if (block)
        vm_tray_moved(board->vm, index, false);
    return true;
}

static bool set_tray(struct board *board, unsigned index, bool open, struct error *err)
{
    struct board_drive *drive = &board->drives[index];
    if (!is_floppy(index)) {
        piix_ide_set_tray(board->ide, index / 2, index % 2, open);
        return true;
    }
    if (drive->floppy_out == open || !drive->block)
        return true;
    if (!show_floppy(board, index, open ? NULL : drive->block, err))
        return false;
    drive->floppy_out = open;
    return true;
}

/* Puts BLOCK, which may be NULL, into the drive, whose tray is open afterwards unless a floppy disk is in it; what was
 * there is closed. On failure BLOCK is. */
static bool exchange(struct board *board, unsigned index, struct block *block, struct error *err)
{
    struct board_drive *drive = &board->drives[index];
    if (!is_floppy(index)) {
        piix_ide_change_medium(board->ide, index / 2, index % 2, block);
    } else if (!show_floppy(board, index, block, err)) {
        block_close(block);
        return false;
    }
    drive->floppy_out = false;
    block_close(drive->block);
    drive->block = block;
    return true;
}

static bool locked_error(struct board *board, unsigned index, struct error *err)
{
    return error_set(err, "Device '%s' is locked and force was not specified, wait for tray to open and try again",
                     board->drives[index].option->id);
}

bool board_change_medium(struct board *board, unsigned index, const char *path, const char *format,
                         enum board_access access, bool force, struct error *err)
{
    bool locked = false;
    if (!check_removable(board, index, force, &locked, err))
        return false;
    if (locked)
        return locked_error(board, index, err);
    struct vm_drive_option option = *board->drives[index].option;
    option.option = NULL;
    bool read_only = access == BOARD_READ_ONLY ||
                     (access == BOARD_RETAIN && board->drives[index].block && board->drives[index].block->read_only);
    struct block *block = open_medium(board, &option, path, format, read_only, is_floppy(index), err);
    if (block && access == BOARD_READ_WRITE && block->read_only) {
        block_close(block);
        return error_set(err, "%s: cannot be written", path);
    }
    return block && exchange(board, index, block, err) && set_tray(board, index, false, err);
}

bool board_eject(struct board *board, unsigned index, bool force, struct error *err)
{
    bool locked = false;
    if (!check_removable(board, index, force, &locked, err))
        return false;
    return locked ? locked_error(board, index, err) : exchange(board, index, NULL, err);
}

bool board_open_tray(struct board *board, unsigned index, bool force, struct error *err)
{
    bool locked = false;
    return check_removable(board, index, force, &locked, err) && (locked || set_tray(board, index, true, err));
}

bool board_close_tray(struct board *board, unsigned index, struct error *err)
{
    bool locked = false;
    return check_removable(board, index, true, &locked, err) && set_tray(board, index, false, err);
}

bool board_remove_medium(struct board *board, unsigned index, struct error *err)
{
    bool locked = false;
    struct board_drive_info info = {0};
    if (!check_removable(board, index, true, &locked, err) || !board_drive_info(board, index, &info))
        return false;
    if (!info.tray_open)
        return error_set(err, "Tray of device '%s' is not open", info.id);
    return exchange(board, index, NULL, err);
}

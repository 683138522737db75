/* ATA disks and ATAPI CD-ROM drives, as seen by the board; the host adapter is devices/pci/piix_ide.h.
 * Sources: ATA/ATAPI-5 (T13/1321D), with the obsolete commands of ATA-1 to -3 that old systems use;
 * MMC-3 (T10/1363D) and SPC-2 for the packets. */
#ifndef DRAGOMAN_DEVICES_IDE_H
#define DRAGOMAN_DEVICES_IDE_H

#include "block/block.h"
#include "devices/device.h"

enum ide_kind { IDE_NONE, IDE_DISK, IDE_CDROM };

struct ide_drive_config {
    enum ide_kind kind;
    /* A disk must have one; a CD-ROM drive may be empty (NULL). The board keeps it open until the
     * drive is destroyed or has another. */
    struct block *block;
    /* CHS geometry, disks only; 0: from the partition table if that makes sense, else 16 heads, 63
     * sectors. Cylinders up to 16383, heads up to 16, sectors up to 63. */
    uint16_t cylinders;
    uint8_t heads, sectors;
    /* NULL: made up from ID. Up to 20 and 40 ASCII characters; copied. */
    const char *serial, *model;
};

/* A user's view of a drive. */
struct ide_drive_info {
    enum ide_kind kind;
    struct block *block;                /* NULL: no disc */
    uint16_t cylinders, heads, sectors; /* default geometry of a disk */
    bool tray_open, locked;
};

/* CD-ROM drives: the tray of drive DRIVE (0, 1) of channel CHANNEL was opened or closed, by the guest, by the board or
 * by a reset. */
struct ide_events {
    void (*tray_moved)(void *opaque, unsigned channel, unsigned drive, bool open);
    void *opaque;
};

#endif

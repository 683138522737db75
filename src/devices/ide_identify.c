/* IDENTIFY DEVICE, IDENTIFY PACKET DEVICE and SET FEATURES.
 * Source: ATA/ATAPI-6, 8.15, 8.16 and 8.46. */
#include "devices/ide_private.h"

#include <string.h>

static void put(uint8_t *data, unsigned word, unsigned value)
{
    data[2 * word] = (uint8_t)value;
    data[2 * word + 1] = (uint8_t)(value >> 8);
}

static void put32(uint8_t *data, unsigned word, uint32_t value)
{
    put(data, word, value & 0xffff);
    put(data, word + 1, value >> 16);
}

/* Strings have the first of two characters in the upper byte. */
static void put_string(uint8_t *data, unsigned word, const char *text, unsigned size)
{
    for (unsigned i = 0; i < size; i += 2) {
        data[2 * word + i] = (uint8_t)text[i + 1];
        data[2 * word + i + 1] = (uint8_t)text[i];
    }
}

/* Words 49 to 88 that tell transfer modes; a mode set by SET FEATURES is marked in its upper byte. */
static void put_modes(const struct ide_drive *drive, uint8_t *data)
{
    bool dma = drive->channel->adapter.transfer;
    unsigned mode = drive->transfer_mode, bit = 1u << (8 + (mode & 7));
    put(data, 49, dma ? 0x0f00 : 0x0e00); /* IORDY, IORDY can be off, LBA, DMA */
    put(data, 51, 0x0200);
    put(data, 52, dma ? 0x0200 : 0);
    put(data, 63, dma ? 0x0007 | ((mode & 0xf8) == 0x20 ? bit : 0) : 0);
    put(data, 64, 0x0003); /* PIO 3 and 4 */
    for (unsigned word = 65; word <= 68; word++)
        put(data, word, 120); /* ns a cycle */
    put(data, 88, dma ? 0x003f | ((mode & 0xf8) == 0x40 ? bit : 0) : 0);
}

static void put_checksum(uint8_t *data)
{
    uint8_t sum = 0;
    data[510] = 0xa5;
    for (unsigned i = 0; i < 511; i++)
        sum += data[i];
    data[511] = (uint8_t)-sum;
}

void ide_identify_disk(const struct ide_drive *drive, uint8_t data[512])
{
    uint32_t chs = (uint32_t)drive->cylinders * drive->heads * drive->sectors_per_track;
    uint32_t lba28 = (uint32_t)(drive->sectors < 0x0fffffff ? drive->sectors : 0x0fffffff);
    memset(data, 0, 512);
    put(data, 0, 0x0040); /* not removable */
    put(data, 1, drive->default_cylinders);
    put(data, 3, drive->default_heads);
    put(data, 4, drive->default_sectors * 512u);
    put(data, 5, 512);
    put(data, 6, drive->default_sectors);
    put_string(data, 10, drive->serial, sizeof drive->serial);
    put(data, 20, 3); /* dual-ported buffer with read-ahead */
    put(data, 21, 512);
    put(data, 22, 4);
    put_string(data, 23, "1.0     ", 8);
    put_string(data, 27, drive->model, sizeof drive->model);
    put(data, 47, 0x8000 | IDE_MULTIPLE_MAX);
    put(data, 48, 0x0001); /* doublewords at the data port */
    put_modes(drive, data);
    put(data, 50, 0x4000);
    put(data, 53, 0x0007);
    put(data, 54, drive->cylinders);
    put(data, 55, drive->heads);
    put(data, 56, drive->sectors_per_track);
    put32(data, 57, chs);
    put(data, 59, drive->multiple ? 0x0100u | drive->multiple : 0);
    put32(data, 60, lba28);
    put(data, 80, 0x007e); /* ATA-1 to ATA/ATAPI-6 */
    put(data, 81, 0x0022);
    /* 82: NOP 14, READ BUFFER 13, WRITE BUFFER 12, read-ahead 6, write cache 5, power management 3.
     * 83: FLUSH CACHE EXT 13, FLUSH CACHE 12, 48-bit 10.  84: WRITE DMA FUA EXT 6. */
    put(data, 82, 0x7068);
    put(data, 83, 0x7400);
    put(data, 84, 0x4040);
    put(data, 85, 0x7008u | (drive->read_ahead ? 0x40 : 0) | (drive->write_cache ? 0x20 : 0));
    put(data, 86, 0x3400);
    put(data, 87, 0x4040);
    put(data, 93, drive->number ? 0x4b00 : 0x400b); /* hardware reset result: jumpered, passed */
    put32(data, 100, (uint32_t)drive->sectors);
    put32(data, 102, (uint32_t)(drive->sectors >> 32));
    put_checksum(data);
}

void ide_identify_cdrom(const struct ide_drive *drive, uint8_t data[512])
{
    memset(data, 0, 512);
    put(data, 0, 0x85c0); /* packet device, CD-ROM, removable, DRQ within 50 us, 12-byte packets */
    put_string(data, 10, drive->serial, sizeof drive->serial);
    put(data, 20, 3);
    put(data, 21, 512);
    put(data, 22, 4);
    put_string(data, 23, "1.0     ", 8);
    put_string(data, 27, drive->model, sizeof drive->model);
    put(data, 48, 0x0001);
    put_modes(drive, data);
    put(data, 53, 0x0006);
    put(data, 71, 30);
    put(data, 72, 30);
    put(data, 80, 0x001e); /* ATA-1 to ATA/ATAPI-4 */
    /* NOP, DEVICE RESET, PACKET, power management */
    put(data, 82, 0x4218);
    put(data, 83, 0x4000);
    put(data, 84, 0x4000);
    put(data, 85, 0x4218);
    put(data, 87, 0x4000);
    put(data, 93, drive->number ? 0x4b00 : 0x400b);
}

/* PIO modes up to 4, multiword DMA up to 2, Ultra DMA up to 5; single-word DMA is gone. */
static bool set_transfer_mode(struct ide_drive *drive, uint8_t mode)
{
    bool dma = drive->channel->adapter.transfer;
    unsigned number = mode & 7;
    switch (mode & 0xf8) {
    case 0x00:
        if (number > 1)
            return false;
        break;
    case 0x08:
        if (number > 4)
            return false;
        break;
    case 0x20:
        if (number > 2 || !dma)
            return false;
        break;
    case 0x40:
        if (number > 5 || !dma)
            return false;
        break;
    default:
        return false;
    }
    drive->transfer_mode = mode;
    return true;
}

bool ide_set_features(struct ide_drive *drive)
{
    bool disk = drive->kind == IDE_DISK;
    switch (drive->feature[0]) {
    case 0x02:
    case 0x82: /* write cache on, off */
        if (!disk || (drive->feature[0] == 0x82 && block_flush(drive->block) != BLOCK_OK))
            return false;
        drive->write_cache = drive->feature[0] == 0x02;
        return true;
    case 0x03:
        return set_transfer_mode(drive, drive->count[0]);
    case 0x33: /* retries off and on, vendor's and default ECC length: no effect that could show */
    case 0x99:
    case 0x44:
    case 0xbb:
        return disk;
    case 0x55:
    case 0xaa: /* read look-ahead off, on */
        drive->read_ahead = drive->feature[0] == 0xaa;
        return disk;
    case 0x66:
    case 0xcc: /* software resets keep settings, revert them */
        drive->revert_on_reset = drive->feature[0] == 0xcc;
        return true;
    default:
        return false;
    }
}

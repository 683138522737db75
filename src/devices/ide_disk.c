/* ATA disk commands.
 * Source: ATA/ATAPI-6 (T13/1410D) for 48-bit commands, ATA/ATAPI-5 for the others, ATA-1 to -3 for CHS
 * addressing, RECALIBRATE, SEEK and the old power management codes. */
#include "devices/ide_private.h"

#include <string.h>

enum { DMA_PIECE = IDE_BUFFER_SIZE / BLOCK_SECTOR };
#define LBA28_END 0x10000000u

/* ---- geometry ---- */

static bool geometry_from_partition_table(struct ide_drive *drive)
{
    uint8_t mbr[BLOCK_SECTOR];
    if (block_read(drive->block, 0, 1, mbr) != BLOCK_OK || mbr[510] != 0x55 || mbr[511] != 0xaa)
        return false;
    for (unsigned i = 0; i < 4; i++) {
        const uint8_t *entry = mbr + 446 + 16 * i;
        uint32_t size =
            (uint32_t)entry[12] | (uint32_t)entry[13] << 8 | (uint32_t)entry[14] << 16 | (uint32_t)entry[15] << 24;
        /* Partitions end on a cylinder: their last head and sector are the disk's. */
        unsigned heads = entry[5] + 1u, sectors = entry[6] & 63;
        if ((entry[0] & 0x7f) || !entry[4] || !size || !sectors || heads > 16)
            continue;
        uint64_t cylinders = drive->sectors / (heads * sectors);
        if (cylinders < 1 || cylinders > 16383)
            continue;
        drive->default_cylinders = (uint16_t)cylinders;
        drive->default_heads = (uint16_t)heads;
        drive->default_sectors = (uint16_t)sectors;
        return true;
    }
    return false;
}

static uint64_t limit(uint64_t value, uint64_t most)
{
    return value < most ? value : most;
}

void ide_disk_choose_geometry(struct ide_drive *drive, const struct ide_drive_config *config)
{
    if (!config->heads && !config->sectors && !config->cylinders && geometry_from_partition_table(drive))
        return;
    drive->default_heads = config->heads ? config->heads : 16;
    drive->default_sectors = config->sectors ? config->sectors : 63;
    uint64_t cylinders = drive->sectors / ((unsigned)drive->default_heads * drive->default_sectors);
    if (cylinders == 0)
        cylinders = 1;
    drive->default_cylinders = (uint16_t)limit(config->cylinders ? config->cylinders : cylinders, 16383);
}

void ide_disk_reset(struct ide_drive *drive, bool hard)
{
    if (hard) {
        drive->transfer_mode = 0x22; /* multiword DMA 2, as firmware leaves it */
        drive->write_cache = drive->read_ahead = true;
        drive->revert_on_reset = false;
    }
    drive->standby = false;
    if (hard || drive->revert_on_reset) {
        drive->multiple = 0;
        drive->cylinders = drive->default_cylinders;
        drive->heads = drive->default_heads;
        drive->sectors_per_track = drive->default_sectors;
    }
}

/* ---- addresses ---- */

/* False: a CHS address that cannot be. */
static bool get_address(const struct ide_drive *drive, uint64_t *lba)
{
    uint32_t low24 = (uint32_t)drive->high[0] << 16 | (uint32_t)drive->mid[0] << 8 | drive->low[0];
    if (drive->extended) {
        *lba = (uint64_t)drive->high[1] << 40 | (uint64_t)drive->mid[1] << 32 | (uint64_t)drive->low[1] << 24 | low24;
    } else if (drive->device & DEVICE_LBA) {
        *lba = (uint64_t)(drive->device & DEVICE_HEAD) << 24 | low24;
    } else {
        unsigned cylinder = low24 >> 8, head = drive->device & DEVICE_HEAD, sector = drive->low[0];
        if (head >= drive->heads || sector == 0 || sector > drive->sectors_per_track)
            return false;
        *lba = ((uint64_t)cylinder * drive->heads + head) * drive->sectors_per_track + sector - 1;
    }
    return true;
}

static void set_address(struct ide_drive *drive, uint64_t lba)
{
    if (drive->extended) {
        drive->low[1] = (uint8_t)(lba >> 24);
        drive->mid[1] = (uint8_t)(lba >> 32);
        drive->high[1] = (uint8_t)(lba >> 40);
    } else if (drive->device & DEVICE_LBA) {
        drive->device = (uint8_t)((drive->device & ~DEVICE_HEAD) | (lba >> 24 & DEVICE_HEAD));
    } else {
        uint64_t track = lba / drive->sectors_per_track;
        drive->low[0] = (uint8_t)(lba % drive->sectors_per_track + 1);
        drive->device = (uint8_t)((drive->device & ~DEVICE_HEAD) | track % drive->heads);
        drive->mid[0] = (uint8_t)(track / drive->heads);
        drive->high[0] = (uint8_t)(track / drive->heads >> 8);
        return;
    }
    drive->low[0] = (uint8_t)lba;
    drive->mid[0] = (uint8_t)(lba >> 8);
    drive->high[0] = (uint8_t)(lba >> 16);
}

static void set_count(struct ide_drive *drive, uint32_t count)
{
    drive->count[0] = (uint8_t)count;
    if (drive->extended)
        drive->count[1] = (uint8_t)(count >> 8);
}

/* Address and count from the registers, checked; on failure the command has ended. */
static bool begin_transfer(struct ide_drive *drive, bool extended)
{
    drive->extended = extended;
    drive->standby = false;
    drive->remaining = extended ? (uint32_t)drive->count[1] << 8 | drive->count[0] : drive->count[0];
    if (!drive->remaining)
        drive->remaining = extended ? 65536 : 256;
    if (get_address(drive, &drive->lba) && drive->lba < drive->sectors &&
        drive->remaining <= drive->sectors - drive->lba)
        return true;
    LOG(drive->channel->bus.log, GUEST_ERRORS, "ide%u: command %02x: no such sectors", drive->channel->number,
        drive->command);
    ide_fail(drive, ERROR_IDNF, 0);
    return false;
}

static void fail_transfer(struct ide_drive *drive, enum block_status status)
{
    set_address(drive, drive->lba);
    set_count(drive, drive->remaining);
    if (drive->to_host)
        ide_fail(drive, ERROR_UNC, 0);
    else if (status == BLOCK_READ_ONLY)
        ide_fail(drive, ERROR_ABRT | 0x40, 0); /* WP */
    else
        ide_fail(drive, ERROR_ABRT, STATUS_DF); /* the host's disk is full or broken */
}

static bool flush(struct ide_drive *drive)
{
    return block_flush(drive->block) == BLOCK_OK;
}

static void advance(struct ide_drive *drive)
{
    drive->lba += drive->block_count;
    drive->remaining -= drive->block_count;
    if (drive->remaining == 0) {
        set_address(drive, drive->lba - 1);
        set_count(drive, 0);
    }
}

/* The last sector of a write is in the image. */
static void finish_write(struct ide_drive *drive)
{
    if ((drive->write_through || !drive->write_cache) && !flush(drive)) {
        drive->lba--;
        drive->remaining = 1;
        fail_transfer(drive, BLOCK_IO_ERROR);
        return;
    }
    ide_complete(drive);
}

/* ---- PIO ---- */

void ide_disk_read_block(struct ide_drive *drive)
{
    drive->block_count = (uint32_t)limit(drive->remaining, drive->block_limit);
    enum block_status status = block_read(drive->block, drive->lba, drive->block_count, drive->buffer);
    if (status != BLOCK_OK) {
        fail_transfer(drive, status);
        return;
    }
    uint32_t length = drive->block_count * BLOCK_SECTOR;
    advance(drive);
    ide_data_phase(drive, PHASE_DATA_IN, length, true);
}

static void expect_block(struct ide_drive *drive, bool interrupt)
{
    drive->block_count = (uint32_t)limit(drive->remaining, drive->block_limit);
    ide_data_phase(drive, PHASE_DATA_OUT, drive->block_count * BLOCK_SECTOR, interrupt);
}

void ide_disk_write_block(struct ide_drive *drive)
{
    if (drive->command == 0xe8) { /* WRITE BUFFER */
        ide_complete(drive);
        return;
    }
    enum block_status status = block_write(drive->block, drive->lba, drive->block_count, drive->buffer);
    if (status != BLOCK_OK) {
        fail_transfer(drive, status);
        return;
    }
    advance(drive);
    if (drive->remaining)
        expect_block(drive, true);
    else
        finish_write(drive);
}

void ide_disk_block_taken(struct ide_drive *drive)
{
    if (drive->phase == PHASE_DATA_OUT) {
        ide_arm(drive, STEP_WRITE_BLOCK, DELAY_NEXT_BLOCK);
    } else if (drive->remaining) {
        ide_arm(drive, STEP_READ_BLOCK, DELAY_NEXT_BLOCK);
    } else {
        drive->phase = PHASE_IDLE;
        drive->status = STATUS_DRDY | STATUS_DSC;
    }
}

/* ---- DMA ---- */

void ide_disk_dma(struct ide_drive *drive)
{
    enum block_status status = BLOCK_OK;
    if (!drive->length) {
        drive->block_count = (uint32_t)limit(drive->remaining, DMA_PIECE);
        drive->length = drive->block_count * BLOCK_SECTOR;
        drive->position = 0;
        if (drive->to_host)
            status = block_read(drive->block, drive->lba, drive->block_count, drive->buffer);
    }
    if (status == BLOCK_OK) {
        if (!ide_move_dma(drive, drive->to_host))
            return;
        if (!drive->to_host)
            status = block_write(drive->block, drive->lba, drive->block_count, drive->buffer);
    }
    drive->length = drive->position = 0;
    if (status != BLOCK_OK) {
        fail_transfer(drive, status);
        return;
    }
    advance(drive);
    if (drive->remaining)
        ide_arm_next(drive, STEP_DMA, DELAY_DMA);
    else if (drive->to_host)
        ide_complete(drive);
    else
        finish_write(drive);
}

/* ---- commands ---- */

static void abort_command(struct ide_drive *drive)
{
    ide_fail(drive, ERROR_ABRT, 0);
}

static void read_sectors(struct ide_drive *drive, bool extended, uint32_t block_limit)
{
    drive->to_host = true;
    drive->block_limit = block_limit;
    if (!block_limit)
        abort_command(drive); /* multiple mode is off */
    else if (begin_transfer(drive, extended))
        ide_disk_read_block(drive);
}

static void write_sectors(struct ide_drive *drive, bool extended, uint32_t block_limit, bool through)
{
    drive->to_host = false;
    drive->block_limit = block_limit;
    drive->write_through = through;
    if (!block_limit)
        abort_command(drive);
    else if (begin_transfer(drive, extended))
        expect_block(drive, false);
}

static void transfer_dma(struct ide_drive *drive, bool extended, bool to_host, bool through)
{
    drive->to_host = to_host;
    drive->write_through = through;
    drive->length = drive->position = 0;
    if (!drive->channel->adapter.transfer)
        abort_command(drive);
    else if (begin_transfer(drive, extended))
        ide_disk_dma(drive);
}

static void verify_sectors(struct ide_drive *drive, bool extended)
{
    drive->to_host = true;
    if (!begin_transfer(drive, extended))
        return;
    while (drive->remaining) {
        drive->block_count = (uint32_t)limit(drive->remaining, DMA_PIECE);
        enum block_status status = block_read(drive->block, drive->lba, drive->block_count, drive->buffer);
        if (status != BLOCK_OK) {
            fail_transfer(drive, status);
            return;
        }
        advance(drive);
    }
    ide_complete(drive);
}

static void seek(struct ide_drive *drive)
{
    uint64_t lba;
    drive->extended = false;
    if (get_address(drive, &lba) && lba < drive->sectors)
        ide_complete(drive);
    else
        ide_fail(drive, ERROR_IDNF, 0);
}

/* ATA-3, INITIALIZE DEVICE PARAMETERS: sectors a track in the count register, the last head in the
 * device register. */
static void initialize_parameters(struct ide_drive *drive)
{
    unsigned heads = (drive->device & DEVICE_HEAD) + 1u, sectors = drive->count[0];
    if (sectors == 0 || sectors > 255) {
        abort_command(drive);
        return;
    }
    drive->heads = (uint16_t)heads;
    drive->sectors_per_track = (uint16_t)sectors;
    /* Not more than what words 54 and 57 can say (ATA-5, 8.16.8). */
    drive->cylinders = (uint16_t)limit(limit(drive->sectors, 16514064) / (heads * sectors), 65535);
    ide_complete(drive);
}

static void set_multiple(struct ide_drive *drive)
{
    unsigned count = drive->count[0];
    if (count > IDE_MULTIPLE_MAX || (count & (count - 1))) {
        drive->multiple = 0;
        abort_command(drive);
        return;
    }
    drive->multiple = (uint8_t)count;
    ide_complete(drive);
}

static void read_native_max(struct ide_drive *drive, bool extended)
{
    drive->extended = extended;
    drive->device |= DEVICE_LBA;
    set_address(drive, limit(drive->sectors, extended ? UINT64_MAX : LBA28_END) - 1);
    ide_complete(drive);
}

static void flush_cache(struct ide_drive *drive)
{
    if (flush(drive))
        ide_complete(drive);
    else
        ide_fail(drive, ERROR_ABRT, STATUS_DF);
}

static void power(struct ide_drive *drive, bool standby)
{
    drive->standby = standby;
    if (standby)
        flush_cache(drive);
    else
        ide_complete(drive);
}

static void send_buffer(struct ide_drive *drive)
{
    drive->remaining = 0;
    drive->block_count = 0;
    ide_data_phase(drive, PHASE_DATA_IN, BLOCK_SECTOR, true);
}

void ide_disk_command(struct ide_drive *drive)
{
    switch (drive->command) {
    case 0x10 ... 0x1f: /* RECALIBRATE */
        ide_complete(drive);
        break;
    case 0x20: /* READ SECTORS, with and without retries */
    case 0x21:
        read_sectors(drive, false, 1);
        break;
    case 0x24: /* READ SECTORS EXT */
        read_sectors(drive, true, 1);
        break;
    case 0x25: /* READ DMA EXT */
        transfer_dma(drive, true, true, false);
        break;
    case 0x27: /* READ NATIVE MAX ADDRESS EXT */
        read_native_max(drive, true);
        break;
    case 0x29: /* READ MULTIPLE EXT */
        read_sectors(drive, true, drive->multiple);
        break;
    case 0x30: /* WRITE SECTORS */
    case 0x31:
    case 0x3c: /* WRITE VERIFY */
        write_sectors(drive, false, 1, drive->command == 0x3c);
        break;
    case 0x34: /* WRITE SECTORS EXT */
        write_sectors(drive, true, 1, false);
        break;
    case 0x35: /* WRITE DMA EXT */
    case 0x3d: /* WRITE DMA FUA EXT */
        transfer_dma(drive, true, false, drive->command == 0x3d);
        break;
    case 0x39: /* WRITE MULTIPLE EXT */
    case 0xce: /* WRITE MULTIPLE FUA EXT */
        write_sectors(drive, true, drive->multiple, drive->command == 0xce);
        break;
    case 0x40: /* READ VERIFY SECTORS */
    case 0x41:
        verify_sectors(drive, false);
        break;
    case 0x42: /* READ VERIFY SECTORS EXT */
        verify_sectors(drive, true);
        break;
    case 0x70 ... 0x7f: /* SEEK */
        seek(drive);
        break;
    case 0x91: /* INITIALIZE DEVICE PARAMETERS */
        initialize_parameters(drive);
        break;
    case 0x94: /* STANDBY IMMEDIATE, STANDBY and SLEEP, new and old codes */
    case 0xe0:
    case 0x96:
    case 0xe2:
    case 0x99:
    case 0xe6:
        power(drive, true);
        break;
    case 0x95: /* IDLE IMMEDIATE, IDLE */
    case 0xe1:
    case 0x97:
    case 0xe3:
        power(drive, false);
        break;
    case 0x98: /* CHECK POWER MODE */
    case 0xe5:
        drive->count[0] = drive->standby ? 0x00 : 0xff;
        ide_complete(drive);
        break;
    case 0xc4: /* READ MULTIPLE */
        read_sectors(drive, false, drive->multiple);
        break;
    case 0xc5: /* WRITE MULTIPLE */
        write_sectors(drive, false, drive->multiple, false);
        break;
    case 0xc6: /* SET MULTIPLE MODE */
        set_multiple(drive);
        break;
    case 0xc8: /* READ DMA */
    case 0xc9:
        transfer_dma(drive, false, true, false);
        break;
    case 0xca: /* WRITE DMA */
    case 0xcb:
        transfer_dma(drive, false, false, false);
        break;
    case 0xe4: /* READ BUFFER */
        send_buffer(drive);
        break;
    case 0xe7: /* FLUSH CACHE */
    case 0xea: /* FLUSH CACHE EXT */
        flush_cache(drive);
        break;
    case 0xe8: /* WRITE BUFFER */
        drive->remaining = drive->block_count = 0;
        ide_data_phase(drive, PHASE_DATA_OUT, BLOCK_SECTOR, false);
        break;
    case 0xec: /* IDENTIFY DEVICE */
        ide_identify_disk(drive, drive->buffer);
        send_buffer(drive);
        break;
    case 0xef: /* SET FEATURES */
        if (ide_set_features(drive))
            ide_complete(drive);
        else
            abort_command(drive);
        break;
    case 0xf8: /* READ NATIVE MAX ADDRESS */
        read_native_max(drive, false);
        break;
    default: /* NOP (00h) among them: it always ends so */
        if (drive->command)
            LOG(drive->channel->bus.log, UNIMP, "ide%u: command %02x is not supported", drive->channel->number,
                drive->command);
        abort_command(drive);
        break;
    }
}

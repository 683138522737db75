/* The packet protocol: how packets, data and status travel. What the packets mean is atapi_packets.c's.
 * Source: ATA/ATAPI-5, 9.8 (PACKET, PIO) and 9.9 (PACKET, DMA); SFF-8020i. */
#include "devices/ide_private.h"

#include <string.h>

enum { FEATURE_DMA = 0x01, FEATURE_OVERLAP = 0x02 };
enum { PART_SYNC = 0x80, PART_SUBHEADER = 0x40, PART_HEADER = 0x20, PART_USER = 0x10, PART_EDC = 0x08 };
enum { SECTORS_PER_CD_BLOCK = CD_BLOCK / BLOCK_SECTOR };

/* Whoever does it: guest, user or reset. */
static void move_tray(struct ide_drive *drive, bool open)
{
    const struct ide_events *events = &drive->channel->events;
    if (drive->tray_open == open)
        return;
    drive->tray_open = open;
    if (events->tray_moved)
        events->tray_moved(events->opaque, drive->channel->number, drive->number, open);
}

void atapi_reset(struct ide_drive *drive, bool hard)
{
    drive->locked = false;
    drive->data_total = drive->data_done = 0;
    if (!hard)
        return;
    drive->transfer_mode = 0x22;
    drive->revert_on_reset = false;
    move_tray(drive, false);
    drive->sense_key = drive->sense_asc = drive->sense_ascq = 0;
    drive->unit_attention = true;
    drive->attention_asc = ASC_POWER_ON;
    drive->media_event = drive->block ? EVENT_NEW_MEDIUM : EVENT_NONE;
}

bool atapi_medium_present(const struct ide_drive *drive)
{
    return drive->block && !drive->tray_open;
}

uint32_t atapi_blocks(const struct ide_drive *drive)
{
    uint64_t blocks = (drive->block->sectors + SECTORS_PER_CD_BLOCK - 1) / SECTORS_PER_CD_BLOCK;
    return blocks < UINT32_MAX ? (uint32_t)blocks : UINT32_MAX;
}

void atapi_set_tray(struct ide_drive *drive, bool open)
{
    if (drive->tray_open == open)
        return;
    move_tray(drive, open);
    if (drive->block) {
        drive->unit_attention = !open;
        drive->attention_asc = ASC_MEDIUM_CHANGED;
    }
    drive->media_event = !drive->block ? EVENT_NONE : open ? EVENT_REMOVAL : EVENT_NEW_MEDIUM;
}

void atapi_change_medium(struct ide_drive *drive, struct block *block)
{
    atapi_set_tray(drive, true);
    drive->block = block;
}

/* ---- ends ---- */

void atapi_complete(struct ide_drive *drive)
{
    drive->error = 0;
    drive->count[0] = REASON_COMMAND | REASON_TO_HOST;
    drive->length = drive->position = 0;
    ide_complete(drive);
}

void atapi_check_condition(struct ide_drive *drive, uint8_t key, uint8_t asc, uint8_t ascq)
{
    drive->sense_key = key;
    drive->sense_asc = asc;
    drive->sense_ascq = ascq;
    drive->count[0] = REASON_COMMAND | REASON_TO_HOST;
    drive->length = drive->position = 0;
    ide_fail(drive, (uint8_t)(key << 4 | ERROR_ABRT), 0);
}

/* ---- blocks of the disc ---- */

static bool read_user_data(struct ide_drive *drive, uint32_t first, uint32_t count, uint8_t *to)
{
    uint64_t sector = (uint64_t)first * SECTORS_PER_CD_BLOCK, wanted = (uint64_t)count * SECTORS_PER_CD_BLOCK;
    uint64_t there = drive->block->sectors - sector; /* the last block may be short of a few sectors */
    uint64_t some = wanted < there ? wanted : there;
    memset(to + some * BLOCK_SECTOR, 0, (size_t)(wanted - some) * BLOCK_SECTOR);
    return block_read(drive->block, sector, (uint32_t)some, to) == BLOCK_OK;
}

static uint8_t bcd(uint32_t value)
{
    return (uint8_t)(value / 10 << 4 | value % 10);
}

/* One block with what is around its user data in mode 1 (ECMA-130, 14): sync, header with the address,
 * data, error detection and correction codes. Nobody corrects errors here: the codes are zero. */
static bool read_raw_block(struct ide_drive *drive, uint32_t block, uint8_t *to)
{
    uint32_t frames = block + 150;
    if (drive->block_parts & PART_SYNC) {
        memset(to, 0xff, 12);
        to[0] = to[11] = 0;
        to += 12;
    }
    if (drive->block_parts & PART_HEADER) {
        to[0] = bcd(frames / 75 / 60);
        to[1] = bcd(frames / 75 % 60);
        to[2] = bcd(frames % 75);
        to[3] = 1;
        to += 4;
    }
    if (drive->block_parts & PART_USER) {
        if (!read_user_data(drive, block, 1, to))
            return false;
        to += CD_BLOCK;
    }
    if (drive->block_parts & PART_EDC)
        memset(to, 0, 288);
    return true;
}

/* SIZE bytes of the data phase from OFFSET on. */
static bool fetch(struct ide_drive *drive, uint32_t offset, uint8_t *to, uint32_t size)
{
    if (!drive->data_is_blocks) {
        if (offset > sizeof drive->reply || size > sizeof drive->reply - offset)
            return false;
        memcpy(to, drive->reply + offset, size);
        return true;
    }
    if (!atapi_medium_present(drive))
        return false;
    uint32_t block_size = drive->cd_block_size;
    while (size) {
        uint8_t raw[CD_RAW_BLOCK];
        uint32_t block = drive->cd_block + offset / block_size, inside = offset % block_size;
        uint32_t n = block_size - inside < size ? block_size - inside : size;
        if (block >= atapi_blocks(drive))
            return false;
        if (inside == 0 && drive->block_parts == PART_USER && size >= CD_BLOCK) {
            n = size / CD_BLOCK * CD_BLOCK;
            if (atapi_blocks(drive) - block < n / CD_BLOCK || !read_user_data(drive, block, n / CD_BLOCK, to))
                return false;
        } else {
            if (!read_raw_block(drive, block, raw))
                return false;
            memcpy(to, raw + inside, n);
        }
        to += n;
        offset += n;
        size -= n;
    }
    return true;
}

static void fetch_failed(struct ide_drive *drive)
{
    if (atapi_medium_present(drive))
        atapi_check_condition(drive, SENSE_MEDIUM_ERROR, ASC_READ_ERROR, 0);
    else
        atapi_check_condition(drive, SENSE_NOT_READY, ASC_NO_MEDIUM, 0);
}

/* ---- data to the host ---- */

void atapi_next_piece(struct ide_drive *drive)
{
    uint32_t left = drive->data_total - drive->data_done;
    if (left == 0) {
        atapi_complete(drive);
        return;
    }
    uint32_t size = left;
    if (size > drive->byte_limit)
        size = drive->byte_limit & ~1u; /* only the last piece may be odd (9.8) */
    if (!fetch(drive, drive->data_done, drive->buffer, size)) {
        fetch_failed(drive);
        return;
    }
    drive->data_done += size;
    drive->mid[0] = (uint8_t)size;
    drive->high[0] = (uint8_t)(size >> 8);
    drive->count[0] = REASON_TO_HOST;
    ide_data_phase(drive, PHASE_DATA_IN, size, true);
}

void atapi_dma(struct ide_drive *drive)
{
    if (!drive->length) {
        uint32_t left = drive->data_total - drive->data_done;
        drive->length = left < IDE_BUFFER_SIZE ? left : IDE_BUFFER_SIZE;
        drive->position = 0;
        if (!fetch(drive, drive->data_done, drive->buffer, drive->length)) {
            fetch_failed(drive);
            return;
        }
    }
    if (!ide_move_dma(drive, true))
        return;
    drive->data_done += drive->length;
    drive->length = drive->position = 0;
    if (drive->data_done < drive->data_total)
        ide_arm_next(drive, STEP_PACKET_DMA, DELAY_DMA);
    else
        atapi_complete(drive);
}

static void begin_data(struct ide_drive *drive)
{
    drive->data_done = 0;
    drive->length = drive->position = 0;
    if (drive->data_total == 0)
        atapi_complete(drive);
    else if (drive->packet_dma)
        ide_arm(drive, STEP_PACKET_DMA, DELAY_DMA);
    else
        ide_arm(drive, STEP_PACKET_DATA, DELAY_NEXT_BLOCK);
}

void atapi_reply(struct ide_drive *drive, uint32_t length, uint32_t allocation)
{
    drive->data_is_blocks = false;
    drive->data_total = length < allocation ? length : allocation;
    begin_data(drive);
}

void atapi_reply_blocks(struct ide_drive *drive, uint32_t block, uint32_t count, uint8_t parts)
{
    uint32_t size = (parts & PART_SYNC ? 12 : 0) + (parts & PART_HEADER ? 4 : 0) + (parts & PART_USER ? CD_BLOCK : 0) +
                    (parts & PART_EDC ? 288 : 0);
    uint64_t total = (uint64_t)size * count;
    if (total > UINT32_MAX) {
        atapi_check_condition(drive, SENSE_ILLEGAL_REQUEST, ASC_INVALID_FIELD, 0);
        return;
    }
    drive->data_is_blocks = true;
    drive->block_parts = parts & (PART_SYNC | PART_HEADER | PART_USER | PART_EDC);
    drive->cd_block = block;
    drive->cd_block_size = (uint16_t)size;
    drive->data_total = (uint32_t)total;
    begin_data(drive);
}

void atapi_expect_parameters(struct ide_drive *drive, uint32_t length)
{
    if (drive->packet_dma || length > drive->byte_limit) {
        atapi_check_condition(drive, SENSE_ILLEGAL_REQUEST, ASC_INVALID_FIELD, 0);
        return;
    }
    if (length == 0) {
        atapi_complete(drive);
        return;
    }
    drive->data_total = length;
    drive->data_done = 0;
    drive->mid[0] = (uint8_t)length;
    drive->high[0] = (uint8_t)(length >> 8);
    drive->count[0] = 0;
    ide_data_phase(drive, PHASE_DATA_OUT, length, true);
}

void atapi_piece_taken(struct ide_drive *drive)
{
    if (drive->phase == PHASE_DATA_IN && drive->command == 0xa0) {
        ide_arm(drive, STEP_PACKET_DATA, DELAY_NEXT_BLOCK);
    } else if (drive->phase == PHASE_DATA_IN) { /* IDENTIFY PACKET DEVICE */
        drive->phase = PHASE_IDLE;
        drive->status = STATUS_DRDY | STATUS_DSC;
    } else if (drive->data_total) {
        ide_arm(drive, STEP_PACKET_PARAMETERS, DELAY_COMMAND);
    } else {
        memcpy(drive->packet, drive->buffer, PACKET_SIZE);
        ide_arm(drive, STEP_PACKET, DELAY_COMMAND);
    }
}

/* ---- the command register ---- */

static void begin_packet(struct ide_drive *drive)
{
    if ((drive->feature[0] & FEATURE_OVERLAP) ||
        ((drive->feature[0] & FEATURE_DMA) && !drive->channel->adapter.transfer)) {
        ide_fail(drive, ERROR_ABRT, 0);
        return;
    }
    drive->packet_dma = drive->feature[0] & FEATURE_DMA;
    drive->byte_limit = (uint16_t)(drive->high[0] << 8 | drive->mid[0]);
    /* FFFFh is FFFEh (8.23.4); 0 has no meaning, and some hosts mean "whatever you like" by it. */
    if (drive->byte_limit == 0 || drive->byte_limit == 0xffff)
        drive->byte_limit = 0xfffe;
    if (drive->byte_limit < 2)
        drive->byte_limit = 2;
    drive->data_total = drive->data_done = 0;
    drive->count[0] = REASON_COMMAND;
    ide_data_phase(drive, PHASE_DATA_OUT, PACKET_SIZE, false);
}

void atapi_command(struct ide_drive *drive)
{
    switch (drive->command) {
    case 0xa0: /* PACKET */
        begin_packet(drive);
        break;
    case 0xa1: /* IDENTIFY PACKET DEVICE */
        ide_identify_cdrom(drive, drive->buffer);
        ide_data_phase(drive, PHASE_DATA_IN, BLOCK_SECTOR, true);
        break;
    case 0xe0: /* power modes */
    case 0xe1:
    case 0xe2:
    case 0xe3:
    case 0xe6:
        ide_complete(drive);
        break;
    case 0xe5: /* CHECK POWER MODE */
        drive->count[0] = 0xff;
        ide_complete(drive);
        break;
    case 0xef: /* SET FEATURES */
        if (ide_set_features(drive))
            ide_complete(drive);
        else
            ide_fail(drive, ERROR_ABRT, 0);
        break;
    case 0x20: /* READ SECTORS, IDENTIFY DEVICE: the signature tells whom they reached (9.1) */
    case 0xec:
        ide_set_signature(drive);
        ide_fail(drive, ERROR_ABRT, 0);
        break;
    default:
        if (drive->command)
            LOG(drive->channel->bus.log, UNIMP, "ide%u: packet drive: command %02x is not supported",
                drive->channel->number, drive->command);
        ide_fail(drive, ERROR_ABRT, 0);
        break;
    }
}

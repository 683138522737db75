/* Commands that go through the sectors of a track, with DMA or byte by byte.
 * Source: 82077AA data sheet, data transfer commands; the tables of results and of terminations. */
#include "devices/fdc_private.h"

#include <string.h>

enum { CONFIGURE_IMPLIED_SEEK = 0x40, CONFIGURE_NO_FIFO = 0x20, CONFIGURE_THRESHOLD = 0x0f, VERIFY_COUNT = 0x80 };
enum { DOR_DMA_GATE = 0x08, FORMAT_ID_SIZE = 4 };

static bool operation_writes(const struct fdc *fdc)
{
    return fdc->operation == OP_WRITE || fdc->operation == OP_WRITE_DELETED || fdc->operation == OP_FORMAT;
}

static bool operation_scans(const struct fdc *fdc)
{
    return fdc->operation == OP_SCAN_EQUAL || fdc->operation == OP_SCAN_LOW || fdc->operation == OP_SCAN_HIGH;
}

/* The host gives data, rather than takes them. */
static bool host_gives(const struct fdc *fdc)
{
    return operation_writes(fdc) || operation_scans(fdc);
}

static struct fdc_drive *command_drive(struct fdc *fdc)
{
    return fdc_drive_of(fdc, fdc->command[1] & 3);
}

static void finish(struct fdc *fdc, uint8_t st0, uint8_t st1, uint8_t st2)
{
    fdc_set_request(fdc, false);
    fdc->dma_waits = false;
    fdc->fetched = false;
    fdc->st1 |= st1;
    fdc->st2 |= st2;
    fdc->result[0] = (uint8_t)(st0 | fdc->head << 2 | (fdc->command[1] & 3));
    fdc->result[1] = fdc->st1;
    fdc->result[2] = fdc->st2;
    fdc->result[3] = fdc->id_cylinder;
    fdc->result[4] = fdc->id_head;
    fdc->result[5] = fdc->id_sector;
    fdc->result[6] = fdc->id_size;
    fdc_enter_result(fdc, 7, true);
}

static void fail(struct fdc *fdc, uint8_t st1, uint8_t st2)
{
    finish(fdc, ST0_ABNORMAL, st1, st2);
}

/* ---- sectors ---- */

/* Whether the head sees address marks at all. */
static bool track_is_readable(struct fdc *fdc, const struct fdc_drive *drive)
{
    return drive && drive->format && (fdc->command[0] & COMMAND_MFM) && fdc_rate_fits(fdc, drive) &&
           fdc->head < drive->format->heads && fdc_media_cylinder(drive) < drive->format->cylinders;
}

static uint32_t linear_sector(const struct fdc *fdc, const struct fdc_drive *drive, unsigned sector)
{
    const struct fdc_format *format = drive->format;
    return (fdc_media_cylinder(drive) * format->heads + fdc->head) * format->sectors + sector - 1;
}

/* The ID of the command against those of the track. */
static bool id_exists(const struct fdc *fdc, const struct fdc_drive *drive, uint8_t *st2)
{
    *st2 = fdc->id_cylinder != fdc_media_cylinder(drive) ? ST2_WRONG_CYLINDER : 0;
    return !*st2 && fdc->id_head == fdc->head && fdc->id_size == FDC_SIZE_CODE && fdc->id_sector >= 1 &&
           fdc->id_sector <= drive->format->sectors;
}

static bool read_sector(struct fdc *fdc, struct fdc_drive *drive, unsigned sector, uint8_t *to)
{
    uint32_t linear = linear_sector(fdc, drive, sector);
    memset(to, 0, FDC_SECTOR);
    return linear >= drive->block->sectors || block_read(drive->block, linear, 1, to) == BLOCK_OK;
}

static void arm_sector(struct fdc *fdc)
{
    fdc_arm(fdc, FDC_STEP_SECTOR, FDC_DELAY_SECTOR);
}

/* After a sector without TC: false if it was the last of the cylinder. Fills in the ID for the result
 * as the table of the data sheet has it, so this is done at TC as well. */
static bool advance_id(struct fdc *fdc)
{
    bool multi_track = fdc->command[0] & COMMAND_MT;
    unsigned stride = operation_scans(fdc) && fdc->command[8] == 2 ? 2 : 1;
    uint8_t last = fdc->command[6];
    if (fdc->id_sector != last && !(stride == 2 && fdc->id_sector + 1 == last)) {
        fdc->id_sector = (uint8_t)(fdc->id_sector + stride);
        return true;
    }
    fdc->id_sector = 1;
    if (multi_track) {
        fdc->id_head ^= 1;
        if (fdc->head == 0) {
            fdc->head = 1;
            return true;
        }
        fdc->id_cylinder++;
        return false;
    }
    fdc->id_cylinder++;
    return false;
}

/* Disk against host, byte by byte; FFh from the host fits everything. */
static bool scan_is_satisfied(struct fdc *fdc, const uint8_t *disk, bool *equal)
{
    *equal = true;
    for (unsigned i = 0; i < FDC_SECTOR; i++) {
        uint8_t host = fdc->buffer[i];
        if (host == 0xff || host == disk[i])
            continue;
        *equal = false;
        if (fdc->operation == OP_SCAN_EQUAL || (fdc->operation == OP_SCAN_LOW ? disk[i] > host : disk[i] < host))
            return false;
    }
    return true;
}

/* True if the scan has ended. */
static bool scan_sector(struct fdc *fdc, struct fdc_drive *drive)
{
    uint8_t disk[FDC_SECTOR];
    bool equal;
    if (!read_sector(fdc, drive, fdc->id_sector, disk)) {
        fail(fdc, ST1_DATA_ERROR, ST2_DATA_ERROR);
        return true;
    }
    if (!scan_is_satisfied(fdc, disk, &equal))
        return false;
    finish(fdc, 0, 0, equal ? ST2_SCAN_EQUAL : 0);
    return true;
}

static void sector_done(struct fdc *fdc)
{
    bool terminal = fdc->terminal;
    fdc->fetched = false;
    fdc->count++;
    fdc->last_transferred = fdc->command[6];
    if (fdc->operation == OP_READ_TRACK) {
        if (terminal || fdc->count == fdc->command[6])
            finish(fdc, 0, 0, 0);
        else
            arm_sector(fdc);
        return;
    }
    if (fdc->operation == OP_VERIFY && (fdc->command[1] & VERIFY_COUNT))
        terminal = fdc->count == fdc->command[8]; /* 0 is 256: COUNT wraps */
    if (fdc->operation == OP_READ_DELETED) {      /* a raw image has no deleted data: one sector, then stop */
        finish(fdc, 0, 0, ST2_CONTROL_MARK);
        return;
    }
    bool more = advance_id(fdc);
    if (operation_scans(fdc) && (terminal || !more))
        finish(fdc, 0, 0, ST2_SCAN_FAILED);
    else if (terminal || (!more && fdc->operation == OP_VERIFY && !(fdc->command[1] & VERIFY_COUNT)))
        finish(fdc, 0, 0, 0);
    else if (more)
        arm_sector(fdc);
    else
        fail(fdc, ST1_END_OF_CYLINDER, 0);
}

/* ---- FORMAT TRACK ---- */

static void format_sector(struct fdc *fdc, struct fdc_drive *drive)
{
    const uint8_t *id = fdc->buffer;
    uint32_t linear = linear_sector(fdc, drive, id[2]);
    if (id[0] == fdc_media_cylinder(drive) && id[1] == fdc->head && id[3] == FDC_SIZE_CODE && id[2] >= 1 &&
        id[2] <= drive->format->sectors) {
        uint8_t data[FDC_SECTOR];
        memset(data, fdc->command[5], sizeof data);
        if (block_write(drive->block, linear, 1, data) != BLOCK_OK) {
            fail(fdc, ST1_DATA_ERROR, ST2_DATA_ERROR);
            return;
        }
    }
    fdc->id_cylinder = id[0];
    fdc->id_head = id[1];
    fdc->id_sector = id[2];
    fdc->id_size = id[3];
    fdc->fetched = false;
    fdc->last_transferred = fdc->command[3];
    if (++fdc->count == fdc->command[3])
        finish(fdc, 0, 0, 0);
    else
        arm_sector(fdc);
}

/* ---- data between host and buffer ---- */

/* A write's or scan's buffer is full (or TC came). */
static void store(struct fdc *fdc)
{
    struct fdc_drive *drive = command_drive(fdc);
    if (!drive || !drive->format) { /* taken out meanwhile */
        fail(fdc, ST1_MISSING_MARK, 0);
        return;
    }
    if (fdc->operation == OP_FORMAT) {
        format_sector(fdc, drive);
        return;
    }
    if (operation_scans(fdc)) {
        if (!scan_sector(fdc, drive))
            sector_done(fdc);
        return;
    }
    if (block_write(drive->block, linear_sector(fdc, drive, fdc->id_sector), 1, fdc->buffer) != BLOCK_OK) {
        fail(fdc, ST1_DATA_ERROR, ST2_DATA_ERROR);
        return;
    }
    sector_done(fdc);
}

static void request_host(struct fdc *fdc)
{
    bool no_fifo = fdc->configure & CONFIGURE_NO_FIFO;
    fdc->step = FDC_STEP_NONE;
    fdc->burst = (uint8_t)(no_fifo ? 1 : (fdc->configure & CONFIGURE_THRESHOLD) + 1);
    fdc_set_interrupt(fdc, true);
}

static void move_with_dma(struct fdc *fdc)
{
    bool terminal = false;
    size_t left = (size_t)fdc->length - fdc->position, moved = 0;
    fdc_set_request(fdc, true);
    if (fdc->dor & DOR_DMA_GATE) {
        if (host_gives(fdc))
            moved = dma_read_memory(fdc->dma, FDC_DMA_CHANNEL, fdc->buffer + fdc->position, left, &terminal);
        else
            moved = dma_write_memory(fdc->dma, FDC_DMA_CHANNEL, fdc->buffer + fdc->position, left, &terminal);
    }
    fdc->position = (uint16_t)(fdc->position + moved);
    fdc->terminal |= terminal;
    if (fdc->position < fdc->length && !fdc->terminal) {
        fdc->dma_waits = true;
        fdc->step = FDC_STEP_NONE;
        return;
    }
    if (!host_gives(fdc)) {
        sector_done(fdc);
        return;
    }
    /* TC in the middle: the rest of the sector is filled with zeroes. */
    memset(fdc->buffer + fdc->position, 0, (size_t)fdc->length - fdc->position);
    store(fdc);
}

void fdc_dma_ready(void *opaque)
{
    struct fdc *fdc = opaque;
    if (!fdc->dma_waits)
        return;
    fdc->dma_waits = false;
    arm_sector(fdc);
}

static void count_burst(struct fdc *fdc)
{
    fdc_set_interrupt(fdc, false);
    if (--fdc->burst == 0 && fdc->position < fdc->length)
        request_host(fdc);
}

uint8_t fdc_host_read(struct fdc *fdc)
{
    uint8_t value = fdc->buffer[fdc->position++];
    count_burst(fdc);
    if (fdc->position == fdc->length)
        sector_done(fdc);
    return value;
}

void fdc_host_write(struct fdc *fdc, uint8_t value)
{
    fdc->buffer[fdc->position++] = value;
    count_burst(fdc);
    if (fdc->position == fdc->length)
        fdc_arm(fdc, FDC_STEP_STORE, FDC_DELAY_SECTOR);
}

/* ---- steps ---- */

static void move(struct fdc *fdc)
{
    if (fdc->operation == OP_VERIFY)
        sector_done(fdc);
    else if (fdc->non_dma)
        request_host(fdc);
    else
        move_with_dma(fdc);
}

static void next_sector(struct fdc *fdc)
{
    struct fdc_drive *drive = command_drive(fdc);
    uint8_t st2;
    if (!track_is_readable(fdc, drive)) {
        fail(fdc, ST1_MISSING_MARK, 0);
        return;
    }
    if (fdc->fetched) { /* a sector that waited for the host */
        move(fdc);
        return;
    }
    fdc->position = 0;
    fdc->length = FDC_SECTOR;
    fdc->fetched = true;
    if (fdc->operation == OP_FORMAT) {
        fdc->length = FORMAT_ID_SIZE;
        move(fdc);
        return;
    }
    unsigned sector = fdc->id_sector;
    if (fdc->operation == OP_READ_TRACK) {
        /* Sectors as they come by, from the index hole on; a wrong ID is noted, not obeyed. */
        sector = fdc->count + 1u;
        if (!id_exists(fdc, drive, &st2))
            fdc->st1 |= ST1_NO_DATA;
        if (sector > drive->format->sectors) {
            fail(fdc, ST1_MISSING_MARK, 0);
            return;
        }
    } else if (!id_exists(fdc, drive, &st2)) {
        fail(fdc, ST1_NO_DATA, st2);
        return;
    }
    if (!host_gives(fdc) && !read_sector(fdc, drive, sector, fdc->buffer)) {
        fail(fdc, ST1_DATA_ERROR, ST2_DATA_ERROR);
        return;
    }
    move(fdc);
}

static void read_id(struct fdc *fdc, struct fdc_drive *drive)
{
    if (!track_is_readable(fdc, drive)) {
        fail(fdc, ST1_MISSING_MARK, 0);
        return;
    }
    fdc->id_cylinder = (uint8_t)fdc_media_cylinder(drive);
    fdc->id_head = fdc->head;
    fdc->id_sector = (uint8_t)(drive->next_id % drive->format->sectors + 1);
    fdc->id_size = FDC_SIZE_CODE;
    drive->next_id = fdc->id_sector % drive->format->sectors;
    finish(fdc, 0, 0, 0);
}

/* CONFIGURE's EIS: the head goes where the command says, without a SEEK. */
static void implied_seek(struct fdc *fdc, struct fdc_drive *drive)
{
    unsigned unit = fdc->command[1] & 3;
    uint8_t target = fdc->command[2];
    if (!drive || target == fdc->cylinder[unit])
        return;
    int track = (int)drive->track + target - fdc->cylinder[unit], last = (int)fdc_last_track(drive);
    drive->track = (uint8_t)(track < 0 ? 0 : track > last ? last : track);
    fdc->cylinder[unit] = target;
    fdc_stepped(drive);
}

static void begin(struct fdc *fdc)
{
    struct fdc_drive *drive = command_drive(fdc);
    bool has_id = fdc->operation != OP_READ_ID && fdc->operation != OP_FORMAT;
    fdc->st1 = fdc->st2 = 0;
    fdc->head = fdc->command[1] >> 2 & 1;
    fdc->count = 0;
    fdc->terminal = fdc->fetched = fdc->dma_waits = false;
    fdc->id_cylinder = has_id ? fdc->command[2] : fdc->cylinder[fdc->command[1] & 3];
    fdc->id_head = has_id ? fdc->command[3] : fdc->head;
    fdc->id_sector = has_id ? fdc->command[4] : 1;
    fdc->id_size = has_id ? fdc->command[5] : FDC_SIZE_CODE;
    if (has_id && (fdc->configure & CONFIGURE_IMPLIED_SEEK))
        implied_seek(fdc, drive);
    if (fdc->operation == OP_READ_ID) {
        read_id(fdc, drive);
        return;
    }
    if (operation_writes(fdc) && drive && drive->block && drive->block->read_only) {
        fail(fdc, ST1_NOT_WRITABLE, 0);
        return;
    }
    if (fdc->operation == OP_WRITE_DELETED)
        LOG(fdc->bus.log, UNIMP, "fdc: a raw image does not keep that data are deleted");
    if (fdc->operation == OP_FORMAT && (fdc->command[2] != FDC_SIZE_CODE || fdc->command[3] == 0)) {
        LOG(fdc->bus.log, UNIMP, "fdc: sectors of %u bytes cannot be formatted", 128u << (fdc->command[2] & 7));
        fail(fdc, ST1_MISSING_MARK, 0);
        return;
    }
    if (fdc->operation == OP_READ_DELETED && (fdc->command[0] & COMMAND_SK)) {
        /* Every sector of the disk holds plain data, so all are skipped. */
        fail(fdc, track_is_readable(fdc, drive) ? ST1_END_OF_CYLINDER : ST1_MISSING_MARK, 0);
        return;
    }
    next_sector(fdc);
}

void fdc_transfer_step(struct fdc *fdc, enum fdc_step step)
{
    switch (step) {
    case FDC_STEP_BEGIN:
        begin(fdc);
        break;
    case FDC_STEP_SECTOR:
        next_sector(fdc);
        break;
    case FDC_STEP_STORE:
        store(fdc);
        break;
    default:
        break;
    }
}

/* What a CD-ROM drive does for each packet. The disc is one data track, mode 1.
 * Sources: MMC-3 (T10/1363D), SPC-2 for INQUIRY, REQUEST SENSE and MODE SENSE. */
#include "devices/ide_private.h"

#include <string.h>

enum { LEAD_IN_FRAMES = 150, FRAMES_PER_SECOND = 75 };
enum { PROFILE_CD_ROM = 0x0008, PROFILE_DVD_ROM = 0x0010 };
#define CD_BLOCKS_MAX  (80u * 60 * FRAMES_PER_SECOND)
#define ALL_ALLOCATION UINT32_MAX

static unsigned get16(const uint8_t *from)
{
    return (unsigned)from[0] << 8 | from[1];
}

static uint32_t get32(const uint8_t *from)
{
    return (uint32_t)get16(from) << 16 | get16(from + 2);
}

static void put16(uint8_t *to, unsigned value)
{
    to[0] = (uint8_t)(value >> 8);
    to[1] = (uint8_t)value;
}

static void put32(uint8_t *to, uint32_t value)
{
    put16(to, value >> 16);
    put16(to + 2, value & 0xffff);
}

static void put_address(uint8_t *to, uint32_t block, bool msf)
{
    if (!msf) {
        put32(to, block);
        return;
    }
    uint32_t frames = block + LEAD_IN_FRAMES;
    to[0] = 0;
    to[1] = (uint8_t)(frames / FRAMES_PER_SECOND / 60);
    to[2] = (uint8_t)(frames / FRAMES_PER_SECOND % 60);
    to[3] = (uint8_t)(frames % FRAMES_PER_SECOND);
}

static uint8_t *clear_reply(struct ide_drive *drive)
{
    memset(drive->reply, 0, sizeof drive->reply);
    return drive->reply;
}

static void invalid_field(struct ide_drive *drive)
{
    atapi_check_condition(drive, SENSE_ILLEGAL_REQUEST, ASC_INVALID_FIELD, 0);
}

static bool is_dvd(const struct ide_drive *drive)
{
    return atapi_medium_present(drive) && atapi_blocks(drive) > CD_BLOCKS_MAX;
}

/* ---- the drive ---- */

static void inquiry(struct ide_drive *drive)
{
    if (drive->packet[1] & 1) { /* vital product data: none but the list of none */
        invalid_field(drive);
        return;
    }
    uint8_t *reply = clear_reply(drive);
    reply[0] = 0x05; /* CD-ROM */
    reply[1] = 0x80; /* removable */
    reply[3] = 0x21; /* ATAPI; response format 1 (SFF-8020i) */
    reply[4] = 31;
    memcpy(reply + 8, "DRAGOMAN", 8);
    memcpy(reply + 16, "CD-ROM          ", 16);
    memcpy(reply + 32, "1.0 ", 4);
    atapi_reply(drive, 36, drive->packet[4]);
}

static void request_sense(struct ide_drive *drive)
{
    uint8_t *reply = clear_reply(drive);
    if (drive->sense_key == SENSE_NONE && drive->unit_attention) {
        drive->sense_key = SENSE_UNIT_ATTENTION;
        drive->sense_asc = drive->attention_asc;
        drive->sense_ascq = 0;
        drive->unit_attention = false;
    }
    reply[0] = 0x70;
    reply[2] = drive->sense_key;
    reply[7] = SENSE_SIZE - 8;
    reply[12] = drive->sense_asc;
    reply[13] = drive->sense_ascq;
    drive->sense_key = drive->sense_asc = drive->sense_ascq = 0;
    atapi_reply(drive, SENSE_SIZE, drive->packet[4]);
}

static unsigned mode_page(const struct ide_drive *drive, unsigned page, unsigned control, uint8_t *to)
{
    bool changeable = control == 1;
    switch (page) {
    case 0x01: /* read error recovery */
        to[0] = 0x01;
        to[1] = 0x06;
        to[3] = changeable ? 0 : 5;
        return 8;
    case 0x0e: /* CD audio control */
        to[0] = 0x0e;
        to[1] = 0x0e;
        if (!changeable) {
            to[2] = 0x04; /* IMMED is always set */
            to[8] = 1;
            to[9] = 0xff;
            to[10] = 2;
            to[11] = 0xff;
        }
        return 16;
    case 0x2a: /* capabilities and mechanical status */
        to[0] = 0x2a;
        to[1] = 0x12;
        if (!changeable) {
            to[2] = 0x3b;                              /* reads CD-R, CD-RW, DVD-ROM, DVD-R */
            to[4] = 0x70;                              /* multisession, mode 2 form 1 and 2 */
            to[5] = 0x03;                              /* CD-DA commands, accurate */
            to[6] = 0x29 | (drive->locked ? 0x02 : 0); /* tray, eject, lock */
            put16(to + 8, 706);                        /* kB/s: 4x */
            put16(to + 10, 2);
            put16(to + 12, 512); /* buffer, kB */
            put16(to + 14, 706);
        }
        return 20;
    default:
        return 0;
    }
}

/* SFF-8020i, medium type codes: 70h closed without a disc, 71h open, 01h a data disc. */
static uint8_t medium_type(const struct ide_drive *drive)
{
    if (drive->tray_open)
        return 0x71;
    return drive->block ? 0x01 : 0x70;
}

static void mode_sense(struct ide_drive *drive, bool ten)
{
    static const uint8_t pages[] = {0x01, 0x0e, 0x2a};
    const uint8_t *packet = drive->packet;
    unsigned page = packet[2] & 0x3f, control = packet[2] >> 6, length = ten ? 8 : 4, header = length;
    if (control == 3) {
        atapi_check_condition(drive, SENSE_ILLEGAL_REQUEST, ASC_SAVING_NOT_SUPPORTED, 0);
        return;
    }
    uint8_t *reply = clear_reply(drive);
    for (unsigned i = 0; i < ARRAY_SIZE(pages); i++) {
        if (page == 0x3f || page == pages[i])
            length += mode_page(drive, pages[i], control, reply + length);
    }
    if (length == header) {
        invalid_field(drive);
        return;
    }
    if (ten) {
        put16(reply, length - 2);
        reply[2] = medium_type(drive);
    } else {
        reply[0] = (uint8_t)(length - 1);
        reply[1] = medium_type(drive);
    }
    atapi_reply(drive, length, ten ? get16(packet + 7) : packet[4]);
}

/* Nothing can be changed; what the host sends is taken and forgotten. */
void atapi_parameters(struct ide_drive *drive)
{
    atapi_complete(drive);
}

static void start_stop(struct ide_drive *drive)
{
    bool start = drive->packet[4] & 1, load_eject = drive->packet[4] & 2;
    bool open = load_eject && !start;
    if (!load_eject || open == drive->tray_open) {
        atapi_complete(drive);
        return;
    }
    if (open && drive->locked) {
        atapi_check_condition(drive, SENSE_ILLEGAL_REQUEST, ASC_REMOVAL_PREVENTED, 2);
        return;
    }
    atapi_set_tray(drive, open);
    atapi_complete(drive);
}

static void get_event_status(struct ide_drive *drive)
{
    enum { CLASS_MEDIA = 4 };
    if (!(drive->packet[1] & 1)) { /* asynchronous notification */
        invalid_field(drive);
        return;
    }
    uint8_t *reply = clear_reply(drive);
    unsigned length = 4;
    reply[3] = 1u << CLASS_MEDIA;
    if (drive->packet[4] & 1u << CLASS_MEDIA) {
        static const uint8_t codes[] = {
            [EVENT_NONE] = 0, [EVENT_EJECT_REQUEST] = 1, [EVENT_NEW_MEDIUM] = 2, [EVENT_REMOVAL] = 3};
        reply[2] = CLASS_MEDIA;
        reply[4] = codes[drive->media_event & 3];
        reply[5] = (uint8_t)((drive->tray_open ? 1 : 0) | (atapi_medium_present(drive) ? 2 : 0));
        drive->media_event = EVENT_NONE;
        length = 8;
    } else {
        reply[2] = 0x80; /* no class in common */
    }
    put16(reply, length - 2);
    atapi_reply(drive, length, get16(drive->packet + 7));
}

static unsigned put_feature(uint8_t *to, unsigned code, unsigned flags, unsigned extra)
{
    put16(to, code);
    to[2] = (uint8_t)flags; /* version, persistent, current */
    to[3] = (uint8_t)extra;
    return 4 + extra;
}

static void get_configuration(struct ide_drive *drive)
{
    enum { PERSISTENT_CURRENT = 3, CURRENT = 1 };
    unsigned kind = drive->packet[1] & 3, start = (unsigned)get16(drive->packet + 2), length = 8;
    bool medium = atapi_medium_present(drive), dvd = is_dvd(drive);
    static const uint16_t codes[] = {0x0000, 0x0001, 0x0002, 0x0003, 0x0010, 0x001d, 0x001e, 0x001f, 0x0100, 0x0105};
    if (kind == 3) {
        invalid_field(drive);
        return;
    }
    uint8_t *reply = clear_reply(drive);
    for (unsigned i = 0; i < ARRAY_SIZE(codes); i++) {
        unsigned code = codes[i];
        if (kind == 2 ? code != start : code < start)
            continue;
        uint8_t *to = reply + length;
        unsigned flags = PERSISTENT_CURRENT, extra = 0;
        uint8_t data[8] = {0};
        switch (code) {
        case 0x0000: /* profiles */
            extra = 8;
            put16(data, PROFILE_DVD_ROM);
            data[2] = medium && dvd;
            put16(data + 4, PROFILE_CD_ROM);
            data[6] = medium && !dvd;
            break;
        case 0x0001: /* core: ATAPI */
            extra = 4;
            data[3] = 2;
            break;
        case 0x0002: /* morphing: events are polled */
            extra = 4;
            break;
        case 0x0003: /* removable: tray, eject, lock */
            extra = 4;
            data[0] = 0x29;
            break;
        case 0x0010: /* random readable */
            flags = medium ? CURRENT : 0;
            extra = 8;
            data[2] = CD_BLOCK >> 8;
            data[5] = 1;
            data[6] = 1;
            break;
        case 0x001d: /* multi-read */
        case 0x001e: /* CD read */
            flags = medium && !dvd ? CURRENT : 0;
            extra = code == 0x001e ? 4 : 0;
            break;
        case 0x001f: /* DVD read */
            flags = dvd ? CURRENT : 0;
            extra = 4;
            break;
        case 0x0105: /* timeout */
            extra = 4;
            break;
        default: /* 0100h power management */
            break;
        }
        if (kind == 1 && !(flags & CURRENT))
            continue;
        length += put_feature(to, code, flags, extra);
        memcpy(to + 4, data, extra);
    }
    put32(reply, length - 4);
    put16(reply + 6, !medium ? 0 : dvd ? PROFILE_DVD_ROM : PROFILE_CD_ROM);
    atapi_reply(drive, length, get16(drive->packet + 7));
}

static void mechanism_status(struct ide_drive *drive)
{
    uint8_t *reply = clear_reply(drive);
    reply[1] = drive->tray_open ? 0x10 : 0;
    reply[5] = 1;
    atapi_reply(drive, 8, get16(drive->packet + 8));
}

/* ---- the disc ---- */

static void read_capacity(struct ide_drive *drive)
{
    uint8_t *reply = clear_reply(drive);
    put32(reply, atapi_blocks(drive) - 1);
    put32(reply + 4, CD_BLOCK);
    atapi_reply(drive, 8, ALL_ALLOCATION);
}

static void read_format_capacities(struct ide_drive *drive)
{
    uint8_t *reply = clear_reply(drive);
    bool medium = atapi_medium_present(drive);
    reply[3] = 8;
    put32(reply + 4, medium ? atapi_blocks(drive) : CD_BLOCKS_MAX);
    put32(reply + 8, CD_BLOCK);
    reply[8] = medium ? 2 : 3; /* formatted medium, no medium */
    atapi_reply(drive, 12, get16(drive->packet + 7));
}

static void put_toc_entry(uint8_t *to, uint8_t track, uint32_t block, bool msf)
{
    to[1] = 0x14; /* data track, positions */
    to[2] = track;
    put_address(to + 4, block, msf);
}

static void put_raw_toc_entry(uint8_t *to, uint8_t point, uint32_t minute, uint32_t second, uint32_t frame)
{
    to[0] = 1; /* session */
    to[1] = 0x14;
    to[3] = point;
    to[8] = (uint8_t)minute;
    to[9] = (uint8_t)second;
    to[10] = (uint8_t)frame;
}

static void read_toc(struct ide_drive *drive)
{
    const uint8_t *packet = drive->packet;
    bool msf = packet[1] & 2;
    unsigned format = packet[2] & 0x0f, track = packet[6], length = 4;
    if (!format)
        format = packet[9] >> 6; /* where SFF-8020i has it */
    uint8_t *reply = clear_reply(drive);
    uint32_t blocks = atapi_blocks(drive), end = blocks + LEAD_IN_FRAMES;
    reply[2] = reply[3] = 1; /* first and last track or session */
    switch (format) {
    case 0:
        if (track > 1 && track != 0xaa) {
            invalid_field(drive);
            return;
        }
        if (track <= 1) {
            put_toc_entry(reply + length, 1, 0, msf);
            length += 8;
        }
        put_toc_entry(reply + length, 0xaa, blocks, msf);
        length += 8;
        break;
    case 1: /* sessions */
        put_toc_entry(reply + length, 1, 0, msf);
        length += 8;
        break;
    case 2: /* raw; always minutes, seconds and frames */
        put_raw_toc_entry(reply + 4, 0xa0, 1, 0, 0);
        put_raw_toc_entry(reply + 15, 0xa1, 1, 0, 0);
        put_raw_toc_entry(reply + 26, 0xa2, end / FRAMES_PER_SECOND / 60, end / FRAMES_PER_SECOND % 60,
                          end % FRAMES_PER_SECOND);
        put_raw_toc_entry(reply + 37, 1, 0, 2, 0);
        length = 48;
        break;
    default:
        invalid_field(drive);
        return;
    }
    put16(reply, length - 2);
    atapi_reply(drive, length, get16(packet + 7));
}

static void read_disc_information(struct ide_drive *drive)
{
    uint8_t *reply = clear_reply(drive);
    if (drive->packet[1] & 7) {
        invalid_field(drive);
        return;
    }
    put16(reply, 32);
    reply[2] = 0x0e; /* complete session, finalised disc */
    reply[3] = reply[4] = reply[5] = reply[6] = 1;
    reply[7] = 0x20; /* unrestricted use */
    memset(reply + 16, 0xff, 8);
    atapi_reply(drive, 34, get16(drive->packet + 7));
}

static void read_track_information(struct ide_drive *drive)
{
    uint8_t *reply = clear_reply(drive);
    uint32_t number = get32(drive->packet + 2), blocks = atapi_blocks(drive);
    unsigned kind = drive->packet[1] & 3;
    if (kind == 0 ? number >= blocks : kind == 3 || number != 1) {
        invalid_field(drive);
        return;
    }
    put16(reply, 34);
    reply[2] = reply[3] = 1;
    reply[5] = 0x04; /* data */
    reply[6] = 0x01; /* mode 1 */
    put32(reply + 24, blocks);
    atapi_reply(drive, 36, get16(drive->packet + 7));
}

static void read_subchannel(struct ide_drive *drive)
{
    uint8_t *reply = clear_reply(drive);
    unsigned length = 4;
    reply[1] = 0x15; /* no audio status to tell */
    if (drive->packet[2] & 0x40) {
        unsigned format = drive->packet[3];
        if (format < 1 || format > 3) {
            invalid_field(drive);
            return;
        }
        length = format == 1 ? 16 : 24;
        reply[4] = (uint8_t)format;
        if (format == 1) {
            reply[5] = 0x14;
            reply[6] = reply[7] = 1;
            put_address(reply + 8, 0, drive->packet[1] & 2);
        }
    }
    put16(reply + 2, length - 4);
    atapi_reply(drive, length, get16(drive->packet + 7));
}

static void read_header(struct ide_drive *drive)
{
    uint8_t *reply = clear_reply(drive);
    uint32_t block = get32(drive->packet + 2);
    if (block >= atapi_blocks(drive)) {
        atapi_check_condition(drive, SENSE_ILLEGAL_REQUEST, ASC_OUT_OF_RANGE, 0);
        return;
    }
    reply[0] = 1;
    put_address(reply + 4, block, drive->packet[1] & 2);
    atapi_reply(drive, 8, get16(drive->packet + 7));
}

static bool range_is_good(struct ide_drive *drive, uint32_t block, uint32_t count)
{
    uint32_t blocks = atapi_blocks(drive);
    if (block <= blocks && count <= blocks - block)
        return true;
    atapi_check_condition(drive, SENSE_ILLEGAL_REQUEST, ASC_OUT_OF_RANGE, 0);
    return false;
}

static void read_blocks(struct ide_drive *drive, uint32_t block, uint32_t count)
{
    if (range_is_good(drive, block, count))
        atapi_reply_blocks(drive, block, count, 0x10);
}

/* READ CD and READ CD MSF: byte 1 names the kind of block expected, byte 9 the parts wanted. */
static void read_cd(struct ide_drive *drive, uint32_t block, uint32_t count)
{
    unsigned expected = drive->packet[1] >> 2 & 7;
    uint8_t parts = drive->packet[9];
    if (!range_is_good(drive, block, count))
        return;
    if ((parts & 0x07) || drive->packet[10] & 7) { /* C2 error flags and subchannels */
        invalid_field(drive);
        return;
    }
    if (expected != 0 && expected != 2) {
        atapi_check_condition(drive, SENSE_ILLEGAL_REQUEST, ASC_ILLEGAL_MODE, 0);
        return;
    }
    atapi_reply_blocks(drive, block, count, parts);
}

static void read_cd_msf(struct ide_drive *drive)
{
    const uint8_t *packet = drive->packet;
    uint32_t from = (packet[3] * 60u + packet[4]) * FRAMES_PER_SECOND + packet[5];
    uint32_t to = (packet[6] * 60u + packet[7]) * FRAMES_PER_SECOND + packet[8];
    if (from < LEAD_IN_FRAMES || to < from)
        invalid_field(drive);
    else
        read_cd(drive, from - LEAD_IN_FRAMES, to - from);
}

static void read_dvd_structure(struct ide_drive *drive)
{
    uint8_t *reply = clear_reply(drive);
    uint32_t blocks = atapi_blocks(drive);
    unsigned format = drive->packet[7];
    if (!is_dvd(drive) || drive->packet[6] || (format != 0 && format != 1)) {
        invalid_field(drive);
        return;
    }
    if (format == 1) { /* copyright: none */
        put16(reply, 6);
        atapi_reply(drive, 8, get16(drive->packet + 8));
        return;
    }
    put16(reply, 2050);
    reply[4] = 0x01; /* DVD-ROM, part version 1 */
    reply[5] = 0x0f; /* 120 mm, no maximum rate given */
    reply[6] = 0x01; /* one layer, read-only */
    put32(reply + 8, 0x030000);
    put32(reply + 12, 0x030000 + blocks - 1);
    atapi_reply(drive, 2052, get16(drive->packet + 8));
}

static void no_audio(struct ide_drive *drive)
{
    atapi_check_condition(drive, SENSE_ILLEGAL_REQUEST, ASC_ILLEGAL_MODE, 0);
}

static void not_ready(struct ide_drive *drive)
{
    atapi_check_condition(drive, SENSE_NOT_READY, ASC_NO_MEDIUM, drive->tray_open ? 2 : 1);
}

/* Packets that are executed whatever the state of the disc, without reporting a unit attention (SPC-2,
 * 5.6; MMC-3, 4.1.6). */
static bool is_always_executed(uint8_t opcode)
{
    return opcode == 0x03 || opcode == 0x12 || opcode == 0x46 || opcode == 0x4a;
}

static bool needs_medium(uint8_t opcode)
{
    static const uint8_t opcodes[] = {0x00, 0x25, 0x28, 0xa8, 0x2b, 0x2f, 0x42, 0x43, 0x44, 0x45,
                                      0x47, 0x48, 0x4b, 0x51, 0x52, 0xa5, 0xad, 0xb9, 0xbe};
    return memchr(opcodes, opcode, sizeof opcodes);
}

void atapi_execute(struct ide_drive *drive)
{
    const uint8_t *packet = drive->packet;
    uint8_t opcode = packet[0];
    if (drive->unit_attention && !is_always_executed(opcode)) {
        drive->unit_attention = false;
        atapi_check_condition(drive, SENSE_UNIT_ATTENTION, drive->attention_asc, 0);
        return;
    }
    if (opcode != 0x03)
        drive->sense_key = drive->sense_asc = drive->sense_ascq = 0;
    if (needs_medium(opcode) && !atapi_medium_present(drive)) {
        not_ready(drive);
        return;
    }
    switch (opcode) {
    case 0x00: /* TEST UNIT READY */
    case 0x01: /* REZERO UNIT */
    case 0x35: /* SYNCHRONIZE CACHE */
    case 0x4e: /* STOP PLAY */
    case 0xbb: /* SET CD SPEED */
    case 0xb6: /* SET STREAMING without parameters */
        atapi_complete(drive);
        break;
    case 0x03:
        request_sense(drive);
        break;
    case 0x12:
        inquiry(drive);
        break;
    case 0x15: /* MODE SELECT(6) */
        atapi_expect_parameters(drive, packet[4]);
        break;
    case 0x1a:
        mode_sense(drive, false);
        break;
    case 0x1b:
        start_stop(drive);
        break;
    case 0x1e: /* PREVENT ALLOW MEDIUM REMOVAL */
        drive->locked = packet[4] & 1;
        atapi_complete(drive);
        break;
    case 0x23:
        read_format_capacities(drive);
        break;
    case 0x25:
        read_capacity(drive);
        break;
    case 0x28: /* READ(10) */
        read_blocks(drive, get32(packet + 2), get16(packet + 7));
        break;
    case 0xa8: /* READ(12) */
        read_blocks(drive, get32(packet + 2), get32(packet + 6));
        break;
    case 0x2b: /* SEEK(10), VERIFY(10) */
    case 0x2f:
        if (range_is_good(drive, get32(packet + 2), opcode == 0x2b ? 1 : get16(packet + 7)))
            atapi_complete(drive);
        break;
    case 0x42:
        read_subchannel(drive);
        break;
    case 0x43:
        read_toc(drive);
        break;
    case 0x44:
        read_header(drive);
        break;
    case 0x45: /* PLAY AUDIO in its forms, PAUSE/RESUME */
    case 0x47:
    case 0x48:
    case 0x4b:
    case 0xa5:
        no_audio(drive);
        break;
    case 0x46:
        get_configuration(drive);
        break;
    case 0x4a:
        get_event_status(drive);
        break;
    case 0x51:
        read_disc_information(drive);
        break;
    case 0x52:
        read_track_information(drive);
        break;
    case 0x55: /* MODE SELECT(10) */
        atapi_expect_parameters(drive, get16(packet + 7));
        break;
    case 0x5a:
        mode_sense(drive, true);
        break;
    case 0xad:
        read_dvd_structure(drive);
        break;
    case 0xb9:
        read_cd_msf(drive);
        break;
    case 0xbd:
        mechanism_status(drive);
        break;
    case 0xbe:
        read_cd(drive, get32(packet + 2), get32(packet + 5) & 0xffffff);
        break;
    default:
        LOG(drive->channel->bus.log, UNIMP, "ide%u: packet %02x is not supported", drive->channel->number, opcode);
        atapi_check_condition(drive, SENSE_ILLEGAL_REQUEST, ASC_INVALID_COMMAND, 0);
        break;
    }
}

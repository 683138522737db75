/* What the files of the ATA/ATAPI core share. A channel is a part of its host adapter, not a device of
 * its own. */
#ifndef DRAGOMAN_DEVICES_IDE_PRIVATE_H
#define DRAGOMAN_DEVICES_IDE_PRIVATE_H

#include "devices/ide.h"

/* Command block registers, offsets from 1F0h. */
enum {
    IDE_DATA = 0,
    IDE_ERROR = 1, /* writing: features */
    IDE_COUNT = 2, /* packets: interrupt reason */
    IDE_LOW = 3,
    IDE_MID = 4,  /* packets: byte count */
    IDE_HIGH = 5, /* packets: byte count */
    IDE_DEVICE = 6,
    IDE_STATUS = 7 /* writing: command */
};
enum {
    STATUS_ERR = 0x01,
    STATUS_DRQ = 0x08,
    STATUS_DSC = 0x10,
    STATUS_DF = 0x20,
    STATUS_DRDY = 0x40,
    STATUS_BSY = 0x80
};
enum { ERROR_ABRT = 0x04, ERROR_IDNF = 0x10, ERROR_UNC = 0x40 };
enum { DEVICE_LBA = 0x40, DEVICE_DEV = 0x10, DEVICE_HEAD = 0x0f, DEVICE_ONES = 0xa0 };
enum { CONTROL_NIEN = 0x02, CONTROL_SRST = 0x04, CONTROL_HOB = 0x80 };
enum { REASON_COMMAND = 0x01, REASON_TO_HOST = 0x02 };

enum {
    IDE_BUFFER_SIZE = 65536,
    IDE_MULTIPLE_MAX = 16,
    CD_BLOCK = 2048,
    CD_RAW_BLOCK = 2352,
    PACKET_SIZE = 12,
    SENSE_SIZE = 18
};

/* Virtual nanoseconds. Short against real drives, yet no command completes before its write returns. */
enum { DELAY_COMMAND = 5000, DELAY_NEXT_BLOCK = 2000, DELAY_DMA = 20000, DELAY_FLUSH = 20000, DELAY_RESET = 50000 };

enum ide_phase { PHASE_IDLE, PHASE_BUSY, PHASE_DATA_IN, PHASE_DATA_OUT, PHASE_DMA };
/* What the drive does when its timer fires. */
enum ide_step {
    STEP_NONE,
    STEP_RESET,             /* end of a reset: signature */
    STEP_COMMAND,           /* the command register was written */
    STEP_READ_BLOCK,        /* the next DRQ block of a read */
    STEP_WRITE_BLOCK,       /* a DRQ block came in */
    STEP_DMA,               /* a piece of a DMA transfer */
    STEP_PACKET,            /* the packet came in */
    STEP_PACKET_DATA,       /* the next piece to the host */
    STEP_PACKET_PARAMETERS, /* a parameter list came in */
    STEP_PACKET_DMA
};

struct ide_channel;

struct ide_drive {
    struct ide_channel *channel;
    struct block *block;
    enum ide_kind kind;
    uint8_t number;
    uint64_t sectors; /* capacity of a disk */
    uint16_t default_cylinders, default_heads, default_sectors;
    char serial[20], model[40]; /* padded with blanks */

    /* Registers: [0] as last written, [1] what was there before (48-bit commands). */
    uint8_t feature[2], count[2], low[2], mid[2], high[2];
    uint8_t device, error, status, command;
    bool interrupt; /* INTRQ pending */
    uint8_t phase, step;
    uint64_t due; /* when the last step was due */
    struct timer timer;
    uint32_t position, length; /* of the DRQ block or DMA piece in BUFFER */

    /* Disk settings. */
    uint16_t cylinders, heads, sectors_per_track; /* in force for CHS addresses */
    uint8_t multiple;
    uint8_t transfer_mode; /* as set by SET FEATURES 03h */
    bool write_cache, read_ahead, revert_on_reset, standby;
    /* The command in progress. */
    uint64_t lba;
    uint32_t remaining;   /* sectors */
    uint32_t block_count; /* sectors in the present DRQ block or DMA piece */
    uint32_t block_limit; /* sectors a DRQ block */
    bool extended, to_host, write_through;

    /* Packets. */
    uint8_t packet[PACKET_SIZE];
    bool packet_dma, tray_open, locked, unit_attention;
    uint8_t sense_key, sense_asc, sense_ascq;
    uint8_t attention_asc;
    uint8_t media_event;            /* to be told by GET EVENT STATUS NOTIFICATION; 0: none */
    uint16_t byte_limit;            /* bytes a DRQ piece, as the host wants it */
    uint32_t data_total, data_done; /* bytes of a data phase */
    bool data_is_blocks;            /* from the disc, else from REPLY */
    uint8_t block_parts;            /* READ CD: which parts of a raw block, packet byte 9 */
    uint32_t cd_block;              /* first block of the transfer */
    uint16_t cd_block_size;
    uint8_t reply[4096];

    uint8_t buffer[IDE_BUFFER_SIZE];
};

/* What the host adapter does for a channel. */
struct ide_adapter {
    void (*set_interrupt)(void *opaque, unsigned channel, bool level);
    /* Moves up to LENGTH bytes between DATA and memory; less than LENGTH if the bus master is not (or no
     * longer) running. NULL: no bus master. */
    size_t (*transfer)(void *opaque, unsigned channel, uint8_t *data, size_t length, bool to_memory);
    void *opaque;
};

struct ide_channel {
    struct device_bus bus;
    struct ide_adapter adapter;
    struct ide_events events;
    unsigned number;
    struct ide_drive drives[2];
    uint8_t selected, control;
    bool driven; /* level of INTRQ */
    struct port_range command_ports, control_ports;
};

extern const struct state_field ide_channel_fields[];

/* ---- ide_channel.c ---- */
void ide_channel_init(struct ide_channel *channel, unsigned number, const struct device_bus *bus,
                      const struct ide_adapter *adapter, uint16_t command_base, uint16_t control_base);
void ide_channel_finish(struct ide_channel *channel);
void ide_channel_set_decode(struct ide_channel *channel, bool enabled);
void ide_channel_reset(struct ide_channel *channel); /* RST# */
/* What cannot be trusted of a loaded state is made harmless. */
void ide_channel_loaded(struct ide_channel *channel);
/* The bus master was started. */
void ide_channel_dma_ready(struct ide_channel *channel);
bool ide_channel_attach(struct ide_channel *channel, unsigned drive, const struct ide_drive_config *config,
                        struct error *err);
void ide_channel_describe(struct ide_channel *channel, void (*print)(void *to, const char *line), void *to);

/* Does STEP after DELAY, busy until then. */
void ide_arm(struct ide_drive *drive, enum ide_step step, uint64_t delay);
/* The same, counted from when the present step was due. */
void ide_arm_next(struct ide_drive *drive, enum ide_step step, uint64_t delay);
void ide_raise_interrupt(struct ide_drive *drive);
/* Ends the command, with interrupt. */
void ide_complete(struct ide_drive *drive);
void ide_fail(struct ide_drive *drive, uint8_t error, uint8_t extra_status);
/* DRQ for LENGTH bytes of BUFFER. */
void ide_data_phase(struct ide_drive *drive, enum ide_phase phase, uint32_t length, bool interrupt);
void ide_set_signature(struct ide_drive *drive);
/* Moves the rest of the present piece through the bus master; false: not finished, it will be tried
 * again when the bus master is started. */
bool ide_move_dma(struct ide_drive *drive, bool to_memory);

/* ---- ide_disk.c ---- */
void ide_disk_reset(struct ide_drive *drive, bool hard);
void ide_disk_command(struct ide_drive *drive);
void ide_disk_read_block(struct ide_drive *drive);
void ide_disk_write_block(struct ide_drive *drive);
void ide_disk_dma(struct ide_drive *drive);
/* The host took the last word of a DRQ block. */
void ide_disk_block_taken(struct ide_drive *drive);
void ide_disk_choose_geometry(struct ide_drive *drive, const struct ide_drive_config *config);

/* ---- ide_identify.c ---- */
void ide_identify_disk(const struct ide_drive *drive, uint8_t data[512]);
void ide_identify_cdrom(const struct ide_drive *drive, uint8_t data[512]);
/* SET FEATURES of both kinds of drive; false: abort. */
bool ide_set_features(struct ide_drive *drive);

/* ---- atapi.c: the packet protocol ---- */
void atapi_reset(struct ide_drive *drive, bool hard);
void atapi_command(struct ide_drive *drive); /* command register */
void atapi_next_piece(struct ide_drive *drive);
void atapi_dma(struct ide_drive *drive);
void atapi_piece_taken(struct ide_drive *drive);
void atapi_set_tray(struct ide_drive *drive, bool open);
/* BLOCK may be NULL. Leaves the tray open. */
void atapi_change_medium(struct ide_drive *drive, struct block *block);
/* Replies of atapi_packets.c: data in REPLY, cut to what the packet allows; blocks from the disc; no data. */
void atapi_reply(struct ide_drive *drive, uint32_t length, uint32_t allocation);
/* PARTS: what to return of each raw block, as in READ CD byte 9; 10h is the 2048 bytes of user data. */
void atapi_reply_blocks(struct ide_drive *drive, uint32_t block, uint32_t count, uint8_t parts);
void atapi_expect_parameters(struct ide_drive *drive, uint32_t length);
void atapi_complete(struct ide_drive *drive);
void atapi_check_condition(struct ide_drive *drive, uint8_t key, uint8_t asc, uint8_t ascq);
bool atapi_medium_present(const struct ide_drive *drive);
uint32_t atapi_blocks(const struct ide_drive *drive);

/* ---- atapi_packets.c: the packets ---- */
void atapi_execute(struct ide_drive *drive);
void atapi_parameters(struct ide_drive *drive);

enum {
    SENSE_NONE = 0,
    SENSE_NOT_READY = 2,
    SENSE_MEDIUM_ERROR = 3,
    SENSE_ILLEGAL_REQUEST = 5,
    SENSE_UNIT_ATTENTION = 6
};
enum {
    ASC_READ_ERROR = 0x11,
    ASC_INVALID_COMMAND = 0x20,
    ASC_OUT_OF_RANGE = 0x21,
    ASC_INVALID_FIELD = 0x24,
    ASC_MEDIUM_CHANGED = 0x28,
    ASC_POWER_ON = 0x29,
    ASC_SAVING_NOT_SUPPORTED = 0x39,
    ASC_NO_MEDIUM = 0x3a,
    ASC_REMOVAL_PREVENTED = 0x53,
    ASC_ILLEGAL_MODE = 0x64
};
enum { EVENT_NONE = 0, EVENT_EJECT_REQUEST = 1, EVENT_NEW_MEDIUM = 2, EVENT_REMOVAL = 3 };

#endif

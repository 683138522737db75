/* What the files of the floppy controller share. */
#ifndef DRAGOMAN_DEVICES_FDC_PRIVATE_H
#define DRAGOMAN_DEVICES_FDC_PRIVATE_H

#include "devices/fdc.h"

enum { FDC_UNITS = 4, FDC_SECTOR = 512, FDC_SIZE_CODE = 2, FDC_PARAMETERS = 9, FDC_RESULTS = 10 };

/* Status register 0: interrupt code 7:6, seek end, equipment check, head, unit. */
enum { ST0_ABNORMAL = 0x40, ST0_INVALID = 0x80, ST0_POLLED = 0xc0, ST0_SEEK_END = 0x20, ST0_EQUIPMENT = 0x10 };
enum {
    ST1_MISSING_MARK = 0x01,
    ST1_NOT_WRITABLE = 0x02,
    ST1_NO_DATA = 0x04,
    ST1_OVERRUN = 0x10,
    ST1_DATA_ERROR = 0x20,
    ST1_END_OF_CYLINDER = 0x80
};
enum {
    ST2_BAD_CYLINDER = 0x02,
    ST2_SCAN_FAILED = 0x04,
    ST2_SCAN_EQUAL = 0x08,
    ST2_WRONG_CYLINDER = 0x10,
    ST2_DATA_ERROR = 0x20,
    ST2_CONTROL_MARK = 0x40
};
/* First command byte. */
enum { COMMAND_MT = 0x80, COMMAND_MFM = 0x40, COMMAND_SK = 0x20 };

enum fdc_operation {
    OP_INVALID,
    OP_READ_TRACK,
    OP_SPECIFY,
    OP_SENSE_DRIVE,
    OP_WRITE,
    OP_READ,
    OP_RECALIBRATE,
    OP_SENSE_INTERRUPT,
    OP_WRITE_DELETED,
    OP_READ_ID,
    OP_READ_DELETED,
    OP_FORMAT,
    OP_DUMPREG,
    OP_SEEK,
    OP_VERSION,
    OP_SCAN_EQUAL,
    OP_PERPENDICULAR,
    OP_CONFIGURE,
    OP_LOCK,
    OP_VERIFY,
    OP_SCAN_LOW,
    OP_SCAN_HIGH,
    OP_RELATIVE_SEEK
};

enum fdc_phase { FDC_COMMAND, FDC_EXECUTION, FDC_RESULT };
/* What happens when the timer fires in the execution phase. */
enum fdc_step {
    FDC_STEP_NONE,
    FDC_STEP_RESET,  /* the interrupt after a reset */
    FDC_STEP_BEGIN,  /* a data command */
    FDC_STEP_SECTOR, /* the next sector or ID */
    FDC_STEP_STORE   /* the host has given a sector without DMA */
};

/* Virtual nanoseconds. */
enum {
    FDC_DELAY_RESET = 20000,
    FDC_DELAY_BEGIN = 20000,
    FDC_DELAY_SECTOR = 20000,
    FDC_DELAY_STEP = 5000,
    FDC_DELAY_SETTLE = 20000
};

struct fdc_drive {
    struct block *block;
    const struct fdc_format *format; /* of the disk; NULL: none */
    uint8_t type;
    uint8_t unit;
    /* Saved. */
    uint8_t track; /* where the head is */
    bool changed;  /* DSKCHG */
    uint8_t next_id;
};

/* A seek or recalibration that runs beside other commands; one a unit. */
struct fdc_seek {
    struct fdc *fdc;
    uint8_t unit;
    /* Saved. */
    uint8_t target_track;   /* of the head */
    uint8_t target_counter; /* of the controller's present cylinder number */
    uint8_t result;         /* ST0 when it is done */
    struct timer timer;
};

struct fdc {
    struct device device;
    struct device_bus bus;
    struct irq_line irq;
    struct dma_pair *dma;
    struct fdc_drive drives[FDC_DRIVES];
    struct fdc_seek seeks[FDC_UNITS];
    struct port_range ports, direction_ports;

    /* Registers. */
    uint8_t dor, tape, dsr;
    bool interrupt;  /* INT, before DMAGATE# */
    bool requesting; /* DRQ */
    /* Status of each unit for SENSE INTERRUPT STATUS. */
    uint8_t pending[FDC_UNITS]; /* ST0 */
    bool is_pending[FDC_UNITS];
    uint8_t cylinder[FDC_UNITS]; /* present cylinder number */
    uint8_t seeking;             /* one bit a unit */

    /* Settings. */
    uint8_t specify[2]; /* step rate and head unload, head load and ND */
    uint8_t configure;  /* EIS, EFIFO, POLL, threshold */
    uint8_t precompensation_track;
    uint8_t perpendicular;
    bool locked;

    /* The command in progress. */
    uint8_t phase, operation, step;
    uint8_t command[FDC_PARAMETERS], command_length, command_expected;
    uint8_t result[FDC_RESULTS], result_length, result_position;
    uint8_t st1, st2;
    uint8_t id_cylinder, id_head, id_sector, id_size; /* as in the result */
    uint8_t head;                                     /* side under the head */
    uint8_t count;                                    /* sectors done, or left for VERIFY with EC */
    bool terminal;                                    /* TC */
    bool non_dma;                                     /* the host moves bytes through the FIFO */
    bool fetched;                                     /* BUFFER holds the present sector */
    bool dma_waits;                                   /* for the DMA channel to open */
    uint8_t last_transferred;
    uint16_t position, length; /* in BUFFER */
    uint8_t burst;             /* FIFO accesses until the next request interrupt */
    uint64_t due;
    struct timer timer;
    uint8_t buffer[FDC_SECTOR];
};

/* ---- fdc.c ---- */
void fdc_set_interrupt(struct fdc *fdc, bool level);
void fdc_arm(struct fdc *fdc, enum fdc_step step, uint64_t delay);
void fdc_enter_result(struct fdc *fdc, unsigned length, bool interrupt);
void fdc_set_request(struct fdc *fdc, bool level);

/* ---- fdc_commands.c ---- */
/* The command whose first byte is FIRST; *LENGTH counts all its bytes. */
enum fdc_operation fdc_decode(uint8_t first, uint8_t *length);
void fdc_execute(struct fdc *fdc); /* all bytes are there */
void fdc_seek_done(void *opaque);
void fdc_begin_seek(struct fdc *fdc, unsigned unit, unsigned steps, uint8_t track, uint8_t counter, uint8_t result);

/* ---- fdc_transfer.c ---- */
void fdc_transfer_step(struct fdc *fdc, enum fdc_step step);
void fdc_dma_ready(void *opaque);
/* A byte through the FIFO in the execution phase. */
uint8_t fdc_host_read(struct fdc *fdc);
void fdc_host_write(struct fdc *fdc, uint8_t value);

/* ---- fdc_media.c ---- */
/* The drive of UNIT, or NULL. */
struct fdc_drive *fdc_drive_of(struct fdc *fdc, unsigned unit);
unsigned fdc_last_track(const struct fdc_drive *drive);
/* Logical cylinder under the head. */
unsigned fdc_media_cylinder(const struct fdc_drive *drive);
bool fdc_rate_fits(const struct fdc *fdc, const struct fdc_drive *drive);
/* A step pulse with a disk in the drive clears DSKCHG. */
void fdc_stepped(struct fdc_drive *drive);

#endif

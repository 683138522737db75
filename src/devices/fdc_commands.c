/* The controller's commands but those that move data.
 * Source: 82077AA data sheet, command set and command descriptions. */
#include "devices/fdc_private.h"

#include <string.h>

enum { VERSION_ENHANCED = 0x90, ST3_WRITE_PROTECTED = 0x40, ST3_TRACK_0 = 0x10, ST3_ALWAYS = 0x28 };
enum { RELATIVE_UP = 0x40, RECALIBRATE_STEPS = 79 };

static const struct {
    uint8_t mask, code, operation, length;
} commands[] = {
    {0x1f, 0x06, OP_READ, 9},
    {0x1f, 0x0c, OP_READ_DELETED, 9},
    {0x3f, 0x05, OP_WRITE, 9},
    {0x3f, 0x09, OP_WRITE_DELETED, 9},
    {0x9f, 0x02, OP_READ_TRACK, 9},
    {0x1f, 0x16, OP_VERIFY, 9},
    {0xff, 0x10, OP_VERSION, 1},
    {0xbf, 0x0d, OP_FORMAT, 6},
    {0x1f, 0x11, OP_SCAN_EQUAL, 9},
    {0x1f, 0x19, OP_SCAN_LOW, 9},
    {0x1f, 0x1d, OP_SCAN_HIGH, 9},
    {0xff, 0x07, OP_RECALIBRATE, 2},
    {0xff, 0x08, OP_SENSE_INTERRUPT, 1},
    {0xff, 0x03, OP_SPECIFY, 3},
    {0xff, 0x04, OP_SENSE_DRIVE, 2},
    {0xff, 0x13, OP_CONFIGURE, 4},
    {0xff, 0x0f, OP_SEEK, 3},
    {0xbf, 0x8f, OP_RELATIVE_SEEK, 3},
    {0xff, 0x0e, OP_DUMPREG, 1},
    {0xbf, 0x0a, OP_READ_ID, 2},
    {0xff, 0x12, OP_PERPENDICULAR, 2},
    {0x7f, 0x14, OP_LOCK, 1},
};

enum fdc_operation fdc_decode(uint8_t first, uint8_t *length)
{
    for (unsigned i = 0; i < ARRAY_SIZE(commands); i++) {
        if ((first & commands[i].mask) == commands[i].code) {
            *length = commands[i].length;
            return (enum fdc_operation)commands[i].operation;
        }
    }
    *length = 1;
    return OP_INVALID;
}

/* ---- seeks ---- */

void fdc_seek_done(void *opaque)
{
    struct fdc_seek *seek = opaque;
    struct fdc *fdc = seek->fdc;
    struct fdc_drive *drive = fdc_drive_of(fdc, seek->unit);
    fdc->seeking &= (uint8_t) ~(1u << seek->unit);
    fdc->cylinder[seek->unit] = seek->target_counter;
    if (drive) {
        if (drive->track != seek->target_track)
            fdc_stepped(drive);
        drive->track = seek->target_track;
    }
    fdc->pending[seek->unit] = seek->result;
    fdc->is_pending[seek->unit] = true;
    fdc_set_interrupt(fdc, true);
}

void fdc_begin_seek(struct fdc *fdc, unsigned unit, unsigned steps, uint8_t track, uint8_t counter, uint8_t result)
{
    struct fdc_seek *seek = &fdc->seeks[unit];
    seek->target_track = track;
    seek->target_counter = counter;
    seek->result = result;
    fdc->seeking |= (uint8_t)(1u << unit);
    timer_set(&seek->timer, clock_now(fdc->bus.clock) + FDC_DELAY_SETTLE + (uint64_t)steps * FDC_DELAY_STEP);
}

static unsigned distance(unsigned a, unsigned b)
{
    return a < b ? b - a : a - b;
}

static unsigned clamp_track(const struct fdc_drive *drive, int track)
{
    int last = (int)fdc_last_track(drive);
    return (unsigned)(track < 0 ? 0 : track > last ? last : track);
}

/* Steps from where the controller believes the head to be to where it is told to put it: the drive
 * moves by the difference, as far as it can. */
static void seek(struct fdc *fdc, unsigned unit, uint8_t target)
{
    const struct fdc_drive *drive = fdc_drive_of(fdc, unit);
    uint8_t result = (uint8_t)(ST0_SEEK_END | unit);
    int by = (int)target - fdc->cylinder[unit];
    unsigned track = drive ? clamp_track(drive, drive->track + by) : 0;
    fdc_begin_seek(fdc, unit, distance(target, fdc->cylinder[unit]), (uint8_t)track, target, result);
}

static void recalibrate(struct fdc *fdc, unsigned unit)
{
    const struct fdc_drive *drive = fdc_drive_of(fdc, unit);
    uint8_t result = (uint8_t)(ST0_SEEK_END | unit);
    if (!drive) { /* track 0 never comes */
        fdc_begin_seek(fdc, unit, RECALIBRATE_STEPS, 0, 0, result | ST0_ABNORMAL | ST0_EQUIPMENT);
    } else if (drive->track > RECALIBRATE_STEPS) { /* 79 step pulses are not enough: once more */
        fdc_begin_seek(fdc, unit, RECALIBRATE_STEPS, (uint8_t)(drive->track - RECALIBRATE_STEPS), 0,
                       result | ST0_ABNORMAL | ST0_EQUIPMENT);
    } else {
        fdc_begin_seek(fdc, unit, drive->track, 0, 0, result);
    }
}

static void relative_seek(struct fdc *fdc, unsigned unit)
{
    const struct fdc_drive *drive = fdc_drive_of(fdc, unit);
    int by = fdc->command[0] & RELATIVE_UP ? fdc->command[2] : -(int)fdc->command[2];
    unsigned track = drive ? clamp_track(drive, drive->track + by) : 0;
    uint8_t counter = (uint8_t)(fdc->cylinder[unit] + by);
    fdc_begin_seek(fdc, unit, fdc->command[2], (uint8_t)track, counter, (uint8_t)(ST0_SEEK_END | unit));
}

/* ---- immediate commands ---- */

static void invalid(struct fdc *fdc)
{
    fdc->result[0] = ST0_INVALID;
    fdc_enter_result(fdc, 1, false);
}

static void sense_interrupt(struct fdc *fdc)
{
    unsigned unit = 0;
    while (unit < FDC_UNITS && !fdc->is_pending[unit])
        unit++;
    if (unit == FDC_UNITS) {
        invalid(fdc);
        return;
    }
    fdc->is_pending[unit] = false;
    fdc_set_interrupt(fdc, false);
    fdc->result[0] = fdc->pending[unit];
    fdc->result[1] = fdc->cylinder[unit];
    fdc_enter_result(fdc, 2, false);
    /* Another seek that has ended asks again; what a reset left behind does not. */
    for (unsigned other = 0; other < FDC_UNITS; other++) {
        if (fdc->is_pending[other] && (fdc->pending[other] & ST0_POLLED) != ST0_POLLED)
            fdc_set_interrupt(fdc, true);
    }
}

static void sense_drive(struct fdc *fdc, unsigned unit)
{
    const struct fdc_drive *drive = fdc_drive_of(fdc, unit);
    uint8_t st3 = (uint8_t)(ST3_ALWAYS | (fdc->command[1] & 7));
    if (drive && drive->track == 0)
        st3 |= ST3_TRACK_0;
    if (drive && drive->block && drive->block->read_only)
        st3 |= ST3_WRITE_PROTECTED;
    fdc->result[0] = st3;
    fdc_enter_result(fdc, 1, false);
}

static void dump_registers(struct fdc *fdc)
{
    memcpy(fdc->result, fdc->cylinder, FDC_UNITS);
    fdc->result[4] = fdc->specify[0];
    fdc->result[5] = fdc->specify[1];
    fdc->result[6] = fdc->last_transferred;
    fdc->result[7] = (uint8_t)((fdc->locked ? 0x80 : 0) | (fdc->perpendicular & 0x3f));
    fdc->result[8] = fdc->configure;
    fdc->result[9] = fdc->precompensation_track;
    fdc_enter_result(fdc, 10, false);
}

static void set_perpendicular(struct fdc *fdc)
{
    /* The drive bits change only when OW says so. */
    uint8_t value = fdc->command[1];
    if (value & 0x80)
        fdc->perpendicular = value & 0x3f;
    else
        fdc->perpendicular = (uint8_t)((fdc->perpendicular & 0x3c) | (value & 0x03));
}

static void begin_data_command(struct fdc *fdc)
{
    fdc->phase = FDC_EXECUTION;
    fdc->non_dma = (fdc->specify[1] & 1) && fdc->operation != OP_READ_ID && fdc->operation != OP_VERIFY;
    fdc_arm(fdc, FDC_STEP_BEGIN, FDC_DELAY_BEGIN);
}

void fdc_execute(struct fdc *fdc)
{
    unsigned unit = fdc->command[1] & 3;
    switch (fdc->operation) {
    case OP_SPECIFY:
        memcpy(fdc->specify, fdc->command + 1, 2);
        break;
    case OP_SENSE_DRIVE:
        sense_drive(fdc, unit);
        return;
    case OP_RECALIBRATE:
        recalibrate(fdc, unit);
        break;
    case OP_SENSE_INTERRUPT:
        sense_interrupt(fdc);
        return;
    case OP_DUMPREG:
        dump_registers(fdc);
        return;
    case OP_SEEK:
        seek(fdc, unit, fdc->command[2]);
        break;
    case OP_RELATIVE_SEEK:
        relative_seek(fdc, unit);
        break;
    case OP_VERSION:
        fdc->result[0] = VERSION_ENHANCED;
        fdc_enter_result(fdc, 1, false);
        return;
    case OP_PERPENDICULAR:
        set_perpendicular(fdc);
        break;
    case OP_CONFIGURE:
        fdc->configure = fdc->command[2] & 0x7f;
        fdc->precompensation_track = fdc->command[3];
        break;
    case OP_LOCK:
        fdc->locked = fdc->command[0] & 0x80;
        fdc->result[0] = fdc->locked ? 0x10 : 0;
        fdc_enter_result(fdc, 1, false);
        return;
    case OP_INVALID:
        LOG(fdc->bus.log, UNIMP, "fdc: command %02x does not exist", fdc->command[0]);
        invalid(fdc);
        return;
    default:
        begin_data_command(fdc);
        return;
    }
    fdc->phase = FDC_COMMAND;
}

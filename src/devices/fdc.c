/* Registers, phases and resets of the 82077AA. */
#include "devices/fdc_private.h"

#include <string.h>

enum { PORT_DOR = 2, PORT_TDR = 3, PORT_STATUS = 4, PORT_FIFO = 5 }; /* from 3F0h; 3F7h apart */
enum { DOR_DRIVE = 0x03, DOR_NO_RESET = 0x04, DOR_DMA_GATE = 0x08 };
enum { DSR_RATE = 0x03, DSR_POWER_DOWN = 0x40, DSR_RESET = 0x80, RATE_DEFAULT = 2 };
enum { MSR_RQM = 0x80, MSR_DIO = 0x40, MSR_NON_DMA = 0x20, MSR_BUSY = 0x10 };
enum { CONFIGURE_NO_FIFO = 0x20, CONFIGURE_THRESHOLD = 0x0f };

static void update_interrupt(struct fdc *fdc)
{
    irq_set(&fdc->irq, fdc->interrupt && (fdc->dor & DOR_DMA_GATE));
}

void fdc_set_interrupt(struct fdc *fdc, bool level)
{
    fdc->interrupt = level;
    update_interrupt(fdc);
}

static void update_request(struct fdc *fdc)
{
    dma_set_request(fdc->dma, FDC_DMA_CHANNEL, fdc->requesting && (fdc->dor & DOR_DMA_GATE));
}

void fdc_set_request(struct fdc *fdc, bool level)
{
    fdc->requesting = level;
    update_request(fdc);
}

void fdc_arm(struct fdc *fdc, enum fdc_step step, uint64_t delay)
{
    uint64_t now = clock_now(fdc->bus.clock);
    bool chained = step == FDC_STEP_SECTOR && fdc->due <= now && now - fdc->due < 1000000;
    /* Sectors follow each other at the disk's pace, however late the host is. */
    fdc->due = (chained ? fdc->due : now) + delay;
    fdc->step = (uint8_t)step;
    timer_set(&fdc->timer, fdc->due);
}

void fdc_enter_result(struct fdc *fdc, unsigned length, bool interrupt)
{
    fdc->phase = FDC_RESULT;
    fdc->step = FDC_STEP_NONE;
    fdc->result_length = (uint8_t)length;
    fdc->result_position = 0;
    if (interrupt)
        fdc_set_interrupt(fdc, true);
}

static void reset_interrupt(struct fdc *fdc)
{
    fdc->step = FDC_STEP_NONE;
    for (unsigned unit = 0; unit < FDC_UNITS; unit++) {
        fdc->pending[unit] = (uint8_t)(ST0_POLLED | unit);
        fdc->is_pending[unit] = true;
    }
    fdc_set_interrupt(fdc, true);
}

static void timer_fired(void *opaque)
{
    struct fdc *fdc = opaque;
    enum fdc_step step = (enum fdc_step)fdc->step;
    fdc->step = FDC_STEP_NONE;
    if (step == FDC_STEP_RESET)
        reset_interrupt(fdc);
    else
        fdc_transfer_step(fdc, step);
}

/* Who polls need not wait until the timers are run: what is due by the clock happens now. */
static void catch_up(struct fdc *fdc)
{
    uint64_t now = clock_now(fdc->bus.clock);
    for (unsigned unit = 0; unit < FDC_UNITS; unit++) {
        if (fdc->seeks[unit].timer.deadline <= now) {
            timer_cancel(&fdc->seeks[unit].timer);
            fdc_seek_done(&fdc->seeks[unit]);
        }
    }
    while (fdc->timer.deadline <= now) {
        timer_cancel(&fdc->timer);
        timer_fired(fdc);
    }
}

/* DOR, DSR or the RESET pin. LOCK saves the FIFO's settings from the first two. */
static void reset_controller(struct fdc *fdc, bool hard)
{
    timer_cancel(&fdc->timer);
    for (unsigned unit = 0; unit < FDC_UNITS; unit++)
        timer_cancel(&fdc->seeks[unit].timer);
    fdc->seeking = 0;
    fdc->phase = FDC_COMMAND;
    fdc->step = FDC_STEP_NONE;
    fdc->command_length = 0;
    fdc->non_dma = fdc->fetched = fdc->dma_waits = fdc->terminal = false;
    memset(fdc->is_pending, 0, sizeof fdc->is_pending);
    if (hard) {
        fdc->locked = false;
        memset(fdc->specify, 0, sizeof fdc->specify);
        memset(fdc->cylinder, 0, sizeof fdc->cylinder);
        fdc->perpendicular = 0;
    }
    if (fdc->locked) {
        fdc->configure &= CONFIGURE_NO_FIFO | CONFIGURE_THRESHOLD;
    } else {
        fdc->configure = CONFIGURE_NO_FIFO;
        fdc->precompensation_track = 0;
    }
    fdc->perpendicular &= ~3; /* GAP and WGATE; the drive bits stay */
    fdc_set_request(fdc, false);
    fdc_set_interrupt(fdc, false);
}

/* ---- registers ---- */

/* The host may read or write the FIFO in the execution phase. */
static bool host_may_move(const struct fdc *fdc)
{
    return fdc->phase == FDC_EXECUTION && fdc->non_dma && fdc->step == FDC_STEP_NONE && fdc->fetched &&
           fdc->position < fdc->length;
}

static bool host_gives_bytes(const struct fdc *fdc)
{
    switch (fdc->operation) {
    case OP_READ:
    case OP_READ_DELETED:
    case OP_READ_TRACK:
        return false;
    default:
        return true;
    }
}

static uint8_t read_status(const struct fdc *fdc)
{
    uint8_t status = fdc->seeking;
    if (!(fdc->dor & DOR_NO_RESET) || fdc->step == FDC_STEP_RESET)
        return 0;
    switch (fdc->phase) {
    case FDC_COMMAND:
        return status | MSR_RQM | (fdc->command_length ? MSR_BUSY : 0);
    case FDC_RESULT:
        return status | MSR_RQM | MSR_DIO | MSR_BUSY;
    default:
        status |= MSR_BUSY;
        if (fdc->non_dma)
            status |= MSR_NON_DMA;
        if (host_may_move(fdc))
            status |= MSR_RQM | (host_gives_bytes(fdc) ? 0 : MSR_DIO);
        return status;
    }
}

static uint8_t read_fifo(struct fdc *fdc)
{
    if (host_may_move(fdc) && !host_gives_bytes(fdc))
        return fdc_host_read(fdc);
    if (fdc->phase != FDC_RESULT)
        return 0;
    uint8_t value = fdc->result[fdc->result_position];
    if (fdc->result_position == 0 && fdc->result_length == 7)
        fdc_set_interrupt(fdc, false);
    if (++fdc->result_position == fdc->result_length) {
        fdc->phase = FDC_COMMAND;
        fdc->command_length = 0;
    }
    return value;
}

static void write_fifo(struct fdc *fdc, uint8_t value)
{
    if (!(fdc->dor & DOR_NO_RESET) || fdc->step == FDC_STEP_RESET)
        return;
    if (host_may_move(fdc) && host_gives_bytes(fdc)) {
        fdc_host_write(fdc, value);
        return;
    }
    if (fdc->phase != FDC_COMMAND)
        return;
    if (fdc->command_length == 0) {
        memset(fdc->command, 0, sizeof fdc->command);
        fdc->operation = (uint8_t)fdc_decode(value, &fdc->command_expected);
    }
    fdc->command[fdc->command_length++] = value;
    if (fdc->command_length < fdc->command_expected)
        return;
    fdc->command_length = 0;
    fdc_execute(fdc);
}

static void write_dor(struct fdc *fdc, uint8_t value)
{
    uint8_t before = fdc->dor;
    fdc->dor = value;
    if (!(value & DOR_NO_RESET)) {
        if (before & DOR_NO_RESET)
            reset_controller(fdc, false);
    } else if (!(before & DOR_NO_RESET)) {
        fdc_arm(fdc, FDC_STEP_RESET, FDC_DELAY_RESET);
    }
    update_interrupt(fdc);
    update_request(fdc);
    /* DMAGATE# opened for a transfer that waits. */
    if (fdc->dma_waits && (value & DOR_DMA_GATE) && dma_is_open(fdc->dma, FDC_DMA_CHANNEL))
        fdc_dma_ready(fdc);
}

static void write_dsr(struct fdc *fdc, uint8_t value)
{
    fdc->dsr = value & ~DSR_RESET;
    if (!(value & DSR_RESET) || !(fdc->dor & DOR_NO_RESET))
        return;
    reset_controller(fdc, false);
    fdc_arm(fdc, FDC_STEP_RESET, FDC_DELAY_RESET);
}

static uint64_t fdc_read(void *opaque, uint64_t offset, unsigned size)
{
    struct fdc *fdc = opaque;
    catch_up(fdc);
    switch (offset) {
    case PORT_DOR:
        return fdc->dor;
    case PORT_TDR:
        return 0xfc | fdc->tape;
    case PORT_STATUS:
        fdc->dsr &= ~DSR_POWER_DOWN; /* looking wakes it up */
        return read_status(fdc);
    case PORT_FIFO:
        fdc->dsr &= ~DSR_POWER_DOWN;
        return read_fifo(fdc);
    default: /* status registers A and B are not on the bus in AT mode */
        return 0xff;
    }
}

static void fdc_write(void *opaque, uint64_t offset, unsigned size, uint64_t value)
{
    struct fdc *fdc = opaque;
    catch_up(fdc);
    switch (offset) {
    case PORT_DOR:
        write_dor(fdc, (uint8_t)value);
        break;
    case PORT_TDR:
        fdc->tape = value & 3;
        break;
    case PORT_STATUS:
        write_dsr(fdc, (uint8_t)value);
        break;
    case PORT_FIFO:
        write_fifo(fdc, (uint8_t)value);
        break;
    default:
        break;
    }
}

/* 3F7h: digital input (DSKCHG of the selected drive in bit 7; the others are not driven, and the fixed
 * disk's bits that shared the port read as 0), configuration control (data rate). */
static uint64_t direction_read(void *opaque, uint64_t offset, unsigned size)
{
    struct fdc *fdc = opaque;
    catch_up(fdc);
    const struct fdc_drive *drive = fdc_drive_of(fdc, fdc->dor & DOR_DRIVE);
    return drive && drive->changed ? 0x80 : 0;
}

static void direction_write(void *opaque, uint64_t offset, unsigned size, uint64_t value)
{
    struct fdc *fdc = opaque;
    fdc->dsr = (uint8_t)((fdc->dsr & ~DSR_RATE) | (value & DSR_RATE));
}

static const struct region_ops fdc_port_ops = {.read = fdc_read, .write = fdc_write};
static const struct region_ops direction_ops = {.read = direction_read, .write = direction_write};

/* ---- the device ---- */

static void fdc_reset(struct device *device)
{
    struct fdc *fdc = (struct fdc *)device;
    fdc->dor = 0; /* held in reset until somebody lets go */
    fdc->tape = 0;
    fdc->dsr = RATE_DEFAULT;
    reset_controller(fdc, true);
    for (unsigned i = 0; i < FDC_DRIVES; i++) {
        fdc->drives[i].track = 0;
        fdc->drives[i].changed = true;
        fdc->drives[i].next_id = 0;
    }
}

static void fdc_destroy(struct device *device)
{
    struct fdc *fdc = (struct fdc *)device;
    timer_cancel(&fdc->timer);
    for (unsigned unit = 0; unit < FDC_UNITS; unit++)
        timer_cancel(&fdc->seeks[unit].timer);
    dma_attach(fdc->dma, FDC_DMA_CHANNEL, NULL, NULL);
    port_space_remove(fdc->bus.ports, &fdc->ports);
    port_space_remove(fdc->bus.ports, &fdc->direction_ports);
    free(fdc);
}

static void fdc_describe(struct device *device, void (*print)(void *to, const char *line), void *to)
{
    struct fdc *fdc = (struct fdc *)device;
    static const char *const types[] = {"none", "360K", "1.2M", "720K", "1.44M", "2.88M"};
    static const char *const phases[] = {"command", "execution", "result"};
    char line[200];
    snprintf(line, sizeof line, "fdc: dor=%02x dsr=%02x status=%02x phase=%s command=%02x%s", fdc->dor, fdc->dsr,
             read_status(fdc), phases[fdc->phase], fdc->command[0], fdc->interrupt ? " INT" : "");
    print(to, line);
    for (unsigned i = 0; i < FDC_DRIVES; i++) {
        const struct fdc_drive *drive = &fdc->drives[i];
        if (drive->type == FDC_DRIVE_NONE)
            continue;
        if (drive->format)
            snprintf(line, sizeof line, "floppy%u: %s drive, %s (%uK: %u,%u,%u)%s, track %u%s", i, types[drive->type],
                     drive->block->path, drive->format->kib, drive->format->cylinders, drive->format->heads,
                     drive->format->sectors, drive->block->read_only ? " read-only" : "", drive->track,
                     drive->changed ? ", changed" : "");
        else
            snprintf(line, sizeof line, "floppy%u: %s drive, empty, track %u", i, types[drive->type], drive->track);
        print(to, line);
    }
}

static const struct state_field drive_fields[] = {
    STATE_INT(struct fdc_drive, track),
    STATE_INT(struct fdc_drive, changed),
    STATE_INT(struct fdc_drive, next_id),
    STATE_END,
};
static const struct state_field seek_fields[] = {
    STATE_INT(struct fdc_seek, target_track),
    STATE_INT(struct fdc_seek, target_counter),
    STATE_INT(struct fdc_seek, result),
    STATE_TIMER(struct fdc_seek, timer),
    STATE_END,
};
static const struct state_field fdc_fields[] = {
    STATE_ARRAY(struct fdc, drives, drive_fields),
    STATE_ARRAY(struct fdc, seeks, seek_fields),
    STATE_INT(struct fdc, dor),
    STATE_INT(struct fdc, tape),
    STATE_INT(struct fdc, dsr),
    STATE_INT(struct fdc, interrupt),
    STATE_INT(struct fdc, requesting),
    STATE_BYTES(struct fdc, pending),
    STATE_BYTES(struct fdc, is_pending),
    STATE_BYTES(struct fdc, cylinder),
    STATE_INT(struct fdc, seeking),
    STATE_BYTES(struct fdc, specify),
    STATE_INT(struct fdc, configure),
    STATE_INT(struct fdc, precompensation_track),
    STATE_INT(struct fdc, perpendicular),
    STATE_INT(struct fdc, locked),
    STATE_INT(struct fdc, phase),
    STATE_INT(struct fdc, operation),
    STATE_INT(struct fdc, step),
    STATE_BYTES(struct fdc, command),
    STATE_INT(struct fdc, command_length),
    STATE_INT(struct fdc, command_expected),
    STATE_BYTES(struct fdc, result),
    STATE_INT(struct fdc, result_length),
    STATE_INT(struct fdc, result_position),
    STATE_INT(struct fdc, st1),
    STATE_INT(struct fdc, st2),
    STATE_INT(struct fdc, id_cylinder),
    STATE_INT(struct fdc, id_head),
    STATE_INT(struct fdc, id_sector),
    STATE_INT(struct fdc, id_size),
    STATE_INT(struct fdc, head),
    STATE_INT(struct fdc, count),
    STATE_INT(struct fdc, terminal),
    STATE_INT(struct fdc, non_dma),
    STATE_INT(struct fdc, fetched),
    STATE_INT(struct fdc, dma_waits),
    STATE_INT(struct fdc, last_transferred),
    STATE_INT(struct fdc, position),
    STATE_INT(struct fdc, length),
    STATE_INT(struct fdc, burst),
    STATE_INT(struct fdc, due),
    STATE_TIMER(struct fdc, timer),
    STATE_BYTES(struct fdc, buffer),
    STATE_END,
};

/* What cannot be trusted of a loaded state is made harmless. */
static void fdc_loaded(void *object)
{
    struct fdc *fdc = object;
    if (fdc->phase > FDC_RESULT || fdc->position > fdc->length || fdc->length > FDC_SECTOR ||
        fdc->command_length >= FDC_PARAMETERS || fdc->command_expected > FDC_PARAMETERS ||
        fdc->result_length > FDC_RESULTS || (fdc->phase == FDC_RESULT && fdc->result_position >= fdc->result_length))
        reset_controller(fdc, false);
}

static const struct state_table fdc_state = {"82077", 1, fdc_fields, .loaded = fdc_loaded};
static const struct device_ops fdc_ops = {
    .name = "82077",
    .reset = fdc_reset,
    .destroy = fdc_destroy,
    .state = &fdc_state,
    .describe = fdc_describe,
};

struct fdc *fdc_create(const struct device_bus *bus, struct irq_line irq, struct dma_pair *dma)
{
    struct fdc *fdc = device_allocate(sizeof(*fdc), &fdc_ops, "fdc");
    if (!fdc)
        return NULL;
    fdc->bus = *bus;
    fdc->irq = irq;
    fdc->dma = dma;
    timer_init(&fdc->timer, bus->clock, timer_fired, fdc);
    for (unsigned unit = 0; unit < FDC_UNITS; unit++) {
        fdc->seeks[unit].fdc = fdc;
        fdc->seeks[unit].unit = (uint8_t)unit;
        timer_init(&fdc->seeks[unit].timer, bus->clock, fdc_seek_done, &fdc->seeks[unit]);
    }
    for (unsigned i = 0; i < FDC_DRIVES; i++)
        fdc->drives[i].unit = (uint8_t)i;
    dma_attach(dma, FDC_DMA_CHANNEL, fdc_dma_ready, fdc);
    fdc->ports = (struct port_range){
        .name = "fdc", .base = 0x3f0, .count = 6, .ops = &fdc_port_ops, .opaque = fdc, .enabled = true};
    fdc->direction_ports = (struct port_range){
        .name = "fdc-direction", .base = 0x3f7, .count = 1, .ops = &direction_ops, .opaque = fdc, .enabled = true};
    port_space_add(bus->ports, &fdc->ports);
    port_space_add(bus->ports, &fdc->direction_ports);
    fdc_reset(&fdc->device);
    return fdc;
}

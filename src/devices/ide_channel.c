/* An ATA channel: task-file registers of two drives, data port, resets and INTRQ.
 * Source: ATA/ATAPI-5, 7 (registers) and 9 (protocols). */
#include "devices/ide_private.h"

#include <string.h>

static struct ide_drive *selected_drive(struct ide_channel *channel)
{
    return &channel->drives[channel->selected];
}

static bool channel_is_empty(const struct ide_channel *channel)
{
    return channel->drives[0].kind == IDE_NONE && channel->drives[1].kind == IDE_NONE;
}

/* ---- INTRQ ---- */

/* Only the selected drive drives the line, unless nIEN keeps it off it (7.3.2). */
static void update_interrupt(struct ide_channel *channel)
{
    const struct ide_drive *drive = selected_drive(channel);
    bool level = drive->kind != IDE_NONE && drive->interrupt && !(channel->control & CONTROL_NIEN);
    if (level == channel->driven)
        return;
    channel->driven = level;
    channel->adapter.set_interrupt(channel->adapter.opaque, channel->number, level);
}

void ide_raise_interrupt(struct ide_drive *drive)
{
    drive->interrupt = true;
    update_interrupt(drive->channel);
}

static void clear_interrupt(struct ide_drive *drive)
{
    drive->interrupt = false;
    update_interrupt(drive->channel);
}

/* ---- steps ---- */

void ide_arm(struct ide_drive *drive, enum ide_step step, uint64_t delay)
{
    drive->phase = PHASE_BUSY;
    drive->status = (uint8_t)((drive->status & ~(STATUS_DRQ | STATUS_ERR | STATUS_DF)) | STATUS_BSY);
    drive->step = step;
    drive->due = clock_now(drive->channel->bus.clock) + delay;
    timer_set(&drive->timer, drive->due);
}

void ide_arm_next(struct ide_drive *drive, enum ide_step step, uint64_t delay)
{
    uint64_t now = clock_now(drive->channel->bus.clock), due = drive->due;
    ide_arm(drive, step, delay);
    /* A host that is late makes up for it, within limits: a bus master that was off for long is not
     * owed all that time. */
    if (due <= now && now - due < 1000000) {
        drive->due = due + delay;
        timer_set(&drive->timer, drive->due);
    }
}

static void stop_command(struct ide_drive *drive)
{
    timer_cancel(&drive->timer);
    drive->step = STEP_NONE;
    drive->phase = PHASE_IDLE;
    drive->position = drive->length = 0;
    drive->data_total = drive->data_done = 0;
}

void ide_complete(struct ide_drive *drive)
{
    drive->phase = PHASE_IDLE;
    drive->step = STEP_NONE;
    drive->status = STATUS_DRDY | STATUS_DSC;
    ide_raise_interrupt(drive);
}

void ide_fail(struct ide_drive *drive, uint8_t error, uint8_t extra_status)
{
    drive->phase = PHASE_IDLE;
    drive->step = STEP_NONE;
    drive->error = error;
    drive->status = STATUS_DRDY | STATUS_DSC | STATUS_ERR | extra_status;
    ide_raise_interrupt(drive);
}

void ide_data_phase(struct ide_drive *drive, enum ide_phase phase, uint32_t length, bool interrupt)
{
    drive->phase = (uint8_t)phase;
    drive->step = STEP_NONE;
    drive->position = 0;
    drive->length = length;
    drive->status = STATUS_DRDY | STATUS_DSC | STATUS_DRQ;
    if (interrupt)
        ide_raise_interrupt(drive);
}

bool ide_move_dma(struct ide_drive *drive, bool to_memory)
{
    const struct ide_adapter *adapter = &drive->channel->adapter;
    drive->position +=
        (uint32_t)adapter->transfer(adapter->opaque, drive->channel->number, drive->buffer + drive->position,
                                    drive->length - drive->position, to_memory);
    if (drive->position >= drive->length)
        return true;
    drive->phase = PHASE_DMA;
    drive->status = STATUS_BSY | STATUS_DRDY | STATUS_DSC;
    return false;
}

/* 9.1: what a drive says of itself after reset, diagnostics and commands of the other kind. */
void ide_set_signature(struct ide_drive *drive)
{
    bool packet = drive->kind == IDE_CDROM;
    drive->count[0] = 1;
    drive->low[0] = 1;
    drive->mid[0] = packet ? 0x14 : 0;
    drive->high[0] = packet ? 0xeb : 0;
    drive->device = DEVICE_ONES | (drive->device & DEVICE_DEV);
}

static void finish_reset(struct ide_drive *drive)
{
    drive->phase = PHASE_IDLE;
    drive->step = STEP_NONE;
    drive->error = 1; /* passed; an absent drive 1 counts as passed too */
    ide_set_signature(drive);
    /* A packet drive is not ready for other commands until it got one (9.2). */
    drive->status = drive->kind == IDE_CDROM ? 0 : STATUS_DRDY | STATUS_DSC;
}

static void begin_reset(struct ide_drive *drive, bool hard)
{
    stop_command(drive);
    drive->interrupt = false;
    drive->device = DEVICE_ONES;
    if (drive->kind == IDE_DISK)
        ide_disk_reset(drive, hard);
    else if (drive->kind == IDE_CDROM)
        atapi_reset(drive, hard);
}

/* Both drives: SRST, and EXECUTE DEVICE DIAGNOSTIC, which ends with an interrupt of drive 0 (or of the
 * only one there is). */
static void finish_diagnostic(struct ide_channel *channel)
{
    channel->selected = 0;
    for (unsigned i = 0; i < 2; i++) {
        struct ide_drive *drive = &channel->drives[i];
        drive->device = DEVICE_ONES;
        if (drive->kind != IDE_NONE) {
            stop_command(drive);
            finish_reset(drive);
        }
    }
    ide_raise_interrupt(&channel->drives[channel->drives[0].kind == IDE_NONE ? 1 : 0]);
}

static void execute_command(struct ide_drive *drive)
{
    drive->error = 0;
    if (drive->command == 0x90)
        finish_diagnostic(drive->channel);
    else if (drive->kind == IDE_CDROM)
        atapi_command(drive);
    else
        ide_disk_command(drive);
}

static void run_step(struct ide_drive *drive)
{
    switch (drive->step) {
    case STEP_RESET:
        finish_reset(drive);
        break;
    case STEP_COMMAND:
        execute_command(drive);
        break;
    case STEP_READ_BLOCK:
        ide_disk_read_block(drive);
        break;
    case STEP_WRITE_BLOCK:
        ide_disk_write_block(drive);
        break;
    case STEP_DMA:
        ide_disk_dma(drive);
        break;
    case STEP_PACKET:
        atapi_execute(drive);
        break;
    case STEP_PACKET_DATA:
        atapi_next_piece(drive);
        break;
    case STEP_PACKET_PARAMETERS:
        atapi_parameters(drive);
        break;
    case STEP_PACKET_DMA:
        atapi_dma(drive);
        break;
    default:
        break;
    }
}

static void timer_fired(void *opaque)
{
    run_step(opaque);
}

/* Who polls need not wait until the timers are run: what is due by the clock happens now. */
static void catch_up(struct ide_channel *channel)
{
    uint64_t now = clock_now(channel->bus.clock);
    for (unsigned i = 0; i < 2; i++) {
        struct ide_drive *drive = &channel->drives[i];
        while (drive->timer.deadline <= now) {
            timer_cancel(&drive->timer);
            run_step(drive);
        }
    }
}

void ide_channel_dma_ready(struct ide_channel *channel)
{
    for (unsigned i = 0; i < 2; i++) {
        struct ide_drive *drive = &channel->drives[i];
        if (drive->phase == PHASE_DMA)
            ide_arm(drive, drive->kind == IDE_CDROM ? STEP_PACKET_DMA : STEP_DMA, DELAY_DMA);
    }
}

/* ---- data port ---- */

static void block_taken(struct ide_drive *drive)
{
    if (drive->kind == IDE_CDROM)
        atapi_piece_taken(drive);
    else
        ide_disk_block_taken(drive);
}

static uint16_t read_data_word(struct ide_drive *drive)
{
    if (drive->phase != PHASE_DATA_IN)
        return 0;
    uint16_t value = drive->buffer[drive->position];
    if (drive->position + 1 < drive->length)
        value |= (uint16_t)(drive->buffer[drive->position + 1] << 8);
    drive->position += 2;
    if (drive->position >= drive->length)
        block_taken(drive);
    return value;
}

static void write_data_word(struct ide_drive *drive, uint16_t value)
{
    if (drive->phase != PHASE_DATA_OUT)
        return;
    drive->buffer[drive->position] = (uint8_t)value;
    drive->buffer[drive->position + 1] = (uint8_t)(value >> 8); /* LENGTH may be odd, the buffer is not */
    drive->position += 2;
    if (drive->position >= drive->length)
        block_taken(drive);
}

/* ---- registers ---- */

static uint8_t read_status(struct ide_channel *channel)
{
    if (channel_is_empty(channel))
        return 0xff; /* a floating bus */
    /* Drive 0 answers for an absent drive 1 with 00h (7.15.6); nobody for an absent drive 0, whose bus
     * then shows what pull-downs make of it. */
    return selected_drive(channel)->status;
}

static uint8_t read_register(struct ide_channel *channel, unsigned reg)
{
    if (channel_is_empty(channel))
        return 0xff;
    const struct ide_drive *drive = selected_drive(channel);
    if (drive->kind == IDE_NONE) {
        if (channel->selected == 0)
            return 0;
        drive = &channel->drives[0];
        if (reg == IDE_DEVICE)
            return drive->device | DEVICE_DEV;
    }
    unsigned hob = channel->control & CONTROL_HOB ? 1 : 0;
    switch (reg) {
    case IDE_ERROR:
        return drive->error;
    case IDE_COUNT:
        return drive->count[hob];
    case IDE_LOW:
        return drive->low[hob];
    case IDE_MID:
        return drive->mid[hob];
    case IDE_HIGH:
        return drive->high[hob];
    default:
        return drive->device;
    }
}

static void push(uint8_t reg[2], uint8_t value)
{
    reg[1] = reg[0];
    reg[0] = value;
}

static void write_command(struct ide_channel *channel, uint8_t command)
{
    struct ide_drive *drive = selected_drive(channel);
    /* Drive 1's diagnostics are told by drive 0, whichever is selected. */
    if (command == 0x90 && drive->kind == IDE_NONE)
        drive = &channel->drives[!channel->selected];
    if (drive->kind == IDE_NONE || (channel->control & CONTROL_SRST))
        return;
    bool device_reset = command == 0x08 && drive->kind == IDE_CDROM;
    if ((drive->status & STATUS_BSY) && !device_reset)
        return;
    clear_interrupt(drive);
    stop_command(drive);
    drive->command = command;
    if (device_reset) {
        atapi_reset(drive, false);
        ide_arm(drive, STEP_RESET, DELAY_COMMAND);
        drive->status = STATUS_BSY;
        return;
    }
    ide_arm(drive, STEP_COMMAND, DELAY_COMMAND);
    if (command == 0x90) {
        struct ide_drive *other = &channel->drives[!drive->number];
        if (other->kind != IDE_NONE) {
            stop_command(other);
            other->phase = PHASE_BUSY;
            other->status = STATUS_BSY;
        }
    }
}

/* Both drives see what is written, whichever is selected (7.1). */
static void write_register(struct ide_channel *channel, unsigned reg, uint8_t value)
{
    channel->control &= ~CONTROL_HOB;
    if (reg == IDE_STATUS) {
        write_command(channel, value);
        return;
    }
    for (unsigned i = 0; i < 2; i++) {
        struct ide_drive *drive = &channel->drives[i];
        if ((drive->status & STATUS_BSY) && reg != IDE_DEVICE)
            continue;
        switch (reg) {
        case IDE_ERROR:
            push(drive->feature, value);
            break;
        case IDE_COUNT:
            push(drive->count, value);
            break;
        case IDE_LOW:
            push(drive->low, value);
            break;
        case IDE_MID:
            push(drive->mid, value);
            break;
        case IDE_HIGH:
            push(drive->high, value);
            break;
        default:
            if (!(drive->status & STATUS_BSY))
                drive->device = value | DEVICE_ONES;
            break;
        }
    }
    if (reg == IDE_DEVICE) {
        channel->selected = value & DEVICE_DEV ? 1 : 0;
        update_interrupt(channel);
    }
}

static uint64_t command_read(void *opaque, uint64_t offset, unsigned size)
{
    struct ide_channel *channel = opaque;
    catch_up(channel);
    if (offset == IDE_DATA) {
        if (channel_is_empty(channel))
            return UINT64_MAX;
        struct ide_drive *drive = selected_drive(channel);
        uint32_t value = read_data_word(drive);
        if (size == 4) /* the adapter makes two cycles of it */
            value |= (uint32_t)read_data_word(drive) << 16;
        return value;
    }
    uint64_t value = 0;
    for (unsigned i = 0; i < size; i++) {
        unsigned reg = (unsigned)offset + i;
        uint8_t byte;
        if (reg == IDE_STATUS) {
            byte = read_status(channel);
            clear_interrupt(selected_drive(channel));
        } else {
            byte = read_register(channel, reg);
        }
        value |= (uint64_t)byte << (8 * i);
    }
    return value;
}

static void command_write(void *opaque, uint64_t offset, unsigned size, uint64_t value)
{
    struct ide_channel *channel = opaque;
    catch_up(channel);
    if (offset == IDE_DATA) {
        struct ide_drive *drive = selected_drive(channel);
        write_data_word(drive, (uint16_t)value);
        if (size == 4)
            write_data_word(drive, (uint16_t)(value >> 16));
        return;
    }
    for (unsigned i = 0; i < size; i++)
        write_register(channel, (unsigned)offset + i, (uint8_t)(value >> (8 * i)));
}

static uint64_t control_read(void *opaque, uint64_t offset, unsigned size)
{
    struct ide_channel *channel = opaque;
    catch_up(channel);
    return read_status(channel); /* alternate status: leaves INTRQ alone */
}

static void control_write(void *opaque, uint64_t offset, unsigned size, uint64_t value)
{
    struct ide_channel *channel = opaque;
    bool before = channel->control & CONTROL_SRST, now = value & CONTROL_SRST;
    catch_up(channel);
    channel->control = (uint8_t)value;
    for (unsigned i = 0; before != now && i < 2; i++) {
        struct ide_drive *drive = &channel->drives[i];
        if (drive->kind == IDE_NONE)
            continue;
        if (now) {
            begin_reset(drive, false);
            drive->phase = PHASE_BUSY;
        } else {
            ide_arm(drive, STEP_RESET, DELAY_RESET);
        }
        drive->status = STATUS_BSY;
    }
    if (now && !before)
        channel->selected = 0;
    update_interrupt(channel);
}

static const struct region_ops command_ops = {.read = command_read, .write = command_write, .max_access = 4};
static const struct region_ops control_ops = {.read = control_read, .write = control_write};

/* ---- making and breaking ---- */

void ide_channel_init(struct ide_channel *channel, unsigned number, const struct device_bus *bus,
                      const struct ide_adapter *adapter, uint16_t command_base, uint16_t control_base)
{
    static const char *const names[2][2] = {{"ide0", "ide0-control"}, {"ide1", "ide1-control"}};
    channel->bus = *bus;
    channel->adapter = *adapter;
    channel->number = number;
    for (unsigned i = 0; i < 2; i++) {
        channel->drives[i].channel = channel;
        channel->drives[i].number = (uint8_t)i;
        timer_init(&channel->drives[i].timer, bus->clock, timer_fired, &channel->drives[i]);
    }
    channel->command_ports = (struct port_range){
        .name = names[number & 1][0], .base = command_base, .count = 8, .ops = &command_ops, .opaque = channel};
    channel->control_ports = (struct port_range){
        .name = names[number & 1][1], .base = control_base, .count = 1, .ops = &control_ops, .opaque = channel};
    port_space_add(bus->ports, &channel->command_ports);
    port_space_add(bus->ports, &channel->control_ports);
}

void ide_channel_finish(struct ide_channel *channel)
{
    for (unsigned i = 0; i < 2; i++)
        timer_cancel(&channel->drives[i].timer);
    port_space_remove(channel->bus.ports, &channel->command_ports);
    port_space_remove(channel->bus.ports, &channel->control_ports);
}

void ide_channel_set_decode(struct ide_channel *channel, bool enabled)
{
    struct port_range *ranges[2] = {&channel->command_ports, &channel->control_ports};
    for (unsigned i = 0; i < 2; i++) {
        if (ranges[i]->enabled != enabled)
            port_space_update(channel->bus.ports, ranges[i], ranges[i]->base, enabled);
    }
}

void ide_channel_reset(struct ide_channel *channel)
{
    channel->selected = 0;
    channel->control = 0;
    for (unsigned i = 0; i < 2; i++) {
        struct ide_drive *drive = &channel->drives[i];
        begin_reset(drive, true);
        if (drive->kind != IDE_NONE)
            finish_reset(drive); /* over by the time that firmware looks */
    }
    update_interrupt(channel);
}

void ide_channel_loaded(struct ide_channel *channel)
{
    channel->selected &= 1;
    for (unsigned i = 0; i < 2; i++) {
        struct ide_drive *drive = &channel->drives[i];
        bool good = drive->length <= IDE_BUFFER_SIZE && drive->position <= drive->length && drive->phase <= PHASE_DMA;
        if (drive->kind == IDE_DISK)
            good = good && drive->block_count <= IDE_BUFFER_SIZE / BLOCK_SECTOR && drive->heads &&
                   drive->block_limit <= IDE_MULTIPLE_MAX && drive->sectors_per_track;
        else
            good = good && (!drive->data_is_blocks || (drive->cd_block_size && drive->cd_block_size <= CD_RAW_BLOCK));
        if (drive->kind != IDE_NONE && !good) {
            begin_reset(drive, true);
            finish_reset(drive);
        }
    }
}

static void copy_padded(char *to, size_t size, const char *from)
{
    size_t length = strlen(from);
    memset(to, ' ', size);
    memcpy(to, from, length < size ? length : size);
}

bool ide_channel_attach(struct ide_channel *channel, unsigned number, const struct ide_drive_config *config,
                        struct error *err)
{
    struct ide_drive *drive = &channel->drives[number & 1];
    char serial[16];
    if (config->kind == IDE_DISK && !config->block)
        return error_set(err, "IDE channel %u, drive %u: a disk needs an image", channel->number, number);
    if (config->heads > 16 || config->sectors > 63 || config->cylinders > 16383)
        return error_set(err, "IDE channel %u, drive %u: geometry %u,%u,%u is beyond 16383,16,63", channel->number,
                         number, config->cylinders, config->heads, config->sectors);
    drive->kind = config->kind;
    drive->block = config->block;
    snprintf(serial, sizeof serial, "DM%05u", channel->number * 2 + number + 1);
    copy_padded(drive->serial, sizeof drive->serial, config->serial ? config->serial : serial);
    copy_padded(drive->model, sizeof drive->model,
                config->model               ? config->model
                : config->kind == IDE_CDROM ? "DRAGOMAN CD-ROM"
                                            : "DRAGOMAN HARDDISK");
    if (drive->kind == IDE_DISK) {
        drive->sectors = drive->block->sectors;
        ide_disk_choose_geometry(drive, config);
    }
    begin_reset(drive, true);
    if (drive->kind != IDE_NONE)
        finish_reset(drive);
    return true;
}

void ide_channel_describe(struct ide_channel *channel, void (*print)(void *to, const char *line), void *to)
{
    static const char *const phases[] = {"idle", "busy", "data in", "data out", "dma"};
    char line[200];
    for (unsigned i = 0; i < 2; i++) {
        const struct ide_drive *drive = &channel->drives[i];
        if (drive->kind == IDE_NONE)
            continue;
        snprintf(line, sizeof line, "ide%u-%s%u: %s%s, status=%02x error=%02x command=%02x %s%s%s", channel->number,
                 drive->kind == IDE_CDROM ? "cd" : "hd", i, drive->block ? drive->block->path : "no medium",
                 drive->tray_open ? " (tray open)" : "", drive->status, drive->error, drive->command,
                 phases[drive->phase], drive->interrupt ? " INTRQ" : "", channel->selected == i ? " selected" : "");
        print(to, line);
    }
}

static const struct state_field drive_fields[] = {
    STATE_BYTES(struct ide_drive, feature),
    STATE_BYTES(struct ide_drive, count),
    STATE_BYTES(struct ide_drive, low),
    STATE_BYTES(struct ide_drive, mid),
    STATE_BYTES(struct ide_drive, high),
    STATE_INT(struct ide_drive, device),
    STATE_INT(struct ide_drive, error),
    STATE_INT(struct ide_drive, status),
    STATE_INT(struct ide_drive, command),
    STATE_INT(struct ide_drive, interrupt),
    STATE_INT(struct ide_drive, phase),
    STATE_INT(struct ide_drive, step),
    STATE_INT(struct ide_drive, due),
    STATE_TIMER(struct ide_drive, timer),
    STATE_INT(struct ide_drive, position),
    STATE_INT(struct ide_drive, length),
    STATE_INT(struct ide_drive, cylinders),
    STATE_INT(struct ide_drive, heads),
    STATE_INT(struct ide_drive, sectors_per_track),
    STATE_INT(struct ide_drive, multiple),
    STATE_INT(struct ide_drive, transfer_mode),
    STATE_INT(struct ide_drive, write_cache),
    STATE_INT(struct ide_drive, read_ahead),
    STATE_INT(struct ide_drive, revert_on_reset),
    STATE_INT(struct ide_drive, standby),
    STATE_INT(struct ide_drive, lba),
    STATE_INT(struct ide_drive, remaining),
    STATE_INT(struct ide_drive, block_count),
    STATE_INT(struct ide_drive, block_limit),
    STATE_INT(struct ide_drive, extended),
    STATE_INT(struct ide_drive, to_host),
    STATE_INT(struct ide_drive, write_through),
    STATE_BYTES(struct ide_drive, packet),
    STATE_INT(struct ide_drive, packet_dma),
    STATE_INT(struct ide_drive, tray_open),
    STATE_INT(struct ide_drive, locked),
    STATE_INT(struct ide_drive, unit_attention),
    STATE_INT(struct ide_drive, sense_key),
    STATE_INT(struct ide_drive, sense_asc),
    STATE_INT(struct ide_drive, sense_ascq),
    STATE_INT(struct ide_drive, attention_asc),
    STATE_INT(struct ide_drive, media_event),
    STATE_INT(struct ide_drive, byte_limit),
    STATE_INT(struct ide_drive, data_total),
    STATE_INT(struct ide_drive, data_done),
    STATE_INT(struct ide_drive, data_is_blocks),
    STATE_INT(struct ide_drive, block_parts),
    STATE_INT(struct ide_drive, cd_block),
    STATE_INT(struct ide_drive, cd_block_size),
    STATE_BYTES(struct ide_drive, reply),
    STATE_BYTES(struct ide_drive, buffer),
    STATE_END,
};
const struct state_field ide_channel_fields[] = {
    STATE_ARRAY(struct ide_channel, drives, drive_fields),
    STATE_INT(struct ide_channel, selected),
    STATE_INT(struct ide_channel, control),
    STATE_INT(struct ide_channel, driven),
    STATE_END,
};

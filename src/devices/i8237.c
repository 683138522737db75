#include "devices/i8237.h"

#include <string.h>

enum { CHIP_COUNT = 2, CHANNELS_PER_CHIP = 4, CHANNEL_COUNT = 8, CASCADE_CHANNEL = 4 };
enum { MODE_TYPE = 0x0c, MODE_AUTOINIT = 0x10, MODE_DECREMENT = 0x20, MODE_TRANSFER = 0xc0, MODE_CASCADE = 0xc0 };
enum transfer_type { TYPE_VERIFY = 0x00, TYPE_WRITE = 0x04, TYPE_READ = 0x08 };
enum { COMMAND_MEMORY_TO_MEMORY = 0x01, COMMAND_OFF = 0x04 };
enum {
    REG_COMMAND_STATUS = 0x8,
    REG_REQUEST = 0x9,
    REG_SINGLE_MASK = 0xa,
    REG_MODE = 0xb,
    REG_CLEAR_FLIP_FLOP = 0xc,
    REG_MASTER_CLEAR = 0xd,
    REG_CLEAR_MASK = 0xe,
    REG_WRITE_MASK = 0xf
};

struct dma_channel {
    uint16_t base_address, base_count;
    uint16_t address, count; /* current; in words on channels 5..7 */
    uint8_t mode;
};

struct dma_chip {
    struct dma_channel channels[CHANNELS_PER_CHIP];
    uint8_t command, terminal; /* TERMINAL: one bit a channel, cleared by reading the status */
    uint8_t mask, software_request, hardware_request;
    bool flip_flop; /* the next byte is the high one */
};

struct dma_pair {
    struct device device;
    struct device_bus bus;
    struct dma_chip chips[CHIP_COUNT];
    uint8_t page[16]; /* ports 80h-8Fh; 80h belongs to somebody else */
    struct {
        void (*ready)(void *opaque);
        void *opaque;
    } clients[CHANNEL_COUNT];
    struct port_range chip_ports[CHIP_COUNT], page_ports;
};

static const uint8_t page_index[CHANNEL_COUNT] = {0x7, 0x3, 0x1, 0x2, 0xf, 0xb, 0x9, 0xa};

bool dma_is_open(const struct dma_pair *dma, unsigned channel)
{
    if (channel >= CHANNEL_COUNT || channel == CASCADE_CHANNEL)
        return false;
    const struct dma_chip *chip = &dma->chips[channel >> 2];
    const struct dma_chip *slave_master = &dma->chips[1];
    unsigned index = channel & 3;
    /* Channels 0-3 ask through channel 4. */
    if (channel < CASCADE_CHANNEL && ((slave_master->mask & 1) || (slave_master->command & COMMAND_OFF)))
        return false;
    return !(chip->mask >> index & 1) && !(chip->command & COMMAND_OFF) &&
           (chip->channels[index].mode & MODE_TRANSFER) != MODE_CASCADE;
}

/* Something was programmed: devices that wait may find their channel open now. */
static void dma_notify(struct dma_pair *dma)
{
    for (unsigned channel = 0; channel < CHANNEL_COUNT; channel++) {
        if (dma->clients[channel].ready && (dma->chips[channel >> 2].hardware_request >> (channel & 3) & 1) &&
            dma_is_open(dma, channel))
            dma->clients[channel].ready(dma->clients[channel].opaque);
    }
}

void dma_attach(struct dma_pair *dma, unsigned channel, void (*ready)(void *opaque), void *opaque)
{
    if (channel >= CHANNEL_COUNT)
        return;
    dma->clients[channel].ready = ready;
    dma->clients[channel].opaque = opaque;
}

void dma_set_request(struct dma_pair *dma, unsigned channel, bool level)
{
    if (channel >= CHANNEL_COUNT)
        return;
    struct dma_chip *chip = &dma->chips[channel >> 2];
    uint8_t bit = (uint8_t)(1u << (channel & 3));
    chip->hardware_request = level ? chip->hardware_request | bit : chip->hardware_request & ~bit;
}

/* ---- transfers ---- */

/* Guest-physical address of the channel's current unit. The page register does not count along: the
 * address wraps within its 64 KiB (128 KiB on the word channels). */
static uint32_t channel_address(const struct dma_pair *dma, unsigned channel)
{
    uint32_t page = dma->page[page_index[channel]];
    uint32_t address = dma->chips[channel >> 2].channels[channel & 3].address;
    return channel < CASCADE_CHANNEL ? page << 16 | address : (page & 0xfe) << 16 | address << 1;
}

/* After UNITS units; true at terminal count. */
static bool channel_advance(struct dma_pair *dma, unsigned channel, uint32_t units)
{
    struct dma_chip *chip = &dma->chips[channel >> 2];
    struct dma_channel *state = &chip->channels[channel & 3];
    uint8_t bit = (uint8_t)(1u << (channel & 3));
    bool terminal = units == state->count + 1u;
    state->address = (uint16_t)(state->mode & MODE_DECREMENT ? state->address - units : state->address + units);
    state->count = (uint16_t)(state->count - units);
    if (!terminal)
        return false;
    chip->terminal |= bit;
    chip->software_request &= ~bit;
    if (state->mode & MODE_AUTOINIT) {
        state->address = state->base_address;
        state->count = state->base_count;
    } else {
        chip->mask |= bit;
    }
    return true;
}

/* Moves LENGTH bytes, all within the count; the part of the work that looks at directions. */
static void move_bytes(struct dma_pair *dma, uint32_t address, uint8_t *read_to, const uint8_t *write_from,
                       size_t length)
{
    if (write_from)
        memory_write_bytes(dma->bus.memory, address, write_from, length);
    else if (read_to)
        memory_read_bytes(dma->bus.memory, address, read_to, length);
}

static size_t transfer(struct dma_pair *dma, unsigned channel, enum transfer_type type, uint8_t *read_to,
                       const uint8_t *write_from, size_t length, bool *terminal)
{
    *terminal = false;
    if (!dma_is_open(dma, channel))
        return 0;
    const struct dma_channel *state = &dma->chips[channel >> 2].channels[channel & 3];
    unsigned width = channel < CASCADE_CHANNEL ? 1 : 2;
    if (read_to)
        memset(read_to, 0, length);
    bool touch = (state->mode & MODE_TYPE) == (unsigned)type;
    if (!touch && (state->mode & MODE_TYPE) != TYPE_VERIFY)
        LOG(dma->bus.log, GUEST_ERRORS, "dma: channel %u is programmed for the other direction", channel);
    size_t moved = 0;
    while (!*terminal && length - moved >= width) {
        uint32_t units = (uint32_t)((length - moved) / width > 0x10000 ? 0x10000 : (length - moved) / width);
        uint32_t to_wrap = state->mode & MODE_DECREMENT ? 1 : 0x10000u - state->address;
        if (units > state->count + 1u)
            units = state->count + 1u;
        if (units > to_wrap)
            units = to_wrap;
        if (touch)
            move_bytes(dma, channel_address(dma, channel), read_to ? read_to + moved : NULL,
                       write_from ? write_from + moved : NULL, (size_t)units * width);
        moved += (size_t)units * width;
        *terminal = channel_advance(dma, channel, units);
    }
    return moved;
}

size_t dma_write_memory(struct dma_pair *dma, unsigned channel, const uint8_t *data, size_t length, bool *terminal)
{
    return transfer(dma, channel, TYPE_WRITE, NULL, data, length, terminal);
}

size_t dma_read_memory(struct dma_pair *dma, unsigned channel, uint8_t *data, size_t length, bool *terminal)
{
    return transfer(dma, channel, TYPE_READ, data, NULL, length, terminal);
}

/* ---- registers ---- */

static void chip_clear(struct dma_chip *chip)
{
    chip->command = 0;
    chip->terminal = 0;
    chip->software_request = 0;
    chip->flip_flop = false;
    chip->mask = 0x0f;
}

static void chip_write_channel(struct dma_chip *chip, unsigned reg, uint8_t value)
{
    struct dma_channel *channel = &chip->channels[reg >> 1];
    uint16_t *base = reg & 1 ? &channel->base_count : &channel->base_address;
    if (chip->flip_flop)
        *base = (uint16_t)((*base & 0x00ff) | value << 8);
    else
        *base = (uint16_t)((*base & 0xff00) | value);
    /* Base and current are written together. */
    if (reg & 1)
        channel->count = *base;
    else
        channel->address = *base;
    chip->flip_flop = !chip->flip_flop;
}

static uint8_t chip_read_channel(struct dma_chip *chip, unsigned reg)
{
    const struct dma_channel *channel = &chip->channels[reg >> 1];
    uint16_t value = reg & 1 ? channel->count : channel->address;
    uint8_t byte = (uint8_t)(chip->flip_flop ? value >> 8 : value);
    chip->flip_flop = !chip->flip_flop;
    return byte;
}

static void chip_write(struct dma_pair *dma, unsigned which, unsigned reg, uint8_t value)
{
    struct dma_chip *chip = &dma->chips[which];
    uint8_t bit = (uint8_t)(1u << (value & 3));
    switch (reg) {
    case REG_COMMAND_STATUS:
        if (value & COMMAND_MEMORY_TO_MEMORY)
            LOG(dma->bus.log, UNIMP, "dma: memory-to-memory transfers do not exist on a PC");
        chip->command = value;
        break;
    case REG_REQUEST:
        chip->software_request = value & 4 ? chip->software_request | bit : chip->software_request & ~bit;
        break;
    case REG_SINGLE_MASK:
        chip->mask = value & 4 ? chip->mask | bit : chip->mask & ~bit;
        break;
    case REG_MODE:
        chip->channels[value & 3].mode = value;
        break;
    case REG_CLEAR_FLIP_FLOP:
        chip->flip_flop = false;
        break;
    case REG_MASTER_CLEAR:
        chip_clear(chip);
        break;
    case REG_CLEAR_MASK:
        chip->mask = 0;
        break;
    case REG_WRITE_MASK:
        chip->mask = value & 0x0f;
        break;
    default:
        chip_write_channel(chip, reg, value);
        break;
    }
    if (reg >= REG_COMMAND_STATUS)
        dma_notify(dma);
}

static uint8_t chip_read(struct dma_pair *dma, unsigned which, unsigned reg)
{
    struct dma_chip *chip = &dma->chips[which];
    switch (reg) {
    case REG_COMMAND_STATUS: {
        uint8_t requests = chip->hardware_request | chip->software_request;
        uint8_t value = (uint8_t)(chip->terminal | requests << 4);
        chip->terminal = 0;
        return value;
    }
    case REG_MASTER_CLEAR:
        return 0; /* temporary register: memory-to-memory only */
    case REG_WRITE_MASK:
        return chip->mask | 0xf0;
    case REG_REQUEST:
    case REG_SINGLE_MASK:
    case REG_MODE:
    case REG_CLEAR_FLIP_FLOP:
    case REG_CLEAR_MASK:
        return 0xff;
    default:
        return chip_read_channel(chip, reg);
    }
}

static uint64_t byte_chip_read(void *opaque, uint64_t offset, unsigned size)
{
    return chip_read(opaque, 0, (unsigned)offset);
}

static void byte_chip_write(void *opaque, uint64_t offset, unsigned size, uint64_t value)
{
    chip_write(opaque, 0, (unsigned)offset, (uint8_t)value);
}

/* The word controller's address lines are shifted by one: odd ports repeat the even ones. */
static uint64_t word_chip_read(void *opaque, uint64_t offset, unsigned size)
{
    return chip_read(opaque, 1, (unsigned)offset >> 1);
}

static void word_chip_write(void *opaque, uint64_t offset, unsigned size, uint64_t value)
{
    chip_write(opaque, 1, (unsigned)offset >> 1, (uint8_t)value);
}

static uint64_t page_read(void *opaque, uint64_t offset, unsigned size)
{
    struct dma_pair *dma = opaque;
    return dma->page[offset + 1];
}

static void page_write(void *opaque, uint64_t offset, unsigned size, uint64_t value)
{
    struct dma_pair *dma = opaque;
    dma->page[offset + 1] = (uint8_t)value;
}

static const struct region_ops byte_chip_ops = {.read = byte_chip_read, .write = byte_chip_write};
static const struct region_ops word_chip_ops = {.read = word_chip_read, .write = word_chip_write};
static const struct region_ops page_ops = {.read = page_read, .write = page_write};

static void dma_reset(struct device *device)
{
    struct dma_pair *dma = (struct dma_pair *)device;
    for (unsigned which = 0; which < CHIP_COUNT; which++) {
        uint8_t requests = dma->chips[which].hardware_request; /* pins belong to others */
        memset(&dma->chips[which], 0, sizeof(dma->chips[which]));
        dma->chips[which].hardware_request = requests;
        chip_clear(&dma->chips[which]);
    }
    memset(dma->page, 0, sizeof(dma->page));
}

static void dma_destroy(struct device *device)
{
    struct dma_pair *dma = (struct dma_pair *)device;
    port_space_remove(dma->bus.ports, &dma->chip_ports[0]);
    port_space_remove(dma->bus.ports, &dma->chip_ports[1]);
    port_space_remove(dma->bus.ports, &dma->page_ports);
    free(dma);
}

static void dma_describe(struct device *device, void (*print)(void *to, const char *line), void *to)
{
    struct dma_pair *dma = (struct dma_pair *)device;
    char line[120];
    for (unsigned i = 0; i < CHANNEL_COUNT; i++) {
        const struct dma_chip *chip = &dma->chips[i >> 2];
        const struct dma_channel *channel = &chip->channels[i & 3];
        snprintf(line, sizeof(line), "dma%u: address=%06x count=%04x mode=%02x%s%s", i, channel_address(dma, i),
                 channel->count, channel->mode, chip->mask >> (i & 3) & 1 ? " masked" : "",
                 chip->hardware_request >> (i & 3) & 1 ? " DREQ" : "");
        print(to, line);
    }
}

static const struct state_field channel_fields[] = {
    STATE_INT(struct dma_channel, base_address), STATE_INT(struct dma_channel, base_count),
    STATE_INT(struct dma_channel, address),      STATE_INT(struct dma_channel, count),
    STATE_INT(struct dma_channel, mode),         STATE_END,
};
static const struct state_field chip_fields[] = {
    STATE_ARRAY(struct dma_chip, channels, channel_fields),
    STATE_INT(struct dma_chip, command),
    STATE_INT(struct dma_chip, terminal),
    STATE_INT(struct dma_chip, mask),
    STATE_INT(struct dma_chip, software_request),
    STATE_INT(struct dma_chip, hardware_request),
    STATE_INT(struct dma_chip, flip_flop),
    STATE_END,
};
static const struct state_field dma_fields[] = {
    STATE_ARRAY(struct dma_pair, chips, chip_fields),
    STATE_BYTES(struct dma_pair, page),
    STATE_END,
};
static const struct state_table dma_state = {"i8237", 1, dma_fields, NULL};
static const struct device_ops dma_ops = {
    .name = "i8237",
    .reset = dma_reset,
    .destroy = dma_destroy,
    .state = &dma_state,
    .describe = dma_describe,
};

struct dma_pair *dma_create(const struct device_bus *bus)
{
    struct dma_pair *dma = device_allocate(sizeof(*dma), &dma_ops, "dma");
    if (!dma)
        return NULL;
    dma->bus = *bus;
    dma->chip_ports[0] = (struct port_range){
        .name = "dma1", .base = 0x00, .count = 16, .ops = &byte_chip_ops, .opaque = dma, .enabled = true};
    dma->chip_ports[1] = (struct port_range){
        .name = "dma2", .base = 0xc0, .count = 32, .ops = &word_chip_ops, .opaque = dma, .enabled = true};
    dma->page_ports = (struct port_range){
        .name = "dma-page", .base = 0x81, .count = 15, .ops = &page_ops, .opaque = dma, .enabled = true};
    port_space_add(bus->ports, &dma->chip_ports[0]);
    port_space_add(bus->ports, &dma->chip_ports[1]);
    port_space_add(bus->ports, &dma->page_ports);
    dma_reset(&dma->device);
    return dma;
}

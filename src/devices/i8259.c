/* Two 8259A interrupt controllers in cascade.
 *
 * Each chip is a pure function from (input lines, edge latches, masks, in-service bits, priorities)
 * to one INT output; pic_update() recomputes it after every change.
 *
 * Edge-triggered requests follow the data sheet: a rising edge sets the latch and the request is
 * there for as long as the line stays high.  The one exception is IRQ 0: its latch outlives a falling
 * line, because the PIT's square wave is in its low half for 27 ms and an emulator that was
 * descheduled for so long must not lose the tick. */
#include "devices/i8259.h"

#include <string.h>

enum { MASTER, SLAVE, CHIP_COUNT };
enum { CASCADE_IRQ = 2 };

/* ICW1, ICW4, OCW2 and OCW3 bits: 8259A data sheet, figures 7 and 8. */
enum {
    ICW1_NEEDS_ICW4 = 0x01,
    ICW1_SINGLE = 0x02,
    ICW1_INIT = 0x10,
    ICW4_AUTO_EOI = 0x02,
    ICW4_SFNM = 0x10,
    OCW3_SELECT = 0x08,
    OCW3_POLL = 0x04
};

enum init_step { INIT_DONE, INIT_ICW2, INIT_ICW3, INIT_ICW4 };

struct pic_chip {
    uint8_t lines;       /* input pins */
    uint8_t edge_latch;  /* rising edges not yet acknowledged */
    uint8_t imr;         /* masked inputs */
    uint8_t isr;         /* in service */
    uint8_t elcr;        /* level-triggered inputs */
    uint8_t vector_base; /* bits 7:3 */
    uint8_t lowest;      /* input with the lowest priority, 7 after ICW1 */
    uint8_t init_step;   /* enum init_step */
    uint8_t icw1;
    uint8_t icw3;
    bool auto_eoi;
    bool rotate_on_auto_eoi;
    bool special_fully_nested;
    bool special_mask;
    bool read_isr;
    bool poll; /* the next read is an acknowledge */
    bool output;
};

struct pic_pair {
    struct device device;
    struct device_bus bus;
    struct irq_line intr;
    struct pic_chip chips[CHIP_COUNT];
    uint64_t counts[16];
    struct port_range command_ports[CHIP_COUNT];
    struct port_range elcr_ports;
};

static const uint8_t elcr_writable[CHIP_COUNT] = {0xf8, 0xde}; /* PIIX3, ELCR: 0, 1, 2, 8, 13 are edge */
static const uint8_t sticky_edges[CHIP_COUNT] = {0x01, 0x00};

static uint8_t chip_irr(const struct pic_chip *chip)
{
    return (chip->lines & chip->elcr) | (chip->edge_latch & ~chip->elcr);
}

/* Priority of INPUT: 0 is highest. */
static unsigned chip_priority(const struct pic_chip *chip, unsigned input)
{
    return (input - chip->lowest - 1) & 7;
}

/* The input of the highest priority among the bits of SET, which is not 0. */
static unsigned chip_highest(const struct pic_chip *chip, uint8_t set)
{
    unsigned input = (chip->lowest + 1) & 7;
    while (!(set & (1u << input)))
        input = (input + 1) & 7;
    return input;
}

/* The input that requests service now, or -1. */
static int chip_request(const struct pic_pair *pic, unsigned which)
{
    const struct pic_chip *chip = &pic->chips[which];
    uint8_t requests = chip_irr(chip) & ~chip->imr;
    if (!requests || chip->init_step != INIT_DONE)
        return -1;
    unsigned input = chip_highest(chip, requests);
    /* Special mask mode: a masked level in service holds nobody back (data sheet, "Special Mask Mode"). */
    uint8_t blocking = chip->special_mask ? chip->isr & ~chip->imr : chip->isr;
    if (!blocking)
        return (int)input;
    unsigned serving = chip_priority(chip, chip_highest(chip, blocking));
    unsigned asking = chip_priority(chip, input);
    if (asking < serving)
        return (int)input;
    /* Special fully nested mode: a slave in service does not lock out its own further requests. */
    if (asking == serving && which == MASTER && input == CASCADE_IRQ && chip->special_fully_nested)
        return (int)input;
    return -1;
}

static void chip_set_line(struct pic_chip *chip, unsigned which, unsigned input, bool level)
{
    uint8_t bit = (uint8_t)(1u << input);
    if (level) {
        if (!(chip->lines & bit))
            chip->edge_latch |= bit;
        chip->lines |= bit;
    } else {
        chip->lines &= ~bit;
        chip->edge_latch &= ~(bit & ~sticky_edges[which]);
    }
}

static void pic_update(struct pic_pair *pic)
{
    struct pic_chip *slave = &pic->chips[SLAVE];
    slave->output = chip_request(pic, SLAVE) >= 0;
    chip_set_line(&pic->chips[MASTER], MASTER, CASCADE_IRQ, slave->output);
    bool output = chip_request(pic, MASTER) >= 0;
    if (output != pic->chips[MASTER].output) {
        pic->chips[MASTER].output = output;
        irq_set(&pic->intr, output);
    }
}

void pic_set_irq(void *opaque, unsigned irq, bool level)
{
    struct pic_pair *pic = opaque;
    if (irq > 15 || irq == CASCADE_IRQ)
        return;
    chip_set_line(&pic->chips[irq >> 3], irq >> 3, irq & 7, level);
    pic_update(pic);
}

static void chip_begin_service(struct pic_pair *pic, unsigned which, unsigned input)
{
    struct pic_chip *chip = &pic->chips[which];
    uint8_t bit = (uint8_t)(1u << input);
    chip->edge_latch &= ~bit;
    if (!chip->auto_eoi)
        chip->isr |= bit;
    else if (chip->rotate_on_auto_eoi)
        chip->lowest = (uint8_t)input;
    /* The slave's INT falls during the acknowledge cycle, so that a further request of its makes
     * a new edge for the master. */
    if (which == SLAVE) {
        chip_set_line(&pic->chips[MASTER], MASTER, CASCADE_IRQ, false);
        pic->chips[SLAVE].output = false;
    }
}

bool pic_is_pending(const struct pic_pair *pic)
{
    return pic->chips[MASTER].output;
}

int pic_acknowledge(struct pic_pair *pic)
{
    struct pic_chip *master = &pic->chips[MASTER], *slave = &pic->chips[SLAVE];
    int input = chip_request(pic, MASTER);
    int vector;
    if (input < 0) {
        /* "Default IR7": vector 7 without an in-service bit. */
        pic->counts[7]++;
        vector = master->vector_base + 7;
    } else {
        chip_begin_service(pic, MASTER, (unsigned)input);
        if (input == CASCADE_IRQ && !(master->icw1 & ICW1_SINGLE)) {
            int slave_input = chip_request(pic, SLAVE);
            if (slave_input >= 0)
                chip_begin_service(pic, SLAVE, (unsigned)slave_input);
            else
                slave_input = 7;
            pic->counts[8 + slave_input]++;
            vector = slave->vector_base + slave_input;
        } else {
            pic->counts[input]++;
            vector = master->vector_base + input;
        }
    }
    pic_update(pic);
    return vector;
}

uint64_t pic_irq_count(const struct pic_pair *pic, unsigned irq)
{
    return irq < 16 ? pic->counts[irq] : 0;
}

void pic_set_elcr(struct pic_pair *pic, uint16_t level_triggered)
{
    for (unsigned which = 0; which < CHIP_COUNT; which++)
        pic->chips[which].elcr = (uint8_t)(level_triggered >> (8 * which)) & elcr_writable[which];
    pic_update(pic);
}

static void chip_write_icw1(struct pic_chip *chip, uint8_t value)
{
    chip->icw1 = value;
    chip->edge_latch = 0;
    chip->imr = 0;
    chip->isr = 0;
    chip->lowest = 7;
    chip->special_mask = false;
    chip->read_isr = false;
    chip->poll = false;
    chip->icw3 = 7;
    chip->rotate_on_auto_eoi = false;
    if (!(value & ICW1_NEEDS_ICW4)) {
        chip->auto_eoi = false;
        chip->special_fully_nested = false;
    }
    chip->init_step = INIT_ICW2;
}

static void chip_end_of_interrupt(struct pic_chip *chip, uint8_t value)
{
    bool rotate = value & 0x80, specific = value & 0x40, eoi = value & 0x20;
    uint8_t level = value & 7;
    if (!eoi) {
        if (!specific)
            chip->rotate_on_auto_eoi = rotate;
        else if (rotate)
            chip->lowest = level; /* set priority */
        return;
    }
    if (!specific) {
        /* Masked levels are not ended by a non-specific EOI in special mask mode. */
        uint8_t candidates = chip->special_mask ? chip->isr & ~chip->imr : chip->isr;
        if (!candidates)
            return;
        level = (uint8_t)chip_highest(chip, candidates);
    }
    chip->isr &= ~(1u << level);
    if (rotate)
        chip->lowest = level;
}

static void chip_write_command(struct pic_chip *chip, uint8_t value)
{
    if (value & ICW1_INIT) {
        chip_write_icw1(chip, value);
    } else if (value & OCW3_SELECT) {
        chip->poll = value & OCW3_POLL;
        if (value & 0x02)
            chip->read_isr = value & 0x01;
        if (value & 0x40)
            chip->special_mask = value & 0x20;
    } else {
        chip_end_of_interrupt(chip, value);
    }
}

static void chip_write_data(struct pic_chip *chip, uint8_t value)
{
    switch ((enum init_step)chip->init_step) {
    case INIT_DONE:
        chip->imr = value;
        break;
    case INIT_ICW2:
        chip->vector_base = value & 0xf8;
        if (!(chip->icw1 & ICW1_SINGLE))
            chip->init_step = INIT_ICW3;
        else
            chip->init_step = chip->icw1 & ICW1_NEEDS_ICW4 ? INIT_ICW4 : INIT_DONE;
        break;
    case INIT_ICW3:
        /* The wiring is fixed: slave on IR2. */
        chip->icw3 = value;
        chip->init_step = chip->icw1 & ICW1_NEEDS_ICW4 ? INIT_ICW4 : INIT_DONE;
        break;
    case INIT_ICW4:
        chip->auto_eoi = value & ICW4_AUTO_EOI;
        chip->special_fully_nested = value & ICW4_SFNM;
        chip->init_step = INIT_DONE;
        break;
    }
}

static void chip_port_write(struct pic_pair *pic, unsigned which, uint64_t offset, uint64_t value)
{
    struct pic_chip *chip = &pic->chips[which];
    if (offset & 1)
        chip_write_data(chip, (uint8_t)value);
    else
        chip_write_command(chip, (uint8_t)value);
    pic_update(pic);
}

static uint64_t chip_port_read(struct pic_pair *pic, unsigned which, uint64_t offset)
{
    struct pic_chip *chip = &pic->chips[which];
    if (chip->poll) {
        chip->poll = false;
        int input = chip_request(pic, which);
        if (input < 0)
            return 0;
        chip_begin_service(pic, which, (unsigned)input);
        pic_update(pic);
        return 0x80u | (unsigned)input;
    }
    if (offset & 1)
        return chip->imr;
    return chip->read_isr ? chip->isr : chip_irr(chip);
}

static void master_write(void *opaque, uint64_t offset, unsigned size, uint64_t value)
{
    chip_port_write(opaque, MASTER, offset, value);
}

static uint64_t master_read(void *opaque, uint64_t offset, unsigned size)
{
    return chip_port_read(opaque, MASTER, offset);
}

static void slave_write(void *opaque, uint64_t offset, unsigned size, uint64_t value)
{
    chip_port_write(opaque, SLAVE, offset, value);
}

static uint64_t slave_read(void *opaque, uint64_t offset, unsigned size)
{
    return chip_port_read(opaque, SLAVE, offset);
}

static void elcr_write(void *opaque, uint64_t offset, unsigned size, uint64_t value)
{
    struct pic_pair *pic = opaque;
    pic->chips[offset & 1].elcr = (uint8_t)value & elcr_writable[offset & 1];
    pic_update(pic);
}

static uint64_t elcr_read(void *opaque, uint64_t offset, unsigned size)
{
    struct pic_pair *pic = opaque;
    return pic->chips[offset & 1].elcr;
}

static const struct region_ops chip_ops[CHIP_COUNT] = {
    {.read = master_read, .write = master_write},
    {.read = slave_read, .write = slave_write},
};
static const struct region_ops elcr_ops = {.read = elcr_read, .write = elcr_write};

static void pic_reset(struct device *device)
{
    struct pic_pair *pic = (struct pic_pair *)device;
    for (unsigned which = 0; which < CHIP_COUNT; which++) {
        struct pic_chip *chip = &pic->chips[which];
        uint8_t lines = chip->lines; /* pins belong to others */
        bool output = chip->output;
        memset(chip, 0, sizeof(*chip));
        chip->lines = lines;
        chip->output = output;
        chip->lowest = 7;
    }
    pic_update(pic);
}

static void pic_destroy(struct device *device)
{
    struct pic_pair *pic = (struct pic_pair *)device;
    port_space_remove(pic->bus.ports, &pic->command_ports[MASTER]);
    port_space_remove(pic->bus.ports, &pic->command_ports[SLAVE]);
    port_space_remove(pic->bus.ports, &pic->elcr_ports);
    free(pic);
}

static void pic_describe(struct device *device, void (*print)(void *to, const char *line), void *to)
{
    struct pic_pair *pic = (struct pic_pair *)device;
    char line[160];
    for (unsigned which = 0; which < CHIP_COUNT; which++) {
        const struct pic_chip *chip = &pic->chips[which];
        snprintf(line, sizeof(line),
                 "pic%u: irr=%02x imr=%02x isr=%02x hprio=%u irq_base=%02x rr_sel=%u elcr=%02x fnm=%u", which,
                 chip_irr(chip), chip->imr, chip->isr, (chip->lowest + 1u) & 7, chip->vector_base, chip->read_isr,
                 chip->elcr, chip->special_fully_nested);
        print(to, line);
    }
}

static const struct state_field chip_fields[] = {
    STATE_INT(struct pic_chip, lines),
    STATE_INT(struct pic_chip, edge_latch),
    STATE_INT(struct pic_chip, imr),
    STATE_INT(struct pic_chip, isr),
    STATE_INT(struct pic_chip, elcr),
    STATE_INT(struct pic_chip, vector_base),
    STATE_INT(struct pic_chip, lowest),
    STATE_INT(struct pic_chip, init_step),
    STATE_INT(struct pic_chip, icw1),
    STATE_INT(struct pic_chip, icw3),
    STATE_INT(struct pic_chip, auto_eoi),
    STATE_INT(struct pic_chip, rotate_on_auto_eoi),
    STATE_INT(struct pic_chip, special_fully_nested),
    STATE_INT(struct pic_chip, special_mask),
    STATE_INT(struct pic_chip, read_isr),
    STATE_INT(struct pic_chip, poll),
    STATE_INT(struct pic_chip, output),
    STATE_END,
};
static const struct state_field pic_fields[] = {
    STATE_ARRAY(struct pic_pair, chips, chip_fields),
    STATE_INT_ARRAY(struct pic_pair, counts),
    STATE_END,
};

static void pic_loaded(void *object)
{
    struct pic_pair *pic = object;
    for (unsigned which = 0; which < CHIP_COUNT; which++) {
        pic->chips[which].lowest &= 7;
        pic->chips[which].init_step &= 3;
    }
    irq_set(&pic->intr, pic->chips[MASTER].output);
}

static const struct state_table pic_state = {"i8259", 1, pic_fields, .loaded = pic_loaded};

static const struct device_ops pic_ops = {
    .name = "i8259",
    .reset = pic_reset,
    .destroy = pic_destroy,
    .state = &pic_state,
    .describe = pic_describe,
};

struct pic_pair *pic_create(const struct device_bus *bus, struct irq_line intr_output)
{
    struct pic_pair *pic = device_allocate(sizeof(*pic), &pic_ops, "pic");
    if (!pic)
        return NULL;
    pic->bus = *bus;
    pic->intr = intr_output;
    static const uint16_t bases[CHIP_COUNT] = {0x20, 0xa0};
    static const char *const names[CHIP_COUNT] = {"pic-master", "pic-slave"};
    for (unsigned which = 0; which < CHIP_COUNT; which++) {
        pic->command_ports[which] = (struct port_range){
            .name = names[which],
            .base = bases[which],
            .count = 2,
            .ops = &chip_ops[which],
            .opaque = pic,
            .enabled = true,
        };
        port_space_add(bus->ports, &pic->command_ports[which]);
    }
    pic->elcr_ports = (struct port_range){
        .name = "pic-elcr", .base = 0x4d0, .count = 2, .ops = &elcr_ops, .opaque = pic, .enabled = true};
    port_space_add(bus->ports, &pic->elcr_ports);
    pic_reset(&pic->device);
    return pic;
}

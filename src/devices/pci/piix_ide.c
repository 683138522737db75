#include "devices/pci/piix_ide.h"
#include "devices/ide_private.h"

#include <string.h>

enum { BUS_MASTER_PORTS = 16, TIMING_DECODE = 0x8000 };
/* Bus master registers of a channel: command, status, descriptor table pointer. */
enum { BM_COMMAND = 0, BM_STATUS = 2, BM_TABLE = 4 };
enum { COMMAND_START = 0x01, COMMAND_TO_MEMORY = 0x08 };
enum { STATUS_ACTIVE = 0x01, STATUS_BUS_ERROR = 0x02, STATUS_INTERRUPT = 0x04, STATUS_DRIVES_CAN = 0x60 };

/* Physical region descriptor:  31..1 address | 0     31 end of table | 15..1 bytes, 0 for 64 KiB | 0 */
#define PRD_END 0x80000000u

struct bus_master {
    uint8_t command, status;
    uint32_t table;   /* the register */
    uint32_t next;    /* descriptor to fetch */
    uint32_t address; /* of the present region */
    uint32_t left;    /* bytes in it */
    bool last;
};

struct piix_ide {
    struct pci_device pci;
    struct irq_line irqs[PIIX_IDE_CHANNELS];
    struct bus_master masters[PIIX_IDE_CHANNELS];
    struct port_range master_ports;
    struct ide_channel channels[PIIX_IDE_CHANNELS];
};

/* ---- bus master ---- */

static void fetch_descriptor(struct piix_ide *ide, struct bus_master *master)
{
    struct memory *memory = ide->pci.bus.memory;
    master->address = (uint32_t)memory_read(memory, master->next, 4) & ~1u;
    uint32_t second = (uint32_t)memory_read(memory, (uint64_t)master->next + 4, 4);
    master->left = second & 0xfffe ? second & 0xfffe : 0x10000;
    master->last = second & PRD_END;
    /* A table does not cross a 64 KiB boundary: the counter is 16 bits wide. */
    master->next = (master->next & 0xffff0000) | ((master->next + 8) & 0xffff);
}

static size_t master_transfer(void *opaque, unsigned channel, uint8_t *data, size_t length, bool to_memory)
{
    struct piix_ide *ide = opaque;
    struct bus_master *master = &ide->masters[channel];
    size_t moved = 0;
    if (!(pci_get16(ide->pci.config, PCI_COMMAND) & PCI_COMMAND_MASTER))
        return 0;
    if ((master->status & STATUS_ACTIVE) && !(master->command & COMMAND_TO_MEMORY) == to_memory)
        LOG(ide->pci.bus.log, GUEST_ERRORS, "ide%u: the bus master is set for the other direction", channel);
    while (moved < length && (master->status & STATUS_ACTIVE)) {
        if (!master->left)
            fetch_descriptor(ide, master);
        size_t n = length - moved < master->left ? length - moved : master->left;
        if (to_memory)
            memory_write_bytes(ide->pci.bus.memory, master->address, data + moved, n);
        else
            memory_read_bytes(ide->pci.bus.memory, master->address, data + moved, n);
        moved += n;
        master->address += (uint32_t)n;
        master->left -= (uint32_t)n;
        if (!master->left && master->last)
            master->status &= ~STATUS_ACTIVE;
    }
    return moved;
}

static void write_master_command(struct piix_ide *ide, unsigned channel, uint8_t value)
{
    struct bus_master *master = &ide->masters[channel];
    bool was = master->command & COMMAND_START, is = value & COMMAND_START;
    master->command = value & (COMMAND_START | COMMAND_TO_MEMORY);
    if (is && !was) {
        master->status |= STATUS_ACTIVE;
        master->next = master->table;
        master->left = 0;
        master->last = false;
        ide_channel_dma_ready(&ide->channels[channel]);
    } else if (!is && was) {
        master->status &= ~STATUS_ACTIVE; /* what was under way is lost */
    }
}

static uint64_t master_read(void *opaque, uint64_t offset, unsigned size)
{
    struct piix_ide *ide = opaque;
    const struct bus_master *master = &ide->masters[offset >> 3 & 1];
    uint64_t value = 0;
    for (unsigned i = 0; i < size; i++) {
        unsigned reg = (unsigned)(offset + i) & 7;
        uint8_t byte = 0;
        if (reg == BM_COMMAND)
            byte = master->command;
        else if (reg == BM_STATUS)
            byte = master->status;
        else if (reg >= BM_TABLE)
            byte = (uint8_t)(master->table >> (8 * (reg - BM_TABLE)));
        value |= (uint64_t)byte << (8 * i);
    }
    return value;
}

static void master_write(void *opaque, uint64_t offset, unsigned size, uint64_t value)
{
    struct piix_ide *ide = opaque;
    unsigned channel = offset >> 3 & 1;
    struct bus_master *master = &ide->masters[channel];
    for (unsigned i = 0; i < size; i++) {
        unsigned reg = (unsigned)(offset + i) & 7;
        uint8_t byte = (uint8_t)(value >> (8 * i));
        if (reg == BM_COMMAND) {
            write_master_command(ide, channel, byte);
        } else if (reg == BM_STATUS) {
            uint8_t kept = master->status & ~(byte & (STATUS_INTERRUPT | STATUS_BUS_ERROR));
            master->status = (uint8_t)((kept & ~STATUS_DRIVES_CAN) | (byte & STATUS_DRIVES_CAN));
        } else if (reg >= BM_TABLE) {
            unsigned shift = 8 * (reg - BM_TABLE);
            master->table = ((master->table & ~(0xffu << shift)) | (uint32_t)byte << shift) & ~3u;
        }
    }
}

static const struct region_ops master_ops = {.read = master_read, .write = master_write, .max_access = 4};

static void channel_interrupt(void *opaque, unsigned channel, bool level)
{
    struct piix_ide *ide = opaque;
    if (level)
        ide->masters[channel].status |= STATUS_INTERRUPT;
    irq_set(&ide->irqs[channel], level);
}

/* ---- the function ---- */

static void update_decode(struct piix_ide *ide)
{
    bool io = pci_get16(ide->pci.config, PCI_COMMAND) & PCI_COMMAND_IO;
    for (unsigned i = 0; i < PIIX_IDE_CHANNELS; i++)
        ide_channel_set_decode(&ide->channels[i],
                               io && (pci_get16(ide->pci.config, PIIX_IDE_TIMING + 2 * i) & TIMING_DECODE));
}

static void ide_config_written(struct pci_device *pci, unsigned offset, unsigned size)
{
    struct piix_ide *ide = (struct piix_ide *)pci;
    update_decode(ide);
    /* Bus mastering may have become allowed for a transfer that waits. */
    if (offset <= PCI_COMMAND && offset + size > PCI_COMMAND && (pci->config[PCI_COMMAND] & PCI_COMMAND_MASTER)) {
        for (unsigned i = 0; i < PIIX_IDE_CHANNELS; i++) {
            if (ide->masters[i].status & STATUS_ACTIVE)
                ide_channel_dma_ready(&ide->channels[i]);
        }
    }
}

void piix_ide_set_up(struct piix_ide *ide)
{
    pci_set16(ide->pci.config, PIIX_IDE_TIMING, TIMING_DECODE);
    pci_set16(ide->pci.config, PIIX_IDE_TIMING + 2, TIMING_DECODE);
    pci_config_write(&ide->pci, PCI_COMMAND, 2, PCI_COMMAND_IO | PCI_COMMAND_MASTER);
}

bool piix_ide_attach(struct piix_ide *ide, unsigned channel, unsigned drive, const struct ide_drive_config *config,
                     struct error *err)
{
    if (channel >= PIIX_IDE_CHANNELS || drive >= PIIX_IDE_DRIVES)
        return error_set(err, "IDE has channels 0 and 1 with drives 0 and 1 each, not %u, %u", channel, drive);
    return ide_channel_attach(&ide->channels[channel], drive, config, err);
}

struct ide_drive_info piix_ide_info(const struct piix_ide *ide, unsigned channel, unsigned drive)
{
    const struct ide_drive *d = &ide->channels[channel & 1].drives[drive & 1];
    return (struct ide_drive_info){.kind = d->kind,
                                   .block = d->block,
                                   .cylinders = d->default_cylinders,
                                   .heads = d->default_heads,
                                   .sectors = d->default_sectors,
                                   .tray_open = d->tray_open,
                                   .locked = d->locked};
}

void piix_ide_change_medium(struct piix_ide *ide, unsigned channel, unsigned drive, struct block *block)
{
    struct ide_drive *d = &ide->channels[channel & 1].drives[drive & 1];
    if (d->kind == IDE_CDROM)
        atapi_change_medium(d, block);
}

void piix_ide_set_tray(struct piix_ide *ide, unsigned channel, unsigned drive, bool open)
{
    struct ide_drive *d = &ide->channels[channel & 1].drives[drive & 1];
    if (d->kind == IDE_CDROM)
        atapi_set_tray(d, open);
}

void piix_ide_request_eject(struct piix_ide *ide, unsigned channel, unsigned drive)
{
    struct ide_drive *d = &ide->channels[channel & 1].drives[drive & 1];
    if (d->kind == IDE_CDROM)
        d->media_event = EVENT_EJECT_REQUEST;
}

static void piix_ide_reset(struct device *device)
{
    struct piix_ide *ide = (struct piix_ide *)device;
    pci_device_reset(&ide->pci);
    pci_set16(ide->pci.config, PCI_STATUS, 0x0280);
    memset(ide->pci.config + PIIX_IDE_TIMING, 0, 5);
    update_decode(ide);
    memset(ide->masters, 0, sizeof ide->masters);
    for (unsigned i = 0; i < PIIX_IDE_CHANNELS; i++)
        ide_channel_reset(&ide->channels[i]);
}

static void piix_ide_destroy(struct device *device)
{
    struct piix_ide *ide = (struct piix_ide *)device;
    for (unsigned i = 0; i < PIIX_IDE_CHANNELS; i++)
        ide_channel_finish(&ide->channels[i]);
    pci_device_finish(&ide->pci);
    free(ide);
}

static void piix_ide_describe(struct device *device, void (*print)(void *to, const char *line), void *to)
{
    struct piix_ide *ide = (struct piix_ide *)device;
    char line[120];
    for (unsigned i = 0; i < PIIX_IDE_CHANNELS; i++) {
        const struct bus_master *master = &ide->masters[i];
        snprintf(line, sizeof line, "ide%u: %s, bus master command=%02x status=%02x table=%08x", i,
                 ide->channels[i].command_ports.enabled ? "on" : "off", master->command, master->status, master->table);
        print(to, line);
        ide_channel_describe(&ide->channels[i], print, to);
    }
}

static const struct state_field master_fields[] = {
    STATE_INT(struct bus_master, command), STATE_INT(struct bus_master, status),
    STATE_INT(struct bus_master, table),   STATE_INT(struct bus_master, next),
    STATE_INT(struct bus_master, address), STATE_INT(struct bus_master, left),
    STATE_INT(struct bus_master, last),    STATE_END,
};
static const struct state_field piix_ide_fields[] = {
    PCI_STATE_FIELDS(struct piix_ide, pci),
    STATE_ARRAY(struct piix_ide, masters, master_fields),
    STATE_ARRAY(struct piix_ide, channels, ide_channel_fields),
    STATE_END,
};

static void piix_ide_loaded(void *object)
{
    struct piix_ide *ide = object;
    pci_device_loaded(&ide->pci);
    update_decode(ide);
    for (unsigned i = 0; i < PIIX_IDE_CHANNELS; i++)
        ide_channel_loaded(&ide->channels[i]);
}

static const struct state_table piix_ide_state = {"piix3-ide", 1, piix_ide_fields, .loaded = piix_ide_loaded};
static const struct device_ops piix_ide_ops = {
    .name = "piix3-ide",
    .reset = piix_ide_reset,
    .destroy = piix_ide_destroy,
    .state = &piix_ide_state,
    .describe = piix_ide_describe,
};

struct piix_ide *piix_ide_create(const struct device_bus *bus, struct pci_bus *pci, struct irq_line primary,
                                 struct irq_line secondary, struct ide_events events)
{
    static const uint16_t command_bases[] = {0x1f0, 0x170}, control_bases[] = {0x3f6, 0x376};
    struct piix_ide *ide = device_allocate(sizeof(*ide), &piix_ide_ops, "piix3-ide");
    if (!ide)
        return NULL;
    ide->irqs[0] = primary;
    ide->irqs[1] = secondary;
    pci_device_init(&ide->pci, bus, pci, PCI_DEVFN(1, 1), 0x8086, 0x7010, 0x0101);
    ide->pci.config[PCI_PROGRAMMING_INTERFACE] = 0x80; /* bus master, legacy ports */
    ide->pci.config_written = ide_config_written;
    uint8_t *writable = ide->pci.writable;
    pci_set16(writable, PCI_COMMAND, PCI_COMMAND_IO | PCI_COMMAND_MASTER);
    writable[PCI_CACHE_LINE_SIZE] = writable[PCI_INTERRUPT_LINE] = 0;
    writable[PCI_LATENCY_TIMER] = 0xf0;
    pci_set16(writable, PIIX_IDE_TIMING, 0xf3ff);
    pci_set16(writable, PIIX_IDE_TIMING + 2, 0xf3ff);
    writable[PIIX_IDE_TIMING + 4] = 0xff; /* slave timing */
    pci_set16(ide->pci.write_1_clears, PCI_STATUS, 0x3800);
    ide->master_ports =
        (struct port_range){.name = "ide-bus-master", .count = BUS_MASTER_PORTS, .ops = &master_ops, .opaque = ide};
    pci_device_set_io_bar(&ide->pci, 4, &ide->master_ports, BUS_MASTER_PORTS);
    const struct ide_adapter adapter = {channel_interrupt, master_transfer, ide};
    for (unsigned i = 0; i < PIIX_IDE_CHANNELS; i++) {
        ide_channel_init(&ide->channels[i], i, bus, &adapter, command_bases[i], control_bases[i]);
        ide->channels[i].events = events;
    }
    piix_ide_reset(&ide->pci.device);
    return ide;
}

#include "devices/pci/piix4_pm.h"
#include "devices/ticks.h"

#include <string.h>

enum { PM_SIZE = 64, SMBUS_SIZE = 16 };
enum { MISC_IO_ENABLED = 0x01, SMBUS_ENABLED = 0x01 };
/* PMSTS and PMEN bits. */
enum {
    EVENT_TIMER = 0x0001,
    EVENT_GLOBAL = 0x0020,
    EVENT_POWER_BUTTON = 0x0100,
    EVENT_RTC = 0x0400,
    EVENT_RESUME = 0x8000,
    EVENT_SCI = EVENT_TIMER | EVENT_GLOBAL | EVENT_POWER_BUTTON | EVENT_RTC
};
enum { CONTROL_SCI_EN = 0x0001, CONTROL_SLP_EN = 0x2000, CONTROL_STORED = 0x1c03 };
/* TMROF_STS is set whenever bit 23 of the timer changes. */
#define TIMER_HALF 0x800000u

/* DEVACTB bit 25: firmware that finds APMC SMIs enabled takes SMM for set up, and leaves it alone. */
enum { DEVACTB_HIGH = 0x5b, DEVACTB_APMC_EN = 0x02 };

/* SMBus host registers; nobody answers on the bus. */
enum { SMB_STATUS = 0, SMB_CONTROL = 2, SMB_STATUS_DEVICE_ERROR = 0x04, SMB_CONTROL_START = 0x40 };

struct piix4_pm {
    struct pci_device pci;
    struct irq_line sci;
    struct piix4_pm_events events;
    uint16_t status, enable, control;
    uint64_t next_overflow; /* in timer ticks */
    uint16_t gpe_status, gpe_enable;
    uint8_t apm_control, apm_status;
    uint8_t other[PM_SIZE]; /* registers that are only stored */
    uint8_t smbus[SMBUS_SIZE];
    struct timer overflow_timer;
    struct port_range pm_ports, smbus_ports, gpe_ports, apm_ports;
};

static uint64_t pm_ticks(const struct piix4_pm *pm)
{
    return ticks_at(clock_now(pm->pci.bus.clock), PM_TIMER_HERTZ);
}

static uint64_t following_overflow(uint64_t ticks)
{
    return (ticks / TIMER_HALF + 1) * TIMER_HALF;
}

/* Notices timer overflows, drives SCI and arms the timer if an overflow is to raise it. */
static void pm_update(struct piix4_pm *pm)
{
    uint64_t ticks = pm_ticks(pm);
    if (ticks >= pm->next_overflow) {
        pm->status |= EVENT_TIMER;
        pm->next_overflow = following_overflow(ticks);
    }
    bool events = pm->status & pm->enable & EVENT_SCI;
    bool gpes = pm->gpe_status & pm->gpe_enable;
    /* Without SCI_EN these would be SMIs, and there is no SMM handler to take them. */
    irq_set(&pm->sci, (events || gpes) && (pm->control & CONTROL_SCI_EN));
    if ((pm->enable & EVENT_TIMER) && !(pm->status & EVENT_TIMER))
        timer_set(&pm->overflow_timer, ticks_to_time(pm->next_overflow, PM_TIMER_HERTZ));
    else
        timer_cancel(&pm->overflow_timer);
}

static void pm_overflow_fired(void *opaque)
{
    pm_update(opaque);
}

/* ---- PM I/O block ---- */

static uint8_t pm_read_byte(struct piix4_pm *pm, unsigned offset)
{
    switch (offset) {
    case PIIX4_PM_STATUS:
    case PIIX4_PM_STATUS + 1:
        return (uint8_t)(pm->status >> 8 * (offset & 1));
    case PIIX4_PM_ENABLE:
    case PIIX4_PM_ENABLE + 1:
        return (uint8_t)(pm->enable >> 8 * (offset & 1));
    case PIIX4_PM_CONTROL:
    case PIIX4_PM_CONTROL + 1:
        return (uint8_t)(pm->control >> 8 * (offset & 1));
    case PIIX4_PM_TIMER ... PIIX4_PM_TIMER + 2:
        return (uint8_t)(pm_ticks(pm) >> 8 * (offset & 3));
    case PIIX4_PM_TIMER + 3:
        return 0; /* 24 bits */
    default:
        return pm->other[offset];
    }
}

static uint64_t pm_read(void *opaque, uint64_t offset, unsigned size)
{
    struct piix4_pm *pm = opaque;
    if (offset == PIIX4_PM_TIMER && size == 4)
        return pm_ticks(pm) & 0xffffff;
    pm_update(pm);
    uint64_t value = 0;
    for (unsigned i = 0; i < size; i++)
        value |= (uint64_t)pm_read_byte(pm, (unsigned)offset + i) << (8 * i);
    return value;
}

static void pm_write_control(struct piix4_pm *pm, uint16_t value)
{
    pm->control = value & CONTROL_STORED; /* SLP_EN reads as 0 */
    if ((value & CONTROL_SLP_EN) && pm->events.sleep)
        pm->events.sleep(pm->events.opaque, value >> 10 & 7);
}

/* BYTES of a 16-bit register at OFFSET within it, merged into OLD. */
static uint16_t merge16(uint16_t old, unsigned offset, uint8_t byte)
{
    return offset ? (uint16_t)((old & 0x00ff) | byte << 8) : (uint16_t)((old & 0xff00) | byte);
}

static void pm_write(void *opaque, uint64_t offset, unsigned size, uint64_t value)
{
    struct piix4_pm *pm = opaque;
    uint16_t control = pm->control;
    bool control_written = false;
    pm_update(pm);
    for (unsigned i = 0; i < size; i++) {
        unsigned at = (unsigned)offset + i;
        uint8_t byte = (uint8_t)(value >> (8 * i));
        switch (at) {
        case PIIX4_PM_STATUS:
        case PIIX4_PM_STATUS + 1:
            pm->status &= (uint16_t) ~(byte << 8 * (at & 1));
            break;
        case PIIX4_PM_ENABLE:
        case PIIX4_PM_ENABLE + 1:
            pm->enable = merge16(pm->enable, at & 1, byte);
            break;
        case PIIX4_PM_CONTROL:
        case PIIX4_PM_CONTROL + 1:
            control = merge16(control, at & 1, byte);
            control_written = true;
            break;
        case PIIX4_PM_TIMER ... PIIX4_PM_TIMER + 3:
            break; /* read only */
        default:
            pm->other[at] = byte;
            break;
        }
    }
    if (control_written)
        pm_write_control(pm, control);
    pm_update(pm);
}

static const struct region_ops pm_port_ops = {.read = pm_read, .write = pm_write, .max_access = 4};

/* ---- general-purpose events ---- */

static uint64_t gpe_read(void *opaque, uint64_t offset, unsigned size)
{
    struct piix4_pm *pm = opaque;
    uint16_t value = offset < 2 ? pm->gpe_status : pm->gpe_enable;
    return value >> 8 * (offset & 1) & 0xff;
}

static void gpe_write(void *opaque, uint64_t offset, unsigned size, uint64_t value)
{
    struct piix4_pm *pm = opaque;
    if (offset < 2)
        pm->gpe_status &= (uint16_t) ~((value & 0xff) << 8 * (offset & 1));
    else
        pm->gpe_enable = merge16(pm->gpe_enable, offset & 1, (uint8_t)value);
    pm_update(pm);
}

static const struct region_ops gpe_port_ops = {.read = gpe_read, .write = gpe_write};

/* ---- APM control and status, B2h and B3h ---- */

static uint64_t apm_read(void *opaque, uint64_t offset, unsigned size)
{
    struct piix4_pm *pm = opaque;
    return offset ? pm->apm_status : pm->apm_control;
}

static void apm_write(void *opaque, uint64_t offset, unsigned size, uint64_t value)
{
    struct piix4_pm *pm = opaque;
    if (offset) {
        pm->apm_status = (uint8_t)value;
        return;
    }
    pm->apm_control = (uint8_t)value;
    /* What firmware's SMI handler would do on the FADT's commands. */
    if (value == PIIX4_ACPI_ENABLE)
        pm->control |= CONTROL_SCI_EN;
    else if (value == PIIX4_ACPI_DISABLE)
        pm->control &= ~CONTROL_SCI_EN;
    pm_update(pm);
}

static const struct region_ops apm_port_ops = {.read = apm_read, .write = apm_write};

/* ---- SMBus host ---- */

static uint64_t smbus_read(void *opaque, uint64_t offset, unsigned size)
{
    struct piix4_pm *pm = opaque;
    return pm->smbus[offset];
}

static void smbus_write(void *opaque, uint64_t offset, unsigned size, uint64_t value)
{
    struct piix4_pm *pm = opaque;
    if (offset == SMB_STATUS) {
        pm->smbus[SMB_STATUS] &= (uint8_t) ~(value & 0x1e);
    } else if (offset == SMB_CONTROL) {
        pm->smbus[SMB_CONTROL] = value & ~SMB_CONTROL_START & 0xff;
        if (value & SMB_CONTROL_START)
            pm->smbus[SMB_STATUS] |= SMB_STATUS_DEVICE_ERROR;
    } else {
        pm->smbus[offset] = (uint8_t)value;
    }
}

static const struct region_ops smbus_port_ops = {.read = smbus_read, .write = smbus_write};

/* ---- configuration ---- */

static void pm_map_blocks(struct piix4_pm *pm)
{
    const uint8_t *config = pm->pci.config;
    uint16_t base = pci_get16(config, PIIX4_PM_BASE) & 0xffc0;
    bool enabled = base && (config[PIIX4_PM_MISC] & MISC_IO_ENABLED);
    if (enabled != pm->pm_ports.enabled || (enabled && base != pm->pm_ports.base))
        port_space_update(pm->pci.bus.ports, &pm->pm_ports, base, enabled);
    base = pci_get16(config, PIIX4_SMBUS_BASE) & 0xfff0;
    enabled = base && (config[PIIX4_SMBUS_CONFIG] & SMBUS_ENABLED);
    if (enabled != pm->smbus_ports.enabled || (enabled && base != pm->smbus_ports.base))
        port_space_update(pm->pci.bus.ports, &pm->smbus_ports, base, enabled);
}

static void pm_config_written(struct pci_device *pci, unsigned offset, unsigned size)
{
    pm_map_blocks((struct piix4_pm *)pci);
}

void piix4_pm_set_up(struct piix4_pm *pm, uint16_t pm_base, uint16_t smbus_base, bool acpi_enabled)
{
    uint8_t *config = pm->pci.config;
    pci_set32(config, PIIX4_PM_BASE, (pm_base & 0xffc0u) | 1);
    config[PIIX4_PM_MISC] |= MISC_IO_ENABLED;
    pci_set32(config, PIIX4_SMBUS_BASE, (smbus_base & 0xfff0u) | 1);
    config[PIIX4_SMBUS_CONFIG] |= SMBUS_ENABLED;
    config[PCI_INTERRUPT_LINE] = 9;
    pm_map_blocks(pm);
    if (acpi_enabled)
        pm->control |= CONTROL_SCI_EN;
    pm_update(pm);
}

bool piix4_pm_press_power_button(struct piix4_pm *pm)
{
    pm->status |= EVENT_POWER_BUTTON;
    pm_update(pm);
    return pm->enable & EVENT_POWER_BUTTON;
}

void piix4_pm_raise_gpe(struct piix4_pm *pm, unsigned bit)
{
    pm->gpe_status |= (uint16_t)(1u << (bit & 15));
    pm_update(pm);
}

static void pm_reset(struct device *device)
{
    struct piix4_pm *pm = (struct piix4_pm *)device;
    uint8_t *config = pm->pci.config;
    pci_device_reset(&pm->pci);
    pci_set16(config, PCI_STATUS, 0x0280);
    memset(config + 0x40, 0, 0x100 - 0x40);
    config[PIIX4_PM_BASE] = 0x01;
    config[PIIX4_SMBUS_BASE] = 0x01;
    config[PCI_INTERRUPT_LINE] = 9;
    config[DEVACTB_HIGH] = DEVACTB_APMC_EN;
    pm->status = pm->enable = pm->control = 0;
    pm->gpe_status = pm->gpe_enable = 0;
    pm->apm_control = pm->apm_status = 0;
    memset(pm->other, 0, sizeof(pm->other));
    memset(pm->smbus, 0, sizeof(pm->smbus));
    pm->next_overflow = following_overflow(pm_ticks(pm));
    pm_map_blocks(pm);
    pm_update(pm);
}

static void pm_destroy(struct device *device)
{
    struct piix4_pm *pm = (struct piix4_pm *)device;
    struct port_space *ports = pm->pci.bus.ports;
    timer_cancel(&pm->overflow_timer);
    port_space_remove(ports, &pm->pm_ports);
    port_space_remove(ports, &pm->smbus_ports);
    port_space_remove(ports, &pm->gpe_ports);
    port_space_remove(ports, &pm->apm_ports);
    pci_device_finish(&pm->pci);
    free(pm);
}

static const struct state_field pm_fields[] = {
    PCI_STATE_FIELDS(struct piix4_pm, pci),
    STATE_INT(struct piix4_pm, status),
    STATE_INT(struct piix4_pm, enable),
    STATE_INT(struct piix4_pm, control),
    STATE_INT(struct piix4_pm, next_overflow),
    STATE_INT(struct piix4_pm, gpe_status),
    STATE_INT(struct piix4_pm, gpe_enable),
    STATE_INT(struct piix4_pm, apm_control),
    STATE_INT(struct piix4_pm, apm_status),
    STATE_BYTES(struct piix4_pm, other),
    STATE_BYTES(struct piix4_pm, smbus),
    STATE_TIMER(struct piix4_pm, overflow_timer),
    STATE_END,
};

static void pm_loaded(void *object)
{
    struct piix4_pm *pm = object;
    pci_device_loaded(&pm->pci);
    pm_map_blocks(pm);
}

static const struct state_table pm_state = {"piix4-pm", 1, pm_fields, .loaded = pm_loaded};
static const struct device_ops pm_ops = {
    .name = "piix4-pm", .reset = pm_reset, .destroy = pm_destroy, .state = &pm_state};

struct piix4_pm *piix4_pm_create(const struct device_bus *bus, struct pci_bus *pci, struct irq_line sci,
                                 struct piix4_pm_events events)
{
    struct piix4_pm *pm = device_allocate(sizeof(*pm), &pm_ops, "piix4-pm");
    if (!pm)
        return NULL;
    pm->sci = sci;
    pm->events = events;
    timer_init(&pm->overflow_timer, bus->clock, pm_overflow_fired, pm);
    pci_device_init(&pm->pci, bus, pci, PCI_DEVFN(1, 3), 0x8086, 0x7113, 0x0680);
    pm->pci.config[PCI_REVISION] = 3;
    pm->pci.config[PCI_INTERRUPT_PIN] = 1;
    pm->pci.config_written = pm_config_written;
    uint8_t *writable = pm->pci.writable;
    pci_set16(writable, PCI_COMMAND, PCI_COMMAND_IO);
    pci_set16(writable, PIIX4_PM_BASE, 0xffc0);
    memset(writable + 0x44, 0xff, 0x80 - 0x44); /* counters and device activity, stored only */
    writable[PIIX4_PM_MISC] = 0x01;
    pci_set16(writable, PIIX4_SMBUS_BASE, 0xfff0);
    memset(writable + PIIX4_SMBUS_CONFIG, 0xff, 4);

    pm->pm_ports = (struct port_range){.name = "piix4-pm", .count = PM_SIZE, .ops = &pm_port_ops, .opaque = pm};
    pm->smbus_ports =
        (struct port_range){.name = "piix4-smbus", .count = SMBUS_SIZE, .ops = &smbus_port_ops, .opaque = pm};
    pm->gpe_ports = (struct port_range){.name = "piix4-gpe",
                                        .base = PIIX4_GPE_BASE,
                                        .count = PIIX4_GPE_LENGTH,
                                        .ops = &gpe_port_ops,
                                        .opaque = pm,
                                        .enabled = true};
    pm->apm_ports = (struct port_range){.name = "piix4-apm",
                                        .base = PIIX4_APM_CONTROL,
                                        .count = 2,
                                        .ops = &apm_port_ops,
                                        .opaque = pm,
                                        .enabled = true};
    port_space_add(bus->ports, &pm->pm_ports);
    port_space_add(bus->ports, &pm->smbus_ports);
    port_space_add(bus->ports, &pm->gpe_ports);
    port_space_add(bus->ports, &pm->apm_ports);
    pm_reset(&pm->pci.device);
    return pm;
}

/* PIIX4 power management (82371AB function 3) at device 1 function 3: ACPI event, control and timer
 * blocks, APM control ports, an SMBus host without slaves, and a general-purpose event block at AFE0h
 * where QEMU's firmware tables look for it.
 * Source: Intel 82371AB (PIIX4) data sheet (290562), power management registers; ACPI 1.0b, 4.7. */
#ifndef DRAGOMAN_DEVICES_PCI_PIIX4_PM_H
#define DRAGOMAN_DEVICES_PCI_PIIX4_PM_H

#include "devices/pci/pci.h"

#define PM_TIMER_HERTZ 3579545u

/* Register blocks, from the base in configuration register 40h. */
enum { PIIX4_PM_STATUS = 0x00, PIIX4_PM_ENABLE = 0x02, PIIX4_PM_CONTROL = 0x04, PIIX4_PM_TIMER = 0x08 };
enum { PIIX4_PM_BASE = 0x40, PIIX4_PM_MISC = 0x80, PIIX4_SMBUS_BASE = 0x90, PIIX4_SMBUS_CONFIG = 0xd2 };
enum { PIIX4_GPE_BASE = 0xafe0, PIIX4_GPE_LENGTH = 4 };
enum { PIIX4_APM_CONTROL = 0xb2, PIIX4_ACPI_ENABLE = 0xf1, PIIX4_ACPI_DISABLE = 0xf0 };
/* SLP_TYP values, as QEMU's tables have them. */
enum { PIIX4_SLEEP_S5 = 0, PIIX4_SLEEP_S3 = 1, PIIX4_SLEEP_S4 = 2 };

struct piix4_pm_events {
    /* SLP_EN was written with SLP_TYP TYPE. Called inside a port write: act later. */
    void (*sleep)(void *opaque, unsigned type);
    void *opaque;
};

struct piix4_pm;

/* SCI is a level-triggered line (IRQ 9). NULL when memory is short. */
struct piix4_pm *piix4_pm_create(const struct device_bus *bus, struct pci_bus *pci, struct irq_line sci,
                                 struct piix4_pm_events events);
/* The user pressed the power button. False if the guest does not listen (PWRBTN_EN is off). */
bool piix4_pm_press_power_button(struct piix4_pm *pm);
/* Raises general-purpose event BIT (0..15). */
void piix4_pm_raise_gpe(struct piix4_pm *pm, unsigned bit);
/* As firmware would: the I/O blocks at these bases, SCI_EN set if ACPI is to be on already. */
void piix4_pm_set_up(struct piix4_pm *pm, uint16_t pm_base, uint16_t smbus_base, bool acpi_enabled);

#endif

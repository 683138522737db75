/* PIIX3 IDE interface (82371SB function 1) at device 1 function 1: two channels at the legacy ports
 * 1F0h/3F6h (IRQ 14) and 170h/376h (IRQ 15), and the bus master at BAR 4.
 * Source: Intel 82371SB (PIIX3) data sheet (290550), IDE configuration and bus master registers.
 *
 * The legacy ports answer once the guest has set I/O space in the command register and the channel's
 * IDE decode enable in IDETIM: firmware does, or piix_ide_set_up(). */
#ifndef DRAGOMAN_DEVICES_PCI_PIIX_IDE_H
#define DRAGOMAN_DEVICES_PCI_PIIX_IDE_H

#include "devices/ide.h"
#include "devices/pci/pci.h"

enum { PIIX_IDE_TIMING = 0x40, PIIX_IDE_CHANNELS = 2, PIIX_IDE_DRIVES = 2 };

struct piix_ide;

/* PRIMARY and SECONDARY are IRQ 14 and 15. NULL when memory is short. */
struct piix_ide *piix_ide_create(const struct device_bus *bus, struct pci_bus *pci, struct irq_line primary,
                                 struct irq_line secondary, struct ide_events events);
/* Before the machine runs. Fails with a message. */
bool piix_ide_attach(struct piix_ide *ide, unsigned channel, unsigned drive, const struct ide_drive_config *config,
                     struct error *err);
/* As firmware would: both channels decode their ports, bus mastering allowed. For a board without firmware;
 * undone by reset. */
void piix_ide_set_up(struct piix_ide *ide);

struct ide_drive_info piix_ide_info(const struct piix_ide *ide, unsigned channel, unsigned drive);
/* CD-ROM drives: opens the tray and puts BLOCK (NULL: nothing) on it. The disc that was there is the caller's again. */
void piix_ide_change_medium(struct piix_ide *ide, unsigned channel, unsigned drive, struct block *block);
/* CD-ROM drives, whether locked or not. */
void piix_ide_set_tray(struct piix_ide *ide, unsigned channel, unsigned drive, bool open);
/* The button at the drive: asks the guest, which has locked the tray, to let the disc out. */
void piix_ide_request_eject(struct piix_ide *ide, unsigned channel, unsigned drive);

#endif

/* Where the firmware tables say that things are. With direct boot no firmware programs the chip set,
 * so the board does, at each reset, before the kernel is entered:
 *
 *   PIIX4 power management (82371AB data sheet, 7.1 and 7.2)
 *     PMBA (configuration 40h)      PLATFORM_PM_BASE | 1
 *     PMREGMISC (80h) bit 0         1: the PM I/O space answers
 *     PMCNTRL (PM base + 4) bit 0   SCI_EN = 1: the tables offer no SMI command, so ACPI mode is on
 *     interrupt line (3Ch)          PLATFORM_SCI_IRQ
 *   ELCR (4D0h, 4D1h)               PLATFORM_ELCR: SCI and PCI interrupts are level triggered
 *   PIIX3/4 PIRQRC (60h..63h)       platform_pirq_irq[], so that the $PIR table tells the truth */
#ifndef DRAGOMAN_VM_BOOT_PLATFORM_H
#define DRAGOMAN_VM_BOOT_PLATFORM_H

#include <stdint.h>

#define PLATFORM_PM_BASE     0x600u /* PM1 event +0, PM1 control +4, PM timer +8; 64 ports */
#define PLATFORM_SMB_BASE    0x700u /* SMBus host controller; 16 ports, kept free */
#define PLATFORM_GPE0_BASE   0xafe0u
#define PLATFORM_SCI_IRQ     9u
#define PLATFORM_RESET_PORT  0xcf9u /* PIIX3 reset control register, 82371SB data sheet 2.5.5 */
#define PLATFORM_RESET_VALUE 6u
#define PLATFORM_ISA_SLOT    1u      /* of the PIIX on PCI bus 0: ISA bridge is function 0 */
#define PLATFORM_ELCR        0x0e00u /* IRQ 9, 10, 11 */

/* The PIRQ (0 = A .. 3 = D) that interrupt PIN (0 = INTA#) of a device in SLOT of bus 0 is wired to. */
static inline unsigned platform_pci_pirq(unsigned slot, unsigned pin)
{
    return (slot + pin + 3) & 3;
}

/* The IRQ each PIRQ is routed to. */
static const uint8_t platform_pirq_irq[4] = {10, 10, 11, 11};

/* PCI memory: from here to 0xfec00000. RAM_SIZE as memory_create(). */
static inline uint32_t platform_pci_hole_start(uint64_t ram_size)
{
    return ram_size <= 0xc0000000u ? 0xc0000000u : 0xe0000000u;
}
#define PLATFORM_PCI_HOLE_END 0xfec00000u
#define PLATFORM_PCI_IO_BASE  0xc000u /* ports of PCI functions: from here */

#endif

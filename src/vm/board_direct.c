/* What firmware would have done to the chip set before it starts a kernel: see vm/boot/platform.h. */
#include "vm/board_private.h"

#include "devices/i8259.h"
#include "devices/pci/i440fx.h"
#include "devices/pci/piix4_pm.h"
#include "devices/pci/piix_ide.h"
#include "devices/vga.h"
#include "vm/boot/platform.h"

#define LARGEST_BAR (1u << 28)

/* Bases for all BARs of one kind, larger ones first, so that none wastes space: memory downwards from the end of the
 * hole, ports upwards. */
struct windows {
    uint32_t memory_end, io_next;
};

static void place_bars(struct pci_device *device, uint32_t size, struct windows *windows)
{
    for (unsigned i = 0; i < PCI_BAR_COUNT; i++) {
        const struct pci_bar *bar = &device->bars[i];
        if (bar->kind == PCI_BAR_NONE || bar->size != size)
            continue;
        uint32_t base;
        if (bar->kind == PCI_BAR_IO) {
            base = (windows->io_next + size - 1) & ~(size - 1);
            windows->io_next = base + size;
        } else {
            base = (windows->memory_end - size) & ~(size - 1);
            windows->memory_end = base;
        }
        pci_config_write(device, PCI_BAR0 + 4 * i, 4, base);
    }
}

static void place_pci_functions(struct board *b)
{
    struct windows windows = {PLATFORM_PCI_HOLE_END, PLATFORM_PCI_IO_BASE};
    for (uint32_t size = LARGEST_BAR; size >= 4; size /= 2)
        for (unsigned devfn = 0; devfn < 256; devfn++) {
            struct pci_device *device = pci_bus_device(b->pci, (uint8_t)devfn);
            if (device)
                place_bars(device, size, &windows);
        }
    for (unsigned devfn = 0; devfn < 256; devfn++) {
        struct pci_device *device = pci_bus_device(b->pci, (uint8_t)devfn);
        uint32_t command = 0;
        for (unsigned i = 0; device && i < PCI_BAR_COUNT; i++)
            if (device->bars[i].kind != PCI_BAR_NONE)
                command |= device->bars[i].kind == PCI_BAR_IO ? PCI_COMMAND_IO : PCI_COMMAND_MEMORY;
        if (command)
            pci_config_write(device, PCI_COMMAND, 2, pci_config_read(device, PCI_COMMAND, 2) | command);
    }
}

static void route_interrupts(struct board *b)
{
    for (unsigned pirq = 0; pirq < PCI_PIRQ_COUNT; pirq++)
        piix3_route_pirq(b->isa_bridge, pirq, platform_pirq_irq[pirq]);
    pic_set_elcr(b->pic, PLATFORM_ELCR);
    struct pci_device *power = pci_bus_device(b->pci, PCI_DEVFN(PLATFORM_ISA_SLOT, 3));
    if (power)
        pci_config_write(power, PCI_INTERRUPT_LINE, 1, PLATFORM_SCI_IRQ);
    for (unsigned slot = 0; slot < 32; slot++) {
        struct pci_device *device = pci_bus_device(b->pci, PCI_DEVFN(slot, 0));
        uint8_t pin = device ? device->config[PCI_INTERRUPT_PIN] : 0;
        if (pin && slot != PLATFORM_ISA_SLOT)
            pci_config_write(device, PCI_INTERRUPT_LINE, 1, platform_pirq_irq[platform_pci_pirq(slot, pin - 1u)]);
    }
}

/* The first DMA controller's requests go through channel 0 of the second (IBM PC/AT Technical Reference, "DMA"). */
static void cascade_dma(struct board *b)
{
    enum { MODE_PORT = 0xd6, MASK_PORT = 0xd4, CASCADE_CHANNEL_0 = 0xc0, UNMASK_CHANNEL_0 = 0 };
    port_space_write(b->bus.ports, MODE_PORT, 1, CASCADE_CHANNEL_0);
    port_space_write(b->bus.ports, MASK_PORT, 1, UNMASK_CHANNEL_0);
}

void board_act_as_firmware(struct board *b)
{
    cascade_dma(b);
    i440fx_shadow_all(b->host_bridge, I440FX_PAM_READ | I440FX_PAM_WRITE);
    route_interrupts(b);
    piix4_pm_set_up(b->power, PLATFORM_PM_BASE, PLATFORM_SMB_BASE, true);
    piix_ide_set_up(b->ide);
    place_pci_functions(b);
    if (b->vga)
        vga_set_up(b->vga);
}

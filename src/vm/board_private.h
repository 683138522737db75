/* Private to vm/board_*.c: what is on the board. */
#ifndef DRAGOMAN_VM_BOARD_PRIVATE_H
#define DRAGOMAN_VM_BOARD_PRIVATE_H

#include "devices/lapic.h"
#include "devices/pci/pci.h"
#include "devices/pci/piix3.h"
#include "vm/board_pc.h"

/* A drive and what is in it. */
struct board_drive {
    const struct vm_drive_option *option; /* NULL: there is no such drive */
    struct block *block;                  /* NULL: no medium */
    bool floppy_out;                      /* the floppy disk sticks out: the drive has none */
};

struct board {
    struct vm *vm;
    struct device_bus bus;
    struct device *first; /* last created first: destroyed in this order */
    struct apic_bus apic_bus;
    struct lapic *lapic; /* of vCPU 0; NULL: the model has none */
    struct pic_pair *pic;
    struct pit *pit;
    struct rtc *rtc;
    struct dma_pair *dma;
    struct pci_bus *pci;
    struct i440fx *host_bridge;
    struct piix3 *isa_bridge;
    struct piix4_pm *power;
    struct piix_ide *ide;
    struct fdc *fdc;
    struct port92 *port92;
    struct ps2_keyboard *keyboard;
    struct ps2_mouse *mouse;
    struct vga *vga; /* NULL: none */
    struct ferr *ferr;
    struct fw_cfg *fw_cfg;
    struct memory_region vga_hole;
    struct board_rom rom;
    struct boot_image *boot_image; /* the kernel of a direct boot; NULL: firmware starts */
    bool kernel_under_firmware;    /* firmware boots the kernel from fw_cfg */
    struct board_drive drives[VM_MAX_DRIVES];
    bool powered_on;              /* the first reset was */
    bool boot_order_is_temporary; /* -boot once=: up to the next reset */
};

/* Puts DEVICE (a structure that starts with struct device) on the board. False when creating it failed. */
bool board_add(struct board *board, void *device);
static inline struct irq_line board_isa_irq(struct board *board, unsigned irq)
{
    return piix3_irq_line(board->isa_bridge, irq);
}

/* ---- board_drives.c ---- */
/* Disk and floppy controllers, and what is connected to them. */
bool board_add_drives(struct board *board, struct error *err);
/* After the controllers are gone. */
void board_close_drives(struct board *board);

/* ---- board_firmware.c: what firmware asks for ---- */
bool board_fill_fw_cfg(struct board *board, struct error *err);
void board_fill_cmos(struct board *board);
/* The machine has run and was reset. */
void board_restore_boot_order(struct board *board);

/* ---- board_direct.c: what firmware would have done ---- */
void board_act_as_firmware(struct board *board);

#endif

/* The PC: i440FX host bridge, PIIX3 south bridge with PIIX4 power management, and what sits on the
 * ISA bus, at the addresses where QEMU's `pc` machine has it.
 *
 * Everything here is called with the device lock held, or with no vCPU running. */
#ifndef DRAGOMAN_VM_BOARD_PC_H
#define DRAGOMAN_VM_BOARD_PC_H

#include "devices/device.h"
#include "vm/vm.h"

struct board;

/* Builds all devices and loads what the options name: ROM, kernel. NULL with a message on failure. */
struct board *board_create(struct vm *vm, struct error *err);
void board_destroy(struct board *board);
/* RESET# to everything, the processors included; for a direct boot the firmware's work as well, and
 * the kernel is put into memory anew. The vCPUs are parked. */
void board_reset(struct board *board);
void board_press_power_button(struct board *board);

/* INTA by vCPU INDEX: what its local APIC has for it, else what comes through from the 8259 pair; -1 if nobody asks. */
int board_acknowledge_interrupt(struct board *board, unsigned index);
/* vCPU INDEX has written VALUE to IA32_APIC_BASE. */
void board_set_apic_base(struct board *board, unsigned index, uint64_t value);
void board_set_ferr(struct board *board, bool level);

struct device *board_first_device(struct board *board);
struct device *board_find_device(struct board *board, const char *id);
uint64_t board_irq_count(struct board *board, unsigned irq);
/* Lines for `info pci`. */
void board_describe_pci(struct board *board, void (*print)(void *to, const char *line), void *to);

/* See vm_display() and its neighbours. */
bool board_display(struct board *board, struct display_source *display);
struct ps2_keyboard *board_keyboard(struct board *board);
struct ps2_mouse *board_mouse(struct board *board);

/* ---- drives, by number as in vm/options.h ---- */

enum board_drive_kind { BOARD_DISK, BOARD_CDROM, BOARD_FLOPPY };
struct board_drive_info {
    const char *id;
    enum board_drive_kind kind;
    struct block *block; /* NULL: no medium */
    bool tray_open, locked; /* a floppy drive is open as long as there is no disk in it */
};
/* False: there is no such drive. */
bool board_drive_info(struct board *board, unsigned index, struct board_drive_info *info);
/* -1: none is called so. */
int board_find_drive(struct board *board, const char *id);

enum board_access { BOARD_RETAIN, BOARD_READ_ONLY, BOARD_READ_WRITE };
/* FORMAT NULL: raw. What was in the drive is closed. On failure nothing has changed, but that the guest was asked to
 * unlock the tray. */
bool board_change_medium(struct board *board, unsigned index, const char *path, const char *format,
                         enum board_access access, bool force, struct error *err);
/* Leaves the tray open and empty. */
bool board_eject(struct board *board, unsigned index, bool force, struct error *err);
/* The medium stays on the tray, out of the guest's reach. A drive that the guest has locked, without FORCE: the guest
 * is asked, and may open it later. */
bool board_open_tray(struct board *board, unsigned index, bool force, struct error *err);
bool board_close_tray(struct board *board, unsigned index, struct error *err);
/* Takes what is on the open tray. */
bool board_remove_medium(struct board *board, unsigned index, struct error *err);

/* From now on firmware boots in this order: letters as in struct vm_boot_option. */
bool board_set_boot_order(struct board *board, const char *letters, struct error *err);

/* ---- board_rom.c ---- */

#define BOARD_ROM_MIN (64u << 10)
#define BOARD_ROM_MAX (4u << 20)

/* A firmware image: its end at 4 GiB, its last 128 KiB also below 1 MiB. */
struct board_rom {
    uint8_t *bytes;
    uint32_t size;
    struct memory_region high, low;
};

bool board_rom_load(struct board_rom *rom, const char *path, struct memory *memory, struct error *err);
void board_rom_unload(struct board_rom *rom, struct memory *memory);

#endif

/* The ACPI tables of the board: what an operating system needs to find the PCI bus, the interrupt
 * routing, the legacy devices and the power switch. */
#ifndef DRAGOMAN_VM_BOOT_ACPI_H
#define DRAGOMAN_VM_BOOT_ACPI_H

#include "base/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct acpi_board {
    uint64_t ram_size;
    bool has_vga;
    /* The system switches ACPI on through the SMI command port, as after firmware; else it is on from the start. */
    bool starts_in_legacy_mode;
};

/* Where things are in what acpi_build() writes, and in the tables. */
enum {
    ACPI_TABLES_ALIGNMENT = 64,
    ACPI_FACS_OFFSET = 64, /* must be aligned to 64 (ACPI 6.4, 5.2.10) */
    ACPI_RSDT_OFFSET = 128,
    ACPI_FADT_OFFSET = 192,
    ACPI_DSDT_OFFSET = 448
};
enum { ACPI_HEADER_SIZE = 36, ACPI_CHECKSUM = 9 }; /* of any table but RSDP and FACS */
enum { ACPI_RSDP_SIZE = 20, ACPI_RSDP_CHECKSUM = 8, ACPI_RSDP_RSDT = 16 };
enum { ACPI_FADT_FACS = 36, ACPI_FADT_DSDT = 40, ACPI_FADT_X_DSDT = 140 };

/* Writes RSDP, RSDT, FADT, FACS and DSDT for guest-physical ADDRESS (64-byte aligned) to DATA, which
 * has room for CAPACITY bytes; the RSDP is first. Returns the bytes used, 0 if they do not fit. */
size_t acpi_build(uint8_t *data, size_t capacity, uint32_t address, const struct acpi_board *board);
/* The sum of LENGTH bytes: 0 for a correct table. */
uint8_t acpi_checksum(const uint8_t *data, size_t length);

/* ---- acpi_files.c: the same for firmware, as files of fw_cfg ---- */

#define ACPI_TABLES_FILE "etc/acpi/tables"
#define ACPI_RSDP_FILE   "etc/acpi/rsdp"

enum { ACPI_LOADER_COMMAND_SIZE = 128, ACPI_LOADER_COMMANDS = 10, ACPI_TABLES_CAPACITY = 16 << 10 };

struct acpi_files {
    uint8_t tables[ACPI_TABLES_CAPACITY];
    size_t tables_size;
    uint8_t rsdp[ACPI_RSDP_SIZE];
    uint8_t loader[ACPI_LOADER_COMMANDS * ACPI_LOADER_COMMAND_SIZE];
    size_t loader_size;
};

/* False if the tables do not fit. */
bool acpi_build_files(struct acpi_files *files, uint64_t ram_size, bool has_vga);

#endif

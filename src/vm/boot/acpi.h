/* The ACPI tables of the board: what an operating system needs to find the PCI bus, the interrupt
 * routing, the legacy devices and the power switch. */
#ifndef DRAGOMAN_VM_BOOT_ACPI_H
#define DRAGOMAN_VM_BOOT_ACPI_H

#include "base/error.h"

#include <stddef.h>
#include <stdint.h>

/* Writes RSDP, RSDT, FADT, FACS and DSDT for guest-physical ADDRESS (64-byte aligned) to DATA, which
 * has room for CAPACITY bytes; the RSDP is first. Returns the bytes used, 0 if they do not fit. */
size_t acpi_build(uint8_t *data, size_t capacity, uint32_t address, uint64_t ram_size, bool has_vga);
/* The sum of LENGTH bytes: 0 for a correct table. */
uint8_t acpi_checksum(const uint8_t *data, size_t length);

#endif

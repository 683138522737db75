/* SMBIOS tables of the board, as files for firmware: DMTF DSP0134, System Management BIOS Reference
 * Specification, version 2.8. Firmware adds the structure about itself (type 0) and the addresses. */
#ifndef DRAGOMAN_VM_BOOT_SMBIOS_H
#define DRAGOMAN_VM_BOOT_SMBIOS_H

#include <stddef.h>
#include <stdint.h>

enum { SMBIOS_ANCHOR_SIZE = 31, SMBIOS_CAPACITY = 1024 };

struct smbios_machine {
    uint64_t ram_size;
    unsigned family;          /* of the processor: 4, 5, 6, 15 */
    uint32_t cpuid_signature; /* CPUID.1:EAX, EDX */
    uint32_t cpuid_features;
};

struct smbios_files {
    uint8_t anchor[SMBIOS_ANCHOR_SIZE]; /* entry point structure; firmware fills in the address and the checksums */
    uint8_t tables[SMBIOS_CAPACITY];
    size_t tables_size;
};

void smbios_build(struct smbios_files *files, const struct smbios_machine *machine);

#endif

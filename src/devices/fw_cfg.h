/* QEMU's firmware configuration device: ports 510h (selector), 511h (data) and 514h (DMA).
 * Source: QEMU documentation, "QEMU Firmware Configuration (fw_cfg) Device". */
#ifndef DRAGOMAN_DEVICES_FW_CFG_H
#define DRAGOMAN_DEVICES_FW_CFG_H

#include "devices/device.h"

enum fw_cfg_key {
    FW_CFG_SIGNATURE = 0x00, /* "QEMU" */
    FW_CFG_ID = 0x01,        /* features: 1 | 2 (DMA) */
    FW_CFG_UUID = 0x02,
    FW_CFG_RAM_SIZE = 0x03,
    FW_CFG_NOGRAPHIC = 0x04,
    FW_CFG_CPU_COUNT = 0x05,
    FW_CFG_MACHINE_ID = 0x06,
    FW_CFG_KERNEL_ADDRESS = 0x07,
    FW_CFG_KERNEL_SIZE = 0x08,
    FW_CFG_KERNEL_COMMAND_LINE = 0x09,
    FW_CFG_INITRD_ADDRESS = 0x0a,
    FW_CFG_INITRD_SIZE = 0x0b,
    FW_CFG_BOOT_DEVICE = 0x0c,
    FW_CFG_NUMA = 0x0d,
    FW_CFG_BOOT_MENU = 0x0e,
    FW_CFG_MAX_CPUS = 0x0f,
    FW_CFG_KERNEL_ENTRY = 0x10,
    FW_CFG_KERNEL_DATA = 0x11,
    FW_CFG_INITRD_DATA = 0x12,
    FW_CFG_COMMAND_LINE_ADDRESS = 0x13,
    FW_CFG_COMMAND_LINE_SIZE = 0x14,
    FW_CFG_COMMAND_LINE_DATA = 0x15,
    FW_CFG_SETUP_ADDRESS = 0x16,
    FW_CFG_SETUP_SIZE = 0x17,
    FW_CFG_SETUP_DATA = 0x18,
    FW_CFG_FILE_DIRECTORY = 0x19,
    FW_CFG_FILE_FIRST = 0x20,
    FW_CFG_FILE_SLOTS = 0x40,
    FW_CFG_ARCH_LOCAL = 0x8000,
    FW_CFG_ACPI_TABLES = 0x8000,
    FW_CFG_SMBIOS_ENTRIES = 0x8001,
    FW_CFG_IRQ0_OVERRIDE = 0x8002,
    FW_CFG_E820_TABLE = 0x8003,
    FW_CFG_HPET = 0x8004
};
enum { FW_CFG_NAME_SIZE = 56 }; /* with its terminating 0 */

struct fw_cfg;

/* With signature, ID and an empty file directory. NULL when memory is short. */
struct fw_cfg *fw_cfg_create(const struct device_bus *bus);

/* The item behind KEY becomes a copy of DATA (replacing what was there). False, with a message, for a
 * key that is out of range or when memory is short. */
bool fw_cfg_add_bytes(struct fw_cfg *fw, uint16_t key, const void *data, size_t length, struct error *err);
/* Little-endian integers; a string with its terminating 0. */
bool fw_cfg_add_u16(struct fw_cfg *fw, uint16_t key, uint16_t value, struct error *err);
bool fw_cfg_add_u32(struct fw_cfg *fw, uint16_t key, uint32_t value, struct error *err);
bool fw_cfg_add_u64(struct fw_cfg *fw, uint16_t key, uint64_t value, struct error *err);
bool fw_cfg_add_string(struct fw_cfg *fw, uint16_t key, const char *value, struct error *err);
/* A named file ("etc/e820"); a name that exists is replaced. Fails for names over 55 characters and
 * when all slots are taken. */
bool fw_cfg_add_file(struct fw_cfg *fw, const char *name, const void *data, size_t length, struct error *err);
/* Lets the guest write NAME through DMA. */
bool fw_cfg_set_file_writable(struct fw_cfg *fw, const char *name, struct error *err);
/* The bytes of NAME as they are now; NULL if there is no such file. */
const uint8_t *fw_cfg_find_file(struct fw_cfg *fw, const char *name, size_t *length);

#endif

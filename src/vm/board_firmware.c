/* What firmware asks the board for: CMOS memory and the items of fw_cfg, in the keys of QEMU's. */
#include "vm/board_private.h"

#include "cpu/model.h"
#include "devices/fdc.h"
#include "devices/fw_cfg.h"
#include "devices/mc146818.h"
#include "devices/pci/piix_ide.h"
#include "vm/boot/acpi.h"
#include "vm/boot/linux_firmware.h"
#include "vm/boot/smbios.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- CMOS ---- */

/* Boot devices, a nibble each: 3Dh has the first (low) and the second, the upper half of 38h the third; 38h bit 0:
 * floppies boot without signature. As Bochs' BIOS introduced it and SeaBIOS reads it. */
enum { CMOS_BOOT_ORDER_1 = 0x3d, CMOS_BOOT_ORDER_2 = 0x38 };
/* Two bits a drive, primary master lowest: how a BIOS translates its geometry. */
enum { CMOS_TRANSLATION = 0x39, TRANSLATION_NONE = 0, TRANSLATION_LBA = 1 };
/* User-defined disk types, 9 bytes each: geometry of the first and second disk. */
enum { CMOS_DISK_TYPE_EXTENDED = 0x19, CMOS_DISK_GEOMETRY = 0x1b, DISK_TYPE_USER = 47, DISK_GEOMETRY_SIZE = 9 };

static int boot_device(char letter)
{
    switch (letter) {
    case 'a':
    case 'b':
        return 1;
    case 'c':
        return 2;
    case 'd':
        return 3;
    case 'n':
        return 4;
    default:
        return -1;
    }
}

static bool write_boot_order(struct board *board, const char *letters, struct error *err)
{
    uint8_t devices[3] = {0};
    unsigned count = 0;
    for (const char *p = letters; *p; p++) {
        int device = boot_device(*p);
        if (device < 0)
            return error_set(err, "Invalid boot device '%c'", *p);
        if (strchr(p + 1, *p))
            return error_set(err, "Boot device '%c' was given twice", *p);
        /* 'a' and 'b' are the same to the BIOS; what comes after the third has no place. */
        if (count < 3 && (!count || devices[count - 1] != device))
            devices[count++] = (uint8_t)device;
    }
    rtc_set_cmos(board->rtc, CMOS_BOOT_ORDER_1, (uint8_t)(devices[1] << 4 | devices[0]));
    rtc_set_cmos(board->rtc, CMOS_BOOT_ORDER_2,
                 (uint8_t)(devices[2] << 4 | (board->vm->options->no_floppy_check ? 1 : 0)));
    return true;
}

bool board_set_boot_order(struct board *board, const char *letters, struct error *err)
{
    if (!write_boot_order(board, letters, err))
        return false;
    board->boot_order_is_temporary = false;
    return true;
}

static const char *usual_boot_order(const struct board *board)
{
    const struct vm_boot_option *boot = &board->vm->options->boot;
    return boot->order[0] ? boot->order : "cad";
}

void board_restore_boot_order(struct board *board)
{
    if (!board->boot_order_is_temporary)
        return;
    board->boot_order_is_temporary = false;
    write_boot_order(board, usual_boot_order(board), NULL);
}

static void fill_disk_geometry(struct board *board, unsigned drive, const struct ide_drive_info *info)
{
    unsigned at = CMOS_DISK_GEOMETRY + drive * DISK_GEOMETRY_SIZE;
    uint8_t low = (uint8_t)info->cylinders, high = (uint8_t)(info->cylinders >> 8);
    uint8_t control = (uint8_t)(0xc0 | (info->heads > 8 ? 0x08 : 0)); /* no retries; more than 8 heads */
    const uint8_t bytes[DISK_GEOMETRY_SIZE] = {low, high, info->heads, 0xff, 0xff, control, low, high, info->sectors};
    for (unsigned i = 0; i < DISK_GEOMETRY_SIZE; i++)
        rtc_set_cmos(board->rtc, at + i, bytes[i]);
    rtc_set_cmos(board->rtc, CMOS_DISK_TYPE_EXTENDED + drive, DISK_TYPE_USER);
}

static void fill_disks(struct board *board)
{
    uint8_t types = 0, translation = 0;
    for (unsigned i = 0; i < PIIX_IDE_CHANNELS * PIIX_IDE_DRIVES; i++) {
        struct ide_drive_info info = piix_ide_info(board->ide, i / 2, i % 2);
        if (info.kind != IDE_DISK)
            continue;
        /* As INT 13h counts cylinders: 1024 of them need no help. */
        bool small = info.cylinders <= 1024 && info.heads <= 16 && info.sectors <= 63;
        translation |= (uint8_t)((small ? TRANSLATION_NONE : TRANSLATION_LBA) << 2 * i);
        if (i < 2) {
            types |= i ? 0x0f : 0xf0; /* see the extended type */
            fill_disk_geometry(board, i, &info);
        }
    }
    rtc_set_cmos(board->rtc, CMOS_DISK_TYPES, types);
    rtc_set_cmos(board->rtc, CMOS_TRANSLATION, translation);
}

void board_fill_cmos(struct board *board)
{
    struct rtc *rtc = board->rtc;
    unsigned a = fdc_drive_type(board->fdc, 0), b = fdc_drive_type(board->fdc, 1);
    uint8_t equipment = 0x06; /* x87, PS/2 mouse; display: EGA or better */
    if (a || b)
        equipment |= a && b ? 0x41 : 0x01;
    rtc_set_memory_size(rtc, board->vm->options->ram_size);
    rtc_set_cmos(rtc, CMOS_EQUIPMENT, equipment);
    rtc_set_cmos(rtc, CMOS_FLOPPY_TYPES, (uint8_t)(a << 4 | b));
    fill_disks(board);
    const struct vm_boot_option *boot = &board->vm->options->boot;
    write_boot_order(board, boot->once[0] ? boot->once : usual_boot_order(board), NULL);
    board->boot_order_is_temporary = boot->once[0];
}

/* ---- fw_cfg ---- */

static bool add_memory_map(struct board *board, struct error *err)
{
    struct {
        uint64_t address, length;
        uint32_t type;
    } __attribute__((packed)) e820[] = {{0, board->vm->options->ram_size, 1}};
    return fw_cfg_add_file(board->fw_cfg, "etc/e820", e820, sizeof e820, err);
}

static bool add_acpi(struct board *board, struct error *err)
{
    struct fw_cfg *fw = board->fw_cfg;
    struct acpi_files *files = calloc(1, sizeof *files);
    bool ok = files != NULL || error_set(err, "out of memory for ACPI tables");
    ok = ok && (acpi_build_files(files, board->vm->options->ram_size, board->vga != NULL) ||
                error_set(err, "internal: the ACPI tables do not fit"));
    ok = ok && fw_cfg_add_file(fw, ACPI_TABLES_FILE, files->tables, files->tables_size, err) &&
         fw_cfg_add_file(fw, ACPI_RSDP_FILE, files->rsdp, sizeof files->rsdp, err) &&
         fw_cfg_add_file(fw, "etc/table-loader", files->loader, files->loader_size, err);
    free(files);
    return ok;
}

static bool add_smbios(struct board *board, struct error *err)
{
    struct fw_cfg *fw = board->fw_cfg;
    struct smbios_files *files = calloc(1, sizeof *files);
    if (!files)
        return error_set(err, "out of memory for SMBIOS tables");
    struct smbios_machine machine = {.ram_size = board->vm->options->ram_size,
                                     .family = cpu_model_family(vm_cpu(board->vm, 0)->model),
                                     .cpuid_signature = vm_cpu(board->vm, 0)->model->signature,
                                     .cpuid_features = vm_cpu(board->vm, 0)->model->cpuid1_edx};
    smbios_build(files, &machine);
    bool ok = fw_cfg_add_file(fw, "etc/smbios/smbios-tables", files->tables, files->tables_size, err) &&
              fw_cfg_add_file(fw, "etc/smbios/smbios-anchor", files->anchor, sizeof files->anchor, err);
    free(files);
    return ok;
}

/* The older way of passing tables: there are none. A 16-bit count comes first in both. */
static bool add_empty_lists(struct board *board, struct error *err)
{
    struct fw_cfg *fw = board->fw_cfg;
    unsigned processors = board->vm->options->vcpu_count;
    uint64_t numa[1 + 256] = {0}; /* nodes, then a node for each processor */
    return fw_cfg_add_u16(fw, FW_CFG_ACPI_TABLES, 0, err) && fw_cfg_add_u16(fw, FW_CFG_SMBIOS_ENTRIES, 0, err) &&
           fw_cfg_add_bytes(fw, FW_CFG_NUMA, numa, (1 + processors) * sizeof numa[0], err);
}

static bool add_u32_file(struct board *board, const char *name, uint32_t value, struct error *err)
{
    uint8_t bytes[4];
    for (unsigned i = 0; i < 4; i++)
        bytes[i] = (uint8_t)(value >> 8 * i);
    return fw_cfg_add_file(board->fw_cfg, name, bytes, sizeof bytes, err);
}

/* Devices that come before all others, a line each; HALT after them excludes the others. */
static bool add_boot_order_file(struct board *board, struct error *err)
{
    char list[128];
    bool strict = board->vm->options->boot.strict, kernel = board->kernel_under_firmware;
    int length = snprintf(list, sizeof list, "%s%s%s", kernel ? LINUX_FIRMWARE_BOOT_ENTRY : "",
                          kernel && strict ? "\n" : "", strict ? "HALT" : "");
    return !length || fw_cfg_add_file(board->fw_cfg, "bootorder", list, (size_t)length + 1, err);
}

static bool add_boot_options(struct board *board, struct error *err)
{
    const struct vm_boot_option *boot = &board->vm->options->boot;
    struct fw_cfg *fw = board->fw_cfg;
    uint8_t splash[2] = {(uint8_t)boot->splash_time, (uint8_t)(boot->splash_time >> 8)};
    if (!fw_cfg_add_u16(fw, FW_CFG_BOOT_MENU, boot->menu, err))
        return false;
    if (!add_boot_order_file(board, err))
        return false;
    if (boot->splash_time && !fw_cfg_add_file(fw, "etc/boot-menu-wait", splash, sizeof splash, err))
        return false;
    return boot->reboot_timeout == VM_REBOOT_TIMEOUT_DEFAULT ||
           add_u32_file(board, "etc/boot-fail-wait", (uint32_t)boot->reboot_timeout, err);
}

/* S3 and S4 are not offered: what is in memory would have to survive the reset that wakes the machine. One byte a
 * state: bit 7 says that it is there, the rest is SLP_TYP. */
static bool add_system_states(struct board *board, struct error *err)
{
    static const uint8_t states[6] = {0x80, 0, 0, 0x01, 0x02, 0x80};
    return fw_cfg_add_file(board->fw_cfg, "etc/system-states", states, sizeof states, err);
}

bool board_fill_fw_cfg(struct board *board, struct error *err)
{
    const struct vm_options *o = board->vm->options;
    struct fw_cfg *fw = board->fw_cfg;
    static const uint8_t uuid[16] = {0};
    return fw_cfg_add_u64(fw, FW_CFG_RAM_SIZE, o->ram_size, err) &&
           fw_cfg_add_bytes(fw, FW_CFG_UUID, uuid, sizeof uuid, err) &&
           fw_cfg_add_u16(fw, FW_CFG_CPU_COUNT, (uint16_t)o->vcpu_count, err) &&
           fw_cfg_add_u16(fw, FW_CFG_MAX_CPUS, (uint16_t)o->vcpu_count, err) &&
           fw_cfg_add_u16(fw, FW_CFG_NOGRAPHIC, o->firmware_on_serial, err) &&
           fw_cfg_add_u32(fw, FW_CFG_IRQ0_OVERRIDE, 0, err) && add_memory_map(board, err) &&
           add_empty_lists(board, err) && add_acpi(board, err) && add_smbios(board, err) &&
           add_boot_options(board, err) && add_system_states(board, err);
}

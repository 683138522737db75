#include "vm/boot/linux_firmware.h"

#include "vm/boot/acpi.h"
#include "vm/boot/linux_header.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Where things go ("The Real-Mode Kernel" in the boot protocol). Old kernels want theirs at 90000h, where it leaves
 * room for the EBDA above; a zImage begins right below it. */
enum {
    SETUP = 0x10000,
    COMMAND_LINE = 0x20000,
    OLD_SETUP = 0x90000,
    OLD_COMMAND_LINE = 0x9a000,
    LOW_KERNEL = 0x10000,
    LOW_KERNEL_END = 0x90000,
    COMMAND_LINE_ROOM = 0x1000
};
/* Firmware keeps this much at the top of memory for its tables. */
enum { FIRMWARE_RESERVES = 128 << 10 };
enum { TYPE_OF_LOADER = 0xff, PNP_HEADER = 0x20, PNP_CHECKSUM = 9, PNP_SIZE = 32 };
enum { OFFSET_CL_MAGIC = 0x20, OFFSET_CL_OFFSET = 0x22, CL_MAGIC = 0xa33f };
enum { VIDEO_NORMAL = 0xffff, VIDEO_EXTENDED = 0xfffe, VIDEO_ASK = 0xfffd };

extern const uint8_t linux_rom[], linux_rom_end[]; /* linux_rom.S */

enum linux_firmware_need linux_firmware_need(const char *path)
{
    uint8_t start[HEADER_RAMDISK_IMAGE];
    FILE *file = fopen(path, "re");
    size_t got = file ? fread(start, 1, sizeof start, file) : 0;
    if (file)
        fclose(file);
    const struct boot_file kernel = {.data = start, .size = got};
    if (got < sizeof start || !bzimage_detect(&kernel))
        return LINUX_FIRMWARE_IMPOSSIBLE;
    return load32(start + HEADER_CODE32_START) ? LINUX_FIRMWARE_POSSIBLE : LINUX_FIRMWARE_NEEDED;
}

/* What the boot loader's user asks for with vga=, as the kernel's documentation has it. */
static unsigned video_mode(const char *command_line)
{
    const char *p = strstr(command_line, "vga=");
    if (!p || (p != command_line && p[-1] != ' '))
        return VIDEO_NORMAL;
    p += 4;
    if (!strncmp(p, "normal", 6))
        return VIDEO_NORMAL;
    if (!strncmp(p, "ext", 3))
        return VIDEO_EXTENDED;
    if (!strncmp(p, "ask", 3))
        return VIDEO_ASK;
    return (unsigned)strtoul(p, NULL, 0) & 0xffff;
}

struct layout {
    uint32_t setup, command_line, kernel;
};

static bool choose_layout(const struct boot_file *kernel, const struct linux_header *header, uint64_t ram_size,
                          struct layout *layout, struct error *err)
{
    uint64_t size = kernel->size - header->setup_size;
    if (header->loaded_high) {
        *layout = (struct layout){header->version >= 0x202 ? SETUP : OLD_SETUP,
                                  header->version >= 0x202 ? COMMAND_LINE : OLD_COMMAND_LINE, HIGH_MEMORY};
        if (HIGH_MEMORY + size <= ram_size)
            return true;
        return error_set(err, "-kernel %s: needs %llu MiB of memory to start, the machine has %llu; give more with -m",
                         kernel->path, (unsigned long long)((HIGH_MEMORY + size + 0xfffff) >> 20),
                         (unsigned long long)(ram_size >> 20));
    }
    *layout = (struct layout){OLD_SETUP, OLD_COMMAND_LINE, LOW_KERNEL};
    return LOW_KERNEL + size <= LOW_KERNEL_END ||
           error_set(err, "-kernel %s: a zImage of %llu KiB does not fit into low memory", kernel->path,
                     (unsigned long long)(size >> 10));
}

static bool offer_initrd(struct fw_cfg *fw, struct boot_image *image, const struct boot_request *request,
                         const struct linux_header *header, uint64_t kernel_end, uint8_t *setup, struct error *err)
{
    const struct boot_file *initrd = image_read_file(image, "-initrd", request->initrd, request->ram_size, err);
    if (!initrd)
        return false;
    uint64_t ceiling = request->ram_size - FIRMWARE_RESERVES;
    if (ceiling > (uint64_t)header->initrd_max + 1)
        ceiling = (uint64_t)header->initrd_max + 1;
    if (initrd->size > ceiling || ((ceiling - initrd->size) & ~(uint64_t)(PAGE_SIZE - 1)) < kernel_end)
        return error_set(err,
                         "-initrd %s: %zu KiB do not fit between the kernel, which ends at %#llx, and %#llx; give more "
                         "memory with -m",
                         initrd->path, (initrd->size + 1023) >> 10, (unsigned long long)kernel_end,
                         (unsigned long long)ceiling);
    uint32_t address = (uint32_t)(ceiling - initrd->size) & ~(uint32_t)(PAGE_SIZE - 1);
    store32(setup + HEADER_RAMDISK_IMAGE, address);
    store32(setup + HEADER_RAMDISK_SIZE, (uint32_t)initrd->size);
    return fw_cfg_add_u32(fw, FW_CFG_INITRD_ADDRESS, address, err) &&
           fw_cfg_add_u32(fw, FW_CFG_INITRD_SIZE, (uint32_t)initrd->size, err) &&
           fw_cfg_add_bytes(fw, FW_CFG_INITRD_DATA, initrd->data, initrd->size, err);
}

static bool offer_command_line(struct fw_cfg *fw, const struct boot_file *kernel, const struct boot_request *request,
                               const struct linux_header *header, const struct layout *layout, uint8_t *setup,
                               struct error *err)
{
    const char *text = request->append ? request->append : "";
    uint32_t most = header->command_max < COMMAND_LINE_ROOM - 1 ? header->command_max : COMMAND_LINE_ROOM - 1;
    if (strlen(text) > most)
        return error_set(err, "-append: %zu characters, but %s takes at most %u", strlen(text), kernel->path, most);
    if (header->version >= 0x202) {
        store32(setup + HEADER_CMD_LINE_PTR, layout->command_line);
    } else {
        store16(setup + OFFSET_CL_MAGIC, CL_MAGIC);
        store16(setup + OFFSET_CL_OFFSET, layout->command_line - layout->setup);
    }
    store16(setup + HEADER_VID_MODE, video_mode(text));
    return fw_cfg_add_u32(fw, FW_CFG_COMMAND_LINE_ADDRESS, layout->command_line, err) &&
           fw_cfg_add_u32(fw, FW_CFG_COMMAND_LINE_SIZE, (uint32_t)strlen(text) + 1, err) &&
           fw_cfg_add_string(fw, FW_CFG_COMMAND_LINE_DATA, text, err);
}

static bool offer_rom(struct fw_cfg *fw, struct error *err)
{
    uint8_t rom[4096];
    size_t size = (size_t)(linux_rom_end - linux_rom);
    if (size > sizeof rom)
        return error_set(err, "internal: the option ROM has %zu bytes", size);
    memcpy(rom, linux_rom, size);
    rom[PNP_HEADER + PNP_CHECKSUM] = (uint8_t)-acpi_checksum(rom + PNP_HEADER, PNP_SIZE);
    rom[size - 1] = (uint8_t)-acpi_checksum(rom, size);
    return fw_cfg_add_file(fw, strstr(LINUX_FIRMWARE_BOOT_ENTRY, "genroms"), rom, size, err);
}

static bool offer(struct fw_cfg *fw, struct boot_image *image, const struct boot_request *request, struct error *err)
{
    struct linux_header header = {0};
    struct layout layout;
    if (!image_read_file(image, "-kernel", request->kernel, request->ram_size, err))
        return false;
    const struct boot_file kernel = image->files[0]; /* a copy: initrd files move the array */
    if (!linux_header_parse(&kernel, &header, err) || !choose_layout(&kernel, &header, request->ram_size, &layout, err))
        return false;
    uint8_t *setup = kernel.data;
    uint32_t size = (uint32_t)(kernel.size - header.setup_size);
    setup[HEADER_TYPE_OF_LOADER] = TYPE_OF_LOADER;
    if (header.version >= 0x201) {
        setup[HEADER_LOADFLAGS] |= LOADFLAG_CAN_USE_HEAP;
        store16(setup + HEADER_HEAP_END_PTR, layout.command_line - layout.setup - 0x200);
    }
    store32(setup + HEADER_RAMDISK_IMAGE, 0);
    store32(setup + HEADER_RAMDISK_SIZE, 0);
    return offer_command_line(fw, &kernel, request, &header, &layout, setup, err) &&
           (!request->initrd ||
            offer_initrd(fw, image, request, &header, (uint64_t)layout.kernel + size, setup, err)) &&
           fw_cfg_add_u32(fw, FW_CFG_SETUP_ADDRESS, layout.setup, err) &&
           fw_cfg_add_u32(fw, FW_CFG_SETUP_SIZE, header.setup_size, err) &&
           fw_cfg_add_bytes(fw, FW_CFG_SETUP_DATA, setup, header.setup_size, err) &&
           fw_cfg_add_u32(fw, FW_CFG_KERNEL_ADDRESS, layout.kernel, err) &&
           fw_cfg_add_u32(fw, FW_CFG_KERNEL_SIZE, size, err) &&
           fw_cfg_add_bytes(fw, FW_CFG_KERNEL_DATA, kernel.data + header.setup_size, size, err) && offer_rom(fw, err);
}

bool linux_firmware_offer(struct fw_cfg *fw, const struct boot_request *request, struct error *err)
{
    struct boot_image *image = calloc(1, sizeof *image); /* keeps the files while they are copied */
    if (!image)
        return error_set(err, "-kernel %s: no memory left", request->kernel);
    bool ok = offer(fw, image, request, err);
    boot_image_close(image);
    return ok;
}

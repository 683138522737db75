/* Linux kernels, entered through the 32-bit entry of the Linux boot protocol
 * (Documentation/arch/x86/boot.rst of the kernel, "32-bit Boot Protocol" and "The Real-Mode Kernel
 * Header"; Documentation/arch/x86/zero-page.rst for struct boot_params).
 *
 *   file:  boot sector | setup, setup_sects sectors | protected-mode kernel
 *   memory:
 *     90000  zero page (struct boot_params). Kernels before protocol 2.02 look for it here and only here.
 *     91000  command line (protocol 2.01 finds it through an offset from 90000)
 *     ...    stack and GDT, below 90000
 *     100000 protected-mode kernel (1000 for a zImage, which is not "loaded high")
 *     top    initial RAM disk, as high as the kernel allows */
#include "vm/boot/linux_header.h"

#include <string.h>

enum {
    ZERO_PAGE = 0x90000,
    ZERO_PAGE_SIZE = 0x1000,
    COMMAND_LINE = 0x91000,
    COMMAND_LINE_ROOM = LOW_MEMORY_END - COMMAND_LINE
};

enum params_offset {
    PARAMS_EXT_MEM_K = 0x002,
    PARAMS_VIDEO = 0x000,
    PARAMS_CL_MAGIC = 0x020,
    PARAMS_CL_OFFSET = 0x022,
    PARAMS_ACPI_RSDP = 0x070,
    PARAMS_ALT_MEM_K = 0x1e0,
    PARAMS_E820_COUNT = 0x1e8,
    PARAMS_E820 = 0x2d0
};

bool bzimage_detect(const struct boot_file *kernel)
{
    return kernel->size >= HEADER_MAGIC + 4 && memcmp(kernel->data + HEADER_MAGIC, "HdrS", 4) == 0 &&
           load16(kernel->data + HEADER_BOOT_FLAG) == 0xaa55;
}

/* The header's field at OFFSET, or OTHERWISE when the header ends before it: short headers of old
 * protocols, and liars. */
static uint32_t header_field32(const struct boot_file *kernel, const struct linux_header *header, uint32_t offset,
                               unsigned since, uint32_t otherwise)
{
    if (header->version < since || offset + 4 > header->header_end)
        return otherwise;
    return load32(kernel->data + offset);
}

bool linux_header_parse(const struct boot_file *kernel, struct linux_header *header, struct error *err)
{
    const uint8_t *data = kernel->data;
    const char *path = kernel->path;
    if (kernel->size < HEADER_INITRD_ADDR_MAX)
        return error_set(err, "-kernel %s: truncated: a Linux kernel whose setup header is cut off at %zu bytes", path,
                         kernel->size);
    *header = (struct linux_header){.version = load16(data + HEADER_VERSION)};
    if (header->version < 0x200)
        return error_set(err, "-kernel %s: Linux boot protocol %u.%02u is too old; 2.00 (Linux 1.3.73) is needed", path,
                         header->version >> 8, header->version & 0xff);

    unsigned sectors = data[HEADER_SETUP_SECTS] ? data[HEADER_SETUP_SECTS] : 4;
    header->setup_size = (sectors + 1) * 512;
    if (header->setup_size >= kernel->size)
        return error_set(err, "-kernel %s: truncated: boot sector and setup are %u bytes, the file has %zu", path,
                         header->setup_size, kernel->size);
    /* The second byte of the jump at 0x200 is its distance: the header ends where it leads to. */
    header->header_end = HEADER_MAGIC + data[HEADER_JUMP + 1];
    if (header->header_end > HEADER_END_MAX)
        header->header_end = HEADER_END_MAX;
    if (header->header_end > header->setup_size)
        header->header_end = header->setup_size;
    if (header->header_end < HEADER_HEAP_END_PTR)
        return error_set(err, "-kernel %s: not a kernel: its setup header ends at %#x", path, header->header_end);

    /* syssize was 16 bits wide before 2.04, too little for large kernels, so it proves nothing there. */
    uint64_t system_size = (uint64_t)load32(data + HEADER_SYSSIZE) * 16;
    uint64_t present = kernel->size - header->setup_size;
    if (header->version >= 0x204 && system_size > present + 15)
        return error_set(err, "-kernel %s: truncated: the kernel proper is %llu bytes, the file has %llu of them", path,
                         (unsigned long long)system_size, (unsigned long long)present);

    header->loaded_high = data[HEADER_LOADFLAGS] & LOADFLAG_LOADED_HIGH;
    header->initrd_max = header_field32(kernel, header, HEADER_INITRD_ADDR_MAX, 0x203, 0x37ffffff);
    header->command_max = header_field32(kernel, header, HEADER_CMDLINE_SIZE, 0x206, 255);
    header->alignment = header_field32(kernel, header, HEADER_KERNEL_ALIGNMENT, 0x205, 1);
    header->relocatable = header_field32(kernel, header, HEADER_RELOCATABLE, 0x205, 0) & 0xff;
    header->pref_address = header_field32(kernel, header, HEADER_PREF_ADDRESS, 0x20a, 0) |
                           (uint64_t)header_field32(kernel, header, HEADER_PREF_ADDRESS + 4, 0x20a, 0) << 32;
    header->init_size = header_field32(kernel, header, HEADER_INIT_SIZE, 0x20a, 0);
    if (!header->alignment && !header->relocatable)
        header->alignment = 1; /* it means nothing then, and some leave it out */
    if (header->alignment == 0 || (header->alignment & (header->alignment - 1)))
        return error_set(err, "-kernel %s: not a kernel: its alignment of %#llx is no power of two", path,
                         (unsigned long long)header->alignment);
    return true;
}

/* Where the kernel, unpacked, ends. Relocatable ones run where they were loaded, but not below
 * pref_address; others at pref_address. */
static uint64_t runtime_end(const struct linux_header *header, uint64_t load_address, uint64_t size)
{
    uint64_t end = load_address + size;
    if (header->init_size) {
        uint64_t start = header->pref_address;
        if (header->relocatable) {
            uint64_t aligned = (load_address + header->alignment - 1) & ~(header->alignment - 1);
            if (aligned > start)
                start = aligned;
        }
        /* Fields from the file: no more than 32 bits matter, as RAM ends below 4 GiB. */
        if (start > UINT32_MAX)
            start = UINT32_MAX;
        if (start + header->init_size > end)
            end = start + header->init_size;
    }
    return end;
}

static bool add_kernel(struct boot_image *image, const struct boot_file *kernel, const struct linux_header *header,
                       uint64_t *end, struct error *err)
{
    uint32_t load_address = header->loaded_high ? HIGH_MEMORY : 0x1000;
    uint64_t size = kernel->size - header->setup_size;
    uint64_t limit = header->loaded_high ? image->ram_size : ZERO_PAGE - 0x2000;
    *end = header->loaded_high ? runtime_end(header, load_address, size) : load_address + size;
    if (*end > limit && header->loaded_high)
        return error_set(err, "-kernel %s: needs %llu MiB of memory to start, the machine has %llu; give more with -m",
                         kernel->path, (unsigned long long)((*end + 0xfffff) >> 20),
                         (unsigned long long)(image->ram_size >> 20));
    if (*end > limit)
        return error_set(err, "-kernel %s: a zImage of %llu KiB does not fit into low memory", kernel->path,
                         (unsigned long long)(size >> 10));
    image->entry.eip = load_address;
    return image_add(image, load_address, kernel->data + header->setup_size, (uint32_t)size, (uint32_t)size, err);
}

static bool add_initrd(struct boot_image *image, const struct boot_request *request, const struct linux_header *header,
                       uint64_t kernel_end, uint8_t *params, struct error *err)
{
    const struct boot_file *initrd = image_read_file(image, "-initrd", request->initrd, image->ram_size, err);
    if (!initrd)
        return false;
    uint64_t ceiling = (uint64_t)header->initrd_max + 1;
    if (ceiling > image->ram_size)
        ceiling = image->ram_size;
    uint64_t floor = kernel_end < HIGH_MEMORY ? HIGH_MEMORY : kernel_end;
    uint32_t address;
    if (!image_find_space(image, floor, ceiling, initrd->size, PAGE_SIZE, &address))
        return error_set(err,
                         "-initrd %s: %zu KiB do not fit between the kernel, which ends at %#llx, and %#llx; give more "
                         "memory with -m",
                         initrd->path, (initrd->size + 1023) >> 10, (unsigned long long)floor,
                         (unsigned long long)ceiling);
    store32(params + HEADER_RAMDISK_IMAGE, address);
    store32(params + HEADER_RAMDISK_SIZE, (uint32_t)initrd->size);
    return image_add(image, address, initrd->data, (uint32_t)initrd->size, (uint32_t)initrd->size, err);
}

static bool add_command_line(struct boot_image *image, const struct boot_file *kernel,
                             const struct boot_request *request, const struct linux_header *header, uint8_t *params,
                             struct error *err)
{
    const char *text = request->append ? request->append : "";
    size_t length = strlen(text);
    uint32_t most = header->command_max < COMMAND_LINE_ROOM - 1 ? header->command_max : COMMAND_LINE_ROOM - 1;
    if (length > most)
        return error_set(err, "-append: %zu characters, but %s takes at most %u", length, kernel->path, most);
    uint8_t *room = image_add_owned(image, COMMAND_LINE, (uint32_t)length + 1, err);
    if (!room)
        return false;
    memcpy(room, text, length);
    if (header->version >= 0x202) {
        store32(params + HEADER_CMD_LINE_PTR, COMMAND_LINE);
    } else {
        store16(params + PARAMS_CL_MAGIC, 0xa33f);
        store16(params + PARAMS_CL_OFFSET, COMMAND_LINE - ZERO_PAGE);
    }
    return true;
}

static void fill_memory_map(const struct boot_image *image, uint8_t *params)
{
    struct e820_entry map[E820_ENTRIES];
    unsigned count = e820_build(image->ram_size, map);
    params[PARAMS_E820_COUNT] = (uint8_t)count;
    for (unsigned i = 0; i < count; i++) {
        uint8_t *entry = params + PARAMS_E820 + 20 * i;
        store64(entry, map[i].address);
        store64(entry + 8, map[i].size);
        store32(entry + 16, map[i].type);
    }
    /* What INT 15h AH=88h and AX=E801h would have said, for kernels that do not know the map. */
    uint64_t extended = (image->ram_size - HIGH_MEMORY) >> 10;
    store32(params + PARAMS_ALT_MEM_K, (uint32_t)extended);
    store16(params + PARAMS_EXT_MEM_K, extended > 0xfc00 ? 0xfc00 : (uint32_t)extended);
}

/* struct screen_info: text mode 3, cursor in the last line; all zero says that there is no display. */
static void fill_screen(uint8_t *params)
{
    uint8_t *screen = params + PARAMS_VIDEO;
    screen[0x00] = 0;           /* orig_x */
    screen[0x01] = 24;          /* orig_y */
    screen[0x06] = 3;           /* orig_video_mode */
    screen[0x07] = 80;          /* orig_video_cols */
    store16(screen + 0x0a, 3);  /* orig_video_ega_bx: 256 KiB, colour */
    screen[0x0e] = 25;          /* orig_video_lines */
    screen[0x0f] = 1;           /* orig_video_isVGA */
    store16(screen + 0x10, 16); /* orig_video_points */
}

bool bzimage_open(struct boot_image *image, const struct boot_file *kernel, const struct boot_request *request,
                  uint32_t rsdp, struct error *err)
{
    struct linux_header header = {0};
    uint64_t kernel_end;
    if (!linux_header_parse(kernel, &header, err) || !add_kernel(image, kernel, &header, &kernel_end, err))
        return false;
    uint8_t *params = image_add_owned(image, ZERO_PAGE, ZERO_PAGE_SIZE, err);
    if (!params)
        return false;

    memcpy(params + HEADER_SETUP_SECTS, kernel->data + HEADER_SETUP_SECTS, header.header_end - HEADER_SETUP_SECTS);
    params[HEADER_TYPE_OF_LOADER] = 0xff;      /* a loader without an assigned number */
    store16(params + HEADER_VID_MODE, 0xffff); /* "normal" */
    store32(params + HEADER_CODE32_START, image->entry.eip);
    store32(params + HEADER_RAMDISK_IMAGE, 0);
    store32(params + HEADER_RAMDISK_SIZE, 0);
    fill_memory_map(image, params);
    if (image->has_vga)
        fill_screen(params);
    if (header.version >= 0x20e)
        store64(params + PARAMS_ACPI_RSDP, rsdp);

    if (!add_command_line(image, kernel, request, &header, params, err))
        return false;
    if (!entry_add_environment(image, ZERO_PAGE, err))
        return false;
    if (request->initrd && !add_initrd(image, request, &header, kernel_end, params, err))
        return false;
    image->entry.esi = ZERO_PAGE;
    return true;
}

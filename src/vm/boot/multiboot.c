/* Kernels that follow the Multiboot Specification 0.6.96 (section numbers below), and plain ELF
 * executables, which are entered in the same way: EAX = magic, EBX = information.
 *
 *   information structure | memory map | module list | strings     one block, below 9fc00 if possible
 *   modules: from the top of RAM downward, page-aligned */
#include "vm/boot/image.h"

#include <stdlib.h>
#include <string.h>

#define HEADER_MAGIC 0x1badb002u
#define LOADER_MAGIC 0x2badb002u
static const char loader_name[] = "Dragoman";

/* 3.1.1: the header lies completely within the first 8192 bytes, aligned to 4. */
enum { SEARCH_LIMIT = 8192, HEADER_SIZE = 12, HEADER_SIZE_KLUDGE = 32 };

enum header_flag {
    HEADER_ALIGN_MODULES = 1 << 0,
    HEADER_MEMORY_INFO = 1 << 1,
    HEADER_VIDEO = 1 << 2, /* a wish: the mode stays what it is */
    HEADER_REQUIRED_MASK = 0xffff,
    HEADER_ADDRESSES = 1 << 16 /* the "a.out kludge" */
};

/* 3.3: the information structure */
enum info_flag {
    INFO_MEMORY = 1 << 0,
    INFO_COMMAND_LINE = 1 << 2,
    INFO_MODULES = 1 << 3,
    INFO_MEMORY_MAP = 1 << 6,
    INFO_LOADER_NAME = 1 << 9
};
enum { INFO_SIZE = 120, MAP_ENTRY_SIZE = 24, MODULE_ENTRY_SIZE = 16, MOST_MODULES = 256 };

struct module {
    uint32_t address, size;
    char *text; /* "FILE ARGUMENTS" */
};

struct module_list {
    struct module items[MOST_MODULES];
    unsigned count;
};

long multiboot_find_header(const struct boot_file *kernel)
{
    size_t end = kernel->size < SEARCH_LIMIT ? kernel->size : SEARCH_LIMIT;
    for (size_t i = 0; i + HEADER_SIZE <= end; i += 4) {
        const uint8_t *header = kernel->data + i;
        if (load32(header) == HEADER_MAGIC && load32(header) + load32(header + 4) + load32(header + 8) == 0)
            return (long)i;
    }
    return -1;
}

/* 3.1.3: the address fields. All of them physical. */
static bool load_kludge(struct boot_image *image, const struct boot_file *kernel, size_t offset, struct error *err)
{
    if (offset + HEADER_SIZE_KLUDGE > kernel->size)
        return error_set(err, "-kernel %s: truncated: the multiboot header at %#zx is cut off", kernel->path, offset);
    const uint8_t *header = kernel->data + offset;
    uint32_t header_address = load32(header + 12), load_address = load32(header + 16);
    uint32_t load_end = load32(header + 20), bss_end = load32(header + 24), entry = load32(header + 28);

    if (load_address > header_address || header_address - load_address > offset)
        return error_set(err,
                         "-kernel %s: not a kernel: its multiboot header at %#zx claims to be at %#x of an image "
                         "loaded at %#x",
                         kernel->path, offset, header_address, load_address);
    size_t start = offset - (header_address - load_address);
    uint64_t size = kernel->size - start;
    if (load_end) {
        if (load_end < load_address)
            return error_set(err, "-kernel %s: not a kernel: multiboot load end %#x is below its start %#x",
                             kernel->path, load_end, load_address);
        if (load_end - load_address > size)
            return error_set(err,
                             "-kernel %s: truncated: the multiboot header asks for %u bytes from %#zx, the file "
                             "has %zu",
                             kernel->path, load_end - load_address, start, kernel->size);
        size = load_end - load_address;
    }
    uint64_t memory_size = size;
    if (bss_end) {
        if (bss_end < load_address + size)
            return error_set(err, "-kernel %s: not a kernel: multiboot bss end %#x is below the end of its data, %#llx",
                             kernel->path, bss_end, (unsigned long long)(load_address + size));
        memory_size = bss_end - load_address;
    }
    if (!image_is_loadable(image, load_address, memory_size))
        return error_set(err,
                         "-kernel %s: its %llu bytes at %#x are not in the machine's %llu MiB of RAM (a0000-f8fff is "
                         "not for kernels)",
                         kernel->path, (unsigned long long)memory_size, load_address,
                         (unsigned long long)(image->ram_size >> 20));
    if (entry < load_address || entry - load_address >= memory_size)
        return error_set(err, "-kernel %s: not a kernel: its entry point %#x is outside of it", kernel->path, entry);
    image->entry.eip = entry;
    return image_add(image, load_address, kernel->data + start, (uint32_t)size, (uint32_t)memory_size, err);
}

/* ---- modules ---- */

/* The next module of LIST in a new string ("" for an empty one), with ",," made into ","; *LIST moves
 * on and becomes NULL after the last. */
static char *next_module(const char **list)
{
    const char *from = *list;
    char *text = malloc(strlen(from) + 1);
    size_t length = 0;
    if (!text)
        return NULL;
    for (; *from; from++) {
        if (*from == ',') {
            if (from[1] != ',')
                break;
            from++;
        }
        text[length++] = *from;
    }
    text[length] = '\0';
    *list = *from ? from + 1 : NULL;
    return text;
}

static bool load_module(struct boot_image *image, struct module *module, uint64_t floor, struct error *err)
{
    size_t name_length = strcspn(module->text, " ");
    char *path = strndup(module->text, name_length);
    if (!path)
        return error_set(err, "-initrd: no memory left");
    if (name_length == 0) {
        free(path);
        return error_set(err, "-initrd: a module without a file name");
    }
    const struct boot_file *file = image_read_file(image, "-initrd", path, image->ram_size, err);
    free(path);
    if (!file)
        return false;
    module->size = (uint32_t)file->size;
    if (!image_find_space(image, floor, image->ram_size, file->size, PAGE_SIZE, &module->address))
        return error_set(err, "-initrd %s: %zu KiB do not fit into memory with the kernel; give more with -m",
                         file->path, (file->size + 1023) >> 10);
    return image_add(image, module->address, file->data, module->size, module->size, err);
}

static bool load_modules(struct boot_image *image, const char *list, struct module_list *modules, struct error *err)
{
    while (list && *list) {
        if (modules->count == MOST_MODULES)
            return error_set(err, "-initrd: more than %u modules", MOST_MODULES);
        struct module *module = &modules->items[modules->count];
        module->text = next_module(&list);
        if (!module->text)
            return error_set(err, "-initrd: no memory left");
        modules->count++;
        if (!load_module(image, module, HIGH_MEMORY, err))
            return false;
    }
    return true;
}

/* ---- the information structure ---- */

/* Copies TEXT to DATA + *USED; returns its guest address. */
static uint32_t put_text(uint8_t *data, uint32_t address, uint32_t *used, const char *text)
{
    size_t length = strlen(text) + 1;
    uint32_t at = address + *used;
    memcpy(data + *used, text, length);
    *used += (uint32_t)length;
    return at;
}

static bool add_info(struct boot_image *image, const char *command_line, const struct module_list *modules,
                     struct error *err)
{
    struct e820_entry map[E820_ENTRIES];
    unsigned map_count = e820_build(image->ram_size, map);
    const uint32_t map_offset = INFO_SIZE;
    const uint32_t modules_offset = map_offset + MAP_ENTRY_SIZE * map_count;
    uint32_t used = modules_offset + MODULE_ENTRY_SIZE * modules->count;
    size_t size = used + strlen(command_line) + 1 + sizeof loader_name;
    for (unsigned i = 0; i < modules->count; i++)
        size += strlen(modules->items[i].text) + 1;
    if (size > LOW_MEMORY_END / 2)
        return error_set(err, "-append and -initrd: %zu characters are too many", size);

    uint32_t address;
    if (!image_find_low_space(image, LOW_MEMORY_END, (uint32_t)size, 16, &address, err))
        return false;
    uint8_t *info = image_add_owned(image, address, (uint32_t)size, err);
    if (!info)
        return false;

    store32(info, INFO_MEMORY | INFO_COMMAND_LINE | INFO_MODULES | INFO_MEMORY_MAP | INFO_LOADER_NAME);
    store32(info + 4, LOW_MEMORY_END >> 10);
    store32(info + 8, (uint32_t)((image->ram_size - HIGH_MEMORY) >> 10));
    store32(info + 16, put_text(info, address, &used, command_line));
    store32(info + 20, modules->count);
    store32(info + 24, address + modules_offset);
    store32(info + 44, MAP_ENTRY_SIZE * map_count);
    store32(info + 48, address + map_offset);
    store32(info + 64, put_text(info, address, &used, loader_name));
    for (unsigned i = 0; i < map_count; i++) {
        uint8_t *entry = info + map_offset + MAP_ENTRY_SIZE * i;
        store32(entry, MAP_ENTRY_SIZE - 4); /* the size field does not count itself */
        store64(entry + 4, map[i].address);
        store64(entry + 12, map[i].size);
        store32(entry + 20, map[i].type);
    }
    for (unsigned i = 0; i < modules->count; i++) {
        const struct module *module = &modules->items[i];
        uint8_t *entry = info + modules_offset + MODULE_ENTRY_SIZE * i;
        store32(entry, module->address);
        store32(entry + 4, module->address + module->size);
        store32(entry + 8, put_text(info, address, &used, module->text));
    }
    image->entry.eax = LOADER_MAGIC;
    image->entry.ebx = address;
    return true;
}

/* "PATH ARGUMENTS", as a boot loader's menu would have it. */
static bool add_tables(struct boot_image *image, const struct boot_file *kernel, const struct boot_request *request,
                       struct error *err)
{
    const char *append = request->append ? request->append : "";
    size_t size = strlen(kernel->path) + 1 + strlen(append) + 1;
    char *command_line = malloc(size);
    struct module_list *modules = calloc(1, sizeof *modules);
    bool ok;
    if (command_line && modules) {
        strcpy(command_line, kernel->path);
        if (*append) {
            strcat(command_line, " ");
            strcat(command_line, append);
        }
        ok = load_modules(image, request->initrd, modules, err) && add_info(image, command_line, modules, err);
    } else {
        ok = error_set(err, "-kernel %s: no memory left", kernel->path);
    }
    for (unsigned i = 0; modules && i < modules->count; i++)
        free(modules->items[i].text);
    free(modules);
    free(command_line);
    return ok;
}

bool multiboot_open(struct boot_image *image, const struct boot_file *kernel, const struct boot_request *request,
                    long header, struct error *err)
{
    uint32_t flags = header >= 0 ? load32(kernel->data + header + 4) : 0;
    uint32_t unknown =
        flags & HEADER_REQUIRED_MASK & ~(uint32_t)(HEADER_ALIGN_MODULES | HEADER_MEMORY_INFO | HEADER_VIDEO);
    if (unknown)
        return error_set(err, "-kernel %s: requires multiboot features that do not exist here (flags %#x)",
                         kernel->path, unknown);
    if (flags & HEADER_ADDRESSES) {
        if (!load_kludge(image, kernel, (size_t)header, err))
            return false;
    } else if (elf_detect(kernel)) {
        if (!elf_load(image, kernel, &image->entry.eip, err))
            return false;
    } else {
        return error_set(err, "-kernel %s: a multiboot kernel that is neither ELF nor says where it is loaded",
                         kernel->path);
    }
    return add_tables(image, kernel, request, err) && entry_add_environment(image, LOW_MEMORY_END, err);
}

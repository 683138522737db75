/* The boot image itself: files, chunks, free space, placing; and the choice of a loader. */
#include "vm/boot/image.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* ---- files ---- */

/* Reads to the end, so that pipes work too; one byte beyond LIMIT proves the file too long. */
static bool read_all(int fd, struct boot_file *file, uint64_t limit, size_t expected, struct error *err)
{
    size_t capacity = expected + 1;
    file->data = malloc(capacity);
    while (file->data) {
        ssize_t n = read(fd, file->data + file->size, capacity - file->size);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return error_set(err, "%s %s: %s", file->option, file->path, strerror(errno));
        if (n == 0)
            return true;
        file->size += (size_t)n;
        if (file->size > limit)
            return error_set(err, "%s %s: larger than %llu MiB, the memory it would have to fit in (see -m)",
                             file->option, file->path, (unsigned long long)(limit >> 20));
        if (file->size == capacity) {
            capacity *= 2;
            uint8_t *larger = realloc(file->data, capacity);
            if (!larger)
                break;
            file->data = larger;
        }
    }
    return error_set(err, "%s %s: no memory left to read it", file->option, file->path);
}

static bool open_and_read(struct boot_file *file, uint64_t limit, struct error *err)
{
    int fd = open(file->path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
    if (fd < 0)
        return error_set(err, "%s %s: %s", file->option, file->path, strerror(errno));
    struct stat status;
    bool ok;
    if (fstat(fd, &status) != 0) {
        ok = error_set(err, "%s %s: %s", file->option, file->path, strerror(errno));
    } else if (S_ISDIR(status.st_mode)) {
        ok = error_set(err, "%s %s: is a directory", file->option, file->path);
    } else {
        bool regular = S_ISREG(status.st_mode) && status.st_size > 0 && (uint64_t)status.st_size <= limit;
        ok = read_all(fd, file, limit, regular ? (size_t)status.st_size : 65535, err);
    }
    close(fd);
    if (ok && file->size == 0)
        ok = error_set(err, "%s %s: the file is empty", file->option, file->path);
    return ok;
}

const struct boot_file *image_read_file(struct boot_image *image, const char *option, const char *path, uint64_t limit,
                                        struct error *err)
{
    struct boot_file *files = realloc(image->files, (image->file_count + 1) * sizeof *files);
    if (!files) {
        error_set(err, "%s %s: no memory left", option, path);
        return NULL;
    }
    image->files = files;
    struct boot_file *file = &files[image->file_count];
    *file = (struct boot_file){.option = option, .path = strdup(path)};
    if (!file->path) {
        error_set(err, "%s %s: no memory left", option, path);
        return NULL;
    }
    image->file_count++;
    return open_and_read(file, limit, err) ? file : NULL;
}

/* ---- chunks ---- */

bool image_add(struct boot_image *image, uint32_t address, const uint8_t *data, uint32_t data_size, uint32_t size,
               struct error *err)
{
    struct boot_chunk *chunks = realloc(image->chunks, (image->chunk_count + 1) * sizeof *chunks);
    if (!chunks)
        return error_set(err, "no memory left to lay out the boot image");
    image->chunks = chunks;
    chunks[image->chunk_count++] =
        (struct boot_chunk){.address = address, .size = size, .data_size = data_size, .data = data};
    return true;
}

uint8_t *image_add_owned(struct boot_image *image, uint32_t address, uint32_t size, struct error *err)
{
    uint8_t *data = calloc(1, size);
    if (!data) {
        error_set(err, "no memory left to lay out the boot image");
        return NULL;
    }
    if (!image_add(image, address, data, size, size, err)) {
        free(data);
        return NULL;
    }
    image->chunks[image->chunk_count - 1].owned = data;
    return data;
}

bool image_is_loadable(const struct boot_image *image, uint64_t address, uint64_t size)
{
    if (size > image->ram_size || address > image->ram_size)
        return false;
    uint64_t end = address + size;
    return end <= LOW_MEMORY_END || (address >= TABLES_END && end <= image->ram_size);
}

bool image_find_space(const struct boot_image *image, uint64_t floor, uint64_t ceiling, uint64_t size, uint32_t align,
                      uint32_t *address)
{
    while (ceiling >= size && ceiling - size >= floor) {
        uint64_t start = (ceiling - size) & ~(uint64_t)(align - 1);
        if (start < floor)
            return false;
        size_t i;
        for (i = 0; i < image->chunk_count; i++) {
            const struct boot_chunk *chunk = &image->chunks[i];
            if (start < (uint64_t)chunk->address + chunk->size && chunk->address < start + size)
                break;
        }
        if (i == image->chunk_count) {
            *address = (uint32_t)start;
            return true;
        }
        ceiling = image->chunks[i].address; /* lower than before: the loop ends */
    }
    return false;
}

bool image_find_low_space(const struct boot_image *image, uint32_t ceiling, uint32_t size, uint32_t align,
                          uint32_t *address, struct error *err)
{
    if (image_find_space(image, 0x1000, ceiling, size, align, address) ||
        image_find_space(image, HIGH_MEMORY, image->ram_size, size, align, address))
        return true;
    return error_set(err, "-kernel %s: leaves no %u bytes of memory for the boot information; give more with -m",
                     image->files[0].path, size);
}

/* ---- memory map ---- */

unsigned e820_build(uint64_t ram_size, struct e820_entry entries[E820_ENTRIES])
{
    unsigned n = 0;
    entries[n++] = (struct e820_entry){0, LOW_MEMORY_END, E820_RAM};
    entries[n++] = (struct e820_entry){LOW_MEMORY_END, EBDA_SIZE, E820_RESERVED};
    entries[n++] = (struct e820_entry){FIRMWARE_BASE, HIGH_MEMORY - FIRMWARE_BASE, E820_RESERVED};
    if (ram_size > HIGH_MEMORY)
        entries[n++] = (struct e820_entry){HIGH_MEMORY, ram_size - HIGH_MEMORY, E820_RAM};
    /* The top 256 KiB below 4 GiB, where a PC has its firmware. */
    entries[n++] = (struct e820_entry){0xfffc0000u, 0x40000, E820_RESERVED};
    return n;
}

/* ---- the way in ---- */

bool entry_add_environment(struct boot_image *image, uint32_t ceiling, struct error *err)
{
    enum { CODE = 0x10, DATA = 0x18, GDT_SIZE = 0x20, STACK_SIZE = 0x1000 };
    uint32_t address;
    if (!image_find_low_space(image, ceiling, STACK_SIZE + GDT_SIZE, 16, &address, err))
        return false;
    uint8_t *data = image_add_owned(image, address, STACK_SIZE + GDT_SIZE, err);
    if (!data)
        return false;
    /* __BOOT_CS and __BOOT_DS of the Linux boot protocol; multiboot leaves the selectors open. */
    store64(data + STACK_SIZE + CODE, 0x00cf9b000000ffffull);
    store64(data + STACK_SIZE + DATA, 0x00cf93000000ffffull);
    image->entry.esp = address + STACK_SIZE;
    image->entry.gdt_base = address + STACK_SIZE;
    image->entry.gdt_limit = GDT_SIZE - 1;
    image->entry.code_selector = CODE;
    image->entry.data_selector = DATA;
    return true;
}

static bool open_kernel(struct boot_image *image, const struct boot_request *request, struct error *err)
{
    if (!image_read_file(image, "-kernel", request->kernel, request->ram_size, err))
        return false;
    uint32_t rsdp;
    if (!firmware_add(image, &rsdp, err))
        return false;
    struct boot_file kernel = image->files[0]; /* a copy: initrd files move the array */
    long header = multiboot_find_header(&kernel);
    if (elf_detect(&kernel) || (header >= 0 && !bzimage_detect(&kernel)))
        return multiboot_open(image, &kernel, request, header, err);
    if (bzimage_detect(&kernel))
        return bzimage_open(image, &kernel, request, rsdp, err);
    return error_set(err, "-kernel %s: not a kernel: neither a Linux bzImage nor multiboot nor ELF", kernel.path);
}

struct boot_image *boot_image_open(const struct boot_request *request, struct error *err)
{
    struct boot_image *image = calloc(1, sizeof *image);
    if (!image) {
        error_set(err, "-kernel %s: no memory left", request->kernel);
        return NULL;
    }
    image->ram_size = request->ram_size;
    image->has_vga = request->has_vga;
    if (!open_kernel(image, request, err)) {
        boot_image_close(image);
        return NULL;
    }
    return image;
}

void boot_image_close(struct boot_image *image)
{
    if (!image)
        return;
    for (size_t i = 0; i < image->chunk_count; i++)
        free(image->chunks[i].owned);
    for (size_t i = 0; i < image->file_count; i++) {
        free(image->files[i].path);
        free(image->files[i].data);
    }
    free(image->chunks);
    free(image->files);
    free(image);
}

void boot_image_place(const struct boot_image *image, struct memory *memory)
{
    static const uint8_t zeros[4096];
    for (size_t i = 0; i < image->chunk_count; i++) {
        const struct boot_chunk *chunk = &image->chunks[i];
        memory_poke_bytes(memory, chunk->address, chunk->data, chunk->data_size);
        for (uint32_t done = chunk->data_size; done < chunk->size;) {
            uint32_t length = chunk->size - done < sizeof zeros ? chunk->size - done : (uint32_t)sizeof zeros;
            memory_poke_bytes(memory, (uint64_t)chunk->address + done, zeros, length);
            done += length;
        }
    }
}

const struct boot_entry *boot_image_entry(const struct boot_image *image)
{
    return &image->entry;
}

bool boot_load(struct memory *memory, const struct boot_request *request, struct boot_entry *entry, struct error *err)
{
    struct boot_image *image = boot_image_open(request, err);
    if (!image)
        return false;
    boot_image_place(image, memory);
    *entry = image->entry;
    boot_image_close(image);
    return true;
}

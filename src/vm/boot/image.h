/* Private to vm/boot/: a boot image under construction. */
#ifndef DRAGOMAN_VM_BOOT_IMAGE_H
#define DRAGOMAN_VM_BOOT_IMAGE_H

#include "vm/boot/boot.h"

#include <stddef.h>

#define LOW_MEMORY_END 0x9fc00u /* conventional memory; the EBDA follows */
#define EBDA_SIZE      0x400u
#define FIRMWARE_BASE  0xf0000u
#define TABLES_END     0xf9000u /* the firmware tables in use end below; from here on a kernel may be loaded */
#define HIGH_MEMORY    0x100000u

struct boot_file {
    const char *option; /* "-kernel", for messages */
    char *path;
    uint8_t *data;
    size_t size;
};

/* SIZE bytes at ADDRESS: DATA_SIZE from DATA, zeros for the rest. */
struct boot_chunk {
    uint32_t address;
    uint32_t size;
    uint32_t data_size;
    const uint8_t *data; /* in a file of the image, or in `owned` */
    uint8_t *owned;
};

struct boot_image {
    uint64_t ram_size;
    bool has_vga;
    struct boot_entry entry;
    struct boot_file *files;
    size_t file_count;
    struct boot_chunk *chunks;
    size_t chunk_count;
};

/* Reads PATH whole; fails if it is missing, empty, no file, or larger than LIMIT bytes. The file
 * belongs to IMAGE; the pointer is good until the next call. */
const struct boot_file *image_read_file(struct boot_image *image, const char *option, const char *path, uint64_t limit,
                                        struct error *err);

/* Adds DATA (kept by the image's files). The caller has checked [address, address+size) against RAM. */
bool image_add(struct boot_image *image, uint32_t address, const uint8_t *data, uint32_t data_size, uint32_t size,
               struct error *err);
/* Adds SIZE bytes of zeros that the caller fills; NULL with a message when out of memory. */
uint8_t *image_add_owned(struct boot_image *image, uint32_t address, uint32_t size, struct error *err);

/* Is [address, address+size) RAM that a kernel may be loaded to? Conventional memory or from TABLES_END:
 * linkers put the ELF headers of what is to be at 1 MiB into the page before, as a part of its first segment. */
bool image_is_loadable(const struct boot_image *image, uint64_t address, uint64_t size);
/* Free space of SIZE bytes, ALIGN a power of two, within [floor, ceiling): the highest. False: none. */
bool image_find_space(const struct boot_image *image, uint64_t floor, uint64_t ceiling, uint64_t size, uint32_t align,
                      uint32_t *address);
/* Free space in conventional memory below CEILING, or above 1 MiB where there is none. */
bool image_find_low_space(const struct boot_image *image, uint32_t ceiling, uint32_t size, uint32_t align,
                          uint32_t *address, struct error *err);

/* The memory map, as INT 15h AX=E820h gives it. */
enum e820_type { E820_RAM = 1, E820_RESERVED = 2 };
struct e820_entry {
    uint64_t address, size;
    enum e820_type type;
};
#define E820_ENTRIES 5
/* Fills ENTRIES, returns how many. */
unsigned e820_build(uint64_t ram_size, struct e820_entry entries[E820_ENTRIES]);

/* The parts of a BIOS: vectors, data areas, tables in the F segment. Sets *RSDP. */
bool firmware_add(struct boot_image *image, uint32_t *rsdp, struct error *err);
/* GDT and stack below CEILING; fills the entry's descriptors and ESP. Call after the kernel is added. */
bool entry_add_environment(struct boot_image *image, uint32_t ceiling, struct error *err);

bool bzimage_detect(const struct boot_file *kernel);
bool bzimage_open(struct boot_image *image, const struct boot_file *kernel, const struct boot_request *request,
                  uint32_t rsdp, struct error *err);

/* Offset of the multiboot header in KERNEL, or -1. */
long multiboot_find_header(const struct boot_file *kernel);
/* HEADER -1: a plain ELF file. */
bool multiboot_open(struct boot_image *image, const struct boot_file *kernel, const struct boot_request *request,
                    long header, struct error *err);

bool elf_detect(const struct boot_file *kernel);
/* Adds the loadable segments. *ENTRY is physical. */
bool elf_load(struct boot_image *image, const struct boot_file *kernel, uint32_t *entry, struct error *err);

/* Little-endian fields at any alignment. */
static inline uint16_t load16(const uint8_t *p)
{
    return (uint16_t)(p[0] | p[1] << 8);
}
static inline uint32_t load32(const uint8_t *p)
{
    return load16(p) | (uint32_t)load16(p + 2) << 16;
}
static inline uint64_t load64(const uint8_t *p)
{
    return load32(p) | (uint64_t)load32(p + 4) << 32;
}
static inline void store16(uint8_t *p, uint32_t value)
{
    p[0] = (uint8_t)value;
    p[1] = (uint8_t)(value >> 8);
}
static inline void store32(uint8_t *p, uint32_t value)
{
    store16(p, value & 0xffff);
    store16(p + 2, value >> 16);
}
static inline void store64(uint8_t *p, uint64_t value)
{
    store32(p, (uint32_t)value);
    store32(p + 4, (uint32_t)(value >> 32));
}

#endif

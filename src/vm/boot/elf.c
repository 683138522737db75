/* 32-bit x86 ELF executables, read with libelf: their loadable segments at their physical addresses. */
#include "vm/boot/image.h"

#include <gelf.h>
#include <string.h>

enum { MOST_SEGMENTS = 512 };

struct segment {
    uint64_t offset, file_size, physical, virtual, memory_size;
};

bool elf_detect(const struct boot_file *kernel)
{
    return kernel->size >= SELFMAG && memcmp(kernel->data, ELFMAG, SELFMAG) == 0;
}

static bool check_header(const struct boot_file *kernel, const GElf_Ehdr *header, struct error *err)
{
    if (header->e_ident[EI_CLASS] == ELFCLASS64)
        return error_set(err, "-kernel %s: a 64-bit ELF file; only 32-bit x86 ones can be started", kernel->path);
    if (header->e_ident[EI_DATA] != ELFDATA2LSB || header->e_machine != EM_386)
        return error_set(err, "-kernel %s: an ELF file for another processor (machine %u); x86 (3) is needed",
                         kernel->path, header->e_machine);
    if (header->e_type != ET_EXEC)
        return error_set(err,
                         "-kernel %s: an ELF file of type %u; only executables at fixed addresses (2) can be "
                         "started",
                         kernel->path, header->e_type);
    if (header->e_phnum && header->e_phentsize != sizeof(Elf32_Phdr)) /* libelf does not look at it */
        return error_set(err, "-kernel %s: damaged: ELF program headers of %u bytes each", kernel->path,
                         header->e_phentsize);
    return true;
}

static bool check_segment(const struct boot_image *image, const struct boot_file *kernel, unsigned index,
                          const struct segment *segment, struct error *err)
{
    if (segment->offset > kernel->size || segment->file_size > kernel->size - segment->offset)
        return error_set(err, "-kernel %s: truncated: ELF segment %u is %llu bytes at %#llx, the file has %zu",
                         kernel->path, index, (unsigned long long)segment->file_size,
                         (unsigned long long)segment->offset, kernel->size);
    if (segment->file_size > segment->memory_size)
        return error_set(err, "-kernel %s: not a kernel: ELF segment %u is larger in the file than in memory",
                         kernel->path, index);
    if (!image_is_loadable(image, segment->physical, segment->memory_size))
        return error_set(err,
                         "-kernel %s: ELF segment %u, %llu bytes at %#llx, is not in the machine's %llu MiB of RAM "
                         "(a0000-f8fff is not for kernels)",
                         kernel->path, index, (unsigned long long)segment->memory_size,
                         (unsigned long long)segment->physical, (unsigned long long)(image->ram_size >> 20));
    return true;
}

/* An entry point is physical by the multiboot specification, but virtual in many kernels linked to
 * run elsewhere: taken as virtual only if no segment holds it physically. */
static bool find_entry(const struct boot_file *kernel, const struct segment *segments, unsigned count, uint64_t entry,
                       uint32_t *result, struct error *err)
{
    for (unsigned i = 0; i < count; i++) {
        if (entry >= segments[i].physical && entry - segments[i].physical < segments[i].memory_size) {
            *result = (uint32_t)entry;
            return true;
        }
    }
    for (unsigned i = 0; i < count; i++) {
        if (entry >= segments[i].virtual && entry - segments[i].virtual < segments[i].memory_size) {
            *result = (uint32_t)(entry - segments[i].virtual + segments[i].physical);
            return true;
        }
    }
    return error_set(err, "-kernel %s: not a kernel: its entry point %#llx is in none of its segments", kernel->path,
                     (unsigned long long)entry);
}

static bool load_segments(struct boot_image *image, const struct boot_file *kernel, Elf *elf, uint32_t *entry,
                          struct error *err)
{
    GElf_Ehdr header;
    size_t program_headers;
    if (!gelf_getehdr(elf, &header))
        return error_set(err, "-kernel %s: truncated or damaged: no ELF header (%s)", kernel->path, elf_errmsg(-1));
    if (!check_header(kernel, &header, err))
        return false;
    if (elf_getphdrnum(elf, &program_headers) != 0)
        return error_set(err, "-kernel %s: damaged: no ELF program headers (%s)", kernel->path, elf_errmsg(-1));

    struct segment segments[MOST_SEGMENTS];
    unsigned count = 0;
    for (size_t i = 0; i < program_headers && i < UINT16_MAX; i++) {
        GElf_Phdr program;
        if (!gelf_getphdr(elf, (int)i, &program))
            return error_set(err, "-kernel %s: truncated: ELF program header %zu is not in the file", kernel->path, i);
        if (program.p_type != PT_LOAD || program.p_memsz == 0)
            continue;
        if (count == MOST_SEGMENTS)
            return error_set(err, "-kernel %s: not a kernel: more than %u ELF segments", kernel->path, MOST_SEGMENTS);
        struct segment *segment = &segments[count++];
        *segment =
            (struct segment){program.p_offset, program.p_filesz, program.p_paddr, program.p_vaddr, program.p_memsz};
        if (!check_segment(image, kernel, (unsigned)i, segment, err) ||
            !image_add(image, (uint32_t)segment->physical, kernel->data + segment->offset, (uint32_t)segment->file_size,
                       (uint32_t)segment->memory_size, err))
            return false;
    }
    if (count == 0)
        return error_set(err, "-kernel %s: not a kernel: an ELF file with nothing to load", kernel->path);
    return find_entry(kernel, segments, count, header.e_entry, entry, err);
}

bool elf_load(struct boot_image *image, const struct boot_file *kernel, uint32_t *entry, struct error *err)
{
    if (elf_version(EV_CURRENT) == EV_NONE)
        return error_set(err, "-kernel %s: libelf is too old", kernel->path);
    Elf *elf = elf_memory((char *)kernel->data, kernel->size);
    if (!elf)
        return error_set(err, "-kernel %s: truncated or damaged: %s", kernel->path, elf_errmsg(-1));
    bool ok =
        elf_kind(elf) == ELF_K_ELF
            ? load_segments(image, kernel, elf, entry, err)
            : error_set(err, "-kernel %s: truncated or damaged: an ELF file without a valid header", kernel->path);
    elf_end(elf);
    return ok;
}

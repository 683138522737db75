/* Boot images: that good kernels land where they belong, and bad ones are refused with a message that
 * names the file.  Run under the sanitizers, this is also the test of what lies in headers may do. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "vm/boot/image.h"

#include <elf.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define MIB (1024u * 1024u)

struct fixture {
    char folder[64], kernel[96], initrd[96], second[96];
    uint8_t bytes[65536];
    struct error err;
};

static int set_up(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    strcpy(f->folder, "/tmp/dragoman-boot-XXXXXX");
    if (!mkdtemp(f->folder))
        return -1;
    snprintf(f->kernel, sizeof f->kernel, "%s/kernel", f->folder);
    snprintf(f->initrd, sizeof f->initrd, "%s/initrd", f->folder);
    snprintf(f->second, sizeof f->second, "%s/a,b", f->folder);
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;
    unlink(f->kernel);
    unlink(f->initrd);
    unlink(f->second);
    rmdir(f->folder);
    free(f);
    return 0;
}

static void write_file(const char *path, const void *data, size_t size)
{
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(data, 1, size, file), size);
    fclose(file);
}

static struct boot_request request_of(struct fixture *f, uint64_t ram_size)
{
    return (struct boot_request){.kernel = f->kernel, .ram_size = ram_size, .append = "console=ttyS0"};
}

static struct boot_image *open_bytes(struct fixture *f, size_t size, uint64_t ram_size)
{
    write_file(f->kernel, f->bytes, size);
    struct boot_request request = request_of(f, ram_size);
    f->err.message[0] = '\0';
    return boot_image_open(&request, &f->err);
}

/* Refused, with a message that names the file and contains PART. */
static void assert_refused(struct fixture *f, size_t size, uint64_t ram_size, const char *part)
{
    struct boot_image *image = open_bytes(f, size, ram_size);
    if (image)
        fail_msg("accepted, but expected: %s", part);
    if (!strstr(f->err.message, f->kernel) || !strstr(f->err.message, part) || strchr(f->err.message, '\n'))
        fail_msg("message \"%s\" lacks \"%s\" or the file's name", f->err.message, part);
}

/* What placing IMAGE would leave in memory: one byte. The last chunk wins. */
static uint8_t byte_at(const struct boot_image *image, uint32_t address)
{
    uint8_t value = 0xee; /* never written */
    for (size_t i = 0; i < image->chunk_count; i++) {
        const struct boot_chunk *chunk = &image->chunks[i];
        if (address >= chunk->address && address - chunk->address < chunk->size)
            value = address - chunk->address < chunk->data_size ? chunk->data[address - chunk->address] : 0;
    }
    return value;
}

static uint32_t word_at(const struct boot_image *image, uint32_t address)
{
    uint32_t value = 0;
    for (unsigned i = 4; i-- > 0;)
        value = value << 8 | byte_at(image, address + i);
    return value;
}

static void assert_text_at(const struct boot_image *image, uint32_t address, const char *text)
{
    for (size_t i = 0; i <= strlen(text); i++)
        assert_int_equal(byte_at(image, address + (uint32_t)i), (uint8_t)text[i]);
}

/* No two chunks may share a byte, except with the interrupt vectors, and all are in RAM. */
static void assert_sound(const struct boot_image *image)
{
    for (size_t i = 0; i < image->chunk_count; i++) {
        const struct boot_chunk *a = &image->chunks[i];
        assert_true(a->data_size <= a->size);
        assert_true((uint64_t)a->address + a->size <= image->ram_size);
        for (size_t j = i + 1; j < image->chunk_count; j++) {
            const struct boot_chunk *b = &image->chunks[j];
            if (a->address >= 0x500 && b->address >= 0x500)
                assert_true(a->address + a->size <= b->address || b->address + b->size <= a->address);
        }
    }
}

/* ---- files ---- */

static void refuses_what_is_no_kernel(void **state)
{
    struct fixture *f = *state;
    struct boot_request request = request_of(f, 16 * MIB);
    assert_null(boot_image_open(&request, &f->err));
    assert_non_null(strstr(f->err.message, "No such file"));

    request.kernel = f->folder;
    assert_null(boot_image_open(&request, &f->err));
    assert_non_null(strstr(f->err.message, "directory"));

    assert_refused(f, 0, 16 * MIB, "empty");
    memset(f->bytes, 0x5a, sizeof f->bytes);
    assert_refused(f, 1, 16 * MIB, "not a kernel");
    assert_refused(f, sizeof f->bytes, 16 * MIB, "not a kernel");
}

static void refuses_files_larger_than_memory(void **state)
{
    struct fixture *f = *state;
    write_file(f->kernel, "", 0);
    assert_int_equal(truncate(f->kernel, 3 * MIB), 0);
    struct boot_request request = request_of(f, 2 * MIB);
    assert_null(boot_image_open(&request, &f->err));
    assert_non_null(strstr(f->err.message, "larger than 2 MiB"));
}

/* ---- bzImage ---- */

enum { SETUP_SECTORS = 3, SETUP_SIZE = (SETUP_SECTORS + 1) * 512, LINUX_SIZE = SETUP_SIZE + 0x4000 };

static void make_linux(struct fixture *f, unsigned version)
{
    uint8_t *b = f->bytes;
    memset(b, 0, sizeof f->bytes);
    b[0x1f1] = SETUP_SECTORS;
    store32(b + 0x1f4, 0x4000 / 16);
    store16(b + 0x1fe, 0xaa55);
    b[0x200] = 0xeb;
    b[0x201] = 0x66;
    memcpy(b + 0x202, "HdrS", 4);
    store16(b + 0x206, version);
    b[0x211] = 1; /* loaded high */
    store32(b + 0x214, 0x100000);
    store32(b + 0x22c, 0x7fffffff);
    store32(b + 0x230, 0x100000);
    b[0x234] = 1;
    store32(b + 0x238, 2047);
    store64(b + 0x258, 0x400000);
    store32(b + 0x260, 0x200000);
    memset(b + SETUP_SIZE, 0xc3, 0x4000);
}

static void loads_linux(void **state)
{
    struct fixture *f = *state;
    make_linux(f, 0x20f);
    write_file(f->kernel, f->bytes, LINUX_SIZE);
    write_file(f->initrd, "0123456789", 10);
    struct boot_request request = request_of(f, 16 * MIB);
    request.initrd = f->initrd;
    request.has_vga = true;
    struct boot_image *image = boot_image_open(&request, &f->err);
    assert_non_null(image);
    assert_sound(image);
    const struct boot_entry *entry = boot_image_entry(image);
    const uint32_t params = entry->esi;

    assert_int_equal(entry->eip, 0x100000);
    assert_int_equal(entry->ebx | entry->edi | entry->ebp, 0); /* the protocol demands it */
    assert_int_equal(entry->code_selector, 0x10);
    assert_int_equal(entry->data_selector, 0x18);
    assert_int_equal(word_at(image, entry->gdt_base + 0x14), 0x00cf9b00);
    assert_int_equal(word_at(image, entry->gdt_base + 0x1c), 0x00cf9300);
    assert_int_equal(byte_at(image, 0x100000), 0xc3);
    assert_int_equal(byte_at(image, 0x103fff), 0xc3);

    assert_int_equal(byte_at(image, params + 0x1ef), 0); /* sentinel */
    assert_int_equal(byte_at(image, params + 0x210), 0xff);
    assert_int_equal(word_at(image, params + 0x202), 0x53726448);
    assert_text_at(image, word_at(image, params + 0x228), "console=ttyS0");
    assert_int_equal(word_at(image, params + 0x218), 16 * MIB - 4096);
    assert_int_equal(word_at(image, params + 0x21c), 10);
    assert_int_equal(byte_at(image, 16 * MIB - 4096), '0');
    assert_int_equal(word_at(image, params + 0x70), 0xf0000); /* ACPI RSDP */
    assert_int_equal(byte_at(image, params + 0x0f), 1);       /* VGA */
    assert_int_equal(byte_at(image, params + 0x07), 80);
    assert_int_equal(word_at(image, params + 0x1e0), 15 * 1024);
    /* Memory map: the fourth entry is the memory above 1 MiB. */
    assert_int_equal(byte_at(image, params + 0x1e8), 5);
    assert_int_equal(word_at(image, params + 0x2d0 + 8), 0x9fc00);
    assert_int_equal(word_at(image, params + 0x2d0 + 60), 0x100000);
    assert_int_equal(word_at(image, params + 0x2d0 + 68), 15 * MIB);
    assert_int_equal(word_at(image, params + 0x2d0 + 76), 1);
    boot_image_close(image);
}

static void honours_old_linux_protocols(void **state)
{
    struct fixture *f = *state;
    make_linux(f, 0x201);
    struct boot_image *image = open_bytes(f, LINUX_SIZE, 8 * MIB);
    assert_non_null(image);
    /* Before 2.02 the command line is found through an offset in the page at 90000h. */
    assert_int_equal(image->entry.esi, 0x90000);
    assert_int_equal(word_at(image, 0x90020) & 0xffff, 0xa33f);
    assert_text_at(image, 0x90000 + (word_at(image, 0x90020) >> 16), "console=ttyS0");
    assert_int_equal(word_at(image, 0x90070), 0);
    boot_image_close(image);

    make_linux(f, 0x1ff);
    assert_refused(f, LINUX_SIZE, 8 * MIB, "boot protocol 1.255");

    f->bytes[0x207] = 2;
    f->bytes[0x211] = 0; /* a zImage */
    image = open_bytes(f, LINUX_SIZE, 8 * MIB);
    assert_non_null(image);
    assert_int_equal(image->entry.eip, 0x1000);
    assert_int_equal(byte_at(image, 0x1000), 0xc3);
    assert_sound(image);
    boot_image_close(image);
}

static void limits_the_initrd_to_what_linux_allows(void **state)
{
    struct fixture *f = *state;
    make_linux(f, 0x20f);
    store32(f->bytes + 0x22c, 0x7fffff);
    write_file(f->kernel, f->bytes, LINUX_SIZE);
    write_file(f->initrd, "x", 1);
    struct boot_request request = request_of(f, 64 * MIB);
    request.initrd = f->initrd;
    struct boot_image *image = boot_image_open(&request, &f->err);
    assert_non_null(image);
    assert_int_equal(word_at(image, image->entry.esi + 0x218), 0x7ff000);
    boot_image_close(image);

    /* The kernel unpacks itself to 400000..5fffff: no room below 600000. */
    store32(f->bytes + 0x22c, 0x5fffff);
    write_file(f->kernel, f->bytes, LINUX_SIZE);
    assert_null(boot_image_open(&request, &f->err));
    assert_non_null(strstr(f->err.message, f->initrd));
    assert_non_null(strstr(f->err.message, "-m"));

    write_file(f->initrd, "", 0);
    assert_null(boot_image_open(&request, &f->err));
    assert_non_null(strstr(f->err.message, "-initrd"));
    assert_non_null(strstr(f->err.message, "empty"));
}

static void refuses_damaged_linux(void **state)
{
    struct fixture *f = *state;
    make_linux(f, 0x20f);
    assert_refused(f, 0x206, 16 * MIB, "truncated");
    assert_refused(f, 0x210, 16 * MIB, "truncated");
    assert_refused(f, SETUP_SIZE, 16 * MIB, "truncated");
    assert_refused(f, SETUP_SIZE + 1, 16 * MIB, "truncated");
    assert_refused(f, LINUX_SIZE - 17, 16 * MIB, "truncated");
    assert_refused(f, LINUX_SIZE, 5 * MIB, "needs 6 MiB");

    f->bytes[0x1f1] = 0xff; /* setup as long as can be */
    assert_refused(f, LINUX_SIZE, 16 * MIB, "truncated: boot sector and setup are 131072 bytes");
    make_linux(f, 0x20f);
    store32(f->bytes + 0x1f4, 0xffffffff);
    assert_refused(f, LINUX_SIZE, 16 * MIB, "truncated");
    make_linux(f, 0x20f);
    store32(f->bytes + 0x230, 3);
    assert_refused(f, LINUX_SIZE, 16 * MIB, "alignment");
    make_linux(f, 0x20f);
    f->bytes[0x201] = 0; /* the header ends where it begins */
    assert_refused(f, LINUX_SIZE, 16 * MIB, "setup header ends");
    make_linux(f, 0x20f);
    store64(f->bytes + 0x258, UINT64_MAX - 5);
    assert_refused(f, LINUX_SIZE, 16 * MIB, "needs");
    make_linux(f, 0x20f);
    store32(f->bytes + 0x260, 0xffffffff);
    assert_refused(f, LINUX_SIZE, 16 * MIB, "needs");

    /* A longer header than the zero page has room for is cut, not believed. */
    make_linux(f, 0x20f);
    f->bytes[0x201] = 0xff;
    struct boot_image *image = open_bytes(f, LINUX_SIZE, 16 * MIB);
    assert_non_null(image);
    assert_int_equal(word_at(image, image->entry.esi + 0x2d0), 0);
    boot_image_close(image);
}

static void limits_the_command_line(void **state)
{
    struct fixture *f = *state;
    static char text[70000];
    memset(text, 'a', sizeof text - 1);
    make_linux(f, 0x20f);
    write_file(f->kernel, f->bytes, LINUX_SIZE);
    struct boot_request request = request_of(f, 16 * MIB);
    request.append = text + sizeof text - 1 - 2048;
    assert_null(boot_image_open(&request, &f->err));
    assert_non_null(strstr(f->err.message, "-append: 2048 characters"));
    request.append = text + sizeof text - 1 - 2047;
    struct boot_image *image = boot_image_open(&request, &f->err);
    assert_non_null(image);
    boot_image_close(image);

    store32(f->bytes + 0x238, 0xffffffff); /* a kernel that claims to take anything */
    write_file(f->kernel, f->bytes, LINUX_SIZE);
    request.append = text;
    assert_null(boot_image_open(&request, &f->err));
    request.append = NULL;
    image = boot_image_open(&request, &f->err);
    assert_non_null(image);
    assert_text_at(image, word_at(image, image->entry.esi + 0x228), "");
    boot_image_close(image);
}

/* ---- ELF and multiboot ---- */

enum { ELF_SIZE = 0x3000, ELF_CODE = 0x1000 };

static Elf32_Ehdr *elf_header(struct fixture *f)
{
    return (Elf32_Ehdr *)(void *)f->bytes;
}

static Elf32_Phdr *elf_segment(struct fixture *f, unsigned i)
{
    return (Elf32_Phdr *)(void *)(f->bytes + sizeof(Elf32_Ehdr)) + i;
}

static void make_elf(struct fixture *f)
{
    memset(f->bytes, 0, sizeof f->bytes);
    *elf_header(f) = (Elf32_Ehdr){.e_ident = {0x7f, 'E', 'L', 'F', ELFCLASS32, ELFDATA2LSB, EV_CURRENT},
                                  .e_type = ET_EXEC,
                                  .e_machine = EM_386,
                                  .e_version = EV_CURRENT,
                                  .e_entry = 0x200010,
                                  .e_phoff = sizeof(Elf32_Ehdr),
                                  .e_ehsize = sizeof(Elf32_Ehdr),
                                  .e_phentsize = sizeof(Elf32_Phdr),
                                  .e_phnum = 2};
    *elf_segment(f, 0) = (Elf32_Phdr){.p_type = PT_LOAD,
                                      .p_offset = ELF_CODE,
                                      .p_vaddr = 0xc0200000,
                                      .p_paddr = 0x200000,
                                      .p_filesz = 0x1000,
                                      .p_memsz = 0x1000};
    *elf_segment(f, 1) = (Elf32_Phdr){.p_type = PT_LOAD,
                                      .p_offset = ELF_CODE + 0x1000,
                                      .p_vaddr = 0xc0300000,
                                      .p_paddr = 0x300000,
                                      .p_filesz = 0x1000,
                                      .p_memsz = 0x8000};
    memset(f->bytes + ELF_CODE, 0xc3, 0x2000);
}

static void put_multiboot(struct fixture *f, size_t offset, uint32_t flags)
{
    store32(f->bytes + offset, 0x1badb002);
    store32(f->bytes + offset + 4, flags);
    store32(f->bytes + offset + 8, -(0x1badb002 + flags));
}

static void loads_plain_elf(void **state)
{
    struct fixture *f = *state;
    make_elf(f);
    struct boot_image *image = open_bytes(f, ELF_SIZE, 4 * MIB);
    assert_non_null(image);
    assert_sound(image);
    assert_int_equal(image->entry.eip, 0x200010);
    assert_int_equal(byte_at(image, 0x200fff), 0xc3);
    assert_int_equal(byte_at(image, 0x300fff), 0xc3);
    assert_int_equal(byte_at(image, 0x301000), 0);
    assert_int_equal(byte_at(image, 0x307fff), 0);
    assert_int_equal(byte_at(image, 0x308000), 0xee);
    boot_image_close(image);

    elf_header(f)->e_entry = 0xc0300004; /* virtual */
    image = open_bytes(f, ELF_SIZE, 4 * MIB);
    assert_non_null(image);
    assert_int_equal(image->entry.eip, 0x300004);
    boot_image_close(image);
}

/* What `ld -Ttext 0x100000` makes: the first segment begins with the ELF headers, a page below 1 MiB. */
static void loads_elf_that_begins_with_its_headers(void **state)
{
    struct fixture *f = *state;
    make_elf(f);
    elf_segment(f, 0)->p_paddr = elf_segment(f, 0)->p_vaddr = 0xff000;
    elf_segment(f, 0)->p_offset = 0;
    elf_segment(f, 0)->p_filesz = elf_segment(f, 0)->p_memsz = 0x1800;
    f->bytes[0x1000] = 0xc3;
    elf_header(f)->e_entry = 0x100000;
    struct boot_image *image = open_bytes(f, ELF_SIZE, 4 * MIB);
    if (!image)
        fail_msg("%s", f->err.message);
    assert_int_equal(image->entry.eip, 0x100000);
    assert_int_equal(byte_at(image, 0xff001), 'E');
    assert_int_equal(byte_at(image, 0x100000), 0xc3);
    assert_int_equal(word_at(image, 0xf0000), load32((const uint8_t *)"RSD "));
    boot_image_close(image);

    elf_segment(f, 0)->p_paddr = 0xf9000 - 1; /* into the tables */
    assert_refused(f, ELF_SIZE, 4 * MIB, "ELF segment 0");
}

static void refuses_wild_elf(void **state)
{
    struct fixture *f = *state;
    make_elf(f);
    for (size_t size = 4; size < sizeof(Elf32_Ehdr); size += 7)
        assert_refused(f, size, 4 * MIB, "truncated");
    assert_refused(f, sizeof(Elf32_Ehdr) + 8, 4 * MIB, "");
    assert_refused(f, ELF_SIZE - 1, 4 * MIB, "truncated: ELF segment 1");
    assert_refused(f, ELF_SIZE, 3 * MIB, "not in the machine's 3 MiB");

    elf_segment(f, 0)->p_offset = 0xfffffff0;
    assert_refused(f, ELF_SIZE, 4 * MIB, "truncated: ELF segment 0");
    make_elf(f);
    elf_segment(f, 0)->p_filesz = 0xffffffff;
    assert_refused(f, ELF_SIZE, 4 * MIB, "truncated: ELF segment 0");
    make_elf(f);
    elf_segment(f, 0)->p_memsz = 0xfff;
    assert_refused(f, ELF_SIZE, 4 * MIB, "larger in the file");
    make_elf(f);
    elf_segment(f, 1)->p_memsz = 0xffffffff;
    assert_refused(f, ELF_SIZE, 4 * MIB, "ELF segment 1");
    make_elf(f);
    elf_segment(f, 0)->p_paddr = 0xfffff800; /* wraps */
    assert_refused(f, ELF_SIZE, 4 * MIB, "ELF segment 0");
    make_elf(f);
    elf_segment(f, 0)->p_paddr = 0x9f000; /* reaches into a0000 */
    assert_refused(f, ELF_SIZE, 4 * MIB, "ELF segment 0");
    make_elf(f);
    elf_segment(f, 0)->p_paddr = 0xf0000; /* the firmware's place */
    assert_refused(f, ELF_SIZE, 4 * MIB, "ELF segment 0");
    make_elf(f);
    elf_header(f)->e_phnum = 0xffff;
    assert_refused(f, ELF_SIZE, 4 * MIB, "");
    make_elf(f);
    elf_header(f)->e_phoff = 0xffffff00;
    assert_refused(f, ELF_SIZE, 4 * MIB, "");
    make_elf(f);
    elf_header(f)->e_phentsize = 1;
    assert_refused(f, ELF_SIZE, 4 * MIB, "");
    make_elf(f);
    elf_header(f)->e_phnum = 0;
    assert_refused(f, ELF_SIZE, 4 * MIB, "nothing to load");
    make_elf(f);
    elf_header(f)->e_entry = 0x12345678;
    assert_refused(f, ELF_SIZE, 4 * MIB, "entry point");
    make_elf(f);
    elf_header(f)->e_machine = EM_ARM;
    assert_refused(f, ELF_SIZE, 4 * MIB, "another processor");
    make_elf(f);
    elf_header(f)->e_type = ET_DYN;
    assert_refused(f, ELF_SIZE, 4 * MIB, "fixed addresses");
    make_elf(f);
    elf_header(f)->e_ident[EI_CLASS] = ELFCLASS64;
    assert_refused(f, ELF_SIZE, 4 * MIB, "64-bit");
    make_elf(f);
    elf_header(f)->e_ident[EI_DATA] = ELFDATA2MSB;
    assert_refused(f, ELF_SIZE, 4 * MIB, "");
    make_elf(f);
    elf_header(f)->e_ident[EI_CLASS] = 77;
    assert_refused(f, ELF_SIZE, 4 * MIB, "");
}

static void loads_multiboot_elf_with_modules(void **state)
{
    struct fixture *f = *state;
    make_elf(f);
    put_multiboot(f, ELF_CODE + 16, 3);
    write_file(f->kernel, f->bytes, ELF_SIZE);
    write_file(f->initrd, "first", 5);
    write_file(f->second, "the second", 10);
    char list[300], expected[300];
    snprintf(list, sizeof list, "%s,%s/a,,b two words", f->initrd, f->folder);
    struct boot_request request = request_of(f, 4 * MIB);
    request.initrd = list;
    struct boot_image *image = boot_image_open(&request, &f->err);
    if (!image)
        fail_msg("%s", f->err.message);
    assert_sound(image);
    assert_int_equal(image->entry.eax, 0x2badb002);
    const uint32_t info = image->entry.ebx;
    assert_int_equal(word_at(image, info), 0x24d);
    assert_int_equal(word_at(image, info + 4), 639);
    assert_int_equal(word_at(image, info + 8), 3 * 1024);
    snprintf(expected, sizeof expected, "%s console=ttyS0", f->kernel);
    assert_text_at(image, word_at(image, info + 16), expected);
    assert_text_at(image, word_at(image, info + 64), "Dragoman");

    assert_int_equal(word_at(image, info + 20), 2);
    uint32_t modules = word_at(image, info + 24);
    uint32_t first = word_at(image, modules), second = word_at(image, modules + 16);
    assert_int_equal(first & 0xfff, 0);
    assert_int_equal(second & 0xfff, 0);
    assert_int_equal(word_at(image, modules + 4) - first, 5);
    assert_int_equal(byte_at(image, first + 4), 't');
    assert_int_equal(word_at(image, modules + 20) - second, 10);
    assert_int_equal(byte_at(image, second + 9), 'd');
    assert_text_at(image, word_at(image, modules + 8), f->initrd);
    snprintf(expected, sizeof expected, "%s two words", f->second);
    assert_text_at(image, word_at(image, modules + 24), expected);

    /* The map: entries of 20 bytes and a size field in front. */
    assert_int_equal(word_at(image, info + 44), 5 * 24);
    uint32_t map = word_at(image, info + 48);
    assert_int_equal(word_at(image, map), 20);
    assert_int_equal(word_at(image, map + 12), 0x9fc00);
    assert_int_equal(word_at(image, map + 3 * 24 + 4), 0x100000);
    assert_int_equal(word_at(image, map + 3 * 24 + 12), 3 * MIB);
    boot_image_close(image);

    /* A list that is wrong somewhere. */
    static const char *const wrong[] = {",", "/nonexistent/x", " words only"};
    for (unsigned i = 0; i < 3; i++) {
        snprintf(list, sizeof list, "%s,%s", f->initrd, wrong[i]);
        assert_null(boot_image_open(&request, &f->err));
        assert_non_null(strstr(f->err.message, "-initrd"));
    }
}

/* Header fields of the "a.out kludge": header, load, load end, bss end, entry. */
static void put_kludge(struct fixture *f, uint32_t header, uint32_t load, uint32_t load_end, uint32_t bss_end,
                       uint32_t entry)
{
    memset(f->bytes, 0x90, sizeof f->bytes);
    put_multiboot(f, 0x100, 0x10003);
    const uint32_t fields[] = {header, load, load_end, bss_end, entry};
    for (unsigned i = 0; i < 5; i++)
        store32(f->bytes + 0x10c + 4 * i, fields[i]);
}

static void loads_multiboot_by_addresses(void **state)
{
    struct fixture *f = *state;
    put_kludge(f, 0x100080, 0x100000, 0x100800, 0x101000, 0x100004);
    f->bytes[0x80] = 0xc3; /* file offset of 100000 */
    struct boot_image *image = open_bytes(f, 0x2000, 4 * MIB);
    assert_non_null(image);
    assert_int_equal(image->entry.eip, 0x100004);
    assert_int_equal(byte_at(image, 0x100000), 0xc3);
    assert_int_equal(byte_at(image, 0x1007ff), 0x90);
    assert_int_equal(byte_at(image, 0x100800), 0);
    assert_int_equal(byte_at(image, 0x100fff), 0);
    assert_int_equal(byte_at(image, 0x101000), 0xee);
    boot_image_close(image);

    /* Load end 0: the whole file; bss end 0: none. */
    put_kludge(f, 0x100100, 0x100000, 0, 0, 0x101fff);
    image = open_bytes(f, 0x2000, 4 * MIB);
    assert_non_null(image);
    assert_int_equal(byte_at(image, 0x101fff), 0x90);
    assert_int_equal(byte_at(image, 0x102000), 0xee);
    boot_image_close(image);
}

static void refuses_wild_multiboot(void **state)
{
    struct fixture *f = *state;
    put_kludge(f, 0x100080, 0x100000, 0x100800, 0x101000, 0x100004);
    assert_refused(f, 0x110, 4 * MIB, "cut off");
    assert_refused(f, 0x700, 4 * MIB, "truncated");
    put_kludge(f, 0x100101, 0x100000, 0, 0, 0x100000); /* the image would begin before the file */
    assert_refused(f, 0x2000, 4 * MIB, "claims");
    put_kludge(f, 0x100000, 0x100001, 0, 0, 0x100001);
    assert_refused(f, 0x2000, 4 * MIB, "claims");
    put_kludge(f, 0x100000, 0x100000, 0xfffff, 0, 0x100000);
    assert_refused(f, 0x2000, 4 * MIB, "load end");
    put_kludge(f, 0x100000, 0x100000, 0x100800, 0x1007ff, 0x100000);
    assert_refused(f, 0x2000, 4 * MIB, "bss end");
    put_kludge(f, 0x100000, 0x100000, 0, 0xffffffff, 0x100000);
    assert_refused(f, 0x2000, 4 * MIB, "not in the machine's");
    put_kludge(f, 0xfffff000, 0xfffff000, 0, 0, 0xfffff000);
    assert_refused(f, 0x2000, 4 * MIB, "not in the machine's");
    put_kludge(f, 0x100000, 0x100000, 0, 0, 0x200000);
    assert_refused(f, 0x2000, 4 * MIB, "entry point");

    memset(f->bytes, 0, sizeof f->bytes);
    put_multiboot(f, 0, 8);
    assert_refused(f, 0x2000, 4 * MIB, "requires");
    put_multiboot(f, 0, 3);
    assert_refused(f, 0x2000, 4 * MIB, "neither ELF");
    memset(f->bytes, 0, sizeof f->bytes);
    put_multiboot(f, 8192 - 8, 0x10003); /* not completely within 8192 bytes */
    assert_refused(f, 0x4000, 4 * MIB, "not a kernel");
    memset(f->bytes, 0, sizeof f->bytes);
    put_multiboot(f, 0x102, 0x10003); /* not aligned */
    assert_refused(f, 0x4000, 4 * MIB, "not a kernel");
}

/* Random damage to each kind of kernel: refused or loaded, but never out of bounds. */
static void survives_random_damage(void **state)
{
    struct fixture *f = *state;
    uint32_t seed = 12345;
    for (unsigned round = 0; round < 1500; round++) {
        size_t size = LINUX_SIZE;
        if (round % 3 == 0) {
            make_linux(f, 0x20f);
        } else if (round % 3 == 1) {
            make_elf(f);
            put_multiboot(f, ELF_CODE, 3);
            size = ELF_SIZE;
        } else {
            put_kludge(f, 0x100080, 0x100000, 0x100800, 0x101000, 0x100004);
        }
        size_t reach = round % 3 == 0 ? 0x290 : round % 3 == 1 ? 0x80 : 0x130;
        size_t start = round % 3 == 0 ? 0x1f0 : round % 3 == 1 ? 0x04 : 0x10c;
        for (unsigned i = 0; i < 1 + round % 4; i++) {
            seed = seed * 1664525 + 1013904223;
            f->bytes[start + (seed >> 8) % (reach - start)] = (uint8_t)(seed >> 24);
        }
        struct boot_image *image = open_bytes(f, size, 8 * MIB);
        if (image) {
            for (size_t i = 0; i < image->chunk_count; i++) {
                const struct boot_chunk *chunk = &image->chunks[i];
                assert_true((uint64_t)chunk->address + chunk->size <= 8 * MIB);
                volatile uint8_t last = chunk->data_size ? chunk->data[chunk->data_size - 1] : 0;
                (void)last;
            }
        } else {
            assert_true(f->err.message[0] != '\0');
        }
        boot_image_close(image);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(refuses_what_is_no_kernel, set_up, tear_down),
        cmocka_unit_test_setup_teardown(refuses_files_larger_than_memory, set_up, tear_down),
        cmocka_unit_test_setup_teardown(loads_linux, set_up, tear_down),
        cmocka_unit_test_setup_teardown(honours_old_linux_protocols, set_up, tear_down),
        cmocka_unit_test_setup_teardown(limits_the_initrd_to_what_linux_allows, set_up, tear_down),
        cmocka_unit_test_setup_teardown(refuses_damaged_linux, set_up, tear_down),
        cmocka_unit_test_setup_teardown(limits_the_command_line, set_up, tear_down),
        cmocka_unit_test_setup_teardown(loads_plain_elf, set_up, tear_down),
        cmocka_unit_test_setup_teardown(loads_elf_that_begins_with_its_headers, set_up, tear_down),
        cmocka_unit_test_setup_teardown(refuses_wild_elf, set_up, tear_down),
        cmocka_unit_test_setup_teardown(loads_multiboot_elf_with_modules, set_up, tear_down),
        cmocka_unit_test_setup_teardown(loads_multiboot_by_addresses, set_up, tear_down),
        cmocka_unit_test_setup_teardown(refuses_wild_multiboot, set_up, tear_down),
        cmocka_unit_test_setup_teardown(survives_random_damage, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* Kernels and initial RAM disks: header bytes that choose size of memory and what else is there, then the files. */
#define _GNU_SOURCE /* memfd_create */
#include "fuzz.h"

#include "vm/boot/boot.h"
#include "vm/boot/image.h"
#include "base/log.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum { HAS_INITRD = 1, HAS_ARGUMENTS = 2, HAS_APPEND = 4, HAS_VGA = 8, TWO_MODULES = 16 };

static const uint64_t ram_sizes[] = {1u << 20, 2u << 20, 8u << 20, 16u << 20};
static struct memory *memories[4];
static struct device_lock lock;
static struct log sink;
static struct stats stats;

static int make_file(const uint8_t *data, size_t size, char path[64])
{
    int fd = memfd_create("fuzz", MFD_CLOEXEC);
    if (fd < 0 || write(fd, data, size) != (ssize_t)size)
        abort();
    snprintf(path, 64, "/proc/self/fd/%d", fd);
    return fd;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fuzz_input in = {data, size};
    struct error err = {""};
    unsigned flags = fuzz_take8(&in), which = fuzz_take8(&in) % 4;
    size_t initrd_size = fuzz_take16(&in) % 4096;
    char kernel[64], file[64], initrd[256], append[64] = "console=ttyS0 root=/dev/sda quiet";
    if (!memories[which]) {
        device_lock_init(&lock);
        log_init(&sink);
        memories[which] = memory_create(ram_sizes[which], &lock, &sink, &stats, &err);
        if (!memories[which])
            abort();
    }
    if (initrd_size > in.left)
        initrd_size = in.left;
    int kernel_fd = make_file(in.data + initrd_size, in.left - initrd_size, kernel);
    int initrd_fd = make_file(in.data, initrd_size, file);
    snprintf(initrd, sizeof initrd, "%s%s%s%s", file, flags & HAS_ARGUMENTS ? " some arguments" : "",
             flags & TWO_MODULES ? "," : "", flags & TWO_MODULES ? file : "");
    struct boot_request request = {.kernel = kernel,
                                   .initrd = flags & HAS_INITRD ? initrd : NULL,
                                   .append = flags & HAS_APPEND ? append : NULL,
                                   .ram_size = ram_sizes[which],
                                   .has_vga = flags & HAS_VGA};
    struct boot_image *image = boot_image_open(&request, &err);
    if (image) {
        const struct boot_entry *entry = boot_image_entry(image);
        boot_image_place(image, memories[which]);
        if (entry->esp > ram_sizes[which] || entry->gdt_base > ram_sizes[which])
            abort();
        boot_image_close(image);
    } else if (!err.message[0]) {
        abort(); /* a failure has a reason */
    }
    close(kernel_fd);
    close(initrd_fd);
    return 0;
}

static size_t make_bzimage(uint8_t *k, unsigned version, unsigned loadflags)
{
    size_t size = 512 * 3 + 700; /* boot sector, two more set-up sectors, code */
    k[0x1f1] = 2;
    store32(k + 0x1f4, 44); /* paragraphs of code */
    store16(k + 0x1fe, 0xaa55);
    k[0x200] = 0xeb;
    k[0x201] = 0x66;
    memcpy(k + 0x202, "HdrS", 4);
    store16(k + 0x206, version);
    k[0x211] = (uint8_t)loadflags;
    store32(k + 0x214, loadflags & 1 ? 0x100000 : 0x10000);
    store16(k + 0x224, 0xde00);
    store32(k + 0x22c, 0x37ffffff);
    store32(k + 0x230, 0x1000);
    k[0x234] = 1; /* relocatable */
    k[0x235] = 12;
    store32(k + 0x238, 2047);
    store32(k + 0x258, 0x100000);
    store32(k + 0x260, 0x8000);
    memset(k + 512 * 3, 0xf4, 700);
    return size;
}

static size_t make_multiboot(uint8_t *k, unsigned flags)
{
    store32(k, 0x1badb002);
    store32(k + 4, flags);
    store32(k + 8, 0u - 0x1badb002 - flags);
    store32(k + 12, 0x100000); /* header */
    store32(k + 16, 0x100000); /* load */
    store32(k + 20, 0x100200); /* load end */
    store32(k + 24, 0x104000); /* bss end */
    store32(k + 28, 0x100030); /* entry */
    return 0x200;
}

static size_t make_elf(uint8_t *k, bool multiboot)
{
    memcpy(k, "\177ELF\1\1\1", 7);
    store16(k + 16, 2);  /* executable */
    store16(k + 18, 3);  /* 386 */
    store32(k + 20, 1);
    store32(k + 24, 0x100100);
    store32(k + 28, 52); /* program headers */
    store32(k + 32, 0x180); /* section headers */
    store16(k + 40, 52);
    store16(k + 42, 32);
    store16(k + 44, 2);
    store16(k + 46, 40);
    store16(k + 48, 2);
    store16(k + 50, 1);
    for (unsigned i = 0; i < 2; i++) {
        uint8_t *p = k + 52 + 32 * i;
        store32(p, 1); /* load */
        store32(p + 4, 0x100);
        store32(p + 8, 0x100100 + 0x2000 * i);
        store32(p + 12, 0x100100 + 0x2000 * i);
        store32(p + 16, 0x80);
        store32(p + 20, 0x1000);
        store32(p + 24, 7);
        store32(p + 28, 0x1000);
    }
    memset(k + 0x100, 0xf4, 0x80);
    if (multiboot)
        make_multiboot(k + 0x100, 3);
    return 0x200;
}

size_t fuzz_seed(unsigned index, uint8_t *out)
{
    const unsigned initrd = 64;
    uint8_t *k = out + 4 + initrd;
    memset(out, 0, FUZZ_SEED_SIZE);
    out[0] = (uint8_t)(index * 13 | HAS_INITRD);
    out[1] = 3;
    store16(out + 2, initrd);
    memset(out + 4, 'i', initrd);
    switch (index) {
    case 0:
        return 4 + initrd + make_bzimage(k, 0x20f, 0x81);
    case 1:
        return 4 + initrd + make_bzimage(k, 0x200, 1);
    case 2:
        return 4 + initrd + make_bzimage(k, 0x203, 0);
    case 3:
        return 4 + initrd + make_multiboot(k, 0x10003);
    case 4:
        return 4 + initrd + make_multiboot(k, 0x10000);
    case 5:
        return 4 + initrd + make_elf(k, true);
    case 6:
        return 4 + initrd + make_elf(k, false);
    default:
        return 0;
    }
}

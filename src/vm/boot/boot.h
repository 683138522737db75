/* Direct boot: -kernel, -initrd and -append without firmware.
 *
 * Three kinds of kernel are known, told apart by their content:
 *   Linux bzImage/zImage   32-bit entry of the Linux boot protocol, 2.00 and later
 *   multiboot 1            ELF or "a.out kludge", with modules
 *   plain ELF              32-bit x86 executables; entered like a multiboot kernel
 *
 * What a PC BIOS would have left in memory is put there too: interrupt vectors, BIOS data area, the
 * ACPI tables and a memory map. Devices are the board's business: before it enters the kernel it must
 * have done what vm/boot/platform.h lists.
 *
 * Memory as the kernel finds it:
 *
 *   00000..003ff  interrupt vectors, all to an IRET
 *   00400..004ff  BIOS data area
 *   ..9fc00       what the kind of kernel needs: GDT, stack, zero page or multiboot information
 *   9fc00..9ffff  extended BIOS data area (reserved in the memory map)
 *   f0000..fffff  firmware tables (reserved in the memory map); a kernel may be loaded over f9000..fffff
 *   100000..      kernel; initial RAM disk or modules as the kind of kernel wants it
 *
 * A boot image is read and checked completely when it is opened, so that placing it (again at each
 * reset) cannot fail. Threads: none of this is shared; place with no vCPU running. */
#ifndef DRAGOMAN_VM_BOOT_BOOT_H
#define DRAGOMAN_VM_BOOT_BOOT_H

#include "base/error.h"
#include "mmu/memory.h"

#include <stdbool.h>
#include <stdint.h>

struct boot_request {
    const char *kernel; /* path */
    /* Path or NULL. For multiboot and ELF: "FILE ARGUMENTS,FILE ARGUMENTS ..."; a comma that belongs
     * to a name is doubled. */
    const char *initrd;
    const char *append; /* kernel command line; NULL is "" */
    uint64_t ram_size;  /* as memory_create() */
    bool has_vga;       /* the board has a VGA in text mode 3 (80x25, colour) */
};

/* The processor as the kernel is entered: protected mode (CR0.PE, nothing else changed from reset
 * except that caches are on), paging off, A20 on, EFLAGS = 2, no IDT, flat 4 GiB segments. */
struct boot_entry {
    uint32_t eip, esp;
    uint32_t eax, ebx, ecx, edx, esi, edi, ebp;
    uint32_t gdt_base;
    uint16_t gdt_limit;
    uint16_t code_selector; /* CS: flat, execute/read, 32-bit, DPL 0 */
    uint16_t data_selector; /* DS ES SS FS GS: flat, read/write, 32-bit, DPL 0 */
};

struct boot_image;

/* Reads the files and lays out memory. NULL with a message that names the file, and what is wrong
 * with it, on failure. The request's strings are not needed afterwards. */
struct boot_image *boot_image_open(const struct boot_request *request, struct error *err);
void boot_image_close(struct boot_image *image); /* NULL is fine */
/* Writes everything to MEMORY, which has the request's ram_size. */
void boot_image_place(const struct boot_image *image, struct memory *memory);
const struct boot_entry *boot_image_entry(const struct boot_image *image);

/* Opens, places and closes in one go. */
bool boot_load(struct memory *memory, const struct boot_request *request, struct boot_entry *entry, struct error *err);

#endif

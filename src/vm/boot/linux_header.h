/* Private to vm/boot/: the setup header of Linux kernels, "The Real-Mode Kernel Header" in
 * Documentation/arch/x86/boot.rst of the kernel. */
#ifndef DRAGOMAN_VM_BOOT_LINUX_HEADER_H
#define DRAGOMAN_VM_BOOT_LINUX_HEADER_H

#include "vm/boot/image.h"

/* Offsets in the file's first sectors and, the same, in the zero page. */
enum header_offset {
    HEADER_SETUP_SECTS = 0x1f1,
    HEADER_SYSSIZE = 0x1f4,
    HEADER_VID_MODE = 0x1fa,
    HEADER_BOOT_FLAG = 0x1fe,
    HEADER_JUMP = 0x200,
    HEADER_MAGIC = 0x202,
    HEADER_VERSION = 0x206,
    HEADER_TYPE_OF_LOADER = 0x210,
    HEADER_LOADFLAGS = 0x211,
    HEADER_CODE32_START = 0x214,
    HEADER_RAMDISK_IMAGE = 0x218,
    HEADER_RAMDISK_SIZE = 0x21c,
    HEADER_HEAP_END_PTR = 0x224,
    HEADER_CMD_LINE_PTR = 0x228,
    HEADER_INITRD_ADDR_MAX = 0x22c,
    HEADER_KERNEL_ALIGNMENT = 0x230,
    HEADER_RELOCATABLE = 0x234,
    HEADER_CMDLINE_SIZE = 0x238,
    HEADER_PREF_ADDRESS = 0x258,
    HEADER_INIT_SIZE = 0x260,
    HEADER_END_MAX = 0x290 /* the zero page uses what follows for other things */
};

enum { LOADFLAG_LOADED_HIGH = 0x01, LOADFLAG_CAN_USE_HEAP = 0x80 };

struct linux_header {
    uint32_t version;    /* 0x020f: 2.15 */
    uint32_t setup_size; /* boot sector and setup */
    uint32_t header_end; /* first byte after the header, <= HEADER_END_MAX */
    bool loaded_high;
    bool relocatable;
    uint32_t initrd_max;  /* highest address of an initrd's last byte */
    uint32_t command_max; /* longest command line, without its NUL */
    uint64_t alignment;
    uint64_t pref_address; /* 0: unknown */
    uint64_t init_size;    /* 0: unknown */
};

/* False, with a message that names the file, for what is truncated, too old or no kernel. */
bool linux_header_parse(const struct boot_file *kernel, struct linux_header *header, struct error *err);

#endif

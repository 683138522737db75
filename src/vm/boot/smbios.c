#include "vm/boot/smbios.h"

#include "vm/boot/image.h"

#include <stdlib.h>
#include <string.h>

/* Structure types and the handles that they have here. */
enum { TYPE_SYSTEM = 1, TYPE_ENCLOSURE = 3, TYPE_PROCESSOR = 4, TYPE_MEMORY_ARRAY = 16, TYPE_MEMORY_DEVICE = 17 };
enum { TYPE_MEMORY_MAP = 19, TYPE_BOOT = 32, TYPE_END = 127 };
enum {
    HANDLE_SYSTEM = 0x100,
    HANDLE_ENCLOSURE = 0x300,
    HANDLE_PROCESSOR = 0x400,
    HANDLE_MEMORY_ARRAY = 0x1000,
    HANDLE_MEMORY_DEVICE = 0x1100,
    HANDLE_MEMORY_MAP = 0x1300,
    HANDLE_BOOT = 0x2000,
    HANDLE_END = 0x7f00
};
enum { UNKNOWN = 2, STATE_SAFE = 3, NO_HANDLE = 0xffff, NO_ERROR_HANDLE = 0xfffe };

struct builder {
    struct smbios_files *files;
    unsigned count;   /* structures */
    size_t largest;   /* bytes of a structure with its strings */
    size_t start;     /* of the present one */
    unsigned strings; /* in it */
};

/*  type, 1 | length of the formatted part, 1 | handle, 2 | ...  */
static uint8_t *begin(struct builder *b, unsigned type, unsigned length, unsigned handle)
{
    b->start = b->files->tables_size;
    b->strings = 0;
    uint8_t *at = b->files->tables + b->start;
    if (b->start + length + 2 > SMBIOS_CAPACITY)
        abort(); /* all sizes are known when this is written */
    at[0] = (uint8_t)type;
    at[1] = (uint8_t)length;
    store16(at + 2, handle);
    b->files->tables_size += length;
    return at;
}

/* Strings follow the formatted part and are referred to by number, from 1. */
static uint8_t add_string(struct builder *b, const char *text)
{
    size_t size = strlen(text) + 1;
    if (b->files->tables_size + size + 2 > SMBIOS_CAPACITY)
        abort();
    memcpy(b->files->tables + b->files->tables_size, text, size);
    b->files->tables_size += size;
    return (uint8_t)++b->strings;
}

static void end(struct builder *b)
{
    b->files->tables_size += b->strings ? 1 : 2; /* an empty string after the last one; two zeroes without any */
    size_t size = b->files->tables_size - b->start;
    b->largest = size > b->largest ? size : b->largest;
    b->count++;
}

/* 7.2 */
static void put_system(struct builder *b)
{
    enum { WAKE_UP_POWER_SWITCH = 6 };
    uint8_t *s = begin(b, TYPE_SYSTEM, 27, HANDLE_SYSTEM);
    s[4] = add_string(b, "Dragoman");
    s[5] = add_string(b, "Standard PC (i440FX + PIIX, 1996)");
    s[6] = add_string(b, "1");
    s[24] = WAKE_UP_POWER_SWITCH; /* the UUID before it is all zero: not present */
    end(b);
}

/* 7.4 */
static void put_enclosure(struct builder *b)
{
    enum { DESKTOP = 3 };
    uint8_t *s = begin(b, TYPE_ENCLOSURE, 22, HANDLE_ENCLOSURE);
    s[4] = add_string(b, "Dragoman");
    s[5] = DESKTOP;
    s[9] = s[10] = s[11] = STATE_SAFE; /* boot-up, power supply, thermal */
    s[12] = UNKNOWN;                   /* security */
    end(b);
}

/* 7.5 */
static void put_processor(struct builder *b, const struct smbios_machine *machine)
{
    enum { CENTRAL_PROCESSOR = 3, POPULATED_ENABLED = 0x41, UPGRADE_OTHER = 1 };
    enum { FAMILY_486 = 0x06, FAMILY_PENTIUM = 0x0b, FAMILY_PENTIUM_PRO = 0x0c, FAMILY_PENTIUM_4 = 0xb2 };
    uint8_t *s = begin(b, TYPE_PROCESSOR, 42, HANDLE_PROCESSOR);
    s[4] = add_string(b, "CPU 0");
    s[5] = CENTRAL_PROCESSOR;
    s[6] = machine->family == 4   ? FAMILY_486
           : machine->family == 5 ? FAMILY_PENTIUM
           : machine->family == 6 ? FAMILY_PENTIUM_PRO
                                  : FAMILY_PENTIUM_4;
    s[7] = add_string(b, "Dragoman");
    store32(s + 8, machine->cpuid_signature);
    store32(s + 12, machine->cpuid_features);
    store16(s + 20, 2000); /* MHz: highest and present */
    store16(s + 22, 2000);
    s[24] = POPULATED_ENABLED;
    s[25] = UPGRADE_OTHER;
    store16(s + 26, NO_HANDLE); /* caches */
    store16(s + 28, NO_HANDLE);
    store16(s + 30, NO_HANDLE);
    s[35] = s[36] = s[37] = 1; /* cores, enabled, threads */
    end(b);
}

/* 7.17, 7.18 and 7.20: one array with one module of all the memory. */
static void put_memory(struct builder *b, uint64_t ram_size)
{
    enum { SYSTEM_BOARD_OTHER = 1, SYSTEM_MEMORY = 3, MULTI_BIT_ECC = 6, FORM_DIMM = 9, TYPE_RAM = 7 };
    uint8_t *s = begin(b, TYPE_MEMORY_ARRAY, 23, HANDLE_MEMORY_ARRAY);
    s[4] = SYSTEM_BOARD_OTHER;
    s[5] = SYSTEM_MEMORY;
    s[6] = MULTI_BIT_ECC;
    store32(s + 7, (uint32_t)(ram_size >> 10)); /* KiB */
    store16(s + 11, NO_ERROR_HANDLE);
    store16(s + 13, 1);
    end(b);

    s = begin(b, TYPE_MEMORY_DEVICE, 40, HANDLE_MEMORY_DEVICE);
    store16(s + 4, HANDLE_MEMORY_ARRAY);
    store16(s + 6, NO_ERROR_HANDLE);
    store16(s + 8, 0xffff); /* widths: unknown */
    store16(s + 10, 0xffff);
    store16(s + 12, (uint32_t)(ram_size >> 20)); /* MiB, less than 7FFFh */
    s[14] = FORM_DIMM;
    s[16] = add_string(b, "DIMM 0");
    s[18] = TYPE_RAM;
    store16(s + 19, 1 << 1); /* other */
    end(b);

    s = begin(b, TYPE_MEMORY_MAP, 31, HANDLE_MEMORY_MAP);
    store32(s + 8, (uint32_t)(ram_size >> 10) - 1); /* last KiB; the first is 0 */
    store16(s + 12, HANDLE_MEMORY_ARRAY);
    s[14] = 1;
    end(b);
}

/* 5.2.1 */
static void put_anchor(struct builder *b)
{
    uint8_t *anchor = b->files->anchor;
    memcpy(anchor, "_SM_", 4);
    anchor[5] = SMBIOS_ANCHOR_SIZE;
    anchor[6] = 2; /* version */
    anchor[7] = 8;
    store16(anchor + 8, (uint32_t)b->largest);
    memcpy(anchor + 16, "_DMI_", 5);
    store16(anchor + 22, (uint32_t)b->files->tables_size);
    store16(anchor + 28, b->count);
    anchor[30] = 0x28;
}

void smbios_build(struct smbios_files *files, const struct smbios_machine *machine)
{
    struct builder b = {.files = files};
    memset(files, 0, sizeof *files);
    put_system(&b);
    put_enclosure(&b);
    put_processor(&b, machine);
    put_memory(&b, machine->ram_size);
    begin(&b, TYPE_BOOT, 11, HANDLE_BOOT);
    end(&b); /* status 0: no errors detected */
    begin(&b, TYPE_END, 4, HANDLE_END);
    end(&b);
    put_anchor(&b);
}

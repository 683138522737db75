/* What a PC BIOS leaves in memory, for kernels that look: vectors, BIOS data area, EBDA, and in the F
 * segment ACPI tables and a PCI interrupt routing table.  There are no BIOS services. */
#include "vm/boot/acpi.h"
#include "vm/boot/image.h"
#include "vm/boot/platform.h"

#include <string.h>

enum {
    VECTORS_SIZE = 0x400,
    DATA_AREA_SIZE = 0x100,
    F_SEGMENT_SIZE = 0x10000,
    PIRQ_TABLE = 0x8000, /* in the F segment, on a paragraph */
    IRET_STUB = 0x8f00,  /* where no kernel is loaded over it, unlike the IBM BIOS's own at FF53h */
    RESET_VECTOR = 0xfff0,
    BIOS_DATE = 0xfff5,
    MODEL_BYTE = 0xfffe
};

/* IBM PC/AT Technical Reference, "ROM BIOS data areas". */
static void fill_data_area(uint8_t *bda, bool has_vga)
{
    store16(bda + 0x00, 0x3f8); /* COM1, COM2 */
    store16(bda + 0x02, 0x2f8);
    store16(bda + 0x0e, LOW_MEMORY_END >> 4); /* segment of the EBDA */
    /* Equipment: FPU, pointing device, two serial ports; 80x25 colour (bits 5:4 = 10). */
    store16(bda + 0x10, 0x0002 | 0x0004 | 2 << 9 | (has_vga ? 0x0020 : 0));
    store16(bda + 0x13, LOW_MEMORY_END >> 10); /* KiB of conventional memory */
    store16(bda + 0x1a, 0x1e);                 /* keyboard buffer: empty */
    store16(bda + 0x1c, 0x1e);
    if (has_vga) {
        bda[0x49] = 3; /* mode */
        store16(bda + 0x4a, 80);
        store16(bda + 0x4c, 0x1000);
        store16(bda + 0x60, 0x0607); /* cursor shape */
        store16(bda + 0x63, 0x3d4);  /* CRT controller */
        bda[0x84] = 24;              /* rows - 1 */
        store16(bda + 0x85, 16);     /* character height */
    }
    bda[0x7c] = 1; /* serial time-outs */
    bda[0x7d] = 1;
    store16(bda + 0x80, 0x1e);
    store16(bda + 0x82, 0x3e);
    bda[0x96] = 0x10; /* enhanced keyboard */
}

/* PCI IRQ routing table, version 1.0 (Microsoft, "PCI IRQ Routing Table Specification"): for systems
 * that do not use ACPI. One 16-byte entry for each slot of bus 0 but the host bridge's. */
static void fill_pirq_table(uint8_t *table)
{
    enum { HEADER = 32, ENTRY = 16, FIRST_SLOT = 1, LAST_SLOT = 31 };
    const unsigned size = HEADER + ENTRY * (LAST_SLOT - FIRST_SLOT + 1);
    const uint16_t usable = 1 << 5 | 1 << 10 | 1 << 11;

    memcpy(table, "$PIR", 4);
    store16(table + 4, 0x0100);
    store16(table + 6, size);
    table[9] = PLATFORM_ISA_SLOT << 3;
    store32(table + 12, 0x70008086u); /* compatible router: PIIX3, vendor in the low word */
    for (unsigned slot = FIRST_SLOT; slot <= LAST_SLOT; slot++) {
        uint8_t *entry = table + HEADER + ENTRY * (slot - FIRST_SLOT);
        entry[1] = (uint8_t)(slot << 3);
        for (unsigned pin = 0; pin < 4; pin++) {
            entry[2 + 3 * pin] = (uint8_t)(0x60 + platform_pci_pirq(slot, pin)); /* link: the PIRQRC register */
            store16(entry + 3 + 3 * pin, usable);
        }
        entry[14] = slot == PLATFORM_ISA_SLOT ? 0 : (uint8_t)slot; /* 0: on the main board */
    }
    table[31] = (uint8_t)-acpi_checksum(table, size);
}

_Static_assert(FIRMWARE_BASE + IRET_STUB < TABLES_END, "the interrupt vectors point to what stays");

bool firmware_add(struct boot_image *image, uint32_t *rsdp, struct error *err)
{
    uint8_t *low = image_add_owned(image, 0, VECTORS_SIZE + DATA_AREA_SIZE, err);
    if (!low)
        return false;
    for (unsigned vector = 0; vector < 256; vector++)
        store32(low + 4 * vector, FIRMWARE_BASE << 12 | IRET_STUB);
    fill_data_area(low + VECTORS_SIZE, image->has_vga);

    uint8_t *ebda = image_add_owned(image, LOW_MEMORY_END, EBDA_SIZE, err);
    if (!ebda)
        return false;
    ebda[0] = EBDA_SIZE >> 10;

    uint8_t *rom = image_add_owned(image, FIRMWARE_BASE, F_SEGMENT_SIZE, err);
    if (!rom)
        return false;
    const struct acpi_board board = {.ram_size = image->ram_size, .has_vga = image->has_vga};
    if (!acpi_build(rom, PIRQ_TABLE, FIRMWARE_BASE, &board))
        return error_set(err, "internal: the ACPI tables do not fit");
    *rsdp = FIRMWARE_BASE;
    fill_pirq_table(rom + PIRQ_TABLE);
    rom[IRET_STUB] = 0xcf;
    /* Whoever jumps to the reset vector finds no BIOS: CLI; HLT; and back. */
    static const uint8_t halt[] = {0xfa, 0xf4, 0xeb, 0xfc};
    memcpy(rom + RESET_VECTOR, halt, sizeof halt);
    memcpy(rom + BIOS_DATE, "01/01/24", 8);
    rom[MODEL_BYTE] = 0xfc; /* AT */
    return true;
}

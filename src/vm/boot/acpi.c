/* ACPI tables, as ACPI 2.0 and later define them (section numbers: ACPI 6.4).
 *
 *   RSDP --> RSDT --> FADT --> FACS
 *                          '-> DSDT
 *
 * No MADT: the board has one processor and the 8259 pair. Without firmware the tables offer no SMI command
 * port: ACPI mode is on from the start (5.2.9, SMI_CMD). */
#include "vm/boot/acpi.h"

#include "devices/pci/piix4_pm.h"
#include "vm/boot/aml.h"
#include "vm/boot/image.h"
#include "vm/boot/platform.h"

#include <string.h>

enum { HEADER_SIZE = ACPI_HEADER_SIZE, RSDT_SIZE = HEADER_SIZE + 4, FADT_SIZE = 244, FACS_SIZE = 64 };

uint8_t acpi_checksum(const uint8_t *data, size_t length)
{
    uint8_t sum = 0;
    for (size_t i = 0; i < length; i++)
        sum = (uint8_t)(sum + data[i]);
    return sum;
}

/* System description table header, 5.2.6. The checksum comes when the table is complete. */
static void put_header(uint8_t *table, const char *signature, size_t length, unsigned revision)
{
    memcpy(table, signature, 4);
    store32(table + 4, (uint32_t)length);
    table[8] = (uint8_t)revision;
    memcpy(table + 10, "DRAGOM", 6);
    memcpy(table + 16, "DRAGOMAN", 8);
    store32(table + 24, 1);
    memcpy(table + 28, "DRGM", 4);
    store32(table + 32, 1);
}

static void seal(uint8_t *table, size_t length)
{
    table[ACPI_CHECKSUM] = 0;
    table[ACPI_CHECKSUM] = (uint8_t)-acpi_checksum(table, length);
}

/* Generic address structure in I/O space, 5.2.3.2. */
static void put_io_address(uint8_t *to, unsigned bits, uint32_t address)
{
    to[0] = 1;
    to[1] = (uint8_t)bits;
    to[2] = 0;
    to[3] = (uint8_t)(bits == 8 ? 1 : bits == 16 ? 2 : 3);
    store64(to + 4, address);
}

/* Fixed ACPI description table, 5.2.9. */
static void put_fadt(uint8_t *fadt, uint32_t facs, uint32_t dsdt, const struct acpi_board *board)
{
    enum { WBINVD = 1 << 0, PROC_C1 = 1 << 2, SLP_BUTTON = 1 << 5, RESET_REG_SUP = 1 << 10 };
    enum { LEGACY_DEVICES = 1 << 0, HAS_8042 = 1 << 1, VGA_NOT_PRESENT = 1 << 2 };

    put_header(fadt, "FACP", FADT_SIZE, 3);
    store32(fadt + ACPI_FADT_FACS, facs);
    store32(fadt + ACPI_FADT_DSDT, dsdt);
    fadt[45] = 1; /* preferred profile: desktop */
    store16(fadt + 46, PLATFORM_SCI_IRQ);
    if (board->starts_in_legacy_mode) {
        store32(fadt + 48, PIIX4_APM_CONTROL);
        fadt[52] = PIIX4_ACPI_ENABLE;
        fadt[53] = PIIX4_ACPI_DISABLE;
    }
    store32(fadt + 56, PLATFORM_PM_BASE);     /* PM1a event block */
    store32(fadt + 64, PLATFORM_PM_BASE + 4); /* PM1a control block */
    store32(fadt + 76, PLATFORM_PM_BASE + 8); /* PM timer, 24 bits */
    store32(fadt + 80, PLATFORM_GPE0_BASE);
    fadt[88] = 4;
    fadt[89] = 2;
    fadt[91] = 4;
    fadt[92] = 4;
    store16(fadt + 96, 0xfff); /* no C2, no C3 */
    store16(fadt + 98, 0xfff);
    fadt[108] = 0x32; /* CMOS index of the century */
    store16(fadt + 109, LEGACY_DEVICES | HAS_8042 | (board->has_vga ? 0 : VGA_NOT_PRESENT));
    store32(fadt + 112, WBINVD | PROC_C1 | SLP_BUTTON | RESET_REG_SUP);
    put_io_address(fadt + 116, 8, PLATFORM_RESET_PORT);
    fadt[128] = PLATFORM_RESET_VALUE;
    store64(fadt + ACPI_FADT_X_DSDT, dsdt); /* X_FIRMWARE_CTRL stays 0: only one of the two may be given */
    put_io_address(fadt + 148, 32, PLATFORM_PM_BASE);
    put_io_address(fadt + 172, 16, PLATFORM_PM_BASE + 4);
    put_io_address(fadt + 208, 32, PLATFORM_PM_BASE + 8);
    put_io_address(fadt + 220, 32, PLATFORM_GPE0_BASE);
    seal(fadt, FADT_SIZE);
}

/* ---- DSDT ---- */

struct isa_device {
    const char *name, *id;
    struct {
        uint16_t base;
        uint8_t length;
    } io[3];
    int irq; /* -1: none */
    int uid; /* -1: none */
    int dma; /* 0: none, for no device here uses channel 0 */
};

static const struct isa_device isa_devices[] = {
    {"PIC_", "PNP0000", {{0x20, 2}, {0xa0, 2}, {0x4d0, 2}}, 2, -1, 0},
    {"DMAC", "PNP0200", {{0x00, 0x10}, {0x80, 0x10}, {0xc0, 0x20}}, -1, -1, 0},
    {"TIMR", "PNP0100", {{0x40, 4}}, 0, -1, 0},
    {"RTC_", "PNP0B00", {{0x70, 2}}, 8, -1, 0},
    {"SPKR", "PNP0800", {{0x61, 1}}, -1, -1, 0},
    {"KBD_", "PNP0303", {{0x60, 1}, {0x64, 1}}, 1, -1, 0},
    {"MOU_", "PNP0F13", {{0}}, 12, -1, 0},
    {"FPU_", "PNP0C04", {{0xf0, 1}}, 13, -1, 0},
    {"COM1", "PNP0501", {{0x3f8, 8}}, 4, 1, 0},
    {"COM2", "PNP0501", {{0x2f8, 8}}, 3, 2, 0},
    {"FDC0", "PNP0700", {{0x3f0, 6}, {0x3f7, 1}}, 6, -1, 2},
};

static void put_isa_device(struct aml *aml, const struct isa_device *device)
{
    aml_open_device(aml, device->name);
    aml_name_eisa_id(aml, "_HID", device->id);
    if (device->uid >= 0)
        aml_name_integer(aml, "_UID", (uint32_t)device->uid);
    struct aml_resources resources = {0};
    for (unsigned i = 0; i < 3 && device->io[i].length; i++)
        aml_resources_io(&resources, device->io[i].base, device->io[i].length);
    if (device->irq >= 0)
        aml_resources_irq(&resources, (unsigned)device->irq);
    if (device->dma)
        aml_resources_dma(&resources, (unsigned)device->dma);
    aml_name_object(aml, "_CRS");
    aml_resources(aml, &resources);
    aml_close(aml);
}

/* The ISA bridge, with its PIRQ route control registers as named fields. */
static void put_isa_bridge(struct aml *aml)
{
    aml_open_device(aml, "ISA_");
    aml_name_integer(aml, "_ADR", PLATFORM_ISA_SLOT << 16);
    aml_operation_region(aml, "PIRR", 2 /* PCI_Config */, 0x60, 4);
    aml_open_field(aml, "PIRR");
    aml_field_unit(aml, "PRQA", 8);
    aml_field_unit(aml, "PRQB", 8);
    aml_field_unit(aml, "PRQC", 8);
    aml_field_unit(aml, "PRQD", 8);
    aml_close(aml);
    for (size_t i = 0; i < sizeof isa_devices / sizeof isa_devices[0]; i++)
        put_isa_device(aml, &isa_devices[i]);
    aml_close(aml);
}

static const char link_names[4][5] = {"LNKA", "LNKB", "LNKC", "LNKD"};
static const char route_names[4][24] = {"\\_SB_.PCI0.ISA_.PRQA", "\\_SB_.PCI0.ISA_.PRQB", "\\_SB_.PCI0.ISA_.PRQC",
                                        "\\_SB_.PCI0.ISA_.PRQD"};

/* Interrupt routing table, 6.2.13: every pin of every slot leads to one of the four link devices. */
static void put_prt(struct aml *aml)
{
    aml_name_object(aml, "_PRT");
    aml_open_package(aml, 32 * 4);
    for (unsigned slot = 0; slot < 32; slot++) {
        for (unsigned pin = 0; pin < 4; pin++) {
            aml_open_package(aml, 4);
            aml_integer(aml, slot << 16 | 0xffff);
            aml_integer(aml, pin);
            aml_name(aml, link_names[platform_pci_pirq(slot, pin)]);
            aml_integer(aml, 0);
            aml_close(aml);
        }
    }
    aml_close(aml);
}

static void put_pci_bus(struct aml *aml, uint64_t ram_size)
{
    aml_open_device(aml, "PCI0");
    aml_name_eisa_id(aml, "_HID", "PNP0A03");
    aml_name_integer(aml, "_ADR", 0);
    aml_name_integer(aml, "_UID", 0);
    aml_name_integer(aml, "_BBN", 0);
    struct aml_resources windows = {0};
    aml_resources_bus_range(&windows, 0, 0xff);
    aml_resources_io(&windows, 0xcf8, 8);
    aml_resources_io_range(&windows, 0, 0xcf7);
    aml_resources_io_range(&windows, 0xd00, 0xffff);
    aml_resources_memory_range(&windows, 0xa0000, 0xbffff);
    aml_resources_memory_range(&windows, platform_pci_hole_start(ram_size), PLATFORM_PCI_HOLE_END - 1);
    aml_name_object(aml, "_CRS");
    aml_resources(aml, &windows);
    put_prt(aml);
    put_isa_bridge(aml);

    /* Ports that belong to no listed device, so that nothing else is put there. */
    aml_open_device(aml, "SYSR");
    aml_name_eisa_id(aml, "_HID", "PNP0C02");
    aml_name_integer(aml, "_UID", 1);
    struct aml_resources reserved = {0};
    aml_resources_io(&reserved, 0x92, 1);
    aml_resources_io(&reserved, 0xb2, 2);
    aml_resources_io(&reserved, PLATFORM_PM_BASE, 0x40);
    aml_resources_io(&reserved, PLATFORM_SMB_BASE, 0x10);
    aml_resources_io(&reserved, PLATFORM_GPE0_BASE, 4);
    aml_name_object(aml, "_CRS");
    aml_resources(aml, &reserved);
    aml_close(aml);
    aml_close(aml);
}

/* A PCI interrupt link device, 6.2.14 and 6.2.1, around a route control register of the PIIX
 * (82371AB data sheet, 4.1.10): bits 3:0 the IRQ, bit 7 set: not routed. */
static void put_link(struct aml *aml, unsigned pirq)
{
    static const uint8_t possible[] = {5, 10, 11};
    static const uint8_t one[] = {0};
    const char *route = route_names[pirq];

    aml_open_device(aml, link_names[pirq]);
    aml_name_eisa_id(aml, "_HID", "PNP0C0F");
    aml_name_integer(aml, "_UID", pirq + 1);

    struct aml_resources choices = {0};
    aml_resources_extended_irq(&choices, possible, sizeof possible);
    aml_name_object(aml, "_PRS");
    aml_resources(aml, &choices);

    aml_open_method(aml, "_STA", 0, false);
    aml_open_if(aml);
    aml_and(aml);
    aml_name(aml, route);
    aml_integer(aml, 0x80);
    aml_byte(aml, 0);
    aml_return(aml);
    aml_integer(aml, 0x09); /* present, working, disabled */
    aml_close(aml);
    aml_return(aml);
    aml_integer(aml, 0x0b);
    aml_close(aml);

    aml_open_method(aml, "_DIS", 0, false);
    aml_or(aml);
    aml_name(aml, route);
    aml_integer(aml, 0x80);
    aml_name(aml, route);
    aml_close(aml);

    aml_open_method(aml, "_CRS", 0, true);
    struct aml_resources current = {0};
    aml_resources_extended_irq(&current, one, 1);
    aml_store(aml);
    aml_resources(aml, &current);
    aml_byte(aml, AML_LOCAL0);
    aml_create_dword_field(aml, AML_LOCAL0, 5, "IRQN"); /* the descriptor's interrupt number */
    aml_and(aml);
    aml_name(aml, route);
    aml_integer(aml, 0x0f);
    aml_name(aml, "IRQN");
    aml_return(aml);
    aml_byte(aml, AML_LOCAL0);
    aml_close(aml);

    aml_open_method(aml, "_SRS", 1, true);
    aml_create_dword_field(aml, AML_ARG0, 5, "IRQN");
    aml_store(aml);
    aml_name(aml, "IRQN");
    aml_name(aml, route);
    aml_close(aml);
    aml_close(aml);
}

static void put_dsdt_body(struct aml *aml, uint64_t ram_size)
{
    /* Soft off is SUS_TYP 0 (82371AB data sheet, 7.2.3). */
    aml_name_object(aml, "\\_S5_");
    aml_open_package(aml, 4);
    for (unsigned i = 0; i < 4; i++)
        aml_integer(aml, 0);
    aml_close(aml);

    aml_open_scope(aml, "\\_PR_");
    aml_open_processor(aml, "CPU0", 0, 0, 0);
    aml_close(aml);
    aml_close(aml);

    aml_open_scope(aml, "\\_SB_");
    put_pci_bus(aml, ram_size);
    for (unsigned pirq = 0; pirq < 4; pirq++)
        put_link(aml, pirq);
    aml_close(aml);
}

size_t acpi_build(uint8_t *data, size_t capacity, uint32_t address, const struct acpi_board *board)
{
    struct aml aml;
    aml_init(&aml);
    put_dsdt_body(&aml, board->ram_size);

    const uint32_t facs = ACPI_FACS_OFFSET, rsdt = ACPI_RSDT_OFFSET, fadt = ACPI_FADT_OFFSET, dsdt = ACPI_DSDT_OFFSET;
    size_t dsdt_size = HEADER_SIZE + aml.length;
    size_t total = dsdt + dsdt_size;
    if (aml.overflow || aml.depth || total > capacity)
        return 0;
    memset(data, 0, total);

    memcpy(data, "RSD PTR ", 8);
    memcpy(data + 9, "DRAGOM", 6);
    store32(data + ACPI_RSDP_RSDT, address + rsdt);
    data[ACPI_RSDP_CHECKSUM] = (uint8_t)-acpi_checksum(data, ACPI_RSDP_SIZE);

    memcpy(data + facs, "FACS", 4);
    store32(data + facs + 4, FACS_SIZE);
    data[facs + 32] = 1; /* version */

    put_header(data + rsdt, "RSDT", RSDT_SIZE, 1);
    store32(data + rsdt + HEADER_SIZE, address + fadt);
    seal(data + rsdt, RSDT_SIZE);

    put_fadt(data + fadt, address + facs, address + dsdt, board);

    put_header(data + dsdt, "DSDT", dsdt_size, 1);
    memcpy(data + dsdt + HEADER_SIZE, aml.data, aml.length);
    seal(data + dsdt, dsdt_size);
    return total;
}

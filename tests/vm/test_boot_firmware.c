/* The firmware tables: checksums, pointers, and the encoding of AML. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "vm/boot/acpi.h"
#include "vm/boot/aml.h"
#include "vm/boot/image.h"
#include "vm/boot/platform.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void assert_aml(const struct aml *aml, const char *hex)
{
    size_t length = strlen(hex) / 2;
    assert_false(aml->overflow);
    assert_int_equal(aml->length, length);
    for (size_t i = 0; i < length; i++) {
        unsigned byte;
        assert_int_equal(sscanf(hex + 2 * i, "%2x", &byte), 1);
        assert_int_equal(aml->data[i], byte);
    }
}

static void encodes_integers_and_names(void **state)
{
    struct aml aml;
    aml_init(&aml);
    aml_integer(&aml, 0);
    aml_integer(&aml, 1);
    aml_integer(&aml, 0xff);
    aml_integer(&aml, 0x100);
    aml_integer(&aml, 0x10000);
    assert_aml(&aml, "00010aff0b00010c00000100");
    aml_init(&aml);
    aml_name(&aml, "ABCD");
    aml_name(&aml, "\\_SB_.PCI0");
    aml_name(&aml, "A___.B___.C___");
    assert_aml(&aml, "41424344"
                     "5c2e5f53425f50434930"
                     "2f03415f5f5f425f5f5f435f5f5f");
    aml_init(&aml);
    aml_name_eisa_id(&aml, "_HID", "PNP0A03");
    assert_aml(&aml, "085f4849440c41d00a03");
}

/* ACPI 6.4, 20.2.4: one byte up to 63, which counts itself; two up to 4095; then three. */
static void encodes_package_lengths(void **state)
{
    static const uint8_t filler[5000];
    static const size_t contents[] = {0, 1, 60, 61, 62, 4091, 4092, 4093};
    for (unsigned i = 0; i < sizeof contents / sizeof contents[0]; i++) {
        const size_t content = contents[i];
        struct aml *aml = malloc(sizeof *aml);
        aml_init(aml);
        aml_open_package(aml, 0); /* one byte of content: the number of elements */
        aml_bytes(aml, filler, content);
        aml_close(aml);
        assert_false(aml->overflow);
        const uint8_t *p = aml->data + 1;
        unsigned extra = p[0] >> 6;
        size_t length = p[0] & (extra ? 0x0f : 0x3f);
        for (unsigned j = 1; j <= extra; j++)
            length |= (size_t)p[j] << (8 * j - 4);
        assert_int_equal(length, aml->length - 1);
        assert_int_equal(length, content + 1 + 1 + extra);
        assert_int_equal(extra, content + 2 <= 63 ? 0 : content + 3 <= 4095 ? 1 : 2);
        free(aml);
    }
}

static void notices_overflow(void **state)
{
    static const uint8_t filler[AML_CAPACITY];
    struct aml *aml = malloc(sizeof *aml);
    aml_init(aml);
    aml_open_package(aml, 0);
    aml_bytes(aml, filler, AML_CAPACITY - 2); /* full, with no room for the length */
    assert_false(aml->overflow);
    aml_close(aml);
    assert_true(aml->overflow);
    free(aml);

    struct aml_resources resources = {0};
    for (unsigned i = 0; i < 40; i++)
        aml_resources_io(&resources, 0x100, 8);
    assert_true(resources.overflow);
    assert_true(resources.length + 2 <= sizeof resources.data);
}

static void acpi_tables_are_consistent(void **state)
{
    static uint8_t data[0x8000];
    const uint32_t base = 0xf0000;
    const struct acpi_board board = {.ram_size = 256u << 20};
    size_t size = acpi_build(data, sizeof data, base, &board);
    assert_true(size > 0);
    assert_int_equal(acpi_build(data, size - 1, base, &board), 0);
    assert_int_equal(acpi_build(data, size, base, &board), size);

    assert_memory_equal(data, "RSD PTR ", 8);
    assert_int_equal(acpi_checksum(data, 20), 0);
    const uint8_t *rsdt = data + load32(data + 16) - base;
    assert_memory_equal(rsdt, "RSDT", 4);
    assert_int_equal(acpi_checksum(rsdt, load32(rsdt + 4)), 0);
    const uint8_t *fadt = data + load32(rsdt + 36) - base;
    assert_memory_equal(fadt, "FACP", 4);
    assert_int_equal(load32(fadt + 4), 244);
    assert_int_equal(acpi_checksum(fadt, 244), 0);
    assert_int_equal(load16(fadt + 46), PLATFORM_SCI_IRQ);
    assert_int_equal(load32(fadt + 48), 0); /* no SMI command port */
    assert_int_equal(load32(fadt + 56), PLATFORM_PM_BASE);
    assert_int_equal(load32(fadt + 64), PLATFORM_PM_BASE + 4);
    assert_int_equal(load32(fadt + 76), PLATFORM_PM_BASE + 8);
    assert_int_equal(load64(fadt + 140), load32(fadt + 40));
    assert_int_equal(load16(fadt + 109) & 4, 4); /* no VGA */
    const uint8_t *facs = data + load32(fadt + 36) - base;
    assert_memory_equal(facs, "FACS", 4);
    assert_int_equal(load32(fadt + 36) % 64, 0);
    const uint8_t *dsdt = data + load32(fadt + 40) - base;
    assert_memory_equal(dsdt, "DSDT", 4);
    assert_int_equal(acpi_checksum(dsdt, load32(dsdt + 4)), 0);
    assert_int_equal(dsdt + load32(dsdt + 4) - data, size);
    /* \_S5: soft off is sleep type 0. */
    assert_memory_equal(dsdt + 36, "\x08\\_S5_\x12\x06\x04\0\0\0\0", 13);
}

static void memory_map_covers_memory(void **state)
{
    struct e820_entry map[E820_ENTRIES];
    assert_int_equal(e820_build(1u << 20, map), 4);
    unsigned count = e820_build(0xe0000000u, map);
    assert_int_equal(count, 5);
    for (unsigned i = 1; i < count; i++)
        assert_true(map[i].address >= map[i - 1].address + map[i - 1].size);
    assert_int_equal(map[3].address + map[3].size, 0xe0000000u);
    assert_true(platform_pci_hole_start(0xe0000000u) >= 0xe0000000u);
    assert_true(platform_pci_hole_start(0xc0000000u) >= 0xc0000000u);
}

static void firmware_leaves_what_a_bios_would(void **state)
{
    struct boot_image image = {.ram_size = 16u << 20};
    uint32_t rsdp;
    struct error err;
    assert_true(firmware_add(&image, &rsdp, &err));
    const uint8_t *low = image.chunks[0].data, *rom = image.chunks[2].data;
    assert_int_equal(image.chunks[0].address, 0);
    assert_int_equal(load32(low + 0x10 * 4), 0xf0008f00);
    assert_int_equal(rom[0x8f00], 0xcf);
    assert_int_equal(load16(low + 0x400), 0x3f8);
    assert_int_equal(load16(low + 0x40e), 0x9fc0);
    assert_int_equal(load16(low + 0x413), 639);
    assert_int_equal(image.chunks[1].address, 0x9fc00);
    assert_int_equal(image.chunks[1].data[0], 1);
    assert_int_equal(image.chunks[2].address, 0xf0000);
    assert_int_equal(rsdp, 0xf0000);

    const uint8_t *pir = rom + 0x8000;
    assert_memory_equal(pir, "$PIR", 4);
    assert_int_equal(load16(pir + 6) % 16, 0);
    assert_int_equal(acpi_checksum(pir, load16(pir + 6)), 0);
    /* Slot 3, INTA#: PIRQC, register 62h, as the DSDT's _PRT has it. */
    assert_int_equal(pir[32 + 2 * 16 + 1], 3 << 3);
    assert_int_equal(pir[32 + 2 * 16 + 2], 0x60 + platform_pci_pirq(3, 0));
    assert_int_equal(platform_pci_pirq(3, 0), 2);
    for (size_t i = 0; i < image.chunk_count; i++)
        free(image.chunks[i].owned);
    free(image.chunks);
}

static void finds_free_space(void **state)
{
    struct boot_image image = {.ram_size = 16u << 20};
    struct error err;
    uint32_t address;
    assert_true(image_add(&image, 0xf00000, NULL, 0, 0x100000, &err));
    assert_true(image_add(&image, 0xe00800, NULL, 0, 0x800, &err));
    assert_true(image_find_space(&image, 0x100000, 16u << 20, 0x1000, 0x1000, &address));
    assert_int_equal(address, 0xeff000);
    assert_true(image_find_space(&image, 0xe00000, 0xe02000, 0x1000, 0x1000, &address));
    assert_int_equal(address, 0xe01000);
    assert_true(image_find_space(&image, 0xd00000, 0xe01000, 0x1000, 0x1000, &address));
    assert_int_equal(address, 0xdff000);
    assert_false(image_find_space(&image, 0xe00001, 0xe01000, 0x1000, 0x1000, &address));
    assert_false(image_find_space(&image, 0xf00000, 16u << 20, 1, 1, &address));
    assert_false(image_find_space(&image, 0, 10, 11, 1, &address));
    assert_true(image_is_loadable(&image, 0, 0x9fc00));
    assert_false(image_is_loadable(&image, 0, 0x9fc01));
    assert_false(image_is_loadable(&image, 0xa0000, 1));
    assert_false(image_is_loadable(&image, 0xf8fff, 1));
    assert_true(image_is_loadable(&image, 0xf9000, 0x7000 + (15u << 20)));
    assert_true(image_is_loadable(&image, 0x100000, 15u << 20));
    assert_false(image_is_loadable(&image, 0x100000, (15u << 20) + 1));
    assert_false(image_is_loadable(&image, UINT64_MAX, 2));
    free(image.chunks);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(encodes_integers_and_names), cmocka_unit_test(encodes_package_lengths),
        cmocka_unit_test(notices_overflow),           cmocka_unit_test(acpi_tables_are_consistent),
        cmocka_unit_test(memory_map_covers_memory),   cmocka_unit_test(firmware_leaves_what_a_bios_would),
        cmocka_unit_test(finds_free_space),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* What firmware finds in fw_cfg: ACPI and SMBIOS tables as files, kernels for the option ROM. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "vm/boot/acpi.h"
#include "vm/boot/linux_firmware.h"
#include "vm/boot/linux_header.h"
#include "vm/boot/smbios.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define MIB (1024u * 1024u)

/* ---- ACPI: what firmware does with the loader's commands ---- */

static struct acpi_files files;

enum { TABLES_AT = 0x07ffe000, RSDP_AT = 0xf5a00 };

static uint8_t *file_named(const char *name)
{
    if (!strcmp(name, ACPI_TABLES_FILE))
        return files.tables;
    assert_string_equal(name, ACPI_RSDP_FILE);
    return files.rsdp;
}

static void run_command(const uint8_t *command, unsigned *allocated)
{
    uint8_t *file = file_named((const char *)command + 4);
    const uint8_t *rest = command + 4 + 56;
    switch (load32(command)) {
    case 1:
        assert_int_equal(rest[4], file == files.tables ? 1 : 2);
        assert_int_equal(load32(rest), file == files.tables ? 64 : 16);
        *allocated |= file == files.tables ? 1 : 2;
        break;
    case 2: {
        assert_ptr_equal(file_named((const char *)rest), files.tables);
        uint32_t offset = load32(rest + 56);
        assert_true(rest[60] == 4 || rest[60] == 8);
        store32(file + offset, load32(file + offset) + TABLES_AT);
        break;
    }
    case 3: {
        uint32_t start = load32(rest + 4), length = load32(rest + 8);
        file[load32(rest)] = (uint8_t)(file[load32(rest)] - acpi_checksum(file + start, length));
        break;
    }
    default:
        fail_msg("command %u", load32(command));
    }
}

static void acpi_files_come_together(void **state)
{
    assert_true(acpi_build_files(&files, 128 * MIB, true));
    assert_int_equal(files.loader_size % ACPI_LOADER_COMMAND_SIZE, 0);
    assert_true(files.loader_size <= sizeof files.loader);
    unsigned allocated = 0;
    for (size_t at = 0; at < files.loader_size; at += ACPI_LOADER_COMMAND_SIZE)
        run_command(files.loader + at, &allocated);
    assert_int_equal(allocated, 3);

    assert_memory_equal(files.rsdp, "RSD PTR ", 8);
    assert_int_equal(acpi_checksum(files.rsdp, sizeof files.rsdp), 0);
    const uint8_t *rsdt = files.tables + load32(files.rsdp + 16) - TABLES_AT;
    assert_memory_equal(rsdt, "RSDT", 4);
    assert_int_equal(acpi_checksum(rsdt, load32(rsdt + 4)), 0);
    const uint8_t *fadt = files.tables + load32(rsdt + 36) - TABLES_AT;
    assert_memory_equal(fadt, "FACP", 4);
    assert_int_equal(acpi_checksum(fadt, load32(fadt + 4)), 0);
    assert_memory_equal(files.tables + load32(fadt + 36) - TABLES_AT, "FACS", 4);
    const uint8_t *dsdt = files.tables + load32(fadt + 40) - TABLES_AT;
    assert_memory_equal(dsdt, "DSDT", 4);
    assert_int_equal(acpi_checksum(dsdt, load32(dsdt + 4)), 0);
    assert_int_equal(load64(fadt + 140), load32(fadt + 40));
    /* The system switches ACPI on itself: PIIX4's APM control port. */
    assert_int_equal(load32(fadt + 48), 0xb2);
    assert_int_equal(fadt[52], 0xf1);
    assert_int_equal(fadt[53], 0xf0);
    assert_int_equal(load16(fadt + 109) & 4, 0); /* there is a VGA */
}

/* ---- SMBIOS ---- */

static void smbios_structures_are_a_chain(void **state)
{
    struct smbios_files smbios;
    const struct smbios_machine machine = {
        .ram_size = 3584ull * MIB, .family = 15, .cpuid_signature = 0xf29, .cpuid_features = 0xbfebfbff};
    smbios_build(&smbios, &machine);
    assert_memory_equal(smbios.anchor, "_SM_", 4);
    assert_memory_equal(smbios.anchor + 16, "_DMI_", 5);
    assert_int_equal(load16(smbios.anchor + 22), smbios.tables_size);
    assert_true(smbios.tables_size <= sizeof smbios.tables);
    size_t at = 0, largest = 0;
    unsigned count = 0, types = 0;
    bool ended = false;
    while (at < smbios.tables_size) {
        const uint8_t *s = smbios.tables + at;
        size_t end = at + s[1];
        assert_false(ended);
        while (smbios.tables[end] || smbios.tables[end + 1])
            end++;
        end += 2;
        if (s[0] < 32)
            types |= 1u << s[0];
        ended = s[0] == 127;
        if (s[0] == 4) {
            assert_int_equal(load32(s + 8), 0xf29);
            assert_int_equal(load32(s + 12), 0xbfebfbff);
        } else if (s[0] == 17) {
            assert_int_equal(load16(s + 12), 3584);
        } else if (s[0] == 19) {
            assert_int_equal(load32(s + 8), 3584 * 1024 - 1);
        }
        largest = end - at > largest ? end - at : largest;
        at = end;
        count++;
    }
    assert_int_equal(at, smbios.tables_size);
    assert_true(ended);
    assert_int_equal(count, load16(smbios.anchor + 28));
    assert_int_equal(largest, load16(smbios.anchor + 8));
    assert_int_equal(types, 1u << 1 | 1u << 3 | 1u << 4 | 1u << 16 | 1u << 17 | 1u << 19);
}

/* ---- kernels ---- */

struct fixture {
    char kernel[64], initrd[64];
    uint8_t bytes[16384];
    struct port_space *ports;
    struct device_lock lock;
    struct log log;
    struct stats stats;
    struct fw_cfg *fw;
    struct error err;
};

/* A Linux kernel of 4 setup sectors and 2 KiB, of protocol VERSION. */
static void make_kernel(struct fixture *f, unsigned version, bool high)
{
    memset(f->bytes, 0, sizeof f->bytes);
    for (unsigned i = 0; i < 2048; i++)
        f->bytes[5 * 512 + i] = (uint8_t)(i * 5);
    f->bytes[HEADER_SETUP_SECTS] = 4;
    store16(f->bytes + HEADER_BOOT_FLAG, 0xaa55);
    f->bytes[HEADER_JUMP] = 0xeb;
    f->bytes[HEADER_JUMP + 1] = 0x66;
    memcpy(f->bytes + HEADER_MAGIC, "HdrS", 4);
    store16(f->bytes + HEADER_VERSION, version);
    f->bytes[HEADER_LOADFLAGS] = high;
    store32(f->bytes + HEADER_CODE32_START, high ? 0x100000 : 0x1000);
    store32(f->bytes + HEADER_SYSSIZE, 2048 / 16);
    store32(f->bytes + HEADER_INITRD_ADDR_MAX, 0x7fffffff);
    store32(f->bytes + HEADER_KERNEL_ALIGNMENT, 4096);
    store32(f->bytes + HEADER_CMDLINE_SIZE, 100);
}

static void write_file(const char *path, const void *data, size_t size)
{
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(data, 1, size, file), size);
    fclose(file);
}

static int set_up(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    strcpy(f->kernel, "/tmp/dragoman-kernel-XXXXXX");
    strcpy(f->initrd, "/tmp/dragoman-initrd-XXXXXX");
    close(mkstemp(f->kernel));
    close(mkstemp(f->initrd));
    device_lock_init(&f->lock);
    log_init(&f->log);
    f->ports = port_space_create(&f->lock, &f->log, &f->stats);
    const struct device_bus bus = {.ports = f->ports, .log = &f->log};
    device_lock_acquire(&f->lock);
    f->fw = fw_cfg_create(&bus);
    *state = f;
    return f->fw ? 0 : -1;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;
    device_destroy(f->fw);
    device_lock_release(&f->lock);
    port_space_destroy(f->ports);
    device_lock_finish(&f->lock);
    unlink(f->kernel);
    unlink(f->initrd);
    free(f);
    return 0;
}

/* COUNT bytes of item KEY, through the ports. */
static void read_item(struct fixture *f, uint16_t key, void *to, size_t count)
{
    port_space_write(f->ports, 0x510, 2, key);
    for (size_t i = 0; i < count; i++)
        ((uint8_t *)to)[i] = (uint8_t)port_space_read(f->ports, 0x511, 1);
}

static uint32_t number(struct fixture *f, uint16_t key)
{
    uint8_t bytes[4];
    read_item(f, key, bytes, sizeof bytes);
    return load32(bytes);
}

static bool offer(struct fixture *f, const char *append, bool with_initrd, uint64_t ram_size)
{
    write_file(f->kernel, f->bytes, 5 * 512 + 2048);
    write_file(f->initrd, "an initial RAM disk", 19);
    const struct boot_request request = {
        .kernel = f->kernel, .initrd = with_initrd ? f->initrd : NULL, .append = append, .ram_size = ram_size};
    f->err.message[0] = 0;
    return linux_firmware_offer(f->fw, &request, &f->err);
}

static void modern_kernel_is_offered(void **state)
{
    struct fixture *f = *state;
    make_kernel(f, 0x206, true);
    assert_true(offer(f, "vga=0x301 quiet", true, 64 * MIB));
    assert_int_equal(number(f, FW_CFG_SETUP_ADDRESS), 0x10000);
    assert_int_equal(number(f, FW_CFG_SETUP_SIZE), 5 * 512);
    assert_int_equal(number(f, FW_CFG_KERNEL_ADDRESS), 0x100000);
    assert_int_equal(number(f, FW_CFG_KERNEL_SIZE), 2048);
    assert_int_equal(number(f, FW_CFG_COMMAND_LINE_ADDRESS), 0x20000);
    assert_int_equal(number(f, FW_CFG_COMMAND_LINE_SIZE), 16);
    uint8_t setup[5 * 512], kernel[2048];
    char line[16], initrd[19];
    read_item(f, FW_CFG_SETUP_DATA, setup, sizeof setup);
    read_item(f, FW_CFG_KERNEL_DATA, kernel, sizeof kernel);
    read_item(f, FW_CFG_COMMAND_LINE_DATA, line, sizeof line);
    read_item(f, FW_CFG_INITRD_DATA, initrd, sizeof initrd);
    assert_memory_equal(kernel, f->bytes + 5 * 512, 2048);
    assert_string_equal(line, "vga=0x301 quiet");
    assert_memory_equal(initrd, "an initial RAM disk", 19);
    assert_int_equal(setup[HEADER_TYPE_OF_LOADER], 0xff);
    assert_int_equal(setup[HEADER_LOADFLAGS], 0x81);
    assert_int_equal(load16(setup + HEADER_HEAP_END_PTR), 0xfe00);
    assert_int_equal(load32(setup + HEADER_CMD_LINE_PTR), 0x20000);
    assert_int_equal(load16(setup + HEADER_VID_MODE), 0x301);
    /* Below what firmware reserves. */
    uint32_t at = number(f, FW_CFG_INITRD_ADDRESS);
    assert_int_equal(at, 64 * MIB - (128 << 10) - 4096);
    assert_int_equal(load32(setup + HEADER_RAMDISK_IMAGE), at);
    assert_int_equal(load32(setup + HEADER_RAMDISK_SIZE), 19);
    /* The ROM: its signature, its size, a sum of 0. */
    size_t size;
    const uint8_t *rom = fw_cfg_find_file(f->fw, "genroms/dragoman-linux.bin", &size);
    assert_non_null(rom);
    assert_int_equal(load16(rom), 0xaa55);
    assert_int_equal(rom[2] * 512, size);
    assert_int_equal(acpi_checksum(rom, size), 0);
    const uint8_t *pnp = rom + load16(rom + 0x1a);
    assert_memory_equal(pnp, "$PnP", 4);
    assert_int_equal(acpi_checksum(pnp, pnp[5] * 16u), 0);
    assert_true(load16(pnp + 0x1a) > 0 && load16(pnp + 0x1a) < size); /* bootstrap entry vector */
}

static void old_kernels_go_below_640k(void **state)
{
    struct fixture *f = *state;
    make_kernel(f, 0x200, false);
    assert_true(offer(f, "root=/dev/fd0", false, 4 * MIB));
    uint8_t setup[5 * 512];
    read_item(f, FW_CFG_SETUP_DATA, setup, sizeof setup);
    assert_int_equal(number(f, FW_CFG_SETUP_ADDRESS), 0x90000);
    assert_int_equal(number(f, FW_CFG_KERNEL_ADDRESS), 0x10000);
    assert_int_equal(load16(setup + 0x20), 0xa33f);
    assert_int_equal(load16(setup + 0x22), number(f, FW_CFG_COMMAND_LINE_ADDRESS) - 0x90000);
    assert_int_equal(load16(setup + HEADER_VID_MODE), 0xffff);
    assert_int_equal(number(f, FW_CFG_INITRD_SIZE), 0);
}

static void what_does_not_fit_is_refused(void **state)
{
    struct fixture *f = *state;
    make_kernel(f, 0x206, true);
    char line[102];
    memset(line, 'x', sizeof line - 1);
    line[101] = 0;
    assert_false(offer(f, line, false, 64 * MIB));
    assert_non_null(strstr(f->err.message, "-append"));
    assert_false(offer(f, "", true, MIB + (128 << 10) + 4096));
    assert_non_null(strstr(f->err.message, f->initrd));
    assert_false(offer(f, "", false, MIB));
    assert_non_null(strstr(f->err.message, f->kernel));
    f->bytes[HEADER_VERSION + 1] = 1;
    assert_false(offer(f, "", false, 64 * MIB));
    assert_non_null(strstr(f->err.message, f->kernel));
}

static void need_is_told_from_the_header(void **state)
{
    struct fixture *f = *state;
    make_kernel(f, 0x207, true);
    write_file(f->kernel, f->bytes, sizeof f->bytes);
    assert_int_equal(linux_firmware_need(f->kernel), LINUX_FIRMWARE_POSSIBLE);
    store32(f->bytes + HEADER_CODE32_START, 0); /* as iPXE has it */
    write_file(f->kernel, f->bytes, sizeof f->bytes);
    assert_int_equal(linux_firmware_need(f->kernel), LINUX_FIRMWARE_NEEDED);
    memset(f->bytes + HEADER_MAGIC, 0, 4);
    write_file(f->kernel, f->bytes, sizeof f->bytes);
    assert_int_equal(linux_firmware_need(f->kernel), LINUX_FIRMWARE_IMPOSSIBLE);
    write_file(f->kernel, f->bytes, 100);
    assert_int_equal(linux_firmware_need(f->kernel), LINUX_FIRMWARE_IMPOSSIBLE);
    assert_int_equal(linux_firmware_need("/nonexistent/kernel"), LINUX_FIRMWARE_IMPOSSIBLE);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(acpi_files_come_together),
        cmocka_unit_test(smbios_structures_are_a_chain),
        TEST(modern_kernel_is_offered),
        TEST(old_kernels_go_below_640k),
        TEST(what_does_not_fit_is_refused),
        TEST(need_is_told_from_the_header),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* The ACPI tables as files for firmware, which places them and then does what the loader file says: a list of
 * commands of 128 bytes each. Source: QEMU documentation and SeaBIOS, "BIOS linker/loader". */
#include "vm/boot/acpi.h"

#include "vm/boot/image.h"

#include <string.h>

enum { NAME_SIZE = 56, COMMAND_SIZE = ACPI_LOADER_COMMAND_SIZE };
enum { COMMAND_ALLOCATE = 1, COMMAND_ADD_POINTER = 2, COMMAND_ADD_CHECKSUM = 3 };
enum { ZONE_HIGH = 1, ZONE_F_SEGMENT = 2 };

static uint8_t *add_command(struct acpi_files *files, unsigned command)
{
    uint8_t *at = files->loader + files->loader_size;
    files->loader_size += COMMAND_SIZE;
    store32(at, command);
    return at + 4;
}

/*  name, 56 | alignment, 4 | zone, 1  */
static void allocate(struct acpi_files *files, const char *name, uint32_t alignment, unsigned zone)
{
    uint8_t *command = add_command(files, COMMAND_ALLOCATE);
    strcpy((char *)command, name);
    store32(command + NAME_SIZE, alignment);
    command[NAME_SIZE + 4] = (uint8_t)zone;
}

/*  file with the pointer, 56 | file that it points to, 56 | offset of the pointer, 4 | its size, 1
 * Adds the address of the tables to the pointer, which is an offset before. */
static void add_pointer(struct acpi_files *files, const char *name, uint32_t offset, unsigned size)
{
    uint8_t *command = add_command(files, COMMAND_ADD_POINTER);
    strcpy((char *)command, name);
    strcpy((char *)command + NAME_SIZE, ACPI_TABLES_FILE);
    store32(command + 2 * NAME_SIZE, offset);
    command[2 * NAME_SIZE + 4] = (uint8_t)size;
}

/*  file, 56 | offset of the checksum, 4 | start, 4 | length, 4  */
static void add_checksum(struct acpi_files *files, const char *name, uint32_t offset, uint32_t start, uint32_t length)
{
    uint8_t *command = add_command(files, COMMAND_ADD_CHECKSUM);
    strcpy((char *)command, name);
    store32(command + NAME_SIZE, offset);
    store32(command + NAME_SIZE + 4, start);
    store32(command + NAME_SIZE + 8, length);
}

bool acpi_build_files(struct acpi_files *files, uint64_t ram_size, bool has_vga)
{
    const struct acpi_board board = {.ram_size = ram_size, .has_vga = has_vga, .starts_in_legacy_mode = true};
    memset(files, 0, sizeof *files);
    files->tables_size = acpi_build(files->tables, sizeof files->tables, 0, &board);
    if (!files->tables_size)
        return false;
    /* The root pointer goes where systems search for it. */
    memcpy(files->rsdp, files->tables, sizeof files->rsdp);
    memset(files->tables, 0, sizeof files->rsdp);

    const uint32_t rsdt = ACPI_RSDT_OFFSET, fadt = ACPI_FADT_OFFSET;
    allocate(files, ACPI_TABLES_FILE, ACPI_TABLES_ALIGNMENT, ZONE_HIGH);
    allocate(files, ACPI_RSDP_FILE, 16, ZONE_F_SEGMENT);
    add_pointer(files, ACPI_TABLES_FILE, fadt + ACPI_FADT_FACS, 4);
    add_pointer(files, ACPI_TABLES_FILE, fadt + ACPI_FADT_DSDT, 4);
    add_pointer(files, ACPI_TABLES_FILE, fadt + ACPI_FADT_X_DSDT, 8);
    add_checksum(files, ACPI_TABLES_FILE, fadt + ACPI_CHECKSUM, fadt, load32(files->tables + fadt + 4));
    add_pointer(files, ACPI_TABLES_FILE, rsdt + ACPI_HEADER_SIZE, 4);
    add_checksum(files, ACPI_TABLES_FILE, rsdt + ACPI_CHECKSUM, rsdt, load32(files->tables + rsdt + 4));
    add_pointer(files, ACPI_RSDP_FILE, ACPI_RSDP_RSDT, 4);
    add_checksum(files, ACPI_RSDP_FILE, ACPI_RSDP_CHECKSUM, 0, ACPI_RSDP_SIZE);
    return true;
}

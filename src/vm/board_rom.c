/* -bios: the firmware ROM. */
#include "vm/board_pc.h"

#include "base/file.h"
#include "devices/pci/i440fx.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define LOW_ROM_SIZE (128u << 10)

static bool read_rom(struct board_rom *rom, int fd, const char *path, struct error *err)
{
    struct stat status;
    if (fstat(fd, &status) < 0)
        return error_set(err, "cannot read ROM '%s': %s", path, strerror(errno));
    if (!S_ISREG(status.st_mode))
        return error_set(err, "ROM '%s' is not a regular file", path);
    if (status.st_size < BOARD_ROM_MIN || status.st_size > BOARD_ROM_MAX || status.st_size % BOARD_ROM_MIN)
        return error_set(err, "ROM '%s' has %lld bytes: must be a multiple of 64 KiB, 64 KiB to 4 MiB", path,
                         (long long)status.st_size);
    rom->size = (uint32_t)status.st_size;
    rom->bytes = aligned_alloc(PAGE_SIZE, rom->size);
    if (!rom->bytes)
        return error_set(err, "out of memory for ROM '%s'", path);
    if (!file_read_whole(fd, rom->bytes, rom->size))
        return error_set(err, "cannot read ROM '%s': %s", path, strerror(errno));
    return true;
}

bool board_rom_load(struct board_rom *rom, const char *path, struct memory *memory, struct error *err)
{
    memset(rom, 0, sizeof *rom);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return error_set(err, "cannot open ROM '%s': %s", path, strerror(errno));
    bool ok = read_rom(rom, fd, path, err);
    close(fd);
    if (!ok) {
        free(rom->bytes);
        rom->bytes = NULL;
        return false;
    }
    uint32_t low = rom->size < LOW_ROM_SIZE ? rom->size : LOW_ROM_SIZE;
    rom->high = (struct memory_region){.name = "pc.bios",
                                       .kind = REGION_ROM,
                                       .base = 0x100000000ull - rom->size,
                                       .size = rom->size,
                                       .priority = I440FX_ROM_PRIORITY,
                                       .enabled = true,
                                       .host = rom->bytes};
    rom->low = (struct memory_region){.name = "isa-bios",
                                      .kind = REGION_ROM,
                                      .base = 0x100000 - low,
                                      .size = low,
                                      .priority = I440FX_ROM_PRIORITY,
                                      .enabled = true,
                                      .host = rom->bytes + rom->size - low};
    memory_add_region(memory, &rom->high);
    memory_add_region(memory, &rom->low);
    return true;
}

void board_rom_unload(struct board_rom *rom, struct memory *memory)
{
    if (!rom->bytes)
        return;
    memory_remove_region(memory, &rom->low);
    memory_remove_region(memory, &rom->high);
    free(rom->bytes);
    rom->bytes = NULL;
}

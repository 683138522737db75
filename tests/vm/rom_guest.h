/* A machine for tests: a 64 KiB ROM whose code, 16-bit, runs from F000:0000 after reset, in a temporary file. */
#ifndef DRAGOMAN_TESTS_VM_ROM_GUEST_H
#define DRAGOMAN_TESTS_VM_ROM_GUEST_H

#include "vm/vm.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct rom_guest {
    char path[64];
    struct vm_options options;
    struct main_loop *loop;
    struct vm *vm;
};

static inline bool rom_guest_write(struct rom_guest *guest, const uint8_t *code, size_t length)
{
    static const uint8_t reset_jump[] = {0xea, 0x00, 0x00, 0x00, 0xf0}; /* jmp F000:0000 */
    uint8_t *rom = calloc(1, 65536);
    memset(rom, 0xf4, 65536); /* hlt */
    memcpy(rom, code, length);
    memcpy(rom + 0xfff0, reset_jump, sizeof reset_jump);
    strcpy(guest->path, "/tmp/dragoman-rom-XXXXXX");
    int fd = mkstemp(guest->path);
    bool ok = fd >= 0 && write(fd, rom, 65536) == 65536;
    if (fd >= 0)
        close(fd);
    free(rom);
    return ok;
}

/* Fills in usual options; the caller may change them before rom_guest_create(). */
static inline void rom_guest_init(struct rom_guest *guest)
{
    memset(guest, 0, sizeof *guest);
    guest->options.cpu = "pentium4";
    guest->options.ram_size = 4u << 20;
    guest->options.vcpu_count = 1;
}

static inline bool rom_guest_create(struct rom_guest *guest, const uint8_t *code, size_t length, struct error *err)
{
    if (!rom_guest_write(guest, code, length))
        return error_set(err, "cannot write the ROM");
    guest->options.bios = guest->path;
    guest->loop = main_loop_create(err);
    guest->vm = guest->loop ? vm_create(&guest->options, guest->loop, err) : NULL;
    return guest->vm != NULL;
}

static inline void rom_guest_destroy(struct rom_guest *guest)
{
    vm_destroy(guest->vm);
    main_loop_destroy(guest->loop);
    if (guest->path[0])
        unlink(guest->path);
}

#endif

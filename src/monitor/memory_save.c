/* pmemsave and memsave: guest memory to a file. */
#include "monitor/hmp.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define CHUNK 65536u

bool monitor_read_virtual(struct vm *vm, unsigned vcpu, uint64_t address, void *to, size_t length)
{
    uint8_t *bytes = to;
    while (length) {
        uint64_t physical;
        size_t piece = PAGE_SIZE - (address & PAGE_MASK);
        if (piece > length)
            piece = length;
        if (address > UINT32_MAX || !mmu_translate_debug(&vm_cpu(vm, vcpu)->mmu, address, &physical))
            return false;
        memory_read_bytes(vm->memory, physical, bytes, piece);
        bytes += piece;
        address += piece;
        length -= piece;
    }
    return true;
}

static bool save(struct vm *vm, bool is_virtual, unsigned vcpu, uint64_t address, uint64_t size, const char *path,
                 struct error *err)
{
    static const char unreadable[] = "Invalid addr 0x%016llx/size %llu specified";
    uint8_t chunk[CHUNK];
    uint64_t start = address, whole = size;
    FILE *file = fopen(path, "wb");
    if (!file)
        return error_set(err, "Could not open '%s': %s", path, strerror(errno));
    vm_freeze(vm);
    bool ok = true;
    while (ok && size) {
        size_t piece = size < CHUNK ? (size_t)size : CHUNK;
        if (is_virtual)
            ok = monitor_read_virtual(vm, vcpu, address, chunk, piece) ||
                 error_set(err, unreadable, (unsigned long long)start, (unsigned long long)whole);
        else
            memory_read_bytes(vm->memory, address, chunk, piece);
        if (ok && fwrite(chunk, 1, piece, file) != piece)
            ok = error_set(err, "An IO error has occurred: '%s': %s", path, strerror(errno));
        address += piece;
        size -= piece;
    }
    vm_thaw(vm);
    if (fclose(file) != 0 && ok)
        ok = error_set(err, "An IO error has occurred: '%s': %s", path, strerror(errno));
    return ok;
}

bool monitor_save_physical(struct vm *vm, uint64_t address, uint64_t size, const char *path, struct error *err)
{
    return save(vm, false, 0, address, size, path, err);
}

bool monitor_save_virtual(struct vm *vm, unsigned vcpu, uint64_t address, uint64_t size, const char *path,
                          struct error *err)
{
    return save(vm, true, vcpu, address, size, path, err);
}

/* snapshot=on: copy on write into an unlinked temporary file, forgotten when the image is closed.
 *
 * The temporary file is sparse and has every sector at its own place; a bitmap, itself sparse (pages
 * appear when touched), says which sectors it holds. */
#define _GNU_SOURCE /* O_TMPFILE, mkostemp */
#include "block/block.h"
#include "block/host_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

struct overlay {
    struct block *base;
    int fd;
    uint8_t *bitmap; /* bit n of byte m: sector 8m+n was written */
    size_t bitmap_size;
};

static bool is_written(const struct overlay *overlay, uint64_t sector)
{
    return overlay->bitmap[sector / 8] >> (sector % 8) & 1;
}

/* Sectors from SECTOR on, at most LIMIT, that come from the same file. */
static uint32_t run_length(const struct overlay *overlay, uint64_t sector, uint32_t limit)
{
    bool written = is_written(overlay, sector);
    uint32_t run = 1;
    while (run < limit && is_written(overlay, sector + run) == written)
        run++;
    return run;
}

static enum block_status overlay_read(struct overlay *overlay, uint64_t sector, uint32_t count, uint8_t *data,
                                      int *host_error)
{
    while (count) {
        uint32_t run = run_length(overlay, sector, count);
        if (is_written(overlay, sector)) {
            *host_error = host_file_read(overlay->fd, sector * BLOCK_SECTOR, data, (size_t)run * BLOCK_SECTOR);
            if (*host_error)
                return block_status_of_errno(*host_error);
        } else {
            enum block_status status = block_read(overlay->base, sector, run, data);
            if (status != BLOCK_OK) {
                *host_error = EIO;
                return status;
            }
        }
        sector += run;
        count -= run;
        data += (size_t)run * BLOCK_SECTOR;
    }
    return BLOCK_OK;
}

static void overlay_submit(struct block *block, struct block_request *request)
{
    struct overlay *overlay = block->state;
    enum block_status status = BLOCK_OK;
    int host_error = 0;
    if (request->operation == BLOCK_READ) {
        status = overlay_read(overlay, request->sector, request->count, request->data, &host_error);
    } else if (request->operation == BLOCK_WRITE) {
        host_error = host_file_write(overlay->fd, request->sector * BLOCK_SECTOR, request->data,
                                     (size_t)request->count * BLOCK_SECTOR);
        status = block_status_of_errno(host_error);
        for (uint32_t i = 0; i < request->count && status == BLOCK_OK; i++)
            overlay->bitmap[(request->sector + i) / 8] |= (uint8_t)(1u << ((request->sector + i) % 8));
    }
    /* A flush has nothing to do: nobody will ever read the temporary file again. */
    block_complete(block, request, status, host_error);
}

static void overlay_free(struct overlay *overlay)
{
    if (overlay->bitmap)
        munmap(overlay->bitmap, overlay->bitmap_size);
    if (overlay->fd >= 0)
        close(overlay->fd);
    block_close(overlay->base);
    free(overlay);
}

static void overlay_close(struct block *block)
{
    overlay_free(block->state);
}

static const struct block_driver overlay_driver = {
    .name = "snapshot", .submit = overlay_submit, .close = overlay_close};

static int open_temporary(const char *folder)
{
    char path[4096];
    int fd = open(folder, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    if (fd >= 0)
        return fd;
    if (snprintf(path, sizeof path, "%s/dragoman-XXXXXX", folder) >= (int)sizeof path) {
        errno = ENAMETOOLONG;
        return -1;
    }
    fd = mkostemp(path, O_CLOEXEC);
    if (fd >= 0)
        unlink(path);
    return fd;
}

bool block_overlay_open(struct block *block, struct block *base, const struct block_options *options, struct error *err)
{
    const char *folder = options->temporary_folder ? options->temporary_folder : getenv("TMPDIR");
    if (!folder || !folder[0])
        folder = "/var/tmp";
    struct overlay *overlay = calloc(1, sizeof *overlay);
    if (!overlay) {
        block_close(base);
        return block_error(options, err, "no memory left to open it");
    }
    overlay->base = base;
    overlay->fd = open_temporary(folder);
    if (overlay->fd < 0) {
        block_error(options, err, "snapshot=on: cannot make a temporary file in %s: %s", folder, strerror(errno));
        overlay_free(overlay);
        return false;
    }
    overlay->bitmap_size = (size_t)(base->sectors / 8 + 1);
    void *bitmap =
        mmap(NULL, overlay->bitmap_size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (bitmap == MAP_FAILED) {
        block_error(options, err, "snapshot=on: no memory left for the map of its sectors");
        overlay_free(overlay);
        return false;
    }
    overlay->bitmap = bitmap;
    block->driver = &overlay_driver;
    block->state = overlay;
    block->sectors = base->sectors;
    block->snapshot = true;
    return true;
}

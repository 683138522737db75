/* Raw images: the file's bytes are the disk's. Regular files and host block devices. */
#include "block/block.h"
#include "block/foreign_format.h"
#include "block/host_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

struct raw {
    int fd;
};

static void raw_submit(struct block *block, struct block_request *request)
{
    const struct raw *raw = block->state;
    uint64_t offset = request->sector * BLOCK_SECTOR;
    size_t length = (size_t)request->count * BLOCK_SECTOR;
    int host_error = 0;
    switch (request->operation) {
    case BLOCK_READ:
        host_error = host_file_read(raw->fd, offset, request->data, length);
        break;
    case BLOCK_WRITE:
        host_error = host_file_write(raw->fd, offset, request->data, length);
        break;
    case BLOCK_FLUSH:
        host_error = block->read_only ? 0 : host_file_flush(raw->fd);
        break;
    }
    block_complete(block, request, block_status_of_errno(host_error), host_error);
}

static void raw_close(struct block *block)
{
    struct raw *raw = block->state;
    close(raw->fd);
    free(raw);
}

static const struct block_driver raw_driver = {.name = "raw", .submit = raw_submit, .close = raw_close};

/* O_NONBLOCK: opening a FIFO by mistake must not wait for a writer. */
static int open_host_file(const char *path, bool writable)
{
    return open(path, (writable ? O_RDWR : O_RDONLY) | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
}

static bool check_kind(const struct block_options *options, int fd, struct error *err)
{
    struct stat status;
    if (fstat(fd, &status) != 0)
        return block_error(options, err, "%s", strerror(errno));
    if (S_ISDIR(status.st_mode))
        return block_error(options, err, "is a directory, not a disk image");
    if (!S_ISREG(status.st_mode) && !S_ISBLK(status.st_mode))
        return block_error(options, err, "is neither a file nor a block device");
    return true;
}

/* Where the file system has no locks, there is nothing to hold anybody off with. */
static bool lock_file(const struct block_options *options, int fd, bool writable, struct error *err)
{
    while (flock(fd, (writable ? LOCK_EX : LOCK_SH) | LOCK_NB) != 0) {
        if (errno == EINTR)
            continue;
        if (errno != EWOULDBLOCK)
            return true;
        return block_error(options, err, "is in use: another program%s has it locked%s",
                           writable ? "" : " that may write to it",
                           writable ? " (open it read-only or with snapshot=on to share it)" : "");
    }
    return true;
}

static bool measure(const struct block_options *options, int fd, uint64_t *sectors, struct error *err)
{
    off_t size = lseek(fd, 0, SEEK_END);
    if (size < 0)
        return block_error(options, err, "cannot find its size: %s", strerror(errno));
    if (size == 0)
        return block_error(options, err, "is empty: a disk image has at least one sector of 512 bytes");
    *sectors = ((uint64_t)size + BLOCK_SECTOR - 1) / BLOCK_SECTOR;
    return true;
}

/* Who says format=raw means it. */
static bool check_format(const struct block_options *options, int fd, struct error *err)
{
    uint8_t start[FOREIGN_FORMAT_BYTES];
    ssize_t got = options->format ? 0 : pread(fd, start, sizeof start, 0);
    const char *name = got > 0 ? foreign_format_name(start, (size_t)got) : NULL;
    return !name ||
           block_error(options, err, "is %s, not a raw disk image (format=raw takes it as one all the same)", name);
}

bool block_raw_open(struct block *block, const struct block_options *options, struct error *err)
{
    bool writable = !options->read_only;
    int fd = open_host_file(options->path, writable);
    if (fd < 0 && writable && options->auto_read_only && (errno == EACCES || errno == EROFS || errno == EPERM)) {
        writable = false;
        fd = open_host_file(options->path, false);
    }
    if (fd < 0 && errno == EISDIR)
        return block_error(options, err, "is a directory, not a disk image");
    if (fd < 0 && errno == ENXIO)
        return block_error(options, err, "is neither a file nor a block device");
    if (fd < 0)
        return block_error(options, err, "cannot open it%s: %s", writable ? " for writing" : "", strerror(errno));
    struct raw *raw = NULL;
    if (!check_kind(options, fd, err) || !lock_file(options, fd, writable, err) ||
        !measure(options, fd, &block->sectors, err) || !check_format(options, fd, err))
        goto fail;
    raw = malloc(sizeof *raw);
    if (!raw) {
        block_error(options, err, "no memory left to open it");
        goto fail;
    }
    raw->fd = fd;
    block->state = raw;
    block->driver = &raw_driver;
    block->read_only = !writable;
    return true;
fail:
    close(fd);
    return false;
}

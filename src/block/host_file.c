#include "block/host_file.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

int host_file_read(int fd, uint64_t offset, void *data, size_t length)
{
    uint8_t *to = data;
    while (length) {
        ssize_t n = pread(fd, to, length, (off_t)offset);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return errno;
        if (n == 0) {
            memset(to, 0, length);
            return 0;
        }
        to += n;
        offset += (uint64_t)n;
        length -= (size_t)n;
    }
    return 0;
}

int host_file_write(int fd, uint64_t offset, const void *data, size_t length)
{
    const uint8_t *from = data;
    while (length) {
        ssize_t n = pwrite(fd, from, length, (off_t)offset);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return errno;
        if (n == 0)
            return ENOSPC;
        from += n;
        offset += (uint64_t)n;
        length -= (size_t)n;
    }
    return 0;
}

int host_file_flush(int fd)
{
    while (fdatasync(fd) != 0) {
        if (errno == EINTR)
            continue;
        /* A file system that has nothing to synchronise says so. */
        return errno == EINVAL || errno == EROFS || errno == ENOSYS ? 0 : errno;
    }
    return 0;
}

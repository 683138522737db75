/* Files of the host. See file.h. */
#include "base/file.h"

#include <errno.h>
#include <stdint.h>
#include <unistd.h>

bool file_read_whole(int fd, void *to, size_t size)
{
    uint8_t *at = to;

    while (size) {
        ssize_t got = read(fd, at, size);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0) {
            if (got == 0)
                errno = EIO; /* it shrank under our hands */
            return false;
        }
        at += got;
        size -= (size_t)got;
    }
    return true;
}

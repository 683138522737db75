/* Files of the host. */
#ifndef DRAGOMAN_BASE_FILE_H
#define DRAGOMAN_BASE_FILE_H

#include <stdbool.h>
#include <stddef.h>

/* Reads exactly SIZE bytes at the file's position. False: errno says why; EIO if the file ends before. */
bool file_read_whole(int fd, void *to, size_t size);

#endif

/* Whole transfers on host files: short and interrupted system calls are nobody else's business. */
#ifndef DRAGOMAN_BLOCK_HOST_FILE_H
#define DRAGOMAN_BLOCK_HOST_FILE_H

#include <stddef.h>
#include <stdint.h>

/* Each returns 0 or an errno. What lies beyond the end of the file reads as zeroes. */
int host_file_read(int fd, uint64_t offset, void *data, size_t length);
int host_file_write(int fd, uint64_t offset, const void *data, size_t length);
int host_file_flush(int fd);

#endif

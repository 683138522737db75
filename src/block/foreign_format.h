/* Files that are no raw disk image. */
#ifndef DRAGOMAN_BLOCK_FOREIGN_FORMAT_H
#define DRAGOMAN_BLOCK_FOREIGN_FORMAT_H

#include <stddef.h>
#include <stdint.h>

enum { FOREIGN_FORMAT_BYTES = 32 };

/* What a file that begins with these bytes is, for a message ("a qcow2 image"); NULL: nothing known. */
const char *foreign_format_name(const uint8_t *data, size_t length);

#endif

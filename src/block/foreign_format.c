/* Images of other formats, told by how they begin: as raw ones they would only look empty or broken. */
#include "block/foreign_format.h"

#include "base/compiler.h"

#include <string.h>

static const struct {
    const char *begins;
    size_t length;
    const char *name;
} formats[] = {
    {"QFI\xfb", 4, "a qcow2 image"},
    {"QED\0", 4, "a QED image"},
    {"KDMV", 4, "a VMDK image"},
    {"# Disk DescriptorFile", 21, "a VMDK descriptor"},
    {"<<< ", 4, "a VirtualBox image"},
    {"vhdxfile", 8, "a VHDX image"},
    {"conectix", 8, "a VHD image"},
    {"\x1f\x8b\x08", 3, "compressed by gzip"},
    {"\xfd"
     "7zXZ\0",
     6, "compressed by xz"},
    {"BZh", 3, "compressed by bzip2"},
    {"\x28\xb5\x2f\xfd", 4, "compressed by zstd"},
    {"PK\x03\x04", 4, "a zip archive"},
    {"\x7f"
     "ELF",
     4, "an ELF file"},
};

const char *foreign_format_name(const uint8_t *data, size_t length)
{
    for (size_t i = 0; i < ARRAY_SIZE(formats); i++)
        if (length >= formats[i].length && !memcmp(data, formats[i].begins, formats[i].length))
            return formats[i].name;
    return NULL;
}

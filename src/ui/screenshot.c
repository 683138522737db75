#include "ui/screenshot.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

bool screenshot_parse_format(const char *name, enum screenshot_format *format)
{
    *format = !strcmp(name, "png") ? SCREENSHOT_PNG : SCREENSHOT_PPM;
    return !strcmp(name, "png") || !strcmp(name, "ppm");
}

static void put_row(uint8_t *to, const uint32_t *pixels, unsigned width)
{
    for (unsigned x = 0; x < width; x++) {
        to[3 * x] = (uint8_t)(pixels[x] >> 16);
        to[3 * x + 1] = (uint8_t)(pixels[x] >> 8);
        to[3 * x + 2] = (uint8_t)pixels[x];
    }
}

/* The whole of a file in memory. */
struct image {
    uint8_t *bytes;
    size_t length;
};

static bool build_ppm(const struct display_frame *frame, struct image *image)
{
    char header[64];
    size_t row = (size_t)3 * frame->width;
    size_t start = (size_t)snprintf(header, sizeof header, "P6\n%u %u\n255\n", frame->width, frame->height);
    image->length = start + row * frame->height;
    image->bytes = malloc(image->length);
    if (!image->bytes)
        return false;
    memcpy(image->bytes, header, start);
    for (unsigned y = 0; y < frame->height; y++)
        put_row(image->bytes + start + y * row, frame->pixels + (size_t)y * frame->width, frame->width);
    return true;
}

/* ---- PNG (W3C, "Portable Network Graphics Specification", second edition) ---- */

static uint8_t *put_u32(uint8_t *to, uint32_t value)
{
    for (int shift = 24; shift >= 0; shift -= 8)
        *to++ = (uint8_t)(value >> shift);
    return to;
}

/* A chunk whose LENGTH bytes of data are at TO + 8 already; returns what is behind it. */
static uint8_t *finish_chunk(uint8_t *to, const char *type, uint32_t length)
{
    put_u32(to, length);
    memcpy(to + 4, type, 4);
    return put_u32(to + 8 + length, (uint32_t)crc32(0, to + 4, 4 + length));
}

static bool build_png(const struct display_frame *frame, struct image *image)
{
    static const uint8_t signature[8] = {0x89, 'P', 'N', 'G', '\r', '\n', 0x1a, '\n'};
    static const uint8_t kind[5] = {8, 2, 0, 0, 0}; /* bits a channel, RGB; deflate, filters of set 0, no interlace */
    enum { CHUNK = 12, HEADER = 13 };
    size_t row = (size_t)3 * frame->width + 1;
    uLongf packed = compressBound((uLong)(row * frame->height));
    uint8_t *rows = malloc(row * frame->height);
    image->bytes = malloc(sizeof signature + 3 * CHUNK + HEADER + packed);
    if (!rows || !image->bytes) {
        free(rows);
        return false;
    }
    for (unsigned y = 0; y < frame->height; y++) {
        rows[y * row] = 0; /* no filter: screens are flat areas */
        put_row(rows + y * row + 1, frame->pixels + (size_t)y * frame->width, frame->width);
    }
    uint8_t *to = image->bytes;
    memcpy(to, signature, sizeof signature);
    to += sizeof signature;
    memcpy(put_u32(put_u32(to + 8, frame->width), frame->height), kind, sizeof kind);
    to = finish_chunk(to, "IHDR", HEADER);
    bool ok = compress2(to + 8, &packed, rows, (uLong)(row * frame->height), 6) == Z_OK;
    free(rows);
    if (!ok)
        return false;
    to = finish_chunk(to, "IDAT", (uint32_t)packed);
    to = finish_chunk(to, "IEND", 0);
    image->length = (size_t)(to - image->bytes);
    return true;
}

/* ---- files ---- */

static bool write_all(int fd, const uint8_t *bytes, size_t length)
{
    while (length) {
        ssize_t n = write(fd, bytes, length);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return false;
        bytes += n;
        length -= (size_t)n;
    }
    return true;
}

bool screenshot_write(const struct display_frame *frame, const char *path, enum screenshot_format format,
                      struct error *err)
{
    struct image image = {NULL, 0};
    if (!(format == SCREENSHOT_PNG ? build_png : build_ppm)(frame, &image)) {
        free(image.bytes);
        return error_set(err, "out of memory for the picture '%s'", path);
    }
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    if (fd < 0) {
        free(image.bytes);
        return error_set(err, "failed to open file '%s': %s", path, strerror(errno));
    }
    struct stat status;
    bool regular = fstat(fd, &status) == 0 && S_ISREG(status.st_mode);
    bool ok = write_all(fd, image.bytes, image.length);
    int why = errno;
    if (close(fd) != 0 && ok) {
        ok = false;
        why = errno;
    }
    free(image.bytes);
    if (!ok && regular)
        unlink(path);
    return ok || error_set(err, "failed to write file '%s': %s", path, strerror(why));
}

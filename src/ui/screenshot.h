/* Pictures of the screen in files. */
#ifndef DRAGOMAN_UI_SCREENSHOT_H
#define DRAGOMAN_UI_SCREENSHOT_H

#include "base/error.h"
#include "devices/display.h"

enum screenshot_format {
    SCREENSHOT_PPM, /* P6 */
    SCREENSHOT_PNG  /* 8 bits a channel, RGB */
};

/* "ppm", "png". False: there is no such format. */
bool screenshot_parse_format(const char *name, enum screenshot_format *format);
/* Writes FRAME, which has at least one pixel, to PATH. On failure, a regular file that was begun is removed. */
bool screenshot_write(const struct display_frame *frame, const char *path, enum screenshot_format format,
                      struct error *err);

#endif

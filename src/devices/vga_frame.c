/* Frames: what of a picture has changed since its viewer last asked. */
#include "devices/vga_internal.h"

#include <stdint.h>

bool vga_frame_begin(struct display_frame *frame, unsigned width, unsigned height)
{
    size_t pixels = (size_t)width * height;
    frame->resized = false;
    frame->dirty_count = 0;
    if (frame->width == width && frame->height == height)
        return true;
    if (pixels > frame->capacity) {
        uint32_t *larger = calloc(pixels, sizeof(*larger));
        if (!larger)
            return false;
        free(frame->pixels);
        frame->pixels = larger;
        frame->capacity = pixels;
    }
    memset(frame->pixels, 0, pixels * sizeof(*frame->pixels));
    frame->width = width;
    frame->height = height;
    frame->resized = true;
    return true;
}

static void mark(struct display_frame *frame, unsigned y, unsigned first, unsigned last)
{
    struct display_rectangle *tail = frame->dirty_count ? &frame->dirty[frame->dirty_count - 1] : NULL;
    bool adjacent = tail && tail->y + tail->height == y;
    if (!adjacent && frame->dirty_count < DISPLAY_MAX_DIRTY) {
        frame->dirty[frame->dirty_count++] = (struct display_rectangle){first, y, last - first + 1, 1};
        return;
    }
    unsigned end = tail->x + tail->width;
    if (first < tail->x)
        tail->x = first;
    if (last + 1 > end)
        end = last + 1;
    tail->width = end - tail->x;
    tail->height = y + 1 - tail->y;
}

void vga_frame_put_line(struct display_frame *frame, unsigned y, const uint32_t *line)
{
    uint32_t *row = frame->pixels + (size_t)y * frame->width;
    if (!memcmp(row, line, frame->width * sizeof(*row)))
        return;
    unsigned first = 0, last = frame->width - 1;
    while (row[first] == line[first])
        first++;
    while (row[last] == line[last])
        last--;
    memcpy(row + first, line + first, (last - first + 1) * sizeof(*row));
    mark(frame, y, first, last);
}

void vga_frame_end(struct display_frame *frame)
{
    if (frame->resized) {
        frame->dirty_count = 1;
        frame->dirty[0] = (struct display_rectangle){0, 0, frame->width, frame->height};
    }
    if (frame->dirty_count)
        frame->generation++;
}

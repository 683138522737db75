/* What a screen is to those who show it: a window, a terminal, a screenshot.
 *
 * A display source (the VGA) draws on request into a frame that the viewer owns. Each viewer has its
 * own frame, and is told what has changed since it last asked. Device lock held for every call of a
 * source; a frame that has been filled belongs to its viewer alone. */
#ifndef DRAGOMAN_DEVICES_DISPLAY_H
#define DRAGOMAN_DEVICES_DISPLAY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

enum { DISPLAY_MAX_DIRTY = 16 };

struct display_rectangle {
    unsigned x, y, width, height;
};

/* Pixels are 00RRGGBBh, rows of WIDTH without gaps, top row first. All zero is an empty frame. */
struct display_frame {
    uint32_t *pixels;
    unsigned width, height;
    uint64_t generation; /* counts the renderings that changed something */
    bool resized;        /* by the last rendering; everything is dirty then */
    /* What the last rendering changed: rectangles that do not overlap, none if nothing changed. */
    unsigned dirty_count;
    struct display_rectangle dirty[DISPLAY_MAX_DIRTY];
    /* Private to the source. */
    size_t capacity; /* in pixels */
    uint64_t source_hash;
};

/* A character cell. Colours are indices into display_text.colours. */
struct display_cell {
    uint8_t character; /* index into the guest's font: code page 437 unless it loaded another */
    uint8_t foreground, background;
    bool blinking, underlined;
    bool second_font; /* drawn from the font that attribute bit 3 selects */
};

/* The screen of a text mode. All zero is an empty one. */
struct display_text {
    unsigned columns, rows;
    struct display_cell *cells; /* rows of COLUMNS */
    uint32_t colours[16];       /* 00RRGGBBh */
    bool blank;                 /* the guest has switched the screen off; the cells are still there */
    bool cursor_visible;        /* regardless of its blinking */
    unsigned cursor_column, cursor_row;
    unsigned cell_height, cursor_first_line, cursor_last_line;
    size_t capacity; /* in cells; private */
};

/* A screen. */
struct display_source {
    /* Draws what is on the screen now. False, with the frame unchanged, when memory is short. */
    bool (*render)(void *opaque, struct display_frame *frame);
    /* False in a graphics mode and when memory is short. */
    bool (*text)(void *opaque, struct display_text *text);
    void *opaque;
};

static inline void display_frame_finish(struct display_frame *frame)
{
    free(frame->pixels);
    memset(frame, 0, sizeof(*frame));
}
static inline void display_text_finish(struct display_text *text)
{
    free(text->cells);
    memset(text, 0, sizeof(*text));
}

#endif

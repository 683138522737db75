#include "ui/screen_cells.h"

#include "ui/codepage.h"

/* What a VGA's 16 text colours are unless the guest has changed them, in the order of their numbers: there bit 0 is
 * blue, 1 green, 2 red. (IBM VGA XGA Technical Reference, "Video Digital-to-Analog Converter".) */
static const uint32_t usual_colours[16] = {0x000000, 0x0000aa, 0x00aa00, 0x00aaaa, 0xaa0000, 0xaa00aa,
                                           0xaa5500, 0xaaaaaa, 0x555555, 0x5555ff, 0x55ff55, 0x55ffff,
                                           0xff5555, 0xff55ff, 0xffff55, 0xffffff};
/* Six bits become eight in more than one way. */
enum { COLOUR_TOLERANCE = 4 };

static bool nearly_equal(uint32_t a, uint32_t b)
{
    for (unsigned shift = 0; shift < 24; shift += 8)
        if (abs((int)(a >> shift & 0xff) - (int)(b >> shift & 0xff)) > COLOUR_TOLERANCE)
            return false;
    return true;
}

/* The terminal's own colour for one of the usual sixteen, under whatever number the guest has it. */
static uint32_t canvas_colour(uint32_t colour)
{
    for (unsigned i = 0; i < 16; i++)
        if (nearly_equal(colour, usual_colours[i]))
            return CANVAS_OWN_COLOUR | (i & 0x0a) | (i & 1) << 2 | (i >> 2 & 1);
    return colour;
}

/* First of COUNT rows or columns to be seen through a window of SIZE, so that AT is. */
static unsigned window_start(unsigned count, unsigned size, unsigned at)
{
    if (count <= size || at < size)
        return 0;
    return at < count ? at - size + 1 : count - size;
}

static enum canvas_cursor cursor_shape(const struct display_text *text)
{
    if (!text->cursor_visible || text->blank)
        return CANVAS_NO_CURSOR;
    unsigned height = text->cursor_last_line - text->cursor_first_line + 1;
    return 2 * height > text->cell_height && text->cursor_last_line >= text->cursor_first_line
               ? CANVAS_BLOCK_CURSOR
               : CANVAS_UNDERLINE_CURSOR;
}

void screen_cells_put_text(struct canvas *canvas, const struct display_text *text)
{
    uint32_t colours[16];
    unsigned left = 0, top = 0;
    canvas_clear(canvas);
    canvas->cursor = CANVAS_NO_CURSOR;
    if (text->blank || !canvas->columns || !canvas->rows)
        return;
    for (unsigned i = 0; i < 16; i++)
        colours[i] = canvas_colour(text->colours[i]);
    if (text->cursor_visible) {
        left = window_start(text->columns, canvas->columns, text->cursor_column);
        top = window_start(text->rows, canvas->rows, text->cursor_row);
    }
    for (unsigned row = top; row < text->rows && row - top < canvas->rows; row++)
        for (unsigned column = left; column < text->columns && column - left < canvas->columns; column++) {
            const struct display_cell *cell = &text->cells[(size_t)row * text->columns + column];
            canvas_put(canvas, column - left, row - top,
                       (struct canvas_cell){codepage_437[cell->character], colours[cell->foreground & 15],
                                            colours[cell->background & 15], cell->underlined, cell->blinking});
        }
    canvas->cursor = cursor_shape(text);
    canvas->cursor_column = text->cursor_column - left;
    canvas->cursor_row = text->cursor_row - top;
}

/* ---- graphics ---- */

enum { UPPER_HALF_BLOCK = 0x2580 };

/* The average of the pixels that dot (X, Y) of a picture of WIDTH x HEIGHT dots stands for. */
static uint32_t average(const struct display_frame *frame, unsigned x, unsigned y, unsigned width, unsigned height)
{
    unsigned left = (unsigned)((uint64_t)x * frame->width / width);
    unsigned right = (unsigned)((uint64_t)(x + 1) * frame->width / width);
    unsigned top = (unsigned)((uint64_t)y * frame->height / height);
    unsigned bottom = (unsigned)((uint64_t)(y + 1) * frame->height / height);
    uint64_t red = 0, green = 0, blue = 0, count = (uint64_t)(right - left) * (bottom - top);
    for (unsigned row = top; row < bottom; row++)
        for (unsigned column = left; column < right; column++) {
            uint32_t pixel = frame->pixels[(size_t)row * frame->width + column];
            red += pixel >> 16 & 0xff;
            green += pixel >> 8 & 0xff;
            blue += pixel & 0xff;
        }
    return count ? (uint32_t)(red / count << 16 | green / count << 8 | blue / count) : 0;
}

void screen_cells_put_picture(struct canvas *canvas, const struct display_frame *frame)
{
    canvas_clear(canvas);
    canvas->cursor = CANVAS_NO_CURSOR;
    if (!frame->width || !frame->height || !canvas->columns || !canvas->rows)
        return;
    /* A cell is twice as high as wide: its two halves are square dots. */
    unsigned width = frame->width, height = frame->height;
    if (width > canvas->columns) {
        height = (unsigned)((uint64_t)height * canvas->columns / width);
        width = canvas->columns;
    }
    if (height > 2 * canvas->rows) {
        width = (unsigned)((uint64_t)width * 2 * canvas->rows / height);
        height = 2 * canvas->rows;
    }
    if (!width || !height)
        return;
    for (unsigned row = 0; row < (height + 1) / 2; row++)
        for (unsigned column = 0; column < width; column++) {
            uint32_t upper = average(frame, column, 2 * row, width, height);
            uint32_t lower = 2 * row + 1 < height ? average(frame, column, 2 * row + 1, width, height) : 0;
            canvas_put(canvas, column, row,
                       (struct canvas_cell){upper == lower ? ' ' : UPPER_HALF_BLOCK, upper, lower, false, false});
        }
}

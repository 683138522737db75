#include "ui/canvas.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Alternate screen, no wrapping at the right edge, no cursor, cleared. */
const char canvas_enter[] = "\033[?1049h\033[?7l\033[?25l\033[0m\033[2J";
#define LEAVE "\033[0m\033[?7h\033[?25h\033[?1049l"

const char *canvas_leave(const struct canvas *canvas)
{
    return canvas->cursor_shapes ? "\033[0 q" LEAVE : LEAVE;
}

/* DECSCUSR: blinking, as a VGA's cursor is. */
static const char shape_underline[] = "\033[3 q", shape_block[] = "\033[1 q";

static const struct canvas_cell blank = {' ', CANVAS_OWN_COLOUR | 7, CANVAS_OWN_COLOUR | 0, false, false};

bool canvas_terminal_is_dumb(const char *term)
{
    return !term || !*term || !strcmp(term, "dumb");
}

void canvas_init(struct canvas *canvas, const char *term, const char *colorterm)
{
    memset(canvas, 0, sizeof *canvas);
    if (colorterm && (!strcmp(colorterm, "truecolor") || !strcmp(colorterm, "24bit")))
        canvas->depth = CANVAS_ALL_COLOURS;
    else if (term && strstr(term, "-direct"))
        canvas->depth = CANVAS_ALL_COLOURS;
    else if (term && strstr(term, "256color"))
        canvas->depth = CANVAS_256_COLOURS;
    /* Linux' console would print the last letter of DECSCUSR. */
    canvas->cursor_shapes = term && strcmp(term, "linux");
}

void canvas_finish(struct canvas *canvas)
{
    free(canvas->wanted);
    free(canvas->shown);
    free(canvas->output);
    memset(canvas, 0, sizeof *canvas);
}

/* ---- cells ---- */

void canvas_invalidate(struct canvas *canvas)
{
    canvas->unknown = true;
}

void canvas_clear(struct canvas *canvas)
{
    for (size_t i = 0; i < (size_t)canvas->columns * canvas->rows; i++)
        canvas->wanted[i] = blank;
}

bool canvas_resize(struct canvas *canvas, unsigned columns, unsigned rows)
{
    size_t cells = (size_t)columns * rows;
    free(canvas->wanted);
    free(canvas->shown);
    canvas->wanted = malloc((cells ? cells : 1) * sizeof *canvas->wanted);
    canvas->shown = malloc((cells ? cells : 1) * sizeof *canvas->shown);
    bool ok = canvas->wanted && canvas->shown;
    canvas->columns = ok ? columns : 0;
    canvas->rows = ok ? rows : 0;
    canvas_clear(canvas);
    canvas_invalidate(canvas);
    return ok;
}

void canvas_put(struct canvas *canvas, unsigned column, unsigned row, struct canvas_cell cell)
{
    if (column < canvas->columns && row < canvas->rows)
        canvas->wanted[(size_t)row * canvas->columns + column] = cell;
}

void canvas_put_bar(struct canvas *canvas, unsigned row, const char *text)
{
    struct canvas_cell cell = {' ', CANVAS_OWN_COLOUR | 0, CANVAS_OWN_COLOUR | 7, false, false};
    size_t length = strlen(text);
    for (unsigned column = 0; column < canvas->columns; column++) {
        cell.character = column < length ? (unsigned char)text[column] : ' ';
        canvas_put(canvas, column, row, cell);
    }
}

/* ---- output ---- */

static bool append(struct canvas *canvas, const char *bytes, size_t length)
{
    if (canvas->output_length + length > canvas->output_capacity) {
        size_t capacity = 2 * (canvas->output_length + length) + 4096;
        char *larger = realloc(canvas->output, capacity);
        if (!larger)
            return false;
        canvas->output = larger;
        canvas->output_capacity = capacity;
    }
    memcpy(canvas->output + canvas->output_length, bytes, length);
    canvas->output_length += length;
    return true;
}

static bool append_text(struct canvas *canvas, const char *text)
{
    return append(canvas, text, strlen(text));
}

static bool append_character(struct canvas *canvas, uint32_t c)
{
    char bytes[4];
    size_t length;
    if (c < 0x80) {
        bytes[0] = (char)c;
        length = 1;
    } else if (c < 0x800) {
        bytes[0] = (char)(0xc0 | c >> 6);
        bytes[1] = (char)(0x80 | (c & 0x3f));
        length = 2;
    } else {
        bytes[0] = (char)(0xe0 | (c >> 12 & 0xf));
        bytes[1] = (char)(0x80 | (c >> 6 & 0x3f));
        bytes[2] = (char)(0x80 | (c & 0x3f));
        length = 3;
    }
    return append(canvas, bytes, length);
}

static unsigned distance(uint32_t a, uint32_t b)
{
    unsigned sum = 0;
    for (unsigned shift = 0; shift < 24; shift += 8) {
        int d = (int)(a >> shift & 0xff) - (int)(b >> shift & 0xff);
        sum += (unsigned)(d * d);
    }
    return sum;
}

/* The nearest of the terminal's 16, taken to be those of a PC. */
static unsigned nearest_of_16(uint32_t colour)
{
    static const uint32_t pc[16] = {0x000000, 0xaa0000, 0x00aa00, 0xaa5500, 0x0000aa, 0xaa00aa, 0x00aaaa, 0xaaaaaa,
                                    0x555555, 0xff5555, 0x55ff55, 0xffff55, 0x5555ff, 0xff55ff, 0x55ffff, 0xffffff};
    unsigned best = 0;
    for (unsigned i = 1; i < 16; i++)
        if (distance(colour, pc[i]) < distance(colour, pc[best]))
            best = i;
    return best;
}

/* Of xterm's 256: a cube of 6 x 6 x 6 from 16 on, 24 shades of grey from 232 on. */
static unsigned nearest_of_256(uint32_t colour)
{
    static const uint8_t levels[6] = {0, 95, 135, 175, 215, 255};
    unsigned index = 0, average = 0;
    uint32_t cube = 0;
    for (int shift = 16; shift >= 0; shift -= 8) {
        unsigned value = colour >> shift & 0xff;
        unsigned level = value < 48 ? 0 : value < 115 ? 1 : (value - 35) / 40;
        index = 6 * index + level;
        cube |= (uint32_t)levels[level] << shift;
        average += value;
    }
    average /= 3;
    unsigned grey = average < 8 ? 0 : average > 238 ? 23 : (average - 3) / 10;
    unsigned shade = 8 + 10 * grey;
    return distance(colour, shade << 16 | shade << 8 | shade) < distance(colour, cube) ? 232 + grey : 16 + index;
}

/* BASE is 30 for the foreground, 40 for the background. */
static int format_colour(const struct canvas *canvas, char *to, size_t size, unsigned base, uint32_t colour)
{
    if (!(colour & CANVAS_OWN_COLOUR)) {
        if (canvas->depth == CANVAS_ALL_COLOURS)
            return snprintf(to, size, ";%u;2;%u;%u;%u", base + 8, colour >> 16 & 0xff, colour >> 8 & 0xff,
                            colour & 0xff);
        if (canvas->depth == CANVAS_256_COLOURS)
            return snprintf(to, size, ";%u;5;%u", base + 8, nearest_of_256(colour));
        colour = nearest_of_16(colour);
    }
    return snprintf(to, size, ";%u", base + (colour & 7) + (colour & 8 ? 60 : 0));
}

static bool same_pen(const struct canvas_cell *a, const struct canvas_cell *b)
{
    return a->foreground == b->foreground && a->background == b->background && a->underlined == b->underlined &&
           a->blinking == b->blinking;
}

static bool same_cell(const struct canvas_cell *a, const struct canvas_cell *b)
{
    return a->character == b->character && same_pen(a, b);
}

static bool set_pen(struct canvas *canvas, const struct canvas_cell *cell)
{
    char text[96];
    int n = snprintf(text, sizeof text, "\033[0%s%s", cell->underlined ? ";4" : "", cell->blinking ? ";5" : "");
    n += format_colour(canvas, text + n, sizeof text - (size_t)n, 30, cell->foreground);
    n += format_colour(canvas, text + n, sizeof text - (size_t)n, 40, cell->background);
    snprintf(text + n, sizeof text - (size_t)n, "m");
    canvas->pen = *cell;
    return append_text(canvas, text);
}

static bool move(struct canvas *canvas, unsigned column, unsigned row)
{
    char text[32];
    snprintf(text, sizeof text, "\033[%u;%uH", row + 1, column + 1);
    return append_text(canvas, text);
}

/* Terminals disagree on how wide arrows, suits and the like are: after those the place is not known. */
static bool width_is_certain(uint32_t c)
{
    return c < 0x2000 || (c >= 0x2500 && c < 0x25a0);
}

static bool draw_cells(struct canvas *canvas, bool *moved)
{
    bool pen_known = false;
    size_t at_cell = SIZE_MAX; /* where the terminal's cursor is */
    for (size_t i = 0; i < (size_t)canvas->columns * canvas->rows; i++) {
        const struct canvas_cell *cell = &canvas->wanted[i];
        if (same_cell(cell, &canvas->shown[i]))
            continue;
        unsigned column = (unsigned)(i % canvas->columns), row = (unsigned)(i / canvas->columns);
        if (at_cell != i && !move(canvas, column, row))
            return false;
        if (!pen_known || !same_pen(cell, &canvas->pen))
            if (!set_pen(canvas, cell))
                return false;
        pen_known = true;
        *moved = true;
        if (!append_character(canvas, cell->character))
            return false;
        canvas->shown[i] = *cell;
        at_cell = width_is_certain(cell->character) && column + 1 < canvas->columns ? i + 1 : SIZE_MAX;
    }
    return !pen_known || append_text(canvas, "\033[0m");
}

static bool draw_cursor(struct canvas *canvas, bool moved)
{
    bool inside = canvas->cursor_column < canvas->columns && canvas->cursor_row < canvas->rows;
    enum canvas_cursor cursor = inside ? canvas->cursor : CANVAS_NO_CURSOR;
    bool same = cursor == canvas->shown_cursor;
    bool in_place = canvas->cursor_column == canvas->shown_column && canvas->cursor_row == canvas->shown_row;
    if (cursor == CANVAS_NO_CURSOR) {
        canvas->shown_cursor = cursor;
        return same || append_text(canvas, "\033[?25l");
    }
    if (same && in_place && !moved)
        return true;
    canvas->shown_cursor = cursor;
    canvas->shown_column = canvas->cursor_column;
    canvas->shown_row = canvas->cursor_row;
    if (!same && canvas->cursor_shapes &&
        !append_text(canvas, cursor == CANVAS_BLOCK_CURSOR ? shape_block : shape_underline))
        return false;
    return move(canvas, canvas->cursor_column, canvas->cursor_row) && (same || append_text(canvas, "\033[?25h"));
}

bool canvas_update(struct canvas *canvas)
{
    bool moved = false;
    if (canvas->unknown) {
        /* Cleared in the colours of a blank cell, hidden cursor. */
        canvas->shown_cursor = CANVAS_NO_CURSOR;
        if (!append_text(canvas, "\033[?25l\033[?7l") || !set_pen(canvas, &blank) || !append_text(canvas, "\033[2J"))
            return false;
        for (size_t i = 0; i < (size_t)canvas->columns * canvas->rows; i++)
            canvas->shown[i] = blank;
        canvas->unknown = false;
    }
    if (!draw_cells(canvas, &moved) || !draw_cursor(canvas, moved)) {
        canvas->unknown = true;
        return false;
    }
    return true;
}

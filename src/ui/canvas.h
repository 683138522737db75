/* A terminal's screen as cells, and the shortest output that brings it from what it shows to what it should show.
 * (ECMA-48; XTerm Control Sequences.) */
#ifndef DRAGOMAN_UI_CANVAS_H
#define DRAGOMAN_UI_CANVAS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A colour: 00RRGGBBh, or one of the terminal's own 16 with this bit; bit 0 red, 1 green, 2 blue, 3 bright. */
#define CANVAS_OWN_COLOUR 0x01000000u

enum canvas_depth { CANVAS_16_COLOURS, CANVAS_256_COLOURS, CANVAS_ALL_COLOURS };

struct canvas_cell {
    uint32_t character; /* Unicode */
    uint32_t foreground, background;
    bool underlined, blinking;
};

enum canvas_cursor { CANVAS_NO_CURSOR, CANVAS_UNDERLINE_CURSOR, CANVAS_BLOCK_CURSOR };

struct canvas {
    unsigned columns, rows;
    enum canvas_depth depth;
    bool cursor_shapes; /* the terminal knows DECSCUSR */
    struct canvas_cell *wanted, *shown;
    bool unknown; /* what the terminal shows: clear it first */
    enum canvas_cursor cursor;
    unsigned cursor_column, cursor_row;
    /* Where the last output has left the terminal. */
    enum canvas_cursor shown_cursor;
    unsigned shown_column, shown_row;
    struct canvas_cell pen; /* colours and attributes in force */
    /* Output that was not taken yet. */
    char *output;
    size_t output_length, output_capacity;
};

/* TERM and COLORTERM, as the environment has them, or NULL. */
void canvas_init(struct canvas *canvas, const char *term, const char *colorterm);
void canvas_finish(struct canvas *canvas);
/* A terminal that can show nothing of this: no TERM, or "dumb". */
bool canvas_terminal_is_dumb(const char *term);

/* What brings the terminal into a state for drawing, and back. Constant strings. */
extern const char canvas_enter[];
const char *canvas_leave(const struct canvas *canvas);

/* The terminal has this size now. All cells are wanted blank; nothing of what is on the screen is relied on. False,
 * with a canvas of size 0, when memory is short. */
bool canvas_resize(struct canvas *canvas, unsigned columns, unsigned rows);
void canvas_invalidate(struct canvas *canvas);
void canvas_clear(struct canvas *canvas);
/* Outside of the canvas: nothing happens. */
void canvas_put(struct canvas *canvas, unsigned column, unsigned row, struct canvas_cell cell);
/* ASCII TEXT in a bar over the whole width of ROW, in reverse. */
void canvas_put_bar(struct canvas *canvas, unsigned row, const char *text);

/* Appends the difference to `output`; false when memory was short: the screen is drawn anew next time. */
bool canvas_update(struct canvas *canvas);

#endif

/* As much of a terminal as the canvas relies on, to check what its output shows. */
#ifndef DRAGOMAN_TESTS_UI_TERMINAL_MODEL_H
#define DRAGOMAN_TESTS_UI_TERMINAL_MODEL_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MODEL_COLUMNS = 160, MODEL_ROWS = 60 };

struct model_cell {
    uint32_t character;
    char attributes[64]; /* the SGR in force, "0;37;40" */
};

struct terminal_model {
    unsigned columns, rows, column, row;
    bool cursor_visible, wraps, alternate;
    char shape;
    char attributes[64];
    struct model_cell cells[MODEL_ROWS][MODEL_COLUMNS];
    char unknown[64]; /* the first sequence that it does not know */
};

static inline void model_init(struct terminal_model *t, unsigned columns, unsigned rows)
{
    memset(t, 0, sizeof *t);
    t->columns = columns;
    t->rows = rows;
    t->cursor_visible = t->wraps = true;
    strcpy(t->attributes, "0");
    for (unsigned y = 0; y < rows; y++)
        for (unsigned x = 0; x < columns; x++)
            t->cells[y][x] = (struct model_cell){'?', "junk"};
}

static inline void model_clear(struct terminal_model *t)
{
    for (unsigned y = 0; y < t->rows; y++)
        for (unsigned x = 0; x < t->columns; x++) {
            t->cells[y][x].character = ' ';
            strcpy(t->cells[y][x].attributes, t->attributes);
        }
}

static inline void model_sequence(struct terminal_model *t, const char *body, size_t length)
{
    char text[64];
    unsigned row, column;
    snprintf(text, sizeof text, "%.*s", (int)length, body);
    char final = text[length - 1];
    if (final == 'H' && sscanf(text, "%u;%uH", &row, &column) == 2) {
        t->row = row - 1;
        t->column = column - 1;
    } else if (final == 'm') {
        snprintf(t->attributes, sizeof t->attributes, "%.*s", (int)length - 1, text);
    } else if (!strcmp(text, "2J")) {
        model_clear(t);
    } else if (!strcmp(text, "?25h") || !strcmp(text, "?25l")) {
        t->cursor_visible = final == 'h';
    } else if (!strcmp(text, "?7h") || !strcmp(text, "?7l")) {
        t->wraps = final == 'h';
    } else if (!strcmp(text, "?1049h") || !strcmp(text, "?1049l")) {
        t->alternate = final == 'h';
    } else if (length == 3 && !strcmp(text + 1, " q")) {
        t->shape = text[0];
    } else if (!t->unknown[0]) {
        strcpy(t->unknown, text);
    }
}

static inline void model_write(struct terminal_model *t, const char *bytes, size_t length)
{
    for (size_t i = 0; i < length;) {
        uint8_t b = (uint8_t)bytes[i];
        if (b == 0x1b && i + 1 < length && bytes[i + 1] == '[') {
            size_t end = i + 2;
            while (end < length && !(bytes[end] >= 0x40 && bytes[end] <= 0x7e))
                end++;
            model_sequence(t, bytes + i + 2, end + 1 - i - 2);
            i = end + 1;
            continue;
        }
        uint32_t c = b;
        size_t size = b < 0x80 ? 1 : b < 0xe0 ? 2 : 3;
        if (size == 2)
            c = (b & 0x1fu) << 6 | ((uint8_t)bytes[i + 1] & 0x3fu);
        else if (size == 3)
            c = (b & 0x0fu) << 12 | ((uint8_t)bytes[i + 1] & 0x3fu) << 6 | ((uint8_t)bytes[i + 2] & 0x3fu);
        i += size;
        if (t->row < t->rows && t->column < t->columns) {
            t->cells[t->row][t->column].character = c;
            strcpy(t->cells[t->row][t->column].attributes, t->attributes);
        }
        if (t->column + 1 < t->columns)
            t->column++;
    }
}

#endif

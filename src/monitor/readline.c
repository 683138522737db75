#include "monitor/readline.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CTRL(letter) ((letter)&0x1f)

void readline_init(struct readline *r, void (*write)(void *, const char *, size_t),
                   void (*entered)(void *, const char *), void (*complete)(const char *, struct readline_completions *),
                   void *opaque)
{
    memset(r, 0, sizeof *r);
    r->write = write;
    r->entered = entered;
    r->complete = complete;
    r->opaque = opaque;
}

void readline_finish(struct readline *r)
{
    for (unsigned i = 0; i < r->history_count; i++)
        free(r->history[i]);
    r->history_count = 0;
}

static void put(struct readline *r, const char *text)
{
    r->write(r->opaque, text, strlen(text));
}

/* Redraws the line from the cursor's old column; moves the terminal's cursor where ours is. */
static void redraw(struct readline *r)
{
    char move[32];
    put(r, "\r");
    put(r, r->prompt);
    r->write(r->opaque, r->line, r->length);
    put(r, "\033[K");
    if (r->cursor < r->length) {
        snprintf(move, sizeof move, "\033[%zuD", r->length - r->cursor);
        put(r, move);
    }
}

void readline_start(struct readline *r, const char *prompt)
{
    snprintf(r->prompt, sizeof r->prompt, "%s", prompt);
    r->length = r->cursor = 0;
    r->line[0] = 0;
    r->history_position = r->history_count;
    r->state = READLINE_PLAIN;
    put(r, r->prompt);
}

static void insert(struct readline *r, const char *text, size_t length)
{
    if (r->length + length > READLINE_LENGTH)
        return;
    memmove(r->line + r->cursor + length, r->line + r->cursor, r->length - r->cursor + 1);
    memcpy(r->line + r->cursor, text, length);
    r->length += length;
    r->cursor += length;
    if (r->cursor == r->length)
        r->write(r->opaque, text, length);
    else
        redraw(r);
}

static void erase(struct readline *r, size_t from, size_t to)
{
    memmove(r->line + from, r->line + to, r->length - to + 1);
    r->length -= to - from;
    r->cursor = from;
    redraw(r);
}

static void remember(struct readline *r)
{
    if (!r->length || (r->history_count && !strcmp(r->history[r->history_count - 1], r->line)))
        return;
    char *copy = strdup(r->line);
    if (!copy)
        return;
    if (r->history_count == READLINE_HISTORY) {
        free(r->history[0]);
        memmove(&r->history[0], &r->history[1], (READLINE_HISTORY - 1) * sizeof r->history[0]);
        r->history_count--;
    }
    r->history[r->history_count++] = copy;
}

static void recall(struct readline *r, int step)
{
    if ((step < 0 && r->history_position == 0) || (step > 0 && r->history_position == r->history_count))
        return;
    r->history_position += (unsigned)step;
    const char *text = r->history_position < r->history_count ? r->history[r->history_position] : "";
    snprintf(r->line, sizeof r->line, "%s", text);
    r->length = r->cursor = strlen(r->line);
    redraw(r);
}

static size_t word_start(const struct readline *r)
{
    size_t start = r->cursor;
    while (start && isspace((unsigned char)r->line[start - 1]))
        start--;
    while (start && !isspace((unsigned char)r->line[start - 1]))
        start--;
    return start;
}

static void complete(struct readline *r)
{
    struct readline_completions found = {.count = 0};
    if (!r->complete || r->cursor != r->length)
        return;
    r->complete(r->line, &found);
    if (!found.count)
        return;
    size_t typed = 0;
    while (typed < r->length && !isspace((unsigned char)r->line[r->length - 1 - typed]))
        typed++;
    /* What all candidates agree on. */
    size_t common = strlen(found.words[0]);
    for (unsigned i = 1; i < found.count; i++) {
        size_t same = 0;
        while (same < common && found.words[0][same] == found.words[i][same])
            same++;
        common = same;
    }
    if (common > typed)
        insert(r, found.words[0] + typed, common - typed);
    if (found.count == 1) {
        insert(r, " ", 1);
    } else if (common <= typed) {
        put(r, "\r\n");
        for (unsigned i = 0; i < found.count; i++) {
            put(r, found.words[i]);
            put(r, i + 1 < found.count ? "  " : "\r\n");
        }
        redraw(r);
    }
}

static void move_cursor(struct readline *r, size_t to)
{
    if (to > r->length)
        to = r->length;
    r->cursor = to;
    redraw(r);
}

static void control_sequence(struct readline *r, uint8_t final)
{
    switch (final) {
    case 'A':
        recall(r, -1);
        break;
    case 'B':
        recall(r, 1);
        break;
    case 'C':
        move_cursor(r, r->cursor + 1);
        break;
    case 'D':
        if (r->cursor)
            move_cursor(r, r->cursor - 1);
        break;
    case 'H':
        move_cursor(r, 0);
        break;
    case 'F':
        move_cursor(r, r->length);
        break;
    case '~': /* VT220 keys */
        if (r->parameter == 1)
            move_cursor(r, 0);
        else if (r->parameter == 4)
            move_cursor(r, r->length);
        else if (r->parameter == 3 && r->cursor < r->length)
            erase(r, r->cursor, r->cursor + 1);
        break;
    default:
        break;
    }
}

static void plain_key(struct readline *r, uint8_t byte)
{
    switch (byte) {
    case '\r':
    case '\n':
        put(r, "\r\n");
        remember(r);
        r->line[r->length] = 0;
        r->entered(r->opaque, r->line);
        break;
    case CTRL('A'):
        move_cursor(r, 0);
        break;
    case CTRL('B'):
        if (r->cursor)
            move_cursor(r, r->cursor - 1);
        break;
    case CTRL('D'):
        if (r->cursor < r->length)
            erase(r, r->cursor, r->cursor + 1);
        break;
    case CTRL('E'):
        move_cursor(r, r->length);
        break;
    case CTRL('F'):
        move_cursor(r, r->cursor + 1);
        break;
    case CTRL('K'):
        erase(r, r->cursor, r->length);
        break;
    case CTRL('N'):
        recall(r, 1);
        break;
    case CTRL('P'):
        recall(r, -1);
        break;
    case CTRL('U'):
        erase(r, 0, r->cursor);
        break;
    case CTRL('W'):
        erase(r, word_start(r), r->cursor);
        break;
    case '\t':
        complete(r);
        break;
    case 8:
    case 127:
        if (r->cursor)
            erase(r, r->cursor - 1, r->cursor);
        break;
    case 27:
        r->state = READLINE_ESCAPE;
        break;
    default:
        if (byte >= ' ')
            insert(r, (const char *)&byte, 1);
    }
}

void readline_key(struct readline *r, uint8_t byte)
{
    switch (r->state) {
    case READLINE_PLAIN:
        plain_key(r, byte);
        break;
    case READLINE_ESCAPE:
        r->parameter = 0;
        r->state = byte == '[' || byte == 'O' ? READLINE_CSI : READLINE_PLAIN;
        break;
    case READLINE_CSI:
        if (isdigit(byte)) {
            r->parameter = (r->parameter * 10 + (byte - '0')) % 1000;
        } else if (byte != ';') {
            r->state = READLINE_PLAIN;
            control_sequence(r, byte);
        }
        break;
    }
}

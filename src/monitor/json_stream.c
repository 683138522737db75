#include "monitor/json_stream.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

void json_stream_init(struct json_stream *stream, void (*value)(void *, json_t *, const char *), void *opaque)
{
    memset(stream, 0, sizeof *stream);
    text_init(&stream->pending);
    stream->value = value;
    stream->opaque = opaque;
}

void json_stream_finish(struct json_stream *stream)
{
    text_finish(&stream->pending);
}

void json_stream_restart(struct json_stream *stream)
{
    text_finish(&stream->pending);
    stream->depth = 0;
    stream->quote = 0;
    stream->escaped = false;
    stream->skipping = false;
}

/* Single-quoted strings become double-quoted ones. Returns a text of its own. */
static void normalise_quotes(const struct text *from, struct text *to)
{
    char quote = 0;
    for (size_t i = 0; i < from->length; i++) {
        char c = from->data[i];
        if (!quote) {
            if (c == '"' || c == '\'') {
                quote = c;
                c = '"';
            }
        } else if (c == '\\' && i + 1 < from->length) {
            if (from->data[i + 1] == '\'') { /* JSON proper knows no \' */
                text_append(to, "'", 1);
                i++;
                continue;
            }
            text_append(to, &c, 1);
            c = from->data[++i];
        } else if (c == quote) {
            quote = 0;
            c = '"';
        } else if (c == '"') {
            text_append(to, "\\", 1);
        }
        text_append(to, &c, 1);
    }
}

static void emit(struct json_stream *stream)
{
    if (stream->skipping) {
        stream->skipping = false;
        json_stream_restart(stream);
        return;
    }
    struct text normal;
    json_error_t why;
    text_init(&normal);
    normalise_quotes(&stream->pending, &normal);
    json_t *value = json_loadb(text_string(&normal), normal.length, JSON_DECODE_ANY | JSON_ALLOW_NUL, &why);
    text_finish(&normal);
    json_stream_restart(stream);
    char message[sizeof why.text + 64];
    if (!value)
        snprintf(message, sizeof message, "JSON parse error, %s", why.text);
    stream->value(stream->opaque, value, value ? NULL : message);
    json_decref(value);
}

static void fail(struct json_stream *stream, const char *message)
{
    if (stream->skipping)
        return;
    stream->skipping = true;
    text_finish(&stream->pending);
    stream->value(stream->opaque, NULL, message);
}

static bool is_word(char c)
{
    return isalnum((unsigned char)c) || c == '.' || c == '+' || c == '-' || c == '_' || c == '%';
}

static void add(struct json_stream *stream, char c)
{
    if (stream->skipping)
        return;
    if (stream->pending.length >= JSON_STREAM_MAX_LENGTH)
        fail(stream, "JSON token size limit exceeded");
    else
        text_append(&stream->pending, &c, 1);
}

static void feed_in_string(struct json_stream *stream, char c)
{
    if (!stream->escaped && (unsigned char)c < ' ') {
        /* No string goes over the end of a line: so a forgotten quote does not swallow what follows. */
        if (stream->depth == 0 || c == '\n') {
            bool told = stream->skipping;
            json_stream_restart(stream);
            if (!told)
                stream->value(stream->opaque, NULL, "JSON parse error, unterminated string");
            return;
        }
    }
    add(stream, c);
    if (stream->escaped)
        stream->escaped = false;
    else if (c == '\\')
        stream->escaped = true;
    else if (c == stream->quote) {
        stream->quote = 0;
        if (!stream->depth)
            emit(stream);
    }
}

static void feed(struct json_stream *stream, char c)
{
    if (stream->quote) {
        feed_in_string(stream, c);
        return;
    }
    if (stream->skipping && stream->depth == 0 && !is_word(c))
        json_stream_restart(stream); /* behind a number or keyword without end */
    bool collecting_word = stream->depth == 0 && stream->pending.length;
    if (collecting_word && !is_word(c))
        emit(stream); /* a bare number or keyword ended before this byte */
    if (stream->depth == 0 && !stream->skipping && isspace((unsigned char)c))
        return;
    switch (c) {
    case '{':
    case '[':
        if (++stream->depth > JSON_STREAM_MAX_DEPTH)
            fail(stream, "JSON nesting depth limit exceeded");
        add(stream, c);
        break;
    case '}':
    case ']':
        add(stream, c);
        if (stream->depth)
            stream->depth--;
        if (!stream->depth)
            emit(stream);
        break;
    case '"':
    case '\'':
        stream->quote = c;
        add(stream, c);
        break;
    default:
        if (stream->depth || is_word(c)) {
            add(stream, c);
        } else {
            json_stream_restart(stream);
            char message[64];
            unsigned char byte = (unsigned char)c;
            if (isprint(byte))
                snprintf(message, sizeof message, "JSON parse error, stray '%c'", c);
            else
                snprintf(message, sizeof message, "JSON parse error, stray byte 0x%02x", byte);
            stream->value(stream->opaque, NULL, message);
        }
    }
}

void json_stream_feed(struct json_stream *stream, const void *data, size_t length)
{
    const char *bytes = data;
    for (size_t i = 0; i < length; i++)
        feed(stream, bytes[i]);
}

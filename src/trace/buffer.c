/* Text that grows. See buffer.h. */
#include "trace/buffer.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char hex_digits[] = "0123456789abcdef";

void buffer_finish(struct trace_buffer *b)
{
    free(b->data);
    memset(b, 0, sizeof *b);
}

static bool reserve(struct trace_buffer *b, size_t more)
{
    if (b->length + more <= b->capacity)
        return true;
    size_t capacity = b->capacity ? 2 * b->capacity : 4096;
    while (capacity < b->length + more)
        capacity *= 2;
    char *grown = realloc(b->data, capacity);
    if (!grown) {
        b->failed = true;
        return false;
    }
    b->data = grown;
    b->capacity = capacity;
    return true;
}

void buffer_put(struct trace_buffer *b, const char *text, size_t length)
{
    if (!length || !reserve(b, length))
        return;
    memcpy(b->data + b->length, text, length);
    b->length += length;
}

void buffer_text(struct trace_buffer *b, const char *text)
{
    buffer_put(b, text, strlen(text));
}

void buffer_character(struct trace_buffer *b, char c)
{
    if (reserve(b, 1))
        b->data[b->length++] = c;
}

void buffer_number(struct trace_buffer *b, int64_t value)
{
    char digits[24];
    unsigned i = sizeof digits;
    uint64_t magnitude = value < 0 ? 0 - (uint64_t)value : (uint64_t)value;

    do
        digits[--i] = (char)('0' + magnitude % 10);
    while (magnitude /= 10);
    if (value < 0)
        digits[--i] = '-';
    buffer_put(b, digits + i, sizeof digits - i);
}

void buffer_hex(struct trace_buffer *b, uint64_t value, unsigned digits)
{
    char text[16];
    unsigned i = sizeof text;

    do
        text[--i] = hex_digits[value & 15];
    while ((value >>= 4) || sizeof text - i < digits);
    buffer_put(b, text + i, sizeof text - i);
}

void buffer_bytes(struct trace_buffer *b, const uint8_t *bytes, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        buffer_character(b, hex_digits[bytes[i] >> 4]);
        buffer_character(b, hex_digits[bytes[i] & 15]);
    }
}

void buffer_printf(struct trace_buffer *b, const char *format, ...)
{
    va_list arguments;
    char text[512];

    va_start(arguments, format);
    int length = vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    if (length > 0)
        buffer_put(b, text, (size_t)length < sizeof text ? (size_t)length : sizeof text - 1);
}

void buffer_pad(struct trace_buffer *b, size_t column)
{
    size_t start = b->length;

    while (start > 0 && b->data[start - 1] != '\n')
        start--;
    for (size_t at = b->length - start; at < column; at++)
        buffer_character(b, ' ');
}

/* ---- JSON ---- */

static void separate(struct trace_buffer *b)
{
    char last = b->length ? b->data[b->length - 1] : '{';

    if (last != '{' && last != '[' && last != ':' && last != '\n')
        buffer_character(b, ',');
}

void json_open(struct trace_buffer *b, char bracket)
{
    separate(b);
    buffer_character(b, bracket);
}

void json_close(struct trace_buffer *b, char bracket)
{
    buffer_character(b, bracket);
}

void json_key(struct trace_buffer *b, const char *key)
{
    separate(b);
    buffer_character(b, '"');
    buffer_text(b, key);
    buffer_put(b, "\":", 2);
}

/* Bytes that are no UTF-8 on their own (a guest's, a file's name) become U+FFFD. */
static size_t utf8_length(const char *text, size_t left)
{
    unsigned char c = (unsigned char)*text;
    size_t length = c < 0x80                ? 1
                    : c >= 0xc2 && c < 0xe0 ? 2
                    : c >= 0xe0 && c < 0xf0 ? 3
                    : c >= 0xf0 && c < 0xf5 ? 4
                                            : 0;

    if (!length || length > left)
        return 0;
    for (size_t i = 1; i < length; i++)
        if (((unsigned char)text[i] & 0xc0) != 0x80)
            return 0;
    unsigned char second = length > 1 ? (unsigned char)text[1] : 0;
    if ((c == 0xe0 && second < 0xa0) || (c == 0xed && second > 0x9f) || (c == 0xf0 && second < 0x90) ||
        (c == 0xf4 && second > 0x8f))
        return 0;
    return length;
}

static void put_string(struct trace_buffer *b, const char *value, size_t length)
{
    size_t plain = 0;

    buffer_character(b, '"');
    for (size_t i = 0; i < length;) {
        unsigned char c = (unsigned char)value[i];
        size_t whole = utf8_length(value + i, length - i);

        if (whole && c >= 0x20 && c != '"' && c != '\\') {
            i += whole;
            continue;
        }
        buffer_put(b, value + plain, i - plain);
        if (!whole) {
            buffer_text(b, "\xef\xbf\xbd");
        } else if (c == '"' || c == '\\') {
            buffer_character(b, '\\');
            buffer_character(b, (char)c);
        } else {
            buffer_text(b, "\\u");
            buffer_hex(b, c, 4);
        }
        plain = ++i;
    }
    buffer_put(b, value + plain, length - plain);
    buffer_character(b, '"');
}

void json_text(struct trace_buffer *b, const char *key, const char *value)
{
    json_key(b, key);
    put_string(b, value, strlen(value));
}

void json_number(struct trace_buffer *b, const char *key, int64_t value)
{
    json_key(b, key);
    buffer_number(b, value);
}

void json_hex(struct trace_buffer *b, const char *key, uint64_t value, unsigned digits)
{
    json_key(b, key);
    buffer_character(b, '"');
    buffer_hex(b, value, digits);
    buffer_character(b, '"');
}

void json_bytes(struct trace_buffer *b, const char *key, const uint8_t *bytes, size_t count)
{
    json_key(b, key);
    buffer_character(b, '"');
    buffer_bytes(b, bytes, count);
    buffer_character(b, '"');
}

void json_bool(struct trace_buffer *b, const char *key, bool value)
{
    json_key(b, key);
    buffer_text(b, value ? "true" : "false");
}

void json_element(struct trace_buffer *b, int64_t value)
{
    separate(b);
    buffer_number(b, value);
}

void json_text_element(struct trace_buffer *b, const char *value, size_t length)
{
    separate(b);
    put_string(b, value, length);
}

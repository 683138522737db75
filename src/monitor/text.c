#include "monitor/text.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void text_init(struct text *text)
{
    memset(text, 0, sizeof *text);
}

void text_finish(struct text *text)
{
    free(text->data);
    text_init(text);
}

void text_append(struct text *text, const void *data, size_t length)
{
    if (length > TEXT_LIMIT - text->length) {
        length = TEXT_LIMIT - text->length;
        text->truncated = true;
    }
    if (!length)
        return;
    if (text->capacity - text->length < length + 1) {
        size_t capacity = text->capacity ? text->capacity : 256;
        while (capacity - text->length < length + 1)
            capacity *= 2;
        char *grown = realloc(text->data, capacity);
        if (!grown) {
            text->truncated = true;
            return;
        }
        text->data = grown;
        text->capacity = capacity;
    }
    memcpy(text->data + text->length, data, length);
    text->length += length;
    text->data[text->length] = 0;
}

void text_printf(struct text *text, const char *format, ...)
{
    char buffer[512];
    va_list arguments;
    va_start(arguments, format);
    int length = vsnprintf(buffer, sizeof buffer, format, arguments);
    va_end(arguments);
    if (length < 0)
        return;
    if ((size_t)length < sizeof buffer) {
        text_append(text, buffer, (size_t)length);
        return;
    }
    char *longer = malloc((size_t)length + 1);
    if (!longer) {
        text->truncated = true;
        return;
    }
    va_start(arguments, format);
    vsnprintf(longer, (size_t)length + 1, format, arguments);
    va_end(arguments);
    text_append(text, longer, (size_t)length);
    free(longer);
}

void text_consume(struct text *text, size_t length)
{
    if (length > text->length)
        length = text->length;
    memmove(text->data, text->data + length, text->length - length + (text->data ? 1 : 0));
    text->length -= length;
}

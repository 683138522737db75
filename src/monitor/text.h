/* A growing piece of text: what a monitor command prints. */
#ifndef DRAGOMAN_MONITOR_TEXT_H
#define DRAGOMAN_MONITOR_TEXT_H

#include <stdbool.h>
#include <stddef.h>

/* More than this is cut off: a slip of the finger (xp/999999999xb 0) must not eat the host's memory. */
#define TEXT_LIMIT (16u << 20)

struct text {
    char *data; /* NUL-terminated once something was added, else NULL */
    size_t length;
    size_t capacity;
    bool truncated;
};

void text_init(struct text *text);
void text_finish(struct text *text);
void text_append(struct text *text, const void *data, size_t length);
void text_printf(struct text *text, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Drops the first LENGTH bytes. */
void text_consume(struct text *text, size_t length);
static inline const char *text_string(const struct text *text)
{
    return text->data ? text->data : "";
}

#endif

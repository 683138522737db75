/* A growing piece of text, and JSON in it. Written without stdio: traces are long. */
#ifndef DRAGOMAN_TRACE_BUFFER_H
#define DRAGOMAN_TRACE_BUFFER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct trace_buffer {
    char *data;
    size_t length, capacity;
    bool failed; /* memory ran out: what is in it is not whole */
};

void buffer_finish(struct trace_buffer *b);
void buffer_put(struct trace_buffer *b, const char *text, size_t length);
void buffer_text(struct trace_buffer *b, const char *text);
void buffer_character(struct trace_buffer *b, char c);
void buffer_number(struct trace_buffer *b, int64_t value);
/* At least DIGITS hexadecimal digits. */
void buffer_hex(struct trace_buffer *b, uint64_t value, unsigned digits);
void buffer_bytes(struct trace_buffer *b, const uint8_t *bytes, size_t count);
void buffer_printf(struct trace_buffer *b, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Blanks up to COLUMN of the present line. */
void buffer_pad(struct trace_buffer *b, size_t column);

/* ---- JSON: a comma comes by itself wherever one is needed ---- */
void json_open(struct trace_buffer *b, char bracket); /* '{' or '[' */
void json_close(struct trace_buffer *b, char bracket);
void json_key(struct trace_buffer *b, const char *key);
void json_text(struct trace_buffer *b, const char *key, const char *value);
void json_number(struct trace_buffer *b, const char *key, int64_t value);
void json_hex(struct trace_buffer *b, const char *key, uint64_t value, unsigned digits);
void json_bytes(struct trace_buffer *b, const char *key, const uint8_t *bytes, size_t count);
void json_bool(struct trace_buffer *b, const char *key, bool value);
/* An element of an array. */
void json_element(struct trace_buffer *b, int64_t value);
void json_text_element(struct trace_buffer *b, const char *value, size_t length);

#endif

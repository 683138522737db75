/* Cuts a stream of bytes into JSON values, for QMP: whitespace between values is free, values may
 * come in any number of pieces or several at once.  Strings may also be written in single quotes, as
 * QEMU's dialect has it.
 *
 * Robust against anything: what is not JSON gives one error and then the stream goes on after it; a
 * value that is too long or nested too deeply is dropped with an error. */
#ifndef DRAGOMAN_MONITOR_JSON_STREAM_H
#define DRAGOMAN_MONITOR_JSON_STREAM_H

#include "monitor/text.h"

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#define JSON_STREAM_MAX_LENGTH (4u << 20)
#define JSON_STREAM_MAX_DEPTH  1024

struct json_stream {
    struct text pending; /* of the value being collected */
    unsigned depth;      /* of brackets */
    char quote;          /* ' or ": inside a string, else 0 */
    bool escaped;        /* behind a backslash in a string */
    bool skipping;       /* the value was too long or deep: dropped up to its end */
    /* Called for each value: VALUE is borrowed, or NULL with ERROR a message. */
    void (*value)(void *opaque, json_t *value, const char *error);
    void *opaque;
};

void json_stream_init(struct json_stream *stream, void (*value)(void *, json_t *, const char *), void *opaque);
void json_stream_finish(struct json_stream *stream);
/* A new client: forgets what is pending. */
void json_stream_restart(struct json_stream *stream);
void json_stream_feed(struct json_stream *stream, const void *data, size_t length);

#endif

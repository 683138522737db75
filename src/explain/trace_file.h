/* The lines of a trace, one at a time, with their places in the file. */
#ifndef DRAGOMAN_EXPLAIN_TRACE_FILE_H
#define DRAGOMAN_EXPLAIN_TRACE_FILE_H

#include "base/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A line may be that long; a longer one is passed over (no translation comes near). */
#define TRACE_FILE_LINE_LIMIT (32u << 20)

struct trace_file {
    int fd;
    const char *path; /* the caller's */
    char *buffer;     /* owned */
    size_t capacity;
    size_t begin, end;  /* what is read and not given out yet */
    uint64_t buffer_at; /* offset in the file of buffer[0] */
    bool at_end;
    int read_error; /* errno of a read that failed, or 0; the file then ends there */
};

struct trace_line {
    const char *text; /* in the buffer, until the next call; not NUL-terminated, without the line feed */
    size_t length;
    uint64_t at;   /* offset in the file */
    bool complete; /* ended by a line feed */
    bool too_long; /* text has the beginning only */
};

/* PATH must stay as long as the file is open. Fails for what cannot be read twice. */
bool trace_file_open(struct trace_file *file, const char *path, struct error *err);
void trace_file_close(struct trace_file *file);
/* False at the end. */
bool trace_file_next(struct trace_file *file, struct trace_line *line);
/* The line that begins at offset AT; trace_file_next() goes on behind it. */
bool trace_file_read_at(struct trace_file *file, uint64_t at, struct trace_line *line);

#endif

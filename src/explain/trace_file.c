#include "explain/trace_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define FIRST_CAPACITY (256u << 10)

bool trace_file_open(struct trace_file *file, const char *path, struct error *err)
{
    struct stat status;

    *file = (struct trace_file){.fd = open(path, O_RDONLY | O_CLOEXEC), .path = path};
    if (file->fd < 0)
        return error_set(err, "cannot open '%s': %s", path, strerror(errno));
    if (fstat(file->fd, &status) == 0 && !S_ISREG(status.st_mode)) {
        trace_file_close(file);
        return error_set(err, "'%s' is not a plain file (the trace is read twice)", path);
    }
    file->buffer = malloc(FIRST_CAPACITY);
    file->capacity = FIRST_CAPACITY;
    if (!file->buffer) {
        trace_file_close(file);
        return error_set(err, "out of memory");
    }
    return true;
}

void trace_file_close(struct trace_file *file)
{
    if (file->fd >= 0)
        close(file->fd);
    free(file->buffer);
    file->fd = -1;
    file->buffer = NULL;
}

/* Makes room behind what is there: first by moving it to the front, then by growing. */
static bool make_room(struct trace_file *file)
{
    size_t grown = file->capacity * 2;
    char *larger;

    if (file->begin) {
        memmove(file->buffer, file->buffer + file->begin, file->end - file->begin);
        file->buffer_at += file->begin;
        file->end -= file->begin;
        file->begin = 0;
    }
    if (file->end < file->capacity)
        return true;
    if (file->capacity > TRACE_FILE_LINE_LIMIT)
        return false;
    larger = realloc(file->buffer, grown);
    if (!larger)
        return false;
    file->buffer = larger;
    file->capacity = grown;
    return true;
}

/* Reads some more; false if there is no more or no room. */
static bool fill(struct trace_file *file)
{
    ssize_t got;

    if (file->at_end || !make_room(file))
        return false;
    do {
        got = read(file->fd, file->buffer + file->end, file->capacity - file->end);
    } while (got < 0 && errno == EINTR);
    if (got <= 0) {
        file->read_error = got < 0 ? errno : 0;
        file->at_end = true;
        return false;
    }
    file->end += (size_t)got;
    return true;
}

/* Passes over the rest of a line for which there was no room. */
static void skip_rest(struct trace_file *file)
{
    for (;;) {
        char *feed = memchr(file->buffer + file->begin, '\n', file->end - file->begin);
        if (feed) {
            file->begin = (size_t)(feed - file->buffer) + 1;
            return;
        }
        file->begin = file->end;
        if (!fill(file))
            return;
    }
}

bool trace_file_next(struct trace_file *file, struct trace_line *line)
{
    size_t looked_at = 0;

    for (;;) {
        char *from = file->buffer + file->begin;
        size_t there = file->end - file->begin;
        char *feed = memchr(from + looked_at, '\n', there - looked_at);

        if (feed || file->at_end || there > TRACE_FILE_LINE_LIMIT) {
            if (!feed && !there)
                return false;
            *line = (struct trace_line){.text = from,
                                        .length = feed ? (size_t)(feed - from) : there,
                                        .at = file->buffer_at + file->begin,
                                        .complete = feed != NULL,
                                        .too_long = !feed && !file->at_end};
            if (line->too_long) {
                line->length = 0;
                skip_rest(file);
                line->complete = true;
            } else {
                file->begin += line->length + (feed != NULL);
            }
            return true;
        }
        looked_at = there;
        if (!fill(file) && !file->at_end)
            file->at_end = true; /* no memory: what is there is all that there will be */
    }
}

bool trace_file_read_at(struct trace_file *file, uint64_t at, struct trace_line *line)
{
    if (lseek(file->fd, (off_t)at, SEEK_SET) < 0)
        return false;
    file->begin = file->end = 0;
    file->buffer_at = at;
    file->at_end = false;
    return trace_file_next(file, line);
}

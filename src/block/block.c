#include "block/block.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

bool block_error(const struct block_options *options, struct error *err, const char *format, ...)
{
    char text[256];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    return error_set(err, "%s%s%s: %s", options->option ? options->option : "", options->option ? " " : "",
                     options->path, text);
}

static struct block *block_allocate(const struct block_options *options, struct error *err)
{
    struct block *block = calloc(1, sizeof *block);
    char *path = strdup(options->path);
    if (!block || !path) {
        free(block);
        free(path);
        block_error(options, err, "no memory left to open it");
        return NULL;
    }
    block->path = path;
    return block;
}

static void block_free(struct block *block)
{
    free(block->path);
    free(block);
}

struct block *block_open(const struct block_options *options, struct error *err)
{
    if (!options->path || !options->path[0]) {
        error_set(err, "%s: no file name given", options->option ? options->option : "disk image");
        return NULL;
    }
    if (options->format && strcmp(options->format, "raw")) {
        block_error(options, err, "format '%s' is not known (known: raw)", options->format);
        return NULL;
    }
    struct block_options bottom = *options;
    bottom.read_only = options->read_only || options->snapshot;
    struct block *block = block_allocate(options, err);
    if (!block)
        return NULL;
    if (!block_raw_open(block, &bottom, err)) {
        block_free(block);
        return NULL;
    }
    if (!options->snapshot)
        return block;
    struct block *top = block_allocate(options, err);
    if (!top) {
        block_close(block);
        return NULL;
    }
    top->read_only = options->read_only;
    if (!block_overlay_open(top, block, options, err)) {
        block_free(top);
        return NULL;
    }
    return top;
}

void block_close(struct block *block)
{
    if (!block)
        return;
    if (!block->read_only)
        block_flush(block);
    block->driver->close(block);
    block_free(block);
}

void block_set_error_listener(struct block *block, void (*on_error)(void *opaque, const char *message), void *opaque)
{
    block->on_error = on_error;
    block->on_error_opaque = opaque;
}

enum block_status block_status_of_errno(int host_error)
{
    switch (host_error) {
    case 0:
        return BLOCK_OK;
    case ENOSPC:
    case EDQUOT:
    case EFBIG:
        return BLOCK_NO_SPACE;
    default:
        return BLOCK_IO_ERROR;
    }
}

const char *block_status_text(enum block_status status)
{
    static const char *const texts[] = {
        [BLOCK_OK] = "ok",
        [BLOCK_OUT_OF_RANGE] = "beyond the last sector",
        [BLOCK_READ_ONLY] = "read-only",
        [BLOCK_NO_SPACE] = "no space left on the host",
        [BLOCK_IO_ERROR] = "I/O error on the host",
    };
    return texts[status];
}

static void report(struct block *block, const struct block_request *request, int host_error)
{
    static const char *const verbs[] = {
        [BLOCK_READ] = "read sector", [BLOCK_WRITE] = "write sector", [BLOCK_FLUSH] = "flush"};
    char message[512];
    if (!block->on_error || host_error == block->reported_errno)
        return;
    block->reported_errno = host_error;
    if (request->operation == BLOCK_FLUSH)
        snprintf(message, sizeof message, "%s: cannot flush: %s", block->path, strerror(host_error));
    else
        snprintf(message, sizeof message, "%s: cannot %s %llu: %s", block->path, verbs[request->operation],
                 (unsigned long long)request->sector, strerror(host_error));
    block->on_error(block->on_error_opaque, message);
}

void block_complete(struct block *block, struct block_request *request, enum block_status status, int host_error)
{
    struct block_statistics *statistics = &block->statistics;
    request->status = status;
    request->pending = false;
    if (status == BLOCK_OK) {
        /* A full disk still reads: only a write that works again ends that trouble. */
        if (request->operation == BLOCK_WRITE || block->read_only)
            block->reported_errno = 0;
        switch (request->operation) {
        case BLOCK_READ:
            statistics->reads++;
            statistics->sectors_read += request->count;
            break;
        case BLOCK_WRITE:
            statistics->writes++;
            statistics->sectors_written += request->count;
            break;
        case BLOCK_FLUSH:
            statistics->flushes++;
            break;
        }
    } else {
        statistics->errors++;
        if (host_error)
            report(block, request, host_error);
    }
    if (request->done)
        request->done(request);
}

void block_submit(struct block *block, struct block_request *request)
{
    request->pending = true;
    request->status = BLOCK_OK;
    if (request->operation == BLOCK_FLUSH) {
        block->driver->submit(block, request);
        return;
    }
    if (request->sector > block->sectors || request->count > block->sectors - request->sector)
        block_complete(block, request, BLOCK_OUT_OF_RANGE, 0);
    else if (request->operation == BLOCK_WRITE && block->read_only)
        block_complete(block, request, BLOCK_READ_ONLY, 0);
    else if (request->count == 0)
        block_complete(block, request, BLOCK_OK, 0);
    else
        block->driver->submit(block, request);
}

enum block_status block_wait(struct block *block, struct block_request *request)
{
    if (request->pending && block->driver->wait)
        block->driver->wait(block, request);
    return request->status;
}

static enum block_status submit_and_wait(struct block *block, enum block_operation operation, uint64_t sector,
                                         uint32_t count, uint8_t *data)
{
    struct block_request request = {.operation = operation, .sector = sector, .count = count, .data = data};
    block_submit(block, &request);
    return block_wait(block, &request);
}

enum block_status block_read(struct block *block, uint64_t sector, uint32_t count, void *data)
{
    return submit_and_wait(block, BLOCK_READ, sector, count, data);
}

enum block_status block_write(struct block *block, uint64_t sector, uint32_t count, const void *data)
{
    return submit_and_wait(block, BLOCK_WRITE, sector, count, (uint8_t *)(uintptr_t)data);
}

enum block_status block_flush(struct block *block)
{
    return submit_and_wait(block, BLOCK_FLUSH, 0, 0, NULL);
}

/* Disk images: a linear array of 512-byte sectors behind one interface, whatever the file format.
 *
 * A request carries its own completion callback. Today's formats complete inside block_submit(); one
 * that completes later (asynchronous I/O, a compressed format) may, so callers either act in DONE or
 * call block_wait(). A device whose completions are scheduled on the virtual clock waits at its own
 * deadline: the host's speed never shows.
 *
 * Threads: device lock held for every call; DONE is called with it held. */
#ifndef DRAGOMAN_BLOCK_BLOCK_H
#define DRAGOMAN_BLOCK_BLOCK_H

#include "base/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { BLOCK_SECTOR = 512 };

enum block_status {
    BLOCK_OK,
    BLOCK_OUT_OF_RANGE, /* beyond the last sector; nothing was transferred */
    BLOCK_READ_ONLY,    /* a write to what cannot be written */
    BLOCK_NO_SPACE,     /* the host's disk is full */
    BLOCK_IO_ERROR      /* anything else that the host reported */
};

enum block_operation { BLOCK_READ, BLOCK_WRITE, BLOCK_FLUSH };

struct block;

struct block_request {
    enum block_operation operation;
    uint64_t sector;
    uint32_t count; /* sectors; 0 is allowed and does nothing */
    uint8_t *data;  /* COUNT * 512 bytes, valid until completion; only read from for a write */
    void (*done)(struct block_request *request); /* may be NULL; may submit anew */
    void *opaque;
    /* Filled in by the block layer; STATUS is valid once PENDING is false. */
    enum block_status status;
    bool pending;
};

/* What a file format implements. Requests are in range and allowed; FLUSH has no data. */
struct block_driver {
    const char *name;
    /* Ends with block_complete(), at once or later. */
    void (*submit)(struct block *block, struct block_request *request);
    /* Returns when REQUEST is complete; NULL for a driver that always completes at once. */
    void (*wait)(struct block *block, struct block_request *request);
    /* No request is pending. Frees what the driver added, not the block itself. */
    void (*close)(struct block *block);
};

struct block_statistics {
    uint64_t reads, writes, flushes, errors;
    uint64_t sectors_read, sectors_written;
};

/* An open image. Read the fields, change them only inside src/block. */
struct block {
    const struct block_driver *driver;
    void *state; /* the driver's */
    char *path;
    uint64_t sectors; /* a final piece of less than 512 bytes counts, padded with zeroes */
    bool read_only;
    bool snapshot; /* writes go to a temporary file and are lost on close */
    struct block_statistics statistics;
    void (*on_error)(void *opaque, const char *message);
    void *on_error_opaque;
    int reported_errno; /* of the last report: the same trouble is reported once */
};

struct block_options {
    const char *option; /* named in messages: "-hda", "-drive"; NULL: the path alone */
    const char *path;
    const char *format; /* NULL or "raw" */
    bool read_only;
    bool auto_read_only;          /* where the file may not be written, open it read-only instead of failing */
    bool snapshot;                /* the file is only read */
    const char *temporary_folder; /* for snapshots; NULL: $TMPDIR, else /var/tmp */
};

/* NULL with a message for a missing, empty or unreadable file, a directory, anything else that is no
 * image, an unknown format, or a file that another program has open in a way that excludes this one
 * (advisory locks, flock(2): writers exclude everybody). */
struct block *block_open(const struct block_options *options, struct error *err);
/* Flushes first. NULL is allowed. */
void block_close(struct block *block);

/* Messages for a person ("disk.img: cannot write sector 7: No space left on device"), each kind of
 * trouble once until an operation succeeds again. */
void block_set_error_listener(struct block *block, void (*on_error)(void *opaque, const char *message), void *opaque);

/* The caller fills in operation, sector, count, data, done and opaque. */
void block_submit(struct block *block, struct block_request *request);
enum block_status block_wait(struct block *block, struct block_request *request);

/* Submit and wait. */
enum block_status block_read(struct block *block, uint64_t sector, uint32_t count, void *data);
enum block_status block_write(struct block *block, uint64_t sector, uint32_t count, const void *data);
/* On return what was written before is on the host's disk. */
enum block_status block_flush(struct block *block);

/* A short text: "ok", "out of range", ... */
const char *block_status_text(enum block_status status);

/* ---- for formats (src/block only) ---- */

/* Counts, reports and calls DONE. HOST_ERROR is an errno or 0. */
void block_complete(struct block *block, struct block_request *request, enum block_status status, int host_error);
enum block_status block_status_of_errno(int host_error);
/* Formats and layers; each returns false with a message. */
bool block_raw_open(struct block *block, const struct block_options *options, struct error *err);
/* Turns BASE (whose ownership it takes, also on failure) into the read-only bottom of BLOCK. */
bool block_overlay_open(struct block *block, struct block *base, const struct block_options *options,
                        struct error *err);
/* error_set() with option and path in front. */
bool block_error(const struct block_options *options, struct error *err, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

#endif

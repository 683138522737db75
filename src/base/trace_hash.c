#include "base/trace_hash.h"

#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct trace_hash {
    const struct trace_hash_options *options;
    const uint64_t *instructions;
    uint64_t (*time)(void *opaque);
    void *time_opaque;
    void (*account)(void *opaque);
    void *account_opaque;
    pthread_t owner;
    bool owned;
    unsigned paused;
    uint64_t hash, events;
    FILE *log;
    bool log_failed;
};

static const char *const names[] = {
#define X(id, name) name,
    TRACE_EVENTS(X)
#undef X
};

struct trace_hash *trace_hash_create(const struct trace_hash_options *options, const uint64_t *instructions,
                                     uint64_t (*time)(void *opaque), void *opaque, struct error *err)
{
    struct trace_hash *hash = calloc(1, sizeof *hash);
    if (!hash) {
        error_set(err, "out of memory");
        return NULL;
    }
    *hash = (struct trace_hash){.options = options,
                                .instructions = instructions,
                                .time = time,
                                .time_opaque = opaque,
                                .hash = 0xcbf29ce484222325u};
    if (options->log[0]) {
        hash->log = fopen(options->log, "w");
        if (!hash->log) {
            error_set(err, "-icount hash-log: %s: %s", options->log, strerror(errno));
            free(hash);
            return NULL;
        }
    }
    return hash;
}

void trace_hash_set_account(struct trace_hash *hash, void (*account)(void *opaque), void *opaque)
{
    hash->account = account;
    hash->account_opaque = opaque;
}

static bool write_file(const struct trace_hash *hash, struct error *err)
{
    FILE *file = fopen(hash->options->file, "w");
    bool ok = file &&
              fprintf(file, "hash %016" PRIx64 "\nevents %" PRIu64 "\ninstructions %" PRIu64 "\ntime_ns %" PRIu64 "\n",
                      hash->hash, hash->events, *hash->instructions, hash->time(hash->time_opaque)) > 0;
    if (file && fclose(file) != 0)
        ok = false;
    return ok || error_set(err, "-icount hash: %s: %s", hash->options->file, strerror(errno));
}

bool trace_hash_finish(struct trace_hash *hash, struct error *err)
{
    bool ok = true;
    if (!hash)
        return true;
    if (hash->log) {
        ok = !hash->log_failed;
        if (fclose(hash->log) != 0)
            ok = false;
        hash->log = NULL;
        if (!ok)
            error_set(err, "-icount hash-log: %s: cannot be written", hash->options->log);
    }
    if (ok && hash->options->file[0])
        ok = write_file(hash, err);
    return ok;
}

void trace_hash_destroy(struct trace_hash *hash)
{
    if (!hash)
        return;
    if (hash->log)
        fclose(hash->log);
    free(hash);
}

void trace_hash_take_thread(struct trace_hash *hash)
{
    hash->owner = pthread_self();
    __atomic_store_n(&hash->owned, true, __ATOMIC_RELEASE);
}

bool trace_hash_is_mine(const struct trace_hash *hash)
{
    return hash && __atomic_load_n(&hash->owned, __ATOMIC_ACQUIRE) && pthread_equal(hash->owner, pthread_self()) &&
           !hash->paused;
}

void trace_hash_pause(struct trace_hash *hash)
{
    if (trace_hash_is_mine(hash))
        hash->paused = true;
}

void trace_hash_resume(struct trace_hash *hash)
{
    if (hash && hash->owned && pthread_equal(hash->owner, pthread_self()))
        hash->paused = false;
}

void trace_hash_account(struct trace_hash *hash)
{
    if (hash->account)
        hash->account(hash->account_opaque);
}

static void take_in(struct trace_hash *hash, uint64_t word)
{
    uint64_t h = (hash->hash ^ word) * 0x9e3779b97f4a7c15u;
    hash->hash = h ^ h >> 32;
}

static void log_event(struct trace_hash *hash, enum trace_event event, uint64_t time, const uint64_t *words,
                      unsigned count)
{
    if (fprintf(hash->log, "event %" PRIu64 " %s instructions %" PRIu64 " time %" PRIu64, hash->events, names[event],
                *hash->instructions, time) < 0)
        hash->log_failed = true;
    for (unsigned i = 0; i < count; i++)
        fprintf(hash->log, " %" PRIx64, words[i]);
    fputc('\n', hash->log);
}

void trace_hash_event(struct trace_hash *hash, enum trace_event event, const uint64_t *words, unsigned count)
{
    uint64_t time = hash->time(hash->time_opaque);
    take_in(hash, event);
    take_in(hash, *hash->instructions);
    take_in(hash, time);
    for (unsigned i = 0; i < count; i++)
        take_in(hash, words[i]);
    if (hash->log && hash->events >= hash->options->from && hash->events < hash->options->to)
        log_event(hash, event, time, words, count);
    hash->events++;
    if (hash->log && !(hash->events & ((UINT64_C(1) << hash->options->log_every) - 1)) &&
        fprintf(hash->log, "hash %" PRIu64 " %016" PRIx64 " instructions %" PRIu64 "\n", hash->events, hash->hash,
                *hash->instructions) < 0)
        hash->log_failed = true;
}

void trace_hash_access(struct trace_hash *hash, enum trace_event event, uint64_t address, unsigned size, uint64_t value)
{
    if (trace_hash_is_mine(hash))
        trace_hash_event(hash, event, (const uint64_t[]){address, size, value}, 3);
}

uint64_t trace_hash_value(const struct trace_hash *hash)
{
    return hash->hash;
}

uint64_t trace_hash_events(const struct trace_hash *hash)
{
    return hash->events;
}

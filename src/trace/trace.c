/* The sink: order, filters that count, the file. */
#include "trace/private.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

const char *const trace_type_names[TRACE_TYPE_COUNT] = {
#define X(id, name) name,
    TRACE_TYPES(X)
#undef X
};

#define JSON_FILE_BUFFER (1u << 18)
#define FLUSH_INTERVAL   1000000000u /* nanoseconds */

static uint64_t now_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

/* ---- writing; under the mutex ---- */

static void put_record(struct trace *t, enum trace_type type, const char *data, size_t length)
{
    if (t->written[type] >= t->options.filter.first && type != TRACE_HEADER && type != TRACE_END) {
        t->suppressed++;
        return;
    }
    t->written[type]++;
    t->lines++;
    fwrite(data, 1, length, t->log->file);
}

static void begin(struct trace *t)
{
    struct trace_header header = {t->options.program, t->options.engine, t->options.filter.text, t->log->enabled};

    t->begun = true;
    t->lines = t->suppressed = 0;
    if (!t->options.json)
        return;
    t->buffer.length = 0;
    t->writers[TRACE_HEADER](&t->buffer, 0, &header);
    if (!t->buffer.failed)
        put_record(t, TRACE_HEADER, t->buffer.data, t->buffer.length);
}

static void end(struct trace *t)
{
    uint64_t elapsed = now_ns() - t->start_ns;
    struct trace_end event = {t->lines + 1, t->suppressed, elapsed / 1000000};

    if (!t->begun && (t->log->enabled || t->log->owned))
        begin(t);
    if (t->begun && t->options.json) {
        t->buffer.length = 0;
        event.lines = t->lines + 1;
        t->writers[TRACE_END](&t->buffer, elapsed / 1000, &event);
        if (!t->buffer.failed)
            put_record(t, TRACE_END, t->buffer.data, t->buffer.length);
    }
    t->begun = false;
    fflush(t->log->file);
}

static struct trace_heat *heat_of(struct trace *t, uint64_t id)
{
    if (id >= t->heat_count) {
        size_t count = t->heat_count ? 2 * t->heat_count : 1024;
        while (count <= id)
            count *= 2;
        struct trace_heat *grown = realloc(t->heat, count * sizeof *grown);
        if (!grown)
            return NULL;
        memset(grown + t->heat_count, 0, (count - t->heat_count) * sizeof *grown);
        t->heat = grown;
        t->heat_count = count;
    }
    return &t->heat[id];
}

/* Keeps the record in the buffer for later. False: it is to be written now. */
static bool hold(struct trace *t, enum trace_type type, uint64_t id)
{
    struct trace_heat *heat = t->options.filter.hot && id ? heat_of(t, id) : NULL;

    if (!heat || heat->executions >= t->options.filter.hot)
        return false;
    /* Executions before that are what makes it hot: nobody wants them one by one. */
    struct trace_held *held = type == TRACE_EXEC ? NULL : malloc(sizeof *held + t->buffer.length);
    if (!held) {
        t->suppressed++;
        return true;
    }
    held->next = NULL;
    held->type = (uint8_t)type;
    held->length = t->buffer.length;
    memcpy(held->data, t->buffer.data, held->length);
    *(heat->first ? &heat->last->next : &heat->first) = held;
    heat->last = held;
    return true;
}

/* One event. SCOPE may be NULL: it concerns everything. */
static void emit(struct log *log, enum trace_type type, const struct trace_scope *scope, const void *event)
{
    struct trace *t = log->trace;

    if (!t || !t->writers[type])
        return;
    pthread_mutex_lock(&t->mutex);
    if (!t->begun)
        begin(t);
    bool held_later = t->options.filter.hot && scope && scope->id;
    bool cold = t->options.filter.hot && (type == TRACE_BLOCK || (type == TRACE_EXEC && !scope->id)); /* interpreted */
    if (cold || (scope && !trace_filter_passes(&t->options.filter, scope)) ||
        (!held_later && t->written[type] >= t->options.filter.first)) {
        t->suppressed++;
    } else {
        uint64_t now = now_ns();

        t->buffer.length = 0;
        t->buffer.failed = false;
        t->writers[type](&t->buffer, (now - t->start_ns) / 1000, event);
        if (t->buffer.failed)
            t->suppressed++;
        else if (!scope || !hold(t, type, scope->id))
            put_record(t, type, t->buffer.data, t->buffer.length);
        if (now - t->flushed_ns > FLUSH_INTERVAL) { /* for who looks on */
            t->flushed_ns = now;
            fflush(t->log->file);
        }
    }
    pthread_mutex_unlock(&t->mutex);
}

/* ---- hot= ---- */

bool trace_counts_executions(const struct log *log)
{
    const struct trace *t = log->trace;

    return t && t->options.filter.hot && log->enabled;
}

void trace_count_execution(struct log *log, uint64_t id)
{
    struct trace *t = log->trace;

    if (!t || !t->options.filter.hot)
        return;
    pthread_mutex_lock(&t->mutex);
    struct trace_heat *heat = heat_of(t, id);
    if (heat && ++heat->executions == t->options.filter.hot) {
        for (struct trace_held *held = heat->first, *next; held; held = next) {
            next = held->next;
            put_record(t, held->type, held->data, held->length);
            free(held);
        }
        heat->first = NULL;
    }
    pthread_mutex_unlock(&t->mutex);
}

static void drop_held(struct trace *t, struct trace_heat *heat)
{
    for (struct trace_held *held = heat->first, *next; held; held = next) {
        next = held->next;
        t->suppressed++;
        free(held);
    }
    heat->first = NULL;
}

void trace_forget(struct log *log, uint64_t id)
{
    struct trace *t = log->trace;

    if (!t || !t->options.filter.hot)
        return;
    pthread_mutex_lock(&t->mutex);
    if (id < t->heat_count)
        drop_held(t, &t->heat[id]);
    pthread_mutex_unlock(&t->mutex);
}

/* ---- events ---- */

void trace_block(struct log *log, const struct trace_block *e)
{
    struct trace_scope scope = {.linear = e->linear,
                                .length = e->length ? e->length : 1,
                                .begins = true,
                                .has_cpl = true,
                                .cpl = e->mode.cpl,
                                .has_cr3 = true,
                                .cr3 = e->mode.cr3};

    emit(log, TRACE_BLOCK, &scope, e);
}

void trace_translation(struct log *log, const struct trace_translation *e)
{
    struct trace_scope scope = {.linear = e->linear,
                                .length = e->length ? e->length : 1,
                                .begins = true,
                                .has_cpl = true,
                                .cpl = e->mode.cpl,
                                .has_cr3 = true,
                                .cr3 = e->mode.cr3,
                                .id = e->id};

    emit(log, TRACE_TRANSLATION, &scope, e);
}

static struct trace_scope scope_of_link(const struct trace_link *e)
{
    return (struct trace_scope){
        .linear = e->from_linear, .length = 1, .begins = true, .has_cpl = true, .cpl = e->cpl, .id = e->from};
}

void trace_chain(struct log *log, const struct trace_link *e)
{
    struct trace_scope scope = scope_of_link(e);

    emit(log, TRACE_CHAIN, &scope, e);
}

void trace_unchain(struct log *log, const struct trace_link *link, const char *cause)
{
    struct trace_unchain_event e = {*link, cause};
    struct trace_scope scope = scope_of_link(link);

    emit(log, TRACE_UNCHAIN, &scope, &e);
}

void trace_invalidate(struct log *log, const struct trace_invalidate *e)
{
    struct trace_scope scope = {.linear = e->linear,
                                .length = e->length ? e->length : 1,
                                .begins = true,
                                .has_cpl = true,
                                .cpl = e->cpl,
                                .id = e->id};

    emit(log, TRACE_INVALIDATE, &scope, e);
}

void trace_tier(struct log *log, const struct trace_tier *e)
{
    struct trace_scope scope = {
        .linear = e->linear, .length = 1, .begins = true, .has_cpl = true, .cpl = e->cpl, .id = e->id};

    emit(log, TRACE_TIER, &scope, e);
}

void trace_exec(struct log *log, const struct trace_exec *e)
{
    struct trace_scope scope = {.linear = e->linear,
                                .length = e->length ? e->length : 1,
                                .begins = true,
                                .has_cpl = true,
                                .cpl = e->cpl,
                                .has_cr3 = true,
                                .cr3 = e->cr3,
                                .id = e->id};

    emit(log, TRACE_EXEC, &scope, e);
}

void trace_int(struct log *log, const struct trace_int *e)
{
    struct trace_scope scope = {
        .linear = e->linear, .length = 1, .has_cpl = true, .cpl = e->cpl, .has_cr3 = true, .cr3 = e->cr3};

    emit(log, TRACE_INT, &scope, e);
}

void trace_mmu(struct log *log, const struct trace_mmu *e)
{
    /* Accesses of the processor itself (descriptor tables) are the supervisor's at any level. */
    struct trace_scope scope = {.linear = e->linear,
                                .length = e->has_linear,
                                .has_cpl = e->access != NULL,
                                .cpl = e->user ? 3 : 0,
                                .has_cr3 = true,
                                .cr3 = e->cr3};

    emit(log, TRACE_MMU, &scope, e);
}

void trace_profile(struct log *log, const struct trace_profile *e)
{
    struct trace_scope scope = {.linear = e->linear,
                                .length = e->length ? e->length : 1,
                                .begins = true,
                                .has_cpl = true,
                                .cpl = e->cpl,
                                .id = e->id};

    emit(log, TRACE_PROFILE, &scope, e);
}

void trace_occupancy(struct log *log, const struct trace_occupancy *e)
{
    emit(log, TRACE_OCCUPANCY, NULL, e);
}

/* ---- the log's side ---- */

static void message(struct log *log, int category, const char *text)
{
    struct trace_message e = {category, text};

    emit(log, TRACE_MESSAGE, NULL, &e);
}

static void opened(struct log *log)
{
    struct trace *t = log->trace;

    if (t->options.json) /* many short lines: the end of the machine brings out the rest */
        setvbuf(log->file, NULL, _IOFBF, JSON_FILE_BUFFER);
}

static void closing(struct log *log)
{
    struct trace *t = log->trace;

    pthread_mutex_lock(&t->mutex);
    end(t);
    pthread_mutex_unlock(&t->mutex);
}

static void finish(struct log *log)
{
    struct trace *t = log->trace;

    for (size_t i = 0; i < t->heat_count; i++)
        drop_held(t, &t->heat[i]);
    closing(log);
    free(t->heat);
    buffer_finish(&t->buffer);
    pthread_mutex_destroy(&t->mutex);
    free(t);
    log->trace = NULL;
    log->sink = NULL;
}

bool trace_create(struct log *log, const struct trace_options *options, struct error *err)
{
    static const struct log_sink sink = {message, opened, closing, finish};
    struct trace *t = calloc(1, sizeof *t);

    if (!t)
        return error_set(err, "out of memory for the trace");
    t->log = log;
    t->options = *options;
    t->writers = options->json ? trace_json_writers : trace_text_writers;
    t->start_ns = now_ns();
    pthread_mutex_init(&t->mutex, NULL);
    log->trace = t;
    log->sink = &sink;
    return true;
}

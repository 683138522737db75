#include "base/log.h"
#include "base/compiler.h"

#include <errno.h>
#include <stdarg.h>
#include <string.h>

static const struct {
    const char *name;
    uint32_t bit;
} log_categories[] = {
#define X(id, name, help) {name, LOG_(id)},
    LOG_CATEGORIES(X)
#undef X
};

void log_init(struct log *log)
{
    log->enabled = 0;
    log->file = stderr;
    log->owned = false;
    log->sink = NULL;
    log->trace = NULL;
    atomic_init(&log->last_id, 0);
}

void log_finish(struct log *log)
{
    if (log->sink)
        log->sink->finish(log);
    if (log->owned)
        fclose(log->file);
    log_init(log);
}

bool log_enable(struct log *log, const char *list, struct error *err)
{
    uint32_t bits = 0;
    for (const char *name = list;;) {
        size_t length = strcspn(name, ",");
        uint32_t bit = 0;
        for (size_t i = 0; i < ARRAY_SIZE(log_categories); i++)
            if (strlen(log_categories[i].name) == length && !memcmp(log_categories[i].name, name, length))
                bit = log_categories[i].bit;
        if (!bit)
            return error_set(err, "unknown log category '%.*s' (-d help lists them)", (int)length, name);
        bits |= bit;
        if (!name[length])
            break;
        name += length + 1;
    }
    log->enabled |= bits;
    return true;
}

bool log_open(struct log *log, const char *path, struct error *err)
{
    FILE *file = fopen(path, "we"); /* e: not inherited by children */
    if (!file)
        return error_set(err, "cannot open log file '%s': %s", path, strerror(errno));
    /* Whole lines reach the file even if the process dies. */
    setvbuf(file, NULL, _IOLBF, 0);
    if (log->sink)
        log->sink->closing(log);
    if (log->owned)
        fclose(log->file);
    log->file = file;
    log->owned = true;
    if (log->sink)
        log->sink->opened(log);
    return true;
}

static void write_line(struct log *log, int category, const char *format, va_list arguments)
{
    if (log->sink) {
        char text[2048];
        vsnprintf(text, sizeof text, format, arguments);
        log->sink->message(log, category, text);
        return;
    }
    flockfile(log->file);
    vfprintf(log->file, format, arguments);
    putc_unlocked('\n', log->file);
    funlockfile(log->file);
}

void log_write(struct log *log, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    write_line(log, -1, format, arguments);
    va_end(arguments);
}

void log_write_category(struct log *log, int category, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    write_line(log, category, format, arguments);
    va_end(arguments);
}

const char *log_category_name(int category)
{
    return log_categories[category].name;
}

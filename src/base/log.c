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
}

void log_finish(struct log *log)
{
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
    if (log->owned)
        fclose(log->file);
    log->file = file;
    log->owned = true;
    return true;
}

void log_write(struct log *log, const char *format, ...)
{
    va_list arguments;
    flockfile(log->file);
    va_start(arguments, format);
    vfprintf(log->file, format, arguments);
    va_end(arguments);
    putc_unlocked('\n', log->file);
    funlockfile(log->file);
}

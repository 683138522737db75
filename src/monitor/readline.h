/* Line editing for the human monitor: cursor keys, history, completion. */
#ifndef DRAGOMAN_MONITOR_READLINE_H
#define DRAGOMAN_MONITOR_READLINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define READLINE_LENGTH  4096
#define READLINE_HISTORY 64

struct readline_completions {
    const char *words[64];
    unsigned count;
};

struct readline {
    void (*write)(void *opaque, const char *data, size_t length);
    void (*entered)(void *opaque, const char *line);
    /* Fills OUT with the words that could stand at the end of LINE. May be NULL. */
    void (*complete)(const char *line, struct readline_completions *out);
    void *opaque;
    char prompt[32];
    char line[READLINE_LENGTH + 1];
    size_t length, cursor;
    char *history[READLINE_HISTORY];
    unsigned history_count;
    unsigned history_position; /* history_count: the line being typed */
    enum { READLINE_PLAIN, READLINE_ESCAPE, READLINE_CSI } state;
    unsigned parameter; /* of a control sequence */
};

void readline_init(struct readline *r, void (*write)(void *, const char *, size_t),
                   void (*entered)(void *, const char *), void (*complete)(const char *, struct readline_completions *),
                   void *opaque);
void readline_finish(struct readline *r);
/* Prints the prompt and begins an empty line. */
void readline_start(struct readline *r, const char *prompt);
void readline_key(struct readline *r, uint8_t byte);

#endif

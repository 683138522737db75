/* Shared by the parts of the monitor. */
#ifndef DRAGOMAN_MONITOR_MONITOR_INTERNAL_H
#define DRAGOMAN_MONITOR_MONITOR_INTERNAL_H

#include "monitor/hmp.h"
#include "monitor/monitor.h"
#include "monitor/qmp.h"
#include "monitor/readline.h"
#include "monitor/text.h"

#define MONITORS_MAX_CHARDEVS 32
/* A client that does not read is sent no further events beyond this; commands wait anyway. */
#define MONITOR_EVENT_BACKLOG (1u << 20)

struct console;
struct gdbstub;

struct monitors {
    struct vm *vm;
    struct console *console;
    struct chardev_host *host;
    struct monitor *first;
    struct chardev *chardevs[MONITORS_MAX_CHARDEVS];
    unsigned chardev_count;
};

struct monitor {
    struct monitors *set;
    struct monitor *next;
    enum monitor_mode mode;
    struct chardev *chardev;
    struct text output; /* what the chardev did not take yet */
    struct hmp hmp;
    struct readline readline;
    bool greeted; /* human: the banner was shown */
    struct qmp qmp;
};

void monitor_write(struct monitor *monitor, const char *data, size_t length);

/* ---- display_input.c: shared by both kinds of monitor ---- */

enum { MONITOR_MAX_KEYS = 16 }; /* in a chord */
enum { MONITOR_KEYBOARD_INDEX = 1, MONITOR_MOUSE_INDEX = 2 };
#define MONITOR_KEYBOARD_NAME "PS/2 Keyboard"
#define MONITOR_MOUSE_NAME    "PS/2 Mouse"

/* DEVICE names a display device, FORMAT is "ppm" or "png"; NULL: the usual one. */
bool monitor_screendump(struct monitors *set, const char *path, const char *device, const char *format,
                        struct error *err);
/* The chord KEYS, held for HOLD milliseconds of the machine's time. */
bool monitor_send_keys(struct monitors *set, const uint16_t *keys, unsigned count, int64_t hold, struct error *err);

#endif

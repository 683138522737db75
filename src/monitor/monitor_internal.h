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

struct gdbstub;

struct monitors {
    struct vm *vm;
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

#endif

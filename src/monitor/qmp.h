/* QMP: the JSON machine protocol. One struct per client connection slot. */
#ifndef DRAGOMAN_MONITOR_QMP_H
#define DRAGOMAN_MONITOR_QMP_H

#include "monitor/json_stream.h"
#include "vm/vm.h"

struct monitors;

struct qmp {
    struct monitors *set;
    struct json_stream stream; /* what the client sends is fed to it */
    bool connected;
    bool negotiated; /* qmp_capabilities was executed: commands and events flow */
    void (*write)(void *opaque, const char *data, size_t length);
    void *opaque;
};

void qmp_init(struct qmp *qmp, struct monitors *set, void (*write)(void *, const char *, size_t), void *opaque);
void qmp_finish(struct qmp *qmp);
void qmp_connect(struct qmp *qmp); /* greets */
void qmp_disconnect(struct qmp *qmp);
void qmp_event(struct qmp *qmp, enum vm_event event, enum vm_cause cause);

/* ---- qmp_commands.c ---- */

struct qmp_argument {
    const char *name;
    char type; /* 'i' integer, 's' string, 'b' boolean, '*' anything */
    bool optional;
};

#define QMP_ARGUMENTS 6

struct qmp_command {
    const char *name;
    struct qmp_argument arguments[QMP_ARGUMENTS];
    /* The value of "return" (a new reference), or NULL with the message set. */
    json_t *(*run)(struct qmp *qmp, json_t *arguments, struct error *err);
};

/* ---- qmp_block.c ---- */
json_t *qmp_query_block(struct qmp *qmp, json_t *arguments, struct error *err);
json_t *qmp_query_blockstats(struct qmp *qmp, json_t *arguments, struct error *err);
json_t *qmp_eject(struct qmp *qmp, json_t *arguments, struct error *err);
json_t *qmp_blockdev_change_medium(struct qmp *qmp, json_t *arguments, struct error *err);
json_t *qmp_blockdev_open_tray(struct qmp *qmp, json_t *arguments, struct error *err);
json_t *qmp_blockdev_close_tray(struct qmp *qmp, json_t *arguments, struct error *err);
json_t *qmp_blockdev_remove_medium(struct qmp *qmp, json_t *arguments, struct error *err);
/* "data" of DEVICE_TRAY_MOVED. */
json_t *qmp_describe_tray_move(struct qmp *qmp);

extern const struct qmp_command qmp_commands[]; /* ended by a NULL name */

/* ---- qmp_display.c ---- */

json_t *qmp_screendump(struct qmp *qmp, json_t *arguments, struct error *err);
json_t *qmp_query_mice(struct qmp *qmp, json_t *arguments, struct error *err);
json_t *qmp_send_key(struct qmp *qmp, json_t *arguments, struct error *err);
json_t *qmp_input_send_event(struct qmp *qmp, json_t *arguments, struct error *err);

#endif

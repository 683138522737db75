#include "monitor/monitor.h"
#include "monitor/monitor_internal.h"

#include "monitor/version.h"
#include "ui/console.h"

#include <stdlib.h>
#include <string.h>

#define PROMPT "(qemu) " /* what expect-like scripts wait for */

/* ---- output ---- */

static void flush(struct monitor *m)
{
    while (m->output.length) {
        size_t taken = chardev_write(m->chardev, m->output.data, m->output.length);
        if (!taken)
            return;
        text_consume(&m->output, taken);
    }
}

void monitor_write(struct monitor *m, const char *data, size_t length)
{
    text_append(&m->output, data, length);
    flush(m);
}

/* Terminals want the carriage returned. */
static void write_lines(struct monitor *m, const char *data, size_t length)
{
    struct text lines;
    text_init(&lines);
    hmp_add_carriage_returns(&lines, data, length);
    monitor_write(m, text_string(&lines), lines.length);
    text_finish(&lines);
}

static void write_from_readline(void *opaque, const char *data, size_t length)
{
    monitor_write(opaque, data, length);
}

static void greet(struct monitor *m)
{
    static const char banner[] = "Dragoman " DRAGOMAN_VERSION " monitor - type 'help' for more information\r\n";
    m->greeted = true;
    monitor_write(m, banner, sizeof banner - 1);
    readline_start(&m->readline, PROMPT);
}

static void line_entered(void *opaque, const char *line)
{
    struct monitor *m = opaque;
    struct text out;
    text_init(&out);
    hmp_execute(&m->hmp, line, &out);
    write_lines(m, text_string(&out), out.length);
    text_finish(&out);
    readline_start(&m->readline, PROMPT);
}

static void write_json(void *opaque, const char *data, size_t length)
{
    monitor_write(opaque, data, length);
}

/* ---- the chardev's callbacks ---- */

/* Nothing more is read from a client that does not read its answers. */
static size_t can_receive(void *opaque)
{
    struct monitor *m = opaque;
    flush(m);
    return m->output.length ? 0 : 4096;
}

static void receive(void *opaque, const uint8_t *data, size_t length)
{
    struct monitor *m = opaque;
    if (m->mode == MONITOR_CONTROL)
        json_stream_feed(&m->qmp.stream, data, length);
    else
        for (size_t i = 0; i < length; i++)
            readline_key(&m->readline, data[i]);
}

static void event(void *opaque, enum chardev_event what)
{
    struct monitor *m = opaque;
    switch (what) {
    case CHARDEV_OPENED:
        text_finish(&m->output);
        if (m->mode == MONITOR_CONTROL)
            qmp_connect(&m->qmp);
        else
            greet(m);
        break;
    case CHARDEV_CLOSED:
        text_finish(&m->output);
        if (m->mode == MONITOR_CONTROL)
            qmp_disconnect(&m->qmp);
        break;
    case CHARDEV_FOCUS:
        monitor_write(m, "\r\n", 2);
        if (m->greeted)
            readline_start(&m->readline, PROMPT);
        else
            greet(m);
        break;
    case CHARDEV_UNFOCUS:
        monitor_write(m, "\r\n", 2);
        break;
    case CHARDEV_BREAK:
    case CHARDEV_HELPED:
        break;
    }
}

static void writable(void *opaque)
{
    flush(opaque);
}

static void machine_event(void *opaque, enum vm_event what, enum vm_cause cause)
{
    struct monitor *m = opaque;
    if (m->output.length < MONITOR_EVENT_BACKLOG)
        qmp_event(&m->qmp, what, cause);
}

/* ---- life ---- */

struct monitors *monitors_create(struct vm *vm, struct chardev_host *host, struct error *err)
{
    struct monitors *set = calloc(1, sizeof *set);
    if (!set) {
        error_set(err, "out of memory");
        return NULL;
    }
    set->vm = vm;
    set->host = host;
    set->console = console_create_for_vm(vm, err);
    if (!set->console) {
        free(set);
        return NULL;
    }
    return set;
}

struct console *monitors_console(struct monitors *set)
{
    return set->console;
}

void monitors_register_chardev(struct monitors *set, struct chardev *chardev)
{
    if (set->chardev_count < MONITORS_MAX_CHARDEVS)
        set->chardevs[set->chardev_count++] = chardev;
}

bool monitors_add(struct monitors *set, struct chardev *chardev, enum monitor_mode mode, struct error *err)
{
    struct monitor *m = calloc(1, sizeof *m);
    if (!m)
        return error_set(err, "out of memory");
    m->set = set;
    m->mode = mode;
    m->chardev = chardev;
    m->next = set->first;
    set->first = m;
    text_init(&m->output);
    hmp_init(&m->hmp, set);
    readline_init(&m->readline, write_from_readline, line_entered, hmp_complete, m);
    qmp_init(&m->qmp, set, write_json, m);
    m->hmp.history = &m->readline;
    struct chardev_user user = {can_receive, receive, event, writable, m};
    chardev_set_user(chardev, &user);
    if (mode == MONITOR_CONTROL)
        vm_add_listener(set->vm, machine_event, m);
    /* Connected before we came: standard input, or a client that -chardev waited for. */
    if (chardev_is_connected(chardev) && chardev_mux_has_focus(chardev))
        event(m, CHARDEV_OPENED);
    return true;
}

void monitors_destroy(struct monitors *set)
{
    if (!set)
        return;
    while (set->first) {
        struct monitor *m = set->first;
        set->first = m->next;
        if (m->mode == MONITOR_CONTROL)
            vm_remove_listener(set->vm, machine_event, m);
        chardev_drain(m->chardev, 500);
        flush(m);
        chardev_set_user(m->chardev, NULL);
        readline_finish(&m->readline);
        qmp_finish(&m->qmp);
        text_finish(&m->output);
        free(m);
    }
    console_destroy(set->console);
    free(set);
}

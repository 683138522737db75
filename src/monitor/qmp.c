/* QMP: greeting, negotiation, dispatch, replies and events. */
#include "monitor/qmp.h"

#include "monitor/version.h"

#include <stdlib.h>
#include <string.h>
#include <sys/time.h>

static void send_object(struct qmp *qmp, json_t *object)
{
    char *line = json_dumps(object, JSON_PRESERVE_ORDER);
    if (line) {
        qmp->write(qmp->opaque, line, strlen(line));
        qmp->write(qmp->opaque, "\r\n", 2);
        free(line);
    }
    json_decref(object);
}

static void send_error(struct qmp *qmp, const char *class, const char *message, json_t *id)
{
    json_t *reply = json_pack("{s:{s:s,s:o}}", "error", "class", class, "desc", json_string(message));
    if (!reply) /* not UTF-8 */
        reply = json_pack("{s:{s:s,s:s}}", "error", "class", class, "desc", "invalid characters in the message");
    if (id)
        json_object_set(reply, "id", id);
    send_object(qmp, reply);
}

static const char *type_name(char type)
{
    return type == 'i' ? "integer" : type == 's' ? "string" : "boolean";
}

static bool type_matches(char type, const json_t *value)
{
    return type == '*' || (type == 'i' && json_is_integer(value)) || (type == 's' && json_is_string(value)) ||
           (type == 'b' && json_is_boolean(value));
}

static bool check_arguments(const struct qmp_command *command, json_t *arguments, struct error *err)
{
    const char *key;
    json_t *value;
    for (unsigned i = 0; i < QMP_ARGUMENTS && command->arguments[i].name; i++) {
        const struct qmp_argument *a = &command->arguments[i];
        value = json_object_get(arguments, a->name);
        if (!value && !a->optional)
            return error_set(err, "Parameter '%s' is missing", a->name);
        if (value && !type_matches(a->type, value))
            return error_set(err, "Invalid parameter type for '%s', expected: %s", a->name, type_name(a->type));
    }
    json_object_foreach(arguments, key, value)
    {
        bool known = false;
        for (unsigned i = 0; i < QMP_ARGUMENTS && command->arguments[i].name; i++)
            known |= !strcmp(command->arguments[i].name, key);
        if (!known)
            return error_set(err, "Parameter '%s' is unexpected", key);
    }
    return true;
}

static bool check_request(json_t *request, struct error *err)
{
    const char *key;
    json_t *value;
    if (!json_is_object(request))
        return error_set(err, "QMP input must be a JSON object");
    json_object_foreach(request, key, value)
    {
        if (!strcmp(key, "execute") || !strcmp(key, "exec-oob")) {
            if (!json_is_string(value))
                return error_set(err, "QMP input member '%s' must be a string", key);
        } else if (!strcmp(key, "arguments")) {
            if (!json_is_object(value))
                return error_set(err, "QMP input member 'arguments' must be an object");
        } else if (strcmp(key, "id")) {
            return error_set(err, "QMP input member '%s' is unexpected", key);
        }
    }
    if (json_object_get(request, "exec-oob"))
        return error_set(err, "QMP input member 'exec-oob' is unexpected");
    if (!json_object_get(request, "execute"))
        return error_set(err, "QMP input lacks member 'execute'");
    return true;
}

static const struct qmp_command *find_command(const char *name)
{
    for (const struct qmp_command *c = qmp_commands; c->name; c++)
        if (!strcmp(c->name, name))
            return c;
    return NULL;
}

static void execute(struct qmp *qmp, json_t *request)
{
    struct error err;
    json_t *id = json_is_object(request) ? json_object_get(request, "id") : NULL;
    if (!check_request(request, &err)) {
        send_error(qmp, "GenericError", err.message, id);
        return;
    }
    const char *name = json_string_value(json_object_get(request, "execute"));
    bool negotiation = !strcmp(name, "qmp_capabilities");
    if (!qmp->negotiated && !negotiation) {
        send_error(qmp, "CommandNotFound", "Expecting capabilities negotiation with 'qmp_capabilities'", id);
        return;
    }
    if (qmp->negotiated && negotiation) {
        send_error(qmp, "CommandNotFound", "Capabilities negotiation is already complete, command ignored", id);
        return;
    }
    const struct qmp_command *command = find_command(name);
    if (!command) {
        error_set(&err, "The command %.200s has not been found", name);
        send_error(qmp, "CommandNotFound", err.message, id);
        return;
    }
    json_t *arguments = json_object_get(request, "arguments");
    json_t *none = json_object();
    json_t *result = NULL;
    if (check_arguments(command, arguments ? arguments : none, &err))
        result = command->run(qmp, arguments ? arguments : none, &err);
    json_decref(none);
    if (!result) {
        send_error(qmp, "GenericError", err.message, id);
        return;
    }
    json_t *reply = json_object();
    json_object_set_new(reply, "return", result);
    if (id)
        json_object_set(reply, "id", id);
    send_object(qmp, reply);
}

static void value_received(void *opaque, json_t *value, const char *error)
{
    struct qmp *qmp = opaque;
    if (error)
        send_error(qmp, "GenericError", error, NULL);
    else
        execute(qmp, value);
}

void qmp_event(struct qmp *qmp, enum vm_event event, enum vm_cause cause)
{
    static const char *const names[] = {"SHUTDOWN", "RESET", "POWERDOWN", "STOP", "RESUME",
                                        [VM_EVENT_TRAY_MOVED] = "DEVICE_TRAY_MOVED"};
    if (!qmp->negotiated || event == VM_EVENT_DEBUG)
        return;
    struct timeval now;
    gettimeofday(&now, NULL);
    json_t *object = json_pack("{s:{s:I,s:I},s:s}", "timestamp", "seconds", (json_int_t)now.tv_sec, "microseconds",
                               (json_int_t)now.tv_usec, "event", names[event]);
    if (event == VM_EVENT_SHUTDOWN || event == VM_EVENT_RESET)
        json_object_set_new(object, "data",
                            json_pack("{s:b,s:s}", "guest", vm_cause_is_guest(cause), "reason", vm_cause_name(cause)));
    if (event == VM_EVENT_TRAY_MOVED)
        json_object_set_new(object, "data", qmp_describe_tray_move(qmp));
    send_object(qmp, object);
}

void qmp_connect(struct qmp *qmp)
{
    json_stream_restart(&qmp->stream);
    qmp->connected = true;
    qmp->negotiated = false;
    send_object(qmp, json_pack("{s:{s:{s:{s:i,s:i,s:i},s:s},s:[]}}", "QMP", "version", "qemu", "micro",
                               QMP_DIALECT_MICRO, "minor", QMP_DIALECT_MINOR, "major", QMP_DIALECT_MAJOR, "package",
                               QMP_PACKAGE, "capabilities"));
}

void qmp_disconnect(struct qmp *qmp)
{
    qmp->connected = qmp->negotiated = false;
    json_stream_restart(&qmp->stream);
}

void qmp_init(struct qmp *qmp, struct monitors *set, void (*write)(void *, const char *, size_t), void *opaque)
{
    memset(qmp, 0, sizeof *qmp);
    qmp->set = set;
    qmp->write = write;
    qmp->opaque = opaque;
    json_stream_init(&qmp->stream, value_received, qmp);
}

void qmp_finish(struct qmp *qmp)
{
    json_stream_finish(&qmp->stream);
}

/* QMP's commands about screen, keyboard and mouse. */
#include "monitor/monitor_internal.h"
#include "monitor/qmp.h"

#include "ui/console.h"
#include "ui/key_names.h"

#include <stdio.h>
#include <string.h>

enum { DEFAULT_HOLD_MS = 100 };

json_t *qmp_screendump(struct qmp *qmp, json_t *arguments, struct error *err)
{
    const char *path = json_string_value(json_object_get(arguments, "filename"));
    const char *device = json_string_value(json_object_get(arguments, "device"));
    const char *format = json_string_value(json_object_get(arguments, "format"));
    if (!device && json_object_get(arguments, "head")) {
        error_set(err, "'head' must be specified together with 'device'");
        return NULL;
    }
    return monitor_screendump(qmp->set, path, device, format, err) ? json_object() : NULL;
}

json_t *qmp_query_mice(struct qmp *qmp, json_t *arguments, struct error *err)
{
    return json_pack("[{s:s,s:i,s:b,s:b}]", "name", MONITOR_MOUSE_NAME, "index", MONITOR_MOUSE_INDEX, "current", 1,
                     "absolute", 0);
}

/* ---- structured arguments: members are named with their path in messages, "events[0].data.down" ---- */

enum { PATH_SIZE = 128 };

static const char *json_type_name(json_type type)
{
    switch (type) {
    case JSON_OBJECT:
        return "object";
    case JSON_ARRAY:
        return "array";
    case JSON_STRING:
        return "string";
    case JSON_INTEGER:
        return "integer";
    default:
        return "boolean";
    }
}

static bool has_type(const json_t *value, json_type type)
{
    return type == JSON_TRUE ? json_is_boolean(value) : json_typeof(value) == type;
}

static bool check_type(const json_t *value, json_type type, const char *path, struct error *err)
{
    return has_type(value, type) ||
           error_set(err, "Invalid parameter type for '%s', expected: %s", path, json_type_name(type));
}

/* Member NAME of OBJECT, which messages call PATH. JSON_TRUE stands for booleans. */
static json_t *member(json_t *object, const char *path, const char *name, json_type type, struct error *err)
{
    char full[PATH_SIZE];
    json_t *value = json_object_get(object, name);
    snprintf(full, sizeof full, "%.100s.%s", path, name);
    if (!value) {
        error_set(err, "Parameter '%s' is missing", full);
        return NULL;
    }
    return check_type(value, type, full, err) ? value : NULL;
}

/* Nothing but the members of NAMES (ended by NULL). */
static bool check_members(json_t *object, const char *path, const char *const *names, struct error *err)
{
    const char *key;
    json_t *value;
    json_object_foreach(object, key, value)
    {
        bool known = false;
        for (const char *const *name = names; *name; name++)
            known |= !strcmp(*name, key);
        if (!known)
            return error_set(err, "Parameter '%s.%.60s' is unexpected", path, key);
    }
    return true;
}

/* The number of string member NAME of OBJECT among VALUES; -1 with a message. */
static int choice(json_t *object, const char *path, const char *name, const char *const *values, struct error *err)
{
    json_t *value = member(object, path, name, JSON_STRING, err);
    if (!value)
        return -1;
    for (int i = 0; values[i]; i++)
        if (!strcmp(json_string_value(value), values[i]))
            return i;
    error_set(err, "Parameter '%s' does not accept value '%.100s'", name, json_string_value(value));
    return -1;
}

/* A KeyValue: {"type": "qcode", "data": NAME} or {"type": "number", "data": N}. */
static bool parse_key(json_t *value, const char *path, uint16_t *key, struct error *err)
{
    static const char *const kinds[] = {"number", "qcode", NULL}, *const members[] = {"type", "data", NULL};
    int kind = choice(value, path, "type", kinds, err);
    json_t *data = kind < 0 ? NULL : member(value, path, "data", kind ? JSON_STRING : JSON_INTEGER, err);
    if (!data || !check_members(value, path, members, err))
        return false;
    if (kind == 0) {
        *key = key_from_number(json_integer_value(data));
        return true;
    }
    const char *name = json_string_value(data);
    return key_find_by_name(name, strlen(name), key) ||
           error_set(err, "Parameter 'data' does not accept value '%.100s'", name);
}

json_t *qmp_send_key(struct qmp *qmp, json_t *arguments, struct error *err)
{
    uint16_t keys[MONITOR_MAX_KEYS];
    json_t *list = json_object_get(arguments, "keys"), *hold = json_object_get(arguments, "hold-time"), *value;
    size_t i;
    if (!check_type(list, JSON_ARRAY, "keys", err))
        return NULL;
    if (json_array_size(list) > MONITOR_MAX_KEYS) {
        error_set(err, "Parameter 'keys' has too many elements");
        return NULL;
    }
    json_array_foreach(list, i, value)
    {
        char path[PATH_SIZE];
        snprintf(path, sizeof path, "keys[%zu]", i);
        if (!check_type(value, JSON_OBJECT, path, err) || !parse_key(value, path, &keys[i], err))
            return NULL;
    }
    int64_t time = hold ? json_integer_value(hold) : DEFAULT_HOLD_MS;
    return monitor_send_keys(qmp->set, keys, (unsigned)json_array_size(list), time, err) ? json_object() : NULL;
}

/* ---- input-send-event ---- */

enum input_kind { INPUT_KEY, INPUT_BUTTON, INPUT_RELATIVE, INPUT_ABSOLUTE, INPUT_TOUCH };
static const char *const input_kinds[] = {"key", "btn", "rel", "abs", "mtt", NULL};
static const char *const button_names[] = {"left",  "middle",     "right",       "wheel-up", "wheel-down", "side",
                                           "extra", "wheel-left", "wheel-right", "touch",    NULL};
enum { BUTTON_WHEEL_UP = 3, BUTTON_WHEEL_DOWN = 4 };
static const uint8_t button_bits[] = {
    PS2_BUTTON_LEFT, PS2_BUTTON_MIDDLE, PS2_BUTTON_RIGHT, 0, 0, PS2_BUTTON_SIDE, PS2_BUTTON_EXTRA, 0, 0, 0};

struct input_event {
    enum input_kind kind;
    uint16_t key;
    int choice; /* button or axis */
    bool down;
    int value;
};

static bool parse_key_event(json_t *data, const char *path, struct input_event *event, struct error *err)
{
    static const char *const members[] = {"key", "down", NULL};
    char key_path[PATH_SIZE];
    json_t *key = member(data, path, "key", JSON_OBJECT, err);
    snprintf(key_path, sizeof key_path, "%.100s.key", path);
    if (!key || !parse_key(key, key_path, &event->key, err))
        return false;
    json_t *down = member(data, path, "down", JSON_TRUE, err);
    event->down = json_is_true(down);
    return down && check_members(data, path, members, err);
}

static bool parse_button_event(json_t *data, const char *path, struct input_event *event, struct error *err)
{
    static const char *const members[] = {"button", "down", NULL};
    event->choice = choice(data, path, "button", button_names, err);
    json_t *down = event->choice < 0 ? NULL : member(data, path, "down", JSON_TRUE, err);
    event->down = json_is_true(down);
    return down && check_members(data, path, members, err);
}

static bool parse_move_event(json_t *data, const char *path, struct input_event *event, struct error *err)
{
    static const char *const members[] = {"axis", "value", NULL}, *const axes[] = {"x", "y", NULL};
    event->choice = choice(data, path, "axis", axes, err);
    json_t *value = event->choice < 0 ? NULL : member(data, path, "value", JSON_INTEGER, err);
    json_int_t number = value ? json_integer_value(value) : 0;
    event->value = (int)(number > INT16_MAX ? INT16_MAX : number < INT16_MIN ? INT16_MIN : number);
    return value && check_members(data, path, members, err);
}

static bool parse_event(json_t *object, size_t index, struct input_event *event, struct error *err)
{
    static const char *const members[] = {"type", "data", NULL};
    char path[PATH_SIZE], data_path[PATH_SIZE];
    snprintf(path, sizeof path, "events[%zu]", index);
    snprintf(data_path, sizeof data_path, "events[%zu].data", index);
    memset(event, 0, sizeof *event);
    if (!check_type(object, JSON_OBJECT, path, err))
        return false;
    int kind = choice(object, path, "type", input_kinds, err);
    json_t *data = kind < 0 ? NULL : member(object, path, "data", JSON_OBJECT, err);
    if (!data || !check_members(object, path, members, err))
        return false;
    event->kind = (enum input_kind)kind;
    switch (event->kind) {
    case INPUT_KEY:
        return parse_key_event(data, data_path, event, err);
    case INPUT_BUTTON:
        return parse_button_event(data, data_path, event, err);
    case INPUT_RELATIVE:
    case INPUT_ABSOLUTE:
        return parse_move_event(data, data_path, event, err);
    case INPUT_TOUCH:
        return true; /* refused whatever it says */
    }
    return false;
}

/* Motion along both axes in a row is one motion. */
static void move_mouse(struct console *console, int motion[2])
{
    if (motion[0] || motion[1])
        console_mouse_move(console, motion[0], motion[1], 0);
    motion[0] = motion[1] = 0;
}

static void send_event(struct console *console, const struct input_event *event, int motion[2])
{
    if (event->kind == INPUT_RELATIVE) {
        motion[event->choice] += event->value;
        return;
    }
    move_mouse(console, motion);
    if (event->kind == INPUT_KEY)
        console_key(console, event->key, event->down);
    else if (button_bits[event->choice])
        console_mouse_buttons(console, button_bits[event->choice], event->down ? button_bits[event->choice] : 0);
    else if (event->down && (event->choice == BUTTON_WHEEL_UP || event->choice == BUTTON_WHEEL_DOWN))
        console_mouse_move(console, 0, 0, event->choice == BUTTON_WHEEL_UP ? -1 : 1);
}

/* Two passes: with an error in the list, nothing of it happens. */
json_t *qmp_input_send_event(struct qmp *qmp, json_t *arguments, struct error *err)
{
    json_t *list = json_object_get(arguments, "events"), *value;
    const char *device = json_string_value(json_object_get(arguments, "device"));
    struct console *console = qmp->set->console;
    struct input_event event;
    int motion[2] = {0, 0};
    size_t i;
    if (!check_type(list, JSON_ARRAY, "events", err))
        return NULL;
    json_array_foreach(list, i, value)
    {
        if (!parse_event(value, i, &event, err))
            return NULL;
    }
    if (device) {
        error_set(err, "Device '%.100s' not found", device);
        return NULL;
    }
    if (!console_is_running(console)) {
        error_set(err, "VM not running");
        return NULL;
    }
    json_array_foreach(list, i, value)
    {
        if (!parse_event(value, i, &event, err))
            return NULL;
        if (event.kind == INPUT_ABSOLUTE || event.kind == INPUT_TOUCH) {
            error_set(err, "Input handler not found for event type %s", input_kinds[event.kind]);
            return NULL;
        }
    }
    json_array_foreach(list, i, value)
    {
        parse_event(value, i, &event, err);
        send_event(console, &event, motion);
    }
    move_mouse(console, motion);
    return json_object();
}

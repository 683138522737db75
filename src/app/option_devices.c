/* Chardevs, devices, monitors: what the command line connects with what. */
#include "app/options.h"

#include "devices/debug_exit.h"

#include <string.h>

static int find_chardev(const struct app_options *options, const char *id)
{
    for (unsigned i = 0; i < options->chardev_count; i++)
        if (!strcmp(options->chardevs[i].id, id))
            return (int)i;
    return -1;
}

bool options_attach_by_id(struct app_options *options, struct app_attachment *at, const char *option, const char *id,
                          struct error *err)
{
    at->chardev = find_chardev(options, id);
    if (at->chardev >= 0)
        return true;
    /* -chardev may come later on the line. */
    if (options->unresolved_count == APP_MAX_CHARDEVS || strlen(id) >= sizeof options->unresolved[0].id)
        return error_set(err, "%s: chardev '%s' not found", option, id);
    strcpy(options->unresolved[options->unresolved_count].id, id);
    options->unresolved[options->unresolved_count].at = at;
    options->unresolved[options->unresolved_count++].option = option;
    return true;
}

bool options_attach(struct app_options *options, struct app_attachment *at, const char *option, const char *text,
                    const char *id, struct error *err)
{
    at->chardev = -1;
    if (!strcmp(text, "none"))
        return true;
    if (!strncmp(text, "chardev:", 8))
        return options_attach_by_id(options, at, option, text + 8, err);
    if (options->chardev_count == APP_MAX_CHARDEVS)
        return error_set(err, "%s: too many character devices (at most %d)", option, APP_MAX_CHARDEVS);
    struct chardev_config *config = &options->chardevs[options->chardev_count];
    if (!chardev_config_parse(config, option, text, err))
        return false;
    if (!config->id[0])
        snprintf(config->id, sizeof config->id, "%s", id);
    at->chardev = (int)options->chardev_count++;
    return true;
}

bool options_add_chardev(struct app_options *options, const char *text, struct error *err)
{
    if (options->chardev_count == APP_MAX_CHARDEVS)
        return error_set(err, "-chardev: too many character devices (at most %d)", APP_MAX_CHARDEVS);
    struct chardev_config *config = &options->chardevs[options->chardev_count];
    if (!chardev_config_parse_long(config, text, err))
        return false;
    if (find_chardev(options, config->id) >= 0)
        return error_set(err, "-chardev: duplicate ID '%s'", config->id);
    options->chardev_count++;
    return true;
}

static bool add_attached_monitor(struct app_options *options, enum monitor_mode mode, const char *option,
                                 struct app_attachment **at, struct error *err)
{
    if (options->monitor_count == APP_MAX_MONITORS)
        return error_set(err, "%s: too many monitors (at most %d)", option, APP_MAX_MONITORS);
    options->monitors[options->monitor_count].mode = mode;
    *at = &options->monitors[options->monitor_count++].at;
    (*at)->chardev = -1;
    return true;
}

bool options_add_serial(struct app_options *options, const char *text, struct error *err)
{
    char id[16];
    if (options->serial_count == VM_MAX_SERIAL)
        return error_set(err, "-serial: too many serial ports (at most %d)", VM_MAX_SERIAL);
    unsigned number = options->serial_count++;
    options->default_serial = false;
    snprintf(id, sizeof id, "serial%u", number);
    if (!options_attach(options, &options->serial[number], "-serial", text, id, err))
        return false;
    if (strncmp(text, "mon:", 4))
        return true;
    /* mon: brings a monitor on the same line. */
    struct app_attachment *at = NULL;
    if (!add_attached_monitor(options, MONITOR_HUMAN, "-serial", &at, err))
        return false;
    *at = options->serial[number];
    options->default_monitor = false;
    return true;
}

bool options_add_monitor(struct app_options *options, enum monitor_mode mode, const char *option, const char *text,
                         struct error *err)
{
    struct app_attachment *at = NULL;
    char id[32];
    if (mode == MONITOR_HUMAN)
        options->default_monitor = false;
    if (!strcmp(text, "none"))
        return true;
    snprintf(id, sizeof id, "compat_monitor%u", options->monitor_count);
    return add_attached_monitor(options, mode, option, &at, err) && options_attach(options, at, option, text, id, err);
}

bool options_add_mon(struct app_options *options, const char *text, struct error *err)
{
    char element[128], chardev[64] = "", *value;
    bool overlong, first = true;
    enum monitor_mode mode = MONITOR_HUMAN;
    for (; options_next_element(&text, element, sizeof element, &value, &overlong); first = false) {
        const char *key = element;
        if (!value && first) { /* the bare first word is the chardev */
            value = element;
            key = "chardev";
        }
        if (!value)
            return error_set(err, "-mon: '%s': expected key=value", element);
        if (!strcmp(key, "chardev")) {
            if (strlen(value) >= sizeof chardev)
                return error_set(err, "-mon: chardev '%s' not found", value);
            strcpy(chardev, value);
        } else if (!strcmp(key, "mode")) {
            if (!strcmp(value, "control"))
                mode = MONITOR_CONTROL;
            else if (strcmp(value, "readline"))
                return error_set(err, "-mon: mode=%s: must be readline or control", value);
        } else if (strcmp(key, "id") && strcmp(key, "pretty")) {
            return error_set(err, "-mon: unknown property '%s'", key);
        }
    }
    if (overlong)
        return error_set(err, "-mon: value is too long");
    if (!chardev[0])
        return error_set(err, "-mon: parameter 'chardev' is missing");
    struct app_attachment *at = NULL;
    if (mode == MONITOR_HUMAN)
        options->default_monitor = false;
    return add_attached_monitor(options, mode, "-mon", &at, err) &&
           options_attach_by_id(options, at, "-mon", chardev, err);
}

bool options_set_gdb(struct app_options *options, const char *text, struct error *err)
{
    char spec[CHARDEV_PATH_SIZE + 64];
    bool socket = !strncmp(text, "tcp:", 4) || !strncmp(text, "unix:", 5);
    /* A stub is a server, whether it is said or not. */
    snprintf(spec, sizeof spec, "%.*s%s", CHARDEV_PATH_SIZE, text, socket ? ",server=on,wait=off" : "");
    options->gdb_wanted = strcmp(text, "none");
    return options_attach(options, &options->gdb, "-gdb", spec, "gdb", err);
}

static bool new_device(struct app_options *options, enum vm_device_kind kind, struct vm_device_option **device,
                       struct app_attachment **at, struct error *err)
{
    if (options->vm.device_count == VM_MAX_DEVICES)
        return error_set(err, "-device: too many devices (at most %d)", VM_MAX_DEVICES);
    unsigned number = options->vm.device_count++;
    *device = &options->vm.devices[number];
    memset(*device, 0, sizeof **device);
    (*device)->kind = kind;
    (*device)->readback = 0xe9;
    (*device)->iobase = kind == VM_DEVICE_DEBUGCON ? 0xe9 : DEBUG_EXIT_DEFAULT_IOBASE;
    (*device)->iosize = DEBUG_EXIT_DEFAULT_IOSIZE;
    *at = &options->device[number];
    (*at)->chardev = -1;
    return true;
}

bool options_add_debugcon(struct app_options *options, const char *text, struct error *err)
{
    struct vm_device_option *device = NULL;
    struct app_attachment *at = NULL;
    return new_device(options, VM_DEVICE_DEBUGCON, &device, &at, err) &&
           options_attach(options, at, "-debugcon", text, "debugcon", err);
}

static const struct {
    const char *name;
    enum vm_device_kind kind;
    const char *help;
} device_kinds[] = {
    {"isa-debugcon", VM_DEVICE_DEBUGCON, "iobase=PORT,readback=BYTE,chardev=ID"},
    {"isa-debug-exit", VM_DEVICE_DEBUG_EXIT, "iobase=PORT,iosize=N"},
    {"pc-testdev", VM_DEVICE_TESTDEV, ""},
};

static bool set_property(struct app_options *options, struct vm_device_option *device, struct app_attachment *at,
                         const char *name, const char *key, const char *value, struct error *err)
{
    char what[128];
    uint64_t number;
    bool console = device->kind == VM_DEVICE_DEBUGCON, leave = device->kind == VM_DEVICE_DEBUG_EXIT;
    snprintf(what, sizeof what, "-device %.40s: %.60s", name, key);
    if (!strcmp(key, "id")) {
        if (strlen(value) >= sizeof device->id)
            return error_set(err, "%s: value is too long", what);
        strcpy(device->id, value);
        return true;
    }
    if (!strcmp(key, "iobase") && (console || leave)) {
        if (!options_parse_number(what, value, 0x10000, &number, err))
            return false;
        device->iobase = (uint16_t)number;
        return true;
    }
    if (!strcmp(key, "iosize") && leave) {
        if (!options_parse_number(what, value, 17, &number, err) || !number)
            return error_set(err, "%s=%s: must be 1 to 16", what, value);
        device->iosize = (uint16_t)number;
        return true;
    }
    if (!strcmp(key, "readback") && console) {
        if (!options_parse_number(what, value, 0x100, &number, err))
            return false;
        device->readback = (uint8_t)number;
        return true;
    }
    if (!strcmp(key, "chardev") && console)
        return options_attach_by_id(options, at, "-device", value, err);
    return error_set(err, "-device %s: unknown property '%s'", name, key);
}

/* isa-serial is the next of the four serial ports. */
static bool add_isa_serial(struct app_options *options, const char *text, struct error *err)
{
    char element[128], spec[128] = "null", *value;
    bool overlong;
    while (options_next_element(&text, element, sizeof element, &value, &overlong)) {
        if (!value)
            return error_set(err, "-device isa-serial: '%s': expected key=value", element);
        if (!strcmp(element, "chardev"))
            snprintf(spec, sizeof spec, "chardev:%.100s", value);
        else if (strcmp(element, "id"))
            return error_set(err, "-device isa-serial: unknown property '%s'", element);
    }
    return options_add_serial(options, spec, err);
}

bool options_add_device(struct app_options *options, const char *text, FILE *out, bool *done, struct error *err)
{
    char element[256], name[64], *value;
    bool overlong;
    if (!options_next_element(&text, element, sizeof element, &value, &overlong))
        return error_set(err, "-device: a device name is missing");
    snprintf(name, sizeof name, "%.63s", value && !strcmp(element, "driver") ? value : element);
    if (!strcmp(name, "help") || !strcmp(name, "?")) {
        for (size_t i = 0; i < sizeof device_kinds / sizeof device_kinds[0]; i++)
            fprintf(out, "%-16s %s\n", device_kinds[i].name, device_kinds[i].help);
        fprintf(out, "%-16s %s\n", "isa-serial", "chardev=ID");
        *done = true;
        return true;
    }
    if (!strcmp(name, "isa-serial"))
        return add_isa_serial(options, text, err);
    for (size_t i = 0; i < sizeof device_kinds / sizeof device_kinds[0]; i++) {
        struct vm_device_option *device = NULL;
        struct app_attachment *at = NULL;
        if (strcmp(device_kinds[i].name, name))
            continue;
        if (!new_device(options, device_kinds[i].kind, &device, &at, err))
            return false;
        while (options_next_element(&text, element, sizeof element, &value, &overlong)) {
            if (!value)
                return error_set(err, "-device %s: '%s': expected key=value", name, element);
            if (!set_property(options, device, at, name, element, value, err))
                return false;
        }
        return !overlong || error_set(err, "-device %s: value is too long", name);
    }
    return error_set(err, "-device: '%s' is not a valid device model name (see -device help)", name);
}

bool options_complete_devices(struct app_options *options, struct error *err)
{
    for (unsigned i = 0; i < options->unresolved_count; i++) {
        int index = find_chardev(options, options->unresolved[i].id);
        if (index < 0)
            return error_set(err, "%s: chardev '%s' not found", options->unresolved[i].option,
                             options->unresolved[i].id);
        options->unresolved[i].at->chardev = index;
    }
    bool serial = options->default_serial && !options->no_defaults;
    bool monitor = options->default_monitor && !options->no_defaults;
    if (options->nographic) {
        if (serial && monitor)
            return options_add_serial(options, "mon:stdio", err);
        if (serial && !options_add_serial(options, "stdio", err))
            return false;
        if (monitor && !options_add_monitor(options, MONITOR_HUMAN, "-monitor", "stdio", err))
            return false;
    } else if (serial && !options_add_serial(options, "null", err)) {
        return false;
    }
    return true;
}

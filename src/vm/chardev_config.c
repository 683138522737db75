#include "vm/chardev_config.h"

#include "base/compiler.h"

#include <stdlib.h>
#include <string.h>

bool chardev_config_parse_bool(const char *value, bool *result)
{
    static const struct {
        const char *word;
        bool meaning;
    } words[] = {{"on", true},   {"yes", true}, {"true", true},   {"y", true},
                 {"off", false}, {"no", false}, {"false", false}, {"n", false}};
    for (size_t i = 0; i < ARRAY_SIZE(words); i++)
        if (!strcmp(value, words[i].word)) {
            *result = words[i].meaning;
            return true;
        }
    return false;
}

/* Copies the next comma-separated element of *TEXT to OUT and moves *TEXT behind its comma; ",," stands for a comma.
 * False when it does not fit. */
static bool next_element(const char **text, char *out, size_t size)
{
    size_t length = 0;
    const char *p = *text;
    while (*p) {
        if (*p == ',') {
            if (p[1] != ',')
                break;
            p++;
        }
        if (length + 1 >= size)
            return false;
        out[length++] = *p++;
    }
    out[length] = 0;
    *text = *p == ',' ? p + 1 : p;
    return true;
}

struct parse {
    struct chardev_config *config;
    const char *option; /* "-serial" */
    struct error *err;
    bool nowait_given;
};

static bool set_bool(struct parse *parse, const char *key, const char *value, bool *out)
{
    if (chardev_config_parse_bool(value, out))
        return true;
    return error_set(parse->err, "%s: '%s=%s': must be 'on' or 'off'", parse->option, key, value);
}

static bool set_string(struct parse *parse, const char *key, const char *value, char *out, size_t size)
{
    if (strlen(value) >= size)
        return error_set(parse->err, "%s: value of '%s' is too long", parse->option, key);
    strcpy(out, value);
    return true;
}

static bool set_key(struct parse *parse, const char *key, const char *value)
{
    struct chardev_config *c = parse->config;
    bool is_socket = c->kind == CHARDEV_UNIX || c->kind == CHARDEV_TCP;
    if (!strcmp(key, "id"))
        return set_string(parse, key, value, c->id, sizeof c->id);
    if (!strcmp(key, "mux"))
        return set_bool(parse, key, value, &c->mux);
    if (is_socket && !strcmp(key, "server"))
        return set_bool(parse, key, value, &c->server);
    if (is_socket && !strcmp(key, "wait")) {
        parse->nowait_given = true;
        return set_bool(parse, key, value, &c->wait);
    }
    if (c->kind == CHARDEV_TCP && !strcmp(key, "host"))
        return set_string(parse, key, value, c->host, sizeof c->host);
    if (c->kind == CHARDEV_TCP && !strcmp(key, "port"))
        return set_string(parse, key, value, c->port, sizeof c->port);
    if ((c->kind == CHARDEV_UNIX || c->kind == CHARDEV_FILE) && !strcmp(key, "path"))
        return set_string(parse, key, value, c->path, sizeof c->path);
    if (c->kind == CHARDEV_FILE && !strcmp(key, "append"))
        return set_bool(parse, key, value, &c->append);
    if (c->kind == CHARDEV_STDIO && !strcmp(key, "signal"))
        return set_bool(parse, key, value, &c->signal);
    return error_set(parse->err, "%s: unknown property '%s'", parse->option, key);
}

/* KEY=VALUE elements; a bare word is KEY=on, "noKEY" is KEY=off (the older spelling). */
static bool parse_keys(struct parse *parse, const char *text)
{
    while (*text) {
        char element[CHARDEV_PATH_SIZE + 64];
        if (!next_element(&text, element, sizeof element))
            return error_set(parse->err, "%s: value is too long", parse->option);
        if (!*element)
            continue;
        char *equals = strchr(element, '=');
        const char *key = element, *value = "on";
        if (equals) {
            *equals = 0;
            value = equals + 1;
        } else if (!strcmp(element, "nodelay")) {
            continue; /* TCP: always so */
        } else if (!strncmp(element, "no", 2)) {
            key = element + 2;
            value = "off";
        }
        if (!set_key(parse, key, value))
            return false;
    }
    return true;
}

static bool check(struct parse *parse)
{
    struct chardev_config *c = parse->config;
    if ((c->kind == CHARDEV_FILE || c->kind == CHARDEV_UNIX) && !c->path[0])
        return error_set(parse->err, "%s: a path is missing", parse->option);
    if (c->kind == CHARDEV_TCP && !c->port[0])
        return error_set(parse->err, "%s: a port number is missing", parse->option);
    /* The resolver takes the names of services too, and of larger numbers the lower 16 bits. */
    if (c->kind == CHARDEV_TCP && !c->port[strspn(c->port, "0123456789")] &&
        (strlen(c->port) > 5 || atoi(c->port) > 65535))
        return error_set(parse->err, "%s: port '%s' is not one from 0 to 65535", parse->option, c->port);
    if (!c->server && parse->nowait_given)
        return error_set(parse->err, "%s: 'wait' is only for servers (server=on)", parse->option);
    if (!c->server)
        c->wait = false;
    return true;
}

static void init_config(struct chardev_config *config, enum chardev_kind kind)
{
    memset(config, 0, sizeof *config);
    config->kind = kind;
    config->wait = true;
    config->signal = true;
}

bool chardev_config_parse(struct chardev_config *config, const char *option, const char *text, struct error *err)
{
    init_config(config, CHARDEV_NULL);
    struct parse parse = {config, option, err, false};
    const char *given = text;
    bool mon = !strncmp(text, "mon:", 4);
    if (mon)
        text += 4;

    char head[CHARDEV_PATH_SIZE + 16];
    const char *rest = text;
    if (!next_element(&rest, head, sizeof head))
        return error_set(err, "%s: value is too long", option);
    if (!strcmp(head, "stdio")) {
        config->kind = CHARDEV_STDIO;
    } else if (!strcmp(head, "null") || !strcmp(head, "vc") || !strncmp(head, "vc:", 3)) {
        config->kind = CHARDEV_NULL;
    } else if (!strcmp(head, "pty")) {
        config->kind = CHARDEV_PTY;
    } else if (!strncmp(head, "file:", 5)) {
        config->kind = CHARDEV_FILE;
        if (!set_string(&parse, "path", head + 5, config->path, sizeof config->path))
            return false;
    } else if (!strncmp(head, "unix:", 5)) {
        config->kind = CHARDEV_UNIX;
        if (!set_string(&parse, "path", head + 5, config->path, sizeof config->path))
            return false;
    } else if (!strncmp(head, "tcp:", 4)) {
        config->kind = CHARDEV_TCP;
        char *colon = strrchr(head + 4, ':');
        if (!colon)
            return error_set(err, "%s: '%s': expected tcp:[HOST]:PORT", option, given);
        *colon = 0;
        if (!set_string(&parse, "host", head + 4, config->host, sizeof config->host) ||
            !set_string(&parse, "port", colon + 1, config->port, sizeof config->port))
            return false;
    } else {
        return error_set(
            err, "%s: '%s' is not a valid char device (use stdio, file:PATH, pty, null, unix:PATH or tcp:[HOST]:PORT)",
            option, given);
    }
    if (mon) {
        config->mux = true;
        config->signal = false; /* Ctrl-C is for the guest: the way out is Ctrl-A x */
    }
    return parse_keys(&parse, rest) && check(&parse);
}

bool chardev_config_parse_long(struct chardev_config *config, const char *text, struct error *err)
{
    static const struct {
        const char *name;
        enum chardev_kind kind;
    } kinds[] = {{"null", CHARDEV_NULL}, {"stdio", CHARDEV_STDIO}, {"file", CHARDEV_FILE},
                 {"pty", CHARDEV_PTY},   {"socket", CHARDEV_UNIX}, {"vc", CHARDEV_NULL}};
    struct parse parse = {config, "-chardev", err, false};
    init_config(config, CHARDEV_NULL);

    char name[64];
    if (!next_element(&text, name, sizeof name))
        return error_set(err, "-chardev: backend name is too long");
    const char *backend = !strncmp(name, "backend=", 8) ? name + 8 : name;
    size_t i = 0;
    while (i < ARRAY_SIZE(kinds) && strcmp(kinds[i].name, backend))
        i++;
    if (i == ARRAY_SIZE(kinds))
        return error_set(err, "-chardev: '%s' is not a valid char driver name (use null, stdio, file, pty or socket)",
                         backend);
    config->kind = kinds[i].kind;
    /* A socket with host= or port= is TCP, with path= a Unix one. */
    if (!strcmp(backend, "socket") && !strstr(text, "path="))
        config->kind = CHARDEV_TCP;
    if (!parse_keys(&parse, text))
        return false;
    if (!config->id[0])
        return error_set(err, "-chardev: parameter 'id' is missing");
    return check(&parse);
}

/* Arguments of human monitor commands. */
#include "monitor/expression.h"
#include "monitor/hmp.h"

#include <ctype.h>
#include <string.h>

static void skip_blanks(const char **p)
{
    while (isspace((unsigned char)**p))
        (*p)++;
}

static bool parse_format(struct hmp *hmp, const char **p, struct hmp_arguments *out, struct error *err)
{
    out->count = 1;
    out->format = hmp->format;
    out->size = hmp->format == 'i' ? 0 : hmp->size;
    skip_blanks(p);
    if (**p != '/')
        return true;
    (*p)++;
    if (isdigit((unsigned char)**p)) {
        out->count = 0;
        for (; isdigit((unsigned char)**p); (*p)++)
            out->count = out->count < 100000000 ? out->count * 10 + (unsigned)(**p - '0') : 1000000000;
    }
    char format = 0;
    unsigned size = 0;
    for (;; (*p)++) {
        static const char sizes[] = "bhwgL";
        char c = **p;
        const char *at;
        if (c && strchr("oduxic", c))
            format = c;
        else if (c && (at = strchr(sizes, c)))
            size = (unsigned[]){1, 2, 4, 8, 8}[at - sizes];
        else
            break;
    }
    if (**p && !isspace((unsigned char)**p))
        return error_set(err, "invalid char in format: '%c'", **p);
    if (!format)
        format = hmp->format;
    if (format != 'i') {
        if (!size)
            size = hmp->size;
        hmp->size = size;
    }
    hmp->format = format;
    out->format = format;
    out->size = size;
    return true;
}

/* A word or a quoted string with \n \r \\ \' \" escapes. */
static bool parse_string(const char **p, char *to, size_t size, const char *what, const char *command,
                         struct error *err)
{
    size_t length = 0;
    skip_blanks(p);
    bool quoted = **p == '"';
    if (quoted)
        (*p)++;
    while (**p && (quoted ? **p != '"' : !isspace((unsigned char)**p))) {
        char c = *(*p)++;
        if (quoted && c == '\\') {
            c = **p;
            if (!c)
                break;
            (*p)++;
            if (c == 'n')
                c = '\n';
            else if (c == 'r')
                c = '\r';
            else if (!strchr("\\'\"", c))
                return error_set(err, "unsupported escape code: '\\%c'", c);
        }
        if (length + 1 >= size)
            return error_set(err, "%s: %s is too long", command, what);
        to[length++] = c;
    }
    to[length] = 0;
    if (quoted) {
        if (**p != '"')
            return error_set(err, "unterminated string");
        (*p)++;
    } else if (!length) {
        return error_set(err, "%s: %s expected", command, what);
    }
    return true;
}

bool hmp_parse_arguments(struct hmp *hmp, const struct hmp_command *command, const char *text,
                         struct hmp_arguments *out, struct error *err)
{
    const char *p = text;
    memset(out, 0, sizeof *out);
    for (const char *spec = command->arguments; *spec; spec++) {
        char kind = *spec;
        bool optional = kind != '-' && spec[1] == '?';
        skip_blanks(&p);
        if (optional)
            spec++;
        if (optional && !*p)
            continue;
        switch (kind) {
        case '/':
            if (!parse_format(hmp, &p, out, err))
                return false;
            break;
        case 'i':
        case 'l': {
            int64_t value;
            if (!expression_parse(&p, vm_cpu(hmp->vm, 0), &value, err))
                return false;
            /* 32-bit values, signed or unsigned, as QEMU has it. */
            if (kind == 'i' && value != (int64_t)(uint32_t)value && value != (int32_t)value)
                return error_set(err, "'%s' has failed: integer is for 32-bit values", command->name);
            out->integers[out->integer_count++] = value;
            break;
        }
        case 's':
        case 'F':
            if (!parse_string(&p, out->strings[out->string_count], sizeof out->strings[0],
                              kind == 'F' ? "filename" : "string", command->name, err))
                return false;
            out->string_count++;
            break;
        case 'S': {
            size_t length = strlen(p);
            while (length && isspace((unsigned char)p[length - 1]))
                length--;
            if (length >= sizeof out->strings[0])
                return error_set(err, "%s: string is too long", command->name);
            memcpy(out->strings[out->string_count], p, length);
            out->strings[out->string_count++][length] = 0;
            p += strlen(p);
            break;
        }
        case '-': {
            char letter = *++spec;
            bool valued = spec[1] == '=';
            spec += valued;
            if (p[0] == '-' && p[1] == letter && (!p[2] || isspace((unsigned char)p[2]))) {
                out->flag = true;
                p += 2;
                if (valued &&
                    !parse_string(&p, out->option, sizeof out->option, "option value", command->name, err))
                    return false;
            } else if (p[0] == '-' && p[1] && !isdigit((unsigned char)p[1])) {
                return error_set(err, "%s: unsupported option -%c", command->name, p[1]);
            }
            break;
        }
        }
    }
    skip_blanks(&p);
    if (*p)
        return error_set(err, "%s: extraneous characters at the end of line", command->name);
    return true;
}

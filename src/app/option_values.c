/* Values of options that have a grammar of their own. */
#define _DEFAULT_SOURCE /* timegm */
#include "app/options.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

bool options_next_element(const char **text, char *element, size_t size, char **value, bool *overlong)
{
    size_t length = 0;
    const char *p = *text;
    *overlong = false;
    if (!*p)
        return false;
    for (; *p; p++) {
        if (*p == ',') {
            if (p[1] != ',')
                break;
            p++;
        }
        if (length + 1 >= size) {
            *overlong = true;
            return false;
        }
        element[length++] = *p;
    }
    element[length] = 0;
    *text = *p == ',' ? p + 1 : p;
    *value = strchr(element, '=');
    if (*value)
        *(*value)++ = 0;
    return true;
}

bool options_parse_number(const char *option, const char *text, uint64_t limit, uint64_t *value, struct error *err)
{
    char *end;
    errno = 0;
    unsigned long long number = strtoull(text, &end, 0);
    if (!isdigit((unsigned char)text[0]) || *end || errno || number >= limit)
        return error_set(err, "%s: '%s' is not a number from 0 to %" PRIu64, option, text, limit - 1);
    *value = number;
    return true;
}

bool options_parse_ram_size(const char *text, uint64_t *bytes, struct error *err)
{
    const char *given = text;
    if (!strncmp(text, "size=", 5))
        text += 5;
    char *end;
    errno = 0;
    unsigned long long whole = strtoull(text, &end, 10);
    if (!isdigit((unsigned char)*text) || errno)
        return error_set(err, "-m: '%s' is not a memory size (such as 256, 512M or 2G)", given);
    /* A decimal fraction, in millionths: no floating point is needed for that. */
    uint64_t millionths = 0;
    if (*end == '.') {
        unsigned digits = 0;
        for (end++; isdigit((unsigned char)*end); end++)
            if (digits < 6) {
                millionths = millionths * 10 + (unsigned)(*end - '0');
                digits++;
            }
        for (; digits < 6; digits++)
            millionths *= 10;
    }
    unsigned shift = 20;
    switch (toupper((unsigned char)*end)) {
    case 'B':
        shift = 0;
        break;
    case 'K':
        shift = 10;
        break;
    case 'M':
        break;
    case 'G':
        shift = 30;
        break;
    case 'T':
        shift = 40;
        break;
    case 0:
    case ',':
        end--; /* no suffix */
        break;
    default:
        return error_set(err, "-m: '%s': unknown suffix '%c' (use B, K, M, G or T)", given, *end);
    }
    end++;
    if (*end == ',')
        return error_set(err, "-m: '%s': memory slots are not available, only a size", given);
    if (*end)
        return error_set(err, "-m: '%s' is not a memory size (such as 256, 512M or 2G)", given);
    uint64_t size = whole > (UINT64_MAX >> shift) ? UINT64_MAX : (uint64_t)whole << shift;
    if (size != UINT64_MAX)
        size += (millionths << shift) / 1000000;
    size &= ~(uint64_t)4095;
    if (size < VM_RAM_MIN || size > VM_RAM_MAX)
        return error_set(err, "-m: '%s': memory must be 1M to 3584M", given);
    *bytes = size;
    return true;
}

static bool parse_digits(const char **p, unsigned count, int *value)
{
    *value = 0;
    for (; count; count--, (*p)++) {
        if (!isdigit((unsigned char)**p))
            return false;
        *value = *value * 10 + (**p - '0');
    }
    return true;
}

static bool expect(const char **p, char c)
{
    if (**p != c)
        return false;
    (*p)++;
    return true;
}

static bool parse_date(const char *text, int64_t *epoch)
{
    struct tm t = {0};
    const char *p = text;
    if (!parse_digits(&p, 4, &t.tm_year) || !expect(&p, '-') || !parse_digits(&p, 2, &t.tm_mon) || !expect(&p, '-') ||
        !parse_digits(&p, 2, &t.tm_mday))
        return false;
    if (*p && (!expect(&p, 'T') || !parse_digits(&p, 2, &t.tm_hour) || !expect(&p, ':') ||
               !parse_digits(&p, 2, &t.tm_min) || !expect(&p, ':') || !parse_digits(&p, 2, &t.tm_sec)))
        return false;
    static const uint8_t days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    bool leap = t.tm_year % 4 == 0 && (t.tm_year % 100 != 0 || t.tm_year % 400 == 0);
    if (*p || t.tm_year < 1900 || t.tm_mon < 1 || t.tm_mon > 12 || t.tm_mday < 1 ||
        t.tm_mday > days[t.tm_mon - 1] + (t.tm_mon == 2 && leap) || t.tm_hour > 23 || t.tm_min > 59 || t.tm_sec > 59)
        return false;
    t.tm_year -= 1900;
    t.tm_mon--;
    *epoch = timegm(&t);
    return true;
}

bool options_parse_rtc(const char *text, int64_t now, int64_t *epoch, struct error *err)
{
    char element[128], *value;
    bool overlong;
    while (options_next_element(&text, element, sizeof element, &value, &overlong)) {
        if (!value)
            return error_set(err, "-rtc: '%s': expected base=, clock= or driftfix=", element);
        if (!strcmp(element, "base")) {
            if (!strcmp(value, "utc")) {
                *epoch = now;
            } else if (!strcmp(value, "localtime")) {
                struct tm local;
                time_t t = (time_t)now;
                tzset();
                localtime_r(&t, &local);
                *epoch = timegm(&local);
            } else if (!parse_date(value, epoch)) {
                return error_set(err, "-rtc: base=%s: must be utc, localtime, YYYY-MM-DD or YYYY-MM-DDTHH:MM:SS",
                                 value);
            }
        } else if (!strcmp(element, "clock")) {
            /* The clock always runs on virtual time, which is real time as long as the machine runs. */
            if (strcmp(value, "vm") && strcmp(value, "host") && strcmp(value, "rt"))
                return error_set(err, "-rtc: clock=%s: must be vm, host or rt", value);
        } else if (!strcmp(element, "driftfix")) {
            if (strcmp(value, "none") && strcmp(value, "slew"))
                return error_set(err, "-rtc: driftfix=%s: must be none or slew", value);
        } else {
            return error_set(err, "-rtc: unknown property '%s'", element);
        }
    }
    return !overlong || error_set(err, "-rtc: value is too long");
}

/* hash=FILE and what belongs to it. False: no such element, or (ERR set, *OK false) a wrong one. */
static bool parse_hash_element(const char *element, const char *value, struct trace_hash_options *hash, bool *ok,
                               struct error *err)
{
    const struct {
        const char *name;
        char *path;
    } paths[] = {{"hash", hash->file}, {"hash-log", hash->log}};
    uint64_t n = 0;

    for (size_t i = 0; i < sizeof paths / sizeof paths[0]; i++)
        if (!strcmp(element, paths[i].name)) {
            if (!value || !*value)
                *ok = error_set(err, "-icount: %s needs the name of a file", element);
            else if ((size_t)snprintf(paths[i].path, TRACE_HASH_PATH_SIZE, "%s", value) >= TRACE_HASH_PATH_SIZE)
                *ok = error_set(err, "-icount: %s: the name is too long", element);
            return true;
        }
    if (!strcmp(element, "hash-every")) {
        *ok = value ? options_parse_number("-icount hash-every", value, 64, &n, err)
                    : error_set(err, "-icount: hash-every needs a value");
        hash->log_every = (unsigned)n;
        return true;
    }
    if (strcmp(element, "hash-from") && strcmp(element, "hash-to"))
        return false;
    const char *option = element[5] == 'f' ? "-icount hash-from" : "-icount hash-to";
    *ok = value ? options_parse_number(option, value, UINT64_MAX, &n, err)
                : error_set(err, "%s needs a value", option);
    *(element[5] == 'f' ? &hash->from : &hash->to) = n;
    return true;
}

bool options_parse_icount(const char *text, struct vm_options *vm, struct error *err)
{
    char element[TRACE_HASH_PATH_SIZE + 16], *value;
    bool overlong, given = false;
    vm->counted = true;
    vm->trace_hash = (struct trace_hash_options){.log_every = TRACE_HASH_LOG_EVERY};
    while (options_next_element(&text, element, sizeof element, &value, &overlong)) {
        const char *number = value;
        bool ok = true;
        if (!value && !given && isdigit((unsigned char)element[0]))
            number = element; /* -icount 3 */
        if (number == element || !strcmp(element, "shift")) {
            uint64_t n = 0;
            if (!number || !options_parse_number("-icount shift", number, 11, &n, err))
                return number ? false : error_set(err, "-icount: shift needs a value from 0 to 10");
            vm->counted_shift = (unsigned)n;
            given = true;
        } else if (!strcmp(element, "stop")) {
            if (!value)
                return error_set(err, "-icount: stop needs a number of instructions");
            if (!options_parse_number("-icount stop", value, UINT64_MAX, &vm->counted_stop, err))
                return false;
        } else if (parse_hash_element(element, value, &vm->trace_hash, &ok, err)) {
            if (!ok)
                return false;
        } else if (!strcmp(element, "align") || !strcmp(element, "sleep")) {
            bool on;
            if (!value || !chardev_config_parse_bool(value, &on) || on)
                return error_set(err, "-icount: only %s=off is available: counted time never waits for real time",
                                 element);
        } else {
            return error_set(err, "-icount: unknown property '%s'", element);
        }
    }
    if (overlong)
        return error_set(err, "-icount: value is too long");
    return given || error_set(err, "-icount: shift=N (0 to 10) is missing");
}

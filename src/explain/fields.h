/* Fields of a line's JSON object. A field that is missing or of another type gives the fallback: lines come from
 * outside, and what is damaged must not do harm. */
#ifndef DRAGOMAN_EXPLAIN_FIELDS_H
#define DRAGOMAN_EXPLAIN_FIELDS_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

/* Numbers above it would not survive JavaScript. */
#define FIELD_MAX ((uint64_t)1 << 53)

static inline uint64_t field_number_or(const json_t *object, const char *name, uint64_t fallback)
{
    const json_t *value = json_object_get(object, name);
    if (json_is_integer(value)) {
        json_int_t number = json_integer_value(value);
        return number < 0 ? fallback : (uint64_t)number > FIELD_MAX ? FIELD_MAX : (uint64_t)number;
    }
    if (json_is_real(value)) {
        double number = json_real_value(value);
        return number >= 0 && number < (double)FIELD_MAX ? (uint64_t)number : fallback;
    }
    return fallback;
}

static inline uint64_t field_number(const json_t *object, const char *name)
{
    return field_number_or(object, name, 0);
}

/* -1 is "none" in the format. */
static inline int64_t field_index(const json_t *object, const char *name)
{
    return (int64_t)field_number_or(object, name, UINT64_MAX);
}

static inline const char *field_text(const json_t *object, const char *name)
{
    const char *text = json_string_value(json_object_get(object, name));
    return text ? text : "";
}

static inline bool field_is_true(const json_t *object, const char *name)
{
    return json_is_true(json_object_get(object, name));
}

static inline bool field_hex(const json_t *object, const char *name, uint64_t *out)
{
    const char *text = field_text(object, name);
    uint64_t value = 0;
    unsigned digits = 0;

    for (; text[digits]; digits++) {
        char c = text[digits];
        unsigned digit = c >= '0' && c <= '9'   ? (unsigned)(c - '0')
                         : c >= 'a' && c <= 'f' ? (unsigned)(c - 'a' + 10)
                         : c >= 'A' && c <= 'F' ? (unsigned)(c - 'A' + 10)
                                                : 16;
        if (digit == 16 || digits == 16)
            return false;
        value = value << 4 | digit;
    }
    *out = value;
    return digits > 0;
}

static inline uint64_t field_hex_or(const json_t *object, const char *name, uint64_t fallback)
{
    uint64_t value;
    return field_hex(object, name, &value) ? value : fallback;
}

#endif

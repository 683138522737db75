/* Filters: parsing and asking. */
#include "trace/filter.h"
#include "trace/trace.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* A number that ends at END (exclusive). */
static bool parse_number(const char *text, const char *end, uint64_t *value)
{
    char *behind;

    if (text == end || *text == '-' || *text == '+' || *text == ' ')
        return false;
    errno = 0;
    *value = strtoull(text, &behind, 0);
    return !errno && behind == end;
}

static bool invalid(struct error *err, const char *element, size_t length, const char *why)
{
    return error_set(err, "'%.*s' is no filter: %s", (int)length, element, why);
}

static bool parse_range(struct trace_filter *f, const char *element, size_t length, struct error *err)
{
    const char *end = element + length, *sign = element;
    uint64_t a, b;
    size_t separator = 1;

    while (sign < end && *sign != '+' && *sign != '-' && strncmp(sign, "..", 2) != 0)
        sign++;
    if (sign == end)
        return invalid(
            err, element, length,
            "there are START..END, START+LENGTH, START-LENGTH, cpl=N, cr3=ADDRESS, block=ADDRESS, first=N, hot=N");
    if (*sign == '.')
        separator = 2;
    if (!parse_number(element, sign, &a) || !parse_number(sign + separator, end, &b))
        return invalid(err, element, length, "a number is wrong");
    if (f->range_count == TRACE_FILTER_MAX)
        return invalid(err, element, length, "too many ranges");
    uint64_t first = a, last = b;
    if (*sign != '.') {
        if (b == 0)
            return invalid(err, element, length, "the range is empty");
        if (*sign == '+' ? a + (b - 1) < a : a < b - 1)
            return invalid(err, element, length, "it wraps around");
        first = *sign == '+' ? a : a - (b - 1);
        last = *sign == '+' ? a + (b - 1) : a;
    }
    if (last < first)
        return invalid(err, element, length, "the range is empty");
    f->ranges[f->range_count].first = first;
    f->ranges[f->range_count++].last = last;
    return true;
}

static bool add_to_list(uint64_t *list, unsigned *count, uint64_t value)
{
    if (*count == TRACE_FILTER_MAX)
        return false;
    list[(*count)++] = value;
    return true;
}

static bool parse_named(struct trace_filter *f, const char *element, size_t length, const char *equals,
                        struct error *err)
{
    size_t name = (size_t)(equals - element);
    uint64_t value;
#define NAMED(text) (name == sizeof(text) - 1 && !memcmp(element, text, sizeof(text) - 1))

    if (!parse_number(equals + 1, element + length, &value))
        return invalid(err, element, length, "a number is wrong");
    if (NAMED("cpl")) {
        if (value > 3)
            return invalid(err, element, length, "privilege levels are 0 to 3");
        f->cpl_set |= 1u << value;
        return true;
    }
    if (NAMED("cr3"))
        return add_to_list(f->cr3, &f->cr3_count, value) || invalid(err, element, length, "too many of them");
    if (NAMED("block"))
        return add_to_list(f->blocks, &f->block_count, value) || invalid(err, element, length, "too many of them");
    if (NAMED("first"))
        f->first = value;
    else if (NAMED("hot"))
        f->hot = value;
    else
        return invalid(err, element, length, "there are cpl=, cr3=, block=, first= and hot=");
    return true;
#undef NAMED
}

bool trace_filter_parse(struct trace_filter *f, const char *text, struct error *err)
{
    f->text = text;
    for (const char *element = text;; element++) {
        size_t length = strcspn(element, ",");
        const char *equals = memchr(element, '=', length);

        if (!(equals ? parse_named(f, element, length, equals, err) : parse_range(f, element, length, err)))
            return false;
        element += length;
        if (!*element)
            return true;
    }
}

static bool in_list(const uint64_t *list, unsigned count, uint64_t value)
{
    for (unsigned i = 0; i < count; i++)
        if (list[i] == value)
            return true;
    return false;
}

bool trace_filter_passes(const struct trace_filter *f, const struct trace_scope *scope)
{
    if (f->block_count && !(scope->begins && in_list(f->blocks, f->block_count, scope->linear)))
        return false;
    if (f->range_count && scope->length) {
        uint64_t first = scope->linear, last = first + scope->length - 1;
        bool inside = false;

        for (unsigned i = 0; i < f->range_count; i++)
            inside |= first <= f->ranges[i].last && last >= f->ranges[i].first;
        if (!inside)
            return false;
    }
    if (f->cpl_set && scope->has_cpl && !(f->cpl_set >> scope->cpl & 1))
        return false;
    return !f->cr3_count || !scope->has_cr3 || in_list(f->cr3, f->cr3_count, scope->cr3);
}

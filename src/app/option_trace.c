/* -d, -D, -dfilter, -dformat, -dasm: the trace. */
#include "app/options.h"

#include "monitor/version.h"

#include <string.h>

bool options_set_log(struct app_options *options, const char *items, FILE *out, bool *done, struct error *err)
{
    if (!strcmp(items, "help") || !strcmp(items, "?")) {
        fprintf(out, "Log items (comma separated):\n");
#define X(id, name, help) fprintf(out, "%-15s %s\n", name, help);
        LOG_CATEGORIES(X)
#undef X
        *done = true;
        return true;
    }
    struct log scratch = {.enabled = 0};
    struct error why;
    if (!log_enable(&scratch, items, &why))
        return error_set(err, "-d: %s", why.message);
    options->log_items = items;
    return true;
}

bool options_set_trace_filter(struct app_options *options, const char *text, struct error *err)
{
    struct error why;

    options->trace.filter = (struct trace_filter)TRACE_FILTER_NONE;
    return trace_filter_parse(&options->trace.filter, text, &why) || error_set(err, "-dfilter: %s", why.message);
}

/* VALUE is one of two words; *SECOND: the second. */
static bool choose(const char *option, const char *value, const char *first, const char *second, bool *is_second,
                   struct error *err)
{
    *is_second = !strcmp(value, second);
    return *is_second || !strcmp(value, first) ||
           error_set(err, "%s: '%s' is not valid: must be %s or %s", option, value, first, second);
}

bool options_set_trace_format(struct app_options *options, const char *value, struct error *err)
{
    return choose("-dformat", value, "text", "json", &options->trace.json, err);
}

bool options_set_trace_syntax(struct app_options *options, const char *value, struct error *err)
{
    return choose("-dasm", value, "intel", "att", &options->trace.att, err);
}

bool options_open_trace(const struct app_options *options, struct log *log, struct error *err)
{
    static const char *const engines[] = {[VM_ENGINE_AUTO] = "auto",
                                          [VM_ENGINE_INTERP] = "interp",
                                          [VM_ENGINE_TIER1] = "tier1",
                                          [VM_ENGINE_LOCKSTEP] = "lockstep"};
    struct trace_options trace = options->trace;

    trace.program = "dragoman " DRAGOMAN_VERSION;
    trace.engine = (size_t)options->vm.engine < sizeof engines / sizeof engines[0] && engines[options->vm.engine]
                       ? engines[options->vm.engine]
                       : "";
    return trace_create(log, &trace, err) && (!options->log_file || log_open(log, options->log_file, err)) &&
           (!options->log_items || log_enable(log, options->log_items, err));
}

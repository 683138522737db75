/* dragoman explain: its arguments and what it says. */
#include "explain/explain.h"

#include "base/error.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

static const char usage[] =
    "usage: dragoman explain TRACE [-o REPORT.html] [--blocks N] [--title TEXT]\n"
    "\n"
    "Makes one HTML page, which needs nothing else, from a trace as JSON lines:\n"
    "\n"
    "    dragoman ... -d in_asm,op,op_opt,out_asm,chain,smc,tier,int,profile -D TRACE -dformat json\n"
    "\n"
    "  -o FILE      the page; without it TRACE with .html in place of its ending; \"-\" is standard output\n"
    "  --blocks N   put the code of the N hottest blocks into the page (default 400)\n"
    "  --title TEXT heading of the page (default: the name of the trace)\n";

/* The value if argument *AT is the option NAME, written with one dash or two and with its value behind a space or "=";
 * moves *AT to the last argument that was used. A missing value sets *MISSING. */
static const char *option_value(const char *name, int argc, char **argv, int *at, bool *missing)
{
    const char *argument = argv[*at];
    size_t length = strlen(name);

    if (*missing || argument[0] != '-')
        return NULL;
    argument += argument[1] == '-' ? 2 : 1;
    if (strncmp(argument, name, length))
        return NULL;
    if (argument[length] == '=')
        return argument + length + 1;
    if (argument[length])
        return NULL;
    *missing = *at + 1 >= argc;
    return *missing ? NULL : argv[++*at];
}

static bool parse(int argc, char **argv, struct explain_options *options, bool *help, struct error *err)
{
    bool missing = false;

    *options = (struct explain_options){.blocks = EXPLAIN_DEFAULT_BLOCKS};
    for (int i = 0; i < argc; i++) {
        const char *value;

        if (!strcmp(argv[i], "-h") || !strcmp(argv[i], "-help") || !strcmp(argv[i], "--help")) {
            *help = true;
            return true;
        }
        if ((value = option_value("o", argc, argv, &i, &missing))) {
            options->output = value;
        } else if ((value = option_value("title", argc, argv, &i, &missing))) {
            options->title = value;
        } else if ((value = option_value("blocks", argc, argv, &i, &missing))) {
            char *end;
            unsigned long count = strtoul(value, &end, 10);
            if (*value < '0' || *value > '9' || *end || !count || count > EXPLAIN_MAX_BLOCKS)
                return error_set(err, "--blocks %s: not a number from 1 to %u", value, EXPLAIN_MAX_BLOCKS);
            options->blocks = (unsigned)count;
        } else if (missing) {
            return error_set(err, "%s needs a value", argv[i]);
        } else if (argv[i][0] == '-' && argv[i][1]) {
            return error_set(err, "unknown option '%s' (dragoman explain -help lists them)", argv[i]);
        } else if (options->trace) {
            return error_set(err, "one trace at a time: '%s' and '%s'", options->trace, argv[i]);
        } else {
            options->trace = argv[i];
        }
    }
    return options->trace || error_set(err, "which trace? (dragoman explain TRACE -o REPORT.html)");
}

/* TRACE with its ending replaced; the caller frees it. */
static char *output_beside(const char *trace)
{
    const char *slash = strrchr(trace, '/'), *dot = strrchr(trace, '.');
    size_t length = dot && dot > trace && (!slash || dot > slash + 1) ? (size_t)(dot - trace) : strlen(trace);
    char *path = malloc(length + sizeof ".html");

    if (path) {
        memcpy(path, trace, length);
        memcpy(path + length, ".html", sizeof ".html");
    }
    return path;
}

static void tell(FILE *messages, const struct explain_options *options, const struct explain_report *report)
{
    if (report->damaged)
        fprintf(messages, "dragoman: %s: %" PRIu64 " damaged line%s left out, the first is line %" PRIu64 "\n",
                options->trace, report->damaged, report->damaged == 1 ? "" : "s", report->first_damaged);
    if (report->cut_off)
        fprintf(messages, "dragoman: %s: the trace has no end (the emulator was killed?); what is there is shown\n",
                options->trace);
    fprintf(messages, "%s: %" PRIu64 " lines, %" PRIu64 " translations; %" PRIu64 " blocks in full, %" PRIu64 " KiB\n",
            options->output, report->lines, report->translations, report->shown, (report->page_bytes + 1023) / 1024);
}

int explain_command(int argc, char **argv, FILE *messages)
{
    struct explain_options options;
    struct explain_report report;
    struct error err;
    char *beside = NULL;
    bool help = false, done;

    if (!parse(argc, argv, &options, &help, &err)) {
        fprintf(messages, "dragoman: explain: %s\n", err.message);
        return 1;
    }
    if (help) {
        fputs(usage, stdout);
        return 0;
    }
    if (!options.output)
        options.output = beside = output_beside(options.trace);
    done = options.output ? explain_write_page(&options, &report, &err) : error_set(&err, "out of memory");
    if (done)
        tell(messages, &options, &report);
    else
        fprintf(messages, "dragoman: explain: %s\n", err.message);
    free(beside);
    return done ? 0 : 1;
}

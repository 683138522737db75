#include "bench/options.h"

#include "bench/listener.h"
#include "bench/results.h"

#include <fnmatch.h>
#include <stdlib.h>
#include <string.h>

static const char usage[] =
    "usage: dragoman bench [options]\n"
    "\n"
    "Runs small programs for the bare machine in each engine, natively on this host and in other emulators, and "
    "compares\n"
    "their times. Takes some minutes; --quick only sees whether everything works.\n"
    "\n"
    "  --kernels LIST     these programs; names or patterns such as 'real.*' (default: all; --list names them)\n"
    "  --suites LIST      of these suites: int, fp, simd, code16, system (default: all)\n"
    "  --engines LIST     interp, tier1, auto (default: all three)\n"
    "  --against COMMAND  also another emulator with QEMU's command line, as in --against \"qemu-system-i386 -accel "
    "tcg\";\n"
    "                     may be given more than once\n"
    "  --no-native        not on the host itself\n"
    "  --runs N           runs of each, in turn (default 3)\n"
    "  --rounds N         rounds in a run, fewer in slow emulators (default 10)\n"
    "  --scale PERCENT    work of a round (default 20)\n"
    "  --quick            --runs 1 --rounds 4 --scale 2: for a look, not for figures\n"
    "  --limit SECONDS    patience with one run (default 300)\n"
    "  --details          one line for each program and runner, with least and greatest time\n"
    "  --csv FILE         write the figures as comma-separated text\n"
    "  --json FILE        write them, with the circumstances, as JSON\n"
    "  --svg FILE         draw them\n"
    "  --list             print the programs and end\n"
    "  --help             this list\n"
    "\n"
    "Exit codes: 0 all results are right, 1 one is wrong or missing, or an option is wrong.\n";

struct parse {
    struct bench_options *options;
    char **next;
    const char *name;
    struct error *err;
};

static bool number(struct parse *parse, const char *value, unsigned least, unsigned most, unsigned *result)
{
    char *end;
    unsigned long n = strtoul(value, &end, 10);

    if (*end || end == value || value[0] == '-' || n < least || n > most)
        return error_set(parse->err, "bench: %s '%s': a number from %u to %u is wanted", parse->name, value, least,
                         most);
    *result = (unsigned)n;
    return true;
}

static bool set_runs(struct parse *parse, const char *value)
{
    return number(parse, value, 1, BENCH_MAX_RUNS, &parse->options->runs);
}

static bool set_rounds(struct parse *parse, const char *value)
{
    return number(parse, value, 1, BENCH_MAX_ROUNDS, &parse->options->rounds);
}

static bool set_scale(struct parse *parse, const char *value)
{
    return number(parse, value, 1, 1000, &parse->options->scale);
}

static bool set_limit(struct parse *parse, const char *value)
{
    unsigned seconds = 0;

    if (!number(parse, value, 1, 100000, &seconds))
        return false;
    parse->options->limit = seconds;
    return true;
}

static bool add_against(struct parse *parse, const char *value)
{
    if (parse->options->against_count == BENCH_MAX_AGAINST)
        return error_set(parse->err, "bench: --against: at most %d of them", BENCH_MAX_AGAINST);
    if (!value[strspn(value, " \t")])
        return error_set(parse->err, "bench: --against: a command is wanted");
    parse->options->against[parse->options->against_count++] = value;
    return true;
}

static bool set_engines(struct parse *parse, const char *value)
{
    static const char *const engines[] = {"interp", "tier1", "auto"};
    const char *word = value;

    for (;;) {
        size_t length = strcspn(word, ",");
        bool known = false;

        for (size_t i = 0; i < sizeof engines / sizeof *engines; i++)
            known |= strlen(engines[i]) == length && !strncmp(engines[i], word, length);
        if (!known)
            return error_set(parse->err, "bench: --engines '%s': engines are interp, tier1 and auto", value);
        if (!word[length])
            break;
        word += length + 1;
    }
    parse->options->engines = value;
    return true;
}

#define STRING_OPTION(field)                                                                                           \
    static bool set_##field(struct parse *parse, const char *value)                                                    \
    {                                                                                                                  \
        parse->options->field = value;                                                                                 \
        return true;                                                                                                   \
    }
STRING_OPTION(kernels)
STRING_OPTION(suites)
STRING_OPTION(csv)
STRING_OPTION(json)
STRING_OPTION(svg)

static const struct {
    const char *name;
    bool (*set)(struct parse *parse, const char *value);
} with_value[] = {
    {"runs", set_runs},       {"rounds", set_rounds}, {"scale", set_scale},     {"limit", set_limit},
    {"kernels", set_kernels}, {"suites", set_suites}, {"engines", set_engines}, {"against", add_against},
    {"csv", set_csv},         {"json", set_json},     {"svg", set_svg},
};

static bool set_flag(struct bench_options *options, const char *name)
{
    if (!strcmp(name, "no-native"))
        options->native = false;
    else if (!strcmp(name, "details"))
        options->details = true;
    else if (!strcmp(name, "list"))
        options->list = true;
    else if (!strcmp(name, "quick"))
        options->quick = true;
    else
        return false;
    return true;
}

/* NAME is without dashes; VALUE NULL if it does not have one after an equals sign. */
static bool take(struct parse *parse, const char *name, const char *value)
{
    if (!value && set_flag(parse->options, name))
        return true;
    for (size_t i = 0; i < sizeof with_value / sizeof *with_value; i++) {
        if (strcmp(name, with_value[i].name) != 0)
            continue;
        if (!value)
            value = *parse->next ? *parse->next++ : NULL;
        if (!value)
            return error_set(parse->err, "bench: %s needs a value", parse->name);
        return with_value[i].set(parse, value);
    }
    return error_set(parse->err, "bench: %s: invalid option (bench --help lists all options)", parse->name);
}

enum bench_options_result bench_options_parse(struct bench_options *options, int argc, char **argv, FILE *out,
                                              struct error *err)
{
    struct parse parse = {options, argv + 1, NULL, err};

    *options = (struct bench_options){.limit = 300, .native = true};
    while (parse.next < argv + argc && *parse.next) {
        const char *word = *parse.next++;
        size_t dashes = strspn(word, "-"), length = strcspn(word + dashes, "=");
        char name[32];

        parse.name = word;
        if (dashes < 1 || dashes > 2 || length == 0 || length >= sizeof name) {
            error_set(err, "bench: '%s': invalid option (bench --help lists all options)", word);
            return BENCH_OPTIONS_ERROR;
        }
        memcpy(name, word + dashes, length);
        name[length] = 0;
        if (!strcmp(name, "help") || !strcmp(name, "h")) {
            fputs(usage, out);
            return BENCH_OPTIONS_DONE;
        }
        if (!take(&parse, name, word[dashes + length] ? word + dashes + length + 1 : NULL))
            return BENCH_OPTIONS_ERROR;
    }
    options->runs = options->runs ? options->runs : options->quick ? 1 : 3;
    options->rounds = options->rounds ? options->rounds : options->quick ? 4 : 10;
    options->scale = options->scale ? options->scale : options->quick ? 2 : 20;
    return BENCH_OPTIONS_RUN;
}

bool bench_list_matches(const char *list, const char *name)
{
    if (!list)
        return true;
    while (*list) {
        char pattern[64];
        size_t length = strcspn(list, ",");

        if (length < sizeof pattern) {
            memcpy(pattern, list, length);
            pattern[length] = 0;
            if (fnmatch(pattern, name, 0) == 0)
                return true;
        }
        list += length;
        list += *list == ',';
    }
    return false;
}

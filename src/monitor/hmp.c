/* The human monitor's commands and their dispatch. */
#include "monitor/hmp.h"

#include "monitor/monitor_internal.h"

#include <ctype.h>
#include <string.h>

static void report(struct text *out, const struct error *err)
{
    text_printf(out, "Error: %s\n", err->message);
}

/* ---- commands ---- */

static void cmd_stop(struct hmp *hmp, const struct hmp_arguments *arguments, struct text *out)
{
    vm_stop(hmp->vm, VM_PAUSED);
}

static void cmd_cont(struct hmp *hmp, const struct hmp_arguments *arguments, struct text *out)
{
    struct error err;
    if (!vm_cont(hmp->vm, &err))
        report(out, &err);
}

static void cmd_reset(struct hmp *hmp, const struct hmp_arguments *arguments, struct text *out)
{
    vm_request_reset(hmp->vm, VM_CAUSE_HOST_QMP_RESET);
}

static void cmd_powerdown(struct hmp *hmp, const struct hmp_arguments *arguments, struct text *out)
{
    vm_request_powerdown(hmp->vm);
}

static void cmd_quit(struct hmp *hmp, const struct hmp_arguments *arguments, struct text *out)
{
    vm_request_shutdown(hmp->vm, VM_CAUSE_HOST_QMP_QUIT);
}

static void cmd_nmi(struct hmp *hmp, const struct hmp_arguments *arguments, struct text *out)
{
    vm_inject_nmi(hmp->vm);
}

static void cmd_pmemsave(struct hmp *hmp, const struct hmp_arguments *a, struct text *out)
{
    struct error err;
    if (!monitor_save_physical(hmp->vm, (uint64_t)a->integers[0], (uint32_t)a->integers[1], a->strings[0], &err))
        report(out, &err);
}

static void cmd_memsave(struct hmp *hmp, const struct hmp_arguments *a, struct text *out)
{
    struct error err;
    if (!monitor_save_virtual(hmp->vm, 0, (uint64_t)a->integers[0], (uint32_t)a->integers[1], a->strings[0], &err))
        report(out, &err);
}

static void print_log_items(struct text *out)
{
    text_printf(out, "Log items (comma separated):\n%-15s remove all logs\n", "none");
#define X(id, name, help) text_printf(out, "%-15s %s\n", name, help);
    LOG_CATEGORIES(X)
#undef X
}

static void cmd_log(struct hmp *hmp, const struct hmp_arguments *a, struct text *out)
{
    struct log scratch = {.enabled = 0};
    struct error err;
    bool none = !strcmp(a->strings[0], "none");
    if (!none && !log_enable(&scratch, a->strings[0], &err)) {
        print_log_items(out);
        return;
    }
    vm_freeze(hmp->vm); /* guest threads read the set without a lock */
    hmp->vm->log.enabled = scratch.enabled;
    vm_thaw(hmp->vm);
    vm_log_changed(hmp->vm);
}

static void cmd_logfile(struct hmp *hmp, const struct hmp_arguments *a, struct text *out)
{
    struct error err;
    vm_freeze(hmp->vm);
    device_lock_acquire(&hmp->vm->device_lock);
    bool ok = log_open(&hmp->vm->log, a->strings[0], &err);
    device_lock_release(&hmp->vm->device_lock);
    vm_thaw(hmp->vm);
    if (!ok)
        report(out, &err);
}

static void cmd_help(struct hmp *hmp, const struct hmp_arguments *a, struct text *out);
static void cmd_info(struct hmp *hmp, const struct hmp_arguments *a, struct text *out);

static const struct hmp_command commands[] = {
    {"help|?", "S?", "[cmd]", "show the help", cmd_help},
    {"info", "S?", "[subcommand]", "show various information about the system state", cmd_info},
    {"quit|q", "", "", "quit the emulator", cmd_quit},
    {"stop|s", "", "", "stop emulation", cmd_stop},
    {"cont|c", "", "", "resume emulation", cmd_cont},
    {"system_reset", "", "", "reset the system", cmd_reset},
    {"system_powerdown", "", "", "send system power down event", cmd_powerdown},
    {"x", "/l", "/fmt addr", "virtual memory dump starting at 'addr'", hmp_x},
    {"xp", "/l", "/fmt addr", "physical memory dump starting at 'addr'", hmp_xp},
    {"print|p", "/l", "/fmt expr", "print expression value (use $reg for CPU register access)", hmp_print},
    {"gva2gpa", "l", "addr", "print the guest physical address corresponding to a guest virtual address", hmp_gva2gpa},
    {"i", "/i", "/fmt addr", "I/O port read", hmp_port_read},
    {"o", "/ii", "/fmt addr value", "I/O port write", hmp_port_write},
    {"sum", "ii", "addr size", "compute the checksum of a memory region", hmp_sum},
    {"memsave", "lis", "addr size file", "save to disk virtual memory dump starting at 'addr' of size 'size'",
     cmd_memsave},
    {"pmemsave", "lis", "addr size file", "save to disk physical memory dump starting at 'addr' of size 'size'",
     cmd_pmemsave},
    {"screendump", "F-f=s?l?", "filename [-f format] [device [head]]",
     "save screen from head 'head' of display device 'device' in specified format 'format' as image 'filename'. "
     "Currently only 'png' and 'ppm' formats are supported.",
     hmp_screendump},
    {"sendkey", "si?", "keys [hold_ms]",
     "send keys to the VM (e.g. 'sendkey ctrl-alt-f1', default hold time=100 ms)", hmp_sendkey},
    {"mouse_move", "sss?", "dx dy [dz]", "send mouse move events", hmp_mouse_move},
    {"mouse_button", "i", "state", "change mouse button state (1=L, 2=R, 4=M)", hmp_mouse_button},
    {"mouse_set", "i", "index", "set which mouse device receives events", hmp_mouse_set},
    {"eject", "-fs", "[-f] device", "eject a removable medium (use -f to force it)", hmp_eject},
    {"change", "-fsFs?s?", "[-f] device filename [format [read-only-mode]]",
     "change a removable medium, optional format (use -f to force the operation)", hmp_change},
    {"boot_set", "s", "bootdevice", "define new values for the boot device list", hmp_boot_set},
    {"nmi", "", "", "inject an NMI", cmd_nmi},
    {"log", "s", "item1[,...]", "activate logging of the specified items", cmd_log},
    {"logfile", "F", "filename", "output logs to 'filename'", cmd_logfile},
    {NULL, NULL, NULL, NULL, NULL},
};

/* ---- dispatch ---- */

bool hmp_name_matches(const char *alternatives, const char *name)
{
    size_t length = strlen(name);
    for (const char *p = alternatives; p;) {
        const char *bar = strchr(p, '|');
        size_t size = bar ? (size_t)(bar - p) : strlen(p);
        if (size == length && !strncmp(p, name, length))
            return true;
        p = bar ? bar + 1 : NULL;
    }
    return false;
}

static const struct hmp_command *find_command(const struct hmp_command *table, const char *name)
{
    for (const struct hmp_command *c = table; c->name; c++)
        if (hmp_name_matches(c->name, name))
            return c;
    return NULL;
}

static void print_usage(const char *prefix, const struct hmp_command *c, struct text *out)
{
    text_printf(out, "%s%s %s -- %s\n", prefix, c->name, c->parameters, c->help);
}

/* Splits the first word off LINE: letters up to a blank or a '/' (so "x/4i" is "x" and "/4i"). */
static const char *first_word(const char *line, char *word, size_t size)
{
    size_t length = 0;
    while (isspace((unsigned char)*line))
        line++;
    while (*line && !isspace((unsigned char)*line) && *line != '/') {
        if (length + 1 < size)
            word[length++] = *line;
        line++;
    }
    word[length] = 0;
    return line;
}

static void run(struct hmp *hmp, const struct hmp_command *c, const char *prefix, const char *rest, struct text *out)
{
    struct hmp_arguments arguments;
    struct error err;
    /* Expressions read registers: only while nobody changes them. */
    bool freeze = strpbrk(c->arguments, "il") != NULL;
    if (freeze)
        vm_freeze(hmp->vm);
    bool ok = hmp_parse_arguments(hmp, c, rest, &arguments, &err);
    if (freeze)
        vm_thaw(hmp->vm);
    if (ok) {
        c->run(hmp, &arguments, out);
        return;
    }
    size_t length = strcspn(c->name, "|");
    text_printf(out, "%s\nTry \"help %s%.*s\" for more information\n", err.message, prefix, (int)length, c->name);
}

static void cmd_help(struct hmp *hmp, const struct hmp_arguments *a, struct text *out)
{
    char word[64], second[64];
    const char *rest = first_word(a->string_count ? a->strings[0] : "", word, sizeof word);
    first_word(rest, second, sizeof second);
    if (!word[0]) {
        for (const struct hmp_command *c = commands; c->name; c++)
            print_usage("", c, out);
        return;
    }
    const struct hmp_command *c = find_command(commands, word);
    if (!c) {
        text_printf(out, "unknown command: '%s'\n", word);
    } else if (c->run != cmd_info) {
        print_usage("", c, out);
        if (c->run == cmd_log)
            print_log_items(out);
    } else {
        const struct hmp_command *sub = second[0] ? find_command(hmp_info_commands, second) : NULL;
        if (second[0] && !sub)
            text_printf(out, "unknown command: 'info %s'\n", second);
        for (const struct hmp_command *i = hmp_info_commands; i->name; i++)
            if (sub ? i == sub : !second[0])
                print_usage("info ", i, out);
    }
}

static void cmd_info(struct hmp *hmp, const struct hmp_arguments *a, struct text *out)
{
    char word[64];
    const char *rest = first_word(a->string_count ? a->strings[0] : "", word, sizeof word);
    if (!word[0]) {
        for (const struct hmp_command *i = hmp_info_commands; i->name; i++)
            print_usage("info ", i, out);
        return;
    }
    const struct hmp_command *c = find_command(hmp_info_commands, word);
    if (!c)
        text_printf(out, "unknown command: 'info %s'\n", word);
    else
        run(hmp, c, "info ", rest, out);
}

void hmp_init(struct hmp *hmp, struct monitors *set)
{
    memset(hmp, 0, sizeof *hmp);
    hmp->set = set;
    hmp->vm = set->vm;
    hmp->format = 'x';
    hmp->size = 4;
}

void hmp_execute(struct hmp *hmp, const char *line, struct text *out)
{
    char word[64];
    const char *rest = first_word(line, word, sizeof word);
    if (!word[0] && !*rest)
        return;
    const struct hmp_command *c = find_command(commands, word);
    if (!c)
        text_printf(out, "unknown command: '%s'\n", word);
    else
        run(hmp, c, "", rest, out);
    if (out->truncated)
        out->truncated = false;
}

static void complete_from(const struct hmp_command *table, const char *typed, struct readline_completions *out)
{
    static const size_t limit = sizeof out->words / sizeof out->words[0];
    for (const struct hmp_command *c = table; c->name && out->count < limit; c++) {
        /* Aliases are for typing, not for completing; of "stop|s" the part before the bar. */
        static const struct {
            const char *with_alias, *name;
        } full[] = {
            {"help|?", "help"}, {"quit|q", "quit"}, {"stop|s", "stop"}, {"cont|c", "cont"}, {"print|p", "print"}};
        const char *name = c->name;
        for (size_t i = 0; i < sizeof full / sizeof full[0]; i++)
            if (!strcmp(full[i].with_alias, name))
                name = full[i].name;
        if (!strncmp(name, typed, strlen(typed)))
            out->words[out->count++] = name;
    }
}

void hmp_complete(const char *line, struct readline_completions *out)
{
    char word[64];
    const char *rest = first_word(line, word, sizeof word);
    out->count = 0;
    if (!*rest) {
        complete_from(commands, word, out);
        return;
    }
    bool nested = !strcmp(word, "info") || !strcmp(word, "help");
    if (!nested)
        return;
    const struct hmp_command *table = !strcmp(word, "info") ? hmp_info_commands : commands;
    rest = first_word(rest, word, sizeof word);
    if (!*rest)
        complete_from(table, word, out);
}

void hmp_add_carriage_returns(struct text *out, const char *data, size_t length)
{
    while (length) {
        const char *newline = memchr(data, '\n', length);
        size_t piece = newline ? (size_t)(newline - data) : length;
        text_append(out, data, piece);
        if (!newline)
            return;
        text_append(out, "\r\n", 2);
        data += piece + 1;
        length -= piece + 1;
    }
}

/* The option table: parsing and -help both read it. */
#include "app/options.h"

#include "base/log.h"
#include "cpu/model.h"
#include "monitor/version.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/* The state of one parse, for the options' functions. */
struct parse {
    struct app_options *options;
    FILE *out;
    struct error *err;
    const char *name; /* of the option, with one dash */
    bool done;        /* informative output was printed */
};

struct option_row {
    const char *name;
    const char *argument; /* as -help shows it; NULL: takes none */
    const char *help;     /* NULL: accepted but not listed */
    bool (*set)(struct parse *parse, const char *value);
};

static bool invalid(struct parse *parse, const char *value, const char *allowed)
{
    return error_set(parse->err, "%s: '%s' is not valid: must be %s", parse->name, value, allowed);
}

static bool later(struct parse *parse)
{
    return error_set(parse->err, "%s: not yet available in this build", parse->name);
}

/* ---- machine ---- */

static bool set_memory(struct parse *parse, const char *value)
{
    return options_parse_ram_size(value, &parse->options->vm.ram_size, parse->err);
}

static bool set_cpu(struct parse *parse, const char *value)
{
    if (!strcmp(value, "help") || !strcmp(value, "?")) {
        const struct cpu_model *model;
        fprintf(parse->out, "Available CPUs:\n");
        for (unsigned i = 0; (model = cpu_model_at(i)); i++)
            fprintf(parse->out, "  %-12s %s\n", model->name, model->description);
        parse->done = true;
        return true;
    }
    struct error why;
    if (!cpu_model_find(value, &why))
        return error_set(parse->err, "-cpu: %s", why.message);
    parse->options->vm.cpu = value;
    return true;
}

static bool set_accelerator(struct parse *parse, const char *value)
{
    if (!strcmp(value, "tcg") || !strncmp(value, "tcg,", 4))
        return true; /* software emulation: that is what this is */
    return error_set(parse->err, "%s: accelerator '%s' is not available: this emulator runs without one", parse->name,
                     value);
}

static bool set_machine(struct parse *parse, const char *value)
{
    char element[256], *setting;
    bool overlong, first = true;
    for (; options_next_element(&value, element, sizeof element, &setting, &overlong); first = false) {
        const char *key = setting ? element : first ? "type" : element;
        const char *to = setting ? setting : first ? element : "";
        if (!strcmp(key, "type")) {
            if (!strcmp(to, "help") || !strcmp(to, "?")) {
                fprintf(parse->out, "Supported machines are:\n%-20s PC (i440FX + PIIX, 1996) (default)\n", "pc");
                parse->done = true;
                return true;
            }
            if (strcmp(to, "pc") && strncmp(to, "pc-i440fx", 9))
                return error_set(parse->err, "%s: unsupported machine type '%s' (use pc)", parse->name, to);
        } else if (!strcmp(key, "accel")) {
            if (!set_accelerator(parse, to))
                return false;
        } else {
            return error_set(parse->err, "%s: unknown property '%s'", parse->name, key);
        }
    }
    return !overlong || error_set(parse->err, "%s: value is too long", parse->name);
}

static bool set_processors(struct parse *parse, const char *value)
{
    if (strcmp(value, "1") && strcmp(value, "cpus=1"))
        return error_set(parse->err, "-smp: '%s': only one processor is available in this build", value);
    return true;
}

static bool set_engine(struct parse *parse, const char *value)
{
    static const char *const later_engines[] = {"tier1", "tier2", "auto", "lockstep"};
    if (!strcmp(value, "interp"))
        return true;
    for (size_t i = 0; i < sizeof later_engines / sizeof later_engines[0]; i++)
        if (!strcmp(value, later_engines[i]))
            return error_set(parse->err, "--engine: '%s' is not available in this build (use interp)", value);
    return invalid(parse, value, "interp");
}

static bool set_icount(struct parse *parse, const char *value)
{
    parse->options->vm.counted = true;
    return options_parse_icount(value, &parse->options->vm.counted_shift, parse->err);
}

static bool set_rtc(struct parse *parse, const char *value)
{
    return options_parse_rtc(value, (int64_t)time(NULL), &parse->options->vm.rtc_epoch, parse->err);
}

static bool set_name(struct parse *parse, const char *value)
{
    parse->options->vm.name = !strncmp(value, "guest=", 6) ? value + 6 : value;
    return true;
}

static bool set_no_reboot(struct parse *parse, const char *value)
{
    parse->options->vm.no_reboot = true;
    return true;
}

static bool set_no_shutdown(struct parse *parse, const char *value)
{
    parse->options->vm.no_shutdown = true;
    return true;
}

static bool set_action(struct parse *parse, const char *value)
{
    char element[64], *to;
    bool overlong;
    while (options_next_element(&value, element, sizeof element, &to, &overlong)) {
        if (to && !strcmp(element, "reboot") && (!strcmp(to, "reset") || !strcmp(to, "shutdown")))
            parse->options->vm.no_reboot = !strcmp(to, "shutdown");
        else if (to && !strcmp(element, "shutdown") && (!strcmp(to, "poweroff") || !strcmp(to, "pause")))
            parse->options->vm.no_shutdown = !strcmp(to, "pause");
        else
            return invalid(parse, element, "reboot=reset|shutdown or shutdown=poweroff|pause");
    }
    return !overlong || invalid(parse, value, "reboot=reset|shutdown or shutdown=poweroff|pause");
}

/* ---- what to boot ---- */

static bool set_kernel(struct parse *parse, const char *value)
{
    parse->options->vm.kernel = value;
    return true;
}

static bool set_initrd(struct parse *parse, const char *value)
{
    parse->options->vm.initrd = value;
    return true;
}

static bool set_append(struct parse *parse, const char *value)
{
    parse->options->vm.append = value;
    return true;
}

static bool set_bios(struct parse *parse, const char *value)
{
    parse->options->vm.bios = value;
    return true;
}

static bool set_data_path(struct parse *parse, const char *value)
{
    if (parse->options->data_path_count == APP_MAX_PATHS)
        return error_set(parse->err, "-L: at most %d directories", APP_MAX_PATHS);
    parse->options->data_paths[parse->options->data_path_count++] = value;
    return true;
}

static bool accept(struct parse *parse, const char *value)
{
    return true;
}

/* ---- consoles ---- */

static bool set_nographic(struct parse *parse, const char *value)
{
    parse->options->nographic = true;
    return true;
}

static bool set_display(struct parse *parse, const char *value)
{
    static const char *const others[] = {"sdl", "gtk", "curses", "vnc", "spice-app", "egl-headless", "dbus", "term"};
    if (!strcmp(value, "none"))
        return true;
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++)
        if (!strncmp(value, others[i], strlen(others[i])))
            return error_set(parse->err, "-display: '%s' is not yet available in this build (use none)", value);
    return invalid(parse, value, "none");
}

static bool set_vga(struct parse *parse, const char *value)
{
    static const char *const others[] = {"std", "cirrus", "vmware", "qxl", "virtio"};
    if (!strcmp(value, "none"))
        return true;
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++)
        if (!strcmp(value, others[i]))
            return error_set(parse->err, "-vga: '%s' is not yet available in this build (use none)", value);
    return invalid(parse, value, "none");
}

static bool add_serial(struct parse *parse, const char *value)
{
    return options_add_serial(parse->options, value, parse->err);
}

static bool add_monitor(struct parse *parse, const char *value)
{
    return options_add_monitor(parse->options, MONITOR_HUMAN, parse->name, value, parse->err);
}

static bool add_qmp(struct parse *parse, const char *value)
{
    return options_add_monitor(parse->options, MONITOR_CONTROL, parse->name, value, parse->err);
}

static bool add_mon(struct parse *parse, const char *value)
{
    return options_add_mon(parse->options, value, parse->err);
}

static bool add_chardev(struct parse *parse, const char *value)
{
    return options_add_chardev(parse->options, value, parse->err);
}

static bool add_device(struct parse *parse, const char *value)
{
    return options_add_device(parse->options, value, parse->out, &parse->done, parse->err);
}

static bool add_debugcon(struct parse *parse, const char *value)
{
    return options_add_debugcon(parse->options, value, parse->err);
}

static bool set_no_defaults(struct parse *parse, const char *value)
{
    parse->options->no_defaults = true;
    return true;
}

/* ---- debugging ---- */

static bool set_stopped(struct parse *parse, const char *value)
{
    parse->options->vm.start_stopped = true;
    return true;
}

static bool set_gdb(struct parse *parse, const char *value)
{
    return options_set_gdb(parse->options, value, parse->err);
}

static bool set_default_gdb(struct parse *parse, const char *value)
{
    return options_set_gdb(parse->options, "tcp::1234", parse->err);
}

static bool set_log(struct parse *parse, const char *value)
{
    if (!strcmp(value, "help") || !strcmp(value, "?")) {
        fprintf(parse->out, "Log items (comma separated):\n");
#define X(id, name, help) fprintf(parse->out, "%-15s %s\n", name, help);
        LOG_CATEGORIES(X)
#undef X
        parse->done = true;
        return true;
    }
    struct log scratch = {.enabled = 0};
    struct error why;
    if (!log_enable(&scratch, value, &why))
        return error_set(parse->err, "-d: %s", why.message);
    parse->options->log_items = value;
    return true;
}

static bool set_log_file(struct parse *parse, const char *value)
{
    parse->options->log_file = value;
    return true;
}

static bool print_version(struct parse *parse, const char *value)
{
    fprintf(parse->out, "Dragoman emulator version %s\n", DRAGOMAN_VERSION);
    parse->done = true;
    return true;
}

static bool print_instructions(struct parse *parse, const char *value)
{
    list_instructions(parse->out);
    parse->done = true;
    return true;
}

/* ---- not there yet, or not to be had ---- */

static bool set_disk(struct parse *parse, const char *value)
{
    return error_set(parse->err, "%s: disks are not yet available in this build ('%s')", parse->name, value);
}

static bool set_network(struct parse *parse, const char *value)
{
    return !strcmp(value, "none")
               ? true
               : error_set(parse->err, "%s: networking is not yet available in this build ('%s')", parse->name, value);
}

static bool enable_kvm(struct parse *parse, const char *value)
{
    return set_accelerator(parse, "kvm");
}

static bool not_yet(struct parse *parse, const char *value)
{
    return later(parse);
}

static bool print_help(struct parse *parse, const char *value);

static const struct option_row rows[] = {
    {"h", NULL, NULL, print_help},
    {"help", NULL, "this list", print_help},
    {"version", NULL, "the version", print_version},
    {"M", "TYPE", NULL, set_machine},
    {"machine", "TYPE", "machine type: pc", set_machine},
    {"cpu", "MODEL", "processor model; -cpu help lists them", set_cpu},
    {"smp", "N", "number of processors: 1", set_processors},
    {"m", "SIZE", "memory: MiB, or with suffix K, M, G (default 128, at most 3584)", set_memory},
    {"name", "NAME", "the machine's name, for monitors", set_name},
    {"rtc", "base=BASE", "what the clock shows: utc, localtime or a date (2006-06-17T16:01:21)", set_rtc},
    {"icount", "shift=N", "deterministic time: 2^N nanoseconds an instruction (0 to 10)", set_icount},
    {"engine", "NAME", "execution engine: interp", set_engine},
    {"accel", "NAME", NULL, set_accelerator},
    {"kernel", "FILE", "boot a Linux bzImage, a multiboot kernel or an ELF file directly", set_kernel},
    {"initrd", "FILE", "initial RAM disk, or multiboot modules (FILE ARGUMENTS,...)", set_initrd},
    {"append", "LINE", "command line of the kernel", set_append},
    {"bios", "FILE", "firmware ROM, 64 KiB to 4 MiB", set_bios},
    {"L", "DIR", "directory in which -bios looks for names without a slash", set_data_path},
    {"boot", "ORDER", NULL, accept},
    {"nographic", NULL, "no window: serial port and monitor on this terminal (Ctrl-A h helps)", set_nographic},
    {"display", "KIND", "display: none", set_display},
    {"vga", "KIND", "graphics adapter: none", set_vga},
    {"serial", "DEV", "next serial port: [mon:]stdio, file:PATH, unix:PATH, tcp:HOST:PORT, pty, null, none, chardev:ID",
     add_serial},
    {"monitor", "DEV", "human monitor on DEV", add_monitor},
    {"qmp", "DEV", "QMP (machine monitor) on DEV, such as unix:PATH,server=on,wait=off", add_qmp},
    {"qmp-pretty", "DEV", NULL, add_qmp},
    {"mon", "[chardev=]ID", "monitor on a chardev: mode=readline or mode=control", add_mon},
    {"chardev", "KIND,id=ID", "character device: stdio, file, pty, socket or null", add_chardev},
    {"device", "NAME", "add a device; -device help lists them", add_device},
    {"debugcon", "DEV", "debug console (port E9h) on DEV", add_debugcon},
    {"nodefaults", NULL, "no serial port and no monitor unless asked for", set_no_defaults},
    {"no-reboot", NULL, "end when the machine would reset", set_no_reboot},
    {"no-shutdown", NULL, "stop, but do not end, when the guest powers off", set_no_shutdown},
    {"action", "EVENT=WHAT", "reboot=reset|shutdown, shutdown=poweroff|pause", set_action},
    {"S", NULL, "do not start the processor: wait for 'cont'", set_stopped},
    {"s", NULL, "same as -gdb tcp::1234", set_default_gdb},
    {"gdb", "DEV", "serve gdb on DEV (tcp:[HOST]:PORT; without HOST, this machine only)", set_gdb},
    {"d", "ITEM,...", "log these; -d help lists them", set_log},
    {"D", "FILE", "log to FILE instead of standard error", set_log_file},
    {"list-instructions", NULL, "print the instruction table", print_instructions},
    /* Accepted for the sake of scripts: they describe what is the case anyway. */
    {"snapshot", NULL, NULL, accept},
    {"no-user-config", NULL, NULL, accept},
    {"no-hpet", NULL, NULL, accept},
    {"no-fd-bootchk", NULL, NULL, accept},
    {"parallel", "DEV", NULL, accept},
    {"hda", "FILE", NULL, set_disk},
    {"hdb", "FILE", NULL, set_disk},
    {"hdc", "FILE", NULL, set_disk},
    {"hdd", "FILE", NULL, set_disk},
    {"fda", "FILE", NULL, set_disk},
    {"fdb", "FILE", NULL, set_disk},
    {"cdrom", "FILE", NULL, set_disk},
    {"drive", "SPEC", NULL, set_disk},
    {"blockdev", "SPEC", NULL, set_disk},
    {"net", "SPEC", NULL, set_network},
    {"nic", "SPEC", NULL, set_network},
    {"netdev", "SPEC", NULL, set_network},
    {"vnc", "SPEC", NULL, not_yet},
    {"loadvm", "NAME", NULL, not_yet},
    {"usb", NULL, NULL, not_yet},
    {"enable-kvm", NULL, NULL, enable_kvm},
};

static bool print_help(struct parse *parse, const char *value)
{
    fprintf(parse->out, "usage: dragoman [options]\n\n");
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        const struct option_row *row = &rows[i];
        char left[64];
        if (!row->help)
            continue;
        snprintf(left, sizeof left, "-%s%s%s", row->name, row->argument ? " " : "", row->argument ? row->argument : "");
        fprintf(parse->out, "  %-22s %s\n", left, row->help);
    }
    fprintf(parse->out, "\nExit codes: 0 power-off or quit, 1 error in options or files, (v<<1)|1 isa-debug-exit,\n"
                        "128+n ended by signal n.\n");
    parse->done = true;
    return true;
}

static const struct option_row *find_row(const char *name)
{
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        if (!strcmp(rows[i].name, name))
            return &rows[i];
    return NULL;
}

/* ---- after all options ---- */

/* A ROM's name without a slash is looked up here, then in the data directories. */
static bool find_bios(struct app_options *options, struct error *err)
{
    static const char *const standard[] = {"/usr/share/seabios", "/usr/share/qemu"};
    const char *name = options->vm.bios;
    char path[4096];
    if (!name || strchr(name, '/') || access(name, F_OK) == 0)
        return true;
    for (unsigned i = 0; i < options->data_path_count + 2; i++) {
        const char *directory =
            i < options->data_path_count ? options->data_paths[i] : standard[i - options->data_path_count];
        if ((size_t)snprintf(path, sizeof path, "%s/%s", directory, name) < sizeof path && access(path, F_OK) == 0) {
            options->bios_path = strdup(path);
            options->vm.bios = options->bios_path;
            return options->bios_path || error_set(err, "out of memory");
        }
    }
    return error_set(err, "-bios: cannot find '%s'", name);
}

static bool check_boot(const struct app_options *options, struct error *err)
{
    const struct vm_options *vm = &options->vm;
    if (!vm->kernel && vm->initrd)
        return error_set(err, "-initrd is only for use with -kernel");
    if (!vm->kernel && vm->append)
        return error_set(err, "-append is only for use with -kernel");
    if (!vm->kernel && !vm->bios)
        return error_set(err, "nothing to boot: give -kernel FILE or -bios FILE (-help lists all options)");
    return true;
}

static void set_defaults(struct app_options *options)
{
    memset(options, 0, sizeof *options);
    options->vm.cpu = "pentium4";
    options->vm.ram_size = VM_RAM_DEFAULT;
    options->vm.vcpu_count = 1;
    options->vm.rtc_epoch = (int64_t)time(NULL);
    options->default_serial = options->default_monitor = true;
    options->gdb.chardev = -1;
}

enum options_result options_parse(struct app_options *options, int argc, char **argv, FILE *out, struct error *err)
{
    set_defaults(options);
    for (int i = 1; i < argc; i++) {
        const char *word = argv[i];
        char shown[64];
        if (word[0] != '-' || !word[1]) {
            error_set(err, "'%s': disk images are not yet available in this build (options begin with '-')", word);
            return OPTIONS_ERROR;
        }
        const char *name = word[1] == '-' ? word + 2 : word + 1;
        const struct option_row *row = find_row(name);
        if (!row) {
            error_set(err, "%s: invalid option (-help lists all options)", word);
            return OPTIONS_ERROR;
        }
        snprintf(shown, sizeof shown, "-%s", row->name);
        struct parse parse = {options, out, err, shown, false};
        const char *value = NULL;
        if (row->argument && ++i == argc) {
            error_set(err, "%s: requires an argument", word);
            return OPTIONS_ERROR;
        }
        if (row->argument)
            value = argv[i];
        if (!row->set(&parse, value))
            return OPTIONS_ERROR;
        if (parse.done)
            return OPTIONS_DONE;
    }
    if (!check_boot(options, err) || !find_bios(options, err) || !options_complete_devices(options, err))
        return OPTIONS_ERROR;
    return OPTIONS_RUN;
}

void options_finish(struct app_options *options)
{
    free(options->bios_path);
    options->bios_path = NULL;
}

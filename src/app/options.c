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
    return options_set_accelerator(&parse->options->vm, parse->name, value, parse->err);
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
    return options_set_engine(&parse->options->vm, value, parse->err);
}

static bool set_host_features(struct parse *parse, const char *value)
{
    return options_set_host_features(&parse->options->vm, value, parse->err);
}

static bool set_icount(struct parse *parse, const char *value)
{
    return options_parse_icount(value, &parse->options->vm, parse->err);
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

static bool set_boot(struct parse *parse, const char *value)
{
    return options_parse_boot(value, &parse->options->vm.boot, parse->err);
}

static bool set_no_floppy_check(struct parse *parse, const char *value)
{
    parse->options->vm.no_floppy_check = true;
    return true;
}

static bool accept(struct parse *parse, const char *value)
{
    return true;
}

/* ---- drives ---- */

static bool set_floppy_a(struct parse *parse, const char *value)
{
    return options_set_floppy(parse->options, parse->name, 0, value, parse->err);
}

static bool set_floppy_b(struct parse *parse, const char *value)
{
    return options_set_floppy(parse->options, parse->name, 1, value, parse->err);
}

static bool set_disk_a(struct parse *parse, const char *value)
{
    return options_set_disk(parse->options, parse->name, 0, value, parse->err);
}

static bool set_disk_b(struct parse *parse, const char *value)
{
    return options_set_disk(parse->options, parse->name, 1, value, parse->err);
}

static bool set_disk_c(struct parse *parse, const char *value)
{
    return options_set_disk(parse->options, parse->name, 2, value, parse->err);
}

static bool set_disk_d(struct parse *parse, const char *value)
{
    return options_set_disk(parse->options, parse->name, 3, value, parse->err);
}

static bool set_cdrom(struct parse *parse, const char *value)
{
    return options_set_cdrom(parse->options, parse->name, value, parse->err);
}

static bool add_drive(struct parse *parse, const char *value)
{
    return options_add_drive(parse->options, value, parse->err);
}

static bool set_snapshot(struct parse *parse, const char *value)
{
    parse->options->snapshot = true;
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
    return options_set_display(parse->options, value, parse->out, &parse->done, parse->err);
}

static bool set_full_screen(struct parse *parse, const char *value)
{
    parse->options->display.full_screen = true;
    return true;
}

static bool set_vga(struct parse *parse, const char *value)
{
    static const char *const others[] = {"cirrus", "vmware", "qxl", "virtio"};
    parse->options->vm.vga = !strcmp(value, "std");
    if (!strcmp(value, "none") || !strcmp(value, "std"))
        return true;
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++)
        if (!strcmp(value, others[i]))
            return error_set(parse->err, "-vga: '%s' is not yet available in this build (use std or none)", value);
    return invalid(parse, value, "std or none");
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
    return options_set_log(parse->options, value, parse->out, &parse->done, parse->err);
}

static bool set_trace_filter(struct parse *parse, const char *value)
{
    return options_set_trace_filter(parse->options, value, parse->err);
}

static bool set_trace_format(struct parse *parse, const char *value)
{
    return options_set_trace_format(parse->options, value, parse->err);
}

static bool set_trace_syntax(struct parse *parse, const char *value)
{
    return options_set_trace_syntax(parse->options, value, parse->err);
}

static bool set_log_file(struct parse *parse, const char *value)
{
    parse->options->log_file = value;
    return true;
}

static bool set_stats(struct parse *parse, const char *value)
{
    return options_set_stats(&parse->options->vm, value, parse->err);
}

static bool add_profiler(struct parse *parse, const char *value)
{
    return options_add_profiler(&parse->options->vm, parse->name, parse->err);
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
    {"icount", "shift=N,...",
     "deterministic time: 2^N nanoseconds an instruction (0 to 10); stop=INSTRUCTIONS, hash=FILE, hash-log=FILE",
     set_icount},
    {"engine", "NAME", "auto (translates what is hot), interp, tier1 (translates at once), lockstep (both, compared)",
     set_engine},
    {"host-features", "SET", "native, or baseline: as if the host had nothing beyond x86-64-v1", set_host_features},
    {"accel", "[tcg,]SETTING=VALUE,...",
     "the translator: tb-size=MIB, threshold=EXECUTIONS, block-limit=INSTRUCTIONS, disable-passes=NAME:NAME...",
     set_accelerator},
    {"kernel", "FILE", "boot a Linux bzImage, a multiboot kernel or an ELF file directly", set_kernel},
    {"initrd", "FILE", "initial RAM disk, or multiboot modules (FILE ARGUMENTS,...)", set_initrd},
    {"append", "LINE", "command line of the kernel", set_append},
    {"bios", "FILE", "firmware ROM, 64 KiB to 4 MiB", set_bios},
    {"L", "DIR", "directory in which firmware is looked for, before the usual ones", set_data_path},
    {"boot", "[order=]ABC", "boot from these in order: a floppy, c disk, d CD-ROM; once=, menu=on, strict=on",
     set_boot},
    {"fda", "FILE", "floppy disk in drive A:", set_floppy_a},
    {"fdb", "FILE", "floppy disk in drive B:", set_floppy_b},
    {"hda", "FILE", "hard disk: primary master; -hdb, -hdc, -hdd are the next ones", set_disk_a},
    {"hdb", "FILE", NULL, set_disk_b},
    {"hdc", "FILE", NULL, set_disk_c},
    {"hdd", "FILE", NULL, set_disk_d},
    {"cdrom", "FILE", "CD-ROM: secondary master", set_cdrom},
    {"drive", "file=FILE,...",
     "drive: format=raw, if=ide|floppy, index=, media=disk|cdrom, snapshot=on, readonly=on, id=", add_drive},
    {"snapshot", NULL, "what is written to any drive is lost at the end", set_snapshot},
    {"no-fd-bootchk", NULL, "boot floppies without a signature", set_no_floppy_check},
    {"nographic", NULL, "no window: serial port and monitor on this terminal (Ctrl-A h helps)", set_nographic},
    {"display", "KIND", "screen: sdl (a window), term (this terminal; Ctrl-A h helps) or none", set_display},
    {"full-screen", NULL, "let the window take the whole screen", set_full_screen},
    {"vga", "KIND", "graphics adapter: std or none", set_vga},
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
    {"dfilter", "FILTER,...", "log only this: START..END, START+LENGTH, START-LENGTH, cpl=N, cr3=ADDRESS, "
     "block=ADDRESS, first=N, hot=N", set_trace_filter},
    {"dformat", "FORMAT", "text, or json: a line of JSON for each event", set_trace_format},
    {"dasm", "SYNTAX", "guest code in the log: intel or att", set_trace_syntax},
    {"stats", "FILE", "write all counters and times to FILE at the end (as JSON if it is called *.json)", set_stats},
    {"perfmap", NULL, "tell perf the names of translations: /tmp/perf-PID.map", add_profiler},
    {"jitdump", NULL, "write translations to jit-PID.dump, for perf inject --jit", add_profiler},
    {"gdbjit", NULL, "show translations to a gdb that debugs the emulator", add_profiler},
    {"list-instructions", NULL, "print the instruction table", print_instructions},
    /* Accepted for the sake of scripts: they describe what is the case anyway. */
    {"no-user-config", NULL, NULL, accept},
    {"no-hpet", NULL, NULL, accept},
    {"parallel", "DEV", NULL, accept},
    {"blockdev", "SPEC", NULL, not_yet},
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
    fprintf(parse->out, "usage: dragoman [options] [image of the first hard disk]\n"
                        "       dragoman explain TRACE ...  a trace (-d LIST -D TRACE -dformat json) as a page for the browser\n"
                        "       dragoman bench ...          measures the engines against the host; both have --help\n\n");
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

/* The row of WORD, an option with one or two dashes. --NAME=VALUE gives its value too; else *VALUE is NULL. */
static const struct option_row *find_row(const char *word, const char **value)
{
    const char *name = word[1] == '-' ? word + 2 : word + 1, *equals = strchr(name, '=');
    size_t length = equals && word[1] == '-' ? (size_t)(equals - name) : strlen(name);

    *value = name[length] ? equals + 1 : NULL;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        if (!strncmp(rows[i].name, name, length) && !rows[i].name[length])
            return &rows[i];
    return NULL;
}

/* ---- after all options ---- */

/* What the RTC shows at first in counted time if nobody says otherwise: 2020-01-01 00:00:00, the same for each run. */
#define COUNTED_RTC_EPOCH INT64_C(1577836800)
#define RTC_UNSET         INT64_MIN

#define FIRMWARE      "bios-256k.bin"
#define VGA_FIRMWARE  "vgabios-stdvga.bin"
#define FIRMWARE_HINT "(Debian's package seabios has it)"

/* The file NAME in the data directories, on behalf of OPTION; NULL if there is none or memory is short. */
static char *find_firmware(const struct app_options *options, const char *name)
{
    static const char *const standard[] = {"/usr/share/seabios", "/usr/share/qemu"};
    char path[4096];
    for (unsigned i = 0; i < options->data_path_count + 2; i++) {
        const char *directory =
            i < options->data_path_count ? options->data_paths[i] : standard[i - options->data_path_count];
        if ((size_t)snprintf(path, sizeof path, "%s/%s", directory, name) < sizeof path && access(path, F_OK) == 0)
            return strdup(path);
    }
    return NULL;
}

/* A ROM's name without a slash is looked up here, then in the data directories. Without -bios and without a kernel the
 * usual firmware starts. */
static bool find_bios(struct app_options *options, struct error *err)
{
    const char *name = options->vm.bios;
    if (!name && options->vm.kernel) {
        options->bios_path = find_firmware(options, FIRMWARE);
        options->vm.usual_bios = options->bios_path;
        return true;
    }
    if (name && (strchr(name, '/') || access(name, F_OK) == 0))
        return true;
    options->bios_path = find_firmware(options, name ? name : FIRMWARE);
    options->vm.bios = options->bios_path;
    if (options->bios_path)
        return true;
    return name ? error_set(err, "-bios: cannot find '%s'", name)
                : error_set(err, "cannot find the firmware '" FIRMWARE "' " FIRMWARE_HINT
                                 "; give one with -bios FILE or boot with -kernel FILE");
}

/* Its ROM has the modes, for firmware, and the font. A kernel that is booted directly can do without. */
static bool find_vga_bios(struct app_options *options, struct error *err)
{
    if (!options->vm.vga)
        return true;
    options->vga_bios_path = find_firmware(options, VGA_FIRMWARE);
    options->vm.vga_bios = options->vga_bios_path;
    return options->vga_bios_path || options->vm.kernel ||
           error_set(err, "cannot find the video BIOS '" VGA_FIRMWARE "' " FIRMWARE_HINT "; -vga none does without");
}

static bool check_boot(const struct app_options *options, struct error *err)
{
    const struct vm_options *vm = &options->vm;
    if (!vm->kernel && vm->initrd)
        return error_set(err, "-initrd is only for use with -kernel");
    if (!vm->kernel && vm->append)
        return error_set(err, "-append is only for use with -kernel");
    return true;
}

static void set_defaults(struct app_options *options)
{
    memset(options, 0, sizeof *options);
    options->vm.cpu = "pentium4";
    options->vm.ram_size = VM_RAM_DEFAULT;
    options->vm.engine = VM_ENGINE_AUTO;
    options->vm.translate = (struct translate_options)TRANSLATE_OPTIONS_DEFAULT;
    options->vm.vcpu_count = 1;
    options->vm.vga = true;
    options->vm.boot.reboot_timeout = VM_REBOOT_TIMEOUT_DEFAULT;
    options->vm.rtc_epoch = RTC_UNSET;
    options->trace = (struct trace_options)TRACE_OPTIONS_DEFAULT;
    options->default_serial = options->default_monitor = true;
    options->gdb.chardev = -1;
}

enum options_result options_parse(struct app_options *options, int argc, char **argv, FILE *out, struct error *err)
{
    set_defaults(options);
    for (int i = 1; i < argc; i++) {
        const char *word = argv[i];
        char shown[64];
        if (!strcmp(word, "-")) {
            error_set(err, "'-': an option or the name of a disk image is missing");
            return OPTIONS_ERROR;
        }
        if (word[0] != '-') {
            if (!options_set_disk(options, "disk image", 0, word, err))
                return OPTIONS_ERROR;
            continue;
        }
        const char *value;
        const struct option_row *row = find_row(word, &value);
        if (!row || (value && !row->argument)) {
            error_set(err, "%s: invalid option (-help lists all options)", word);
            return OPTIONS_ERROR;
        }
        snprintf(shown, sizeof shown, "-%s", row->name);
        struct parse parse = {options, out, err, shown, false};
        if (row->argument && !value && ++i == argc) {
            error_set(err, "%s: requires an argument", word);
            return OPTIONS_ERROR;
        }
        if (row->argument && !value)
            value = argv[i];
        if (!row->set(&parse, value))
            return OPTIONS_ERROR;
        if (parse.done)
            return OPTIONS_DONE;
    }
    options->vm.firmware_on_serial = options->nographic;
    if (options->vm.rtc_epoch == RTC_UNSET)
        options->vm.rtc_epoch = options->vm.counted ? COUNTED_RTC_EPOCH : (int64_t)time(NULL);
    if (!check_boot(options, err) || !find_bios(options, err) || !find_vga_bios(options, err) ||
        !options_complete_drives(options, err) || !options_complete_devices(options, err) ||
        !options_complete_display(options, err))
        return OPTIONS_ERROR;
    return OPTIONS_RUN;
}

void options_finish(struct app_options *options)
{
    free(options->bios_path);
    free(options->vga_bios_path);
    options->bios_path = options->vga_bios_path = NULL;
    options_finish_drives(options);
}

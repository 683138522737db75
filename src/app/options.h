/* The command line. */
#ifndef DRAGOMAN_APP_OPTIONS_H
#define DRAGOMAN_APP_OPTIONS_H

#include "base/error.h"
#include "monitor/monitor.h"
#include "trace/trace.h"
#include "vm/chardev.h"
#include "vm/options.h"

#include <stdio.h>

#define APP_MAX_CHARDEVS 24
#define APP_MAX_MONITORS 8
#define APP_MAX_PATHS    8

/* What uses a chardev: one of -serial, -monitor, -qmp, -mon, -debugcon, -device isa-debugcon, -gdb. */
struct app_attachment {
    int chardev; /* index into chardevs, -1: none */
};

enum app_display_kind { APP_DISPLAY_DEFAULT, APP_DISPLAY_NONE, APP_DISPLAY_TERM, APP_DISPLAY_SDL };

struct app_display_options {
    enum app_display_kind kind; /* APP_DISPLAY_DEFAULT only while options are parsed */
    bool full_screen, keep_open;
    int grab_chord;               /* enum sdl_grab_chord */
    struct app_attachment screen; /* term: its chardev */
    bool has_monitor;             /* term: the chardev has a monitor, too */
};

struct app_options {
    struct vm_options vm;
    struct app_display_options display;

    /* Chardevs in the order in which they are to be opened. */
    struct chardev_config chardevs[APP_MAX_CHARDEVS];
    unsigned chardev_count;

    struct app_attachment serial[VM_MAX_SERIAL];
    unsigned serial_count;
    struct {
        enum monitor_mode mode;
        struct app_attachment at;
    } monitors[APP_MAX_MONITORS];
    unsigned monitor_count;
    struct app_attachment device[VM_MAX_DEVICES]; /* as vm.devices */
    struct app_attachment gdb;
    bool gdb_wanted;

    bool nographic;
    bool no_defaults;
    bool default_serial, default_monitor;  /* nobody said otherwise */
    const char *log_items;                 /* -d */
    const char *log_file;                  /* -D */
    struct trace_options trace;            /* -dfilter, -dformat, -dasm */
    const char *data_paths[APP_MAX_PATHS]; /* -L */
    unsigned data_path_count;

    /* Chardev names that were used before -chardev defined them, resolved at the end. */
    struct {
        char id[64];
        struct app_attachment *at;
        const char *option;
    } unresolved[APP_MAX_CHARDEVS];
    unsigned unresolved_count;

    char *bios_path, *vga_bios_path;  /* owned: where they were found */
    char *drive_paths[VM_MAX_DRIVES]; /* owned: images named within a -drive */
    bool snapshot;                    /* -snapshot */
};

enum options_result {
    OPTIONS_RUN,  /* go on */
    OPTIONS_DONE, /* something was printed (-help, -version ...): exit 0 */
    OPTIONS_ERROR /* ERR says what */
};

/* Fills OPTIONS from the command line (ARGV's strings must stay). Informative output goes to OUT. */
enum options_result options_parse(struct app_options *options, int argc, char **argv, FILE *out, struct error *err);
void options_finish(struct app_options *options);

/* ---- option_values.c ---- */

/* "128", "512M", "1.5G", "size=1G"; a bare number counts MiB. */
bool options_parse_ram_size(const char *text, uint64_t *bytes, struct error *err);
/* "base=utc|localtime|2006-06-17T16:01:21|2006-06-17[,clock=...][,driftfix=...]". NOW: seconds since 1970. */
bool options_parse_rtc(const char *text, int64_t now, int64_t *epoch, struct error *err);
/* -icount; sets vm->counted. */
bool options_parse_icount(const char *text, struct vm_options *vm, struct error *err);
/* --engine, -accel (its value, or what -M accel= says) and --host-features. */
bool options_set_engine(struct vm_options *vm, const char *value, struct error *err);
bool options_set_accelerator(struct vm_options *vm, const char *option, const char *text, struct error *err);
bool options_set_host_features(struct vm_options *vm, const char *value, struct error *err);
/* An unsigned number in C notation that fits below LIMIT. */
bool options_parse_number(const char *option, const char *text, uint64_t limit, uint64_t *value, struct error *err);
/* The next element of a comma-separated list: copies it to ELEMENT (",," is a comma), splits it at '='
 * (VALUE is NULL without one) and moves *TEXT on. False at the end of the list or, with *OVERLONG, when it does not
 * fit. */
bool options_next_element(const char **text, char *element, size_t size, char **value, bool *overlong);

/* ---- option_devices.c ---- */
bool options_add_device(struct app_options *options, const char *text, FILE *out, bool *done, struct error *err);
/* A device specification of the short form, "chardev:ID" or "none". */
bool options_attach(struct app_options *options, struct app_attachment *at, const char *option, const char *text,
                    const char *id, struct error *err);
bool options_attach_by_id(struct app_options *options, struct app_attachment *at, const char *option, const char *id,
                          struct error *err);
bool options_add_serial(struct app_options *options, const char *text, struct error *err);
bool options_add_monitor(struct app_options *options, enum monitor_mode mode, const char *option, const char *text,
                         struct error *err);
bool options_add_mon(struct app_options *options, const char *text, struct error *err);
bool options_add_chardev(struct app_options *options, const char *text, struct error *err);
bool options_set_gdb(struct app_options *options, const char *text, struct error *err);
bool options_add_debugcon(struct app_options *options, const char *text, struct error *err);
/* Default serial port and monitor, and names still to be resolved. */
bool options_complete_devices(struct app_options *options, struct error *err);

/* ---- option_drives.c ---- */
/* -fda, -hda and their like. NUMBER counts from 0. */
bool options_set_floppy(struct app_options *options, const char *option, unsigned number, const char *path,
                        struct error *err);
bool options_set_disk(struct app_options *options, const char *option, unsigned number, const char *path,
                      struct error *err);
bool options_set_cdrom(struct app_options *options, const char *option, const char *path, struct error *err);
bool options_add_drive(struct app_options *options, const char *text, struct error *err);
/* "cad" or "order=,once=,menu=,strict=,splash-time=,reboot-timeout=". */
bool options_parse_boot(const char *text, struct vm_boot_option *boot, struct error *err);
/* Drives that every machine has. */
bool options_complete_drives(struct app_options *options, struct error *err);
void options_finish_drives(struct app_options *options);

/* ---- option_display.c ---- */
/* "none", "term", "sdl[,key=value...]"; "help" prints to OUT and sets *DONE. */
bool options_set_display(struct app_options *options, const char *text, FILE *out, bool *done, struct error *err);
/* Chooses a display if nobody has, and gives it its chardev and its monitor. After all other chardevs. */
bool options_complete_display(struct app_options *options, struct error *err);

/* ---- option_profilers.c ---- */
/* PATH is tried now. */
bool options_set_stats(struct vm_options *vm, const char *path, struct error *err);
/* OPTION: "-perfmap", "-jitdump" or "-gdbjit". */
bool options_add_profiler(struct vm_options *vm, const char *option, struct error *err);

/* ---- option_trace.c ---- */
/* -d; for -d help the list is printed to OUT and *DONE is set. */
bool options_set_log(struct app_options *options, const char *items, FILE *out, bool *done, struct error *err);
bool options_set_trace_filter(struct app_options *options, const char *text, struct error *err);
bool options_set_trace_format(struct app_options *options, const char *value, struct error *err);
bool options_set_trace_syntax(struct app_options *options, const char *value, struct error *err);
/* Hangs the trace off LOG and opens its file. */
bool options_open_trace(const struct app_options *options, struct log *log, struct error *err);

/* ---- list_instructions.c ---- */
void list_instructions(FILE *out);

#endif

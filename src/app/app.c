#include "app/app.h"

#include "app/crash.h"
#include "app/display.h"
#include "app/exit_codes.h"
#include "app/options.h"
#include "monitor/gdbstub.h"
#include "monitor/monitor.h"
#include "monitor/statistics.h"
#include "vm/vm.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <unistd.h>

/* All that exists between start and end. */
struct app {
    struct app_options options;
    struct terminal terminal;
    struct main_loop *loop;
    struct chardev_host host;
    struct vm *vm;
    struct chardev *chardevs[APP_MAX_CHARDEVS];
    struct chardev *children[VM_MAX_SERIAL + APP_MAX_MONITORS + VM_MAX_DEVICES + 2]; /* of muxes */
    unsigned child_count;
    struct chardev_port serial[VM_MAX_SERIAL];
    struct chardev_port device[VM_MAX_DEVICES];
    struct monitors *monitors;
    struct gdbstub *gdbstub;
    struct app_display display;
    int signal_fd;
    unsigned signal_source;
    int ended_by; /* signal, or 0 */
};

/* ---- signals ---- */

static void handled_signals(sigset_t *set)
{
    sigemptyset(set);
    sigaddset(set, SIGINT);
    sigaddset(set, SIGTERM);
    sigaddset(set, SIGHUP);
    sigaddset(set, SIGCONT);
}

static void signal_ready(void *opaque, short revents)
{
    struct app *app = opaque;
    struct signalfd_siginfo info;
    while (read(app->signal_fd, &info, sizeof info) == (ssize_t)sizeof info) {
        if (info.ssi_signo == SIGCONT) {
            terminal_reapply(&app->terminal);
            continue;
        }
        app_display_close(&app->display); /* the line is to stay on the terminal */
        if (!app->ended_by)
            fprintf(stderr, "dragoman: terminating on signal %u\n", info.ssi_signo);
        app->ended_by = (int)info.ssi_signo;
        if (app->vm)
            vm_request_shutdown(app->vm, VM_CAUSE_HOST_SIGNAL);
    }
}

static bool watch_signals(struct app *app, struct error *err)
{
    sigset_t set;
    handled_signals(&set);
    app->signal_fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    if (app->signal_fd < 0)
        return error_set(err, "cannot watch signals: %s", strerror(errno));
    app->signal_source = main_loop_add_source(app->loop, app->signal_fd, POLLIN, signal_ready, app);
    return true;
}

/* ---- assembly ---- */

static void quit_from_terminal(void *opaque)
{
    struct app *app = opaque;
    vm_request_shutdown(app->vm, VM_CAUSE_HOST_UI);
}

static void wait_interrupted(void *opaque, bool *stop)
{
    struct app *app = opaque;
    *stop = app->ended_by != 0;
}

static bool open_chardevs(struct app *app, struct error *err)
{
    for (unsigned i = 0; i < app->options.chardev_count; i++) {
        const struct chardev_config *config = &app->options.chardevs[i];
        struct error why;
        app->chardevs[i] = chardev_open(&app->host, config, &why);
        if (!app->chardevs[i])
            return error_set(err, "chardev '%s': %s", config->id, why.message);
        monitors_register_chardev(app->monitors, app->chardevs[i]);
    }
    return true;
}

/* The chardev that AT names, for one more user called ID: a mux gives each its own end. */
static struct chardev *attach(struct app *app, const struct app_attachment *at, const char *id, struct error *err)
{
    struct chardev *chardev = app->chardevs[at->chardev];
    if (chardev_is_mux(chardev)) {
        struct chardev *child = chardev_mux_add_child(chardev, id, err);
        if (child)
            app->children[app->child_count++] = child;
        return child;
    }
    if (chardev_has_user(chardev)) {
        error_set(err, "chardev '%s' is already in use (mux=on would share it)", chardev_id(chardev));
        return NULL;
    }
    return chardev;
}

/* Counted time: a reader who is slow must not show. */
static void connect_port(struct app *app, struct chardev_port *port, struct chardev *chardev)
{
    if (app->options.vm.counted)
        chardev_let_grow(chardev);
    chardev_port_connect(port, chardev, &app->vm->device_lock);
}

static bool connect_ports(struct app *app, struct error *err)
{
    for (unsigned i = 0; i < app->options.serial_count; i++) {
        if (app->options.serial[i].chardev < 0)
            continue;
        struct chardev *chardev = attach(app, &app->options.serial[i], "serial", err);
        if (!chardev)
            return false;
        connect_port(app, &app->serial[i], chardev);
    }
    for (unsigned i = 0; i < app->options.vm.device_count; i++) {
        if (app->options.device[i].chardev < 0)
            continue;
        struct chardev *chardev = attach(app, &app->options.device[i], "debugcon", err);
        if (!chardev)
            return false;
        connect_port(app, &app->device[i], chardev);
    }
    return true;
}

/* Before the monitors: on a shared terminal the screen comes first. */
static bool open_display(struct app *app, struct error *err)
{
    const struct app_attachment *at = &app->options.display.screen;
    struct chardev *screen = at->chardev >= 0 ? attach(app, at, "display", err) : NULL;
    if (at->chardev >= 0 && !screen)
        return false;
    return app_display_open(&app->display, &app->options, app->vm, monitors_console(app->monitors), screen, &app->host,
                            err);
}

static bool start_monitors(struct app *app, struct error *err)
{
    for (unsigned i = 0; i < app->options.monitor_count; i++) {
        if (app->options.monitors[i].at.chardev < 0)
            continue;
        struct chardev *chardev = attach(app, &app->options.monitors[i].at, "monitor", err);
        if (!chardev || !monitors_add(app->monitors, chardev, app->options.monitors[i].mode, err))
            return false;
    }
    if (app->options.gdb_wanted && app->options.gdb.chardev >= 0) {
        struct chardev *chardev = attach(app, &app->options.gdb, "gdb", err);
        if (!chardev)
            return false;
        app->gdbstub = gdbstub_create(app->vm, app->monitors, chardev, err);
        if (!app->gdbstub)
            return false;
    }
    return true;
}

/* Devices are given their ports before the chardevs are open: so a missing kernel is found before
 * anybody is made to connect. */
static void prepare_ports(struct app *app)
{
    for (unsigned i = 0; i < VM_MAX_SERIAL; i++)
        chardev_port_init(&app->serial[i]);
    for (unsigned i = 0; i < VM_MAX_DEVICES; i++)
        chardev_port_init(&app->device[i]);
    for (unsigned i = 0; i < app->options.serial_count; i++)
        if (app->options.serial[i].chardev >= 0)
            app->options.vm.serial[i] = &app->serial[i].port;
    for (unsigned i = 0; i < app->options.vm.device_count; i++)
        if (app->options.device[i].chardev >= 0)
            app->options.vm.devices[i].port = &app->device[i].port;
}

static bool assemble(struct app *app, struct error *err)
{
    app->loop = main_loop_create(err);
    if (!app->loop || !watch_signals(app, err))
        return false;
    terminal_init(&app->terminal, STDIN_FILENO);
    crash_guard_terminal(&app->terminal);
    app->host = (struct chardev_host){app->loop, &app->terminal, false, quit_from_terminal, wait_interrupted, app};
    prepare_ports(app);
    app->vm = vm_create(&app->options.vm, app->loop, err);
    if (!app->vm || !options_open_trace(&app->options, &app->vm->log, err))
        return false;
    app->monitors = monitors_create(app->vm, &app->host, err);
    return app->monitors && open_chardevs(app, err) && connect_ports(app, err) && open_display(app, err) &&
           start_monitors(app, err) && vm_start(app->vm, err);
}

/* ---- the end ---- */

static void take_apart(struct app *app)
{
    /* First what talks to the machine, then the machine, then what its devices write to. */
    app_display_close(&app->display);
    if (app->vm)
        vm_end(app->vm);
    gdbstub_destroy(app->gdbstub);
    monitors_destroy(app->monitors);
    vm_destroy(app->vm);
    for (unsigned i = app->child_count; i-- > 0;)
        chardev_close(app->children[i]);
    for (unsigned i = APP_MAX_CHARDEVS; i-- > 0;)
        chardev_close(app->chardevs[i]);
    crash_forget_terminal();
    if (app->signal_fd >= 0) {
        main_loop_remove_source(app->loop, app->signal_source);
        close(app->signal_fd);
    }
    main_loop_destroy(app->loop);
    options_finish(&app->options);
}

static int run(struct app *app)
{
    struct error err;
    int code = EXIT_CODE_USAGE;
    bool assembled = assemble(app, &err), told = true;
    if (assembled) {
        code = vm_run(app->vm);
        told = trace_hash_finish(app->vm->trace_hash, &err);
        if (told && app->options.vm.stats_file)
            told = statistics_write(app->vm, app->options.vm.stats_file, &err);
    }
    if (!told && code == EXIT_CODE_OK)
        code = EXIT_CODE_USAGE;
    if (app->ended_by)
        code = EXIT_CODE_SIGNAL + app->ended_by;
    take_apart(app);
    if ((!assembled && !app->ended_by) || !told)
        fprintf(stderr, "dragoman: %s\n", err.message); /* the terminal is back by now */
    return code;
}

/* With standard input closed the next open() would become it, and be read as the terminal. */
static void fill_standard_descriptors(void)
{
    int fd;
    do
        fd = open("/dev/null", O_RDWR);
    while (fd >= 0 && fd <= STDERR_FILENO);
    if (fd >= 0)
        close(fd);
}

int app_main(int argc, char **argv)
{
    fill_standard_descriptors();
    struct app *app = calloc(1, sizeof *app);
    struct error err;
    if (!app) {
        fprintf(stderr, "dragoman: out of memory\n");
        return EXIT_CODE_USAGE;
    }
    app->signal_fd = -1;
    /* Before any thread exists, so that all inherit it: signals are read in the main loop. */
    sigset_t set;
    handled_signals(&set);
    pthread_sigmask(SIG_BLOCK, &set, NULL);
    signal(SIGPIPE, SIG_IGN);       /* a vanished reader is an error of write() */
    signal(SIGXFSZ, SIG_IGN);       /* so is a limit on the size of files */
    prctl(PR_SET_TIMERSLACK, 1000); /* nanoseconds: the guest's timers are not to be late by 50 us each */

    int code = EXIT_CODE_OK;
    switch (options_parse(&app->options, argc, argv, stdout, &err)) {
    case OPTIONS_RUN:
        code = run(app);
        break;
    case OPTIONS_DONE:
        if (fflush(stdout) != 0)
            code = EXIT_CODE_USAGE;
        options_finish(&app->options);
        break;
    case OPTIONS_ERROR:
        fprintf(stderr, "dragoman: %s\n", err.message);
        code = EXIT_CODE_USAGE;
        options_finish(&app->options);
        break;
    }
    free(app);
    return code;
}

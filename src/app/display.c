#include "app/display.h"

#include "app/exit_codes.h"
#include "ui/sdl_display.h"
#include "ui/term_display.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* On the window's thread. */
static void window_closed(void *opaque, bool lost)
{
    if (lost) {
        fprintf(stderr, "dragoman: the connection to the display was lost\n");
        vm_request_exit(opaque, EXIT_CODE_USAGE);
    } else {
        vm_request_shutdown(opaque, VM_CAUSE_HOST_UI);
    }
}

bool app_display_open(struct app_display *display, const struct app_options *options, struct vm *vm,
                      struct console *console, struct chardev *screen, struct chardev_host *host, struct error *err)
{
    struct error why;
    if (options->display.kind == APP_DISPLAY_TERM) {
        struct term_display_config config = {.console = console,
                                             .chardev = screen,
                                             .loop = host->loop,
                                             .terminal = host->terminal,
                                             .output_fd = STDOUT_FILENO,
                                             .term = getenv("TERM"),
                                             .colorterm = getenv("COLORTERM"),
                                             .has_monitor = options->display.has_monitor};
        display->term = term_display_create(&config, err);
        return display->term != NULL;
    }
    if (options->display.kind == APP_DISPLAY_SDL) {
        struct sdl_display_config config = {.console = console,
                                            .name = options->vm.name,
                                            .full_screen = options->display.full_screen,
                                            .keep_open = options->display.keep_open,
                                            .grab_chord = (enum sdl_grab_chord)options->display.grab_chord,
                                            .closed = window_closed,
                                            .opaque = vm};
        display->sdl = sdl_display_create(&config, &why);
        return display->sdl ||
               error_set(err, "-display sdl: %.300s (-display term and -display none need no window)", why.message);
    }
    return true;
}

void app_display_close(struct app_display *display)
{
    term_display_destroy(display->term);
    sdl_display_destroy(display->sdl);
    display->term = NULL;
    display->sdl = NULL;
}

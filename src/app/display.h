/* The display that the user chose, between start and end. */
#ifndef DRAGOMAN_APP_DISPLAY_H
#define DRAGOMAN_APP_DISPLAY_H

#include "app/options.h"
#include "ui/console.h"
#include "vm/vm.h"

struct app_display {
    struct term_display *term;
    struct sdl_display *sdl;
};

/* SCREEN is the end of a mux for a display in the terminal; NULL otherwise. */
bool app_display_open(struct app_display *display, const struct app_options *options, struct vm *vm,
                      struct console *console, struct chardev *screen, struct chardev_host *host, struct error *err);
void app_display_close(struct app_display *display);

#endif

/* -display term: the machine's screen in the user's terminal, and what is typed there as keys.
 *
 * The display is a user of a mux on standard input and output (vm/chardev.h), beside a monitor: Ctrl-A is the
 * escape. While the display has the focus, it draws on the terminal's alternate screen; the monitor has the ordinary
 * one. Main thread. */
#ifndef DRAGOMAN_UI_TERM_DISPLAY_H
#define DRAGOMAN_UI_TERM_DISPLAY_H

#include "ui/console.h"
#include "vm/chardev.h"

struct term_display;

struct term_display_config {
    struct console *console;
    struct chardev *chardev; /* an end of a mux on stdio, not yet used */
    struct main_loop *loop;
    struct terminal *terminal;    /* of standard input */
    int output_fd;                /* the terminal's size is that of this one */
    const char *term, *colorterm; /* of the environment, or NULL */
    bool has_monitor;
};

/* Whether a terminal display can work on these descriptors; if not, the message says why. */
bool term_display_is_possible(int input_fd, int output_fd, const char *term, struct error *err);
struct term_display *term_display_create(const struct term_display_config *config, struct error *err);
/* Before the chardev is closed. */
void term_display_destroy(struct term_display *display);

#endif

#include "ui/term_display.h"

#include "ui/canvas.h"
#include "ui/screen_cells.h"
#include "ui/typing.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define MILLISECONDS 1000000ull
/* A screen is looked at this often: while it changes, and when it has not done so for a while. */
#define FRAME_BUSY    (33 * MILLISECONDS)
#define FRAME_IDLE    (100 * MILLISECONDS)
#define IDLE_AFTER    (1000 * MILLISECONDS)
#define FRAME_PICTURE (100 * MILLISECONDS)
#define NOTICE_TIME   (6000 * MILLISECONDS)
#define ESCAPE_TIME   (50 * MILLISECONDS)

enum {
    KEY_STEP_MS = 4,  /* between the steps of a stroke: faster than anybody types, slow enough for a BIOS */
    STROKE_STEPS = 8, /* three modifiers and a key, down and up */
    MAX_SIZE = 1000   /* columns and rows that a terminal is believed to have */
};
enum { KEY_CTRL = 0x1d, KEY_SHIFT = 0x2a, KEY_ALT = 0x38, KEY_DELETE = 0x153 };

struct term_display {
    struct term_display_config config;
    struct canvas canvas;
    struct display_text text;
    struct display_frame frame;
    struct typing typing;
    struct host_timer frame_timer, escape_timer;
    size_t output_sent; /* of canvas.output */
    bool focused;       /* the terminal is ours */
    bool greeted;
    unsigned resumed; /* as terminal->resumed when we last drew */
    int leave_fd;
    uint64_t last_change;
    uint64_t help_until; /* the mux has written help over the screen; 0: no */
    uint64_t notice_until;
    char notice[160];
    unsigned picture_width, picture_height; /* of the present graphics mode; 0 in text modes */
    uint64_t picture_since;
    bool picture_announced;
};

/* ---- output ---- */

/* True when all is on its way. */
static bool flush(struct term_display *d)
{
    struct canvas *canvas = &d->canvas;
    while (d->output_sent < canvas->output_length) {
        size_t taken =
            chardev_write(d->config.chardev, canvas->output + d->output_sent, canvas->output_length - d->output_sent);
        if (!taken)
            return false;
        d->output_sent += taken;
    }
    d->output_sent = canvas->output_length = 0;
    return true;
}

static void terminal_size(const struct term_display *d, unsigned *columns, unsigned *rows)
{
    struct winsize size;
    *columns = 80;
    *rows = 25;
    if (ioctl(d->config.output_fd, TIOCGWINSZ, &size) == 0 && size.ws_col && size.ws_row) {
        *columns = size.ws_col < MAX_SIZE ? size.ws_col : MAX_SIZE;
        *rows = size.ws_row < MAX_SIZE ? size.ws_row : MAX_SIZE;
    }
}

static void enter(struct term_display *d)
{
    terminal_set_leave(d->config.terminal, d->leave_fd, canvas_leave(&d->canvas));
    chardev_write(d->config.chardev, canvas_enter, strlen(canvas_enter));
    canvas_invalidate(&d->canvas);
    d->resumed = d->config.terminal->resumed;
}

static void set_notice(struct term_display *d, const char *text)
{
    snprintf(d->notice, sizeof d->notice, "%s", text);
    d->notice_until = main_loop_host_time() + NOTICE_TIME;
}

/* ---- a look at the screen ---- */

/* Mode changes pass through many a state: this one has lasted. */
#define PICTURE_LASTS (500 * MILLISECONDS)

static void announce_graphics(struct term_display *d)
{
    char text[160];
    uint64_t now = main_loop_host_time();
    if (d->picture_width != d->frame.width || d->picture_height != d->frame.height) {
        d->picture_width = d->frame.width;
        d->picture_height = d->frame.height;
        d->picture_since = now;
        d->picture_announced = false;
    }
    if (d->picture_announced || now - d->picture_since < PICTURE_LASTS || now < d->notice_until)
        return;
    d->picture_announced = true;
    snprintf(text, sizeof text, " Graphics, %u x %u: shown coarsely ('screendump FILE' in the monitor takes a picture)",
             d->frame.width, d->frame.height);
    set_notice(d, text);
}

static void put_screen(struct term_display *d)
{
    if (console_text(d->config.console, &d->text)) {
        d->picture_width = d->picture_height = 0;
        screen_cells_put_text(&d->canvas, &d->text);
    } else if (console_render(d->config.console, &d->frame) && d->frame.width) {
        announce_graphics(d);
        screen_cells_put_picture(&d->canvas, &d->frame);
    } else {
        canvas_clear(&d->canvas);
        d->canvas.cursor = CANVAS_NO_CURSOR;
    }
}

static void put_notice(struct term_display *d, uint64_t now)
{
    unsigned last = d->canvas.rows - 1;
    if (!d->canvas.rows)
        return;
    if (now < d->notice_until)
        canvas_put_bar(&d->canvas, last, d->notice);
    else if (!console_is_running(d->config.console))
        canvas_put_bar(&d->canvas, last,
                       d->config.has_monitor ? " Stopped. Ctrl-A C: monitor ('cont' goes on)" : " Stopped");
}

static void draw(struct term_display *d, uint64_t now)
{
    unsigned columns, rows;
    terminal_size(d, &columns, &rows);
    if (columns != d->canvas.columns || rows != d->canvas.rows)
        canvas_resize(&d->canvas, columns, rows);
    put_screen(d);
    put_notice(d, now);
    canvas_update(&d->canvas);
    if (d->canvas.output_length)
        d->last_change = now;
    flush(d);
}

static void frame_due(void *opaque)
{
    struct term_display *d = opaque;
    uint64_t now = main_loop_host_time();
    if (!d->focused)
        return;
    if (d->resumed != d->config.terminal->resumed)
        enter(d); /* the shell had the terminal */
    if (d->help_until && now >= d->help_until) {
        d->help_until = 0;
        canvas_invalidate(&d->canvas);
    }
    /* A terminal that cannot follow gets the next picture when it has the last. */
    if (!d->help_until && flush(d) && !chardev_pending(d->config.chardev))
        draw(d, now);
    main_loop_set_timer(d->config.loop, &d->frame_timer,
                        now - d->last_change > IDLE_AFTER ? FRAME_IDLE
                        : d->picture_width                ? FRAME_PICTURE
                                                          : FRAME_BUSY);
}

/* ---- keys ---- */

static void type_stroke(struct term_display *d, struct stroke stroke)
{
    static const struct {
        uint8_t modifier;
        uint16_t key;
    } modifiers[3] = {{STROKE_CTRL, KEY_CTRL}, {STROKE_ALT, KEY_ALT}, {STROKE_SHIFT, KEY_SHIFT}};
    struct console *console = d->config.console;
    for (unsigned i = 0; i < 3; i++)
        if (stroke.modifiers & modifiers[i].modifier)
            console_queue_key(console, modifiers[i].key, true, KEY_STEP_MS);
    console_queue_key(console, stroke.key, true, KEY_STEP_MS);
    console_queue_key(console, stroke.key, false, KEY_STEP_MS);
    for (unsigned i = 3; i-- > 0;)
        if (stroke.modifiers & modifiers[i].modifier)
            console_queue_key(console, modifiers[i].key, false, KEY_STEP_MS);
}

static void escape_due(void *opaque)
{
    struct term_display *d = opaque;
    struct stroke stroke;
    if (typing_timeout(&d->typing, &stroke))
        type_stroke(d, stroke);
}

/* Whoever types looks at the screen: it is to follow at once. */
static void wake_up(struct term_display *d)
{
    uint64_t now = main_loop_host_time();
    bool was_idle = now - d->last_change > IDLE_AFTER;
    d->last_change = now;
    if (d->help_until) {
        d->help_until = 0;
        canvas_invalidate(&d->canvas);
    }
    if (was_idle)
        main_loop_set_timer(d->config.loop, &d->frame_timer, FRAME_BUSY);
}

static size_t can_receive(void *opaque)
{
    struct term_display *d = opaque;
    return console_queue_room(d->config.console) / STROKE_STEPS;
}

static void receive(void *opaque, const uint8_t *data, size_t length)
{
    struct term_display *d = opaque;
    struct stroke stroke;
    for (size_t i = 0; i < length; i++)
        if (typing_feed(&d->typing, data[i], &stroke))
            type_stroke(d, stroke);
    if (typing_is_pending(&d->typing))
        main_loop_set_timer(d->config.loop, &d->escape_timer, ESCAPE_TIME);
    else
        main_loop_cancel_timer(d->config.loop, &d->escape_timer);
    wake_up(d);
}

/* ---- focus ---- */

static void take_terminal(struct term_display *d)
{
    if (d->focused)
        return;
    d->focused = true;
    enter(d);
    if (!d->greeted) {
        d->greeted = true;
        set_notice(d, d->config.has_monitor
                          ? " Ctrl-A X: quit   Ctrl-A C: monitor   Ctrl-A B: Ctrl-Alt-Delete   Ctrl-A H: help"
                          : " Ctrl-A X: quit   Ctrl-A B: Ctrl-Alt-Delete   Ctrl-A H: help");
    }
    d->last_change = main_loop_host_time();
    main_loop_set_timer(d->config.loop, &d->frame_timer, 0);
}

static void give_terminal(struct term_display *d)
{
    if (!d->focused)
        return;
    d->focused = false;
    d->help_until = 0;
    main_loop_cancel_timer(d->config.loop, &d->frame_timer);
    main_loop_cancel_timer(d->config.loop, &d->escape_timer);
    memset(&d->typing, 0, sizeof d->typing);
    flush(d);
    d->output_sent = d->canvas.output_length = 0;
    terminal_set_leave(d->config.terminal, -1, NULL);
    const char *leave = canvas_leave(&d->canvas);
    chardev_write(d->config.chardev, leave, strlen(leave));
}

static void event(void *opaque, enum chardev_event what)
{
    static const uint16_t reboot[3] = {KEY_CTRL, KEY_ALT, KEY_DELETE};
    struct term_display *d = opaque;
    switch (what) {
    case CHARDEV_BREAK:
        console_queue_chord(d->config.console, reboot, 3, 100);
        break;
    case CHARDEV_FOCUS:
        take_terminal(d);
        break;
    case CHARDEV_UNFOCUS:
        give_terminal(d);
        break;
    case CHARDEV_HELPED:
        d->help_until = main_loop_host_time() + NOTICE_TIME;
        break;
    case CHARDEV_OPENED:
    case CHARDEV_CLOSED:
        break;
    }
}

/* ---- life ---- */

bool term_display_is_possible(int input_fd, int output_fd, const char *term, struct error *err)
{
    if (!isatty(input_fd) || !isatty(output_fd))
        return error_set(err, "standard input and output must be a terminal");
    if (canvas_terminal_is_dumb(term))
        return error_set(err, "the terminal (TERM=%.40s) cannot move its cursor", term ? term : "");
    return true;
}

/* A description of our own, not to be waited for: see terminal_set_leave(). */
static int open_own(int fd)
{
    char name[64];
    snprintf(name, sizeof name, "/proc/self/fd/%d", fd);
    return open(name, O_WRONLY | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);
}

struct term_display *term_display_create(const struct term_display_config *config, struct error *err)
{
    struct term_display *d = calloc(1, sizeof *d);
    if (!d) {
        error_set(err, "out of memory");
        return NULL;
    }
    d->config = *config;
    d->leave_fd = open_own(config->output_fd);
    canvas_init(&d->canvas, config->term, config->colorterm);
    d->frame_timer = (struct host_timer){.callback = frame_due, .opaque = d};
    d->escape_timer = (struct host_timer){.callback = escape_due, .opaque = d};
    struct chardev_user user = {can_receive, receive, event, NULL, d};
    chardev_set_user(config->chardev, &user);
    if (chardev_mux_has_focus(config->chardev))
        take_terminal(d);
    return d;
}

void term_display_destroy(struct term_display *d)
{
    if (!d)
        return;
    give_terminal(d);
    chardev_drain(d->config.chardev, 500); /* what is written to standard error next, is to be seen */
    main_loop_cancel_timer(d->config.loop, &d->frame_timer);
    main_loop_cancel_timer(d->config.loop, &d->escape_timer);
    chardev_set_user(d->config.chardev, NULL);
    canvas_finish(&d->canvas);
    display_text_finish(&d->text);
    display_frame_finish(&d->frame);
    if (d->leave_fd >= 0)
        close(d->leave_fd);
    free(d);
}

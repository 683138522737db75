/* -display sdl: the machine's screen in a window.
 *
 * The window has a thread of its own, so that a slow display delays neither the guest's timers nor its monitors. All
 * of SDL is called there and nowhere else. */
#ifndef DRAGOMAN_UI_SDL_DISPLAY_H
#define DRAGOMAN_UI_SDL_DISPLAY_H

#include "ui/console.h"

struct sdl_display;

enum sdl_grab_chord { SDL_GRAB_CTRL_ALT, SDL_GRAB_CTRL_ALT_SHIFT, SDL_GRAB_RIGHT_CTRL };

struct sdl_display_config {
    struct console *console;
    const char *name; /* the machine's, for the title; or NULL */
    bool full_screen;
    bool keep_open; /* closing the window does not end the machine */
    enum sdl_grab_chord grab_chord;
    /* The user closed the window or, LOST, the display went away; called on the window's thread. */
    void (*closed)(void *opaque, bool lost);
    void *opaque;
};

/* Whether this build has it. */
bool sdl_display_is_built_in(void);
/* Opens the window. NULL with a message if there is no display to open it on. */
struct sdl_display *sdl_display_create(const struct sdl_display_config *config, struct error *err);
void sdl_display_destroy(struct sdl_display *display);

#endif

/* -display: which, and what is taken when nobody says. */
#include "app/options.h"

#include "ui/sdl_display.h"
#include "ui/term_display.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static bool set_sdl_property(struct app_display_options *display, const char *key, const char *value, struct error *err)
{
    static const struct {
        const char *name;
        enum sdl_grab_chord chord;
    } grab_mods[] = {{"lctrl-lalt", SDL_GRAB_CTRL_ALT},
                     {"lshift-lctrl-lalt", SDL_GRAB_CTRL_ALT_SHIFT},
                     {"rctrl", SDL_GRAB_RIGHT_CTRL}};
    bool on = true;
    if (!strcmp(key, "grab-mod")) {
        for (size_t i = 0; value && i < sizeof grab_mods / sizeof grab_mods[0]; i++)
            if (!strcmp(grab_mods[i].name, value)) {
                display->grab_chord = grab_mods[i].chord;
                return true;
            }
        return error_set(err, "-display sdl: grab-mod=%s: must be lctrl-lalt, lshift-lctrl-lalt or rctrl",
                         value ? value : "");
    }
    if (value && strcmp(key, "gl") && !chardev_config_parse_bool(value, &on))
        return error_set(err, "-display sdl: %s=%s: must be on or off", key, value);
    if (!strcmp(key, "window-close"))
        display->keep_open = !on;
    else if (!strcmp(key, "full-screen"))
        display->full_screen = on;
    else if (!strcmp(key, "gl") && value && strcmp(value, "off"))
        return error_set(err, "-display sdl: gl=%s: there is no OpenGL here (gl=off)", value);
    else if (strcmp(key, "gl") && strcmp(key, "show-cursor")) /* the pointer is shown while it is not grabbed */
        return error_set(err, "-display sdl: unknown property '%s'", key);
    return true;
}

bool options_set_display(struct app_options *options, const char *text, FILE *out, bool *done, struct error *err)
{
    static const char *const others[] = {"gtk", "vnc", "spice-app", "egl-headless", "dbus", "cocoa"};
    char element[128], *value;
    bool overlong = false;
    struct app_display_options *display = &options->display;
    if (!options_next_element(&text, element, sizeof element, &value, &overlong))
        return error_set(err, "-display: must be none, term or sdl");
    if (!strcmp(element, "help") || !strcmp(element, "?")) {
        fprintf(out, "Available display backend types:\nnone\nterm\n%s", sdl_display_is_built_in() ? "sdl\n" : "");
        *done = true;
        return true;
    }
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++)
        if (!strcmp(element, others[i]))
            return error_set(err, "-display: '%s' is not available (use none, term or sdl)", element);
    if (!strcmp(element, "none")) {
        display->kind = APP_DISPLAY_NONE;
    } else if (!strcmp(element, "term") || !strcmp(element, "curses")) {
        display->kind = APP_DISPLAY_TERM;
    } else if (!strcmp(element, "sdl")) {
        if (!sdl_display_is_built_in())
            return error_set(err, "-display: this build has no 'sdl' (build again with libsdl2-dev installed)");
        display->kind = APP_DISPLAY_SDL;
    } else {
        return error_set(err, "-display: '%s' is not valid: must be none, term or sdl", element);
    }
    const char *kind = display->kind == APP_DISPLAY_NONE ? "none" : display->kind == APP_DISPLAY_SDL ? "sdl" : "term";
    while (options_next_element(&text, element, sizeof element, &value, &overlong)) {
        if (display->kind == APP_DISPLAY_SDL) {
            if (!set_sdl_property(display, element, value, err))
                return false;
        } else if (display->kind != APP_DISPLAY_TERM || strcmp(element, "charset")) {
            return error_set(err, "-display %s: unknown property '%s'", kind, element);
        }
    }
    return !overlong || error_set(err, "-display: value is too long");
}

/* ---- after all options ---- */

static bool uses_stdio(const struct app_options *options)
{
    for (unsigned i = 0; i < options->chardev_count; i++)
        if (options->chardevs[i].kind == CHARDEV_STDIO)
            return true;
    return false;
}

static bool environment_has(const char *name)
{
    const char *value = getenv(name);
    return value && *value;
}

static enum app_display_kind choose(const struct app_options *options)
{
    struct error err;
    if (options->nographic || !options->vm.vga)
        return APP_DISPLAY_NONE;
    if (sdl_display_is_built_in() && (environment_has("DISPLAY") || environment_has("WAYLAND_DISPLAY")))
        return APP_DISPLAY_SDL;
    if (!uses_stdio(options) && term_display_is_possible(STDIN_FILENO, STDOUT_FILENO, getenv("TERM"), &err))
        return APP_DISPLAY_TERM;
    return APP_DISPLAY_NONE;
}

bool options_complete_display(struct app_options *options, struct error *err)
{
    struct app_display_options *display = &options->display;
    struct error why;
    display->screen.chardev = -1;
    if (display->kind == APP_DISPLAY_DEFAULT)
        display->kind = choose(options);
    if (display->kind != APP_DISPLAY_TERM)
        return true;
    if (!term_display_is_possible(STDIN_FILENO, STDOUT_FILENO, getenv("TERM"), &why))
        return error_set(err, "-display term: %.400s", why.message);
    if (!options_attach(options, &display->screen, "-display", "mon:stdio", "display", err))
        return false;
    if (options->default_monitor && !options->no_defaults && options->monitor_count < APP_MAX_MONITORS) {
        options->monitors[options->monitor_count].mode = MONITOR_HUMAN;
        options->monitors[options->monitor_count++].at = display->screen;
        display->has_monitor = true;
    }
    return true;
}

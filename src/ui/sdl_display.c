/* Built with SDL2 only; see sdl_display_absent.c. */
#define _GNU_SOURCE /* pthread_timedjoin_np */
#ifdef DRAGOMAN_HAS_SDL

#define SDL_MAIN_HANDLED /* main() is ours */
#include <SDL.h>         /* first: base/compiler.h gives a word of its headers another meaning */

#include "ui/sdl_display.h"

#include "ui/sdl_keys.h"
#include "ui/x11_errors.h"

#include <SDL_syswm.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <unistd.h>

/* How long the thread waits for events between two looks at the screen, in milliseconds: while it changes, when it
 * has not changed for a second, and while nobody can see it. */
enum { FRAME_BUSY = 16, FRAME_IDLE = 40, FRAME_HIDDEN = 200, IDLE_AFTER = 1000 };
enum { END_SECONDS = 5 }; /* a display server that does not answer is not waited for any longer */
enum { DEFAULT_WIDTH = 720, DEFAULT_HEIGHT = 400, MAX_SCALE = 8 };

/* The chord's keys, and how the title names it. */
static const struct {
    uint16_t exactly; /* this SDL_Keymod bit, instead of the three */
    bool ctrl, alt, shift;
    const char *name;
} chords[] = {
    [SDL_GRAB_CTRL_ALT] = {0, true, true, false, "Ctrl-Alt-G"},
    [SDL_GRAB_CTRL_ALT_SHIFT] = {0, true, true, true, "Ctrl-Alt-Shift-G"},
    [SDL_GRAB_RIGHT_CTRL] = {KMOD_RCTRL, false, false, false, "Right-Ctrl-G"},
};

struct sdl_display {
    struct sdl_display_config config;
    char name[64];
    pthread_t thread;
    atomic_bool ending;
    atomic_bool lost; /* the display went away, and the thread waits for the process's end */
    /* Start-up: */
    pthread_mutex_t mutex;
    pthread_cond_t changed;
    bool started, failed;
    struct error error;

    /* The window's thread only. */
    SDL_Window *window;
    SDL_Renderer *renderer;
    SDL_Texture *texture;
    struct display_frame frame;
    unsigned width, height; /* of the texture: the picture's */
    unsigned scale;         /* what the window was made for */
    bool grabbed, full_screen, hidden, exposed;
    bool shown_running, title_known;
    uint32_t last_change;
    uint16_t swallowed; /* SDL scancode whose release belongs to a chord of ours */
};

/* ---- title and grab ---- */

static void set_title(struct sdl_display *d)
{
    char title[256];
    bool running = console_is_running(d->config.console);
    if (d->title_known && running == d->shown_running)
        return;
    d->title_known = true;
    d->shown_running = running;
    snprintf(title, sizeof title, "Dragoman%s%s%s%s%s%s%s", d->name[0] ? " (" : "", d->name, d->name[0] ? ")" : "",
             running ? "" : " [Stopped]", d->grabbed ? " - Press " : " - Click to grab the mouse, ",
             chords[d->config.grab_chord].name, d->grabbed ? " to release the mouse" : " releases it");
    SDL_SetWindowTitle(d->window, title);
}

static void set_grab(struct sdl_display *d, bool grab)
{
    if (grab == d->grabbed)
        return;
    d->grabbed = grab;
    d->title_known = false;
    SDL_SetRelativeMouseMode(grab ? SDL_TRUE : SDL_FALSE);
    SDL_SetWindowGrab(d->window, grab ? SDL_TRUE : SDL_FALSE);
    if (!grab)
        console_mouse_buttons(d->config.console, ~0u, 0);
    set_title(d);
}

/* ---- picture ---- */

static SDL_Rect picture_place(struct sdl_display *d)
{
    int width, height;
    SDL_GetRendererOutputSize(d->renderer, &width, &height);
    unsigned across = (unsigned)width / d->width, down = (unsigned)height / d->height;
    unsigned scale = across < down ? across : down;
    SDL_Rect place = {0, 0, (int)(d->width * scale), (int)(d->height * scale)};
    if (!scale) { /* smaller than the picture: shrink it in proportion */
        uint64_t by_width = (uint64_t)d->height * (unsigned)width / d->width;
        place.w = by_width <= (unsigned)height ? width : (int)((uint64_t)d->width * (unsigned)height / d->height);
        place.h = by_width <= (unsigned)height ? (int)by_width : height;
    }
    place.x = (width - place.w) / 2;
    place.y = (height - place.h) / 2;
    return place;
}

static void fit_window(struct sdl_display *d)
{
    uint32_t flags = SDL_GetWindowFlags(d->window);
    if (!d->width || d->full_screen || (flags & SDL_WINDOW_MAXIMIZED))
        return;
    SDL_SetWindowSize(d->window, (int)(d->width * d->scale), (int)(d->height * d->scale));
}

static bool fit_texture(struct sdl_display *d)
{
    if (d->texture && d->width == d->frame.width && d->height == d->frame.height)
        return true;
    if (d->texture)
        SDL_DestroyTexture(d->texture);
    d->texture = SDL_CreateTexture(d->renderer, SDL_PIXELFORMAT_RGB888, SDL_TEXTUREACCESS_STREAMING,
                                   (int)d->frame.width, (int)d->frame.height);
    if (!d->texture)
        return false;
    d->width = d->frame.width;
    d->height = d->frame.height;
    SDL_UpdateTexture(d->texture, NULL, d->frame.pixels, (int)(4 * d->width));
    fit_window(d);
    return true;
}

static void present(struct sdl_display *d)
{
    SDL_SetRenderDrawColor(d->renderer, 0, 0, 0, 255);
    SDL_RenderClear(d->renderer);
    if (d->texture) {
        SDL_Rect place = picture_place(d);
        SDL_RenderCopy(d->renderer, d->texture, NULL, &place);
    }
    SDL_RenderPresent(d->renderer);
    d->exposed = false;
}

static void draw(struct sdl_display *d)
{
    bool changed = false;
    if (console_render(d->config.console, &d->frame) && d->frame.width && d->frame.height) {
        changed = d->frame.dirty_count || d->frame.resized;
        if (!fit_texture(d))
            return;
        for (unsigned i = 0; i < d->frame.dirty_count; i++) {
            const struct display_rectangle *r = &d->frame.dirty[i];
            SDL_Rect area = {(int)r->x, (int)r->y, (int)r->width, (int)r->height};
            SDL_UpdateTexture(d->texture, &area, d->frame.pixels + (size_t)r->y * d->width + r->x, (int)(4 * d->width));
        }
    }
    if (changed)
        d->last_change = SDL_GetTicks();
    if (changed || d->exposed)
        present(d);
}

/* ---- keys ---- */

static bool chord_is_down(const struct sdl_display *d)
{
    SDL_Keymod mod = SDL_GetModState();
    if (chords[d->config.grab_chord].exactly)
        return mod & chords[d->config.grab_chord].exactly;
    return (!chords[d->config.grab_chord].ctrl || (mod & KMOD_CTRL)) &&
           (!chords[d->config.grab_chord].alt || (mod & KMOD_ALT)) &&
           !!(mod & KMOD_SHIFT) == chords[d->config.grab_chord].shift;
}

static void set_scale(struct sdl_display *d, unsigned scale)
{
    if (scale < 1 || scale > MAX_SCALE)
        return;
    d->scale = scale;
    fit_window(d);
    d->exposed = true;
}

static void toggle_full_screen(struct sdl_display *d)
{
    d->full_screen = !d->full_screen;
    SDL_SetWindowFullscreen(d->window, d->full_screen ? SDL_WINDOW_FULLSCREEN_DESKTOP : 0);
    if (!d->full_screen)
        fit_window(d);
    d->exposed = true;
}

/* A key with the chord's modifiers held. True if it is one of ours; the guest does not see it then. */
static bool chord_key(struct sdl_display *d, SDL_Scancode scancode)
{
    switch (scancode) {
    case SDL_SCANCODE_G:
        set_grab(d, !d->grabbed);
        break;
    case SDL_SCANCODE_F:
        toggle_full_screen(d);
        break;
    case SDL_SCANCODE_U:
        set_scale(d, 1);
        break;
    case SDL_SCANCODE_EQUALS:
    case SDL_SCANCODE_KP_PLUS:
        set_scale(d, d->scale + 1);
        break;
    case SDL_SCANCODE_MINUS:
    case SDL_SCANCODE_KP_MINUS:
        set_scale(d, d->scale - 1);
        break;
    default:
        return false;
    }
    /* The modifiers were meant for us. */
    console_release_keys(d->config.console);
    return true;
}

static void key_event(struct sdl_display *d, const SDL_KeyboardEvent *event)
{
    SDL_Scancode scancode = event->keysym.scancode;
    bool down = event->type == SDL_KEYDOWN;
    if (d->swallowed == scancode && (!down || event->repeat)) {
        if (!down)
            d->swallowed = 0;
        return;
    }
    if (down && !event->repeat && chord_is_down(d) && chord_key(d, scancode)) {
        d->swallowed = (uint16_t)scancode;
        return;
    }
    console_key(d->config.console, sdl_key(scancode), down);
}

/* ---- mouse ---- */

static void button_event(struct sdl_display *d, const SDL_MouseButtonEvent *event)
{
    static const uint8_t buttons[] = {[SDL_BUTTON_LEFT] = PS2_BUTTON_LEFT,
                                      [SDL_BUTTON_MIDDLE] = PS2_BUTTON_MIDDLE,
                                      [SDL_BUTTON_RIGHT] = PS2_BUTTON_RIGHT,
                                      [SDL_BUTTON_X1] = PS2_BUTTON_SIDE,
                                      [SDL_BUTTON_X2] = PS2_BUTTON_EXTRA};
    bool down = event->type == SDL_MOUSEBUTTONDOWN;
    if (!d->grabbed) { /* the click that grabs is not the guest's */
        if (down && event->button == SDL_BUTTON_LEFT)
            set_grab(d, true);
        return;
    }
    if (event->button < sizeof buttons)
        console_mouse_buttons(d->config.console, buttons[event->button], down ? buttons[event->button] : 0);
}

/* ---- events ---- */

static void window_event(struct sdl_display *d, const SDL_WindowEvent *event)
{
    switch (event->event) {
    case SDL_WINDOWEVENT_EXPOSED:
    case SDL_WINDOWEVENT_SIZE_CHANGED:
    case SDL_WINDOWEVENT_RESTORED:
    case SDL_WINDOWEVENT_SHOWN:
        d->hidden = false;
        d->exposed = true;
        break;
    case SDL_WINDOWEVENT_HIDDEN:
    case SDL_WINDOWEVENT_MINIMIZED:
        d->hidden = true;
        break;
    case SDL_WINDOWEVENT_FOCUS_LOST:
        set_grab(d, false);
        console_release_keys(d->config.console);
        d->swallowed = 0;
        break;
    case SDL_WINDOWEVENT_CLOSE:
        if (!d->config.keep_open)
            d->config.closed(d->config.opaque, false);
        break;
    default:
        break;
    }
}

static void handle_event(struct sdl_display *d, const SDL_Event *event)
{
    switch (event->type) {
    case SDL_KEYDOWN:
    case SDL_KEYUP:
        key_event(d, &event->key);
        break;
    case SDL_MOUSEBUTTONDOWN:
    case SDL_MOUSEBUTTONUP:
        button_event(d, &event->button);
        break;
    case SDL_MOUSEMOTION:
        if (d->grabbed && (event->motion.xrel || event->motion.yrel))
            console_mouse_move(d->config.console, event->motion.xrel, event->motion.yrel, 0);
        break;
    case SDL_MOUSEWHEEL: /* SDL counts away from the user */
        if (d->grabbed && event->wheel.y)
            console_mouse_move(d->config.console, 0, 0, -event->wheel.y);
        break;
    case SDL_WINDOWEVENT:
        window_event(d, &event->window);
        break;
    case SDL_RENDER_TARGETS_RESET:
    case SDL_RENDER_DEVICE_RESET: /* textures have lost their contents */
        if (d->texture)
            SDL_DestroyTexture(d->texture);
        d->texture = NULL;
        d->exposed = true;
        break;
    default:
        break;
    }
}

static void run_window(struct sdl_display *d)
{
    uint32_t next_frame = SDL_GetTicks();
    while (!atomic_load(&d->ending)) {
        SDL_Event event;
        uint32_t now = SDL_GetTicks();
        int wait = (int)(next_frame - now);
        if (SDL_WaitEventTimeout(&event, wait > 1 ? wait : 1))
            do
                handle_event(d, &event);
            while (!atomic_load(&d->ending) && SDL_PollEvent(&event));
        now = SDL_GetTicks();
        if ((int)(next_frame - now) > 0)
            continue;
        set_title(d);
        if (!d->hidden)
            draw(d);
        next_frame = now + (d->hidden                                ? FRAME_HIDDEN
                            : now - d->last_change > (int)IDLE_AFTER ? FRAME_IDLE
                                                                     : FRAME_BUSY);
    }
}

/* ---- life ---- */

/* The X server is gone: no call of SDL returns any more. */
static void display_lost(void *display, void *opaque)
{
    struct sdl_display *d = opaque;
    atomic_store(&d->lost, true);
    d->config.closed(d->config.opaque, true);
    for (;;)
        pause();
}

static void watch_display(struct sdl_display *d)
{
    SDL_SysWMinfo info;
    SDL_VERSION(&info.version);
    if (SDL_GetWindowWMInfo(d->window, &info) && info.subsystem == SDL_SYSWM_X11)
        x11_errors_watch(info.info.x11.display, display_lost, d);
}

static bool open_window(struct sdl_display *d)
{
    SDL_SetHint(SDL_HINT_NO_SIGNAL_HANDLERS, "1");
    SDL_SetHint(SDL_HINT_VIDEO_ALLOW_SCREENSAVER, "1");
    SDL_SetHint(SDL_HINT_RENDER_SCALE_QUALITY, "nearest");
    SDL_SetHint(SDL_HINT_FRAMEBUFFER_ACCELERATION, "0");
    SDL_SetHint(SDL_HINT_GRAB_KEYBOARD, "1"); /* with the mouse: Alt-Tab goes to the guest */
    SDL_SetHint(SDL_HINT_VIDEO_X11_NET_WM_BYPASS_COMPOSITOR, "0");
    SDL_SetHint(SDL_HINT_WINDOWS_NO_CLOSE_ON_ALT_F4, "1");
    if (SDL_InitSubSystem(SDL_INIT_VIDEO) != 0)
        return error_set(&d->error, "cannot open a window: %s", SDL_GetError());
    /* Where nothing else works SDL draws into the void. */
    const char *driver = SDL_GetCurrentVideoDriver();
    if (!getenv("SDL_VIDEODRIVER") &&
        (!strcmp(driver, "offscreen") || !strcmp(driver, "dummy") || !strcmp(driver, "evdev")))
        return error_set(&d->error, "cannot open a window: there is no X or Wayland display");
    uint32_t flags = SDL_WINDOW_RESIZABLE | (d->full_screen ? SDL_WINDOW_FULLSCREEN_DESKTOP : 0);
    d->window = SDL_CreateWindow("Dragoman", SDL_WINDOWPOS_UNDEFINED, SDL_WINDOWPOS_UNDEFINED, DEFAULT_WIDTH,
                                 DEFAULT_HEIGHT, flags);
    /* OpenGL would gain nothing for one flat picture, and its libraries cannot leave a display that is lost. */
    d->renderer = d->window ? SDL_CreateRenderer(d->window, -1, SDL_RENDERER_SOFTWARE) : NULL;
    if (!d->renderer)
        return error_set(&d->error, "cannot open a window: %s", SDL_GetError());
    watch_display(d);
    set_title(d);
    present(d);
    return true;
}

static void close_window(struct sdl_display *d)
{
    if (d->texture)
        SDL_DestroyTexture(d->texture);
    if (d->renderer)
        SDL_DestroyRenderer(d->renderer);
    if (d->window)
        SDL_DestroyWindow(d->window);
    SDL_QuitSubSystem(SDL_INIT_VIDEO);
    SDL_Quit();
}

static void *window_thread(void *opaque)
{
    struct sdl_display *d = opaque;
    bool ok = open_window(d);
    pthread_mutex_lock(&d->mutex);
    d->started = true;
    d->failed = !ok;
    pthread_cond_signal(&d->changed);
    pthread_mutex_unlock(&d->mutex);
    if (ok)
        run_window(d);
    close_window(d);
    return NULL;
}

bool sdl_display_is_built_in(void)
{
    return true;
}

struct sdl_display *sdl_display_create(const struct sdl_display_config *config, struct error *err)
{
    struct sdl_display *d = calloc(1, sizeof *d);
    if (!d) {
        error_set(err, "out of memory");
        return NULL;
    }
    d->config = *config;
    snprintf(d->name, sizeof d->name, "%s", config->name ? config->name : "");
    d->full_screen = config->full_screen;
    d->scale = 1;
    atomic_init(&d->ending, false);
    atomic_init(&d->lost, false);
    pthread_mutex_init(&d->mutex, NULL);
    pthread_cond_init(&d->changed, NULL);
    bool ok = pthread_create(&d->thread, NULL, window_thread, d) == 0;
    if (!ok) {
        error_set(err, "cannot start the window's thread");
    } else {
        pthread_mutex_lock(&d->mutex);
        while (!d->started)
            pthread_cond_wait(&d->changed, &d->mutex);
        pthread_mutex_unlock(&d->mutex);
        if (d->failed) {
            pthread_join(d->thread, NULL);
            error_set(err, "%s", d->error.message);
            ok = false;
        }
    }
    if (!ok) {
        pthread_cond_destroy(&d->changed);
        pthread_mutex_destroy(&d->mutex);
        free(d);
        return NULL;
    }
    return d;
}

void sdl_display_destroy(struct sdl_display *d)
{
    if (!d)
        return;
    struct timespec until;
    atomic_store(&d->ending, true);
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += atomic_load(&d->lost) ? 0 : END_SECONDS;
    if (pthread_timedjoin_np(d->thread, NULL, &until) != 0) {
        pthread_detach(d->thread); /* it is stuck within Xlib, and what it uses stays */
        return;
    }
    console_release_keys(d->config.console);
    display_frame_finish(&d->frame);
    pthread_cond_destroy(&d->changed);
    pthread_mutex_destroy(&d->mutex);
    free(d);
}

#endif

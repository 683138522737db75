/* The window, on an X server of our own (Xvfb), with keys and motion from xdotool. Skipped (exit status 77) where one
 * of the two is missing, or SDL2 was when this was built.
 *
 * DRAGOMAN_TEST_PICTURES=DIR keeps pictures of the X server's screen there, to be looked at. */
#include "console_fixture.h"

#include "ui/screenshot.h"
#include "ui/sdl_display.h"

#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#ifdef DRAGOMAN_TEST_X11
#include <X11/Xlib.h>
#endif

enum { SCREEN_WIDTH = 1600, SCREEN_HEIGHT = 1200, PATIENCE_MS = 20000 };

struct fixture {
    struct console_fixture *console;
    struct sdl_display *sdl;
    atomic_int closed, lost;
    char window[32]; /* its X id */
};

/* The X server; one for all tests. */
struct server {
    pid_t pid;
    char directory[64];
    const uint8_t *screen; /* as an XWD file */
    size_t size;
};
static struct server server;

static void sleep_ms(unsigned milliseconds)
{
    usleep(milliseconds * 1000);
}

static bool start_server(void)
{
    char path[128], number[16] = "", name[16];
    int out[2];
    strcpy(server.directory, "/tmp/dragoman-xvfb-XXXXXX");
    if (!mkdtemp(server.directory) || pipe(out) != 0)
        return false;
    server.pid = fork();
    if (server.pid == 0) {
        char size[32], fd[16];
        snprintf(size, sizeof size, "%ux%ux24", SCREEN_WIDTH, SCREEN_HEIGHT);
        snprintf(fd, sizeof fd, "%d", out[1]);
        int null = open("/dev/null", O_RDWR);
        dup2(null, 2);
        execlp("Xvfb", "Xvfb", "-displayfd", fd, "-screen", "0", size, "-fbdir", server.directory, "-nolisten", "tcp",
               "-noreset", (char *)NULL); /* no reset: it would throw out the next client with the last */
        _exit(127);
    }
    close(out[1]);
    ssize_t n = read(out[0], number, sizeof number - 1); /* when it is ready */
    close(out[0]);
    if (n <= 0)
        return false;
    snprintf(name, sizeof name, ":%d", atoi(number));
    setenv("DISPLAY", name, 1);
    unsetenv("WAYLAND_DISPLAY");
    setenv("SDL_VIDEODRIVER", "x11", 1);
    snprintf(path, sizeof path, "%s/Xvfb_screen0", server.directory);
    int fd = open(path, O_RDONLY);
    struct stat status;
    if (fd < 0 || fstat(fd, &status) != 0)
        return false;
    server.size = (size_t)status.st_size;
    server.screen = mmap(NULL, server.size, PROT_READ, MAP_SHARED, fd, 0);
    close(fd);
    return server.screen != MAP_FAILED;
}

static void stop_server(void)
{
    char path[128];
    if (server.pid > 0) {
        kill(server.pid, SIGTERM);
        waitpid(server.pid, NULL, 0);
    }
    server.pid = 0;
    snprintf(path, sizeof path, "%s/Xvfb_screen0", server.directory);
    unlink(path);
    rmdir(server.directory);
}

/* ---- the X server's screen ---- */

static uint32_t be32(const uint8_t *from)
{
    return (uint32_t)from[0] << 24 | (uint32_t)from[1] << 16 | (uint32_t)from[2] << 8 | from[3];
}

/* X11/XWDFile.h: header size at 0, bytes a line at 48, colours at 76; then colours of 12 bytes, then the picture. */
static uint32_t screen_pixel(unsigned x, unsigned y)
{
    size_t start = be32(server.screen) + 12 * (size_t)be32(server.screen + 76);
    uint32_t pixel;
    memcpy(&pixel, server.screen + start + (size_t)y * be32(server.screen + 48) + 4 * (size_t)x, 4);
    return pixel & 0xffffff;
}

/* The guest's picture is on the screen, at SCALE, from (X, Y) on. */
static bool shows(const struct display_frame *frame, unsigned left, unsigned top, unsigned scale)
{
    for (unsigned y = 0; y < frame->height * scale; y++)
        for (unsigned x = 0; x < frame->width * scale; x++)
            if (screen_pixel(left + x, top + y) != frame->pixels[(y / scale) * frame->width + x / scale])
                return false;
    return true;
}

static void keep_picture(const char *name)
{
    const char *directory = getenv("DRAGOMAN_TEST_PICTURES");
    if (!directory)
        return;
    char path[256];
    struct display_frame frame = {.width = SCREEN_WIDTH, .height = SCREEN_HEIGHT};
    frame.pixels = malloc(4ul * SCREEN_WIDTH * SCREEN_HEIGHT);
    for (unsigned y = 0; y < SCREEN_HEIGHT; y++)
        for (unsigned x = 0; x < SCREEN_WIDTH; x++)
            frame.pixels[y * SCREEN_WIDTH + x] = screen_pixel(x, y);
    snprintf(path, sizeof path, "%s/%s.png", directory, name);
    screenshot_write(&frame, path, SCREENSHOT_PNG, NULL);
    display_frame_finish(&frame);
}

/* ---- xdotool ---- */

/* Runs it; its output, without the newline, is left in TO. */
static bool xdotool(const char *arguments, char *to, size_t size)
{
    char command[256];
    snprintf(command, sizeof command, "xdotool %s 2>/dev/null", arguments);
    FILE *pipe = popen(command, "r");
    char line[256] = "";
    char *got = fgets(line, sizeof line, pipe);
    line[strcspn(line, "\n")] = 0;
    if (to)
        snprintf(to, size, "%s", line);
    return pclose(pipe) == 0 && (!to || got);
}

static bool x(const char *arguments)
{
    return xdotool(arguments, NULL, 0);
}

static void place_of(struct fixture *f, unsigned *left, unsigned *top, unsigned *width, unsigned *height)
{
    char command[128], line[64];
    static const char *const names[4] = {"X", "Y", "WIDTH", "HEIGHT"};
    unsigned *values[4] = {left, top, width, height};
    for (unsigned i = 0; i < 4; i++) {
        snprintf(command, sizeof command, "getwindowgeometry --shell %s | sed -n 's/^%s=//p'", f->window, names[i]);
        assert_true(xdotool(command, line, sizeof line));
        *values[i] = (unsigned)atoi(line);
    }
}

/* Waits until the picture is in the middle of the window at SCALE. */
static void expect_picture(struct fixture *f, unsigned scale, const char *name)
{
    struct display_frame frame = {0};
    unsigned left = 0, top = 0, width = 0, height = 0;
    bool ok = false;
    for (unsigned waited = 0; !ok && waited < PATIENCE_MS; waited += 50) {
        sleep_ms(50);
        place_of(f, &left, &top, &width, &height);
        assert_true(console_render(f->console->console, &frame));
        unsigned across = frame.width * scale, down = frame.height * scale;
        ok = width >= across && height >= down && left + width <= SCREEN_WIDTH && top + height <= SCREEN_HEIGHT &&
             shows(&frame, left + (width - across) / 2, top + (height - down) / 2, scale);
    }
    keep_picture(name);
    if (!ok)
        fail_msg("%s: window %u x %u at (%u, %u) does not show the picture, %u x %u, at scale %u", name, width, height,
                 left, top, frame.width, frame.height, scale);
    display_frame_finish(&frame);
}

static void expect_title(struct fixture *f, const char *title)
{
    char command[64], line[256] = "";
    snprintf(command, sizeof command, "getwindowname %s", f->window);
    for (unsigned waited = 0; waited < PATIENCE_MS; waited += 50) {
        xdotool(command, line, sizeof line);
        if (!strcmp(line, title))
            return;
        sleep_ms(50);
    }
    assert_string_equal(line, title);
}

/* Collects what PORT sends until it is EXPECTED. */
static void expect_bytes(struct fixture *f, struct ps2_device *port, const char *expected)
{
    char all[512] = "", piece[256];
    for (unsigned waited = 0; waited < PATIENCE_MS && strlen(all) < strlen(expected); waited += 20) {
        taken(f->console, port, piece, sizeof piece);
        size_t used = strlen(all);
        if (piece[0])
            snprintf(all + used, sizeof all - used, "%s%s", used ? " " : "", piece);
        sleep_ms(20);
    }
    assert_string_equal(all, expected);
}

static void expect_keys(struct fixture *f, const char *expected)
{
    expect_bytes(f, ps2_keyboard_port(f->console->keyboard), expected);
}

static void expect_motion(struct fixture *f, const char *expected)
{
    expect_bytes(f, ps2_mouse_port(f->console->mouse), expected);
}

/* ---- set-up ---- */

static void window_closed(void *opaque, bool lost)
{
    struct fixture *f = opaque;
    atomic_fetch_add(lost ? &f->lost : &f->closed, 1);
}

/* Letters by hand: eight rows of eight dots in cells of 16 lines. */
static void load_font(struct console_fixture *f)
{
    static const struct {
        char letter;
        uint8_t rows[7];
    } font[] = {{'D', {0x78, 0x44, 0x42, 0x42, 0x42, 0x44, 0x78}}, {'R', {0x7c, 0x42, 0x42, 0x7c, 0x48, 0x44, 0x42}},
                {'A', {0x18, 0x24, 0x42, 0x42, 0x7e, 0x42, 0x42}}, {'G', {0x3c, 0x42, 0x40, 0x4e, 0x42, 0x42, 0x3c}},
                {'O', {0x3c, 0x42, 0x42, 0x42, 0x42, 0x42, 0x3c}}, {'M', {0x42, 0x66, 0x5a, 0x42, 0x42, 0x42, 0x42}},
                {'N', {0x42, 0x62, 0x52, 0x4a, 0x46, 0x42, 0x42}}};
    for (unsigned i = 0; i < sizeof font / sizeof font[0]; i++)
        for (unsigned row = 0; row < 7; row++) /* plane 2, 32 bytes a character */
            f->vga->vga->memory[4 * (32 * (unsigned char)font[i].letter + 4 + row) + 2] = font[i].rows[row];
}

static int set_up(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    struct error err;
    f->console = console_fixture_create();
    fixture_text_mode(f->console);
    load_font(f->console);
    fixture_put(f->console, 1, 1, "DRAGOMAN", 0x1e);
    fixture_put(f->console, 1, 3, "DRAGOMAN", 0x4f);
    fixture_put(f->console, 71, 23, "DRAGOMAN", 0x2a);
    set_cr(f->console->vga, 0x0a, 0x20);
    struct sdl_display_config config = {
        .console = f->console->console, .name = "test", .closed = window_closed, .opaque = f};
    f->sdl = sdl_display_create(&config, &err);
    if (!f->sdl)
        fail_msg("%s", err.message);
    for (unsigned waited = 0; !xdotool("search --name Dragoman", f->window, sizeof f->window); waited += 100) {
        assert_true(waited < PATIENCE_MS);
        sleep_ms(100);
    }
    char command[192];
    /* The pointer out of the way: it is part of the server's picture. */
    snprintf(command, sizeof command, "mousemove %u %u windowmove %s 20 30 windowfocus --sync %s", SCREEN_WIDTH - 1,
             SCREEN_HEIGHT - 1, f->window, f->window);
    assert_true(x(command));
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;
    sdl_display_destroy(f->sdl);
    console_fixture_destroy(f->console);
    free(f);
    return 0;
}

/* Clicks into the window, which grabs the mouse; that click is not the guest's. */
static void grab(struct fixture *f)
{
    unsigned left, top, width, height;
    char command[64];
    place_of(f, &left, &top, &width, &height);
    snprintf(command, sizeof command, "mousemove %u %u", left + width / 2, top + height / 2);
    assert_true(x(command));
    assert_true(x("click 1"));
    expect_title(f, "Dragoman (test) - Press Ctrl-Alt-G to release the mouse");
}

/* ---- tests ---- */

static void test_picture(void **state)
{
    struct fixture *f = *state;
    unsigned left, top, width, height;
    expect_picture(f, 1, "text");
    place_of(f, &left, &top, &width, &height);
    assert_int_equal(width, 720);
    assert_int_equal(height, 400);
    fixture_put(f->console, 20, 10, "DRAGON", 0x0f); /* a change */
    expect_picture(f, 1, "text-changed");
    /* Modes of other sizes take the window along. */
    device_lock_acquire(&f->console->vga->bench.lock);
    set_vbe(f->console->vga, 4, 0);
    set_vbe(f->console->vga, 1, 800);
    set_vbe(f->console->vga, 2, 600);
    set_vbe(f->console->vga, 3, 32);
    set_vbe(f->console->vga, 4, 0x41);
    for (unsigned y = 0; y < 600; y++)
        for (unsigned i = 0; i < 800; i++) {
            uint32_t pixel = (i * 255 / 800) << 16 | (y * 255 / 600) << 8 | ((i ^ y) & 0xff);
            memcpy(f->console->vga->vga->memory + 4 * (800 * y + i), &pixel, 4);
        }
    device_lock_release(&f->console->vga->bench.lock);
    expect_picture(f, 1, "graphics");
    place_of(f, &left, &top, &width, &height);
    assert_int_equal(width, 800);
    assert_int_equal(height, 600);
}

static void test_scaling(void **state)
{
    struct fixture *f = *state;
    char command[64];
    unsigned left, top, width, height;
    expect_picture(f, 1, "scale-1");
    x("key ctrl+alt+equal");
    expect_picture(f, 2, "scale-2");
    place_of(f, &left, &top, &width, &height);
    assert_int_equal(width, 1440);
    snprintf(command, sizeof command, "windowsize %s 1500 1000", f->window); /* the largest that fits is 2 */
    x(command);
    expect_picture(f, 2, "scale-fits");
    snprintf(command, sizeof command, "windowsize %s 1000 790", f->window);
    x(command);
    expect_picture(f, 1, "scale-back");
    x("key ctrl+alt+u");
    expect_picture(f, 1, "scale-reset");
    place_of(f, &left, &top, &width, &height);
    assert_int_equal(width, 720);
}

static void test_keys(void **state)
{
    struct fixture *f = *state;
    x("key a");
    expect_keys(f, "1c f0 1c");
    x("key shift+Delete");
    expect_keys(f, "12 e0 71 f0 12 e0 f0 71"); /* xdotool lets go in this order */
    x("keydown Right");
    expect_keys(f, "e0 74");
    x("keyup Right");
    expect_keys(f, "e0 f0 74");
    x("key KP_Enter");
    expect_keys(f, "e0 5a e0 f0 5a");
    x("key Pause");
    expect_keys(f, "e1 14 77 e1 f0 14 f0 77");
    x("key F12");
    expect_keys(f, "07 f0 07");
}

static void test_focus_releases_keys(void **state)
{
    struct fixture *f = *state;
    x("keydown b");
    expect_keys(f, "32");
    x("windowfocus 1"); /* no window: PointerRoot */
    expect_keys(f, "f0 32");
    x("keyup b");
}

static void test_grab(void **state)
{
    struct fixture *f = *state;
    expect_title(f, "Dragoman (test) - Click to grab the mouse, Ctrl-Alt-G releases it");
    x("mousemove_relative 5 5"); /* not grabbed: nothing for the guest */
    grab(f);
    sleep_ms(300);
    char ignored[512];
    taken(f->console, ps2_mouse_port(f->console->mouse), ignored, sizeof ignored);
    x("mousemove_relative 7 3");
    expect_motion(f, "28 07 fd");
    x("mousemove_relative -- -4 0");
    expect_motion(f, "18 fc 00");
    x("mousedown 1");
    expect_motion(f, "09 00 00");
    x("mouseup 1");
    expect_motion(f, "08 00 00");
    x("mousedown 3");
    expect_motion(f, "0a 00 00");
    x("mouseup 3");
    expect_motion(f, "08 00 00");
    x("keydown ctrl keydown alt keydown g");
    expect_title(f, "Dragoman (test) - Click to grab the mouse, Ctrl-Alt-G releases it");
    x("keyup g keyup alt keyup ctrl");
    /* The chord's own key is not the guest's, its modifiers are let go. */
    expect_keys(f, "14 11 f0 14 f0 11");
    x("key c");
    expect_keys(f, "21 f0 21");
    x("mousemove_relative 7 3");
    sleep_ms(200);
    expect_motion(f, "");
}

static void test_stopped_title(void **state)
{
    struct fixture *f = *state;
    console_set_running(f->console->console, false);
    expect_title(f, "Dragoman (test) [Stopped] - Click to grab the mouse, Ctrl-Alt-G releases it");
    console_set_running(f->console->console, true);
    expect_title(f, "Dragoman (test) - Click to grab the mouse, Ctrl-Alt-G releases it");
}

static void test_close(void **state)
{
#ifdef DRAGOMAN_TEST_X11
    struct fixture *f = *state;
    Display *display = XOpenDisplay(NULL);
    assert_non_null(display);
    Window window = strtoul(f->window, NULL, 10);
    XEvent event = {.xclient = {.type = ClientMessage, .window = window, .format = 32}};
    event.xclient.message_type = XInternAtom(display, "WM_PROTOCOLS", False);
    event.xclient.data.l[0] = (long)XInternAtom(display, "WM_DELETE_WINDOW", False);
    XSendEvent(display, window, False, NoEventMask, &event);
    XSync(display, False);
    for (unsigned waited = 0; waited < PATIENCE_MS && !atomic_load(&f->closed); waited += 20)
        sleep_ms(20);
    assert_int_equal(atomic_load(&f->closed), 1);
    assert_int_equal(atomic_load(&f->lost), 0);
    XCloseDisplay(display);
#else
    print_message("skipped: built without Xlib's headers\n");
    skip();
#endif
}

static void test_no_display(void **state)
{
    struct fixture *f = *state;
    struct error err = {""};
    struct sdl_display_config config = {.console = f->console->console, .closed = window_closed, .opaque = f};
    sdl_display_destroy(f->sdl);
    char *before = strdup(getenv("DISPLAY"));
    setenv("DISPLAY", ":7777", 1);
    f->sdl = sdl_display_create(&config, &err);
    setenv("DISPLAY", before, 1);
    free(before);
    assert_null(f->sdl);
    assert_non_null(strstr(err.message, "cannot open a window: "));
}

/* Last: the server does not come back. */
static void test_server_dies(void **state)
{
    struct fixture *f = *state;
    expect_picture(f, 1, "before-the-end");
    stop_server();
    for (unsigned waited = 0; waited < PATIENCE_MS && !atomic_load(&f->lost); waited += 20)
        sleep_ms(20);
    assert_int_equal(atomic_load(&f->lost), 1);
    assert_int_equal(atomic_load(&f->closed), 0);
    sdl_display_destroy(f->sdl); /* returns; the window's thread keeps what it has, the console among it */
    f->sdl = NULL;
    display_frame_finish(&f->console->vga->frame);
}

static int keep_fixture(void **state)
{
    return 0;
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    if (!sdl_display_is_built_in()) {
        printf("skipped: built without SDL2\n");
        return 77;
    }
    if (system("command -v Xvfb >/dev/null && command -v xdotool >/dev/null") != 0) {
        printf("skipped: Xvfb or xdotool is missing (Debian packages xvfb and xdotool)\n");
        return 77;
    }
    if (!start_server()) {
        printf("skipped: Xvfb does not start\n");
        stop_server();
        return 77;
    }
    const struct CMUnitTest tests[] = {
        TEST(test_picture),
        TEST(test_scaling),
        TEST(test_keys),
        TEST(test_focus_releases_keys),
        TEST(test_grab),
        TEST(test_stopped_title),
        TEST(test_close),
        TEST(test_no_display),
        cmocka_unit_test_setup_teardown(test_server_dies, set_up, keep_fixture),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    stop_server();
    return failed;
}

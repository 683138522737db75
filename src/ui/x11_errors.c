#include "ui/x11_errors.h"

#include <dlfcn.h>

/* SDL loads Xlib itself, so we are not linked with it: its types are not known here. (Xlib - C Language X Interface,
 * "Using the Default Error Handlers"; XSetIOErrorExitHandler(3).) */
typedef int (*error_handler)(void *display, void *event);
typedef int (*io_error_handler)(void *display);
typedef void (*exit_handler)(void *display, void *opaque);

static int ignore_error(void *display, void *event)
{
    return 0;
}

/* The usual one writes a line and ends the process; after this one comes the display's exit handler. */
static int ignore_io_error(void *display)
{
    return 0;
}

void x11_errors_watch(void *display, void (*lost)(void *display, void *opaque), void *opaque)
{
    void *library = dlopen("libX11.so.6", RTLD_LAZY | RTLD_NOLOAD);
    if (!library)
        return;
    error_handler (*set_error_handler)(error_handler) =
        (error_handler(*)(error_handler))dlsym(library, "XSetErrorHandler");
    void (*set_exit_handler)(void *, exit_handler, void *) =
        (void (*)(void *, exit_handler, void *))dlsym(library, "XSetIOErrorExitHandler");
    io_error_handler (*set_io_error_handler)(io_error_handler) =
        (io_error_handler(*)(io_error_handler))dlsym(library, "XSetIOErrorHandler");
    if (set_error_handler)
        set_error_handler(ignore_error);
    if (set_exit_handler && set_io_error_handler) {
        set_exit_handler(display, lost, opaque);
        set_io_error_handler(ignore_io_error);
    }
    dlclose(library);
}

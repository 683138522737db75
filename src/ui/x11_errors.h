/* Errors of an X display. Xlib ends the process when its server is gone, and at any request that a server
 * refuses; a machine has disks to be written first. */
#ifndef DRAGOMAN_UI_X11_ERRORS_H
#define DRAGOMAN_UI_X11_ERRORS_H

/* DISPLAY is Xlib's. LOST is called on the thread that finds the server gone; it may not return. Refused requests are
 * ignored from now on. Does nothing where libX11 is not to be found or too old. */
void x11_errors_watch(void *display, void (*lost)(void *display, void *opaque), void *opaque);

#endif

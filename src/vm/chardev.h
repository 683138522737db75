/* Character devices: byte streams between the host (terminal, file, socket, pseudo-terminal) and one
 * user inside: a guest's serial port, a monitor, the gdb stub.
 *
 *   struct char_port (device) <- chardev_port_connect -> struct chardev -> file descriptors
 *                                                       ^ or a mux child, whose mux is the user
 *                                                         of the real one
 *
 * Threads: chardev_write() from any thread: it only fills a bounded buffer, which the main loop
 * empties.  All else belongs to the main loop's thread, and a user's callbacks are called there
 * without the device lock. */
#ifndef DRAGOMAN_VM_CHARDEV_H
#define DRAGOMAN_VM_CHARDEV_H

#include "base/error.h"
#include "base/lock.h"
#include "devices/char_port.h"
#include "vm/chardev_config.h"
#include "vm/main_loop.h"
#include "vm/terminal.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CHARDEV_BUFFER_SIZE 65536u

enum chardev_event {
    CHARDEV_OPENED, /* the other side is there (a client connected) */
    CHARDEV_CLOSED, /* it went away; it may come back */
    CHARDEV_BREAK,  /* the user wants to send a break */
    CHARDEV_FOCUS,  /* mux: input now comes here */
    CHARDEV_UNFOCUS,
    CHARDEV_HELPED /* mux: the user in focus asked for help, which was written over whatever was there */
};

/* The user of a chardev; functions may be NULL. */
struct chardev_user {
    size_t (*can_receive)(void *opaque); /* NULL: any amount */
    void (*receive)(void *opaque, const uint8_t *data, size_t length);
    void (*event)(void *opaque, enum chardev_event event);
    void (*writable)(void *opaque); /* there is room again after chardev_write() took less than all */
    void *opaque;
};

struct chardev;

/* What chardevs need around them. The structure must outlive them. */
struct chardev_host {
    struct main_loop *loop;
    struct terminal *terminal;                     /* for stdio; may be NULL */
    bool stdio_taken;                              /* only one chardev may have it */
    void (*quit)(void *opaque);                    /* Ctrl-A x in a mux */
    void (*interrupted)(void *opaque, bool *stop); /* waiting for a client: set *STOP to give up; may be NULL */
    void *opaque;
};

/* Opens what CONFIG says. NULL with a message that names the path or address on failure. A server
 * with wait=on returns when its client is there, running the main loop meanwhile. */
struct chardev *chardev_open(struct chardev_host *host, const struct chardev_config *config, struct error *err);
/* Writes what is buffered (for at most two seconds, half a one to sockets), then closes. Children of a mux before their
 * mux. */
void chardev_close(struct chardev *chardev);

void chardev_set_user(struct chardev *chardev, const struct chardev_user *user);
bool chardev_has_user(const struct chardev *chardev);
/* Returns how many bytes were taken; with nobody at the other end they are taken and dropped. */
size_t chardev_write(struct chardev *chardev, const void *data, size_t length);
/* From now on its buffer grows instead of being full: how fast the host reads shall make no difference to the guest. */
void chardev_let_grow(struct chardev *chardev);
/* How many bytes wait to be written. Any thread. */
size_t chardev_pending(struct chardev *chardev);
bool chardev_is_connected(struct chardev *chardev);
/* Server: drops the present client and listens on. */
void chardev_disconnect(struct chardev *chardev);
/* Tries to write out everything within MILLISECONDS. */
void chardev_drain(struct chardev *chardev, unsigned milliseconds);
const char *chardev_id(const struct chardev *chardev);
/* As `info chardev` shows it: "pty:/dev/pts/3", "disconnected:unix:/tmp/x,server=on" ... */
const char *chardev_description(const struct chardev *chardev);
bool chardev_is_mux(const struct chardev *chardev);

/* ---- sharing one chardev: Ctrl-A is the escape ---- */

#define CHARDEV_MUX_CHILDREN 4

/* Makes CHARDEV (opened with config.mux) a mux child; the first child has the focus. */
struct chardev *chardev_mux_add_child(struct chardev *chardev, const char *id, struct error *err);
bool chardev_mux_has_focus(const struct chardev *child);

/* ---- devices ---- */

/* A device's end of a chardev. PORT is what the device is given; the device fills its half. Devices
 * exist before their chardevs are open: until connected, what they write is dropped. */
struct chardev_port {
    struct char_port port;
    struct chardev *chardev;  /* NULL until connected */
    struct device_lock *lock; /* held around every call of the device */
};

void chardev_port_init(struct chardev_port *binding);
/* Before the vCPUs run. */
void chardev_port_connect(struct chardev_port *binding, struct chardev *chardev, struct device_lock *lock);

#endif

/* Inside of the chardevs: one structure for all kinds, an input and an output descriptor and a
 * buffer between the guest's threads and the main loop. */
#ifndef DRAGOMAN_VM_CHARDEV_STREAM_H
#define DRAGOMAN_VM_CHARDEV_STREAM_H

#include "vm/chardev.h"

#include <pthread.h>

struct chardev_mux;

struct chardev {
    struct chardev_host *host;
    enum chardev_kind kind;
    char id[64];
    char description[CHARDEV_PATH_SIZE + 64];
    bool mux_wanted;
    struct chardev_user user;

    /* Streams: descriptors, -1 where there is none. */
    int in_fd, out_fd;
    bool owns_in, owns_out;
    unsigned in_source, out_source;
    struct host_timer retry; /* the user could take no input: ask again */
    bool in_ended;
    bool connected; /* written by the main loop's thread under `mutex` */

    /* Output. */
    pthread_mutex_t mutex;
    uint8_t *buffer; /* ring of SIZE */
    size_t size;     /* CHARDEV_BUFFER_SIZE, or more if it GROWS */
    size_t head, used;
    bool grows;
    bool starved; /* a write was cut short: tell the user when there is room */

    /* Sockets. */
    int listen_fd;
    unsigned listen_source;
    char path[CHARDEV_PATH_SIZE]; /* of a Unix server: removed at the end */
    char address[CHARDEV_PATH_SIZE + 8];

    /* Pseudo-terminals: nobody may have the other side open. */
    struct host_timer poll_peer;

    /* Mux: the real chardev has `mux`; a child has `parent` and its number. */
    struct chardev_mux *mux;
    struct chardev *parent;
    unsigned child_number;
};

struct chardev *chardev_create(struct chardev_host *host, const struct chardev_config *config, struct error *err);
/* Starts watching in_fd and out_fd, marks it connected and tells the user. */
void chardev_start_streams(struct chardev *chardev);
/* Stops watching, closes owned descriptors, drops what was buffered, tells the user. */
void chardev_stop_streams(struct chardev *chardev);

bool chardev_open_stdio(struct chardev *chardev, const struct chardev_config *config, struct error *err);
bool chardev_open_file(struct chardev *chardev, const struct chardev_config *config, struct error *err);
bool chardev_open_pty(struct chardev *chardev, const struct chardev_config *config, struct error *err);
bool chardev_open_socket(struct chardev *chardev, const struct chardev_config *config, struct error *err);

void chardev_peer_lost(struct chardev *chardev); /* end of input or error: what each kind does about it */
void chardev_socket_listen_again(struct chardev *chardev);
void chardev_pty_wait_for_peer(struct chardev *chardev);

void chardev_mux_destroy(struct chardev *chardev);
void chardev_mux_child_gone(struct chardev *child);

#endif

/* Chardevs: life cycle, the output ring, input, and the binding to devices. */
#include "vm/chardev.h"
#include "vm/chardev_stream.h"

#include "base/compiler.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define INPUT_CHUNK       4096
#define RETRY_NANOSECONDS 1000000u /* a UART at 115200 baud takes 11 bytes in this time */

static void input_ready(void *opaque, short revents);
static void output_ready(void *opaque, short revents);
static void retry_input(void *opaque);
static void output_lost(struct chardev *chardev);

struct chardev *chardev_create(struct chardev_host *host, const struct chardev_config *config, struct error *err)
{
    struct chardev *c = calloc(1, sizeof *c);
    if (c)
        c->buffer = malloc(CHARDEV_BUFFER_SIZE);
    if (!c || !c->buffer) {
        free(c);
        error_set(err, "out of memory");
        return NULL;
    }
    c->size = CHARDEV_BUFFER_SIZE;
    c->host = host;
    c->kind = config->kind;
    c->mux_wanted = config->mux;
    snprintf(c->id, sizeof c->id, "%s", config->id);
    c->in_fd = c->out_fd = c->listen_fd = -1;
    c->retry = (struct host_timer){.callback = retry_input, .opaque = c};
    pthread_mutex_init(&c->mutex, NULL);
    return c;
}

struct chardev *chardev_open(struct chardev_host *host, const struct chardev_config *config, struct error *err)
{
    struct chardev *c = chardev_create(host, config, err);
    if (!c)
        return NULL;
    bool ok = true;
    switch (config->kind) {
    case CHARDEV_NULL:
        snprintf(c->description, sizeof c->description, "null");
        break;
    case CHARDEV_STDIO:
        ok = chardev_open_stdio(c, config, err);
        break;
    case CHARDEV_FILE:
        ok = chardev_open_file(c, config, err);
        break;
    case CHARDEV_PTY:
        ok = chardev_open_pty(c, config, err);
        break;
    case CHARDEV_UNIX:
    case CHARDEV_TCP:
        ok = chardev_open_socket(c, config, err);
        break;
    }
    if (!ok) {
        chardev_close(c);
        return NULL;
    }
    return c;
}

void chardev_close(struct chardev *c)
{
    if (!c)
        return;
    struct main_loop *loop = c->host->loop;
    if (c->parent) {
        chardev_mux_child_gone(c);
    } else {
        memset(&c->user, 0, sizeof c->user);
        chardev_drain(c, c->kind == CHARDEV_STDIO || c->kind == CHARDEV_FILE ? 2000 : 500);
        main_loop_cancel_timer(loop, &c->poll_peer);
        main_loop_remove_source(loop, c->listen_source);
        if (c->listen_fd >= 0)
            close(c->listen_fd);
        c->listen_fd = -1;
        if (c->kind == CHARDEV_STDIO && c->connected) {
            if (c->host->terminal)
                terminal_restore(c->host->terminal);
            c->host->stdio_taken = false;
        }
        chardev_stop_streams(c);
        main_loop_cancel_timer(loop, &c->poll_peer);
        if (c->path[0])
            unlink(c->path);
        chardev_mux_destroy(c);
    }
    pthread_mutex_destroy(&c->mutex);
    free(c->buffer);
    free(c);
}

static void tell(struct chardev *c, enum chardev_event event)
{
    if (c->user.event)
        c->user.event(c->user.opaque, event);
}

void chardev_set_user(struct chardev *c, const struct chardev_user *user)
{
    if (user)
        c->user = *user;
    else
        memset(&c->user, 0, sizeof c->user);
    if (c->in_source && !c->in_ended && !c->retry.armed)
        main_loop_set_events(c->host->loop, c->in_source, POLLIN);
}

bool chardev_has_user(const struct chardev *c)
{
    return c->user.receive || c->user.event;
}

const char *chardev_id(const struct chardev *c)
{
    return c->id;
}

const char *chardev_description(const struct chardev *c)
{
    return c->parent ? c->parent->description : c->description;
}

bool chardev_is_mux(const struct chardev *c)
{
    return c->mux_wanted;
}

bool chardev_is_connected(struct chardev *c)
{
    if (c->parent)
        c = c->parent;
    pthread_mutex_lock(&c->mutex);
    bool connected = c->connected;
    pthread_mutex_unlock(&c->mutex);
    return connected;
}

/* ---- output ---- */

void chardev_let_grow(struct chardev *c)
{
    (c->parent ? c->parent : c)->grows = true;
}

/* Mutex held. Without memory it stays as it is, and writes are cut short. */
static void grow(struct chardev *c)
{
    uint8_t *larger = malloc(2 * c->size);
    if (!larger)
        return;
    memcpy(larger, c->buffer + c->head, c->size - c->head);
    memcpy(larger + c->size - c->head, c->buffer, c->head);
    free(c->buffer);
    c->buffer = larger;
    c->head = 0;
    c->size *= 2;
}

size_t chardev_write(struct chardev *c, const void *data, size_t length)
{
    if (c->parent)
        c = c->parent;
    pthread_mutex_lock(&c->mutex);
    if (!c->connected || c->out_fd < 0) {
        pthread_mutex_unlock(&c->mutex);
        return length;
    }
    if (c->grows && length > c->size - c->used)
        grow(c);
    size_t room = c->size - c->used;
    size_t taken = length < room ? length : room;
    size_t tail = (c->head + c->used) % c->size;
    size_t first = taken < c->size - tail ? taken : c->size - tail;
    if (taken) {
        memcpy(c->buffer + tail, data, first);
        memcpy(c->buffer, (const uint8_t *)data + first, taken - first);
    }
    bool was_empty = c->used == 0;
    c->used += taken;
    if (taken < length)
        c->starved = true;
    if (was_empty && taken)
        main_loop_set_events(c->host->loop, c->out_source, POLLOUT);
    pthread_mutex_unlock(&c->mutex);
    return taken;
}

size_t chardev_pending(struct chardev *c)
{
    if (c->parent)
        c = c->parent;
    pthread_mutex_lock(&c->mutex);
    size_t used = c->used;
    pthread_mutex_unlock(&c->mutex);
    return used;
}

/* Writes a piece of the ring; only the main loop's thread moves `head`. False when the peer is gone. */
static bool write_some(struct chardev *c)
{
    uint8_t from[16384]; /* a copy: the ring may move when it grows */
    pthread_mutex_lock(&c->mutex);
    size_t contiguous = c->size - c->head;
    size_t length = c->used < contiguous ? c->used : contiguous;
    /* A descriptor shared with the shell stays blocking: what poll() promised is PIPE_BUF at most. */
    size_t most = c->kind == CHARDEV_STDIO ? 4096 : sizeof from;
    if (length > most)
        length = most;
    memcpy(from, c->buffer + c->head, length);
    pthread_mutex_unlock(&c->mutex);
    bool is_socket = c->kind == CHARDEV_UNIX || c->kind == CHARDEV_TCP;
    ssize_t written = !length     ? 0
                      : is_socket ? send(c->out_fd, from, length, MSG_NOSIGNAL)
                                  : write(c->out_fd, from, length);
    if (written < 0) {
        if (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR)
            return true;
        return false;
    }
    bool tell_user = false;
    pthread_mutex_lock(&c->mutex);
    c->head = (c->head + (size_t)written) % c->size;
    c->used -= (size_t)written;
    if (!c->used)
        main_loop_set_events(c->host->loop, c->out_source, 0);
    if (c->starved && c->used <= c->size / 2) {
        c->starved = false;
        tell_user = true;
    }
    pthread_mutex_unlock(&c->mutex);
    if (tell_user && c->user.writable)
        c->user.writable(c->user.opaque);
    return true;
}

static void output_ready(void *opaque, short revents)
{
    struct chardev *c = opaque;
    if (write_some(c))
        return;
    if (c->kind == CHARDEV_FILE)
        fprintf(stderr, "dragoman: %s: %s\n", c->description, strerror(errno));
    output_lost(c);
}

void chardev_drain(struct chardev *c, unsigned milliseconds)
{
    if (c->parent)
        c = c->parent;
    uint64_t end = main_loop_host_time() + milliseconds * 1000000ull;
    while (c->connected && c->out_fd >= 0 && chardev_pending(c)) {
        uint64_t now = main_loop_host_time();
        if (now >= end)
            return;
        struct pollfd ready = {c->out_fd, POLLOUT, 0};
        int count = poll(&ready, 1, (int)((end - now) / 1000000u) + 1);
        if (count < 0 && errno == EINTR)
            continue;
        if (count <= 0 || !write_some(c))
            return;
    }
}

/* ---- input ---- */

static void receive_some(struct chardev *c)
{
    uint8_t bytes[INPUT_CHUNK];
    size_t room = sizeof bytes;
    if (c->user.receive && c->user.can_receive)
        room = c->user.can_receive(c->user.opaque);
    if (room == 0) {
        main_loop_set_events(c->host->loop, c->in_source, 0);
        main_loop_set_timer(c->host->loop, &c->retry, RETRY_NANOSECONDS);
        return;
    }
    ssize_t got = read(c->in_fd, bytes, room < sizeof bytes ? room : sizeof bytes);
    if (got > 0) {
        if (c->user.receive)
            c->user.receive(c->user.opaque, bytes, (size_t)got);
    } else if (got == 0 || (errno != EAGAIN && errno != EINTR)) {
        chardev_peer_lost(c);
    }
}

static void input_ready(void *opaque, short revents)
{
    receive_some(opaque);
}

static void retry_input(void *opaque)
{
    struct chardev *c = opaque;
    if (c->in_source && !c->in_ended)
        main_loop_set_events(c->host->loop, c->in_source, POLLIN);
}

void chardev_peer_lost(struct chardev *c)
{
    switch (c->kind) {
    case CHARDEV_UNIX:
    case CHARDEV_TCP:
        chardev_stop_streams(c);
        chardev_socket_listen_again(c);
        break;
    case CHARDEV_PTY:
        chardev_pty_wait_for_peer(c);
        break;
    default: /* end of standard input: output goes on */
        c->in_ended = true;
        main_loop_set_events(c->host->loop, c->in_source, 0);
    }
}

/* The disk is full, the terminal gone or the reader of the pipe: from now on output is dropped. */
static void output_lost(struct chardev *c)
{
    if (c->kind != CHARDEV_FILE && c->kind != CHARDEV_STDIO) {
        chardev_peer_lost(c);
        return;
    }
    pthread_mutex_lock(&c->mutex);
    int fd = c->out_fd;
    bool starved = c->starved;
    c->out_fd = -1;
    c->used = 0;
    c->starved = false;
    pthread_mutex_unlock(&c->mutex);
    main_loop_remove_source(c->host->loop, c->out_source);
    c->out_source = MAIN_LOOP_NO_SOURCE;
    if (c->owns_out && fd >= 0)
        close(fd);
    if (starved && c->user.writable)
        c->user.writable(c->user.opaque);
}

void chardev_start_streams(struct chardev *c)
{
    struct main_loop *loop = c->host->loop;
    if (c->out_fd >= 0)
        c->out_source = main_loop_add_source(loop, c->out_fd, 0, output_ready, c);
    c->in_ended = false;
    if (c->in_fd >= 0)
        c->in_source = main_loop_add_source(loop, c->in_fd, POLLIN, input_ready, c);
    pthread_mutex_lock(&c->mutex);
    c->connected = true;
    c->head = c->used = 0;
    pthread_mutex_unlock(&c->mutex);
    tell(c, CHARDEV_OPENED);
}

void chardev_stop_streams(struct chardev *c)
{
    struct main_loop *loop = c->host->loop;
    pthread_mutex_lock(&c->mutex);
    bool was_connected = c->connected;
    bool starved = c->starved;
    c->connected = false;
    c->starved = false;
    c->used = 0;
    pthread_mutex_unlock(&c->mutex);
    main_loop_cancel_timer(loop, &c->retry);
    main_loop_remove_source(loop, c->in_source);
    main_loop_remove_source(loop, c->out_source);
    c->in_source = c->out_source = MAIN_LOOP_NO_SOURCE;
    if (c->owns_out && c->out_fd >= 0 && c->out_fd != c->in_fd)
        close(c->out_fd);
    if (c->owns_in && c->in_fd >= 0)
        close(c->in_fd);
    c->in_fd = c->out_fd = -1;
    if (was_connected) {
        tell(c, CHARDEV_CLOSED);
        if (starved && c->user.writable)
            c->user.writable(c->user.opaque); /* from now on everything is taken, and dropped */
    }
}

void chardev_disconnect(struct chardev *c)
{
    if ((c->kind == CHARDEV_UNIX || c->kind == CHARDEV_TCP) && c->connected) {
        chardev_drain(c, 200);
        chardev_peer_lost(c);
    }
}

/* ---- devices ---- */

static size_t port_write(struct char_port *port, const uint8_t *data, size_t length)
{
    struct chardev_port *binding = CONTAINER_OF(port, struct chardev_port, port);
    return binding->chardev ? chardev_write(binding->chardev, data, length) : length;
}

static size_t port_can_receive(void *opaque)
{
    struct chardev_port *binding = opaque;
    device_lock_acquire(binding->lock);
    /* A port that no device listens to takes anything. */
    size_t room = binding->port.can_receive ? binding->port.can_receive(binding->port.device) : INPUT_CHUNK;
    device_lock_release(binding->lock);
    return room;
}

static void port_receive(void *opaque, const uint8_t *data, size_t length)
{
    struct chardev_port *binding = opaque;
    device_lock_acquire(binding->lock);
    if (binding->port.receive)
        binding->port.receive(binding->port.device, data, length);
    device_lock_release(binding->lock);
}

static void port_writable(void *opaque)
{
    struct chardev_port *binding = opaque;
    device_lock_acquire(binding->lock);
    if (binding->port.writable)
        binding->port.writable(binding->port.device);
    device_lock_release(binding->lock);
}

static void port_event(void *opaque, enum chardev_event event)
{
    struct chardev_port *binding = opaque;
    if (event != CHARDEV_BREAK)
        return;
    device_lock_acquire(binding->lock);
    if (binding->port.receive_break)
        binding->port.receive_break(binding->port.device);
    device_lock_release(binding->lock);
}

void chardev_port_init(struct chardev_port *binding)
{
    memset(binding, 0, sizeof *binding);
    binding->port.write = port_write;
    binding->port.backend = binding;
}

void chardev_port_connect(struct chardev_port *binding, struct chardev *chardev, struct device_lock *lock)
{
    binding->chardev = chardev;
    binding->lock = lock;
    struct chardev_user user = {port_can_receive, port_receive, port_event, port_writable, binding};
    chardev_set_user(chardev, &user);
}

/* Unix and TCP sockets as chardevs: one client at a time. */
#define _GNU_SOURCE /* accept4 */
#include "vm/chardev_stream.h"

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

static void redescribe(struct chardev *c, bool connected)
{
    snprintf(c->description, sizeof c->description, "%s%s%s", connected ? "" : "disconnected:", c->address,
             c->listen_fd >= 0 ? ",server=on" : "");
}

static void client_arrived(struct chardev *c, int fd)
{
    int one = 1;
    if (c->kind == CHARDEV_TCP)
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    c->in_fd = c->out_fd = fd;
    c->owns_in = c->owns_out = true;
    redescribe(c, true);
    chardev_start_streams(c);
}

static void listener_ready(void *opaque, short revents)
{
    struct chardev *c = opaque;
    int fd = accept4(c->listen_fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd < 0)
        return;                                               /* the client was quicker away than we were here */
    main_loop_set_events(c->host->loop, c->listen_source, 0); /* further ones wait in the backlog */
    client_arrived(c, fd);
}

void chardev_socket_listen_again(struct chardev *c)
{
    redescribe(c, false);
    if (c->listen_fd >= 0)
        main_loop_set_events(c->host->loop, c->listen_source, POLLIN);
}

static bool open_unix(struct chardev *c, const struct chardev_config *config, int *out, struct error *err)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    if (strlen(config->path) >= sizeof address.sun_path)
        return error_set(err, "socket path '%s' is too long (at most %zu characters)", config->path,
                         sizeof address.sun_path - 1);
    strcpy(address.sun_path, config->path);
    snprintf(c->address, sizeof c->address, "unix:%s", config->path);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return error_set(err, "cannot create a socket: %s", strerror(errno));
    if (!config->server) {
        if (connect(fd, (struct sockaddr *)&address, sizeof address) < 0) {
            error_set(err, "cannot connect to socket '%s': %s", config->path, strerror(errno));
            close(fd);
            return false;
        }
        *out = fd;
        return true;
    }
    /* A socket that an earlier run left behind is in the way; anything else is not ours to remove. */
    struct stat status;
    if (lstat(config->path, &status) == 0 && S_ISSOCK(status.st_mode))
        unlink(config->path);
    if (bind(fd, (struct sockaddr *)&address, sizeof address) < 0 || listen(fd, 1) < 0) {
        error_set(err, "cannot listen on socket '%s': %s", config->path, strerror(errno));
        close(fd);
        return false;
    }
    snprintf(c->path, sizeof c->path, "%s", config->path);
    *out = fd;
    return true;
}

static bool open_tcp(struct chardev *c, const struct chardev_config *config, int *out, struct error *err)
{
    /* No host means this machine only: neither monitor nor gdb stub asks for a password. */
    const char *host = config->host[0] ? config->host : "127.0.0.1";
    struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM};
    struct addrinfo *found;
    hints.ai_flags = config->server ? AI_PASSIVE : 0;
    int status = getaddrinfo(host, config->port, &hints, &found);
    if (status)
        return error_set(err, "tcp:%s:%s: %s", host, config->port, gai_strerror(status));
    snprintf(c->address, sizeof c->address, "tcp:%s:%s", host, config->port);
    int fd = -1, failure = 0;
    for (struct addrinfo *a = found; a && fd < 0; a = a->ai_next) {
        fd = socket(a->ai_family, a->ai_socktype | SOCK_CLOEXEC, a->ai_protocol);
        if (fd < 0) {
            failure = errno;
            continue;
        }
        int one = 1;
        if (config->server)
            setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
        if (config->server ? bind(fd, a->ai_addr, a->ai_addrlen) < 0 || listen(fd, 1) < 0
                           : connect(fd, a->ai_addr, a->ai_addrlen) < 0) {
            failure = errno;
            close(fd);
            fd = -1;
        }
    }
    freeaddrinfo(found);
    if (fd < 0)
        return error_set(err, "cannot %s %s port %s: %s", config->server ? "listen on" : "connect to", host,
                         config->port, strerror(failure));
    fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
    if (config->server) {
        /* Port 0 means any: say which it became. */
        struct sockaddr_storage bound;
        socklen_t size = sizeof bound;
        char port[32];
        if (getsockname(fd, (struct sockaddr *)&bound, &size) == 0 &&
            getnameinfo((struct sockaddr *)&bound, size, NULL, 0, port, sizeof port, NI_NUMERICSERV) == 0)
            snprintf(c->address, sizeof c->address, "tcp:%s:%s", host, port);
    }
    *out = fd;
    return true;
}

bool chardev_open_socket(struct chardev *c, const struct chardev_config *config, struct error *err)
{
    int fd = -1;
    if (!(config->kind == CHARDEV_UNIX ? open_unix(c, config, &fd, err) : open_tcp(c, config, &fd, err)))
        return false;
    if (!config->server) {
        client_arrived(c, fd);
        return true;
    }
    c->listen_fd = fd;
    redescribe(c, false);
    c->listen_source = main_loop_add_source(c->host->loop, fd, POLLIN, listener_ready, c);
    if (!config->wait)
        return true;
    fprintf(stderr, "dragoman: waiting for a connection on %s\n", c->address);
    while (!c->connected) {
        bool stop = false;
        if (c->host->interrupted)
            c->host->interrupted(c->host->opaque, &stop);
        if (stop)
            return error_set(err, "%s: interrupted while waiting for a connection", c->address);
        main_loop_iterate(c->host->loop, 1000000000u);
    }
    return true;
}

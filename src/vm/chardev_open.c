/* Terminals, files and pseudo-terminals as chardevs. */
#define _GNU_SOURCE /* posix_openpt and friends, ptsname_r */
#include "vm/chardev_stream.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

/* Standard input and output.  Their descriptions are shared with the shell, so O_NONBLOCK must not be
 * set on them: a description of our own is opened through /proc where that works (terminals and
 * pipes).  Elsewhere poll() says when a write will not block for long. */
static int reopen_output(int fd)
{
    if (!isatty(fd))
        return fd;
    char name[64];
    snprintf(name, sizeof name, "/proc/self/fd/%d", fd);
    int own = open(name, O_WRONLY | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);
    return own >= 0 ? own : fd;
}

bool chardev_open_stdio(struct chardev *c, const struct chardev_config *config, struct error *err)
{
    if (c->host->stdio_taken) {
        c->kind = CHARDEV_NULL; /* so that closing it does not give stdio back */
        return error_set(err, "stdio cannot be used by more than one character device (use mon:stdio to share it)");
    }
    c->host->stdio_taken = true;
    snprintf(c->description, sizeof c->description, "stdio");
    if (c->host->terminal)
        terminal_set_raw(c->host->terminal, config->signal);
    c->in_fd = STDIN_FILENO;
    c->out_fd = reopen_output(STDOUT_FILENO);
    c->owns_out = c->out_fd > STDERR_FILENO;
    chardev_start_streams(c);
    return true;
}

bool chardev_open_file(struct chardev *c, const struct chardev_config *config, struct error *err)
{
    int flags = O_WRONLY | O_CREAT | O_CLOEXEC | (config->append ? O_APPEND : O_TRUNC);
    c->out_fd = open(config->path, flags, 0666);
    if (c->out_fd < 0)
        return error_set(err, "cannot open '%s' for writing: %s", config->path, strerror(errno));
    c->owns_out = true;
    snprintf(c->description, sizeof c->description, "file:%s", config->path);
    chardev_start_streams(c);
    return true;
}

/* ---- pseudo-terminals ----
 *
 * While no process has the other side open the master reports POLLHUP for ever (and reads give EIO).
 * So we stop polling then, drop output, and look every 100 ms whether the hang-up is over. */

#define PEER_CHECK_NANOSECONDS 100000000u

static bool pty_has_peer(int fd)
{
    struct pollfd state = {fd, POLLIN, 0};
    return poll(&state, 1, 0) >= 0 && !(state.revents & POLLHUP);
}

static void pty_check_peer(void *opaque)
{
    struct chardev *c = opaque;
    if (c->connected)
        return;
    if (pty_has_peer(c->in_fd))
        chardev_start_streams(c);
    else
        main_loop_set_timer(c->host->loop, &c->poll_peer, PEER_CHECK_NANOSECONDS);
}

void chardev_pty_wait_for_peer(struct chardev *c)
{
    int fd = c->in_fd;
    c->owns_in = c->owns_out = false; /* the master stays open */
    chardev_stop_streams(c);
    c->in_fd = c->out_fd = fd;
    c->owns_in = c->owns_out = true;
    main_loop_set_timer(c->host->loop, &c->poll_peer, PEER_CHECK_NANOSECONDS);
}

bool chardev_open_pty(struct chardev *c, const struct chardev_config *config, struct error *err)
{
    int master = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC | O_NONBLOCK);
    char name[128];
    if (master < 0 || grantpt(master) < 0 || unlockpt(master) < 0 || ptsname_r(master, name, sizeof name) != 0) {
        error_set(err, "cannot make a pseudo-terminal: %s", strerror(errno));
        if (master >= 0)
            close(master);
        return false;
    }
    /* Raw, so that nothing is echoed or translated; opened and closed once, so that the master
     * reports the hang-up until somebody comes. */
    int slave = open(name, O_RDWR | O_NOCTTY | O_CLOEXEC);
    if (slave >= 0) {
        struct termios raw;
        if (tcgetattr(slave, &raw) == 0) {
            cfmakeraw(&raw);
            tcsetattr(slave, TCSANOW, &raw);
        }
        close(slave);
    }
    c->in_fd = c->out_fd = master;
    c->owns_in = c->owns_out = true;
    c->poll_peer = (struct host_timer){.callback = pty_check_peer, .opaque = c};
    snprintf(c->description, sizeof c->description, "pty:%s", name);
    /* On standard output, where scripts look for it; they may read from a pipe. */
    printf("char device redirected to %s (label %s)\n", name, c->id);
    fflush(stdout);
    main_loop_set_timer(c->host->loop, &c->poll_peer, 0);
    return true;
}

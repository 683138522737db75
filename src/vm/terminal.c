#include "vm/terminal.h"

#include <signal.h>
#include <string.h>
#include <unistd.h>

void terminal_init(struct terminal *terminal, int fd)
{
    terminal->fd = fd;
    terminal->raw = false;
    terminal->signals = true;
    terminal->resumed = 0;
    terminal->leave = NULL;
    terminal->leave_fd = -1;
    terminal->is_terminal = isatty(fd) && tcgetattr(fd, &terminal->saved) == 0;
}

/* tcsetattr from a background process raises SIGTTOU; blocked, the call just succeeds. */
static void set_attributes(struct terminal *terminal, const struct termios *attributes)
{
    sigset_t ttou, before;
    sigemptyset(&ttou);
    sigaddset(&ttou, SIGTTOU);
    pthread_sigmask(SIG_BLOCK, &ttou, &before);
    tcsetattr(terminal->fd, TCSANOW, attributes);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
}

void terminal_set_raw(struct terminal *terminal, bool signals)
{
    terminal->signals = signals;
    if (!terminal->is_terminal)
        return;
    struct termios raw = terminal->saved;
    raw.c_iflag &= ~(tcflag_t)(IGNBRK | BRKINT | PARMRK | ISTRIP | INLCR | IGNCR | ICRNL | IXON);
    raw.c_oflag |= OPOST; /* so that a bare newline of ours still returns the carriage */
    raw.c_lflag &= ~(tcflag_t)(ECHO | ECHONL | ICANON | IEXTEN);
    if (!signals)
        raw.c_lflag &= ~(tcflag_t)ISIG;
    raw.c_cflag &= ~(tcflag_t)(CSIZE | PARENB);
    raw.c_cflag |= CS8;
    raw.c_cc[VMIN] = 1;
    raw.c_cc[VTIME] = 0;
    terminal->raw = true; /* first: a crash in between must restore */
    set_attributes(terminal, &raw);
}

void terminal_reapply(struct terminal *terminal)
{
    terminal->resumed++;
    if (terminal->raw)
        terminal_set_raw(terminal, terminal->signals);
}

void terminal_set_leave(struct terminal *terminal, int fd, const char *sequence)
{
    terminal->leave_fd = fd;
    terminal->leave = sequence;
}

void terminal_restore(struct terminal *terminal)
{
    const char *leave = terminal->leave;
    terminal->leave = NULL;
    if (leave) {
        ssize_t n = write(terminal->leave_fd, leave, strlen(leave));
        (void)n; /* a terminal that takes nothing more cannot be helped */
    }
    if (!terminal->is_terminal || !terminal->raw)
        return;
    set_attributes(terminal, &terminal->saved);
    terminal->raw = false;
}

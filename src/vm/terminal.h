/* The user's terminal: raw while the machine runs, put back on every way out. */
#ifndef DRAGOMAN_VM_TERMINAL_H
#define DRAGOMAN_VM_TERMINAL_H

#include <stdbool.h>
#include <termios.h>

struct terminal {
    int fd;
    bool is_terminal; /* FD is one, and `saved` holds its settings */
    bool raw;
    bool signals; /* keys such as Ctrl-C still make signals */
    struct termios saved;
    unsigned resumed; /* counts terminal_reapply(): the screen is no longer what it was */
    /* Written to leave_fd before the settings are put back; NULL: nothing. */
    const char *volatile leave;
    int leave_fd;
};

/* Remembers the settings of FD; does nothing if that is no terminal. */
void terminal_init(struct terminal *terminal, int fd);
/* Characters at once, no echo, no flow control; output processing stays on. SIGNALS keeps Ctrl-C & co. */
void terminal_set_raw(struct terminal *terminal, bool signals);
/* After the shell had the terminal (SIGCONT): raw again if it was. */
void terminal_reapply(struct terminal *terminal);
/* While somebody draws on the whole screen: SEQUENCE, a constant string, puts the terminal back; NULL when he has done
 * so himself. FD does not block. */
void terminal_set_leave(struct terminal *terminal, int fd, const char *sequence);
/* Puts screen and saved settings back. Async-signal-safe; as often as one likes. */
void terminal_restore(struct terminal *terminal);

#endif

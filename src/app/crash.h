/* Last resort: a crash, or exit() from a library, must not leave the terminal raw. */
#ifndef DRAGOMAN_APP_CRASH_H
#define DRAGOMAN_APP_CRASH_H

#include "vm/terminal.h"

/* TERMINAL must stay until crash_forget_terminal(). One at a time in a process. */
void crash_guard_terminal(struct terminal *terminal);
void crash_forget_terminal(void);

#endif

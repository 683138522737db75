/* Signal handlers and atexit() functions are given no context, so this file has the program's only
 * variables outside of structures. */
#include "app/crash.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>

static const int fatal[] = {SIGSEGV, SIGBUS, SIGILL, SIGABRT, SIGFPE, SIGQUIT};
#define FATAL_COUNT (sizeof fatal / sizeof fatal[0])

static struct terminal *volatile guarded;
static struct sigaction before[FATAL_COUNT];
static bool registered;

static void restore_terminal(void)
{
    if (guarded)
        terminal_restore(guarded);
}

/* Puts the terminal back, then lets whoever was there before us (by default: death) have the signal:
 * a fault comes again when the instruction is repeated, a sent signal is sent again. */
static void fatal_signal(int number, siginfo_t *info, void *context)
{
    restore_terminal();
    for (size_t i = 0; i < FATAL_COUNT; i++)
        if (fatal[i] == number)
            sigaction(number, &before[i], NULL);
    if (info->si_code <= 0 || info->si_code == SI_KERNEL || number == SIGQUIT)
        raise(number);
}

void crash_guard_terminal(struct terminal *terminal)
{
    guarded = terminal;
    if (registered)
        return;
    registered = true;
    atexit(restore_terminal);
    struct sigaction action;
    memset(&action, 0, sizeof action);
    action.sa_sigaction = fatal_signal;
    action.sa_flags = SA_SIGINFO | SA_ONSTACK;
    sigemptyset(&action.sa_mask);
    for (size_t i = 0; i < FATAL_COUNT; i++)
        sigaction(fatal[i], &action, &before[i]);
}

void crash_forget_terminal(void)
{
    restore_terminal();
    guarded = NULL;
}

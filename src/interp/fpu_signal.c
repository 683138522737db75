/* SIGFPE: from the faulting host instruction to the recovery code of its handler function. */
#define _GNU_SOURCE /* REG_RIP */
#include "interp/fpu_signal.h"

#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <ucontext.h>

struct fpu_fault {
    int32_t at;
    int32_t recover;
    uint32_t reports;
};

/* Bounds of the section, defined by the linker; missing if no object file has entries. */
extern const struct fpu_fault __start_fpu_fault_table[] __attribute__((weak));
extern const struct fpu_fault __stop_fpu_fault_table[] __attribute__((weak));

/* Signal handlers belong to the process, and so does the one that was there before ours; written once,
 * by fpu_signal_install(). */
static struct sigaction previous;

/* Who knows the code that this thread runs; a thread runs one vCPU. */
static _Thread_local struct {
    fpu_resolver *resolve;
    void *opaque;
} resolver;

void fpu_signal_set_resolver(fpu_resolver *resolve, void *opaque)
{
    resolver.resolve = resolve;
    resolver.opaque = opaque;
}

static uintptr_t resolve(const int32_t *field)
{
    return (uintptr_t)field + (uintptr_t)(intptr_t)*field;
}

/* A linear search: some two thousand entries take less time than the kernel does to deliver the signal. */
static const struct fpu_fault *find(uintptr_t pc)
{
    for (const struct fpu_fault *f = __start_fpu_fault_table; f < __stop_fpu_fault_table; f++)
        if (resolve(&f->at) == pc)
            return f;
    return NULL;
}

static void pass_on(int signal_number, siginfo_t *info, void *context)
{
    if (previous.sa_flags & SA_SIGINFO) {
        previous.sa_sigaction(signal_number, info, context);
    } else if (previous.sa_handler == SIG_DFL || previous.sa_handler == SIG_IGN) {
        /* A fault cannot be ignored: back to the instruction, which ends the process. */
        struct sigaction fatal = {.sa_handler = SIG_DFL};

        sigaction(SIGFPE, &fatal, NULL);
    } else {
        previous.sa_handler(signal_number);
    }
}

static void on_sigfpe(int signal_number, siginfo_t *info, void *context)
{
    ucontext_t *u = context;
    greg_t *registers = u->uc_mcontext.gregs;
    const struct fpu_fault *fault = find((uintptr_t)registers[REG_RIP]);

    uintptr_t recovery;

    if (!fault && resolver.resolve && resolver.resolve(resolver.opaque, (uintptr_t)registers[REG_RIP], u, &recovery)) {
        registers[REG_RIP] = (greg_t)recovery;
        return;
    }
    if (!fault) {
        pass_on(signal_number, info, context);
        return;
    }
    if (fault->reports)
        *(int *)(uintptr_t)registers[REG_RDI] = (int)registers[REG_TRAPNO];
    registers[REG_RIP] = (greg_t)resolve(&fault->recover);
}

bool fpu_signal_install(void)
{
    struct sigaction action = {.sa_flags = SA_SIGINFO | SA_ONSTACK}, present;

    if (sigaction(SIGFPE, NULL, &present))
        return false;
    if ((present.sa_flags & SA_SIGINFO) && present.sa_sigaction == on_sigfpe)
        return true;
    previous = present;
    action.sa_sigaction = on_sigfpe;
    sigemptyset(&action.sa_mask);
    return sigaction(SIGFPE, &action, NULL) == 0;
}

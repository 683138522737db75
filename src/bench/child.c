#define _GNU_SOURCE /* pipe2 */
#include "bench/child.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

struct reader {
    char pending[4096];
    size_t length;
    child_line_fn *line;
    void *opaque;
};

static double seconds_of(clockid_t clock)
{
    struct timespec t;

    return clock_gettime(clock, &t) == 0 ? (double)t.tv_sec + (double)t.tv_nsec * 1e-9 : 0;
}

/* In the child. What exec() fails with goes to the parent through FAILED, which a successful exec() closes. */
static void __attribute__((noreturn)) become(char *const argv[], int output, int failed, pid_t parent)
{
    sigset_t none;
    int null = open("/dev/null", O_RDONLY);

    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    signal(SIGPIPE, SIG_DFL);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() == parent && null >= 0 && dup2(null, 0) >= 0 && dup2(output, 1) >= 0 && dup2(output, 2) >= 0)
        execv(argv[0], argv); /* execvp() would take a program that it cannot run for a script */
    int why = errno;
    ssize_t ignored = write(failed, &why, sizeof why);
    (void)ignored;
    _exit(127);
}

static pid_t start(char *const argv[], int *output, struct error *err)
{
    int lines[2], failed[2];

    if (pipe2(lines, O_CLOEXEC) < 0)
        return error_set(err, "cannot make a pipe: %s", strerror(errno)), -1;
    if (pipe2(failed, O_CLOEXEC) < 0) {
        close(lines[0]), close(lines[1]);
        return error_set(err, "cannot make a pipe: %s", strerror(errno)), -1;
    }
    pid_t parent = getpid(), pid = fork();
    if (pid == 0)
        become(argv, lines[1], failed[1], parent);
    int why = pid < 0 ? errno : 0;
    close(lines[1]), close(failed[1]);
    if (pid > 0 && read(failed[0], &why, sizeof why) == (ssize_t)sizeof why) {
        waitpid(pid, NULL, 0);
        pid = -1;
    }
    close(failed[0]);
    if (pid < 0) {
        close(lines[0]);
        return error_set(err, "cannot run '%s': %s", argv[0], strerror(why)), -1;
    }
    *output = lines[0];
    return pid;
}

/* False if enough was heard. What is longer than PENDING is cut into pieces. */
static bool take_lines(struct reader *reader, const struct child_cost *cost)
{
    size_t from = 0;
    bool more = true;

    for (size_t i = 0; i < reader->length && more; i++) {
        if (reader->pending[i] != '\n')
            continue;
        size_t end = i;
        while (end > from && reader->pending[end - 1] == '\r')
            end--;
        reader->pending[end] = 0;
        more = reader->line(reader->opaque, reader->pending + from, cost);
        from = i + 1;
    }
    reader->length -= from;
    memmove(reader->pending, reader->pending + from, reader->length);
    if (reader->length == sizeof reader->pending)
        reader->length = 0;
    return more;
}

#define GRACE 5.0 /* seconds to end by itself */

static enum child_end follow(struct reader *reader, int output, clockid_t clock, double limit, int interrupt_fd)
{
    double began = seconds_of(CLOCK_MONOTONIC), end = began + limit;
    bool more = true;

    for (;;) {
        struct pollfd fds[2] = {{output, POLLIN, 0}, {interrupt_fd, POLLIN, 0}};
        double left = end - seconds_of(CLOCK_MONOTONIC);
        int ready = poll(fds, 2, left <= 0 ? 0 : (int)(left * 1000) + 1);

        if (ready < 0 && errno == EINTR)
            continue;
        if (ready <= 0)
            return more ? CHILD_TIMED_OUT : CHILD_ENOUGH;
        if (fds[1].revents)
            return CHILD_INTERRUPTED;
        ssize_t got = read(output, reader->pending + reader->length, sizeof reader->pending - reader->length);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            return CHILD_EXITED;
        struct child_cost cost = {seconds_of(CLOCK_MONOTONIC) - began, seconds_of(clock)};
        reader->length += (size_t)got;
        if (!more) {
            reader->length = 0;
        } else if (!take_lines(reader, &cost)) {
            more = false;
            end = began + cost.wall + GRACE;
        }
    }
}

bool child_run(char *const argv[], double limit, int interrupt_fd, child_line_fn *line, void *opaque,
               struct child_result *result, struct error *err)
{
    struct reader *reader = calloc(1, sizeof *reader);
    int output;
    pid_t pid = reader ? start(argv, &output, err) : -1;

    if (pid < 0) {
        bool told = reader || error_set(err, "out of memory");
        free(reader);
        (void)told;
        return false;
    }
    clockid_t clock;
    if (clock_getcpuclockid(pid, &clock) != 0)
        clock = CLOCK_MONOTONIC; /* gone already */
    reader->line = line;
    reader->opaque = opaque;
    memset(result, 0, sizeof *result);
    result->end = follow(reader, output, clock, limit, interrupt_fd);
    free(reader);
    if (result->end != CHILD_EXITED)
        kill(pid, SIGKILL);
    struct rusage usage;
    while (wait4(pid, &result->status, 0, &usage) < 0 && errno == EINTR)
        ;
    close(output);
    result->processor = (double)usage.ru_utime.tv_sec + (double)usage.ru_stime.tv_sec +
                        (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) * 1e-6;
    result->peak_memory = (uint64_t)usage.ru_maxrss * 1024;
    return true;
}

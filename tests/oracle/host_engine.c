/* The processor as an engine: a child process and a batch in shared memory. */
#define _GNU_SOURCE
#include "engine.h"

#include <errno.h>
#include <linux/futex.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define HANG_SECONDS 1

struct host_engine {
    struct engine engine;
    char *path;
    int fd;
    struct oracle_shared *shared;
    pid_t child;
    uint64_t base;
    bool base_known;
};

static void stop(struct host_engine *host)
{
    if (host->child > 0) {
        kill(host->child, SIGKILL);
        waitpid(host->child, NULL, 0);
    }
    host->child = 0;
}

static bool child_is_gone(struct host_engine *host)
{
    if (waitpid(host->child, NULL, WNOHANG) != host->child)
        return false;
    host->child = 0;
    return true;
}

/* Processor time that the child has used. */
static double child_time(const struct host_engine *host)
{
    struct timespec t = {0};
    clockid_t clock;

    if (!clock_getcpuclockid(host->child, &clock))
        clock_gettime(clock, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

/* However busy the machine is, a child that can run gets on in this time. */
#define ASLEEP_SECONDS 120

/* SECONDS: of the child's processor time without progress, for others may have the processor.
 * 1: replied, 0: time is up, -1: the child died */
static int wait_for(struct host_engine *host, uint32_t request, unsigned seconds)
{
    uint32_t current = __atomic_load_n(&host->shared->current, __ATOMIC_RELAXED);
    double since = child_time(host);
    time_t asleep_since = time(NULL);

    for (;;) {
        uint32_t reply = __atomic_load_n(&host->shared->reply, __ATOMIC_ACQUIRE);
        struct timespec timeout = {.tv_nsec = 50000000};

        if (reply == request)
            return 1;
        if (syscall(SYS_futex, &host->shared->reply, FUTEX_WAIT, reply, &timeout, NULL, 0) && errno == ETIMEDOUT) {
            if (child_is_gone(host))
                return -1;
            uint32_t now = __atomic_load_n(&host->shared->current, __ATOMIC_RELAXED);
            if (now != current) {
                current = now;
                since = child_time(host);
                asleep_since = time(NULL);
            }
            if (child_time(host) - since > (double)seconds)
                return 0;
            if (time(NULL) - asleep_since > ASLEEP_SECONDS) /* it waits for what never comes: a case made a system call */
                return 0;
        }
    }
}

static bool start(struct host_engine *host)
{
    host->shared->request = 0;
    host->shared->reply = UINT32_MAX;
    host->shared->failure = 0;
    host->base_known = false;
    host->shared->base_generation = 0;
    host->child = fork();
    if (host->child == 0) {
        dup2(host->fd, 3);
        char *argv[] = {host->path, NULL}, *envp[] = {NULL};
        execve(host->path, argv, envp);
        _exit(98);
    }
    if (host->child < 0 || wait_for(host, 0, 10) != 1) {
        fprintf(stderr, "oracle: the helper %s did not start (step %u, reply %x)\n", host->path, host->shared->failure,
                host->shared->reply);
        stop(host);
        return false;
    }
    host->engine.epilogue = host->shared->epilogue;
    return true;
}

void engine_host_restart(struct engine *engine)
{
    struct host_engine *host = (struct host_engine *)engine;

    stop(host);
    if (!start(host))
        exit(1);
}

/* Copies are a good part of what a case costs: only what counts. */
static void put_case(struct oracle_input *to, const struct test_case *c)
{
    const struct oracle_input *in = &c->input;

    memcpy(&to->registers, &in->registers, in->uses_fpu ? sizeof in->registers : offsetof(struct oracle_registers, fx));
    memcpy(&to->uses_fpu, &in->uses_fpu,
           offsetof(struct oracle_input, patches) - offsetof(struct oracle_input, uses_fpu));
    memcpy(to->patches, in->patches, in->patch_count * sizeof in->patches[0]);
    memcpy(to->code, in->code, in->code_length);
    to->boundary = in->boundary ? c->host_boundary : 0;
}

/* Whether B, behind A in the batch, differs in nothing but a later boundary. */
static bool follows(const struct test_case *a, const struct test_case *b)
{
    const struct oracle_input *p = &a->input, *q = &b->input;

    return p->boundary && q->boundary && a->host_boundary && b->host_boundary > a->host_boundary &&
           p->code_offset == q->code_offset && p->code_length == q->code_length && p->patch_count == q->patch_count &&
           p->uses_fpu == q->uses_fpu && !memcmp(p->code, q->code, p->code_length) &&
           !memcmp(p->patches, q->patches, p->patch_count * sizeof p->patches[0]) &&
           !memcmp(&p->registers, &q->registers,
                   p->uses_fpu ? sizeof p->registers : offsetof(struct oracle_registers, fx));
}

static void take_output(struct oracle_output *to, const struct oracle_output *out, bool uses_fpu)
{
    uint32_t lines = out->line_count < ORACLE_MAX_LINES ? out->line_count : ORACLE_MAX_LINES;

    memcpy(&to->registers, &out->registers, uses_fpu ? sizeof out->registers : offsetof(struct oracle_registers, fx));
    memcpy(&to->end, &out->end, offsetof(struct oracle_output, lines) - offsetof(struct oracle_output, end));
    memcpy(to->lines, out->lines, lines * sizeof out->lines[0]);
}

void engine_settle(const struct engine *engine, struct test_case *c, const struct oracle_output *output)
{
    c->host_boundary = engine->exact ? c->input.boundary : output->end == END_STOPPED ? output->boundary : 0;
}

static void run(struct engine *engine, const struct test_case *cases, struct oracle_output *outputs, size_t count)
{
    struct host_engine *host = (struct host_engine *)engine;
    struct oracle_shared *shared = host->shared;
    size_t first = 0;

    for (size_t i = 0; i < count; i++) {
        put_case(&shared->input[i], &cases[i]);
        shared->input[i].follows = i && follows(&cases[i - 1], &cases[i]);
    }
    while (first < count) {
        if (!host->child && !start(host))
            exit(1);
        if (!host->base_known || host->base != cases[0].base) {
            oracle_fill_base(cases[0].base, shared->base);
            shared->base_generation++;
            host->base = cases[0].base;
            host->base_known = true;
        }
        shared->first = (uint32_t)first;
        shared->count = (uint32_t)count;
        shared->current = (uint32_t)first;
        uint32_t request = shared->request + 1;
        __atomic_store_n(&shared->request, request, __ATOMIC_RELEASE);
        syscall(SYS_futex, &shared->request, FUTEX_WAKE, 1, NULL, NULL, 0);
        int result = wait_for(host, request, HANG_SECONDS);
        if (result == 1)
            break;
        /* The case that was running is lost, the child with it. */
        first = shared->current;
        if (result == 0)
            stop(host);
        shared->output[first].end = result == 0 ? END_HANG : END_DISCARD;
        first++;
    }
    for (size_t i = 0; i < count; i++)
        take_output(&outputs[i], &shared->output[i], cases[i].input.uses_fpu);
}

static void destroy(struct engine *engine)
{
    struct host_engine *host = (struct host_engine *)engine;

    stop(host);
    munmap(host->shared, sizeof *host->shared);
    close(host->fd);
    free(host->path);
    free(host);
}

struct engine *engine_create_host(const char *helper_path)
{
    struct host_engine *host = calloc(1, sizeof *host);

    host->engine = (struct engine){.name = "host", .exact = true, .run = run, .destroy = destroy};
    host->path = strdup(helper_path);
    host->fd = memfd_create("oracle", 0);
    if (host->fd < 0 || ftruncate(host->fd, sizeof *host->shared)) {
        perror("oracle: shared memory");
        return NULL;
    }
    host->shared = mmap(NULL, sizeof *host->shared, PROT_READ | PROT_WRITE, MAP_SHARED, host->fd, 0);
    if (host->shared == MAP_FAILED) {
        perror("oracle: shared memory");
        return NULL;
    }
    oracle_default_fx(host->shared->default_fx);
    if (!start(host)) {
        destroy(&host->engine);
        return NULL;
    }
    return &host->engine;
}

/* poll(2) over a small array of sources, plus an eventfd that any thread can make ready. */
#define _GNU_SOURCE /* ppoll */
#include "vm/main_loop.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

struct source {
    unsigned handle; /* MAIN_LOOP_NO_SOURCE: the slot is free */
    int fd;
    short events;
    void (*ready)(void *opaque, short revents);
    void *opaque;
};

struct main_loop {
    pthread_mutex_t mutex; /* guards the sources: set_events comes from any thread */
    struct source *sources;
    size_t source_count, source_capacity;
    unsigned last_handle;
    struct pollfd *poll_set; /* [0] is the wake-up */
    unsigned *poll_handles;
    size_t poll_capacity;
    int wake_fd;
    struct host_timer *timers; /* unsorted: there are a handful */
};

uint64_t main_loop_host_time(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

struct main_loop *main_loop_create(struct error *err)
{
    struct main_loop *loop = calloc(1, sizeof *loop);
    if (!loop) {
        error_set(err, "out of memory");
        return NULL;
    }
    loop->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (loop->wake_fd < 0) {
        error_set(err, "cannot create an eventfd: %s", strerror(errno));
        free(loop);
        return NULL;
    }
    pthread_mutex_init(&loop->mutex, NULL);
    return loop;
}

void main_loop_destroy(struct main_loop *loop)
{
    if (!loop)
        return;
    close(loop->wake_fd);
    pthread_mutex_destroy(&loop->mutex);
    free(loop->sources);
    free(loop->poll_set);
    free(loop->poll_handles);
    free(loop);
}

/* Grows ARRAY to at least COUNT elements. Running out of memory here leaves nothing sensible to do. */
static void *grow_array(void *array, size_t count, size_t element)
{
    void *grown = realloc(array, count * element);
    if (!grown)
        abort();
    return grown;
}

/* Mutex held. NULL when the source is gone. */
static struct source *find_source(struct main_loop *loop, unsigned handle)
{
    for (size_t i = 0; i < loop->source_count; i++)
        if (loop->sources[i].handle == handle && handle != MAIN_LOOP_NO_SOURCE)
            return &loop->sources[i];
    return NULL;
}

unsigned main_loop_add_source(struct main_loop *loop, int fd, short events, void (*ready)(void *opaque, short revents),
                              void *opaque)
{
    pthread_mutex_lock(&loop->mutex);
    struct source *slot = NULL;
    for (size_t i = 0; i < loop->source_count && !slot; i++)
        if (loop->sources[i].handle == MAIN_LOOP_NO_SOURCE)
            slot = &loop->sources[i];
    if (!slot) {
        if (loop->source_count == loop->source_capacity) {
            loop->source_capacity = loop->source_capacity ? 2 * loop->source_capacity : 16;
            loop->sources = grow_array(loop->sources, loop->source_capacity, sizeof *loop->sources);
        }
        slot = &loop->sources[loop->source_count++];
    }
    if (++loop->last_handle == MAIN_LOOP_NO_SOURCE)
        ++loop->last_handle;
    *slot = (struct source){loop->last_handle, fd, events, ready, opaque};
    unsigned handle = slot->handle;
    pthread_mutex_unlock(&loop->mutex);
    return handle;
}

void main_loop_set_events(struct main_loop *loop, unsigned source, short events)
{
    bool changed = false;
    pthread_mutex_lock(&loop->mutex);
    struct source *s = find_source(loop, source);
    if (s && s->events != events) {
        s->events = events;
        changed = true;
    }
    pthread_mutex_unlock(&loop->mutex);
    if (changed)
        main_loop_wake(loop);
}

void main_loop_remove_source(struct main_loop *loop, unsigned source)
{
    pthread_mutex_lock(&loop->mutex);
    struct source *s = find_source(loop, source);
    if (s)
        s->handle = MAIN_LOOP_NO_SOURCE;
    pthread_mutex_unlock(&loop->mutex);
}

void main_loop_cancel_timer(struct main_loop *loop, struct host_timer *timer)
{
    if (!timer->armed)
        return;
    for (struct host_timer **link = &loop->timers; *link; link = &(*link)->next)
        if (*link == timer) {
            *link = timer->next;
            break;
        }
    timer->armed = false;
}

void main_loop_set_timer(struct main_loop *loop, struct host_timer *timer, uint64_t nanoseconds_from_now)
{
    main_loop_cancel_timer(loop, timer);
    timer->deadline = main_loop_host_time() + nanoseconds_from_now;
    timer->armed = true;
    timer->next = loop->timers;
    loop->timers = timer;
}

/* Runs the timers that are due. A callback may set or cancel any timer, so each search starts anew;
 * NOW is fixed, so that a timer which rearms itself does not keep us here. */
static void run_timers(struct main_loop *loop)
{
    uint64_t now = main_loop_host_time();
    for (;;) {
        struct host_timer *due = NULL;
        for (struct host_timer *t = loop->timers; t; t = t->next)
            if (t->deadline <= now && (!due || t->deadline < due->deadline))
                due = t;
        if (!due)
            return;
        main_loop_cancel_timer(loop, due);
        due->callback(due->opaque);
    }
}

void main_loop_wake(struct main_loop *loop)
{
    int saved = errno;
    uint64_t one = 1;
    ssize_t written = write(loop->wake_fd, &one, sizeof one);
    (void)written; /* EAGAIN: the counter is full, so the loop is awake anyway */
    errno = saved;
}

/* Fills the poll set from the sources; returns its length. */
static size_t collect_poll_set(struct main_loop *loop)
{
    size_t count = 1;
    pthread_mutex_lock(&loop->mutex);
    if (loop->poll_capacity < loop->source_count + 1) {
        loop->poll_capacity = loop->source_capacity + 1;
        loop->poll_set = grow_array(loop->poll_set, loop->poll_capacity, sizeof *loop->poll_set);
        loop->poll_handles = grow_array(loop->poll_handles, loop->poll_capacity, sizeof *loop->poll_handles);
    }
    loop->poll_set[0] = (struct pollfd){loop->wake_fd, POLLIN, 0};
    for (size_t i = 0; i < loop->source_count; i++) {
        struct source *s = &loop->sources[i];
        if (s->handle == MAIN_LOOP_NO_SOURCE || !s->events)
            continue; /* with no events asked for poll() would still report POLLHUP, for ever */
        loop->poll_set[count] = (struct pollfd){s->fd, s->events, 0};
        loop->poll_handles[count++] = s->handle;
    }
    pthread_mutex_unlock(&loop->mutex);
    return count;
}

void main_loop_iterate(struct main_loop *loop, uint64_t nanoseconds)
{
    size_t count = collect_poll_set(loop);
    uint64_t now = main_loop_host_time();
    for (struct host_timer *t = loop->timers; t; t = t->next) {
        uint64_t left = t->deadline > now ? t->deadline - now : 0;
        if (left < nanoseconds)
            nanoseconds = left;
    }
    struct timespec timeout = {(time_t)(nanoseconds / 1000000000u), (long)(nanoseconds % 1000000000u)};
    int ready = ppoll(loop->poll_set, count, nanoseconds == MAIN_LOOP_FOREVER ? NULL : &timeout, NULL);
    if (ready > 0) {
        if (loop->poll_set[0].revents) {
            uint64_t counter;
            ssize_t got = read(loop->wake_fd, &counter, sizeof counter);
            (void)got;
        }
        for (size_t i = 1; i < count; i++) {
            short revents = loop->poll_set[i].revents;
            if (!revents)
                continue;
            /* An earlier callback may have removed this source. */
            pthread_mutex_lock(&loop->mutex);
            struct source *s = find_source(loop, loop->poll_handles[i]);
            struct source copy = s ? *s : (struct source){0};
            pthread_mutex_unlock(&loop->mutex);
            if (copy.ready && copy.events)
                copy.ready(copy.opaque, revents);
        }
    }
    run_timers(loop);
}

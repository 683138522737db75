/* The host main loop: file descriptors, host timers and a wake-up, on one thread.
 *
 * Callbacks run on the loop's thread without any lock held; those that touch devices take the
 * device lock themselves.  main_loop_set_events() and main_loop_wake() may be called from any
 * thread; everything else belongs to the loop's thread. */
#ifndef DRAGOMAN_VM_MAIN_LOOP_H
#define DRAGOMAN_VM_MAIN_LOOP_H

#include "base/error.h"

#include <poll.h>
#include <stdbool.h>
#include <stdint.h>

#define MAIN_LOOP_FOREVER   UINT64_MAX
#define MAIN_LOOP_NO_SOURCE 0u

struct main_loop;

/* A timer in host time, for retries towards the host; the guest's timers are base/clock.h's. */
struct host_timer {
    void (*callback)(void *opaque);
    void *opaque;
    uint64_t deadline; /* CLOCK_MONOTONIC nanoseconds */
    bool armed;
    struct host_timer *next;
};

struct main_loop *main_loop_create(struct error *err);
/* All sources and timers must have been removed by their owners, or must not be used any more. */
void main_loop_destroy(struct main_loop *loop);

/* Watches FD for the poll(2) EVENTS; 0 watches nothing for now.  Returns a handle, never
 * MAIN_LOOP_NO_SOURCE.  POLLHUP, POLLERR and POLLNVAL are reported with any non-zero EVENTS. */
unsigned main_loop_add_source(struct main_loop *loop, int fd, short events, void (*ready)(void *opaque, short revents),
                              void *opaque);
void main_loop_set_events(struct main_loop *loop, unsigned source, short events); /* any thread */
/* From within a callback, too; the source's callback is not called any more. */
void main_loop_remove_source(struct main_loop *loop, unsigned source);

void main_loop_set_timer(struct main_loop *loop, struct host_timer *timer, uint64_t nanoseconds_from_now);
void main_loop_cancel_timer(struct main_loop *loop, struct host_timer *timer);

/* Makes the present or next main_loop_iterate() return soon. Any thread; also from signal handlers. */
void main_loop_wake(struct main_loop *loop);

/* Waits until something happens, at most NANOSECONDS, and runs the callbacks that are due. */
void main_loop_iterate(struct main_loop *loop, uint64_t nanoseconds);

/* CLOCK_MONOTONIC, in nanoseconds. */
uint64_t main_loop_host_time(void);

#endif

#include "base/clock.h"

#include <stdlib.h>
#include <time.h>

struct clock {
    void (*wake)(void *opaque);
    void *opaque;
    bool counted;
    unsigned shift;
    uint64_t counted_now; /* counted: the time; written by one thread, read by any */
    /* Real: a sequence lock (odd while being changed) over what follows. */
    uint32_t sequence;
    uint64_t origin;     /* CLOCK_MONOTONIC at virtual time 0, modulo 2^64 */
    uint64_t stopped_at; /* virtual time while paused, CLOCK_NEVER while running */

    /* Armed timers by deadline, equal ones in the order in which they were armed: a sorted list, for
     * a machine has some dozens and arming one must not need memory. */
    struct timer *armed;
    /* Timers that a callback armed for a time not after its own: they wait for the next run, else a
     * callback that always re-arms for "now" would never let clock_run_timers() return. */
    struct timer *deferred;
    bool running;
    uint64_t firing_deadline;
};

static uint64_t host_nanoseconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static struct clock *clock_create(void (*wake)(void *opaque), void *opaque)
{
    struct clock *clock = calloc(1, sizeof *clock);
    if (!clock)
        return NULL;
    clock->wake = wake;
    clock->opaque = opaque;
    clock->stopped_at = CLOCK_NEVER;
    return clock;
}

struct clock *clock_create_real(void (*wake)(void *opaque), void *opaque)
{
    struct clock *clock = clock_create(wake, opaque);
    if (clock)
        clock->origin = host_nanoseconds();
    return clock;
}

struct clock *clock_create_counted(unsigned shift, void (*wake)(void *opaque), void *opaque)
{
    struct clock *clock = clock_create(wake, opaque);
    if (clock) {
        clock->counted = true;
        clock->shift = shift;
    }
    return clock;
}

void clock_destroy(struct clock *clock)
{
    free(clock);
}

bool clock_is_counted(const struct clock *clock)
{
    return clock->counted;
}

/* ---- time ---- */

uint64_t clock_now(struct clock *clock)
{
    if (clock->counted)
        return __atomic_load_n(&clock->counted_now, __ATOMIC_ACQUIRE);
    for (;;) {
        uint32_t sequence = __atomic_load_n(&clock->sequence, __ATOMIC_ACQUIRE);
        uint64_t origin = __atomic_load_n(&clock->origin, __ATOMIC_ACQUIRE);
        uint64_t stopped_at = __atomic_load_n(&clock->stopped_at, __ATOMIC_ACQUIRE);
        uint64_t now = stopped_at != CLOCK_NEVER ? stopped_at : host_nanoseconds() - origin;
        if (!(sequence & 1) && sequence == __atomic_load_n(&clock->sequence, __ATOMIC_RELAXED))
            return now;
    }
}

/* Writers are serialised by the caller: the thread that stops and starts the machine. */
static void clock_set_real(struct clock *clock, uint64_t origin, uint64_t stopped_at)
{
    __atomic_fetch_add(&clock->sequence, 1, __ATOMIC_SEQ_CST);
    __atomic_store_n(&clock->origin, origin, __ATOMIC_RELAXED);
    __atomic_store_n(&clock->stopped_at, stopped_at, __ATOMIC_RELAXED);
    __atomic_fetch_add(&clock->sequence, 1, __ATOMIC_SEQ_CST);
}

void clock_advance_instructions(struct clock *clock, uint64_t instructions)
{
    if (clock->counted)
        __atomic_store_n(&clock->counted_now, clock->counted_now + (instructions << clock->shift), __ATOMIC_RELEASE);
}

void clock_warp(struct clock *clock, uint64_t t)
{
    if (clock->counted && t > clock->counted_now)
        __atomic_store_n(&clock->counted_now, t, __ATOMIC_RELEASE);
}

void clock_pause(struct clock *clock)
{
    if (!clock->counted && clock->stopped_at == CLOCK_NEVER)
        clock_set_real(clock, clock->origin, clock_now(clock));
}

void clock_resume(struct clock *clock)
{
    if (!clock->counted && clock->stopped_at != CLOCK_NEVER)
        clock_set_real(clock, host_nanoseconds() - clock->stopped_at, CLOCK_NEVER);
}

void clock_set_now(struct clock *clock, uint64_t t)
{
    if (clock->counted)
        __atomic_store_n(&clock->counted_now, t, __ATOMIC_RELEASE);
    else if (clock->stopped_at != CLOCK_NEVER)
        clock_set_real(clock, clock->origin, t);
    else
        clock_set_real(clock, host_nanoseconds() - t, CLOCK_NEVER);
}

/* ---- timers ---- */

static void list_insert(struct timer **link, struct timer *timer)
{
    while (*link && (*link)->deadline <= timer->deadline)
        link = &(*link)->next;
    timer->next = *link;
    timer->link = link;
    if (timer->next)
        timer->next->link = &timer->next;
    *link = timer;
}

static void list_remove(struct timer *timer)
{
    *timer->link = timer->next;
    if (timer->next)
        timer->next->link = timer->link;
    timer->next = NULL;
    timer->link = NULL;
    timer->deadline = CLOCK_NEVER;
}

void timer_init(struct timer *timer, struct clock *clock, void (*callback)(void *), void *opaque)
{
    timer->clock = clock;
    timer->callback = callback;
    timer->opaque = opaque;
    timer->deadline = CLOCK_NEVER;
    timer->next = NULL;
    timer->link = NULL;
}

void timer_cancel(struct timer *timer)
{
    if (timer_is_armed(timer))
        list_remove(timer);
}

void timer_set(struct timer *timer, uint64_t deadline)
{
    struct clock *clock = timer->clock;
    uint64_t earliest = clock_next_deadline(clock);
    timer_cancel(timer);
    if (deadline == CLOCK_NEVER)
        return;
    timer->deadline = deadline;
    bool defer = clock->running && deadline <= clock->firing_deadline;
    list_insert(defer ? &clock->deferred : &clock->armed, timer);
    if (deadline < earliest && clock->wake)
        clock->wake(clock->opaque);
}

uint64_t clock_next_deadline(const struct clock *clock)
{
    uint64_t armed = clock->armed ? clock->armed->deadline : CLOCK_NEVER;
    uint64_t deferred = clock->deferred ? clock->deferred->deadline : CLOCK_NEVER;
    return armed < deferred ? armed : deferred;
}

void clock_run_timers(struct clock *clock)
{
    if (clock->running)
        return; /* called from a callback */
    uint64_t now = clock_now(clock);
    clock->running = true;
    while (clock->armed && clock->armed->deadline <= now) {
        struct timer *timer = clock->armed;
        clock->firing_deadline = timer->deadline;
        list_remove(timer);
        timer->callback(timer->opaque);
    }
    clock->running = false;
    while (clock->deferred) {
        struct timer *timer = clock->deferred;
        uint64_t deadline = timer->deadline;
        list_remove(timer);
        timer->deadline = deadline;
        list_insert(&clock->armed, timer);
    }
}

/* The virtual clock of a machine and its timers.
 *
 * Time is counted in nanoseconds since the machine was powered on.  Two sources:
 *   real     CLOCK_MONOTONIC less the time the machine was stopped;
 *   counted  guest instructions << shift (deterministic; the vCPU advances it).
 * Devices never read host time: this clock is all they know (the RTC's epoch is an offset to it).
 *
 * Threads: clock_now() from any thread.  Everything about timers happens under the device lock
 * (base/lock.h): callbacks are called with it held, timer_set()/timer_cancel() need it held. */
#ifndef DRAGOMAN_BASE_CLOCK_H
#define DRAGOMAN_BASE_CLOCK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CLOCK_NEVER UINT64_MAX

struct clock;

struct timer {
    struct clock *clock;
    void (*callback)(void *opaque);
    void *opaque;
    uint64_t deadline;   /* CLOCK_NEVER when not armed */
    struct timer *next;  /* among the clock's armed timers; private, as is link */
    struct timer **link; /* what points to this timer in that list */
};

/* WAKE is called (any thread, device lock held) when the earliest deadline moves forward, so that
 * whoever sleeps until it can be woken; it may be NULL. */
struct clock *clock_create_real(void (*wake)(void *opaque), void *opaque);
/* Each counted instruction lasts 1 << SHIFT nanoseconds (0..10). */
struct clock *clock_create_counted(unsigned shift, void (*wake)(void *opaque), void *opaque);
/* All timers must have been cancelled. */
void clock_destroy(struct clock *clock);

bool clock_is_counted(const struct clock *clock);
uint64_t clock_now(struct clock *clock);
/* Counted clocks only: INSTRUCTIONS have retired since the last call. */
void clock_advance_instructions(struct clock *clock, uint64_t instructions);
/* Counted clocks only: jump to time T (used when the processor is halted); never backward. */
void clock_warp(struct clock *clock, uint64_t t);
/* Real clocks: stops and restarts time (monitor stop/cont). Idempotent. */
void clock_pause(struct clock *clock);
void clock_resume(struct clock *clock);
/* Sets the present time (loading a snapshot). */
void clock_set_now(struct clock *clock, uint64_t t);

void timer_init(struct timer *timer, struct clock *clock, void (*callback)(void *), void *opaque);
/* Arms or re-arms.  A deadline in the past fires at the next clock_run_timers(); from a timer's
 * callback, one that is later than that timer's own and already due fires in the same run. */
void timer_set(struct timer *timer, uint64_t deadline);
void timer_cancel(struct timer *timer);
static inline bool timer_is_armed(const struct timer *timer)
{
    return timer->deadline != CLOCK_NEVER;
}

/* Earliest deadline, or CLOCK_NEVER. */
uint64_t clock_next_deadline(const struct clock *clock);
/* Runs every timer whose deadline is not after clock_now(); device lock held.  Equal deadlines fire
 * in the order in which they were armed. */
void clock_run_timers(struct clock *clock);

#endif

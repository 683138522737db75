/* The local APIC's timer (Intel SDM vol. 3, 10.5.4).
 *
 * Nothing counts: the present count follows from the bus clock, timer_start and initial_count. The host
 * timer is armed only while an unmasked expiry lies ahead; what passes unseen meanwhile is caught up with
 * by lapic_timer_sync(). */
#include "devices/lapic_private.h"
#include "devices/ticks.h"

/* A guest may ask for a period of 10 ns. Its interrupts are one bit in the IRR, so most of them merge; so do those
 * here that real time would put closer together than this. Counted time has each at its instruction. */
#define SHORTEST_REAL_PERIOD_NS 20000u

/* Bits 3, 1 and 0: 000 = 2, 001 = 4, ... 110 = 128, 111 = 1. */
static unsigned divide_shift(const struct lapic *lapic)
{
    unsigned code = (lapic->divide_configuration & 3u) | (lapic->divide_configuration >> 1 & 4u);
    return (code + 1) & 7;
}

static uint64_t period(const struct lapic *lapic)
{
    return (uint64_t)lapic->initial_count << divide_shift(lapic);
}

static uint64_t bus_ticks(const struct lapic *lapic)
{
    return ticks_at(clock_now(lapic->bus.clock), LAPIC_BUS_HERTZ);
}

void lapic_timer_schedule(struct lapic *lapic)
{
    if (!lapic->timer_running || (lapic->lvt[LVT_TIMER] & LVT_MASKED)) {
        timer_cancel(&lapic->timer);
        return;
    }
    uint64_t expiry = lapic->timer_start + period(lapic);
    uint64_t deadline = ticks_to_time(expiry, LAPIC_BUS_HERTZ);
    if ((lapic->lvt[LVT_TIMER] & LVT_PERIODIC) && !clock_is_counted(lapic->bus.clock) &&
        period(lapic) < SHORTEST_REAL_PERIOD_NS / (NANOSECONDS_PER_SECOND / LAPIC_BUS_HERTZ)) {
        uint64_t earliest = clock_now(lapic->bus.clock) + SHORTEST_REAL_PERIOD_NS;
        if (deadline < earliest)
            deadline = earliest;
    }
    timer_set(&lapic->timer, deadline);
}

void lapic_timer_sync(struct lapic *lapic)
{
    if (!lapic->timer_running)
        return;
    uint64_t elapsed = bus_ticks(lapic) - lapic->timer_start;
    if (elapsed < period(lapic))
        return;
    if (lapic->lvt[LVT_TIMER] & LVT_PERIODIC)
        lapic->timer_start += elapsed / period(lapic) * period(lapic);
    else
        lapic->timer_running = false;
    lapic_timer_schedule(lapic);
    lapic_local_interrupt(lapic, LVT_TIMER);
}

void lapic_timer_fired(void *opaque)
{
    struct lapic *lapic = opaque;
    lapic_timer_sync(lapic);
    lapic_timer_schedule(lapic);
}

uint32_t lapic_timer_current_count(struct lapic *lapic)
{
    lapic_timer_sync(lapic);
    if (!lapic->timer_running)
        return 0;
    uint64_t elapsed = (bus_ticks(lapic) - lapic->timer_start) >> divide_shift(lapic);
    return elapsed < lapic->initial_count ? lapic->initial_count - (uint32_t)elapsed : 0;
}

void lapic_timer_set_initial_count(struct lapic *lapic, uint32_t count)
{
    lapic_timer_sync(lapic); /* an expiry before this write happened */
    lapic->initial_count = count;
    lapic->timer_running = count != 0;
    lapic->timer_start = bus_ticks(lapic);
    lapic_timer_schedule(lapic);
}

/* The count goes on from where it is, at another speed. */
void lapic_timer_set_divide(struct lapic *lapic, uint32_t value)
{
    uint32_t count = lapic_timer_current_count(lapic);
    lapic->divide_configuration = value & 0xb;
    if (!lapic->timer_running)
        return;
    lapic->timer_start = bus_ticks(lapic) - ((uint64_t)(lapic->initial_count - count) << divide_shift(lapic));
    lapic_timer_schedule(lapic);
}

/* Exact conversion between nanoseconds and the ticks of a fixed-frequency oscillator that started
 * at time 0.  Nothing accumulates, so nothing drifts. */
#ifndef DRAGOMAN_DEVICES_TICKS_H
#define DRAGOMAN_DEVICES_TICKS_H

#include <stdint.h>

#define NANOSECONDS_PER_SECOND 1000000000u

/* Ticks completed at time NS. */
static inline uint64_t ticks_at(uint64_t ns, uint32_t hertz)
{
    return (uint64_t)((unsigned __int128)ns * hertz / NANOSECONDS_PER_SECOND);
}

/* The earliest time at which ticks_at() is TICK; saturates at UINT64_MAX. */
static inline uint64_t ticks_to_time(uint64_t tick, uint32_t hertz)
{
    unsigned __int128 ns = ((unsigned __int128)tick * NANOSECONDS_PER_SECOND + hertz - 1) / hertz;
    return ns > UINT64_MAX ? UINT64_MAX : (uint64_t)ns;
}

#endif

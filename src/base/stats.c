/* Time by phase. See stats.h.
 *
 * Waits are timed by the waiting thread itself: a clock is nothing beside going to sleep. The rest of the time is
 * shared out in proportion to the samples. A sample weighs as much as the time since the one before, so that the
 * sampler may look less often while nothing happens; intervals vary at random, lest they keep step with the guest's
 * timer. */
#include "base/stats.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define NANOSECONDS      1000000000ull
#define LONGEST_INTERVAL (NANOSECONDS / 10)
#define BELL_INTERVAL    (NANOSECONDS / 150) /* at least; less than what is between samples at 100 a second */

struct stats_sampler {
    struct stats *stats;
    pthread_t thread;
    uint64_t start, interval;
    pthread_mutex_t mutex;
    pthread_cond_t changed;
    /* mutex: */
    bool ending;
    uint64_t weight[STATS_PHASE_COUNT];
    uint64_t samples;
};

static uint64_t read_clock(clockid_t clock)
{
    struct timespec t;

    clock_gettime(clock, &t);
    return (uint64_t)t.tv_sec * NANOSECONDS + (uint64_t)t.tv_nsec;
}

/* ---- the vCPU's thread ---- */

void stats_take_thread(struct stats *stats)
{
    stats->phase_thread = pthread_self();
    __atomic_store_n(&stats->has_phase_thread, true, __ATOMIC_RELEASE);
    stats_set_phase(stats, STATS_PHASE_INTERPRET);
}

void stats_begin_wait(struct stats *stats, enum stats_phase phase)
{
    if (phase == STATS_PHASE_STOPPED)
        stats->processor = read_clock(CLOCK_THREAD_CPUTIME_ID);
    stats->wait_since = read_clock(CLOCK_MONOTONIC);
    stats_set_phase(stats, phase);
}

void stats_end_wait(struct stats *stats)
{
    stats->waited[stats_phase(stats)] += read_clock(CLOCK_MONOTONIC) - stats->wait_since;
    stats_set_phase(stats, STATS_PHASE_INTERPRET);
}

/* ---- the sampler's thread ---- */

/* xorshift: Marsaglia 2003 */
static uint64_t next_random(uint64_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state;
}

static void ring(struct stats *stats)
{
    atomic_uint *bell = __atomic_load_n(&stats->bell, __ATOMIC_ACQUIRE);

    if (bell)
        atomic_fetch_or_explicit(bell, stats->bell_bit, memory_order_relaxed);
}

static void *sample(void *opaque)
{
    struct stats_sampler *sampler = opaque;
    uint64_t rung = 0, last = sampler->start, interval = sampler->interval, random = last | 1;

    pthread_mutex_lock(&sampler->mutex);
    while (!sampler->ending) {
        /* From 3/4 to 5/4 of the interval. */
        uint64_t until = last + interval - interval / 4 + next_random(&random) % (interval / 2);
        struct timespec t = {(time_t)(until / NANOSECONDS), (long)(until % NANOSECONDS)};

        if (pthread_cond_timedwait(&sampler->changed, &sampler->mutex, &t) != ETIMEDOUT)
            continue;
        enum stats_phase phase = stats_phase(sampler->stats);
        uint64_t at = read_clock(CLOCK_MONOTONIC);
        sampler->weight[phase] += at - last;
        last = at;
        if (phase >= STATS_PHASE_FIRST_BUSY) {
            sampler->samples++;
            interval = sampler->interval;
            if (phase >= STATS_PHASE_EXECUTE && at - rung >= BELL_INTERVAL) {
                ring(sampler->stats);
                rung = at;
            }
        } else if (interval < LONGEST_INTERVAL) {
            interval *= 2;
        }
    }
    pthread_mutex_unlock(&sampler->mutex);
    return NULL;
}

/* ---- the main thread ---- */

struct stats_sampler *stats_sampler_create(struct stats *stats, unsigned samples_per_second, struct error *err)
{
    struct stats_sampler *sampler = calloc(1, sizeof *sampler);
    pthread_condattr_t attributes;
    sigset_t all, before;

    if (!sampler) {
        error_set(err, "out of memory for statistics");
        return NULL;
    }
    sampler->stats = stats;
    sampler->interval = NANOSECONDS / samples_per_second;
    sampler->start = stats->wait_since = read_clock(CLOCK_MONOTONIC);
    pthread_mutex_init(&sampler->mutex, NULL);
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&sampler->changed, &attributes);
    pthread_condattr_destroy(&attributes);
    sigfillset(&all); /* signals are the main thread's */
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int status = pthread_create(&sampler->thread, NULL, sample, sampler);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (status) {
        error_set(err, "cannot create a thread for statistics: %s", strerror(status));
        free(sampler);
        return NULL;
    }
    return sampler;
}

void stats_sampler_destroy(struct stats_sampler *sampler)
{
    if (!sampler)
        return;
    pthread_mutex_lock(&sampler->mutex);
    sampler->ending = true;
    pthread_cond_signal(&sampler->changed);
    pthread_mutex_unlock(&sampler->mutex);
    pthread_join(sampler->thread, NULL);
    pthread_cond_destroy(&sampler->changed);
    pthread_mutex_destroy(&sampler->mutex);
    free(sampler);
}

void stats_sampler_read(struct stats_sampler *sampler, struct stats_times *times)
{
    memset(times, 0, sizeof *times);
    if (!sampler)
        return;
    const struct stats *stats = sampler->stats;
    uint64_t at = read_clock(CLOCK_MONOTONIC), weights = 0, busy, waits = 0;

    times->total = at - sampler->start;
    times->processor = stats->processor;
    for (unsigned phase = 0; phase < STATS_PHASE_FIRST_BUSY; phase++) {
        times->time[phase] = stats->waited[phase] + (stats_phase(stats) == phase ? at - stats->wait_since : 0);
        waits += times->time[phase];
    }
    busy = times->total > waits ? times->total - waits : 0;
    pthread_mutex_lock(&sampler->mutex);
    times->samples = sampler->samples;
    for (unsigned phase = STATS_PHASE_FIRST_BUSY; phase < STATS_PHASE_COUNT; phase++)
        weights += sampler->weight[phase];
    for (unsigned phase = STATS_PHASE_FIRST_BUSY; phase < STATS_PHASE_COUNT && weights; phase++)
        times->time[phase] = (uint64_t)((unsigned __int128)busy * sampler->weight[phase] / weights);
    pthread_mutex_unlock(&sampler->mutex);
}

const char *stats_phase_name(enum stats_phase phase)
{
    static const char *const names[] = {
#define X(id, name, help) name,
        STATS_PHASES(X)
#undef X
    };
    return names[phase];
}

const char *stats_phase_help(enum stats_phase phase)
{
    static const char *const helps[] = {
#define X(id, name, help) help,
        STATS_PHASES(X)
#undef X
    };
    return helps[phase];
}

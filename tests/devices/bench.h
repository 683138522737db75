/* A workbench for devices: a bus with 2 MiB of memory, a counted clock, lines that record what is
 * done to them. No processor. */
#ifndef DRAGOMAN_TESTS_DEVICES_BENCH_H
#define DRAGOMAN_TESTS_DEVICES_BENCH_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "devices/device.h"

#include <stdlib.h>
#include <string.h>

enum { BENCH_LINES = 32 };

struct bench {
    struct device_lock lock;
    struct log log;
    struct stats stats;
    struct device_bus bus;
    bool level[BENCH_LINES];
    unsigned rises[BENCH_LINES];
};

static inline void bench_create(struct bench *bench)
{
    struct error err;
    memset(bench, 0, sizeof(*bench));
    device_lock_init(&bench->lock);
    log_init(&bench->log);
    /* Every line is formatted, for the sanitizers to see, and thrown away. */
    assert_true(log_open(&bench->log, "/dev/null", &err));
    bench->log.enabled = UINT32_MAX;
    bench->bus.log = &bench->log;
    bench->bus.memory = memory_create(2 << 20, &bench->lock, &bench->log, &bench->stats, &err);
    assert_non_null(bench->bus.memory);
    bench->bus.ports = port_space_create(&bench->lock, &bench->log, &bench->stats);
    assert_non_null(bench->bus.ports);
    bench->bus.clock = clock_create_counted(0, NULL, NULL);
    assert_non_null(bench->bus.clock);
}

static inline void bench_destroy(struct bench *bench)
{
    assert_int_equal(clock_next_deadline(bench->bus.clock), CLOCK_NEVER);
    assert_null(port_space_first(bench->bus.ports));
    clock_destroy(bench->bus.clock);
    port_space_destroy(bench->bus.ports);
    memory_destroy(bench->bus.memory);
    log_finish(&bench->log);
    device_lock_finish(&bench->lock);
}

static inline void bench_set_line(void *opaque, unsigned number, bool level)
{
    struct bench *bench = opaque;
    assert_true(number < BENCH_LINES);
    if (level && !bench->level[number])
        bench->rises[number]++;
    bench->level[number] = level;
}

static inline struct irq_line bench_line(struct bench *bench, unsigned number)
{
    return (struct irq_line){bench_set_line, bench, number};
}

static inline void outb(struct bench *bench, uint16_t port, uint8_t value)
{
    port_space_write(bench->bus.ports, port, 1, value);
}
static inline void outw(struct bench *bench, uint16_t port, uint16_t value)
{
    port_space_write(bench->bus.ports, port, 2, value);
}
static inline void outl(struct bench *bench, uint16_t port, uint32_t value)
{
    port_space_write(bench->bus.ports, port, 4, value);
}
static inline uint8_t inb(struct bench *bench, uint16_t port)
{
    return (uint8_t)port_space_read(bench->bus.ports, port, 1);
}
static inline uint16_t inw(struct bench *bench, uint16_t port)
{
    return (uint16_t)port_space_read(bench->bus.ports, port, 2);
}
static inline uint32_t inl(struct bench *bench, uint16_t port)
{
    return port_space_read(bench->bus.ports, port, 4);
}

/* Time T, running every timer at its own time on the way. */
static inline void bench_run_until(struct bench *bench, uint64_t t)
{
    while (clock_next_deadline(bench->bus.clock) <= t) {
        clock_warp(bench->bus.clock, clock_next_deadline(bench->bus.clock));
        clock_run_timers(bench->bus.clock);
    }
    clock_warp(bench->bus.clock, t);
}
static inline void bench_run(struct bench *bench, uint64_t ns)
{
    bench_run_until(bench, clock_now(bench->bus.clock) + ns);
}

/* What DEVICE saves, loaded into itself after a reset, must be saved the same again. */
static inline void bench_check_state(void *created)
{
    struct device *device = created;
    struct state_buffer before, after;
    struct error err;
    state_buffer_init(&before);
    state_buffer_init(&after);
    assert_true(state_save(&before, device->ops->state, device, &err));
    device_reset(device);
    assert_true(state_load(&before, device->ops->state, device, &err));
    assert_true(state_save(&after, device->ops->state, device, &err));
    assert_int_equal(before.length, after.length);
    assert_memory_equal(before.data, after.data, before.length);
    state_buffer_finish(&before);
    state_buffer_finish(&after);
}

static inline uint32_t bench_random(uint64_t *seed)
{
    *seed = *seed * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(*seed >> 33);
}

/* COUNT random accesses of all sizes to [first, first+ports), with time passing between them. */
static inline void bench_fuzz(struct bench *bench, uint16_t first, unsigned ports, unsigned count, uint64_t seed)
{
    for (unsigned i = 0; i < count; i++) {
        uint16_t port = (uint16_t)(first + bench_random(&seed) % ports);
        unsigned size = 1u << bench_random(&seed) % 3;
        unsigned what = bench_random(&seed) % 16;
        if (what < 9)
            port_space_write(bench->bus.ports, port, size, bench_random(&seed) << 8 ^ bench_random(&seed));
        else if (what < 14)
            port_space_read(bench->bus.ports, port, size);
        else
            bench_run(bench, bench_random(&seed) % 3000000);
    }
}

#endif

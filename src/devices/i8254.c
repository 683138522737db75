/* 8254 timer.
 *
 * Nothing counts here: a counter remembers the oscillator tick at which its count register was
 * loaded into the counting element ("start"), and count, OUT and the next change of OUT are computed
 * from the distance to now.  A stopped counter (GATE low in modes 0 and 4) remembers the distance
 * itself.
 *
 *      write count        start            start + N
 *          |  1 tick        |   N ticks        |
 *          v................v..................v.......
 *          (null count = 1) CE = N             CE = 0
 */
#include "devices/i8254.h"
#include "devices/ticks.h"

#include <string.h>

enum { COUNTER_COUNT = 3 };
enum { RW_LATCH, RW_LOW, RW_HIGH, RW_BOTH };
#define TICK_NEVER UINT64_MAX
/* Ticks are counted from before power-on, so that a period may have begun before it. */
#define TICK_BIAS (1u << 17)

struct pit_counter {
    uint8_t control; /* bits 5:0 of the control word: RW, mode, BCD */
    bool gate;
    bool armed;            /* a count was loaded, or will be at `start` */
    bool stopped;          /* armed, but GATE holds it; `elapsed` is frozen */
    bool out_before_start; /* OUT while now < start */
    bool pending;          /* `next_count` waits: for `reload_at` (modes 2, 3) or for a trigger (1, 5) */
    uint64_t start;
    uint64_t elapsed;
    uint64_t reload_at;
    uint32_t count; /* N in force: 1..65536, or 1..10000 in BCD */
    uint32_t next_count;
    uint16_t value_before_start; /* counting element while nothing counts */
    /* Byte-wise access. */
    bool write_high_next, read_high_next;
    uint8_t written_low;
    bool count_latched, status_latched;
    uint16_t latched_count;
    uint8_t latched_status;
};

struct pit {
    struct device device;
    struct device_bus bus;
    struct irq_line irq0;
    struct pit_counter counters[COUNTER_COUNT];
    struct timer timer; /* next change of OUT 0 */
    uint64_t irq_tick;  /* OUT 0 has been followed up to this tick */
    struct port_range ports;
};

static uint64_t pit_now(const struct pit *pit)
{
    return ticks_at(clock_now(pit->bus.clock), PIT_HERTZ) + TICK_BIAS;
}

static unsigned counter_mode(const struct pit_counter *counter)
{
    unsigned mode = (counter->control >> 1) & 7;
    return mode > 5 ? mode - 4 : mode; /* 6 and 7 are 2 and 3 */
}

static unsigned counter_rw(const struct pit_counter *counter)
{
    return (counter->control >> 4) & 3;
}

static bool counter_is_bcd(const struct pit_counter *counter)
{
    return counter->control & 1;
}

static uint32_t counter_modulus(const struct pit_counter *counter)
{
    return counter_is_bcd(counter) ? 10000 : 65536;
}

static uint64_t counter_elapsed(const struct pit_counter *counter, uint64_t now)
{
    return counter->stopped ? counter->elapsed : now - counter->start;
}

static bool counter_has_started(const struct pit_counter *counter, uint64_t now)
{
    return counter->armed && (counter->stopped || now >= counter->start);
}

/* Ticks of the high half of the square wave of period N. */
static uint32_t high_half(uint32_t n)
{
    return (n + 1) / 2;
}

/* Modes 2 and 3 take a new count at the end of the running cycle or half cycle. */
static void counter_sync(struct pit_counter *counter, uint64_t now)
{
    unsigned mode = counter_mode(counter);
    if (!counter->pending || !counter->armed || counter->stopped || (mode != 2 && mode != 3) ||
        now < counter->reload_at)
        return;
    uint64_t start = counter->reload_at;
    if (mode == 3) {
        uint64_t phase = (counter->reload_at - counter->start) % counter->count;
        /* The half that ended was the high one: the new count begins with its low half. */
        if (phase)
            start -= high_half(counter->next_count);
    }
    counter->start = start;
    counter->count = counter->next_count;
    counter->pending = false;
}

static bool counter_out(const struct pit_counter *counter, uint64_t now)
{
    unsigned mode = counter_mode(counter);
    if (!counter->armed)
        return mode != 0;
    if (!counter_has_started(counter, now))
        return counter->out_before_start;
    uint64_t elapsed = counter_elapsed(counter, now);
    uint32_t n = counter->count;
    switch (mode) {
    case 0:
    case 1:
        return elapsed >= n;
    case 2: /* a count of 1 is illegal: OUT stays high */
        return n == 1 || elapsed % n != n - 1;
    case 3:
        return elapsed % n < high_half(n);
    default:
        return elapsed != n || counter->stopped;
    }
}

/* The first tick after NOW at which OUT may change. */
static uint64_t counter_next_change(const struct pit_counter *counter, uint64_t now)
{
    if (!counter->armed || counter->stopped)
        return TICK_NEVER;
    if (now < counter->start)
        return counter->start;
    unsigned mode = counter_mode(counter);
    uint64_t elapsed = now - counter->start;
    uint32_t n = counter->count;
    uint64_t next = TICK_NEVER;
    switch (mode) {
    case 0:
    case 1:
        if (elapsed < n)
            next = counter->start + n;
        break;
    case 2:
    case 3:
        if (n > 1) {
            uint32_t phase = (uint32_t)(elapsed % n), edge = mode == 2 ? n - 1 : high_half(n);
            next = now + (phase < edge ? edge - phase : n - phase);
        }
        if (counter->pending && counter->reload_at > now && counter->reload_at < next)
            next = counter->reload_at;
        break;
    default:
        if (elapsed < n)
            next = counter->start + n;
        else if (elapsed == n)
            next = now + 1;
        break;
    }
    return next;
}

/* The counting element, binary. */
static uint32_t counter_value(const struct pit_counter *counter, uint64_t now)
{
    if (!counter_has_started(counter, now))
        return counter->value_before_start;
    uint64_t elapsed = counter_elapsed(counter, now);
    uint32_t n = counter->count, modulus = counter_modulus(counter);
    switch (counter_mode(counter)) {
    case 2:
        return (n - (uint32_t)(elapsed % n)) % modulus;
    case 3: {
        /* Counts by two; an odd count is loaded less one and its high half has one tick more. */
        uint32_t phase = (uint32_t)(elapsed % n);
        if (phase >= high_half(n))
            phase -= high_half(n);
        return ((n & ~1u) - 2 * phase) % modulus;
    }
    default:
        return (uint32_t)((n % modulus + modulus - elapsed % modulus) % modulus);
    }
}

static uint16_t to_bcd(uint32_t value)
{
    return (uint16_t)(value % 10 | (value / 10 % 10) << 4 | (value / 100 % 10) << 8 | (value / 1000 % 10) << 12);
}

static uint32_t from_bcd(uint16_t value)
{
    return (value & 15u) + (value >> 4 & 15u) * 10 + (value >> 8 & 15u) * 100 + (value >> 12 & 15u) * 1000;
}

/* As the guest reads it. */
static uint16_t counter_read_value(const struct pit_counter *counter, uint64_t now)
{
    uint32_t value = counter_value(counter, now);
    return counter_is_bcd(counter) ? to_bcd(value) : (uint16_t)value;
}

static uint8_t counter_status(const struct pit_counter *counter, uint64_t now)
{
    bool null_count = !counter->armed || counter->pending || !counter_has_started(counter, now);
    return (uint8_t)(counter_out(counter, now) << 7 | null_count << 6 | counter->control);
}

/* Makes the counting element load N at the next tick. */
static void counter_load(struct pit_counter *counter, uint32_t n, uint64_t now)
{
    bool out = counter_out(counter, now);
    uint32_t value = counter_value(counter, now);
    counter->out_before_start = counter_mode(counter) == 0 ? false : out;
    counter->value_before_start = (uint16_t)value;
    counter->armed = true;
    counter->stopped = false;
    counter->pending = false;
    counter->start = now + 1;
    counter->count = n;
    if (!counter->gate) {
        counter->stopped = true;
        counter->elapsed = 0;
    }
}

/* A complete count was written. */
static void counter_write_count(struct pit_counter *counter, uint16_t raw, uint64_t now)
{
    uint32_t n = counter_is_bcd(counter) ? from_bcd(raw) % 10000 : raw;
    if (n == 0)
        n = counter_modulus(counter);
    switch (counter_mode(counter)) {
    case 0:
    case 4:
        counter_load(counter, n, now);
        break;
    case 1:
    case 5:
        counter->next_count = n;
        counter->pending = true;
        break;
    default:
        if (!counter->armed && counter->gate) {
            counter_load(counter, n, now);
            break;
        }
        counter->next_count = n;
        counter->pending = true;
        if (counter->armed) {
            uint64_t elapsed = now < counter->start ? 0 : now - counter->start;
            uint32_t phase = (uint32_t)(elapsed % counter->count);
            uint32_t half = high_half(counter->count);
            uint32_t rest = counter->count - phase;
            if (counter_mode(counter) == 3 && phase < half && counter->count > 1)
                rest = half - phase;
            counter->reload_at = (now < counter->start ? counter->start : now) + rest;
        }
        break;
    }
}

static void counter_set_gate(struct pit_counter *counter, bool level, uint64_t now)
{
    bool rising = level && !counter->gate;
    bool falling = !level && counter->gate;
    unsigned mode = counter_mode(counter);
    counter_sync(counter, now);
    if (falling && counter->armed) {
        switch (mode) {
        case 0:
        case 4:
            counter->elapsed = now < counter->start ? 0 : now - counter->start;
            counter->stopped = true;
            break;
        case 2:
        case 3: /* OUT goes high at once; the next rising edge reloads */
            counter->value_before_start = (uint16_t)counter_value(counter, now);
            if (!counter->pending) {
                counter->next_count = counter->count;
                counter->pending = true;
            }
            counter->armed = false;
            break;
        default:
            break;
        }
    }
    if (rising) {
        switch (mode) {
        case 0:
        case 4:
            if (counter->armed && counter->stopped) {
                counter->stopped = false;
                counter->start = now - counter->elapsed;
            }
            break;
        case 1:
        case 5:
        default: {
            /* A trigger: (re)load the count register; it may hold the count that is in force. */
            bool has_count = counter->pending || counter->armed;
            uint32_t n = counter->pending ? counter->next_count : counter->count;
            counter->gate = true;
            if (has_count)
                counter_load(counter, n, now);
            break;
        }
        }
    }
    counter->gate = level;
}

/* Follows OUT of counter 0 up to NOW and arms the timer for its next change.  When the emulator was
 * late, a few of the missed edges are replayed, the rest is skipped. */
static void pit_follow_irq(struct pit *pit, uint64_t now)
{
    struct pit_counter *counter = &pit->counters[0];
    for (unsigned edges = 0; edges < 4; edges++) {
        uint64_t change = counter_next_change(counter, pit->irq_tick);
        if (change >= now)
            break;
        counter_sync(counter, change);
        irq_set(&pit->irq0, counter_out(counter, change));
        pit->irq_tick = change;
    }
    counter_sync(counter, now);
    irq_set(&pit->irq0, counter_out(counter, now));
    pit->irq_tick = now;
    uint64_t next = counter_next_change(counter, now);
    if (next == TICK_NEVER)
        timer_cancel(&pit->timer);
    else
        timer_set(&pit->timer, ticks_to_time(next - TICK_BIAS, PIT_HERTZ));
}

/* Brings COUNTER up to NOW. */
static void pit_sync(struct pit *pit, unsigned counter, uint64_t now)
{
    if (counter == 0)
        pit_follow_irq(pit, now);
    else
        counter_sync(&pit->counters[counter], now);
}

static void pit_timer_fired(void *opaque)
{
    struct pit *pit = opaque;
    pit_follow_irq(pit, pit_now(pit));
}

static void counter_latch_count(struct pit_counter *counter, uint64_t now)
{
    if (counter->count_latched)
        return;
    counter->count_latched = true;
    counter->latched_count = counter_read_value(counter, now);
}

static void counter_write_control(struct pit_counter *counter, uint8_t value, uint64_t now)
{
    uint32_t old_value = counter_value(counter, now);
    counter->value_before_start = (uint16_t)old_value;
    counter->control = value & 0x3f;
    counter->armed = false;
    counter->stopped = false;
    counter->pending = false;
    counter->write_high_next = false;
    counter->read_high_next = false;
    counter->count_latched = false;
    counter->status_latched = false;
}

static void pit_write_control(struct pit *pit, uint8_t value, uint64_t now)
{
    unsigned select = value >> 6;
    if (select == 3) {
        /* Read-back: bit 5 low latches counts, bit 4 low latches status, bits 3:1 choose counters. */
        for (unsigned i = 0; i < COUNTER_COUNT; i++) {
            struct pit_counter *counter = &pit->counters[i];
            if (!(value & (2u << i)))
                continue;
            if (!(value & 0x20))
                counter_latch_count(counter, now);
            if (!(value & 0x10) && !counter->status_latched) {
                counter->status_latched = true;
                counter->latched_status = counter_status(counter, now);
            }
        }
    } else if ((value >> 4 & 3) == RW_LATCH) {
        counter_latch_count(&pit->counters[select], now);
    } else {
        counter_write_control(&pit->counters[select], value, now);
        pit_sync(pit, select, now);
    }
}

static void pit_write(void *opaque, uint64_t offset, unsigned size, uint64_t value)
{
    struct pit *pit = opaque;
    uint64_t now = pit_now(pit);
    for (unsigned i = 0; i < COUNTER_COUNT; i++)
        pit_sync(pit, i, now);
    uint8_t byte = (uint8_t)value;
    if (offset == 3) {
        pit_write_control(pit, byte, now);
        return;
    }
    struct pit_counter *counter = &pit->counters[offset];
    switch (counter_rw(counter)) {
    case RW_LOW:
        counter_write_count(counter, byte, now);
        break;
    case RW_HIGH:
        counter_write_count(counter, (uint16_t)(byte << 8), now);
        break;
    case RW_BOTH:
        if (counter->write_high_next) {
            counter_write_count(counter, (uint16_t)(counter->written_low | byte << 8), now);
        } else {
            counter->written_low = byte;
            if (counter_mode(counter) == 0 && counter->armed) {
                /* "Writing the first byte disables counting; OUT is set low immediately." */
                counter->value_before_start = (uint16_t)counter_value(counter, now);
                counter->armed = false;
            }
        }
        counter->write_high_next = !counter->write_high_next;
        break;
    default:
        break;
    }
    pit_sync(pit, (unsigned)offset, now);
}

static uint64_t pit_read(void *opaque, uint64_t offset, unsigned size)
{
    struct pit *pit = opaque;
    if (offset == 3)
        return 0xff; /* the control register cannot be read */
    struct pit_counter *counter = &pit->counters[offset];
    uint64_t now = pit_now(pit);
    pit_sync(pit, (unsigned)offset, now);
    if (counter->status_latched) {
        counter->status_latched = false;
        return counter->latched_status;
    }
    uint16_t value = counter->count_latched ? counter->latched_count : counter_read_value(counter, now);
    bool high = counter_rw(counter) == RW_HIGH || (counter_rw(counter) == RW_BOTH && counter->read_high_next);
    if (counter_rw(counter) == RW_BOTH)
        counter->read_high_next = !counter->read_high_next;
    if (counter_rw(counter) != RW_BOTH || !counter->read_high_next)
        counter->count_latched = false;
    return high ? value >> 8 : value & 0xff;
}

static const struct region_ops pit_port_ops = {.read = pit_read, .write = pit_write};

void pit_set_gate(struct pit *pit, unsigned counter, bool level)
{
    if (counter >= COUNTER_COUNT)
        return;
    uint64_t now = pit_now(pit);
    pit_sync(pit, counter, now);
    counter_set_gate(&pit->counters[counter], level, now);
    pit_sync(pit, counter, now);
}

bool pit_get_gate(const struct pit *pit, unsigned counter)
{
    return counter < COUNTER_COUNT && pit->counters[counter].gate;
}

bool pit_get_out(struct pit *pit, unsigned counter)
{
    if (counter >= COUNTER_COUNT)
        return false;
    uint64_t now = pit_now(pit);
    pit_sync(pit, counter, now);
    return counter_out(&pit->counters[counter], now);
}

unsigned pit_get_mode(const struct pit *pit, unsigned counter)
{
    return counter < COUNTER_COUNT ? counter_mode(&pit->counters[counter]) : 0;
}

uint32_t pit_get_initial_count(const struct pit *pit, unsigned counter)
{
    if (counter >= COUNTER_COUNT)
        return 1;
    const struct pit_counter *c = &pit->counters[counter];
    return c->pending ? c->next_count : c->count;
}

static void pit_reset(struct device *device)
{
    struct pit *pit = (struct pit *)device;
    uint64_t now = pit_now(pit);
    /* The data sheet leaves the state undefined; as a BIOS would have it: 18.2 Hz square wave. */
    for (unsigned i = 0; i < COUNTER_COUNT; i++) {
        struct pit_counter *counter = &pit->counters[i];
        memset(counter, 0, sizeof(*counter));
        counter->control = RW_BOTH << 4 | 3 << 1;
        counter->count = 65536;
        counter->next_count = 65536;
        counter->gate = i != 2;
        if (counter->gate)
            counter_load(counter, 65536, now);
    }
    pit->irq_tick = now;
    pit_follow_irq(pit, now);
}

static void pit_destroy(struct device *device)
{
    struct pit *pit = (struct pit *)device;
    timer_cancel(&pit->timer);
    port_space_remove(pit->bus.ports, &pit->ports);
    free(pit);
}

static void pit_describe(struct device *device, void (*print)(void *to, const char *line), void *to)
{
    struct pit *pit = (struct pit *)device;
    uint64_t now = pit_now(pit);
    char line[120];
    for (unsigned i = 0; i < COUNTER_COUNT; i++) {
        const struct pit_counter *counter = &pit->counters[i];
        snprintf(line, sizeof(line), "pit%u: mode=%u%s count=%u value=%u gate=%d out=%d", i, counter_mode(counter),
                 counter_is_bcd(counter) ? " bcd" : "", counter->count, counter_value(counter, now), counter->gate,
                 counter_out(counter, now));
        print(to, line);
    }
}

static const struct state_field counter_fields[] = {
    STATE_INT(struct pit_counter, control),
    STATE_INT(struct pit_counter, gate),
    STATE_INT(struct pit_counter, armed),
    STATE_INT(struct pit_counter, stopped),
    STATE_INT(struct pit_counter, out_before_start),
    STATE_INT(struct pit_counter, pending),
    STATE_INT(struct pit_counter, start),
    STATE_INT(struct pit_counter, elapsed),
    STATE_INT(struct pit_counter, reload_at),
    STATE_INT(struct pit_counter, count),
    STATE_INT(struct pit_counter, next_count),
    STATE_INT(struct pit_counter, value_before_start),
    STATE_INT(struct pit_counter, write_high_next),
    STATE_INT(struct pit_counter, read_high_next),
    STATE_INT(struct pit_counter, written_low),
    STATE_INT(struct pit_counter, count_latched),
    STATE_INT(struct pit_counter, status_latched),
    STATE_INT(struct pit_counter, latched_count),
    STATE_INT(struct pit_counter, latched_status),
    STATE_END,
};
static const struct state_field pit_fields[] = {
    STATE_ARRAY(struct pit, counters, counter_fields),
    STATE_INT(struct pit, irq_tick),
    STATE_TIMER(struct pit, timer),
    STATE_END,
};

static void pit_loaded(void *object)
{
    struct pit *pit = object;
    for (unsigned i = 0; i < COUNTER_COUNT; i++) {
        struct pit_counter *counter = &pit->counters[i];
        if (counter->count == 0 || counter->count > 65536)
            counter->count = 65536;
        if (counter->next_count == 0 || counter->next_count > 65536)
            counter->next_count = 65536;
    }
}

static const struct state_table pit_state = {"i8254", 1, pit_fields, .loaded = pit_loaded};
static const struct device_ops pit_ops = {
    .name = "i8254",
    .reset = pit_reset,
    .destroy = pit_destroy,
    .state = &pit_state,
    .describe = pit_describe,
};

struct pit *pit_create(const struct device_bus *bus, struct irq_line irq0)
{
    struct pit *pit = device_allocate(sizeof(*pit), &pit_ops, "pit");
    if (!pit)
        return NULL;
    pit->bus = *bus;
    pit->irq0 = irq0;
    timer_init(&pit->timer, bus->clock, pit_timer_fired, pit);
    pit->ports = (struct port_range){
        .name = "pit", .base = 0x40, .count = 4, .ops = &pit_port_ops, .opaque = pit, .enabled = true};
    port_space_add(bus->ports, &pit->ports);
    pit_reset(&pit->device);
    return pit;
}

/* MC146818A real-time clock.
 *
 * The time of day lives in the CMOS bytes, in the form the guest chose (BCD or binary, 12 or 24
 * hours), and is advanced lazily by whole seconds, so that half-written dates are never "corrected"
 * behind the guest's back.  Seconds and the periodic interrupt are derived from one divider chain
 * whose phase is a virtual time; nothing accumulates.
 *
 *     chain_origin + k s: update k ends here (UIP was high for the 2228 us before) */
#include "devices/mc146818.h"
#include "devices/ticks.h"

#include <string.h>

enum {
    REG_SECONDS = 0x00,
    REG_SECONDS_ALARM = 0x01,
    REG_MINUTES = 0x02,
    REG_MINUTES_ALARM = 0x03,
    REG_HOURS = 0x04,
    REG_HOURS_ALARM = 0x05,
    REG_WEEKDAY = 0x06,
    REG_DAY = 0x07,
    REG_MONTH = 0x08,
    REG_YEAR = 0x09,
    REG_A = 0x0a,
    REG_B = 0x0b,
    REG_C = 0x0c,
    REG_D = 0x0d,
    REG_CENTURY = CMOS_CENTURY
};
enum { A_UIP = 0x80, A_DIVIDER = 0x70, A_DIVIDER_RESET = 0x60, A_RATE = 0x0f };
enum { B_24H = 0x02, B_BINARY = 0x04, B_SQWE = 0x08, B_UIE = 0x10, B_AIE = 0x20, B_PIE = 0x40, B_SET = 0x80 };
enum { C_UF = 0x10, C_AF = 0x20, C_PF = 0x40, C_IRQF = 0x80 };
enum { D_VALID_RAM_AND_TIME = 0x80 };

enum { CMOS_SIZE = 128, SECONDS_PER_DAY = 86400, CRYSTAL_HERTZ = 32768 };
/* tBUC + tUC at 32.768 kHz: UIP announces an update 244 us ahead and lasts until it ends. */
#define UPDATE_IN_PROGRESS_NS (244000u + 1984000u)

struct rtc {
    struct device device;
    struct device_bus bus;
    struct irq_line irq;
    struct irq_line nmi_mask_line;
    uint8_t cmos[CMOS_SIZE];
    uint8_t index;
    bool nmi_masked;
    bool divider_held;
    uint64_t chain_origin; /* when the divider chain was in phase 0; meaningless while held */
    uint64_t next_update;  /* end of the next update cycle; CLOCK_NEVER while held */
    uint64_t period_edge;  /* periodic edges since chain_origin that were already seen */
    struct timer update_timer;
    struct timer periodic_timer;
    struct port_range ports;
};

struct date_time {
    int64_t year;
    unsigned month, day; /* from 1 */
    unsigned hour, minute, second;
};

/* ---- calendar ---- */

/* Days since 1970-01-01 in the proleptic Gregorian calendar; MONTH from 1. */
static int64_t days_from_date(int64_t year, unsigned month, unsigned day)
{
    /* Years that begin in March keep the leap day at their end; eras are 400 years, 146097 days. */
    year -= month <= 2;
    int64_t era = (year >= 0 ? year : year - 399) / 400;
    int64_t year_of_era = year - era * 400;
    int64_t day_of_year = (153 * (int64_t)(month > 2 ? month - 3 : month + 9) + 2) / 5 + (int64_t)day - 1;
    int64_t day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    return era * 146097 + day_of_era - 719468;
}

static void date_from_days(int64_t days, struct date_time *to)
{
    days += 719468;
    int64_t era = (days >= 0 ? days : days - 146096) / 146097;
    int64_t day_of_era = days - era * 146097;
    int64_t year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
    int64_t day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    int64_t shifted_month = (5 * day_of_year + 2) / 153;
    to->day = (unsigned)(day_of_year - (153 * shifted_month + 2) / 5 + 1);
    to->month = (unsigned)(shifted_month < 10 ? shifted_month + 3 : shifted_month - 9);
    to->year = year_of_era + era * 400 + (to->month <= 2);
}

/* ---- the guest's notation ---- */

static unsigned from_notation(const struct rtc *rtc, uint8_t value)
{
    return rtc->cmos[REG_B] & B_BINARY ? value : (value >> 4) * 10u + (value & 15u);
}

static uint8_t to_notation(const struct rtc *rtc, unsigned value)
{
    return (uint8_t)(rtc->cmos[REG_B] & B_BINARY ? value : (value / 10 % 10) << 4 | value % 10);
}

static unsigned hour_from_notation(const struct rtc *rtc, uint8_t value)
{
    if (rtc->cmos[REG_B] & B_24H)
        return from_notation(rtc, value);
    unsigned hour = from_notation(rtc, value & 0x7f) % 12;
    return value & 0x80 ? hour + 12 : hour;
}

static uint8_t hour_to_notation(const struct rtc *rtc, unsigned hour)
{
    if (rtc->cmos[REG_B] & B_24H)
        return to_notation(rtc, hour);
    uint8_t value = to_notation(rtc, hour % 12 ? hour % 12 : 12);
    return hour >= 12 ? value | 0x80 : value;
}

/* Seconds since 1970 that the registers show; nonsense in them is carried over, never trusted. */
static int64_t registers_to_seconds(const struct rtc *rtc)
{
    int64_t year = (int64_t)from_notation(rtc, rtc->cmos[REG_CENTURY]) * 100 + from_notation(rtc, rtc->cmos[REG_YEAR]);
    unsigned month = from_notation(rtc, rtc->cmos[REG_MONTH]);
    unsigned day = from_notation(rtc, rtc->cmos[REG_DAY]);
    month = month < 1 ? 1 : month > 12 ? 12 : month;
    int64_t days = days_from_date(year, month, 1) + (int64_t)day - 1;
    return days * SECONDS_PER_DAY + (int64_t)hour_from_notation(rtc, rtc->cmos[REG_HOURS]) * 3600 +
           (int64_t)from_notation(rtc, rtc->cmos[REG_MINUTES]) * 60 + from_notation(rtc, rtc->cmos[REG_SECONDS]);
}

static int64_t floor_divide(int64_t a, int64_t b)
{
    return a / b - (a % b < 0);
}

static void registers_from_seconds(struct rtc *rtc, int64_t seconds)
{
    struct date_time date;
    int64_t days = floor_divide(seconds, SECONDS_PER_DAY);
    unsigned rest = (unsigned)(seconds - days * SECONDS_PER_DAY);
    date_from_days(days, &date);
    rtc->cmos[REG_SECONDS] = to_notation(rtc, rest % 60);
    rtc->cmos[REG_MINUTES] = to_notation(rtc, rest / 60 % 60);
    rtc->cmos[REG_HOURS] = hour_to_notation(rtc, rest / 3600);
    rtc->cmos[REG_DAY] = to_notation(rtc, date.day);
    rtc->cmos[REG_MONTH] = to_notation(rtc, date.month);
    rtc->cmos[REG_YEAR] = to_notation(rtc, (unsigned)(((date.year % 100) + 100) % 100));
    rtc->cmos[REG_CENTURY] = to_notation(rtc, (unsigned)(floor_divide(date.year, 100) % 100));
}

/* The weekday register counts on its own: the guest may number the days as it likes (1..7). */
static void weekday_advance(struct rtc *rtc, int64_t days)
{
    int64_t weekday = (int64_t)rtc->cmos[REG_WEEKDAY] - 1 + days;
    rtc->cmos[REG_WEEKDAY] = (uint8_t)(weekday % 7 + 1);
}

/* ---- interrupts ---- */

static void rtc_update_irq(struct rtc *rtc)
{
    /* C's flags and B's enables have the same places. */
    bool active = rtc->cmos[REG_C] & rtc->cmos[REG_B] & (C_PF | C_AF | C_UF);
    rtc->cmos[REG_C] = (uint8_t)((rtc->cmos[REG_C] & ~C_IRQF) | (active ? C_IRQF : 0));
    irq_set(&rtc->irq, active);
}

static bool alarm_field_matches(const struct rtc *rtc, unsigned alarm, unsigned time)
{
    return rtc->cmos[alarm] >= 0xc0 || rtc->cmos[alarm] == rtc->cmos[time]; /* 11xxxxxx: don't care */
}

static bool alarm_matches(const struct rtc *rtc)
{
    return alarm_field_matches(rtc, REG_SECONDS_ALARM, REG_SECONDS) &&
           alarm_field_matches(rtc, REG_MINUTES_ALARM, REG_MINUTES) &&
           alarm_field_matches(rtc, REG_HOURS_ALARM, REG_HOURS);
}

static void advance_seconds(struct rtc *rtc, uint64_t count)
{
    int64_t time = registers_to_seconds(rtc);
    int64_t end = time + (int64_t)count;
    /* After a long sleep look at one day of alarms only: it holds every one there can be. */
    if (count > SECONDS_PER_DAY) {
        weekday_advance(rtc,
                        floor_divide(end - SECONDS_PER_DAY, SECONDS_PER_DAY) - floor_divide(time, SECONDS_PER_DAY));
        time = end - SECONDS_PER_DAY;
    }
    while (time < end) {
        time++;
        registers_from_seconds(rtc, time);
        if (time % SECONDS_PER_DAY == 0)
            weekday_advance(rtc, 1);
        if (alarm_matches(rtc))
            rtc->cmos[REG_C] |= C_AF;
    }
    rtc->cmos[REG_C] |= C_UF;
}

/* Ticks of the crystal between periodic edges; 0: none (data sheet, "Register A", rate selection). */
static unsigned rtc_period(const struct rtc *rtc)
{
    unsigned rate = rtc->cmos[REG_A] & A_RATE;
    if (rate == 0 || rtc->divider_held)
        return 0;
    return rate <= 2 ? 1u << (rate + 6) : 1u << (rate - 1);
}

static uint64_t periodic_edges(const struct rtc *rtc, uint64_t now)
{
    unsigned period = rtc_period(rtc);
    return period ? ticks_at(now - rtc->chain_origin, CRYSTAL_HERTZ) / period : 0;
}

static void rtc_sync(struct rtc *rtc)
{
    uint64_t now = clock_now(rtc->bus.clock);
    if (now >= rtc->next_update) {
        uint64_t seconds = (now - rtc->next_update) / NANOSECONDS_PER_SECOND + 1;
        rtc->next_update += seconds * NANOSECONDS_PER_SECOND;
        if (!(rtc->cmos[REG_B] & B_SET))
            advance_seconds(rtc, seconds);
    }
    uint64_t edges = periodic_edges(rtc, now);
    if (edges > rtc->period_edge)
        rtc->cmos[REG_C] |= C_PF;
    rtc->period_edge = edges;
    rtc_update_irq(rtc);
}

static void rtc_arm_timers(struct rtc *rtc)
{
    if (rtc->divider_held)
        timer_cancel(&rtc->update_timer);
    else
        timer_set(&rtc->update_timer, rtc->next_update);
    unsigned period = rtc_period(rtc);
    if (period && (rtc->cmos[REG_B] & B_PIE))
        timer_set(&rtc->periodic_timer,
                  rtc->chain_origin + ticks_to_time((rtc->period_edge + 1) * period, CRYSTAL_HERTZ));
    else
        timer_cancel(&rtc->periodic_timer);
}

static void rtc_timer_fired(void *opaque)
{
    struct rtc *rtc = opaque;
    rtc_sync(rtc);
    rtc_arm_timers(rtc);
}

/* ---- registers ---- */

static void rtc_write_a(struct rtc *rtc, uint8_t value)
{
    uint64_t now = clock_now(rtc->bus.clock);
    bool hold = (value & A_DIVIDER_RESET) == A_DIVIDER_RESET; /* 11x */
    rtc->cmos[REG_A] = value & ~A_UIP;
    if (hold) {
        rtc->next_update = CLOCK_NEVER;
    } else if (rtc->divider_held) {
        /* "The first update cycle begins one-half second later." */
        rtc->next_update = now + NANOSECONDS_PER_SECOND / 2;
        rtc->chain_origin = now;
    }
    rtc->divider_held = hold;
    rtc->period_edge = periodic_edges(rtc, now);
}

static void rtc_write_b(struct rtc *rtc, uint8_t value)
{
    if ((value & B_SET) && !(rtc->cmos[REG_B] & B_SET))
        value &= ~B_UIE; /* SET going high clears UIE */
    rtc->cmos[REG_B] = value;
    rtc_update_irq(rtc);
}

static void rtc_write_register(struct rtc *rtc, uint8_t value)
{
    rtc_sync(rtc);
    switch (rtc->index) {
    case REG_A:
        rtc_write_a(rtc, value);
        break;
    case REG_B:
        rtc_write_b(rtc, value);
        break;
    case REG_C:
    case REG_D:
        break; /* read only */
    case 0x37: /* the PS/2's place for the century */
        rtc->cmos[REG_CENTURY] = value;
        break;
    default:
        rtc->cmos[rtc->index] = value;
        break;
    }
    rtc_arm_timers(rtc);
}

static uint8_t rtc_read_register(struct rtc *rtc)
{
    rtc_sync(rtc);
    uint64_t now = clock_now(rtc->bus.clock);
    uint8_t value;
    switch (rtc->index) {
    case REG_A: {
        bool updating = !rtc->divider_held && !(rtc->cmos[REG_B] & B_SET) && now < rtc->next_update &&
                        rtc->next_update - now <= UPDATE_IN_PROGRESS_NS;
        return (uint8_t)(rtc->cmos[REG_A] | (updating ? A_UIP : 0));
    }
    case REG_C:
        value = rtc->cmos[REG_C];
        rtc->cmos[REG_C] = 0;
        rtc_update_irq(rtc);
        rtc_arm_timers(rtc);
        return value;
    case 0x37:
        return rtc->cmos[REG_CENTURY];
    default:
        return rtc->cmos[rtc->index];
    }
}

static uint64_t rtc_port_read(void *opaque, uint64_t offset, unsigned size)
{
    struct rtc *rtc = opaque;
    return offset == 0 ? 0xff : rtc_read_register(rtc); /* port 70h is write only */
}

static void rtc_port_write(void *opaque, uint64_t offset, unsigned size, uint64_t value)
{
    struct rtc *rtc = opaque;
    if (offset == 0) {
        rtc->index = value & 0x7f;
        rtc->nmi_masked = value & 0x80;
        irq_set(&rtc->nmi_mask_line, rtc->nmi_masked);
    } else {
        rtc_write_register(rtc, (uint8_t)value);
    }
}

static const struct region_ops rtc_port_ops = {.read = rtc_port_read, .write = rtc_port_write};

void rtc_set_cmos(struct rtc *rtc, unsigned index, uint8_t value)
{
    if (index < CMOS_SIZE)
        rtc->cmos[index] = value;
}

uint8_t rtc_get_cmos(struct rtc *rtc, unsigned index)
{
    rtc_sync(rtc);
    return index < CMOS_SIZE ? rtc->cmos[index] : 0xff;
}

static void rtc_set_cmos16(struct rtc *rtc, unsigned index, uint64_t value)
{
    uint16_t limited = value > 0xffff ? 0xffff : (uint16_t)value;
    rtc_set_cmos(rtc, index, (uint8_t)limited);
    rtc_set_cmos(rtc, index + 1, (uint8_t)(limited >> 8));
}

void rtc_set_memory_size(struct rtc *rtc, uint64_t ram_below_4g)
{
    const uint64_t kib = 1024, mib = 1024 * kib;
    uint64_t extended = ram_below_4g > mib ? (ram_below_4g - mib) / kib : 0;
    rtc_set_cmos16(rtc, CMOS_BASE_MEMORY_LOW, ram_below_4g < 640 * kib ? ram_below_4g / kib : 640);
    rtc_set_cmos16(rtc, CMOS_EXTENDED_MEMORY_LOW, extended);
    rtc_set_cmos16(rtc, CMOS_EXTENDED_MEMORY2_LOW, extended);
    rtc_set_cmos16(rtc, CMOS_ABOVE_16M_LOW, ram_below_4g > 16 * mib ? (ram_below_4g - 16 * mib) / (64 * kib) : 0);
}

int64_t rtc_get_time(struct rtc *rtc)
{
    rtc_sync(rtc);
    return registers_to_seconds(rtc);
}

bool rtc_nmi_is_masked(const struct rtc *rtc)
{
    return rtc->nmi_masked;
}

void rtc_set_nmi_mask_line(struct rtc *rtc, struct irq_line line)
{
    rtc->nmi_mask_line = line;
}

/* The RESET pin: time, alarm and CMOS memory are on the battery and stay. */
static void rtc_reset(struct device *device)
{
    struct rtc *rtc = (struct rtc *)device;
    rtc_sync(rtc);
    rtc->cmos[REG_B] &= ~(B_PIE | B_AIE | B_UIE | B_SQWE);
    rtc->cmos[REG_C] = 0;
    rtc->index = 0;
    rtc->nmi_masked = false;
    irq_set(&rtc->nmi_mask_line, false);
    rtc_update_irq(rtc);
    rtc_arm_timers(rtc);
}

static void rtc_destroy(struct device *device)
{
    struct rtc *rtc = (struct rtc *)device;
    timer_cancel(&rtc->update_timer);
    timer_cancel(&rtc->periodic_timer);
    port_space_remove(rtc->bus.ports, &rtc->ports);
    free(rtc);
}

static void rtc_describe(struct device *device, void (*print)(void *to, const char *line), void *to)
{
    struct rtc *rtc = (struct rtc *)device;
    struct date_time date;
    int64_t seconds = rtc_get_time(rtc), days = floor_divide(seconds, SECONDS_PER_DAY);
    unsigned rest = (unsigned)(seconds - days * SECONDS_PER_DAY);
    char line[160];
    date_from_days(days, &date);
    snprintf(line, sizeof(line), "rtc: %04lld-%02u-%02u %02u:%02u:%02u a=%02x b=%02x c=%02x", (long long)date.year,
             date.month, date.day, rest / 3600, rest / 60 % 60, rest % 60, rtc->cmos[REG_A], rtc->cmos[REG_B],
             rtc->cmos[REG_C]);
    print(to, line);
}

static const struct state_field rtc_fields[] = {
    STATE_BYTES(struct rtc, cmos),           STATE_INT(struct rtc, index),
    STATE_INT(struct rtc, nmi_masked),       STATE_INT(struct rtc, divider_held),
    STATE_INT(struct rtc, chain_origin),     STATE_INT(struct rtc, next_update),
    STATE_INT(struct rtc, period_edge),      STATE_TIMER(struct rtc, update_timer),
    STATE_TIMER(struct rtc, periodic_timer), STATE_END,
};

static void rtc_loaded(void *object)
{
    struct rtc *rtc = object;
    rtc->index &= 0x7f;
}

static const struct state_table rtc_state = {"mc146818", 1, rtc_fields, .loaded = rtc_loaded};
static const struct device_ops rtc_ops = {
    .name = "mc146818",
    .reset = rtc_reset,
    .destroy = rtc_destroy,
    .state = &rtc_state,
    .describe = rtc_describe,
};

struct rtc *rtc_create(const struct device_bus *bus, struct irq_line irq8, int64_t epoch)
{
    struct rtc *rtc = device_allocate(sizeof(*rtc), &rtc_ops, "rtc");
    if (!rtc)
        return NULL;
    rtc->bus = *bus;
    rtc->irq = irq8;
    timer_init(&rtc->update_timer, bus->clock, rtc_timer_fired, rtc);
    timer_init(&rtc->periodic_timer, bus->clock, rtc_timer_fired, rtc);
    rtc->cmos[REG_A] = 0x26; /* 32.768 kHz, 1024 Hz */
    rtc->cmos[REG_B] = B_24H;
    rtc->cmos[REG_D] = D_VALID_RAM_AND_TIME;
    uint64_t elapsed = clock_now(bus->clock) / NANOSECONDS_PER_SECOND;
    int64_t seconds = epoch + (int64_t)elapsed;
    registers_from_seconds(rtc, seconds);
    /* 1970-01-01 was a Thursday; Sunday is 1. */
    int64_t days = floor_divide(seconds, SECONDS_PER_DAY);
    rtc->cmos[REG_WEEKDAY] = (uint8_t)((days + 4) - 7 * floor_divide(days + 4, 7) + 1);
    rtc->next_update = (elapsed + 1) * NANOSECONDS_PER_SECOND;
    rtc->ports = (struct port_range){
        .name = "rtc", .base = 0x70, .count = 2, .ops = &rtc_port_ops, .opaque = rtc, .enabled = true};
    port_space_add(bus->ports, &rtc->ports);
    rtc_reset(&rtc->device);
    return rtc;
}

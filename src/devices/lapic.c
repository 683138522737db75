/* The local APIC: what it accepts, in which order it hands it to the processor, and the device around it
 * (Intel SDM vol. 3, 10.4 to 10.9). Registers are in lapic_registers.c, the timer in lapic_timer.c.
 *
 * The INTR output is a pure function of IRR, ISR, TPR, LINT0 and the enable bits; lapic_update() recomputes
 * it after every change. So a write that masks what was asked for takes INTR back at once, and a processor
 * never gets to see the spurious vector that a slower bus would make it see. */
#include "devices/lapic_private.h"

#include <string.h>

/* Above everything else: the processor's own page is found before the bus is asked. */
#define LAPIC_REGION_PRIORITY 1000
#define LAPIC_REGION_SIZE     0x1000u

/* ---- 256-bit registers ---- */

int lapic_highest(const uint32_t bits[8])
{
    for (int word = 7; word >= 0; word--)
        if (bits[word])
            return word * 32 + 31 - __builtin_clz(bits[word]);
    return -1;
}

static void set_bit(uint32_t bits[8], unsigned n, bool value)
{
    if (value)
        bits[n / 32] |= 1u << (n % 32);
    else
        bits[n / 32] &= ~(1u << (n % 32));
}

static bool test_bit(const uint32_t bits[8], unsigned n)
{
    return bits[n / 32] >> (n % 32) & 1;
}

/* ---- priorities ---- */

uint8_t lapic_processor_priority(const struct lapic *lapic)
{
    int serving = lapic_highest(lapic->isr);
    if (serving < 0 || lapic->tpr >> 4 >= serving >> 4)
        return lapic->tpr;
    return (uint8_t)(serving & 0xf0);
}

bool lapic_is_software_enabled(const struct lapic *lapic)
{
    return lapic_is_globally_enabled(lapic) && (lapic->svr & SVR_ENABLE);
}

uint8_t lapic_priority(const struct lapic *lapic)
{
    return lapic_processor_priority(lapic);
}

/* What is in the IRR when the APIC gets disabled by software is held, and still for the processor to handle
 * (10.4.7.2): so the enable bit is not asked here. */
bool lapic_is_pending(const struct lapic *lapic)
{
    int request = lapic_highest(lapic->irr);
    return lapic_is_globally_enabled(lapic) && request >= 0 && request >> 4 > lapic_processor_priority(lapic) >> 4;
}

bool lapic_passes_extint(const struct lapic *lapic)
{
    uint32_t lvt = lapic->lvt[LVT_LINT0];
    return !lapic_is_globally_enabled(lapic) || (!(lvt & LVT_MASKED) && LVT_DELIVERY(lvt) == APIC_EXTINT);
}

void lapic_update(struct lapic *lapic)
{
    bool output = lapic_is_pending(lapic) || (lapic->lint[0] && lapic_passes_extint(lapic));
    if (output == lapic->output)
        return;
    lapic->output = output;
    lapic->config.processor.set_interrupt(lapic->config.processor.opaque, output);
}

int lapic_acknowledge(struct lapic *lapic)
{
    int vector = lapic_highest(lapic->irr);
    if (!lapic_is_globally_enabled(lapic) || vector < 0)
        return -1;
    if (!lapic_is_pending(lapic))
        return LVT_VECTOR(lapic->svr); /* no bit in the ISR, no EOI */
    set_bit(lapic->irr, (unsigned)vector, false);
    set_bit(lapic->isr, (unsigned)vector, true);
    lapic_update(lapic);
    return vector;
}

void lapic_end_of_interrupt(struct lapic *lapic)
{
    int vector = lapic_highest(lapic->isr);
    if (vector < 0)
        return;
    set_bit(lapic->isr, (unsigned)vector, false);
    if (test_bit(lapic->tmr, (unsigned)vector)) {
        if (LVT_VECTOR(lapic->lvt[LVT_LINT0]) == (unsigned)vector)
            lapic->lvt[LVT_LINT0] &= ~LVT_REMOTE_IRR;
        apic_bus_broadcast_eoi(lapic->messages, (uint8_t)vector);
        lapic_check_levels(lapic);
    }
    lapic_update(lapic);
}

/* ---- what comes in ---- */

static void accept(struct lapic *lapic, uint8_t vector, bool level)
{
    if (vector < 16) {
        lapic_report_error(lapic, ESR_RECEIVE_ILLEGAL);
        return;
    }
    set_bit(lapic->irr, vector, true);
    set_bit(lapic->tmr, vector, level);
    lapic_update(lapic);
}

void lapic_report_error(struct lapic *lapic, uint32_t error)
{
    if (lapic->errors & error)
        return; /* one interrupt an error, until a write of ESR arms it again (10.5.3) */
    lapic->errors |= error;
    lapic_local_interrupt(lapic, LVT_ERROR);
}

/* Power-up and INIT values, but for base and id: 10.4.7.1, 10.4.7.3. */
static void reset_registers(struct lapic *lapic)
{
    timer_cancel(&lapic->timer);
    lapic->tpr = 0;
    lapic->logical_id = 0;
    lapic->logical_format = 0xf;
    lapic->svr = 0xff;
    memset(lapic->isr, 0, sizeof lapic->isr);
    memset(lapic->tmr, 0, sizeof lapic->tmr);
    memset(lapic->irr, 0, sizeof lapic->irr);
    lapic->errors = lapic->esr = 0;
    lapic->icr_low = lapic->icr_high = 0;
    for (unsigned i = 0; i < LVT_COUNT; i++)
        lapic->lvt[i] = LVT_MASKED;
    lapic->initial_count = 0;
    lapic->divide_configuration = 0;
    lapic->timer_running = false;
    lapic->timer_start = 0;
}

static void take_init(struct lapic *lapic)
{
    reset_registers(lapic);
    lapic_update(lapic);
    lapic->waits_for_startup = !lapic->config.bootstrap;
    lapic->config.processor.post_init(lapic->config.processor.opaque);
}

/* DELIVERY other than to the IRR. */
static void take_event(struct lapic *lapic, enum apic_delivery delivery, uint8_t vector)
{
    switch (delivery) {
    case APIC_NMI:
        lapic->config.processor.post_nmi(lapic->config.processor.opaque);
        break;
    case APIC_INIT:
        take_init(lapic);
        break;
    case APIC_STARTUP:
        if (!lapic->waits_for_startup)
            break; /* only the first after an INIT counts (8.4.4.1) */
        lapic->waits_for_startup = false;
        lapic->config.processor.start_up(lapic->config.processor.opaque, vector);
        break;
    default:
        LOG(lapic->bus.log, UNIMP, "%s: delivery mode %u", lapic->name, delivery);
        break;
    }
}

bool lapic_receive(struct lapic *lapic, const struct apic_message *message)
{
    if (!lapic_is_globally_enabled(lapic))
        return false;
    if (message->delivery != APIC_FIXED && message->delivery != APIC_LOWEST_PRIORITY) {
        take_event(lapic, message->delivery, message->vector);
        return true;
    }
    if (!lapic_is_software_enabled(lapic))
        return false;
    accept(lapic, message->vector, message->level);
    return true;
}

bool lapic_matches(const struct lapic *lapic, uint8_t destination, bool logical)
{
    if (!lapic_is_globally_enabled(lapic))
        return false;
    if (!logical) {
        /* Pentium and P6 have four bits of id, all ones being everybody (10.6.2.1). */
        uint8_t width = lapic->config.generation == LAPIC_PENTIUM4 ? 0xff : 0x0f;
        destination &= width;
        return destination == width || destination == (lapic->id & width);
    }
    if (destination == 0xff)
        return true;
    if (lapic->logical_format == 0xf) /* flat model: a bit each (10.6.2.2) */
        return destination & lapic->logical_id;
    return destination >> 4 == lapic->logical_id >> 4 && (destination & lapic->logical_id & 0x0f);
}

/* ---- local interrupts ---- */

bool lapic_has_lvt(const struct lapic *lapic, enum lapic_lvt entry)
{
    switch (entry) {
    case LVT_PERFORMANCE:
        return lapic->config.generation != LAPIC_PENTIUM;
    case LVT_THERMAL:
        return lapic->config.generation == LAPIC_PENTIUM4;
    default:
        return true;
    }
}

static bool is_level_lint0(uint32_t lvt)
{
    return (lvt & LVT_LEVEL) && LVT_DELIVERY(lvt) == APIC_FIXED;
}

void lapic_local_interrupt(struct lapic *lapic, enum lapic_lvt entry)
{
    uint32_t lvt = lapic->lvt[entry];
    if ((lvt & LVT_MASKED) || !lapic_is_globally_enabled(lapic))
        return;
    /* Timer and error entries have no mode field: their writable bits leave Fixed. */
    switch ((enum apic_delivery)LVT_DELIVERY(lvt)) {
    case APIC_FIXED:
        accept(lapic, LVT_VECTOR(lvt), false);
        break;
    case APIC_EXTINT:
        break; /* a matter of levels: lapic_update() */
    default:
        take_event(lapic, LVT_DELIVERY(lvt), LVT_VECTOR(lvt));
        break;
    }
}

/* Only LINT0 can be level triggered (10.5.1, "Trigger Mode"). */
void lapic_check_levels(struct lapic *lapic)
{
    uint32_t *lvt = &lapic->lvt[LVT_LINT0];
    if (!lapic->lint[0] || !is_level_lint0(*lvt) || (*lvt & (LVT_MASKED | LVT_REMOTE_IRR)) ||
        !lapic_is_globally_enabled(lapic))
        return;
    *lvt |= LVT_REMOTE_IRR;
    accept(lapic, LVT_VECTOR(*lvt), true);
}

/* The board's lines carry meanings, not voltages: the polarity bits have nothing to turn around. */
void lapic_set_lint(void *opaque, unsigned lint, bool level)
{
    struct lapic *lapic = opaque;
    bool rises = level && !lapic->lint[lint & 1];
    lapic->lint[lint & 1] = level;
    if (!lapic_is_globally_enabled(lapic)) {
        if (rises && (lint & 1))
            lapic->config.processor.post_nmi(lapic->config.processor.opaque);
    } else if (!(lint & 1) && is_level_lint0(lapic->lvt[LVT_LINT0])) {
        lapic_check_levels(lapic);
    } else if (rises) {
        lapic_local_interrupt(lapic, lint & 1 ? LVT_LINT1 : LVT_LINT0);
    }
    lapic_update(lapic);
}

/* ---- the device ---- */

static void place(struct lapic *lapic)
{
    memory_update_region(lapic->bus.memory, &lapic->region, lapic->base & LAPIC_BASE_ADDRESS,
                         lapic_is_globally_enabled(lapic));
}

void lapic_set_base(struct lapic *lapic, uint64_t value)
{
    lapic->base = value;
    if (!lapic_is_globally_enabled(lapic))
        reset_registers(lapic);
    place(lapic);
    lapic_update(lapic);
}

void lapic_set_virtual_wire(struct lapic *lapic)
{
    lapic->svr |= SVR_ENABLE;
    lapic->lvt[LVT_LINT0] = APIC_EXTINT << 8;
    lapic->lvt[LVT_LINT1] = APIC_NMI << 8;
    lapic_update(lapic);
}

static void lapic_reset(struct device *device)
{
    struct lapic *lapic = (struct lapic *)device;
    reset_registers(lapic);
    lapic->id = lapic->config.id;
    lapic->base = LAPIC_BASE_DEFAULT | LAPIC_BASE_ENABLE | (lapic->config.bootstrap ? LAPIC_BASE_BOOTSTRAP : 0);
    lapic->waits_for_startup = !lapic->config.bootstrap;
    place(lapic);
    lapic_update(lapic);
}

static void lapic_destroy(struct device *device)
{
    struct lapic *lapic = (struct lapic *)device;
    timer_cancel(&lapic->timer);
    memory_remove_region(lapic->bus.memory, &lapic->region);
    apic_bus_leave(lapic->messages, lapic);
    free(lapic);
}

static void describe_vectors(const char *name, const uint32_t bits[8], void (*print)(void *, const char *), void *to)
{
    char line[160];
    int used = snprintf(line, sizeof line, "%s", name);
    unsigned shown = 0;
    for (unsigned vector = 0; vector < 256; vector++) {
        if (!test_bit(bits, vector))
            continue;
        if (++shown > 32) {
            used += snprintf(line + used, sizeof line - (size_t)used, " ...");
            break;
        }
        used += snprintf(line + used, sizeof line - (size_t)used, " %02x", vector);
    }
    if (!shown)
        snprintf(line + used, sizeof line - (size_t)used, " (none)");
    print(to, line);
}

static void lapic_describe(struct device *device, void (*print)(void *to, const char *line), void *to)
{
    static const char *const lvt_names[LVT_COUNT] = {"LVTT", "LVTTHMR", "LVTPC", "LVT0", "LVT1", "LVTERR"};
    static const char *const modes[8] = {"Fixed", "LowPri", "SMI", "mode 3", "NMI", "INIT", "SIPI", "ExtINT"};
    struct lapic *lapic = (struct lapic *)device;
    char line[160];

    snprintf(line, sizeof line, "%s: id=%02x base=%09llx %s%s%s", lapic->name, lapic->id,
             (unsigned long long)(lapic->base & LAPIC_BASE_ADDRESS),
             lapic_is_globally_enabled(lapic) ? "enabled" : "globally disabled",
             lapic_is_globally_enabled(lapic) && !(lapic->svr & SVR_ENABLE) ? ", disabled by software" : "",
             lapic->config.bootstrap ? ", bootstrap processor" : "");
    print(to, line);
    for (unsigned i = 0; i < LVT_COUNT; i++) {
        uint32_t lvt = lapic->lvt[i];
        if (!lapic_has_lvt(lapic, i))
            continue;
        snprintf(line, sizeof line, "%-8s %08x vec %02x %s%s%s%s", lvt_names[i], lvt, LVT_VECTOR(lvt),
                 modes[LVT_DELIVERY(lvt)],
                 i == LVT_TIMER ? lvt & LVT_PERIODIC ? " periodic" : " one-shot" : lvt & LVT_LEVEL ? " level" : " edge",
                 lvt & LVT_REMOTE_IRR ? " remote-irr" : "", lvt & LVT_MASKED ? " masked" : "");
        print(to, line);
    }
    snprintf(line, sizeof line, "Timer    initial %08x current %08x divide %x", lapic->initial_count,
             lapic_timer_current_count(lapic), lapic->divide_configuration);
    print(to, line);
    snprintf(line, sizeof line, "SVR %08x  LDR %02x  DFR %x  ICR %08x %08x  ESR %02x", lapic->svr, lapic->logical_id,
             lapic->logical_format, lapic->icr_high, lapic->icr_low, lapic->esr);
    print(to, line);
    snprintf(line, sizeof line, "TPR %02x  PPR %02x  LINT0 %u  LINT1 %u  INTR %u", lapic->tpr,
             lapic_processor_priority(lapic), lapic->lint[0], lapic->lint[1], lapic->output);
    print(to, line);
    describe_vectors("ISR     ", lapic->isr, print, to);
    describe_vectors("IRR     ", lapic->irr, print, to);
}

static const struct state_field lapic_fields[] = {
    STATE_INT(struct lapic, base),
    STATE_INT(struct lapic, id),
    STATE_INT(struct lapic, tpr),
    STATE_INT(struct lapic, logical_id),
    STATE_INT(struct lapic, logical_format),
    STATE_INT(struct lapic, svr),
    STATE_INT_ARRAY(struct lapic, isr),
    STATE_INT_ARRAY(struct lapic, tmr),
    STATE_INT_ARRAY(struct lapic, irr),
    STATE_INT(struct lapic, errors),
    STATE_INT(struct lapic, esr),
    STATE_INT(struct lapic, icr_low),
    STATE_INT(struct lapic, icr_high),
    STATE_INT_ARRAY(struct lapic, lvt),
    STATE_INT_ARRAY(struct lapic, lint),
    STATE_INT(struct lapic, waits_for_startup),
    STATE_INT(struct lapic, output),
    STATE_INT(struct lapic, initial_count),
    STATE_INT(struct lapic, divide_configuration),
    STATE_INT(struct lapic, timer_running),
    STATE_INT(struct lapic, timer_start),
    STATE_TIMER(struct lapic, timer),
    STATE_END,
};

static void lapic_loaded(void *object)
{
    struct lapic *lapic = object;
    lapic->logical_format &= 0xf;
    lapic->timer_running = lapic->timer_running && lapic->initial_count;
    place(lapic);
    lapic->config.processor.set_interrupt(lapic->config.processor.opaque, lapic->output);
}

static const struct state_table lapic_state = {"lapic", 1, lapic_fields, .loaded = lapic_loaded};

static const struct device_ops lapic_ops = {
    .name = "lapic",
    .reset = lapic_reset,
    .destroy = lapic_destroy,
    .state = &lapic_state,
    .describe = lapic_describe,
};

struct lapic *lapic_create(const struct device_bus *bus, struct apic_bus *messages, const struct lapic_config *config)
{
    struct lapic *lapic = device_allocate(sizeof(*lapic), &lapic_ops, NULL);
    if (!lapic)
        return NULL;
    if (!apic_bus_join(messages, lapic)) {
        free(lapic);
        return NULL;
    }
    lapic->bus = *bus;
    lapic->messages = messages;
    lapic->config = *config;
    snprintf(lapic->name, sizeof lapic->name, config->id ? "lapic%u" : "lapic", config->id);
    lapic->device.id = lapic->name;
    timer_init(&lapic->timer, bus->clock, lapic_timer_fired, lapic);
    lapic->region = (struct memory_region){.name = "lapic",
                                           .kind = REGION_DEVICE,
                                           .base = LAPIC_BASE_DEFAULT,
                                           .size = LAPIC_REGION_SIZE,
                                           .priority = LAPIC_REGION_PRIORITY,
                                           .enabled = true,
                                           .ops = &lapic_region_ops,
                                           .opaque = lapic};
    memory_add_region(bus->memory, &lapic->region);
    lapic_reset(&lapic->device);
    return lapic;
}

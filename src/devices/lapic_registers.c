/* The local APIC's registers (Intel SDM vol. 3, table 10-1): 32 bits each, at multiples of 16. */
#include "devices/lapic_private.h"

enum lapic_register {
    REG_ID = 0x02,
    REG_VERSION = 0x03,
    REG_TPR = 0x08,
    REG_APR = 0x09,
    REG_PPR = 0x0a,
    REG_EOI = 0x0b,
    REG_REMOTE_READ = 0x0c,
    REG_LDR = 0x0d,
    REG_DFR = 0x0e,
    REG_SVR = 0x0f,
    REG_ISR = 0x10,
    REG_TMR = 0x18,
    REG_IRR = 0x20,
    REG_ESR = 0x28,
    REG_ICR_LOW = 0x30,
    REG_ICR_HIGH = 0x31,
    REG_LVT_TIMER = 0x32,
    REG_LVT_THERMAL = 0x33,
    REG_LVT_PERFORMANCE = 0x34,
    REG_LVT_LINT0 = 0x35,
    REG_LVT_LINT1 = 0x36,
    REG_LVT_ERROR = 0x37,
    REG_INITIAL_COUNT = 0x38,
    REG_CURRENT_COUNT = 0x39,
    REG_DIVIDE = 0x3e
};

/* Writable bits (figure 10-8). */
static const uint32_t lvt_writable[LVT_COUNT] = {
    [LVT_TIMER] = LVT_PERIODIC | LVT_MASKED | 0xff,
    [LVT_THERMAL] = LVT_MASKED | 0x7ff,
    [LVT_PERFORMANCE] = LVT_MASKED | 0x7ff,
    [LVT_LINT0] = LVT_MASKED | LVT_LEVEL | LVT_ACTIVE_LOW | 0x7ff,
    [LVT_LINT1] = LVT_MASKED | LVT_LEVEL | LVT_ACTIVE_LOW | 0x7ff,
    [LVT_ERROR] = LVT_MASKED | 0xff,
};

/* ICR:  19..18 shorthand | 15 level triggered | 14 assert | 11 logical | 10..8 delivery mode | 7..0 vector.
 * Bit 12, delivery status, reads 0: messages arrive at once. */
#define ICR_WRITABLE 0xccfffu
#define ICR_STATUS   0x1000u
#define ICR_LEVEL    0x8000u
#define ICR_ASSERT   0x4000u
#define ICR_LOGICAL  0x0800u

/* 23..16 last LVT entry | 7..0 1xh: integrated */
static uint32_t version(const struct lapic *lapic)
{
    static const uint32_t versions[] = {
        [LAPIC_PENTIUM] = 3u << 16 | 0x10,
        [LAPIC_P6] = 4u << 16 | 0x11,
        [LAPIC_PENTIUM4] = 5u << 16 | 0x14,
    };
    return versions[lapic->config.generation];
}

static uint8_t id_width(const struct lapic *lapic)
{
    return lapic->config.generation == LAPIC_PENTIUM4 ? 0xff : 0x0f;
}

/* Arbitration priority, 10.6.2.4; Pentium 4 has none. */
static uint8_t arbitration_priority(const struct lapic *lapic)
{
    int highest_request = lapic_highest(lapic->irr), highest_service = lapic_highest(lapic->isr);
    unsigned request = highest_request < 0 ? 0 : (unsigned)highest_request >> 4;
    unsigned service = highest_service < 0 ? 0 : (unsigned)highest_service >> 4;
    unsigned task = lapic->tpr >> 4;
    if (lapic->config.generation == LAPIC_PENTIUM4)
        return 0;
    if (task >= request && task > service)
        return lapic->tpr;
    unsigned both = task & service;
    return (uint8_t)((both > request ? both : request) << 4);
}

/* What LVT entry a register is: LVT_COUNT if none that this APIC has. */
static enum lapic_lvt lvt_of(const struct lapic *lapic, unsigned number)
{
    if (number < REG_LVT_TIMER || number > REG_LVT_ERROR)
        return LVT_COUNT;
    enum lapic_lvt entry = (enum lapic_lvt)(number - REG_LVT_TIMER);
    return lapic_has_lvt(lapic, entry) ? entry : LVT_COUNT;
}

/* Pentium does not report it (10.5.3). */
static void illegal_address(struct lapic *lapic, unsigned offset)
{
    LOG(lapic->bus.log, UNIMP, "%s: no register at %03x", lapic->name, offset);
    if (lapic->config.generation != LAPIC_PENTIUM)
        lapic_report_error(lapic, ESR_ILLEGAL_ADDRESS);
}

uint32_t lapic_read(struct lapic *lapic, unsigned offset)
{
    unsigned number = offset >> 4 & 0xff;
    enum lapic_lvt lvt = lvt_of(lapic, number);

    if (lvt != LVT_COUNT)
        return lapic->lvt[lvt];
    switch (number) {
    case REG_ID:
        return (uint32_t)lapic->id << 24;
    case REG_VERSION:
        return version(lapic);
    case REG_TPR:
        return lapic->tpr;
    case REG_APR:
        return arbitration_priority(lapic);
    case REG_PPR:
        return lapic_processor_priority(lapic);
    case REG_EOI: /* write-only */
    case REG_REMOTE_READ:
        return 0;
    case REG_LDR:
        return (uint32_t)lapic->logical_id << 24;
    case REG_DFR:
        return (uint32_t)lapic->logical_format << 28 | 0x0fffffff;
    case REG_SVR:
        return lapic->svr;
    case REG_ISR ... REG_ISR + 7:
        return lapic->isr[number - REG_ISR];
    case REG_TMR ... REG_TMR + 7:
        return lapic->tmr[number - REG_TMR];
    case REG_IRR ... REG_IRR + 7:
        lapic_timer_sync(lapic);
        return lapic->irr[number - REG_IRR];
    case REG_ESR:
        /* Pentium's shows the errors as they come; the others need a write first. */
        return lapic->config.generation == LAPIC_PENTIUM ? lapic->errors : lapic->esr;
    case REG_ICR_LOW:
        return lapic->icr_low;
    case REG_ICR_HIGH:
        return lapic->icr_high;
    case REG_INITIAL_COUNT:
        return lapic->initial_count;
    case REG_CURRENT_COUNT:
        return lapic_timer_current_count(lapic);
    case REG_DIVIDE:
        return lapic->divide_configuration;
    default:
        illegal_address(lapic, offset);
        return 0;
    }
}

static void write_svr(struct lapic *lapic, uint32_t value)
{
    /* Pentium and P6: the low four bits of the vector are ones; Pentium 4: no focus checking to turn off. */
    lapic->svr = lapic->config.generation == LAPIC_PENTIUM4 ? value & 0x1ff : (value & 0x3f0) | 0xf;
    if (lapic->svr & SVR_ENABLE)
        return;
    for (unsigned i = 0; i < LVT_COUNT; i++)
        lapic->lvt[i] |= LVT_MASKED;
    lapic_timer_schedule(lapic);
    lapic_update(lapic);
}

static void write_lvt(struct lapic *lapic, enum lapic_lvt entry, uint32_t value)
{
    lapic_timer_sync(lapic);
    uint32_t read_only = lapic->lvt[entry] & LVT_REMOTE_IRR;
    value &= lvt_writable[entry];
    if (!(lapic->svr & SVR_ENABLE))
        value |= LVT_MASKED; /* and cannot be unmasked (10.4.7.2) */
    if ((value & LVT_LEVEL) && LVT_DELIVERY(value) == APIC_FIXED)
        value |= read_only;
    lapic->lvt[entry] = value;
    if (entry == LVT_TIMER)
        lapic_timer_schedule(lapic);
    else if (entry == LVT_LINT0)
        lapic_check_levels(lapic);
    lapic_update(lapic);
}

static void send_ipi(struct lapic *lapic)
{
    uint32_t icr = lapic->icr_low;
    struct apic_message message = {
        .vector = (uint8_t)icr,
        .delivery = icr >> 8 & 7,
        .shorthand = icr >> 18 & 3,
        .destination = (uint8_t)(lapic->icr_high >> 24),
        .logical = icr & ICR_LOGICAL,
        .level = false, /* IPIs are edge triggered whatever the ICR says (10.6.1) */
    };
    if (message.delivery == APIC_REMOTE_READ || message.delivery == APIC_EXTINT) {
        LOG(lapic->bus.log, UNIMP, "%s: IPI with reserved delivery mode %u", lapic->name, message.delivery);
        return;
    }
    /* INIT level de-assert: synchronizes arbitration ids, which there are none of. */
    if (message.delivery == APIC_INIT && (icr & ICR_LEVEL) && !(icr & ICR_ASSERT))
        return;
    if ((message.delivery == APIC_FIXED || message.delivery == APIC_LOWEST_PRIORITY) && message.vector < 16) {
        lapic_report_error(lapic, ESR_SEND_ILLEGAL);
        return;
    }
    /* To oneself only Fixed is valid; INIT and the like would come from nowhere (table 10-3). */
    if (message.delivery != APIC_FIXED &&
        (message.shorthand == APIC_TO_SELF || message.shorthand == APIC_TO_ALL)) {
        LOG(lapic->bus.log, UNIMP, "%s: IPI %08x is not valid", lapic->name, icr);
        return;
    }
    /* Pentium 4's bus does not tell that nobody took it (10.5.3). */
    if (!apic_bus_send(lapic->messages, &message, lapic) && lapic->config.generation != LAPIC_PENTIUM4 &&
        message.shorthand == APIC_TO_DESTINATION)
        lapic_report_error(lapic, ESR_SEND_ACCEPT);
}

static void write_esr(struct lapic *lapic)
{
    lapic->esr = lapic->config.generation == LAPIC_PENTIUM ? 0 : lapic->errors;
    lapic->errors = 0;
}

void lapic_write(struct lapic *lapic, unsigned offset, uint32_t value)
{
    unsigned number = offset >> 4 & 0xff;
    enum lapic_lvt lvt = lvt_of(lapic, number);

    if (lvt != LVT_COUNT) {
        write_lvt(lapic, lvt, value);
        return;
    }
    switch (number) {
    case REG_ID:
        lapic->id = (uint8_t)(value >> 24) & id_width(lapic);
        break;
    case REG_TPR:
        lapic->tpr = (uint8_t)value;
        lapic_update(lapic);
        break;
    case REG_EOI:
        lapic_end_of_interrupt(lapic);
        break;
    case REG_LDR:
        lapic->logical_id = (uint8_t)(value >> 24);
        break;
    case REG_DFR:
        lapic->logical_format = (uint8_t)(value >> 28);
        break;
    case REG_SVR:
        write_svr(lapic, value);
        break;
    case REG_ESR:
        write_esr(lapic);
        break;
    case REG_ICR_LOW:
        lapic->icr_low = value & ICR_WRITABLE & ~ICR_STATUS;
        send_ipi(lapic);
        break;
    case REG_ICR_HIGH:
        lapic->icr_high = value & 0xff000000;
        break;
    case REG_INITIAL_COUNT:
        lapic_timer_set_initial_count(lapic, value);
        break;
    case REG_DIVIDE:
        lapic_timer_set_divide(lapic, value);
        break;
    case REG_VERSION: /* read-only */
    case REG_APR:
    case REG_PPR:
    case REG_REMOTE_READ:
    case REG_ISR ... REG_ISR + 7:
    case REG_TMR ... REG_TMR + 7:
    case REG_IRR ... REG_IRR + 7:
    case REG_CURRENT_COUNT:
        LOG(lapic->bus.log, UNIMP, "%s: write to read-only register %03x", lapic->name, offset);
        break;
    default:
        illegal_address(lapic, offset);
        break;
    }
}

/* Other than aligned 32-bit accesses are undefined (10.4.1): reads give the bytes that are there, 0 between the
 * registers; writes do nothing. */
static uint64_t region_read(void *opaque, uint64_t offset, unsigned size)
{
    struct lapic *lapic = opaque;
    if (offset & 0xc)
        return 0;
    return lapic_read(lapic, (unsigned)offset & ~3u) >> (8 * (offset & 3));
}

static void region_write(void *opaque, uint64_t offset, unsigned size, uint64_t value)
{
    struct lapic *lapic = opaque;
    if ((offset & 0xf) || size != 4) {
        LOG(lapic->bus.log, UNIMP, "%s: write of %u bytes to %03x", lapic->name, size, (unsigned)offset);
        return;
    }
    lapic_write(lapic, (unsigned)offset, (uint32_t)value);
}

const struct region_ops lapic_region_ops = {.read = region_read, .write = region_write};

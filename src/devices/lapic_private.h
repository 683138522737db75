/* The local APIC from inside: shared by lapic*.c only. */
#ifndef DRAGOMAN_DEVICES_LAPIC_PRIVATE_H
#define DRAGOMAN_DEVICES_LAPIC_PRIVATE_H

#include "devices/lapic.h"

/* LVT entries (10.5.1), in the order of lapic->lvt. Which exist: Pentium timer, LINT, error; P6 performance
 * as well; Pentium 4 thermal as well.
 *
 *    31..18 | 17 periodic (timer) | 16 masked | 15 level | 14 remote IRR | 13 active low | 12 delivery status
 *    11     | 10..8 delivery mode | 7..0 vector                                                            */
enum lapic_lvt { LVT_TIMER, LVT_THERMAL, LVT_PERFORMANCE, LVT_LINT0, LVT_LINT1, LVT_ERROR, LVT_COUNT };

#define LVT_PERIODIC      0x20000u
#define LVT_MASKED        0x10000u
#define LVT_LEVEL         0x08000u
#define LVT_REMOTE_IRR    0x04000u
#define LVT_ACTIVE_LOW    0x02000u
#define LVT_DELIVERY(lvt) ((lvt) >> 8 & 7)
#define LVT_VECTOR(lvt)   ((lvt) & 0xff)

/* Spurious-interrupt vector register, 10.9:  9 focus checking off | 8 enabled | 7..0 vector */
#define SVR_ENABLE 0x100u

/* Error status register, 10.5.3 */
#define ESR_SEND_ACCEPT     0x04u
#define ESR_SEND_ILLEGAL    0x20u
#define ESR_RECEIVE_ILLEGAL 0x40u
#define ESR_ILLEGAL_ADDRESS 0x80u

struct lapic {
    struct device device;
    struct device_bus bus;
    struct apic_bus *messages;
    struct lapic_config config;
    char name[16];
    struct memory_region region;

    uint64_t base; /* IA32_APIC_BASE */
    uint8_t id;
    uint8_t tpr;
    uint8_t logical_id;     /* LDR bits 31..24 */
    uint8_t logical_format; /* DFR bits 31..28: 0xf flat, 0 cluster */
    uint32_t svr;
    uint32_t isr[8], tmr[8], irr[8];
    uint32_t errors;        /* since the last write of ESR */
    uint32_t esr;           /* as that write froze them */
    uint32_t icr_low, icr_high;
    uint32_t lvt[LVT_COUNT];
    bool lint[2];           /* pins */
    bool waits_for_startup; /* a processor that is not the bootstrap one, after INIT */
    bool output;

    /* Timer: see lapic_timer.c */
    uint32_t initial_count;
    uint8_t divide_configuration;
    bool timer_running;
    uint64_t timer_start; /* tick of the bus clock at which the counter was at initial_count */
    struct timer timer;
};

/* ---- lapic.c ---- */
static inline bool lapic_is_globally_enabled(const struct lapic *lapic)
{
    return lapic->base & LAPIC_BASE_ENABLE;
}
bool lapic_has_lvt(const struct lapic *lapic, enum lapic_lvt entry);
/* Task priority, the vector in service or the priority it gives: 10.8.3.1. */
uint8_t lapic_processor_priority(const struct lapic *lapic);
/* The highest vector of a 256-bit register, or -1. */
int lapic_highest(const uint32_t bits[8]);
void lapic_end_of_interrupt(struct lapic *lapic);
/* Logs ERROR, a single bit of ESR, with the interrupt that goes with it. */
void lapic_report_error(struct lapic *lapic, uint32_t error);
/* The event behind ENTRY has happened. */
void lapic_local_interrupt(struct lapic *lapic, enum lapic_lvt entry);
/* A level-triggered LINT pin asks for as long as it is high. */
void lapic_check_levels(struct lapic *lapic);
/* Recomputes INTR. */
void lapic_update(struct lapic *lapic);

/* ---- lapic_registers.c ---- */
extern const struct region_ops lapic_region_ops;

/* ---- lapic_timer.c ---- */
/* Does what is due. Before each look at or change of what the timer depends on. */
void lapic_timer_sync(struct lapic *lapic);
/* Arms the host timer. After each change of what the timer depends on. */
void lapic_timer_schedule(struct lapic *lapic);
uint32_t lapic_timer_current_count(struct lapic *lapic);
void lapic_timer_set_initial_count(struct lapic *lapic, uint32_t count);
void lapic_timer_set_divide(struct lapic *lapic, uint32_t value);
void lapic_timer_fired(void *opaque);

#endif

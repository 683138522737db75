/* The local APIC of a processor (Intel SDM vol. 3, chapter 10): Pentium, P6 family or Pentium 4, in
 * xAPIC manner.  One a vCPU, 4 KiB of registers at IA32_APIC_BASE.
 *
 *   8259 pair --LINT0--> +-------+ --INTR--> processor; an interrupt that comes out is either the
 *         NMI --LINT1--> | lapic | --NMI-->  APIC's own (lapic_acknowledge()) or, through LINT0 in
 *    apic_bus <--------> +-------+ --INIT--> ExtINT mode, one for the 8259s to acknowledge
 *
 * All calls come with the device lock held, or with no vCPU running. */
#ifndef DRAGOMAN_DEVICES_LAPIC_H
#define DRAGOMAN_DEVICES_LAPIC_H

#include "devices/apic_bus.h"
#include "devices/device.h"

/* IA32_APIC_BASE:  35..12 base | 11 global enable | 8 bootstrap processor  (10.4.4) */
#define LAPIC_BASE_DEFAULT    0xfee00000u
#define LAPIC_BASE_ADDRESS    0xffffff000ull
#define LAPIC_BASE_ENABLE     0x800u
#define LAPIC_BASE_BOOTSTRAP  0x100u

/* The timer counts a bus of 100 MHz, as MSR_EBC_FREQUENCY_ID and EBL_CR_POWERON say too. */
#define LAPIC_BUS_HERTZ 100000000u

/* They differ in width of ids, number of LVT entries and a few reserved bits. */
enum lapic_generation { LAPIC_PENTIUM, LAPIC_P6, LAPIC_PENTIUM4 };

/* What the APIC does to its processor. */
struct lapic_processor {
    void *opaque;
    void (*set_interrupt)(void *opaque, bool level);
    void (*post_nmi)(void *opaque);
    void (*post_init)(void *opaque);                /* an INIT: see 9.1 */
    void (*start_up)(void *opaque, uint8_t vector); /* begin at VECTOR << 12, after INIT */
};

struct lapic_config {
    enum lapic_generation generation;
    uint8_t id; /* initial APIC id, as CPUID.1:EBX[31:24] */
    bool bootstrap;
    struct lapic_processor processor;
};

/* NULL when memory is short or MESSAGES has no room. */
struct lapic *lapic_create(const struct device_bus *bus, struct apic_bus *messages, const struct lapic_config *config);

/* Pins. LINT is 0 (the 8259's INT) or 1 (NMI); with the APIC globally disabled they are the processor's
 * INTR and NMI pins. */
void lapic_set_lint(void *lapic, unsigned lint, bool level);

/* The processor wrote VALUE to IA32_APIC_BASE. Globally disabled, an APIC forgets all and answers nowhere. */
void lapic_set_base(struct lapic *lapic, uint64_t value);

/* As firmware leaves it to operating systems: enabled, LINT0 = ExtINT, LINT1 = NMI ("virtual wire", MultiProcessor
 * Specification 1.4, 3.6.2.2). */
void lapic_set_virtual_wire(struct lapic *lapic);

/* An interrupt of the APIC's own can be acknowledged now. */
bool lapic_is_pending(const struct lapic *lapic);
/* What is on LINT0 goes through to INTR: ExtINT mode, or globally disabled. */
bool lapic_passes_extint(const struct lapic *lapic);
/* INTA: the vector, which is in service from now on. When a raised priority has masked what was asked
 * for, the spurious vector (10.9); -1 when nothing is asked for at all. */
int lapic_acknowledge(struct lapic *lapic);

/* Register access as by the processor, for tests and for boards with several processors, which map one region and
 * find out who asks. */
uint32_t lapic_read(struct lapic *lapic, unsigned offset);
void lapic_write(struct lapic *lapic, unsigned offset, uint32_t value);

/* ---- for the bus ---- */

bool lapic_matches(const struct lapic *lapic, uint8_t destination, bool logical);
bool lapic_is_software_enabled(const struct lapic *lapic);
uint8_t lapic_priority(const struct lapic *lapic);
/* False when it does not take the message. */
bool lapic_receive(struct lapic *lapic, const struct apic_message *message);

#endif

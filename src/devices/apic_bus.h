/* The bus on which interrupt messages travel between APICs (Intel SDM vol. 3, 10.2 and 10.6.2): the
 * serial APIC bus of Pentium and P6, the system bus of Pentium 4.  Local APICs take part in it from
 * their creation on; whoever else sends (an I/O APIC) calls apic_bus_send(), and whoever waits for the
 * end of level-triggered interrupts listens to EOI broadcasts.
 *
 * All calls come with the device lock held. */
#ifndef DRAGOMAN_DEVICES_APIC_BUS_H
#define DRAGOMAN_DEVICES_APIC_BUS_H

#include "base/compiler.h"

#include <stdbool.h>
#include <stdint.h>

#define APIC_BUS_MEMBERS       32
#define APIC_BUS_EOI_LISTENERS 4

/* Bits 10..8 of the ICR, of LVT entries and of I/O APIC redirection entries. */
enum apic_delivery {
    APIC_FIXED,
    APIC_LOWEST_PRIORITY,
    APIC_SMI,
    APIC_REMOTE_READ,
    APIC_NMI,
    APIC_INIT,
    APIC_STARTUP,
    APIC_EXTINT
};

/* Bits 19..18 of the ICR. */
enum apic_shorthand { APIC_TO_DESTINATION, APIC_TO_SELF, APIC_TO_ALL, APIC_TO_OTHERS };

struct apic_message {
    uint8_t vector;
    uint8_t delivery;    /* enum apic_delivery */
    uint8_t shorthand;   /* enum apic_shorthand; APIC_TO_DESTINATION but for IPIs */
    uint8_t destination; /* APIC id, or logical address */
    bool logical;
    bool level;          /* level triggered: the TMR bit will be set */
};

struct lapic;

struct apic_bus {
    struct lapic *members[APIC_BUS_MEMBERS];
    unsigned member_count;
    struct {
        void (*ended)(void *opaque, uint8_t vector);
        void *opaque;
    } eoi_listeners[APIC_BUS_EOI_LISTENERS];
    unsigned eoi_listener_count;
};

/* False when there is no room for another member. */
bool apic_bus_join(struct apic_bus *bus, struct lapic *lapic);
void apic_bus_leave(struct apic_bus *bus, struct lapic *lapic);
/* Delivers MESSAGE to whom it is for. FROM is the sender, NULL if it is no local APIC (then there are no
 * shorthands). False when nobody took it. */
bool apic_bus_send(struct apic_bus *bus, const struct apic_message *message, struct lapic *from);

/* ENDED is called when a level-triggered interrupt was ended by an EOI (Intel SDM vol. 3, 10.8.5). */
void apic_bus_listen_eoi(struct apic_bus *bus, void (*ended)(void *opaque, uint8_t vector), void *opaque);
void apic_bus_broadcast_eoi(struct apic_bus *bus, uint8_t vector);

#endif

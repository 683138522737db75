/* Who gets an interrupt message. */
#include "devices/apic_bus.h"

#include "devices/lapic.h"

bool apic_bus_join(struct apic_bus *bus, struct lapic *lapic)
{
    if (bus->member_count == APIC_BUS_MEMBERS)
        return false;
    bus->members[bus->member_count++] = lapic;
    return true;
}

void apic_bus_leave(struct apic_bus *bus, struct lapic *lapic)
{
    unsigned kept = 0;
    for (unsigned i = 0; i < bus->member_count; i++)
        if (bus->members[i] != lapic)
            bus->members[kept++] = bus->members[i];
    bus->member_count = kept;
}

static bool is_addressed(const struct lapic *lapic, const struct apic_message *message, const struct lapic *from)
{
    switch ((enum apic_shorthand)message->shorthand) {
    case APIC_TO_DESTINATION:
        return lapic_matches(lapic, message->destination, message->logical);
    case APIC_TO_SELF:
        return lapic == from;
    case APIC_TO_ALL:
        return true;
    case APIC_TO_OTHERS:
        return lapic != from;
    }
    return false;
}

/* Lowest-priority delivery goes to one of those addressed, the least busy (Intel SDM vol. 3, 10.6.2.4). */
static bool send_to_lowest(struct apic_bus *bus, const struct apic_message *message, const struct lapic *from)
{
    struct lapic *lowest = NULL;
    for (unsigned i = 0; i < bus->member_count; i++) {
        struct lapic *lapic = bus->members[i];
        if (is_addressed(lapic, message, from) && lapic_is_software_enabled(lapic) &&
            (!lowest || lapic_priority(lapic) < lapic_priority(lowest)))
            lowest = lapic;
    }
    return lowest && lapic_receive(lowest, message);
}

bool apic_bus_send(struct apic_bus *bus, const struct apic_message *message, struct lapic *from)
{
    bool taken = false;
    if (message->delivery == APIC_LOWEST_PRIORITY)
        return send_to_lowest(bus, message, from);
    for (unsigned i = 0; i < bus->member_count; i++)
        if (is_addressed(bus->members[i], message, from))
            taken |= lapic_receive(bus->members[i], message);
    return taken;
}

void apic_bus_listen_eoi(struct apic_bus *bus, void (*ended)(void *opaque, uint8_t vector), void *opaque)
{
    if (bus->eoi_listener_count == APIC_BUS_EOI_LISTENERS)
        abort(); /* as many as a board has I/O APICs */
    bus->eoi_listeners[bus->eoi_listener_count].ended = ended;
    bus->eoi_listeners[bus->eoi_listener_count++].opaque = opaque;
}

void apic_bus_broadcast_eoi(struct apic_bus *bus, uint8_t vector)
{
    for (unsigned i = 0; i < bus->eoi_listener_count; i++)
        bus->eoi_listeners[i].ended(bus->eoi_listeners[i].opaque, vector);
}

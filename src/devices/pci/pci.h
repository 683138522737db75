/* One PCI bus with configuration mechanism 1 (ports CF8h and CFCh), and what its devices share.
 * Source: PCI Local Bus Specification, "Configuration Mechanism #1" and chapter 6 "Configuration Space". */
#ifndef DRAGOMAN_DEVICES_PCI_PCI_H
#define DRAGOMAN_DEVICES_PCI_PCI_H

#include "devices/device.h"

enum { PCI_CONFIG_SIZE = 256, PCI_BAR_COUNT = 6, PCI_ROM_BAR = 6, PCI_PIRQ_COUNT = 4 };

/* Configuration space header. */
enum {
    PCI_VENDOR_ID = 0x00,
    PCI_DEVICE_ID = 0x02,
    PCI_COMMAND = 0x04,
    PCI_STATUS = 0x06,
    PCI_REVISION = 0x08,
    PCI_PROGRAMMING_INTERFACE = 0x09,
    PCI_CLASS = 0x0a, /* 16 bits: sub-class, base class */
    PCI_CACHE_LINE_SIZE = 0x0c,
    PCI_LATENCY_TIMER = 0x0d,
    PCI_HEADER_TYPE = 0x0e,
    PCI_BAR0 = 0x10,
    PCI_SUBSYSTEM_VENDOR_ID = 0x2c,
    PCI_SUBSYSTEM_ID = 0x2e,
    PCI_ROM_ADDRESS = 0x30,
    PCI_INTERRUPT_LINE = 0x3c,
    PCI_INTERRUPT_PIN = 0x3d
};
enum { PCI_COMMAND_IO = 0x01, PCI_COMMAND_MEMORY = 0x02, PCI_COMMAND_MASTER = 0x04, PCI_COMMAND_INTX_OFF = 0x400 };
enum { PCI_STATUS_INTERRUPT = 0x08 };
/* What every function of QEMU's boards has. */
enum { PCI_BOARD_SUBSYSTEM_VENDOR = 0x1af4, PCI_BOARD_SUBSYSTEM = 0x1100 };

#define PCI_DEVFN(slot, function) ((uint8_t)((slot) << 3 | (function)))

struct pci_bus;
struct pci_device;

enum pci_bar_kind { PCI_BAR_NONE, PCI_BAR_IO, PCI_BAR_MEMORY, PCI_BAR_PREFETCHABLE };

struct pci_bar {
    enum pci_bar_kind kind;
    uint32_t size;                /* a power of two; at least 4 (I/O) or 4096 (memory) */
    struct port_range *ports;     /* I/O: the device's range; base and enabled are set here */
    struct memory_region *region; /* memory, the same */
};

/* A PCI function; a device's structure starts with it. */
struct pci_device {
    struct device device;
    struct device_bus bus;
    struct pci_bus *pci;
    uint8_t devfn;
    uint8_t config[PCI_CONFIG_SIZE];
    uint8_t writable[PCI_CONFIG_SIZE];       /* bits that the guest may change */
    uint8_t write_1_clears[PCI_CONFIG_SIZE]; /* bits that writing 1 clears */
    struct pci_bar bars[PCI_BAR_COUNT + 1];
    bool interrupt_level;
    /* CONFIG[OFFSET..OFFSET+SIZE) was written; masks and BARs have been dealt with. May be NULL. */
    void (*config_written)(struct pci_device *pci, unsigned offset, unsigned size);
};

/* Fields of struct TYPE whose member MEMBER is a struct pci_device; the table's `loaded` calls
 * pci_device_loaded(). */
#define PCI_STATE_FIELDS(type, member) STATE_BYTES(type, member.config), STATE_INT(type, member.interrupt_level)

/* ---- the bus ---- */

/* NULL when memory is short. The bus is a device (its state is CF8h). Destroy it after its functions. */
struct pci_bus *pci_bus_create(const struct device_bus *bus);
/* Where PIRQ 0..3 (A..D) go: an irq_line.set with NUMBER the PIRQ. Set once, by the south bridge. */
void pci_bus_set_interrupt_router(struct pci_bus *pci, void (*set)(void *opaque, unsigned pirq, bool level),
                                  void *opaque);
/* Port CF9h is inside CF8h's doubleword: byte accesses to it go here (the south bridge's reset control). */
void pci_bus_set_port_cf9(struct pci_bus *pci, const struct region_ops *ops, void *opaque);
/* The function at DEVFN, or NULL. */
struct pci_device *pci_bus_device(struct pci_bus *pci, uint8_t devfn);
/* Which PIRQ (0..3) interrupt PIN (1..4) of SLOT is wired to. */
unsigned pci_bus_pirq(unsigned slot, unsigned pin);
/* Lines for `info pci`. */
void pci_bus_describe(struct pci_bus *pci, void (*print)(void *to, const char *line), void *to);

/* ---- functions ---- */

/* Fills in the header and joins the bus; DEVFN must be free. The rest of CONFIG, WRITABLE and the BARs
 * are the device's to set. */
void pci_device_init(struct pci_device *device, const struct device_bus *bus, struct pci_bus *pci, uint8_t devfn,
                     uint16_t vendor, uint16_t product, uint16_t class_code);
void pci_device_finish(struct pci_device *device);
/* Registers BAR INDEX (0..5, or PCI_ROM_BAR), for which the device filled in a range or a region (ops,
 * name, count or size, kind, priority). It appears where and when the guest says. */
void pci_device_set_io_bar(struct pci_device *device, unsigned index, struct port_range *ports, uint32_t size);
void pci_device_set_memory_bar(struct pci_device *device, unsigned index, struct memory_region *region, uint32_t size,
                               bool prefetchable);
/* Command register, BARs and interrupt as after RST#. */
void pci_device_reset(struct pci_device *device);
/* The level of the function's interrupt pin. */
void pci_device_set_interrupt(struct pci_device *device, bool level);
void pci_device_loaded(struct pci_device *device);

/* Configuration accesses as the processor makes them; SIZE 1, 2, 4, OFFSET aligned to it. */
uint32_t pci_config_read(struct pci_device *device, unsigned offset, unsigned size);
void pci_config_write(struct pci_device *device, unsigned offset, unsigned size, uint32_t value);

/* Little-endian access to CONFIG and its masks while building a device. */
static inline void pci_set16(uint8_t *bytes, unsigned offset, uint16_t value)
{
    bytes[offset] = (uint8_t)value;
    bytes[offset + 1] = (uint8_t)(value >> 8);
}
static inline void pci_set32(uint8_t *bytes, unsigned offset, uint32_t value)
{
    pci_set16(bytes, offset, (uint16_t)value);
    pci_set16(bytes, offset + 2, (uint16_t)(value >> 16));
}
static inline uint16_t pci_get16(const uint8_t *bytes, unsigned offset)
{
    return (uint16_t)(bytes[offset] | bytes[offset + 1] << 8);
}
static inline uint32_t pci_get32(const uint8_t *bytes, unsigned offset)
{
    return pci_get16(bytes, offset) | (uint32_t)pci_get16(bytes, offset + 2) << 16;
}

#endif

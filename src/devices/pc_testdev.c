#include "devices/pc_testdev.h"

#include <string.h>

enum { REGISTER_SIZE = 4, IOMEM_SIZE = 0x10000 };
#define IOMEM_BASE 0xff000000u

struct pc_testdev {
    struct device device;
    struct device_bus bus;
    struct irq_line irqs;
    uint8_t bytes[REGISTER_SIZE];
    uint8_t iomem[IOMEM_SIZE];
    struct port_range register_ports, flush_ports, byte_ports, irq_ports;
    struct memory_region iomem_region;
};

/* Accesses are within the range and aligned: the bus sees to that. */
static uint64_t load(const uint8_t *bytes, unsigned size)
{
    uint64_t value = 0;
    for (unsigned i = 0; i < size; i++)
        value |= (uint64_t)bytes[i] << (8 * i);
    return value;
}

static void store(uint8_t *bytes, unsigned size, uint64_t value)
{
    for (unsigned i = 0; i < size; i++)
        bytes[i] = (uint8_t)(value >> (8 * i));
}

static uint64_t register_read(void *opaque, uint64_t offset, unsigned size)
{
    struct pc_testdev *testdev = opaque;
    return load(testdev->bytes + offset, size);
}

static void register_write(void *opaque, uint64_t offset, unsigned size, uint64_t value)
{
    struct pc_testdev *testdev = opaque;
    store(testdev->bytes + offset, size, value);
}

static void flush_write(void *opaque, uint64_t offset, unsigned size, uint64_t value)
{
    struct pc_testdev *testdev = opaque;
    struct memory *memory = testdev->bus.memory;
    if (size != 4)
        return;
    for (unsigned i = 0; i < memory->map_listener_count; i++)
        memory->map_listeners[i].changed(memory->map_listeners[i].opaque, value >> PAGE_SHIFT);
}

static void irq_write(void *opaque, uint64_t offset, unsigned size, uint64_t value)
{
    struct pc_testdev *testdev = opaque;
    if (testdev->irqs.set)
        testdev->irqs.set(testdev->irqs.opaque, (unsigned)offset, value != 0);
}

static uint64_t iomem_read(void *opaque, uint64_t offset, unsigned size)
{
    struct pc_testdev *testdev = opaque;
    return load(testdev->iomem + offset, size);
}

static void iomem_write(void *opaque, uint64_t offset, unsigned size, uint64_t value)
{
    struct pc_testdev *testdev = opaque;
    store(testdev->iomem + offset, size, value);
}

static const struct region_ops register_ops = {.read = register_read, .write = register_write, .max_access = 4};
static const struct region_ops byte_ops = {.read = register_read, .write = register_write, .max_access = 1};
static const struct region_ops flush_ops = {.write = flush_write, .max_access = 4};
static const struct region_ops irq_ops = {.write = irq_write};
static const struct region_ops iomem_ops = {.read = iomem_read, .write = iomem_write, .max_access = 8};

static void testdev_reset(struct device *device)
{
    struct pc_testdev *testdev = (struct pc_testdev *)device;
    memset(testdev->bytes, 0, sizeof(testdev->bytes));
    memset(testdev->iomem, 0, sizeof(testdev->iomem));
}

static void testdev_destroy(struct device *device)
{
    struct pc_testdev *testdev = (struct pc_testdev *)device;
    port_space_remove(testdev->bus.ports, &testdev->register_ports);
    port_space_remove(testdev->bus.ports, &testdev->flush_ports);
    port_space_remove(testdev->bus.ports, &testdev->byte_ports);
    port_space_remove(testdev->bus.ports, &testdev->irq_ports);
    memory_remove_region(testdev->bus.memory, &testdev->iomem_region);
    free(testdev);
}

static const struct state_field testdev_fields[] = {
    STATE_BYTES(struct pc_testdev, bytes),
    STATE_BYTES(struct pc_testdev, iomem),
    STATE_END,
};
static const struct state_table testdev_state = {"pc-testdev", 1, testdev_fields, NULL};
static const struct device_ops testdev_ops = {
    .name = "pc-testdev", .reset = testdev_reset, .destroy = testdev_destroy, .state = &testdev_state};

static void add_ports(struct pc_testdev *testdev, struct port_range *range, const char *name, uint16_t base,
                      uint16_t count, const struct region_ops *ops)
{
    *range =
        (struct port_range){.name = name, .base = base, .count = count, .ops = ops, .opaque = testdev, .enabled = true};
    port_space_add(testdev->bus.ports, range);
}

struct pc_testdev *pc_testdev_create(const struct device_bus *bus, struct irq_line irqs)
{
    struct pc_testdev *testdev = device_allocate(sizeof(*testdev), &testdev_ops, "pc-testdev");
    if (!testdev)
        return NULL;
    testdev->bus = *bus;
    testdev->irqs = irqs;
    add_ports(testdev, &testdev->register_ports, "pc-testdev", 0xe0, REGISTER_SIZE, &register_ops);
    add_ports(testdev, &testdev->flush_ports, "pc-testdev-flush", 0xe4, 4, &flush_ops);
    add_ports(testdev, &testdev->byte_ports, "pc-testdev-bytes", 0xe8, REGISTER_SIZE, &byte_ops);
    add_ports(testdev, &testdev->irq_ports, "pc-testdev-irqs", 0x2000, PC_TESTDEV_IRQ_COUNT, &irq_ops);
    testdev->iomem_region = (struct memory_region){
        .name = "pc-testdev-iomem",
        .kind = REGION_DEVICE,
        .base = IOMEM_BASE,
        .size = IOMEM_SIZE,
        .priority = 1,
        .enabled = true,
        .ops = &iomem_ops,
        .opaque = testdev,
    };
    memory_add_region(bus->memory, &testdev->iomem_region);
    return testdev;
}

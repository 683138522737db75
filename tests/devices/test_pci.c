#include "bench.h"

#include "devices/i8259.h"
#include "devices/pci/i440fx.h"
#include "devices/pci/pci.h"
#include "devices/pci/piix3.h"
#include "devices/pci/piix4_pm.h"
#include "devices/ticks.h"

enum { INTR, RESET, SCI };
#define SECOND 1000000000ull

struct card {
    struct pci_device pci;
    struct port_range ports;
    struct memory_region memory, rom;
    uint8_t rom_bytes[0x10000];
};

struct fixture {
    struct bench bench;
    struct pic_pair *pic;
    struct pci_bus *pci;
    struct i440fx *host;
    struct piix3 *isa;
    struct piix4_pm *pm;
    struct card card;
    unsigned sleeps, sleep_type;
    uint8_t bios[0x20000];
    struct memory_region bios_region;
};

static void went_to_sleep(void *opaque, unsigned type)
{
    struct fixture *f = opaque;
    f->sleeps++;
    f->sleep_type = type;
}

static uint64_t card_read(void *opaque, uint64_t offset, unsigned size)
{
    return 0xc0 + offset;
}

static void card_write(void *opaque, uint64_t offset, unsigned size, uint64_t value)
{
}

static const struct region_ops card_region_ops = {.read = card_read, .write = card_write, .max_access = 1};
static void card_destroy(struct device *device)
{
}
static const struct device_ops card_ops = {.name = "card", .destroy = card_destroy};

static void make_card(struct fixture *f)
{
    struct card *card = &f->card;
    card->pci.device.ops = &card_ops;
    card->pci.device.id = "card";
    pci_device_init(&card->pci, &f->bench.bus, f->pci, PCI_DEVFN(3, 0), 0x1234, 0x5678, 0x0200);
    card->pci.config[PCI_INTERRUPT_PIN] = 1;
    card->ports = (struct port_range){.name = "card-io", .count = 32, .ops = &card_region_ops};
    pci_device_set_io_bar(&card->pci, 0, &card->ports, 32);
    card->memory = (struct memory_region){
        .name = "card-memory", .kind = REGION_DEVICE, .size = 0x1000, .priority = 1, .ops = &card_region_ops};
    pci_device_set_memory_bar(&card->pci, 1, &card->memory, 0x1000, true);
    card->rom_bytes[0] = 0x55;
    card->rom = (struct memory_region){.name = "card-rom",
                                       .kind = REGION_ROM,
                                       .size = sizeof(card->rom_bytes),
                                       .priority = 1,
                                       .host = card->rom_bytes};
    pci_device_set_memory_bar(&card->pci, PCI_ROM_BAR, &card->rom, sizeof(card->rom_bytes), false);
}

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));
    struct bench *bench = &f->bench;
    bench_create(bench);
    for (unsigned i = 0; i < sizeof(f->bios); i++)
        f->bios[i] = (uint8_t)(i >> 8 ^ 0x80);
    f->bios_region = (struct memory_region){.name = "bios",
                                            .kind = REGION_ROM,
                                            .base = 0xe0000,
                                            .size = sizeof(f->bios),
                                            .priority = I440FX_ROM_PRIORITY,
                                            .enabled = true,
                                            .host = f->bios};
    memory_add_region(bench->bus.memory, &f->bios_region);
    f->pic = pic_create(&bench->bus, bench_line(bench, INTR));
    f->pci = pci_bus_create(&bench->bus);
    f->host = i440fx_create(&bench->bus, f->pci);
    f->isa = piix3_create(&bench->bus, f->pci, (struct irq_line){pic_set_irq, f->pic, 0}, bench_line(bench, RESET));
    f->pm = piix4_pm_create(&bench->bus, f->pci, bench_line(bench, SCI), (struct piix4_pm_events){went_to_sleep, f});
    assert_non_null(f->pm);
    make_card(f);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    pci_device_finish(&f->card.pci);
    device_destroy(f->pm);
    device_destroy(f->isa);
    device_destroy(f->host);
    device_destroy(f->pci);
    device_destroy(f->pic);
    memory_remove_region(f->bench.bus.memory, &f->bios_region);
    bench_destroy(&f->bench);
    free(f);
    return 0;
}

static void address(struct fixture *f, uint8_t devfn, unsigned offset)
{
    outl(&f->bench, 0xcf8, 0x80000000u | (uint32_t)devfn << 8 | (offset & 0xfc));
}
static uint32_t get(struct fixture *f, uint8_t devfn, unsigned offset, unsigned size)
{
    address(f, devfn, offset);
    return port_space_read(f->bench.bus.ports, (uint16_t)(0xcfc + (offset & 3)), size);
}
static void put(struct fixture *f, uint8_t devfn, unsigned offset, unsigned size, uint32_t value)
{
    address(f, devfn, offset);
    port_space_write(f->bench.bus.ports, (uint16_t)(0xcfc + (offset & 3)), size, value);
}

static const uint8_t HOST = PCI_DEVFN(0, 0), ISA = PCI_DEVFN(1, 0), PM = PCI_DEVFN(1, 3), CARD = PCI_DEVFN(3, 0);

static void mechanism_1(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(get(f, HOST, 0, 4), 0x12378086);
    assert_int_equal(get(f, ISA, 0, 4), 0x70008086);
    assert_int_equal(get(f, PM, 0, 4), 0x71138086);
    assert_int_equal(get(f, PM, 2, 2), 0x7113);
    assert_int_equal(get(f, HOST, 0x0a, 2), 0x0600);
    assert_int_equal(get(f, ISA, 0x0a, 2), 0x0601);
    assert_int_equal(get(f, ISA, 0x0e, 1), 0x80);
    assert_int_equal(get(f, PCI_DEVFN(7, 0), 0, 4), 0xffffffff);
    /* As Linux checks: the register keeps its value, and byte accesses do not reach it. */
    outl(&f->bench, 0xcf8, 0x80000000);
    assert_int_equal(inl(&f->bench, 0xcf8), 0x80000000);
    outb(&f->bench, 0xcfb, 0x01);
    assert_int_equal(inl(&f->bench, 0xcf8), 0x80000000);
    assert_int_equal(inb(&f->bench, 0xcfb), 0xff);
    /* Not enabled; another bus; reserved bits. */
    outl(&f->bench, 0xcf8, 0x00000000);
    assert_int_equal(inl(&f->bench, 0xcfc), 0xffffffff);
    outl(&f->bench, 0xcf8, 0x80010000);
    assert_int_equal(inl(&f->bench, 0xcfc), 0xffffffff);
    outl(&f->bench, 0xcf8, 0xffffffff);
    assert_int_equal(inl(&f->bench, 0xcf8), 0x80fffffc);
    /* Identification is read only. */
    put(f, ISA, 0, 4, 0);
    assert_int_equal(get(f, ISA, 0, 4), 0x70008086);
}

static void bars(void **state)
{
    struct fixture *f = *state;
    put(f, CARD, 0x10, 4, 0xffffffff);
    put(f, CARD, 0x14, 4, 0xffffffff);
    put(f, CARD, 0x18, 4, 0xffffffff);
    put(f, CARD, 0x30, 4, 0xfffffffe);
    assert_int_equal(get(f, CARD, 0x10, 4), 0xffffffe1);
    assert_int_equal(get(f, CARD, 0x14, 4), 0xfffff008);
    assert_int_equal(get(f, CARD, 0x18, 4), 0);
    assert_int_equal(get(f, CARD, 0x30, 4), 0xffff0000);
    put(f, CARD, 0x10, 4, 0xc000);
    put(f, CARD, 0x14, 4, 0xfebf0000);
    put(f, CARD, 0x30, 4, 0xfec00001);
    assert_int_equal(inb(&f->bench, 0xc005), 0xff);
    put(f, CARD, 4, 2, 1);
    assert_int_equal(inb(&f->bench, 0xc005), 0xc5);
    assert_int_equal(memory_read(f->bench.bus.memory, 0xfebf0007, 1), 0xff);
    put(f, CARD, 4, 2, 3);
    assert_int_equal(memory_read(f->bench.bus.memory, 0xfebf0007, 1), 0xc7);
    assert_int_equal(memory_read(f->bench.bus.memory, 0xfec00000, 1), 0x55);
    put(f, CARD, 0x30, 4, 0xfec00000);
    assert_int_equal(memory_read(f->bench.bus.memory, 0xfec00000, 1), 0xff);
    put(f, CARD, 0x10, 4, 0xd000);
    assert_int_equal(inb(&f->bench, 0xc005), 0xff);
    assert_int_equal(inb(&f->bench, 0xd01f), 0xdf);
    pci_device_reset(&f->card.pci);
    assert_int_equal(inb(&f->bench, 0xd01f), 0xff);
    assert_int_equal(get(f, CARD, 0x10, 4), 1);
    assert_int_equal(get(f, CARD, 0x14, 4), 8);
}

static void pirq_routing(void **state)
{
    struct fixture *f = *state;
    outb(&f->bench, 0x20, 0x11);
    outb(&f->bench, 0x21, 0x08);
    outb(&f->bench, 0x21, 0x04);
    outb(&f->bench, 0x21, 0x01);
    outb(&f->bench, 0xa0, 0x11);
    outb(&f->bench, 0xa1, 0x70);
    outb(&f->bench, 0xa1, 0x02);
    outb(&f->bench, 0xa1, 0x01);
    assert_int_equal(pci_bus_pirq(1, 1), 0);
    assert_int_equal(pci_bus_pirq(3, 1), 2);
    assert_int_equal(pci_bus_pirq(4, 3), 1);
    assert_int_equal(get(f, ISA, 0x62, 1), 0x80);
    pci_device_set_interrupt(&f->card.pci, true);
    assert_int_equal(get(f, CARD, 6, 1) & 8, 8);
    assert_false(f->bench.level[INTR]); /* not routed */
    outb(&f->bench, 0x4d1, 0x0c);
    put(f, ISA, 0x62, 1, 11);
    assert_true(f->bench.level[INTR]);
    assert_int_equal(pic_acknowledge(f->pic), 0x73);
    outb(&f->bench, 0xa0, 0x20);
    outb(&f->bench, 0x20, 0x20);
    assert_true(f->bench.level[INTR]); /* level: still there */
    put(f, ISA, 0x62, 1, 10);
    assert_int_equal(pic_acknowledge(f->pic), 0x72);
    outb(&f->bench, 0xa0, 0x20);
    outb(&f->bench, 0x20, 0x20);
    put(f, CARD, 4, 2, 0x400); /* INTx off */
    assert_false(f->bench.level[INTR]);
    put(f, CARD, 4, 2, 0);
    assert_true(f->bench.level[INTR]);
    /* Shared with an ISA device: ORed. */
    piix3_set_isa_irq(f->isa, 10, true);
    pci_device_set_interrupt(&f->card.pci, false);
    assert_true(f->bench.level[INTR]);
    piix3_set_isa_irq(f->isa, 10, false);
    assert_false(f->bench.level[INTR]);
    /* Reserved IRQs cannot be reached. */
    pci_device_set_interrupt(&f->card.pci, true);
    piix3_route_pirq(f->isa, 2, 8);
    assert_false(f->bench.level[INTR]);
    piix3_route_pirq(f->isa, 2, 5);
    assert_true(f->bench.level[INTR]);
    pci_device_reset(&f->card.pci);
    assert_false(f->bench.level[INTR]);
}

static void reset_control(void **state)
{
    struct fixture *f = *state;
    outb(&f->bench, 0xcf9, 0x02);
    assert_int_equal(f->bench.rises[RESET], 0);
    assert_int_equal(inb(&f->bench, 0xcf9), 0x02);
    outb(&f->bench, 0xcf9, 0x06);
    assert_int_equal(f->bench.rises[RESET], 1);
    outb(&f->bench, 0xcf9, 0x06);
    assert_int_equal(f->bench.rises[RESET], 1);
    outb(&f->bench, 0xcf9, 0x00);
    outb(&f->bench, 0xcf9, 0x04);
    assert_int_equal(f->bench.rises[RESET], 2);
    outl(&f->bench, 0xcf8, 0x80000600); /* a doubleword is the address register's */
    assert_int_equal(f->bench.rises[RESET], 2);
}

static void pam_shadowing(void **state)
{
    struct fixture *f = *state;
    struct memory *memory = f->bench.bus.memory;
    uint8_t rom = f->bios[0x10123];
    assert_int_equal(memory_read(memory, 0xf0123, 1), rom);
    memory_write(memory, 0xf0123, 1, 0x11);
    assert_int_equal(memory_read(memory, 0xf0123, 1), rom);
    assert_int_equal(memory->ram[0xf0123], 0);
    /* Write only: reads still see the ROM, writes reach RAM. The way a BIOS copies itself. */
    put(f, HOST, 0x59, 1, 0x20);
    assert_int_equal(memory_read(memory, 0xf0123, 1), rom);
    for (unsigned i = 0; i < 0x10000; i += 4)
        memory_write(memory, 0xf0000 + i, 4, memory_read(memory, 0xf0000 + i, 4));
    assert_memory_equal(memory->ram + 0xf0000, f->bios + 0x10000, 0x10000);
    memory_write(memory, 0xf0123, 1, 0x22);
    assert_int_equal(memory_read(memory, 0xf0123, 1), rom);
    /* Read only: the copy, protected. */
    put(f, HOST, 0x59, 1, 0x10);
    assert_int_equal(memory_read(memory, 0xf0123, 1), 0x22);
    memory_write(memory, 0xf0123, 1, 0x33);
    assert_int_equal(memory_read(memory, 0xf0123, 1), 0x22);
    /* Both. */
    put(f, HOST, 0x59, 1, 0x30);
    memory_write(memory, 0xf0123, 1, 0x44);
    assert_int_equal(memory_read(memory, 0xf0123, 1), 0x44);
    assert_int_equal(memory->ram[0xf0123], 0x44);
    put(f, HOST, 0x59, 1, 0xff);
    assert_int_equal(get(f, HOST, 0x59, 1), 0x30);
    put(f, HOST, 0x59, 1, 0x00);
    assert_int_equal(memory_read(memory, 0xf0123, 1), rom);
}

static void pam_segments(void **state)
{
    struct fixture *f = *state;
    struct memory *memory = f->bench.bus.memory;
    for (unsigned i = 0; i < 12; i++) {
        uint32_t base = 0xc0000 + i * 0x4000;
        unsigned reg = 0x5a + i / 2;
        put(f, HOST, reg, 1, i & 1 ? 0x30 : 0x03);
        memory_write(memory, base, 1, 0xa0 + i);
        memory_write(memory, base + 0x3fff, 1, 0xb0 + i);
        assert_int_equal(memory->ram[base], 0xa0 + i);
        assert_int_equal(memory->ram[base + 0x3fff], 0xb0 + i);
        put(f, HOST, reg, 1, 0);
        assert_int_not_equal(memory_read(memory, base, 1), 0xa0 + i);
    }
    /* Where no ROM is, the hole reads as ones; write-only shadow works there too. */
    assert_int_equal(memory_read(memory, 0xd0000, 4), 0xffffffff);
    put(f, HOST, 0x5c, 1, 0x02);
    memory_write(memory, 0xd0010, 4, 0x12345678);
    assert_int_equal(memory_read(memory, 0xd0010, 4), 0xffffffff);
    put(f, HOST, 0x5c, 1, 0x01);
    assert_int_equal(memory_read(memory, 0xd0010, 4), 0x12345678);
    i440fx_shadow_all(f->host, I440FX_PAM_READ | I440FX_PAM_WRITE);
    memory_write(memory, 0xe8000, 4, 0xcafe);
    assert_int_equal(memory_read(memory, 0xe8000, 4), 0xcafe);
    device_reset(f->host);
    assert_int_equal(get(f, HOST, 0x5c, 1), 0);
    assert_int_equal(memory_read(memory, 0xe8000, 1), f->bios[0x8000]);
}

static void written(void *opaque, uint64_t page, unsigned offset, unsigned length, unsigned flags)
{
    uint64_t *seen = opaque;
    *seen = page;
}

static void shadow_writes_pass_the_gate(void **state)
{
    struct fixture *f = *state;
    struct memory *memory = f->bench.bus.memory;
    uint64_t seen = 0;
    memory_add_written_listener(memory, written, &seen);
    memory_mark_code(memory, 0xf0, 0x100, 4);
    put(f, HOST, 0x59, 1, 0x20);
    memory_write(memory, 0xf0100, 4, 1);
    assert_int_equal(seen, 0xf0);
    seen = 0;
    put(f, HOST, 0x59, 1, 0x30);
    memory_write(memory, 0xf0100, 4, 2);
    assert_int_equal(seen, 0xf0);
    memory->written_listener_count = 0;
}

static void smram(void **state)
{
    struct fixture *f = *state;
    struct memory *memory = f->bench.bus.memory;
    assert_int_equal(get(f, HOST, 0x72, 1), 0x02);
    assert_int_equal(memory_read(memory, 0xa8000, 1), 0xff);
    put(f, HOST, 0x72, 1, 0x4a);
    memory_write(memory, 0xa8000, 1, 0x5a);
    assert_int_equal(memory_read(memory, 0xa8000, 1), 0x5a);
    put(f, HOST, 0x72, 1, 0x1a); /* closed and locked */
    assert_int_equal(memory_read(memory, 0xa8000, 1), 0xff);
    put(f, HOST, 0x72, 1, 0x4a);
    assert_int_equal(get(f, HOST, 0x72, 1), 0x1a);
    device_reset(f->host);
    put(f, HOST, 0x72, 1, 0x4a);
    assert_int_equal(get(f, HOST, 0x72, 1), 0x4a);
}

static void pm_timer_and_overflow(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(inl(&f->bench, 0x608), 0xffffffff);
    put(f, PM, 0x40, 4, 0x601);
    put(f, PM, 0x80, 1, 1);
    assert_int_equal(get(f, PM, 0x40, 4), 0x601);
    bench_run_until(&f->bench, SECOND);
    assert_int_equal(inl(&f->bench, 0x608), 3579545);
    outw(&f->bench, 0x602, 0x0001);
    outw(&f->bench, 0x604, 0x0001);
    uint64_t overflow = ticks_to_time(0x800000, PM_TIMER_HERTZ);
    bench_run_until(&f->bench, overflow - 1);
    assert_false(f->bench.level[SCI]);
    bench_run_until(&f->bench, overflow);
    assert_true(f->bench.level[SCI]);
    assert_int_equal(inw(&f->bench, 0x600), 0x0001);
    outw(&f->bench, 0x600, 0x0001);
    assert_false(f->bench.level[SCI]);
    overflow = ticks_to_time(0x1000000, PM_TIMER_HERTZ);
    bench_run_until(&f->bench, overflow);
    assert_true(f->bench.level[SCI]);
    assert_int_equal(inl(&f->bench, 0x608), 0); /* 24 bits */
    /* Polled: the status appears without its enable. */
    outw(&f->bench, 0x602, 0);
    outw(&f->bench, 0x600, 0x0001);
    bench_run(&f->bench, 3 * SECOND);
    assert_int_equal(inw(&f->bench, 0x600), 0x0001);
    assert_false(f->bench.level[SCI]);
}

static void power_button_and_sleep(void **state)
{
    struct fixture *f = *state;
    assert_false(piix4_pm_press_power_button(f->pm));
    piix4_pm_set_up(f->pm, 0x600, 0x700, false);
    outw(&f->bench, 0x600, 0xffff);
    outw(&f->bench, 0x602, 0x0100);
    assert_true(piix4_pm_press_power_button(f->pm));
    assert_false(f->bench.level[SCI]); /* legacy mode */
    outb(&f->bench, 0xb2, 0xf1);       /* ACPI enable */
    assert_int_equal(inw(&f->bench, 0x604), 0x0001);
    assert_true(f->bench.level[SCI]);
    outb(&f->bench, 0x601, 0x01); /* byte access clears it */
    assert_false(f->bench.level[SCI]);
    outb(&f->bench, 0xb2, 0xf0);
    assert_int_equal(inw(&f->bench, 0x604), 0x0000);
    outb(&f->bench, 0xb3, 0x77);
    assert_int_equal(inb(&f->bench, 0xb3), 0x77);
    outw(&f->bench, 0x604, 0x0401);
    assert_int_equal(f->sleeps, 0);
    outw(&f->bench, 0x604, 0x2401);
    assert_int_equal(f->sleeps, 1);
    assert_int_equal(f->sleep_type, PIIX4_SLEEP_S3);
    assert_int_equal(inw(&f->bench, 0x604), 0x0401);
    outb(&f->bench, 0x605, 0x20);
    assert_int_equal(f->sleeps, 2);
    assert_int_equal(f->sleep_type, PIIX4_SLEEP_S5);
}

static void general_purpose_events_and_smbus(void **state)
{
    struct fixture *f = *state;
    piix4_pm_set_up(f->pm, 0x600, 0x700, true);
    piix4_pm_raise_gpe(f->pm, 9);
    assert_int_equal(inw(&f->bench, 0xafe0), 0x0200);
    assert_false(f->bench.level[SCI]);
    outw(&f->bench, 0xafe2, 0x0200);
    assert_true(f->bench.level[SCI]);
    outw(&f->bench, 0xafe0, 0x0200);
    assert_false(f->bench.level[SCI]);
    /* No slave answers on the SMBus. */
    assert_int_equal(inb(&f->bench, 0x700), 0);
    outb(&f->bench, 0x704, 0xa1);
    outb(&f->bench, 0x702, 0x48);
    assert_int_equal(inb(&f->bench, 0x700), 0x04);
    outb(&f->bench, 0x700, 0x04);
    assert_int_equal(inb(&f->bench, 0x700), 0);
    /* Firmware must not look for SMM. */
    assert_int_equal(get(f, PM, 0x58, 4) & 1u << 25, 1u << 25);
}

static void print_nothing(void *to, const char *line)
{
    unsigned *lines = to;
    assert_true(strlen(line) > 0);
    ++*lines;
}

static void state_round_trip(void **state)
{
    struct fixture *f = *state;
    put(f, HOST, 0x59, 1, 0x30);
    put(f, HOST, 0x5a, 4, 0x33132130);
    piix4_pm_set_up(f->pm, 0x600, 0x700, true);
    piix3_route_pirq(f->isa, 1, 10);
    outw(&f->bench, 0x602, 0x0101);
    bench_check_state(f->host);
    bench_check_state(f->isa);
    bench_check_state(f->pm);
    bench_check_state(f->pci);
    assert_int_equal(inw(&f->bench, 0x602), 0x0101);
    memory_write(f->bench.bus.memory, 0xf0000, 1, 0x99);
    assert_int_equal(memory_read(f->bench.bus.memory, 0xf0000, 1), 0x99);
    unsigned lines = 0;
    device_of(f->pci)->ops->describe(device_of(f->pci), print_nothing, &lines);
    device_of(f->isa)->ops->describe(device_of(f->isa), print_nothing, &lines);
    assert_in_range(lines, 10, 30);
}

static void fuzz(void **state)
{
    struct fixture *f = *state;
    uint64_t seed = 17;
    static const uint8_t functions[] = {PCI_DEVFN(0, 0), PCI_DEVFN(1, 0), PCI_DEVFN(1, 3), PCI_DEVFN(3, 0)};
    for (unsigned i = 0; i < 3000; i++) {
        uint8_t devfn = functions[bench_random(&seed) % 4];
        unsigned size = 1u << bench_random(&seed) % 3;
        put(f, devfn, bench_random(&seed) & 0xff & ~(size - 1), size, bench_random(&seed) << 1);
        get(f, devfn, bench_random(&seed) & 0xff, 4);
        bench_fuzz(&f->bench, 0xcf8, 8, 3, i);
        bench_fuzz(&f->bench, 0xafe0, 4, 1, i);
        bench_fuzz(&f->bench, 0xb2, 2, 1, i);
        if (i % 8 == 0) {
            piix4_pm_set_up(f->pm, 0x600, 0x700, i & 8);
            bench_fuzz(&f->bench, 0x600, 64, 20, i);
            bench_fuzz(&f->bench, 0x700, 16, 5, i);
        }
        pci_device_set_interrupt(&f->card.pci, bench_random(&seed) & 1);
        uint32_t at = 0xa0000 + bench_random(&seed) % 0x60000;
        memory_write(f->bench.bus.memory, at, 4, bench_random(&seed));
        memory_read(f->bench.bus.memory, at, 4);
    }
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(mechanism_1),
        TEST(bars),
        TEST(pirq_routing),
        TEST(reset_control),
        TEST(pam_shadowing),
        TEST(pam_segments),
        TEST(shadow_writes_pass_the_gate),
        TEST(smram),
        TEST(pm_timer_and_overflow),
        TEST(power_button_and_sleep),
        TEST(general_purpose_events_and_smbus),
        TEST(state_round_trip),
        TEST(fuzz),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

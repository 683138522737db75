#include "bench.h"

#include "devices/lapic.h"

/* Registers. */
enum {
    ID = 0x20,
    VERSION = 0x30,
    TPR = 0x80,
    APR = 0x90,
    PPR = 0xa0,
    EOI = 0xb0,
    LDR = 0xd0,
    DFR = 0xe0,
    SVR = 0xf0,
    ISR = 0x100,
    TMR = 0x180,
    IRR = 0x200,
    ESR = 0x280,
    ICR_LOW = 0x300,
    ICR_HIGH = 0x310,
    LVT_TIMER = 0x320,
    LVT_THERMAL = 0x330,
    LVT_PERFORMANCE = 0x340,
    LVT_LINT0 = 0x350,
    LVT_LINT1 = 0x360,
    LVT_ERROR = 0x370,
    INITIAL = 0x380,
    CURRENT = 0x390,
    DIVIDE = 0x3e0
};

#define MASKED   0x10000u
#define PERIODIC 0x20000u
#define LEVEL    0x8000u
#define REMOTE   0x4000u
#define TICK_NS  (1000000000u / LAPIC_BUS_HERTZ)

/* A processor as its APIC sees it. */
struct processor {
    bool intr;
    unsigned nmis, inits, startups;
    uint8_t startup_vector;
};

enum { MEMBERS = 3 };

struct fixture {
    struct bench bench;
    struct apic_bus messages;
    struct lapic *apics[MEMBERS];
    struct processor processors[MEMBERS];
    struct lapic *lapic; /* the first */
    struct processor *processor;
    uint8_t ended[8];
    unsigned ended_count;
};

static void set_interrupt(void *opaque, bool level)
{
    struct processor *p = opaque;
    p->intr = level;
}
static void post_nmi(void *opaque)
{
    struct processor *p = opaque;
    p->nmis++;
}
static void post_init(void *opaque)
{
    struct processor *p = opaque;
    p->inits++;
}
static void start_up(void *opaque, uint8_t vector)
{
    struct processor *p = opaque;
    p->startups++;
    p->startup_vector = vector;
}

static void ended(void *opaque, uint8_t vector)
{
    struct fixture *f = opaque;
    f->ended[f->ended_count++ % 8] = vector;
}

static void add_apic(struct fixture *f, unsigned n, enum lapic_generation generation)
{
    struct lapic_config config = {
        .generation = generation,
        .id = (uint8_t)n,
        .bootstrap = n == 0,
        .processor = {&f->processors[n], set_interrupt, post_nmi, post_init, start_up},
    };
    f->apics[n] = lapic_create(&f->bench.bus, &f->messages, &config);
    assert_non_null(f->apics[n]);
}

static struct fixture *create(enum lapic_generation generation)
{
    struct fixture *f = calloc(1, sizeof(*f));
    bench_create(&f->bench);
    apic_bus_listen_eoi(&f->messages, ended, f);
    add_apic(f, 0, generation);
    f->lapic = f->apics[0];
    f->processor = &f->processors[0];
    return f;
}

static void destroy(struct fixture *f)
{
    for (unsigned i = 0; i < MEMBERS; i++)
        device_destroy(f->apics[i]);
    assert_int_equal(f->messages.member_count, 0);
    bench_destroy(&f->bench);
    free(f);
}

static int setup(void **state)
{
    struct fixture *f = create(LAPIC_PENTIUM4);
    lapic_write(f->lapic, SVR, 0x1ff);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    destroy(*state);
    return 0;
}

static uint32_t get(struct fixture *f, unsigned offset)
{
    return lapic_read(f->lapic, offset);
}
static void put(struct fixture *f, unsigned offset, uint32_t value)
{
    lapic_write(f->lapic, offset, value);
}
static uint32_t mmio_read(struct fixture *f, uint64_t address, unsigned size)
{
    return (uint32_t)memory_read(f->bench.bus.memory, address, size);
}
static void mmio_write(struct fixture *f, uint64_t address, unsigned size, uint32_t value)
{
    memory_write(f->bench.bus.memory, address, size, value);
}

static bool bit_of(struct fixture *f, unsigned first, unsigned vector)
{
    return get(f, first + vector / 32 * 16) >> (vector % 32) & 1;
}

/* An interrupt message as from an I/O APIC, to everybody. */
static bool message(struct fixture *f, enum apic_delivery delivery, uint8_t vector, bool level)
{
    struct apic_message m = {.vector = vector, .delivery = delivery, .destination = 0xff, .level = level};
    return apic_bus_send(&f->messages, &m, NULL);
}
static void request(struct fixture *f, uint8_t vector)
{
    message(f, APIC_FIXED, vector, false);
}

/* ---- reset and register file ---- */

static void values_after_reset(void **state)
{
    struct fixture *f = create(LAPIC_PENTIUM4);
    for (unsigned round = 0; round < 2; round++) {
        assert_int_equal(get(f, ID), 0);
        assert_int_equal(get(f, VERSION), 0x00050014);
        assert_int_equal(get(f, TPR), 0);
        assert_int_equal(get(f, PPR), 0);
        assert_int_equal(get(f, LDR), 0);
        assert_int_equal(get(f, DFR), 0xffffffff);
        assert_int_equal(get(f, SVR), 0xff);
        for (unsigned i = 0; i < 24; i++)
            assert_int_equal(get(f, ISR + 16 * i), 0);
        for (unsigned r = LVT_TIMER; r <= LVT_ERROR; r += 16)
            assert_int_equal(get(f, r), MASKED);
        assert_int_equal(get(f, ESR), 0);
        assert_int_equal(get(f, ICR_LOW), 0);
        assert_int_equal(get(f, ICR_HIGH), 0);
        assert_int_equal(get(f, INITIAL), 0);
        assert_int_equal(get(f, CURRENT), 0);
        assert_int_equal(get(f, DIVIDE), 0);
        assert_false(f->processor->intr);

        /* Everything else than that, for the second round. */
        put(f, SVR, 0x1f3);
        put(f, ID, 0x05000000);
        put(f, TPR, 0x33);
        put(f, LDR, 0xaa000000);
        put(f, DFR, 0x0fffffff);
        put(f, LVT_TIMER, PERIODIC | 0x40);
        put(f, DIVIDE, 3);
        put(f, INITIAL, 1000);
        put(f, LVT_LINT0, 0x8741);
        put(f, ICR_HIGH, 0x77000000);
        request(f, 0x55);
        assert_true(f->processor->intr);
        lapic_acknowledge(f->lapic);
        request(f, 0x66);
        lapic_set_base(f->lapic, 0x100900);
        device_reset(f->lapic);
    }
    destroy(f);
}

static void writable_bits(void **state)
{
    struct fixture *f = *state;
    static const struct {
        unsigned offset;
        uint32_t ones, zeros;
    } rows[] = {
        {ID, 0xff000000, 0},
        {VERSION, 0x00050014, 0x00050014},
        {TPR, 0xff, 0},
        {PPR, 0, 0},
        {LDR, 0xff000000, 0},
        {DFR, 0xffffffff, 0x0fffffff},
        {LVT_TIMER, 0x300ff, 0},
        {LVT_THERMAL, 0x107ff, 0},
        {LVT_PERFORMANCE, 0x107ff, 0},
        {LVT_LINT0, 0x1a7ff, 0},
        {LVT_LINT1, 0x1a7ff, 0},
        {LVT_ERROR, 0x100ff, 0},
        {ICR_HIGH, 0xff000000, 0},
        {CURRENT, 0, 0},
        {DIVIDE, 0xb, 0},
    };
    for (unsigned i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        put(f, rows[i].offset, 0xffffffff);
        if (rows[i].offset != PPR)
            assert_int_equal(get(f, rows[i].offset), rows[i].ones);
        put(f, rows[i].offset, 0);
        assert_int_equal(get(f, rows[i].offset), rows[i].zeros);
    }
    put(f, SVR, 0xffffffff);
    assert_int_equal(get(f, SVR), 0x1ff);
    put(f, SVR, 0x100);
    assert_int_equal(get(f, SVR), 0x100);
}

static void generations(void **state)
{
    struct fixture *f = create(LAPIC_P6);
    assert_int_equal(get(f, VERSION), 0x00040011);
    put(f, ID, 0xff000000);
    assert_int_equal(get(f, ID), 0x0f000000);
    put(f, SVR, 0xffffffff);
    assert_int_equal(get(f, SVR), 0x3ff);
    put(f, SVR, 0x100); /* the low four bits are fixed */
    assert_int_equal(get(f, SVR), 0x10f);
    put(f, LVT_PERFORMANCE, 0x45);
    assert_int_equal(get(f, LVT_PERFORMANCE), 0x45);
    put(f, LVT_THERMAL, 0x45);
    put(f, ESR, 0);
    assert_int_equal(get(f, ESR), 0x80);
    destroy(f);

    f = create(LAPIC_PENTIUM);
    assert_int_equal(get(f, VERSION), 0x00030010);
    put(f, SVR, 0x1ff);
    put(f, LVT_PERFORMANCE, 0x45);
    assert_int_equal(get(f, LVT_PERFORMANCE), 0);
    assert_int_equal(get(f, ESR), 0); /* does not report illegal addresses */
    put(f, ICR_LOW, 0x0005 | 1 << 18);
    assert_int_equal(get(f, ESR), 0x20); /* readable without a write, which would clear it */
    put(f, ESR, 0);
    assert_int_equal(get(f, ESR), 0);
    destroy(f);
}

/* ---- memory region ---- */

static void region_follows_base(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(mmio_read(f, 0xfee00030, 4), 0x50014);
    mmio_write(f, 0xfee00080, 4, 0x20);
    assert_int_equal(get(f, TPR), 0x20);
    /* Odd accesses do not harm. */
    assert_int_equal(mmio_read(f, 0xfee00032, 1), 0x05);
    assert_int_equal(mmio_read(f, 0xfee00032, 2), 0x0005);
    assert_int_equal(mmio_read(f, 0xfee00034, 4), 0);
    mmio_write(f, 0xfee00080, 1, 0x55);
    mmio_write(f, 0xfee00084, 4, 0x55);
    mmio_write(f, 0xfee0007e, 4, 0x55555555);
    assert_int_equal(get(f, TPR), 0x20);

    /* Over RAM: the APIC wins, and gives back what was there. */
    mmio_write(f, 0x100030, 4, 0x12345678);
    lapic_set_base(f->lapic, 0x100000 | LAPIC_BASE_ENABLE);
    assert_int_equal(mmio_read(f, 0x100030, 4), 0x50014);
    assert_int_equal(mmio_read(f, 0xfee00030, 4), 0xffffffff);
    assert_int_equal(get(f, TPR), 0x20); /* moving is no reset */
    lapic_set_base(f->lapic, 0x100000);
    assert_int_equal(mmio_read(f, 0x100030, 4), 0x12345678);
    lapic_set_base(f->lapic, 0xf00000000ull | LAPIC_BASE_ENABLE);
    assert_int_equal(mmio_read(f, 0xf00000030ull, 4), 0x50014);
    device_reset(f->lapic);
    assert_int_equal(mmio_read(f, 0xfee00030, 4), 0x50014);
}

static void globally_disabled(void **state)
{
    struct fixture *f = *state;
    put(f, TPR, 0x20);
    request(f, 0x60);
    assert_true(f->processor->intr);
    lapic_set_base(f->lapic, LAPIC_BASE_DEFAULT | LAPIC_BASE_BOOTSTRAP);
    assert_false(f->processor->intr);
    assert_int_equal(lapic_acknowledge(f->lapic), -1);
    assert_false(message(f, APIC_FIXED, 0x61, false));
    assert_false(message(f, APIC_NMI, 0, false));
    assert_int_equal(f->processor->nmis, 0);
    /* LINT0 and LINT1 are INTR and NMI now. */
    assert_true(lapic_passes_extint(f->lapic));
    lapic_set_lint(f->lapic, 0, true);
    assert_true(f->processor->intr);
    assert_false(lapic_is_pending(f->lapic));
    lapic_set_lint(f->lapic, 0, false);
    assert_false(f->processor->intr);
    lapic_set_lint(f->lapic, 1, true);
    lapic_set_lint(f->lapic, 1, true);
    assert_int_equal(f->processor->nmis, 1);
    lapic_set_lint(f->lapic, 1, false);
    /* Enabled again: as after reset. */
    lapic_set_lint(f->lapic, 0, true);
    lapic_set_base(f->lapic, LAPIC_BASE_DEFAULT | LAPIC_BASE_BOOTSTRAP | LAPIC_BASE_ENABLE);
    assert_false(f->processor->intr); /* LINT0 is masked */
    assert_int_equal(get(f, TPR), 0);
    assert_int_equal(get(f, SVR), 0xff);
    assert_int_equal(get(f, IRR + 0x30), 0);
}

/* ---- priorities ---- */

static void request_service_eoi(void **state)
{
    struct fixture *f = *state;
    request(f, 0x41);
    assert_true(f->processor->intr);
    assert_true(lapic_is_pending(f->lapic));
    assert_true(bit_of(f, IRR, 0x41));
    assert_false(bit_of(f, TMR, 0x41));
    assert_int_equal(get(f, PPR), 0);
    assert_int_equal(lapic_acknowledge(f->lapic), 0x41);
    assert_false(f->processor->intr);
    assert_false(bit_of(f, IRR, 0x41));
    assert_true(bit_of(f, ISR, 0x41));
    assert_int_equal(get(f, PPR), 0x40);
    assert_int_equal(lapic_acknowledge(f->lapic), -1);
    put(f, EOI, 0);
    assert_false(bit_of(f, ISR, 0x41));
    assert_int_equal(get(f, PPR), 0);
    put(f, EOI, 0); /* nothing in service: nothing happens */
    assert_int_equal(f->ended_count, 0);
}

static void nesting(void **state)
{
    struct fixture *f = *state;
    request(f, 0x41);
    request(f, 0x41); /* merges */
    assert_int_equal(lapic_acknowledge(f->lapic), 0x41);
    request(f, 0x4f); /* the same class waits */
    assert_false(f->processor->intr);
    request(f, 0x41); /* and one more of the vector in service is kept */
    request(f, 0x50);
    assert_true(f->processor->intr);
    assert_int_equal(lapic_acknowledge(f->lapic), 0x50);
    assert_int_equal(get(f, PPR), 0x50);
    request(f, 0xff);
    assert_int_equal(lapic_acknowledge(f->lapic), 0xff);
    put(f, EOI, 0);
    assert_int_equal(get(f, PPR), 0x50);
    put(f, EOI, 0);
    assert_false(f->processor->intr);
    put(f, EOI, 0);
    assert_int_equal(lapic_acknowledge(f->lapic), 0x4f);
    put(f, EOI, 0);
    assert_int_equal(lapic_acknowledge(f->lapic), 0x41);
    put(f, EOI, 0);
    assert_int_equal(lapic_acknowledge(f->lapic), -1);
}

static void task_priority(void **state)
{
    struct fixture *f = *state;
    put(f, TPR, 0x4f);
    assert_int_equal(get(f, PPR), 0x4f);
    request(f, 0x4f);
    assert_false(f->processor->intr);
    put(f, TPR, 0x3f);
    assert_true(f->processor->intr);
    put(f, TPR, 0x40);
    assert_false(f->processor->intr);
    /* An INTA that was already on its way: the spurious vector, and nothing in service. */
    put(f, SVR, 0x1ef);
    assert_int_equal(lapic_acknowledge(f->lapic), 0xef);
    assert_true(bit_of(f, IRR, 0x4f));
    for (unsigned i = 0; i < 8; i++)
        assert_int_equal(get(f, ISR + 16 * i), 0);
    put(f, TPR, 0);
    assert_int_equal(lapic_acknowledge(f->lapic), 0x4f);
    /* PPR: the higher class of the two; the task's low bits if it is not below. */
    put(f, TPR, 0x33);
    assert_int_equal(get(f, PPR), 0x40);
    put(f, TPR, 0x43);
    assert_int_equal(get(f, PPR), 0x43);
    put(f, TPR, 0xff);
    request(f, 0xfe);
    assert_false(f->processor->intr);
}

static void all_vectors(void **state)
{
    struct fixture *f = *state;
    for (unsigned vector = 16; vector < 256; vector++)
        request(f, (uint8_t)vector);
    for (int vector = 255; vector >= 16; vector--) {
        assert_int_equal(lapic_acknowledge(f->lapic), vector);
        put(f, EOI, 0);
    }
    assert_false(f->processor->intr);
}

static void level_and_eoi_broadcast(void **state)
{
    struct fixture *f = *state;
    message(f, APIC_FIXED, 0x61, true);
    assert_true(bit_of(f, TMR, 0x61));
    assert_int_equal(lapic_acknowledge(f->lapic), 0x61);
    assert_int_equal(f->ended_count, 0);
    put(f, EOI, 0);
    assert_int_equal(f->ended_count, 1);
    assert_int_equal(f->ended[0], 0x61);
    request(f, 0x61); /* edge this time */
    assert_false(bit_of(f, TMR, 0x61));
    lapic_acknowledge(f->lapic);
    put(f, EOI, 0);
    assert_int_equal(f->ended_count, 1);
}

/* ---- disabled by software ---- */

static void software_disabled(void **state)
{
    struct fixture *f = *state;
    put(f, LVT_TIMER, 0x40);
    put(f, LVT_LINT0, 0x700);
    put(f, LVT_LINT1, 0x400);
    put(f, LVT_ERROR, 0x42);
    lapic_set_lint(f->lapic, 0, true);
    assert_true(f->processor->intr);
    request(f, 0x50);
    put(f, SVR, 0x0ff);
    for (unsigned r = LVT_TIMER; r <= LVT_ERROR; r += 16) {
        assert_true(get(f, r) & MASKED);
        put(f, r, 0x41); /* cannot be unmasked */
        assert_int_equal(get(f, r), MASKED | 0x41);
    }
    assert_false(lapic_passes_extint(f->lapic));
    /* What was requested before stays for the processor; nothing new is taken, but for NMI and INIT. */
    assert_int_equal(lapic_acknowledge(f->lapic), 0x50);
    assert_false(f->processor->intr);
    assert_false(message(f, APIC_FIXED, 0x60, false));
    assert_false(message(f, APIC_LOWEST_PRIORITY, 0x60, false));
    assert_false(bit_of(f, IRR, 0x60));
    assert_true(message(f, APIC_NMI, 0, false));
    assert_int_equal(f->processor->nmis, 1);
    lapic_set_lint(f->lapic, 1, true);
    assert_int_equal(f->processor->nmis, 1);
    put(f, SVR, 0x1ff);
    assert_int_equal(get(f, LVT_TIMER), MASKED | 0x41); /* stay masked */
    put(f, EOI, 0);
    assert_true(message(f, APIC_INIT, 0, false));
    assert_int_equal(f->processor->inits, 1);
    assert_int_equal(get(f, SVR), 0xff);
}

/* ---- LINT pins ---- */

static void virtual_wire(void **state)
{
    struct fixture *f = *state;
    device_reset(f->lapic);
    lapic_set_lint(f->lapic, 0, true);
    assert_false(f->processor->intr);
    lapic_set_virtual_wire(f->lapic);
    assert_int_equal(get(f, SVR), 0x1ff);
    assert_int_equal(get(f, LVT_LINT0), 0x700);
    assert_int_equal(get(f, LVT_LINT1), 0x400);
    assert_true(f->processor->intr);
    assert_true(lapic_passes_extint(f->lapic));
    assert_false(lapic_is_pending(f->lapic));
    put(f, TPR, 0xff); /* ExtINT knows no priority */
    assert_true(f->processor->intr);
    lapic_set_lint(f->lapic, 0, false);
    assert_false(f->processor->intr);
    put(f, LVT_LINT0, 0x8700); /* level: the same */
    lapic_set_lint(f->lapic, 0, true);
    assert_true(f->processor->intr);
    put(f, LVT_LINT0, 0x18700);
    assert_false(f->processor->intr);
    lapic_set_lint(f->lapic, 1, true);
    lapic_set_lint(f->lapic, 1, true);
    assert_int_equal(f->processor->nmis, 1);
    lapic_set_lint(f->lapic, 1, false);
    assert_int_equal(f->processor->nmis, 1);
    lapic_set_lint(f->lapic, 1, true);
    assert_int_equal(f->processor->nmis, 2);
    /* Pins belong to the board: reset does not change them. */
    device_reset(f->lapic);
    lapic_set_virtual_wire(f->lapic);
    assert_true(f->processor->intr);
}

static void lint_fixed_edge(void **state)
{
    struct fixture *f = *state;
    put(f, LVT_LINT0, 0x61);
    put(f, LVT_LINT1, 0x8062); /* LINT1 is edge triggered whatever it says */
    lapic_set_lint(f->lapic, 0, true);
    lapic_set_lint(f->lapic, 1, true);
    assert_int_equal(lapic_acknowledge(f->lapic), 0x62);
    put(f, EOI, 0);
    assert_int_equal(lapic_acknowledge(f->lapic), 0x61);
    put(f, EOI, 0);
    lapic_set_lint(f->lapic, 0, true);
    assert_int_equal(lapic_acknowledge(f->lapic), -1);
    lapic_set_lint(f->lapic, 0, false);
    lapic_set_lint(f->lapic, 0, true);
    assert_int_equal(lapic_acknowledge(f->lapic), 0x61);
    assert_int_equal(f->ended_count, 0);
}

static void lint_fixed_level(void **state)
{
    struct fixture *f = *state;
    put(f, LVT_LINT0, LEVEL | MASKED | 0x61);
    lapic_set_lint(f->lapic, 0, true);
    assert_false(f->processor->intr);
    put(f, LVT_LINT0, LEVEL | 0x61); /* still high: asks now */
    assert_int_equal(get(f, LVT_LINT0), LEVEL | REMOTE | 0x61);
    assert_true(bit_of(f, TMR, 0x61));
    assert_int_equal(lapic_acknowledge(f->lapic), 0x61);
    assert_false(f->processor->intr);
    put(f, EOI, 0); /* still high: asks again */
    assert_int_equal(lapic_acknowledge(f->lapic), 0x61);
    lapic_set_lint(f->lapic, 0, false);
    assert_int_equal(get(f, LVT_LINT0), LEVEL | REMOTE | 0x61);
    put(f, LVT_LINT0, LEVEL | 0x61); /* remote IRR is read-only */
    assert_int_equal(get(f, LVT_LINT0), LEVEL | REMOTE | 0x61);
    put(f, EOI, 0);
    assert_int_equal(get(f, LVT_LINT0), LEVEL | 0x61);
    assert_int_equal(lapic_acknowledge(f->lapic), -1);
}

static void lint_other_modes(void **state)
{
    struct fixture *f = *state;
    put(f, LVT_LINT0, 0x400);
    lapic_set_lint(f->lapic, 0, true);
    assert_int_equal(f->processor->nmis, 1);
    lapic_set_lint(f->lapic, 0, false);
    put(f, LVT_LINT0, 0x200); /* SMI: none */
    lapic_set_lint(f->lapic, 0, true);
    lapic_set_lint(f->lapic, 0, false);
    put(f, LVT_LINT0, 0x500);
    lapic_set_lint(f->lapic, 0, true);
    assert_int_equal(f->processor->inits, 1);
    assert_false(f->processor->intr);
}

/* ---- interprocessor interrupts ---- */

enum { SELF = 1 << 18, ALL = 2 << 18, OTHERS = 3 << 18, LOGICAL = 1 << 11, ASSERT = 1 << 14, ICR_LEVEL = 1 << 15 };

static void ipi_to_oneself(void **state)
{
    struct fixture *f = *state;
    put(f, ICR_LOW, SELF | 0x51);
    assert_int_equal(get(f, ICR_LOW), SELF | 0x51); /* idle at once */
    assert_int_equal(lapic_acknowledge(f->lapic), 0x51);
    put(f, ICR_LOW, ALL | ASSERT | 0x61);
    assert_int_equal(lapic_acknowledge(f->lapic), 0x61);
    put(f, ICR_LOW, OTHERS | 0x71);
    assert_int_equal(lapic_acknowledge(f->lapic), -1);
    put(f, ICR_HIGH, 0);
    put(f, ICR_LOW, ASSERT | 0x72);
    assert_int_equal(lapic_acknowledge(f->lapic), 0x72);
    put(f, ICR_HIGH, 0xff000000);
    put(f, ICR_LOW, 0x82);
    assert_int_equal(lapic_acknowledge(f->lapic), 0x82);
    put(f, ICR_HIGH, 0x01000000); /* nobody there: Pentium 4 does not notice */
    put(f, ICR_LOW, 0x92);
    assert_int_equal(lapic_acknowledge(f->lapic), -1);
    put(f, ESR, 0);
    assert_int_equal(get(f, ESR), 0);
    put(f, ICR_HIGH, 0);
    put(f, ICR_LOW, 0x100 | 0x93); /* lowest priority */
    assert_int_equal(lapic_acknowledge(f->lapic), 0x93);
    put(f, ICR_LOW, 0x400);
    assert_int_equal(f->processor->nmis, 1);
    put(f, ICR_LOW, ICR_LEVEL | ASSERT | 0xa1); /* IPIs are edge triggered all the same */
    assert_int_equal(lapic_acknowledge(f->lapic), 0xa1);
    assert_false(bit_of(f, TMR, 0xa1));
}

static void ipi_that_are_none(void **state)
{
    struct fixture *f = *state;
    put(f, ICR_LOW, SELF | 0x400);
    put(f, ICR_LOW, ALL | 0x500);
    put(f, ICR_LOW, 0x300); /* reserved modes */
    put(f, ICR_LOW, 0x700);
    put(f, ICR_LOW, ICR_LEVEL | 0x500); /* INIT level de-assert */
    put(f, ICR_LOW, 0x600 | 0x12); /* startup without INIT, and to the bootstrap processor */
    assert_int_equal(f->processor->nmis + f->processor->inits + f->processor->startups, 0);
    assert_false(f->processor->intr);
}

static void init_and_startup(void **state)
{
    struct fixture *f = *state;
    add_apic(f, 1, LAPIC_PENTIUM4);
    struct processor *second = &f->processors[1];
    lapic_write(f->apics[1], ID, 0x07000000);
    lapic_write(f->apics[1], SVR, 0x1ff);
    lapic_write(f->apics[1], TPR, 0x20);
    put(f, ICR_HIGH, 0x07000000);
    put(f, ICR_LOW, ICR_LEVEL | ASSERT | 0x500);
    put(f, ICR_LOW, ICR_LEVEL | 0x500);
    assert_int_equal(second->inits, 1);
    assert_int_equal(lapic_read(f->apics[1], ID), 0x07000000); /* INIT leaves the id */
    assert_int_equal(lapic_read(f->apics[1], TPR), 0);
    assert_int_equal(lapic_read(f->apics[1], SVR), 0xff);
    put(f, ICR_LOW, 0x600 | 0x9a);
    put(f, ICR_LOW, 0x600 | 0x9b); /* the second one is too late */
    assert_int_equal(second->startups, 1);
    assert_int_equal(second->startup_vector, 0x9a);
    put(f, ICR_LOW, OTHERS | ASSERT | 0x500);
    put(f, ICR_LOW, OTHERS | 0x600 | 0x10);
    assert_int_equal(second->startups, 2);
    assert_int_equal(f->processor->inits, 0);
    /* INIT to the bootstrap processor: it starts by itself. */
    put(f, ICR_HIGH, 0);
    put(f, ICR_LOW, ASSERT | 0x500);
    assert_int_equal(f->processor->inits, 1);
    put(f, ICR_LOW, 0x600 | 0x12);
    assert_int_equal(f->processor->startups, 0);
}

static void destinations(void **state)
{
    struct fixture *f = *state;
    for (unsigned i = 1; i < MEMBERS; i++) {
        add_apic(f, i, LAPIC_PENTIUM4);
        lapic_write(f->apics[i], SVR, 0x1ff);
    }
    static const struct {
        uint32_t dfr, ldr[MEMBERS];
        uint32_t destination, icr;
        unsigned takers; /* bit n: APIC n */
    } rows[] = {
        {0xf0000000, {1, 2, 4}, 0, 0, 1},
        {0xf0000000, {1, 2, 4}, 1, 0, 2},
        {0xf0000000, {1, 2, 4}, 3, 0, 0},
        {0xf0000000, {1, 2, 4}, 0xff, 0, 7},
        {0xf0000000, {1, 2, 4}, 0, SELF, 1},
        {0xf0000000, {1, 2, 4}, 0, ALL, 7},
        {0xf0000000, {1, 2, 4}, 0, OTHERS, 6},
        {0xf0000000, {1, 2, 4}, 1, LOGICAL, 1},
        {0xf0000000, {1, 2, 4}, 6, LOGICAL, 6},
        {0xf0000000, {1, 2, 4}, 8, LOGICAL, 0},
        {0xf0000000, {1, 2, 4}, 0xff, LOGICAL, 7},
        {0xf0000000, {0, 2, 4}, 0xff, LOGICAL, 7},
        {0x00000000, {0x11, 0x12, 0x21}, 0x11, LOGICAL, 1},
        {0x00000000, {0x11, 0x12, 0x21}, 0x13, LOGICAL, 3},
        {0x00000000, {0x11, 0x12, 0x21}, 0x2f, LOGICAL, 4},
        {0x00000000, {0x11, 0x12, 0x21}, 0x31, LOGICAL, 0},
        {0x00000000, {0x11, 0x12, 0x21}, 0xff, LOGICAL, 7},
    };
    for (unsigned r = 0; r < sizeof rows / sizeof rows[0]; r++) {
        for (unsigned i = 0; i < MEMBERS; i++) {
            lapic_write(f->apics[i], DFR, rows[r].dfr);
            lapic_write(f->apics[i], LDR, rows[r].ldr[i] << 24);
        }
        put(f, ICR_HIGH, rows[r].destination << 24);
        put(f, ICR_LOW, rows[r].icr | 0x40);
        for (unsigned i = 0; i < MEMBERS; i++) {
            assert_int_equal(lapic_acknowledge(f->apics[i]), rows[r].takers >> i & 1 ? 0x40 : -1);
            lapic_write(f->apics[i], EOI, 0);
        }
    }
    /* Lowest priority: one of them, the least busy of those that are enabled. */
    lapic_write(f->apics[0], TPR, 0x30);
    lapic_write(f->apics[1], TPR, 0x20);
    lapic_write(f->apics[2], SVR, 0xff);
    assert_true(message(f, APIC_LOWEST_PRIORITY, 0x40, false));
    assert_int_equal(lapic_acknowledge(f->apics[0]), -1);
    assert_int_equal(lapic_acknowledge(f->apics[1]), 0x40);
    assert_int_equal(lapic_acknowledge(f->apics[2]), -1);
}

static void p6_destinations(void **state)
{
    struct fixture *f = create(LAPIC_P6);
    put(f, SVR, 0x1ff);
    put(f, ICR_HIGH, 0x0f000000); /* four bits of id: everybody */
    put(f, ICR_LOW, 0x40);
    assert_int_equal(lapic_acknowledge(f->lapic), 0x40);
    put(f, LVT_ERROR, 0xe0);
    put(f, ICR_HIGH, 0x05000000);
    put(f, ICR_LOW, 0x40);
    put(f, ESR, 0);
    assert_int_equal(get(f, ESR), 0x04); /* send accept error */
    assert_int_equal(lapic_acknowledge(f->lapic), 0xe0);
    put(f, ICR_HIGH, 0x85000000); /* a logical destination has eight bits */
    put(f, LDR, 0x80000000);
    put(f, ICR_LOW, LOGICAL | 0xf0);
    assert_int_equal(lapic_acknowledge(f->lapic), 0xf0);
    destroy(f);
}

static void arbitration_priority(void **state)
{
    struct fixture *f = create(LAPIC_P6);
    put(f, SVR, 0x1ff);
    put(f, TPR, 0x35);
    assert_int_equal(get(f, APR), 0x35);
    request(f, 0x52);
    assert_int_equal(get(f, APR), 0x50);
    put(f, TPR, 0x73);
    assert_int_equal(get(f, APR), 0x73);
    put(f, TPR, 0x33);
    lapic_acknowledge(f->lapic);
    assert_int_equal(get(f, APR), 0x10); /* 3 AND 5 */
    destroy(f);
    f = *state;
    put(f, TPR, 0x35);
    assert_int_equal(get(f, APR), 0); /* Pentium 4 has none */
}

/* ---- errors ---- */

static void error_status(void **state)
{
    struct fixture *f = *state;
    put(f, LVT_ERROR, 0xe1);
    put(f, ICR_LOW, SELF | 0x0f);
    assert_int_equal(get(f, ESR), 0); /* shows only after a write */
    assert_int_equal(lapic_acknowledge(f->lapic), 0xe1);
    put(f, EOI, 0);
    put(f, ICR_LOW, SELF | 0x0e);
    assert_int_equal(lapic_acknowledge(f->lapic), -1); /* not armed again yet */
    put(f, ESR, 0x1234);
    assert_int_equal(get(f, ESR), 0x20);
    assert_int_equal(get(f, ESR), 0x20);
    request(f, 0x0f);
    assert_int_equal(lapic_acknowledge(f->lapic), 0xe1);
    put(f, EOI, 0);
    get(f, 0x40);
    assert_int_equal(lapic_acknowledge(f->lapic), 0xe1);
    put(f, EOI, 0);
    put(f, 0x3f0, 1);
    put(f, ESR, 0);
    assert_int_equal(get(f, ESR), 0xc0);
    put(f, ESR, 0);
    assert_int_equal(get(f, ESR), 0);
    /* The error interrupt itself has an illegal vector. */
    put(f, LVT_ERROR, 0x05);
    get(f, 0x40);
    put(f, ESR, 0);
    assert_int_equal(get(f, ESR), 0xc0);
    assert_false(f->processor->intr);
}

/* ---- timer ---- */

static void timer_one_shot(void **state)
{
    struct fixture *f = *state;
    put(f, DIVIDE, 0xb); /* 1 */
    put(f, LVT_TIMER, 0x40);
    put(f, INITIAL, 1000);
    assert_int_equal(get(f, CURRENT), 1000);
    bench_run(&f->bench, 1 * TICK_NS);
    assert_int_equal(get(f, CURRENT), 999);
    bench_run(&f->bench, 998 * TICK_NS);
    assert_int_equal(get(f, CURRENT), 1);
    assert_false(f->processor->intr);
    bench_run(&f->bench, 1 * TICK_NS);
    assert_true(f->processor->intr);
    assert_int_equal(get(f, CURRENT), 0);
    assert_int_equal(lapic_acknowledge(f->lapic), 0x40);
    put(f, EOI, 0);
    assert_int_equal(get(f, INITIAL), 1000);
    bench_run(&f->bench, 100000);
    assert_false(f->processor->intr); /* once */
    assert_int_equal(clock_next_deadline(f->bench.bus.clock), CLOCK_NEVER);
    put(f, LVT_TIMER, PERIODIC | 0x40); /* does not start it again */
    bench_run(&f->bench, 100000);
    assert_false(f->processor->intr);
    put(f, INITIAL, 500);
    bench_run(&f->bench, 100);
    put(f, INITIAL, 0); /* stops */
    assert_int_equal(get(f, CURRENT), 0);
    bench_run(&f->bench, 100000);
    assert_false(f->processor->intr);
}

static void timer_periodic(void **state)
{
    struct fixture *f = *state;
    put(f, DIVIDE, 0x3); /* 16 */
    put(f, LVT_TIMER, PERIODIC | 0x40);
    put(f, INITIAL, 250);
    unsigned count = 0;
    for (unsigned i = 0; i < 1000; i++) {
        bench_run(&f->bench, 250 * 16 * TICK_NS / 10);
        while (lapic_acknowledge(f->lapic) == 0x40) {
            count++;
            put(f, EOI, 0);
        }
    }
    assert_int_equal(count, 100);
    bench_run(&f->bench, 100 * 16 * TICK_NS);
    assert_int_equal(get(f, CURRENT), 150);
    /* To one-shot on the way: ends with this round. */
    put(f, LVT_TIMER, 0x40);
    assert_int_equal(get(f, CURRENT), 150);
    bench_run(&f->bench, 150 * 16 * TICK_NS);
    assert_int_equal(lapic_acknowledge(f->lapic), 0x40);
    put(f, EOI, 0);
    bench_run(&f->bench, 1000 * 16 * TICK_NS);
    assert_int_equal(lapic_acknowledge(f->lapic), -1);
}

static void timer_masked(void **state)
{
    struct fixture *f = *state;
    put(f, DIVIDE, 0xb);
    put(f, LVT_TIMER, MASKED | PERIODIC | 0x40);
    put(f, INITIAL, 1000);
    assert_int_equal(clock_next_deadline(f->bench.bus.clock), CLOCK_NEVER); /* nobody waits */
    bench_run(&f->bench, 2300 * TICK_NS);
    assert_int_equal(get(f, CURRENT), 700); /* but it counts */
    assert_false(f->processor->intr);
    put(f, LVT_TIMER, PERIODIC | 0x40);
    bench_run(&f->bench, 699 * TICK_NS);
    assert_false(f->processor->intr);
    bench_run(&f->bench, TICK_NS);
    assert_true(f->processor->intr);
    /* What expired before the mask is requested, though no timer has run yet. */
    lapic_acknowledge(f->lapic);
    put(f, EOI, 0);
    clock_warp(f->bench.bus.clock, clock_now(f->bench.bus.clock) + 1500 * TICK_NS);
    put(f, LVT_TIMER, MASKED | PERIODIC | 0x40);
    assert_true(f->processor->intr);
    assert_int_equal(get(f, CURRENT), 500);
    /* The same seen through the IRR. */
    lapic_acknowledge(f->lapic);
    put(f, EOI, 0);
    put(f, LVT_TIMER, 0x40);
    clock_warp(f->bench.bus.clock, clock_now(f->bench.bus.clock) + 500 * TICK_NS);
    assert_true(bit_of(f, IRR, 0x40));
    /* Masked one-shot: passes unseen for good. */
    lapic_acknowledge(f->lapic);
    put(f, EOI, 0);
    put(f, LVT_TIMER, MASKED | 0x40);
    put(f, INITIAL, 10);
    bench_run(&f->bench, 11 * TICK_NS);
    put(f, LVT_TIMER, 0x40);
    bench_run(&f->bench, 1000 * TICK_NS);
    assert_false(f->processor->intr);
}

static void timer_divide(void **state)
{
    struct fixture *f = *state;
    static const uint8_t codes[8] = {0xb, 0x0, 0x1, 0x2, 0x3, 0x8, 0x9, 0xa};
    put(f, LVT_TIMER, 0x40);
    for (unsigned shift = 0; shift < 8; shift++) {
        put(f, DIVIDE, codes[shift]);
        put(f, INITIAL, 100);
        bench_run(&f->bench, (40ull * TICK_NS) << shift);
        assert_int_equal(get(f, CURRENT), 60);
        bench_run(&f->bench, (59ull * TICK_NS) << shift);
        assert_false(f->processor->intr);
        bench_run(&f->bench, (1ull * TICK_NS) << shift);
        assert_int_equal(lapic_acknowledge(f->lapic), 0x40);
        put(f, EOI, 0);
    }
    /* Changed on the way: the count goes on from where it is. */
    put(f, DIVIDE, 0xb);
    put(f, INITIAL, 100);
    bench_run(&f->bench, 50 * TICK_NS);
    put(f, DIVIDE, 0x1); /* 4 */
    assert_int_equal(get(f, CURRENT), 50);
    bench_run(&f->bench, 49 * 4 * TICK_NS);
    assert_int_equal(get(f, CURRENT), 1);
    assert_false(f->processor->intr);
    bench_run(&f->bench, 4 * TICK_NS);
    assert_true(f->processor->intr);
}

static void timer_longest(void **state)
{
    struct fixture *f = *state;
    put(f, DIVIDE, 0xa); /* 128 */
    put(f, LVT_TIMER, 0x40);
    put(f, INITIAL, 0xffffffff);
    uint64_t period = 0xffffffffull * 128 * TICK_NS;
    bench_run(&f->bench, period - 1);
    assert_int_equal(get(f, CURRENT), 1);
    assert_false(f->processor->intr);
    bench_run(&f->bench, 1);
    assert_true(f->processor->intr);
}

static void timer_stops_with_apic(void **state)
{
    struct fixture *f = *state;
    put(f, LVT_TIMER, PERIODIC | 0x40);
    put(f, INITIAL, 1000);
    put(f, SVR, 0xff);
    assert_int_equal(clock_next_deadline(f->bench.bus.clock), CLOCK_NEVER);
    put(f, SVR, 0x1ff);
    put(f, LVT_TIMER, PERIODIC | 0x40);
    assert_int_not_equal(clock_next_deadline(f->bench.bus.clock), CLOCK_NEVER);
    lapic_set_base(f->lapic, LAPIC_BASE_DEFAULT);
    assert_int_equal(clock_next_deadline(f->bench.bus.clock), CLOCK_NEVER);
}

/* In real time a period of 10 ns must not keep the host busy: the host timer is armed microseconds ahead. */
static void timer_storm(void **state)
{
    struct fixture *f = create(LAPIC_PENTIUM4);
    struct clock *counted = f->bench.bus.clock;
    struct clock *real = clock_create_real(NULL, NULL);
    device_destroy(f->lapic);
    f->bench.bus.clock = real;
    add_apic(f, 0, LAPIC_PENTIUM4);
    f->lapic = f->apics[0];
    put(f, SVR, 0x1ff);
    put(f, DIVIDE, 0xb);
    put(f, LVT_TIMER, PERIODIC | 0x40);
    uint64_t before = clock_now(real);
    put(f, INITIAL, 1);
    assert_true(clock_next_deadline(real) >= before + 10000);
    put(f, LVT_TIMER, 0x40); /* one-shot: as asked */
    put(f, INITIAL, 1);
    while (!bit_of(f, IRR, 0x40))
        ;
    device_destroy(f->lapic);
    f->apics[0] = NULL;
    clock_destroy(real);
    f->bench.bus.clock = counted;
    destroy(f);
}

/* ---- state, description, fuzz ---- */

static unsigned lines;
static void count_line(void *to, const char *line)
{
    lines++;
    assert_true(strlen(line) < 160);
}

static void state_and_description(void **state)
{
    struct fixture *f = *state;
    put(f, LVT_TIMER, PERIODIC | 0x40);
    put(f, INITIAL, 123456);
    put(f, LVT_LINT0, LEVEL | 0x61);
    lapic_set_lint(f->lapic, 0, true);
    request(f, 0x77);
    lapic_acknowledge(f->lapic);
    for (unsigned vector = 0x80; vector < 0xf0; vector++)
        request(f, (uint8_t)vector);
    put(f, ICR_LOW, SELF | 1);
    put(f, ESR, 0);
    lapic_set_base(f->lapic, 0xfec80000 | LAPIC_BASE_ENABLE);
    bench_run(&f->bench, 777);
    uint32_t current = get(f, CURRENT);
    bench_check_state(f->lapic);
    assert_int_equal(get(f, CURRENT), current);
    assert_int_equal(mmio_read(f, 0xfec80030, 4), 0x50014);
    assert_true(f->processor->intr);
    bench_run(&f->bench, 3000000);
    assert_true(bit_of(f, IRR, 0x40));
    device_of(f->lapic)->ops->describe(device_of(f->lapic), count_line, NULL);
    assert_true(lines >= 10);
    lapic_set_base(f->lapic, 0xfec80000);
    bench_check_state(f->lapic);
    assert_int_equal(mmio_read(f, 0xfec80030, 4), 0xffffffff);
}

/* INTR is always what the registers say, whatever came before. */
static void check_output(struct fixture *f)
{
    bool expected = lapic_is_pending(f->lapic);
    for (int vector = 255; vector >= 0; vector--) {
        if (!bit_of(f, IRR, (unsigned)vector))
            continue;
        assert_true(vector >= 16);
        if (mmio_read(f, 0xfee00030, 4) == 0x50014)
            assert_int_equal(expected, (unsigned)vector >> 4 > get(f, PPR) >> 4);
        break;
    }
    if (!lapic_passes_extint(f->lapic))
        assert_int_equal(f->processor->intr, lapic_is_pending(f->lapic));
}

static void fuzz(void **state)
{
    struct fixture *f = *state;
    uint64_t seed = 7;
    add_apic(f, 1, LAPIC_P6);
    for (unsigned i = 0; i < 200000; i++) {
        unsigned what = bench_random(&seed) % 64;
        uint32_t value = bench_random(&seed) << 8 ^ bench_random(&seed);
        unsigned offset = bench_random(&seed) % 0x44 * 16;
        if (what < 24)
            mmio_write(f, 0xfee00000 + offset, 4, bench_random(&seed) & 1 ? value : value & 0x307ff);
        else if (what < 32)
            mmio_read(f, 0xfee00000 + offset + (what & 3), 1u << (what >> 2) % 3);
        else if (what < 36)
            mmio_write(f, 0xfee00000 + value % 0x1000, 1u << what % 3, value);
        else if (what < 40)
            put(f, SVR, 0x1ff);
        else if (what < 44)
            lapic_acknowledge(f->lapic);
        else if (what < 48)
            put(f, EOI, 0);
        else if (what < 54)
            message(f, value & 7, (uint8_t)(value >> 8), value & 0x10000);
        else if (what < 58)
            lapic_set_lint(f->lapic, value & 1, value & 2);
        else if (what < 60)
            put(f, INITIAL, (value & 0xffff) | 0x1000);
        else if (what == 60)
            lapic_set_base(f->lapic, LAPIC_BASE_DEFAULT | (value & 3 ? LAPIC_BASE_ENABLE : 0));
        else
            bench_run(&f->bench, value % 100000);
        if (i % 16 == 0)
            check_output(f);
        if (i % 5000 == 0)
            bench_check_state(f->lapic);
    }
    put(f, INITIAL, 0);
    lapic_write(f->apics[1], INITIAL, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(values_after_reset),
        cmocka_unit_test_setup_teardown(writable_bits, setup, teardown),
        cmocka_unit_test(generations),
        cmocka_unit_test_setup_teardown(region_follows_base, setup, teardown),
        cmocka_unit_test_setup_teardown(globally_disabled, setup, teardown),
        cmocka_unit_test_setup_teardown(request_service_eoi, setup, teardown),
        cmocka_unit_test_setup_teardown(nesting, setup, teardown),
        cmocka_unit_test_setup_teardown(task_priority, setup, teardown),
        cmocka_unit_test_setup_teardown(all_vectors, setup, teardown),
        cmocka_unit_test_setup_teardown(level_and_eoi_broadcast, setup, teardown),
        cmocka_unit_test_setup_teardown(software_disabled, setup, teardown),
        cmocka_unit_test_setup_teardown(virtual_wire, setup, teardown),
        cmocka_unit_test_setup_teardown(lint_fixed_edge, setup, teardown),
        cmocka_unit_test_setup_teardown(lint_fixed_level, setup, teardown),
        cmocka_unit_test_setup_teardown(lint_other_modes, setup, teardown),
        cmocka_unit_test_setup_teardown(ipi_to_oneself, setup, teardown),
        cmocka_unit_test_setup_teardown(ipi_that_are_none, setup, teardown),
        cmocka_unit_test_setup_teardown(init_and_startup, setup, teardown),
        cmocka_unit_test_setup_teardown(destinations, setup, teardown),
        cmocka_unit_test(p6_destinations),
        cmocka_unit_test_setup_teardown(arbitration_priority, setup, teardown),
        cmocka_unit_test_setup_teardown(error_status, setup, teardown),
        cmocka_unit_test_setup_teardown(timer_one_shot, setup, teardown),
        cmocka_unit_test_setup_teardown(timer_periodic, setup, teardown),
        cmocka_unit_test_setup_teardown(timer_masked, setup, teardown),
        cmocka_unit_test_setup_teardown(timer_divide, setup, teardown),
        cmocka_unit_test_setup_teardown(timer_longest, setup, teardown),
        cmocka_unit_test_setup_teardown(timer_stops_with_apic, setup, teardown),
        cmocka_unit_test(timer_storm),
        cmocka_unit_test_setup_teardown(state_and_description, setup, teardown),
        cmocka_unit_test_setup_teardown(fuzz, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

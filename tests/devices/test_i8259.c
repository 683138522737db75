#include "bench.h"

#include "devices/i8259.h"

enum { INTR = 0 };

struct fixture {
    struct bench bench;
    struct pic_pair *pic;
};

static void init_chip(struct bench *bench, uint16_t port, uint8_t base, uint8_t icw3, uint8_t icw4)
{
    outb(bench, port, 0x11);
    outb(bench, port + 1, base);
    outb(bench, port + 1, icw3);
    outb(bench, port + 1, icw4);
}

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));
    bench_create(&f->bench);
    f->pic = pic_create(&f->bench.bus, bench_line(&f->bench, INTR));
    assert_non_null(f->pic);
    init_chip(&f->bench, 0x20, 0x30, 0x04, 0x01);
    init_chip(&f->bench, 0xa0, 0x70, 0x02, 0x01);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    device_destroy(f->pic);
    bench_destroy(&f->bench);
    free(f);
    return 0;
}

static void raise(struct fixture *f, unsigned irq)
{
    pic_set_irq(f->pic, irq, true);
}

static void lower(struct fixture *f, unsigned irq)
{
    pic_set_irq(f->pic, irq, false);
}

static uint8_t read_isr(struct fixture *f, uint16_t port)
{
    outb(&f->bench, port, 0x0b);
    return inb(&f->bench, port);
}

static uint8_t read_irr(struct fixture *f, uint16_t port)
{
    outb(&f->bench, port, 0x0a);
    return inb(&f->bench, port);
}

static void edge_request_and_nonspecific_eoi(void **state)
{
    struct fixture *f = *state;
    raise(f, 1);
    assert_true(f->bench.level[INTR]);
    assert_true(pic_is_pending(f->pic));
    assert_int_equal(read_irr(f, 0x20), 0x02);
    assert_int_equal(pic_acknowledge(f->pic), 0x31);
    assert_false(f->bench.level[INTR]);
    assert_int_equal(read_irr(f, 0x20), 0x00);
    assert_int_equal(read_isr(f, 0x20), 0x02);
    outb(&f->bench, 0x20, 0x20);
    assert_int_equal(read_isr(f, 0x20), 0x00);
    /* The line is still high: no new edge, no new request. */
    assert_false(f->bench.level[INTR]);
    lower(f, 1);
    raise(f, 1);
    assert_true(f->bench.level[INTR]);
    assert_int_equal(pic_irq_count(f->pic, 1), 1);
}

static void edge_request_goes_with_its_line(void **state)
{
    struct fixture *f = *state;
    raise(f, 3);
    lower(f, 3);
    assert_false(f->bench.level[INTR]);
    /* The processor was too late: default IR7, nothing in service. */
    assert_int_equal(pic_acknowledge(f->pic), 0x37);
    assert_int_equal(read_isr(f, 0x20), 0x00);
}

static void timer_tick_outlives_its_line(void **state)
{
    struct fixture *f = *state;
    raise(f, 0);
    lower(f, 0);
    assert_int_equal(pic_acknowledge(f->pic), 0x30);
}

static void masked_request_waits(void **state)
{
    struct fixture *f = *state;
    outb(&f->bench, 0x21, 0x10);
    raise(f, 4);
    assert_false(f->bench.level[INTR]);
    assert_int_equal(read_irr(f, 0x20), 0x10);
    assert_int_equal(inb(&f->bench, 0x21), 0x10);
    outb(&f->bench, 0x21, 0x00);
    assert_true(f->bench.level[INTR]);
}

static void higher_priority_interrupts_lower(void **state)
{
    struct fixture *f = *state;
    raise(f, 5);
    assert_int_equal(pic_acknowledge(f->pic), 0x35);
    raise(f, 6);
    assert_false(f->bench.level[INTR]);
    raise(f, 1);
    assert_true(f->bench.level[INTR]);
    assert_int_equal(pic_acknowledge(f->pic), 0x31);
    assert_int_equal(read_isr(f, 0x20), 0x22);
    outb(&f->bench, 0x20, 0x20);
    assert_int_equal(read_isr(f, 0x20), 0x20);
    outb(&f->bench, 0x20, 0x65); /* specific EOI 5 */
    assert_int_equal(pic_acknowledge(f->pic), 0x36);
}

static void slave_through_cascade(void **state)
{
    struct fixture *f = *state;
    raise(f, 12);
    assert_true(f->bench.level[INTR]);
    assert_int_equal(pic_acknowledge(f->pic), 0x74);
    assert_int_equal(read_isr(f, 0x20), 0x04);
    assert_int_equal(read_isr(f, 0xa0), 0x10);
    /* A higher one of the slave is held back by the master's IR2 without SFNM. */
    raise(f, 8);
    assert_false(f->bench.level[INTR]);
    outb(&f->bench, 0xa0, 0x20);
    outb(&f->bench, 0x20, 0x20);
    assert_true(f->bench.level[INTR]);
    assert_int_equal(pic_acknowledge(f->pic), 0x70);
    assert_int_equal(pic_irq_count(f->pic, 8), 1);
    assert_int_equal(pic_irq_count(f->pic, 12), 1);
}

static void two_slave_requests_need_two_cascade_edges(void **state)
{
    struct fixture *f = *state;
    raise(f, 9);
    raise(f, 14);
    assert_int_equal(pic_acknowledge(f->pic), 0x71);
    outb(&f->bench, 0xa0, 0x20);
    outb(&f->bench, 0x20, 0x20);
    assert_int_equal(pic_acknowledge(f->pic), 0x76);
}

static void level_request_goes_with_its_line(void **state)
{
    struct fixture *f = *state;
    outb(&f->bench, 0x4d1, 0x04);
    raise(f, 10);
    assert_true(f->bench.level[INTR]);
    lower(f, 10);
    assert_false(f->bench.level[INTR]);
    assert_int_equal(pic_acknowledge(f->pic), 0x37);
    assert_int_equal(read_isr(f, 0x20), 0x00);
    assert_int_equal(read_isr(f, 0xa0), 0x00);
}

static void special_fully_nested_mode(void **state)
{
    struct fixture *f = *state;
    init_chip(&f->bench, 0x20, 0x30, 0x04, 0x11);
    init_chip(&f->bench, 0xa0, 0x70, 0x02, 0x01);
    raise(f, 12);
    assert_int_equal(pic_acknowledge(f->pic), 0x74);
    raise(f, 3);
    assert_false(f->bench.level[INTR]); /* lower than IR2: still blocked */
    raise(f, 8);
    assert_true(f->bench.level[INTR]);
    assert_int_equal(pic_acknowledge(f->pic), 0x70);
    raise(f, 14);
    assert_false(f->bench.level[INTR]); /* the slave itself holds it back */
}

static void auto_eoi_with_rotation(void **state)
{
    struct fixture *f = *state;
    init_chip(&f->bench, 0x20, 0x30, 0x04, 0x03);
    raise(f, 1);
    raise(f, 3);
    assert_int_equal(pic_acknowledge(f->pic), 0x31);
    assert_int_equal(read_isr(f, 0x20), 0x00);
    assert_int_equal(pic_acknowledge(f->pic), 0x33);
    lower(f, 1);
    lower(f, 3);
    outb(&f->bench, 0x20, 0x80); /* rotate in automatic EOI mode */
    raise(f, 1);
    assert_int_equal(pic_acknowledge(f->pic), 0x31); /* now 1 is lowest */
    lower(f, 1);
    raise(f, 1);
    raise(f, 5);
    assert_int_equal(pic_acknowledge(f->pic), 0x35);
    outb(&f->bench, 0x20, 0x00);
    assert_int_equal(pic_acknowledge(f->pic), 0x31);
}

static void rotation_on_eoi_and_set_priority(void **state)
{
    struct fixture *f = *state;
    raise(f, 4);
    assert_int_equal(pic_acknowledge(f->pic), 0x34);
    outb(&f->bench, 0x20, 0xa0); /* rotate on non-specific EOI: 4 is lowest */
    lower(f, 4);
    raise(f, 4);
    raise(f, 5);
    assert_int_equal(pic_acknowledge(f->pic), 0x35);
    outb(&f->bench, 0x20, 0xe5); /* rotate on specific EOI */
    assert_int_equal(read_isr(f, 0x20), 0x00);
    raise(f, 6);
    raise(f, 7);
    assert_int_equal(pic_acknowledge(f->pic), 0x36);
    outb(&f->bench, 0x20, 0x20);
    outb(&f->bench, 0x20, 0xc3); /* set priority: 3 lowest, 4 highest */
    assert_int_equal(pic_acknowledge(f->pic), 0x34);
}

static void special_mask_mode(void **state)
{
    struct fixture *f = *state;
    raise(f, 1);
    assert_int_equal(pic_acknowledge(f->pic), 0x31);
    raise(f, 4);
    assert_false(f->bench.level[INTR]);
    outb(&f->bench, 0x21, 0x02);
    outb(&f->bench, 0x20, 0x68); /* set special mask mode */
    assert_true(f->bench.level[INTR]);
    assert_int_equal(pic_acknowledge(f->pic), 0x34);
    /* A non-specific EOI passes over masked level 1. */
    outb(&f->bench, 0x20, 0x20);
    assert_int_equal(read_isr(f, 0x20), 0x02);
    outb(&f->bench, 0x20, 0x48); /* reset it */
    raise(f, 5);
    assert_false(f->bench.level[INTR]);
}

static void poll_mode(void **state)
{
    struct fixture *f = *state;
    outb(&f->bench, 0x20, 0x0c);
    assert_int_equal(inb(&f->bench, 0x20), 0x00);
    raise(f, 6);
    outb(&f->bench, 0x20, 0x0c);
    assert_int_equal(inb(&f->bench, 0x20), 0x86);
    assert_int_equal(read_isr(f, 0x20), 0x40);
    assert_false(f->bench.level[INTR]);
    /* On the slave, too; reading ends poll mode. */
    raise(f, 11);
    outb(&f->bench, 0xa0, 0x0c);
    assert_int_equal(inb(&f->bench, 0xa1), 0x83);
    assert_int_equal(inb(&f->bench, 0xa1), 0x00);
}

static void level_triggered(void **state)
{
    struct fixture *f = *state;
    outb(&f->bench, 0x4d0, 0xff);
    outb(&f->bench, 0x4d1, 0xff);
    assert_int_equal(inb(&f->bench, 0x4d0), 0xf8);
    assert_int_equal(inb(&f->bench, 0x4d1), 0xde);
    raise(f, 11);
    assert_int_equal(pic_acknowledge(f->pic), 0x73);
    outb(&f->bench, 0xa0, 0x20);
    outb(&f->bench, 0x20, 0x20);
    assert_true(f->bench.level[INTR]); /* still high: again */
    lower(f, 11);
    assert_false(f->bench.level[INTR]);
    pic_set_elcr(f->pic, 0x0c00);
    assert_int_equal(inb(&f->bench, 0x4d0), 0x00);
    assert_int_equal(inb(&f->bench, 0x4d1), 0x0c);
}

static void initialisation_clears_edges(void **state)
{
    struct fixture *f = *state;
    raise(f, 5);
    raise(f, 6);
    pic_acknowledge(f->pic);
    outb(&f->bench, 0x21, 0xff);
    init_chip(&f->bench, 0x20, 0x08, 0x04, 0x01);
    assert_int_equal(inb(&f->bench, 0x21), 0x00);
    assert_int_equal(read_isr(f, 0x20), 0x00);
    assert_false(f->bench.level[INTR]);
    lower(f, 6);
    raise(f, 6);
    assert_int_equal(pic_acknowledge(f->pic), 0x0e);
}

static void initialisation_without_icw3_and_icw4(void **state)
{
    struct fixture *f = *state;
    outb(&f->bench, 0x20, 0x12); /* single, no ICW4 */
    outb(&f->bench, 0x21, 0x47);
    outb(&f->bench, 0x21, 0xfe); /* OCW1 already */
    assert_int_equal(inb(&f->bench, 0x21), 0xfe);
    outb(&f->bench, 0x21, 0x00);
    raise(f, 7);
    assert_int_equal(pic_acknowledge(f->pic), 0x47);
}

static void count_line(void *to, const char *line)
{
    unsigned *count = to;
    assert_non_null(strstr(line, "irr="));
    ++*count;
}

static void state_and_description(void **state)
{
    struct fixture *f = *state;
    unsigned lines = 0;
    raise(f, 14);
    raise(f, 3);
    pic_acknowledge(f->pic);
    bench_check_state(f->pic);
    assert_int_equal(read_isr(f, 0x20), 0x04);
    device_of(f->pic)->ops->describe(device_of(f->pic), count_line, &lines);
    assert_int_equal(lines, 2);
}

static void fuzz(void **state)
{
    struct fixture *f = *state;
    uint64_t seed = 1;
    for (unsigned i = 0; i < 2000; i++) {
        bench_fuzz(&f->bench, 0x20, 2, 4, i);
        bench_fuzz(&f->bench, 0xa0, 2, 4, i + 7);
        bench_fuzz(&f->bench, 0x4d0, 2, 1, i + 9);
        pic_set_irq(f->pic, bench_random(&seed) % 20, bench_random(&seed) & 1);
        assert_in_range(pic_acknowledge(f->pic), 0, 255);
        assert_int_equal(pic_is_pending(f->pic), f->bench.level[INTR]);
    }
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(edge_request_and_nonspecific_eoi),
        TEST(edge_request_goes_with_its_line),
        TEST(timer_tick_outlives_its_line),
        TEST(masked_request_waits),
        TEST(higher_priority_interrupts_lower),
        TEST(slave_through_cascade),
        TEST(two_slave_requests_need_two_cascade_edges),
        TEST(level_request_goes_with_its_line),
        TEST(special_fully_nested_mode),
        TEST(auto_eoi_with_rotation),
        TEST(rotation_on_eoi_and_set_priority),
        TEST(special_mask_mode),
        TEST(poll_mode),
        TEST(level_triggered),
        TEST(initialisation_clears_edges),
        TEST(initialisation_without_icw3_and_icw4),
        TEST(state_and_description),
        TEST(fuzz),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* Debug console, debug exit, pc-testdev, POST port, FERR#, wired-OR. */
#include "bench.h"

#include "devices/debug_exit.h"
#include "devices/debugcon.h"
#include "devices/ferr.h"
#include "devices/irq_or.h"
#include "devices/pc_testdev.h"
#include "devices/post_port.h"

enum { IRQ13 = 13, IGNNE = 14, OR_OUTPUT = 30 };

struct fixture {
    struct bench bench;
    struct char_port port;
    char sent[64];
    size_t sent_length, limit;
    uint32_t exit_code;
    unsigned exits;
    uint8_t post;
    uint64_t flushed;
};

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));
    bench_create(&f->bench);
    f->limit = sizeof(f->sent);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    bench_destroy(&f->bench);
    free(f);
    return 0;
}

static size_t host_write(struct char_port *port, const uint8_t *data, size_t length)
{
    struct fixture *f = port->backend;
    size_t taken = 0;
    while (taken < length && f->sent_length < f->limit)
        f->sent[f->sent_length++] = (char)data[taken++];
    return taken;
}

static void debug_console(void **state)
{
    struct fixture *f = *state;
    f->port.write = host_write;
    f->port.backend = f;
    struct debugcon *debugcon = debugcon_create(&f->bench.bus, "debugcon", 0x402, 0xe9, &f->port);
    assert_int_equal(inb(&f->bench, 0x402), 0xe9);
    outb(&f->bench, 0x402, 'a');
    f->limit = 1;
    outb(&f->bench, 0x402, 'b');
    outb(&f->bench, 0x402, 'c');
    assert_int_equal(f->sent_length, 1);
    f->limit = 2;
    f->port.writable(f->port.device);
    f->limit = sizeof(f->sent);
    f->port.writable(f->port.device);
    assert_memory_equal(f->sent, "abc", 3);
    f->port.receive(f->port.device, (const uint8_t *)"ignored", 7);
    device_destroy(debugcon);
    assert_null(f->port.writable);
    debugcon = debugcon_create(&f->bench.bus, "debugcon", 0xe9, 0x12, NULL);
    outb(&f->bench, 0xe9, 'x');
    assert_int_equal(inb(&f->bench, 0xe9), 0x12);
    device_destroy(debugcon);
}

static void debug_console_backlog_is_bounded(void **state)
{
    struct fixture *f = *state;
    f->port.write = host_write;
    f->port.backend = f;
    f->limit = 0;
    struct debugcon *debugcon = debugcon_create(&f->bench.bus, "debugcon", 0x402, 0xe9, &f->port);
    for (unsigned i = 0; i < 70000; i++)
        outb(&f->bench, 0x402, (uint8_t)i);
    device_destroy(debugcon);
}

static void take_exit(void *opaque, uint32_t code)
{
    struct fixture *f = opaque;
    f->exit_code = code;
    f->exits++;
}

static void debug_exit_codes(void **state)
{
    struct fixture *f = *state;
    struct debug_exit *debug_exit = debug_exit_create(&f->bench.bus, 0xf4, 4, take_exit, f);
    assert_int_equal(inb(&f->bench, 0xf4), 0);
    outb(&f->bench, 0xf4, 0);
    assert_int_equal(f->exit_code, 1);
    outl(&f->bench, 0xf4, 0x21);
    assert_int_equal(f->exit_code, 0x43);
    outw(&f->bench, 0xf6, 3);
    assert_int_equal(f->exit_code, 7);
    assert_int_equal(f->exits, 3);
    device_destroy(debug_exit);
}

static void page_changed(void *opaque, uint64_t page)
{
    struct fixture *f = opaque;
    f->flushed = page;
}

static void pc_testdev(void **state)
{
    struct fixture *f = *state;
    struct memory *memory = f->bench.bus.memory;
    struct pc_testdev *testdev = pc_testdev_create(&f->bench.bus, bench_line(&f->bench, 0));
    outl(&f->bench, 0xe0, 0x12345678);
    assert_int_equal(inl(&f->bench, 0xe0), 0x12345678);
    assert_int_equal(inw(&f->bench, 0xe0), 0x5678);
    assert_int_equal(inb(&f->bench, 0xe3), 0x12);
    outb(&f->bench, 0xe1, 0xaa);
    assert_int_equal(inl(&f->bench, 0xe0), 0x1234aa78);
    assert_int_equal(inl(&f->bench, 0xe8), 0x1234aa78);
    outb(&f->bench, 0x2005, 1);
    assert_true(f->bench.level[5]);
    outb(&f->bench, 0x2005, 0);
    assert_false(f->bench.level[5]);
    outb(&f->bench, 0x2017, 0x80);
    assert_true(f->bench.level[23]);
    memory_write(memory, 0xff000010, 4, 0xdeadbeef);
    assert_int_equal(memory_read(memory, 0xff000010, 4), 0xdeadbeef);
    assert_int_equal(memory_read(memory, 0xff000012, 2), 0xdead);
    memory_write(memory, 0xff00fff8, 8, 0x1122334455667788);
    assert_int_equal(memory_read(memory, 0xff00fff8, 8), 0x1122334455667788);
    assert_int_equal(memory_read(memory, 0xff00fffd, 1), 0x33);
    memory_add_map_listener(memory, page_changed, f);
    outl(&f->bench, 0xe4, 0x5000);
    assert_int_equal(f->flushed, 5);
    memory->map_listener_count = 0;
    bench_check_state(testdev);
    assert_int_equal(inl(&f->bench, 0xe0), 0x1234aa78);
    bench_fuzz(&f->bench, 0xe0, 12, 1000, 1);
    device_destroy(testdev);
    assert_int_equal(memory_read(memory, 0xff000010, 4), 0xffffffff);
}

static void take_post(void *opaque, uint8_t code)
{
    struct fixture *f = opaque;
    f->post = code;
}

static void post_codes(void **state)
{
    struct fixture *f = *state;
    struct post_port *post = post_port_create(&f->bench.bus);
    post_port_set_listener(post, take_post, f);
    outb(&f->bench, 0x80, 0x42);
    assert_int_equal(f->post, 0x42);
    assert_int_equal(post_port_code(post), 0x42);
    assert_int_equal(inb(&f->bench, 0x80), 0x42);
    outb(&f->bench, 0xed, 0x01);
    assert_int_equal(inb(&f->bench, 0xed), 0xff);
    bench_check_state(post);
    device_reset(post);
    assert_int_equal(post_port_code(post), 0);
    device_destroy(post);
}

static void coprocessor_error(void **state)
{
    struct fixture *f = *state;
    struct ferr *ferr = ferr_create(&f->bench.bus, bench_line(&f->bench, IRQ13));
    ferr_set_ignne_line(ferr, bench_line(&f->bench, IGNNE));
    ferr_set(ferr, true);
    assert_true(f->bench.level[IRQ13]);
    assert_false(ferr_ignne(ferr));
    outb(&f->bench, 0xf0, 0);
    assert_false(f->bench.level[IRQ13]);
    assert_true(ferr_ignne(ferr));
    assert_true(f->bench.level[IGNNE]);
    bench_check_state(ferr);
    ferr_set(ferr, false); /* FNCLEX */
    assert_false(ferr_ignne(ferr));
    assert_false(f->bench.level[IGNNE]);
    /* The interrupt is latched: it outlives the error. */
    ferr_set(ferr, true);
    ferr_set(ferr, false);
    assert_true(f->bench.level[IRQ13]);
    outb(&f->bench, 0xf0, 0);
    assert_false(f->bench.level[IRQ13]);
    assert_false(ferr_ignne(ferr));
    ferr_set(ferr, true);
    outb(&f->bench, 0xf1, 0);
    assert_false(f->bench.level[IRQ13]);
    assert_false(ferr_ignne(ferr));
    assert_int_equal(inb(&f->bench, 0xf0), 0xff);
    device_reset(ferr);
    device_destroy(ferr);
}

static void wired_or(void **state)
{
    struct fixture *f = *state;
    struct irq_or gate = {.output = bench_line(&f->bench, OR_OUTPUT)};
    struct irq_line a = irq_or_input(&gate, 0), b = irq_or_input(&gate, 31);
    irq_raise(&a);
    irq_raise(&b);
    irq_lower(&a);
    assert_true(f->bench.level[OR_OUTPUT]);
    irq_lower(&b);
    assert_false(f->bench.level[OR_OUTPUT]);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(debug_console),    TEST(debug_console_backlog_is_bounded),
        TEST(debug_exit_codes), TEST(pc_testdev),
        TEST(post_codes),       TEST(coprocessor_error),
        TEST(wired_or),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

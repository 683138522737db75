#include "bench.h"

#include "devices/uart16550.h"

enum { IRQ4 = 4, BASE = 0x3f8 };
enum { DATA = BASE, IER = BASE + 1, IIR = BASE + 2, FCR = BASE + 2, LCR = BASE + 3, MCR = BASE + 4 };
enum { LSR = BASE + 5, MSR = BASE + 6, SCR = BASE + 7 };

struct fixture {
    struct bench bench;
    struct char_port port;
    struct uart *uart;
    uint8_t sent[4096];
    size_t sent_length;
    size_t limit; /* bytes the host takes in all; then it is full */
    unsigned accepts;
};

static size_t host_write(struct char_port *port, const uint8_t *data, size_t length)
{
    struct fixture *f = port->backend;
    size_t taken = 0;
    while (taken < length && f->sent_length < f->limit && f->sent_length < sizeof(f->sent))
        f->sent[f->sent_length++] = data[taken++];
    return taken;
}

static void host_accept(struct char_port *port)
{
    struct fixture *f = port->backend;
    f->accepts++;
}

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));
    bench_create(&f->bench);
    f->limit = SIZE_MAX;
    f->port.write = host_write;
    f->port.accept_input = host_accept;
    f->port.backend = f;
    f->uart = uart_create(&f->bench.bus, "com1", BASE, bench_line(&f->bench, IRQ4), &f->port);
    assert_non_null(f->uart);
    outb(&f->bench, MCR, 0x08);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    device_destroy(f->uart);
    assert_null(f->port.device);
    bench_destroy(&f->bench);
    free(f);
    return 0;
}

static void receive(struct fixture *f, const char *text)
{
    size_t length = strlen(text);
    assert_true(f->port.can_receive(f->port.device) >= length);
    f->port.receive(f->port.device, (const uint8_t *)text, length);
}

static void registers_after_reset(void **state)
{
    struct fixture *f = *state;
    device_reset(f->uart);
    assert_int_equal(inb(&f->bench, IER), 0);
    assert_int_equal(inb(&f->bench, IIR), 0x01);
    assert_int_equal(inb(&f->bench, LCR), 0);
    assert_int_equal(inb(&f->bench, MCR), 0);
    assert_int_equal(inb(&f->bench, LSR), 0x60);
    assert_int_equal(inb(&f->bench, MSR), 0xb0);
    outb(&f->bench, SCR, 0xa5);
    assert_int_equal(inb(&f->bench, SCR), 0xa5);
    outb(&f->bench, IER, 0xff);
    assert_int_equal(inb(&f->bench, IER), 0x0f);
    outb(&f->bench, MCR, 0xff);
    assert_int_equal(inb(&f->bench, MCR), 0x1f);
    outb(&f->bench, LCR, 0x80);
    outb(&f->bench, DATA, 0x34);
    outb(&f->bench, IER, 0x12);
    assert_int_equal(inb(&f->bench, DATA), 0x34);
    assert_int_equal(inb(&f->bench, IER), 0x12);
    outb(&f->bench, LCR, 0x03);
    assert_int_equal(inb(&f->bench, IER), 0x0f);
}

static void transmit_interrupt(void **state)
{
    struct fixture *f = *state;
    outb(&f->bench, IER, 0x02); /* THR is empty: at once */
    assert_true(f->bench.level[IRQ4]);
    assert_int_equal(inb(&f->bench, IIR), 0x02);
    assert_false(f->bench.level[IRQ4]); /* reading IIR cleared it */
    assert_int_equal(inb(&f->bench, IIR), 0x01);
    outb(&f->bench, DATA, 'A');
    assert_true(f->bench.level[IRQ4]);
    assert_int_equal(f->bench.rises[IRQ4], 2);
    outb(&f->bench, DATA, 'B'); /* a new edge each time */
    assert_int_equal(f->bench.rises[IRQ4], 3);
    outb(&f->bench, IER, 0x00);
    assert_false(f->bench.level[IRQ4]);
    assert_memory_equal(f->sent, "AB", 2);
    /* Enabling again with the register empty raises it again; writing the same value does not. */
    outb(&f->bench, IER, 0x02);
    inb(&f->bench, IIR);
    outb(&f->bench, IER, 0x02);
    assert_false(f->bench.level[IRQ4]);
}

static void out2_gates_the_interrupt(void **state)
{
    struct fixture *f = *state;
    outb(&f->bench, MCR, 0x00);
    outb(&f->bench, IER, 0x02);
    assert_false(f->bench.level[IRQ4]);
    outb(&f->bench, MCR, 0x08);
    assert_true(f->bench.level[IRQ4]);
}

static void stuck_host_loses_nothing(void **state)
{
    struct fixture *f = *state;
    outb(&f->bench, FCR, 0x01);
    outb(&f->bench, IER, 0x02);
    inb(&f->bench, IIR);
    f->limit = 3;
    for (unsigned i = 0; i < 16; i++)
        outb(&f->bench, DATA, (uint8_t)('a' + i));
    assert_int_equal(inb(&f->bench, LSR) & 0x60, 0);
    f->limit = 10;
    f->port.writable(f->port.device);
    assert_int_equal(inb(&f->bench, LSR) & 0x60, 0);
    assert_int_equal(inb(&f->bench, IIR), 0xc1);
    f->limit = SIZE_MAX;
    f->port.writable(f->port.device);
    assert_int_equal(inb(&f->bench, LSR) & 0x60, 0x60);
    assert_int_equal(inb(&f->bench, IIR), 0xc2);
    assert_int_equal(f->sent_length, 16);
    assert_memory_equal(f->sent, "abcdefghijklmnop", 16);
}

static void receive_without_fifo(void **state)
{
    struct fixture *f = *state;
    outb(&f->bench, IER, 0x01);
    assert_int_equal(f->port.can_receive(f->port.device), 1);
    receive(f, "x");
    assert_true(f->bench.level[IRQ4]);
    assert_int_equal(inb(&f->bench, IIR), 0x04);
    assert_int_equal(f->port.can_receive(f->port.device), 0);
    assert_int_equal(inb(&f->bench, LSR), 0x61);
    assert_int_equal(inb(&f->bench, DATA), 'x');
    assert_int_equal(f->accepts, 1); /* the host is told that there is room */
    assert_false(f->bench.level[IRQ4]);
    assert_int_equal(inb(&f->bench, LSR), 0x60);
    /* Overrun: the newer character wins. */
    f->port.receive(f->port.device, (const uint8_t *)"12", 2);
    assert_int_equal(inb(&f->bench, LSR), 0x63);
    assert_int_equal(inb(&f->bench, LSR), 0x61);
    assert_int_equal(inb(&f->bench, DATA), '2');
}

static void receive_trigger_and_timeout(void **state)
{
    struct fixture *f = *state;
    outb(&f->bench, LCR, 0x83);
    outb(&f->bench, DATA, 1); /* 115200 baud */
    outb(&f->bench, IER, 0);
    outb(&f->bench, LCR, 0x03);
    outb(&f->bench, FCR, 0x81); /* trigger at 8 */
    outb(&f->bench, IER, 0x01);
    receive(f, "1234567");
    assert_false(f->bench.level[IRQ4]);
    receive(f, "8");
    assert_int_equal(inb(&f->bench, IIR), 0xc4);
    assert_int_equal(inb(&f->bench, DATA), '1');
    assert_int_equal(inb(&f->bench, IIR), 0xc1);
    /* Four characters of ten bits at 115200 baud: 347 us. */
    bench_run(&f->bench, 340000);
    assert_int_equal(inb(&f->bench, IIR), 0xc1);
    bench_run(&f->bench, 8000);
    assert_true(f->bench.level[IRQ4]);
    assert_int_equal(inb(&f->bench, IIR), 0xcc);
    assert_int_equal(inb(&f->bench, DATA), '2');
    assert_int_equal(inb(&f->bench, IIR), 0xc1);
    bench_run(&f->bench, 348000);
    assert_int_equal(inb(&f->bench, IIR), 0xcc);
    for (char c = '3'; c <= '8'; c++)
        assert_int_equal(inb(&f->bench, DATA), c);
    bench_run(&f->bench, 10000000);
    assert_int_equal(inb(&f->bench, IIR), 0xc1);
    /* Changing the FIFO mode empties it. */
    receive(f, "zz");
    outb(&f->bench, FCR, 0x00);
    assert_int_equal(inb(&f->bench, LSR), 0x60);
    assert_int_equal(inb(&f->bench, IIR), 0x01);
}

static void fifo_room_and_clear(void **state)
{
    struct fixture *f = *state;
    outb(&f->bench, FCR, 0x01);
    assert_int_equal(f->port.can_receive(f->port.device), 16);
    receive(f, "0123456789abcdef");
    assert_int_equal(f->port.can_receive(f->port.device), 0);
    f->port.receive(f->port.device, (const uint8_t *)"!", 1); /* overrun: lost, FIFO kept */
    assert_int_equal(inb(&f->bench, LSR), 0x63);
    assert_int_equal(inb(&f->bench, DATA), '0');
    outb(&f->bench, FCR, 0x03);
    assert_int_equal(inb(&f->bench, LSR), 0x60);
    assert_int_equal(f->port.can_receive(f->port.device), 16);
}

static void interrupt_priorities(void **state)
{
    struct fixture *f = *state;
    outb(&f->bench, IER, 0x0f);
    outb(&f->bench, MCR, 0x18); /* loopback changes the modem lines */
    inb(&f->bench, MSR);
    outb(&f->bench, MCR, 0x08);
    f->port.receive(f->port.device, (const uint8_t *)"12", 2); /* data and overrun */
    assert_int_equal(inb(&f->bench, IIR), 0x06);
    inb(&f->bench, LSR);
    assert_int_equal(inb(&f->bench, IIR), 0x04);
    inb(&f->bench, DATA);
    assert_int_equal(inb(&f->bench, IIR), 0x02);
    assert_int_equal(inb(&f->bench, IIR), 0x00);
    assert_true(f->bench.level[IRQ4]);
    inb(&f->bench, MSR);
    assert_int_equal(inb(&f->bench, IIR), 0x01);
    assert_false(f->bench.level[IRQ4]);
}

static void break_condition(void **state)
{
    struct fixture *f = *state;
    outb(&f->bench, FCR, 0x01);
    outb(&f->bench, IER, 0x04);
    receive(f, "a");
    f->port.receive_break(f->port.device);
    /* The error belongs to the second character. */
    assert_false(f->bench.level[IRQ4]);
    assert_int_equal(inb(&f->bench, LSR), 0xe1);
    assert_int_equal(inb(&f->bench, DATA), 'a');
    assert_true(f->bench.level[IRQ4]);
    assert_int_equal(inb(&f->bench, LSR), 0xf9);
    assert_false(f->bench.level[IRQ4]);
    assert_int_equal(inb(&f->bench, LSR), 0x61);
    assert_int_equal(inb(&f->bench, DATA), 0);
}

static void loopback(void **state)
{
    struct fixture *f = *state;
    outb(&f->bench, FCR, 0x01);
    outb(&f->bench, MCR, 0x10);
    inb(&f->bench, MSR);
    assert_int_equal(f->port.can_receive(f->port.device), 0);
    outb(&f->bench, DATA, 0x55);
    assert_int_equal(f->sent_length, 0);
    assert_int_equal(inb(&f->bench, DATA), 0x55);
    /* RTS -> CTS, DTR -> DSR, OUT1 -> RI, OUT2 -> DCD. */
    outb(&f->bench, MCR, 0x1a);
    assert_int_equal(inb(&f->bench, MSR), 0x99);
    outb(&f->bench, MCR, 0x15);
    assert_int_equal(inb(&f->bench, MSR), 0x6b);
    outb(&f->bench, MCR, 0x10);
    assert_int_equal(inb(&f->bench, MSR), 0x06); /* TERI on the trailing edge */
    f->accepts = 0;
    outb(&f->bench, MCR, 0x08);
    assert_int_equal(f->accepts, 1);
    assert_int_equal(inb(&f->bench, MSR) & 0xf0, 0xb0);
}

static void nothing_plugged_in(void **state)
{
    struct fixture *f = *state;
    struct uart *other = uart_create(&f->bench.bus, "com2", 0x2f8, bench_line(&f->bench, 3), NULL);
    assert_int_equal(inb(&f->bench, 0x2f8 + 6), 0);
    outb(&f->bench, 0x2f8, 'x');
    assert_int_equal(inb(&f->bench, 0x2f8 + 5), 0x60);
    device_destroy(other);
}

static void state_round_trip(void **state)
{
    struct fixture *f = *state;
    outb(&f->bench, FCR, 0xc1);
    outb(&f->bench, IER, 0x01);
    receive(f, "hello");
    bench_check_state(f->uart);
    assert_int_equal(inb(&f->bench, DATA), 'h');
    bench_run(&f->bench, 10000000);
    assert_int_equal(inb(&f->bench, IIR), 0xcc);
}

static void fuzz(void **state)
{
    struct fixture *f = *state;
    uint64_t seed = 5;
    for (unsigned i = 0; i < 2000; i++) {
        bench_fuzz(&f->bench, BASE, 8, 20, i);
        f->limit = bench_random(&seed) % 4096;
        f->sent_length = bench_random(&seed) % 4096;
        f->port.writable(f->port.device);
        f->port.receive_break(f->port.device);
        size_t room = f->port.can_receive(f->port.device);
        uint8_t data[20] = {0};
        f->port.receive(f->port.device, data, bench_random(&seed) & 1 ? room : sizeof(data));
    }
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(registers_after_reset),
        TEST(transmit_interrupt),
        TEST(out2_gates_the_interrupt),
        TEST(stuck_host_loses_nothing),
        TEST(receive_without_fifo),
        TEST(receive_trigger_and_timeout),
        TEST(fifo_room_and_clear),
        TEST(interrupt_priorities),
        TEST(break_condition),
        TEST(loopback),
        TEST(nothing_plugged_in),
        TEST(state_round_trip),
        TEST(fuzz),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

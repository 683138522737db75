#include "bench.h"

#include "devices/i8237.h"

struct fixture {
    struct bench bench;
    struct dma_pair *dma;
    unsigned ready;
};

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));
    bench_create(&f->bench);
    f->dma = dma_create(&f->bench.bus);
    assert_non_null(f->dma);
    outb(&f->bench, 0xd6, 0xc0); /* channel 4 cascades */
    outb(&f->bench, 0xd4, 0x00);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    device_destroy(f->dma);
    bench_destroy(&f->bench);
    free(f);
    return 0;
}

/* Channel 2 as a floppy driver does it. COUNT is the number of bytes. */
static void program(struct fixture *f, uint8_t mode, uint32_t address, uint16_t count)
{
    outb(&f->bench, 0x0a, 0x06);
    outb(&f->bench, 0x0c, 0x00);
    outb(&f->bench, 0x0b, mode);
    outb(&f->bench, 0x04, (uint8_t)address);
    outb(&f->bench, 0x04, (uint8_t)(address >> 8));
    outb(&f->bench, 0x81, (uint8_t)(address >> 16));
    outb(&f->bench, 0x05, (uint8_t)(count - 1));
    outb(&f->bench, 0x05, (uint8_t)((count - 1) >> 8));
    outb(&f->bench, 0x0a, 0x02);
}

static void device_to_memory(void **state)
{
    struct fixture *f = *state;
    bool terminal;
    program(f, 0x46, 0x12345, 8);
    assert_int_equal(dma_write_memory(f->dma, 2, (const uint8_t *)"abcde", 5, &terminal), 5);
    assert_false(terminal);
    assert_memory_equal(f->bench.bus.memory->ram + 0x12345, "abcde\0", 6);
    outb(&f->bench, 0x0c, 0);
    assert_int_equal(inb(&f->bench, 0x04), 0x4a);
    assert_int_equal(inb(&f->bench, 0x04), 0x23);
    assert_int_equal(inb(&f->bench, 0x05), 0x02);
    assert_int_equal(inb(&f->bench, 0x05), 0x00);
    assert_int_equal(inb(&f->bench, 0x08) & 0x0f, 0);
    assert_int_equal(dma_write_memory(f->dma, 2, (const uint8_t *)"fghijk", 6, &terminal), 3);
    assert_true(terminal);
    assert_memory_equal(f->bench.bus.memory->ram + 0x12345, "abcdefgh\0", 9);
    assert_int_equal(inb(&f->bench, 0x08) & 0x0f, 0x04);
    assert_int_equal(inb(&f->bench, 0x08) & 0x0f, 0x00); /* cleared by the read */
    assert_false(dma_is_open(f->dma, 2));                /* masked at TC */
    assert_int_equal(dma_write_memory(f->dma, 2, (const uint8_t *)"x", 1, &terminal), 0);
    assert_int_equal(inb(&f->bench, 0x05), 0xff);
}

static void memory_to_device_and_autoinit(void **state)
{
    struct fixture *f = *state;
    uint8_t data[16];
    bool terminal;
    memcpy(f->bench.bus.memory->ram + 0x20000, "0123", 4);
    program(f, 0x5a, 0x20000, 4);
    assert_int_equal(dma_read_memory(f->dma, 2, data, 16, &terminal), 4);
    assert_true(terminal);
    assert_memory_equal(data, "0123\0", 5);
    assert_true(dma_is_open(f->dma, 2));
    assert_int_equal(dma_read_memory(f->dma, 2, data, 3, &terminal), 3);
    assert_false(terminal);
    assert_memory_equal(data, "012", 3);
}

static void page_wrap_and_decrement(void **state)
{
    struct fixture *f = *state;
    bool terminal;
    program(f, 0x46, 0x1fffe, 4);
    assert_int_equal(dma_write_memory(f->dma, 2, (const uint8_t *)"abcd", 4, &terminal), 4);
    assert_memory_equal(f->bench.bus.memory->ram + 0x1fffe, "ab\0", 3); /* the page does not count along */
    assert_memory_equal(f->bench.bus.memory->ram + 0x10000, "cd\0", 3);
    program(f, 0x66, 0x18003, 4);
    assert_int_equal(dma_write_memory(f->dma, 2, (const uint8_t *)"abcd", 4, &terminal), 4);
    assert_true(terminal);
    assert_memory_equal(f->bench.bus.memory->ram + 0x18000, "dcba\0", 5);
}

static void verify_and_wrong_direction_touch_nothing(void **state)
{
    struct fixture *f = *state;
    uint8_t data[4] = "wxyz";
    bool terminal;
    program(f, 0x42, 0x18000, 4);
    assert_int_equal(dma_write_memory(f->dma, 2, data, 4, &terminal), 4);
    assert_true(terminal);
    assert_int_equal(f->bench.bus.memory->ram[0x18000], 0);
    program(f, 0x46, 0x18000, 4);
    assert_int_equal(dma_read_memory(f->dma, 2, data, 4, &terminal), 4);
    assert_memory_equal(data, "\0\0\0\0", 4);
}

static void word_channels(void **state)
{
    struct fixture *f = *state;
    bool terminal;
    outb(&f->bench, 0xd8, 0);
    outb(&f->bench, 0xd6, 0x45);
    outb(&f->bench, 0xc4, 0x00);
    outb(&f->bench, 0xc4, 0x90);
    outb(&f->bench, 0x8b, 0x11); /* bit 0 is the address's bit 16 and not used */
    outb(&f->bench, 0xc6, 0x01);
    outb(&f->bench, 0xc6, 0x00);
    outb(&f->bench, 0xd4, 0x01);
    assert_int_equal(dma_write_memory(f->dma, 5, (const uint8_t *)"abcdef", 3, &terminal), 2);
    assert_int_equal(dma_write_memory(f->dma, 5, (const uint8_t *)"cdefgh", 6, &terminal), 2);
    assert_true(terminal);
    assert_memory_equal(f->bench.bus.memory->ram + 0x112000, "abcd\0", 5);
}

static void masks_cascade_and_master_clear(void **state)
{
    struct fixture *f = *state;
    program(f, 0x46, 0, 4);
    assert_true(dma_is_open(f->dma, 2));
    outb(&f->bench, 0xd4, 0x04); /* mask the cascade */
    assert_false(dma_is_open(f->dma, 2));
    outb(&f->bench, 0xd4, 0x00);
    outb(&f->bench, 0x08, 0x04); /* controller off */
    assert_false(dma_is_open(f->dma, 2));
    outb(&f->bench, 0x08, 0x00);
    outb(&f->bench, 0x0f, 0x0f);
    assert_int_equal(inb(&f->bench, 0x0f), 0xff);
    assert_false(dma_is_open(f->dma, 2));
    outb(&f->bench, 0x0e, 0x00);
    assert_int_equal(inb(&f->bench, 0x0f), 0xf0);
    assert_true(dma_is_open(f->dma, 2));
    outb(&f->bench, 0x0d, 0x00);
    assert_false(dma_is_open(f->dma, 2));
    assert_false(dma_is_open(f->dma, 4));
    assert_false(dma_is_open(f->dma, 99));
    assert_int_equal(inb(&f->bench, 0x0a), 0xff);
    for (uint16_t port = 0x81; port <= 0x8f; port++)
        outb(&f->bench, port, (uint8_t)port);
    for (uint16_t port = 0x81; port <= 0x8f; port++)
        assert_int_equal(inb(&f->bench, port), port);
}

static void now_ready(void *opaque)
{
    struct fixture *f = opaque;
    bool terminal;
    if (f->ready++ == 0)
        dma_write_memory(f->dma, 2, (const uint8_t *)"go", 2, &terminal);
}

static void waiting_device_is_told(void **state)
{
    struct fixture *f = *state;
    dma_attach(f->dma, 2, now_ready, f);
    dma_set_request(f->dma, 2, true);
    assert_int_equal(inb(&f->bench, 0x08), 0x40);
    assert_int_equal(f->ready, 0);
    program(f, 0x46, 0x30000, 2);
    assert_int_equal(f->ready, 1);
    assert_memory_equal(f->bench.bus.memory->ram + 0x30000, "go", 2);
    dma_set_request(f->dma, 2, false);
    assert_int_equal(inb(&f->bench, 0x08), 0x04);
    outb(&f->bench, 0x09, 0x06); /* software request shows in the status */
    assert_int_equal(inb(&f->bench, 0x08), 0x40);
}

static void state_round_trip(void **state)
{
    struct fixture *f = *state;
    program(f, 0x56, 0x12345, 77);
    bench_check_state(f->dma);
    assert_true(dma_is_open(f->dma, 2));
    assert_int_equal(inb(&f->bench, 0x04), 0x45);
}

static void fuzz(void **state)
{
    struct fixture *f = *state;
    uint64_t seed = 23;
    uint8_t data[4096] = {0};
    bool terminal;
    for (unsigned i = 0; i < 2000; i++) {
        bench_fuzz(&f->bench, 0x00, 16, 10, i);
        bench_fuzz(&f->bench, 0x80, 16, 5, i);
        bench_fuzz(&f->bench, 0xc0, 32, 10, i);
        unsigned channel = bench_random(&seed) % 10;
        dma_set_request(f->dma, channel, bench_random(&seed) & 1);
        dma_write_memory(f->dma, channel, data, bench_random(&seed) % sizeof(data), &terminal);
        dma_read_memory(f->dma, channel, data, bench_random(&seed) % sizeof(data), &terminal);
    }
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(device_to_memory),
        TEST(memory_to_device_and_autoinit),
        TEST(page_wrap_and_decrement),
        TEST(verify_and_wrong_direction_touch_nothing),
        TEST(word_channels),
        TEST(masks_cascade_and_master_clear),
        TEST(waiting_device_is_told),
        TEST(state_round_trip),
        TEST(fuzz),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

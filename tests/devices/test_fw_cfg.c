#include "bench.h"

#include "devices/fw_cfg.h"

struct fixture {
    struct bench bench;
    struct fw_cfg *fw;
};

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));
    bench_create(&f->bench);
    f->fw = fw_cfg_create(&f->bench.bus);
    assert_non_null(f->fw);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    device_destroy(f->fw);
    bench_destroy(&f->bench);
    free(f);
    return 0;
}

static void read_item(struct fixture *f, uint16_t key, uint8_t *to, size_t length)
{
    outw(&f->bench, 0x510, key);
    for (size_t i = 0; i < length; i++)
        to[i] = inb(&f->bench, 0x511);
}

static uint32_t big(const uint8_t *bytes)
{
    return (uint32_t)bytes[0] << 24 | (uint32_t)bytes[1] << 16 | (uint32_t)bytes[2] << 8 | bytes[3];
}

static void put_big(uint8_t *to, uint32_t value)
{
    for (unsigned i = 0; i < 4; i++)
        to[i] = (uint8_t)(value >> (24 - 8 * i));
}

static uint32_t dma(struct fixture *f, uint32_t control, uint32_t length, uint64_t address)
{
    uint8_t request[16];
    put_big(request, control);
    put_big(request + 4, length);
    put_big(request + 8, (uint32_t)(address >> 32));
    put_big(request + 12, (uint32_t)address);
    memory_write_bytes(f->bench.bus.memory, 0x1000, request, sizeof(request));
    outl(&f->bench, 0x514, 0);
    outl(&f->bench, 0x518, __builtin_bswap32(0x1000));
    memory_read_bytes(f->bench.bus.memory, 0x1000, request, 4);
    return big(request);
}

static void signature_and_id(void **state)
{
    struct fixture *f = *state;
    uint8_t bytes[8];
    read_item(f, FW_CFG_SIGNATURE, bytes, 8);
    assert_memory_equal(bytes, "QEMU\0\0\0\0", 8);
    read_item(f, FW_CFG_ID, bytes, 4);
    assert_memory_equal(bytes, "\3\0\0\0", 4);
    assert_int_equal(inl(&f->bench, 0x514), 0x554d4551); /* "QEMU CFG" */
    assert_int_equal(inl(&f->bench, 0x518), 0x47464320);
}

static void integers_and_strings(void **state)
{
    struct fixture *f = *state;
    uint8_t bytes[10];
    assert_true(fw_cfg_add_u16(f->fw, FW_CFG_CPU_COUNT, 0x1234, NULL));
    assert_true(fw_cfg_add_u32(f->fw, FW_CFG_KERNEL_SIZE, 0x12345678, NULL));
    assert_true(fw_cfg_add_u64(f->fw, FW_CFG_RAM_SIZE, 0x0102030405060708, NULL));
    assert_true(fw_cfg_add_string(f->fw, FW_CFG_COMMAND_LINE_DATA, "quiet", NULL));
    assert_true(fw_cfg_add_u16(f->fw, FW_CFG_IRQ0_OVERRIDE, 1, NULL));
    read_item(f, FW_CFG_CPU_COUNT, bytes, 2);
    assert_memory_equal(bytes, "\x34\x12", 2);
    read_item(f, FW_CFG_KERNEL_SIZE, bytes, 4);
    assert_memory_equal(bytes, "\x78\x56\x34\x12", 4);
    read_item(f, FW_CFG_RAM_SIZE, bytes, 8);
    assert_memory_equal(bytes, "\x08\x07\x06\x05\x04\x03\x02\x01", 8);
    read_item(f, FW_CFG_COMMAND_LINE_DATA, bytes, 8);
    assert_memory_equal(bytes, "quiet\0\0\0", 8);
    read_item(f, FW_CFG_IRQ0_OVERRIDE, bytes, 2);
    assert_int_equal(bytes[0], 1);
    /* Replaced, not added to. */
    assert_true(fw_cfg_add_string(f->fw, FW_CFG_COMMAND_LINE_DATA, "x", NULL));
    read_item(f, FW_CFG_COMMAND_LINE_DATA, bytes, 3);
    assert_memory_equal(bytes, "x\0\0", 3);
    struct error err;
    assert_false(fw_cfg_add_u16(f->fw, 0x3fff, 1, &err));
    assert_non_null(strstr(err.message, "3fff"));
    /* Absent items are zeroes. */
    read_item(f, 0x7abc, bytes, 2);
    assert_memory_equal(bytes, "\0\0", 2);
}

static void file_directory(void **state)
{
    struct fixture *f = *state;
    uint8_t directory[4 + 3 * 64];
    struct error err;
    read_item(f, FW_CFG_FILE_DIRECTORY, directory, 4);
    assert_int_equal(big(directory), 0);
    assert_true(fw_cfg_add_file(f->fw, "etc/e820", "abcdefgh", 8, NULL));
    assert_true(fw_cfg_add_file(f->fw, "bootorder", "/rom", 5, NULL));
    assert_true(fw_cfg_add_file(f->fw, "etc/e820", "0123456789", 10, NULL));
    read_item(f, FW_CFG_FILE_DIRECTORY, directory, sizeof(directory));
    assert_int_equal(big(directory), 2);
    assert_int_equal(big(directory + 4), 10);
    assert_string_equal((char *)directory + 12, "etc/e820");
    assert_int_equal(big(directory + 68), 5);
    assert_string_equal((char *)directory + 76, "bootorder");
    uint8_t bytes[12];
    read_item(f, (uint16_t)(directory[8] << 8 | directory[9]), bytes, 12);
    assert_memory_equal(bytes, "0123456789\0\0", 12);
    read_item(f, (uint16_t)(directory[72] << 8 | directory[73]), bytes, 4);
    assert_memory_equal(bytes, "/rom", 4);
    size_t length;
    assert_memory_equal(fw_cfg_find_file(f->fw, "bootorder", &length), "/rom", 5);
    assert_int_equal(length, 5);
    assert_null(fw_cfg_find_file(f->fw, "nowhere", &length));
    assert_false(
        fw_cfg_add_file(f->fw, "a-name-that-is-much-longer-than-the-fifty-five-characters-there-are", "", 0, &err));
    char name[16];
    for (unsigned i = 2; i < FW_CFG_FILE_SLOTS; i++) {
        snprintf(name, sizeof(name), "file%u", i);
        assert_true(fw_cfg_add_file(f->fw, name, NULL, 0, &err));
    }
    assert_false(fw_cfg_add_file(f->fw, "one-too-many", "", 0, &err));
    assert_non_null(strstr(err.message, "one-too-many"));
}

static void dma_reads(void **state)
{
    struct fixture *f = *state;
    uint8_t bytes[16];
    fw_cfg_add_bytes(f->fw, FW_CFG_KERNEL_DATA, "0123456789", 10, NULL);
    memset(f->bench.bus.memory->ram + 0x5000, 0xee, 16);
    assert_int_equal(dma(f, FW_CFG_KERNEL_DATA << 16 | 0x08 | 0x02, 4, 0x5000), 0);
    assert_int_equal(dma(f, 0x04, 2, 0), 0); /* skip */
    assert_int_equal(dma(f, 0x02, 6, 0x5004), 0);
    memory_read_bytes(f->bench.bus.memory, 0x5000, bytes, 12);
    assert_memory_equal(bytes, "01236789\0\0\xee\xee", 12);
    /* Across pages, to where there is no memory, and 4 GiB of it. */
    assert_int_equal(dma(f, FW_CFG_KERNEL_DATA << 16 | 0x0a, 10, 0x5ffd), 0);
    assert_memory_equal(f->bench.bus.memory->ram + 0x5ffd, "0123456789", 10);
    assert_int_equal(dma(f, 0x02, 0x100000, 0xd0000000), 0);
    assert_int_equal(dma(f, 0x02, 0xffffffff, 0xffffffff00001000), 0);
}

static void dma_writes(void **state)
{
    struct fixture *f = *state;
    struct error err;
    size_t length;
    fw_cfg_add_file(f->fw, "etc/fixed", "fixed", 5, NULL);
    fw_cfg_add_file(f->fw, "etc/vmcoreinfo", "\0\0\0\0", 4, NULL);
    assert_true(fw_cfg_set_file_writable(f->fw, "etc/vmcoreinfo", NULL));
    assert_false(fw_cfg_set_file_writable(f->fw, "etc/nothing", &err));
    memory_write_bytes(f->bench.bus.memory, 0x5000, "WXYZV", 5);
    assert_int_equal(dma(f, 0x20 << 16 | 0x18, 4, 0x5000), 1);
    assert_int_equal(dma(f, 0x21 << 16 | 0x18, 5, 0x5000), 1); /* too long */
    assert_int_equal(dma(f, 0x21 << 16 | 0x18, 4, 0x5000), 0);
    assert_memory_equal(fw_cfg_find_file(f->fw, "etc/vmcoreinfo", &length), "WXYZ", 4);
    assert_memory_equal(fw_cfg_find_file(f->fw, "etc/fixed", &length), "fixed", 5);
    assert_int_equal(dma(f, 0x3fff << 16 | 0x18, 4, 0x5000), 1);
}

static void state_round_trip(void **state)
{
    struct fixture *f = *state;
    outw(&f->bench, 0x510, FW_CFG_SIGNATURE);
    inb(&f->bench, 0x511);
    bench_check_state(f->fw);
    assert_int_equal(inb(&f->bench, 0x511), 'E');
}

static void fuzz(void **state)
{
    struct fixture *f = *state;
    uint64_t seed = 11;
    for (unsigned i = 0; i < 500; i++) {
        bench_fuzz(&f->bench, 0x510, 2, 30, i);
        bench_fuzz(&f->bench, 0x514, 8, 4, i);
        dma(f, bench_random(&seed) << 1 & ~0x02u, bench_random(&seed), bench_random(&seed));
        dma(f, bench_random(&seed) << 1 | 0x02u, bench_random(&seed) & 0xfffff, bench_random(&seed));
    }
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(signature_and_id), TEST(integers_and_strings), TEST(file_directory), TEST(dma_reads),
        TEST(dma_writes),       TEST(state_round_trip),     TEST(fuzz),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

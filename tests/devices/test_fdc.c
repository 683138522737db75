#include "bench.h"

#include "devices/fdc.h"

#include <stdio.h>
#include <unistd.h>

struct fixture {
    struct bench bench;
    struct dma_pair *dma;
    struct fdc *fdc;
    struct block *disk;
    char path[64];
    uint8_t result[10];
};

static struct block *open_disk(char *path, unsigned sectors, bool read_only)
{
    struct error err;
    strcpy(path, "/tmp/test-fdc-XXXXXX");
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    for (unsigned i = 0; i < sectors; i++) {
        uint8_t data[512];
        memset(data, (int)(i * 5 + i / 256), sizeof data);
        assert_int_equal(write(fd, data, 512), 512);
    }
    close(fd);
    struct block_options options = {.path = path, .read_only = read_only};
    struct block *block = block_open(&options, &err);
    assert_non_null(block);
    return block;
}

static uint8_t sector_byte(unsigned cylinder, unsigned head, unsigned sector)
{
    unsigned i = (cylinder * 2 + head) * 18 + sector - 1;
    return (uint8_t)(i * 5 + i / 256);
}

static void settle(struct fixture *f)
{
    bench_run(&f->bench, 20000000);
}

static void send(struct fixture *f, const uint8_t *bytes, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        assert_int_equal(inb(&f->bench, 0x3f4) & 0xc0, 0x80);
        outb(&f->bench, 0x3f5, bytes[i]);
    }
}
#define SEND(f, ...) send(f, (const uint8_t[]){__VA_ARGS__}, sizeof((const uint8_t[]){__VA_ARGS__}))

static unsigned take_result(struct fixture *f)
{
    unsigned count = 0;
    while ((inb(&f->bench, 0x3f4) & 0xd0) == 0xd0) {
        assert_true(count < 10);
        f->result[count++] = inb(&f->bench, 0x3f5);
    }
    assert_int_equal(inb(&f->bench, 0x3f4) & 0xf0, 0x80);
    return count;
}

static void expect_result(struct fixture *f, uint8_t st0, uint8_t st1, uint8_t st2)
{
    settle(f);
    assert_true(f->bench.level[6]);
    assert_int_equal(take_result(f), 7);
    assert_false(f->bench.level[6]);
    assert_int_equal(f->result[0], st0);
    assert_int_equal(f->result[1], st1);
    assert_int_equal(f->result[2], st2);
}

static void expect_sense(struct fixture *f, uint8_t st0, uint8_t cylinder)
{
    SEND(f, 0x08);
    assert_int_equal(take_result(f), 2);
    assert_int_equal(f->result[0], st0);
    assert_int_equal(f->result[1], cylinder);
}

static void expect_id(struct fixture *f, uint8_t c, uint8_t h, uint8_t r)
{
    assert_int_equal(f->result[3], c);
    assert_int_equal(f->result[4], h);
    assert_int_equal(f->result[5], r);
    assert_int_equal(f->result[6], 2);
}

static void program_dma(struct fixture *f, uint8_t mode, uint32_t address, unsigned count)
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

static void start(struct fixture *f)
{
    outb(&f->bench, 0x3f2, 0x0c);
    settle(f);
    assert_true(f->bench.level[6]);
    for (unsigned i = 0; i < 4; i++)
        expect_sense(f, (uint8_t)(0xc0 | i), 0);
    assert_false(f->bench.level[6]);
    outb(&f->bench, 0x3f7, 0);
    outb(&f->bench, 0x3f2, 0x1c);
    SEND(f, 0x03, 0xdf, 0x02);
}

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));
    struct error err;
    bench_create(&f->bench);
    f->dma = dma_create(&f->bench.bus);
    outb(&f->bench, 0xd6, 0xc0);
    outb(&f->bench, 0xd4, 0x00);
    f->fdc = fdc_create(&f->bench.bus, bench_line(&f->bench, 6), f->dma);
    assert_non_null(f->fdc);
    f->disk = open_disk(f->path, 2880, false);
    assert_true(fdc_attach(f->fdc, 0, FDC_DRIVE_AUTO, f->disk, &err));
    assert_int_equal(fdc_drive_type(f->fdc, 0), FDC_DRIVE_1440K);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    device_destroy(f->fdc);
    device_destroy(f->dma);
    bench_destroy(&f->bench);
    block_close(f->disk);
    unlink(f->path);
    free(f);
    return 0;
}

static void reset_and_registers(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(inb(&f->bench, 0x3f4), 0x00); /* held in reset */
    assert_int_equal(inb(&f->bench, 0x3f2), 0x00);
    outb(&f->bench, 0x3f5, 0x10);
    start(f);
    assert_int_equal(inb(&f->bench, 0x3f4), 0x80);
    SEND(f, 0x08); /* nothing to sense */
    assert_int_equal(take_result(f), 1);
    assert_int_equal(f->result[0], 0x80);
    SEND(f, 0x10);
    assert_int_equal(take_result(f), 1);
    assert_int_equal(f->result[0], 0x90);
    SEND(f, 0x18); /* PART ID is the 82078's */
    assert_int_equal(take_result(f), 1);
    assert_int_equal(f->result[0], 0x80);
    outb(&f->bench, 0x3f3, 0xff);
    assert_int_equal(inb(&f->bench, 0x3f3), 0xff);
    outb(&f->bench, 0x3f3, 0);
    assert_int_equal(inb(&f->bench, 0x3f3), 0xfc);
    /* The gate keeps the interrupt off the bus. */
    outb(&f->bench, 0x3f2, 0x00);
    outb(&f->bench, 0x3f2, 0x04);
    settle(f);
    assert_false(f->bench.level[6]);
    outb(&f->bench, 0x3f2, 0x0c);
    assert_true(f->bench.level[6]);
    outb(&f->bench, 0x3f4, 0x80); /* DSR: resets and lets go by itself */
    assert_false(f->bench.level[6]);
    assert_int_equal(inb(&f->bench, 0x3f4), 0x00);
    settle(f);
    assert_true(f->bench.level[6]);
    expect_sense(f, 0xc0, 0);
    assert_false(f->bench.level[6]); /* one is enough for the line */
    SEND(f, 0x07, 0x00);
    settle(f);
    expect_sense(f, 0x20, 0); /* the seek's comes before what is left of the reset's */
}

static void configure_lock_dump(void **state)
{
    struct fixture *f = *state;
    start(f);
    SEND(f, 0x13, 0x00, 0x57, 0x20);
    SEND(f, 0x12, 0x8c);
    SEND(f, 0x0e);
    assert_int_equal(take_result(f), 10);
    assert_int_equal(f->result[4], 0xdf);
    assert_int_equal(f->result[5], 0x02);
    assert_int_equal(f->result[7], 0x0c);
    assert_int_equal(f->result[8], 0x57);
    assert_int_equal(f->result[9], 0x20);
    SEND(f, 0x94);
    assert_int_equal(take_result(f), 1);
    assert_int_equal(f->result[0], 0x10);
    outb(&f->bench, 0x3f4, 0x80);
    settle(f);
    SEND(f, 0x0e);
    take_result(f);
    assert_int_equal(f->result[7], 0x8c);
    assert_int_equal(f->result[8], 0x07); /* EIS and POLL are not locked */
    assert_int_equal(f->result[9], 0x20);
    SEND(f, 0x14);
    take_result(f);
    assert_int_equal(f->result[0], 0x00);
    outb(&f->bench, 0x3f4, 0x80);
    settle(f);
    SEND(f, 0x0e);
    take_result(f);
    assert_int_equal(f->result[8], 0x20);
    assert_int_equal(f->result[9], 0x00);
}

static void seeks(void **state)
{
    struct fixture *f = *state;
    start(f);
    assert_int_equal(inb(&f->bench, 0x3f7), 0x80); /* changed since power-on */
    SEND(f, 0x07, 0x00);
    settle(f);
    expect_sense(f, 0x20, 0);
    assert_int_equal(inb(&f->bench, 0x3f7), 0x80); /* no step, no news */
    SEND(f, 0x0f, 0x00, 40);
    assert_int_equal(inb(&f->bench, 0x3f4), 0x81); /* busy seeking, ready for another command */
    SEND(f, 0x0f, 0x03, 5);
    assert_int_equal(inb(&f->bench, 0x3f4), 0x89);
    settle(f);
    assert_int_equal(inb(&f->bench, 0x3f4), 0x80);
    expect_sense(f, 0x20, 40);
    assert_true(f->bench.level[6]); /* the other one */
    expect_sense(f, 0x23, 5);
    assert_false(f->bench.level[6]);
    assert_int_equal(inb(&f->bench, 0x3f7), 0x00);
    SEND(f, 0x04, 0x04);
    take_result(f);
    assert_int_equal(f->result[0], 0x2c);
    SEND(f, 0xcf, 0x00, 10); /* relative, inward */
    settle(f);
    expect_sense(f, 0x20, 50);
    SEND(f, 0x8f, 0x00, 50);
    settle(f);
    expect_sense(f, 0x20, 0);
    SEND(f, 0x04, 0x00);
    take_result(f);
    assert_int_equal(f->result[0], 0x38);
    SEND(f, 0x07, 0x01); /* no such drive */
    settle(f);
    expect_sense(f, 0x71, 0);
}

static void reads_with_dma(void **state)
{
    struct fixture *f = *state;
    const uint8_t *ram = f->bench.bus.memory->ram + 0x10000;
    start(f);
    program_dma(f, 0x46, 0x10000, 3 * 512);
    SEND(f, 0x0f, 0x00, 2);
    settle(f);
    expect_sense(f, 0x20, 2);
    SEND(f, 0xe6, 0x00, 2, 0, 4, 2, 18, 0x1b, 0xff);
    assert_int_equal(inb(&f->bench, 0x3f4), 0x10);
    expect_result(f, 0, 0, 0);
    expect_id(f, 2, 0, 7);
    assert_int_equal(ram[0], sector_byte(2, 0, 4));
    assert_int_equal(ram[1535], sector_byte(2, 0, 6));
    assert_int_equal(ram[1536], 0);
    /* Multi-track: on to the other side. */
    program_dma(f, 0x46, 0x10000, 4 * 512);
    SEND(f, 0xe6, 0x00, 2, 0, 17, 2, 18, 0x1b, 0xff);
    expect_result(f, 0x04, 0, 0);
    expect_id(f, 2, 1, 3);
    assert_int_equal(ram[1024], sector_byte(2, 1, 1));
    /* TC with the last sector of a side and of the cylinder. */
    program_dma(f, 0x46, 0x10000, 512);
    SEND(f, 0xe6, 0x00, 2, 0, 18, 2, 18, 0x1b, 0xff);
    expect_result(f, 0x04, 0, 0);
    expect_id(f, 2, 1, 1);
    program_dma(f, 0x46, 0x10000, 512);
    SEND(f, 0xe6, 0x04, 2, 1, 18, 2, 18, 0x1b, 0xff);
    expect_result(f, 0x04, 0, 0);
    expect_id(f, 3, 0, 1);
    program_dma(f, 0x46, 0x10000, 512);
    SEND(f, 0x66, 0x00, 2, 0, 18, 2, 18, 0x1b, 0xff);
    expect_result(f, 0, 0, 0);
    expect_id(f, 3, 0, 1);
    /* No TC at the end of the cylinder. */
    program_dma(f, 0x46, 0x10000, 1024);
    SEND(f, 0x66, 0x00, 2, 0, 18, 2, 18, 0x1b, 0xff);
    expect_result(f, 0x40, 0x80, 0);
    /* The channel is opened only after the command. */
    outb(&f->bench, 0x0a, 0x06);
    memset(f->bench.bus.memory->ram + 0x10000, 0, 4096);
    SEND(f, 0x66, 0x00, 2, 0, 1, 2, 18, 0x1b, 0xff);
    settle(f);
    assert_false(f->bench.level[6]);
    program_dma(f, 0x46, 0x10000, 512);
    expect_result(f, 0, 0, 0);
    assert_int_equal(ram[0], sector_byte(2, 0, 1));
}

static void errors(void **state)
{
    struct fixture *f = *state;
    struct error err;
    start(f);
    program_dma(f, 0x46, 0x10000, 512);
    SEND(f, 0x66, 0x00, 0, 0, 19, 2, 19, 0x1b, 0xff); /* no such sector */
    expect_result(f, 0x40, 0x04, 0);
    SEND(f, 0x66, 0x00, 3, 0, 1, 2, 18, 0x1b, 0xff); /* another cylinder than under the head */
    expect_result(f, 0x40, 0x04, 0x10);
    SEND(f, 0x66, 0x00, 0, 1, 1, 2, 18, 0x1b, 0xff); /* the other head's ID */
    expect_result(f, 0x40, 0x04, 0);
    SEND(f, 0x66, 0x00, 0, 0, 1, 3, 18, 0x1b, 0xff); /* another size */
    expect_result(f, 0x40, 0x04, 0);
    SEND(f, 0x26, 0x00, 0, 0, 1, 2, 18, 0x1b, 0xff); /* FM */
    expect_result(f, 0x40, 0x01, 0);
    outb(&f->bench, 0x3f7, 2); /* 250 kbit/s */
    SEND(f, 0x4a, 0x00);
    expect_result(f, 0x40, 0x01, 0);
    outb(&f->bench, 0x3f7, 0);
    SEND(f, 0x4a, 0x04);
    expect_result(f, 0x04, 0, 0);
    expect_id(f, 0, 1, 1);
    SEND(f, 0x4a, 0x04);
    expect_result(f, 0x04, 0, 0);
    expect_id(f, 0, 1, 2);
    SEND(f, 0x4a, 0x01); /* no drive */
    expect_result(f, 0x41, 0x01, 0);
    assert_true(fdc_change_medium(f->fdc, 0, NULL, &err));
    SEND(f, 0x4a, 0x00); /* no disk */
    expect_result(f, 0x40, 0x01, 0);
    assert_int_equal(inb(&f->bench, 0x3f7), 0x80);
    assert_true(fdc_change_medium(f->fdc, 0, f->disk, &err));
    assert_int_equal(inb(&f->bench, 0x3f7), 0x80);
    assert_false(fdc_change_medium(f->fdc, 1, f->disk, &err));
}

static void writes_format_verify(void **state)
{
    struct fixture *f = *state;
    uint8_t *ram = f->bench.bus.memory->ram + 0x10000, data[512];
    start(f);
    memset(ram, 0x3c, 1024);
    program_dma(f, 0x4a, 0x10000, 700); /* ends inside the second sector */
    SEND(f, 0xc5, 0x04, 0, 1, 18, 2, 18, 0x1b, 0xff);
    expect_result(f, 0x44, 0x80, 0); /* not on this cylinder */
    program_dma(f, 0x4a, 0x10000, 700);
    SEND(f, 0x45, 0x00, 0, 0, 2, 2, 18, 0x1b, 0xff);
    expect_result(f, 0, 0, 0);
    expect_id(f, 0, 0, 4);
    block_read(f->disk, 2, 1, data);
    assert_int_equal(data[187], 0x3c);
    assert_int_equal(data[188], 0); /* filled up */
    assert_int_equal(data[511], 0);
    /* Format one side. */
    for (unsigned i = 0; i < 18; i++) {
        const uint8_t id[4] = {0, 1, (uint8_t)(i + 1), 2};
        memcpy(ram + 4 * i, id, 4);
    }
    program_dma(f, 0x4a, 0x10000, 18 * 4);
    SEND(f, 0x4d, 0x04, 2, 18, 0x54, 0xf6);
    expect_result(f, 0x04, 0, 0);
    block_read(f->disk, 18, 1, data);
    assert_int_equal(data[0], 0xf6);
    block_read(f->disk, 35, 1, data);
    assert_int_equal(data[511], 0xf6);
    block_read(f->disk, 36, 1, data);
    assert_int_equal(data[0], sector_byte(1, 0, 1));
    /* VERIFY needs no data: to EOT, and by count. */
    SEND(f, 0x56, 0x00, 0, 0, 1, 2, 18, 0x1b, 0xff);
    expect_result(f, 0, 0, 0);
    SEND(f, 0xd6, 0x80, 0, 0, 1, 2, 18, 0x1b, 20);
    expect_result(f, 0x04, 0, 0);
    SEND(f, 0x56, 0x80, 0, 0, 1, 2, 18, 0x1b, 20);
    expect_result(f, 0x40, 0x80, 0);
}

static void protection(void **state)
{
    struct fixture *f = *state;
    struct error err;
    char path[64];
    struct block *block = open_disk(path, 2880, true);
    start(f);
    assert_true(fdc_attach(f->fdc, 1, FDC_DRIVE_AUTO, block, &err));
    outb(&f->bench, 0x3f2, 0x2d);
    assert_int_equal(inb(&f->bench, 0x3f7), 0x80);
    program_dma(f, 0x4a, 0x10000, 512);
    SEND(f, 0x45, 0x01, 0, 0, 2, 2, 18, 0x1b, 0xff);
    expect_result(f, 0x41, 0x02, 0);
    SEND(f, 0x4d, 0x01, 2, 18, 0x54, 0xf6);
    expect_result(f, 0x41, 0x02, 0);
    SEND(f, 0x04, 0x01);
    take_result(f);
    assert_int_equal(f->result[0], 0x79);
    block_close(block);
    assert_true(fdc_change_medium(f->fdc, 1, NULL, &err));
    unlink(path);
}

static void scans_tracks_deleted(void **state)
{
    struct fixture *f = *state;
    uint8_t *ram = f->bench.bus.memory->ram + 0x10000;
    start(f);
    memset(ram, 10, 1024); /* sector 1 is all 0, sector 2 all 5, sector 3 all 10 */
    for (unsigned i = 0; i < 3; i++)
        memset(ram + i * 512, 10, 512);
    ram[1024 + 7] = 0xff; /* a wildcard */
    program_dma(f, 0x4a, 0x10000, 8 * 512);
    SEND(f, 0x51, 0x00, 0, 0, 1, 2, 18, 0x1b, 1);
    expect_result(f, 0, 0, 0x08);
    expect_id(f, 0, 0, 3);
    program_dma(f, 0x4a, 0x10000, 512);
    SEND(f, 0x51, 0x00, 0, 0, 1, 2, 18, 0x1b, 1);
    expect_result(f, 0, 0, 0x04);
    program_dma(f, 0x4a, 0x10000, 512);
    SEND(f, 0x59, 0x00, 0, 0, 1, 2, 18, 0x1b, 1); /* disk <= host */
    expect_result(f, 0, 0, 0);
    program_dma(f, 0x4a, 0x10000, 8 * 512);
    SEND(f, 0x5d, 0x00, 0, 0, 1, 2, 18, 0x1b, 2); /* disk >= host, every second */
    memset(ram + 512, 10, 512);
    expect_result(f, 0, 0, 0x08);
    expect_id(f, 0, 0, 3);
    /* READ TRACK starts at the index, whatever the ID. */
    memset(ram, 0, 2048);
    program_dma(f, 0x46, 0x10000, 3 * 512);
    SEND(f, 0x42, 0x00, 0, 0, 5, 2, 3, 0x1b, 0xff);
    expect_result(f, 0, 0, 0);
    assert_int_equal(ram[512], sector_byte(0, 0, 2));
    program_dma(f, 0x46, 0x10000, 512);
    SEND(f, 0x4c, 0x00, 0, 0, 2, 2, 18, 0x1b, 0xff);
    expect_result(f, 0, 0, 0x40);
    assert_int_equal(ram[0], sector_byte(0, 0, 2));
    SEND(f, 0x6c, 0x00, 0, 0, 2, 2, 18, 0x1b, 0xff);
    expect_result(f, 0x40, 0x80, 0);
}

static void without_dma(void **state)
{
    struct fixture *f = *state;
    uint8_t data[512];
    start(f);
    SEND(f, 0x03, 0xdf, 0x03);
    SEND(f, 0x13, 0x00, 0x40 | 0x0f, 0x00); /* FIFO on, 16 bytes, implied seek */
    SEND(f, 0x46, 0x00, 7, 0, 2, 2, 3, 0x1b, 0xff);
    settle(f);
    for (unsigned sector = 2; sector <= 3; sector++) {
        for (unsigned i = 0; i < 512; i++) {
            assert_int_equal(inb(&f->bench, 0x3f4), 0xf0);
            if (i % 16 == 0)
                assert_true(f->bench.level[6]);
            assert_int_equal(inb(&f->bench, 0x3f5), sector_byte(7, 0, sector));
            if (i % 16 == 0)
                assert_false(f->bench.level[6]);
        }
        if (sector == 2)
            assert_int_equal(inb(&f->bench, 0x3f4), 0x30);
        settle(f);
    }
    expect_result(f, 0x40, 0x80, 0); /* nobody gave TC */
    SEND(f, 0x0e);
    take_result(f);
    assert_int_equal(f->result[0], 7);
    assert_int_equal(inb(&f->bench, 0x3f7), 0); /* the implied seek stepped */
    SEND(f, 0x45, 0x00, 7, 0, 2, 2, 2, 0x1b, 0xff);
    settle(f);
    for (unsigned i = 0; i < 512; i++) {
        assert_int_equal(inb(&f->bench, 0x3f4), 0xb0);
        outb(&f->bench, 0x3f5, (uint8_t)i);
    }
    expect_result(f, 0x40, 0x80, 0);
    block_read(f->disk, 7 * 36 + 1, 1, data);
    for (unsigned i = 0; i < 512; i++)
        assert_int_equal(data[i], (uint8_t)i);
}

static void formats(void **state)
{
    static const struct {
        unsigned sectors, cylinders, heads, per_track;
    } known[] = {{320, 40, 1, 8},   {360, 40, 1, 9},   {640, 40, 2, 8},   {720, 40, 2, 9},   {1440, 80, 2, 9},
                 {2400, 80, 2, 15}, {2880, 80, 2, 18}, {3360, 80, 2, 21}, {3444, 82, 2, 21}, {5760, 80, 2, 36},
                 {1, 80, 2, 18},    {2879, 80, 2, 18}, {5000, 80, 2, 36}};
    for (unsigned i = 0; i < ARRAY_SIZE(known); i++) {
        const struct fdc_format *format = fdc_find_format(known[i].sectors);
        assert_non_null(format);
        assert_int_equal(format->cylinders, known[i].cylinders);
        assert_int_equal(format->heads, known[i].heads);
        assert_int_equal(format->sectors, known[i].per_track);
    }
    assert_null(fdc_find_format(7681));
}

static void saved_in_the_middle(void **state)
{
    struct fixture *f = *state;
    start(f);
    program_dma(f, 0x46, 0x10000, 512);
    SEND(f, 0x0f, 0x00);
    bench_check_state(f->fdc);
    SEND(f, 5);
    bench_check_state(f->fdc);
    settle(f);
    expect_sense(f, 0x20, 5);
    SEND(f, 0x66, 0x00, 5, 0, 1, 2, 18, 0x1b, 0xff);
    bench_check_state(f->fdc);
    settle(f);
    bench_check_state(f->fdc);
    take_result(f);
    assert_int_equal(f->result[0], 0);
    assert_int_equal(f->bench.bus.memory->ram[0x10000], sector_byte(5, 0, 1));
}

static void print_line(void *to, const char *line)
{
    ++*(unsigned *)to;
}

static void fuzz(void **state)
{
    struct fixture *f = *state;
    unsigned lines = 0;
    for (unsigned seed = 1; seed <= 10; seed++) {
        start(f);
        program_dma(f, seed & 1 ? 0x56 : 0x5a, 0x10000, 2000);
        bench_fuzz(&f->bench, 0x3f4, 2, 10000, seed);
        bench_fuzz(&f->bench, 0x3f0, 8, 5000, seed);
        bench_check_state(f->fdc);
        device_of(f->fdc)->ops->describe(device_of(f->fdc), print_line, &lines);
        device_reset(f->fdc);
    }
    assert_int_equal(lines, 20);
    /* Commands with random parameters, all the way through. */
    for (uint64_t seed = 1; seed < 3000; seed++) {
        uint64_t random = seed;
        outb(&f->bench, 0x3f2, 0x00);
        outb(&f->bench, 0x3f2, 0x1c);
        settle(f);
        program_dma(f, seed & 1 ? 0x46 : 0x4a, 0x10000, 1 + bench_random(&random) % 4096);
        outb(&f->bench, 0x3f5, (uint8_t)bench_random(&random));
        for (unsigned i = 0; i < 600; i++) {
            if (inb(&f->bench, 0x3f4) & 0x40)
                inb(&f->bench, 0x3f5);
            else
                outb(&f->bench, 0x3f5, (uint8_t)(bench_random(&random) & bench_random(&random) & 0x9f));
            bench_run(&f->bench, 1000);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(reset_and_registers, setup, teardown),
        cmocka_unit_test_setup_teardown(configure_lock_dump, setup, teardown),
        cmocka_unit_test_setup_teardown(seeks, setup, teardown),
        cmocka_unit_test_setup_teardown(reads_with_dma, setup, teardown),
        cmocka_unit_test_setup_teardown(errors, setup, teardown),
        cmocka_unit_test_setup_teardown(writes_format_verify, setup, teardown),
        cmocka_unit_test_setup_teardown(protection, setup, teardown),
        cmocka_unit_test_setup_teardown(scans_tracks_deleted, setup, teardown),
        cmocka_unit_test_setup_teardown(without_dma, setup, teardown),
        cmocka_unit_test(formats),
        cmocka_unit_test_setup_teardown(saved_in_the_middle, setup, teardown),
        cmocka_unit_test_setup_teardown(fuzz, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

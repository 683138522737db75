#include "bench.h"

#include "devices/pci/piix_ide.h"

#include <stdio.h>
#include <unistd.h>

enum { BLOCKS = 300, BM = 0xc000 };

struct fixture {
    struct bench bench;
    struct pci_bus *pci;
    struct piix_ide *ide;
    struct block *disc;
    char path[64];
    unsigned opened, closed;
};

static void tray_moved(void *opaque, unsigned channel, unsigned drive, bool open)
{
    struct fixture *f = opaque;
    assert_int_equal(channel, 1);
    assert_int_equal(drive, 0);
    if (open)
        f->opened++;
    else
        f->closed++;
}

static void config_write(struct fixture *f, unsigned reg, unsigned size, uint32_t value)
{
    outl(&f->bench, 0xcf8, 0x80000000u | PCI_DEVFN(1, 1) << 8 | (reg & ~3u));
    port_space_write(f->bench.bus.ports, (uint16_t)(0xcfc + (reg & 3)), size, value);
}

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));
    struct error err;
    struct ide_events events = {tray_moved, f};
    bench_create(&f->bench);
    f->pci = pci_bus_create(&f->bench.bus);
    f->ide = piix_ide_create(&f->bench.bus, f->pci, bench_line(&f->bench, 14), bench_line(&f->bench, 15), events);
    strcpy(f->path, "/tmp/test-atapi-XXXXXX");
    int fd = mkstemp(f->path);
    assert_true(fd >= 0);
    for (unsigned i = 0; i < BLOCKS * 2048; i++) {
        uint8_t byte = (uint8_t)(i / 2048 + i * 3);
        /* The last block is short by 700 bytes. */
        if (i < BLOCKS * 2048 - 700)
            assert_int_equal(pwrite(fd, &byte, 1, i), 1);
    }
    close(fd);
    struct block_options options = {.path = f->path, .read_only = true};
    f->disc = block_open(&options, &err);
    assert_non_null(f->disc);
    struct ide_drive_config config = {.kind = IDE_CDROM, .block = f->disc};
    assert_true(piix_ide_attach(f->ide, 1, 0, &config, &err));
    piix_ide_set_up(f->ide);
    config_write(f, 0x20, 4, BM);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    device_destroy(f->ide);
    device_destroy(f->pci);
    bench_destroy(&f->bench);
    block_close(f->disc);
    unlink(f->path);
    free(f);
    return 0;
}

static uint8_t settle(struct fixture *f)
{
    bench_run(&f->bench, 10000000);
    return inb(&f->bench, 0x376);
}

/* Sends a packet, takes all data in pieces of at most LIMIT; returns how many bytes came, or -1 - the
 * error register after a check condition. */
static int packet(struct fixture *f, const uint8_t *bytes, unsigned limit, uint8_t *data)
{
    int total = 0;
    outb(&f->bench, 0x176, 0xa0);
    outb(&f->bench, 0x171, 0);
    outb(&f->bench, 0x174, (uint8_t)limit);
    outb(&f->bench, 0x175, (uint8_t)(limit >> 8));
    outb(&f->bench, 0x177, 0xa0);
    unsigned rises = f->bench.rises[15];
    assert_int_equal(settle(f), 0x58);
    assert_int_equal(f->bench.rises[15], rises); /* no interrupt for the packet */
    assert_int_equal(inb(&f->bench, 0x172) & 3, 1);
    for (unsigned i = 0; i < 12; i += 2)
        outw(&f->bench, 0x170, (uint16_t)(bytes[i] | bytes[i + 1] << 8));
    for (;;) {
        settle(f);
        assert_true(f->bench.level[15]);
        uint8_t status = inb(&f->bench, 0x177);
        assert_false(f->bench.level[15]);
        if (!(status & 0x08)) {
            assert_int_equal(inb(&f->bench, 0x172) & 3, 3);
            return status & 1 ? -1 - inb(&f->bench, 0x171) : total;
        }
        assert_int_equal(status, 0x58);
        assert_int_equal(inb(&f->bench, 0x172) & 3, 2);
        unsigned size = inb(&f->bench, 0x174) | (unsigned)inb(&f->bench, 0x175) << 8;
        assert_true(size > 0 && size <= limit);
        for (unsigned i = 0; i < size; i += 2) {
            uint16_t word = inw(&f->bench, 0x170);
            if (data) {
                data[total + (int)i] = (uint8_t)word;
                if (i + 1 < size)
                    data[total + (int)i + 1] = (uint8_t)(word >> 8);
            }
        }
        total += (int)size;
    }
}

static int simple(struct fixture *f, uint8_t opcode, uint8_t byte4)
{
    const uint8_t bytes[12] = {opcode, 0, 0, 0, byte4};
    return packet(f, bytes, 0x8000, NULL);
}

/* Key << 16 | ASC << 8 | ASCQ */
static unsigned sense(struct fixture *f)
{
    const uint8_t bytes[12] = {0x03, 0, 0, 0, 18};
    uint8_t data[18];
    assert_int_equal(packet(f, bytes, 0x8000, data), 18);
    assert_int_equal(data[0], 0x70);
    return (unsigned)data[2] << 16 | (unsigned)data[12] << 8 | data[13];
}

static void clear_attention(struct fixture *f)
{
    assert_int_equal(simple(f, 0x00, 0), -1 - 0x64);
    assert_int_equal(sense(f), 0x062900);
    assert_int_equal(simple(f, 0x00, 0), 0);
    assert_int_equal(sense(f), 0);
}

static void signature_and_identify(void **state)
{
    struct fixture *f = *state;
    uint16_t id[256];
    assert_int_equal(inb(&f->bench, 0x177), 0x00);
    assert_int_equal(inw(&f->bench, 0x172), 0x0101);
    assert_int_equal(inw(&f->bench, 0x174), 0xeb14);
    outb(&f->bench, 0x174, 0);
    outb(&f->bench, 0x175, 0);
    outb(&f->bench, 0x177, 0xec);
    assert_int_equal(settle(f), 0x51);
    assert_int_equal(inb(&f->bench, 0x171), 4);
    assert_int_equal(inw(&f->bench, 0x174), 0xeb14);
    outb(&f->bench, 0x177, 0xa1);
    assert_int_equal(settle(f), 0x58);
    for (unsigned i = 0; i < 256; i++)
        id[i] = inw(&f->bench, 0x170);
    assert_int_equal(id[0], 0x85c0);
    assert_int_equal(inb(&f->bench, 0x177), 0x50);
    outb(&f->bench, 0x177, 0x08); /* DEVICE RESET */
    assert_int_equal(inb(&f->bench, 0x177), 0x80);
    assert_int_equal(settle(f), 0x00);
    assert_int_equal(inw(&f->bench, 0x174), 0xeb14);
}

static void attention_inquiry_capacity(void **state)
{
    struct fixture *f = *state;
    uint8_t data[64];
    const uint8_t inquiry[12] = {0x12, 0, 0, 0, 36}, capacity[12] = {0x25};
    assert_int_equal(packet(f, inquiry, 0x100, data), 36); /* in spite of the unit attention */
    assert_int_equal(data[0], 5);
    assert_int_equal(data[1], 0x80);
    clear_attention(f);
    assert_int_equal(packet(f, capacity, 0x100, data), 8);
    assert_int_equal(data[2] << 8 | data[3], BLOCKS - 1);
    assert_int_equal(data[6], 8);
    assert_int_equal(simple(f, 0xff, 0), -1 - 0x54);
    assert_int_equal(sense(f), 0x052000);
    /* An odd allocation length is cut to the byte. */
    const uint8_t five[12] = {0x12, 0, 0, 0, 5}, none[12] = {0x12};
    assert_int_equal(packet(f, five, 0x100, data), 5);
    assert_int_equal(packet(f, none, 0x100, data), 0);
}

static uint8_t byte_at(unsigned i)
{
    return i < BLOCKS * 2048 - 700 ? (uint8_t)(i / 2048 + i * 3) : 0;
}

static void reads_with_every_limit(void **state)
{
    struct fixture *f = *state;
    static const unsigned limits[] = {2048, 0xfffe, 3, 1000, 4097, 63 * 1024};
    uint8_t *data = malloc(64 * 2048);
    clear_attention(f);
    for (unsigned i = 0; i < ARRAY_SIZE(limits); i++) {
        unsigned count = limits[i] == 3 ? 2 : 40, first = BLOCKS - count;
        const uint8_t ten[12] = {0x28, 0, 0, 0, (uint8_t)(first >> 8), (uint8_t)first, 0, 0, (uint8_t)count};
        assert_int_equal(packet(f, ten, limits[i], data), count * 2048);
        for (unsigned b = 0; b < count * 2048; b++)
            assert_int_equal(data[b], byte_at(first * 2048 + b));
    }
    const uint8_t twelve[12] = {0xa8, 0, 0, 0, 0, 7, 0, 0, 0, 1}, zero[12] = {0x28};
    assert_int_equal(packet(f, twelve, 2048, data), 2048);
    assert_int_equal(data[1], byte_at(7 * 2048 + 1));
    assert_int_equal(packet(f, zero, 2048, data), 0);
    const uint8_t beyond[12] = {0x28, 0, 0, 0, BLOCKS >> 8, BLOCKS & 0xff, 0, 0, 1};
    assert_int_equal(packet(f, beyond, 2048, data), -1 - 0x54);
    assert_int_equal(sense(f), 0x052100);
    free(data);
}

static void read_cd(void **state)
{
    struct fixture *f = *state;
    uint8_t data[4 * 2352];
    clear_attention(f);
    const uint8_t user[12] = {0xbe, 0, 0, 0, 0, 5, 0, 0, 2, 0x10}, raw[12] = {0xbe, 0, 0, 0, 0, 5, 0, 0, 2, 0xf8};
    assert_int_equal(packet(f, user, 0x8000, data), 4096);
    assert_int_equal(data[2], byte_at(5 * 2048 + 2));
    assert_int_equal(packet(f, raw, 1234, data), 2 * 2352);
    assert_int_equal(data[0], 0);
    assert_int_equal(data[1], 0xff);
    assert_int_equal(data[13], 0x02); /* 00:02:05 */
    assert_int_equal(data[14], 0x05);
    assert_int_equal(data[15], 1);
    assert_int_equal(data[16 + 9], byte_at(5 * 2048 + 9));
    assert_int_equal(data[2352 + 14], 0x06);
    const uint8_t audio[12] = {0xbe, 4, 0, 0, 0, 5, 0, 0, 2, 0x10};
    assert_int_equal(packet(f, audio, 0x8000, data), -1 - 0x54);
    assert_int_equal(sense(f), 0x056400);
    const uint8_t msf[12] = {0xb9, 0, 0, 0, 2, 5, 0, 2, 6, 0x10};
    assert_int_equal(packet(f, msf, 0x8000, data), 2048);
    assert_int_equal(data[2], byte_at(5 * 2048 + 2));
}

static void table_of_contents(void **state)
{
    struct fixture *f = *state;
    uint8_t data[64];
    clear_attention(f);
    const uint8_t lba[12] = {0x43, 0, 0, 0, 0, 0, 0, 0, 64}, msf[12] = {0x43, 2, 0, 0, 0, 0, 0, 0, 64};
    assert_int_equal(packet(f, lba, 0x100, data), 20);
    assert_int_equal(data[1], 18);
    assert_int_equal(data[5], 0x14);
    assert_int_equal(data[6], 1);
    assert_int_equal(data[14], 0xaa);
    assert_int_equal(data[18] << 8 | data[19], BLOCKS);
    assert_int_equal(packet(f, msf, 0x100, data), 20);
    assert_int_equal(data[10], 2);
    assert_int_equal(data[18], 6); /* 300 + 150 frames are 6 seconds */
    const uint8_t raw[12] = {0x43, 2, 2, 0, 0, 0, 0, 0, 64}, session[12] = {0x43, 0, 1, 0, 0, 0, 0, 0, 12};
    assert_int_equal(packet(f, raw, 0x100, data), 48);
    assert_int_equal(packet(f, session, 0x100, data), 12);
    const uint8_t bad[12] = {0x43, 0, 0, 0, 0, 0, 5, 0, 64};
    assert_int_equal(packet(f, bad, 0x100, data), -1 - 0x54);
}

static void modes_and_features(void **state)
{
    struct fixture *f = *state;
    uint8_t data[256];
    clear_attention(f);
    const uint8_t all[12] = {0x5a, 0, 0x3f, 0, 0, 0, 0, 0, 255}, capabilities[12] = {0x5a, 0, 0x2a, 0, 0, 0, 0, 0, 255};
    assert_int_equal(packet(f, all, 0x100, data), 8 + 8 + 16 + 20);
    assert_int_equal(data[1], 50);
    assert_int_equal(data[2], 1);
    assert_int_equal(packet(f, capabilities, 0x100, data), 28);
    assert_int_equal(data[8], 0x2a);
    const uint8_t unknown[12] = {0x5a, 0, 0x07, 0, 0, 0, 0, 0, 255}, saved[12] = {0x5a, 0, 0xea, 0, 0, 0, 0, 0, 255};
    assert_int_equal(packet(f, unknown, 0x100, data), -1 - 0x54);
    assert_int_equal(packet(f, saved, 0x100, data), -1 - 0x54);
    assert_int_equal(sense(f), 0x053900);
    const uint8_t configuration[12] = {0x46, 0, 0, 0, 0, 0, 0, 0, 255};
    int length = packet(f, configuration, 0x100, data);
    assert_int_equal(length, data[3] + 4);
    assert_int_equal(data[7], 8); /* CD-ROM */
    const uint8_t one[12] = {0x46, 2, 0, 3, 0, 0, 0, 0, 255};
    assert_int_equal(packet(f, one, 0x100, data), 16);
    const uint8_t disc[12] = {0x51, 0, 0, 0, 0, 0, 0, 0, 255};
    assert_int_equal(packet(f, disc, 0x100, data), 34);
    /* MODE SELECT takes its list. */
    const uint8_t select[12] = {0x55, 0x10, 0, 0, 0, 0, 0, 0, 16};
    outb(&f->bench, 0x174, 16);
    outb(&f->bench, 0x175, 0);
    outb(&f->bench, 0x177, 0xa0);
    settle(f);
    for (unsigned i = 0; i < 12; i += 2)
        outw(&f->bench, 0x170, (uint16_t)(select[i] | select[i + 1] << 8));
    assert_int_equal(settle(f), 0x58);
    assert_int_equal(inb(&f->bench, 0x172) & 3, 0);
    for (unsigned i = 0; i < 8; i++)
        outw(&f->bench, 0x170, 0);
    assert_int_equal(settle(f), 0x50);
    inb(&f->bench, 0x177);
}

static void medium_change_and_tray(void **state)
{
    struct fixture *f = *state;
    uint8_t data[16];
    const uint8_t events[12] = {0x4a, 1, 0, 0, 0x10, 0, 0, 0, 8};
    clear_attention(f);
    packet(f, events, 0x100, data);
    piix_ide_change_medium(f->ide, 1, 0, NULL);
    assert_int_equal(simple(f, 0x00, 0), -1 - 0x24);
    assert_int_equal(sense(f), 0x023a02);
    assert_int_equal(packet(f, events, 0x100, data), 8);
    assert_int_equal(data[2], 4);
    assert_int_equal(data[4], 3);
    assert_int_equal(data[5], 1);
    piix_ide_set_tray(f->ide, 1, 0, false);
    assert_int_equal(simple(f, 0x00, 0), -1 - 0x24);
    assert_int_equal(sense(f), 0x023a01);
    piix_ide_change_medium(f->ide, 1, 0, f->disc);
    assert_int_equal(simple(f, 0x00, 0), -1 - 0x24);
    piix_ide_set_tray(f->ide, 1, 0, false);
    assert_true(f->opened == 2 && f->closed == 2);
    assert_int_equal(packet(f, events, 0x100, data), 8);
    assert_int_equal(data[4], 2);
    assert_int_equal(data[5], 2);
    assert_int_equal(simple(f, 0x00, 0), -1 - 0x64);
    assert_int_equal(sense(f), 0x062800);
    assert_int_equal(simple(f, 0x00, 0), 0);
    /* Locked: no way out but a request. */
    assert_int_equal(simple(f, 0x1e, 1), 0);
    assert_true(piix_ide_info(f->ide, 1, 0).locked);
    assert_int_equal(simple(f, 0x1b, 2), -1 - 0x54);
    assert_int_equal(sense(f), 0x055302);
    piix_ide_request_eject(f->ide, 1, 0);
    packet(f, events, 0x100, data);
    assert_int_equal(data[4], 1);
    assert_int_equal(simple(f, 0x1e, 0), 0);
    assert_int_equal(simple(f, 0x1b, 2), 0);
    assert_int_equal(f->opened, 3);
    assert_true(piix_ide_info(f->ide, 1, 0).tray_open);
    assert_int_equal(simple(f, 0x28, 0), -1 - 0x24);
    assert_int_equal(sense(f), 0x023a02);
    assert_int_equal(simple(f, 0x1b, 3), 0);
    assert_int_equal(f->closed, 3);
    assert_int_equal(simple(f, 0x00, 0), -1 - 0x64);
    assert_int_equal(simple(f, 0x00, 0), 0);
    /* The user opens and closes it, whether or not it is locked: the same disc counts as a new one. */
    assert_int_equal(simple(f, 0x1e, 1), 0);
    piix_ide_set_tray(f->ide, 1, 0, true);
    piix_ide_set_tray(f->ide, 1, 0, true);
    assert_int_equal(f->opened, 4);
    assert_int_equal(simple(f, 0x00, 0), -1 - 0x24);
    assert_int_equal(sense(f), 0x023a02);
    piix_ide_set_tray(f->ide, 1, 0, false);
    assert_int_equal(f->closed, 4);
    assert_int_equal(simple(f, 0x00, 0), -1 - 0x64);
    assert_int_equal(sense(f), 0x062800);
}

static void packet_dma(void **state)
{
    struct fixture *f = *state;
    const uint8_t bytes[12] = {0x28, 0, 0, 0, 0, 3, 0, 0, 50};
    clear_attention(f);
    memory_write(f->bench.bus.memory, 0x1000, 4, 0x20000);
    memory_write(f->bench.bus.memory, 0x1004, 4, 0);
    memory_write(f->bench.bus.memory, 0x1008, 4, 0x30000);
    memory_write(f->bench.bus.memory, 0x100c, 4, 0x80000000u | (50 * 2048 - 0x10000));
    outl(&f->bench, BM + 12, 0x1000);
    outb(&f->bench, 0x171, 1);
    outb(&f->bench, 0x177, 0xa0);
    settle(f);
    for (unsigned i = 0; i < 12; i += 2)
        outw(&f->bench, 0x170, (uint16_t)(bytes[i] | bytes[i + 1] << 8));
    outb(&f->bench, BM + 8, 0x09);
    settle(f);
    assert_int_equal(inb(&f->bench, BM + 10) & 7, 4);
    assert_int_equal(inb(&f->bench, 0x177), 0x50);
    for (unsigned i = 0; i < 50 * 2048; i++)
        assert_int_equal(f->bench.bus.memory->ram[0x20000 + i], byte_at(3 * 2048 + i));
}

static void fuzz(void **state)
{
    struct fixture *f = *state;
    for (uint64_t seed = 1; seed <= 4000; seed++) {
        uint64_t random = seed;
        outb(&f->bench, 0x376, 0);
        outb(&f->bench, 0x174, (uint8_t)bench_random(&random));
        outb(&f->bench, 0x175, (uint8_t)(bench_random(&random) & 0x0f));
        outb(&f->bench, 0x171, seed % 9 == 0);
        outb(&f->bench, 0x177, 0xa0);
        settle(f);
        outw(&f->bench, 0x170, (uint16_t)((seed & 0xff) | (bench_random(&random) & 0x0300)));
        for (unsigned i = 0; i < 5; i++)
            outw(&f->bench, 0x170, (uint16_t)(bench_random(&random) & bench_random(&random) & bench_random(&random)));
        for (unsigned i = 0; i < 20; i++) {
            settle(f);
            inw(&f->bench, 0x170);
        }
        if (seed % 500 == 0)
            bench_check_state(f->ide), piix_ide_set_up(f->ide);
        if (seed % 100 == 0)
            piix_ide_change_medium(f->ide, 1, 0, seed % 200 ? NULL : f->disc);
        outb(&f->bench, 0x377 - 1, 4);
    }
    bench_fuzz(&f->bench, 0x170, 8, 30000, 7);
    bench_check_state(f->ide);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(signature_and_identify, setup, teardown),
        cmocka_unit_test_setup_teardown(attention_inquiry_capacity, setup, teardown),
        cmocka_unit_test_setup_teardown(reads_with_every_limit, setup, teardown),
        cmocka_unit_test_setup_teardown(read_cd, setup, teardown),
        cmocka_unit_test_setup_teardown(table_of_contents, setup, teardown),
        cmocka_unit_test_setup_teardown(modes_and_features, setup, teardown),
        cmocka_unit_test_setup_teardown(medium_change_and_tray, setup, teardown),
        cmocka_unit_test_setup_teardown(packet_dma, setup, teardown),
        cmocka_unit_test_setup_teardown(fuzz, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

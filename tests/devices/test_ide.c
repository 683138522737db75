#include "bench.h"

#include "devices/pci/piix_ide.h"

#include <stdio.h>
#include <unistd.h>

enum { SECTORS = 40000, BM = 0xc000 };

struct fixture {
    struct bench bench;
    struct pci_bus *pci;
    struct piix_ide *ide;
    struct block *disk;
    char path[64];
};

static struct block *open_disk(char *path, uint64_t sectors, bool read_only)
{
    struct error err;
    strcpy(path, "/tmp/test-ide-XXXXXX");
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    assert_int_equal(ftruncate(fd, (off_t)sectors * 512), 0);
    close(fd);
    struct block_options options = {.path = path, .read_only = read_only};
    struct block *block = block_open(&options, &err);
    assert_non_null(block);
    return block;
}

static void config_write(struct fixture *f, unsigned reg, unsigned size, uint32_t value)
{
    outl(&f->bench, 0xcf8, 0x80000000u | PCI_DEVFN(1, 1) << 8 | (reg & ~3u));
    port_space_write(f->bench.bus.ports, (uint16_t)(0xcfc + (reg & 3)), size, value);
}

static void set_up_ports(struct fixture *f)
{
    config_write(f, 0x40, 4, 0x80008000);
    config_write(f, 0x20, 4, BM);
    config_write(f, 0x04, 2, 5);
}

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));
    struct error err;
    struct ide_events events = {0};
    bench_create(&f->bench);
    f->pci = pci_bus_create(&f->bench.bus);
    f->ide = piix_ide_create(&f->bench.bus, f->pci, bench_line(&f->bench, 14), bench_line(&f->bench, 15), events);
    assert_non_null(f->ide);
    f->disk = open_disk(f->path, SECTORS, false);
    for (uint32_t i = 0; i < SECTORS; i += 997) {
        uint8_t data[512];
        memset(data, (int)i, sizeof data);
        memcpy(data, &i, 4);
        block_write(f->disk, i, 1, data);
    }
    struct ide_drive_config config = {.kind = IDE_DISK, .block = f->disk, .serial = "ABC", .model = "Model"};
    assert_true(piix_ide_attach(f->ide, 0, 0, &config, &err));
    set_up_ports(f);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    device_destroy(f->ide);
    device_destroy(f->pci);
    bench_destroy(&f->bench);
    block_close(f->disk);
    unlink(f->path);
    free(f);
    return 0;
}

static void command(struct fixture *f, uint8_t device, uint32_t address, uint8_t count, uint8_t code)
{
    outb(&f->bench, 0x1f6, device);
    outb(&f->bench, 0x1f2, count);
    outb(&f->bench, 0x1f3, (uint8_t)address);
    outb(&f->bench, 0x1f4, (uint8_t)(address >> 8));
    outb(&f->bench, 0x1f5, (uint8_t)(address >> 16));
    outb(&f->bench, 0x1f7, code);
}

/* After the delay of the command; returns the alternate status. */
static uint8_t settle(struct fixture *f)
{
    bench_run(&f->bench, 10000000);
    return inb(&f->bench, 0x3f6);
}

static void read_block(struct fixture *f, uint8_t *data, unsigned bytes)
{
    for (unsigned i = 0; i < bytes; i += 2) {
        uint16_t word = inw(&f->bench, 0x1f0);
        memcpy(data + i, &word, 2);
    }
}

static uint32_t expect_sector(struct fixture *f)
{
    uint8_t data[512];
    uint32_t number;
    assert_int_equal(inb(&f->bench, 0x1f7), 0x58);
    read_block(f, data, 512);
    memcpy(&number, data, 4);
    return number;
}

static void configuration(void **state)
{
    struct fixture *f = *state;
    outl(&f->bench, 0xcf8, 0x80000000u | PCI_DEVFN(1, 1) << 8);
    assert_int_equal(inl(&f->bench, 0xcfc), 0x70108086);
    outl(&f->bench, 0xcf8, 0x80000000u | PCI_DEVFN(1, 1) << 8 | 8);
    assert_int_equal(inl(&f->bench, 0xcfc) >> 8, 0x010180);
    config_write(f, 0x20, 4, 0xffffffff);
    assert_int_equal(inl(&f->bench, 0xcfc), 0xfffffff1);
    /* The ports follow the decode bits. */
    assert_int_equal(inb(&f->bench, 0x1f7), 0x50);
    config_write(f, 0x40, 2, 0);
    assert_int_equal(inb(&f->bench, 0x1f7), 0xff);
    device_reset(f->ide);
    set_up_ports(f);
    assert_int_equal(inb(&f->bench, 0x1f7), 0x50);
    assert_int_equal(inb(&f->bench, 0x177), 0xff); /* nothing on the secondary channel */
    assert_int_equal(inw(&f->bench, 0x170), 0xffff);
}

static void signature_and_absent_slave(void **state)
{
    struct fixture *f = *state;
    outb(&f->bench, 0x3f6, 4);
    assert_int_equal(inb(&f->bench, 0x1f7), 0x80);
    outb(&f->bench, 0x3f6, 0);
    assert_int_equal(inb(&f->bench, 0x1f7), 0x80);
    assert_int_equal(settle(f), 0x50);
    assert_int_equal(inb(&f->bench, 0x1f1), 1);
    assert_int_equal(inb(&f->bench, 0x1f2), 1);
    assert_int_equal(inb(&f->bench, 0x1f3), 1);
    assert_int_equal(inw(&f->bench, 0x1f4), 0);
    assert_int_equal(f->bench.rises[14], 0);
    outb(&f->bench, 0x1f6, 0xb0);
    assert_int_equal(inb(&f->bench, 0x1f7), 0x00);
    assert_int_equal(inb(&f->bench, 0x1f6), 0xb0);
    outb(&f->bench, 0x1f2, 0x55);
    outb(&f->bench, 0x1f7, 0xec);
    assert_int_equal(settle(f), 0x00);
    assert_int_equal(inb(&f->bench, 0x1f2), 0x55); /* drive 0 shows its own */
    outb(&f->bench, 0x1f7, 0x90);                  /* diagnostics reach drive 0 all the same */
    assert_int_equal(settle(f), 0x50);
    assert_int_equal(inb(&f->bench, 0x1f1), 1);
    assert_int_equal(inb(&f->bench, 0x1f6), 0xa0);
    assert_int_equal(f->bench.rises[14], 1);
}

static void identify(void **state)
{
    struct fixture *f = *state;
    uint16_t id[256];
    command(f, 0xa0, 0, 0, 0xec);
    assert_int_equal(inb(&f->bench, 0x3f6) & 0x88, 0x80);
    assert_int_equal(settle(f), 0x58);
    assert_true(f->bench.level[14]);
    inb(&f->bench, 0x1f7);
    assert_false(f->bench.level[14]);
    for (unsigned i = 0; i < 256; i += 2) { /* doublewords work too */
        uint32_t both = inl(&f->bench, 0x1f0);
        memcpy(id + i, &both, 4);
    }
    assert_int_equal(inb(&f->bench, 0x1f7), 0x50);
    assert_int_equal(f->bench.rises[14], 1);
    assert_int_equal(id[0], 0x0040);
    assert_int_equal(id[1], SECTORS / 16 / 63);
    assert_int_equal(id[3], 16);
    assert_int_equal(id[6], 63);
    assert_int_equal(id[10], 'A' << 8 | 'B');
    assert_int_equal(id[11], 'C' << 8 | ' ');
    assert_int_equal(id[27], 'M' << 8 | 'o');
    assert_int_equal(id[60] | (uint32_t)id[61] << 16, SECTORS);
    assert_int_equal(id[100], SECTORS & 0xffff);
    assert_int_equal(id[83] & 0xc400, 0x4400);
    uint8_t sum = 0;
    for (unsigned i = 0; i < 512; i++)
        sum += ((uint8_t *)id)[i];
    assert_int_equal(sum, 0);
}

static void reads_by_every_addressing(void **state)
{
    struct fixture *f = *state;
    uint32_t lba = 997 * 7;
    command(f, 0xe0, lba, 2, 0x20);
    settle(f);
    assert_true(f->bench.level[14]);
    assert_int_equal(expect_sector(f), lba);
    assert_int_equal(inb(&f->bench, 0x3f6), 0xd0); /* fetching the next */
    settle(f);
    assert_int_equal(f->bench.rises[14], 2);
    expect_sector(f);
    assert_int_equal(inb(&f->bench, 0x1f7), 0x50);
    assert_int_equal(inb(&f->bench, 0x1f2), 0);
    assert_int_equal(inb(&f->bench, 0x1f3), (uint8_t)(lba + 1));
    settle(f);
    assert_int_equal(f->bench.rises[14], 2);
    /* CHS */
    unsigned cylinder = lba / 63 / 16, head = lba / 63 % 16, sector = lba % 63 + 1;
    command(f, (uint8_t)(0xa0 | head), cylinder << 8 | sector, 1, 0x21);
    settle(f);
    assert_int_equal(expect_sector(f), lba);
    assert_int_equal(inb(&f->bench, 0x1f4), (uint8_t)cylinder);
    /* Another translation */
    command(f, 0xa3, 0, 17, 0x91);
    assert_int_equal(settle(f), 0x50);
    cylinder = lba / 17 / 4, head = lba / 17 % 4, sector = lba % 17 + 1;
    command(f, (uint8_t)(0xa0 | head), cylinder << 8 | sector, 1, 0x20);
    settle(f);
    assert_int_equal(expect_sector(f), lba);
    command(f, 0xa4, 1, 1, 0x20); /* no such head */
    assert_int_equal(settle(f), 0x51);
    assert_int_equal(inb(&f->bench, 0x1f1), 0x10);
    command(f, 0xa0, 0, 1, 0x20); /* no sector 0 */
    assert_int_equal(settle(f), 0x51);
    /* 48 bits: high halves first */
    outb(&f->bench, 0x1f6, 0xe0);
    for (unsigned i = 2; i <= 5; i++)
        outb(&f->bench, (uint16_t)(0x1f0 + i), 0);
    command(f, 0xe0, lba, 1, 0x24);
    settle(f);
    assert_int_equal(expect_sector(f), lba);
    outb(&f->bench, 0x1f2, 0x12);
    outb(&f->bench, 0x1f2, 0x34);
    outb(&f->bench, 0x3f6, 0x80); /* HOB */
    assert_int_equal(inb(&f->bench, 0x1f2), 0x12);
    outb(&f->bench, 0x1f3, 0); /* any write ends it */
    assert_int_equal(inb(&f->bench, 0x1f2), 0x34);
}

static void limits_and_errors(void **state)
{
    struct fixture *f = *state;
    command(f, 0xe0, SECTORS - 1, 1, 0x20);
    assert_int_equal(settle(f), 0x58);
    command(f, 0xe0, SECTORS, 1, 0x20);
    assert_int_equal(settle(f), 0x51);
    assert_int_equal(inb(&f->bench, 0x1f1), 0x10);
    command(f, 0xe0, SECTORS - 1, 2, 0x30);
    assert_int_equal(settle(f), 0x51);
    command(f, 0xe0, 0, 0, 0x40); /* 256 sectors */
    assert_int_equal(settle(f), 0x50);
    assert_int_equal(inb(&f->bench, 0x1f3), 255);
    command(f, 0xe0, SECTORS - 255, 0, 0x40);
    assert_int_equal(settle(f), 0x51);
    command(f, 0xe0, 0, 1, 0xc4); /* multiple mode is off */
    assert_int_equal(settle(f), 0x51);
    assert_int_equal(inb(&f->bench, 0x1f1), 0x04);
    command(f, 0xe0, 0, 3, 0xc6);
    assert_int_equal(settle(f), 0x51);
    command(f, 0xe0, 0, 0, 0x00); /* NOP */
    assert_int_equal(settle(f), 0x51);
    command(f, 0xe0, 0, 0, 0xa1); /* a packet drive's */
    assert_int_equal(settle(f), 0x51);
    command(f, 0xe0, SECTORS - 1, 0, 0x70);
    assert_int_equal(settle(f), 0x50);
    command(f, 0xe0, SECTORS, 0, 0x70);
    assert_int_equal(settle(f), 0x51);
    command(f, 0xe0, 0, 0, 0x10);
    assert_int_equal(settle(f), 0x50);
    command(f, 0xe0, 0, 0, 0xf8);
    settle(f);
    assert_int_equal(inb(&f->bench, 0x1f3) | inb(&f->bench, 0x1f4) << 8, (SECTORS - 1) & 0xffff);
    command(f, 0xe0, 0, 0, 0xe0);
    settle(f);
    command(f, 0xe0, 0, 7, 0xe5);
    settle(f);
    assert_int_equal(inb(&f->bench, 0x1f2), 0);
    command(f, 0xe0, 0, 0, 0xe7);
    assert_int_equal(settle(f), 0x50);
}

static void multiple_and_writes(void **state)
{
    struct fixture *f = *state;
    uint8_t data[10 * 512], back[10 * 512];
    command(f, 0xe0, 0, 4, 0xc6);
    assert_int_equal(settle(f), 0x50);
    command(f, 0xe0, 500, 10, 0xc5);
    settle(f);
    unsigned rises = f->bench.rises[14];
    for (unsigned i = 0; i < sizeof data; i++)
        data[i] = (uint8_t)(i * 7 + i / 512);
    for (unsigned done = 0; done < 10;) {
        assert_int_equal(inb(&f->bench, 0x1f7), 0x58);
        unsigned n = done < 8 ? 4 : 2;
        for (unsigned i = done * 512; i < (done + n) * 512; i += 2)
            outw(&f->bench, 0x1f0, (uint16_t)(data[i] | data[i + 1] << 8));
        assert_int_equal(inb(&f->bench, 0x3f6) & 0x88, 0x80);
        settle(f);
        done += n;
    }
    assert_int_equal(inb(&f->bench, 0x1f7), 0x50);
    assert_int_equal(f->bench.rises[14], rises + 3);
    assert_int_equal(block_read(f->disk, 500, 10, back), BLOCK_OK);
    assert_memory_equal(data, back, sizeof data);
    command(f, 0xe0, 500, 10, 0xc4);
    memset(back, 0, sizeof back);
    for (unsigned done = 0; done < 10; done += 4) {
        settle(f);
        assert_int_equal(inb(&f->bench, 0x1f7), 0x58);
        read_block(f, back + done * 512, (done < 8 ? 4u : 2u) * 512);
    }
    assert_memory_equal(data, back, sizeof data);
    assert_int_equal(f->bench.rises[14], rises + 6);
}

static void nien_and_selection(void **state)
{
    struct fixture *f = *state;
    outb(&f->bench, 0x3f6, 2);
    command(f, 0xe0, 0, 0, 0xe7);
    settle(f);
    assert_false(f->bench.level[14]);
    outb(&f->bench, 0x3f6, 0);
    assert_true(f->bench.level[14]); /* it was pending */
    outb(&f->bench, 0x1f6, 0xf0);
    assert_false(f->bench.level[14]);
    outb(&f->bench, 0x1f6, 0xe0);
    assert_true(f->bench.level[14]);
    inb(&f->bench, 0x3f6);
    assert_true(f->bench.level[14]); /* the alternate status leaves it */
    inb(&f->bench, 0x1f7);
    assert_false(f->bench.level[14]);
}

static void set_prd(struct fixture *f, unsigned index, uint32_t address, uint32_t length, bool last)
{
    memory_write(f->bench.bus.memory, 0x1000 + 8 * index, 4, address);
    memory_write(f->bench.bus.memory, 0x1004 + 8 * index, 4, (length & 0xffff) | (last ? 0x80000000u : 0));
}

static void bus_master(void **state)
{
    struct fixture *f = *state;
    uint8_t data[200 * 512];
    set_prd(f, 0, 0x20000, 0x10000, false);
    set_prd(f, 1, 0x40000, 200 * 512 - 0x10000, true);
    outl(&f->bench, BM + 4, 0x1000);
    outb(&f->bench, BM + 2, 0x06);
    outb(&f->bench, BM, 0x08);
    command(f, 0xe0, 900, 200, 0xc8);
    bench_run(&f->bench, 1000000);
    assert_int_equal(inb(&f->bench, BM + 2) & 7, 0); /* not started: waits */
    assert_int_equal(inb(&f->bench, 0x3f6) & 0x80, 0x80);
    outb(&f->bench, BM, 0x09);
    assert_int_equal(inb(&f->bench, BM + 2) & 7, 1);
    settle(f);
    assert_int_equal(inb(&f->bench, BM + 2) & 7, 4);
    assert_true(f->bench.level[14]);
    assert_int_equal(inb(&f->bench, 0x1f7), 0x50);
    outb(&f->bench, BM, 0);
    block_read(f->disk, 900, 200, data);
    assert_memory_equal(f->bench.bus.memory->ram + 0x20000, data, 0x10000);
    assert_memory_equal(f->bench.bus.memory->ram + 0x40000, data + 0x10000, sizeof data - 0x10000);
    /* Back to another place. */
    outb(&f->bench, BM + 2, 0x04);
    outb(&f->bench, BM, 0x01);
    command(f, 0xe0, 5000, 200, 0xca);
    settle(f);
    assert_int_equal(inb(&f->bench, BM + 2) & 7, 4);
    uint8_t back[200 * 512];
    block_read(f->disk, 5000, 200, back);
    assert_memory_equal(data, back, sizeof data);
    /* A table that is too long leaves the master active, one that is too short the drive busy. */
    outb(&f->bench, BM, 0);
    outb(&f->bench, BM + 2, 0x04);
    outb(&f->bench, BM, 0x09);
    command(f, 0xe0, 0, 1, 0xc8);
    settle(f);
    assert_int_equal(inb(&f->bench, BM + 2) & 7, 5);
    inb(&f->bench, 0x1f7);
    outb(&f->bench, BM, 0);
    outb(&f->bench, BM + 2, 0x04);
    set_prd(f, 0, 0x20000, 512, true);
    outb(&f->bench, BM, 0x09);
    command(f, 0xe0, 0, 2, 0xc8);
    settle(f);
    assert_int_equal(inb(&f->bench, BM + 2) & 7, 0);
    assert_int_equal(inb(&f->bench, 0x3f6) & 0x80, 0x80);
    outb(&f->bench, 0x3f6, 4);
    outb(&f->bench, 0x3f6, 0);
    assert_int_equal(settle(f), 0x50);
}

static void read_only_and_geometry(void **state)
{
    struct fixture *f = *state;
    struct error err;
    char path[64];
    struct block *block = open_disk(path, 4 * 17 * 306, false);
    uint8_t mbr[512] = {0};
    const uint8_t entry[16] = {0x80, 1, 1, 0, 4, 3, 17 | 0x40, 0x31, 17, 0, 0, 0, 0x40, 0x51, 0, 0};
    memcpy(mbr + 446, entry, 16);
    mbr[510] = 0x55;
    mbr[511] = 0xaa;
    block_write(block, 0, 1, mbr);
    block_close(block);
    struct block_options options = {.path = path, .read_only = true};
    block = block_open(&options, &err);
    assert_non_null(block);
    struct ide_drive_config config = {.kind = IDE_DISK, .block = block};
    assert_true(piix_ide_attach(f->ide, 0, 1, &config, &err));
    struct ide_drive_info info = piix_ide_info(f->ide, 0, 1);
    assert_int_equal(info.cylinders, 306);
    assert_int_equal(info.heads, 4);
    assert_int_equal(info.sectors, 17);
    command(f, 0xf0, 0, 1, 0x30);
    settle(f);
    for (unsigned i = 0; i < 256; i++)
        outw(&f->bench, 0x1f0, 0);
    assert_int_equal(settle(f), 0x51);
    assert_int_equal(inb(&f->bench, 0x1f1), 0x44);
    config.heads = 17;
    assert_false(piix_ide_attach(f->ide, 0, 1, &config, &err));
    config = (struct ide_drive_config){.kind = IDE_NONE};
    assert_true(piix_ide_attach(f->ide, 0, 1, &config, &err));
    config.kind = IDE_DISK;
    assert_false(piix_ide_attach(f->ide, 0, 1, &config, &err));
    block_close(block);
    unlink(path);
}

static void saved_in_the_middle(void **state)
{
    struct fixture *f = *state;
    command(f, 0xe0, 997, 2, 0x20);
    bench_check_state(f->ide);
    settle(f);
    inw(&f->bench, 0x1f0);
    bench_check_state(f->ide);
    assert_int_equal(inw(&f->bench, 0x1f0), 0);
    bench_check_state(f->ide);
}

static void print_line(void *to, const char *line)
{
    ++*(unsigned *)to;
    assert_true(strlen(line) < 200);
}

static void fuzz(void **state)
{
    struct fixture *f = *state;
    unsigned lines = 0;
    for (unsigned seed = 1; seed <= 6; seed++) {
        bench_fuzz(&f->bench, 0x1f0, 8, 20000, seed);
        bench_fuzz(&f->bench, 0x3f6, 1, 20, seed);
        bench_fuzz(&f->bench, BM, 16, 2000, seed);
        bench_check_state(f->ide);
        device_of(f->ide)->ops->describe(device_of(f->ide), print_line, &lines);
        set_up_ports(f);
    }
    assert_true(lines > 6);
    outb(&f->bench, 0x3f6, 4);
    outb(&f->bench, 0x3f6, 0);
    assert_int_equal(settle(f), 0x50);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(configuration, setup, teardown),
        cmocka_unit_test_setup_teardown(signature_and_absent_slave, setup, teardown),
        cmocka_unit_test_setup_teardown(identify, setup, teardown),
        cmocka_unit_test_setup_teardown(reads_by_every_addressing, setup, teardown),
        cmocka_unit_test_setup_teardown(limits_and_errors, setup, teardown),
        cmocka_unit_test_setup_teardown(multiple_and_writes, setup, teardown),
        cmocka_unit_test_setup_teardown(nien_and_selection, setup, teardown),
        cmocka_unit_test_setup_teardown(bus_master, setup, teardown),
        cmocka_unit_test_setup_teardown(read_only_and_geometry, setup, teardown),
        cmocka_unit_test_setup_teardown(saved_in_the_middle, setup, teardown),
        cmocka_unit_test_setup_teardown(fuzz, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

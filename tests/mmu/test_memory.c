#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "guest.h"

#include <inttypes.h>
#include <stdio.h>
#include <unistd.h>

#define RAM (4 * MIB)

struct map_journal {
    uint64_t pages[128];
    unsigned count;
};

static void note_map(void *opaque, uint64_t page)
{
    struct map_journal *journal = opaque;
    journal->pages[journal->count++ % 128] = page;
}

static void sizes_are_checked(void **state)
{
    struct device_lock lock;
    struct log log;
    struct stats stats = {0};
    struct error err;
    device_lock_init(&lock);
    log_init(&log);
    assert_null(memory_create(0, &lock, &log, &stats, &err));
    assert_null(memory_create(MIB - 4096, &lock, &log, &stats, &err));
    assert_null(memory_create(MIB + 1, &lock, &log, &stats, &err));
    assert_non_null(strstr(err.message, "4096"));
    assert_null(memory_create(3585 * MIB, &lock, &log, &stats, &err));
    assert_non_null(strstr(err.message, "3584 MiB"));
    uint64_t host = (uint64_t)sysconf(_SC_PHYS_PAGES) * (uint64_t)sysconf(_SC_PAGESIZE);
    struct memory *memory = memory_create(3584 * MIB, &lock, &log, &stats, &err);
    if (host < 3584 * MIB) {
        assert_null(memory);
        assert_non_null(strstr(err.message, "host"));
    } else {
        assert_non_null(memory);
        memory_write(memory, 3584 * MIB - 8, 8, 5);
        assert_int_equal(memory_read(memory, 3584 * MIB - 8, 8), 5);
        assert_int_equal(memory_read(memory, 3584 * MIB, 4), 0xffffffff);
    }
    memory_destroy(memory);
    device_lock_finish(&lock);
    (void)state;
}

static void ram_of_all_sizes(void **state)
{
    struct guest *guest = guest_create(RAM);
    struct memory *memory = guest->memory;
    static const unsigned sizes[] = {1, 2, 4, 8};
    for (unsigned s = 0; s < 4; s++) {
        for (uint64_t address = 0xff0; address < 0x1010; address++) {
            uint64_t value = 0x1122334455667788u ^ address;
            uint64_t mask = sizes[s] == 8 ? UINT64_MAX : ((uint64_t)1 << (8 * sizes[s])) - 1;
            memset(memory->ram + 0xfe0, 0xee, 0x40);
            memory_write(memory, address, sizes[s], value);
            assert_int_equal(memory_read(memory, address, sizes[s]), value & mask);
            assert_memory_equal(memory->ram + address, &value, sizes[s]);
            assert_int_equal(memory->ram[address - 1], 0xee);
            assert_int_equal(memory->ram[address + sizes[s]], 0xee);
        }
    }
    /* The end of RAM: ones above, writes lost, nothing overrun. */
    set_ram32(guest, RAM - 4, 0x04030201);
    assert_int_equal(memory_read(memory, RAM - 2, 4), 0xffff0403);
    memory_write(memory, RAM - 2, 4, 0xaabbccdd);
    assert_int_equal(ram32(guest, RAM - 4), 0xccdd0201);
    assert_int_equal(memory_read(memory, RAM, 8), UINT64_MAX);
    assert_int_equal(memory_read(memory, 0xffffffff, 1), 0xff);
    assert_int_equal(memory_read(memory, 0xfffffffff, 1), 0xff);
    guest_destroy(guest);
    (void)state;
}

static void regions_by_priority(void **state)
{
    struct guest *guest = guest_create(RAM);
    struct memory *memory = guest->memory;
    struct recorder low, high;
    bool writable;
    recorder_init(&low, 0, 0);
    recorder_init(&high, 0, 0);
    struct memory_region beneath = {.name = "beneath",
                                    .kind = REGION_DEVICE,
                                    .base = RAM - 0x1000,
                                    .size = 0x3000,
                                    .priority = -1,
                                    .enabled = true,
                                    .ops = &low.ops,
                                    .opaque = &low};
    struct memory_region above = {.name = "above",
                                  .kind = REGION_DEVICE,
                                  .base = 0xa0000,
                                  .size = 0x2000,
                                  .priority = 1,
                                  .enabled = true,
                                  .ops = &high.ops,
                                  .opaque = &high};
    struct memory_region equal = {.name = "equal",
                                  .kind = REGION_DEVICE,
                                  .base = 0xa1000,
                                  .size = 0x1000,
                                  .priority = 1,
                                  .enabled = true,
                                  .ops = &low.ops,
                                  .opaque = &low};
    memory_add_region(memory, &beneath);
    assert_ptr_equal(memory_find_region(memory, RAM), &beneath);
    assert_string_equal(memory_find_region(memory, RAM - 1)->name, "ram");
    memory_add_region(memory, &above);
    memory_add_region(memory, &equal); /* the newest of a priority wins */
    assert_ptr_equal(memory_find_region(memory, 0xa0fff), &above);
    assert_ptr_equal(memory_find_region(memory, 0xa1000), &equal);
    memory_write(memory, 0xa0010, 4, 0x12345678);
    assert_call(&high, 0, true, 0x10, 4, 0x12345678);
    assert_int_equal(ram32(guest, 0xa0010), 0);
    assert_null(memory_page_pointer(memory, 0xa0000, &writable));
    assert_ptr_equal(memory_page_pointer(memory, 0x9f000, &writable), memory->ram + 0x9f000);
    assert_true(writable);

    memory_update_region(memory, &equal, 0xa1000, false);
    assert_ptr_equal(memory_find_region(memory, 0xa1000), &above);
    memory_update_region(memory, &above, 0xb0000, true);
    assert_string_equal(memory_find_region(memory, 0xa0000)->name, "ram");
    assert_ptr_equal(memory_find_region(memory, 0xb1fff), &above);
    memory_remove_region(memory, &above);
    assert_string_equal(memory_find_region(memory, 0xb0000)->name, "ram");
    memory_remove_region(memory, &beneath);
    assert_null(memory_find_region(memory, RAM));
    memory_remove_region(memory, &equal);
    guest_destroy(guest);
    (void)state;
}

static void sub_page_regions_share_a_page(void **state)
{
    struct guest *guest = guest_create(RAM);
    struct memory *memory = guest->memory;
    struct recorder a, b;
    bool writable;
    recorder_init(&a, 0, 0);
    recorder_init(&b, 0, 0);
    struct memory_region first = {.name = "first",
                                  .kind = REGION_DEVICE,
                                  .base = 0x200010,
                                  .size = 6,
                                  .priority = 1,
                                  .enabled = true,
                                  .ops = &a.ops,
                                  .opaque = &a};
    struct memory_region second = {.name = "second",
                                   .kind = REGION_DEVICE,
                                   .base = 0x200016,
                                   .size = 2,
                                   .priority = 1,
                                   .enabled = true,
                                   .ops = &b.ops,
                                   .opaque = &b};
    memory_add_region(memory, &first);
    memory_add_region(memory, &second);
    assert_null(memory_page_pointer(memory, 0x200000, &writable));
    set_ram32(guest, 0x200018, 0x44332211);
    /* One read over both and the RAM behind: 2 bytes of the first, 2 of the second, 4 of RAM. */
    assert_int_equal(memory_read(memory, 0x200014, 8), 0x4433221181808584u);
    assert_call(&a, 0, false, 4, 2, 0x8584);
    assert_call(&b, 0, false, 0, 2, 0x8180);
    memory_write(memory, 0x200014, 8, 0x0807060504030201);
    assert_call(&a, 1, true, 4, 2, 0x0201);
    assert_call(&b, 1, true, 0, 2, 0x0403);
    assert_int_equal(ram32(guest, 0x200018), 0x08070605);
    assert_int_equal(a.count, 2);
    /* Bulk goes byte by byte through devices. */
    uint8_t bytes[8];
    memory_read_bytes(memory, 0x200014, bytes, 8);
    assert_memory_equal(bytes, "\x84\x85\x80\x81\x05\x06\x07\x08", 8);
    assert_int_equal(a.count, 4);
    memory_remove_region(memory, &first);
    memory_remove_region(memory, &second);
    assert_non_null(memory_page_pointer(memory, 0x200000, &writable));
    guest_destroy(guest);
    (void)state;
}

static void accesses_are_cut_to_the_device(void **state)
{
    struct guest *guest = guest_create(RAM);
    struct memory *memory = guest->memory;
    struct recorder r;
    struct memory_region region = {.name = "r",
                                   .kind = REGION_DEVICE,
                                   .base = 0xfe000000,
                                   .size = 0x1000,
                                   .priority = 1,
                                   .enabled = true,
                                   .ops = &r.ops,
                                   .opaque = &r};
    recorder_init(&r, 0, 0); /* 1..4 */
    memory_add_region(memory, &region);
    assert_int_equal(memory_read(memory, 0xfe000010, 8), 0x9796959493929190u);
    assert_int_equal(r.count, 2);
    assert_call(&r, 0, false, 0x10, 4, 0x93929190);
    assert_call(&r, 1, false, 0x14, 4, 0x97969594);
    recorder_init(&r, 0, 0);
    memory_write(memory, 0xfe000011, 4, 0xd4c3b2a1);
    assert_int_equal(r.count, 3);
    assert_call(&r, 0, true, 0x11, 1, 0xa1);
    assert_call(&r, 1, true, 0x12, 2, 0xc3b2);
    assert_call(&r, 2, true, 0x14, 1, 0xd4);

    recorder_init(&r, 4, 4); /* a register file: double words only */
    assert_int_equal(memory_read(memory, 0xfe000012, 1), 0x92);
    assert_call(&r, 0, false, 0x10, 4, 0x93929190);
    memory_write(memory, 0xfe000012, 2, 0xbeef);
    assert_call(&r, 1, true, 0x10, 4, 0xbeef0000);
    assert_int_equal(r.count, 2);

    recorder_init(&r, 1, 1);
    memory_write(memory, 0xfe000020, 2, 0x0201);
    assert_call(&r, 0, true, 0x20, 1, 1);
    assert_call(&r, 1, true, 0x21, 1, 2);

    recorder_init(&r, 1, 8);
    memory_write(memory, 0xfe000020, 8, 0x1122334455667788);
    assert_call(&r, 0, true, 0x20, 8, 0x1122334455667788);
    assert_int_equal(r.count, 1);

    /* A device without functions: absent hardware. */
    r.ops.read = NULL;
    r.ops.write = NULL;
    assert_int_equal(memory_read(memory, 0xfe000020, 4), 0xffffffff);
    memory_write(memory, 0xfe000020, 4, 0);
    assert_int_equal(guest->stats.mmio_reads, 2);
    memory_remove_region(memory, &region);
    guest_destroy(guest);
    (void)state;
}

static void rom_kinds(void **state)
{
    struct guest *guest = guest_create(RAM);
    struct memory *memory = guest->memory;
    struct map_journal map = {0};
    static uint8_t image[0x2000];
    struct recorder r;
    bool writable = true;
    recorder_init(&r, 0, 0);
    memset(image, 0x5a, sizeof image);
    struct memory_region rom = {.name = "rom",
                                .kind = REGION_ROM,
                                .base = 0xfffff000,
                                .size = 0x1000,
                                .priority = 1,
                                .enabled = true,
                                .host = image};
    struct memory_region flash = {.name = "flash",
                                  .kind = REGION_ROM_RAM,
                                  .base = 0xe0000,
                                  .size = 0x1000,
                                  .priority = 1,
                                  .enabled = true,
                                  .host = image + 0x1000,
                                  .ops = &r.ops,
                                  .opaque = &r};
    memory_add_region(memory, &rom);
    memory_add_region(memory, &flash);
    memory_add_map_listener(memory, note_map, &map);
    memory_write(memory, 0xfffffff0, 4, 0);
    memory_write_bytes(memory, 0xfffffff0, "xyz", 3);
    assert_int_equal(memory_read(memory, 0xfffffff0, 4), 0x5a5a5a5a);
    assert_ptr_equal(memory_page_pointer(memory, 0xfffff000, &writable), image);
    assert_false(writable);
    memory_poke_bytes(memory, 0xfffffff0, "\xea\x5b\xe0", 3);
    assert_int_equal(memory_read(memory, 0xfffffff0, 4), 0x5ae05bea);
    assert_int_equal(map.count, 1);
    assert_int_equal(map.pages[0], UINT64_MAX);

    assert_int_equal(memory_read(memory, 0xe0000, 2), 0x5a5a);
    memory_write(memory, 0xe0004, 2, 0x1234);
    assert_call(&r, 0, true, 4, 2, 0x1234);
    assert_int_equal(memory_read(memory, 0xe0004, 2), 0x5a5a);
    assert_int_equal(r.count, 1);
    assert_ptr_equal(memory_page_pointer(memory, 0xe0000, &writable), image + 0x1000);
    assert_false(writable);
    memory_remove_region(memory, &rom);
    memory_remove_region(memory, &flash);
    guest_destroy(guest);
    (void)state;
}

static void regions_above_four_gib(void **state)
{
    struct guest *guest = guest_create(RAM);
    struct memory *memory = guest->memory;
    struct recorder r;
    static uint8_t ram[0x1000];
    bool writable = false;
    recorder_init(&r, 0, 0);
    struct memory_region bar = {.name = "bar",
                                .kind = REGION_DEVICE,
                                .base = 0x800000000,
                                .size = 0x800,
                                .priority = 1,
                                .enabled = true,
                                .ops = &r.ops,
                                .opaque = &r};
    struct memory_region vram = {.name = "vram",
                                 .kind = REGION_RAM,
                                 .base = 0x800001000,
                                 .size = 0x1000,
                                 .priority = 1,
                                 .enabled = true,
                                 .host = ram};
    memory_add_region(memory, &bar);
    memory_add_region(memory, &vram);
    assert_int_equal(memory_read(memory, 0x800000004, 4), 0x87868584);
    assert_int_equal(memory_read(memory, 0x8000007fe, 4), 0xfffffffe); /* second half: nothing there */
    assert_null(memory_page_pointer(memory, 0x800000000, &writable));
    assert_ptr_equal(memory_page_pointer(memory, 0x800001000, &writable), ram);
    assert_true(writable);
    memory_write(memory, 0x800001ffe, 2, 0xcafe);
    assert_int_equal(ram[0xfff], 0xca);
    /* One byte taken out of a page, at its start and at its end. */
    struct memory_region byte = {.name = "byte",
                                 .kind = REGION_DEVICE,
                                 .base = 0x800001000,
                                 .size = 1,
                                 .priority = 2,
                                 .enabled = true,
                                 .ops = &r.ops,
                                 .opaque = &r};
    memory_add_region(memory, &byte);
    assert_null(memory_page_pointer(memory, 0x800001000, &writable));
    memory_update_region(memory, &byte, 0x800001fff, true);
    assert_null(memory_page_pointer(memory, 0x800001000, &writable));
    memory_update_region(memory, &byte, 0x800002000, true);
    assert_ptr_equal(memory_page_pointer(memory, 0x800001000, &writable), ram);
    memory_remove_region(memory, &byte);
    memory_remove_region(memory, &bar);
    memory_remove_region(memory, &vram);
    assert_null(memory_find_region(memory, 0x800000004));
    guest_destroy(guest);
    (void)state;
}

static void bulk_crosses_pages_and_kinds(void **state)
{
    struct guest *guest = guest_create(RAM);
    struct memory *memory = guest->memory;
    static uint8_t in[3 * 4096], out[3 * 4096];
    for (unsigned i = 0; i < sizeof in; i++)
        in[i] = (uint8_t)(i * 7 + (i >> 8));
    memory_write_bytes(memory, 0x10ffd, in, sizeof in);
    memory_read_bytes(memory, 0x10ffd, out, sizeof out);
    assert_memory_equal(in, out, sizeof in);
    assert_memory_equal(memory->ram + 0x10ffd, in, sizeof in);
    memory_write_bytes(memory, RAM - 2, in, 4); /* runs out of RAM */
    memory_read_bytes(memory, RAM - 2, out, 4);
    assert_memory_equal(out, ((uint8_t[]){in[0], in[1], 0xff, 0xff}), 4);
    memory_write_bytes(memory, 0x1000, in, 0);
    guest_destroy(guest);
    (void)state;
}

static void map_changes_are_told(void **state)
{
    struct guest *guest = guest_create(RAM);
    struct memory *memory = guest->memory;
    struct map_journal map = {0};
    struct recorder r;
    recorder_init(&r, 0, 0);
    struct memory_region region = {.name = "r",
                                   .kind = REGION_DEVICE,
                                   .base = 0xa0000,
                                   .size = 0x1800,
                                   .priority = 1,
                                   .ops = &r.ops,
                                   .opaque = &r};
    memory_add_map_listener(memory, note_map, &map);
    memory_add_region(memory, &region); /* disabled */
    memory_update_region(memory, &region, 0xb0000, false);
    assert_int_equal(map.count, 0);
    memory_update_region(memory, &region, 0xb0000, true);
    assert_int_equal(map.count, 2);
    assert_int_equal(map.pages[0], 0xb0);
    assert_int_equal(map.pages[1], 0xb1);
    memory_update_region(memory, &region, 0xb0000, true);
    assert_int_equal(map.count, 2);
    memory_update_region(memory, &region, 0xc0000, true);
    assert_int_equal(map.count, 6);
    memory_mark_code(memory, 9, 0, 1);
    memory_mark_code(memory, 9, 64, 1);
    assert_int_equal(map.count, 7);
    assert_int_equal(map.pages[6], 9);
    struct memory_region big = {.name = "big",
                                .kind = REGION_DEVICE,
                                .base = 0xe0000000,
                                .size = 16 * MIB,
                                .priority = 1,
                                .enabled = true,
                                .ops = &r.ops,
                                .opaque = &r};
    memory_add_region(memory, &big);
    assert_int_equal(map.count, 8);
    assert_int_equal(map.pages[7], UINT64_MAX);
    memory_remove_region(memory, &big);
    memory_remove_region(memory, &region);
    guest_destroy(guest);
    (void)state;
}

static unsigned count_lines(FILE *file)
{
    unsigned lines = 0;
    rewind(file);
    for (int c; (c = getc(file)) != EOF;)
        lines += c == '\n';
    return lines;
}

static void unimplemented_is_logged_once_a_page(void **state)
{
    struct guest *guest = guest_create(RAM);
    struct memory *memory = guest->memory;
    FILE *file = tmpfile();
    assert_non_null(file);
    guest->log.file = file;
    memory_read(memory, 0xd0000000, 4); /* category off */
    guest->log.enabled = LOG_(UNIMP);
    for (int i = 0; i < 3; i++) {
        memory_read(memory, 0xd0000000, 4);
        memory_write(memory, 0xd0000ff0, 4, 0);
        memory_write(memory, 0xd0001000, 1, 0);
        memory_read(memory, 0x1000, 4);
    }
    assert_int_equal(count_lines(file), 2);
    fclose(file);
    guest->log.file = stderr;
    guest->log.enabled = 0;
    guest_destroy(guest);
    (void)state;
}

static uint32_t next_random(uint32_t *seed, uint32_t below)
{
    *seed = *seed * 1664525 + 1013904223;
    return (*seed >> 8) % below;
}

/* Random regions against a search of the list byte by byte. */
static void random_maps(void **state)
{
    struct guest *guest = guest_create(RAM);
    struct memory *memory = guest->memory;
    enum { REGIONS = 12 };
    struct memory_region regions[REGIONS];
    struct recorder r;
    uint32_t seed = 12345;
    recorder_init(&r, 0, 0);
    for (int i = 0; i < REGIONS; i++) {
        regions[i] = (struct memory_region){.name = "r", .kind = REGION_DEVICE, .ops = &r.ops, .opaque = &r};
        regions[i].base = RAM - 0x4000 + next_random(&seed, 0x8000);
        regions[i].size = 1 + next_random(&seed, 0x3000);
        regions[i].priority = (int)next_random(&seed, 5) - 2;
        regions[i].enabled = next_random(&seed, 2);
        memory_add_region(memory, &regions[i]);
    }
    for (int step = 0; step < 500; step++) {
        struct memory_region *region = &regions[next_random(&seed, REGIONS)];
        memory_update_region(memory, region, RAM - 0x4000 + next_random(&seed, 0x8000), next_random(&seed, 3) > 0);
        for (int i = 0; i < 200; i++) {
            uint64_t address = RAM - 0x5000 + next_random(&seed, 0xc000);
            struct memory_region *expected = memory->regions;
            while (expected &&
                   !(expected->enabled && address >= expected->base && address < expected->base + expected->size))
                expected = expected->next;
            assert_ptr_equal(memory_find_region(memory, address), expected);
            bool writable, whole = expected != NULL;
            uint64_t page = address & ~(uint64_t)PAGE_MASK;
            for (unsigned offset = 0; whole && offset < PAGE_SIZE; offset += 1 + next_random(&seed, 40))
                whole = memory_find_region(memory, page + offset) == expected;
            if (memory_page_pointer(memory, page, &writable))
                assert_true(whole && expected->kind == REGION_RAM);
        }
    }
    for (int i = 0; i < REGIONS; i++)
        memory_remove_region(memory, &regions[i]);
    assert_null(memory_find_region(memory, RAM));
    assert_int_equal(memory_find_region(memory, RAM - 1)->kind, REGION_RAM);
    guest_destroy(guest);
    (void)state;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sizes_are_checked),
        cmocka_unit_test(ram_of_all_sizes),
        cmocka_unit_test(regions_by_priority),
        cmocka_unit_test(sub_page_regions_share_a_page),
        cmocka_unit_test(accesses_are_cut_to_the_device),
        cmocka_unit_test(rom_kinds),
        cmocka_unit_test(regions_above_four_gib),
        cmocka_unit_test(bulk_crosses_pages_and_kinds),
        cmocka_unit_test(map_changes_are_told),
        cmocka_unit_test(unimplemented_is_logged_once_a_page),
        cmocka_unit_test(random_maps),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

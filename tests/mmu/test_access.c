/* Slow-path accesses: alignment, page crossing, read-modify-write, bulk, observers, the access log. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "guest.h"

#define RAM (16 * MIB)
#define L   0x00400000u

static struct mmu_result read_any(struct guest *guest, uint64_t linear, unsigned size)
{
    return mmu_read_slow(&guest->mmu, linear, size);
}

/* Two linear pages side by side, their frames far apart and in falling order. */
static struct guest *guest_with_crossing(uint32_t first_rights, uint32_t second_rights)
{
    struct guest *guest = guest_create(RAM);
    map32(guest, L, 0x305000 | first_rights);
    map32(guest, L + 0x1000, 0x203000 | second_rights);
    start_paging32(guest, CR0_WP, 0);
    return guest;
}

static void crossing_reads_and_writes(void **state)
{
    static const unsigned sizes[] = {2, 4, 8};
    for (unsigned s = 0; s < 3; s++) {
        for (unsigned before = 1; before < sizes[s]; before++) {
            struct guest *guest = guest_with_crossing(PTE_P | PTE_W, PTE_P | PTE_W);
            uint8_t *first = guest->memory->ram + 0x306000 - before, *second = guest->memory->ram + 0x203000;
            uint64_t linear = L + 0x1000 - before, value = 0x8877665544332211;
            memset(guest->memory->ram + 0x305000, 0xee, PAGE_SIZE + 16);
            memset(guest->memory->ram + 0x203000 - 16, 0xee, PAGE_SIZE);
            assert_true(mmu_write_slow(&guest->mmu, linear, sizes[s], value));
            assert_memory_equal(first, &value, before);
            assert_memory_equal(second, (uint8_t *)&value + before, sizes[s] - before);
            assert_int_equal(first[-1], 0xee);
            assert_int_equal(first[before], 0xee);
            assert_int_equal(second[-1], 0xee);
            assert_int_equal(second[sizes[s] - before], 0xee);
            struct mmu_result result = read_any(guest, linear, sizes[s]);
            assert_true(result.ok);
            assert_int_equal(result.value, sizes[s] == 8 ? value : value & (((uint64_t)1 << (8 * sizes[s])) - 1));
            result = mmu_read_for_write_slow(&guest->mmu, linear, sizes[s]);
            assert_true(result.ok);
            assert_memory_equal(&result.value, &value, sizes[s]);
            guest_destroy(guest);
        }
    }
    (void)state;
}

static void misaligned_within_the_page(void **state)
{
    struct guest *guest = guest_with_crossing(PTE_P | PTE_W, 0);
    assert_true(mmu_write64(&guest->mmu, L + 0xff1, 0x1122334455667788));
    assert_reads(guest, L + 0xff1, 64, 0x1122334455667788);
    assert_reads(guest, L + 0xff3, 32, 0x33445566);
    assert_reads(guest, L + 0xff5, 16, 0x3344);
    assert_true(mmu_write16(&guest->mmu, L + 0xff3, 0));
    assert_true(mmu_write32(&guest->mmu, L + 0xff5, 0));
    assert_reads(guest, L + 0xff1, 64, 0x7788);
    assert_reads(guest, L + 0xff8, 64, 0);
    guest_destroy(guest);
    (void)state;
}

static void crossing_faults_change_nothing(void **state)
{
    static const uint32_t bad[] = {0, PTE_P};
    for (unsigned i = 0; i < 2; i++) {
        uint32_t code = PF_WRITE | (bad[i] ? PF_PRESENT : 0);
        /* In the second page: CR2 is its first byte. */
        struct guest *guest = guest_with_crossing(PTE_P | PTE_W, bad[i]);
        memset(guest->memory->ram + 0x305000, 0xee, PAGE_SIZE);
        assert_page_fault(guest, mmu_write32(&guest->mmu, L + 0xffd, 0), code, L + 0x1000);
        assert_int_equal(guest->memory->ram[0x305ffd], 0xee);
        assert_page_fault(guest, mmu_read_for_write_slow(&guest->mmu, L + 0xffd, 4).ok, code, L + 0x1000);
        assert_page_fault(guest, mmu_probe(&guest->mmu, L + 0xffd, 4, MMU_WRITE), code, L + 0x1000);
        assert_true(mmu_probe(&guest->mmu, L + 0xffd, 3, MMU_WRITE));
        if (!bad[i])
            assert_page_fault(guest, mmu_read32(&guest->mmu, L + 0xffd).ok, 0, L + 0x1000);
        guest_destroy(guest);
        /* In the first: CR2 is the access's first byte. */
        guest = guest_with_crossing(bad[i], PTE_P | PTE_W);
        memset(guest->memory->ram + 0x203000, 0xee, PAGE_SIZE);
        assert_page_fault(guest, mmu_write32(&guest->mmu, L + 0xffd, 0), code, L + 0xffd);
        assert_int_equal(guest->memory->ram[0x203000], 0xee);
        guest_destroy(guest);
    }
    (void)state;
}

static void read_modify_write_needs_write_first(void **state)
{
    struct guest *guest = guest_with_crossing(PTE_P, PTE_P | PTE_W);
    set_ram32(guest, 0x305010, 0x1234);
    assert_page_fault(guest, mmu_read_for_write_slow(&guest->mmu, L + 0x10, 4).ok, PF_PRESENT | PF_WRITE, L + 0x10);
    struct mmu_result result = mmu_read_for_write_slow(&guest->mmu, L + 0x1000, 4);
    assert_true(result.ok);
    assert_true(has_direct(guest->mmu.write_table, L + 0x1000));
    assert_int_equal(ram32(guest, pte32(guest, L + 0x1000)) & PTE_D, PTE_D);
    /* A device is asked only when every byte may be written. */
    struct recorder r;
    recorder_init(&r, 0, 0);
    struct memory_region device = {.name = "dev",
                                   .kind = REGION_DEVICE,
                                   .base = 0x203000,
                                   .size = 0x1000,
                                   .priority = 1,
                                   .enabled = true,
                                   .ops = &r.ops,
                                   .opaque = &r};
    memory_add_region(guest->memory, &device);
    map32(guest, L + 0x2000, 0x204000 | PTE_P);
    assert_false(mmu_read_for_write_slow(&guest->mmu, L + 0x1ffe, 4).ok);
    assert_int_equal(r.count, 0);
    assert_true(mmu_read_for_write_slow(&guest->mmu, L + 0x1ffc, 4).ok);
    assert_int_equal(r.count, 1);
    memory_remove_region(guest->memory, &device);
    guest_destroy(guest);
    (void)state;
}

static void crossing_between_ram_and_device(void **state)
{
    struct guest *guest = guest_create(RAM);
    struct recorder r;
    recorder_init(&r, 0, 0);
    struct memory_region device = {.name = "dev",
                                   .kind = REGION_DEVICE,
                                   .base = 0xa0000,
                                   .size = 0x1000,
                                   .priority = 1,
                                   .enabled = true,
                                   .ops = &r.ops,
                                   .opaque = &r};
    memory_add_region(guest->memory, &device);
    guest->memory->ram[0x9ffff] = 0x11;
    assert_reads(guest, 0x9ffff, 32, 0x82818011);
    assert_true(mmu_write32(&guest->mmu, 0x9ffff, 0x44332255));
    assert_int_equal(guest->memory->ram[0x9ffff], 0x55);
    assert_call(&r, 2, true, 0, 2, 0x3322);
    assert_call(&r, 3, true, 2, 1, 0x44);
    /* Code can be fetched from a device: the fetcher reads it through memory_read(). */
    struct mmu_result result = mmu_translate_execute(&guest->mmu, 0xa0010);
    assert_true(result.ok);
    assert_int_equal(result.value, 0xa0010);
    memory_remove_region(guest->memory, &device);
    guest_destroy(guest);
    (void)state;
}

static void linear_addresses_wrap(void **state)
{
    struct guest *guest = guest_create(RAM);
    map32(guest, 0xfffff000u, 0x305000 | PTE_P | PTE_W);
    map32(guest, 0, 0x203000 | PTE_P | PTE_W);
    start_paging32(guest, CR0_WP, 0);
    assert_true(mmu_write64(&guest->mmu, 0xfffffffdu, 0x0807060504030201));
    assert_int_equal(guest->memory->ram[0x305fff], 3);
    assert_int_equal(guest->memory->ram[0x203000], 4);
    assert_reads(guest, 0xfffffffdu, 64, 0x0807060504030201);
    assert_reads(guest, 0x100000000u, 8, 4); /* bits above 31 do not count */
    assert_true(mmu_read_system(&guest->mmu, 0x1fffffffeu, 4).ok);
    assert_true(mmu_translate_execute(&guest->mmu, 0x100000000u).ok);
    map32(guest, 0, 0);
    mmu_invalidate_page(&guest->mmu, 0x500000000u);
    assert_page_fault(guest, mmu_read32(&guest->mmu, 0xfffffffeu).ok, 0, 0);
    guest_destroy(guest);
    (void)state;
}

static void alignment_check(void **state)
{
    struct guest *guest = guest_create(RAM);
    guest->mmu.alignment_check = true;
    assert_true(mmu_read32(&guest->mmu, 0x1001).ok); /* supervisor: never */
    mmu_set_class(&guest->mmu, MMU_USER);
    static const unsigned sizes[] = {1, 2, 4, 8};
    for (unsigned s = 0; s < 4; s++) {
        for (unsigned offset = 0; offset < 16; offset++) {
            bool ok = offset % sizes[s] == 0;
            guest->mmu.fault.kind = MMU_FAULT_NONE;
            assert_int_equal(read_any(guest, 0x1000 + offset, sizes[s]).ok, ok);
            assert_int_equal(mmu_write_slow(&guest->mmu, 0x1000 + offset, sizes[s], 0), ok);
            assert_int_equal(mmu_read_for_write_slow(&guest->mmu, 0x1000 + offset, sizes[s]).ok, ok);
            assert_int_equal(guest->mmu.fault.kind, ok ? MMU_FAULT_NONE : MMU_FAULT_ALIGNMENT);
        }
    }
    assert_true(mmu_read_system(&guest->mmu, 0x1001, 4).ok);
    assert_true(mmu_write_system(&guest->mmu, 0x1001, 4, 0));
    assert_false(mmu_read32(&guest->mmu, 0x1001).ok); /* also where a direct entry exists */
    guest->mmu.alignment_check = false;
    assert_true(mmu_read32(&guest->mmu, 0x1001).ok);
    guest->mmu.alignment_check = true;
    /* It comes before the page fault. */
    mmu_set_class(&guest->mmu, MMU_SUPERVISOR);
    start_paging32(guest, 0, 0);
    mmu_set_class(&guest->mmu, MMU_USER);
    assert_false(mmu_write32(&guest->mmu, L + 1, 0));
    assert_int_equal(guest->mmu.fault.kind, MMU_FAULT_ALIGNMENT);
    assert_false(mmu_write32(&guest->mmu, L, 0));
    assert_int_equal(guest->mmu.fault.kind, MMU_FAULT_PAGE);
    guest_destroy(guest);
    (void)state;
}

static void probing(void **state)
{
    struct guest *guest = guest_with_crossing(PTE_P | PTE_W | PTE_U, PTE_P);
    assert_true(mmu_probe(&guest->mmu, L, 4096, MMU_WRITE));
    assert_true(mmu_probe(&guest->mmu, L + 1, 4096, MMU_READ));
    assert_page_fault(guest, mmu_probe(&guest->mmu, L + 1, 4096, MMU_WRITE), PF_PRESENT | PF_WRITE, L + 0x1000);
    assert_true(mmu_probe(&guest->mmu, L + 1, 4096, MMU_EXECUTE));
    assert_true(mmu_probe(&guest->mmu, 0x700000, 0, MMU_WRITE));
    mmu_set_class(&guest->mmu, MMU_USER);
    assert_page_fault(guest, mmu_probe(&guest->mmu, L + 0xfff, 2, MMU_READ), PF_PRESENT | PF_USER, L + 0x1000);
    assert_true(mmu_probe_system(&guest->mmu, L + 0xfff, 2, MMU_READ));
    assert_page_fault(guest, mmu_probe_system(&guest->mmu, L + 0xfff, 2, MMU_WRITE), PF_PRESENT | PF_WRITE, L + 0x1000);
    guest_destroy(guest);
    (void)state;
}

static void bulk_pointers(void **state)
{
    struct guest *guest = guest_with_crossing(PTE_P | PTE_W, PTE_P);
    guest->mmu.fault.kind = MMU_FAULT_NONE;
    assert_ptr_equal(mmu_bulk_pointer(&guest->mmu, L + 0x123, MMU_READ), guest->memory->ram + 0x305123);
    assert_int_equal(ram32(guest, pte32(guest, L)) & (PTE_A | PTE_D), PTE_A);
    assert_ptr_equal(mmu_bulk_pointer(&guest->mmu, L + 0x123, MMU_WRITE), guest->memory->ram + 0x305123);
    assert_int_equal(ram32(guest, pte32(guest, L)) & (PTE_A | PTE_D), PTE_A | PTE_D);
    assert_ptr_equal(mmu_bulk_pointer(&guest->mmu, L + 0x1000, MMU_READ), guest->memory->ram + 0x203000);
    assert_null(mmu_bulk_pointer(&guest->mmu, L + 0x1000, MMU_WRITE));
    assert_null(mmu_bulk_pointer(&guest->mmu, L + 0x2000, MMU_READ));
    assert_null(mmu_bulk_pointer(&guest->mmu, L, MMU_EXECUTE));
    assert_int_equal(guest->mmu.fault.kind, MMU_FAULT_NONE);
    memory_mark_code(guest->memory, 0x305, 0, 1);
    assert_null(mmu_bulk_pointer(&guest->mmu, L, MMU_WRITE));
    assert_non_null(mmu_bulk_pointer(&guest->mmu, L, MMU_READ));
    memory_clear_code(guest->memory, 0x305);
    assert_non_null(mmu_bulk_pointer(&guest->mmu, L, MMU_WRITE));
    mmu_set_observe(&guest->mmu, false, true);
    assert_null(mmu_bulk_pointer(&guest->mmu, L, MMU_WRITE));
    assert_non_null(mmu_bulk_pointer(&guest->mmu, L, MMU_READ));
    mmu_set_observe(&guest->mmu, true, false);
    assert_null(mmu_bulk_pointer(&guest->mmu, L, MMU_READ));
    assert_non_null(mmu_bulk_pointer(&guest->mmu, L, MMU_WRITE));
    guest_destroy(guest);
    (void)state;
}

struct sighting {
    uint64_t linear;
    unsigned size;
    enum mmu_access access;
};

struct observer {
    struct sighting seen[32];
    unsigned count;
};

static void see(void *opaque, uint64_t linear, unsigned size, enum mmu_access access)
{
    struct observer *observer = opaque;
    observer->seen[observer->count++ % 32] = (struct sighting){linear, size, access};
}

static void observers_see_every_access(void **state)
{
    struct guest *guest = guest_with_crossing(PTE_P | PTE_W, PTE_P | PTE_W);
    struct observer o = {0};
    guest->mmu.observer = see;
    guest->mmu.observer_opaque = &o;
    assert_true(mmu_write32(&guest->mmu, L, 1));
    assert_int_equal(o.count, 0);
    mmu_set_observe(&guest->mmu, false, true);
    for (int i = 0; i < 3; i++)
        assert_true(mmu_write32(&guest->mmu, L + 8, 2));
    assert_true(mmu_read32(&guest->mmu, L).ok);
    assert_int_equal(o.count, 3);
    assert_int_equal(o.seen[2].linear, L + 8);
    assert_int_equal(o.seen[2].size, 4);
    assert_int_equal(o.seen[2].access, MMU_WRITE);
    mmu_set_observe(&guest->mmu, true, true);
    assert_reads(guest, L + 8, 32, 2);
    assert_true(mmu_read64(&guest->mmu, L + 0xffc).ok);
    assert_true(mmu_write_system(&guest->mmu, L, 1, 9));
    assert_int_equal(o.count, 6);
    assert_int_equal(o.seen[4].linear, L + 0xffc);
    assert_int_equal(o.seen[4].access, MMU_READ);
    assert_false(mmu_read32(&guest->mmu, L + 0x5000).ok); /* a fault is no access */
    mmu_set_class(&guest->mmu, MMU_USER);                 /* changing the class does not open a way around */
    assert_false(has_direct(guest->mmu.read_table, L));
    mmu_set_class(&guest->mmu, MMU_SUPERVISOR);
    assert_int_equal(o.count, 6);
    mmu_set_observe(&guest->mmu, false, false);
    assert_reads(guest, L, 8, 9);
    assert_int_equal(o.count, 6);
    assert_true(has_direct(guest->mmu.write_table, L));
    guest_destroy(guest);
    (void)state;
}

static void access_log_undoes_and_replays(void **state)
{
    struct guest *guest = guest_with_crossing(PTE_P | PTE_W, PTE_P | PTE_W);
    struct recorder r;
    struct access_log log;
    struct written_journal w = {0};
    static uint8_t before[RAM];
    recorder_init(&r, 0, 0);
    access_log_init(&log);
    struct memory_region device = {.name = "dev",
                                   .kind = REGION_DEVICE,
                                   .base = 0xd0000000,
                                   .size = 0x1000,
                                   .priority = 1,
                                   .enabled = true,
                                   .ops = &r.ops,
                                   .opaque = &r};
    memory_add_region(guest->memory, &device);
    map32(guest, L + 0x2000, 0xd0000000u | PTE_P | PTE_W);
    for (unsigned i = 0; i < 3; i++)
        assert_true(mmu_probe(&guest->mmu, L + i * 0x1000, 1, MMU_WRITE)); /* accessed and dirty bits are not logged */
    memset(guest->memory->ram + 0x305000, 0x11, PAGE_SIZE);
    memcpy(before, guest->memory->ram, RAM);

    guest->memory->access_log = &log;
    mmu_set_observe(&guest->mmu, false, true);
    for (unsigned engine = 0; engine < 2; engine++) {
        assert_true(mmu_write32(&guest->mmu, L + 0x10, 0xaaaaaaaa));
        assert_true(mmu_write16(&guest->mmu, L + 0x12, 0xbbbb));              /* over it */
        assert_true(mmu_write64(&guest->mmu, L + 0xffb, 0x0102030405060708)); /* crossing */
        assert_reads(guest, L + 0x2004, 32, 0x87868584);
        assert_true(mmu_write16(&guest->mmu, L + 0x2008, 0x1234));
        assert_reads(guest, L + 0x2011, 64, 0x9897969594939291);
        assert_int_equal(ram32(guest, 0x305010), 0xbbbbaaaa);
        if (engine == 0) {
            size_t stores = log.store_count;
            assert_int_equal(log.device_count, 3);
            assert_int_equal(log.devices[1].kind, DEVICE_ACCESS_MMIO_WRITE);
            assert_int_equal(log.devices[1].address, 0xd0000008u);
            assert_int_equal(log.devices[1].value, 0x1234);
            assert_int_equal(log.stores[0].address, 0x305010);
            assert_memory_equal(log.stores[1].before, "\xaa\xaa", 2);
            assert_memory_equal(log.stores[1].after, "\xbb\xbb", 2);
            memory_mark_code(guest->memory, 0x305, 0x10, 1);
            memory_add_written_listener(guest->memory, note_written, &w);
            access_log_undo(&log, guest->memory);
            assert_memory_equal(guest->memory->ram, before, RAM);
            assert_int_equal(w.count, 2); /* undoing goes through the gate, and only line 0 has code */
            assert_int_equal(log.store_count, stores);
            access_log_start_replay(&log);
            r.count = 0;
        } else {
            assert_int_equal(r.count, 0); /* the device is left alone */
            assert_false(log.mismatch);
            assert_int_equal(log.replay_position, log.device_count);
            assert_int_equal(log.store_count, 2 * log.replay_store_start);
        }
    }
    access_log_undo(&log, guest->memory);
    assert_memory_equal(guest->memory->ram, before, RAM);
    assert_ptr_equal(guest->memory->access_log, &log);

    /* Differences are noticed: another value, another size, another place, one access too many. */
    static const struct {
        uint32_t offset;
        uint32_t value;
        unsigned size;
        bool mismatch;
    } writes[] = {{8, 0x1234, 2, false}, {8, 0x1235, 2, true}, {8, 0x34, 1, true}, {10, 0x1234, 2, true}};
    for (unsigned i = 0; i < ARRAY_SIZE(writes); i++) {
        access_log_clear(&log);
        assert_int_equal(log.mode, ACCESS_LOG_RECORD);
        memory_write(guest->memory, 0xd0000008u, 2, 0x1234);
        access_log_start_replay(&log);
        memory_write(guest->memory, 0xd0000000u + writes[i].offset, writes[i].size, writes[i].value);
        assert_int_equal(log.mismatch, writes[i].mismatch);
    }
    access_log_clear(&log);
    access_log_start_replay(&log);
    assert_int_equal(memory_read(guest->memory, 0xd0000000u, 2), 0xffff);
    assert_true(log.mismatch);
    guest->memory->access_log = NULL;
    access_log_finish(&log);
    memory_remove_region(guest->memory, &device);
    guest_destroy(guest);
    (void)state;
}

static void access_log_grows(void **state)
{
    struct guest *guest = guest_create(RAM);
    struct access_log log;
    access_log_init(&log);
    guest->memory->access_log = &log;
    for (uint32_t i = 0; i < 10000; i++)
        memory_write(guest->memory, 0x1000 + (i * 52) % 0x3000, 4, i); /* hits places several times */
    assert_int_equal(log.store_count, 10000);
    access_log_undo(&log, guest->memory);
    for (uint32_t i = 0; i < 0x5000; i++)
        assert_int_equal(guest->memory->ram[i], 0);
    assert_false(log.overflow);
    guest->memory->access_log = NULL;
    access_log_finish(&log);
    guest_destroy(guest);
    (void)state;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(crossing_reads_and_writes),
        cmocka_unit_test(misaligned_within_the_page),
        cmocka_unit_test(crossing_faults_change_nothing),
        cmocka_unit_test(read_modify_write_needs_write_first),
        cmocka_unit_test(crossing_between_ram_and_device),
        cmocka_unit_test(linear_addresses_wrap),
        cmocka_unit_test(alignment_check),
        cmocka_unit_test(probing),
        cmocka_unit_test(bulk_pointers),
        cmocka_unit_test(observers_see_every_access),
        cmocka_unit_test(access_log_undoes_and_replays),
        cmocka_unit_test(access_log_grows),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

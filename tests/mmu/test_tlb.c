/* What the TLB keeps and what it drops. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "guest.h"

#include <pthread.h>

#define RAM (16 * MIB)
#define L   0x00400000u

/* Distinct contents for the frames that tests map. */
static struct guest *guest_with_frames(void)
{
    struct guest *guest = guest_create(RAM);
    for (uint32_t frame = 0x100; frame < 0x110; frame++)
        set_ram32(guest, frame << PAGE_SHIFT, frame);
    return guest;
}

static void stale_entries_are_kept(void **state)
{
    struct guest *guest = guest_with_frames();
    map32(guest, L, 0x100000 | PTE_P | PTE_W | PTE_D);
    start_paging32(guest, CR0_WP, 0);
    assert_reads(guest, L, 32, 0x100);
    assert_int_equal(mmu_translate_execute(&guest->mmu, L).value, 0x100000);
    map32(guest, L, 0x101000 | PTE_P); /* elsewhere, and read-only */
    assert_reads(guest, L, 32, 0x100);
    assert_true(mmu_write32(&guest->mmu, L, 0x200));
    assert_int_equal(ram32(guest, 0x100000), 0x200);
    assert_int_equal(mmu_translate_execute(&guest->mmu, L).value, 0x100000);
    map32(guest, L, 0); /* not present */
    assert_reads(guest, L, 32, 0x200);
    map32(guest, L, 0x101000 | PTE_P);
    mmu_invalidate_page(&guest->mmu, L + 0xfff);
    assert_reads(guest, L, 32, 0x101);
    assert_int_equal(mmu_translate_execute(&guest->mmu, L).value, 0x101000);
    assert_page_fault(guest, mmu_write32(&guest->mmu, L, 0), PF_PRESENT | PF_WRITE, L);
    guest_destroy(guest);
    (void)state;
}

static void a_fault_drops_the_page(void **state)
{
    struct guest *guest = guest_with_frames();
    map32(guest, L, 0x100000 | PTE_P | PTE_U);
    start_paging32(guest, CR0_WP, 0);
    assert_reads(guest, L, 32, 0x100);
    mmu_set_class(&guest->mmu, MMU_USER);
    assert_reads(guest, L, 32, 0x100);
    map32(guest, L, 0x101000 | PTE_P | PTE_U);
    uint64_t generation = guest->mmu.generation;
    assert_page_fault(guest, mmu_write8(&guest->mmu, L, 0), PF_PRESENT | PF_WRITE | PF_USER, L);
    assert_true(guest->mmu.generation > generation);
    assert_reads(guest, L, 32, 0x101);
    mmu_set_class(&guest->mmu, MMU_SUPERVISOR);
    assert_reads(guest, L, 32, 0x101);
    /* More rights than the entry has are found by walking again, without an invalidation. */
    map32(guest, L, 0x101000 | PTE_P | PTE_W | PTE_U);
    assert_true(mmu_write32(&guest->mmu, L, 0x300));
    assert_int_equal(ram32(guest, 0x101000), 0x300);
    guest_destroy(guest);
    (void)state;
}

static void cr3_load_keeps_global_pages(void **state)
{
    struct guest *guest = guest_with_frames();
    map32(guest, L, 0x100000 | PTE_P | PTE_G);
    map32(guest, L + 0x1000, 0x101000 | PTE_P);
    start_paging32(guest, 0, CR4_PGE);
    assert_reads(guest, L, 32, 0x100);
    assert_reads(guest, L + 0x1000, 32, 0x101);
    map32(guest, L, 0x102000 | PTE_P | PTE_G);
    map32(guest, L + 0x1000, 0x103000 | PTE_P);
    uint64_t generation = guest->mmu.generation;
    assert_true(mmu_set_cr3(&guest->mmu, PAGE_DIRECTORY));
    assert_true(guest->mmu.generation > generation);
    assert_reads(guest, L, 32, 0x100);
    assert_reads(guest, L + 0x1000, 32, 0x103);
    /* INVLPG takes global pages. */
    mmu_invalidate_page(&guest->mmu, L);
    assert_reads(guest, L, 32, 0x102);
    map32(guest, L, 0x104000 | PTE_P | PTE_G);
    assert_true(mmu_set_cr3(&guest->mmu, PAGE_DIRECTORY));
    assert_reads(guest, L, 32, 0x102);
    mmu_flush_all(&guest->mmu);
    assert_reads(guest, L, 32, 0x104);
    /* Without CR4.PGE the bit is ignored. */
    assert_true(mmu_set_control(&guest->mmu, guest->mmu.cr0, 0, 0));
    assert_reads(guest, L, 32, 0x104);
    map32(guest, L, 0x105000 | PTE_P | PTE_G);
    assert_true(mmu_set_cr3(&guest->mmu, PAGE_DIRECTORY));
    assert_reads(guest, L, 32, 0x105);
    guest_destroy(guest);
    (void)state;
}

/* A walk for another kind of access that finds another frame leaves nothing of the old one. */
static void one_translation_per_page_and_class(void **state)
{
    struct guest *guest = guest_with_frames();
    map32(guest, L, 0x100000 | PTE_P | PTE_U);
    start_paging32(guest, CR0_WP, 0);
    assert_int_equal(mmu_translate_execute(&guest->mmu, L).value, 0x100000);
    map32(guest, L, 0x101000 | PTE_P | PTE_U);
    uint64_t generation = guest->mmu.generation;
    assert_reads(guest, L, 32, 0x101);
    assert_true(guest->mmu.generation > generation);
    assert_int_equal(mmu_translate_execute(&guest->mmu, L).value, 0x101000);
    guest_destroy(guest);
    (void)state;
}

static void global_bit_taken_away(void **state)
{
    struct guest *guest = guest_with_frames();
    map32(guest, L, 0x100000 | PTE_P | PTE_G);
    start_paging32(guest, 0, CR4_PGE);
    assert_reads(guest, L, 32, 0x100);
    mmu_invalidate_page(&guest->mmu, L);
    map32(guest, L, 0x101000 | PTE_P);
    assert_reads(guest, L, 32, 0x101);
    map32(guest, L, 0x102000 | PTE_P);
    assert_true(mmu_set_cr3(&guest->mmu, PAGE_DIRECTORY)); /* now it must go */
    assert_reads(guest, L, 32, 0x102);
    guest_destroy(guest);
    (void)state;
}

static void control_changes_flush(void **state)
{
    static const struct {
        uint32_t cr0, cr4;
    } changes[] = {{CR0_WP, 0}, {CR0_PG, 0}, {0, CR4_PSE}, {0, CR4_PGE}, {0, CR4_SMEP}, {0, CR4_PAE}};
    for (size_t i = 0; i < ARRAY_SIZE(changes); i++) {
        struct guest *guest = guest_with_frames();
        map32(guest, L, 0x100000 | PTE_P | PTE_G);
        start_paging32(guest, 0, 0);
        assert_reads(guest, L, 32, 0x100);
        assert_true(mmu_set_control(&guest->mmu, guest->mmu.cr0, guest->mmu.cr4 | 8, 0)); /* CR4.DE: no flush */
        assert_true(has_direct(guest->mmu.read_table, L));
        assert_true(mmu_set_control(&guest->mmu, guest->mmu.cr0 ^ changes[i].cr0, guest->mmu.cr4 ^ changes[i].cr4, 0));
        assert_false(has_direct(guest->mmu.read_table, L));
        guest_destroy(guest);
    }
    (void)state;
}

static void write_protect_follows_cr0(void **state)
{
    struct guest *guest = guest_with_frames();
    map32(guest, L, 0x100000 | PTE_P | PTE_U);
    start_paging32(guest, 0, 0);
    assert_true(mmu_write32(&guest->mmu, L, 1));
    assert_true(has_direct(guest->mmu.write_table, L));
    assert_int_equal(ram32(guest, pte32(guest, L)) & PTE_D, PTE_D);
    mmu_set_class(&guest->mmu, MMU_USER); /* the entry is the supervisor's alone */
    assert_false(has_direct(guest->mmu.write_table, L));
    assert_page_fault(guest, mmu_write32(&guest->mmu, L, 1), PF_PRESENT | PF_USER | PF_WRITE, L);
    mmu_set_class(&guest->mmu, MMU_SUPERVISOR);
    assert_true(mmu_write32(&guest->mmu, L, 1));
    assert_true(mmu_set_control(&guest->mmu, guest->mmu.cr0 | CR0_WP, 0, 0));
    assert_page_fault(guest, mmu_write32(&guest->mmu, L, 1), PF_PRESENT | PF_WRITE, L);
    guest_destroy(guest);
    (void)state;
}

static void classes_are_apart(void **state)
{
    struct guest *guest = guest_with_frames();
    map32(guest, L, 0x100000 | PTE_P | PTE_W | PTE_D);
    start_paging32(guest, CR0_WP, 0);
    assert_reads(guest, L, 32, 0x100);
    assert_true(mmu_translate_execute(&guest->mmu, L).ok);
    mmu_set_class(&guest->mmu, MMU_USER);
    assert_false(mmu_read32(&guest->mmu, L).ok);
    assert_false(mmu_write32(&guest->mmu, L, 0));
    assert_false(mmu_translate_execute(&guest->mmu, L).ok);
    guest_destroy(guest);
    (void)state;
}

/* Marking code on a page takes the direct write entries of all linear pages that show it. */
static void code_marks_reach_all_aliases(void **state)
{
    struct guest *guest = guest_with_frames();
    struct written_journal w = {0};
    memory_add_written_listener(guest->memory, note_written, &w);
    enum { ALIASES = 5 };
    for (uint32_t i = 0; i < ALIASES; i++)
        map32(guest, L + i * 0x3000, 0x100000 | PTE_P | PTE_W | PTE_U | (i & 1 ? PTE_G : 0));
    map32(guest, L + 0x1000, 0x101000 | PTE_P | PTE_W);
    start_paging32(guest, CR0_WP, CR4_PGE);
    for (unsigned aliases = 1; aliases <= ALIASES; aliases++) {
        mmu_flush_all(&guest->mmu);
        memory_clear_code(guest->memory, 0x100);
        for (unsigned c = 0; c < 2; c++) {
            mmu_set_class(&guest->mmu, c ? MMU_USER : MMU_SUPERVISOR);
            for (uint32_t i = 0; i < aliases; i++) {
                assert_true(mmu_write32(&guest->mmu, L + i * 0x3000, 1));
                assert_true(has_direct(guest->mmu.write_table, L + i * 0x3000));
                assert_true(mmu_translate_execute(&guest->mmu, L + i * 0x3000).ok);
            }
        }
        assert_true(mmu_write_system(&guest->mmu, L + 0x1000, 4, 1));
        memory_mark_code(guest->memory, 0x100, 0x80, 1);
        for (unsigned c = 0; c < 2; c++) {
            mmu_set_class(&guest->mmu, c ? MMU_USER : MMU_SUPERVISOR);
            for (uint32_t i = 0; i < aliases; i++) {
                assert_false(has_direct(guest->mmu.write_table, L + i * 0x3000));
                assert_true(has_direct(guest->mmu.read_table, L + i * 0x3000)); /* reading stays direct */
                assert_true(has_direct(guest->mmu.execute_table, L + i * 0x3000));
                w.count = 0;
                assert_true(mmu_write32(&guest->mmu, L + i * 0x3000 + 0x7e, 5)); /* touches the line */
                assert_int_equal(w.count, 1);
                assert_true(mmu_write32(&guest->mmu, L + i * 0x3000 + 0x70, 5)); /* beside it */
                assert_int_equal(w.count, 1);
                assert_false(has_direct(guest->mmu.write_table, L + i * 0x3000));
            }
        }
        mmu_set_class(&guest->mmu, MMU_SUPERVISOR);
        assert_true(has_direct(guest->mmu.write_table, L + 0x1000));
    }
    /* When the code is gone, writing becomes direct again, without a new walk. */
    memory_clear_code(guest->memory, 0x100);
    uint64_t fills = guest->stats.tlb_fills_write;
    assert_true(mmu_write32(&guest->mmu, L, 6));
    assert_true(has_direct(guest->mmu.write_table, L));
    assert_int_equal(guest->stats.tlb_fills_write, fills);
    guest_destroy(guest);
    (void)state;
}

static void display_pages_become_direct_after_the_first_write(void **state)
{
    struct guest *guest = guest_with_frames();
    assert_true(mmu_write32(&guest->mmu, 0x100000, 1));
    assert_true(has_direct(guest->mmu.write_table, 0x100000));
    memory_set_page_flag(guest->memory, 0x100, 1, PAGE_FLAG_DISPLAY);
    assert_false(has_direct(guest->mmu.write_table, 0x100000));
    assert_true(mmu_write32(&guest->mmu, 0x100000, 2));
    assert_int_equal(guest->memory->display_dirty[0x100], 1);
    assert_true(mmu_write32(&guest->mmu, 0x100000, 3));
    assert_true(has_direct(guest->mmu.write_table, 0x100000));
    guest_destroy(guest);
    (void)state;
}

/* A region moved over RAM or away: direct entries follow, translations stay. */
static void map_changes_take_direct_entries(void **state)
{
    struct guest *guest = guest_with_frames();
    struct recorder r;
    static uint8_t vram[0x2000], rom_image[0x1000];
    recorder_init(&r, 0, 0);
    struct memory_region device = {.name = "dev",
                                   .kind = REGION_DEVICE,
                                   .base = 0x100000,
                                   .size = 0x1000,
                                   .priority = 3,
                                   .ops = &r.ops,
                                   .opaque = &r};
    struct memory_region video = {
        .name = "vram", .kind = REGION_RAM, .base = 0x100000, .size = 0x2000, .priority = 2, .host = vram};
    struct memory_region rom = {
        .name = "rom", .kind = REGION_ROM, .base = 0x100000, .size = 0x1000, .priority = 4, .host = rom_image};
    memory_add_region(guest->memory, &device);
    memory_add_region(guest->memory, &video);
    memory_add_region(guest->memory, &rom);
    map32(guest, L, 0x100000 | PTE_P | PTE_W);
    start_paging32(guest, CR0_WP, 0);
    assert_true(mmu_write32(&guest->mmu, L, 7));
    uint64_t fills = guest->stats.tlb_fills_read;
    map32(guest, L, 0); /* so that a walk would show */

    memory_update_region(guest->memory, &video, 0x100000, true);
    assert_reads(guest, L, 32, 0);
    assert_true(mmu_write32(&guest->mmu, L, 8));
    assert_int_equal(vram[0], 8);
    assert_true(has_direct(guest->mmu.write_table, L)); /* a device's memory is direct too */
    memory_update_region(guest->memory, &device, 0x100000, true);
    assert_false(has_direct(guest->mmu.read_table, L));
    assert_reads(guest, L + 4, 32, 0x87868584);
    assert_true(mmu_write16(&guest->mmu, L + 2, 0x1234));
    assert_call(&r, 1, true, 2, 2, 0x1234);
    memory_update_region(guest->memory, &rom, 0x100000, true);
    memcpy(rom_image, "\x01\x02\x03\x04", 4);
    assert_reads(guest, L, 32, 0x04030201);
    assert_true(has_direct(guest->mmu.read_table, L));
    assert_true(mmu_write32(&guest->mmu, L, 0));
    assert_false(has_direct(guest->mmu.write_table, L));
    assert_reads(guest, L, 32, 0x04030201);
    memory_update_region(guest->memory, &rom, 0x100000, false);
    memory_update_region(guest->memory, &device, 0x100000, false);
    memory_update_region(guest->memory, &video, 0x100000, false);
    assert_reads(guest, L, 32, 7);
    assert_int_equal(guest->stats.tlb_fills_read, fills);
    memory_remove_region(guest->memory, &device);
    memory_remove_region(guest->memory, &video);
    memory_remove_region(guest->memory, &rom);
    guest_destroy(guest);
    (void)state;
}

/* RAM shown at another physical address shares its flags in both directions. */
static void shadowed_ram(void **state)
{
    struct guest *guest = guest_with_frames();
    struct written_journal w = {0};
    struct memory_region shadow = {.name = "shadow",
                                   .kind = REGION_RAM,
                                   .base = 0xfed00000,
                                   .size = 0x1000,
                                   .priority = 1,
                                   .enabled = true,
                                   .host = guest->memory->ram + 0x100000};
    memory_add_region(guest->memory, &shadow);
    memory_add_written_listener(guest->memory, note_written, &w);
    assert_true(mmu_write32(&guest->mmu, 0xfed00010, 0x55));
    assert_int_equal(ram32(guest, 0x100010), 0x55);
    assert_true(has_direct(guest->mmu.write_table, 0xfed00000));
    memory_mark_code(guest->memory, 0x100, 0, 64);
    assert_false(has_direct(guest->mmu.write_table, 0xfed00000));
    assert_true(mmu_write32(&guest->mmu, 0xfed00010, 0x56));
    assert_int_equal(w.count, 1);
    assert_int_equal(w.calls[0].page, 0x100);
    memory_clear_code(guest->memory, 0x100);
    assert_true(mmu_write32(&guest->mmu, 0xfed00010, 0x57));
    assert_true(has_direct(guest->mmu.write_table, 0xfed00000));
    memory_update_region(guest->memory, &shadow, 0xfed00000, false);
    assert_false(has_direct(guest->mmu.write_table, 0xfed00000));
    assert_reads(guest, 0xfed00010, 32, 0xffffffff);
    memory_remove_region(guest->memory, &shadow);
    guest_destroy(guest);
    (void)state;
}

static void *mark_from_another_thread(void *opaque)
{
    struct guest *guest = opaque;
    device_lock_acquire(&guest->lock);
    memory_set_page_flag(guest->memory, 0x100, 1, PAGE_FLAG_DISPLAY);
    device_lock_release(&guest->lock);
    return NULL;
}

static void *start_as_vcpu(void *opaque)
{
    struct guest *guest = opaque;
    mmu_apply_posted(&guest->mmu);
    memory_mark_code(guest->memory, 0x101, 0, 1); /* at once: this thread is the vCPU's now */
    assert_false(has_direct(guest->mmu.write_table, 0x101000));
    return NULL;
}

static void other_threads_post(void **state)
{
    struct guest *guest = guest_with_frames();
    pthread_t thread;
    assert_true(mmu_write32(&guest->mmu, 0x100000, 1));
    assert_int_equal(pthread_create(&thread, NULL, mark_from_another_thread, guest), 0);
    pthread_join(thread, NULL);
    assert_true(has_direct(guest->mmu.write_table, 0x100000)); /* tables are the vCPU's alone */
    mmu_apply_posted(&guest->mmu);
    assert_false(has_direct(guest->mmu.write_table, 0x100000));
    uint64_t generation = guest->mmu.generation;
    mmu_apply_posted(&guest->mmu);
    assert_int_equal(guest->mmu.generation, generation);
    mmu_post_flush(&guest->mmu);
    mmu_apply_posted(&guest->mmu);
    assert_true(guest->mmu.generation > generation);

    assert_true(mmu_write32(&guest->mmu, 0x101000, 1));
    assert_true(has_direct(guest->mmu.write_table, 0x101000));
    assert_int_equal(pthread_create(&thread, NULL, start_as_vcpu, guest), 0);
    pthread_join(thread, NULL);
    guest_destroy(guest);
    (void)state;
}

/* INVLPG and refill for ever: lists must not grow. */
static void lists_do_not_grow(void **state)
{
    struct guest *guest = guest_with_frames();
    map32(guest, L, 0x100000 | PTE_P | PTE_W);
    map32(guest, L + 0x1000, 0x101000 | PTE_P | PTE_W | PTE_G);
    start_paging32(guest, 0, CR4_PGE);
    for (unsigned i = 0; i < 3000000; i++) {
        assert_true(mmu_write8(&guest->mmu, L, 0));
        assert_true(mmu_write8(&guest->mmu, L + 0x1000, 0));
        mmu_invalidate_page(&guest->mmu, L);
        mmu_invalidate_page(&guest->mmu, L + 0x1000);
    }
    assert_true(mmu_set_cr3(&guest->mmu, PAGE_DIRECTORY));
    assert_true(mmu_write8(&guest->mmu, L, 0));
    guest_destroy(guest);
    (void)state;
}

/* Every linear page of the address space, then none. */
static void all_pages_fill_and_flush(void **state)
{
    struct guest *guest = guest_with_frames();
    for (uint64_t linear = 0; linear < (uint64_t)1 << 32; linear += PAGE_SIZE)
        assert_true(mmu_translate_execute(&guest->mmu, linear).ok);
    mmu_flush_all(&guest->mmu);
    for (uint64_t linear = 0; linear < (uint64_t)1 << 32; linear += PAGE_SIZE)
        assert_false(has_direct(guest->mmu.execute_table, (uint32_t)linear));
    guest_destroy(guest);
    (void)state;
}

static void load_state_starts_afresh(void **state)
{
    struct guest *guest = guest_with_frames();
    map64(guest, L, 0x100000 | PTE_P);
    for (unsigned i = 0; i < 4; i++)
        set_ram64(guest, PDPT + 8 * i, (PAE_DIRECTORIES + i * PAGE_SIZE) | PTE_P);
    assert_reads(guest, L, 32, 0);
    mmu_load_state(&guest->mmu, CR0_PE | CR0_PG, PDPT, CR4_PAE, 0);
    assert_reads(guest, L, 32, 0x100);
    mmu_load_state(&guest->mmu, 0, 0, 0, 0);
    assert_reads(guest, L, 32, 0);
    guest_destroy(guest);
    (void)state;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(stale_entries_are_kept),
        cmocka_unit_test(a_fault_drops_the_page),
        cmocka_unit_test(cr3_load_keeps_global_pages),
        cmocka_unit_test(one_translation_per_page_and_class),
        cmocka_unit_test(global_bit_taken_away),
        cmocka_unit_test(control_changes_flush),
        cmocka_unit_test(write_protect_follows_cr0),
        cmocka_unit_test(classes_are_apart),
        cmocka_unit_test(code_marks_reach_all_aliases),
        cmocka_unit_test(display_pages_become_direct_after_the_first_write),
        cmocka_unit_test(map_changes_take_direct_entries),
        cmocka_unit_test(shadowed_ram),
        cmocka_unit_test(other_threads_post),
        cmocka_unit_test(lists_do_not_grow),
        cmocka_unit_test(all_pages_fill_and_flush),
        cmocka_unit_test(load_state_starts_afresh),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

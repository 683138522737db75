/* The gate through which every write to RAM becomes known, and the page flags. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "guest.h"

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

static void gate_is_called_for_touched_code_lines(void **state)
{
    struct guest *guest = guest_create(RAM);
    struct memory *memory = guest->memory;
    struct written_journal w = {0};
    memory_add_written_listener(memory, note_written, &w);
    memory_mark_code(memory, 5, 0x7e, 4); /* lines 1 and 2 */
    assert_int_equal(memory->page_flags[5], PAGE_FLAG_CODE);
    assert_int_equal(memory->code_lines[5], 6);

    /* Every byte of the page, and the bytes beside it. */
    for (unsigned offset = 0; offset < PAGE_SIZE; offset++) {
        w.count = 0;
        memory_write(memory, 0x5000 + offset, 1, 0x90);
        assert_int_equal(w.count, offset >= 0x40 && offset < 0xc0);
    }
    w.count = 0;
    memory_write(memory, 0x4fff, 1, 0);
    memory_write(memory, 0x6000, 1, 0);
    assert_int_equal(w.count, 0);
    /* Straddling into the line. */
    memory_write(memory, 0x503e, 4, 0);
    assert_int_equal(w.count, 1);
    assert_int_equal(w.calls[0].page, 5);
    assert_int_equal(w.calls[0].offset, 0x3e);
    assert_int_equal(w.calls[0].length, 4);
    assert_int_equal(w.calls[0].flags, PAGE_FLAG_CODE);
    memory_write(memory, 0x503c, 4, 0); /* ends right before */
    memory_write(memory, 0x50c0, 8, 0); /* starts right after */
    assert_int_equal(w.count, 1);
    /* The other writers. */
    memory_write_bytes(memory, 0x4000, memory->ram + 0x100000, 0x3000);
    assert_int_equal(w.count, 2);
    assert_int_equal(w.calls[1].length, PAGE_SIZE);
    memory_poke_bytes(memory, 0x5080, "x", 1);
    assert_int_equal(w.count, 3);
    memory_write_bytes(memory, 0x5100, "abc", 3);
    assert_int_equal(w.count, 3);
    /* Marks add up; clearing forgets them. */
    memory_mark_code(memory, 5, 0xfff, 1);
    assert_int_equal(memory->code_lines[5], 6 | (uint64_t)1 << 63);
    memory_clear_code(memory, 5);
    assert_int_equal(memory->page_flags[5], 0);
    assert_int_equal(memory->code_lines[5], 0);
    memory_write(memory, 0x5080, 1, 0);
    assert_int_equal(w.count, 3);
    /* The whole page, more than the page, and pages that are none. */
    memory_mark_code(memory, 6, 0, PAGE_SIZE);
    assert_int_equal(memory->code_lines[6], UINT64_MAX);
    memory_mark_code(memory, 7, 0xfc0, 0x100);
    assert_int_equal(memory->code_lines[7], (uint64_t)1 << 63);
    memory_mark_code(memory, RAM >> PAGE_SHIFT, 0, 1);
    memory_clear_code(memory, UINT64_MAX);
    guest_destroy(guest);
    (void)state;
}

static void listener_sees_new_bytes(void *opaque, uint64_t page, unsigned offset, unsigned length, unsigned flags)
{
    struct guest *guest = opaque;
    assert_int_equal(guest->memory->ram[(page << PAGE_SHIFT) + offset], 0x77);
    (void)length;
    (void)flags;
}

static void listeners_come_after_the_bytes(void **state)
{
    struct guest *guest = guest_create(RAM);
    memory_add_written_listener(guest->memory, listener_sees_new_bytes, guest);
    memory_mark_code(guest->memory, 1, 0, PAGE_SIZE);
    memory_write(guest->memory, 0x1010, 1, 0x77);
    memory_write_bytes(guest->memory, 0x1020, "\x77", 1);
    memory_poke_bytes(guest->memory, 0x1030, "\x77", 1);
    assert_int_equal(guest->stats.code_page_writes, 3);
    guest_destroy(guest);
    (void)state;
}

/* Chip sets show RAM in other places: the flags are those of the RAM. */
static void alias_of_ram_honours_its_flags(void **state)
{
    struct guest *guest = guest_create(RAM);
    struct memory *memory = guest->memory;
    struct written_journal w = {0};
    struct memory_region shadow = {.name = "shadow",
                                   .kind = REGION_RAM,
                                   .base = 0xfed00000,
                                   .size = 0x2000,
                                   .priority = 1,
                                   .enabled = true,
                                   .host = memory->ram + 0x30000};
    static uint8_t device_ram[0x1000];
    struct memory_region vga = {.name = "vga",
                                .kind = REGION_RAM,
                                .base = 0xa0000,
                                .size = 0x1000,
                                .priority = 1,
                                .enabled = true,
                                .host = device_ram};
    memory_add_region(memory, &shadow);
    memory_add_region(memory, &vga);
    memory_add_written_listener(memory, note_written, &w);
    memory_mark_code(memory, 0x31, 0x100, 4);
    memory_write(memory, 0xfed01100, 4, 0x12345678);
    assert_int_equal(ram32(guest, 0x31100), 0x12345678);
    assert_int_equal(w.count, 1);
    assert_int_equal(w.calls[0].page, 0x31);
    assert_int_equal(w.calls[0].offset, 0x100);
    memory_write_bytes(memory, 0xfed01102, "ab", 2);
    assert_int_equal(w.count, 2);
    /* RAM hidden by a device's memory is not what is written. */
    memory_mark_code(memory, 0xa0, 0, 64);
    memory_write(memory, 0xa0000, 4, 1);
    assert_int_equal(w.count, 2);
    assert_int_equal(device_ram[0], 1);
    memory_remove_region(memory, &shadow);
    memory_remove_region(memory, &vga);
    guest_destroy(guest);
    (void)state;
}

static void display_pages_are_marked_once(void **state)
{
    struct guest *guest = guest_create(RAM);
    struct memory *memory = guest->memory;
    struct written_journal w = {0};
    struct map_journal map = {0};
    memory_add_written_listener(memory, note_written, &w);
    memory_add_map_listener(memory, note_map, &map);
    memory_set_page_flag(memory, 16, 2, PAGE_FLAG_DISPLAY);
    assert_int_equal(map.count, 2);
    assert_int_equal(map.pages[1], 17);
    memory_set_page_flag(memory, 16, 2, PAGE_FLAG_DISPLAY); /* nothing new */
    assert_int_equal(map.count, 2);
    memory_write(memory, 0x10004, 4, 1);
    assert_int_equal(memory->display_dirty[16], 1);
    assert_int_equal(memory->display_dirty[17], 0);
    assert_int_equal(memory->page_flags[16], 0);
    assert_int_equal(w.count, 1);
    assert_int_equal(w.calls[0].flags, PAGE_FLAG_DISPLAY);
    memory_write(memory, 0x10004, 4, 1);
    assert_int_equal(w.count, 1);
    /* With code on the page elsewhere only the display is told. */
    memory_mark_code(memory, 17, 0, 1);
    memory_write(memory, 0x11800, 1, 1);
    assert_int_equal(w.count, 2);
    assert_int_equal(w.calls[1].flags, PAGE_FLAG_DISPLAY);
    assert_int_equal(memory->page_flags[17], PAGE_FLAG_CODE);
    /* Many pages are told as "everything"; pages beyond RAM are not touched. */
    map.count = 0;
    memory_set_page_flag(memory, 0, UINT64_MAX, PAGE_FLAG_DISPLAY);
    assert_int_equal(map.count, 1);
    assert_int_equal(map.pages[0], UINT64_MAX);
    assert_int_equal(memory->page_flags[(RAM >> PAGE_SHIFT) - 1], PAGE_FLAG_DISPLAY);
    memory_set_page_flag(memory, RAM >> PAGE_SHIFT, 1, PAGE_FLAG_DISPLAY);
    guest_destroy(guest);
    (void)state;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(gate_is_called_for_touched_code_lines),
        cmocka_unit_test(listeners_come_after_the_bytes),
        cmocka_unit_test(alias_of_ram_honours_its_flags),
        cmocka_unit_test(display_pages_are_marked_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

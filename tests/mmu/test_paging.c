/* The walker: rights, fault codes, accessed and dirty bits, page sizes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "guest.h"

#define RAM (16 * MIB)
#define L   0x00400000u /* a linear page with a table of its own */

static bool read_ok(struct guest *guest, uint32_t linear)
{
    return mmu_read8(&guest->mmu, linear).ok;
}

static bool write_ok(struct guest *guest, uint32_t linear)
{
    return mmu_write8(&guest->mmu, linear, 0xcc);
}

static bool fetch_ok(struct guest *guest, uint32_t linear)
{
    return mmu_translate_execute(&guest->mmu, linear).ok;
}

static void without_paging_linear_is_physical(void **state)
{
    struct guest *guest = guest_create(RAM);
    set_ram32(guest, 0x123450, 0xcafebabe);
    assert_reads(guest, 0x123450, 32, 0xcafebabe);
    mmu_set_class(&guest->mmu, MMU_USER); /* ring 3 without paging has all rights */
    assert_reads(guest, 0x123450, 32, 0xcafebabe);
    assert_true(mmu_write32(&guest->mmu, 0x123450, 1));
    assert_int_equal(ram32(guest, 0x123450), 1);
    struct mmu_result result = mmu_translate_execute(&guest->mmu, 0x123456);
    assert_true(result.ok);
    assert_int_equal(result.value, 0x123456);
    assert_reads(guest, 0xfffffff0, 32, 0xffffffff);
    guest_destroy(guest);
    (void)state;
}

static void a20_masks_physical_addresses(void **state)
{
    struct guest *guest = guest_create(RAM);
    set_ram32(guest, 0x500, 1);
    set_ram32(guest, 0x100500, 2);
    assert_reads(guest, 0x100500, 32, 2);
    mmu_set_a20(&guest->mmu, false);
    assert_reads(guest, 0x100500, 32, 1);
    assert_int_equal(mmu_translate_execute(&guest->mmu, 0x100500).value, 0x500);
    assert_true(mmu_write32(&guest->mmu, 0x100500, 3));
    assert_int_equal(ram32(guest, 0x500), 3);
    mmu_set_a20(&guest->mmu, true);
    assert_reads(guest, 0x100500, 32, 2);
    /* With paging too, table addresses included. */
    map32(guest, L, 0x100000 | PTE_P | PTE_W);
    map32(guest, L + 0x1000, 0x305000 | PTE_P | PTE_W);
    start_paging32(guest, 0, 0);
    assert_reads(guest, L + 0x500, 32, 2);
    mmu_set_a20(&guest->mmu, false);
    assert_reads(guest, L + 0x500, 32, 3);
    set_ram32(guest, 0x205000, 0x77);
    assert_reads(guest, L + 0x1000, 32, 0x77);
    uint64_t physical;
    assert_true(mmu_translate_debug(&guest->mmu, L + 0x1004, &physical));
    assert_int_equal(physical, 0x205004);
    guest_destroy(guest);
    (void)state;
}

static void fault_codes_of_not_present(void **state)
{
    struct guest *guest = guest_create(RAM);
    start_paging32(guest, CR0_WP, 0);
    for (unsigned level = 0; level < 2; level++) {
        if (level)
            map32(guest, L, 0);
        mmu_set_class(&guest->mmu, MMU_SUPERVISOR);
        assert_page_fault(guest, read_ok(guest, L + 0x123), 0, L + 0x123);
        assert_page_fault(guest, write_ok(guest, L + 0x123), PF_WRITE, L + 0x123);
        assert_page_fault(guest, fetch_ok(guest, L + 0x123), 0, L + 0x123);
        mmu_set_class(&guest->mmu, MMU_USER);
        assert_page_fault(guest, read_ok(guest, L + 0x123), PF_USER, L + 0x123);
        assert_page_fault(guest, write_ok(guest, L + 0x123), PF_USER | PF_WRITE, L + 0x123);
        assert_page_fault(guest, fetch_ok(guest, L + 0x123), PF_USER, L + 0x123);
        /* Descriptor tables are reached as supervisor from anywhere. */
        assert_page_fault(guest, mmu_read_system(&guest->mmu, L, 4).ok, 0, L);
        assert_page_fault(guest, mmu_write_system(&guest->mmu, L, 4, 0), PF_WRITE, L);
    }
    guest_destroy(guest);
    (void)state;
}

/* All combinations of R/W and U/S in both levels, WP, class and access. */
static void rights_of_both_levels_are_combined(void **state)
{
    for (unsigned bits = 0; bits < 32; bits++) {
        struct guest *guest = guest_create(RAM);
        uint32_t pde = (bits & 1 ? PTE_W : 0) | (bits & 2 ? PTE_U : 0);
        uint32_t pte = (bits & 4 ? PTE_W : 0) | (bits & 8 ? PTE_U : 0);
        bool wp = bits & 16, writable = pde & pte & PTE_W, user = pde & pte & PTE_U;
        map32(guest, L, 0x5000 | PTE_P | pte);
        set_ram32(guest, pde32(L), (ram32(guest, pde32(L)) & 0xfffff000u) | PTE_P | pde);
        start_paging32(guest, wp ? CR0_WP : 0, 0);

        assert_true(read_ok(guest, L));
        assert_true(fetch_ok(guest, L));
        if (writable || !wp)
            assert_true(write_ok(guest, L));
        else
            assert_page_fault(guest, write_ok(guest, L), PF_PRESENT | PF_WRITE, L);
        mmu_set_class(&guest->mmu, MMU_USER);
        if (user) {
            assert_true(read_ok(guest, L));
            assert_true(fetch_ok(guest, L));
        } else {
            assert_page_fault(guest, read_ok(guest, L), PF_PRESENT | PF_USER, L);
            assert_page_fault(guest, fetch_ok(guest, L), PF_PRESENT | PF_USER, L);
        }
        if (user && writable)
            assert_true(write_ok(guest, L));
        else
            assert_page_fault(guest, write_ok(guest, L), PF_PRESENT | PF_USER | PF_WRITE, L);
        assert_true(mmu_read_system(&guest->mmu, L, 4).ok);
        guest_destroy(guest);
    }
    (void)state;
}

static void accessed_and_dirty_bits(void **state)
{
    struct guest *guest = guest_create(RAM);
    map32(guest, L, 0x5000 | PTE_P | PTE_W | PTE_U);
    uint64_t pte = pte32(guest, L), pde = pde32(L);
    start_paging32(guest, CR0_WP, 0);
    assert_int_equal(ram32(guest, pte) & (PTE_A | PTE_D), 0);
    assert_true(read_ok(guest, L));
    assert_int_equal(ram32(guest, pte) & (PTE_A | PTE_D), PTE_A);
    assert_int_equal(ram32(guest, pde) & (PTE_A | PTE_D), PTE_A);
    assert_false(has_direct(guest->mmu.write_table, L)); /* clean: no write entry yet */
    assert_true(write_ok(guest, L));
    assert_int_equal(ram32(guest, pte) & (PTE_A | PTE_D), PTE_A | PTE_D);
    assert_int_equal(ram32(guest, pde) & PTE_D, 0);
    assert_true(has_direct(guest->mmu.write_table, L));
    /* A fetch sets A alone. */
    map32(guest, L + 0x1000, 0x6000 | PTE_P | PTE_W);
    assert_true(fetch_ok(guest, L + 0x1000));
    assert_int_equal(ram32(guest, pte + 4) & (PTE_A | PTE_D), PTE_A);
    /* Already dirty: reading is enough for the write entry. */
    map32(guest, L + 0x2000, 0x7000 | PTE_P | PTE_W | PTE_D);
    assert_true(read_ok(guest, L + 0x2000));
    assert_true(has_direct(guest->mmu.write_table, L + 0x2000));
    /* A fault marks neither the directory entry nor the page's. */
    map32(guest, L + 0x3000, 0x8000 | PTE_P);
    set_ram32(guest, pde, ram32(guest, pde) & ~PTE_A);
    assert_false(write_ok(guest, L + 0x3000));
    assert_int_equal(ram32(guest, pte + 12) & (PTE_A | PTE_D), 0);
    assert_int_equal(ram32(guest, pde) & PTE_A, 0);
    /* The debugger leaves no trace and needs no right. */
    mmu_set_class(&guest->mmu, MMU_USER);
    uint64_t physical;
    set_ram32(guest, pde, ram32(guest, pde) & ~PTE_A);
    assert_true(mmu_translate_debug(&guest->mmu, L + 0x3456, &physical));
    assert_int_equal(physical, 0x8456);
    assert_int_equal(ram32(guest, pte + 12) & PTE_A, 0);
    assert_int_equal(ram32(guest, pde) & PTE_A, 0);
    assert_false(mmu_translate_debug(&guest->mmu, L + 0x400000, &physical));
    guest_destroy(guest);
    (void)state;
}

static void marking_goes_through_the_gate(void **state)
{
    struct guest *guest = guest_create(RAM);
    struct written_journal w = {0};
    map32(guest, L, 0x5000 | PTE_P | PTE_W);
    uint64_t pte = pte32(guest, L);
    memory_add_written_listener(guest->memory, note_written, &w);
    start_paging32(guest, 0, 0);
    memory_mark_code(guest->memory, pte >> PAGE_SHIFT, pte & PAGE_MASK, 4);
    memory_mark_code(guest->memory, PAGE_DIRECTORY >> PAGE_SHIFT, 0x800, 1); /* another line */
    assert_true(read_ok(guest, L));
    assert_int_equal(w.count, 1);
    assert_int_equal(w.calls[0].page, pte >> PAGE_SHIFT);
    assert_int_equal(w.calls[0].offset, pte & PAGE_MASK);
    assert_int_equal(w.calls[0].length, 4);
    assert_true(write_ok(guest, L));
    assert_int_equal(w.count, 2);
    mmu_flush_all(&guest->mmu);
    assert_true(write_ok(guest, L)); /* all set: no write */
    assert_int_equal(w.count, 2);
    guest_destroy(guest);
    (void)state;
}

static void four_mib_pages(void **state)
{
    struct guest *guest = guest_create(RAM);
    set_ram32(guest, pde32(L), 0x00800000 | PTE_P | PTE_W | PTE_PS);
    set_ram32(guest, 0x00800000 + 0x3ff000, 0x11223344);
    start_paging32(guest, CR0_WP, CR4_PSE);
    assert_reads(guest, L + 0x3ff000, 32, 0x11223344);
    assert_int_equal(ram32(guest, pde32(L)) & (PTE_A | PTE_D), PTE_A);
    assert_true(write_ok(guest, L + 0x12345));
    assert_int_equal(guest->memory->ram[0x812345], 0xcc);
    assert_int_equal(ram32(guest, pde32(L)) & (PTE_A | PTE_D), PTE_A | PTE_D);
    mmu_set_class(&guest->mmu, MMU_USER);
    assert_page_fault(guest, read_ok(guest, L), PF_PRESENT | PF_USER, L);
    mmu_set_class(&guest->mmu, MMU_SUPERVISOR);
    /* INVLPG anywhere in the page takes the pieces of all of it (as the fault did). */
    assert_true(read_ok(guest, L + 0x3ff000));
    assert_true(write_ok(guest, L + 0x12345));
    assert_true(has_direct(guest->mmu.read_table, L + 0x3ff000));
    mmu_invalidate_page(&guest->mmu, L + 0x5000);
    assert_false(has_direct(guest->mmu.read_table, L + 0x3ff000));
    assert_false(has_direct(guest->mmu.write_table, L + 0x12345));
    /* Without CR4.PSE the bit means nothing. */
    set_ram32(guest, 0x00800000, 0x00006000 | PTE_P);
    set_ram32(guest, 0x6000, 0x99);
    assert_true(mmu_set_control(&guest->mmu, CR0_PE | CR0_PG, 0, 0));
    assert_reads(guest, L, 32, 0x99);
    guest_destroy(guest);
    (void)state;
}

static void reserved_bits_of_four_mib_pages(void **state)
{
    struct guest *guest = guest_create(RAM);
    start_paging32(guest, CR0_WP, CR4_PSE);
    for (unsigned pse36 = 0; pse36 < 2; pse36++) {
        guest->mmu.has_pse36 = pse36;
        guest->mmu.physical_mask = 0xfffffffffu; /* 36 bits: PDE 16:13 are address bits 35:32 */
        for (unsigned bit = 12; bit <= 21; bit++) {
            mmu_flush_all(&guest->mmu);
            set_ram32(guest, pde32(L), 0x00800000 | PTE_P | PTE_PS | PTE_U | 1u << bit);
            bool reserved = bit == 12 ? false : pse36 ? bit >= 17 : true;
            mmu_set_class(&guest->mmu, MMU_USER);
            if (reserved) {
                assert_page_fault(guest, read_ok(guest, L), PF_PRESENT | PF_USER | PF_RESERVED, L);
                assert_page_fault(guest, write_ok(guest, L), PF_PRESENT | PF_USER | PF_RESERVED | PF_WRITE, L);
                mmu_set_class(&guest->mmu, MMU_SUPERVISOR);
                assert_page_fault(guest, read_ok(guest, L + 5), PF_PRESENT | PF_RESERVED, L + 5);
                assert_int_equal(ram32(guest, pde32(L)) & PTE_A, 0);
            } else {
                assert_true(read_ok(guest, L));
                uint64_t high = bit == 12 ? 0 : (uint64_t)1 << (32 + bit - 13);
                assert_int_equal(mmu_translate_execute(&guest->mmu, L + 0x123).value, high | 0x800123);
            }
        }
    }
    guest_destroy(guest);
    (void)state;
}

static void pae_pages(void **state)
{
    struct guest *guest = guest_create(RAM);
    uint32_t linear = 0xc0401000u;
    map64(guest, linear, 0x5000 | PTE_P | PTE_W);
    set_ram64(guest, pde64(0x40000000), 0x00a00000 | PTE_P | PTE_W | PTE_U | PTE_PS);
    start_paging64(guest, CR0_WP, 0, 0);
    set_ram32(guest, 0x5010, 0xfeedface);
    assert_reads(guest, linear + 0x10, 32, 0xfeedface);
    assert_int_equal(ram64(guest, pte64(guest, linear)) & (PTE_A | PTE_D), PTE_A);
    assert_int_equal(ram64(guest, pde64(linear)) & (PTE_A | PTE_D), PTE_A);
    assert_int_equal(ram64(guest, PDPT + 24) & PTE_A, 0); /* PDPTEs have no accessed bit */
    assert_true(write_ok(guest, linear));
    assert_int_equal(ram64(guest, pte64(guest, linear)) & (PTE_A | PTE_D), PTE_A | PTE_D);
    /* 2 MiB, CR4.PSE not needed */
    assert_true(write_ok(guest, 0x401fffffu));
    assert_int_equal(guest->memory->ram[0xbfffff], 0xcc);
    assert_int_equal(ram64(guest, pde64(0x40000000)) & (PTE_A | PTE_D), PTE_A | PTE_D);
    mmu_invalidate_page(&guest->mmu, 0x40000000u);
    assert_false(has_direct(guest->mmu.write_table, 0x401ff000u));
    assert_true(has_direct(guest->mmu.write_table, linear));
    /* Not present at each level. */
    assert_page_fault(guest, read_ok(guest, linear + 0x1000), 0, linear + 0x1000);
    assert_page_fault(guest, read_ok(guest, linear + 0x200000), 0, linear + 0x200000);
    guest->mmu.pdpte[2] = 0;
    assert_page_fault(guest, write_ok(guest, 0x80000000u), PF_WRITE, 0x80000000u);
    /* A physical address above 4 GiB. */
    map64(guest, linear + 0x2000, 0x800005000 | PTE_P);
    assert_int_equal(mmu_translate_execute(&guest->mmu, linear + 0x2004).value, 0x800005004);
    assert_reads(guest, linear + 0x2004, 32, 0xffffffff);
    guest_destroy(guest);
    (void)state;
}

static void pae_reserved_bits(void **state)
{
    struct guest *guest = guest_create(RAM);
    uint32_t linear = 0x00401000u, large = 0x00800000u;
    map64(guest, linear, 0);
    uint64_t pde = ram64(guest, pde64(linear));
    start_paging64(guest, CR0_WP, 0, 0);
    for (unsigned bit = 12; bit < 64; bit++) {
        bool reserved = bit >= 36;
        mmu_flush_all(&guest->mmu);
        map64(guest, linear, 0x5000 | PTE_P | (uint64_t)1 << bit);
        if (reserved)
            assert_page_fault(guest, read_ok(guest, linear), PF_PRESENT | PF_RESERVED, linear);
        else
            assert_true(read_ok(guest, linear));
        map64(guest, linear, 0x5000 | PTE_P);
        set_ram64(guest, pde64(linear), pde | (uint64_t)1 << bit);
        if (reserved) {
            assert_page_fault(guest, write_ok(guest, linear), PF_PRESENT | PF_RESERVED | PF_WRITE, linear);
            assert_int_equal(ram64(guest, pde64(linear)) & PTE_A, 0);
        }
        set_ram64(guest, pde64(linear), pde);
        set_ram64(guest, pde64(large), PTE_P | PTE_PS | (uint64_t)1 << bit);
        if (reserved || (bit >= 13 && bit <= 20))
            assert_page_fault(guest, fetch_ok(guest, large), PF_PRESENT | PF_RESERVED, large);
        else
            assert_true(fetch_ok(guest, large));
    }
    guest_destroy(guest);
    (void)state;
}

static void no_execute(void **state)
{
    struct guest *guest = guest_create(RAM);
    uint32_t linear = 0x00401000u;
    map64(guest, linear, 0x5000 | PTE_P | PTE_W | PTE_U | PTE_NX);
    map64(guest, linear + 0x1000, 0x6000 | PTE_P | PTE_W | PTE_U);
    start_paging64(guest, CR0_WP, 0, EFER_NXE);
    assert_true(read_ok(guest, linear));
    assert_true(write_ok(guest, linear));
    assert_page_fault(guest, fetch_ok(guest, linear), PF_PRESENT | PF_FETCH, linear);
    assert_true(read_ok(guest, linear));
    assert_true(fetch_ok(guest, linear + 0x1000));
    mmu_set_class(&guest->mmu, MMU_USER);
    assert_page_fault(guest, fetch_ok(guest, linear), PF_PRESENT | PF_USER | PF_FETCH, linear);
    assert_page_fault(guest, fetch_ok(guest, linear + 0x2000), PF_USER | PF_FETCH, linear + 0x2000);
    /* In the directory it covers all below. */
    mmu_flush_all(&guest->mmu);
    set_ram64(guest, pde64(linear), ram64(guest, pde64(linear)) | PTE_NX);
    assert_page_fault(guest, fetch_ok(guest, linear + 0x1000), PF_PRESENT | PF_USER | PF_FETCH, linear + 0x1000);
    assert_true(read_ok(guest, linear + 0x1000));
    /* Without EFER.NXE the bit is reserved and fetches are reads. */
    assert_true(mmu_set_control(&guest->mmu, guest->mmu.cr0, guest->mmu.cr4, 0));
    assert_page_fault(guest, fetch_ok(guest, linear), PF_PRESENT | PF_USER | PF_RESERVED, linear);
    assert_page_fault(guest, read_ok(guest, linear), PF_PRESENT | PF_USER | PF_RESERVED, linear);
    guest_destroy(guest);
    (void)state;
}

static void supervisor_mode_execution_prevention(void **state)
{
    struct guest *guest = guest_create(RAM);
    map32(guest, L, 0x5000 | PTE_P | PTE_U);
    map32(guest, L + 0x1000, 0x5000 | PTE_P);
    start_paging32(guest, CR0_WP, CR4_SMEP);
    assert_page_fault(guest, fetch_ok(guest, L), PF_PRESENT | PF_FETCH, L);
    assert_true(fetch_ok(guest, L + 0x1000));
    assert_true(read_ok(guest, L));
    mmu_set_class(&guest->mmu, MMU_USER);
    assert_true(fetch_ok(guest, L));
    guest_destroy(guest);
    (void)state;
}

static void pdptes_are_loaded_and_checked(void **state)
{
    struct guest *guest = guest_create(RAM);
    map64(guest, 0, 0x5000 | PTE_P);
    start_paging64(guest, 0, 0, 0);
    assert_true(read_ok(guest, 0));
    /* Registers: changing memory changes nothing until CR3 is loaded. */
    set_ram64(guest, PDPT, 0);
    mmu_flush_all(&guest->mmu);
    assert_true(read_ok(guest, 0));
    assert_true(mmu_set_cr3(&guest->mmu, PDPT));
    assert_page_fault(guest, read_ok(guest, 0), 0, 0);
    /* Reserved bits are #GP, and nothing changes; in an absent entry they are free. */
    set_ram64(guest, PDPT, 0x1fe | PTE_NX);
    assert_true(mmu_set_cr3(&guest->mmu, PDPT));
    for (unsigned bit = 1; bit < 64; bit++) {
        bool reserved = bit == 1 || bit == 2 || (bit >= 5 && bit <= 8) || bit >= 36;
        set_ram64(guest, PDPT, PAE_DIRECTORIES | PTE_P);
        assert_true(mmu_set_cr3(&guest->mmu, PDPT));
        set_ram64(guest, PDPT, (PAE_DIRECTORIES | PTE_P) | (uint64_t)1 << bit);
        assert_int_equal(mmu_set_cr3(&guest->mmu, PDPT + 0x20), true); /* another table: absent entries */
        uint64_t before = guest->mmu.pdpte[0];
        assert_int_equal(mmu_set_cr3(&guest->mmu, PDPT), !reserved);
        if (reserved) {
            assert_int_equal(guest->mmu.cr3, PDPT + 0x20);
            assert_int_equal(guest->mmu.pdpte[0], before);
        }
    }
    /* Turning paging on loads them as well and can fail. */
    uint32_t cr0 = guest->mmu.cr0, cr4 = guest->mmu.cr4;
    assert_true(mmu_set_control(&guest->mmu, cr0 & ~CR0_PG, cr4, 0));
    set_ram64(guest, PDPT, PAE_DIRECTORIES | PTE_P | 2);
    assert_true(mmu_set_cr3(&guest->mmu, PDPT)); /* not read while paging is off */
    assert_false(mmu_set_control(&guest->mmu, cr0, cr4, 0));
    assert_int_equal(guest->mmu.cr0, cr0 & ~CR0_PG);
    set_ram64(guest, PDPT, PAE_DIRECTORIES | PTE_P);
    assert_true(mmu_set_control(&guest->mmu, cr0, cr4, 0));
    assert_true(read_ok(guest, 0));
    /* A change of CR4.PGE reloads, one of CR0.WP does not. */
    set_ram64(guest, PDPT, 0);
    assert_true(mmu_set_control(&guest->mmu, cr0 ^ CR0_WP, cr4, 0));
    assert_true(read_ok(guest, 0));
    assert_true(mmu_set_control(&guest->mmu, cr0 ^ CR0_WP, cr4 ^ CR4_PGE, 0));
    assert_false(read_ok(guest, 0));
    guest_destroy(guest);
    (void)state;
}

static void tables_outside_ram(void **state)
{
    struct guest *guest = guest_create(RAM);
    static uint8_t rom_image[0x1000];
    struct memory_region rom = {.name = "rom",
                                .kind = REGION_ROM,
                                .base = 0xfffff000,
                                .size = 0x1000,
                                .priority = 1,
                                .enabled = true,
                                .host = rom_image};
    struct recorder r;
    recorder_init(&r, 0, 0);
    struct memory_region device = {.name = "dev",
                                   .kind = REGION_DEVICE,
                                   .base = 0xd0000000,
                                   .size = 0x1000,
                                   .priority = 1,
                                   .enabled = true,
                                   .ops = &r.ops,
                                   .opaque = &r};
    memory_add_region(guest->memory, &rom);
    memory_add_region(guest->memory, &device);
    /* A table in ROM maps, and its bits cannot be set. */
    const uint32_t pte = 0x5000 | PTE_P | PTE_W;
    memcpy(rom_image + 4, &pte, 4);
    set_ram32(guest, pde32(L), 0xfffff000u | PTE_P | PTE_W);
    start_paging32(guest, 0, 0);
    assert_true(write_ok(guest, L + 0x1000));
    assert_int_equal(guest->memory->ram[0x5000], 0xcc);
    assert_memory_equal(rom_image + 4, &pte, 4);
    /* One in a device: entry 0x20 reads 0xa3a2a1a0, not present. The debugger does not ask the device. */
    set_ram32(guest, pde32(L + 0x400000), 0xd0000000u | PTE_P);
    uint64_t physical;
    assert_false(mmu_translate_debug(&guest->mmu, L + 0x408000, &physical));
    assert_int_equal(r.count, 0);
    assert_page_fault(guest, read_ok(guest, L + 0x408000), 0, L + 0x408000);
    assert_int_equal(r.count, 1);
    /* Nothing there reads as ones: present, writable, user, the last page of the 4 GiB: the ROM. */
    set_ram32(guest, pde32(L + 0x800000), 0xe0000000u | PTE_P | PTE_U);
    mmu_set_class(&guest->mmu, MMU_USER);
    assert_reads(guest, L + 0x800004, 32, pte);
    memory_remove_region(guest->memory, &rom);
    memory_remove_region(guest->memory, &device);
    guest_destroy(guest);
    (void)state;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(without_paging_linear_is_physical),
        cmocka_unit_test(a20_masks_physical_addresses),
        cmocka_unit_test(fault_codes_of_not_present),
        cmocka_unit_test(rights_of_both_levels_are_combined),
        cmocka_unit_test(accessed_and_dirty_bits),
        cmocka_unit_test(marking_goes_through_the_gate),
        cmocka_unit_test(four_mib_pages),
        cmocka_unit_test(reserved_bits_of_four_mib_pages),
        cmocka_unit_test(pae_pages),
        cmocka_unit_test(pae_reserved_bits),
        cmocka_unit_test(no_execute),
        cmocka_unit_test(supervisor_mode_execution_prevention),
        cmocka_unit_test(pdptes_are_loaded_and_checked),
        cmocka_unit_test(tables_outside_ram),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

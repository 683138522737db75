/* A guest without a processor: memory, an MMU, and page tables made by hand. Include after cmocka.h. */
#ifndef DRAGOMAN_TESTS_MMU_GUEST_H
#define DRAGOMAN_TESTS_MMU_GUEST_H

#include "mmu/access.h"
#include "mmu/access_log.h"
#include "mmu/memory.h"
#include "mmu/mmu.h"

#include <stdlib.h>
#include <string.h>

#define MIB ((uint64_t)1 << 20)

#define CR0_PE   0x00000001u
#define CR0_WP   0x00010000u
#define CR0_PG   0x80000000u
#define CR4_PSE  0x10u
#define CR4_PAE  0x20u
#define CR4_PGE  0x80u
#define CR4_SMEP 0x100000u
#define EFER_NXE 0x800u

#define PTE_P  0x001u
#define PTE_W  0x002u
#define PTE_U  0x004u
#define PTE_A  0x020u
#define PTE_D  0x040u
#define PTE_PS 0x080u
#define PTE_G  0x100u
#define PTE_NX ((uint64_t)1 << 63)

struct guest {
    struct device_lock lock;
    struct log log;
    struct stats stats;
    struct memory *memory;
    struct mmu mmu;
};

static inline struct guest *guest_create(uint64_t ram_size)
{
    struct guest *guest = calloc(1, sizeof *guest);
    struct error err;
    assert_non_null(guest);
    device_lock_init(&guest->lock);
    log_init(&guest->log);
    guest->memory = memory_create(ram_size, &guest->lock, &guest->log, &guest->stats, &err);
    assert_non_null(guest->memory);
    assert_true(mmu_init(&guest->mmu, guest->memory, &err));
    return guest;
}

static inline void guest_destroy(struct guest *guest)
{
    mmu_finish(&guest->mmu);
    memory_destroy(guest->memory);
    log_finish(&guest->log);
    device_lock_finish(&guest->lock);
    free(guest);
}

static inline uint32_t ram32(struct guest *guest, uint64_t address)
{
    uint32_t value;
    memcpy(&value, guest->memory->ram + address, 4);
    return value;
}

static inline void set_ram32(struct guest *guest, uint64_t address, uint32_t value)
{
    memcpy(guest->memory->ram + address, &value, 4);
}

static inline uint64_t ram64(struct guest *guest, uint64_t address)
{
    uint64_t value;
    memcpy(&value, guest->memory->ram + address, 8);
    return value;
}

static inline void set_ram64(struct guest *guest, uint64_t address, uint64_t value)
{
    memcpy(guest->memory->ram + address, &value, 8);
}

/* ---- page tables: directories at fixed places, tables handed out behind them ---- */

#define PAGE_DIRECTORY  0x10000u /* 32-bit: one page */
#define PDPT            0x11020u /* PAE: 32 bytes, not page-aligned */
#define PAE_DIRECTORIES 0x12000u /* four pages */
#define FIRST_TABLE     0x20000u

/* The table that an entry points to; makes one with all rights where there is none. */
static inline uint64_t table_below(struct guest *guest, uint64_t entry, unsigned size)
{
    uint64_t value = size == 8 ? ram64(guest, entry) : ram32(guest, entry);
    if (!(value & PTE_P)) {
        /* FIRST_TABLE's own first word counts the tables. */
        uint32_t count = ram32(guest, FIRST_TABLE) + 1;
        set_ram32(guest, FIRST_TABLE, count);
        value = (FIRST_TABLE + count * PAGE_SIZE) | PTE_P | PTE_W | PTE_U;
        if (size == 8)
            set_ram64(guest, entry, value);
        else
            set_ram32(guest, entry, (uint32_t)value);
    }
    return value & 0xfffff000u;
}

static inline uint64_t pde32(uint32_t linear)
{
    return PAGE_DIRECTORY + (linear >> 22) * 4;
}

static inline uint64_t pte32(struct guest *guest, uint32_t linear)
{
    return table_below(guest, pde32(linear), 4) + ((linear >> 12) & 0x3ff) * 4;
}

static inline uint64_t pde64(uint32_t linear)
{
    return PAE_DIRECTORIES + (linear >> 21) * 8;
}

static inline uint64_t pte64(struct guest *guest, uint32_t linear)
{
    return table_below(guest, pde64(linear), 8) + ((linear >> 12) & 0x1ff) * 8;
}

static inline void map32(struct guest *guest, uint32_t linear, uint32_t entry)
{
    set_ram32(guest, pte32(guest, linear), entry);
}

static inline void map64(struct guest *guest, uint32_t linear, uint64_t entry)
{
    set_ram64(guest, pte64(guest, linear), entry);
}

static inline void start_paging32(struct guest *guest, uint32_t cr0, uint32_t cr4)
{
    assert_true(mmu_set_cr3(&guest->mmu, PAGE_DIRECTORY));
    assert_true(mmu_set_control(&guest->mmu, CR0_PE | CR0_PG | cr0, cr4, 0));
}

static inline void start_paging64(struct guest *guest, uint32_t cr0, uint32_t cr4, uint64_t efer)
{
    for (unsigned i = 0; i < 4; i++)
        set_ram64(guest, PDPT + 8 * i, (PAE_DIRECTORIES + i * PAGE_SIZE) | PTE_P);
    guest->mmu.has_nx = true;
    assert_true(mmu_set_cr3(&guest->mmu, PDPT));
    assert_true(mmu_set_control(&guest->mmu, CR0_PE | CR0_PG | cr0, cr4 | CR4_PAE, efer));
}

/* Accesses in the class in force. */
#define assert_reads(guest, linear, bits, expected)                                                                    \
    do {                                                                                                               \
        struct mmu_result result_ = mmu_read##bits(&(guest)->mmu, linear);                                             \
        assert_true(result_.ok);                                                                                       \
        assert_int_equal(result_.value, expected);                                                                     \
    } while (0)

#define assert_page_fault(guest, ok, code, cr2)                                                                        \
    do {                                                                                                               \
        (guest)->mmu.fault = (struct mmu_fault){0};                                                                    \
        assert_false(ok);                                                                                              \
        assert_int_equal((guest)->mmu.fault.kind, MMU_FAULT_PAGE);                                                     \
        assert_int_equal((guest)->mmu.fault.error_code, code);                                                         \
        assert_int_equal((guest)->mmu.fault.address, cr2);                                                             \
    } while (0)

/* Is there a direct entry? */
static inline bool has_direct(const uint64_t *table, uint32_t linear)
{
    return table[linear >> PAGE_SHIFT] != 0;
}

/* ---- a device that writes down what it is asked ---- */

struct device_call {
    bool write;
    uint64_t offset;
    unsigned size;
    uint64_t value;
};

struct recorder {
    struct region_ops ops;
    struct device_call calls[64];
    unsigned count;
};

/* Each byte of a read says its offset, with the top bit set. */
static inline uint64_t recorder_read(void *opaque, uint64_t offset, unsigned size)
{
    struct recorder *recorder = opaque;
    uint64_t value = 0;
    for (unsigned i = 0; i < size; i++)
        value |= (uint64_t)(uint8_t)(0x80 | (offset + i)) << (8 * i);
    recorder->calls[recorder->count++ % 64] = (struct device_call){false, offset, size, value};
    return value;
}

static inline void recorder_write(void *opaque, uint64_t offset, unsigned size, uint64_t value)
{
    struct recorder *recorder = opaque;
    recorder->calls[recorder->count++ % 64] = (struct device_call){true, offset, size, value};
}

static inline void recorder_init(struct recorder *recorder, unsigned min_access, unsigned max_access)
{
    memset(recorder, 0, sizeof *recorder);
    recorder->ops = (struct region_ops){recorder_read, recorder_write, min_access, max_access};
}

#define assert_call(recorder, index, is_write, at, bytes, data)                                                        \
    do {                                                                                                               \
        assert_true((index) < (recorder)->count);                                                                      \
        assert_int_equal((recorder)->calls[index].write, is_write);                                                    \
        assert_int_equal((recorder)->calls[index].offset, at);                                                         \
        assert_int_equal((recorder)->calls[index].size, bytes);                                                        \
        assert_int_equal((recorder)->calls[index].value, data);                                                        \
    } while (0)

/* ---- a listener that writes down what it is told ---- */

struct written_call {
    uint64_t page;
    unsigned offset, length, flags;
};

struct written_journal {
    struct written_call calls[64];
    unsigned count;
};

static inline void note_written(void *opaque, uint64_t page, unsigned offset, unsigned length, unsigned flags)
{
    struct written_journal *journal = opaque;
    journal->calls[journal->count++ % 64] = (struct written_call){page, offset, length, flags};
}

#endif

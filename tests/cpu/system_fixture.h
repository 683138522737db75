/* A processor with 1 MiB of RAM and one recording port device, for the tests of system instructions: no engine, the
 * tests call callouts themselves. */
#ifndef DRAGOMAN_TESTS_CPU_SYSTEM_FIXTURE_H
#define DRAGOMAN_TESTS_CPU_SYSTEM_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "cpu/callouts.h"
#include "cpu/debug.h"
#include "cpu/model.h"
#include "cpu/vcpu.h"

#include <stdlib.h>
#include <string.h>

#define TEST_RAM  (1u << 20)
#define TEST_PORT 0x100

struct fixture {
    struct vcpu *cpu;
    struct memory *memory;
    struct port_space *ports;
    struct device_lock lock;
    struct log log;
    struct stats stats;
    struct port_range range;
    struct region_ops ops;
    uint32_t last_port_write;
    unsigned port_reads, port_writes;
};

static uint64_t fixture_port_read(void *opaque, uint64_t offset, unsigned size)
{
    struct fixture *f = opaque;
    return 0x11223344u + f->port_reads++;
}

static void fixture_port_write(void *opaque, uint64_t offset, unsigned size, uint64_t value)
{
    struct fixture *f = opaque;
    f->last_port_write = (uint32_t)value;
    f->port_writes++;
}

static inline void fixture_segment(struct vcpu *cpu, unsigned seg, uint16_t selector, uint64_t base, uint32_t limit,
                                   uint16_t attributes)
{
    struct segment *s = &cpu->state.segment[seg];
    *s = (struct segment){.base = base, .limit = limit, .selector = selector, .attributes = attributes};
    cpu_update_segment_ends(cpu, s);
}

/* Real mode; DS etc. at 0, SP = 8000h. */
static inline struct fixture *fixture_create(const char *model)
{
    struct fixture *f = calloc(1, sizeof *f);
    struct error err;

    device_lock_init(&f->lock);
    log_init(&f->log);
    f->memory = memory_create(TEST_RAM, &f->lock, &f->log, &f->stats, &err);
    assert_non_null(f->memory);
    f->ports = port_space_create(&f->lock, &f->log, &f->stats);
    f->ops = (struct region_ops){.read = fixture_port_read, .write = fixture_port_write, .max_access = 4};
    f->range = (struct port_range){
        .name = "test", .base = TEST_PORT, .count = 8, .ops = &f->ops, .opaque = f, .enabled = true};
    port_space_add(f->ports, &f->range);
    f->cpu = aligned_alloc(64, (sizeof *f->cpu + 63) / 64 * 64);
    memset(f->cpu, 0, sizeof *f->cpu);
    struct vcpu *cpu = f->cpu;
    cpu->model = cpu_model_find(model, &err);
    assert_non_null(cpu->model);
    cpu->ports = f->ports;
    cpu->log = &f->log;
    cpu->stats = &f->stats;
    assert_true(mmu_init(&cpu->mmu, f->memory, &err));
    cpu->mmu.has_nx = cpu->model->has_nx;
    cpu->state.cr0 = CR0_ET;
    cpu->state.arithmetic_flags = 0x200;
    cpu->state.dr[6] = DR6_FIXED;
    cpu->state.dr[7] = DR7_FIXED;
    cpu->state.gpr[GPR_SP] = 0x8000;
    for (unsigned i = 0; i < SEG_COUNT; i++)
        fixture_segment(cpu, i, 0, 0, 0xffff, 0x0093);
    mmu_load_state(&cpu->mmu, CR0_ET, 0, 0, 0);
    cpu_update_mode(cpu);
    return f;
}

static inline void fixture_destroy(struct fixture *f)
{
    mmu_finish(&f->cpu->mmu);
    port_space_remove(f->ports, &f->range);
    port_space_destroy(f->ports);
    memory_destroy(f->memory);
    device_lock_finish(&f->lock);
    log_finish(&f->log);
    free(f->cpu);
    free(f);
}

/* Flat 32-bit protected mode at CPL, no paging. */
static inline void fixture_enter_protected(struct fixture *f, unsigned cpl)
{
    struct vcpu *cpu = f->cpu;

    cpu->state.cr0 |= CR0_PE;
    cpu->state.system_flags &= ~FLAG_VM;
    mmu_load_state(&cpu->mmu, cpu->state.cr0, cpu->state.cr3, cpu->state.cr4, cpu->state.efer);
    for (unsigned i = 0; i < SEG_COUNT; i++)
        fixture_segment(cpu, i, (uint16_t)(8 | cpl), 0, UINT32_MAX,
                        (uint16_t)((i == SEG_CS ? 0xc09b : 0xc093) | cpl << 5));
    cpu_update_mode(cpu);
    assert_int_equal(cpu_cpl(cpu), cpl);
}

static inline void fixture_enter_vm86(struct fixture *f)
{
    struct vcpu *cpu = f->cpu;

    cpu->state.cr0 |= CR0_PE;
    cpu->state.system_flags |= FLAG_VM;
    mmu_load_state(&cpu->mmu, cpu->state.cr0, cpu->state.cr3, cpu->state.cr4, cpu->state.efer);
    for (unsigned i = 0; i < SEG_COUNT; i++)
        fixture_segment(cpu, i, 0, 0, 0xffff, 0x00f3);
    cpu_update_mode(cpu);
    assert_true(cpu_in_vm86(cpu));
    assert_int_equal(cpu_cpl(cpu), 3);
}

static inline void fixture_set_iopl(struct fixture *f, unsigned iopl)
{
    f->cpu->state.system_flags = (f->cpu->state.system_flags & ~FLAG_IOPL) | iopl << 12;
}

/* Identity-maps the low 1 MiB, user and writable, and turns paging on. Directory at 10000h, table at 11000h. */
static inline uint32_t *fixture_enable_paging(struct fixture *f)
{
    uint32_t *directory = (uint32_t *)(void *)(f->memory->ram + 0x10000);
    uint32_t *table = (uint32_t *)(void *)(f->memory->ram + 0x11000);

    directory[0] = 0x11000 | 7;
    for (uint32_t i = 0; i < 256; i++)
        table[i] = i << 12 | 7;
    f->cpu->state.cr3 = 0x10000;
    f->cpu->state.cr0 |= CR0_PG;
    mmu_load_state(&f->cpu->mmu, f->cpu->state.cr0, 0x10000, f->cpu->state.cr4, f->cpu->state.efer);
    return table;
}

/* ---- checks ---- */

static inline void expect_exception(struct fixture *f, bool result, unsigned vector)
{
    assert_false(result);
    assert_true(f->cpu->exception.valid);
    assert_int_equal(f->cpu->exception.vector, vector);
    if (vector == EXC_GP || vector == EXC_AC) {
        assert_true(f->cpu->exception.has_error);
        assert_int_equal(f->cpu->exception.error, 0);
    }
    f->cpu->exception.valid = false;
}

static inline uint32_t peek32(struct fixture *f, uint32_t address)
{
    uint32_t value;
    memcpy(&value, f->memory->ram + address, 4);
    return value;
}

static inline uint16_t peek16(struct fixture *f, uint32_t address)
{
    uint16_t value;
    memcpy(&value, f->memory->ram + address, 2);
    return value;
}

static inline void poke32(struct fixture *f, uint32_t address, uint32_t value)
{
    memcpy(f->memory->ram + address, &value, 4);
}

static inline void poke16(struct fixture *f, uint32_t address, uint16_t value)
{
    memcpy(f->memory->ram + address, &value, 2);
}

#endif

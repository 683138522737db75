/* Two machines without a board, one with the interpreter and one with the translator, that are given the same and must
 * come to the same.
 *
 *   00800 GDT   01000 IDT   01800 handlers (HLT), 16 bytes each   02000 TSS   04000 top of the ring 0 stack
 *   10000 page directory   11000 page table: the first MiB, identical   12000 page table: 400000.., empty
 *   20000 code   30000 top of a stack   40000.. data */
#ifndef DRAGOMAN_TESTS_TRANSLATE_ENGINE_PAIR_H
#define DRAGOMAN_TESTS_TRANSLATE_ENGINE_PAIR_H

#include "../interp/bare_machine.h"
#include "cpu/fpu.h"
#include "ir/ir.h"
#include "translate/translate.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define RAM_SIZE   (1u << 20)
#define GDT        0x800u
#define IDT        0x1000u
#define HANDLERS   0x1800u
#define TSS        0x2000u
#define STACK_0    0x4000u
#define DIRECTORY  0x10000u
#define TABLE      0x11000u
#define HIGH_TABLE 0x12000u
#define CODE       0x20000u
#define STACK      0x30000u
#define DATA       0x40000u
#define HIGH       0x400000u /* linear, mapped as HIGH_TABLE says */

enum { INTERP, TIER1, ENGINES };

struct engine_pair {
    struct bare_machine *machine[ENGINES];
    struct translator *translator;
};

static inline struct engine_pair *pair_create(const struct translate_options *options)
{
    struct engine_pair *p = calloc(1, sizeof *p);
    struct error err = {""};

    for (unsigned i = 0; i < ENGINES; i++)
        p->machine[i] = bare_machine_create("pentium3", RAM_SIZE);
    p->translator = translator_create(p->machine[TIER1]->cpu, p->machine[TIER1]->interp, options, &err);
    if (!p->translator)
        fail_msg("%s", err.message);
    return p;
}

static inline struct translate_options at_once(void)
{
    struct translate_options options = TRANSLATE_OPTIONS_DEFAULT;

    options.threshold = 0;
    options.cache_size = 8u << 20;
    return options;
}

static inline struct engine_pair *pair_create_default(void)
{
    struct translate_options options = at_once();

    return pair_create(&options);
}

static inline void pair_destroy(struct engine_pair *p)
{
    interp_set_native(p->machine[TIER1]->interp, NULL);
    translator_destroy(p->translator); /* tells the vCPU's log its last */
    for (unsigned i = 0; i < ENGINES; i++)
        bare_machine_destroy(p->machine[i]);
    free(p);
}

/* ---- filling ---- */

static inline void pair_write(struct engine_pair *p, uint32_t physical, const void *bytes, size_t size)
{
    for (unsigned i = 0; i < ENGINES; i++)
        memory_write_bytes(p->machine[i]->memory, physical, bytes, size);
}

static inline void pair_write32(struct engine_pair *p, uint32_t physical, uint32_t value)
{
    pair_write(p, physical, &value, 4);
}

/* Bytes in hex; returns how many. */
static inline size_t pair_code(struct engine_pair *p, uint32_t physical, const char *hex)
{
    uint8_t bytes[256];
    size_t count = 0;
    unsigned byte;

    for (int used; sscanf(hex, " %2x%n", &byte, &used) == 1; hex += used) {
        assert_true(count < sizeof bytes);
        bytes[count++] = (uint8_t)byte;
    }
    pair_write(p, physical, bytes, count);
    return count;
}

static inline void pair_map(struct engine_pair *p, uint32_t linear, uint32_t physical, uint32_t bits)
{
    uint32_t table = linear >> 22 ? HIGH_TABLE : TABLE;

    pair_write32(p, table + (linear >> 12 & 1023) * 4, physical | bits);
}

static inline void machine_segments(struct bare_machine *m, unsigned cpl)
{
    static const struct descriptor flat[2][2] = {{{0x0000ffff, 0x00cf9b00}, {0x0000ffff, 0x00cf9300}},
                                                 {{0x0000ffff, 0x00cffb00}, {0x0000ffff, 0x00cff300}}};
    struct vcpu *cpu = m->cpu;

    for (unsigned i = 0; i < SEG_COUNT; i++)
        cpu_segment_from_descriptor(cpu, &cpu->state.segment[i],
                                    (uint16_t)((i == SEG_CS ? 8 : 16) + (cpl ? 16 + 3 : 0)),
                                    &flat[cpl != 0][i != SEG_CS]);
    cpu_update_mode(cpu);
}

/* Flat 32-bit code at CPL 0 or 3 with paging on (everything identical and open to users) and handlers that halt. */
static inline void pair_start(struct engine_pair *p, unsigned cpl, uint32_t eip, uint32_t esp)
{
    static const uint32_t gdt[10] = {0,          0,          0x0000ffff, 0x00cf9b00, 0x0000ffff,
                                     0x00cf9300, 0x0000ffff, 0x00cffb00, 0x0000ffff, 0x00cff300};
    uint32_t tss[26] = {[1] = STACK_0, [2] = 16};

    pair_write(p, GDT, gdt, sizeof gdt);
    pair_write(p, TSS, tss, sizeof tss);
    for (unsigned v = 0; v < 64; v++) {
        uint32_t handler = HANDLERS + v % 32 * 16;
        uint32_t gate[2] = {8u << 16 | (handler & 0xffff), 0xee00};

        pair_write(p, IDT + v * 8, gate, sizeof gate);
        pair_code(p, handler, "f4 eb fd");
    }
    pair_write32(p, DIRECTORY, TABLE | 7);
    pair_write32(p, DIRECTORY + 4, HIGH_TABLE | 7);
    for (uint32_t page = 0; page < RAM_SIZE >> 12; page++)
        pair_write32(p, TABLE + page * 4, page << 12 | 7);
    for (unsigned i = 0; i < ENGINES; i++) {
        struct bare_machine *m = p->machine[i];
        struct vcpu *cpu = m->cpu;
        uint32_t engine_bits = cpu->mode & MODE_COUNTED;

        m->triple_fault = false;
        cpu_reset(cpu);
        cpu->mode |= engine_bits;
        cpu->state.cr0 |= CR0_PE | CR0_PG | CR0_WP;
        cpu->state.cr3 = DIRECTORY;
        mmu_load_state(&cpu->mmu, cpu->state.cr0, DIRECTORY, cpu->state.cr4, cpu->state.efer);
        machine_segments(m, cpl);
        cpu->state.gdtr = (struct descriptor_table){GDT, sizeof gdt - 1};
        cpu->state.idtr = (struct descriptor_table){IDT, 64 * 8 - 1};
        cpu->state.tr = (struct segment){.base = TSS, .limit = 0x67, .selector = 0x28, .attributes = 0x8b};
        cpu_update_segment_ends(cpu, &cpu->state.tr);
        cpu->state.rip = eip;
        cpu->state.gpr[GPR_SP] = esp;
        atomic_store(&cpu->attention, 0);
    }
}

static inline void pair_set(struct engine_pair *p, unsigned number, uint32_t value)
{
    for (unsigned i = 0; i < ENGINES; i++)
        p->machine[i]->cpu->state.gpr[number] = value;
}

/* ---- running and comparing ---- */

static inline void pair_compare(struct engine_pair *p, const char *what)
{
    static const char *const names[] = {"eax", "ecx", "edx", "ebx", "esp", "ebp", "esi", "edi"};
    const struct vcpu *x = p->machine[INTERP]->cpu, *y = p->machine[TIER1]->cpu;
    const uint8_t *a = p->machine[INTERP]->memory->ram, *b = p->machine[TIER1]->memory->ram;

    for (unsigned i = 0; i < 8; i++)
        if (x->state.gpr[i] != y->state.gpr[i])
            fail_msg("%s: %s: interpreter %llx, translator %llx", what, names[i], (unsigned long long)x->state.gpr[i],
                     (unsigned long long)y->state.gpr[i]);
    if (x->state.rip != y->state.rip)
        fail_msg("%s: eip: interpreter %llx, translator %llx", what, (unsigned long long)x->state.rip,
                 (unsigned long long)y->state.rip);
    if (cpu_eflags(x) != cpu_eflags(y))
        fail_msg("%s: eflags: interpreter %x, translator %x", what, cpu_eflags(x), cpu_eflags(y));
    if (x->state.cr2 != y->state.cr2)
        fail_msg("%s: cr2: interpreter %llx, translator %llx", what, (unsigned long long)x->state.cr2,
                 (unsigned long long)y->state.cr2);
    for (unsigned i = 0; i < SEG_COUNT; i++)
        assert_int_equal(x->state.segment[i].selector, y->state.segment[i].selector);
    assert_int_equal(x->state.halted, y->state.halted);
    assert_int_equal(p->machine[INTERP]->triple_fault, p->machine[TIER1]->triple_fault);
    if (memcmp(a, b, RAM_SIZE))
        for (uint32_t i = 0; i < RAM_SIZE; i++)
            if (a[i] != b[i])
                fail_msg("%s: byte %x: interpreter %02x, translator %02x", what, i, a[i], b[i]);
}

/* One engine until it halts or BUDGET is used up. Its x87 state leaves the host's registers: the other machine has this
 * thread too. */
static inline bool pair_run_one(struct engine_pair *p, unsigned engine, int64_t budget)
{
    bool halted = bare_machine_run(p->machine[engine], budget);

    cpu_fpu_spill(p->machine[engine]->cpu);
    return halted;
}

/* Runs both until they halt (or fault thrice), and compares. */
static inline void pair_run(struct engine_pair *p, const char *what)
{
    for (unsigned i = 0; i < ENGINES; i++)
        if (!pair_run_one(p, i, 100000000) && !p->machine[i]->triple_fault)
            fail_msg("%s: %s did not halt; eip %llx", what, i == INTERP ? "interpreter" : "translator",
                     (unsigned long long)p->machine[i]->cpu->state.rip);
    pair_compare(p, what);
}

/* The translator did run code of its own. */
static inline void pair_expect_native(const struct engine_pair *p)
{
    assert_true(p->machine[TIER1]->stats.native_entries > 0);
    assert_int_equal(p->machine[INTERP]->stats.native_entries, 0);
}

static inline struct cpu_state *pair_state(struct engine_pair *p)
{
    return &p->machine[TIER1]->cpu->state;
}

static inline uint32_t pair_read32(struct engine_pair *p, uint32_t physical)
{
    uint32_t value;

    memcpy(&value, p->machine[TIER1]->memory->ram + physical, 4);
    return value;
}

static inline uint32_t next_random(uint64_t *random)
{
    *random = *random * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(*random >> 33);
}

#endif

/* A protected-mode machine on top of the system fixture: descriptor tables, task state segments and stacks for every
 * privilege level, flat and 16-bit. The tests call callouts as an engine would. */
#ifndef DRAGOMAN_TESTS_CPU_MACHINE_H
#define DRAGOMAN_TESTS_CPU_MACHINE_H

#include "system_fixture.h"

#include "cpu/descriptor.h"
#include "cpu/instruction_table.h"

#define GDT        0x1000u
#define IDT        0x2000u
#define LDT        0x3000u
#define TSS_A      0x4000u /* 32-bit, in TR */
#define TSS_B      0x5000u /* 32-bit */
#define TSS_16     0x6000u /* 16-bit */
#define STACK0     0x9000u
#define STACK1     0xa000u
#define STACK3     0xb000u
#define SCRATCH    0xc000u
#define RETURN_RIP 0x102u

/* GDT */
enum {
    CODE0 = 0x08,
    DATA0 = 0x10,
    CODE3 = 0x18 | 3,
    DATA3 = 0x20 | 3,
    SEL_TSS_A = 0x28,
    SEL_TSS_B = 0x30,
    SEL_TSS_16 = 0x38,
    SEL_LDT = 0x40,
    CONFORMING0 = 0x48,
    CODE0_16 = 0x50,
    DATA0_16 = 0x58,
    CODE1 = 0x60 | 1,
    DATA1 = 0x68 | 1,
    ABSENT_DATA3 = 0x70 | 3,
    READ_ONLY3 = 0x78 | 3,
    EXPAND_DOWN3 = 0x80 | 3,
    EXECUTE_ONLY3 = 0x88 | 3,
    ABSENT_CODE0 = 0x90,
    SMALL_CODE0 = 0x98,
    GATE_A = 0xa0,
    GATE_B = 0xa8,
    DATA3_16 = 0xb0 | 3,
    CONFORMING3 = 0xb8 | 3,
    SMALL_DATA0 = 0xc0,
    ABSENT_CODE3 = 0xc8 | 3,
    FRESH_DATA3 = 0xd0 | 3,
    CODE2 = 0xd8 | 2,
    DATA2 = 0xe0 | 2,
    GDT_END = 0x100
};

static inline void set_descriptor(struct fixture *f, uint32_t table, uint16_t selector, uint32_t base, uint32_t limit,
                                  uint16_t attributes)
{
    uint32_t at = table + (selector & 0xfff8u);

    if (attributes & SEGMENT_G)
        limit >>= 12;
    poke32(f, at, base << 16 | (limit & 0xffff));
    poke32(f, at + 4,
           (base & 0xff000000) | (limit & 0xf0000) | (uint32_t)(attributes & 0xf0ff) << 8 | (base >> 16 & 0xff));
}

static inline void set_gate(struct fixture *f, uint32_t table, uint16_t at, unsigned type, unsigned dpl,
                            uint16_t selector, uint32_t offset, unsigned parameters)
{
    poke32(f, table + at, (uint32_t)selector << 16 | (offset & 0xffff));
    poke32(f, table + at + 4, (offset & 0xffff0000) | 0x8000 | dpl << 13 | type << 8 | parameters);
}

static inline void set_idt_gate(struct fixture *f, unsigned vector, unsigned type, unsigned dpl, uint16_t selector,
                                uint32_t offset)
{
    set_gate(f, IDT, (uint16_t)(vector * 8), type, dpl, selector, offset, 0);
}

static inline void load_from_gdt(struct fixture *f, unsigned seg, uint16_t selector)
{
    struct descriptor d = {peek32(f, GDT + (selector & 0xfff8u)), peek32(f, GDT + (selector & 0xfff8u) + 4)};

    cpu_segment_from_descriptor(f->cpu, &f->cpu->state.segment[seg], selector, &d);
}

static bool machine_triple_fault;
static int machine_vector; /* what the PIC answers */

static inline void machine_on_triple_fault(void *opaque)
{
    machine_triple_fault = true;
}
static inline int machine_acknowledge(void *opaque)
{
    return machine_vector;
}

/* Puts the processor at ring CPL in flat 32-bit segments with the stack of that ring. */
static inline void enter_ring(struct fixture *f, unsigned cpl)
{
    static const uint16_t code[] = {CODE0, CODE1, CODE2, CODE3}, data[] = {DATA0, DATA1, DATA2, DATA3};
    static const uint32_t stack[] = {STACK0, STACK1, STACK1, STACK3};
    struct vcpu *cpu = f->cpu;

    cpu->state.system_flags &= ~FLAG_VM;
    load_from_gdt(f, SEG_CS, code[cpl]);
    for (unsigned seg = 0; seg < SEG_COUNT; seg++)
        if (seg != SEG_CS)
            load_from_gdt(f, seg, data[cpl]);
    cpu->state.gpr[GPR_SP] = stack[cpl];
    cpu_update_mode(cpu);
    assert_int_equal(cpu_cpl(cpu), cpl);
}

static inline struct fixture *machine_create(void)
{
    static const struct {
        uint16_t selector;
        uint16_t attributes;
        uint32_t base, limit;
    } segments[] = {
        {CODE0, 0xc09b, 0, ~0u},
        {DATA0, 0xc093, 0, ~0u},
        {CODE3, 0xc0fb, 0, ~0u},
        {DATA3, 0xc0f3, 0, ~0u},
        {SEL_TSS_A, 0x008b, TSS_A, 0x1ff},
        {SEL_TSS_B, 0x0089, TSS_B, 0x67},
        {SEL_TSS_16, 0x0081, TSS_16, 0x2b},
        {SEL_LDT, 0x0082, LDT, 0x3f},
        {CONFORMING0, 0xc09f, 0, ~0u},
        {CODE0_16, 0x009b, 0, 0xffff},
        {DATA0_16, 0x0093, 0, 0xffff},
        {CODE1, 0xc0bb, 0, ~0u},
        {DATA1, 0xc0b3, 0, ~0u},
        {CODE2, 0xc0db, 0, ~0u},
        {DATA2, 0xc0d3, 0, ~0u},
        {ABSENT_DATA3, 0xc073, 0, ~0u},
        {READ_ONLY3, 0xc0f1, 0, ~0u},
        {EXPAND_DOWN3, 0xc0f7, 0, 0x1fff},
        {EXECUTE_ONLY3, 0xc0f9, 0, ~0u},
        {ABSENT_CODE0, 0xc01b, 0, ~0u},
        {SMALL_CODE0, 0x409b, 0, 0xff},
        {DATA3_16, 0x00f3, 0, 0xffff},
        {CONFORMING3, 0xc0ff, 0, ~0u},
        {SMALL_DATA0, 0x4093, 0, 0xf},
        {ABSENT_CODE3, 0xc07b, 0, ~0u},
        {FRESH_DATA3, 0xc0f2, 0, ~0u},
    };
    struct fixture *f = fixture_create("pentium4");
    struct vcpu *cpu = f->cpu;

    machine_triple_fault = false;
    machine_vector = -1;
    cpu->environment.triple_fault = machine_on_triple_fault;
    cpu->environment.acknowledge_interrupt = machine_acknowledge;
    fixture_enter_protected(f, 0);
    for (unsigned i = 0; i < ARRAY_SIZE(segments); i++)
        set_descriptor(f, GDT, segments[i].selector, segments[i].base, segments[i].limit, segments[i].attributes);
    cpu->state.gdtr = (struct descriptor_table){GDT, GDT_END - 1};
    cpu->state.idtr = (struct descriptor_table){IDT, 0x7ff};
    for (unsigned vector = 0; vector < 64; vector++)
        set_idt_gate(f, vector, SYSTEM_INTERRUPT_GATE32, vector == 3 || vector >= 0x20 ? 3 : 0, CODE0,
                     0x10000 + vector * 16);
    struct descriptor tss = {peek32(f, GDT + SEL_TSS_A), peek32(f, GDT + SEL_TSS_A + 4)};
    cpu_segment_from_descriptor(cpu, &cpu->state.tr, SEL_TSS_A, &tss);
    poke32(f, TSS_A + 4, STACK0);
    poke16(f, TSS_A + 8, DATA0);
    poke32(f, TSS_A + 12, STACK1);
    poke16(f, TSS_A + 16, DATA1);
    poke16(f, TSS_A + 0x66, 0x68 + 32);
    enter_ring(f, 0);
    cpu->state.rip = 0x100;
    return f;
}

/* Like an engine: before, RIP at the instruction and next_rip behind it; after success, RIP at next_rip. */
static inline bool run(struct fixture *f, callout_fn callout, struct callout_args args)
{
    struct vcpu *cpu = f->cpu;
    bool ok;

    cpu->state.rip = 0x100;
    cpu->next_rip = RETURN_RIP;
    cpu->exception.valid = false;
    ok = callout(cpu, &args);
    if (ok)
        cpu->state.rip = cpu->next_rip;
    return ok;
}

/* The instruction faults with VECTOR and ERROR and leaves registers and the low 64 KiB of RAM (all
 * tables and stacks but not page tables, whose accessed bits may be set) as they were. */
static inline void expect_fault_(struct fixture *f, callout_fn callout, struct callout_args args, unsigned vector,
                                 uint32_t error, bool memory_kept, const char *file, int line)
{
    static struct cpu_state before;
    uint8_t *ram = malloc(0x10000);

    f->cpu->state.rip = 0x100;
    memcpy(&before, &f->cpu->state, sizeof before);
    memcpy(ram, f->memory->ram, 0x10000);
    bool ok = run(f, callout, args);
    _assert_true(!ok, "the instruction faults", file, line);
    _assert_int_equal(f->cpu->exception.vector, vector, file, line);
    if (f->cpu->exception.has_error)
        _assert_int_equal(f->cpu->exception.error, error, file, line);
    _assert_memory_equal(&before, &f->cpu->state, sizeof before, file, line);
    if (memory_kept)
        _assert_memory_equal(ram, f->memory->ram, 0x10000, file, line);
    f->cpu->exception.valid = false;
    free(ram);
}
#define expect_fault(f, callout, args, vector, error) \
    expect_fault_(f, callout, args, vector, error, true, __FILE__, __LINE__)
/* Registers are as before, but what was pushed before the fault stays in memory, as on the processor. */
#define expect_fault_after_push(f, callout, args, vector, error) \
    expect_fault_(f, callout, args, vector, error, false, __FILE__, __LINE__)

/* Arguments with a 32-bit operand, with a 16-bit one, and with a segment other than DS. */
#define ARGS(...)         ((struct callout_args){.operand_size = 4, .address_size = 4, .segment = SEG_DS, __VA_ARGS__})
#define ARGS16(...)       ((struct callout_args){.operand_size = 2, .address_size = 2, .segment = SEG_DS, __VA_ARGS__})
#define ARGS_IN(seg, ...) ((struct callout_args){.operand_size = 4, .address_size = 4, .segment = (seg), __VA_ARGS__})

static inline uint32_t esp(struct fixture *f)
{
    return (uint32_t)f->cpu->state.gpr[GPR_SP];
}

/* Where machine_create()'s gate for VECTOR leads. */
static inline uint32_t handler(unsigned vector)
{
    return 0x10000 + vector * 16;
}

static inline uint16_t selector_of(struct fixture *f, unsigned seg)
{
    return f->cpu->state.segment[seg].selector;
}

static inline void push32(struct fixture *f, uint32_t value)
{
    f->cpu->state.gpr[GPR_SP] -= 4;
    poke32(f, (uint32_t)f->cpu->state.gpr[GPR_SP], value);
}

/* Virtual-8086 mode with CS = 1000h, SS = 1100h, DS..GS = 2000h.., SP = 100h. */
static inline void enter_vm86(struct fixture *f, unsigned iopl)
{
    static const uint16_t selectors[SEG_COUNT] = {0x2000, 0x1000, 0x1100, 0x2001, 0x2002, 0x2003};
    struct vcpu *cpu = f->cpu;

    cpu->state.system_flags |= FLAG_VM;
    fixture_set_iopl(f, iopl);
    for (unsigned seg = 0; seg < SEG_COUNT; seg++)
        cpu_load_segment_real(cpu, seg, selectors[seg]);
    cpu->state.gpr[GPR_SP] = 0x100;
    cpu_update_mode(cpu);
}

#endif

/* Made-up code around one register, and two machines to run it on, for accesses that share a TLB lookup.
 *
 * The code runs at CPL 3, so that a bad stack does no harm and HLT ends in the handler of #GP. What the machine itself
 * needs is the supervisor's; the user has, besides the code, windows of one page each that stand for what a page can
 * be. */
#ifndef DRAGOMAN_TESTS_TRANSLATE_GROUP_STAGE_H
#define DRAGOMAN_TESTS_TRANSLATE_GROUP_STAGE_H

#include "engine_pair.h"

#define USER_GDT  0x3000u /* page 0 is one of the windows */
#define DEVICE    0x200000u
#define SLOT_SIZE 0x200u
#define SLOTS     7u /* in the code page; the lines behind them hold no code */
#define MAX_INSNS 36u

enum { PAGE_PLAIN, PAGE_READ_ONLY, PAGE_HOLE, PAGE_DEVICE, PAGE_CODE, PAGE_SUPERVISOR };
/* What is at HIGH, page by page: each kind has a plain one before and behind it, and some have each other. */
static const uint8_t windows[] = {PAGE_PLAIN,  PAGE_PLAIN, PAGE_READ_ONLY,  PAGE_PLAIN, PAGE_HOLE,   PAGE_PLAIN,
                                  PAGE_DEVICE, PAGE_PLAIN, PAGE_CODE,       PAGE_PLAIN, PAGE_DEVICE, PAGE_READ_ONLY,
                                  PAGE_CODE,   PAGE_HOLE,  PAGE_SUPERVISOR, PAGE_PLAIN};
#define WINDOWS ((unsigned)sizeof windows)
#define TOP     0xfffff000u /* linear: a window below the end, and one at 0 behind it */

struct device {
    uint64_t accesses, hash;
};

struct stage {
    struct engine_pair *pair;
    struct device device[ENGINES];
    struct memory_region region[ENGINES];
    struct cpu_state start;
    uint64_t random;
    bool alignment, counted;
    unsigned base, second; /* registers that addresses are made of */
    uint8_t code[SLOT_SIZE];
    unsigned used;
    uint32_t slot; /* physical address of the code */
    unsigned runs, lost, faults, finished;
    uint64_t device_accesses; /* before the stage was set anew */
};

/* ---- the machines ---- */

static inline uint64_t device_read(void *opaque, uint64_t offset, unsigned size)
{
    struct device *d = opaque;

    d->accesses++;
    d->hash = d->hash * 31 + offset * 8 + size;
    return 0xf4f4f4f4; /* HLT, for who strays into it */
}

static inline void device_write(void *opaque, uint64_t offset, unsigned size, uint64_t value)
{
    struct device *d = opaque;

    d->accesses++;
    d->hash = d->hash * 37 + (offset * 8 + size) * 0x10001 + value;
}

static const struct region_ops device_ops = {.read = device_read, .write = device_write};

static inline uint32_t pick(struct stage *s, uint32_t count)
{
    return next_random(&s->random) % count;
}

static inline uint32_t window_entry(unsigned i)
{
    switch (windows[i]) {
    case PAGE_READ_ONLY:
        return (DATA + (i << 12)) | 5;
    case PAGE_HOLE:
        return 0;
    case PAGE_DEVICE:
        return (DEVICE + (i << 12)) | 7;
    case PAGE_CODE:
        return CODE | 7;
    case PAGE_SUPERVISOR:
        return (DATA + (i << 12)) | 3;
    default:
        return (DATA + (i << 12)) | 7;
    }
}

/* Everything from the beginning, the same on both machines. */
static inline void set_stage(struct stage *s)
{
    static const uint32_t gdt[10] = {0,          0,          0x0000ffff, 0x00cf9b00, 0x0000ffff,
                                     0x00cf9300, 0x0000ffff, 0x00cffb00, 0x0000ffff, 0x00cff300};
    struct engine_pair *p = s->pair;
    uint8_t *ram = p->machine[INTERP]->memory->ram;

    for (uint32_t at = 0; at < RAM_SIZE; at += PAGE_SIZE) /* only one of them may have run */
        pair_write(p, at, ram + at, PAGE_SIZE);
    pair_start(p, 3, CODE, STACK);
    pair_write(p, USER_GDT, gdt, sizeof gdt);
    for (uint32_t page = 0; page < RAM_SIZE >> 12; page++)
        pair_map(p, page << 12, page << 12, page == CODE >> 12 ? 7 : 3);
    /* Accessed already: whether the end of the address space is looked over for an instruction there is open. */
    pair_map(p, 0, DATA + 0x20000, 0x27);
    for (unsigned i = 0; i < WINDOWS; i++)
        pair_map(p, HIGH + (i << 12), window_entry(i), 0);
    pair_map(p, TOP, DATA + 0x21000, 7);
    pair_write32(p, DIRECTORY + 1023 * 4, HIGH_TABLE | 7);
    for (uint32_t at = 0; at < 0x22000; at += 4)
        pair_write32(p, DATA + at, pick(s, 3) ? next_random(&s->random) * 2 : CODE + SLOTS * SLOT_SIZE);
    pair_code(p, CODE + SLOTS * SLOT_SIZE, "f4");
    for (unsigned i = 0; i < ENGINES; i++) {
        struct vcpu *cpu = p->machine[i]->cpu;

        cpu->state.gdtr = (struct descriptor_table){USER_GDT, sizeof gdt - 1};
        cpu->state.cr0 |= CR0_NE | (s->alignment ? CR0_AM : 0);
        cpu->state.cr4 |= CR4_OSFXSR | CR4_TSD; /* the time is not the same on both */
        cpu->state.system_flags |= s->alignment ? FLAG_AC : 0;
        mmu_load_state(&cpu->mmu, (uint32_t)cpu->state.cr0, DIRECTORY, (uint32_t)cpu->state.cr4, cpu->state.efer);
        cpu_fpu_spill(cpu);
        cpu->state.x87.fcw = X87_FCW_INIT;
        cpu->state.x87.ftw = 0; /* empty */
        cpu_update_mode(cpu);
    }
    s->start = p->machine[INTERP]->cpu->state;
    s->device_accesses += s->device[TIER1].accesses;
    s->device[0] = s->device[1] = (struct device){0, 0x123456789};
}

static inline struct stage *stage_create(const struct translate_options *options, uint64_t seed, bool alignment,
                                         bool counted)
{
    struct stage *s = calloc(1, sizeof *s);

    s->pair = pair_create(options);
    s->random = seed;
    s->alignment = alignment;
    s->counted = counted;
    for (unsigned i = 0; i < ENGINES; i++) {
        struct bare_machine *m = s->pair->machine[i];

        s->region[i] = (struct memory_region){.name = "device",
                                              .kind = REGION_DEVICE,
                                              .base = DEVICE,
                                              .size = 0x20000,
                                              .priority = 1,
                                              .enabled = true,
                                              .ops = &device_ops,
                                              .opaque = &s->device[i]};
        memory_add_region(m->memory, &s->region[i]);
        if (counted) {
            clock_destroy(m->clock);
            m->clock = m->cpu->clock = clock_create_counted(0, NULL, NULL);
            m->cpu->mode |= MODE_COUNTED;
        }
    }
    set_stage(s);
    return s;
}

static inline void stage_destroy(struct stage *s)
{
    pair_destroy(s->pair);
    free(s);
}

/* ---- made-up code ---- */

static inline void put(struct stage *s, unsigned byte)
{
    s->code[s->used++] = (uint8_t)byte;
}

static inline void put_many(struct stage *s, uint32_t value, unsigned size)
{
    for (unsigned i = 0; i < size; i++)
        put(s, value >> (8 * i) & 0xff);
}

/* ModRM (and SIB, displacement) of an operand near the base. */
static inline void put_memory(struct stage *s, unsigned reg)
{
    unsigned base = pick(s, 12) ? s->base : s->second, kind = pick(s, 200);
    int32_t offset = (int32_t)pick(s, 25) * 4 - 48;

    if (s->alignment ? !pick(s, 12) : !pick(s, 3))
        offset += (int32_t)pick(s, 4);
    if (kind >= 4 && kind < 8)
        offset = (int32_t)pick(s, 600) - 300;
    if (kind == 1) /* at the ends of what can be added */
        offset = (int32_t)((pick(s, 2) ? 0x7fffffe0u : 0x80000000u) + pick(s, 32));
    if (kind == 2) { /* an address alone */
        put(s, reg << 3 | 5);
        put_many(s, HIGH + pick(s, 0x4000), 4);
        return;
    }
    unsigned mod = offset == 0 && base != GPR_BP && pick(s, 2)    ? 0
                   : offset >= -128 && offset < 128 && pick(s, 5) ? 1
                                                                  : 2;
    bool index = kind == 0 || kind == 3;

    put(s, mod << 6 | reg << 3 | (index ? 4 : base));
    if (index)
        put(s, 1 << 3 | base); /* + ecx */
    else if (base == GPR_SP)
        put(s, 0x24);
    put_many(s, (uint32_t)offset, mod == 0 ? 0 : mod == 1 ? 1 : 4);
}

/* A register to change: seldom one that addresses are made of. */
static inline unsigned some_register(struct stage *s)
{
    unsigned reg = pick(s, 8);

    while ((reg == s->base || reg == s->second || reg == GPR_SP) && pick(s, 16))
        reg = pick(s, 8);
    return reg;
}

static inline unsigned byte_register(struct stage *s)
{
    unsigned reg = pick(s, 8);

    while ((reg & 3) == s->base && pick(s, 16))
        reg = pick(s, 8);
    return reg;
}

/* [prefix] opcode ModRM for a width of 1, 2 or 4; the byte form is OPCODE with bit 0 clear. */
static inline unsigned put_opcode(struct stage *s, unsigned opcode)
{
    unsigned width = 1u << (pick(s, 4) ? pick(s, 2) * 2 : 1);

    if (width == 2)
        put(s, 0x66);
    if (opcode >> 8)
        put(s, opcode >> 8);
    put(s, width == 1 ? opcode & 0xfe : opcode & 0xff);
    return width;
}

static inline void put_access(struct stage *s, unsigned opcode)
{
    unsigned width = put_opcode(s, opcode);

    put_memory(s, width == 1 ? byte_register(s) : some_register(s));
}

static inline void put_memory_op(struct stage *s, unsigned kind)
{
    unsigned width;

    switch (kind) {
    case 0:
    case 1:
    case 2:
        put_access(s, 0x8b);
        break; /* mov r, m */
    case 3:
    case 4:
    case 5:
        put_access(s, 0x89);
        break; /* mov m, r */
    case 6:
        put_access(s, pick(s, 8) << 3 | 3);
        break; /* add.. r, m */
    case 7:
        put_access(s, pick(s, 8) << 3 | 1);
        break; /* add.. m, r */
    case 8:    /* add.. m, constant */
        put_opcode(s, 0x83) == 1 ? (void)(s->code[s->used - 1] = 0x80) : (void)0;
        put_memory(s, pick(s, 8));
        put(s, pick(s, 256));
        break;
    case 9:
        put_opcode(s, 0xff);
        put_memory(s, pick(s, 2));
        break; /* inc, dec m */
    case 10:
        put_opcode(s, 0xf7);
        put_memory(s, 2 + pick(s, 2));
        break; /* not, neg m */
    case 11:   /* rol.. m */
        put_opcode(s, pick(s, 2) ? 0xd1 : 0xd3);
        put_memory(s, pick(s, 8));
        break;
    case 12:
        put_opcode(s, 0xc1);
        put_memory(s, pick(s, 8));
        put(s, pick(s, 34));
        break;
    case 13:
        put(s, 0x0f);
        put(s, (pick(s, 2) ? 0xb6 : 0xbe) | pick(s, 2));
        put_memory(s, some_register(s));
        break;
    case 14:
        put(s, 0x0f);
        put(s, 0xaf);
        put_memory(s, some_register(s));
        break; /* imul */
    case 15:
        put(s, 0x6b);
        put_memory(s, some_register(s));
        put(s, pick(s, 256));
        break;
    case 16:
        put(s, 0x0f);
        put(s, 0x90 + pick(s, 16));
        put_memory(s, 0);
        break; /* setcc */
    case 17:
        put(s, 0x0f);
        put(s, 0x40 + pick(s, 16));
        put_memory(s, some_register(s));
        break; /* cmov */
    case 18:
        put(s, 0x0f);
        put(s, 0xba);
        put_memory(s, 4 + pick(s, 4));
        put(s, pick(s, 40));
        break; /* bt.. */
    case 19:   /* shld, shrd */
        put(s, 0x0f);
        put(s, pick(s, 2) ? 0xa4 : 0xac);
        put_memory(s, some_register(s));
        put(s, pick(s, 33));
        break;
    case 20: /* xadd, cmpxchg, perhaps locked */
        if (!pick(s, 3))
            put(s, 0xf0);
        put_access(s, pick(s, 2) ? 0x0fc1 : 0x0fb1);
        break;
    case 21:
        put_access(s, 0x87);
        break; /* xchg */
    case 22:
        put_access(s, pick(s, 2) ? 0x85 : 0x39);
        break; /* test, cmp */
    case 23:   /* mov m, constant */
        width = put_opcode(s, 0xc7);
        put_memory(s, 0);
        put_many(s, next_random(&s->random), width);
        break;
    case 24:
        put_opcode(s, 0xf7);
        put_memory(s, 4 + pick(s, 4));
        break; /* mul imul div idiv */
    case 25:
        put(s, 0xff);
        put_memory(s, 6);
        break; /* push m */
    case 26:
        put(s, 0x8f);
        put_memory(s, 0);
        break; /* pop m */
    case 27:
        put(s, 0xdb + pick(s, 2) * 4);
        put_memory(s, pick(s, 2) * 2);
        break; /* fild, fist / fld, fst */
    case 28:
        put(s, 0x0f);
        put(s, 0x10 + pick(s, 2));
        put_memory(s, pick(s, 8));
        break; /* movups */
    case 29:
        put(s, 0x0f);
        put(s, 0xc7);
        put_memory(s, 1);
        break; /* cmpxchg8b */
    }
}

static inline void put_stack_op(struct stage *s)
{
    switch (pick(s, 9)) {
    case 0:
    case 1:
        put(s, 0x50 + pick(s, 8));
        break;
    case 2:
    case 3:
        put(s, 0x58 + some_register(s));
        break;
    case 4:
        put(s, 0x68);
        put_many(s, next_random(&s->random), 4);
        break;
    case 5:
        put(s, 0x6a);
        put(s, pick(s, 256));
        break;
    case 6:
        put(s, 0x66);
        put(s, 0x50 + pick(s, 16));
        break;
    case 7:
        put(s, pick(s, 6) ? 0x9c : 0xc9);
        break; /* pushf, leave */
    case 8:
        put(s, 0x83); /* add, sub esp, constant */
        put(s, pick(s, 2) ? 0xc4 : 0xec);
        put(s, pick(s, 10) * 4);
        break;
    }
}

static inline void put_base_change(struct stage *s)
{
    unsigned kind = pick(s, 4), constant = pick(s, 32) * 4;

    if (!pick(s, 10)) { /* of 16 bits */
        put_many(s, 0x8366, 2);
        put(s, 0xc0 | s->base);
        put(s, constant);
    } else if (kind < 2) {
        put(s, pick(s, 5) ? 0x83 : 0x81);
        put(s, (kind ? 0xc0 : 0xe8) | s->base);
        put_many(s, constant, s->code[s->used - 2] == 0x83 ? 1 : 4);
    } else if (kind == 2) {
        put(s, 0x8d); /* lea */
        put(s, 0x40 | s->base << 3 | s->base);
        if (s->base == GPR_SP)
            put(s, 0x24);
        put(s, pick(s, 64) - 32);
    } else {
        put(s, 0x40 + pick(s, 2) * 8 + s->base); /* inc, dec */
    }
}

static inline void put_register_op(struct stage *s)
{
    unsigned reg = some_register(s);

    switch (pick(s, 12)) {
    case 0:
        put(s, 0x40 + pick(s, 2) * 8 + reg);
        break; /* inc, dec */
    case 1:
    case 2:
        put(s, pick(s, 8) << 3 | 3);
        put(s, 0xc0 | reg << 3 | pick(s, 8));
        break;
    case 3:
        put(s, 0x83);
        put(s, 0xc0 | pick(s, 8) << 3 | reg);
        put(s, pick(s, 256));
        break;
    case 4:
        put(s, pick(s, 8) << 3 | 2);
        put(s, 0xc0 | byte_register(s) << 3 | pick(s, 8));
        break;
    case 5:
        put(s, 0xf7);
        put(s, 0xd0 | pick(s, 2) << 3 | reg);
        break;
    case 6:
        put(s, 0xd1);
        put(s, 0xc0 | pick(s, 8) << 3 | reg);
        break;
    case 7:
        put(s, 0x31);
        put(s, 0xd2);
        put(s, 0xf7);
        put(s, 0xf0 | pick(s, 2) << 3 | 1);
        break; /* xor edx, edx; div ecx */
    case 8:
        put(s, pick(s, 3) ? 0xf5 + pick(s, 2) * 3 : 0x9e + pick(s, 2));
        break; /* cmc clc sahf lahf */
    case 9:
        put(s, 0x0f);
        put(s, 0x90 + pick(s, 16));
        put(s, 0xc0 | byte_register(s));
        break;
    case 10:
        put(s, 0x99);
        break; /* cdq */
    case 11:
        put(s, 0x0f);
        put(s, 0x40 + pick(s, 16));
        put(s, 0xc0 | reg << 3 | pick(s, 8));
        break;
    }
}

static inline void put_fpu_op(struct stage *s)
{
    unsigned n = pick(s, 8), m = pick(s, 8);

    switch (pick(s, 9)) {
    case 0:
        put(s, 0xd9);
        put(s, pick(s, 2) ? 0xe8 : 0xee);
        break; /* fld1, fldz */
    case 1:
        put(s, 0xd8);
        put(s, 0xc0 | n);
        break; /* fadd */
    case 2:
        put(s, 0xdd);
        put(s, 0xd8 | n);
        break; /* fstp */
    case 3:
        put(s, 0x0f);
        put(s, 0x57);
        put(s, 0xc0 | n << 3 | m);
        break; /* xorps */
    case 4:
        put(s, 0x0f);
        put(s, 0x28);
        put(s, 0xc0 | n << 3 | m);
        break; /* movaps */
    case 5:
        put(s, 0xf3);
        put(s, 0x0f);
        put(s, 0x2a);
        put(s, 0xc0 | n << 3 | m);
        break; /* cvtsi2ss */
    case 6:
        put(s, 0xf3);
        put(s, 0x0f);
        put(s, 0x58);
        put(s, 0xc0 | n << 3 | m);
        break; /* addss */
    case 7:
        put(s, 0xdb);
        put(s, 0xf0 | n);
        break; /* fcomi */
    case 8:
        put(s, 0x0f);
        put(s, 0x2e);
        put(s, 0xc0 | n << 3 | m);
        break; /* ucomiss */
    }
}

static inline void put_op(struct stage *s)
{
    unsigned kind = pick(s, 100);

    if (kind < 55)
        put_memory_op(s, pick(s, 4) ? pick(s, 14) : pick(s, 30));
    else if (kind < 70)
        put_stack_op(s);
    else if (kind < 76)
        put_base_change(s);
    else if (kind < 92)
        put_register_op(s);
    else
        put_fpu_op(s);
}

/* Some instructions, then HLT; calls, returns and branches on the way lead to what is behind them. */
static inline void make_code(struct stage *s)
{
    unsigned count = 3 + pick(s, MAX_INSNS - 4);

    s->base = pick(s, 3) ? (pick(s, 2) ? GPR_BP : GPR_SP) : pick(s, 8);
    s->second = pick(s, 8);
    s->slot = CODE + pick(s, SLOTS) * SLOT_SIZE;
    s->used = 0;
    for (unsigned i = 0; i < count; i++) {
        unsigned kind = pick(s, 60), at;

        switch (kind) {
        case 0: /* jcc over the next */
            put(s, 0x70 + pick(s, 16));
            put(s, 0);
            at = s->used;
            put_op(s);
            s->code[at - 1] = (uint8_t)(s->used - at);
            break;
        case 1: /* call the next */
            put(s, 0xe8);
            put_many(s, 0, 4);
            break;
        case 2: /* push next; ret */
            put(s, 0x68);
            put_many(s, s->slot + s->used + 5, 4);
            put(s, 0xc3);
            break;
        default:
            put_op(s);
        }
    }
    if (!pick(s, 4)) { /* ret: to the HLT behind the slots, if nobody was there */
        put(s, 0x68);
        put_many(s, CODE + SLOTS * SLOT_SIZE, 4);
        put_op(s);
        put(s, 0xc3);
    }
    put(s, 0xf4);
    assert_true(s->used < SLOT_SIZE);
    pair_write(s->pair, s->slot, s->code, s->used);
}

#endif

/* Accesses that share a TLB lookup: made-up sequences around one register, at every kind of place, on both engines.
 *
 * The code runs at CPL 3, so that a bad stack does no harm and HLT ends in the handler of #GP. What the machine itself
 * needs is the supervisor's; the user has, besides the code, windows of one page each that stand for what a page can be. */
#include "engine_pair.h"

#define USER_GDT     0x3000u /* page 0 is one of the windows */
#define DEVICE       0x200000u
#define SLOT_SIZE    0x200u
#define SLOTS        7u      /* in the code page; the lines behind them hold no code */
#define PLACES       6u
#define PENDING_MAX  40u
#define LOST_BUDGET  20000   /* code that overwrote itself may go round and round */

enum { PAGE_PLAIN, PAGE_READ_ONLY, PAGE_HOLE, PAGE_DEVICE, PAGE_CODE, PAGE_SUPERVISOR };
/* What is at HIGH, page by page: each kind has a plain one before and behind it, and some have each other. */
static const uint8_t windows[] = {PAGE_PLAIN,  PAGE_PLAIN,  PAGE_READ_ONLY,  PAGE_PLAIN,  PAGE_HOLE,  PAGE_PLAIN,
                                  PAGE_DEVICE, PAGE_PLAIN,  PAGE_CODE,       PAGE_PLAIN,  PAGE_DEVICE, PAGE_READ_ONLY,
                                  PAGE_CODE,   PAGE_HOLE,   PAGE_SUPERVISOR, PAGE_PLAIN};
#define WINDOWS ((unsigned)sizeof windows)
#define TOP     0xfffff000u  /* linear: a window below the end, and one at 0 behind it */

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
    unsigned base, second;      /* registers that addresses are made of */
    uint8_t code[SLOT_SIZE];
    unsigned used;
    uint32_t slot;              /* physical address of the code */
    unsigned runs, lost, faults, finished;
};

/* ---- the machines ---- */

static uint64_t device_read(void *opaque, uint64_t offset, unsigned size)
{
    struct device *d = opaque;

    d->accesses++;
    d->hash = d->hash * 31 + offset * 8 + size;
    return 0xf4f4f4f4; /* HLT, for who strays into it */
}

static void device_write(void *opaque, uint64_t offset, unsigned size, uint64_t value)
{
    struct device *d = opaque;

    d->accesses++;
    d->hash = d->hash * 37 + (offset * 8 + size) * 0x10001 + value;
}

static const struct region_ops device_ops = {.read = device_read, .write = device_write};

static uint32_t pick(struct stage *s, uint32_t count)
{
    return next_random(&s->random) % count;
}

static uint32_t window_entry(unsigned i)
{
    switch (windows[i]) {
    case PAGE_READ_ONLY: return (DATA + (i << 12)) | 5;
    case PAGE_HOLE: return 0;
    case PAGE_DEVICE: return (DEVICE + (i << 12)) | 7;
    case PAGE_CODE: return CODE | 7;
    case PAGE_SUPERVISOR: return (DATA + (i << 12)) | 3;
    default: return (DATA + (i << 12)) | 7;
    }
}

/* Everything from the beginning, the same on both machines. */
static void set_stage(struct stage *s)
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
    pair_map(p, 0, DATA + 0x20000, 7);
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
    s->device[0] = s->device[1] = (struct device){0, 0x123456789};
}

static struct stage *stage_create(const struct translate_options *options, uint64_t seed, bool alignment, bool counted)
{
    struct stage *s = calloc(1, sizeof *s);

    s->pair = pair_create(options);
    s->random = seed;
    s->alignment = alignment;
    s->counted = counted;
    for (unsigned i = 0; i < ENGINES; i++) {
        struct bare_machine *m = s->pair->machine[i];

        s->region[i] = (struct memory_region){.name = "device", .kind = REGION_DEVICE, .base = DEVICE, .size = 0x20000,
                                              .priority = 1, .enabled = true, .ops = &device_ops,
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

static void stage_destroy(struct stage *s)
{
    pair_destroy(s->pair);
    free(s);
}

/* ---- made-up code ---- */

static void put(struct stage *s, unsigned byte)
{
    s->code[s->used++] = (uint8_t)byte;
}

static void put_many(struct stage *s, uint32_t value, unsigned size)
{
    for (unsigned i = 0; i < size; i++)
        put(s, value >> (8 * i) & 0xff);
}

/* ModRM (and SIB, displacement) of an operand near the base. */
static void put_memory(struct stage *s, unsigned reg)
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
    unsigned mod = offset == 0 && base != GPR_BP && pick(s, 2) ? 0 : offset >= -128 && offset < 128 && pick(s, 5) ? 1 : 2;
    bool index = kind == 0 || kind == 3;

    put(s, mod << 6 | reg << 3 | (index ? 4 : base));
    if (index)
        put(s, 1 << 3 | base); /* + ecx */
    else if (base == GPR_SP)
        put(s, 0x24);
    put_many(s, (uint32_t)offset, mod == 0 ? 0 : mod == 1 ? 1 : 4);
}

/* A register to change: seldom one that addresses are made of. */
static unsigned some_register(struct stage *s)
{
    unsigned reg = pick(s, 8);

    while ((reg == s->base || reg == s->second || reg == GPR_SP) && pick(s, 16))
        reg = pick(s, 8);
    return reg;
}

static unsigned byte_register(struct stage *s)
{
    unsigned reg = pick(s, 8);

    while ((reg & 3) == s->base && pick(s, 16))
        reg = pick(s, 8);
    return reg;
}

/* [prefix] opcode ModRM for a width of 1, 2 or 4; the byte form is OPCODE with bit 0 clear. */
static unsigned put_opcode(struct stage *s, unsigned opcode)
{
    unsigned width = 1u << (pick(s, 4) ? pick(s, 2) * 2 : 1);

    if (width == 2)
        put(s, 0x66);
    if (opcode >> 8)
        put(s, opcode >> 8);
    put(s, width == 1 ? opcode & 0xfe : opcode & 0xff);
    return width;
}

static void put_access(struct stage *s, unsigned opcode)
{
    unsigned width = put_opcode(s, opcode);

    put_memory(s, width == 1 ? byte_register(s) : some_register(s));
}

static void put_memory_op(struct stage *s, unsigned kind)
{
    unsigned width;

    switch (kind) {
    case 0: case 1: case 2: put_access(s, 0x8b); break;                     /* mov r, m */
    case 3: case 4: case 5: put_access(s, 0x89); break;                     /* mov m, r */
    case 6: put_access(s, pick(s, 8) << 3 | 3); break;                      /* add.. r, m */
    case 7: put_access(s, pick(s, 8) << 3 | 1); break;                      /* add.. m, r */
    case 8:                                                                 /* add.. m, constant */
        put_opcode(s, 0x83) == 1 ? (void)(s->code[s->used - 1] = 0x80) : (void)0;
        put_memory(s, pick(s, 8));
        put(s, pick(s, 256));
        break;
    case 9: put_opcode(s, 0xff); put_memory(s, pick(s, 2)); break;          /* inc, dec m */
    case 10: put_opcode(s, 0xf7); put_memory(s, 2 + pick(s, 2)); break;     /* not, neg m */
    case 11:                                                                /* rol.. m */
        put_opcode(s, pick(s, 2) ? 0xd1 : 0xd3);
        put_memory(s, pick(s, 8));
        break;
    case 12:
        put_opcode(s, 0xc1);
        put_memory(s, pick(s, 8));
        put(s, pick(s, 34));
        break;
    case 13: put(s, 0x0f); put(s, (pick(s, 2) ? 0xb6 : 0xbe) | pick(s, 2)); put_memory(s, some_register(s)); break;
    case 14: put(s, 0x0f); put(s, 0xaf); put_memory(s, some_register(s)); break; /* imul */
    case 15: put(s, 0x6b); put_memory(s, some_register(s)); put(s, pick(s, 256)); break;
    case 16: put(s, 0x0f); put(s, 0x90 + pick(s, 16)); put_memory(s, 0); break;  /* setcc */
    case 17: put(s, 0x0f); put(s, 0x40 + pick(s, 16)); put_memory(s, some_register(s)); break; /* cmov */
    case 18: put(s, 0x0f); put(s, 0xba); put_memory(s, 4 + pick(s, 4)); put(s, pick(s, 40)); break; /* bt.. */
    case 19:                                                                /* shld, shrd */
        put(s, 0x0f);
        put(s, pick(s, 2) ? 0xa4 : 0xac);
        put_memory(s, some_register(s));
        put(s, pick(s, 33));
        break;
    case 20:                                                                /* xadd, cmpxchg, perhaps locked */
        if (!pick(s, 3))
            put(s, 0xf0);
        put_access(s, pick(s, 2) ? 0x0fc1 : 0x0fb1);
        break;
    case 21: put_access(s, 0x87); break;                                    /* xchg */
    case 22: put_access(s, pick(s, 2) ? 0x85 : 0x39); break;                /* test, cmp */
    case 23:                                                                /* mov m, constant */
        width = put_opcode(s, 0xc7);
        put_memory(s, 0);
        put_many(s, next_random(&s->random), width);
        break;
    case 24: put_opcode(s, 0xf7); put_memory(s, 4 + pick(s, 4)); break;     /* mul imul div idiv */
    case 25: put(s, 0xff); put_memory(s, 6); break;                         /* push m */
    case 26: put(s, 0x8f); put_memory(s, 0); break;                         /* pop m */
    case 27: put(s, 0xdb + pick(s, 2) * 4); put_memory(s, pick(s, 2) * 2); break; /* fild, fist / fld, fst */
    case 28: put(s, 0x0f); put(s, 0x10 + pick(s, 2)); put_memory(s, pick(s, 8)); break; /* movups */
    case 29: put(s, 0x0f); put(s, 0xc7); put_memory(s, 1); break;           /* cmpxchg8b */
    }
}

static void put_stack_op(struct stage *s)
{
    switch (pick(s, 9)) {
    case 0: case 1: put(s, 0x50 + pick(s, 8)); break;
    case 2: case 3: put(s, 0x58 + some_register(s)); break;
    case 4: put(s, 0x68); put_many(s, next_random(&s->random), 4); break;
    case 5: put(s, 0x6a); put(s, pick(s, 256)); break;
    case 6: put(s, 0x66); put(s, 0x50 + pick(s, 16)); break;
    case 7: put(s, pick(s, 6) ? 0x9c : 0xc9); break; /* pushf, leave */
    case 8:
        put(s, 0x83); /* add, sub esp, constant */
        put(s, pick(s, 2) ? 0xc4 : 0xec);
        put(s, pick(s, 10) * 4);
        break;
    }
}

static void put_base_change(struct stage *s)
{
    unsigned kind = pick(s, 4), constant = pick(s, 40) * 4;

    if (kind < 2) {
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

static void put_register_op(struct stage *s)
{
    unsigned reg = some_register(s);

    switch (pick(s, 12)) {
    case 0: put(s, 0x40 + pick(s, 2) * 8 + reg); break; /* inc, dec */
    case 1: case 2: put(s, pick(s, 8) << 3 | 3); put(s, 0xc0 | reg << 3 | pick(s, 8)); break;
    case 3: put(s, 0x83); put(s, 0xc0 | pick(s, 8) << 3 | reg); put(s, pick(s, 256)); break;
    case 4: put(s, pick(s, 8) << 3 | 2); put(s, 0xc0 | byte_register(s) << 3 | pick(s, 8)); break;
    case 5: put(s, 0xf7); put(s, 0xd0 | pick(s, 2) << 3 | reg); break;
    case 6: put(s, 0xd1); put(s, 0xc0 | pick(s, 8) << 3 | reg); break;
    case 7: put(s, 0x31); put(s, 0xd2); put(s, 0xf7); put(s, 0xf0 | pick(s, 2) << 3 | 1); break; /* xor edx, edx; div ecx */
    case 8: put(s, pick(s, 3) ? 0xf5 + pick(s, 2) * 3 : 0x9e + pick(s, 2)); break; /* cmc clc sahf lahf */
    case 9: put(s, 0x0f); put(s, 0x90 + pick(s, 16)); put(s, 0xc0 | byte_register(s)); break;
    case 10: put(s, 0x99); break; /* cdq */
    case 11: put(s, 0x0f); put(s, 0x40 + pick(s, 16)); put(s, 0xc0 | reg << 3 | pick(s, 8)); break;
    }
}

static void put_fpu_op(struct stage *s)
{
    unsigned n = pick(s, 8), m = pick(s, 8);

    switch (pick(s, 9)) {
    case 0: put(s, 0xd9); put(s, pick(s, 2) ? 0xe8 : 0xee); break;                       /* fld1, fldz */
    case 1: put(s, 0xd8); put(s, 0xc0 | n); break;                                      /* fadd */
    case 2: put(s, 0xdd); put(s, 0xd8 | n); break;                                      /* fstp */
    case 3: put(s, 0x0f); put(s, 0x57); put(s, 0xc0 | n << 3 | m); break;               /* xorps */
    case 4: put(s, 0x0f); put(s, 0x28); put(s, 0xc0 | n << 3 | m); break;               /* movaps */
    case 5: put(s, 0xf3); put(s, 0x0f); put(s, 0x2a); put(s, 0xc0 | n << 3 | m); break; /* cvtsi2ss */
    case 6: put(s, 0xf3); put(s, 0x0f); put(s, 0x58); put(s, 0xc0 | n << 3 | m); break; /* addss */
    case 7: put(s, 0xdb); put(s, 0xf0 | n); break;                                      /* fcomi */
    case 8: put(s, 0x0f); put(s, 0x2e); put(s, 0xc0 | n << 3 | m); break;               /* ucomiss */
    }
}

static void put_op(struct stage *s)
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
static void make_code(struct stage *s)
{
    unsigned count = 3 + pick(s, PENDING_MAX - 8);

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

/* ---- running it ---- */

/* An address worth being near to. */
static uint32_t some_place(struct stage *s)
{
    uint32_t near = pick(s, 3) ? (pick(s, 40) - 20) * 4 : pick(s, 200) - 100, page = HIGH + (pick(s, WINDOWS) << 12);

    if (s->alignment && pick(s, 8))
        near &= ~3u;
    switch (pick(s, 8)) {
    case 0: return near;                                      /* 0 and the end */
    case 1: return HIGH + (8u << 12) + (s->slot & 0xfff) + pick(s, s->used + 1); /* the code */
    case 2: return HIGH + (8u << 12) + SLOTS * SLOT_SIZE + 0x80 + near;       /* beside code */
    case 3: case 4: return HIGH + 0x1800 + near;              /* nothing special */
    default: return page + near;                              /* between two kinds of pages */
    }
}

static void describe(const struct stage *s, const struct cpu_state *start)
{
    fprintf(stderr, "code at %x, base r%u:", s->slot, s->base);
    for (unsigned i = 0; i < s->used; i++)
        fprintf(stderr, " %02x", s->code[i]);
    fprintf(stderr, "\n ");
    for (unsigned i = 0; i < 8; i++)
        fprintf(stderr, " %08llx", (unsigned long long)start->gpr[i]);
    for (unsigned e = 0; e < ENGINES; e++) {
        const struct cpu_state *now = &s->pair->machine[e]->cpu->state;

        fprintf(stderr, "\n%s", e == INTERP ? "interpreter" : "translator ");
        for (unsigned i = 0; i < 8; i++)
            fprintf(stderr, " %08llx", (unsigned long long)now->gpr[i]);
        fprintf(stderr, " eip %08llx cr2 %08llx", (unsigned long long)now->rip, (unsigned long long)now->cr2);
    }
    fprintf(stderr, "%s%s\n", s->alignment ? ", alignment check" : "", s->counted ? ", counted" : "");
}

static bool same_fpu(const struct cpu_state *x, const struct cpu_state *y)
{
    return !memcmp(x->xmm, y->xmm, sizeof x->xmm) && x->mxcsr == y->mxcsr && x->x87.fsw == y->x87.fsw &&
           x->x87.fcw == y->x87.fcw && x->x87.ftw == y->x87.ftw && !memcmp(x->x87.st, y->x87.st, sizeof x->x87.st) &&
           x->x87.fip == y->x87.fip && x->x87.fop == y->x87.fop && x->x87.fdp == y->x87.fdp &&
           x->x87.fcs == y->x87.fcs && x->x87.fds == y->x87.fds;
}

static void compare(struct stage *s, const struct cpu_state *start)
{
    struct cpu_state *x = &s->pair->machine[INTERP]->cpu->state, *y = &s->pair->machine[TIER1]->cpu->state;
    const uint8_t *a = s->pair->machine[INTERP]->memory->ram, *b = s->pair->machine[TIER1]->memory->ram;
    bool same = !memcmp(x->gpr, y->gpr, 8 * sizeof x->gpr[0]) && x->rip == y->rip && x->cr2 == y->cr2 &&
                x->arithmetic_flags == y->arithmetic_flags && x->system_flags == y->system_flags &&
                !memcmp(a, b, 0x5000) && !memcmp(a + DIRECTORY, b + DIRECTORY, 0x3000) &&
                !memcmp(a + CODE, b + CODE, 0x1000) && !memcmp(a + DATA, b + DATA, 0x22000);

    if (same && (s->runs & 255))
        same = true;
    else if (!same || memcmp(a, b, RAM_SIZE)) {
        describe(s, start);
        pair_compare(s->pair, "made-up code"); /* does not come back */
        fail_msg("state differs");
    }
    if (!same_fpu(x, y)) {
        describe(s, start);
        fail_msg("FPU state differs: fsw %04x %04x, ftw %04x %04x, fip %x %x, fdp %x %x", x->x87.fsw, y->x87.fsw,
                 x->x87.ftw, y->x87.ftw, x->x87.fip, y->x87.fip, x->x87.fdp, y->x87.fdp);
    }
    /* Who left the code may have come to fetch from the device, and not each engine as often. */
    if (x->halted && pair_read32(s->pair, STACK_0 - 20) >> 12 != CODE >> 12)
        s->device[INTERP] = s->device[TIER1];
    if (memcmp(&s->device[0], &s->device[1], sizeof s->device[0])) {
        describe(s, start);
        fail_msg("the device: %llu accesses by the interpreter, %llu by the translator, or other ones",
                 (unsigned long long)s->device[0].accesses, (unsigned long long)s->device[1].accesses);
    }
}

static void place_registers(struct stage *s, struct cpu_state *start)
{
    *start = s->start;
    start->rip = s->slot;
    start->arithmetic_flags = cpu_eflags_to_arithmetic(next_random(&s->random));
    for (unsigned i = 0; i < 8; i++)
        start->gpr[i] = pick(s, 3) ? next_random(&s->random) * 2u + pick(s, 2) : pick(s, 64);
    start->gpr[GPR_SP] = HIGH + 0x1900;
    if (!pick(s, 6))
        start->gpr[GPR_SP] = some_place(s);
    start->gpr[s->second] = pick(s, 3) ? HIGH + 0x1700 + pick(s, 64) * 4 : some_place(s);
    start->gpr[s->base] = some_place(s);
    if (!pick(s, 10)) /* so that what is at the ends of a displacement is near something */
        start->gpr[s->base] = (uint32_t)start->gpr[s->base] + 0x80000000u;
    for (unsigned i = 0; i < 8; i++)
        for (unsigned k = 0; k < 2; k++)
            start->xmm[i].u64[k] = (uint64_t)next_random(&s->random) << 32 | next_random(&s->random);
}

/* Once, from START. False: it did not come to an end, and the machines are as before the first. */
static bool run(struct stage *s, const struct cpu_state *start, bool empty)
{
    int64_t budget = s->counted ? 1 + pick(s, 50) : LOST_BUDGET;
    bool halted[ENGINES];

    for (unsigned i = 0; i < ENGINES; i++) {
        struct vcpu *cpu = s->pair->machine[i]->cpu;

        cpu->state = *start;
        cpu_update_mode(cpu);
        if (empty)
            mmu_flush_all(&cpu->mmu);
    }
    s->runs++;
    for (unsigned steps = 0; steps < (s->counted ? 20u : 1u); steps++) {
        halted[INTERP] = pair_run_one(s->pair, INTERP, budget);
        if (!s->counted && !halted[INTERP]) /* then the other one, which does not count, would go on for ever */
            return false;
        halted[TIER1] = pair_run_one(s->pair, TIER1, budget);
        if (halted[0] != halted[1] ||
            (s->counted && s->pair->machine[0]->cpu->budget != s->pair->machine[1]->cpu->budget)) {
            describe(s, start);
            fail_msg("halted %d %d, budget left %lld %lld", halted[0], halted[1],
                     (long long)s->pair->machine[0]->cpu->budget, (long long)s->pair->machine[1]->cpu->budget);
        }
        compare(s, start);
        if (halted[0])
            break;
    }
    uint64_t eip = pair_state(s->pair)->rip;
    if (eip == HANDLERS + EXC_PF * 16 + 1)
        s->faults++;
    s->finished += eip == HANDLERS + EXC_GP * 16 + 1;
    return true;
}

/* COUNT sequences, each at several places, first with an empty TLB. */
static void play(const struct translate_options *options, unsigned count, uint64_t seed, bool alignment, bool counted)
{
    struct stage *s = stage_create(options, seed, alignment, counted);
    struct cpu_state start;

    for (unsigned i = 0; i < count; i++) {
        make_code(s);
        for (unsigned place = 0; place < PLACES; place++) {
            place_registers(s, &start);
            if (!run(s, &start, !pick(s, 4))) {
                s->lost++;
                set_stage(s);
                break;
            }
            /* The slot may have been written to: that is over now. */
            if (memcmp(s->pair->machine[TIER1]->memory->ram + s->slot, s->code, s->used))
                pair_write(s->pair, s->slot, s->code, s->used);
        }
    }
    print_message("%u sequences, %u runs: %u to the end, %u page faults, %llu accesses to the device, %u lost\n", count,
                  s->runs, s->finished, s->faults, (unsigned long long)s->device[1].accesses, s->lost);
    assert_true(s->finished > s->runs / (alignment ? 10 : 5));
    assert_true(s->faults > s->runs / 20 || alignment);
    assert_true(s->lost < s->runs / 100);
    assert_true(s->device[1].accesses > count / 10);
    pair_expect_native(s->pair);
    stage_destroy(s);
}

static void test_usual(void **state)
{
    struct translate_options options = at_once();

    play(&options, 10000, 1, false, false);
}

static void test_alignment_check(void **state)
{
    struct translate_options options = at_once();

    play(&options, 2000, 2, true, false);
}

static void test_counted(void **state)
{
    struct translate_options options = at_once();

    play(&options, 3000, 3, false, true);
}

static void test_without_passes(void **state)
{
    struct translate_options options = at_once();

    options.disabled_passes = ~0u;
    play(&options, 1000, 4, false, false);
    for (unsigned i = 0; ir_passes[i].name; i++) {
        options.disabled_passes = 1u << i;
        play(&options, 400, 5 + i, false, false);
    }
}

static void test_small_blocks(void **state)
{
    struct translate_options options = at_once();

    for (unsigned limit = 1; limit < 7; limit++) {
        options.block_limit = limit;
        play(&options, 400, 20 + limit, false, limit & 1);
    }
}

static void test_baseline(void **state)
{
    struct translate_options options = at_once();

    options.baseline = true;
    play(&options, 1500, 30, false, false);
    options.baseline = false;
    options.threshold = 2;
    play(&options, 1500, 31, false, false);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_usual),          cmocka_unit_test(test_alignment_check),
        cmocka_unit_test(test_counted),        cmocka_unit_test(test_without_passes),
        cmocka_unit_test(test_small_blocks),   cmocka_unit_test(test_baseline),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* What x87, MMX and SSE instructions do when something stands in the way: page faults, limits, alignment, CR0 and CR4
 * bits, pending errors, FERR# and IGNNE#. After a fault nothing may have changed. */
#include "bare_machine.h"

#include "cpu/fpu.h"
#include "interp/fpu_signal.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define IDT 0x1000u
#define GDT 0x1800u
#define TSS 0x1900u
#define HANDLERS 0x3000u
#define PAGE_DIRECTORY 0x10000u
#define PAGE_TABLES 0x11000u /* two: 8 MiB */
#define CODE 0x100000u
#define STACK0 0x70000u
#define GOOD 0x200000u     /* writable; the page behind it is missing */
#define MISSING 0x201000u
#define READ_ONLY 0x203000u /* the page before it is writable */
#define NONE (-1)

struct fixture {
    struct bare_machine *m;
    struct vcpu *cpu;
    struct cpu_state *s;
    unsigned ferr_changes;
    bool ferr;
    bool ignne_on_ferr;
};

static void set_ferr(void *opaque, bool level)
{
    struct fixture *f = opaque;

    f->ferr_changes++;
    f->ferr = level;
    if (level && f->ignne_on_ferr)
        cpu_set_ignne(f->cpu, true);
    if (!level)
        return;
    cpu_post_attention(f->cpu, ATTENTION_STOP); /* in place of the interrupt */
}

static void put32(struct fixture *f, uint32_t address, uint32_t value)
{
    memory_write(f->m->memory, address, 4, value);
}

static uint64_t get(struct fixture *f, uint32_t address, unsigned size)
{
    return memory_read(f->m->memory, address, size);
}

static void put_segment(struct fixture *f, unsigned selector, uint32_t high)
{
    put32(f, GDT + (selector & 0xf8), 0xffff);
    put32(f, GDT + (selector & 0xf8) + 4, high);
}

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);

    f->m = bare_machine_create("pentium4", 8 << 20);
    f->cpu = f->m->cpu;
    f->s = &f->cpu->state;
    f->cpu->environment.opaque = f;
    f->cpu->environment.set_ferr = set_ferr;
    put_segment(f, 0x08, 0x00cf9b00);
    put_segment(f, 0x10, 0x00cf9300);
    put_segment(f, 0x18, 0x00cffb00);
    put_segment(f, 0x20, 0x00cff300);
    put32(f, TSS + 4, STACK0);
    put32(f, TSS + 8, 0x10);
    for (unsigned v = 0; v < 32; v++) {
        uint32_t handler = HANDLERS + 16 * v;

        put32(f, IDT + 8 * v, 8u << 16 | (handler & 0xffff));
        put32(f, IDT + 8 * v + 4, (handler & 0xffff0000) | 0x8e00);
        memory_write(f->m->memory, handler, 1, 0xf4);
    }
    put32(f, PAGE_DIRECTORY, PAGE_TABLES | 7);
    put32(f, PAGE_DIRECTORY + 4, (PAGE_TABLES + 0x1000) | 7);
    for (uint32_t page = 0; page < 2048; page++) {
        uint32_t address = page << 12;

        put32(f, PAGE_TABLES + 4 * page, address | (address == MISSING ? 0 : address == READ_ONLY ? 5 : 7));
    }
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;

    bare_machine_destroy(f->m);
    free(f);
    return 0;
}

/* Paging on, write protection, everything enabled; CPL 0. */
static void enter(struct fixture *f)
{
    assert_true(fpu_signal_install()); /* the test library put its own handler in place */
    cpu_fpu_spill(f->cpu);
    bare_machine_enter_flat(f->m, CODE, 0x80000);
    f->s->gdtr = (struct descriptor_table){GDT, 0x27};
    f->s->idtr = (struct descriptor_table){IDT, 0xff};
    f->s->cr0 = CR0_PE | CR0_PG | CR0_WP | CR0_NE | CR0_MP | CR0_ET | CR0_AM;
    f->s->cr3 = PAGE_DIRECTORY;
    f->s->cr4 = CR4_OSFXSR | CR4_OSXMMEXCPT;
    f->s->x87 = (struct x87_state){.fcw = X87_FCW_INIT};
    f->s->mxcsr = MXCSR_INIT;
    f->s->tr = (struct segment){.base = TSS, .limit = 0x67, .selector = 0x28, .attributes = 0x008b};
    f->cpu->ferr = false;
    f->ferr_changes = 0;
    mmu_load_state(&f->cpu->mmu, f->s->cr0, f->s->cr3, f->s->cr4, f->s->efer);
    cpu_update_mode(f->cpu);
}

static void set_controls(struct fixture *f, uint32_t cr0_on, uint32_t cr0_off, uint32_t cr4)
{
    f->s->cr0 = (f->s->cr0 | cr0_on) & ~cr0_off;
    f->s->cr4 = cr4;
    mmu_set_control(&f->cpu->mmu, f->s->cr0, f->s->cr4, f->s->efer);
    cpu_update_mode(f->cpu);
}

/* CPL 3 with alignment checking. */
static void enter_user(struct fixture *f)
{
    enter(f);
    for (unsigned seg = 0; seg < SEG_COUNT; seg++) {
        struct segment *segment = &f->s->segment[seg];

        segment->selector = seg == SEG_CS ? 0x1b : 0x23;
        segment->attributes |= 3u << SEGMENT_DPL_SHIFT;
    }
    f->s->system_flags |= FLAG_AC;
    cpu_update_mode(f->cpu);
    assert_true(f->cpu->mode & MODE_AC);
}

/* Runs CODE_BYTES with EBX = ADDRESS up to the HLT behind them; returns the exception's vector or NONE. The
 * state is in cpu->state afterwards. */
static int run_bytes(struct fixture *f, uint32_t address, const uint8_t *bytes, size_t length)
{
    static const uint8_t halt[] = {0xf4};

    memory_write_bytes(f->m->memory, CODE, bytes, length);
    memory_write_bytes(f->m->memory, CODE + length, halt, 1);
    f->s->rip = CODE;
    f->s->gpr[GPR_BX] = f->s->gpr[GPR_DI] = address;
    atomic_fetch_and(&f->cpu->attention, ~(unsigned)ATTENTION_STOP);
    bare_machine_run(f->m, 100);
    cpu_fpu_spill(f->cpu);
    assert_false(f->m->triple_fault);
    if (f->s->rip >= HANDLERS && f->s->rip < HANDLERS + 0x200)
        return (int)((f->s->rip - HANDLERS) / 16);
    return NONE;
}
#define RUN(f, address, ...) \
    run_bytes(f, address, (const uint8_t[]){__VA_ARGS__}, sizeof((const uint8_t[]){__VA_ARGS__}))

#define FLD1 0xd9, 0xe8
#define FLDZ 0xd9, 0xee

/* One number on the x87 stack. */
static void load_one(struct fixture *f)
{
    enter(f);
    assert_int_equal(RUN(f, 0, FLD1), NONE);
    assert_int_equal(f->s->x87.fsw, 0x3800);
    assert_int_equal(f->s->x87.ftw, 0x80);
    f->s->x87.fip = 0x12345678;
}

static void assert_one_loaded(struct fixture *f)
{
    assert_int_equal(f->s->x87.fsw, 0x3800);
    assert_int_equal(f->s->x87.ftw, 0x80);
    assert_int_equal(f->s->x87.fip, 0x12345678);
}

static void test_store_faults(void **state)
{
    struct fixture *f = *state;
    static const struct {
        uint8_t code[2];
        uint8_t size;
    } stores[] = {{{0xd9, 0x1b}, 4}, {{0xdd, 0x1b}, 8}, {{0xdb, 0x3b}, 10}, {{0xdb, 0x1b}, 4},
                  {{0xdf, 0x1b}, 2}, {{0xdf, 0x3b}, 8}, {{0xdf, 0x33}, 10}, {{0xdd, 0x13}, 8}};

    for (unsigned i = 0; i < ARRAY_SIZE(stores); i++) {
        /* missing, read-only, and crossing into either */
        const uint32_t addresses[] = {MISSING, READ_ONLY + 16, MISSING - stores[i].size + 1, READ_ONLY - 1};
        const uint32_t cr2[] = {MISSING, READ_ONLY + 16, MISSING, READ_ONLY};

        for (unsigned a = 0; a < ARRAY_SIZE(addresses); a++) {
            load_one(f);
            for (unsigned b = 0; b < stores[i].size; b++)
                if (addresses[a] + b < MISSING)
                    memory_write(f->m->memory, addresses[a] + b, 1, 0xa5);
            assert_int_equal(run_bytes(f, addresses[a], stores[i].code, 2), EXC_PF);
            assert_int_equal(f->s->cr2, cr2[a]);
            assert_one_loaded(f);
            for (unsigned b = 0; b < stores[i].size; b++)
                if (addresses[a] + b < MISSING) {
                    /* 10 bytes are stored as 8 and 2 */
                    bool written = stores[i].size == 10 && addresses[a] + 8 < MISSING;
                    bool decimal = stores[i].code[0] == 0xdf;
                    unsigned one = decimal ? b == 0 : b == 7 ? 0x80 : 0;

                    assert_int_equal(get(f, addresses[a] + b, 1), written && b < 8 ? one : 0xa5);
                }
        }
    }
}

/* With an unmasked invalid operation nothing is stored: memory is not looked at. */
static void test_unstored_results_touch_nothing(void **state)
{
    struct fixture *f = *state;
    static const uint8_t stores[][2] = {{0xd9, 0x1b}, {0xdd, 0x1b}, {0xdb, 0x3b}, {0xdb, 0x1b}, {0xdf, 0x1b},
                                        {0xdf, 0x3b}, {0xdf, 0x33}, {0xdd, 0x13}};

    for (unsigned i = 0; i < ARRAY_SIZE(stores); i++) {
        enter(f);
        f->s->x87.fcw = X87_FCW_INIT & ~X87_IE;
        assert_int_equal(run_bytes(f, MISSING, stores[i], 2), NONE);
        assert_int_equal(f->s->x87.fsw & (X87_ES | X87_IE | X87_TOP), X87_ES | X87_IE);
        /* stored: faults, and what was done is undone */
        load_one(f);
        f->s->x87.fcw = X87_FCW_INIT & ~X87_IE;
        assert_int_equal(run_bytes(f, MISSING, stores[i], 2), EXC_PF);
        assert_one_loaded(f);
    }
}

static void test_crossing_accesses(void **state)
{
    struct fixture *f = *state;
    static const uint8_t pi[10] = {0x35, 0xc2, 0x68, 0x21, 0xa2, 0xda, 0x0f, 0xc9, 0x00, 0x40};
    uint8_t copy[16];

    enter(f);
    for (unsigned start = 0; start < 16; start++) {
        uint32_t from = 0x300000 - start, to = 0x400000 - start;

        memory_write_bytes(f->m->memory, from, pi, sizeof pi);
        f->s->gpr[GPR_SI] = to;
        assert_int_equal(RUN(f, from, 0xdb, 0x2b, 0xdb, 0x3e), NONE); /* fldt (%ebx); fstpt (%esi) */
        memory_read_bytes(f->m->memory, to, copy, sizeof pi);
        assert_memory_equal(copy, pi, sizeof pi);

        memory_write_bytes(f->m->memory, from, "0123456789abcdef", 16);
        assert_int_equal(RUN(f, from, 0x0f, 0x10, 0x03, 0x0f, 0x11, 0x06), NONE); /* movups through xmm0 */
        memory_read_bytes(f->m->memory, to, copy, 16);
        assert_memory_equal(copy, "0123456789abcdef", 16);

        memory_write_bytes(f->m->memory, from, "qrstuvwx", 8);
        assert_int_equal(RUN(f, from, 0x0f, 0x6f, 0x03, 0x0f, 0x7f, 0x06, 0x0f, 0x77), NONE); /* movq through mm0 */
        memory_read_bytes(f->m->memory, to, copy, 8);
        assert_memory_equal(copy, "qrstuvwx", 8);
    }
}

static void test_vector_stores_write_all_or_nothing(void **state)
{
    struct fixture *f = *state;
    static const uint32_t addresses[] = {MISSING - 15, MISSING - 8, MISSING - 1, READ_ONLY - 8};

    for (unsigned a = 0; a < ARRAY_SIZE(addresses); a++) {
        enter(f);
        memory_write(f->m->memory, addresses[a], 1, 0x5a);
        memset(f->s->xmm[0].u8, 0x11, 16);
        assert_int_equal(RUN(f, addresses[a], 0x0f, 0x11, 0x03), EXC_PF);
        assert_int_equal(f->s->cr2, addresses[a] >= READ_ONLY - 8 ? READ_ONLY : MISSING);
        assert_int_equal(get(f, addresses[a], 1), 0x5a);
        memset(f->s->xmm[1].u8, 0xff, 16);
        enter(f);
        memset(f->s->xmm[1].u8, 0xff, 16);
        assert_int_equal(RUN(f, addresses[a], 0x66, 0x0f, 0xf7, 0xc1), EXC_PF); /* maskmovdqu %xmm1, %xmm0 */
        assert_int_equal(get(f, addresses[a], 1), 0x5a);
    }
    enter(f);
    memset(f->s->xmm[1].u8, 0x7f, 16); /* nothing selected: checked all the same, the upper half first */
    assert_int_equal(RUN(f, MISSING, 0x66, 0x0f, 0xf7, 0xc1), EXC_PF);
    assert_int_equal(f->s->cr2, MISSING + 8);
    assert_int_equal(RUN(f, MISSING, 0x0f, 0xf7, 0xc1), EXC_PF);
    assert_int_equal(f->s->cr2, MISSING);
    assert_int_equal(RUN(f, GOOD, 0x66, 0x0f, 0xf7, 0xc1), NONE);
}

/* Touching an MMX register sets TOP and tags; not if the instruction faults, except that stores leave TOP = 0. */
static void test_mmx_faults_leave_x87(void **state)
{
    struct fixture *f = *state;
    static const uint8_t codes[][4] = {{0x0f, 0x7f, 0x03}, {0x0f, 0x7e, 0x03}, {0x0f, 0xe7, 0x03},
                                       {0x0f, 0x6f, 0x03}, {0x0f, 0xfc, 0x03}, {0x0f, 0xc4, 0x03},
                                       {0x0f, 0x70, 0x03}, {0x0f, 0x60, 0x03}, {0x0f, 0x2d, 0x03}};

    for (unsigned i = 0; i < ARRAY_SIZE(codes); i++) {
        load_one(f);
        assert_int_equal(run_bytes(f, MISSING, codes[i], 4), EXC_PF);
        assert_int_equal(f->s->x87.fsw, i < 3 ? 0 : 0x3800);
        assert_int_equal(f->s->x87.ftw, 0x80);
        assert_int_equal(f->s->x87.fip, 0x12345678);
    }
    load_one(f);
    assert_int_equal(RUN(f, GOOD, 0x0f, 0x7f, 0x03), NONE);
    assert_int_equal(f->s->x87.fsw, 0);
    assert_int_equal(f->s->x87.ftw, 0xff);
    assert_int_equal(f->s->x87.fip, 0x12345678);
}

static void test_alignment_of_vectors(void **state)
{
    struct fixture *f = *state;
    /* movaps load, store, addps, pxor, movntps, paddb, cvtdq2ps, cmpps, pshufd, shufps */
    static const uint8_t codes[][5] = {{0x0f, 0x28, 0x03}, {0x0f, 0x29, 0x03},       {0x0f, 0x58, 0x03},
                                       {0x66, 0x0f, 0xef, 0x03}, {0x0f, 0x2b, 0x03},     {0x66, 0x0f, 0xfc, 0x03},
                                       {0x0f, 0x5b, 0x03}, {0x0f, 0xc2, 0x03, 0},    {0x66, 0x0f, 0x70, 0x03, 0},
                                       {0x0f, 0xc6, 0x03, 0}};

    for (unsigned i = 0; i < ARRAY_SIZE(codes); i++) {
        for (unsigned misalignment = 1; misalignment < 16; misalignment += misalignment) {
            enter(f);
            assert_int_equal(run_bytes(f, GOOD + misalignment, codes[i], 5), EXC_GP);
            /* the linear address counts, and comes before paging */
            assert_int_equal(run_bytes(f, MISSING + misalignment, codes[i], 5), EXC_GP);
        }
        enter(f);
        f->s->segment[SEG_DS].base = 8;
        cpu_update_segment_ends(f->cpu, &f->s->segment[SEG_DS]);
        cpu_update_mode(f->cpu);
        assert_int_equal(run_bytes(f, GOOD, codes[i], 5), EXC_GP);
        enter(f);
        assert_int_equal(run_bytes(f, MISSING, codes[i], 5), EXC_PF);
    }
    /* scalars and halves need no alignment */
    enter(f);
    assert_int_equal(RUN(f, GOOD + 1, 0xf2, 0x0f, 0x58, 0x03), NONE);
    assert_int_equal(RUN(f, GOOD + 1, 0xf3, 0x0f, 0x58, 0x03), NONE);
    assert_int_equal(RUN(f, GOOD + 3, 0x0f, 0x16, 0x03), NONE);
    assert_int_equal(RUN(f, GOOD + 5, 0x0f, 0x5a, 0x03), NONE);
}

/* Alignment checks at CPL 3, as processors make them. */
static void test_alignment_check(void **state)
{
    struct fixture *f = *state;
    static const struct {
        uint8_t code[4];
        uint8_t alignment;
    } cases[] = {
        {{0xd9, 0x03}, 4}, {{0xdd, 0x03}, 8}, {{0xdb, 0x2b}, 8}, {{0xdf, 0x03}, 2}, {{0xdb, 0x03}, 4},
        {{0xdf, 0x2b}, 8}, {{0xdf, 0x23}, 8}, {{0xd9, 0x2b}, 2}, {{0xd9, 0x3b}, 2}, {{0xdd, 0x3b}, 2},
        {{0xdd, 0x13}, 8}, {{0xdb, 0x3b}, 8}, {{0xdb, 0x13}, 4}, {{0xdc, 0x03}, 8},
        {{0x0f, 0x6f, 0x03}, 8}, {{0x0f, 0x7f, 0x03}, 8}, {{0x0f, 0x7e, 0x03}, 4}, {{0x0f, 0xfc, 0x03}, 8},
        {{0x0f, 0x60, 0x03}, 4}, {{0x0f, 0xc4, 0x03, 0}, 2}, {{0x0f, 0x10, 0x03}, 1}, {{0x0f, 0x11, 0x03}, 1},
        {{0xf3, 0x0f, 0x6f, 0x03}, 1}, {{0x0f, 0x12, 0x03}, 8}, {{0xf3, 0x0f, 0x10, 0x03}, 4},
        {{0xf2, 0x0f, 0x58, 0x03}, 8}, {{0xf2, 0x0f, 0x11, 0x03}, 8}, {{0xf3, 0x0f, 0x2a, 0x03}, 4},
        {{0x0f, 0xc3, 0x03}, 4}, {{0x0f, 0xae, 0x3b}, 1}, {{0x0f, 0xae, 0x1b}, 4},
    };

    for (unsigned i = 0; i < ARRAY_SIZE(cases); i++) {
        for (unsigned misalignment = 1; misalignment < 16; misalignment += misalignment) {
            uint8_t code[6];

            enter_user(f);
            memcpy(code, cases[i].code, 4);
            if (!cases[i].code[2])
                code[2] = 0x90;
            if (!cases[i].code[3] && cases[i].code[1] != 0xc4)
                code[3] = 0x90;
            code[4] = 0x0f; /* ud2: HLT is privileged */
            code[5] = 0x0b;
            assert_int_equal(run_bytes(f, GOOD + misalignment, code, 6),
                             misalignment % cases[i].alignment ? EXC_AC : EXC_UD);
        }
    }
    enter_user(f);
    assert_int_equal(RUN(f, GOOD + 4, 0x0f, 0x28, 0x03), EXC_GP);
}

static void test_limits(void **state)
{
    struct fixture *f = *state;
    static const struct {
        uint8_t code[4];
        uint8_t size;
    } cases[] = {{{0xd9, 0x03}, 4}, {{0xdd, 0x03}, 8}, {{0xdb, 0x2b}, 10}, {{0xdb, 0x3b}, 10}, {{0xd9, 0x3b}, 2},
                 {{0x0f, 0x6f, 0x03}, 8}, {{0x0f, 0x7f, 0x03}, 8}, {{0x0f, 0x10, 0x03}, 16}, {{0x0f, 0x11, 0x03}, 16},
                 {{0xf2, 0x0f, 0x58, 0x03}, 8}, {{0xf3, 0x0f, 0x11, 0x03}, 4}, {{0x0f, 0xae, 0x3b}, 1}};

    for (unsigned i = 0; i < ARRAY_SIZE(cases); i++) {
        for (unsigned stack = 0; stack < 2; stack++) {
            struct segment *segment;
            uint8_t code[5] = {stack ? 0x36 : 0x3e};

            enter(f);
            memcpy(code + 1, cases[i].code, 4);
            if (!cases[i].code[2])
                code[3] = code[4] = 0x90;
            else if (!cases[i].code[3])
                code[4] = 0x90;
            segment = &f->s->segment[stack ? SEG_SS : SEG_DS];
            segment->limit = GOOD + 0x1f;
            cpu_update_segment_ends(f->cpu, segment);
            cpu_update_mode(f->cpu);
            assert_int_equal(run_bytes(f, GOOD + 0x20 - cases[i].size, code, 5), NONE);
            int vector = run_bytes(f, GOOD + 0x21 - cases[i].size, code, 5);
            assert_int_equal(vector, stack ? EXC_SS : EXC_GP);
        }
    }
}

static void test_availability(void **state)
{
    struct fixture *f = *state;
    static const struct {
        uint8_t code[4];
        int em, ts, no_osfxsr;
    } cases[] = {
        {{0xd9, 0xe8}, EXC_NM, EXC_NM, NONE},             /* fld1 */
        {{0xdf, 0xe0}, EXC_NM, EXC_NM, NONE},             /* fnstsw %ax */
        {{0xd9, 0x33}, EXC_NM, EXC_NM, NONE},             /* fnstenv (%ebx) */
        {{0x9b}, NONE, EXC_NM, NONE},                     /* fwait: MP is set */
        {{0x0f, 0x77}, EXC_UD, EXC_NM, NONE},             /* emms */
        {{0x0f, 0xfc, 0xc1}, EXC_UD, EXC_NM, NONE},       /* paddb %mm1, %mm0 */
        {{0x0f, 0xe0, 0xc1}, EXC_UD, EXC_NM, NONE},       /* pavgb %mm1, %mm0 */
        {{0x66, 0x0f, 0xfc, 0xc1}, EXC_UD, EXC_NM, EXC_UD}, /* paddb %xmm1, %xmm0 */
        {{0x0f, 0x58, 0xc1}, EXC_UD, EXC_NM, EXC_UD},     /* addps */
        {{0x0f, 0x2a, 0xc1}, EXC_UD, EXC_NM, EXC_UD},     /* cvtpi2ps */
        {{0xf2, 0x0f, 0xd6, 0xc1}, EXC_UD, EXC_NM, EXC_UD}, /* movdq2q */
        {{0x0f, 0xae, 0x1b}, EXC_UD, EXC_NM, EXC_UD},     /* stmxcsr (%ebx) */
        {{0x0f, 0xae, 0x03}, EXC_NM, EXC_NM, NONE},       /* fxsave (%ebx) */
        {{0x0f, 0xae, 0xf8}, NONE, NONE, NONE},           /* sfence */
        {{0x0f, 0xc3, 0x03}, NONE, NONE, NONE},           /* movnti */
        {{0x0f, 0x18, 0x03}, NONE, NONE, NONE},           /* prefetchnta */
        {{0x0f, 0xae, 0x3b}, NONE, NONE, NONE},           /* clflush */
    };

    for (unsigned i = 0; i < ARRAY_SIZE(cases); i++) {
        size_t length = cases[i].code[0] == 0x9b ? 1 : !cases[i].code[2] ? 2 : !cases[i].code[3] ? 3 : 4;

        enter(f);
        assert_int_equal(run_bytes(f, GOOD, cases[i].code, length), NONE);
        enter(f);
        set_controls(f, CR0_EM, 0, CR4_OSFXSR);
        assert_int_equal(run_bytes(f, GOOD, cases[i].code, length), cases[i].em);
        enter(f);
        set_controls(f, CR0_TS, 0, CR4_OSFXSR);
        assert_int_equal(run_bytes(f, GOOD, cases[i].code, length), cases[i].ts);
        enter(f);
        set_controls(f, 0, 0, 0);
        assert_int_equal(run_bytes(f, GOOD, cases[i].code, length), cases[i].no_osfxsr);
    }
    enter(f);
    set_controls(f, CR0_TS, CR0_MP, 0);
    assert_int_equal(RUN(f, 0, 0x9b), NONE);
}

static void test_simd_exceptions(void **state)
{
    struct fixture *f = *state;

    enter(f);
    f->s->mxcsr = 0x1f80 & ~0x200u; /* division by zero unmasked */
    f->s->xmm[0] = (union xmm_register){.u32 = {0x3f800000, 1, 2, 3}};
    assert_int_equal(RUN(f, 0, 0xf3, 0x0f, 0x5e, 0xc1), EXC_XM); /* divss %xmm1, %xmm0 */
    assert_int_equal(f->s->xmm[0].u32[0], 0x3f800000);
    assert_int_equal(f->s->mxcsr, (0x1f80 & ~0x200u) | 4);
    set_controls(f, 0, 0, CR4_OSFXSR);
    assert_int_equal(RUN(f, 0, 0xf3, 0x0f, 0x5e, 0xc1), EXC_UD);
    f->s->mxcsr = 0x1f80;
    assert_int_equal(RUN(f, 0, 0xf3, 0x0f, 0x5e, 0xc1), NONE);
    assert_int_equal(f->s->xmm[0].u32[0], 0x7f800000);
    assert_int_equal(f->s->xmm[0].u32[3], 3);

    /* COMISS keeps the flags when it faults */
    f->s->mxcsr = 0x1f80 & ~0x80u;
    f->s->xmm[1].u32[0] = 0x7fa00000;
    f->s->arithmetic_flags = cpu_eflags_to_arithmetic(FLAG_OF | FLAG_SF);
    set_controls(f, 0, 0, CR4_OSFXSR | CR4_OSXMMEXCPT);
    assert_int_equal(RUN(f, 0, 0x0f, 0x2f, 0xc1), EXC_XM);
    assert_int_equal(f->s->arithmetic_flags, cpu_eflags_to_arithmetic(FLAG_OF | FLAG_SF));
}

/* 1 / 0 unmasked, in a control word that masks nothing else. */
#define MAKE_ERROR 0xd9, 0x2b, FLD1, FLDZ, 0xde, 0xf9 /* fldcw (%ebx); fld1; fldz; fdivrp */

static void make_error(struct fixture *f)
{
    enter(f);
    memory_write(f->m->memory, GOOD, 2, 0x37b);
    assert_int_equal(RUN(f, GOOD, MAKE_ERROR), NONE);
    assert_int_equal(f->s->x87.fsw & 0x80ff, X87_ES | X87_B | 4);
    assert_int_equal(f->s->x87.fip, CODE + 6);
}

static void test_pending_error(void **state)
{
    struct fixture *f = *state;
    static const uint8_t waiting[][3] = {{0x9b}, {0xd9, 0xe8}, {0xd9, 0x03}, {0xdd, 0x1b}, {0xd9, 0x2b}, {0xd9, 0x23},
                                         {0xdd, 0x23}, {0x0f, 0x77}, {0x0f, 0x6f, 0x03}, {0x0f, 0x7f, 0xc1},
                                         {0xd9, 0xd0}};
    static const uint8_t not_waiting[][3] = {{0xdf, 0xe0}, {0xdd, 0x3b}, {0xd9, 0x3b}, {0xdb, 0xe0},
                                             {0x0f, 0x57, 0xc0}};

    for (unsigned i = 0; i < ARRAY_SIZE(waiting); i++) {
        size_t length = !waiting[i][1] ? 1 : waiting[i][0] == 0x0f && waiting[i][1] != 0x77 ? 3 : 2;

        make_error(f);
        struct x87_state before = f->s->x87;
        assert_int_equal(run_bytes(f, GOOD, waiting[i], length), EXC_MF);
        assert_memory_equal(&before, &f->s->x87, sizeof before);
        /* the error comes before faults of the operand */
        assert_int_equal(run_bytes(f, MISSING, waiting[i], length), EXC_MF);
        assert_memory_equal(&before, &f->s->x87, sizeof before);
    }
    for (unsigned i = 0; i < ARRAY_SIZE(not_waiting); i++) {
        make_error(f);
        assert_int_equal(run_bytes(f, GOOD + 8, not_waiting[i], not_waiting[i][0] == 0x0f ? 3 : 2), NONE);
    }
    make_error(f);
    assert_int_equal(RUN(f, GOOD, 0xdb, 0xe2, 0x9b), NONE); /* fnclex */
    assert_int_equal(f->s->x87.fsw & 0x80ff, 0);
    make_error(f);
    assert_int_equal(RUN(f, GOOD, 0xdb, 0xe3, 0x9b), NONE); /* fninit */
    assert_int_equal(f->s->x87.fcw, X87_FCW_INIT);
    assert_int_equal(f->s->x87.fip, 0);
}

/* An unmasked exception that keeps a store from happening leaves memory and stack alone, on the careful path too. */
static void test_suppressed_stores(void **state)
{
    struct fixture *f = *state;

    for (unsigned observed = 0; observed < 2; observed++) {
        enter(f);
        mmu_set_observe(&f->cpu->mmu, observed, observed);
        memory_write(f->m->memory, GOOD, 2, 0x37e); /* invalid operation unmasked */
        memory_write(f->m->memory, GOOD + 8, 8, 0x1122334455667788);
        assert_int_equal(RUN(f, GOOD, 0xd9, 0x2b, 0xdd, 0x5b, 0x08), NONE); /* fstpl 8(%ebx), stack empty */
        assert_int_equal(get(f, GOOD + 8, 8), 0x1122334455667788);
        /* Nothing popped; C0, C2, C3 are undefined. */
        assert_int_equal(f->s->x87.fsw & ~0x4500u, X87_B | X87_ES | 0x41);

        enter(f);
        mmu_set_observe(&f->cpu->mmu, observed, observed);
        memory_write(f->m->memory, GOOD, 2, 0x35f); /* precision unmasked: stored and reported */
        assert_int_equal(RUN(f, GOOD, 0xd9, 0x2b, 0xd9, 0xeb, 0xdd, 0x5b, 0x08), NONE); /* fldpi; fstpl */
        assert_int_equal(get(f, GOOD + 8, 8), 0x400921fb54442d18);
        assert_int_equal(f->s->x87.fsw & ~0x4700u, X87_B | X87_ES | 0x20);
        mmu_set_observe(&f->cpu->mmu, false, false);
    }
}

/* CR0.NE = 0: FERR# instead of #MF. */
static void test_ferr(void **state)
{
    struct fixture *f = *state;

    make_error(f);
    set_controls(f, 0, CR0_NE, f->s->cr4);
    assert_int_equal(RUN(f, GOOD, 0x90, FLD1), NONE);
    assert_true(f->ferr);
    assert_int_equal(f->s->rip, CODE + 1); /* frozen before the instruction */
    assert_int_equal(f->ferr_changes, 1);
    assert_int_equal(RUN(f, GOOD, 0xdf, 0xe0), NONE); /* fnstsw is no way out */
    assert_true(f->ferr);
    assert_int_equal(RUN(f, GOOD, 0xdb, 0xe2, FLD1), NONE); /* fnclex is */
    assert_false(f->ferr);
    assert_int_equal(f->ferr_changes, 2);
    assert_false(atomic_load(&f->cpu->ignne));
}

static void test_ignne(void **state)
{
    struct fixture *f = *state;

    make_error(f);
    set_controls(f, 0, CR0_NE, f->s->cr4);
    f->ignne_on_ferr = true;
    assert_int_equal(RUN(f, GOOD, FLD1), NONE);
    assert_int_equal(f->s->rip, CODE);
    assert_true(atomic_load(&f->cpu->ignne));
    /* Now instructions execute as if nothing were pending, and the error stays. */
    uint16_t before = f->s->x87.fsw;
    assert_int_equal(RUN(f, GOOD, FLD1, 0xdd, 0x1b, 0x9b), NONE);
    assert_int_equal(f->s->rip, CODE + 6); /* behind HLT */
    assert_int_equal(get(f, GOOD, 8), 0x3ff0000000000000);
    assert_int_equal(f->s->x87.fsw, before);
    assert_int_equal(f->s->x87.fcw, 0x37b);
    assert_int_equal(RUN(f, GOOD, 0x0f, 0x6f, 0x0b, 0x0f, 0x77), NONE); /* movq (%ebx), %mm1; emms */
    assert_int_equal(f->s->x87.ftw, 0);
    assert_int_equal(f->s->x87.fsw & 0xff, X87_ES | 4);
    assert_true(f->ferr);
    assert_int_equal(RUN(f, GOOD, 0x9b, 0xdb, 0xe3), NONE); /* finit */
    assert_false(f->ferr);
    assert_false(atomic_load(&f->cpu->ignne));
}

/* Models without a feature: #UD. */
static void test_models(void **state)
{
    static const struct {
        const char *model;
        uint8_t code[4];
        int vector;
    } cases[] = {
        {"486", {0x0f, 0x77}, EXC_UD},
        {"486", {0xda, 0xc1}, EXC_UD}, /* fcmovb */
        {"486", {0xdb, 0xf1}, EXC_UD}, /* fcomi */
        {"486", {0xd9, 0xe8}, NONE},
        {"pentium2", {0x0f, 0xfc, 0xc1}, NONE},
        {"pentium2", {0x66, 0x0f, 0xfc, 0xc1}, EXC_UD},
        {"pentium2", {0x0f, 0xe0, 0xc1}, EXC_UD}, /* pavgb %mm1, %mm0 */
        {"pentium2", {0x0f, 0x58, 0xc1}, EXC_UD},
        {"pentium3", {0x0f, 0xe0, 0xc1}, NONE},
        {"pentium3", {0x66, 0x0f, 0xe0, 0xc1}, EXC_UD},
        {"pentium3", {0x0f, 0xd4, 0xc1}, EXC_UD}, /* paddq %mm1, %mm0 */
        {"pentium3", {0x0f, 0x58, 0xc1}, NONE},
        {"pentium3", {0x66, 0x0f, 0x58, 0xc1}, EXC_UD},
        {"pentium4", {0xdb, 0x0b}, EXC_UD}, /* fisttp */
    };
    for (unsigned i = 0; i < ARRAY_SIZE(cases); i++) {
        struct fixture *f;
        struct error err;

        assert_int_equal(setup((void **)&f), 0);
        interp_destroy(f->m->interp);
        f->cpu->model = cpu_model_find(cases[i].model, &err);
        f->m->interp = interp_create(f->cpu, &err);
        enter(f);
        size_t length = !cases[i].code[2] ? 2 : !cases[i].code[3] ? 3 : 4;
        assert_int_equal(run_bytes(f, GOOD, cases[i].code, length), cases[i].vector);
        teardown((void **)&f);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_store_faults, setup, teardown),
        cmocka_unit_test_setup_teardown(test_unstored_results_touch_nothing, setup, teardown),
        cmocka_unit_test_setup_teardown(test_crossing_accesses, setup, teardown),
        cmocka_unit_test_setup_teardown(test_vector_stores_write_all_or_nothing, setup, teardown),
        cmocka_unit_test_setup_teardown(test_mmx_faults_leave_x87, setup, teardown),
        cmocka_unit_test_setup_teardown(test_alignment_of_vectors, setup, teardown),
        cmocka_unit_test_setup_teardown(test_alignment_check, setup, teardown),
        cmocka_unit_test_setup_teardown(test_limits, setup, teardown),
        cmocka_unit_test_setup_teardown(test_availability, setup, teardown),
        cmocka_unit_test_setup_teardown(test_simd_exceptions, setup, teardown),
        cmocka_unit_test_setup_teardown(test_pending_error, setup, teardown),
        cmocka_unit_test_setup_teardown(test_suppressed_stores, setup, teardown),
        cmocka_unit_test_setup_teardown(test_ferr, setup, teardown),
        cmocka_unit_test_setup_teardown(test_ignne, setup, teardown),
        cmocka_unit_test(test_models),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

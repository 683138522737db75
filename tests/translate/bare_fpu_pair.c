#include "bare_fpu_pair.h"

#include "cpu/fpu.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { INTERPRETER, TRANSLATOR, ENGINES };

/* ---- the machines ---- */

static uint32_t physical_of(uint32_t linear)
{
    uint32_t page = linear & ~(uint32_t)PAGE_MASK;

    if (page == PAIR_SCATTERED)
        page = PAIR_SCATTERED_TO;
    return page | (linear & PAGE_MASK);
}

static bool is_memory(uint32_t linear)
{
    uint32_t page = linear & ~(uint32_t)PAGE_MASK;

    return page != PAIR_MISSING && page != PAIR_DEVICE;
}

static void put32(struct bare_machine *m, uint32_t address, uint32_t value)
{
    memory_write(m->memory, address, 4, value);
}

static void prepare_page_tables(struct bare_machine *m)
{
    put32(m, PAIR_PAGE_DIRECTORY, PAIR_PAGE_TABLES | 7);
    put32(m, PAIR_PAGE_DIRECTORY + 4, (PAIR_PAGE_TABLES + 0x1000) | 7);
    for (uint32_t address = 0; address < 8u << 20; address += PAGE_SIZE) {
        uint32_t entry = physical_of(address) | (address == PAIR_READ_ONLY ? 5 : 7);

        if (address == PAIR_MISSING)
            entry = 0;
        if (address == PAIR_DEVICE)
            entry = 0x40000007;
        put32(m, PAIR_PAGE_TABLES + address / PAGE_SIZE * 4, entry);
    }
}

static void prepare_tables(struct bare_machine *m)
{
    static const uint32_t descriptors[] = {0x00cf9b00, 0x00cf9300};

    for (unsigned i = 0; i < 2; i++) {
        put32(m, PAIR_GDT + 8 + 8 * i, 0xffff);
        put32(m, PAIR_GDT + 12 + 8 * i, descriptors[i]);
    }
    for (unsigned v = 0; v < 32; v++) {
        uint32_t handler = PAIR_HANDLERS + 16 * v;

        put32(m, PAIR_IDT + 8 * v, 8u << 16 | (handler & 0xffff));
        put32(m, PAIR_IDT + 8 * v + 4, (handler & 0xffff0000) | 0x8e00);
        memory_write(m->memory, handler, 1, 0xf4);
    }
    prepare_page_tables(m);
}

/* In place of the interrupt. */
static void set_ferr(void *opaque, bool level)
{
    if (level)
        cpu_post_attention(((struct bare_machine *)opaque)->cpu, ATTENTION_STOP);
}

static void on_disagreement(void *opaque, const char *report)
{
    print_message("%s\n", report);
    ((struct fpu_pair *)opaque)->disagreed = true;
}

struct fpu_pair *fpu_pair_create(const struct fpu_pair_options *options)
{
    struct translate_options translate = TRANSLATE_OPTIONS_DEFAULT;
    struct fpu_pair *pair = calloc(1, sizeof *pair);
    struct error err = {""};

    translate.threshold = 0;
    translate.cache_size = 8u << 20;
    translate.disabled_passes = options->disabled_passes;
    translate.baseline = options->baseline;
    translate.lockstep = options->lockstep;
    translate.on_disagreement = on_disagreement;
    translate.opaque = pair;
    if (options->block_limit)
        translate.block_limit = options->block_limit;
    pair->counted = options->counted;
    for (unsigned i = 0; i < ENGINES; i++) {
        pair->m[i] = bare_machine_create(options->model, 8u << 20);
        pair->m[i]->cpu->environment.set_ferr = set_ferr;
        prepare_tables(pair->m[i]);
    }
    pair->translator = translator_create(pair->m[TRANSLATOR]->cpu, pair->m[TRANSLATOR]->interp, &translate, &err);
    if (!pair->translator)
        fail_msg("%s", err.message);
    return pair;
}

void fpu_pair_destroy(struct fpu_pair *pair)
{
    translator_destroy(pair->translator);
    for (unsigned i = 0; i < ENGINES; i++)
        bare_machine_destroy(pair->m[i]);
    free(pair);
}

/* ---- running ---- */

static void load_data(struct bare_machine *m, const struct fpu_pair_state *start)
{
    uint32_t base = start->gpr[GPR_BX] + start->ds_base;

    for (uint32_t i = 0; i < sizeof start->data; i++)
        if (is_memory(base + i))
            memory_write_bytes(m->memory, physical_of(base + i), &start->data[i], 1);
    memory_write_bytes(m->memory, PAIR_AREA, &start->fpu, sizeof start->fpu);
}

static void load_fpu(struct cpu_state *s, const struct fxsave_image *fpu)
{
    s->x87 = (struct x87_state){.fcw = fpu->fcw, .fsw = fpu->fsw, .ftw = fpu->ftw};
    memcpy(s->x87.st, fpu->st, sizeof s->x87.st);
    memcpy(s->xmm, fpu->xmm, 8 * sizeof s->xmm[0]);
    s->mxcsr = fpu->mxcsr;
}

static void load(struct fpu_pair *pair, struct bare_machine *m, const struct fpu_pair_state *start)
{
    struct vcpu *cpu = m->cpu;
    struct cpu_state *s = &cpu->state;

    cpu_fpu_spill(cpu);
    bare_machine_enter_flat(m, PAIR_CODE, PAIR_STACK);
    s->gdtr = (struct descriptor_table){PAIR_GDT, 0x27};
    s->idtr = (struct descriptor_table){PAIR_IDT, 0xff};
    s->tr = (struct segment){.base = PAIR_TSS, .limit = 0x67, .selector = 0x28, .attributes = 0x008b};
    s->cr0 = ((CR0_PE | CR0_PG | CR0_WP | CR0_NE | CR0_MP | CR0_ET) | start->cr0_set) & ~start->cr0_clear;
    s->cr3 = PAIR_PAGE_DIRECTORY;
    s->cr4 = start->cr4;
    if (start->cs_base) {
        s->segment[SEG_CS].base = start->cs_base;
        s->segment[SEG_CS].limit = 0x1fffff;
        cpu_update_segment_ends(cpu, &s->segment[SEG_CS]);
        s->rip = PAIR_CODE - start->cs_base;
    }
    if (start->ds_limit) {
        s->segment[SEG_DS].base = start->ds_base;
        s->segment[SEG_DS].limit = start->ds_limit;
        if (start->ds_expand_down)
            s->segment[SEG_DS].attributes |= SEGMENT_EXPAND_DOWN;
        cpu_update_segment_ends(cpu, &s->segment[SEG_DS]);
    }
    mmu_load_state(&cpu->mmu, s->cr0, s->cr3, s->cr4, s->efer);
    cpu_update_mode(cpu);
    if (pair->counted)
        cpu->mode |= MODE_COUNTED;
    for (unsigned i = 0; i < 8; i++)
        s->gpr[i] = start->gpr[i];
    s->arithmetic_flags = cpu_eflags_to_arithmetic(start->flags);
    load_fpu(s, &start->fpu);
    cpu->ferr = start->ferr;
    cpu_set_ignne(cpu, start->ignne);
    atomic_fetch_and(&cpu->attention, ~(unsigned)ATTENTION_STOP);
    load_data(m, start);
}

/* ---- comparison ---- */

static bool same_pages(const struct fpu_pair *pair, uint32_t address, uint32_t size)
{
    return !memcmp(pair->m[0]->memory->ram + address, pair->m[1]->memory->ram + address, size);
}

static bool same_memory(const struct fpu_pair *pair)
{
    return same_pages(pair, PAIR_DATA, 16 * PAGE_SIZE) && same_pages(pair, PAIR_SCATTERED_TO, PAGE_SIZE) &&
           same_pages(pair, PAIR_STACK - PAGE_SIZE, PAGE_SIZE) && same_pages(pair, PAIR_CODE, PAGE_SIZE) &&
           same_pages(pair, PAIR_PAGE_DIRECTORY, 3 * PAGE_SIZE) && same_pages(pair, 0, 4 * PAGE_SIZE);
}

static bool same_x87(const struct x87_state *a, const struct x87_state *b)
{
    for (unsigned i = 0; i < 8; i++)
        if (memcmp(a->st[i], b->st[i], 10))
            return false;
    return a->fcw == b->fcw && a->fsw == b->fsw && a->ftw == b->ftw && a->fop == b->fop && a->fip == b->fip &&
           a->fcs == b->fcs && a->fdp == b->fdp && a->fds == b->fds;
}

static bool same_results(const struct fpu_pair *pair)
{
    const struct vcpu *x = pair->m[0]->cpu, *y = pair->m[1]->cpu;
    const struct cpu_state *a = &x->state, *b = &y->state;

    return !memcmp(a->gpr, b->gpr, 8 * sizeof a->gpr[0]) && a->rip == b->rip &&
           a->arithmetic_flags == b->arithmetic_flags && a->system_flags == b->system_flags &&
           same_x87(&a->x87, &b->x87) && !memcmp(a->xmm, b->xmm, 8 * sizeof a->xmm[0]) && a->mxcsr == b->mxcsr &&
           a->cr2 == b->cr2 && a->cr0 == b->cr0 && a->halted == b->halted && x->ferr == y->ferr &&
           atomic_load(&x->ignne) == atomic_load(&y->ignne) && (!pair->counted || x->budget == y->budget) &&
           same_memory(pair);
}

/* After a disagreement, so that it can be looked for again. */
static void make_same(struct fpu_pair *pair)
{
    uint8_t page[PAGE_SIZE];

    for (uint32_t address = 0; address < 8u << 20; address += PAGE_SIZE) {
        memory_read_bytes(pair->m[INTERPRETER]->memory, address, page, PAGE_SIZE);
        if (!same_pages(pair, address, PAGE_SIZE))
            memory_write_bytes(pair->m[TRANSLATOR]->memory, address, page, PAGE_SIZE);
    }
}

bool fpu_pair_run(struct fpu_pair *pair, const struct fpu_pair_state *start, const uint8_t *code, size_t length)
{
    static const uint8_t halt = 0xf4;

    if (pair->differs)
        make_same(pair);
    for (unsigned i = 0; i < ENGINES; i++) {
        struct bare_machine *m = pair->m[i];

        load(pair, m, start);
        memory_write_bytes(m->memory, PAIR_CODE, code, length);
        memory_write_bytes(m->memory, PAIR_CODE + length, &halt, 1);
        bare_machine_run(m, 5000);
        cpu_fpu_spill(m->cpu);
        assert_false(m->triple_fault);
    }
    pair->differs = !same_memory(pair);
    bool same = same_results(pair) && !pair->disagreed;
    pair->disagreed = false;
    return same;
}

int fpu_pair_vector(const struct fpu_pair *pair)
{
    uint64_t eip = pair->m[INTERPRETER]->cpu->state.rip - PAIR_HANDLERS;

    return eip < 0x200 ? (int)(eip / 16) : -1;
}

/* ---- showing ---- */

static void show_word(const char *name, uint64_t a, uint64_t b)
{
    print_message("  %-8s %16lx %16lx%s\n", name, a, b, a == b ? "" : " <");
}

static void show_registers(const struct x87_state *a, const struct x87_state *b, const union xmm_register *x,
                           const union xmm_register *y)
{
    for (unsigned i = 0; i < 8; i++) {
        uint64_t s[2], t[2];

        memcpy(s, a->st[i], 16);
        memcpy(t, b->st[i], 16);
        print_message("  st%u %04lx:%016lx %04lx:%016lx%s", i, s[1] & 0xffff, s[0], t[1] & 0xffff, t[0],
                      memcmp(s, t, 10) ? " <" : "  ");
        print_message("  xmm%u %016lx:%016lx %016lx:%016lx%s\n", i, x[i].u64[1], x[i].u64[0], y[i].u64[1], y[i].u64[0],
                      memcmp(&x[i], &y[i], 16) ? " <" : "");
    }
}

static void show_memory(const struct fpu_pair *pair)
{
    const uint8_t *a = pair->m[0]->memory->ram, *b = pair->m[1]->memory->ram;
    unsigned shown = 0;

    for (uint32_t i = 0; i < 8u << 20 && shown < 16; i++)
        if (a[i] != b[i]) {
            print_message("  memory %08x: %02x %02x <\n", i, a[i], b[i]);
            shown++;
        }
}

void fpu_pair_show(const struct fpu_pair *pair)
{
    static const char *const names[] = {"eax", "ecx", "edx", "ebx", "esp", "ebp", "esi", "edi"};
    const struct vcpu *x = pair->m[0]->cpu, *y = pair->m[1]->cpu;
    const struct cpu_state *a = &x->state, *b = &y->state;

    print_message("            interpreter       translator\n");
    for (unsigned i = 0; i < 8; i++)
        show_word(names[i], a->gpr[i], b->gpr[i]);
    show_word("eip", a->rip, b->rip);
    show_word("flags", cpu_arithmetic_to_eflags(a->arithmetic_flags), cpu_arithmetic_to_eflags(b->arithmetic_flags));
    show_word("system", a->system_flags, b->system_flags);
    show_word("cr2", a->cr2, b->cr2);
    show_word("halted", a->halted, b->halted);
    show_word("ferr", x->ferr, y->ferr);
    show_word("budget", (uint64_t)x->budget, (uint64_t)y->budget);
    show_word("mxcsr", a->mxcsr, b->mxcsr);
    show_word("fcw", a->x87.fcw, b->x87.fcw);
    show_word("fsw", a->x87.fsw, b->x87.fsw);
    show_word("ftw", a->x87.ftw, b->x87.ftw);
    show_word("fop", a->x87.fop, b->x87.fop);
    show_word("fip", a->x87.fip, b->x87.fip);
    show_word("fcs", a->x87.fcs, b->x87.fcs);
    show_word("fdp", a->x87.fdp, b->x87.fdp);
    show_word("fds", a->x87.fds, b->x87.fds);
    show_registers(&a->x87, &b->x87, a->xmm, b->xmm);
    show_memory(pair);
}

/* ---- random things ---- */

static uint64_t random_state = 0x9e3779b97f4a7c15u;

uint64_t fpu_pair_random(void)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return random_state;
}

unsigned fpu_pair_below(unsigned n)
{
    return (unsigned)(fpu_pair_random() >> 33) % n;
}

static void random_extended(uint8_t *to)
{
    static const uint16_t exponents[] = {0,      1,      0x3fff, 0x3ffe, 0x4000, 0x403d, 0x401d,
                                         0x400d, 0x3f80, 0x3c00, 0x7ffe, 0x7fff, 0x43ff, 0x3bcd};
    static const uint64_t mantissas[] = {0, 1ull << 63, 3ull << 62, 1, 0xa000000000000000, UINT64_MAX, 1ull << 62};
    uint64_t mantissa = fpu_pair_below(2) ? mantissas[fpu_pair_below(ARRAY_SIZE(mantissas))]
                                          : fpu_pair_random() | (fpu_pair_below(8) ? 1ull << 63 : 0);
    uint16_t exponent = fpu_pair_below(2) ? exponents[fpu_pair_below(ARRAY_SIZE(exponents))]
                                          : (uint16_t)(0x3fff - 40 + fpu_pair_below(80));

    exponent |= (uint16_t)(fpu_pair_below(2) << 15);
    memset(to, 0, 16);
    memcpy(to, &mantissa, 8);
    memcpy(to + 8, &exponent, 2);
}

static void random_vector(uint8_t *to)
{
    static const uint64_t doubles[] = {
        0, 0x3ff0000000000000, 0x7ff0000000000000, 0x7ff8000000000001, 0x7ff4000000000000,
        1, 0x7fefffffffffffff, 0x0010000000000000, 0x41dfffffffc00000, 0xc1e0000000200000};
    static const uint32_t singles[] = {0, 0x3f800000, 0x7f800000, 0x7fc00001, 0x7fa00000,
                                       1, 0x7f7fffff, 0x00800000, 0x4f000000, 0xcf000001};
    for (unsigned i = 0; i < 2; i++) {
        uint64_t value;

        switch (fpu_pair_below(4)) {
        case 0:
            value = doubles[fpu_pair_below(ARRAY_SIZE(doubles))] | (uint64_t)fpu_pair_below(2) << 63;
            break;
        case 1:
            value = singles[fpu_pair_below(ARRAY_SIZE(singles))] |
                    (uint64_t)singles[fpu_pair_below(ARRAY_SIZE(singles))] << 32;
            break;
        case 2:
            value = (fpu_pair_random() & 0x000fffffffffffff) | (uint64_t)(1023 - 20 + fpu_pair_below(60)) << 52;
            break;
        default:
            value = fpu_pair_random();
            break;
        }
        memcpy(to + 8 * i, &value, 8);
    }
}

static void random_controls(struct fxsave_image *fpu, bool masked)
{
    fpu->fcw = (uint16_t)(0x40 | (fpu_pair_below(3) ? 0x300 : fpu_pair_below(4) << 8) | fpu_pair_below(4) << 10 |
                          fpu_pair_below(0x40));
    if (masked)
        fpu->fcw |= 0x3f;
    fpu->fsw = (uint16_t)(fpu_pair_random() & 0x7f7f);
    if (masked || fpu_pair_below(4))
        fpu->fsw &= (uint16_t) ~(~fpu->fcw & 0x3f); /* nothing pending */
    if (fpu->fsw & ~fpu->fcw & 0x3f)
        fpu->fsw |= X87_ES | X87_B;
    fpu->ftw = (uint8_t)(fpu_pair_below(4) == 0 ? 0xff : fpu_pair_below(3) ? fpu_pair_random() : 0);
    fpu->mxcsr =
        MXCSR_INIT | fpu_pair_below(4) << 13 | fpu_pair_below(2) << 15 | fpu_pair_below(2) << 6 | fpu_pair_below(0x40);
    if (!masked && fpu_pair_below(2))
        fpu->mxcsr &= ~(fpu_pair_below(0x40) << 7);
}

void fpu_pair_random_state(struct fpu_pair_state *state, bool masked)
{
    memset(state, 0, sizeof *state);
    random_controls(&state->fpu, masked);
    for (unsigned i = 0; i < 8; i++) {
        random_extended(state->fpu.st[i]);
        random_vector(state->fpu.xmm[i]);
        state->gpr[i] = (uint32_t)fpu_pair_random();
    }
    for (unsigned i = 0; i < sizeof state->data; i += 16) {
        if (fpu_pair_below(2))
            random_extended(state->data + i);
        else
            random_vector(state->data + i);
    }
    state->gpr[GPR_BX] = PAIR_DATA;
    state->gpr[GPR_SP] = PAIR_STACK;
    state->gpr[GPR_SI] = 0;
    state->gpr[GPR_DI] = PAIR_AREA;
    state->flags = (uint32_t)fpu_pair_random() & FLAG_ARITHMETIC;
    state->cr4 = CR4_OSFXSR | CR4_OSXMMEXCPT;
}

/* The interpreter as an engine: a bare processor at CPL 3 with paging, segments and tables as Linux gives them
 * to a 32-bit process. Exceptions arrive at gates whose handlers are one HLT each; the frame tells all. */
#define _GNU_SOURCE
#include "interp_engine.h"

#include "cpu/descriptor.h"
#include "cpu/fpu.h"
#include "cpu/fxsave.h"
#include "interp/test_hooks.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

/* Guest-physical layout; the system part appears at HARNESS_BEGIN + address, supervisor only. */
#define PHYSICAL_PDPT       0x1000u
#define PHYSICAL_DIRECTORY0 0x2000u
#define PHYSICAL_DIRECTORY1 0x3000u
#define PHYSICAL_TABLE_CODE 0x4000u
#define PHYSICAL_TABLE_DATA 0x5000u
#define PHYSICAL_TABLE_SYS  0x6000u
#define PHYSICAL_GDT        0x7000u
#define PHYSICAL_IDT        0x8000u
#define PHYSICAL_LDT        0x9000u
#define PHYSICAL_TSS        0xa000u
#define PHYSICAL_STUBS      0xb000u
#define PHYSICAL_STACK      0xc000u
#define PHYSICAL_SYS_END    0xd000u
#define PHYSICAL_ARENA      0x10000u
#define STACK_TOP           (HARNESS_BEGIN + PHYSICAL_STACK + 0xff0u)

#define SELECTOR_KERNEL_CODE 0x08
#define SELECTOR_KERNEL_DATA 0x18
#define SELECTOR_TSS         0x40
#define SELECTOR_LDTR        0x50
#define GDT_LIMIT            127

#define VECTOR_INTERRUPT 0xf0 /* what arrives at a boundary */

#define PTE_P  1ull
#define PTE_W  2ull
#define PTE_U  4ull
#define PTE_AD 0x60ull
#define PTE_NX (1ull << 63)

/* Where the arena's pages are: neighbours in linear memory are none in physical memory, so that whoever goes on to the
 * next byte of host memory at a page's end is found out. */
static const uint8_t arena_frame[ARENA_PAGES] = {5, 2, 9, 14, 0, 11, 7, 3};

static uint32_t arena_physical(unsigned page)
{
    return PHYSICAL_ARENA + arena_frame[page] * ARENA_PAGE;
}

static void put32(struct interp_engine *e, uint32_t address, uint32_t value)
{
    memory_write(e->machine->memory, address, 4, value);
}
static void put64(struct interp_engine *e, uint32_t address, uint64_t value)
{
    memory_write(e->machine->memory, address, 8, value);
}

static struct descriptor make_descriptor(uint32_t base, uint32_t limit, uint32_t attributes)
{
    return (struct descriptor){(base << 16) | (limit & 0xffff), (base & 0xff000000) | ((attributes & 0xf000) << 8) |
                                                                    (limit & 0xf0000) | ((attributes & 0xff) << 8) |
                                                                    ((base >> 16) & 0xff)};
}

static void put_descriptor(struct interp_engine *e, uint32_t table, unsigned index, struct descriptor d)
{
    put32(e, table + index * 8, d.low);
    put32(e, table + index * 8 + 4, d.high);
}

static void build_page_tables(struct interp_engine *e)
{
    put64(e, PHYSICAL_PDPT, PHYSICAL_DIRECTORY0 | PTE_P);
    put64(e, PHYSICAL_PDPT + 8, PHYSICAL_DIRECTORY1 | PTE_P);
    put64(e, PHYSICAL_PDPT + 16, 0);
    put64(e, PHYSICAL_PDPT + 24, 0);
    put64(e, PHYSICAL_DIRECTORY0 + (ARENA_CODE >> 21) * 8, PHYSICAL_TABLE_CODE | PTE_P | PTE_W | PTE_U);
    put64(e, PHYSICAL_DIRECTORY0 + (ARENA_DATA >> 21) * 8, PHYSICAL_TABLE_DATA | PTE_P | PTE_W | PTE_U);
    put64(e, PHYSICAL_DIRECTORY1 + ((HARNESS_BEGIN - 0x40000000) >> 21) * 8, PHYSICAL_TABLE_SYS | PTE_P | PTE_W);
    for (unsigned i = 0; i < ARENA_PAGES; i++) {
        uint32_t table = i < ARENA_CODE_PAGES ? PHYSICAL_TABLE_CODE : PHYSICAL_TABLE_DATA;
        uint64_t entry = arena_physical(i) | PTE_P | PTE_U | PTE_AD;

        if (i != ARENA_READ_ONLY)
            entry |= PTE_W;
        if (i >= ARENA_CODE_PAGES)
            entry |= PTE_NX;
        put64(e, table + ((arena_linear[i] >> 12) & 511) * 8, entry);
    }
    for (uint32_t p = PHYSICAL_GDT; p < PHYSICAL_SYS_END; p += ARENA_PAGE)
        put64(e, PHYSICAL_TABLE_SYS + (p >> 12) * 8, p | PTE_P | PTE_W | PTE_AD);
}

static void build_descriptors(struct interp_engine *e)
{
    static const struct {
        unsigned index;
        uint32_t low, high;
    } gdt[] = {
        {1, 0x0000ffff, 0x00cf9b00},  {2, 0x0000ffff, 0x00af9b00}, {3, 0x0000ffff, 0x00cf9300},
        {4, 0x0000ffff, 0x00cffb00},  {5, 0x0000ffff, 0x00cff300}, {6, 0x0000ffff, 0x00affb00},
        {15, 0x00000000, 0x0040f500},
    };
    static const struct {
        uint32_t base, limit, bits32, contents, only, pages, absent;
    } ldt[] = {
#define X(n, name, ...) {__VA_ARGS__},
        ORACLE_LDT(X)
#undef X
    };
    struct vcpu *cpu = e->machine->cpu;

    for (unsigned i = 0; i < ARRAY_SIZE(gdt); i++)
        put_descriptor(e, PHYSICAL_GDT, gdt[i].index, (struct descriptor){gdt[i].low, gdt[i].high});
    put_descriptor(e, PHYSICAL_GDT, SELECTOR_TSS / 8, make_descriptor(HARNESS_BEGIN + PHYSICAL_TSS, 0x67, 0x8b));
    put_descriptor(e, PHYSICAL_GDT, SELECTOR_LDTR / 8,
                   make_descriptor(HARNESS_BEGIN + PHYSICAL_LDT, ORACLE_LDT_COUNT * 8 - 1, 0x82));
    for (unsigned i = 0; i < ORACLE_LDT_COUNT; i++) {
        /* As Linux's fill_ldt() makes them: DPL 3, accessed, AVL from "useable". */
        struct descriptor d = make_descriptor(ldt[i].base, ldt[i].limit,
                                              (ldt[i].pages ? 0x8000u : 0) | (ldt[i].bits32 ? 0x4000u : 0) | 0x1000u |
                                                  (ldt[i].absent ? 0 : 0x80u) | 0x70u | ldt[i].contents << 2 |
                                                  (ldt[i].only ? 0 : 2u) | 1u);
        put_descriptor(e, PHYSICAL_LDT, i, d);
        cpu_segment_from_descriptor(cpu, &e->ldt[i], SELECTOR_LDT(i), &d);
    }
    struct descriptor code = {gdt[3].low, gdt[3].high}, data = {gdt[4].low, gdt[4].high};
    cpu_segment_from_descriptor(cpu, &e->user_code, SELECTOR_USER_CODE32, &code);
    cpu_segment_from_descriptor(cpu, &e->user_data, SELECTOR_USER_DATA, &data);

    for (unsigned i = 0; i < 256; i++) {
        uint32_t handler = HARNESS_BEGIN + PHYSICAL_STUBS + i;
        unsigned dpl = i == EXC_BP || i == EXC_OF ? 3 : 0;

        put32(e, PHYSICAL_IDT + i * 8, SELECTOR_KERNEL_CODE << 16 | (handler & 0xffff));
        put32(e, PHYSICAL_IDT + i * 8 + 4, (handler & 0xffff0000) | 0x8e00 | dpl << 13);
        memory_write(e->machine->memory, PHYSICAL_STUBS + i, 1, 0xf4);
    }
    put32(e, PHYSICAL_TSS + 4, STACK_TOP);
    put32(e, PHYSICAL_TSS + 8, SELECTOR_KERNEL_DATA);
    memory_write(e->machine->memory, PHYSICAL_TSS + 102, 2, 0xffff);
}

static void build_processor(struct interp_engine *e)
{
    struct vcpu *cpu = e->machine->cpu;
    struct cpu_state *s = &cpu->state;

    s->cr0 |= CR0_PE | CR0_MP | CR0_NE | CR0_WP | CR0_AM;
    s->cr4 = CR4_PAE | CR4_OSFXSR | CR4_OSXMMEXCPT;
    s->efer = EFER_NXE;
    s->cr3 = PHYSICAL_PDPT;
    cpu->mmu.has_nx = true;
    build_page_tables(e);
    mmu_set_control(&cpu->mmu, s->cr0, s->cr4, s->efer);
    mmu_set_cr3(&cpu->mmu, s->cr3);
    build_descriptors(e);
    s->cr0 |= CR0_PG;
    mmu_load_state(&cpu->mmu, s->cr0, s->cr3, s->cr4, s->efer);
    mmu_set_cr3(&cpu->mmu, s->cr3);
    s->gdtr = (struct descriptor_table){HARNESS_BEGIN + PHYSICAL_GDT, GDT_LIMIT};
    s->idtr = (struct descriptor_table){HARNESS_BEGIN + PHYSICAL_IDT, 256 * 8 - 1};
    s->ldtr = (struct segment){.base = HARNESS_BEGIN + PHYSICAL_LDT,
                               .limit = ORACLE_LDT_COUNT * 8 - 1,
                               .selector = SELECTOR_LDTR,
                               .attributes = 0x82};
    s->tr = (struct segment){
        .base = HARNESS_BEGIN + PHYSICAL_TSS, .limit = 0x67, .selector = SELECTOR_TSS, .attributes = 0x8b};
}

void interp_engine_code_written(struct interp_engine *e, uint32_t offset, uint32_t length)
{
    memory_page_written(e->machine->memory, arena_physical(offset / ARENA_PAGE) >> PAGE_SHIFT, offset % ARENA_PAGE,
                        length);
}

static void load_base(struct interp_engine *e, uint64_t seed)
{
    if (e->base_known && e->base_seed == seed)
        return;
    oracle_fill_base(seed, e->base);
    memcpy(e->arena, e->base, ARENA_SIZE_BYTES);
    for (unsigned i = 0; i < ARENA_PAGES; i++)
        interp_engine_code_written(e, i * ARENA_PAGE, ARENA_PAGE);
    e->base_seed = seed;
    e->base_known = true;
}

static void poke(struct interp_engine *e, uint32_t offset, const uint8_t *bytes, uint32_t length)
{
    while (length) {
        uint32_t room = ARENA_PAGE - offset % ARENA_PAGE, part = length < room ? length : room;

        memory_write_bytes(e->machine->memory, arena_physical(offset / ARENA_PAGE) + offset % ARENA_PAGE, bytes, part);
        offset += part;
        bytes += part;
        length -= part;
    }
}

static const struct segment *segment_of(const struct interp_engine *e, uint16_t selector)
{
    if (selector == SELECTOR_USER_CODE32)
        return &e->user_code;
    if (selector == SELECTOR_USER_DATA)
        return &e->user_data;
    if ((selector & 7) == 7 && selector / 8u < ORACLE_LDT_COUNT)
        return &e->ldt[selector / 8];
    return &e->null_segment;
}

static void load_fpu(struct interp_engine *e, const uint8_t *fx)
{
    struct vcpu *cpu = e->machine->cpu;
    const struct fxsave_image *image = (const void *)fx;
    struct x87_state *x87 = &cpu->state.x87;

    cpu_fpu_spill(cpu);
    *x87 = (struct x87_state){.fcw = image->fcw,
                              .fsw = image->fsw,
                              .ftw = image->ftw,
                              .fop = image->fop,
                              .fip = image->fip,
                              .fcs = image->fcs,
                              .fdp = image->fdp,
                              .fds = image->fds};
    memcpy(x87->st, image->st, sizeof x87->st);
    memcpy(cpu->state.xmm, image->xmm, 8 * 16);
    cpu->state.mxcsr = image->mxcsr;
}

static void save_fpu(struct interp_engine *e, uint8_t *fx)
{
    struct vcpu *cpu = e->machine->cpu;
    struct fxsave_image *image = (void *)fx;
    const struct x87_state *x87 = &cpu->state.x87;

    cpu_fpu_spill(cpu);
    memset(fx, 0, 512);
    image->fcw = x87->fcw;
    image->fsw = x87->fsw;
    image->ftw = x87->ftw;
    image->fop = x87->fop;
    image->fip = x87->fip;
    image->fdp = x87->fdp;
    image->mxcsr = cpu->state.mxcsr;
    memcpy(image->st, x87->st, sizeof x87->st);
    memcpy(image->xmm, cpu->state.xmm, 8 * 16);
}

void interp_engine_load_state(struct interp_engine *e, const struct oracle_input *in)
{
    struct vcpu *cpu = e->machine->cpu;
    struct cpu_state *s = &cpu->state;

    memcpy(s->gpr, in->registers.gpr, 8 * sizeof s->gpr[0]);
    s->rip = in->registers.rip;
    for (unsigned i = 0; i < SEG_COUNT; i++) {
        s->segment[i] = *segment_of(e, in->registers.segment[i]);
        s->segment[i].selector = in->registers.segment[i];
    }
    s->halted = false;
    s->interrupt_shadow = 0;
    s->cr2 = 0;
    s->dr[6] = 0xffff0ff0;
    cpu->exception.valid = false;
    cpu->pending_debug = 0;
    atomic_store(&cpu->attention, 0);
    cpu_set_eflags(cpu, in->registers.eflags);
    cpu_update_mode(cpu);
    /* Always: a case that does not look at the x87 state may still have changed it, by a jump into an operand. */
    load_fpu(e, in->uses_fpu ? in->registers.fx : e->default_fx);
}

/* The processor stands behind the HLT of a gate's handler, or ran out of budget. */
static void take_result(struct interp_engine *e, const struct oracle_input *in, struct oracle_output *out)
{
    static const uint32_t with_error =
        1u << EXC_DF | 1u << EXC_TS | 1u << EXC_NP | 1u << EXC_SS | 1u << EXC_GP | 1u << EXC_PF | 1u << EXC_AC;
    struct cpu_state *s = &e->machine->cpu->state;
    uint32_t vector = (uint32_t)s->rip - 1 - (HARNESS_BEGIN + PHYSICAL_STUBS);
    uint32_t frame[6] = {0};
    bool has_error = vector < 32 && (with_error >> vector & 1);

    out->vector = out->error = out->cr2 = out->boundary = 0;
    memcpy(out->registers.gpr, s->gpr, 8 * sizeof s->gpr[0]);
    for (unsigned i = 0; i < SEG_COUNT; i++)
        out->registers.segment[i] = s->segment[i].selector;
    if (in->uses_fpu)
        save_fpu(e, out->registers.fx);
    if (e->machine->triple_fault) {
        e->machine->triple_fault = false;
        out->end = END_SETUP;
        return;
    }
    if (!s->halted || vector > 255) {
        out->end = END_HANG;
        out->registers.rip = s->rip;
        out->registers.eflags = cpu_eflags(e->machine->cpu);
        return;
    }
    uint32_t at = (uint32_t)s->gpr[GPR_SP] - HARNESS_BEGIN;
    memory_read_bytes(e->machine->memory, at, frame, 20 + (has_error ? 4 : 0));
    const uint32_t *f = frame;
    out->end = vector == VECTOR_INTERRUPT ? END_STOPPED : END_FAULT;
    out->vector = vector == VECTOR_INTERRUPT ? 0 : vector;
    out->error = has_error ? *f++ : 0;
    out->registers.rip = f[0];
    out->registers.segment[SEG_CS] = (uint16_t)f[1];
    out->registers.eflags = f[2];
    out->registers.gpr[GPR_SP] = f[3];
    out->registers.segment[SEG_SS] = (uint16_t)f[4];
    if (vector == EXC_PF) {
        out->cr2 = (uint32_t)s->cr2;
        if (out->cr2 == e->engine.epilogue && out->registers.rip == e->engine.epilogue &&
            out->registers.segment[SEG_CS] == SELECTOR_USER_CODE32) {
            out->end = END_NORMAL;
            out->registers.eflags &= ~FLAG_RF;
            out->registers.rip = 0;
            out->registers.segment[SEG_CS] = 0;
            out->vector = out->error = out->cr2 = 0;
        } else if (out->cr2 >= HARNESS_BEGIN && out->cr2 < HARNESS_END) {
            out->end = END_DISCARD;
        }
    }
}

static int acknowledge(void *opaque)
{
    struct interp_engine *e = opaque;

    cpu_set_interrupt_line(e->machine->cpu, false);
    return VECTOR_INTERRUPT;
}

static void set_ferr(void *opaque, bool level)
{
}

static void triple_fault(void *opaque)
{
    struct interp_engine *e = opaque;

    e->machine->triple_fault = true;
    cpu_post_attention(e->machine->cpu, ATTENTION_STOP);
}

/* Returns how many instructions were done when an interrupt asked for at BOUNDARY (0: none) was taken. */
uint32_t interp_engine_run_to_end(struct interp_engine *e, uint32_t boundary)
{
    struct vcpu *cpu = e->machine->cpu;

    if (boundary) {
        cpu->budget = boundary;
        interp_run(e->machine->interp);
        /* At the terminator's target the case is over. */
        if (!cpu->state.halted && !((uint32_t)cpu->state.rip == e->engine.epilogue &&
                                    cpu->state.segment[SEG_CS].selector == SELECTOR_USER_CODE32))
            cpu_set_interrupt_line(cpu, true);
    }
    cpu->budget = e->budget;
    interp_run(e->machine->interp);
    atomic_store(&cpu->interrupt_line, false);
    return boundary + (uint32_t)(e->budget - cpu->budget) - 1; /* but for the handler's HLT */
}

/* What was put back may have been code. */
static void forget_changed_code(struct interp_engine *e, const struct oracle_output *out)
{
    if (out->line_count > ORACLE_MAX_LINES) {
        for (unsigned i = 0; i < ARENA_CODE_PAGES; i++)
            interp_engine_code_written(e, i * ARENA_PAGE, ARENA_PAGE);
        return;
    }
    for (uint32_t i = 0, last = UINT32_MAX; i < out->line_count; i++) {
        uint32_t page = out->lines[i].offset / ARENA_PAGE;

        if (page != last && page < ARENA_CODE_PAGES)
            interp_engine_code_written(e, page * ARENA_PAGE, ARENA_PAGE);
        last = page;
    }
}

void interp_engine_run_case(struct interp_engine *e, const struct test_case *c, struct oracle_output *out)
{
    const struct oracle_input *in = &c->input;

    e->input = in;
    load_base(e, c->base);
    for (uint32_t i = 0; i < in->patch_count; i++)
        poke(e, in->patches[i].offset, in->patches[i].bytes, in->patches[i].length);
    poke(e, in->code_offset, in->code, in->code_length);
    interp_engine_load_state(e, in);
    uint32_t boundary = e->run_to_end(e, in->boundary);
    take_result(e, in, out);
    if (out->end == END_STOPPED)
        out->boundary = boundary;
    oracle_collect(e->arena, e->base, out);
    forget_changed_code(e, out);
}

static void run(struct engine *engine, const struct test_case *cases, struct oracle_output *outputs, size_t count)
{
    struct interp_engine *e = (struct interp_engine *)engine;

    for (size_t i = 0; i < count; i++)
        interp_engine_run_case(e, &cases[i], &outputs[i]);
    cpu_fpu_spill(e->machine->cpu);
}

/* Only in programs with an interpreter built for it. */
__attribute__((weak)) void interp_test_mutate(struct interp *interp, uint16_t row, unsigned kind);

static void mutate_row(struct engine *engine, uint16_t row, unsigned kind)
{
    interp_test_mutate(((struct interp_engine *)engine)->machine->interp, row, kind);
}

/* The arena's pages side by side, wherever their frames are. */
static uint8_t *map_arena(const struct memory *memory)
{
    uint8_t *arena = mmap(NULL, ARENA_SIZE_BYTES, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    for (unsigned i = 0; i < ARENA_PAGES; i++)
        if (arena == MAP_FAILED || mmap(arena + i * ARENA_PAGE, ARENA_PAGE, PROT_READ | PROT_WRITE,
                                        MAP_SHARED | MAP_FIXED, memory->memfd, arena_physical(i)) == MAP_FAILED) {
            perror("oracle: the arena");
            exit(1);
        }
    return arena;
}

void interp_engine_init(struct interp_engine *e, uint32_t epilogue, int64_t budget)
{
    e->engine.epilogue = epilogue;
    e->budget = budget;
    e->run_to_end = interp_engine_run_to_end;
    e->machine = bare_machine_create("max", 1 << 20);
    e->machine->cpu->environment.opaque = e;
    e->machine->cpu->environment.acknowledge_interrupt = acknowledge;
    e->machine->cpu->environment.set_ferr = set_ferr;
    e->machine->cpu->environment.triple_fault = triple_fault;
    e->arena = map_arena(e->machine->memory);
    oracle_default_fx(e->default_fx);
    build_processor(e);
}

void interp_engine_finish(struct interp_engine *e)
{
    munmap(e->arena, ARENA_SIZE_BYTES);
    bare_machine_destroy(e->machine);
}

static void destroy(struct engine *engine)
{
    interp_engine_finish((struct interp_engine *)engine);
    free(engine);
}

struct engine *engine_create_interp(uint32_t epilogue, int64_t budget)
{
    struct interp_engine *e = aligned_alloc(64, (sizeof *e + 63) & ~(size_t)63);

    memset(e, 0, sizeof *e);
    e->engine = (struct engine){.name = "interp", .exact = true, .run = run, .destroy = destroy};
    if (interp_test_mutate)
        e->engine.mutate = mutate_row;
    interp_engine_init(e, epilogue, budget);
    return &e->engine;
}

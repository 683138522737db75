/* Every x87, MMX, SSE and SSE2 encoding with random operands, in the interpreter and on the host processor.
 *
 * Without REX prefixes these instructions have the same encoding in 32- and 64-bit code, so the host runs the very
 * bytes: [ebx] is [rbx] there. Faults count as results: #MF and #XM with the whole state. */
#define _GNU_SOURCE /* REG_* */
#include "bare_machine.h"

#include "cpu/decode.h"
#include "cpu/fpu.h"
#include "cpu/fxsave.h"
#include "interp/fpu_signal.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <ucontext.h>

#include <cmocka.h>

#define CODE 0x100000u
#define IDT 0x1000u
#define GDT 0x1800u
#define HANDLERS 0x3000u
#define DATA 0x200000u
#define DATA_SIZE 64
#define SEGMENT_BASE 0x10000u
#define VECTOR_NONE 0

/* What an instruction may read and write. */
struct machine_state {
    struct fxsave_image fpu;
    uint8_t data[DATA_SIZE];
    uint64_t gpr[8]; /* by number; 3 points to the data, 6 is 0 and an index, 4 and 5 are not used */
    uint64_t flags;
    int vector;
} __attribute__((aligned(64)));

#define ARITHMETIC 0x8d5u

/* ---- the host ---- */

/* rdi: struct machine_state (offsets below), rsi: code. */
__asm__(".pushsection .text\n"
        "native_run:\n\t"
        "pushq %rbx\n\tpushq %rbp\n\tpushq %r12\n\tpushq %r13\n\tsubq $8, %rsp\n\t"
        "movq %rdi, %rbp\n\tmovq %rsi, %r12\n\t"
        "stmxcsr (%rsp)\n\t"
        "fxrstor (%rbp)\n\t"
        "movq 576(%rbp), %rax\n\tmovq 584(%rbp), %rcx\n\tmovq 592(%rbp), %rdx\n\tmovq 600(%rbp), %rbx\n\t"
        "movq 624(%rbp), %rsi\n\tmovq 632(%rbp), %rdi\n\t"
        "pushq 640(%rbp)\n\tpopfq\n\t"
        "call *%r12\n"
        "native_return:\n\t"
        "pushfq\n\tpopq 640(%rbp)\n\t"
        "movq %rax, 576(%rbp)\n\tmovq %rcx, 584(%rbp)\n\tmovq %rdx, 592(%rbp)\n\tmovq %rbx, 600(%rbp)\n\t"
        "movq %rsi, 624(%rbp)\n\tmovq %rdi, 632(%rbp)\n\t"
        "fxsave (%rbp)\n"
        "native_leave:\n\t"
        "fninit\n\tldmxcsr (%rsp)\n\t"
        "addq $8, %rsp\n\tpopq %r13\n\tpopq %r12\n\tpopq %rbp\n\tpopq %rbx\n\tret\n\t"
        ".popsection");
extern void native_run(struct machine_state *state, const uint8_t *code);
extern const char native_leave[];
static_assert(offsetof(struct machine_state, gpr) == 576 && offsetof(struct machine_state, flags) == 640,
              "as the assembly has it");

static struct machine_state *native_state;
static uint8_t *native_code;

/* The handler that fpu_signal_install() finds in place, and has to pass these on to. */
static void native_fault(int signal_number, siginfo_t *info, void *context)
{
    ucontext_t *u = context;
    greg_t *r = u->uc_mcontext.gregs;

    if ((uintptr_t)r[REG_RIP] < (uintptr_t)native_code || (uintptr_t)r[REG_RIP] >= (uintptr_t)native_code + 16) {
        signal(SIGFPE, SIG_DFL);
        return;
    }
    native_state->vector = (int)r[REG_TRAPNO];
    memcpy(&native_state->fpu, u->uc_mcontext.fpregs, sizeof native_state->fpu);
    r[REG_RSP] += 8; /* the return address */
    r[REG_RIP] = (greg_t)(uintptr_t)native_leave;
}

static void run_native(struct machine_state *state, const uint8_t *code, unsigned length)
{
    memcpy(native_code, code, length);
    native_code[length] = 0xc3;
    native_state = state;
    native_run(state, native_code);
}

/* ---- the interpreter ---- */

enum variant {
    FLAT,
    OBSERVED,  /* no TLB hits: the careful copies */
    SEGMENTED, /* DS with a base */
    VARIANTS
};

static void put32(struct bare_machine *m, uint32_t address, uint32_t value)
{
    memory_write(m->memory, address, 4, value);
}

/* Exceptions end at HANDLERS + vector * 16, at a HLT. */
static void prepare_tables(struct bare_machine *m)
{
    put32(m, GDT + 8, 0x0000ffff);
    put32(m, GDT + 12, 0x00cf9b00);
    put32(m, GDT + 16, 0x0000ffff);
    put32(m, GDT + 20, 0x00cf9300);
    for (unsigned v = 0; v < 32; v++) {
        uint32_t handler = HANDLERS + 16 * v;

        put32(m, IDT + 8 * v, 8u << 16 | (handler & 0xffff));
        put32(m, IDT + 8 * v + 4, (handler & 0xffff0000) | 0x8e00);
        memory_write(m->memory, handler, 1, 0xf4);
    }
}

static void run_interpreter(struct bare_machine *m, struct machine_state *state, const uint8_t *code, unsigned length,
                            enum variant variant)
{
    struct vcpu *cpu = m->cpu;
    struct cpu_state *s = &cpu->state;
    static const uint8_t halt = 0xf4;

    cpu_fpu_spill(cpu);
    bare_machine_enter_flat(m, CODE, 0x80000);
    s->gdtr = (struct descriptor_table){GDT, 0x17};
    s->idtr = (struct descriptor_table){IDT, 0xff};
    s->cr0 = (s->cr0 | CR0_NE | CR0_MP) & ~(CR0_EM | CR0_TS);
    s->cr4 = CR4_OSFXSR | CR4_OSXMMEXCPT;
    if (variant == SEGMENTED) {
        s->segment[SEG_DS].base = SEGMENT_BASE;
        s->segment[SEG_DS].limit = 0x2fffff;
        cpu_update_segment_ends(cpu, &s->segment[SEG_DS]);
    }
    mmu_set_control(&cpu->mmu, s->cr0, s->cr4, s->efer);
    mmu_set_observe(&cpu->mmu, variant == OBSERVED, variant == OBSERVED);
    cpu_update_mode(cpu);
    memory_write_bytes(m->memory, CODE, code, length);
    memory_write_bytes(m->memory, CODE + length, &halt, 1);
    memory_write_bytes(m->memory, DATA, state->data, DATA_SIZE);

    for (unsigned i = 0; i < 8; i++)
        if (i != GPR_SP && i != GPR_BP)
            s->gpr[i] = state->gpr[i];
    uint32_t base = variant == SEGMENTED ? SEGMENT_BASE : 0;
    s->gpr[GPR_BX] = DATA - base;
    if (state->gpr[GPR_DI] == state->gpr[GPR_BX])
        s->gpr[GPR_DI] = s->gpr[GPR_BX];
    s->arithmetic_flags = cpu_eflags_to_arithmetic((uint32_t)state->flags & ARITHMETIC);
    s->x87 = (struct x87_state){.fcw = state->fpu.fcw, .fsw = state->fpu.fsw, .ftw = state->fpu.ftw};
    memcpy(s->x87.st, state->fpu.st, sizeof s->x87.st);
    memcpy(s->xmm, state->fpu.xmm, 8 * 16);
    s->mxcsr = state->fpu.mxcsr;

    assert_true(bare_machine_run(m, 10));
    cpu_fpu_spill(cpu);
    assert_false(m->triple_fault);
    mmu_set_observe(&cpu->mmu, false, false);

    if (s->rip != CODE + length + 1) {
        assert_in_range(s->rip, HANDLERS, HANDLERS + 0x200);
        state->vector = (int)((s->rip - HANDLERS) / 16);
    } else {
        state->flags = cpu_arithmetic_to_eflags(s->arithmetic_flags);
    }
    for (unsigned i = 0; i < 8; i++)
        if (i != GPR_SP && i != GPR_BP && i != GPR_BX && i != GPR_DI)
            state->gpr[i] = s->gpr[i];
    state->fpu.fcw = s->x87.fcw;
    state->fpu.fsw = s->x87.fsw;
    state->fpu.ftw = s->x87.ftw;
    memcpy(state->fpu.st, s->x87.st, sizeof state->fpu.st);
    memcpy(state->fpu.xmm, s->xmm, 8 * 16);
    state->fpu.mxcsr = s->mxcsr;
    memory_read_bytes(m->memory, DATA, state->data, DATA_SIZE);
}

/* ---- random operands ---- */

static uint64_t random_state = 0x9e3779b97f4a7c15u;

static uint64_t random64(void)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return random_state;
}

static unsigned below(unsigned n)
{
    return (unsigned)(random64() >> 33) % n;
}

static void random_extended(uint8_t *to)
{
    static const uint16_t exponents[] = {0, 0, 1, 0x3fff, 0x3ffe, 0x4000, 0x403d, 0x401d, 0x400d, 0x3f80, 0x3c00,
                                         0x7ffe, 0x7fff, 0x7fff, 0x43ff, 0x3bcd};
    static const uint64_t mantissas[] = {0, 1ull << 63, 3ull << 62, 1, 0xa000000000000000, UINT64_MAX, 1ull << 62};
    uint64_t mantissa = below(2) ? mantissas[below(ARRAY_SIZE(mantissas))] : random64() | (below(8) ? 1ull << 63 : 0);
    uint16_t exponent = below(2) ? exponents[below(ARRAY_SIZE(exponents))] : (uint16_t)(0x3fff - 40 + below(80));

    exponent |= (uint16_t)(below(2) << 15);
    memset(to, 0, 16);
    memcpy(to, &mantissa, 8);
    memcpy(to + 8, &exponent, 2);
}

static void random_vector(uint8_t *to)
{
    static const uint64_t doubles[] = {0,
                                       0x3ff0000000000000,
                                       0xbff8000000000000,
                                       0x7ff0000000000000,
                                       0x7ff8000000000001,
                                       0x7ff4000000000000,
                                       1,
                                       0x7fefffffffffffff,
                                       0x0010000000000000,
                                       0x41dfffffffc00000,
                                       0xc1e0000000200000,
                                       0x4000000000000000};
    static const uint32_t singles[] = {0,          0x3f800000, 0xbfc00000, 0x7f800000, 0x7fc00001, 0x7fa00000,
                                       1,          0x7f7fffff, 0x00800000, 0x4f000000, 0xcf000001, 0x40000000};
    for (unsigned i = 0; i < 2; i++) {
        uint64_t value;

        switch (below(4)) {
        case 0:
            value = doubles[below(ARRAY_SIZE(doubles))] | (uint64_t)below(2) << 63;
            break;
        case 1:
            value = singles[below(ARRAY_SIZE(singles))] | (uint64_t)singles[below(ARRAY_SIZE(singles))] << 32;
            break;
        case 2:
            value = (random64() & 0x000fffffffffffff) | (uint64_t)(1023 - 20 + below(60)) << 52;
            break;
        default:
            value = random64();
            break;
        }
        memcpy(to + 8 * i, &value, 8);
    }
}

static void random_machine_state(struct machine_state *state, bool mostly_masked)
{
    struct fxsave_image *fpu = &state->fpu;

    memset(state, 0, sizeof *state);
    fpu->fcw = (uint16_t)(0x40 | (below(3) ? 0x300 : below(4) << 8) | below(4) << 10 | below(0x40));
    if (mostly_masked || below(2))
        fpu->fcw |= 0x3f;
    fpu->fsw = (uint16_t)(random64() & 0x7f7f);
    if (below(4) == 0)
        fpu->fsw &= 0x4700;
    else if (mostly_masked || below(2))
        fpu->fsw &= (uint16_t)~(~fpu->fcw & 0x3f); /* nothing pending */
    if (fpu->fsw & ~fpu->fcw & 0x3f)
        fpu->fsw |= 0x8080;
    fpu->ftw = (uint8_t)(below(3) ? 0xff : random64());
    for (unsigned i = 0; i < 8; i++) {
        random_extended(fpu->st[i]);
        random_vector(fpu->xmm[i]);
    }
    fpu->mxcsr = 0x1f80 | (below(4) << 13) | (below(2) << 15) | (below(2) << 6) | below(0x40);
    if (!mostly_masked && below(2))
        fpu->mxcsr &= ~(below(0x40) << 7);
    if (below(2))
        random_extended(state->data);
    else
        random_vector(state->data);
    for (unsigned i = 16; i < DATA_SIZE; i++)
        state->data[i] = (uint8_t)random64();
    for (unsigned i = 0; i < 8; i++)
        state->gpr[i] = (uint32_t)random64();
    state->gpr[GPR_SI] = 0; /* an index */
    state->flags = (random64() & ARITHMETIC) | 0x202;
}

/* ---- comparison ---- */

static void show(const char *title, const struct machine_state *s)
{
    print_message("%s: vector %d fcw %04x fsw %04x ftw %02x mxcsr %08x flags %03x eax %08x ecx %08x edx %08x\n", title,
                  s->vector, s->fpu.fcw, s->fpu.fsw, s->fpu.ftw, s->fpu.mxcsr, (unsigned)(s->flags & ARITHMETIC),
                  (unsigned)s->gpr[0], (unsigned)s->gpr[1], (unsigned)s->gpr[2]);
    for (unsigned i = 0; i < 8; i++) {
        uint64_t st[2], xmm[2];

        memcpy(st, s->fpu.st[i], 16);
        memcpy(xmm, s->fpu.xmm[i], 16);
        print_message("  st%u %04x:%016lx  xmm%u %016lx:%016lx\n", i, (unsigned)st[1] & 0xffff, st[0], i, xmm[1],
                      xmm[0]);
    }
    print_message("  data");
    for (unsigned i = 0; i < 20; i++)
        print_message(" %02x", s->data[i]);
    print_message("\n");
}

static bool same(const struct machine_state *a, const struct machine_state *b)
{
    for (unsigned i = 0; i < 8; i++) {
        if (memcmp(a->fpu.st[i], b->fpu.st[i], 10) || memcmp(a->fpu.xmm[i], b->fpu.xmm[i], 16))
            return false;
        if (i != GPR_BX && i != GPR_SP && i != GPR_BP && i != GPR_DI && (uint32_t)a->gpr[i] != (uint32_t)b->gpr[i])
            return false;
    }
    return a->vector == b->vector && a->fpu.fcw == b->fpu.fcw && a->fpu.fsw == b->fpu.fsw && a->fpu.ftw == b->fpu.ftw &&
           a->fpu.mxcsr == b->fpu.mxcsr && !((a->flags ^ b->flags) & ARITHMETIC) &&
           !memcmp(a->data, b->data, DATA_SIZE);
}

struct statistics {
    unsigned encodings, runs, faults;
    bool seen[ROW_COUNT];
};

static void compare(struct bare_machine *m, const uint8_t *code, const struct decoded_instruction *insn,
                    enum variant variant, unsigned runs, struct statistics *statistics)
{
    for (unsigned run = 0; run < runs; run++) {
        struct machine_state start, native, interpreted;

        random_machine_state(&start, run & 1);
        native = interpreted = start;
        native.gpr[GPR_BX] = (uint64_t)(uintptr_t)native.data;
        interpreted.gpr[GPR_BX] = 0;
        if (insn->row == ROW_MASKMOVQ || insn->row == ROW_MASKMOVDQU) {
            native.gpr[GPR_DI] = native.gpr[GPR_BX];
            interpreted.gpr[GPR_DI] = 0;
        }
        run_native(&native, code, insn->length);
        run_interpreter(m, &interpreted, code, insn->length, variant);
        statistics->runs++;
        statistics->faults += native.vector != 0;
        if (native.vector)
            native.flags = interpreted.flags = 0;
        if (!same(&native, &interpreted)) {
            print_message("%s, variant %d, bytes", instruction_table[insn->row].name, variant);
            for (unsigned i = 0; i < insn->length; i++)
                print_message(" %02x", code[i]);
            print_message("\n");
            show("start", &start);
            show("host", &native);
            show("interpreter", &interpreted);
            fail();
        }
    }
}

static bool is_ours(const struct decoded_instruction *insn)
{
    const char *kind = instruction_table[insn->row].kind;

    return !strcmp(kind, "x87") || !strcmp(kind, "mmx") || !strcmp(kind, "sse");
}

/* Tries one encoding in all variants if it is ours. */
static void try_encoding(struct bare_machine *m, const struct decoder *decoder, const uint8_t *code, unsigned runs,
                         struct statistics *statistics)
{
    struct decoded_instruction insn;

    if (decode_instruction(decoder, code, 15, CODE, true, false, &insn) != DECODE_OK || !is_ours(&insn))
        return;
    statistics->encodings++;
    statistics->seen[insn.row] = true;
    bool memory = false;
    for (unsigned i = 0; i < insn.operand_count; i++)
        memory |= insn.operands[i].kind == OPERAND_MEMORY;
    for (enum variant v = FLAT; v < (memory ? VARIANTS : OBSERVED); v++)
        compare(m, code, &insn, v, runs, statistics);
}

struct fixture {
    struct bare_machine *m;
    struct decoder decoder;
};

/* The test library puts its own handlers in place before each test, so this belongs into the tests. */
static void install_handlers(void)
{
    struct sigaction action = {.sa_sigaction = native_fault, .sa_flags = SA_SIGINFO};

    assert_int_equal(sigaction(SIGFPE, &action, NULL), 0);
    assert_true(fpu_signal_install());
}

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);

    native_code = mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    assert_ptr_not_equal(native_code, MAP_FAILED);
    f->m = bare_machine_create("pentium4", 8 << 20);
    decoder_init(&f->decoder, f->m->cpu->model);
    prepare_tables(f->m);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;

    bare_machine_destroy(f->m);
    munmap(native_code, 4096);
    free(f);
    return 0;
}

/* Every row of KINDS that the model has was tried. */
static void assert_all_rows_seen(const struct fixture *f, const struct statistics *s, const char *first_kind,
                                 const char *second_kind)
{
    for (unsigned row = 1; row < ROW_COUNT; row++) {
        const struct instruction_row *r = &instruction_table[row];

        if ((strcmp(r->kind, first_kind) && strcmp(r->kind, second_kind)) || !cpu_has(f->m->cpu->model, r->feature))
            continue;
        if (!s->seen[row])
            print_message("%s was not tried\n", r->name);
        assert_true(s->seen[row]);
    }
}

static void report(const char *what, const struct statistics *s)
{
    print_message("%s: %u encodings, %u runs, %u with faults\n", what, s->encodings, s->runs, s->faults);
}

static void test_x87(void **state)
{
    struct fixture *f = *state;
    struct statistics s = {0};

    install_handlers();
    for (unsigned first = 0xd8; first <= 0xdf; first++) {
        for (unsigned reg = 0; reg < 8; reg++) {
            const uint8_t plain[15] = {(uint8_t)first, (uint8_t)(reg << 3 | 3)};
            const uint8_t displaced[15] = {(uint8_t)first, (uint8_t)(0x40 | reg << 3 | 3), 16};
            const uint8_t indexed[15] = {(uint8_t)first, (uint8_t)(0x84 | reg << 3), 0xb3, 32}; /* 32(%ebx,%esi,4) */

            try_encoding(f->m, &f->decoder, plain, 40, &s);
            try_encoding(f->m, &f->decoder, displaced, 10, &s);
            try_encoding(f->m, &f->decoder, indexed, 10, &s);
        }
        for (unsigned modrm = 0xc0; modrm < 0x100; modrm++) {
            const uint8_t code[15] = {(uint8_t)first, (uint8_t)modrm};

            try_encoding(f->m, &f->decoder, code, 20, &s);
        }
    }
    const uint8_t wait[15] = {0x9b};
    try_encoding(f->m, &f->decoder, wait, 20, &s);
    report("x87", &s);
    assert_int_equal(s.encodings, 3 * 53 + 420 + 1);
    assert_true(s.faults > 1000);
    assert_all_rows_seen(f, &s, "x87", "x87");
}

/* ModRM bytes with registers that are not the host's stack pointer or ours. */
static void test_simd(void **state)
{
    static const uint8_t prefixes[] = {0, 0x66, 0xf3, 0xf2};
    static const uint8_t registers[] = {0xca, 0xd1, 0xc6, 0xf0, 0xff, 0xc0, 0xf7,
                                        0xd7, 0xf2, 0xd2, 0xfa, 0xda, 0xe2, 0xea};
    struct fixture *f = *state;
    struct statistics s = {0};

    install_handlers();
    for (unsigned p = 0; p < ARRAY_SIZE(prefixes); p++) {
        for (unsigned op = 0x10; op < 0x100; op++) {
            for (unsigned form = 0; form < ARRAY_SIZE(registers) + 6; form++) {
                /* (%ebx), 16(%ebx), 32(%ebx,%esi,4) */
                static const uint8_t memory[][6] = {{0x0b}, {0x03}, {0x33}, {0x3b}, {0x53, 16}, {0x94, 0xb3, 32}};
                static const uint8_t memory_length[] = {1, 1, 1, 1, 2, 6};
                uint8_t code[15] = {0};
                unsigned n = 0;

                /* Registers 3 to 5 in the reg field: opcode extensions of shifts and fences, else the host's. */
                if (form >= ARRAY_SIZE(registers) + 3 && (op < 0x71 || op > 0x73) && op != 0xae)
                    continue;
                if (prefixes[p])
                    code[n++] = prefixes[p];
                code[n++] = 0x0f;
                code[n++] = (uint8_t)op;
                if (form < ARRAY_SIZE(memory)) {
                    memcpy(code + n, memory[form], memory_length[form]);
                    n += memory_length[form];
                } else {
                    code[n++] = registers[form - ARRAY_SIZE(memory)];
                }
                code[n] = (uint8_t)random64(); /* an immediate, if there is one */
                try_encoding(f->m, &f->decoder, code, 24, &s);
            }
        }
    }
    report("MMX and SSE", &s);
    assert_true(s.encodings > 3000);
    assert_true(s.faults > 1000);
    assert_all_rows_seen(f, &s, "mmx", "sse");
}

/* Every immediate of the instructions that have one. */
static void test_immediates(void **state)
{
    static const uint8_t codes[][5] = {
        {0x0f, 0xc2, 0xca}, {0x66, 0x0f, 0xc2, 0xca}, {0xf3, 0x0f, 0xc2, 0xca}, {0xf2, 0x0f, 0xc2, 0xca}, /* CMPxx */
        {0x0f, 0xc6, 0xca}, {0x66, 0x0f, 0xc6, 0xca}, {0x0f, 0xc6, 0x0b}, {0x66, 0x0f, 0xc6, 0x0b},       /* SHUFPx */
        {0x0f, 0x70, 0xca}, {0x66, 0x0f, 0x70, 0xca}, {0xf3, 0x0f, 0x70, 0xca}, {0xf2, 0x0f, 0x70, 0x0b}, /* PSHUFx */
        {0x0f, 0xc4, 0xca}, {0x66, 0x0f, 0xc4, 0xca}, {0x0f, 0xc5, 0xca}, {0x66, 0x0f, 0xc5, 0xca}, /* PINSRW PEXTRW */
        {0x0f, 0x71, 0xd2}, {0x66, 0x0f, 0x72, 0xe2}, {0x66, 0x0f, 0x73, 0xda}, {0x66, 0x0f, 0x73, 0xfa},
        {0x66, 0x0f, 0x73, 0xd2}, {0x0f, 0x73, 0xf2}};
    struct fixture *f = *state;
    struct statistics s = {0};

    install_handlers();
    for (unsigned i = 0; i < ARRAY_SIZE(codes); i++) {
        unsigned n = codes[i][0] == 0x0f ? 3 : 4;

        for (unsigned immediate = 0; immediate < 0x100; immediate++) {
            uint8_t code[15];

            memcpy(code, codes[i], n);
            memset(code + n, 0, sizeof code - n);
            code[n] = (uint8_t)immediate;
            try_encoding(f->m, &f->decoder, code, 3, &s);
        }
    }
    assert_int_equal(s.encodings, ARRAY_SIZE(codes) * 256);
}

/* FPU operations update the last instruction and data pointers; control instructions do not. */
static void test_pointers(void **state)
{
    static const uint8_t fld[15] = {0xdd, 0x03}, fnstcw[15] = {0xd9, 0x3b}, fld1[15] = {0xd9, 0xe8};
    struct fixture *f = *state;
    struct vcpu *cpu = f->m->cpu;
    struct machine_state s;

    install_handlers();
    random_machine_state(&s, true);
    s.fpu.fsw = 0;
    s.gpr[GPR_BX] = 0;
    run_interpreter(f->m, &s, fld, 2, SEGMENTED);
    assert_int_equal(s.vector, 0);
    assert_int_equal(cpu->state.x87.fip, CODE);
    assert_int_equal(cpu->state.x87.fcs, 8);
    assert_int_equal(cpu->state.x87.fop, 0x503);
    assert_int_equal(cpu->state.x87.fdp, DATA - SEGMENT_BASE);
    assert_int_equal(cpu->state.x87.fds, 16);
    run_interpreter(f->m, &s, fnstcw, 2, FLAT);
    assert_int_equal(cpu->state.x87.fip, 0);
    assert_int_equal(cpu->state.x87.fdp, 0);
    run_interpreter(f->m, &s, fld1, 2, FLAT);
    assert_int_equal(cpu->state.x87.fip, CODE);
    assert_int_equal(cpu->state.x87.fop, 0x1e8);
    assert_int_equal(cpu->state.x87.fdp, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_x87, setup, teardown),
        cmocka_unit_test_setup_teardown(test_simd, setup, teardown),
        cmocka_unit_test_setup_teardown(test_immediates, setup, teardown),
        cmocka_unit_test_setup_teardown(test_pointers, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

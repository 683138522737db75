/* Every x87, MMX and SSE encoding by itself, by the interpreter and by the translator: random operands, masked and
 * unmasked exceptions, operands that are misaligned, cross pages, are missing, read-only or a device's. */
#include "bare_fpu_pair.h"

#include "cpu/decode.h"
#include "cpu/fpu.h"
#include "interp/fpu_signal.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* Where operands are put; what is added to it, up to 16 bytes back. */
static const struct {
    uint32_t address;
    bool crosses, plain;
} places[] = {
    {PAIR_DATA + 64, false, true},    {PAIR_DATA + 0x800, false, true},          {PAIR_DATA + PAGE_SIZE, true, false},
    {PAIR_MISSING, true, false},      {PAIR_MISSING + 32, false, false},         {PAIR_LONELY, true, false},
    {PAIR_READ_ONLY, true, false},    {PAIR_READ_ONLY + 32, false, false},       {PAIR_DEVICE, true, false},
    {PAIR_DEVICE + 32, false, false}, {PAIR_SCATTERED + PAGE_SIZE, true, false}, {PAIR_CODE + 0x800, false, false},
};

/* Always the interpreter's. */
static const uint16_t interpreted_rows[] = {ROW_FNCLEX,  ROW_FNINIT,       ROW_MASKMOVQ,      ROW_MASKMOVDQU,
                                            ROW_CLFLUSH, ROW_FENI8087_NOP, ROW_FDISI8087_NOP, ROW_FSETPM287_NOP};

struct statistics {
    unsigned encodings, runs, faults, native;
    bool seen[ROW_COUNT], seen_native[ROW_COUNT];
};

struct fixture {
    struct fpu_pair *pair;
    struct decoder decoder;
    struct statistics s;
};

static int setup_model(void **state, const char *model)
{
    const struct fpu_pair_options options = {.model = model};
    struct fixture *f = calloc(1, sizeof *f);

    f->pair = fpu_pair_create(&options);
    decoder_init(&f->decoder, f->pair->m[0]->cpu->model);
    *state = f;
    return 0;
}
static int setup(void **state)
{
    return setup_model(state, "pentium4");
}
static int setup_without_sse2(void **state)
{
    return setup_model(state, "pentium3");
}

static int teardown(void **state)
{
    struct fixture *f = *state;

    fpu_pair_destroy(f->pair);
    free(f);
    return 0;
}

static bool is_interpreted(unsigned row)
{
    for (size_t i = 0; i < ARRAY_SIZE(interpreted_rows); i++)
        if (interpreted_rows[i] == row)
            return true;
    return false;
}

static bool has_memory(const struct decoded_instruction *insn)
{
    for (unsigned i = 0; i < insn->operand_count; i++)
        if (insn->operands[i].kind == OPERAND_MEMORY)
            return true;
    return false;
}

static uint64_t interpreted_count(const struct fixture *f, unsigned row)
{
    uint64_t interpreted, called_out;

    translator_count_row(f->pair->translator, row, &interpreted, &called_out);
    return interpreted;
}

static void run_one(struct fixture *f, const struct fpu_pair_state *start, const uint8_t *code,
                    const struct decoded_instruction *insn, bool again, bool plain)
{
    uint64_t interpreted = interpreted_count(f, insn->row), entries = f->pair->m[1]->stats.native_entries;
    uint8_t twice[30];

    /* The second one finds registers and TLB entries in place. */
    memcpy(twice, code, insn->length);
    memcpy(twice + insn->length, code, insn->length);
    bool same = fpu_pair_run(f->pair, start, twice, again ? 2u * insn->length : insn->length);
    bool fault = fpu_pair_vector(f->pair) >= 0;
    bool native = interpreted_count(f, insn->row) == interpreted && f->pair->m[1]->stats.native_entries != entries;

    f->s.runs++;
    f->s.faults += fault;
    if (!fault && native) {
        f->s.native++;
        f->s.seen_native[insn->row] = true;
    }
    if (same && (fault || native || !plain || is_interpreted(insn->row)))
        return;
    print_message("%s%s, bytes", instruction_table[insn->row].name, same ? " was interpreted" : "");
    for (unsigned i = 0; i < insn->length; i++)
        print_message(" %02x", code[i]);
    print_message(", ebx %08x, fcw %04x fsw %04x mxcsr %04x cr0 +%x -%x cr4 %x\n", start->gpr[GPR_BX], start->fpu.fcw,
                  start->fpu.fsw, start->fpu.mxcsr, start->cr0_set, start->cr0_clear, start->cr4);
    fpu_pair_show(f->pair);
    fail();
}

/* Pending errors and what is not available. */
static void change_controls(struct fpu_pair_state *s)
{
    switch (fpu_pair_below(24)) {
    case 0:
        s->cr0_set = CR0_TS;
        break;
    case 1:
        s->cr0_set = CR0_EM;
        break;
    case 2:
        s->cr4 = 0;
        break;
    case 3:
        s->cr4 = CR4_OSFXSR;
        break;
    case 4:
    case 5:
        s->cr0_clear = CR0_NE;
        break;
    case 6:
    case 7:
        s->cr0_clear = CR0_NE;
        s->ignne = true;
        s->ferr = s->fpu.fsw & X87_ES;
        break;
    default:
        break;
    }
}

static void run_encoding(struct fixture *f, const uint8_t *code, const struct decoded_instruction *insn, unsigned runs)
{
    bool memory = has_memory(insn);

    for (unsigned run = 0; run < runs; run++) {
        for (unsigned place = 0; place < (memory ? ARRAY_SIZE(places) : 1); place++) {
            struct fpu_pair_state start;

            fpu_pair_random_state(&start, run & 1);
            if (memory) {
                start.gpr[GPR_BX] = places[place].address - (places[place].crosses ? 1 + fpu_pair_below(16) : 0);
                if (place == 1)
                    start.gpr[GPR_BX] += fpu_pair_below(16);
                if (place == 0 && run % 8 == 6)
                    start.ds_base = 0x10000, start.ds_limit = 0x2fffff, start.gpr[GPR_BX] -= 0x10000;
            }
            if (insn->row == ROW_MASKMOVQ || insn->row == ROW_MASKMOVDQU)
                start.gpr[GPR_DI] = start.gpr[GPR_BX];
            if (!(run & 1))
                change_controls(&start);
            /* With an error pending, or stores that might not happen, a missing TLB entry is left to the interpreter.
             */
            bool pending = (start.fpu.fsw & X87_ES) || (~start.fpu.fcw & 0x3f);
            bool usual = !pending && !start.cr0_set && !start.cr0_clear && start.cr4 == (CR4_OSFXSR | CR4_OSXMMEXCPT);
            run_one(f, &start, code, insn, run % 4 > 1, usual && !start.ds_limit && (!memory || places[place].plain));
        }
    }
}

static bool is_ours(const struct decoded_instruction *insn)
{
    const char *kind = instruction_table[insn->row].kind;

    return !strcmp(kind, "x87") || !strcmp(kind, "mmx") || !strcmp(kind, "sse");
}

/* An exception needs the stack. */
static bool writes_stack_pointer(const struct decoded_instruction *insn)
{
    for (unsigned i = 0; i < insn->operand_count; i++)
        if (insn->operands[i].kind == OPERAND_GPR && insn->operands[i].written && insn->operands[i].number == GPR_SP)
            return true;
    return false;
}

static void try_encoding(struct fixture *f, const uint8_t *code, unsigned runs)
{
    struct decoded_instruction insn;

    if (decode_instruction(&f->decoder, code, 15, PAIR_CODE, true, false, &insn) != DECODE_OK || !is_ours(&insn))
        return;
    f->s.encodings++;
    f->s.seen[insn.row] = true;
    run_encoding(f, code, &insn, writes_stack_pointer(&insn) ? 1 : runs);
}

static void report(const struct fixture *f, const char *what)
{
    print_message("%s: %u encodings, %u runs, %u with faults, %u native\n", what, f->s.encodings, f->s.runs,
                  f->s.faults, f->s.native);
}

/* Every row of KINDS that the model has was tried, and ran natively if it should. */
static void assert_all_rows_seen(const struct fixture *f, const char *first_kind, const char *second_kind)
{
    for (unsigned row = 1; row < ROW_COUNT; row++) {
        const struct instruction_row *r = &instruction_table[row];

        if ((strcmp(r->kind, first_kind) && strcmp(r->kind, second_kind)) ||
            !cpu_has(f->pair->m[0]->cpu->model, r->feature))
            continue;
        if (!f->s.seen[row] || (!f->s.seen_native[row] && !is_interpreted(row)))
            fail_msg("%s was not tried, or never ran natively", r->name);
    }
}

static void test_x87(void **state)
{
    struct fixture *f = *state;

    assert_true(fpu_signal_install());
    for (unsigned first = 0xd8; first <= 0xdf; first++) {
        for (unsigned reg = 0; reg < 8; reg++) {
            const uint8_t plain[15] = {(uint8_t)first, (uint8_t)(reg << 3 | 3)};
            const uint8_t indexed[15] = {(uint8_t)first, (uint8_t)(0x84 | reg << 3), 0xb3, 32}; /* 32(%ebx,%esi,4) */

            try_encoding(f, plain, 16);
            try_encoding(f, indexed, 4);
        }
        for (unsigned modrm = 0xc0; modrm < 0x100; modrm++) {
            const uint8_t code[15] = {(uint8_t)first, (uint8_t)modrm};

            try_encoding(f, code, 16);
        }
    }
    const uint8_t wait[15] = {0x9b};
    try_encoding(f, wait, 20);
    report(f, "x87");
    assert_int_equal(f->s.encodings, 2 * 53 + 420 + 1);
    assert_true(f->s.faults > 1000);
    assert_all_rows_seen(f, "x87", "x87");
}

static void try_simd(struct fixture *f, unsigned runs)
{
    static const uint8_t prefixes[] = {0, 0x66, 0xf3, 0xf2};
    static const uint8_t registers[] = {0xca, 0xd1, 0xc6, 0xf0, 0xff, 0xc0, 0xf7, 0xe5, 0xec,
                                        0xd7, 0xf2, 0xd2, 0xfa, 0xda, 0xe2, 0xea, 0xcd};
    /* (%ebx), 16(%ebx), 32(%ebx,%esi,4) */
    static const uint8_t memory[][6] = {{0x0b}, {0x03}, {0x33}, {0x3b}, {0x53, 16}, {0x94, 0xb3, 32}};
    static const uint8_t memory_length[] = {1, 1, 1, 1, 2, 6};

    for (unsigned p = 0; p < ARRAY_SIZE(prefixes); p++) {
        for (unsigned op = 0x10; op < 0x100; op++) {
            for (unsigned form = 0; form < ARRAY_SIZE(registers) + ARRAY_SIZE(memory); form++) {
                uint8_t code[15] = {0};
                unsigned n = 0;

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
                code[n] = (uint8_t)fpu_pair_random(); /* an immediate, if there is one */
                try_encoding(f, code, form < ARRAY_SIZE(memory) ? runs / 2 : runs);
            }
        }
    }
}

static void test_simd(void **state)
{
    struct fixture *f = *state;

    assert_true(fpu_signal_install());
    try_simd(f, 8);
    report(f, "MMX and SSE");
    assert_true(f->s.encodings > 3000);
    assert_true(f->s.faults > 1000);
    assert_all_rows_seen(f, "mmx", "sse");
}

/* XMM registers, but not those instructions that came later: they raise #UD. */
static void test_simd_without_sse2(void **state)
{
    struct fixture *f = *state;

    assert_true(fpu_signal_install());
    try_simd(f, 2);
    report(f, "MMX and SSE without SSE2");
    assert_all_rows_seen(f, "mmx", "sse");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_x87, setup, teardown),
        cmocka_unit_test_setup_teardown(test_simd, setup, teardown),
        cmocka_unit_test_setup_teardown(test_simd_without_sse2, setup_without_sse2, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

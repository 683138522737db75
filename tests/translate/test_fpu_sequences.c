/* Random sequences of x87, MMX and SSE instructions with integer instructions, branches, loops and state images among
 * them, by the interpreter and by the translator. What disagrees is made as short as possible before it is shown. */
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

enum { MAX_ITEMS = 40, MAX_CODE = 1024 };

/* One instruction. A jump goes over the SKIP items behind it. */
struct item {
    uint8_t bytes[16];
    uint8_t length;
    bool jump;
    uint8_t skip;
};

struct program {
    struct item items[MAX_ITEMS];
    unsigned count;
    bool loops; /* everything, EBP times */
};

struct fixture {
    struct fpu_pair *pair;
    struct decoder decoder;
    unsigned runs, faults;
    bool seen[ROW_COUNT];
};

static unsigned below(unsigned n)
{
    return fpu_pair_below(n);
}

/* ---- x87, MMX and SSE ---- */

/* ModRM, SIB and displacement of a random operand near EBX or EDI. */
static unsigned put_memory(uint8_t *to, unsigned reg)
{
    uint8_t displacement = (uint8_t)(below(2) ? below(8) * 16 : below(100));

    switch (below(6)) {
    case 0: /* [ebx] */
        to[0] = (uint8_t)(reg << 3 | 3);
        return 1;
    case 1: /* [ebx+esi*4+displacement] */
        to[0] = (uint8_t)(0x44 | reg << 3);
        to[1] = 0xb3;
        to[2] = displacement;
        return 3;
    case 2: /* [edi+displacement] */
        to[0] = (uint8_t)(0x47 | reg << 3);
        to[1] = displacement;
        return 2;
    case 3: { /* [displacement] */
        uint32_t address = PAIR_AREA + displacement;

        to[0] = (uint8_t)(reg << 3 | 5);
        memcpy(to + 1, &address, 4);
        return 5;
    }
    case 4: /* [esp-displacement] */
        to[0] = (uint8_t)(0x44 | reg << 3);
        to[1] = 0x24;
        to[2] = (uint8_t)(-16 * (1 + (int)below(7)));
        return 3;
    default: /* [ebx+displacement] */
        to[0] = (uint8_t)(0x43 | reg << 3);
        to[1] = displacement;
        return 2;
    }
}

/* Registers that hold addresses and counts stay. */
static bool is_welcome(const struct decoded_instruction *insn)
{
    const char *kind = instruction_table[insn->row].kind;

    if (strcmp(kind, "x87") && strcmp(kind, "mmx") && strcmp(kind, "sse"))
        return false;
    for (unsigned i = 0; i < insn->operand_count; i++)
        if (insn->operands[i].kind == OPERAND_GPR && insn->operands[i].written && insn->operands[i].number > GPR_DX)
            return false;
    return true;
}

static void put_fpu_instruction(struct fixture *f, struct item *item)
{
    static const uint8_t prefixes[] = {0, 0, 0x66, 0xf3, 0xf2};
    struct decoded_instruction insn;

    for (;;) {
        uint8_t *b = item->bytes;
        unsigned n = 0;

        memset(item, 0, sizeof *item);
        if (below(20) == 0)
            b[n++] = (uint8_t[]){0x36, 0x2e, 0x64, 0x3e}[below(4)];
        if (below(5) < 2) {
            b[n++] = (uint8_t)(0xd8 + below(8));
        } else {
            uint8_t prefix = prefixes[below(ARRAY_SIZE(prefixes))];

            if (prefix)
                b[n++] = prefix;
            b[n++] = 0x0f;
            b[n++] = (uint8_t)(0x10 + below(0xf0));
        }
        if (below(2))
            n += put_memory(b + n, below(8));
        else
            b[n++] = (uint8_t)(0xc0 | below(0x40));
        b[n] = (uint8_t)fpu_pair_random();
        if (decode_instruction(&f->decoder, b, 15, PAIR_CODE, true, false, &insn) == DECODE_OK && is_welcome(&insn))
            break;
    }
    item->length = insn.length;
    f->seen[insn.row] = true;
}

/* ---- others ---- */

static void put_bytes(struct item *item, const char *hex)
{
    unsigned byte;

    memset(item, 0, sizeof *item);
    for (int used; sscanf(hex, "%2x%n", &byte, &used) == 1; hex += used)
        item->bytes[item->length++] = (uint8_t)byte;
}

static void put_integer_instruction(struct item *item)
{
    static const char *const choices[] = {
        "01c8",
        "29d1",
        "39c2",
        "85c9",
        "40",
        "49",
        "11d0",
        "19ca",
        "0f92c0",
        "0f9ac2",
        "0f4ac1",
        "0f42d0",
        "f5",
        "f9",
        "89c2",
        "92",
        "31c0",
        "f7d8",
        "c1e003",
        "d3e8",
        "0fafc2",
        "9f",
        "9e",
        "9c",
        /* memory: EBX and EDI */
        "8b4308",
        "8b5310",
        "894b0c",
        "014704",
        "834714ff",
        "0fb64f03",
        "668b4322",
        "87570c",
        "833b00",
        "ff4330",
        "f00fc10f",
        "8b4705",
        "895709",
        "8f4740",
    };
    put_bytes(item, choices[below(ARRAY_SIZE(choices))]);
}

static void put_state_instruction(struct item *item)
{
    static const char *const choices[] = {
        "d9b3a0000000", /* fnstenv [ebx+160] */
        "d97720",       /* fnstenv [edi+32] */
        "d9670c",       /* fldenv [edi+12]: of anything */
        "66d97740",     /* the 16-bit form */
        "dd37",         /* fnsave [edi] */
        "dd27",         /* frstor [edi] */
        "0fae07",       /* fxsave [edi] */
        "0fae0f",       /* fxrstor [edi] */
        "0fae5f18",     /* stmxcsr [edi+24] */
        "0fae5718",     /* ldmxcsr [edi+24] */
        "dbe3",         /* fninit */
        "dbe2",         /* fnclex */
        "9b",           /* fwait */
        "dfe0",         /* fnstsw ax */
        "0f77",         /* emms */
    };
    put_bytes(item, choices[below(ARRAY_SIZE(choices))]);
}

static void put_jump(struct item *item)
{
    memset(item, 0, sizeof *item);
    item->jump = true;
    item->skip = (uint8_t)below(4);
    item->bytes[0] = (uint8_t)(below(8) ? 0x70 | below(16) : 0xeb);
    item->length = 2;
}

/* COMISS and its like, FCOMI, then accesses, then what reads the flags. */
static void put_comparison(struct program *p)
{
    static const char *const compare[] = {"0f2eca", "0f2f4b10", "660f2ec3", "660f2f5720",
                                          "dbe9",   "dff2",     "dbf3",     "dfec"};
    static const char *const between[] = {"8b4308", "895710", "d9430c", "0f284710", "0f58d9", "d8c1"};
    static const char *const read[] = {"dac1", "dbc9", "dad2", "dbdb", "0f42c1", "0f9ac0", "9c", "13c1"};

    put_bytes(&p->items[p->count++], compare[below(ARRAY_SIZE(compare))]);
    for (unsigned i = below(3); i; i--)
        put_bytes(&p->items[p->count++], between[below(ARRAY_SIZE(between))]);
    if (below(2))
        put_bytes(&p->items[p->count++], read[below(ARRAY_SIZE(read))]);
    else
        put_jump(&p->items[p->count++]);
}

static void make_program(struct fixture *f, struct program *p)
{
    unsigned length = 2 + below(24);

    p->count = 0;
    p->loops = below(4) == 0;
    while (p->count < length) {
        unsigned what = below(100);

        if (what < 60)
            put_fpu_instruction(f, &p->items[p->count++]);
        else if (what < 80)
            put_integer_instruction(&p->items[p->count++]);
        else if (what < 86)
            put_state_instruction(&p->items[p->count++]);
        else if (what < 94)
            put_jump(&p->items[p->count++]);
        else
            put_comparison(p);
    }
}

static size_t assemble(const struct program *p, uint8_t code[MAX_CODE])
{
    size_t n = 0;

    for (unsigned i = 0; i < p->count; i++) {
        const struct item *item = &p->items[i];

        memcpy(code + n, item->bytes, item->length);
        if (item->jump) {
            code[n + 1] = 0;
            for (unsigned j = i + 1; j <= i + item->skip && j < p->count; j++)
                code[n + 1] = (uint8_t)(code[n + 1] + p->items[j].length);
        }
        n += item->length;
    }
    if (p->loops) { /* dec ebp; jnz */
        int32_t back = -(int32_t)(n + 7);

        memcpy(code + n, (const uint8_t[]){0x4d, 0x0f, 0x85}, 3);
        memcpy(code + n + 3, &back, 4);
        n += 7;
    }
    return n;
}

/* ---- states ---- */

static void random_segment(struct fpu_pair_state *start)
{
    start->ds_base = below(2) ? 0x10000 : 0;
    start->gpr[GPR_BX] -= start->ds_base;
    start->gpr[GPR_DI] -= start->ds_base;
    start->ds_limit = 0x2fffff;
    if (below(2))
        start->ds_limit = start->gpr[GPR_BX] + below(200);
    else if (below(2)) {
        start->ds_expand_down = true;
        start->ds_limit = below(2) ? 0xfffff : start->gpr[GPR_BX] + below(200);
    }
}

static void random_start(struct fpu_pair_state *start)
{
    static const uint32_t edges[] = {PAIR_DATA + PAGE_SIZE, PAIR_MISSING,     PAIR_LONELY,
                                     PAIR_READ_ONLY,        PAIR_DEVICE,      PAIR_SCATTERED + PAGE_SIZE,
                                     PAIR_BEFORE_DEVICE,    PAIR_CODE + 0x900};
    fpu_pair_random_state(start, below(4) != 0);
    start->gpr[GPR_BX] = PAIR_DATA + 64 * below(16) + (below(4) ? 0 : below(16));
    if (below(3) == 0)
        start->gpr[GPR_BX] = edges[below(ARRAY_SIZE(edges))] - below(160);
    start->gpr[GPR_SI] = (uint32_t[]){0, 4, 1, 0xffffffff}[below(4)];
    start->gpr[GPR_BP] = 2 + below(3);
    switch (below(40)) {
    case 0:
        start->cr0_set = CR0_TS;
        break;
    case 1:
        start->cr0_set = CR0_EM;
        break;
    case 2:
        start->cr4 = 0;
        break;
    case 3:
        start->cr4 = CR4_OSFXSR;
        break;
    case 4:
        start->cr0_clear = CR0_NE;
        break;
    case 5:
        start->cr0_clear = CR0_NE;
        start->ignne = true;
        start->ferr = start->fpu.fsw & X87_ES;
        break;
    case 6:
    case 7:
        random_segment(start);
        break;
    case 8:
        start->cs_base = 0x80000;
        break;
    default:
        break;
    }
}

/* ---- running ---- */

static bool agrees(struct fixture *f, const struct program *p, const struct fpu_pair_state *start)
{
    uint8_t code[MAX_CODE];

    return fpu_pair_run(f->pair, start, code, assemble(p, code));
}

/* Takes out what is not needed for the disagreement. */
static void shrink(struct fixture *f, struct program *p, const struct fpu_pair_state *start)
{
    struct program shorter;

    for (unsigned i = p->count; i-- > 0;) {
        shorter = *p;
        memmove(&shorter.items[i], &shorter.items[i + 1], (p->count - i - 1) * sizeof shorter.items[0]);
        shorter.count--;
        if (!agrees(f, &shorter, start))
            *p = shorter;
    }
    shorter = *p;
    shorter.loops = false;
    if (!agrees(f, &shorter, start))
        *p = shorter;
}

static void show(struct fixture *f, struct program *p, const struct fpu_pair_state *start, unsigned round)
{
    uint8_t code[MAX_CODE];

    shrink(f, p, start);
    bool same = agrees(f, p, start);
    size_t length = assemble(p, code), n = 0;
    print_message("round %u%s, loops %d:\n", round, same ? " (not again!)" : "", p->loops);
    for (unsigned i = 0; i < p->count; i++) {
        print_message("  %08x ", PAIR_CODE + (unsigned)n);
        for (unsigned j = 0; j < p->items[i].length; j++)
            print_message(" %02x", code[n + j]);
        print_message("\n");
        n += p->items[i].length;
    }
    print_message(
        "  %zu bytes, ebx %08x esi %x ebp %x, eax %08x, fcw %04x fsw %04x ftw %02x mxcsr %04x flags %03x cr0 +%x "
        "-%x cr4 %x ignne %d ds %x limit %x down %d cs %x\n",
        length, start->gpr[GPR_BX], start->gpr[GPR_SI], start->gpr[GPR_BP], start->gpr[GPR_AX], start->fpu.fcw,
        start->fpu.fsw, start->fpu.ftw, start->fpu.mxcsr, start->flags, start->cr0_set, start->cr0_clear, start->cr4,
        start->ignne, start->ds_base, start->ds_limit, start->ds_expand_down, start->cs_base);
    fpu_pair_show(f->pair);
    fail();
}

static void run_rounds(const struct fpu_pair_options *options, unsigned rounds)
{
    struct fixture *f = calloc(1, sizeof *f);

    assert_true(fpu_signal_install());
    f->pair = fpu_pair_create(options);
    decoder_init(&f->decoder, f->pair->m[0]->cpu->model);
    for (unsigned round = 0; round < rounds; round++) {
        struct fpu_pair_state start;
        struct program p;

        make_program(f, &p);
        for (unsigned again = 0; again < 3; again++) {
            random_start(&start);
            if (options->lockstep && start.cr0_clear) /* FERR# and IGNNE# are not undone */
                start.cr0_clear = start.ignne = start.ferr = 0;
            if (!agrees(f, &p, &start))
                show(f, &p, &start, round);
            f->runs++;
            f->faults += fpu_pair_vector(f->pair) >= 0;
        }
    }
    unsigned rows = 0;
    for (unsigned row = 0; row < ROW_COUNT; row++)
        rows += f->seen[row];
    print_message("%u runs, %u with faults, %u rows\n", f->runs, f->faults, rows);
    assert_in_range(f->faults, f->runs / 20, f->runs * 9 / 10);
    fpu_pair_destroy(f->pair);
    free(f);
}

static void test_as_usual(void **state)
{
    run_rounds(&(struct fpu_pair_options){.model = "pentium4"}, 15000);
}

static void test_counted(void **state)
{
    run_rounds(&(struct fpu_pair_options){.model = "pentium4", .counted = true}, 4000);
}

static void test_without_passes(void **state)
{
    run_rounds(&(struct fpu_pair_options){.model = "pentium4", .disabled_passes = UINT32_MAX}, 4000);
}

static void test_short_blocks(void **state)
{
    run_rounds(&(struct fpu_pair_options){.model = "pentium4", .block_limit = 2}, 4000);
}

static void test_baseline(void **state)
{
    run_rounds(&(struct fpu_pair_options){.model = "pentium4", .baseline = true}, 4000);
}

static void test_lockstep(void **state)
{
    run_rounds(&(struct fpu_pair_options){.model = "pentium4", .lockstep = true}, 3000);
}

static void test_older_models(void **state)
{
    run_rounds(&(struct fpu_pair_options){.model = "pentium3"}, 3000);
    run_rounds(&(struct fpu_pair_options){.model = "pentium2"}, 3000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_as_usual),     cmocka_unit_test(test_counted),  cmocka_unit_test(test_without_passes),
        cmocka_unit_test(test_short_blocks), cmocka_unit_test(test_baseline), cmocka_unit_test(test_lockstep),
        cmocka_unit_test(test_older_models),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

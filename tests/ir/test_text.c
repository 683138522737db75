/* Printer and parser: what one writes the other reads, and the parser takes whatever it is given. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "ir/operands.h"

#include <stdlib.h>
#include <string.h>

static char *print(const struct ir_block *block)
{
    char *text = NULL;
    size_t size;
    FILE *out = open_memstream(&text, &size);
    assert_non_null(out);
    ir_print(out, block);
    fclose(out);
    return text;
}

/* ---- every op in every form ---- */

static struct ir_value operand(unsigned kind, unsigned number, unsigned width)
{
    static const int32_t constants[] = {0, 1, -1, 9, 10, 127, -128, 0x1234, -0x1234, INT32_MAX, INT32_MIN};
    switch (kind) {
    case IR_VALUE_GUEST:
        return ir_guest(number % 8);
    case IR_VALUE_HIGH:
        return width == 1 ? ir_high(number % 4) : ir_guest(number % 8);
    case IR_VALUE_TEMP:
        return ir_temp_value(number * 37 % IR_MAX_TEMPS);
    case IR_VALUE_CONST:
        return ir_const(ir_sign_extend((uint32_t)constants[number % 11], width));
    default:
        return ir_mem();
    }
}

static struct ir_address address(unsigned number)
{
    static const int32_t displacements[] = {0, 8, -8, 0x12345678, INT32_MIN, -1};
    struct ir_address a = {.displacement = displacements[number % 6]};
    if (number & 1)
        a.base = number & 2 ? ir_guest(number % 8) : ir_temp_value(number % 100);
    if (number & 4) {
        a.index = number & 8 ? ir_guest((number + 3) % 8) : ir_temp_value(number % 90);
        a.scale = (uint8_t)(number % 4);
    }
    return a;
}

static void fill_fpu(struct ir_op *op, unsigned number)
{
    static const uint8_t prefixes[] = {0, 0x66, 0xf2, 0xf3};
    op->dst = number & 1 ? operand(1 + number % 5, number, op->width) : IR_NONE_VALUE;
    op->a = number & 2 ? operand(1 + number / 2 % 5, number, op->width) : IR_NONE_VALUE;
    op->fpu = (struct ir_fpu){
        .unit = (uint8_t)(number % 4),
        .prefix = prefixes[number / 4 % 4],
        .map = (uint8_t)(number / 2 % 4),
        .opcode = (uint8_t)(number * 37),
        .has_modrm = number % 6 != 5,
        .modrm = number % 6 != 5 ? (uint8_t)(number * 91) : 0,
        .has_immediate = number & 4,
        .immediate = number & 4 ? (uint8_t)(number * 5) : 0,
        .reg_is_gpr = number & 8,
        .rm_is_gpr = number & 16,
        .notes_pointers = number & 32,
        .fop = number & 32 ? (uint16_t)(number * 29) : 0,
        .flags = (uint8_t)(number % 3),
        .xmm_read = (uint16_t)(number % 7 ? number * 1021 : 0),
        .xmm_written = (uint16_t)(number % 11 ? number * 509 : 0),
    };
    if (op->fpu.notes_pointers && (op->dst.kind == IR_VALUE_MEM || op->a.kind == IR_VALUE_MEM))
        op->fpu.segment = (uint8_t)(number % 6);
}

static void fill_operands(struct ir_op *op, unsigned number)
{
    op->narrow = ir_op_table[op->opcode].effects & EFFECT_NARROW ? (uint8_t)(1 + number % 2) : 0;
    op->condition = ir_op_table[op->opcode].effects & EFFECT_CONDITION ? (uint8_t)(number % 16) : 0;
    op->lock = number % 5 == 4;
    if (ir_has_dst(op))
        op->dst = operand(1 + number % 5, number, op->width);
    if (ir_has_a(op) && !(op->opcode == IR_CALLOUT && number % 2))
        op->a = operand(1 + (number / 2) % 5, number + 1, ir_width_of_a(op));
    if (ir_has_b(op))
        op->b = operand(1 + number % 5, number + 2, ir_width_of_b(op));
    if (ir_has_address(op))
        op->address = address(number);
    switch (op->opcode) {
    case IR_FPU:
        fill_fpu(op, number);
        break;
    case IR_PROBE:
        op->probe = (uint8_t)(number / 2 % 3);
        /* fall through */
    case IR_SEGMENT:
        op->size = (uint8_t)(1 + number % 16);
        op->access = (uint8_t)(number % 3);
        op->segment = op->opcode == IR_SEGMENT ? (uint8_t)(number % 6) : 0;
        op->width = op->opcode == IR_PROBE ? op->size : op->width;
        break;
    case IR_EXIT_LOOP:
        op->loop = (uint8_t)(number % 4);
        /* fall through */
    case IR_EXIT:
    case IR_EXIT_IF:
        op->link = (uint8_t)(number % 2);
        op->place = (uint8_t)(number % 4);
        break;
    case IR_RAISE:
        op->vector = (uint8_t)(number % 32);
        break;
    case IR_INTERPRET:
        op->loop = (uint8_t)(number % 2);
        break;
    case IR_RECOMPUTE:
        op->recipe = number % 2 ? IR_RECIPE_HOME : 0;
        break;
    default:
        break;
    }
}

static bool same_fpu(const struct ir_fpu *x, const struct ir_fpu *y)
{
    return x->unit == y->unit && x->prefix == y->prefix && x->map == y->map && x->opcode == y->opcode &&
           x->modrm == y->modrm && x->has_immediate == y->has_immediate && x->immediate == y->immediate &&
           x->reg_is_gpr == y->reg_is_gpr && x->rm_is_gpr == y->rm_is_gpr && x->notes_pointers == y->notes_pointers &&
           x->has_modrm == y->has_modrm && x->fop == y->fop && x->segment == y->segment && x->flags == y->flags &&
           x->xmm_read == y->xmm_read && x->xmm_written == y->xmm_written;
}

static void assert_same_op(const struct ir_op *x, const struct ir_op *y, unsigned index)
{
    const char *name = ir_op_table[x->opcode].name;
    bool same = x->opcode == y->opcode && x->width == y->width && x->narrow == y->narrow &&
                x->condition == y->condition && x->lock == y->lock && x->segment == y->segment && x->size == y->size &&
                x->access == y->access && x->probe == y->probe && same_fpu(&x->fpu, &y->fpu) && x->loop == y->loop &&
                x->link == y->link && x->vector == y->vector && x->insn == y->insn && x->recipe == y->recipe &&
                x->place == y->place && ir_same(x->dst, y->dst) && ir_same(x->a, y->a) && ir_same(x->b, y->b) &&
                ir_same(x->address.base, y->address.base) && ir_same(x->address.index, y->address.index) &&
                x->address.displacement == y->address.displacement &&
                (x->address.index.kind == IR_VALUE_NONE || x->address.scale == y->address.scale);
    if (!same)
        fail_msg("op %u (%s) came back differently", index, name);
}

static void test_round_trip_of_every_op(void **state)
{
    struct ir_block *block = malloc(sizeof *block), *back = malloc(sizeof *back);
    char message[256] = "";
    for (unsigned number = 0; number < 64; number++) {
        ir_block_init(block, 0x1000 + number, 0x80000005u, 0xfffff000u);
        block->links[0] = (struct ir_link){true, IR_LINK_BACKWARD, 0x1234};
        block->links[1] = (struct ir_link){true, IR_LINK_OTHER_PAGE, 0xffffffff};
        for (unsigned opcode = 0; opcode < IR_OPCODE_COUNT; opcode++) {
            if (opcode % 2 == 0) {
                ir_begin_insn(block, 0x1000 + opcode, opcode % 16, opcode);
                snprintf(block->insns[block->insn_count - 1].text, 80, opcode % 3 ? "add eax, %u ; [x]" : "", opcode);
            }
            struct ir_op *op = ir_append(block, opcode, 1u << number % 3);
            fill_operands(op, number);
        }
        char *text = print(block);
        if (!ir_parse(back, text, message, sizeof message))
            fail_msg("%s in\n%s", message, text);
        assert_int_equal(back->eip, block->eip);
        assert_int_equal(back->mode, block->mode);
        assert_int_equal(back->linear, block->linear);
        assert_int_equal(back->op_count, block->op_count);
        assert_int_equal(back->insn_count, block->insn_count);
        assert_memory_equal(back->links, block->links, sizeof block->links);
        for (unsigned i = 0; i < block->op_count; i++)
            assert_same_op(&block->ops[i], &back->ops[i], i);
        for (unsigned i = 0; i < block->insn_count; i++) {
            assert_int_equal(back->insns[i].eip, block->insns[i].eip);
            assert_int_equal(back->insns[i].length, block->insns[i].length);
            assert_int_equal(back->insns[i].row, block->insns[i].row);
            assert_string_equal(back->insns[i].text, block->insns[i].text);
        }
        char *again = print(back);
        assert_string_equal(text, again);
        free(text);
        free(again);
    }
    free(block);
    free(back);
}

static void test_form(void **state)
{
    static const char given[] = "; a comment\n"
                                "block eip=00100000 mode=00001005 count=2\n"
                                "0 00100000+3 add eax, [ebx+8]\n"
                                "\tprobe.4   r [ 8 + ebx ] ; another\n"
                                "    add.4 eax,m\n"
                                "\n"
                                "1 00100003 jnz 00100000\n"
                                "    exit_if.nz 1 {place eflags home}\n"
                                "    exit 0";
    static const char printed[] = "block eip=00100000 mode=00001005 linear=00000000 count=2\n"
                                  "link 0 forward 00000000\n"
                                  "link 1 forward 00000000\n"
                                  "0 00100000+3 add eax, [ebx+8]\n"
                                  "    probe.4 r [ebx+8]\n"
                                  "    add.4 eax, m\n"
                                  "1 00100003 jnz 00100000\n"
                                  "    exit_if.nz 1 {place eflags home}\n"
                                  "    exit 0\n";
    struct ir_block *block = malloc(sizeof *block);
    char message[256] = "";
    if (!ir_parse(block, given, message, sizeof message))
        fail_msg("%s", message);
    char *text = print(block);
    assert_string_equal(text, printed);
    free(text);
    free(block);
}

static void test_form_of_branches(void **state)
{
    static const char *const texts[] = {
        "link 0 forward 00000100\nlink 1 forward 00000005\n0 00000000\n    exit 0 call {place home}\n",
        "link 1 other_page 00001000\n0 00000000\n    exit_indirect eax call\n",
        "0 00000000\n    exit_indirect t0 return {place eflags home}\n",
    };
    struct ir_block *block = malloc(sizeof *block);
    char message[256] = "", given[300];

    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        snprintf(given, sizeof given, "block eip=00000000 mode=00000000 linear=00000000 count=1\n%s", texts[i]);
        if (!ir_parse(block, given, message, sizeof message))
            fail_msg("%s", message);
        char *text = print(block);
        assert_string_equal(text, given);
        free(text);
    }
    free(block);
}

static void test_form_of_fpu_ops(void **state)
{
    static const char text[] = "block eip=00000000 mode=00000000 linear=00000000 count=1\n"
                               "0 00000000 x\n"
                               "    probe.16.fpu_aligned r [ebx+8]\n"
                               "    fpu.4 none, m {sse 66 1 58 0b xmm_read 2 xmm_written 2} {recipe home}\n"
                               "    probe.10.fpu w [t0]\n"
                               "    fpu m, none {x87 0 0 db 3f pointers 33f es}\n"
                               "    fpu.2 ax, none {x87 0 0 df e0}\n"
                               "    fpu.4 none, edx {sse_mmx 0 1 c4 c2 imm 2 rm}\n"
                               "    fpu.4 ecx, none {mmx 0 1 d7 c9 reg}\n"
                               "    fpu none, none {mmx 0 1 77 none}\n"
                               "    fpu none, none {sse 0 1 2e ca sets_flags xmm_read 6}\n"
                               "    fpu none, none {x87 0 0 da c1 reads_flags pointers 2c1}\n";
    static const char printed_last[] = "    fpu none, none {x87 0 0 da c1 pointers 2c1 reads_flags}\n";
    struct ir_block *block = malloc(sizeof *block);
    char message[256];
    if (!ir_parse(block, text, message, sizeof message))
        fail_msg("%s", message);
    assert_int_equal(block->ops[0].size, 16);
    assert_int_equal(block->ops[0].probe, IR_PROBE_FPU_ALIGNED);
    assert_int_equal(block->ops[2].probe, IR_PROBE_FPU);
    assert_int_equal(block->ops[3].dst.kind, IR_VALUE_MEM);
    assert_int_equal(block->ops[3].a.kind, IR_VALUE_NONE);
    assert_int_equal(block->ops[5].fpu.immediate, 2);
    assert_true(block->ops[5].fpu.rm_is_gpr && block->ops[6].fpu.reg_is_gpr);
    assert_int_equal(block->ops[8].fpu.xmm_read, 6);
    char *again = print(block);
    size_t same = sizeof text - sizeof printed_last; /* the words of the last line come in another order */
    assert_memory_equal(again, text, same);
    assert_string_equal(again + same, printed_last);
    free(again);
    free(block);
}

static void test_ops_that_recipes_name_show_their_number(void **state)
{
    struct ir_block *block = malloc(sizeof *block);
    char message[256];
    assert_true(
        ir_parse(block, "block\n0 0 x\n cmp.4 eax, 5\n probe.4 r [ebx] {recipe 0}\n exit 0", message, sizeof message));
    assert_int_equal(block->ops[1].recipe, 0);
    char *text = print(block);
    assert_non_null(strstr(text, "cmp.4 eax, 5 ; op 0\n"));
    free(text);
    free(block);
}

/* ---- errors ---- */

static void test_errors(void **state)
{
    static const struct {
        const char *text, *message;
    } cases[] = {
        {"", "no block"},
        {"\n; nothing\n", "no block"},
        {"bloc\n", "line 1: 'block' expected"},
        {"block eip=1 color=2\n", "unknown word"},
        {"block eip=100000000\n", "bad number"},
        {"block count=2\n0 0 x\n", "2 instructions announced, 1 there"},
        {"block\n1 0 x\n", "instruction 0 expected"},
        {"block\n0 zz x\n", "number expected"},
        {"block\n0 0 x\n  frob.4 eax\n", "line 3: unknown op 'frob'"},
        {"block\n0 0 x\n  mov.4 eax\n", "',' expected"},
        {"block\n0 0 x\n  mov.4 eax,\n", "operand expected"},
        {"block\n0 0 x\n  mov.4 eax, ebx, ecx\n", "more than the op"},
        {"block\n0 0 x\n  mov.4 ax, ebx\n", "'ax' is no operand of 4 bytes"},
        {"block\n0 0 x\n  mov.2 ah, bx\n", "'ah' is no operand of 2 bytes"},
        {"block\n0 0 x\n  mov.1 al, bx\n", "'bx' is no operand of 1 bytes"},
        {"block\n0 0 x\n  mov.4 t256, eax\n", "bad temp"},
        {"block\n0 0 x\n  mov.4 t1x, eax\n", "bad temp"},
        {"block\n0 0 x\n  mov.4 eax, 0x1ffffffff\n", "bad number"},
        {"block\n0 0 x\n  mov.4 eax, -0x80000001\n", "bad number"},
        {"block\n0 0 x\n  mov.4 eax, 12q\n", "bad number"},
        {"block\n0 0 x\n  mov.999 eax, ebx\n", "bad number"},
        {"block\n0 0 x\n  setcc al\n", "'.' expected"},
        {"block\n0 0 x\n  setcc.xx.1 al\n", "condition expected"},
        {"block\n0 0 x\n  movzx.4 eax, bl\n", "'.' expected"},
        {"block\n0 0 x\n  probe.4 x [eax]\n", "r, w or rw expected"},
        {"block\n0 0 x\n  probe.4 r eax\n", "'[' expected"},
        {"block\n0 0 x\n  probe.4.odd r [eax]\n", "kind of probe expected"},
        {"block\n0 0 x\n  probe.4. r [eax]\n", "kind of probe expected"},
        {"block\n0 0 x\n  fpu.4 none {x87 0 0 d9 e8}\n", "',' expected"},
        {"block\n0 0 x\n  fpu.4 none, non {x87 0 0 d9 e8}\n", "'non' is no operand"},
        {"block\n0 0 x\n  fpu none, none\n", "'{' expected"},
        {"block\n0 0 x\n  fpu none, none {avx 0 0 d9 e8}\n", "unit expected"},
        {"block\n0 0 x\n  fpu none, none {x87 0 4 d9 e8}\n", "bad number"},
        {"block\n0 0 x\n  fpu none, none {x87 0 0 1d9 e8}\n", "bad number"},
        {"block\n0 0 x\n  fpu none, none {x87 0 0 d9 e8\n", "unknown word in an encoding"},
        {"block\n0 0 x\n  fpu none, none {x87 0 0 d9 e8 regs}\n", "unknown word in an encoding"},
        {"block\n0 0 x\n  fpu none, none {x87 0 0 d9 e8 imm}\n", "number expected"},
        {"block\n0 0 x\n  fpu none, none {x87 0 0 d9}\n", "number expected"},
        {"block\n0 0 x\n  fpu none, none {x87 0 0 d9 e8 pointers}\n", "number expected"},
        {"block\n0 0 x\n  fpu none, none {x87 0 0 d9 e8 pointers 1 hs}\n", "unknown word in an encoding"},
        {"block\n0 0 x\n  fpu none, none {sse 0 1 10 c1 xmm_read 10000}\n", "bad number"},
        {"block\n0 0 x\n  probe.4 r [eax\n", "'+' expected"},
        {"block\n0 0 x\n  probe.4 r [eax+\n", "register expected"},
        {"block\n0 0 x\n  probe.4 r [eax*3]\n", "scale must be"},
        {"block\n0 0 x\n  probe.4 r [eax+ebx+ecx]\n", "too many registers"},
        {"block\n0 0 x\n  probe.4 r [eax-ebx]\n", "number expected"},
        {"block\n0 0 x\n  probe.4 r [ax]\n", "register expected"},
        {"block\n0 0 x\n  segment.4 t0, xs.4 r [eax]\n", "segment expected"},
        {"block\n0 0 x\n  exit 2\n", "bad number"},
        {"block\n0 0 x\n  exit_loop.4 round 1\n", "kind of loop expected"},
        {"block\n0 0 x\n  raise 256\n", "bad number"},
        {"block\n0 0 x\n  clc {color}\n", "unknown note"},
        {"block\n0 0 x\n  recompute {recipe 1}\n", "recipe 1 is no op"},
        {"block\n0 0 x\n  recompute {recipe 0\n", "'}' expected"},
        {"block\nlink 2 forward 0\n", "bad number"},
        {"block\nlink 1 sideward 0\n", "kind of link expected"},
        {"block\nlink 1 forward\n", "number expected"},
        {"block\n0 0 x\n  abcdefghijklmnopqrstuvwxyz\n", "word too long"},
    };
    struct ir_block *block = malloc(sizeof *block);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char message[256] = "";
        if (ir_parse(block, cases[i].text, message, sizeof message) || !strstr(message, cases[i].message))
            fail_msg("case %zu: message '%s', not '%s'", i, message, cases[i].message);
        char tiny[4]; /* and the message may be cut anywhere */
        assert_false(ir_parse(block, cases[i].text, tiny, sizeof tiny));
        assert_true(strlen(tiny) < sizeof tiny);
    }
    free(block);
}

static void test_too_many(void **state)
{
    struct ir_block *block = malloc(sizeof *block);
    char message[256], *text = NULL;
    size_t size;
    FILE *out = open_memstream(&text, &size);
    fputs("block\n0 0 x\n", out);
    for (unsigned i = 0; i < IR_MAX_OPS + 1; i++)
        fputs("clc\n", out);
    fclose(out);
    assert_false(ir_parse(block, text, message, sizeof message));
    assert_non_null(strstr(message, "too many ops"));
    free(text);
    out = open_memstream(&text, &size);
    fputs("block\n", out);
    for (unsigned i = 0; i < IR_MAX_INSNS + 1; i++)
        fprintf(out, "%u 0 x\n", i);
    fclose(out);
    assert_false(ir_parse(block, text, message, sizeof message));
    free(text);
    free(block);
}

/* ---- noise ---- */

static uint32_t next_random(uint64_t *random)
{
    *random = *random * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(*random >> 33);
}

/* Half-sensible lines from pieces, with characters changed: no crash, and what is accepted prints and verifies or not,
 * but without a crash too. */
static void test_noise(void **state)
{
    static const char *const pieces[] = {
        "block ",
        "eip=",
        "mode=1 ",
        "count=1",
        "\n",
        "0 00001000 nop",
        "\n",
        "1 0+3/4 x",
        "link 0 forward 0",
        " ",
        ".4",
        ".2",
        ".1",
        ".8",
        ", ",
        "[",
        "]",
        "eax",
        "ax",
        "al",
        "ah",
        "t0",
        "t1",
        "t255",
        "t999",
        "m",
        "5",
        "-0x80",
        "*4",
        "+",
        "-",
        "r",
        "w",
        "rw",
        "ds.4",
        ".nz",
        "{recipe 0}",
        "{place eflags}",
        "{",
        "}",
        ";",
        "lock ",
        "\t",
        "leaves",
        "none, ",
        "{sse 66 1 10 c1 ",
        "{x87 0 0 d8 5 ",
        "rm ",
        "xmm_read 3",
        ".fpu",
        "count",
        "4294967296",
        "\r\n",
    };
    struct ir_block *block = malloc(sizeof *block);
    uint64_t random = 7;
    unsigned accepted = 0;
    for (unsigned round = 0; round < 60000; round++) {
        char text[512], message[128];
        size_t length = 0;
        if (next_random(&random) % 8)
            length = (size_t)snprintf(text, sizeof text, "block\n0 0 x\n");
        unsigned count = next_random(&random) % 24;
        for (unsigned i = 0; i < count && length < sizeof text - 40; i++) {
            bool op = next_random(&random) % 4 == 0;
            const char *piece = op ? ir_op_table[next_random(&random) % IR_OPCODE_COUNT].name
                                   : pieces[next_random(&random) % (sizeof pieces / sizeof pieces[0])];
            length += (size_t)snprintf(text + length, sizeof text - length, "%s%s", op ? "\n" : "", piece);
        }
        text[length] = '\0';
        if (length && next_random(&random) % 3 == 0)
            text[next_random(&random) % length] = (char)(1 + next_random(&random) % 255);
        if (ir_parse(block, text, message, sizeof message)) {
            accepted++;
            free(print(block));
            ir_verify(block, false, message, sizeof message);
            ir_verify(block, true, message, sizeof message);
        }
    }
    assert_true(accepted > 100);
    for (unsigned round = 0; round < 20000; round++) {
        char text[64], message[64];
        size_t length = next_random(&random) % sizeof text;
        for (size_t i = 0; i < length; i++)
            text[i] = (char)next_random(&random);
        text[length ? length - 1 : 0] = '\0';
        ir_parse(block, text, message, sizeof message);
    }
    free(block);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_round_trip_of_every_op),
        cmocka_unit_test(test_form),
        cmocka_unit_test(test_form_of_branches),
        cmocka_unit_test(test_form_of_fpu_ops),
        cmocka_unit_test(test_ops_that_recipes_name_show_their_number),
        cmocka_unit_test(test_errors),
        cmocka_unit_test(test_too_many),
        cmocka_unit_test(test_noise),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

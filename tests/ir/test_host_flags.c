/* The flag columns of ops.def against the processor this runs on: each op's instruction is executed with all 64 values
 * of the arithmetic flags, and what comes out must depend on no more than the table says, and change no less. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "ir/ir.h"

#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

enum { OPERAND_SETS = 24, COUNT_CL = 0 };

/* What the machine code loads and stores; the offsets are in the code below. */
struct state {
    uint64_t rax, rcx, rdx, rbx, flags;
    uint64_t memory[2]; /* +40 */
};

struct fixture {
    uint8_t *code;
    uint64_t random;
};

static uint32_t next_random(struct fixture *f)
{
    f->random = f->random * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(f->random >> 32);
}

/* ---- machine code for an op: dst in EBX, a in ECX (the bits of a double shift: EDX) ---- */

struct bytes {
    uint8_t data[16];
    unsigned size;
};

static void put(struct bytes *b, unsigned byte)
{
    b->data[b->size++] = (uint8_t)byte;
}

static void put_modrm(struct bytes *b, unsigned reg, unsigned rm)
{
    put(b, 0xc0 | reg << 3 | rm);
}

/* An opcode of byte width, plus 1 for the wider forms, then ModRM. */
static void put_sized(struct bytes *b, unsigned opcode, unsigned width, unsigned reg, unsigned rm)
{
    if (opcode > 0xff)
        put(b, opcode >> 8);
    put(b, (opcode & 0xff) | (width > 1));
    put_modrm(b, reg, rm);
}

static void put_two_byte(struct bytes *b, unsigned opcode, unsigned reg, unsigned rm)
{
    put(b, 0x0f);
    put(b, opcode);
    put_modrm(b, reg, rm);
}

enum { EAX, ECX, EDX, EBX };

/* False: the op has no instruction of its own. */
static bool encode(const struct ir_op *op, struct bytes *b)
{
    static const uint8_t bit_opcodes[] = {0xa3, 0xab, 0xb3, 0xbb};
    static const uint8_t shift_extensions[] = {4, 5, 7, 0, 1, 2, 3};
    unsigned opcode = op->opcode, width = op->width;
    b->size = 0;
    if (width == 2)
        put(b, 0x66);
    if (opcode >= IR_ADD && opcode <= IR_CMP) {
        put_sized(b, (opcode - IR_ADD) * 8, width, ECX, EBX);
        return true;
    }
    if (opcode >= IR_SHL && opcode <= IR_RCR) {
        bool fixed = op->a.kind == IR_VALUE_CONST;
        put_sized(b, fixed ? 0xc0 : 0xd2, width, shift_extensions[opcode - IR_SHL], EBX);
        if (fixed)
            put(b, (unsigned)op->a.value);
        return true;
    }
    if (opcode >= IR_BT && opcode <= IR_BTC) {
        put_two_byte(b, bit_opcodes[opcode - IR_BT], ECX, EBX);
        return true;
    }
    if (opcode >= IR_MUL1 && opcode <= IR_IDIV) {
        put_sized(b, 0xf6, width, 4 + opcode - IR_MUL1, EBX);
        return true;
    }
    switch (opcode) {
    case IR_MOV:
        put_sized(b, 0x88, width, ECX, EBX);
        return true;
    case IR_MOVZX:
    case IR_MOVSX:
        put_two_byte(b, (opcode == IR_MOVZX ? 0xb6 : 0xbe) | (op->narrow == 2), EBX, ECX);
        return true;
    case IR_LEA:
        put(b, 0x8d);
        put(b, 0x5c); /* [rcx+rax+8] */
        put(b, 0x01);
        put(b, 0x08);
        return true;
    case IR_XCHG:
        put_sized(b, 0x86, width, ECX, EBX);
        return true;
    case IR_BSWAP:
        put(b, 0x0f);
        put(b, 0xc8 + EBX);
        return true;
    case IR_CDQ:
        put(b, 0x99);
        return true;
    case IR_CMOV:
        put_two_byte(b, 0x40 + op->condition, EBX, ECX);
        return true;
    case IR_SETCC:
        put_two_byte(b, 0x90 + op->condition, 0, EBX);
        return true;
    case IR_TEST:
        put_sized(b, 0x84, width, ECX, EBX);
        return true;
    case IR_INC:
    case IR_DEC:
        put_sized(b, 0xfe, width, opcode - IR_INC, EBX);
        return true;
    case IR_NOT:
    case IR_NEG:
        put_sized(b, 0xf6, width, 2 + opcode - IR_NOT, EBX);
        return true;
    case IR_SHLD:
    case IR_SHRD: {
        bool fixed = op->b.kind == IR_VALUE_CONST;
        put_two_byte(b, (opcode == IR_SHLD ? 0xa4 : 0xac) | !fixed, EDX, EBX);
        if (fixed)
            put(b, (unsigned)op->b.value);
        return true;
    }
    case IR_IMUL:
        put_two_byte(b, 0xaf, EBX, ECX);
        return true;
    case IR_IMUL3:
        put(b, 0x6b);
        put_modrm(b, EBX, ECX);
        put(b, 0x75);
        return true;
    case IR_BSF:
    case IR_BSR:
        put_two_byte(b, 0xbc + opcode - IR_BSF, EBX, ECX);
        return true;
    case IR_XADD:
        put(b, 0x0f);
        put_sized(b, 0xc0, width, ECX, EBX);
        return true;
    case IR_CMPXCHG:
        put(b, 0x0f);
        put_sized(b, 0xb0, width, ECX, EBX);
        return true;
    case IR_CMPXCHG8B:
        put(b, 0x0f);
        put(b, 0xc7);
        put(b, 0x4f); /* [rdi+40] */
        put(b, 40);
        return true;
    case IR_CLC:
        put(b, 0xf8);
        return true;
    case IR_STC:
        put(b, 0xf9);
        return true;
    case IR_CMC:
        put(b, 0xf5);
        return true;
    case IR_LAHF:
        put(b, 0x9f);
        return true;
    case IR_SAHF:
        put(b, 0x9e);
        return true;
    default:
        return false;
    }
}

/* void code(struct state *): loads registers and flags, executes, stores. */
static void install(struct fixture *f, const struct bytes *op)
{
    static const uint8_t before[] = {
        0x53,                   /* push rbx */
        0x49, 0x89, 0xf8,       /* mov r8, rdi */
        0x41, 0xff, 0x70, 0x20, /* push qword [r8+32] */
        0x9d,                   /* popfq */
        0x49, 0x8b, 0x00,       /* mov rax, [r8] */
        0x49, 0x8b, 0x48, 0x08, /* mov rcx, [r8+8] */
        0x49, 0x8b, 0x50, 0x10, /* mov rdx, [r8+16] */
        0x49, 0x8b, 0x58, 0x18, /* mov rbx, [r8+24] */
    };
    static const uint8_t after[] = {
        0x49, 0x89, 0x00,       /* mov [r8], rax */
        0x49, 0x89, 0x48, 0x08, /* mov [r8+8], rcx */
        0x49, 0x89, 0x50, 0x10, /* mov [r8+16], rdx */
        0x49, 0x89, 0x58, 0x18, /* mov [r8+24], rbx */
        0x9c,                   /* pushfq */
        0x41, 0x8f, 0x40, 0x20, /* pop qword [r8+32] */
        0x5b,                   /* pop rbx */
        0xc3,                   /* ret */
    };
    assert_int_equal(mprotect(f->code, 4096, PROT_READ | PROT_WRITE), 0);
    memcpy(f->code, before, sizeof before);
    memcpy(f->code + sizeof before, op->data, op->size);
    memcpy(f->code + sizeof before + op->size, after, sizeof after);
    assert_int_equal(mprotect(f->code, 4096, PROT_READ | PROT_EXEC), 0);
}

/* ---- flags: the IR's set and EFLAGS ---- */

static uint64_t to_eflags(unsigned set)
{
    return 0x202u | (set & ~IRF_O) | (set & IRF_O ? 0x800u : 0);
}

static unsigned from_eflags(uint64_t eflags)
{
    return (unsigned)(eflags & (IRF_ALL & ~IRF_O)) | (eflags & 0x800 ? IRF_O : 0);
}

/* Set number 0..63. */
static unsigned flag_set(unsigned number)
{
    static const uint8_t flags[6] = {IRF_C, IRF_O, IRF_P, IRF_A, IRF_Z, IRF_S};
    unsigned set = 0;
    for (unsigned i = 0; i < 6; i++)
        set |= number >> i & 1 ? flags[i] : 0;
    return set;
}

static struct state run(struct fixture *f, const struct state *operands, unsigned flags)
{
    struct state state = *operands;
    state.flags = to_eflags(flags);
    ((void (*)(struct state *))(uintptr_t)f->code)(&state);
    state.flags = from_eflags(state.flags);
    return state;
}

/* ---- what the processor does with flags ---- */

struct observed {
    unsigned kept;     /* came out as it went in, for both values, for some operands */
    unsigned defined;  /* came out the same for both values, for some operands */
    unsigned inputs;   /* another flag or a register came out differently because of it */
    unsigned inverted; /* came out as the opposite of what it was */
};

static struct state random_operands(struct fixture *f, const struct ir_op *op)
{
    struct state s = {next_random(f), next_random(f), next_random(f), next_random(f), 0, {0}};
    if (next_random(f) % 4 == 0)
        s.rbx = s.rcx; /* equal operands */
    if (next_random(f) % 4 == 0)
        s.rcx = 0;
    if (op->opcode == IR_DIV || op->opcode == IR_IDIV) { /* no #DE */
        s.rdx = 0;
        s.rax &= op->width == 1 ? 0x3f : op->width == 2 ? 0x3fff : 0x3fffffff;
        s.rbx = (s.rbx & 0x3f) | 1;
    }
    if (op->opcode == IR_CMPXCHG && next_random(f) % 2)
        s.rax = s.rbx;
    if (op->opcode == IR_CMPXCHG8B) {
        s.memory[0] = next_random(f) % 2 ? s.rdx << 32 | s.rax : next_random(f);
    }
    return s;
}

static bool same_registers(const struct state *x, const struct state *y)
{
    return x->rax == y->rax && x->rcx == y->rcx && x->rdx == y->rdx && x->rbx == y->rbx && x->memory[0] == y->memory[0];
}

static void observe(struct fixture *f, const struct ir_op *op, struct observed *seen)
{
    struct bytes bytes;
    memset(seen, 0, sizeof *seen);
    assert_true(encode(op, &bytes));
    install(f, &bytes);
    for (unsigned set = 0; set < OPERAND_SETS; set++) {
        struct state operands = random_operands(f, op);
        for (unsigned number = 0; number < 64; number++) {
            for (unsigned bit = 0; bit < 6; bit++) {
                unsigned flag = flag_set(1u << bit);
                if (number >> bit & 1)
                    continue;
                struct state clear = run(f, &operands, flag_set(number));
                struct state with = run(f, &operands, flag_set(number) | flag);
                if ((clear.flags ^ with.flags) & ~flag || !same_registers(&clear, &with))
                    seen->inputs |= flag;
                if ((clear.flags & flag) == (with.flags & flag))
                    seen->defined |= flag;
                else if (with.flags & flag)
                    seen->kept |= flag;
                else
                    seen->inverted |= flag;
            }
        }
    }
}

/* Flags that the manual leaves undefined (Intel SDM vol. 2, at each instruction). */
static unsigned undefined_flags(const struct ir_op *op, uint8_t **kept_of_host, struct ir_host_flags *host)
{
    *kept_of_host = NULL;
    switch (op->opcode) {
    case IR_SHL:
    case IR_SHR:
    case IR_SAR:
        *kept_of_host = &host->shift_kept;
        return IRF_A | (op->a.kind == IR_VALUE_CONST && op->a.value == 1 ? 0 : IRF_O | IRF_C);
    case IR_ROL:
    case IR_ROR:
    case IR_RCL:
    case IR_RCR:
        *kept_of_host = &host->rotate_kept;
        return op->a.kind == IR_VALUE_CONST && op->a.value == 1 ? 0 : IRF_O;
    case IR_SHLD:
    case IR_SHRD:
        *kept_of_host = &host->double_kept;
        return op->b.kind == IR_VALUE_CONST && op->b.value == 1 ? IRF_A : IRF_A | IRF_O;
    case IR_IMUL:
    case IR_IMUL3:
    case IR_MUL1:
    case IR_IMUL1:
        *kept_of_host = &host->multiply_kept;
        return IRF_S | IRF_Z | IRF_A | IRF_P;
    case IR_DIV:
    case IR_IDIV:
        *kept_of_host = &host->divide_kept;
        return IRF_ALL;
    case IR_BSF:
    case IR_BSR:
        *kept_of_host = &host->scan_kept;
        return IRF_ALL & ~IRF_Z;
    case IR_BT:
    case IR_BTS:
    case IR_BTR:
    case IR_BTC:
        *kept_of_host = &host->bit_kept;
        return IRF_O | IRF_S | IRF_A | IRF_P;
    case IR_AND:
    case IR_OR:
    case IR_XOR:
    case IR_TEST:
        return IRF_A;
    default:
        return 0;
    }
}

static bool takes_width(unsigned opcode, unsigned width)
{
    switch (opcode) {
    case IR_MOVZX:
    case IR_MOVSX:
    case IR_LEA:
    case IR_CDQ:
    case IR_CMOV:
    case IR_SHLD:
    case IR_SHRD:
    case IR_IMUL:
    case IR_IMUL3:
    case IR_BT:
    case IR_BTS:
    case IR_BTR:
    case IR_BTC:
    case IR_BSF:
    case IR_BSR:
        return width > 1;
    case IR_BSWAP:
        return width == 4;
    case IR_SETCC:
        return width == 1;
    default:
        return true;
    }
}

/* Calls VISIT for all forms of all ops that are instructions. */
static void for_each_form(struct fixture *f, void (*visit)(struct fixture *f, struct ir_op *op, void *opaque),
                          void *opaque)
{
    static const uint8_t counts[] = {COUNT_CL, 1, 2, 7, 8, 9, 15, 16, 17, 31};
    for (unsigned opcode = 0; opcode < IR_OPCODE_COUNT; opcode++) {
        const struct ir_op_info *info = &ir_op_table[opcode];
        for (unsigned width = 1; width <= 4; width *= 2) {
            struct bytes bytes;
            struct ir_op op = {.opcode = (uint8_t)opcode, .width = (uint8_t)width, .narrow = 1};
            if (!takes_width(opcode, width) || !encode(&op, &bytes))
                continue;
            unsigned conditions = info->effects & EFFECT_CONDITION ? 16 : 1;
            unsigned shifts = info->effects & EFFECT_SHIFT ? sizeof counts : 1;
            for (unsigned i = 0; i < conditions * shifts; i++) {
                op.condition = (uint8_t)(conditions > 1 ? i : 0);
                if (shifts > 1) {
                    struct ir_value count = counts[i] == COUNT_CL ? ir_guest(1) : ir_const(counts[i]);
                    if (info->shape == IR_SHAPE_UPDATE_A_B) {
                        if (count.kind == IR_VALUE_CONST && count.value > 8 * (int)width)
                            continue; /* all is undefined */
                        op.a = ir_guest(2);
                        op.b = count;
                    } else {
                        op.a = count;
                    }
                }
                visit(f, &op, opaque);
            }
        }
    }
}

static void describe(char *text, size_t size, const struct ir_op *op, const char *what, unsigned flags)
{
    int count = op->b.kind == IR_VALUE_CONST ? op->b.value : op->a.value;
    snprintf(text, size, "%s.%u (count or constant %d, condition %u): flags %02x %s", ir_op_table[op->opcode].name,
             op->width, count, op->condition, flags, what);
}

static void expect_none(const struct ir_op *op, const char *what, unsigned flags)
{
    char text[200];
    if (flags) {
        describe(text, sizeof text, op, what, flags);
        fail_msg("%s", text);
    }
}

/* ---- tests ---- */

struct host_probe {
    struct ir_host_flags host;
    struct observed divide;
};

/* What a host keeps of flags that the manual calls undefined; others may not be kept. */
static void find_kept(struct fixture *f, struct ir_op *op, void *opaque)
{
    struct host_probe *probe = opaque;
    struct observed seen;
    uint8_t *kept;
    observe(f, op, &seen);
    unsigned undefined = undefined_flags(op, &kept, &probe->host);
    unsigned written = ir_op_table[op->opcode].written;
    bool by_cl =
        ir_op_table[op->opcode].effects & EFFECT_SHIFT && op->a.kind != IR_VALUE_CONST && op->b.kind != IR_VALUE_CONST;
    if (op->opcode == IR_DIV || op->opcode == IR_IDIV) {
        probe->host.divide_writes |= seen.defined != 0;
        probe->divide.kept |= seen.kept;
        probe->divide.defined |= seen.defined;
        return;
    }
    if (by_cl)
        return; /* a count of 0 keeps all */
    /* A flag that the op reads may come out as it was because of that (RCL by the width plus 1). */
    unsigned kept_here = seen.kept & written & ~ir_op_table[op->opcode].read;
    expect_none(op, "are defined by the manual, but kept by the host", kept_here & ~undefined);
    if (kept)
        *kept |= (uint8_t)kept_here;
}

static void probe_host(struct fixture *f, struct host_probe *probe)
{
    memset(probe, 0, sizeof *probe);
    for_each_form(f, find_kept, probe);
    if (probe->host.divide_writes)
        probe->host.divide_kept = (uint8_t)probe->divide.kept;
}

static void test_flags_kept_are_undefined_ones(void **state)
{
    struct host_probe probe;
    probe_host(*state, &probe);
    print_message("kept: shift %02x rotate %02x double %02x multiply %02x scan %02x bit %02x divide %02x%s\n",
                  probe.host.shift_kept, probe.host.rotate_kept, probe.host.double_kept, probe.host.multiply_kept,
                  probe.host.scan_kept, probe.host.bit_kept, probe.host.divide_kept,
                  probe.host.divide_writes ? "" : " (all)");
}

static void check_form(struct fixture *f, struct ir_op *op, void *opaque)
{
    const struct host_probe *probe = opaque;
    struct observed seen;
    observe(f, op, &seen);
    ir_op_flags(op, &probe->host);
    expect_none(op, "matter, but are not in `read`", seen.inputs & ~op->read);
    expect_none(op, "are kept, but in `written` only", seen.kept & op->written & ~op->read);
    expect_none(op, "are inverted, but not in `read`", seen.inverted & ~op->read);
    expect_none(op, "change, but are neither in `written` nor in `read`", seen.defined & ~op->written & ~op->read);
}

static void test_columns_written_and_read(void **state)
{
    struct host_probe probe;
    probe_host(*state, &probe);
    for_each_form(*state, check_form, &probe);
}

/* What an op is said to read must matter for some operands: else flags are kept alive for nothing. */
static void check_nothing_too_much(struct fixture *f, struct ir_op *op, void *opaque)
{
    const struct ir_host_flags none = {0};
    struct observed seen;
    observe(f, op, &seen);
    ir_op_flags(op, &none);
    expect_none(op, "are in `read`, but do not matter", op->read & ~(seen.inputs | seen.kept | seen.inverted));
}

static void test_nothing_is_read_for_nothing(void **state)
{
    for_each_form(*state, check_nothing_too_much, NULL);
}

/* The constants pass makes a known CL a fixed count, for shifts always, else for 1 only: flags that the manual calls
 * undefined must come out the same. */
static void check_fixed_count(struct fixture *f, unsigned opcode, unsigned width, unsigned count)
{
    bool twice = ir_op_table[opcode].shape == IR_SHAPE_UPDATE_A_B;
    struct ir_op op = {.opcode = (uint8_t)opcode, .width = (uint8_t)width};
    struct state operands[16], by_cl[16];
    struct bytes bytes;
    *(twice ? &op.b : &op.a) = ir_guest(1);
    assert_true(encode(&op, &bytes));
    install(f, &bytes);
    for (unsigned i = 0; i < 16; i++) {
        operands[i] = random_operands(f, &op);
        operands[i].rcx = count | (next_random(f) & 0xffffff00);
        by_cl[i] = run(f, &operands[i], flag_set(i * 5 % 64));
    }
    *(twice ? &op.b : &op.a) = ir_const((int32_t)count);
    assert_true(encode(&op, &bytes));
    install(f, &bytes);
    for (unsigned i = 0; i < 16; i++) {
        struct state fixed = run(f, &operands[i], flag_set(i * 5 % 64));
        if (fixed.flags != by_cl[i].flags || fixed.rbx != by_cl[i].rbx) {
            fail_msg("%s.%u by %u: flags %02x by CL, %02x by a fixed count", ir_op_table[opcode].name, width, count,
                     (unsigned)by_cl[i].flags, (unsigned)fixed.flags);
        }
    }
}

static void test_fixed_count_and_cl_give_the_same_flags(void **state)
{
    for (unsigned opcode = IR_SHL; opcode <= IR_SHRD; opcode++) {
        bool shift = opcode <= IR_SAR, twice = ir_op_table[opcode].shape == IR_SHAPE_UPDATE_A_B;
        for (unsigned width = twice ? 2 : 1; width <= 4; width *= 2) {
            for (unsigned count = 1; count <= (shift ? 31u : 1u); count++)
                check_fixed_count(*state, opcode, width, count);
        }
    }
}

static void test_conditions_read_what_they_need(void **state)
{
    for (unsigned condition = 0; condition < 16; condition++) {
        struct ir_op op = {.opcode = IR_SETCC, .width = 1, .condition = (uint8_t)condition};
        struct observed seen;
        observe(*state, &op, &seen);
        assert_int_equal(ir_condition_flags(condition), seen.inputs);
    }
}

static int setup(void **state)
{
    static struct fixture fixture;
    fixture.random = 1;
    fixture.code = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    *state = &fixture;
    return fixture.code == MAP_FAILED ? -1 : 0;
}

static int teardown(void **state)
{
    return munmap(((struct fixture *)*state)->code, 4096);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_flags_kept_are_undefined_ones),
        cmocka_unit_test(test_columns_written_and_read),
        cmocka_unit_test(test_nothing_is_read_for_nothing),
        cmocka_unit_test(test_fixed_count_and_cl_give_the_same_flags),
        cmocka_unit_test(test_conditions_read_what_they_need),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}

/* Where flags go and how they come back: parking, recomputing, and what the host does with undefined ones. */
#include "code_harness.h"

static const uint32_t all_flags = FLAG_ARITHMETIC;

/* Bits 0..5 of COMBINATION as CF PF AF ZF SF OF. */
static uint32_t combination_flags(unsigned combination)
{
    static const uint32_t flags[6] = {FLAG_CF, FLAG_PF, FLAG_AF, FLAG_ZF, FLAG_SF, FLAG_OF};
    uint32_t set = 0;

    for (unsigned i = 0; i < 6; i++)
        if (combination >> i & 1)
            set |= flags[i];
    return set;
}

/* ---- parking ---- */

static void check_round_trip(struct harness *h, unsigned scratch)
{
    struct emitter *e = &h->emitter;
    uint32_t start = e->position = (e->position + 15) & ~15u;

    emit_unpark(e, scratch, h->host_lahf);
    emit_store_immediate(e, 2, rm_base(R15, NATIVE_OFFSET(state.arithmetic_flags)), 0x5555);
    emit_park(e, scratch, h->host_lahf);
    emit_store_immediate(e, 4, rm_base(R15, NATIVE_OFFSET(state.dr[0])), 1);      /* flags are kept by parking, too: */
    emit_op_extension(e, 1, 0x0f92, 0, rm_base(R15, NATIVE_OFFSET(state.dr[0]))); /* setc */
    emit_op_extension(e, 1, 0x0f94, 0, rm_base(R15, NATIVE_OFFSET(state.dr[0]) + 1)); /* setz */
    emit_op_extension(e, 1, 0x0f98, 0, rm_base(R15, NATIVE_OFFSET(state.dr[0]) + 2)); /* sets */
    emit_op_extension(e, 1, 0x0f90, 0, rm_base(R15, NATIVE_OFFSET(state.dr[0]) + 3)); /* seto */
    emit_mov_immediate(e, 4, R8, 77);
    emit_jmp(e, h->thunks.leave_home);
    h->result->entry_home = start;
    for (unsigned c = 0; c < 64; c++) {
        uint32_t flags = combination_flags(c);

        for (unsigned n = 0; n < 8; n++)
            h->cpu->state.gpr[n] = 0x11223300u + n * 0x01010111u;
        harness_set_flags(h, flags);
        assert_int_equal(harness_run(h), 77);
        assert_int_equal(harness_flags(h), flags);
        for (unsigned n = 0; n < 8; n++)
            assert_int_equal(h->cpu->state.gpr[n], 0x11223300u + n * 0x01010111u);
        uint32_t seen = (uint32_t)h->cpu->state.dr[0];
        assert_int_equal(seen, (flags & FLAG_CF ? 1 : 0) | (flags & FLAG_ZF ? 0x100 : 0) |
                                   (flags & FLAG_SF ? 0x10000 : 0) | (flags & FLAG_OF ? 0x1000000 : 0));
    }
}

static void test_parking(void **state)
{
    for (unsigned lahf = 0; lahf <= (host_has_lahf() ? 1 : 0); lahf++) {
        struct harness *h = harness_create(lahf);

        for (unsigned scratch = R8; scratch <= R11; scratch++)
            check_round_trip(h, scratch);
        harness_destroy(h);
    }
}

/* What the two ways leave at home is the same form: a machine may be saved on one host and go on on another. */
static void test_parked_form(void **state)
{
    for (unsigned lahf = 0; lahf <= (host_has_lahf() ? 1 : 0); lahf++) {
        struct harness *h = harness_create(lahf);

        harness_compile(h, "block eip=1000 mode=05550007\nlink 0 forward 2000\n0 00001000 x\n exit 0 {place eflags}\n",
                        false);
        for (unsigned c = 0; c < 64; c++) {
            harness_set_flags(h, combination_flags(c));
            uint16_t before = h->cpu->state.arithmetic_flags;
            assert_int_equal(harness_run(h), (uintptr_t)LINK_TOKEN(0));
            assert_int_equal(h->cpu->state.arithmetic_flags & 0xd701, before & 0xd701);
            assert_int_equal(harness_flags(h), combination_flags(c));
        }
        harness_destroy(h);
    }
}

/* ---- recomputing ---- */

#define HEAD "block eip=1000 mode=05550007\nlink 0 forward 2000\n0 00001000 x\n"

static const uint32_t edges[] = {0,      1,      2,      0x7f,       0x80,       0xff,       0x100,      0x7fff,
                                 0x8000, 0xffff, 0xf0f0, 0x7fffffff, 0x80000000, 0xffffffff, 0x12345678, 0xfffffffe};
#define EDGES (sizeof edges / sizeof edges[0])

/* What a run leaves: flags and registers. */
struct outcome {
    uint64_t left;
    uint32_t flags;
    uint64_t gpr[8];
};

static void run_one(struct harness *h, const struct codegen_result *code, uint32_t x, uint32_t y, uint32_t flags,
                    uint32_t pointer, struct outcome *outcome)
{
    uint64_t *gpr = h->cpu->state.gpr;

    for (unsigned n = 0; n < 8; n++)
        gpr[n] = n & 1 ? y : x; /* ecx, ebx, ebp, edi: y */
    gpr[GPR_DI] = pointer;
    harness_set_flags(h, flags);
    h->result->entry_home = code->entry_home;
    outcome->left = harness_run(h);
    outcome->flags = harness_flags(h);
    memcpy(outcome->gpr, gpr, sizeof outcome->gpr);
}

/* OPS define flags, RECIPE is the number of the last: plain; recomputed behind an op that clobbers EFLAGS; brought home
 * from out-of-line code when a probe meets a fault; and when it does not but C is called. */
static void check_recipe(struct harness *h, const char *ops, unsigned recipe)
{
    char text[4][512];
    struct codegen_result *code = calloc(4, sizeof *code);

    snprintf(text[0], sizeof text[0], HEAD "%s exit 0 {place eflags}\n", ops);
    snprintf(text[1], sizeof text[1], HEAD "%s cld\n recompute {recipe %u}\n exit 0 {place eflags}\n", ops, recipe);
    snprintf(text[2], sizeof text[2], HEAD "%s probe.4 r [edi] {recipe %u}\n test.4 edi, m\n exit 0 {place eflags}\n",
             ops, recipe);
    snprintf(text[3], sizeof text[3],
             HEAD "%s probe.4 w [edi] {recipe %u}\n recompute {recipe %u}\n mov.4 m, esi\n exit 0 {place eflags}\n",
             ops, recipe, recipe);
    for (unsigned i = 0; i < 4; i++) {
        harness_compile(h, text[i], false);
        code[i] = *h->result;
    }
    for (unsigned i = 0; i < EDGES; i++)
        for (unsigned j = 0; j < EDGES; j++)
            for (unsigned before = 0; before < 2; before++) {
                struct outcome plain, other;
                uint32_t flags = before ? all_flags : 0;

                for (unsigned form = 1; form < 4; form++) {
                    uint32_t pointer = form == 2 ? FAULT_PAGE << 12 : form == 3 ? BOUNCED_PAGE << 12 : 0x4000;

                    run_one(h, &code[0], edges[i], edges[j], flags, pointer, &plain);
                    run_one(h, &code[form], edges[i], edges[j], flags, pointer, &other);
                    if (form == 2)
                        assert_int_equal(other.left, NATIVE_LEAVE_FAULT);
                    if (other.flags != plain.flags || memcmp(other.gpr, plain.gpr, sizeof plain.gpr))
                        fail_msg("form %u of\n%s for %x and %x: flags %03x, should be %03x", form, ops, edges[i],
                                 edges[j], other.flags, plain.flags);
                }
            }
    free(code);
}

static void test_recipes(void **state)
{
    static const char *const names[] = {"cmp", "test", "add", "sub", "and", "or", "xor"};
    static const char *const registers[3][4] = {
        {"al", "cl", "bl", "dl"}, {"ax", "cx", "sp", "bp"}, {"eax", "ebp", "esp", "esi"}};
    static const char *const constants[] = {"0", "1", "-1", "0x7f", "-0x80"};
    static const char *const wide_constants[] = {"0x12345678", "-0x80000000", "0x7fffffff", "0x80"};

    for (unsigned lahf = 0; lahf <= (host_has_lahf() ? 1 : 0); lahf++) {
        struct harness *h = harness_create(lahf);
        char ops[128];

        for (unsigned w = 0; w < 3; w++)
            for (unsigned n = 0; n < sizeof names / sizeof names[0]; n++) {
                for (unsigned x = 0; x < 4; x++)
                    for (unsigned y = 0; y < 4; y++) {
                        if (x == y && n > 1 && n < 4) /* ADD and SUB with themselves are no recipes */
                            continue;
                        snprintf(ops, sizeof ops, " %s.%u %s, %s\n", names[n], 1u << w, registers[w][x],
                                 registers[w][y]);
                        check_recipe(h, ops, 0);
                    }
                for (unsigned c = 0; c < 5; c++) {
                    snprintf(ops, sizeof ops, " %s.%u %s, %s\n", names[n], 1u << w, registers[w][c & 3], constants[c]);
                    check_recipe(h, ops, 0);
                }
                for (unsigned c = 0; c < 4 && w == 2; c++) {
                    snprintf(ops, sizeof ops, " %s.4 %s, %s\n", names[n], registers[w][c], wide_constants[c]);
                    check_recipe(h, ops, 0);
                }
            }
        for (unsigned w = 0; w < 3; w++)
            for (unsigned x = 0; x < 4; x++) {
                snprintf(ops, sizeof ops, " neg.%u %s\n", 1u << w, registers[w][x]);
                check_recipe(h, ops, 0);
            }
        harness_destroy(h);
    }
}

/* INC and DEC keep the carry, which is made from another recipe, nested as deep as they come, or read at home. */
static void test_nested_recipes(void **state)
{
    struct harness *h = harness_create(host_has_lahf());

    check_recipe(h, " cmp.4 ebx, ebp\n inc.4 eax {recipe 0}\n", 1);
    check_recipe(h, " cmp.4 ebx, ecx\n dec.4 eax {recipe 0}\n", 1);
    check_recipe(h, " add.4 ebx, edx\n inc.1 al {recipe 0}\n", 1);
    check_recipe(h, " sub.1 cl, dl\n dec.1 bl {recipe 0}\n", 1);
    check_recipe(h, " sub.4 esp, ecx\n inc.2 ax {recipe 0}\n", 1);
    check_recipe(h, " neg.4 edx\n inc.4 esp {recipe 0}\n", 1);
    check_recipe(h, " sub.4 edx, ebx\n inc.4 eax {recipe 0}\n dec.4 ecx {recipe 1}\n", 2);
    check_recipe(h, " sub.4 edx, ebx\n inc.4 eax {recipe 0}\n dec.2 cx {recipe 1}\n inc.1 al {recipe 2}\n", 3);
    check_recipe(h, " add.2 dx, bx\n dec.4 esi {recipe 0}\n dec.4 ebp {recipe 1}\n inc.4 esp {recipe 2}\n", 3);
    check_recipe(h, " park\n inc.4 eax {recipe home}\n", 1);
    check_recipe(h, " park\n dec.2 cx {recipe home}\n", 1);
    check_recipe(h, " park\n inc.1 dl {recipe home}\n dec.4 esp {recipe 1}\n", 2);
    harness_destroy(h);
}

/* ---- what the host does with flags that the manual calls undefined ---- */

/* Flags that come out differently for different flags before, over many operands. */
static uint8_t find_kept(struct harness *h, const char *op, bool count)
{
    char text[256];
    uint32_t kept = 0;
    uint64_t random = 12345;

    snprintf(text, sizeof text, HEAD " %s\n exit 0 {place eflags}\n", op);
    harness_compile(h, text, false);
    for (unsigned i = 0; i < 500; i++) {
        uint32_t flags[2];

        random = random * 6364136223846793005u + 1442695040888963407u;
        for (unsigned before = 0; before < 2; before++) {
            uint64_t *gpr = h->cpu->state.gpr;

            gpr[GPR_AX] = (uint32_t)(random >> 32) >> (i & 31);
            gpr[GPR_BX] = (uint32_t)(random >> 16) | 1u << (i & 7);
            gpr[GPR_DX] = 0;
            gpr[GPR_CX] = count ? 1 + i % 31 : (uint32_t)(random >> 24);
            harness_set_flags(h, before ? all_flags : 0);
            assert_int_equal(harness_run(h), (uintptr_t)LINK_TOKEN(0));
            flags[before] = harness_flags(h);
        }
        kept |= flags[0] ^ flags[1];
    }
    return (uint8_t)((kept & 0xd5) | (kept & FLAG_OF ? IRF_O : 0));
}

static void check_family(struct harness *h, const char *const *ops, bool count, uint8_t said, uint8_t ignored,
                         const char *family)
{
    uint8_t found = 0;

    for (; *ops; ops++)
        found |= find_kept(h, *ops, count) & (uint8_t)~ignored;
    if (found != said)
        fail_msg("%s: the probe says %02x is kept, running shows %02x", family, said, found);
}

static void test_host_probe(void **state)
{
    static const char *const shifts[] = {
        "shl.4 eax, cl", "shl.2 ax, cl",  "shl.1 al, cl", "shr.4 eax, cl", "shr.2 ax, cl",
        "shr.1 al, cl",  "sar.4 eax, cl", "sar.2 ax, cl", "sar.1 al, cl",  NULL};
    static const char *const constant_shifts[] = {"shl.4 eax, 1", "shl.4 eax, 7",  "shr.2 ax, 9",
                                                  "sar.1 al, 3",  "shr.4 eax, 31", NULL};
    static const char *const rotates[] = {"rol.4 eax, cl",
                                          "rol.2 ax, cl",
                                          "rol.1 al, cl",
                                          "ror.4 eax, cl",
                                          "ror.2 ax, cl",
                                          "ror.1 al, cl",
                                          "rcl.4 eax, cl",
                                          "rcl.2 ax, cl",
                                          "rcl.1 al, cl",
                                          "rcr.4 eax, cl",
                                          "rcr.2 ax, cl",
                                          "rcr.1 al, cl",
                                          NULL};
    static const char *const doubles[] = {"shld.4 eax, ebx, cl", "shrd.4 eax, ebx, cl", "shld.2 ax, bx, cl",
                                          "shrd.2 ax, bx, cl", NULL};
    static const char *const multiplies[] = {
        "mul1.4 ebx", "mul1.2 bx",       "mul1.1 bl",     "imul1.4 ebx",          "imul1.2 bx",
        "imul1.1 bl", "imul.4 eax, ebx", "imul.2 ax, bx", "imul3.4 eax, ebx, 77", "imul3.2 ax, bx, 1000",
        NULL};
    static const char *const scans[] = {"bsf.4 edx, eax", "bsr.4 edx, eax", "bsf.2 dx, ax", "bsr.2 dx, ax", NULL};
    static const char *const bits[] = {"bt.4 eax, ecx", "bts.4 eax, ecx", "btr.4 eax, ecx", "btc.4 eax, ecx",
                                       "bt.2 ax, cx",   "bts.2 ax, 3",    "btc.4 eax, 31",  NULL};
    static const char *const divisions[] = {"div.4 ebx", "idiv.4 ebx", NULL};
    struct harness *h = harness_create(host_has_lahf());
    const struct ir_host_flags *f = &h->host_flags;

    for (const char *const *op = constant_shifts; *op; op++)
        assert_int_equal(find_kept(h, *op, true) & ~f->shift_kept, 0);
    check_family(h, shifts, true, f->shift_kept, 0, "shifts");
    check_family(h, rotates, true, f->rotate_kept, (uint8_t)~IRF_O, "rotates");
    check_family(h, doubles, true, f->double_kept, 0, "double shifts");
    check_family(h, multiplies, false, f->multiply_kept, 0, "multiplications");
    check_family(h, scans, false, f->scan_kept, 0, "bit scans");
    check_family(h, bits, false, f->bit_kept, 0, "bit tests");
    if (f->divide_writes)
        assert_int_equal(f->divide_kept, IRF_ALL);
    else
        check_family(h, divisions, false, IRF_ALL, 0, "divisions");
    harness_destroy(h);
}

/* What ops say they write and read is what running them shows: no flag that an op does not mention changes, none that
 * it does not read matters. */
static void test_op_table(void **state)
{
    static const char *const ops[] = {"mov.4 eax, ecx",
                                      "mov.1 ah, cl",
                                      "movzx.4.1 eax, cl",
                                      "movsx.4.2 eax, cx",
                                      "lea.4 eax, [ebx+ecx*2+5]",
                                      "lea.2 ax, [ebx+1]",
                                      "xchg.4 eax, ecx",
                                      "bswap.4 eax",
                                      "cdq.4",
                                      "cdq.2",
                                      "cmov.nz.4 eax, ecx",
                                      "cmov.l.2 ax, cx",
                                      "setcc.be.1 al",
                                      "setcc.p.1 ah",
                                      "add.4 eax, ecx",
                                      "or.2 ax, cx",
                                      "adc.1 al, cl",
                                      "sbb.4 eax, ecx",
                                      "and.1 ah, cl",
                                      "sub.4 eax, 100",
                                      "xor.4 eax, ecx",
                                      "cmp.4 eax, ecx",
                                      "test.4 eax, ecx",
                                      "inc.4 eax",
                                      "dec.1 ah",
                                      "not.4 eax",
                                      "neg.4 eax",
                                      "xadd.4 eax, ecx",
                                      "cmpxchg.4 ebx, ecx",
                                      "clc",
                                      "stc",
                                      "cmc",
                                      "lahf",
                                      "sahf",
                                      "bts.4 eax, ecx",
                                      "rol.4 eax, 5",
                                      "rcl.4 eax, 1",
                                      "rcr.1 al, cl",
                                      "shl.4 eax, 4",
                                      "shl.4 eax, cl",
                                      "shld.4 eax, ebx, 3",
                                      "imul.4 eax, ebx",
                                      "mul1.4 ebx",
                                      "bsf.4 edx, eax",
                                      "imul3.4 eax, ecx, 9"};
    struct harness *h = harness_create(host_has_lahf());
    uint64_t random = 99;

    for (unsigned i = 0; i < sizeof ops / sizeof ops[0]; i++) {
        char text[256];

        snprintf(text, sizeof text, HEAD " %s\n exit 0 {place eflags}\n", ops[i]);
        harness_compile(h, text, false);
        const struct ir_op *op = &h->block->ops[0];
        for (unsigned run = 0; run < 400; run++) {
            struct outcome first, second;
            unsigned c = run & 63, flipped = (unsigned)(random >> 40) % 6;

            random = random * 6364136223846793005u + 1442695040888963407u;
            uint32_t x = (uint32_t)(random >> 32), y = (uint32_t)(random >> 16) >> (run & 31);
            uint32_t flags = combination_flags(c), flag = combination_flags(1u << flipped);
            uint8_t bit = (uint8_t)(flag == FLAG_OF ? IRF_O : flag);
            run_one(h, h->result, x, y, flags, 0, &first);
            run_one(h, h->result, x, y, flags ^ flag, 0, &second);
            uint8_t may = op->written | op->read; /* what it may leave alone is `read` */
            uint32_t touched = (may & 0xd5u) | (may & IRF_O ? FLAG_OF : 0);
            if ((first.flags ^ flags) & ~touched)
                fail_msg("%s changes flags %03x, says %03x", ops[i], first.flags ^ flags, touched);
            if (op->read & bit)
                continue;
            uint32_t through = op->written & bit ? 0 : flag;
            if ((first.flags ^ second.flags) != through || memcmp(first.gpr, second.gpr, sizeof first.gpr))
                fail_msg("%s depends on flag %03x and does not say so", ops[i], flag);
        }
    }
    harness_destroy(h);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_parking),        cmocka_unit_test(test_parked_form), cmocka_unit_test(test_recipes),
        cmocka_unit_test(test_nested_recipes), cmocka_unit_test(test_host_probe),  cmocka_unit_test(test_op_table),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

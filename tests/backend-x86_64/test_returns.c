/* Calls and returns by the host's own: what is on its stack, and when it is not used. */
#include "code_harness.h"

/* Translations made one after the other; links are patched by hand as the cache does it. */
struct made {
    uint32_t entry;
    struct native_exit exits[2];
};

static struct made make(struct harness *h, const char *text)
{
    struct made made;

    harness_compile(h, text, true);
    made.entry = h->result->entry_home;
    memcpy(made.exits, h->result->exits, sizeof made.exits);
    return made;
}

static void lead(struct harness *h, const struct made *from, unsigned link, const struct made *to)
{
    assert_true(from->exits[link].used);
    assert_int_equal(from->exits[link].field & 3, 0);
    emit_patch(&h->emitter, from->exits[link].field, to->entry);
}

static uint64_t run(struct harness *h, const struct made *made)
{
    h->result->entry_home = made->entry;
    return harness_run(h);
}

#define CALLER(eip, back, body)                                                                                        \
    "block eip=" eip " mode=05550007 linear=" eip " count=1\nlink 0 forward 00001100\nlink 1 forward " back           \
    "\n0 " eip "+5\n" body "exit 0 call\n"
#define RETURNS(eip, body) "block eip=" eip " mode=05550007 linear=" eip " count=1\n0 " eip "+1\n" body "exit_indirect eax return\n"
#define MARKS(number) "block eip=00001500 mode=05550007 linear=00001500 count=1\nlink 0 forward 00001600\n0 00001500\nadd.4 ebx, " #number "\nexit 0\n"

struct stage {
    struct harness *h;
    struct made outer, inner, leaf, behind_outer, behind_inner;
};

/* outer calls inner calls leaf, which returns to EAX. */
static struct stage set_stage(bool host_lahf)
{
    struct stage s = {.h = harness_create(host_lahf)};

    s.outer = make(s.h, CALLER("00001000", "00001005", "add.4 ecx, 1\n"));
    s.inner = make(s.h, CALLER("00001010", "00001015", "add.4 ecx, 0x10\n"));
    s.leaf = make(s.h, RETURNS("00001020", "add.4 ecx, 0x100\n"));
    s.behind_outer = make(s.h, MARKS(1));
    s.behind_inner = make(s.h, RETURNS("00001030", "add.4 ebx, 0x10\nmov.4 eax, 0x1005\n"));
    lead(s.h, &s.outer, 0, &s.inner);
    lead(s.h, &s.inner, 0, &s.leaf);
    lead(s.h, &s.outer, 1, &s.behind_outer);
    lead(s.h, &s.inner, 1, &s.behind_inner);
    return s;
}

static void expect(struct stage *s, uint32_t to, uint64_t left, uint32_t ebx)
{
    s->h->cpu->state.gpr[GPR_AX] = to;
    s->h->cpu->state.gpr[GPR_BX] = s->h->cpu->state.gpr[GPR_CX] = 0;
    s->h->cpu->state.rip = 0;
    assert_int_equal(run(s->h, &s->outer), left);
    assert_int_equal(s->h->cpu->state.gpr[GPR_CX], 0x111);
    assert_int_equal(s->h->cpu->state.gpr[GPR_BX], ebx);
    assert_int_equal(s->h->misaligned, 0);
}

static void test_order(void **state)
{
    for (unsigned lahf = 0; lahf < 2; lahf++) {
        struct stage s = set_stage(lahf);

        expect(&s, 0x1015, (uint64_t)(uintptr_t)LINK_TOKEN(0), 0x11); /* one after the other */
        expect(&s, 0x1005, (uint64_t)(uintptr_t)LINK_TOKEN(0), 0x01); /* past one */
        expect(&s, 0x1016, NATIVE_LEAVE_LOOKUP, 0);                   /* elsewhere */
        assert_int_equal(s.h->cpu->state.rip, 0x1016);
        expect(&s, 0, NATIVE_LEAVE_LOOKUP, 0);                        /* what the lowest pair says */
        assert_int_equal(s.h->cpu->state.rip, 0);
        harness_destroy(s.h);
    }
}

/* Nothing was called: no pair but the lowest. */
static void test_none(void **state)
{
    struct stage s = set_stage(true);

    for (uint32_t to = 0; to < 2; to++) {
        s.h->cpu->state.gpr[GPR_AX] = to;
        s.h->cpu->state.rip = 77;
        assert_int_equal(run(s.h, &s.leaf), NATIVE_LEAVE_LOOKUP);
        assert_int_equal(s.h->cpu->state.rip, to);
    }
    harness_destroy(s.h);
}

/* A call polls, though it leads forward in its page; so the return need not. */
static void test_attention(void **state)
{
    struct stage s = set_stage(true);

    s.h->cpu->attention = 1;
    s.h->cpu->state.gpr[GPR_CX] = 0;
    assert_int_equal(run(s.h, &s.outer), (uint64_t)(uintptr_t)LINK_TOKEN(0));
    assert_int_equal(s.h->cpu->state.gpr[GPR_CX], 1);
    s.h->cpu->state.gpr[GPR_AX] = 0x1016;
    assert_int_equal(run(s.h, &s.leaf), NATIVE_LEAVE_LOOKUP);
    harness_destroy(s.h);
}

/* Where an indirect call is looked up, and found. */
static void test_indirect(void **state)
{
    struct stage s = set_stage(true);
    struct made caller = make(s.h, "block eip=00001040 mode=05550007 linear=00001040 count=1\nlink 1 forward 00001042\n"
                                   "0 00001040+2\nadd.4 ecx, 0x11\nexit_indirect esi call\n");
    s.h->cpu->state.rip = 0;
    struct native_jump *jump = (struct native_jump *)s.h->cpu->native.jump_cache + native_jump_index(0x1020);

    *jump = (struct native_jump){.key = 0x1020 | (uint64_t)HARNESS_FLAT << 32,
                                 .cs_limit = UINT32_MAX,
                                 .execute_entry = s.h->cpu->mmu.execute_table[1] = 0x5001,
                                 .code = (uint64_t)(uintptr_t)(s.h->code + s.leaf.entry)};
    assert_int_equal(caller.exits[0].field & 3, 0);
    emit_patch(&s.h->emitter, caller.exits[0].miss, caller.exits[0].missed);
    lead(s.h, &caller, 1, &s.behind_outer);
    s.outer = caller;
    s.h->cpu->state.gpr[GPR_SI] = 0x1020;
    expect(&s, 0x1042, (uint64_t)(uintptr_t)LINK_TOKEN(0), 1);
    expect(&s, 0x1043, NATIVE_LEAVE_LOOKUP, 0);
    harness_destroy(s.h);
}

/* What the cache does when it learns the target of an indirect branch. */
static void fill(struct harness *h, const struct made *from, uint32_t eip, const struct made *to)
{
    const struct native_exit *x = &from->exits[0];
    uint32_t page = (eip >> 12) * 8;

    memcpy(h->code + x->target, &eip, 4);
    memcpy(h->code + x->page, &page, 4);
    memcpy(h->code + x->guard, &h->cpu->mmu.execute_table[eip >> 12], 8);
    emit_patch(&h->emitter, x->miss, x->missed);
    lead(h, from, 0, to);
}

static void test_inline_cache(void **state)
{
    for (unsigned call = 0; call < 2; call++) {
        struct stage s = set_stage(true);
        struct vcpu *cpu = s.h->cpu;
        struct made branch = make(s.h, call ? "block eip=00001040 mode=05550007 linear=00001040 count=1\n"
                                              "link 1 forward 00001042\n0 00001040+2\nadd.4 ecx, 1\nexit_indirect esi call\n"
                                            : "block eip=00001040 mode=05550007 linear=00001040 count=1\n"
                                              "0 00001040+2\nadd.4 ecx, 1\nexit_indirect esi\n");
        uint64_t behind = call ? (uint64_t)(uintptr_t)LINK_TOKEN(1) : NATIVE_LEAVE_LOOKUP;

        assert_true(s.h->result->indirect);
        cpu->state.gpr[GPR_AX] = 0x1042;
        for (uint64_t entry = 0; entry < 2; entry++) { /* what it is compared with at first is told to C, too */
            cpu->mmu.execute_table[0] = entry;
            cpu->state.gpr[GPR_SI] = 0;
            cpu->state.rip = 77;
            assert_int_equal(run(s.h, &branch), entry ? NATIVE_LEAVE_LOOKUP : (uint64_t)(uintptr_t)LINK_TOKEN(0));
            assert_int_equal(cpu->state.rip, 0);
        }
        cpu->state.gpr[GPR_SI] = 0x3020;
        assert_int_equal(run(s.h, &branch), (uint64_t)(uintptr_t)LINK_TOKEN(0)); /* tells C its target */
        assert_int_equal(cpu->state.rip, 0x3020);
        cpu->mmu.execute_table[3] = 0x7001;
        fill(s.h, &branch, 0x3020, &s.leaf);
        for (unsigned miss = 0; miss < 4; miss++) {
            cpu->state.gpr[GPR_CX] = cpu->state.rip = 0;
            cpu->state.gpr[GPR_SI] = miss == 1 ? 0x3021 : 0x3020;
            cpu->mmu.execute_table[3] = miss == 2 ? 0x8001 : 0x7001;
            cpu->attention = miss == 3;
            assert_int_equal(run(s.h, &branch), miss ? NATIVE_LEAVE_LOOKUP : behind);
            assert_int_equal(cpu->state.gpr[GPR_CX], miss ? 1 : 0x101);
            if (miss)
                assert_int_equal(cpu->state.rip, miss == 1 ? 0x3021 : 0x3020);
        }
        assert_int_equal(s.h->misaligned, 0);
        harness_destroy(s.h);
    }
}

/* A million calls none of which returns. */
static void test_depth(void **state)
{
    struct stage s = set_stage(true);
    struct made again = make(s.h, "block eip=00001050 mode=05550007 linear=00001050 count=1\nlink 0 forward 00001060\n"
                                  "link 1 backward 00001000\n0 00001050\nsub.4 edx, 1\nexit_if.nz 1\nexit 0\n");

    lead(s.h, &s.outer, 0, &again);
    lead(s.h, &again, 1, &s.outer);
    s.h->cpu->state.gpr[GPR_CX] = 0;
    s.h->cpu->state.gpr[GPR_DX] = 1000000;
    assert_int_equal(run(s.h, &s.outer), (uint64_t)(uintptr_t)LINK_TOKEN(0));
    assert_int_equal(s.h->cpu->state.gpr[GPR_CX], 1000000);
    assert_int_equal(s.h->cpu->state.gpr[GPR_DX], 0);
    assert_true(s.h->cpu->native.caller_stack - s.h->cpu->native.stack_limit == NATIVE_CALLS_DEEP * NATIVE_CALL_BYTES);
    harness_destroy(s.h);
}

/* C has the calls forgotten: what returns is looked up. */
static void test_forgotten(void **state)
{
    struct stage s = set_stage(true);

    for (unsigned forget = 0; forget < 2; forget++) {
        s.leaf = make(s.h, RETURNS("00001020", "callout\nadd.4 ecx, 0x100\n"));
        lead(s.h, &s.inner, 0, &s.leaf);
        s.h->forget_at_call = forget;
        expect(&s, 0x1015, forget ? NATIVE_LEAVE_LOOKUP : (uint64_t)(uintptr_t)LINK_TOKEN(0), forget ? 0 : 0x11);
        assert_int_equal(s.h->cpu->state.rip, forget ? 0x1015 : 0x1021);
    }
    harness_destroy(s.h);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_order), cmocka_unit_test(test_none),  cmocka_unit_test(test_attention),
        cmocka_unit_test(test_indirect), cmocka_unit_test(test_depth), cmocka_unit_test(test_forgotten),
        cmocka_unit_test(test_inline_cache),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

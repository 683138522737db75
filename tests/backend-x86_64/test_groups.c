/* Accesses that share a lookup: how many lookups are left on the straight way, and that a block comes to the same with
 * shared lookups and with one for each access (which is what a block for alignment checks has). */
#include "code_harness.h"

#define MAX_PARTS 12

struct group_case {
    const char *name;
    unsigned lookups;
    const char *insns[MAX_PARTS]; /* the ops of one instruction each */
};

#define PUSH(reg)             "probe.4 w [esp-4]\nmov.4 m, " reg "\nlea.4 esp, [esp-4]"
#define POP(reg)              "probe.4 r [esp]\nmov.4 t0, m\nlea.4 esp, [esp+4]\nmov.4 " reg ", t0"
#define LOAD(reg, address)    "probe.4 r [" address "]\nmov.4 " reg ", m"
#define STORE(address, reg)   "probe.4 w [" address "]\nmov.4 m, " reg
#define RMW(op, address, reg) "probe.4 rw [" address "]\n" op ".4 m, " reg

static const struct group_case cases[] = {
    {"one", 1, {LOAD("eax", "ebx+4")}},
    {"two loads", 1, {LOAD("eax", "ebx+4"), LOAD("ecx", "ebx-8")}},
    {"load and store", 1, {LOAD("eax", "ebx+4"), STORE("ebx+12", "eax")}},
    {"store and load", 1, {STORE("ebx+12", "eax"), LOAD("ecx", "ebx+12")}},
    {"loads that a store follows",
     1,
     {LOAD("eax", "ebx"), LOAD("ecx", "ebx+4"), LOAD("edx", "ebx+8"), STORE("ebx+40", "esi")}},
    {"pushes", 1, {PUSH("eax"), PUSH("ecx"), PUSH("esp"), PUSH("7")}},
    {"pushes and pops", 1, {PUSH("eax"), PUSH("ecx"), POP("edx"), POP("esi"), LOAD("edi", "esp+8")}},
    {"pop esp", 2, {PUSH("eax"), POP("esp"), PUSH("ecx"), PUSH("edx")}},
    {"return", 1, {POP("ebx"), POP("ebp"), "probe.4 r [esp]\nmov.4 t0, m\nlea.4 esp, [esp+8]\nexit_indirect t0"}},
    {"push of memory",
     1,
     {PUSH("eax"), "probe.4 r [esp+8]\nmov.4 t0, m\nprobe.4 w [esp-4]\nmov.4 m, t0\nlea.4 esp, [esp-4]"}},
    {"push of memory by another register",
     3,
     {PUSH("eax"), "probe.4 r [ebx+8]\nmov.4 t0, m\nprobe.4 w [esp-4]\nmov.4 m, t0\nlea.4 esp, [esp-4]"}},
    {"pop into memory by esp",
     1,
     {PUSH("eax"), "probe.4 r [esp]\nmov.4 t0, m\nprobe.4 w [esp+12]\nlea.4 esp, [esp+4]\nmov.4 m, t0"}},
    {"updates", 1, {RMW("add", "ebx", "eax"), RMW("adc", "ebx+4", "ecx"), RMW("sbb", "ebx+8", "1"), "setcc.b.1 dl"}},
    {"inc and dec keep the carry",
     1,
     {RMW("add", "ebx", "eax"), "probe.4 rw [ebx+4]\ninc.4 m", "dec.4 ecx", "probe.2 rw [ebx+8]\ndec.2 m",
      "adc.4 edx, 0"}},
    {"flags of a recipe across",
     1,
     {"add.4 eax, ecx", LOAD("edx", "ebx"), "inc.4 edx", LOAD("esi", "ebx+4"), "adc.4 edi, 0", LOAD("ebp", "ebx+8")}},
    {"compared before, asked behind",
     1,
     {"cmp.4 eax, ecx", LOAD("edx", "ebx"), STORE("ebx+4", "edx"), "setcc.l.1 dh", LOAD("esi", "ebx+12")}},
    {"rotated in between",
     1,
     {LOAD("eax", "ebx"), "rol.4 eax, 3", "probe.4 rw [ebx+8]\nrcl.4 m, 1", LOAD("ecx", "ebx+4"), "rcr.4 ecx, 1"}},
    {"high bytes",
     1,
     {"probe.1 r [ebp+1]\nmov.1 ah, m", "probe.1 w [ebp+2]\nmov.1 m, ch", "probe.1 rw [ebp+3]\nadd.1 m, dh",
      "probe.1 r [ebp]\nadd.1 bh, m", "probe.4 r [ebp+4]\nmovzx.4.1 esi, m"}},
    {"high byte of the base ends it",
     2,
     {LOAD("ecx", "eax"), "probe.1 r [eax+1]\nmov.1 ah, m", LOAD("edx", "eax"), LOAD("esi", "eax+4")}},
    {"store of the base's high byte", 1, {LOAD("ecx", "eax"), "probe.1 w [eax+1]\nmov.1 m, ah", LOAD("edx", "eax+4")}},
    {"base moved by lea", 1, {LOAD("eax", "ebx"), "lea.4 ebx, [ebx+16]", STORE("ebx-8", "eax"), LOAD("ecx", "ebx")}},
    {"base moved by add and sub",
     1,
     {LOAD("eax", "ebx"), "add.4 ebx, 16", STORE("ebx-8", "eax"), "sub.4 ebx, 24", LOAD("ecx", "ebx+4")}},
    {"base moved by sub of a negative", 1, {LOAD("eax", "ebx"), "sub.4 ebx, -4", LOAD("ecx", "ebx")}},
    {"base moved by a register", 2, {LOAD("eax", "ebx"), "add.4 ebx, ecx", LOAD("edx", "ebx"), STORE("ebx+4", "edx")}},
    {"base moved in 16 bits", 2, {LOAD("eax", "ebx"), "add.2 bx, 4", LOAD("edx", "ebx"), STORE("ebx+4", "edx")}},
    {"base moved by inc", 2, {LOAD("eax", "ebx"), "inc.4 ebx", LOAD("edx", "ebx")}},
    {"base loaded by its own", 1, {LOAD("eax", "ebx"), LOAD("ebx", "ebx+4")}},
    {"base of another register",
     2,
     {LOAD("eax", "ebx"), "lea.4 ebx, [ebp+16]", LOAD("edx", "ebx"), LOAD("ecx", "ebx+4")}},
    {"base that an implicit operand is",
     2,
     {LOAD("ecx", "eax"), "cdq.4", "mul1.4 ecx", LOAD("esi", "eax"), LOAD("edi", "eax")}},
    {"index", 1, {LOAD("edi", "ebx+ecx"), LOAD("esi", "ebx+ecx+4"), STORE("ebx+ecx+8", "edi")}},
    {"index moved", 1, {LOAD("edi", "ebx+ecx*4"), "lea.4 ecx, [ecx+2]", LOAD("esi", "ebx+ecx*4"), STORE("ebx+ecx*4-4", "edi")}},
    {"index with another scale", 2, {LOAD("edi", "ebx+ecx*4"), LOAD("esi", "ebx+ecx*2+4")}},
    {"index lost", 2, {LOAD("edi", "ebx+ecx"), "add.4 ecx, esi", LOAD("esi", "ebx+ecx+4")}},
    {"index without a base", 1, {LOAD("edi", "ebx*1+4"), LOAD("esi", "ebx*1")}},
    {"an index beside its base alone", 2, {LOAD("edi", "ebx+ecx"), LOAD("esi", "ebx"), STORE("ebx+ecx+4", "esi"), STORE("ebx+8", "edi")}},
    {"range that just fits", 1, {LOAD("eax", "ebx"), LOAD("ecx", "ebx+252")}},
    {"range too long by one", 2, {LOAD("eax", "ebx"), LOAD("ecx", "ebx+253")}},
    {"range too long downwards", 2, {LOAD("eax", "ebx"), LOAD("ecx", "ebx-253")}},
    {"displacements at both ends", 2, {LOAD("eax", "ebx+0x7ffffffc"), LOAD("ecx", "ebx-0x80000000")}},
    {"displacements at both ends, the other way", 2, {STORE("ebx-0x80000000", "eax"), STORE("ebx+0x7ffffffc", "ecx")}},
    {"displacement at an end, behind a move",
     2,
     {LOAD("eax", "ebx"), "lea.4 ebx, [ebx+8]", STORE("ebx+0x7ffffffc", "ecx"), "lea.4 ebx, [ebx+0x7ffffff0]"}},
    {"far displacements",
     1,
     {LOAD("eax", "ebx+0x7ffff000"), STORE("ebx+0x7ffff010", "ecx"), LOAD("edx", "ebx+0x7ffff008")}},
    {"lowest displacements", 1, {LOAD("eax", "ebx-0x80000000"), STORE("ebx-0x7ffffff8", "ecx")}},
    {"far moves there and back",
     2,
     {LOAD("eax", "ebx"), "lea.4 ebx, [ebx+0x7ffffff0]", "lea.4 ebx, [ebx-0x7ffffff0]", LOAD("ecx", "ebx+4")}},
    {"locked ones look up for themselves",
     3,
     {LOAD("eax", "ebx"), "probe.4 rw [ebx+8]\nlock add.4 m, ecx", "probe.4 rw [ebx+12]\nxchg.4 m, edx"}},
    {"cmpxchg8b", 1, {LOAD("esi", "ebp"), "probe.8 rw [ebp+8]\ncmpxchg8b.8 m", LOAD("edi", "ebp+8")}},
    {"divided in between",
     1,
     {STORE("ebx", "eax"), "and.4 edx, 0", "or.4 ecx, 1", "div.4 ecx", LOAD("esi", "ebx"), STORE("ebx+4", "edx")}},
    {"divided by memory",
     1,
     {"probe.4 w [ebx]\nmov.4 m, 3", "and.4 edx, 0", "probe.4 r [ebx]\ndiv.4 m", STORE("ebx+4", "edx")}},
    {"a call in between",
     3,
     {LOAD("eax", "ebx"), STORE("ebx+4", "eax"), "callout", LOAD("ecx", "ebx"), LOAD("edx", "ebp"),
      STORE("ebp+4", "ecx")}},
    {"another register in between", 2, {LOAD("eax", "ebx"), LOAD("ecx", "ebp"), LOAD("edx", "ebx+4")}},
    {"three registers in turns",
     3,
     {LOAD("eax", "ebx"), LOAD("ecx", "ebp+8"), LOAD("edx", "esp"), STORE("ebx+4", "ecx"), STORE("ebp+16", "edx"),
      RMW("add", "esp+8", "eax"), LOAD("esi", "ebx+8")}},
    {"a fourth register ends it",
     4,
     {LOAD("ecx", "ebx"), LOAD("edx", "ebp+8"), LOAD("esi", "esp"), STORE("ebx+4", "ecx"), LOAD("edi", "eax"),
      STORE("eax+4", "edi")}},
    {"only what saves a lookup joins",
     4,
     {LOAD("ecx", "ebx"), LOAD("edx", "ebx+8"), LOAD("esi", "ebp"), LOAD("edi", "esp"), LOAD("eax", "eax")}},
    {"two neighbourhoods of a register",
     2,
     {LOAD("eax", "ebx"), LOAD("ecx", "ebx+0x400"), STORE("ebx+8", "ecx"), STORE("ebx+0x408", "eax")}},
    {"constant addresses",
     1,
     {LOAD("eax", "0x2004"), STORE("0x2008", "eax"), LOAD("ecx", "0x200c")}},
    {"a constant address beside a register",
     2,
     {LOAD("eax", "0x2004"), LOAD("ecx", "ebx"), STORE("0x2008", "eax"), STORE("ebx+4", "ecx")}},
    {"a constant address at its page's end", 2, {LOAD("eax", "0x2ffc"), LOAD("ecx", "0x3000")}},
    {"a register that changes when its range is known",
     2,
     {LOAD("eax", "ebx"), LOAD("ecx", "ebp"), LOAD("ebx", "ebx+4"), STORE("ebp+4", "eax"), "add.4 ebp, ebx"}},
    {"flags across three registers",
     2,
     {LOAD("eax", "ebx"), "shr.4 eax, 1", LOAD("ecx", "ebp"), "rcr.4 edx, 1", STORE("ebx+4", "edx"), "adc.4 esi, 0",
      STORE("ebp+4", "esi")}},
    {"temps keep a group to one range",
     3,
     {LOAD("eax", "ebx"), LOAD("ecx", "ebp"), "probe.4 r [ebx+4]\nmov.4 t0, m\nmov.4 edx, t0", LOAD("esi", "ebp+4")}},
    {"a branch in between", 2, {LOAD("eax", "ebx"), "cmp.4 eax, ecx", "exit_if.b 1", LOAD("edx", "ebx+4")}},
    {"a branch behind", 1, {LOAD("eax", "ebx"), "probe.4 r [ebx+4]\ncmp.4 eax, m", "exit_if.b 1", "add.4 edx, 3"}},
    {"one group behind the other",
     2,
     {PUSH("ebp"), "mov.4 ebp, esp", PUSH("eax"), PUSH("ecx"), LOAD("eax", "ebp+8"), STORE("ebp-16", "eax"),
      LOAD("ecx", "ebp+12")}},
    {"two temps",
     1,
     {LOAD("eax", "ebx"), "probe.4 r [ebx+4]\nmov.4 t0, m\nlea.4 t1, [t0+ecx]\nmov.4 edx, t1\nadd.4 edx, t0",
      "adc.4 esi, 0", STORE("ebx+8", "edx")}},
};

static uint64_t run_case(struct harness *h, const struct group_case *c, uint32_t mode)
{
    char text[4096];
    int used = snprintf(text, sizeof text,
                        "block eip=1000 mode=%08x linear=1000\nlink 0 forward 1800\n"
                        "link 1 forward 1900\n",
                        mode);
    unsigned count = 0;

    for (; count < MAX_PARTS && c->insns[count]; count++)
        used += snprintf(text + used, sizeof text - (size_t)used, "%u %08x+2 x\n%s\n", count, 0x1000 + 2 * count,
                         c->insns[count]);
    if (!strstr(text, "exit_indirect"))
        snprintf(text + used, sizeof text - (size_t)used, "exit 0\n");
    harness_compile(h, text, true);
    return harness_run(h);
}

/* mov r, [r13 or r12 + r*8] and mov r, [r13 or r12 + constant] with one of r9 r10 r11 */
static bool is_lookup(const uint8_t *code)
{
    unsigned reg = code[2] >> 3 & 7, rest = code[2] & 0xc7u;

    if (code[1] != 0x8b || reg < 1 || reg > 3)
        return false;
    if (code[0] == 0x4f)
        return (rest == 0x44 && code[3] == (0xc5 | reg << 3)) || (rest == 0x04 && code[3] == (0xc4 | reg << 3));
    return code[0] == 0x4d && (rest == 0x45 || rest == 0x85 || ((rest & 0x3f) == 0x04 && code[3] == 0x24));
}

static unsigned count_lookups(const struct harness *h)
{
    unsigned count = 0;

    for (uint32_t at = h->result->entry_eflags; at + 4 <= h->result->hot_end; at++)
        count += is_lookup(h->code + at);
    return count;
}

/* The instruction that left, of those that leave at one. */
static unsigned left_at(const struct harness *h, uint64_t left)
{
    uint64_t offset = h->cpu->native.fault_address - (uint64_t)(uintptr_t)h->code;

    if (left != NATIVE_LEAVE_FAULT)
        return 0;
    for (unsigned i = 0; i < h->result->site_count; i++)
        if (h->result->sites[i].offset == offset)
            return h->result->sites[i].insn + 1u;
    fail_msg("left at %llx, which nobody knows", (unsigned long long)offset);
    return 0;
}

static void prepare(struct harness *h, uint32_t base, uint32_t flags, bool swapped)
{
    for (unsigned i = 0; i < 8; i++)
        h->cpu->state.gpr[i] = 0x11223344u * (i + 1);
    for (unsigned page = 0; page <= FAULT_PAGE; page++)
        for (unsigned i = 0; i < 4096; i++)
            h->memory[page][i] = (uint8_t)(page * 7 + i * 3 + (i >> 8));
    h->cpu->state.gpr[GPR_BX] = h->cpu->state.gpr[GPR_SP] = base;
    h->cpu->state.gpr[GPR_BP] = swapped ? 0x4f00 : base;
    if (swapped)
        h->cpu->state.gpr[GPR_AX] = base;
    h->cpu->state.rip = 0;
    harness_set_flags(h, flags);
    h->c_calls = 0;
}

static void compare_ways(struct harness *h, const struct group_case *c, uint32_t base, uint32_t flags, bool swapped)
{
    static uint8_t memory[FAULT_PAGE + 1][4096];
    struct cpu_state *s = &h->cpu->state;
    uint64_t gpr[8];

    prepare(h, base, flags, swapped);
    uint64_t left = run_case(h, c, HARNESS_FLAT | MODE_AC);
    unsigned insn = left_at(h, left), calls = h->c_calls, flags_then = harness_flags(h);
    uint64_t rip = s->rip;

    memcpy(gpr, s->gpr, sizeof gpr);
    memcpy(memory, h->memory, sizeof memory);
    prepare(h, base, flags, swapped);
    uint64_t left_now = run_case(h, c, HARNESS_FLAT);
    if (count_lookups(h) != c->lookups)
        fail_msg("%s: %u lookups, should be %u", c->name, count_lookups(h), c->lookups);
    if (left != left_now || insn != left_at(h, left_now) || rip != s->rip)
        fail_msg("%s at %x: left with %llx at instruction %u, eip %llx; should be %llx, %u, %llx", c->name, base,
                 (unsigned long long)left_now, left_at(h, left_now), (unsigned long long)s->rip,
                 (unsigned long long)left, insn, (unsigned long long)rip);
    if (calls != h->c_calls)
        fail_msg("%s at %x: %u calls, should be %u", c->name, base, h->c_calls, calls);
    for (unsigned i = 0; i < 8; i++)
        if (s->gpr[i] != gpr[i])
            fail_msg("%s at %x: register %u is %llx, should be %llx", c->name, base, i, (unsigned long long)s->gpr[i],
                     (unsigned long long)gpr[i]);
    if (harness_flags(h) != flags_then)
        fail_msg("%s at %x: flags are %03x, should be %03x", c->name, base, harness_flags(h), flags_then);
    for (unsigned page = 0; page <= FAULT_PAGE; page++)
        for (unsigned i = 0; i < 4096 && memcmp(memory[page], h->memory[page], 4096); i++)
            if (memory[page][i] != h->memory[page][i])
                fail_msg("%s at %x: byte %x is %02x, should be %02x", c->name, base, page << 12 | i, h->memory[page][i],
                         memory[page][i]);
}

/* Plain pages, a boundary of two, and those between each kind of page and its neighbours; far from there for the
 * displacements that reach back. */
static const uint32_t pages[] = {0x4800, 0x5000,  0x8000, 0x8800, 0x9000,     0x9800,     0xa000,     0xa050,    0xa800,
                                 0xb000, 0x11000, 0x1000, 0x0,    0x80004800, 0x80005000, 0x80009000, 0x80011000};

static void check_all(struct harness *h)
{
    static const uint32_t all = FLAG_CF | FLAG_PF | FLAG_AF | FLAG_ZF | FLAG_SF | FLAG_OF;

    for (size_t c = 0; c < sizeof cases / sizeof cases[0]; c++)
        for (size_t p = 0; p < sizeof pages / sizeof pages[0]; p++)
            for (int near = -24; near <= 24; near += near > -10 && near < 10 ? 1 : 4)
                compare_ways(h, &cases[c], pages[p] + (uint32_t)near, near & 1 ? all : 0, near & 2);
}

static void test_both_ways(void **state)
{
    for (unsigned lahf = 0; lahf <= (host_has_lahf() ? 1 : 0); lahf++) {
        struct harness *h = harness_create(lahf);

        check_all(h);
        harness_destroy(h);
    }
}

/* Each bounced store leaves behind its instruction. */
static void test_leaving_at_stores(void **state)
{
    struct harness *h = harness_create(host_has_lahf());

    h->leave_at_commit = true;
    check_all(h);
    harness_destroy(h);
}

/* As many groups as a block has instructions. */
static void test_many(void **state)
{
    static char text[20000];
    struct harness *h = harness_create(host_has_lahf());

    for (unsigned groups = IR_MAX_INSNS - 1; groups <= IR_MAX_INSNS; groups++) {
        int used =
            snprintf(text, sizeof text, "block eip=1000 mode=%08x linear=1000\nlink 0 forward 1800\n", HARNESS_FLAT);
        unsigned insn = 0;

        for (unsigned i = 0; i < groups; i++) {
            const char *base = i & 1 ? "ebx" : "esi";

            used += snprintf(text + used, sizeof text - (size_t)used,
                             "%u 00001000+3 x\nprobe.4 r [%s]\nmov.4 t%u, m\nprobe.4 r [%s+4]\nadd.4 ecx, m\n", insn++,
                             base, i, base);
        }
        snprintf(text + used, sizeof text - (size_t)used, "exit 0\n");
        for (unsigned far = 0; far < 2; far++) {
            uint32_t sum = 0;

            prepare(h, 0x4000, 0, false);
            h->cpu->state.gpr[GPR_CX] = 0;
            h->cpu->state.gpr[GPR_BX] = far ? 0x4ffc : 0x4000;
            h->cpu->state.gpr[GPR_SI] = 0x5000;
            for (unsigned i = 0; i < groups; i++) {
                uint32_t value, at = i & 1 ? (far ? 0x5000 : 0x4004) : 0x5004;

                memcpy(&value, &h->memory[at >> 12][at & 0xfff], 4);
                sum += value;
            }
            harness_compile(h, text, true);
            assert_int_equal(count_lookups(h), groups);
            assert_int_equal(harness_run(h), (uint64_t)(uintptr_t)LINK_TOKEN(0));
            assert_int_equal(h->cpu->state.gpr[GPR_CX], sum);
        }
    }
    harness_destroy(h);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_both_ways),
        cmocka_unit_test(test_leaving_at_stores),
        cmocka_unit_test(test_many),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

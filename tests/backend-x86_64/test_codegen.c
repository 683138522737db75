/* IR text through the passes and the code generator, run, and compared with what should come out: registers, flags,
 * memory, the way out, calls into C. Each case runs with LAHF and without. */
#include "code_harness.h"

#define OUT_0 ((uint64_t)(uintptr_t)LINK_TOKEN(0))
#define OUT_1 ((uint64_t)(uintptr_t)LINK_TOKEN(1))

/* "eax=1 esp=2000 flags=cpazso m4000=11223344 end8000=..": hexadecimal, "flags=-": none; what AFTER does not mention
 * stays. */
struct run_case {
    const char *name, *before, *ops, *after;
    uint64_t left;
    unsigned c_calls;
};

static const char registers[8][4] = {"eax", "ecx", "edx", "ebx", "esp", "ebp", "esi", "edi"};

struct picture {
    uint32_t gpr[8];
    uint32_t flags;
    uint8_t memory[FAULT_PAGE + 1][4096];
};

static void apply(struct picture *p, const char *text)
{
    static const char letters[] = "cpazso";
    static const uint32_t bits[] = {FLAG_CF, FLAG_PF, FLAG_AF, FLAG_ZF, FLAG_SF, FLAG_OF};
    char word[32], value[32];

    for (int used; sscanf(text, " %31[^=]=%31[^ ]%n", word, value, &used) >= 1; text += used) {
        uint32_t number = (uint32_t)strtoul(value, NULL, 16);
        bool known = false;

        for (unsigned i = 0; i < 8; i++)
            if (!strcmp(word, registers[i])) {
                p->gpr[i] = number;
                known = true;
            }
        if (!strcmp(word, "flags")) {
            p->flags = 0;
            for (unsigned i = 0; i < 6; i++)
                if (strchr(value, letters[i]))
                    p->flags |= bits[i];
            known = true;
        } else if (word[0] == 'm') { /* as many bytes as VALUE has digits for, little-endian */
            uint32_t at = (uint32_t)strtoul(word + 1, NULL, 16);
            uint64_t wide = strtoull(value, NULL, 16);

            for (size_t i = 0; i < strlen(value) / 2; i++)
                p->memory[(at + i) >> 12][(at + i) & 0xfff] = (uint8_t)(wide >> 8 * i);
            known = true;
        }
        if (!known)
            fail_msg("what is '%s'?", word);
    }
}

static void check_case(struct harness *h, const struct run_case *c)
{
    static struct picture picture;
    char text[2048];

    memset(&picture, 0, sizeof picture);
    for (unsigned i = 0; i < 8; i++)
        picture.gpr[i] = 0x01010101u * (i + 1);
    for (unsigned page = 0; page <= FAULT_PAGE; page++)
        for (unsigned i = 0; i < 4096; i++)
            picture.memory[page][i] = (uint8_t)(page * 7 + i * 3);
    apply(&picture, c->before);
    for (unsigned i = 0; i < 8; i++)
        h->cpu->state.gpr[i] = picture.gpr[i];
    harness_set_flags(h, picture.flags);
    memcpy(h->memory, picture.memory, sizeof h->memory);
    h->c_calls = h->misaligned = 0;
    if (!strncmp(c->ops, "block", 5))
        snprintf(text, sizeof text, "%s", c->ops);
    else
        snprintf(text, sizeof text,
                 "block eip=1000 mode=%08x linear=1000\nlink 0 forward 1800\nlink 1 forward 1900\n0 00001000+3 x\n%s",
                 HARNESS_FLAT, c->ops);
    harness_compile(h, text, true);
    uint64_t left = harness_run(h);
    apply(&picture, c->after);
    if (left != c->left)
        fail_msg("%s: left with %llx, not %llx", c->name, (unsigned long long)left, (unsigned long long)c->left);
    for (unsigned i = 0; i < 8; i++)
        if (h->cpu->state.gpr[i] != picture.gpr[i])
            fail_msg("%s: %s is %llx, should be %x", c->name, registers[i], (unsigned long long)h->cpu->state.gpr[i],
                     picture.gpr[i]);
    if (harness_flags(h) != picture.flags)
        fail_msg("%s: flags are %03x, should be %03x", c->name, harness_flags(h), picture.flags);
    for (unsigned page = 0; page <= FAULT_PAGE; page++)
        for (unsigned i = 0; i < 4096; i++)
            if (h->memory[page][i] != picture.memory[page][i])
                fail_msg("%s: byte %x is %02x, should be %02x", c->name, page << 12 | i, h->memory[page][i],
                         picture.memory[page][i]);
    if (h->misaligned)
        fail_msg("%s: C was called with a misaligned stack", c->name);
    if (h->c_calls != c->c_calls)
        fail_msg("%s: C was called %u times, should be %u", c->name, h->c_calls, c->c_calls);
}

static void check_cases(const struct run_case *cases, size_t count, void (*prepare)(struct harness *h))
{
    for (unsigned lahf = 0; lahf <= (host_has_lahf() ? 1 : 0); lahf++) {
        struct harness *h = harness_create(lahf);

        if (prepare)
            prepare(h);
        for (size_t i = 0; i < count; i++)
            check_case(h, &cases[i]);
        harness_destroy(h);
    }
}
#define CHECK(cases, prepare) check_cases(cases, sizeof(cases) / sizeof(cases)[0], prepare)

static void test_registers(void **state)
{
    static const struct run_case cases[] = {
        {"mov", "eax=5", "mov.4 esp, eax\nexit 0", "esp=5", OUT_0, 0},
        {"mov keeps the upper half", "eax=11112222 esp=33334444", "mov.2 sp, ax\nexit 0", "esp=33332222", OUT_0, 0},
        {"mov high", "eax=1234 edx=5678", "mov.1 dh, al\nexit 0", "edx=3478", OUT_0, 0},
        {"mov constant", "", "mov.4 ebp, -1\nmov.1 ch, 0x7f\nexit 0", "ebp=ffffffff ecx=02027f02", OUT_0, 0},
        {"mov keeps flags", "flags=cpazso", "mov.4 eax, 0\nexit 0", "eax=0", OUT_0, 0},
        {"movzx high", "eax=8090", "movzx.4.1 ecx, ah\nexit 0", "ecx=80", OUT_0, 0},
        {"movsx high", "eax=8090", "movsx.4.1 esi, ah\nexit 0", "esi=ffffff80", OUT_0, 0},
        {"movsx high to esp", "ebx=ff80", "movsx.4.1 esp, bh\nexit 0", "esp=ffffffff", OUT_0, 0},
        {"movzx high to its own register in 16 bits", "ebx=1234ff80", "movzx.2.1 bx, bh\nexit 0", "ebx=123400ff", OUT_0,
         0},
        {"high into temp", "ecx=aabb", "mov.1 t0, ch\nmov.1 al, t0\nexit 0", "eax=010101aa", OUT_0, 0},
        {"lea", "ebx=10 esp=20", "lea.4 eax, [esp+ebx*4+8]\nexit 0", "eax=68", OUT_0, 0},
        {"lea wraps", "ebx=ffffffff", "lea.4 eax, [ebx+2]\nexit 0", "eax=1", OUT_0, 0},
        {"lea 16", "ebx=1ffff eax=55550000", "lea.2 ax, [ebx+2]\nexit 0", "eax=55550001", OUT_0, 0},
        {"lea 16 into a temp is zero-extended", "ebx=1ffff", "lea.2 t0, [ebx+2]\nmov.4 eax, t0\nexit 0", "eax=1", OUT_0,
         0},
        {"xchg high and low", "eax=1234", "xchg.1 al, ah\nexit 0", "eax=3412", OUT_0, 0},
        {"xchg esp", "eax=1 esp=2", "xchg.4 eax, esp\nexit 0", "eax=2 esp=1", OUT_0, 0},
        {"bswap esp", "esp=11223344", "bswap.4 esp\nexit 0", "esp=44332211", OUT_0, 0},
        {"cdq", "eax=80000000", "cdq.4\nexit 0", "edx=ffffffff", OUT_0, 0},
        {"cwd", "eax=7fff8000 edx=12345678", "cdq.2\nexit 0", "edx=1234ffff", OUT_0, 0},
        {"cmov taken", "flags=z ecx=7", "cmov.z.4 eax, ecx\nexit 0", "eax=7", OUT_0, 0},
        {"cmov not taken", "flags=z ecx=7", "cmov.nz.4 eax, ecx\nexit 0", "", OUT_0, 0},
        {"setcc", "flags=so", "setcc.l.1 dh\nsetcc.nl.1 al\nexit 0", "edx=03030003 eax=01010101", OUT_0, 0},
        {"lahf", "flags=cpazso eax=0", "lahf\nexit 0", "eax=d700", OUT_0, 0},
        {"sahf keeps OF", "flags=cso eax=4100", "sahf\nexit 0", "flags=czo", OUT_0, 0},
        {"div", "eax=64 edx=0 ebx=7", "div.4 ebx\nexit 0", "eax=e edx=2", OUT_0, 0},
        {"mul", "eax=80000000 ebx=4", "mul1.4 ebx\nadd.4 eax, 0\nexit 0", "eax=0 edx=2 flags=pz", OUT_0, 0},
    };

    CHECK(cases, NULL);
}

static void test_arithmetic(void **state)
{
    static const struct run_case cases[] = {
        {"add", "eax=7fffffff ecx=1", "add.4 eax, ecx\nexit 0", "eax=80000000 flags=paso", OUT_0, 0},
        {"add high", "eax=ff00 ecx=1", "add.1 ah, cl\nexit 0", "eax=0 flags=cpaz", OUT_0, 0},
        {"add high constant", "edx=ff00", "add.1 dh, 1\nexit 0", "edx=0 flags=cpaz", OUT_0, 0},
        {"adc", "eax=1 ecx=1 flags=c", "adc.4 eax, ecx\nexit 0", "eax=3 flags=p", OUT_0, 0},
        {"sbb esp", "esp=0 flags=c", "sbb.4 esp, 0\nexit 0", "esp=ffffffff flags=cpas", OUT_0, 0},
        {"inc keeps the carry", "eax=ffffffff flags=c", "inc.4 eax\nexit 0", "eax=0 flags=cpaz", OUT_0, 0},
        {"dec 16", "eax=10000", "dec.2 ax\nexit 0", "eax=1ffff flags=pas", OUT_0, 0},
        {"neg", "ebp=1", "neg.4 ebp\nexit 0", "ebp=ffffffff flags=cpas", OUT_0, 0},
        {"shift by cl of nothing", "ecx=20 flags=cpazso eax=1", "shl.4 eax, cl\nexit 0", "", OUT_0, 0},
        {"shl one", "eax=80000001", "shl.4 eax, 1\nand.4 eax, eax\nexit 0", "eax=2 flags=-", OUT_0, 0},
        {"rcl through", "eax=80000000 flags=c", "rcl.4 eax, 1\nexit 0", "eax=1 flags=co", OUT_0, 0},
        {"rol keeps the others", "eax=80000000 flags=zsp", "rol.4 eax, 1\nexit 0", "eax=1 flags=czspo", OUT_0, 0},
        {"shld", "eax=1 ebx=80000000", "shld.4 eax, ebx, 1\nand.4 eax, eax\nexit 0", "eax=3 flags=p", OUT_0, 0},
        {"imul3", "ecx=3", "imul3.4 eax, ecx, 0x1000\nand.4 eax, eax\nexit 0", "eax=3000 flags=p", OUT_0, 0},
        {"bt", "eax=8 ecx=23 flags=z", "bt.4 eax, ecx\nsetcc.b.1 dl\nexit 0", "edx=03030301 flags=cz", OUT_0, 0},
        {"bts", "eax=0 flags=-", "bts.4 eax, 31\nexit 0", "eax=80000000", OUT_0, 0},
        {"xadd", "eax=2 ecx=5", "xadd.4 eax, ecx\nexit 0", "eax=7 ecx=2 flags=-", OUT_0, 0},
        {"cmpxchg equal", "eax=2 ebx=2 ecx=9", "cmpxchg.4 ebx, ecx\nexit 0", "ebx=9 flags=pz", OUT_0, 0},
        {"cmpxchg other", "eax=2 ebx=1 ecx=9", "cmpxchg.4 ebx, ecx\nexit 0", "eax=1 flags=-", OUT_0, 0},
        {"cmc", "flags=cz", "cmc\nexit 0", "flags=z", OUT_0, 0},
        /* The flags are looked for in EFLAGS behind an op that made the block park them at its beginning. */
        {"div, then adc", "eax=64 edx=0 ebx=7 flags=c", "div.4 ebx\nadc.4 eax, 0\nexit 0", "eax=f edx=2 flags=p", OUT_0,
         0},
        {"div, then a branch", "eax=64 edx=0 ebx=7 flags=z",
         "block eip=1000 mode=05550007 linear=1000\nlink 0 forward 1800\nlink 1 forward 1900\n"
         "0 00001000+2 div ebx\ndiv.4 ebx\n1 00001002+2 jz\nexit_if.z 1\nexit 0",
         "eax=e edx=2", OUT_1, 0},
    };
    struct ir_host_flags host;

    host_probe_flags(&host);
    CHECK(cases, NULL);
}

/* Loads, stores and updates: straight, misaligned within a page, across pages, bounced, and met by a fault. */
static void test_memory(void **state)
{
    static const struct run_case cases[] = {
        {"load", "ebx=4000 m4000=11223344", "probe.4 r [ebx]\nmov.4 eax, m\nexit 0", "eax=11223344", OUT_0, 0},
        {"load with an address", "ebx=3000 ecx=200 m3808=aabb", "probe.2 r [ebx+ecx*4+8]\nmov.2 ax, m\nexit 0",
         "eax=0101aabb", OUT_0, 0},
        {"load from a constant address", "m5004=99887766", "probe.4 r [0x5004]\nadd.4 eax, m\nexit 0",
         "eax=9a897867 flags=s", OUT_0, 0},
        {"misaligned constant", "m5005=99887766", "probe.4 r [0x5005]\nmov.4 eax, m\nexit 0", "eax=99887766", OUT_0, 0},
        {"load keeps flags", "ebx=4000 m4000=11 flags=cpazso", "probe.1 r [ebx]\nmov.1 al, m\nexit 0", "eax=01010111",
         OUT_0, 0},
        {"load high", "ebx=4000 m4000=11", "probe.1 r [ebx]\nmov.1 bh, m\nexit 0", "ebx=1100", OUT_0, 0},
        {"load high, address in the same register", "eax=4000 m4000=11", "probe.1 r [eax]\nmov.1 ah, m\nexit 0",
         "eax=1100", OUT_0, 0},
        {"store high, address in the same register", "ecx=4000", "probe.1 w [ecx]\nmov.1 m, ch\nexit 0", "m4000=40",
         OUT_0, 0},
        {"add high to memory", "edx=4000 m4000=c1", "probe.1 rw [edx]\nadd.1 m, dh\nexit 0", "m4000=01 flags=c", OUT_0,
         0},
        {"cmp memory with high", "edx=4000 m4000=41", "probe.1 r [edx]\ncmp.1 m, dh\nexit 0", "flags=-", OUT_0, 0},
        {"misaligned in its page", "ebx=4ff9 m4ff9=11223344", "probe.4 r [ebx]\nmov.4 eax, m\nexit 0", "eax=11223344",
         OUT_0, 0},
        {"across pages", "ebx=4ffe m4ffe=11223344", "probe.4 r [ebx]\nmov.4 eax, m\nexit 0", "eax=11223344", OUT_0, 1},
        {"8 across pages", "ebx=4ffd m4ffd=1122334455667788 eax=55667788 edx=11223344 ecx=9",
         "probe.8 rw [ebx]\ncmpxchg8b.8 m\nexit 0", "m4ffd=0000000900004ffd flags=z", OUT_0, 2},
        {"store", "ebx=4000 eax=5", "probe.4 w [ebx]\nmov.4 m, eax\nexit 0", "m4000=00000005", OUT_0, 0},
        {"store constant", "ebx=4002", "probe.2 w [ebx]\nmov.2 m, -2\nexit 0", "m4002=fffe", OUT_0, 0},
        {"store across pages", "ebx=4fff eax=11223344", "probe.4 w [ebx]\nmov.4 m, eax\nexit 0", "m4fff=11223344",
         OUT_0, 2},
        {"bounced store", "ebx=8000 eax=11223344 flags=cpazso", "probe.4 w [ebx]\nmov.4 m, eax\nexit 0",
         "m8000=11223344", OUT_0, 2},
        {"bounced update", "ebx=8000 eax=1 m8000=ffffffff", "probe.4 rw [ebx]\nadd.4 m, eax\nexit 0",
         "m8000=00000000 flags=cpaz", OUT_0, 2},
        {"bounced update, flags before", "ebx=8000 eax=1 m8000=00000001 flags=c",
         "probe.4 rw [ebx]\nadc.4 m, eax\nexit 0", "m8000=00000003 flags=p", OUT_0, 2},
        {"bounced inc keeps the carry", "ebx=9000 m9000=ff flags=c", "probe.1 rw [ebx]\ninc.1 m\nexit 0",
         "m9000=00 flags=cpaz", OUT_0, 2},
        {"bounced xchg", "ebx=9000 eax=77 m9000=00000055", "probe.4 rw [ebx]\nxchg.4 m, eax\nexit 0",
         "m9000=00000077 eax=55", OUT_0, 2},
        {"bounced high", "edx=9000 m9000=01", "probe.1 rw [edx]\nadd.1 m, dh\nexit 0", "m9000=91 flags=s", OUT_0, 2},
        {"bounced setcc", "ebx=9000 flags=z", "probe.1 w [ebx]\nsetcc.z.1 m\nexit 0", "m9000=01", OUT_0, 2},
        {"beside code", "ebx=a03f eax=55", "probe.1 w [ebx]\nmov.1 m, al\nexit 0", "ma03f=55", OUT_0, 0},
        {"beside code, update", "edx=a080 ma080=01 ecx=66", "probe.1 rw [edx]\nxor.1 m, cl\nexit 0", "ma080=67 flags=-",
         OUT_0, 0},
        {"beside code, wide", "ebx=a03c eax=55667788", "probe.4 w [ebx]\nmov.4 m, eax\nexit 0", "ma03c=55667788", OUT_0,
         0},
        {"onto code", "ebx=a040 eax=55", "probe.1 w [ebx]\nmov.1 m, al\nexit 0", "ma040=55", OUT_0, 2},
        {"onto code, the last byte", "ebx=a03d eax=55667788", "probe.4 w [ebx]\nmov.4 m, eax\nexit 0", "ma03d=55667788",
         OUT_0, 2},
        {"onto code, the first byte", "ebx=a07f eax=7788", "probe.2 rw [ebx]\nmov.2 m, ax\nexit 0", "ma07f=7788", OUT_0,
         2},
        {"locked", "ebx=4000 m4000=00000001", "probe.4 rw [ebx]\nlock inc.4 m\nexit 0", "m4000=00000002 flags=-", OUT_0,
         0},
        {"bounced read", "ebx=9000 m9000=00000007", "probe.4 r [ebx]\nmov.4 eax, m\nexit 0", "eax=7", OUT_0, 1},
        {"probe address in a temp", "ebx=4000 m4010=12",
         "lea.4 t0, [ebx+16]\nlea.4 t1, [t0]\nprobe.1 r [t1]\nmovzx.4.1 "
         "eax, m\nadd.4 t1, 1\nmov.4 ecx, t1\nexit 0",
         "eax=12 ecx=4011 flags=p", OUT_0, 0},
        {"pop into its own address", "ebx=4000 m4000=11223344", "probe.4 r [ebx]\nmov.4 ebx, m\nexit 0", "ebx=11223344",
         OUT_0, 0},
        {"two accesses", "ebx=4000 ecx=5000 m4000=11223344",
         "probe.4 r [ebx]\nmov.4 t0, m\nprobe.4 w [ecx]\nmov.4 m, t0\nlea.4 ebx, [ebx+4]\nexit 0",
         "m5000=11223344 ebx=4004", OUT_0, 0},
        {"fault: nothing has happened", "ebx=11000 flags=cpa", "probe.4 r [ebx]\nmov.4 eax, m\nexit 0", "",
         NATIVE_LEAVE_FAULT, 1},
        {"fault at the second", "ebx=4000 ecx=11000 flags=zs",
         "probe.4 r [ebx]\nmov.4 t0, m\nprobe.4 w [ecx]\nmov.4 m, t0\nlea.4 ebx, [ebx+4]\nexit 0", "",
         NATIVE_LEAVE_FAULT, 1},
        {"fault in the second page", "ebx=10ffe eax=1", "probe.4 rw [ebx]\nadd.4 m, eax\nexit 0", "",
         NATIVE_LEAVE_FAULT, 1},
        {"fault with flags from a recipe", "eax=1 ecx=ffffffff ebx=11000",
         "block eip=1000 mode=05550007 linear=1000\nlink 0 forward 1800\n0 00001000+2 add\nadd.4 eax, ecx\n"
         "1 00001002+2 mov\nprobe.4 r [ebx]\nmov.4 edx, m\nexit 0",
         "eax=0 flags=cpaz", NATIVE_LEAVE_FAULT, 1},
        {"flags survive a probe", "eax=1 ecx=ffffffff ebx=4000 m4000=00000009",
         "block eip=1000 mode=05550007 linear=1000\nlink 0 forward 1800\n0 00001000+2 add\nadd.4 eax, ecx\n"
         "1 00001002+2 mov\nprobe.4 r [ebx]\nmov.4 eax, m\n2 00001004+2 adc\nadc.4 edx, 0\nexit 0",
         "eax=9 edx=03030304 flags=-", OUT_0, 0},
    };

    CHECK(cases, NULL);
}

/* A store that hits code: the instruction comes to its end, with its flags, and no further. */
static void leave_at_commit(struct harness *h)
{
    h->leave_at_commit = true;
}

static void test_leaving_at_store(void **state)
{
#define TWO(first, second)                                                                                             \
    "block eip=1000 mode=05550007 linear=1000\nlink 0 forward 1800\n0 00001000+2 cmp\ncmp.4 eax, eax\n"                \
    "1 00001002+2 store\n" first "\n2 00001004+2 next\n" second "\nexit 0"
    static const struct run_case cases[] = {
        {"store", "ebx=9000 eax=5", TWO("probe.4 w [ebx]\nmov.4 m, eax", "mov.4 eax, 99"), "m9000=00000005 flags=pz",
         NATIVE_LEAVE_LOOKUP, 2},
        {"push", "esp=9004 eax=5", TWO("probe.4 w [esp-4]\nmov.4 m, eax\nlea.4 esp, [esp-4]", "mov.4 eax, 99"),
         "m9000=00000005 esp=9000 flags=pz", NATIVE_LEAVE_LOOKUP, 2},
        {"update", "ebx=9000 ecx=1 m9000=ffffffff", TWO("probe.4 rw [ebx]\nadd.4 m, ecx", "sub.4 eax, 99"),
         "m9000=00000000 flags=cpaz", NATIVE_LEAVE_LOOKUP, 2},
        /* What follows defines all flags, yet at this boundary those that the instruction keeps must be there. */
        {"rol keeps flags that are dead behind", "ebx=9000 m9000=00000001",
         TWO("probe.4 rw [ebx]\nrol.4 m, 1", "sub.4 eax, 99"), "m9000=00000002 flags=pz", NATIVE_LEAVE_LOOKUP, 2},
        {"inc keeps the carry that is dead behind", "ebx=9000 m9000=00000000",
         "block eip=1000 mode=05550007 linear=1000\nlink 0 forward 1800\n0 00001000+2 stc\nstc\n"
         "1 00001002+2 store\nprobe.4 rw [ebx]\ninc.4 m\n2 00001004+2 next\nsub.4 eax, 99\nexit 0",
         "m9000=00000001 flags=c", NATIVE_LEAVE_LOOKUP, 2},
        {"bts keeps flags that are dead behind", "ebx=9000 m9000=00000000",
         TWO("probe.4 rw [ebx]\nbts.4 m, 4", "sub.4 eax, 99"), "m9000=00000010 flags=pz", NATIVE_LEAVE_LOOKUP, 2},
        {"cmpxchg8b keeps flags that are dead behind", "ebx=9000 ecx=0 edx=1 eax=2 m9000=0000000100000002",
         TWO("probe.8 rw [ebx]\ncmpxchg8b.8 m", "sub.4 eax, 99"), "m9000=0000000000009000 flags=pz",
         NATIVE_LEAVE_LOOKUP, 2},
    };

    CHECK(cases, leave_at_commit);
#undef TWO
}

/* Where the pushed EIP says to go on. */
static void test_leaving_address(void **state)
{
    struct harness *h = harness_create(host_has_lahf());

    h->leave_at_commit = true;
    h->cpu->state.gpr[GPR_BX] = BOUNCED_PAGE << 12;
    h->cpu->state.gpr[GPR_SP] = (BOUNCED_PAGE << 12) + 8;
    harness_compile(h,
                    "block eip=1000 mode=05550007 linear=1000\nlink 0 forward 1800\n0 00001000+2 a\nprobe.4 w [ebx]\n"
                    "mov.4 m, eax\n1 00001002+3 b\nmov.4 eax, 5\nexit 0",
                    true);
    assert_int_equal(harness_run(h), NATIVE_LEAVE_LOOKUP);
    assert_int_equal(h->cpu->state.rip, 0x1002);
    /* CALL rel: at the target. CALL reg: at the register. */
    harness_compile(h,
                    "block eip=1000 mode=05550007 linear=1000\nlink 0 forward 1800\n0 00001000+5 call\n"
                    "probe.4 w [esp-4]\nmov.4 m, 4101\nlea.4 esp, [esp-4]\nexit 0",
                    true);
    assert_int_equal(harness_run(h), NATIVE_LEAVE_LOOKUP);
    assert_int_equal(h->cpu->state.rip, 0x1800);
    h->cpu->state.gpr[GPR_SI] = 0x1234;
    harness_compile(h,
                    "block eip=1000 mode=05550007 linear=1000\n0 00001000+2 call esi\n"
                    "probe.4 w [esp-4]\nmov.4 m, 4098\nlea.4 esp, [esp-4]\nexit_indirect esi",
                    true);
    assert_int_equal(harness_run(h), NATIVE_LEAVE_LOOKUP);
    assert_int_equal(h->cpu->state.rip, 0x1234);
    assert_int_equal(h->cpu->state.gpr[GPR_SP], BOUNCED_PAGE << 12);
    harness_destroy(h);
}

static void test_exits(void **state)
{
#define LOOP(kind, width) "exit_loop." width " " kind " 1\nexit 0"
#define BACK              "block eip=1000 mode=05550007 linear=1000\nlink 0 forward 1800\nlink 1 backward 0900\n0 00001000+2 loop\n"
    static const struct run_case cases[] = {
        {"jz taken", "flags=z", "exit_if.z 1\nexit 0", "", OUT_1, 0},
        {"jz not taken", "flags=c", "exit_if.z 1\nexit 0", "", OUT_0, 0},
        {"jl backward taken", "flags=s", BACK "exit_if.l 1\nexit 0", "", OUT_1, 0},
        {"jl backward not taken", "flags=so", BACK "exit_if.l 1\nexit 0", "", OUT_0, 0},
        {"loop", "ecx=2 flags=cz", LOOP("count", "4"), "ecx=1", OUT_1, 0},
        {"loop ends", "ecx=1", LOOP("count", "4"), "ecx=0", OUT_0, 0},
        {"loop wraps", "ecx=0", BACK LOOP("count", "4"), "ecx=ffffffff", OUT_1, 0},
        {"loop 16", "ecx=50001", LOOP("count", "2"), "ecx=50000", OUT_0, 0},
        {"loop 16 wraps", "ecx=50000 flags=cpazso", BACK LOOP("count", "2"), "ecx=5ffff", OUT_1, 0},
        {"loope goes on", "ecx=2 flags=z", LOOP("zero", "4"), "ecx=1", OUT_1, 0},
        {"loope: not zero", "ecx=2", LOOP("zero", "4"), "ecx=1", OUT_0, 0},
        {"loope: count", "ecx=1 flags=z", BACK LOOP("zero", "4"), "ecx=0", OUT_0, 0},
        {"loope 16: count", "ecx=70001 flags=z", BACK LOOP("zero", "2"), "ecx=70000", OUT_0, 0},
        {"loope 16: not zero", "ecx=70002", BACK LOOP("zero", "2"), "ecx=70001", OUT_0, 0},
        {"loopne goes on", "ecx=2", BACK LOOP("not_zero", "2"), "ecx=1", OUT_1, 0},
        {"loopne: zero", "ecx=2 flags=z", LOOP("not_zero", "4"), "ecx=1", OUT_0, 0},
        {"jecxz taken", "ecx=0 flags=cpazso", LOOP("counter_zero", "4"), "", OUT_1, 0},
        {"jecxz not taken", "ecx=10000", LOOP("counter_zero", "4"), "", OUT_0, 0},
        {"jcxz taken", "ecx=10000", BACK LOOP("counter_zero", "2"), "", OUT_1, 0},
        {"jcxz not taken", "ecx=1", LOOP("counter_zero", "2"), "", OUT_0, 0},
        {"flags at a backward edge", "eax=1 ecx=ffffffff",
         "block eip=1000 mode=05550007 linear=1000\nlink 0 backward 0900\n0 00001000+2 add\nadd.4 eax, ecx\nexit 0",
         "eax=0 flags=cpaz", OUT_0, 0},
        {"another page, nothing known of it", "flags=cz",
         "block eip=1000 mode=05550007 linear=1000\nlink 0 other_page 5000\n0 00001000+2 jmp\nexit 0", "", OUT_0, 0},
    };

    CHECK(cases, NULL);
#undef LOOP
#undef BACK
}

static void test_segments(void **state)
{
    struct harness *h = harness_create(host_has_lahf());
    struct segment *ds = &h->cpu->state.segment[SEG_DS];

    ds->base = 0x4000;
    ds->read_end = ds->write_end = 0x100;
    memset(h->memory[4], 0x5a, 4096);
    harness_compile(h,
                    "block eip=1000 mode=00000007 linear=1000\nlink 0 forward 1800\n0 00001000+2 a\n"
                    "segment.4 t0, ds.4 r [ebx+4]\nprobe.4 r [t0]\nmov.4 eax, m\nexit 0",
                    true);
    static const struct {
        uint32_t offset;
        bool fits;
    } tries[] = {{0, true},          {0xf8, true},        {0xf9, false},      {0xfc, false},
                 {0xfffffffc, true}, {0xfffffffb, false}, {0x7fffffff, false}};
    for (unsigned i = 0; i < sizeof tries / sizeof tries[0]; i++) {
        h->cpu->state.gpr[GPR_BX] = tries[i].offset;
        h->cpu->state.gpr[GPR_AX] = 0;
        harness_set_flags(h, FLAG_CF | FLAG_OF);
        assert_int_equal(harness_run(h), tries[i].fits ? OUT_0 : NATIVE_LEAVE_FAULT);
        assert_int_equal(h->cpu->state.gpr[GPR_AX], tries[i].fits ? 0x5a5a5a5a : 0);
        assert_int_equal(harness_flags(h), FLAG_CF | FLAG_OF);
    }
    /* 64K segments: no compare, but an operand that straddles the end is met by the misaligned path. */
    ds->read_end = ds->write_end = 0x10000;
    ds->base = 0xfffffffffffff000 & 0xfffff000;
    harness_compile(h,
                    "block eip=1000 mode=0aaa0004 linear=1000\nlink 0 forward 1800\n0 00001000+2 a\n"
                    "segment.2 t0, ds.2 r [ebx]\nprobe.2 r [t0]\nmov.2 ax, m\nexit 0",
                    true);
    h->cpu->state.gpr[GPR_BX] = 0x55552000;
    assert_int_equal(harness_run(h), OUT_0);
    h->cpu->state.gpr[GPR_BX] = 0x5555ffff;
    assert_int_equal(harness_run(h), NATIVE_LEAVE_FAULT);
    h->cpu->state.gpr[GPR_BX] = 0x5555fffe;
    assert_int_equal(harness_run(h), OUT_0);
    assert_int_equal(h->misaligned, 0);
    harness_destroy(h);
}

static void test_calls(void **state)
{
    struct harness *h = harness_create(host_has_lahf());

    harness_compile(h,
                    "block eip=1000 mode=05550007 linear=1000\nlink 0 forward 1800\n0 00001000+2 add\nadd.4 eax, ecx\n"
                    "1 00001002+2 call\nlea.4 t0, [ebx+8]\ncallout t0\n2 00001004+1 next\nmov.4 esi, edx\nexit 0",
                    true);
    for (unsigned leave = 0; leave < 2; leave++) {
        h->leave_at_call = leave;
        h->cpu->state.gpr[GPR_AX] = 1;
        h->cpu->state.gpr[GPR_CX] = 0xffffffff;
        h->cpu->state.gpr[GPR_BX] = 0x1230;
        h->cpu->state.gpr[GPR_SI] = 1;
        assert_int_equal(harness_run(h), leave ? NATIVE_LEAVE_LOOKUP : OUT_0);
        assert_int_equal(h->seen_offset, 0x1238);
        assert_int_equal(cpu_arithmetic_to_eflags(h->seen_flags), FLAG_CF | FLAG_PF | FLAG_AF | FLAG_ZF);
        assert_int_equal(h->seen_gpr[GPR_AX], 0);
        assert_int_equal(h->cpu->state.gpr[GPR_SI], leave ? 1 : 0xd0d0);
        assert_int_equal(harness_flags(h), FLAG_CF | FLAG_PF | FLAG_AF | FLAG_ZF);
    }
    assert_int_equal(h->result->call_count, 1);
    assert_int_equal(h->calls[0].kind, NATIVE_CALLOUT);
    assert_int_equal(h->calls[0].eip, 0x1002);
    assert_int_equal(h->calls[0].next_eip, 0x1004);
    assert_int_equal(h->calls[0].remaining, 2);
    harness_compile(h, "block eip=1000 mode=05550007 linear=1000\n0 00001000+2 ud\nraise 6", true);
    assert_int_equal(harness_run(h), NATIVE_LEAVE_LOOKUP);
    assert_int_equal(h->calls[0].kind, NATIVE_RAISE);
    assert_int_equal(h->calls[0].vector, 6);
    assert_int_equal(h->misaligned, 0);
    harness_destroy(h);
}

/* DF is a bit of system_flags; REP-like instructions step forward or are the interpreter's. */
static void test_direction(void **state)
{
    struct harness *h = harness_create(host_has_lahf());

    h->cpu->state.system_flags = FLAG_IF | FLAG_IOPL;
    harness_set_flags(h, FLAG_CF | FLAG_SF);
    harness_compile(h, "block eip=1000 mode=05550007 linear=1000\nlink 0 forward 1800\n0 00001000+1 std\nstd\nexit 0",
                    true);
    assert_int_equal(harness_run(h), OUT_0);
    assert_int_equal(h->cpu->state.system_flags, FLAG_IF | FLAG_IOPL | FLAG_DF);
    assert_int_equal(harness_flags(h), FLAG_CF | FLAG_SF);
    const char *steps =
        "block eip=1000 mode=05550007 linear=1000\nlink 0 forward 1800\n0 00001000+1 movs\nstep_forward\n"
        "lea.4 esi, [esi+4]\nexit 0";
    h->cpu->state.gpr[GPR_SI] = 0;
    harness_compile(h, steps, true);
    assert_int_equal(harness_run(h), NATIVE_LEAVE_LOOKUP);
    assert_int_equal(h->calls[0].kind, NATIVE_INTERPRET);
    assert_int_equal(h->cpu->state.gpr[GPR_SI], 0);
    harness_compile(h, "block eip=1000 mode=05550007 linear=1000\nlink 0 forward 1800\n0 00001000+1 cld\ncld\nexit 0",
                    true);
    assert_int_equal(harness_run(h), OUT_0);
    assert_int_equal(h->cpu->state.system_flags, FLAG_IF | FLAG_IOPL);
    harness_compile(h, steps, true);
    assert_int_equal(harness_run(h), OUT_0);
    assert_int_equal(h->cpu->state.gpr[GPR_SI], 4);
    assert_int_equal(harness_flags(h), FLAG_CF | FLAG_SF);
    harness_destroy(h);
}

/* A block that does not fit, or has more temps than there are registers, is refused; nothing behind the end is touched.
 */
static void test_refusals(void **state)
{
    struct harness *h = harness_create(host_has_lahf());
    char message[256];
    const char *three = "block eip=1000 mode=05550007 linear=1000\nlink 0 forward 1800\n0 00001000+1 x\n"
                        "mov.4 t0, eax\nmov.4 t1, ecx\nmov.4 t2, edx\nmov.4 eax, t2\nmov.4 ecx, t1\nmov.4 edx, "
                        "t0\nexit 0 {place eflags}";

    assert_true(ir_parse(h->block, three, message, sizeof message));
    struct codegen_request request = {.block = h->block,
                                      .thunks = &h->thunks,
                                      .calls = h->calls,
                                      .call_capacity = 16,
                                      .link_tokens = {LINK_TOKEN(0), LINK_TOKEN(1)},
                                      .host_lahf = h->host_lahf};
    assert_false(codegen(&request, &h->emitter, h->result));
    harness_compile(h,
                    "block eip=1000 mode=05550007 linear=1000\nlink 0 forward 1800\n0 00001000+1 x\nprobe.4 rw [ebx]\n"
                    "add.4 m, eax\nexit 0",
                    true);
    uint32_t size = h->result->end - h->result->entry_eflags, start = 0x20000;
    for (uint32_t room = 0; room <= size; room++) {
        struct emitter e = {.writable = h->code, .position = start, .end = start + room};

        memset(h->code + start, 0xcc, size + 16);
        assert_int_equal(codegen(&request, &e, h->result), room == size);
        for (uint32_t i = room; i < size + 16; i++)
            assert_int_equal(h->code[start + i], 0xcc);
    }
    request.call_capacity = 0;
    assert_true(ir_parse(h->block, "block eip=1000 mode=05550007\n0 00001000+2 ud\nraise 6", message, sizeof message));
    assert_false(codegen(&request, &h->emitter, h->result));
    harness_destroy(h);
}

/* Fields that are patched while the code may run: 4-byte aligned, whatever comes before. */
static void test_field_alignment(void **state)
{
    struct harness *h = harness_create(host_has_lahf());

    for (unsigned n = 0; n < 8; n++) {
        char text[512] =
            "block eip=1000 mode=05550007 linear=1000\nlink 0 other_page 5800\nlink 1 forward 1900\n0 00001000+3 x\n";

        for (unsigned i = 0; i < n; i++)
            strcat(text, "cmc\n");
        strcat(text, "exit_if.c 1\nexit 0");
        for (char *c; (c = strstr(text, "if.c ")) != NULL;)
            memcpy(c, "if.b ", 5);
        harness_compile(h, text, true);
        assert_int_equal(h->result->exits[0].field & 3, 0);
        assert_int_equal(h->result->exits[1].field & 3, 0);
        assert_int_equal(h->result->exits[0].guard & 7, 0);
        assert_true(h->result->exits[0].guard != 0);
        assert_int_equal(h->result->exits[1].guard, 0);
    }
    harness_destroy(h);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_registers),       cmocka_unit_test(test_arithmetic),
        cmocka_unit_test(test_memory),          cmocka_unit_test(test_leaving_at_store),
        cmocka_unit_test(test_leaving_address), cmocka_unit_test(test_exits),
        cmocka_unit_test(test_segments),        cmocka_unit_test(test_calls),
        cmocka_unit_test(test_direction),       cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_field_alignment),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* A fault at each access of instructions that make several: as the interpreter has it, and with the state of the
 * instruction's beginning. Code at CPL 3, so that every stack pointer can be bad. */
#include "engine_pair.h"

/* Flags come from ADD, so that they must be brought home from a recipe; the instruction tried is at 20002h. */
static const struct {
    const char *name, *code;
} cases[] = {
    {"xchg", /* add ecx, edx; xchg [esi], eax; hlt */
     "01 d1 87 06 f4 "},
    {"add", /* add ecx, edx; add [edi], eax; hlt */
     "01 d1 01 07 f4 "},
    {"adc", /* add ecx, edx; adc [esi], eax; hlt */
     "01 d1 11 06 f4 "},
    {"inc", /* add ecx, edx; inc dword [edi]; hlt */
     "01 d1 ff 07 f4 "},
    {"rol", /* add ecx, edx; rol dword [edi], 1; hlt */
     "01 d1 d1 07 f4 "},
    {"bts", /* add ecx, edx; bts dword [edi], 3; hlt */
     "01 d1 0f ba 2f 03 f4 "},
    {"bts register", /* add ecx, edx; bts [edi], ebp; hlt */
     "01 d1 0f ab 2f f4 "},
    {"push m", /* add ecx, edx; push dword [esi]; hlt */
     "01 d1 ff 36 f4 "},
    {"pop m", /* add ecx, edx; pop dword [edi]; hlt */
     "01 d1 8f 07 f4 "},
    {"pop m by esp", /* add ecx, edx; pop dword [esp+4]; hlt */
     "01 d1 8f 44 24 04 f4 "},
    {"movs", /* add ecx, edx; movsd; hlt */
     "01 d1 a5 f4 "},
    {"movsw", /* add ecx, edx; movsw; hlt */
     "01 d1 66 a5 f4 "},
    {"cmps", /* add ecx, edx; cmpsd; hlt */
     "01 d1 a7 f4 "},
    {"stos", /* add ecx, edx; stosd; hlt */
     "01 d1 ab f4 "},
    {"lods", /* add ecx, edx; lodsd; hlt */
     "01 d1 ad f4 "},
    {"scas", /* add ecx, edx; scasd; hlt */
     "01 d1 af f4 "},
    {"call m", /* add ecx, edx; call [esi]; hlt */
     "01 d1 ff 16 f4 "},
    {"call rel", /* add ecx, edx; call 0x20040; hlt */
     "01 d1 e8 39 00 00 00 f4 "},
    {"call r", /* add ecx, edx; call ebx; hlt */
     "01 d1 ff d3 f4 "},
    {"jmp m", /* add ecx, edx; jmp [esi]; hlt */
     "01 d1 ff 26 f4 "},
    {"ret", /* add ecx, edx; ret; hlt */
     "01 d1 c3 f4 "},
    {"ret n", /* add ecx, edx; ret 8; hlt */
     "01 d1 c2 08 00 f4 "},
    {"leave", /* add ecx, edx; leave; hlt */
     "01 d1 c9 f4 "},
    {"enter", /* add ecx, edx; enter 8, 1; hlt */
     "01 d1 c8 08 00 01 f4 "},
    {"pusha", /* add ecx, edx; pusha; hlt */
     "01 d1 60 f4 "},
    {"popa", /* add ecx, edx; popa; hlt */
     "01 d1 61 f4 "},
    {"push r", /* add ecx, edx; push eax; hlt */
     "01 d1 50 f4 "},
    {"push esp", /* add ecx, edx; push esp; hlt */
     "01 d1 54 f4 "},
    {"pop esp", /* add ecx, edx; pop esp; hlt */
     "01 d1 5c f4 "},
    {"pushf", /* add ecx, edx; pushf; hlt */
     "01 d1 9c f4 "},
    {"cmpxchg8b", /* add ecx, edx; cmpxchg8b [edi]; hlt */
     "01 d1 0f c7 0f f4 "},
    {"cmpxchg", /* add ecx, edx; cmpxchg [edi], ebx; hlt */
     "01 d1 0f b1 1f f4 "},
    {"xadd", /* add ecx, edx; xadd [edi], eax; hlt */
     "01 d1 0f c1 07 f4 "},
    {"shld", /* add ecx, edx; shld [edi], eax, 3; hlt */
     "01 d1 0f a4 07 03 f4 "},
    {"setcc", /* add ecx, edx; setb [edi]; hlt */
     "01 d1 0f 92 07 f4 "},
    {"mov high", /* add ecx, edx; mov [edi], ch; hlt */
     "01 d1 88 2f f4 "},
    {"div", /* add ecx, edx; div dword [esi]; hlt */
     "01 d1 f7 36 f4 "},
    {"imul", /* add ecx, edx; imul esi, [esi]; hlt */
     "01 d1 0f af 36 f4 "},
};

/* Where a pointer may point: fine, nowhere, to what cannot be written, and across into those. */
static const uint32_t pointers[] = {HIGH + 0x100, HIGH + 0x1000, HIGH + 0x2000,
                                    HIGH + 0xffe, HIGH + 0x3ffe, HIGH + 0x3fff};
#define POINTERS (sizeof pointers / sizeof pointers[0])

static void check(struct engine_pair *p, const char *name, unsigned esi, unsigned edi, unsigned esp, unsigned ebp)
{
    static const uint32_t gpr[4] = {0x11223344, 0x7fffffff, 0x00000001, 0x00020040};
    static uint8_t before[0x5000];
    uint8_t *data = p->machine[TIER1]->memory->ram + DATA;
    char what[96];

    snprintf(what, sizeof what, "%s, esi %x edi %x esp %x ebp %x", name, pointers[esi], pointers[edi], pointers[esp],
             pointers[ebp]);
    for (unsigned i = 0; i < ENGINES; i++) {
        struct vcpu *cpu = p->machine[i]->cpu;

        for (unsigned w = 0; w < 0x5000; w += 4) /* all words are addresses of HLT */
            memcpy(p->machine[i]->memory->ram + DATA + w, &(uint32_t){CODE + 0x40}, 4);
        machine_segments(p->machine[i], 3);
        cpu->state.rip = CODE;
        for (unsigned n = 0; n < 4; n++)
            cpu->state.gpr[n] = gpr[n];
        cpu->state.gpr[GPR_SI] = pointers[esi];
        cpu->state.gpr[GPR_DI] = pointers[edi];
        cpu->state.gpr[GPR_SP] = pointers[esp];
        cpu->state.gpr[GPR_BP] = pointers[ebp];
        cpu->state.halted = false;
    }
    memcpy(before, data, sizeof before);
    pair_run(p, what);
    const struct cpu_state *s = pair_state(p);
    if (s->rip != HANDLERS + 14 * 16 + 1)
        return;
    uint32_t eip = pair_read32(p, (uint32_t)s->gpr[GPR_SP] + 4), flags = pair_read32(p, (uint32_t)s->gpr[GPR_SP] + 12);
    uint32_t pushed_esp = pair_read32(p, (uint32_t)s->gpr[GPR_SP] + 16);
    if (eip != CODE + 2)
        return; /* not at the instruction tried: where it went to */
    if ((flags & FLAG_ARITHMETIC) != (FLAG_OF | FLAG_SF | FLAG_AF | FLAG_PF))
        fail_msg("%s: flags %x", what, flags);
    bool same = s->gpr[GPR_AX] == gpr[0] && s->gpr[GPR_CX] == 0x80000000 && s->gpr[GPR_DX] == gpr[2] &&
                s->gpr[GPR_BX] == gpr[3] && s->gpr[GPR_SI] == pointers[esi] && s->gpr[GPR_DI] == pointers[edi] &&
                s->gpr[GPR_BP] == pointers[ebp] && pushed_esp == pointers[esp];
    if (!same)
        fail_msg("%s: registers changed", what);
    bool partial = !strcmp(name, "pusha") || !strcmp(name, "enter"); /* may have stored what came before */
    if (!partial && memcmp(before, data, sizeof before))
        fail_msg("%s: memory changed", what);
}

/* Each STEPth combination. */
static void run_cases(const struct translate_options *options, unsigned step)
{
    struct engine_pair *p = pair_create(options);

    for (unsigned c = 0; c < sizeof cases / sizeof cases[0]; c++) {
        pair_start(p, 3, CODE, STACK);
        pair_map(p, HIGH, DATA, 7);
        pair_map(p, HIGH + 0x1000, 0, 0);
        pair_map(p, HIGH + 0x2000, DATA + 0x2000, 5);
        pair_map(p, HIGH + 0x3000, DATA + 0x1000, 7);
        pair_map(p, HIGH + 0x4000, DATA + 0x3000, 5);
        pair_code(p, CODE, cases[c].code);
        pair_code(p, CODE + 0x40, "f4");
        for (unsigned esi = 0; esi < POINTERS; esi++)
            for (unsigned edi = 0; edi < POINTERS; edi++)
                for (unsigned esp = (esi + edi) % step; esp < POINTERS; esp += step)
                    check(p, cases[c].name, esi, edi, esp, (esi + edi) % POINTERS);
    }
    pair_expect_native(p);
    pair_destroy(p);
}

static void test_faults(void **state)
{
    struct translate_options options = at_once();

    run_cases(&options, 1);
}

static void test_faults_baseline(void **state)
{
    struct translate_options options = at_once();

    options.baseline = true;
    run_cases(&options, 2);
}

/* Each pass switched off, and all. */
static void test_faults_without_passes(void **state)
{
    for (unsigned i = 0; ir_passes[i].name; i++) {
        struct translate_options options = at_once();

        options.disabled_passes = i ? 1u << i : ~0u;
        run_cases(&options, 3);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_faults),
        cmocka_unit_test(test_faults_baseline),
        cmocka_unit_test(test_faults_without_passes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

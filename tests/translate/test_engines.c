/* Long random runs of both engines, compared: page tables that change all the time, budgets of counted time. */
#include "engine_pair.h"

/* ---- page tables ---- */

#define PAGES 12u /* from HIGH on, shown by frames 40000.. and 60000.. */

struct writer {
    uint8_t bytes[2048];
    size_t count;
};

static void put(struct writer *w, const char *hex)
{
    unsigned byte;

    for (int used; sscanf(hex, " %2x%n", &byte, &used) == 1; hex += used)
        w->bytes[w->count++] = (uint8_t)byte;
}

static void put32(struct writer *w, uint32_t value)
{
    memcpy(w->bytes + w->count, &value, 4);
    w->count += 4;
}

/* One random thing: a mapping is changed (and perhaps invalidated), or a page is read, written, updated, called. */
static void put_step(struct writer *w, uint64_t *random)
{
    uint32_t page = next_random(random) % PAGES, linear = HIGH + (page << 12);
    uint32_t where = linear + 0x100 + next_random(random) % 0xe00;

    switch (next_random(random) % 12) {
    case 0:
    case 1: { /* mov dword [pte], entry */
        static const uint32_t bits[] = {0, 1, 3, 5, 7, 7, 3, 0x103};
        uint32_t frame = (next_random(random) % 2 ? 0x40000 : 0x60000) + (next_random(random) % PAGES << 12);

        put(w, "c7 05");
        put32(w, HIGH_TABLE + page * 4);
        put32(w, frame | bits[next_random(random) % 8]);
        if (next_random(random) % 3) {
            put(w, "0f 01 3d"); /* invlpg [linear] */
            put32(w, linear);
        }
        break;
    }
    case 2:
        put(w, "0f 01 3d");
        put32(w, linear);
        break;
    case 3:
        put(w, "0f 20 d8 0f 22 d8");
        break; /* mov eax, cr3; mov cr3, eax */
    case 4:
        put(w, "8b 05");
        put32(w, where);
        break;
    case 5:
        put(w, "89 1d");
        put32(w, where);
        break;
    case 6:
        put(w, "01 05");
        put32(w, where);
        break;
    case 7:
        put(w, "87 1d");
        put32(w, linear + 0xffd);
        break; /* across, perhaps into the last page's neighbour */
    case 8:
        put(w, "bf");
        put32(w, linear + 0x10);
        put(w, "ff d7");
        break; /* mov edi; call edi */
    case 9:
        put(w, "0f b6 0d");
        put32(w, where);
        break;
    case 10:
        put(w, "11 d0 d1 d3");
        break; /* adc eax, edx; rcl ebx, 1 */
    case 11:
        put(w, "ff 35");
        put32(w, where);
        put(w, "5a");
        break; /* push [where]; pop edx */
    }
}

static void torture(const struct translate_options *options, unsigned rounds, uint64_t random)
{
    struct engine_pair *p = pair_create(options);

    pair_start(p, 0, CODE, STACK);
    /* #PF: the page becomes frame 40000 + page, present and writable; with every other fault all is flushed. */
    pair_code(p, HANDLERS + 14 * 16,
              /* jmp 0x3000 */
              "e9 1b 17 00 00 ");
    pair_code(p, 0x3000,
              /* push eax; push ecx; mov eax, cr2; mov ecx, eax; shr eax, 12; and eax, 15; inc dword [0x3800]; push edx;
               * mov edx, eax; shl edx, 12; add edx, 0x40007; mov [0x12000+eax*4], edx; pop edx; invlpg [ecx]; test byte
               * [0x3800], 1; jz done; mov eax, cr3; mov cr3, eax; done: pop ecx; pop eax; add esp, 4; iret */
              "50 51 0f 20 d0 89 c1 c1 e8 0c 83 e0 0f ff 05 00 38 00 00 52 89 c2 c1 e2 0c 81 c2 07 00 04 00 89 "
              "14 85 00 20 01 00 5a 0f 01 39 f6 05 00 38 00 00 01 0f 84 06 00 00 00 0f 20 d8 0f 22 d8 59 58 83 "
              "c4 04 cf ");
    for (uint32_t page = 0; page < 16; page++) {
        char code[64];

        for (unsigned copy = 0; copy < 2; copy++) {
            uint32_t frame = (copy ? 0x60000 : 0x40000) + (page << 12);

            snprintf(code, sizeof code, "83 c2 %02x 81 f3 %02x 00 %02x 00 c3", page + 1 + copy * 16, page, copy + 1);
            pair_code(p, frame + 0x10, code); /* add edx, n; xor ebx, n; ret */
        }
    }
    for (unsigned round = 0; round < rounds; round++) {
        struct writer w = {.count = 0};
        char what[48];

        for (unsigned i = 0; i < 40; i++)
            put_step(&w, &random);
        put(&w, "f4");
        pair_write(p, CODE, w.bytes, w.count);
        for (unsigned again = 0; again < 3; again++) {
            for (unsigned i = 0; i < ENGINES; i++) {
                p->machine[i]->cpu->state.rip = CODE;
                p->machine[i]->cpu->state.gpr[GPR_SP] = STACK;
            }
            snprintf(what, sizeof what, "round %u, run %u", round, again);
            pair_run(p, what);
            assert_int_equal(pair_state(p)->rip, CODE + w.count);
        }
    }
    assert_true(pair_read32(p, 0x3800) > rounds / 4);
    pair_expect_native(p);
    pair_destroy(p);
}

static void test_torture(void **state)
{
    struct translate_options options = at_once();

    torture(&options, 400, 1);
}

static void test_torture_variants(void **state)
{
    for (unsigned variant = 0; variant < 8; variant++) {
        struct translate_options options = at_once();

        options.baseline = variant == 0;
        options.threshold = variant == 1 ? 2 : 0;
        options.cache_size = variant == 2 ? 1u << 20 : options.cache_size;
        options.disabled_passes = variant >= 3 ? 1u << (variant - 3) : 0;
        options.block_limit = variant == 7 ? 3 : options.block_limit;
        torture(&options, 60, 100 + variant);
    }
}

/* ---- counted time ---- */

static const char counted_code[] =
    /* mov ecx, 7; again: add eax, ecx; adc edx, [0x40000]; push eax; call sub; pop ebx; loop again; mov edi,
     * 0x40020; stosd; xor ebp, ebp; div ebp; nop; jmp 0x20000; sub: inc dword [0x40000]; jz out; cpuid; mov
     * ecx, [esp+4]; and ecx, 3; inc ecx; out: ret */
    "b9 07 00 00 00 01 c8 13 15 00 00 04 00 50 e8 13 00 00 00 5b e2 ef bf 20 00 04 00 ab 31 ed f7 f5 "
    "90 e9 da ff ff ff ff 05 00 00 04 00 0f 84 0a 00 00 00 0f a2 8b 4c 24 04 83 e1 03 41 c3 ";

/* After every budget both engines are at the same instruction, with as many behind them as the budget was. */
static void test_budgets(void **state)
{
    struct engine_pair *p = pair_create_default();
    uint64_t random = 3;

    for (unsigned i = 0; i < ENGINES; i++) {
        struct bare_machine *m = p->machine[i];

        clock_destroy(m->clock);
        m->clock = m->cpu->clock = clock_create_counted(0, NULL, NULL);
        m->cpu->mode |= MODE_COUNTED;
    }
    pair_start(p, 0, CODE, STACK);
    pair_code(p, CODE, counted_code);
    /* #DE: over the DIV, which is 2 bytes long. */
    pair_code(p, HANDLERS, /* add dword [esp], 2; iret */
              "83 04 24 02 cf ");
    for (unsigned round = 0; round < 3000; round++) {
        unsigned budget = round < 200 ? round + 1 : 1 + next_random(&random) % 300;
        uint64_t before[ENGINES];
        char what[64];

        for (unsigned i = 0; i < ENGINES; i++) {
            assert_true(p->machine[i]->cpu->mode & MODE_COUNTED);
            before[i] = p->machine[i]->cpu->instructions;
            pair_run_one(p, i, budget);
        }
        snprintf(what, sizeof what, "round %u, budget %u", round, budget);
        for (unsigned i = 0; i < ENGINES; i++)
            if (p->machine[i]->cpu->instructions - before[i] != budget - (uint64_t)p->machine[i]->cpu->budget)
                fail_msg("%s: %s accounts for %llu instructions, %lld left", what, i ? "translator" : "interpreter",
                         (unsigned long long)(p->machine[i]->cpu->instructions - before[i]),
                         (long long)p->machine[i]->cpu->budget);
        assert_int_equal(p->machine[INTERP]->cpu->budget, p->machine[TIER1]->cpu->budget);
        assert_int_equal(clock_now(p->machine[INTERP]->clock), clock_now(p->machine[TIER1]->clock));
        pair_compare(p, what);
    }
    pair_expect_native(p);
    pair_destroy(p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_torture),
        cmocka_unit_test(test_torture_variants),
        cmocka_unit_test(test_budgets),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

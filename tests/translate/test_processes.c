/* What operating systems do to address spaces: many of them, switched all the time, and code that touches every page. */
#include "engine_pair.h"

#define PROCESSES 120u
#define SPACES    0x58000u /* their page directories */
#define LIST      0x41000u /* their CR3s, as the guest reads them */

/* Every process has the code and the data at the same linear addresses; the code is shared, the data of odd and even
 * processes differ. */
static void make_processes(struct engine_pair *p)
{
    for (unsigned n = 0; n < PROCESSES; n++) {
        uint32_t directory = SPACES + n * 0x1000;

        pair_write32(p, directory, TABLE | 7);
        pair_write32(p, directory + 4, (n & 1 ? 0x54000u : HIGH_TABLE) | 7);
        pair_write32(p, LIST + n * 4, directory);
    }
    pair_write32(p, LIST + PROCESSES * 4, 0);
    pair_map(p, HIGH, 0x52000, 7);
    pair_write32(p, 0x54000, 0x53000 | 7);
}

/* Switching costs no translations: what was made for the first process serves them all, and links stay. */
static void test_many_processes(void **state)
{
    struct engine_pair *p = pair_create_default();
    const struct stats *stats;

    pair_start(p, 0, CODE, STACK);
    make_processes(p);
    /* mov ebp, [0x40000]; round: mov esi, 0x41000; next: mov eax, [esi]; test eax, eax; jz done; mov cr3, eax; add
     * esi, 4; inc dword [0x400000]; add ebx, [0x400000]; call 0x21000; jmp next; done: dec ebp; jnz round; hlt */
    pair_code(p, CODE, "8b 2d 00 00 04 00 be 00 10 04 00 8b 06 85 c0 74 19 0f 22 d8 83 c6 04 ff 05 00 00 40 00 03 1d 00 "
                       "00 40 00 e8 d8 0f 00 00 eb e1 4d 75 d9 f4 ");
    pair_code(p, CODE + 0x1000, "83 c7 03 c3 "); /* add edi, 3; ret: on another page */
    pair_set(p, GPR_BX, 0);
    pair_set(p, GPR_DI, 0);
    pair_write32(p, DATA, 2);
    pair_run(p, "two rounds");
    stats = p->machine[TIER1]->cpu->stats;
    uint64_t made = stats->translations, cut = stats->chains_cut;
    for (unsigned i = 0; i < ENGINES; i++) {
        p->machine[i]->cpu->state.halted = false;
        p->machine[i]->cpu->state.rip = CODE;
    }
    pair_write32(p, DATA, 100);
    pair_run(p, "a hundred rounds");
    assert_int_equal(p->machine[TIER1]->cpu->state.gpr[GPR_DI], 3 * PROCESSES * 102);
    assert_true(stats->translations <= made + 2);
    assert_true(stats->chains_cut <= cut + 2);
    pair_destroy(p);
}

/* Reads and writes in every page of RAM that is not the machine's own tables, the code's page included. */
static void test_every_page(void **state)
{
    struct engine_pair *p = pair_create_default();

    pair_start(p, 0, CODE, STACK);
    /* mov edx, 20; again: mov edi, 0x20800; next: mov eax, [edi]; add ebx, eax; add eax, edi; mov [edi], eax; xor [edi +
     * 0x7fc], ebx; add edi, 0x1000; cmp edi, 0xff000; jb next; dec edx; jnz again; hlt */
    pair_code(p, CODE, "ba 14 00 00 00 bf 00 08 02 00 8b 07 01 c3 01 f8 89 07 31 9f fc 07 00 00 81 c7 00 10 00 00 81 ff "
                       "00 f0 0f 00 72 e4 4a 75 dc f4 ");
    pair_set(p, GPR_BX, 1);
    pair_run(p, "every page");
    assert_int_equal(p->machine[TIER1]->cpu->state.gpr[GPR_DI], 0xff800);
    pair_destroy(p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_many_processes), cmocka_unit_test(test_every_page)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}

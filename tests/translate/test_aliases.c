/* Code that is at several addresses, and pages that come to show something else under chained code. */
#include "engine_pair.h"

/* One frame under two linear addresses: the code adds its own address to EDX. */
static void test_two_linear_addresses(void **state)
{
    struct engine_pair *p = pair_create_default();

    pair_start(p, 0, CODE, STACK);
    pair_map(p, HIGH, 0x50000, 7);
    pair_map(p, HIGH + 0x7000, 0x50000, 7);
    pair_code(p, 0x50000,
              /* call next; next: pop ecx; add edx, ecx; mov al, 5; add ebx, eax; ret */
              "e8 00 00 00 00 59 01 ca b0 05 01 c3 c3 ");
    pair_code(p, CODE,
              /* xor edx, edx; xor ebx, ebx; xor eax, eax; mov esi, 100; again: mov edi, 0x400000; call edi; mov edi,
               * 0x407000; call edi; dec esi; jnz again; hlt */
              "31 d2 31 db 31 c0 be 64 00 00 00 bf 00 00 40 00 ff d7 bf 00 70 40 00 ff d7 4e 0f 85 eb ff ff ff "
              "f4 ");
    pair_run(p, "two addresses");
    assert_int_equal(pair_state(p)->gpr[GPR_DX], 100 * (0x400005 + 0x407005));
    assert_int_equal(pair_state(p)->gpr[GPR_BX], 200 * 5);
    pair_expect_native(p);
    /* A change by one address is seen through the other. */
    pair_code(p, CODE,
              /* xor ebx, ebx; xor eax, eax; mov esi, 50; again: mov edi, 0x407000; call edi; inc byte [0x400009]; dec
               * esi; jnz again; hlt */
              "31 db 31 c0 be 32 00 00 00 bf 00 70 40 00 ff d7 fe 05 09 00 40 00 4e 0f 85 ec ff ff ff f4 ");
    pair_state(p)->rip = p->machine[INTERP]->cpu->state.rip = CODE;
    pair_run(p, "a change by the other address");
    assert_int_equal(pair_state(p)->gpr[GPR_BX], 50 * 5 + 49 * 50 / 2);
    pair_destroy(p);
}

/* The same bytes through two CS:EIP pairs in real mode. */
static void test_two_code_segments(void **state)
{
    struct engine_pair *p = pair_create_default();

    pair_code(p, 0x8000,
              /* xor dx, dx; xor bx, bx; mov cx, 100; again: call 0x2000:0x0000; call 0x1fff:0x0010; call 0x1f00:0x1000;
               * loop again; hlt */
              "31 d2 31 db b9 64 00 9a 00 00 00 20 9a 10 00 ff 1f 9a 00 10 00 1f e2 ef f4 ");
    pair_code(p, 0x20000, /* call next; next: pop ax; add dx, ax; mov ax, cs; add bx, ax; retf */
              "e8 00 00 58 01 c2 8c c8 01 c3 cb ");
    for (unsigned i = 0; i < ENGINES; i++) {
        struct vcpu *cpu = p->machine[i]->cpu;

        cpu_reset(cpu);
        for (unsigned s = 0; s < SEG_COUNT; s++) {
            struct segment *segment = &cpu->state.segment[s];

            *segment = (struct segment){.base = s == SEG_CS ? 0x8000 : 0,
                                        .limit = 0xffff,
                                        .attributes = 0x93,
                                        .selector = s == SEG_CS ? 0x800 : 0};
            cpu_update_segment_ends(cpu, segment);
        }
        cpu_update_mode(cpu);
        cpu->state.rip = 0;
        cpu->state.gpr[GPR_SP] = 0x7000;
    }
    pair_run(p, "two segments");
    assert_int_equal(pair_state(p)->gpr[GPR_DX], 100 * (3 + 0x13 + 0x1003) & 0xffff);
    assert_int_equal(pair_state(p)->gpr[GPR_BX], 100 * (0x2000 + 0x1fff + 0x1f00) & 0xffff);
    pair_expect_native(p);
    pair_destroy(p);
}

/* A jumps to B in the next page; what is there changes by INVLPG, by MOV CR3, and not before. */
static void test_remapped_target(void **state)
{
    static const char one[] = /* add ebx, 1; ret */
        "83 c3 01 c3 ";
    static const char two[] = /* add ebx, 0x10000; ret */
        "81 c3 00 00 01 00 c3 ";
    struct engine_pair *p = pair_create_default();

    for (unsigned way = 0; way < 2; way++) {
        pair_start(p, 0, CODE, STACK);
        pair_map(p, 0x402000, 0x52000, 7);
        pair_map(p, 0x403000, 0x53000, 7);
        pair_code(p, 0x52000, /* jmp 0x403000 */
                  "e9 fb 0f 00 00 ");
        pair_code(p, 0x53000, one);
        pair_code(p, 0x54000, two);
        pair_code(p, CODE,
                  /* mov edi, 0x402000; mov edx, 50; again: mov ecx, 20; warm: call edi; dec ecx; jnz warm; xor dword
                   * [0x1200c], 0x7000; call edi; cmp ebp, 0; jne reload; invlpg [0x403000]; jmp done; reload: mov eax,
                   * cr3; mov cr3, eax; done: call edi; dec edx; jnz again; hlt */
                  "bf 00 20 40 00 ba 32 00 00 00 b9 14 00 00 00 ff d7 49 0f 85 f7 ff ff ff 81 35 0c 20 01 00 00 70 "
                  "00 00 ff d7 83 fd 00 0f 85 0c 00 00 00 0f 01 3d 00 30 40 00 e9 06 00 00 00 0f 20 d8 0f 22 d8 ff "
                  "d7 4a 0f 85 c2 ff ff ff f4 ");
        pair_set(p, GPR_BX, 0);
        pair_set(p, GPR_BP, way);
        pair_run(p, way ? "MOV CR3" : "INVLPG");
        /* 22 calls a round, the 22nd of which goes to the other page: at least that much is certain. */
        uint32_t sum = (uint32_t)pair_state(p)->gpr[GPR_BX];
        assert_int_equal((sum & 0xffff) + (sum >> 16), 50 * 22);
        assert_true(sum >> 16 > 100 && (sum & 0xffff) > 100);
    }
    pair_expect_native(p);
    pair_destroy(p);
}

/* Two address spaces with different code at one address, switched all the time, with the jump chained. */
static void test_address_spaces(void **state)
{
    struct engine_pair *p = pair_create_default();

    pair_start(p, 0, CODE, STACK);
    pair_map(p, 0x402000, 0x52000, 7);
    pair_map(p, 0x403000, 0x53000, 7);
    pair_code(p, 0x52000, /* add esi, 1; jmp 0x403000 */
              "83 c6 01 e9 f8 0f 00 00 ");
    pair_code(p, 0x53000, /* add ebx, 1; ret */
              "83 c3 01 c3 ");
    pair_code(p, 0x54000, /* add edx, 1; ret */
              "83 c2 01 c3 ");
    /* The second directory at 14000h, its table at 15000h. */
    pair_write32(p, 0x14000, TABLE | 7);
    pair_write32(p, 0x14004, 0x15000 | 7);
    pair_write32(p, 0x15008, 0x52000 | 7);
    pair_write32(p, 0x1500c, 0x54000 | 7);
    pair_code(p, CODE,
              /* mov edi, 0x402000; mov ebp, 3000; again: mov eax, 0x14000; mov cr3, eax; call edi; call edi; mov eax,
               * 0x10000; mov cr3, eax; call edi; dec ebp; jnz again; hlt */
              "bf 00 20 40 00 bd b8 0b 00 00 b8 00 40 01 00 0f 22 d8 ff d7 ff d7 b8 00 00 01 00 0f 22 d8 ff d7 "
              "4d 0f 85 e3 ff ff ff f4 ");
    pair_set(p, GPR_BX, 0);
    pair_set(p, GPR_DX, 0);
    pair_set(p, GPR_SI, 0);
    pair_run(p, "address spaces");
    assert_int_equal(pair_state(p)->gpr[GPR_BX], 3000);
    assert_int_equal(pair_state(p)->gpr[GPR_DX], 6000);
    assert_int_equal(pair_state(p)->gpr[GPR_SI], 9000);
    pair_destroy(p);
}

/* The target page goes away: the fault is at the target, with the caller's work done. */
static void test_unmapped_target(void **state)
{
    struct engine_pair *p = pair_create_default();

    pair_start(p, 0, CODE, STACK);
    pair_map(p, 0x402000, 0x52000, 7);
    pair_map(p, 0x403000, 0x53000, 7);
    pair_code(p, 0x52000, /* add esi, 1; jmp 0x403000 */
              "83 c6 01 e9 f8 0f 00 00 ");
    pair_code(p, 0x53000, /* add ebx, 1; ret */
              "83 c3 01 c3 ");
    pair_code(p, CODE,
              /* mov edi, 0x402000; mov ecx, 30; warm: call edi; dec ecx; jnz warm; and dword [0x1200c], -2; invlpg
               * [0x403000]; call edi; hlt */
              "bf 00 20 40 00 b9 1e 00 00 00 ff d7 49 0f 85 f7 ff ff ff 83 25 0c 20 01 00 fe 0f 01 3d 00 30 40 "
              "00 ff d7 f4 ");
    pair_set(p, GPR_BX, 0);
    pair_set(p, GPR_SI, 0);
    pair_run(p, "unmapped");
    assert_int_equal(pair_state(p)->rip, HANDLERS + 14 * 16 + 1);
    assert_int_equal(pair_state(p)->cr2, 0x403000);
    assert_int_equal(pair_state(p)->gpr[GPR_SI], 31);
    assert_int_equal(pair_state(p)->gpr[GPR_BX], 30);
    pair_destroy(p);
}

/* ---- misaligned operands over two frames that are not neighbours ---- */

static void test_two_frames(void **state)
{
    static const struct {
        const char *code; /* EDI: the operand */
        unsigned size;
    } cases[] = {
        {/* mov ax, [edi]; hlt */
         "66 8b 07 f4 ", 2},
        {/* mov eax, [edi]; hlt */
         "8b 07 f4 ", 4},
        {/* add eax, [edi]; hlt */
         "03 07 f4 ", 4},
        {/* movsx eax, word [edi]; hlt */
         "0f bf 07 f4 ", 2},
        {/* mov [edi], ax; hlt */
         "66 89 07 f4 ", 2},
        {/* mov [edi], eax; hlt */
         "89 07 f4 ", 4},
        {/* mov dword [edi], 0x11223344; hlt */
         "c7 07 44 33 22 11 f4 ", 4},
        {/* add [edi], eax; hlt */
         "01 07 f4 ", 4},
        {/* adc [edi], ax; hlt */
         "66 11 07 f4 ", 2},
        {/* inc dword [edi]; hlt */
         "ff 07 f4 ", 4},
        {/* lock add [edi], eax; hlt */
         "f0 01 07 f4 ", 4},
        {/* lock xadd [edi], eax; hlt */
         "f0 0f c1 07 f4 ", 4},
        {/* xchg [edi], eax; hlt */
         "87 07 f4 ", 4},
        {/* cmpxchg [edi], ebx; hlt */
         "0f b1 1f f4 ", 4},
        {/* lock cmpxchg8b [edi]; hlt */
         "f0 0f c7 0f f4 ", 8},
        {/* rol dword [edi], 3; hlt */
         "c1 07 03 f4 ", 4},
        {/* bts dword [edi], 9; hlt */
         "0f ba 2f 09 f4 ", 4},
        {/* not dword [edi]; hlt */
         "f7 17 f4 ", 4},
        {/* push dword [edi]; hlt */
         "ff 37 f4 ", 4},
        {/* pop dword [edi]; hlt */
         "8f 07 f4 ", 4},
        {/* stosd; hlt */
         "ab f4 ", 4},
        {/* mov esi, edi; lodsd; hlt */
         "89 fe ad f4 ", 4},
        {/* mov esi, 0x40100; movsd; hlt */
         "be 00 01 04 00 a5 f4 ", 4},
        {/* lea esp, [edi+4]; push eax; hlt */
         "8d 67 04 50 f4 ", 4},
        {/* mov esp, edi; pop eax; hlt */
         "89 fc 58 f4 ", 4},
        {/* test [edi], eax; setnz bl; hlt */
         "85 07 0f 95 c3 f4 ", 4},
        {/* fninit; fild qword [edi]; fistp qword [edi]; hlt */
         "db e3 df 2f df 3f f4 ", 8},
    };
    struct engine_pair *p = pair_create_default();
    uint8_t pattern[4096];

    for (unsigned c = 0; c < sizeof cases / sizeof cases[0]; c++)
        for (unsigned back = 0; back <= cases[c].size; back++) {
            char what[64];

            snprintf(what, sizeof what, "case %u, %u bytes before the end", c, back);
            pair_start(p, 0, CODE, STACK);
            pair_map(p, HIGH, 0x67000, 7);
            pair_map(p, HIGH + 0x1000, 0x63000, 7);
            for (unsigned i = 0; i < 4096; i++)
                pattern[i] = (uint8_t)(i * 5 + 1);
            pair_write(p, 0x67000, pattern, 4096);
            pair_write(p, 0x68000, pattern, 4096);
            for (unsigned i = 0; i < 4096; i++)
                pattern[i] = (uint8_t)(i * 3 + 0x81);
            pair_write(p, 0x63000, pattern, 4096);
            pair_code(p, CODE, cases[c].code);
            for (unsigned n = 0; n < 8; n++)
                if (n != GPR_SP)
                    pair_set(p, n, 0x80c0f001u + n * 0x1010101u);
            pair_set(p, GPR_DI, HIGH + 0x1000 - back);
            pair_run(p, what);
            assert_int_equal(pair_state(p)->rip & ~0xffu, CODE); /* no fault */
            for (unsigned i = 0; i < 16; i++)                    /* the frame behind the first is nobody's */
                assert_int_equal(p->machine[TIER1]->memory->ram[0x68000 + i], (uint8_t)(i * 5 + 1));
        }
    pair_expect_native(p);
    pair_destroy(p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_two_linear_addresses), cmocka_unit_test(test_two_code_segments),
        cmocka_unit_test(test_remapped_target),      cmocka_unit_test(test_address_spaces),
        cmocka_unit_test(test_unmapped_target),      cmocka_unit_test(test_two_frames),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* Code that changes under itself: by its own stores, by other threads, by the monitor; and stops asked for by another
 * thread at any moment. */
#include "engine_pair.h"

#include <pthread.h>
#include <unistd.h>

/* A store into the next instruction of the same block. */
static void test_next_instruction(void **state)
{
    static const char *const codes[] = {
        /* mov byte [0x20008], 5; mov al, 1; hlt */
        "c6 05 08 00 02 00 05 b0 01 f4 ",
        /* mov ecx, 20; again: inc byte [0x2000c]; mov al, 1; add ebx, eax; dec ecx; jnz again; hlt */
        "b9 14 00 00 00 fe 05 0c 00 02 00 b0 01 01 c3 49 0f 85 ef ff ff ff f4 ",
        /* mov ecx, 20; again: add [0x2000c], cl; mov al, 1; adc ebx, eax; dec ecx; jnz again; hlt */
        "b9 14 00 00 00 00 0d 0c 00 02 00 b0 01 11 c3 49 0f 85 ef ff ff ff f4 ",
        /* mov ecx, 20; again: cmp ecx, 3; rol byte [0x2000f], 1; mov al, 1; adc ebx, eax; dec ecx; jnz again; hlt */
        "b9 14 00 00 00 83 f9 03 d0 05 0f 00 02 00 b0 01 11 c3 49 0f 85 ec ff ff ff f4 ",
        /* mov edi, 0x2000a; mov al, 9; stosb; nop; mov bl, 1; hlt */
        "bf 0a 00 02 00 b0 09 aa 90 b3 01 f4 ",
        /* mov esp, 0x20010; mov eax, 0xf4f4f4f4; push eax; inc ebx; inc ebx; inc ebx; inc ebx; hlt */
        "bc 10 00 02 00 b8 f4 f4 f4 f4 50 43 43 43 43 f4 ",
        /* mov eax, 0x90909090; xchg [0x2000b], eax; inc ebx; inc ebx; inc ebx; inc ebx; hlt */
        "b8 90 90 90 90 87 05 0b 00 02 00 43 43 43 43 f4 ",
        /* mov ecx, 50; again: mov [0x20012], ecx; lea eax, [eax+2]; mov edx, 0x12345678; add ebx, edx; dec ecx; jnz
         * again; hlt */
        "b9 32 00 00 00 89 0d 12 00 02 00 8d 40 02 ba 78 56 34 12 01 d3 49 0f 85 e9 ff ff ff f4 ",
        /* mov ecx, 300; again: mov [0x20028], ecx; dec ecx; jnz again; hlt */
        "b9 2c 01 00 00 89 0d 28 00 02 00 49 0f 85 f3 ff ff ff f4 ",
    };
    for (unsigned threshold = 0; threshold <= 8; threshold += 4)
        for (unsigned i = 0; i < sizeof codes / sizeof codes[0]; i++) {
            struct translate_options options = at_once();
            char what[48];

            options.threshold = threshold;
            struct engine_pair *p = pair_create(&options);
            snprintf(what, sizeof what, "code %u, threshold %u", i, threshold);
            pair_start(p, 0, CODE, STACK);
            pair_code(p, CODE, codes[i]);
            pair_run(p, what);
            if (i == 0)
                assert_int_equal(pair_state(p)->gpr[GPR_AX], 5);
            pair_destroy(p);
        }
}

struct runner {
    struct engine_pair *pair;
    struct bare_machine *machine;
    atomic_bool returned;
    pthread_t thread;
};

static void *run_thread(void *opaque)
{
    struct runner *r = opaque;

    pair_run_one(r->pair, TIER1, INT64_MAX / 2);
    atomic_store(&r->returned, true);
    return NULL;
}

static void start_runner(struct runner *r, struct engine_pair *p)
{
    r->pair = p;
    r->machine = p->machine[TIER1];
    atomic_store(&r->returned, false);
    assert_int_equal(pthread_create(&r->thread, NULL, run_thread, r), 0);
}

static void stop_runner(struct runner *r)
{
    cpu_post_attention(r->machine->cpu, ATTENTION_STOP);
    for (unsigned i = 0; i < 5000 && !atomic_load(&r->returned); i++)
        usleep(1000);
    assert_true(atomic_load(&r->returned));
    pthread_join(r->thread, NULL);
    atomic_fetch_and(&r->machine->cpu->attention, ~(unsigned)ATTENTION_STOP);
}

/* The loop is one block, or goes over pages, or through an indirect jump; each must stop, at a boundary. */
static void test_stop(void **state)
{
    static const char *const codes[] = {
        /* again: inc eax; mov [0x40000], eax; lea ebx, [eax+eax]; jmp again */
        "40 a3 00 00 04 00 8d 1c 00 e9 f2 ff ff ff ",
        /* again: inc eax; mov [0x40000], eax; lea ebx, [eax+eax]; mov edx, again; jmp edx */
        "40 a3 00 00 04 00 8d 1c 00 ba 00 00 02 00 ff e2 ",
        /* again: inc eax; mov [0x40000], eax; lea ebx, [eax+eax]; call next; jmp again; next: ret */
        "40 a3 00 00 04 00 8d 1c 00 e8 05 00 00 00 e9 ed ff ff ff c3 ",
        /* again: inc eax; mov [0x40000], eax; lea ebx, [eax+eax]; jmp 0x21000, where there is jmp again */
        "40 a3 00 00 04 00 8d 1c 00 e9 f2 0f 00 00 ",
    };
    uint64_t random = 5;

    for (unsigned i = 0; i < sizeof codes / sizeof codes[0]; i++) {
        struct engine_pair *p = pair_create_default();
        struct runner r;

        pair_start(p, 0, CODE, STACK);
        pair_code(p, CODE, codes[i]);
        if (i == 3)
            pair_code(p, CODE + 0x1000, /* jmp 0x20000 */
                      "e9 fb ef ff ff ");
        for (unsigned round = 0; round < 40; round++) {
            start_runner(&r, p);
            usleep(next_random(&random) % 800);
            stop_runner(&r);
            const struct cpu_state *s = pair_state(p);
            uint32_t stored = pair_read32(p, 0x40000);
            bool before_store = s->rip == CODE + 1;
            if (!before_store)
                assert_int_equal(stored, (uint32_t)s->gpr[GPR_AX]);
            if (s->rip == CODE && s->gpr[GPR_AX])
                assert_int_equal((uint32_t)s->gpr[GPR_BX], 2 * (uint32_t)s->gpr[GPR_AX]);
        }
        assert_true(pair_state(p)->gpr[GPR_AX] > 1000);
        pair_expect_native(p);
        pair_destroy(p);
    }
}

static int acknowledge(void *opaque)
{
    struct bare_machine *m = opaque;

    cpu_set_interrupt_line(m->cpu, false);
    return 0x20;
}

/* Interrupts from another thread at any moment do not change what a loop computes. */
static void test_interrupts(void **state)
{
    struct engine_pair *p = pair_create_default();
    struct runner r;
    uint64_t random = 77;
    unsigned posted = 0;

    for (unsigned i = 0; i < ENGINES; i++)
        p->machine[i]->cpu->environment.acknowledge_interrupt = acknowledge;
    pair_start(p, 0, CODE, STACK);
    pair_code(p, HANDLERS, /* push eax; add eax, -1; inc dword [0x40100]; pop eax; iret */
              "50 83 c0 ff ff 05 00 01 04 00 58 cf ");
    pair_code(p, CODE,
              /* sti; mov ecx, 30000000; again: add eax, ecx; adc edx, 0; cmp eax, ebx; rcl ebx, 1; xor [0x40000], eax;
               * inc esi; dec ecx; jnz again; cli; hlt */
              "fb b9 80 c3 c9 01 01 c8 83 d2 00 39 d8 d1 d3 31 05 00 00 04 00 46 49 0f 85 e9 ff ff ff fa f4 ");
    uint32_t gate[2] = {8u << 16 | HANDLERS, 0x8e00};
    pair_write(p, IDT + 0x20 * 8, gate, sizeof gate);
    for (unsigned n = 0; n < 8; n++)
        if (n != GPR_SP)
            pair_set(p, n, n);
    start_runner(&r, p);
    while (!atomic_load(&r.returned)) {
        cpu_set_interrupt_line(r.machine->cpu, true);
        posted++;
        usleep(next_random(&random) % 300);
    }
    pthread_join(r.thread, NULL);
    uint32_t taken = pair_read32(p, 0x40100);
    assert_in_range(taken, posted > 20 ? 10 : 1, posted);
    assert_true(pair_run_one(p, INTERP, INT64_MAX / 2));
    uint32_t zero = 0;
    memory_write_bytes(p->machine[TIER1]->memory, 0x40100, &zero, 4);
    memset(p->machine[TIER1]->memory->ram + STACK - 64, 0, 64); /* the handler's frames */
    memset(p->machine[INTERP]->memory->ram + STACK - 64, 0, 64);
    p->machine[INTERP]->memory->ram[HANDLERS] = p->machine[TIER1]->memory->ram[HANDLERS];
    /* What only the fetch of the handler sets: accessed and dirty bits. */
    memcpy(p->machine[INTERP]->memory->ram + TABLE, p->machine[TIER1]->memory->ram + TABLE, 4096);
    memcpy(p->machine[INTERP]->memory->ram + GDT, p->machine[TIER1]->memory->ram + GDT, 256);
    pair_compare(p, "a loop with interrupts");
    pair_destroy(p);
}

/* Another thread changes an immediate in the loop, as a disk controller would; the loop shows it soon. */
static void test_other_thread(void **state)
{
    struct engine_pair *p = pair_create_default();
    struct runner r;

    pair_start(p, 0, CODE, STACK);
    pair_code(p, CODE, /* again: mov eax, 0; mov [0x40000], eax; jmp again */
              "b8 00 00 00 00 a3 00 00 04 00 e9 f1 ff ff ff ");
    start_runner(&r, p);
    for (uint32_t value = 1; value <= 100; value++) {
        volatile uint32_t *seen = (volatile uint32_t *)(void *)(r.machine->memory->ram + 0x40000);

        memory_write_bytes(r.machine->memory, CODE + 1, &value, 4);
        for (unsigned i = 0; i < 20000 && *seen != value; i++)
            usleep(100);
        if (*seen != value)
            fail_msg("%u was written to the loop, which still stores %u", value, *seen);
    }
    stop_runner(&r);
    /* The monitor, with the machine stopped. */
    uint8_t halt[] = {0xbb, 7, 0, 0, 0, 0xf4};
    memory_write_bytes(r.machine->memory, CODE, halt, sizeof halt);
    pair_state(p)->rip = CODE;
    assert_true(pair_run_one(p, TIER1, 1000000));
    assert_int_equal(pair_state(p)->gpr[GPR_BX], 7);
    memory_poke_bytes(r.machine->memory, CODE + 1, &(uint8_t){9}, 1);
    pair_state(p)->rip = CODE;
    assert_true(pair_run_one(p, TIER1, 1000000));
    assert_int_equal(pair_state(p)->gpr[GPR_BX], 9);
    pair_destroy(p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_next_instruction),
        cmocka_unit_test(test_stop),
        cmocka_unit_test(test_interrupts),
        cmocka_unit_test(test_other_thread),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

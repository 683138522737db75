/* The interpreter runs small 32-bit programs. The programs are this file's own assembly. */
#include "bare_machine.h"

#include "cpu/fpu.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define PROGRAM(name, text)                                                            \
    __asm__(".pushsection .rodata\n\t.code32\n" #name "_begin:\n\t" text                 \
            "\n\thlt\n" #name "_end:\n\t.code64\n\t.popsection");                        \
    extern const uint8_t name##_begin[], name##_end[];

PROGRAM(sum, "movl $0, %eax\n movl $1000, %ecx\n1: addl %ecx, %eax\n decl %ecx\n jnz 1b")
PROGRAM(calls, "movl $10, %ecx\n xorl %eax, %eax\n1: call 2f\n loop 1b\n jmp 3f\n2: addl $7, %eax\n ret\n3: pushl %eax\n popl %edx")
PROGRAM(strings, "movl $0x200000, %edi\n movl $5000, %ecx\n movl $0x12345678, %eax\n cld\n rep stosl\n"
                 "movl $0x200000, %esi\n movl $0x300001, %edi\n movl $20000, %ecx\n rep movsb\n"
                 "movl $0x300001, %esi\n movl $0x200000, %edi\n movl $5000, %ecx\n repe cmpsl\n sete %bl")

struct fixture {
    struct bare_machine *m;
};

static int setup(void **state)
{
    *state = bare_machine_create("pentium4", 8 << 20);
    return 0;
}
static int teardown(void **state)
{
    bare_machine_destroy(*state);
    return 0;
}

static struct vcpu *run(struct bare_machine *m, const uint8_t *begin, const uint8_t *end)
{
    memory_write_bytes(m->memory, 0x100000, begin, (size_t)(end - begin));
    bare_machine_enter_flat(m, 0x100000, 0x80000);
    assert_true(bare_machine_run(m, 1000000));
    assert_false(m->triple_fault);
    cpu_fpu_spill(m->cpu);
    return m->cpu;
}

static void test_sum(void **state)
{
    struct vcpu *cpu = run(*state, sum_begin, sum_end);

    assert_int_equal(cpu->state.gpr[GPR_AX], 500500);
    assert_int_equal(cpu->instructions, 2 + 3000 + 1);
}

static void test_calls(void **state)
{
    struct vcpu *cpu = run(*state, calls_begin, calls_end);

    assert_int_equal(cpu->state.gpr[GPR_DX], 70);
    assert_int_equal(cpu->state.gpr[GPR_SP], 0x80000);
}

static void test_strings(void **state)
{
    struct vcpu *cpu = run(*state, strings_begin, strings_end);

    assert_int_equal(cpu->state.gpr[GPR_BX] & 0xff, 1);
    assert_int_equal(cpu->state.gpr[GPR_CX], 0);
}

/* Another thread (DMA, a monitor) overwrites the loop that is running. */
static void *overwrite_with_halt(void *opaque)
{
    struct bare_machine *m = opaque;
    uint8_t halt = 0xf4;

    usleep(20000);
    memory_write_bytes(m->memory, 0x100000, &halt, 1);
    return NULL;
}

static void test_code_written_by_another_thread(void **state)
{
    struct bare_machine *m = *state;
    pthread_t thread;

    memory_write_bytes(m->memory, 0x100000, (const uint8_t[]){0x90, 0xeb, 0xfd}, 3); /* nop; jmp back to it */
    bare_machine_enter_flat(m, 0x100000, 0x80000);
    assert_int_equal(pthread_create(&thread, NULL, overwrite_with_halt, m), 0);
    assert_true(bare_machine_run(m, INT64_MAX / 2));
    pthread_join(thread, NULL);
}

/* A store into the next instruction of the running block takes effect at once. */
static void test_store_into_next_instruction(void **state)
{
    struct bare_machine *m = *state;
    /* movb $0x40 (inc eax), (next); nop -> inc eax; hlt */
    static const uint8_t code[] = {0xc6, 0x05, 0x07, 0x00, 0x10, 0x00, 0x40, 0x90, 0xf4};

    memory_write_bytes(m->memory, 0x100000, code, sizeof code);
    bare_machine_enter_flat(m, 0x100000, 0x80000);
    assert_true(bare_machine_run(m, 100));
    assert_int_equal(m->cpu->state.gpr[GPR_AX], 1);
    assert_int_equal(m->stats.blocks_invalidated, 1);
}

/* An instruction across two pages is decoded once, also when the TLB has been flushed in between. */
static void test_crossing_block_survives_flush(void **state)
{
    struct bare_machine *m = *state;
    static const uint8_t code[] = {0xb8, 1, 2, 3, 4, 0xf4}; /* mov eax, imm32 with 3 bytes on the second page */

    memory_write_bytes(m->memory, 0x100ffe, code, sizeof code);
    for (unsigned i = 0; i < 10; i++) {
        bare_machine_enter_flat(m, 0x100ffe, 0x80000);
        mmu_flush_all(&m->cpu->mmu);
        assert_true(bare_machine_run(m, 100));
        assert_int_equal(m->cpu->state.gpr[GPR_AX], 0x04030201);
    }
    assert_int_equal(m->stats.blocks_decoded, 2);
}

static void test_reset_vector(void **state)
{
    struct bare_machine *m = *state;

    cpu_reset(m->cpu);
    assert_int_equal(m->cpu->state.rip, 0xfff0);
    assert_int_equal(m->cpu->state.segment[SEG_CS].base, 0xffff0000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_sum, setup, teardown),
        cmocka_unit_test_setup_teardown(test_calls, setup, teardown),
        cmocka_unit_test_setup_teardown(test_strings, setup, teardown),
        cmocka_unit_test_setup_teardown(test_code_written_by_another_thread, setup, teardown),
        cmocka_unit_test_setup_teardown(test_store_into_next_instruction, setup, teardown),
        cmocka_unit_test_setup_teardown(test_crossing_block_survives_flush, setup, teardown),
        cmocka_unit_test_setup_teardown(test_reset_vector, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

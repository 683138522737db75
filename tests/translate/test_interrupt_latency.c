/* How long a processor in a loop of chained translations takes to see an interrupt that another thread raises: from the
 * rising line to the acknowledgement. Each way of closing a cycle has a loop of its own, which never ends by itself: a
 * link that forgot to poll would hang the test.
 *
 * Time is processor time of the vCPU's thread, so a busy host does no harm; looking at the clock is part of it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "../interp/bare_machine.h"
#include "translate/translate.h"

#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define GDT                  0x1000u
#define IDT                  0x2000u
#define HANDLER              0x3000u
#define LOOP                 0x4000u
#define SAMPLES              101
#define VECTOR               0x20
#define PATIENCE_NANOSECONDS 5000000000ull
#define MOST_NANOSECONDS     50000u /* the median; under sanitizers, too */

struct rig {
    struct bare_machine *machine;
    struct translator *translator;
    atomic_ullong acknowledged; /* time; 0: not yet */
};

static unsigned long long now(clockid_t clock)
{
    struct timespec t;

    clock_gettime(clock, &t);
    return (unsigned long long)t.tv_sec * 1000000000u + (unsigned long long)t.tv_nsec;
}

static int acknowledge(void *opaque)
{
    struct rig *rig = opaque;
    unsigned long long time = now(CLOCK_THREAD_CPUTIME_ID);

    cpu_set_interrupt_line(rig->machine->cpu, false);
    atomic_store(&rig->acknowledged, time);
    return VECTOR;
}

static void write_code(struct rig *rig, uint32_t address, const void *bytes, size_t size)
{
    memory_write_bytes(rig->machine->memory, address, bytes, size);
}

static void set_up_machine(struct rig *rig, bool translated)
{
    static const uint32_t gdt[] = {0, 0, 0x0000ffff, 0x00cf9b00, 0x0000ffff, 0x00cf9300};
    static const uint32_t gate[] = {8u << 16 | HANDLER, 0x8e00};
    static const uint8_t iret = 0xcf;
    struct translate_options options = TRANSLATE_OPTIONS_DEFAULT;
    struct error err;

    memset(rig, 0, sizeof *rig);
    rig->machine = bare_machine_create("max", 1u << 20);
    struct vcpu *cpu = rig->machine->cpu;
    if (translated) {
        rig->translator = translator_create(cpu, rig->machine->interp, &options, &err);
        assert_non_null(rig->translator);
    }
    write_code(rig, GDT, gdt, sizeof gdt);
    write_code(rig, IDT + 8 * VECTOR, gate, sizeof gate);
    write_code(rig, HANDLER, &iret, 1);
    bare_machine_enter_flat(rig->machine, LOOP, 0x8000);
    cpu->environment.opaque = rig;
    cpu->environment.acknowledge_interrupt = acknowledge;
    cpu->state.gdtr.base = GDT;
    cpu->state.gdtr.limit = sizeof gdt - 1;
    cpu->state.idtr.base = IDT;
    cpu->state.idtr.limit = 8 * VECTOR + 7;
    cpu_set_eflags(cpu, FLAG_IF);
}

static void *run_guest(void *opaque)
{
    struct rig *rig = opaque;

    bare_machine_run(rig->machine, INT64_C(1) << 62);
    return NULL;
}

static int by_size(const void *a, const void *b)
{
    unsigned long long x = *(const unsigned long long *)a, y = *(const unsigned long long *)b;

    return x < y ? -1 : x > y;
}

static void measure(struct rig *rig, const char *what)
{
    static unsigned long long samples[SAMPLES];
    const struct timespec pause = {0, 20000};
    pthread_t thread;
    clockid_t clock;
    bool lost = false;

    assert_int_equal(pthread_create(&thread, NULL, run_guest, rig), 0);
    assert_int_equal(pthread_getcpuclockid(thread, &clock), 0);
    for (unsigned i = 0; i < SAMPLES && !lost; i++) {
        nanosleep(&pause, NULL); /* back into the loop */
        atomic_store(&rig->acknowledged, 0);
        unsigned long long raised = now(clock);
        cpu_set_interrupt_line(rig->machine->cpu, true);
        while (!atomic_load(&rig->acknowledged) && !lost) {
            sched_yield();
            lost = now(clock) - raised > PATIENCE_NANOSECONDS;
        }
        samples[i] = atomic_load(&rig->acknowledged) - raised;
    }
    if (lost)
        fail_msg("%s: the loop does not see the interrupt", what); /* its thread cannot be ended either */
    cpu_post_attention(rig->machine->cpu, ATTENTION_STOP);
    pthread_join(thread, NULL);
    qsort(samples, SAMPLES, sizeof samples[0], by_size);
    print_message("%-28s %s: median %llu ns, 90 %% within %llu ns\n", what,
                  rig->translator ? "translated " : "interpreted", samples[SAMPLES / 2], samples[SAMPLES * 9 / 10]);
    assert_true(samples[SAMPLES / 2] < MOST_NANOSECONDS);
    if (rig->translator)
        assert_true(rig->machine->stats.translations > 0 && rig->machine->stats.native_entries > SAMPLES / 2);
}

struct piece {
    uint32_t address;
    uint8_t size, bytes[8];
};

static const struct {
    const char *name;
    struct piece pieces[3];
} loops[] = {
    {"a block that jumps to itself", {{LOOP, 3, {0x40, 0xeb, 0xfd}}}}, /* inc eax; jmp $-1 */
    {"a conditional jump back",
     {{LOOP, 6, {0x42, 0x85, 0xe4, 0x75, 0xfb, 0xf4}}}},   /* inc edx; test esp, esp; jnz $-3 */
    {"LOOP", {{LOOP, 5, {0x41, 0x41, 0xe2, 0xfc, 0xf4}}}}, /* inc ecx twice; loop $-2 */
    {"jumps between two pages", {{LOOP, 5, {0xe9, 0xfb, 0x0f, 0, 0}}, {0x5000, 5, {0xe9, 0xfb, 0xef, 0xff, 0xff}}}},
    {"a call and a return", {{LOOP, 7, {0xe8, 0xfb, 0x0f, 0, 0, 0xeb, 0xf9}}, {0x5000, 1, {0xc3}}}},
    {"an indirect jump", {{LOOP, 7, {0xb8, 0, 0x40, 0, 0, 0xff, 0xe0}}}}, /* mov eax, LOOP; jmp eax */
    {"REP MOVSB in a loop",
     {{LOOP, 8, {0xb1, 0x10, 0xf3, 0xa4, 0x29, 0xff, 0xeb, 0xf8}}}}, /* mov cl, 16; rep movsb; sub edi, edi */
};

static void test_latency(void **state)
{
    for (size_t i = 0; i < ARRAY_SIZE(loops); i++)
        for (int translated = i > 0; translated < 2; translated++) { /* the interpreter once, to compare with */
            struct rig rig;

            set_up_machine(&rig, translated);
            for (size_t j = 0; j < ARRAY_SIZE(loops[i].pieces) && loops[i].pieces[j].size; j++)
                write_code(&rig, loops[i].pieces[j].address, loops[i].pieces[j].bytes, loops[i].pieces[j].size);
            measure(&rig, loops[i].name);
            translator_destroy(rig.translator);
            bare_machine_destroy(rig.machine);
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_latency)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}

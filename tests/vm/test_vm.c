/* A whole machine: run state, requests, events, time, threads. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "guest_code.h"
#include "rom_guest.h"
#include "vm/board_pc.h"

#include <stdio.h>

struct events {
    char text[512];
};

static void record(void *opaque, enum vm_event event, enum vm_cause cause)
{
    static const char *const names[] = {"shutdown", "reset", "powerdown", "stop", "resume", "debug"};
    struct events *e = opaque;
    size_t used = strlen(e->text);
    bool has_cause = event == VM_EVENT_SHUTDOWN || event == VM_EVENT_RESET;
    snprintf(e->text + used, sizeof e->text - used, "%s%s%s ", names[event], has_cause ? ":" : "",
             has_cause ? vm_cause_name(cause) : "");
}

static struct rom_guest guest;
static struct events events;
static struct error err;

static int set_up(void **state)
{
    rom_guest_init(&guest);
    memset(&events, 0, sizeof events);
    guest.options.devices[0] = (struct vm_device_option){.kind = VM_DEVICE_DEBUG_EXIT, .iobase = 0x501, .iosize = 4};
    guest.options.device_count = 1;
    return 0;
}

static int tear_down(void **state)
{
    rom_guest_destroy(&guest);
    return 0;
}

static void create(const uint8_t *code, size_t length)
{
    if (!rom_guest_create(&guest, code, length, &err))
        fail_msg("%s", err.message);
    vm_add_listener(guest.vm, record, &events);
}
#define CREATE(code) create(code, sizeof code)

static void start(void)
{
    assert_true(vm_start(guest.vm, &err));
}

static uint32_t peek(uint64_t address)
{
    uint32_t value;
    vm_freeze(guest.vm);
    memory_read_bytes(guest.vm->memory, address, &value, 4);
    vm_thaw(guest.vm);
    return value;
}

static void spin(int rounds)
{
    for (int i = 0; i < rounds; i++)
        vm_iterate(guest.vm, 1000000);
}

static void test_debug_exit_gives_the_exit_code(void **state)
{
    CREATE(guest_exits);
    start();
    assert_int_equal(vm_run(guest.vm), 3 << 1 | 1);
}

static void test_power_off(void **state)
{
    CREATE(guest_powers_off);
    start();
    assert_int_equal(vm_run(guest.vm), 0);
    assert_string_equal(events.text, "resume shutdown:guest-shutdown ");
}

static void test_no_shutdown_keeps_the_machine(void **state)
{
    guest.options.no_shutdown = true;
    CREATE(guest_powers_off);
    start();
    for (int i = 0; i < 5000 && guest.vm->state != VM_SHUTDOWN; i++)
        spin(1);
    assert_int_equal(guest.vm->state, VM_SHUTDOWN);
    assert_false(guest.vm->finished);
    assert_string_equal(events.text, "resume shutdown:guest-shutdown stop ");
    assert_false(vm_cont(guest.vm, &err));
    assert_non_null(strstr(err.message, "Reset"));
    /* The user's own wish ends it all the same. */
    vm_request_shutdown(guest.vm, VM_CAUSE_HOST_QMP_QUIT);
    spin(1);
    assert_true(guest.vm->finished);
}

static void test_reset_after_shutdown_allows_cont(void **state)
{
    guest.options.no_shutdown = true;
    CREATE(guest_powers_off);
    start();
    for (int i = 0; i < 5000 && guest.vm->state != VM_SHUTDOWN; i++)
        spin(1);
    vm_request_reset(guest.vm, VM_CAUSE_HOST_QMP_RESET);
    spin(1);
    assert_int_equal(guest.vm->state, VM_PRELAUNCH);
    assert_true(vm_cont(guest.vm, &err));
}

static void test_guest_reset_starts_over_with_memory_kept(void **state)
{
    CREATE(guest_resets_twice);
    start();
    assert_int_equal(vm_run(guest.vm), 3);
    assert_int_equal(peek(GUEST_BOOTS) & 0xffff, 3);
    assert_non_null(strstr(events.text, "reset:guest-reset reset:guest-reset shutdown:"));
}

static void test_triple_fault_resets(void **state)
{
    CREATE(guest_triple_faults);
    start();
    for (int i = 0; i < 5000 && (peek(GUEST_BOOTS) & 0xffff) < 5; i++)
        spin(1);
    assert_true((peek(GUEST_BOOTS) & 0xffff) >= 5);
    assert_false(guest.vm->finished);
}

static void test_no_reboot_ends_instead(void **state)
{
    guest.options.no_reboot = true;
    CREATE(guest_triple_faults);
    start();
    assert_int_equal(vm_run(guest.vm), 0);
    assert_int_equal(peek(GUEST_BOOTS) & 0xffff, 1);
    assert_string_equal(events.text, "resume shutdown:guest-reset ");
}

static void test_stop_stops_and_cont_continues(void **state)
{
    CREATE(guest_counts);
    start();
    for (int i = 0; i < 5000 && !peek(GUEST_COUNTER); i++)
        spin(1);
    vm_stop(guest.vm, VM_PAUSED);
    assert_int_equal(guest.vm->state, VM_PAUSED);
    uint32_t before = peek(GUEST_COUNTER);
    uint64_t time = clock_now(guest.vm->clock);
    assert_true(before > 0);
    spin(5);
    assert_int_equal(peek(GUEST_COUNTER), before);
    assert_int_equal(clock_now(guest.vm->clock), time);
    vm_stop(guest.vm, VM_PAUSED); /* again: nothing happens */
    assert_true(vm_cont(guest.vm, &err));
    for (int i = 0; i < 5000 && peek(GUEST_COUNTER) == before; i++)
        spin(1);
    assert_int_not_equal(peek(GUEST_COUNTER), before);
    assert_true(clock_now(guest.vm->clock) > time);
    assert_string_equal(events.text, "resume stop resume ");
    /* cpu->instructions and the statistics count what ran. */
    vm_freeze(guest.vm);
    assert_true(vm_cpu(guest.vm, 0)->instructions > 0);
    assert_int_equal(guest.vm->stats.instructions, vm_cpu(guest.vm, 0)->instructions);
    vm_thaw(guest.vm);
}

static void test_start_stopped(void **state)
{
    guest.options.start_stopped = true;
    CREATE(guest_counts);
    start();
    spin(5);
    assert_int_equal(guest.vm->state, VM_PRELAUNCH);
    assert_int_equal(peek(GUEST_COUNTER), 0);
    assert_int_equal(clock_now(guest.vm->clock), 0);
    assert_true(vm_cont(guest.vm, &err));
    for (int i = 0; i < 5000 && !peek(GUEST_COUNTER); i++)
        spin(1);
    assert_true(peek(GUEST_COUNTER) > 0);
}

static void test_reset_while_stopped_stays_stopped(void **state)
{
    CREATE(guest_counts);
    start();
    for (int i = 0; i < 5000 && !peek(GUEST_BOOTS); i++)
        spin(1);
    vm_stop(guest.vm, VM_PAUSED);
    vm_request_reset(guest.vm, VM_CAUSE_HOST_QMP_RESET);
    spin(3);
    assert_int_equal(guest.vm->state, VM_PRELAUNCH);
    assert_int_equal(vm_cpu(guest.vm, 0)->state.rip, 0xfff0);
    assert_int_equal(vm_cpu(guest.vm, 0)->state.segment[SEG_CS].base, 0xffff0000);
    assert_string_equal(events.text, "resume stop reset:host-qmp-system-reset ");
}

static void test_stepping(void **state)
{
    guest.options.start_stopped = true;
    CREATE(guest_counts);
    start();
    struct vcpu *cpu = vm_cpu(guest.vm, 0);
    static const uint32_t rips[] = {0, 2, 4, 8, 13, 8, 13};
    for (size_t i = 0; i < sizeof rips / sizeof rips[0]; i++) {
        vm_step(guest.vm, 0, true);
        for (int n = 0; n < 5000 && guest.vm->state == VM_RUNNING; n++)
            spin(1);
        assert_int_equal(guest.vm->state, VM_DEBUG);
        assert_int_equal(cpu->state.rip, rips[i]);
    }
    assert_int_equal(peek(GUEST_COUNTER), 2);
    assert_non_null(strstr(events.text, "resume stop debug "));
}

static void test_breakpoint(void **state)
{
    guest.options.start_stopped = true;
    CREATE(guest_counts);
    assert_true(interp_set_breakpoint(guest.vm->vcpus[0]->interp, 0xf0008, true));
    start();
    for (uint32_t round = 0; round < 3; round++) {
        assert_true(vm_cont(guest.vm, &err));
        for (int n = 0; n < 5000 && guest.vm->state == VM_RUNNING; n++)
            spin(1);
        assert_int_equal(guest.vm->state, VM_DEBUG);
        assert_int_equal(vm_cpu(guest.vm, 0)->state.rip, 8);
        assert_int_equal(peek(GUEST_COUNTER), round);
    }
}

static void test_nmi_wakes_a_halted_processor(void **state)
{
    CREATE(guest_awaits_nmi);
    start();
    for (int i = 0; i < 5000; i++) {
        vm_freeze(guest.vm);
        bool halted = vm_cpu(guest.vm, 0)->state.halted;
        vm_thaw(guest.vm);
        if (halted)
            break;
        spin(1);
    }
    assert_false(guest.vm->finished);
    vm_inject_nmi(guest.vm);
    assert_int_equal(vm_run(guest.vm), 9 << 1 | 1);
}

static void test_timer_interrupts_wake_in_real_time(void **state)
{
    CREATE(guest_counts_ticks);
    start();
    assert_int_equal(vm_run(guest.vm), 5 << 1 | 1);
    assert_true(clock_now(guest.vm->clock) >= 19000000); /* 20 ticks of a millisecond, the first may be short */
    assert_true(board_irq_count(guest.vm->board, 0) >= 20);
}

static void run_counted(unsigned shift, uint64_t *time, uint64_t *instructions)
{
    guest.options.counted = true;
    guest.options.counted_shift = shift;
    CREATE(guest_counts_ticks);
    start();
    assert_int_equal(vm_run(guest.vm), 5 << 1 | 1);
    vm_freeze(guest.vm);
    *time = clock_now(guest.vm->clock);
    *instructions = vm_cpu(guest.vm, 0)->instructions;
    vm_thaw(guest.vm);
}

static void test_counted_time_is_reproducible(void **state)
{
    uint64_t time[2], instructions[2];
    for (int i = 0; i < 2; i++) {
        run_counted(3, &time[i], &instructions[i]);
        if (i == 0) {
            rom_guest_destroy(&guest);
            set_up(NULL);
        }
    }
    assert_int_equal(time[0], time[1]);
    assert_int_equal(instructions[0], instructions[1]);
    assert_true(time[0] >= 19000000 && time[0] < 22000000);
}

static void test_requests_from_the_guest_are_taken_while_halted(void **state)
{
    CREATE(guest_sleeps);
    start();
    spin(3);
    vm_request_powerdown(guest.vm);
    spin(2);
    assert_string_equal(events.text, "resume powerdown ");
    vm_request_shutdown(guest.vm, VM_CAUSE_HOST_SIGNAL);
    assert_int_equal(vm_run(guest.vm), 0);
    assert_non_null(strstr(events.text, "shutdown:host-signal"));
}

static void *pester(void *opaque)
{
    for (int i = 0; i < 200; i++) {
        switch (i % 4) {
        case 0:
            vm_request_reset(guest.vm, VM_CAUSE_HOST_QMP_RESET);
            break;
        case 1:
            cpu_post_nmi(vm_cpu(guest.vm, 0));
            break;
        case 2:
            vm_request_powerdown(guest.vm);
            break;
        default:
            mmu_post_flush(&vm_cpu(guest.vm, 0)->mmu);
            cpu_post_attention(vm_cpu(guest.vm, 0), ATTENTION_FLUSH);
        }
    }
    return NULL;
}

static void test_threads_at_once(void **state)
{
    CREATE(guest_counts);
    start();
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, pester, NULL), 0);
    for (int i = 0; i < 200; i++) {
        vm_iterate(guest.vm, 100000);
        if (i % 3 == 0) {
            vm_stop(guest.vm, VM_PAUSED);
            assert_true(vm_cont(guest.vm, &err));
        }
        if (i % 5 == 0)
            peek(GUEST_COUNTER);
    }
    pthread_join(thread, NULL);
    spin(2);
    vm_request_exit(guest.vm, 42);
    assert_int_equal(vm_run(guest.vm), 42);
}

static void expect_failure(const char *part)
{
    guest.loop = guest.loop ? guest.loop : main_loop_create(&err);
    err.message[0] = 0;
    guest.vm = vm_create(&guest.options, guest.loop, &err);
    assert_null(guest.vm);
    if (!strstr(err.message, part))
        fail_msg("'%s' lacks '%s'", err.message, part);
}

static void test_errors(void **state)
{
    guest.options.bios = "/nonexistent/rom";
    expect_failure("/nonexistent/rom");
    guest.options.bios = "/tmp";
    expect_failure("/tmp");
    guest.options.bios = "/dev/null";
    expect_failure("/dev/null");
    assert_true(rom_guest_write(&guest, guest_exits, sizeof guest_exits));
    guest.options.bios = guest.path;
    assert_int_equal(truncate(guest.path, 65535), 0);
    expect_failure("65535");
    assert_int_equal(truncate(guest.path, 0), 0);
    expect_failure("0 bytes");
    assert_int_equal(truncate(guest.path, 4 * 1024 * 1024 + 65536), 0);
    expect_failure("4 MiB");
    guest.options.bios = NULL;
    guest.options.kernel = "/nonexistent/kernel";
    expect_failure("/nonexistent/kernel");
    guest.options.kernel = guest.path; /* zeroes are no kernel */
    expect_failure(guest.path);
    guest.options.kernel = NULL;
    guest.options.cpu = "pentium99";
    expect_failure("pentium99");
}

static void test_rom_sizes_and_aliases(void **state)
{
    CREATE(guest_exits);
    uint8_t low[5], high[5];
    memory_read_bytes(guest.vm->memory, 0xffff0, low, 5);
    memory_read_bytes(guest.vm->memory, 0xfffffff0, high, 5);
    assert_memory_equal(low, high, 5);
    assert_int_equal(high[0], 0xea);
    memory_write(guest.vm->memory, 0xfffffff0, 1, 0x90);
    memory_write(guest.vm->memory, 0xffff0, 1, 0x90);
    assert_int_equal(memory_read(guest.vm->memory, 0xfffffff0, 1), 0xea);
    assert_int_equal(memory_read(guest.vm->memory, 0xffff0, 1), 0xea);
    /* Text memory can be read back although there is no VGA. */
    memory_write(guest.vm->memory, 0xb8000, 2, 0x0741);
    assert_int_equal(memory_read(guest.vm->memory, 0xb8000, 2), 0x0741);
}

static void test_two_machines_in_one_process(void **state)
{
    struct rom_guest other;
    CREATE(guest_counts);
    start();
    rom_guest_init(&other);
    memcpy(&other.options, &guest.options, sizeof other.options);
    if (!rom_guest_create(&other, guest_exits, sizeof guest_exits, &err))
        fail_msg("%s", err.message);
    assert_true(vm_start(other.vm, &err));
    assert_int_equal(vm_run(other.vm), 7);
    rom_guest_destroy(&other);
    for (int i = 0; i < 5000 && !peek(GUEST_COUNTER); i++)
        spin(1);
    assert_true(peek(GUEST_COUNTER) > 0);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(test_debug_exit_gives_the_exit_code),
        TEST(test_power_off),
        TEST(test_no_shutdown_keeps_the_machine),
        TEST(test_reset_after_shutdown_allows_cont),
        TEST(test_guest_reset_starts_over_with_memory_kept),
        TEST(test_triple_fault_resets),
        TEST(test_no_reboot_ends_instead),
        TEST(test_stop_stops_and_cont_continues),
        TEST(test_start_stopped),
        TEST(test_reset_while_stopped_stays_stopped),
        TEST(test_stepping),
        TEST(test_breakpoint),
        TEST(test_nmi_wakes_a_halted_processor),
        TEST(test_timer_interrupts_wake_in_real_time),
        TEST(test_counted_time_is_reproducible),
        TEST(test_requests_from_the_guest_are_taken_while_halted),
        TEST(test_threads_at_once),
        TEST(test_errors),
        TEST(test_rom_sizes_and_aliases),
        TEST(test_two_machines_in_one_process),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* The human monitor's commands against a small machine; formats as QEMU 7.2 prints them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "../vm/guest_code.h"
#include "../vm/rom_guest.h"
#include "monitor/hmp.h"
#include "monitor/monitor.h"
#include "monitor/readline.h"

#include <stdio.h>
#include <sys/stat.h>

struct fixture {
    struct rom_guest guest;
    struct chardev_host host;
    struct monitors *monitors;
    struct hmp hmp;
    struct text out;
};

static int set_up(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    struct error err;
    rom_guest_init(&f->guest);
    f->guest.options.start_stopped = true;
    f->guest.options.name = "testbox";
    if (!rom_guest_create(&f->guest, guest_counts, sizeof guest_counts, &err))
        fail_msg("%s", err.message);
    f->host.loop = f->guest.loop;
    f->monitors = monitors_create(f->guest.vm, &f->host, &err);
    hmp_init(&f->hmp, f->monitors);
    text_init(&f->out);
    *state = f;
    return vm_start(f->guest.vm, &err) ? 0 : -1;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;
    text_finish(&f->out);
    monitors_destroy(f->monitors);
    rom_guest_destroy(&f->guest);
    free(f);
    return 0;
}

static const char *run(struct fixture *f, const char *line)
{
    text_finish(&f->out);
    hmp_execute(&f->hmp, line, &f->out);
    return text_string(&f->out);
}

static void poke(struct fixture *f, uint64_t address, const void *bytes, size_t length)
{
    vm_freeze(f->guest.vm);
    memory_write_bytes(f->guest.vm->memory, address, bytes, length);
    vm_thaw(f->guest.vm);
}

static void test_dumps(void **state)
{
    struct fixture *f = *state;
    static const uint8_t bytes[] = {0xea, 0x5b, 0xe0, 0x00, 0xf0, 0x30, 0x36, 0x2f, 0x32, 0x33,
                                    0x2f, 0x39, 0x39, 0x00, 0xfc, 0xbe, 0x0a, 0x27, 0x5c, 0x7f};
    poke(f, 0x1000, bytes, sizeof bytes);
    assert_string_equal(run(f, "xp/5xw 0x1000"), "0000000000001000: 0x00e05bea 0x2f3630f0 0x392f3332 0xbefc0039\n"
                                                 "0000000000001010: 0x7f5c270a\n");
    assert_string_equal(run(f, "xp/2xh 0x1000"), "0000000000001000: 0x5bea 0x00e0\n");
    assert_string_equal(run(f, "xp/2xg 0x1000"), "0000000000001000: 0x2f3630f000e05bea 0xbefc0039392f3332\n");
    assert_string_equal(run(f, "xp/4db 0x1000"), "0000000000001000: 234  91 224   0\n");
    assert_string_equal(run(f, "xp/4uh 0x1000"), "0000000000001000: 23530   224 12528 12086\n");
    assert_string_equal(run(f, "xp/3ow 0x1000"), "0000000000001000:   070055752 05715430360 07113631462\n");
    assert_string_equal(run(f, "xp/10cb 0x1000"), "0000000000001000: '\\xea' '[' '\\xe0' '\\x00' '\\xf0' '0' '6' '/'\n"
                                                  "0000000000001008: '2' '3'\n");
    assert_string_equal(run(f, "xp/4c 0x1010"), "0000000000001010: '\\n' '\\'' '\\\\' '\\x7f'\n");
    assert_string_equal(run(f, "x/1xw 0x1000"), "00001000: 0x00e05bea\n");
    assert_string_equal(run(f, "x /2xb 0x1000"), "00001000: 0xea 0x5b\n");
    /* The last format is the next one's default. */
    assert_string_equal(run(f, "xp 0x1000"), "0000000000001000: 0xea\n");
}

static void test_disassembly(void **state)
{
    struct fixture *f = *state;
    static const uint8_t code[] = {0xea, 0x5b, 0xe0, 0x00, 0xf0, 0x31, 0xd2, 0x0f, 0xff, 0x66, 0xc7,
                                   0x84, 0x24, 0x44, 0x33, 0x22, 0x11, 0x78, 0x56, 0x34, 0x12};
    poke(f, 0x1000, code, sizeof code);
    const char *text = run(f, "xp/3i 0x1000");
    assert_non_null(strstr(text, "0x00001000:  ea 5b e0 00 f0           ljmp"));
    assert_non_null(strstr(text, "0x00001005:  31 d2                    xor"));
    assert_non_null(strstr(text, "0x00001007:  "));
    text = run(f, "x/1iw 0x100a"); /* as 32-bit code: more than eight bytes go over two lines */
    assert_non_null(strstr(text, "0x0000100a:  c7 84 24 44 33 22 11 78  movl"));
    assert_non_null(strstr(text, "0x00001012:  56 34 12 \n"));
}

static void test_print(void **state)
{
    struct fixture *f = *state;
    assert_string_equal(run(f, "print/x 1+2*3"), "0x7\n");
    assert_string_equal(run(f, "p 10"), "0xa\n");
    assert_string_equal(run(f, "p/d -5"), "-5\n");
    assert_string_equal(run(f, "p/u -1"), "18446744073709551615\n");
    assert_string_equal(run(f, "p/o 8"), "010\n");
    assert_string_equal(run(f, "p/c 65"), "'A'\n");
    assert_string_equal(run(f, "p/x $eip"), "0xfff0\n");
    assert_string_equal(run(f, "p/x $pc"), "0xfffffff0\n");
}

static void test_argument_errors(void **state)
{
    struct fixture *f = *state;
    static const struct {
        const char *line, *answer;
    } cases[] = {
        {"", ""},
        {"   ", ""},
        {"foo", "unknown command: 'foo'\n"},
        {"info foo", "unknown command: 'info foo'\n"},
        {"x", "unexpected end of expression\nTry \"help x\" for more information\n"},
        {"x/4xw", "unexpected end of expression\nTry \"help x\" for more information\n"},
        {"xp/s 0", "invalid char in format: 's'\nTry \"help xp\" for more information\n"},
        {"xp/z 0", "invalid char in format: 'z'\nTry \"help xp\" for more information\n"},
        {"print $foo", "unknown register\nTry \"help print\" for more information\n"},
        {"print 1/0", "division by zero\nTry \"help print\" for more information\n"},
        {"print 'a'+(1", "')' expected\nTry \"help print\" for more information\n"},
        {"stop 4", "stop|s: extraneous characters at the end of line\nTry \"help stop\" for more information\n"},
        {"info status x", "status: extraneous characters at the end of line\n"
                          "Try \"help info status\" for more information\n"},
        {"pmemsave 0 16", "pmemsave: string expected\nTry \"help pmemsave\" for more information\n"},
        {"memsave 0xffff0 16 /tmp/o", "invalid char 't' in expression\nTry \"help memsave\" for more information\n"},
        {"pmemsave 0 0x1ffffffff \"/tmp/x\"",
         "'pmemsave' has failed: integer is for 32-bit values\nTry \"help pmemsave\" for more information\n"},
        {"pmemsave 0 16 \"/tmp/x", "unterminated string\nTry \"help pmemsave\" for more information\n"},
        {"pmemsave 0 16 \"/nonexistent/x\"", "Error: Could not open '/nonexistent/x': No such file or directory\n"},
        {"info registers 7", "CPU#7 not available\n"},
        {"logfile", "logfile: filename expected\nTry \"help logfile\" for more information\n"},
        {"logfile /nonexistent/log", NULL},
        {"help foo", "unknown command: 'foo'\n"},
        {"help stop", "stop|s  -- stop emulation\n"},
        {"help info status", "info status  -- show the current VM status (running|paused)\n"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const char *answer = run(f, cases[i].line);
        if (cases[i].answer)
            assert_string_equal(answer, cases[i].answer);
        else
            assert_non_null(strstr(answer, "Error: "));
    }
}

static void test_status_and_run_control(void **state)
{
    struct fixture *f = *state;
    assert_string_equal(run(f, "info status"), "VM status: paused (prelaunch)\n");
    assert_string_equal(run(f, "cont"), "");
    assert_string_equal(run(f, "info status"), "VM status: running\n");
    assert_string_equal(run(f, "s"), "");
    assert_string_equal(run(f, "info status"), "VM status: paused\n");
    assert_string_equal(run(f, "c"), "");
    run(f, "system_reset");
    run(f, "nmi");
    run(f, "quit");
    assert_int_equal(vm_run(f->guest.vm), 0);
}

static void test_registers(void **state)
{
    struct fixture *f = *state;
    const char *text = run(f, "info registers");
    static const char *const parts[] = {
        "\nCPU#0\nEAX=00000000 EBX=00000000 ECX=00000000 EDX=",
        "\nEIP=0000fff0 EFL=00000002 [-------] CPL=0 II=0 A20=1 SMM=0 HLT=0\n",
        "\nES =0000 00000000 0000ffff 00009300\n",
        "\nCS =f000 ffff0000 0000ffff 00009300\n",
        "\nLDT=0000 00000000 0000ffff 00008200\n",
        "\nTR =0000 00000000 0000ffff 00008b00\n",
        "\nGDT=     00000000 0000ffff\nIDT=     00000000 0000ffff\n",
        "\nCR0=60000010 CR2=00000000 CR3=00000000 CR4=00000000\n",
        "\nDR0=00000000 DR1=00000000 DR2=00000000 DR3=00000000 \nDR6=ffff0ff0 DR7=00000400\n",
        "\nEFER=0000000000000000\nFCW=0040 FSW=0000 [ST=0] FTW=",
        "\nXMM06=0000000000000000 0000000000000000 XMM07=0000000000000000 0000000000000000\n",
    };
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++)
        if (!strstr(text, parts[i]))
            fail_msg("missing: %s\nin: %s", parts[i], text);
}

static void test_protected_mode_registers(void **state)
{
    struct fixture *f = *state;
    struct vcpu *cpu = vm_cpu(f->guest.vm, 0);
    cpu->state.cr0 |= CR0_PE;
    cpu->state.segment[SEG_CS] = (struct segment){.selector = 8, .limit = 0xffffffff, .attributes = 0xc09b};
    cpu->state.segment[SEG_DS] =
        (struct segment){.selector = 0x23, .base = 0x1000, .limit = 0x1fff, .attributes = 0x00f7};
    cpu->state.tr = (struct segment){.selector = 0x30, .base = 0x5000, .limit = 0x67, .attributes = 0x008b};
    cpu->state.x87.fsw = 6 << 11;
    cpu->state.x87.ftw = 0xc0;
    memcpy(cpu->state.x87.st[0], "\x35\xc2\x68\x21\xa2\xda\x0f\xc9\x00\x40", 10); /* ST(0) is register 6 */
    cpu_update_mode(cpu);
    const char *text = run(f, "info registers -a");
    static const char *const parts[] = {
        "\nCS =0008 00000000 ffffffff 00cf9b00 DPL=0 CS32 [-RA]\n",
        "\nDS =0023 00001000 00001fff 0000f700 DPL=3 DS16 [EWA]\n",
        "\nTR =0030 00005000 00000067 00008b00 DPL=0 TSS32-busy\n",
        "FSW=3000 [ST=6] FTW=c0",
        "\nFPR6=c90fdaa22168c235 4000 FPR7=",
    };
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++)
        if (!strstr(text, parts[i]))
            fail_msg("missing: %s\nin: %s", parts[i], text);
}

static void test_page_tables(void **state)
{
    struct fixture *f = *state;
    struct vcpu *cpu = vm_cpu(f->guest.vm, 0);
    struct memory *memory = f->guest.vm->memory;
    assert_string_equal(run(f, "info mem"), "PG disabled\n");
    assert_string_equal(run(f, "info tlb"), "PG disabled\n");
    memory_write(memory, 0x201000, 4, 0x202007);
    memory_write(memory, 0x201010, 4, 0x4001e7);
    memory_write(memory, 0x201c00, 4, 0x800083);
    memory_write(memory, 0x202000, 4, 0x3);
    memory_write(memory, 0x202004, 4, 0x1063);
    memory_write(memory, 0x202ff0, 4, 0x5007);
    memory_write(memory, 0x202ff4, 4, 0x7005);
    cpu->state.cr0 |= CR0_PG | CR0_PE;
    cpu->state.cr3 = 0x201000;
    cpu->state.cr4 = CR4_PSE | CR4_PGE;
    assert_string_equal(run(f, "info mem"), "0000000000000000-0000000000002000 0000000000002000 -rw\n"
                                            "00000000003fc000-00000000003fd000 0000000000001000 urw\n"
                                            "00000000003fd000-00000000003fe000 0000000000001000 ur-\n"
                                            "0000000001000000-0000000001400000 0000000000400000 urw\n"
                                            "00000000c0000000-00000000c0400000 0000000000400000 -rw\n");
    assert_string_equal(run(f, "info tlb"), "0000000000000000: 0000000000000000 --------W\n"
                                            "0000000000001000: 0000000000001000 ---DA---W\n"
                                            "00000000003fc000: 0000000000005000 -------UW\n"
                                            "00000000003fd000: 0000000000007000 -------U-\n"
                                            "0000000001000000: 0000000000400000 -GPDA--UW\n"
                                            "00000000c0000000: 0000000000800000 --P-----W\n");
    /* PAE: what counts is what MOV CR3 loaded. */
    memory_write(memory, 0x202000, 8, 0x203007);
    memory_write(memory, 0x202008, 8, 0x80000000002000e7);
    memory_write(memory, 0x203000, 8, 0x07);
    memory_write(memory, 0x203008, 8, 0x8000000000001005);
    cpu->mmu.pdpte[0] = 0x202001;
    cpu->state.cr4 = CR4_PAE;
    assert_string_equal(run(f, "info tlb"), "0000000000000000: 0000000000000000 -------UW\n"
                                            "0000000000001000: 0000000000001000 X------U-\n"
                                            "0000000000200000: 0000000000200000 X-PDA--UW\n");
}

static void test_saving_memory(void **state)
{
    struct fixture *f = *state;
    char path[] = "/tmp/dragoman-save-XXXXXX", line[128];
    uint8_t got[16];
    close(mkstemp(path));
    poke(f, 0x1ffa, "0123456789abcdef", 16);
    for (int is_virtual = 0; is_virtual < 2; is_virtual++) {
        snprintf(line, sizeof line, "%s 0x1ffa 16 \"%s\"", is_virtual ? "memsave" : "pmemsave", path);
        assert_string_equal(run(f, line), "");
        FILE *file = fopen(path, "rb");
        assert_int_equal(fread(got, 1, sizeof got, file), 16);
        assert_int_equal(fgetc(file), EOF);
        fclose(file);
        assert_memory_equal(got, "0123456789abcdef", 16);
    }
    snprintf(line, sizeof line, "pmemsave 0 200000 \"%s\"", path);
    assert_string_equal(run(f, line), "");
    struct stat status;
    assert_int_equal(stat(path, &status), 0);
    assert_int_equal(status.st_size, 200000);
    unlink(path);
    assert_non_null(strstr(run(f, "pmemsave 0 200000 \"/dev/full\""), "No space left"));
}

static void test_ports_and_others(void **state)
{
    struct fixture *f = *state;
    assert_string_equal(run(f, "o/b 0x70 0xf"), "");
    assert_string_equal(run(f, "o/b 0x71 0xa5"), "");
    assert_string_equal(run(f, "i/b 0x71"), "portb[0x0071] = 0xa5\n");
    assert_string_equal(run(f, "i/w 0x1234"), "portl[0x1234] = 0xffffffff\n");
    assert_string_equal(run(f, "i/h 0x1234"), "portw[0x1234] = 0xffff\n");
    poke(f, 0x3000, "\1\2\3\4", 4);
    assert_string_equal(run(f, "sum 0x3000 1"), "00001\n");
    assert_string_equal(run(f, "gva2gpa 0x3000"), "gpa: 0x3000\n");
    assert_string_equal(run(f, "info name"), "testbox\n");
    assert_string_equal(run(f, "info uuid"), "00000000-0000-0000-0000-000000000000\n");
    assert_non_null(strstr(run(f, "info cpus"), "* CPU #0: thread_id="));
    assert_non_null(strstr(run(f, "info pic"), "irq_base="));
    assert_non_null(strstr(run(f, "info irq"), "IRQ statistics for isa-i8259:\n"));
    assert_non_null(strstr(run(f, "info qtree"), "dev: "));
    assert_non_null(strstr(run(f, "info stats"), "instructions"));
    assert_non_null(strstr(run(f, "info jit"), "There is no translator"));
    assert_non_null(strstr(run(f, "info version"), "7.2.0Dragoman"));
    const char *tree = run(f, "info mtree");
    assert_non_null(strstr(tree, "address-space: memory\n  0000000000000000-ffffffffffffffff (prio 0, i/o): system\n"));
    assert_non_null(strstr(tree, "    00000000ffff0000-00000000ffffffff (prio 2, rom): pc.bios\n"));
    assert_non_null(strstr(tree, "address-space: I/O\n  0000000000000000-000000000000ffff (prio 0, i/o): io\n"));
}

static void test_log_items(void **state)
{
    struct fixture *f = *state;
    assert_string_equal(run(f, "log int,mmu"), "");
    assert_int_equal(f->guest.vm->log.enabled, LOG_(INT) | LOG_(MMU));
    assert_string_equal(run(f, "log none"), "");
    assert_int_equal(f->guest.vm->log.enabled, 0);
    assert_non_null(strstr(run(f, "log nonsense"), "Log items (comma separated):\n"));
    assert_int_equal(f->guest.vm->log.enabled, 0);
}

static void test_output_is_limited(void **state)
{
    struct fixture *f = *state;
    run(f, "xp/999999999xb 0");
    assert_int_equal(f->out.length, TEXT_LIMIT);
    run(f, "xp/999999999i 0");
    assert_int_equal(f->out.length, TEXT_LIMIT);
}

static void test_completion(void **state)
{
    struct readline_completions found;
    hmp_complete("system_", &found);
    assert_int_equal(found.count, 2);
    hmp_complete("sto", &found);
    assert_int_equal(found.count, 1);
    assert_string_equal(found.words[0], "stop");
    hmp_complete("info regi", &found);
    assert_int_equal(found.count, 1);
    assert_string_equal(found.words[0], "registers");
    hmp_complete("help pmem", &found);
    assert_int_equal(found.count, 1);
    hmp_complete("xyzzy", &found);
    assert_int_equal(found.count, 0);
    hmp_complete("stop now", &found);
    assert_int_equal(found.count, 0);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(test_dumps),
        TEST(test_disassembly),
        TEST(test_print),
        TEST(test_argument_errors),
        TEST(test_status_and_run_control),
        TEST(test_registers),
        TEST(test_protected_mode_registers),
        TEST(test_page_tables),
        TEST(test_saving_memory),
        TEST(test_ports_and_others),
        TEST(test_log_items),
        TEST(test_output_is_limited),
        TEST(test_completion),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

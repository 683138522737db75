/* The command line. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "app/options.h"
#include "ir/ir.h"

#include <stdlib.h>
#include <string.h>

static struct app_options options;
static struct error err;
static char *printed;

/* Parses LINE, words separated by blanks. */
static enum options_result parse(const char *line)
{
    static char copy[8192];
    char *argv[64] = {"dragoman"};
    int argc = 1;
    size_t size;
    snprintf(copy, sizeof copy, "%s", line);
    for (char *word = strtok(copy, " "); word; word = strtok(NULL, " "))
        argv[argc++] = word;
    options_finish(&options);
    free(printed);
    printed = NULL;
    FILE *out = open_memstream(&printed, &size);
    err.message[0] = 0;
    enum options_result result = options_parse(&options, argc, argv, out, &err);
    fclose(out);
    return result;
}

static void accept(const char *line)
{
    if (parse(line) != OPTIONS_RUN)
        fail_msg("'%s': %s", line, err.message);
}

/* Refused with one line that has PART in it. */
static void refuse(const char *line, const char *part)
{
    if (parse(line) != OPTIONS_ERROR)
        fail_msg("'%s' was accepted", line);
    if (!strstr(err.message, part) || strchr(err.message, '\n'))
        fail_msg("'%s': '%s' lacks '%s'", line, err.message, part);
}

static void test_memory_sizes(void **state)
{
    static const struct {
        const char *text;
        uint64_t size;
    } good[] = {{"128", 128ull << 20},
                {"1", 1 << 20},
                {"1M", 1 << 20},
                {"512m", 512ull << 20},
                {"2G", 2ull << 30},
                {"1.5G", 1536ull << 20},
                {"0.5g", 512ull << 20},
                {"3584M", 3584ull << 20},
                {"2048K", 2 << 20},
                {"1048576b", 1 << 20},
                {"size=256M", 256ull << 20},
                {"1.999G", (1999ull << 30) / 1000 & ~4095ull}};
    static const char *const bad[] = {"",
                                      "x",
                                      "-1",
                                      "0",
                                      "1K",
                                      "3585M",
                                      "4G",
                                      "1T",
                                      "128Q",
                                      "12M3",
                                      "1..5G",
                                      "M",
                                      "128,slots=2",
                                      "99999999999999999999",
                                      "0x80",
                                      "18446744073709551615G",
                                      " 5"};
    uint64_t size;
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        assert_true(options_parse_ram_size(good[i].text, &size, &err));
        assert_int_equal(size, good[i].size);
    }
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        if (options_parse_ram_size(bad[i], &size, &err))
            fail_msg("'%s' was taken as %llu", bad[i], (unsigned long long)size);
        assert_non_null(strstr(err.message, "-m"));
    }
}

static void test_rtc(void **state)
{
    int64_t epoch = -1;
    assert_true(options_parse_rtc("base=utc", 1000, &epoch, &err));
    assert_int_equal(epoch, 1000);
    assert_true(options_parse_rtc("base=2006-06-17T16:01:21", 0, &epoch, &err));
    assert_int_equal(epoch, 1150560081);
    assert_true(options_parse_rtc("base=2006-06-17,clock=vm,driftfix=slew", 0, &epoch, &err));
    assert_int_equal(epoch, 1150502400);
    assert_true(options_parse_rtc("base=2000-02-29", 0, &epoch, &err));
    setenv("TZ", "UTC-2", 1);
    assert_true(options_parse_rtc("base=localtime", 10000, &epoch, &err));
    assert_int_equal(epoch, 10000 + 7200);
    unsetenv("TZ");
    static const char *const bad[] = {"utc",
                                      "base=",
                                      "base=tomorrow",
                                      "base=2006-13-01",
                                      "base=2006-02-30",
                                      "base=1900-02-29",
                                      "base=2006-06-17T25:00:00",
                                      "base=2006-06-17T16:01",
                                      "base=2006-06-17x",
                                      "clock=sun",
                                      "driftfix=x",
                                      "colour=red"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        if (options_parse_rtc(bad[i], 0, &epoch, &err))
            fail_msg("'%s' was accepted", bad[i]);
}

static void test_icount(void **state)
{
    accept("-bios /x -icount shift=3");
    assert_true(options.vm.counted);
    assert_int_equal(options.vm.counted_shift, 3);
    accept("-bios /x -icount 0,sleep=off,align=off");
    assert_int_equal(options.vm.counted_shift, 0);
    refuse("-bios /x -icount shift=11", "11");
    refuse("-bios /x -icount shift=auto", "auto");
    refuse("-bios /x -icount shift", "shift");
    refuse("-bios /x -icount sleep=off", "shift=N");
    refuse("-bios /x -icount shift=1,sleep=on", "sleep");
    refuse("-bios /x -icount shift=1,rr=record", "'rr'");
    accept("-bios /x -icount shift=2,stop=1000,hash=/h,hash-log=/l,hash-every=8,hash-from=10,hash-to=0x20");
    assert_int_equal(options.vm.counted_stop, 1000);
    assert_string_equal(options.vm.trace_hash.file, "/h");
    assert_string_equal(options.vm.trace_hash.log, "/l");
    assert_int_equal(options.vm.trace_hash.log_every, 8);
    assert_int_equal(options.vm.trace_hash.from, 10);
    assert_int_equal(options.vm.trace_hash.to, 32);
    assert_int_equal(options.vm.rtc_epoch, 1577836800);
    accept("-bios /x -rtc base=2006-06-17 -icount shift=2");
    assert_int_equal(options.vm.trace_hash.log_every, 16);
    assert_int_equal(options.vm.rtc_epoch, 1150502400);
    refuse("-bios /x -icount shift=1,stop", "stop");
    refuse("-bios /x -icount shift=1,hash=", "hash");
    refuse("-bios /x -icount shift=1,hash-every=64", "64");
    refuse("-bios /x -icount shift=1,hash-to", "hash-to");
}

static void test_usual_lines(void **state)
{
    accept("-kernel /k -initrd /i -append console=ttyS0 -m 256 -nographic -no-reboot");
    assert_string_equal(options.vm.kernel, "/k");
    assert_string_equal(options.vm.initrd, "/i");
    assert_string_equal(options.vm.append, "console=ttyS0");
    assert_int_equal(options.vm.ram_size, 256ull << 20);
    assert_true(options.vm.no_reboot);
    assert_int_equal(options.serial_count, 1);
    assert_int_equal(options.monitor_count, 1);
    assert_int_equal(options.serial[0].chardev, options.monitors[0].at.chardev);
    assert_true(options.chardevs[0].mux);
    assert_string_equal(options.vm.cpu, "pentium4");

    accept("--kernel /k --cpu pentium --machine pc,accel=tcg --smp 1 -M pc -name guest=box -S -no-shutdown");
    assert_string_equal(options.vm.cpu, "pentium");
    assert_string_equal(options.vm.name, "box");
    assert_true(options.vm.start_stopped && options.vm.no_shutdown);
    accept("-bios /x -engine interp --engine interp --engine=interp -boot order=c -L /a -snapshot -nic none -net none -vga none "
           "-display none -action reboot=shutdown,shutdown=pause");
    assert_true(options.vm.no_reboot && options.vm.no_shutdown);
}

static void test_disabled_passes(void **state)
{
    unsigned optional = 0;

    for (unsigned i = 0; ir_passes[i].name; i++) {
        char line[80];

        snprintf(line, sizeof line, "-kernel /k -accel tcg,disable-passes=%s", ir_passes[i].name);
        if (ir_passes[i].required) {
            refuse(line, ir_passes[i].name);
            continue;
        }
        optional |= 1u << i;
        accept(line);
        assert_int_equal(options.vm.translate.disabled_passes, 1u << i); /* this one and no other */
    }
    accept("-kernel /k -accel disable-passes=all");
    assert_int_equal(options.vm.translate.disabled_passes, optional);
    accept("-kernel /k -accel tcg,disable-passes=constants:dead_code");
    assert_int_equal(__builtin_popcount(options.vm.translate.disabled_passes), 2);
    refuse("-kernel /k -accel tcg,disable-passes=constants:nonsense", "nonsense");
}

static void test_default_devices(void **state)
{
    accept("-kernel /k");
    assert_int_equal(options.serial_count, 1); /* there, but nobody sees it */
    assert_int_equal(options.chardevs[0].kind, CHARDEV_NULL);
    assert_int_equal(options.monitor_count, 0);
    accept("-kernel /k -nodefaults");
    assert_int_equal(options.serial_count, 0);
    accept("-kernel /k -nodefaults -nographic");
    assert_int_equal(options.chardev_count, 0);
    accept("-kernel /k -nographic -serial file:/x");
    assert_int_equal(options.chardevs[options.monitors[0].at.chardev].kind, CHARDEV_STDIO);
    assert_int_equal(options.chardevs[options.serial[0].chardev].kind, CHARDEV_FILE);
    accept("-kernel /k -nographic -monitor none");
    assert_int_equal(options.monitor_count, 0);
    assert_int_equal(options.chardevs[options.serial[0].chardev].kind, CHARDEV_STDIO);
    assert_false(options.chardevs[options.serial[0].chardev].mux);
    accept("-kernel /k -serial none");
    assert_int_equal(options.serial[0].chardev, -1);
    accept("-kernel /k -nographic -serial mon:stdio");
    assert_int_equal(options.serial_count, 1);
    assert_int_equal(options.monitor_count, 1);
    accept("-kernel /k -serial stdio -serial pty -serial null -serial file:/x");
    assert_int_equal(options.serial_count, 4);
    refuse("-kernel /k -serial null -serial null -serial null -serial null -serial null", "too many");
}

static void test_monitors_and_chardevs(void **state)
{
    accept(
        "-kernel /k -qmp unix:/q,server=on,wait=off -monitor unix:/m,server,nowait -qmp tcp::4444,server=on,wait=off");
    assert_int_equal(options.monitor_count, 3);
    assert_int_equal(options.monitors[0].mode, MONITOR_CONTROL);
    assert_int_equal(options.monitors[1].mode, MONITOR_HUMAN);
    assert_string_equal(options.chardevs[0].id, "compat_monitor0");
    accept("-kernel /k -mon chardev=c,mode=control -chardev socket,id=c,path=/q,server=on,wait=off");
    assert_int_equal(options.monitors[0].at.chardev, 0); /* named before it was defined */
    accept("-kernel /k -chardev stdio,id=s,mux=on -serial chardev:s -mon s");
    assert_int_equal(options.serial[0].chardev, options.monitors[0].at.chardev);
    refuse("-kernel /k -serial chardev:nope", "'nope'");
    refuse("-kernel /k -mon mode=control", "chardev");
    refuse("-kernel /k -mon c,mode=strange", "strange");
    refuse("-kernel /k -chardev null,id=a -chardev null,id=a", "duplicate");
    refuse("-kernel /k -chardev null", "'id'");
    refuse("-kernel /k -serial gopher:x", "'gopher:x'");
    refuse("-kernel /k -qmp foo", "-qmp");
}

static void test_devices(void **state)
{
    accept("-kernel /k -device isa-debugcon,iobase=0x402,chardev=d,id=con -chardev file,id=d,path=/x "
           "-device isa-debug-exit -device isa-debug-exit,iobase=0xf4,iosize=0x04 -device pc-testdev");
    assert_int_equal(options.vm.device_count, 4);
    assert_int_equal(options.vm.devices[0].kind, VM_DEVICE_DEBUGCON);
    assert_int_equal(options.vm.devices[0].iobase, 0x402);
    assert_string_equal(options.vm.devices[0].id, "con");
    assert_int_equal(options.device[0].chardev, 0);
    assert_int_equal(options.vm.devices[1].iobase, 0x501);
    assert_int_equal(options.vm.devices[2].iobase, 0xf4);
    assert_int_equal(options.vm.devices[2].iosize, 4);
    accept("-kernel /k -debugcon stdio");
    assert_int_equal(options.vm.devices[0].iobase, 0xe9);
    accept("-kernel /k -chardev null,id=n -device isa-serial,chardev=n");
    assert_int_equal(options.serial_count, 1);
    refuse("-kernel /k -device e1000", "'e1000'");
    refuse("-kernel /k -device isa-debugcon,iobase=70000", "70000");
    refuse("-kernel /k -device isa-debugcon,iobase=x", "'x'");
    refuse("-kernel /k -device isa-debugcon,colour=red", "'colour'");
    refuse("-kernel /k -device isa-debug-exit,iosize=0", "iosize");
    refuse("-kernel /k -device isa-debug-exit,iosize", "key=value");
    refuse("-kernel /k -device pc-testdev,iobase=1", "'iobase'");
    assert_int_equal(parse("-device help"), OPTIONS_DONE);
    assert_non_null(strstr(printed, "isa-debug-exit"));
}

static void test_gdb(void **state)
{
    accept("-kernel /k -s");
    assert_true(options.gdb_wanted);
    assert_int_equal(options.chardevs[options.gdb.chardev].kind, CHARDEV_TCP);
    assert_string_equal(options.chardevs[options.gdb.chardev].port, "1234");
    assert_true(options.chardevs[options.gdb.chardev].server);
    assert_false(options.chardevs[options.gdb.chardev].wait);
    accept("-kernel /k -gdb tcp:0.0.0.0:99");
    assert_string_equal(options.chardevs[options.gdb.chardev].host, "0.0.0.0");
    accept("-kernel /k -gdb tcp::1234,server,nowait");
    accept("-kernel /k -gdb none");
    assert_false(options.gdb_wanted);
    refuse("-kernel /k -gdb 1234", "-gdb");
}

static void test_errors_name_the_option(void **state)
{
    static const struct {
        const char *line, *part;
    } cases[] = {
        {"-foo", "-foo"},
        {"--foo", "--foo"},
        {"-m", "requires an argument"},
        {"-kernel /k -append", "requires an argument"},
        {"-", "'-'"},
        {"-initrd /i -bios /b", "-initrd"},
        {"-append x -bios /b", "-append"},
        {"-kernel /k -cpu z80", "z80"},
        {"-kernel /k -M q35", "'q35'"},
        {"-kernel /k -M pc,accel=kvm", "'kvm'"},
        {"-kernel /k -M pc,colour=red", "'colour'"},
        {"-kernel /k -accel hvf", "'hvf'"},
        {"-kernel /k -enable-kvm", "kvm"},
        {"-kernel /k -smp 4", "'4'"},
        {"-kernel /k --engine tier2", "'tier2' is not"},
        {"-kernel /k --engine foo", "'foo'"},
        {"-kernel /k --engine=foo", "'foo'"},
        {"-kernel /k -engine=interp", "invalid option"},
        {"-kernel /k --snapshot=on", "invalid option"},
        {"-kernel /k --engin=interp", "invalid option"},
        {"-kernel /k -display gtk", "'gtk'"},
        {"-kernel /k -display foo", "'foo'"},
        {"-kernel /k -vga cirrus", "'cirrus'"},
        {"-kernel /k -d foo", "foo"},
        {"-kernel /k -netdev user,id=n", "-netdev"},
        {"-kernel /k -action panic=none", "panic"},
        {"-bios no-such-rom.bin", "no-such-rom.bin"},
        {"-kernel /k -m 5G", "5G"},
        {"-kernel /k -vnc :1", "-vnc"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        refuse(cases[i].line, cases[i].part);
}

static void test_information(void **state)
{
    assert_int_equal(parse("-help"), OPTIONS_DONE);
    static const char *const listed[] = {"-kernel FILE", "-m SIZE", "-qmp DEV", "-gdb DEV", "-list-instructions"};
    for (size_t i = 0; i < sizeof listed / sizeof listed[0]; i++)
        assert_non_null(strstr(printed, listed[i]));
    assert_int_equal(parse("-version"), OPTIONS_DONE);
    assert_non_null(strstr(printed, "Dragoman"));
    assert_int_equal(parse("-cpu help"), OPTIONS_DONE);
    assert_non_null(strstr(printed, "pentium4"));
    assert_int_equal(parse("-M help"), OPTIONS_DONE);
    assert_int_equal(parse("-d help"), OPTIONS_DONE);
    assert_non_null(strstr(printed, "in_asm"));
    assert_int_equal(parse("--list-instructions"), OPTIONS_DONE);
    assert_non_null(strstr(printed, "cpuid"));
    assert_non_null(strstr(printed, "critical"));
}

static void test_bios_search(void **state)
{
    char directory[] = "/tmp/dragoman-bios-XXXXXX", path[128], line[256];
    assert_non_null(mkdtemp(directory));
    snprintf(path, sizeof path, "%s/found.bin", directory);
    fclose(fopen(path, "w"));
    snprintf(line, sizeof line, "-bios found.bin -L /nonexistent -L %s", directory);
    accept(line);
    assert_string_equal(options.vm.bios, path);
    remove(path);

    /* Without -bios and without a kernel the usual firmware starts, with the usual video BIOS. */
    char vga_path[128];
    snprintf(path, sizeof path, "%s/bios-256k.bin", directory);
    snprintf(vga_path, sizeof vga_path, "%s/vgabios-stdvga.bin", directory);
    fclose(fopen(path, "w"));
    fclose(fopen(vga_path, "w"));
    snprintf(line, sizeof line, "-L %s", directory);
    accept(line);
    assert_string_equal(options.vm.bios, path);
    assert_string_equal(options.vm.vga_bios, vga_path);
    assert_true(options.vm.vga);
    snprintf(line, sizeof line, "-L %s -kernel /k -vga none", directory);
    accept(line);
    assert_null(options.vm.bios);
    assert_null(options.vm.vga_bios);
    assert_false(options.vm.vga);
    remove(path);
    remove(vga_path);
    remove(directory);
}

static int finish(void **state)
{
    options_finish(&options);
    free(printed);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_memory_sizes),
        cmocka_unit_test(test_rtc),
        cmocka_unit_test(test_icount),
        cmocka_unit_test(test_usual_lines),
        cmocka_unit_test(test_disabled_passes),
        cmocka_unit_test(test_default_devices),
        cmocka_unit_test(test_monitors_and_chardevs),
        cmocka_unit_test(test_devices),
        cmocka_unit_test(test_gdb),
        cmocka_unit_test(test_errors_name_the_option),
        cmocka_unit_test(test_information),
        cmocka_unit_test(test_bios_search),
    };
    return cmocka_run_group_tests(tests, NULL, finish);
}

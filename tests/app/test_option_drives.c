/* Drives and boot order on the command line. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "app/options.h"

#include <stdlib.h>
#include <string.h>

static struct app_options options;
static struct error err;

/* Parses LINE, words separated by blanks. A kernel is given, so that no firmware needs to be there. */
static enum options_result parse(const char *line)
{
    static char copy[8192];
    char *argv[64] = {"dragoman", "-kernel", "/k"};
    int argc = 3;
    snprintf(copy, sizeof copy, "%s", line);
    for (char *word = strtok(copy, " "); word; word = strtok(NULL, " "))
        argv[argc++] = word;
    options_finish(&options);
    err.message[0] = 0;
    return options_parse(&options, argc, argv, stdout, &err);
}

static void accept(const char *line)
{
    if (parse(line) != OPTIONS_RUN)
        fail_msg("'%s': %s", line, err.message);
}

static void refuse(const char *line, const char *part)
{
    if (parse(line) != OPTIONS_ERROR)
        fail_msg("'%s' was accepted", line);
    if (!strstr(err.message, part) || strchr(err.message, '\n'))
        fail_msg("'%s': '%s' lacks '%s'", line, err.message, part);
}

static const struct vm_drive_option *drive(unsigned slot)
{
    assert_true(options.vm.drives[slot].present);
    return &options.vm.drives[slot];
}

static void has(unsigned slot, const char *id, const char *path)
{
    assert_string_equal(drive(slot)->id, id);
    if (path)
        assert_string_equal(drive(slot)->path, path);
    else
        assert_null(drive(slot)->path);
}

static void test_short_options(void **state)
{
    accept("-hda a -hdb b -hdc c -hdd d -fda e -fdb f");
    has(0, "ide0-hd0", "a");
    has(1, "ide0-hd1", "b");
    has(2, "ide1-hd0", "c");
    has(3, "ide1-hd1", "d");
    has(4, "floppy0", "e");
    has(5, "floppy1", "f");
    assert_string_equal(drive(3)->option, "-hdd");
    assert_false(drive(0)->read_only || drive(0)->cdrom || drive(0)->snapshot);

    accept("disk.img -cdrom c.iso");
    has(0, "ide0-hd0", "disk.img");
    has(2, "ide1-cd0", "c.iso");
    assert_true(drive(2)->cdrom && drive(2)->read_only);
}

static void test_empty_drives(void **state)
{
    accept("-hda a");
    has(2, "ide1-cd0", NULL);
    assert_true(drive(2)->cdrom);
    has(4, "floppy0", NULL);
    assert_false(options.vm.drives[1].present || options.vm.drives[3].present || options.vm.drives[5].present);
    accept("-nodefaults -hda a");
    for (unsigned i = 1; i < VM_MAX_DRIVES; i++)
        assert_false(options.vm.drives[i].present);
    accept("-nodefaults -drive if=ide,media=cdrom -drive if=floppy,unit=1");
    has(2, "ide1-cd0", NULL);
    has(5, "floppy1", NULL);
}

static void test_drive(void **state)
{
    accept("-drive file=a,,b=c,format=raw,if=floppy,snapshot=on");
    has(4, "floppy0", "a,b=c");
    assert_true(drive(4)->snapshot);
    assert_string_equal(drive(4)->format, "raw");

    accept("-drive file=x -drive file=y -drive file=z,media=cdrom -drive file=w,if=ide");
    has(0, "ide0-hd0", "x");
    has(1, "ide0-hd1", "y");
    has(2, "ide1-cd0", "z");
    has(3, "ide1-hd1", "w");

    accept("-drive file=x,index=3 -drive file=y,bus=1,unit=0 -drive file=z,unit=1 -drive file=f,if=floppy,index=1");
    has(3, "ide1-hd1", "x");
    has(2, "ide1-hd0", "y");
    has(1, "ide0-hd1", "z");
    has(5, "floppy1", "f");

    accept("-drive file=x,media=cdrom -drive file=y,media=cdrom");
    has(2, "ide1-cd0", "x");
    has(0, "ide0-cd0", "y");

    accept("-drive file=x,readonly=on,id=boot,serial=S123,cyls=615,heads=4,secs=17,cache=none,werror=report");
    has(0, "boot", "x");
    assert_true(drive(0)->read_only);
    assert_string_equal(drive(0)->serial, "S123");
    assert_int_equal(drive(0)->cylinders, 615);
    assert_int_equal(drive(0)->heads, 4);
    assert_int_equal(drive(0)->sectors, 17);

    accept("-snapshot -hda a -cdrom c -fda f");
    assert_true(drive(0)->snapshot && drive(4)->snapshot && !drive(2)->snapshot);
}

static void test_drive_errors(void **state)
{
    static const struct {
        const char *line, *part;
    } cases[] = {
        {"-hda a -hda b", "the primary IDE master is taken"},
        {"-hdc a -cdrom b", "-cdrom: the secondary IDE master is taken already (by -hdc)"},
        {"-fda a -drive if=floppy,index=0,file=b", "floppy drive A:"},
        {"disk.img -hda b", "(by disk image)"},
        {"-drive x", "'x'"},
        {"-drive if=ide", "file=FILE"},
        {"-drive file=,if=ide", "file=FILE"},
        {"-drive file=x,if=virtio", "if=virtio"},
        {"-drive file=x,if=tape", "if=tape"},
        {"-drive file=x,media=tape", "media=tape"},
        {"-drive file=x,format=qcow2", "format=qcow2"},
        {"-drive file=x,index=4", "index"},
        {"-drive file=x,if=floppy,index=2", "index=2"},
        {"-drive file=x,if=floppy,bus=1", "bus=1"},
        {"-drive file=x,index=0,unit=0", "index="},
        {"-drive file=x,bus=2", "bus"},
        {"-drive file=x,unit=2", "unit"},
        {"-drive file=x,snapshot=maybe", "snapshot=maybe"},
        {"-drive file=x,colour=red", "'colour'"},
        {"-drive file=x,if=floppy,media=cdrom", "media=cdrom"},
        {"-drive file=x,cyls=100", "cyls, heads and secs"},
        {"-drive file=x,heads=17", "heads"},
        {"-drive file=x,serial=123456789012345678901", "serial"},
        {"-drive file=a,id=x -drive file=b,id=x", "id=x"},
        {"-hda a -hdb b -hdc c -hdd d -drive file=e", "all IDE drives"},
        {"-fda a -fdb b -drive if=floppy,file=c", "all floppy drives"},
        {"-blockdev x", "-blockdev"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        refuse(cases[i].line, cases[i].part);
}

static void test_boot(void **state)
{
    accept("");
    assert_string_equal(options.vm.boot.order, "");
    assert_int_equal(options.vm.boot.reboot_timeout, VM_REBOOT_TIMEOUT_DEFAULT);
    accept("-boot dca");
    assert_string_equal(options.vm.boot.order, "dca");
    accept("-boot order=c,once=d,menu=on,strict=on,splash-time=500,reboot-timeout=-1");
    const struct vm_boot_option *boot = &options.vm.boot;
    assert_string_equal(boot->order, "c");
    assert_string_equal(boot->once, "d");
    assert_true(boot->menu && boot->strict);
    assert_int_equal(boot->splash_time, 500);
    assert_int_equal(boot->reboot_timeout, -1);
    accept("-boot menu=off,reboot-timeout=1000");
    assert_false(options.vm.boot.menu);
    assert_int_equal(options.vm.boot.reboot_timeout, 1000);
    accept("-boot c -boot menu=on"); /* they add up */
    assert_string_equal(options.vm.boot.order, "c");
    assert_true(options.vm.boot.menu);
    static const struct {
        const char *line, *part;
    } cases[] = {
        {"-boot x", "'x'"},
        {"-boot cc", "twice"},
        {"-boot order=", "order="},
        {"-boot once=z", "once=z"},
        {"-boot menu=perhaps", "menu=perhaps"},
        {"-boot colour=red", "'colour'"},
        {"-boot c,d", "'d'"},
        {"-boot splash-time=65536", "splash-time"},
        {"-boot reboot-timeout=-2", "reboot-timeout"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        refuse(cases[i].line, cases[i].part);
}

static int finish(void **state)
{
    options_finish(&options);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_short_options), cmocka_unit_test(test_empty_drives), cmocka_unit_test(test_drive),
        cmocka_unit_test(test_drive_errors),  cmocka_unit_test(test_boot),
    };
    return cmocka_run_group_tests(tests, NULL, finish);
}

/* change, eject, boot_set, info block and their QMP likes; texts as QEMU 7.2 has them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "../vm/guest_code.h"
#include "../vm/rom_guest.h"
#include "monitor/hmp.h"
#include "monitor/monitor_internal.h"
#include "monitor/qmp.h"

#include <stdio.h>

struct fixture {
    struct rom_guest guest;
    struct chardev_host host;
    struct monitors *monitors;
    struct hmp hmp;
    struct qmp qmp;
    struct text out;
    char path[64];
    struct error err;
};

static int set_up(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    rom_guest_init(&f->guest);
    strcpy(f->path, "/tmp/dragoman-floppy-XXXXXX");
    int fd = mkstemp(f->path);
    if (fd < 0 || ftruncate(fd, 1440 << 10) < 0)
        return -1;
    close(fd);
    f->guest.options.start_stopped = true;
    f->guest.options.drives[2] = (struct vm_drive_option){.present = true, .cdrom = true, .id = "ide1-cd0"};
    f->guest.options.drives[4] =
        (struct vm_drive_option){.present = true, .id = "floppy0", .path = f->path, .snapshot = true};
    if (!rom_guest_create(&f->guest, guest_sleeps, sizeof guest_sleeps, &f->err))
        fail_msg("%s", f->err.message);
    f->host.loop = f->guest.loop;
    f->monitors = monitors_create(f->guest.vm, &f->host, &f->err);
    hmp_init(&f->hmp, f->monitors);
    f->qmp.set = f->monitors;
    text_init(&f->out);
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;
    text_finish(&f->out);
    monitors_destroy(f->monitors);
    rom_guest_destroy(&f->guest);
    unlink(f->path);
    free(f);
    return 0;
}

static const char *run(struct fixture *f, const char *format, ...)
{
    char line[256];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(line, sizeof line, format, arguments);
    va_end(arguments);
    text_finish(&f->out);
    hmp_execute(&f->hmp, line, &f->out);
    return text_string(&f->out);
}

static void test_human(void **state)
{
    struct fixture *f = *state;
    char expected[400];
    snprintf(expected, sizeof expected,
             "ide1-cd0: [not inserted]\n    Removable device: not locked, tray closed\n\n"
             "floppy0: %s (raw, snapshot)\n    Removable device: not locked, tray closed\n"
             "    Cache mode:       writeback\n",
             f->path);
    assert_string_equal(run(f, "info block"), expected);
    assert_string_equal(run(f, "eject floppy0"), "");
    assert_string_equal(run(f, "info block floppy0"),
                        "floppy0: [not inserted]\n    Removable device: not locked, tray open\n");
    assert_string_equal(run(f, "info block none"), "Error: Device 'none' not found\n");
    assert_string_equal(run(f, "change ide1-cd0 %s", f->path), "");
    assert_non_null(strstr(run(f, "info block -v ide1-cd0"), "(raw, read-only)\n"));
    assert_non_null(strstr(run(f, "info block -v ide1-cd0"), "virtual size: 1474560 bytes\n"));
    assert_string_equal(run(f, "eject -f ide1-cd0"), "");
    assert_string_equal(run(f, "change floppy0 %s raw read-only", f->path), "");
    assert_non_null(strstr(run(f, "info block floppy0"), "(raw, read-only, snapshot)\n"));
    assert_non_null(strstr(run(f, "change floppy0 %s raw sometimes", f->path), "sometimes"));
    assert_string_equal(run(f, "eject disk9"), "Error: Device 'disk9' not found\n");
    assert_non_null(strstr(run(f, "change floppy0 /nonexistent/x"), "/nonexistent/x"));
    assert_string_equal(run(f, "boot_set dc"), "boot device list now set to dc\n");
    assert_non_null(strstr(run(f, "boot_set q"), "'q'"));
    assert_non_null(strstr(run(f, "info blockstats"), "floppy0: rd_bytes="));
    assert_non_null(strstr(run(f, "info pci"), "8086:7010"));
    assert_non_null(strstr(run(f, "help change"), "change a removable medium"));
}

static json_t *take(json_t *reply, struct fixture *f)
{
    if (!reply)
        fail_msg("%s", f->err.message);
    return reply;
}

static json_t *drive_called(json_t *list, const char *id)
{
    for (size_t i = 0; i < json_array_size(list); i++)
        if (!strcmp(json_string_value(json_object_get(json_array_get(list, i), "device")), id))
            return json_array_get(list, i);
    fail_msg("no %s", id);
    return NULL;
}

static void test_control(void **state)
{
    struct fixture *f = *state;
    json_t *list = take(qmp_query_block(&f->qmp, NULL, &f->err), f);
    assert_int_equal(json_array_size(list), 2);
    json_t *floppy = drive_called(list, "floppy0"), *cd = drive_called(list, "ide1-cd0");
    assert_true(json_is_true(json_object_get(floppy, "removable")));
    assert_true(json_is_false(json_object_get(cd, "tray_open")));
    assert_true(json_is_false(json_object_get(cd, "locked")));
    assert_null(json_object_get(cd, "inserted"));
    json_t *inserted = json_object_get(floppy, "inserted");
    assert_string_equal(json_string_value(json_object_get(inserted, "file")), f->path);
    assert_string_equal(json_string_value(json_object_get(inserted, "drv")), "raw");
    assert_true(json_is_false(json_object_get(inserted, "ro")));
    assert_int_equal(json_integer_value(json_object_get(json_object_get(inserted, "image"), "virtual-size")), 1474560);
    json_decref(list);

    json_t *arguments = json_pack("{s:s}", "device", "floppy0");
    json_decref(take(qmp_eject(&f->qmp, arguments, &f->err), f));
    json_decref(arguments);
    arguments = json_pack("{s:s,s:s,s:s}", "id", "floppy0", "filename", f->path, "read-only-mode", "read-only");
    json_decref(take(qmp_blockdev_change_medium(&f->qmp, arguments, &f->err), f));
    json_object_set_new(arguments, "device", json_string("floppy0"));
    assert_null(qmp_blockdev_change_medium(&f->qmp, arguments, &f->err));
    assert_non_null(strstr(f->err.message, "exactly one"));
    json_object_del(arguments, "id");
    json_object_set_new(arguments, "read-only-mode", json_string("never"));
    assert_null(qmp_blockdev_change_medium(&f->qmp, arguments, &f->err));
    assert_non_null(strstr(f->err.message, "'never'"));
    json_object_set_new(arguments, "device", json_string("ide0-hd7"));
    assert_null(qmp_eject(&f->qmp, arguments, &f->err));
    assert_non_null(strstr(f->err.message, "'ide0-hd7' not found"));
    json_decref(arguments);

    list = take(qmp_query_block(&f->qmp, NULL, &f->err), f);
    inserted = json_object_get(drive_called(list, "floppy0"), "inserted");
    assert_true(json_is_true(json_object_get(inserted, "ro")));
    json_decref(list);
    arguments = json_pack("{s:s}", "device", "ide1-cd0");
    json_decref(take(qmp_blockdev_open_tray(&f->qmp, arguments, &f->err), f));
    list = take(qmp_query_block(&f->qmp, NULL, &f->err), f);
    assert_true(json_is_true(json_object_get(drive_called(list, "ide1-cd0"), "tray_open")));
    json_decref(list);
    json_decref(take(qmp_blockdev_close_tray(&f->qmp, arguments, &f->err), f));
    json_decref(arguments);
    arguments = json_pack("{s:s}", "id", "ide1-cd0");
    assert_null(qmp_blockdev_remove_medium(&f->qmp, arguments, &f->err));
    assert_non_null(strstr(f->err.message, "not open"));
    json_decref(arguments);

    list = take(qmp_query_blockstats(&f->qmp, NULL, &f->err), f);
    assert_non_null(json_object_get(json_object_get(drive_called(list, "floppy0"), "stats"), "rd_operations"));
    json_decref(list);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {TEST(test_human), TEST(test_control)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}

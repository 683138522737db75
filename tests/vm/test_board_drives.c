/* Drives on the board: what firmware is told about them, and how media change. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "guest_code.h"
#include "rom_guest.h"

#include "block/block.h"
#include "devices/mc146818.h"
#include "devices/fdc.h"
#include "devices/pci/piix_ide.h"
#include "vm/board_private.h"

static struct rom_guest guest;
static struct error err;
static char folder[64], paths[4][96];

static const char *image(unsigned number, off_t size)
{
    snprintf(paths[number], sizeof paths[number], "%s/%u.img", folder, number);
    int fd = open(paths[number], O_RDWR | O_CREAT, 0600);
    assert_true(fd >= 0 && ftruncate(fd, size) == 0);
    close(fd);
    return paths[number];
}

static int set_up(void **state)
{
    rom_guest_init(&guest);
    strcpy(folder, "/tmp/dragoman-drives-XXXXXX");
    memset(paths, 0, sizeof paths);
    return mkdtemp(folder) ? 0 : -1;
}

static int tear_down(void **state)
{
    rom_guest_destroy(&guest);
    for (unsigned i = 0; i < 4; i++)
        unlink(paths[i]);
    rmdir(folder);
    return 0;
}

static void drive(unsigned slot, const char *id, const char *path, bool cdrom)
{
    guest.options.drives[slot] =
        (struct vm_drive_option){.present = true, .cdrom = cdrom, .path = path, .option = "-drive", .read_only = cdrom};
    strcpy(guest.options.drives[slot].id, id);
}

static struct board *create(void)
{
    if (!rom_guest_create(&guest, guest_sleeps, sizeof guest_sleeps, &err))
        fail_msg("%s", err.message);
    return guest.vm->board;
}

static uint8_t cmos(struct board *board, unsigned index)
{
    device_lock_acquire(&guest.vm->device_lock);
    uint8_t value = rtc_get_cmos(board->rtc, index);
    device_lock_release(&guest.vm->device_lock);
    return value;
}

static void reset(struct board *board)
{
    device_lock_acquire(&guest.vm->device_lock);
    board_reset(board);
    device_lock_release(&guest.vm->device_lock);
}

static void test_cmos_tells_of_drives(void **state)
{
    drive(0, "small", image(0, 615 * 4 * 17 * 512), false);
    guest.options.drives[0].cylinders = 615;
    guest.options.drives[0].heads = 4;
    guest.options.drives[0].sectors = 17;
    drive(1, "big", image(1, 4ll << 30), false);
    drive(2, "cd", NULL, true);
    drive(4, "a", image(2, 1440 << 10), false);
    drive(5, "b", image(3, 1200 << 10), false);
    struct board *board = create();
    assert_int_equal(cmos(board, 0x10), 0x42);
    assert_int_equal(cmos(board, 0x14), 0x47); /* two floppies, x87, mouse */
    assert_int_equal(cmos(board, 0x12), 0xff);
    assert_int_equal(cmos(board, 0x19), 47);
    assert_int_equal(cmos(board, 0x1a), 47);
    static const uint8_t first[] = {615 & 0xff, 615 >> 8, 4, 0xff, 0xff, 0xc0, 615 & 0xff, 615 >> 8, 17};
    for (unsigned i = 0; i < sizeof first; i++)
        assert_int_equal(cmos(board, 0x1b + i), first[i]);
    assert_int_equal(cmos(board, 0x26), 16); /* heads of the second */
    assert_int_equal(cmos(board, 0x29), 0xc8);
    assert_int_equal(cmos(board, 0x39), 1 << 2); /* the second is translated: LBA */
    assert_int_equal(cmos(board, 0x3d), 0x12);   /* disk, floppy */
    assert_int_equal(cmos(board, 0x38), 0x30);   /* CD-ROM */
}

static void test_no_drives(void **state)
{
    struct board *board = create();
    struct board_drive_info info;
    assert_int_equal(cmos(board, 0x10), 0);
    assert_int_equal(cmos(board, 0x12), 0);
    assert_int_equal(cmos(board, 0x14), 0x06);
    for (unsigned i = 0; i < VM_MAX_DRIVES + 2; i++)
        assert_false(board_drive_info(board, i, &info));
    assert_int_equal(board_find_drive(board, "ide0-hd0"), -1);
    assert_false(board_eject(board, 0, true, &err));
}

static void test_boot_order(void **state)
{
    strcpy(guest.options.boot.order, "ac");
    strcpy(guest.options.boot.once, "d");
    guest.options.no_floppy_check = true;
    struct board *board = create();
    assert_int_equal(cmos(board, 0x3d), 0x03);
    assert_int_equal(cmos(board, 0x38), 0x01);
    reset(board);
    assert_int_equal(cmos(board, 0x3d), 0x21);
    assert_true(board_set_boot_order(board, "nb", &err));
    assert_int_equal(cmos(board, 0x3d), 0x14);
    reset(board); /* stays */
    assert_int_equal(cmos(board, 0x3d), 0x14);
    assert_false(board_set_boot_order(board, "x", &err));
    assert_non_null(strstr(err.message, "'x'"));
    assert_false(board_set_boot_order(board, "aa", &err));
    assert_int_equal(cmos(board, 0x3d), 0x14);
}

static void record_move(void *opaque, enum vm_event event, enum vm_cause cause)
{
    if (event == VM_EVENT_TRAY_MOVED)
        sprintf((char *)opaque + strlen(opaque), "%u%c ", guest.vm->tray_move.drive, guest.vm->tray_move.open ? 'o' : 'c');
}

static void test_media_change(void **state)
{
    char moves[256] = "";
    const char *first = image(0, 1440 << 10), *second = image(1, 720 << 10), *large = image(2, 8 << 20);
    drive(2, "cd", NULL, true);
    drive(4, "fd", first, false);
    drive(0, "hd", image(3, 1 << 20), false);
    struct board *board = create();
    int cd = board_find_drive(board, "cd"), fd = board_find_drive(board, "fd"), hd = board_find_drive(board, "hd");
    assert_true(cd == 2 && fd == 4 && hd == 0);
    struct board_drive_info info;
    vm_add_listener(guest.vm, record_move, moves);
    device_lock_acquire(&guest.vm->device_lock);

    assert_true(board_drive_info(board, (unsigned)fd, &info));
    assert_int_equal(info.kind, BOARD_FLOPPY);
    assert_string_equal(info.block->path, first);
    assert_true(board_change_medium(board, (unsigned)fd, second, NULL, BOARD_RETAIN, false, &err));
    assert_true(board_drive_info(board, (unsigned)fd, &info));
    assert_string_equal(info.block->path, second);
    assert_false(info.block->read_only);
    /* What cannot be had leaves the disk where it is. */
    assert_false(board_change_medium(board, (unsigned)fd, large, NULL, BOARD_RETAIN, false, &err));
    assert_non_null(strstr(err.message, "2.img"));
    assert_false(board_change_medium(board, (unsigned)fd, "/nonexistent/x", NULL, BOARD_RETAIN, false, &err));
    assert_non_null(strstr(err.message, "/nonexistent/x"));
    assert_false(board_change_medium(board, (unsigned)fd, first, "vmdk", BOARD_RETAIN, false, &err));
    assert_true(board_drive_info(board, (unsigned)fd, &info));
    assert_string_equal(info.block->path, second);
    assert_true(board_change_medium(board, (unsigned)fd, first, "raw", BOARD_READ_ONLY, false, &err));
    assert_true(board_drive_info(board, (unsigned)fd, &info));
    assert_true(info.block->read_only);

    assert_true(board_drive_info(board, (unsigned)cd, &info));
    assert_null(info.block);
    assert_true(board_change_medium(board, (unsigned)cd, large, NULL, BOARD_RETAIN, false, &err));
    assert_true(board_drive_info(board, (unsigned)cd, &info));
    assert_true(info.kind == BOARD_CDROM && info.block->read_only && !info.tray_open);
    assert_ptr_equal(piix_ide_info(board->ide, 1, 0).block, info.block);
    assert_true(board_eject(board, (unsigned)cd, false, &err));
    assert_true(board_drive_info(board, (unsigned)cd, &info));
    assert_null(info.block);
    assert_true(info.tray_open);
    assert_true(board_eject(board, (unsigned)cd, false, &err)); /* of an empty drive: fine */

    /* Trays: what is on one that opens stays there. */
    moves[0] = 0;
    assert_true(board_close_tray(board, (unsigned)cd, &err));
    assert_false(board_remove_medium(board, (unsigned)cd, &err));
    assert_non_null(strstr(err.message, "Tray of device 'cd' is not open"));
    assert_true(board_change_medium(board, (unsigned)cd, large, NULL, BOARD_RETAIN, false, &err));
    assert_true(board_open_tray(board, (unsigned)cd, false, &err));
    assert_true(board_drive_info(board, (unsigned)cd, &info));
    assert_true(info.tray_open && info.block);
    assert_true(board_remove_medium(board, (unsigned)cd, &err));
    assert_true(board_drive_info(board, (unsigned)cd, &info));
    assert_true(info.tray_open && !info.block);
    assert_string_equal(moves, "2c 2o 2c 2o ");
    moves[0] = 0;
    assert_true(board_open_tray(board, (unsigned)fd, false, &err));
    assert_true(board_open_tray(board, (unsigned)fd, false, &err));
    assert_null(fdc_medium(board->fdc, 0));
    assert_true(board_close_tray(board, (unsigned)fd, &err));
    assert_true(board_drive_info(board, (unsigned)fd, &info));
    assert_ptr_equal(fdc_medium(board->fdc, 0), info.block);
    assert_true(info.block && !info.tray_open);
    assert_true(board_change_medium(board, (unsigned)fd, second, NULL, BOARD_RETAIN, false, &err));
    assert_true(board_eject(board, (unsigned)fd, false, &err));
    assert_true(board_close_tray(board, (unsigned)fd, &err)); /* there is nothing to put in */
    assert_true(board_drive_info(board, (unsigned)fd, &info));
    assert_true(info.tray_open && !info.block);
    assert_string_equal(moves, "4o 4c 4o 4c 4o ");
    assert_false(board_open_tray(board, (unsigned)hd, false, &err));

    assert_false(board_eject(board, (unsigned)hd, true, &err));
    assert_non_null(strstr(err.message, "'hd' is not removable"));
    assert_false(board_change_medium(board, (unsigned)hd, first, NULL, BOARD_RETAIN, true, &err));
    device_lock_release(&guest.vm->device_lock);
}

static void test_bad_images(void **state)
{
    drive(0, "hd", "/nonexistent/x", false);
    assert_false(rom_guest_create(&guest, guest_sleeps, sizeof guest_sleeps, &err));
    assert_non_null(strstr(err.message, "-drive"));
    assert_non_null(strstr(err.message, "/nonexistent/x"));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_cmos_tells_of_drives), TEST(test_no_drives),  TEST(test_boot_order),
        TEST(test_media_change),         TEST(test_bad_images),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

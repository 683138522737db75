#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "guest.h"
#include "mmu/ports.h"

#include <stdio.h>

struct fixture {
    struct device_lock lock;
    struct log log;
    struct stats stats;
    struct port_space *ports;
};

static void setup_ports(struct fixture *f)
{
    memset(f, 0, sizeof *f);
    device_lock_init(&f->lock);
    log_init(&f->log);
    f->ports = port_space_create(&f->lock, &f->log, &f->stats);
    assert_non_null(f->ports);
}

static void finish_ports(struct fixture *f)
{
    port_space_destroy(f->ports);
    device_lock_finish(&f->lock);
}

static struct port_range range_of(struct recorder *recorder, const char *name, uint16_t base, uint16_t count)
{
    return (struct port_range){
        .name = name, .base = base, .count = count, .ops = &recorder->ops, .opaque = recorder, .enabled = true};
}

static void byte_devices_see_bytes(void **state)
{
    struct fixture f;
    struct recorder r;
    setup_ports(&f);
    recorder_init(&r, 0, 0);
    struct port_range range = range_of(&r, "r", 0x40, 4);
    port_space_add(f.ports, &range);
    assert_int_equal(port_space_read(f.ports, 0x40, 4), 0x83828180);
    assert_int_equal(r.count, 4);
    port_space_write(f.ports, 0x42, 2, 0xaabb);
    assert_call(&r, 4, true, 2, 1, 0xbb);
    assert_call(&r, 5, true, 3, 1, 0xaa);
    port_space_write(f.ports, 0x40, 1, 0x112233); /* only the size asked for */
    assert_call(&r, 6, true, 0, 1, 0x33);
    /* Over the end: the rest is nobody's. */
    assert_int_equal(port_space_read(f.ports, 0x43, 2), 0xff83);
    assert_int_equal(f.stats.port_reads, 2);
    assert_int_equal(f.stats.port_writes, 2);
    port_space_remove(f.ports, &range);
    assert_int_equal(port_space_read(f.ports, 0x40, 1), 0xff);
    assert_int_equal(port_space_read(f.ports, 0x40, 4), 0xffffffff);
    finish_ports(&f);
    (void)state;
}

static void wide_devices(void **state)
{
    struct fixture f;
    struct recorder r;
    setup_ports(&f);
    recorder_init(&r, 0, 4);
    struct port_range range = range_of(&r, "pci", 0xcf8, 8);
    port_space_add(f.ports, &range);
    assert_int_equal(port_space_read(f.ports, 0xcf8, 4), 0x83828180);
    assert_int_equal(port_space_read(f.ports, 0xcfe, 2), 0x8786);
    assert_int_equal(r.count, 2);
    port_space_write(f.ports, 0xcf9, 4, 0x44332211);
    assert_call(&r, 2, true, 1, 1, 0x11);
    assert_call(&r, 3, true, 2, 2, 0x3322);
    assert_call(&r, 4, true, 4, 1, 0x44);
    recorder_init(&r, 4, 4);
    assert_int_equal(port_space_read(f.ports, 0xcfd, 1), 0x85);
    assert_call(&r, 0, false, 4, 4, 0x87868584);
    finish_ports(&f);
    (void)state;
}

static void accesses_span_ranges_and_wrap(void **state)
{
    struct fixture f;
    struct recorder a, b;
    setup_ports(&f);
    recorder_init(&a, 0, 4);
    recorder_init(&b, 0, 4);
    struct port_range first = range_of(&a, "a", 0x100, 2), second = range_of(&b, "b", 0x102, 2);
    struct port_range last = range_of(&a, "last", 0xffff, 1), zero = range_of(&b, "zero", 0, 1);
    port_space_add(f.ports, &first);
    port_space_add(f.ports, &second);
    port_space_add(f.ports, &last);
    port_space_add(f.ports, &zero);
    assert_int_equal(port_space_read(f.ports, 0x100, 4), 0x81808180);
    assert_int_equal(a.count, 1);
    assert_int_equal(a.calls[0].size, 2);
    port_space_write(f.ports, 0x101, 2, 0x2211);
    assert_call(&a, 1, true, 1, 1, 0x11);
    assert_call(&b, 1, true, 0, 1, 0x22);
    assert_int_equal(port_space_read(f.ports, 0xffff, 2), 0x8080);
    assert_int_equal(port_space_read(f.ports, 0xffff, 4), 0xffff8080);
    finish_ports(&f);
    (void)state;
}

static void newest_range_wins_until_moved(void **state)
{
    struct fixture f;
    struct recorder a, b;
    setup_ports(&f);
    recorder_init(&a, 0, 0);
    recorder_init(&b, 0, 0);
    struct port_range isa = range_of(&a, "isa", 0x300, 16), bar = range_of(&b, "bar", 0x300, 8);
    port_space_add(f.ports, &isa);
    port_space_add(f.ports, &bar);
    assert_ptr_equal(port_space_first(f.ports), &bar);
    port_space_read(f.ports, 0x304, 1);
    port_space_read(f.ports, 0x308, 1);
    assert_int_equal(b.count, 1);
    assert_int_equal(a.count, 1);
    port_space_update(f.ports, &bar, 0xc000, true);
    port_space_read(f.ports, 0x304, 1);
    assert_int_equal(a.count, 2);
    port_space_read(f.ports, 0xc004, 1);
    assert_call(&b, 1, false, 4, 1, 0x84);
    port_space_update(f.ports, &bar, 0xc000, false);
    assert_int_equal(port_space_read(f.ports, 0xc004, 1), 0xff);
    /* A range that would run over the end of the port space stops there. */
    port_space_update(f.ports, &bar, 0xfffc, true);
    port_space_read(f.ports, 0xffff, 1);
    assert_call(&b, 2, false, 3, 1, 0x83);
    assert_int_equal(port_space_read(f.ports, 0, 1), 0xff);
    finish_ports(&f);
    (void)state;
}

static void unimplemented_is_logged_once_a_port(void **state)
{
    struct fixture f;
    setup_ports(&f);
    FILE *file = tmpfile();
    assert_non_null(file);
    f.log.file = file;
    f.log.enabled = LOG_(UNIMP);
    for (int i = 0; i < 3; i++) {
        port_space_read(f.ports, 0x80, 1);
        port_space_write(f.ports, 0x80, 1, 0);
        port_space_write(f.ports, 0x81, 1, 0);
    }
    rewind(file);
    unsigned lines = 0;
    for (int c; (c = getc(file)) != EOF;)
        lines += c == '\n';
    assert_int_equal(lines, 2);
    fclose(file);
    finish_ports(&f);
    (void)state;
}

static void log_records_and_replays(void **state)
{
    struct fixture f;
    struct recorder r;
    struct access_log log;
    setup_ports(&f);
    recorder_init(&r, 0, 0);
    access_log_init(&log);
    struct port_range range = range_of(&r, "r", 0x60, 4);
    port_space_add(f.ports, &range);
    port_space_set_access_log(f.ports, &log);
    assert_int_equal(port_space_read(f.ports, 0x60, 2), 0x8180);
    port_space_write(f.ports, 0x61, 1, 0x55);
    assert_int_equal(log.device_count, 2);
    unsigned calls = r.count;
    access_log_start_replay(&log);
    assert_int_equal(port_space_read(f.ports, 0x60, 2), 0x8180);
    port_space_write(f.ports, 0x61, 1, 0x155); /* the size counts, not what is above it */
    assert_int_equal(r.count, calls);
    assert_false(log.mismatch);
    assert_int_equal(log.replay_position, 2);
    port_space_write(f.ports, 0x61, 1, 0x55); /* one too many */
    assert_true(log.mismatch);
    assert_int_equal(r.count, calls);
    port_space_set_access_log(f.ports, NULL);
    access_log_finish(&log);
    finish_ports(&f);
    (void)state;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(byte_devices_see_bytes),
        cmocka_unit_test(wide_devices),
        cmocka_unit_test(accesses_span_ranges_and_wrap),
        cmocka_unit_test(newest_range_wins_until_moved),
        cmocka_unit_test(unimplemented_is_logged_once_a_port),
        cmocka_unit_test(log_records_and_replays),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

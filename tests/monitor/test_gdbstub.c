/* The gdb stub, packet by packet, over a socket. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "../vm/guest_code.h"
#include "../vm/rom_guest.h"
#include "monitor/gdbstub.h"
#include "monitor/monitor.h"

#include <stdio.h>
#include <sys/socket.h>
#include <sys/un.h>

struct fixture {
    struct rom_guest guest;
    struct chardev_host host;
    struct monitors *monitors;
    struct gdbstub *stub;
    struct chardev *chardev;
    char directory[64];
    int fd;
    char buffer[65536];
    size_t used;
    char reply[65536];
};

static void pump(struct fixture *f)
{
    vm_iterate(f->guest.vm, 1000000);
    chardev_drain(f->chardev, 100);
    ssize_t n = read(f->fd, f->buffer + f->used, sizeof f->buffer - 1 - f->used);
    if (n > 0)
        f->used += (size_t)n;
    f->buffer[f->used] = 0;
}

static void consume(struct fixture *f, size_t length)
{
    memmove(f->buffer, f->buffer + length, f->used - length + 1);
    f->used -= length;
}

static void expect_byte(struct fixture *f, char byte)
{
    for (int i = 0; i < 2000 && !f->used; i++)
        pump(f);
    assert_true(f->used > 0);
    assert_int_equal(f->buffer[0], byte);
    consume(f, 1);
}

/* The next packet's content, escapes undone, after its checksum was verified. */
static const char *next(struct fixture *f)
{
    char *hash = NULL;
    for (int i = 0; i < 2000; i++) {
        hash = strchr(f->buffer, '#');
        if (hash && hash + 2 < f->buffer + f->used)
            break;
        hash = NULL;
        pump(f);
    }
    if (!hash)
        fail_msg("no packet; got '%s'", f->buffer);
    assert_int_equal(f->buffer[0], '$');
    uint8_t sum = 0;
    size_t length = 0;
    for (char *p = f->buffer + 1; p < hash; p++) {
        sum += (uint8_t)*p;
        if (*p == '}') {
            sum += (uint8_t)p[1];
            f->reply[length++] = (char)(*++p ^ 0x20);
        } else {
            f->reply[length++] = *p;
        }
    }
    f->reply[length] = 0;
    char digits[3] = {hash[1], hash[2], 0};
    assert_int_equal(strtoul(digits, NULL, 16), sum);
    consume(f, (size_t)(hash + 3 - f->buffer));
    return f->reply;
}

static void send_bytes(struct fixture *f, const char *data, size_t length)
{
    assert_int_equal(write(f->fd, data, length), length);
}

static void send_packet(struct fixture *f, const char *content, size_t length)
{
    char packet[32768];
    uint8_t sum = 0;
    for (size_t i = 0; i < length; i++)
        sum += (uint8_t)content[i];
    packet[0] = '$';
    memcpy(packet + 1, content, length);
    snprintf(packet + 1 + length, 4, "#%02x", sum);
    send_bytes(f, packet, length + 4);
}

/* Sends CONTENT and returns the reply; acknowledgements are still on. */
static const char *ask(struct fixture *f, const char *content)
{
    send_packet(f, content, strlen(content));
    expect_byte(f, '+');
    const char *reply = next(f);
    send_bytes(f, "+", 1);
    return reply;
}

static int set_up(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    struct error err;
    struct chardev_config config;
    char spec[128];
    strcpy(f->directory, "/tmp/dragoman-gdb-XXXXXX");
    if (!mkdtemp(f->directory))
        return -1;
    rom_guest_init(&f->guest);
    f->guest.options.start_stopped = true;
    if (!rom_guest_create(&f->guest, guest_counts, sizeof guest_counts, &err))
        fail_msg("%s", err.message);
    f->host.loop = f->guest.loop;
    f->monitors = monitors_create(f->guest.vm, &f->host, &err);
    snprintf(spec, sizeof spec, "unix:%s/g,server=on,wait=off", f->directory);
    assert_true(chardev_config_parse(&config, "-gdb", spec, &err));
    f->chardev = chardev_open(&f->host, &config, &err);
    assert_non_null(f->chardev);
    f->stub = gdbstub_create(f->guest.vm, f->monitors, f->chardev, &err);
    assert_non_null(f->stub);
    *state = f;
    if (!vm_start(f->guest.vm, &err))
        return -1;
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    snprintf(address.sun_path, sizeof address.sun_path, "%s/g", f->directory);
    f->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);
    return connect(f->fd, (struct sockaddr *)&address, sizeof address);
}

static int tear_down(void **state)
{
    struct fixture *f = *state;
    gdbstub_destroy(f->stub);
    close(f->fd);
    monitors_destroy(f->monitors);
    chardev_close(f->chardev);
    rom_guest_destroy(&f->guest);
    rmdir(f->directory);
    free(f);
    return 0;
}

static void test_greeting(void **state)
{
    struct fixture *f = *state;
    const char *supported = ask(f, "qSupported:multiprocess+;xmlRegisters=i386");
    assert_non_null(strstr(supported, "PacketSize="));
    assert_non_null(strstr(supported, "qXfer:features:read+"));
    assert_string_equal(ask(f, "?"), "T05thread:01;");
    assert_string_equal(ask(f, "Hg0"), "OK");
    assert_string_equal(ask(f, "qC"), "QC01");
    assert_string_equal(ask(f, "qfThreadInfo"), "m01");
    assert_string_equal(ask(f, "qsThreadInfo"), "l");
    assert_string_equal(ask(f, "vMustReplyEmpty"), "");
    assert_string_equal(ask(f, "vCont?"), "vCont;c;C;s;S");
    assert_string_equal(ask(f, "Z2,1000,4"), ""); /* no watchpoints */
    assert_string_equal(ask(f, "!"), "");
    assert_string_equal(ask(f, "QStartNoAckMode"), "OK");
    send_packet(f, "?", 1);
    assert_string_equal(next(f), "T05thread:01;"); /* no '+' any more */
}

static void test_target_description(void **state)
{
    struct fixture *f = *state;
    char whole[16384] = "";
    for (unsigned offset = 0;;) {
        char request[64];
        snprintf(request, sizeof request, "qXfer:features:read:target.xml:%x,200", offset);
        const char *reply = ask(f, request);
        assert_true(reply[0] == 'm' || reply[0] == 'l');
        strcat(whole, reply + 1);
        offset += (unsigned)strlen(reply + 1);
        if (reply[0] == 'l')
            break;
        assert_int_equal(strlen(reply + 1), 0x200);
    }
    assert_non_null(strstr(whole, "org.gnu.gdb.i386.core"));
    assert_non_null(strstr(whole, "org.gnu.gdb.i386.sse"));
    assert_non_null(strstr(whole, "</target>"));
    assert_string_equal(ask(f, "qXfer:features:read:other.xml:0,200"), "E00");
}

static void test_registers(void **state)
{
    struct fixture *f = *state;
    struct vcpu *cpu = vm_cpu(f->guest.vm, 0);
    for (int i = 0; i < 10; i++)
        pump(f);
    cpu->state.gpr[GPR_AX] = 0x12345678;
    assert_string_equal(ask(f, "p0"), "78563412");
    assert_string_equal(ask(f, "p8"), "f0ff0000");
    assert_string_equal(ask(f, "pa"), "00f00000");
    assert_string_equal(ask(f, "p18"), "40000000"); /* FCW after reset */
    assert_string_equal(ask(f, "pff"), "E14");
    assert_string_equal(ask(f, "P3=ddccbbaa"), "OK");
    assert_int_equal(cpu->state.gpr[GPR_BX], 0xaabbccdd);
    assert_string_equal(ask(f, "P3=dd"), "E14");
    assert_string_equal(ask(f, "P20=000102030405060708090a0b0c0d0e0f"), "OK");
    assert_int_equal(cpu->state.xmm[0].u8[15], 15);
    assert_string_equal(ask(f, "P10=35c26821a2da0fc90040"), "OK");
    assert_int_equal(cpu->state.x87.st[0][9], 0x40);
    assert_string_equal(ask(f, "P9=d7080200"), "OK"); /* VM is not the debugger's to set */
    assert_int_equal(cpu_eflags(cpu), 0x8d7);
    assert_string_equal(ask(f, "Pd=34120000"), "OK"); /* es, in real mode */
    assert_int_equal(cpu->state.segment[SEG_ES].base, 0x12340);
    /* Tag word: full for gdb, abridged inside. ST(0) is register 6 here. */
    cpu->state.x87.fsw = 6 << 11;
    cpu->state.x87.ftw = 0xc0;
    memset(cpu->state.x87.st[1], 0, 10);
    assert_string_equal(ask(f, "p1a"), "ff4f0000"); /* 7 zero (1), 6 valid (0), others empty (3) */
    assert_string_equal(ask(f, "P1a=fcff0000"), "OK");
    assert_int_equal(cpu->state.x87.ftw, 1);

    char all[4096];
    snprintf(all, sizeof all, "G%s", ask(f, "g"));
    /* 16 of 4 bytes, 8 of 10, 8 of 4, 8 of 16, 1 + 4 of 4, 1 of 8 */
    assert_int_equal(strlen(all), 1 + 2 * (64 + 80 + 32 + 128 + 20 + 8));
    cpu->state.gpr[GPR_AX] = 0;
    cpu->state.xmm[0].u8[15] = 0;
    assert_string_equal(ask(f, all), "OK");
    assert_int_equal(cpu->state.gpr[GPR_AX], 0x12345678);
    assert_int_equal(cpu->state.xmm[0].u8[15], 15);
}

static void test_memory(void **state)
{
    struct fixture *f = *state;
    assert_string_equal(ask(f, "M1ffe,4:01020304"), "OK"); /* over a page's end */
    assert_string_equal(ask(f, "m1ffe,4"), "01020304");
    assert_string_equal(ask(f, "mffff0,5"), "ea000000f0");
    assert_string_equal(ask(f, "Mffff0,1:90"), "OK"); /* a debugger writes to ROM */
    assert_string_equal(ask(f, "mffff0,1"), "90");
    assert_string_equal(ask(f, "Mffff0,1:ea"), "OK");
    static const char binary[] = "X3000,4:\x7d\x03\x7d\x5d\x01\x00"; /* escaped '#' and '}' */
    send_packet(f, binary, sizeof binary - 1);
    expect_byte(f, '+');
    assert_string_equal(next(f), "OK");
    send_bytes(f, "+", 1);
    assert_string_equal(ask(f, "m3000,4"), "237d0100");
    assert_string_equal(ask(f, "m100000000,4"), "E14");
    assert_string_equal(ask(f, "m"), "E22");
    assert_string_equal(ask(f, "m1000"), "E22");
    assert_string_equal(ask(f, "m1000,ffffff"), "E22");
    assert_string_equal(ask(f, "M1000,4:0102"), "E22");
    assert_string_equal(ask(f, "Qqemu.PhyMemMode:1"), "OK");
    assert_string_equal(ask(f, "m1ffe,4"), "01020304");
}

static void test_stepping_and_breakpoints(void **state)
{
    struct fixture *f = *state;
    struct vcpu *cpu = vm_cpu(f->guest.vm, 0);
    for (int i = 0; i < 10; i++)
        pump(f);
    assert_string_equal(ask(f, "s"), "T05thread:01;");
    assert_int_equal(cpu->state.rip, 0);
    assert_string_equal(ask(f, "vCont;s:1;c"), "T05thread:01;");
    assert_int_equal(cpu->state.rip, 2);
    assert_string_equal(ask(f, "Z0,f0008,1"), "OK");
    assert_string_equal(ask(f, "Z0,f0008,1"), "OK");
    assert_string_equal(ask(f, "c"), "T05thread:01;");
    assert_int_equal(cpu->state.rip, 8);
    assert_string_equal(ask(f, "vCont;c:1"), "T05thread:01;"); /* round the loop */
    assert_int_equal(cpu->state.rip, 8);
    assert_string_equal(ask(f, "m500,4"), "01000000");
    assert_string_equal(ask(f, "z0,f0008,1"), "OK");
    assert_string_equal(ask(f, "z1,f0008,1"), "OK");
    send_packet(f, "c", 1);
    expect_byte(f, '+');
    for (int i = 0; i < 20; i++)
        pump(f);
    assert_int_equal(f->used, 0);
    send_bytes(f, "\x03", 1);
    assert_string_equal(next(f), "T02thread:01;");
}

static void test_step_with_address(void **state)
{
    struct fixture *f = *state;
    for (int i = 0; i < 10; i++)
        pump(f);
    assert_string_equal(ask(f, "s"), "T05thread:01;");
    assert_string_equal(ask(f, "s2"), "T05thread:01;"); /* mov ds,ax */
    assert_int_equal(vm_cpu(f->guest.vm, 0)->state.rip, 4);
    assert_string_equal(ask(f, "S05;4"), "T05thread:01;");
    assert_int_equal(vm_cpu(f->guest.vm, 0)->state.rip, 8);
}

static void test_framing(void **state)
{
    struct fixture *f = *state;
    send_bytes(f, "junk$?#00", 9); /* wrong checksum */
    expect_byte(f, '-');
    send_bytes(f, "$?#3f", 5);
    expect_byte(f, '+');
    assert_string_equal(next(f), "T05thread:01;");
    send_bytes(f, "-", 1); /* again, please */
    assert_string_equal(next(f), "T05thread:01;");
    send_bytes(f, "$", 1);
    pump(f);
    send_bytes(f, "q", 1);
    pump(f);
    send_bytes(f, "C#b", 3);
    pump(f);
    send_bytes(f, "4", 1);
    expect_byte(f, '+');
    assert_string_equal(next(f), "QC01");
    /* Longer than any packet may be. */
    char big[4096];
    memset(big, 'A', sizeof big);
    send_bytes(f, "$", 1);
    for (int i = 0; i < 20; i++) {
        send_bytes(f, big, sizeof big);
        pump(f);
        pump(f);
    }
    send_bytes(f, "#00", 3);
    expect_byte(f, '-');
    assert_string_equal(ask(f, "qC"), "QC01");
}

static void test_monitor_commands(void **state)
{
    struct fixture *f = *state;
    /* "info status" */
    assert_int_equal(ask(f, "qRcmd,696e666f20737461747573")[0], 'O');
    assert_non_null(strstr(f->reply, "564d207374617475733a20")); /* "VM status: " */
    assert_string_equal(next(f), "OK");
}

static void test_attaching_stops_and_detaching_continues(void **state)
{
    struct fixture *f = *state;
    assert_string_equal(ask(f, "Z0,f0008,1"), "OK");
    assert_string_equal(ask(f, "D"), "OK");
    for (int i = 0; i < 20; i++)
        pump(f);
    assert_int_equal(f->guest.vm->state, VM_RUNNING); /* the breakpoint is gone as well */
    close(f->fd);
    for (int i = 0; i < 5; i++)
        vm_iterate(f->guest.vm, 1000000);
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    snprintf(address.sun_path, sizeof address.sun_path, "%s/g", f->directory);
    f->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);
    assert_int_equal(connect(f->fd, (struct sockaddr *)&address, sizeof address), 0);
    for (int i = 0; i < 20; i++)
        pump(f);
    assert_int_equal(f->guest.vm->state, VM_PAUSED);
}

static void test_kill(void **state)
{
    struct fixture *f = *state;
    send_packet(f, "k", 1);
    assert_int_equal(vm_run(f->guest.vm), 0);
}

static void test_garbage(void **state)
{
    struct fixture *f = *state;
    uint32_t seed = 3;
    for (int i = 0; i < 3000; i++) {
        static const char letters[] = "mMXpPgGzZqQvsHT?!,:;=0123456789abcdefRcmd-}x";
        char packet[40];
        size_t length = 0;
        while (length < 30) {
            seed = seed * 1664525 + 1013904223;
            packet[length++] = letters[(seed >> 16) % (sizeof letters - 1)];
            if ((seed >> 8) % 16 == 0)
                break;
        }
        if (packet[0] == 's' || packet[0] == 'v' || packet[0] == 'c')
            continue;
        send_packet(f, packet, length);
        expect_byte(f, '+');
        next(f);
    }
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(test_greeting),
        TEST(test_target_description),
        TEST(test_registers),
        TEST(test_memory),
        TEST(test_stepping_and_breakpoints),
        TEST(test_step_with_address),
        TEST(test_framing),
        TEST(test_monitor_commands),
        TEST(test_attaching_stops_and_detaching_continues),
        TEST(test_kill),
        TEST(test_garbage),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

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

static int set_up_with(void **state, enum vm_engine engine, const uint8_t *code, size_t length)
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
    f->guest.options.engine = engine;
    f->guest.options.translate = (struct translate_options)TRANSLATE_OPTIONS_DEFAULT;
    if (!rom_guest_create(&f->guest, code, length, &err))
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

static int set_up(void **state)
{
    return set_up_with(state, VM_ENGINE_INTERP, guest_counts, sizeof guest_counts);
}

static int set_up_tier1(void **state)
{
    return set_up_with(state, VM_ENGINE_TIER1, guest_counts, sizeof guest_counts);
}

static int set_up_auto(void **state)
{
    return set_up_with(state, VM_ENGINE_AUTO, guest_counts, sizeof guest_counts);
}

/* es = 0; di = 500h; cx = 4; rep stosw; jmp $ */
static const uint8_t guest_fills[] = {0x31, 0xc0, 0x8e, 0xc0, 0xbf, 0x00, 0x05,
                                      0xb9, 0x04, 0x00, 0xf3, 0xab, 0xeb, 0xfe};
#define GUEST_FILLS_REP 10

static int set_up_fills(void **state)
{
    return set_up_with(state, VM_ENGINE_AUTO, guest_fills, sizeof guest_fills);
}

static int set_up_nmi(void **state)
{
    return set_up_with(state, VM_ENGINE_AUTO, guest_awaits_nmi, sizeof guest_awaits_nmi);
}

/* cli; ds = 0; vector 2 at 0:8 = F000:001b; sp = 7000h; ss = 0; mov [500h],ax; jmp $; 1b: nop; jmp $ */
static const uint8_t guest_shadows_nmi[] = {0xfa, 0x31, 0xc0, 0x8e, 0xd8, 0xc7, 0x06, 0x08, 0x00, 0x1b,
                                            0x00, 0xc7, 0x06, 0x0a, 0x00, 0x00, 0xf0, 0xbc, 0x00, 0x70,
                                            0x8e, 0xd0, 0xa3, 0x00, 0x05, 0xeb, 0xfe, 0x90, 0xeb, 0xfe};

static int set_up_shadow(void **state)
{
    return set_up_with(state, VM_ENGINE_AUTO, guest_shadows_nmi, sizeof guest_shadows_nmi);
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
    assert_string_equal(ask(f, "Z5,1000,4"), "");
    assert_string_equal(ask(f, "!"), "OK");
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
    /* 16 of 4 bytes, 8 of 10, 8 of 4, 8 of 16, 1 + 4 of 4, 1 of 8, 7 of 4 */
    assert_int_equal(strlen(all), 1 + 2 * (64 + 80 + 32 + 128 + 20 + 8 + 28));
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

static void stop_by_interrupt(struct fixture *f)
{
    send_bytes(f, "\x03", 1);
    assert_string_equal(next(f), "T02thread:01;");
    send_bytes(f, "+", 1);
}

static void test_watchpoints(void **state)
{
    struct fixture *f = *state;
    struct vcpu *cpu = vm_cpu(f->guest.vm, 0);
    for (int i = 0; i < 10; i++)
        pump(f);
    /* The instruction before the loop: once. */
    assert_string_equal(ask(f, "Z2,601,1"), "OK");
    assert_string_equal(ask(f, "c"), "T05watch:601;thread:01;");
    assert_int_equal(cpu->state.rip, 8);
    send_packet(f, "c", 1); /* let the loop become hot, and translated */
    expect_byte(f, '+');
    for (int i = 0; i < 30; i++)
        pump(f);
    assert_int_equal(f->used, 0);
    stop_by_interrupt(f);
    assert_string_equal(ask(f, "z2,601,1"), "OK");
    send_packet(f, "c", 1);
    expect_byte(f, '+');
    for (int i = 0; i < 30; i++)
        pump(f);
    stop_by_interrupt(f);
    if (f->guest.options.engine != VM_ENGINE_INTERP)
        assert_true(f->guest.vm->stats.native_entries > 0);

    assert_string_equal(ask(f, "Z2,500,4"), "OK");
    assert_string_equal(ask(f, "Z2,500,4"), "OK"); /* gdb may repeat itself */
    assert_int_equal(cpu->watchpoints.count, 1);
    assert_string_equal(ask(f, "c"), "T05watch:500;thread:01;");
    assert_int_equal(cpu->state.rip, 13); /* behind it */
    char before[16], after[16];
    memory_read_bytes(f->guest.vm->memory, GUEST_COUNTER, before, 4);
    assert_string_equal(ask(f, "vCont;c:1"), "T05watch:500;thread:01;");
    assert_int_equal(cpu->state.rip, 13);
    memory_read_bytes(f->guest.vm->memory, GUEST_COUNTER, after, 4);
    uint32_t first, second;
    memcpy(&first, before, 4);
    memcpy(&second, after, 4);
    assert_int_equal(second, first + 1);
    /* Single steps see it as well, and only where it is. */
    assert_string_equal(ask(f, "s"), "T05thread:01;");
    assert_int_equal(cpu->state.rip, 8);
    assert_string_equal(ask(f, "s"), "T05watch:500;thread:01;");
    assert_int_equal(cpu->state.rip, 13);
    assert_string_equal(ask(f, "s"), "T05thread:01;");
    assert_string_equal(ask(f, "z2,500,4"), "OK");
    assert_string_equal(ask(f, "z2,500,4"), "OK");

    static const struct {
        const char *set, *stop, *clear;
    } kinds[] = {
        {"Z3,500,4", "T05rwatch:500;thread:01;", "z3,500,4"},   {"Z4,500,4", "T05awatch:500;thread:01;", "z4,500,4"},
        {"Z2,502,1", "T05watch:502;thread:01;", "z2,502,1"},    {"Z2,503,20", "T05watch:503;thread:01;", "z2,503,20"},
        {"Z4,0,1000", "T05awatch:500;thread:01;", "z4,0,1000"}, {"Z3,4f0,11", "T05rwatch:500;thread:01;", "z3,4f0,11"},
    };
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        assert_string_equal(ask(f, kinds[i].set), "OK");
        assert_string_equal(ask(f, "c"), kinds[i].stop);
        assert_int_equal(cpu->state.rip, 13);
        assert_string_equal(ask(f, kinds[i].clear), "OK");
    }
    /* The guest's own debug registers know nothing of it. */
    assert_int_equal(cpu->state.dr[6], 0xffff0ff0);
    assert_int_equal(cpu->state.dr[7], 0x400);
    assert_int_equal(f->guest.vm->stats.exceptions, 0);
    /* Beside it is not in it. */
    assert_string_equal(ask(f, "Z4,4fc,4"), "OK");
    assert_string_equal(ask(f, "Z4,504,4"), "OK");
    send_packet(f, "c", 1);
    expect_byte(f, '+');
    for (int i = 0; i < 30; i++)
        pump(f);
    assert_int_equal(f->used, 0);
    stop_by_interrupt(f);
    assert_string_equal(ask(f, "z4,4fc,4"), "OK");
    assert_string_equal(ask(f, "z4,504,4"), "OK");
    assert_false(cpu->mmu.observe_reads || cpu->mmu.observe_writes);
}

static void test_watchpoints_and_breakpoints(void **state)
{
    struct fixture *f = *state;
    struct vcpu *cpu = vm_cpu(f->guest.vm, 0);
    assert_string_equal(ask(f, "Z2,500,4"), "OK");
    assert_string_equal(ask(f, "Z0,f000d,1"), "OK");
    for (int round = 0; round < 3; round++) {
        assert_string_equal(ask(f, "c"), "T05watch:500;thread:01;");
        assert_int_equal(cpu->state.rip, 13);
        assert_string_equal(ask(f, "c"), "T05thread:01;");
        assert_int_equal(cpu->state.rip, 13);
    }
    assert_string_equal(ask(f, "D"), "OK");
    for (int i = 0; i < 20; i++)
        pump(f);
    assert_int_equal(f->guest.vm->state, VM_RUNNING);
    assert_int_equal(cpu->watchpoints.count, 0);
}

/* Those that cannot be, and as many as there may be. */
static void test_watchpoint_limits(void **state)
{
    struct fixture *f = *state;
    char packet[32];
    assert_string_equal(ask(f, "Z2,500,0"), "E22");
    assert_string_equal(ask(f, "Z2,500,1001"), "E22");
    assert_string_equal(ask(f, "Z2,100000000,4"), "E22");
    assert_string_equal(ask(f, "Z2,500"), "E22");
    assert_string_equal(ask(f, "Z2"), "");
    for (unsigned i = 0; i < WATCHPOINT_COUNT; i++) {
        snprintf(packet, sizeof packet, "Z2,%x,4", 0x8000 + 4 * i);
        assert_string_equal(ask(f, packet), "OK");
    }
    assert_string_equal(ask(f, "Z2,9000,4"), "E0c");
    assert_string_equal(ask(f, "Z2,8000,4"), "OK");
    assert_string_equal(ask(f, "z2,8000,4"), "OK");
    assert_string_equal(ask(f, "Z2,500,4"), "OK");
    assert_string_equal(ask(f, "c"), "T05watch:500;thread:01;");
}

/* The monitor let the machine run: nobody hears of the hit, and the next `cont` goes on. */
static void test_watchpoint_nobody_waits_for(void **state)
{
    struct fixture *f = *state;
    assert_string_equal(ask(f, "Z2,600,2"), "OK");
    for (int round = 0; round < 2; round++) {
        assert_string_equal(ask(f, "qRcmd,636f6e74"), "OK"); /* cont */
        send_bytes(f, "+", 1);
        for (int i = 0; i < 30; i++)
            pump(f);
        assert_int_equal(f->used, 0);
        assert_int_equal(f->guest.vm->state, round ? VM_RUNNING : VM_DEBUG);
    }
}

static void test_watchpoint_in_repetition(void **state)
{
    struct fixture *f = *state;
    struct vcpu *cpu = vm_cpu(f->guest.vm, 0);
    assert_string_equal(ask(f, "Z2,504,2"), "OK");
    assert_string_equal(ask(f, "c"), "T05watch:504;thread:01;");
    assert_int_equal(cpu->state.rip, GUEST_FILLS_REP); /* behind the iteration */
    assert_int_equal(cpu->state.gpr[GPR_CX], 1);
    assert_string_equal(ask(f, "s"), "T05thread:01;");
    assert_int_equal(cpu->state.gpr[GPR_CX], 0);
}

/* The stack of an interrupt that ends HLT: the machine stops before the handler's first instruction. */
static void test_watchpoint_on_interrupt_stack(void **state)
{
    struct fixture *f = *state;
    struct vcpu *cpu = vm_cpu(f->guest.vm, 0);
    assert_string_equal(ask(f, "Z2,6ffa,2"), "OK");
    send_packet(f, "c", 1);
    expect_byte(f, '+');
    for (int i = 0; i < 30; i++)
        pump(f);
    assert_int_equal(f->used, 0);
    vm_inject_nmi(f->guest.vm);
    assert_string_equal(next(f), "T05watch:6ffa;thread:01;");
    assert_int_equal(cpu->state.rip, 0x19);
}

/* The same where the processor runs; and an interrupt that waits for the end of the instruction with the hit comes
 * after the stop. */
static void test_watchpoint_before_interrupt(void **state)
{
    struct fixture *f = *state;
    struct vcpu *cpu = vm_cpu(f->guest.vm, 0);
    assert_string_equal(ask(f, "Z0,f0016,1"), "OK");
    assert_string_equal(ask(f, "Z2,500,2"), "OK");
    assert_string_equal(ask(f, "Z2,6ffa,2"), "OK");
    assert_string_equal(ask(f, "c"), "T05thread:01;");
    assert_int_equal(cpu->state.interrupt_shadow, INHIBIT_MOV_SS);
    vm_inject_nmi(f->guest.vm);
    assert_string_equal(ask(f, "z0,f0016,1"), "OK");
    assert_string_equal(ask(f, "c"), "T05watch:500;thread:01;");
    assert_int_equal(cpu->state.rip, 0x19);
    assert_string_equal(ask(f, "c"), "T05watch:6ffa;thread:01;");
    assert_int_equal(cpu->state.rip, 0x1b);
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

static void test_settings(void **state)
{
    struct fixture *f = *state;
    for (int i = 0; i < 10; i++)
        pump(f);
    assert_string_equal(ask(f, "qqemu.sstepbits"), "ENABLE=1,NOIRQ=2,NOTIMER=4");
    assert_string_equal(ask(f, "qqemu.sstep"), "0x7");
    assert_string_equal(ask(f, "Qqemu.sstep=0x1"), "OK");
    assert_string_equal(ask(f, "qqemu.sstep"), "0x1");
    assert_string_equal(ask(f, "Qqemu.sstep=8"), "E22");
    assert_string_equal(ask(f, "Qqemu.sstep=0"), "E22");
    assert_string_equal(ask(f, "qqemu.PhyMemMode"), "0");
    /* monitor gdb physical on */
    assert_string_equal(ask(f, "qRcmd,67646220706879736963616c206f6e"), "OK");
    assert_string_equal(ask(f, "qqemu.PhyMemMode"), "1");
    /* monitor gdb: tells */
    assert_int_equal(ask(f, "qRcmd,676462")[0], 'O');
    assert_string_equal(next(f), "OK");
}

static void test_linear_registers(void **state)
{
    struct fixture *f = *state;
    struct vcpu *cpu = vm_cpu(f->guest.vm, 0);
    for (int i = 0; i < 10; i++)
        pump(f);
    assert_string_equal(ask(f, "p34"), "f0ffffff"); /* where the processor begins */
    assert_string_equal(ask(f, "P34=00000000"), "E14");
    assert_string_equal(ask(f, "P34=f0ffffff"), "OK"); /* as it is */
    assert_string_equal(ask(f, "P29=00000000"), "E14"); /* cr0 */
    assert_string_equal(ask(f, "Pb=00200000"), "OK");   /* ss */
    assert_string_equal(ask(f, "p2f"), "00000200");
    assert_int_equal(cpu->state.segment[SEG_SS].base, 0x20000);
}

/* Memory up to the last byte that there is. */
static void test_part_of_memory(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(strlen(ask(f, "mfffffff0,20")), 2 * 16);
    assert_string_equal(ask(f, "m100000000,1"), "E14");
    assert_string_equal(ask(f, "mfffff000,0"), "");
}

/* A loop with no breakpoint in it is translated while there are others; one in the loop stops each round. */
static void test_breakpoints_and_translations(void **state)
{
    struct fixture *f = *state;
    struct vm *vm = f->guest.vm;
    for (int i = 0; i < 10; i++)
        pump(f);
    assert_string_equal(ask(f, "Z0,f0004,1"), "OK");
    assert_string_equal(ask(f, "Z0,f0300,1"), "OK");
    assert_string_equal(ask(f, "c"), "T05thread:01;");
    assert_int_equal(vm_cpu(vm, 0)->state.rip, 4);
    send_packet(f, "c", 1);
    expect_byte(f, '+');
    for (int i = 0; i < 200 && memory_read(vm->memory, GUEST_COUNTER, 4) < 100000; i++)
        pump(f);
    stop_by_interrupt(f);
    uint32_t counter = (uint32_t)memory_read(vm->memory, GUEST_COUNTER, 4);
    assert_true(counter >= 100000);
    if (vm->options->engine != VM_ENGINE_INTERP)
        assert_true(vm->stats.instructions_interpreted < counter / 10);
    /* Set where translations are. */
    assert_string_equal(ask(f, "Z1,f000d,1"), "OK");
    for (uint32_t round = 1; round < 4; round++) {
        uint32_t before = (uint32_t)memory_read(vm->memory, GUEST_COUNTER, 4);
        assert_string_equal(ask(f, "c"), "T05thread:01;");
        assert_int_equal(vm_cpu(vm, 0)->state.rip, 13);
        uint32_t after = (uint32_t)memory_read(vm->memory, GUEST_COUNTER, 4);
        assert_true(after == before + 1 || (round == 1 && after == before));
    }
    assert_string_equal(ask(f, "z1,f000d,1"), "OK");
    send_packet(f, "c", 1);
    expect_byte(f, '+');
    for (int i = 0; i < 30; i++)
        pump(f);
    assert_int_equal(f->used, 0);
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
        if (strchr("svcR", packet[0])) /* R has no answer */
            continue;
        send_packet(f, packet, length);
        expect_byte(f, '+');
        next(f);
    }
}

int main(void)
{
#define TEST_WITH(name, set_up) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
#define TEST(name)              TEST_WITH(name, set_up)
    const struct CMUnitTest tests[] = {
        TEST(test_greeting),
        TEST(test_target_description),
        TEST(test_registers),
        TEST(test_memory),
        TEST(test_stepping_and_breakpoints),
        TEST(test_watchpoints),
        TEST_WITH(test_watchpoints, set_up_tier1),
        TEST_WITH(test_watchpoints, set_up_auto),
        TEST(test_watchpoints_and_breakpoints),
        TEST_WITH(test_watchpoints_and_breakpoints, set_up_auto),
        TEST(test_watchpoint_limits),
        TEST(test_watchpoint_nobody_waits_for),
        TEST_WITH(test_watchpoint_in_repetition, set_up_fills),
        TEST_WITH(test_watchpoint_on_interrupt_stack, set_up_nmi),
        TEST_WITH(test_watchpoint_before_interrupt, set_up_shadow),
        TEST(test_step_with_address),
        TEST(test_framing),
        TEST(test_monitor_commands),
        TEST(test_attaching_stops_and_detaching_continues),
        TEST(test_kill),
        TEST(test_settings),
        TEST(test_linear_registers),
        TEST(test_part_of_memory),
        TEST(test_breakpoints_and_translations),
        TEST_WITH(test_breakpoints_and_translations, set_up_tier1),
        TEST_WITH(test_breakpoints_and_translations, set_up_auto),
        TEST(test_garbage),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

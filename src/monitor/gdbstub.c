/* gdb's remote protocol: connection, framing, acknowledgement ("Debugging with GDB", appendix E). */
#include "monitor/gdbstub.h"
#include "monitor/gdbstub_internal.h"

#include "cpu/debug.h"
#include "monitor/monitor_internal.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define INTERRUPT 3 /* Ctrl-C */

static void flush(struct gdbstub *stub)
{
    while (stub->output.length) {
        size_t taken = chardev_write(stub->chardev, stub->output.data, stub->output.length);
        if (!taken)
            return;
        text_consume(&stub->output, taken);
    }
}

void gdb_send(struct gdbstub *stub, const char *data, size_t length)
{
    uint8_t sum = 0;
    char tail[4];
    text_finish(&stub->last);
    text_append(&stub->last, "$", 1);
    for (size_t i = 0; i < length; i++) {
        char c = data[i];
        if (c == '$' || c == '#' || c == '}' || c == '*') {
            text_append(&stub->last, "}", 1);
            sum += '}';
            c ^= 0x20;
        }
        text_append(&stub->last, &c, 1);
        sum += (uint8_t)c;
    }
    snprintf(tail, sizeof tail, "#%02x", sum);
    text_append(&stub->last, tail, 3);
    text_append(&stub->output, stub->last.data, stub->last.length);
    flush(stub);
}

void gdb_send_string(struct gdbstub *stub, const char *text)
{
    gdb_send(stub, text, strlen(text));
}

static void append_hex(struct text *text, const void *data, size_t length)
{
    static const char digits[] = "0123456789abcdef";
    const uint8_t *bytes = data;
    for (size_t i = 0; i < length; i++) {
        char pair[2] = {digits[bytes[i] >> 4], digits[bytes[i] & 15]};
        text_append(text, pair, 2);
    }
}

void gdb_send_hex(struct gdbstub *stub, const void *data, size_t length)
{
    struct text hex;
    text_init(&hex);
    append_hex(&hex, data, length);
    gdb_send(stub, text_string(&hex), hex.length);
    text_finish(&hex);
}

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c = (char)tolower((unsigned char)c);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

size_t gdb_unhex(const char *hex, void *to, size_t size)
{
    uint8_t *bytes = to;
    size_t n = 0;
    for (; n < size; n++) {
        int high = hex_digit(hex[2 * n]);
        int low = high < 0 ? -1 : hex_digit(hex[2 * n + 1]);
        if (low < 0)
            break;
        bytes[n] = (uint8_t)(high << 4 | low);
    }
    return n;
}

void gdb_remove_breakpoints(struct gdbstub *stub)
{
    vm_freeze(stub->vm);
    for (unsigned i = 0; i < stub->breakpoint_count; i++)
        for (unsigned v = 0; v < stub->vm->vcpu_count; v++)
            interp_set_breakpoint(stub->vm->vcpus[v]->interp, stub->breakpoints[i], false);
    stub->breakpoint_count = 0;
    for (unsigned v = 0; v < stub->vm->vcpu_count; v++)
        debug_clear_watchpoints(vm_cpu(stub->vm, v));
    vm_thaw(stub->vm);
}

/* ---- the chardev's callbacks ---- */

static void packet_complete(struct gdbstub *stub)
{
    bool good = !stub->overlong && stub->sum == stub->sent_sum;
    if (!stub->no_ack) {
        text_append(&stub->output, good ? "+" : "-", 1);
        flush(stub);
    }
    if (!good)
        return;
    stub->packet[stub->length] = 0;
    gdb_execute(stub, stub->packet, stub->length);
}

static void byte_received(struct gdbstub *stub, uint8_t byte)
{
    switch (stub->parse) {
    case GDB_IDLE:
        if (byte == '$') {
            stub->parse = GDB_DATA;
            stub->length = 0;
            stub->sum = 0;
            stub->overlong = false;
        } else if (byte == INTERRUPT) {
            vm_stop(stub->vm, VM_PAUSED);
        } else if (byte == '-' && stub->last.length) {
            text_append(&stub->output, stub->last.data, stub->last.length);
            flush(stub);
        }
        break;
    case GDB_DATA:
        if (byte == '#') {
            stub->parse = GDB_CHECKSUM_1;
            break;
        }
        stub->sum += byte;
        if (stub->length < GDB_PACKET_SIZE)
            stub->packet[stub->length++] = (char)byte;
        else
            stub->overlong = true;
        break;
    case GDB_CHECKSUM_1:
        stub->sent_sum = (uint8_t)((hex_digit((char)byte) & 15) << 4);
        stub->parse = GDB_CHECKSUM_2;
        break;
    case GDB_CHECKSUM_2:
        stub->sent_sum |= (uint8_t)(hex_digit((char)byte) & 15);
        stub->parse = GDB_IDLE;
        packet_complete(stub);
        break;
    }
}

static size_t can_receive(void *opaque)
{
    struct gdbstub *stub = opaque;
    flush(stub);
    return stub->output.length ? 0 : 4096;
}

static void receive(void *opaque, const uint8_t *data, size_t length)
{
    struct gdbstub *stub = opaque;
    for (size_t i = 0; i < length && stub->connected; i++)
        byte_received(stub, data[i]);
}

static void event(void *opaque, enum chardev_event what)
{
    struct gdbstub *stub = opaque;
    if (what == CHARDEV_OPENED) {
        text_finish(&stub->output);
        text_finish(&stub->last);
        stub->connected = true;
        stub->no_ack = stub->physical = stub->waiting = false;
        stub->step = GDB_STEP_DEFAULT;
        stub->parse = GDB_IDLE;
        vm_stop(stub->vm, VM_PAUSED);
    } else if (what == CHARDEV_CLOSED) {
        stub->connected = stub->waiting = false;
        gdb_remove_breakpoints(stub);
    }
}

static void writable(void *opaque)
{
    flush(opaque);
}

static void machine_event(void *opaque, enum vm_event what, enum vm_cause cause)
{
    struct gdbstub *stub = opaque;
    if (what == VM_EVENT_STOP && stub->connected && stub->waiting) {
        stub->waiting = false;
        gdb_send_stop(stub);
    }
    if (what == VM_EVENT_RESUME) { /* told, or nobody wanted to know */
        for (unsigned v = 0; v < stub->vm->vcpu_count; v++)
            debug_forget_watchpoint_hit(vm_cpu(stub->vm, v));
    }
}

struct gdbstub *gdbstub_create(struct vm *vm, struct monitors *monitors, struct chardev *chardev, struct error *err)
{
    struct gdbstub *stub = calloc(1, sizeof *stub);
    if (!stub) {
        error_set(err, "out of memory");
        return NULL;
    }
    stub->vm = vm;
    stub->monitors = monitors;
    stub->chardev = chardev;
    hmp_init(&stub->hmp, monitors);
    struct chardev_user user = {can_receive, receive, event, writable, stub};
    chardev_set_user(chardev, &user);
    vm_add_listener(vm, machine_event, stub);
    if (chardev_is_connected(chardev))
        event(stub, CHARDEV_OPENED);
    return stub;
}

void gdbstub_destroy(struct gdbstub *stub)
{
    if (!stub)
        return;
    if (stub->connected) {
        char text[8];
        snprintf(text, sizeof text, "W%02x", stub->vm->exit_code & 0xff);
        gdb_send_string(stub, text);
        chardev_drain(stub->chardev, 500);
    }
    chardev_set_user(stub->chardev, NULL);
    vm_remove_listener(stub->vm, machine_event, stub);
    text_finish(&stub->output);
    text_finish(&stub->last);
    free(stub);
}

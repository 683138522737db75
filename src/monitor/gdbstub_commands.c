/* What gdb asks for, packet by packet. */
#include "cpu/debug.h"
#include "monitor/gdbstub_internal.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SIGNAL_INT = 2, SIGNAL_QUIT = 3, SIGNAL_TRAP = 5 }; /* as gdb numbers them */

static struct vcpu *current(struct gdbstub *stub)
{
    return vm_cpu(stub->vm, 0);
}

/* The stop reply's name of a watchpoint; Z2 to Z4 are in this order. */
static const struct {
    enum watch_kind kind;
    const char *name;
} watch_packets[] = {{WATCH_WRITE, "watch"}, {WATCH_READ, "rwatch"}, {WATCH_ACCESS, "awatch"}};

/* A watchpoint was hit: its stop is told whatever else stopped the machine at the same time, for it comes once. */
static bool send_watch_stop(struct gdbstub *stub)
{
    for (unsigned v = 0; v < stub->vm->vcpu_count; v++) {
        const struct watchpoints *watchpoints = &vm_cpu(stub->vm, v)->watchpoints;
        for (unsigned i = 0; watchpoints->hit && i < sizeof watch_packets / sizeof watch_packets[0]; i++) {
            char reply[64];
            if (watch_packets[i].kind != watchpoints->hit_kind)
                continue;
            snprintf(reply, sizeof reply, "T%02x%s:%" PRIx64 ";thread:01;", SIGNAL_TRAP, watch_packets[i].name,
                     watchpoints->hit_address);
            gdb_send_string(stub, reply);
            return true;
        }
    }
    return false;
}

void gdb_send_stop(struct gdbstub *stub)
{
    char reply[32];
    int signal = SIGNAL_TRAP;
    if (stub->vm->state != VM_SHUTDOWN && send_watch_stop(stub))
        return;
    if (stub->vm->state == VM_PAUSED)
        signal = SIGNAL_INT;
    else if (stub->vm->state == VM_SHUTDOWN)
        signal = SIGNAL_QUIT;
    snprintf(reply, sizeof reply, "T%02xthread:01;", signal);
    gdb_send_string(stub, reply);
}

static void send_error(struct gdbstub *stub, unsigned number)
{
    char reply[8];
    snprintf(reply, sizeof reply, "E%02x", number);
    gdb_send_string(stub, reply);
}

/* ---- running ---- */

static void resume(struct gdbstub *stub, bool step)
{
    if (stub->vm->state == VM_SHUTDOWN) {
        gdb_send_stop(stub);
        return;
    }
    stub->waiting = true;
    if (step)
        vm_step(stub->vm, 0);
    else
        vm_cont(stub->vm, NULL);
}

/* c[ADDRESS], s[ADDRESS], C SIG[;ADDRESS], S SIG[;ADDRESS]: signals mean nothing to a machine. */
static void cmd_resume(struct gdbstub *stub, const char *packet)
{
    bool step = packet[0] == 's' || packet[0] == 'S';
    const char *address = packet + 1;
    if (packet[0] == 'C' || packet[0] == 'S') {
        address = strchr(packet, ';');
        address = address ? address + 1 : "";
    }
    if (*address) {
        char *end;
        uint64_t eip = strtoull(address, &end, 16);
        vm_freeze(stub->vm);
        current(stub)->state.rip = (uint32_t)eip;
        vm_thaw(stub->vm);
    }
    resume(stub, step);
}

static void cmd_v(struct gdbstub *stub, const char *packet)
{
    if (!strcmp(packet, "vCont?")) {
        gdb_send_string(stub, "vCont;c;C;s;S");
    } else if (!strncmp(packet, "vCont;", 6)) {
        /* With one thread the first action is the one. */
        char action = packet[6];
        if (action == 's' || action == 'S')
            resume(stub, true);
        else if (action == 'c' || action == 'C')
            resume(stub, false);
        else
            send_error(stub, 0x16);
    } else if (!strncmp(packet, "vKill", 5)) {
        gdb_send_string(stub, "OK");
        vm_request_shutdown(stub->vm, VM_CAUSE_HOST_UI);
    } else {
        gdb_send_string(stub, "");
    }
}

static void cmd_detach(struct gdbstub *stub)
{
    gdb_remove_breakpoints(stub);
    gdb_send_string(stub, "OK");
    stub->waiting = false;
    vm_cont(stub->vm, NULL);
}

/* ---- registers ---- */

static void cmd_read_registers(struct gdbstub *stub)
{
    uint8_t all[1024];
    size_t used = 0;
    vm_freeze(stub->vm);
    for (unsigned i = 0; i < gdb_register_count(); i++)
        used += gdb_read_register(current(stub), i, all + used);
    vm_thaw(stub->vm);
    gdb_send_hex(stub, all, used);
}

static void cmd_write_registers(struct gdbstub *stub, const char *hex)
{
    uint8_t all[1024];
    size_t length = gdb_unhex(hex, all, sizeof all), used = 0;
    vm_freeze(stub->vm);
    for (unsigned i = 0; i < gdb_register_count(); i++) {
        uint8_t scratch[GDB_REGISTER_MAX];
        unsigned size = gdb_read_register(current(stub), i, scratch);
        if (used + size > length)
            break;
        used += gdb_write_register(current(stub), i, all + used);
    }
    vm_thaw(stub->vm);
    gdb_send_string(stub, "OK");
}

static void cmd_read_register(struct gdbstub *stub, const char *text)
{
    uint8_t value[GDB_REGISTER_MAX];
    unsigned long number = strtoul(text, NULL, 16);
    vm_freeze(stub->vm);
    unsigned size = number < gdb_register_count() ? gdb_read_register(current(stub), (unsigned)number, value) : 0;
    vm_thaw(stub->vm);
    if (size)
        gdb_send_hex(stub, value, size);
    else
        send_error(stub, 0x14);
}

static void cmd_write_register(struct gdbstub *stub, const char *text)
{
    char *end;
    uint8_t value[GDB_REGISTER_MAX] = {0}, scratch[GDB_REGISTER_MAX];
    unsigned long number = strtoul(text, &end, 16);
    bool ok = false;
    if (*end == '=' && number < gdb_register_count()) {
        size_t given = gdb_unhex(end + 1, value, sizeof value);
        vm_freeze(stub->vm);
        ok = given >= gdb_read_register(current(stub), (unsigned)number, scratch) &&
             gdb_write_register(current(stub), (unsigned)number, value);
        vm_thaw(stub->vm);
    }
    if (ok)
        gdb_send_string(stub, "OK");
    else
        send_error(stub, 0x14);
}

/* ---- memory ---- */

/* Runs ACCESS for each page of [ADDRESS, ADDRESS+LENGTH); false where one is not mapped. */
static bool access_memory(struct gdbstub *stub, uint64_t address, uint8_t *bytes, size_t length, bool write)
{
    bool ok = true;
    vm_freeze(stub->vm);
    while (length && ok) {
        uint64_t physical = address;
        size_t piece = PAGE_SIZE - (address & PAGE_MASK);
        if (piece > length)
            piece = length;
        if (!stub->physical)
            ok = address <= UINT32_MAX && mmu_translate_debug(&current(stub)->mmu, address, &physical);
        if (!ok)
            break;
        if (write)
            memory_poke_bytes(stub->vm->memory, physical, bytes, piece); /* ROM too: it is a debugger */
        else
            memory_read_bytes(stub->vm->memory, physical, bytes, piece);
        address += piece;
        bytes += piece;
        length -= piece;
    }
    vm_thaw(stub->vm);
    return ok;
}

/* ADDRESS,LENGTH in hex at *TEXT; moves behind. */
static bool parse_range(const char **text, uint64_t *address, uint64_t *length)
{
    char *end;
    *address = strtoull(*text, &end, 16);
    if (*end != ',' || end == *text)
        return false;
    *text = end + 1;
    *length = strtoull(*text, &end, 16);
    bool ok = end != *text;
    *text = end;
    return ok;
}

static void cmd_read_memory(struct gdbstub *stub, const char *text)
{
    uint8_t bytes[GDB_PACKET_SIZE / 2];
    uint64_t address, length;
    if (!parse_range(&text, &address, &length) || length > sizeof bytes) {
        send_error(stub, 0x22);
        return;
    }
    if (access_memory(stub, address, bytes, length, false))
        gdb_send_hex(stub, bytes, length);
    else
        send_error(stub, 0x14);
}

static void cmd_write_memory(struct gdbstub *stub, const char *text, size_t left, bool binary)
{
    uint8_t bytes[GDB_PACKET_SIZE];
    uint64_t address, length;
    const char *start = text;
    if (!parse_range(&text, &address, &length) || *text != ':' || length > sizeof bytes) {
        send_error(stub, 0x22);
        return;
    }
    text++;
    size_t given = 0;
    if (binary) {
        left -= (size_t)(text - start);
        for (size_t i = 0; i < left && given < length; i++) {
            char c = text[i];
            if (c == '}' && i + 1 < left)
                c = text[++i] ^ 0x20;
            bytes[given++] = (uint8_t)c;
        }
    } else {
        given = gdb_unhex(text, bytes, length);
    }
    if (given != length)
        send_error(stub, 0x22);
    else if (!access_memory(stub, address, bytes, length, true))
        send_error(stub, 0x14);
    else
        gdb_send_string(stub, "OK");
}

/* ---- breakpoints ---- */

static bool set_breakpoint(struct gdbstub *stub, uint32_t address)
{
    for (unsigned i = 0; i < stub->breakpoint_count; i++)
        if (stub->breakpoints[i] == address)
            return true; /* gdb may repeat itself */
    if (stub->breakpoint_count == GDB_BREAKPOINTS)
        return false;
    bool ok = true;
    for (unsigned v = 0; v < stub->vm->vcpu_count; v++)
        ok &= interp_set_breakpoint(stub->vm->vcpus[v]->interp, address, true);
    if (ok)
        stub->breakpoints[stub->breakpoint_count++] = address;
    return ok;
}

static void clear_breakpoint(struct gdbstub *stub, uint32_t address)
{
    for (unsigned i = 0; i < stub->breakpoint_count; i++) {
        if (stub->breakpoints[i] != address)
            continue;
        stub->breakpoints[i] = stub->breakpoints[--stub->breakpoint_count];
        for (unsigned v = 0; v < stub->vm->vcpu_count; v++)
            interp_set_breakpoint(stub->vm->vcpus[v]->interp, address, false);
        return;
    }
}

/* Z2 to Z4 and z2 to z4: the number is the kind, then come address and length, linear whatever memory packets mean. */
static void cmd_watchpoint(struct gdbstub *stub, const char *packet)
{
    uint64_t address, length;
    const char *text = packet + 3;
    bool set = packet[0] == 'Z', ok = true;
    if (!parse_range(&text, &address, &length) || address > UINT32_MAX || !length || length > WATCHPOINT_MAX_LENGTH) {
        send_error(stub, 0x22);
        return;
    }
    struct watchpoint watchpoint = {address, (uint32_t)length, watch_packets[packet[1] - '2'].kind};
    vm_freeze(stub->vm);
    for (unsigned v = 0; v < stub->vm->vcpu_count; v++)
        ok &= debug_set_watchpoint(vm_cpu(stub->vm, v), &watchpoint, set);
    vm_thaw(stub->vm);
    if (ok)
        gdb_send_string(stub, "OK");
    else
        send_error(stub, 0x0c);
}

static void cmd_breakpoint(struct gdbstub *stub, const char *packet)
{
    uint64_t address, kind;
    const char *text = packet + 3;
    if (packet[1] < '0' || packet[1] > '4' || packet[2] != ',') {
        gdb_send_string(stub, "");
        return;
    }
    if (packet[1] >= '2') {
        cmd_watchpoint(stub, packet);
        return;
    }
    if (!parse_range(&text, &address, &kind)) {
        send_error(stub, 0x22);
        return;
    }
    bool ok = true;
    vm_freeze(stub->vm);
    if (packet[0] == 'Z')
        ok = set_breakpoint(stub, (uint32_t)address);
    else
        clear_breakpoint(stub, (uint32_t)address);
    vm_thaw(stub->vm);
    if (ok)
        gdb_send_string(stub, "OK");
    else
        send_error(stub, 0x0c);
}

/* ---- queries ---- */

static void send_features(struct gdbstub *stub, const char *text)
{
    static const char name[] = "target.xml:";
    uint64_t offset, length;
    if (strncmp(text, name, sizeof name - 1)) {
        send_error(stub, 0);
        return;
    }
    text += sizeof name - 1;
    if (!parse_range(&text, &offset, &length)) {
        send_error(stub, 0x22);
        return;
    }
    size_t total = strlen(gdb_target_xml);
    if (offset >= total) {
        gdb_send_string(stub, "l");
        return;
    }
    size_t left = total - (size_t)offset;
    size_t limit = GDB_PACKET_SIZE / 2 - 8; /* every byte might have to be escaped */
    if (length > limit)
        length = limit;
    char reply[GDB_PACKET_SIZE];
    size_t piece = left < length ? left : (size_t)length;
    reply[0] = piece < left ? 'm' : 'l';
    memcpy(reply + 1, gdb_target_xml + offset, piece);
    gdb_send(stub, reply, piece + 1);
}

/* `monitor COMMAND`: the answer goes out as console output, 'O' packets, then OK. */
static void monitor_command(struct gdbstub *stub, const char *hex)
{
    char line[1024];
    struct text out;
    size_t length = gdb_unhex(hex, line, sizeof line - 1);
    line[length] = 0;
    text_init(&out);
    hmp_execute(&stub->hmp, line, &out);
    for (size_t at = 0; at < out.length;) {
        static const char digits[] = "0123456789abcdef";
        char packet[GDB_PACKET_SIZE];
        size_t used = 0;
        packet[used++] = 'O';
        for (; at < out.length && used + 2 < sizeof packet / 2; at++) {
            packet[used++] = digits[(uint8_t)out.data[at] >> 4];
            packet[used++] = digits[out.data[at] & 15];
        }
        gdb_send(stub, packet, used);
    }
    text_finish(&out);
    gdb_send_string(stub, "OK");
}

static void cmd_query(struct gdbstub *stub, const char *packet)
{
    static const char features[] = "qXfer:features:read:";
    char reply[128];
    if (!strncmp(packet, "qSupported", 10)) {
        snprintf(reply, sizeof reply, "PacketSize=%x;qXfer:features:read+;vContSupported+;QStartNoAckMode+",
                 GDB_PACKET_SIZE - 8);
        gdb_send_string(stub, reply);
    } else if (!strncmp(packet, features, sizeof features - 1)) {
        send_features(stub, packet + sizeof features - 1);
    } else if (!strncmp(packet, "qRcmd,", 6)) {
        monitor_command(stub, packet + 6);
    } else if (!strcmp(packet, "qC")) {
        gdb_send_string(stub, "QC01");
    } else if (!strncmp(packet, "qAttached", 9)) {
        gdb_send_string(stub, "1");
    } else if (!strcmp(packet, "qfThreadInfo")) {
        gdb_send_string(stub, "m01");
    } else if (!strcmp(packet, "qsThreadInfo")) {
        gdb_send_string(stub, "l");
    } else if (!strncmp(packet, "qThreadExtraInfo", 16)) {
        snprintf(reply, sizeof reply, "CPU#0 [%s]", current(stub)->state.halted ? "halted " : "running");
        gdb_send_hex(stub, reply, strlen(reply));
    } else if (!strcmp(packet, "qqemu.PhyMemMode")) {
        gdb_send_string(stub, stub->physical ? "1" : "0");
    } else {
        gdb_send_string(stub, "");
    }
}

static void cmd_set(struct gdbstub *stub, const char *packet)
{
    if (!strcmp(packet, "QStartNoAckMode")) {
        gdb_send_string(stub, "OK");
        stub->no_ack = true;
    } else if (!strncmp(packet, "Qqemu.PhyMemMode:", 17)) {
        stub->physical = packet[17] == '1';
        gdb_send_string(stub, "OK");
    } else {
        gdb_send_string(stub, "");
    }
}

void gdb_execute(struct gdbstub *stub, char *packet, size_t length)
{
    switch (packet[0]) {
    case '?':
        gdb_send_string(stub, "T05thread:01;");
        break;
    case 'c':
    case 'C':
    case 's':
    case 'S':
        cmd_resume(stub, packet);
        break;
    case 'D':
        cmd_detach(stub);
        break;
    case 'g':
        cmd_read_registers(stub);
        break;
    case 'G':
        cmd_write_registers(stub, packet + 1);
        break;
    case 'H':
    case 'T':
        gdb_send_string(stub, "OK"); /* one thread: it is chosen and alive */
        break;
    case 'k':
        vm_request_shutdown(stub->vm, VM_CAUSE_HOST_UI);
        break;
    case 'm':
        cmd_read_memory(stub, packet + 1);
        break;
    case 'M':
        cmd_write_memory(stub, packet + 1, length - 1, false);
        break;
    case 'X':
        cmd_write_memory(stub, packet + 1, length - 1, true);
        break;
    case 'p':
        cmd_read_register(stub, packet + 1);
        break;
    case 'P':
        cmd_write_register(stub, packet + 1);
        break;
    case 'q':
        cmd_query(stub, packet);
        break;
    case 'Q':
        cmd_set(stub, packet);
        break;
    case 'v':
        cmd_v(stub, packet);
        break;
    case 'Z':
    case 'z':
        cmd_breakpoint(stub, packet);
        break;
    default:
        gdb_send_string(stub, "");
    }
}

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

/* ---- running ---- */

static void resume(struct gdbstub *stub, bool step)
{
    if (stub->vm->state == VM_SHUTDOWN) {
        gdb_send_stop(stub);
        return;
    }
    stub->waiting = true;
    if (step)
        vm_step(stub->vm, 0, !(stub->step & GDB_STEP_NO_INTERRUPT));
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
            gdb_send_error(stub, 0x16);
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
        gdb_write_register(current(stub), i, all + used); /* what cannot be written stays */
        used += size;
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
        gdb_send_error(stub, 0x14);
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
        gdb_send_error(stub, 0x14);
}

/* ---- memory ---- */

/* Up to the first page of [ADDRESS, ADDRESS+LENGTH) that is not mapped; returns how many bytes that were. */
static size_t access_memory(struct gdbstub *stub, uint64_t address, uint8_t *bytes, size_t length, bool write)
{
    size_t done = 0;
    vm_freeze(stub->vm);
    while (done < length) {
        uint64_t at = address + done, physical = at;
        size_t piece = PAGE_SIZE - (at & PAGE_MASK);
        if (piece > length - done)
            piece = length - done;
        if (!stub->physical && (at > UINT32_MAX || !mmu_translate_debug(&current(stub)->mmu, at, &physical)))
            break;
        if (write)
            memory_poke_bytes(stub->vm->memory, physical, bytes + done, piece); /* ROM too: it is a debugger */
        else
            memory_read_bytes(stub->vm->memory, physical, bytes + done, piece);
        done += piece;
    }
    vm_thaw(stub->vm);
    return done;
}

static void cmd_read_memory(struct gdbstub *stub, const char *text)
{
    uint8_t bytes[GDB_PACKET_SIZE / 2];
    uint64_t address, length;
    if (!gdb_parse_range(&text, &address, &length) || length > sizeof bytes) {
        gdb_send_error(stub, 0x22);
        return;
    }
    size_t got = access_memory(stub, address, bytes, length, false);
    if (got || !length)
        gdb_send_hex(stub, bytes, got);
    else
        gdb_send_error(stub, 0x14);
}

static void cmd_write_memory(struct gdbstub *stub, const char *text, size_t left, bool binary)
{
    uint8_t bytes[GDB_PACKET_SIZE];
    uint64_t address, length;
    const char *start = text;
    if (!gdb_parse_range(&text, &address, &length) || *text != ':' || length > sizeof bytes) {
        gdb_send_error(stub, 0x22);
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
        gdb_send_error(stub, 0x22);
    else if (access_memory(stub, address, bytes, length, true) != length)
        gdb_send_error(stub, 0x14);
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
    if (!gdb_parse_range(&text, &address, &length) || address > UINT32_MAX || !length ||
        length > WATCHPOINT_MAX_LENGTH) {
        gdb_send_error(stub, 0x22);
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
        gdb_send_error(stub, 0x0c);
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
    if (!gdb_parse_range(&text, &address, &kind)) {
        gdb_send_error(stub, 0x22);
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
        gdb_send_error(stub, 0x0c);
}

void gdb_execute(struct gdbstub *stub, char *packet, size_t length)
{
    switch (packet[0]) {
    case '!': /* the extended protocol: the machine can be started anew */
        gdb_send_string(stub, "OK");
        break;
    case '?':
        gdb_send_string(stub, "T05thread:01;");
        break;
    case 'R': /* there is no answer */
        vm_request_reset(stub->vm, VM_CAUSE_HOST_UI);
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
        gdb_query(stub, packet);
        break;
    case 'Q':
        gdb_set(stub, packet);
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

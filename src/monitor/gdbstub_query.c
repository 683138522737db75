/* What gdb asks about the stub and the target, and `monitor ...`. */
#include "monitor/gdbstub_internal.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void gdb_send_error(struct gdbstub *stub, unsigned number)
{
    char reply[8];
    snprintf(reply, sizeof reply, "E%02x", number);
    gdb_send_string(stub, reply);
}

bool gdb_parse_range(const char **text, uint64_t *address, uint64_t *length)
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

static void send_features(struct gdbstub *stub, const char *text)
{
    static const char name[] = "target.xml:";
    uint64_t offset, length;
    if (strncmp(text, name, sizeof name - 1)) {
        gdb_send_error(stub, 0);
        return;
    }
    text += sizeof name - 1;
    if (!gdb_parse_range(&text, &offset, &length)) {
        gdb_send_error(stub, 0x22);
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

static void print_settings(const struct gdbstub *stub, struct text *out)
{
    text_printf(out,
                "gdb physical on|off     memory is read and written by physical address (%s)\n"
                "gdb interrupts on|off   a single step takes an interrupt that waits (%s)\n"
                "\n"
                "$eip counts from the beginning of the code segment, breakpoints and memory addresses are linear. The\n"
                "next instruction is at $lip, or $cs_base+$eip; in real mode, $cs*16+$eip:\n"
                "  set architecture i8086      16-bit code (i386: 32-bit code)\n"
                "  display/i $lip              what comes next, at each stop\n"
                "  break *0x7c00               where firmware starts a boot sector\n"
                "  x/8xh $ss_base+$esp         the stack\n",
                stub->physical ? "on" : "off", stub->step & GDB_STEP_NO_INTERRUPT ? "off" : "on");
}

/* `monitor gdb ...`: the stub's own settings. False: it is a command for the human monitor. */
static bool own_command(struct gdbstub *stub, const char *line, struct text *out)
{
    char word[4][16] = {"", "", "", ""};
    int words = sscanf(line, "%15s %15s %15s %15s", word[0], word[1], word[2], word[3]);
    bool on = !strcmp(word[2], "on");

    if (strcmp(word[0], "gdb"))
        return false;
    if (words == 3 && (on || !strcmp(word[2], "off")) && !strcmp(word[1], "physical"))
        stub->physical = on;
    else if (words == 3 && (on || !strcmp(word[2], "off")) && !strcmp(word[1], "interrupts"))
        stub->step = on ? stub->step & ~GDB_STEP_NO_INTERRUPT : stub->step | GDB_STEP_NO_INTERRUPT;
    else
        print_settings(stub, out);
    return true;
}

/* `monitor COMMAND`: the answer goes out as console output, 'O' packets, then OK. */
static void monitor_command(struct gdbstub *stub, const char *hex)
{
    char line[1024];
    struct text out;
    size_t length = gdb_unhex(hex, line, sizeof line - 1);
    line[length] = 0;
    text_init(&out);
    if (!own_command(stub, line, &out))
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

void gdb_query(struct gdbstub *stub, const char *packet)
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
        snprintf(reply, sizeof reply, "CPU#0 [%s]", vm_cpu(stub->vm, 0)->state.halted ? "halted " : "running");
        gdb_send_hex(stub, reply, strlen(reply));
    } else if (!strcmp(packet, "qqemu.PhyMemMode")) {
        gdb_send_string(stub, stub->physical ? "1" : "0");
    } else if (!strcmp(packet, "qqemu.sstepbits")) {
        snprintf(reply, sizeof reply, "ENABLE=%x,NOIRQ=%x,NOTIMER=%x", GDB_STEP_ENABLE, GDB_STEP_NO_INTERRUPT,
                 GDB_STEP_NO_TIMER);
        gdb_send_string(stub, reply);
    } else if (!strcmp(packet, "qqemu.sstep")) {
        snprintf(reply, sizeof reply, "0x%x", stub->step);
        gdb_send_string(stub, reply);
    } else {
        gdb_send_string(stub, "");
    }
}

void gdb_set(struct gdbstub *stub, const char *packet)
{
    if (!strcmp(packet, "QStartNoAckMode")) {
        gdb_send_string(stub, "OK");
        stub->no_ack = true;
    } else if (!strncmp(packet, "Qqemu.PhyMemMode:", 17)) {
        stub->physical = packet[17] == '1';
        gdb_send_string(stub, "OK");
    } else if (!strncmp(packet, "Qqemu.sstep=", 12)) {
        unsigned long bits = strtoul(packet + 12, NULL, 16);
        if (bits & ~(unsigned long)GDB_STEP_DEFAULT || !(bits & GDB_STEP_ENABLE)) {
            gdb_send_error(stub, 0x22);
        } else {
            stub->step = (unsigned)bits;
            gdb_send_string(stub, "OK");
        }
    } else {
        gdb_send_string(stub, "");
    }
}

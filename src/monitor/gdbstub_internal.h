#ifndef DRAGOMAN_MONITOR_GDBSTUB_INTERNAL_H
#define DRAGOMAN_MONITOR_GDBSTUB_INTERNAL_H

#include "monitor/gdbstub.h"
#include "monitor/hmp.h"
#include "monitor/text.h"

#define GDB_PACKET_SIZE  0x4000u
#define GDB_BREAKPOINTS  256
#define GDB_REGISTER_MAX 16 /* bytes of the widest register */

/* As the bits of qqemu.sstep. NO_TIMER is accepted: virtual time passes only while the machine runs anyway. */
#define GDB_STEP_ENABLE       1u
#define GDB_STEP_NO_INTERRUPT 2u
#define GDB_STEP_NO_TIMER     4u
#define GDB_STEP_DEFAULT      (GDB_STEP_ENABLE | GDB_STEP_NO_INTERRUPT | GDB_STEP_NO_TIMER)

enum gdb_parse { GDB_IDLE, GDB_DATA, GDB_CHECKSUM_1, GDB_CHECKSUM_2 };

struct gdbstub {
    struct vm *vm;
    struct monitors *monitors;
    struct chardev *chardev;
    struct hmp hmp;
    bool connected;
    bool no_ack;
    bool physical; /* memory packets mean physical addresses */
    unsigned step; /* GDB_STEP_*: what single steps do */
    bool waiting;  /* gdb let the machine run: it wants to hear of the next stop */
    enum gdb_parse parse;
    char packet[GDB_PACKET_SIZE + 1];
    size_t length;
    bool overlong;
    uint8_t sum, sent_sum;
    struct text output; /* what the chardev did not take yet */
    struct text last;   /* the last packet, for '-' */
    uint32_t breakpoints[GDB_BREAKPOINTS];
    unsigned breakpoint_count;
};

/* gdbstub.c */
void gdb_send(struct gdbstub *stub, const char *data, size_t length);
void gdb_send_string(struct gdbstub *stub, const char *text);
void gdb_send_hex(struct gdbstub *stub, const void *data, size_t length);
void gdb_remove_breakpoints(struct gdbstub *stub); /* and watchpoints */
/* Two hex digits a byte; returns how many bytes were converted before the first non-digit. */
size_t gdb_unhex(const char *hex, void *to, size_t size);

/* gdbstub_commands.c: PACKET is NUL-terminated; X packets may contain any byte. */
void gdb_execute(struct gdbstub *stub, char *packet, size_t length);
void gdb_send_stop(struct gdbstub *stub);

/* gdbstub_query.c: q and Q packets */
void gdb_query(struct gdbstub *stub, const char *packet);
void gdb_set(struct gdbstub *stub, const char *packet);
void gdb_send_error(struct gdbstub *stub, unsigned number);
/* ADDRESS,LENGTH in hex at *TEXT; moves behind. */
bool gdb_parse_range(const char **text, uint64_t *address, uint64_t *length);

/* gdbstub_target.c */
extern const char gdb_target_xml[];

/* gdbstub_registers.c */
unsigned gdb_register_count(void);
/* Size in bytes, 0 if there is no such register. */
unsigned gdb_read_register(const struct vcpu *cpu, unsigned number, uint8_t *to);
/* False: there is no such register, it cannot be written, or the value does not fit (a segment that cannot be loaded). */
bool gdb_write_register(struct vcpu *cpu, unsigned number, const uint8_t *from);

#endif

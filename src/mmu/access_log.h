/* The undo log of stores and the log of device accesses: what lockstep and replay stand on.
 *
 * While a log is in force every store to RAM takes the slow path (the TLBs hand out no direct write
 * entry) and records the bytes it replaces; device reads record their answer.  After
 * access_log_undo() memory is as before; with mode REPLAY the second engine's device reads are
 * answered from the log and its device writes are compared with it and not carried out.
 * Not recorded: accessed and dirty bits (the TLB keeps what they were set for, so they must stay) and
 * bulk transfers of devices (carried out once, with the port write that started them).
 * One log per vCPU thread at a time. */
#ifndef DRAGOMAN_MMU_ACCESS_LOG_H
#define DRAGOMAN_MMU_ACCESS_LOG_H

#include "mmu/memory.h"

enum access_log_mode { ACCESS_LOG_RECORD, ACCESS_LOG_REPLAY };

enum device_access_kind { DEVICE_ACCESS_PORT_READ, DEVICE_ACCESS_PORT_WRITE, DEVICE_ACCESS_MMIO_READ, DEVICE_ACCESS_MMIO_WRITE };

struct store_record {
    uint64_t address; /* guest-physical */
    uint8_t size;     /* 1..8; longer stores are several records */
    uint8_t before[8];
    uint8_t after[8];
};

struct device_record {
    enum device_access_kind kind;
    uint8_t size;
    uint64_t address;
    uint64_t value;
};

struct access_log {
    enum access_log_mode mode;
    struct store_record *stores;
    size_t store_count, store_capacity;
    size_t replay_store_start; /* stores from here on were made in REPLAY, those before in RECORD */
    struct device_record *devices;
    size_t device_count, device_capacity;
    size_t replay_position; /* next device record that a replayed access must match */
    bool mismatch;          /* a replayed access differed from the record */
    bool overflow;          /* the host had no memory for a record: the log is of no use */
};

void access_log_init(struct access_log *log);
void access_log_finish(struct access_log *log);
/* Empties it and sets the mode to RECORD. */
void access_log_clear(struct access_log *log);
void access_log_store(struct access_log *log, uint64_t address, unsigned size, uint64_t before, uint64_t after);
/* Puts the old bytes back, newest first, through the page gate; the log keeps its records. (After a
 * replay that undoes both engines' stores.) */
void access_log_undo(struct access_log *log, struct memory *memory);
/* Stores of the second engine are appended to those of the first, from replay_store_start on. */
void access_log_start_replay(struct access_log *log);
/* For the dispatchers: in REPLAY answers the access and returns true; in RECORD returns false and
 * the dispatcher appends what it did with access_log_device(). */
bool access_log_replay(struct access_log *log, enum device_access_kind kind, uint64_t address, unsigned size,
                       uint64_t *value);
void access_log_device(struct access_log *log, enum device_access_kind kind, uint64_t address, unsigned size,
                       uint64_t value);

#endif

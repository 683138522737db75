/* A fingerprint of what a machine in counted time did: every event that the guest could tell from outside its own
 * registers and memory, with the exact number of instructions retired before it. Two runs with the same hash did the same.
 *
 * An event is a row of 64-bit words:
 *
 *   kind | sequence of words
 *   interrupt, exception, software interrupt    instructions, time, vector, error code, CS, EIP, system flags,
 *                                               EAX ECX EDX EBX ESP EBP ESI EDI
 *   halt                                        instructions, time, CS, EIP
 *   port read, write; memory read, write        instructions, time, address, size, value (device memory alone)
 *   reset                                       instructions, time
 *
 * Each word w is taken in by  hash = (hash xor w) * 9E3779B97F4A7C15h;  hash = hash xor (hash >> 32),  beginning with
 * the kind; the first hash is CBF29CE484222325h.
 *
 * Threads: the vCPU's alone counts (trace_hash_is_mine()); others may read while it is parked. */
#ifndef DRAGOMAN_BASE_TRACE_HASH_H
#define DRAGOMAN_BASE_TRACE_HASH_H

#include "base/error.h"

#include <stdbool.h>
#include <stdint.h>

#define TRACE_EVENTS(X)                          \
    X(INTERRUPT, "interrupt")                    \
    X(EXCEPTION, "exception")                    \
    X(SOFTWARE_INTERRUPT, "software-interrupt")  \
    X(HALT, "halt")                              \
    X(PORT_READ, "port-read")                    \
    X(PORT_WRITE, "port-write")                  \
    X(MEMORY_READ, "memory-read")                \
    X(MEMORY_WRITE, "memory-write")              \
    X(RESET, "reset")

enum trace_event {
#define X(id, name) TRACE_##id,
    TRACE_EVENTS(X)
#undef X
};

#define TRACE_HASH_PATH_SIZE 1024
#define TRACE_HASH_LOG_EVERY 16 /* default of log_every */

/* -icount hash=, hash-log=, hash-every=, hash-from=, hash-to= */
struct trace_hash_options {
    char file[TRACE_HASH_PATH_SIZE]; /* where hash and counts go at the end; "": nowhere */
    char log[TRACE_HASH_PATH_SIZE];  /* the hash after each 2^log_every events, a line each; "": nowhere */
    unsigned log_every;
    uint64_t from, to;               /* of these events, counted from 0, every one is in the log; to is excluded */
};

struct trace_hash;

/* OPTIONS outlive it. INSTRUCTIONS: what the vCPU has retired. */
struct trace_hash *trace_hash_create(const struct trace_hash_options *options, const uint64_t *instructions,
                                     uint64_t (*time)(void *opaque), void *opaque, struct error *err);
/* ACCOUNT brings *instructions up to an instruction boundary at which the vCPU is; before the first event. */
void trace_hash_set_account(struct trace_hash *hash, void (*account)(void *opaque), void *opaque);
/* Writes the file and closes the log. False with a message if one could not be written. HASH may be NULL. */
bool trace_hash_finish(struct trace_hash *hash, struct error *err);
void trace_hash_destroy(struct trace_hash *hash);

/* From now on the calling thread is the vCPU's. */
void trace_hash_take_thread(struct trace_hash *hash);
/* Is this thread the vCPU's, and does what it does count? HASH may be NULL. */
bool trace_hash_is_mine(const struct trace_hash *hash);
/* Between these, nothing counts: instruction fetch, which engines do as they like. */
void trace_hash_pause(struct trace_hash *hash);
void trace_hash_resume(struct trace_hash *hash);

/* The vCPU is at an instruction boundary: the counts are brought up to it. */
void trace_hash_account(struct trace_hash *hash);
/* WORDS: what comes behind instructions and time. */
void trace_hash_event(struct trace_hash *hash, enum trace_event event, const uint64_t *words, unsigned count);
/* A device access, if this thread's count (else nothing). HASH may be NULL. */
void trace_hash_access(struct trace_hash *hash, enum trace_event event, uint64_t address, unsigned size, uint64_t value);

uint64_t trace_hash_value(const struct trace_hash *hash);
uint64_t trace_hash_events(const struct trace_hash *hash);

#endif

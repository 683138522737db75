/* GDB's interface for code made at run time (GDB manual, "JIT Compilation Interface"): a debugger of the emulator is shown
 * small ELF files in memory, with symbols and unwinding information, so that it names translated code and finds the way
 * through it.
 *
 * A debugger stops the program for each file, so many pieces of code share one: at most GDB_JIT_BATCH, of one group. What
 * has not filled a file yet is shown by a thread of its own a moment later. Any thread may call. */
#ifndef DRAGOMAN_TRACE_GDB_JIT_H
#define DRAGOMAN_TRACE_GDB_JIT_H

#include "base/error.h"

#include <stddef.h>
#include <stdint.h>

#define GDB_JIT_BATCH    256u
#define GDB_JIT_DELAY_NS 10000000u

struct gdb_jit;

struct gdb_jit_symbol {
    uint64_t address;
    uint64_t size;
    char name[56];
};

/* An ELF file whose section .text is [ADDRESS, ADDRESS+SIZE), without contents; EH_FRAME may be NULL. The caller frees it.
 * NULL: out of memory. */
uint8_t *gdb_jit_build(uint64_t address, uint64_t size, const struct gdb_jit_symbol *symbols, size_t symbol_count,
                       const uint8_t *eh_frame, size_t eh_frame_size, size_t *file_size);

/* Begins by showing a file of its own with SYMBOLS and EH_FRAME, as for gdb_jit_build(). EH_FRAME may tell of addresses
 * beyond that: code to come. Fails with a message. */
struct gdb_jit *gdb_jit_create(uint64_t address, uint64_t size, const struct gdb_jit_symbol *symbols,
                               size_t symbol_count, const uint8_t *eh_frame, size_t eh_frame_size, struct error *err);
/* Within a group addresses grow, and groups do not overlap. */
void gdb_jit_add(struct gdb_jit *jit, unsigned group, const struct gdb_jit_symbol *symbol);
/* The code of GROUP is no more. */
void gdb_jit_drop(struct gdb_jit *jit, unsigned group);
void gdb_jit_destroy(struct gdb_jit *jit);

#endif

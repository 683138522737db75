// Measured loops ("kernels") that run both in the bare guest and as a process of the host: the same object
// files are linked into either program, so that a ratio compares the same machine code.
#ifndef BENCH_KERNELS_H
#define BENCH_KERNELS_H

#include <stdint.h>

// What a kernel may work on, readable, writable and executable.
struct arena {
    uint8_t data[256 * 1024];
    uint8_t code[4096];
};

struct kernel {
    const char *name, *suite;
    // Work proportional to `count`; the result depends on `count` only. A kernel sets up what it reads, so
    // that it can run more than once.
    uint32_t (*run)(uint32_t count, struct arena *arena);
    uint32_t count; // about 50 ms on a host of 2020; the guest-only ones: about 0.1 s in a quick emulator
};

// The unprivileged ones; ends with a null name.
extern const struct kernel kernels[];

// For kernels that set up what they read.
void fill_random(void *to, uint32_t bytes);
uint32_t sum_words(const uint32_t *words, uint32_t length);

// float.c, compiled once for the x87 unit and once for SSE2.
uint32_t float_x87(uint32_t count, struct arena *arena);
uint32_t float_sse(uint32_t count, struct arena *arena);

// simd.c: packed SSE2
uint32_t run_sad(uint32_t count, struct arena *arena);
uint32_t run_blend(uint32_t count, struct arena *arena);
uint32_t run_saxpy(uint32_t count, struct arena *arena);
uint32_t run_stencil(uint32_t count, struct arena *arena);
uint32_t run_convert(uint32_t count, struct arena *arena);
uint32_t run_search(uint32_t count, struct arena *arena);
uint32_t run_lanes(uint32_t count, struct arena *arena);

// code16.c: the loops of code16.asm in each of the modes that run 16-bit code
enum code16_mode { CODE16_REAL, CODE16_V86, CODE16_PROTECTED };
enum code16_loop { LOOP_WORDS, LOOP_PARSE, LOOP_FAR_COPY, LOOP_CALLS, LOOP_UNPACK, LOOP_TRAPS };
uint32_t run_code16(enum code16_mode mode, enum code16_loop loop, uint32_t count, struct arena *arena);

// Windows of 64 KiB each into the data of a 16-bit loop; the loops move between them by far pointers. A platform
// replaces the windows' numbers in its copy of the data by its segment values.
enum { CODE16_WINDOWS = 4, CODE16_WINDOW_STEP = 0x2000 };
void code16_place_segments(enum code16_loop loop, uint8_t *data, const uint16_t segments[CODE16_WINDOWS]);

// segment16.asm: `loop` `count` times through a far call into the 16-bit segment `code`, on data and a stack in `data`.
uint32_t call_segment16(uint32_t count, uint32_t loop, uint32_t code, uint32_t data);

// Given by the program that the kernels are linked into: runs `loop` `count` rounds over the 64 KiB at `data`,
// in `mode` (a process of the host has only one: a 16-bit segment in its local descriptor table). 0 where that
// cannot be had.
uint32_t platform_run_code16(enum code16_mode mode, enum code16_loop loop, uint32_t count, const uint8_t *data);

#endif

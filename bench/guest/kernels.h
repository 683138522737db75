// Measured loops ("kernels") that run both in the bare guest and as a process of the host: the same object
// files are linked into either program, so that a ratio compares the same machine code.
#ifndef BENCH_KERNELS_H
#define BENCH_KERNELS_H

#include <stdint.h>

// What a kernel may work on, readable, writable and executable. Kernels set up what they read.
struct arena {
    uint8_t data[256 * 1024];
    uint8_t code[4096];
};

struct kernel {
    const char *name;
    // Work proportional to `count`; the result depends on `count` only.
    uint32_t (*run)(uint32_t count, struct arena *arena);
    uint32_t count; // about 50 ms on a host of 2020; the guest-only ones: about 0.1 s in a quick emulator
};

// The unprivileged ones; ends with a null name.
extern const struct kernel kernels[];

// float.c, compiled once for the x87 unit and once for SSE2.
uint32_t float_x87(uint32_t count, struct arena *arena);
uint32_t float_sse(uint32_t count, struct arena *arena);

// Given by the program that the kernels are linked into: runs `code16` (code16.asm) `count` rounds over
// the 64 KiB at `data`, in real mode or in a 16-bit segment. 0 where that cannot be had.
uint32_t platform_run_code16(uint32_t count, uint8_t *data);

#endif

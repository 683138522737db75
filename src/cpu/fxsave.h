/* The FXSAVE area, Intel SDM vol. 1, table 10-2 (32-bit form), as memory and the host have it. */
#ifndef DRAGOMAN_CPU_FXSAVE_H
#define DRAGOMAN_CPU_FXSAVE_H

#include <assert.h>
#include <stddef.h>
#include <stdint.h>

/* Bits of MXCSR that any processor with FXSAVE may define, as far as we go: 15..0. */
#define MXCSR_DEFINED 0xffffu

struct fxsave_image {
    uint16_t fcw;
    uint16_t fsw;
    uint8_t ftw; /* abridged */
    uint8_t reserved0;
    uint16_t fop;
    uint32_t fip;
    uint16_t fcs;
    uint16_t reserved1;
    uint32_t fdp;
    uint16_t fds;
    uint16_t reserved2;
    uint32_t mxcsr;
    uint32_t mxcsr_mask;
    uint8_t st[8][16];
    uint8_t xmm[16][16]; /* 8..15 only in 64-bit mode */
    uint8_t available[96];
} __attribute__((aligned(16)));

#define FXSAVE_X87_END offsetof(struct fxsave_image, xmm)
#define FXSAVE_XMM_END (FXSAVE_X87_END + 8 * 16)

static_assert(sizeof(struct fxsave_image) == 512, "as the instruction writes it");
static_assert(FXSAVE_X87_END == 160, "XMM0 at byte 160");

/* The instructions themselves, on this thread's FPU. */
void fxsave_from_host(struct fxsave_image *image);
void fxsave_to_host(const struct fxsave_image *image);

#endif

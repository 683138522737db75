/* Two bare machines that run the same x87, MMX and SSE code: the interpreter and the translator. What the guest can see
 * must come out the same, memory, page tables and the x87's last pointers included. */
#ifndef DRAGOMAN_TESTS_TRANSLATE_BARE_FPU_PAIR_H
#define DRAGOMAN_TESTS_TRANSLATE_BARE_FPU_PAIR_H

#include "../interp/bare_machine.h"

#include "cpu/fxsave.h"
#include "translate/translate.h"

/* Linear addresses; a page is mapped to itself if nothing else is said. */
#define PAIR_IDT            0x1000u
#define PAIR_GDT            0x1800u
#define PAIR_TSS            0x1900u
#define PAIR_HANDLERS       0x3000u /* 16 bytes for each exception, which end at HLT */
#define PAIR_PAGE_DIRECTORY 0x10000u
#define PAIR_PAGE_TABLES    0x11000u /* two: 8 MiB */
#define PAIR_STACK          0x80000u
#define PAIR_CODE           0x100000u /* where the code stands */
#define PAIR_DATA           0x200000u /* two pages */
#define PAIR_MISSING        0x202000u
#define PAIR_LONELY         0x203000u /* between a missing page and one that is read-only */
#define PAIR_READ_ONLY      0x204000u
#define PAIR_BEFORE_DEVICE  0x206000u
#define PAIR_DEVICE         0x207000u /* no memory answers there */
#define PAIR_AREA           0x209000u /* EDI: a whole FXSAVE image */
#define PAIR_SCATTERED      0x20b000u /* this and the next page are apart in physical memory */
#define PAIR_SCATTERED_TO   0x300000u

struct fpu_pair_options {
    const char *model;
    unsigned block_limit; /* 0: the default */
    uint32_t disabled_passes;
    bool counted, baseline;
    bool lockstep; /* the translator's machine compares the two engines by itself, too */
};

/* What a run begins with. The x87 pointers are 0. */
struct fpu_pair_state {
    struct fxsave_image fpu;
    uint32_t gpr[8];
    uint32_t flags; /* the arithmetic ones */
    uint32_t cr0_set, cr0_clear;
    uint32_t cr4;
    bool ignne;       /* with CR0.NE = 0 */
    bool ferr;        /* asserted, as the pending error was met before */
    uint32_t cs_base; /* EIP is PAIR_CODE less that */
    uint32_t ds_base;
    uint32_t ds_limit; /* 0: DS is flat */
    bool ds_expand_down;
    uint8_t data[160]; /* at EBX, as far as there is memory */
};

struct fpu_pair {
    struct bare_machine *m[2]; /* interpreter, translator */
    struct translator *translator;
    bool counted;
    bool disagreed; /* lockstep */
    bool differs;   /* what the last run left in memory */
};

struct fpu_pair *fpu_pair_create(const struct fpu_pair_options *options);
void fpu_pair_destroy(struct fpu_pair *pair);
/* Both run CODE, which ends where a HLT is put behind it. False: the results differ. The test library puts its own
 * signal handlers in place before each test: fpu_signal_install() belongs into the test. */
bool fpu_pair_run(struct fpu_pair *pair, const struct fpu_pair_state *start, const uint8_t *code, size_t length);
/* After a run: the exception that ended it, or -1. */
int fpu_pair_vector(const struct fpu_pair *pair);
/* Prints both results; '<' where they differ. */
void fpu_pair_show(const struct fpu_pair *pair);

/* ---- random things ---- */

uint64_t fpu_pair_random(void);
unsigned fpu_pair_below(unsigned n);
/* CR0 and CR4 as operating systems have them, EBX = PAIR_DATA, EDI = PAIR_AREA, ESI = 0. MASKED: no unmasked
 * exceptions, none pending. */
void fpu_pair_random_state(struct fpu_pair_state *state, bool masked);

#endif

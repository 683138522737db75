/* What the 64-bit driver and the processor-side helper share: the arena, the segments, and the batch
 * in shared memory. Only types of the same layout in 32- and 64-bit code.
 *
 * The arena is what a test case can see of memory. Everything else is unmapped in both worlds, apart from
 * HARNESS_BEGIN..HARNESS_END, where the helper (host) and the system tables (guest) live; a case that
 * touches that range is thrown away.
 *
 *   linear        pages                                          rights
 *   10000000      0, 1                                           read, write, execute; 10002000 is unmapped
 *   20000000      2 (+0), 3 (+1000), 5 (+4000), 6 (+f000), 7 (+10000)   read, write
 *   20002000      4                                              read; 20003000 is unmapped
 */
#ifndef DRAGOMAN_TESTS_ORACLE_ABI_H
#define DRAGOMAN_TESTS_ORACLE_ABI_H

#include <stdint.h>

#define ARENA_PAGE       4096u
#define ARENA_PAGES      8u
#define ARENA_SIZE_BYTES (ARENA_PAGES * ARENA_PAGE)
#define ARENA_CODE_PAGES 2u
#define ARENA_CODE       0x10000000u
#define ARENA_DATA       0x20000000u
#define ARENA_READ_ONLY  4u /* the page that is */
#define ARENA_FILL_CODE  0xcc

static const uint32_t arena_linear[ARENA_PAGES] = {
    ARENA_CODE,          ARENA_CODE + 0x1000, ARENA_DATA,          ARENA_DATA + 0x1000,
    ARENA_DATA + 0x2000, ARENA_DATA + 0x4000, ARENA_DATA + 0xf000, ARENA_DATA + 0x10000,
};

#define HARNESS_BEGIN  0x70000000u
#define HARNESS_END    0x80000000u
#define HARNESS_SHARED 0x71000000u /* helper: the batch */
#define HARNESS_ALIAS  0x72000000u /* helper: the arena again, writable */

/* Linux's flat user segments. */
#define SELECTOR_USER_CODE32 0x23
#define SELECTOR_USER_DATA   0x2b
#define SELECTOR_LDT(n)      ((n) * 8 + 7)

/* LDT entries: X(n, name, base, limit, 32-bit, contents, read/execute only, limit in pages, not present)
 * contents as modify_ldt() has them: 0 data, 1 expand-down data, 2 code, 3 conforming code (which Linux grants only
 * when it is not present). */
#define ORACLE_LDT(X)                                          \
    X(0, DATA32, ARENA_DATA, 0xffff, 1, 0, 0, 0, 0)            \
    X(1, DATA16, ARENA_DATA, 0xffff, 0, 0, 0, 0, 0)            \
    X(2, READ_ONLY, ARENA_DATA, 0x0fff, 1, 0, 1, 0, 0)         \
    X(3, DOWN32, ARENA_DATA, 0x0fff, 1, 1, 0, 0, 0)            \
    X(4, DOWN16, ARENA_DATA, 0x0fff, 0, 1, 0, 0, 0)            \
    X(5, ODD, ARENA_DATA + 5, 0x1ff2, 1, 0, 0, 0, 0)           \
    X(6, CODE32, ARENA_CODE, 0x1fff, 1, 2, 0, 0, 0)            \
    X(7, CODE16, ARENA_CODE, 0x1fff, 0, 2, 0, 0, 0)            \
    X(8, EXECUTE32, ARENA_CODE, 0x1fff, 1, 2, 1, 0, 0)         \
    X(9, EXECUTE16, ARENA_CODE, 0x1fff, 0, 2, 1, 0, 0)         \
    X(10, ABSENT_DATA, ARENA_DATA, 0xffff, 1, 0, 0, 0, 1)      \
    X(11, ABSENT_CODE, ARENA_CODE, 0x1fff, 1, 2, 0, 0, 1)      \
    X(12, ABSENT_CONFORMING, ARENA_CODE, 0x1fff, 1, 3, 0, 0, 1) \
    X(13, CODE32_ODD, ARENA_CODE + 0x13, 0x1801, 1, 2, 0, 0, 0) \
    X(14, PAGES, ARENA_DATA, 0x10, 1, 0, 0, 1, 0)              \
    X(15, CODE16_ODD, ARENA_CODE + 0x13, 0x1801, 0, 2, 0, 0, 0) \
    X(16, DOWN_ODD16, ARENA_DATA + 3, 0x0802, 0, 1, 0, 0, 0)   \
    X(17, CODE16_SHORT, ARENA_CODE, 0x0fff, 0, 2, 0, 0, 0)     \
    X(18, CODE32_SHORT, ARENA_CODE, 0x0fff, 1, 2, 0, 0, 0)
#define ORACLE_LDT_COUNT 19u
enum oracle_ldt {
#define X(n, name, ...) LDT_##name = (n),
    ORACLE_LDT(X)
#undef X
};

enum oracle_end {
    END_NONE,
    END_NORMAL,  /* came to the terminator */
    END_FAULT,   /* exception VECTOR */
    END_HANG,    /* did not end */
    END_DISCARD, /* touched the harness, made a system call */
    END_SETUP,   /* the state could not be loaded */
    END_STOPPED  /* an interrupt was taken at an instruction boundary, see oracle_input.boundary */
};

/* ES CS SS DS FS GS, as the processor numbers them */
enum { ORACLE_ES, ORACLE_CS, ORACLE_SS, ORACLE_DS, ORACLE_FS, ORACLE_GS };

struct oracle_registers {
    uint64_t gpr[16]; /* 32-bit code: the first eight */
    uint64_t rip;
    uint32_t eflags;
    uint16_t segment[6];
    uint32_t reserved[4];
    uint8_t fx[512] __attribute__((aligned(16))); /* FXSAVE image; only with uses_fpu */
};

#define ORACLE_MAX_CODE    512u /* 30 instructions and the terminator */
#define ORACLE_MAX_PATCHES 8u
#define ORACLE_PATCH_BYTES 32u
#define ORACLE_LINE        16u
#define ORACLE_MAX_LINES   48u

struct oracle_patch {
    uint32_t offset; /* in the arena: page number * 4096 + offset */
    uint32_t length;
    uint8_t bytes[ORACLE_PATCH_BYTES];
};

struct oracle_input {
    struct oracle_registers registers;
    uint32_t uses_fpu;
    uint32_t patch_count;
    uint32_t code_offset; /* in the arena */
    uint32_t code_length;
    /* Not 0: an interrupt arrives when so many instructions are done, and what it finds is the result (END_STOPPED). The
     * boundary behind MOV SS and POP SS takes none, so that one more is done there (Intel SDM vol. 3, 6.8.3). */
    uint32_t boundary;
    /* Between driver and helper: like the case before it in all but a smaller boundary, so that one run serves both. */
    uint32_t follows;
    uint32_t reserved[2];
    struct oracle_patch patches[ORACLE_MAX_PATCHES];
    uint8_t code[ORACLE_MAX_CODE];
};

/* Memory that differs from the base pattern afterwards, code and patches among it. */
struct oracle_line {
    uint32_t offset; /* in the arena, a multiple of ORACLE_LINE */
    uint8_t bytes[ORACLE_LINE];
};

struct oracle_output {
    struct oracle_registers registers;
    uint32_t end; /* enum oracle_end */
    uint32_t vector, error, cr2;
    uint32_t line_count; /* may exceed ORACLE_MAX_LINES: then only the hash tells */
    uint32_t line_hash;
    uint32_t boundary; /* END_STOPPED: how many instructions were done */
    uint32_t reserved;
    struct oracle_line lines[ORACLE_MAX_LINES];
};

#define ORACLE_BATCH 256u

struct oracle_shared {
    /* futex words */
    uint32_t request;  /* driver: run [first, count) */
    uint32_t reply;    /* helper: equals request when done */
    uint32_t first, count;
    uint32_t current;  /* case that is running */
    uint32_t base_generation; /* helper copies `base` when it changes */
    uint32_t epilogue; /* helper: where terminators jump */
    uint32_t failure;  /* helper: its own start-up failed, code */
    uint8_t default_fx[512] __attribute__((aligned(16)));
    uint8_t base[ARENA_SIZE_BYTES] __attribute__((aligned(64)));
    struct oracle_input input[ORACLE_BATCH];
    struct oracle_output output[ORACLE_BATCH];
};

/* Compares the arena with BASE, records and, with RESTORE, undoes the differences. */
typedef uint64_t oracle_vector __attribute__((vector_size(16), may_alias));
static inline void oracle_collect_lines(uint8_t *arena, const uint8_t *base, struct oracle_output *out, int restore)
{
    uint32_t count = 0, hash = 2166136261u;

    for (uint32_t at = 0; at < ARENA_SIZE_BYTES; at += 64) {
        const oracle_vector *a = (const oracle_vector *)(const void *)(arena + at);
        const oracle_vector *b = (const oracle_vector *)(const void *)(base + at);
        oracle_vector d = (a[0] ^ b[0]) | (a[1] ^ b[1]) | (a[2] ^ b[2]) | (a[3] ^ b[3]);

        if (__builtin_expect(!(d[0] | d[1]), 1))
            continue;
        for (uint32_t line = at; line < at + 64; line += ORACLE_LINE) {
            oracle_vector *p = (oracle_vector *)(void *)(arena + line);
            const oracle_vector *q = (const oracle_vector *)(const void *)(base + line);
            oracle_vector e = *p ^ *q;

            if (!(e[0] | e[1]))
                continue;
            hash = (hash ^ line) * 16777619u;
            for (unsigned i = 0; i < 4; i++)
                hash = (hash ^ ((const uint32_t *)(const void *)p)[i]) * 16777619u;
            if (count < ORACLE_MAX_LINES) {
                out->lines[count].offset = line;
                __builtin_memcpy(out->lines[count].bytes, p, ORACLE_LINE);
            }
            count++;
            if (restore)
                *p = *q;
        }
    }
    out->line_count = count;
    out->line_hash = hash;
}

static inline void oracle_collect(uint8_t *arena, const uint8_t *base, struct oracle_output *out)
{
    oracle_collect_lines(arena, base, out, 1);
}

#endif

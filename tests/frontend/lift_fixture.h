/* Lifting bytes in tests: modes, one block from a hex string, the ops as one line of text. */
#ifndef DRAGOMAN_TESTS_FRONTEND_LIFT_FIXTURE_H
#define DRAGOMAN_TESTS_FRONTEND_LIFT_FIXTURE_H

#include "cpu/model.h"
#include "frontend/lift.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define SHAPES(es, cs, ss, ds, fs, gs)                                                                                 \
    ((uint32_t)(es) << 16 | (uint32_t)(cs) << 18 | (uint32_t)(ss) << 20 | (uint32_t)(ds) << 22 |                       \
     (uint32_t)(fs) << 24 | (uint32_t)(gs) << 26)
#define ALL_SHAPES(shape) SHAPES(shape, shape, shape, shape, shape, shape)

#define FLAT32      (MODE_CS_D | MODE_SS_B | MODE_PE | ALL_SHAPES(SHAPE_FLAT))
#define SEGMENTED32 (MODE_CS_D | MODE_SS_B | MODE_PE | ALL_SHAPES(SHAPE_OTHER))
#define REAL16      ALL_SHAPES(SHAPE_64K)
#define VM86        (MODE_PE | MODE_VM86 | 3 << MODE_CPL_SHIFT | ALL_SHAPES(SHAPE_64K))
#define PROTECTED16 (MODE_PE | ALL_SHAPES(SHAPE_OTHER))
#define UNREAL16    (SHAPES(SHAPE_FLAT, SHAPE_64K, SHAPE_64K, SHAPE_FLAT, SHAPE_FLAT, SHAPE_FLAT))

/* Static: these are large. */
struct lifted {
    struct decoder decoder;
    struct ir_block block;
    struct lift_storage storage;
    struct lift_request request;
    uint8_t code[8192];
    size_t length; /* what lift_block() returned */
    char text[8192];
};

static inline uint32_t default_cs_limit(uint32_t mode)
{
    return MODE_SHAPE(mode, SEG_CS) == SHAPE_FLAT ? 0xffffffffu : mode & MODE_CS_D ? 0xfffff : 0xffff;
}

static inline struct lifted *new_lifted(const char *model)
{
    struct error err;
    struct lifted *f = calloc(1, sizeof *f);

    assert_non_null(f);
    const struct cpu_model *m = cpu_model_find(model, &err);
    assert_non_null(m);
    decoder_init(&f->decoder, m);
    return f;
}

/* Bytes in hex into f->code; how many. */
static inline size_t parse_bytes(struct lifted *f, const char *hex)
{
    size_t n = 0;
    unsigned byte;

    for (int used; sscanf(hex, "%2x%n", &byte, &used) == 1; hex += used)
        f->code[n++] = (uint8_t)byte;
    return n;
}

static inline void prepare(struct lifted *f, uint32_t mode, uint32_t eip, size_t available)
{
    f->request = (struct lift_request){.decoder = &f->decoder,
                                       .mode = mode,
                                       .eip = eip,
                                       .linear = eip + (MODE_SHAPE(mode, SEG_CS) == SHAPE_FLAT ? 0 : 0x20000),
                                       .cs_limit = default_cs_limit(mode),
                                       .code = f->code,
                                       .available = available,
                                       .limit = IR_MAX_INSNS};
}

static inline void verify_block(const struct lifted *f)
{
    char message[256] = "";

    if (!ir_verify(&f->block, false, message, sizeof message)) {
        ir_print(stderr, &f->block);
        fail_msg("%s", message);
    }
}

/* The ops into f->text, "; " between them. */
static inline void print_ops(struct lifted *f)
{
    char *lines = NULL;
    size_t size = 0, n = 0;
    FILE *out = open_memstream(&lines, &size);

    assert_non_null(out);
    for (unsigned i = 0; i < f->block.op_count; i++)
        ir_print_op(out, &f->block, &f->block.ops[i]);
    fclose(out);
    for (char *line = strtok(lines, "\n"); line; line = strtok(NULL, "\n")) {
        line += strspn(line, " ");
        n += (size_t)snprintf(f->text + n, sizeof f->text - n, "%s%s", n ? "; " : "", line);
        assert_true(n < sizeof f->text);
    }
    if (!n)
        f->text[0] = 0;
    free(lines);
}

/* Lifts f->request. */
static inline void lift_now(struct lifted *f)
{
    f->length = lift_block(&f->request, &f->block, &f->storage);
    if (f->length) {
        verify_block(f);
        print_ops(f);
    }
}

struct expectation {
    uint32_t mode;
    const char *bytes, *ops;
};

/* Each row is one instruction at 00001000; the EXIT behind those that do not end the block is cut off. */
static inline void check_expectations(struct lifted *f, const struct expectation *rows, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        size_t n = parse_bytes(f, rows[i].bytes);

        prepare(f, rows[i].mode, 0x1000, n);
        f->request.limit = 1;
        lift_now(f);
        assert_int_equal(f->length, n);
        char *end = strstr(f->text, "; exit 0");
        if (!strcmp(f->text, "exit 0") && !rows[i].ops[0])
            f->text[0] = 0;
        else if (end && !end[8] && !strstr(rows[i].ops, "exit 0"))
            *end = 0;
        if (strcmp(f->text, rows[i].ops))
            fail_msg("mode %08x, %s\n  is:        %s\n  should be: %s", rows[i].mode, rows[i].bytes, f->text,
                     rows[i].ops);
    }
}

#endif

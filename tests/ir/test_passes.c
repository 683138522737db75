/* The text files of passes/: IR in, passes, IR out.
 *
 *     case NAME
 *     pass NAME ...      one or more
 *     block ...          as ir_print() writes it; "link" lines and the header's numbers may be left out
 *     expect
 *     block ...
 *
 * Lines that begin with # are comments. Both blocks are printed before they are compared. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "ir/ir.h"

#include <glob.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_PASSES = 8 };

/* What is read of one case. */
struct pass_case {
    char name[128];
    const struct ir_pass *passes[MAX_PASSES];
    unsigned pass_count;
    bool expecting; /* behind "expect" */
    char *text[2];  /* in, out */
    size_t length[2];
};

static char *print(const struct ir_block *block)
{
    char *text = NULL;
    size_t size;
    FILE *out = open_memstream(&text, &size);
    assert_non_null(out);
    ir_print(out, block);
    fclose(out);
    return text;
}

static const struct ir_pass *find_pass(const char *name)
{
    for (unsigned i = 0; ir_passes[i].name; i++) {
        if (strcmp(ir_passes[i].name, name) == 0)
            return &ir_passes[i];
    }
    return NULL;
}

static void parse(struct ir_block *block, const char *file, const struct pass_case *c, unsigned which)
{
    char message[256];
    if (!c->text[which] || !ir_parse(block, c->text[which], message, sizeof message))
        fail_msg("%s: case %s, block %s: %s", file, c->name, which ? "expected" : "given",
                 c->text[which] ? message : "missing");
}

static void verify(const struct ir_block *block, bool check_flags, const char *file, const struct pass_case *c,
                   const char *when)
{
    char message[256];
    if (!ir_verify(block, check_flags, message, sizeof message))
        fail_msg("%s: case %s: %s: %s", file, c->name, when, message);
}

static bool run_case(const char *file, const struct pass_case *c)
{
    const struct ir_host_flags host = {0};
    struct ir_block *block = malloc(sizeof *block), *expected = malloc(sizeof *expected);
    bool flags_placed = false;
    parse(block, file, c, 0);
    parse(expected, file, c, 1);
    verify(block, false, file, c, "before");
    for (unsigned i = 0; i < c->pass_count; i++) {
        c->passes[i]->run(block, &host);
        flags_placed |= c->passes[i]->run == ir_pass_flags;
        verify(block, flags_placed, file, c, c->passes[i]->name);
    }
    char *got = print(block), *want = print(expected);
    bool same = strcmp(got, want) == 0;
    if (!same)
        print_error("%s: case %s\n--- got\n%s--- expected\n%s", file, c->name, got, want);
    free(got);
    free(want);
    free(block);
    free(expected);
    return same;
}

static void add_line(struct pass_case *c, const char *line)
{
    unsigned which = c->expecting;
    size_t size = strlen(line);
    c->text[which] = realloc(c->text[which], c->length[which] + size + 1);
    memcpy(c->text[which] + c->length[which], line, size + 1);
    c->length[which] += size;
}

static bool finish_case(const char *file, struct pass_case *c)
{
    bool good = true;
    if (c->name[0]) {
        if (!c->pass_count)
            fail_msg("%s: case %s names no pass", file, c->name);
        good = run_case(file, c);
    }
    free(c->text[0]);
    free(c->text[1]);
    memset(c, 0, sizeof *c);
    return good;
}

static void read_passes(const char *file, struct pass_case *c, char *names)
{
    for (char *name = strtok(names, " \n"); name; name = strtok(NULL, " \n")) {
        const struct ir_pass *pass = find_pass(name);
        if (!pass || c->pass_count == MAX_PASSES)
            fail_msg("%s: case %s: no pass '%s'", file, c->name, name);
        c->passes[c->pass_count++] = pass;
    }
}

/* Returns the number of cases; FAILED counts those that went wrong. */
static unsigned run_file(const char *file, unsigned *failed)
{
    struct pass_case c = {0};
    char line[256];
    unsigned count = 0;
    FILE *in = fopen(file, "r");
    assert_non_null(in);
    while (fgets(line, sizeof line, in)) {
        if (line[0] == '#' || line[0] == '\n')
            continue;
        if (strncmp(line, "case ", 5) == 0) {
            *failed += !finish_case(file, &c);
            snprintf(c.name, sizeof c.name, "%.*s", (int)strcspn(line + 5, "\n"), line + 5);
            count++;
        } else if (strncmp(line, "pass ", 5) == 0) {
            read_passes(file, &c, line + 5);
        } else if (strcmp(line, "expect\n") == 0) {
            c.expecting = true;
        } else {
            add_line(&c, line);
        }
    }
    *failed += !finish_case(file, &c);
    fclose(in);
    return count;
}

static void test_files(void **state)
{
    glob_t files;
    unsigned failed = 0, count = 0;
    assert_int_equal(glob(TEST_FOLDER "/passes/*.ir", 0, NULL, &files), 0);
    for (size_t i = 0; i < files.gl_pathc; i++) {
        unsigned here = run_file(files.gl_pathv[i], &failed);
        if (here == 0)
            fail_msg("%s: no cases", files.gl_pathv[i]);
        count += here;
    }
    globfree(&files);
    print_message("%u cases\n", count);
    assert_int_equal(failed, 0);
}

static void test_order(void **state)
{
    static const char *const names[] = {"constants", "addresses", "states", "dead_code", "flags"};
    for (unsigned i = 0; i < 5; i++) {
        assert_string_equal(ir_passes[i].name, names[i]);
        assert_int_equal(ir_passes[i].required, i == 4);
    }
    assert_null(ir_passes[5].name);
}

/* ---- running them all ---- */

struct seen {
    char names[128];
};

static void observe(void *opaque, const struct ir_pass *pass, const struct ir_block *block)
{
    struct seen *seen = opaque;
    size_t length = strlen(seen->names);
    snprintf(seen->names + length, sizeof seen->names - length, "%s ", pass->name);
}

static void test_passes_can_be_switched_off(void **state)
{
    static const char text[] = "block\n0 00001000 nop\n exit 0\n";
    const struct ir_host_flags host = {0};
    struct ir_block *block = malloc(sizeof *block);
    struct seen seen = {""};
    char message[256];
    assert_true(ir_parse(block, text, message, sizeof message));
    assert_true(ir_run_passes(block, &host, 0, observe, &seen, message, sizeof message));
    assert_string_equal(seen.names, "constants addresses states dead_code flags ");
    memset(&seen, 0, sizeof seen);
    assert_true(ir_parse(block, text, message, sizeof message));
    assert_true(ir_run_passes(block, &host, 1u << 0 | 1u << 3, observe, &seen, message, sizeof message));
    assert_string_equal(seen.names, "addresses states flags ");
    memset(&seen, 0, sizeof seen);
    assert_true(ir_parse(block, text, message, sizeof message));
    assert_true(ir_run_passes(block, &host, 0xffffffff, observe, &seen, message, sizeof message));
    assert_string_equal(seen.names, "flags ");
    assert_true(ir_parse(block, text, message, sizeof message));
    assert_true(ir_run_passes(block, &host, 0, NULL, NULL, message, sizeof message));
    free(block);
}

static void test_a_block_that_overflowed_is_refused(void **state)
{
    const struct ir_host_flags host = {0};
    struct ir_block *block = malloc(sizeof *block);
    char message[256] = "";
    ir_block_init(block, 0, 0, 0);
    ir_begin_insn(block, 0, 1, 0);
    for (unsigned i = 0; i < IR_MAX_OPS + 5; i++)
        ir_append(block, IR_CLC, 0);
    assert_true(block->overflow);
    assert_true(block->op_count < IR_MAX_OPS);
    assert_false(ir_run_passes(block, &host, 0, NULL, NULL, message, sizeof message));
    assert_non_null(strstr(message, "too many"));
    free(block);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_files),
        cmocka_unit_test(test_order),
        cmocka_unit_test(test_passes_can_be_switched_off),
        cmocka_unit_test(test_a_block_that_overflowed_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

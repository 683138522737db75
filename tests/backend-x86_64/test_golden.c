/* Golden files, one for each family of instructions: guest bytes, the IR after all passes, the host code.
 *
 * golden/<family>.txt holds cases that begin with a line
 *
 *     > MODE BYTES ; NAME
 *
 * and what follows is what the translator makes of BYTES. A change of generated code shows as a difference here; run
 * with GOLDEN_UPDATE=1 in the environment to write the files anew, then look at the differences. A new case is a line
 * with '>'.
 *
 * What depends on the host is fixed: LAHF is there, no flag that the manual calls undefined is kept. Fields of the
 * vCPU, thunks and pointers stand under their names. If the code for a host without LAHF differs, its size is told. */
#include "code_harness.h"
#include "disassembly.h"
#include "frontend/lift.h"

#include "cpu/model.h"

#include <dirent.h>

#define CALLS 128

struct golden {
    struct decoder decoder;
    struct ir_block block;
    struct lift_storage storage;
    struct codegen_result result;
    struct native_call *calls;
    uint8_t *code;
    struct native_thunks thunks;
    uint32_t thunks_end;
    bool host_lahf;
};

static const struct {
    const char *name;
    uint32_t mode;
} modes[] = {
    {"flat32", HARNESS_FLAT},
    {"real16", 0xaaau << MODE_SHAPE_SHIFT},
    {"v86", MODE_PE | MODE_VM86 | 3u << MODE_CPL_SHIFT | 0xaaau << MODE_SHAPE_SHIFT},
    {"seg32", MODE_CS_D | MODE_SS_B | MODE_PE},
    {"seg16", MODE_PE},
    {"counted32", HARNESS_FLAT | MODE_COUNTED},
};

/* ---- names for numbers ---- */

struct field_name {
    int32_t offset;
    const char *name;
};
#define FIELD(f)                                                                                                       \
    {                                                                                                                  \
        NATIVE_OFFSET(f), #f                                                                                           \
    }
#define SEGMENT_FIELDS(seg, n)                                                                                         \
    {NATIVE_OFFSET(state.segment[seg].base), n ".base"}, {NATIVE_OFFSET(state.segment[seg].read_end), n ".read_end"},  \
        {NATIVE_OFFSET(state.segment[seg].write_end), n ".write_end"},                                                 \
    {                                                                                                                  \
        NATIVE_OFFSET(state.segment[seg].limit), n ".limit"                                                            \
    }
static const struct field_name fields[] = {
    {NATIVE_OFFSET(state.arithmetic_flags), "flags"},
    {NATIVE_OFFSET(state.arithmetic_flags) + 1, "flags+1"},
    {NATIVE_OFFSET(state.system_flags), "system_flags"},
    {NATIVE_OFFSET(state.system_flags) + 1, "system_flags+1"},
    {NATIVE_OFFSET(state.rip), "rip"},
    {NATIVE_OFFSET(state.segment[SEG_CS].selector), "cs.selector"},
    {NATIVE_OFFSET(state.mxcsr), "mxcsr"},
    {NATIVE_OFFSET(state.x87.fop), "x87.fop"},
    {NATIVE_OFFSET(state.x87.fip), "x87.fip"},
    {NATIVE_OFFSET(state.x87.fcs), "x87.fcs"},
    {NATIVE_OFFSET(state.x87.fdp), "x87.fdp"},
    {NATIVE_OFFSET(state.x87.fds), "x87.fds"},
    {NATIVE_OFFSET(mmu.execute_table), "execute_table"},
    {NATIVE_OFFSET(mmu.read_table), "read_table"},
    {NATIVE_OFFSET(mmu.write_table), "write_table"},
    {NATIVE_OFFSET(native.caller_stack), "caller_stack"},
    {NATIVE_OFFSET(native.stack_limit), "stack_limit"},
    FIELD(attention),
    FIELD(budget),
    SEGMENT_FIELDS(SEG_ES, "es"),
    SEGMENT_FIELDS(SEG_CS, "cs"),
    SEGMENT_FIELDS(SEG_SS, "ss"),
    SEGMENT_FIELDS(SEG_DS, "ds"),
    SEGMENT_FIELDS(SEG_FS, "fs"),
    SEGMENT_FIELDS(SEG_GS, "gs"),
};

static const char *name_of_field(int64_t offset)
{
    for (unsigned i = 0; i < sizeof fields / sizeof fields[0]; i++)
        if (fields[i].offset == offset)
            return fields[i].name;
    return NULL;
}

static void name_of_code(const struct golden *g, uint64_t target, char *name, size_t size)
{
    const struct native_thunks *t = &g->thunks;
    const struct {
        uint32_t at;
        const char *name;
    } named[] = {{t->leave_eflags, "leave_eflags"},
                 {t->leave_home, "leave_home"},
                 {t->leave_at_eflags, "leave_at_eflags"},
                 {t->leave_at_home, "leave_at_home"},
                 {t->commit, "commit"},
                 {t->segment, "segment"},
                 {t->call, "call"},
                 {t->lookup_flat, "lookup_flat"},
                 {t->lookup_other, "lookup_other"},
                 {t->return_flat, "return_flat"},
                 {t->return_other, "return_other"},
                 {t->divide, "divide"}};

    for (unsigned i = 0; i < sizeof named / sizeof named[0]; i++)
        if (named[i].at == target) {
            snprintf(name, size, "<%s>", named[i].name);
            return;
        }
    for (unsigned i = 0; i < 4; i++) {
        const char *kind = t->read[i] == target     ? "read"
                           : t->write[i] == target  ? "write"
                           : t->update[i] == target ? "update"
                                                    : NULL;
        if (kind) {
            snprintf(name, size, "<%s%u>", kind, 1u << i);
            return;
        }
    }
    snprintf(name, size, "+%x", (uint32_t)target - g->result.entry_eflags);
}

static void replace(char *text, size_t size, const char *from, const char *to)
{
    char *at = strstr(text, from);
    char rest[128];

    if (!at)
        return;
    snprintf(rest, sizeof rest, "%s", at + strlen(from));
    snprintf(at, size - (size_t)(at - text), "%s%s", to, rest);
}

/* Text of the instruction at offset AT with names in it; returns its length. */
static unsigned describe_host(const struct golden *g, uint32_t at, char *text, size_t size)
{
    struct disassembly d = disassemble(g->code + at, 15, at);

    snprintf(text, size, "%s", d.text);
    for (unsigned i = 0; i < d.insn.operand_count_visible; i++) {
        const ZydisDecodedOperand *o = &d.operands[i];
        char number[32], name[48];
        ZyanU64 absolute;

        if (o->type == ZYDIS_OPERAND_TYPE_IMMEDIATE && o->imm.is_relative) {
            ZydisCalcAbsoluteAddress(&d.insn, o, at, &absolute);
            name_of_code(g, absolute, name, sizeof name);
            snprintf(text, size, "%s %s", ZydisMnemonicGetString(d.insn.mnemonic), name);
        } else if (o->type == ZYDIS_OPERAND_TYPE_MEMORY && o->mem.base == ZYDIS_REGISTER_RIP) {
            ZydisCalcAbsoluteAddress(&d.insn, o, at, &absolute);
            snprintf(number, sizeof number, "0x%016llX", (unsigned long long)absolute);
            snprintf(name, sizeof name, "+%x", (uint32_t)absolute - g->result.entry_eflags);
            replace(text, size, number, name);
        } else if (o->type == ZYDIS_OPERAND_TYPE_MEMORY && o->mem.base == ZYDIS_REGISTER_R15) {
            const char *field = name_of_field(o->mem.disp.value);
            char *open = strchr(text, '[');

            if (field && open && strchr(open, ']')) {
                char rest[64];
                snprintf(rest, sizeof rest, "%s", strchr(open, ']'));
                snprintf(open, size - (size_t)(open - text), "[cpu.%s%s", field, rest);
            }
        } else if (o->type == ZYDIS_OPERAND_TYPE_IMMEDIATE && o->imm.value.u > UINT32_MAX && d.insn.length == 10) {
            uint64_t value = o->imm.value.u, calls = (uint64_t)(uintptr_t)g->calls;

            snprintf(number, sizeof number, "0x%llX", (unsigned long long)value);
            if (value >= calls && value < calls + CALLS * sizeof *g->calls)
                snprintf(name, sizeof name, "call#%u", (unsigned)((value - calls) / sizeof *g->calls));
            else
                snprintf(name, sizeof name, "link#%u", value == (uintptr_t)LINK_TOKEN(1));
            replace(text, size, number, name);
        }
    }
    return d.insn.length;
}

/* ---- one case ---- */

static void print_host(const struct golden *g, FILE *out)
{
    const struct codegen_result *r = &g->result;
    unsigned hot = 0;
    uint32_t end = r->end;

    for (unsigned i = 0; i < 2; i++) /* data stands behind the code */
        if (r->exits[i].guard && r->exits[i].guard < end)
            end = r->exits[i].guard;
    for (uint32_t at = r->entry_eflags; at < r->hot_end; hot++)
        at += disassemble(g->code + at, 15, at).insn.length;
    fprintf(out, "host: %u instructions, %u bytes; out of line %u bytes\n", hot, r->hot_end - r->entry_eflags,
            r->end - r->hot_end);
    for (uint32_t at = r->entry_eflags; at < end;) {
        char text[160];

        if (at == r->hot_end)
            fprintf(out, "  --\n");
        if (g->code[at] == 0xcc) { /* between code and data */
            at++;
            continue;
        }
        unsigned length = describe_host(g, at, text, sizeof text);
        fprintf(out, "  %3x%s %s\n", at - r->entry_eflags, at == r->entry_home ? " home:" : "", text);
        at += length;
    }
}

static bool translate(struct golden *g, uint32_t mode, const uint8_t *bytes, size_t count)
{
    static const struct ir_host_flags host;
    bool flat = MODE_SHAPE(mode, SEG_CS) == SHAPE_FLAT;
    struct lift_request lift = {.decoder = &g->decoder,
                                .mode = mode,
                                .eip = 0x1000,
                                .linear = flat ? 0x1000 : 0x21000,
                                .cs_limit = flat               ? UINT32_MAX
                                            : mode & MODE_CS_D ? 0xfffff
                                                               : 0xffff,
                                .code = bytes,
                                .available = count,
                                .limit = IR_MAX_INSNS,
                                .text = true};
    struct codegen_request request = {.block = &g->block,
                                      .thunks = &g->thunks,
                                      .calls = g->calls,
                                      .call_capacity = CALLS,
                                      .link_tokens = {LINK_TOKEN(0), LINK_TOKEN(1)},
                                      .counted = mode & MODE_COUNTED,
                                      .host_lahf = g->host_lahf};
    struct emitter e = {.writable = g->code, .position = g->thunks_end, .end = CODE_SIZE};
    char message[256] = "";

    if (!lift_block(&lift, &g->block, &g->storage))
        return false;
    if (mode & MODE_COUNTED)
        ir_insert(&g->block, 0, IR_CHARGE)->width = 8;
    if (!ir_run_passes(&g->block, &host, 0, NULL, NULL, message, sizeof message))
        fail_msg("%s", message);
    memset(g->code + g->thunks_end, 0xcc, CODE_SIZE - g->thunks_end);
    assert_true(codegen(&request, &e, &g->result));
    return true;
}

static void use_host(struct golden *g, bool lahf)
{
    struct emitter e = {.writable = g->code, .end = CODE_SIZE};

    g->host_lahf = lahf;
    thunks_emit(&e, &harness_functions, lahf, &g->thunks);
    g->thunks_end = (e.position + 63) & ~63u;
}

static void print_case(struct golden *g, const char *line, FILE *out)
{
    char mode_name[16];
    uint8_t bytes[64] = {0};
    size_t count = 0;
    int used = 0;
    uint32_t mode = 0;
    bool known = false;

    fprintf(out, "%s\n", line);
    if (sscanf(line, "> %15s%n", mode_name, &used) != 1)
        fail_msg("no case: %s", line);
    for (unsigned i = 0; i < sizeof modes / sizeof modes[0]; i++)
        if (!strcmp(modes[i].name, mode_name)) {
            mode = modes[i].mode;
            known = true;
        }
    if (!known)
        fail_msg("no mode: %s", line);
    const char *hex = line + used;
    unsigned byte;
    for (int n; sscanf(hex, " %2x%n", &byte, &n) == 1; hex += n)
        bytes[count++] = (uint8_t)byte;
    use_host(g, true);
    if (!translate(g, mode, bytes, count)) {
        fprintf(out, "not lifted\n\n");
        return;
    }
    for (unsigned i = 0; i < g->block.op_count; i++) {
        if (i == 0 || g->block.ops[i].insn != g->block.ops[i - 1].insn)
            fprintf(out, "%s\n", g->block.insns[g->block.ops[i].insn].text);
        ir_print_op(out, &g->block, &g->block.ops[i]);
    }
    print_host(g, out);
    uint32_t size = g->result.end - g->result.entry_eflags, hot = g->result.hot_end - g->result.entry_eflags;
    use_host(g, false);
    translate(g, mode, bytes, count);
    if (g->result.end - g->result.entry_eflags != size)
        fprintf(out, "without LAHF: %+d bytes, out of line %+d\n",
                (int)(g->result.hot_end - g->result.entry_eflags) - (int)hot,
                (int)(g->result.end - g->result.hot_end) - (int)(size - hot));
    fprintf(out, "\n");
}

/* ---- files ---- */

static char *read_all(const char *path)
{
    FILE *in = fopen(path, "r");
    char *text = NULL, chunk[4096];
    size_t size = 0, n;

    if (!in)
        fail_msg("cannot read %s", path);
    FILE *out = open_memstream(&text, &size);
    while ((n = fread(chunk, 1, sizeof chunk, in)) > 0)
        fwrite(chunk, 1, n, out);
    fclose(out);
    fclose(in);
    return text;
}

/* Tells the first line that differs. */
static void compare(const char *path, const char *is, const char *should)
{
    unsigned line = 1;
    const char *a = is, *b = should, *case_a = is;

    for (; *a && *a == *b; a++, b++)
        if (*a == '\n') {
            line++;
            if (a[1] == '>')
                case_a = a + 1;
        }
    if (!*a && !*b)
        return;
    while (a > is && a[-1] != '\n') {
        a--;
        b--;
    }
    fail_msg("%s:%u: in the case '%.*s'\n  is:        %.*s\n  should be: %.*s\n(GOLDEN_UPDATE=1 writes the files anew)",
             path, line, (int)strcspn(case_a, "\n"), case_a, (int)strcspn(a, "\n"), a, (int)strcspn(b, "\n"), b);
}

static void check_file(struct golden *g, const char *path, bool update)
{
    char *should = read_all(path), *copy = strdup(should), *is = NULL, *save = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&is, &size);
    bool head = true;

    for (char *line = strtok_r(copy, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
        if (line[0] == '>') {
            if (head)
                fprintf(out, "\n");
            head = false;
            print_case(g, line, out);
        } else if (head) {
            fprintf(out, "%s\n", line);
        }
    }
    fclose(out);
    if (update && strcmp(is, should)) {
        FILE *file = fopen(path, "w");

        assert_non_null(file);
        fputs(is, file);
        fclose(file);
    } else if (!update) {
        compare(path, is, should);
    }
    free(is);
    free(copy);
    free(should);
}

static void test_golden(void **state)
{
    struct golden *g = calloc(1, sizeof *g);
    struct error err;
    DIR *folder = opendir(TEST_FOLDER "/golden");
    unsigned files = 0;

    assert_non_null(folder);
    decoder_init(&g->decoder, cpu_model_find("pentium3", &err));
    g->code = harness_map(CODE_SIZE, PROT_READ | PROT_WRITE);
    g->calls = harness_map(CALLS * sizeof *g->calls, PROT_READ | PROT_WRITE); /* above 4 GiB, as the real ones */
    for (struct dirent *entry; (entry = readdir(folder)) != NULL;) {
        size_t length = strlen(entry->d_name);
        char path[512];

        if (length < 4 || strcmp(entry->d_name + length - 4, ".txt"))
            continue;
        snprintf(path, sizeof path, "%s/golden/%s", TEST_FOLDER, entry->d_name);
        check_file(g, path, getenv("GOLDEN_UPDATE") != NULL);
        files++;
    }
    closedir(folder);
    assert_true(files > 5);
    munmap(g->code, CODE_SIZE);
    munmap(g->calls, CALLS * sizeof *g->calls);
    free(g);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_golden)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}

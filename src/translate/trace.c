/* What -d op, op_opt and out_asm show of a translation. See code_trace.h. */
#include "translate/code_trace.h"

#include "cpu/trace_mode.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#define MAX_PASSES  16
#define MAX_MARKS   8192
#define STILL_THERE UINT32_MAX

/* Arrays that grow and keep their room for the next translation. */
struct code_trace {
    bool active, failed;
    struct trace_insn insns[IR_MAX_INSNS];
    unsigned pass_count;
    struct trace_pass passes[MAX_PASSES];
    struct trace_op *ops;
    size_t op_count, op_capacity;
    struct trace_removed *removed;
    size_t removed_count, removed_capacity;
    char *text;
    size_t text_length, text_capacity;
    uint32_t *where; /* by n: place + 1 in the pass before; 0: none; STILL_THERE */
    struct codegen_mark *marks;
    struct trace_host_insn *host;
    size_t host_count, host_capacity;
    uint64_t spent_ns; /* by tracing itself */
};

static uint64_t now_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static bool wanted(const struct translator *t)
{
    const struct log *log = t->cpu->log;

    return LOG_ENABLED(log, OP) || LOG_ENABLED(log, OP_OPT) || LOG_ENABLED(log, OUT_ASM);
}

/* Room for one more element in the array *ITEMS. */
static bool grow(struct code_trace *c, void **items, size_t count, size_t *capacity, size_t size)
{
    if (count < *capacity)
        return true;
    size_t larger = *capacity ? 2 * *capacity : 1024;
    void *grown = realloc(*items, larger * size);
    if (!grown) {
        c->failed = true;
        return false;
    }
    *items = grown;
    *capacity = larger;
    return true;
}
#define GROW(c, items, count, capacity) grow(c, (void **)&(c)->items, (c)->count, &(c)->capacity, sizeof *(c)->items)

static struct code_trace *prepare(struct translator *t)
{
    if (!t->trace) {
        t->trace = calloc(1, sizeof *t->trace);
        if (!t->trace)
            return NULL;
        t->trace->marks = malloc(MAX_MARKS * sizeof *t->trace->marks);
        t->trace->where = malloc(((size_t)UINT16_MAX + 1) * sizeof *t->trace->where);
    }
    struct code_trace *c = t->trace;
    c->active = c->marks && c->where;
    c->failed = false;
    c->pass_count = 0;
    c->op_count = c->removed_count = c->text_length = c->host_count = 0;
    c->spent_ns = 0;
    return c->active ? c : NULL;
}

void code_trace_destroy(struct code_trace *c)
{
    if (!c)
        return;
    free(c->ops);
    free(c->removed);
    free(c->text);
    free(c->where);
    free(c->marks);
    free(c->host);
    free(c);
}

/* ---- guest code ---- */

/* What an instruction was rewritten to: the callout it names, if there is a call to one; or the interpreter. */
static const char *callout_of(const struct ir_block *ir, unsigned insn)
{
    for (unsigned i = 0; i < ir->op_count; i++) {
        const struct ir_op *op = &ir->ops[i];

        if (op->insn != insn)
            continue;
        if (op->opcode == IR_INTERPRET)
            return "interpreter";
        if (op->function)
            return instruction_table[ir->insns[insn].row].callout_name;
    }
    return NULL;
}

static void collect_insns(struct translator *t, struct code_trace *c, const uint8_t *code)
{
    const struct ir_block *ir = t->ir;
    size_t at = 0;

    for (unsigned i = 0; i < ir->insn_count; i++) {
        const struct ir_insn *from = &ir->insns[i];
        struct trace_insn *to = &c->insns[i];

        to->eip = from->eip;
        to->length = from->length < sizeof to->bytes ? from->length : sizeof to->bytes;
        memcpy(to->bytes, code + at, to->length);
        at += from->length;
        trace_disassemble(t->cpu->log, to->bytes, to->length, ir->mode & MODE_CS_D ? 32 : 16, from->eip, to->text,
                          sizeof to->text);
        to->class = instruction_class_names[instruction_table[from->row].class];
        to->callout = callout_of(ir, i);
    }
}

/* ---- IR ---- */

/* Returns the text's offset. */
static uint32_t add_text(struct code_trace *c, const char *text, size_t length)
{
    if (c->text_length + length + 1 > c->text_capacity) {
        size_t larger = 2 * (c->text_capacity + length + 4096);
        char *grown = realloc(c->text, larger);

        if (!grown) {
            c->failed = true;
            return 0;
        }
        c->text = grown;
        c->text_capacity = larger;
    }
    uint32_t at = (uint32_t)c->text_length;
    memcpy(c->text + at, text, length);
    c->text[at + length] = '\0';
    c->text_length += length + 1;
    return at;
}

/* Those of the pass before that are not there any more, each with the op that comes behind it now. */
static void collect_removed(struct code_trace *c, struct trace_pass *pass, const struct ir_block *ir)
{
    const struct trace_pass *before = pass - 1;
    unsigned place = 0; /* in the new pass, behind what both have */

    for (unsigned i = 0; i < before->op_count; i++) {
        const struct trace_op *op = &c->ops[before->first_op + i];

        if (c->where[op->n] == STILL_THERE) {
            unsigned found = place;

            while (found < ir->op_count && ir->ops[found].n != op->n)
                found++;
            if (found < ir->op_count)
                place = found + 1;
            continue;
        }
        if (!GROW(c, removed, removed_count, removed_capacity))
            return;
        c->removed[c->removed_count++] =
            (struct trace_removed){.n = op->n, .before = (uint16_t)place, .text = op->text};
        pass->removed_count++;
    }
}

/* All ops of IR as NUL-terminated texts one behind the other; freed by the caller. NULL: no memory. */
static char *print_ops(const struct ir_block *ir)
{
    char *text = NULL;
    size_t size;
    FILE *out = open_memstream(&text, &size);

    if (!out)
        return NULL;
    for (unsigned i = 0; i < ir->op_count; i++) {
        ir_print_op_by_n(out, ir, &ir->ops[i]);
        fputc('\0', out);
    }
    if (fclose(out) == 0)
        return text;
    free(text);
    return NULL;
}

static void collect_op(struct code_trace *c, const struct trace_pass *before, const struct ir_op *op, const char *text)
{
    if (!GROW(c, ops, op_count, op_capacity))
        return;
    struct trace_op *to = &c->ops[c->op_count++];
    *to = (struct trace_op){.n = op->n, .insn = (int16_t)op->insn, .text = add_text(c, text, strlen(text))};
    if (!before || c->failed)
        return;
    uint32_t was = c->where[op->n];
    if (!was || was == STILL_THERE)
        to->change = TRACE_ADDED;
    else if (strcmp(c->text + c->ops[before->first_op + was - 1].text, c->text + to->text) != 0)
        to->change = TRACE_CHANGED;
    c->where[op->n] = STILL_THERE;
}

static void collect_pass(struct code_trace *c, const struct ir_block *ir, const char *name)
{
    struct trace_pass *pass = &c->passes[c->pass_count];
    const struct trace_pass *before = c->pass_count ? pass - 1 : NULL;

    if (c->pass_count == MAX_PASSES)
        return;
    memset(c->where, 0, ((size_t)ir->next_n + 1) * sizeof *c->where);
    for (unsigned i = 0; before && i < before->op_count; i++)
        c->where[c->ops[before->first_op + i].n] = i + 1;
    *pass = (struct trace_pass){.name = name,
                                .first_op = (uint32_t)c->op_count,
                                .op_count = ir->op_count,
                                .first_removed = (uint32_t)c->removed_count};
    char *texts = print_ops(ir), *text = texts;
    c->failed |= !texts;
    for (unsigned i = 0; i < ir->op_count && !c->failed; i++) {
        collect_op(c, before, &ir->ops[i], text);
        text += strlen(text) + 1;
    }
    free(texts);
    if (before && !c->failed)
        collect_removed(c, pass, ir);
    c->pass_count++;
}

static void trace_pass(void *opaque, const struct ir_pass *pass, const struct ir_block *block)
{
    struct translator *t = opaque;
    struct code_trace *c = t->trace;
    uint64_t start = now_ns();

    if (c && c->active && !c->failed)
        collect_pass(c, block, pass->name);
    if (c)
        c->spent_ns += now_ns() - start;
}

code_trace_observer *code_trace_pass_observer(const struct translator *t)
{
    return LOG_ENABLED(t->cpu->log, OP_OPT) ? trace_pass : NULL;
}

void code_trace_lifted(struct translator *t, const uint8_t *code)
{
    if (t->trace)
        t->trace->active = false;
    if (!wanted(t))
        return;
    uint64_t start = now_ns();
    struct code_trace *c = prepare(t);
    if (!c)
        return;
    collect_insns(t, c, code);
    if (LOG_ENABLED(t->cpu->log, OP) || LOG_ENABLED(t->cpu->log, OP_OPT))
        collect_pass(c, t->ir, "lifted");
    c->spent_ns += now_ns() - start;
}

/* ---- host code ---- */

void code_trace_request_marks(struct translator *t, struct codegen_request *request)
{
    if (!t->trace || !t->trace->active || !LOG_ENABLED(t->cpu->log, OUT_ASM))
        return;
    request->marks = t->trace->marks;
    request->mark_capacity = MAX_MARKS;
}

/* Is the execute entry that a link compares with at offset AT of the code range? */
static bool is_guard(const struct translation *made, uint32_t at)
{
    return (made->links[0].exit.used && made->links[0].exit.guard == at) ||
           (made->links[1].exit.used && made->links[1].exit.guard == at);
}

/* One instruction (or guard) at offset AT of the code range. */
static void disassemble_host(const struct translator *t, const struct translation *made, uint32_t at,
                             struct trace_host_insn *insn)
{
    const uint8_t *code = t->cache.executable + at;
    ZydisDisassembledInstruction text;
    uint64_t value;

    *insn = (struct trace_host_insn){.at = at - made->start, .insn = -1, .n = -1};
    if (at && is_guard(made, at)) {
        memcpy(&value, code, sizeof value);
        insn->length = sizeof value;
        snprintf(insn->text, sizeof insn->text, "dq 0x%llx", (unsigned long long)value);
    } else if (ZYAN_SUCCESS(ZydisDisassembleIntel(ZYDIS_MACHINE_MODE_LONG_64, cache_address(&t->cache, at), code,
                                                  made->end - at, &text))) {
        insn->length = text.info.length;
        snprintf(insn->text, sizeof insn->text, "%s", text.text);
    } else {
        insn->length = 1;
        snprintf(insn->text, sizeof insn->text, "db 0x%02x", *code);
    }
    memcpy(insn->bytes, code, insn->length);
}

static void collect_host(struct translator *t, struct code_trace *c, const struct translation *made)
{
    unsigned mark = 0;

    for (uint32_t at = made->start; at < made->end;) {
        if (!GROW(c, host, host_count, host_capacity))
            return;
        struct trace_host_insn *insn = &c->host[c->host_count++];
        disassemble_host(t, made, at, insn);
        while (mark < t->result->mark_count && c->marks[mark].offset <= at)
            mark++;
        if (mark) {
            insn->insn = c->marks[mark - 1].insn;
            insn->n = c->marks[mark - 1].n;
        }
        at += insn->length;
    }
}

/* ---- the whole ---- */

void code_trace_made(struct translator *t, const struct translation *made, uint64_t time_ns)
{
    struct code_trace *c = t->trace;

    if (!c || !c->active)
        return;
    c->active = false;
    bool out_asm = LOG_ENABLED(t->cpu->log, OUT_ASM);
    if (out_asm)
        collect_host(t, c, made);
    if (c->failed)
        return;
    struct trace_ir ir = {c->pass_count, c->passes, c->ops, c->removed, c->text};
    struct trace_host host = {
        .address = cache_address(&t->cache, made->start),
        .size = made->end - made->start,
        .hot_end = made->hot_end - made->start,
        .entry_eflags = made->entry_eflags - made->start,
        .entry_home = made->entry_home - made->start,
        .count = (unsigned)c->host_count,
        .code = c->host,
    };
    struct trace_translation event = {
        .id = made->id,
        .tier = 1,
        .eip = made->key.eip,
        .linear = made->linear,
        .length = made->length,
        .physical = made->key.physical,
        .cs_base = made->key.cs_base,
        .mode = cpu_trace_mode(t->cpu, made->key.mode),
        .reason = t->why.reason,
        .executions = t->why.executions,
        .insn_count = made->insn_count,
        .insns = c->insns,
        .ir = c->pass_count ? &ir : NULL,
        .host = out_asm ? &host : NULL,
        .time_ns = time_ns > c->spent_ns ? time_ns - c->spent_ns : 0,
    };
    trace_translation(t->cpu->log, &event);
}

/* ---- reports ---- */

void code_trace_print_ir(FILE *out, const struct translator *t, const char *title)
{
    fprintf(out, "IR %s:\n", title);
    ir_print(out, t->ir);
}

void code_trace_print_host(FILE *out, const struct translator *t, const struct translation *made)
{
    fprintf(out, "OUT: 0x%08x, %u guest instructions, %u bytes at %llx; entries: flags in EFLAGS +%x, at home +%x\n",
            made->key.eip, made->insn_count, made->end - made->start,
            (unsigned long long)cache_address(&t->cache, made->start), made->entry_eflags - made->start,
            made->entry_home - made->start);
    for (uint32_t at = made->start; at < made->end;) {
        struct trace_host_insn insn;
        char hex[3 * 15 + 1] = "";

        if (at == made->hot_end)
            fprintf(out, "  -- out of line\n");
        disassemble_host(t, made, at, &insn);
        for (unsigned i = 0; i < insn.length; i++)
            snprintf(hex + 3 * i, 4, "%02x ", insn.bytes[i]);
        fprintf(out, "  +%04x: %-30s %s\n", insn.at, hex, insn.text);
        at += insn.length;
    }
    fflush(out);
}

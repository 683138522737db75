/* Events as JSON lines: docs/trace-format.md. */
#include "trace/private.h"

#include <string.h>

static void open_record(struct trace_buffer *b, enum trace_type type)
{
    json_open(b, '{');
    json_text(b, "type", trace_type_names[type]);
}

static void close_record(struct trace_buffer *b)
{
    json_close(b, '}');
    buffer_character(b, '\n');
}

static void write_header(struct trace_buffer *b, uint64_t t, const void *event)
{
    const struct trace_header *e = event;

    open_record(b, TRACE_HEADER);
    json_text(b, "schema", "dragoman-trace");
    json_number(b, "version", 1);
    json_text(b, "program", e->program);
    json_text(b, "engine", e->engine);
    json_key(b, "list");
    json_open(b, '[');
    for (int bit = 0; bit < LOG_CATEGORY_COUNT; bit++)
        if (e->enabled >> bit & 1)
            json_text_element(b, log_category_name(bit), strlen(log_category_name(bit)));
    json_close(b, ']');
    if (e->filter)
        json_text(b, "filter", e->filter);
    close_record(b);
}

/* ---- code ---- */

static void write_mode(struct trace_buffer *b, const struct trace_mode *mode)
{
    json_key(b, "mode");
    json_open(b, '{');
    json_number(b, "bits", mode->bits);
    json_number(b, "cpl", mode->cpl);
    json_bool(b, "v86", mode->v86);
    json_bool(b, "paging", mode->paging);
    json_hex(b, "cr3", mode->cr3, 8);
    json_hex(b, "word", mode->word, 8);
    json_close(b, '}');
}

static void write_insns(struct trace_buffer *b, const struct trace_insn *insns, unsigned count)
{
    json_key(b, "insns");
    json_open(b, '[');
    for (unsigned i = 0; i < count; i++) {
        json_open(b, '{');
        json_hex(b, "eip", insns[i].eip, 8);
        json_bytes(b, "bytes", insns[i].bytes, insns[i].length);
        json_text(b, "text", insns[i].text);
        json_text(b, "class", insns[i].class);
        if (insns[i].callout)
            json_text(b, "callout", insns[i].callout);
        json_close(b, '}');
    }
    json_close(b, ']');
}

static void write_block(struct trace_buffer *b, uint64_t t, const void *event)
{
    const struct trace_block *e = event;

    open_record(b, TRACE_BLOCK);
    json_number(b, "t", (int64_t)t);
    json_hex(b, "eip", e->eip, 8);
    json_hex(b, "linear", e->linear, 8);
    json_hex(b, "physical", e->physical, 8);
    write_mode(b, &e->mode);
    write_insns(b, e->insns, e->insn_count);
    close_record(b);
}

static void write_ops(struct trace_buffer *b, const struct trace_ir *ir, const struct trace_pass *pass)
{
    json_key(b, "ops");
    json_open(b, '[');
    for (unsigned i = 0; i < pass->op_count; i++) {
        const struct trace_op *op = &ir->ops[pass->first_op + i];

        json_open(b, '{');
        json_number(b, "n", op->n);
        json_number(b, "insn", op->insn);
        json_text(b, "text", ir->text + op->text);
        json_close(b, '}');
    }
    json_close(b, ']');
}

static void write_ir(struct trace_buffer *b, const struct trace_ir *ir)
{
    json_key(b, "ir");
    json_open(b, '[');
    for (unsigned p = 0; p < ir->pass_count; p++) {
        const struct trace_pass *pass = &ir->passes[p];

        json_open(b, '{');
        json_text(b, "pass", pass->name);
        write_ops(b, ir, pass);
        json_key(b, "removed");
        json_open(b, '[');
        for (unsigned i = 0; i < pass->removed_count; i++)
            json_element(b, ir->removed[pass->first_removed + i].n);
        json_close(b, ']');
        json_key(b, "changed");
        json_open(b, '[');
        for (unsigned i = 0; i < pass->op_count; i++)
            if (ir->ops[pass->first_op + i].change == TRACE_CHANGED)
                json_element(b, ir->ops[pass->first_op + i].n);
        json_close(b, ']');
        json_close(b, '}');
    }
    json_close(b, ']');
}

static void write_host(struct trace_buffer *b, const struct trace_host *host)
{
    json_key(b, "host");
    json_open(b, '{');
    json_hex(b, "address", host->address, 8);
    json_number(b, "size", host->size);
    json_number(b, "hot_end", host->hot_end);
    json_number(b, "entry_eflags", host->entry_eflags);
    json_number(b, "entry_home", host->entry_home);
    json_key(b, "code");
    json_open(b, '[');
    for (unsigned i = 0; i < host->count; i++) {
        const struct trace_host_insn *insn = &host->code[i];

        json_open(b, '{');
        json_number(b, "at", insn->at);
        json_bytes(b, "bytes", insn->bytes, insn->length);
        json_text(b, "text", insn->text);
        json_number(b, "insn", insn->insn);
        json_number(b, "n", insn->n);
        json_close(b, '}');
    }
    json_close(b, ']');
    json_close(b, '}');
}

static void write_translation(struct trace_buffer *b, uint64_t t, const void *event)
{
    const struct trace_translation *e = event;

    open_record(b, TRACE_TRANSLATION);
    json_number(b, "t", (int64_t)t);
    json_number(b, "id", (int64_t)e->id);
    json_number(b, "tier", e->tier);
    json_hex(b, "eip", e->eip, 8);
    json_hex(b, "linear", e->linear, 8);
    json_hex(b, "physical", e->physical, 8);
    json_hex(b, "cs_base", e->cs_base, 8);
    write_mode(b, &e->mode);
    json_text(b, "reason", e->reason);
    json_number(b, "executions", (int64_t)e->executions);
    write_insns(b, e->insns, e->insn_count);
    if (e->ir)
        write_ir(b, e->ir);
    if (e->host)
        write_host(b, e->host);
    json_number(b, "time_ns", (int64_t)e->time_ns);
    close_record(b);
}

/* ---- what happens ---- */

static void write_link(struct trace_buffer *b, uint64_t t, const struct trace_link *e)
{
    json_number(b, "t", (int64_t)t);
    json_number(b, "from", (int64_t)e->from);
    json_number(b, "slot", e->slot);
    json_number(b, "to", (int64_t)e->to);
}

static void write_chain(struct trace_buffer *b, uint64_t t, const void *event)
{
    open_record(b, TRACE_CHAIN);
    write_link(b, t, event);
    close_record(b);
}

static void write_unchain(struct trace_buffer *b, uint64_t t, const void *event)
{
    const struct trace_unchain_event *e = event;

    open_record(b, TRACE_UNCHAIN);
    write_link(b, t, &e->link);
    json_text(b, "cause", e->cause);
    close_record(b);
}

static void write_invalidate(struct trace_buffer *b, uint64_t t, const void *event)
{
    const struct trace_invalidate *e = event;

    open_record(b, TRACE_INVALIDATE);
    json_number(b, "t", (int64_t)t);
    json_number(b, "id", (int64_t)e->id);
    json_text(b, "cause", e->cause);
    if (e->has_written) {
        json_hex(b, "physical", e->physical, 8);
        json_number(b, "length", e->written_length);
    }
    close_record(b);
}

static void write_tier(struct trace_buffer *b, uint64_t t, const void *event)
{
    const struct trace_tier *e = event;

    open_record(b, TRACE_TIER);
    json_number(b, "t", (int64_t)t);
    if (e->id)
        json_number(b, "id", (int64_t)e->id);
    json_text(b, "from", e->from);
    json_text(b, "to", e->to);
    json_hex(b, "linear", e->linear, 8);
    json_number(b, "executions", (int64_t)e->executions);
    json_text(b, "why", e->why);
    close_record(b);
}

static void write_exec(struct trace_buffer *b, uint64_t t, const void *event)
{
    const struct trace_exec *e = event;

    open_record(b, TRACE_EXEC);
    json_number(b, "t", (int64_t)t);
    json_text(b, "engine", e->id ? "tier1" : "interpreter");
    if (e->id)
        json_number(b, "id", (int64_t)e->id);
    json_hex(b, "linear", e->linear, 8);
    json_hex(b, "mode", e->mode, 8);
    close_record(b);
}

static void write_int(struct trace_buffer *b, uint64_t t, const void *event)
{
    const struct trace_int *e = event;

    open_record(b, TRACE_INT);
    json_number(b, "t", (int64_t)t);
    json_text(b, "kind", e->kind);
    json_number(b, "vector", e->vector);
    if (e->has_error)
        json_number(b, "error", e->error);
    if (e->has_address)
        json_hex(b, "address", e->address, 8);
    if (e->has_eax)
        json_hex(b, "eax", e->eax, 8);
    json_hex(b, "cs", e->cs, 4);
    json_hex(b, "eip", e->eip, 8);
    json_number(b, "cpl", e->cpl);
    close_record(b);
}

static void write_mmu(struct trace_buffer *b, uint64_t t, const void *event)
{
    const struct trace_mmu *e = event;

    open_record(b, TRACE_MMU);
    json_number(b, "t", (int64_t)t);
    json_text(b, "event", e->event);
    if (e->has_linear)
        json_hex(b, "linear", e->linear, 8);
    if (e->has_physical)
        json_hex(b, "physical", e->physical, 8);
    if (e->access)
        json_text(b, "access", e->access);
    if (e->has_error)
        json_number(b, "error", e->error);
    if (e->has_global)
        json_bool(b, "global", e->global);
    if (e->has_pages)
        json_number(b, "pages", e->pages);
    close_record(b);
}

/* ---- counters ---- */

static void write_profile(struct trace_buffer *b, uint64_t t, const void *event)
{
    const struct trace_profile *e = event;

    open_record(b, TRACE_PROFILE);
    json_number(b, "t", (int64_t)t);
    json_number(b, "id", (int64_t)e->id);
    json_number(b, "executions", (int64_t)e->executions);
    json_key(b, "taken");
    json_open(b, '[');
    json_element(b, (int64_t)e->taken[0]);
    json_element(b, (int64_t)e->taken[1]);
    json_close(b, ']');
    if (e->target_count) {
        json_key(b, "targets");
        json_open(b, '[');
        for (unsigned i = 0; i < e->target_count; i++) {
            json_open(b, '{');
            json_hex(b, "eip", e->targets[i].eip, 8);
            json_number(b, "count", (int64_t)e->targets[i].count);
            json_close(b, '}');
        }
        json_close(b, ']');
    }
    if (e->slow_count) {
        json_key(b, "slow");
        json_open(b, '[');
        for (unsigned i = 0; i < e->slow_count; i++) {
            json_open(b, '{');
            json_number(b, "insn", e->slow[i].insn);
            json_number(b, "reads", (int64_t)e->slow[i].reads);
            json_number(b, "writes", (int64_t)e->slow[i].writes);
            json_close(b, '}');
        }
        json_close(b, ']');
    }
    if (e->call_count) {
        json_key(b, "calls");
        json_open(b, '[');
        for (unsigned i = 0; i < e->call_count; i++) {
            json_open(b, '{');
            json_number(b, "insn", e->calls[i].insn);
            json_number(b, "count", (int64_t)e->calls[i].count);
            json_close(b, '}');
        }
        json_close(b, ']');
    }
    json_bool(b, "live", e->live);
    json_bool(b, "exact", e->exact);
    if (e->has_host_us)
        json_number(b, "host_us", (int64_t)e->host_us);
    close_record(b);
}

static void write_occupancy(struct trace_buffer *b, uint64_t t, const void *event)
{
    const struct trace_occupancy *e = event;

    open_record(b, TRACE_OCCUPANCY);
    json_number(b, "t", (int64_t)t);
    json_number(b, "used", (int64_t)e->used);
    json_number(b, "size", (int64_t)e->size);
    json_number(b, "translations", (int64_t)e->translations);
    json_number(b, "dead", (int64_t)e->dead);
    json_number(b, "instructions", (int64_t)e->instructions);
    json_number(b, "interpreted", (int64_t)e->interpreted);
    close_record(b);
}

static void write_message(struct trace_buffer *b, uint64_t t, const void *event)
{
    const struct trace_message *e = event;

    open_record(b, TRACE_MESSAGE);
    json_number(b, "t", (int64_t)t);
    if (e->category >= 0)
        json_text(b, "category", log_category_name(e->category));
    json_text(b, "text", e->text);
    close_record(b);
}

static void write_end(struct trace_buffer *b, uint64_t t, const void *event)
{
    const struct trace_end *e = event;

    open_record(b, TRACE_END);
    json_number(b, "t", (int64_t)t);
    json_number(b, "lines", (int64_t)e->lines);
    json_number(b, "suppressed", (int64_t)e->suppressed);
    json_key(b, "seconds");
    buffer_printf(b, "%llu.%03u", (unsigned long long)(e->milliseconds / 1000), (unsigned)(e->milliseconds % 1000));
    close_record(b);
}

trace_writer *const trace_json_writers[TRACE_TYPE_COUNT] = {
    [TRACE_HEADER] = write_header,   [TRACE_BLOCK] = write_block,     [TRACE_TRANSLATION] = write_translation,
    [TRACE_CHAIN] = write_chain,     [TRACE_UNCHAIN] = write_unchain, [TRACE_INVALIDATE] = write_invalidate,
    [TRACE_TIER] = write_tier,       [TRACE_EXEC] = write_exec,       [TRACE_INT] = write_int,
    [TRACE_MMU] = write_mmu,         [TRACE_PROFILE] = write_profile, [TRACE_OCCUPANCY] = write_occupancy,
    [TRACE_MESSAGE] = write_message, [TRACE_END] = write_end,
};

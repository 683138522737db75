/* Events for people. */
#include "trace/private.h"

#include <string.h>

#define GUEST_COLUMN 46 /* where the class and callout of an instruction are told */

static void put_id(struct trace_buffer *b, uint64_t id)
{
    buffer_character(b, '#');
    buffer_number(b, (int64_t)id);
}

static void put_address(struct trace_buffer *b, uint64_t address)
{
    buffer_put(b, "0x", 2);
    buffer_hex(b, address, 8);
}

static void put_mode(struct trace_buffer *b, const struct trace_mode *mode)
{
    buffer_printf(b, "%u-bit, CPL %u%s, mode %08x", mode->bits, mode->cpl,
                  mode->v86      ? ", virtual 8086"
                  : mode->paging ? ", paged"
                                 : "",
                  mode->word);
    if (mode->paging)
        buffer_printf(b, ", CR3 %08llx", (unsigned long long)mode->cr3);
}

static void put_insns(struct trace_buffer *b, const struct trace_insn *insns, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        const struct trace_insn *insn = &insns[i];
        size_t start = b->length;

        put_address(b, insn->eip);
        buffer_put(b, ":  ", 3);
        for (unsigned k = 0; k < insn->length && k < sizeof insn->bytes; k++) {
            buffer_hex(b, insn->bytes[k], 2);
            buffer_character(b, ' ');
        }
        buffer_pad(b, 36);
        buffer_text(b, insn->text);
        if (strcmp(insn->class, "innocuous") != 0 || insn->callout) {
            size_t width = b->length - start;

            buffer_pad(b, width < 36 + GUEST_COLUMN - 16 ? 36 + GUEST_COLUMN - 16 : width + 2);
            buffer_text(b, "; ");
            buffer_text(b, insn->class);
            if (insn->callout)
                buffer_text(b, !strcmp(insn->callout, "interpreter") ? " -> " : " -> call ");
            if (insn->callout)
                buffer_text(b, insn->callout);
        }
        buffer_character(b, '\n');
    }
}

static void write_block(struct trace_buffer *b, uint64_t t, const void *event)
{
    const struct trace_block *e = event;

    buffer_text(b, "----------------\nIN: linear ");
    put_address(b, e->linear);
    buffer_text(b, " physical ");
    put_address(b, e->physical);
    buffer_text(b, ", ");
    put_mode(b, &e->mode);
    buffer_character(b, '\n');
    put_insns(b, e->insns, e->insn_count);
}

static void put_op(struct trace_buffer *b, char mark, unsigned n, const char *text)
{
    buffer_printf(b, "  %c %4u  ", mark, n);
    buffer_text(b, text);
    buffer_character(b, '\n');
}

/* The ops of a pass in their order; what it removed stands where it was. */
static void put_pass(struct trace_buffer *b, const struct trace_translation *e, const struct trace_ir *ir, unsigned p)
{
    const struct trace_pass *pass = &ir->passes[p];
    unsigned added = 0, changed = 0, insn_shown = 0, removed = 0;

    for (unsigned i = 0; i < pass->op_count; i++) {
        added += ir->ops[pass->first_op + i].change == TRACE_ADDED;
        changed += ir->ops[pass->first_op + i].change == TRACE_CHANGED;
    }
    if (p == 0) {
        buffer_text(b, "IR as lifted:\n");
    } else {
        buffer_printf(b, "IR after %s: %u removed, %u added, %u changed\n", pass->name, pass->removed_count, added,
                      changed);
        if (!pass->removed_count && !added && !changed)
            return;
    }
    for (unsigned i = 0; i < pass->op_count; i++) {
        const struct trace_op *op = &ir->ops[pass->first_op + i];

        for (; removed < pass->removed_count && ir->removed[pass->first_removed + removed].before <= i; removed++)
            put_op(b, '-', ir->removed[pass->first_removed + removed].n,
                   ir->text + ir->removed[pass->first_removed + removed].text);
        for (; (int)insn_shown <= op->insn && insn_shown < e->insn_count; insn_shown++) {
            buffer_printf(b, "%2u %08x  ", insn_shown, e->insns[insn_shown].eip);
            buffer_text(b, e->insns[insn_shown].text);
            buffer_character(b, '\n');
        }
        put_op(b,
               op->change == TRACE_ADDED     ? '+'
               : op->change == TRACE_CHANGED ? '~'
                                             : ' ',
               op->n, ir->text + op->text);
    }
    for (; removed < pass->removed_count; removed++)
        put_op(b, '-', ir->removed[pass->first_removed + removed].n,
               ir->text + ir->removed[pass->first_removed + removed].text);
}

static void put_host(struct trace_buffer *b, const struct trace_translation *e, const struct trace_host *host)
{
    int insn_shown = -1;

    buffer_text(b, "OUT: ");
    put_address(b, e->eip);
    buffer_printf(b, ", %u guest instructions, %u bytes at %llx; entries: flags in EFLAGS +%x, at home +%x\n",
                  e->insn_count, host->size, (unsigned long long)host->address, host->entry_eflags, host->entry_home);
    for (unsigned i = 0; i < host->count; i++) {
        const struct trace_host_insn *insn = &host->code[i];

        if (insn->at == host->hot_end) {
            buffer_text(b, "  -- out of line\n");
            insn_shown = -1;
        }
        if (insn->insn >= 0 && insn->insn != insn_shown && (unsigned)insn->insn < e->insn_count) {
            insn_shown = insn->insn;
            buffer_printf(b, "%2d %08x  ", insn->insn, e->insns[insn_shown].eip);
            buffer_text(b, e->insns[insn_shown].text);
            buffer_character(b, '\n');
        }
        buffer_printf(b, "  +%04x: ", insn->at);
        for (unsigned k = 0; k < insn->length; k++) {
            buffer_hex(b, insn->bytes[k], 2);
            buffer_character(b, ' ');
        }
        buffer_pad(b, 40);
        buffer_text(b, insn->text);
        buffer_character(b, '\n');
    }
}

static void write_translation(struct trace_buffer *b, uint64_t t, const void *event)
{
    const struct trace_translation *e = event;

    buffer_text(b, "----------------\nTRANSLATION ");
    put_id(b, e->id);
    buffer_printf(b, " tier %u: linear ", e->tier);
    put_address(b, e->linear);
    buffer_text(b, " physical ");
    put_address(b, e->physical);
    buffer_text(b, ", ");
    put_mode(b, &e->mode);
    buffer_printf(b, "; %s after %llu executions, made in %llu us\n", e->reason, (unsigned long long)e->executions,
                  (unsigned long long)(e->time_ns / 1000));
    put_insns(b, e->insns, e->insn_count);
    for (unsigned p = 0; e->ir && p < e->ir->pass_count; p++)
        put_pass(b, e, e->ir, p);
    if (e->host)
        put_host(b, e, e->host);
}

static void put_link(struct trace_buffer *b, const struct trace_link *e)
{
    put_id(b, e->from);
    buffer_text(b, " (");
    put_address(b, e->from_linear);
    buffer_text(b, e->slot ? ") taken -> " : ") -> ");
    put_id(b, e->to);
    buffer_text(b, " (");
    put_address(b, e->to_linear);
    buffer_character(b, ')');
}

static void write_chain(struct trace_buffer *b, uint64_t t, const void *event)
{
    buffer_text(b, "chain ");
    put_link(b, event);
    buffer_character(b, '\n');
}

static void write_unchain(struct trace_buffer *b, uint64_t t, const void *event)
{
    const struct trace_unchain_event *e = event;

    buffer_text(b, "unchain ");
    put_link(b, &e->link);
    buffer_text(b, ": ");
    buffer_text(b, e->cause);
    buffer_character(b, '\n');
}

static void write_invalidate(struct trace_buffer *b, uint64_t t, const void *event)
{
    const struct trace_invalidate *e = event;

    buffer_text(b, "SMC: ");
    put_id(b, e->id);
    buffer_text(b, " (");
    put_address(b, e->linear);
    buffer_text(b, ") dies: ");
    buffer_text(b, e->cause);
    if (e->has_written)
        buffer_printf(b, ", %u bytes at physical 0x%08llx", e->written_length, (unsigned long long)e->physical);
    buffer_character(b, '\n');
}

static void write_tier(struct trace_buffer *b, uint64_t t, const void *event)
{
    const struct trace_tier *e = event;

    buffer_text(b, "tier ");
    put_address(b, e->linear);
    if (e->id) {
        buffer_character(b, ' ');
        put_id(b, e->id);
    }
    buffer_printf(b, ": %s -> %s, %s after %llu executions\n", e->from, e->to, e->why,
                  (unsigned long long)e->executions);
}

static void write_exec(struct trace_buffer *b, uint64_t t, const void *event)
{
    const struct trace_exec *e = event;

    buffer_text(b, e->id ? "Native: " : "Trace: ");
    buffer_hex(b, e->linear, 8);
    buffer_text(b, " mode ");
    buffer_hex(b, e->mode, 8);
    if (e->id) {
        buffer_character(b, ' ');
        put_id(b, e->id);
    }
    buffer_character(b, '\n');
}

static void write_int(struct trace_buffer *b, uint64_t t, const void *event)
{
    const struct trace_int *e = event;

    buffer_printf(b, "%s%s %02x", e->kind, !strcmp(e->kind, "software") ? " interrupt" : "", e->vector);
    if (e->has_error)
        buffer_printf(b, " error %04x", e->error);
    if (e->has_address)
        buffer_printf(b, " cr2 %08llx", (unsigned long long)e->address);
    buffer_printf(b, " at %04x:%08x CPL %u", e->cs, e->eip, e->cpl);
    if (e->has_eax)
        buffer_printf(b, " eax %08x", e->eax);
    buffer_character(b, '\n');
}

static void write_mmu(struct trace_buffer *b, uint64_t t, const void *event)
{
    const struct trace_mmu *e = event;

    buffer_text(b, !strcmp(e->event, "fault") ? "page fault" : "tlb ");
    if (strcmp(e->event, "fault") != 0)
        buffer_text(b, e->event);
    if (e->access)
        buffer_printf(b, " %s %s", e->user ? "user" : "supervisor", e->access);
    if (e->has_linear)
        buffer_printf(b, " 0x%08x", e->linear);
    if (e->has_physical)
        buffer_printf(b, " -> 0x%llx", (unsigned long long)e->physical);
    if (e->has_error)
        buffer_printf(b, " error code 0x%x", e->error);
    if (e->has_global)
        buffer_text(b, e->access ? e->global ? " global" : "" : e->global ? ": all" : ": non-global");
    if (e->has_pages)
        buffer_printf(b, ", %u pages", e->pages);
    buffer_character(b, '\n');
}

static void write_profile(struct trace_buffer *b, uint64_t t, const void *event)
{
    const struct trace_profile *e = event;

    buffer_text(b, "profile ");
    put_id(b, e->id);
    buffer_character(b, ' ');
    put_address(b, e->linear);
    buffer_printf(b, "%s: %s%llu executions, %llu fell through or jumped, %llu taken", e->live ? "" : " (dead)",
                  e->exact ? "" : "about ", (unsigned long long)e->executions, (unsigned long long)e->taken[0],
                  (unsigned long long)e->taken[1]);
    for (unsigned i = 0; i < e->target_count; i++)
        buffer_printf(b, "%s%08x %llu times", i ? ", " : "; to ", e->targets[i].eip,
                      (unsigned long long)e->targets[i].count);
    for (unsigned i = 0; i < e->slow_count; i++)
        buffer_printf(b, "%sinstruction %u %llu reads, %llu writes", i ? ", " : "; in C: ", e->slow[i].insn,
                      (unsigned long long)e->slow[i].reads, (unsigned long long)e->slow[i].writes);
    for (unsigned i = 0; i < e->call_count; i++)
        buffer_printf(b, "%sinstruction %u %llu times", i ? ", " : "; called: ", e->calls[i].insn,
                      (unsigned long long)e->calls[i].count);
    if (e->has_host_us)
        buffer_printf(b, "; %llu us", (unsigned long long)e->host_us);
    buffer_character(b, '\n');
}

static void write_occupancy(struct trace_buffer *b, uint64_t t, const void *event)
{
    const struct trace_occupancy *e = event;

    buffer_printf(b, "occupancy at %llu.%03u s: %llu of %llu KiB, %llu translations, %llu dead; ",
                  (unsigned long long)(t / 1000000), (unsigned)(t / 1000 % 1000), (unsigned long long)(e->used >> 10),
                  (unsigned long long)(e->size >> 10), (unsigned long long)e->translations,
                  (unsigned long long)e->dead);
    buffer_printf(b, "%llu instructions, %llu interpreted\n", (unsigned long long)e->instructions,
                  (unsigned long long)e->interpreted);
}

static void write_message(struct trace_buffer *b, uint64_t t, const void *event)
{
    const struct trace_message *e = event;

    buffer_text(b, e->text);
    buffer_character(b, '\n');
}

trace_writer *const trace_text_writers[TRACE_TYPE_COUNT] = {
    [TRACE_BLOCK] = write_block,
    [TRACE_TRANSLATION] = write_translation,
    [TRACE_CHAIN] = write_chain,
    [TRACE_UNCHAIN] = write_unchain,
    [TRACE_INVALIDATE] = write_invalidate,
    [TRACE_TIER] = write_tier,
    [TRACE_EXEC] = write_exec,
    [TRACE_INT] = write_int,
    [TRACE_MMU] = write_mmu,
    [TRACE_PROFILE] = write_profile,
    [TRACE_OCCUPANCY] = write_occupancy,
    [TRACE_MESSAGE] = write_message,
};

/* info jit: what the translator has done. */
#include "monitor/hmp.h"

#include "cpu/instruction_table.h"
#include "monitor/statistics.h"
#include "trace/trace.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BLOCKS_SHOWN 10
#define SITES_SHOWN  10
#define ROWS_SHOWN   25

struct row_count {
    unsigned row;
    uint64_t count;
};

static int by_count(const void *a, const void *b)
{
    const struct row_count *x = a, *y = b;

    return x->count < y->count ? 1 : x->count > y->count ? -1 : (int)x->row - (int)y->row;
}

static double percent(uint64_t part, uint64_t whole)
{
    return whole ? 100.0 * (double)part / (double)whole : 0;
}

static const char *family_of(const struct instruction_row *row)
{
    static const char *const classes[] = {"innocuous", "privileged", "critical"};

    if (!strcmp(row->kind, "x87") || row->attributes & ATTR_X87)
        return "x87";
    if (!strcmp(row->kind, "mmx") || row->attributes & ATTR_MMX)
        return "mmx";
    if (!strcmp(row->kind, "sse") || row->attributes & ATTR_SSE)
        return "sse";
    return row->attributes & ATTR_STRING ? "string" : classes[row->class];
}

static bool is_integer(const struct instruction_row *row)
{
    static const char *const others[] = {"x87", "mmx", "sse", "string"};
    const char *family = family_of(row);

    for (size_t i = 0; i < ARRAY_SIZE(others); i++)
        if (!strcmp(family, others[i]))
            return false;
    return true;
}

static void print_share(struct text *out, const char *title, uint64_t part, uint64_t instructions)
{
    text_printf(out, "%s: %" PRIu64, title, part);
    if (instructions)
        text_printf(out, " (%.4f %% of %" PRIu64 " instructions)", percent(part, instructions), instructions);
    text_printf(out, "\n");
}

/* Rows with the highest counts; ALL: those that are not zero. */
static void print_rows(struct text *out, const char *title, struct row_count *rows, bool all, uint64_t instructions)
{
    uint64_t total = 0, others = 0;
    unsigned used = 0;

    qsort(rows, ROW_COUNT, sizeof *rows, by_count);
    for (; used < ROW_COUNT && rows[used].count; used++) {
        total += rows[used].count;
        others += is_integer(&instruction_table[rows[used].row]) ? rows[used].count : 0;
    }
    text_printf(out, "\n");
    print_share(out, title, total, instructions);
    print_share(out, "  apart from x87, MMX, SSE and string instructions", others, instructions);
    for (unsigned i = 0; i < used && (all || i < ROWS_SHOWN); i++) {
        const struct instruction_row *row = &instruction_table[rows[i].row];

        text_printf(out, "  %-18s %14" PRIu64, rows[i].row ? row->name : "(undefined)", rows[i].count);
        if (instructions)
            text_printf(out, " %9.5f %%", percent(rows[i].count, instructions));
        text_printf(out, "  %s\n", family_of(row));
    }
    if (!all && used > ROWS_SHOWN)
        text_printf(out, "  ... %u more: info jit -a\n", used - ROWS_SHOWN);
}

static void print_totals(struct text *out, const struct stats *s, const struct translate_summary *now)
{
    text_printf(out, "code cache          %.1f of %.1f MiB used, %" PRIu64 " segments emptied to make room\n",
                now->cache_used / 1048576.0, now->cache_size / 1048576.0, s->cache_evictions);
    text_printf(out, "translations        %u alive, %u dead but not reclaimed; %" PRIu64 " made, %" PRIu64 " refused\n",
                now->translations, now->dead, s->translations, s->translation_failures);
    text_printf(out, "guest code          %u instructions, %" PRIu32 " bytes, in living translations\n",
                now->instructions, now->guest_bytes);
    text_printf(out, "host code           %" PRIu32 " bytes, %.1f for each guest byte, %.1f for each instruction\n",
                now->host_bytes, now->guest_bytes ? (double)now->host_bytes / now->guest_bytes : 0,
                now->instructions ? (double)now->host_bytes / now->instructions : 0);
    text_printf(out, "links               %u in place, %" PRIu64 " made, %" PRIu64 " cut\n", now->links, s->chains_made,
                s->chains_cut);
    text_printf(out, "indirect branches   %u entries in the table\n", now->jump_entries);
    text_printf(out, "entered             %" PRIu64 " times from the run loop; the interpreter %" PRIu64 " times\n",
                s->native_entries, s->blocks_entered);
    text_printf(out, "slow accesses       %" PRIu64 " reads, %" PRIu64 " writes\n", s->native_slow_reads,
                s->native_slow_writes);
    text_printf(out, "invalidated         %" PRIu64 " blocks of both engines, by %" PRIu64 " stores beside code\n",
                s->blocks_invalidated, s->code_page_writes);
}

/* "falls through 13 %", "-> ca918930 87 %". */
static void print_way(struct text *out, const char **before, const struct translate_block *b, uint32_t eip,
                      uint64_t count)
{
    if (count * 200 < b->executions) /* less than half a percent */
        return;
    text_printf(out, "%s", *before);
    if (eip == b->eip + b->length)
        text_printf(out, "falls through %.0f %%", percent(count, b->executions));
    else
        text_printf(out, "-> %08" PRIx32 " %.0f %%", eip, percent(count, b->executions));
    *before = ", ";
}

static void print_ways(struct text *out, const struct translate_block *b)
{
    const char *before = "      ";
    uint64_t shown = 0;

    for (unsigned i = 2; i-- > 0;)
        if (b->link_used[i])
            print_way(out, &before, b, b->link_eip[i], b->taken[i]);
    for (unsigned i = 0; i < PROFILE_TARGETS && b->targets[i].count; i++) {
        print_way(out, &before, b, b->targets[i].eip, b->targets[i].count);
        shown += b->targets[i].count;
    }
    if (b->elsewhere > shown && (b->elsewhere - shown) * 200 >= b->executions) {
        text_printf(out, "%sothers %.0f %%", before, percent(b->elsewhere - shown, b->executions));
        before = ", ";
    }
    uint64_t ended = b->taken[0] + b->taken[1] + b->elsewhere; /* a fault, a segment of another shape ... */
    if (b->executions > ended && (b->executions - ended) * 200 >= b->executions) {
        text_printf(out, "%sleaves before its end %.0f %%", before, percent(b->executions - ended, b->executions));
        before = ", ";
    }
    if (*before == ',')
        text_printf(out, "\n");
}

static void print_blocks(struct text *out, const struct translator *translator)
{
    struct translate_block blocks[BLOCKS_SHOWN];
    unsigned count = translator_list_blocks(translator, blocks, BLOCKS_SHOWN);
    bool exact = count && blocks[0].counted;
    uint64_t all = exact ? translator_profiled_instructions(translator) : translator_profile_instructions(translator);

    if (exact)
        text_printf(out, "\nMost instructions executed:\n");
    else if (count && blocks[0].executions)
        text_printf(out, "\nMost instructions executed, in samples of %" PRIu64 " instructions:\n", all);
    else
        text_printf(out, "\nMost linked to:\n");
    for (unsigned i = 0; i < count; i++) {
        const struct translate_block *b = &blocks[i];

        text_printf(out, "  %08" PRIx32 " (physical %08" PRIx64 ", mode %08" PRIx32 "): %u links in, ", b->linear,
                    b->physical, b->mode, b->incoming);
        text_printf(out, "%u instructions, %u bytes of host code", b->instructions, b->host_bytes);
        if (b->executions)
            text_printf(out, ", %.1f %%", percent(b->executions * b->instructions, all));
        if (b->counted)
            text_printf(out, ", executed %" PRIu64 " times", b->executions);
        text_printf(out, "\n");
        if (b->executions)
            print_ways(out, b);
    }
}

static void print_site(struct text *out, const struct log *log, const struct translate_site *s)
{
    unsigned bits = s->mode & MODE_CS_D ? 32 : 16;
    const char *before = ": ", *about = s->exact ? "" : "about ";
    char insn[96];

    if (!trace_disassemble(log, s->bytes, s->length, bits, s->eip, insn, sizeof insn))
        snprintf(insn, sizeof insn, "(runs over the page's end)");
    text_printf(out, "  %08" PRIx32 " %s", s->linear, insn);
    if (s->reads) {
        text_printf(out, "%s%s%" PRIu64 " slow reads", before, about, s->reads);
        before = ", ";
    }
    if (s->writes) {
        text_printf(out, "%s%s%" PRIu64 " slow writes", before, about, s->writes);
        before = ", ";
    }
    if (s->faults)
        text_printf(out, "%s%" PRIu64 " faults", before, s->faults);
    text_printf(out, "\n");
}

static void print_sites(struct text *out, const struct log *log, const struct translator *translator)
{
    struct translate_site sites[SITES_SHOWN];
    unsigned count = translator_list_sites(translator, sites, SITES_SHOWN);

    if (count)
        text_printf(out, "\nSlowest accesses, and faults:\n");
    for (unsigned i = 0; i < count; i++)
        print_site(out, log, &sites[i]);
}

void statistics_print_translator(struct vm *vm, bool all, struct text *out)
{
    static struct row_count none[1];
    struct row_count *interpreted = calloc(2 * ROW_COUNT, sizeof *interpreted);
    struct row_count *called_out = interpreted ? interpreted + ROW_COUNT : none;
    const struct translator *translator = vm->vcpus[0]->translator;

    if (!translator || !interpreted) {
        text_printf(out, "%s\n", translator ? "Out of memory" : "There is no translator (--engine interp)");
        free(interpreted);
        return;
    }
    vm_freeze(vm);
    struct translate_summary summary;
    translator_summarize(translator, &summary);
    struct stats stats = vm->stats;
    for (unsigned row = 0; row < ROW_COUNT; row++) {
        interpreted[row].row = called_out[row].row = row;
        translator_count_row(translator, row, &interpreted[row].count, &called_out[row].count);
    }
    print_totals(out, &stats, &summary);
    print_blocks(out, translator);
    print_sites(out, &vm->log, translator);
    vm_thaw(vm);
    /* Without counted time nobody counts instructions in translated code. */
    uint64_t instructions = clock_is_counted(vm->clock) ? stats.instructions : 0;
    text_printf(out, "\n");
    print_share(out, "Run by the interpreter as blocks of its own", stats.instructions_interpreted, instructions);
    print_share(out, "Run by the interpreter for the profile", stats.instructions_observed, instructions);
    print_rows(out, "Left to the interpreter by translated code", interpreted, all, instructions);
    print_rows(out, "Callouts from translated code", called_out, all, instructions);
    free(interpreted);
}

void hmp_info_jit(struct hmp *hmp, const struct hmp_arguments *a, struct text *out)
{
    statistics_print_translator(hmp->vm, a->flag, out);
}

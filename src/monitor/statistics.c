/* Counters and times, as text and as JSON. See statistics.h. */
#include "monitor/statistics.h"

#include "cpu/instruction_table.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define BLOCKS_LISTED 100
#define SITES_LISTED  100

struct snapshot {
    struct stats stats;
    struct stats_times times;
    uint64_t virtual_time;
};

static void take(struct vm *vm, struct snapshot *s)
{
    vm_freeze(vm); /* the vCPU's thread counts without a lock */
    s->stats = vm->stats;
    stats_sampler_read(vm->sampler, &s->times);
    s->virtual_time = clock_now(vm->clock);
    vm_thaw(vm);
}

/* ---- text ---- */

static void print_times(const struct stats_times *times, struct text *out)
{
    uint64_t waits = times->time[STATS_PHASE_STOPPED] + times->time[STATS_PHASE_IDLE];
    uint64_t busy = times->total > waits ? times->total - waits : 0;

    text_printf(out, "\nTime of the vCPU's thread   seconds  of busy time\n");
    for (unsigned phase = 0; phase < STATS_PHASE_COUNT; phase++) {
        uint64_t time = times->time[phase];

        if (phase == STATS_PHASE_FIRST_BUSY && !times->samples) {
            text_printf(out, "  %-20s %12.3f            too short for samples\n", "busy", (double)busy / 1e9);
            break;
        }
        text_printf(out, "  %-20s %12.3f", stats_phase_name(phase), (double)time / 1e9);
        if (phase < STATS_PHASE_FIRST_BUSY)
            text_printf(out, "          ");
        else
            text_printf(out, " %7.2f %%", busy ? 100.0 * (double)time / (double)busy : 0);
        text_printf(out, "  %s\n", stats_phase_help(phase));
    }
    text_printf(out, "  %-20s %12.3f            processor seconds: %.3f; %" PRIu64 " samples\n", "total",
                (double)times->total / 1e9, (double)times->processor / 1e9, times->samples);
}

void statistics_print(struct vm *vm, struct text *out)
{
    struct snapshot s;

    take(vm, &s);
    text_printf(out, "%-24s %18" PRIu64 "  %s\n", "virtual_time_ns", s.virtual_time, "nanoseconds of virtual time");
#define X(field, help) text_printf(out, "%-24s %18" PRIu64 "  %s\n", #field, s.stats.field, help);
    STATS_COUNTERS(X)
#undef X
    print_times(&s.times, out);
}

/* ---- JSON ---- */

static json_t *times_to_json(const struct stats_times *times)
{
    json_t *phases = json_object();

    for (unsigned phase = 0; phase < STATS_PHASE_COUNT; phase++) {
        char name[32];

        snprintf(name, sizeof name, "%s", stats_phase_name(phase));
        for (char *p = name; *p; p++)
            if (*p == ' ')
                *p = '-';
        json_object_set_new(phases, name, json_integer((json_int_t)times->time[phase]));
    }
    return json_pack("{s:I,s:I,s:I,s:o}", "total-ns", (json_int_t)times->total, "processor-ns",
                     (json_int_t)times->processor, "samples", (json_int_t)times->samples, "phases-ns", phases);
}

static json_t *profile_to_json(const struct translate_block *b)
{
    json_t *targets = json_array();

    for (unsigned i = 0; i < PROFILE_TARGETS && b->targets[i].count; i++)
        json_array_append_new(targets, json_pack("{s:I,s:I}", "eip", (json_int_t)b->targets[i].eip, "count",
                                                 (json_int_t)b->targets[i].count));
    json_t *links = json_array();
    for (unsigned i = 0; i < 2; i++)
        if (b->link_used[i])
            json_array_append_new(links, json_pack("{s:I,s:I}", "eip", (json_int_t)b->link_eip[i], "count",
                                                   (json_int_t)b->taken[i]));
    return json_pack("{s:b,s:I,s:o,s:I,s:o}", "exact", (int)b->counted, "executions", (json_int_t)b->executions,
                     "links", links, "elsewhere", (json_int_t)b->elsewhere, "targets", targets);
}

static json_t *sites_to_json(const struct translator *translator)
{
    struct translate_site sites[SITES_LISTED];
    unsigned count = translator_list_sites(translator, sites, SITES_LISTED);
    json_t *list = json_array();

    for (unsigned i = 0; i < count; i++) {
        const struct translate_site *s = &sites[i];

        json_array_append_new(list, json_pack("{s:I,s:I,s:I,s:b,s:I,s:I,s:I}", "linear", (json_int_t)s->linear,
                                              "physical", (json_int_t)s->physical, "mode", (json_int_t)s->mode, "exact",
                                              (int)s->exact, "reads", (json_int_t)s->reads, "writes",
                                              (json_int_t)s->writes, "faults", (json_int_t)s->faults));
    }
    return list;
}

static json_t *blocks_to_json(const struct translator *translator)
{
    struct translate_block blocks[BLOCKS_LISTED];
    unsigned count = translator_list_blocks(translator, blocks, BLOCKS_LISTED);
    json_t *list = json_array();

    for (unsigned i = 0; i < count; i++) {
        const struct translate_block *b = &blocks[i];

        json_t *block = json_pack("{s:I,s:I,s:I,s:i,s:i,s:i}", "linear", (json_int_t)b->linear, "physical",
                                  (json_int_t)b->physical, "mode", (json_int_t)b->mode, "instructions",
                                  (int)b->instructions, "host-bytes", (int)b->host_bytes, "links-in", (int)b->incoming);
        if (b->counted)
            json_object_set_new(block, "executions", json_integer((json_int_t)b->executions));
        if (b->executions)
            json_object_set_new(block, "profile", profile_to_json(b));
        json_array_append_new(list, block);
    }
    return list;
}

/* Rows of the instruction table by name: those that are not 0. */
static json_t *rows_to_json(const struct translator *translator, bool called_out)
{
    json_t *rows = json_object();

    for (unsigned row = 0; row < ROW_COUNT; row++) {
        uint64_t counts[2];

        translator_count_row(translator, row, &counts[0], &counts[1]);
        if (!counts[called_out])
            continue;
        const char *name = row ? instruction_table[row].name : "(undefined)";
        json_int_t before = json_integer_value(json_object_get(rows, name));
        json_object_set_new(rows, name, json_integer(before + (json_int_t)counts[called_out]));
    }
    return rows;
}

static json_t *translator_to_json(struct vm *vm)
{
    const struct translator *translator = vm->vcpus[0]->translator;
    struct translate_summary s;

    if (!translator)
        return json_null();
    vm_freeze(vm);
    translator_summarize(translator, &s);
    json_t *object = json_pack(
        "{s:I,s:I,s:i,s:i,s:i,s:i,s:I,s:I,s:i,s:o,s:o,s:I,s:o,s:o}", "cache-size", (json_int_t)s.cache_size, "cache-used",
        (json_int_t)s.cache_used, "alive", (int)s.translations, "dead", (int)s.dead, "links", (int)s.links,
        "instructions", (int)s.instructions, "guest-bytes", (json_int_t)s.guest_bytes, "host-bytes",
        (json_int_t)s.host_bytes, "indirect-branches", (int)s.jump_entries, "blocks", blocks_to_json(translator),
        "sites", sites_to_json(translator), "sampled-instructions",
        (json_int_t)translator_profile_instructions(translator), "interpreted", rows_to_json(translator, false), "callouts", rows_to_json(translator, true));
    vm_thaw(vm);
    return object;
}

json_t *statistics_to_json(struct vm *vm)
{
    struct snapshot s;
    json_t *counters = json_object();

    take(vm, &s);
#define X(field, help) json_object_set_new(counters, #field, json_integer((json_int_t)s.stats.field));
    STATS_COUNTERS(X)
#undef X
    return json_pack("{s:I,s:o,s:o,s:o}", "virtual-time-ns", (json_int_t)s.virtual_time, "counters", counters, "time",
                     times_to_json(&s.times), "translator", translator_to_json(vm));
}

/* ---- files ---- */

static bool write_json(struct vm *vm, FILE *file)
{
    json_t *all = statistics_to_json(vm);
    bool ok = all && json_dumpf(all, file, JSON_INDENT(2)) == 0 && fputc('\n', file) != EOF;

    json_decref(all);
    return ok;
}

static bool write_text(struct vm *vm, FILE *file)
{
    struct text out;

    text_init(&out);
    statistics_print(vm, &out);
    if (vm->vcpus[0]->translator) {
        text_printf(&out, "\n");
        statistics_print_translator(vm, true, &out);
    }
    bool ok = fwrite(text_string(&out), 1, out.length, file) == out.length;
    text_finish(&out);
    return ok;
}

bool statistics_write(struct vm *vm, const char *path, struct error *err)
{
    size_t length = strlen(path);
    bool standard = !strcmp(path, "-");
    FILE *file = standard ? stderr : fopen(path, "w");

    if (!file)
        return error_set(err, "-stats: cannot open '%s': %s", path, strerror(errno));
    errno = 0;
    bool ok = length > 5 && !strcmp(path + length - 5, ".json") ? write_json(vm, file) : write_text(vm, file);
    ok &= (standard ? fflush(file) : fclose(file)) == 0;
    return ok || error_set(err, "-stats: cannot write '%s': %s", path, errno ? strerror(errno) : "out of memory");
}

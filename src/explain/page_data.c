#include "explain/page_data.h"

#include "explain/fields.h"

#include <stdlib.h>

#define LISTED_PAGES 12u

static void write_source(struct json_writer *writer, const struct model *model, const char *title)
{
    static const char *const copied[] = {"program", "engine", "list", "filter"};

    json_write_open(writer, "source", '{');
    json_write_text(writer, "title", title);
    for (size_t i = 0; i < sizeof copied / sizeof copied[0]; i++) {
        const json_t *value = json_object_get(model->header, copied[i]);
        const json_t *item;
        size_t index;

        if (json_is_string(value)) {
            json_write_text(writer, copied[i], json_string_value(value));
        } else if (json_is_array(value)) {
            json_write_open(writer, copied[i], '[');
            json_array_foreach(value, index, item)
                json_write_text(writer, NULL, json_is_string(item) ? json_string_value(item) : "");
            json_write_close(writer, ']');
        }
    }
    json_write_number(writer, "lines", model->lines);
    json_write_number(writer, "bytes", model->bytes);
    json_write_number(writer, "damaged", model->damaged);
    json_write_bool(writer, "cut_off", model->cut_off);
    json_write_number(writer, "suppressed", model->suppressed);
    json_write_number(writer, "end_t", model->end_t > model->timeline.last ? model->end_t : model->timeline.last);
    json_write_number(writer, "milliseconds", model->seconds_ms);
    json_write_open(writer, "unknown", '[');
    for (size_t i = 0; i < model->unknown_count; i++) {
        json_write_open(writer, NULL, '[');
        json_write_text(writer, NULL, model->unknown[i].name);
        json_write_number(writer, NULL, model->unknown[i].count);
        json_write_close(writer, ']');
    }
    json_write_close(writer, ']');
    json_write_close(writer, '}');
}

static void write_totals(struct json_writer *writer, const struct model *model)
{
    static const char *const metrics[] = {
        [METRIC_HOST_US] = "host_us", [METRIC_INSTRUCTIONS] = "instructions", [METRIC_NONE] = "none"};
    uint64_t weight = 0, executions = 0;

    for (size_t i = 0; i < model->block_count; i++) {
        weight += model_weight(model, &model->blocks[i]);
        executions += model->blocks[i].executions;
    }
    json_write_open(writer, "totals", '{');
    json_write_text(writer, "metric", metrics[model_metric(model)]);
    json_write_bool(writer, "profiled", model->any_profile);
    json_write_bool(writer, "exact", model->all_exact);
    json_write_number(writer, "weight", weight);
    json_write_number(writer, "executions", executions);
    json_write_number(writer, "blocks", model->block_count);
    json_write_number(writer, "forgotten", model->forgotten);
    json_write_number(writer, "translations", model->translation_lines);
    json_write_number(writer, "guest_insns", model->guest_insns);
    json_write_number(writer, "guest_bytes", model->guest_bytes);
    json_write_number(writer, "ops_lifted", model->ops_lifted);
    json_write_number(writer, "ops_final", model->ops_final);
    json_write_number(writer, "host_insns", model->host_insns);
    json_write_number(writer, "host_bytes", model->host_bytes);
    json_write_number(writer, "time_ns", model->time_ns);
    json_write_number(writer, "critical", model->critical_insns);
    json_write_number(writer, "callouts", model->callout_insns);
    json_write_number(writer, "links", model->links);
    json_write_number(writer, "unlinks", model->unlinks);
    json_write_number(writer, "exec_translated", model->exec_translated);
    json_write_number(writer, "exec_interpreted", model->exec_interpreted);
    json_write_close(writer, '}');
}

/* ---- the list of blocks ---- */

/* The columns of "blocks" in the order of write_block(). */
static const char *const block_columns[] = {
    "key",        "flags",    "linear",   "weight", "executions", "before", "host_us",    "made",      "died",
    "cause",      "time_ns",  "link0",    "link1",  "insns",      "bytes",  "ops_lifted", "ops_final", "host_insns",
    "host_bytes", "critical", "callouts", "links",  "unlinks",    "bits",   "cpl",        "page",
};

static void write_block(struct json_writer *writer, const struct model *model, const struct model_block *block)
{
    json_write_open(writer, NULL, '[');
    json_write_number(writer, NULL, block->key);
    json_write_number(writer, NULL, block->flags);
    json_write_number(writer, NULL, block->linear);
    json_write_number(writer, NULL, model_weight(model, block));
    json_write_number(writer, NULL, block->executions);
    json_write_number(writer, NULL, block->executed_before);
    json_write_number(writer, NULL, block->host_us);
    json_write_number(writer, NULL, block->made);
    json_write_number(writer, NULL, block->died);
    json_write_text(writer, NULL, death_names[block->cause]);
    json_write_number(writer, NULL, block->time_ns);
    json_write_index(writer, NULL, (int64_t)block->link[0] - 1);
    json_write_index(writer, NULL, (int64_t)block->link[1] - 1);
    json_write_number(writer, NULL, block->insns);
    json_write_number(writer, NULL, block->guest_bytes);
    json_write_number(writer, NULL, block->ops_lifted);
    json_write_number(writer, NULL, block->ops_final);
    json_write_number(writer, NULL, block->host_insns);
    json_write_number(writer, NULL, block->host_bytes);
    json_write_number(writer, NULL, block->critical);
    json_write_number(writer, NULL, block->callouts);
    json_write_number(writer, NULL, block->links);
    json_write_number(writer, NULL, block->unlinks);
    json_write_number(writer, NULL, block->bits);
    json_write_number(writer, NULL, block->cpl);
    json_write_number(writer, NULL, block->physical_page);
    json_write_close(writer, ']');
}

static void write_blocks(struct json_writer *writer, const struct model *model, const uint32_t *order, size_t listed)
{
    json_write_open(writer, "block_columns", '[');
    for (size_t i = 0; i < sizeof block_columns / sizeof block_columns[0]; i++)
        json_write_text(writer, NULL, block_columns[i]);
    json_write_close(writer, ']');
    json_write_open(writer, "blocks", '[');
    for (size_t i = 0; i < listed; i++)
        write_block(writer, model, &model->blocks[order[i]]);
    json_write_close(writer, ']');
}

/* ---- what happened when ---- */

static void write_series(struct json_writer *writer, const struct model *model, const char *name, uint32_t series)
{
    unsigned used = TIMELINE_BUCKETS;

    if (!series)
        return;
    const uint32_t *count = model->timeline.series[series - 1]->count;
    while (used && !count[used - 1])
        used--;
    json_write_open(writer, name, '[');
    for (unsigned i = 0; i < used; i++)
        json_write_number(writer, NULL, count[i]);
    json_write_close(writer, ']');
}

static void write_sample(struct json_writer *writer, const struct occupancy *sample)
{
    json_write_open(writer, NULL, '[');
    json_write_number(writer, NULL, sample->t);
    json_write_number(writer, NULL, sample->used);
    json_write_number(writer, NULL, sample->size);
    json_write_number(writer, NULL, sample->translations);
    json_write_number(writer, NULL, sample->dead);
    json_write_number(writer, NULL, sample->instructions);
    json_write_number(writer, NULL, sample->interpreted);
    json_write_close(writer, ']');
}

static void write_timeline(struct json_writer *writer, const struct model *model)
{
    char name[32];

    json_write_open(writer, "timeline", '{');
    json_write_open(writer, "occupancy", '[');
    for (size_t i = 0; i < model->occupancy_count; i++)
        write_sample(writer, &model->occupancy[i]);
    if (model->occupancy_count && model->occupancy[model->occupancy_count - 1].t < model->occupancy_last.t)
        write_sample(writer, &model->occupancy_last);
    json_write_close(writer, ']');
    json_write_number(writer, "width", model->timeline.width);
    json_write_open(writer, "series", '{');
    write_series(writer, model, "translation", model->series_translation);
    write_series(writer, model, "link", model->series_link);
    write_series(writer, model, "unlink", model->series_unlink);
    for (unsigned cause = 1; cause < DEATH_COUNT; cause++) {
        snprintf(name, sizeof name, "death: %s", death_names[cause]);
        write_series(writer, model, name, model->series_death[cause]);
    }
    for (unsigned kind = 0; kind < INTERRUPT_KINDS; kind++) {
        snprintf(name, sizeof name, "int: %s", interrupt_kinds[kind]);
        write_series(writer, model, name, model->series_int[kind]);
    }
    for (unsigned event = 0; event < MMU_EVENTS; event++) {
        snprintf(name, sizeof name, "mmu: %s", mmu_events[event]);
        write_series(writer, model, name, model->series_mmu[event]);
    }
    json_write_close(writer, '}');
    json_write_close(writer, '}');
}

/* ---- invalidations, interrupts, and the rest ---- */

static int by_count(const void *left, const void *right)
{
    const struct page_count *a = left, *b = right;

    if (a->count != b->count)
        return a->count < b->count ? 1 : -1;
    return (a->page > b->page) - (a->page < b->page);
}

/* Sorts model->pages, which page_index does not know: nobody asks it any more. */
static void write_deaths(struct json_writer *writer, const struct model *model)
{
    json_write_open(writer, "deaths", '{');
    json_write_open(writer, "causes", '[');
    for (unsigned cause = 1; cause < DEATH_COUNT; cause++) {
        if (!model->deaths[cause])
            continue;
        json_write_open(writer, NULL, '[');
        json_write_text(writer, NULL, death_names[cause]);
        json_write_number(writer, NULL, model->deaths[cause]);
        json_write_close(writer, ']');
    }
    json_write_close(writer, ']');
    json_write_open(writer, "list", '[');
    for (size_t i = 0; i < model->death_count; i++) {
        const struct death *death = &model->death_list[i];
        json_write_open(writer, NULL, '[');
        json_write_number(writer, NULL, death->t);
        json_write_number(writer, NULL, death->key);
        json_write_text(writer, NULL, death_names[death->cause]);
        json_write_index(writer, NULL, death->has_linear ? (int64_t)death->linear : -1);
        json_write_index(writer, NULL, death->has_physical ? (int64_t)(death->physical & (FIELD_MAX - 1)) : -1);
        json_write_number(writer, NULL, death->length);
        json_write_close(writer, ']');
    }
    json_write_close(writer, ']');
    if (model->page_count)
        qsort(model->pages, model->page_count, sizeof *model->pages, by_count);
    json_write_open(writer, "pages", '[');
    for (size_t i = 0; i < model->page_count && i < LISTED_PAGES; i++) {
        json_write_open(writer, NULL, '[');
        json_write_number(writer, NULL, model->pages[i].page & (FIELD_MAX - 1));
        json_write_number(writer, NULL, model->pages[i].count);
        json_write_close(writer, ']');
    }
    json_write_close(writer, ']');
    json_write_close(writer, '}');
}

static void write_interrupts(struct json_writer *writer, const struct model *model)
{
    json_write_open(writer, "interrupts", '[');
    for (unsigned kind = 0; kind < INTERRUPT_KINDS; kind++) {
        for (unsigned vector = 0; vector < 256; vector++) {
            const struct interrupt_count *count = &model->interrupts[kind][vector];
            if (!count->count)
                continue;
            json_write_open(writer, NULL, '{');
            json_write_text(writer, "kind", interrupt_kinds[kind]);
            json_write_number(writer, "vector", vector);
            json_write_number(writer, "count", count->count);
            json_write_open(writer, "cpl", '[');
            for (unsigned cpl = 0; cpl < 4; cpl++)
                json_write_number(writer, NULL, count->cpl[cpl]);
            json_write_close(writer, ']');
            json_write_number(writer, "first", count->first);
            json_write_number(writer, "last", count->last);
            json_write_number(writer, "eip", count->eip & UINT32_MAX);
            if (count->has_address)
                json_write_number(writer, "address", count->address & UINT32_MAX);
            write_series(writer, model, "series", count->series);
            json_write_close(writer, '}');
        }
    }
    json_write_close(writer, ']');
}

static void write_rest(struct json_writer *writer, const struct model *model)
{
    json_write_open(writer, "mmu", '{');
    for (unsigned event = 0; event < MMU_EVENTS; event++)
        json_write_number(writer, mmu_events[event], model->mmu[event]);
    json_write_close(writer, '}');
    json_write_open(writer, "tiers", '{');
    json_write_number(writer, "hot", model->tiers.hot);
    json_write_number(writer, "churn", model->tiers.churn);
    json_write_number(writer, "refused", model->tiers.refused);
    json_write_number(writer, "other", model->tiers.other);
    json_write_close(writer, '}');
}

bool page_data_write(struct json_writer *writer, const struct model *model, struct trace_file *file, const char *title,
                     unsigned blocks, uint64_t *shown, struct error *err)
{
    uint32_t *order = model_rank(model);
    size_t listed = (size_t)blocks * PAGE_LISTED_PER_SHOWN;
    bool enough_memory = true;

    if (!order)
        return error_set(err, "out of memory");
    if (listed > model->block_count)
        listed = model->block_count;
    json_write_open(writer, NULL, '{');
    write_source(writer, model, title);
    write_totals(writer, model);
    write_blocks(writer, model, order, listed);
    json_write_open(writer, "details", '[');
    *shown = 0;
    for (size_t i = 0; i < model->block_count && *shown < blocks && enough_memory; i++) {
        if (model->blocks[order[i]].line_at) {
            enough_memory = page_data_write_detail(writer, &model->blocks[order[i]], file);
            ++*shown;
        }
    }
    json_write_close(writer, ']');
    write_timeline(writer, model);
    write_deaths(writer, model);
    write_interrupts(writer, model);
    write_rest(writer, model);
    json_write_close(writer, '}');
    free(order);
    return enough_memory || error_set(err, "out of memory");
}

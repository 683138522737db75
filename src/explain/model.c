#include "explain/model.h"

#include "explain/fields.h"

#include <stdlib.h>
#include <string.h>

const char *const death_names[DEATH_COUNT] = {
    [DEATH_NONE] = "",
    [DEATH_GUEST_STORE] = "guest store",
    [DEATH_DMA] = "DMA",
    [DEATH_DEBUGGER] = "debugger",
    [DEATH_EVICTION] = "eviction",
    [DEATH_FLUSH] = "flush",
    [DEATH_REPLACED] = "replaced",
    [DEATH_OTHER] = "other",
};
const char *const interrupt_kinds[INTERRUPT_KINDS] = {"exception", "interrupt", "software"};
const char *const mmu_events[MMU_EVENTS] = {"fill", "flush", "invlpg", "fault"};

enum death_cause death_cause_of(const char *name)
{
    for (unsigned cause = DEATH_NONE + 1; cause < DEATH_OTHER; cause++)
        if (!strcmp(name, death_names[cause]))
            return cause;
    return DEATH_OTHER;
}

/* ---- numbers to indices ---- */

static size_t slot_of(const struct index_table *table, uint64_t key)
{
    size_t slot = (size_t)((key * 0x9e3779b97f4a7c15ull) >> 20) & (table->capacity - 1);
    while (table->slots[slot].index && table->slots[slot].key != key)
        slot = (slot + 1) & (table->capacity - 1);
    return slot;
}

int64_t index_table_find(const struct index_table *table, uint64_t key)
{
    return table->capacity ? (int64_t)table->slots[slot_of(table, key)].index - 1 : -1;
}

static bool grow(struct index_table *table)
{
    struct index_table larger = {.capacity = table->capacity ? table->capacity * 2 : 1024, .used = table->used};

    larger.slots = calloc(larger.capacity, sizeof *larger.slots);
    if (!larger.slots)
        return false;
    for (size_t i = 0; i < table->capacity; i++)
        if (table->slots[i].index)
            larger.slots[slot_of(&larger, table->slots[i].key)] = table->slots[i];
    free(table->slots);
    *table = larger;
    return true;
}

bool index_table_add(struct index_table *table, uint64_t key, uint32_t index)
{
    if (table->used * 3 >= table->capacity * 2 && !grow(table))
        return false;
    table->slots[slot_of(table, key)] = (struct index_slot){key, index + 1};
    table->used++;
    return true;
}

void index_table_finish(struct index_table *table)
{
    free(table->slots);
    *table = (struct index_table){0};
}

/* Room for one more element in an array that grows; false without memory. */
static bool have_room(void *array, size_t count, size_t *capacity, size_t size)
{
    void **items = array;
    size_t wanted = *capacity ? *capacity * 2 : 256;
    void *larger;

    if (count < *capacity)
        return true;
    larger = realloc(*items, wanted * size);
    if (!larger)
        return false;
    *items = larger;
    *capacity = wanted;
    return true;
}

/* ---- time ---- */

static void widen(struct timeline *timeline)
{
    timeline->width *= 2;
    for (size_t i = 0; i < timeline->series_count; i++) {
        uint32_t *count = timeline->series[i]->count;
        for (unsigned bucket = 0; bucket < TIMELINE_BUCKETS / 2; bucket++)
            count[bucket] = count[2 * bucket] + count[2 * bucket + 1];
        memset(count + TIMELINE_BUCKETS / 2, 0, TIMELINE_BUCKETS / 2 * sizeof *count);
    }
}

void timeline_count(struct timeline *timeline, uint32_t *series, uint64_t t)
{
    if (!timeline->width)
        timeline->width = 1000;
    if (!*series) {
        struct timeline_series *made;
        if (!have_room(&timeline->series, timeline->series_count, &timeline->series_capacity, sizeof *timeline->series))
            return;
        made = calloc(1, sizeof *made);
        if (!made)
            return;
        timeline->series[timeline->series_count++] = made;
        *series = (uint32_t)timeline->series_count;
    }
    if (t > timeline->last)
        timeline->last = t;
    while (t / timeline->width >= TIMELINE_BUCKETS)
        widen(timeline);
    timeline->series[*series - 1]->count[t / timeline->width]++;
}

/* ---- blocks ---- */

struct model_block *model_block_of(struct model *model, uint64_t key, bool interpreted)
{
    struct index_table *table = interpreted ? &model->interpreted : &model->translations;
    int64_t index = index_table_find(table, key);

    if (index >= 0)
        return &model->blocks[index];
    if (model->block_count >= MODEL_MAX_BLOCKS ||
        !have_room(&model->blocks, model->block_count, &model->block_capacity, sizeof *model->blocks) ||
        !index_table_add(table, key, (uint32_t)model->block_count)) {
        model->forgotten++;
        return NULL;
    }
    struct model_block *block = &model->blocks[model->block_count++];
    *block = (struct model_block){.key = key, .flags = interpreted ? BLOCK_INTERPRETED : 0};
    if (interpreted) {
        block->linear = (uint32_t)key;
        block->flags |= BLOCK_HAS_ADDRESS;
    }
    return block;
}

void model_count_page(struct model *model, uint64_t page)
{
    int64_t index = index_table_find(&model->page_index, page);

    if (index < 0) {
        if (model->page_count >= MODEL_MAX_PAGES ||
            !have_room(&model->pages, model->page_count, &model->page_capacity, sizeof *model->pages) ||
            !index_table_add(&model->page_index, page, (uint32_t)model->page_count))
            return;
        index = (int64_t)model->page_count++;
        model->pages[index] = (struct page_count){.page = page};
    }
    model->pages[index].count++;
}

void model_finish(struct model *model)
{
    for (size_t i = 0; i < model->timeline.series_count; i++)
        free(model->timeline.series[i]);
    free(model->timeline.series);
    index_table_finish(&model->translations);
    index_table_finish(&model->interpreted);
    index_table_finish(&model->page_index);
    free(model->blocks);
    free(model->pages);
    free(model->death_list);
    json_decref(model->header);
}

/* ---- the order of blocks ---- */

enum model_metric model_metric(const struct model *model)
{
    return model->any_host_us                      ? METRIC_HOST_US
           : model->any_profile || model->any_exec ? METRIC_INSTRUCTIONS
                                                   : METRIC_NONE;
}

uint64_t model_weight(const struct model *model, const struct model_block *block)
{
    uint64_t each = block->insns ? block->insns : 1;

    switch (model_metric(model)) {
    case METRIC_HOST_US:
        return block->host_us;
    case METRIC_INSTRUCTIONS:
        return block->executions > FIELD_MAX / each ? FIELD_MAX : block->executions * each;
    default:
        return 0;
    }
}

struct ranked {
    uint64_t weight, second;
    uint32_t index;
};

static int by_weight(const void *left, const void *right)
{
    const struct ranked *a = left, *b = right;

    if (a->weight != b->weight)
        return a->weight < b->weight ? 1 : -1;
    if (a->second != b->second)
        return a->second < b->second ? 1 : -1;
    return (a->index > b->index) - (a->index < b->index);
}

uint32_t *model_rank(const struct model *model)
{
    struct ranked *ranked = malloc((model->block_count + 1) * sizeof *ranked);
    uint32_t *order = malloc((model->block_count + 1) * sizeof *order);

    if (!ranked || !order) {
        free(ranked);
        free(order);
        return NULL;
    }
    for (size_t i = 0; i < model->block_count; i++) {
        const struct model_block *block = &model->blocks[i];
        /* Without a weight: what has code comes before what is only mentioned, then translations first. */
        ranked[i] = (struct ranked){.weight = model_weight(model, block),
                                    .second = (block->line_at != 0) * 2u + !(block->flags & BLOCK_INTERPRETED),
                                    .index = (uint32_t)i};
    }
    qsort(ranked, model->block_count, sizeof *ranked, by_weight);
    for (size_t i = 0; i < model->block_count; i++)
        order[i] = ranked[i].index;
    free(ranked);
    return order;
}

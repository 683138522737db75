/* What people may want to know of a translator. See translate.h. */
#include "translate/translate_private.h"

static unsigned count_incoming(const struct translation *t)
{
    unsigned n = 0;

    for (const struct translation_link *link = t->incoming; link; link = link->next_incoming)
        n++;
    return n;
}

void translator_summarize(const struct translator *t, struct translate_summary *s)
{
    const struct code_cache *cache = &t->cache;

    *s = (struct translate_summary){.cache_size = cache->size, .cache_used = cache->segments_start};
    for (unsigned number = 0; number < CACHE_SEGMENTS; number++) {
        const struct cache_segment *segment = &cache->segments[number];

        if (number == cache->current)
            s->cache_used += cache->emitter.position - (cache->segments_start + number * cache->segment_size);
        else if (segment->count)
            s->cache_used += cache->segment_size;
        for (unsigned i = 0; i < segment->count; i++) {
            const struct translation *block = segment->translations[i];

            if (block->dead) {
                s->dead++;
                continue;
            }
            s->translations++;
            s->instructions += block->insn_count;
            s->guest_bytes += block->length;
            s->host_bytes += block->end - block->start;
            s->links += (block->links[0].target != NULL) + (block->links[1].target != NULL);
        }
    }
    for (unsigned i = 0; i < NATIVE_JUMP_COUNT; i++)
        s->jump_entries += cache->jumps[i].code != 0 && cache->jumps[i].code != UINT64_MAX;
}

static bool is_hotter(const struct translate_block *a, const struct translate_block *b)
{
    uint64_t ran_a = a->executions * a->instructions, ran_b = b->executions * b->instructions;

    return ran_a != ran_b ? ran_a > ran_b : a->incoming > b->incoming;
}

/* Keeps BLOCKS, of which there are USED, in order; drops the last one if there is no room. */
static unsigned enter_sorted(struct translate_block *blocks, unsigned used, unsigned count,
                             const struct translate_block *new)
{
    unsigned at = used;

    while (at > 0 && is_hotter(new, &blocks[at - 1]))
        at--;
    if (at == count)
        return used;
    if (used < count)
        used++;
    for (unsigned i = used - 1; i > at; i--)
        blocks[i] = blocks[i - 1];
    blocks[at] = *new;
    return used;
}

unsigned translator_list_blocks(const struct translator *t, struct translate_block *blocks, unsigned count)
{
    unsigned used = 0;

    for (unsigned number = 0; number < CACHE_SEGMENTS; number++)
        for (unsigned i = 0; i < t->cache.segments[number].count; i++) {
            const struct translation *block = t->cache.segments[number].translations[i];

            if (block->dead)
                continue;
            struct translate_block found = {
                .physical = block->key.physical,
                .linear = block->linear,
                .mode = block->key.mode,
                .instructions = block->insn_count,
                .eip = block->key.eip,
                .length = block->length,
                .host_bytes = block->end - block->start,
                .incoming = count_incoming(block),
            };
            profile_read(block, &found);
            used = enter_sorted(blocks, used, count, &found);
        }
    return used;
}

void translator_count_row(const struct translator *t, unsigned row, uint64_t *interpreted, uint64_t *called_out)
{
    *interpreted = row < ROW_COUNT ? t->interpreted[row] : 0;
    *called_out = row < ROW_COUNT ? t->called_out[row] : 0;
}

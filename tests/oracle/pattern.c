/* Memory patterns: mostly values at which arithmetic turns. */
#include "engine.h"
#include "random.h"

#include <string.h>

static const uint64_t edge_words[] = {
    0, 1, ~0ull, 0x7f, 0x80, 0xff, 0x7fff, 0x8000, 0xffff, 0x7fffffff, 0x80000000, 0xffffffff,
    0x7fffffffffffffff, 0x8000000000000000, 0x00ff00ff00ff00ff, 0x8000800080008000, 0x7fff7fff7fff7fff,
    /* double: 1, -1, smallest and largest denormal, smallest normal, largest, infinities, quiet and signalling NaN */
    0x3ff0000000000000, 0xbff0000000000000, 0x0000000000000001, 0x000fffffffffffff, 0x0010000000000000,
    0x7fefffffffffffff, 0x7ff0000000000000, 0xfff0000000000000, 0x7ff8000000000000, 0x7ff0000000000001,
    /* the same as pairs of singles */
    0x3f800000bf800000, 0x0000000100800000, 0x007fffff80000001, 0x7f7fffff7f800000, 0x7fc000007f800001,
    0xffc00001ff800000, 0x4f0000004effffff,
};

void oracle_fill_base(uint64_t seed, uint8_t *base)
{
    struct random random = {seed};

    memset(base, 0, ARENA_SIZE_BYTES);
    if (seed) {
        for (unsigned at = 0; at < ARENA_SIZE_BYTES; at += 8) {
            uint64_t r = random_next(&random);
            uint64_t word = r & 3 ? edge_words[(r >> 8) % (sizeof edge_words / sizeof edge_words[0])] : random_next(&random);

            memcpy(base + at, &word, 8);
        }
    }
    memset(base, ARENA_FILL_CODE, ARENA_CODE_PAGES * ARENA_PAGE);
}

void oracle_default_fx(uint8_t *fx)
{
    memset(fx, 0, 512);
    fx[0] = 0x7f;
    fx[1] = 0x03;
    fx[24] = 0x80;
    fx[25] = 0x1f;
}

uint32_t oracle_arena_offset(uint32_t linear)
{
    for (uint32_t i = 0; i < ARENA_PAGES; i++)
        if (linear - arena_linear[i] < ARENA_PAGE)
            return i * ARENA_PAGE + (linear - arena_linear[i]);
    return UINT32_MAX;
}

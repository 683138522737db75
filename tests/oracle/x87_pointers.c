/* See x87_pointers.h. */
#include "x87_pointers.h"

#include <Zydis/Zydis.h>
#include <string.h>

struct image {
    ZydisMnemonic stores[2];
    unsigned size;
    unsigned selectors[2]; /* offsets of FCS and FDS: zero on the host */
    uint8_t masked[10], masked_count;
};

static const struct image images[] = {
    {{ZYDIS_MNEMONIC_FXSAVE, ZYDIS_MNEMONIC_FXSAVE}, 512, {12, 20}, {6, 7, 12, 13, 16, 17, 18, 19, 20, 21}, 10},
    {{ZYDIS_MNEMONIC_FNSTENV, ZYDIS_MNEMONIC_FNSAVE}, 28, {16, 24}, {16, 17, 18, 19, 20, 21, 22, 23, 24, 25}, 10},
    {{ZYDIS_MNEMONIC_FNSTENV, ZYDIS_MNEMONIC_FNSAVE}, 14, {8, 12}, {8, 9, 10, 11, 12, 13}, 6},
};
#define IMAGE_COUNT (sizeof images / sizeof images[0])

/* Calls VISIT with each x87 instruction in the body, which is decoded from every byte, as a jump may go anywhere. */
typedef void visit_fn(const ZydisDecodedInstruction *z, bool last, unsigned *found);
static void visit_body(const struct test_case *c, visit_fn *visit, unsigned *found)
{
    ZydisDecoder decoder;
    ZydisDecodedInstruction z;

    ZydisDecoderInit(&decoder, ZYDIS_MACHINE_MODE_LEGACY_32, ZYDIS_STACK_WIDTH_32);
    for (unsigned at = 0; at < c->body; at++) {
        uint8_t byte = c->input.code[at];

        if ((byte == 0xd9 || byte == 0xdd || byte == 0x0f) &&
            ZYAN_SUCCESS(
                ZydisDecoderDecodeInstruction(&decoder, NULL, c->input.code + at, sizeof c->input.code - at, &z)))
            visit(&z, at + z.length >= c->body, found);
    }
}

static void find_image(const ZydisDecodedInstruction *z, bool last, unsigned *found)
{
    for (unsigned i = 0; i < IMAGE_COUNT; i++)
        if (z->mnemonic == images[i].stores[0] || z->mnemonic == images[i].stores[1])
            *found |= 1u << i;
}

static void find_image_before_others(const ZydisDecodedInstruction *z, bool last, unsigned *found)
{
    if (!last)
        find_image(z, last, found);
}

static void find_control(const ZydisDecodedInstruction *z, bool last, unsigned *found)
{
    if (z->mnemonic == ZYDIS_MNEMONIC_FLDCW || z->mnemonic == ZYDIS_MNEMONIC_FLDENV ||
        z->mnemonic == ZYDIS_MNEMONIC_FRSTOR || z->mnemonic == ZYDIS_MNEMONIC_FXRSTOR)
        *found = 1;
}

/* Bit per image that the body's instructions store. */
static unsigned images_stored(const struct test_case *c)
{
    unsigned found = 0;

    visit_body(c, find_image, &found);
    return found;
}

bool x87_pointers_stored(const struct test_case *c)
{
    return images_stored(c) != 0;
}

bool x87_pointers_stored_before_others(const struct test_case *c)
{
    unsigned found = 0;

    visit_body(c, find_image_before_others, &found);
    return found != 0;
}

bool x87_pointers_unmasked_later(const struct test_case *c)
{
    unsigned found = 0;

    visit_body(c, find_control, &found);
    return found != 0;
}

static void rebuild(const uint8_t *base, const struct oracle_output *out, uint8_t *arena)
{
    memcpy(arena, base, ARENA_SIZE_BYTES);
    for (unsigned i = 0; i < out->line_count; i++)
        memcpy(arena + out->lines[i].offset, out->lines[i].bytes, ORACLE_LINE);
}

/* Arena offset of byte AT of an image that begins at START; with WRAP, addresses go round at 64 KiB. */
static uint32_t byte_of(uint32_t start, unsigned at, bool wrap)
{
    uint32_t i = start / ARENA_PAGE, linear = arena_linear[i] + start % ARENA_PAGE + at;

    if (wrap && linear - ARENA_DATA >= 0x10000)
        linear -= 0x10000;
    return oracle_arena_offset(linear);
}

static uint16_t word(const uint8_t *arena, uint32_t start, unsigned at, bool wrap)
{
    uint32_t low = byte_of(start, at, wrap), high = byte_of(start, at + 1, wrap);

    return low == UINT32_MAX || high == UINT32_MAX ? 0xffff : (uint16_t)(arena[low] | arena[high] << 8);
}

/* An image as the processor writes it: a control word's fixed bits, selectors of zero. */
static bool looks_stored(const struct image *image, const uint8_t *host, uint32_t start, bool wrap)
{
    if ((word(host, start, 0, wrap) & 0xe0c0) != 0x0040)
        return false;
    for (unsigned i = 0; i < 2; i++)
        if (word(host, start, image->selectors[i], wrap))
            return false;
    if (image->size == 28)
        return word(host, start, 2, wrap) == 0xffff && word(host, start, 6, wrap) == 0xffff &&
               word(host, start, 10, wrap) == 0xffff && word(host, start, 26, wrap) == 0xffff;
    return image->size != 512 || word(host, start, 30, wrap) == 0;
}

/* Gives ENGINE the host's bytes in the masked fields of an image of which AT is one. */
static bool mask_image(unsigned stored, const uint8_t *host, uint8_t *engine, uint32_t at)
{
    for (unsigned i = 0; i < IMAGE_COUNT; i++) {
        const struct image *image = &images[i];

        for (unsigned m = 0; (stored >> i & 1) && m < image->masked_count; m++) {
            for (unsigned wrap = 0; wrap < 2; wrap++) {
                uint32_t page = at / ARENA_PAGE, linear = arena_linear[page] + at % ARENA_PAGE - image->masked[m];
                if (wrap)
                    linear += 0x10000;
                uint32_t start = oracle_arena_offset(linear);

                if (start == UINT32_MAX || byte_of(start, image->masked[m], wrap) != at ||
                    !looks_stored(image, host, start, wrap))
                    continue;
                for (unsigned k = 0; k < image->masked_count; k++) {
                    uint32_t to = byte_of(start, image->masked[k], wrap);
                    if (to != UINT32_MAX)
                        engine[to] = host[to];
                }
                return true;
            }
        }
    }
    return false;
}

bool x87_pointers_explain_memory(const struct test_case *c, const struct oracle_output *host,
                                 const struct oracle_output *engine)
{
    uint8_t base[ARENA_SIZE_BYTES] __attribute__((aligned(64)));
    uint8_t a[ARENA_SIZE_BYTES], b[ARENA_SIZE_BYTES];
    unsigned stored = images_stored(c);

    if (!stored || host->line_count > ORACLE_MAX_LINES || engine->line_count > ORACLE_MAX_LINES)
        return false;
    oracle_fill_base(c->base, base);
    rebuild(base, host, a);
    rebuild(base, engine, b);
    for (uint32_t at = 0; at < ARENA_SIZE_BYTES; at++)
        if (a[at] != b[at] && !mask_image(stored, a, b, at))
            return false;
    return true;
}

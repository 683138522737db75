// What the loops of code16.asm work on.
#include "kernels.h"

enum { PIECES = 64, PIECES_AT = 0xf000, PIECE_SIZE = 10 }; // code16.asm, far_copy

static void put16(uint8_t *data, uint32_t at, uint32_t value)
{
    data[at] = (uint8_t)value;
    data[at + 1] = (uint8_t)(value >> 8);
}

// Names, numbers and signs between blanks.
static void make_text(uint8_t *data)
{
    static const char letters[16] = "abcdehijlnorstuz", signs[4] = "+-,*";
    uint32_t random = 12345, at = 0;
    while (at < 0x3000) {
        random = random * 1103515245 + 12345;
        uint32_t length = 1 + (random >> 20 & 3), kind = random >> 24 & 3;
        for (uint32_t i = 0; i <= length; i++) {
            random = random * 1103515245 + 12345;
            uint32_t pick = random >> 16;
            if (kind == 0)
                data[at++] = (uint8_t)signs[pick & 3];
            else
                data[at++] = kind == 1 ? (uint8_t)('0' + pick % 10) : (uint8_t)letters[pick & 15];
        }
        data[at++] = ' ';
    }
    data[at] = 0;
}

// Far pointers into windows of 64 KiB each; all pieces lie between 0 and E000h of the first.
static void make_pieces(uint8_t *data)
{
    uint32_t random = 777;
    for (uint32_t i = 0; i < PIECES; i++) {
        uint32_t at = PIECES_AT + PIECE_SIZE * i;
        for (uint32_t end = 0; end < 2; end++) {
            random = random * 1103515245 + 12345;
            uint32_t window = random >> 16 & 3, offset = random >> 18 & 0xfff;
            put16(data, at + 4 * end, offset * 2);
            put16(data, at + 4 * end + 2, window);
        }
        put16(data, at + 8, 2 + (random >> 28 & 7));
    }
}

// A packed text as a packer would leave it: no distance goes behind the beginning.
static void make_packed(uint8_t *data)
{
    uint32_t random = 4242, at = 0, unpacked = 0, flags = 0;
    while (unpacked < 0x6000) {
        uint32_t flag_at = at++;
        data[flag_at] = 0;
        for (uint32_t bit = 0; bit < 8; bit++, flags++) {
            random = random * 1103515245 + 12345;
            if (unpacked < 64 || random >> 30 == 0) {
                data[at++] = (uint8_t)(random >> 16);
                unpacked++;
                continue;
            }
            uint32_t most = unpacked < 4095 ? unpacked : 4095, length = random >> 16 & 15;
            uint32_t distance = 1 + (random >> 20 & 0x3ff) % most;
            data[flag_at] |= (uint8_t)(1 << bit);
            put16(data, at, distance << 4 | length);
            at += 2;
            unpacked += length + 3;
        }
    }
    put16(data, 0xf000, flags);
}

void code16_place_segments(enum code16_loop loop, uint8_t *data, const uint16_t segments[CODE16_WINDOWS])
{
    for (uint32_t i = 0; loop == LOOP_FAR_COPY && i < 2 * PIECES; i++) {
        uint32_t at = PIECES_AT + i / 2 * PIECE_SIZE + i % 2 * 4 + 2;
        put16(data, at, segments[data[at] & 3]);
    }
}

uint32_t run_code16(enum code16_mode mode, enum code16_loop loop, uint32_t count, struct arena *arena)
{
    fill_random(arena->data, 65536);
    if (loop == LOOP_PARSE)
        make_text(arena->data);
    else if (loop == LOOP_FAR_COPY)
        make_pieces(arena->data);
    else if (loop == LOOP_UNPACK)
        make_packed(arena->data);
    return count ? platform_run_code16(mode, loop, count, arena->data) : 0;
}

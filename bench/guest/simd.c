// Packed SSE2 as programs of its time use it: pictures, sound, grids, searching. Intrinsics, so that the
// machine code is what is written here.
#define _MM_MALLOC_H_INCLUDED // it would want a C library
#include "kernels.h"

#include <emmintrin.h>

static __m128i load(const void *from)
{
    return _mm_load_si128(from);
}

static __m128i load_unaligned(const void *from)
{
    return _mm_loadu_si128(from);
}

static void store(void *to, __m128i value)
{
    _mm_store_si128(to, value);
}

// Search of a 16 x 16 block in a picture 256 bytes wide: PSADBW at every alignment.
uint32_t run_sad(uint32_t count, struct arena *arena)
{
    enum { WIDTH = 256, HEIGHT = 64 };
    uint8_t *picture = arena->data, *block = arena->data + WIDTH * HEIGHT;
    fill_random(picture, WIDTH * HEIGHT + 256);
    uint32_t result = 0;
    for (uint32_t i = 0; i < count; i++) {
        uint32_t best = ~0u, best_at = 0;
        block[i & 255] ^= (uint8_t)i;
        for (uint32_t at = i & 15; at < WIDTH - 16; at += 3) {
            const uint8_t *row = picture + (i & 31) * WIDTH + at;
            __m128i sum = _mm_setzero_si128();
            for (int y = 0; y < 16; y += 2) {
                __m128i a = _mm_sad_epu8(load_unaligned(row), load(block + y * 16));
                __m128i b = _mm_sad_epu8(load_unaligned(row + WIDTH), load(block + y * 16 + 16));
                sum = _mm_add_epi32(sum, _mm_add_epi32(a, b));
                row += 2 * WIDTH;
            }
            sum = _mm_add_epi32(sum, _mm_srli_si128(sum, 8));
            uint32_t difference = (uint32_t)_mm_cvtsi128_si32(sum);
            if (difference < best)
                best = difference, best_at = at;
        }
        result = (result << 1 | result >> 31) ^ best ^ best_at << 16;
    }
    return result;
}

// Two pictures of 8-bit channels mixed by a changing weight, and the mix averaged with the first: unpack, 16-bit
// multiply, shift, pack.
uint32_t run_blend(uint32_t count, struct arena *arena)
{
    enum { BYTES = 8192 };
    uint8_t *a = arena->data, *b = a + BYTES, *to = b + BYTES;
    fill_random(a, 2 * BYTES);
    __m128i zero = _mm_setzero_si128();
    for (uint32_t i = 0; i < count; i++) {
        __m128i weight = _mm_set1_epi16((short)(i & 255)), rest = _mm_set1_epi16((short)(255 - (i & 255)));
        for (uint32_t j = 0; j < BYTES; j += 16) {
            __m128i x = load(a + j), y = load(b + j);
            __m128i low = _mm_add_epi16(_mm_mullo_epi16(_mm_unpacklo_epi8(x, zero), weight),
                                        _mm_mullo_epi16(_mm_unpacklo_epi8(y, zero), rest));
            __m128i high = _mm_add_epi16(_mm_mullo_epi16(_mm_unpackhi_epi8(x, zero), weight),
                                         _mm_mullo_epi16(_mm_unpackhi_epi8(y, zero), rest));
            __m128i mix = _mm_packus_epi16(_mm_srli_epi16(low, 8), _mm_srli_epi16(high, 8));
            store(to + j, _mm_avg_epu8(mix, x));
        }
        __asm__ volatile("" ::: "memory");
    }
    return sum_words((const uint32_t *)to, BYTES / 4);
}

// y = a x + y in packed single precision, with the scalar product beside it.
uint32_t run_saxpy(uint32_t count, struct arena *arena)
{
    enum { LENGTH = 2048 };
    float *x = (float *)arena->data, *y = x + LENGTH;
    for (int i = 0; i < LENGTH; i++) {
        x[i] = (float)(i % 37) * 0.25f - 4.0f;
        y[i] = (float)(i % 53) * 0.125f;
    }
    __m128 dot = _mm_setzero_ps();
    for (uint32_t i = 0; i < count; i++) {
        __m128 a = _mm_set1_ps((i & 1) ? 0.5f : -0.5f);
        for (int j = 0; j < LENGTH; j += 8) {
            __m128 low = _mm_load_ps(x + j), high = _mm_load_ps(x + j + 4);
            __m128 sum_low = _mm_add_ps(_mm_mul_ps(a, low), _mm_load_ps(y + j));
            __m128 sum_high = _mm_add_ps(_mm_mul_ps(a, high), _mm_load_ps(y + j + 4));
            _mm_store_ps(y + j, sum_low);
            _mm_store_ps(y + j + 4, sum_high);
            dot = _mm_add_ps(dot, _mm_mul_ps(sum_low, high));
        }
        dot = _mm_mul_ps(dot, _mm_set1_ps(0.5f));
    }
    __m128i bits = _mm_castps_si128(dot);
    bits = _mm_xor_si128(bits, _mm_shuffle_epi32(bits, 0x4e));
    bits = _mm_xor_si128(bits, _mm_shuffle_epi32(bits, 0xb1));
    return (uint32_t)_mm_cvtsi128_si32(bits) ^ sum_words((const uint32_t *)y, LENGTH);
}

// Five-point stencil over doubles, two at a time, the neighbours unaligned.
uint32_t run_stencil(uint32_t count, struct arena *arena)
{
    enum { WIDTH = 64, HEIGHT = 32 };
    double *from = (double *)arena->data, *to = from + WIDTH * HEIGHT;
    for (int i = 0; i < WIDTH * HEIGHT; i++)
        to[i] = from[i] = (double)(i * 7 % 101) * 0.25;
    __m128d half = _mm_set1_pd(0.5), eighth = _mm_set1_pd(0.125);
    for (uint32_t i = 0; i < count; i++) {
        for (int y = 1; y < HEIGHT - 1; y++) {
            const double *row = from + y * WIDTH;
            double *out = to + y * WIDTH;
            for (int x = 2; x < WIDTH - 2; x += 2) {
                __m128d sides = _mm_add_pd(_mm_loadu_pd(row + x - 1), _mm_loadu_pd(row + x + 1));
                __m128d ends = _mm_add_pd(_mm_load_pd(row + x - WIDTH), _mm_load_pd(row + x + WIDTH));
                __m128d around = _mm_mul_pd(_mm_add_pd(sides, ends), eighth);
                _mm_store_pd(out + x, _mm_add_pd(_mm_mul_pd(_mm_load_pd(row + x), half), around));
            }
        }
        double *swap = from;
        from = to, to = swap;
    }
    return sum_words((const uint32_t *)from, WIDTH * HEIGHT * 2);
}

// Pixels of four bytes to planes of brightness and colour difference and back to pixels: PMADDWD, shuffles, packs
// with saturation and unpacks, as a video player does.
uint32_t run_convert(uint32_t count, struct arena *arena)
{
    enum { PIXELS = 2048 };
    uint8_t *pixels = arena->data, *planes = pixels + 4 * PIXELS, *result = planes + 2 * PIXELS;
    fill_random(pixels, 4 * PIXELS);
    const __m128i brightness = _mm_set_epi16(0, 77, 150, 29, 0, 77, 150, 29);
    const __m128i difference = _mm_set_epi16(0, -43, -85, 127, 0, -43, -85, 127);
    const __m128i zero = _mm_setzero_si128(), middle = _mm_set1_epi16(128);
    for (uint32_t i = 0; i < count; i++) {
        for (uint32_t j = 0; j < PIXELS; j += 8) {
            __m128i parts_y[2], parts_u[2];
            for (int half = 0; half < 2; half++) {
                __m128i four = load(pixels + 4 * j + 16 * half);
                __m128i low = _mm_unpacklo_epi8(four, zero), high = _mm_unpackhi_epi8(four, zero);
                __m128i y0 = _mm_madd_epi16(low, brightness), y1 = _mm_madd_epi16(high, brightness);
                __m128i u0 = _mm_madd_epi16(low, difference), u1 = _mm_madd_epi16(high, difference);
                // Two sums a pixel: even ones beside even ones, so that one addition finishes four pixels.
                __m128i even = _mm_castps_si128(_mm_shuffle_ps(_mm_castsi128_ps(y0), _mm_castsi128_ps(y1), 0x88));
                __m128i odd = _mm_castps_si128(_mm_shuffle_ps(_mm_castsi128_ps(y0), _mm_castsi128_ps(y1), 0xdd));
                parts_y[half] = _mm_srli_epi32(_mm_add_epi32(even, odd), 8);
                even = _mm_castps_si128(_mm_shuffle_ps(_mm_castsi128_ps(u0), _mm_castsi128_ps(u1), 0x88));
                odd = _mm_castps_si128(_mm_shuffle_ps(_mm_castsi128_ps(u0), _mm_castsi128_ps(u1), 0xdd));
                parts_u[half] = _mm_srai_epi32(_mm_add_epi32(even, odd), 8);
            }
            __m128i y = _mm_packs_epi32(parts_y[0], parts_y[1]);
            __m128i u = _mm_add_epi16(_mm_packs_epi32(parts_u[0], parts_u[1]), middle);
            __m128i packed = _mm_packus_epi16(y, u); // eight of either
            store(planes + 2 * j, packed);
            __m128i back = _mm_unpacklo_epi8(packed, _mm_srli_si128(packed, 8)); // Y U Y U ...
            back = _mm_shufflehi_epi16(_mm_shufflelo_epi16(back, 0xb1), 0x4e);
            store(result + 4 * j, _mm_unpacklo_epi16(back, _mm_shuffle_epi32(back, 0x1b)));
            store(result + 4 * j + 16, _mm_unpackhi_epi16(back, _mm_adds_epu8(back, back)));
        }
        *(uint32_t *)(void *)(pixels + (i & (PIXELS - 1)) * 4) += *(uint32_t *)(void *)(result + (i & 255) * 4);
    }
    return sum_words((const uint32_t *)planes, PIXELS / 2) ^ sum_words((const uint32_t *)result, PIXELS);
}

// Where is the byte, and what are the least and the greatest in between: packed comparisons, minimum and maximum,
// PMOVMSKB and a jump on it.
uint32_t run_search(uint32_t count, struct arena *arena)
{
    enum { BYTES = 4096 };
    uint8_t *text = arena->data;
    fill_random(text, BYTES);
    for (uint32_t i = 0; i < BYTES; i++)
        if (text[i] == 0xff)
            text[i] = 0x7f;
    uint32_t result = 0;
    for (uint32_t i = 0; i < count; i++) {
        uint32_t marked = BYTES - 1 - (i * 37 & 1023);
        uint8_t before = text[marked];
        text[marked] = 0xff;
        __m128i wanted = _mm_set1_epi8((char)0xff), low = wanted, high = _mm_setzero_si128();
        __m128i greatest = _mm_set1_epi16(-32768), above = _mm_setzero_si128();
        uint32_t at = 0, found;
        for (;; at += 16) {
            __m128i bytes = load(text + at);
            found = (uint32_t)_mm_movemask_epi8(_mm_cmpeq_epi8(bytes, wanted));
            if (found)
                break;
            low = _mm_min_epu8(low, bytes);
            high = _mm_max_epu8(high, bytes);
            greatest = _mm_max_epi16(greatest, bytes);
            above = _mm_sub_epi8(above, _mm_cmpgt_epi8(bytes, low));
        }
        at += (uint32_t)__builtin_ctz(found);
        text[marked] = before;
        __m128i all = _mm_xor_si128(_mm_xor_si128(low, high), _mm_xor_si128(greatest, above));
        all = _mm_xor_si128(all, _mm_srli_si128(all, 8));
        result = (result << 3 | result >> 29) + at + (uint32_t)_mm_cvtsi128_si32(all);
    }
    return result;
}

// Four generators of random numbers side by side, in registers only: shifts, exclusive or, PMULUDQ, shuffles.
uint32_t run_lanes(uint32_t count, struct arena *arena)
{
    __m128i state = _mm_set_epi32(123456789, 362436069, 521288629, 88675123), sum = _mm_setzero_si128();
    const __m128i factor = _mm_set1_epi32((int)2654435761u);
    for (uint32_t i = 0; i < count; i++) {
        state = _mm_xor_si128(state, _mm_slli_epi32(state, 13));
        state = _mm_xor_si128(state, _mm_srli_epi32(state, 17));
        state = _mm_xor_si128(state, _mm_slli_epi32(state, 5));
        __m128i product = _mm_mul_epu32(state, factor);
        __m128i greater = _mm_cmpgt_epi32(state, sum);
        sum = _mm_add_epi32(sum, _mm_or_si128(_mm_and_si128(greater, product), _mm_andnot_si128(greater, state)));
        sum = _mm_shuffle_epi32(sum, 0x39);
    }
    sum = _mm_xor_si128(sum, _mm_srli_si128(sum, 8));
    sum = _mm_xor_si128(sum, _mm_srli_si128(sum, 4));
    return (uint32_t)_mm_cvtsi128_si32(sum);
}

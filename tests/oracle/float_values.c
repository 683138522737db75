/* See float_values.h. */
#include "float_values.h"

#include "random.h"

#include <string.h>

#define COUNT(array) ((unsigned)(sizeof(array) / sizeof((array)[0])))

/* Exponent and significand, the sign clear; Intel SDM vol. 1, tables 8-2 and 8-3. */
static const struct {
    uint16_t exponent;
    uint64_t significand;
} extended[] = {
    {0x0000, 0x0000000000000000},
    /* denormals, pseudo-denormals, smallest normals */
    {0x0000, 0x0000000000000001},
    {0x0000, 0x0000000000000800},
    {0x0000, 0x4000000000000000},
    {0x0000, 0x7fffffffffffffff},
    {0x0000, 0x8000000000000000},
    {0x0000, 0xffffffffffffffff},
    {0x0001, 0x8000000000000000},
    {0x0001, 0x8000000000000001},
    {0x0001, 0xffffffffffffffff},
    {0x0040, 0x8000000000000001},
    {0x2000, 0x8000000000000000}, /* its square is near the smallest */
    {0x1fff, 0xb504f333f9de6484},
    /* unnormals and pseudo-zeros */
    {0x0001, 0x7fffffffffffffff},
    {0x3fff, 0x0000000000000000},
    {0x3fff, 0x4000000000000000},
    {0x7ffe, 0x7fffffffffffffff},
    /* single and double: smallest, ties on the way to denormals, largest and what rounds beyond */
    {0x3f6a, 0x8000000000000000},
    {0x3f69, 0x8000000000000000},
    {0x3f69, 0x8000000000000001},
    {0x3f80, 0xfffffe0000000000},
    {0x3f80, 0xffffff0000000000},
    {0x3f81, 0x8000000000000000},
    {0x407e, 0xffffff0000000000},
    {0x407e, 0xffffff7fffffffff},
    {0x407e, 0xffffff8000000000},
    {0x3bcd, 0x8000000000000000},
    {0x3bcc, 0x8000000000000000},
    {0x3bcc, 0xc000000000000000},
    {0x3c00, 0xfffffffffffff800},
    {0x3c01, 0x8000000000000000},
    {0x43fe, 0xfffffffffffff800},
    {0x43fe, 0xfffffffffffffbff},
    {0x43fe, 0xfffffffffffffc00},
    /* around one and two; ties at 24, 53 and 64 bits */
    {0x3fbe, 0x8000000000000000},
    {0x3fbf, 0x8000000000000000},
    {0x3fc0, 0x8000000000000001},
    {0x3ffd, 0x95f619980c4336f7}, /* 1 - sqrt(2) / 2, the end of FYL2XP1's range */
    {0x3ffe, 0x8000000000000000},
    {0x3ffe, 0xffffffffffffffff},
    {0x3fff, 0x8000000000000000},
    {0x3fff, 0x8000000000000001},
    {0x3fff, 0x8000008000000000},
    {0x3fff, 0x8000018000000000},
    {0x3fff, 0x8000000000000400},
    {0x3fff, 0x8000000000000c00},
    {0x3fff, 0xc000000000000000},
    {0x3fff, 0xffffffffffffffff},
    {0x4000, 0x8000000000000000},
    {0x4000, 0xa000000000000000}, /* 2.5 */
    {0x4000, 0xc90fdaa22168c235}, /* pi */
    {0x4000, 0xaaaaaaaaaaaaaaab},
    /* integers: ends of 16, 32 and 64 bits and of packed BCD, halves between them */
    {0x400d, 0xfffe000000000000},
    {0x400d, 0xffff000000000000},
    {0x400e, 0x8000000000000000},
    {0x400e, 0x8000800000000000},
    {0x401d, 0xfffffffe00000000},
    {0x401d, 0xffffffff00000000},
    {0x401e, 0x8000000000000000},
    {0x401e, 0x8000000080000000},
    {0x403a, 0xde0b6b3a763ffff0}, /* 10^18 - 1 */
    {0x403a, 0xde0b6b3a763ffff8}, /* 10^18 - 0.5 */
    {0x403a, 0xde0b6b3a76400000},
    {0x403d, 0xffffffffffffffff},
    {0x403d, 0xfffffffffffffffe},
    {0x403e, 0x8000000000000000}, /* 2^63, the end of the trigonometric range */
    {0x403f, 0x8000000000000000},
    /* FSCALE's and FPREM's limits */
    {0x400c, 0xfff8000000000000},
    {0x400d, 0x8002000000000000},
    {0x4050, 0x8765432112345678},
    {0x5fff, 0x8000000000000000},
    {0x6000, 0xb504f333f9de6485},
    {0x7ffd, 0x8000000000000000},
    {0x7ffe, 0x8000000000000000},
    {0x7ffe, 0xffffffffffffffff},
    /* infinity, pseudo-infinity, pseudo-NaNs, NaNs with payloads that NaN selection orders */
    {0x7fff, 0x8000000000000000},
    {0x7fff, 0x0000000000000000},
    {0x7fff, 0x0000000000000001},
    {0x7fff, 0x4000000000000000},
    {0x7fff, 0x8000000000000001},
    {0x7fff, 0x8000010000000000},
    {0x7fff, 0xbfffffffffffffff},
    {0x7fff, 0xc000000000000000},
    {0x7fff, 0xc000000000000001},
    {0x7fff, 0xc000010000000000},
    {0x7fff, 0xffffffffffffffff},
};

static const uint64_t doubles[] = {
    0x0000000000000000, 0x0000000000000001, 0x0000000020000001, 0x0008000000000000, 0x000fffffffffffff,
    0x0010000000000000, 0x0010000000000001, 0x001fffffffffffff, 0x1ff0000000000000, 0x1fe6a09e667f3bcc,
    0x3690000000000000, 0x3690000000000001, 0x36a0000000000000, 0x380fffffc0000000, 0x380fffffe0000000,
    0x380fffffffffffff, 0x3810000000000000, 0x3ca0000000000000, 0x3cb0000000000001, 0x3fdfffffffffffff,
    0x3fe0000000000000, 0x3fe0000000000001, 0x3fefffffffffffff, 0x3ff0000000000000, 0x3ff0000000000001,
    0x3ff0000010000000, 0x3ff0000030000000, 0x3ff8000000000000, 0x3fffffffffffffff, 0x4000000000000000,
    0x4004000000000000, 0x400921fb54442d18, 0x41dfffffffc00000, 0x41dfffffffe00000, 0x41e0000000000000,
    0x41e0000000100000, 0x41e0000000200000, 0x433fffffffffffff, 0x43e0000000000000, 0x47efffffe0000000,
    0x47efffffefffffff, 0x47effffff0000000, 0x47f0000000000000, 0x5fefffffffffffff, 0x5ff6a09e667f3bcd,
    0x7fe0000000000000, 0x7fefffffffffffff, 0x7ff0000000000000, 0x7ff0000000000001, 0x7ff0000020000000,
    0x7ff7ffffffffffff, 0x7ff8000000000000, 0x7ff8000000000001, 0x7ff8000020000000, 0x7fffffffffffffff,
};

static const uint32_t singles[] = {
    0x00000000, 0x00000001, 0x00000100, 0x00400000, 0x007fffff, 0x00800000, 0x00800001, 0x00ffffff, 0x1fb504f3,
    0x20000000, 0x33800000, 0x34000001, 0x3effffff, 0x3f000000, 0x3f000001, 0x3f7fffff, 0x3f800000, 0x3f800001,
    0x3fc00000, 0x3fffffff, 0x40000000, 0x40200000, 0x40490fdb, 0x46fffe00, 0x4b7fffff, 0x4b000001, 0x4effffff,
    0x4f000000, 0x4f000001, 0x5effffff, 0x5f000000, 0x5f3504f3, 0x7f000000, 0x7f7fffff, 0x7f800000, 0x7f800001,
    0x7f800100, 0x7fbfffff, 0x7fc00000, 0x7fc00001, 0x7fc00100, 0x7fffffff,
};

/* Integers carry their sign. */
static const int64_t integers[] = {
    0,
    1,
    2,
    3,
    10,
    127,
    0x7ffe,
    0x7fff,
    0x8000,
    0xffff,
    0x00ffffff,
    0x01000001,
    0x01000003,
    0x3fffffff,
    0x7fffff7f,
    0x7fffff80,
    0x7fffffff,
    0x80000000,
    0xffffffff,
    0x001fffffffffffff,
    0x0020000000000001,
    0x0020000000000003,
    0x4000000000000000,
    0x7ffffffffffffdff,
    0x7ffffffffffffe00,
    0x7fffffffffffffff,
};
static const unsigned integers16 = 8, integers32 = 17;

/* Little-endian digits, the sign byte clear. FBLD does not check digits, and so A to F are there. */
static const uint8_t decimals[][9] = {
    {0},
    {0x01},
    {0x99},
    {0x00, 0x01},
    {0x67, 0x27, 0x03},
    {0x99, 0x99, 0x99, 0x99, 0x99, 0x99, 0x99, 0x99, 0x99},
    {0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x10},
    {0x92, 0x09, 0x74, 0x54, 0x25, 0x99, 0x71, 0x00, 0x90},
    {0x0a, 0xf0, 0xff, 0xbc},
    {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff},
};

unsigned float_edge_count(enum float_set set)
{
    switch (set) {
    case FLOAT_EXTENDED:
        return 2 * COUNT(extended);
    case FLOAT_DOUBLE:
        return 2 * COUNT(doubles);
    case FLOAT_SINGLE:
        return 2 * COUNT(singles);
    case FLOAT_INT16:
        return 2 * integers16 + 1;
    case FLOAT_INT32:
        return 2 * integers32 + 1;
    case FLOAT_INT64:
        return 2 * COUNT(integers) + 1;
    case FLOAT_BCD:
        return 2 * COUNT(decimals);
    default:
        return 1;
    }
}

unsigned float_set_size(enum float_set set)
{
    static const uint8_t sizes[FLOAT_SETS] = {0, 10, 8, 4, 2, 4, 8, 10};

    return sizes[set];
}

static void put_extended(uint8_t *out, uint64_t significand, unsigned sign_exponent)
{
    memcpy(out, &significand, 8);
    out[8] = (uint8_t)sign_exponent;
    out[9] = (uint8_t)(sign_exponent >> 8);
}

/* A random one: half of the floating-point ones within a few powers of two of 1, where results are inexact. */
static void random_value(enum float_set set, struct random *random, uint8_t *out)
{
    uint64_t bits = random_next(random);
    bool near = random_percent(random, 50);
    unsigned sign = (unsigned)(random_next(random) & 1), exponent = random_below(random, 64);

    switch (set) {
    case FLOAT_EXTENDED:
        put_extended(out, bits | 1ull << 63,
                     sign << 15 | (near ? 0x3fff - 32 + exponent : (unsigned)random_next(random) & 0x7fff));
        break;
    case FLOAT_DOUBLE:
        if (near)
            bits = (bits & 0x800fffffffffffff) | (uint64_t)(0x3ff - 32 + exponent) << 52;
        memcpy(out, &bits, 8);
        break;
    case FLOAT_SINGLE:
        if (near)
            bits = (bits & 0x807fffff) | (0x7f - 32 + exponent) << 23;
        memcpy(out, &bits, 4);
        break;
    case FLOAT_BCD:
        for (unsigned i = 0; i < 9; i++)
            out[i] = (uint8_t)(random_below(random, 10) << 4 | random_below(random, 10));
        out[9] = (uint8_t)bits; /* bits 6..0 of the sign byte mean nothing */
        break;
    default:
        bits = (uint64_t)((int64_t)bits >> (near ? exponent : 0));
        memcpy(out, &bits, float_set_size(set));
        break;
    }
}

void float_value(enum float_set set, unsigned index, uint64_t seed, uint8_t out[10])
{
    unsigned half = index / 2, negative = index & 1;

    if (index >= float_edge_count(set)) {
        struct random random = {seed ^ ((uint64_t)set << 56) ^ ((uint64_t)index << 32)};

        random_value(set, &random, out);
        return;
    }
    switch (set) {
    case FLOAT_NOTHING:
        break;
    case FLOAT_EXTENDED:
        put_extended(out, extended[half].significand, negative << 15 | extended[half].exponent);
        break;
    case FLOAT_DOUBLE: {
        uint64_t value = doubles[half] | (uint64_t)negative << 63;
        memcpy(out, &value, 8);
        break;
    }
    case FLOAT_SINGLE: {
        uint32_t value = singles[half] | negative << 31;
        memcpy(out, &value, 4);
        break;
    }
    case FLOAT_BCD:
        memcpy(out, decimals[half], 9);
        out[9] = negative ? 0x80 : 0;
        break;
    default: { /* the last one is the smallest, which has no positive counterpart */
        uint64_t value = index + 1 == float_edge_count(set) ? 1ull << (8 * float_set_size(set) - 1)
                         : negative                         ? 0 - (uint64_t)integers[half]
                                                            : (uint64_t)integers[half];
        memcpy(out, &value, float_set_size(set));
        break;
    }
    }
}

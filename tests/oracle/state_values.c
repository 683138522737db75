/* See state_values.h. */
#include "state_values.h"

#include "cpu/fxsave.h"

#include <string.h>

static const uint32_t edges[] = {
    0, 1, 2, 3, 4, 7, 8, 15, 16, 31, 32, 33, 0x7e, 0x7f, 0x80, 0x81, 0xfe, 0xff, 0x100, 0x7ffe, 0x7fff, 0x8000, 0x8001, 0xfffe,
    0xffff, 0x10000, 0x7ffffffe, 0x80000000, 0x80000001, 0xfffffffe, 0xffffffff, 0xffffff80, 0xffff8000, 0x55555555,
    0xaaaaaaaa, 0x99, 0x9a, 0x0f, 0xf0, 0xffff0000,
};

uint32_t state_edge32(struct random *random)
{
    return edges[random_below(random, ARRAY_SIZE(edges))];
}

static bool in_harness(uint32_t value)
{
    return value >= HARNESS_BEGIN - 0x10000 && value < HARNESS_END;
}

uint32_t state_data_address(struct random *random)
{
    static const uint32_t pages[] = {0, 0x1000, 0x2000, 0x3000, 0x4000, 0xf000, 0x10000, 0xfffff000, 0x5000};
    uint32_t page = random_percent(random, 75) ? pages[random_below(random, 2)] : pages[random_below(random, ARRAY_SIZE(pages))];
    uint32_t offset;

    switch (random_below(random, 8)) {
    case 0:
        offset = 4096 - random_below(random, 20);
        break;
    case 1:
        offset = random_below(random, 16);
        break;
    case 2:
        offset = random_below(random, 64) * 64 - random_below(random, 16); /* over cache lines */
        break;
    default:
        offset = random_below(random, 4096);
        break;
    }
    return ARENA_DATA + page + offset;
}

uint32_t state_register(struct random *random)
{
    uint32_t value;

    switch (random_below(random, 4)) {
    case 0:
    case 1:
        return state_edge32(random);
    case 2:
        return state_data_address(random);
    default:
        do
            value = (uint32_t)random_next(random);
        while (in_harness(value));
        return value;
    }
}

uint16_t state_selector(struct random *random)
{
    static const uint16_t gdt[] = {0, 1, 2, 3, SELECTOR_USER_CODE32, SELECTOR_USER_DATA, SELECTOR_USER_DATA, 0x28, 0x29, 0x20,
                                   0x08, 0x0b, 0x10, 0x13, 0x18, 0x1b, 0x40, 0x43, 0x50, 0x53, 0x60, 0x63, 0x80, 0x83, 0xfffb};

    switch (random_below(random, 8)) {
    case 0:
    case 1:
    case 2:
        return gdt[random_below(random, ARRAY_SIZE(gdt))];
    case 3: /* an RPL that is not 3, an entry beyond the limit */
        return (uint16_t)(random_below(random, ORACLE_LDT_COUNT + 3) * 8 + 4 + random_below(random, 4));
    default:
        return SELECTOR_LDT(random_below(random, ORACLE_LDT_COUNT));
    }
}

uint32_t segment_base(uint16_t selector)
{
    static const uint32_t bases[] = {
#define X(n, name, base, ...) base,
        ORACLE_LDT(X)
#undef X
    };

    return (selector & 4) && selector / 8u < ORACLE_LDT_COUNT ? bases[selector / 8] : 0;
}

bool segment_is_code32(uint16_t selector)
{
    static const bool wide[] = {
#define X(n, name, base, limit, bits32, ...) bits32,
        ORACLE_LDT(X)
#undef X
    };

    return !(selector & 4) || selector / 8u >= ORACLE_LDT_COUNT || wide[selector / 8];
}

uint32_t state_operand_offset(const struct decoded_instruction *insn, const struct operand *o,
                              const struct oracle_registers *registers)
{
    uint32_t offset = (uint32_t)o->value;

    if (o->base < 8)
        offset += (uint32_t)registers->gpr[o->base];
    if (o->index < 8)
        offset += (uint32_t)registers->gpr[o->index] << o->scale;
    return insn->address_size == 2 ? offset & 0xffff : offset;
}

/* ---- x87, MMX, SSE ---- */

struct extended {
    uint64_t mantissa;
    uint16_t sign_exponent;
};

static struct extended random_extended(struct random *random)
{
    static const struct extended special[] = {
        {0, 0}, {0, 0x8000}, {0x8000000000000000, 0x3fff}, {0x8000000000000000, 0xbfff}, {0xc000000000000000, 0x3fff},
        {1, 0}, {0x7fffffffffffffff, 0}, {0x8000000000000000, 0} /* pseudo-denormal */, {0xffffffffffffffff, 0x8000},
        {0x8000000000000000, 1}, {0xffffffffffffffff, 0x7ffe}, {0xffffffffffffffff, 0xfffe},
        {0x8000000000000000, 0x7fff}, {0x8000000000000000, 0xffff} /* infinities */,
        {0xc000000000000000, 0x7fff}, {0xc000000000000000, 0xffff}, {0xc000000000000001, 0x7fff} /* quiet NaN */,
        {0x8000000000000001, 0x7fff}, {0xbfffffffffffffff, 0xffff} /* signalling */,
        {0, 0x7fff}, {0x4000000000000000, 0x7fff} /* pseudo-infinity, pseudo-NaN */,
        {0x4000000000000000, 0x3fff}, {0, 0x3fff} /* unnormal, pseudo-zero */,
        {0x8000000000000000, 0x401e}, {0x8000000000000000, 0xc01e}, {0xffffffff00000000, 0x401d} /* 2^31 */,
        {0x8000000000000000, 0x403e}, {0x8000000000000000, 0xc03e}, {0x8000000000000000, 0x400e}, {0xfffe000000000000, 0x400d},
        {0xc90fdaa22168c235, 0x4000}, {0x8000000000000000, 0x3ffe}, {0x8000000000000001, 0x3ffe},
        {0xffffff8000000000, 0x407e}, {0xffffff7fffffffff, 0x407e}, {0x8000000000000000, 0x3f81},
        {0xfffffffffffffc00, 0x43fe}, {0xfffffffffffffbff, 0x43fe}, {0x8000000000000000, 0x3c01}, {0x8000000000000000, 0x3bcc},
    };

    if (random_percent(random, 55))
        return special[random_below(random, ARRAY_SIZE(special))];
    struct extended e = {random_next(random), (uint16_t)random_next(random)};
    if (random_percent(random, 85))
        e.mantissa |= 0x8000000000000000;
    if (random_percent(random, 60))
        e.sign_exponent = (uint16_t)((e.sign_exponent & 0x8000) | (0x3fff - 70 + random_below(random, 140)));
    return e;
}

static const uint32_t singles[] = {0, 0x80000000, 0x3f800000, 0xbf800000, 1, 0x807fffff, 0x00800000, 0x7f7fffff, 0x7f800000,
                                   0xff800000, 0x7fc00000, 0xffc00001, 0x7f800001, 0xffbfffff, 0x4f000000, 0xcf000000,
                                   0x4effffff, 0x3f000000, 0x40490fdb, 0x5f000000, 0x4b800001};
static const uint64_t doubles[] = {0, 0x8000000000000000, 0x3ff0000000000000, 0xbff0000000000000, 1, 0x800fffffffffffff,
                                   0x0010000000000000, 0x7fefffffffffffff, 0x7ff0000000000000, 0xfff0000000000000,
                                   0x7ff8000000000000, 0xfff8000000000001, 0x7ff0000000000001, 0xfff7ffffffffffff,
                                   0x41e0000000000000, 0xc1e0000000000000, 0xc1e0000000200000, 0x41dfffffffc00000,
                                   0x3fe0000000000000, 0x47efffffe0000000, 0x47effffff0000000, 0x36a0000000000000,
                                   0x380fffffe0000000, 0x43e0000000000000};

static uint64_t random_lane(struct random *random)
{
    switch (random_below(random, 4)) {
    case 0:
        return singles[random_below(random, ARRAY_SIZE(singles))] |
               (uint64_t)singles[random_below(random, ARRAY_SIZE(singles))] << 32;
    case 1:
        return doubles[random_below(random, ARRAY_SIZE(doubles))];
    case 2:
        return random_next(random) & 0x9fffffff9fffffff; /* not too large */
    default:
        return random_next(random);
    }
}

void state_fpu(struct random *random, uint8_t *fx)
{
    struct fxsave_image *image = (void *)fx;
    bool masked = random_percent(random, 75);

    memset(fx, 0, sizeof *image);
    image->fcw = (uint16_t)(0x0040 | (random_next(random) & 0x0f00) | (masked ? 0x3f : random_next(random) & 0x3f));
    if (random_percent(random, 40))
        image->fcw |= 0x0300;
    image->fsw = (uint16_t)(random_next(random) & 0x7f7f);
    if (random_percent(random, 60))
        image->fsw &= 0x7f00;
    if (random_percent(random, 50))
        image->fsw &= ~0x3800;
    if (random_percent(random, 90))
        image->fsw &= (uint16_t)~(~image->fcw & 0x3f); /* nothing pending */
    if (image->fsw & ~image->fcw & 0x3f)
        image->fsw |= 0x8080;
    /* FCS and FDS stay zero, as processors of today store them. */
    image->fop = (uint16_t)(random_next(random) & 0x7ff);
    image->fip = (uint32_t)random_next(random);
    image->fdp = (uint32_t)random_next(random);
    image->ftw = random_percent(random, 40) ? 0xff : random_percent(random, 30) ? 0 : (uint8_t)random_next(random);
    for (unsigned i = 0; i < 8; i++) {
        struct extended e = random_extended(random);
        memcpy(image->st[i], &e.mantissa, 8);
        memcpy(image->st[i] + 8, &e.sign_exponent, 2);
        if (random_percent(random, 15)) { /* as MMX leaves it */
            uint64_t lane = random_lane(random);
            memcpy(image->st[i], &lane, 8);
            memset(image->st[i] + 8, 0xff, 2);
        }
        uint64_t lanes[2] = {random_lane(random), random_lane(random)};
        memcpy(image->xmm[i], lanes, 16);
    }
    image->mxcsr = 0x1f80 & (random_percent(random, 75) ? ~0u : (uint32_t)random_next(random));
    image->mxcsr |= (uint32_t)random_next(random) & 0x6000;
    if (random_percent(random, 30))
        image->mxcsr |= (uint32_t)random_next(random) & 0x3f;
    if (random_percent(random, 15))
        image->mxcsr |= 0x8000;
    if (random_percent(random, 15))
        image->mxcsr |= 0x0040;
}

/* See block_plan.h: stores into the code of the block itself. */
#include "block_plan.h"

#include <string.h>

/* An instruction whose immediate may become anything. */
static void add_victim(struct block_plan *b)
{
    struct random *r = &b->m->random;
    unsigned reg = block_free_register(b), size = block_immediate_size(b), n = 0, at;
    uint32_t value = state_edge32(r);
    uint8_t code[8];

    if (b->victim_count >= BLOCK_VICTIMS)
        return;
    if (random_percent(r, 20)) {
        code[n++] = 0x66;
        size = 6 - size;
    }
    switch (random_below(r, 4)) {
    case 0:
        code[n++] = (uint8_t)(0xb8 + reg);
        break;
    case 1: /* group 1 with EAX */
        code[n++] = (uint8_t)(0x05 | random_below(r, 8) << 3);
        break;
    case 2:
        code[n++] = 0x81;
        code[n++] = (uint8_t)(0xc0 | random_below(r, 8) << 3 | reg);
        break;
    default: /* one byte; AL, CL, DL, BL may be reserved */
        code[n++] = 0x80;
        code[n++] = (uint8_t)(0xc0 | random_below(r, 8) << 3);
        size = 1;
        break;
    }
    at = n;
    memcpy(code + n, &value, size);
    if (block_add(b, code, n + size))
        b->victims[b->victim_count++] = (struct victim){(int16_t)(b->count - 1), (uint8_t)at, (uint8_t)size};
}

/* Segment override for flat memory, 0 for DS, -1: there is none. */
static int flat_prefix(const struct block_plan *b)
{
    static const uint8_t prefixes[] = {0x26, 0x2e, 0x36, 0, 0x64, 0x65};

    for (unsigned i = 3; i < 9; i++)
        if (i % 6 != ORACLE_CS && b->registers->segment[i % 6] == SELECTOR_USER_DATA)
            return prefixes[i % 6];
    return -1;
}

/* A store to byte WITHIN of piece TO: [disp32] in 32-bit addressing. OPERATION has opcode and ModRM.reg, TAIL
 * immediates. */
static void add_store_to(struct block_plan *b, const uint8_t *opcode, unsigned opcode_length, uint8_t reg, int16_t to,
                         unsigned within, const void *tail, unsigned tail_length)
{
    struct random *r = &b->m->random;
    int prefix = flat_prefix(b);
    bool based = random_percent(r, 40);
    uint8_t code[16];
    unsigned n = 0;

    if (!b->code32)
        code[n++] = 0x67;
    if (prefix > 0)
        code[n++] = (uint8_t)prefix;
    else if (b->base == GPR_BP && based)
        code[n++] = 0x3e;
    memcpy(code + n, opcode, opcode_length);
    n += opcode_length;
    code[n++] = (uint8_t)(reg << 3 | (based ? 0x80 | b->base : 5));
    unsigned field = n;
    memset(code + n, 0, 4);
    n += 4;
    memcpy(code + n, tail, tail_length);
    struct piece *p = block_add(b, code, n + tail_length);
    if (!p)
        return;
    p->kind = FIELD_LINEAR;
    p->field = (uint8_t)field;
    p->field_size = 4;
    p->to = to;
    p->within = (uint8_t)within;
    p->bias = based ? (uint32_t)b->registers->gpr[b->base] : 0;
}

static void add_store(struct block_plan *b, int16_t to, unsigned at, unsigned size)
{
    static const uint8_t byte_operations[][3] = {
        /* opcode, ModRM.reg, immediate follows */
        {0xc6, 0, 1}, {0x88, 0, 0}, {0x80, 0, 1}, {0x80, 6, 1}, {0xfe, 0, 0},
        {0xf6, 2, 0}, {0x86, 0, 0}, {0x08, 4, 0}, {0xc0, 0, 1},
    };
    static const uint8_t wide_operations[][3] = {
        {0xc7, 0, 2}, {0x89, 0, 0}, {0x81, 0, 2}, {0x83, 5, 1}, {0xff, 1, 0},
        {0xf7, 3, 0}, {0x87, 0, 0}, {0x01, 0, 0}, {0xc1, 1, 1},
    };
    struct random *r = &b->m->random;
    bool byte = size == 1 || random_percent(r, 40);
    const uint8_t *o = byte ? byte_operations[random_below(r, 9)] : wide_operations[random_below(r, 9)];
    uint8_t opcode[2] = {o[0]};
    unsigned n = 1, width = block_immediate_size(b);
    uint32_t value = random_percent(r, 50) ? state_edge32(r) : (uint32_t)random_next(r);

    if (!byte && size != width) {
        opcode[0] = 0x66;
        opcode[1] = o[0];
        n = 2;
        width = size;
    }
    add_store_to(b, opcode, n, o[1], to, byte ? at + random_below(r, size) : at, &value,
                 o[2] == 1   ? 1
                 : o[2] == 2 ? width
                             : 0);
}

void block_add_self_modification(struct block_plan *b)
{
    struct random *r = &b->m->random;

    if (flat_prefix(b) < 0)
        return;
    if (random_percent(r, 25)) { /* another opcode, one or two instructions further on or right behind */
        unsigned reg = block_free_register(b), between = random_below(r, 3);
        uint8_t before = (uint8_t)((random_percent(r, 50) ? 0x40 : 0x48) | reg), move = 0xc6;
        uint8_t after = random_percent(r, 30) ? 0x90 : random_percent(r, 50) ? (uint8_t)(before ^ 8) : 0xf8 /* CLC */;
        unsigned store = b->count;

        add_store_to(b, &move, 1, 0, PIECE_NONE, 0, &after, 1);
        for (unsigned i = 0; i < between; i++)
            block_add_random(b);
        if (store < b->count) {
            b->pieces[store].to = (int16_t)b->count;
            block_add(b, &before, 1);
        }
        return;
    }
    if (!b->victim_count || random_percent(r, 50)) {
        unsigned known = b->victim_count;

        if (random_percent(r, 30)) { /* behind the victim: seen by the next round, if any */
            add_victim(b);
            if (b->victim_count > known)
                add_store(b, b->victims[known].piece, b->victims[known].at, b->victims[known].size);
            return;
        }
        /* In front of it. The victim's shape is needed first: make it, and put the store before it. */
        if (b->count + 1 >= BLOCK_PIECES)
            return;
        unsigned place = b->count;
        add_victim(b);
        if (b->victim_count == known)
            return;
        struct victim *v = &b->victims[known];
        add_store(b, v->piece, v->at, v->size);
        if (b->count == place + 2) {
            struct piece victim = b->pieces[place];

            b->pieces[place] = b->pieces[place + 1];
            b->pieces[place + 1] = victim;
            b->pieces[place].to = (int16_t)(place + 1);
            v->piece = (int16_t)(place + 1);
        }
        return;
    }
    const struct victim *v = &b->victims[random_below(r, b->victim_count)];
    add_store(b, v->piece, v->at, v->size);
}

/* See generate.h and block_plan.h. A block is a tree: sequences hold instructions, forward jumps within the sequence,
 * loops, calls and stores into the block's own code. Places are known, and so branches filled in, when all pieces are
 * there. */
#include "block_plan.h"

#include <string.h>

struct pending { /* a forward jump that looks for its target */
    int16_t piece;
    uint8_t items;
};

#define PENDING 4

static void add_sequence(struct block_plan *b, unsigned items, bool may_nest);

/* ---- pieces ---- */

#define FUNCTION_ROOM 24

struct piece *block_add(struct block_plan *b, const void *code, unsigned length)
{
    if (b->count >= BLOCK_PIECES || b->bytes + length > ORACLE_MAX_CODE - 16)
        return NULL;
    struct piece *piece = &b->pieces[b->count++];
    *piece = (struct piece){.length = (uint8_t)length, .to = PIECE_NONE};
    memcpy(piece->code, code, length);
    b->bytes += length;
    b->steps++;
    return piece;
}

/* Room for more than what has to come. */
static bool has_room(const struct block_plan *b)
{
    return b->count + 12 + 6 * b->functions < BLOCK_PIECES &&
           b->bytes + 64 + FUNCTION_ROOM * (b->functions + 1) < ORACLE_MAX_CODE - 16;
}

unsigned block_immediate_size(const struct block_plan *b)
{
    return b->code32 ? 4 : 2;
}

/* MOV REG, VALUE with all 32 bits, or with as many as the code has. */
static struct piece *add_load(struct block_plan *b, unsigned reg, uint32_t value, bool whole)
{
    uint8_t code[8];
    unsigned n = 0, size = whole ? 4 : block_immediate_size(b);

    if (whole && !b->code32)
        code[n++] = 0x66;
    code[n++] = (uint8_t)(0xb8 + reg);
    memcpy(code + n, &value, size);
    return block_add(b, code, n + size);
}

unsigned block_free_register(struct block_plan *b)
{
    unsigned reg;

    do
        reg = random_below(&b->m->random, 8);
    while (b->reserved >> reg & 1);
    return reg;
}

static struct piece *add_relative(struct block_plan *b, uint8_t opcode)
{
    uint8_t code[2] = {opcode, 0};
    struct piece *p = block_add(b, code, 2);

    if (!p)
        return NULL;
    p->kind = FIELD_RELATIVE;
    p->field = 1;
    p->field_size = 1;
    return p;
}

/* A short jump or Jcc becomes a near one. */
static void widen(struct block_plan *b, struct piece *p)
{
    unsigned size = block_immediate_size(b), n = 0;

    b->bytes -= p->length;
    if (!b->code32 && random_percent(&b->m->random, 20)) {
        memmove(p->code + 1, p->code, 1);
        p->code[n++] = 0x66;
        size = 4;
    }
    uint8_t opcode = p->code[n];
    if (opcode == 0xeb) {
        p->code[n++] = 0xe9;
    } else {
        p->code[n++] = 0x0f;
        p->code[n++] = (uint8_t)(0x80 | (opcode & 15));
    }
    p->field = (uint8_t)n;
    p->field_size = (uint8_t)size;
    p->length = (uint8_t)(n + size);
    b->bytes += p->length;
}

/* ---- jumps and calls ---- */

static uint8_t random_condition(struct block_plan *b)
{
    return (uint8_t)(0x70 | random_below(&b->m->random, 16));
}

/* Returns the piece whose target is open. */
static struct piece *add_forward(struct block_plan *b)
{
    struct random *r = &b->m->random;
    struct piece *p;
    unsigned reg;

    switch (random_below(r, 12)) {
    case 0:
        p = add_relative(b, 0xe3); /* JECXZ */
        return p;
    case 1:
    case 2:
        p = add_relative(b, 0xeb);
        break;
    case 3: { /* MOV, JMP register */
        reg = block_free_register(b);
        p = add_load(b, reg, 0, false);
        uint8_t jump[2] = {0xff, (uint8_t)(0xe0 | reg)};
        if (!p || !block_add(b, jump, 2))
            return NULL;
        p->kind = FIELD_EIP;
        p->field = 1;
        p->field_size = (uint8_t)block_immediate_size(b);
        return p;
    }
    case 4: { /* PUSH, RET */
        if (b->no_stack)
            goto conditional;
        uint8_t push[5] = {0x68}, ret = 0xc3;
        p = block_add(b, push, 1 + block_immediate_size(b));
        if (!p || !block_add(b, &ret, 1))
            return NULL;
        b->stack_accesses += 2;
        p->kind = FIELD_EIP;
        p->field = 1;
        p->field_size = (uint8_t)block_immediate_size(b);
        return p;
    }
    default:
    conditional:
        p = add_relative(b, random_condition(b));
        break;
    }
    if (p && random_percent(r, 40))
        widen(b, p);
    return p;
}

static void add_call(struct block_plan *b)
{
    struct random *r = &b->m->random;
    unsigned size = block_immediate_size(b), which = random_below(r, 2);
    struct piece *p;

    if (b->functions < 2)
        which = b->functions++;
    if (random_percent(r, 30)) {
        unsigned reg = block_free_register(b);
        uint8_t call[2] = {0xff, (uint8_t)(0xd0 | reg)};

        p = add_load(b, reg, 0, false);
        if (!p || !block_add(b, call, 2))
            return;
        p->kind = FIELD_EIP;
    } else {
        uint8_t call[5] = {0xe8};

        p = block_add(b, call, 1 + size);
        if (!p)
            return;
        p->kind = FIELD_RELATIVE;
    }
    p->field = 1;
    p->field_size = (uint8_t)size;
    p->to = (int16_t)(-2 - (int)which); /* until the function is there */
    b->stack_accesses += 2;
}

static void add_functions(struct block_plan *b)
{
    struct random *r = &b->m->random;
    unsigned functions = b->functions;
    int16_t at[2];

    if (!functions)
        return;
    struct piece *over = add_relative(b, 0xeb);
    b->no_stack = true;
    for (unsigned i = 0; i < functions; i++) {
        static const uint8_t ret[2][3] = {{0xc3}, {0xc2, 0, 0}};
        bool pops = random_percent(r, 25);

        at[i] = (int16_t)b->count;
        b->functions = functions - i - 1;
        if (has_room(b))
            add_sequence(b, 1 + random_below(r, 3), false);
        block_add(b, ret[pops], pops ? 3 : 1);
    }
    b->functions = functions;
    if (over)
        over->to = (int16_t)b->count;
    for (unsigned i = 0; i < b->count; i++)
        if (b->pieces[i].to <= -2)
            b->pieces[i].to = at[-2 - b->pieces[i].to];
}

static void add_loop(struct block_plan *b)
{
    struct random *r = &b->m->random;
    unsigned rounds = 1 + random_below(r, 5), c = b->counter, before = b->steps;
    struct piece *p;

    if (!add_load(b, c, rounds, false))
        return;
    int16_t top = (int16_t)b->count;
    b->in_loop = true;
    add_sequence(b, 1 + random_below(r, 5), false);
    b->in_loop = false;
    unsigned form = random_below(r, 6);
    if (form == 0 && c == GPR_CX) {
        p = add_relative(b, (uint8_t)(0xe0 + random_below(r, 3))); /* LOOPNE LOOPE LOOP */
        unsigned bytes = 0;
        for (unsigned i = (unsigned)top; i < b->count; i++)
            bytes += b->pieces[i].length + (b->pieces[i].kind == FIELD_RELATIVE ? 4u : 0);
        if (p && bytes > 120)
            p->to = (int16_t)b->count; /* too far: to the next */
        else if (p)
            p->to = top;
    } else {
        uint8_t dec[3] = {(uint8_t)(0x48 + c)}, sub[3] = {0x83, (uint8_t)(0xe8 + c), 1},
                add[3] = {0x83, (uint8_t)(0xc0 + c), 0xff};

        block_add(b, form < 4 ? dec : form == 4 ? sub : add, form < 4 ? 1 : 3);
        p = add_relative(b, 0x75);
        if (p) {
            p->to = top;
            if (random_percent(r, 30))
                widen(b, p);
        }
    }
    b->steps += (b->steps - before) * (rounds - 1);
}

/* ---- strings ---- */

static void add_string(struct block_plan *b)
{
    static const uint8_t opcodes[] = {0xa4, 0xa5, 0xa6, 0xa7, 0xaa, 0xab, 0xac, 0xad, 0xae, 0xaf};
    struct random *r = &b->m->random;
    uint8_t opcode = opcodes[random_below(r, sizeof opcodes)], code[3];
    uint16_t ds = b->registers->segment[ORACLE_DS], es = b->registers->segment[ORACLE_ES];
    bool source = opcode < 0xa8 || (opcode & 0xfe) == 0xac, destination = (opcode & 0xfe) != 0xac;
    bool narrow = random_percent(r, 20);
    bool repeat = random_percent(r, 60) && !((b->in_loop || b->no_stack) && b->counter == GPR_CX);
    unsigned size = !(opcode & 1) ? 1 : narrow == b->code32 ? 2 : 4, n = 0, count = random_below(r, 8);

    if (!block_reaches_data(ds, b->code32) || !block_reaches_data(es, b->code32))
        return;
    unsigned span = repeat && count ? count * size : size;
    if (source)
        add_load(b, GPR_SI, block_choose_target(b, span, false, ds, b->code32) - segment_base(ds), true);
    if (destination)
        add_load(b, GPR_DI,
                 block_choose_target(b, span, opcode < 0xa6 || (opcode & 0xfe) == 0xaa, es, b->code32) -
                     segment_base(es),
                 true);
    if (repeat) {
        add_load(b, GPR_CX, count, false);
        code[n++] = random_percent(r, 30) ? 0xf2 : 0xf3;
    }
    if (narrow)
        code[n++] = 0x66;
    code[n++] = opcode;
    block_add(b, code, n);
    b->steps += repeat ? count : 0;
    if (b->index == GPR_SI ? source : destination)
        add_load(b, b->index, (uint32_t)b->registers->gpr[b->index], true);
}

/* ---- the tree ---- */

static void add_item(struct block_plan *b, bool may_nest)
{
    unsigned what = random_below(&b->m->random, 100);

    if (what < 7 && may_nest)
        add_loop(b);
    else if (what < 12 && !b->no_stack)
        add_call(b);
    else if (what < 19)
        block_add_self_modification(b);
    else if (what < 24)
        add_string(b);
    else
        block_add_random(b);
}

static void add_sequence(struct block_plan *b, unsigned items, bool may_nest)
{
    struct random *r = &b->m->random;
    struct pending pending[PENDING];
    unsigned open = 0;

    for (unsigned item = 0; item < items && has_room(b) && (!may_nest || b->count < b->wanted); item++) {
        for (unsigned i = 0; i < open;) {
            if (--pending[i].items) {
                i++;
                continue;
            }
            b->pieces[pending[i].piece].to = (int16_t)b->count;
            pending[i] = pending[--open];
        }
        if (open < PENDING && random_percent(r, 14)) {
            struct piece *p = add_forward(b);

            if (p)
                pending[open++] = (struct pending){(int16_t)(p - b->pieces), (uint8_t)(1 + random_below(r, 4))};
        } else {
            add_item(b, may_nest);
        }
    }
    for (unsigned i = 0; i < open; i++)
        b->pieces[pending[i].piece].to = (int16_t)b->count;
}

/* ---- places ---- */

static uint32_t place_of(const struct block_plan *b, int16_t piece)
{
    return piece < 0 ? 0 : piece < (int16_t)b->count ? b->pieces[piece].at : b->bytes;
}

static void lay_out(struct block_plan *b)
{
    for (bool again = true; again;) {
        uint32_t at = 0;

        again = false;
        for (unsigned i = 0; i < b->count; i++) {
            b->pieces[i].at = (uint16_t)at;
            at += b->pieces[i].length;
        }
        for (unsigned i = 0; i < b->count; i++) {
            struct piece *p = &b->pieces[i];
            int32_t distance = (int32_t)(place_of(b, p->to) - p->at - p->length);

            if (p->kind != FIELD_RELATIVE || p->field_size != 1 || distance == (int8_t)distance)
                continue;
            if ((p->code[0] & 0xf0) == 0xe0 && p->code[0] != 0xeb) { /* LOOP, JECXZ */
                p->to = (int16_t)(i + 1);
                continue;
            }
            widen(b, p);
            again = true;
        }
    }
}

static void fill_in(struct block_plan *b)
{
    const struct oracle_input *in = b->m->in;
    uint32_t eip = ARENA_CODE + in->code_offset - segment_base(in->registers.segment[ORACLE_CS]);

    for (unsigned i = 0; i < b->count; i++) {
        struct piece *p = &b->pieces[i];
        uint32_t place = place_of(b, p->to), value;

        if (p->kind == FIELD_NONE)
            continue;
        if (p->kind == FIELD_RELATIVE)
            value = place - p->at - p->length;
        else if (p->kind == FIELD_EIP)
            value = eip + place;
        else
            value = ARENA_CODE + in->code_offset + place + p->within - p->bias;
        memcpy(p->code + p->field, &value, p->field_size);
    }
}

/* ---- the state ---- */

static void choose_plan_state(struct block_plan *b)
{
    struct making *m = b->m;
    struct random *r = &m->random;
    struct oracle_registers *regs = b->registers;
    uint16_t *s = regs->segment;

    choose_segments(m);
    if (random_percent(r, b->code32 ? 75 : 60)) {
        for (unsigned i = 0; i < 6; i++)
            if (i != ORACLE_CS)
                s[i] = b->code32 || i >= ORACLE_FS ? SELECTOR_USER_DATA : SELECTOR_LDT(LDT_DATA16);
        if (!b->code32 && random_percent(r, 50))
            s[ORACLE_ES] = SELECTOR_USER_DATA;
        m->trap = false;
    }
    choose_registers(m);
    if (random_percent(r, 80))
        regs->eflags &= ~(FLAG_AC | FLAG_NT);
    b->base = random_percent(r, 50) ? GPR_BX : GPR_BP;
    b->index = random_percent(r, 50) ? GPR_SI : GPR_DI;
    b->counter = random_percent(r, 60) ? GPR_CX : GPR_DX;
    b->reserved = (uint8_t)(1u << b->base | 1u << b->index | 1u << b->counter | 1u << GPR_SP);
    for (unsigned i = 0; i < 2; i++) {
        unsigned seg = i ? ORACLE_DS : b->base == GPR_BP ? ORACLE_SS : ORACLE_DS;
        uint32_t value = ARENA_DATA + 0x200 + random_below(r, 0x1800) - segment_base(s[seg]);

        if (random_percent(r, 60))
            value &= ~15u;
        if (!b->code32 && random_percent(r, 15))
            value = (value & 0xffff) | (uint32_t)random_next(r) << 16;
        regs->gpr[i ? b->index : b->base] = value;
    }
    for (unsigned i = 0; i < BLOCK_SLOTS; i++)
        b->slots[i] = (ARENA_DATA + 0x10 + random_below(r, 0x1e00)) & ~7u;
}

/* ESP where there is room, or so that access NUMBER of the stack's is the first to fault (as long as they go one way).
 */
static void choose_stack(struct block_plan *b, unsigned number)
{
    struct random *r = number ? &b->fault_random : &b->m->random;
    uint16_t ss = b->registers->segment[ORACLE_SS];
    uint32_t slot = b->code32 ? 4 : 2, linear;

    if (!number) {
        linear = ARENA_DATA + 0x400 + random_below(r, 0x1800);
        if (random_percent(r, 90))
            linear &= ~3u;
    } else {
        switch (random_below(r, 4)) {
        case 0:
            linear = ARENA_DATA + 0x4000 + slot * (number - 1);
            break;
        case 1:
            linear = ARENA_DATA + slot * (number - 1);
            break;
        case 2:
            linear = ARENA_DATA + 0x5000 - slot * (number - 1);
            break;
        default:
            linear = ARENA_DATA + 0x3000 - slot * (number - 1);
            break;
        }
        if (random_percent(r, 25))
            linear -= random_below(r, slot);
    }
    uint32_t esp = linear - segment_base(ss);
    if (ss == SELECTOR_LDT(LDT_DATA16) && random_percent(r, 30))
        esp = (esp & 0xffff) | (uint32_t)random_next(r) << 16;
    b->registers->gpr[GPR_SP] = esp;
}

/* Mostly such that all of it is there, often over the boundary of the two pages. */
static uint32_t choose_block_place(struct random *r, uint16_t cs, unsigned length)
{
    uint32_t chosen = choose_place(r, cs), offset = random_below(r, 0x1800 - ORACLE_MAX_CODE) + 0x13;

    switch (random_below(r, 20)) {
    case 0:
        return chosen;
    case 1:
    case 2:
    case 3:
    case 4:
        if (cs != SELECTOR_LDT(LDT_CODE16_SHORT) && cs != SELECTOR_LDT(LDT_CODE32_SHORT))
            return ARENA_PAGE - random_below(r, length);
        break;
    default:
        break;
    }
    return cs == SELECTOR_LDT(LDT_CODE16_SHORT) || cs == SELECTOR_LDT(LDT_CODE32_SHORT)
               ? offset % (0xf00 - ORACLE_MAX_CODE) + 0x13
               : offset;
}

void generator_make_block(struct generator *g, uint64_t seed, uint64_t base, unsigned instructions, unsigned fault_at,
                          uint32_t boundary, uint32_t epilogue, struct test_case *out)
{
    struct making making = {.g = g, .random = {seed}, .in = &out->input}, *m = &making;
    struct random *r = &m->random;
    struct oracle_input *in = &out->input;
    struct block_plan plan = {.m = m,
                              .registers = &in->registers,
                              .wanted = instructions,
                              .fault_at = fault_at,
                              .fault_random = {seed + fault_at * 0x9e3779b97f4a7c15ull}},
                      *b = &plan;

    memset(in, 0, offsetof(struct oracle_input, patches));
    memset(&out->base, 0, sizeof *out - offsetof(struct test_case, base));
    out->base = base;
    out->seed = seed;
    out->block = true;
    m->mode = random_percent(r, 35) ? ORACLE_MODE16 : ORACLE_MODE32;
    out->mode = (uint8_t)m->mode;
    b->code32 = m->mode == ORACLE_MODE32;
    b->integer_only = random_percent(r, 50);
    choose_plan_state(b);
    in->code_offset = choose_block_place(r, in->registers.segment[ORACLE_CS], instructions * 6);
    in->boundary = out->host_boundary = boundary;
    add_sequence(b, 1000, true);
    add_functions(b);
    lay_out(b);
    fill_in(b);
    for (unsigned i = 0; i < b->count; i++) {
        memcpy(in->code + in->code_length, b->pieces[i].code, b->pieces[i].length);
        in->code_length += b->pieces[i].length;
    }
    choose_stack(b, fault_at > b->accesses ? fault_at - b->accesses : 0);
    out->accesses = (uint16_t)(b->accesses + (b->stack_accesses < 12 ? b->stack_accesses : 12));
    out->steps = (uint16_t)b->steps;
    out->row = b->first_row;
    out->operand_size = b->first_operand_size;
    out->trap = m->trap;
    out->body = (uint16_t)in->code_length;
    if (in->uses_fpu) {
        state_fpu(r, in->registers.fx);
        if (random_percent(r, 70)) { /* all masked */
            in->registers.fx[0] |= 0x3f;
            in->registers.fx[2] &= 0x7f;
            in->registers.fx[3] &= 0x7f;
            in->registers.fx[24] |= 0x80;
            in->registers.fx[25] |= 0x1f;
        }
    }
    case_finish(out, epilogue);
}

/* The IR from text: text.h tells the form. Made for test files and saved dumps; takes whatever it is given. */
#include "ir/text.h"

#include <ctype.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

enum { WORD_SIZE = 24 };

struct parser {
    struct ir_block *block;
    const char *at;  /* in a line: what has not been read yet */
    const char *end; /* of the line */
    unsigned line;
    bool failed;
    char *message;
    size_t message_size;
};

__attribute__((format(printf, 2, 3))) static bool fail(struct parser *p, const char *format, ...)
{
    if (!p->failed) {
        p->failed = true;
        int length = snprintf(p->message, p->message_size, "line %u: ", p->line);
        if (length >= 0 && (size_t)length < p->message_size) {
            va_list arguments;
            va_start(arguments, format);
            vsnprintf(p->message + length, p->message_size - (size_t)length, format, arguments);
            va_end(arguments);
        }
    }
    return false;
}

/* ---- characters and words ---- */

static void skip_blanks(struct parser *p)
{
    while (p->at < p->end && (*p->at == ' ' || *p->at == '\t' || *p->at == '\r')) {
        p->at++;
    }
    if (p->at < p->end && *p->at == ';') {
        p->at = p->end;
    }
}

static bool at_end(struct parser *p)
{
    skip_blanks(p);
    return p->at == p->end;
}

static char peek(const struct parser *p)
{
    return p->at < p->end ? *p->at : '\0';
}

static bool accept(struct parser *p, char character)
{
    skip_blanks(p);
    if (peek(p) != character || p->at == p->end) {
        return false;
    }
    p->at++;
    return true;
}

static bool expect(struct parser *p, char character)
{
    return accept(p, character) || fail(p, "'%c' expected", character);
}

/* A word of letters, digits and underscores; empty and false if there is none. */
static bool read_word(struct parser *p, char word[WORD_SIZE])
{
    size_t length = 0;
    skip_blanks(p);
    while (p->at < p->end && (isalnum((unsigned char)*p->at) || *p->at == '_')) {
        if (length + 1 < WORD_SIZE) {
            word[length++] = *p->at;
        } else {
            word[0] = '\0';
            return fail(p, "word too long");
        }
        p->at++;
    }
    word[length] = '\0';
    return length > 0;
}

/* If the next word is WORD, reads it. */
static bool accept_word(struct parser *p, const char *word)
{
    char next[WORD_SIZE];
    skip_blanks(p);
    const char *start = p->at;
    if (!p->failed && read_word(p, next) && strcmp(next, word) == 0) {
        return true;
    }
    p->at = start;
    return false;
}

/* An unsigned number to the end of its digits. */
static bool read_unsigned(struct parser *p, unsigned base, uint64_t maximum, uint64_t *value)
{
    char word[WORD_SIZE], *rest;
    if (!read_word(p, word) || !isxdigit((unsigned char)word[0])) {
        return fail(p, "number expected");
    }
    *value = strtoull(word, &rest, (int)base);
    if (*rest || *value > maximum) {
        return fail(p, "bad number '%s'", word);
    }
    return true;
}

static unsigned read_small(struct parser *p, unsigned maximum)
{
    uint64_t value = 0;
    return read_unsigned(p, 10, maximum, &value) ? (unsigned)value : 0;
}

static uint32_t read_hexadecimal(struct parser *p)
{
    uint64_t value = 0;
    return read_unsigned(p, 16, 0xffffffffu, &value) ? (uint32_t)value : 0;
}

/* The rest of a number whose sign was read; values up to FFFFFFFFh stand for themselves modulo 2^32. */
static int32_t read_constant(struct parser *p, bool negative)
{
    uint64_t value = 0;
    if (!read_unsigned(p, 0, negative ? 0x80000000u : 0xffffffffu, &value)) {
        return 0;
    }
    return (int32_t)(uint32_t)(negative ? 0 - value : value);
}

static int find_word(const char *word, const char *table, unsigned size, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        if (strcmp(word, table + (size_t)i * size) == 0) {
            return (int)i;
        }
    }
    return -1;
}
#define FIND(word, table) find_word(word, &(table)[0][0], sizeof(table)[0], sizeof(table) / sizeof(table)[0])

/* A word of TABLE by its number. */
#define READ_CHOICE(p, what, table)                                                                                    \
    read_choice(p, what, &(table)[0][0], sizeof(table)[0], sizeof(table) / sizeof(table)[0])
static unsigned read_choice(struct parser *p, const char *what, const char *table, unsigned size, unsigned count)
{
    char word[WORD_SIZE];
    int found = read_word(p, word) ? find_word(word, table, size, count) : -1;
    if (found < 0) {
        fail(p, "%s expected", what);
        return 0;
    }
    return (unsigned)found;
}

/* ---- operands ---- */

static bool read_temp(struct parser *p, const char *word, struct ir_value *value)
{
    char *rest;
    if (word[0] != 't' || !isdigit((unsigned char)word[1])) {
        return false;
    }
    unsigned long number = strtoul(word + 1, &rest, 10);
    if (*rest || number >= IR_MAX_TEMPS) {
        return fail(p, "bad temp '%s'", word);
    }
    *value = ir_temp_value((unsigned)number);
    if (p->block->temp_count <= number) {
        p->block->temp_count = (unsigned)number + 1;
    }
    return true;
}

static bool read_register(struct parser *p, const char *word, unsigned width, struct ir_value *value)
{
    unsigned row = width == 1 ? 0 : width == 2 ? 1 : 2;
    int number = FIND(word, ir_text_registers[row]);
    if (number >= 0) {
        *value = ir_guest((unsigned)number);
        return true;
    }
    number = width == 1 ? FIND(word, ir_text_high) : -1;
    if (number >= 0) {
        *value = ir_high((unsigned)number);
        return true;
    }
    return read_temp(p, word, value);
}

static struct ir_value read_value(struct parser *p, unsigned width)
{
    struct ir_value value = IR_NONE_VALUE;
    char word[WORD_SIZE];
    skip_blanks(p);
    bool negative = peek(p) == '-';
    if (negative || isdigit((unsigned char)peek(p))) {
        p->at += negative;
        return ir_const(read_constant(p, negative));
    }
    if (!read_word(p, word)) {
        fail(p, "operand expected");
    } else if (strcmp(word, "m") == 0) {
        value = ir_mem();
    } else if (!read_register(p, word, width, &value)) {
        fail(p, "'%s' is no operand of %u bytes", word, width);
    }
    return value;
}

static unsigned read_scale(struct parser *p)
{
    unsigned factor = read_small(p, 8);
    if (factor != 1 && factor != 2 && factor != 4 && factor != 8) {
        fail(p, "scale must be 1, 2, 4 or 8");
        return 0;
    }
    return (unsigned)__builtin_ctz(factor);
}

/* A register as base or index, whichever it is. */
static bool read_address_register(struct parser *p, struct ir_address *address)
{
    struct ir_value value = IR_NONE_VALUE;
    char word[WORD_SIZE];
    if (!read_word(p, word) || !read_register(p, word, 4, &value)) {
        return fail(p, "register expected in address");
    }
    bool scaled = accept(p, '*');
    if (!scaled && address->base.kind == IR_VALUE_NONE) {
        address->base = value;
        return true;
    }
    if (address->index.kind != IR_VALUE_NONE) {
        return fail(p, "too many registers in address");
    }
    address->index = value;
    address->scale = scaled ? (uint8_t)read_scale(p) : 0;
    return !p->failed;
}

static void read_address(struct parser *p, struct ir_address *address)
{
    expect(p, '[');
    bool first = true;
    while (!p->failed && !accept(p, ']')) {
        bool negative = accept(p, '-');
        if (!negative && !first && !expect(p, '+')) {
            return;
        }
        skip_blanks(p);
        if (isdigit((unsigned char)peek(p))) {
            uint32_t more = (uint32_t)read_constant(p, negative);
            address->displacement = (int32_t)((uint32_t)address->displacement + more);
        } else if (negative) {
            fail(p, "number expected");
        } else {
            read_address_register(p, address);
        }
        first = false;
    }
}

/* ---- ops ---- */

static struct ir_value read_fpu_operand(struct parser *p, const struct ir_op *op)
{
    return accept_word(p, "none") ? IR_NONE_VALUE : read_value(p, op->width ? op->width : 4);
}

static unsigned read_hexadecimal_small(struct parser *p, unsigned maximum)
{
    uint64_t value = 0;
    return read_unsigned(p, 16, maximum, &value) ? (unsigned)value : 0;
}

static void read_fpu_encoding(struct parser *p, struct ir_fpu *fpu)
{
    if (!expect(p, '{')) {
        return;
    }
    fpu->unit = (uint8_t)READ_CHOICE(p, "unit", ir_text_fpu_units);
    fpu->prefix = (uint8_t)read_hexadecimal_small(p, 0xff);
    fpu->map = (uint8_t)read_hexadecimal_small(p, 3);
    fpu->opcode = (uint8_t)read_hexadecimal_small(p, 0xff);
    fpu->has_modrm = !accept_word(p, "none");
    if (fpu->has_modrm) {
        fpu->modrm = (uint8_t)read_hexadecimal_small(p, 0xff);
    }
    while (!p->failed && !accept(p, '}')) {
        if (accept_word(p, "imm")) {
            fpu->has_immediate = true;
            fpu->immediate = (uint8_t)read_hexadecimal_small(p, 0xff);
        } else if (accept_word(p, "reg")) {
            fpu->reg_is_gpr = true;
        } else if (accept_word(p, "rm")) {
            fpu->rm_is_gpr = true;
        } else if (accept_word(p, "pointers")) {
            fpu->notes_pointers = true;
            fpu->fop = (uint16_t)read_hexadecimal_small(p, 0xffff);
            for (unsigned i = 0; i < 6; i++) {
                fpu->segment = accept_word(p, ir_text_segments[i]) ? (uint8_t)i : fpu->segment;
            }
        } else if (accept_word(p, ir_text_fpu_flags[IR_FPU_SETS_FLAGS])) {
            fpu->flags = IR_FPU_SETS_FLAGS;
        } else if (accept_word(p, ir_text_fpu_flags[IR_FPU_READS_FLAGS])) {
            fpu->flags = IR_FPU_READS_FLAGS;
        } else if (accept_word(p, "xmm_read")) {
            fpu->xmm_read = (uint16_t)read_hexadecimal_small(p, 0xffff);
        } else if (accept_word(p, "xmm_written")) {
            fpu->xmm_written = (uint16_t)read_hexadecimal_small(p, 0xffff);
        } else {
            fail(p, "unknown word in an encoding");
        }
    }
}

static void read_operands(struct parser *p, struct ir_op *op)
{
    bool comma = false;
    if (op->opcode == IR_FPU) {
        op->dst = read_fpu_operand(p, op);
        expect(p, ',');
        op->a = read_fpu_operand(p, op);
        read_fpu_encoding(p, &op->fpu);
        return;
    }
    if (op->opcode == IR_PROBE) {
        op->access = (uint8_t)READ_CHOICE(p, "r, w or rw", ir_text_accesses);
    }
    if (ir_has_dst(op)) {
        op->dst = read_value(p, op->width ? op->width : 4);
        comma = true;
    }
    if (op->opcode == IR_SEGMENT) {
        expect(p, ',');
        op->segment = (uint8_t)READ_CHOICE(p, "segment", ir_text_segments);
        expect(p, '.');
        op->size = (uint8_t)read_small(p, 255);
        op->access = (uint8_t)READ_CHOICE(p, "r, w or rw", ir_text_accesses);
        comma = false;
    } else if (ir_names_segment(op)) {
        if (comma) {
            expect(p, ',');
        }
        op->segment = (uint8_t)READ_CHOICE(p, "segment", ir_text_segments);
        comma = true;
    }
    if (ir_has_a(op)) {
        bool there = comma ? expect(p, ',') : !ir_a_is_optional(op) || (!at_end(p) && peek(p) != '{');
        if (there) {
            op->a = read_value(p, ir_width_of_a(op));
        }
        comma = true;
    }
    if (ir_has_b(op)) {
        expect(p, ',');
        op->b = read_value(p, ir_width_of_b(op));
    }
    if (ir_has_address(op)) {
        if (comma) {
            expect(p, ',');
        }
        read_address(p, &op->address);
    }
    if (op->opcode == IR_REPEAT) {
        op->loop = (uint8_t)READ_CHOICE(p, "movs or stos", ir_text_repeats);
        expect(p, '.');
        op->size = (uint8_t)read_small(p, 4);
        op->segment = (uint8_t)READ_CHOICE(p, "segment", ir_text_segments);
    }
    if (op->opcode == IR_EXIT_LOOP) {
        op->loop = (uint8_t)READ_CHOICE(p, "kind of loop", ir_text_loops);
    }
    if (op->opcode == IR_EXIT || op->opcode == IR_EXIT_IF || op->opcode == IR_EXIT_LOOP) {
        op->link = (uint8_t)read_small(p, 1);
        p->block->links[op->link].used = true; /* short texts leave the link lines out */
    } else if (op->opcode == IR_RAISE) {
        op->vector = (uint8_t)read_small(p, 255);
    } else if (op->opcode == IR_INTERPRET) {
        op->loop = accept_word(p, "leaves");
    }
    if (op->opcode == IR_EXIT || op->opcode == IR_EXIT_INDIRECT) {
        for (unsigned branch = IR_BRANCH_CALL; branch <= IR_BRANCH_RETURN; branch++) {
            if (accept_word(p, ir_text_branches[branch])) {
                op->branch = (uint8_t)branch;
            }
        }
        if (op->branch == IR_BRANCH_CALL) {
            p->block->links[1].used = true;
        }
    }
}

static void read_notes(struct parser *p, struct ir_op *op)
{
    while (!p->failed && accept(p, '{')) {
        if (accept_word(p, "recipe")) {
            op->recipe = accept_word(p, "home") ? IR_RECIPE_HOME : (uint16_t)read_small(p, IR_MAX_OPS - 1);
        } else if (accept_word(p, "place")) {
            op->place |= accept_word(p, "eflags") ? IR_PLACE_EFLAGS : 0;
            op->place |= accept_word(p, "home") ? IR_PLACE_HOME : 0;
        } else {
            fail(p, "unknown note");
        }
        expect(p, '}');
    }
}

static void read_op(struct parser *p)
{
    char name[WORD_SIZE];
    bool lock = accept_word(p, "lock");
    if (!read_word(p, name)) {
        fail(p, "op expected");
        return;
    }
    unsigned opcode = 0;
    while (opcode < IR_OPCODE_COUNT && strcmp(ir_op_table[opcode].name, name) != 0) {
        opcode++;
    }
    if (opcode == IR_OPCODE_COUNT) {
        fail(p, "unknown op '%s'", name);
        return;
    }
    struct ir_op *op = ir_append(p->block, opcode, 0);
    if (p->block->overflow) {
        fail(p, "too many ops");
        return;
    }
    op->lock = lock;
    if (ir_op_table[opcode].effects & EFFECT_CONDITION) {
        expect(p, '.');
        op->condition = (uint8_t)READ_CHOICE(p, "condition", ir_text_conditions);
    }
    if (peek(p) == '.') {
        p->at++;
        op->width = (uint8_t)read_small(p, 255);
    }
    if (ir_op_table[opcode].effects & EFFECT_NARROW) {
        expect(p, '.');
        op->narrow = (uint8_t)read_small(p, 255);
    }
    if (opcode == IR_PROBE) {
        op->size = op->width;
        if (peek(p) == '.') {
            p->at++;
            op->probe = (uint8_t)READ_CHOICE(p, "kind of probe", ir_text_probe_kinds);
        }
    }
    read_operands(p, op);
    read_notes(p, op);
    if (!p->failed && !at_end(p)) {
        fail(p, "more than the op '%s' takes", name);
    }
}

/* ---- other lines ---- */

/* KEY=hexadecimal, if it is there. */
static uint32_t read_key(struct parser *p, const char *key)
{
    if (!accept_word(p, key)) {
        return 0;
    }
    expect(p, '=');
    return read_hexadecimal(p);
}

/* Returns the number of instructions announced, -1 if there is none. */
static int read_header(struct parser *p)
{
    int count = -1;
    if (!accept_word(p, "block")) {
        fail(p, "'block' expected");
        return count;
    }
    uint32_t eip = read_key(p, "eip"), mode = read_key(p, "mode"), linear = read_key(p, "linear");
    if (accept_word(p, "count")) {
        expect(p, '=');
        count = (int)read_small(p, IR_MAX_INSNS);
    }
    if (!p->failed && !at_end(p)) {
        fail(p, "unknown word in the block's header");
    }
    ir_block_init(p->block, eip, mode, linear);
    return count;
}

static void read_link(struct parser *p)
{
    struct ir_link *link = &p->block->links[read_small(p, 1)];
    link->kind = (uint8_t)READ_CHOICE(p, "kind of link", ir_text_link_kinds);
    link->eip = read_hexadecimal(p);
    link->used = true;
    if (!p->failed && !at_end(p)) {
        fail(p, "more than a link takes");
    }
}

static void read_insn(struct parser *p)
{
    unsigned index = read_small(p, IR_MAX_INSNS - 1);
    uint32_t eip = read_hexadecimal(p);
    unsigned length = 0, row = 0;
    if (peek(p) == '+') {
        p->at++;
        length = read_small(p, 15);
    }
    if (peek(p) == '/') {
        p->at++;
        row = read_small(p, UINT16_MAX);
    }
    if (!p->failed && index != p->block->insn_count) {
        fail(p, "instruction %u expected", p->block->insn_count);
    }
    if (p->failed) {
        return;
    }
    ir_begin_insn(p->block, eip, length, row);
    struct ir_insn *insn = &p->block->insns[index];
    if (peek(p) == ' ') {
        p->at++;
    }
    size_t size = (size_t)(p->end - p->at);
    if (size >= sizeof insn->text) {
        size = sizeof insn->text - 1;
    }
    memcpy(insn->text, p->at, size);
    insn->text[size] = '\0';
}

bool ir_parse(struct ir_block *block, const char *text, char *message, size_t message_size)
{
    struct parser p = {.block = block, .message = message, .message_size = message_size};
    int count = -1;
    bool header_seen = false;
    ir_block_init(block, 0, 0, 0);
    for (const char *line = text; *line && !p.failed;) {
        const char *newline = strchr(line, '\n');
        p.at = line;
        p.end = newline ? newline : line + strlen(line);
        p.line++;
        line = newline ? newline + 1 : p.end;
        if (at_end(&p)) {
            continue;
        }
        if (!header_seen) {
            count = read_header(&p);
            header_seen = true;
        } else if (isdigit((unsigned char)peek(&p))) {
            read_insn(&p);
        } else if (accept_word(&p, "link")) {
            read_link(&p);
        } else {
            read_op(&p);
        }
    }
    if (!p.failed && !header_seen) {
        fail(&p, "no block");
    }
    if (!p.failed && count >= 0 && (unsigned)count != block->insn_count) {
        fail(&p, "%d instructions announced, %u there", count, block->insn_count);
    }
    for (unsigned i = 0; i < block->op_count && !p.failed; i++) {
        if (block->ops[i].recipe < IR_RECIPE_HOME && block->ops[i].recipe >= block->op_count) {
            fail(&p, "recipe %u is no op", block->ops[i].recipe);
        }
    }
    return !p.failed;
}

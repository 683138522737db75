#include "monitor/expression.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define MAX_DEPTH 256 /* of parentheses and signs */

struct parser {
    const char *p;
    const struct vcpu *cpu;
    struct error *err;
    unsigned depth;
};

static const char *const gpr_names[] = {"eax", "ecx", "edx", "ebx", "esp", "ebp", "esi", "edi"};
static const char *const segment_names[] = {"es", "cs", "ss", "ds", "fs", "gs"};

bool expression_register(const struct vcpu *cpu, const char *name, uint64_t *value)
{
    const struct cpu_state *s = &cpu->state;
    for (unsigned i = 0; i < ARRAY_SIZE(gpr_names); i++)
        if (!strcmp(name, gpr_names[i])) {
            *value = (uint32_t)s->gpr[i];
            return true;
        }
    if (!strcmp(name, "eip"))
        *value = (uint32_t)s->rip;
    else if (!strcmp(name, "pc"))
        *value = (uint32_t)(s->segment[SEG_CS].base + s->rip);
    else if (!strcmp(name, "sp"))
        *value = (uint32_t)s->gpr[GPR_SP];
    else if (!strcmp(name, "fp"))
        *value = (uint32_t)s->gpr[GPR_BP];
    else if (!strcmp(name, "eflags"))
        *value = cpu_eflags(cpu);
    else if (!strcmp(name, "cr0"))
        *value = s->cr0;
    else if (!strcmp(name, "cr2"))
        *value = s->cr2;
    else if (!strcmp(name, "cr3"))
        *value = s->cr3;
    else if (!strcmp(name, "cr4"))
        *value = s->cr4;
    else {
        for (unsigned i = 0; i < SEG_COUNT; i++) {
            size_t length = strlen(segment_names[i]);
            if (strncmp(name, segment_names[i], length))
                continue;
            const char *part = name + length;
            if (!*part)
                *value = s->segment[i].selector;
            else if (!strcmp(part, ".base"))
                *value = s->segment[i].base;
            else if (!strcmp(part, ".limit"))
                *value = s->segment[i].limit;
            else
                return false;
            return true;
        }
        return false;
    }
    return true;
}

static void skip_blanks(struct parser *parser)
{
    while (isspace((unsigned char)*parser->p))
        parser->p++;
}

static char peek(struct parser *parser)
{
    skip_blanks(parser);
    return *parser->p;
}

static bool parse_sum(struct parser *parser, uint64_t *value);

static bool parse_register(struct parser *parser, uint64_t *value)
{
    char name[32];
    size_t length = 0;
    parser->p++;
    while (isalnum((unsigned char)*parser->p) || *parser->p == '.' || *parser->p == '_') {
        if (length + 1 < sizeof name)
            name[length++] = *parser->p;
        parser->p++;
    }
    name[length] = 0;
    if (!parser->cpu || !expression_register(parser->cpu, name, value))
        return error_set(parser->err, "unknown register");
    return true;
}

static bool parse_number(struct parser *parser, uint64_t *value)
{
    char *end;
    errno = 0;
    *value = strtoull(parser->p, &end, 0);
    if (errno == ERANGE)
        return error_set(parser->err, "number too large");
    if (end == parser->p)
        return error_set(parser->err, "invalid char '%c' in expression", *parser->p);
    parser->p = end;
    return true;
}

static bool parse_unary(struct parser *parser, uint64_t *value)
{
    bool ok;
    if (++parser->depth > MAX_DEPTH)
        return error_set(parser->err, "expression is nested too deeply");
    char c = peek(parser);
    switch (c) {
    case '+':
    case '-':
    case '~':
        parser->p++;
        ok = parse_unary(parser, value);
        if (c == '-')
            *value = -*value;
        else if (c == '~')
            *value = ~*value;
        break;
    case '(':
        parser->p++;
        ok = parse_sum(parser, value);
        if (ok && peek(parser) != ')')
            ok = error_set(parser->err, "')' expected");
        else if (ok)
            parser->p++;
        break;
    case '\'':
        parser->p++;
        ok = *parser->p != 0;
        if (!ok) {
            error_set(parser->err, "character constant expected");
            break;
        }
        *value = (unsigned char)*parser->p++;
        if (*parser->p != '\'')
            ok = error_set(parser->err, "missing terminating \' character");
        else
            parser->p++;
        break;
    case '$':
        ok = parse_register(parser, value);
        break;
    case 0:
        ok = error_set(parser->err, "unexpected end of expression");
        break;
    default:
        ok = isdigit((unsigned char)c) ? parse_number(parser, value)
                                       : error_set(parser->err, "invalid char '%c' in expression", c);
    }
    parser->depth--;
    return ok;
}

static bool parse_product(struct parser *parser, uint64_t *value)
{
    if (!parse_unary(parser, value))
        return false;
    for (;;) {
        char op = peek(parser);
        uint64_t right = 0;
        if (op != '*' && op != '/' && op != '%')
            return true;
        parser->p++;
        if (!parse_unary(parser, &right))
            return false;
        if (op == '*') {
            *value *= right;
        } else {
            int64_t a = (int64_t)*value, b = (int64_t)right;
            if (b == 0)
                return error_set(parser->err, "division by zero");
            if (b == -1) /* also INT64_MIN / -1, on which the host would trap */
                *value = op == '/' ? -*value : 0;
            else
                *value = (uint64_t)(op == '/' ? a / b : a % b);
        }
    }
}

/* The bit operators bind closer than + and -, as in QEMU's monitor. */
static bool parse_bits(struct parser *parser, uint64_t *value)
{
    if (!parse_product(parser, value))
        return false;
    for (;;) {
        char op = peek(parser);
        uint64_t right = 0;
        if (op != '&' && op != '|' && op != '^')
            return true;
        parser->p++;
        if (!parse_product(parser, &right))
            return false;
        *value = op == '&' ? *value & right : op == '|' ? *value | right : *value ^ right;
    }
}

static bool parse_sum(struct parser *parser, uint64_t *value)
{
    if (!parse_bits(parser, value))
        return false;
    for (;;) {
        char op = peek(parser);
        uint64_t right = 0;
        if (op != '+' && op != '-')
            return true;
        parser->p++;
        if (!parse_bits(parser, &right))
            return false;
        *value = op == '+' ? *value + right : *value - right;
    }
}

bool expression_parse(const char **text, const struct vcpu *cpu, int64_t *value, struct error *err)
{
    struct parser parser = {*text, cpu, err, 0};
    uint64_t result = 0;
    if (!parse_sum(&parser, &result))
        return false;
    skip_blanks(&parser);
    *value = (int64_t)result;
    *text = parser.p;
    return true;
}

/* Integer expressions as the human monitor takes them: + - * / % & | ^ ~ ( ), 'c', numbers in C
 * notation, $register. 64 bits, wrapping. */
#ifndef DRAGOMAN_MONITOR_EXPRESSION_H
#define DRAGOMAN_MONITOR_EXPRESSION_H

#include "base/error.h"
#include "cpu/vcpu.h"

/* Evaluates the longest expression at *TEXT and moves *TEXT behind it and the blanks that follow.
 * CPU (parked) gives registers; may be NULL. False with a message if there is none. */
bool expression_parse(const char **text, const struct vcpu *cpu, int64_t *value, struct error *err);
/* The register NAME ("eax", "pc", "cs.base" ...). */
bool expression_register(const struct vcpu *cpu, const char *name, uint64_t *value);

#endif

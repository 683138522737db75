/* A test case as one line of text, for tests/cases and for reports. See README.md for the format. */
#ifndef DRAGOMAN_TESTS_ORACLE_CASE_TEXT_H
#define DRAGOMAN_TESTS_ORACLE_CASE_TEXT_H

#include "engine.h"

#include <stdio.h>

/* Writes C and the state it should end in (the host's), with a newline. */
void case_print(FILE *to, const struct test_case *c, const struct oracle_output *expected);
/* Reads LINE back; EPILOGUE: the terminator's target. False: malformed, *WHERE points at what is wrong. */
bool case_parse(const char *line, uint32_t epilogue, struct test_case *c, struct oracle_output *expected,
                const char **where);
/* "mov eax, [ebx]; ..." */
void case_disassemble(const struct test_case *c, char *text, size_t size);

#endif
